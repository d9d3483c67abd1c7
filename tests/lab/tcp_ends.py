#!/usr/bin/env python3
"""TCP services that behave badly, in one process, until SIGTERM.

  tcp_ends.py HOW=PORT...

  silent  accepts, takes what comes, never answers (an ICE-TCP service that drops an unknown user name)
  close   ends the connection in order once something came (another that does not know it)
  slam    accepts and resets at once (a proxy whose backend is down)
  text    greets in plain text and answers text (no TLS there)
"""

import selectors
import socket
import struct
import sys


def listener(port):
    sock = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=1024)
    sock.setblocking(False)
    return sock


def accepted(selector, how, sock):
    peer = sock.accept()[0]
    peer.setblocking(False)
    if how == "slam":
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        return
    if how == "text":
        peer.send(b"220 mail.example ESMTP ready\r\n")
    selector.register(peer, selectors.EVENT_READ, (how, False))


def said(selector, how, peer):
    try:
        data = peer.recv(65536)
        if data and how == "text":
            peer.send(b"502 command not recognized\r\n")
    except OSError:
        data = b""
    if not data or how == "close":
        selector.unregister(peer)
        peer.close()


def main():
    selector = selectors.DefaultSelector()
    for arg in sys.argv[1:]:
        how, port = arg.split("=")
        selector.register(listener(int(port)), selectors.EVENT_READ, (how, True))
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            how, is_listener = key.data
            (accepted if is_listener else said)(selector, how, key.fileobj)


main()
