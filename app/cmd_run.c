#include "cmd.h"
#include "common.h"
#include "output.h"
#include "peer.h"
#include "session.h"
#include "steering.h"
#include "tcp.h"
#include "way.h"

#include <ep_netlink.h>
#include <ep_xport.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CONNECT_NS (UINT64_C(1500) * EP_NS_PER_MS)
#define NEIGHBOUR_MS 2000
#define ANSWER_NS (10 * EP_NS_PER_S)

/* Longest text of ports that fits the greeting. */
#define PORTS_TEXT_MAX (sizeof((struct ep_ctrl_hello){0}.ports) - 1)

/** The initiator. */
struct initiator {
	const struct config *config;
	struct host_plan plan;
	bool eal_started;
	uint8_t key[EP_XPORT_KEY_BYTES];
	struct peer peer;               /* Where the probes go ... */
	struct ep_wire_ip control_peer; /* ... and the control connection. */
	struct ep_netlink_route route;
	struct way way;
	struct ep_dev *dev;
	struct ep_dev_info info;
	struct steering steering;
	struct ep_sched_cfg space;
	struct ep_xport *xport;
	struct link link;
	uint16_t control_port; /* The one that answered. */
	struct ep_engine_clock clock;
	struct ep_engine *engine;
	struct ep_ctrl_welcome welcome;
	struct session session;
	double rate_pps;
	double sweep_rate_pps;
};

static int
run_check(struct config *c, struct ep_err *err)
{
	if (c->peer == NULL)
		return ep_err_set(
			err, -EINVAL, "--peer is missing: give the responder's name or address");
	if (common_ends_check(c, err) < 0)
		return err->code;
	if (strlen(c->ports_text) > PORTS_TEXT_MAX)
		return ep_err_set(err, -EINVAL,
			"--ports: the list has %zu characters, the responder takes at most %zu",
			strlen(c->ports_text), PORTS_TEXT_MAX);
	return output_check(c, err);
}

/* The interface, the way to the peer on it, and our address there. */
static int
run_route(struct initiator *r, struct ep_err *err)
{
	char text[64];
	int ret = way_route(&r->way, &r->peer.ip, NEIGHBOUR_MS, &r->route, err);

	if (ret < 0)
		return ret;
	if (r->route.local)
		return ep_err_set(err, -EINVAL,
			"--peer %s: is this host itself, use everyport loop",
			ep_wire_ip_format(text, sizeof(text), &r->peer.ip));
	way_follow(&r->way, &r->peer.ip, &r->route);
	return 0;
}

/* A kernel interface that is down was refused already; of another device the speed is known when its link is there. */
static int
run_link(struct initiator *r, struct ep_err *err)
{
	int ret;

	ep_dev_info(r->dev, &r->info);
	if (r->info.kernel)
		return 0;
	ret = host_links_wait(&r->dev, 1, err);
	ep_dev_info(r->dev, &r->info);
	return ret;
}

static int
run_device(struct initiator *r, struct ep_err *err)
{
	const struct config *c = r->config;
	struct ep_dev_spec spec;
	struct ep_dev_cfg cfg;
	int ret = ep_dev_spec_parse(c->dev[0], &spec, err);

	if (ret < 0)
		return ret;
	cfg = common_dev_cfg(c, &spec, &r->plan.port[0]);
	way_dev_cfg(c, &cfg);
	cfg.initiator = true;
	ret = ep_dev_open(&cfg, &r->dev, err);
	if (ret == 0)
		ret = common_queues_check(c, r->dev, err);
	if (ret < 0)
		return ret;
	ret = run_link(r, err);
	if (ret == 0)
		ret = common_rate(c, &c->rate, "--rate", r->info.speed_bps, &r->rate_pps, err);
	if (ret == 0)
		ret = common_sweep_rate(c, r->info.speed_bps, &r->sweep_rate_pps, err);
	return ret < 0 ? ret : way_open(&r->way, c, r->dev, err);
}

