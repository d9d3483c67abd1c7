/*
 * The queue that each port's probes came out of, where one lane has several: a lane keeps its ports apart by queue, in a table for each, and before
 * a burst is taken the account is pointed at that of its queue. So nothing is done a probe, and a lane with one queue does nothing at all: its
 * receive function is the chosen one, without the one below in front of it. Flows stay in one table, since a flow that changes its queue is one flow.
 */

#include "engine_priv.h"
#include "table.h"

#include <rte_common.h>

#include <errno.h>

static size_t
table_bytes(const struct lane *l)
{
	return l->acct.port_count * sizeof(*l->acct.port);
}

uint32_t
queues_count(const struct lane *l)
{
	return RTE_MAX(l->rx_queue_count, 1);
}

int
queues_create(struct lane *l)
{
	for (uint32_t q = 0; q < queues_count(l); q++) {
		l->queue_port[q] = table_alloc(table_bytes(l));
		if (l->queue_port[q] == NULL)
			return -ENOMEM;
	}
	l->acct.port = l->queue_port[0];
	return 0;
}

void
queues_destroy(struct lane *l)
{
	for (uint32_t q = 0; q < queues_count(l); q++)
		table_free(l->queue_port[q], table_bytes(l));
}

void
queues_clear(struct lane *l)
{
	for (uint32_t q = 0; q < queues_count(l); q++)
		table_clear(l->queue_port[q], table_bytes(l));
}

void
queues_touch(const struct lane *l)
{
	for (uint32_t q = 0; q < queues_count(l); q++)
		table_touch(l->queue_port[q], table_bytes(l));
}

/* A burst of the lane's next queue. */
static uint32_t
queues_rx(struct lane *l)
{
	l->acct.port = l->queue_port[l->rx_queue_next];
	return l->rx_one(l);
}

void
queues_rx_set(struct lane *l, lane_rx_fn rx)
{
	l->rx_one = rx;
	l->rx = l->rx_queue_count > 1 ? queues_rx : rx;
}
