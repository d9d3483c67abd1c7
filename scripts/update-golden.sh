#!/bin/sh
# Rewrite the golden files of tests/golden from what the program renders now. Review the diff before it is committed.
# Usage: scripts/update-golden.sh [BUILD_DIR]   (default: build, which has to be set up)
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$root/build}

if [ ! -f "$build/build.ninja" ]; then
	echo "$build is no build directory: run scripts/setup.sh, or name one" >&2
	exit 2
fi
EP_TEST_GOLDEN_UPDATE=1 meson test -C "$build" report_text report_json report_csv wire_golden
# What was written must hold as well as what it replaced.
meson test -C "$build" report_text report_json report_csv report_schema wire_golden
git -C "$root" status --short -- tests/golden
