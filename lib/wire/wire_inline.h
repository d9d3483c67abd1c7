#pragma once

/*
 * Bodies of the hot-path functions of ep_wire.h, for one frame at a time. Included by wire_batch.h only, at the end of ep_wire.h.
 */

#define EP_WIRE_ETH_BYTES 14
#define EP_WIRE_VLAN_BYTES 4
#define EP_WIRE_IPV4_BYTES 20
#define EP_WIRE_IPV6_BYTES 40
#define EP_WIRE_UDP_BYTES 8
#define EP_WIRE_ETHERTYPE_IPV4 0x0800
#define EP_WIRE_ETHERTYPE_IPV6 0x86dd
#define EP_WIRE_ETHERTYPE_VLAN 0x8100
#define EP_WIRE_PROTO_UDP 17
#define EP_WIRE_RTP_VERSION 0x80 /* Version 2, no padding, no extension, no CSRC. */
#define EP_WIRE_RTP_MARKER 0x80
#define EP_WIRE_MIX UINT64_C(0x9e3779b97f4a7c15) /* 2^64 / golden ratio, odd. */

static_assert(sizeof(struct ep_wire_block) == 16, "the tag's message is one AES block");
static_assert(EP_WIRE_OFF_FILLER == EP_WIRE_PROBE_BYTES, "the filler follows the probe");
static_assert(EP_WIRE_OFF_TAG % 2 == 0 && EP_WIRE_OFF_FILLER % 2 == 0,
	"checksum words do not straddle fields");

/* Unaligned big-endian access: each is one plain move and a swap. */
static inline uint16_t
ep_wire_get16(const uint8_t *p)
{
	uint16_t v_be;

	memcpy(&v_be, p, sizeof(v_be));
	return be16toh(v_be);
}

static inline uint32_t
ep_wire_get32(const uint8_t *p)
{
	uint32_t v_be;

	memcpy(&v_be, p, sizeof(v_be));
	return be32toh(v_be);
}

static inline uint64_t
ep_wire_get64(const uint8_t *p)
{
	uint64_t v_be;

	memcpy(&v_be, p, sizeof(v_be));
	return be64toh(v_be);
}

static inline void
ep_wire_put16(uint8_t *p, uint16_t v)
{
	const uint16_t v_be = htobe16(v);

	memcpy(p, &v_be, sizeof(v_be));
}

static inline void
ep_wire_put32(uint8_t *p, uint32_t v)
{
	const uint32_t v_be = htobe32(v);

	memcpy(p, &v_be, sizeof(v_be));
}

static inline void
ep_wire_put64(uint8_t *p, uint64_t v)
{
	const uint64_t v_be = htobe64(v);

	memcpy(p, &v_be, sizeof(v_be));
}

/*
 * Checksums are kept as plain 64-bit sums of 16- or 32-bit big-endian numbers and folded at the end: 2^16 = 1 modulo
 * 65535, so a 32-bit number counts as its two halves.
 *
 * A frame adds less than 2^14 numbers below 2^32, so a sum is below 2^48. After the first line it is at most
 * 2^32 + 2^16 - 2, so its high part is 2^16 only where the low one is below 0xffff; after the second at most 0x1fffe;
 * after the third at most 0xffff. Only a sum of 0 folds to 0.
 */
static inline uint16_t
ep_wire_fold(uint64_t sum)
{
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & UINT16_MAX) + (sum >> 16);
	return (uint16_t)((sum & UINT16_MAX) + (sum >> 16));
}

/* Two folds of a sum below 2^31; only 0 gives 0. */
static inline uint32_t
ep_wire_fold32(uint32_t sum)
{
	sum = (sum & UINT16_MAX) + (sum >> 16);
	return (sum & UINT16_MAX) + (sum >> 16);
}

/* UDP checksum field of a sum: 0 would mean "none" (RFC 768). */
static inline uint16_t
ep_wire_udp_field(uint64_t sum)
{
	const uint16_t check = (uint16_t)~ep_wire_fold(sum);

	return check != 0 ? check : UINT16_MAX;
}

/* Sum of an address on the wire. */
static inline uint64_t
ep_wire_addr_sum(const uint8_t *addr_be, enum ep_wire_family family)
{
	const uint64_t sum = ep_wire_get32(addr_be);

	if (family == EP_WIRE_IPV4)
		return sum;
	return sum + ep_wire_get32(addr_be + 4) + ep_wire_get32(addr_be + 8) +
		ep_wire_get32(addr_be + 12);
}

static inline void
ep_wire_block_set(struct ep_wire_block *block, const struct ep_wire_probe *probe)
{
	ep_wire_put32(block->bytes_be, probe->flow);
	ep_wire_put32(block->bytes_be + 4, probe->seq);
	ep_wire_put32(block->bytes_be + 8, probe->time_ns);
	ep_wire_put32(
		block->bytes_be + 12, (uint32_t)probe->orig_dport << 16 | (uint32_t)probe->pt << 8);
}

