#include <ep_base.h>
#include <ep_pace.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A real one: 2,596,132,000 Hz. No rate below divides it. */
#define HZ UINT64_C(2596132000)
#define START UINT64_C(0x123456789abcdef)

static uint64_t rng;

static uint64_t
seed_get(void)
{
	const char *text = getenv("EP_TEST_SEED");

	return text != NULL ? strtoull(text, NULL, 0) : 1;
}

static uint64_t
rng_below(uint64_t n)
{
	rng = rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint64_t)((unsigned __int128)(rng >> 20 << 20 | rng >> 44) * n >> 64);
}

static int
rng_reset(void **state)
{
	(void)state;
	rng = seed_get();
	return 0;
}

static struct ep_pace_cfg
cfg_of(uint64_t rate_pps, uint64_t slot_count, uint32_t burst_pkts, uint64_t slack_cycles)
{
	return (struct ep_pace_cfg){
		.rate_pps = (double)rate_pps,
		.hz = (double)HZ,
		.start_cycles = START,
		.slot_count = slot_count,
		.burst_pkts = burst_pkts,
		.slack_cycles = slack_cycles,
	};
}

/* Slots due in the time gone by, of an endless schedule: floor(gone * rate / hz) + 1, in whole numbers. */
static uint64_t
due_count(uint64_t gone_cycles, uint64_t rate_pps)
{
	return (uint64_t)((unsigned __int128)gone_cycles * rate_pps / HZ) + 1;
}

/*
 * Slots that wait for one cycle more than the exact time are allowed: where k / rate falls on a whole cycle, the interval's
 * rounding takes it to the next. More slots than due never are.
 */
static void
assert_due(uint64_t count, uint64_t gone_cycles, uint64_t rate_pps)
{
	if (count > due_count(gone_cycles, rate_pps) ||
		(gone_cycles > 0 && count < due_count(gone_cycles - 1, rate_pps)))
		fail_msg("%ju slots after %ju cycles at %ju pps, due are %ju", (uintmax_t)count,
			(uintmax_t)gone_cycles, (uintmax_t)rate_pps,
			(uintmax_t)due_count(gone_cycles, rate_pps));
}

static void
slots_are_rate_times_duration_rounded_down(void **state)
{
	static const struct {
		double rate_pps;
		uint64_t duration_ns;
		uint64_t want;
	} row[] = {
		{1e6, 10 * EP_NS_PER_S, 10000000},
		{1, EP_NS_PER_S, 1},
		{1, EP_NS_PER_S - 1, 1},
		{3, 999 * EP_NS_PER_MS, 2},
		{0.3, 10 * EP_NS_PER_S, 3},
		{0.1, 30 * EP_NS_PER_S, 3},
		{1.1e6, 7 * EP_NS_PER_S, 7700000},
		{35347.7, 60 * EP_NS_PER_S,
			2120862}, /* the plain product in doubles is just below */
		{1e6, 1, 1},
		{0.001, EP_NS_PER_S, 1},
		{10e9 / 672, 10 * EP_NS_PER_S, 148809523},
		{1e10, 10 * EP_NS_PER_S, UINT64_C(100000000000)},
		{0, 10 * EP_NS_PER_S, UINT64_MAX},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++)
		assert_int_equal(ep_pace_slots(row[i].rate_pps, row[i].duration_ns), row[i].want);
}

