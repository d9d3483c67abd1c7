#!/usr/bin/env bash
# The TCP fallback check against servers that are not ours, and against an nftables firewall that does everything a firewall may do.
# Judges no time.
# shellcheck disable=SC2016 # conditions of awk
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=servers.sh
. "$(dirname "$0")/servers.sh"

lab_begin "the TCP fallback check" --lean --tcp 80,443,3478,5349,7881,9000-9009
make_certificate
start_nginx
start_coturn turn 3478 --tls-listening-port=5349
start_coturn turn443 443 --no-tcp --no-tls
start_ice
start_ends silent=9000 close=9001 slam=9004 text=9005

# tcp HOST [OPTION...]: the exit code is in $code, the result in $json, the report in $tmp/report.
tcp()
{
	code=0
	"$lab" exec initiator "$EP_BIN" tcp "$@" --json "$json" >"$tmp/report" 2>"$tmp/tcp.err" || code=$?
}

# row TRANSPORT PORT CHECK [FILTER]: of the row's object, by default its status.
row()
{
	jq -r ".tcp[] | select(.transport == \"$1\" and .port == $2 and .check == \"$3\") | ${4:-.status}" "$json"
}

real=80,443,3478=turn,5349=turn-tls,7881
names=(--sni "$web_name" --turn-sni "$turn_name")
known=(--ufrag "$ice_ufrag" --pwd "$ice_pwd")

# ---- servers that are not ours ---------------------------------------------------------------------------------------------

capture "$tmp/all.pcap" firewall in0
tcp "$responder" --tcp $real --udp-stun 443,3478 "${names[@]}" "${known[@]}"
is "$code" 0 "nginx, coturn and libnice: every port is open, exit 0"
is "$(value '[.tcp[].status] | unique')" '["open"]' "... and every row says so"
succeeds "... as the schema says" "$check" "$json" schema
is "$(row tcp 80 http .reply)" "HTTP 404 Not Found" "nginx on 80: HTTP, whatever the status"
like "$(row tcp 443 tls .tls.version)" '^TLSv1\.3$' "nginx on 443: TLS 1.3"
is "$(row tcp 443 tls '.tls | "\(.subject) \(.issuer) \(.verified)"')" "CN=$web_name CN=$ca_name false" \
	"... subject and issuer of the certificate, which nobody vouches for"
like "$(row tcp 443 tls .tls.days_left)" '^(29|30)$' "... and the days it has left"
like "$(row tcp 443 tls .detail)" "TLSv1\.3 for http/1\.1, certificate of CN=$web_name, issued by CN=$ca_name" "... in a sentence, with what is spoken in it"
is "$(row tcp 443 http .reply)" "HTTP 404 Not Found" "... HTTP over it"
like "$(row tcp 3478 turn .reply)" "^401.*$turn_realm" "coturn by TCP: 401 with its realm"
like "$(row tcp 443 turn-tls .reply)" "^401.*$turn_realm" "TURN behind the same port 443, by its name: 401 with coturn's realm"
like "$(row tcp 5349 turn-tls .reply)" "^401.*$turn_realm" "coturn inside TLS: 401 with its realm"
like "$(row udp 443 turn .reply)" "^401.*$turn_realm" "coturn on UDP 443: 401 with its realm"
like "$(row udp 3478 stun .mapped)" '^198\.18\.0\.2:[0-9]+$' "coturn's Binding answer has our address"
like "$(row tcp 7881 ice-tcp .mapped)" '^198\.18\.0\.2:[0-9]+$' "libnice takes our message integrity, and answers with our address"

responder6=2001:2:0:2::2
tcp $responder6 --tcp 80,443,3478=turn,5349=turn-tls --udp-stun 443,3478 "${names[@]}"
is "$code" 0 "the same over IPv6"
like "$(row udp 443 stun .mapped)" '^\[2001:2:0:1::2\]:[0-9]+$' "... with our IPv6 address"

