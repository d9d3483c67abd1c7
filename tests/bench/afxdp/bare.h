#pragma once

/**
 * @file
 * The bare minimum on a port: no sequence, no time, no schedule, no account.
 */

#include <rte_mbuf.h>

/** A burst of both. */
#define BARE_BURST 32

/** Send back what arrived, as l2fwd does: with its MAC addresses turned round; what the driver does not take at once is dropped. */
void bare_forward(uint16_t port_id, struct rte_mbuf **mbuf, uint16_t count);

/** Send a burst of 60 B as it lies in the pool. @return packets that the driver took. */
uint16_t bare_send(uint16_t port_id, struct rte_mempool *pool);
