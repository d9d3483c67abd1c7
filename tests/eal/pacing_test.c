/* Pacing on a net_null port, as seen by a recorder between the engine and the driver. EP_TEST_PACING_S sets for how long each rate is
 * held [s]. */

#include "rig.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 20 ppm of 10 s: all that the first and the last departure may be off by, however long the stream is [ns]. */
#define EDGES_NS 200000.0

/* With sanitizers a worker is several times slower than the highest rates ask for. */
#ifdef __SANITIZE_ADDRESS__
#define RATE_MAX_PPS 1e6
#else
#define RATE_MAX_PPS 10e6
#endif

static double seconds_ = 0.5;

/* --- Rates -------------------------------------------------------------------------------------------------------------- */

/* How far the offered stream is from the intended one, from the first departure to the last, as the recorder saw them, by the
 * clock as it was watched meanwhile [ns]. */
static double
off_ns(struct rig *r, double rate_pps)
{
	const struct recorder_queue *q = &r->recorder->queue[0];
	double span_ns;

	ep_engine_clock_finish(&r->clock);
	span_ns = (double)(q->last_cycles - q->first_cycles) / r->clock.refined_hz * 1e9;
	return span_ns - (double)(q->taken_pkts - q->first_pkts) / rate_pps * 1e9;
}

/* A worker that waits sleeps for 50 us, and the kernel takes its time; above 20 kpps it never sleeps. */
static uint64_t
away_ns(double rate_pps)
{
	return rate_pps < 20e3 ? 3 * AWAY_NS : AWAY_NS;
}

/* One try. Returns whether the machine let it be judged. */
static bool
offered_is_intended(struct rig *r, double rate_pps)
{
	const struct ep_engine_trial t = plan(rate_pps, seconds_);
	const struct recorder_queue *q = &r->recorder->queue[0];
	double off, engine_off;

	recorder_reset(r->recorder);
	r->recorder->real_time = true;
	run(r, &t);
	r->recorder->real_time = false;
	assert_account_closes(r, (uint64_t)(rate_pps * seconds_ * (1 + 1e-12)));
	assert_true(q->max_offered_pkts <= ep_engine_auto_burst(rate_pps));
	off = off_ns(r, rate_pps);
	engine_off = (r->pacing.offered_pps / rate_pps - 1) * -seconds_ * 1e9;
	printf("# %.0f pps, %.1f s: off by %.0f ns, %.2f ppm (%.0f ns by the engine), bursts up to "
	       "%u, %.1f on average, away for %.3f ms at most\n",
		rate_pps, seconds_, off, -off / seconds_ / 1e3, engine_off, q->max_offered_pkts,
		(double)q->taken_pkts / (double)q->burst_count,
		(double)r->pacing.loop_gap_ns / 1e6);
	if ((r->count.not_sent > 0 || fabs(off) > EDGES_NS) &&
		r->pacing.loop_gap_ns > away_ns(rate_pps))
		return false;
	assert_int_equal(r->count.not_sent, 0);
	assert_true(fabs(off) <= EDGES_NS);
	/* The engine's own figure, whose departures are a moment earlier, says the same. */
	assert_true(fabs(engine_off - off) <= EDGES_NS);
	return true;
}

static void
offered_equals_intended_at_every_rate(void **state)
{
	static const double rate_pps[] = {1e3, 9999, 100e3, 999983, 1e6, 1.5e6, 2e6, 5e6, 10e6};
	uint32_t judged = 0;
	struct rig r;

	(void)state;
	rig_open(&r, EP_ENGINE_INITIATOR, 1);
	for (size_t i = 0; i < EP_ARRAY_LEN(rate_pps) && rate_pps[i] <= RATE_MAX_PPS; i++) {
		bool ok = false;

		for (int try = 0; !ok && try < TRIES; try++)
			ok = offered_is_intended(&r, rate_pps[i]);
		if (!ok)
			printf("# %.0f pps: not judged, this machine is too busy\n", rate_pps[i]);
		judged += ok;
	}
	rig_close(&r);
	/* Where the worker was away the engine said so, and a trial is invalid; but somewhere it has to be exact. */
	assert_true(judged > 0);
}

static void
as_fast_as_possible_ends_on_time_in_bursts_of_32_at_most(void **state)
{
	const struct ep_engine_trial t = plan(0, seconds_);
	const struct recorder_queue *q;
	struct rig r;

	(void)state;
	rig_open(&r, EP_ENGINE_INITIATOR, 1);
	run(&r, &t);
	q = &r.recorder->queue[0];
	assert_int_equal(r.count.accepted, taken(&r));
	assert_int_equal(r.count.not_sent, 0);
	assert_int_equal(q->max_offered_pkts, 32);
	assert_true(q->last_cycles - q->first_cycles <=
		to_cycles(&r, seconds_ * 1e9 + EDGES_NS) + r.pacing.largest_gap_ns * 3);
	assert_true(r.pacing.intended_pps == 0);
	printf("# as fast as possible: %.2f Mpps\n", r.pacing.offered_pps / 1e6);
	rig_close(&r);
}

