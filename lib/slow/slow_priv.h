#pragma once

/** @file What the files of the slow path share: IP packets taken apart, checksums, numbers in network order. */

#include "ep_slow.h"

#define SLOW_PROTO_ICMP 1
#define SLOW_PROTO_UDP 17
#define SLOW_PROTO_ICMPV6 58

#define SLOW_UDP_BYTES 8
#define SLOW_ICMP_BYTES 8

static inline uint16_t
slow_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t
slow_get32(const uint8_t *p)
{
	return (uint32_t)slow_get16(p) << 16 | slow_get16(p + 2);
}

static inline void
slow_put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void
slow_put32(uint8_t *p, uint32_t v)
{
	slow_put16(p, (uint16_t)(v >> 16));
	slow_put16(p + 2, (uint16_t)v);
}

/** An IP packet, taken apart. Pointers into it. */
struct slow_ip {
	struct ep_wire_ip src;
	struct ep_wire_ip dst;
	uint8_t protocol;  /**< Of the payload, behind all extension headers. */
	uint8_t hop_limit; /**< Or TTL. */
	bool fragment;     /**< Not whole: a fragment, the first one or another. */
	bool later;        /**< Not the first fragment: the payload does not begin with a header. */
	const uint8_t *header;
	const uint8_t *payload;
	size_t payload_bytes; /**< Inside of what was handed in [B]. */
	bool cut;             /**< The packet was longer than what was handed in. */
};

/** Take a packet apart, options and extension headers passed over. @return Whether it is one, of either family. */
bool slow_ip_parse(const uint8_t *packet, size_t len, struct slow_ip *ip);

/** Internet checksum (RFC 1071) of bytes, on top of a sum so far; 0 in front of the first. Not yet folded or inverted. */
uint32_t slow_sum(const uint8_t *bytes, size_t len, uint32_t sum);

/** The field: folded and inverted. */
uint16_t slow_sum_finish(uint32_t sum);

/** Sum of the IPv6 pseudo header (RFC 8200 section 8.1) of ICMPv6. */
uint32_t slow_pseudo_sum(
	const struct ep_wire_ip *src, const struct ep_wire_ip *dst, uint32_t payload_bytes);

/** Whether the payload is a whole ICMP message of the packet's family; its checksum and IPv4's are right. */
bool slow_icmp_whole(const struct slow_ip *ip);
