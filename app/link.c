#include "link.h"

#include "host.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

/* Reads at once: a peer that never stops sending must not keep the caller from its other work. */
#define READS_MAX 64

static int
link_read(struct link *link, uint64_t now_ns)
{
	uint8_t buf[16384];

	for (int i = 0; i < READS_MAX; i++) {
		const int64_t n = ep_xport_read(link->conn, buf, sizeof(buf));

		if (n == -EAGAIN)
			return 0;
		if (n < 0 || ep_ctrl_input(link->ctrl, buf, (size_t)n, now_ns) < 0)
			return -EPIPE;
	}
	return 0;
}

static int
link_write(struct link *link)
{
	const uint8_t *bytes;
	size_t len;

	while ((len = ep_ctrl_output(link->ctrl, &bytes)) > 0) {
		const int64_t n = ep_xport_write(link->conn, bytes, len);

		if (n == -EAGAIN)
			return 0;
		if (n < 0)
			return -EPIPE;
		ep_ctrl_output_done(link->ctrl, (size_t)n);
	}
	return 0;
}

int
link_pump(struct link *link, uint64_t now_ns)
{
	int ret;

	if (ep_xport_advance(link->conn, now_ns) != EP_XPORT_OPEN)
		return -EPIPE;
	ret = link_write(link);
	if (ret == 0)
		ret = link_read(link, now_ns);
	return ret;
}

int
link_wait_with(struct link *link, int wait_ms, int other_fd)
{
	const uint8_t *bytes;
	/* A negative descriptor is passed over. */
	struct pollfd p[2] = {{.fd = ep_xport_fd(link->conn), .events = POLLIN},
		{.fd = other_fd, .events = POLLIN}};

	if (ep_xport_wants_write(link->conn) || ep_ctrl_output(link->ctrl, &bytes) > 0)
		p[0].events |= POLLOUT;
	poll(p, EP_ARRAY_LEN(p), wait_ms);
	return link_pump(link, host_now_ns());
}

int
link_wait(struct link *link, int wait_ms)
{
	return link_wait_with(link, wait_ms, -1);
}

void
link_close(struct link *link, int wait_ms)
{
	const uint64_t end_ns = host_now_ns() + (uint64_t)wait_ms * EP_NS_PER_MS;
	const struct linger linger = {.l_onoff = 1, .l_linger = 1};
	const uint8_t *bytes;

	while (link->conn != NULL && link->ctrl != NULL && ep_ctrl_output(link->ctrl, &bytes) > 0 &&
		host_now_ns() < end_ns)
		if (link_wait(link, 20) < 0)
			break;
	/* Close waits: what is in the kernel's queue is not on the wire yet where an exception path carries it. */
	if (link->conn != NULL && wait_ms > 0)
		setsockopt(ep_xport_fd(link->conn), SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	ep_xport_close(link->conn);
	ep_ctrl_destroy(link->ctrl);
	link->conn = NULL;
	link->ctrl = NULL;
}
