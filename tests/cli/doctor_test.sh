#!/usr/bin/env bash
# everyport doctor: each sentence right, nothing changed unasked, --fix for huge pages, and the ceiling beside later results.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

check=$top/tests/check_result.py
json=$tmp/doctor.json
huge=/proc/sys/vm/nr_hugepages
ns=ep-doctor-$$
huge_before=
ns_made=
chmod 755 "$tmp"
install -m 755 "$EP_BIN" "$tmp/everyport"
bin=$tmp/everyport
mkdir -m 777 "$tmp/state" "$tmp/root-state"

cleanup()
{
	[[ -z $huge_before ]] || echo "$huge_before" >"$huge"
	[[ -z $ns_made ]] || ip netns del "$ns"
}

# As a user without rights; root becomes nobody.
as_user()
{
	if ((EUID == 0)); then
		(cd / && env -u XDG_RUNTIME_DIR XDG_STATE_HOME="$tmp/state" setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@")
	else
		XDG_STATE_HOME=$tmp/state "$@"
	fi
}

# doctor OPTION...: the report is in $json, the exit code in $code, stderr in $tmp/doctor.err.
doctor()
{
	code=0
	as_user "$bin" doctor --json - --duration 200ms "$@" >"$json" 2>"$tmp/doctor.err" || code=$?
}

root_doctor()
{
	code=0
	XDG_STATE_HOME=$tmp/root-state "$bin" doctor --json - --duration 200ms "$@" >"$json" 2>"$tmp/doctor.err" || code=$?
}

# finding ID MEMBER
finding()
{
	jq -r --arg id "$1" ".findings[] | select(.id == \$id) | .$2" "$json"
}

# What doctor might have changed: settings of memory, of the network and of the CPUs, and what is attached to the interfaces.
settings()
{
	(
		set +e
		cat $huge /sys/kernel/mm/transparent_hugepage/enabled /proc/sys/net/ipv4/ip_local_reserved_ports
		cat /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor /proc/irq/*/smp_affinity_list
		ip -o link | sed -E 's/ state [A-Z]+//'
		ip netns list
		ls -l /sys/bus/pci/devices/*/driver
	) 2>/dev/null
}

# --- An ordinary user, without huge pages -------------------------------------------------------------------------------------

if ((EUID == 0)); then
	huge_before=$(<"$huge")
	echo 0 >"$huge"
fi
settings >"$tmp/before"
doctor
is "$code" 0 "an ordinary user without huge pages: exit 0, since loop can run"
settings >"$tmp/after"
succeeds "... nothing has changed" diff "$tmp/before" "$tmp/after"
succeeds "... the report is as the schema has it" "$check" "$json" schema
is "$(finding rights status)" warn "... rights: warn"
like "$(finding rights sentence)" "may not open interfaces.*loop without --dev" "... and what needs none"
is "$(finding memory status)" OK "... memory: OK"
if [[ $(<"$huge") == 0 ]]; then
	is "$(finding hugepages status)" warn "... huge pages: warn"
	like "$(finding hugepages sentence)" "0 of 0 free; [0-9]+ needed" "... how many there are and are needed"
	like "$(finding hugepages fix)" "^echo [0-9]+ \| sudo tee /proc/sys/vm/nr_hugepages$" "... and the command"
fi
is "$(finding ceiling status)" OK "... a ceiling was measured and stored"
like "$(finding ceiling sentence)" "over the in-memory pair at --size 64; stored in $tmp/state/everyport/ceiling.json" "... where it says"
is "$(jq -r '.ceilings[0] | [.kind, .driver, .size] | @csv' "$tmp/state/everyport/ceiling.json")" '"memory","net_ring","64"' \
	"... with its key"
is "$(stat -c %a "$tmp/state/everyport")" 700 "... in a folder for this user alone"
is "$(jq '.hiccup.cpus | length > 0 and all(.max_gap_ns > 0 and .max_gap_ns <= 200000000)' "$json")" true \
	"... each CPU was watched"
is "$(jq '[.findings[] | select(.status != "OK") | select(.id != "tsc" and .id != "kernel") | .fix == ""] | any' "$json" |
	tr -d '\n')" false "... whatever is not OK has its command"
like "$(<"$tmp/doctor.err")" "pauses.*ceiling" "... stderr says what takes the time"

