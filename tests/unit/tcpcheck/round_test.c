#include "server.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

struct want {
	enum ep_tcpcheck_check check;
	enum ep_tcpcheck_status status;
	const char *reply; /* Part of it. */
};

struct behaviour_case {
	const char *name;
	enum behaviour behaviour;
	bool udp, tls;
	enum ep_tcpcheck_check check;
	struct want want[3]; /* status PENDING: no more rows. */
};

#define OPEN EP_TCPCHECK_OPEN
#define CONNECTED                             \
	{                                     \
		EP_TCPCHECK_CONNECT, OPEN, "" \
	}

static const struct behaviour_case cases[] = {
	{"connect", SILENT, false, false, EP_TCPCHECK_CONNECT, {CONNECTED}},
	{"connect, closed", CLOSES, false, false, EP_TCPCHECK_CONNECT,
		{{EP_TCPCHECK_CONNECT, EP_TCPCHECK_RESET, "closed"}}},
	{"connect, reset", RESETS, false, false, EP_TCPCHECK_CONNECT,
		{{EP_TCPCHECK_CONNECT, EP_TCPCHECK_RESET, "reset"}}},
	{"http", HTTP_404, false, false, EP_TCPCHECK_HTTP,
		{CONNECTED, {EP_TCPCHECK_HTTP, OPEN, "HTTP 404 Not Found"}}},
	{"http, text", TALKS, false, false, EP_TCPCHECK_HTTP,
		{CONNECTED, {EP_TCPCHECK_HTTP, EP_TCPCHECK_WRONG_PROTOCOL, "220 hello?[31m"}}},
	{"http, closed", CLOSES_ON_DATA, false, false, EP_TCPCHECK_HTTP,
		{CONNECTED, {EP_TCPCHECK_HTTP, EP_TCPCHECK_RESET, "closed"}}},
	{"http, reset", RESETS, false, false, EP_TCPCHECK_HTTP,
		{CONNECTED, {EP_TCPCHECK_HTTP, EP_TCPCHECK_RESET, "reset"}}},
	{"http, silent", SILENT, false, false, EP_TCPCHECK_HTTP,
		{CONNECTED, {EP_TCPCHECK_HTTP, EP_TCPCHECK_FILTERED, "silent"}}},
	{"http, half an answer", HTTP_SLOW, false, false, EP_TCPCHECK_HTTP,
		{CONNECTED, {EP_TCPCHECK_HTTP, EP_TCPCHECK_FILTERED, "stopped within its answer"}}},
	{"tls", HTTP_404, false, true, EP_TCPCHECK_TLS,
		{CONNECTED, {EP_TCPCHECK_TLS, OPEN, "TLSv1.3"},
			{EP_TCPCHECK_HTTP, OPEN, "HTTP 404 Not Found"}}},
	{"tls, text", TALKS, false, false, EP_TCPCHECK_TLS,
		{CONNECTED, {EP_TCPCHECK_TLS, EP_TCPCHECK_WRONG_PROTOCOL, "220 hello"}}},
	{"tls, silent", SILENT, false, false, EP_TCPCHECK_TLS,
		{CONNECTED, {EP_TCPCHECK_TLS, EP_TCPCHECK_FILTERED, "silent"}}},
	{"tls, closed", CLOSES_ON_DATA, false, false, EP_TCPCHECK_TLS,
		{CONNECTED, {EP_TCPCHECK_TLS, EP_TCPCHECK_RESET, "closed"}}},
	{"tls, closes instead of HTTP", CLOSES_ON_DATA, false, true, EP_TCPCHECK_TLS,
		{CONNECTED, {EP_TCPCHECK_TLS, OPEN, ""},
			{EP_TCPCHECK_HTTP, EP_TCPCHECK_RESET, "closed"}}},
	{"turn in tls", BARE_STUN, false, true, EP_TCPCHECK_TURN_TLS,
		{CONNECTED, {EP_TCPCHECK_TURN_TLS, OPEN, "401 realm media.test"}}},
	{"http in place of turn in tls", TALKS, false, true, EP_TCPCHECK_TURN_TLS,
		{CONNECTED, {EP_TCPCHECK_TURN_TLS, EP_TCPCHECK_WRONG_PROTOCOL, "220"}}},
	{"ice-tcp", FRAMED_STUN, false, false, EP_TCPCHECK_ICE_TCP,
		{CONNECTED, {EP_TCPCHECK_ICE_TCP, OPEN, "mapped 127.0.0.1:"}}},
	{"ice-tcp among other frames", FRAMED_OTHERS, false, false, EP_TCPCHECK_ICE_TCP,
		{CONNECTED, {EP_TCPCHECK_ICE_TCP, OPEN, "mapped 127.0.0.1:"}}},
	{"ice-tcp, silent", SILENT, false, false, EP_TCPCHECK_ICE_TCP,
		{CONNECTED, {EP_TCPCHECK_ICE_TCP, OPEN, "silent"}}},
	{"ice-tcp, closed by the service", CLOSES_ON_DATA, false, false, EP_TCPCHECK_ICE_TCP,
		{CONNECTED, {EP_TCPCHECK_ICE_TCP, OPEN, "closed by the service"}}},
	{"ice-tcp, closed by a proxy", CLOSES, false, false, EP_TCPCHECK_ICE_TCP,
		{CONNECTED, {EP_TCPCHECK_ICE_TCP, EP_TCPCHECK_RESET, "closed"}}},
	{"ice-tcp, reset", RESETS, false, false, EP_TCPCHECK_ICE_TCP,
		{CONNECTED, {EP_TCPCHECK_ICE_TCP, EP_TCPCHECK_RESET, "reset"}}},
	{"ice-tcp, text", TALKS, false, false, EP_TCPCHECK_ICE_TCP,
		{CONNECTED, {EP_TCPCHECK_ICE_TCP, EP_TCPCHECK_WRONG_PROTOCOL, "220"}}},
	{"stun over tcp", BARE_STUN, false, false, EP_TCPCHECK_STUN,
		{CONNECTED, {EP_TCPCHECK_STUN, OPEN, "mapped 127.0.0.1:"}}},
	{"turn over tcp", BARE_STUN, false, false, EP_TCPCHECK_TURN,
		{CONNECTED, {EP_TCPCHECK_TURN, OPEN, "401 realm media.test"}}},
	{"turn over udp", BARE_STUN, true, false, EP_TCPCHECK_TURN,
		{{EP_TCPCHECK_STUN, OPEN, "mapped 127.0.0.1:"},
			{EP_TCPCHECK_TURN, OPEN, "401 realm media.test"}}},
	{"stun over udp", BARE_STUN, true, false, EP_TCPCHECK_STUN,
		{{EP_TCPCHECK_STUN, OPEN, "mapped 127.0.0.1:"}}},
	{"stun without turn", STUN_ONLY, true, false, EP_TCPCHECK_TURN,
		{{EP_TCPCHECK_STUN, OPEN, ""},
			{EP_TCPCHECK_TURN, EP_TCPCHECK_WRONG_PROTOCOL, "420"}}},
	{"udp, text", TALKS, true, false, EP_TCPCHECK_TURN,
		{{EP_TCPCHECK_STUN, EP_TCPCHECK_WRONG_PROTOCOL, "hello"}}},
	{"udp, silent", SILENT, true, false, EP_TCPCHECK_TURN,
		{{EP_TCPCHECK_STUN, EP_TCPCHECK_FILTERED, "silent"}}},
};

