#include <ep_base.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
sizes_parse_keeps_the_order_written(void **state)
{
	static const struct {
		const char *text;
		struct ep_sizes want;
	} row[] = {
		{"64", {1, {64}}},
		{"64B", {1, {64}}},
		{"64,200,1256", {3, {64, 200, 1256}}},
		{"9018B,64", {2, {9018, 64}}},
		{"64,64", {2, {64, 64}}},
		{"64,64,64,64,64,64,64,64,64,64,64,64,64,64,64,65",
			{16, {64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 65}}},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		struct ep_sizes sizes;

		assert_int_equal(ep_sizes_parse(row[i].text, "--size", &sizes, NULL), 0);
		assert_memory_equal(&sizes, &row[i].want, sizeof(sizes));
	}
}

static void
sizes_parse_refuses_with_a_sentence(void **state)
{
	static const struct {
		const char *text;
		int want;
	} row[] = {
		{"", -EINVAL},
		{",", -EINVAL},
		{"64,", -EINVAL},
		{",64", -EINVAL},
		{"64,,64", -EINVAL},
		{"64 ,64", -EINVAL},
		{"64b", -EINVAL},
		{"64BB", -EINVAL},
		{"B", -EINVAL},
		{"-64", -EINVAL},
		{"64.5", -EINVAL},
		{"IMIX", -EINVAL},
		{"imix,64", -EINVAL},
		{"0", -ERANGE},
		{"10", -ERANGE},
		{"63", -ERANGE},
		{"9019", -ERANGE},
		{"4294967360", -ERANGE}, /* 2^32 + 64 */
		{"99999999999999999999", -ERANGE},
		{"64,64,64,64,64,64,64,64,64,64,64,64,64,64,64,64,64", -E2BIG},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		struct ep_sizes sizes = {.count = 99};
		struct ep_err err = {0};

		assert_int_equal(ep_sizes_parse(row[i].text, "--size", &sizes, &err), row[i].want);
		assert_int_equal(err.code, row[i].want);
		assert_non_null(strstr(err.text, "--size"));
		assert_non_null(strstr(err.text, "allowed"));
		assert_int_equal(sizes.count, 99);
	}
}

static void
sizes_error_names_the_bad_entry_alone(void **state)
{
	struct ep_sizes sizes;
	struct ep_err err;

	(void)state;
	ep_sizes_parse("64,10,200", "--size", &sizes, &err);
	assert_non_null(strstr(err.text, "'10'"));
}

/* The usual mix has 7 small, 4 medium and 1 large frame of 12. */
static void
sizes_imix_is_seven_to_four_to_one(void **state)
{
	struct ep_sizes sizes;
	uint32_t small = 0, medium = 0, large = 0;

	(void)state;
	assert_int_equal(ep_sizes_parse("imix", "--size", &sizes, NULL), 0);
	assert_int_equal(sizes.count, 12);
	for (uint32_t i = 0; i < sizes.count; i++) {
		small += sizes.frame_bytes[i] == 64;
		medium += sizes.frame_bytes[i] == 570;
		large += sizes.frame_bytes[i] == 1518;
	}
	assert_int_equal(small, 7);
	assert_int_equal(medium, 4);
	assert_int_equal(large, 1);
	assert_true(ep_sizes_mean(&sizes) == (7 * 64 + 4 * 570 + 1518) / 12.0);
}

/* Spread evenly: in no cyclic run of n entries are the medium ones more than one off their share n / 3. */
static void
sizes_imix_is_spread_evenly(void **state)
{
	struct ep_sizes sizes;

	(void)state;
	ep_sizes_parse("imix", "--size", &sizes, NULL);
	for (uint32_t start = 0; start < sizes.count; start++) {
		uint32_t medium = 0;

		for (uint32_t n = 1; n <= sizes.count; n++) {
			medium += sizes.frame_bytes[(start + n - 1) % sizes.count] == 570;
			assert_in_range(3 * medium + 3, n, n + 6);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_parse_keeps_the_order_written),
		cmocka_unit_test(sizes_parse_refuses_with_a_sentence),
		cmocka_unit_test(sizes_error_names_the_bad_entry_alone),
		cmocka_unit_test(sizes_imix_is_seven_to_four_to_one),
		cmocka_unit_test(sizes_imix_is_spread_evenly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