as_user "$bin" doctor --no-measure >"$tmp/text" 2>"$tmp/doctor.err"
is "$(cat "$tmp/doctor.err")" "" "--no-measure is silent on stderr"
unlike "$(<"$tmp/text")" "neighbours|ceiling  " "... and has neither pauses nor a ceiling"
is "$(awk 'NF && !/^ / {print $1}' "$tmp/text" | grep -cvE '^(OK|warn|stop|[0-9]+)$')" 0 "the text begins each finding with its status"
like "$(tail -n 1 "$tmp/text")" "^[0-9]+ OK, [0-9]+ warn, 0 stop: everyport can run here" "... and ends with the sum"
is "$(awk 'length > 100 && !/->/' "$tmp/text")" "" "... within 100 columns"

as_user "$bin" doctor --no-measure --quiet --json "$tmp/state/file.json" >"$tmp/text" 2>&1
is "$(cat "$tmp/text")" "" "--quiet with a file says nothing"
succeeds "... and the file is there" "$check" "$tmp/state/file.json" schema

# --- The ceiling beside later results -----------------------------------------------------------------------------------------

as_user "$bin" loop --duration 200ms --ports 50000-50009 --sweeps 1 --drain 100ms --max-loss 100% >"$tmp/text" 2>&1 || true
like "$(<"$tmp/text")" "tester ceiling [0-9.]+ [kM]pps \(the in-memory pair, 20[0-9-]+\); this run [0-9.]+ [kM]?pps" \
	"a loop shows the ceiling beside its own rate"
as_user "$bin" loop --duration 200ms --ports 50000-50009 --sweeps 1 --drain 100ms --max-loss 100% --json - >"$json" 2>/dev/null || true
is "$(jq --slurpfile c "$tmp/state/everyport/ceiling.json" '(.ceiling.pps | floor) == ($c[0].ceilings[0].pps | floor) and .ceiling.run_pps > 0' "$json")" \
	true "... and its JSON has the stored number"
succeeds "... as the schema has it" "$check" "$json" schema
as_user "$bin" loop --duration 200ms --ports 50000-50009 --sweeps 1 --drain 100ms --size 128 --json - >"$json" 2>/dev/null || true
is "$(jq 'has("ceiling")' "$json")" false "a frame size that was not measured has none"

as_user env XDG_STATE_HOME=/proc/nowhere "$bin" doctor --duration 100ms --json - >"$json" 2>/dev/null || true
is "$(finding ceiling status)" warn "a folder where nothing can be stored: warn"
like "$(finding ceiling sentence)" "could not be stored.*/proc/nowhere" "... and which"

# --- Devices ------------------------------------------------------------------------------------------------------------------

doctor --no-measure --dev nosuch0
is "$code" 3 "a device that is not there: exit 3"
is "$(finding device status)" stop "... device: stop"
like "$(finding device sentence)" "nosuch0: there is no such device" "... named"
is "$(finding rights status)" stop "... and an ordinary user may not open one: stop"
doctor --no-measure --dev 0000:ff:1f.7
is "$code" 3 "a PCI device: exit 3"
like "$(finding device sentence)" "--dev 0000:ff:1f.7: there is no such device" "... and its address"
lspci="lspci -D"
[[ -n $(type -P lspci) ]] || lspci="sudo apt install pciutils && $lspci"
is "$(finding device fix)" "$lspci" "... and how to see which there are"
is "$(finding hugepages status)" stop "... which takes no memory but huge pages: stop"
doctor --no-measure --dev net_null0 --cores 1023
is "$code" 3 "a plan for a CPU that is not there: exit 3"
is "$(finding plan status)" stop "... plan: stop"
like "$(finding plan sentence)" "1023" "... which CPU"
doctor --no-measure --dev net_null0
is "$code" 0 "a virtual device of DPDK: exit 0"
is "$(finding device status)" OK "... device: OK"

# --- Interrupted --------------------------------------------------------------------------------------------------------------

start "$tmp/doctor.err" env XDG_STATE_HOME="$tmp/state" "$bin" doctor --duration 1h --json "$tmp/state/cut.json"
succeeds "a doctor who takes an hour begins with the pauses" wait_for 20 grep -q pauses "$tmp/doctor.err"
stop "$started_pid" INT
is "$stopped_code" 6 "... interrupted: exit 6"
succeeds "... and what was found until then is there" "$check" "$tmp/state/cut.json" schema

# --- Wrong usage --------------------------------------------------------------------------------------------------------------

