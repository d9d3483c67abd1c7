#!/usr/bin/env python3
"""Fill the connection tracking table of this network namespace with UDP flows over loopback, until ROOM entries are left.

  conntrack_fill.py ROOM

The limit (nf_conntrack_max) is one for the whole host, but the count is each namespace's own: nobody else is disturbed. Each flow is
spoken on from both ends over more than 2 s, so that it is "assured" and the kernel does not drop it early for a new one; and the
timeouts of the namespace are set so that none ends by itself. Prints how many entries there are of how many.
"""

import itertools
import resource
import socket
import sys
import time

FOLDER = "/proc/sys/net/netfilter/"
SETTLE_S = 2.2
TIMEOUT_S = 3600


def number(name):
    with open(FOLDER + name, encoding="ascii") as file:
        return int(file.read())


def bound(address, count):
    socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    for sock in socks:
        sock.bind((address, 0))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)  # what comes is never read
    return [(sock, sock.getsockname()) for sock in socks]


def main():
    room = int(sys.argv[1])
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    for name in ("nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"):
        with open(FOLDER + name, "w", encoding="ascii") as file:
            file.write(str(TIMEOUT_S))
    wanted = number("nf_conntrack_max") - number("nf_conntrack_count") - room
    side = int(max(wanted, 1) ** 0.5) + 1
    pairs = list(itertools.islice(itertools.product(bound("127.0.0.1", side), bound("127.0.0.2", side)), max(wanted, 0)))
    for (here, here_at), (there, there_at) in pairs:
        here.sendto(b"", there_at)
        there.sendto(b"", here_at)
    time.sleep(SETTLE_S)
    for (here, _), (_, there_at) in pairs:
        here.sendto(b"", there_at)
    print(number("nf_conntrack_count"), number("nf_conntrack_max"), flush=True)


main()
