#include "peer.h"

#include "host.h"

#include <ep_netlink.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Ports of an address that are tried at once. */
#define PORTS_MAX 8
/* RFC 8305 section 5: how long an address has for itself. */
#define AHEAD_NS (UINT64_C(250) * EP_NS_PER_MS)
#define STEP_MS 20

/* The attempts at one address. */
struct one {
	uint32_t under_way;
	bool begun, connected;
	int error; /* The last failure, positive; 0: none. */
};

struct race {
	const struct host_addresses *addresses;
	const char *device; /* NULL: the kernel routes. */
	struct one one[HOST_ADDRESSES_MAX];
	struct pollfd fd[HOST_ADDRESSES_MAX * PORTS_MAX]; /* fd -1: ended. */
	uint32_t of[HOST_ADDRESSES_MAX * PORTS_MAX];      /* Index of its address. */
	uint32_t fd_count;
	uint32_t under_way;
};

/* @return 0 where it is under way or done, else -errno. */
static int
race_connect(const struct race *r, int fd, const struct ep_wire_ip *ip, uint16_t port)
{
	struct sockaddr_storage sa;
	const socklen_t len = ep_netlink_sockaddr_set(&sa, ip, port);

	if (r->device != NULL &&
		setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, r->device,
			(socklen_t)strlen(r->device)) < 0)
		return -errno;
	return connect(fd, (struct sockaddr *)&sa, len) < 0 && errno != EINPROGRESS ? -errno : 0;
}

static void
race_try(struct race *r, uint32_t i, uint16_t port)
{
	const struct ep_wire_ip *ip = &r->addresses->ip[i];
	const int family = ip->family == EP_WIRE_IPV6 ? AF_INET6 : AF_INET;
	const int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const int ret = fd < 0 ? -errno : race_connect(r, fd, ip, port);

	if (ret < 0) {
		r->one[i].error = -ret;
		if (fd >= 0)
			close(fd);
		return;
	}
	r->fd[r->fd_count] = (struct pollfd){.fd = fd, .events = POLLOUT};
	r->of[r->fd_count++] = i;
	r->one[i].under_way++;
	r->under_way++;
}

static void
race_begin(struct race *r, uint32_t i, const struct config *c)
{
	r->one[i].begun = true;
	if (c->control_port != 0) {
		race_try(r, i, (uint16_t)c->control_port);
		return;
	}
	for (uint32_t k = 0; k < c->tcp_count && k < PORTS_MAX; k++)
		race_try(r, i, c->tcp[k]);
}

/* A connection that is closed by RST leaves nothing behind, here or on the way. */
static void
race_close(struct race *r, uint32_t k)
{
	const struct linger linger = {.l_onoff = 1, .l_linger = 0};

	setsockopt(r->fd[k].fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(r->fd[k].fd);
	r->fd[k].fd = -1;
	r->one[r->of[k]].under_way--;
	r->under_way--;
}

/* Take what has ended. */
static void
race_take(struct race *r)
{
	for (uint32_t k = 0; k < r->fd_count; k++) {
		struct one *one = &r->one[r->of[k]];
		socklen_t len = sizeof(int);
		int error = 0;

		if (r->fd[k].fd < 0 || r->fd[k].revents == 0)
			continue;
		if (getsockopt(r->fd[k].fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
			error = errno;
		if (error == 0)
			one->connected = true;
		else
			one->error = error;
		race_close(r, k);
	}
}

/* Index of the first that connected, or count. */
static uint32_t
race_winner(const struct race *r)
{
	uint32_t i = 0;

	while (i < r->addresses->count && !r->one[i].connected)
		i++;
	return i;
}

static void
race_run(struct race *r, const struct config *c)
{
	const uint32_t count = r->addresses->count;
	uint64_t next_ns = 0, end_ns = 0;
	uint32_t next = 0;

	while (race_winner(r) == count && !host_interrupted()) {
		const uint64_t now_ns = host_now_ns();
		const uint32_t last = next > 0 ? next - 1 : 0;

		if (next < count && (now_ns >= next_ns || r->one[last].under_way == 0)) {
			next_ns = now_ns + AHEAD_NS;
			end_ns = now_ns + c->tcp_timeout_ns;
			race_begin(r, next++, c);
			continue;
		}
		if (next == count && (r->under_way == 0 || now_ns >= end_ns))
			break;
		poll(r->fd, r->fd_count, STEP_MS);
		race_take(r);
	}
}

/* Where none connects: one that said no is at least there. */
static uint32_t
race_best(const struct race *r)
{
	const uint32_t winner = race_winner(r);

	if (winner < r->addresses->count)
		return winner;
	for (uint32_t i = 0; i < r->addresses->count; i++)
		if (r->one[i].error == ECONNREFUSED)
			return i;
	return 0;
}

static void
race_note(const struct race *r, uint32_t chosen, const char *name, char *buf, size_t len)
{
	const struct host_addresses *a = r->addresses;
	char ip[EP_WIRE_IP_TEXT_BYTES];
	size_t used;

	ep_wire_ip_format(ip, sizeof(ip), &a->ip[chosen]);
	used = (size_t)snprintf(buf, len, "%s has %u addresses, and this is about %s%s", name,
		a->count, ip,
		r->one[chosen].connected ? ", the first that connects" : ": none connects");
	for (uint32_t i = 0; i < a->count && used < len; i++) {
		const struct one *one = &r->one[i];

		if (i == chosen)
			continue;
		ep_wire_ip_format(ip, sizeof(ip), &a->ip[i]);
		used += (size_t)snprintf(buf + used, len - used, "; %s: %s", ip,
			!one->begun               ? "not tried"
				: one->error != 0 ? strerror(one->error)
						  : "no answer");
	}
}

int
peer_choose(const struct config *config, const char *name, const char *what, const char *device,
	struct peer *out, struct ep_err *err)
{
	struct host_addresses addresses;
	struct race r = {.addresses = &addresses, .device = device};
	uint32_t chosen = 0;
	int ret = host_resolve_all(name, what, &addresses, err);

	*out = (struct peer){0};
	if (ret < 0)
		return ret;
	if (addresses.count > 1 && (config->control_port != 0 || config->tcp_count > 0)) {
		race_run(&r, config);
		chosen = race_best(&r);
		race_note(&r, chosen, name, out->note, sizeof(out->note));
	} else if (addresses.count > 1) {
		race_note(&r, chosen, name, out->note, sizeof(out->note));
	}
	for (uint32_t k = 0; k < r.fd_count; k++)
		if (r.fd[k].fd >= 0)
			race_close(&r, k);
	out->ip = addresses.ip[chosen];
	return 0;
}
