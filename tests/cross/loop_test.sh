#!/usr/bin/env bash
# The program for aarch64 measures right: emulated, at a rate that an emulator holds.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

arm=(qemu-aarch64-static -L "$top/build/aarch64/sysroot" -cpu max "$top/build-aarch64/app/everyport")

# field KEY...: of the result, as Python prints it.
field()
{
	python3 -c 'import functools, json, sys
print(functools.reduce(lambda value, key: value[key], sys.argv[2:], json.load(open(sys.argv[1]))))' "$tmp/result.json" "$@"
}

like "$("${arm[@]}" keygen)" '^[A-Za-z0-9+/]{43}=$' "keygen gives a key"

code=0
"${arm[@]}" loop --ports 50000-50099 --rate 2kpps --duration 1s --impair block=50010-50019 --json "$tmp/result.json" --quiet \
	>"$tmp/out" 2>&1 || code=$?
is "$code" 1 "a path with dead ports is a failed run"
if [[ -s $tmp/result.json ]]; then
	is "$(field verdict)" fail "the verdict says so, and not that the tester fell short"
	is "$(field dead_ports up) $(field dead_ports down)" "['50010-50019'] ['50010-50019']" "just the blocked ports are dead"
	is "$(field host tag)" armv8 "the tags are the CPU's own"
	for way in up down; do
		sent=$(field totals $way sent)
		number_is "$sent" -ge 2000 "$way: every probe was sent"
		# A tenth of the ports, each with as many probes as another, give or take one in a sweep or trial.
		off=$((10 * $(field totals $way lost) - sent))
		number_is ${off#-} -lt 200 "$way: what the blocked ports lost is all that was lost"
		is "$(field ledger $way bad_tag) $(field ledger $way foreign)" "0 0" "$way: every packet verified"
	done
else
	not_ok "there is a result" "$(<"$tmp/out")"
fi

finish
