/* The clock: its arithmetic against made-up counters whose truth is known, and itself on this machine. */

#include <ep_engine.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define HZ 2596134182.0
#define WIDTH_CYCLES 52
#define CALIBRATIONS 30

/** A counter that somebody made up: frequency and reading at a time. */
struct counter {
	double hz;
	double cycles;
	uint64_t ns;
};

static struct ep_engine_reading
counter_read(const struct counter *c, uint64_t width_cycles)
{
	return (struct ep_engine_reading){(uint64_t)c->cycles, c->ns, width_cycles};
}

static void
counter_run(struct counter *c, uint64_t ns)
{
	c->cycles += c->hz * (double)ns / 1e9;
	c->ns += ns;
}

static void
begin(struct counter *c, struct ep_engine_clock *clock)
{
	struct ep_engine_reading a, b;

	*c = (struct counter){HZ, 1e15, UINT64_C(12345) * EP_NS_PER_S};
	a = counter_read(c, WIDTH_CYCLES);
	counter_run(c, 100 * EP_NS_PER_MS);
	b = counter_read(c, WIDTH_CYCLES);
	ep_engine_clock_begin(clock, &a, &b);
}

/* Runs the counter for some seconds, with a reading each. */
static void
watch_s(struct counter *c, struct ep_engine_clock *clock, uint32_t seconds)
{
	for (uint32_t i = 0; i < seconds; i++) {
		struct ep_engine_reading now;

		counter_run(c, EP_NS_PER_S);
		now = counter_read(c, WIDTH_CYCLES);
		ep_engine_clock_feed(clock, &now);
	}
}

static double
off_ppm(double hz, double true_hz)
{
	return fabs(hz / true_hz - 1) * 1e6;
}

/* A wrong look at one of the clocks is within the bound that the width of the readings gives. */
static void
clock_error_is_a_bound_of_the_frequencys_error(void **state)
{
	static const int64_t off_cycles[] = {-26, -13, 0, 13, 26};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(off_cycles); i++) {
		for (size_t k = 0; k < EP_ARRAY_LEN(off_cycles); k++) {
			const uint64_t span_cycles = (uint64_t)(HZ / 10);
			const struct ep_engine_reading a = {
				(uint64_t)(1000000 + off_cycles[i]), 5, WIDTH_CYCLES};
			const struct ep_engine_reading b = {
				(uint64_t)((int64_t)(1000000 + span_cycles) + off_cycles[k]),
				5 + 100 * EP_NS_PER_MS, WIDTH_CYCLES};
			struct ep_engine_clock clock;

			ep_engine_clock_begin(&clock, &a, &b);
			assert_true(off_ppm(clock.hz, HZ) <= clock.error_ppm + 0.01);
			assert_true(clock.error_ppm < 0.3);
		}
	}
}

static void
clock_converts_cycles_to_the_nanosecond(void **state)
{
	struct ep_engine_clock clock;
	struct counter c;

	(void)state;
	begin(&c, &clock);
	for (uint64_t s = 1; s <= 100; s++) {
		const uint64_t cycles = (uint64_t)(HZ * (double)s);
		const uint64_t ns = (uint64_t)((unsigned __int128)cycles * clock.ns_mult >> 32);

		/* 2^-32 ns a cycle of rounding, and the frequency as read. */
		assert_true(fabs((double)ns - (double)s * 1e9) < (double)s * 2);
	}
}

static void
clock_gets_better_while_it_is_watched(void **state)
{
	struct ep_engine_clock clock;
	struct counter c;

	(void)state;
	begin(&c, &clock);
	watch_s(&c, &clock, 10);
	ep_engine_clock_refine(&clock);
	assert_true(clock.error_ppm < 0.003);
	assert_true(off_ppm(clock.hz, HZ) <= 0.003);
	assert_true(fabs(clock.drift_ppm) < 0.1);
	/* For hours: only the last minute counts, and that is as good as it gets. */
	watch_s(&c, &clock, 10000);
	ep_engine_clock_refine(&clock);
	assert_true(off_ppm(clock.hz, HZ) <= clock.error_ppm + 1e-6);
	assert_true(clock.error_ppm < 0.001);
}

static void
clock_keeps_its_frequency_until_it_is_refined(void **state)
{
	struct ep_engine_clock clock;
	struct counter c;
	double hz;

	(void)state;
	begin(&c, &clock);
	hz = clock.hz;
	c.hz = HZ * (1 + 50e-6);
	watch_s(&c, &clock, 100);
	assert_true(clock.hz == hz);
	ep_engine_clock_refine(&clock);
	assert_true(off_ppm(clock.hz, c.hz) < 0.01);
}

