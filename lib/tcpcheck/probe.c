/*
 * One target once, level by level:
 *
 *   TCP  CONNECT -> GRACE (connect, ice-tcp, load) -> TLS (tls, turn-tls) -> ASK
 *   UDP  ASK (Binding) -> ASK (Allocate)
 *
 * The time of a level begins when the one below it ended.
 */

#include "tcpcheck_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum probe_state { PROBE_CONNECT, PROBE_GRACE, PROBE_TLS, PROBE_ASK };

struct tc_probe {
	struct tc_io io;
	struct tc_probe *next, **link; /* All that are under way. */
	uint32_t target;
	bool load;
	uint8_t state;
	uint8_t say;
	uint32_t level; /* Rows written. */
	uint32_t tries;
	uint32_t number; /* Of the transaction. */
	uint64_t start_ns, step_ns;
	uint64_t connect_ns, tls_ns;
	struct tc_tls *tls;
	uint8_t *rx; /* [TC_ANSWER_MAX], from ASK on. */
	size_t have;
};

static const struct ep_tcpcheck_target *
probe_target(const struct ep_tcpcheck *c, const struct tc_probe *p)
{
	return &c->targets.target[p->target];
}

static bool
probe_is_udp(const struct ep_tcpcheck *c, const struct tc_probe *p)
{
	return probe_target(c, p)->transport == EP_TCPCHECK_UDP;
}

void
tc_probe_free(struct ep_tcpcheck *c, struct tc_probe *p)
{
	/* A connect of the load leaves no TIME_WAIT, nor a conntrack entry that has to age. */
	tc_io_close(c, &p->io, p->load && !probe_is_udp(c, p));
	tc_tls_free(p->tls);
	free(p->rx);
	*p->link = p->next;
	if (p->next != NULL)
		p->next->link = p->link;
	if (p->load)
		c->load.under_way--;
	else
		c->round.running--;
	c->freed = p;
	free(p);
}

/* --- Rows ----------------------------------------------------------------------------------------------------------------- */

/* The level that the probe is at. */
static enum ep_tcpcheck_check
probe_level(const struct ep_tcpcheck *c, const struct tc_probe *p)
{
	const enum ep_tcpcheck_check check = probe_target(c, p)->check;

	switch ((enum probe_state)p->state) {
	case PROBE_CONNECT:
		return p->load || tc_target_is_first(c, p->target) ? EP_TCPCHECK_CONNECT : check;
	case PROBE_GRACE:
		return p->load ? EP_TCPCHECK_CONNECT : check;
	case PROBE_TLS:
		return check;
	case PROBE_ASK:
		break;
	}
	if (p->say == TC_SAY_GET)
		return EP_TCPCHECK_HTTP;
	if (p->say == TC_SAY_ICE)
		return EP_TCPCHECK_ICE_TCP;
	if (p->say == TC_SAY_ALLOCATE)
		return check == EP_TCPCHECK_TURN_TLS ? check : EP_TCPCHECK_TURN;
	return EP_TCPCHECK_STUN;
}

static struct ep_tcpcheck_row
probe_row(const struct ep_tcpcheck *c, const struct tc_probe *p, const struct tc_end *end)
{
	const struct ep_tcpcheck_target *t = probe_target(c, p);
	struct ep_tcpcheck_row row = {
		.transport = t->transport,
		.port = t->port,
		.check = probe_level(c, p),
		.required = t->required,
		.status = end->status,
		.error = end->error,
		.has_icmp = end->has_icmp,
		.icmp_type = end->icmp_type,
		.icmp_code = end->icmp_code,
		.connect_ns = p->connect_ns,
		.tries = p->tries,
	};

	if (row.check == EP_TCPCHECK_TLS || row.check == EP_TCPCHECK_TURN_TLS) {
		row.tls_ns = p->tls_ns;
		if (p->tls != NULL && p->tls_ns > 0)
			tc_tls_info(c, p->tls, &row.tls);
	}
	return row;
}

static void
probe_write(struct ep_tcpcheck *c, struct tc_probe *p, struct ep_tcpcheck_row *row)
{
	/* The connect of a second check of the same port says nothing new when it is open. */
	if (row->check == EP_TCPCHECK_CONNECT && row->status == EP_TCPCHECK_OPEN &&
		!tc_target_is_first(c, p->target))
		return;
	tc_row_finish(c, row);
	c->round.row[p->target][p->level] = *row;
	c->round.used[p->target][p->level] = true;
	p->level++;
}

