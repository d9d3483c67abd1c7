#include "engine_priv.h"

#include <rte_ethdev.h>
#include <rte_ring.h>

/* ARP, NDP and echo answers are few; a lane looks for them between many rounds. */
#define SLOW_BURST 8

void
slow_send(struct lane *l)
{
	struct rte_mbuf *mbuf[SLOW_BURST];
	const unsigned int n = rte_ring_dequeue_burst(l->slow_tx, (void **)mbuf, SLOW_BURST, NULL);
	uint16_t sent;

	if (n == 0)
		return;
	sent = rte_eth_tx_burst(l->port_id, l->tx_queue, mbuf, (uint16_t)n);
	l->count.slow_sent += sent;
	rte_pktmbuf_free_bulk(mbuf + sent, n - sent);
}
