/*
 * The frequency of the time stamp counter, from readings of it and of CLOCK_MONOTONIC_RAW at the same moment.
 *
 * A reading lies between two looks at the counter, w cycles apart, so the counter at that moment is known to w / 2. The frequency
 * over a span of s cycles between two readings is known to (w1 + w2) / 2s. With w about 50 cycles that is 0.3 ppm after the 100 ms
 * of the calibration, and less than 0.03 ppm after the first second of watching.
 *
 *   from ------------- mid ------------- last -- now
 *   |<-- the frequency that is refined: 30 to 60 s -->|
 *                                        |<----->|  compared with the frequency in use: drift
 */

#include "ep_engine.h"

#include <rte_cpuflags.h>
#include <rte_cycles.h>

#include <math.h>
#include <time.h>

#define CALIBRATION_NS (100 * EP_NS_PER_MS)
#define READINGS 32
/* Between two readings that are compared: long enough for the readings' own uncertainty to be small. */
#define WINDOW_NS EP_NS_PER_S
/* At the end of a run a shorter one will do, so that its last second is not left out. */
#define WINDOW_MIN_NS (100 * EP_NS_PER_MS)
/* A reading that leaves more open than this says nothing about drift: the window goes on to the next one [ppm]. */
#define WINDOW_ERROR_PPM 2
/* The frequency is that of the last one or two of these: a counter may change its pace with the temperature. */
#define SPAN_NS (30 * EP_NS_PER_S)

static uint64_t
raw_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return (uint64_t)ts.tv_sec * EP_NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* The tightest of several readings: the others were interrupted. */
static struct ep_engine_reading
clock_read(void)
{
	struct ep_engine_reading best = {.width_cycles = UINT64_MAX};

	for (int i = 0; i < READINGS; i++) {
		const uint64_t before = rte_rdtsc();
		const uint64_t ns = raw_ns();
		const uint64_t width = rte_rdtsc() - before;

		if (width < best.width_cycles) {
			best.cycles = before + width / 2;
			best.ns = ns;
			best.width_cycles = width;
		}
	}
	return best;
}

#ifdef RTE_ARCH_X86
static bool
counter_is_invariant(void)
{
	return rte_cpu_get_flag_enabled(RTE_CPUFLAG_INVTSC) > 0;
}
#else
static bool
counter_is_invariant(void)
{
	return true; /* arm64: the generic timer, of a fixed frequency by definition. */
}
#endif

static double
span_hz(const struct ep_engine_reading *a, const struct ep_engine_reading *b)
{
	/* Signed: a counter that went back is a frequency below 0, and so a drift that nobody overlooks. */
	return (double)(int64_t)(b->cycles - a->cycles) / (double)(b->ns - a->ns) * 1e9;
}

static double
span_error_ppm(
	const struct ep_engine_reading *a, const struct ep_engine_reading *b, double cycles_per_ns)
{
	return (double)(a->width_cycles + b->width_cycles) / 2 /
		((double)(b->ns - a->ns) * cycles_per_ns) * 1e6;
}

void
ep_engine_clock_begin(struct ep_engine_clock *clock, const struct ep_engine_reading *a,
	const struct ep_engine_reading *b)
{
	*clock = (struct ep_engine_clock){
		.base_cycles = a->cycles,
		.refined_hz = span_hz(a, b),
		.from = *a,
		.mid = *b,
		.last = *b,
	};
	clock->refined_error_ppm = span_error_ppm(a, b, clock->refined_hz / 1e9);
	ep_engine_clock_refine(clock);
}

void
ep_engine_clock_feed(struct ep_engine_clock *clock, const struct ep_engine_reading *now)
{
	const double cycles_per_ns = clock->hz / 1e9;
	double drift_ppm, hz;

	if (now->ns < clock->last.ns + WINDOW_MIN_NS ||
		span_error_ppm(&clock->last, now, cycles_per_ns) > WINDOW_ERROR_PPM)
		return;
	drift_ppm = (span_hz(&clock->last, now) / clock->hz - 1) * 1e6;
	if (fabs(drift_ppm) > fabs(clock->drift_ppm))
		clock->drift_ppm = drift_ppm;
	clock->last = *now;
	hz = span_hz(&clock->from, now);
	if (hz > 0) {
		clock->refined_hz = hz;
		clock->refined_error_ppm = span_error_ppm(&clock->from, now, cycles_per_ns);
	}
	if (now->ns - clock->mid.ns >= SPAN_NS) {
		clock->from = clock->mid;
		clock->mid = *now;
	}
}

void
ep_engine_clock_refine(struct ep_engine_clock *clock)
{
	clock->hz = clock->refined_hz;
	clock->error_ppm = clock->refined_error_ppm;
	clock->ns_mult = (uint64_t)(1e9 / clock->hz * 4294967296.0 + 0.5);
}

void
ep_engine_clock_calibrate(struct ep_engine_clock *clock)
{
	const struct timespec pause = {.tv_nsec = CALIBRATION_NS};
	const struct ep_engine_reading a = clock_read();
	struct ep_engine_reading b;

	nanosleep(&pause, NULL);
	b = clock_read();
	ep_engine_clock_begin(clock, &a, &b);
	clock->invariant = counter_is_invariant();
}

void
ep_engine_clock_watch(struct ep_engine_clock *clock)
{
	struct ep_engine_reading now;

	if (raw_ns() < clock->last.ns + WINDOW_NS)
		return;
	now = clock_read();
	ep_engine_clock_feed(clock, &now);
}

void
ep_engine_clock_finish(struct ep_engine_clock *clock)
{
	const struct ep_engine_reading now = clock_read();

	ep_engine_clock_feed(clock, &now);
}

uint64_t
ep_engine_now_cycles(void)
{
	return rte_rdtsc();
}
