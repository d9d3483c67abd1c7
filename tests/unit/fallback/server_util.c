#include "server_util.h"

#include <ep_netlink.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static void
on_control(void *user, int fd, uint64_t now_ns)
{
	struct test *t = user;

	assert_int_equal(now_ns, t->now_ns);
	t->control_fd = fd;
}

static void
on_noise(void *user, const char *sentence, uint64_t now_ns)
{
	struct test *t = user;

	assert_int_equal(now_ns, t->now_ns);
	t->noises++;
	snprintf(t->noise, sizeof(t->noise), "%s", sentence);
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

void
server_start(struct test *t, uint32_t conns_max)
{
	const struct ep_fallback_cfg cfg = {
		.software = "everyport/test",
		.alpn = EP_XPORT_ALPN,
		.conns_max = conns_max,
		.hooks = {.user = t, .control = on_control, .noise = on_noise},
	};
	struct ep_err err = {0};
	int fd;

	*t = (struct test){.now_ns = EP_NS_PER_S, .control_fd = -1};
	if (ep_fallback_create(&cfg, &t->f, &err) < 0)
		fail_msg("%s", err.text);
	fd = ep_xport_listen(0, &err);
	if (fd < 0)
		fail_msg("%s", err.text);
	t->port = port_of(fd);
	assert_int_equal(ep_fallback_listen(t->f, fd), 0);
}

void
server_stop(struct test *t)
{
	ep_fallback_destroy(t->f);
	ep_xport_destroy(t->x);
}

/* Each look at the server is a moment later, so that its bounds on a rate never stop a test. One without an event waits a little, so
 * that the clock does not run away from a busy kernel. */
void
turn(struct test *t)
{
	struct pollfd p = {.fd = ep_fallback_fd(t->f), .events = POLLIN};

	poll(&p, 1, 1);
	t->now_ns += EP_NS_PER_MS / 10;
	ep_fallback_run(t->f, t->now_ns);
}

int
client_open(const struct test *t)
{
	const struct sockaddr_in sa = {.sin_family = AF_INET,
		.sin_port = htons(t->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

void
client_say(int fd, const void *bytes, size_t len)
{
	assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
}

/* Until @p want bytes or the end. @return bytes, or -1 after a reset. */
ssize_t
client_hear(struct test *t, int fd, void *buf, size_t want)
{
	size_t have = 0;

	for (int i = 0; i < ROUNDS_MAX && have < want; i++) {
		const ssize_t got = recv(fd, (uint8_t *)buf + have, want - have, MSG_DONTWAIT);

		if (got == 0)
			return (ssize_t)have;
		if (got < 0 && errno != EAGAIN)
			return -1;
		if (got > 0)
			have += (size_t)got;
		else
			turn(t);
	}
	return (ssize_t)have;
}

/* Whether the server has closed it, without a byte, after so many turns at most. */
static bool
client_is_closed_within(struct test *t, int fd, int turns)
{
	char byte;

	for (int i = 0; i < turns; i++) {
		const ssize_t got = recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);

		if (got == 0 || (got < 0 && errno != EAGAIN))
			return true;
		turn(t);
	}
	return false;
}

bool
client_is_closed(struct test *t, int fd)
{
	return client_is_closed_within(t, fd, 2000);
}

bool
client_is_open(struct test *t, int fd)
{
	return !client_is_closed_within(t, fd, 10);
}

size_t
framed_binding(uint8_t *frame)
{
	static const uint8_t txid[EP_STUN_TXID_BYTES] = {1, 2, 3};
	struct ep_stun_msg msg;
	struct ep_stun_buf buf;
	size_t len;

	ep_stun_msg_init(&msg, EP_STUN_REQUEST, EP_STUN_BINDING, txid);
	assert_int_equal(ep_stun_encode(&msg, NULL, &buf), 0);
	assert_int_equal(
		ep_stun_frame((struct ep_stun_bytes){buf.bytes, buf.len}, frame, 64, &len), 0);
	return len;
}

struct ep_fallback_count
counts(const struct test *t)
{
	struct ep_fallback_count count;

	ep_fallback_counts(t->f, &count);
	return count;
}
