#include "engine_priv.h"
#include "table.h"

#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A stream starts this long after the word is given, so that a worker that sleeps is awake by then and its first slot is on time. */
#define START_LEAD_NS 1000000

/* How long workers may take until they receive: far below the second after which a silent peer is given up. */
#define AWAIT_US 100000
#define AWAIT_STEP_US 100

RTE_LOG_REGISTER(ep_engine_logtype, ep.engine, NOTICE)

static size_t
learn_bytes(const struct ep_engine *e, const struct side *s)
{
	const size_t entry =
		s->learn.family == EP_WIRE_IPV4 ? sizeof(uint64_t) : sizeof(struct learn_entry6);

	return (size_t)e->cfg.space.flow_count * entry;
}

/* --- Creation ---------------------------------------------------------------------------------------------------------- */

static void
lane_destroy(const struct ep_engine *e, struct lane *l)
{
	if (l == NULL)
		return;
	ep_wire_tagger_destroy(l->tagger);
	ep_wire_tagger_destroy(l->old_tagger);
	table_free(l->acct.flow, engine_flows_bytes(e));
	queues_destroy(l);
	table_free(l->hist_oneway, engine_hist_bytes(e));
	table_free(l->hist_rtt, engine_hist_bytes(e));
	free(l);
}

/* Lane i of n takes queues i, i + n, ... */
static void
lane_queues(struct lane *l, const struct side *s, uint32_t i)
{
	for (uint32_t q = i; q < s->info.queue_pairs && l->rx_queue_count < ENGINE_QUEUES_MAX;
		q += s->lane_count)
		l->rx_queue[l->rx_queue_count++] = ep_dev_queue(s->cfg.dev, (uint16_t)q);
	l->port_id = ep_dev_queue(s->cfg.dev, (uint16_t)i).port_id;
	l->tx_queue = ep_dev_queue(s->cfg.dev, (uint16_t)i).queue_id;
}

static int
lane_tables(const struct ep_engine *e, struct lane *l)
{
	l->acct.flow_count = e->cfg.space.flow_count;
	l->acct.port_count = e->cfg.range->port_count;
	l->acct.flow = table_alloc(engine_flows_bytes(e));
	l->hist_oneway = table_alloc(engine_hist_bytes(e));
	l->hist_rtt = table_alloc(engine_hist_bytes(e));
	return l->acct.flow == NULL || l->hist_oneway == NULL || l->hist_rtt == NULL
		? -ENOMEM
		: queues_create(l);
}

static uint64_t
rearm_word(uint16_t data_off, uint16_t refcnt, uint16_t nb_segs, uint16_t port)
{
	struct rte_mbuf m;
	uint64_t word;

	memset(&m, 0, sizeof(m));
	m.data_off = data_off;
	rte_mbuf_refcnt_set(&m, refcnt);
	m.nb_segs = nb_segs;
	m.port = port;
	memcpy(&word, &m.rearm_data, sizeof(word));
	return word;
}

/* Mbufs are sent as one segment of their own, with nothing in front of the frame but the usual room. */
static void
lane_mbufs(struct lane *l)
{
	l->mbuf_rearm = rearm_word(RTE_PKTMBUF_HEADROOM, 1, 1, RTE_MBUF_PORT_INVALID);
	l->mbuf_rearm_whole = rearm_word(0, UINT16_MAX, UINT16_MAX, 0);
	l->frame_offset = (uint32_t)sizeof(struct rte_mbuf) + rte_pktmbuf_priv_size(l->pool) +
		RTE_PKTMBUF_HEADROOM;
}

static bool
ports_in_row(const struct ep_range *range)
{
	for (uint32_t i = 0; i < range->port_count; i++)
		if (range->port[i] != range->port[0] + i)
			return false;
	return true;
}

