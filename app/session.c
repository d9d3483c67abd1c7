#include "session.h"

#include "common.h"
#include "host.h"
#include "progress.h"
#include "tcp.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The main thread looks around this often. */
#define TICK_MS 10
/* After the drain, what arrives is counted as late for this long. */
#define LATE_NS (100 * EP_NS_PER_MS)
/* Answers of the responder while it sets a trial up or collects. */
#define ANSWER_NS (10 * EP_NS_PER_S)
/* An interrupted run gives probes on their way this long. */
#define SHORT_DRAIN_NS (200 * EP_NS_PER_MS)

enum { INITIATOR, RESPONDER };

/* Errors about what a side sends belong to the direction that it sends in. Not to be able to look is no reason not to measure. */
static int
session_icmp(struct session *s, uint32_t side)
{
	const enum ep_result_dir dir = side == INITIATOR ? EP_RESULT_UP : EP_RESULT_DOWN;
	struct ep_dev_info info;
	struct ep_slowdev *slow = NULL;
	struct ep_err err = {0};
	int ret = ep_result_add_icmp(s->result, dir);

	if (ret < 0)
		return ret;
	ep_dev_info(s->dev[side], &info);
	if (s->way != NULL)
		slow = s->way->slow;
	else if (s->neighbour != NULL)
		slow = s->neighbour[side].slow;
	ret = icmp_open(&s->icmp[side], s->way != NULL ? s->way->ifindex : info.ifindex,
		s->config->range, &s->space, &s->ends[side], side == RESPONDER,
		s->result->icmp[dir], &err);
	if (ret == -ENOTSUP && slow != NULL) {
		ep_slowdev_errors(slow, &s->icmp[side].match, s->result->icmp[dir]);
		return 0;
	}
	if (ret == 0)
		return 0;
	free(s->result->icmp[dir]);
	s->result->icmp[dir] = NULL;
	return ret == -ENOTSUP
		? 0
		: ep_result_warn(s->result, "ICMP errors about probes %s are not looked for: %s",
			  ep_result_dir_name(dir), err.text);
}

int
session_init(struct session *s)
{
	int ret = account_init(&s->account[INITIATOR], s->config->range->port_count);

	if (ret == 0)
		ret = account_init(&s->account[RESPONDER], s->config->range->port_count);
	s->block_count = ep_engine_block_count(s->engine, &s->block_ports);
	for (int k = 0; k < EP_RESULT_LATS && ret == 0; k++) {
		s->hist[k] = calloc(s->block_count, sizeof(struct ep_hist));
		if (s->hist[k] == NULL)
			ret = -ENOMEM;
	}
	for (uint32_t side = 0; side < s->side_count && ret == 0; side++)
		ret = session_icmp(s, side);
	return ret;
}

void
session_fini(struct session *s)
{
	if (s->way != NULL && s->way->slow != NULL)
		ep_slowdev_errors(s->way->slow, NULL, NULL);
	account_fini(&s->account[INITIATOR]);
	account_fini(&s->account[RESPONDER]);
	icmp_close(&s->icmp[INITIATOR]);
	icmp_close(&s->icmp[RESPONDER]);
	for (int k = 0; k < EP_RESULT_LATS; k++)
		free(s->hist[k]);
	ep_tcpcheck_destroy(s->check);
	s->check = NULL;
	explicit_bzero(s->session_key, sizeof(s->session_key));
}

/* --- What goes on in the background of every wait ------------------------------------------------------------------------ */

/* Cumulative counters of both directions so far. */
static void
progress_count(const struct session *s, struct ep_result_interval *now)
{
	struct ep_engine_count mine, other = {0};

	ep_engine_count(s->engine, INITIATOR, &mine);
	if (s->side_count == 2) {
		ep_engine_count(s->engine, RESPONDER, &other);
	} else {
		other.accepted = s->peer_beat.sent;
		other.first = s->peer_beat.received;
	}
	now->sent[EP_RESULT_UP] = mine.accepted;
	now->received[EP_RESULT_DOWN] = mine.first;
	now->sent[EP_RESULT_DOWN] = other.accepted;
	now->received[EP_RESULT_UP] = other.first;
}