/* Try one port. Returns 0 with an open connection, or -errno with its sentence. */
static int
control_try(struct initiator *r, uint16_t port, struct ep_err *err)
{
	struct ep_xport_conn *conn;
	enum ep_xport_state state;
	int ret = ep_xport_connect(
		r->xport, &r->control_peer, port, host_now_ns(), CONNECT_NS, &conn, err);

	if (ret < 0)
		return ret;
	while ((state = ep_xport_advance(conn, host_now_ns())) != EP_XPORT_OPEN &&
		state != EP_XPORT_CLOSED && !host_interrupted()) {
		way_tick(&r->way, NULL);
		usleep(2000);
	}
	if (state == EP_XPORT_OPEN) {
		r->link.conn = conn;
		r->control_port = port;
		return 0;
	}
	ret = ep_xport_reason(conn) == EP_XPORT_WRONG_KEY ? -EKEYREJECTED : -ECONNREFUSED;
	ep_err_set(err, ret, "%s", ep_xport_error(conn));
	ep_xport_close(conn);
	return ret;
}

/* The first of the TCP ports under test that answers as everyport: 7881, 443, 80 first where they are among them. */
static int
control_connect(struct initiator *r, struct ep_err *err)
{
	const struct config *c = r->config;
	struct ep_err first = {0};
	char text[64];
	int ret = -ECONNREFUSED;

	if (c->control_port != 0)
		return control_try(r, (uint16_t)c->control_port, err);
	for (uint32_t i = c->tcp_count;
		i-- > 0 && ret != 0 && ret != -EKEYREJECTED && !host_interrupted();) {
		ret = control_try(r, c->tcp[i], err);
		if (ret != 0 && first.code == 0)
			first = *err;
	}
	if (ret == 0 || ret == -EKEYREJECTED)
		return ret;
	ep_wire_ip_format(text, sizeof(text), &r->control_peer);
	return ep_err_set(err, ret,
		"no everyport answers at %s on the TCP ports under test (%s); is everyport serve "
		"running there?",
		text, first.text);
}

/* How what comes back gets to our queues. Which source ports spread it on both ends' queues, is for the responder to say. */
static int
run_steer(struct initiator *r, struct ep_err *err)
{
	r->space = common_space(r->config);
	return steering_set(&r->steering, r->dev, r->config->range, true, r->peer.ip.family,
		(uint16_t)r->config->vlan, NULL, err);
}

/* The source ports of the responder's choice, if it made one: some of those that it was offered. */
static int
run_sources(struct initiator *r, struct ep_err *err)
{
	const struct ep_ctrl_sources *s = &r->welcome.sources;

	if (!r->welcome.has_sources)
		return 0;
	if (r->info.kernel || s->source_base < r->space.source_base ||
		s->source_base + s->source_span > r->space.source_base + r->space.source_span ||
		s->source_span < r->space.source_count)
		return ep_err_set(err, -EPROTO,
			"the responder chose source ports %u to %u, which it was not offered",
			s->source_base, s->source_base + s->source_span - 1);
	r->space.source_base = s->source_base;
	r->space.source_span = s->source_span;
	r->steering.expected_ratio = s->down_ratio;
	return 0;
}

static int
run_hello(struct initiator *r, struct ep_err *err)
{
	const struct config *c = r->config;
	struct ep_ctrl_hello hello = {
		.initiator = r->route.source,
		.control_apart = c->control_dev != NULL || c->control_peer != NULL,
		.source_count = (uint32_t)c->sources,
		.source_base = r->space.source_base,
		.source_span = r->space.source_span,
		.seed = c->seed,
		.rate_pps = r->rate_pps == 0              ? 0
			: r->rate_pps > r->sweep_rate_pps ? r->rate_pps
							  : r->sweep_rate_pps,
		.frame_bytes_max = common_frame_max(c),
		.duration_ns = c->duration_ns,
		.drain_ns = c->drain_ns,
		.sweeps = (uint32_t)c->sweeps,
		/* An interface's RSS is the kernel's. */
		.takes_sources = !r->info.kernel,
		.has_rss = r->steering.has_rss,
		.rss = r->steering.rss,
	};

	if (ep_ctrl_create(EP_CTRL_INITIATOR, host_now_ns(), &r->link.ctrl) < 0)
		return ep_err_set(err, -ENOMEM, "no memory for the control connection");
	snprintf(hello.tool, sizeof(hello.tool), "everyport %s", EVERYPORT_VERSION);
	snprintf(hello.ports, sizeof(hello.ports), "%s", c->ports_text);
	ep_ctrl_port_count(r->link.ctrl, c->range->port_count);
	if (ep_ctrl_hello(r->link.ctrl, &hello) < 0)
		return ep_err_set(err, -EINVAL, "the greeting cannot be made of these options");
	return 0;
}

