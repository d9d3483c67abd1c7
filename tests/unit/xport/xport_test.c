/*
 * Both sides in one process over loopback, with a clock that the test turns; and against the openssl program as an
 * independent client and server.
 */
#include <ep_netlink.h>
#include <ep_xport.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW_NS UINT64_C(7000000000)
#define TIMEOUT_NS (UINT64_C(5) * EP_NS_PER_S)
#define WAIT_MS 5000 /* for what has to come; an expired wait is a failure */
#define ROUNDS_MAX 100000
#define NOBODY 65534

/* The key of struct test as the openssl program takes it. */
#define KEY_HEX "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define WRONG_HEX "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

struct test {
	struct ep_xport *x;     /* the key 0, 1, .. 31 */
	struct ep_xport *wrong; /* another */
	int listener;
	uint16_t port;
	char dir[32];
	char cert[64];
	uint64_t random;
};

static const struct ep_wire_ip loopback = {.family = EP_WIRE_IPV4, .bytes_be = {127, 0, 0, 1}};
static const struct ep_wire_ip loopback6 = {.family = EP_WIRE_IPV6, .bytes_be = {[15] = 1}};

static uint64_t
random_next(struct test *t)
{
	/* xorshift64* */
	t->random ^= t->random >> 12;
	t->random ^= t->random << 25;
	t->random ^= t->random >> 27;
	return t->random * UINT64_C(0x2545f4914f6cdd1d);
}

static uint16_t
port_of(int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	struct ep_wire_ip ip;
	uint16_t port = 0;

	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	assert_int_equal(ep_netlink_sockaddr_get(&sa, &ip, &port), 0);
	return port;
}

static int
setup(void **state)
{
	static struct test t;
	const char *seed = getenv("EP_TEST_SEED");
	uint8_t key[EP_XPORT_KEY_BYTES];
	struct ep_err err = {0};

	t.random =
		seed != NULL ? strtoull(seed, NULL, 0) | 1 : (uint64_t)getpid() * 2654435761U | 1;
	print_message("# EP_TEST_SEED=%llu\n", (unsigned long long)t.random);
	for (uint8_t i = 0; i < sizeof(key); i++)
		key[i] = i;
	if (ep_xport_create(key, &t.x, &err) < 0)
		fail_msg("%s", err.text);
	key[0] = 0xff;
	if (ep_xport_create(key, &t.wrong, &err) < 0)
		fail_msg("%s", err.text);
	t.listener = ep_xport_listen(0, &err);
	if (t.listener < 0)
		fail_msg("%s", err.text);
	t.port = port_of(t.listener);
	snprintf(t.dir, sizeof(t.dir), "/tmp/ep_xport_test_XXXXXX");
	if (mkdtemp(t.dir) == NULL)
		fail_msg("mkdtemp: %s", strerror(errno));
	snprintf(t.cert, sizeof(t.cert), "%s/cert.pem", t.dir);
	*state = &t;
	return 0;
}

static int
teardown(void **state)
{
	struct test *t = *state;

	ep_xport_destroy(t->x);
	ep_xport_destroy(t->wrong);
	ep_xport_destroy(NULL);
	close(t->listener);
	unlink(t->cert);
	return rmdir(t->dir);
}

/* --- Tools ------------------------------------------------------------------------------------ */

static struct ep_xport_conn *
client_to(struct ep_xport *x, uint16_t port)
{
	struct ep_xport_conn *conn = NULL;
	struct ep_err err = {0};

	if (ep_xport_connect(x, &loopback, port, NOW_NS, TIMEOUT_NS, &conn, &err) < 0)
		fail_msg("%s", err.text);
	return conn;
}

static int
accept_raw(int listener)
{
	struct pollfd pfd = {.fd = listener, .events = POLLIN};
	int fd;

	assert_int_equal(poll(&pfd, 1, WAIT_MS), 1);
	fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	return fd;
}

static struct ep_xport_conn *
server_of(const struct test *t)
{
	struct ep_xport_conn *conn = NULL;

	assert_int_equal(
		ep_xport_accept(t->x, accept_raw(t->listener), NOW_NS, TIMEOUT_NS, &conn, NULL), 0);
	return conn;
}

static int
connect_raw(const struct test *t)
{
	struct sockaddr_storage sa;
	const socklen_t len = ep_netlink_sockaddr_set(&sa, &loopback, t->port);
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
	return fd;
}