static void
case_check(const struct behaviour_case *k, struct ep_tcpcheck *c)
{
	uint32_t count, wanted = 0;
	const struct ep_tcpcheck_row *row = ep_tcpcheck_rows(c, &count);

	while (wanted < 3 && k->want[wanted].status != EP_TCPCHECK_PENDING)
		wanted++;
	if (count != wanted)
		fail_msg("%s: %u rows, not %u", k->name, count, wanted);
	for (uint32_t i = 0; i < count; i++) {
		const struct want *w = &k->want[i];

		if (row[i].check != w->check || row[i].status != w->status ||
			strstr(row[i].reply, w->reply) == NULL)
			fail_msg("%s: row %u is %s, %s, '%s'", k->name, i,
				ep_tcpcheck_check_name(row[i].check),
				ep_tcpcheck_status_name(row[i].status), row[i].reply);
		if (row[i].sentence[0] == '\0')
			fail_msg("%s: row %u has no sentence", k->name, i);
		if ((row[i].advice[0] == '\0') != (row[i].status == OPEN))
			fail_msg("%s: row %u is %s with the advice '%s'", k->name, i,
				ep_tcpcheck_status_name(row[i].status), row[i].advice);
	}
}

static void
each_answer_gets_its_status_and_its_row(void **state)
{
	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(cases); i++) {
		const struct behaviour_case *k = &cases[i];
		struct server *servers[2] = {k->udp ? server_start_udp(k->behaviour)
						    : server_start(k->behaviour, k->tls),
			NULL};
		struct ep_tcpcheck_cfg cfg = test_cfg();
		struct ep_tcpcheck *c;

		test_target(&cfg, k->udp ? EP_TCPCHECK_UDP : EP_TCPCHECK_TCP,
			server_port(servers[0]), k->check);
		c = test_checker(&cfg);
		test_round(c, servers);
		case_check(k, c);
		ep_tcpcheck_destroy(c);
		server_stop(servers[0]);
	}
}

