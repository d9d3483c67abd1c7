#include "engine_priv.h"
#include "hold.h"
#include "table.h"

#include <rte_cycles.h>
#include <rte_lcore.h>
#include <rte_pause.h>

#include <math.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

/* Of the threads of floating workers while they run: about three times an ordinary thread's share. */
#define FLOATING_NICE (-5)
/* A floating worker that found nothing to do this often, and then on each of its queues, gives its CPU away. */
#define IDLE_ROUNDS 4
/* It sleeps for a moment where nothing is due for longer: a sleep may take a few times what was asked for. At 1 Mpps a sleep of
 * 50 us fills 50 of the ring's descriptors. */
#define IDLE_SLEEP_NS 50000
#define IDLE_LONG_NS 150000
/* It does not even yield where a probe is due this soon. */
#define IDLE_SHORT_NS 20000
/* A sweep has to reach every flow, so its slots wait for a stalled sender; but a NIC that takes nothing any more must not keep
 * the trial from ending. */
#define SWEEP_SLACK_NS (3 * EP_NS_PER_S)
/* Bursts a second that a worker is good for with any device: what it costs to hand one over is paid a million times a second. */
#define BURSTS_PPS 1e6

static bool
lane_sending(const struct lane *l)
{
	return l->started && !l->tx_done;
}

/* A worker that was away: how long, and what for. What lies before the start of the trial does not count. */
static void
worker_note_gap(struct worker *w, uint64_t now_cycles)
{
	const uint64_t gap_cycles = now_cycles - w->last_cycles;
	bool sending = false;

	/* Another CPU's counter may be behind by a moment. */
	if (unlikely(now_cycles < w->last_cycles))
		return;
	w->last_cycles = now_cycles;
	if (gap_cycles > w->max_trial_gap_cycles && w->in_trial)
		w->max_trial_gap_cycles = gap_cycles;
	if (gap_cycles <= w->max_gap_cycles)
		return;
	for (uint32_t i = 0; i < w->lane_count; i++)
		sending |= lane_sending(w->lane[i]);
	if (sending)
		w->max_gap_cycles = gap_cycles;
}

/* Whether the trial runs: from the start of the first stream to the end of the drain. Who was away at the start, was away since. */
static void
worker_look_at_trial(struct worker *w, bool late)
{
	const struct ep_engine *e = w->engine;
	uint64_t start_cycles = UINT64_MAX;

	for (uint32_t i = 0; i < e->cfg.side_count; i++) {
		const uint64_t cycles = __atomic_load_n(&e->side[i].start_cycles, __ATOMIC_RELAXED);

		if (cycles != 0)
			start_cycles = RTE_MIN(start_cycles, cycles);
	}
	if (!w->trial_seen && w->last_cycles > start_cycles) {
		w->trial_seen = true;
		w->max_trial_gap_cycles = w->last_cycles - start_cycles;
	}
	w->in_trial = w->trial_seen && !late;
}

/* Look at the words of the main thread. Returns whether to go on. */
static bool
worker_housekeeping(struct worker *w)
{
	struct ep_engine *e = w->engine;
	const enum engine_command command = __atomic_load_n(&e->command, __ATOMIC_ACQUIRE);
	const bool silence = __atomic_load_n(&e->silence, __ATOMIC_RELAXED);
	const bool late = __atomic_load_n(&e->late, __ATOMIC_RELAXED);

	/* Before the words change what a gap counts as: it may be why they were not seen earlier. */
	worker_note_gap(w, rte_rdtsc());
	worker_look_at_trial(w, late);
	for (uint32_t i = 0; i < w->lane_count; i++) {
		w->lane[i]->silent = silence;
		w->lane[i]->late = late;
		if (w->lane[i]->stage != NULL)
			w->lane[i]->stage->flushing = command == ENGINE_DRAIN;
		if (w->lane[i]->slow_tx != NULL)
			slow_send(w->lane[i]);
	}
	return command != ENGINE_STOP;
}

/* Slots of the side's schedule that lane i of n has: i, i + n, i + 2n, ... */
static uint64_t
slots_share(uint64_t slots, uint32_t i, uint32_t n)
{
	return slots > i ? (slots - i - 1) / n + 1 : 0;
}

