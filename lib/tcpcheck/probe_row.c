#include "probe_priv.h"

#include <stdio.h>

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

struct ep_tcpcheck_row
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

void
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
void
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

void
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

void
probe_end_status(struct ep_tcpcheck *c, struct tc_probe *p, enum ep_tcpcheck_status status,
	const char *reply, uint64_t now_ns)
{
	const struct tc_end end = {.status = status};

	probe_end(c, p, &end, reply, now_ns);
}

void
probe_end_error(struct ep_tcpcheck *c, struct tc_probe *p, int error, uint64_t now_ns)
{
	struct tc_end end;

	tc_sock_end(p->io.fd, error, &end);
	probe_end(c, p, &end, end.status == EP_TCPCHECK_RESET ? "reset" : "", now_ns);
}
