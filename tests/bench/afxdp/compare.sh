#!/usr/bin/env bash
# everyport and a bare program on AF_XDP, on the same veth pair, in turn: packets a second and their ratio. First both send; then, where
# there are two CPUs, both send back what the other end sends: the bare one as l2fwd does, everyport verified, accounted and as an echo.
#
# Usage: tests/bench/afxdp/compare.sh [ROUNDS]   (7)
#
# The ratio is the median of the rounds' own. As root. The pair lies in two network namespaces of its own; what is sent is for a MAC address that the
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

# turn NAME CASE [OPTION...]: the bare program, everyport, and the bare program again, so that a host that gets slower or faster meanwhile favours
# neither; everyport's rate and its ratio to the mean of the two go to $tmp/NAME and $tmp/NAME.ratio.
turn()
{
	local name=$1 case=$2 before after ours

	shift 2
	before=$(ip netns exec "$near" chrt -r 10 "$bare" va "$cpu" 2 "$@" 2>>"$tmp/log") || failed
	ours=$(ip netns exec "$near" "$bench" --cores "$cpu" "$case" --dev va --json 2>>"$tmp/log" | jq '.[0].mpps') || failed
	after=$(ip netns exec "$near" chrt -r 10 "$bare" va "$cpu" 2 "$@" 2>>"$tmp/log") || failed
	printf '%s\n' "$before" "$after" >>"$tmp/$name.bare"
	echo "$ours" >>"$tmp/$name"
	awk -v b="$before" -v a="$after" -v o="$ours" 'BEGIN { print 2 * o / (a + b) }' >>"$tmp/$name.ratio"
}

for ((round = 1; round <= rounds; round++)); do
	echo "round $round of $rounds" >&2
	turn sending dev
	((cpus > 1)) || continue
	feed_start
	turn back dev_echo forward
	feed_stop
done

# show TITLE NAME
show()
{
	printf '%-24s %8s\n' "$1" Mpps
	printf '%-24s %8.3f\n' "bare" "$(median "$tmp/$2.bare")" "everyport" "$(median "$tmp/$2")"
	printf '%-24s %8.3f  (%s)\n' "everyport / bare" "$(median "$tmp/$2.ratio")" "$(sort -n "$tmp/$2.ratio" | paste -sd' ')"
}

show "AF_XDP on veth, sending" sending
((cpus < 2)) || show "sending back" back