/* Whatever the rate, also after a year: as many slots are due as the exact product says. */
static void
schedule_does_not_drift_at_any_rate(void **state)
{
	static const uint64_t rate_pps[] = {1, 7, 1000, 5000, 99991, 1000000, 14880952, 49999999,
		50000000, 148809523, UINT64_C(10000000000)};
	static const uint64_t span_s[] = {1, 10, 3600, 366 * 24 * 3600};

	(void)state;
	for (size_t r = 0; r < EP_ARRAY_LEN(rate_pps); r++) {
		for (uint32_t k = 0; k < 2000; k++) {
			const struct ep_pace_cfg cfg =
				cfg_of(rate_pps[r], UINT64_MAX, 64, EP_PACE_SLACK_NONE);
			const uint64_t gone_cycles =
				rng_below(span_s[k % EP_ARRAY_LEN(span_s)] * HZ);
			struct ep_pace p;

			ep_pace_init(&p, &cfg);
			ep_pace_stop(&p, START + gone_cycles);
			if (gone_cycles <= 10 * HZ)
				assert_due(p.skipped_count, gone_cycles, rate_pps[r]);
			/* A year times 2^-52 is 18 cycles: 70 slots behind at 10 Gpps, never ahead. */
			assert_in_range(
				due_count(gone_cycles, rate_pps[r]) - p.skipped_count, 0, 72);
		}
	}
}

/* Polls with jitter, now and then a stall; the count is checked at each poll. */
static void
check_never_ahead(
	uint64_t rate_pps, uint64_t slot_count, uint32_t burst_pkts, uint64_t slack_cycles)
{
	const struct ep_pace_cfg cfg = cfg_of(rate_pps, slot_count, burst_pkts, slack_cycles);
	const uint64_t poll_cycles = HZ / rate_pps * burst_pkts / 2 + 2;
	uint64_t now_cycles = START - 3 * poll_cycles, taken = 0;
	struct ep_pace p;

	ep_pace_init(&p, &cfg);
	while (!ep_pace_done(&p, now_cycles)) {
		const uint32_t n = ep_pace_take(&p, now_cycles);

		assert_true(n <= burst_pkts);
		assert_true(n == 0 || now_cycles >= START);
		taken += n;
		if (n > 0 && taken + p.skipped_count > due_count(now_cycles - START, rate_pps))
			fail_msg("%ju slots too early", (uintmax_t)taken);
		assert_true(taken + p.skipped_count + p.slots_left == slot_count);
		now_cycles += rng_below(200) == 0 ? rng_below(100 * poll_cycles)
						  : rng_below(2 * poll_cycles);
	}
	assert_int_equal(taken + p.skipped_count, slot_count);
	assert_int_equal(ep_pace_take(&p, now_cycles + HZ), 0);
	if (slack_cycles == EP_PACE_SLACK_NONE)
		assert_int_equal(taken, slot_count);
}

static void
take_is_never_ahead_of_the_schedule_and_every_slot_ends_somewhere(void **state)
{
	static const uint64_t rate_pps[] = {1, 1000, 99991, 14880952, 50000000, 148809523};
	static const uint32_t burst_pkts[] = {1, 7, 32, 64};

	(void)state;
	for (size_t r = 0; r < EP_ARRAY_LEN(rate_pps); r++) {
		for (size_t b = 0; b < EP_ARRAY_LEN(burst_pkts); b++) {
			const uint64_t interval_cycles = HZ / rate_pps[r];

			check_never_ahead(rate_pps[r], 50000, burst_pkts[b], EP_PACE_SLACK_NONE);
			check_never_ahead(rate_pps[r], 50000, burst_pkts[b], 500 * interval_cycles);
			check_never_ahead(rate_pps[r], 50000, burst_pkts[b], 0);
		}
	}
}

