#!/usr/bin/env bash
# Where everyport itself falls short the verdict is "invalid", never loss; and it works on one core and by AF_PACKET.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=lab.sh
. "$(dirname "$0")/lab.sh"

lab_begin "a tester that falls short"

# A receiver that is too slow on purpose: a ring of 64, both ends on one core, as fast as the sender can.
start "$tmp/serve.log" "$lab" exec responder taskset -c 0 "$EP_BIN" serve --dev eth0 --key-file "$key" --rate max --ring 64
serve_pid=$started_pid
wait_for 20 grep -q "ready on" "$tmp/serve.log"
code=0
"$lab" exec initiator taskset -c 0 "$EP_BIN" run --peer "$responder" --dev eth0 --key-file "$key" --json "$json" --csv "$csv" \
	--tcp 443 --direction up --rate max --duration 3s --sweeps 1 --drain 500ms >"$tmp/report" 2>&1 || code=$?
is "$code $(value .verdict)" '5 "invalid"' "a receiver with a ring of 64 at the highest rate: invalid, exit 5"
like "$(value .reasons)" 'imissed' "... and the reason names the counter"
number_is "$(value .ledger.up.imissed)" -gt 0 "... which is in the ledger"
is "$(value '.lossy_ports.up')" '[]' "... no port is called lossy"
unlike "$(value .reasons)" 'is above the goal' "... and nothing is called loss above the goal"
stop "$serve_pid" INT

# One core for both ends and everything between them: slower, or invalid, but right.
start "$tmp/serve.log" "$lab" exec responder taskset -c 0 "$EP_BIN" serve --dev eth0 --key-file "$key"
serve_pid=$started_pid
wait_for 20 grep -q "ready on" "$tmp/serve.log"
"$lab" flush
code=0
"$lab" exec initiator taskset -c 0 "$EP_BIN" run --peer "$responder" --dev eth0 --key-file "$key" --json "$json" --csv "$csv" \
	--tcp 443 --rate 10kpps --duration 3s --sweeps 2 --drain 500ms >"$tmp/report" 2>&1 || code=$?
like "$code" '^(0|5)$' "run and serve on one single core end with pass or invalid"
succeeds "... the account closes" "$check" "$json" closes
succeeds "... and each port equals nftables' counter" "$top/scripts/lab/compare" "$csv" --json "$json"
stop "$serve_pid" INT

# AF_PACKET: the kernel gets a copy of everything and must not answer it.
serve --dev af_packet:eth0
capture "$tmp/icmp.pcap" firewall out0 "icmp"
icmp_out=$capture_pid
capture "$tmp/icmp-in.pcap" firewall in0 "icmp"
run_valid --dev af_packet:eth0 --rate 10kpps --duration 3s --sweeps 2 --drain 500ms --tcp 443
code_is 0 "AF_PACKET on both sides passes"
succeeds "... its account is clean" "$check" "$json" clean closes
succeeds "... each port equals nftables' counter" "$top/scripts/lab/compare" "$csv" --json "$json"
like "$(value .host.mode)" 'AF_PACKET' "... the result says so"
stop "$icmp_out" INT
stop "$capture_pid" INT
is "$(packets "$tmp/icmp.pcap") $(packets "$tmp/icmp-in.pcap")" "0 0" "... and no kernel answered a probe with ICMP"
stop "$serve_pid" INT
succeeds "the responder's interface is clean" clean_interface responder
succeeds "the initiator's interface is clean" clean_interface initiator

finish
