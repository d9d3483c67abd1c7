#!/usr/bin/env bash
# The adding-up of all tests: what failed, crashed, was cut short or did not run is never counted as passed.
# Judges no time.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

tap=$top/scripts/lib/tap.py

# total KIND EXIT_CODE TEXT: the last line, for one program with this output.
total()
{
	printf '%b' "$3" >"$tmp/log"
	: >"$tmp/totals"
	python3 "$tap" "$1" program "$2" 3 "$tmp/log" "$tmp/totals" >"$tmp/shown"
	code=0
	line=$(python3 "$tap" total "$tmp/totals") || code=$?
}

# check KIND EXIT_CODE OUTPUT WANT TEXT
check()
{
	total "$1" "$2" "$3"
	is "$code $line" "$4" "$5"
}

check tap 0 "ok 1 - a\nok 2 - b\n1..2\n" "0 2 passed, 0 failed" "points are added up"
check tap 0 "1..2\nok 1 - a\nok 2 - b\n" "0 2 passed, 0 failed" "the plan may come first"
check tap 0 "1..1\nok 1 - a\n1..2\nok 1 - b\nok 2 - c\n" "0 3 passed, 0 failed" "groups of one program are added up"
check tap 1 "ok 1 - a\nnot ok 2 - b\n# why\n1..2\n" "1 1 passed, 1 failed" "a failed point is counted once"
is "$(grep -c 'FAILED program: b' "$tmp/shown") $(grep -c '    # why' "$tmp/shown")" "1 1" "a failed point is shown with its comments"
check tap 0 "ok 1 - a\nok 2 - b # SKIP no root\n1..2\n" "0 1 passed, 0 failed, 1 skipped" "a skipped point is neither"
check tap 0 "not ok 1 # SKIP b\nok 2 - a\n1..2\n" "0 1 passed, 0 failed, 1 skipped" "a point that cmocka skipped is neither"
check tap 139 "ok 1 - a\n" "1 1 passed, 1 failed" "a program that died without a plan failed"
check tap 0 "ok 1 - a\n1..2\n" "1 1 passed, 1 failed" "a plan that was not kept is a failure"
check tap 1 "ok 1 - a\n1..1\n" "1 1 passed, 1 failed" "an exit code without a failed point is a failure"
check tap 0 "" "1 0 passed, 1 failed" "a program without points failed"
check tap 0 "okay, let us see\nnot okay\n" "1 0 passed, 1 failed" "other words are no points"
check tap 0 "ok 1 - a\nBail out! no memory\n1..1\n" "1 1 passed, 2 failed" "bailing out is a failure"
check point 0 "all well\n" "0 1 passed, 0 failed" "a program that is a point by itself passed"
check point 7 "no\n" "1 0 passed, 1 failed" "a program that is a point by itself failed"

: >"$tmp/totals"
code=0
line=$(python3 "$tap" total "$tmp/totals") || code=$?
is "$code $line" "1 0 passed, 1 failed" "no test at all is a failure"

cat >"$tmp/testlog.json" <<'END'
{"name": "a", "stdout": "ok 1 - x\nok 2 - y\n1..2\n", "result": "OK", "returncode": 0}
{"name": "b", "stdout": "ok 1 - x\n", "stderr": "stuck here", "result": "TIMEOUT", "returncode": -15}
{"name": "c", "stdout": "1..1\nok 1 - x\n", "result": "ERROR", "returncode": 1, "stderr": "AddressSanitizer"}
END
python3 "$tap" meson "$tmp/testlog.json" "$tmp/totals" >"$tmp/shown"
is "$(python3 "$tap" total "$tmp/totals" || true)" "4 passed, 2 failed" "meson's tests: time-outs and sanitizer errors are failures"
is "$(grep -cE '    (stuck here|AddressSanitizer)' "$tmp/shown")" 2 "what a failed test of meson's wrote to stderr is shown"

# A test of meson's that speaks no TAP is one point, by its exit code.
mkdir "$tmp/meson-info" "$tmp/meson-logs"
echo '[{"name": "a", "protocol": "exitcode"}, {"name": "b", "protocol": "tap"}]' >"$tmp/meson-info/intro-tests.json"
for result in OK FAIL; do
	cat >"$tmp/meson-logs/testlog.json" <<-END
		{"name": "a", "stdout": "6 results\\n", "result": "$result", "returncode": 0}
		{"name": "b", "stdout": "", "result": "OK", "returncode": 0}
	END
	: >"$tmp/totals"
	python3 "$tap" meson "$tmp/meson-logs/testlog.json" "$tmp/totals" >"$tmp/shown"
	python3 "$tap" total "$tmp/totals" >>"$tmp/meson-sums" || true
done
is "$(paste -sd';' "$tmp/meson-sums")" "1 passed, 1 failed;0 passed, 2 failed" \
	"a test of meson's without TAP is a point by its exit code; one that should speak TAP and does not, failed"

finish
