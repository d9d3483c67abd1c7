/* Both sides ours, over loopback, with a clock that the test turns (ends.h). */

#include "ends.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define NOBODY 65534

/* --- Both sides ours -------------------------------------------------------------------------- */

static void
same_key_opens_both_sides_and_names_the_ends(void **state)
{
	struct pair p = ends_open(*state);
	struct ep_wire_ip a, b;
	uint16_t a_port, b_port;
	int on = 0;
	socklen_t len = sizeof(on);

	assert_int_equal(ep_xport_local(p.client, &a, &a_port), 0);
	assert_int_equal(ep_xport_remote(p.server, &b, &b_port), 0);
	assert_true(ep_wire_ip_equal(&a, &b));
	assert_true(ep_wire_ip_equal(
		&a, &ends_loopback)); /* IPv4, though the listener is of both families */
	assert_int_equal(a_port, b_port);
	assert_int_equal(ep_xport_remote(p.client, &a, &a_port), 0);
	assert_int_equal(ep_xport_local(p.server, &b, &b_port), 0);
	assert_true(ep_wire_ip_equal(&a, &b));
	assert_int_equal(a_port, b_port);
	assert_string_equal(ep_xport_error(p.client), "");
	for (int i = 0; i < 2; i++) {
		const int fd = ep_xport_fd(i == 0 ? p.client : p.server);

		assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
		assert_int_not_equal(on, 0);
		assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, &len), 0);
		assert_int_not_equal(on, 0);
	}
	ends_close(&p);
	ep_xport_close(NULL);
}

static void
listener_takes_ipv6_too(void **state)
{
	const struct ends *t = *state;
	struct pair p = {NULL, NULL};
	struct ep_wire_ip ip;
	uint16_t port;
	const int ret = ep_xport_connect(
		t->x, &ends_loopback6, t->port, NOW_NS, TIMEOUT_NS, &p.client, NULL);

	if (ret == -EAFNOSUPPORT || ret == -EADDRNOTAVAIL)
		return; /* a host without IPv6: the other tests have shown that it listens all the same */
	assert_int_equal(ret, 0);
	p.server = ends_server(t);
	ends_settle_both(p.client, p.server);
	assert_int_equal(ep_xport_advance(p.server, NOW_NS), EP_XPORT_OPEN);
	assert_int_equal(ep_xport_remote(p.server, &ip, &port), 0);
	assert_true(ep_wire_ip_equal(&ip, &ends_loopback6));
	ends_close(&p);
}

#define CHUNK_MAX 40000

/* One direction of a transfer; byte i of the stream is a function of i and salt. */
struct stream {
	struct ep_xport_conn *from, *to;
	uint64_t sent, received, total;
	uint64_t blocked_count; /* writes that found no room */
	size_t blocked_bytes;   /* length of the last of them; 0 when it has been made good */
	uint8_t salt;
	uint8_t tx[2 * CHUNK_MAX], rx[CHUNK_MAX];
};

static uint8_t
stream_byte(uint64_t at, uint8_t salt)
{
	return (uint8_t)(at ^ at >> 8 ^ at >> 16 ^ salt);
}

/* A retry has the same first bytes as what found no room, and perhaps more behind them, somewhere else in memory. */
static bool
stream_write(struct ends *t, struct stream *s)
{
	const uint64_t left = s->total - s->sent;
	uint8_t *tx = s->tx + ends_random(t) % CHUNK_MAX;
	const size_t least = s->blocked_bytes > 0 ? s->blocked_bytes : 1;
	size_t len = least + ends_random(t) % (CHUNK_MAX - least + 1);
	int64_t put;

	if (left == 0)
		return false;
	if (len > left)
		len = left;
	for (size_t i = 0; i < len; i++)
		tx[i] = stream_byte(s->sent + i, s->salt);
	put = ep_xport_write(s->from, tx, len);
	assert_true(put > 0 || put == -EAGAIN);
	assert_int_equal(ep_xport_wants_write(s->from), put == -EAGAIN);
	s->blocked_bytes = put > 0 ? 0 : len;
	s->blocked_count += put < 0;
	if (put > 0)
		s->sent += (uint64_t)put;
	return put > 0;
}

static bool
stream_read(struct ends *t, struct stream *s)
{
	const int64_t got = ep_xport_read(s->to, s->rx, 1 + ends_random(t) % sizeof(s->rx));

	assert_true(got > 0 || got == -EAGAIN);
	for (int64_t i = 0; i < got; i++) {
		if (s->rx[i] != stream_byte(s->received + (uint64_t)i, s->salt))
			fail_msg(
				"byte %llu differs", (unsigned long long)s->received + (uint64_t)i);
	}
	if (got > 0)
		s->received += (uint64_t)got;
	return got > 0;
}

