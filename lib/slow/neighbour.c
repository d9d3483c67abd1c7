/*
 * The neighbours of both families: RFC 4861's states for IPv4 as well.
 *
 *   resolve            answer                reachable_ns passed      in use               answer
 *   FREE -> INCOMPLETE ------> REACHABLE ----------------------> STALE ------> PROBE ----------------> REACHABLE
 *             |                   ^ another MAC, unasked: STALE                 |
 *             +-- asked all ------+------------- FAILED <--- asked the known MAC, then all
 *
 * A gateway that fails over has another MAC. Either the new owner says so, which is followed at once, or the old one falls silent:
 * then the last answer is at most reachable_ns old, unicast_count questions go to the old MAC and the next one to all. With the defaults that is
 * 1 s + 2 x 250 ms = 1.5 s, and 2 s where the first question to all is lost.
 *
 * Only ep_slow_stack_resolve() makes an entry, so nothing that arrives fills the table.
 */

#include "stack_priv.h"

#include <errno.h>
#include <string.h>

static struct neighbour *
neighbour_find(struct ep_slow_stack *s, const struct ep_wire_ip *ip)
{
	for (int i = 0; i < EP_SLOW_NEIGHBOURS_MAX; i++) {
		struct neighbour *n = &s->neighbour[i];

		if (n->state != NEIGHBOUR_FREE && ep_wire_ip_equal(&n->ip, ip))
			return n;
	}
	return NULL;
}

/* A free entry, else the one that was not used for the longest. */
static struct neighbour *
neighbour_room(struct ep_slow_stack *s)
{
	struct neighbour *oldest = &s->neighbour[0];

	for (int i = 0; i < EP_SLOW_NEIGHBOURS_MAX; i++) {
		struct neighbour *n = &s->neighbour[i];

		if (n->state == NEIGHBOUR_FREE)
			return n;
		if (n->used_ns < oldest->used_ns)
			oldest = n;
	}
	return oldest;
}

static void
state_enter(struct neighbour *n, enum neighbour_state state, uint64_t due_ns)
{
	n->state = state;
	n->asked = 0;
	n->due_ns = due_ns;
}

/* --- What is heard --- */

/* All were asked, so whoever answers is as good as the one that is known. */
static bool
is_open(const struct ep_slow_stack *s, const struct neighbour *n)
{
	return n->state == NEIGHBOUR_INCOMPLETE || n->state == NEIGHBOUR_FAILED ||
		(n->state == NEIGHBOUR_PROBE && n->asked > s->timing.unicast_count);
}

/* RFC 4861 section 7.2.5, where something is known already. */
static void
known_hear(struct ep_slow_stack *s, struct neighbour *n, const uint8_t *mac,
	enum neighbour_word word, uint64_t now_ns)
{
	const bool other = mac != NULL && memcmp(n->mac, mac, 6) != 0;
	const bool hint = word == NEIGHBOUR_HINTS || word == NEIGHBOUR_HINTS_ANSWERING;
	const bool answers = word == NEIGHBOUR_ANSWERS || word == NEIGHBOUR_HINTS_ANSWERING;

	if (other && hint && !is_open(s, n)) {
		/* Not believed, but reason to ask. */
		if (n->state == NEIGHBOUR_REACHABLE)
			state_enter(n, NEIGHBOUR_STALE, now_ns);
		return;
	}
	if (other) {
		memcpy(n->mac, mac, 6);
		s->count.mac_changes++;
	}
	if (answers)
		state_enter(n, NEIGHBOUR_REACHABLE, now_ns + s->timing.reachable_ns);
	else if (other || (n->state == NEIGHBOUR_FAILED && mac != NULL))
		state_enter(n, NEIGHBOUR_STALE, now_ns);
}

void
neighbour_hear(struct ep_slow_stack *s, const struct ep_wire_ip *ip, const uint8_t *mac,
	enum neighbour_word word, uint64_t now_ns)
{
	const bool answers = word == NEIGHBOUR_ANSWERS || word == NEIGHBOUR_HINTS_ANSWERING;
	struct neighbour *n = neighbour_find(s, ip);

	if (n == NULL)
		return;
	if (!stack_mac_is_host(n->mac)) {
		/* The first that is heard of it. */
		if (mac == NULL)
			return;
		memcpy(n->mac, mac, 6);
		if (answers)
			state_enter(n, NEIGHBOUR_REACHABLE, now_ns + s->timing.reachable_ns);
		else
			state_enter(n, NEIGHBOUR_STALE, now_ns);
		return;
	}
	known_hear(s, n, mac, word, now_ns);
}

/* --- What time does --- */

static bool
in_use(const struct ep_slow_stack *s, const struct neighbour *n, uint64_t now_ns)
{
	return now_ns - n->used_ns < s->timing.idle_ns;
}

