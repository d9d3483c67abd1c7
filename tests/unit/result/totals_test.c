#include "result_util.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOTALS_ROUNDS 20

static void
totals_equal_the_sums_over_the_ports(void **state)
{
	uint64_t seed = util_seed();

	(void)state;
	for (int round = 0; round < TOTALS_ROUNDS; round++) {
		struct ep_result *r = util_random_result(&seed);

		for (int d = 0; d < EP_RESULT_DIRS; d++) {
			struct ep_result_totals t;
			uint64_t sent = 0, received = 0, lost = 0, dead_sent = 0, dead_lost = 0;
			uint32_t count[3] = {0};

			ep_result_totals(r, (enum ep_result_dir)d, &t);
			for (uint32_t i = 0; i < r->range->port_count; i++) {
				const struct ep_result_port_dir *p = &r->port[i].dir[d];

				sent += p->sent;
				received += p->received;
				lost += p->lost;
				count[p->verdict]++;
				if (p->verdict == EP_RESULT_PORT_DEAD) {
					dead_sent += p->sent;
					dead_lost += p->lost;
				}
			}
			assert_int_equal(t.sent, sent);
			assert_int_equal(t.received, received);
			assert_int_equal(t.lost, lost);
			assert_int_equal(t.sent + t.duplicates, t.received + t.lost);
			assert_int_equal(t.live_sent, sent - dead_sent);
			assert_int_equal(t.live_lost, lost - dead_lost);
			assert_int_equal(t.dead_count, count[EP_RESULT_PORT_DEAD]);
			assert_int_equal(t.lossy_count, count[EP_RESULT_PORT_LOSSY]);
			assert_true(t.loss_ratio == (double)lost / (double)sent);
			/* The trials say the same as the ports. */
			assert_int_equal(t.sent, r->ledger[d].accepted);
			assert_int_equal(t.reordered, r->ledger[d].reordered);
			assert_int_equal(t.late, r->ledger[d].late);
			assert_int_equal(t.wrong_port, r->ledger[d].wrong_port);
		}
		ep_result_destroy(r);
	}
}

static void
totals_rates_are_of_the_load_alone_and_at_layer_1(void **state)
{
	struct ep_result *r = util_result("50000-50009");
	struct ep_result_totals t;

	(void)state;
	util_fill(r, EP_RESULT_UP, 103);
	util_trials(r);
	r->trial[1].duration_ns = 2 * EP_NS_PER_S;
	snprintf(r->trial[1].direction, sizeof(r->trial[1].direction), "up");
	util_judge(r);
	ep_result_totals(r, EP_RESULT_UP, &t);
	assert_true(t.has_rate);
	assert_true(fabs(t.pps - 1000 / 2.0) < 1e-9);
	assert_true(fabs(t.bps - 1000 * (64 + 20) * 8 / 2.0) < 1e-6);
	ep_result_totals(r, EP_RESULT_DOWN, &t);
	assert_false(t.has_rate);
	ep_result_destroy(r);
}

static void
totals_know_the_weakest_tested_port(void **state)
{
	struct ep_result *r = util_result("50000-50009");
	struct ep_result_totals t;

	(void)state;
	util_fill(r, EP_RESULT_UP, 100);
	*util_port(r, 50003, EP_RESULT_UP) =
		(struct ep_result_port_dir){.sent = 40, .received = 40};
	*util_port(r, 50004, EP_RESULT_UP) = (struct ep_result_port_dir){0};
	util_load(r);
	util_judge(r);
	ep_result_totals(r, EP_RESULT_UP, &t);
	assert_int_equal(t.tested_count, 9);
	assert_int_equal(t.min_sent, 40);
	/* (1 - p)^40 = 0.05 / 10 */
	assert_true(fabs(t.ruled_out_ratio - (1 - pow(0.005, 1.0 / 40))) < 1e-9);
	ep_result_totals(r, EP_RESULT_DOWN, &t);
	assert_int_equal(t.tested_count, 0);
	assert_int_equal(t.min_sent, 0);
	ep_result_destroy(r);
}

static void
ports_text_names_ranges_and_single_ports(void **state)
{
	struct ep_result *r = util_result("50000-50999,55555");
	char text[64];

	(void)state;
	util_fill(r, EP_RESULT_UP, 100);
	util_fill(r, EP_RESULT_DOWN, 100);
	util_kill(r, EP_RESULT_UP, 50100, 50110);
	util_kill(r, EP_RESULT_UP, 55555, 55555);
	util_lose(r, EP_RESULT_DOWN, 50200, 50201, 50);
	util_load(r);
	util_judge(r);
	assert_int_equal(
		ep_result_ports_text(r, EP_RESULT_UP, EP_RESULT_PORT_DEAD, text, sizeof(text)), 17);
	assert_string_equal(text, "50100-50110,55555");
	ep_result_ports_text(r, EP_RESULT_UP, EP_RESULT_PORT_LOSSY, text, sizeof(text));
	assert_string_equal(text, "");
	ep_result_ports_text(r, EP_RESULT_DOWN, EP_RESULT_PORT_DEAD, text, sizeof(text));
	assert_string_equal(text, "");
	ep_result_ports_text(r, EP_RESULT_DOWN, EP_RESULT_PORT_LOSSY, text, sizeof(text));
	assert_string_equal(text, "50200-50201");
	ep_result_destroy(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(totals_equal_the_sums_over_the_ports),
		cmocka_unit_test(totals_rates_are_of_the_load_alone_and_at_layer_1),
		cmocka_unit_test(totals_know_the_weakest_tested_port),
		cmocka_unit_test(ports_text_names_ranges_and_single_ports),
	};

	return cmocka_run_group_tests_name("totals", tests, NULL, NULL);
}
