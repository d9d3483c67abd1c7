#!/usr/bin/env bash
# The lab is the ruler that everyport is held against: its rules do what they say and its counters are exact.
# Judges no time.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

export EP_LAB_PREFIX=eptest$$
other=${EP_LAB_PREFIX}b
lab=$top/scripts/lab/lab
udp=$top/tests/lab/udp.py

cleanup()
{
	((EUID == 0)) || return 0
	"$lab" down
	EP_LAB_PREFIX=$other "$lab" down
}

# What is wrong is said before anything is made, and without root.
fails_with 2 "command is missing" "no command is refused" "$lab"
fails_with 2 "'fly' is not a command" "an unknown command is refused" "$lab" fly
fails_with 2 "'--fast' is not an option" "an unknown option is refused" "$lab" up --fast
fails_with 2 "\-\-dead needs a value" "an option without its value is refused" "$lab" up --dead
fails_with 2 "'60000-50000' starts above its end" "a range upside down is refused" "$lab" up --dead 60000-50000
fails_with 2 "'0' is outside the ports 1-65535" "port 0 is refused" "$lab" up --dead 0
fails_with 2 "'65536' is outside" "port 65536 is refused" "$lab" up --ports 50000-50010,65536
fails_with 2 "'abc' is not a list of ports" "a word is not a list of ports" "$lab" up --tcp-shut abc
fails_with 2 "'52000' is not PORTS=SHARE%" "loss without a share is refused" "$lab" up --loss 52000
fails_with 2 "'5' is not a share" "a share without % is refused" "$lab" up --loss 52000=5
fails_with 2 "'101%' is not above 0%" "a share above 100% is refused" "$lab" up --loss 52000=101%
fails_with 2 "'0%' is not above 0%" "a share of 0% is refused" "$lab" up --loss-up 52000=0%
fails_with 2 "'100' is not a rate" "a policer without /second is refused" "$lab" up --police 100
fails_with 2 "'8.8.8.8' is not ADDR" "source NAT to a public address is refused" "$lab" up --snat 8.8.8.8
fails_with 2 "responder's own address" "source NAT to the responder is refused" "$lab" up --snat 198.18.1.2
fails_with 2 "second address of its family" "a second IPv4 source NAT is refused" \
	"$lab" up --snat 198.18.1.100 --snat 198.18.1.101
fails_with 2 "EP_LAB_PREFIX: 'A b'" "a prefix with a space is refused" env "EP_LAB_PREFIX=A b" "$lab" up

need_root_or_skip "rules and counters of the lab"

fails_with 3 "there is no lab '$EP_LAB_PREFIX'" "counters of a lab that is not there are refused" "$lab" counters up
fails_with 2 "'left' is not initiator" "exec in an unknown namespace is refused" "$lab" exec left true
fails_with 2 "'198.18.999.1' is not an address" "source NAT to no address is refused, and leaves no lab" \
	"$lab" up --snat 198.18.999.1
is "$(find /run/netns -name "$EP_LAB_PREFIX*")" "" "a lab that could not be made leaves no namespace"

echo_pid=
start_echo()
{
	start "$tmp/echo.log" "$lab" exec responder python3 "$udp" echo "$@"
	echo_pid=$started_pid
	wait_for 5 grep -q ready "$tmp/echo.log"
}

# What the responder saw, "port packets".
stop_echo()
{
	stop "$echo_pid"
	grep -v ready "$tmp/echo.log" >"$tmp/arrived" || true
}

# send_all OPTIONS...: answers in $tmp/answers.
send_all()
{
	"$lab" exec initiator python3 "$udp" send "$@" >"$tmp/answers" 2>"$tmp/send.err"
}

counters()
{
	"$lab" counters "$1" | awk '$2 > 0' >"$tmp/$1"
}

# The counters of all four places in files, without the ports at 0.
all_counters()
{
	local which

	for which in up down up-in down-in; do
		counters "$which"
	done
}

sum()
{
	awk '{ s += $2 } END { print s + 0 }' "$1"
}

tcp_state()
{
	"$lab" exec initiator python3 "$udp" connect --to 198.18.1.2 --port "$1" --wait 1
}

