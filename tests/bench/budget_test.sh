#!/usr/bin/env bash
# Instructions a packet of the hot path, as callgrind counts them, against tests/bench/budget.txt: repeatable where cycles are not.
#
#   budget_test.sh            TAP; a case that takes over 3 % more than its budget fails, one that takes over 3 % less is named
#   budget_test.sh --update   write what is measured now into budget.txt, for this CPU's instruction set
# Judges no time.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

budget=$top/tests/bench/budget.txt
program=${EP_INSTRUCTIONS:-$top/build/tests/bench/ep_instructions}
tolerance=0.03

# "INSTRUCTION-SET CASE INSTRUCTIONS-A-PACKET" lines. Callgrind counts below the functions measured_CASE only, and not what fills
# the packets that are received.
measure()
{
	valgrind --tool=callgrind --toggle-collect='measured_*' --toggle-collect=feed_fill \
		--callgrind-out-file="$tmp/callgrind.out" "$program" >"$tmp/packets" 2>"$tmp/valgrind.err" || return 1
	callgrind_annotate --inclusive=yes --threshold=100 "$tmp/callgrind.out" >"$tmp/annotated" 2>>"$tmp/valgrind.err" || return 1
	awk 'FNR == NR {
			if (match($0, /measured_[a-z]+/)) {
				name = substr($0, RSTART + 9, RLENGTH - 9)
				count = $1
				gsub(",", "", count)
				if (!(name in instructions))
					instructions[name] = count
			}
			next
		}
		{ printf "%s %s %.1f\n", $1, $2, instructions[$2] / $3 }' "$tmp/annotated" "$tmp/packets"
}

if [[ -z $(type -P valgrind) ]]; then
	skip "instructions a packet" "valgrind is not installed; scripts/setup.sh --tests installs it"
	finish
fi
if ! measure >"$tmp/measured" || [[ ! -s $tmp/measured ]]; then
	not_ok "callgrind runs the hot path" "$(cat "$tmp/valgrind.err")"
	finish
fi
isa=$(awk 'NR == 1 { print $1 }' "$tmp/measured")

if [[ ${1:-} == --update ]]; then
	{
		grep '^#' "$budget" 2>/dev/null || true
		{ awk -v isa="$isa" '!/^#/ && $1 != isa' "$budget" 2>/dev/null || true; cat "$tmp/measured"; } | sort
	} >"$tmp/budget"
	cat "$tmp/budget" >"$budget"
	exit 0
fi

while read -r isa name instructions; do
	allowed=$(awk -v isa="$isa" -v name="$name" '$1 == isa && $2 == name { print $3 }' "$budget")
	text="$name takes $instructions instructions a packet, $allowed are its budget ($isa)"
	if [[ -z $allowed ]]; then
		not_ok "$name takes $instructions instructions a packet ($isa)" "no budget in tests/bench/budget.txt; budget_test.sh --update sets it"
	elif awk -v i="$instructions" -v a="$allowed" -v t=$tolerance 'BEGIN { exit !(i > a * (1 + t)) }'; then
		not_ok "$text" "if it is worth that: tests/bench/budget_test.sh --update"
	else
		ok "$text"
		awk -v i="$instructions" -v a="$allowed" -v t=$tolerance 'BEGIN { exit !(i < a * (1 - t)) }' &&
			echo "# the budget can be lowered: tests/bench/budget_test.sh --update"
	fi
done <"$tmp/measured"
is "$(awk '{ print $2 }' "$tmp/measured" | sort | tr '\n' ' ')" "echo perm rx tag tx window " "... and each case was counted"
finish
