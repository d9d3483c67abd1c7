#include <ep_plan.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Random single ranges, as the issue asks; and random sets of several. */
#define RANDOM_RANGES 200
#define RANDOM_SETS 12
/* Width at which every cover is compared with an independent search: all ranges, all sets of small width. */
#define SMALL_BITS 4

struct fixture {
	struct ep_range range;
	struct ep_plan_masks masks;
	bool member[EP_RANGE_PORTS];
	bool matched[EP_RANGE_PORTS];
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

/* Make rules of "a-b,c-d"; member[] is the model. */
static void
masks_of(struct fixture *f, const char *text)
{
	assert_int_equal(ep_range_parse(text, "--ports", &f->range, NULL), 0);
	for (uint32_t port = 0; port < EP_RANGE_PORTS; port++)
		f->member[port] = ep_range_has(&f->range, (uint16_t)port);
	memset(&f->masks, 0xff, sizeof(f->masks));
	assert_int_equal(ep_plan_masks_make(&f->range, &f->masks, NULL), 0);
}

/* Every one of the 65,536 ports matches a rule exactly where it is a member: each rule's ports are marked, one by one. */
static void
assert_exact(struct fixture *f, const char *text)
{
	memset(f->matched, 0, sizeof(f->matched));
	for (uint32_t i = 0; i < f->masks.rule_count; i++) {
		const struct ep_plan_mask rule = f->masks.rule[i];
		const uint32_t free_bits = (uint16_t)~rule.mask;
		uint32_t sub = free_bits;

		assert_int_equal(rule.value & ~rule.mask, 0);
		do {
			sub = (sub - 1) & free_bits;
			f->matched[rule.value | sub] = true;
		} while (sub != free_bits);
	}
	for (uint32_t port = 0; port < EP_RANGE_PORTS; port++)
		if (f->matched[port] != f->member[port])
			fail_msg("%s: port %u", text, port);
}

/* Whether some rule inside the set matches both: if any does, then the narrowest one, which looks at the bits they share. */
static bool
share_a_rule(const struct fixture *f, uint32_t a, uint32_t b)
{
	const uint32_t free_bits = a ^ b;
	uint32_t sub = free_bits;

	for (;;) {
		if (!f->member[(a & ~free_bits) | sub])
			return false;
		if (sub == 0)
			return true;
		sub = (sub - 1) & free_bits;
	}
}

/* As many members as rules, no two of which fit one rule: no smaller set of rules exists. */
static void
assert_proven_minimal(const struct fixture *f, const char *text)
{
	const struct ep_plan_masks *m = &f->masks;

	assert_true(m->minimal);
	if (m->witness_count != m->rule_count)
		fail_msg("%s: %u rules, %u witnesses", text, m->rule_count, m->witness_count);
	for (uint32_t i = 0; i < m->witness_count; i++) {
		assert_true(f->member[m->witness[i]]);
		for (uint32_t j = 0; j < i; j++)
			if (share_a_rule(f, m->witness[i], m->witness[j]))
				fail_msg("%s: %u and %u fit one rule", text, m->witness[i],
					m->witness[j]);
	}
}

static uint32_t
prefix_count(uint32_t first, uint32_t last)
{
	uint32_t n = 0;

	while (first <= last) {
		uint32_t length = first != 0 ? first & -first : EP_RANGE_PORTS;

		while (first + length - 1 > last)
			length /= 2;
		first += length;
		n++;
	}
	return n;
}

static void
masks_of_the_default_range_are_these_eleven(void **state)
{
	static const struct ep_plan_mask want[] = {
		{50000, 0xfff0},
		{50016, 0xffe0},
		{50048, 0xff80},
		{50176, 0xfc00},
		{51200, 0xf800},
		{53248, 0xf000},
		{57344, 0xf800},
		{59392, 0xfe00},
		{59904, 0xffc0},
		{59968, 0xffe0},
		{60000, 0xffff},
	};
	struct fixture *f = *state;

	masks_of(f, "50000-60000");
	assert_int_equal(f->masks.rule_count, EP_ARRAY_LEN(want));
	assert_memory_equal(f->masks.rule, want, sizeof(want));
	assert_exact(f, "50000-60000");
	for (uint32_t port = 0; port < EP_RANGE_PORTS; port++)
		assert_int_equal(ep_plan_masks_match(&f->masks, (uint16_t)port),
			port >= 50000 && port <= 60000);
	assert_proven_minimal(f, "50000-60000");
}

static void
masks_of_known_ranges_are_as_few_as_known(void **state)
{
	static const struct {
		const char *ports;
		uint32_t rules;
	} row[] = {
		{"443", 1},
		{"1-65535", 16}, /* One for each bit that is 1. */
		{"32768-65535", 1},
		{"1-1", 1},
		{"1-2", 2},
		{"1-6", 3}, /* Prefixes: 4. 0*01, 0*10 and 01*0 or the like: 3. */
		{"1-65534",
			16}, /* Prefixes: 30. A bit and the next one differ somewhere in the circle of 16. */
		{"16384-32767,49152-65535", 1},
		{"1,3,5,7", 1},
		{"1-3,5-7", 2},
		{"80,443,7881", 3},
		{"443,3478,7881,50000-60000", 14},
		{"10000-20000", 11},
		{"1024-65535", 6},
		{"49152-65535", 1},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		masks_of(f, row[i].ports);
		assert_exact(f, row[i].ports);
		assert_proven_minimal(f, row[i].ports);
		if (f->masks.rule_count != row[i].rules)
			fail_msg("%s: %u rules", row[i].ports, f->masks.rule_count);
	}
}

static void
masks_of_random_ranges_are_exact_and_proven_minimal(void **state)
{
	struct fixture *f = *state;
	uint32_t beats_prefixes = 0;

	for (int i = 0; i < RANDOM_RANGES; i++) {
		uint32_t first = 1 + rng_below(f, EP_RANGE_PORTS - 1);
		uint32_t last = 1 + rng_below(f, EP_RANGE_PORTS - 1);
		uint32_t prefixes;
		char text[16];

		if (first > last) {
			const uint32_t other = first;

			first = last;
			last = other;
		}
		snprintf(text, sizeof(text), "%u-%u", first, last);
		masks_of(f, text);
		assert_exact(f, text);
		assert_proven_minimal(f, text);
		prefixes = prefix_count(first, last);
		assert_true(f->masks.rule_count <= prefixes);
		beats_prefixes += f->masks.rule_count < prefixes;
	}
	/* Else prefixes would do, and all this were for nothing. */
	assert_true(beats_prefixes > RANDOM_RANGES / 20);
}

/* All ranges of 6-bit numbers, behind ten fixed bits. Of n bits they need at most 2 n - 4 rules (Schieber, Geist and Zaks 2005). */
static void
masks_of_all_short_ranges_are_proven_minimal(void **state)
{
	struct fixture *f = *state;
	uint32_t most = 0;

	for (uint32_t first = 0; first < 64; first++) {
		for (uint32_t last = first; last < 64; last++) {
			char text[16];

			snprintf(text, sizeof(text), "%u-%u", 50048 + first, 50048 + last);
			masks_of(f, text);
			assert_proven_minimal(f, text);
			most = f->masks.rule_count > most ? f->masks.rule_count : most;
		}
	}
	assert_int_equal(most, 2 * 6 - 4);
}

/* Rules that lie inside a set of 4-bit numbers, as sets of these numbers. */
static uint32_t
small_rules(uint32_t set, uint32_t *rule)
{
	uint32_t n = 0;

	for (uint32_t mask = 0; mask < 1U << SMALL_BITS; mask++) {
		for (uint32_t value = 0; value < 1U << SMALL_BITS; value++) {
			uint32_t ports = 0;

			if (value & ~mask)
				continue;
			for (uint32_t p = 0; p < 1U << SMALL_BITS; p++)
				ports |= (uint32_t)((p & mask) == value) << p;
			if ((ports & ~set) == 0)
				rule[n++] = ports;
		}
	}
	return n;
}

/* Whether @p left more rules can match all that is missing: the first missing number needs one of those that match it. */
static bool
small_covers(const uint32_t *rule, uint32_t rules, uint32_t missing, uint32_t left)
{
	const uint32_t first = missing & -missing;

	if (missing == 0)
		return true;
	if (left == 0)
		return false;
	for (uint32_t i = 0; i < rules; i++)
		if ((rule[i] & first) && small_covers(rule, rules, missing & ~rule[i], left - 1))
			return true;
	return false;
}

static void
masks_of_small_sets_equal_a_search_of_all_covers(void **state)
{
	struct fixture *f = *state;
	uint32_t rule[81];

	for (int round = 0; round < 600; round++) {
		const uint32_t base = 16 * (1 + rng_below(f, 4000));
		const uint32_t set = 1 + rng_below(f, (1U << (1U << SMALL_BITS)) - 1);
		const uint32_t rules = small_rules(set, rule);
		char text[128];
		size_t used = 0;

		for (uint32_t p = 0; p < 1U << SMALL_BITS; p++)
			if (set >> p & 1)
				used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%u",
					used > 0 ? "," : "", base + p);
		masks_of(f, text);
		assert_true(f->masks.minimal);
		if (!small_covers(rule, rules, set, f->masks.rule_count) ||
			small_covers(rule, rules, set, f->masks.rule_count - 1))
			fail_msg("%s: %u rules", text, f->masks.rule_count);
	}
}

