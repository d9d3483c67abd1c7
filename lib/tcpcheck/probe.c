#include "probe_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

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

/* --- CONNECT, GRACE ------------------------------------------------------------------------------------------------------- */

/* What follows a connection that stayed. */
static void
grace_over(struct ep_tcpcheck *c, struct tc_probe *p, const char *reply, uint64_t now_ns)
{
	if (!p->load && probe_target(c, p)->check == EP_TCPCHECK_ICE_TCP)
		probe_ask(c, p, TC_SAY_ICE, now_ns);
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
		probe_ask(c, p, TC_SAY_GET, now_ns);
		break;
	case EP_TCPCHECK_TLS:
	case EP_TCPCHECK_TURN_TLS:
		probe_tls(c, p, now_ns);
		break;
	case EP_TCPCHECK_STUN:
		probe_ask(c, p, TC_SAY_BINDING, now_ns);
		break;
	case EP_TCPCHECK_TURN:
		probe_ask(c, p, TC_SAY_ALLOCATE, now_ns);
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
		probe_tls_event(c, p, now_ns);
		break;
	case PROBE_ASK:
		probe_ask_event(c, p, now_ns);
		break;
	}
	/* An edge may have told of more than this state took. What answers the request that it sent came after now_ns. */
	if (c->freed != p && p->state != before)
		tc_io_again(c, &p->io);
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
		probe_ask_expired(c, p, now_ns);
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
		probe_ask(c, p, udp_say(c, t), now_ns);
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
