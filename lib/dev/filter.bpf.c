/*
 * Tells probes from everything else that arrives on a kernel interface. Wanted is unfragmented UDP to the range
 * (responder) or from the peer's range (initiator); all else, and everything while unarmed, is left to the kernel.
 *
 * Two objects are built from this file, since DPDK's AF_XDP driver takes the first program of the object it is
 * given:
 *   with EP_FILTER_FOR_XDP: ep_filter_xdp redirects the wanted to the AF_XDP socket of their queue;
 *   without: ep_filter_sock lets only the wanted into the AF_PACKET sockets, and ep_filter_tc drops them at
 *   ingress, behind those sockets, so that the kernel does not answer them with ICMP port unreachable.
 *
 * DPDK's AF_PACKET driver asks its sockets for reassembled datagrams, so ep_filter_sock sees a fragmented one
 * whole and may take a copy, while ep_filter_tc, which sees the fragments, leaves them to the kernel.
 */

#include "filter_map.h"

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/pkt_cls.h>

#define IPV4_FRAGMENT_MASK 0x3fff /* More-fragments flag and offset. */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ep_filter_cfg);
} ep_cfg SEC(".maps");

/* What a packet is judged by. */
struct tuple {
	struct ep_filter_ip src;
	struct ep_filter_ip dst;
	__u16 sport;
	__u16 dport;
};

struct ipv4 {
	__u8 version_ihl;
	__u8 tos;
	__be16 len;
	__be16 id;
	__be16 fragment;
	__u8 ttl;
	__u8 protocol;
	__be16 checksum;
	__u32 src;
	__u32 dst;
};

struct ipv6 {
	__be32 version;
	__be16 len;
	__u8 next_header;
	__u8 hop_limit;
	__u32 src[4];
	__u32 dst[4];
};

struct udp {
	__be16 sport;
	__be16 dport;
	__be16 len;
	__be16 checksum;
};

#ifdef EP_FILTER_FOR_XDP
#define CTX struct xdp_md

static __always_inline int
load(CTX *ctx, __u32 offset, void *to, __u32 len)
{
	const char *from = (const char *)(long)ctx->data + offset;

	if (from + len > (const char *)(long)ctx->data_end)
		return -1;
	__builtin_memcpy(to, from, len);
	return 0;
}
#else
#define CTX struct __sk_buff

static __always_inline int
load(CTX *ctx, __u32 offset, void *to, __u32 len)
{
	return bpf_skb_load_bytes(ctx, offset, to, len);
}
#endif

static __always_inline int
ports_load(CTX *ctx, __u32 offset, struct tuple *t)
{
	struct udp udp;

	if (load(ctx, offset, &udp, sizeof(udp)) < 0)
		return -1;
	t->sport = bpf_ntohs(udp.sport);
	t->dport = bpf_ntohs(udp.dport);
	return 0;
}

static __always_inline int
ipv4_load(CTX *ctx, struct tuple *t)
{
	const __u32 offset = sizeof(struct ethhdr);
	struct ipv4 ip;

	if (load(ctx, offset, &ip, sizeof(ip)) < 0)
		return -1;
	if (ip.version_ihl >> 4 != 4 || (ip.version_ihl & 0xf) < 5 || ip.protocol != IPPROTO_UDP ||
		(ip.fragment & bpf_htons(IPV4_FRAGMENT_MASK)) != 0)
		return -1;
	t->src.family = t->dst.family = 4;
	__builtin_memcpy(t->src.bytes_be, &ip.src, sizeof(ip.src));
	__builtin_memcpy(t->dst.bytes_be, &ip.dst, sizeof(ip.dst));
	return ports_load(ctx, offset + (ip.version_ihl & 0xf) * 4, t);
}

static __always_inline int
ipv6_load(CTX *ctx, struct tuple *t)
{
	const __u32 offset = sizeof(struct ethhdr);
	struct ipv6 ip;

	if (load(ctx, offset, &ip, sizeof(ip)) < 0)
		return -1;
	if (ip.next_header != IPPROTO_UDP)
		return -1;
	t->src.family = t->dst.family = 6;
	__builtin_memcpy(t->src.bytes_be, ip.src, sizeof(ip.src));
	__builtin_memcpy(t->dst.bytes_be, ip.dst, sizeof(ip.dst));
	return ports_load(ctx, offset + sizeof(ip), t);
}

/* A frame with a VLAN tag has another EtherType here and stays with the kernel, which owns VLANs. */
static __always_inline int
tuple_load(CTX *ctx, struct tuple *t)
{
	struct ethhdr eth;

	if (load(ctx, 0, &eth, sizeof(eth)) < 0)
		return -1;
	if (eth.h_proto == bpf_htons(ETH_P_IP))
		return ipv4_load(ctx, t);
	if (eth.h_proto == bpf_htons(ETH_P_IPV6))
		return ipv6_load(ctx, t);
	return -1;
}

static __always_inline int
ip_equal(const struct ep_filter_ip *a, const struct ep_filter_ip *b)
{
	const __u32 *x = (const __u32 *)a->bytes_be;
	const __u32 *y = (const __u32 *)b->bytes_be;

	return a->family == b->family && x[0] == y[0] && x[1] == y[1] && x[2] == y[2] &&
		x[3] == y[3];
}

static __always_inline int
wanted(CTX *ctx)
{
	const struct ep_filter_cfg *cfg;
	struct tuple t = {};
	__u32 key = 0;
	__u16 port;

	cfg = bpf_map_lookup_elem(&ep_cfg, &key);
	if (!cfg || !cfg->armed || tuple_load(ctx, &t) < 0)
		return 0;
	port = cfg->initiator ? t.sport : t.dport;
	if ((cfg->port[port / 64] >> (port % 64) & 1) == 0)
		return 0;
	if (!cfg->any_local && !ip_equal(&cfg->local, &t.dst))
		return 0;
	return !cfg->initiator || ip_equal(&cfg->peer, &t.src);
}

#ifdef EP_FILTER_FOR_XDP

/* The name is the one that DPDK's driver looks for. */
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, EP_FILTER_QUEUES);
	__type(key, __u32);
	__type(value, __u32);
} xsks_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} ep_stray SEC(".maps");

/* The kernel gets it, and it is missing from our account; so it is counted. */
static __always_inline void
stray_count(void)
{
	__u32 key = 0;
	__u64 *pkts = bpf_map_lookup_elem(&ep_stray, &key);

	if (pkts)
		__sync_fetch_and_add(pkts, 1);
}

SEC("xdp")
int
ep_filter_xdp(struct xdp_md *ctx)
{
	int verdict;

	if (!wanted(ctx))
		return XDP_PASS;
	verdict = bpf_redirect_map(&xsks_map, ctx->rx_queue_index, XDP_PASS);
	if (verdict == XDP_PASS)
		stray_count();
	return verdict;
}

#else

/* Undecided, so that filters of others behind this one are asked, too. */
SEC("tc")
int
ep_filter_tc(struct __sk_buff *skb)
{
	return !skb->vlan_present && wanted(skb) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

/* Packet sockets also see what this host sends; that is never wanted. */
SEC("socket")
int
ep_filter_sock(struct __sk_buff *skb)
{
	if (skb->pkt_type == PACKET_OUTGOING || skb->vlan_present || !wanted(skb))
		return 0;
	return -1;
}

#endif

char filter_license[] SEC("license") = "Dual BSD/GPL";