/* Counters of the far side are up to a beat old, and what it says need not be true: an interval never goes back. */
static uint64_t
growth(uint64_t now, uint64_t last)
{
	return now > last ? now - last : 0;
}

/* Close the interval that runs since `last`. Best when a beat has just come: what the far side counted is then as new as what
 * was counted here, and their difference is loss. */
static void
interval_close(struct session *s, uint64_t now_ns)
{
	const uint64_t at_ns = now_ns - s->trial_start_ns;
	struct ep_result_interval now = {0}, row;

	progress_count(s, &now);
	row = (struct ep_result_interval){
		.start_ns = s->last.start_ns,
		.trial = s->trial,
		.duration_ns = at_ns - s->last.start_ns,
	};
	for (int d = 0; d < EP_RESULT_DIRS; d++) {
		row.sent[d] = growth(now.sent[d], s->last.sent[d]);
		row.received[d] = growth(now.received[d], s->last.received[d]);
	}
	ep_result_add_interval(s->result, &row);
	progress_show(s, &row, at_ns);
	s->last = now;
	s->last.start_ns = at_ns;
}

static void
interval_tick(struct session *s, uint64_t now_ns)
{
	if (s->next_interval_ns == 0 || now_ns < s->next_interval_ns ||
		(s->link != NULL && !s->peer_beat_new))
		return;
	interval_close(s, now_ns);
	s->next_interval_ns = s->interval_last ? 0 : s->next_interval_ns + EP_NS_PER_S;
}

static enum session_status
peer_lost(struct session *s, const char *why)
{
	ep_engine_silence(s->engine);
	if (s->err.code == 0)
		ep_err_set(&s->err, -EPIPE, "%s", why);
	return SESSION_PEER_LOST;
}

/* Take one event. Beats are noted; the others are for session_expect(). */
static enum session_status
session_event(struct session *s, uint64_t now_ns, bool *more)
{
	struct ep_ctrl_event ev;

	ep_ctrl_next(s->link->ctrl, now_ns, &ev);
	*more = ev.kind != EP_CTRL_EV_NONE;
	switch (ev.kind) {
	case EP_CTRL_EV_NONE:
		return SESSION_OK;
	case EP_CTRL_EV_BEAT:
		s->peer_beat = ev.beat;
		s->peer_beat_new = true;
		return SESSION_OK;
	case EP_CTRL_EV_FAILED:
		return peer_lost(s, ev.err.text);
	case EP_CTRL_EV_REFUSED:
		return peer_lost(s, ev.refuse.text);
	default:
		s->event = ev;
		return SESSION_OK;
	}
}

static enum session_status
session_link(struct session *s, int wait_ms)
{
	const int ret = link_wait_with(s->link, tcp_wait_ms(s, wait_ms), tcp_fd(s));
	enum session_status status = SESSION_OK;
	bool more = true;

	if (s->way != NULL)
		way_tick(s->way, s->engine);
	tcp_tick(s);
	while (status == SESSION_OK && more && s->event.kind == EP_CTRL_EV_NONE)
		status = session_event(s, host_now_ns(), &more);
	if (status == SESSION_OK && ret < 0 && s->event.kind == EP_CTRL_EV_NONE)
		return peer_lost(s, "the responder closed the control connection");
	return status;
}

/* What the state machine says of a message of ours. Refusing one is a fault of this program, and must not pass as silence. */
static enum session_status
said(struct session *s, int ret)
{
	if (ret == 0)
		return SESSION_OK;
	ep_err_set(
		&s->err, ret, "a message to the responder could not be made: %s", strerror(-ret));
	ep_engine_silence(s->engine);
	return SESSION_FAILED;
}

static void
session_beat(struct session *s, uint64_t now_ns)
{
	struct ep_engine_count c;
	struct ep_ctrl_beat beat;

	if (s->link == NULL || s->next_beat_ns == 0 || now_ns < s->next_beat_ns)
		return;
	ep_engine_count(s->engine, INITIATOR, &c);
	beat = (struct ep_ctrl_beat){
		.trial = s->trial,
		.sent = c.accepted,
		.received = c.first,
		.tx_done = ep_engine_tx_done(s->engine, INITIATOR),
	};
	ep_ctrl_beat(s->link->ctrl, &beat);
	s->next_beat_ns = now_ns + EP_CTRL_BEAT_NS;
}

