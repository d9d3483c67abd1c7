#pragma once

/**
 * @file
 * When probes may be sent: an absolute schedule in cycles (design section 8; standards E1, E2).
 *
 * Slot k of a trial is due at start + k / rate and never handed out before that. A sender that is late catches up at no
 * more than twice the rate while it is less than the slack behind; slots older than that are dropped and counted as not
 * sent, so a late sender never stretches the trial. No clock: the caller hands in its time stamp counter. One writer.
 *
 *   slots in all = handed out (returned ones taken off) + skipped + left
 *
 * Times are kept in 2^-64 cycles, so the schedule is off by less than 10 ns a year. The exact arithmetic is in pace.c.
 */

#include <ep_base.h>

#include <stdbool.h>
#include <stdint.h>

/** "Never drop a slot": a sweep waits for its sender. */
#define EP_PACE_SLACK_NONE UINT64_MAX

/** Most slots that can be handed out at once. */
#define EP_PACE_BURST_MAX 64

/** What a schedule is made from. Rate 0 means as fast as possible: unpaced. */
struct ep_pace_cfg {
	double rate_pps;       /**< Slots a second; 0: unpaced [1/s]. */
	double hz;             /**< Cycles a second; not used when unpaced [Hz]. */
	uint64_t start_cycles; /**< Time of slot 0 [cycles]. */
	uint64_t slot_count;   /**< Slots in all; unpaced: UINT64_MAX, the end is by time. */
	uint64_t end_cycles;   /**< Unpaced: no slot is handed out from here on [cycles]. */
	uint32_t burst_pkts;   /**< Most slots handed out at once, 1 to EP_PACE_BURST_MAX. */
	uint64_t slack_cycles; /**< Paced: most lateness, or EP_PACE_SLACK_NONE [cycles]. */
};

/** A schedule under way. Members are the library's. */
struct ep_pace {
	unsigned __int128 interval_fp; /**< Between slots; 0 when unpaced [2^-64 cycles]. */
	unsigned __int128 next_fp;     /**< Due time of the next slot, see pace.c [2^-64 cycles]. */
	uint64_t gate_cycles;          /**< Nothing before this, to bound catching up [cycles]. */
	uint64_t slots_left;           /**< Slots neither handed out nor dropped. */
	uint64_t skipped_count;        /**< Slots dropped because they were too late [packets]. */
	uint64_t end_cycles;           /**< See ep_pace_cfg; UINT64_MAX when paced. */
	uint64_t slack_cycles;         /**< See ep_pace_cfg. */
	uint64_t max_late_cycles;      /**< Largest lateness seen; 0 when unpaced [cycles]. */
	uint32_t burst_pkts;           /**< See ep_pace_cfg. */
	bool unpaced;                  /**< rate_pps was 0. */
};

/** Slots of a trial: floor(rate x duration), at least 1; UINT64_MAX for rate 0. */
uint64_t ep_pace_slots(double rate_pps, uint64_t duration_ns);

/**
 * Begin a schedule. Control path, before start.
 *
 * @param[out] p
 *   Filled.
 * @param cfg
 *   The schedule; its values are within the bounds given there.
 */
void ep_pace_init(struct ep_pace *p, const struct ep_pace_cfg *cfg);

/* Drop the slots that are later than the slack. Rare, so it may divide. */
void ep_pace_skip_late(struct ep_pace *p, uint64_t now_cycles) __attribute__((cold));

/* As fast as possible: the only limits are the burst and the two ends. */
static inline uint32_t
ep_pace_take_unpaced(struct ep_pace *p, uint64_t now_cycles)
{
	const bool open = now_cycles >= (uint64_t)(p->next_fp >> 64) && now_cycles < p->end_cycles;
	const uint64_t limit = p->slots_left < p->burst_pkts ? p->slots_left : p->burst_pkts;
	const uint32_t n = open ? (uint32_t)limit : 0;

	p->slots_left -= n;
	return n;
}

static inline uint32_t
ep_pace_take_paced(struct ep_pace *p, uint64_t now_cycles)
{
	uint64_t due_cycles = (uint64_t)(p->next_fp >> 64);
	unsigned __int128 next_fp, first_fp;
	uint32_t limit, n = 0;

	if (now_cycles < due_cycles || now_cycles < p->gate_cycles || p->slots_left == 0)
		return 0;
	if (now_cycles - due_cycles > p->max_late_cycles)
		p->max_late_cycles = now_cycles - due_cycles;
	if (__builtin_expect(now_cycles - due_cycles > p->slack_cycles, 0)) {
		ep_pace_skip_late(p, now_cycles);
		due_cycles = (uint64_t)(p->next_fp >> 64);
	}
	first_fp = next_fp = p->next_fp;
	limit = p->slots_left < p->burst_pkts ? (uint32_t)p->slots_left : p->burst_pkts;
	for (; n < limit && now_cycles >= due_cycles; n++) {
		next_fp += p->interval_fp;
		due_cycles = (uint64_t)(next_fp >> 64);
	}
	p->next_fp = next_fp;
	p->slots_left -= n;
	/* Behind even after a burst: half the time it stands for has to pass. Who has caught up never waits. */
	p->gate_cycles =
		now_cycles >= due_cycles ? now_cycles + (uint64_t)((next_fp - first_fp) >> 65) : 0;
	return n;
}

/**
 * Take as many slots as are due, at most one burst. Hot path, once a burst.
 *
 * @param p
 *   The schedule.
 * @param now_cycles
 *   The caller's time stamp, never going back [cycles].
 * @return
 *   Probes that may be sent now [packets], 0 to burst_pkts.
 */
static inline uint32_t
ep_pace_take(struct ep_pace *p, uint64_t now_cycles)
{
	/* One test a burst, always decided alike. */
	return p->unpaced ? ep_pace_take_unpaced(p, now_cycles) : ep_pace_take_paced(p, now_cycles);
}

/**
 * Give back the last slots taken: their probes were not accepted. They are due at once, and dropped when too late.
 *
 * @param p
 *   The schedule.
 * @param count
 *   Slots to give back, at most what the last ep_pace_take() returned; not after ep_pace_stop() [packets].
 */
void ep_pace_return(struct ep_pace *p, uint32_t count);

/** Whether every slot was handed out or dropped, or the end time of an unpaced schedule has come. Hot path. */
static inline bool
ep_pace_done(const struct ep_pace *p, uint64_t now_cycles)
{
	return p->slots_left == 0 || now_cycles >= p->end_cycles;
}

/**
 * Drop every slot that is left (the trial was stopped), counting those due by now as skipped. Control path.
 *
 * Slots that were not yet due are not counted anywhere: nobody wanted them sent by now. Nothing is handed out afterwards.
 *
 * @param p
 *   The schedule.
 * @param now_cycles
 *   Time of the stop [cycles].
 */
void ep_pace_stop(struct ep_pace *p, uint64_t now_cycles);

/**
 * Cycles until a slot is handed out. For a caller that wants to sleep.
 *
 * @return
 *   Time from @p now_cycles [cycles]; 0 when a slot is due now, and when none is left (see ep_pace_done).
 */
uint64_t ep_pace_wait_cycles(const struct ep_pace *p, uint64_t now_cycles);

/** Whether a slot is due that was not handed out yet: the sender is behind, and may be held back only to catch up evenly. */
static inline bool
ep_pace_behind(const struct ep_pace *p, uint64_t now_cycles)
{
	return !p->unpaced && p->slots_left > 0 && (uint64_t)(p->next_fp >> 64) <= now_cycles;
}
