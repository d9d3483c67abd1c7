/* Connections over loopback, with a clock that the test turns; lib/xport is the client of the control channel. */
#include "server_util.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define HELD_WANTED 5000

static void
each_protocol_is_answered_on_one_and_the_same_port(void **state)
{
	struct test t;
	uint8_t frame[64], buf[64];
	int http, ice;

	(void)state;
	server_start(&t, 10);
	http = client_open(&t);
	ice = client_open(&t);
	client_say(http, GET, strlen(GET));
	client_say(ice, frame, framed_binding(frame));
	assert_int_equal(client_hear(&t, http, buf, 12), 12);
	assert_memory_equal(buf, "HTTP/1.1 404", 12);
	assert_int_equal(client_hear(&t, ice, buf, FRAMED_ANSWER_BYTES), FRAMED_ANSWER_BYTES);
	assert_memory_equal(buf + 2, "\x01\x01", 2);
	assert_memory_equal(buf + 10, frame + 10, EP_STUN_TXID_BYTES);
	assert_int_equal(t.noises, 0);
	close(http);
	close(ice);
	server_stop(&t);
}

static void
a_control_connection_is_handed_over_with_every_byte(void **state)
{
	static const uint8_t key[EP_XPORT_KEY_BYTES] = {1};
	static const struct ep_wire_ip loopback = {
		.family = EP_WIRE_IPV4, .bytes_be = {127, 0, 0, 1}};
	struct ep_xport_conn *client, *server = NULL;
	struct test t;

	(void)state;
	server_start(&t, 10);
	assert_int_equal(ep_xport_create(key, &t.x, NULL), 0);
	assert_int_equal(
		ep_xport_connect(t.x, &loopback, t.port, t.now_ns, 5 * EP_NS_PER_S, &client, NULL),
		0);
	for (int i = 0; i < ROUNDS_MAX && ep_xport_advance(client, EP_NS_PER_S) != EP_XPORT_OPEN;
		i++) {
		turn(&t);
		if (t.control_fd >= 0 && server == NULL)
			assert_int_equal(ep_xport_accept(t.x, t.control_fd, EP_NS_PER_S,
						 5 * EP_NS_PER_S, &server, NULL),
				0);
		if (server != NULL)
			ep_xport_advance(server, EP_NS_PER_S);
	}
	assert_int_equal(ep_xport_advance(client, EP_NS_PER_S), EP_XPORT_OPEN);
	assert_int_equal(counts(&t).control, 1);
	assert_int_equal(counts(&t).conns, 0);
	ep_xport_close(client);
	ep_xport_close(server);
	server_stop(&t);
}

static void
what_is_not_understood_is_closed_and_told(void **state)
{
	struct test t;
	int fd, silent;

	(void)state;
	server_start(&t, 10);
	fd = client_open(&t);
	silent = client_open(&t);
	client_say(fd, "SSH-2.0-x\r\n", 11);
	assert_true(client_is_closed(&t, fd));
	close(silent);
	for (int i = 0; i < ROUNDS_MAX && counts(&t).conns > 0; i++)
		turn(&t);
	assert_int_equal(t.noises, 1);
	assert_non_null(strstr(t.noise, "127.0.0.1 port "));
	assert_int_equal(counts(&t).conns, 0);
	close(fd);
	server_stop(&t);
}

