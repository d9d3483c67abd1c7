#!/usr/bin/env python3
"""Fill the connection tracking table of this network namespace with UDP flows, until ROOM entries are left.

  conntrack_fill.py ROOM

The limit (nf_conntrack_max) is one for the whole host, but the count is each namespace's own: nobody else is disturbed. The entries are
made by netlink, without a packet: "assured", so that the kernel drops none of them early for a new one, and with an hour to live. Prints how
many entries there are of how many.
"""

import socket
import struct
import sys

FOLDER = "/proc/sys/net/netfilter/"
CHUNK = 1024
TIMEOUT_S = 3600

# <linux/netlink.h>, <linux/netfilter/nfnetlink.h>, nfnetlink_conntrack.h, nf_conntrack_common.h
NETLINK_NETFILTER = 12
IPCTNL_MSG_CT_NEW = 1 << 8
NLM_F_REQUEST_CREATE_EXCL = 0x1 | 0x400 | 0x200
NLA_F_NESTED = 0x8000
TUPLE_ORIG, TUPLE_REPLY, STATUS, TIMEOUT = 1, 2, 3, 7
SEEN_REPLY_ASSURED_CONFIRMED = 0x2 | 0x4 | 0x8

HERE = socket.inet_aton("198.18.9.1")
# Stands for the other end's address in the messages of a chunk, which differ by their port; no port has these bytes.
THERE = b"\xfe\xfe\xfe\xfe"


def number(name):
    with open(FOLDER + name, encoding="ascii") as file:
        return int(file.read())


def attribute(kind, data):
    return struct.pack("HH", 4 + len(data), kind) + data + b"\0" * (-len(data) % 4)


def nest(kind, *parts):
    return attribute(kind | NLA_F_NESTED, b"".join(parts))


def flow(kind, source, destination, sport, dport):
    proto = attribute(1, bytes([socket.IPPROTO_UDP])), attribute(2, struct.pack(">H", sport)), attribute(3, struct.pack(">H", dport))
    return nest(kind, nest(1, attribute(1, source), attribute(2, destination)), nest(2, *proto))


def entry(port):
    body = struct.pack("BBH", socket.AF_INET, 0, 0)
    body += flow(TUPLE_ORIG, HERE, THERE, port, 9) + flow(TUPLE_REPLY, THERE, HERE, 9, port)
    body += attribute(STATUS, struct.pack(">I", SEEN_REPLY_ASSURED_CONFIRMED)) + attribute(TIMEOUT, struct.pack(">I", TIMEOUT_S))
    return struct.pack("IHHII", 16 + len(body), IPCTNL_MSG_CT_NEW, NLM_F_REQUEST_CREATE_EXCL, 0, 0) + body


def main():
    wanted = number("nf_conntrack_max") - number("nf_conntrack_count") - int(sys.argv[1])
    chunk = b"".join(entry(port) for port in range(1, CHUNK + 1))
    each = len(chunk) // CHUNK
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as sock:
        for done in range(0, wanted, CHUNK):
            address = struct.pack(">I", 0x0A000001 + done // CHUNK)  # 10.0.0.1 and on
            sock.send(chunk[: each * min(CHUNK, wanted - done)].replace(THERE, address))
    print(number("nf_conntrack_count"), number("nf_conntrack_max"), flush=True)


main()
