#!/usr/bin/env bash
# ep_bench_xdp: what it takes and prints, and everyport's account on AF_XDP as fast as it goes: each probe that it is given it takes once, and
# answers once. What is measured is not judged here: the machine may be busy.
# Judges no time.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

bench=${EP_BENCH_XDP:-$top/build/tests/bench/ep_bench_xdp}
near=epx-near-$$
far=epx-far-$$

# run TEXT ARGUMENT...: at the near end; what it prints is in $tmp/out.
run()
{
	local text=$1 code=0

	shift
	ip netns exec "$near" "$bench" va "$(($(nproc) - 1))" "$@" >"$tmp/out" 2>"$tmp/err" || code=$?
	is "$code" 0 "$text"
	((code == 0)) || sed 's/^/# /' "$tmp/err"
}

cleanup()
{
	ip netns delete "$near" 2>/dev/null || true
	ip netns delete "$far" 2>/dev/null || true
}

fails_with 2 "^usage: ep_bench_xdp DEV CPU " "no arguments are wrong usage" "$bench"
fails_with 2 "^ep_bench_xdp: CPU 'x' is no whole number" "so is a CPU that is no number" "$bench" va x
fails_with 2 "^ep_bench_xdp: PEER-CPU '1024' is out of range" "... or none that there can be" "$bench" va 0 "$far" vb 1024
if ((EUID != 0)); then
	skip "probes are sent back" "needs root for network namespaces"
	finish
fi
fails_with 3 "the feed ended: network namespace '$far': No such file" "a namespace that does not exist is this host's matter" "$bench" va 0 "$far" vb 0

ip netns add "$near"
ip netns add "$far"
ip -n "$near" link add va address 02:00:00:00:00:0a type veth peer name vb netns "$far" address 02:00:00:00:00:0b
ip -n "$near" link set va up
ip -n "$far" link set vb up
keys='["bare_cycles","bare_mpps","everyport_cycles","everyport_mpps","pairs","ratio","ratio_p25","ratio_p75"]'

run "both send"
is "$(jq -c keys "$tmp/out")" "$keys" "... and what it cost is one JSON object"
is "$(jq '[.[] > 0] | all' "$tmp/out")" true "... of figures"
if (($(nproc) < 2)); then
	skip "probes are sent back" "needs two CPUs"
	finish
fi
run "both send back, and everyport's account is right" "$far" vb 0
is "$(jq -c keys "$tmp/out")" "$keys" "... and what it cost is one JSON object"
number_is "$(ip netns exec "$far" cat /sys/class/net/vb/statistics/rx_packets)" -gt 4000000 "... the kernel at the other end saw the answers"
finish