tcp "$responder" --tcp 7881 --udp-stun none --ufrag "$ice_ufrag" --pwd not-the-password
is "$code $(row tcp 7881 ice-tcp)" "0 open" "libnice refuses another password: open"
like "$(row tcp 7881 ice-tcp .reply)" '^401' "... and it is said that it refused"
tcp "$responder" --tcp 7881,9000=ice-tcp,9001=ice-tcp --udp-stun none --ufrag nobody --tcp-timeout 1500ms
is "$code" 0 "a user name that the service does not know: exit 0"
like "$(row tcp 7881 ice-tcp '"\(.status) \(.reply)"')" '^open 40[01]' "... answered with an error (libnice)"
like "$(row tcp 9000 ice-tcp '"\(.status) \(.reply)"')" '^open silent' "... dropped"
like "$(row tcp 9001 ice-tcp '"\(.status) \(.reply)"')" '^open closed' "... closed by the service"

tcp "$responder" --tcp 443 --udp-stun none --sni "$web_name" --expect-issuer "everyport lab"
is "$code $(row tcp 443 tls)" "0 open" "the issuer that is expected, in other letters"
tcp "$responder" --tcp 443 --udp-stun none --sni "$web_name" --expect-issuer "Let's Encrypt"
is "$code $(row tcp 443 tls)" "1 tls-failed" "another issuer than expected: tls-failed, exit 1"
like "$(row tcp 443 tls .detail)" "$ca_name" "... and the issuer is named"
export SSL_CERT_FILE=$tmp/ca.pem
tcp "$responder" --tcp 443 --udp-stun none --sni "$web_name"
is "$code $(row tcp 443 tls .tls.verified)" "0 true" "a chain that this host trusts, for the name: verified"
tcp "$responder" --tcp 443 --udp-stun none
is "$code $(row tcp 443 tls '.tls | "\(.verified) \(.verify_error)"')" "0 false IP address mismatch" \
	"... and not for an address that is not in the certificate, which is said and no failure"
unset SSL_CERT_FILE
tcp "$responder" --tcp 443 --udp-stun none --sni "$nobody_name"
is "$code $(row tcp 443 tls)" "1 tls-failed" "a name that the server refuses: tls-failed, exit 1"
like "$(row tcp 443 tls .detail)" 'TLS is spoken.*unrecognized name' "... with its reason"
capture_end

# ---- a name with several addresses -----------------------------------------------------------------------------------------

# named HOST [OPTION...]: as tcp, with names that this host alone has.
cat >"$tmp/hosts" <<END
$responder6 many.example
2001:2:0:2::9 dark.example
198.18.1.9 dark.example
$responder dark.example
198.18.1.8 dead.example
198.18.1.9 dead.example
$responder $turn_name.
END
named()
{
	code=0
	# shellcheck disable=SC2016 # for the inner shell
	"$lab" exec initiator unshare -m sh -c 'mount --bind "$0" /etc/hosts && exec "$@"' "$tmp/hosts" \
		"$EP_BIN" tcp "$@" --udp-stun none --json "$json" >"$tmp/report" 2>"$tmp/tcp.err" || code=$?
}

named many.example --tcp 80
is "$code $(value .host.peer_address) $(value .warnings)" "0 \"$responder6\" []" "a name with one address, of IPv6"
named dark.example --tcp 80
is "$code $(value .host.peer_address)" "0 \"$responder\"" "a name whose first two addresses are dead: the third is checked"
like "$(value '.warnings[0]')" 'dark.example has 3 addresses, and this is about 198.18.1.2, the first that connects' "... and it is said"
like "$(value '.warnings[0]')" '2001:2:0:2::9: (no answer|No route).*198.18.1.9: (no answer|No route)' "... with what became of the others"
named dark.example --tcp 80,9009 --tcp-timeout 500ms
is "$code $(row tcp 80 http) $(row tcp 9009 connect)" "1 open refused" "... one port is enough for it"
named dead.example --tcp 80 --tcp-timeout 500ms
like "$code $(value '[.host.peer_address, .warnings[0]]')" '^1 .*198.18.1.[89].*none connects' "a name whose addresses are all dead: exit 1, and it is said"

named $turn_name. --tcp 443=turn-tls
is "$code $(row tcp 443 turn-tls)" "0 open" "the dot of the root behind a name is not for TLS"

# ---- as tshark reads it ----------------------------------------------------------------------------------------------------