static void
no_level_takes_longer_than_the_time_out(void **state)
{
	static const enum ep_tcpcheck_check checks[] = {
		EP_TCPCHECK_HTTP, EP_TCPCHECK_TLS, EP_TCPCHECK_ICE_TCP, EP_TCPCHECK_STUN};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(checks); i++) {
		struct server *servers[2] = {server_start(SILENT, false), NULL};
		struct ep_tcpcheck_cfg cfg = test_cfg();
		const uint64_t start_ns = test_now_ns;
		struct ep_tcpcheck *c;

		cfg.timeout_ns = 700 * EP_NS_PER_MS;
		test_target(&cfg, EP_TCPCHECK_TCP, server_port(servers[0]), checks[i]);
		c = test_checker(&cfg);
		test_round(c, servers);
		/* The connect, a moment of grace, the level. */
		assert_in_range(test_now_ns - start_ns, 700 * EP_NS_PER_MS, 950 * EP_NS_PER_MS);
		ep_tcpcheck_destroy(c);
		server_stop(servers[0]);
	}
}

static void
handshake_shows_the_certificate(void **state)
{
	struct server *servers[2] = {server_start(HTTP_404, true), NULL};
	struct ep_tcpcheck_cfg cfg = test_cfg();
	const struct ep_tcpcheck_row *row;
	struct ep_tcpcheck *c;

	(void)state;
	test_target(&cfg, EP_TCPCHECK_TCP, server_port(servers[0]), EP_TCPCHECK_TLS);
	c = test_checker(&cfg);
	test_round(c, servers);
	row = test_row(c, server_port(servers[0]), EP_TCPCHECK_TLS);
	assert_non_null(row);
	assert_true(row->tls.known);
	assert_string_equal(row->tls.version, "TLSv1.3");
	assert_string_equal(row->tls.subject, "CN=media.test");
	assert_string_equal(row->tls.issuer, "CN=test issuer");
	assert_int_equal(row->tls.days_left, 30);
	assert_false(row->tls.verified);
	assert_true(row->tls.verify_text[0] != '\0');
	assert_true(row->tls_ns > 0);
	assert_non_null(strstr(row->sentence, "issued by CN=test issuer"));
	ep_tcpcheck_destroy(c);
	server_stop(servers[0]);
}

