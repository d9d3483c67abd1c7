/* Answers to pings (RFC 792, RFC 4443 section 4.2). IPv4 options and IPv6 extension headers of the request are not returned. */

#include "stack_priv.h"

#include <string.h>

#define ECHO_REQUEST_IPV4 8
#define ECHO_REPLY_IPV4 0
#define ECHO_REQUEST_IPV6 128
#define ECHO_REPLY_IPV6 129

static void
ipv4_header(struct stack_out *out, const struct slow_ip *ip)
{
	uint8_t head[20] = {0x45, [6] = 0x40, [8] = EP_WIRE_TTL, [9] = SLOW_PROTO_ICMP};

	slow_put16(head + 2, (uint16_t)(sizeof(head) + ip->payload_bytes));
	memcpy(head + 12, ip->dst.bytes_be, 4);
	memcpy(head + 16, ip->src.bytes_be, 4);
	slow_put16(head + 10, slow_sum_finish(slow_sum(head, sizeof(head), 0)));
	stack_append(out, head, sizeof(head));
}

static void
ipv6_header(struct stack_out *out, const struct slow_ip *ip)
{
	uint8_t head[40] = {0x60, [6] = SLOW_PROTO_ICMPV6, [7] = EP_WIRE_TTL};

	slow_put16(head + 4, (uint16_t)ip->payload_bytes);
	memcpy(head + 8, ip->dst.bytes_be, 16);
	memcpy(head + 24, ip->src.bytes_be, 16);
	stack_append(out, head, sizeof(head));
}

/* To a host of ours from a host, by our MAC: never to a group, so that nobody can make many answer one. */
static bool
echo_is_for_us(struct ep_slow_stack *s, const struct stack_frame *f, const struct slow_ip *ip)
{
	const struct stack_addr *a = stack_addr_find(s, &ip->dst);

	return a != NULL && a->state == EP_SLOW_ADDR_OURS && stack_ip_is_host(&ip->src) &&
		stack_addr_find(s, &ip->src) == NULL && memcmp(f->dst_mac, s->mac, 6) == 0;
}

size_t
echo_input(struct ep_slow_stack *s, const struct stack_frame *f, const struct slow_ip *ip,
	uint64_t now_ns, uint8_t *bytes)
{
	const bool ipv6 = ip->src.family == EP_WIRE_IPV6;
	struct stack_out out = {bytes, 0};
	uint32_t sum = 0;
	uint8_t *icmp;

	if (ip->payload[0] != (ipv6 ? ECHO_REQUEST_IPV6 : ECHO_REQUEST_IPV4) ||
		ip->payload[1] != 0 || !echo_is_for_us(s, f, ip))
		return 0;
	s->count.echo++;
	stack_frame_begin(s, &out, f->src_mac, ipv6 ? STACK_TYPE_IPV6 : STACK_TYPE_IPV4);
	if (out.len + (ipv6 ? 40 : 20) + ip->payload_bytes > EP_SLOW_FRAME_MAX ||
		!stack_limit_take(s, &s->echo_limit, now_ns))
		return 0;
	if (ipv6)
		ipv6_header(&out, ip);
	else
		ipv4_header(&out, ip);
	icmp = stack_append(&out, ip->payload, ip->payload_bytes);
	icmp[0] = ipv6 ? ECHO_REPLY_IPV6 : ECHO_REPLY_IPV4;
	slow_put16(icmp + 2, 0);
	if (ipv6)
		sum = slow_pseudo_sum(&ip->dst, &ip->src, (uint32_t)ip->payload_bytes);
	slow_put16(icmp + 2, slow_sum_finish(slow_sum(icmp, ip->payload_bytes, sum)));
	return out.len;
}