/* The lanes of a side that have something to send: no more than there are flows. */
static uint32_t
sending_lanes(const struct side *s, const struct lane *l)
{
	return RTE_MIN(s->lane_count, l->order->flow_count);
}

uint32_t
ep_engine_auto_burst(double rate_pps)
{
	const double fewest = ceil(rate_pps / BURSTS_PPS);

	if (rate_pps <= 0 || fewest >= EP_WIRE_BURST)
		return EP_WIRE_BURST;
	return fewest > 1 ? (uint32_t)fewest : 1;
}

static void
lane_begin(struct worker *w, uint32_t i, uint64_t start_cycles, uint64_t now_cycles)
{
	const struct ep_engine *e = w->engine;
	const struct side *s = &e->side[w->lane_side[i]];
	const struct ep_engine_trial *t = &e->trial;
	struct lane *l = w->lane[i];
	const uint32_t index = w->lane_index[i];
	const uint32_t lanes = sending_lanes(s, l);
	const double rate_pps = s->rate_pps / lanes;
	const double cycles_per_ns = e->cfg.clock.hz / 1e9;
	/* The lanes take turns, so that the stream as a whole is even, too. */
	const uint64_t turn_cycles =
		s->rate_pps > 0 ? (uint64_t)(e->cfg.clock.hz / s->rate_pps * index) : 0;
	const uint64_t slack_ns = t->rounds > 0 ? SWEEP_SLACK_NS : t->slack_ns;
	const struct ep_pace_cfg cfg = {
		.rate_pps = rate_pps,
		.hz = e->cfg.clock.hz,
		.start_cycles = start_cycles + turn_cycles,
		.slot_count = t->rounds > 0
			? (uint64_t)(l->cursor.end - l->cursor.first) * t->rounds
			: s->slot_count == UINT64_MAX ? UINT64_MAX
						      : slots_share(s->slot_count, index, lanes),
		.end_cycles = start_cycles + (uint64_t)((double)t->duration_ns * cycles_per_ns),
		.burst_pkts = t->burst_pkts > 0 ? t->burst_pkts : ep_engine_auto_burst(rate_pps),
		.slack_cycles = (uint64_t)((double)slack_ns * cycles_per_ns),
	};

	/* Who comes late to the start was away, too. */
	if (now_cycles > start_cycles)
		w->max_gap_cycles = RTE_MAX(w->max_gap_cycles, now_cycles - start_cycles);
	ep_pace_init(&l->pace, &cfg);
	l->count.planned = cfg.slot_count == UINT64_MAX ? 0 : cfg.slot_count;
	l->started = true;
}

/* One round for the sending half of a lane. Returns packets handled. */
static uint32_t
lane_send(struct worker *w, uint32_t i, uint64_t now_cycles)
{
	struct lane *l = w->lane[i];
	uint32_t n;

	if (!l->started) {
		const uint64_t start_cycles = __atomic_load_n(
			&w->engine->side[w->lane_side[i]].start_cycles, __ATOMIC_ACQUIRE);

		if (start_cycles == 0 || l->silent)
			return 0;
		lane_begin(w, i, start_cycles, now_cycles);
	}
	if (l->silent) {
		ep_pace_stop(&l->pace, now_cycles);
		l->count.planned = 0;
	}
	n = l->tx(l, now_cycles);
	if (ep_pace_done(&l->pace, now_cycles)) {
		l->count.not_sent = l->pace.skipped_count;
		__atomic_store_n(&l->tx_done, true, __ATOMIC_RELEASE);
	}
	return n;
}

/* How long nothing is to be sent. A lane that is behind and waits for its next turn to catch up has no time to give away: with a
 * CPU that comes back after others' time slices only, it would send one probe a slice and never catch up. */
static uint64_t
lane_wait_cycles(const struct lane *l, uint64_t now_cycles)
{
	return ep_pace_behind(&l->pace, now_cycles) ? 0 : ep_pace_wait_cycles(&l->pace, now_cycles);
}

