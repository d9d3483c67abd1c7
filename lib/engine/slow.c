#include "engine_priv.h"

#include <rte_ethdev.h>
#include <rte_ring.h>

/* A lane looks for them between many rounds: enough that what a kernel has to say there is as fast as its TCP, and so few that the
 * next round is not late. */
#define SLOW_BURST 32

static void
slow_free(struct lane *l)
{
	struct rte_mbuf *mbuf[SLOW_BURST];
	const unsigned int n =
		rte_ring_dequeue_burst(l->slow_done, (void **)mbuf, SLOW_BURST, NULL);

	if (n > 0)
		rte_pktmbuf_free_bulk(mbuf, n);
}

void
slow_send(struct lane *l)
{
	struct rte_mbuf *mbuf[SLOW_BURST];
	const unsigned int n = rte_ring_dequeue_burst(l->slow_tx, (void **)mbuf, SLOW_BURST, NULL);
	uint16_t sent;

	if (l->slow_done != NULL)
		slow_free(l);
	if (n == 0)
		return;
	sent = rte_eth_tx_burst(l->port_id, l->tx_queue, mbuf, (uint16_t)n);
	l->count.slow_sent += sent;
	l->count.slow_dropped += n - sent;
	rte_pktmbuf_free_bulk(mbuf + sent, n - sent);
}
