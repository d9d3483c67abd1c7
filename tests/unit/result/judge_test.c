#include "result_util.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define PORTS "50000-50999"
#define SENT 500

/* Nothing lost, nothing wrong. */
static void
all_arrive(struct ep_result *r)
{
	util_load(r);
}

static void
a_little_loss(struct ep_result *r)
{
	util_lose(r, EP_RESULT_UP, 50000, 50099, 1); /* 100 of 500,000: 0.02 % */
	util_load(r);
}

static void
loss_at_the_goal(struct ep_result *r)
{
	util_lose(r, EP_RESULT_UP, 50000, 50499, 1); /* 500 of 500,000: 0.1 % */
	util_load(r);
}

static void
loss_above_the_goal(struct ep_result *r)
{
	util_lose(r, EP_RESULT_UP, 50000, 50499, 1);
	util_lose(r, EP_RESULT_UP, 50500, 50500, 1); /* 501 of 500,000 */
	util_load(r);
}

static void
dead_up(struct ep_result *r)
{
	util_kill(r, EP_RESULT_UP, 50100, 50110);
	util_load(r);
}

static void
one_dead_down(struct ep_result *r)
{
	util_kill(r, EP_RESULT_DOWN, 50555, 50555);
	util_load(r);
}

static void
all_dead_up(struct ep_result *r)
{
	util_kill(r, EP_RESULT_UP, 50000, 50999);
	util_load(r);
}

/* 20 of 500 on one port: 0.004 % in all, but no chance for that at 0.1 %. */
static void
one_lossy(struct ep_result *r)
{
	util_lose(r, EP_RESULT_DOWN, 50700, 50700, 20);
	util_load(r);
}

/* 4 of 500 is 0.8 % on one port: among 1,000 ports that happens by chance (p = 0.0018 each). */
static void
one_unlucky(struct ep_result *r)
{
	util_lose(r, EP_RESULT_DOWN, 50700, 50700, 4);
	util_load(r);
}

static void
tcp_shut(struct ep_result *r)
{
	util_load(r);
	util_tcp(r, 80, "before", "open", "");
	util_tcp(r, 7881, "before", "filtered", "no answer within 3 s");
	util_tcp(r, 7881, "during", "filtered", "no answer within 3 s");
	util_tcp(r, 7881, "after", "filtered", "no answer within 3 s");
}

static void
tcp_shut_under_load(struct ep_result *r)
{
	util_load(r);
	util_tcp(r, 443, "before", "open", "");
	util_tcp(r, 443, "during", "refused", "");
	util_tcp(r, 443, "after", "open", "");
}

static void
tcp_shut_but_not_required(struct ep_result *r)
{
	util_load(r);
	util_tcp(r, 443, "before", "refused", "");
	r->tcp[0].required = false;
}

/* What this host's own sockets failed says nothing of the path. */
static void
tcp_failed_by_us(struct ep_result *r)
{
	util_load(r);
	util_tcp(r, 443, "before", "open", "");
	util_tcp(r, 443, "during", "busy", "this host has no free local port");
	util_tcp(r, 443, "after", "busy", "this host has no free local port");
}

static void
tcp_failed_by_us_and_shut(struct ep_result *r)
{
	util_load(r);
	util_tcp(r, 80, "before", "refused", "");
	util_tcp(r, 443, "before", "error", "this host's own socket failed");
}

/* The ring drops `count` of the probes: they are lost in the account. */
static void
drop_in_ring(struct ep_result *r, enum ep_result_dir dir, uint64_t count)
{
	struct ep_result_trial *t;

	for (uint64_t i = 0; i < count; i++)
		util_lose(r, dir, (uint16_t)(50000 + i % 1000), (uint16_t)(50000 + i % 1000), 1);
	t = util_load(r);
	t->ledger[dir].imissed = count;
	t->ledger[dir].nic_rx += count;
}

static void
ring_drops_allowed(struct ep_result *r)
{
	drop_in_ring(r, EP_RESULT_DOWN, 50);
}

static void
ring_drops_one_too_many(struct ep_result *r)
{
	drop_in_ring(r, EP_RESULT_DOWN, 51);
}

