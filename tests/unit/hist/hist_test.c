#include <ep_base.h>
#include <ep_hist.h>

#include <math.h>
#include <setjmp.h>
#include <sim.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t seed;

/* A value of any magnitude: all numbers of leading zeros are equally likely. */
static uint32_t
random_value(uint64_t *random)
{
	return (uint32_t)sim_random(random) >> sim_below(random, 32);
}

static int
compare_u32(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a;
	const uint32_t y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/*
 * Each bucket ends where it says and the next one starts right after: together they cover every value once, in
 * order.
 */
static void
hist_buckets_cover_all_values_in_order(void **state)
{
	(void)state;
	assert_int_equal(ep_hist_bucket(0), 0);
	for (uint32_t b = 0; b < EP_HIST_BUCKETS - 1; b++) {
		const uint32_t max_ns = ep_hist_bucket_max_ns(b);

		assert_int_equal(ep_hist_bucket(max_ns), b);
		assert_int_equal(ep_hist_bucket(max_ns + 1), b + 1);
	}
	assert_int_equal(ep_hist_bucket_max_ns(EP_HIST_BUCKETS - 1), UINT32_MAX);
	assert_int_equal(ep_hist_bucket(UINT32_MAX), EP_HIST_BUCKETS - 1);
}

static void
hist_bucket_never_falls_as_the_value_grows(void **state)
{
	uint32_t last = 0;

	(void)state;
	for (uint32_t v = 0; v < 1 << 20; v++) {
		const uint32_t bucket = ep_hist_bucket(v);

		assert_true(bucket == last || bucket == last + 1);
		last = bucket;
	}
	/* 4093 is odd and no power of two: all low bits come up. */
	for (uint64_t v = 1 << 20; v <= UINT32_MAX; v += 4093) {
		const uint32_t bucket = ep_hist_bucket((uint32_t)v);

		assert_true(bucket == last || bucket == last + 1);
		last = bucket;
	}
}

/* At and around each boundary, where rounding would show, and all over. */
static void
hist_buckets_of_a_burst_are_those_of_its_values(void **state)
{
	uint64_t random = seed;

	(void)state;
	for (uint32_t b = 0; b < EP_HIST_BUCKETS; b++) {
		uint32_t value[EP_HIST_BURST], bucket[EP_HIST_BURST];

		for (uint32_t i = 0; i < EP_HIST_BURST; i++)
			value[i] =
				i < 16 ? ep_hist_bucket_max_ns(b) - 8 + i : random_value(&random);
		ep_hist_bucket_burst(value, bucket);
		for (uint32_t i = 0; i < EP_HIST_BURST; i++)
			assert_int_equal(bucket[i], ep_hist_bucket(value[i]));
	}
}

static void
hist_bucket_is_at_most_a_thirty_second_wide(void **state)
{
	uint64_t min_ns = 0;

	(void)state;
	for (uint32_t b = 0; b < EP_HIST_BUCKETS; b++) {
		const uint64_t max_ns = ep_hist_bucket_max_ns(b);

		if (b < 2 << EP_HIST_SUB_BITS)
			assert_int_equal(max_ns, min_ns);
		assert_true((max_ns - min_ns) << EP_HIST_SUB_BITS <= min_ns);
		min_ns = max_ns + 1;
	}
}

static void
hist_empty_is_all_zero(void **state)
{
	const struct ep_hist h = {0};

	(void)state;
	assert_int_equal(ep_hist_min_ns(&h), 0);
	assert_int_equal(ep_hist_quantile_ns(&h, 0), 0);
	assert_int_equal(ep_hist_quantile_ns(&h, 0.5), 0);
	assert_int_equal(ep_hist_quantile_ns(&h, 1), 0);
}

static void
hist_single_value_is_every_quantile(void **state)
{
	static const uint32_t value_ns[] = {
		0, 1, 31, 32, 63, 64, 65, 1000003, UINT32_MAX - 1, UINT32_MAX};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(value_ns); i++) {
		struct ep_hist h = {0};

		ep_hist_push(&h, value_ns[i]);
		assert_int_equal(h.count, 1);
		assert_int_equal(ep_hist_min_ns(&h), value_ns[i]);
		assert_int_equal(h.max_ns, value_ns[i]);
		for (double q = 0; q <= 1; q += 0.25)
			assert_int_equal(ep_hist_quantile_ns(&h, q), value_ns[i]);
	}
}

