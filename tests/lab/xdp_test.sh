#!/usr/bin/env bash
# AF_XDP on an interface with two and four queues that the kernel goes on using: a ping flood and a connection like ssh's over the same
# interface during the load lose nothing, the account of the probes is exact, and the interface is left as it was, after Ctrl-C and
# after a crash, too. Two namespaces joined by one veth pair.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

need_root_or_skip "AF_XDP on several queues"

check=$top/tests/check_result.py
near=epxdpn$$
far=epxdpf$$
json=$tmp/result.json
key=$tmp/key
cleanup()
{
	ip netns del "$near" 2>/dev/null || true
	ip netns del "$far" 2>/dev/null || true
}
(umask 077 && "$EP_BIN" keygen >"$key")
ip netns add "$near"
ip netns add "$far"

# pair QUEUES
pair()
{
	local q=(numrxqueues 4 numtxqueues 4)

	ip -n "$near" link add eth0 "${q[@]}" type veth peer name eth0 netns "$far" "${q[@]}"
	ip -n "$near" addr add 198.18.6.1/24 dev eth0
	ip -n "$far" addr add 198.18.6.2/24 dev eth0
	for ns in "$near" "$far"; do
		ip -n "$ns" link set lo up
		ip netns exec "$ns" ethtool -L eth0 rx "$1" tx "$1"
		ip netns exec "$ns" ethtool -K eth0 tx off gso off tso off gro off >/dev/null 2>&1 || true
		ip -n "$ns" link set eth0 up
	done
}

serve()
{
	start "$tmp/serve.log" ip netns exec "$far" "$EP_BIN" serve --dev eth0 --key-file "$key" --tcp none --control-port 7881 "$@"
	serve_pid=$started_pid
	wait_for 20 grep -q "ready on" "$tmp/serve.log" || sed 's/^/# serve: /' "$tmp/serve.log"
}

# run OPTION...: in the background; its id is in $run_pid.
run()
{
	start "$tmp/run.log" ip netns exec "$near" "$EP_BIN" run --peer 198.18.6.2 --dev eth0 --key-file "$key" --tcp none \
		--control-port 7881 --ports 50000-50499 --sweeps 1 --drain 500ms --json "$json" "$@"
	run_pid=$started_pid
}

# What ethtool says of the queues, and whether a program of ours is attached, in both namespaces.
interfaces()
{
	for ns in "$near" "$far"; do
		ip netns exec "$ns" ethtool -l eth0 | sed -n '/Current/,$p'
		ip -n "$ns" -d link show dev eth0 | grep -o "prog/xdp" || true
	done
}

has_xdp()
{
	ip -n "$near" -d link show dev eth0 | grep -q prog/xdp
}

# load: a run with the ping flood and the typing beside it; $code is the run's exit code.
load()
{
	start "$tmp/typed.log" ip netns exec "$far" python3 "$top/tests/lab/typing.py" serve 198.18.6.2 22
	wait_for 10 grep -q ready "$tmp/typed.log"
	run --rate 10kpps --duration 3s
	wait_for 10 has_xdp
	start "$tmp/typing" ip netns exec "$near" python3 "$top/tests/lab/typing.py" type 198.18.6.2 22 3
	typing_pid=$started_pid
	ip netns exec "$near" ping -q -f -i 0.001 -c 3000 -W 5 198.18.6.2 >"$tmp/ping" 2>&1 || true
	code=0
	wait "$run_pid" || code=$?
	wait "$typing_pid" || true
}

for queues in 2 4; do
	pair "$queues"
	before=$(interfaces)
	serve
	load
	code_is 0 "$queues queues: the run passes beside a ping flood and a connection"
	# Where the machine was too busy, our own rings may have run over: that is told, and accounted for.
	exact=(clean)
	[[ $code != 5 ]] || exact=()
	succeeds "... no probe is lost and the account is exact" "$check" "$json" ports=500 "${exact[@]}" closes schema
	is "$(jq -c '[.host.queues, .host.mode, .host.mode_why, .host.steering]' "$json")" \
		"[$queues,\"native XDP, copy\",\"zero copy: the driver veth has none\",\"all $queues queues of the interface\"]" \
		"... by native XDP on all of them, and it says why without zero copy"
	like "$(cat "$tmp/ping")" "3000 packets transmitted, 3000 received, 0% packet loss" "... the ping flood loses nothing"
	is "$(awk '{print $2 - $4}' "$tmp/typing")" 0 "... nor does the connection"
	number_is "$(awk '{print $2}' "$tmp/typing")" -gt 50 "... which was in use meanwhile"
	stop "$serve_pid" INT
	is "$(interfaces)" "$before" "... and both interfaces are left as they were"
	((queues == 4)) || ip -n "$near" link del eth0
done

# A subset of the queues. veth has no rules, so the interface is given two; its driver then refuses native XDP, as the other end has four.
serve
run --queues 2 --rate 5kpps --duration 60s
succeeds "--queues 2: the interface has two" wait_for 20 bash -c "ip netns exec $near ethtool -l eth0 | sed -n '/Current/,\$p' | grep -q 'RX:[[:space:]]*2'"
sleep 1
kill -INT "$run_pid" || sed 's/^/# run: /' "$tmp/run.log"
code=0
wait "$run_pid" || code=$?
is "$code" 6 "... Ctrl-C ends the run"
is "$(jq -c '[.host.queues, .host.mode, .host.steering]' "$json")" '[2,"generic XDP","interface set from 4 to 2 queues"]' \
	"... which says what was chosen"
like "$(jq -r .host.mode_why "$json")" "^native XDP: veth: XDP expects number of rx queues" "... and why, in the driver's words"
like "$(jq -r .host.steering_reason "$json")" "^rules into an RSS context: Operation not supported" "... of the rules, too"
stop "$serve_pid" INT
is "$(interfaces)" "$before" "... and the queues are put back"
serve
run --queues 2 --rate 5kpps --duration 60s
wait_for 20 bash -c "ip netns exec $near ethtool -l eth0 | sed -n '/Current/,\$p' | grep -q 'RX:[[:space:]]*2'"
ep_pid=$(ip netns pids "$near" | while read -r pid; do [[ $(cat "/proc/$pid/comm") != everyport ]] || echo "$pid"; done)
[[ -n $ep_pid ]] && kill -KILL "$ep_pid"
wait "$run_pid" || true
run --rate 5kpps --duration 1s
code=0
wait "$run_pid" || code=$?
like "$(cat "$tmp/run.log")" "put back 1 settings that a crashed everyport left" "what a killed run left is put back at the next start"
stop "$serve_pid" INT
is "$(interfaces)" "$before" "... and nothing is left"

fails_with 2 "is for a kernel interface by AF_XDP" "--busy-poll is refused without AF_XDP" "$EP_BIN" loop --busy-poll 64
finish