/* Without a control connection: the time passes, and the fallback check goes on. */
static void
session_pause(struct session *s)
{
	struct pollfd p = {.fd = tcp_fd(s), .events = POLLIN};

	poll(&p, 1, tcp_wait_ms(s, TICK_MS));
	tcp_tick(s);
}

static void
session_errors(struct session *s)
{
	for (uint32_t side = 0; side < s->side_count; side++) {
		icmp_tick(&s->icmp[side]);
		if (s->neighbour != NULL)
			neighbour_tick(&s->neighbour[side], s->engine, side);
	}
}

/* One look around: control connection, beat, interval, TCP rounds, the user. */
static enum session_status
session_tick(struct session *s)
{
	enum session_status status = SESSION_OK;
	uint64_t now_ns;

	s->peer_beat_new = false;
	if (s->link != NULL)
		status = session_link(s, TICK_MS);
	else
		session_pause(s);
	session_errors(s);
	now_ns = host_now_ns();
	session_beat(s, now_ns);
	ep_engine_clock_watch(s->clock);
	interval_tick(s, now_ns);
	if (status == SESSION_OK && host_interrupted())
		status = SESSION_INTERRUPTED;
	return status;
}

enum session_status
session_expect(struct session *s, enum ep_ctrl_event_kind kind, uint64_t wait_ns)
{
	const uint64_t end_ns = host_now_ns() + wait_ns;

	while (s->event.kind != kind) {
		enum session_status status;

		if (s->event.kind != EP_CTRL_EV_NONE)
			return peer_lost(s, "the responder said something else than was asked");
		if (host_now_ns() > end_ns)
			return peer_lost(s, "the responder did not answer in time");
		status = session_link(s, TICK_MS);
		session_beat(s, host_now_ns());
		if (status != SESSION_OK)
			return status;
	}
	s->event.kind = EP_CTRL_EV_NONE;
	return SESSION_OK;
}

/* --- One trial ------------------------------------------------------------------------------------------------------------ */

static struct ep_engine_trial
trial_plan(const struct session *s, bool sweep)
{
	const struct config *c = s->config;
	const enum ep_ctrl_mode mode = sweep ? EP_CTRL_MODE_ECHO : c->direction;
	struct ep_engine_trial t = {
		.echo = mode == EP_CTRL_MODE_ECHO,
		.stream_up = mode != EP_CTRL_MODE_DOWN,
		.stream_down = mode == EP_CTRL_MODE_DOWN || mode == EP_CTRL_MODE_BOTH,
		.rate_pps = sweep ? s->sweep_rate_pps : s->rate_pps,
		.duration_ns = c->duration_ns,
		.burst_pkts = (uint32_t)c->burst_pkts,
		.slack_ns = s->slack_ns,
		.sizes = c->sizes,
		.stamp = c->stamp,
	};

	if (sweep) {
		const double probes =
			(double)c->range->port_count * (double)c->sources * (double)c->sweeps;

		t.rounds = (uint32_t)c->sweeps;
		t.duration_ns = (uint64_t)(probes / t.rate_pps * 1e9) + 1;
		/* Small probes find a dead port as well as large ones, and find nothing else: large ones are the load's business. */
		t.sizes = (struct ep_sizes){1, {c->sizes.frame_bytes[0]}};
	}
	return t;
}

/* The workers have ended, and their counters were read. */
static void
session_way_keep(struct session *s)
{
	struct ep_engine_count count;

	if (s->way == NULL)
		return;
	ep_engine_count(s->engine, INITIATOR, &count);
	way_note(s->way, &count);
	way_keep(s->way);
}

