#pragma once

/*
 * What the hot files share. They are compiled once for each instruction set (HOT_ISA, see meson.build), and hot.c chooses
 * between the results at start.
 */

#include "engine_priv.h"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_pause.h>
#include <rte_prefetch.h>

#define HOT_PASTE_(name, isa) name##_##isa
#define HOT_PASTE(name, isa) HOT_PASTE_(name, isa)
/** The name of a function in this instruction set's copy. */
#define HOT_NAME(name) HOT_PASTE(name, HOT_ISA)

lane_rx_fn HOT_NAME(rx_choose)(const struct rx_choice *c);
lane_tx_fn HOT_NAME(tx_choose)(const struct tx_choice *c);

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
