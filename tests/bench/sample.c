/* Samples, medians and the watching of counters. */

#include "bench.h"

#include <rte_cycles.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Most cycles between the two readings of the time around a counter; more means an interruption. */
#define READ_CYCLES_MAX 5000
#define READ_TRIES 100

struct reading {
	uint64_t count;
	uint64_t cycles;
};

static int
compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double
bench_median(double *v, uint32_t count)
{
	qsort(v, count, sizeof(*v), compare);
	return count % 2 == 1 ? v[count / 2] : (v[count / 2 - 1] + v[count / 2]) / 2;
}

struct bench_result
bench_summary(const struct bench *b, const double cycles[BENCH_SAMPLES])
{
	double sorted[BENCH_SAMPLES];
	struct bench_result r;

	memcpy(sorted, cycles, sizeof(sorted));
	r.cycles = bench_median(sorted, BENCH_SAMPLES);
	r.mpps = b->clock.hz / r.cycles / 1e6;
	r.spread_ratio = (sorted[BENCH_SAMPLES - 1] - sorted[0]) / r.cycles;
	return r;
}

void
bench_sleep_ns(uint64_t ns)
{
	struct timespec left = {
		.tv_sec = (time_t)(ns / EP_NS_PER_S), .tv_nsec = (long)(ns % EP_NS_PER_S)};

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

static struct reading
read_both(bench_counter_fn counter, void *ctx)
{
	struct reading r = {0};

	for (int i = 0; i < READ_TRIES; i++) {
		const uint64_t before = rte_rdtsc();

		r.count = counter(ctx);
		r.cycles = rte_rdtsc();
		if (r.cycles - before < READ_CYCLES_MAX)
			break;
	}
	return r;
}

/* The next reading. A worker may stand still for some windows: the kernel takes the CPU from one that never sleeps, too. */
static struct reading
read_moved(bench_counter_fn counter, void *ctx, struct reading *last)
{
	struct reading now;

	for (int i = 0; i < READ_TRIES; i++) {
		bench_sleep_ns(BENCH_WINDOW_NS);
		now = read_both(counter, ctx);
		if (now.count != last->count)
			break;
		*last = now;
	}
	return now;
}

static int
watch_sample(bench_counter_fn counter, void *ctx, double *cycles, struct ep_err *err)
{
	double window[BENCH_WINDOWS];
	struct reading last = read_both(counter, ctx);

	for (int i = 0; i < BENCH_WINDOWS; i++) {
		struct reading now;

		now = read_moved(counter, ctx, &last);
		if (now.count == last.count)
			return ep_err_set(err, -EIO, "the worker stands still after %llu packets",
				(unsigned long long)now.count);
		window[i] = (double)(now.cycles - last.cycles) / (double)(now.count - last.count);
		last = now;
	}
	*cycles = bench_median(window, BENCH_WINDOWS);
	return 0;
}

int
bench_watch(bench_counter_fn counter, void *ctx, double cycles[BENCH_SAMPLES], struct ep_err *err)
{
	int ret = 0;

	for (int i = 0; i < BENCH_SAMPLES && ret == 0; i++)
		ret = watch_sample(counter, ctx, &cycles[i], err);
	return ret;
}