/* Nothing to do: leave the CPU to the kernel and to others, but be back when the next probe is due. A worker that gave its CPU
 * away gets it back only after the others' time slices, so with a probe due within a moment it waits here instead. */
static void
worker_idle(const struct worker *w, uint64_t now_cycles)
{
	const struct timespec pause = {.tv_nsec = IDLE_SLEEP_NS};
	const double cycles_per_ns = w->engine->cfg.clock.hz / 1e9;
	uint64_t wait_cycles = UINT64_MAX;

	for (uint32_t i = 0; i < w->lane_count; i++)
		if (lane_sending(w->lane[i]))
			wait_cycles =
				RTE_MIN(wait_cycles, lane_wait_cycles(w->lane[i], now_cycles));
	if ((double)wait_cycles > cycles_per_ns * IDLE_LONG_NS)
		nanosleep(&pause, NULL);
	else if ((double)wait_cycles > cycles_per_ns * IDLE_SHORT_NS)
		sched_yield();
	else
		rte_pause();
}

/* Receive from the lane's next queue. The counter is written once a burst. */
static uint32_t
lane_receive(struct lane *l)
{
	const uint32_t queue = l->rx_queue_next;
	const uint32_t n = l->rx(l);

	if (n > 0)
		l->queue_pkts[queue] += n;
	return n;
}

/* What was received took its time: what is sent after it leaves, and is stamped, later than the round began. */
static uint32_t
worker_round(struct worker *w, uint64_t now_cycles)
{
	uint32_t work = 0;

	for (uint32_t i = 0; i < w->lane_count; i++) {
		struct lane *l = w->lane[i];

		if (l->stage != NULL)
			work += stage_run(l->stage);
		work += lane_receive(l);
		if (l->tx != NULL && !l->tx_done)
			work += lane_send(w, i, work > 0 ? rte_rdtsc() : now_cycles);
	}
	return work;
}

/* Rounds in which each receive queue of a worker has its turn. */
static uint32_t
worker_turns(const struct worker *w)
{
	uint32_t turns = 1;

	for (uint32_t i = 0; i < w->lane_count; i++)
		turns = RTE_MAX(turns, w->lane[i]->rx_queue_count);
	return turns;
}

static void
worker_touch(const struct worker *w)
{
	const size_t hist_bytes = w->engine->block_count * sizeof(struct ep_hist);

	for (uint32_t i = 0; i < w->lane_count; i++) {
		const struct lane *l = w->lane[i];

		table_touch(l->acct.flow, l->acct.flow_count * sizeof(*l->acct.flow));
		queues_touch(l);
		table_touch(l->hist_oneway, hist_bytes);
		table_touch(l->hist_rtt, hist_bytes);
	}
}

/* What the last round held back. */
static void
worker_end(const struct worker *w)
{
	for (uint32_t i = 0; i < w->lane_count; i++)
		if (w->lane[i]->hold.count > 0)
			hold_flush(w->lane[i]);
}

int
worker_main(void *arg)
{
	struct worker *w = arg;
	const uint32_t turns = worker_turns(w);
	const bool floating = w->engine->cfg.floating;
	uint32_t idle = 0;

	prctl(PR_SET_TIMERSLACK, 1UL);
	/* On a CPU shared with others a measurement is worth more than a compilation. Root only; others go on as they are. */
	if (floating)
		setpriority(PRIO_PROCESS, 0, FLOATING_NICE);
	worker_touch(w);
	__atomic_store_n(&w->ready, true, __ATOMIC_RELEASE);
	w->last_cycles = rte_rdtsc();
	while (worker_housekeeping(w)) {
		for (unsigned int i = 0; i < ENGINE_HOUSEKEEPING; i++) {
			const uint64_t now_cycles = rte_rdtsc();

			worker_note_gap(w, now_cycles);
			if (worker_round(w, now_cycles) > 0) {
				idle = 0;
			} else if (!floating) {
				rte_pause();
			} else if (++idle >= IDLE_ROUNDS + turns) {
				worker_idle(w, now_cycles);
				idle -= turns; /* All of them again before the next sleep. */
				break;
			}
		}
	}
	worker_end(w);
	return 0;
}