/* Agree on the trial with the responder, which then receives already. */
static enum session_status
trial_agree(struct session *s, const struct ep_engine_trial *t, uint8_t key[EP_WIRE_KEY_BYTES])
{
	struct ep_ctrl_prepare prepare = {
		.trial = s->trial,
		.sweep = t->rounds > 0,
		.mode = t->rounds > 0 ? EP_CTRL_MODE_ECHO : s->config->direction,
		.rate_pps = t->rate_pps,
		.duration_ns = t->duration_ns,
		.burst_pkts = t->burst_pkts,
		.size_count = t->sizes.count,
	};
	uint8_t theirs[EP_WIRE_NONCE_BYTES] = {0};
	enum session_status status = SESSION_OK;

	memcpy(prepare.frame_bytes, t->sizes.frame_bytes, sizeof(t->sizes.frame_bytes));
	if (ep_xport_random(prepare.nonce, sizeof(prepare.nonce)) < 0) {
		ep_err_set(&s->err, -EIO, "the system gave no random numbers");
		return SESSION_FAILED;
	}
	if (s->link != NULL) {
		status = said(s, ep_ctrl_prepare(s->link->ctrl, &prepare));
		if (status == SESSION_OK)
			status = session_expect(s, EP_CTRL_EV_READY, ANSWER_NS);
		memcpy(theirs, s->event.nonce, sizeof(theirs));
	}
	if (status == SESSION_OK &&
		ep_wire_trial_key(s->session_key, prepare.nonce, theirs, key) < 0) {
		ep_err_set(&s->err, -EIO, "the key of the trial cannot be derived");
		status = SESSION_FAILED;
	}
	return status;
}

static enum session_status
trial_start(struct session *s)
{
	if (s->link != NULL) {
		enum session_status status;

		s->peer_beat = (struct ep_ctrl_beat){0};
		status = said(s, ep_ctrl_start(s->link->ctrl));
		if (status == SESSION_OK)
			status = session_expect(s, EP_CTRL_EV_STARTED, ANSWER_NS);
		if (status != SESSION_OK)
			return status;
	}
	s->trial_start_ns = host_now_ns();
	s->last = (struct ep_result_interval){0};
	s->next_interval_ns = s->trial_start_ns + EP_NS_PER_S;
	s->interval_last = false;
	s->next_beat_ns = s->trial_start_ns;
	for (uint32_t side = 0; side < s->side_count; side++)
		ep_engine_start(s->engine, side);
	return SESSION_OK;
}

static bool
trial_sent(const struct session *s)
{
	for (uint32_t side = 0; side < s->side_count; side++)
		if (!ep_engine_tx_done(s->engine, side))
			return false;
	return s->link == NULL || s->peer_beat.tx_done;
}

static enum session_status
trial_wait(struct session *s, uint64_t ns)
{
	const uint64_t end_ns = host_now_ns() + ns;
	enum session_status status = SESSION_OK;

	while (status == SESSION_OK && host_now_ns() < end_ns)
		status = session_tick(s);
	return status;
}

static void
trial_drain_begin(struct session *s)
{
	s->next_interval_ns = host_now_ns();
	s->interval_last = true;
	ep_engine_drain(s->engine);
	if (s->link != NULL)
		ep_ctrl_drain(s->link->ctrl);
}

/* The user wants to stop: stop sending here and, by asking for its counters, there; keep what was measured. */
static void
trial_interrupt(struct session *s)
{
	const uint64_t end_ns = host_now_ns() + SHORT_DRAIN_NS;

	ep_engine_silence(s->engine);
	if (s->next_interval_ns != 0)
		interval_close(s, host_now_ns());
	s->next_interval_ns = 0;
	ep_engine_drain(s->engine);
	while (host_now_ns() < end_ns) {
		if (s->link != NULL)
			session_link(s, TICK_MS);
		else
			session_pause(s);
	}
}

static enum session_status
trial_run(struct session *s)
{
	enum session_status status = trial_start(s);

	while (status == SESSION_OK && !trial_sent(s))
		status = session_tick(s);
	if (status == SESSION_OK) {
		trial_drain_begin(s);
		status = trial_wait(s, s->config->drain_ns);
	}
	if (status == SESSION_OK) {
		ep_engine_late(s->engine);
		status = trial_wait(s, LATE_NS);
	}
	if (status == SESSION_INTERRUPTED)
		trial_interrupt(s);
	return status;
}

/* --- What a trial gives to the result -------------------------------------------------------------------------------------- */

