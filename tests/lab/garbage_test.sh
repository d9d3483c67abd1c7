#!/usr/bin/env bash
# Ten million frames that are not ours, during a run: they change bad_tag and foreign, get no answer, and crash nothing.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=lab.sh
. "$(dirname "$0")/lab.sh"

count=${EP_GARBAGE_COUNT:-10000000}
rate=180000
garbage=${EP_GARBAGE_BIN:-$top/build/tests/lab/garbage}

lab_begin "garbage at the responder's range" --lean
serve --ring 4096
pid=$(pid_in responder)
mac=$("$lab" exec responder cat /sys/class/net/eth0/address)
capture "$tmp/answers.pcap" firewall out0 "udp and dst host 198.18.1.77"
# From the sweep to the end of the load.
start_run --rate 2kpps --sweeps 1 --drain 5s --duration $((count / rate + 8))s --tcp 443
wait_for 20 grep -q session "$tmp/run.log"
sent=$("$lab" exec firewall "$garbage" out0 "$mac" "$responder" 50000 10001 "$count" "$rate" 1)
wait_for 120 bash -c "! kill -0 $run_pid"
stop "$run_pid"
stop "$capture_pid" INT

is "$sent" "$count" "$count frames of garbage were sent"
is "$(pid_in responder)" "$pid" "... and serve is still the same process"
bad=$(value '.ledger.up.bad_tag') foreign=$(value '.ledger.up.foreign') missed=$(value '.ledger.up.imissed')
echo "# bad_tag $bad, foreign $foreign, imissed $missed, exit code $stopped_code"
# About 7 of 8 go to the range; the others are left to the kernel by the filter. What a veth drops on a busy machine nobody counts.
number_is $((bad + foreign + missed)) -gt $((count * 4 / 10)) "they were counted"
number_is "$bad" -gt $((count * 1 / 10)) "... with the right shape as bad_tag"
succeeds "the ledger closes with them in it" "$check" "$json" closes schema
for direction in up down; do
	for key in duplicates reordered late wrong_port; do
		is "$(value ".ledger.$direction.$key")" 0 "$key $direction is untouched"
	done
done
# Garbage can fill our receive ring: then probes are missed, the ledger says so, and the run may be invalid, but never lossy.
number_is "$(value '.ledger.up.lost_max')" -le "$missed" "no probe is lost but what our own ring missed"
like "$stopped_code" '^(0|5)$' "the run passes, or is invalid where our ring was full"
is "$(packets "$tmp/answers.pcap")" 0 "not one UDP answer went to the sender of the garbage"

finish
