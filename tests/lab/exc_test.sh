#!/usr/bin/env bash
# run and serve on devices that no kernel owns: the control connection, the fallback check, ARP, NDP, ping and a TCP stream over an exception
# interface of ours; and over another interface, by --control-dev.
# Judges light loads.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

need_root_or_skip "run and serve over net_memif and net_tap"

check=$top/tests/check_result.py
stream=$top/tests/lab/tcp_stream.py
prefix=${EP_LAB_PREFIX:-eptest$$}-exc
a=$prefix-a
b=$prefix-b
key=$tmp/key
json=$tmp/result.json
# The far end of a net_memif: the server's side creates the socket.
memif=socket-abstract=no,socket=$tmp/memif
cleanup()
{
	((EUID == 0)) || return 0
	ip netns del "$a" 2>/dev/null || true
	ip netns del "$b" 2>/dev/null || true
}
cleanup
for ns in "$a" "$b"; do
	ip netns add "$ns"
	ip -n "$ns" link set lo up
done
(umask 077 && "$EP_BIN" keygen >"$key")

# serve_start NAMESPACE LOG OPTION...: a responder, ready; its id is in $serve_pid.
serve_start()
{
	local ns=$1 log=$2

	shift 2
	start "$log" ip netns exec "$ns" "$EP_BIN" serve --key-file "$key" --ports 61000-61199 "$@"
	serve_pid=$started_pid
	wait_for 20 grep -q "ready on" "$log" || sed 's/^/# serve: /' "$log"
}

# run_in NAMESPACE OPTION...: the exit code is in $code.
run_in()
{
	local ns=$1

	shift
	code=0
	ip netns exec "$ns" "$EP_BIN" run --key-file "$key" --json "$json" --quiet "$@" >"$tmp/report" 2>"$tmp/run.err" || code=$?
	[[ $code != [34] ]] || sed 's/^/# run: /' "$tmp/run.err"
}

value()
{
	jq -c "$1" "$json"
}

exact()
{
	is "$(value '[.ledger.up.accepted, .ledger.down.accepted] == [.ledger.up.received, .ledger.down.received]')" true "$1"
}

far=(--dev "net_memif0,role=server,$memif" --addr 198.18.0.2/24 --addr 2001:2::2/64 --queues 2)
near=(--dev "net_memif0,role=client,$memif" --addr 198.18.0.1/24 --addr 2001:2::1/64 --queues 2)
# Ports of probes that no socket of the kernel's has by chance.
load=(--ports 61000-61199 --rate 5kpps --duration 3s --sweeps 2 --drain 500ms)

# Both hosts have nothing but the memif between them.
serve_start "$b" "$tmp/serve.log" "${far[@]}"
start "$tmp/icmp.txt" ip netns exec "$b" tcpdump -l -n -i everyport0 'icmp[0] == 3 or (icmp6 and ip6[40] == 1)'
wait_for 10 grep -q "listening on" "$tmp/icmp.txt"
run_in "$a" "${near[@]}" "${load[@]}" --peer 198.18.0.2
code_is 0 "run and serve over net_memif alone: control connection, fallback check and probes pass"
succeeds "... every ledger closes" "$check" "$json" closes schema
exact "... and each probe that was sent has arrived"
is "$(value '[.ledger[].duplicates] + [.ports[] | .up, .down | .sent - .received + .duplicates] | unique')" "[0]" "... once, on every port, both ways"
is "$(value '[.queues[] | (.received | length), (.received | min > 0), (.received | add)] == [2, true, .ledger.up.nic_rx, 2, true, .ledger.down.nic_rx]')" \
	true "... by both queues of both ends, which add up to what the devices saw"
is "$(value '[.host.queues, .host.steering]')" '[2,"plain queues"]' "... as host{} says"
is "$(value '[.tcp[] | select(.required and .status != "open")] | length')" 0 "... every fallback port is open, before, during and after"
is "$(value '[.host.exception.interface, .host.exception.kind, .host.exception.dropped]')" '["everyport0","tap",0]' "... over everyport0, and nothing was dropped"
number_is "$(value '[.host.exception.to_kernel, .host.exception.from_kernel] | min')" -gt 100 "... that moved frames both ways"
run_in "$a" "${near[@]}" "${load[@]}" --peer 2001:2::2 --size 84 --duration 1s
code_is 0 "the same over IPv6"
exact "... exact"
is "$(grep -E 'udp port (61[01]|20[01])[0-9][0-9]' "$tmp/icmp.txt" || true)" "" "no kernel has answered a probe with an ICMP error"

