#include "account.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
account_init(struct account *a, uint32_t port_count)
{
	memset(a, 0, sizeof(*a));
	a->port_count = port_count;
	a->rx = calloc(port_count, sizeof(*a->rx));
	a->tx = calloc(port_count, sizeof(*a->tx));
	a->port_queue = calloc(port_count, sizeof(*a->port_queue));
	if (a->rx == NULL || a->tx == NULL || a->port_queue == NULL) {
		account_fini(a);
		return -ENOMEM;
	}
	return 0;
}

void
account_fini(struct account *a)
{
	free(a->rx);
	free(a->tx);
	ep_nic_sample_fini(&a->nic_base);
	free(a->port_queue);
	a->port_queue = NULL;
	a->rx = NULL;
	a->tx = NULL;
}

void
account_begin(struct account *a, struct ep_dev *dev)
{
	memset(&a->totals, 0, sizeof(a->totals));
	memset(a->rx, 0, a->port_count * sizeof(*a->rx));
	memset(a->tx, 0, a->port_count * sizeof(*a->tx));
	memset(&a->nic, 0, sizeof(a->nic));
	ep_dev_stats_settled(dev, &a->base, NULL);
	/* What cannot be read is not known, and says so itself. */
	ep_dev_xstats(dev, &a->nic_base);
	memset(a->port_queue, EP_RESULT_QUEUE_NONE, a->port_count);
	a->queues.count = 0;
}

static void
collect_nic(struct account *a, const struct ep_dev *dev)
{
	struct ep_nic_sample now = {0};

	ep_dev_xstats(dev, &now);
	ep_nic_diff(&a->nic_base, &now, &a->nic);
	ep_nic_sample_fini(&now);
}

/* Returns what came behind the workers' last look, which is added to its queues. */
static uint32_t
collect_device(struct account *a, struct ep_dev *dev)
{
	struct ep_dev_stats now;
	const uint32_t left = ep_dev_stats_settled(dev, &now, a->queues.received);

	a->totals.nic_tx = now.opackets - a->base.opackets;
	a->totals.oerrors = now.oerrors - a->base.oerrors;
	a->totals.imissed = now.imissed - a->base.imissed;
	a->totals.ierrors = now.ierrors - a->base.ierrors;
	a->totals.rx_nombuf = now.rx_nombuf - a->base.rx_nombuf;
	a->totals.nic_rx = now.ipackets - a->base.ipackets + a->totals.imissed + a->totals.ierrors +
		a->totals.rx_nombuf;
	return left;
}

static void
collect_departures(struct ep_ctrl_pacing *p, const struct ep_engine *e, uint32_t side)
{
	struct ep_hist hist = {0};
	struct ep_result_latency l;

	ep_engine_departures(e, side, &hist);
	l = ep_result_latency_of(&hist);
	p->departure_count = l.count;
	p->departure_min_ns = l.min_ns;
	p->departure_p50_ns = l.p50_ns;
	p->departure_p90_ns = l.p90_ns;
	p->departure_p99_ns = l.p99_ns;
	p->departure_p999_ns = l.p999_ns;
	p->departure_max_ns = l.max_ns;
}

static void
collect_pacing(struct account *a, const struct ep_engine *e, uint32_t side,
	const struct ep_dev *dev, const struct ep_engine_clock *clock)
{
	struct ep_engine_pacing p;
	struct ep_dev_info info;

	ep_engine_pacing(e, side, &p);
	ep_dev_info(dev, &info);
	a->has_pacing = true;
	a->pacing = (struct ep_ctrl_pacing){
		.burst_pkts = p.burst_pkts,
		.intended_pps = p.intended_pps,
		.offered_pps = p.offered_pps,
		.largest_gap_ns = p.largest_gap_ns,
		.loop_gap_ns = p.loop_gap_ns,
		.receive_gap_ns = p.receive_gap_ns,
		.receive_ring_pkts = info.uncounted_ring_pkts,
		.clock_error_ppm = clock->error_ppm,
		.clock_drift_ppm = fabs(clock->drift_ppm),
	};
	collect_departures(&a->pacing, e, side);
}

static_assert(EP_ENGINE_QUEUES_MAX == EP_CTRL_QUEUES_MAX &&
		EP_ENGINE_QUEUES_MAX == EP_RESULT_QUEUES_MAX &&
		EP_ENGINE_QUEUE_NONE == EP_RESULT_QUEUE_NONE &&
		EP_ENGINE_QUEUE_NONE == EP_CTRL_QUEUE_NONE,
	"queues are handed on as they are");

void
account_steering(struct account *a, const struct steering *steering)
{
	snprintf(a->queues.steering, sizeof(a->queues.steering), "%s", steering->reason);
	a->queues.expected_ratio = steering->expected_ratio;
}

