#!/usr/bin/env bash
# testpmd and everyport on the same core, in turn, several rounds: packets a second, their ratios, and the goals.
#
# Usage: tests/bench/compare.sh [ROUNDS]   (5)
#
# Exit codes: 0 every case reaches its goal, 1 one does not, 2 wrong usage, 3 environment.
#
# A goal is a number of cycles on the machine of the reference, where testpmd txonly takes 40.5. CPUs differ in what a cycle of the time
# stamp counter buys, so here a goal is what it is there as a multiple of txonly's packets a second, in the same run on the same core.
#
# As root, with DPDK's testpmd (scripts/setup.sh --bench). Both take huge pages where 256 MiB of them are free (without, all of testpmd's
# buffers begin at the same place of a page, and it receives at less than half its speed). The host may give a part of the core to somebody else at any time, and
# testpmd cannot tell. So both are shown twice: "median", of all seconds and rounds, whatever happened in them; and "best", testpmd's
# best second against ep_bench's best run, which is shorter than a second or two and itself a median.
set -euo pipefail
cd "$(dirname "$0")/../.."

rounds=${1:-5}
bench=${EP_BENCH:-build/tests/bench/ep_bench}
seconds=3
cpu=${EP_BENCH_CPU:-$(($(nproc) - 1))}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

die()
{
	echo "compare.sh: $*" >&2
	exit 3
}

memory=(--no-huge --no-shconf)
(($(</sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages) * 2 < 256)) || memory=(--in-memory)

[[ $rounds =~ ^[1-9][0-9]*$ ]] || { echo "compare.sh: '$rounds' is not a number of rounds" >&2; exit 2; }
((EUID == 0)) || die "needs root: testpmd and ep_bench run at real-time priority"
[[ -n $(type -P dpdk-testpmd) ]] || die "dpdk-testpmd is not installed; scripts/setup.sh --bench installs it"
[[ -x $bench ]] || die "$bench is not there; scripts/setup.sh builds it"

# testpmd MODE DEVICE-ARGUMENTS OPTION...: the rates of its seconds [Mpps] go to $tmp/MODE. The first one is its start.
testpmd()
{
	local name=$1 args=$2 field=Tx

	shift 2
	[[ $name != rxonly ]] || field=Rx
	timeout -s INT $((seconds + 3)) chrt -r 10 dpdk-testpmd "${memory[@]}" -m 256 --no-pci --no-telemetry \
		--iova-mode=va --lcores "0@0,1@$cpu" --vdev="net_null0$args" -- --stats-period=1 --total-num-mbufs=8192 \
		--txpkts=60 --forward-mode="$name" "$@" >"$tmp/log" 2>&1 </dev/null || true
	awk -v field="$field-pps:" '{ for (i = 1; i < NF; i++) if ($i == field && $(i + 1) > 0) print $(i + 1) / 1e6 }' "$tmp/log" |
		sed 1d >"$tmp/rates"
	[[ -s $tmp/rates ]] || { cat "$tmp/log" >&2; die "testpmd $name gave no figures"; }
	cat "$tmp/rates" >>"$tmp/$name"
}

# everyport CASE: without regard to others on the core, and with it, as far as they leave it alone.
everyport()
{
	local result

	for option in --all-windows --json; do
		result=$("$bench" --cores "$cpu" "$1" --json $option 2>>"$tmp/log") || { cat "$tmp/log" >&2; die "ep_bench $1 failed"; }
		[[ $option == --json ]] || jq '.[0].mpps' <<<"$result" >>"$tmp/$1"
		jq '.[0].mpps' <<<"$result" >>"$tmp/$1.best"
		jq '.[0].cycles' <<<"$result" >>"$tmp/$1.cycles"
	done
}

median()
{
	sort -n "$1" | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'
}

best()
{
	if [[ -s $1.best ]]; then sort -n "$1.best" | tail -n 1; else sort -n "$1" | tail -n 1; fi
}

# [cycles]; loop_memif's is given as 18 Mpps at 2,596 MHz.
declare -A goal=([tx]=34 [rx]=32 [echo]=60 [loop_ring]=55 [loop_memif]=144.2 [tx_stamp]=50 [tx_1e9]=42 [rx_1e7]=90)
reference_txonly=40.5
cases=(tx rx echo loop_ring loop_memif tx_stamp tx_1e9 rx_1e7)

for ((round = 1; round <= rounds; round++)); do
	echo "round $round of $rounds" >&2
	testpmd txonly ,no-rx=1
	everyport tx
	everyport tx_stamp
	testpmd flowgen ,no-rx=1 --flowgen-flows=10001
	everyport rx
	everyport echo
	testpmd rxonly ""
	for name in loop_ring loop_memif tx_1e9 rx_1e7; do
		everyport "$name"
	done
done

echo "memory: ${memory[*]}"
printf '%-28s %12s %12s\n' "Mpps, one core, 64 B" median best
for name in txonly flowgen rxonly "${cases[@]}"; do
	case $name in
	txonly | flowgen | rxonly) label="testpmd $name" ;;
	*) label="everyport $name" ;;
	esac
	[[ -s $tmp/$name ]] || continue
	printf '%-28s %12.1f %12.1f\n' "$label" "$(median "$tmp/$name")" "$(best "$tmp/$name")"
done
echo
printf '%-28s %12s %12s\n' "ratio" median best
for pair in tx:txonly tx:flowgen rx:rxonly; do
	ours=$tmp/${pair%:*} theirs=$tmp/${pair#*:}
	printf '%-28s %12.2f %12.2f\n' "everyport ${pair%:*} / ${pair#*:}" \
		"$(awk "BEGIN { print $(median "$ours") / $(median "$theirs") }")" \
		"$(awk "BEGIN { print $(best "$ours") / $(best "$theirs") }")"
done

# The undisturbed figures of both: what else runs on the host is nobody's merit.
echo
printf '%-28s %12s %12s   %s\n' "as a multiple of txonly" "" goal "TSC cycles here (there at most)"
code=0
for name in "${cases[@]}"; do
	awk -v cycles="$(sort -n "$tmp/$name.cycles" | head -n 1)" -v ours="$(best "$tmp/$name")" -v theirs="$(best "$tmp/txonly")" -v goal="${goal[$name]}" -v reference=$reference_txonly -v name="$name" 'BEGIN {
		reached = ours / theirs; wanted = reference / goal
		printf "%-28s %12.2f %12.2f  %s  %7.1f (%g)\n", "everyport " name, reached, wanted, (reached >= wanted ? "reached" : "MISSED "), cycles, goal
		exit (reached < wanted) }' || code=1
done
exit $code
