#include "fallback_priv.h"

#include <ep_netlink.h>

#include <errno.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define REALM "everyport"
/* Handled in one call, so that the caller's other work is never far away. */
#define EVENTS_MAX 64
#define ACCEPTS_MAX 64
#define DATAGRAMS_MAX 64
#define SWEEP_NS EP_NS_PER_S

/* --- A bound on a rate ------------------------------------------------------------------------ */

void
fallback_bucket_fill(struct bucket *b, uint64_t now_ns)
{
	const uint64_t token_ns = EP_NS_PER_S / b->per_s;
	const uint64_t due = (now_ns - b->last_ns) / token_ns;
	const int64_t room = (int64_t)b->burst - b->tokens;

	if (due == 0)
		return;
	b->last_ns += due * token_ns;
	b->tokens += room < 0 || due < (uint64_t)room ? (int64_t)due : room;
}

bool
fallback_bucket_take(struct bucket *b)
{
	if (b->tokens <= 0)
		return false;
	b->tokens--;
	return true;
}

/* --- Making one ------------------------------------------------------------------------------- */

static int
nonce_make(struct ep_fallback *f)
{
	uint64_t number;

	if (RAND_bytes((unsigned char *)&number, sizeof(number)) != 1)
		return -EIO;
	snprintf(f->nonce, sizeof(f->nonce), "%016llx", (unsigned long long)number);
	return 0;
}

static int
server_setup(struct ep_fallback *f, const struct ep_fallback_cfg *cfg, struct ep_err *err)
{
	f->software = strdup(cfg->software);
	f->conn = calloc(cfg->conns_max, sizeof(*f->conn));
	if (f->software == NULL || f->conn == NULL)
		return ep_err_set(err, -ENOMEM, "no memory for connections to the fallback ports");
	f->voice = (struct ep_fallback_voice){.software = f->software,
		.realm = REALM,
		.nonce = f->nonce,
		.ufrag = cfg->ufrag,
		.pwd = cfg->pwd};
	if (nonce_make(f) < 0)
		return ep_err_set(err, -EIO, "OpenSSL has no randomness");
	f->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (f->epoll_fd < 0)
		return ep_err_set(err, -errno, "epoll: %s", strerror(errno));
	return fallback_tls_server_create(&f->tls, err);
}

int
ep_fallback_create(const struct ep_fallback_cfg *cfg, struct ep_fallback **out, struct ep_err *err)
{
	struct ep_fallback *f = calloc(1, sizeof(*f));
	int ret;

	if (f == NULL)
		return ep_err_set(err, -ENOMEM, "no memory for the fallback ports");
	f->epoll_fd = -1;
	f->alpn = cfg->alpn;
	f->device = cfg->device;
	f->hooks = cfg->hooks;
	f->conn_max = cfg->conns_max;
	f->free = f->oldest = f->newest = NO_CONN;
	f->events = (struct bucket){
		.per_s = EP_FALLBACK_EVENTS_PER_S, .burst = EP_FALLBACK_EVENTS_PER_S / 4};
	f->datagrams =
		(struct bucket){.per_s = EP_FALLBACK_UDP_PPS, .burst = EP_FALLBACK_UDP_PPS / 4};
	ret = server_setup(f, cfg, err);
	if (ret < 0) {
		ep_fallback_destroy(f);
		return ret;
	}
	*out = f;
	return 0;
}

void
ep_fallback_destroy(struct ep_fallback *f)
{
	if (f == NULL)
		return;
	if (f->conn != NULL)
		fallback_conn_fini(f);
	for (uint32_t i = 0; i < f->listen_count; i++)
		close(f->listen_fd[i]);
	for (uint32_t i = 0; i < f->udp_count; i++)
		close(f->udp_fd[i]);
	if (f->epoll_fd >= 0)
		close(f->epoll_fd);
	fallback_tls_server_destroy(f->tls);
	free(f->conn);
	free(f->software);
	free(f);
}

int
fallback_watch(struct ep_fallback *f, int op, int fd, uint32_t events, enum fallback_kind kind,
	uint32_t index)
{
	struct epoll_event event = {.events = events, .data.u64 = (uint64_t)kind << 32 | index};

	return epoll_ctl(f->epoll_fd, op, fd, &event) < 0 ? -errno : 0;
}

