#!/usr/bin/env bash
# Run every test: lint, unit and EAL tests (as built for use, and with ASan and UBSan), the build for aarch64 with its unit tests,
# command line, bench, lab. The last line is the sum of all points: "N passed, M failed[, K skipped]". Exit code 0 only when
# nothing failed.
set -euo pipefail
cd "$(dirname "$0")/.."

if (($# > 0)); then
	echo "usage: scripts/test.sh (no options; as root the lab tests run too, else they are skipped)" >&2
	exit 2
fi

out=build/test
totals=$out/totals
tap=scripts/lib/tap.py
# What cannot run is a failure where a green run has to mean that it ran.
[[ ${CI:-} != true ]] || export EP_LAB_REQUIRED=1
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}

step()
{
	printf '\n== %s (%d s)\n' "$1" "$SECONDS"
}

# meson_tests BUILD_DIRECTORY MESON_OPTION...
meson_tests()
{
	local dir=$1

	shift
	rm -f "$dir/meson-logs/testlog.json"
	meson test -C "$dir" --no-rebuild "$@" >"$out/$dir.log" 2>&1 || true
	if [[ -s $dir/meson-logs/testlog.json ]]; then
		python3 $tap meson "$dir/meson-logs/testlog.json" $totals
	else
		python3 $tap point "meson test in $dir" 1 0 "$out/$dir.log" $totals
	fi
}

# shell_test FILE: given up after ten minutes.
shell_test()
{
	local name code=0 began=$SECONDS

	name=$(basename "$(dirname "$1")")/$(basename "$1" .sh)
	timeout -k 30 600 bash "$1" >"$out/${name/\//-}.log" 2>&1 </dev/null || code=$?
	python3 $tap tap "$name" $code $((SECONDS - began)) "$out/${name/\//-}.log" $totals
}

# light_test FILE: counts where it passes, else it is put down for another time.
light_test()
{
	local log

	log=$out/$(basename "$(dirname "$1")")-$(basename "$1" .sh).log
	if timeout -k 30 600 bash "$1" >"$log" 2>&1 </dev/null; then
		python3 $tap tap "$(basename "$(dirname "$1")")/$(basename "$1" .sh)" 0 "$SECONDS" "$log" $totals
	else
		mv "$log" "${log%.log}-beside.log"
		echo "$1" >>$out/again
	fi
}

# Says of a test that it may run beside another: what it looks at does not depend on how busy the machine is.
beside='^# Judges no time\.'
# Says of a test that its loads are light enough to run beside another one's; where it fails there, it runs again alone, and that counts.
light='^# Judges light loads\.'

# shell_tests FOLDER: one after another, those that need the machine for themselves.
shell_tests()
{
	local file

	for file in tests/"$1"/*_test.sh; do
		grep -q -e "$beside" -e "$light" "$file" || shell_test "$file"
	done
}

# in_pairs FUNCTION MARKER FILE...: those with the marker, two at a time.
in_pairs()
{
	local function=$1 marker=$2

	shift 2
	export -f shell_test light_test
	export out totals tap
	grep -lZ "$marker" "$@" | xargs -0 -r -n 1 -P 2 bash -c "$function \"\$1\"" "$function"
}

light_tests()
{
	local file

	: >$out/again
	in_pairs light_test "$light" "$@"
	while IFS= read -r file; do
		echo "# $file failed beside another test ($out has its log): alone it has to pass"
		shell_test "$file"
	done <$out/again
}

# The whole program for aarch64; its pure-C libraries run in an emulator, which lacks the kernel's interfaces that others need.
aarch64_tests()
{
	local code=0 began=$SECONDS

	scripts/aarch64.sh >$out/aarch64.log 2>&1 || code=$?
	python3 $tap point "build for aarch64" $code $((SECONDS - began)) $out/aarch64.log $totals
	((code == 0)) || return 0
	meson_tests build-aarch64 --suite layer0 --timeout-multiplier 3
	shell_tests cross
}

# Where this is aarch64, the other steps are that test.
cross=()
[[ $(uname -m) != x86_64 ]] || cross=(--cross)

step "set-up"
code=0
scripts/setup.sh --tests --debug "${cross[@]}" || code=$?
if ((code != 0)); then
	echo "0 passed, 1 failed"
	exit 1
fi
rm -rf $out
mkdir -p $out
: >$totals

step "lint"
code=0
began=$SECONDS
scripts/lint.sh >$out/lint.log 2>&1 || code=$?
python3 $tap point lint $code $((SECONDS - began)) $out/lint.log $totals

step "unit and EAL tests"
meson_tests build --suite unit --suite eal

step "unit and EAL tests with ASan and UBSan, and beside them aarch64"
# Both are slow, and neither is held to a time that the other could spoil.
if ((${#cross[@]} > 0)); then
	(renice -n 10 "$BASHPID" >/dev/null && aarch64_tests) >$out/aarch64-step.log 2>&1 </dev/null &
fi
meson_tests build-debug --suite unit --suite eal
if ((${#cross[@]} > 0)); then
	wait $! || python3 $tap point "aarch64" 1 0 $out/aarch64-step.log $totals
	cat $out/aarch64-step.log
fi

step "command line, bench, lab: what judges no time"
in_pairs shell_test "$beside" tests/{cli,bench,lab}/*_test.sh

step "command line"
shell_tests cli

step "bench: options, and instructions a packet"
shell_tests bench

step "lab: light loads"
light_tests tests/lab/*_test.sh

step "lab"
shell_tests lab

step "all"
python3 $tap total $totals