/* So that a transfer fills it. (A small receive buffer would do that too, but then TCP waits for its timers.) */
static void
small_send_buffer(int fd)
{
	const int bytes = 16384;

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), 0);
}

static void
bytes_arrive_whole_in_both_directions_and_any_chunks(void **state)
{
	static struct stream up, down;
	struct pair p = ends_open(*state);
	struct ep_xport_conn *both[] = {p.client, p.server};

	small_send_buffer(ep_xport_fd(p.client));
	small_send_buffer(ep_xport_fd(p.server));
	up = (struct stream){.from = p.client, .to = p.server, .total = 3000017, .salt = 1};
	down = (struct stream){.from = p.server, .to = p.client, .total = 2000003, .salt = 2};
	while (up.received < up.total || down.received < down.total) {
		bool moved = stream_write(*state, &up);

		moved |= stream_write(*state, &down);
		/* Writers run ahead now and then, so that they fill the sockets. */
		if (moved && ends_random(*state) % 64 != 0)
			continue;
		while (stream_read(*state, &up))
			moved = true;
		while (stream_read(*state, &down))
			moved = true;
		if (!moved)
			ends_wait(both, 2);
	}
	assert_int_equal(up.received, up.total);
	assert_int_equal(down.received, down.total);
	assert_true(up.blocked_count > 0);
	assert_true(down.blocked_count > 0);
	ends_close(&p);
}

/* Small messages one by one: what one write took is readable without another write behind it. */
static void
each_write_leaves_at_once(void **state)
{
	struct pair p = ends_open(*state);
	uint8_t buf[100];

	for (size_t len = 1; len <= sizeof(buf); len++) {
		memset(buf, (int)len, len);
		assert_int_equal(ep_xport_write(p.client, buf, len), len);
		ends_read_exactly(p.server, buf, len);
		assert_int_equal(buf[len - 1], len);
		assert_int_equal(ep_xport_read(p.server, buf, 1), -EAGAIN);
	}
	ends_close(&p);
}

static void
wrong_key_is_told_on_both_sides(void **state)
{
	const struct ends *t = *state;
	struct pair p = {.client = ends_client(t->wrong, t->port)};

	p.server = ends_server(t);
	ends_settle_both(p.client, p.server);
	ends_assert_closed(p.client, EP_XPORT_WRONG_KEY, "another key");
	ends_assert_closed(p.server, EP_XPORT_WRONG_KEY, "another key");
	ends_close(&p);
	p = ends_open(t); /* and the next one is not hurt by it */
	ends_close(&p);
}

static void
close_is_seen_as_the_end_after_the_last_byte(void **state)
{
	struct pair p = ends_open(*state);
	uint8_t buf[16];

	assert_int_equal(ep_xport_write(p.server, (const uint8_t *)"busy", 4), 4);
	ep_xport_close(p.server);
	ends_read_exactly(p.client, buf, 4);
	assert_memory_equal(buf, "busy", 4);
	ends_wait(&p.client, 1);
	assert_int_equal(ep_xport_read(p.client, buf, 1), -EPIPE);
	ends_assert_closed(p.client, EP_XPORT_END, "closed the connection");
	ep_xport_close(p.client);
}

static void
end_of_tcp_alone_is_the_end_too(void **state)
{
	struct pair p = ends_open(*state);
	uint8_t byte;

	assert_int_equal(shutdown(ep_xport_fd(p.server), SHUT_WR), 0);
	ends_wait(&p.client, 1);
	assert_int_equal(ep_xport_read(p.client, &byte, 1), -EPIPE);
	ends_assert_closed(p.client, EP_XPORT_END, "without a word");
	ends_close(&p);
}

/* SIGPIPE has its default action here: raised, it would end this program. */
static void
write_to_a_peer_that_went_fails_without_a_signal_and_keeps_what_it_sent(void **state)
{
	struct pair p = ends_open(*state);
	int64_t ret = 0;
	uint8_t buf[8];

	assert_int_equal(ep_xport_write(p.server, (const uint8_t *)"busy", 4), 4);
	ep_xport_close(p.server);
	for (int i = 0; i < ROUNDS_MAX && ret != -EPIPE; i++)
		ret = ep_xport_write(p.client, (const uint8_t *)"x", 1);
	assert_int_equal(ret, -EPIPE);
	assert_false(ep_xport_wants_write(p.client));
	ends_read_exactly(p.client, buf, 4);
	assert_memory_equal(buf, "busy", 4);
	assert_int_equal(ep_xport_read(p.client, buf, 1), -EPIPE);
	ends_assert_closed(p.client, EP_XPORT_END, "");
	ep_xport_close(p.client);
}