/* The probe has ended with this row. */
static void
probe_end_row(
	struct ep_tcpcheck *c, struct tc_probe *p, struct ep_tcpcheck_row *row, uint64_t now_ns)
{
	if (p->load) {
		tc_row_finish(c, row);
		tc_load_done(c, p->target, row, p->start_ns, now_ns);
	} else {
		probe_write(c, p, row);
	}
	tc_probe_free(c, p);
}

static void
probe_end(struct ep_tcpcheck *c, struct tc_probe *p, const struct tc_end *end, const char *reply,
	uint64_t now_ns)
{
	struct ep_tcpcheck_row row = probe_row(c, p, end);

	snprintf(row.reply, sizeof(row.reply), "%s", reply);
	/* A RST is an answer too, and its time says how far away it comes from. */
	if (p->state == PROBE_CONNECT && (end->status == EP_TCPCHECK_REFUSED || end->has_icmp))
		row.connect_ns = now_ns - p->start_ns;
	probe_end_row(c, p, &row, now_ns);
}

static void
probe_end_status(struct ep_tcpcheck *c, struct tc_probe *p, enum ep_tcpcheck_status status,
	const char *reply, uint64_t now_ns)
{
	const struct tc_end end = {.status = status};

	probe_end(c, p, &end, reply, now_ns);
}

static void
probe_end_error(struct ep_tcpcheck *c, struct tc_probe *p, int error, uint64_t now_ns)
{
	struct tc_end end;

	tc_sock_end(p->io.fd, error, &end);
	probe_end(c, p, &end, end.status == EP_TCPCHECK_RESET ? "reset" : "", now_ns);
}

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

static void
ask(struct ep_tcpcheck *c, struct tc_probe *p, enum tc_say say, uint64_t now_ns)
{
	int ret;

	p->state = PROBE_ASK;
	p->say = (uint8_t)say;
	p->step_ns = now_ns;
	p->number = ++c->number;
	p->have = 0;
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
		ask(c, p, TC_SAY_ALLOCATE, now_ns);
		return;
	}
	probe_end_row(c, p, &row, now_ns);
}

/* The stream ended without an answer. A service that closes on a ufrag that it does not know was reached all the same. */
static void
ask_closed(struct ep_tcpcheck *c, struct tc_probe *p, int error, uint64_t now_ns)
{
	char shown[64];

	if (error != 0 && error != ECONNRESET && error != EPIPE) {
		probe_end_error(c, p, error, now_ns);
	} else if (p->have > 0) {
		tc_show(shown, sizeof(shown), p->rx, p->have);
		probe_end_status(c, p, EP_TCPCHECK_WRONG_PROTOCOL, shown, now_ns);
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
	char shown[64];

	while (p->have > 0) {
		const enum tc_heard heard =
			tc_hear(c, (enum tc_say)p->say, p->rx, p->have, &answer);

		if (heard == TC_HEARD_ANSWER) {
			ask_answered(c, p, &answer, now_ns);
			return false;
		}
		if (heard == TC_HEARD_WRONG ||
			(heard == TC_HEARD_MORE && p->have == TC_ANSWER_MAX)) {
			tc_show(shown, sizeof(shown), p->rx, p->have);
			probe_end_status(c, p, EP_TCPCHECK_WRONG_PROTOCOL, shown, now_ns);
			return false;
		}
		if (heard == TC_HEARD_MORE)
			return true;
		memmove(p->rx, p->rx + answer.used, p->have - answer.used);
		p->have -= answer.used;
	}
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

static void
ask_event(struct ep_tcpcheck *c, struct tc_probe *p, uint64_t now_ns)
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
		if (!ask_hear(c, p, now_ns))
			return;
		/* ask_answered() may have asked on. */
	}
}

static void
ask_expired(struct ep_tcpcheck *c, struct tc_probe *p, uint64_t now_ns)
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

static void
tls_begin(struct ep_tcpcheck *c, struct tc_probe *p, uint64_t now_ns)
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
		ask(c, p, TC_SAY_ALLOCATE, now_ns);
		return;
	}
	row = probe_row(c, p, &open);
	snprintf(row.reply, sizeof(row.reply), "%s", row.tls.version);
	probe_write(c, p, &row);
	ask(c, p, TC_SAY_GET, now_ns);
}

