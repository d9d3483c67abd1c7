#!/usr/bin/env bash
# serve in the place of a LiveKit server: the ports of its configuration file, as serve, tcp and run read it, and ICE-TCP with the user
# name and password of a session.
# Judges no time.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=servers.sh
. "$(dirname "$0")/servers.sh"

lab_begin "the ports of a LiveKit server" --lean --tcp 5349,7880,7881 --stun 3478,7882
ice=(--ufrag sessionufrag --pwd sessionpasswordsessionpassword)
yaml=$tmp/livekit.yaml
cat >"$yaml" <<'END'
port: 7880
rtc:
  tcp_port: 7881
  port_range_start: 50000
  port_range_end: 50199
turn:
  enabled: true
  domain: turn.example
  tls_port: 5349
  udp_port: 3478
  cert_file: turn.crt
END

# tcp [OPTION...]: the exit code is in $code, the result in $json.
tcp()
{
	code=0
	"$lab" exec initiator "$EP_BIN" tcp "$responder" --json "$json" "$@" >"$tmp/report" 2>"$tmp/tcp.err" || code=$?
}

# open_rows: "transport port check" of the rows that are open.
open_rows()
{
	value '[.tcp[] | select(.status == "open") | "\(.transport) \(.port) \(.check)"] | sort'
}

# reply PORT CHECK: of the row before the load, or of the only one.
reply()
{
	jq -r "[.tcp[] | select(.port == $1 and .check == \"$2\") | .reply][0]" "$json"
}

# ---- a configuration file ----------------------------------------------------------------------------------------------------

serve --livekit-yaml "$yaml" "${ice[@]}"
like "$(tail -1 "$tmp/serve.log")" 'TCP 5349 7880 7881 and UDP 3478$' "serve takes its ports from a LiveKit file"
like "$(cat "$tmp/serve.log")" 'relay_range' "... and says what the file leaves out"

capture "$tmp/all.pcap" firewall in0 "tcp or udp port 3478"
tcp --livekit-yaml "$yaml" "${ice[@]}"
is "$code" 0 "tcp takes the same ports from the same file: exit 0"
is "$(open_rows)" '["tcp 5349 connect","tcp 5349 turn-tls","tcp 7880 connect","tcp 7880 http","tcp 7881 connect","tcp 7881 ice-tcp","udp 3478 stun","udp 3478 turn"]' \
	"... each as what it is"
is "$(value '.tcp[] | select(.check == "turn-tls") | .tls.subject')" '"CN=turn.example"' "... TURN by the name in the file"
like "$(value .warnings)" 'relay_range' "... and says the same of the file"
capture_end
is "$(complaints "$tmp/all.pcap")" 0 "tshark decodes it without a complaint"
is "$(tshark -r "$tmp/all.pcap" -Y 'tcp.port == 7881 && stun' -T fields -e stun.att.type 2>/dev/null | grep -c 0x0008)" 2 \
	"... with message integrity in the question and in the answer"

# By a name whose first address is dead.
printf '%s many.example\n' 198.18.1.9 "$responder" >"$tmp/hosts"
cat >"$tmp/named" <<END
#!/bin/sh
exec unshare -m sh -c 'mount --bind "\$0" /etc/hosts && exec "\$@"' "$tmp/hosts" "$EP_BIN" "\$@"
END
chmod +x "$tmp/named"
EP_BIN=$tmp/named run --peer many.example --livekit-yaml "$yaml" "${ice[@]}" --rate 1kpps --duration 2s --drain 500ms --sweeps 1
fallback_code_is 0 "run takes them, too"
succeeds "... as the schema says" "$check" "$json" schema
like "$(value '[.host.peer_address, .warnings[]]')" '^."198.18.1.2".*many.example has 2 addresses, and this is about 198.18.1.2' \
	"... by a name with two addresses, of which the first is dead"
is "$(value '[.config.ports, (.ports | length)]')" '["50000-50199",200]' "... and its media ports are those of the file"
is "$(value '[.tcp[].status] | unique')" '["open"]' "... every port is open before, during and after"

# ---- the password of a session -----------------------------------------------------------------------------------------------

like "$(reply 7881 ice-tcp)" '^mapped 198\.18\.0\.2:[0-9]+$' "who knows the password is answered with message integrity"
tcp --tcp 7881 --udp-stun none "${ice[@]:0:2}" --pwd another-password-than-that
is "$code $(reply 7881 ice-tcp)" "0 401 Unauthenticated" "who knows another is refused, and the port is open"
tcp --tcp 7881 --udp-stun none
is "$code $(reply 7881 ice-tcp)" "0 400 Bad Request" "who gives none, too"
tcp --tcp 7881 --udp-stun 3478=stun --ufrag others "${ice[@]:2}"
is "$code $(reply 7881 ice-tcp) $(reply 3478 stun)" "0 401 Unauthenticated 401 Unauthenticated" "the password belongs to its user name"
tcp --tcp none --udp-stun 3478
like "$code $(reply 3478 stun) $(reply 3478 turn)" '^0 mapped 198\.18\.0\.2:[0-9]+ 401 realm everyport$' "STUN asks nobody for a password"
stop "$serve_pid" INT

# ---- without a password, and the preset --------------------------------------------------------------------------------------

serve --preset livekit
like "$(tail -1 "$tmp/serve.log")" 'TCP 5349 7880 7881 and UDP 3478 7882$' "the ports of the preset"
tcp --preset livekit "${ice[@]}"
is "$code $(value '[.tcp[] | select(.status != "open")]')" "0 []" "... are answered"
like "$(reply 7881 ice-tcp)" '^mapped .*, without integrity$' "a service that does not know the password cannot pass for the one that does"
stop "$serve_pid" INT

finish