static int
lane_create(struct ep_engine *e, struct side *s, uint32_t i, struct lane **out)
{
	struct lane *l = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*l));

	if (l == NULL)
		return -ENOMEM;
	memset(l, 0, sizeof(*l));
	*out = l;
	l->port_of = e->cfg.range->port;
	l->space = &e->cfg.space;
	l->learn = &s->learn;
	l->block_shift = e->block_shift;
	l->pool = ep_dev_pool(s->cfg.dev, (uint16_t)i);
	lane_mbufs(l);
	l->slow_rx = s->cfg.slow_rx;
	l->holds_echoes = s->info.kernel;
	l->readdress = e->cfg.space.address_count > 1;
	l->ports_in_row = ports_in_row(e->cfg.range);
	l->address_base = ep_wire_get32(
		s->cfg.ends.src.bytes_be + (s->cfg.ends.src.family == EP_WIRE_IPV6 ? 12 : 0));
	lane_queues(l, s, i);
	return lane_tables(e, l);
}

static int
learn_create(struct ep_engine *e, struct side *s)
{
	void *table;

	s->learn.family = s->cfg.ends.src.family;
	s->learn.flow_count = e->cfg.space.flow_count;
	table = table_alloc(learn_bytes(e, s));
	if (table == NULL)
		return -ENOMEM;
	if (s->learn.family == EP_WIRE_IPV4)
		s->learn.v4 = table;
	else
		s->learn.v6 = table;
	return 0;
}

/* No NAT lies between: every flow comes from where it leaves. */
static void
learn_all(struct ep_engine *e, struct side *responder, const struct ep_wire_ip *initiator)
{
	for (uint32_t f = 0; f < e->cfg.space.flow_count; f++)
		responder->lane[0]->count.learned += learn_set(
			&responder->learn, f, initiator, ep_sched_source_port(&e->cfg.space, f));
}

static int
stage_create(struct ep_engine *e, uint32_t side)
{
	struct side *s = &e->side[side];
	struct stage *st = calloc(1, sizeof(*st));

	if (st == NULL)
		return -ENOMEM;
	s->stage = st;
	st->from = e->cfg.wire.from[1 - side];
	st->to = e->cfg.wire.to[side];
	st->up = s->cfg.role == EP_ENGINE_RESPONDER;
	st->pool = ep_dev_pool(s->cfg.dev, 0);
	/* Each direction has draws of its own. */
	return ep_path_create(e->cfg.path, e->cfg.range, e->cfg.space.flow_count,
		e->cfg.seed * 2 + (st->up ? 0 : 1), &st->path);
}

static int
side_create(struct ep_engine *e, uint32_t side)
{
	struct side *s = &e->side[side];
	int ret = 0;

	s->cfg = e->cfg.side[side];
	ep_dev_info(s->cfg.dev, &s->info);
	s->cfg.worker_count = RTE_MIN(s->cfg.worker_count, s->info.queue_pairs);
	s->lane_count = s->cfg.lane_count == 0 ? s->cfg.worker_count : s->cfg.lane_count;
	s->lane_count = RTE_MIN(s->lane_count, RTE_MIN(s->info.queue_pairs, ENGINE_QUEUES_MAX));
	s->cfg.worker_count = RTE_MIN(s->cfg.worker_count, s->lane_count);
	s->lane = calloc(s->lane_count, sizeof(struct lane *));
	if (s->lane == NULL)
		return -ENOMEM;
	if (s->cfg.role == EP_ENGINE_RESPONDER)
		ret = learn_create(e, s);
	for (uint32_t i = 0; i < s->lane_count && ret == 0; i++)
		ret = lane_create(e, s, i, &s->lane[i]);
	if (ret == 0) {
		s->lane[0]->slow_tx = s->cfg.slow_tx;
		s->lane[0]->slow_done = s->cfg.slow_done;
	}
	if (ret == 0 && e->cfg.path != NULL) {
		ret = stage_create(e, side);
		s->lane[0]->stage = s->stage;
	}
	return ret;
}

static void
worker_attach(struct ep_engine *e, uint32_t side)
{
	struct side *s = &e->side[side];

	for (uint32_t i = 0; i < s->lane_count; i++) {
		struct worker *w = &e->worker[s->cfg.first_worker + i % s->cfg.worker_count];

		w->lane_side[w->lane_count] = side;
		w->lane_index[w->lane_count] = i;
		w->lane[w->lane_count++] = s->lane[i];
	}
}