/* Two rounds of multiply and shift: both bijective, so no two probes of a trial share a word. */
static inline uint64_t
ep_wire_filler_word(uint32_t flow, uint32_t seq)
{
	uint64_t word = ((uint64_t)flow << 32 | seq) * EP_WIRE_MIX;

	word = (word ^ word >> 32) * EP_WIRE_MIX;
	return word ^ word >> 32;
}

/* The pattern's bytes that a filler's last, cut word keeps; the others 0. */
static inline uint64_t
ep_wire_filler_rest(uint64_t word, uint16_t filler_bytes)
{
	return word & ~(UINT64_MAX >> 8 * (filler_bytes % 8));
}

/* What a filler adds to the checksum: it starts at an even offset, and an odd end is padded with 0. */
static inline uint64_t
ep_wire_filler_sum(uint64_t word, uint16_t filler_bytes)
{
	const uint64_t rest = ep_wire_filler_rest(word, filler_bytes);
	const uint64_t whole_count = filler_bytes / 8;

	return whole_count * ((word >> 32) + (word & UINT32_MAX)) + (rest >> 32) +
		(rest & UINT32_MAX);
}

static inline void
ep_wire_filler_write(uint8_t *p, uint64_t word, uint16_t filler_bytes)
{
	const uint64_t word_be = htobe64(word);

	for (uint32_t i = filler_bytes / 8; i > 0; i--) {
		memcpy(p, &word_be, sizeof(word_be));
		p += sizeof(word_be);
	}
	if (filler_bytes & 4) {
		ep_wire_put32(p, (uint32_t)(word >> 32));
		word <<= 32;
		p += 4;
	}
	if (filler_bytes & 2) {
		ep_wire_put16(p, (uint16_t)(word >> 48));
		word <<= 16;
		p += 2;
	}
	if (filler_bytes & 1)
		*p = (uint8_t)(word >> 56);
}

/*
 * Length of the IP packet's UDP datagram [B], 0 when it holds none of ours. The caller has seen to it that `avail`, the
 * bytes from l3 on, is at least 42, so the fixed headers can be read.
 */
static inline uint32_t
ep_wire_parse_ipv4(uint8_t *l3, uint32_t avail, struct ep_wire_rx *rx)
{
	const uint32_t header_bytes = (l3[0] & 0x0fU) * 4;
	const uint32_t total_bytes = ep_wire_get16(l3 + 2);
	const bool fragment = (ep_wire_get16(l3 + 6) & 0x3fff) != 0; /* MF or an offset */

	if (l3[0] >> 4 != 4 || l3[9] != EP_WIRE_PROTO_UDP || fragment)
		return 0;
	if (header_bytes < EP_WIRE_IPV4_BYTES || total_bytes < header_bytes || total_bytes > avail)
		return 0;
	rx->udp = l3 + header_bytes;
	rx->family = EP_WIRE_IPV4;
	return total_bytes - header_bytes;
}

static inline uint32_t
ep_wire_parse_ipv6(uint8_t *l3, uint32_t avail, struct ep_wire_rx *rx)
{
	const uint32_t datagram_bytes = ep_wire_get16(l3 + 4);

	if (l3[0] >> 4 != 6 || l3[6] != EP_WIRE_PROTO_UDP ||
		EP_WIRE_IPV6_BYTES + datagram_bytes > avail)
		return 0;
	rx->udp = l3 + EP_WIRE_IPV6_BYTES;
	rx->family = EP_WIRE_IPV6;
	return datagram_bytes;
}

static inline bool
ep_wire_parse_l3(uint8_t *frame, uint32_t len, struct ep_wire_rx *rx)
{
	uint16_t ethertype = ep_wire_get16(frame + 12);
	uint32_t l3_offset = EP_WIRE_ETH_BYTES;
	uint32_t datagram_bytes = 0;

	if (ethertype == EP_WIRE_ETHERTYPE_VLAN) {
		ethertype = ep_wire_get16(frame + 16);
		l3_offset += EP_WIRE_VLAN_BYTES;
	}
	rx->l3 = frame + l3_offset;
	if (ethertype == EP_WIRE_ETHERTYPE_IPV4)
		datagram_bytes = ep_wire_parse_ipv4(rx->l3, len - l3_offset, rx);
	else if (ethertype == EP_WIRE_ETHERTYPE_IPV6)
		datagram_bytes = ep_wire_parse_ipv6(rx->l3, len - l3_offset, rx);
	if (datagram_bytes < EP_WIRE_UDP_BYTES + EP_WIRE_PROBE_BYTES)
		return false;
	rx->payload = rx->udp + EP_WIRE_UDP_BYTES;
	rx->payload_bytes = (uint16_t)(datagram_bytes - EP_WIRE_UDP_BYTES);
	return ep_wire_get16(rx->udp + 4) == datagram_bytes;
}