/* Handed out equals intended, over 10 s. */
static void
punctual_sender_loses_nothing_and_is_never_early_nor_held_back(void **state)
{
	static const struct {
		uint64_t rate_pps;
		uint32_t burst_pkts;
	} row[] = {
		{1000, 1},
		{1000, 32},
		{99991, 32},
		{1000000, 32},
		{14880952, 32},
		{50000000, 64},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		const uint64_t slots = ep_pace_slots((double)row[i].rate_pps, 10 * EP_NS_PER_S);
		const struct ep_pace_cfg cfg =
			cfg_of(row[i].rate_pps, slots, row[i].burst_pkts, HZ / 10);
		/* Polls so often that a burst always holds all that is due. */
		const uint64_t poll_cycles = HZ * row[i].burst_pkts / row[i].rate_pps / 2 + 1;
		uint64_t now_cycles = START, taken = 0;
		struct ep_pace p;

		ep_pace_init(&p, &cfg);
		while (!ep_pace_done(&p, now_cycles)) {
			taken += ep_pace_take(&p, now_cycles);
			if (taken < slots)
				assert_due(taken, now_cycles - START, row[i].rate_pps);
			now_cycles += 1 + rng_below(poll_cycles);
		}
		assert_int_equal(taken, slots);
		assert_int_equal(taken, 10 * row[i].rate_pps);
		assert_int_equal(p.skipped_count, 0);
		assert_in_range(p.max_late_cycles, 0, poll_cycles);
		/* The last slot is due before the duration is over; two polls later at most the loop has seen it. */
		assert_in_range(now_cycles - START, 0, 10 * HZ + 2 * poll_cycles);
	}
}

/*
 * The naive model: each slot's due time from the definition, slots dropped and handed out one by one. Only for intervals that
 * are a whole number of quarter cycles, where the fixed point has to agree to the cycle.
 */
struct model {
	uint64_t interval_quarters;
	uint64_t slot_count, slack_cycles, next, skipped, gate_quarters, max_late_cycles;
	uint32_t burst_pkts;
};

static uint64_t
model_due(const struct model *m)
{
	return START + (m->next * m->interval_quarters + 3) / 4;
}

static uint32_t
model_take(struct model *m, uint64_t now_cycles)
{
	uint32_t n = 0;

	if (m->next == m->slot_count || now_cycles < model_due(m) ||
		now_cycles * 4 < m->gate_quarters)
		return 0;
	if (now_cycles - model_due(m) > m->max_late_cycles)
		m->max_late_cycles = now_cycles - model_due(m);
	for (; m->next < m->slot_count && now_cycles > model_due(m) &&
		now_cycles - model_due(m) > m->slack_cycles;
		m->next++)
		m->skipped++;
	for (; n < m->burst_pkts && m->next < m->slot_count && now_cycles >= model_due(m); n++)
		m->next++;
	m->gate_quarters = 0;
	if (now_cycles >= model_due(m))
		m->gate_quarters = (now_cycles + n * m->interval_quarters / 8) * 4;
	return n;
}

static void
check_against_model(uint64_t interval_quarters, uint64_t slack_cycles, uint32_t burst_pkts)
{
	struct model m = {
		.interval_quarters = interval_quarters,
		.slot_count = 20000,
		.slack_cycles = slack_cycles,
		.burst_pkts = burst_pkts,
	};
	const struct ep_pace_cfg cfg = {
		.rate_pps = 4e6,
		.hz = (double)interval_quarters * 1e6,
		.start_cycles = START,
		.slot_count = m.slot_count,
		.burst_pkts = burst_pkts,
		.slack_cycles = slack_cycles,
	};
	uint64_t now_cycles = START;
	struct ep_pace p;

	ep_pace_init(&p, &cfg);
	while (!ep_pace_done(&p, now_cycles)) {
		const uint32_t n = ep_pace_take(&p, now_cycles);

		assert_int_equal(n, model_take(&m, now_cycles));
		assert_int_equal(p.skipped_count, m.skipped);
		assert_int_equal(p.slots_left, m.slot_count - m.next);
		assert_int_equal(p.max_late_cycles, m.max_late_cycles);
		if (n > 0 && m.gate_quarters == 0 && rng_below(10) == 0) {
			const uint32_t returned = 1 + (uint32_t)rng_below(n);

			ep_pace_return(&p, returned);
			m.next -= returned;
		}
		now_cycles += rng_below(50) == 0
			? rng_below(150 * interval_quarters)
			: rng_below(1 + burst_pkts * interval_quarters / 5);
	}
	assert_int_equal(m.next, m.slot_count);
}

