#!/usr/bin/env bash
# Another hand reads what lib/stun writes: tshark decodes STUN and TURN over UDP, over TCP and in ICE-TCP frames without a
# complaint, with the values that were put in; and it does see where a byte was changed.
# Judges no time.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

packets=${EP_STUN_PACKETS_BIN:-$top/build/tests/lab/stun_packets}

if [[ -z $(type -P tshark) || -z $(type -P text2pcap) ]]; then
	skip "STUN as tshark sees it" "tshark and text2pcap are not installed; scripts/setup.sh --tests installs them"
	finish
fi

# pcap NAME HEADER: a dump from stdin becomes NAME.pcap. "I" in the dump is from the server.
pcap()
{
	text2pcap -q -D "$2" 3478,40000 -4 198.51.100.1,192.0.2.7 - "$tmp/$1.pcap" 2>"$tmp/text2pcap.log" ||
		not_ok "text2pcap takes the dump $1" "$(<"$tmp/text2pcap.log")"
}

# shark NAME OPTION...
shark()
{
	local name=$1

	shift
	tshark -r "$tmp/$name.pcap" "$@" 2>/dev/null
}

# complaints NAME: frames with an expert's remark of any severity, a malformed part, or a wrong checksum.
complaints()
{
	shark "$1" -Y '_ws.expert || _ws.malformed || stun.att.crc32.status == "Bad"' | wc -l
}

# values NAME FIELD...: the values of all messages in order, one a line; nothing for a message that lacks it.
values()
{
	local name=$1 field options=()

	shift
	for field in "$@"; do
		options+=(-e "$field")
	done
	shark "$name" -Y stun -T fields -E aggregator=' ' -E separator=' ' "${options[@]}" | tr ' ' '\n' | sed '/^$/d'
}

types="0x0001 0x0101 0x0001 0x0101 0x0003 0x0113 0x0003 0x0103"
declare -A header=([udp]=-u [bare]=-T [framed]=-T)
declare -A want=([udp]="$types 0x0001 0x0111 0x0001 0x0101" [bare]="$types 0x0001 0x0111 0x0001 0x0101"
	[framed]="0x0001 0x0101 0x0001 0x0003 0x0101 0x0113 0x0003 0x0103")
declare -A fingerprints=([udp]=6 [bare]=6 [framed]=6)

for shape in udp bare framed; do
	"$packets" $shape | pcap $shape "${header[$shape]}"
	is "$(complaints $shape)" 0 "$shape: no complaint"
	is "$(values $shape stun.type | paste -sd' ')" "${want[$shape]}" "$shape: every message is decoded, in order"
	is "$(values $shape stun.att.crc32.status | grep -cx 1)" "${fingerprints[$shape]}" "$shape: FINGERPRINT is right where there is one"
	is "$(values $shape stun.att.realm | sort -u)" everyport.example "$shape: the realm"
	is "$(values $shape stun.att.error)" "$([[ $shape == framed ]] && echo 1 || printf '1\n20')" "$shape: the error codes 401 and 420"
	like "$(values $shape stun.att.ipv6 | paste -sd' ')" '^2001:db8::7$' "$shape: the mapped address, IPv6"
	is "$(values $shape stun.att.username | sort -u | head -1)" far:near "$shape: the user name"
	is "$(values $shape stun.att.priority stun.att.lifetime | sort -u | paste -sd' ')" "1845494271 600" "$shape: priority and lifetime"
done
is "$(values framed stun.tcp_frame_length | wc -l)" 8 "framed: each message is in a frame of its own"

# One byte changed in the first message: its FINGERPRINT's last, then the length of its SOFTWARE.
"$packets" udp | awk '/^000020/ && !done { sub(/[0-9a-f][0-9a-f]$/, "ff"); done = 1 } { print }' | pcap fingerprint -u
number_is "$(complaints fingerprint)" -gt 0 "a wrong FINGERPRINT is complained about"
"$packets" udp | awk '/^000010/ && !done { $8 = $8 == "00" ? "7f" : "00"; done = 1 } { print }' | pcap length -u
is "$(values length stun.att.crc32.status | wc -l)" $((fingerprints[udp] - 1)) "a wrong length hides what is behind it"

finish
