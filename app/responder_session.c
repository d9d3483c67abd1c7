#include "responder_session.h"

#include "common.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEIGHBOUR_MS 1000
/* Memory for flows of a stranger is bounded by the limit on source ports; this bounds it whatever that is. */
#define FLOWS_MAX (UINT64_C(1) << 27)
/* Between what an initiator announced and what is too much: probes that some queue held back and then let go, and the difference
 * of two clocks. */
#define LIMIT_SLACK_NS EP_NS_PER_S
#define LIMIT_SLACK 1.01

static uint64_t
flows_limit(const struct config *c)
{
	const uint64_t flows = c->sources * c->range->port_count;

	return flows < FLOWS_MAX ? flows : FLOWS_MAX;
}

static void
refuse(struct responder_conn *c, enum ep_ctrl_refusal code, const char *text)
{
	struct ep_ctrl_refuse refusal = {.code = code};

	snprintf(refusal.text, sizeof(refusal.text), "%s", text);
	ep_ctrl_refuse(c->link.ctrl, &refusal);
	c->closing = true;
}

/* Whether a message of ours could be made. One that cannot is a fault of this program: end the session rather than keep the
 * initiator waiting. */
static void
said(const struct responder *r, struct responder_conn *c, int ret)
{
	if (ret == 0)
		return;
	common_say(r->config, "a message to the initiator could not be made: %s", strerror(-ret));
	c->closing = true;
}

void
responder_session_end(struct responder *r)
{
	struct responder_session *s = &r->session;

	if (s->conn == NULL)
		return;
	if (s->engine != NULL)
		ep_engine_silence(s->engine);
	way_disarm(&r->way);
	ep_engine_destroy(s->engine);
	ep_dev_unsteer(r->dev);
	way_unfollow(&r->way);
	way_keep(&r->way);
	if (r->way.slow != NULL)
		ep_slowdev_errors(r->way.slow, NULL, NULL);
	account_fini(&s->account);
	icmp_close(&s->icmp);
	free(s->icmp_account);
	free(s->range);
	common_say(r->config, "session ended after %u trials: %llu probes received, %llu sent",
		s->trials, (unsigned long long)s->received, (unsigned long long)s->sent);
	memset(s, 0, sizeof(*s));
	r->ended = r->config->once;
}

/* --- hello -------------------------------------------------------------------------------------------------------------- */

static int
hello_check(const struct responder *r, const struct ep_ctrl_hello *hello, struct ep_err *err)
{
	const struct config *c = r->config;
	const struct ep_ctrl_limits limits = {
		.ports = c->range,
		.rate_pps = r->limit_pps,
		.duration_ns = c->duration_ns,
		.flow_count = flows_limit(r->config),
		.frame_bytes_max = r->frame_bytes_max,
	};

	return ep_ctrl_limits_check(&limits, hello, err);
}

/*
 * The way back: the next hop of the control connection's far end, which must lie on our device. Where either end has its control connection
 * elsewhere, that of the address that the initiator says its probes leave from.
 */
static int
hello_ends(struct responder *r, const struct responder_conn *c, struct ep_wire_ends *ends,
	struct ep_err *err)
{
	const struct ep_ctrl_hello *hello = &r->session.hello;
	const bool apart = hello->control_apart || r->way.slow != NULL;
	struct ep_netlink_route route;
	uint16_t port;
	int ret = ep_xport_local(c->link.conn, &ends->src, &port);

	if (ret == 0)
		ret = ep_xport_remote(c->link.conn, &ends->dst, &port);
	if (ret < 0)
		return ep_err_set(
			err, ret, "the addresses of the control connection cannot be read");
	if (apart)
		ends->dst = hello->initiator;
	ret = way_route(&r->way, &ends->dst, NEIGHBOUR_MS, &route, err);
	if (ret == -EXDEV)
		return ep_err_set(err, -EINVAL,
			"the responder's way back does not lead over its device %s", r->info.name);
	if (ret < 0)
		return ret;
	if (apart)
		ends->src = route.source;
	ep_dev_host_mac(r->dev, ends->src_mac);
	memcpy(ends->dst_mac, route.next_hop_mac, 6);
	way_follow(&r->way, &ends->dst, &route);
	return 0;
}

