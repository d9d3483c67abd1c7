#!/usr/bin/env bash
# Counters of kernel interfaces in the result: real ones that a veth pair counts to the packet, and EC2's through a double at ethtool's border, of
# which the responder's come over the control connection.
# Judges light loads.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=lab.sh
. "$(dirname "$0")/lab.sh"

lab_begin "counters of the NICs" --lean
double=$top/build/tests/eal/nic_double.so
ns=epnic$$
cleanup()
{
	ip netns del "$ns" 2>/dev/null || true
	"$lab" down
}

# Two veth pairs joined by a bridge. The bridge's end of the first takes frames of at most 500 B (and a VLAN tag), so what is larger is dropped
# there, exactly, and the veth that sends them counts it.
ip netns add "$ns"
ip netns exec "$ns" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
ip -n "$ns" link add name br0 type bridge
for i in a b; do
	ip -n "$ns" link add name "v$i" type veth peer name "p$i"
	ip -n "$ns" link set "p$i" master br0
	ip -n "$ns" link set "v$i" up
	ip -n "$ns" link set "p$i" up
done
ip -n "$ns" link set br0 up
ip -n "$ns" addr add 198.18.6.1/24 dev va
ip -n "$ns" addr add 198.18.6.2/24 dev vb
ip -n "$ns" link set pa mtu 500
code=0
ip netns exec "$ns" "$EP_BIN" loop --dev af_packet:va --dev af_packet:vb --ports 50000-50199 --duration 1s --drain 500ms --rate 2kpps \
	--direction up --size 64,1000 --json "$json" >"$tmp/report" 2>&1 || code=$?
like "$code" '^(1|5)$' "large frames that a link does not take are a loss (or the machine was too busy for a verdict)"
lost=$(value '.trials[1].ledger.up.lost_max')
number_is "$lost" -gt 50 "... of every second probe"
is "$(value '.trials[1].nic.initiator | .driver, (.counters[] | select(.source == "link" and .name == "tx_dropped") | .count, .meaning)')" \
	"\"veth\"
$lost
\"information\"" "... and the sender's veth counted exactly these"
like "$(tr -s ' \n' ' ' <"$tmp/report")" "tx_dropped \+[0-9,]+ \(the other end of this veth pair did not take them" "... which the text says"
is "$(value '.ledger.up.nic_dropped')" 0 "... and does not take for the tester's own"

# As on EC2: both sides' ethtool is the double, and the firewall drops 2 % each way.
"$lab" down
"$lab" up --lean --loss 50000-50999=2%
export NIC_DOUBLE LD_PRELOAD
NIC_DOUBLE="bw_in_allowance_exceeded=7,pps_allowance_exceeded=0" LD_PRELOAD=$double
serve --ports 50000-50999
NIC_DOUBLE="bw_in_allowance_exceeded=0,pps_allowance_exceeded=0"
run --ports 50000-50999 --duration 2s --drain 500ms --rate 5kpps --tcp 7881 --udp-stun none
like "$code" '^(1|5)$' "a path that loses 2 %, and an allowance that took a few: fail (or the machine was too busy for a verdict)"
is "$(value '[.trials[].nic.responder | .driver, (.counters[] | select(.source == "ethtool") | .name, .count)]')" \
	'["ena","bw_in_allowance_exceeded",7,"ena","bw_in_allowance_exceeded",7]' "the responder's counters came over the control connection"
is "$(value '[.trials[].nic.initiator.counters[] | select(.source == "ethtool")]')" '[]' "... and the initiator's are its own"
is "$(value '[.ledger | .up, .down | .allowance_exceeded]')" '[14,0]' "inbound at the responder counts up"
like "$(value .warnings)" "up: EC2's inbound bandwidth allowance, not your firewall: bw_in_allowance_exceeded of the far side's NIC grew by 7" \
	"... with the sentence that it deserves"
NIC_DOUBLE="bw_in_allowance_exceeded=0,pps_allowance_exceeded=100000"
run --ports 50000-50999 --duration 2s --drain 500ms --rate 5kpps --tcp 7881 --udp-stun none
is "$code" 5 "an allowance of the initiator's that may have taken all of it: invalid"
like "$(value '.reasons + .warnings')" "EC2's PPS allowance, not your firewall: pps_allowance_exceeded of our NIC grew by 100,000" "... and says whose it is"
unset NIC_DOUBLE LD_PRELOAD
stop "$serve_pid" INT

finish