# A TCP stream beside the load, and between sessions.
start "$tmp/rate" ip netns exec "$b" python3 "$stream" receive 9000 4
start "$tmp/run.log" ip netns exec "$a" "$EP_BIN" run --key-file "$key" --json "$json" --quiet "${near[@]}" "${load[@]}" --peer 198.18.0.2 --duration 4s
run_pid=$started_pid
wait_for 10 ip -n "$a" link show everyport0
start "$tmp/send.log" ip netns exec "$a" python3 "$stream" send 198.18.0.2 9000
code=0
wait "$run_pid" || code=$?
code_is 0 "a TCP stream over the exception path beside the load"
exact "... disturbs no probe"
number_is "$(cat "$tmp/rate")" -gt 0 "... and moves on ($(cat "$tmp/rate") Mbit/s beside two workers; what is left of the CPUs decides)"

# How it ends: the interface goes with the process, whatever ends it.
kill -9 "$serve_pid"
succeeds "the interface vanishes when serve is killed" wait_for 5 eval "! ip -n $b link show everyport0 2>/dev/null"

# The control connection over another interface; the devices then answer by themselves.
rm -f "$tmp/memif"
ip -n "$a" link add ctl0 type veth peer name ctl0 netns "$b"
for side in "$a 1" "$b 2"; do
	read -r ns i <<<"$side"
	ip -n "$ns" addr add "192.0.2.$i/24" dev ctl0
	ip -n "$ns" link set ctl0 up
done
serve_start "$b" "$tmp/serve.log" "${far[@]}" --control-dev ctl0
run_in "$a" "${near[@]}" "${load[@]}" --peer 198.18.0.2 --control-dev ctl0 --control-peer 192.0.2.2 --duration 1s
code_is 0 "--control-dev on both sides"
exact "... each probe that was sent has arrived"
is "$(value '[.tcp[] | select(.required and .status != "open")] | length')" 0 "... the fallback ports are checked over it"
is "$(value .host.exception)" null "... without an exception interface"
is "$(ip -n "$a" -o link | grep -c everyport || true)" 0 "... nor a trace of one"
run_in "$a" "${near[@]}" "${load[@]}" --peer 198.18.0.77 --control-dev ctl0 --control-peer 192.0.2.2
like "$code $(tail -1 "$tmp/run.err")" '^[34] ' "probes to another host than the one that agreed are refused ($(tail -1 "$tmp/run.err"))"
stop "$serve_pid" INT

# A kernel as the neighbour, on a tap's other end; MAC of the device, of which the kernel's end has one beside it.
rm -f "$tmp/memif"
serve_start "$b" "$tmp/serve.log" --dev net_tap0,iface=tap0 --addr 198.18.0.2/24 --addr 2001:2::2/64
ip -n "$b" link set tap0 netns "$a"
ip -n "$a" addr add 198.18.0.1/24 dev tap0
ip -n "$a" addr add 2001:2::1/64 dev tap0 nodad
ip -n "$a" link set tap0 up
in_a=(ip netns exec "$a")
mac=$(ip -n "$b" -j link show everyport0 | jq -r '.[0].address')
like "$("${in_a[@]}" ping -q -c 20 -i 0.02 -w 5 198.18.0.2)" ' 0% packet loss' "the kernel's ping over net_tap"
like "$("${in_a[@]}" ping -q -c 20 -i 0.02 -w 5 -s 1472 198.18.0.2)" ' 0% packet loss' "... with frames of 1,514 B"
like "$("${in_a[@]}" ping -q -c 20 -i 0.02 -w 5 2001:2::2)" ' 0% packet loss' "ping -6"
like "$("${in_a[@]}" arping -c 2 -w 5 -I tap0 198.18.0.2)" 'Received 2 response' "arping"
like "$("${in_a[@]}" ndisc6 -1 2001:2::2 tap0 | tr A-F a-f)" "$mac" "ndisc6, with the MAC of the exception interface"

# An AF_XDP initiator meets it, and both directions' checksums are right as tshark computes them.
start "$tmp/tshark.log" "${in_a[@]}" tcpdump -n -i tap0 -s 0 -w "$tmp/all.pcap" tcp
run_in "$a" --dev tap0 "${load[@]}" --peer 198.18.0.2 --duration 1s
code_is 0 "run on a kernel interface, serve over net_tap with an exception path"
stop "$started_pid" INT
number_is "$(tshark -r "$tmp/all.pcap" -Y 'ip.src == 198.18.0.2' 2>/dev/null | wc -l)" -gt 20 "TCP of the exception path was captured"
is "$(tshark -r "$tmp/all.pcap" -o tcp.check_checksum:TRUE -o ip.check_checksum:TRUE \
	-Y 'ip.src == 198.18.0.2 && (tcp.checksum.status != "Good" || ip.checksum.status != "Good")' 2>/dev/null | wc -l)" 0 \
	"... with right checksums only"
stop "$serve_pid" INT
succeeds "Ctrl-C: the interface vanishes" eval "! ip -n $b link show everyport0 2>/dev/null"

finish
