#!/usr/bin/env python3
"""UDP and TCP ends for the lab's own tests; no everyport needed.

  udp.py echo --ports LIST            answer each packet from the port it came to; on SIGTERM print "port packets"
  udp.py send --to ADDR --ports LIST  send to each port, wait for answers; print "port answers" (a total on stderr)
  udp.py answer --port N              one UDP port: print the source address and port of the first packet
  udp.py listen --ports LIST          accept TCP connections and close them
  udp.py connect --to ADDR --port N   print open, refused or filtered
"""

import argparse
import collections
import select
import signal
import socket
import struct
import sys
import time


def port_list(text):
    ports = []
    for item in text.split(","):
        low, _, high = item.partition("-")
        ports += range(int(low), int(high or low) + 1)
    return ports


def family_of(addr):
    return socket.AF_INET6 if ":" in addr else socket.AF_INET


def big_buffers(sock):
    for option in (33, 32):  # SO_RCVBUFFORCE, SO_SNDBUFFORCE: not in the socket module
        sock.setsockopt(socket.SOL_SOCKET, option, 64 << 20)


def show(counts):
    for port in sorted(counts):
        print(port, counts[port])


class Stop(Exception):
    pass


def on_term(_signal, _frame):
    raise Stop


def checksum6(src, dst, datagram):
    """UDP over IPv6 has to have one (RFC 8200, section 8.1)."""
    data = socket.inet_pton(socket.AF_INET6, src) + socket.inet_pton(socket.AF_INET6, dst)
    data += struct.pack("!II", len(datagram), 17) + datagram
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total or 0xFFFF


def echo(args):
    """One raw socket sees all ports. The kernel's ICMP "port unreachable" beside it changes no UDP counter."""
    wanted = set(port_list(args.ports))
    family = socket.AF_INET6 if args.ipv6 else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_UDP)
    big_buffers(sock)
    counts = collections.Counter()
    signal.signal(signal.SIGTERM, on_term)
    print("ready", file=sys.stderr, flush=True)
    try:
        while True:
            packet, source = sock.recvfrom(2048)
            if family == socket.AF_INET:
                packet = packet[(packet[0] & 15) * 4:]
            sport, dport = struct.unpack_from("!HH", packet)
            if dport not in wanted:
                continue
            counts[dport] += 1
            reply = struct.pack("!HHHH", dport, sport, len(packet), 0) + packet[8:]
            if family == socket.AF_INET6:
                total = checksum6(args.addr, source[0], reply)
                reply = reply[:6] + struct.pack("!H", total) + reply[8:]
            sock.sendto(reply, (source[0], 0) if family == socket.AF_INET else (source[0], 0, 0, 0))
    except Stop:
        show(counts)


def send(args):
    sock = socket.socket(family_of(args.to), socket.SOCK_DGRAM)
    big_buffers(sock)
    sock.bind(("", args.source))
    sock.setblocking(False)
    answers = collections.Counter()

    def take():
        try:
            while True:
                answers[sock.recvfrom(2048)[1][1]] += 1
        except BlockingIOError:
            pass

    sent = 0
    start = time.monotonic()
    for _ in range(args.rounds):
        for port in port_list(args.ports):
            sock.sendto(b"x" * 18, (args.to, port))
            sent += 1
            if sent % 64 == 0:
                take()
                ahead = start + sent / args.rate - time.monotonic()
                if ahead > 0:
                    time.sleep(ahead)
    while sum(answers.values()) < sent and select.select([sock], [], [], args.wait)[0]:
        take()
    show(answers)
    print(f"sent {sent}, answers {sum(answers.values())}", file=sys.stderr)


def answer(args):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("", args.port))
    print("ready", file=sys.stderr, flush=True)
    source = sock.recvfrom(2048)[1]
    print(*source[:2], flush=True)


def listen(args):
    socks = [socket.create_server(("", port), family=socket.AF_INET) for port in port_list(args.ports)]
    print("ready", file=sys.stderr, flush=True)
    signal.signal(signal.SIGTERM, on_term)
    try:
        while True:
            for sock in select.select(socks, [], [])[0]:
                sock.accept()[0].close()
    except Stop:
        pass


def connect(args):
    try:
        socket.create_connection((args.to, args.port), timeout=args.wait).close()
        print("open")
    except ConnectionRefusedError:
        print("refused")
    except OSError:
        print("filtered")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["echo", "send", "answer", "listen", "connect"])
    parser.add_argument("--ports", default="50000-60000")
    parser.add_argument("--port", type=int)
    parser.add_argument("--to", default="198.18.1.2")
    parser.add_argument("--addr", default="2001:2:0:2::2", help="own address, for IPv6 checksums")
    parser.add_argument("--ipv6", action="store_true")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--rate", type=float, default=30000)
    parser.add_argument("--source", type=int, default=7000)
    parser.add_argument("--wait", type=float, default=1.5, help="for the next answer [s]")
    args = parser.parse_args()
    {"echo": echo, "send": send, "answer": answer, "listen": listen, "connect": connect}[args.what](args)


if __name__ == "__main__":
    main()
