#!/usr/bin/env bash
# everyport and a bare program on AF_XDP, on the same veth pair, in turn: packets a second and their ratio. First both send; then, where
# there are two CPUs, both send back what the other end sends: the bare one as l2fwd does, everyport verified, accounted and as an echo.
#
# Usage: tests/bench/afxdp/compare.sh [ROUNDS]   (7)
#
# As root. The pair lies in two network namespaces of its own; what is sent is for a MAC address that the
# far end does not have, so that its kernel drops it at once. Both send 64-B frames from one core as fast as the driver takes them.
set -euo pipefail
cd "$(dirname "$0")/../../.."

rounds=${1:-7}
bench=${EP_BENCH:-build/tests/bench/ep_bench}
bare=${EP_BARE_XDP:-build/tests/bench/ep_bare_xdp}
cpus=$(nproc)
cpu=${EP_BENCH_CPU:-$((cpus - 1))}
feed_cpu=$((cpu == 0 ? 1 : 0))
feed_pid=
near=epb-near-$$
far=epb-far-$$
tmp=$(mktemp -d)

cleanup()
{
	[[ -z $feed_pid ]] || kill "$feed_pid" 2>/dev/null || true
	ip netns delete "$near" 2>/dev/null || true
	ip netns delete "$far" 2>/dev/null || true
	rm -rf "$tmp"
}
trap cleanup EXIT

[[ $rounds =~ ^[1-9][0-9]*$ ]] || { echo "compare.sh: '$rounds' is not a number of rounds" >&2; exit 2; }
((EUID == 0)) || { echo "compare.sh: needs root for network namespaces" >&2; exit 3; }
[[ -x $bench && -x $bare ]] || { echo "compare.sh: $bench or $bare is not there; scripts/setup.sh builds them" >&2; exit 3; }

ip netns add "$near"
ip netns add "$far"
ip -n "$near" link add va address 02:00:00:00:00:0a type veth peer name vb netns "$far" address 02:00:00:00:00:0b
ip -n "$near" link set va up
ip -n "$far" link set vb up

median()
{
	sort -n "$1" | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'
}

# The other end sends probes as fast as it can, from the other CPU, until it is stopped; more than one core answers.
feed_start()
{
	ip netns exec "$far" "$bench" --cores "$feed_cpu" dev --dev vb --endless 2>>"$tmp/log" >/dev/null &
	feed_pid=$!
}

feed_stop()
{
	kill "$feed_pid" 2>/dev/null || true
	wait "$feed_pid" 2>/dev/null || true
}

failed()
{
	cat "$tmp/log" >&2
	exit 3
}

for ((round = 1; round <= rounds; round++)); do
	echo "round $round of $rounds" >&2
	ip netns exec "$near" chrt -r 10 "$bare" va "$cpu" 2 2>>"$tmp/log" >>"$tmp/bare" || failed
	ip netns exec "$near" "$bench" --cores "$cpu" dev --dev va --json 2>>"$tmp/log" >"$tmp/json" || failed
	jq '.[0].mpps' "$tmp/json" >>"$tmp/everyport"
	((cpus > 1)) || continue
	feed_start
	ip netns exec "$near" chrt -r 10 "$bare" va "$cpu" 2 forward 2>>"$tmp/log" >>"$tmp/bare_forward" || failed
	ip netns exec "$near" "$bench" --cores "$cpu" dev_echo --dev va --json 2>>"$tmp/log" >"$tmp/json" || failed
	jq '.[0].mpps' "$tmp/json" >>"$tmp/everyport_echo"
	feed_stop
done

# show TITLE BARE EVERYPORT
show()
{
	printf '%-24s %8s\n' "$1" Mpps
	printf '%-24s %8.3f\n' "bare" "$(median "$tmp/$2")" "everyport" "$(median "$tmp/$3")"
	printf '%-24s %8.3f\n' "everyport / bare" "$(awk "BEGIN { print $(median "$tmp/$3") / $(median "$tmp/$2") }")"
}

show "AF_XDP on veth, sending" bare everyport
((cpus < 2)) || show "sending back" bare_forward everyport_echo
