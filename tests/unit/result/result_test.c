#include "result_util.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
result_lists_keep_every_entry_in_order(void **state)
{
	struct ep_result *r = util_result("443");

	(void)state;
	for (uint32_t i = 0; i < 1000; i++) {
		struct ep_result_trial trial = {.duration_ns = i};
		struct ep_result_interval interval = {.start_ns = i};
		struct ep_result_tcp tcp = {.port = (uint16_t)i};
		struct ep_result_latency_block block = {.first_port = (uint16_t)i};

		assert_int_equal(ep_result_add_trial(r, &trial), 0);
		assert_int_equal(ep_result_add_interval(r, &interval), 0);
		assert_int_equal(ep_result_add_tcp(r, &tcp), 0);
		assert_int_equal(ep_result_add_block(r, &block), 0);
		assert_int_equal(ep_result_reason(r, "reason %u", i), 0);
		assert_int_equal(ep_result_warn(r, "warning %u", i), 0);
		assert_int_equal(ep_result_config_number(r, "key", i), 0);
		assert_int_equal(ep_result_host_number(r, "key", i), 0);
	}
	for (uint32_t i = 0; i < 1000; i++) {
		char text[32];

		assert_int_equal(r->trial[i].duration_ns, i);
		assert_int_equal(r->interval[i].start_ns, i);
		assert_int_equal(r->tcp[i].port, i);
		assert_int_equal(r->block[i].first_port, i);
		snprintf(text, sizeof(text), "reason %u", i);
		assert_string_equal(r->reason[i], text);
		snprintf(text, sizeof(text), "warning %u", i);
		assert_string_equal(r->warning[i], text);
		snprintf(text, sizeof(text), "%u", i);
		assert_string_equal(r->config[i].value, text);
		assert_string_equal(r->host[i].value, text);
	}
	ep_result_destroy(r);
}

static void
result_keeps_its_own_copy_of_the_range(void **state)
{
	struct ep_range *range = malloc(sizeof(*range));
	struct ep_result *r;

	(void)state;
	assert_int_equal(ep_range_parse("50000-50009,443", "--ports", range, NULL), 0);
	assert_int_equal(ep_result_create(range, &r), 0);
	memset(range, 0xff, sizeof(*range));
	free(range);
	assert_int_equal(r->range->port_count, 11);
	assert_int_equal(r->range->port[0], 443);
	assert_null(r->impair);
	assert_int_equal(ep_result_add_impair(r), 0);
	assert_int_equal(r->impair[10].seen[EP_RESULT_DOWN], 0);
	ep_result_destroy(r);
	ep_result_destroy(NULL);
}

static void
result_numbers_read_back_as_the_same_number(void **state)
{
	static const double value[] = {
		0, 0.1, 0.001, 1e-9, 1.0 / 3, 1e22, 123456789.123456789, 4294967296, -2.5};
	struct ep_result *r = util_result("443");

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(value); i++) {
		assert_int_equal(ep_result_config_number(r, "key", value[i]), 0);
		assert_true(r->config[i].is_number);
		assert_true(strtod(r->config[i].value, NULL) == value[i]);
	}
	assert_string_equal(r->config[1].value, "0.1");
	ep_result_destroy(r);
}

