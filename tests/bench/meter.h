#pragma once

/**
 * @file
 * Windows of time on a worker's core, and whether the core was its own while they lasted.
 *
 * A virtual CPU is often one of two threads of a core, and what the other one runs, perhaps for somebody else, takes up to half of
 * it, for milliseconds or minutes; a counter of time does not see that. So each window is enclosed by two readings of a gauge:
 * how many independent additions the core does in the time of one cycle, measured by a chain of dependent ones. A core of its own
 * does 3.4 or more (the server cores of the last ten years have four units or more for them), a shared one 2 to 2.7. Only windows
 * whose both readings are good count, as long as there are enough of them.
 *
 * The worker calls meter_begin() and meter_end(); the main thread waits and reads.
 */

#include "bench.h"

#include <stdalign.h>

/** Windows of a sample. */
#define METER_WINDOWS 32
/** Windows of each kind that are kept. */
#define METER_KEPT (BENCH_SAMPLES * METER_WINDOWS)
/** Additions a cycle of a core of its own; beyond them, the reading was disturbed. */
#define METER_ADDS_MIN 3.2
#define METER_ADDS_MAX 4.2
/** Windows in a row that a core must have been its own before they count: its caches were the other thread's, too. */
#define METER_SETTLE_WINDOWS 5

struct meter {
	/* The worker's. */
	alignas(64) uint64_t begin_cycles;
	double adds_begin;
	uint32_t alone_run;    /**< Windows in a row. */
	uint32_t warm_windows; /**< Windows that do not count yet. */
	bool all_windows;      /**< None is asked whether the core was its own. */
	double alone[METER_KEPT];
	double shared[METER_KEPT]; /**< The latest. */
	uint32_t alone_count;      /**< Read by the main thread. */
	uint32_t shared_count;     /**< All of them; likewise. */
};

/** Read the gauge: additions in a cycle of the core. About 2 us. */
double meter_gauge(void);

/** Forget everything. */
void meter_reset(struct meter *m, const struct bench *b, uint32_t warm_windows);

/** A window begins after this. */
void meter_begin(struct meter *m);
/** It ended before this, and @p cycles is the time. */
void meter_end(struct meter *m, uint64_t now_cycles, uint64_t packets);

/** Wait until there are samples. @return 0 or -EIO (no windows at all: the worker stands still), with a sentence. */
int meter_wait(const struct meter *m, struct ep_err *err);

/** The samples, after meter_wait(), with nobody calling meter_end() any more. */
void meter_samples(const struct meter *m, struct bench_samples *samples);