static void
hists_take(struct session *s, bool echo)
{
	for (uint32_t b = 0; b < s->block_count; b++) {
		if (echo)
			ep_engine_hist(
				s->engine, INITIATOR, true, b, &s->hist[EP_RESULT_LAT_RTT][b]);
		if (s->side_count < 2)
			continue;
		ep_engine_hist(s->engine, RESPONDER, false, b, &s->hist[EP_RESULT_LAT_UP][b]);
		if (!echo)
			ep_engine_hist(
				s->engine, INITIATOR, false, b, &s->hist[EP_RESULT_LAT_DOWN][b]);
	}
}

static void
jitter_take(
	struct session *s, enum ep_result_latency_kind kind, uint64_t jitter_ns, uint64_t received)
{
	if (received == 0)
		return;
	s->result->latency[kind].jitter_ns = jitter_ns;
	s->result->latency[kind].has_jitter = true;
}

static void
trial_account(struct session *s, const struct ep_engine_trial *plan, bool responder_known)
{
	struct account *mine = &s->account[INITIATOR], *theirs = &s->account[RESPONDER];
	struct ep_result_trial t = {
		.rate_pps = plan->rate_pps,
		.drain_ns = s->config->drain_ns,
		.flow_count = s->config->range->port_count * s->config->sources,
	};

	snprintf(t.kind, sizeof(t.kind), "%s", plan->rounds > 0 ? "sweep" : "load");
	snprintf(t.direction, sizeof(t.direction), "%s",
		ep_ctrl_mode_name(plan->rounds > 0 ? EP_CTRL_MODE_ECHO : s->config->direction));
	account_add_tx(s->result, &t, EP_RESULT_UP, &mine->totals, mine->tx);
	account_add_pacing(&t, EP_RESULT_UP, mine);
	if (responder_known) {
		account_add_pacing(&t, EP_RESULT_DOWN, theirs);
		account_add_rx(s->result, &t, EP_RESULT_UP, &theirs->totals, theirs->rx);
		account_add_tx(s->result, &t, EP_RESULT_DOWN, &theirs->totals, theirs->tx);
		jitter_take(s, EP_RESULT_LAT_UP, theirs->totals.jitter_ns,
			t.ledger[EP_RESULT_UP].received);
	}
	account_add_rx(s->result, &t, EP_RESULT_DOWN, &mine->totals, mine->rx);
	account_add_queues(s->result, &t, EP_RESULT_DOWN, mine);
	if (responder_known)
		account_add_queues(s->result, &t, EP_RESULT_UP, theirs);
	jitter_take(
		s, EP_RESULT_LAT_DOWN, mine->totals.jitter_ns, t.ledger[EP_RESULT_DOWN].received);
	t.nic[EP_RESULT_INITIATOR] = mine->nic;
	if (responder_known)
		t.nic[EP_RESULT_RESPONDER] = theirs->nic;
	ep_result_add_trial(s->result, &t);
	hists_take(s, plan->echo);
}

/* Take the responder's report out of the event. */
static void
report_take(struct session *s)
{
	struct ep_ctrl_report *r = &s->event.report;
	struct account *a = &s->account[RESPONDER];

	a->totals = r->totals;
	a->has_pacing = r->has_pacing;
	a->pacing = r->pacing;
	a->nic = r->nic != NULL ? *r->nic : (struct ep_nic_changes){0};
	a->queues = r->queues;
	if (r->port_queue != NULL)
		memcpy(a->port_queue, r->port_queue, a->port_count);
	memcpy(a->rx, r->up, a->port_count * sizeof(*a->rx));
	memcpy(a->tx, r->down_sent, a->port_count * sizeof(*a->tx));
	if (r->icmp != NULL && ep_result_add_icmp(s->result, EP_RESULT_DOWN) == 0)
		ep_slow_icmp_merge(s->result->icmp[EP_RESULT_DOWN], r->icmp);
	ep_ctrl_report_fini(r);
}