static void
silent_connections_are_kept_and_unfinished_ones_are_not(void **state)
{
	struct test t;
	uint8_t frame[64], buf[FRAMED_ANSWER_BYTES];
	int silent, half, ended, spoken;

	(void)state;
	server_start(&t, 10);
	silent = client_open(&t);
	half = client_open(&t);
	ended = client_open(&t);
	spoken = client_open(&t);
	client_say(half, "GET / HTT", 9);
	client_say(ended, "GE", 2);
	client_say(spoken, frame, framed_binding(frame));
	assert_int_equal(client_hear(&t, spoken, buf, sizeof(buf)), sizeof(buf));
	t.now_ns += EP_FALLBACK_BUSY_NS - EP_NS_PER_S;
	assert_true(client_is_open(&t, half));
	t.now_ns += 2 * EP_NS_PER_S;
	assert_true(client_is_closed(&t, half));
	assert_true(client_is_closed(&t, ended));
	t.now_ns += EP_FALLBACK_IDLE_NS - 20 * EP_NS_PER_S;
	assert_true(client_is_open(&t, silent));
	assert_true(client_is_open(&t, spoken));
	/* One says something, and so stays. */
	client_say(spoken, frame, framed_binding(frame));
	assert_int_equal(client_hear(&t, spoken, buf, sizeof(buf)), sizeof(buf));
	t.now_ns += 20 * EP_NS_PER_S;
	assert_true(client_is_closed(&t, silent));
	assert_true(client_is_open(&t, spoken));
	close(silent);
	close(half);
	close(ended);
	close(spoken);
	server_stop(&t);
}

/* Messages that never stop coming are never whole at any one moment, and are no reason to close. */
static void
a_busy_connection_is_not_an_unfinished_one(void **state)
{
	struct test t;
	uint8_t frame[64], buf[FRAMED_ANSWER_BYTES];
	const size_t len = framed_binding(frame);
	int fd;

	(void)state;
	server_start(&t, 10);
	fd = client_open(&t);
	client_say(fd, frame, 15);
	for (int i = 0; i < 30; i++) {
		client_say(fd, frame + 15, len - 15);
		client_say(fd, frame, 15);
		assert_int_equal(client_hear(&t, fd, buf, sizeof(buf)), sizeof(buf));
		t.now_ns += EP_NS_PER_S;
	}
	close(fd);
	server_stop(&t);
}

static void
the_longest_silent_connection_makes_room(void **state)
{
	struct test t;
	uint8_t frame[64], buf[FRAMED_ANSWER_BYTES];
	int fd[5];

	(void)state;
	server_start(&t, 4);
	for (int i = 0; i < 4; i++) {
		fd[i] = client_open(&t);
		turn(&t);
	}
	client_say(fd[0], frame, framed_binding(frame));
	assert_int_equal(client_hear(&t, fd[0], buf, sizeof(buf)), sizeof(buf));
	fd[4] = client_open(&t);
	assert_true(client_is_closed(&t, fd[1]));
	assert_int_equal(counts(&t).evicted, 1);
	assert_int_equal(counts(&t).conns, 4);
	for (int i = 0; i < 5; i++) {
		if (i != 1)
			assert_true(client_is_open(&t, fd[i]));
		close(fd[i]);
	}
	server_stop(&t);
}

/* A peer that asks and does not listen: the server stops reading; once it listens every answer is there. */
static void
answers_wait_for_a_slow_reader_and_none_is_lost(void **state)
{
	struct test t;
	static uint8_t buf[1 << 16];
	uint8_t frame[64];
	const size_t len = framed_binding(frame);
	const struct mallinfo2 before = mallinfo2();
	const int small = 65536;
	uint64_t sent = 0, asked, heard = 0;
	int fd, stuck = 0;

	(void)state;
	server_start(&t, 10);
	fd = client_open(&t);
	/* Small buffers: full soon. */
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	while (stuck < 20) {
		const size_t at = sent % len;
		const ssize_t put = send(fd, frame + at, len - at, MSG_DONTWAIT | MSG_NOSIGNAL);

		sent += put > 0 ? (uint64_t)put : 0;
		stuck = put > 0 ? 0 : stuck + 1;
		if (put < 0)
			turn(&t);
	}
	asked = sent / len;
	assert_true(asked > 100);
	assert_true(mallinfo2().uordblks - before.uordblks < 512 << 10);
	while (heard < asked * FRAMED_ANSWER_BYTES) {
		const ssize_t got = client_hear(&t, fd, buf, FRAMED_ANSWER_BYTES);

		assert_int_equal(got, FRAMED_ANSWER_BYTES);
		assert_memory_equal(buf, "\x00\x20\x01\x01", 4);
		heard += (uint64_t)got;
	}
	close(fd);
	server_stop(&t);
}