/* Errors about what is sent down. Not to be able to look is no reason to refuse a session. */
static int
session_icmp(struct responder *r, const struct ep_wire_ends *ends, const struct ep_sched *space)
{
	struct responder_session *s = &r->session;
	struct ep_err err = {0};
	int ret = ep_slow_icmp_create(s->range->port_count, &s->icmp_account);

	if (ret < 0)
		return ret;
	ret = icmp_open(
		&s->icmp, r->way.ifindex, s->range, space, ends, true, s->icmp_account, &err);
	if (ret == -ENOTSUP && r->way.slow != NULL) {
		ep_slowdev_errors(r->way.slow, &s->icmp.match, s->icmp_account);
		return 0;
	}
	if (ret == 0)
		return 0;
	if (ret != -ENOTSUP)
		common_say(r->config, "ICMP errors are not looked for: %s", err.text);
	free(s->icmp_account);
	s->icmp_account = NULL;
	return 0;
}

static int
session_engine(struct responder *r, const struct ep_wire_ends *ends, struct ep_err *err)
{
	struct responder_session *s = &r->session;
	const struct ep_ctrl_hello *h = &s->hello;
	const struct ep_sched_cfg space = {
		.port_count = s->range->port_count,
		.source_count = h->source_count,
		.address_count = 1,
		.source_base = h->source_base,
		.source_span = h->source_span,
		.seed = h->seed,
	};
	struct ep_engine_cfg cfg;
	int ret;

	/* The last session may have been days ago. */
	ep_engine_clock_calibrate(&r->clock);
	cfg = common_engine_cfg(r->config, &r->plan, &r->clock);
	ret = ep_sched_init(&cfg.space, &space, err);

	cfg.range = s->range;
	cfg.side[0].role = EP_ENGINE_RESPONDER;
	cfg.side[0].vlan_id = (uint16_t)r->config->vlan;
	common_side(&r->plan.port[0], r->dev, &cfg.side[0]);
	cfg.side[0].ends = *ends;
	way_side(&r->way, &cfg.side[0]);
	if (ret == 0 && session_icmp(r, ends, &cfg.space) < 0)
		ret = ep_err_set(err, -ENOMEM, "the responder has no memory for ICMP errors");
	return ret < 0 ? ret : ep_engine_create(&cfg, &s->engine, err);
}

/* Source ports that give every queue its share, of both ends where the initiator said how its NIC spreads, and where it leaves the choice. */
static int
session_sources(struct responder_session *s, const struct ep_wire_ends *ends, struct ep_err *err)
{
	struct steering down = {.has_rss = s->hello.has_rss, .rss = s->hello.rss};
	struct ep_sched_cfg space = {
		.port_count = s->range->port_count,
		.source_count = s->hello.source_count,
		.address_count = 1,
		.source_base = s->hello.source_base,
		.source_span = s->hello.source_span,
	};
	int ret;

	s->has_sources = s->hello.takes_sources && (s->steering.has_rss || down.has_rss);
	if (!s->has_sources)
		return 0;
	ret = steering_sources(&s->steering, &down, s->range, &ends->dst, &ends->src, &space, err);
	s->hello.source_base = space.source_base;
	s->hello.source_span = space.source_span;
	s->sources = (struct ep_ctrl_sources){
		.source_base = space.source_base,
		.source_span = space.source_span,
		.up_ratio = s->steering.expected_ratio,
		.down_ratio = down.expected_ratio,
	};
	return ret;
}

static int
session_open(struct responder *r, struct responder_conn *c, struct ep_wire_ends *ends,
	struct ep_err *err)
{
	struct responder_session *s = &r->session;
	struct ep_dev_filter filter;
	int ret;