static int
workers_create(struct ep_engine *e, struct ep_err *err)
{
	unsigned int lcore_id = rte_get_next_lcore((unsigned int)-1, 1, 0);

	e->worker = aligned_alloc(RTE_CACHE_LINE_SIZE, e->cfg.worker_count * sizeof(*e->worker));
	if (e->worker == NULL)
		return ep_err_set(err, -ENOMEM, "no memory for %u workers", e->cfg.worker_count);
	memset(e->worker, 0, e->cfg.worker_count * sizeof(*e->worker));
	for (uint32_t i = 0; i < e->cfg.worker_count; i++) {
		if (lcore_id >= RTE_MAX_LCORE)
			return ep_err_set(err, -EINVAL,
				"%u workers, but DPDK runs with %u worker cores",
				e->cfg.worker_count, rte_lcore_count() - 1);
		e->worker[i].engine = e;
		e->worker[i].lcore_id = lcore_id;
		lcore_id = rte_get_next_lcore(lcore_id, 1, 0);
	}
	return 0;
}

static void
blocks_plan(struct ep_engine *e)
{
	const uint32_t last = e->cfg.range->port_count - 1;

	while (last >> e->block_shift >= EP_ENGINE_BLOCKS_MAX)
		e->block_shift++;
	e->block_count = (last >> e->block_shift) + 1;
}

int
ep_engine_create(const struct ep_engine_cfg *cfg, struct ep_engine **out, struct ep_err *err)
{
	struct ep_engine *e = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*e));
	int ret;

	if (e == NULL)
		return ep_err_set(err, -ENOMEM, "no memory for the engine");
	memset(e, 0, sizeof(*e));
	e->cfg = *cfg;
	e->hot = hot_choose();
	blocks_plan(e);
	ret = workers_create(e, err);
	if (ret < 0)
		goto fail;
	for (uint32_t side = 0; side < cfg->side_count; side++) {
		ret = side_create(e, side);
		if (ret < 0) {
			ep_err_set(err, ret,
				"no memory for the account of %u flows and %u ports (%zu KiB of "
				"flows a worker)",
				cfg->space.flow_count, cfg->range->port_count,
				engine_flows_bytes(e) >> 10);
			goto fail;
		}
		worker_attach(e, side);
	}
	if (cfg->known_addresses)
		for (uint32_t side = 0; side < cfg->side_count; side++)
			if (cfg->side[side].role == EP_ENGINE_RESPONDER)
				learn_all(e, &e->side[side], &cfg->side[1 - side].ends.src);
	*out = e;
	return 0;

fail:
	ep_engine_destroy(e);
	return ret;
}

static void
side_destroy(struct ep_engine *e, struct side *s)
{
	for (uint32_t i = 0; s->lane != NULL && i < s->lane_count; i++)
		lane_destroy(e, s->lane[i]);
	free(s->lane);
	free(s->tmpl);
	free(s->list);
	table_free(
		s->learn.v4 != NULL ? (void *)s->learn.v4 : (void *)s->learn.v6, learn_bytes(e, s));
	if (s->stage != NULL) {
		if (s->stage->path != NULL)
			stage_fini(s->stage);
		ep_path_destroy(s->stage->path);
		free(s->stage);
	}
}

void
ep_engine_destroy(struct ep_engine *e)
{
	if (e == NULL)
		return;
	ep_engine_stop(e);
	for (uint32_t side = 0; side < e->cfg.side_count; side++)
		side_destroy(e, &e->side[side]);
	free(e->worker);
	explicit_bzero(e->old_key, sizeof(e->old_key));
	explicit_bzero(&e->trial, sizeof(e->trial));
	free(e);
}

/* --- Running a trial -------------------------------------------------------------------------------------------------------- */

static int
workers_launch(struct ep_engine *e, struct ep_err *err)
{
	e->running = true;
	for (uint32_t i = 0; i < e->cfg.worker_count; i++) {
		struct worker *w = &e->worker[i];
		int ret;

		w->max_gap_cycles = 0;
		w->ready = false;
		w->max_trial_gap_cycles = 0;
		w->trial_seen = false;
		w->in_trial = false;
		if (w->lane_count == 0)
			continue;
		ret = rte_eal_remote_launch(worker_main, w, w->lcore_id);
		if (ret < 0)
			return ep_err_set(err, ret, "worker %u cannot be started on lcore %u: %s",
				i, w->lcore_id, strerror(-ret));
	}
	return 0;
}