# Of each packet with STUN in it: ip, ipv6, udp port, tcp port, and of its messages class, frame length, type, fingerprint, user name, realm.
tshark -r "$tmp/all.pcap" -Y stun -T fields -E separator='|' -E occurrence=a -E aggregator=' ' -e ip.src -e ipv6.src -e udp.dstport \
	-e tcp.dstport -e stun.type.class -e stun.tcp_frame_length -e stun.type -e stun.att.crc32 -e stun.att.username -e stun.att.realm \
	2>/dev/null >"$tmp/stun.txt"

# shark CONDITION [FIELD]: lines of the packets, or values, a word each. A condition is awk's; is_request is one.
shark()
{
	awk -F'|' "{is_request = \$5 ~ /(^| )0x0+( |\$)/} $1 {print \$${2:-7}}" "$tmp/stun.txt" | tr ' ' '\n' | sed '/^$/d'
}

is "$(complaints "$tmp/all.pcap")" 0 "tshark decodes all of it without a complaint"
while IFS='=' read -r shape condition; do
	number_is "$(shark "is_request && $condition" | wc -l)" -gt 0 "... requests of ours: $shape"
done <<'END'
UDP over IPv4=$1 != "" && $3 != ""
UDP over IPv6=$2 != "" && $3 != ""
TCP 3478=$4 == 3478
TCP 7881=$4 == 7881
END
is "$(shark '$4 == 7881' 6 | wc -l)" "$(shark '$4 == 7881' 7 | wc -l)" "... each ICE-TCP request in an RFC 4571 frame"
is "$(shark 'is_request && $8 == ""' | wc -l)" 0 "... each request with a right FINGERPRINT"
is "$(shark '$4 == 7881' 9 | grep -c "^$ice_ufrag:")" 2 "... the user name as ICE has it"
number_is "$(shark '$7 ~ /0x0113/' 10 | grep -cx $turn_realm)" -ge 5 "... and coturn's answers to them"

# ---- firewalls -------------------------------------------------------------------------------------------------------------

"$lab" exec firewall nft -f - <<'END'
insert rule inet everyport to_responder tcp dport 9006 counter drop
insert rule inet everyport to_responder tcp dport 9007 counter reject with tcp reset
insert rule inet everyport to_responder tcp dport 9008 counter reject with icmpx type admin-prohibited
insert rule inet everyport to_responder udp dport 3478 counter drop
END
bad=9003=connect,9003=tls,9003=ice-tcp,9004,9005=tls,9006,9007,9008,9009
for host in "$responder" $responder6; do
	tcp "$host" --tcp 80,$bad --udp-stun 3478 --tcp-timeout 2500ms
	is "$code" 1 "ports that are shut in every way there is, $host: exit 1"
	is "$(row tcp 80 http)" open "the port that is open stays open"
	is "$(row tcp 9003 connect) $(row tcp 9003 tls) $(row tcp 9003 ice-tcp)" "reset reset reset" "a proxy that accepts and closes, its backend being down: reset"
	is "$(row tcp 9004 connect)" reset "accept, then a reset: reset"
	is "$(row tcp 9005 tls)" wrong-protocol "plain text where TLS belongs: wrong-protocol"
	like "$(row tcp 9005 tls .reply)" '^220 mail' "... with what was said"
	is "$(row tcp 9006 connect)" filtered "drop: filtered"
	is "$(row tcp 9007 connect)" refused "reject with tcp reset: refused"
	is "$(row tcp 9008 connect)" unreachable "reject with icmp admin-prohibited: unreachable"
	is "$(row tcp 9008 connect '.icmp | "\(.type) \(.code)"')" "$([[ $host == *:* ]] && echo 1 1 || echo 3 13)" "... with type and code"
	is "$(row tcp 9009 connect)" refused "nobody listens: refused"
	is "$(row udp 3478 stun)" filtered "UDP 3478 dropped: filtered"
	for port in 9006 9007 9008; do
		like "$(row tcp $port connect .advice)" "ufw allow $port/tcp.*nft.*$port.*security group" "... $port: the rule to add, three ways"
	done
done
like "$(cat "$tmp/report")" 'TCP 9006.*filtered' "the report names the port and the status"
is "$(value .verdict)" '"fail"' "the verdict is fail"

finish
