/* Connects at a rate, and connections that are held. */
#include "server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define MS EP_NS_PER_MS
#define S EP_NS_PER_S

struct bench {
	struct server *servers[2];
	struct ep_tcpcheck_cfg cfg;
	struct ep_tcpcheck *c;
};

static struct bench
bench(enum behaviour behaviour, bool tls, enum ep_tcpcheck_check check)
{
	struct bench b = {.servers = {server_start(behaviour, tls)}, .cfg = test_cfg()};

	test_target(&b.cfg, EP_TCPCHECK_TCP, server_port(b.servers[0]), check);
	b.c = test_checker(&b.cfg);
	return b;
}

static void
bench_end(struct bench *b)
{
	ep_tcpcheck_destroy(b->c);
	server_stop(b->servers[0]);
}

static struct ep_tcpcheck_load
load_for(struct bench *b, double rate_hz, uint64_t ns)
{
	struct ep_tcpcheck_load load;

	ep_tcpcheck_load_start(b->c, rate_hz, test_now_ns);
	test_run(b->c, b->servers, ns);
	ep_tcpcheck_load_stop(b->c, test_now_ns);
	while (!ep_tcpcheck_load_done(b->c))
		test_step(b->c, b->servers);
	ep_tcpcheck_load(b->c, 0, &load);
	return load;
}

static uint64_t
causes(const struct ep_tcpcheck_load *l)
{
	uint64_t sum = 0;

	for (int s = 0; s < EP_TCPCHECK_STATUSES; s++)
		sum += l->by_status[s];
	return sum;
}

static void
load_makes_as_many_attempts_as_its_rate_says(void **state)
{
	static const double rates_hz[] = {1, 10, 250};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(rates_hz); i++) {
		struct bench b = bench(SILENT, false, EP_TCPCHECK_CONNECT);
		const struct ep_tcpcheck_load l = load_for(&b, rates_hz[i], 4 * S);
		const uint64_t due = (uint64_t)(rates_hz[i] * 4);

		assert_in_range(l.attempts, due, due + 1);
		assert_int_equal(l.by_status[EP_TCPCHECK_OPEN], l.attempts);
		assert_int_equal(causes(&l), l.attempts);
		assert_int_equal(l.failures, 0);
		assert_int_equal(l.late, 0);
		assert_int_equal(server_accepted(b.servers[0]), l.attempts);
		assert_true(l.p50_ns > 0 && l.p50_ns <= l.p99_ns);
		assert_int_equal(l.first_bad.status, EP_TCPCHECK_PENDING);
		bench_end(&b);
	}
}

static void
many_connects_a_second_have_no_failure_of_ours(void **state)
{
	struct bench b = bench(SILENT, false, EP_TCPCHECK_CONNECT);
	const struct ep_tcpcheck_load l = load_for(&b, 1000, 5 * S);

	(void)state;
	assert_in_range(l.attempts, 5000, 5001);
	assert_int_equal(l.by_status[EP_TCPCHECK_OPEN], l.attempts);
	assert_int_equal(l.own_failures, 0);
	bench_end(&b);
}

/* A caller that is asleep at its beginning and at its end owes no attempt less, and none that was due behind the end. */
static void
late_caller_makes_every_attempt_that_was_due(void **state)
{
	struct bench b = bench(SILENT, false, EP_TCPCHECK_CONNECT);
	const uint64_t start_ns = test_now_ns, end_ns = start_ns + 2 * S;
	struct ep_tcpcheck_load l;

	(void)state;
	test_now_ns += 700 * MS;
	ep_tcpcheck_load_start(b.c, 10, start_ns);
	test_run(b.c, b.servers, 800 * MS);
	test_now_ns += 900 * MS;
	ep_tcpcheck_load_stop(b.c, end_ns);
	assert_false(ep_tcpcheck_load_done(b.c));
	test_run(b.c, b.servers, 1 * S);
	assert_true(ep_tcpcheck_load_done(b.c));
	ep_tcpcheck_load(b.c, 0, &l);
	assert_int_equal(l.attempts, 20);
	assert_int_equal(l.by_status[EP_TCPCHECK_OPEN], 20);
	/* Those due in the first 600 ms, and from 1.6 s on: began more than 100 ms behind their time. */
	assert_in_range(l.late, 6 + 4, 7 + 5);
	bench_end(&b);
}