	s->range = malloc(sizeof(*s->range));
	if (s->range == NULL || ep_range_parse(s->hello.ports, "ports", s->range, err) < 0 ||
		account_init(&s->account, s->range->port_count) < 0)
		return ep_err_set(err, -ENOMEM, "the responder has no memory for the account");
	ret = hello_ends(r, c, ends, err);
	if (ret == 0)
		ret = steering_set(&s->steering, r->dev, s->range, false, ends->src.family,
			(uint16_t)r->config->vlan, NULL, err);
	if (ret == 0)
		ret = session_sources(s, ends, err);
	if (ret == 0)
		ret = session_engine(r, ends, err);
	if (ret < 0)
		return ret;
	filter = (struct ep_dev_filter){.range = s->range, .local = ends->src};
	return way_arm(&r->way, &filter, err);
}

static void
session_welcome(struct responder *r, struct responder_conn *c, const struct ep_wire_ends *ends)
{
	struct ep_ctrl_welcome w = {
		.responder = ends->src,
		.limit_pps = r->limit_pps,
		.limit_duration_ns = r->config->duration_ns,
		.limit_flows = flows_limit(r->config),
		.listen_count = r->listen_count,
		.has_sources = r->session.has_sources,
		.sources = r->session.sources,
	};
	char text[64];

	snprintf(w.tool, sizeof(w.tool), "everyport %s", EVERYPORT_VERSION);
	host_cpu(w.cpu, sizeof(w.cpu));
	snprintf(w.driver, sizeof(w.driver), "%s", r->info.driver);
	memcpy(w.listen, r->listen, sizeof(w.listen));
	said(r, c, ep_ctrl_welcome(c->link.ctrl, &w));
	ep_wire_ip_format(text, sizeof(text), &ends->dst);
	common_say(r->config, "session with %s: %u ports, %u flows", text,
		r->session.range->port_count,
		r->session.range->port_count * r->session.hello.source_count);
}

static void
on_hello(struct responder *r, struct responder_conn *c, const struct ep_ctrl_hello *hello)
{
	struct ep_wire_ends ends = {0};
	struct ep_err err = {0};

	if (r->session.conn != NULL) {
		refuse(c, EP_CTRL_REFUSE_BUSY,
			"the responder is in a session with another initiator");
		return;
	}
	if (hello_check(r, hello, &err) < 0) {
		common_say(r->config, "refused a session: %s", err.text);
		refuse(c, err.code == -EPERM ? EP_CTRL_REFUSE_LIMIT : EP_CTRL_REFUSE_INVALID,
			err.text);
		return;
	}
	r->session.conn = c;
	r->session.hello = *hello;
	if (session_open(r, c, &ends, &err) < 0) {
		common_say(r->config, "a session failed: %s", err.text);
		refuse(c, EP_CTRL_REFUSE_FAILED, err.text);
		return;
	}
	session_welcome(r, c, &ends);
}

/* --- A trial ------------------------------------------------------------------------------------------------------------- */

static struct ep_engine_trial
trial_of(const struct responder *r, const struct ep_ctrl_prepare *p)
{
	struct ep_engine_trial t = {
		.echo = p->mode == EP_CTRL_MODE_ECHO,
		.stream_up = false,
		.stream_down = p->mode == EP_CTRL_MODE_DOWN || p->mode == EP_CTRL_MODE_BOTH,
		.rate_pps = p->rate_pps,
		.duration_ns = p->duration_ns,
		.burst_pkts = p->burst_pkts,
		.slack_ns = common_slack_ns(r->config, &r->plan),
		.sizes = {.count = p->size_count},
		.stamp = r->config->stamp,
	};

	memcpy(t.sizes.frame_bytes, p->frame_bytes, sizeof(t.sizes.frame_bytes));
	return t;
}

