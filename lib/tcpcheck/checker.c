#include "tcpcheck_priv.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Events taken at once, and how often in a row before timers have their turn. */
#define EVENTS 256
#define EVENTS_ROUNDS 16
/* Timers served in a call: those of many connections may be due together. */
#define TIMERS 65536

static bool
speaks_tls(const struct ep_tcpcheck *c)
{
	for (uint32_t i = 0; i < c->targets.count; i++)
		if (c->targets.target[i].check == EP_TCPCHECK_TLS ||
			c->targets.target[i].check == EP_TCPCHECK_TURN_TLS)
			return true;
	return false;
}

static int
checker_tls(struct ep_tcpcheck *c, struct ep_err *err)
{
	c->ssl = SSL_CTX_new(TLS_client_method());
	if (c->ssl == NULL)
		return ep_err_set(err, -EIO, "OpenSSL gives no TLS client: %s",
			ERR_reason_error_string(ERR_peek_last_error()));
	/* Reported, not fatal: what matters is whether the path carries TLS, and who answers. */
	SSL_CTX_set_verify(c->ssl, SSL_VERIFY_NONE, NULL);
	/* Reading a host's roots takes some 35 ms: only where there is a certificate to verify. */
	if (speaks_tls(c))
		SSL_CTX_set_default_verify_paths(c->ssl);
	SSL_CTX_set_mode(c->ssl, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_OFF);
	return 0;
}

/* A name without the dot of the root: SNI has none (RFC 6066 section 3), and certificates neither. */
static void
name_copy(char *buf, size_t len, const char *name)
{
	const size_t used = strlen(name);
	const size_t kept = used > 1 && name[used - 1] == '.' ? used - 1 : used;

	snprintf(buf, len, "%.*s", (int)kept, name);
}

static void
checker_texts(struct ep_tcpcheck *c, const struct ep_tcpcheck_cfg *cfg)
{
	char address[64];
	struct ep_wire_ip ip;

	ep_wire_ip_format(address, sizeof(address), &cfg->peer);
	name_copy(c->host, sizeof(c->host), cfg->host != NULL ? cfg->host : address);
	/* SNI has names only (RFC 6066 section 3). */
	if (cfg->sni != NULL)
		name_copy(c->sni, sizeof(c->sni), cfg->sni);
	else if (ep_wire_ip_parse(c->host, &ip, NULL) < 0)
		snprintf(c->sni, sizeof(c->sni), "%s", c->host);
	if (cfg->sni != NULL)
		name_copy(c->host, sizeof(c->host), cfg->sni);
	name_copy(c->turn_sni, sizeof(c->turn_sni), cfg->turn_sni != NULL ? cfg->turn_sni : c->sni);
	if (cfg->device != NULL)
		snprintf(c->device, sizeof(c->device), "%s", cfg->device);
	if (cfg->expect_issuer != NULL)
		snprintf(c->expect_issuer, sizeof(c->expect_issuer), "%s", cfg->expect_issuer);
	if (cfg->pwd != NULL)
		snprintf(c->pwd, sizeof(c->pwd), "%s", cfg->pwd);
	c->has_username = cfg->ufrag != NULL;
	snprintf(c->username, sizeof(c->username), "%.250s:everyport",
		cfg->ufrag != NULL ? cfg->ufrag : "everyport");
}

int
ep_tcpcheck_create(const struct ep_tcpcheck_cfg *cfg, struct ep_tcpcheck **out, struct ep_err *err)
{
	struct ep_tcpcheck *c = calloc(1, sizeof(*c));
	int ret = 0;

	if (c == NULL)
		return ep_err_set(err, -ENOMEM, "no memory for the TCP check");
	c->peer = cfg->peer;
	c->targets = cfg->targets;
	c->timeout_ns = cfg->timeout_ns != 0 ? cfg->timeout_ns : EP_TCPCHECK_TIMEOUT_NS;
	c->utc_s = cfg->utc_s;
	c->load.tick.fd = -1;
	for (uint32_t i = 0; i < EP_TCPCHECK_TARGETS_MAX; i++)
		c->hold.one[i].line.io.fd = -1;
	checker_texts(c, cfg);
	c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (c->epoll_fd < 0)
		ret = ep_err_set(err, -errno, "the TCP check has no epoll: %s", strerror(errno));
	if (ret == 0)
		ret = checker_tls(c, err);
	if (ret == 0 && RAND_bytes(c->nonce, sizeof(c->nonce)) != 1)
		ret = ep_err_set(err, -EIO, "the system gave no random numbers");
	if (ret < 0) {
		ep_tcpcheck_destroy(c);
		return ret;
	}
	*out = c;
	return 0;
}

void
ep_tcpcheck_destroy(struct ep_tcpcheck *c)
{
	if (c == NULL)
		return;
	while (c->probes != NULL)
		tc_probe_free(c, c->probes);
	if (c->hold.running)
		ep_tcpcheck_hold_stop(c, 0);
	tc_capacity_free(c);
	tc_idle_free(c);
	free(c->heap);
	SSL_CTX_free(c->ssl);
	if (c->epoll_fd >= 0)
		close(c->epoll_fd);
	OPENSSL_cleanse(c->pwd, sizeof(c->pwd));
	free(c);
}

int
ep_tcpcheck_fd(const struct ep_tcpcheck *c)
{
	return c->epoll_fd;
}

uint64_t
ep_tcpcheck_next_ns(const struct ep_tcpcheck *c)
{
	return c->heap_count > 0 ? c->heap[1]->at_ns : UINT64_MAX;
}

/* --- Descriptors --------------------------------------------------------------------------------------------------------- */

#define IO_EVENTS (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)

