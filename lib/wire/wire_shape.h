#pragma once

/*
 * Bodies of the hot-path functions of ep_wire.h that take received frames of one shape apart, 16 bytes at a time. Included by
 * ep_wire.h only.
 *
 *   head: frame[12..27]                EtherType, IP header up to the protocol (IPv6: next header)
 *   low:  payload[-14..1]              UDP header, version, PT
 *   high: payload[2..17]               the rest of the probe
 *
 * Where payload is 42 (IPv4) or 62 (IPv6), so that no byte behind the smallest frame of the family is read.
 */

#include "wire_inline.h"

#include <ep_base.h>

static_assert(
	__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "fields are taken apart for little-endian");

typedef uint8_t ep_wire_vec __attribute__((vector_size(16)));

struct ep_wire_shape {
	ep_wire_vec head;
	ep_wire_vec low;
	uint32_t len; /* UINT32_MAX: none yet; no frame is that long. */
};

static inline ep_wire_vec
ep_wire_load(const uint8_t *p)
{
	ep_wire_vec v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline bool
ep_wire_vec_is_zero(ep_wire_vec v)
{
#ifdef __SSE4_1__
	typedef long long words __attribute__((vector_size(16)));

	return __builtin_ia32_ptestz128((words)v, (words)v);
#else
	typedef uint64_t words __attribute__((vector_size(16)));
	const words w = (words)v;

	return (w[0] | w[1]) == 0;
#endif
}

static inline uint32_t
ep_wire_payload_offset(const bool ipv6)
{
	return EP_WIRE_ETH_BYTES + (ipv6 ? EP_WIRE_IPV6_BYTES : EP_WIRE_IPV4_BYTES) +
		EP_WIRE_UDP_BYTES;
}

/* The bits of `head` that a plain frame has to have: not the type of service, the IPv4 ID, DF and the TTL. */
static inline ep_wire_vec
ep_wire_head_mask(const bool ipv6)
{
	const ep_wire_vec v4 = {0xff, 0xff, 0xff, 0, 0xff, 0xff, 0, 0, 0x3f, 0xff, 0, 0xff};
	const ep_wire_vec v6 = {0xff, 0xff, 0xf0, 0, 0, 0, 0xff, 0xff, 0xff};

	return ipv6 ? v6 : v4;
}

/* The same of `low`: UDP length, version, and PT without the marker; echo and down are told from what is beside them later. */
static inline ep_wire_vec
ep_wire_low_mask(const bool up)
{
	const ep_wire_vec up_mask = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0xff, 0x7f};
	const ep_wire_vec answer_mask = {
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0xff, 0x7c};

	return up ? up_mask : answer_mask;
}

static_assert(
	(EP_WIRE_PT_ECHO & 0x7c) == EP_WIRE_PT_UP && (EP_WIRE_PT_DOWN & 0x7c) == EP_WIRE_PT_UP,
	"the bits that all PTs have in common are those of one of them");

static inline void
ep_wire_shape_init(struct ep_wire_shape *s, const bool ipv6)
{
	const ep_wire_vec v4 = {0x08, 0, 0x45, 0, 0, 0, 0, 0, 0, 0, 0, EP_WIRE_PROTO_UDP};
	const ep_wire_vec v6 = {0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, EP_WIRE_PROTO_UDP};
	const ep_wire_vec low = {
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, EP_WIRE_RTP_VERSION, EP_WIRE_PT_UP};

	s->head = ipv6 ? v6 : v4;
	s->low = low;
	s->len = UINT32_MAX;
}

/* The lengths that a frame of `len` bytes without padding has in its headers. Returns whether it can hold a probe. */
static inline bool
ep_wire_shape_len(struct ep_wire_shape *s, uint32_t len, const bool ipv6)
{
	const uint32_t udp_bytes = len - ep_wire_payload_offset(ipv6) + EP_WIRE_UDP_BYTES;
	const uint32_t ip_bytes = ipv6 ? udp_bytes : udp_bytes + EP_WIRE_IPV4_BYTES;
	const uint32_t at = ipv6 ? 6 : 4;

	if (len < ep_wire_payload_offset(ipv6) + EP_WIRE_PROBE_BYTES || ip_bytes > UINT16_MAX)
		return false;
	s->head[at] = (uint8_t)(ip_bytes >> 8);
	s->head[at + 1] = (uint8_t)ip_bytes;
	s->low[10] = (uint8_t)(udp_bytes >> 8);
	s->low[11] = (uint8_t)udp_bytes;
	s->len = len;
	return true;
}

