#!/usr/bin/env bash
# A TCP stream over the exception path, between two network namespaces that net_memif alone joins: Gbit/s, beside what the same stream
# makes over a veth pair of the kernel's, in turn, several rounds.
#
# Usage: tests/bench/exc/compare.sh [ROUNDS]   (5)
#
# As root. Each end is an everyport serve that waits for a session, so that every frame passes both: its tap, its thread and net_memif.
# The two ends, and those of the stream, share the CPUs of this host. Exit codes: 0 the median over the exception path is GOAL_MBPS or
# more, 1 it is less, 2 wrong usage, 3 it cannot be measured here.
set -euo pipefail
cd "$(dirname "$0")/../../.."

GOAL_MBPS=1000
rounds=${1:-5}
seconds=${EP_EXC_SECONDS:-4}
bin=${EP_BIN:-build/app/everyport}
stream=tests/lab/tcp_stream.py
near=epb-near-$$
far=epb-far-$$
tmp=$(mktemp -d)
pids=()

cleanup()
{
	local pid

	for pid in "${pids[@]}"; do
		kill "$pid" 2>/dev/null || true
	done
	for pid in "${pids[@]}"; do
		wait "$pid" 2>/dev/null || true
	done
	ip netns delete "$near" 2>/dev/null || true
	ip netns delete "$far" 2>/dev/null || true
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

die()
{
	echo "compare.sh: $*" >&2
	exit 3
}

[[ $rounds =~ ^[1-9][0-9]*$ ]] || { echo "compare.sh: '$rounds' is not a number of rounds" >&2; exit 2; }
((EUID == 0)) || die "needs root for network namespaces"
[[ -x $bin ]] || die "$bin is not there; scripts/setup.sh builds it"

# end_start NAMESPACE ROLE ADDRESS: an everyport with an everyport0, ready.
end_start()
{
	local log=$tmp/$1.log i

	ip netns exec "$1" "$bin" serve --key-file "$tmp/key" --addr "$3" \
		--dev "net_memif0,role=$2,socket-abstract=no,socket=$tmp/memif" >"$log" 2>&1 &
	pids+=("$!")
	for ((i = 0; i < 300; i++)); do
		! grep -q "ready on" "$log" || return 0
		sleep 0.1
	done
	cat "$log" >&2
	die "everyport serve does not come up"
}

# measure NAME ADDRESS PORT: the far end's Mbit/s go to $tmp/NAME.
measure()
{
	local name=$1 address=$2 port=$3 receiver sender code=0

	ip netns exec "$far" python3 "$stream" receive "$port" "$seconds" >>"$tmp/$name" 2>"$tmp/log" &
	receiver=$!
	pids+=("$receiver")
	ip netns exec "$near" python3 "$stream" send "$address" "$port" 2>>"$tmp/log" &
	sender=$!
	pids+=("$sender")
	wait "$receiver" || code=$?
	wait "$sender" 2>/dev/null || code=$?
	((code == 0)) || { cat "$tmp/log" >&2; die "the stream over $name failed"; }
}

median()
{
	sort -n "$1" | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'
}

# show TITLE NAME
show()
{
	sort -n "$tmp/$2" | awk -v title="$1" -v median="$(median "$tmp/$2")" \
		'NR == 1 { min = $1 } END { printf "%-24s %8.2f %8.2f %8.2f\n", title, median / 1000, min / 1000, $1 / 1000 }'
}

ip netns add "$near"
ip netns add "$far"
ip -n "$near" link set lo up
ip -n "$far" link set lo up
ip -n "$near" link add va type veth peer name vb netns "$far"
ip -n "$near" addr add 198.18.1.1/24 dev va
ip -n "$far" addr add 198.18.1.2/24 dev vb
ip -n "$near" link set va up
ip -n "$far" link set vb up
(umask 077 && "$bin" keygen >"$tmp/key")
end_start "$far" server 198.18.0.2/24
end_start "$near" client 198.18.0.1/24

for ((round = 1; round <= rounds; round++)); do
	echo "round $round of $rounds" >&2
	measure exception 198.18.0.2 $((9000 + round))
	measure veth 198.18.1.2 $((9500 + round))
done

printf '%-24s %8s %8s %8s\n' "one TCP stream [Gbit/s]" median least most
show "exception path" exception
show "veth pair" veth
if awk "BEGIN { exit !($(median "$tmp/exception") < $GOAL_MBPS) }"; then
	echo "below the goal of $(awk "BEGIN { print $GOAL_MBPS / 1000 }") Gbit/s"
	exit 1
fi
echo "at least $(awk "BEGIN { print $GOAL_MBPS / 1000 }") Gbit/s, as is the goal"
