#include <ep_base.h>
#include <ep_range.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* One set of each kind that a test needs; too large for a stack. */
struct fixture {
	struct ep_range a;
	struct ep_range b;
	bool chosen[EP_RANGE_PORTS];
	char text[EP_RANGE_PORTS * 6];
	uint64_t rng;
};

static uint64_t
seed_get(void)
{
	const char *text = getenv("EP_TEST_SEED");

	return text != NULL ? strtoull(text, NULL, 0) : 1;
}

static uint32_t
rng_below(struct fixture *f, uint32_t n)
{
	f->rng = f->rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)((f->rng >> 33) % n);
}

static int
fixture_create(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return -1;
	f->rng = seed_get();
	*state = f;
	return 0;
}

static int
fixture_destroy(void **state)
{
	free(*state);
	return 0;
}

/* A random, unordered list with overlaps; member[] is the model. */
static void
random_list(struct fixture *f, bool *member, char *text, size_t len)
{
	size_t used = 0;

	memset(member, 0, EP_RANGE_PORTS * sizeof(*member));
	for (uint32_t left = 1 + rng_below(f, 20); left > 0; left--) {
		const uint32_t first = 1 + rng_below(f, EP_RANGE_PORTS - 1);
		uint32_t last = first + rng_below(f, 1 + rng_below(f, 3000));

		if (last >= EP_RANGE_PORTS)
			last = EP_RANGE_PORTS - 1;
		used += (size_t)snprintf(text + used, len - used,
			first == last ? "%s%u" : "%s%u-%u", used > 0 ? "," : "", first, last);
		for (uint32_t port = first; port <= last; port++)
			member[port] = true;
	}
}

