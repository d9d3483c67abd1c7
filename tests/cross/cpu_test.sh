#!/usr/bin/env bash
# On CPUs that this machine is not: each runs the fastest tags that it has, and no instruction that it has not.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

sysroot=$top/build/aarch64/sysroot
arm_tests=$top/build-aarch64/tests

# tags_are CPU NAMES COMMAND...: the unit test passes there and has found just these.
tags_are()
{
	local cpu=$1 names=$2 code=0

	shift 2
	"$@" >"$tmp/tags" 2>&1 || code=$?
	if ((code == 0)); then
		is "$(sed -n 's/^# this CPU has: //p' "$tmp/tags" | xargs)" "$names" "$cpu has the tags '$names', and they are right"
	else
		not_ok "$cpu has the tags '$names', and they are right" "exit code $code" "$(tail -n 20 "$tmp/tags")"
	fi
}

# Not qemu's "max": version 7.2 computes the upper half of a 256-bit VAESENC wrongly.
x86_tags=$top/build/tests/test_wire_tag
tags_are "an x86-64 of 2006" "openssl" qemu-x86_64-static -cpu core2duo "$x86_tags"
tags_are "a Westmere" "aesni openssl" qemu-x86_64-static -cpu Westmere "$x86_tags"
tags_are "a Haswell" "aesni openssl" qemu-x86_64-static -cpu Haswell "$x86_tags"

arm=(qemu-aarch64-static -L "$sysroot")
tags_are "an ARMv8 with AES" "armv8 openssl" "${arm[@]}" -cpu max "$arm_tests/test_wire_tag"
tags_are "a Cortex-A53" "armv8 openssl" "${arm[@]}" -cpu cortex-a53 "$arm_tests/test_wire_tag"
tags_are "an ARMv8 without AES" "openssl" "${arm[@]}" -E "LD_PRELOAD=$arm_tests/cross/no_aes.so" -E OPENSSL_armcap=0 \
	"$arm_tests/test_wire_tag"

finish
