#include "bare.h"

#include "probe.h"

#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_prefetch.h>

#define PREFETCH 4

static void
macs_turn(struct rte_mbuf *mbuf)
{
	struct rte_ether_hdr *eth = rte_pktmbuf_mtod(mbuf, struct rte_ether_hdr *);
	const struct rte_ether_addr dst = eth->dst_addr;

	eth->dst_addr = eth->src_addr;
	eth->src_addr = dst;
}

static uint16_t
send_or_drop(uint16_t port_id, struct rte_mbuf **mbuf, uint16_t count)
{
	const uint16_t taken = rte_eth_tx_burst(port_id, 0, mbuf, count);

	rte_pktmbuf_free_bulk(&mbuf[taken], (unsigned int)(count - taken));
	return taken;
}

void
bare_forward(uint16_t port_id, struct rte_mbuf **mbuf, uint16_t count)
{
	for (uint16_t i = 0; i < count && i < PREFETCH; i++)
		rte_prefetch0(rte_pktmbuf_mtod(mbuf[i], void *));
	for (uint16_t i = 0; i < count; i++) {
		if (i + PREFETCH < count)
			rte_prefetch0(rte_pktmbuf_mtod(mbuf[i + PREFETCH], void *));
		macs_turn(mbuf[i]);
	}
	send_or_drop(port_id, mbuf, count);
}

uint16_t
bare_send(uint16_t port_id, struct rte_mempool *pool)
{
	struct rte_mbuf *mbuf[BARE_BURST];

	if (rte_pktmbuf_alloc_bulk(pool, mbuf, BARE_BURST) != 0)
		return 0;
	for (int i = 0; i < BARE_BURST; i++) {
		mbuf[i]->data_len = PROBE_BYTES;
		mbuf[i]->pkt_len = PROBE_BYTES;
	}
	return send_or_drop(port_id, mbuf, BARE_BURST);
}
