#!/usr/bin/env bash
# everyport tcp: options, exit codes and outputs, for an ordinary user, against servers on loopback.
# Judges no time.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

check=$top/tests/check_result.py
json=$tmp/result.json
chmod 755 "$tmp"
install -m 755 "$EP_BIN" "$tmp/everyport"
bin=$tmp/everyport

# As a user without rights; root becomes nobody.
as_user()
{
	if ((EUID == 0)); then
		(cd / && setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@")
	else
		"$@"
	fi
}

# tcp OPTION...: the exit code is in $code, the result in $json, stderr in $tmp/tcp.err.
tcp()
{
	code=0
	as_user "$bin" tcp 127.0.0.1 --json - "$@" >"$json" 2>"$tmp/tcp.err" || code=$?
}

# row PORT CHECK [FILTER]: of the row, by default its status.
row()
{
	jq -r ".tcp[] | select(.port == $1 and .check == \"$2\") | ${3:-.status}" "$json"
}

# ---- bad options -----------------------------------------------------------------------------------------------------------

bad()
{
	fails_with 2 "$1" "$2" "$bin" tcp "${@:3}"
}

bad "HOST is missing" "no host"
bad "stray.*not an option" "two hosts" 127.0.0.1 stray
bad "\-\-dev is no option of everyport tcp" "an option of another command" 127.0.0.1 --dev eth0
bad "\-\-tcp 'abc': is no port" "a word is no port" 127.0.0.1 --tcp abc
bad "\-\-tcp '80=ftp': ftp is no check.*connect, http, tls" "an unknown check" 127.0.0.1 --tcp 80=ftp
bad "\-\-udp-stun '443=tls'.*stun and turn" "a check of the other transport" 127.0.0.1 --udp-stun 443=tls
bad "\-\-tcp '70000': ports are 1 to 65535" "a port that there is not" 127.0.0.1 --tcp 70000
bad "at most 32" "more ports than can be checked" 127.0.0.1 --tcp 1000-1100
bad "nothing is left to check" "nothing to check" 127.0.0.1 --tcp none --udp-stun none
bad "\-\-preset zoom.*plugnmeet and livekit" "an unknown preset" 127.0.0.1 --preset zoom
bad "\-\-tcp-timeout 1ms.*100 ms to 60 s" "a time-out that no answer can hold" 127.0.0.1 --tcp-timeout 1ms
bad "\-\-tcp-timeout '4'.*unit" "a time without its unit" 127.0.0.1 --tcp-timeout 4
bad "\-\-connect-rate '10'.*10/s" "a rate without its unit" 127.0.0.1 --connect-rate 10
bad "\-\-connect-rate '0/s'.*0.1/s to 10000/s" "a rate of nothing" 127.0.0.1 --connect-rate 0/s
bad "\-\-connect-rate 'nan/s'" "a rate that is no number" 127.0.0.1 --connect-rate nan/s
bad "\-\-connections '0'.*1 to 60000" "no connections" 127.0.0.1 --connections 0
bad "\-\-port 7881.*\-\-connections" "the port of a test that was not asked for" 127.0.0.1 --port 7881
bad "\-\-hold 5s.*\-\-connections" "how long to hold what was not asked for" 127.0.0.1 --hold 5s
bad "\-\-connect-rate 5/s.*\-\-connections" "how fast to open it" 127.0.0.1 --connect-rate 5/s
bad "port 443 is checked by tls" "TLS in numbers" 127.0.0.1 --connections 5 --port 443
bad "\-\-idle 100ms.*1 s to" "an idle time that is none" 127.0.0.1 --idle 100ms
bad "\-\-sni: character 2 is not allowed" "a name with a space" 127.0.0.1 --sni "a b"
bad "\-\-sni 198.18.1.2: is an address, and TLS asks for names" "an address for a name" 127.0.0.1 --sni 198.18.1.2
bad "\-\-turn-sni a..b: a part between dots is empty" "a name with a hole" 127.0.0.1 --turn-sni a..b
bad "\-\-ufrag: has 0 characters" "an empty user name" 127.0.0.1 --ufrag ""
bad "\-\-livekit-yaml $tmp/none.yaml: cannot be read" "a file that is not there" 127.0.0.1 --livekit-yaml "$tmp/none.yaml"
printf 'port: [\n' >"$tmp/bad.yaml"
bad "$tmp/bad.yaml" "a file that is no YAML" 127.0.0.1 --livekit-yaml "$tmp/bad.yaml"
bad "link-local" "an address that means nothing without its link" fe80::1
for host in https://meet.example.org/ "[::1]" 127.0.0.1:443 user@host; do
	bad "HOST .*: give the name or the address alone, without scheme, port" "more than a host: $host" "$host"
done
fails_with 4 "HOST nowhere.invalid: cannot be resolved" "a name that nobody has" "$bin" tcp nowhere.invalid
fails_with 3 "5000 connections need 5128 open files.*ulimit -Hn 5128" "more connections than files" \
	bash -c 'ulimit -n 300 && exec "$@"' - "$bin" tcp 127.0.0.1 --connections 5000
is "$("$bin" tcp --help | grep -c -e '--connections' -e '--idle' -e '--turn-sni')" 3 "--help has the options"

# Every local port but two is somebody else's: what this host cannot do says nothing of the path.
if ((EUID == 0)); then
	code=0
	# shellcheck disable=SC2016 # for the inner shell
	unshare -n bash -c 'ip link set lo up && sysctl -qw net.ipv4.ip_local_port_range="40000 40001" &&
		{ python3 "$2" silent=9000 >/dev/null & } && for ((i = 0; i < 100; i++)); do ss -Htln "sport = :9000" | grep -q . && break; sleep 0.1; done
		"$1" tcp 127.0.0.1 --udp-stun none --tcp 9000=connect --connections 10 --hold 100ms \
		--tcp-timeout 500ms --json "$3"; code=$?; kill %1; exit $code' - "$EP_BIN" "$top/tests/lab/tcp_ends.py" "$json" >"$tmp/report" 2>/dev/null || code=$?
	is "$code $(jq -r '"\(.verdict) \(.tcp[] | select(.check == "capacity") | .status)"' "$json")" "5 invalid busy" \
		"no local port left: busy, which is this host's own limit, and the measurement is invalid"
	like "$(sed -n '/^What to do/,$p' "$tmp/report")" '^What to do.  -> TCP 9000: give this host more local ports [^>]*$' "... and what to do is to give it more, and that alone"
fi

# ---- what servers do -------------------------------------------------------------------------------------------------------

# Ports that are free now: four listeners of tcp_ends.py, one of HTTP, and one that nobody has.
ports=$(python3 -c 'import socket
socks = [socket.create_server(("127.0.0.1", 0)) for _ in range(6)]
print(*(s.getsockname()[1] for s in socks))')
read -r silent closes slams text http shut <<<"$ports"
start "$tmp/ends.log" python3 "$top/tests/lab/tcp_ends.py" "silent=$silent" "close=$closes" "slam=$slams" "text=$text"
cat >"$tmp/http.py" <<'END'
import asyncio, sys

async def talk(reader, writer):
    while await reader.readuntil(b"\r\n\r\n"):
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

async def main():
    server = await asyncio.start_server(talk, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    await server.serve_forever()

asyncio.run(main())
END
start "$tmp/http.log" python3 "$tmp/http.py" "$http"
ready()
{
	local port

	for port in "$@"; do
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || return 1
	done
}
wait_for 10 ready "$silent" "$closes" "$text" "$http"

tcp --udp-stun none --tcp "$http=http,$silent=ice-tcp,$closes=ice-tcp" --tcp-timeout 500ms
[[ $code == 0 ]] || jq -r ".reasons[]" "$json" | sed "s/^/# /"
is "$code" 0 "ports that are open: exit 0"
succeeds "... as the schema says" "$check" "$json" schema
is "$(jq -r .verdict "$json") $(jq -r '.command' "$json")" "pass tcp" "... and the verdict is pass"
is "$(row "$http" http .reply)" "HTTP 404 Not Found" "HTTP says its status"
is "$(row "$silent" ice-tcp '"\(.status), \(.reply)"')" "open, silent" "an ICE-TCP listener that says nothing is open"
is "$(row "$closes" ice-tcp '"\(.status), \(.reply)"')" "open, closed by the service" "... one that closes, too"
is "$(jq -c '[.ports, .trials]' "$json")" '[[],[]]' "there is no UDP load in the result"

tcp --udp-stun none --tcp "$http=http,$slams=connect,$text=tls,$shut=connect" --tcp-timeout 1s
is "$code" 1 "a port that is not open: exit 1"
is "$(row "$slams" connect) $(row "$text" tls) $(row "$shut" connect) $(row "$http" http)" "reset wrong-protocol refused open" \
	"each has its own status"
like "$(row "$shut" connect .advice)" "ufw allow $shut/tcp.*nft insert rule.*dport $shut accept.*security group" "... and its rule, three ways"
is "$(row "$shut" connect '.connect_ms > 0')" true "... a refusal has its time"

code=0
as_user "$bin" tcp 127.0.0.1 --udp-stun none --tcp "$text=tls,$http=http" --csv "$tmp/none.csv" >"$tmp/report" 2>&1 || code=$?
is "$code" 2 "an output that cannot be written is known before" # $tmp is not nobody's
code=0
as_user "$bin" tcp 127.0.0.1 --udp-stun none --tcp "$text=tls,$http=http" --csv - >"$tmp/rows.csv" 2>"$tmp/tcp.err" || code=$?
is "$code $(head -1 "$tmp/rows.csv" | tr -d '\r' | cut -d, -f1-6)" "1 transport,port,check,phase,status,required" "--csv - has the table of checks"
is "$(python3 -c 'import csv, sys; print([len(r) for r in csv.reader(open(sys.argv[1], newline=""))])' "$tmp/rows.csv")" "[16, 16, 16, 16, 16]" \
	"... each row with all its fields"
is "$(as_user "$bin" tcp 127.0.0.1 --udp-stun none --tcp "$http=http" --quiet 2>&1)" "" "--quiet says nothing"
like "$(as_user "$bin" tcp 127.0.0.1 --udp-stun none --tcp "$http=http")" "PASS.*TCP $http +http +open" "the report is a table"
like "$(as_user "$bin" tcp 127.0.0.1 --udp-stun none --tcp "$shut=connect")" \
	"--ip-permissions[[:space:]]+'IpProtocol=tcp,FromPort=$shut,ToPort=$shut,IpRanges=[^[:space:]]*::/0[^[:space:]]*'" "... and a command in it can be copied"

tcp --udp-stun "$shut" --tcp none
is "$code $(row "$shut" stun '"\(.status) \(.icmp.type)/\(.icmp.code)"')" "1 unreachable 3/3" "UDP where nobody listens: the ICMP message with its code"

# ---- a LiveKit file ----------------------------------------------------------------------------------------------------------

cat >"$tmp/livekit.yaml" <<END
port: $http
rtc:
  tcp_port: $silent
  port_range_start: 50000
  port_range_end: 60000
  udp_port: 7882
END
chmod 644 "$tmp/livekit.yaml"
tcp --livekit-yaml "$tmp/livekit.yaml" --tcp-timeout 500ms
is "$code $(row "$http" http) $(row "$silent" ice-tcp)" "0 open open" "the ports of a LiveKit file are checked as what they are"
like "$(jq -r '.warnings[]' "$json")" "livekit.yaml: .*udp_port" "... and it is said where the file contradicts itself"
tcp --livekit-yaml "$tmp/livekit.yaml" --tcp "$shut=connect"
is "$code $(jq -c '[.tcp[].port]' "$json")" "1 [$shut]" "--tcp goes before the file"

# ---- many, and idle ----------------------------------------------------------------------------------------------------------

tcp --udp-stun none --tcp "$http=http" --connections 150 --connect-rate 1000/s --hold 200ms
is "$code $(row "$http" capacity '.capacity | "\(.established) \(.answered) \(.lost_held)"')" "0 150 150 0" "150 connections are held, and each answers"
succeeds "... as the schema says" "$check" "$json" schema
tcp --udp-stun none --tcp "$silent=ice-tcp" --connections 20 --hold 100ms --tcp-timeout 500ms
is "$code $(row "$silent" capacity '.capacity | "\(.established) \(.answered) \(.acknowledged)"')" "1 20 0 20" \
	"connections that do not answer do not count"
tcp --udp-stun none --tcp "$http=http" --connections 20 --port "$shut" --hold 100ms
is "$code $(row "$shut" capacity '.capacity.causes.refused')" "1 20" "connects that fail are told by cause"
like "$(row "$shut" capacity .detail)" '^0 of 20 established.*; 20 refused$' "... in words as well"
like "$(as_user "$bin" tcp 127.0.0.1 --udp-stun none --tcp "$http=http" --connections 20 --hold 100ms)" \
	"many connections +failed +p50 +p99 +max.*TCP $http connect +0 +[0-9.]+ ms.*TCP $http answer +0 +[0-9.]+ ms" "the report has their times"
tcp --udp-stun none --tcp "$silent=connect" --idle 1s --tcp-timeout 500ms
is "$code $(row "$silent" idle '.idle | "\(.age_s) \(.alive) \(.connections)"')" "0 1 4 4" "idle connections of 1 s are alive"
succeeds "... as the schema says" "$check" "$json" schema

start "$tmp/idle.log" as_user "$bin" tcp 127.0.0.1 --udp-stun none --tcp "$silent=connect" --idle 100s --json -
idle_pid=$started_pid
connected()
{
	(($(ss -Htn state established dport = ":$silent" | wc -l) >= 40))
}
wait_for 10 connected || echo "# the idle connections never came"
# Twice, as timeout(1) does it.
to=$(pgrep -P "$idle_pid" -x everyport || echo "$idle_pid")
kill -INT "$to"
kill -INT "$to" || true
stopped_code=0
wait "$idle_pid" || stopped_code=$?
is "$stopped_code $(jq -r .verdict "$tmp/idle.log")" "6 interrupted" "Ctrl-C ends it with what there is, and exit 6"
code=0
timeout -s INT 1 "$EP_BIN" tcp 127.0.0.1 --udp-stun none --tcp "$silent=ice-tcp" --json - >"$json" 2>/dev/null || code=$?
is "$code $(jq -c '[.verdict, [.tcp[].check], (.reasons | length)]' "$json")" '124 ["interrupted",["connect"],1]' \
	"... also by timeout(1), which signals twice, and with the levels that were done"

finish