/* Probes go only to who agreed to them: where the control connection has another far end, its responder must say that it is the peer, too. */
static int
run_welcome_check(const struct initiator *r, struct ep_err *err)
{
	const struct ep_wire_ip *theirs = &r->welcome.responder;
	char peer[64], named[64];

	if (r->config->control_peer == NULL ||
		(theirs->family == r->peer.ip.family &&
			memcmp(theirs->bytes_be, r->peer.ip.bytes_be, sizeof(theirs->bytes_be)) ==
				0))
		return 0;
	ep_wire_ip_format(peer, sizeof(peer), &r->peer.ip);
	ep_wire_ip_format(named, sizeof(named), theirs);
	return ep_err_set(err, -EPERM,
		"--peer %s: the responder at --control-peer %s receives probes at %s only", peer,
		r->config->control_peer, named);
}

/* Wait for the welcome without a session: nothing runs yet. */
static int
run_welcome(struct initiator *r, struct ep_err *err)
{
	const uint64_t end_ns = host_now_ns() + ANSWER_NS;
	int ret = run_hello(r, err);

	while (ret == 0) {
		const int alive = link_wait(&r->link, 20);
		struct ep_ctrl_event ev;

		way_tick(&r->way, NULL);

		ep_ctrl_next(r->link.ctrl, host_now_ns(), &ev);
		if (ev.kind == EP_CTRL_EV_WELCOME) {
			r->welcome = ev.welcome;
			ret = run_welcome_check(r, err);
			return ret == 0 ? run_sources(r, err) : ret;
		}
		if (ev.kind == EP_CTRL_EV_REFUSED)
			return ep_err_set(err, -EPERM, "the responder refuses: %s%s",
				ev.refuse.code == EP_CTRL_REFUSE_BUSY ? "busy: " : "",
				ev.refuse.text);
		if (ev.kind == EP_CTRL_EV_FAILED)
			return ep_err_set(err, -EPROTO, "%s", ev.err.text);
		if (alive < 0)
			return ep_err_set(
				err, -EPIPE, "the responder closed the control connection");
		if (host_now_ns() > end_ns || host_interrupted())
			return ep_err_set(
				err, -ETIMEDOUT, "the responder did not answer the greeting");
	}
	return ret;
}

static int
run_engine(struct initiator *r, struct ep_err *err)
{
	const struct config *c = r->config;
	struct ep_engine_cfg cfg = common_engine_cfg(c, &r->plan, &r->clock);
	const struct ep_dev_filter filter = {
		.initiator = true,
		.range = c->range,
		.local = r->route.source,
		.peer = r->peer.ip,
	};
	int ret;

	cfg.range = c->range;
	cfg.side[0].role = EP_ENGINE_INITIATOR;
	cfg.side[0].vlan_id = (uint16_t)c->vlan;
	common_side(&r->plan.port[0], r->dev, &cfg.side[0]);
	cfg.side[0].ends.src = r->route.source;
	cfg.side[0].ends.dst = r->peer.ip;
	ep_dev_host_mac(r->dev, cfg.side[0].ends.src_mac);
	memcpy(cfg.side[0].ends.dst_mac, r->way.hop.route.next_hop_mac, 6);
	way_side(&r->way, &cfg.side[0]);
	ret = ep_sched_init(&cfg.space, &r->space, err);
	r->session.space = cfg.space;
	if (ret == 0)
		ret = ep_engine_create(&cfg, &r->engine, err);
	return ret < 0 ? ret : way_arm(&r->way, &filter, err);
}