static void
another_issuer_than_the_expected_one_fails(void **state)
{
	static const struct {
		const char *expect;
		enum ep_tcpcheck_status status;
	} issuers[] = {
		{"Test ISSUER", EP_TCPCHECK_OPEN}, {"Let's Encrypt", EP_TCPCHECK_TLS_FAILED}};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(issuers); i++) {
		struct server *servers[2] = {server_start(HTTP_404, true), NULL};
		struct ep_tcpcheck_cfg cfg = test_cfg();
		const struct ep_tcpcheck_row *row;
		struct ep_tcpcheck *c;

		cfg.expect_issuer = issuers[i].expect;
		test_target(&cfg, EP_TCPCHECK_TCP, server_port(servers[0]), EP_TCPCHECK_TLS);
		c = test_checker(&cfg);
		test_round(c, servers);
		row = test_row(c, server_port(servers[0]), EP_TCPCHECK_TLS);
		assert_non_null(row);
		assert_int_equal(row->status, issuers[i].status);
		assert_string_equal(row->tls.issuer, "CN=test issuer");
		if (i == 1)
			assert_non_null(strstr(row->sentence, "not by 'Let's Encrypt'"));
		ep_tcpcheck_destroy(c);
		server_stop(servers[0]);
	}
}

static void
request_over_udp_is_repeated_as_rfc_8489_says(void **state)
{
	static const struct {
		uint32_t lost;
		uint64_t answer_ms;
	} losses[] = {{0, 0}, {1, 500}, {2, 1500}, {3, 3500}};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(losses); i++) {
		struct server *servers[2] = {server_start_udp(BARE_STUN), NULL};
		struct ep_tcpcheck_cfg cfg = test_cfg();
		const struct ep_tcpcheck_row *row;
		struct ep_tcpcheck *c;

		test_target(&cfg, EP_TCPCHECK_UDP, server_port(servers[0]), EP_TCPCHECK_STUN);
		c = test_checker(&cfg);
		server_lose(servers[0], losses[i].lost);
		test_round(c, servers);
		row = test_row(c, server_port(servers[0]), EP_TCPCHECK_STUN);
		assert_non_null(row);
		assert_int_equal(row->status, EP_TCPCHECK_OPEN);
		assert_int_equal(row->tries, losses[i].lost + 1);
		assert_in_range(row->connect_ns / EP_NS_PER_MS, losses[i].answer_ms,
			losses[i].answer_ms + 5);
		assert_memory_equal(row->mapped, "127.0.0.1:", 10);
		ep_tcpcheck_destroy(c);
		server_stop(servers[0]);
	}
}

static void
second_check_of_a_port_has_no_second_connect_row(void **state)
{
	struct server *servers[2] = {server_start(BARE_STUN, true), NULL};
	const uint16_t port = server_port(servers[0]);
	struct ep_tcpcheck_cfg cfg = test_cfg();
	struct ep_tcpcheck *c;
	uint32_t count;

	(void)state;
	cfg.turn_sni = "turn.test";
	test_target(&cfg, EP_TCPCHECK_TCP, port, EP_TCPCHECK_TLS);
	test_target(&cfg, EP_TCPCHECK_TCP, port, EP_TCPCHECK_TURN_TLS);
	c = test_checker(&cfg);
	test_round(c, servers);
	ep_tcpcheck_rows(c, &count);
	/* connect, tls, http (a TURN server says nothing to a GET), turn-tls */
	assert_int_equal(count, 4);
	assert_int_equal(test_row(c, port, EP_TCPCHECK_TURN_TLS)->status, EP_TCPCHECK_OPEN);
	assert_int_equal(test_row(c, port, EP_TCPCHECK_HTTP)->status, EP_TCPCHECK_FILTERED);
	ep_tcpcheck_destroy(c);
	server_stop(servers[0]);
}