static void
slow_answer_does_not_delay_the_next_attempt(void **state)
{
	/* Nobody accepts: the queue of the listener fills, and further SYNs are dropped until the time-out. */
	struct bench b = bench(SILENT, false, EP_TCPCHECK_CONNECT);
	struct ep_tcpcheck_load l;
	uint64_t open;

	(void)state;
	server_backlog(b.servers[0], 4);
	ep_tcpcheck_load_start(b.c, 10, test_now_ns);
	test_run(b.c, NULL, 10 * S);
	ep_tcpcheck_load_stop(b.c, test_now_ns);
	test_run(b.c, NULL, 5 * S);
	ep_tcpcheck_load(b.c, 0, &l);
	open = l.by_status[EP_TCPCHECK_OPEN];
	/* With attempts one behind the other at most four would have had room in these 10 s. */
	assert_in_range(l.attempts, 100, 101);
	assert_in_range(open, 1, 20);
	assert_int_equal(l.by_status[EP_TCPCHECK_FILTERED], l.attempts - open);
	assert_int_equal(l.failures, l.attempts - open);
	assert_int_equal(l.first_bad.status, EP_TCPCHECK_FILTERED);
	bench_end(&b);
}

static void
failures_are_counted_by_cause_with_the_first_and_its_time(void **state)
{
	struct bench b = bench(SILENT, false, EP_TCPCHECK_CONNECT);
	struct ep_tcpcheck_load l;

	(void)state;
	ep_tcpcheck_load_start(b.c, 10, test_now_ns);
	test_run(b.c, b.servers, 2 * S - 50 * MS);
	server_behave(b.servers[0], RESETS);
	test_run(b.c, b.servers, 1 * S);
	ep_tcpcheck_load_stop(b.c, test_now_ns);
	test_run(b.c, b.servers, 1 * S);
	ep_tcpcheck_load(b.c, 0, &l);
	assert_int_equal(l.by_status[EP_TCPCHECK_OPEN], 20);
	assert_int_equal(l.by_status[EP_TCPCHECK_RESET], 10);
	assert_int_equal(l.failures, 10);
	assert_int_equal(l.first_bad.status, EP_TCPCHECK_RESET);
	assert_in_range(l.first_bad_ns, 2 * S - MS, 2 * S + 5 * MS);
	bench_end(&b);
}

static void
attempts_that_we_begin_late_are_told(void **state)
{
	struct bench b = bench(SILENT, false, EP_TCPCHECK_CONNECT);
	struct ep_tcpcheck_load l;

	(void)state;
	ep_tcpcheck_load_start(b.c, 10, test_now_ns);
	test_step(b.c, b.servers);
	test_now_ns += 2 * S; /* nobody polls */
	test_run(b.c, b.servers, 200 * MS);
	ep_tcpcheck_load(b.c, 0, &l);
	assert_in_range(l.late, 18, 20);
	bench_end(&b);
}

/* --- Hold ----------------------------------------------------------------------------------------------------------------- */

static struct ep_tcpcheck_hold
held(const struct bench *b)
{
	struct ep_tcpcheck_hold h;

	assert_true(ep_tcpcheck_hold(b->c, 0, &h));
	return h;
}