/* What the responder said of itself. */
static void
run_facts(struct initiator *r, struct ep_result *result)
{
	const struct ep_ctrl_welcome *w = &r->welcome;
	char text[64];

	host_facts(result, &r->plan, &r->dev, 1);
	steering_facts(&r->steering, 0, result);
	ep_result_host_text(result, "peer_tool", w->tool);
	ep_result_host_text(result, "peer_cpu", w->cpu);
	ep_result_host_text(result, "peer_driver", w->driver);
	ep_wire_ip_format(text, sizeof(text), &r->route.source);
	ep_result_host_text(result, "address", text);
	ep_wire_ip_format(text, sizeof(text), &r->peer.ip);
	ep_result_host_text(result, "peer_address", text);
	ep_result_host_number(result, "control_port", r->control_port);
	if (r->peer.note[0] != '\0')
		ep_result_warn(result, "%s; give one as --peer to measure it", r->peer.note);
	for (uint32_t i = 0; i < w->listen_count; i++)
		if (!w->listen[i].ours)
			ep_result_warn(result,
				"on TCP %u the responder has another listener than everyport (%s), "
				"which answers the check",
				w->listen[i].port, w->listen[i].text);
}

/* The responder's clock paces what comes down. */
static void
run_peer_clock(struct ep_result *result, const struct account *peer)
{
	const struct ep_ctrl_pacing *p = &peer->pacing;

	if (!peer->has_pacing)
		return;
	ep_result_host_number(result, "peer_clock_error_ppm", p->clock_error_ppm);
	ep_result_host_number(result, "peer_clock_drift_ppm", p->clock_drift_ppm);
	if (p->clock_error_ppm > EP_ENGINE_CLOCK_LIMIT_PPM ||
		p->clock_drift_ppm > EP_ENGINE_CLOCK_LIMIT_PPM)
		ep_result_warn(result,
			"the far side's clock is known to %.3g ppm and drifted by %.3g ppm, and "
			"the "
			"rates down with it; they are meant to be within %d ppm",
			p->clock_error_ppm, p->clock_drift_ppm, EP_ENGINE_CLOCK_LIMIT_PPM);
}

static int
run_session(struct initiator *r, struct ep_result *result, struct ep_err *err)
{
	struct session *s = &r->session;
	enum session_status status;
	int code;

	*s = (struct session){
		.config = r->config,
		.space = s->space,
		.steering = {&r->steering},
		.engine = r->engine,
		.result = result,
		.dev = {r->dev},
		.ends = {{.src = r->route.source, .dst = r->peer.ip}},
		.side_count = 1,
		.way = &r->way,
		.link = &r->link,
		.rate_pps = r->rate_pps,
		.sweep_rate_pps = r->sweep_rate_pps,
		.slack_ns = common_slack_ns(r->config, &r->plan),
		.clock = &r->clock,
	};
	memcpy(s->session_key, r->key, sizeof(s->session_key));
	if (r->config->targets.count > 0 &&
		tcp_checker(r->config, &r->control_peer, r->way.bind, &s->check, err) < 0)
		return common_fail(r->config, err, EXIT_ENVIRONMENT);
	if (session_init(s) < 0) {
		session_fini(s);
		ep_err_set(err, -ENOMEM, "no memory for the account");
		return common_fail(r->config, err, EXIT_ENVIRONMENT);
	}
	status = session_run(s);
	ep_result_host_text(result, "tag", ep_engine_tag_name(r->engine));
	run_peer_clock(result, &s->account[1]);
	way_facts(&r->way, result);
	if (status == SESSION_PEER_LOST || status == SESSION_FAILED)
		ep_result_reason(result, "the run did not reach its end: %s", s->err.text);
	code = common_finish(r->config, result, &r->clock);
	if (status == SESSION_PEER_LOST)
		code = common_fail(r->config, &s->err, EXIT_PEER);
	if (status == SESSION_FAILED)
		code = common_fail(r->config, &s->err, EXIT_ENVIRONMENT);
	session_fini(s);
	return code;
}

