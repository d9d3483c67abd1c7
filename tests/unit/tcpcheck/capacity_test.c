/* Many connections to one port, and idle ones. The clock is the test's own: no second of these tests is waited for. */
#include "server.h"

#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#define MS EP_NS_PER_MS
#define S EP_NS_PER_S
#define MANY 5000
#define MEMORY_MAX_BYTES 4096

/* What the heap holds [B]; 0 where a sanitizer has taken malloc over, and nothing can be measured. */
static size_t
heap_bytes(void)
{
	const struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

static struct ep_tcpcheck_capacity
capacity_run(struct ep_tcpcheck *c, struct server *const *servers,
	const struct ep_tcpcheck_capacity_cfg *cfg)
{
	struct ep_tcpcheck_capacity state;
	struct ep_err err = {0};

	if (ep_tcpcheck_capacity_start(c, cfg, test_now_ns, &err) < 0)
		fail_msg("%s", err.text);
	do {
		test_step(c, servers);
		ep_tcpcheck_capacity(c, &state);
	} while (!state.done);
	return state;
}

static uint32_t
failures(const struct ep_tcpcheck_capacity *k)
{
	uint32_t sum = 0;

	for (int s = 0; s < EP_TCPCHECK_STATUSES; s++)
		sum += k->connect_failed[s];
	return sum;
}

static void
each_of_5000_held_connections_answers_and_costs_little(void **state)
{
	struct server *servers[2] = {server_start(FRAMED_STUN, false), NULL};
	struct ep_tcpcheck_cfg cfg = test_cfg();
	const struct ep_tcpcheck_capacity_cfg many = {.port = server_port(servers[0]),
		.check = EP_TCPCHECK_ICE_TCP,
		.connections = MANY,
		.rate_hz = 1000,
		.hold_ns = 30 * S};
	struct ep_tcpcheck_capacity k;
	struct ep_tcpcheck *c;
	size_t before, after;
	struct ep_err err;

	(void)state;
	test_target(&cfg, EP_TCPCHECK_TCP, many.port, EP_TCPCHECK_ICE_TCP);
	c = test_checker(&cfg);
	/* The server's ends are descriptors of this process, too. */
	if (ep_tcpcheck_files(2 * MANY, &err) < 0)
		fail_msg("%s", err.text);
	before = heap_bytes();
	assert_int_equal(ep_tcpcheck_capacity_start(c, &many, test_now_ns, NULL), 0);
	/* All of it is taken at the start; the server's connections come after that. */
	after = heap_bytes();
	do {
		test_step(c, servers);
		ep_tcpcheck_capacity(c, &k);
	} while (!k.done);
	assert_int_equal(k.started, MANY);
	assert_int_equal(k.established, MANY);
	assert_int_equal(k.held, MANY);
	assert_int_equal(k.messages, MANY);
	assert_int_equal(k.answered, MANY);
	assert_int_equal(k.lost_held, 0);
	assert_int_equal(failures(&k), 0);
	assert_int_equal(server_accepted(servers[0]), MANY);
	assert_int_equal(server_requests(servers[0]), MANY);
	assert_in_range((uint64_t)k.rate_hz, 990, 1001);
	assert_in_range(k.open_ns, 4990 * MS, 5020 * MS);
	assert_true(k.p50_ns > 0 && k.p50_ns <= k.p99_ns && k.p99_ns <= k.max_ns + k.max_ns / 16);
	assert_true(k.answer_max_ns > 0);
	assert_true(k.memory_bytes / MANY < MEMORY_MAX_BYTES);
	if (before > 0) {
		assert_true(after > before);
		assert_true((after - before) / MANY < MEMORY_MAX_BYTES);
		assert_in_range(k.memory_bytes, (after - before) / 2, (after - before) * 2);
	}
	printf("# %zu B a connection measured, %zu B told\n", (after - before) / MANY,
		(size_t)k.memory_bytes / MANY);
	ep_tcpcheck_destroy(c);
	server_stop(servers[0]);
}

/* No connection grows while it is used: what the heap holds at the end is what it held at the start. */
static void
held_connections_do_not_grow(void **state)
{
	struct server *servers[2] = {server_start(FRAMED_STUN, false), NULL};
	struct ep_tcpcheck_cfg cfg = test_cfg();
	const struct ep_tcpcheck_capacity_cfg many = {.port = server_port(servers[0]),
		.check = EP_TCPCHECK_ICE_TCP,
		.connections = 500,
		.rate_hz = 1000,
		.hold_ns = 20 * S};
	struct ep_tcpcheck_capacity k;
	struct ep_tcpcheck *c;
	size_t held, later;

	(void)state;
	test_target(&cfg, EP_TCPCHECK_TCP, many.port, EP_TCPCHECK_ICE_TCP);
	c = test_checker(&cfg);
	assert_int_equal(ep_tcpcheck_capacity_start(c, &many, test_now_ns, NULL), 0);
	test_run(c, servers, 2 * S);
	ep_tcpcheck_capacity(c, &k);
	assert_int_equal(k.held, 500);
	held = heap_bytes();
	/* Past the messages, before the answers' connections are closed: the server has them all. */
	do {
		later = heap_bytes();
		test_step(c, servers);
		ep_tcpcheck_capacity(c, &k);
	} while (!k.done);
	assert_int_equal(k.answered, 500);
	assert_true(later <= held + 16384);
	ep_tcpcheck_destroy(c);
	server_stop(servers[0]);
}

static void
only_an_answer_counts(void **state)
{
	static const struct {
		enum behaviour behaviour;
		enum ep_tcpcheck_check check;
		uint32_t established, answered, acknowledged, lost_held;
	} cases[] = {
		{FRAMED_STUN, EP_TCPCHECK_ICE_TCP, 50, 50, 0, 0},
		{HTTP_404, EP_TCPCHECK_HTTP, 50, 50, 0, 0},
		{BARE_STUN, EP_TCPCHECK_TURN, 50, 50, 0, 0},
		{SILENT, EP_TCPCHECK_ICE_TCP, 50, 0, 50, 0},
		{TALKS, EP_TCPCHECK_ICE_TCP, 50, 0, 0, 0},
		{CLOSES_ON_DATA, EP_TCPCHECK_ICE_TCP, 50, 0, 0, 0},
		{CLOSES, EP_TCPCHECK_ICE_TCP, 50, 0, 0, 50},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(cases); i++) {
		struct server *servers[2] = {server_start(cases[i].behaviour, false), NULL};
		struct ep_tcpcheck_cfg cfg = test_cfg();
		const struct ep_tcpcheck_capacity_cfg many = {.port = server_port(servers[0]),
			.check = cases[i].check,
			.connections = 50,
			.rate_hz = 1000,
			.hold_ns = S};
		struct ep_tcpcheck *c = test_checker(&cfg);
		const struct ep_tcpcheck_capacity k = capacity_run(c, servers, &many);

		if (k.established != cases[i].established || k.answered != cases[i].answered ||
			k.acknowledged != cases[i].acknowledged ||
			k.lost_held != cases[i].lost_held)
			fail_msg("case %zu: %u established, %u answered, %u acknowledged, %u lost",
				i, k.established, k.answered, k.acknowledged, k.lost_held);
		assert_int_equal(k.established + failures(&k), k.started);
		ep_tcpcheck_destroy(c);
		server_stop(servers[0]);
	}
}

static void
connections_that_break_while_held_are_told(void **state)
{
	struct server *servers[2] = {server_start(FRAMED_STUN, false), NULL};
	struct ep_tcpcheck_cfg cfg = test_cfg();
	const struct ep_tcpcheck_capacity_cfg many = {.port = server_port(servers[0]),
		.check = EP_TCPCHECK_ICE_TCP,
		.connections = 40,
		.rate_hz = 1000,
		.hold_ns = 10 * S};
	struct ep_tcpcheck *c = test_checker(&cfg);
	struct ep_tcpcheck_capacity k;

	(void)state;
	assert_int_equal(ep_tcpcheck_capacity_start(c, &many, test_now_ns, NULL), 0);
	test_run(c, servers, S);
	server_reset_all(servers[0]);
	test_run(c, servers, 12 * S);
	ep_tcpcheck_capacity(c, &k);
	assert_true(k.done);
	assert_int_equal(k.established, 40);
	assert_int_equal(k.lost_held, 40);
	assert_int_equal(k.held, 0);
	assert_int_equal(k.messages, 0);
	ep_tcpcheck_destroy(c);
	server_stop(servers[0]);
}

static void
shut_port_is_counted_by_cause(void **state)
{
	struct ep_tcpcheck_cfg cfg = test_cfg();
	const struct ep_tcpcheck_capacity_cfg many = {.port = free_port(),
		.check = EP_TCPCHECK_ICE_TCP,
		.connections = 300,
		.rate_hz = 10000,
		.hold_ns = MS};
	struct ep_tcpcheck *c = test_checker(&cfg);
	const struct ep_tcpcheck_capacity k = capacity_run(c, NULL, &many);

	(void)state;
	assert_int_equal(k.connect_failed[EP_TCPCHECK_REFUSED], 300);
	assert_int_equal(k.established, 0);
	assert_int_equal(k.messages, 0);
	ep_tcpcheck_destroy(c);
}

static void
too_few_descriptors_are_told_before_anything_is_opened(void **state)
{
	struct rlimit old, low;
	struct ep_err err = {0};

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = (struct rlimit){.rlim_cur = 300, .rlim_max = old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	/* Up to the hard limit it is raised, and no further than needed. */
	assert_int_equal(ep_tcpcheck_files(1000, &err), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &low), 0);
	assert_in_range(low.rlim_cur, 1000, 1200);
	assert_int_equal(ep_tcpcheck_files((uint32_t)old.rlim_max, &err), -EMFILE);
	assert_non_null(strstr(err.text, "ulimit -Hn"));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
}

/* --- Idle ----------------------------------------------------------------------------------------------------------------- */

#define AGES 200

static struct ep_tcpcheck *
idle_start(struct server *s, enum ep_tcpcheck_check check, uint64_t longest_ns)
{
	struct ep_tcpcheck_cfg cfg = test_cfg();
	struct ep_tcpcheck *c;
	struct ep_err err;

	test_target(&cfg, EP_TCPCHECK_TCP, server_port(s), check);
	c = test_checker(&cfg);
	if (ep_tcpcheck_idle_start(c, longest_ns, test_now_ns, &err) < 0)
		fail_msg("%s", err.text);
	return c;
}

static uint32_t
age_sum(const struct ep_tcpcheck_age *a)
{
	return a->alive + a->reset + a->lost + a->closed;
}

static void
ladder_has_each_age_once_and_its_connections_are_used_once(void **state)
{
	static const enum behaviour behaviours[] = {FRAMED_STUN, SILENT};
	struct ep_tcpcheck_age age[AGES];

	(void)state;
	for (size_t b = 0; b < EP_ARRAY_LEN(behaviours); b++) {
		struct server *servers[2] = {server_start(behaviours[b], false), NULL};
		struct ep_tcpcheck *c = idle_start(servers[0], EP_TCPCHECK_ICE_TCP, 350 * S);
		const uint64_t start_ns = test_now_ns;
		uint32_t count;

		while (!ep_tcpcheck_idle_done(c)) {
			test_step(c, servers);
			/* From one timer to the next. */
			if (ep_tcpcheck_next_ns(c) > test_now_ns + S &&
				ep_tcpcheck_next_ns(c) != UINT64_MAX)
				test_now_ns = ep_tcpcheck_next_ns(c) - MS;
		}
		count = ep_tcpcheck_idle(c, age, AGES);
		assert_int_equal(count, 23);
		assert_int_equal(age[0].age_ns, 5 * S);
		assert_int_equal(age[count - 1].age_ns, 350 * S);
		for (uint32_t i = 0; i < count; i++) {
			assert_true(i == 0 || age[i].age_ns > age[i - 1].age_ns);
			assert_int_equal(age[i].connections, EP_TCPCHECK_AGE_CONNECTIONS);
			assert_int_equal(age[i].alive, EP_TCPCHECK_AGE_CONNECTIONS);
			assert_int_equal(age_sum(&age[i]), age[i].connections);
		}
		/* All side by side: no longer than the longest age. */
		assert_in_range(test_now_ns - start_ns, 350 * S, 360 * S);
		assert_int_equal(server_accepted(servers[0]), count * EP_TCPCHECK_AGE_CONNECTIONS);
		assert_int_equal(
			server_requests(servers[0]), 2 * count * EP_TCPCHECK_AGE_CONNECTIONS);
		ep_tcpcheck_destroy(c);
		server_stop(servers[0]);
	}
}

/* A service of one thread has room for a few connections that it did not accept yet, and the ladder has 92. */
static void
ladder_asks_no_service_for_all_connections_at_once(void **state)
{
	struct server *servers[2] = {server_start(FRAMED_STUN, false), NULL};
	struct ep_tcpcheck_age age[AGES];
	struct ep_tcpcheck *c;
	uint32_t count;

	(void)state;
	server_backlog(servers[0], 4);
	c = idle_start(servers[0], EP_TCPCHECK_ICE_TCP, 350 * S);
	test_run(c, servers, 6 * S);
	count = ep_tcpcheck_idle(c, age, AGES);
	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(age[i].failed, 0);
		assert_int_equal(age[i].connections, EP_TCPCHECK_AGE_CONNECTIONS);
	}
	ep_tcpcheck_destroy(c);
	server_stop(servers[0]);
}