static void
range_parse_reads_ports_and_ranges(void **state)
{
	static const struct {
		const char *text;
		uint32_t port_count;
		uint16_t first, last;
		const char *again;
	} row[] = {
		{"50000-60000", 10001, 50000, 60000, "50000-60000"},
		{"443", 1, 443, 443, "443"},
		{"50000-50009,443", 11, 443, 50009, "443,50000-50009"},
		{"1-65535", 65535, 1, 65535, "1-65535"},
		{"65535,1", 2, 1, 65535, "1,65535"},
		{"10-20,15-30,31,30", 22, 10, 31, "10-31"},
		{"7-7,007", 1, 7, 7, "7"},
		{"1,2", 2, 1, 2, "1-2"},
		{"1,3", 2, 1, 3, "1,3"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		assert_int_equal(ep_range_parse(row[i].text, "--ports", &f->a, NULL), 0);
		assert_int_equal(f->a.port_count, row[i].port_count);
		assert_int_equal(f->a.port[0], row[i].first);
		assert_int_equal(f->a.port[f->a.port_count - 1], row[i].last);
		assert_int_equal(ep_range_format(&f->a, NULL, f->text, sizeof(f->text)),
			strlen(row[i].again));
		assert_string_equal(f->text, row[i].again);
	}
}

static void
range_parse_refuses_with_a_sentence(void **state)
{
	static const struct {
		const char *text;
		int want;
		const char *shown;
	} row[] = {
		{"", -EINVAL, "''"},
		{",", -EINVAL, "''"},
		{"443,", -EINVAL, "''"},
		{",443", -EINVAL, "''"},
		{"443,,444", -EINVAL, "''"},
		{"x", -EINVAL, "'x'"},
		{"443,abc,444", -EINVAL, "'abc'"},
		{"-5", -EINVAL, "'-5'"},
		{"5-", -EINVAL, "'5-'"},
		{"5--6", -EINVAL, "'5--6'"},
		{"5-6-7", -EINVAL, "'5-6-7'"},
		{" 5", -EINVAL, "' 5'"},
		{"5 ", -EINVAL, "'5 '"},
		{"5.0", -EINVAL, "'5.0'"},
		{"0x10", -EINVAL, "'0x10'"},
		{"60000-50000", -EINVAL, "'60000-50000'"},
		{"0", -ERANGE, "'0'"},
		{"0-10", -ERANGE, "'0-10'"},
		{"65536", -ERANGE, "'65536'"},
		{"443,1-65536", -ERANGE, "'1-65536'"},
		{"70000-1", -ERANGE, "'70000-1'"},
		{"4294967739", -ERANGE, "'4294967739'"}, /* 2^32 + 443 */
		{"99999999999999999999999", -ERANGE, "'99999999999999999999999'"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		struct ep_err err = {0};

		assert_int_equal(ep_range_parse(row[i].text, "--ports", &f->a, &err), row[i].want);
		assert_int_equal(err.code, row[i].want);
		assert_non_null(strstr(err.text, "--ports"));
		assert_non_null(strstr(err.text, row[i].shown));
		assert_non_null(strstr(err.text, "allowed"));
		assert_int_equal(ep_range_parse(row[i].text, "--ports", &f->a, NULL), row[i].want);
	}
}

static void
range_matches_a_bitmap_model(void **state)
{
	struct fixture *f = *state;

	for (int round = 0; round < 50; round++) {
		uint32_t i = 0;

		random_list(f, f->chosen, f->text, sizeof(f->text));
		assert_int_equal(ep_range_parse(f->text, "--ports", &f->a, NULL), 0);
		for (uint32_t port = 0; port < EP_RANGE_PORTS; port++) {
			if (ep_range_has(&f->a, (uint16_t)port) != f->chosen[port])
				fail_msg("port %u of %s", port, f->text);
			if (!f->chosen[port])
				continue;
			if (f->a.port[i] != port || f->a.index[port] != i)
				fail_msg("index of port %u of %s", port, f->text);
			i++;
		}
		assert_int_equal(f->a.port_count, i);
	}
}

static void
range_parse_of_format_is_the_same_set(void **state)
{
	struct fixture *f = *state;

	for (int round = 0; round < 50; round++) {
		random_list(f, f->chosen, f->text, sizeof(f->text));
		ep_range_parse(f->text, "--ports", &f->a, NULL);
		ep_range_format(&f->a, NULL, f->text, sizeof(f->text));
		assert_int_equal(ep_range_parse(f->text, "--ports", &f->b, NULL), 0);
		if (memcmp(&f->a, &f->b, sizeof(f->a)) != 0)
			fail_msg("%s", f->text);
	}
}

static void
range_format_names_the_chosen_members_only(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ep_range_parse("10-14,20,22-24", "--ports", &f->a, NULL), 0);
	memset(f->chosen, 0, sizeof(f->chosen));
	assert_int_equal(ep_range_format(&f->a, f->chosen, f->text, sizeof(f->text)), 0);
	assert_string_equal(f->text, "");

	/* 14 and 20 are neighbours in the set but not in number; 20 and 22 neither. */
	memset(f->chosen, true, f->a.port_count);
	ep_range_format(&f->a, f->chosen, f->text, sizeof(f->text));
	assert_string_equal(f->text, "10-14,20,22-24");

	f->chosen[f->a.index[12]] = false;
	f->chosen[f->a.index[24]] = false;
	ep_range_format(&f->a, f->chosen, f->text, sizeof(f->text));
	assert_string_equal(f->text, "10-11,13-14,20,22-23");
}

static void
range_format_cuts_like_snprintf(void **state)
{
	static const char full[] = "443,50000-50009,65535";
	struct fixture *f = *state;

	assert_int_equal(ep_range_parse(full, "--ports", &f->a, NULL), 0);
	assert_int_equal(ep_range_format(&f->a, NULL, NULL, 0), sizeof(full) - 1);
	for (size_t len = 1; len <= sizeof(full) + 1; len++) {
		const size_t kept = len - 1 < sizeof(full) - 1 ? len - 1 : sizeof(full) - 1;

		memset(f->text, 'x', sizeof(full) + 2);
		assert_int_equal(ep_range_format(&f->a, NULL, f->text, len), sizeof(full) - 1);
		assert_int_equal(strlen(f->text), kept);
		assert_memory_equal(f->text, full, kept);
		assert_int_equal(f->text[len], 'x');
	}
}

struct run_sum {
	uint32_t port_count;
	uint32_t above; /* lowest port that may start the next run */
};

static void
run_add(void *ctx, uint16_t first, uint16_t last)
{
	struct run_sum *sum = ctx;

	assert_true(first >= sum->above);
	assert_true(first <= last);
	sum->port_count += (uint32_t)(last - first) + 1;
	sum->above = (uint32_t)last + 2;
}

static void
range_runs_are_ascending_apart_and_complete(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ep_range_parse("1-65535", "--ports", &f->a, NULL), 0);
	for (int round = 0; round < 20; round++) {
		struct run_sum sum = {0};
		uint32_t chosen_count = 0;

		for (uint32_t i = 0; i < f->a.port_count; i++) {
			f->chosen[i] = rng_below(f, 4) > 0;
			chosen_count += f->chosen[i];
		}
		ep_range_runs(&f->a, f->chosen, run_add, &sum);
		assert_int_equal(sum.port_count, chosen_count);
	}
}

static void
range_covers_is_the_subset_relation(void **state)
{
	static const struct {
		const char *outer, *inner;
		bool want;
	} row[] = {
		{"50000-60000", "50000-60000", true},
		{"50000-60000", "55555", true},
		{"50000-60000", "50000,60000", true},
		{"50000-60000", "49999-50000", false},
		{"50000-60000", "60000-60001", false},
		{"1-10,20-30", "5-25", false},
		{"1-10,11-30", "5-25", true},
		{"443", "443,80", false},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		assert_int_equal(ep_range_parse(row[i].outer, "--ports", &f->a, NULL), 0);
		assert_int_equal(ep_range_parse(row[i].inner, "--ports", &f->b, NULL), 0);
		assert_int_equal(ep_range_covers(&f->a, &f->b), row[i].want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(range_parse_reads_ports_and_ranges),
		cmocka_unit_test(range_parse_refuses_with_a_sentence),
		cmocka_unit_test(range_matches_a_bitmap_model),
		cmocka_unit_test(range_parse_of_format_is_the_same_set),
		cmocka_unit_test(range_format_names_the_chosen_members_only),
		cmocka_unit_test(range_format_cuts_like_snprintf),
		cmocka_unit_test(range_runs_are_ascending_apart_and_complete),
		cmocka_unit_test(range_covers_is_the_subset_relation),
	};

	print_message("# EP_TEST_SEED=%ju\n", (uintmax_t)seed_get());
	return cmocka_run_group_tests(tests, fixture_create, fixture_destroy);
}
