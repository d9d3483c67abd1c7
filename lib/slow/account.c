/*
 * ICMP errors by port. A kind (hop, type, code) is kept once and named by its index, so that a port costs 36 bytes: a firewall that
 * refuses ten thousand ports is one kind. What finds no room is counted in `more` of its port, never dropped.
 */

#include "slow_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* No room for the kind. */
#define KIND_NONE EP_SLOW_KINDS_MAX

int
ep_slow_icmp_create(uint32_t port_count, struct ep_slow_icmp **out)
{
	struct ep_slow_icmp *a = calloc(1, sizeof(*a) + port_count * sizeof(a->port[0]));

	if (a == NULL)
		return -ENOMEM;
	a->port_count = port_count;
	*out = a;
	return 0;
}

void
ep_slow_icmp_reset(struct ep_slow_icmp *a)
{
	const uint32_t port_count = a->port_count;

	memset(a, 0, sizeof(*a) + port_count * sizeof(a->port[0]));
	a->port_count = port_count;
}

static uint32_t
add_saturating(uint32_t a, uint64_t b)
{
	return b > UINT32_MAX - a ? UINT32_MAX : a + (uint32_t)b;
}

static bool
kind_is(const struct ep_slow_kind *a, const struct ep_slow_kind *b)
{
	return a->type == b->type && a->code == b->code && ep_wire_ip_equal(&a->from, &b->from);
}

/* Index of a kind, which is new where there is room below the limit. */
static uint32_t
kind_index(struct ep_slow_icmp *a, const struct ep_slow_kind *kind, uint32_t limit)
{
	for (uint32_t k = 0; k < a->kind_count; k++) {
		uint32_t *mtu_bytes = &a->kind[k].mtu_bytes;

		if (!kind_is(&a->kind[k], kind))
			continue;
		if (*mtu_bytes == 0 || (kind->mtu_bytes != 0 && kind->mtu_bytes < *mtu_bytes))
			*mtu_bytes = kind->mtu_bytes;
		return k;
	}
	if (a->kind_count >= limit)
		return KIND_NONE;
	a->kind[a->kind_count] = *kind;
	return a->kind_count++;
}

static void
port_add(struct ep_slow_port *port, uint32_t kind, uint32_t count)
{
	for (int i = 0; kind != KIND_NONE && i < EP_SLOW_PORT_KINDS; i++) {
		struct ep_slow_cell *cell = &port->cell[i];

		if (cell->count > 0 && cell->kind != kind)
			continue;
		cell->kind = (uint16_t)kind;
		cell->count = add_saturating(cell->count, count);
		return;
	}
	port->more = add_saturating(port->more, count);
}

void
ep_slow_icmp_push(
	struct ep_slow_icmp *a, enum ep_slow_verdict verdict, const struct ep_slow_quote *quote)
{
	struct ep_slow_kind kind;
	uint32_t limit = EP_SLOW_KINDS_MAX;

	a->count[verdict]++;
	if (verdict != EP_SLOW_FLOW && verdict != EP_SLOW_PORT)
		return;
	if (verdict == EP_SLOW_PORT)
		limit -= EP_SLOW_KINDS_FLOW;
	kind = (struct ep_slow_kind){
		.from = quote->from,
		.type = quote->type,
		.code = quote->code,
		.mtu_bytes = quote->mtu_bytes,
	};
	port_add(&a->port[quote->port_index], kind_index(a, &kind, limit), 1);
}

void
ep_slow_icmp_add(struct ep_slow_icmp *a, uint32_t port_index, const struct ep_slow_kind *kind,
	uint32_t count)
{
	if (count > 0)
		port_add(&a->port[port_index],
			kind != NULL ? kind_index(a, kind, EP_SLOW_KINDS_MAX) : KIND_NONE, count);
}

void
ep_slow_icmp_merge(struct ep_slow_icmp *dst, const struct ep_slow_icmp *src)
{
	for (int v = 0; v < EP_SLOW_VERDICTS; v++)
		dst->count[v] += src->count[v];
	dst->missed += src->missed;
	for (uint32_t p = 0; p < src->port_count; p++) {
		const struct ep_slow_port *port = &src->port[p];

		for (int i = 0; i < EP_SLOW_PORT_KINDS && port->cell[i].count > 0; i++)
			ep_slow_icmp_add(
				dst, p, &src->kind[port->cell[i].kind], port->cell[i].count);
		dst->port[p].more = add_saturating(dst->port[p].more, port->more);
	}
}

uint64_t
ep_slow_icmp_port_sum(const struct ep_slow_port *port)
{
	uint64_t sum = port->more;

	for (int i = 0; i < EP_SLOW_PORT_KINDS; i++)
		sum += port->cell[i].count;
	return sum;
}