void
ep_engine_set_clock(struct ep_engine *e, const struct ep_engine_clock *clock)
{
	ep_engine_stop(e);
	e->cfg.clock = *clock;
}

/* A worker first touches its tables, which may take a while. One that takes longer than this comes late, and that is seen. */
static void
workers_await(const struct ep_engine *e)
{
	unsigned int tries = AWAIT_US / AWAIT_STEP_US;

	for (uint32_t i = 0; i < e->cfg.worker_count; i++)
		while (e->worker[i].lane_count > 0 && tries > 0 &&
			!__atomic_load_n(&e->worker[i].ready, __ATOMIC_ACQUIRE)) {
			usleep(AWAIT_STEP_US);
			tries--;
		}
}

int
ep_engine_prepare(struct ep_engine *e, const struct ep_engine_trial *trial, struct ep_err *err)
{
	int ret = 0;

	ep_engine_stop(e);
	e->trial = *trial;
	e->silence = false;
	e->late = false;
	__atomic_store_n(&e->command, ENGINE_RUN, __ATOMIC_RELEASE);
	for (uint32_t side = 0; side < e->cfg.side_count && ret == 0; side++)
		ret = trial_side_prepare(e, &e->side[side], err);
	memcpy(e->old_key, trial->key, sizeof(e->old_key));
	e->has_old_key = true;
	if (ret == 0)
		ret = workers_launch(e, err);
	if (ret == 0)
		workers_await(e);
	if (ret < 0)
		ep_engine_stop(e);
	return ret;
}

void
ep_engine_start(struct ep_engine *e, uint32_t side)
{
	const uint64_t lead_cycles = (uint64_t)(e->cfg.clock.hz / 1e9 * START_LEAD_NS);

	__atomic_store_n(&e->side[side].start_cycles, ep_engine_now_cycles() + lead_cycles,
		__ATOMIC_RELEASE);
}

/*
 * Workers read the template while this writes: eight bytes at once, the destination MAC and what follows it, so that none sees a
 * half of each.
 */
void
ep_engine_next_hop(struct ep_engine *e, uint32_t side, const uint8_t mac[6])
{
	struct side *s = &e->side[side];

	memcpy(s->cfg.ends.dst_mac, mac, 6);
	for (uint32_t i = 0; s->tmpl != NULL && i < e->trial.sizes.count; i++) {
		uint8_t *header = s->tmpl[i].header;
		uint64_t word;

		static_assert(
			offsetof(struct ep_wire_tmpl, header) == 0, "as aligned as the template");
		memcpy(&word, header, sizeof(word));
		memcpy(&word, mac, 6);
		__atomic_store_n((uint64_t *)(void *)header, word, __ATOMIC_RELAXED);
	}
}

void
ep_engine_silence(struct ep_engine *e)
{
	__atomic_store_n(&e->silence, true, __ATOMIC_RELAXED);
}

bool
ep_engine_tx_done(const struct ep_engine *e, uint32_t side)
{
	const struct side *s = &e->side[side];

	for (uint32_t i = 0; i < s->lane_count; i++)
		if (!__atomic_load_n(&s->lane[i]->tx_done, __ATOMIC_ACQUIRE))
			return false;
	return true;
}

void
ep_engine_drain(struct ep_engine *e)
{
	__atomic_store_n(&e->command, ENGINE_DRAIN, __ATOMIC_RELEASE);
}

void
ep_engine_late(struct ep_engine *e)
{
	__atomic_store_n(&e->late, true, __ATOMIC_RELAXED);
}

void
ep_engine_stop(struct ep_engine *e)
{
	if (!e->running)
		return;
	__atomic_store_n(&e->command, ENGINE_STOP, __ATOMIC_RELEASE);
	for (uint32_t i = 0; i < e->cfg.worker_count; i++)
		rte_eal_wait_lcore(e->worker[i].lcore_id);
	e->running = false;
}

const char *
ep_engine_tag_name(const struct ep_engine *e)
{
	const struct lane *l = e->side[0].lane[0];

	return l->tagger == NULL ? "" : ep_wire_tagger_name(l->tagger);
}

const char *
ep_engine_isa(const struct ep_engine *e)
{
	return e->hot->isa;
}
