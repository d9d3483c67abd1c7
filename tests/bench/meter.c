#include "meter.h"

#include <rte_common.h>
#include <rte_cycles.h>

#include <errno.h>
#include <string.h>

#define GAUGE_ROUNDS 512
#define WARM_NS (60 * EP_NS_PER_S)
#define WAIT_NS (6 * EP_NS_PER_S)
#define POLL_NS (2 * EP_NS_PER_MS)

/* Eight additions, one after the other: as many cycles. */
static inline void
add_chain(uint64_t *a)
{
	for (int i = 0; i < 8; i++) {
		*a += 1;
		__asm__ volatile("" : "+r"(*a));
	}
}

/* Eight in four chains: as few cycles as the core has units for. */
static inline void
add_side_by_side(uint64_t *a, uint64_t *b, uint64_t *c, uint64_t *d)
{
	for (int i = 0; i < 2; i++) {
		*a += 1;
		*b += 1;
		*c += 1;
		*d += 1;
		__asm__ volatile("" : "+r"(*a), "+r"(*b), "+r"(*c), "+r"(*d));
	}
}

double
meter_gauge(void)
{
	uint64_t a = 0, b = 0, c = 0, d = 0;
	const uint64_t start = rte_rdtsc();
	uint64_t middle, end;

	for (int i = 0; i < GAUGE_ROUNDS; i++)
		add_chain(&a);
	middle = rte_rdtsc();
	for (int i = 0; i < GAUGE_ROUNDS * 4; i++)
		add_side_by_side(&a, &b, &c, &d);
	end = rte_rdtsc();
	return 4.0 * (double)(middle - start) / (double)(end - middle);
}

static bool
gauge_alone(double adds)
{
	return adds >= METER_ADDS_MIN && adds <= METER_ADDS_MAX;
}

static bool
window_alone(const struct meter *m)
{
	return m->all_windows || (gauge_alone(m->adds_begin) && gauge_alone(meter_gauge()));
}

void
meter_reset(struct meter *m, const struct bench *b, uint32_t warm_windows)
{
	memset(m, 0, sizeof(*m));
	m->all_windows = b->all_windows;
	m->warm_windows = warm_windows;
}

void
meter_begin(struct meter *m)
{
	if (m->warm_windows == 0 && !m->all_windows)
		m->adds_begin = meter_gauge();
	m->begin_cycles = rte_rdtsc();
}

void
meter_end(struct meter *m, uint64_t now_cycles, uint64_t packets)
{
	const double cycles = (double)(now_cycles - m->begin_cycles) / (double)packets;
	uint32_t n;

	if (m->warm_windows > 0) {
		__atomic_store_n(&m->warm_windows, m->warm_windows - 1, __ATOMIC_RELEASE);
		return;
	}
	m->alone_run = window_alone(m) ? m->alone_run + 1 : 0;
	if (m->alone_run > METER_SETTLE_WINDOWS) {
		n = m->alone_count;
		if (n == METER_KEPT)
			return;
		m->alone[n] = cycles;
		__atomic_store_n(&m->alone_count, n + 1, __ATOMIC_RELEASE);
	} else {
		n = m->shared_count;
		m->shared[n % METER_KEPT] = cycles;
		__atomic_store_n(&m->shared_count, n + 1, __ATOMIC_RELEASE);
	}
}

static bool
meter_warm(const struct meter *m)
{
	for (uint64_t ns = 0; ns < WARM_NS; ns += POLL_NS) {
		if (__atomic_load_n(&m->warm_windows, __ATOMIC_ACQUIRE) == 0)
			return true;
		bench_sleep_ns(POLL_NS);
	}
	return false;
}

int
meter_wait(const struct meter *m, struct ep_err *err)
{
	uint32_t alone = 0, shared = 0;

	if (!meter_warm(m))
		return ep_err_set(err, -EIO, "the worker stands still, or is too slow");
	for (uint64_t ns = 0; ns < WAIT_NS && alone < METER_KEPT; ns += POLL_NS) {
		bench_sleep_ns(POLL_NS);
		alone = __atomic_load_n(&m->alone_count, __ATOMIC_ACQUIRE);
		shared = __atomic_load_n(&m->shared_count, __ATOMIC_ACQUIRE);
	}
	if (alone < BENCH_SAMPLES && shared < BENCH_SAMPLES)
		return ep_err_set(err, -EIO, "the worker stands still: %u windows in %llu s",
			alone + shared, (unsigned long long)(WAIT_NS / EP_NS_PER_S));
	return 0;
}

void
meter_samples(const struct meter *m, struct bench_samples *samples)
{
	/* A few windows a sample do. */
	const bool alone = m->alone_count >= METER_KEPT / 4 || m->shared_count < BENCH_SAMPLES;
	const uint32_t kept =
		alone ? m->alone_count : RTE_MIN(m->shared_count, (uint32_t)METER_KEPT);
	const double *window = alone ? m->alone : m->shared;
	const uint32_t each = kept / BENCH_SAMPLES;

	for (uint32_t i = 0; i < BENCH_SAMPLES; i++) {
		double sorted[METER_WINDOWS];

		memcpy(sorted, &window[i * each], each * sizeof(*sorted));
		samples->cycles[i] = bench_median(sorted, each);
	}
	samples->alone = alone;
}