static void
ring_drops_many(struct ep_result *r)
{
	drop_in_ring(r, EP_RESULT_DOWN, 1234);
}

static void
not_sent(struct ep_result *r)
{
	struct ep_result_ledger *l = &util_load(r)->ledger[EP_RESULT_UP];

	l->not_sent = 60;
	l->intended += 60;
}

static void
not_sent_by_the_far_side(struct ep_result *r)
{
	struct ep_result_ledger *l = &util_load(r)->ledger[EP_RESULT_DOWN];

	snprintf(r->command, sizeof(r->command), "run");
	l->not_sent = 60;
	l->intended += 60;
}

static void
several_shortfalls(struct ep_result *r)
{
	struct ep_result_ledger *l = &util_load(r)->ledger[EP_RESULT_UP];

	l->not_sent = 30;
	l->intended += 30;
	l->ierrors = 11;
	l->rx_nombuf = 12;
	l->nic_rx += 23;
}

static void
goal_of_zero_allows_no_shortfall(struct ep_result *r)
{
	struct ep_result_ledger *l = &util_load(r)->ledger[EP_RESULT_UP];

	r->max_loss_ratio = 0;
	l->not_sent = 1;
	l->intended += 1;
}

static void
goal_of_zero_met(struct ep_result *r)
{
	r->max_loss_ratio = 0;
	util_load(r);
}

static void
goal_of_zero_missed(struct ep_result *r)
{
	r->max_loss_ratio = 0;
	util_lose(r, EP_RESULT_UP, 50001, 50001, 1);
	util_load(r);
}

static void
sweep_drops(struct ep_result *r)
{
	util_trials(r);
	r->trial[0].ledger[EP_RESULT_UP].imissed = 7;
	r->trial[0].ledger[EP_RESULT_UP].nic_rx += 7;
}

static void
account_does_not_close(struct ep_result *r)
{
	util_load(r)->ledger[EP_RESULT_UP].nic_rx++;
}

static void
ports_and_ledger_differ(struct ep_result *r)
{
	util_load(r);
	util_port(r, 50007, EP_RESULT_DOWN)->sent++;
}

static void
receiver_unknown(struct ep_result *r)
{
	util_load(r)->ledger[EP_RESULT_UP].receiver_known = false;
}

static void
sender_unknown(struct ep_result *r)
{
	util_load(r)->ledger[EP_RESULT_DOWN].sender_known = false;
}

static void
nothing_sent(struct ep_result *r)
{
	util_fill(r, EP_RESULT_UP, 0);
	util_fill(r, EP_RESULT_DOWN, 0);
	util_load(r);
	util_tcp(r, 80, "before", "open", "");
}

static void
tcp_alone(struct ep_result *r)
{
	util_fill(r, EP_RESULT_UP, 0);
	util_fill(r, EP_RESULT_DOWN, 0);
	util_tcp(r, 80, "before", "open", "");
}

/* Of a direction without a stream nothing is known, and nothing needs to be. */
static void
up_only(struct ep_result *r)
{
	struct ep_result_trial *t;

	util_fill(r, EP_RESULT_DOWN, 0);
	t = util_load(r);
	snprintf(t->direction, sizeof(t->direction), "up");
	t->ledger[EP_RESULT_DOWN] = (struct ep_result_ledger){0};
}

static void
invalid_and_failed(struct ep_result *r)
{
	util_kill(r, EP_RESULT_UP, 50100, 50110);
	drop_in_ring(r, EP_RESULT_DOWN, 51);
}

static void
aborted_and_passed(struct ep_result *r)
{
	util_load(r);
	r->aborted = true;
}

static void
aborted_and_failed(struct ep_result *r)
{
	dead_up(r);
	r->aborted = true;
}

static void
aborted_and_invalid_and_failed(struct ep_result *r)
{
	invalid_and_failed(r);
	r->aborted = true;
}

static void
aborted_before_anything(struct ep_result *r)
{
	util_fill(r, EP_RESULT_UP, 0);
	util_fill(r, EP_RESULT_DOWN, 0);
	r->aborted = true;
}

static void
aborted_with_a_reason_of_the_app(struct ep_result *r)
{
	util_load(r);
	r->aborted = true;
	ep_result_reason(r, "the far side was silent for 1 s");
}

