/* How the streams were paced and how the workers ran, read after they have stopped. */

#include "engine_priv.h"

static double
cycles_to_s(const struct ep_engine *e, uint64_t cycles)
{
	return (double)cycles / e->cfg.clock.hz;
}

static uint64_t
cycles_to_ns(const struct ep_engine *e, uint64_t cycles)
{
	return (uint64_t)(cycles_to_s(e, cycles) * 1e9);
}

/* See depart.h. */
static double
lane_offered_pps(const struct ep_engine *e, const struct depart *d)
{
	if (d->last_cycles <= d->first_cycles)
		return 0;
	return (double)(d->pkts - d->first_pkts) / cycles_to_s(e, d->last_cycles - d->first_cycles);
}

static void
lane_pacing_add(const struct ep_engine *e, const struct lane *l, struct ep_engine_pacing *p)
{
	if (l->tx == NULL)
		return;
	p->burst_pkts = RTE_MAX(p->burst_pkts, l->pace.burst_pkts);
	p->offered_pps += lane_offered_pps(e, &l->depart);
	p->largest_gap_ns = RTE_MAX(p->largest_gap_ns, cycles_to_ns(e, l->depart.max_cycles));
}

void
ep_engine_pacing(const struct ep_engine *e, uint32_t side, struct ep_engine_pacing *pacing)
{
	const struct side *s = &e->side[side];

	*pacing = (struct ep_engine_pacing){0};
	for (uint32_t i = 0; i < s->lane_count; i++)
		lane_pacing_add(e, s->lane[i], pacing);
	for (uint32_t i = 0; i < s->cfg.worker_count; i++) {
		const struct worker *w = &e->worker[s->cfg.first_worker + i];

		pacing->loop_gap_ns =
			RTE_MAX(pacing->loop_gap_ns, cycles_to_ns(e, w->max_gap_cycles));
		pacing->receive_gap_ns =
			RTE_MAX(pacing->receive_gap_ns, cycles_to_ns(e, w->max_trial_gap_cycles));
	}
	if (pacing->burst_pkts > 0)
		pacing->intended_pps = s->rate_pps;
}

void
ep_engine_departures(const struct ep_engine *e, uint32_t side, struct ep_hist *hist)
{
	const struct side *s = &e->side[side];

	for (uint32_t i = 0; i < s->lane_count; i++)
		ep_hist_merge(hist, &s->lane[i]->depart.gap);
}
