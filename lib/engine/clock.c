#include "ep_engine.h"

#include <rte_cycles.h>

#include <time.h>

/** One reading of both clocks at once. */
struct reading {
	uint64_t cycles;
	uint64_t ns;
	uint64_t width_cycles; /* How long the reading took: its uncertainty. */
};

#define CALIBRATION_NS (100 * EP_NS_PER_MS)
#define READINGS 32

static uint64_t
raw_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return (uint64_t)ts.tv_sec * EP_NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* The tightest of several readings: the others were interrupted. */
static struct reading
clock_read(void)
{
	struct reading best = {.width_cycles = UINT64_MAX};

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

void
ep_engine_clock_calibrate(struct ep_engine_clock *clock)
{
	const struct timespec pause = {.tv_nsec = CALIBRATION_NS};
	const struct reading a = clock_read();
	struct reading b;

	nanosleep(&pause, NULL);
	b = clock_read();
	clock->hz = (double)(b.cycles - a.cycles) / (double)(b.ns - a.ns) * 1e9;
	clock->base_cycles = a.cycles;
	clock->ns_mult = (uint64_t)(1e9 / clock->hz * 4294967296.0 + 0.5);
	clock->error_ppm =
		(double)(a.width_cycles + b.width_cycles) / 2 / (double)(b.cycles - a.cycles) * 1e6;
}

double
ep_engine_clock_drift_ppm(const struct ep_engine_clock *clock)
{
	struct ep_engine_clock again;

	ep_engine_clock_calibrate(&again);
	return (again.hz / clock->hz - 1) * 1e6;
}

uint64_t
ep_engine_now_cycles(void)
{
	return rte_rdtsc();
}