static void
verdict_and_reason_follow_from_what_happened(void **state)
{
	static const struct {
		const char *name;
		void (*setup)(struct ep_result *r);
		enum ep_result_verdict verdict;
		uint32_t reason_count;
		const char *reason; /* The beginning of the first one. */
	} step[] = {
		{"all arrive", all_arrive, EP_RESULT_PASS, 1,
			"all 1,000 ports are alive, loss up 0 % and down 0 % is within the goal of "
			"0.1 %"},
		{"a little loss", a_little_loss, EP_RESULT_PASS, 1,
			"all 1,000 ports are alive, loss up 0.02 % and down 0 % is within the goal "
			"of 0.1 %"},
		{"loss at the goal", loss_at_the_goal, EP_RESULT_PASS, 1,
			"all 1,000 ports are alive, loss up 0.1 %"},
		{"loss above the goal", loss_above_the_goal, EP_RESULT_FAIL, 1,
			"loss up 0.1002 % is above the goal of 0.1 %: 501 of 500,000 probes"},
		{"dead up", dead_up, EP_RESULT_FAIL, 1, "11 ports are dead up: 50100-50110"},
		{"one dead down", one_dead_down, EP_RESULT_FAIL, 1, "1 port is dead down: 50555"},
		{"all dead up", all_dead_up, EP_RESULT_FAIL, 1,
			"all 1,000 ports are dead up: 50000-50999"},
		{"one lossy", one_lossy, EP_RESULT_FAIL, 1,
			"1 port loses more than the goal of 0.1 % down, and chance does not "
			"explain it: 50700"},
		{"one unlucky", one_unlucky, EP_RESULT_PASS, 1, "all 1,000 ports are alive"},
		{"TCP shut", tcp_shut, EP_RESULT_FAIL, 1,
			"TCP 7881 is filtered before, during and after the load: no answer within "
			"3 s"},
		{"TCP shut under load", tcp_shut_under_load, EP_RESULT_FAIL, 1,
			"TCP 443 is refused during the load"},
		{"TCP shut but not required", tcp_shut_but_not_required, EP_RESULT_PASS, 1,
			"all 1,000 ports"},
		{"TCP failed by us", tcp_failed_by_us, EP_RESULT_INVALID, 1,
			"invalid: TCP 443 is busy during and after the load: this host has no free "
			"local port"},
		{"TCP failed by us, and shut", tcp_failed_by_us_and_shut, EP_RESULT_INVALID, 2,
			"TCP 80 is refused before the load"},
		{"ring drops allowed", ring_drops_allowed, EP_RESULT_PASS, 1, "all 1,000 ports"},
		{"ring drops one too many", ring_drops_one_too_many, EP_RESULT_INVALID, 1,
			"invalid: down: our receiver's ring dropped 51 of 500,000 probes "
			"(imissed); at most 50 are allowed "
			"to judge a goal of 0.1 %"},
		{"ring drops many", ring_drops_many, EP_RESULT_INVALID, 1,
			"invalid: down: our receiver's ring dropped 1,234 of 500,000 probes "
			"(imissed)"},
		{"not sent", not_sent, EP_RESULT_INVALID, 1,
			"invalid: up: our sender did not send 60 of 500,060 probes in time "
			"(not_sent); at most 50 are"},
		{"not sent by the far side", not_sent_by_the_far_side, EP_RESULT_INVALID, 1,
			"invalid: down: the far side's sender did not send 60 of 500,060 probes in "
			"time (not_sent)"},
		{"several shortfalls", several_shortfalls, EP_RESULT_INVALID, 1,
			"invalid: up: our sender did not send 30 of 500,030 probes in time "
			"(not_sent), our receiver had no "
			"buffer for 12 of 500,030 probes (rx_nombuf), our receiver's NIC refused "
			"as broken 11 of 500,030 "
			"probes (ierrors); at most 50"},
		{"goal of zero allows no shortfall", goal_of_zero_allows_no_shortfall,
			EP_RESULT_INVALID, 1,
			"invalid: up: our sender did not send 1 of 500,001 probes in time "
			"(not_sent); at most 0 are"},
		{"goal of zero met", goal_of_zero_met, EP_RESULT_PASS, 1, "all 1,000 ports"},
		{"goal of zero missed", goal_of_zero_missed, EP_RESULT_FAIL, 2,
			"1 port loses more than the goal of 0 %"},
		{"sweep drops", sweep_drops, EP_RESULT_INVALID, 1,
			"invalid: up: in the sweep our receiver's ring dropped 7 of 3,000 probes "
			"(imissed); at most 0 are"},
		{"account does not close", account_does_not_close, EP_RESULT_INVALID, 1,
			"invalid: the account of the load does not close: up: nic_rx 500001 is "
			"not"},
		{"ports and ledger differ", ports_and_ledger_differ, EP_RESULT_INVALID, 1,
			"invalid: down: the ports' sent add up to 500001, but accepted of the "
			"whole run is 500000"},
		{"receiver unknown", receiver_unknown, EP_RESULT_INVALID, 1,
			"invalid: up: the far side's counters of the load never came"},
		{"sender unknown", sender_unknown, EP_RESULT_INVALID, 1,
			"invalid: down: the far side's counters of the load never came"},
		{"nothing sent", nothing_sent, EP_RESULT_INVALID, 1, "invalid: no probe was sent"},
		{"TCP alone", tcp_alone, EP_RESULT_PASS, 1,
			"every required TCP check found its port open"},
		{"up only", up_only, EP_RESULT_PASS, 1,
			"all 1,000 ports are alive, loss up 0 % is within the goal"},
		{"invalid beats fail", invalid_and_failed, EP_RESULT_INVALID, 2,
			"invalid: down: our receiver's ring"},
		{"interrupted beats pass", aborted_and_passed, EP_RESULT_INTERRUPTED, 1,
			"interrupted: the run did not"},
		{"interrupted beats fail", aborted_and_failed, EP_RESULT_INTERRUPTED, 2,
			"interrupted: the run did not"},
		{"interrupted beats invalid", aborted_and_invalid_and_failed, EP_RESULT_INTERRUPTED,
			3, "interrupted: the run did not"},
		{"interrupted before anything", aborted_before_anything, EP_RESULT_INTERRUPTED, 1,
			"interrupted: the run did not"},
		{"the app's reason stands", aborted_with_a_reason_of_the_app, EP_RESULT_INTERRUPTED,
			1, "the far side was silent for 1 s"},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(step); i++) {
		struct ep_result *r = util_result(PORTS);

		util_fill(r, EP_RESULT_UP, SENT);
		util_fill(r, EP_RESULT_DOWN, SENT);
		step[i].setup(r);
		util_judge(r);
		if (r->verdict != step[i].verdict || r->reason_count != step[i].reason_count ||
			strncmp(r->reason[0], step[i].reason, strlen(step[i].reason)) != 0)
			fail_msg("%s: verdict %s, %u reasons, the first: %s", step[i].name,
				ep_result_verdict_name(r->verdict), r->reason_count,
				r->reason_count > 0 ? r->reason[0] : "none");
		ep_result_destroy(r);
	}
}

