#!/usr/bin/env bash
# Nobody is sent a probe without a key, and sending stops when the other side is gone.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=lab.sh
. "$(dirname "$0")/lab.sh"

lab_begin "consent and limits"

(umask 077 && "$EP_BIN" keygen >"$tmp/other")
now()
{
	date +%s.%N
}

# less A B: whether A < B, with fractions.
less()
{
	awk -v a="$1" -v b="$2" 'BEGIN {exit !(a < b)}'
}

serve --rate 50kpps --ports 50000-60000

# A wrong key.
capture "$tmp/wrong.pcap" firewall in0 udp
began=$(now)
fails_with 4 "another key" "a wrong key: exit 4 with a sentence" \
	"$lab" exec initiator "$EP_BIN" run --peer "$responder" --dev eth0 --key-file "$tmp/other"
succeeds "... in under 5 s" less "$(now)" "$(awk -v b="$began" 'BEGIN {printf "%.3f", b + 5}')"
stop "$capture_pid" INT
is "$(packets "$tmp/wrong.pcap")" 0 "... and not one UDP packet left"

# Limits.
fails_with 4 "100 kpps asked, this responder allows 50 kpps" "a rate above the responder's limit is refused" \
	"$lab" exec initiator "$EP_BIN" run --peer "$responder" --dev eth0 --key-file "$key" --rate 100kpps
fails_with 4 "ports" "ports outside the responder's range are refused" \
	"$lab" exec initiator "$EP_BIN" run --peer "$responder" --dev eth0 --key-file "$key" --rate 10kpps --ports 40000-40010
fails_with 4 "answers" "a port where no everyport listens: exit 4 with a sentence" \
	"$lab" exec initiator "$EP_BIN" run --peer 198.18.1.1 --dev eth0 --key-file "$key" --tcp 443
fails_with 3 "over eth0|leads over" "a device that does not lead to the peer is refused" \
	"$lab" exec firewall "$EP_BIN" run --peer "$responder" --dev in0 --key-file "$key"

# Random bytes on the control port, many times: one line, and serve goes on.
for _ in $(seq 50); do
	"$lab" exec initiator bash -c "head -c 2000 /dev/urandom >/dev/tcp/$responder/443" 2>/dev/null || true
done
sleep 1
number_is "$(grep -c "did not authenticate" "$tmp/serve.log")" -le 2 "random bytes on the control port are logged once, rate-limited"
number_is "$(grep -c "did not authenticate" "$tmp/serve.log")" -ge 1 "... but they are logged"

# Idle: a share of a core over 3 s, from the process's own clock ticks.
ticks()
{
	awk '{print $14 + $15}' "/proc/$(pid_in responder)/stat"
}
before=$(ticks)
sleep 3
number_is $(($(ticks) - before)) -le $((3 * $(getconf CLK_TCK) / 100)) "serve without a session uses at most 1 % of a core"

# Busy: a second initiator, from the firewall's own address.
start_run --rate 5kpps --duration 4s --sweeps 1 --drain 500ms --ports 50000-50999 --tcp 443 --quiet
sleep 3
fails_with 4 "busy" "a second initiator is told that the responder is busy: exit 4" \
	"$lab" exec firewall "$EP_BIN" run --peer "$responder" --dev out0 --key-file "$key" --rate 5kpps --tcp 443
fails_with 3 "another everyport" "a second everyport on the same interface is refused: exit 3" \
	"$lab" exec initiator "$EP_BIN" run --peer "$responder" --dev eth0 --key-file "$key" --rate 5kpps --tcp 443
wait_for 40 bash -c "! kill -0 $run_pid"
stop "$run_pid"
code=$stopped_code
code_is 0 "... and the first one is undisturbed"
succeeds "... its account is clean" "$check" "$json" clean closes

# In the middle of the load: the TCP check before it takes 2 s, the sweep of one round at 5 kpps 0.2 s, its drain 0.5 s.
into_the_load()
{
	start_run --rate 20kpps --duration 20s --sweeps 1 --drain 500ms --ports 50000-50999 --tcp 443
	wait_for 10 grep -q session "$tmp/run.log"
	sleep 5
}

into_the_load
capture "$tmp/kill.pcap" firewall in0 "udp and src 198.18.0.2"
sleep 0.5
killed=$(now)
kill -9 "$(pid_in responder)"
wait_for 10 bash -c "! kill -0 $run_pid"
sleep 2
stop "$capture_pid" INT
stop "$run_pid"
is "$stopped_code" 4 "kill -9 of the responder: the initiator ends with exit 4"
number_is "$(packets "$tmp/kill.pcap")" -gt 1000 "... it was sending"
succeeds "... and stopped within 1.5 s" less "$(last_packet "$tmp/kill.pcap")" "$(awk -v k="$killed" 'BEGIN {printf "%.3f", k + 1.5}')"
is "$(value .verdict)" '"interrupted"' "... the partial result is written"
number_is "$(value '.ledger.up.accepted')" -gt 10000 "... with what was sent"
is "$(value '.ledger.up.received')" null "... and null for what only the far side knew"
succeeds "... as the schema says" "$check" "$json" schema
succeeds "the initiator's interface is clean" clean_interface initiator

# The filter that the killed responder left is removed at its next start.
is "$(clean_interface responder && echo clean || echo left)" left "kill -9 leaves the responder's filter"
serve --rate 50kpps
into_the_load
capture "$tmp/kill.pcap" firewall out0 "udp and src $responder"
sleep 0.5
killed=$(now)
kill -9 "$(pid_in initiator)"
sleep 3
stop "$capture_pid" INT
number_is "$(packets "$tmp/kill.pcap")" -gt 1000 "kill -9 of the initiator: the responder was sending"
succeeds "... and stopped within 1.5 s" less "$(last_packet "$tmp/kill.pcap")" "$(awk -v k="$killed" 'BEGIN {printf "%.3f", k + 1.5}')"

# The peer falls silent without closing anything: the firewall drops all of it.
into_the_load
capture "$tmp/silent.pcap" firewall in0 "udp and src 198.18.0.2"
sleep 0.5
silent=$(now)
"$lab" exec firewall nft 'add table inet hole; add chain inet hole f { type filter hook forward priority -400; policy drop; }'
wait_for 15 bash -c "! kill -0 $run_pid"
stop "$capture_pid" INT
stop "$run_pid"
is "$stopped_code" 4 "a peer that falls silent: exit 4"
succeeds "... sending stopped within 1.5 s" less "$(last_packet "$tmp/silent.pcap")" "$(awk -v k="$silent" 'BEGIN {printf "%.3f", k + 1.5}')"
is "$(value .verdict)" '"interrupted"' "... the partial result is written"
stop "$serve_pid"

"$lab" up --lean
serve --rate 50kpps
into_the_load
kill -INT "$(pid_in initiator)"
wait_for 10 bash -c "! kill -0 $run_pid"
stop "$run_pid"
is "$stopped_code" 6 "Ctrl-C: exit 6"
is "$(value .verdict)" '"interrupted"' "... the partial result is written"
succeeds "... with both sides' counters" "$check" "$json" closes schema
succeeds "the initiator's interface is clean" clean_interface initiator
stop "$serve_pid" INT
succeeds "the responder's interface is clean" clean_interface responder

finish
