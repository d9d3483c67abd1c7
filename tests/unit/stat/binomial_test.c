#include <ep_base.h>
#include <ep_stat.h>

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <sim.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static uint64_t seed;

enum { BRUTE_MAX = 3000 };

/*
 * Every term by its definition, one from the other, in the wider exponent of long double; the tails added up from
 * the small end.
 */
static void
brute_tails(uint64_t n, double p, long double tail[BRUTE_MAX + 2])
{
	static long double term[BRUTE_MAX + 1];
	const long double q = 1 - (long double)p;

	term[0] = powl(q, (long double)n);
	for (uint64_t x = 0; x < n; x++)
		term[x + 1] = term[x] * (long double)(n - x) / (long double)(x + 1) * (p / q);
	tail[n + 1] = 0;
	for (uint64_t x = n + 1; x-- > 0;)
		tail[x] = tail[x + 1] + term[x];
}

static bool
close_to(double got, long double want, double relative)
{
	return fabsl(got - want) <= relative * want;
}

static void
tails_match_brute_force(uint64_t n, double p, double relative)
{
	static long double tail[BRUTE_MAX + 2];

	brute_tails(n, p, tail);
	for (uint64_t k = 0; k <= n + 1; k++) {
		const double got = ep_stat_binomial_tail(k, n, p);

		assert_true(got >= 0 && got <= 1);
		if (tail[k] > 1e-300L && !close_to(got, tail[k], relative))
			fail_msg("P(X >= %lu), n %lu, p %.17g: %.17g, not %.17Lg", (unsigned long)k,
				(unsigned long)n, p, got, tail[k]);
		if (tail[k] <= 1e-300L)
			assert_true(got <= 1.1e-300);
	}
}

static void
stat_tail_matches_brute_force_for_every_small_count(void **state)
{
	static const double p[] = {1e-12, 0.001, 0.005, 0.1, 0.3, 0.5, 0.75, 0.99, 0.999999};

	(void)state;
	for (uint64_t n = 1; n <= 60; n++) {
		for (size_t i = 0; i < EP_ARRAY_LEN(p); i++)
			tails_match_brute_force(n, p[i], 1e-12);
	}
}

static void
stat_tail_matches_brute_force_at_random(void **state)
{
	uint64_t random = seed;

	(void)state;
	for (int i = 0; i < 30; i++) {
		const uint64_t n = 1 + sim_below(&random, BRUTE_MAX);
		const double p = pow(10, -6 * (double)sim_below(&random, 1 << 20) / (1 << 20));

		if (p < 1)
			tails_match_brute_force(n, p, 1e-11);
	}
}

/* Computed with 60 digits: Stirling's series for the factorials, the terms added one by one. */
static void
stat_tail_has_known_values(void **state)
{
	static const struct {
		uint64_t lost, sent;
		double ratio, want;
	} c[] = {
		{1, 1, 0.5, 0.5},
		{3, 10, 0.5, 0.9453125},
		{10, 1000, 0.001, 1.07428338684648733e-07},
		{150, 1000, 0.001, 5.77099306903958570e-269},
		{5, 300, 0.01, 1.83888832530363200e-01},
		{60, 10000, 0.005, 9.17211830268203909e-02},
		{100, 1000000, 1e-05, 5.37698452563951489e-63},
		{1, 1000000000, 1e-09, 6.32120559012497418e-01},
		{17, 500000000, 1e-08, 1.98690409276860405e-05},
		{2, 1000000000, 1e-155, 4.99999999500000008e-293},
		{500000000, 1000000000, 0.5, 5.00012615662606907e-01},
		{500050000, 1000000000, 0.5, 7.82786130541903834e-04},
		{500550000, 1000000000, 0.5, 2.04843778112561223e-265},
		{333833333, 1000000000, 0.3333333333333333, 7.01650969795536036e-247},
		{700480000, 1000000000, 0.7, 5.84322487975696025e-241},
		{100330000, 1000000000, 0.1, 3.70060893806808326e-265},
		{1020000, 1000000000, 0.001, 8.51890574331265812e-89},
		{998000, 1000000000, 0.001, 9.77357728386375579e-01},
		{1000000000, 1000000000, 0.999999999, 3.67879451391843915e-01},
		{999999990, 1000000000, 0.999999999, 9.99999989952236934e-01},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(c); i++) {
		const double got = ep_stat_binomial_tail(c[i].lost, c[i].sent, c[i].ratio);

		if (!close_to(got, c[i].want, 1e-11))
			fail_msg("case %zu: %.17g, not %.17g", i, got, c[i].want);
	}
}

