#!/usr/bin/env python3
"""A connection like an ssh session: keystrokes one way, each echoed, and lines of output the other way.

  typing.py serve ADDRESS PORT              answers one connection, and ends with it
  typing.py type ADDRESS PORT SECONDS       a keystroke every 10 ms; prints "sent N echoed N worst_ms X"
"""

import socket
import sys
import time

KEY_BYTES = 36  # an ssh packet of one keystroke
LINE_BYTES = 400
PAUSE_S = 0.01
PATIENCE_S = 5


def take(conn, count):
    data = b""
    while len(data) < count:
        more = conn.recv(count - len(data))
        if not more:
            return data
        data += more
    return data


def serve(address, port):
    with socket.create_server((address, port), family=socket.AF_INET) as listener:
        print("ready", flush=True)
        conn, _ = listener.accept()
    conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with conn:
        while len(key := take(conn, KEY_BYTES)) == KEY_BYTES:
            conn.sendall(key + b"x" * LINE_BYTES)


def type_keys(address, port, seconds):
    sent = echoed = 0
    worst = 0.0
    with socket.create_connection((address, port), timeout=PATIENCE_S) as conn:
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            key = b"%035d\n" % sent
            begin = time.monotonic()
            conn.sendall(key)
            sent += 1
            try:
                echoed += take(conn, KEY_BYTES + LINE_BYTES)[:KEY_BYTES] == key
            except TimeoutError:
                break
            worst = max(worst, time.monotonic() - begin)
            time.sleep(PAUSE_S)
    print(f"sent {sent} echoed {echoed} worst_ms {worst * 1e3:.1f}")


if sys.argv[1] == "serve":
    serve(sys.argv[2], int(sys.argv[3]))
else:
    type_keys(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
