#!/usr/bin/env bash
# run against serve: the fallback ports are open before, during and after the load; a firewall that refuses new TCP when UDP has filled
# its table is seen during the load and not before; thousands of connections are held, and the control connection is not disturbed.
# Judges light loads.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=servers.sh
. "$(dirname "$0")/servers.sh"

lab_begin "TCP fallback during a run" --lean

# rows PHASE FILTER...: of the rows of a phase.
rows()
{
	jq -c "[.tcp[] | select(.phase == \"$1\")] | $2" "$json"
}

# ---- all of it open --------------------------------------------------------------------------------------------------------

serve
like "$(tail -1 "$tmp/serve.log")" 'listening on TCP 80 443 7881 and UDP 443 3478' "serve says what it answers on"
capture "$tmp/all.pcap" firewall in0 "tcp or udp port 443 or udp port 3478"
code=0
"$lab" exec initiator "$EP_BIN" tcp "$responder" --tcp 80,443,443=turn-tls,3478=turn,7881 --udp-stun 443,3478 --tcp-timeout 1s --json "$json" \
	>"$tmp/report" 2>&1 || code=$?
capture_end
is "$code $(value '[.tcp[] | select(.port != 3478 or .transport == "udp") | .status] | unique')" '1 ["open"]' \
	"serve answers each check but that of a port it does not listen on"
is "$(complaints "$tmp/all.pcap")" 0 "tshark decodes questions and answers without a complaint"
number_is "$(tshark -r "$tmp/all.pcap" -Y stun 2>/dev/null | wc -l)" -ge 10 "... a Binding by TCP, and a Binding and an Allocate on two UDP ports, each answered"

capture "$tmp/udp.pcap" firewall in0 "udp port 443"
run --ports 50000-50499 --rate 2kpps --duration 3s --drain 500ms --sweeps 1
capture_end
fallback_code_is 0 "run against serve passes with the checks of the default preset"
succeeds "... as the schema says" "$check" "$json" schema closes
is "$(value '[.tcp[].status] | unique')" '["open"]' "every row is open"
is "$(value '[.tcp[] | select(.phase != "during" and .check != "connect" and .check != "tls" and .answer_ms == null)]')" '[]' \
	"... with the time of its answer, however soon it came"
for phase in before after; do
	is "$(rows $phase '[.[] | "\(.transport) \(.port) \(.check)"] | sort')" \
		'["tcp 443 connect","tcp 443 http","tcp 443 tls","tcp 7881 connect","tcp 7881 ice-tcp","tcp 80 connect","tcp 80 http","udp 443 stun","udp 443 turn"]' \
		"$phase the load: every level of every port"
done
is "$(rows during '[.[] | select(.check == "connect") | .connects.failures] | add')" 0 "during the load no connect fails"
is "$(rows during '[.[] | select(.check == "connect" or .check == "stun") | .connects.attempts]')" '[30,30,30,30]' "... of ten a second, for each port"
is "$(rows during '[.[] | select(.check == "held") | "\(.port) \(.status) \(.held.stalls)"] | sort')" '["443 open 0","7881 open 0","80 open 0"]' \
	"a connection of each port is held through the load"
number_is "$(rows during '[.[] | select(.check == "held") | .held.answered] | min')" -ge 3 "... and answers a message each second"
is "$(value '[.tcp[] | select(.check == "tls") | .tls | "\(.alpn) \(.verified)"] | unique')" '["http/1.1 false"]' \
	"the certificate of serve is its own"
# An answer is never much longer than its request: the payloads of UDP, which are STUN alone here.
tshark -r "$tmp/udp.pcap" -Y 'udp && stun' -T fields -e stun.id -e udp.length -e stun.type.class 2>/dev/null |
	awk '$3 ~ /0x0*$/ {asked[$1] = $2; next} {n++; if ($2 > asked[$1] + 64) bad++} END {print n + 0, bad + 0}' >"$tmp/amplified"
like "$(cat "$tmp/amplified")" '^[1-9][0-9]* 0$' "no answer by UDP is more than 64 bytes longer than its request"

# ---- beside the data cores ---------------------------------------------------------------------------------------------------