static void
stat_tail_has_its_ends(void **state)
{
	(void)state;
	assert_true(ep_stat_binomial_tail(0, 0, 0.5) == 1);
	assert_true(ep_stat_binomial_tail(0, 100, 0) == 1);
	assert_true(ep_stat_binomial_tail(1, 100, 0) == 0);
	assert_true(ep_stat_binomial_tail(1, 100, -0.5) == 0);
	assert_true(ep_stat_binomial_tail(100, 100, 1) == 1);
	assert_true(ep_stat_binomial_tail(100, 100, 1.5) == 1);
	assert_true(ep_stat_binomial_tail(101, 100, 0.5) == 0);
	assert_true(ep_stat_binomial_tail(101, 100, 1) == 0);
	assert_true(ep_stat_binomial_tail(1, 0, 0.5) == 0);
	assert_true(ep_stat_binomial_tail(1000, 1000000000, 1e-9) == 0);
	assert_true(ep_stat_binomial_tail(40, 100, DBL_MIN) == 0);
}

static void
stat_tail_falls_with_the_loss_and_grows_with_the_ratio(void **state)
{
	static const uint64_t sent[] = {7, 1000, 10000000};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(sent); i++) {
		double before = 1;

		for (uint64_t lost = 0; lost <= 300 && lost <= sent[i]; lost++) {
			const double p = ep_stat_binomial_tail(lost, sent[i], 100.0 / 1e7);

			assert_true(p <= before);
			before = p;
		}
		before = 0;
		for (double ratio = 1e-9; ratio < 1; ratio *= 1.5) {
			const double p = ep_stat_binomial_tail(5, sent[i], ratio);

			assert_true(p >= before * (1 - 1e-12));
			before = p;
		}
	}
}

/* At the bound the tail has come down to alpha; a billionth of the bound before, it has not. */
static void
bounds_invert_the_tail(uint64_t lost, uint64_t sent, double alpha)
{
	const double upper = ep_stat_upper(lost, sent, alpha);
	const double lower = ep_stat_lower(lost, sent, alpha);

	assert_true(lower >= 0 && lower <= (double)lost / (double)sent);
	assert_true(upper <= 1 && upper >= (double)lost / (double)sent);
	if (lost > 0) {
		assert_true(ep_stat_binomial_tail(lost, sent, lower) <= alpha * (1 + 1e-9));
		assert_true(ep_stat_binomial_tail(lost, sent, lower * (1 + 1e-9)) >=
			alpha * (1 - 1e-9));
	}
	if (lost < sent) {
		const double at = 1 - ep_stat_binomial_tail(lost + 1, sent, upper);
		const double before = 1 - ep_stat_binomial_tail(lost + 1, sent, upper * (1 - 1e-9));

		assert_true(at <= alpha + 1e-12);
		assert_true(before >= alpha - 1e-12);
	}
}

static void
stat_bounds_invert_the_tail(void **state)
{
	static const double alpha[] = {0.5, 0.05, EP_STAT_ALPHA / 10001, 1e-9};
	static const uint64_t sent[] = {2, 30, 1000, 123456, 10000000};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(sent); i++) {
		const uint64_t lost[] = {0, 1, 2, sent[i] / 3, sent[i] / 2, sent[i] - 1, sent[i]};

		for (size_t k = 0; k < EP_ARRAY_LEN(lost); k++) {
			for (size_t m = 0; m < EP_ARRAY_LEN(alpha); m++)
				bounds_invert_the_tail(lost[k], sent[i], alpha[m]);
		}
	}
}

/*
 * Whatever the true ratio is, the bound is on its right side with probability 1 - alpha at least: all outcomes
 * enumerated.
 */
