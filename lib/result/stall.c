/*
 * A receiver that was away, because the kernel gave its CPU to others or its driver held it up, finds afterwards what its ring kept
 * for it. Where nothing was lost it did no harm, however long it was. Where something was, it may be the receiver's own doing:
 *
 * - longer than the drain: what arrived in time may have been taken out of the ring too late, or never;
 * - longer than the ring holds at the rate of the trial, where the device does not count what a full ring drops (where it does, that
 *   is imissed, and judged as any own shortfall);
 * - longer than the sequence windows cover at the rate, where copies did arrive behind them, so that lost_min and lost_max differ.
 */

#include "result_priv.h"

#include <ep_acct.h>

#include <math.h>
#include <string.h>

/* Received where the schedule names no rate. */
static double
stall_rate_pps(const struct ep_result_trial *t, enum ep_result_dir dir)
{
	if (t->rate_pps > 0)
		return t->rate_pps;
	return t->duration_ns > 0 ? (double)t->ledger[dir].accepted * 1e9 / (double)t->duration_ns
				  : 0;
}

/* Time in which so many packets arrive; UINT64_MAX where none do [ns]. */
static uint64_t
stall_cover_ns(double packets, double rate_pps)
{
	const double ns = rate_pps > 0 ? packets / rate_pps * 1e9 : 0x1p64;

	return ns < 0x1p64 ? (uint64_t)ns : UINT64_MAX;
}

static void
stall_say(struct result_judge *j, const struct ep_result_trial *t, enum ep_result_dir dir,
	const char *what, uint64_t limit_ns)
{
	char gap[32], limit[32];

	ep_duration_format(gap, sizeof(gap), t->receiver[dir].gap_ns);
	ep_duration_format(limit, sizeof(limit), limit_ns);
	result_say_invalid(j,
		"invalid: %s: %s%s receiver was away for %s, longer than %s (%s), so the loss may "
		"be "
		"its own",
		ep_result_dir_name(dir), strcmp(t->kind, "sweep") == 0 ? "in the sweep " : "",
		result_whose(j->r, dir, false), gap, what, limit);
}

/* Far above what the ends of a short stream can be off by: here the sender was behind, and what it caught up with came late [ppm]. */
#define OFFERED_LIMIT_PPM 10000

int
result_pacing_warn(struct ep_result *r, const struct ep_result_trial *t, enum ep_result_dir dir)
{
	const struct ep_result_pacing *p = &t->pacing[dir];
	const double error_ppm = ep_result_pacing_error_ppm(p);
	char offered[48], intended[48];

	/* Where slots were dropped, the ledger and the shortfall say so. */
	if (strcmp(t->kind, "load") != 0 || t->ledger[dir].not_sent > 0 ||
		!(fabs(error_ppm) > OFFERED_LIMIT_PPM))
		return 0;
	return ep_result_warn(r,
		"%s: %s were offered on average instead of %s: %s sender was behind for a while "
		"and "
		"caught up",
		ep_result_dir_name(dir), ep_pps_format(offered, sizeof(offered), p->offered_pps),
		ep_pps_format(intended, sizeof(intended), p->intended_pps),
		result_whose(r, dir, true));
}

bool
result_stall_check(struct result_judge *j, const struct ep_result_trial *t, enum ep_result_dir dir)
{
	const struct ep_result_ledger *l = &t->ledger[dir];
	const struct ep_result_receiver *rx = &t->receiver[dir];
	const double rate_pps = stall_rate_pps(t, dir);
	const uint64_t ring_ns =
		rx->ring_pkts > 0 ? stall_cover_ns((double)rx->ring_pkts, rate_pps) : UINT64_MAX;
	const uint64_t window_ns =
		stall_cover_ns((double)EP_ACCT_WINDOW * (double)t->flow_count, rate_pps);

	if (!rx->known || !l->sender_known || !l->receiver_known || l->lost_max == 0)
		return true;
	if (rx->gap_ns > t->drain_ns)
		stall_say(j, t, dir, "the drain time", t->drain_ns);
	else if (rx->gap_ns > ring_ns)
		stall_say(j, t, dir, "its ring holds at this rate", ring_ns);
	else if (t->flow_count > 0 && rx->gap_ns > window_ns && l->lost_min < l->lost_max)
		stall_say(j, t, dir, "the sequence windows cover at this rate", window_ns);
	else
		return true;
	return false;
}
