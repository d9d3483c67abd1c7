#include <ep_base.h>
#include <ep_sched.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t rng;

static uint64_t
seed_get(void)
{
	const char *text = getenv("EP_TEST_SEED");

	return text != NULL ? strtoull(text, NULL, 0) : 1;
}

static uint32_t
rng_u32(void)
{
	rng = rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(rng >> 32);
}

static uint32_t
rng_below(uint32_t n)
{
	return (uint32_t)((uint64_t)rng_u32() * n >> 32);
}

static int
rng_reset(void **state)
{
	(void)state;
	rng = seed_get();
	return 0;
}

static struct ep_sched
list_of(uint32_t flow_count, uint64_t seed)
{
	struct ep_sched s;

	assert_int_equal(ep_sched_init_list(&s, flow_count, seed, NULL), 0);
	return s;
}

/* 2^32 - 1 = 3 x 5 x 17 x 257 x 65537; 4294967291 is the largest prime below 2^32. */
static const uint32_t large_flow_counts[] = {
	10001,
	65535,
	65536,
	65537,
	30003,
	1000000,
	UINT32_C(1) << 31,
	(UINT32_C(1) << 31) + 1,
	UINT32_C(0xfffffffb),
	UINT32_MAX - 1,
	UINT32_MAX,
};

static void
check_bijection(const struct ep_sched *s, uint8_t *hit)
{
	memset(hit, 0, s->flow_count);
	for (uint32_t i = 0; i < s->flow_count; i++) {
		const uint32_t flow = ep_sched_perm(s, i);

		if (flow >= s->flow_count || hit[flow]++ != 0)
			fail_msg("F %u: position %u gives %u", s->flow_count, i, flow);
		if (s->flow_count <= 70000 && i % 7 == 0 && ep_sched_perm_inverse(s, flow) != i)
			fail_msg("F %u: flow %u does not go back to %u", s->flow_count, flow, i);
	}
}

static void
perm_is_a_bijection_and_its_inverse_inverts(void **state)
{
	uint8_t *hit = malloc(1000000);

	(void)state;
	assert_non_null(hit);
	for (uint32_t flow_count = 1; flow_count <= 2048; flow_count++) {
		const struct ep_sched s = list_of(flow_count, rng_u32());

		check_bijection(&s, hit);
	}
	for (size_t i = 0; large_flow_counts[i] <= 1000000; i++) {
		const struct ep_sched s = list_of(large_flow_counts[i], rng_u32());

		check_bijection(&s, hit);
	}
	free(hit);
}

/* Too large to list: what has an inverse everywhere it was looked at, and stays inside. */
static void
perm_of_huge_spaces_inverts_at_random_positions_and_both_ends(void **state)
{
	(void)state;
	for (size_t k = 0; k < EP_ARRAY_LEN(large_flow_counts); k++) {
		const uint32_t flow_count = large_flow_counts[k];
		const struct ep_sched s = list_of(flow_count, rng_u32());

		for (uint32_t i = 0; i < 5000; i++) {
			const uint32_t position = i < 10 ? i
				: i < 20                 ? flow_count - 1 - (i - 10)
							 : rng_below(flow_count);
			const uint32_t flow = ep_sched_perm(&s, position);

			if (flow >= flow_count || ep_sched_perm_inverse(&s, flow) != position)
				fail_msg("F %u: position %u, flow %u", flow_count, position, flow);
		}
	}
}

/* Each of the 6 orders of 3 flows and both of 2 come up: small spaces are shuffled as well. */
static void
perm_reaches_every_order_of_a_tiny_space(void **state)
{
	uint32_t orders = 0, orders_of_two = 0;

	(void)state;
	for (uint32_t seed = 0; seed < 400; seed++) {
		const struct ep_sched three = list_of(3, seed);
		const struct ep_sched two = list_of(2, seed);

		orders |= UINT32_C(1) << (ep_sched_perm(&three, 0) * 3 + ep_sched_perm(&three, 1));
		orders_of_two |= UINT32_C(1) << ep_sched_perm(&two, 0);
	}
	assert_int_equal(__builtin_popcount(orders), 6);
	assert_int_equal(orders_of_two, 3);
}

