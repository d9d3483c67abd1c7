#include "responder.h"

#include "common.h"
#include "responder_session.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A connection that is not authenticated by then is closed. */
#define HANDSHAKE_NS (5 * EP_NS_PER_S)
/* At most one line in this time about connections that were no everyport. */
#define NOISE_LINE_NS (10 * EP_NS_PER_S)
/* How often the session is looked at. */
#define SESSION_TICK_MS 10
/* How often waiting connections are looked at, for their time-outs. */
#define CONN_TICK_MS 200
/* Without any, this often: a signal just before poll() would otherwise wait for the next connection. */
#define IDLE_TICK_MS 1000
/* A peer that does not read what is left for it is given up after this. */
#define CLOSING_NS (2 * EP_NS_PER_S)
/* Output that waits for a peer that reads too slowly, or not at all [B]: two reports of the largest size. */
#define OUTPUT_MAX_BYTES ((size_t)2 * EP_CTRL_FRAME_MAX)

uint16_t
responder_frame_max(uint32_t mtu_bytes)
{
	const uint32_t frame_bytes = mtu_bytes + 14 + EP_WIRE_FCS_BYTES;

	return frame_bytes > 9018 ? 9018 : (uint16_t)frame_bytes;
}

int
responder_listen(struct responder *r, struct ep_err *err)
{
	uint32_t ours = 0;
	const int ret = responder_fallback_open(r, err);

	if (ret < 0)
		return ret;
	for (uint32_t i = 0; i < r->listen_count; i++)
		ours += r->listen[i].ours;
	if (ours > 0)
		return 0;
	return ep_err_set(err, -EADDRINUSE,
		"none of the TCP ports can be listened on (%u: %s), so there is no way for the "
		"control connection; free one or give --control-port",
		r->listen[0].port, r->listen[0].text);
}

static void
say_listening(const struct responder *r)
{
	char tcp[128] = "";

	for (uint32_t i = 0; i < r->listen_count; i++) {
		const size_t len = strlen(tcp);

		if (r->listen[i].ours)
			snprintf(tcp + len, sizeof(tcp) - len, " %u", r->listen[i].port);
	}
	common_say(r->config, "ready on %s (%s), listening on TCP%s%s%s", r->info.name,
		r->info.mode, tcp, r->udp_text[0] != '\0' ? " and UDP" : "", r->udp_text);
}

static void
conn_free(struct responder *r, struct responder_conn *c)
{
	if (r->session.conn == c)
		responder_session_end(r);
	link_close(&c->link, 0);
	memset(c, 0, sizeof(*c));
}

void
responder_noise(struct responder *r, const char *sentence, uint64_t now_ns)
{
	r->noise_count++;
	if (r->noise_logged_ns != 0 && now_ns - r->noise_logged_ns < NOISE_LINE_NS)
		return;
	common_say(r->config,
		"closed %llu connection%s that did not authenticate, the last one: %s",
		(unsigned long long)r->noise_count, r->noise_count == 1 ? "" : "s", sentence);
	r->noise_count = 0;
	r->noise_logged_ns = now_ns;
}

static bool
conn_goes_before(const struct responder_conn *a, const struct responder_conn *b)
{
	return a->open != b->open ? !a->open : a->since_ns < b->since_ns;
}

/* A slot for a new connection: a free one, else the oldest, first of those that have not authenticated and then of those that
 * have no session, so that idle connections cannot lock the right initiator out. */
static struct responder_conn *
conn_slot(struct responder *r)
{
	struct responder_conn *oldest = NULL;

	for (uint32_t i = 0; i < RESPONDER_CONNS_MAX; i++) {
		struct responder_conn *c = &r->conn[i];

		if (c->link.conn == NULL)
			return c;
		if (c != r->session.conn && (oldest == NULL || conn_goes_before(c, oldest)))
			oldest = c;
	}
	conn_free(r, oldest);
	return oldest;
}

void
responder_take(struct responder *r, int fd, uint64_t now_ns)
{
	struct responder_conn *c = conn_slot(r);

	if (ep_xport_accept(r->xport, fd, now_ns, HANDSHAKE_NS, &c->link.conn, NULL) < 0)
		c->link.conn = NULL;
	c->since_ns = now_ns;
}