static enum session_status
trial_collect(struct session *s, enum session_status status, bool *responder_known)
{
	enum session_status got = status;

	*responder_known = s->side_count == 2;
	if (s->link != NULL && (status == SESSION_OK || status == SESSION_INTERRUPTED)) {
		s->next_beat_ns = 0;
		got = said(s, ep_ctrl_collect(s->link->ctrl));
		if (got == SESSION_OK)
			got = session_expect(s, EP_CTRL_EV_REPORT, ANSWER_NS);
		*responder_known = got == SESSION_OK;
		if (got == SESSION_OK)
			report_take(s);
	}
	session_errors(s);
	ep_engine_stop(s->engine);
	account_collect(&s->account[INITIATOR], s->engine, INITIATOR, s->dev[INITIATOR], s->clock);
	if (s->side_count == 2)
		account_collect(
			&s->account[RESPONDER], s->engine, RESPONDER, s->dev[RESPONDER], s->clock);
	session_way_keep(s);
	return status != SESSION_OK ? status : got;
}

static enum session_status
trial(struct session *s, bool sweep)
{
	struct ep_engine_trial plan = trial_plan(s, sweep);
	bool responder_known;
	enum session_status status = trial_agree(s, &plan, plan.key);

	if (status != SESSION_OK)
		return status;
	s->phase = sweep ? "sweep" : "load";
	s->phase_ns = plan.duration_ns;
	/* What is counted from here on, workers have received. */
	if (s->way != NULL)
		way_lend(s->way);
	for (uint32_t side = 0; side < s->side_count; side++) {
		account_begin(&s->account[side], s->dev[side]);
		account_steering(&s->account[side], s->steering[side]);
		icmp_trial(&s->icmp[side], plan.key);
	}
	ep_engine_clock_refine(s->clock);
	ep_engine_set_clock(s->engine, s->clock);
	if (ep_engine_prepare(s->engine, &plan, &s->err) < 0) {
		session_way_keep(s);
		return SESSION_FAILED;
	}
	status = trial_run(s);
	/* Still open where the peer was lost. */
	if (s->next_interval_ns != 0)
		interval_close(s, host_now_ns());
	s->next_interval_ns = 0;
	status = trial_collect(s, status, &responder_known);
	trial_account(s, &plan, responder_known);
	explicit_bzero(plan.key, sizeof(plan.key));
	s->trial++;
	return status;
}

/* --- All of it ------------------------------------------------------------------------------------------------------------ */

/* Latency numbers of the whole run and of each block of ports. */
static void
latency_finish(struct session *s)
{
	struct ep_hist *all = malloc(sizeof(*all));

	if (all == NULL)
		return;
	for (int k = 0; k < EP_RESULT_LATS; k++) {
		const struct ep_result_latency had = s->result->latency[k];

		memset(all, 0, sizeof(*all));
		for (uint32_t b = 0; b < s->block_count; b++)
			ep_hist_merge(all, &s->hist[k][b]);
		s->result->latency[k] = ep_result_latency_of(all);
		s->result->latency[k].jitter_ns = had.jitter_ns;
		s->result->latency[k].has_jitter = had.has_jitter;
	}
	free(all);
	for (uint32_t b = 0; b < s->block_count; b++) {
		const uint32_t first = b * s->block_ports;
		const uint32_t next = first + s->block_ports, ports = s->config->range->port_count;
		struct ep_result_latency_block block = {
			.first_port = s->config->range->port[first],
			.last_port = s->config->range->port[(next < ports ? next : ports) - 1],
		};

		for (int k = 0; k < EP_RESULT_LATS; k++)
			block.lat[k] = ep_result_latency_of(&s->hist[k][b]);
		ep_result_add_block(s->result, &block);
	}
}

enum session_status
session_run(struct session *s)
{
	enum session_status status = tcp_before(s);

	if (status == SESSION_OK)
		status = trial(s, true);
	if (status == SESSION_OK) {
		tcp_during_begin(s);
		status = trial(s, false);
		tcp_during_end(s, status);
	}
	if (status == SESSION_OK)
		status = tcp_after(s);
	tcp_end(s);
	if (s->link != NULL && (status == SESSION_OK || status == SESSION_INTERRUPTED)) {
		ep_ctrl_bye(s->link->ctrl);
		/* At once: the responder is free for others while the result is written. */
		link_pump(s->link, host_now_ns());
	}
	progress_end(s);
	latency_finish(s);
	s->result->aborted = status != SESSION_OK;
	return status;
}
