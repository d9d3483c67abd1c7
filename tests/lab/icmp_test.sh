#!/usr/bin/env bash
# A firewall that rejects instead of dropping: the ports that it refuses, and no others, carry its ICMP errors in the result.
# Judges light loads.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=lab.sh
. "$(dirname "$0")/lab.sh"

lab_begin "ICMP errors about probes" --lean

# Up: ten ports rejected by the firewall, five sent to a closed port of the responder. Down: two ports rejected.
"$lab" exec firewall nft -f - <<'END'
table inet refuse {
	chain before {
		type nat hook prerouting priority -110
		iifname "in0" ip daddr 198.18.1.2 udp dport 51030-51034 dnat ip to 198.18.1.2:59999
		iifname "in0" ip6 daddr 2001:2:0:2::2 udp dport 51030-51034 dnat ip6 to [2001:2:0:2::2]:59999
	}
	chain across {
		type filter hook forward priority -10
		iifname "in0" udp dport 51000-51009 reject with icmpx admin-prohibited
		iifname "out0" udp sport 51020-51021 reject with icmpx host-unreachable
	}
}
END
# The kernel limits its ICMP errors, to one a second for a peer. Without the types in the mask the limits do not apply, the
# global one neither, in this namespace alone.
unlimited()
{
	"$lab" exec "$1" sysctl -q -w net.ipv4.icmp_ratemask=0 net.ipv6.icmp.ratelimit=0
	"$lab" exec "$1" sysctl -q -w net.ipv6.icmp.ratemask= || true
}
unlimited firewall
unlimited responder
# The initiator's own firewall drops what its connection tracking calls invalid, as ufw does: errors about probes are that.
"$lab" exec initiator nft -f - <<'END'
table inet own {
	chain in {
		type filter hook input priority 0
		ct state invalid counter drop
	}
}
END
serve

# errors DIRECTION PORT_FILTER: what kinds of error a direction's ports had, each with its ports, in one line.
errors()
{
	jq -c "[.ports[] | .port as \$p | .$1.icmp[]? | {port: \$p, say: \"\(.type)/\(.code) \(.name) \(.from)\"}] | group_by(.say) |
		map(\"\(.[0].say): \(map(.port) | min)-\(map(.port) | max), \(length)\")" "$json"
}

# through VERSION ADMIN PORT HOST NEAR FAR SIZE WORD: the rejected ports of an address family; TYPE/CODE of each refusal, the firewall's
# two addresses.
through()
{
	local version=$1 admin=$2 port=$3 host=$4 near=$5 far=$6 size=$7 word=$8

	run_valid --ports 50990-51050 --rate 2kpps --duration 2s --sweeps 2 --drain 500ms --tcp 443 --udp-stun none --size "$size"
	code_is 1 "$version: ports that are rejected fail the run"
	is "$(value .dead_ports)" '{"up":["51000-51009","51030-51034"],"down":["51020-51021"]}' "... and are dead"
	is "$(errors up)" "[\"$admin admin-prohibited $near: 51000-51009, 10\",\"$port port-unreachable $responder: 51030-51034, 5\"]" \
		"exactly these ports carry the code, and the address that refused"
	is "$(errors down)" "[\"$host $far: 51020-51021, 2\"]" "... and so do those that are refused on the way down"
	is "$(value '[.ports[] | .up | select(.icmp) | (.icmp | map(.count) | add) == .sent] | unique')" '[true]' \
		"where nobody limits them, there are as many errors as probes"
	is "$(value '.icmp.up | .unverified + .forged + .missed')" 0 "each quotes a tag that verifies"
	number_is "$(value '.icmp.down.verified')" -gt 0 "... the responder's too"
	like "$(tr -s ' \n' ' ' <"$tmp/report")" "$word admin-prohibited \(type ${admin/\// code }\) from $near: ports 51000-51009 \(up, at least" \
		"the report names the hop and its ports"
	like "$(tr -s ' \n' ' ' <"$tmp/report")" "these counts are lower bounds" "... and says what the counts are"
	succeeds "the ledger closes, the schema holds" "$check" "$json" closes schema
}

through IPv4 3/13 3/3 "3/1 host-unreachable" 198.18.0.1 198.18.1.1 64 ICMP
number_is "$("$lab" exec initiator nft list table inet own | grep -o 'packets [0-9]*' | cut -d' ' -f2)" -gt 0 \
	"this host's own firewall dropped them, behind the socket that reads them"
responder=2001:2:0:2::2
through IPv6 1/1 1/4 "1/3 addr-unreachable" 2001:2:0:1::1 2001:2:0:2::1 84 ICMPv6
responder=198.18.1.2

# With the limits as they are by default, fewer come, and the sentence about lower bounds is true.
"$lab" exec firewall sysctl -q -w net.ipv4.icmp_ratemask=6168
run --ports 51000-51009,52000 --rate 2kpps --duration 1s --sweeps 1 --drain 500ms --tcp 443 --udp-stun none
number_is "$(value '.icmp.up.verified')" -lt "$(value '[.ports[:10][].up.sent] | add')" "a host that limits its errors sends fewer than it got probes"
number_is "$(value '.icmp.up.verified')" -gt 0 "... but some"

# AF_PACKET reads them as well.
stop "$serve_pid" INT
serve --dev af_packet:eth0
"$lab" exec firewall sysctl -q -w net.ipv4.icmp_ratemask=0
run --dev af_packet:eth0 --ports 50990-51050 --rate 1kpps --duration 1s --sweeps 2 --drain 500ms --tcp 443 --udp-stun none
is "$(errors up)" '["3/13 admin-prohibited 198.18.0.1: 51000-51009, 10","3/3 port-unreachable 198.18.1.2: 51030-51034, 5"]' "AF_PACKET: the same ports, up"
is "$(errors down)" '["3/1 host-unreachable 198.18.1.1: 51020-51021, 2"]' "... and down"

# Nothing is refused: nothing is said.
"$lab" exec firewall nft delete table inet refuse
run --dev af_packet:eth0 --ports 50990-51050 --rate 1kpps --duration 1s --sweeps 2 --drain 500ms --tcp 443 --udp-stun none
is "$(value '[.icmp.up.verified, .icmp.down.verified, ([.ports[] | .up, .down | select(.icmp)] | length)]')" '[0,0,0]' \
	"a path that refuses nothing has no errors"
unlike "$(cat "$tmp/report")" "ICMP" "... and none in the report"

finish
