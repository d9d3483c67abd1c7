#pragma once

/** @file Echoes that are held back until several bursts of them are sent at once; see hold.c. */

#include "engine_priv.h"

#include <string.h>

/** Send what is held, or refuse it where nothing may leave any more. Afterwards nothing is held. */
void hold_flush(struct lane *l);

/** Hold a burst of echoes. There is room: hold_is_due() was asked after the burst before. */
static inline void
hold_push(struct hold *h, struct rte_mbuf *const *mbuf, uint32_t count)
{
	memcpy(&h->mbuf[h->count], mbuf, count * sizeof(struct rte_mbuf *));
	h->count += count;
}

/** Whether to flush after a burst of @p received packets: there is no more to receive, no room for another burst, or nothing may leave. */
static inline bool
hold_is_due(const struct lane *l, uint32_t received)
{
	const uint32_t count = l->hold.count;

	return count > 0 &&
		(received < ENGINE_RX_BURST || count > ENGINE_HOLD - ENGINE_RX_BURST || l->silent);
}
