#!/usr/bin/env bash
# everyport loop over two devices, of each kind that this version knows; and checksum offload.
# Judges light loads.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

need_root_or_skip "loop over devices"

check=$top/tests/check_result.py
ns=epdev$$
json=$tmp/result.json
cleanup()
{
	ip netns del "$ns" 2>/dev/null || true
}
ip netns add "$ns"
ip -n "$ns" link set lo up
ip -n "$ns" link add va numrxqueues 1 numtxqueues 1 type veth peer name vb numrxqueues 1 numtxqueues 1
ip -n "$ns" addr add 198.18.5.1/24 dev va
ip -n "$ns" addr add 198.18.5.2/24 dev vb
ip -n "$ns" link set va up
ip -n "$ns" link set vb up

# loop NAME OPTION...: has to be clean, and to pass; tried again where the machine was too busy.
loop()
{
	local name=$1 code try

	shift
	for try in 1 2 3; do
		code=0
		ip netns exec "$ns" "$EP_BIN" loop --ports 50000-50999 --duration 2s --drain 500ms --json "$json" "$@" >"$tmp/report" 2>&1 || code=$?
		[[ $code == 5 ]] || break
		echo "# $name: try $try was invalid"
	done
	code_is 0 "$name: passes"
	succeeds "... clean, closed, and as the schema says" "$check" "$json" ports=1000 clean closes schema
}

loop "AF_XDP on both ends of a veth pair" --dev va --dev vb --rate 20kpps
is "$(jq -r .host.driver "$json")" net_af_xdp "... by AF_XDP"
loop "AF_PACKET on both ends of a veth pair" --dev af_packet:va --dev af_packet:vb --rate 5kpps
memif="socket=$tmp/memif.sock,socket-abstract=no"
loop "net_memif, both roles in one process" --dev "net_memif0,role=server,$memif" --dev "net_memif1,role=client,$memif" \
	--rate 100kpps
loop "mixed sizes over net_memif" --dev "net_memif0,role=server,$memif" --dev "net_memif1,role=client,$memif" \
	--rate 20kpps --size 64,200,1256 --verify-payload
loop "two queues over net_memif" --dev "net_memif0,role=server,$memif" --dev "net_memif1,role=client,$memif" \
	--rate 20kpps --queues 2
is "$(jq -c '.queues | [.up, .down | (.received | length), (.max_ratio < 1.02), (.steering | test("^plain queues.*no RSS on UDP ports"))]' "$json")" \
	'[2,true,true,2,true,true]' "... each queue has its share, and why no better way was to be had"
is "$(jq -c '.host | [.queues, .queues_2, .steering, .steering_2]' "$json")" '[2,2,"plain queues","plain queues"]' "... as host{} says"
unlike "$(jq -c '.host.steering_reason, .queues.up.steering' "$json")" '[(]Function not implemented[)]' "... and a refusal is said once"
fails_with 2 "\-\-queues 4: net_v.* has 1; .*queues=4" "queues that a driver was not told of are refused" \
	"$EP_BIN" loop --queues 4 --dev "net_vhost0,iface=$tmp/vhost.sock" --dev "net_virtio_user0,path=$tmp/vhost.sock"
# Pinned workers have to be on time within 10 ms, which a shared machine may not allow; but nothing is called lost.
code=0
ip netns exec "$ns" "$EP_BIN" loop --dev "net_memif0,role=server,$memif" --dev "net_memif1,role=client,$memif" \
	--ports 50000-50999 --duration 2s --drain 500ms --rate 20kpps --cores 0,1 --json "$json" >"$tmp/report" 2>&1 || code=$?
like "$code" '^(0|5)$' "pinned workers over net_memif pass, or are invalid"
is "$(jq '[.ledger[].lost_max] | add' "$json")" 0 "... and nothing is lost"
succeeds "... and the ledger closes" "$check" "$json" closes schema
succeeds "no XDP program is left" bash -c "! ip -n $ns -d link show | grep -q prog/xdp"

# Checksum offload: net_tap computes them where a NIC would. Nothing joins the two taps; the frames on the wire are what counts.
start "$tmp/tap.log" ip netns exec "$ns" "$EP_BIN" loop --checksum offload --dev net_tap0,iface=ept0 --dev net_tap1,iface=ept1 \
	--ports 50000-50199 --rate 2kpps --duration 3s --vlan 5 --size 68,201
# tcpdump takes an interface only once it is up.
tap_is_up()
{
	ip -n "$ns" link show ept0 up | grep -q ept0
}
succeeds "the tap comes up" wait_for 10 tap_is_up
start "$tmp/tcpdump.log" ip netns exec "$ns" tcpdump -n -U -i ept0 -Q in -w "$tmp/tap.pcap" "vlan 5 and udp portrange 50000-50199"
tcpdump_pid=$started_pid
wait_for 10 grep -q "listening on" "$tmp/tcpdump.log" || sed 's/^/# /' "$tmp/tcpdump.log" "$tmp/tap.log"
sleep 4
stop "$tcpdump_pid" INT
tshark -r "$tmp/tap.pcap" -o ip.check_checksum:TRUE -o udp.check_checksum:TRUE -T fields -e ip.checksum.status \
	-e udp.checksum.status -e vlan.id >"$tmp/status" 2>/dev/null || true
number_is "$(wc -l <"$tmp/status")" -gt 100 "probes with offloaded checksums and a VLAN tag were captured"
is "$(sort -u "$tmp/status")" "$(printf '1\t1\t5')" "... all IP and UDP checksums are good, and all have the tag of the VLAN"
fails_with 3 "no checksum offload" "offload is refused where the device has none" "$EP_BIN" loop --checksum offload --duration 1s

finish