static void
stat_bounds_cover_the_truth_often_enough(void **state)
{
	static const double alpha[] = {0.05, 0.01};
	static long double tail[BRUTE_MAX + 2];

	(void)state;
	for (uint64_t n = 1; n <= 40; n += 3) {
		for (size_t i = 0; i < EP_ARRAY_LEN(alpha); i++) {
			double upper[41], lower[41];

			for (uint64_t x = 0; x <= n; x++) {
				upper[x] = ep_stat_upper(x, n, alpha[i]);
				lower[x] = ep_stat_lower(x, n, alpha[i]);
			}
			for (double p = 0.0013; p < 1; p += 0.0071) {
				long double below_upper = 0, above_lower = 0;

				brute_tails(n, p, tail);
				for (uint64_t x = 0; x <= n; x++) {
					below_upper += p <= upper[x] ? tail[x] - tail[x + 1] : 0;
					above_lower += p >= lower[x] ? tail[x] - tail[x + 1] : 0;
				}
				assert_true(below_upper >= 1 - alpha[i] - 1e-12L);
				assert_true(above_lower >= 1 - alpha[i] - 1e-12L);
			}
		}
	}
}

static void
stat_bounds_have_known_values(void **state)
{
	(void)state;
	assert_true(close_to(ep_stat_upper(0, 1, 0.05), 0.95L, 1e-12));
	assert_true(close_to(ep_stat_lower(1, 1, 0.05), 0.05L, 1e-12));
	/* n 2, x 1: 1 - u^2 = alpha, and 1 - (1 - l)^2 = alpha. */
	assert_true(close_to(ep_stat_upper(1, 2, 0.05), sqrtl(0.95L), 1e-9));
	assert_true(close_to(ep_stat_lower(1, 2, 0.05), 1 - sqrtl(0.95L), 1e-9));
	assert_true(ep_stat_upper(0, 0, 0.05) == 1);
	assert_true(ep_stat_lower(0, 0, 0.05) == 0);
	/* More lost than sent is for the caller to refuse; the bounds stay ratios. */
	assert_true(ep_stat_upper(3, 2, 0.05) == 1);
	assert_true(ep_stat_lower(3, 2, 0.05) <= 1);
	assert_true(ep_stat_lower(3, 0, 0.05) == 0);
}

/* How many loss-free packets rule a loss ratio out, for one port and for 10,001 at once. */
static void
stat_ruled_out_follows_the_rule_of_three(void **state)
{
	static const struct {
		uint64_t sent;
		double ratio;
	} one[] = {{299, 0.01}, {2995, 0.001}, {29956, 0.0001}, {299572, 0.00001}};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(one); i++) {
		assert_true(ep_stat_ruled_out(one[i].sent, 0.05) < one[i].ratio);
		assert_true(ep_stat_ruled_out(one[i].sent - 1, 0.05) >= one[i].ratio);
	}
	assert_true(ep_stat_ruled_out(12201, EP_STAT_ALPHA / 10001) < 0.001);
	assert_true(ep_stat_ruled_out(12200, EP_STAT_ALPHA / 10001) > 0.001);
	assert_true(ep_stat_ruled_out(1215, EP_STAT_ALPHA / 10001) < 0.01);
	assert_true(ep_stat_ruled_out(0, 0.05) == 1);
	assert_true(close_to(ep_stat_ruled_out(1, 0.05), 0.95L, 1e-12));
	/* No cancellation where the ratio is tiny: ln 20 / n. */
	assert_true(close_to(ep_stat_ruled_out(UINT64_C(1) << 60, 0.05),
		logl(20) / (long double)(UINT64_C(1) << 60), 1e-12));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stat_tail_matches_brute_force_for_every_small_count),
		cmocka_unit_test(stat_tail_matches_brute_force_at_random),
		cmocka_unit_test(stat_tail_has_known_values),
		cmocka_unit_test(stat_tail_has_its_ends),
		cmocka_unit_test(stat_tail_falls_with_the_loss_and_grows_with_the_ratio),
		cmocka_unit_test(stat_bounds_invert_the_tail),
		cmocka_unit_test(stat_bounds_cover_the_truth_often_enough),
		cmocka_unit_test(stat_bounds_have_known_values),
		cmocka_unit_test(stat_ruled_out_follows_the_rule_of_three),
	};

	seed = sim_seed(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
