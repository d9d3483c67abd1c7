/*
 * Connects at a rate, open loop. Attempt k of target i is due at start + (k + i / n) / rate, whatever became of the earlier ones, so
 * that a peer that answers slowly is not asked less often and its slow answers are not left out of the quantiles.
 */

#include "tcpcheck_priv.h"

/* Attempts started in one go: the rest has its turn after the next events. */
#define BATCH 256
/* How often the tick looks again while it is behind [ns]. */
#define BEHIND_NS EP_NS_PER_MS
#define LATE_NS (UINT64_C(100) * EP_NS_PER_MS)

static uint64_t
load_due_ns(const struct ep_tcpcheck *c, uint32_t target, uint64_t k)
{
	const double share = (double)target / c->targets.count;

	return c->load.start_ns + (uint64_t)(((double)k + share) * 1e9 / c->load.rate_hz);
}

void
ep_tcpcheck_load_start(struct ep_tcpcheck *c, double rate_hz, uint64_t start_ns)
{
	for (uint32_t i = 0; i < c->targets.count; i++) {
		struct tc_load_one *one = &c->load.one[i];

		*one = (struct tc_load_one){0};
		one->count.port = c->targets.target[i].port;
		one->count.transport = c->targets.target[i].transport;
	}
	c->load.rate_hz = rate_hz;
	c->load.start_ns = start_ns;
	c->load.end_ns = UINT64_MAX;
	if (c->targets.count == 0)
		return;
	if (!c->load.running)
		c->load.running = tc_io_tick(c, &c->load.tick, TC_TICK_LOAD) == 0;
	if (c->load.running)
		tc_timer_set(c, &c->load.tick, start_ns);
}

void
ep_tcpcheck_load_stop(struct ep_tcpcheck *c, uint64_t end_ns)
{
	if (end_ns < c->load.end_ns)
		c->load.end_ns = end_ns;
	/* The tick ends itself, when nothing is left that was due. */
	if (c->load.running)
		tc_timer_set(c, &c->load.tick, c->load.start_ns);
}

bool
ep_tcpcheck_load_done(const struct ep_tcpcheck *c)
{
	return !c->load.running && c->load.under_way == 0;
}

/* Start what is due of one target. Returns when its next one is; UINT64_MAX: there is none. */
static uint64_t
load_start_due(struct ep_tcpcheck *c, uint32_t target, uint64_t now_ns)
{
	struct tc_load_one *one = &c->load.one[target];
	uint64_t due_ns = load_due_ns(c, target, one->next);

	for (int n = 0; due_ns <= now_ns && due_ns < c->load.end_ns; n++) {
		if (n == BATCH)
			return now_ns + BEHIND_NS;
		one->count.late += now_ns - due_ns > LATE_NS;
		one->next++;
		tc_probe_load(c, target, now_ns);
		due_ns = load_due_ns(c, target, one->next);
	}
	return due_ns < c->load.end_ns ? due_ns : UINT64_MAX;
}

void
tc_load_tick(struct ep_tcpcheck *c, uint64_t now_ns)
{
	uint64_t next_ns = UINT64_MAX;

	for (uint32_t i = 0; i < c->targets.count; i++) {
		uint64_t due_ns;

		if (!tc_target_is_first(c, i))
			continue;
		due_ns = load_start_due(c, i, now_ns);
		if (due_ns < next_ns)
			next_ns = due_ns;
	}
	if (next_ns != UINT64_MAX) {
		tc_timer_set(c, &c->load.tick, next_ns);
		return;
	}
	tc_io_tick_end(c, &c->load.tick);
	c->load.running = false;
}

void
tc_load_done(struct ep_tcpcheck *c, uint32_t target, const struct ep_tcpcheck_row *row,
	uint64_t start_ns, uint64_t now_ns)
{
	struct tc_load_one *one = &c->load.one[target];
	struct ep_tcpcheck_load *l = &one->count;

	(void)now_ns;
	l->attempts++;
	l->by_status[row->status]++;
	if (row->status == EP_TCPCHECK_OPEN) {
		ep_hist_push(&one->hist,
			row->connect_ns < UINT32_MAX ? (uint32_t)row->connect_ns : UINT32_MAX);
		if (row->connect_ns > l->max_ns)
			l->max_ns = row->connect_ns;
		return;
	}
	if (row->status == EP_TCPCHECK_BUSY || row->status == EP_TCPCHECK_ERROR)
		l->own_failures++;
	else
		l->failures++;
	if (l->first_bad.status == EP_TCPCHECK_PENDING) {
		l->first_bad = *row;
		l->first_bad_ns = start_ns - c->load.start_ns;
	}
}

/* A histogram's buckets end at 4.29 s; what lies above is known by its maximum only. */
static uint64_t
load_quantile(const struct tc_load_one *one, double q)
{
	const uint32_t ns = ep_hist_quantile_ns(&one->hist, q);

	return ns == UINT32_MAX ? one->count.max_ns : ns;
}

void
ep_tcpcheck_load(const struct ep_tcpcheck *c, uint32_t i, struct ep_tcpcheck_load *load)
{
	*load = c->load.one[i].count;
	load->p50_ns = load_quantile(&c->load.one[i], 0.5);
	load->p99_ns = load_quantile(&c->load.one[i], 0.99);
}