static void
held_connection_has_a_message_answered_each_second(void **state)
{
	static const struct {
		enum behaviour behaviour;
		bool tls;
		enum ep_tcpcheck_check check;
	} cases[] = {
		{FRAMED_STUN, false, EP_TCPCHECK_ICE_TCP},
		{FRAMED_OTHERS, false, EP_TCPCHECK_ICE_TCP},
		{HTTP_404, false, EP_TCPCHECK_HTTP},
		{HTTP_404, true, EP_TCPCHECK_TLS},
		{BARE_STUN, false, EP_TCPCHECK_STUN},
		{BARE_STUN, true, EP_TCPCHECK_TURN_TLS},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(cases); i++) {
		struct bench b = bench(cases[i].behaviour, cases[i].tls, cases[i].check);
		struct ep_tcpcheck_hold h;

		ep_tcpcheck_hold_start(b.c, test_now_ns);
		test_run(b.c, b.servers, 10 * S + 500 * MS);
		ep_tcpcheck_hold_stop(b.c, test_now_ns);
		h = held(&b);
		if (h.status != EP_TCPCHECK_OPEN || h.sent != 11 || h.answered != 11)
			fail_msg("case %zu: %s, %lu sent, %lu answered", i,
				ep_tcpcheck_status_name(h.status), (unsigned long)h.sent,
				(unsigned long)h.answered);
		assert_int_equal(server_accepted(b.servers[0]), 1);
		assert_in_range(h.held_ns, 10 * S, 11 * S);
		assert_int_equal(h.stalls, 0);
		bench_end(&b);
	}
}

static void
service_that_is_silent_is_held_by_its_acknowledgements(void **state)
{
	static const enum ep_tcpcheck_check checks[] = {EP_TCPCHECK_ICE_TCP, EP_TCPCHECK_CONNECT};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(checks); i++) {
		struct bench b = bench(SILENT, false, checks[i]);

		ep_tcpcheck_hold_start(b.c, test_now_ns);
		test_run(b.c, b.servers, 8 * S);
		ep_tcpcheck_hold_stop(b.c, test_now_ns);
		assert_int_equal(held(&b).status, EP_TCPCHECK_OPEN);
		assert_int_equal(held(&b).answered, 0);
		bench_end(&b);
	}
}

static void
broken_connection_is_told_with_its_second(void **state)
{
	struct bench b = bench(FRAMED_STUN, false, EP_TCPCHECK_ICE_TCP);
	struct ep_tcpcheck_hold h;

	(void)state;
	ep_tcpcheck_hold_start(b.c, test_now_ns);
	test_run(b.c, b.servers, 4 * S + 300 * MS);
	server_reset_all(b.servers[0]);
	test_run(b.c, b.servers, 2 * S);
	h = held(&b);
	assert_int_equal(h.status, EP_TCPCHECK_BROKEN);
	assert_in_range(h.event_ns, 4 * S + 290 * MS, 4 * S + 310 * MS);
	assert_false(h.by_service);
	assert_int_equal(h.answered, 5);
	bench_end(&b);
}

static void
stalled_connection_is_told_with_its_second_and_may_recover(void **state)
{
	struct bench b = bench(FRAMED_STUN, false, EP_TCPCHECK_ICE_TCP);
	struct ep_tcpcheck_hold h;

	(void)state;
	ep_tcpcheck_hold_start(b.c, test_now_ns);
	test_run(b.c, b.servers, 5 * S + 100 * MS);
	server_mute(b.servers[0], true);
	test_run(b.c, b.servers, 5 * S);
	h = held(&b);
	assert_int_equal(h.status, EP_TCPCHECK_STALLED);
	/* The last sign of life. */
	assert_in_range(h.event_ns, 4 * S + 900 * MS, 5 * S + 100 * MS);
	assert_int_equal(h.stalls, 1);
	server_mute(b.servers[0], false);
	test_run(b.c, b.servers, 3 * S);
	server_mute(b.servers[0], true);
	test_run(b.c, b.servers, 5 * S);
	ep_tcpcheck_hold_stop(b.c, test_now_ns);
	h = held(&b);
	assert_int_equal(h.status, EP_TCPCHECK_STALLED);
	assert_int_equal(h.stalls, 2);
	assert_in_range(h.longest_silence_ns, 4 * S, 6 * S);
	bench_end(&b);
}

