/* The fallback ports of the responder: what a check of a media server's TCP and TURN ports meets (lib/fallback). */
#include "common.h"
#include "responder.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* Descriptors that are not for strangers: devices, control connections, DPDK. */
#define FILES_RESERVED 256

/* As many connections as the limit on open files leaves, after raising it as far as it may be. */
static uint32_t
conns_max(void)
{
	struct rlimit limit;
	const rlim_t wanted = EP_FALLBACK_CONNS_MAX + FILES_RESERVED;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return FILES_RESERVED;
	if (limit.rlim_cur < wanted) {
		limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
		setrlimit(RLIMIT_NOFILE, &limit);
		getrlimit(RLIMIT_NOFILE, &limit);
	}
	if (limit.rlim_cur >= wanted)
		return EP_FALLBACK_CONNS_MAX;
	return limit.rlim_cur > 2 * FILES_RESERVED ? (uint32_t)limit.rlim_cur - FILES_RESERVED
						   : FILES_RESERVED;
}

static void
on_control(void *user, int fd, uint64_t now_ns)
{
	responder_take(user, fd, now_ns);
}

static void
on_noise(void *user, const char *sentence, uint64_t now_ns)
{
	responder_noise(user, sentence, now_ns);
}

static void
say_left_alone(const struct responder *r, const char *transport, uint16_t port, const char *why)
{
	common_say(r->config,
		"not on %s %u: %s; the port is left alone, and checks of it meet what is there",
		transport, port, why);
}

static void
tcp_one(struct responder *r, uint16_t port)
{
	struct ep_ctrl_listen *l = &r->listen[r->listen_count++];
	struct ep_err err = {0};
	const int fd = ep_xport_listen_on(r->way.bind, port, &err);
	const int ret = fd < 0 ? fd : ep_fallback_listen(r->fallback, fd);

	l->port = port;
	l->ours = ret == 0;
	if (l->ours)
		return;
	snprintf(l->text, sizeof(l->text), "%s",
		ret == -EADDRINUSE ? "in use by another program" : strerror(-ret));
	say_left_alone(r, "TCP", port, l->text);
}

static void
udp_one(struct responder *r, uint16_t port)
{
	const size_t len = strlen(r->udp_text);
	const int ret = ep_fallback_udp(r->fallback, port, NULL);

	if (ret == 0)
		snprintf(r->udp_text + len, sizeof(r->udp_text) - len, " %u", port);
	else
		say_left_alone(r, "UDP", port,
			ret == -EADDRINUSE ? "in use by another program" : strerror(-ret));
}

/* Targets are in the order of their ports; one port may have several checks. */
static void
udp_all(struct responder *r)
{
	const struct ep_tcpcheck_targets *targets = &r->config->targets;
	uint16_t last = 0;

	for (uint32_t i = 0; i < targets->count; i++) {
		const struct ep_tcpcheck_target *t = &targets->target[i];

		if (t->transport != EP_TCPCHECK_UDP || t->port == last)
			continue;
		last = t->port;
		udp_one(r, t->port);
	}
}

int
responder_fallback_open(struct responder *r, struct ep_err *err)
{
	const struct config *c = r->config;
	const struct ep_fallback_cfg cfg = {
		.software = "everyport/" EVERYPORT_VERSION,
		.alpn = EP_XPORT_ALPN,
		.ufrag = c->ufrag,
		.pwd = c->pwd,
		.device = r->way.bind,
		.conns_max = conns_max(),
		.hooks = {.user = r, .control = on_control, .noise = on_noise},
	};
	const int ret = ep_fallback_create(&cfg, &r->fallback, err);

	if (ret < 0)
		return ret;
	if (c->control_port != 0)
		tcp_one(r, (uint16_t)c->control_port);
	for (uint32_t i = 0; i < c->tcp_count && r->listen_count < EP_CTRL_LISTEN_MAX; i++)
		if (c->tcp[i] != c->control_port)
			tcp_one(r, c->tcp[i]);
	udp_all(r);
	return 0;
}
