#!/usr/bin/env python3
"""A TCP stream between two hosts, as fast as they can: the receiver prints the rate [Mbit/s].

tcp_stream.py receive PORT SECONDS   waits for one connection, receives for so long
tcp_stream.py send HOST PORT         sends until the other side closes
"""
import socket
import sys
import time


def receive(port, seconds):
    listener = socket.create_server(("", port))
    listener.settimeout(20)
    conn, _ = listener.accept()
    conn.settimeout(1)
    buf = bytearray(1 << 20)
    start = time.monotonic()
    last = start + seconds
    total = 0
    while time.monotonic() - start < seconds:
        try:
            count = conn.recv_into(buf)
        except OSError:  # the other end has gone without a word
            break
        if count == 0:
            break
        total += count
        last = time.monotonic()
    elapsed = last - start
    print(int(total * 8 / elapsed / 1e6))


def send(host, port):
    deadline = time.monotonic() + 10
    while True:
        try:
            conn = socket.create_connection((host, port), timeout=5)
            break
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
    block = bytes(1 << 18)
    try:
        while True:
            conn.sendall(block)
    except OSError:
        pass


if sys.argv[1] == "receive":
    receive(int(sys.argv[2]), float(sys.argv[3]))
else:
    send(sys.argv[2], int(sys.argv[3]))
