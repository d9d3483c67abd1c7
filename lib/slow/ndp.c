/* Neighbour discovery: solicitations and advertisements (RFC 4861 section 7), duplicate address detection (RFC 4862 section 5.4). */

#include "stack_priv.h"

#include <string.h>

#define NDP_BYTES 24
#define NDP_SOLICITATION 135
#define NDP_ADVERTISEMENT 136
#define NDP_HOP_LIMIT 255
#define NDP_OPTION_SOURCE 1
#define NDP_OPTION_TARGET 2
#define NDP_OPTION_BYTES 8
#define NDP_SOLICITED 0x40
#define NDP_OVERRIDE 0x20
#define NDP_TARGET 8 /* offset in the message [B] */

static const struct ep_wire_ip unspecified = {.family = EP_WIRE_IPV6};
static const struct ep_wire_ip all_nodes = {EP_WIRE_IPV6, {0xFF, 0x02, [15] = 1}};

/* RFC 4291 section 2.7.1: ff02::1:ff and the last 24 bits. */
static struct ep_wire_ip
solicited_node(const struct ep_wire_ip *ip)
{
	struct ep_wire_ip group = {EP_WIRE_IPV6, {0xFF, 0x02, [11] = 1, [12] = 0xFF}};

	memcpy(group.bytes_be + 13, ip->bytes_be + 13, 3);
	return group;
}

bool
ndp_is_solicited_node(const struct ep_wire_ip *group, const struct ep_wire_ip *ip)
{
	const struct ep_wire_ip want = solicited_node(ip);

	return ep_wire_ip_equal(group, &want);
}

/* --- Writing --- */

struct ndp_message {
	uint8_t type;
	uint8_t flags;
	const struct ep_wire_ip *src, *dst, *target;
	const uint8_t *mac; /* where the frame goes; NULL: the group of dst (RFC 2464 section 7) */
	uint8_t option;     /* with our MAC; 0: none */
};

static size_t
ndp_write(struct ep_slow_stack *s, const struct ndp_message *m, uint8_t *bytes)
{
	const uint8_t group[6] = {0x33, 0x33, m->dst->bytes_be[12], m->dst->bytes_be[13],
		m->dst->bytes_be[14], m->dst->bytes_be[15]};
	const uint16_t len = NDP_BYTES + (m->option != 0 ? NDP_OPTION_BYTES : 0);
	const uint8_t head[8] = {0x60, 0, 0, 0, 0, (uint8_t)len, SLOW_PROTO_ICMPV6, NDP_HOP_LIMIT};
	struct stack_out out = {bytes, 0};
	uint8_t *icmp;

	stack_frame_begin(s, &out, m->mac != NULL ? m->mac : group, STACK_TYPE_IPV6);
	stack_append(&out, head, sizeof(head));
	stack_append(&out, m->src->bytes_be, 16);
	stack_append(&out, m->dst->bytes_be, 16);
	icmp = stack_append(&out, NULL, len);
	icmp[0] = m->type;
	icmp[4] = m->flags;
	memcpy(icmp + NDP_TARGET, m->target->bytes_be, 16);
	if (m->option != 0) {
		icmp[NDP_BYTES] = m->option;
		icmp[NDP_BYTES + 1] = 1;
		memcpy(icmp + NDP_BYTES + 2, s->mac, 6);
	}
	slow_put16(icmp + 2,
		slow_sum_finish(slow_sum(icmp, len, slow_pseudo_sum(m->src, m->dst, len))));
	return out.len;
}

size_t
ndp_solicit(struct ep_slow_stack *s, const struct ep_wire_ip *from, const struct ep_wire_ip *target,
	const uint8_t *mac, uint8_t *out)
{
	const struct ep_wire_ip group = solicited_node(target);
	const struct ndp_message m = {
		.type = NDP_SOLICITATION,
		.src = from,
		.dst = mac != NULL ? target : &group,
		.target = target,
		.mac = mac,
		.option = NDP_OPTION_SOURCE,
	};

	return ndp_write(s, &m, out);
}

/* RFC 4862 section 5.4.2: from the unspecified address, without our MAC. */
size_t
ndp_probe(struct ep_slow_stack *s, const struct stack_addr *a, uint8_t *out)
{
	const struct ep_wire_ip group = solicited_node(&a->ip);
	const struct ndp_message m = {
		.type = NDP_SOLICITATION, .src = &unspecified, .dst = &group, .target = &a->ip};

	return ndp_write(s, &m, out);
}

/* RFC 4861 section 7.2.6. */
size_t
ndp_announce(struct ep_slow_stack *s, const struct stack_addr *a, uint8_t *out)
{
	const struct ndp_message m = {
		.type = NDP_ADVERTISEMENT,
		.flags = NDP_OVERRIDE,
		.src = &a->ip,
		.dst = &all_nodes,
		.target = &a->ip,
		.option = NDP_OPTION_TARGET,
	};

	return ndp_write(s, &m, out);
}

/* --- Reading --- */

