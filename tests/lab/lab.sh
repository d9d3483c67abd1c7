# shellcheck shell=bash
# Variables come from lib.sh and go to the tests.
# shellcheck disable=SC2034,SC2154
# Shared by the lab tests that run everyport: serve in the responder's namespace, run in the initiator's. Source it behind lib.sh.

export EP_LAB_PREFIX=${EP_LAB_PREFIX:-eptest$$}
lab=$top/scripts/lab/lab
check=$top/tests/check_result.py
key=$tmp/key
json=$tmp/result.json
csv=$tmp/result.csv
responder=198.18.1.2
serve_pid=

cleanup()
{
	((EUID == 0)) || return 0
	"$lab" down
}

lab_begin()
{
	need_root_or_skip "$1"
	shift
	"$lab" up "$@"
	(umask 077 && "$EP_BIN" keygen >"$key")
}

# serve [OPTION...]: starts the responder on eth0 unless --dev is among the options, and waits until it is ready.
serve()
{
	local dev=(--dev eth0)

	[[ " $* " != *" --dev "* ]] || dev=()
	start "$tmp/serve.log" "$lab" exec responder "$EP_BIN" serve "${dev[@]}" --key-file "$key" "$@"
	serve_pid=$started_pid
	wait_for 20 grep -q "ready on" "$tmp/serve.log" || sed 's/^/# serve: /' "$tmp/serve.log"
}

# run [OPTION...]: the exit code is in $code, the report in $tmp/report, stderr in $tmp/run.err.
run()
{
	local dev=(--dev eth0)

	[[ " $* " != *" --dev "* ]] || dev=()
	code=0
	"$lab" exec initiator "$EP_BIN" run --peer "$responder" "${dev[@]}" --key-file "$key" --json "$json" --csv "$csv" "$@" \
		>"$tmp/report" 2>"$tmp/run.err" || code=$?
}

# start_run [OPTION...]: the same in the background; its id is in $run_pid.
start_run()
{
	start "$tmp/run.log" "$lab" exec initiator "$EP_BIN" run --peer "$responder" --dev eth0 --key-file "$key" --json "$json" "$@"
	run_pid=$started_pid
}

# run_valid [OPTION...]: run again where the machine was too busy for a valid measurement, up to three times in all.
run_valid()
{
	local try

	for try in 1 2 3; do
		"$lab" flush
		run "$@"
		[[ $code == 5 ]] || return 0
		echo "# try $try was invalid: $(value '.reasons[0]')"
	done
}

value()
{
	jq -c "$1" "$json"
}

# fallback_code_is WANT TEXT: what became of the fallback ports in a run, 0 or 1. A machine that was too busy for the UDP load says so by
# exit code 5, and then the reasons must still say the same of the ports.
fallback_code_is()
{
	local ports want=$1

	ports=$(value '[.reasons[] | select(test("^(TCP|UDP) [0-9]"))] | length')
	[[ $(value .verdict) != '"invalid"' ]] || want=5
	is "$code $((ports > 0))" "$want $1" "$2"
	((tap_failed == 0)) || value '.reasons[]' | sed 's/^/# /'
}

# Process id of everyport itself in a namespace.
pid_in()
{
	local pid

	for pid in $(ip netns pids "$EP_LAB_PREFIX-$1"); do
		[[ $(cat "/proc/$pid/comm" 2>/dev/null) != everyport ]] || echo "$pid"
	done
}

# Whether the interface of a namespace is as it was before everyport: no XDP program, no tc filter of ours.
clean_interface()
{
	! ip -n "$EP_LAB_PREFIX-$1" -d link show dev eth0 | grep -q "prog/xdp" &&
		! tc -n "$EP_LAB_PREFIX-$1" filter show dev eth0 ingress 2>/dev/null | grep -q ep_filter
}

# capture FILE NAMESPACE INTERFACE EXPRESSION...: tcpdump in the background; its id in $capture_pid.
capture()
{
	local file=$1 where=$2 interface=$3

	shift 3
	start "$file.log" "$lab" exec "$where" tcpdump -U -n -B 65536 -i "$interface" -w "$file" "$@"
	capture_pid=$started_pid
	wait_for 10 grep -q "listening on" "$file.log"
}

# capture_end: ends it, with what the kernel had not handed over yet (it does so once a second).
capture_end()
{
	sleep 1.2
	stop "$capture_pid" INT
}

# Seconds since the epoch of the last packet of a capture, with fraction; 0 where there is none.
last_packet()
{
	{ tcpdump -ttnr "$1" 2>/dev/null || true; } | awk '{t = $1} END {printf "%.6f\n", t + 0}'
}

packets()
{
	{ tcpdump -nr "$1" 2>/dev/null || true; } | wc -l
}