/* A program that the kernel gives no time to asks late: while nothing was asked, nobody was silent. */
static void
pause_of_ours_is_no_silence_of_the_peer(void **state)
{
	static const struct {
		enum behaviour behaviour;
		bool tls;
		enum ep_tcpcheck_check check;
	} cases[] = {
		{FRAMED_STUN, false, EP_TCPCHECK_ICE_TCP},
		{HTTP_404, true, EP_TCPCHECK_TLS},
		{SILENT, false, EP_TCPCHECK_ICE_TCP},
		{SILENT, false, EP_TCPCHECK_CONNECT},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(cases); i++) {
		struct bench b = bench(cases[i].behaviour, cases[i].tls, cases[i].check);
		struct ep_tcpcheck_hold h;

		ep_tcpcheck_hold_start(b.c, test_now_ns);
		for (int pause = 0; pause < 3; pause++) {
			test_run(b.c, b.servers, 3 * S + 500 * MS);
			test_now_ns += 5 * S;
		}
		test_run(b.c, b.servers, 2 * S);
		ep_tcpcheck_hold_stop(b.c, test_now_ns);
		h = held(&b);
		if (h.status != EP_TCPCHECK_OPEN || h.stalls != 0)
			fail_msg("case %zu: %s, %u stalls", i, ep_tcpcheck_status_name(h.status),
				h.stalls);
		assert_in_range(h.longest_silence_ns, 0, EP_TCPCHECK_STALL_NS - 1);
		bench_end(&b);
	}
}

static void
service_that_keeps_no_connection_is_no_fault_of_the_path(void **state)
{
	static const struct {
		enum behaviour behaviour;
		enum ep_tcpcheck_check check;
	} cases[] = {{HTTP_LAST, EP_TCPCHECK_HTTP}, {CLOSES_ON_DATA, EP_TCPCHECK_ICE_TCP}};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(cases); i++) {
		struct bench b = bench(cases[i].behaviour, false, cases[i].check);

		ep_tcpcheck_hold_start(b.c, test_now_ns);
		test_run(b.c, b.servers, 3 * S);
		assert_int_equal(held(&b).status, EP_TCPCHECK_OPEN);
		assert_true(held(&b).by_service);
		bench_end(&b);
	}
}

static void
connection_that_never_came_to_be_says_why(void **state)
{
	struct ep_tcpcheck_cfg cfg = test_cfg();
	struct ep_tcpcheck_hold h;
	struct ep_tcpcheck *c;

	(void)state;
	test_target(&cfg, EP_TCPCHECK_TCP, free_port(), EP_TCPCHECK_HTTP);
	test_target(&cfg, EP_TCPCHECK_UDP, 3478, EP_TCPCHECK_STUN);
	c = test_checker(&cfg);
	ep_tcpcheck_hold_start(c, test_now_ns);
	test_run(c, NULL, 100 * MS);
	assert_true(ep_tcpcheck_hold(c, 0, &h));
	assert_int_equal(h.status, EP_TCPCHECK_REFUSED);
	assert_int_equal(h.held_ns, 0);
	assert_false(ep_tcpcheck_hold(c, 1, &h)); /* UDP has none */
	assert_false(ep_tcpcheck_hold(c, 2, &h));
	ep_tcpcheck_destroy(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(load_makes_as_many_attempts_as_its_rate_says),
		cmocka_unit_test(many_connects_a_second_have_no_failure_of_ours),
		cmocka_unit_test(late_caller_makes_every_attempt_that_was_due),
		cmocka_unit_test(slow_answer_does_not_delay_the_next_attempt),
		cmocka_unit_test(failures_are_counted_by_cause_with_the_first_and_its_time),
		cmocka_unit_test(attempts_that_we_begin_late_are_told),
		cmocka_unit_test(held_connection_has_a_message_answered_each_second),
		cmocka_unit_test(service_that_is_silent_is_held_by_its_acknowledgements),
		cmocka_unit_test(broken_connection_is_told_with_its_second),
		cmocka_unit_test(stalled_connection_is_told_with_its_second_and_may_recover),
		cmocka_unit_test(pause_of_ours_is_no_silence_of_the_peer),
		cmocka_unit_test(service_that_keeps_no_connection_is_no_fault_of_the_path),
		cmocka_unit_test(connection_that_never_came_to_be_says_why),
	};

	return cmocka_run_group_tests_name("tcpcheck_load", tests, NULL, NULL);
}