static void
result_texts_that_are_too_long_are_cut(void **state)
{
	struct ep_result *r = util_result("443");
	char text[2000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(ep_result_host_text(r, text, text), 0);
	assert_int_equal(strlen(r->host[0].key), sizeof(r->host[0].key) - 1);
	assert_int_equal(strlen(r->host[0].value), sizeof(r->host[0].value) - 1);
	assert_false(r->host[0].is_number);
	assert_int_equal(ep_result_reason(r, "%s", text), 0);
	assert_int_equal(strlen(r->reason[0]), sizeof(r->reason[0]) - 1);
	ep_result_destroy(r);
}

static void
result_latency_of_a_histogram_has_its_bounds(void **state)
{
	struct ep_hist *hist = calloc(1, sizeof(*hist));
	struct ep_result_latency l = ep_result_latency_of(hist);

	(void)state;
	assert_int_equal(l.count, 0);
	assert_false(l.has_jitter);
	for (uint32_t i = 1; i <= 1000; i++)
		ep_hist_push(hist, i * 1000);
	l = ep_result_latency_of(hist);
	assert_int_equal(l.count, 1000);
	assert_int_equal(l.min_ns, 1000);
	assert_int_equal(l.max_ns, 1000000);
	assert_in_range(l.p50_ns, 500000, 516000);
	assert_in_range(l.p90_ns, 900000, 929000);
	assert_in_range(l.p99_ns, 990000, 1000000);
	assert_in_range(l.p999_ns, 999000, 1000000);
	free(hist);
}

static void
result_names_and_exit_codes_are_those_of_the_design(void **state)
{
	(void)state;
	assert_string_equal(ep_result_verdict_name(EP_RESULT_PASS), "pass");
	assert_string_equal(ep_result_verdict_name(EP_RESULT_FAIL), "fail");
	assert_string_equal(ep_result_verdict_name(EP_RESULT_INVALID), "invalid");
	assert_string_equal(ep_result_verdict_name(EP_RESULT_INTERRUPTED), "interrupted");
	assert_int_equal(ep_result_exit_code(EP_RESULT_PASS), 0);
	assert_int_equal(ep_result_exit_code(EP_RESULT_FAIL), 1);
	assert_int_equal(ep_result_exit_code(EP_RESULT_INVALID), 5);
	assert_int_equal(ep_result_exit_code(EP_RESULT_INTERRUPTED), 6);
	assert_string_equal(ep_result_dir_name(EP_RESULT_UP), "up");
	assert_string_equal(ep_result_dir_name(EP_RESULT_DOWN), "down");
	assert_string_equal(ep_result_port_verdict_name(EP_RESULT_PORT_OK), "ok");
	assert_string_equal(ep_result_port_verdict_name(EP_RESULT_PORT_LOSSY), "lossy");
	assert_string_equal(ep_result_port_verdict_name(EP_RESULT_PORT_DEAD), "dead");
}

static void
count_has_a_comma_every_three_digits(void **state)
{
	static const struct {
		uint64_t count;
		const char *text;
	} step[] = {
		{0, "0"},
		{999, "999"},
		{1000, "1,000"},
		{1030103, "1,030,103"},
		{UINT64_MAX, "18,446,744,073,709,551,615"},
	};
	char buf[27];

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(step); i++)
		assert_string_equal(
			ep_result_count_format(buf, sizeof(buf), step[i].count), step[i].text);
}

static void
percent_is_never_in_scientific_notation(void **state)
{
	static const struct {
		double ratio;
		int digits;
		const char *text;
	} step[] = {
		{0, 3, "0 %"},
		{1, 3, "100 %"},
		{0.001, 3, "0.1 %"},
		{0.0102, 3, "1.02 %"},
		{0.010249, 3, "1.02 %"},
		{0.5, 3, "50 %"},
		{0.123456, 3, "12.3 %"},
		{0.123456, 5, "12.346 %"},
		{1e-8, 3, "0.000001 %"},
		{0.0010004, 3, "0.1 %"},
		{0.0010004, 4, "0.1 %"},
		{0.0010004, 5, "0.10004 %"},
	};
	char buf[64];

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(step); i++)
		assert_string_equal(
			ep_result_percent_format(buf, sizeof(buf), step[i].ratio, step[i].digits),
			step[i].text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(result_lists_keep_every_entry_in_order),
		cmocka_unit_test(result_keeps_its_own_copy_of_the_range),
		cmocka_unit_test(result_numbers_read_back_as_the_same_number),
		cmocka_unit_test(result_texts_that_are_too_long_are_cut),
		cmocka_unit_test(result_latency_of_a_histogram_has_its_bounds),
		cmocka_unit_test(result_names_and_exit_codes_are_those_of_the_design),
		cmocka_unit_test(count_has_a_comma_every_three_digits),
		cmocka_unit_test(percent_is_never_in_scientific_notation),
	};

	return cmocka_run_group_tests_name("result", tests, NULL, NULL);
}
