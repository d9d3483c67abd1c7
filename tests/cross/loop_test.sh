#!/usr/bin/env bash
# The program for aarch64 measures right: emulated, at a rate that an emulator holds.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

arm=(qemu-aarch64-static -L "$top/build/aarch64/sysroot" -cpu max "$top/build-aarch64/app/everyport")

# result EXPRESSION: a Python expression about the result, r.
result()
{
	python3 -c 'import json, sys
print(eval(sys.argv[2], {"r": json.load(open(sys.argv[1]))}))' "$tmp/result.json" "$1"
}

like "$("${arm[@]}" keygen)" '^[A-Za-z0-9+/]{43}=$' "keygen gives a key"

code=0
"${arm[@]}" loop --ports 50000-50099 --rate 2kpps --duration 1s --impair block=50010-50019 --json "$tmp/result.json" --quiet \
	>"$tmp/out" 2>&1 || code=$?
is "$code" 1 "a path with dead ports is a failed run"
if [[ -s $tmp/result.json ]]; then
	is "$(result 'r["verdict"]')" fail "the verdict says so, and not that the tester fell short"
	is "$(result 'r["dead_ports"]')" "{'up': ['50010-50019'], 'down': ['50010-50019']}" "just the blocked ports are dead"
	is "$(result 'r["host"]["tag"]')" armv8 "the tags are the CPU's own"
	for way in up down; do
		number_is "$(result "r['totals']['$way']['sent']")" -ge 2000 "$way: every probe was sent"
		is "$(result "sorted(p['port'] for p in r['ports'] if p['$way']['lost'])")" "[$(seq -s ', ' 50010 50019)]" \
			"$way: no other port lost a probe"
		is "$(result "[r['ledger']['$way'][key] for key in ('bad_tag', 'foreign')]")" "[0, 0]" "$way: every packet verified"
	done
else
	not_ok "there is a result" "$(<"$tmp/out")"
fi

finish
