#!/usr/bin/env bash
# A router between run and serve gets other MAC addresses during the load, first towards the one, then towards the other, without a word. Both follow:
# run on a device that no kernel owns, by its exception interface, and serve on a kernel interface.
# Judges light loads.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

need_root_or_skip "a router whose MAC addresses change"

check=$top/tests/check_result.py
prefix=${EP_LAB_PREFIX:-eptest$$}-gw
near=$prefix-near
router=$prefix-router
far=$prefix-far
key=$tmp/key
json=$tmp/result.json
cleanup()
{
	((EUID == 0)) || return 0
	for ns in "$near" "$router" "$far"; do
		ip netns del "$ns" 2>/dev/null || true
	done
}
cleanup
for ns in "$near" "$router" "$far"; do
	ip netns add "$ns"
	ip -n "$ns" link set lo up
done
(umask 077 && "$EP_BIN" keygen >"$key")

in_router()
{
	ip netns exec "$router" "$@"
}

in_router sysctl -q -w net.ipv4.ip_forward=1 net.ipv4.conf.default.arp_notify=0
in_router sysctl -q -w net.ipv4.icmp_ratemask=0
in_router nft -f - <<'END'
table inet router {
	chain across {
		type filter hook forward priority 0
		iifname "near0" udp dport 50098-50099 reject with icmpx admin-prohibited
	}
}
END
ip -n "$router" link add far0 type veth peer name eth0 netns "$far"
ip -n "$router" addr add 198.18.1.1/24 dev far0
ip -n "$router" link set far0 up
ip -n "$far" addr add 198.18.1.2/24 dev eth0
ip -n "$far" link set eth0 up
ip -n "$far" route add default via 198.18.1.1

start "$tmp/serve.log" ip netns exec "$far" "$EP_BIN" serve --dev eth0 --key-file "$key" --tcp none --udp-stun none --control-port 7881
wait_for 20 grep -q "ready on" "$tmp/serve.log" || sed 's/^/# serve: /' "$tmp/serve.log"

# changes: a run during whose load the router gets another MAC towards run, and three seconds later towards serve. The exit code is in $code.
changes()
{
	start "$tmp/run.log" ip netns exec "$near" "$EP_BIN" run --dev net_tap0,iface=near0 --addr 198.18.0.2/24 --gateway 198.18.0.1 --peer 198.18.1.2 \
		--key-file "$key" --json "$json" --tcp none --udp-stun none --control-port 7881 --ports 50000-50099 --rate 1kpps --sweeps 1 --drain 500ms --duration 9s
	run_pid=$started_pid
	# Behind it the tap is done: DPDK looks for it by its name until then.
	wait_for 20 ip -n "$near" link show everyport0 || true
	# The tap's own end becomes the router's.
	ip -n "$near" link set near0 netns "$router"
	ip -n "$router" addr add 198.18.0.1/24 dev near0
	ip -n "$router" link set near0 up
	wait_for 20 grep -q "session with" "$tmp/run.log" || true
	sleep 2
	# A router that has something to send asks for us, and its question says its new MAC: this one does not.
	in_router nft -f - <<'END'
table arp silent {
	chain out {
		type filter hook output priority 0
		arp operation request drop
	}
}
END
	sleep 1
	in_router ip link set near0 address "02:00:00:00:77:0$1"
	sleep 3
	in_router ip link set far0 address "02:00:00:00:78:0$1"
	code=0
	wait "$run_pid" || code=$?
	in_router nft delete table arp silent
}

# The control connection ends after a second of silence, which a machine that is too busy may add to the router's: then once more.
for try in 1 2 3; do
	changes "$try"
	[[ $code == 4 ]] || break
	echo "# try $try: $(tail -1 "$tmp/run.log")"
done

# Two of the hundred ports are rejected, which is 2 % of up; a quarter of a second without an answer is more than that in its second.
# dated DIRECTION RATIO: seconds of the load in which less than this ratio arrived.
dated()
{
	jq "[.intervals[] | select(.trial == 1 and .$1.sent > 0 and .$1.received < .$1.sent * $2)] | length" "$json"
}

# brief DIRECTION: whether less was lost than is sent in 3 s, of 9.
brief()
{
	jq ".trials[1].ledger.$1 | .lost_max < .accepted / 3" "$json"
}

like "$code" '^[15]$' "changed gateways do not end the run"
succeeds "... its ledgers close" "$check" "$json" closes schema
is "$(jq '[.trials[].kind] == ["sweep", "load"] and (.intervals | length) > 7' "$json")" true "... and it runs to its end"
number_is "$(dated up 0.955)" -ge 1 "run: the loss is dated in intervals[]"
is "$(brief up)" true "... and the new MAC is followed within 3 s"
number_is "$(dated down 0.98)" -ge 1 "serve: the loss is dated in intervals[]"
is "$(brief down)" true "... and the new MAC is followed within 3 s"
is "$(jq -c '[.ports[] | select(.up.icmp) | [.port, .up.icmp[0].from, .up.icmp[0].name]]' "$json")" \
	'[[50098,"198.18.0.1","admin-prohibited"],[50099,"198.18.0.1","admin-prohibited"]]' "ICMP errors come by the exception interface, and name ports and router"
((tap_failed == 0)) || sed 's/^/# run: /' "$tmp/run.log"

finish