# -- A firewall without faults: each packet of 10,001 ports, both ways.
succeeds "a lab is made" "$lab" up
start_echo
send_all --rounds 5
stop_echo
all_counters
is "$(sum "$tmp/arrived")" 50005 "a firewall without faults lets every packet through"
succeeds "counters up equal what the responder saw, for each of 10,001 ports" cmp "$tmp/up" "$tmp/arrived"
succeeds "counters down equal what the initiator got back, for each of 10,001 ports" cmp "$tmp/down" "$tmp/answers"
succeeds "what came to the firewall going up also left it" cmp "$tmp/up-in" "$tmp/up"
succeeds "what came to the firewall going down also left it" cmp "$tmp/down-in" "$tmp/down"
# The same ends as everyport would report them.
{
	echo "port,direction,received,late"
	awk '{ print $1 ",up," $2 ",0" }' "$tmp/arrived"
	awk '{ print $1 ",down," $2 ",0" }' "$tmp/answers"
} >"$tmp/result.csv"
succeeds "compare finds the running lab's counters equal" "$top/scripts/lab/compare" "$tmp/result.csv"
sed -i 's/^55555,down,5,/55555,down,4,/' "$tmp/result.csv"
like "$("$top/scripts/lab/compare" "$tmp/result.csv" || echo "exit $?")" "port 55555: left the firewall 5, .* 4.*exit 1" \
	"compare finds one packet on one port"
like "$("$lab" status)" "up: 50005 packets.*conntrack: 1[0-9]{4} of" "status sums the counters and tells tracked connections"
unlike "$("$lab" status)" "dropped sending [1-9]|receiving [1-9]|queue [1-9]" "the lab's own links dropped nothing"

succeeds "counters are flushed" "$lab" flush
all_counters
is "$(cat "$tmp/up" "$tmp/down" "$tmp/up-in" "$tmp/down-in")" "" "all counters are 0 after a flush"
is "$("$lab" counters down-in | wc -l)" 10001 "a flush keeps all 10,001 ports"
send_all --ports 50000-50099
counters up
is "$(sum "$tmp/up")" 100 "counting goes on after a flush"

# -- The default is stateful: nothing new comes in, and nothing else goes out.
start "$tmp/in.log" "$lab" exec initiator python3 "$udp" answer --port 50001
wait_for 5 grep -q ready "$tmp/in.log"
"$lab" exec responder python3 "$udp" send --to 198.18.0.2 --ports 50001 --rounds 3 --wait 0.2 --source 50777 2>/dev/null
is "$(<"$tmp/in.log")" ready "UDP that the initiator did not ask for is dropped"
stop "$started_pid"
start "$tmp/out.log" "$lab" exec responder python3 "$udp" answer --port 49999
wait_for 5 grep -q ready "$tmp/out.log"
send_all --ports 49999 --rounds 3 --wait 0.2
is "$(<"$tmp/out.log")" ready "UDP outside the range is dropped"
stop "$started_pid"
is "$("$lab" exec initiator ip -o route get 192.0.2.1 | grep -c 'via 198.18.0.1 dev eth0')" 1 \
	"the only way out of the initiator is the firewall"
is "$("$lab" exec firewall ip route show default | wc -l)" 0 "the firewall has no way out"

# -- IPv6.
start_echo --ipv6
send_all --to 2001:2:0:2::2 --ports 50000-50999 --rounds 3
stop_echo
"$lab" flush
is "$(sum "$tmp/arrived") $(sum "$tmp/answers")" "3000 3000" "IPv6 passes both ways"

# -- Dead ports and random loss, one way and both.
"$lab" up --dead 50100-50110,55555 --dead-up 50200 --dead-down 50300-50301 --loss 52000-52999=10% --loss-up 53000-53999=100% \
	--loss-down 54000-54999=2.5%
start_echo
send_all --rounds 10
stop_echo
all_counters
succeeds "with faults, counters up equal what the responder saw" cmp "$tmp/up" "$tmp/arrived"
succeeds "with faults, counters down equal what the initiator got back" cmp "$tmp/down" "$tmp/answers"
is "$(sum "$tmp/up-in")" 100010 "with faults, everything that was sent came to the firewall"
dead_of()
{
	join -v1 <(seq 50000 60000) <(cut -d' ' -f1 "$tmp/$1") | grep -v '^53' | paste -sd' '
}
is "$(dead_of up)" "$(seq -s' ' 50100 50110) 50200 55555" "going up, exactly the ports of --dead and --dead-up are dead"
is "$(dead_of down-in)" "$(dead_of up)" "no more ports are dead on the way from the responder"
is "$(dead_of down)" "$(seq -s' ' 50100 50110) 50200 50300 50301 55555" \
	"going down, --dead-down is dead too"