static void
pass_says_how_small_a_loss_it_rules_out(void **state)
{
	struct ep_result *r = util_result(PORTS);

	(void)state;
	util_fill(r, EP_RESULT_UP, SENT);
	util_fill(r, EP_RESULT_DOWN, 200);
	util_load(r);
	util_judge(r);
	/* 1 - (0.05 / 1000)^(1 / 200) = 4.83 % */
	assert_true(util_has_reason(r,
		"at least 200 probes a port, a port that loses 4.83 % or more would have shown"));
	ep_result_destroy(r);
}

/* What the tester dropped itself is not the path's: no port is called lossy, and no loss is judged. */
static void
invalid_direction_is_never_called_lossy(void **state)
{
	struct ep_result *r = util_result(PORTS);

	(void)state;
	util_fill(r, EP_RESULT_UP, SENT);
	util_fill(r, EP_RESULT_DOWN, SENT);
	util_lose(r, EP_RESULT_DOWN, 50000, 50999, 250);
	util_load(r)->ledger[EP_RESULT_DOWN].imissed = 250000;
	r->trial[0].ledger[EP_RESULT_DOWN].nic_rx += 250000;
	util_judge(r);
	assert_int_equal(r->verdict, EP_RESULT_INVALID);
	assert_false(r->trial[0].valid);
	assert_int_equal(r->reason_count, 1);
	for (uint32_t i = 0; i < r->range->port_count; i++)
		assert_int_equal(r->port[i].dir[EP_RESULT_DOWN].verdict, EP_RESULT_PORT_OK);
	ep_result_destroy(r);
}

