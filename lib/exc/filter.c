/* Which frames the kernel is not shown: the same as on a kernel interface (lib/dev/filter.bpf.c), whole UDP without a VLAN tag. */
#include "exc_priv.h"

#include <netinet/in.h>
#include <string.h>

#define ETHER_BYTES 14
#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define IPV4_BYTES 20
#define IPV6_BYTES 40
#define UDP_BYTES 8
/* RFC 791: more fragments, and the offset. Not "don't fragment". */
#define IPV4_FRAGMENT_MASK 0x3fff

/* What a filter looks at. */
struct tuple {
	struct ep_wire_ip src, dst;
	uint16_t sport, dport;
};

void
exc_filter_set(struct exc_filter *f, const struct ep_dev_filter *from)
{
	*f = (struct exc_filter){
		.initiator = from->initiator,
		.any_local = from->any_local,
		.local = from->local,
		.peer = from->peer,
	};
	for (uint32_t i = 0; i < from->range->port_count; i++)
		f->port[from->range->port[i] / 64] |= UINT64_C(1) << (from->range->port[i] % 64);
}

static bool
ipv4_read(const uint8_t *ip, size_t len, struct tuple *t, size_t *udp_offset)
{
	const size_t header_bytes = len > 0 ? (size_t)(ip[0] & 0xf) * 4 : 0;

	if (len < IPV4_BYTES || ip[0] >> 4 != 4 || header_bytes < IPV4_BYTES ||
		ip[9] != IPPROTO_UDP || (ep_wire_get16(ip + 6) & IPV4_FRAGMENT_MASK) != 0)
		return false;
	t->src.family = t->dst.family = EP_WIRE_IPV4;
	memcpy(t->src.bytes_be, ip + 12, 4);
	memcpy(t->dst.bytes_be, ip + 16, 4);
	*udp_offset = header_bytes;
	return true;
}

static bool
ipv6_read(const uint8_t *ip, size_t len, struct tuple *t, size_t *udp_offset)
{
	if (len < IPV6_BYTES || ip[6] != IPPROTO_UDP)
		return false;
	t->src.family = t->dst.family = EP_WIRE_IPV6;
	memcpy(t->src.bytes_be, ip + 8, 16);
	memcpy(t->dst.bytes_be, ip + 24, 16);
	*udp_offset = IPV6_BYTES;
	return true;
}

static bool
tuple_read(const uint8_t *frame, size_t len, struct tuple *t)
{
	const uint8_t *ip = frame + ETHER_BYTES;
	size_t offset = 0;
	bool udp = false;

	if (len < ETHER_BYTES)
		return false;
	len -= ETHER_BYTES;
	if (ep_wire_get16(frame + 12) == ETHERTYPE_IPV4)
		udp = ipv4_read(ip, len, t, &offset);
	else if (ep_wire_get16(frame + 12) == ETHERTYPE_IPV6)
		udp = ipv6_read(ip, len, t, &offset);
	if (!udp || len < offset + UDP_BYTES)
		return false;
	t->sport = ep_wire_get16(ip + offset);
	t->dport = ep_wire_get16(ip + offset + 2);
	return true;
}

static bool
ip_equal(const struct ep_wire_ip *a, const struct ep_wire_ip *b)
{
	return a->family == b->family &&
		memcmp(a->bytes_be, b->bytes_be, a->family == EP_WIRE_IPV6 ? 16 : 4) == 0;
}

bool
exc_filter_takes(const struct exc_filter *f, const uint8_t *frame, size_t len)
{
	struct tuple t = {0};
	uint16_t port;

	if (!tuple_read(frame, len, &t))
		return false;
	port = f->initiator ? t.sport : t.dport;
	if ((f->port[port / 64] >> (port % 64) & 1) == 0)
		return false;
	if (!f->any_local && !ip_equal(&f->local, &t.dst))
		return false;
	return !f->initiator || ip_equal(&f->peer, &t.src);
}
