#!/usr/bin/env bash
# Make kernel.txt again: two kernels talk over a veth pair, and what passes is kept, frame by frame, as "SENDER HEX".
#
#   us    02:00:00:00:00:01  198.18.0.1/24  2001:2::1/64   whose part the stack takes in the test
#   peer  02:00:00:00:00:02  198.18.0.2/24  2001:2::2/64
#
# Needs root, iproute2, tcpdump, ping, arping, ndisc6. Usage: tests/golden/slow/capture.sh >tests/golden/slow/kernel.txt
set -euo pipefail

us=epcapture$$-us
peer=epcapture$$-peer
file=$(mktemp)
trap 'ip netns del "$us" 2>/dev/null; ip netns del "$peer" 2>/dev/null; rm -f "$file"' EXIT

in_us()
{
	ip netns exec "$us" "$@"
}

in_peer()
{
	ip netns exec "$peer" "$@"
}

ip netns add "$us"
ip netns add "$peer"
ip link add v0 netns "$us" address 02:00:00:00:00:01 type veth peer name v0 netns "$peer" address 02:00:00:00:00:02
for where in in_us in_peer; do
	$where sysctl -q -w net.ipv6.conf.all.accept_ra=0 net.ipv6.conf.v0.addr_gen_mode=1 net.ipv6.auto_flowlabels=0 \
		net.ipv4.conf.v0.arp_notify=1 net.ipv6.conf.v0.ndisc_notify=1
	# Checksums are to be on the wire.
	$where ethtool -K v0 tx off >/dev/null 2>&1 || true
done
in_peer ip link set v0 up
in_us ip addr add 198.18.0.1/24 dev v0
in_us ip link set v0 up
sleep 1
ip netns exec "$peer" tcpdump -U -n -i v0 -w "$file" 'arp or icmp or icmp6' 2>/dev/null &
capture_pid=$!
sleep 1
# Our announcements, and the probe for our IPv6 address.
in_us ip addr add 2001:2::1/64 dev v0
sleep 2
in_peer ip addr add 198.18.0.2/24 dev v0
in_peer ip addr add 2001:2::2/64 dev v0
sleep 2
in_us ip neigh flush dev v0
in_peer ip neigh flush dev v0
# The peer asks for us, probes for our addresses, and pings.
in_peer arping -q -c 1 -I v0 198.18.0.1
in_peer arping -q -D -c 1 -I v0 198.18.0.1 || true
in_peer arping -q -U -c 1 -I v0 198.18.0.2 || true
in_peer ndisc6 -1 -q 2001:2::1 v0 >/dev/null
in_peer ip addr add 2001:2::1/128 dev v0
sleep 2
in_peer ip addr del 2001:2::1/128 dev v0
in_peer ping -q -c 1 -s 32 198.18.0.1 >/dev/null
in_peer ping -q -c 1 -s 32 -R 198.18.0.1 >/dev/null
in_peer ping -q -c 1 -s 33 2001:2::1 >/dev/null
# We ask for the peer, and it refuses datagrams from a source port of ours.
in_us ip neigh flush dev v0
in_us ping -q -c 1 198.18.0.2 >/dev/null
in_us ping -q -c 1 2001:2::2 >/dev/null
in_us python3 - <<'END'
import socket

for family, to, ours in ((socket.AF_INET, "198.18.0.2", "198.18.0.1"), (socket.AF_INET6, "2001:2::2", "2001:2::1")):
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.bind((ours, 20007))
        s.sendto(b"\x80\x60" + bytes(16), (to, 51007))
END
sleep 1
kill -TERM "$capture_pid"
wait "$capture_pid" 2>/dev/null || true
echo "# Made by capture.sh: what two Linux kernels ($(uname -r | cut -d. -f1,2)) said to each other. See there for who is who."
tcpdump -n -xx -r "$file" 2>/dev/null | awk '
	/^[0-9][0-9]:/ { if (hex != "") emit(); hex = ""; text = $0; sub(/^[^ ]* /, "", text); next }
	{ for (i = 2; i <= NF; i++) hex = hex $i }
	function emit() { print "# " text; print (substr(hex, 13, 12) == "020000000001" ? "us " : "peer ") hex }
	END { if (hex != "") emit() }'