static void
end_of_a_silent_connection_is_told_by_its_kind(void **state)
{
	static const struct {
		bool reset;
	} kinds[] = {{false}, {true}};
	struct ep_tcpcheck_age age[AGES];

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(kinds); i++) {
		struct server *servers[2] = {server_start(FRAMED_STUN, false), NULL};
		struct ep_tcpcheck *c = idle_start(servers[0], EP_TCPCHECK_ICE_TCP, 12 * S);
		uint32_t count;

		test_run(c, servers, 7 * S);
		if (kinds[i].reset)
			server_reset_all(servers[0]);
		else
			server_close_all(servers[0]);
		test_run(c, servers, 6 * S);
		assert_true(ep_tcpcheck_idle_done(c));
		count = ep_tcpcheck_idle(c, age, AGES);
		assert_int_equal(count, 3); /* 5, 10, 12 s */
		assert_int_equal(age[0].alive, EP_TCPCHECK_AGE_CONNECTIONS);
		for (uint32_t k = 1; k < count; k++) {
			assert_int_equal(kinds[i].reset ? age[k].reset : age[k].closed,
				EP_TCPCHECK_AGE_CONNECTIONS);
			assert_int_equal(age_sum(&age[k]), EP_TCPCHECK_AGE_CONNECTIONS);
			/* Nobody had asked: whose time-out it was cannot be told, but when it was. */
			assert_in_range(kinds[i].reset ? age[k].reset_ns : age[k].closed_ns,
				6700 * MS, 7000 * MS);
		}
		ep_tcpcheck_destroy(c);
		server_stop(servers[0]);
	}
}