static inline bool
ep_wire_shape_fits(
	struct ep_wire_shape *s, const uint8_t *frame, uint32_t len, const bool ipv6, const bool up)
{
	const uint8_t *const payload = frame + ep_wire_payload_offset(ipv6);

	if (__builtin_expect(len != s->len, 0) && !ep_wire_shape_len(s, len, ipv6))
		return false;

	const ep_wire_vec differ =
		((ep_wire_load(frame + 12) ^ s->head) & ep_wire_head_mask(ipv6)) |
		((ep_wire_load(payload - 14) ^ s->low) & ep_wire_low_mask(up));

	if (!ep_wire_vec_is_zero(differ))
		return false;
	return up || (payload[EP_WIRE_OFF_PT] & 0x7fu) - EP_WIRE_PT_ECHO <= 1;
}

static inline void
ep_wire_plain_read(const uint8_t *frame, struct ep_wire_fields *fields, struct ep_wire_block *block,
	const bool ipv6, const bool up)
{
	const uint8_t *const payload = frame + ep_wire_payload_offset(ipv6);
	const ep_wire_vec low = ep_wire_load(payload - 14);
	const ep_wire_vec high = ep_wire_load(payload + 2);
	/* The marker is not in the tag, and the last byte is 0. */
	const ep_wire_vec block_mask = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0x7f, 0};
	const ep_wire_vec host = __builtin_shufflevector(
		high, high, 9, 8, 7, 6, 1, 0, 11, 10, 5, 4, 3, 2, 15, 14, 13, 12);
	const ep_wire_vec message = up ? __builtin_shufflevector(high, low, 6, 7, 8, 9, 10, 11, 0,
						 1, 2, 3, 4, 5, 24, 25, 31, 16)
				       : __builtin_shufflevector(high, low, 6, 7, 8, 9, 10, 11, 0,
						 1, 2, 3, 4, 5, 22, 23, 31, 16);
	const ep_wire_vec masked = message & block_mask;

	memcpy(fields, &host, sizeof(host));
	memcpy(block, &masked, sizeof(masked));
}

static inline void
ep_wire_rx_read(
	const struct ep_wire_rx *rx, struct ep_wire_fields *fields, struct ep_wire_block *block)
{
	struct ep_wire_probe probe = rx->probe;

	probe.orig_dport = probe.pt == EP_WIRE_PT_UP ? rx->dport : rx->sport;
	ep_wire_block_set(block, &probe);
	*fields = (struct ep_wire_fields){probe.flow, probe.seq, probe.time_ns, rx->tag};
}

static inline uint32_t
ep_wire_plain_ports(const uint8_t *frame, const bool ipv6)
{
	return ep_wire_get32(frame + ep_wire_payload_offset(ipv6) - EP_WIRE_UDP_BYTES);
}

static inline uint16_t
ep_wire_plain_src(const uint8_t *frame, struct ep_wire_ip *ip, const bool ipv6)
{
	ip->family = ipv6 ? EP_WIRE_IPV6 : EP_WIRE_IPV4;
	if (ipv6)
		memcpy(ip->bytes_be, frame + EP_WIRE_IPV6_SRC, 16);
	else
		memcpy(ip->bytes_be, frame + EP_WIRE_IPV4_SRC, 4);
	return (uint16_t)(ep_wire_plain_ports(frame, ipv6) >> 16);
}

static inline uint64_t
ep_wire_plain_src4(const uint8_t *frame)
{
	typedef uint64_t words __attribute__((vector_size(16)));
	const ep_wire_vec zero = {0};
	/* TTL, protocol, checksum; addresses; ports. */
	const ep_wire_vec v = ep_wire_load(frame + EP_WIRE_ETH_BYTES + 8);
	const ep_wire_vec word = __builtin_shufflevector(
		v, zero, 16, 16, 13, 12, 4, 5, 6, 7, 16, 16, 16, 16, 16, 16, 16, 16);

	return ((words)word)[0];
}

/*
 * Echoes. The sums are of the numbers as they are loaded, low byte first: a sum of 16-bit words does not care as long as all are
 * read alike (RFC 1071 section 2B).
 */

