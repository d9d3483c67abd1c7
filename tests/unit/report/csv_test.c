#include "../result/result_util.h"
#include "report_case.h"

#include <ep_report.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CSV_HEADER "port,direction,sent,received,lost,duplicates,reordered,late,verdict\r\n"
#define CSV_ROUNDS 5

static void
csv_equals_its_golden(void **state)
{
	(void)state;
	for (size_t i = 0; i < report_case_count; i++) {
		struct ep_result *r = report_cases[i].build();
		char *text;

		assert_int_equal(ep_report_csv(r, &text), 0);
		if (!report_cases[i].every_port)
			report_golden(report_cases[i].name, "csv", text);
		free(text);
		ep_result_destroy(r);
	}
}

static void
csv_reads_back_as_the_same_numbers(void **state)
{
	uint64_t seed = util_seed();

	(void)state;
	for (int round = 0; round < CSV_ROUNDS; round++) {
		struct ep_result *r = util_random_result(&seed);
		char *text, *line;

		assert_int_equal(ep_report_csv(r, &text), 0);
		assert_int_equal(strncmp(text, CSV_HEADER, strlen(CSV_HEADER)), 0);
		line = text + strlen(CSV_HEADER);
		for (uint32_t row = 0; row < 2 * r->range->port_count; row++) {
			const int d = row % 2;
			const struct ep_result_port_dir *p = &r->port[row / 2].dir[d];
			char direction[8], verdict[8];
			struct ep_result_port_dir got = {0};
			unsigned int port;

			assert_int_equal(
				sscanf(line,
					"%u,%7[a-z],%" SCNu64 ",%" SCNu64 ",%" SCNu64 ",%" SCNu64
					",%" SCNu64 ",%" SCNu64 ",%7[a-z]\r\n",
					&port, direction, &got.sent, &got.received, &got.lost,
					&got.duplicates, &got.reordered, &got.late, verdict),
				9);
			assert_int_equal(port, r->range->port[row / 2]);
			assert_string_equal(direction, d == 0 ? "up" : "down");
			assert_int_equal(got.sent, p->sent);
			assert_int_equal(got.received, p->received);
			assert_int_equal(got.lost, p->lost);
			assert_int_equal(got.duplicates, p->duplicates);
			assert_int_equal(got.reordered, p->reordered);
			assert_int_equal(got.late, p->late);
			assert_string_equal(verdict, ep_result_port_verdict_name(p->verdict));
			line = strstr(line, "\r\n") + 2;
		}
		assert_string_equal(line, "");
		free(text);
		ep_result_destroy(r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(csv_equals_its_golden),
		cmocka_unit_test(csv_reads_back_as_the_same_numbers),
	};

	return cmocka_run_group_tests_name("report_csv", tests, NULL, NULL);
}