/* A receiver that dropped the whole load says nothing of a port; one whose sweep was sound does. */
static void
dead_ports_of_an_invalid_load_stand_on_a_valid_sweep(void **state)
{
	(void)state;
	for (int with_sweep = 0; with_sweep < 2; with_sweep++) {
		struct ep_result *r = util_result(PORTS);
		struct ep_result_ledger *l;

		util_fill(r, EP_RESULT_UP, SENT);
		util_kill(r, EP_RESULT_UP, 50100, 50110);
		if (with_sweep)
			util_trials(r);
		else
			util_load(r);
		l = &r->trial[with_sweep].ledger[EP_RESULT_UP];
		l->rx_nombuf = 5000;
		l->nic_rx += 5000;
		util_judge(r);
		assert_int_equal(r->verdict, EP_RESULT_INVALID);
		assert_int_equal(
			util_has_reason(r, "11 ports are dead up: 50100-50110"), with_sweep);
		assert_int_equal(util_port(r, 50105, EP_RESULT_UP)->verdict,
			with_sweep ? EP_RESULT_PORT_DEAD : EP_RESULT_PORT_OK);
		assert_false(r->trial[with_sweep].valid);
		if (with_sweep)
			assert_true(r->trial[0].valid);
		ep_result_destroy(r);
	}
}

static void
down_of_a_port_that_is_dead_up_is_untested_not_dead(void **state)
{
	struct ep_result *r = util_result(PORTS);

	(void)state;
	util_fill(r, EP_RESULT_UP, SENT);
	util_fill(r, EP_RESULT_DOWN, SENT);
	util_kill(r, EP_RESULT_UP, 50100, 50110);
	for (uint16_t port = 50100; port <= 50110; port++)
		*util_port(r, port, EP_RESULT_DOWN) = (struct ep_result_port_dir){0};
	util_load(r);
	util_judge(r);
	assert_int_equal(r->verdict, EP_RESULT_FAIL);
	assert_int_equal(util_port(r, 50105, EP_RESULT_UP)->verdict, EP_RESULT_PORT_DEAD);
	assert_int_equal(util_port(r, 50105, EP_RESULT_DOWN)->verdict, EP_RESULT_PORT_OK);
	assert_int_equal(ep_result_port_worst(&r->port[105]), EP_RESULT_PORT_DEAD);
	assert_true(util_has_reason(
		r, "down was not tested on these ports, because no probe arrived up: 50100-50110"));
	assert_false(util_has_reason(r, "dead down"));
	assert_int_equal(r->warning_count, 0);
	ep_result_destroy(r);
}

static void
port_that_no_probe_was_sent_to_is_warned_of(void **state)
{
	struct ep_result *r = util_result(PORTS);

	(void)state;
	util_fill(r, EP_RESULT_UP, SENT);
	*util_port(r, 50042, EP_RESULT_UP) = (struct ep_result_port_dir){0};
	util_load(r);
	util_judge(r);
	assert_int_equal(r->verdict, EP_RESULT_PASS);
	assert_true(util_has_reason(r, "999 ports are alive"));
	assert_true(util_has_warning(r, "1 port was not tested up"));
	assert_true(util_has_warning(r, "50042"));
	ep_result_destroy(r);
}

/* 50 dead ports of 10,001 are 0.49995 % of the probes: with a goal of 0.5 % only the account by port finds them. */
static void
dead_ports_fail_a_run_whose_sum_is_within_the_goal(void **state)
{
	struct ep_result *r = util_result("50000-60000");
	struct ep_result_totals t;

	(void)state;
	r->max_loss_ratio = 0.005;
	util_fill(r, EP_RESULT_UP, 100);
	util_kill(r, EP_RESULT_UP, 50100, 50149);
	util_load(r);
	util_judge(r);
	ep_result_totals(r, EP_RESULT_UP, &t);
	assert_true(t.loss_ratio < 0.005);
	assert_int_equal(t.live_lost, 0);
	assert_int_equal(r->verdict, EP_RESULT_FAIL);
	assert_int_equal(r->reason_count, 1);
	ep_result_destroy(r);
}

