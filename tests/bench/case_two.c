/*
 * Two workers, each with a device of its own: are they twice as fast as one?
 *
 * A side has one device, whose second queue is led to the second device here: net_null keeps the counters of a device's queues side
 * by side, and two cores that write them would be slow for a reason that is not ours.
 */

#include "rig.h"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_pause.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORKERS 2
#define WINDOW_ROUNDS 128
#define WARM_WINDOWS 200
/* There and back between two cores [cycles]: near ones take 100 to 200, those of another part of the chip 800 and more. */
#define FAR_CYCLES 400
#define PING_ROUNDS 2000
#define TRIES 8

/* --- Ping-pong -------------------------------------------------------------------------------------------------------------- */

struct ping {
	alignas(64) uint32_t to;
	alignas(64) uint32_t back;
};

static int
ping_answer(void *arg)
{
	struct ping *p = arg;

	for (uint32_t i = 1; i <= PING_ROUNDS; i++) {
		while (__atomic_load_n(&p->to, __ATOMIC_ACQUIRE) != i)
			rte_pause();
		__atomic_store_n(&p->back, i, __ATOMIC_RELEASE);
	}
	return 0;
}

static int
ping_ask(void *arg)
{
	struct ping *p = arg;
	const uint64_t start = rte_rdtsc();

	for (uint32_t i = 1; i <= PING_ROUNDS; i++) {
		__atomic_store_n(&p->to, i, __ATOMIC_RELEASE);
		while (__atomic_load_n(&p->back, __ATOMIC_ACQUIRE) != i)
			rte_pause();
	}
	return (int)((rte_rdtsc() - start) / PING_ROUNDS);
}

/* Cycles there and back, the least of some. The workers rest. */
static int
ping_cycles(void)
{
	const unsigned int first = rte_get_next_lcore((unsigned int)-1, 1, 0);
	const unsigned int second = rte_get_next_lcore(first, 1, 0);
	int best = INT32_MAX;

	for (int i = 0; i < TRIES; i++) {
		struct ping p = {0};
		int cycles;

		rte_eal_remote_launch(ping_answer, &p, second);
		rte_eal_remote_launch(ping_ask, &p, first);
		cycles = rte_eal_wait_lcore(first);
		rte_eal_wait_lcore(second);
		best = RTE_MIN(best, cycles);
	}
	return best;
}

/* --- Queues ----------------------------------------------------------------------------------------------------------------- */

/* What a worker meets instead of a queue of its device. */
struct queue {
	void *rx;
	void *tx;
	eth_rx_burst_t receive;
	eth_tx_burst_t send;
	uint32_t rounds_left;
	uint64_t sent;       /* By the worker. */
	uint64_t sent_begin; /* When the window began. */
	struct meter meter;
};

struct two {
	struct rig *rig;
	struct rte_eth_fp_ops saved;
	struct queue *queue[WORKERS];
};

static __rte_noinline void
queue_window(struct queue *q)
{
	if (q->sent > q->sent_begin && q->sent_begin > 0)
		meter_end(&q->meter, rte_rdtsc(), q->sent - q->sent_begin);
	q->sent_begin = q->sent;
	q->rounds_left = WINDOW_ROUNDS;
	meter_begin(&q->meter);
}

static uint16_t
queue_receive(void *queue, struct rte_mbuf **mbuf, uint16_t count)
{
	struct queue *q = queue;

	if (unlikely(q->rounds_left-- == 0))
		queue_window(q);
	return q->receive(q->rx, mbuf, count);
}

static uint16_t
queue_send(void *queue, struct rte_mbuf **mbuf, uint16_t count)
{
	struct queue *q = queue;
	const uint16_t n = q->send(q->tx, mbuf, count);

	q->sent += n;
	return n;
}

static void
two_close(struct two *t)
{
	if (t->rig != NULL && t->saved.rx_pkt_burst != NULL)
		rte_eth_fp_ops[t->rig->info[0].port_id] = t->saved;
	for (uint32_t i = 0; i < WORKERS; i++)
		free(t->queue[i]);
	rig_close(t->rig);
}

static int
queue_open(const struct bench *b, struct two *t, uint32_t i)
{
	const struct rte_eth_fp_ops *real = &rte_eth_fp_ops[t->rig->info[i].port_id];
	struct queue *q = aligned_alloc(64, RTE_ALIGN_CEIL(sizeof(*q), 64));

	if (q == NULL)
		return -ENOMEM;
	memset(q, 0, sizeof(*q));
	q->rx = real->rxq.data[0];
	q->tx = real->txq.data[0];
	q->receive = real->rx_pkt_burst;
	q->send = real->tx_pkt_burst;
	q->rounds_left = WINDOW_ROUNDS;
	meter_reset(&q->meter, b, WARM_WINDOWS);
	t->queue[i] = q;
	return 0;
}