static void
shut_port_is_refused_with_its_time_and_a_rule(void **state)
{
	struct ep_tcpcheck_cfg cfg = test_cfg();
	const uint16_t port = free_port();
	const struct ep_tcpcheck_row *row;
	struct ep_tcpcheck *c;
	char rule[64];

	(void)state;
	test_target(&cfg, EP_TCPCHECK_TCP, port, EP_TCPCHECK_HTTP);
	c = test_checker(&cfg);
	test_round(c, NULL);
	row = test_row(c, port, EP_TCPCHECK_CONNECT);
	assert_non_null(row);
	assert_int_equal(row->status, EP_TCPCHECK_REFUSED);
	assert_true(row->connect_ns > 0);
	assert_null(test_row(c, port, EP_TCPCHECK_HTTP));
	snprintf(rule, sizeof(rule), "ufw allow %u/tcp", port);
	assert_non_null(strstr(row->advice, rule));
	snprintf(rule, sizeof(rule), "nft insert rule inet filter input tcp dport %u accept", port);
	assert_non_null(strstr(row->advice, rule));
	ep_tcpcheck_destroy(c);
}

/* Whoever answers in the place of the service does not know the password. */
static void
answer_says_whether_it_knows_the_password(void **state)
{
	static const struct {
		const char *of_server, *given, *reply;
		bool whole; /* reply is all of it */
	} answers[] = {
		{NULL, "secret", ", without integrity", false},
		{NULL, NULL, "mapped 127.0.0.1:", false},
		{"secret", "secret", "mapped 127.0.0.1:", false},
		{"secret", "guess", "401 Unauthenticated", true},
		{"secret", NULL, "400 Bad Request", true},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(answers); i++) {
		struct server *servers[2] = {server_start(FRAMED_STUN, false), NULL};
		const uint16_t port = server_port(servers[0]);
		struct ep_tcpcheck_cfg cfg = test_cfg();
		const struct ep_tcpcheck_row *row;
		struct ep_tcpcheck *c;

		server_password(servers[0], answers[i].of_server);
		cfg.ufrag = "ours";
		cfg.pwd = answers[i].given;
		test_target(&cfg, EP_TCPCHECK_TCP, port, EP_TCPCHECK_ICE_TCP);
		c = test_checker(&cfg);
		test_round(c, servers);
		row = test_row(c, port, EP_TCPCHECK_ICE_TCP);
		assert_non_null(row);
		assert_int_equal(row->status, EP_TCPCHECK_OPEN);
		if (answers[i].whole)
			assert_string_equal(row->reply, answers[i].reply);
		else
			assert_non_null(strstr(row->reply, answers[i].reply));
		assert_int_equal(strstr(row->reply, "integrity") != NULL, i == 0);
		ep_tcpcheck_destroy(c);
		server_stop(servers[0]);
	}
}