static void
list_that_is_too_long_ends_with_a_whole_range(void **state)
{
	struct ep_result *r = util_result("50000-60000");

	(void)state;
	util_fill(r, EP_RESULT_UP, 100);
	for (uint16_t port = 50000; port <= 60000; port += 2)
		util_kill(r, EP_RESULT_UP, port, port);
	util_load(r);
	util_judge(r);
	assert_true(util_has_reason(r, "5,001 ports are dead up: 50000,50002,50004,"));
	assert_true(strlen(r->reason[0]) < 400);
	assert_string_equal(r->reason[0] + strlen(r->reason[0]) - 4, ",...");
	ep_result_destroy(r);
}

static void
ledger_of_the_run_is_the_sum_of_its_trials(void **state)
{
	struct ep_result *r = util_result(PORTS);

	(void)state;
	util_fill(r, EP_RESULT_UP, SENT);
	util_fill(r, EP_RESULT_DOWN, SENT);
	util_trials(r);
	util_judge(r);
	assert_int_equal(r->verdict, EP_RESULT_PASS);
	assert_int_equal(r->ledger[EP_RESULT_UP].intended, SENT * 1000);
	assert_int_equal(r->ledger[EP_RESULT_UP].intended,
		r->trial[0].ledger[EP_RESULT_UP].intended +
			r->trial[1].ledger[EP_RESULT_UP].intended);
	assert_int_equal(r->bytes[EP_RESULT_UP], SENT * 1000 * 64);
	assert_true(r->ledger[EP_RESULT_UP].sender_known);
	ep_result_destroy(r);
}

static void
direction_without_a_stream_is_known_to_be_empty(void **state)
{
	struct ep_result *r = util_result(PORTS);

	(void)state;
	util_fill(r, EP_RESULT_UP, SENT);
	up_only(r);
	util_judge(r);
	assert_true(r->ledger[EP_RESULT_DOWN].sender_known);
	assert_true(r->ledger[EP_RESULT_DOWN].receiver_known);
	assert_true(r->trial[0].ledger[EP_RESULT_DOWN].receiver_known);
	assert_false(r->loss_judged[EP_RESULT_DOWN]);
	ep_result_destroy(r);
}

/* 65,535 ports, half of them with losses near the goal, in well under a second. */
static void
judging_every_port_there_is_is_quick(void **state)
{
	struct ep_result *r = util_result("1-65535");
	const clock_t start = clock();

	(void)state;
	for (int d = 0; d < EP_RESULT_DIRS; d++) {
		util_fill(r, (enum ep_result_dir)d, 10000);
		for (uint32_t i = 0; i < r->range->port_count; i += 2)
			util_lose(r, (enum ep_result_dir)d, r->range->port[i], r->range->port[i],
				5 + i % 12);
	}
	util_load(r);
	util_judge(r);
	assert_true(clock() - start < 5 * CLOCKS_PER_SEC);
	ep_result_destroy(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verdict_and_reason_follow_from_what_happened),
		cmocka_unit_test(pass_says_how_small_a_loss_it_rules_out),
		cmocka_unit_test(invalid_direction_is_never_called_lossy),
		cmocka_unit_test(dead_ports_of_an_invalid_load_stand_on_a_valid_sweep),
		cmocka_unit_test(down_of_a_port_that_is_dead_up_is_untested_not_dead),
		cmocka_unit_test(port_that_no_probe_was_sent_to_is_warned_of),
		cmocka_unit_test(dead_ports_fail_a_run_whose_sum_is_within_the_goal),
		cmocka_unit_test(list_that_is_too_long_ends_with_a_whole_range),
		cmocka_unit_test(ledger_of_the_run_is_the_sum_of_its_trials),
		cmocka_unit_test(direction_without_a_stream_is_known_to_be_empty),
		cmocka_unit_test(judging_every_port_there_is_is_quick),
	};

	return cmocka_run_group_tests_name("judge", tests, NULL, NULL);
}