static int
two_open(const struct bench *b, uint32_t workers, struct two *t, struct ep_err *err)
{
	const struct rig_cfg cfg = {.kind = RIG_SINK, .worker_count = workers, .spare_sink = true};
	int ret = rig_open(b, &cfg, &t->rig, err);
	struct rte_eth_fp_ops *ops;

	for (uint32_t i = 0; i < WORKERS && ret == 0; i++)
		ret = queue_open(b, t, i);
	if (ret < 0)
		return ret;
	ops = &rte_eth_fp_ops[t->rig->info[0].port_id];
	t->saved = *ops;
	ops->rxq.data = (void **)t->queue;
	ops->txq.data = (void **)t->queue;
	ops->rx_pkt_burst = queue_receive;
	ops->tx_pkt_burst = queue_send;
	return 0;
}

/* --- Measuring -------------------------------------------------------------------------------------------------------------- */

static int
two_check(const struct two *t, uint32_t workers, struct ep_err *err)
{
	uint64_t sent = 0;
	struct ep_engine_count c;

	ep_engine_count(t->rig->engine, RIG_INITIATOR, &c);
	for (uint32_t i = 0; i < workers; i++) {
		struct ep_dev_stats stats;

		ep_dev_stats(t->rig->dev[i], &stats);
		if (stats.opackets != t->queue[i]->sent)
			return ep_err_set(err, -EIO,
				"device %u took %llu packets, its worker sent %llu", i,
				(unsigned long long)stats.opackets,
				(unsigned long long)t->queue[i]->sent);
		sent += stats.opackets;
	}
	return c.accepted == sent
		? 0
		: ep_err_set(err, -EIO, "the devices took %llu packets, the engine sent %llu",
			  (unsigned long long)sent, (unsigned long long)c.accepted);
}

/* Samples of each worker while @p workers of them send. */
static int
two_run(const struct bench *b, uint32_t workers, struct bench_samples *samples, struct ep_err *err)
{
	const struct ep_engine_trial trial = rig_trial();
	struct two t = {0};
	int ret = two_open(b, workers, &t, err);

	if (ret == 0)
		ret = rig_begin(t.rig, &trial, err);
	for (uint32_t i = 0; i < workers && ret == 0; i++)
		ret = meter_wait(&t.queue[i]->meter, err);
	if (ret == 0)
		ret = rig_end(t.rig, err);
	if (ret == 0)
		ret = two_check(&t, workers, err);
	for (uint32_t i = 0; i < workers && ret == 0; i++)
		meter_samples(&t.queue[i]->meter, &samples[i]);
	two_close(&t);
	return ret;
}

static double
median_of(const struct bench_samples *s)
{
	double v[BENCH_SAMPLES];

	memcpy(v, s->cycles, sizeof(v));
	return bench_median(v, BENCH_SAMPLES);
}

static void
two_combine(const struct bench_samples *one, const struct bench_samples *two,
	struct bench_samples *both)
{
	for (uint32_t i = 0; i < BENCH_SAMPLES; i++)
		both->cycles[i] = 1 / (1 / two[0].cycles[i] + 1 / two[1].cycles[i]);
	both->alone = one->alone && two[0].alone && two[1].alone;
	fprintf(stderr, "ep_bench: tx_2: %.2f times one worker (%.1f cycles; two: %.1f and %.1f)\n",
		median_of(one) / median_of(both), median_of(one), median_of(&two[0]),
		median_of(&two[1]));
}

int
bench_tx_2(const struct bench *b, struct bench_samples *samples, struct ep_err *err)
{
	int before = 0, after = 0;

	if (b->core_count < WORKERS)
		return ep_err_set(err, -EAGAIN, "dropped: it takes two CPUs");
	for (int i = 0; i < TRIES; i++) {
		struct bench_samples one = {0}, two[WORKERS] = {0};
		int ret;

		after = 0;
		before = ping_cycles();
		if (before > FAR_CYCLES) {
			bench_sleep_ns(EP_NS_PER_S);
			continue;
		}
		ret = two_run(b, 1, &one, err);
		if (ret == 0)
			ret = two_run(b, WORKERS, two, err);
		after = ping_cycles();
		if (ret < 0)
			return ret;
		if (after > FAR_CYCLES)
			continue;
		two_combine(&one, two, samples);
		return 0;
	}
	if (after == 0)
		return ep_err_set(err, -EAGAIN,
			"dropped: the two cores are far from each other (there and back %d cycles)",
			before);
	return ep_err_set(err, -EAGAIN,
		"dropped: the two cores are far from each other (there and back %d cycles before, "
		"%d after)",
		before, after);
}
