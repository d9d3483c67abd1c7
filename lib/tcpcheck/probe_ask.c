#include "probe_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* What is said at a level without being its answer; a peer that says more would keep us from everything else. */
#define HEARD_MAX_BYTES (256u << 10)

/* --- ASK ------------------------------------------------------------------------------------------------------------------ */

/* The next of: the request again (UDP), the end of the time. */
static void
ask_timer(struct ep_tcpcheck *c, struct tc_probe *p)
{
	const uint64_t end_ns = p->step_ns + c->timeout_ns;
	const uint64_t again_ns =
		probe_is_udp(c, p) ? ep_stun_send_ns(p->tries, EP_STUN_RTO_NS) : UINT64_MAX;

	tc_timer_set(c, &p->io, again_ns < c->timeout_ns ? p->step_ns + again_ns : end_ns);
}

static int
ask_send(struct ep_tcpcheck *c, struct tc_probe *p)
{
	uint8_t buf[TC_SAY_MAX];
	const size_t len = tc_say(c, (enum tc_say)p->say, probe_target(c, p)->port, p->number, buf);

	if (len == 0)
		return -EMSGSIZE;
	if (p->tls != NULL)
		return tc_tls_write(p->tls, p->io.fd, buf, len);
	return send(p->io.fd, buf, len, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

void
probe_ask(struct ep_tcpcheck *c, struct tc_probe *p, enum tc_say say, uint64_t now_ns)
{
	int ret;

	p->state = PROBE_ASK;
	p->say = (uint8_t)say;
	p->step_ns = now_ns;
	p->number = ++c->number;
	p->have = p->heard_bytes = 0;
	if (probe_is_udp(c, p))
		p->tries = 1;
	if (p->rx == NULL)
		p->rx = malloc(TC_ANSWER_MAX);
	ret = p->rx != NULL ? ask_send(c, p) : -ENOMEM;
	if (ret < 0)
		probe_end_error(c, p, -ret, now_ns);
	else
		ask_timer(c, p);
}

/* An answer to a level that is open, or not: an Allocate that is answered like a Binding is no TURN. */
static void
ask_answered(
	struct ep_tcpcheck *c, struct tc_probe *p, const struct tc_answer *answer, uint64_t now_ns)
{
	const bool ok = p->say != TC_SAY_ALLOCATE || answer->is_turn;
	const struct tc_end end = {.status = ok ? EP_TCPCHECK_OPEN : EP_TCPCHECK_WRONG_PROTOCOL};
	struct ep_tcpcheck_row row;

	if (probe_is_udp(c, p) && p->connect_ns == 0)
		p->connect_ns = now_ns - p->start_ns;
	row = probe_row(c, p, &end);
	row.answer_ns = now_ns - p->step_ns;
	snprintf(row.reply, sizeof(row.reply), "%s", answer->reply);
	snprintf(row.mapped, sizeof(row.mapped), "%s", answer->mapped);
	if (probe_is_udp(c, p) && !p->load && p->say != TC_SAY_ALLOCATE && ok &&
		probe_target(c, p)->check == EP_TCPCHECK_TURN) {
		probe_write(c, p, &row);
		probe_ask(c, p, TC_SAY_ALLOCATE, now_ns);
		if (c->freed != p)
			tc_io_again(c, &p->io);
		return;
	}
	probe_end_row(c, p, &row, now_ns);
}

static void
ask_wrong(struct ep_tcpcheck *c, struct tc_probe *p, size_t at, uint64_t now_ns)
{
	char shown[64];

	tc_show(shown, sizeof(shown), p->rx + at, p->have - at);
	probe_end_status(c, p, EP_TCPCHECK_WRONG_PROTOCOL, shown, now_ns);
}

/* The stream ended without an answer. A service that closes on a ufrag that it does not know was reached all the same. */
static void
ask_closed(struct ep_tcpcheck *c, struct tc_probe *p, int error, uint64_t now_ns)
{
	if (error != 0 && error != ECONNRESET && error != EPIPE) {
		probe_end_error(c, p, error, now_ns);
	} else if (p->have > 0) {
		ask_wrong(c, p, 0, now_ns);
	} else if (error == 0 && p->say == TC_SAY_ICE) {
		probe_end_status(c, p, EP_TCPCHECK_OPEN, "closed by the service", now_ns);
	} else {
		probe_end_status(c, p, EP_TCPCHECK_RESET, error == 0 ? "closed" : "reset", now_ns);
	}
}

/* Judge what is in the buffer. Returns whether the probe goes on. */
static bool
ask_hear(struct ep_tcpcheck *c, struct tc_probe *p, uint64_t now_ns)
{
	struct tc_answer answer;
	size_t at = 0;

	while (at < p->have) {
		const size_t left = p->have - at;
		const enum tc_heard heard =
			tc_hear(c, (enum tc_say)p->say, p->rx + at, left, &answer);

		if (heard == TC_HEARD_ANSWER) {
			ask_answered(c, p, &answer, now_ns);
			return false;
		}
		if (heard == TC_HEARD_WRONG || (heard == TC_HEARD_MORE && left == TC_ANSWER_MAX) ||
			p->heard_bytes > HEARD_MAX_BYTES) {
			ask_wrong(c, p, at, now_ns);
			return false;
		}
		if (heard == TC_HEARD_MORE)
			break;
		at += answer.used;
	}
	memmove(p->rx, p->rx + at, p->have - at);
	p->have -= at;
	return true;
}

static ssize_t
ask_read(struct ep_tcpcheck *c, struct tc_probe *p)
{
	ssize_t n;

	if (p->tls != NULL)
		return tc_tls_read(c, p->tls, p->io.fd, p->rx + p->have, TC_ANSWER_MAX - p->have);
	n = recv(p->io.fd, p->rx + p->have, TC_ANSWER_MAX - p->have, 0);
	return n < 0 ? -errno : n;
}

void
probe_ask_event(struct ep_tcpcheck *c, struct tc_probe *p, uint64_t now_ns)
{
	const bool udp = probe_is_udp(c, p);

	for (;;) {
		ssize_t n;

		/* Each datagram is a message of its own; what an earlier one left is no beginning of this. */
		if (udp)
			p->have = 0;
		n = ask_read(c, p);
		if (n == -EAGAIN || n == -EINTR)
			return;
		if (n < 0 || (n == 0 && !udp)) {
			ask_closed(c, p, (int)-n, now_ns);
			return;
		}
		p->have += (size_t)n;
		p->heard_bytes += (uint32_t)n + 1;
		if (!ask_hear(c, p, now_ns))
			return;
	}
}

void
probe_ask_expired(struct ep_tcpcheck *c, struct tc_probe *p, uint64_t now_ns)
{
	if (now_ns - p->step_ns < c->timeout_ns) {
		p->tries++;
		/* An error is known by its event. */
		ask_send(c, p);
		ask_timer(c, p);
		return;
	}
	/* A listener that drops what it does not know is reached if its TCP has taken the request. */
	if (p->have > 0)
		probe_end_status(c, p, EP_TCPCHECK_FILTERED, "stopped within its answer", now_ns);
	else if (p->say == TC_SAY_ICE && tc_sock_taken(p->io.fd))
		probe_end_status(c, p, EP_TCPCHECK_OPEN, "silent", now_ns);
	else
		probe_end_status(c, p, EP_TCPCHECK_FILTERED, "silent", now_ns);
}

/* --- TLS ------------------------------------------------------------------------------------------------------------------ */

void
probe_tls(struct ep_tcpcheck *c, struct tc_probe *p, uint64_t now_ns)
{
	const bool turn = probe_target(c, p)->check == EP_TCPCHECK_TURN_TLS;

	p->state = PROBE_TLS;
	p->step_ns = now_ns;
	p->tls = tc_tls_new(c, turn ? c->turn_sni : c->sni, !turn);
	if (p->tls == NULL)
		probe_end_error(c, p, ENOMEM, now_ns);
	else
		tc_timer_set(c, &p->io, now_ns + c->timeout_ns);
}

/* Whether the certificate's issuer is the expected one. Where it is not, somebody on the way may have put himself in between. */
static bool
tls_issuer_fits(const struct ep_tcpcheck *c, const struct tc_probe *p)
{
	struct ep_tcpcheck_tls info;

	if (c->expect_issuer[0] == '\0')
		return true;
	tc_tls_info(c, p->tls, &info);
	return strcasestr(info.issuer, c->expect_issuer) != NULL;
}

static void
tls_done(struct ep_tcpcheck *c, struct tc_probe *p, uint64_t now_ns)
{
	const struct tc_end open = {.status = EP_TCPCHECK_OPEN};
	const struct tc_end other = {.status = EP_TCPCHECK_TLS_FAILED, .error = EKEYREJECTED};
	struct ep_tcpcheck_row row;

	p->tls_ns = now_ns > p->step_ns ? now_ns - p->step_ns : 1;
	if (!tls_issuer_fits(c, p)) {
		probe_end(c, p, &other, "another issuer", now_ns);
		return;
	}
	if (probe_target(c, p)->check == EP_TCPCHECK_TURN_TLS) {
		probe_ask(c, p, TC_SAY_ALLOCATE, now_ns);
		return;
	}
	row = probe_row(c, p, &open);
	snprintf(row.reply, sizeof(row.reply), "%s", row.tls.version);
	probe_write(c, p, &row);
	probe_ask(c, p, TC_SAY_GET, now_ns);
}

void
probe_tls_event(struct ep_tcpcheck *c, struct tc_probe *p, uint64_t now_ns)
{
	char reply[128] = "";
	struct tc_end end;

	switch (tc_tls_step(c, p->tls, p->io.fd, &end, reply)) {
	case TC_TLS_MORE:
		break;
	case TC_TLS_DONE:
		tls_done(c, p, now_ns);
		break;
	case TC_TLS_FAILED:
		probe_end(c, p, &end, reply, now_ns);
		break;
	}
}
