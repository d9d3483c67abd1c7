#!/usr/bin/env bash
# The main job through a real firewall: every port's count equals nftables' own, in each direction.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=lab.sh
. "$(dirname "$0")/lab.sh"

lab_begin "everyport through the lab's firewall" --lean --dead-up 50200 --dead-down 50300 --dead 50100-50110 \
	--loss 52000-52999=1% --snat 198.18.1.100:10000-29999 --tcp-shut 7881

# Another program has TCP 443: serve leaves it alone and says so.
# The kernel keeps its own traffic on the same interfaces during the load: ping, and a TCP stream with one line each 100 ms.
start "$tmp/ping.log" "$lab" exec initiator ping -i 0.2 -q "$responder"
ping_pid=$started_pid
start "$tmp/lines.server" "$lab" exec responder python3 "$top/tests/lab/tcp_lines.py" serve 443
wait_for 5 grep -q ready "$tmp/lines.server"
start "$tmp/lines.log" "$lab" exec initiator python3 "$top/tests/lab/tcp_lines.py" talk "$responder" 443
lines_pid=$started_pid
serve
like "$(cat "$tmp/serve.log")" 'not on TCP 443: in use' "serve says which TCP port it could not have"
# Exact, also where this machine is too busy for a valid measurement: what the tester itself did not do is in the ledger.
"$lab" flush
# What has 443 speaks no TLS, and is checked for what it is.
tcp=80,443=connect,7881
run --duration 10s --rate 100kpps --tcp $tcp
like "$code" '^(1|5)$' "100 kpps in both directions for 10 s: exit 1 (fail), or 5 where the machine was too busy"
succeeds "10,001 ports, every ledger closes, the schema holds" "$check" "$json" ports=10001 closes schema
succeeds "each of the 10,001 ports equals nftables' counter, up and down" "$top/scripts/lab/compare" "$csv" --json "$json"
for rate in 100kpps 50kpps 25kpps; do
	[[ $code == 5 ]] || break
	echo "# it was invalid, so the verdict is looked at with $rate: $(value '.reasons[0]')"
	run_valid --duration 10s --rate $rate --tcp $tcp
done
stop "$ping_pid" INT
stop "$lines_pid" TERM

code_is 1 "a firewall with faults: exit 1"
is "$(value .verdict)" "$([[ $code == 5 ]] && echo '"invalid"' || echo '"fail"')" "... and the verdict is what the exit code says"
is "$(value .dead_ports.up)" '["50100-50110","50200"]' "a port dropped up only is named up only"
is "$(value .dead_ports.down)" '["50300"]' "a port dropped down only is named down only"
number_is "$(value '[.ports[2000:3000][].up.lost] | add')" -gt 100 "the lossy ports lost packets up"
number_is "$(value '[.ports[2000:3000][].down.lost] | add')" -gt 100 "... and down"
number_is "$(value '[.ports[3000:][].up.lost] | add')" -lt 100 "the others did not"
number_is "$(value '.totals.down.received')" -gt 200000 "the down stream came through the source NAT"
like "$(value '[.tcp[] | select(.port == 7881).status] | unique')" '^\["filtered"\]$' "TCP 7881 is filtered"
is "$(value '[.tcp[] | select(.port != 7881).status] | unique')" '["open"]' "TCP 80 and 443 are open"
is "$(value '[.tcp[].phase] | unique')" '["after","before","during"]' "... before, during and after the load"
like "$(cat "$tmp/report")" 'TCP 7881' "the report names TCP 7881"
is "$(grep -o '[0-9.]*% packet loss' "$tmp/ping.log")" "0% packet loss" "ping goes on during the load, without loss"
like "$(tail -1 "$tmp/lines.log")" '^[0-9]+ lines, 0 late' "a TCP stream on the same interface goes on, no line late"
number_is "$(value '.latency.rtt.count')" -gt 29000 "round trips of the sweep were taken"
is "$(value '[.trials[].pacing | .up.burst_pkts, .down.burst_pkts]')" '[1,null,1,1]' "the result says how each stream left, the far side's too"
is "$(value '[.trials[1] | .receive_gap_ns[], .pacing[].departures.count] | map(. > 0) | unique')" '[true]' \
	"... and for how long a receiver was away, on either side"
is "$(value '.host | has("clock_error_ppm") and has("peer_clock_drift_ppm")')" true "... and how good both clocks are"
wait_for 5 clean_interface initiator || true
succeeds "the initiator's interface is clean" clean_interface initiator

stop "$serve_pid" INT
is "$stopped_code" 6 "serve ends on Ctrl-C"
succeeds "the responder's interface is clean" clean_interface responder

# Without faults, both other load directions, IPv6, larger frames, several sources.
"$lab" up --lean
serve --sources 4
for options in "--direction up --size 200,1256" "--direction down" "--direction echo --sources 4"; do
	# shellcheck disable=SC2086 # options are words
	run_valid --duration 3s --rate 20kpps --sweeps 2 --drain 500ms --tcp 443 $options
	code_is 0 "$options: passes"
	succeeds "... every port is clean where it was used, and the ledger closes" "$check" "$json" closes
	succeeds "... each port equals nftables' counter" "$top/scripts/lab/compare" "$csv" --json "$json"
done
responder=2001:2:0:2::2
run_valid --duration 3s --rate 20kpps --sweeps 2 --drain 500ms --tcp 443 --size 84
code_is 0 "IPv6 passes"
succeeds "... and is clean" "$check" "$json" clean closes
run --size 64 --tcp 443
like "$code $(cat "$tmp/run.err")" '^2 .*84 B' "IPv6 with 64 B frames is refused with the smallest size"

finish