static inline void
ep_wire_echo_read(struct ep_wire_echoes *e, uint32_t i, const uint8_t *frame, const bool ipv6)
{
	if (!ipv6)
		memcpy(&e->head[i], frame + EP_WIRE_ETH_BYTES + 8, sizeof(e->head[i]));
	memcpy(&e->check[i], frame + ep_wire_payload_offset(ipv6) - 2, sizeof(e->check[i]));
}

static inline bool
ep_wire_echo_has_check(const struct ep_wire_echoes *e, uint32_t i)
{
	return (e->check[i] & UINT16_MAX) != 0;
}

static inline void
ep_wire_echo_sums(struct ep_wire_echoes *restrict e, const uint32_t *restrict up_tag,
	const uint32_t *restrict echo_tag)
{
	/* PT, a word's second byte, grows by that, and the last byte of `check` changes by that. */
	const uint32_t pt_change = (EP_WIRE_PT_ECHO - EP_WIRE_PT_UP) << 8;
	const uint32_t pt_differ = (uint32_t)(EP_WIRE_PT_ECHO ^ EP_WIRE_PT_UP) << 24;

	for (uint32_t i = 0; i < EP_WIRE_BURST; i++) {
		const uint32_t before = e->head[i] & UINT16_MAX; /* TTL, protocol */
		const uint32_t after = (before & 0xff00) | EP_WIRE_TTL;
		const uint32_t sum =
			(e->head[i] >> 16 ^ UINT16_MAX) + (before ^ UINT16_MAX) + after;

		e->head[i] = (ep_wire_fold32(sum) ^ UINT16_MAX) << 16 | after;
	}
	for (uint32_t i = 0; i < EP_WIRE_BURST; i++) {
		const uint32_t before = ~htobe32(up_tag[i]);
		const uint32_t after = htobe32(echo_tag[i]);
		const uint32_t sum = (~e->check[i] & UINT16_MAX) + pt_change + (before >> 16) +
			(before & UINT16_MAX) + (after >> 16) + (after & UINT16_MAX);
		const uint32_t check = ep_wire_fold32(sum) ^ UINT16_MAX;

		e->check[i] = (check != 0 ? check : UINT16_MAX) |
			((e->check[i] & ~(uint32_t)UINT16_MAX) ^ pt_differ);
		e->tag_be[i] = after;
	}
}

static inline void
ep_wire_echo_addrs6(uint8_t *frame)
{
	const ep_wire_vec src = ep_wire_load(frame + EP_WIRE_IPV6_SRC);
	const ep_wire_vec dst = ep_wire_load(frame + EP_WIRE_IPV6_DST);
	uint32_t ports;

	frame[EP_WIRE_ETH_BYTES + 7] = EP_WIRE_TTL;
	memcpy(frame + EP_WIRE_IPV6_SRC, &dst, sizeof(dst));
	memcpy(frame + EP_WIRE_IPV6_DST, &src, sizeof(src));
	memcpy(&ports, frame + EP_WIRE_IPV6_DST + 16, sizeof(ports));
	ports = ports << 16 | ports >> 16;
	memcpy(frame + EP_WIRE_IPV6_DST + 16, &ports, sizeof(ports));
}

/* TTL, protocol, checksum; addresses; ports: 16 bytes. */
static inline void
ep_wire_echo_addrs4(uint8_t *frame, uint32_t head)
{
	const ep_wire_vec before = ep_wire_load(frame + EP_WIRE_ETH_BYTES + 8);
	typedef uint32_t words __attribute__((vector_size(16)));
	words after = (words)__builtin_shufflevector(
		before, before, 0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 14, 15, 12, 13);

	after[0] = head;
	memcpy(frame + EP_WIRE_ETH_BYTES + 8, &after, sizeof(after));
}

static inline void
ep_wire_echo_write(const struct ep_wire_echoes *e, uint32_t i, uint8_t *frame, const bool ipv6)
{
	uint8_t *const payload = frame + ep_wire_payload_offset(ipv6);
	const ep_wire_vec macs = ep_wire_load(frame);
	const ep_wire_vec turned = __builtin_shufflevector(
		macs, macs, 6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5, 12, 13, 14, 15);

	memcpy(frame, &turned, sizeof(turned));
	if (ipv6)
		ep_wire_echo_addrs6(frame);
	else
		ep_wire_echo_addrs4(frame, e->head[i]);
	memcpy(payload - 2, &e->check[i], sizeof(e->check[i]));
	memcpy(payload + EP_WIRE_OFF_TAG, &e->tag_be[i], sizeof(e->tag_be[i]));
}
