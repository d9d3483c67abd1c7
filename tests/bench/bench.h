#pragma once

/**
 * @file
 * What the cases of ep_bench share: how a number is made of samples, and how a case hands one over.
 *
 * A case measures BENCH_SAMPLES samples [TSC cycles a packet]. Each sample is itself the median of several short windows, so that
 * a CPU that others use for a moment, or that its host takes away, does not show (meter.h). The result is the median of the samples;
 * the spread is (max - min) / median.
 */

#include <ep_engine.h>

#include <stdbool.h>
#include <stdint.h>

#define BENCH_SAMPLES 9

/** What all cases are given. */
struct bench {
	struct ep_engine_clock clock;
	uint16_t core[2]; /**< CPUs of the two workers; core[1] is used by two-core cases only. */
	uint32_t core_count; /**< 1 or 2. */
	bool all_windows;    /**< Take every window, whether or not the core was its own. */
};

/** A figure. */
struct bench_result {
	double cycles;       /**< TSC cycles a packet, median. */
	double mpps;         /**< From the cycles and the calibrated frequency. */
	double spread_ratio; /**< (max - min) / median of the samples. */
};

/** What a case measured. */
struct bench_samples {
	double cycles[BENCH_SAMPLES]; /**< TSC cycles a packet. */
	bool alone; /**< The core was the case's own while it measured (meter.h). */
};

/** A case. @return 0, -EAGAIN (dropped: the machine is not fit for it now) or -errno, with a sentence. */
typedef int (*bench_case_fn)(
	const struct bench *b, struct bench_samples *samples, struct ep_err *err);

int bench_tx(const struct bench *b, struct bench_samples *samples, struct ep_err *err);
int bench_tx_stamp(const struct bench *b, struct bench_samples *samples, struct ep_err *err);
int bench_tx_1e9(const struct bench *b, struct bench_samples *samples, struct ep_err *err);
int bench_tx_2(const struct bench *b, struct bench_samples *samples, struct ep_err *err);
int bench_rx(const struct bench *b, struct bench_samples *samples, struct ep_err *err);
int bench_rx_1e7(const struct bench *b, struct bench_samples *samples, struct ep_err *err);
int bench_echo(const struct bench *b, struct bench_samples *samples, struct ep_err *err);
int bench_loop_ring(const struct bench *b, struct bench_samples *samples, struct ep_err *err);
int bench_loop_memif(const struct bench *b, struct bench_samples *samples, struct ep_err *err);
int bench_tag(const struct bench *b, struct bench_samples *samples, struct ep_err *err);
int bench_perm(const struct bench *b, struct bench_samples *samples, struct ep_err *err);
int bench_window(const struct bench *b, struct bench_samples *samples, struct ep_err *err);

/** Median; sorts @p v. */
double bench_median(double *v, uint32_t count);

/** Result of the samples. */
struct bench_result bench_summary(const struct bench *b, const double cycles[BENCH_SAMPLES]);

/** Sleep, whatever signals come. */
void bench_sleep_ns(uint64_t ns);