is "$(awk '$1 ~ /^53/' "$tmp/up")" "" "a loss of 100% lets nothing through"
# Of 10,000 packets at 10 %: six standard deviations are 180. At 2.5 %: 94.
lost=$((10000 - $(awk '$1 ~ /^52/ { s += $2 } END { print s }' "$tmp/up")))
number_is "$lost" -gt 820 "--loss 10% loses about 10 % going up: not less"
number_is "$lost" -lt 1180 "--loss 10% loses about 10 % going up: not more"
lost=$((10000 - lost - $(awk '$1 ~ /^52/ { s += $2 } END { print s }' "$tmp/down")))
number_is "$lost" -gt 730 "--loss 10% loses about 10 % of the rest going down: not less"
number_is "$lost" -lt 1100 "--loss 10% loses about 10 % of the rest going down: not more"
lost=$((10000 - $(awk '$1 ~ /^54/ { s += $2 } END { print s }' "$tmp/down")))
number_is "$lost" -gt 156 "--loss-down 2.5% loses about 2.5 % going down: not less"
number_is "$lost" -lt 344 "--loss-down 2.5% loses about 2.5 % going down: not more"
is "$(awk '$1 ~ /^54/ { s += $2 } END { print s }' "$tmp/up")" 10000 "--loss-down loses nothing going up"

# -- Source NAT.
"$lab" up --snat 198.18.1.100:20000-39999 --snat '[2001:2:0:2::100]'
start "$tmp/nat.log" "$lab" exec responder python3 "$udp" answer --port 50001
wait_for 5 grep -q ready "$tmp/nat.log"
send_all --ports 50001 --wait 0.2
wait_for 5 grep -q 198 "$tmp/nat.log" || true
like "$(tail -1 "$tmp/nat.log")" '^198\.18\.1\.100 [23][0-9]{4}$' "source NAT shows its own address and a port of its range"
start_echo
send_all --rounds 2
stop_echo
"$lab" flush
is "$(sum "$tmp/arrived") $(sum "$tmp/answers")" "20002 20002" "through source NAT, 10,001 ports answer"
start_echo --ipv6
send_all --to 2001:2:0:2::2 --ports 50000-50999
stop_echo
is "$(sum "$tmp/arrived") $(sum "$tmp/answers")" "1000 1000" "through IPv6 source NAT, ports answer"

# -- TCP.
"$lab" up --tcp-shut 7881 --tcp-reject 443
start "$tmp/tcp.log" "$lab" exec responder python3 "$udp" listen --ports 80,443,7881,8080
wait_for 5 grep -q ready "$tmp/tcp.log"
is "$(tcp_state 80)" open "a TCP port without a fault is open"
is "$(tcp_state 7881)" filtered "--tcp-shut drops"
is "$(tcp_state 443)" refused "--tcp-reject answers with a reset"
is "$(tcp_state 8080)" filtered "a TCP port that is not let through is filtered"

# -- Policer: 20,000 packets at 20,000 packets/s through 5,000 packets/s leave about a quarter, and nothing goes unseen.
"$lab" up --police-up 5000/second
send_all --ports 50000-59999 --rounds 2 --rate 20000 --wait 0.1
all_counters
is "$(sum "$tmp/up-in")" 20000 "all packets come to the policer"
number_is "$(sum "$tmp/up")" -gt 4000 "the policer lets its rate through"
number_is "$(sum "$tmp/up")" -lt 7500 "the policer lets little more through"

# -- Other ports.
"$lab" up --ports 443,3478-3479 --tcp 22 --dead 3479
is "$("$lab" counters up | paste -sd,)" "443 0,3478 0,3479 0" "--ports sets what is counted"
send_all --ports 443,3478,3479,50000 --wait 0.2
counters up
is "$(paste -sd, "$tmp/up")" "443 1,3478 1" "--ports sets what is let through"

# -- Two labs, and the end.
EP_LAB_PREFIX=$other "$lab" up --ports 50000
send_all --ports 443 --wait 0.2
is "$(EP_LAB_PREFIX=$other "$lab" counters up-in)" "50000 0" "two labs do not see each other"
start "$tmp/sleep.log" env EP_LAB_PREFIX="$other" "$lab" exec responder sleep 600
sleeper=$started_pid
runs_in_other()
{
	[[ -n $(ip netns pids "$other-responder") ]]
}
wait_for 5 runs_in_other
EP_LAB_PREFIX=$other "$lab" down
is "$(find /run/netns -name "$other*")" "" "down leaves no namespace"
wait "$sleeper" 2>/dev/null || true
is "$(kill -0 "$sleeper" 2>&1 | grep -c 'No such process')" 1 "down leaves no process"
succeeds "down without a lab is no error" env EP_LAB_PREFIX="$other" "$lab" down
is "$(EP_LAB_PREFIX=$other "$lab" status)" "lab '$other': not there" "status says that there is no lab"
is "$("$lab" status | head -1 | cut -d: -f1)" "lab '$EP_LAB_PREFIX'" "the other lab stays"

finish