int
tc_io_open(struct ep_tcpcheck *c, struct tc_io *io, enum tc_kind kind,
	enum ep_tcpcheck_transport transport, uint16_t port)
{
	struct epoll_event event = {.events = IO_EVENTS, .data.ptr = io};
	int ret = tc_timer_reserve(c, 1);

	*io = (struct tc_io){.fd = -1, .kind = (uint8_t)kind};
	if (ret == 0)
		ret = tc_sock_open(c, transport, port, &io->fd);
	if (ret < 0)
		return ret;
	if (epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, io->fd, &event) < 0) {
		ret = -errno;
		close(io->fd);
		io->fd = -1;
		return ret;
	}
	c->io_count++;
	return 0;
}

void
tc_io_again(struct ep_tcpcheck *c, struct tc_io *io)
{
	struct epoll_event event = {.events = IO_EVENTS, .data.ptr = io};

	/* It is in there, so this cannot fail. */
	(void)!epoll_ctl(c->epoll_fd, EPOLL_CTL_MOD, io->fd, &event);
}

void
tc_io_close(struct ep_tcpcheck *c, struct tc_io *io, bool abort)
{
	tc_timer_clear(c, io);
	if (io->fd < 0)
		return;
	/* Closing takes it out of epoll: the descriptor is not shared. */
	if (abort)
		tc_sock_abort(io->fd);
	else
		close(io->fd);
	io->fd = -1;
	c->io_count--;
}

int
tc_io_tick(struct ep_tcpcheck *c, struct tc_io *io, enum tc_kind kind)
{
	const int ret = tc_timer_reserve(c, 1);

	*io = (struct tc_io){.fd = -1, .kind = (uint8_t)kind};
	if (ret == 0)
		c->io_count++;
	return ret;
}

void
tc_io_tick_end(struct ep_tcpcheck *c, struct tc_io *io)
{
	tc_timer_clear(c, io);
	c->io_count--;
}

/* --- Dispatch ------------------------------------------------------------------------------------------------------------- */

static void
line_event(struct ep_tcpcheck *c, struct tc_line *line, uint64_t now_ns)
{
	switch ((enum tc_line_owner)line->owner) {
	case TC_LINE_HOLD:
		tc_hold_event(c, line, now_ns);
		break;
	case TC_LINE_CAPACITY:
		tc_capacity_event(c, line, now_ns);
		break;
	case TC_LINE_IDLE:
		tc_idle_event(c, line, now_ns);
		break;
	}
}

static void
line_timer(struct ep_tcpcheck *c, struct tc_line *line, uint64_t now_ns)
{
	switch ((enum tc_line_owner)line->owner) {
	case TC_LINE_HOLD:
		tc_hold_timer(c, line, now_ns);
		break;
	case TC_LINE_CAPACITY:
		tc_capacity_timer(c, line, now_ns);
		break;
	case TC_LINE_IDLE:
		tc_idle_timer(c, line, now_ns);
		break;
	}
}

static void
io_event(struct ep_tcpcheck *c, struct tc_io *io, uint64_t now_ns)
{
	/* An io is the first member of what it belongs to. */
	if (io->kind == TC_PROBE)
		tc_probe_event(c, (struct tc_probe *)(void *)io, now_ns);
	else
		line_event(c, (struct tc_line *)(void *)io, now_ns);
}

static void
io_timer(struct ep_tcpcheck *c, struct tc_io *io, uint64_t now_ns)
{
	switch ((enum tc_kind)io->kind) {
	case TC_PROBE:
		tc_probe_timer(c, (struct tc_probe *)(void *)io, now_ns);
		break;
	case TC_LINE:
		line_timer(c, (struct tc_line *)(void *)io, now_ns);
		break;
	case TC_TICK_LOAD:
		tc_load_tick(c, now_ns);
		break;
	case TC_TICK_CAPACITY:
		tc_capacity_tick(c, now_ns);
		break;
	case TC_TICK_IDLE:
		tc_idle_tick(c, now_ns);
		break;
	}
}

void
ep_tcpcheck_poll(struct ep_tcpcheck *c, uint64_t now_ns)
{
	struct epoll_event events[EVENTS];
	int n = EVENTS;

	/* Answers before timers: one that came in time counts, however late it is looked at. An event frees nothing but its own. */
	for (int k = 0; k < EVENTS_ROUNDS && n == EVENTS; k++) {
		n = epoll_wait(c->epoll_fd, events, EVENTS, 0);
		for (int i = 0; i < n; i++)
			io_event(c, events[i].data.ptr, now_ns);
	}
	for (int k = 0; k < TIMERS; k++) {
		struct tc_io *io = tc_timer_due(c, now_ns);

		if (io == NULL)
			break;
		io_timer(c, io, now_ns);
	}
}

/* --- Targets -------------------------------------------------------------------------------------------------------------- */

bool
tc_target_is_first(const struct ep_tcpcheck *c, uint32_t i)
{
	const struct ep_tcpcheck_target *t = &c->targets.target[i];

	return i == 0 || t[-1].port != t->port || t[-1].transport != t->transport;
}

enum tc_say
tc_target_say(const struct ep_tcpcheck_target *target)
{
	switch (target->check) {
	case EP_TCPCHECK_HTTP:
	case EP_TCPCHECK_TLS:
		return TC_SAY_HEAD;
	case EP_TCPCHECK_ICE_TCP:
		return TC_SAY_ICE;
	case EP_TCPCHECK_STUN:
	case EP_TCPCHECK_TURN:
	case EP_TCPCHECK_TURN_TLS:
		return TC_SAY_BINDING;
	case EP_TCPCHECK_CONNECT:
	case EP_TCPCHECK_CHECKS:
		break;
	}
	return TC_SAY_NOTHING;
}