static void
schedule_equals_the_naive_model(void **state)
{
	static const uint64_t interval_quarters[] = {1, 2, 3, 4, 5, 699, 10000, 10003};
	static const uint64_t slack_intervals[] = {0, 1, 10, 100, 3000};
	static const uint32_t burst_pkts[] = {1, 2, 32, 64};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(interval_quarters); i++) {
		for (size_t s = 0; s < EP_ARRAY_LEN(slack_intervals); s++) {
			for (size_t b = 0; b < EP_ARRAY_LEN(burst_pkts); b++)
				check_against_model(interval_quarters[i],
					slack_intervals[s] * interval_quarters[i] / 4 +
						rng_below(3),
					burst_pkts[b]);
		}
	}
}

/* Takes on time up to a slot, stalls, then polls every cycle budget until the end. Returns what was skipped. */
static uint64_t
skipped_after_stall(uint64_t stall_cycles, uint64_t slack_cycles)
{
	/* 1000 cycles a slot. */
	const struct ep_pace_cfg cfg = {
		.rate_pps = 1e6,
		.hz = 1e9,
		.start_cycles = START,
		.slot_count = 10000,
		.burst_pkts = 32,
		.slack_cycles = slack_cycles,
	};
	uint64_t now_cycles = START, taken = 0;
	struct ep_pace p;

	ep_pace_init(&p, &cfg);
	while (!ep_pace_done(&p, now_cycles)) {
		taken += ep_pace_take(&p, now_cycles);
		now_cycles += taken == 2000 && p.max_late_cycles < stall_cycles - 1000
			? stall_cycles
			: 500;
	}
	assert_int_equal(taken + p.skipped_count, cfg.slot_count);
	return p.skipped_count;
}

/* Slot 1999 goes at 1999000; after a stall of x cycles slot 2000 + j is x - 1000 - 1000 j late. */
static void
stall_within_the_slack_loses_nothing_and_longer_loses_the_slots_behind_it(void **state)
{
	static const struct {
		uint64_t stall_cycles, slack_cycles, want;
	} row[] = {
		{100000, 200000, 0},
		{200000, 200000, 0},
		{201000, 200000, 0},
		{201001, 200000, 1},
		{202000, 200000, 1},
		{202001, 200000, 2},
		{1201000, 200000, 1000},
		{1201000, 10000, 1190},
		{3000000, EP_PACE_SLACK_NONE, 0},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++)
		assert_int_equal(
			skipped_after_stall(row[i].stall_cycles, row[i].slack_cycles), row[i].want);
}

/* Whatever stalls there are, and whatever a device gives back: no slot goes later than the slack behind its time, so the schedule is
 * over by its end and the slack. */
static void
no_slot_goes_later_than_the_slack(void **state)
{
	static const uint64_t slack_cycles[] = {0, 1000, 50000, 1000000};
	const uint64_t interval_cycles = 1000;

	(void)state;
	for (uint32_t round = 0; round < 200; round++) {
		const struct ep_pace_cfg cfg = {
			.rate_pps = 1e6,
			.hz = 1e9,
			.start_cycles = START,
			.slot_count = 5000,
			.burst_pkts = 1 + (uint32_t)rng_below(32),
			.slack_cycles = slack_cycles[round % EP_ARRAY_LEN(slack_cycles)],
		};
		uint64_t now_cycles = START, gone = 0;
		struct ep_pace p;

		ep_pace_init(&p, &cfg);
		while (!ep_pace_done(&p, now_cycles)) {
			const uint32_t n = ep_pace_take(&p, now_cycles);
			const uint32_t back = (uint32_t)rng_below(n + 1);

			/* The first of the slots taken is the oldest. */
			if (n > 0)
				assert_in_range(now_cycles -
						(START +
							(gone + p.skipped_count) * interval_cycles),
					0, cfg.slack_cycles);
			ep_pace_return(&p, back);
			gone += n - back;
			now_cycles += rng_below(100) == 0 ? rng_below(2000000) : rng_below(2000);
			if (now_cycles > START + 5000 * interval_cycles + cfg.slack_cycles)
				assert_int_equal(ep_pace_take(&p, now_cycles), 0);
		}
		assert_int_equal(gone + p.skipped_count, cfg.slot_count);
	}
}

