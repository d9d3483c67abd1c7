#include "ep_wire.h"

#include <arpa/inet.h>
#include <errno.h>

static size_t
addr_bytes(enum ep_wire_family family)
{
	return family == EP_WIRE_IPV4 ? 4 : 16;
}

bool
ep_wire_ip_equal(const struct ep_wire_ip *a, const struct ep_wire_ip *b)
{
	return a->family == b->family &&
		memcmp(a->bytes_be, b->bytes_be, addr_bytes(a->family)) == 0;
}

int
ep_wire_ip_parse(const char *text, struct ep_wire_ip *ip, struct ep_err *err)
{
	struct ep_wire_ip parsed = {0};

	if (inet_pton(AF_INET, text, parsed.bytes_be) == 1)
		parsed.family = EP_WIRE_IPV4;
	else if (inet_pton(AF_INET6, text, parsed.bytes_be) == 1)
		parsed.family = EP_WIRE_IPV6;
	else
		return ep_err_set(err, -EINVAL,
			"'%s' is not an IP address; allowed is IPv4 as 192.0.2.1 or IPv6 as "
			"2001:db8::1",
			text);
	*ip = parsed;
	return 0;
}

const char *
ep_wire_ip_format(char *buf, size_t len, const struct ep_wire_ip *ip)
{
	const int af = ip->family == EP_WIRE_IPV4 ? AF_INET : AF_INET6;

	if (inet_ntop(af, ip->bytes_be, buf, (socklen_t)len) == NULL && len > 0)
		buf[0] = '\0';
	return buf;
}

/* Sum of whole bytes in checksum words; an odd last byte is the high half of one. */
static uint64_t
bytes_sum(const uint8_t *p, size_t len)
{
	uint64_t sum = 0;

	for (; len >= 4; p += 4, len -= 4)
		sum += ep_wire_get32(p);
	for (; len >= 2; p += 2, len -= 2)
		sum += ep_wire_get16(p);
	return len > 0 ? sum + ((uint64_t)*p << 8) : sum;
}

static int
tmpl_check(const struct ep_wire_ends *ends, uint16_t frame_bytes, struct ep_err *err)
{
	const enum ep_wire_family family = ends->src.family;
	const int min_bytes =
		family == EP_WIRE_IPV4 ? EP_WIRE_MIN_FRAME_IPV4 : EP_WIRE_MIN_FRAME_IPV6;

	if (family != EP_WIRE_IPV4 && family != EP_WIRE_IPV6)
		return ep_err_set(err, -EINVAL,
			"source address has family %d; allowed is 4 (IPv4) or 6 (IPv6)",
			(int)family);
	if (ends->dst.family != family)
		return ep_err_set(err, -EINVAL,
			"source address is IPv%d and destination address IPv%d; both have to be of "
			"one family",
			(int)family, (int)ends->dst.family);
	if (frame_bytes < min_bytes || frame_bytes > EP_WIRE_MAX_FRAME)
		return ep_err_set(err, -ERANGE,
			"frame size %u B over IPv%d; allowed is %d to %d B with FCS", frame_bytes,
			(int)family, min_bytes, EP_WIRE_MAX_FRAME);
	return 0;
}

static void
eth_init(uint8_t *eth, const struct ep_wire_ends *ends, uint16_t ethertype)
{
	memcpy(eth, ends->dst_mac, 6);
	memcpy(eth + 6, ends->src_mac, 6);
	ep_wire_put16(eth + 12, ethertype);
}

/* ID 0 with DF: an atomic datagram, whose ID has no meaning (RFC 6864 section 4). */
static void
ipv4_init(uint8_t *l3, const struct ep_wire_ends *ends, uint16_t datagram_bytes,
	enum ep_wire_checksum checksum)
{
	l3[0] = 0x45;
	ep_wire_put16(l3 + 2, (uint16_t)(EP_WIRE_IPV4_BYTES + datagram_bytes));
	ep_wire_put16(l3 + 6, 0x4000);
	l3[8] = EP_WIRE_TTL;
	l3[9] = EP_WIRE_PROTO_UDP;
	memcpy(l3 + 12, ends->src.bytes_be, 4);
	memcpy(l3 + 16, ends->dst.bytes_be, 4);
	if (checksum == EP_WIRE_CHECKSUM_SOFTWARE)
		ep_wire_put16(l3 + 10, (uint16_t)~ep_wire_fold(bytes_sum(l3, EP_WIRE_IPV4_BYTES)));
}