int
ep_fallback_listen(struct ep_fallback *f, int fd)
{
	int ret = -ENOSPC;

	if (f->listen_count < EP_FALLBACK_PORTS_MAX)
		ret = fallback_watch(f, EPOLL_CTL_ADD, fd, EPOLLIN, KIND_LISTEN, f->listen_count);
	if (ret == 0)
		f->listen_fd[f->listen_count++] = fd;
	else
		close(fd);
	return ret;
}

int
ep_fallback_udp(struct ep_fallback *f, uint16_t port, struct ep_err *err)
{
	int fd = -ENOSPC, ret;

	if (f->udp_count < EP_FALLBACK_PORTS_MAX)
		fd = fallback_udp_open(f->device, port);
	ret = fd < 0 ? fd : fallback_watch(f, EPOLL_CTL_ADD, fd, EPOLLIN, KIND_UDP, f->udp_count);
	if (ret == 0) {
		f->udp_fd[f->udp_count++] = fd;
		return 0;
	}
	if (fd >= 0)
		close(fd);
	return ep_err_set(err, ret, "UDP port %u %s", port,
		ret == -EADDRINUSE ? "is in use by another program" : strerror(-ret));
}

/* --- Serving ---------------------------------------------------------------------------------- */

int
ep_fallback_fd(const struct ep_fallback *f)
{
	return f->epoll_fd;
}

int
ep_fallback_pause_ms(struct ep_fallback *f, uint64_t now_ns)
{
	fallback_bucket_fill(&f->events, now_ns);
	if (f->events.tokens > 0)
		return 0;
	return (int)(-f->events.tokens * 1000 / EP_FALLBACK_EVENTS_PER_S) + 1;
}

static void
accept_some(struct ep_fallback *f, int listen_fd, uint64_t now_ns)
{
	for (int i = 0; i < ACCEPTS_MAX; i++) {
		struct sockaddr_storage sa;
		socklen_t len = sizeof(sa);
		struct ep_wire_ip peer;
		uint16_t port;
		const int fd = accept4(
			listen_fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		/* The listener stays readable for the connection that found no descriptor. */
		if (fd < 0 && (errno == EMFILE || errno == ENFILE) && fallback_conn_evict(f))
			continue;
		if (fd < 0)
			return;
		f->count.accepted++;
		f->events.tokens--;
		if (ep_netlink_sockaddr_get(&sa, &peer, &port) < 0)
			close(fd);
		else
			fallback_conn_add(f, fd, &peer, port, now_ns);
	}
}

static void
handle(struct ep_fallback *f, enum fallback_kind kind, uint32_t index, uint64_t now_ns)
{
	switch (kind) {
	case KIND_LISTEN:
		accept_some(f, f->listen_fd[index], now_ns);
		break;
	case KIND_UDP:
		f->events.tokens -= fallback_udp_run(f->udp_fd[index], &f->voice, &f->datagrams,
			DATAGRAMS_MAX, &f->count.datagrams);
		break;
	case KIND_CONN:
		/* A slot may have been given to another connection since: that one has nothing to read, which does no harm. */
		f->events.tokens--;
		if (f->conn[index].fd >= 0)
			fallback_conn_run(f, index, now_ns);
		break;
	}
}

void
ep_fallback_run(struct ep_fallback *f, uint64_t now_ns)
{
	struct epoll_event event[EVENTS_MAX];
	int count;

	fallback_bucket_fill(&f->events, now_ns);
	fallback_bucket_fill(&f->datagrams, now_ns);
	if (now_ns - f->swept_ns >= SWEEP_NS) {
		f->swept_ns = now_ns;
		fallback_conn_sweep(f, now_ns);
	}
	if (f->events.tokens <= 0)
		return;
	count = epoll_wait(f->epoll_fd, event, EVENTS_MAX, 0);
	for (int i = 0; i < count; i++)
		handle(f, (enum fallback_kind)(event[i].data.u64 >> 32),
			(uint32_t)event[i].data.u64, now_ns);
}

void
ep_fallback_counts(const struct ep_fallback *f, struct ep_fallback_count *count)
{
	*count = f->count;
	count->conns_max = f->conn_max;
}