/* In any time of w cycles while it catches up, no more than twice the rate and a burst. */
static void
catching_up_stays_within_twice_the_rate(void **state)
{
	const uint32_t burst_pkts = 32;
	const struct ep_pace_cfg cfg = {
		.rate_pps = 1e6,
		.hz = 1e9,
		.start_cycles = 1000000,
		.slot_count = 20000,
		.burst_pkts = burst_pkts,
		.slack_cycles = EP_PACE_SLACK_NONE,
	};
	uint64_t now_cycles = 6000000, sent = 0; /* 5000 slots behind */
	struct ep_pace p;

	(void)state;
	ep_pace_init(&p, &cfg);
	while (sent < 9000) {
		sent += ep_pace_take(&p, now_cycles);
		assert_true(sent <= (now_cycles - 6000000) / 500 + burst_pkts);
		now_cycles += 1 + rng_below(300);
	}
	/* And it does catch up: 5000 behind at twice the rate is over after 10000, a little later for the polls. */
	while (sent < 11000)
		sent += ep_pace_take(&p, now_cycles += 300);
	assert_in_range(now_cycles, 6000000 + 5000000, 6000000 + 6500000);
	assert_in_range(1000000 + sent * 1000 - now_cycles, 1, 1000);
}

static void
returned_slots_are_handed_out_again_at_once(void **state)
{
	const struct ep_pace_cfg cfg = cfg_of(1000000, 100, 32, HZ);
	uint64_t now_cycles = START, sent = 0;
	struct ep_pace p;

	(void)state;
	ep_pace_init(&p, &cfg);
	while (!ep_pace_done(&p, now_cycles)) {
		const uint32_t n = ep_pace_take(&p, now_cycles);
		const uint32_t rejected = n - (uint32_t)rng_below(n + 1);

		ep_pace_return(&p, rejected);
		assert_true(rejected == 0 || ep_pace_wait_cycles(&p, now_cycles) == 0 ||
			p.gate_cycles > 0);
		sent += n - rejected;
		now_cycles += 5000;
	}
	assert_int_equal(sent, 100);
	assert_int_equal(p.skipped_count, 0);
}

static void
returned_slots_are_skipped_when_too_late(void **state)
{
	/* 1000 cycles a slot, 5000 of slack. */
	const struct ep_pace_cfg cfg = {
		.rate_pps = 1e6,
		.hz = 1e9,
		.slot_count = 100,
		.burst_pkts = 32,
		.slack_cycles = 5000,
	};
	struct ep_pace p;

	(void)state;
	ep_pace_init(&p, &cfg);
	assert_int_equal(ep_pace_take(&p, 3000), 4);
	ep_pace_return(&p, 3);
	assert_int_equal(p.slots_left, 99);
	/* Slots 1 to 3 are due at 1000 to 3000: at 8000 the first two are behind the slack. */
	assert_int_equal(ep_pace_take(&p, 8000), 6);
	assert_int_equal(p.skipped_count, 2);
	assert_int_equal(p.max_late_cycles, 7000);
}

