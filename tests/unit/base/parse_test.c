#include <ep_base.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define UNTOUCHED 12345

/* A failure names the option and the value and says what is allowed. */
static void
assert_sentence(const struct ep_err *err, int code, const char *value)
{
	assert_int_equal(err->code, code);
	assert_non_null(strstr(err->text, "--opt"));
	assert_non_null(strstr(err->text, value));
	assert_non_null(strstr(err->text, "allowed"));
	assert_true(strlen(err->text) < sizeof(err->text) - 1);
}

static void
parse_duration_reads_every_unit_exactly(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} row[] = {
		{"1ns", 1},
		{"900ns", 900},
		{"250us", 250000},
		{"1500ms", 1500 * EP_NS_PER_MS},
		{"10s", 10 * EP_NS_PER_S},
		{"1.5s", 1500 * EP_NS_PER_MS},
		{"0.000000001s", 1},
		{"1.9999999999999999999999999s", 1999999999},
		{"2min", 120 * EP_NS_PER_S},
		{"1h", 3600 * EP_NS_PER_S},
		{"8784h", UINT64_C(8784) * 3600 * EP_NS_PER_S},
		{"0000000000000000000000000010s", 10 * EP_NS_PER_S},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		uint64_t ns = 0;

		assert_int_equal(ep_duration_parse(row[i].text, "--opt", &ns, NULL), 0);
		assert_int_equal(ns, row[i].ns);
	}
}

static void
parse_duration_refuses_with_a_sentence(void **state)
{
	static const struct {
		const char *text;
		int want;
	} row[] = {
		{"", -EINVAL},
		{"10", -EINVAL},
		{"s", -EINVAL},
		{"-1s", -EINVAL},
		{"+1s", -EINVAL},
		{" 1s", -EINVAL},
		{"1 s", -EINVAL},
		{"1s ", -EINVAL},
		{"1S", -EINVAL},
		{"1m", -EINVAL},
		{"1.s", -EINVAL},
		{".5s", -EINVAL},
		{"1.5.5s", -EINVAL},
		{"1e3s", -EINVAL},
		{"0x1s", -EINVAL},
		{"infs", -EINVAL},
		{"nans", -EINVAL},
		{"0s", -EINVAL},
		{"0.0000000001s", -EINVAL},
		{"8784.1h", -ERANGE},
		{"99999999999999999999999999s", -ERANGE},
		{"99999999999999999999999999ns", -ERANGE},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		uint64_t ns = UNTOUCHED;
		struct ep_err err = {0};

		assert_int_equal(ep_duration_parse(row[i].text, "--opt", &ns, &err), row[i].want);
		assert_sentence(&err, row[i].want, row[i].text);
		assert_int_equal(ns, UNTOUCHED);
	}
}

static void
parse_rate_reads_every_unit(void **state)
{
	static const struct {
		const char *text;
		enum ep_rate_kind kind;
		double value;
	} row[] = {
		{"50pps", EP_RATE_PPS, 50},
		{"100kpps", EP_RATE_PPS, 100e3},
		{"1.5Mpps", EP_RATE_PPS, 1.5e6},
		{"1.5mpps", EP_RATE_PPS, 1.5e6},
		{"10Gpps", EP_RATE_PPS, 10e9},
		{"8bps", EP_RATE_BPS, 8},
		{"64kbps", EP_RATE_BPS, 64e3},
		{"64Kbps", EP_RATE_BPS, 64e3},
		{"100Mbps", EP_RATE_BPS, 100e6},
		{"2.5Gbps", EP_RATE_BPS, 2.5e9},
		{"10Tbps", EP_RATE_BPS, 10e12},
		{"50%", EP_RATE_RATIO, 0.5},
		{"100%", EP_RATE_RATIO, 1},
		{"0.1%", EP_RATE_RATIO, 0.1 / 100},
		{"max", EP_RATE_MAX, 0},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		struct ep_rate rate = {0};

		assert_int_equal(ep_rate_parse(row[i].text, "--opt", &rate, NULL), 0);
		assert_int_equal(rate.kind, row[i].kind);
		assert_true(rate.value == row[i].value);
	}
}

static void
parse_rate_refuses_with_a_sentence(void **state)
{
	static const struct {
		const char *text;
		int want;
	} row[] = {
		{"", -EINVAL},
		{"5", -EINVAL},
		{"1.5", -EINVAL},
		{"pps", -EINVAL},
		{"5 pps", -EINVAL},
		{"5ppss", -EINVAL},
		{"5Mbit", -EINVAL},
		{"-5pps", -EINVAL},
		{"0pps", -EINVAL},
		{"0.0Gbps", -EINVAL},
		{"0%", -EINVAL},
		{"100.1%", -EINVAL},
		{"maximum", -EINVAL},
		{"MAX", -EINVAL},
		{"10.1Gpps", -ERANGE},
		{"10.1Tbps", -ERANGE},
		{"99999999999999999999999pps", -ERANGE},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		struct ep_rate rate = {.value = UNTOUCHED};
		struct ep_err err = {0};

		assert_int_equal(ep_rate_parse(row[i].text, "--opt", &rate, &err), row[i].want);
		assert_sentence(&err, row[i].want, row[i].text);
		assert_true(rate.value == UNTOUCHED);
	}
}

