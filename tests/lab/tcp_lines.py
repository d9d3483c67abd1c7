#!/usr/bin/env python3
"""A TCP stream like that of a terminal: a line each 100 ms, answered.

  tcp_lines.py serve PORT          answer every line, on any number of connections
  tcp_lines.py talk HOST PORT      say a line each 100 ms until SIGTERM, then print "N lines, M late" (later than 1 s)
"""

import select
import signal
import socket
import sys
import time


def serve(port):
    listener = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    print("ready", flush=True)
    peers = []
    while True:
        readable, _, _ = select.select([listener, *peers], [], [])
        for sock in readable:
            if sock is listener:
                peers.append(listener.accept()[0])
                continue
            try:
                line = sock.recv(4096)
                sock.sendall(line)
            except OSError:
                line = b""
            if not line:
                peers.remove(sock)
                sock.close()


def talk(host, port):
    going = True

    def stop(*_):
        nonlocal going
        going = False

    signal.signal(signal.SIGTERM, stop)
    sock = socket.create_connection((host, port), timeout=5)
    lines = late = 0
    while going:
        start = time.monotonic()
        try:
            sock.sendall(b"%d\n" % lines)
            while not sock.recv(4096).endswith(b"\n"):
                pass
        except (OSError, TimeoutError):
            late += 1
            break
        lines += 1
        late += time.monotonic() - start > 1
        time.sleep(0.1)
    print(f"{lines} lines, {late} late", flush=True)


if sys.argv[1] == "serve":
    serve(int(sys.argv[2]))
else:
    talk(sys.argv[2], int(sys.argv[3]))
