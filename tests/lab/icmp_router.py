#!/usr/bin/env python3
"""A router on a link of a VLAN that sends an ICMP error about the first probe to each of some ports, until it is ended.

  icmp_router.py IFACE ROUTER PORTS VLAN [PORTS VLAN ...]   PORTS as 61000-61009; VLAN is the tag of the errors about them, 0: none
"""

import socket
import struct
import sys

ADMIN_PROHIBITED = (3, 13)


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def error_about(frame, router, vlan):
    """The frame that says so, to where the probe came from; frame is the probe's without its tag."""
    ip = frame[14:]
    quote = ip[: struct.unpack("!H", ip[2:4])[0] // 2 * 2]
    icmp = struct.pack("!BBHI", *ADMIN_PROHIBITED, 0, 0) + quote
    icmp = icmp[:2] + struct.pack("!H", checksum(icmp)) + icmp[4:]
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(icmp), 0, 0, 64, 1, 0, socket.inet_aton(router), ip[12:16])
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    tag = struct.pack("!HH", 0x8100, vlan) if vlan else b""
    return frame[6:12] + frame[0:6] + tag + b"\x08\x00" + head + icmp


def main():
    iface, router = sys.argv[1:3]
    due = {}
    for ports, vlan in zip(sys.argv[3::2], sys.argv[4::2]):
        low, _, high = ports.partition("-")
        due.update({port: int(vlan) for port in range(int(low), int(high or low) + 1)})
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    link.bind((iface, 0))
    print("ready", flush=True)
    while due:
        frame, sender = link.recvfrom(2048)
        # Whole UDP over IPv4 from the tap; the kernel has taken the tag off.
        if sender[2] == socket.PACKET_OUTGOING or frame[12:15] != b"\x08\x00\x45" or frame[23] != 17:
            continue
        port = struct.unpack("!H", frame[36:38])[0]
        if port in due:
            link.send(error_about(frame, router, due.pop(port)))
    print("done", flush=True)


main()