/* Slow or fast, whenever it begins: what a second was off from the frequency in use is in drift_ppm, with its sign. */
static void
clock_tells_the_largest_drift(void **state)
{
	static const double drift_ppm[] = {-400, -21, -5, 0, 5, 21, 400};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(drift_ppm); i++) {
		struct ep_engine_clock clock;
		struct counter c;

		begin(&c, &clock);
		watch_s(&c, &clock, 7);
		c.hz = HZ * (1 + drift_ppm[i] / 1e6);
		watch_s(&c, &clock, 3);
		c.hz = HZ;
		watch_s(&c, &clock, 20);
		assert_true(fabs(clock.drift_ppm - drift_ppm[i]) < 0.1);
	}
}

/* A machine that moves under the program: the counter starts anew. */
static void
clock_that_goes_back_is_a_drift_that_nobody_overlooks(void **state)
{
	struct ep_engine_clock clock;
	struct counter c;

	(void)state;
	begin(&c, &clock);
	c.cycles = 1e6;
	watch_s(&c, &clock, 1);
	assert_true(clock.drift_ppm < -1e6);
	ep_engine_clock_refine(&clock);
	assert_true(clock.hz > 0);
}

static void
clock_leaves_out_readings_that_say_nothing(void **state)
{
	struct ep_engine_clock clock;
	struct ep_engine_reading now;
	struct counter c;

	(void)state;
	begin(&c, &clock);
	/* Interrupted: off by 20 us, and as wide. */
	counter_run(&c, EP_NS_PER_S);
	now = counter_read(&c, (uint64_t)(HZ * 40e-6));
	now.cycles += (uint64_t)(HZ * 20e-6);
	ep_engine_clock_feed(&clock, &now);
	assert_true(fabs(clock.drift_ppm) < 0.001);
	/* Too near to the last. */
	counter_run(&c, 10 * EP_NS_PER_MS);
	watch_s(&c, &clock, 1);
	now = counter_read(&c, WIDTH_CYCLES);
	now.cycles += 1000;
	now.ns += 1000;
	ep_engine_clock_feed(&clock, &now);
	assert_true(fabs(clock.drift_ppm) < 0.1);
}

/* What the 20 ppm of the pacing rest on: each of 30 calibrations is far within them, and so is their spread. */
static void
calibrations_of_this_machine_agree_within_the_promise(void **state)
{
	double low_hz = 1e18, high_hz = 0, error_ppm = 0;

	(void)state;
	for (int i = 0; i < CALIBRATIONS; i++) {
		struct ep_engine_clock clock;

		ep_engine_clock_calibrate(&clock);
		low_hz = fmin(low_hz, clock.hz);
		high_hz = fmax(high_hz, clock.hz);
		error_ppm = fmax(error_ppm, clock.error_ppm);
	}
	printf("# %d calibrations: spread %.3f ppm, largest bound %.3f ppm\n", CALIBRATIONS,
		(high_hz / low_hz - 1) * 1e6, error_ppm);
	assert_true(error_ppm < EP_ENGINE_CLOCK_LIMIT_PPM);
	assert_true((high_hz / low_hz - 1) * 1e6 <= 2 * error_ppm + 0.1);
}

static void
clock_of_this_machine_does_not_drift_while_it_is_watched(void **state)
{
	struct ep_engine_clock clock;

	(void)state;
	ep_engine_clock_calibrate(&clock);
	while (clock.last.ns < clock.from.ns + 2 * EP_NS_PER_S)
		ep_engine_clock_watch(&clock);
	ep_engine_clock_finish(&clock);
	assert_true(fabs(clock.drift_ppm) < EP_ENGINE_CLOCK_LIMIT_PPM);
	assert_true(clock.refined_error_ppm < clock.error_ppm);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clock_error_is_a_bound_of_the_frequencys_error),
		cmocka_unit_test(clock_converts_cycles_to_the_nanosecond),
		cmocka_unit_test(clock_gets_better_while_it_is_watched),
		cmocka_unit_test(clock_keeps_its_frequency_until_it_is_refined),
		cmocka_unit_test(clock_tells_the_largest_drift),
		cmocka_unit_test(clock_that_goes_back_is_a_drift_that_nobody_overlooks),
		cmocka_unit_test(clock_leaves_out_readings_that_say_nothing),
		cmocka_unit_test(calibrations_of_this_machine_agree_within_the_promise),
		cmocka_unit_test(clock_of_this_machine_does_not_drift_while_it_is_watched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