/* The probe of a frame whose payload is known. */
static inline void
ep_wire_rx_probe(struct ep_wire_rx *rx)
{
	const uint64_t head = ep_wire_get64(rx->payload);
	const uint64_t tail = ep_wire_get64(rx->payload + EP_WIRE_OFF_FLOW);
	const uint32_t ports = ep_wire_get32(rx->udp);

	rx->sport = (uint16_t)(ports >> 16);
	rx->dport = (uint16_t)ports;
	rx->tag = (uint32_t)tail << 16 | ep_wire_get16(rx->payload + EP_WIRE_OFF_TAG + 2);
	rx->probe = (struct ep_wire_probe){
		.flow = (uint32_t)(tail >> 32),
		.seq = ((uint32_t)tail & ~(uint32_t)UINT16_MAX) |
			((uint32_t)(head >> 32) & UINT16_MAX),
		.time_ns = (uint32_t)head,
		.pt = (uint8_t)(head >> 48) & (uint8_t)~EP_WIRE_RTP_MARKER,
		.first = (head >> 48 & EP_WIRE_RTP_MARKER) != 0,
	};
}

static inline bool
ep_wire_parse(uint8_t *frame, uint32_t len, struct ep_wire_rx *rx)
{
	if (len < EP_WIRE_MIN_FRAME_IPV4 - EP_WIRE_FCS_BYTES || !ep_wire_parse_l3(frame, len, rx))
		return false;
	if (rx->payload[EP_WIRE_OFF_VERSION] != EP_WIRE_RTP_VERSION)
		return false;
	ep_wire_rx_probe(rx);
	return rx->probe.pt >= EP_WIRE_PT_UP && rx->probe.pt <= EP_WIRE_PT_DOWN;
}

static inline void
ep_wire_rx_src(const struct ep_wire_rx *rx, struct ep_wire_ip *ip)
{
	memset(ip, 0, sizeof(*ip));
	ip->family = rx->family;
	if (rx->family == EP_WIRE_IPV4)
		memcpy(ip->bytes_be, rx->l3 + 12, 4);
	else
		memcpy(ip->bytes_be, rx->l3 + 8, 16);
}

/*
 * An echo is loaded whole before any of it is stored, in words as wide as they are: a load of bytes that a narrower store has
 * just written would wait for it.
 */

/* MAC addresses: 12 bytes turned by 6. */
static inline void
ep_wire_echo_macs(uint8_t *frame)
{
	uint64_t head, tail; /* Bytes 0 to 7 and 4 to 11. */

	head = ep_wire_get64(frame);
	tail = ep_wire_get64(frame + 4);
	ep_wire_put64(frame, tail << 16 | head >> 48);
	ep_wire_put32(frame + 8, (uint32_t)(head >> 16));
}

/* Addresses swapped, which no checksum notices, and the TTL of a fresh packet. */
static inline void
ep_wire_echo_ipv4(uint8_t *l3)
{
	const uint32_t word = ep_wire_get32(l3 + 8); /* TTL, protocol, checksum */
	const uint64_t addrs = ep_wire_get64(l3 + 12);
	const uint32_t before = word >> 16;
	const uint32_t after = (uint32_t)EP_WIRE_TTL << 8 | (before & UINT8_MAX);
	/* RFC 1624 equation 3. */
	const uint64_t sum = (uint64_t)(uint16_t)~word + (uint16_t)~before + after;

	ep_wire_put32(l3 + 8, after << 16 | (uint16_t)~ep_wire_fold(sum));
	ep_wire_put64(l3 + 12, addrs << 32 | addrs >> 32);
}

static inline void
ep_wire_echo_ipv6(uint8_t *l3)
{
	uint8_t src[16], dst[16];

	memcpy(src, l3 + 8, sizeof(src));
	memcpy(dst, l3 + 24, sizeof(dst));
	l3[7] = EP_WIRE_TTL;
	memcpy(l3 + 8, dst, sizeof(dst));
	memcpy(l3 + 24, src, sizeof(src));
}

static inline void
ep_wire_echo(uint8_t *frame, struct ep_wire_rx *rx, uint32_t tag)
{
	const uint64_t udp = ep_wire_get64(rx->udp);
	const uint16_t check = (uint16_t)udp;
	const uint16_t before = ep_wire_get16(rx->payload);
	const uint16_t after = (before & ~0x7fU) | EP_WIRE_PT_ECHO;
	/* RFC 1624 equation 3: the old first word and the old tag go, the new ones come. */
	const uint64_t sum =
		(uint64_t)(uint16_t)~check + (uint16_t)~before + after + (uint32_t)~rx->tag + tag;
	const uint64_t ports = (uint64_t)rx->dport << 48 | (uint64_t)rx->sport << 32;

	ep_wire_echo_macs(frame);
	if (rx->family == EP_WIRE_IPV4)
		ep_wire_echo_ipv4(rx->l3);
	else
		ep_wire_echo_ipv6(rx->l3);
	ep_wire_put64(rx->udp, ports | (udp & 0xffff0000) | ep_wire_udp_field(sum));
	ep_wire_put16(rx->payload, after);
	ep_wire_put32(rx->payload + EP_WIRE_OFF_TAG, tag);
	rx->sport = (uint16_t)(ports >> 48);
	rx->dport = (uint16_t)(ports >> 32);
	rx->probe.pt = EP_WIRE_PT_ECHO;
	rx->tag = tag;
	if (__builtin_expect(check == 0, 0))
		ep_wire_put16(rx->udp + 6, ep_wire_udp_checksum(rx));
}
