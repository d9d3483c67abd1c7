#include "ep_tcpcheck.h"

#include <ep_netlink.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DURATION_TEXT_BYTES 32

static enum ep_tcpcheck_status
status_of(int error)
{
	switch (error) {
	case 0:
		return EP_TCPCHECK_OPEN;
	case ECONNREFUSED:
		return EP_TCPCHECK_REFUSED;
	case ETIMEDOUT:
		return EP_TCPCHECK_FILTERED;
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EHOSTDOWN:
	case ENONET:
	case ENOPROTOOPT: /* ICMP protocol unreachable */
	case EACCES:      /* a prohibit route, or a broadcast address */
	case EINVAL:      /* a blackhole route */
		return EP_TCPCHECK_UNREACHABLE;
	default:
		return EP_TCPCHECK_ERROR;
	}
}

static void
one_done(struct ep_tcpcheck_one *one, enum ep_tcpcheck_status status, int error)
{
	if (one->fd >= 0)
		close(one->fd);
	one->fd = -1;
	one->status = status;
	one->error = error;
}

static int
one_open(const struct ep_wire_ip *peer, const struct ep_wire_ip *source)
{
	struct sockaddr_storage sa;
	const int family = peer->family == EP_WIRE_IPV6 ? AF_INET6 : AF_INET;
	const int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int ret;

	if (fd < 0)
		return -errno;
	if (source == NULL)
		return fd;
	if (bind(fd, (struct sockaddr *)&sa, ep_netlink_sockaddr_set(&sa, source, 0)) == 0)
		return fd;
	ret = -errno;
	close(fd);
	return ret;
}

static void
one_start(
	struct ep_tcpcheck_one *one, const struct ep_wire_ip *peer, const struct ep_wire_ip *source)
{
	struct sockaddr_storage sa;
	const socklen_t len = ep_netlink_sockaddr_set(&sa, peer, one->port);

	one->fd = one_open(peer, source);
	if (one->fd < 0)
		one_done(one, EP_TCPCHECK_ERROR, -one->fd);
	else if (connect(one->fd, (struct sockaddr *)&sa, len) == 0)
		one_done(one, EP_TCPCHECK_OPEN, 0);
	else if (errno != EINPROGRESS)
		one_done(one, status_of(errno), errno);
}

void
ep_tcpcheck_start(struct ep_tcpcheck_round *round, const struct ep_wire_ip *peer,
	const struct ep_wire_ip *source, const uint16_t *ports, uint32_t port_count,
	uint64_t now_ns)
{
	*round = (struct ep_tcpcheck_round){.peer = *peer};
	round->count = port_count < EP_TCPCHECK_PORTS_MAX ? port_count : EP_TCPCHECK_PORTS_MAX;
	for (uint32_t i = 0; i < round->count; i++) {
		struct ep_tcpcheck_one *one = &round->one[i];

		one->port = ports[i];
		one->start_ns = now_ns;
		one_start(one, peer, source);
	}
}

static void
one_answered(struct ep_tcpcheck_one *one, uint64_t now_ns)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(one->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	one_done(one, status_of(error), error);
	if (one->status != EP_TCPCHECK_FILTERED && one->status != EP_TCPCHECK_ERROR)
		one->connect_ns = now_ns - one->start_ns;
}

bool
ep_tcpcheck_poll(struct ep_tcpcheck_round *round, uint64_t now_ns)
{
	struct pollfd fds[EP_TCPCHECK_PORTS_MAX];
	bool done = true;

	/* Sockets that are done have fd -1, which poll() passes over. */
	for (uint32_t i = 0; i < round->count; i++)
		fds[i] = (struct pollfd){.fd = round->one[i].fd, .events = POLLOUT};
	if (poll(fds, round->count, 0) < 0)
		memset(fds, 0, sizeof(fds)); /* EINTR, ENOMEM: the next call sees the answers */
	for (uint32_t i = 0; i < round->count; i++) {
		struct ep_tcpcheck_one *one = &round->one[i];

		if (one->fd < 0)
			continue;
		if (fds[i].revents != 0)
			one_answered(one, now_ns);
		else if (now_ns - one->start_ns >= EP_TCPCHECK_TIMEOUT_NS)
			one_done(one, EP_TCPCHECK_FILTERED, ETIMEDOUT);
		else
			done = false;
	}
	return done;
}

void
ep_tcpcheck_close(struct ep_tcpcheck_round *round)
{
	for (uint32_t i = 0; i < round->count; i++)
		one_done(&round->one[i], round->one[i].status, round->one[i].error);
}

const char *
ep_tcpcheck_status_name(enum ep_tcpcheck_status status)
{
	switch (status) {
	case EP_TCPCHECK_PENDING:
		return "pending";
	case EP_TCPCHECK_OPEN:
		return "open";
	case EP_TCPCHECK_REFUSED:
		return "refused";
	case EP_TCPCHECK_FILTERED:
		return "filtered";
	case EP_TCPCHECK_UNREACHABLE:
		return "unreachable";
	case EP_TCPCHECK_ERROR:
		break;
	}
	return "error";
}

void
ep_tcpcheck_sentence(const struct ep_tcpcheck_one *one, char *buf, size_t len)
{
	char time[DURATION_TEXT_BYTES];

	ep_duration_format(time, sizeof(time), one->connect_ns);
	switch (one->status) {
	case EP_TCPCHECK_PENDING:
		snprintf(buf, len, "port %u: no answer yet", one->port);
		return;
	case EP_TCPCHECK_OPEN:
		snprintf(buf, len, "port %u: open after %s", one->port, time);
		return;
	case EP_TCPCHECK_REFUSED:
		snprintf(buf, len,
			"port %u: refused after %s: nothing listens there, or a firewall rejects "
			"it",
			one->port, time);
		return;
	case EP_TCPCHECK_FILTERED:
		ep_duration_format(time, sizeof(time), EP_TCPCHECK_TIMEOUT_NS);
		snprintf(buf, len,
			"port %u: filtered: no answer within %s; a firewall drops it or the host "
			"is down",
			one->port, time);
		return;
	case EP_TCPCHECK_UNREACHABLE:
		snprintf(buf, len, "port %u: unreachable: %s", one->port,
			one->error == EINVAL ? "Blackhole route" : strerror(one->error));
		return;
	case EP_TCPCHECK_ERROR:
		break;
	}
	snprintf(buf, len, "port %u: error of this host's own socket: %s", one->port,
		strerror(one->error));
}
