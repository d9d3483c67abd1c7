#pragma once

#include "engine_priv.h"

#include <rte_ethdev.h>
#include <rte_pause.h>

/** Send a burst with a bounded number of tries. Returns how many the NIC took; the rest stays the caller's. */
static inline uint16_t
lane_transmit(struct lane *l, struct rte_mbuf **mbuf, uint16_t count)
{
	uint16_t sent = rte_eth_tx_burst(l->port_id, l->tx_queue, mbuf, count);

	if (likely(sent == count))
		return sent;
	l->count.tx_short++;
	for (unsigned int i = 1; i < ENGINE_TX_TRIES && sent < count; i++) {
		rte_pause();
		sent += rte_eth_tx_burst(
			l->port_id, l->tx_queue, mbuf + sent, (uint16_t)(count - sent));
	}
	return sent;
}