static void
reset_is_the_end(void **state)
{
	const struct linger reset = {.l_onoff = 1};
	struct pair p = ends_open(*state);
	uint8_t byte;

	assert_int_equal(
		setsockopt(ep_xport_fd(p.server), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
	assert_int_equal(shutdown(ep_xport_fd(p.server), SHUT_RDWR), 0);
	ep_xport_close(p.server);
	ends_wait(&p.client, 1);
	assert_int_equal(ep_xport_read(p.client, &byte, 1), -EPIPE);
	ends_assert_closed(p.client, EP_XPORT_END, "the connection");
	ep_xport_close(p.client);
}

static void
tampered_bytes_break_the_connection(void **state)
{
	struct pair p = ends_open(*state);
	/* A record of application data with 32 bytes that no key of ours made. */
	const uint8_t forged[5 + 32] = {23, 3, 3, 0, 32};
	uint8_t byte;

	assert_int_equal(send(ep_xport_fd(p.server), forged, sizeof(forged), 0), sizeof(forged));
	ends_wait(&p.client, 1);
	assert_int_equal(ep_xport_read(p.client, &byte, 1), -EPIPE);
	ends_assert_closed(p.client, EP_XPORT_END, "broke the TLS connection");
	ends_close(&p);
}

static void
read_and_write_wait_for_the_handshake(void **state)
{
	const struct ends *t = *state;
	struct pair p = {.client = ends_client(t->x, t->port)};
	uint8_t byte = 0;

	p.server = ends_server(t);
	assert_int_equal(ep_xport_read(p.client, &byte, 1), -EAGAIN);
	assert_int_equal(ep_xport_write(p.client, &byte, 1), -EAGAIN);
	assert_int_equal(ep_xport_read(p.server, &byte, 1), -EAGAIN);
	assert_int_equal(ep_xport_write(p.server, &byte, 1), -EAGAIN);
	assert_true(ep_xport_wants_write(p.client));
	assert_false(ep_xport_wants_write(p.server));
	ends_close(&p);
}

/* --- Time ------------------------------------------------------------------------------------- */

static void
handshake_ends_at_its_deadline(void **state)
{
	const struct ends *t = *state;
	struct ep_xport_conn *client = ends_client(t->x, t->port), *server;
	const int silent_server = ends_accept_raw(t->listener), silent_client = ends_connect_raw(t);

	server = ends_server(t);
	ends_wait(&client, 1);
	for (int i = 0; i < 2; i++) {
		struct ep_xport_conn *conn = i == 0 ? client : server;

		assert_int_equal(ep_xport_advance(conn, NOW_NS), EP_XPORT_HANDSHAKE);
		assert_int_equal(
			ep_xport_advance(conn, NOW_NS + TIMEOUT_NS - 1), EP_XPORT_HANDSHAKE);
		assert_int_equal(ep_xport_advance(conn, NOW_NS + TIMEOUT_NS), EP_XPORT_CLOSED);
		ends_assert_closed(
			conn, EP_XPORT_TIMEOUT, "did not finish the TLS handshake within 5 s");
		ep_xport_close(conn);
	}
	close(silent_server);
	close(silent_client);
}

static void
open_connection_has_no_deadline(void **state)
{
	struct pair p = ends_open(*state);

	assert_int_equal(ep_xport_advance(p.client, NOW_NS + 10 * TIMEOUT_NS), EP_XPORT_OPEN);
	assert_int_equal(ep_xport_advance(p.server, NOW_NS + 10 * TIMEOUT_NS), EP_XPORT_OPEN);
	ends_close(&p);
}

/* A queue of one that is full: the kernel drops further SYNs, as a firewall does. */
static void
connect_ends_at_its_deadline(void **state)
{
	const struct ends *t = *state;
	const int listener = ep_xport_listen(0, NULL);
	struct ep_xport_conn *conn[4];

	assert_int_equal(listen(listener, 0), 0);
	for (int i = 0; i < 4; i++)
		conn[i] = ends_client(t->x, ends_port(listener));
	ends_wait(&conn[0], 1);
	assert_int_equal(ep_xport_advance(conn[3], NOW_NS + TIMEOUT_NS - 1), EP_XPORT_CONNECTING);
	assert_int_equal(ep_xport_advance(conn[3], NOW_NS + TIMEOUT_NS), EP_XPORT_CLOSED);
	ends_assert_closed(
		conn[3], EP_XPORT_TIMEOUT, "did not answer the TCP connection within 5 s");
	for (int i = 0; i < 4; i++)
		ep_xport_close(conn[i]);
	close(listener);
}

/* --- TCP -------------------------------------------------------------------------------------- */

static void
port_that_nobody_listens_on_is_refused(void **state)
{
	const struct ends *t = *state;
	const int listener = ep_xport_listen(0, NULL);
	const uint16_t port = ends_port(listener);
	struct ep_xport_conn *conn;

	close(listener);
	conn = ends_client(t->x, port);
	assert_int_equal(ends_settle(conn), EP_XPORT_CLOSED);
	ends_assert_closed(conn, EP_XPORT_REFUSED, "refused the TCP connection");
	ep_xport_close(conn);
}

static void
connect_that_fails_at_once_says_why(void **state)
{
	const struct ep_wire_ip multicast = {.family = EP_WIRE_IPV4, .bytes_be = {224, 0, 0, 1}};
	const struct ends *t = *state;
	struct ep_xport_conn *conn = NULL;
	struct ep_err err;

	assert_int_equal(ep_xport_connect(t->x, &multicast, 443, NOW_NS, TIMEOUT_NS, &conn, &err),
		-ENETUNREACH);
	assert_non_null(strstr(err.text, "224.0.0.1 port 443"));
	assert_null(conn);
}

static void
accept_of_what_is_no_connection_closes_it(void **state)
{
	const struct ends *t = *state;
	struct ep_xport_conn *conn = NULL;
	struct ep_err err;
	const int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(ep_xport_accept(t->x, fd, NOW_NS, TIMEOUT_NS, &conn, &err), -ENOTCONN);
	assert_null(conn);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void
listen_refuses_a_port_in_use_with_a_sentence(void **state)
{
	const struct ends *t = *state;
	struct ep_err err;
	char want[32];

	assert_int_equal(ep_xport_listen(t->port, &err), -EADDRINUSE);
	snprintf(want, sizeof(want), "TCP port %u is in use", t->port);
	assert_non_null(strstr(err.text, want));
}

static int
unprivileged_port_start(void)
{
	FILE *f = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "r");
	int port = 1024;

	if (f != NULL) {
		if (fscanf(f, "%d", &port) != 1)
			port = 1024;
		fclose(f);
	}
	return port;
}

static void
listen_refuses_a_port_without_permission_with_a_sentence(void **state)
{
	struct ep_err err;
	int ret;

	(void)state;
	if (geteuid() == 0 && seteuid(NOBODY) < 0)
		fail_msg("seteuid: %s", strerror(errno));
	ret = ep_xport_listen(1, &err);
	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
	if (unprivileged_port_start() <= 1) { /* a host that gives every port to everybody */
		assert_true(ret >= 0);
		close(ret);
		return;
	}
	assert_int_equal(ret, -EACCES);
	assert_non_null(strstr(err.text, "TCP port 1: no permission"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_key_opens_both_sides_and_names_the_ends),
		cmocka_unit_test(listener_takes_ipv6_too),
		cmocka_unit_test(bytes_arrive_whole_in_both_directions_and_any_chunks),
		cmocka_unit_test(each_write_leaves_at_once),
		cmocka_unit_test(wrong_key_is_told_on_both_sides),
		cmocka_unit_test(close_is_seen_as_the_end_after_the_last_byte),
		cmocka_unit_test(end_of_tcp_alone_is_the_end_too),
		cmocka_unit_test(
			write_to_a_peer_that_went_fails_without_a_signal_and_keeps_what_it_sent),
		cmocka_unit_test(reset_is_the_end),
		cmocka_unit_test(tampered_bytes_break_the_connection),
		cmocka_unit_test(read_and_write_wait_for_the_handshake),
		cmocka_unit_test(handshake_ends_at_its_deadline),
		cmocka_unit_test(open_connection_has_no_deadline),
		cmocka_unit_test(connect_ends_at_its_deadline),
		cmocka_unit_test(port_that_nobody_listens_on_is_refused),
		cmocka_unit_test(connect_that_fails_at_once_says_why),
		cmocka_unit_test(accept_of_what_is_no_connection_closes_it),
		cmocka_unit_test(listen_refuses_a_port_in_use_with_a_sentence),
		cmocka_unit_test(listen_refuses_a_port_without_permission_with_a_sentence),
	};

	return cmocka_run_group_tests_name("xport", tests, ends_setup, ends_teardown);
}
