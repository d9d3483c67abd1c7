#include "engine_priv.h"

#include <string.h>

/* What the workers have counted, read from the main thread. */

static uint64_t
peek(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static uint64_t
cycles_to_ns(const struct ep_engine *e, uint64_t cycles)
{
	return (uint64_t)((double)cycles / e->cfg.clock.hz * 1e9);
}

/* From the schedule, not from what became of its slots, so that the ledger's first equation is a check. */
static uint64_t
stream_intended(const struct lane *l)
{
	const uint64_t planned = peek(&l->count.planned);

	if (planned > 0 && __atomic_load_n(&l->tx_done, __ATOMIC_ACQUIRE))
		return planned;
	return peek(&l->count.accepted) + peek(&l->count.not_sent);
}

/* One echo is due for each first copy. */
static uint64_t
echo_intended(const struct ep_engine *e, const struct side *s, const struct lane *l)
{
	return s->cfg.role == EP_ENGINE_RESPONDER && e->trial.echo ? peek(&l->count.first) : 0;
}

static void
lane_count_add(const struct ep_engine *e, const struct side *s, const struct lane *l,
	struct ep_engine_count *c)
{
	const uint64_t accepted = peek(&l->count.accepted) + peek(&l->count.echo_accepted);
	const uint64_t not_sent = peek(&l->count.not_sent) + peek(&l->count.echo_refused);
	const uint64_t last_cycles = peek(&l->count.last_tx_cycles);

	c->accepted += accepted;
	c->not_sent += not_sent;
	c->intended += stream_intended(l) + echo_intended(e, s, l);
	c->first += peek(&l->count.first);
	c->received += peek(&l->count.received);
	c->late += peek(&l->count.late);
	c->bad_tag += peek(&l->count.bad_tag);
	c->wrong_port += peek(&l->count.wrong_port);
	c->foreign += peek(&l->count.foreign);
	c->tx_short += peek(&l->count.tx_short);
	c->learned_flows += peek(&l->count.learned);
	c->slow_sent += peek(&l->count.slow_sent);
	c->slow_dropped += peek(&l->count.slow_dropped);
	if (last_cycles > s->start_cycles && s->start_cycles > 0)
		c->tx_duration_ns =
			RTE_MAX(c->tx_duration_ns, cycles_to_ns(e, last_cycles - s->start_cycles));
}

void
ep_engine_count(const struct ep_engine *e, uint32_t side, struct ep_engine_count *count)
{
	const struct side *s = &e->side[side];

	*count = (struct ep_engine_count){0};
	for (uint32_t i = 0; i < s->lane_count; i++)
		lane_count_add(e, s, s->lane[i], count);
	for (uint32_t i = 0; i < s->cfg.worker_count; i++) {
		const struct worker *w = &e->worker[s->cfg.first_worker + i];

		count->max_gap_ns =
			RTE_MAX(count->max_gap_ns, cycles_to_ns(e, peek(&w->max_gap_cycles)));
	}
}

void
ep_engine_rx_ports(const struct ep_engine *e, uint32_t side, struct ep_acct_port *ports)
{
	const struct side *s = &e->side[side];

	for (uint32_t i = 0; i < s->lane_count; i++)
		for (uint32_t q = 0; q < queues_count(s->lane[i]); q++)
			ep_acct_ports_merge(
				ports, s->lane[i]->queue_port[q], e->cfg.range->port_count);
}

/* Echoes that the NIC took: one a first copy, less those it refused. */
static void
echo_ports_add(const struct ep_engine *e, const struct lane *l, uint64_t *sent)
{
	for (uint32_t q = 0; q < queues_count(l); q++)
		for (uint32_t p = 0; p < e->cfg.range->port_count; p++)
			sent[p] += ep_acct_first(&l->queue_port[q][p]) -
				l->queue_port[q][p].echo_refused;
}

void
ep_engine_tx_ports(const struct ep_engine *e, uint32_t side, uint64_t *sent)
{
	const struct side *s = &e->side[side];

	for (uint32_t i = 0; i < s->lane_count; i++) {
		const struct lane *l = s->lane[i];

		if (l->tx != NULL)
			ep_sched_count_ports(l->order, &l->cursor, l->space, l->list, sent);
		if (s->cfg.role == EP_ENGINE_RESPONDER && e->trial.echo)
			echo_ports_add(e, l, sent);
	}
}

uint32_t
ep_engine_queues(const struct ep_engine *e, uint32_t side, uint64_t *pkts)
{
	const struct side *s = &e->side[side];

	static_assert(EP_ENGINE_QUEUES_MAX == ENGINE_QUEUES_MAX, "one word for it outside");
	memset(pkts, 0, EP_ENGINE_QUEUES_MAX * sizeof(*pkts));
	/* Lane i has the queues i, i + lane_count, ... */
	for (uint32_t i = 0; i < s->lane_count; i++)
		for (uint32_t q = 0; q < s->lane[i]->rx_queue_count; q++)
			pkts[i + q * s->lane_count] = peek(&s->lane[i]->queue_pkts[q]);
	return RTE_MIN(s->info.queue_pairs, EP_ENGINE_QUEUES_MAX);
}

/* The queue that has most of a port's probes; EP_ENGINE_QUEUE_NONE where none came, or no queue has nine of ten. */
static uint32_t
port_queue(const struct side *s, uint32_t port_index)
{
	uint64_t total = 0, most = 0;
	uint32_t best = EP_ENGINE_QUEUE_NONE;

	for (uint32_t i = 0; i < s->lane_count; i++) {
		for (uint32_t q = 0; q < queues_count(s->lane[i]); q++) {
			const uint64_t n = ep_acct_received(&s->lane[i]->queue_port[q][port_index]);

			total += n;
			if (n > most) {
				most = n;
				best = i + q * s->lane_count;
			}
		}
	}
	return most >= total - total / 10 ? best : EP_ENGINE_QUEUE_NONE;
}

void
ep_engine_port_queues(const struct ep_engine *e, uint32_t side, uint8_t *queue)
{
	const struct side *s = &e->side[side];

	for (uint32_t p = 0; p < e->cfg.range->port_count; p++)
		queue[p] = (uint8_t)port_queue(s, p);
}

uint32_t
ep_engine_block_count(const struct ep_engine *e, uint32_t *block_ports)
{
	*block_ports = UINT32_C(1) << e->block_shift;
	return e->block_count;
}

void
ep_engine_hist(
	const struct ep_engine *e, uint32_t side, bool rtt, uint32_t block, struct ep_hist *hist)
{
	const struct side *s = &e->side[side];

	for (uint32_t i = 0; i < s->lane_count; i++) {
		const struct ep_hist *h = rtt ? s->lane[i]->hist_rtt : s->lane[i]->hist_oneway;

		ep_hist_merge(hist, &h[block]);
	}
}

uint64_t
ep_engine_jitter_ns(const struct ep_engine *e, uint32_t side)
{
	const struct side *s = &e->side[side];
	struct ep_acct_jitter jitter = {0};

	for (uint32_t i = 0; i < s->lane_count; i++) {
		const struct ep_acct *a = &s->lane[i]->acct;

		ep_acct_jitter_add(&jitter, a->flow, a->flow_count);
	}
	return ep_acct_jitter_mean_ns(&jitter);
}

const struct ep_path_port *
ep_engine_path_ports(const struct ep_engine *e, uint32_t side)
{
	const struct stage *st = e->side[side].stage;

	return st == NULL ? NULL : ep_path_ports(st->path);
}
