/* Samples and medians. */

#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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