static void
masks_of_random_sets_are_exact_and_no_more_than_prefixes(void **state)
{
	struct fixture *f = *state;
	uint32_t proven = 0;

	for (int round = 0; round < RANDOM_SETS; round++) {
		char text[12 * 12];
		size_t used = 0;
		uint32_t prefixes = 0;

		for (uint32_t n = 2 + rng_below(f, 6), first = 1; n > 0; n--) {
			const uint32_t last = first + rng_below(f, 3000);

			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%u-%u",
				used > 0 ? "," : "", first, last);
			prefixes += prefix_count(first, last);
			first = last + 2 + rng_below(f, 3000);
		}
		masks_of(f, text);
		assert_exact(f, text);
		assert_true(f->masks.rule_count <= prefixes);
		assert_true(f->masks.witness_count <= f->masks.rule_count);
		for (uint32_t i = 0; i < f->masks.witness_count; i++)
			for (uint32_t j = 0; j < i; j++)
				assert_false(
					share_a_rule(f, f->masks.witness[i], f->masks.witness[j]));
		proven += f->masks.minimal;
	}
	assert_true(proven > RANDOM_SETS / 4);
}

static void
masks_of_a_set_in_very_many_pieces_are_exact_or_refused(void **state)
{
	struct fixture *f = *state;
	static char text[EP_RANGE_PORTS * 6];
	size_t used = 0;
	struct ep_err err = {0};

	/* 150 runs are more than are minimised at once. */
	for (uint32_t i = 0; i < 150; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%u-%u",
			i > 0 ? "," : "", 1000 + 300 * i, 1000 + 300 * i + i % 7);
	masks_of(f, text);
	assert_exact(f, "150 runs");
	assert_false(f->masks.minimal && f->masks.witness_count < f->masks.rule_count);

	used = 0;
	for (uint32_t i = 0; i < 5000; i++)
		used += (size_t)snprintf(
			text + used, sizeof(text) - used, "%s%u", i > 0 ? "," : "", 1 + 13 * i);
	assert_int_equal(ep_range_parse(text, "--ports", &f->range, NULL), 0);
	assert_int_equal(ep_plan_masks_make(&f->range, &f->masks, &err), -E2BIG);
	assert_non_null(strstr(err.text, "5000 ports"));
	assert_non_null(strstr(err.text, "1024"));
}

static void
masks_of_no_ports_are_refused(void **state)
{
	struct fixture *f = *state;
	struct ep_err err = {0};

	f->range.port_count = 0;
	assert_int_equal(ep_plan_masks_make(&f->range, &f->masks, &err), -EINVAL);
	assert_string_not_equal(err.text, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(masks_of_the_default_range_are_these_eleven),
		cmocka_unit_test(masks_of_known_ranges_are_as_few_as_known),
		cmocka_unit_test(masks_of_random_ranges_are_exact_and_proven_minimal),
		cmocka_unit_test(masks_of_all_short_ranges_are_proven_minimal),
		cmocka_unit_test(masks_of_small_sets_equal_a_search_of_all_covers),
		cmocka_unit_test(masks_of_random_sets_are_exact_and_no_more_than_prefixes),
		cmocka_unit_test(masks_of_a_set_in_very_many_pieces_are_exact_or_refused),
		cmocka_unit_test(masks_of_no_ports_are_refused),
	};

	print_message("# EP_TEST_SEED=%ju\n", (uintmax_t)seed_get());
	return cmocka_run_group_tests(tests, fixture_create, fixture_destroy);
}
