#include "turns.h"

#include "bare.h"

#include <rte_cycles.h>
#include <rte_ethdev.h>

#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define PAIRS_MAX 4096
#define WARM_PAIRS 10
/* Packets of a stretch: where both send, and at least of those that both send back. */
#define SEND_PKTS 10000
#define BACK_PKTS 8000

struct cost {
	uint64_t cycles;
	uint64_t pkts;
};

struct turns {
	/* Read-only while the worker runs. */
	struct rte_eth_fp_ops saved;
	void *queue_data[1];
	struct rig *rig;
	struct xdp_feed *feed;
	struct rte_mempool *pool;
	uint16_t port_id;

	/* The worker's. */
	alignas(RTE_CACHE_LINE_SIZE) struct cost everyport;
	struct cost bare;
	uint64_t round_cycles; /* When everyport's round began; 0: none did yet. */
	uint64_t handled;      /* Packets that it sent, or was given to send back, as of then. */
	uint64_t given;
	uint32_t taken;
	uint32_t warm;
	uint32_t pair_count; /* Read by the main thread. */
	struct turns_pair pair[PAIRS_MAX];
};

static double
cost_each(const struct cost *c)
{
	return (double)c->cycles / (double)c->pkts;
}

static void
pair_end(struct turns *t)
{
	const struct turns_pair pair = {cost_each(&t->everyport), cost_each(&t->bare)};

	t->everyport = (struct cost){0};
	t->bare = (struct cost){0};
	if (t->warm++ < WARM_PAIRS || t->pair_count == PAIRS_MAX)
		return;
	t->pair[t->pair_count] = pair;
	__atomic_store_n(&t->pair_count, t->pair_count + 1, __ATOMIC_RELEASE);
}

/* Everyport's last round ended then, with as many packets sent, or given to it, in all. */
static void
round_end(struct turns *t, uint64_t now, uint64_t handled)
{
	if (handled > t->handled && t->round_cycles > 0) {
		t->everyport.cycles += now - t->round_cycles;
		t->everyport.pkts += handled - t->handled;
	}
	t->handled = handled;
}

/* --- Both send --------------------------------------------------------------------------------------------------------------- */

static __rte_noinline void
bare_stretch(struct turns *t)
{
	const uint64_t begin = rte_rdtsc();

	while (t->bare.pkts < SEND_PKTS)
		t->bare.pkts += bare_send(t->port_id, t->pool);
	t->bare.cycles = rte_rdtsc() - begin;
}

static uint16_t
send_receive(void *queue, struct rte_mbuf **mbuf, uint16_t count)
{
	struct turns *t = queue;
	/* Before the count is read, which takes its time. */
	const uint64_t now = rte_rdtsc();

	round_end(t, now, rig_accepted(t->rig));
	if (t->everyport.pkts >= SEND_PKTS) {
		bare_stretch(t);
		pair_end(t);
	}
	t->round_cycles = rte_rdtsc();
	return t->saved.rx_pkt_burst(t->saved.rxq.data[0], mbuf, count);
}

/* --- Both send back ---------------------------------------------------------------------------------------------------------- */

static bool
is_bare(const struct rte_mbuf *mbuf)
{
	return xdp_feed_is_second(rte_pktmbuf_mtod(mbuf, const uint8_t *));
}

/* Where one sweep ends and the next begins: the bare program's part is not timed. Returns how many are everyport's, which come first. */
static __rte_noinline uint16_t
border_split(struct turns *t, struct rte_mbuf **mbuf, uint16_t count)
{
	struct rte_mbuf *theirs[BARE_BURST];
	uint16_t ours = 0, bare = 0;

	for (uint16_t i = 0; i < count; i++)
		if (is_bare(mbuf[i]))
			theirs[bare++] = mbuf[i];
		else
			mbuf[ours++] = mbuf[i];
	bare_forward(t->port_id, theirs, bare);
	t->round_cycles = rte_rdtsc();
	return ours;
}

/* The frames arrive in order, so the first and the last tell of all. */
static uint16_t
back_receive(void *queue, struct rte_mbuf **mbuf, uint16_t count)
{
	struct turns *t = queue;
	const uint16_t burst = RTE_MIN(count, BARE_BURST);
	uint16_t n;

	round_end(t, rte_rdtsc(), t->given);
	if (t->everyport.pkts >= BACK_PKTS && t->bare.pkts >= BACK_PKTS)
		pair_end(t);
	for (;;) {
		const uint64_t begin = rte_rdtsc();

		n = t->saved.rx_pkt_burst(t->saved.rxq.data[0], mbuf, burst);
		if (n == 0)
			break;
		t->taken += n;
		xdp_feed_taken(t->feed, t->taken);
		t->round_cycles = begin;
		if (is_bare(mbuf[0]) != is_bare(mbuf[n - 1])) {
			n = border_split(t, mbuf, n);
			break;
		}
		if (!is_bare(mbuf[0]))
			break;
		bare_forward(t->port_id, mbuf, n);
		t->bare.cycles += rte_rdtsc() - begin;
		t->bare.pkts += n;
	}
	t->given += n;
	return n;
}

/* --- Whoever runs them ------------------------------------------------------------------------------------------------------- */

int
turns_open(struct rig *r, struct xdp_feed *feed, struct turns **out, struct ep_err *err)
{
	struct turns *t =
		aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(sizeof(*t), RTE_CACHE_LINE_SIZE));
	struct rte_eth_fp_ops *ops = &rte_eth_fp_ops[r->info[0].port_id];

	if (t == NULL)
		return ep_err_set(err, -ENOMEM, "no memory");
	memset(t, 0, sizeof(*t));
	t->rig = r;
	t->feed = feed;
	t->port_id = r->info[0].port_id;
	t->pool = ep_dev_pool(r->dev[0], 0);
	t->saved = *ops;
	t->queue_data[0] = t;
	ops->rxq.data = t->queue_data;
	ops->rx_pkt_burst = feed != NULL ? back_receive : send_receive;
	*out = t;
	return 0;
}

void
turns_close(struct turns *t)
{
	if (t == NULL)
		return;
	rte_eth_fp_ops[t->port_id] = t->saved;
	free(t);
}

uint32_t
turns_count(const struct turns *t)
{
	return __atomic_load_n(&t->pair_count, __ATOMIC_ACQUIRE);
}

struct turns_pair *
turns_pairs(struct turns *t)
{
	return t->pair;
}

uint64_t
turns_given(const struct turns *t)
{
	return t->given;
}
