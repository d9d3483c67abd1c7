#include <ep_base.h>
#include <ep_stat.h>

#include <math.h>
#include <setjmp.h>
#include <sim.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { CLAIMS_MAX = 300 };

static uint64_t seed;

/*
 * As the definition reads: take the smallest p-value left, compare it with alpha over the number left, go on or
 * stop.
 */
static uint32_t
naive_holm(const double *p, uint32_t count, double alpha, bool *rejected)
{
	uint32_t n = 0;

	memset(rejected, 0, count * sizeof(*rejected));
	for (; n < count; n++) {
		uint32_t smallest = UINT32_MAX;

		for (uint32_t i = 0; i < count; i++) {
			if (!rejected[i] && (smallest == UINT32_MAX || p[i] < p[smallest]))
				smallest = i;
		}
		if (p[smallest] > alpha / (count - n))
			break;
		rejected[smallest] = true;
	}
	return n;
}

/* Most p-values large, some tiny, many at the edge, and ties. */
static void
random_claims(uint64_t *random, double *p, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const double unit = (double)sim_below(random, 1 << 16) / (1 << 16);

		p[i] = sim_chance(random, 0.5) ? unit : EP_STAT_ALPHA / count * 2 * unit;
		if (i > 0 && sim_chance(random, 0.2))
			p[i] = p[sim_below(random, i)];
		if (sim_chance(random, 0.05))
			p[i] = EP_STAT_ALPHA / (double)(1 + sim_below(random, count));
	}
}

static void
holm_matches_its_definition(void **state)
{
	uint64_t random = seed;
	uint64_t rejected_count = 0, kept_count = 0;

	(void)state;
	for (int round = 0; round < 300; round++) {
		const uint32_t count =
			1 + (uint32_t)sim_below(&random, round < 100 ? 6 : CLAIMS_MAX);
		bool want[CLAIMS_MAX], got[CLAIMS_MAX];
		double p[CLAIMS_MAX];
		uint32_t n;

		memset(got, true, sizeof(got)); /* whatever was there before */
		random_claims(&random, p, count);
		n = naive_holm(p, count, EP_STAT_ALPHA, want);
		assert_int_equal(ep_stat_holm(p, count, EP_STAT_ALPHA, got), n);
		assert_memory_equal(got, want, count * sizeof(got[0]));
		rejected_count += n;
		kept_count += count - n;
	}
	assert_true(rejected_count > 0 && kept_count > 0);
}

/*
 * Nothing rejected has a larger p-value than anything kept, and a smaller p-value or a larger alpha never rejects
 * less.
 */
static void
holm_is_monotone(void **state)
{
	uint64_t random = seed + 1;

	(void)state;
	for (int round = 0; round < 200; round++) {
		const uint32_t count = 2 + (uint32_t)sim_below(&random, CLAIMS_MAX - 2);
		bool rejected[CLAIMS_MAX], more[CLAIMS_MAX];
		double p[CLAIMS_MAX], worst = 0, best = 2;
		int64_t n;

		random_claims(&random, p, count);
		n = ep_stat_holm(p, count, EP_STAT_ALPHA, rejected);
		for (uint32_t i = 0; i < count; i++) {
			if (rejected[i])
				worst = fmax(worst, p[i]);
			else
				best = fmin(best, p[i]);
		}
		assert_true(worst < best);
		assert_true(ep_stat_holm(p, count, 2 * EP_STAT_ALPHA, more) >= n);
		p[sim_below(&random, count)] /= 100;
		assert_true(ep_stat_holm(p, count, EP_STAT_ALPHA, more) >= n);
		for (uint32_t i = 0; i < count; i++)
			assert_true(more[i] || !rejected[i]);
	}
}

static void
holm_has_known_results(void **state)
{
	static const struct {
		double p[4];
		uint32_t count;
		int64_t want_count;
		bool want[4];
	} c[] = {
		{{0}, 0, 0, {false}},
		{{0.05}, 1, 1, {true}},
		{{0.0501}, 1, 0, {false}},
		/* 0.005 <= 0.05 / 4 and 0.01 <= 0.05 / 3, but 0.03 > 0.05 / 2, and 0.04 is not reached. */
		{{0.01, 0.04, 0.03, 0.005}, 4, 2, {true, false, false, true}},
		/* The first fails: the others are not looked at. */
		{{0.02, 0.02, 0.02, 0.02}, 4, 0, {false, false, false, false}},
		{{0, 0, 0, 0}, 4, 4, {true, true, true, true}},
		{{1, 1, 1, 1}, 4, 0, {false, false, false, false}},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(c); i++) {
		bool got[4] = {false};

		assert_int_equal(ep_stat_holm(c[i].p, c[i].count, 0.05, got), c[i].want_count);
		assert_memory_equal(got, c[i].want, c[i].count * sizeof(got[0]));
	}
}

/* 10,001 ports of which a few lose 10 % and the rest as much as is allowed: the few are named. */
static void
holm_finds_the_lossy_ports_among_ten_thousand(void **state)
{
	enum { PORTS = 10001, SENT = 1000, LOSSY = 7 };
	static double p[PORTS];
	static bool rejected[PORTS];
	uint64_t random = seed + 2;
	int64_t n;

	(void)state;
	for (uint32_t i = 0; i < PORTS; i++) {
		const double ratio = i % 1000 == 1 && i < LOSSY * 1000 ? 0.1 : 0.001;
		uint64_t lost = 0;

		for (int k = 0; k < SENT; k++)
			lost += (uint64_t)sim_chance(&random, ratio);
		p[i] = ep_stat_binomial_tail(lost, SENT, 0.001);
	}
	n = ep_stat_holm(p, PORTS, 1e-6, rejected);
	assert_int_equal(n, LOSSY);
	for (uint32_t i = 0; i < LOSSY; i++)
		assert_true(rejected[i * 1000 + 1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holm_matches_its_definition),
		cmocka_unit_test(holm_is_monotone),
		cmocka_unit_test(holm_has_known_results),
		cmocka_unit_test(holm_finds_the_lossy_ports_among_ten_thousand),
	};

	seed = sim_seed(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