static uint64_t
seed_of_this_run(void)
{
	const char *text = getenv("EP_TEST_SEED");
	const uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : 20260101;

	printf("# EP_TEST_SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

/* Random answers at every level: a status and a sentence each, in time, and never "open" above the connect unless the bytes were right. */
static void
garbage_gets_a_status_in_time(void **state)
{
	static const enum ep_tcpcheck_check checks[] = {EP_TCPCHECK_HTTP, EP_TCPCHECK_TLS,
		EP_TCPCHECK_TURN_TLS, EP_TCPCHECK_ICE_TCP, EP_TCPCHECK_STUN, EP_TCPCHECK_TURN};
	const uint64_t seed = seed_of_this_run();

	(void)state;
	for (uint64_t i = 0; i < 300; i++) {
		const bool udp = i % 7 == 6;
		const enum ep_tcpcheck_check check =
			udp ? EP_TCPCHECK_TURN : checks[i % EP_ARRAY_LEN(checks)];
		struct server *servers[2] = {
			udp ? server_start_udp(GARBAGE) : server_start(GARBAGE, false), NULL};
		struct ep_tcpcheck_cfg cfg = test_cfg();
		const uint64_t start_ns = test_now_ns;
		const struct ep_tcpcheck_row *row;
		struct ep_tcpcheck *c;
		uint32_t count;

		server_seed(servers[0], seed + i);
		cfg.timeout_ns = 300 * EP_NS_PER_MS;
		test_target(&cfg, udp ? EP_TCPCHECK_UDP : EP_TCPCHECK_TCP, server_port(servers[0]),
			check);
		c = test_checker(&cfg);
		test_round(c, servers);
		assert_true(test_now_ns - start_ns <= 1200 * EP_NS_PER_MS);
		row = ep_tcpcheck_rows(c, &count);
		assert_true(count > 0);
		row += count - 1;
		if (row->status == EP_TCPCHECK_PENDING || row->status == EP_TCPCHECK_ERROR ||
			row->sentence[0] == '\0' ||
			(row->status == EP_TCPCHECK_OPEN && check != EP_TCPCHECK_HTTP &&
				check != EP_TCPCHECK_ICE_TCP))
			fail_msg("seed %llu: %s is %s: %s", (unsigned long long)(seed + i),
				ep_tcpcheck_check_name(row->check),
				ep_tcpcheck_status_name(row->status), row->sentence);
		for (const char *p = row->sentence; *p != '\0'; p++)
			assert_in_range(*p, ' ', '~');
		/* A held connection and the messages of a capacity test hear the same. */
		ep_tcpcheck_hold_start(c, test_now_ns);
		test_run(c, servers, 1200 * EP_NS_PER_MS);
		ep_tcpcheck_destroy(c);
		server_stop(servers[0]);
	}
}

/* Real time: what is tested is that a call comes back. */
static uint64_t
clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * EP_NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* Say empty frames, without an end, to whoever connects. Returns the child's id. */
static pid_t
flood_start(uint16_t *port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sa);
	const int fd = socket(AF_INET, SOCK_STREAM, 0);
	pid_t pid;

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	*port = ntohs(sa.sin_port);
	pid = fork();
	if (pid == 0) {
		static const char zeros[65536];
		int peer;

		alarm(10);
		while ((peer = accept(fd, NULL, NULL)) >= 0)
			while (send(peer, zeros, sizeof(zeros), MSG_NOSIGNAL) > 0)
				;
		_exit(0);
	}
	close(fd);
	return pid;
}

/* The descriptor is readable all the time, and nothing that comes is an answer or the beginning of one. */
static void
flood_of_what_is_no_answer_ends_its_level(void **state)
{
	struct ep_tcpcheck_cfg cfg = test_cfg();
	const uint64_t start_ns = clock_ns();
	const struct ep_tcpcheck_row *row;
	struct ep_tcpcheck *c;
	uint16_t port;
	const pid_t pid = flood_start(&port);

	(void)state;
	assert_true(pid > 0);
	test_target(&cfg, EP_TCPCHECK_TCP, port, EP_TCPCHECK_ICE_TCP);
	c = test_checker(&cfg);
	ep_tcpcheck_round_start(c, clock_ns());
	while (!ep_tcpcheck_round_done(c) && clock_ns() - start_ns < 20 * EP_NS_PER_S) {
		usleep(1000);
		ep_tcpcheck_poll(c, clock_ns());
	}
	row = test_row(c, port, EP_TCPCHECK_ICE_TCP);
	assert_non_null(row);
	assert_int_equal(row->status, EP_TCPCHECK_WRONG_PROTOCOL);
	assert_true(clock_ns() - start_ns < 8 * EP_NS_PER_S);
	ep_tcpcheck_destroy(c);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_answer_gets_its_status_and_its_row),
		cmocka_unit_test(no_level_takes_longer_than_the_time_out),
		cmocka_unit_test(handshake_shows_the_certificate),
		cmocka_unit_test(another_issuer_than_the_expected_one_fails),
		cmocka_unit_test(request_over_udp_is_repeated_as_rfc_8489_says),
		cmocka_unit_test(second_check_of_a_port_has_no_second_connect_row),
		cmocka_unit_test(shut_port_is_refused_with_its_time_and_a_rule),
		cmocka_unit_test(answer_says_whether_it_knows_the_password),
		cmocka_unit_test(garbage_gets_a_status_in_time),
		cmocka_unit_test(flood_of_what_is_no_answer_ends_its_level),
	};

	return cmocka_run_group_tests_name("tcpcheck_round", tests, NULL, NULL);
}