/* The greeting named the most that would be asked for; a trial beyond it breaks the agreement. */
static int
prepare_check(const struct responder *r, const struct ep_ctrl_prepare *p, struct ep_err *err)
{
	const struct ep_ctrl_hello *h = &r->session.hello;

	if (h->rate_pps > 0 && (p->rate_pps == 0 || p->rate_pps > h->rate_pps))
		return ep_err_set(
			err, -EPERM, "the trial asks for a higher rate than the session agreed on");
	if (!p->sweep && p->duration_ns > h->duration_ns)
		return ep_err_set(
			err, -EPERM, "the trial asks for a longer time than the session agreed on");
	if (p->sweep && p->mode != EP_CTRL_MODE_ECHO)
		return ep_err_set(err, -EINVAL, "a sweep is always answered");
	for (uint32_t i = 0; i < p->size_count; i++)
		if (p->frame_bytes[i] > h->frame_bytes_max)
			return ep_err_set(err, -EPERM,
				"the trial asks for larger frames than the session agreed on");
	return 0;
}

static void
on_prepare(struct responder *r, struct responder_conn *c, const struct ep_ctrl_prepare *p)
{
	struct responder_session *s = &r->session;
	struct ep_engine_trial t = trial_of(r, p);
	uint8_t nonce[EP_WIRE_NONCE_BYTES];
	struct ep_err err = {0};
	int ret = prepare_check(r, p, &err);

	s->prepare = *p;
	if (ret == 0 &&
		(ep_xport_random(nonce, sizeof(nonce)) < 0 ||
			ep_wire_trial_key(r->key, p->nonce, nonce, t.key) < 0))
		ret = ep_err_set(&err, -EIO, "the key of the trial cannot be made");
	if (ret == 0) {
		way_lend(&r->way);
		account_begin(&s->account, r->dev);
		account_steering(&s->account, &s->steering);
		icmp_trial(&s->icmp, t.key);
		if (s->icmp_account != NULL)
			ep_slow_icmp_reset(s->icmp_account);
		ep_engine_clock_refine(&r->clock);
		ep_engine_set_clock(s->engine, &r->clock);
		ret = ep_engine_prepare(s->engine, &t, &err);
	}
	explicit_bzero(t.key, sizeof(t.key));
	if (ret < 0) {
		common_say(r->config, "a trial failed: %s", err.text);
		refuse(c, ret == -EPERM ? EP_CTRL_REFUSE_LIMIT : EP_CTRL_REFUSE_FAILED, err.text);
		return;
	}
	s->prepared = true;
	s->draining = false;
	said(r, c, ep_ctrl_ready(c->link.ctrl, nonce));
}

static void
on_start(struct responder *r, struct responder_conn *c, uint64_t now_ns)
{
	ep_engine_start(r->session.engine, 0);
	said(r, c, ep_ctrl_started(c->link.ctrl, now_ns));
	r->session.started = true;
	r->session.start_ns = now_ns;
	r->session.next_beat_ns = now_ns;
}

static void
on_drain(struct responder *r, uint64_t now_ns)
{
	ep_engine_drain(r->session.engine);
	r->session.draining = true;
	r->session.drain_end_ns = now_ns + r->session.hello.drain_ns;
}

static void
on_collect(struct responder *r, struct responder_conn *c)
{
	struct responder_session *s = &r->session;
	struct ep_ctrl_report report = {
		.trial = s->prepare.trial,
		.port_count = s->account.port_count,
		.up = s->account.rx,
		.down_sent = s->account.tx,
		.icmp = s->icmp_account,
		.nic = &s->account.nic,
	};
	struct ep_engine_count count;

	s->started = false;
	s->prepared = false;
	icmp_tick(&s->icmp);
	ep_engine_silence(s->engine);
	ep_engine_stop(s->engine);
	ep_engine_clock_watch(&r->clock);
	account_collect(&s->account, s->engine, 0, r->dev, &r->clock);
	report.totals = s->account.totals;
	report.has_pacing = s->account.has_pacing;
	report.pacing = s->account.pacing;
	report.queues = s->account.queues;
	report.port_queue = s->account.port_queue;
	ep_engine_count(s->engine, 0, &count);
	way_note(&r->way, &count);
	way_keep(&r->way);
	s->received += count.first;
	s->sent += count.accepted;
	s->trials++;
	said(r, c, ep_ctrl_report(c->link.ctrl, &report));
}