/* Whether a connection is at its end: broken, or all said, or its peer does not read. A session ends as soon as its connection is
 * closing. */
static bool
conn_over(struct responder *r, struct responder_conn *c, int ret, uint64_t now_ns)
{
	const uint8_t *bytes;
	const size_t waiting_bytes = ep_ctrl_output(c->link.ctrl, &bytes);

	if (ret < 0 || waiting_bytes > OUTPUT_MAX_BYTES)
		return true;
	if (!c->closing)
		return false;
	if (r->session.conn == c)
		responder_session_end(r);
	if (c->closing_ns == 0)
		c->closing_ns = now_ns;
	return waiting_bytes == 0 || now_ns - c->closing_ns >= CLOSING_NS;
}

/* Move one connection on; frees it when it is over. */
static void
conn_run(struct responder *r, struct responder_conn *c, uint64_t now_ns)
{
	int ret;

	if (!c->open) {
		switch (ep_xport_advance(c->link.conn, now_ns)) {
		case EP_XPORT_CLOSED:
			if (ep_xport_reason(c->link.conn) != EP_XPORT_END)
				responder_noise(r, ep_xport_error(c->link.conn), now_ns);
			conn_free(r, c);
			return;
		case EP_XPORT_OPEN:
			c->open = true;
			if (ep_ctrl_create(EP_CTRL_RESPONDER, now_ns, &c->link.ctrl) < 0) {
				conn_free(r, c);
				return;
			}
			break;
		default:
			return;
		}
	}
	ret = link_pump(&c->link, now_ns);
	responder_session_events(r, c, now_ns);
	if (ret == 0)
		ret = link_pump(&c->link, now_ns);
	if (conn_over(r, c, ret, now_ns))
		conn_free(r, c);
}

/* Wait for something to happen. */
static void
serve_wait(const struct responder *r)
{
	struct pollfd p[1 + RESPONDER_CONNS_MAX];
	const uint8_t *bytes;
	nfds_t n = 0;
	int wait_ms = IDLE_TICK_MS;
	const int pause_ms = ep_fallback_pause_ms(r->fallback, host_now_ns());

	for (uint32_t i = 0; i < RESPONDER_CONNS_MAX; i++) {
		const struct responder_conn *c = &r->conn[i];

		if (c->link.conn == NULL)
			continue;
		wait_ms = CONN_TICK_MS;
		p[n] = (struct pollfd){.fd = ep_xport_fd(c->link.conn), .events = POLLIN};
		if (ep_xport_wants_write(c->link.conn) ||
			(c->link.ctrl != NULL && ep_ctrl_output(c->link.ctrl, &bytes) > 0))
			p[n].events |= POLLOUT;
		n++;
	}
	if (r->session.conn != NULL)
		wait_ms = SESSION_TICK_MS;
	if (pause_ms == 0)
		p[n++] = (struct pollfd){.fd = ep_fallback_fd(r->fallback), .events = POLLIN};
	else if (pause_ms < wait_ms)
		wait_ms = pause_ms;
	/* The device answers by itself, and who asks does not wait for long. */
	if (r->way.slow != NULL && wait_ms > SESSION_TICK_MS)
		wait_ms = SESSION_TICK_MS;
	poll(p, n, wait_ms);
}

int
responder_serve(struct responder *r)
{
	say_listening(r);
	while (!host_interrupted() && !r->ended) {
		serve_wait(r);
		ep_fallback_run(r->fallback, host_now_ns());
		way_tick(&r->way, r->session.engine);
		for (uint32_t i = 0; i < RESPONDER_CONNS_MAX; i++)
			if (r->conn[i].link.conn != NULL)
				conn_run(r, &r->conn[i], host_now_ns());
		if (r->session.conn != NULL)
			responder_session_tick(r, host_now_ns());
	}
	return host_interrupted() ? EXIT_INTERRUPTED : EXIT_PASS;
}

void
responder_close(struct responder *r)
{
	for (uint32_t i = 0; i < RESPONDER_CONNS_MAX; i++)
		if (r->conn[i].link.conn != NULL)
			conn_free(r, &r->conn[i]);
	ep_fallback_destroy(r->fallback);
	r->fallback = NULL;
	r->listen_count = 0;
	ep_xport_destroy(r->xport);
	r->xport = NULL;
}