/* 10 GbE carries 14,880,952 frames of 64 B a second (RFC 2544). */
static void
parse_rate_pps_counts_the_whole_frame_on_the_wire(void **state)
{
	static const struct {
		struct ep_rate rate;
		double frame_bytes;
		double link_bps;
		double want_pps;
	} row[] = {
		{{EP_RATE_PPS, 1e6}, 64, 0, 1e6},
		{{EP_RATE_BPS, 10e9}, 64, 0, 10e9 / 672},
		{{EP_RATE_BPS, 10e9}, 1518, 0, 10e9 / 12304},
		{{EP_RATE_RATIO, 0.5}, 64, 10e9, 5e9 / 672},
		{{EP_RATE_RATIO, 0.5}, 64, 0, 0},
		{{EP_RATE_MAX, 0}, 64, 10e9, 0},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++)
		assert_true(ep_rate_pps(&row[i].rate, row[i].frame_bytes, row[i].link_bps) ==
			row[i].want_pps);
}

static void
parse_ratio_reads_per_cent_and_plain_numbers(void **state)
{
	static const struct {
		const char *text;
		double want;
	} row[] = {
		{"0", 0},
		{"0%", 0},
		{"0.1%", 0.1 / 100},
		{"0.001", 0.001},
		{"1", 1},
		{"100%", 1},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		double ratio = 2;

		assert_int_equal(ep_ratio_parse(row[i].text, "--opt", &ratio, NULL), 0);
		assert_true(ratio == row[i].want);
	}
}

static void
parse_ratio_refuses_with_a_sentence(void **state)
{
	static const struct {
		const char *text;
		int want;
	} row[] = {
		{"", -EINVAL},
		{"-", -EINVAL},
		{"%", -EINVAL},
		{"x", -EINVAL},
		{"0.1%%", -EINVAL},
		{"0.1 %", -EINVAL},
		{"0.1x", -EINVAL},
		{"1.1", -ERANGE},
		{"101%", -ERANGE},
		{"-0.1", -ERANGE},
		{"999999999999999999999999", -ERANGE},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		double ratio = UNTOUCHED;
		struct ep_err err = {0};

		assert_int_equal(ep_ratio_parse(row[i].text, "--opt", &ratio, &err), row[i].want);
		assert_sentence(&err, row[i].want, row[i].text);
		assert_true(ratio == UNTOUCHED);
	}
}

static void
parse_count_takes_whole_numbers_in_its_bounds_only(void **state)
{
	static const struct {
		const char *text;
		uint64_t min, max;
		int want;
		uint64_t count;
	} row[] = {
		{"3", 1, 10, 0, 3},
		{"1", 1, 10, 0, 1},
		{"10", 1, 10, 0, 10},
		{"007", 1, 10, 0, 7},
		{"0", 0, UINT64_MAX, 0, 0},
		{"18446744073709551615", 0, UINT64_MAX, 0, UINT64_MAX},
		{"18446744073709551616", 0, UINT64_MAX, -ERANGE, UNTOUCHED},
		{"184467440737095516160", 0, UINT64_MAX, -ERANGE, UNTOUCHED},
		{"99999999999999999999999999", 0, UINT64_MAX, -ERANGE, UNTOUCHED},
		{"0", 1, 10, -ERANGE, UNTOUCHED},
		{"11", 1, 10, -ERANGE, UNTOUCHED},
		{"", 1, 10, -EINVAL, UNTOUCHED},
		{"-3", 1, 10, -EINVAL, UNTOUCHED},
		{"+3", 1, 10, -EINVAL, UNTOUCHED},
		{" 3", 1, 10, -EINVAL, UNTOUCHED},
		{"3 ", 1, 10, -EINVAL, UNTOUCHED},
		{"3.0", 1, 10, -EINVAL, UNTOUCHED},
		{"0x3", 1, 10, -EINVAL, UNTOUCHED},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		uint64_t count = UNTOUCHED;
		struct ep_err err = {0};

		assert_int_equal(
			ep_count_parse(row[i].text, "--opt", row[i].min, row[i].max, &count, &err),
			row[i].want);
		assert_int_equal(count, row[i].count);
		if (row[i].want < 0)
			assert_sentence(&err, row[i].want, row[i].text);
	}
}

static void
parse_accepts_no_error_to_fill(void **state)
{
	uint64_t ns;
	double ratio;
	struct ep_rate rate;

	(void)state;
	assert_int_equal(ep_duration_parse("x", "--opt", &ns, NULL), -EINVAL);
	assert_int_equal(ep_ratio_parse("x", "--opt", &ratio, NULL), -EINVAL);
	assert_int_equal(ep_rate_parse("x", "--opt", &rate, NULL), -EINVAL);
	assert_int_equal(ep_count_parse("x", "--opt", 0, 1, &ns, NULL), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse_duration_reads_every_unit_exactly),
		cmocka_unit_test(parse_duration_refuses_with_a_sentence),
		cmocka_unit_test(parse_rate_reads_every_unit),
		cmocka_unit_test(parse_rate_refuses_with_a_sentence),
		cmocka_unit_test(parse_rate_pps_counts_the_whole_frame_on_the_wire),
		cmocka_unit_test(parse_ratio_reads_per_cent_and_plain_numbers),
		cmocka_unit_test(parse_ratio_refuses_with_a_sentence),
		cmocka_unit_test(parse_count_takes_whole_numbers_in_its_bounds_only),
		cmocka_unit_test(parse_accepts_no_error_to_fill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