static int
u32_compare(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Length of the longest run of equal values in a sorted array. */
static uint32_t
longest_run(const uint32_t *value, uint32_t count)
{
	uint32_t longest = 1, run = 1;

	for (uint32_t i = 1; i < count; i++) {
		run = value[i] == value[i - 1] ? run + 1 : 1;
		longest = run > longest ? run : longest;
	}
	return longest;
}

/*
 * A port scan shows itself by steps of 1 or of another constant, or by rising numbers. With four rounds half of the steps are
 * of some hundred constants: stride and its negative take 1/32 each, stride +- the distance of two round keys up to 1/64, and
 * two of these may coincide or be 1. No seed comes near a tenth, and over the seeds steps of 1 are rare.
 */
static void
perm_is_no_scan(void **state)
{
	enum { FLOWS = 10001, STEPS = FLOWS - 1 };
	uint32_t *step = malloc(STEPS * sizeof(*step));
	uint32_t ones_of_all = 0;

	(void)state;
	assert_non_null(step);
	for (uint32_t seed = 0; seed < 50; seed++) {
		const struct ep_sched s = list_of(FLOWS, seed + rng_u32());
		uint32_t ones = 0, rising = 0, last = ep_sched_perm(&s, 0);

		for (uint32_t i = 0; i < STEPS; i++) {
			const uint32_t flow = ep_sched_perm(&s, i + 1);

			step[i] = (flow + FLOWS - last) % FLOWS;
			ones += step[i] == 1 || step[i] == FLOWS - 1;
			rising += flow > last;
			last = flow;
		}
		qsort(step, STEPS, sizeof(*step), u32_compare);
		assert_in_range(ones, 0, STEPS / 10);
		ones_of_all += ones;
		assert_in_range(longest_run(step, STEPS), 0, STEPS / 10);
		assert_in_range(rising, STEPS * 45 / 100, STEPS * 55 / 100);
	}
	assert_in_range(ones_of_all, 0, 50 * STEPS / 100);
	free(step);
}

static void
perm_order_follows_from_the_seed_alone(void **state)
{
	enum { FLOWS = 10001 };

	(void)state;
	for (uint32_t seed = 0; seed < 50; seed++) {
		const struct ep_sched a = list_of(FLOWS, seed);
		const struct ep_sched again = list_of(FLOWS, seed);
		const struct ep_sched b = list_of(FLOWS, seed + 1);
		uint32_t same = 0;

		assert_memory_equal(&a, &again, sizeof(a));
		for (uint32_t i = 0; i < FLOWS; i++)
			same += ep_sched_perm(&a, i) == ep_sched_perm(&b, i);
		assert_in_range(same, 0, FLOWS / 100);
	}
}

static void
division_by_multiplication_is_exact(void **state)
{
	static const uint32_t edge[] = {1, 2, 3, 5, 7, 641, 10001, 65535, 65536, 65537, 0x7fffffff,
		0x80000000, 0x80000001, 0xfffffffb, 0xfffffffe, 0xffffffff};

	(void)state;
	for (uint32_t i = 0; i < 200000; i++) {
		const uint32_t d = i < EP_ARRAY_LEN(edge) * 1000 ? edge[i / 1000]
								 : rng_u32() >> rng_below(32) | 1;
		const uint32_t recip = UINT32_MAX / d;
		const uint32_t multiple = rng_u32() / d * d;
		const uint32_t n[] = {0, 1, multiple, multiple - 1, multiple + d - 1, rng_u32(),
			UINT32_MAX, UINT32_MAX - 1};

		for (size_t k = 0; k < EP_ARRAY_LEN(n); k++) {
			if (ep_sched_div(n[k], d, recip) != n[k] / d ||
				ep_sched_mod(n[k], d, recip) != n[k] % d)
				fail_msg("%u / %u", n[k], d);
		}
	}
}

static void
flow_number_means_address_source_and_port(void **state)
{
	static const struct ep_sched_cfg row[] = {
		{10001, 1, 1, 40000, 10001, 1},
		{10001, 3, 2, 40000, 10001, 2},
		{1, 1, 1, 1, 1, 3},
		{1, 7, 5, 1024, 7, 4},
		{7, 1, 5, 65535, 1, 5},
		{65536, 2, 1, 60000, 5536, 6},
		{100, 64511, 1, 1024, 64512, 7},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		struct ep_sched s;

		assert_int_equal(ep_sched_init(&s, &row[i], NULL), 0);
		assert_int_equal(s.flow_count,
			row[i].port_count * row[i].source_count * row[i].address_count);
		for (uint32_t k = 0; k < 20000; k++) {
			const uint32_t port_index = rng_below(row[i].port_count);
			const uint32_t source = rng_below(row[i].source_count);
			const uint32_t address = rng_below(row[i].address_count);
			const struct ep_sched_flow f = ep_sched_flow_of(&s,
				(address * row[i].source_count + source) * row[i].port_count +
					port_index);

			assert_int_equal(f.address, address);
			assert_int_equal(f.port_index, port_index);
			assert_int_equal(f.source_port,
				row[i].source_base + (port_index + source) % row[i].source_span);
		}
	}
}

static void
source_ports_of_a_destination_port_are_distinct_and_inside_the_span(void **state)
{
	const struct ep_sched_cfg cfg = {
		.port_count = 211,
		.source_count = 97,
		.address_count = 2,
		.source_base = 65400,
		.source_span = 101,
	};
	struct ep_sched s;

	(void)state;
	assert_int_equal(ep_sched_init(&s, &cfg, NULL), 0);
	for (uint32_t row = 0; row < cfg.address_count * cfg.port_count; row++) {
		const uint32_t address = row / cfg.port_count, port_index = row % cfg.port_count;
		bool used[65536] = {0};

		for (uint32_t source = 0; source < cfg.source_count; source++) {
			const uint32_t flow =
				(address * cfg.source_count + source) * cfg.port_count + port_index;
			const uint16_t port = ep_sched_source_port(&s, flow);

			assert_in_range(port, 65400, 65500);
			assert_false(used[port]);
			used[port] = true;
		}
	}
}

static void
init_refuses_with_a_sentence(void **state)
{
	static const struct {
		struct ep_sched_cfg cfg;
		int want;
		const char *shown;
	} row[] = {
		{{0, 1, 1, 40000, 10, 0}, -EINVAL, "0 destination ports"},
		{{65537, 1, 1, 40000, 10, 0}, -EINVAL, "65537 destination ports"},
		{{1, 0, 1, 40000, 10, 0}, -EINVAL, "0 source ports per"},
		{{1, 11, 1, 40000, 10, 0}, -EINVAL, "11 source ports per"},
		{{1, 1, 0, 40000, 10, 0}, -EINVAL, "no initiator address"},
		{{1, 1, 1, 0, 10, 0}, -EINVAL, "10 source ports from 0"},
		{{1, 1, 1, 40000, 0, 0}, -EINVAL, "0 source ports from"},
		{{1, 1, 1, 60000, 5537, 0}, -EINVAL, "5537 source ports from 60000"},
		{{1, 1, 1, 60000, UINT32_MAX, 0}, -EINVAL, "4294967295 source ports from"},
		{{65536, 1, 65536, 40000, 10, 0}, -ERANGE, "4294967296 flows"},
		{{65536, 65535, UINT32_MAX, 1, 65535, 0}, -ERANGE, "allowed"},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		struct ep_sched s = {.flow_count = 99};
		struct ep_err err = {0};

		assert_int_equal(ep_sched_init(&s, &row[i].cfg, &err), row[i].want);
		assert_int_equal(ep_sched_init(&s, &row[i].cfg, NULL), row[i].want);
		assert_int_equal(err.code, row[i].want);
		assert_non_null(strstr(err.text, row[i].shown));
		assert_non_null(strstr(err.text, "allowed"));
		assert_int_equal(s.flow_count, 99);
	}
}

static void
init_accepts_the_largest_space(void **state)
{
	const struct ep_sched_cfg cfg = {
		.port_count = 65535,
		.source_count = 1,
		.address_count = 65537,
		.source_base = 1,
		.source_span = 65535,
	};
	struct ep_sched s;

	(void)state;
	assert_int_equal(ep_sched_init(&s, &cfg, NULL), 0);
	assert_int_equal(s.flow_count, UINT32_MAX);
}

static void
init_list_refuses_an_empty_list(void **state)
{
	struct ep_sched s;
	struct ep_err err = {0};

	(void)state;
	assert_int_equal(ep_sched_init_list(&s, 0, 1, &err), -EINVAL);
	assert_int_equal(err.code, -EINVAL);
	assert_non_null(strstr(err.text, "allowed"));
}

static void
shards_partition_the_positions_evenly(void **state)
{
	(void)state;
	for (uint32_t k = 0; k < 300; k++) {
		const uint32_t flow_count = k < 20 ? k + 1
			: k < 30                   ? UINT32_MAX - (k - 20)
						   : 1 + rng_u32() % 100000;
		const uint32_t shard_count = 1 + rng_below(70);
		const struct ep_sched s = list_of(flow_count, k);
		uint32_t end = 0;

		for (uint32_t shard = 0; shard < shard_count; shard++) {
			const struct ep_sched_cursor c = ep_sched_shard(&s, shard, shard_count);

			assert_int_equal(c.first, end);
			assert_int_equal(c.next, c.first);
			assert_int_equal(c.seq, 0);
			assert_in_range(c.end - c.first, flow_count / shard_count,
				flow_count / shard_count + 1);
			end = c.end;
		}
		assert_int_equal(end, flow_count);
	}
}

/* Packet n of an only shard is flow perm(n mod F) with sequence n div F. */
static void
next_walks_the_permutation_sweep_after_sweep(void **state)
{
	(void)state;
	for (uint32_t flow_count = 1; flow_count < 40; flow_count++) {
		const struct ep_sched s = list_of(flow_count, rng_u32());
		struct ep_sched_cursor c = ep_sched_shard(&s, 0, 1);

		for (uint32_t n = 0; n < 5 * flow_count; n++) {
			uint64_t seq;

			assert_int_equal(ep_sched_taken(&c), n);
			assert_int_equal(
				ep_sched_next(&s, &c, &seq), ep_sched_perm(&s, n % flow_count));
			assert_int_equal(seq, n / flow_count);
		}
	}
}

/* The last position there is: position + 1 must not be mistaken for a wrap, nor overflow. */
static void
next_wraps_at_the_end_of_the_largest_space(void **state)
{
	const struct ep_sched s = list_of(UINT32_MAX, 1);
	struct ep_sched_cursor c = ep_sched_shard(&s, 1, 2);
	uint64_t seq;

	(void)state;
	c.next = c.end - 1;
	assert_int_equal(ep_sched_next(&s, &c, &seq), ep_sched_perm(&s, UINT32_MAX - 1));
	assert_int_equal(seq, 0);
	ep_sched_next(&s, &c, &seq);
	assert_int_equal(seq, 1);
	assert_int_equal(c.next, c.first + 1);
	ep_sched_rewind(&c, 2);
	assert_int_equal(c.next, UINT32_MAX - 1);
	assert_int_equal(c.seq, 0);
}

/* Every burst length, in spaces from one flow to the largest, over wraps. */
static void
next_burst_is_as_many_calls_of_next(void **state)
{
	static const uint32_t large[] = {10001, 0x7fffffff, 0x80000001, UINT32_MAX};

	(void)state;
	for (uint32_t k = 0; k < 3000; k++) {
		const uint32_t flow_count = k < 1500 ? 1 + rng_below(200) : large[k % 4];
		const struct ep_sched s = list_of(flow_count, rng_u32());
		const uint32_t shard_count = 1 + rng_below(flow_count < 8 ? flow_count : 8);
		struct ep_sched_cursor one =
			ep_sched_shard(&s, rng_below(shard_count), shard_count);
		struct ep_sched_cursor burst;

		one.next = one.end - 1 -
			rng_below(one.end - one.first < 50 ? one.end - one.first : 50);
		burst = one;
		for (uint32_t n = 0; n < 10; n++) {
			const uint32_t count = 1 + rng_below(EP_SCHED_BURST);
			uint32_t flow[EP_SCHED_BURST], seq[EP_SCHED_BURST];

			ep_sched_next_burst(&s, &burst, count, flow, seq);
			for (uint32_t i = 0; i < count; i++) {
				uint64_t want_seq;

				assert_int_equal(flow[i], ep_sched_next(&s, &one, &want_seq));
				assert_int_equal(seq[i], want_seq);
			}
			for (uint32_t i = count; i < EP_SCHED_BURST; i++)
				assert_true(flow[i] < flow_count);
			assert_memory_equal(&burst, &one, sizeof(one));
		}
	}
}

static void
rewind_undoes_next_across_wraps(void **state)
{
	(void)state;
	for (uint32_t k = 0; k < 2000; k++) {
		const uint32_t flow_count = 1 + rng_below(k < 1000 ? 5 : 200);
		const struct ep_sched s = list_of(flow_count, k);
		const uint32_t shard_count = 1 + rng_below(flow_count);
		struct ep_sched_cursor c = ep_sched_shard(&s, rng_below(shard_count), shard_count);
		struct ep_sched_cursor before;
		uint64_t seq;

		for (uint32_t n = rng_below(300); n > 0; n--)
			ep_sched_next(&s, &c, &seq);
		before = c;
		for (uint32_t n = 0; n < 64; n++) {
			struct ep_sched_cursor back = c;

			ep_sched_rewind(&back, n);
			assert_memory_equal(&back, &before, sizeof(back));
			ep_sched_next(&s, &c, &seq);
		}
		ep_sched_rewind(&c, (uint32_t)ep_sched_taken(&c));
		assert_int_equal(ep_sched_taken(&c), 0);
		assert_int_equal(c.next, c.first);
	}
}

/* Runs every shard for a random number of probes and counts them one by one. */
static void
check_count_ports(const struct ep_sched *s, const struct ep_sched *space, const uint32_t *list,
	uint32_t shard_count)
{
	uint64_t *want = calloc(space->port_count, sizeof(*want));
	uint64_t *got = calloc(space->port_count, sizeof(*got));

	assert_non_null(want);
	assert_non_null(got);
	want[0] = got[0] = 5; /* it adds */
	for (uint32_t shard = 0; shard < shard_count; shard++) {
		struct ep_sched_cursor c = ep_sched_shard(s, shard, shard_count);

		for (uint32_t n = c.first == c.end ? 0 : rng_below(3000); n > 0; n--) {
			uint64_t seq;
			const uint32_t value = ep_sched_next(s, &c, &seq);

			want[(list != NULL ? list[value] : value) % space->port_count]++;
		}
		ep_sched_count_ports(s, &c, space, list, got);
	}
	assert_memory_equal(got, want, space->port_count * sizeof(*want));
	free(want);
	free(got);
}

static void
count_ports_equals_counting_each_probe(void **state)
{
	(void)state;
	for (uint32_t k = 0; k < 100; k++) {
		const struct ep_sched_cfg cfg = {
			.port_count = 1 + rng_below(k < 50 ? 4 : 500),
			.source_count = 1 + rng_below(3),
			.address_count = 1 + rng_below(3),
			.source_base = 40000,
			.source_span = 3,
			.seed = k,
		};
		struct ep_sched s;

		assert_int_equal(ep_sched_init(&s, &cfg, NULL), 0);
		check_count_ports(&s, &s, NULL, 1 + rng_below(8));
	}
}

static void
count_ports_of_a_list_goes_through_the_list(void **state)
{
	const struct ep_sched_cfg cfg = {
		.port_count = 50,
		.source_count = 4,
		.address_count = 2,
		.source_base = 40000,
		.source_span = 4,
	};
	struct ep_sched space;

	(void)state;
	assert_int_equal(ep_sched_init(&space, &cfg, NULL), 0);
	for (uint32_t k = 0; k < 50; k++) {
		uint32_t list[400];
		const uint32_t count = 1 + rng_below(EP_ARRAY_LEN(list));
		const struct ep_sched s = list_of(count, k);

		for (uint32_t i = 0; i < count; i++)
			list[i] = rng_below(space.flow_count);
		check_count_ports(&s, &space, list, 1 + rng_below(8));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(perm_is_a_bijection_and_its_inverse_inverts, rng_reset),
		cmocka_unit_test_setup(
			perm_of_huge_spaces_inverts_at_random_positions_and_both_ends, rng_reset),
		cmocka_unit_test(perm_reaches_every_order_of_a_tiny_space),
		cmocka_unit_test_setup(perm_is_no_scan, rng_reset),
		cmocka_unit_test(perm_order_follows_from_the_seed_alone),
		cmocka_unit_test_setup(division_by_multiplication_is_exact, rng_reset),
		cmocka_unit_test_setup(flow_number_means_address_source_and_port, rng_reset),
		cmocka_unit_test(
			source_ports_of_a_destination_port_are_distinct_and_inside_the_span),
		cmocka_unit_test(init_refuses_with_a_sentence),
		cmocka_unit_test(init_accepts_the_largest_space),
		cmocka_unit_test(init_list_refuses_an_empty_list),
		cmocka_unit_test_setup(shards_partition_the_positions_evenly, rng_reset),
		cmocka_unit_test_setup(next_walks_the_permutation_sweep_after_sweep, rng_reset),
		cmocka_unit_test(next_wraps_at_the_end_of_the_largest_space),
		cmocka_unit_test_setup(next_burst_is_as_many_calls_of_next, rng_reset),
		cmocka_unit_test_setup(rewind_undoes_next_across_wraps, rng_reset),
		cmocka_unit_test_setup(count_ports_equals_counting_each_probe, rng_reset),
		cmocka_unit_test_setup(count_ports_of_a_list_goes_through_the_list, rng_reset),
	};

	print_message("# EP_TEST_SEED=%ju\n", (uintmax_t)seed_get());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
