# shellcheck shell=bash
# Shared by the shell tests: TAP points, and cleaning up what a test started. Source it first:
#
#   . "$(dirname "$0")/../lib.sh"
#   is "$(some command)" "the wanted text" "what this shows"
#   finish
#
# Each test ends with finish, that prints the plan; a test that dies on the way has none, and so counts as failed.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
EP_BIN=${EP_BIN:-$top/build/app/everyport}
# For a program that was built with ASan.
export LSAN_OPTIONS=${LSAN_OPTIONS:-suppressions=$top/tests/lsan.supp:print_suppressions=0}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/everyport-test.XXXXXX")
tap_count=0
tap_failed=0
own_pids=()

# Redefined by a test that has more to clean up.
cleanup()
{
	:
}

lib_on_exit()
{
	local pid

	for pid in "${own_pids[@]}"; do
		kill "$pid" 2>/dev/null || true
	done
	cleanup || true
	for pid in "${own_pids[@]}"; do
		wait "$pid" 2>/dev/null || true
	done
	rm -rf "$tmp"
}
trap lib_on_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

ok()
{
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1"
}

# not_ok TEXT [DETAIL...]
not_ok()
{
	tap_count=$((tap_count + 1))
	tap_failed=$((tap_failed + 1))
	echo "not ok $tap_count - $1"
	shift
	# All of it is read: a writer that is cut off would end the test.
	(($# == 0)) || printf '%s\n' "$@" | sed -n '1,40s/^/# /p'
}

# skip TEXT REASON: a failure where EP_LAB_REQUIRED=1 says that everything must run.
skip()
{
	if [[ ${EP_LAB_REQUIRED:-0} == 1 ]]; then
		not_ok "$1" "skipped, and EP_LAB_REQUIRED is 1: $2"
	else
		tap_count=$((tap_count + 1))
		echo "ok $tap_count - $1 # SKIP $2"
	fi
}

# is GOT WANT TEXT
is()
{
	if [[ $1 == "$2" ]]; then
		ok "$3"
	else
		not_ok "$3" "got:" "$1" "want:" "$2"
	fi
}

# code_is WANT TEXT: the exit code of a measurement, in $code, 0 or 1; its result is in $json. Where the machine was too busy the tester has
# to say so: exit code 5 and a reason for it, and where nothing should be found no reason but such ones. What was counted is looked at by
# the tests that follow, whatever the verdict.
# shellcheck disable=SC2154 # set by the tests
code_is()
{
	local own other

	if [[ $code != 5 ]]; then
		is "$code" "$1" "$2"
		return 0
	fi
	own=$(jq '[.reasons[] | select(startswith("invalid: "))] | length' "$json")
	other=$(jq '[.reasons[] | select(startswith("invalid: ") | not)] | length' "$json")
	is "$((own > 0)) $((other > 0))" "1 $1" "$2 (the machine was too busy for a verdict)"
	jq -r '.reasons[]' "$json" | sed 's/^/# /'
}

# like GOT REGEX TEXT
like()
{
	if [[ $1 =~ $2 ]]; then
		ok "$3"
	else
		not_ok "$3" "got:" "$1" "want a match of:" "$2"
	fi
}

# unlike GOT REGEX TEXT
unlike()
{
	if [[ $1 =~ $2 ]]; then
		not_ok "$3" "got:" "$1" "want no match of:" "$2"
	else
		ok "$3"
	fi
}

# number_is GOT OPERATOR WANT TEXT: whole numbers, operators of test(1): -eq, -lt, -ge, ...; a GOT that is no number fails.
number_is()
{
	if [[ $1 =~ ^-?[0-9]+$ ]] && test "$1" "$2" "$3"; then
		ok "$4"
	else
		not_ok "$4" "got: $1" "want: $2 $3"
	fi
}

# succeeds TEXT COMMAND...
succeeds()
{
	local text=$1 output code=0

	shift
	output=$("$@" 2>&1) || code=$?
	if ((code == 0)); then
		ok "$text"
	else
		not_ok "$text" "exit code $code from: $*" "$output"
	fi
}

# fails_with CODE REGEX TEXT COMMAND...: the exit code, and one sentence on stderr that matches; nothing on stdout.
fails_with()
{
	local want=$1 regex=$2 text=$3 code=0

	shift 3
	"$@" >"$tmp/fails.out" 2>"$tmp/fails.err" || code=$?
	if ((code != want)); then
		not_ok "$text" "exit code $code, not $want, from: $*" "$(cat "$tmp/fails.out" "$tmp/fails.err")"
	elif [[ -s $tmp/fails.out || $(wc -l <"$tmp/fails.err") -ne 1 || ! $(<"$tmp/fails.err") =~ $regex ]]; then
		not_ok "$text" "want one line on stderr that matches: $regex" "stdout: $(<"$tmp/fails.out")" \
			"stderr: $(<"$tmp/fails.err")"
	else
		ok "$text"
	fi
}

# start LOG COMMAND...: in the background; its id in started_pid, its output in LOG; ended when the test ends.
start()
{
	local log=$1

	shift
	# Emptied before the fork, so that wait_for cannot read what an earlier command left.
	: >"$log"
	"$@" >"$log" 2>&1 &
	started_pid=$!
	own_pids+=("$started_pid")
}

# stop PID [SIGNAL]: end one of ours and wait for it; its exit code in stopped_code.
stop()
{
	kill -s "${2:-TERM}" "$1" 2>/dev/null || true
	stopped_code=0
	# shellcheck disable=SC2034 # for the test that sources this
	wait "$1" 2>/dev/null || stopped_code=$?
}

# wait_for SECONDS COMMAND...: until the command succeeds; fails when it does not in time.
wait_for()
{
	local deadline=$((SECONDS + $1))

	shift
	until "$@" >/dev/null 2>&1; do
		((SECONDS < deadline)) || return 1
		sleep 0.05
	done
}

# need_root_or_skip TEXT: ends the test here when it cannot run.
need_root_or_skip()
{
	((EUID == 0)) && return 0
	skip "$1" "needs root for network namespaces"
	finish
}

finish()
{
	echo "1..$tap_count"
	exit $((tap_failed > 0))
}