static void
tls_event(struct ep_tcpcheck *c, struct tc_probe *p, uint64_t now_ns)
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

/* --- CONNECT, GRACE ------------------------------------------------------------------------------------------------------- */

/* What follows a connection that stayed. */
static void
grace_over(struct ep_tcpcheck *c, struct tc_probe *p, const char *reply, uint64_t now_ns)
{
	if (!p->load && probe_target(c, p)->check == EP_TCPCHECK_ICE_TCP)
		ask(c, p, TC_SAY_ICE, now_ns);
	else
		probe_end_status(c, p, EP_TCPCHECK_OPEN, reply, now_ns);
}

static void
grace_event(struct ep_tcpcheck *c, struct tc_probe *p, uint64_t now_ns)
{
	char shown[64];
	ssize_t n = recv(p->io.fd, c->scratch, sizeof(c->scratch), MSG_PEEK);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		probe_end_error(c, p, errno, now_ns);
	} else if (n == 0) {
		probe_end_status(c, p, EP_TCPCHECK_RESET, "closed", now_ns);
	} else {
		tc_show(shown, sizeof(shown), c->scratch, (size_t)n);
		grace_over(c, p, shown, now_ns);
	}
}

/* What a connection is made for, after the handshake. */
static void
connected_next(struct ep_tcpcheck *c, struct tc_probe *p, uint64_t now_ns)
{
	switch (probe_target(c, p)->check) {
	case EP_TCPCHECK_HTTP:
		ask(c, p, TC_SAY_GET, now_ns);
		break;
	case EP_TCPCHECK_TLS:
	case EP_TCPCHECK_TURN_TLS:
		tls_begin(c, p, now_ns);
		break;
	case EP_TCPCHECK_STUN:
		ask(c, p, TC_SAY_BINDING, now_ns);
		break;
	case EP_TCPCHECK_TURN:
		ask(c, p, TC_SAY_ALLOCATE, now_ns);
		break;
	case EP_TCPCHECK_CONNECT:
	case EP_TCPCHECK_ICE_TCP:
	case EP_TCPCHECK_CHECKS:
		p->state = PROBE_GRACE;
		tc_timer_set(c, &p->io, now_ns + TC_GRACE_NS);
		break;
	}
}

/* The row of the handshake, where it is a level of its own. */
static void
connected_row(struct ep_tcpcheck *c, struct tc_probe *p)
{
	const struct tc_end open = {.status = EP_TCPCHECK_OPEN};
	struct ep_tcpcheck_row row = probe_row(c, p, &open);

	row.check = EP_TCPCHECK_CONNECT;
	probe_write(c, p, &row);
}

static void
connect_event(struct ep_tcpcheck *c, struct tc_probe *p, uint64_t now_ns)
{
	const int ret = tc_sock_connected(p->io.fd);

	if (ret == -EINPROGRESS)
		return;
	p->tries = tc_sock_syns(p->io.fd);
	/* A RST to a SYN is another error: this one came behind the handshake, before we looked. */
	if (ret < 0 && ret != -ECONNRESET) {
		probe_end_error(c, p, -ret, now_ns);
		return;
	}
	p->connect_ns = now_ns > p->start_ns ? now_ns - p->start_ns : 1;
	if (!p->load && probe_target(c, p)->check != EP_TCPCHECK_CONNECT)
		connected_row(c, p);
	if (ret < 0) {
		p->state = PROBE_GRACE;
		probe_end_status(c, p, EP_TCPCHECK_RESET, "reset", now_ns);
	} else if (p->load) {
		p->state = PROBE_GRACE;
		tc_timer_set(c, &p->io, now_ns + TC_LOAD_GRACE_NS);
	} else {
		connected_next(c, p, now_ns);
	}
}

static void
connect_expired(struct ep_tcpcheck *c, struct tc_probe *p, uint64_t now_ns)
{
	const struct tc_end end = {.status = EP_TCPCHECK_FILTERED, .error = ETIMEDOUT};

	p->tries = tc_sock_syns(p->io.fd);
	probe_end(c, p, &end, "silent", now_ns);
}

/* --- All ------------------------------------------------------------------------------------------------------------------ */

