#include "ends.h"

#include <ep_netlink.h>

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

const struct ep_wire_ip ends_loopback = {.family = EP_WIRE_IPV4, .bytes_be = {127, 0, 0, 1}};
const struct ep_wire_ip ends_loopback6 = {.family = EP_WIRE_IPV6, .bytes_be = {[15] = 1}};

uint64_t
ends_random(struct ends *t)
{
	/* xorshift64* */
	t->random ^= t->random >> 12;
	t->random ^= t->random << 25;
	t->random ^= t->random >> 27;
	return t->random * UINT64_C(0x2545f4914f6cdd1d);
}

uint16_t
ends_port(int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	struct ep_wire_ip ip;
	uint16_t port = 0;

	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	assert_int_equal(ep_netlink_sockaddr_get(&sa, &ip, &port), 0);
	return port;
}

int
ends_setup(void **state)
{
	static struct ends t;
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
	t.port = ends_port(t.listener);
	snprintf(t.dir, sizeof(t.dir), "/tmp/ep_xport_test_XXXXXX");
	if (mkdtemp(t.dir) == NULL)
		fail_msg("mkdtemp: %s", strerror(errno));
	snprintf(t.cert, sizeof(t.cert), "%s/cert.pem", t.dir);
	*state = &t;
	return 0;
}

int
ends_teardown(void **state)
{
	struct ends *t = *state;

	ep_xport_destroy(t->x);
	ep_xport_destroy(t->wrong);
	ep_xport_destroy(NULL);
	close(t->listener);
	unlink(t->cert);
	return rmdir(t->dir);
}

struct ep_xport_conn *
ends_client(struct ep_xport *x, uint16_t port)
{
	struct ep_xport_conn *conn = NULL;
	struct ep_err err = {0};

	if (ep_xport_connect(x, &ends_loopback, port, NOW_NS, TIMEOUT_NS, &conn, &err) < 0)
		fail_msg("%s", err.text);
	return conn;
}

int
ends_accept_raw(int listener)
{
	struct pollfd pfd = {.fd = listener, .events = POLLIN};
	int fd;

	assert_int_equal(poll(&pfd, 1, WAIT_MS), 1);
	fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	return fd;
}

struct ep_xport_conn *
ends_server(const struct ends *t)
{
	struct ep_xport_conn *conn = NULL;

	assert_int_equal(ep_xport_accept(t->x, ends_accept_raw(t->listener), NOW_NS, TIMEOUT_NS,
				 &conn, NULL),
		0);
	return conn;
}

int
ends_connect_raw(const struct ends *t)
{
	struct sockaddr_storage sa;
	const socklen_t len = ep_netlink_sockaddr_set(&sa, &ends_loopback, t->port);
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
	return fd;
}

void
ends_wait(struct ep_xport_conn *const *conns, int count)
{
	struct pollfd fds[2];

	for (int i = 0; i < count; i++)
		fds[i] = (struct pollfd){
			.fd = ep_xport_fd(conns[i]),
			.events = POLLIN | (ep_xport_wants_write(conns[i]) ? POLLOUT : 0),
		};
	assert_true(poll(fds, (nfds_t)count, WAIT_MS) > 0);
}

enum ep_xport_state
ends_settle(struct ep_xport_conn *conn)
{
	for (int i = 0; i < ROUNDS_MAX; i++) {
		const enum ep_xport_state state = ep_xport_advance(conn, NOW_NS);

		if (state == EP_XPORT_OPEN || state == EP_XPORT_CLOSED)
			return state;
		ends_wait(&conn, 1);
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

void
ends_settle_both(struct ep_xport_conn *a, struct ep_xport_conn *b)
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
		ends_wait(rest, count);
	}
	fail();
}

struct pair
ends_open(const struct ends *t)
{
	struct pair p = {.client = ends_client(t->x, t->port)};

	p.server = ends_server(t);
	ends_settle_both(p.client, p.server);
	if (ep_xport_advance(p.client, NOW_NS) != EP_XPORT_OPEN ||
		ep_xport_advance(p.server, NOW_NS) != EP_XPORT_OPEN)
		fail_msg("client: %s; server: %s", ep_xport_error(p.client),
			ep_xport_error(p.server));
	return p;
}

void
ends_close(struct pair *p)
{
	ep_xport_close(p->client);
	ep_xport_close(p->server);
}

void
ends_assert_closed(struct ep_xport_conn *conn, enum ep_xport_reason reason, const char *says)
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

void
ends_read_exactly(struct ep_xport_conn *conn, uint8_t *buf, size_t len)
{
	size_t used = 0;

	for (int i = 0; i < ROUNDS_MAX && used < len; i++) {
		const int64_t got = ep_xport_read(conn, buf + used, len - used);

		if (got == -EAGAIN)
			ends_wait(&conn, 1);
		else if (got < 0)
			fail_msg("%s", ep_xport_error(conn));
		else
			used += (size_t)got;
	}
	assert_int_equal(used, len);
}