static void
wait_for(struct ep_xport_conn *const *conns, int count)
{
	struct pollfd fds[2];

	for (int i = 0; i < count; i++)
		fds[i] = (struct pollfd){
			.fd = ep_xport_fd(conns[i]),
			.events = POLLIN | (ep_xport_wants_write(conns[i]) ? POLLOUT : 0),
		};
	assert_true(poll(fds, (nfds_t)count, WAIT_MS) > 0);
}

/* Until it is OPEN or CLOSED; the far side is not ours. */
static enum ep_xport_state
settle(struct ep_xport_conn *conn)
{
	for (int i = 0; i < ROUNDS_MAX; i++) {
		const enum ep_xport_state state = ep_xport_advance(conn, NOW_NS);

		if (state == EP_XPORT_OPEN || state == EP_XPORT_CLOSED)
			return state;
		wait_for(&conn, 1);
	}
	fail();
	return EP_XPORT_CLOSED;
}

static bool
is_settled(struct ep_xport_conn *conn)
{
	const enum ep_xport_state state = ep_xport_advance(conn, NOW_NS);

	return state == EP_XPORT_OPEN || state == EP_XPORT_CLOSED;
}

static void
settle_both(struct ep_xport_conn *a, struct ep_xport_conn *b)
{
	for (int i = 0; i < ROUNDS_MAX; i++) {
		const bool a_done = is_settled(a), b_done = is_settled(b);
		struct ep_xport_conn *rest[2];
		int count = 0;

		if (a_done && b_done)
			return;
		if (!a_done)
			rest[count++] = a;
		if (!b_done)
			rest[count++] = b;
		wait_for(rest, count);
	}
	fail();
}

struct pair {
	struct ep_xport_conn *client, *server;
};

static struct pair
pair_open(const struct test *t)
{
	struct pair p = {.client = client_to(t->x, t->port)};

	p.server = server_of(t);
	settle_both(p.client, p.server);
	if (ep_xport_advance(p.client, NOW_NS) != EP_XPORT_OPEN ||
		ep_xport_advance(p.server, NOW_NS) != EP_XPORT_OPEN)
		fail_msg("client: %s; server: %s", ep_xport_error(p.client),
			ep_xport_error(p.server));
	return p;
}

static void
pair_close(struct pair *p)
{
	ep_xport_close(p->client);
	ep_xport_close(p->server);
}

static void
assert_closed(struct ep_xport_conn *conn, enum ep_xport_reason reason, const char *says)
{
	uint8_t byte = 0;

	assert_int_equal(ep_xport_advance(conn, NOW_NS), EP_XPORT_CLOSED);
	if (ep_xport_reason(conn) != reason || strstr(ep_xport_error(conn), says) == NULL)
		fail_msg("reason %d, %s; expected %d, %s", ep_xport_reason(conn),
			ep_xport_error(conn), reason, says);
	assert_non_null(strstr(ep_xport_error(conn), "127.0.0.1 port "));
	assert_int_equal(ep_xport_read(conn, &byte, 1), -EPIPE);
	assert_int_equal(ep_xport_write(conn, &byte, 1), -EPIPE);
	assert_false(ep_xport_wants_write(conn));
}

static void
read_exactly(struct ep_xport_conn *conn, uint8_t *buf, size_t len)
{
	size_t used = 0;

	for (int i = 0; i < ROUNDS_MAX && used < len; i++) {
		const int64_t got = ep_xport_read(conn, buf + used, len - used);

		if (got == -EAGAIN)
			wait_for(&conn, 1);
		else if (got < 0)
			fail_msg("%s", ep_xport_error(conn));
		else
			used += (size_t)got;
	}
	assert_int_equal(used, len);
}

/* --- Both sides ours -------------------------------------------------------------------------- */

static void
same_key_opens_both_sides_and_names_the_ends(void **state)
{
	struct pair p = pair_open(*state);
	struct ep_wire_ip a, b;
	uint16_t a_port, b_port;
	int on = 0;
	socklen_t len = sizeof(on);

	assert_int_equal(ep_xport_local(p.client, &a, &a_port), 0);
	assert_int_equal(ep_xport_remote(p.server, &b, &b_port), 0);
	assert_true(ep_wire_ip_equal(&a, &b));
	assert_true(ep_wire_ip_equal(
		&a, &loopback)); /* IPv4, though the listener is of both families */
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
	pair_close(&p);
	ep_xport_close(NULL);
}