static void
auto_burst_is_one_up_to_1_mpps_and_then_as_small_as_the_rate_allows(void **state)
{
	static const struct {
		double rate_pps;
		uint32_t want;
	} row[] = {{0.1, 1}, {1e3, 1}, {1e6, 1}, {1000001, 2}, {2e6, 2}, {2.1e6, 3}, {31e6, 31},
		{31.1e6, 32}, {32e6, 32}, {1e10, 32}, {0, 32}};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++)
		assert_int_equal(ep_engine_auto_burst(row[i].rate_pps), row[i].want);
}

/* Also where the device is slow and refuses, so that there is something to catch up with. */
static void
no_burst_is_longer_than_wanted(void **state)
{
	static const uint32_t burst_pkts[] = {1, 2, 7, 32};
	static const double rate_pps[] = {50e3, 3e6, 0};
	struct rig r;

	(void)state;
	rig_open(&r, EP_ENGINE_INITIATOR, 1);
	for (size_t b = 0; b < EP_ARRAY_LEN(burst_pkts); b++) {
		for (size_t i = 0; i < EP_ARRAY_LEN(rate_pps); i++) {
			struct ep_engine_trial t = plan(rate_pps[i], 0.05);

			t.burst_pkts = burst_pkts[b];
			recorder_reset(r.recorder);
			r.recorder->take_random = true;
			r.recorder->take_max = 32;
			r.recorder->tx_stall_at = 500;
			r.recorder->tx_stall_us = 5000;
			run(&r, &t);
			assert_true(r.recorder->queue[0].max_offered_pkts <= burst_pkts[b]);
			assert_int_equal(r.pacing.burst_pkts, burst_pkts[b]);
			assert_int_equal(r.count.accepted, taken(&r));
		}
	}
	rig_close(&r);
}

/* --- Lateness ------------------------------------------------------------------------------------------------------------ */

/* Never ahead of the schedule; and while catching up never faster than twice the rate. */
static void
assert_within_the_schedule(const struct rig *r, double rate_pps, uint32_t burst_pkts)
{
	const struct recorder_queue *q = &r->recorder->queue[0];
	const double interval_cycles = r->clock.hz / rate_pps;
	uint64_t pkts = 0, from = 0, window_pkts = 0;

	for (size_t i = 0; i < q->entry_count; i++) {
		const struct recorder_entry *e = &q->entry[i];

		pkts += e->taken_pkts;
		window_pkts += e->taken_pkts;
		assert_true((double)pkts <=
			(double)(e->cycles - r->before_cycles) / interval_cycles + 1);
		/* The last 10 ms. */
		while (e->cycles - q->entry[from].cycles > to_cycles(r, 10e6))
			window_pkts -= q->entry[from++].taken_pkts;
		assert_true((double)window_pkts <= 2 * rate_pps * 0.01 + 2 * burst_pkts + 2);
	}
}

static void
a_late_sender_drops_what_it_missed_and_never_stretches(void **state)
{
	const double rate_pps = 100e3, duration_s = 0.4, stall_s = 0.06, slack_s = 0.01;
	const uint64_t slots = (uint64_t)(rate_pps * duration_s);
	struct ep_engine_trial t = plan(rate_pps, duration_s);
	const struct recorder_queue *q;
	struct rig r;

	(void)state;
	t.slack_ns = (uint64_t)(slack_s * 1e9);
	rig_open(&r, EP_ENGINE_INITIATOR, 1);
	r.recorder->tx_stall_at = 10000;
	r.recorder->tx_stall_us = (uint64_t)(stall_s * 1e6);
	run(&r, &t);
	q = &r.recorder->queue[0];
	assert_account_closes(&r, slots);
	/* What was due in the stall, but for the slack; more where the machine itself was away. */
	assert_in_range(
		r.count.not_sent, (uint64_t)(rate_pps * (stall_s - slack_s)) - 1, slots / 2);
	assert_true(q->last_cycles - q->first_cycles < to_cycles(&r, (duration_s + slack_s) * 1e9));
	assert_within_the_schedule(&r, rate_pps, 1);
	assert_in_range(r.pacing.largest_gap_ns, (uint64_t)(stall_s * 1e9), EP_NS_PER_S);
	assert_in_range(r.pacing.loop_gap_ns, (uint64_t)(stall_s * 1e9), EP_NS_PER_S);
	rig_close(&r);
}

/* With slack enough nothing is dropped, and the schedule is caught up with, evenly. */
static void
a_stall_within_the_slack_is_caught_up_with(void **state)
{
	const double rate_pps = 100e3, duration_s = 0.4;
	const struct ep_engine_trial t = plan(rate_pps, duration_s);
	struct rig r;

	(void)state;
	rig_open(&r, EP_ENGINE_INITIATOR, 1);
	r.recorder->tx_stall_at = 5000;
	r.recorder->tx_stall_us = 30000;
	run(&r, &t);
	assert_account_closes(&r, (uint64_t)(rate_pps * duration_s));
	assert_int_equal(r.count.not_sent, 0);
	assert_within_the_schedule(&r, rate_pps, 1);
	rig_close(&r);
}

/* --- Departures ---------------------------------------------------------------------------------------------------------- */

