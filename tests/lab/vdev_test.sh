#!/usr/bin/env bash
# everyport loop over each pair of DPDK's virtual devices that can be joined: the account is exact; what cannot be joined is refused.
# Judges light loads.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

need_root_or_skip "loop over virtual devices"

check=$top/tests/check_result.py
ns=epvdev$$
json=$tmp/result.json
cleanup()
{
	ip netns del "$ns" 2>/dev/null || true
}
ip netns add "$ns"
ip netns exec "$ns" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
ip -n "$ns" link add va type veth peer name vb
ip -n "$ns" link set va up
ip -n "$ns" link set vb up

# loop NAME RATE OPTION...: every probe that was sent is accounted for, and nothing is lost on the way. What a device's own ring dropped
# (imissed) is no loss on the way, and then the run is invalid and says so.
loop()
{
	local name=$1 rate=$2

	shift 2
	code=0
	ip netns exec "$ns" timeout -k 5 60 "$EP_BIN" loop --ports 50000-50499 --duration 1s --sweep-rate 2kpps --drain 500ms --rate "$rate" \
		--json "$json" "$@" >"$tmp/report" 2>&1 || code=$?
	code_is 0 "$name: passes"
	succeeds "... the account closes on every port" "$check" "$json" ports=500 closes schema
	number_is "$(jq '[.ledger[] | .lost_max - .imissed] | add' "$json")" -eq 0 "... no probe is lost on the way"
	number_is "$(jq '[.ledger[].received] | min' "$json")" -gt 1500 "... and both ways carried the load"
}

memif="socket=$tmp/memif.sock,socket-abstract=no"
loop "net_memif" 20kpps --dev "net_memif0,role=server,$memif" --dev "net_memif1,role=client,$memif"
loop "net_vhost as server, net_virtio_user as client, with two queues" 20kpps --queues 2 --dev "net_vhost0,iface=$tmp/a.sock,queues=2" \
	--dev "net_virtio_user0,path=$tmp/a.sock,queues=2"
is "$(jq -c '[.queues[].received | length, min > 0]' "$json")" '[2,true,2,true]' "... by both queues of both"
loop "net_virtio_user as server, net_vhost as client, in the order that would wait for ever" 20kpps \
	--dev "net_virtio_user0,path=$tmp/b.sock,server=1" --dev "net_vhost0,iface=$tmp/b.sock,client=1"
loop "net_af_packet on both ends of a veth pair" 2kpps --dev net_af_packet0,iface=va --dev net_af_packet1,iface=vb
loop "net_pcap on both ends of a veth pair" 2kpps --dev net_pcap0,rx_iface_in=va,tx_iface=va --dev net_pcap1,rx_iface_in=vb,tx_iface=vb

# Two taps that were there before, joined by the kernel: what one is given leaves by the other.
for i in 0 1; do
	ip -n "$ns" tuntap add dev ept$i mode tap multi_queue
	ip -n "$ns" link set ept$i up
done
ip netns exec "$ns" nft -f - <<'NFT'
table netdev join {
	chain a { type filter hook ingress device "ept0" priority 0; fwd to "ept1"; }
	chain b { type filter hook ingress device "ept1" priority 0; fwd to "ept0"; }
}
NFT
loop "net_tap, two of them joined" 2kpps --dev net_tap0,iface=ept0 --dev net_tap1,iface=ept1

fails_with 2 "net_null throws away" "net_null is refused" "$EP_BIN" loop --dev net_null0 --dev net_null1
fails_with 2 "hears only itself" "net_ring by name is refused" "$EP_BIN" loop --dev net_ring0 --dev net_ring1
fails_with 2 "and so is the other device" "two servers that would wait for each other are refused" \
	timeout 20 "$EP_BIN" loop --dev "net_virtio_user0,path=$tmp/c.sock,server=1" --dev "net_vhost0,iface=$tmp/c.sock"

finish
