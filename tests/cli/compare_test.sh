#!/usr/bin/env bash
# scripts/lab/compare finds every difference, and only differences.
# Judges no time.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

compare=$top/scripts/lab/compare

# Three ports, both ways; the fields of everyport run --csv, with its line ends.
rows()
{
	printf 'port,direction,sent,received,lost,duplicates,reordered,late,verdict\r\n'
	printf '%s\r\n' "$@"
}
good=("50000,up,10,10,0,0,0,0,ok" "50000,down,10,9,1,0,0,0,ok" "50001,up,10,0,10,0,0,0,dead" "50001,down,10,0,10,0,0,0,dead"
	"50002,up,10,12,0,3,0,1,ok" "50002,down,10,10,0,0,0,0,ok")
rows "${good[@]}" >"$tmp/good.csv"
printf '%s\n' "50000 10" "50001 0" "50002 13" >"$tmp/up"
printf '%s\n' "50000 9" "50001 0" "50002 10" >"$tmp/down"

# run FILE [ARG...]: output in $output, exit code in $code.
run()
{
	code=0
	output=$("$compare" "$1" --up "$tmp/up" --down "$tmp/down" "${@:2}" 2>&1) || code=$?
}

run "$tmp/good.csv"
is "$code" 0 "equal counters are equal; what came late and duplicates count as come"
like "$output" "up +3 +3 +0 +23 +23" "the table has ports, equal, different and sums"

rows "${good[@]/50000,up,10,10/50000,up,10,9}" >"$tmp/less.csv"
run "$tmp/less.csv"
is "$code" 1 "one packet less on one port is a difference"
like "$output" "port 50000: left the firewall 10, came to everyport 9" "a difference is named with both numbers"

rows "${good[@]/50002,down,10,10/50002,down,10,11}" >"$tmp/more.csv"
run "$tmp/more.csv"
is "$code" 1 "one packet more on one port is a difference"

# The sums agree, the ports do not: what a tester without an account per port would not see.
rows 50000,up,10,11,0,0,0,0,ok "${good[@]:1:3}" 50002,up,10,11,0,3,0,1,ok "${good[5]}" >"$tmp/swapped.csv"
run "$tmp/swapped.csv"
is "$code" 1 "two errors that cancel out in the sum are still differences"

rows "${good[@]:0:4}" >"$tmp/short.csv"
run "$tmp/short.csv"
is "$code" 1 "a port that the result does not have is a difference"

rows "${good[@]:0:5}" 50002,down,10,,,,,,ok >"$tmp/unknown.csv"
run "$tmp/unknown.csv"
is "$code" 1 "a count that everyport does not know is a difference"

missed='{"ledger": {"up": {"imissed": %d, "ierrors": 0, "rx_nombuf": 0}, "down": {"imissed": 0, "ierrors": 0, "rx_nombuf": null}}}'
# shellcheck disable=SC2059 # the format is ours
printf "$missed" 1 >"$tmp/one.json"
# shellcheck disable=SC2059
printf "$missed" 2 >"$tmp/two.json"
run "$tmp/less.csv" --json "$tmp/one.json"
is "$code" 0 "a packet that the ledger says was missed explains one missing packet"
run "$tmp/less.csv" --json "$tmp/two.json"
is "$code" 1 "two missed packets do not explain one missing packet"
run "$tmp/more.csv" --json "$tmp/one.json"
is "$code" 1 "missed packets do not explain a packet too many"

echo "port,received" >"$tmp/bad.csv"
run "$tmp/bad.csv"
is "$code $output" "2 compare: $tmp/bad.csv: there is no column 'direction'; it has to be the file of everyport run --csv" \
	"a file of another kind is refused"
run "$tmp/nosuch.csv"
like "$code $output" "^2 compare: .*No such file" "a file that is not there is refused"
echo "50000 ten" >"$tmp/up"
run "$tmp/good.csv"
like "$code $output" "^2 compare: .*'50000 ten' is not a line" "counters that are no numbers are refused"

finish
