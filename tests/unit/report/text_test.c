#include "../result/result_util.h"
#include "report_case.h"

#include <ep_report.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

static void
text_equals_its_golden(void **state)
{
	(void)state;
	for (size_t i = 0; i < report_case_count; i++) {
		struct ep_result *r = report_cases[i].build();
		char *text;

		assert_int_equal(ep_report_text(r, &text), 0);
		report_golden(report_cases[i].name, "txt", text);
		free(text);
		ep_result_destroy(r);
	}
}

/* Columns of a line: code points, not bytes. */
static size_t
line_columns(const char *line, size_t len)
{
	size_t columns = 0;

	for (size_t i = 0; i < len; i++)
		columns += ((unsigned char)line[i] & 0xc0) != 0x80;
	return columns;
}

static void
text_fits_100_columns_and_holds_nothing_a_terminal_acts_on(void **state)
{
	(void)state;
	for (size_t i = 0; i < report_case_count; i++) {
		struct ep_result *r = report_cases[i].build();
		char *text;

		assert_int_equal(ep_report_text(r, &text), 0);
		for (char *line = text, *end; *line != '\0'; line = end + 1) {
			end = strchr(line, '\n');
			assert_non_null(end);
			if (line_columns(line, (size_t)(end - line)) > 100)
				fail_msg("%s: too wide: %.*s", report_cases[i].name,
					(int)(end - line), line);
			assert_true(end == line || end[-1] != ' ');
		}
		for (const char *c = text; *c != '\0'; c++)
			assert_true(*c == '\n' || ((unsigned char)*c >= 0x20 && *c != 0x7f));
		assert_null(strstr(text, "\xc2\x9b"));
		free(text);
		ep_result_destroy(r);
	}
}

static void
text_begins_with_the_verdict_in_capitals(void **state)
{
	static const char *const want[] = {"PASS ", "FAIL ", "INVALID ", "INTERRUPTED "};

	(void)state;
	for (size_t i = 0; i < report_case_count; i++) {
		struct ep_result *r = report_cases[i].build();
		char *text;

		assert_int_equal(ep_report_text(r, &text), 0);
		assert_ptr_equal(strstr(text, want[r->verdict]), text);
		free(text);
		ep_result_destroy(r);
	}
}

/* A model that counted other than we did is said, not hidden. */
static void
text_says_when_the_model_disagrees(void **state)
{
	struct ep_result *r = util_result("50000-50009");
	char *text;

	(void)state;
	util_fill(r, EP_RESULT_UP, 100);
	util_load(r);
	util_judge(r);
	assert_int_equal(ep_result_add_impair(r), 0);
	for (uint32_t i = 0; i < 10; i++)
		r->impair[i].seen[EP_RESULT_UP] = 100;
	r->impair[3].reordered[EP_RESULT_UP] = 1;
	assert_int_equal(ep_report_text(r, &text), 0);
	assert_non_null(strstr(text, "differs from the model on 1 port."));
	free(text);
	ep_result_destroy(r);
}

/* Queue 1 of 2 loses 2 % of what comes to its ports, every second one. */
static void
text_names_a_queue_that_loses(void **state)
{
	struct ep_result *r = util_result("50000-50999");
	struct ep_result_trial *t;
	uint8_t queue[1000];
	char *text;

	(void)state;
	util_fill(r, EP_RESULT_UP, 1000);
	for (uint32_t i = 0; i < 1000; i++) {
		queue[i] = (uint8_t)(i % 2);
		if (queue[i] == 1)
			util_lose(
				r, EP_RESULT_UP, (uint16_t)(50000 + i), (uint16_t)(50000 + i), 20);
	}
	assert_int_equal(ep_result_add_port_queues(r, EP_RESULT_UP, queue), 0);
	t = util_load(r);
	t->queues[EP_RESULT_UP] =
		(struct ep_result_queues){.count = 2, .received = {500000, 490000}};
	util_judge(r);
	assert_int_equal(ep_report_text(r, &text), 0);
	assert_non_null(strstr(text, "invalid: up: loss follows our receive queue"));
	assert_non_null(strstr(text, "50.5 %, 49.5 %; the fullest has 1.01 times the mean"));
	assert_non_null(strstr(text, "A receive queue that loses: lower --rate"));
	assert_non_null(strstr(text, "not judged"));
	free(text);
	assert_int_equal(ep_report_json(r, &text), 0);
	assert_non_null(strstr(text,
		"\"suspect\": {\"queue\": 1, \"loss_ratio\": 0.02, "
		"\"rest_loss_ratio\": 0.0}"));
	free(text);
	ep_result_destroy(r);
}

static void
every_rendering_of_10001_ports_is_quick(void **state)
{
	struct ep_result *r = util_result("50000-60000");
	int (*const render[])(const struct ep_result *r, char **text) = {
		ep_report_text, ep_report_json, ep_report_csv};
	clock_t start;

	(void)state;
	util_fill(r, EP_RESULT_UP, 1000000);
	util_fill(r, EP_RESULT_DOWN, 1000000);
	assert_int_equal(ep_result_add_impair(r), 0);
	util_load(r);
	util_judge(r);
	start = clock();
	for (size_t i = 0; i < EP_ARRAY_LEN(render); i++) {
		char *text;

		assert_int_equal(render[i](r, &text), 0);
		free(text);
	}
	print_message("# text, JSON and CSV of 10,001 ports: %ld ms\n",
		(long)((clock() - start) * 1000 / CLOCKS_PER_SEC));
	assert_true(clock() - start < 3 * CLOCKS_PER_SEC);
	ep_result_destroy(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_equals_its_golden),
		cmocka_unit_test(text_fits_100_columns_and_holds_nothing_a_terminal_acts_on),
		cmocka_unit_test(text_begins_with_the_verdict_in_capitals),
		cmocka_unit_test(text_says_when_the_model_disagrees),
		cmocka_unit_test(text_names_a_queue_that_loses),
		cmocka_unit_test(every_rendering_of_10001_ports_is_quick),
	};

	return cmocka_run_group_tests_name("report_text", tests, NULL, NULL);
}
