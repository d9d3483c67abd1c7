/* STUN by UDP over loopback. */
#include "server_util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static uint16_t
udp_port(struct test *t)
{
	struct ep_err err = {0};

	/* Any that is free; twice the same is refused. */
	for (uint16_t port = 40000; port < 41000; port++) {
		if (ep_fallback_udp(t->f, port, &err) < 0)
			continue;
		assert_int_equal(ep_fallback_udp(t->f, port, &err), -EADDRINUSE);
		assert_non_null(strstr(err.text, "in use"));
		return port;
	}
	fail_msg("no UDP port: %s", err.text);
	return 0;
}

static int
udp_client(int family, const char *to, uint16_t port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 sa6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	const int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	if (family == AF_INET) {
		assert_int_equal(inet_pton(AF_INET, to, &sa.sin_addr), 1);
		assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	} else {
		assert_int_equal(inet_pton(AF_INET6, to, &sa6.sin6_addr), 1);
		assert_int_equal(connect(fd, (struct sockaddr *)&sa6, sizeof(sa6)), 0);
	}
	return fd;
}

static ssize_t
udp_hear(struct test *t, int fd, uint8_t *buf, size_t len)
{
	ssize_t got = -1;

	for (int i = 0; i < 2000 && got < 0; i++) {
		turn(t);
		got = recv(fd, buf, len, 0);
	}
	return got;
}

/* The client's socket is connected: an answer from another address would not reach it. */
static void
datagrams_are_answered_from_the_address_that_was_asked(void **state)
{
	static const struct {
		int family;
		const char *to;
		ssize_t want;
	} c[] = {
		{AF_INET, "127.0.0.1", 32},
		{AF_INET, "127.0.0.2", 32},
		{AF_INET6, "::1", 44},
	};
	uint8_t frame[64], buf[256];
	const size_t len = framed_binding(frame);
	struct test t;
	uint16_t port;

	(void)state;
	server_start(&t, 10);
	port = udp_port(&t);
	for (size_t i = 0; i < EP_ARRAY_LEN(c); i++) {
		const int fd = udp_client(c[i].family, c[i].to, port);

		assert_int_equal(send(fd, frame + 2, len - 2, 0), len - 2);
		assert_int_equal(udp_hear(&t, fd, buf, sizeof(buf)), c[i].want);
		close(fd);
	}
	assert_int_equal(counts(&t).datagrams, EP_ARRAY_LEN(c));
	server_stop(&t);
}

static void
datagrams_are_answered_at_a_bounded_rate(void **state)
{
	uint8_t frame[64], buf[256];
	const size_t len = framed_binding(frame);
	struct test t;
	uint64_t answered;
	int fd;

	(void)state;
	server_start(&t, 10);
	fd = udp_client(AF_INET, "127.0.0.1", udp_port(&t));
	t.now_ns += EP_NS_PER_S;
	for (int i = 0; i < 2 * EP_FALLBACK_UDP_PPS; i++) {
		(void)!send(fd, frame + 2, len - 2, 0);
		ep_fallback_run(t.f, t.now_ns);
		while (recv(fd, buf, sizeof(buf), 0) > 0)
			;
	}
	answered = counts(&t).datagrams;
	assert_true(answered > 0 && answered <= EP_FALLBACK_UDP_PPS / 4);
	/* A second later there is room for as many again as lie ready. */
	t.now_ns += EP_NS_PER_S;
	assert_int_equal(send(fd, frame + 2, len - 2, 0), len - 2);
	assert_true(udp_hear(&t, fd, buf, sizeof(buf)) > 0);
	assert_int_equal(counts(&t).datagrams, answered + 1);
	close(fd);
	server_stop(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(datagrams_are_answered_from_the_address_that_was_asked),
		cmocka_unit_test(datagrams_are_answered_at_a_bounded_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
