/*
 * The schedule in fixed point.
 *
 * Times are 64.64 bit: whole cycles above, 2^-64 cycles below. A 64-bit counter at 5 GHz takes a century to wrap, so whole
 * cycles never overflow; the interval is kept to 2^56 cycles so that 64 of them (a burst) fit as well.
 *
 * Never early, never drifting. I = hz / rate is rounded up to a double (by one step of at most 2^-52 I, only where the
 * quotient is not exact) and from there taken over into 2^-64 cycles, rounded up (exact for I >= 2^-12 cycles). Slot k is
 * kept as next = start + k I + (1 - 2^-64): its whole cycles are ceil(start + k I), the first time stamp at which slot k
 * may go. So no slot goes before start + k hz / rate, and slot k is behind that by at most k I 2^-52, a share of 2 x 10^-16
 * of the time gone by (2 fs after 10 s), plus the rounding up to a whole cycle, which does not add up.
 *
 * Late slots. The due time of slot j from the next one on is floor((next + j I) / 2^64). It is before the time t when
 * next + j I < t 2^64. With D = t 2^64 - next > 0 these are ceil(D / I) = floor((D - 1) / I) + 1 slots, and none for D <= 0.
 * They take next past t 2^64 by less than I <= 2^120, so nothing here overflows 128 bits.
 *
 * Catching up. While slots are still due after a burst of n, the next burst waits for n I / 2: a backlog goes out at twice
 * the rate, half of it new. No slot is lost by that: the burst took n I off the lateness, the gate adds n I / 2.
 */

#include "ep_pace.h"

#include <assert.h>
#include <math.h>

#define INTERVAL_MAX_CYCLES 0x1p56

/* 1 - 2^-64 cycles: turns "whole cycles" from rounding down into rounding up. */
#define ROUND_UP_FP UINT64_MAX

uint64_t
ep_pace_slots(double rate_pps, uint64_t duration_ns)
{
	/* A whole number of slots is meant where the doubles come out a hair below one: 35347.7 pps for 60 s. */
	const double slots = rate_pps * (double)duration_ns / (double)EP_NS_PER_S * (1 + 0x1p-50);

	if (!(rate_pps > 0))
		return UINT64_MAX;
	if (slots < 1)
		return 1;
	return slots < 0x1p64 ? (uint64_t)slots : UINT64_MAX;
}

/* hz / rate, not below the exact quotient. */
static double
interval_cycles(double hz, double rate_pps)
{
	const double quotient = hz / rate_pps;
	const bool below = fma(-quotient, rate_pps, hz) >
		0; /* fma rounds once: the sign of the rest is right */
	const double interval = below ? nextafter(quotient, INFINITY) : quotient;

	return interval < INTERVAL_MAX_CYCLES ? interval : INTERVAL_MAX_CYCLES;
}

static unsigned __int128
fixed_point(double cycles)
{
	const double whole = floor(cycles);
	const double fraction =
		ceil((cycles - whole) * 0x1p64); /* at most 2^64 - 2^11, or exactly 2^64 */

	return ((unsigned __int128)(uint64_t)whole << 64) + (unsigned __int128)fraction;
}

void
ep_pace_init(struct ep_pace *p, const struct ep_pace_cfg *cfg)
{
	const bool unpaced = !(cfg->rate_pps > 0);

	assert(cfg->burst_pkts >= 1 && cfg->burst_pkts <= EP_PACE_BURST_MAX);
	assert(unpaced || cfg->hz > 0);
	*p = (struct ep_pace){
		.interval_fp = unpaced ? 0 : fixed_point(interval_cycles(cfg->hz, cfg->rate_pps)),
		.next_fp = (unsigned __int128)cfg->start_cycles << 64 | ROUND_UP_FP,
		.slots_left = cfg->slot_count,
		.end_cycles = unpaced ? cfg->end_cycles : UINT64_MAX,
		.slack_cycles = cfg->slack_cycles,
		.burst_pkts = cfg->burst_pkts,
		.unpaced = unpaced,
	};
}

/* Of the slots left, drop those due before a time and count them. */
static void
skip_due_before(struct ep_pace *p, uint64_t time_cycles)
{
	const unsigned __int128 time_fp = (unsigned __int128)time_cycles << 64;
	unsigned __int128 count;

	if (p->next_fp >= time_fp)
		return;
	count = (time_fp - p->next_fp - 1) / p->interval_fp + 1;
	if (count > p->slots_left)
		count = p->slots_left;
	p->next_fp += count * p->interval_fp;
	p->slots_left -= (uint64_t)count;
	p->skipped_count += (uint64_t)count;
}

void
ep_pace_skip_late(struct ep_pace *p, uint64_t now_cycles)
{
	skip_due_before(p, now_cycles - p->slack_cycles);
}

void
ep_pace_return(struct ep_pace *p, uint32_t count)
{
	const unsigned __int128 returned_fp = p->interval_fp * count;

	p->slots_left += count;
	if (p->unpaced)
		return;
	p->next_fp -= returned_fp;
	/* The gate was set for all slots of the burst; those that were not sent do not count. */
	if (p->gate_cycles > 0)
		p->gate_cycles -= (uint64_t)(returned_fp >> 65);
}

void
ep_pace_stop(struct ep_pace *p, uint64_t now_cycles)
{
	if (!p->unpaced)
		skip_due_before(p, now_cycles + 1);
	p->slots_left = 0;
}

uint64_t
ep_pace_wait_cycles(const struct ep_pace *p, uint64_t now_cycles)
{
	const uint64_t due_cycles = (uint64_t)(p->next_fp >> 64);
	const uint64_t open_cycles = due_cycles > p->gate_cycles ? due_cycles : p->gate_cycles;

	if (p->slots_left == 0 || now_cycles >= open_cycles)
		return 0;
	return open_cycles - now_cycles;
}
