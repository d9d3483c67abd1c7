#!/usr/bin/env bash
# Held connections that stall and break during a run, connections that are forgotten while they are idle, and the fallback check of a
# server behind the device under test of loop.
# Judges light loads.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=lab.sh
. "$(dirname "$0")/lab.sh"

loop_ns=epfb$$
cleanup()
{
	((EUID == 0)) || return 0
	ip netns del "$loop_ns-a" 2>/dev/null || true
	ip netns del "$loop_ns-b" 2>/dev/null || true
	ip netns del "$loop_ns-c" 2>/dev/null || true
	"$lab" down
}
lab_begin "held and idle connections" --lean --tcp 80,443,7881,7890,8080,8443,9000-9003

# held PORT [FILTER]: of the row of a held connection.
held()
{
	jq -r ".tcp[] | select(.port == $1 and .check == \"held\") | ${2:-.status}" "$json"
}

# ---- stalled and broken --------------------------------------------------------------------------------------------------------

"$lab" exec firewall nft -f - <<'END'
add table inet watch
add chain inet watch f { type filter hook forward priority 20; policy accept; }
add rule inet watch f udp dport 50000-50399 counter
END
# load_goes_on: more than the 400 probes of the sweep went through the firewall.
load_goes_on()
{
	(($("$lab" exec firewall nft list chain inet watch f | sed -n 's/.* packets \([0-9]*\) .*/\1/p') > 800))
}

serve --tcp 80,443,7881,7890=ice-tcp,8080=http,8443=tls

# A firewall that forgets connections after 12 s, and takes no packet of one that it does not know for a new one: at one port it says so. The
# ladder of idle ages stands beside the run; it has ports for itself, and sends nothing while it waits.
"$lab" exec firewall sysctl -qw net.netfilter.nf_conntrack_tcp_timeout_established=12 net.netfilter.nf_conntrack_tcp_loose=0
"$lab" exec firewall nft -f - <<'END'
add table inet strict
add chain inet strict f { type filter hook forward priority -10; policy accept; }
add rule inet strict f tcp dport 8080 ct state invalid counter reject with tcp reset
add rule inet strict f ct state invalid counter drop
END
idle_code=0
start "$tmp/idle.log" "$lab" exec initiator "$EP_BIN" tcp "$responder" --tcp 7890=ice-tcp,8080=http,8443=tls --udp-stun none --idle 15s \
	--tcp-timeout 1500ms --json "$tmp/idle.json"
idle_pid=$started_pid

# Services that answer nothing are known by their TCP: 9000 and 9001 are dropped below, 9002 and 9003 are not.
start "$tmp/ends.log" "$lab" exec responder python3 "$top/tests/lab/tcp_ends.py" silent=9000 silent=9001 silent=9002 silent=9003
wait_for 10 grep -q ready "$tmp/ends.log"
start_run --ports 50000-50399 --sweep-rate 1kpps --sweeps 1 --rate 1kpps --duration 8s --drain 500ms --udp-stun none --tcp-timeout 1s \
	--tcp 80,443,7881,9000=ice-tcp,9001=connect,9002=ice-tcp,9003=connect
wait_for 60 load_goes_on || echo "# the load never came"
# A connection is silent since its last answer, which has to be one of the load: there is one a second.
sleep 1.5
"$lab" exec firewall nft -f - <<'END'
add table inet hole
add chain inet hole f { type filter hook forward priority -400; policy accept; }
add rule inet hole f tcp dport { 443, 9000, 9001 } counter drop
add rule inet hole f tcp sport { 443, 9000, 9001 } counter drop
add rule inet hole f tcp dport 80 counter reject with tcp reset
END
sleep 4
"$lab" exec firewall nft delete table inet hole
wait_for 60 bash -c "! kill -0 $run_pid"
stop "$run_pid"
code=$stopped_code
fallback_code_is 1 "connections that do not survive the load: exit 1"
is "$(held 443) $(held 80) $(held 7881)" "stalled broken open" "dropped: stalled; reset: broken; left alone: open"
is "$(held 9000) $(held 9001) $(held 9002) $(held 9003)" "stalled stalled open open" "... so it is where the service answers nothing, asked or kept alive"
number_is "$(held 443 '.held.stalls')" -ge 1 "... it is said how often it stalled"
number_is "$(held 443 '.held.answered')" -gt "$(held 80 '.held.answered')" "... and it came back, as the broken one did not"
number_is "$(held 443 '.held.longest_silence_s | floor')" -ge 3 "... and was silent for as long as packets were dropped"
for port in 443 80; do
	number_is "$(held $port '.held.load_s | floor')" -ge 0 "... it is said when, counted from the beginning of the load: TCP $port"
	number_is "$(held $port '.held.load_s | floor')" -lt 8 "... and before its end"
done
is "$(held 7881 '.held.event_s')" null "nothing happened to the third"
number_is "$(held 7881 '.held.answered')" -ge 10 "... which answered a message each second"
is "$(jq -r '[.tcp[] | select(.port == 443 and .phase == "during" and .check == "connect") | .status] | first' "$json")" filtered \
	"new connections to the dropped port are filtered meanwhile"
like "$(value .reasons)" 'TCP 443 \(held\) is stalled during the load' "the reasons say which connection, and when"
succeeds "... as the schema says" "$check" "$json" schema

# ---- idle ------------------------------------------------------------------------------------------------------------------------

