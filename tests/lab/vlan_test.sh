#!/usr/bin/env bash
# run and serve with --vlan on devices that no kernel owns, each with two queues. The kernel between them counts by tag what it carries: nothing
# leaves without one, and each probe that it saw is in the account once.
# Judges light loads.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

need_root_or_skip "run and serve on a VLAN"

check=$top/tests/check_result.py
prefix=${EP_LAB_PREFIX:-eptest$$}-vlan
a=$prefix-a
b=$prefix-b
m=$prefix-m
key=$tmp/key
json=$tmp/result.json
cleanup()
{
	local ns

	for ns in "$a" "$b" "$m"; do
		ip netns del "$ns" 2>/dev/null || true
	done
}
cleanup
for ns in "$a" "$b" "$m"; do
	ip netns add "$ns"
	ip -n "$ns" link set lo up
done
# What lies between has nothing to say itself.
ip netns exec "$m" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
ip -n "$a" link add ctl0 type veth peer name ctl0 netns "$b"
for side in "$a 1" "$b 2"; do
	read -r ns i <<<"$side"
	ip -n "$ns" addr add "192.0.2.$i/24" dev ctl0
	ip -n "$ns" link set ctl0 up
done
(umask 077 && "$EP_BIN" keygen >"$key")

value()
{
	jq -c "$1" "$json"
}

# tap_take NAMESPACE TAP: from the namespace of its process to the one between, once the process has set it up.
tap_take()
{
	wait_for 20 eval "ip -n $1 link show $2 up 2>/dev/null | grep -q $2" || sed "s/^/# /" "$tmp"/*.log
	ip -n "$1" link set "$2" netns "$m"
	ip -n "$m" link set "$2" up
}

# The two taps become one link, and the kernel counts by tag.
taps_join()
{
	ip netns exec "$m" nft -f - <<'NFT'
flush ruleset
table netdev link {
	counter of_up {}
	counter of_down {}
	counter of_arp {}
	counter of_tcp {}
	counter of_ndp {}
	counter of_other {}
	chain a {
		type filter hook ingress device "tapa" priority 0
		ether type vlan vlan id 5 udp dport 61000-61199 counter name of_up
		ether type vlan vlan id 5 vlan type arp counter name of_arp
		ether type vlan vlan id 5 tcp dport 9000 counter name of_tcp
		ether type vlan vlan id 5 icmpv6 type nd-neighbor-solicit counter name of_ndp
		ether type != vlan counter name of_other
		ether type vlan vlan id != 5 counter name of_other
		fwd to "tapb"
	}
	chain b {
		type filter hook ingress device "tapb" priority 0
		ether type vlan vlan id 5 udp sport 61000-61199 counter name of_down
		ether type != vlan counter name of_other
		ether type vlan vlan id != 5 counter name of_other
		fwd to "tapa"
	}
}
NFT
}

counted()
{
	ip netns exec "$m" nft -j list counter netdev link "of_$1" | jq '.nftables[] | select(.counter).counter.packets'
}

# session NAME SERVE-OPTION... -- RUN-OPTION...: a run from tap to tap; the exit code is in $code.
session()
{
	local name=$1 serve_pid run_pid
	local serve=()

	shift
	while [[ $1 != -- ]]; do
		serve+=("$1")
		shift
	done
	shift
	start "$tmp/serve.log" ip netns exec "$b" "$EP_BIN" serve --key-file "$key" --ports 61000-61199 --tcp none --udp-stun none --control-port 9000 \
		--dev net_tap0,iface=tapb --vlan 5 --queues 2 "${serve[@]}"
	serve_pid=$started_pid
	tap_take "$b" tapb
	wait_for 20 grep -q "ready on" "$tmp/serve.log" || sed 's/^/# serve: /' "$tmp/serve.log"
	start "$tmp/run.log" ip netns exec "$a" "$EP_BIN" run --key-file "$key" --ports 61000-61199 --tcp none --udp-stun none --control-port 9000 \
		--dev net_tap0,iface=tapa --vlan 5 --queues 2 --rate 1kpps --sweep-rate 1kpps --sweeps 1 --duration 1s --drain 500ms \
		--json "$json" --quiet "$@"
	run_pid=$started_pid
	tap_take "$a" tapa
	# In front of the probes, which wait for the link.
	start "$tmp/router.log" ip netns exec "$m" python3 "$top/tests/lab/icmp_router.py" tapa 198.18.0.9 61010-61019 5 61020-61029 6 61030-61039 0
	wait_for 10 grep -q ready "$tmp/router.log"
	taps_join
	code=0
	wait "$run_pid" || code=$?
	[[ $code != [34] ]] || sed 's/^/# run: /' "$tmp/run.log"
	code_is 0 "$name: passes"
	succeeds "... every ledger closes" "$check" "$json" closes schema
	is "$(value '[.ledger[] | .accepted == .received and .duplicates == 0]')" '[true,true]' "... each probe that was sent has arrived, once"
	is "$(counted up) $(counted down)" "$(value '"\(.ledger.up.accepted) \(.ledger.down.accepted)"' | tr -d '"')" \
		"... and is the one that the kernel saw with its tag"
	is "$(counted other)" 0 "... nothing was sent without it"
	is "$(value '[.queues[] | (.received | length), (.received | min > 0), (.received | add)] == [2, true, .ledger.up.nic_rx, 2, true, .ledger.down.nic_rx]')" \
		true "... by both queues of both ends, which add up to what the NICs saw"
	is "$(value '[.config.vlan, .host.queues]')" '[5,2]' "... as the result says"
	stop "$serve_pid" INT
	stop "$started_pid"
}

session "two queues and a VLAN, with an exception interface" --addr 198.18.0.2/24 -- --addr 198.18.0.1/24 --peer 198.18.0.2 --size 68,1522
number_is "$(counted arp)" -gt 0 "... ARP has the tag"
number_is "$(counted tcp)" -gt 20 "... TCP of the control connection has it"
is "$(value '[.host.exception.interface, .host.exception.dropped]')" '["everyport0",0]' "... over everyport0, and nothing was dropped"
is "$(value '[.ports[] | select(.up.icmp) | [.port, .up.icmp[0].from, .up.icmp[0].name]] | [(map(.[0]) | min, max), length, (map(.[1:]) | unique)]')" \
	'[61010,61019,10,[["198.18.0.9","admin-prohibited"]]]' "ICMP errors of the VLAN name ports and router, those of another VLAN and of none nothing"
number_is "$(value .host.exception.other_vlan)" -ge 20 "... and these were not shown to the kernel"

session "the same over IPv6 with --control-dev" --addr 2001:2::2/64 --control-dev ctl0 -- \
	--addr 2001:2::1/64 --control-dev ctl0 --control-peer 192.0.2.2 --peer 2001:2::2 --size 88
number_is "$(counted ndp)" -gt 0 "... NDP of the device's own has the tag"
is "$(counted tcp)" 0 "... and the control connection is elsewhere"

finish
