/*
 * What is done with the account after a trial. The sums wrap modulo 2^64 and so are associative and commutative
 * whatever the counters hold; no run gets near that.
 */

#include "ep_acct.h"

#include <errno.h>

int
ep_acct_loss(const struct ep_acct_port *p, uint64_t sent, struct ep_acct_loss *loss)
{
	const uint64_t first = ep_acct_first(p);
	const uint64_t behind = p->count[EP_ACCT_BEHIND];

	if (first > sent)
		return -ERANGE;

	const uint64_t max = sent - first;

	/* More copies behind the window than probes missing: the rest are duplicates for certain. */
	*loss = (struct ep_acct_loss){.min = behind < max ? max - behind : 0, .max = max};
	return 0;
}

static void
port_add(struct ep_acct_port *dst, const struct ep_acct_port *src)
{
	for (int v = 0; v < EP_ACCT_VERDICTS; v++)
		dst->count[v] += src->count[v];
	dst->late += src->late;
	dst->wrong_port += src->wrong_port;
	dst->bytes += src->bytes;
	dst->echo_refused += src->echo_refused;
}

void
ep_acct_ports_merge(struct ep_acct_port *dst, const struct ep_acct_port *src, uint32_t port_count)
{
	for (uint32_t i = 0; i < port_count; i++)
		port_add(&dst[i], &src[i]);
}

struct ep_acct_port
ep_acct_ports_sum(const struct ep_acct_port *ports, uint32_t port_count)
{
	struct ep_acct_port sum = {0};

	for (uint32_t i = 0; i < port_count; i++)
		port_add(&sum, &ports[i]);
	return sum;
}

void
ep_acct_jitter_add(
	struct ep_acct_jitter *jitter, const struct ep_acct_flow *flows, uint32_t flow_count)
{
	/* 2^32 flows of 2^32 just fit. */
	for (uint32_t i = 0; i < flow_count; i++) {
		jitter->sum += flows[i].jitter_ns;
		jitter->flow_count += flows[i].jitter_ns > 0;
	}
}

uint64_t
ep_acct_jitter_mean_ns(const struct ep_acct_jitter *jitter)
{
	return jitter->flow_count > 0 ? jitter->sum / jitter->flow_count / 16 : 0;
}
