#!/usr/bin/env bash
# What is on the wire: tshark decodes every probe as RTP, with good checksums, at the size that was asked for.
# Judges light loads.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=lab.sh
. "$(dirname "$0")/lab.sh"

lab_begin "probes as tshark sees them" --snat 198.18.1.100:10000-29999
serve

# shark FILE FILTER: packets of a capture that match; every UDP port of the range is decoded as RTP.
shark()
{
	tshark -r "$1" -o ip.check_checksum:TRUE -o udp.check_checksum:TRUE -d udp.port==50000-50199,rtp -Y "$2" 2>/dev/null | wc -l
}

# traffic NAME SIZE [OPTION...]: a short run with captures on both sides of the firewall.
traffic()
{
	local name=$1 size=$2 up down

	shift 2
	capture "$tmp/up.pcap" firewall in0 udp
	up=$capture_pid
	capture "$tmp/down.pcap" firewall out0 udp
	down=$capture_pid
	run --ports 50000-50199 --size "$size" --rate 2kpps --sweep-rate 2kpps --duration 2s --drain 500ms --tcp 443 --udp-stun none "$@"
	sleep 1
	stop "$up" INT
	stop "$down" INT
	code_is 0 "$name: the run passes"
	for file in up down; do
		local pcap=$tmp/$file.pcap all

		all=$(shark "$pcap" udp)
		number_is "$all" -eq "$(value '[.totals[].sent] | add')" "$name, $file side: every probe of both directions was captured"
		is "$(shark "$pcap" 'rtp && rtp.version == 2 && (rtp.p_type == 96 || rtp.p_type == 97 || rtp.p_type == 98)')" "$all" \
			"... and decodes as RTP with payload type 96, 97 or 98"
		is "$(shark "$pcap" 'udp.checksum.status == 1')" "$all" "... with a good UDP checksum"
		[[ $responder == *:* ]] ||
			is "$(shark "$pcap" 'ip.checksum.status == 1')" "$all" "... and a good IP checksum"
		is "$(shark "$pcap" "frame.len == $((size - 4))")" "$all" "... in frames of $((size - 4)) B, $size with FCS"
		is "$(shark "$pcap" 'rtp.marker == 1 && rtp.p_type == 96')" "400" "... the first up probe of each flow and trial has the marker"
	done
}

traffic "64 B" 64
traffic "1257 B" 1257
responder=2001:2:0:2::2
traffic "IPv6" 84

finish