fails_with 2 "\-\-rate is no option of everyport doctor" "an option of other commands" "$bin" doctor --rate 1Mpps
fails_with 2 "\-\-dev is empty" "an empty device" "$bin" doctor --dev ""
fails_with 2 "not the name of an interface" "a device that can be none" "$bin" doctor --dev "a/b"
fails_with 2 "\-\-duration '5'.*unit" "a duration without unit" "$bin" doctor --duration 5
fails_with 2 "\-\-size '10'.*64" "a frame that is too small" "$bin" doctor --size 10
fails_with 2 "\-\-json /nowhere/x" "a file that cannot be written is known before" "$bin" doctor --json /nowhere/x
fails_with 2 "\-\-fix takes no value" "a switch with a value" "$bin" doctor --fix=1
fails_with 2 "stray.*not an option" "a stray word" "$bin" doctor stray
like "$("$bin" doctor --help)" "--fix .*--no-measure " "--help names both of its own options"

# --- Root: --fix --------------------------------------------------------------------------------------------------------------

need_root_or_skip "huge pages and interfaces as root"

settings | tail -n +2 >"$tmp/before"
doctor --no-measure --fix
is "$(finding hugepages status)" warn "--fix as an ordinary user: warn"
like "$(finding hugepages sentence)" "could not be raised from 0 to [0-9]+: .*Permission denied" "... and why"
is "$(<"$huge")" 0 "... and nothing is raised"

root_doctor --no-measure --fix
is "$code" 0 "--fix as root: exit 0"
is "$(finding rights status)" OK "... rights: OK"
raised=$(<"$huge")
number_is "$raised" -gt 0 "... there are huge pages now"
is "$(finding hugepages status)" OK "... huge pages: OK"
like "$(finding hugepages sentence)" "raised from 0 to $raised, until the next boot" "... and it says so"
settings | tail -n +2 >"$tmp/after"
succeeds "... nothing else has changed" diff "$tmp/before" "$tmp/after"
root_doctor --no-measure --fix
is "$(finding hugepages status) $(<"$huge")" "OK $raised" "a second --fix finds enough and raises nothing"
like "$(finding hugepages sentence)" "suffice" "... and says so"
"$bin" loop --duration 100ms --ports 50000-50009 --sweeps 1 --drain 100ms --max-loss 100% --quiet >"$tmp/text" 2>"$tmp/loop.err" || true
is "$(cat "$tmp/loop.err")" "" "... and a loop that takes them has nothing to say of them"
echo 0 >"$huge"

# --- Root: an interface -------------------------------------------------------------------------------------------------------

ip netns add "$ns"
ns_made=1
ip -n "$ns" link add va mtu 1400 type veth peer name vb

# in_ns OPTION...
in_ns()
{
	code=0
	XDG_STATE_HOME=$tmp/root-state ip netns exec "$ns" "$bin" doctor --json - --duration 200ms "$@" \
		>"$json" 2>"$tmp/doctor.err" || code=$?
}

in_ns --no-measure --dev va
is "$code $(finding link status)" "3 stop" "an interface that is down: stop, exit 3"
is "$(finding link fix)" "sudo ip link set va up" "... and the command"
ip -n "$ns" link set va up
ip -n "$ns" link set vb up
ip -n "$ns" addr add 198.18.0.1/24 dev va
ip -n "$ns" -d link >"$tmp/before"
in_ns --dev va
is "$(jq -c '.plan | [(.queues | length), .queues[0].nic, (.rules.masks | length), .rules.minimal]' "$json")" '[1,"va",11,true]' \
	"a plan for an interface: its queue, and the fewest rules for the range"
is "$(jq '[.plan | .nics, .workers, .queues | .[].reason | length > 0] | all' "$json")" true "... each choice with its reason"
is "$code $(finding link status)" "0 OK" "one that is up: OK, exit 0"
like "$(finding driver sentence)" "va is driven by veth and is no PCI device" "... its driver"
like "$(finding mtu sentence)" "1400: --size up to 1418" "... its MTU"
like "$(finding xdp sentence)" "veth has native XDP" "... and its XDP"
ip -n "$ns" -d link >"$tmp/after"
succeeds "... was not touched" diff "$tmp/before" "$tmp/after"
is "$(finding ceiling status)" OK "... the ceiling of AF_XDP is measured"
is "$(jq -r '.ceilings | map(.kind + " " + .driver) | join(",")' "$tmp/root-state/everyport/ceiling.json")" "af_xdp net_af_xdp" \
	"... and stored for AF_XDP"
succeeds "... as the schema has it" "$check" "$json" schema
in_ns --dev af_packet:va
is "$(finding ceiling status)" OK "... and that of AF_PACKET"
is "$(jq -r '.ceiling.device' "$json")" "AF_PACKET on a veth pair" "... which says so"
is "$(ip -o link | grep -c everyport)" 0 "... and leaves no interface behind"

finish
