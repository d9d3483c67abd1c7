#!/usr/bin/env bash
# Counters of a NIC in the result, end to end: a double in the place of DPDK's extended statistics is an EC2 instance whose allowance is exceeded.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

check=$top/tests/check_result.py
json=$tmp/result.json
double=$top/build/tests/eal/nic_double.so

# loop COUNTERS OPTION...: with a NIC that has these counters; again where the machine was too busy to send in time, which decides before any
# counter of a NIC does. Then $busy is 1, and what the counters say is among the warnings.
loop()
{
	local counters=$1 try

	shift
	for try in 1 2 3; do
		code=0
		NIC_DOUBLE=$counters LD_PRELOAD=$double "$EP_BIN" loop --ports 50000-50499 --duration 1s --drain 300ms --rate 20kpps --json "$json" "$@" \
			>"$tmp/report" 2>&1 || code=$?
		busy=0
		! grep -q 'not_sent)' "$tmp/report" || busy=1
		((busy)) || return 0
		echo "# try $try: too busy to send in time"
	done
}

# verdict WANT TEXT: the exit code, or 5 where the machine was too busy.
verdict()
{
	if ((busy)); then
		is "$code" 5 "$2 (the machine was too busy for a verdict: exit 5)"
	else
		is "$code" "$1" "$2"
	fi
}

value()
{
	jq -c "$1" "$json"
}

loop "pps_allowance_exceeded=0,rx_packets=70" --impair drop=1%
verdict 1 "a path that loses 1 %: exit 1"
is "$(value '[.reasons[] | select(contains("allowance"))]')" '[]' "... and an allowance that does not grow is not named"
is "$(value '.trials[1].nic.initiator | .driver, (.counters[] | [.name, .count, .meaning])')" \
	'"net_ena"
["rx_packets",70,"traffic"]' "... the counters that grew are in the result"
is "$(value '.ledger.up | [.nic_dropped, .allowance_exceeded]')" '[0,0]' "... and blame nobody"

loop "pps_allowance_exceeded=100000,rx_packets=70" --impair drop=1%
verdict 5 "the same loss while EC2's PPS allowance is exceeded: exit 5"
like "$(value '.reasons + .warnings')" "up: EC2's PPS allowance, not your firewall: pps_allowance_exceeded of our NIC grew by 100,000" \
	"... and the reason says whose it is"
is "$(value '.ledger.up.allowance_exceeded')" 400000 "... the ledger has all readings of both ends, sweep and load"
is "$(value '.trials[1].nic.responder.counters[0] | [.source, .name, .count, .at_least, .meaning, .sentence]')" \
	'["dpdk","pps_allowance_exceeded",100000,false,"allowance","EC2'"'"'s PPS allowance, not your firewall"]' "... the trial has the counter"
# A loss that is just what the allowance explains may still single out a port by chance, once in twenty runs and direction.
number_is "$(value '[.lossy_ports[][]] | length')" -le 1 "... no port is called lossy for it"
succeeds "... the account closes, as the schema says" "$check" "$json" closes schema
succeeds "... and the text says so, too" grep -q "pps_allowance_exceeded +100,000" "$tmp/report"

loop "pps_allowance_exceeded=100" --impair drop=20%
verdict 1 "a loss that an allowance explains only in part: exit 1"
like "$(value .warnings)" "EC2's PPS allowance, not your firewall: .*; up to [0-9,]+ of the [0-9,]+ lost probes are its doing" \
	"... and its part is named"

loop "pps_allowance_exceeded=100"
verdict 0 "an allowance that was exceeded without a loss: exit 0"
like "$(value '.warnings')" "EC2's PPS allowance, not your firewall: .*: it delayed or dropped so many packets" "... with a warning"

loop "conntrack_allowance_exceeded=100000" --impair block=50100-50110
verdict 1 "dead ports are no allowance's doing: exit 1"
is "$(value .dead_ports.up)" '["50100-50110"]' "... they are named"

NIC_DOUBLE_DRIVER=mlx5_pci loop "rx_out_of_buffer=100000" --impair drop=1%
verdict 5 "a receiver without buffers by its NIC's own counter: exit 5"
like "$(value .reasons)" "our NIC dropped 100,000 packets .rx_out_of_buffer: no receive buffer was free when they came" \
	"... and the reason names the counter"

finish
