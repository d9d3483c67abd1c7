#!/usr/bin/env bash
# What a packet costs everyport on AF_XDP beside a bare program, on the same veth pair, in the same run: both send; then, where there are
# two CPUs, both send back what the other end sends: the bare one as l2fwd does, everyport verified, accounted and as an echo.
#
# Usage: tests/bench/afxdp/compare.sh [ROUNDS]   (7)
#
# The ratio is that of their packet rates: the median of the rounds' own, each of them of 200 turns (turns.h). The goal is for sending back.
# As root. The pair lies in two network namespaces of its own; what is sent is for a MAC address that the far end does not have, so
# that its kernel drops it at once, which is the least that it can do with it. Exit codes: 0 the goal is reached, 1 it is not, 2 wrong
# usage, 3 it could not be measured.
set -euo pipefail
cd "$(dirname "$0")/../../.."

goal=0.97
rounds=${1:-7}
bench=${EP_BENCH_XDP:-build/tests/bench/ep_bench_xdp}
cpus=$(nproc)
cpu=${EP_BENCH_CPU:-$((cpus - 1))}
feed_cpu=$((cpu == 0 ? 1 : 0))
near=epb-near-$$
far=epb-far-$$
tmp=$(mktemp -d)

cleanup()
{
	ip netns delete "$near" 2>/dev/null || true
	ip netns delete "$far" 2>/dev/null || true
	rm -rf "$tmp"
}
trap cleanup EXIT

[[ $rounds =~ ^[1-9][0-9]*$ ]] || { echo "compare.sh: '$rounds' is not a number of rounds" >&2; exit 2; }
((EUID == 0)) || { echo "compare.sh: needs root for network namespaces" >&2; exit 3; }
[[ -x $bench ]] || { echo "compare.sh: $bench is not there; scripts/setup.sh builds it" >&2; exit 3; }

ip netns add "$near"
ip netns add "$far"
ip -n "$near" link add va address 02:00:00:00:00:0a type veth peer name vb netns "$far" address 02:00:00:00:00:0b
ip -n "$near" link set va up
ip -n "$far" link set vb up

# measure NAME [ARGUMENT...]
measure()
{
	local name=$1

	shift
	if ! ip netns exec "$near" "$bench" va "$cpu" "$@" 2>"$tmp/log" >>"$tmp/$name"; then
		cat "$tmp/log" >&2
		exit 3
	fi
}

names=(sending)
for ((round = 1; round <= rounds; round++)); do
	echo "round $round of $rounds" >&2
	measure sending
	((cpus > 1)) || continue
	measure back "$far" vb "$feed_cpu"
done

((cpus < 2)) || names+=(back)
for name in "${names[@]}"; do
	jq -rs --arg name "$name" '
		def median: sort | (.[length / 2 | floor] + .[(length - 1) / 2 | floor]) / 2;
		"AF_XDP on veth, \($name): bare \(map(.bare_mpps) | median) Mpps, everyport \(map(.everyport_mpps) | median) Mpps, " +
		"ratio \(map(.ratio) | median) (\(map(.ratio) | sort | map(tostring) | join(" ")))"' "$tmp/$name"
done
((cpus > 1)) || { echo "compare.sh: sending back needs two CPUs" >&2; exit 3; }
jq -es --argjson goal $goal 'map(.ratio) | sort | (.[length / 2 | floor] + .[(length - 1) / 2 | floor]) / 2 >= $goal' "$tmp/back" >/dev/null || {
	echo "sending back is below the goal, $goal"
	exit 1
}