static void
listener_takes_ipv6_too(void **state)
{
	const struct test *t = *state;
	struct pair p = {NULL, NULL};
	struct ep_wire_ip ip;
	uint16_t port;
	const int ret =
		ep_xport_connect(t->x, &loopback6, t->port, NOW_NS, TIMEOUT_NS, &p.client, NULL);

	if (ret == -EAFNOSUPPORT || ret == -EADDRNOTAVAIL)
		return; /* a host without IPv6: the other tests have shown that it listens all the same */
	assert_int_equal(ret, 0);
	p.server = server_of(t);
	settle_both(p.client, p.server);
	assert_int_equal(ep_xport_advance(p.server, NOW_NS), EP_XPORT_OPEN);
	assert_int_equal(ep_xport_remote(p.server, &ip, &port), 0);
	assert_true(ep_wire_ip_equal(&ip, &loopback6));
	pair_close(&p);
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
stream_write(struct test *t, struct stream *s)
{
	const uint64_t left = s->total - s->sent;
	uint8_t *tx = s->tx + random_next(t) % CHUNK_MAX;
	const size_t least = s->blocked_bytes > 0 ? s->blocked_bytes : 1;
	size_t len = least + random_next(t) % (CHUNK_MAX - least + 1);
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
stream_read(struct test *t, struct stream *s)
{
	const int64_t got = ep_xport_read(s->to, s->rx, 1 + random_next(t) % sizeof(s->rx));

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
	struct pair p = pair_open(*state);
	struct ep_xport_conn *both[] = {p.client, p.server};

	small_send_buffer(ep_xport_fd(p.client));
	small_send_buffer(ep_xport_fd(p.server));
	up = (struct stream){.from = p.client, .to = p.server, .total = 3000017, .salt = 1};
	down = (struct stream){.from = p.server, .to = p.client, .total = 2000003, .salt = 2};
	while (up.received < up.total || down.received < down.total) {
		bool moved = stream_write(*state, &up);

		moved |= stream_write(*state, &down);
		/* Writers run ahead now and then, so that they fill the sockets. */
		if (moved && random_next(*state) % 64 != 0)
			continue;
		while (stream_read(*state, &up))
			moved = true;
		while (stream_read(*state, &down))
			moved = true;
		if (!moved)
			wait_for(both, 2);
	}
	assert_int_equal(up.received, up.total);
	assert_int_equal(down.received, down.total);
	assert_true(up.blocked_count > 0);
	assert_true(down.blocked_count > 0);
	pair_close(&p);
}

/* Small messages one by one: what one write took is readable without another write behind it. */
static void
each_write_leaves_at_once(void **state)
{
	struct pair p = pair_open(*state);
	uint8_t buf[100];

	for (size_t len = 1; len <= sizeof(buf); len++) {
		memset(buf, (int)len, len);
		assert_int_equal(ep_xport_write(p.client, buf, len), len);
		read_exactly(p.server, buf, len);
		assert_int_equal(buf[len - 1], len);
		assert_int_equal(ep_xport_read(p.server, buf, 1), -EAGAIN);
	}
	pair_close(&p);
}

static void
wrong_key_is_told_on_both_sides(void **state)
{
	const struct test *t = *state;
	struct pair p = {.client = client_to(t->wrong, t->port)};

	p.server = server_of(t);
	settle_both(p.client, p.server);
	assert_closed(p.client, EP_XPORT_WRONG_KEY, "another key");
	assert_closed(p.server, EP_XPORT_WRONG_KEY, "another key");
	pair_close(&p);
	p = pair_open(t); /* and the next one is not hurt by it */
	pair_close(&p);
}

static void
close_is_seen_as_the_end_after_the_last_byte(void **state)
{
	struct pair p = pair_open(*state);
	uint8_t buf[16];

	assert_int_equal(ep_xport_write(p.server, (const uint8_t *)"busy", 4), 4);
	ep_xport_close(p.server);
	read_exactly(p.client, buf, 4);
	assert_memory_equal(buf, "busy", 4);
	wait_for(&p.client, 1);
	assert_int_equal(ep_xport_read(p.client, buf, 1), -EPIPE);
	assert_closed(p.client, EP_XPORT_END, "closed the connection");
	ep_xport_close(p.client);
}

static void
end_of_tcp_alone_is_the_end_too(void **state)
{
	struct pair p = pair_open(*state);
	uint8_t byte;

	assert_int_equal(shutdown(ep_xport_fd(p.server), SHUT_WR), 0);
	wait_for(&p.client, 1);
	assert_int_equal(ep_xport_read(p.client, &byte, 1), -EPIPE);
	assert_closed(p.client, EP_XPORT_END, "without a word");
	pair_close(&p);
}

/* SIGPIPE has its default action here: raised, it would end this program. */
static void
write_to_a_peer_that_went_fails_without_a_signal_and_keeps_what_it_sent(void **state)
{
	struct pair p = pair_open(*state);
	int64_t ret = 0;
	uint8_t buf[8];

	assert_int_equal(ep_xport_write(p.server, (const uint8_t *)"busy", 4), 4);
	ep_xport_close(p.server);
	for (int i = 0; i < ROUNDS_MAX && ret != -EPIPE; i++)
		ret = ep_xport_write(p.client, (const uint8_t *)"x", 1);
	assert_int_equal(ret, -EPIPE);
	assert_false(ep_xport_wants_write(p.client));
	read_exactly(p.client, buf, 4);
	assert_memory_equal(buf, "busy", 4);
	assert_int_equal(ep_xport_read(p.client, buf, 1), -EPIPE);
	assert_closed(p.client, EP_XPORT_END, "");
	ep_xport_close(p.client);
}

static void
reset_is_the_end(void **state)
{
	const struct linger reset = {.l_onoff = 1};
	struct pair p = pair_open(*state);
	uint8_t byte;

	assert_int_equal(
		setsockopt(ep_xport_fd(p.server), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
	assert_int_equal(shutdown(ep_xport_fd(p.server), SHUT_RDWR), 0);
	ep_xport_close(p.server);
	wait_for(&p.client, 1);
	assert_int_equal(ep_xport_read(p.client, &byte, 1), -EPIPE);
	assert_closed(p.client, EP_XPORT_END, "the connection");
	ep_xport_close(p.client);
}

static void
tampered_bytes_break_the_connection(void **state)
{
	struct pair p = pair_open(*state);
	/* A record of application data with 32 bytes that no key of ours made. */
	const uint8_t forged[5 + 32] = {23, 3, 3, 0, 32};
	uint8_t byte;

	assert_int_equal(send(ep_xport_fd(p.server), forged, sizeof(forged), 0), sizeof(forged));
	wait_for(&p.client, 1);
	assert_int_equal(ep_xport_read(p.client, &byte, 1), -EPIPE);
	assert_closed(p.client, EP_XPORT_END, "broke the TLS connection");
	pair_close(&p);
}

static void
read_and_write_wait_for_the_handshake(void **state)
{
	const struct test *t = *state;
	struct pair p = {.client = client_to(t->x, t->port)};
	uint8_t byte = 0;

	p.server = server_of(t);
	assert_int_equal(ep_xport_read(p.client, &byte, 1), -EAGAIN);
	assert_int_equal(ep_xport_write(p.client, &byte, 1), -EAGAIN);
	assert_int_equal(ep_xport_read(p.server, &byte, 1), -EAGAIN);
	assert_int_equal(ep_xport_write(p.server, &byte, 1), -EAGAIN);
	assert_true(ep_xport_wants_write(p.client));
	assert_false(ep_xport_wants_write(p.server));
	pair_close(&p);
}

/* --- Time ------------------------------------------------------------------------------------- */

static void
handshake_ends_at_its_deadline(void **state)
{
	const struct test *t = *state;
	struct ep_xport_conn *client = client_to(t->x, t->port), *server;
	const int silent_server = accept_raw(t->listener), silent_client = connect_raw(t);

	server = server_of(t);
	wait_for(&client, 1);
	for (int i = 0; i < 2; i++) {
		struct ep_xport_conn *conn = i == 0 ? client : server;

		assert_int_equal(ep_xport_advance(conn, NOW_NS), EP_XPORT_HANDSHAKE);
		assert_int_equal(
			ep_xport_advance(conn, NOW_NS + TIMEOUT_NS - 1), EP_XPORT_HANDSHAKE);
		assert_int_equal(ep_xport_advance(conn, NOW_NS + TIMEOUT_NS), EP_XPORT_CLOSED);
		assert_closed(
			conn, EP_XPORT_TIMEOUT, "did not finish the TLS handshake within 5 s");
		ep_xport_close(conn);
	}
	close(silent_server);
	close(silent_client);
}

static void
open_connection_has_no_deadline(void **state)
{
	struct pair p = pair_open(*state);

	assert_int_equal(ep_xport_advance(p.client, NOW_NS + 10 * TIMEOUT_NS), EP_XPORT_OPEN);
	assert_int_equal(ep_xport_advance(p.server, NOW_NS + 10 * TIMEOUT_NS), EP_XPORT_OPEN);
	pair_close(&p);
}

/* A queue of one that is full: the kernel drops further SYNs, as a firewall does. */
static void
connect_ends_at_its_deadline(void **state)
{
	const struct test *t = *state;
	const int listener = ep_xport_listen(0, NULL);
	struct ep_xport_conn *conn[4];

	assert_int_equal(listen(listener, 0), 0);
	for (int i = 0; i < 4; i++)
		conn[i] = client_to(t->x, port_of(listener));
	wait_for(&conn[0], 1);
	assert_int_equal(ep_xport_advance(conn[3], NOW_NS + TIMEOUT_NS - 1), EP_XPORT_CONNECTING);
	assert_int_equal(ep_xport_advance(conn[3], NOW_NS + TIMEOUT_NS), EP_XPORT_CLOSED);
	assert_closed(conn[3], EP_XPORT_TIMEOUT, "did not answer the TCP connection within 5 s");
	for (int i = 0; i < 4; i++)
		ep_xport_close(conn[i]);
	close(listener);
}

/* --- TCP -------------------------------------------------------------------------------------- */

static void
port_that_nobody_listens_on_is_refused(void **state)
{
	const struct test *t = *state;
	const int listener = ep_xport_listen(0, NULL);
	const uint16_t port = port_of(listener);
	struct ep_xport_conn *conn;

	close(listener);
	conn = client_to(t->x, port);
	assert_int_equal(settle(conn), EP_XPORT_CLOSED);
	assert_closed(conn, EP_XPORT_REFUSED, "refused the TCP connection");
	ep_xport_close(conn);
}

static void
connect_that_fails_at_once_says_why(void **state)
{
	const struct ep_wire_ip multicast = {.family = EP_WIRE_IPV4, .bytes_be = {224, 0, 0, 1}};
	const struct test *t = *state;
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
	const struct test *t = *state;
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
	const struct test *t = *state;
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

/* --- Strangers at our port -------------------------------------------------------------------- */

static void
tcp_check_at_our_port_is_just_an_end(void **state)
{
	const struct test *t = *state;
	struct ep_xport_conn *server;

	close(connect_raw(t));
	server = server_of(t);
	assert_int_equal(settle(server), EP_XPORT_CLOSED);
	assert_closed(server, EP_XPORT_END, "before it said anything");
	ep_xport_close(server);
}

static void
plain_text_at_our_port_is_not_tls(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} cases[] = {
		{"GET / HTTP/1.1\r\n\r\n", 18}, {"CONNECT a:443 HTTP/1.1\r\n", 24},
		{"SSH-2.0-x\r\n", 11}, {"x", 1},
		{"\x80\x2e\x01\x03\x01", 5}, /* the hello of SSL 2 */
		{"\x16\x04\x01\x00\x10", 5}, /* handshake record of a version that never was */
		{"\x16\x03\x01\xff\xff", 5}, /* longer than a record may be */
		{"\x16\x03\x01\x00\x00", 5}, /* empty */
		{"\x17\x03\x03\x00\x20"
		 "data",
			9}, /* data before a handshake */
	};
	const struct test *t = *state;

	for (size_t i = 0; i < EP_ARRAY_LEN(cases); i++) {
		const int fd = connect_raw(t);
		struct ep_xport_conn *server = server_of(t);

		assert_int_equal(send(fd, cases[i].bytes, cases[i].len, 0), cases[i].len);
		assert_int_equal(settle(server), EP_XPORT_CLOSED);
		assert_closed(server, EP_XPORT_NOT_TLS, "does not speak TLS");
		ep_xport_close(server);
		close(fd);
	}
}

/* What our own client sends first. */
static size_t
client_hello(const struct test *t, uint8_t *buf, size_t len)
{
	struct ep_xport_conn *client = client_to(t->x, t->port);
	const int fd = accept_raw(t->listener);
	ssize_t got;

	wait_for(&client, 1);
	assert_int_equal(ep_xport_advance(client, NOW_NS), EP_XPORT_HANDSHAKE);
	got = recv(fd, buf, len, 0);
	assert_true(got > 5 && (size_t)got < len);
	assert_int_equal(got, 5 + buf[3] * 256 + buf[4]);
	close(fd);
	ep_xport_close(client);
	return (size_t)got;
}

/* The server gets @p len bytes and then the end: it must close, whatever they are, and never open. */
static enum ep_xport_reason
feed(const struct test *t, const uint8_t *bytes, size_t len)
{
	const int fd = connect_raw(t);
	struct ep_xport_conn *server = server_of(t);
	enum ep_xport_reason reason;

	if (len > 0)
		assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	assert_int_equal(settle(server), EP_XPORT_CLOSED);
	reason = ep_xport_reason(server);
	ep_xport_close(server);
	close(fd);
	return reason;
}

static void
noise_at_our_port_never_opens(void **state)
{
	struct test *t = *state;

	for (int round = 0; round < 150; round++) {
		uint8_t noise[700];
		const size_t len = 1 + random_next(t) % sizeof(noise);
		enum ep_xport_reason reason;

		for (size_t i = 0; i < len; i++)
			noise[i] = (uint8_t)random_next(t);
		if (round % 3 == 0) /* every third one as far as the record header goes */
			memcpy(noise, "\x16\x03\x01\x01\x00", len < 5 ? len : 5);
		reason = feed(t, noise, len);
		assert_true(reason == EP_XPORT_NOT_TLS || reason == EP_XPORT_NOT_EVERYPORT ||
			reason == EP_XPORT_END);
		if (noise[0] != 0x16 && noise[0] != 0x15)
			assert_int_equal(reason, EP_XPORT_NOT_TLS);
	}
}

static void
cut_or_changed_hello_never_opens(void **state)
{
	struct test *t = *state;
	uint8_t hello[2048], copy[2048];
	const size_t len = client_hello(t, hello, sizeof(hello));

	assert_int_equal(
		feed(t, hello, len), EP_XPORT_END); /* replayed: gets no further than our answer */
	for (int round = 0; round < 100; round++) {
		const size_t at = random_next(t) % len;
		enum ep_xport_reason reason;

		assert_int_equal(feed(t, hello, at), EP_XPORT_END);
		memcpy(copy, hello, len);
		copy[at] ^= (uint8_t)(1 + random_next(t) % 255);
		reason = feed(t, copy, len);
		/* Covered by the key from the handshake header on; before it, it is the record that is wrong. */
		if (at >= 5)
			assert_true(reason == EP_XPORT_WRONG_KEY ||
				reason == EP_XPORT_NOT_EVERYPORT || reason == EP_XPORT_END);
	}
}

static void
hello_offers_forward_secrecy_only_and_no_early_data(void **state)
{
	/* psk_key_exchange_modes (45): one mode, psk_dhe_ke (1); RFC 8446 section 4.2.9. */
	static const uint8_t dhe_only[] = {0, 45, 0, 2, 1, 1};
	/* supported_versions (43): TLS 1.3 alone. */
	static const uint8_t tls13_only[] = {0, 43, 0, 3, 2, 3, 4};
	static const uint8_t early_data[] = {0, 42, 0, 0};
	uint8_t hello[2048];
	const size_t len = client_hello(*state, hello, sizeof(hello));

	assert_non_null(memmem(hello, len, dhe_only, sizeof(dhe_only)));
	assert_non_null(memmem(hello, len, tls13_only, sizeof(tls13_only)));
	assert_non_null(memmem(hello, len, EP_XPORT_ALPN, strlen(EP_XPORT_ALPN)));
	assert_null(memmem(hello, len, early_data, sizeof(early_data)));
}

/* --- We at a stranger's port ------------------------------------------------------------------ */

static void
client_of_plain_text_finds_no_tls(void **state)
{
	static const char *const greetings[] = {
		"SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", "\n"};
	const struct test *t = *state;

	for (size_t i = 0; i < EP_ARRAY_LEN(greetings); i++) {
		struct ep_xport_conn *client = client_to(t->x, t->port);
		const int fd = accept_raw(t->listener);

		assert_int_equal(
			send(fd, greetings[i], strlen(greetings[i]), 0), strlen(greetings[i]));
		assert_int_equal(settle(client), EP_XPORT_CLOSED);
		assert_closed(client, EP_XPORT_NOT_TLS, "does not speak TLS");
		ep_xport_close(client);
		close(fd);
	}
}

static void
client_of_a_server_that_hangs_up_sees_the_end(void **state)
{
	const struct test *t = *state;
	struct ep_xport_conn *client = client_to(t->x, t->port);
	const int fd = accept_raw(t->listener);

	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	assert_int_equal(settle(client), EP_XPORT_CLOSED);
	assert_closed(client, EP_XPORT_END, "before it said anything");
	ep_xport_close(client);
	close(fd);
}

/* --- Against the openssl program -------------------------------------------------------------- */

struct program {
	pid_t pid;
	int in;  /* its stdin */
	int out; /* its stdout and stderr */
};

/* Words without quotes. */
static struct program
program_start(const char *command)
{
	char text[512], *save = NULL, *argv[40] = {NULL};
	int in[2], out[2], argc = 0;
	struct program p;

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_true((size_t)snprintf(text, sizeof(text), "%s", command) < sizeof(text));
	for (char *w = strtok_r(text, " ", &save); w != NULL && argc < 39;
		w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	p = (struct program){.pid = fork(), .in = in[1], .out = out[0]};
	if (p.pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(out[1], 2);
		execvp(argv[0], argv);
		_exit(127);
	}
	assert_true(p.pid > 0);
	close(in[0]);
	close(out[1]);
	return p;
}

static int
program_stop(struct program *p, int signal)
{
	int status = 0;

	if (signal != 0)
		kill(p->pid, signal);
	waitpid(p->pid, &status, 0);
	close(p->in);
	close(p->out);
	return status;
}

/* Read what it says until @p text is there. */
static void
program_expect(const struct program *p, const char *text)
{
	char said[8192] = "";
	size_t used = 0;

	while (strstr(said, text) == NULL) {
		struct pollfd pfd = {.fd = p->out, .events = POLLIN};
		ssize_t got = 0;

		if (poll(&pfd, 1, WAIT_MS) == 1 && used < sizeof(said) - 1)
			got = read(p->out, said + used, sizeof(said) - 1 - used);
		if (got <= 0)
			fail_msg("\"%s\" is missing in: %s", text, said);
		used += (size_t)got;
		said[used] = '\0';
	}
}

static int
setup_certificate(void **state)
{
	const struct test *t = *state;
	struct program p;
	char command[256];

	snprintf(command, sizeof(command),
		"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 "
		"-subj "
		"/CN=stranger -keyout %s -out %s",
		t->cert, t->cert);
	p = program_start(command);
	return program_stop(&p, 0);
}

/* It says "ACCEPT 127.0.0.1:40123" when the kernel chose the port. */
static uint16_t
s_server_port(const struct program *p)
{
	char text[4096] = "";
	size_t used = 0;

	while (used < sizeof(text) - 1) {
		struct pollfd pfd = {.fd = p->out, .events = POLLIN};
		const char *at, *colon;
		ssize_t got;

		assert_int_equal(poll(&pfd, 1, WAIT_MS), 1);
		got = read(p->out, text + used, sizeof(text) - 1 - used);
		if (got <= 0)
			break;
		used += (size_t)got;
		text[used] = '\0';
		at = strstr(text, "ACCEPT ");
		colon = at != NULL ? strchr(at, ':') : NULL;
		if (colon != NULL && strchr(colon, '\n') != NULL)
			return (uint16_t)strtoul(colon + 1, NULL, 10);
	}
	fail_msg("openssl s_server: %s", text);
	return 0;
}

#define PSK_SERVER "-nocert -tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256 "

static void
client_refuses_every_tls_server_that_is_not_everyport(void **state)
{
	static const struct {
		const char *options;
		bool certificate;
		enum ep_xport_reason reason;
	} cases[] = {
		{"", true, EP_XPORT_NOT_EVERYPORT},
		{"-tls1_2", true, EP_XPORT_NOT_EVERYPORT},
		{"-alpn http/1.1", true, EP_XPORT_NOT_EVERYPORT},
		{"-alpn everyport/1", true, EP_XPORT_NOT_EVERYPORT},
		{PSK_SERVER "-alpn everyport/1 -psk_identity other -psk " KEY_HEX, false,
			EP_XPORT_NOT_EVERYPORT},
		{PSK_SERVER "-psk_identity everyport/1 -psk " KEY_HEX, false,
			EP_XPORT_NOT_EVERYPORT},
		{PSK_SERVER "-alpn everyport/1 -psk_identity everyport/1 -psk " WRONG_HEX, false,
			EP_XPORT_WRONG_KEY},
	};
	const struct test *t = *state;

	for (size_t i = 0; i < EP_ARRAY_LEN(cases); i++) {
		struct ep_xport_conn *client;
		struct program p;
		char command[512];

		snprintf(command, sizeof(command), "openssl s_server -accept 127.0.0.1:0 %s%s %s",
			cases[i].certificate ? "-cert " : "", cases[i].certificate ? t->cert : "",
			cases[i].options);
		p = program_start(command);
		client = client_to(t->x, s_server_port(&p));
		if (settle(client) != EP_XPORT_CLOSED)
			fail_msg("open to a server with %s", cases[i].options);
		assert_closed(client, cases[i].reason, "everyport");
		ep_xport_close(client);
		program_stop(&p, SIGTERM);
	}
}

static void
client_opens_to_another_implementation_with_the_key(void **state)
{
	const struct test *t = *state;
	struct program p =
		program_start("openssl s_server -accept 127.0.0.1:0 " PSK_SERVER
			      "-alpn everyport/1 -psk_identity everyport/1 -psk " KEY_HEX);
	struct ep_xport_conn *client = client_to(t->x, s_server_port(&p));
	uint8_t buf[6];

	if (settle(client) != EP_XPORT_OPEN)
		fail_msg("%s", ep_xport_error(client));
	assert_int_equal(write(p.in, "hello\n", 6), 6);
	read_exactly(client, buf, 6);
	assert_memory_equal(buf, "hello\n", 6);
	ep_xport_close(client);
	program_stop(&p, SIGTERM);
}

#define PSK_CLIENT "-tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256 -psk "

static void
server_opens_only_to_a_client_with_key_and_protocol(void **state)
{
	static const struct {
		const char *options;
		enum ep_xport_state state;
		enum ep_xport_reason reason;
		const char *alert; /* as the client shows it */
	} cases[] = {
		{"", EP_XPORT_CLOSED, EP_XPORT_NOT_EVERYPORT, "alert no application protocol"},
		{"-tls1_2 -alpn everyport/1", EP_XPORT_CLOSED, EP_XPORT_NOT_EVERYPORT,
			"alert protocol version"},
		{"-alpn h2,http/1.1", EP_XPORT_CLOSED, EP_XPORT_NOT_EVERYPORT, "alert"},
		{"-alpn everyport/1", EP_XPORT_CLOSED, EP_XPORT_NOT_EVERYPORT, "alert"},
		{PSK_CLIENT KEY_HEX " -psk_identity everyport/1", EP_XPORT_CLOSED,
			EP_XPORT_NOT_EVERYPORT, "alert no application protocol"},
		{PSK_CLIENT KEY_HEX " -psk_identity everyport/1 -alpn h2", EP_XPORT_CLOSED,
			EP_XPORT_NOT_EVERYPORT, "alert no application protocol"},
		{PSK_CLIENT KEY_HEX " -psk_identity other -alpn everyport/1", EP_XPORT_CLOSED,
			EP_XPORT_NOT_EVERYPORT, "alert"},
		{PSK_CLIENT WRONG_HEX " -psk_identity everyport/1 -alpn everyport/1",
			EP_XPORT_CLOSED, EP_XPORT_WRONG_KEY, "alert illegal parameter"},
		{PSK_CLIENT KEY_HEX " -psk_identity everyport/1 -alpn h2,everyport/1",
			EP_XPORT_OPEN, EP_XPORT_END, ""},
	};
	const struct test *t = *state;

	for (size_t i = 0; i < EP_ARRAY_LEN(cases); i++) {
		struct ep_xport_conn *server;
		struct program p;
		char command[512];

		snprintf(command, sizeof(command), "openssl s_client -connect 127.0.0.1:%u %s",
			t->port, cases[i].options);
		p = program_start(command);
		server = server_of(t);
		if (settle(server) != cases[i].state)
			fail_msg("client with %s: %s", cases[i].options, ep_xport_error(server));
		if (cases[i].state == EP_XPORT_CLOSED)
			assert_closed(server, cases[i].reason, "everyport");
		ep_xport_close(server);
		program_expect(&p, cases[i].alert);
		program_stop(&p, SIGTERM);
	}
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
		cmocka_unit_test(tcp_check_at_our_port_is_just_an_end),
		cmocka_unit_test(plain_text_at_our_port_is_not_tls),
		cmocka_unit_test(noise_at_our_port_never_opens),
		cmocka_unit_test(cut_or_changed_hello_never_opens),
		cmocka_unit_test(hello_offers_forward_secrecy_only_and_no_early_data),
		cmocka_unit_test(client_of_plain_text_finds_no_tls),
		cmocka_unit_test(client_of_a_server_that_hangs_up_sees_the_end),
		cmocka_unit_test_setup(
			client_refuses_every_tls_server_that_is_not_everyport, setup_certificate),
		cmocka_unit_test(client_opens_to_another_implementation_with_the_key),
		cmocka_unit_test(server_opens_only_to_a_client_with_key_and_protocol),
	};

	return cmocka_run_group_tests_name("xport", tests, setup, teardown);
}