/* Sum of the values, each taken for the largest of its bucket. */
static uint64_t
upper_sum_ns(const struct ep_hist *hist)
{
	uint64_t sum_ns = 0;

	for (uint32_t b = 0; b < EP_HIST_BUCKETS; b++)
		sum_ns += hist->bucket[b] * ep_hist_bucket_max_ns(b);
	return sum_ns;
}

static void
departures_are_those_of_the_device(void **state)
{
	const double rate_pps = 20e3;
	const struct ep_engine_trial t = plan(rate_pps, 0.5);
	struct ep_hist *hist = calloc(1, sizeof(*hist));
	const struct recorder_queue *q;
	uint64_t span_ns;
	struct rig r;

	(void)state;
	rig_open(&r, EP_ENGINE_INITIATOR, 1);
	r.recorder->real_time = true;
	run(&r, &t);
	r.recorder->real_time = false;
	q = &r.recorder->queue[0];
	ep_engine_departures(r.engine, 0, hist);
	assert_int_equal(hist->count, q->burst_count - 1);
	span_ns = (uint64_t)((double)(q->last_cycles - q->first_cycles) / r.clock.hz * 1e9);
	/* A bucket is up to a thirty-second wide; the recorder is a moment behind at both ends. */
	assert_in_range(upper_sum_ns(hist), span_ns - 100000, span_ns + span_ns / 32 + 100000);
	if (r.pacing.loop_gap_ns <= AWAY_NS)
		assert_in_range(ep_hist_quantile_ns(hist, 0.5), 40000, 60000);
	assert_in_range(r.pacing.largest_gap_ns, hist->max_ns - 1, hist->max_ns + 1);
	assert_true(r.pacing.intended_pps == rate_pps);
	assert_true(r.pacing.loop_gap_ns > EP_NS_PER_MS ||
		fabs(r.pacing.offered_pps / rate_pps - 1) < 0.01);
	free(hist);
	rig_close(&r);
}

static int
by_time(const void *a, const void *b)
{
	const struct recorder_entry *x = a, *y = b;

	return (x->cycles > y->cycles) - (x->cycles < y->cycles);
}

static int
by_size(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Median time between the departures of two queues together [cycles]. */
static uint64_t
merged_median_cycles(const struct recorder *r)
{
	const size_t a = r->queue[0].entry_count, b = r->queue[1].entry_count;
	struct recorder_entry *all = malloc((a + b) * sizeof(*all));
	uint64_t *gap = malloc((a + b) * sizeof(*gap)), median;

	assert_true(a > 1 && b > 1);
	memcpy(all, r->queue[0].entry, a * sizeof(*all));
	memcpy(all + a, r->queue[1].entry, b * sizeof(*all));
	qsort(all, a + b, sizeof(*all), by_time);
	for (size_t i = 0; i + 1 < a + b; i++)
		gap[i] = all[i + 1].cycles - all[i].cycles;
	qsort(gap, a + b - 1, sizeof(*gap), by_size);
	median = gap[(a + b) / 2];
	free(all);
	free(gap);
	return median;
}

/* Two workers at half the rate each, in step, would send pairs. */
static void
workers_of_a_stream_take_turns(void **state)
{
	const double rate_pps = 20e3;
	const struct ep_engine_trial t = plan(rate_pps, 0.3);
	uint64_t median_cycles = 0;
	struct rig r;

	(void)state;
	rig_open(&r, EP_ENGINE_INITIATOR, 2);
	for (int try = 0; try < TRIES; try++) {
		recorder_reset(r.recorder);
		run(&r, &t);
		assert_account_closes(&r, 6000);
		assert_int_equal(r.recorder->queue[0].taken_pkts, 3000);
		assert_int_equal(r.recorder->queue[1].taken_pkts, 3000);
		assert_true(r.pacing.loop_gap_ns > EP_NS_PER_MS ||
			fabs(r.pacing.offered_pps / rate_pps - 1) < 0.01);
		median_cycles = merged_median_cycles(r.recorder);
		if (median_cycles > to_cycles(&r, 25e3))
			break;
	}
	assert_in_range(median_cycles, to_cycles(&r, 25e3), to_cycles(&r, 75e3));
	rig_close(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			auto_burst_is_one_up_to_1_mpps_and_then_as_small_as_the_rate_allows),
		cmocka_unit_test(offered_equals_intended_at_every_rate),
		cmocka_unit_test(as_fast_as_possible_ends_on_time_in_bursts_of_32_at_most),
		cmocka_unit_test(no_burst_is_longer_than_wanted),
		cmocka_unit_test(a_late_sender_drops_what_it_missed_and_never_stretches),
		cmocka_unit_test(a_stall_within_the_slack_is_caught_up_with),
		cmocka_unit_test(departures_are_those_of_the_device),
		cmocka_unit_test(workers_of_a_stream_take_turns),
	};

	const char *seconds = getenv("EP_TEST_PACING_S");

	seconds_ = seconds != NULL ? strtod(seconds, NULL) : seconds_;
	return cmocka_run_group_tests(tests, start_eal, stop_eal);
}