void
tc_probe_event(struct ep_tcpcheck *c, struct tc_probe *p, uint64_t now_ns)
{
	const uint8_t before = p->state;

	c->freed = NULL;
	switch ((enum probe_state)p->state) {
	case PROBE_CONNECT:
		connect_event(c, p, now_ns);
		break;
	case PROBE_GRACE:
		grace_event(c, p, now_ns);
		break;
	case PROBE_TLS:
		tls_event(c, p, now_ns);
		break;
	case PROBE_ASK:
		ask_event(c, p, now_ns);
		break;
	}
	/* An edge may have told of more than this state took: look again in the new one. */
	if (c->freed != p && p->state != before)
		tc_probe_event(c, p, now_ns);
}

void
tc_probe_timer(struct ep_tcpcheck *c, struct tc_probe *p, uint64_t now_ns)
{
	switch ((enum probe_state)p->state) {
	case PROBE_CONNECT:
		connect_expired(c, p, now_ns);
		break;
	case PROBE_GRACE:
		grace_over(c, p, "", now_ns);
		break;
	case PROBE_TLS:
		probe_end_status(c, p,
			tc_tls_heard(p->tls) ? EP_TCPCHECK_TLS_FAILED : EP_TCPCHECK_FILTERED,
			tc_tls_heard(p->tls) ? "handshake not finished" : "silent", now_ns);
		break;
	case PROBE_ASK:
		ask_expired(c, p, now_ns);
		break;
	}
}

/* No memory for a probe is a row as well. */
static void
probe_none(struct ep_tcpcheck *c, uint32_t target, bool load, uint64_t now_ns)
{
	const struct ep_tcpcheck_target *t = &c->targets.target[target];
	struct ep_tcpcheck_row row = {.transport = t->transport,
		.port = t->port,
		.check = EP_TCPCHECK_CONNECT,
		.status = EP_TCPCHECK_ERROR,
		.error = ENOMEM,
		.required = t->required};

	tc_row_finish(c, &row);
	if (load) {
		tc_load_done(c, target, &row, now_ns, now_ns);
		return;
	}
	c->round.row[target][0] = row;
	c->round.used[target][0] = true;
}

/* What a UDP target is asked first. Only a participant's ufrag makes an ICE agent answer. */
static enum tc_say
udp_say(const struct ep_tcpcheck *c, const struct ep_tcpcheck_target *t)
{
	return t->check == EP_TCPCHECK_STUN && c->has_username ? TC_SAY_BINDING_ICE
							       : TC_SAY_BINDING;
}

static void
probe_start(struct ep_tcpcheck *c, uint32_t target, bool load, uint64_t now_ns)
{
	const struct ep_tcpcheck_target *t = &c->targets.target[target];
	struct tc_probe *p = calloc(1, sizeof(*p));
	int ret;

	if (p == NULL) {
		probe_none(c, target, load, now_ns);
		return;
	}
	p->target = target;
	p->load = load;
	p->tries = 1;
	p->start_ns = p->step_ns = now_ns;
	p->next = c->probes;
	p->link = &c->probes;
	if (c->probes != NULL)
		c->probes->link = &p->next;
	c->probes = p;
	if (load)
		c->load.under_way++;
	else
		c->round.running++;
	ret = tc_io_open(c, &p->io, TC_PROBE, t->transport, t->port);
	if (ret < 0)
		probe_end_error(c, p, -ret, now_ns);
	else if (t->transport == EP_TCPCHECK_UDP)
		ask(c, p, udp_say(c, t), now_ns);
	else
		tc_timer_set(c, &p->io, now_ns + c->timeout_ns);
}

void
tc_probe_round(struct ep_tcpcheck *c, uint32_t target, uint64_t now_ns)
{
	probe_start(c, target, false, now_ns);
}

void
tc_probe_load(struct ep_tcpcheck *c, uint32_t target, uint64_t now_ns)
{
	probe_start(c, target, true, now_ns);
}

void
tc_probe_stop(struct ep_tcpcheck *c, uint64_t now_ns)
{
	struct tc_probe *next;

	for (struct tc_probe *p = c->probes; p != NULL; p = next) {
		next = p->next;
		if (!p->load)
			probe_end_status(c, p, EP_TCPCHECK_FILTERED, "silent", now_ns);
	}
}