void
account_collect(struct account *a, const struct ep_engine *e, uint32_t side, struct ep_dev *dev,
	const struct ep_engine_clock *clock)
{
	struct ep_engine_count c;
	uint32_t left;

	ep_engine_count(e, side, &c);
	a->queues.count = ep_engine_queues(e, side, a->queues.received);
	left = collect_device(a, dev);
	collect_nic(a, dev);
	a->totals.nic_tx -= c.slow_sent;
	collect_pacing(a, e, side, dev, clock);
	a->totals.intended = c.intended;
	a->totals.accepted = c.accepted;
	a->totals.not_sent = c.not_sent;
	a->totals.bad_tag = c.bad_tag;
	a->totals.foreign = c.foreign + left;
	a->totals.tx_duration_ns = c.tx_duration_ns;
	a->totals.max_gap_ns = c.max_gap_ns;
	a->totals.learned_flows = c.learned_flows;
	a->totals.jitter_ns = ep_engine_jitter_ns(e, side);
	ep_engine_rx_ports(e, side, a->rx);
	ep_engine_tx_ports(e, side, a->tx);
	ep_engine_port_queues(e, side, a->port_queue);
}

int
account_add_queues(struct ep_result *r, struct ep_result_trial *t, enum ep_result_dir dir,
	const struct account *a)
{
	struct ep_result_spread *s = &r->spread[dir];

	if (a->queues.count == 0)
		return 0;
	t->queues[dir].count = a->queues.count;
	memcpy(t->queues[dir].received, a->queues.received, sizeof(t->queues[dir].received));
	snprintf(s->steering, sizeof(s->steering), "%s", a->queues.steering);
	s->expected_ratio = a->queues.expected_ratio;
	return ep_result_add_port_queues(r, dir, a->port_queue);
}

void
account_add_tx(struct ep_result *r, struct ep_result_trial *t, enum ep_result_dir dir,
	const struct ep_ctrl_totals *totals, const uint64_t *tx)
{
	struct ep_result_ledger *l = &t->ledger[dir];

	l->sender_known = true;
	l->intended = totals->intended;
	l->accepted = totals->accepted;
	l->not_sent = totals->not_sent;
	l->nic_tx = totals->nic_tx;
	l->oerrors = totals->oerrors;
	t->max_gap_ns[dir] = totals->max_gap_ns;
	if (totals->tx_duration_ns > t->duration_ns)
		t->duration_ns = totals->tx_duration_ns;
	for (uint32_t p = 0; p < r->range->port_count; p++)
		r->port[p].dir[dir].sent += tx[p];
}

static void
port_add(struct ep_result_port_dir *d, const struct ep_acct_port *p)
{
	d->received += ep_acct_received(p);
	d->duplicates += p->count[EP_ACCT_DUP] + p->count[EP_ACCT_BEHIND];
	d->reordered += p->count[EP_ACCT_REORDERED];
	d->late += p->late;
	d->wrong_port += p->wrong_port;
	/* Wraps where more arrived than was sent; the ledger check then says so. */
	d->lost = d->sent - (d->received - d->duplicates);
}

void
account_add_rx(struct ep_result *r, struct ep_result_trial *t, enum ep_result_dir dir,
	const struct ep_ctrl_totals *totals, const struct ep_acct_port *rx)
{
	const struct ep_acct_port sum = ep_acct_ports_sum(rx, r->range->port_count);
	struct ep_result_ledger *l = &t->ledger[dir];

	l->receiver_known = true;
	l->nic_rx = totals->nic_rx;
	l->imissed = totals->imissed;
	l->ierrors = totals->ierrors;
	l->rx_nombuf = totals->rx_nombuf;
	l->bad_tag = totals->bad_tag;
	l->foreign = totals->foreign;
	l->received = ep_acct_received(&sum);
	l->duplicates = sum.count[EP_ACCT_DUP] + sum.count[EP_ACCT_BEHIND];
	l->reordered = sum.count[EP_ACCT_REORDERED];
	l->late = sum.late;
	l->wrong_port = sum.wrong_port;
	l->lost_max = l->accepted - ep_acct_first(&sum);
	l->lost_min = l->lost_max > sum.count[EP_ACCT_BEHIND]
		? l->lost_max - sum.count[EP_ACCT_BEHIND]
		: 0;
	t->bytes[dir] = sum.bytes;
	for (uint32_t p = 0; p < r->range->port_count; p++)
		port_add(&r->port[p].dir[dir], &rx[p]);
}

void
account_add_pacing(struct ep_result_trial *t, enum ep_result_dir dir, const struct account *a)
{
	const enum ep_result_dir other = dir == EP_RESULT_UP ? EP_RESULT_DOWN : EP_RESULT_UP;
	const struct ep_ctrl_pacing *p = &a->pacing;

	if (!a->has_pacing)
		return;
	t->receiver[other] = (struct ep_result_receiver){
		.known = true,
		.gap_ns = p->receive_gap_ns,
		.ring_pkts = p->receive_ring_pkts,
	};
	if (p->burst_pkts == 0)
		return;
	t->pacing[dir] = (struct ep_result_pacing){
		.known = true,
		.burst_pkts = p->burst_pkts,
		.intended_pps = p->intended_pps,
		.offered_pps = p->offered_pps,
		.departures =
			{
				.count = p->departure_count,
				.min_ns = p->departure_min_ns,
				.p50_ns = p->departure_p50_ns,
				.p90_ns = p->departure_p90_ns,
				.p99_ns = p->departure_p99_ns,
				.p999_ns = p->departure_p999_ns,
				.max_ns = p->departure_max_ns,
			},
		.largest_gap_ns = p->largest_gap_ns,
		.loop_gap_ns = p->loop_gap_ns,
	};
}
