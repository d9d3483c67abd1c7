/* ARP (RFC 826) with address conflict detection (RFC 5227). */

#include "stack_priv.h"

#include <string.h>

#define ARP_BYTES 28
#define ARP_REQUEST 1
#define ARP_REPLY 2

/* Offsets in the message [B]. */
enum {
	ARP_OPERATION = 6,
	ARP_SENDER_MAC = 8,
	ARP_SENDER = 14,
	ARP_TARGET_MAC = 18,
	ARP_TARGET = 24
};

static const uint8_t broadcast[6] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
static const uint8_t nobody[4];

/* Ethernet and IPv4: hardware type 1, protocol 0x0800, lengths 6 and 4. */
static const uint8_t arp_head[6] = {0, 1, 8, 0, 6, 4};

static size_t
arp_write(struct ep_slow_stack *s, uint16_t operation, const uint8_t sender[4],
	const uint8_t target_mac[6], const uint8_t target[4], const uint8_t to_mac[6],
	uint8_t *bytes)
{
	struct stack_out out = {bytes, 0};
	uint8_t *arp;

	stack_frame_begin(s, &out, to_mac, STACK_TYPE_ARP);
	arp = stack_append(&out, NULL, ARP_BYTES);
	memcpy(arp, arp_head, sizeof(arp_head));
	slow_put16(arp + ARP_OPERATION, operation);
	memcpy(arp + ARP_SENDER_MAC, s->mac, 6);
	memcpy(arp + ARP_SENDER, sender, 4);
	memcpy(arp + ARP_TARGET_MAC, target_mac, 6);
	memcpy(arp + ARP_TARGET, target, 4);
	return out.len;
}

size_t
arp_request(struct ep_slow_stack *s, const struct ep_wire_ip *from, const struct ep_wire_ip *target,
	const uint8_t *mac, uint8_t *out)
{
	const uint8_t unknown[6] = {0};

	return arp_write(s, ARP_REQUEST, from->bytes_be, unknown, target->bytes_be,
		mac != NULL ? mac : broadcast, out);
}

/* RFC 5227 section 2.1.1: from nobody, so that no cache is changed. */
size_t
arp_probe(struct ep_slow_stack *s, const struct stack_addr *a, uint8_t *out)
{
	const uint8_t unknown[6] = {0};

	return arp_write(s, ARP_REQUEST, nobody, unknown, a->ip.bytes_be, broadcast, out);
}

/* RFC 5227 section 2.3: both addresses ours. */
size_t
arp_announce(struct ep_slow_stack *s, const struct stack_addr *a, uint8_t *out)
{
	const uint8_t unknown[6] = {0};

	return arp_write(s, ARP_REQUEST, a->ip.bytes_be, unknown, a->ip.bytes_be, broadcast, out);
}

static bool
arp_is_valid(const struct stack_frame *f)
{
	const uint8_t *arp = f->payload;
	uint16_t operation;

	if (f->payload_bytes < ARP_BYTES || memcmp(arp, arp_head, sizeof(arp_head)) != 0)
		return false;
	operation = slow_get16(arp + ARP_OPERATION);
	return (operation == ARP_REQUEST || operation == ARP_REPLY) &&
		stack_mac_is_host(arp + ARP_SENDER_MAC);
}

static struct ep_wire_ip
arp_ip(const uint8_t *bytes)
{
	struct ep_wire_ip ip = {.family = EP_WIRE_IPV4};

	memcpy(ip.bytes_be, bytes, 4);
	return ip;
}

/* Somebody speaks as an address of ours, or probes for one that we probe for (RFC 5227 section 2.1.1). */
static bool
arp_conflicts(struct ep_slow_stack *s, const uint8_t *arp, const struct ep_wire_ip *sender,
	const struct ep_wire_ip *target, uint64_t now_ns)
{
	struct stack_addr *a = stack_addr_find(s, sender);

	if (a == NULL && memcmp(arp + ARP_SENDER, nobody, 4) == 0 &&
		slow_get16(arp + ARP_OPERATION) == ARP_REQUEST) {
		a = stack_addr_find(s, target);
		if (a != NULL && a->state != EP_SLOW_ADDR_TENTATIVE)
			a = NULL;
	}
	if (a == NULL)
		return false;
	stack_conflict(s, a, arp + ARP_SENDER_MAC, now_ns);
	return true;
}

size_t
arp_input(struct ep_slow_stack *s, const struct stack_frame *f, uint64_t now_ns, uint8_t *out)
{
	const uint8_t *arp = f->payload;
	struct ep_wire_ip sender, target;
	const struct stack_addr *a;
	bool answer;

	if (!arp_is_valid(f)) {
		s->count.malformed++;
		return 0;
	}
	s->count.arp++;
	if (memcmp(arp + ARP_SENDER_MAC, s->mac, 6) == 0)
		return 0; /* our own, come back */
	sender = arp_ip(arp + ARP_SENDER);
	target = arp_ip(arp + ARP_TARGET);
	if (arp_conflicts(s, arp, &sender, &target, now_ns))
		return 0;
	a = stack_addr_find(s, &target);
	if (a != NULL && a->state != EP_SLOW_ADDR_OURS)
		return 0;
	answer = slow_get16(arp + ARP_OPERATION) == ARP_REPLY && a != NULL &&
		memcmp(f->dst_mac, s->mac, 6) == 0;
	if (stack_ip_is_host(&sender))
		neighbour_hear(s, &sender, arp + ARP_SENDER_MAC,
			answer ? NEIGHBOUR_ANSWERS : NEIGHBOUR_SAYS, now_ns);
	if (a == NULL || slow_get16(arp + ARP_OPERATION) != ARP_REQUEST ||
		!stack_limit_take(s, &s->neighbour_limit, now_ns))
		return 0;
	return arp_write(s, ARP_REPLY, target.bytes_be, arp + ARP_SENDER_MAC, arp + ARP_SENDER,
		arp + ARP_SENDER_MAC, out);
}
