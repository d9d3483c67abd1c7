#!/usr/bin/env bash
# ep_bench: what it takes, what it prints. What it measures is not judged here: the machine may be busy.
# Judges no time.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

bench=${EP_BENCH:-$top/build/tests/bench/ep_bench}

fails_with 2 "^ep_bench: 'nonsense' is not a case" "a case that does not exist is refused" "$bench" perm nonsense
fails_with 2 "^ep_bench: --cores '1,x': one or two numbers of CPUs" "so is a core that is no number" "$bench" --cores 1,x
fails_with 3 "core 1000 does not exist" "a core that does not exist is this host's matter" "$bench" --cores 1000 perm
succeeds "--help helps" "$bench" --help
for name in tx rx echo loop_ring loop_memif tx_stamp tx_1e9 rx_1e7 tag perm window tx_2; do
	like "$("$bench" --help)" "  $name " "... and names $name"
done

"$bench" perm tag >"$tmp/out" 2>"$tmp/err"
number='[0-9]+\.[0-9]'
like "$(sed -n 1p "$tmp/out")" "^perm cycles=$number mpps=$number spread=$number%$" "one line a case, in the order asked for"
like "$(sed -n 2p "$tmp/out")" "^tag cycles=$number mpps=$number spread=$number%$" "... the second case, too"
number_is "$(wc -l <"$tmp/out")" -eq 2 "... and no other line"

"$bench" tag loop_ring --json >"$tmp/json" 2>"$tmp/err"
is "$(jq -c '[.[] | keys]' "$tmp/json")" '[["case","cycles","mpps","spread"],["case","cycles","mpps","spread"]]' \
	"--json is an array of case, cycles, mpps, spread"
is "$(jq -c '[.[].case]' "$tmp/json")" '["tag","loop_ring"]' "... of the cases asked for"
is "$(jq '[.[] | .cycles > 0 and .mpps > 0 and .spread >= 0] | all' "$tmp/json")" true "... with figures"
finish