static int
run_measure(struct initiator *r, struct ep_err *err)
{
	struct ep_result *result;
	int code;

	if (common_result(r->config, r->config->range, &result) < 0) {
		ep_err_set(err, -ENOMEM, "no memory for the result");
		return common_fail(r->config, err, EXIT_ENVIRONMENT);
	}
	run_facts(r, result);
	code = run_session(r, result, err);
	ep_result_destroy(result);
	return code;
}

/* From the control connection to the result. Returns an exit code. */
static int
run_connected(struct initiator *r, struct ep_err *err)
{
	int ret = ep_xport_create(r->key, &r->xport, err);

	if (ret < 0)
		return common_fail(r->config, err, EXIT_ENVIRONMENT);
	if (r->way.bind != NULL)
		ep_xport_bind(r->xport, r->way.bind);
	ret = control_connect(r, err);
	/* Only now: asking for the next hop's address may send a datagram, and nothing leaves before the key was
	 * accepted. */
	if (ret == 0 && (run_route(r, err) < 0 || run_steer(r, err) < 0))
		return common_fail(r->config, err, EXIT_ENVIRONMENT);
	if (ret == 0)
		ret = run_welcome(r, err);
	if (ret < 0 && host_interrupted())
		ep_err_set(err, -EINTR, "interrupted before anything was measured");
	if (ret < 0)
		return common_fail(
			r->config, err, host_interrupted() ? EXIT_INTERRUPTED : EXIT_PEER);
	ret = run_engine(r, err);
	if (ret < 0)
		return common_fail(r->config, err, EXIT_ENVIRONMENT);
	common_say(r->config, "session with %s on TCP %u, device %s (%s)", r->config->peer,
		r->control_port, r->info.name, r->info.mode);
	return run_measure(r, err);
}

static int
run_control_peer(struct initiator *r, struct ep_err *err)
{
	r->control_peer = r->peer.ip;
	if (r->config->control_peer == NULL)
		return 0;
	return host_resolve(r->config->control_peer, "--control-peer", &r->control_peer, err);
}

/* What can be told before anything is touched. Returns 0 or an exit code. */
static int
run_prepare(struct initiator *r, struct config *config, struct ep_err *err)
{
	if (run_check(config, err) < 0)
		return EXIT_USAGE;
	if (tcp_files(config, err) < 0)
		return EXIT_ENVIRONMENT;
	if (ep_xport_key_read(config->key_file, r->key, err) < 0)
		return EXIT_USAGE;
	if (peer_choose(config, config->peer, "--peer", NULL, &r->peer, err) < 0)
		return err->code == -EINVAL ? EXIT_USAGE : EXIT_PEER;
	if (run_control_peer(r, err) < 0)
		return err->code == -EINVAL ? EXIT_USAGE : EXIT_PEER;
	if (common_sizes_check(config, r->peer.ip.family, err) < 0)
		return EXIT_USAGE;
	if (host_plan(config, &r->plan, err) < 0)
		return host_plan_exit_code(err->code);
	if (host_eal(config, &r->plan,
		    common_memory_mib(config, &r->plan, common_frame_max(config)), err) < 0)
		return EXIT_ENVIRONMENT;
	r->eal_started = true;
	ep_engine_clock_calibrate(&r->clock);
	if (run_device(r, err) < 0)
		return err->code == -EINVAL && strncmp(err->text, "--dev", 5) != 0
			? EXIT_USAGE
			: EXIT_ENVIRONMENT;
	return 0;
}

int
cmd_run(struct config *config)
{
	struct initiator r = {.config = config};
	struct ep_err err = {0};
	int code;

	host_catch_signals();
	code = run_prepare(&r, config, &err);
	if (code != 0)
		common_fail(config, &err, code);
	else
		code = run_connected(&r, &err);
	ep_engine_destroy(r.engine);
	link_close(&r.link, 500); /* while the exception path still carries it */
	way_close(&r.way);
	ep_dev_close(r.dev);
	ep_xport_destroy(r.xport);
	if (r.eal_started)
		ep_dev_eal_fini();
	explicit_bzero(r.key, sizeof(r.key));
	return code;
}
