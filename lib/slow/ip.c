/* IP packets of either family: headers, options and extension headers, checksums. */

#include "slow_priv.h"

#include <string.h>

#define IPV4_BYTES 20
#define IPV6_BYTES 40
#define IPV4_FRAGMENT_MORE 0x2000
#define IPV4_FRAGMENT_OFFSET 0x1FFF

/* Extension headers that are passed over (RFC 8200 section 4, RFC 4302). Any other is where the payload begins. */
#define EXT_HOP_BY_HOP 0
#define EXT_ROUTING 43
#define EXT_FRAGMENT 44
#define EXT_AUTHENTICATION 51
#define EXT_DESTINATION 60
/* More of them in one packet are not followed: no sender has a use for them. */
#define EXT_MAX 16

static void
ip_set(struct ep_wire_ip *ip, enum ep_wire_family family, const uint8_t *bytes)
{
	memset(ip, 0, sizeof(*ip));
	ip->family = family;
	memcpy(ip->bytes_be, bytes, family == EP_WIRE_IPV4 ? 4 : 16);
}

static bool
ipv4_parse(const uint8_t *packet, size_t len, struct slow_ip *ip)
{
	const size_t header_bytes = (size_t)(packet[0] & 0x0F) * 4;
	size_t total_bytes;
	uint16_t fragment;

	if (len < IPV4_BYTES || header_bytes < IPV4_BYTES || header_bytes > len)
		return false;
	total_bytes = slow_get16(packet + 2);
	if (total_bytes < header_bytes)
		return false;
	fragment = slow_get16(packet + 6);
	ip_set(&ip->src, EP_WIRE_IPV4, packet + 12);
	ip_set(&ip->dst, EP_WIRE_IPV4, packet + 16);
	ip->protocol = packet[9];
	ip->hop_limit = packet[8];
	ip->fragment = (fragment & (IPV4_FRAGMENT_MORE | IPV4_FRAGMENT_OFFSET)) != 0;
	ip->later = (fragment & IPV4_FRAGMENT_OFFSET) != 0;
	ip->cut = total_bytes > len;
	ip->header = packet;
	ip->payload = packet + header_bytes;
	ip->payload_bytes = (ip->cut ? len : total_bytes) - header_bytes;
	return true;
}

static bool
ext_is_passed(uint8_t protocol)
{
	return protocol == EXT_HOP_BY_HOP || protocol == EXT_ROUTING || protocol == EXT_FRAGMENT ||
		protocol == EXT_AUTHENTICATION || protocol == EXT_DESTINATION;
}

/* Bytes of an extension header; its first two are there. */
static size_t
ext_bytes(uint8_t protocol, const uint8_t *header)
{
	if (protocol == EXT_FRAGMENT)
		return 8;
	if (protocol == EXT_AUTHENTICATION)
		return ((size_t)header[1] + 2) * 4; /* RFC 4302 section 2.2 */
	return ((size_t)header[1] + 1) * 8;
}

/* Pass one extension header over. Returns whether it was whole. */
static bool
ext_pass(struct slow_ip *ip)
{
	size_t bytes;

	if (ip->payload_bytes < 8)
		return false;
	bytes = ext_bytes(ip->protocol, ip->payload);
	if (bytes > ip->payload_bytes)
		return false;
	if (ip->protocol == EXT_FRAGMENT) {
		const uint16_t fragment = slow_get16(ip->payload + 2);

		/* An atomic fragment is whole (RFC 6946). */
		ip->fragment |= (fragment & 0xFFF9) != 0;
		ip->later |= (fragment & 0xFFF8) != 0;
	}
	ip->protocol = ip->payload[0];
	ip->payload += bytes;
	ip->payload_bytes -= bytes;
	return true;
}

static bool
ipv6_parse(const uint8_t *packet, size_t len, struct slow_ip *ip)
{
	size_t payload_bytes;

	if (len < IPV6_BYTES)
		return false;
	payload_bytes = slow_get16(packet + 4);
	ip_set(&ip->src, EP_WIRE_IPV6, packet + 8);
	ip_set(&ip->dst, EP_WIRE_IPV6, packet + 24);
	ip->protocol = packet[6];
	ip->hop_limit = packet[7];
	ip->fragment = false;
	ip->later = false;
	ip->cut = payload_bytes > len - IPV6_BYTES;
	ip->header = packet;
	ip->payload = packet + IPV6_BYTES;
	ip->payload_bytes = ip->cut ? len - IPV6_BYTES : payload_bytes;
	for (int i = 0; !ip->later && ext_is_passed(ip->protocol); i++) {
		if (i == EXT_MAX || !ext_pass(ip))
			return false;
	}
	return true;
}

bool
slow_ip_parse(const uint8_t *packet, size_t len, struct slow_ip *ip)
{
	if (len < 1)
		return false;
	switch (packet[0] >> 4) {
	case 4:
		return ipv4_parse(packet, len, ip);
	case 6:
		return ipv6_parse(packet, len, ip);
	default:
		return false;
	}
}

/* 65,535 bytes are 32,768 words below 2^16: no overflow of 32 bits, with a pseudo header besides. */
uint32_t
slow_sum(const uint8_t *bytes, size_t len, uint32_t sum)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		sum += slow_get16(bytes + i);
	if (len % 2 != 0)
		sum += (uint32_t)bytes[len - 1] << 8;
	return sum;
}

uint16_t
slow_sum_finish(uint32_t sum)
{
	sum = (sum >> 16) + (sum & 0xFFFF);
	sum += sum >> 16;
	return (uint16_t)~sum;
}

uint32_t
slow_pseudo_sum(const struct ep_wire_ip *src, const struct ep_wire_ip *dst, uint32_t payload_bytes)
{
	uint32_t sum = slow_sum(src->bytes_be, 16, 0);

	sum = slow_sum(dst->bytes_be, 16, sum);
	return sum + (payload_bytes >> 16) + (payload_bytes & 0xFFFF) + SLOW_PROTO_ICMPV6;
}

bool
slow_icmp_whole(const struct slow_ip *ip)
{
	const bool ipv6 = ip->src.family == EP_WIRE_IPV6;
	uint32_t sum = 0;

	if (ip->fragment || ip->cut || ip->payload_bytes < SLOW_ICMP_BYTES ||
		ip->protocol != (ipv6 ? SLOW_PROTO_ICMPV6 : SLOW_PROTO_ICMP))
		return false;
	if (!ipv6 &&
		slow_sum_finish(slow_sum(ip->header, (size_t)(ip->header[0] & 0x0F) * 4, 0)) != 0)
		return false;
	if (ipv6)
		sum = slow_pseudo_sum(&ip->src, &ip->dst, (uint32_t)ip->payload_bytes);
	return slow_sum_finish(slow_sum(ip->payload, ip->payload_bytes, sum)) == 0;
}