# cpus_of THREAD: where a thread of the initiator may run.
cpus_of()
{
	local task

	for task in /proc/"$(pid_in initiator)"/task/*; do
		[[ $(cat "$task/comm") != "$1" ]] || awk '$1 == "Cpus_allowed_list:" {print $2}' "$task/status"
	done
}

if (($(nproc) > 1)); then
	core=$(taskset -cp $$ | sed 's/.*[-, ]//')
	start_run --ports 50000-50099 --rate 1kpps --duration 20s --sweeps 1 --cores "$core"
	wait_for 30 grep -q session "$tmp/run.log" || echo "# no session began"
	is "$(cpus_of rte-worker-1)" "$core" "the data path has the core it was given"
	unlike ",$(cpus_of everyport)," "[,-]$core," "... and the fallback check, which the main thread does, runs on the others"
	stop "$run_pid" INT
fi

# ---- thousands of connections ----------------------------------------------------------------------------------------------

# memory: what everyport has of its own in the responder's namespace, where both ends are [KiB].
memory()
{
	local pid

	for pid in $(pid_in responder); do
		awk '$1 == "RssAnon:" {print $2}' "/proc/$pid/status"
	done | awk '{n += $1} END {print n + 0}'
}

# held COUNT: whether so many connections to 7881 are there.
held()
{
	(($("$lab" exec responder ss -Htn state established "dport = :7881" | wc -l) >= $1))
}

hard_limit=$(ulimit -Hn)
if [[ $hard_limit == unlimited ]] || ((hard_limit >= 5300)); then
	start "$tmp/tcp.log" "$lab" exec responder "$EP_BIN" tcp 127.0.0.1 --tcp 7881 --udp-stun none --port 7881 --connections 5000 \
		--connect-rate 1000/s --hold 5s --json "$json"
	wait_for 20 held 1 || echo "# no connection came"
	few_kib=$(memory) # some hundreds may be there by now
	wait_for 60 held 5000 || echo "# the connections never came"
	all_kib=$(memory)
	succeeds "5,000 connections are there while the memory is looked at" held 5000
	stopped_code=0
	wait "$started_pid" || stopped_code=$?
	is "$stopped_code $(value '.tcp[] | select(.check == "capacity") | .capacity | [.established, .answered, .causes]')" "0 [5000,5000,{}]" \
		"5,000 connections at 1,000 a second over loopback: none fails, all are held, and each answers at the end"
	number_is $((all_kib - few_kib)) -lt $((4000 * 4)) "... and asker and server together have less than 4 KiB of memory for each"
	number_is "$(value '.tcp[] | select(.check == "capacity") | .capacity | .memory_bytes / .established | ceil')" -lt 4096 \
		"... as the result says of the asker"
else
	skip "5,000 connections" "this host allows $hard_limit open files"
fi

# ---- a firewall whose table is full ----------------------------------------------------------------------------------------

# A table of connections that UDP fills: from then on no new TCP connection gets in. Those that are there go on.
"$lab" exec firewall nft -f - <<'END'
add set inet everyport full { type ipv4_addr; flags dynamic; size 16; }
insert rule inet everyport to_responder ct state new meta l4proto { tcp, udp } add @full { ip saddr ct count over 150 } meta l4proto tcp counter drop
END
# Other ports than above: flows that are tracked already do not count again.
"$lab" flush
run --ports 51000-51399 --rate 2kpps --duration 3s --drain 500ms --sweeps 1 --tcp-timeout 1500ms
fallback_code_is 1 "a firewall that refuses new TCP while its table is full of UDP: exit 1"
is "$(rows before '[.[].status] | unique')" '["open"]' "... all is open before the load"
is "$(rows during '[.[] | select(.check == "connect" and .transport == "tcp") | .status] | unique')" '["filtered"]' \
	"... and TCP is filtered during the load"
number_is "$(rows during '[.[] | select(.check == "connect" and .transport == "tcp") | .connects.failures] | min')" -ge 10 "... in numbers"
is "$(rows during '[.[] | select(.check == "held") | .status] | unique')" '["open"]' "... the connections that were there are not touched"
is "$(value '.dead_ports.up')" '[]' "... and no UDP port is dead"
like "$(value .reasons)" '80.*during|during.*80' "... the reasons name port and phase"

stop "$serve_pid" INT
succeeds "the responder's interface is clean" clean_interface responder

# ---- ports that others have ------------------------------------------------------------------------------------------------

start "$tmp/lines.log" "$lab" exec responder python3 "$top/tests/lab/tcp_lines.py" serve 80
wait_for 20 grep -q ready "$tmp/lines.log" || sed "s/^/# lines: /" "$tmp/lines.log"
start "$tmp/udp.log" "$lab" exec responder python3 "$top/tests/lab/udp.py" answer --port 443
wait_for 20 grep -q ready "$tmp/udp.log" || sed "s/^/# udp: /" "$tmp/udp.log"
serve
is "$(grep -c 'left alone' "$tmp/serve.log")" 2 "serve leaves alone what others have, one sentence a port"
like "$(cat "$tmp/serve.log")" 'not on TCP 80: in use' "... TCP 80"
like "$(cat "$tmp/serve.log")" 'not on UDP 443: in use' "... UDP 443"
like "$(tail -1 "$tmp/serve.log")" 'TCP 443 7881 and UDP 3478$' "... and answers on the rest"
stop "$serve_pid" INT

finish
