#!/usr/bin/env bash
# everyport loop over two devices that no kernel owns, through a router: ARP and NDP of our own, a gateway whose MAC changes during
# the load, pings beside it, ICMP errors.
# Judges light loads.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

need_root_or_skip "loop through a router over net_tap"

check=$top/tests/check_result.py
ns=${EP_LAB_PREFIX:-eptest$$}-router
json=$tmp/result.json
cleanup()
{
	((EUID == 0)) || return 0
	ip netns del "$ns" 2>/dev/null || true
}
cleanup
ip netns add "$ns"

in_ns()
{
	ip netns exec "$ns" "$@"
}

# The kernel of the namespace routes between the two taps that everyport makes; it rejects two ports.
in_ns sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.accept_dad=0 net.ipv4.icmp_ratemask=0
in_ns ip link set lo up
in_ns nft -f - <<'END'
table inet router {
	chain across {
		type filter hook forward priority 0
		iifname "epr0" udp dport 50003-50004 reject with icmpx admin-prohibited
	}
}
END

# Taps come up with everyport: what the router has there is set as soon as they do.
router_set()
{
	wait_for 10 in_ns ip link show epr0 && wait_for 10 in_ns ip link show epr1
	in_ns ip addr add 198.18.0.1/24 dev epr0
	in_ns ip addr add 198.18.1.1/24 dev epr1
	in_ns ip addr add 2001:2:0:1::1/64 dev epr0 nodad
	in_ns ip addr add 2001:2:0:2::1/64 dev epr1 nodad
}

# loop_start OPTION...: everyport in the background, the router's addresses set; its id in $loop_pid.
loop_start()
{
	start "$tmp/report" ip netns exec "$ns" "$EP_BIN" loop --dev net_tap0,iface=epr0 --dev net_tap1,iface=epr1 \
		--json "$json" --ports 50000-50199 "$@"
	loop_pid=$started_pid
	router_set
}

loop_wait()
{
	code=0
	wait "$loop_pid" || code=$?
}

ipv4=(--addr 198.18.0.2/24 --addr 198.18.1.2/24 --gateway 198.18.0.1 --gateway 198.18.1.1)
ipv6=(--addr 2001:2:0:1::2/64 --addr 2001:2:0:2::2/64 --gateway 2001:2:0:1::1 --gateway 2001:2:0:2::1)

loop_start "${ipv4[@]}" --rate 1kpps --duration 6s --sweeps 2
# The kernel's tools meet a host, on either side, during the load.
sleep 5
like "$(in_ns ping -q -c 10 -i 0.05 -w 5 198.18.0.2)" ' 0% packet loss' "the first device's address answers pings during the load"
like "$(in_ns ping -q -c 10 -i 0.05 -w 5 198.18.1.2)" ' 0% packet loss' "... and the second's"
like "$(in_ns arping -c 2 -w 4 -I epr0 198.18.0.2)" 'Received 2 response' "... arping"
loop_wait
like "$code" '^(1|5)$' "IPv4 through a router: ports that it rejects fail the run"
is "$(jq -c .dead_ports.up "$json")" '["50003-50004"]' "... and are the only dead ones"
is "$(jq -c '[.ports[] | select(.up.icmp) | [.port, .up.icmp[0].from, .up.icmp[0].name]]' "$json")" \
	'[[50003,"198.18.0.1","admin-prohibited"],[50004,"198.18.0.1","admin-prohibited"]]' "... with the router's ICMP errors"
number_is "$(jq '[.ports[] | select(.up.icmp == null) | .up.received, .down.received] | min' "$json")" -gt 0 "all others are alive in both directions"
number_is "$(jq '.ledger.up.foreign + .ledger.down.foreign' "$json")" -gt 20 "what is no probe is counted as foreign"
succeeds "... and every ledger closes" "$check" "$json" closes schema

# A gateway whose MAC changes during the load, without a word: with nothing to send on that link, it does not ask for us either.
loop_start "${ipv4[@]}" --rate 1kpps --duration 8s --sweeps 1 --ports 50010-50109 --direction up
sleep 8
in_ns sysctl -q -w net.ipv4.conf.epr0.arp_notify=0
in_ns ip link set epr0 address 02:00:00:00:77:01
loop_wait
like "$code" '^(0|1|5)$' "a gateway whose MAC changes does not end the run"
succeeds "... the ledger closes" "$check" "$json" closes
number_is "$(jq '[.intervals[] | select(.trial == 1 and .up.received < .up.sent * 0.9)] | length' "$json")" -ge 1 "... the loss is dated in intervals[]"
number_is "$(jq '[.intervals[] | select(.trial == 1 and .up.received < .up.sent * 0.9)] | length' "$json")" -le 4 "... and lasts no longer than 3 s"
number_is "$(jq '[.intervals[] | select(.trial == 1)][-2:] | map(select(.up.received < .up.sent * 0.9)) | length' "$json")" -eq 0 "... then the new MAC is followed"

loop_start "${ipv6[@]}" --rate 1kpps --duration 3s --sweeps 2 --size 84
sleep 3
like "$(in_ns ping -q -c 10 -i 0.05 -w 5 2001:2:0:1::2)" ' 0% packet loss' "IPv6: ping -6"
like "$(in_ns ndisc6 -1 2001:2:0:2::2 epr1)" '[0-9A-F:]{17}' "... ndisc6"
loop_wait
is "$(jq -c .dead_ports.up "$json")" '["50003-50004"]' "... and the ports through the router"
succeeds "... the ledger closes" "$check" "$json" closes schema

# What cannot work is one sentence.
fails_with 2 "\-\-addr: give one for each of two" "one address for two devices" "$EP_BIN" loop --dev net_tap0 --dev net_tap1 --addr 198.18.0.2/24
fails_with 2 "one for each device or none" "one gateway for two devices" "$EP_BIN" loop --dev net_tap0 --dev net_tap1 "${ipv4[@]:0:6}"
fails_with 2 "is for PCI and net_... devices, eth0" "an address for a kernel interface" "$EP_BIN" loop --dev eth0 --dev eth1 "${ipv4[@]}"
fails_with 2 "length of its prefix" "an address without a prefix" "$EP_BIN" loop --addr 198.18.0.2
code=0
in_ns "$EP_BIN" loop --dev net_tap0,iface=epr0 --dev net_tap1,iface=epr1 "${ipv4[@]}" >"$tmp/report" 2>&1 || code=$?
like "$code $(tail -1 "$tmp/report")" '^3 everyport loop: --dev net_tap0,iface=epr0: 198.18.0.1 does not answer ARP$' "a gateway that is not there"
# Before the addresses are there, the router takes one of them.
start "$tmp/report" ip netns exec "$ns" "$EP_BIN" loop --dev net_tap0,iface=epr0 --dev net_tap1,iface=epr1 "${ipv4[@]}"
loop_pid=$started_pid
router_set
in_ns ip addr add 198.18.1.2/24 dev epr1
in_ns arping -q -U -c 1 -I epr1 198.18.1.2 || true
loop_wait
like "$code $(tail -1 "$tmp/report")" '^3 everyport loop: --addr 198.18.1.2/24: another host on the link of net_tap1,iface=epr1 has it' \
	"an address that another host has"

finish