wait "$idle_pid" || idle_code=$?
is "$idle_code" 0 "the idle ladder is a measurement: exit 0"
# ages PORT: what became of each age: age, alive, lost, reset, status.
ages()
{
	jq -c "[.tcp[] | select(.port == $1 and .check == \"idle\") | [.idle.age_s, .idle.alive, .idle.lost, .idle.reset, .status]]" "$tmp/idle.json"
}
for port in 8443 7890; do
	is "$(ages $port)" '[[5,4,0,0,"open"],[10,4,0,0,"open"],[15,0,4,0,"stalled"]]' \
		"TCP $port: connections live for 10 s of silence and not for 15 s, as the firewall's 12 s say"
done
is "$(ages 8080)" '[[5,4,0,0,"open"],[10,4,0,0,"open"],[15,0,0,4,"reset"]]' "TCP 8080: and where the firewall rejects, it is said"
like "$(jq '.tcp[] | select(.port == 8080 and .idle.age_s == 15) | .detail' "$tmp/idle.json")" '4 reset when they spoke again' "... and when"
stop "$serve_pid" INT

# ---- loop ------------------------------------------------------------------------------------------------------------------------

# Both devices in one namespace; the bridge of another is the device under test; a server in a third.
for n in a b c; do
	ip netns add "$loop_ns-$n"
	ip -n "$loop_ns-$n" link set lo up
done
ip -n "$loop_ns-b" link add br0 type bridge
ip -n "$loop_ns-b" link set br0 up
# port NAME NAMESPACE ADDRESS: a device that leads to the bridge.
port()
{
	ip -n "$loop_ns-b" link add "$1" type veth peer name "$1" netns "$loop_ns-$2"
	ip -n "$loop_ns-b" link set "$1" master br0 up
	ip -n "$loop_ns-$2" addr add "$3" dev "$1"
	ip -n "$loop_ns-$2" link set "$1" up
}
# Each address is that of its own device, so that an answer comes back on the one that asked.
ip netns exec "$loop_ns-a" sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2 net.ipv4.conf.all.rp_filter=0 \
	net.ipv4.conf.default.rp_filter=0
port l0 a 198.18.7.1/24
port l1 a 198.18.7.2/24
port srv c 198.18.7.3/24
start "$tmp/lines.log" ip netns exec "$loop_ns-c" python3 "$top/tests/lab/tcp_lines.py" serve 9000
wait_for 10 grep -q ready "$tmp/lines.log"
# loop OPTION...: the exit code is in $code.
loop()
{
	code=0
	ip netns exec "$loop_ns-a" "$EP_BIN" loop --dev af_packet:l0 --dev af_packet:l1 --ports 50000-50099 --sweep-rate 1kpps --sweeps 1 \
		--rate 1kpps --duration 2s --drain 500ms --json "$json" "$@" >"$tmp/report" 2>&1 || code=$?
}
# By a name whose first address is dead and whose second is this host itself.
printf '%s many.example\n' 198.18.7.9 198.18.7.1 198.18.7.3 >"$tmp/hosts"
cat >"$tmp/named" <<END
#!/bin/sh
exec unshare -m sh -c 'mount --bind "\$0" /etc/hosts && exec "\$@"' "$tmp/hosts" "$EP_BIN" "\$@"
END
chmod +x "$tmp/named"
ip netns exec "$loop_ns-b" nft -f - <<'END'
add table bridge watch
add chain bridge watch f { type filter hook forward priority -10; }
add rule bridge watch f iif l0 tcp dport 9000 tcp flags & (syn | ack) == syn counter
END
EP_BIN=$tmp/named loop --peer many.example --tcp 9000=connect --udp-stun none
fallback_code_is 0 "loop checks a server behind the device under test"
is "$(jq -c '[.tcp[] | [.phase, .check, .status]]' "$json")" \
	'[["before","connect","open"],["during","connect","open"],["after","connect","open"],["during","held","open"]]' \
	"... before, during and after, and holds a connection"
like "$(value '[.host.peer_address, .warnings[]]')" '^."198.18.7.3".*many.example has 3 addresses, and this is about 198.18.7.3, the first that connects' \
	"... at the first address of its name that connects, and says so"
is "$(jq -c '[.tcp[] | .connects.attempts // empty]' "$json")" '[20,20,20]' "... connecting ten times a second, the whole two seconds of the load"
# Beside these a round's connect before and after, the held connection, and the one that chose the address.
number_is "$(ip netns exec "$loop_ns-b" nft list chain bridge watch f | sed -n 's/.* packets \([0-9]*\) .*/\1/p')" -ge 64 "... each over the device under test"
EP_BIN=$tmp/named loop --peer nowhere.invalid --tcp 9000=connect --udp-stun none
is "$code" 4 "a name that nobody has: exit 4"
like "$(cat "$tmp/report")" '--peer nowhere.invalid: cannot be resolved' "... with a sentence"
ip netns exec "$loop_ns-b" nft -f - <<'END'
add table bridge hole
add chain bridge hole f { type filter hook forward priority 0; policy accept; }
add rule bridge hole f iif l0 tcp dport 9000 counter drop
END
loop --peer 198.18.7.3 --tcp 9000=connect --udp-stun none --tcp-timeout 500ms --duration 500ms
fallback_code_is 1 "a device under test that drops the first device's TCP is seen: the check goes its way"
is "$(jq -c '[.tcp[].status] | unique' "$json")" '["filtered"]' "... it is filtered"
code=0
loop --peer 198.18.7.1 --tcp 9000=connect
is "$code" 2 "a server that is this host itself is refused"
like "$(cat "$tmp/report")" '198.18.7.1: is this host itself' "... with a sentence"

finish
