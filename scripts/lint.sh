#!/usr/bin/env bash
# What a machine can say about the code: layout, layers, banned words, shell and static checks. One line a finding.
set -euo pipefail
cd "$(dirname "$0")/.."

failed=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# check NAME COMMAND...: silent when the command is content; else its output, which is the findings.
check()
{
	local name=$1

	shift
	if [[ -z $(type -P "$1") ]]; then
		echo "lint: $name: '$1' is not installed; scripts/setup.sh --tests installs it" >&2
		failed=1
	elif ! "$@" >"$scratch/out" 2>&1; then
		cat "$scratch/out"
		echo "lint: $name: not clean" >&2
		failed=1
	fi
}

# Our files: not what a build made, nor what the tests hold as data.
list()
{
	find . \( -path ./.git -o -path './build*' -o -path ./tests/golden -o -path ./tests/fuzz/corpus -o -name __pycache__ \) -prune \
		-o -type f "$@" -print | sed 's,^\./,,' | sort
}

# clang-format's many findings as one line a file.
format()
{
	local out code=0

	out=$(clang-format --dry-run -Werror "$@" 2>&1) || code=$?
	sed -nE 's/^([^:]+):([0-9]+):[0-9]+: error: .*/\1 \2/p' <<<"$out" | sort -u -k1,1 -k2,2n | awk '
		$1 != file { show(); file = $1; first = $2; count = 0 }
		{ count++ }
		function show() { if (file) printf "%s:%d: not as clang-format has it (%d lines)\n", file, first, count }
		END { show() }'
	return $code
}

mapfile -t c_files < <(list -name '*.[ch]')
mapfile -t text_files < <(list -regextype posix-extended -regex '.*(\.(c|h|md|sh|py|build|yml)|meson_options\.txt|/scripts/lab/[a-z]+|/\.ci/run)')
mapfile -t shell_files < <(list -type f | xargs -r -d '\n' grep -lE '^#!.*\b(ba)?sh$|^# shellcheck shell=' --)

if [[ -z $(type -P clang-format) ]]; then
	echo "lint: format: 'clang-format' is not installed; scripts/setup.sh --tests installs it" >&2
	failed=1
elif ! format "${c_files[@]}"; then
	echo "lint: format: not clean; clang-format -i FILE mends it" >&2
	failed=1
fi
check tokens python3 scripts/lib/check_tokens.py "${text_files[@]}"
check shellcheck shellcheck --format=gcc "${shell_files[@]}"
check cppcheck cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 --enable=warning,portability,performance \
	--library=gnu --template='{file}:{line}: {severity}: {message} [{id}]' \
	--suppressions-list=scripts/lib/cppcheck.txt -j "$(nproc)" lib app

((failed)) || echo "lint: clean" >&2
exit $failed