static void
hist_quantile_lies_within_its_error_of_the_sorted_array(void **state)
{
	enum { ROUNDS = 40, VALUES_MAX = 3000 };
	static const double q[] = {0, 0.001, 0.1, 0.25, 0.5, 0.9, 0.99, 0.999, 1};
	static uint32_t value_ns[VALUES_MAX];
	uint64_t random = seed;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		const size_t count = 1 + sim_below(&random, VALUES_MAX);
		struct ep_hist h = {0};

		for (size_t i = 0; i < count; i++) {
			value_ns[i] = random_value(&random);
			ep_hist_push(&h, value_ns[i]);
		}
		qsort(value_ns, count, sizeof(value_ns[0]), compare_u32);

		assert_int_equal(h.count, count);
		assert_int_equal(ep_hist_min_ns(&h), value_ns[0]);
		assert_int_equal(h.max_ns, value_ns[count - 1]);
		for (size_t i = 0; i < EP_ARRAY_LEN(q); i++) {
			const size_t rank = (size_t)fmax(1, ceil(q[i] * (double)count));
			const uint64_t truth_ns = value_ns[rank - 1];
			const uint64_t got_ns = ep_hist_quantile_ns(&h, q[i]);

			assert_true(got_ns >= truth_ns);
			assert_true((got_ns - truth_ns) << EP_HIST_SUB_BITS <= truth_ns);
			assert_true(got_ns <= h.max_ns);
		}
	}
}

/* A caller's mistake must not read past the buckets. */
static void
hist_quantile_outside_zero_to_one_is_the_nearest_end(void **state)
{
	struct ep_hist h = {0};

	(void)state;
	ep_hist_push(&h, 10);
	ep_hist_push(&h, 20);
	assert_int_equal(ep_hist_quantile_ns(&h, -1), 10);
	assert_int_equal(ep_hist_quantile_ns(&h, 2), 20);
	assert_int_equal(ep_hist_quantile_ns(&h, 1e300), 20);
	assert_int_equal(ep_hist_quantile_ns(&h, (double)NAN), 10);
}

static void
hist_merge_equals_pushing_everything_in_any_order(void **state)
{
	enum { PARTS = 4 }; /* the last one stays empty */
	static struct ep_hist part[PARTS], all, forward, backward;
	uint64_t random = seed + 1;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		const uint32_t value_ns = random_value(&random);

		ep_hist_push(&all, value_ns);
		if (i % 3 == 0) /* Counted when it is merged. */
			ep_hist_push_bucket(&part[0], value_ns, ep_hist_bucket(value_ns));
		else
			ep_hist_push(&part[1 + sim_below(&random, PARTS - 2)], value_ns);
	}
	for (int i = 0; i < PARTS; i++)
		ep_hist_merge(&forward, &part[i]);
	/* Other grouping, other order. */
	ep_hist_merge(&part[2], &part[1]);
	ep_hist_merge(&part[3], &part[2]);
	ep_hist_merge(&backward, &part[3]);
	ep_hist_merge(&backward, &part[0]);
	assert_memory_equal(&forward, &all, sizeof(all));
	assert_memory_equal(&backward, &all, sizeof(all));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hist_buckets_cover_all_values_in_order),
		cmocka_unit_test(hist_buckets_of_a_burst_are_those_of_its_values),
		cmocka_unit_test(hist_bucket_never_falls_as_the_value_grows),
		cmocka_unit_test(hist_bucket_is_at_most_a_thirty_second_wide),
		cmocka_unit_test(hist_empty_is_all_zero),
		cmocka_unit_test(hist_single_value_is_every_quantile),
		cmocka_unit_test(hist_quantile_lies_within_its_error_of_the_sorted_array),
		cmocka_unit_test(hist_quantile_outside_zero_to_one_is_the_nearest_end),
		cmocka_unit_test(hist_merge_equals_pushing_everything_in_any_order),
	};

	seed = sim_seed(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