static void
thousands_of_connections_are_held_with_little_memory_each(void **state)
{
	static int fd[HELD_WANTED];
	const struct rlimit want = {2 * HELD_WANTED + 100, 2 * HELD_WANTED + 100};
	struct rlimit limit;
	uint8_t frame[64], buf[FRAMED_ANSWER_BYTES];
	const size_t len = framed_binding(frame);
	struct mallinfo2 before;
	struct test t;
	int held;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_cur < want.rlim_cur && setrlimit(RLIMIT_NOFILE, &want) < 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	getrlimit(RLIMIT_NOFILE, &limit);
	held = limit.rlim_cur < want.rlim_cur ? (int)(limit.rlim_cur - 100) / 2 : HELD_WANTED;
	before = mallinfo2();
	server_start(&t, EP_FALLBACK_CONNS_MAX);
	for (int i = 0; i < held; i++) {
		fd[i] = client_open(&t);
		if (i % 32 == 0)
			turn(&t);
	}
	for (int i = 0; i < held; i++) {
		client_say(fd[i], frame, len);
		assert_int_equal(client_hear(&t, fd[i], buf, sizeof(buf)), sizeof(buf));
	}
	print_message("# %d connections, %zu B each\n", held,
		(mallinfo2().uordblks + mallinfo2().hblkhd - before.uordblks - before.hblkhd) /
			(size_t)held);
	assert_int_equal(counts(&t).conns, held);
	assert_int_equal(counts(&t).evicted, 0);
	assert_true(mallinfo2().uordblks + mallinfo2().hblkhd <
		before.uordblks + before.hblkhd + (size_t)held * 4096);
	for (int i = 0; i < held; i++)
		close(fd[i]);
	server_stop(&t);
}

static void
strangers_get_a_bounded_share_of_the_time(void **state)
{
	struct test t;
	uint8_t frame[64];
	const size_t len = framed_binding(frame);
	int fd, pause_ms;

	(void)state;
	server_start(&t, 10);
	fd = client_open(&t);
	/* The clock stands still: the share is used up, and comes back with time. */
	t.now_ns += EP_NS_PER_S;
	for (int i = 0; i < EP_FALLBACK_EVENTS_PER_S && ep_fallback_pause_ms(t.f, t.now_ns) == 0;
		i++) {
		client_say(fd, frame, len);
		ep_fallback_run(t.f, t.now_ns);
		while (recv(fd, frame + 40, 8, MSG_DONTWAIT) > 0)
			;
	}
	pause_ms = ep_fallback_pause_ms(t.f, t.now_ns);
	assert_true(pause_ms > 0);
	assert_int_equal(
		ep_fallback_pause_ms(t.f, t.now_ns + (uint64_t)pause_ms * EP_NS_PER_MS), 0);
	close(fd);
	server_stop(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_protocol_is_answered_on_one_and_the_same_port),
		cmocka_unit_test(a_control_connection_is_handed_over_with_every_byte),
		cmocka_unit_test(what_is_not_understood_is_closed_and_told),
		cmocka_unit_test(silent_connections_are_kept_and_unfinished_ones_are_not),
		cmocka_unit_test(a_busy_connection_is_not_an_unfinished_one),
		cmocka_unit_test(the_longest_silent_connection_makes_room),
		cmocka_unit_test(answers_wait_for_a_slow_reader_and_none_is_lost),
		cmocka_unit_test(thousands_of_connections_are_held_with_little_memory_each),
		cmocka_unit_test(strangers_get_a_bounded_share_of_the_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