/* The gate counts what was sent, not what was tried. */
static void
return_opens_the_gate_for_what_was_not_sent(void **state)
{
	const struct ep_pace_cfg cfg = {
		.rate_pps = 1e6,
		.hz = 1e9,
		.slot_count = 1000,
		.burst_pkts = 32,
		.slack_cycles = EP_PACE_SLACK_NONE,
	};
	struct ep_pace p;

	(void)state;
	ep_pace_init(&p, &cfg);
	assert_int_equal(ep_pace_take(&p, 500000), 32);
	assert_int_equal(ep_pace_wait_cycles(&p, 500000), 16000);
	ep_pace_return(&p, 22);
	assert_int_equal(ep_pace_wait_cycles(&p, 500000), 5000);
	assert_int_equal(ep_pace_take(&p, 504999), 0);
	assert_int_equal(ep_pace_take(&p, 505000), 32);
	ep_pace_return(&p, 32);
	assert_int_equal(ep_pace_wait_cycles(&p, 505000), 0);
}

static void
unpaced_hands_out_bursts_from_start_to_end(void **state)
{
	const struct ep_pace_cfg cfg = {
		.start_cycles = 1000,
		.slot_count = UINT64_MAX,
		.end_cycles = 2000,
		.burst_pkts = 32,
		.slack_cycles = 0, /* does not count */
	};
	struct ep_pace p;

	(void)state;
	ep_pace_init(&p, &cfg);
	assert_int_equal(ep_pace_take(&p, 0), 0);
	assert_int_equal(ep_pace_wait_cycles(&p, 0), 1000);
	assert_int_equal(ep_pace_take(&p, 999), 0);
	for (uint64_t now_cycles = 1000; now_cycles < 2000; now_cycles++) {
		assert_false(ep_pace_done(&p, now_cycles));
		assert_int_equal(ep_pace_wait_cycles(&p, now_cycles), 0);
		assert_int_equal(ep_pace_take(&p, now_cycles), 32);
		ep_pace_return(&p, 5);
	}
	assert_true(ep_pace_done(&p, 2000));
	assert_int_equal(ep_pace_take(&p, 2000), 0);
	assert_int_equal(p.skipped_count, 0);
	assert_int_equal(p.max_late_cycles, 0);
	assert_int_equal(p.slots_left, UINT64_MAX - UINT64_C(27) * 1000);
	ep_pace_stop(&p, 2000);
	assert_int_equal(p.skipped_count, 0);
}

static void
unpaced_with_a_number_of_slots_ends_with_them(void **state)
{
	const struct ep_pace_cfg cfg = {
		.slot_count = 70,
		.end_cycles = UINT64_MAX,
		.burst_pkts = 32,
	};
	struct ep_pace p;

	(void)state;
	ep_pace_init(&p, &cfg);
	assert_int_equal(ep_pace_take(&p, 1), 32);
	assert_int_equal(ep_pace_take(&p, 1), 32);
	assert_int_equal(ep_pace_take(&p, 1), 6);
	assert_true(ep_pace_done(&p, 1));
	assert_int_equal(ep_pace_take(&p, 1), 0);
}

static void
stop_counts_the_slots_that_were_due_and_ends(void **state)
{
	/* 1000 cycles a slot from 10000 on; 4 are taken before the stop. */
	static const struct {
		uint64_t stop_cycles, slot_count, want;
	} row[] = {
		{13000, 100, 0},
		{13999, 100, 0},
		{14000, 100, 1},
		{14999, 100, 1},
		{50000, 100, 37},
		{50000, 20, 16},
		{UINT64_C(1) << 60, 100, 96},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		const struct ep_pace_cfg cfg = {
			.rate_pps = 1e6,
			.hz = 1e9,
			.start_cycles = 10000,
			.slot_count = row[i].slot_count,
			.burst_pkts = 32,
			.slack_cycles = EP_PACE_SLACK_NONE,
		};
		struct ep_pace p;

		ep_pace_init(&p, &cfg);
		assert_int_equal(ep_pace_take(&p, 13000), 4);
		ep_pace_stop(&p, row[i].stop_cycles);
		assert_int_equal(p.skipped_count, row[i].want);
		assert_true(ep_pace_done(&p, row[i].stop_cycles));
		assert_int_equal(ep_pace_take(&p, UINT64_C(1) << 61), 0);
		assert_int_equal(ep_pace_wait_cycles(&p, row[i].stop_cycles), 0);
	}
}

