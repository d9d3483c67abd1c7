#!/usr/bin/env bash
# The host stack beside a kernel: a host that is nothing but lib/slow at one end of a tap, a Linux kernel at the other.
# Judges no time.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

ns=${EP_LAB_PREFIX:-eptest$$}-slow
host=$(dirname "$EP_BIN")/../tests/lab/slow_host

cleanup()
{
	((EUID == 0)) || return 0
	ip netns del "$ns" 2>/dev/null || true
}

need_root_or_skip "a kernel and the slow path as neighbours"
cleanup
ip netns add "$ns"

in_ns()
{
	ip netns exec "$ns" "$@"
}

in_ns ip link set lo up
in_ns sysctl -q -w net.ipv6.conf.default.accept_ra=0
in_ns ip tuntap add tap0 mode tap
in_ns ip link set tap0 address 02:00:00:00:00:02 up
in_ns ip addr add 198.18.0.2/24 dev tap0
in_ns ip addr add 2001:2::2/64 dev tap0 nodad

# host_start GATEWAY ADDRESS/BITS...
host_start()
{
	start "$tmp/host.log" ip netns exec "$ns" "$host" tap0 02:00:00:00:00:01 "$@"
	host_pid=$started_pid
}

host_start 198.18.0.2 198.18.0.1/24 2001:2::1/64
succeeds "an address that nobody has becomes ours, IPv6 within 2 s and IPv4 within 5 s" \
	wait_for 5 grep -q "ours 198.18.0.1" "$tmp/host.log"
succeeds "... both" grep -q "ours 2001:2::1" "$tmp/host.log"
succeeds "the gateway's MAC is found" wait_for 2 grep -q "gateway 02:00:00:00:00:02" "$tmp/host.log"

# How a kernel's own tools see it.
like "$(in_ns ping -q -c 50 -i 0.01 198.18.0.1)" ' 0% packet loss' "ping"
like "$(in_ns ping -q -c 50 -i 0.01 2001:2::1)" ' 0% packet loss' "ping -6"
like "$(in_ns ping -q -c 5 -i 0.01 -s 1472 198.18.0.1)" ' 0% packet loss' "ping with frames of 1,514 B"
like "$(in_ns ping -q -c 5 -i 0.01 -T tsonly 198.18.0.1)" ' 0% packet loss' "ping with IPv4 options"
like "$(in_ns arping -c 3 -w 5 -I tap0 198.18.0.1)" 'Received 3 response' "arping"
code=0
in_ns arping -q -D -c 2 -w 3 -I tap0 198.18.0.1 || code=$?
is "$code" 1 "arping -D: the address is somebody's"
like "$(in_ns ndisc6 -1 2001:2::1 tap0)" '02:00:00:00:00:01' "ndisc6"
in_ns ip addr add 2001:2::1/128 dev tap0
succeeds "the kernel's own probe for our address fails" \
	wait_for 5 eval "ip -n $ns -6 addr show dev tap0 | grep -q dadfailed"
in_ns ip addr del 2001:2::1/128 dev tap0
like "$(in_ns ip neigh show 198.18.0.1)" '02:00:00:00:00:01 (REACHABLE|DELAY|STALE)' "the kernel's cache has our MAC"

# follows MAC: seconds (rounded up) until the gateway's MAC is told, at most 9.
follows()
{
	local from=$EPOCHREALTIME

	wait_for 9 grep -q "gateway $1" "$tmp/host.log" || true
	awk -v a="$from" -v b="$EPOCHREALTIME" 'BEGIN {printf "%d\n", b - a + 0.999}'
}

in_ns ip link set tap0 address 02:00:00:00:00:22
number_is "$(follows 02:00:00:00:00:22)" -le 3 "a gateway whose MAC changes is followed within 3 s"
in_ns sysctl -q -w net.ipv4.conf.tap0.arp_notify=1
in_ns ip link set tap0 address 02:00:00:00:00:23
number_is "$(follows 02:00:00:00:00:23)" -le 1 "... and within 1 s where it announces itself"
like "$(in_ns ping -q -c 5 -i 0.01 198.18.0.1)" ' 0% packet loss' "ping goes on"
stop "$host_pid"

# An address that the kernel has.
host_start 2001:2::2 198.18.0.2/24 2001:2::3/64
succeeds "an address that the kernel has is not taken from it" \
	wait_for 5 grep -q "taken 198.18.0.2 by 02:00:00:00:00:23" "$tmp/host.log"
succeeds "... and the other one is ours" wait_for 5 grep -q "ours 2001:2::3" "$tmp/host.log"
succeeds "the IPv6 gateway's MAC is found" wait_for 2 grep -q "gateway 02:00:00:00:00:23" "$tmp/host.log"
in_ns ip link set tap0 address 02:00:00:00:00:24
number_is "$(follows 02:00:00:00:00:24)" -le 3 "... and followed within 3 s"
in_ns ip addr del 2001:2::2/64 dev tap0
succeeds "a gateway that is gone is told" wait_for 5 grep -q "gateway No route to host" "$tmp/host.log"
stop "$host_pid"

finish
