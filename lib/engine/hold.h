#pragma once

/** @file Echoes that are held back until several bursts of them are sent at once; see hold.c. */

#include "engine_priv.h"

#include <string.h>

/** Send what is held. Afterwards nothing is. */
void hold_flush(struct lane *l);

/** Hold a burst of echoes. There is room: hold_is_due() was asked after the burst before. */
static inline void
hold_push(struct hold *h, struct rte_mbuf *const *mbuf, uint32_t count)
{
	memcpy(&h->mbuf[h->count], mbuf, count * sizeof(struct rte_mbuf *));
	h->count += count;
}

/** Whether to send after a burst of @p received packets: there is no more to receive, or no room for another burst. */
static inline bool
hold_is_due(const struct hold *h, uint32_t received)
{
	return h->count > 0 &&
		(received < ENGINE_RX_BURST || h->count > ENGINE_HOLD - ENGINE_RX_BURST);
}