/* The MAC in an option, NULL where there is none. Returns whether all options are whole (RFC 4861 section 4.6: no length of 0). */
static bool
option_find(const struct slow_ip *ip, uint8_t option, const uint8_t **mac)
{
	const uint8_t *at = ip->payload + NDP_BYTES;
	size_t left = ip->payload_bytes - NDP_BYTES;

	*mac = NULL;
	while (left > 0) {
		const size_t bytes = left >= 2 ? (size_t)at[1] * 8 : 0;

		if (bytes == 0 || bytes > left)
			return false;
		if (at[0] == option && bytes == NDP_OPTION_BYTES && *mac == NULL)
			*mac = at + 2;
		at += bytes;
		left -= bytes;
	}
	return *mac == NULL || stack_mac_is_host(*mac);
}

static bool
is_multicast(const struct ep_wire_ip *ip)
{
	return ip->bytes_be[0] == 0xFF;
}

/* RFC 4861 sections 7.1.1 and 7.1.2; the checksum has been verified. */
static bool
ndp_is_valid(const struct slow_ip *ip, const struct ep_wire_ip *target, const uint8_t **mac)
{
	const bool solicitation = ip->payload[0] == NDP_SOLICITATION;
	const bool from_nobody = ep_wire_ip_equal(&ip->src, &unspecified);

	if (ip->hop_limit != NDP_HOP_LIMIT || ip->payload[1] != 0 || is_multicast(target) ||
		!option_find(ip, solicitation ? NDP_OPTION_SOURCE : NDP_OPTION_TARGET, mac))
		return false;
	if (!solicitation)
		return !from_nobody &&
			!(is_multicast(&ip->dst) && (ip->payload[4] & NDP_SOLICITED));
	return from_nobody ? *mac == NULL && ndp_is_solicited_node(&ip->dst, target)
			   : stack_ip_is_host(&ip->src);
}

static size_t
solicitation_answer(struct ep_slow_stack *s, const struct slow_ip *ip, const struct stack_addr *a,
	const uint8_t *mac, uint8_t *out)
{
	const bool from_nobody = ep_wire_ip_equal(&ip->src, &unspecified);
	const struct ndp_message m = {
		.type = NDP_ADVERTISEMENT,
		.flags = from_nobody ? NDP_OVERRIDE : NDP_OVERRIDE | NDP_SOLICITED,
		.src = &a->ip,
		.dst = from_nobody ? &all_nodes : &ip->src,
		.target = &a->ip,
		.mac = from_nobody ? NULL : mac,
		.option = NDP_OPTION_TARGET,
	};

	return ndp_write(s, &m, out);
}

static size_t
solicitation_input(struct ep_slow_stack *s, const struct stack_frame *f, const struct slow_ip *ip,
	struct stack_addr *a, const uint8_t *mac, uint64_t now_ns, uint8_t *out)
{
	if (mac != NULL)
		neighbour_hear(s, &ip->src, mac, NEIGHBOUR_SAYS, now_ns);
	if (a == NULL || a->state == EP_SLOW_ADDR_TAKEN)
		return 0;
	if (a->state == EP_SLOW_ADDR_TENTATIVE) {
		/* RFC 4862 section 5.4.3: one that probes for it, too; a question by somebody is not answered. */
		if (ep_wire_ip_equal(&ip->src, &unspecified))
			stack_conflict(s, a, f->src_mac, now_ns);
		return 0;
	}
	if (!stack_limit_take(s, &s->neighbour_limit, now_ns))
		return 0;
	return solicitation_answer(s, ip, a, mac != NULL ? mac : f->src_mac, out);
}

static void
advertisement_input(struct ep_slow_stack *s, const struct stack_frame *f, const struct slow_ip *ip,
	const struct ep_wire_ip *target, const uint8_t *mac, uint64_t now_ns)
{
	const bool override = ip->payload[4] & NDP_OVERRIDE;
	const bool solicited = ip->payload[4] & NDP_SOLICITED;
	struct stack_addr *a = stack_addr_find(s, target);

	if (a != NULL) {
		stack_conflict(s, a, mac != NULL ? mac : f->src_mac, now_ns);
		return;
	}
	if (override || mac == NULL)
		neighbour_hear(
			s, target, mac, solicited ? NEIGHBOUR_ANSWERS : NEIGHBOUR_SAYS, now_ns);
	else
		neighbour_hear(s, target, mac,
			solicited ? NEIGHBOUR_HINTS_ANSWERING : NEIGHBOUR_HINTS, now_ns);
}

size_t
ndp_input(struct ep_slow_stack *s, const struct stack_frame *f, const struct slow_ip *ip,
	uint64_t now_ns, uint8_t *out)
{
	struct ep_wire_ip target = {.family = EP_WIRE_IPV6};
	const uint8_t *mac;

	if (ip->payload_bytes < NDP_BYTES) {
		s->count.malformed++;
		return 0;
	}
	memcpy(target.bytes_be, ip->payload + NDP_TARGET, 16);
	if (!ndp_is_valid(ip, &target, &mac)) {
		s->count.malformed++;
		return 0;
	}
	s->count.ndp++;
	if (ip->payload[0] == NDP_SOLICITATION)
		return solicitation_input(s, f, ip, stack_addr_find(s, &target), mac, now_ns, out);
	advertisement_input(s, f, ip, &target, mac, now_ns);
	return 0;
}