/* Ask once more, or give up. Returns the length of the question. */
static size_t
neighbour_ask(struct ep_slow_stack *s, struct neighbour *n, uint64_t now_ns, uint8_t *out)
{
	const struct ep_slow_timing *t = &s->timing;
	const uint32_t unicast = n->state == NEIGHBOUR_PROBE ? t->unicast_count : 0;
	const struct stack_addr *from = stack_addr_from(s, &n->ip);
	const uint8_t *mac = n->asked < unicast ? n->mac : NULL;

	n->due_ns = now_ns + t->retrans_ns;
	if (from == NULL)
		return 0; /* no address is ours yet: later */
	if (n->asked >= unicast + t->multicast_count) {
		state_enter(n, NEIGHBOUR_FAILED, now_ns + t->retry_ns);
		return 0;
	}
	n->asked++;
	s->count.solicited++;
	return n->ip.family == EP_WIRE_IPV6 ? ndp_solicit(s, &from->ip, &n->ip, mac, out)
					    : arp_request(s, &from->ip, &n->ip, mac, out);
}

static size_t
neighbour_step(struct ep_slow_stack *s, struct neighbour *n, uint64_t now_ns, uint8_t *out)
{
	if (!in_use(s, n, now_ns)) {
		memset(n, 0, sizeof(*n));
		return 0;
	}
	switch (n->state) {
	case NEIGHBOUR_REACHABLE:
	case NEIGHBOUR_STALE:
		state_enter(n, NEIGHBOUR_PROBE, now_ns);
		break;
	case NEIGHBOUR_FAILED:
		state_enter(n, NEIGHBOUR_INCOMPLETE, now_ns);
		break;
	default:
		break;
	}
	return neighbour_ask(s, n, now_ns, out);
}

size_t
neighbour_poll(struct ep_slow_stack *s, uint64_t now_ns, uint8_t *out)
{
	for (int i = 0; i < EP_SLOW_NEIGHBOURS_MAX; i++) {
		struct neighbour *n = &s->neighbour[i];
		size_t len;

		if (n->state == NEIGHBOUR_FREE || now_ns < n->due_ns)
			continue;
		len = neighbour_step(s, n, now_ns, out);
		if (len > 0)
			return len;
	}
	return 0;
}

uint64_t
neighbour_due_ns(const struct ep_slow_stack *s)
{
	uint64_t due_ns = UINT64_MAX;

	for (int i = 0; i < EP_SLOW_NEIGHBOURS_MAX; i++)
		if (s->neighbour[i].state != NEIGHBOUR_FREE && s->neighbour[i].due_ns < due_ns)
			due_ns = s->neighbour[i].due_ns;
	return due_ns;
}

/* --- Who asks --- */

static bool
on_link(const struct stack_addr *a, const struct ep_wire_ip *ip)
{
	const uint32_t whole = a->prefix_bits / 8, rest = a->prefix_bits % 8;
	const uint8_t mask = (uint8_t)(0xFF00 >> rest);

	return a->ip.family == ip->family && memcmp(a->ip.bytes_be, ip->bytes_be, whole) == 0 &&
		(rest == 0 || ((a->ip.bytes_be[whole] ^ ip->bytes_be[whole]) & mask) == 0);
}

static bool
is_link_local(const struct ep_wire_ip *ip)
{
	return ip->family == EP_WIRE_IPV6 && ip->bytes_be[0] == 0xFE &&
		(ip->bytes_be[1] & 0xC0) == 0x80;
}

bool
stack_is_on_link(const struct ep_slow_stack *s, const struct ep_wire_ip *ip)
{
	if (is_link_local(ip))
		return true;
	for (uint32_t i = 0; i < s->addr_count; i++)
		if (on_link(&s->addr[i], ip))
			return true;
	return false;
}

/* RFC 4861 section 5.2. NULL: no way. */
static const struct ep_wire_ip *
next_hop(const struct ep_slow_stack *s, const struct ep_wire_ip *host)
{
	const struct ep_wire_ip *gateway =
		host->family == EP_WIRE_IPV6 ? &s->gateway_ipv6 : &s->gateway_ipv4;

	if (stack_is_on_link(s, host))
		return host;
	return gateway->family != 0 ? gateway : NULL;
}

const struct stack_addr *
stack_addr_from(const struct ep_slow_stack *s, const struct ep_wire_ip *to)
{
	const struct stack_addr *any = NULL;

	for (uint32_t i = 0; i < s->addr_count; i++) {
		const struct stack_addr *a = &s->addr[i];

		if (a->ip.family != to->family || a->state != EP_SLOW_ADDR_OURS)
			continue;
		if (on_link(a, to))
			return a;
		if (any == NULL)
			any = a;
	}
	return any;
}

int
ep_slow_stack_resolve(
	struct ep_slow_stack *s, const struct ep_wire_ip *host, uint64_t now_ns, uint8_t mac[6])
{
	const struct ep_wire_ip *hop = next_hop(s, host);
	struct neighbour *n;

	if (hop == NULL)
		return -ENETUNREACH;
	if (stack_addr_from(s, hop) == NULL)
		return -EADDRNOTAVAIL;
	n = neighbour_find(s, hop);
	if (n == NULL) {
		n = neighbour_room(s);
		memset(n, 0, sizeof(*n));
		n->ip = *hop;
		state_enter(n, NEIGHBOUR_INCOMPLETE, now_ns);
	}
	n->used_ns = now_ns;
	if (n->state == NEIGHBOUR_FAILED ||
		(n->state == NEIGHBOUR_INCOMPLETE && stack_mac_is_host(n->mac)))
		return -EHOSTUNREACH;
	if (n->state == NEIGHBOUR_INCOMPLETE)
		return -EAGAIN;
	memcpy(mac, n->mac, 6);
	return 0;
}