static void
on_failed(struct responder *r, struct responder_conn *c, const struct ep_err *err)
{
	if (r->session.conn == c) {
		common_say(r->config, "session broken off: %s", err->text);
		responder_session_end(r);
	}
	c->closing = true;
}

static void
session_event(struct responder *r, struct responder_conn *c, const struct ep_ctrl_event *ev,
	uint64_t now_ns)
{
	switch (ev->kind) {
	case EP_CTRL_EV_HELLO:
		on_hello(r, c, &ev->hello);
		break;
	case EP_CTRL_EV_PREPARE:
		on_prepare(r, c, &ev->prepare);
		break;
	case EP_CTRL_EV_START:
		on_start(r, c, now_ns);
		break;
	case EP_CTRL_EV_DRAIN:
		on_drain(r, now_ns);
		break;
	case EP_CTRL_EV_COLLECT:
		on_collect(r, c);
		break;
	case EP_CTRL_EV_BYE:
		c->closing = true;
		break;
	case EP_CTRL_EV_FAILED:
		on_failed(r, c, &ev->err);
		break;
	default: /* A beat says that the initiator is there; the state machine has noted it. */
		break;
	}
}

void
responder_session_events(struct responder *r, struct responder_conn *c, uint64_t now_ns)
{
	struct ep_ctrl_event ev;

	while (!c->closing) {
		ep_ctrl_next(c->link.ctrl, now_ns, &ev);
		if (ev.kind == EP_CTRL_EV_NONE)
			return;
		session_event(r, c, &ev, now_ns);
	}
}

/*
 * Never more packets than agreed (design section 5). The own stream keeps to its schedule; echoes are as many as the initiator
 * sends probes, so they are held against what it said it would send. Returns whether there were more.
 */
static bool
sent_too_much(const struct responder_session *s, uint64_t sent, uint64_t elapsed_ns)
{
	const struct ep_ctrl_prepare *p = &s->prepare;
	const double flows = (double)s->range->port_count * s->hello.source_count;
	const uint64_t sending_ns =
		p->sweep || elapsed_ns < p->duration_ns ? elapsed_ns : p->duration_ns;
	const double allowed =
		p->rate_pps * ((double)(sending_ns + LIMIT_SLACK_NS) / 1e9) * LIMIT_SLACK;

	if (p->sweep && (double)sent > flows * s->hello.sweeps)
		return true;
	return p->rate_pps > 0 && (double)sent > allowed;
}

void
responder_session_tick(struct responder *r, uint64_t now_ns)
{
	struct responder_session *s = &r->session;
	struct ep_engine_count count;
	struct ep_ctrl_beat beat;

	ep_engine_clock_watch(&r->clock);
	icmp_tick(&s->icmp);
	if (s->draining && now_ns >= s->drain_end_ns && s->prepared)
		ep_engine_late(s->engine);
	if (!s->started || now_ns < s->next_beat_ns)
		return;
	ep_engine_count(s->engine, 0, &count);
	if (sent_too_much(s, count.accepted, host_now_ns() - s->start_ns)) {
		common_say(r->config,
			"session broken off: the initiator sent more probes than it announced");
		s->conn->closing = true;
		responder_session_end(r);
		return;
	}
	beat = (struct ep_ctrl_beat){
		.trial = s->prepare.trial,
		.sent = count.accepted,
		.received = count.first,
		.tx_done = ep_engine_tx_done(s->engine, 0),
	};
	ep_ctrl_beat(s->conn->link.ctrl, &beat);
	s->next_beat_ns = now_ns + EP_CTRL_BEAT_NS;
}
