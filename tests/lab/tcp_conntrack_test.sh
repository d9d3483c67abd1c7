#!/usr/bin/env bash
# A firewall whose table of connections is full: the kernel's own limit (nf_conntrack_max), reached by the flows of the UDP load. New TCP
# is refused then, and not before.
# Judges light loads.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=lab.sh
. "$(dirname "$0")/lab.sh"

# Entries that are left when the run begins: enough for the check before the load (some 100), not for a flow of each port. The kernel drops a
# flow that is not "assured" for a new one where it comes upon one, so that the fewer there are, the fewer ports get through after all.
room=200
limit_most=1100000

lab_begin "a full table of connections" --lean --ports 50000-51999
limit=$("$lab" exec firewall cat /proc/sys/net/netfilter/nf_conntrack_max)
if ((limit > limit_most)); then
	skip "a full table of connections" "this host's table has $limit entries, which take too much memory"
	finish
fi

# refused: packets that the firewall's kernel dropped because no entry was to be had, over all CPUs.
refused()
{
	"$lab" exec firewall cat /proc/net/stat/nf_conntrack |
		awk 'NR == 1 {for (i = 1; i <= NF; i++) if ($i == "drop") at = i; next} {print $at}' |
		while read -r hex; do echo $((16#$hex)); done | awk '{n += $1} END {print n + 0}'
}

# rows PHASE FILTER: of the rows of a phase.
rows()
{
	jq -c "[.tcp[] | select(.phase == \"$1\")] | $2" "$json"
}

# What comes to the firewall, before the kernel looks for an entry; what gets through is counted by port.
"$lab" exec firewall nft -f - <<'END'
add table inet watch
add chain inet watch came { type filter hook prerouting priority -400; }
add rule inet watch came iifname in0 udp dport 50000-51999 counter
END
serve
filled=$("$lab" exec firewall python3 "$top/tests/lab/conntrack_fill.py" $room)
number_is $((${filled#* } - ${filled% *})) -ge $((room / 2)) "the table is almost full: $filled"
is "$(refused)" 0 "... and nothing was refused yet"
run --ports 50000-51999 --rate 4kpps --duration 3s --drain 500ms --sweeps 1 --tcp-timeout 1500ms
came=$("$lab" exec firewall nft list chain inet watch came | sed -n 's/.* packets \([0-9]*\) .*/\1/p')
"$lab" counters up >"$tmp/passed"
passed=$(awk '{n += $2} END {print n + 0}' "$tmp/passed")
number_is $(((came - passed) * 100 / came)) -ge 50 "most of the load finds no room: $passed of $came packets get through"
number_is "$(refused)" -ge $((came - passed)) "... and by the kernel's own count it is for want of an entry"
fallback_code_is 1 "new TCP is refused while the table is full: exit 1"
is "$(rows before '[.[].status] | unique')" '["open"]' "... all is open before the load"
is "$(rows during '[.[] | select(.check == "connect") | .status] | unique')" '["filtered"]' "... and TCP is filtered during it"
number_is "$(rows during '[.[] | select(.check == "connect") | .connects.failures * 100 / .connects.attempts] | min | floor')" -ge 50 \
	"... most attempts fail"
is "$(rows during '[.[] | select(.check == "held") | .status] | unique')" '["open"]' "... the connections that were there are not touched"
like "$(rows during '[.[] | select(.check == "connect") | .advice][0]')" 'without the load.*nf_conntrack_max' "... and the advice is to raise the limit"
like "$(value .reasons)" 'TCP 80.*during|during.*TCP 80' "... the reasons name port and phase"
number_is "$(awk '$2 == 0' "$tmp/passed" | wc -l)" -ge 1000 "of most UDP ports nothing found room"
is "$(value '.ports[] | select(.up.received == 0) | .port')" "$(awk '$2 == 0 {print $1}' "$tmp/passed")" \
	"... and these are the ports that are reported dead"
stop "$serve_pid" INT

finish