static void
ipv6_init(uint8_t *l3, const struct ep_wire_ends *ends, uint16_t datagram_bytes)
{
	l3[0] = 0x60;
	ep_wire_put16(l3 + 4, datagram_bytes);
	l3[6] = EP_WIRE_PROTO_UDP;
	l3[7] = EP_WIRE_TTL;
	memcpy(l3 + 8, ends->src.bytes_be, 16);
	memcpy(l3 + 24, ends->dst.bytes_be, 16);
}

static uint64_t
pseudo_sum(const struct ep_wire_ends *ends, uint16_t datagram_bytes)
{
	return ep_wire_addr_sum(ends->src.bytes_be, ends->src.family) +
		ep_wire_addr_sum(ends->dst.bytes_be, ends->dst.family) + EP_WIRE_PROTO_UDP +
		datagram_bytes;
}

int
ep_wire_tmpl_init(struct ep_wire_tmpl *tmpl, const struct ep_wire_ends *ends, uint16_t frame_bytes,
	enum ep_wire_checksum checksum, struct ep_err *err)
{
	const bool ipv6 = ends->src.family == EP_WIRE_IPV6;
	const uint16_t l4_offset =
		EP_WIRE_ETH_BYTES + (ipv6 ? EP_WIRE_IPV6_BYTES : EP_WIRE_IPV4_BYTES);
	const uint16_t len = frame_bytes - EP_WIRE_FCS_BYTES;
	const uint16_t datagram_bytes = len - l4_offset;
	const int ret = tmpl_check(ends, frame_bytes, err);

	if (ret < 0)
		return ret;
	*tmpl = (struct ep_wire_tmpl){
		.header_bytes = l4_offset + EP_WIRE_UDP_BYTES,
		.len = len,
		.filler_bytes = datagram_bytes - EP_WIRE_UDP_BYTES - EP_WIRE_PROBE_BYTES,
		.family = ends->src.family,
		.checksum = checksum,
		.udp_sum = pseudo_sum(ends, datagram_bytes),
	};
	eth_init(tmpl->header, ends, ipv6 ? EP_WIRE_ETHERTYPE_IPV6 : EP_WIRE_ETHERTYPE_IPV4);
	if (ipv6)
		ipv6_init(tmpl->header + EP_WIRE_ETH_BYTES, ends, datagram_bytes);
	else
		ipv4_init(tmpl->header + EP_WIRE_ETH_BYTES, ends, datagram_bytes, checksum);
	ep_wire_put16(tmpl->header + l4_offset + 4, datagram_bytes);
	if (checksum == EP_WIRE_CHECKSUM_SOFTWARE)
		tmpl->udp_sum += datagram_bytes; /* the UDP header has the length once more */
	return 0;
}

uint16_t
ep_wire_udp_checksum(const struct ep_wire_rx *rx)
{
	const bool ipv4 = rx->family == EP_WIRE_IPV4;
	const size_t addrs_bytes = 2 * addr_bytes(rx->family);
	const uint16_t datagram_bytes = EP_WIRE_UDP_BYTES + rx->payload_bytes;

	return ep_wire_udp_field(bytes_sum(rx->l3 + (ipv4 ? 12 : 8), addrs_bytes) +
		EP_WIRE_PROTO_UDP + datagram_bytes + bytes_sum(rx->udp, 6) +
		bytes_sum(rx->payload, rx->payload_bytes));
}

bool
ep_wire_filler_ok(const struct ep_wire_rx *rx)
{
	const uint16_t filler_bytes = rx->payload_bytes - EP_WIRE_PROBE_BYTES;
	const uint64_t word = ep_wire_filler_word(rx->probe.flow, rx->probe.seq);
	const uint64_t word_be = htobe64(word);
	const uint8_t *p = rx->payload + EP_WIRE_OFF_FILLER;
	uint64_t differ = 0;

	for (uint32_t i = filler_bytes / 8; i > 0; i--) {
		uint64_t got_be;

		memcpy(&got_be, p, sizeof(got_be));
		differ |= got_be ^ word_be;
		p += sizeof(got_be);
	}
	return differ == 0 && memcmp(p, &word_be, filler_bytes % 8) == 0;
}