static void
stop_before_the_start_counts_nothing(void **state)
{
	const struct ep_pace_cfg cfg = cfg_of(1000000, 100, 32, 0);
	struct ep_pace p;

	(void)state;
	ep_pace_init(&p, &cfg);
	ep_pace_stop(&p, START - 1);
	assert_int_equal(p.skipped_count, 0);
	assert_true(ep_pace_done(&p, START - 1));
}

/* Who sleeps for as long as told finds a slot, and would not have found one a cycle earlier. */
static void
wait_is_the_time_to_the_next_slot(void **state)
{
	const struct ep_pace_cfg cfg = cfg_of(99991, 2000, 4, EP_PACE_SLACK_NONE);
	uint64_t now_cycles = START - 12345;
	struct ep_pace p;

	(void)state;
	ep_pace_init(&p, &cfg);
	while (!ep_pace_done(&p, now_cycles)) {
		const uint64_t wait_cycles = ep_pace_wait_cycles(&p, now_cycles);

		if (wait_cycles > 0)
			assert_int_equal(ep_pace_take(&p, now_cycles + wait_cycles - 1), 0);
		now_cycles += wait_cycles;
		assert_in_range(ep_pace_take(&p, now_cycles), 1, 4);
		now_cycles += rng_below(20) == 0 ? rng_below(HZ / 1000) : 0;
	}
}

/* 1 slot a year and slower: the interval is bounded, nothing wraps. */
static void
schedule_of_a_tiny_rate_does_not_overflow(void **state)
{
	static const double rate_pps[] = {1e-7, 1e-12, 1e-300};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(rate_pps); i++) {
		struct ep_pace_cfg cfg = cfg_of(1, 2, 64, 0);
		struct ep_pace p;

		cfg.rate_pps = rate_pps[i];
		ep_pace_init(&p, &cfg);
		assert_int_equal(ep_pace_take(&p, START), 1);
		assert_int_equal(ep_pace_take(&p, START + 1000000 * HZ), 0);
		assert_true(ep_pace_wait_cycles(&p, START) > 1000000 * HZ);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_are_rate_times_duration_rounded_down),
		cmocka_unit_test_setup(schedule_does_not_drift_at_any_rate, rng_reset),
		cmocka_unit_test_setup(
			take_is_never_ahead_of_the_schedule_and_every_slot_ends_somewhere,
			rng_reset),
		cmocka_unit_test_setup(
			punctual_sender_loses_nothing_and_is_never_early_nor_held_back, rng_reset),
		cmocka_unit_test_setup(schedule_equals_the_naive_model, rng_reset),
		cmocka_unit_test(
			stall_within_the_slack_loses_nothing_and_longer_loses_the_slots_behind_it),
		cmocka_unit_test_setup(no_slot_goes_later_than_the_slack, rng_reset),
		cmocka_unit_test_setup(catching_up_stays_within_twice_the_rate, rng_reset),
		cmocka_unit_test_setup(returned_slots_are_handed_out_again_at_once, rng_reset),
		cmocka_unit_test(returned_slots_are_skipped_when_too_late),
		cmocka_unit_test(return_opens_the_gate_for_what_was_not_sent),
		cmocka_unit_test(unpaced_hands_out_bursts_from_start_to_end),
		cmocka_unit_test(unpaced_with_a_number_of_slots_ends_with_them),
		cmocka_unit_test(stop_counts_the_slots_that_were_due_and_ends),
		cmocka_unit_test(stop_before_the_start_counts_nothing),
		cmocka_unit_test_setup(wait_is_the_time_to_the_next_slot, rng_reset),
		cmocka_unit_test(schedule_of_a_tiny_rate_does_not_overflow),
	};

	print_message("# EP_TEST_SEED=%ju\n", (uintmax_t)seed_get());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
