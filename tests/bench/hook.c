#include "hook.h"

#include <rte_cycles.h>
#include <rte_ethdev.h>

#include <errno.h>
#include <stdlib.h>

/* Rounds of a window: at 32 packets a round, about 0.1 ms. */
#define HOOK_ROUNDS 128
#define HOOK_WARM_WINDOWS 200

struct hook {
	/* Read-only while the worker runs. */
	struct rte_eth_fp_ops saved;
	void *queue_data[1];
	hook_counter_fn counter;
	void *ctx;
	uint16_t port_id;

	/* The worker's. */
	uint32_t rounds_left;
	uint64_t count;
	struct meter meter;
};

static __rte_noinline void
hook_window(struct hook *h)
{
	const uint64_t now_cycles = rte_rdtsc();
	const uint64_t count = h->counter(h->ctx);

	if (count > h->count && h->count > 0)
		meter_end(&h->meter, now_cycles, count - h->count);
	h->count = count;
	h->rounds_left = HOOK_ROUNDS;
	meter_begin(&h->meter);
}

static uint16_t
hook_receive(void *queue, struct rte_mbuf **mbuf, uint16_t count)
{
	struct hook *h = queue;

	if (unlikely(h->rounds_left-- == 0))
		hook_window(h);
	return h->saved.rx_pkt_burst(h->saved.rxq.data[0], mbuf, count);
}

int
hook_open(const struct bench *b, uint16_t port_id, hook_counter_fn counter, void *ctx,
	struct hook **out, struct ep_err *err)
{
	struct hook *h =
		aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(sizeof(*h), RTE_CACHE_LINE_SIZE));
	struct rte_eth_fp_ops *ops = &rte_eth_fp_ops[port_id];

	if (h == NULL)
		return ep_err_set(err, -ENOMEM, "no memory");
	h->saved = *ops;
	h->queue_data[0] = h;
	h->counter = counter;
	h->ctx = ctx;
	h->port_id = port_id;
	h->rounds_left = HOOK_ROUNDS;
	h->count = 0;
	meter_reset(&h->meter, b, HOOK_WARM_WINDOWS);
	ops->rxq.data = h->queue_data;
	ops->rx_pkt_burst = hook_receive;
	*out = h;
	return 0;
}

void
hook_close(struct hook *h)
{
	if (h == NULL)
		return;
	rte_eth_fp_ops[h->port_id] = h->saved;
	free(h);
}

const struct meter *
hook_meter(const struct hook *h)
{
	return &h->meter;
}
