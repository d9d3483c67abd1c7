#!/usr/bin/env bash
# everyport loop: both ends in one process, exact, for an ordinary user.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

check=$top/tests/check_result.py
chmod 755 "$tmp"
install -m 755 "$EP_BIN" "$tmp/everyport"
bin=$tmp/everyport

# As a user without rights; root becomes nobody, and the home of root is not there for nobody.
as_user()
{
	if ((EUID == 0)); then
		(cd / && env -u XDG_RUNTIME_DIR setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@")
	else
		"$@"
	fi
}

# What a drain waits for is in memory here: a tenth of the default is ample.
short=(--drain 200ms)

# loop OPTION...: the result is in $json, the exit code in $code, the time in $took.
json=$tmp/result.json
loop()
{
	local start=$SECONDS

	code=0
	as_user "$bin" loop --json - "$@" >"$json" 2>"$tmp/loop.err" || code=$?
	took=$((SECONDS - start))
}

value()
{
	jq -c "$1" "$json"
}

loop --duration 5s
is "$code" 0 "five seconds as nobody without huge pages: exit 0"
is "$(value .verdict)" '"pass"' "... the verdict is pass"
succeeds "... 10,001 ports, each with sent == received, every ledger closes, the schema holds" \
	"$check" "$json" ports=10001 clean closes schema
number_is "$took" -lt 15 "... in under 15 s"
is "$(cat "$tmp/loop.err")" "" "... and stderr stays silent"
is "$(value '[.trials[].kind]')" '["sweep","load"]' "... it swept, then loaded"
number_is "$(value '.ledger.up.intended')" -eq 530003 "... exactly the intended number of probes"
is "$(value '.trials[1].pacing | [.up, .down | .burst_pkts, .intended_pps, .departures.count]')" '[1,100000,499999,1,100000,499999]' \
	"... and the times between all departures"
is "$(value '.host | .clock_error_ppm < 20 and (.clock_drift_ppm | fabs) < 20')" true "... by a clock that is good to 20 ppm"

loop "${short[@]}" --duration 3s --impair "block=50100-50110,drop=1%,dup=0.1%,reorder=0.5%"
is "$code" 1 "a bad path: exit 1"
is "$(value .dead_ports)" '{"up":["50100-50110"],"down":["50100-50110"]}' "... dead are exactly 50100-50110, both ways"
succeeds "... lost, duplicates and reordered of each port equal the model's count" "$check" "$json" model closes schema
number_is "$(value '[.ports[].up.lost] | add')" -gt 3000 "... and there was something to count"

loop "${short[@]}" --duration 1s --seed 7 --sources 3 --impair "drop=3%,dup=2%,reorder=4%" --direction echo
succeeds "echoes over a bad path, three sources, another seed: equal to the model" "$check" "$json" model closes

# Shares of queues: of equal lanes, so within 2 % of equal.
loop "${short[@]}" --duration 1s --queues 4 --ports 50000-50999 --rate 20kpps
is "$code" 0 "four queues between the ends: exit 0"
succeeds "... sent == received on each port, and what came out of the queues is what was counted" "$check" "$json" clean closes schema
is "$(value '.queues | [.up, .down | (.received | length), (.max_ratio >= 1 and .max_ratio < 1.02), .suspect]')" \
	'[4,true,null,4,true,null]' "... each has its share"
is "$(value '[.trials[].queues | .up, .down | length]')" '[4,4,4,4]' "... of each trial"
is "$(value '.host | [.queues, .queues_2, .steering, .steering_2]')" '[4,4,"joined queues","joined queues"]' "... the host has them, too"
loop "${short[@]}" --duration 200ms --queues 2 --verbose --ports 50000-50099
like "$(cat "$tmp/loop.err")" "plan: end 1 of the in-memory pair, queue 1: served by" "--verbose says the plan, queue by queue"
like "$(cat "$tmp/loop.err")" "plan: .*for the main thread|plan: the main thread floats" "... with the main thread"

loop "${short[@]}" --duration 1s --rate max --impair "block=50100-50110,drop=1%,dup=0.1%,reorder=0.5%"
like "$code" '^(1|5)$' "the same as fast as it goes: exit 1, or invalid where the tester itself lost some"
succeeds "... and still equal to the model on every port" "$check" "$json" model closes schema
number_is "$(value '.totals.up.sent')" -gt 500000 "... over many probes"

for direction in up down echo; do
	loop "${short[@]}" --duration 1s --ports 50000-50999 --direction $direction
	is "$code" 0 "direction $direction passes"
	succeeds "... and closes" "$check" "$json" clean closes schema
done

loop "${short[@]}" --duration 1s --ports 50000-50099,443 --size imix --verify-payload
is "$code" 0 "mixed sizes with the payload checked pass"
succeeds "... on 101 ports" "$check" "$json" ports=101 clean closes

loop "${short[@]}" --duration 1s --ports 50000-50009 --size 64,9018 --rate 1kpps --seed 9007199254740993
is "$code" 0 "jumbo frames pass"
is "$(value '.config | [.size, .seed, .cores, .queues, .verify_payload, .eal]')" '["64,9018","9007199254740993","planned","planned","no",""]' \
	"... and config{} has the options as used, a large seed exact"

loop "${short[@]}" --duration 1s --rate max --ports 50000-50999 --ring 64
like "$code $(value .verdict)" '^(0 "pass"|5 "invalid")$' "a ring of 64 at the highest rate passes or is invalid, never lossy"
is "$(value '[.ledger[].lost_max] | add')" 0 "... and nothing is called lost"

code=0
taskset -c 0 "$bin" loop "${short[@]}" --duration 2s --json "$json" >"$tmp/text" 2>&1 || code=$?
like "$code" '^(0|5)$' "on a single core it ends with pass or invalid"
succeeds "... and the account is right" "$check" "$json" clean closes
like "$(head -1 "$tmp/text")" '^(PASS|INVALID) ' "... with the verdict as the report's first word"

start "$tmp/loop.log" "$bin" loop --duration 30s --json "$json"
sleep 6
stop "$started_pid" INT
is "$stopped_code" 6 "Ctrl-C: exit 6"
is "$(value .verdict)" '"interrupted"' "... the verdict is interrupted"
succeeds "... and what was measured is there and closes" "$check" "$json" closes schema

code=0
"$bin" loop "${short[@]}" --duration 1s --ports 50000-50009 --csv - >"$tmp/csv" 2>/dev/null || code=$?
is "$code $(wc -l <"$tmp/csv")" "0 21" "--csv - is one row a port and direction and a header"

finish