static void
idle_connections_of_a_shut_port_never_came_to_be(void **state)
{
	struct ep_tcpcheck_cfg cfg = test_cfg();
	struct ep_tcpcheck_age age[AGES];
	struct ep_tcpcheck *c;
	struct ep_err err;

	(void)state;
	c = test_checker(&cfg);
	assert_int_equal(ep_tcpcheck_idle_start(c, 5 * S, test_now_ns, &err), -EINVAL);
	ep_tcpcheck_destroy(c);
	test_target(&cfg, EP_TCPCHECK_TCP, free_port(), EP_TCPCHECK_HTTP);
	c = test_checker(&cfg);
	assert_int_equal(ep_tcpcheck_idle_start(c, 5 * S, test_now_ns, NULL), 0);
	test_run(c, NULL, 100 * MS);
	assert_true(ep_tcpcheck_idle_done(c));
	assert_int_equal(ep_tcpcheck_idle(c, age, AGES), 1);
	assert_int_equal(age[0].failed, EP_TCPCHECK_AGE_CONNECTIONS);
	assert_int_equal(age[0].failed_status, EP_TCPCHECK_REFUSED);
	assert_int_equal(age[0].connections, 0);
	ep_tcpcheck_destroy(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_of_5000_held_connections_answers_and_costs_little),
		cmocka_unit_test(held_connections_do_not_grow),
		cmocka_unit_test(only_an_answer_counts),
		cmocka_unit_test(connections_that_break_while_held_are_told),
		cmocka_unit_test(shut_port_is_counted_by_cause),
		cmocka_unit_test(too_few_descriptors_are_told_before_anything_is_opened),
		cmocka_unit_test(ladder_has_each_age_once_and_its_connections_are_used_once),
		cmocka_unit_test(ladder_asks_no_service_for_all_connections_at_once),
		cmocka_unit_test(end_of_a_silent_connection_is_told_by_its_kind),
		cmocka_unit_test(idle_connections_of_a_shut_port_never_came_to_be),
	};

	return cmocka_run_group_tests_name("tcpcheck_capacity", tests, NULL, NULL);
}
