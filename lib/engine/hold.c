/*
 * Echoes on their way to a device of the kernel. Such a device takes a system call a burst, and after that the worker finds neither its code nor
 * its tables in the nearest caches. So as long as there is more to receive, what is to be answered is held back, and some bursts are
 * sent in one call: the worker deals with all but the first of them as fast as with any other device. Nothing is held back while
 * there is nothing to receive, so an answer is late by the time that it takes to deal with three bursts more: some microseconds.
 */

#include "hold.h"

#include "transmit.h"

/* The device took no more, or silence has come: it is their ports that lost them. */
static void
hold_refuse(struct lane *l, struct rte_mbuf **mbuf, uint32_t count)
{
	for (uint32_t k = 0; k < count; k++) {
		struct ep_wire_rx rx;

		/* It was one when it came in. */
		if (ep_wire_parse(rte_pktmbuf_mtod(mbuf[k], uint8_t *), mbuf[k]->data_len, &rx))
			l->acct.port[ep_sched_port_index(l->space, rx.probe.flow)].echo_refused++;
	}
	l->count.echo_refused += count;
	rte_pktmbuf_free_bulk(mbuf, count);
}

void
hold_flush(struct lane *l)
{
	struct hold *h = &l->hold;
	const uint32_t count = h->count;
	const uint32_t sent = l->silent ? 0 : lane_transmit(l, h->mbuf, (uint16_t)count);

	h->count = 0;
	l->count.echo_accepted += sent;
	if (unlikely(sent < count))
		hold_refuse(l, h->mbuf + sent, count - sent);
}
