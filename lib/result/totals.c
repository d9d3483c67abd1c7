/* Sums over the ports, and lists of ports as ranges. */

#include "result_priv.h"

#include <ep_stat.h>

#include <string.h>

/* Preamble and inter-frame gap, which occupy the wire beside each frame [B]. */
#define RESULT_WIRE_OVERHEAD_BYTES 20

static void
totals_add_port(struct ep_result_totals *t, const struct ep_result_port_dir *p)
{
	t->sent += p->sent;
	t->received += p->received;
	t->lost += p->lost;
	t->duplicates += p->duplicates;
	t->reordered += p->reordered;
	t->late += p->late;
	t->wrong_port += p->wrong_port;
	if (p->verdict == EP_RESULT_PORT_DEAD) {
		t->dead_count++;
	} else {
		t->live_sent += p->sent;
		t->live_lost += p->lost;
	}
	if (p->verdict == EP_RESULT_PORT_LOSSY)
		t->lossy_count++;
	if (p->sent > 0) {
		if (t->tested_count == 0 || p->sent < t->min_sent)
			t->min_sent = p->sent;
		t->tested_count++;
	}
}

/* Rates are of the load alone: the sweep is slow on purpose. */
static void
totals_rate(const struct ep_result *r, enum ep_result_dir dir, struct ep_result_totals *t)
{
	uint64_t duration_ns = 0, received = 0, bytes = 0;

	for (uint32_t i = 0; i < r->trial_count; i++) {
		const struct ep_result_trial *trial = &r->trial[i];

		if (strcmp(trial->kind, "load") != 0 || !ep_result_trial_uses(trial, dir))
			continue;
		duration_ns += trial->duration_ns;
		received += trial->ledger[dir].received;
		bytes += trial->bytes[dir];
	}
	t->has_rate = duration_ns > 0 && r->ledger[dir].receiver_known;
	if (!t->has_rate)
		return;
	t->pps = (double)received * 1e9 / (double)duration_ns;
	t->bps = ((double)bytes + (double)received * RESULT_WIRE_OVERHEAD_BYTES) * 8e9 /
		(double)duration_ns;
}

void
ep_result_totals(const struct ep_result *r, enum ep_result_dir dir, struct ep_result_totals *totals)
{
	struct ep_result_totals t = {0};

	for (uint32_t i = 0; i < r->range->port_count; i++)
		totals_add_port(&t, &r->port[i].dir[dir]);
	if (t.sent > 0)
		t.loss_ratio = (double)t.lost / (double)t.sent;
	t.ruled_out_ratio = ep_stat_ruled_out(
		t.min_sent, EP_STAT_ALPHA / (r->range->port_count > 0 ? r->range->port_count : 1));
	totals_rate(r, dir, &t);
	*totals = t;
}

size_t
result_ports_format(const struct ep_result *r, enum ep_result_dir dir, result_port_fn want,
	char *buf, size_t len)
{
	bool chosen[EP_RANGE_PORTS];

	for (uint32_t i = 0; i < r->range->port_count; i++)
		chosen[i] = want(&r->port[i], dir);
	return ep_range_format(r->range, chosen, buf, len);
}

static bool
port_is_ok(const struct ep_result_port *port, enum ep_result_dir dir)
{
	return port->dir[dir].verdict == EP_RESULT_PORT_OK;
}

static bool
port_is_lossy(const struct ep_result_port *port, enum ep_result_dir dir)
{
	return port->dir[dir].verdict == EP_RESULT_PORT_LOSSY;
}

static bool
port_is_dead(const struct ep_result_port *port, enum ep_result_dir dir)
{
	return port->dir[dir].verdict == EP_RESULT_PORT_DEAD;
}

size_t
ep_result_ports_text(const struct ep_result *r, enum ep_result_dir dir,
	enum ep_result_port_verdict verdict, char *buf, size_t len)
{
	static const result_port_fn is[] = {
		[EP_RESULT_PORT_OK] = port_is_ok,
		[EP_RESULT_PORT_LOSSY] = port_is_lossy,
		[EP_RESULT_PORT_DEAD] = port_is_dead,
	};

	return result_ports_format(r, dir, is[verdict], buf, len);
}
