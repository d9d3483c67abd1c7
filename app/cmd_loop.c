#include "cmd.h"
#include "common.h"
#include "loop.h"
#include "output.h"
#include "pairing.h"
#include "peer.h"
#include "session.h"
#include "steering.h"
#include "tcp.h"

#include <ep_netlink.h>
#include <ep_xport.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

/** Both ends and what joins them. */
struct loop {
	const struct config *config;
	struct host_plan plan;
	bool eal_started;
	struct ep_dev *dev[2];
	struct ep_dev_wire wire;
	struct ep_wire_ends ends[2];
	struct steering steering[2];
	struct ep_sched space;
	struct neighbour_side neighbour[2];
	struct ep_engine_clock clock;
	struct ep_engine *engine;
	double rate_pps, sweep_rate_pps;
	struct session session;
};

/* The fallback check has somewhere to go only where a server was named. */
static int
loop_check_peer(const struct config *c, struct ep_err *err)
{
	if (c->peer != NULL && c->dev_count == 0)
		return ep_err_set(err, -EINVAL,
			"--peer %s: nothing lies behind the in-memory pair, give two --dev",
			c->peer);
	if (c->peer == NULL &&
		(c->tcp_text != NULL || c->udp_stun_text != NULL || c->preset != NULL ||
			c->sni != NULL || c->turn_sni != NULL || c->expect_issuer != NULL ||
			c->ufrag != NULL || c->pwd != NULL))
		return ep_err_set(err, -EINVAL,
			"the fallback check needs --peer: a server behind the device under test");
	return 0;
}

static int
loop_check_devs(const struct config *c, struct ep_err *err)
{
	struct ep_dev_spec spec;
	int ret = 0;

	for (uint32_t i = 0; i < c->dev_count && ret == 0; i++)
		ret = ep_dev_spec_parse(c->dev[i], &spec, err);
	return ret;
}

static int
loop_check_vlan(const struct config *c, struct ep_err *err)
{
	if (c->vlan != 0 && c->dev_count == 0)
		return ep_err_set(err, -EINVAL,
			"--vlan %u: nothing lies between the ends of the in-memory pair, give two "
			"--dev",
			(uint32_t)c->vlan);
	return common_vlan_check(c, err);
}

static int
loop_check(struct config *c, struct ep_err *err)
{
	if (loop_check_peer(c, err) < 0 || loop_check_devs(c, err) < 0)
		return err->code;
	if (c->dev_count == 1)
		return ep_err_set(err, -EINVAL,
			"--dev %s: loop takes two devices, or none for the in-memory pair",
			c->dev[0]);
	if (c->dev_count == 2 && pairing_check(c->dev, err) < 0)
		return err->code;
	if (c->has_impair && c->dev_count > 0)
		return ep_err_set(err, -EINVAL,
			"--impair %s: models the path of the in-memory pair only, leave --dev out",
			c->impair_text);
	if (loop_check_vlan(c, err) < 0 || neighbour_check(c, err) < 0 ||
		common_xdp_check(c, err) < 0)
		return err->code;
	/* No real path lies between the ends of the pair that a faster sweep could disturb. */
	if (c->dev_count == 0 && !c->sweep_rate_given)
		c->sweep_rate.value = 100e3;
	return output_check(c, err);
}

/* The queues of one end are joined to those of the other: both have as many as the one that needs more. */
static int
loop_pair(struct loop *l, struct ep_err *err)
{
	const struct host_port *port = l->plan.port;
	const struct ep_dev_spec spec = {.kind = EP_DEV_MEMORY};
	const struct ep_dev_cfg cfg = common_dev_cfg(
		l->config, &spec, &port[port[0].queue_count < port[1].queue_count ? 1 : 0]);

	return ep_dev_pair_open(&cfg, l->dev, l->config->has_impair ? &l->wire : NULL, err);
}

static int
loop_devs(struct loop *l, struct ep_err *err)
{
	const int first = pairing_second_first(l->config->dev);

	for (int n = 0; n < 2; n++) {
		const int i = n ^ first;
		struct ep_dev_spec spec;
		struct ep_dev_cfg cfg;
		int ret = ep_dev_spec_parse(l->config->dev[i], &spec, err);

		if (ret < 0)
			return ret;
		cfg = common_dev_cfg(l->config, &spec, &l->plan.port[i]);
		cfg.initiator = i == 0;
		ret = ep_dev_open(&cfg, &l->dev[i], err);
		if (ret == 0)
			ret = common_queues_check(l->config, l->dev[i], err);
		if (ret < 0)
			return ret;
	}
	return host_links_wait(l->dev, 2, err);
}

/* An address for an end: the kernel's where the kernel has the device, else one of the benchmarking range (RFC 2544 C.2.2). */
static int
loop_address(const struct ep_dev_info *info, int end, enum ep_wire_family family,
	struct ep_wire_ip *ip, struct ep_err *err)
{
	struct ep_netlink_link link;
	int ret;

	if (!info->kernel) {
		*ip = (struct ep_wire_ip){EP_WIRE_IPV4, {198, 18, 0, (uint8_t)(end + 1)}};
		return 0;
	}
	ret = ep_netlink_link(
		info->name + (strncmp(info->name, "af_packet:", 10) == 0 ? 10 : 0), &link, err);
	for (uint32_t i = 0; ret == 0 && i < link.addr_count; i++) {
		if (family == 0 || link.addr[i].ip.family == family) {
			*ip = link.addr[i].ip;
			return 0;
		}
	}
	return ret < 0 ? ret
		       : ep_err_set(err, -EINVAL,
				 "--dev %s: has no address of the other end's family", info->name);
}

/* The ends reach each other on the link itself: what lies between them forwards frames (layer 2). */
static int
loop_ends(struct loop *l, struct ep_err *err)
{
	struct ep_dev_info info[2];
	struct ep_wire_ip ip[2];
	int ret = 0;

	for (int i = 0; i < 2 && ret == 0; i++) {
		ep_dev_info(l->dev[i], &info[i]);
		ret = loop_address(&info[i], i, i == 0 ? 0 : ip[0].family, &ip[i], err);
	}
	for (int i = 0; i < 2 && ret == 0; i++) {
		memcpy(l->ends[i].src_mac, info[i].mac, 6);
		memcpy(l->ends[i].dst_mac, info[1 - i].mac, 6);
		l->ends[i].src = ip[i];
		l->ends[i].dst = ip[1 - i];
	}
	return ret;
}

static int
loop_arm(struct loop *l, struct ep_err *err)
{
	for (int i = 0; i < 2; i++) {
		const struct ep_dev_filter filter = {
			.initiator = i == 0,
			.range = l->config->range,
			.local = l->ends[i].src,
			.peer = l->ends[i].dst,
		};
		const int ret = ep_dev_arm(l->dev[i], &filter, err);

		if (ret < 0)
			return ret;
	}
	return 0;
}

/* The answers to what arrived at a queue arrive at the queue of the same number, where both NICs' keys can be set. */
static const struct ep_plan_rss *
loop_mirror(const struct loop *l, struct ep_plan_rss *mirror)
{
	const struct steering *up = &l->steering[1];

	if (!up->has_rss ||
		ep_plan_rss_mirror(&up->rss, &l->ends[0].src, &l->ends[1].src, mirror, NULL) < 0)
		return NULL;
	return mirror;
}

static int
loop_steer(struct loop *l, struct ep_err *err)
{
	const struct config *c = l->config;
	const enum ep_wire_family family = l->ends[0].src.family;
	struct ep_sched_cfg space = common_space(c);
	struct ep_plan_rss mirror;
	int ret = steering_set(
		&l->steering[1], l->dev[1], c->range, false, family, (uint16_t)c->vlan, NULL, err);

	if (ret == 0)
		ret = steering_set(&l->steering[0], l->dev[0], c->range, true, family,
			(uint16_t)c->vlan, loop_mirror(l, &mirror), err);
	if (ret == 0)
		ret = steering_sources(&l->steering[1], &l->steering[0], c->range, &l->ends[0].src,
			&l->ends[1].src, &space, err);
	return ret == 0 ? ep_sched_init(&l->space, &space, err) : ret;
}

static void
loop_sides(struct loop *l, struct ep_engine_cfg *cfg)
{
	for (uint32_t i = 0; i < 2; i++) {
		cfg->side[i] = (struct ep_engine_side_cfg){
			.role = i == 0 ? EP_ENGINE_INITIATOR : EP_ENGINE_RESPONDER,
			.ends = l->ends[i],
			.vlan_id = (uint16_t)l->config->vlan,
		};
		common_side(&l->plan.port[i], l->dev[i], &cfg->side[i]);
		if (l->neighbour[i].slow != NULL)
			ep_slowdev_rings(
				l->neighbour[i].slow, &cfg->side[i].slow_rx, &cfg->side[i].slow_tx);
	}
}

static int
loop_engine(struct loop *l, struct ep_err *err)
{
	const struct config *c = l->config;
	struct ep_engine_cfg cfg = common_engine_cfg(c, &l->plan, &l->clock);

	cfg.space = l->space;
	cfg.side_count = 2;
	cfg.range = c->range;
	cfg.known_addresses = c->dev_count == 0;
	cfg.path = c->has_impair ? &c->impair : NULL;
	cfg.wire = l->wire;
	cfg.seed = c->seed;
	loop_sides(l, &cfg);
	return ep_engine_create(&cfg, &l->engine, err);
}

static int
loop_rates(struct loop *l, struct ep_err *err)
{
	const struct config *c = l->config;
	struct ep_dev_info info;
	int ret;

	ep_dev_info(l->dev[0], &info);
	ret = common_rate(c, &c->rate, "--rate", info.speed_bps, &l->rate_pps, err);
	return ret == 0 ? common_sweep_rate(c, info.speed_bps, &l->sweep_rate_pps, err) : ret;
}

static int
loop_open(struct loop *l, struct ep_err *err)
{
	const struct config *c = l->config;
	int ret = c->dev_count == 0 ? loop_pair(l, err) : loop_devs(l, err);

	if (ret == 0 && c->addr_count > 0)
		ret = neighbour_open(c, l->dev, l->neighbour, l->ends, err);
	else if (ret == 0)
		ret = loop_ends(l, err);
	if (ret == 0)
		ret = common_sizes_check(c, l->ends[0].src.family, err);
	/* Before the engine, which takes half a minute to make room for a billion flows. */
	if (ret == 0)
		ret = loop_rates(l, err);
	if (ret == 0)
		ret = loop_steer(l, err);
	if (ret == 0 && c->dev_count > 0)
		ret = loop_arm(l, err);
	if (ret == 0)
		ret = loop_engine(l, err);
	return ret;
}

/* The model's own count, beside what was measured. Side 1 receives up. */
static void
loop_impair(struct loop *l, struct ep_result *r)
{
	static const enum ep_result_dir dir[2] = {EP_RESULT_DOWN, EP_RESULT_UP};

	for (uint32_t side = 0; side < 2; side++) {
		const struct ep_path_port *port = ep_engine_path_ports(l->engine, side);
		const enum ep_result_dir d = dir[side];

		for (uint32_t p = 0; port != NULL && r->impair != NULL && p < r->range->port_count;
			p++) {
			r->impair[p].seen[d] = port[p].seen;
			r->impair[p].lost[d] = port[p].dropped;
			r->impair[p].duplicates[d] = port[p].duplicated;
			r->impair[p].reordered[d] = port[p].reordered;
		}
	}
}

/* The server's ports are checked from the first device, so that the way there leads through the device under test. */
static int
loop_peer(const struct loop *l, struct ep_dev_spec *spec, struct peer *peer, struct ep_err *err)
{
	const char *name = l->config->peer, *first = l->config->dev[0];
	struct ep_netlink_route route;
	int ret = ep_dev_spec_parse(first, spec, err);

	if (ret == 0 && spec->ifname[0] == '\0')
		ret = ep_err_set(err, -EINVAL,
			"--peer %s: is checked by the kernel, and the first device (%s) is none of "
			"its interfaces",
			name, first);
	if (ret == 0)
		ret = peer_choose(l->config, name, "--peer", spec->ifname, peer, err);
	if (ret == 0 && ep_netlink_route(&peer->ip, 0, &route, NULL) == 0 && route.local)
		ret = ep_err_set(err, -EINVAL,
			"--peer %s: is this host itself, and its kernel does not send that over a "
			"device",
			name);
	return ret;
}

static void
loop_peer_facts(const struct peer *peer, struct ep_result *result)
{
	char text[EP_WIRE_IP_TEXT_BYTES];

	ep_wire_ip_format(text, sizeof(text), &peer->ip);
	ep_result_host_text(result, "peer_address", text);
	if (peer->note[0] != '\0')
		ep_result_warn(result, "%s; give one as --peer to check it", peer->note);
}

static int
loop_checker(struct loop *l, struct ep_result *result, struct ep_err *err)
{
	struct ep_dev_spec spec;
	struct peer peer;
	int ret;

	if (l->config->peer == NULL)
		return 0;
	ret = tcp_files(l->config, err);
	if (ret == 0)
		ret = loop_peer(l, &spec, &peer, err);
	if (ret < 0)
		return ret;
	loop_peer_facts(&peer, result);
	return tcp_checker(l->config, &peer.ip, spec.ifname, &l->session.check, err);
}

static int
loop_session(
	struct loop *l, struct ep_result *result, enum session_status *status, struct ep_err *err)
{
	struct session *s = &l->session;
	int ret;

	*s = (struct session){
		.config = l->config,
		.engine = l->engine,
		.result = result,
		.space = l->space,
		.dev = {l->dev[0], l->dev[1]},
		.steering = {&l->steering[0], &l->steering[1]},
		.ends = {l->ends[0], l->ends[1]},
		.neighbour = l->neighbour,
		.side_count = 2,
		.slack_ns = common_slack_ns(l->config, &l->plan),
		.clock = &l->clock,
		.rate_pps = l->rate_pps,
		.sweep_rate_pps = l->sweep_rate_pps,
	};
	ret = loop_checker(l, result, err);
	if (ret == 0)
		ret = session_init(s);
	if (ret == 0 && ep_xport_random(s->session_key, sizeof(s->session_key)) < 0)
		ret = ep_err_set(err, -EIO, "the system gave no random numbers");
	if (ret == 0)
		*status = session_run(s);
	session_fini(s);
	return ret;
}

/* Everything between an open loop and its judged result. */
static int
loop_result(
	struct loop *l, struct ep_result *result, enum session_status *status, struct ep_err *err)
{
	int ret = 0;

	host_facts(result, &l->plan, l->dev, 2);
	for (int i = 0; i < 2; i++)
		if (l->neighbour[i].slow != NULL &&
			ep_slowdev_warning(l->neighbour[i].slow)[0] != '\0')
			ep_result_warn(result, "%s", ep_slowdev_warning(l->neighbour[i].slow));
	for (uint32_t i = 0; i < 2; i++)
		steering_facts(&l->steering[i], i, result);
	if (l->config->has_impair)
		ret = ep_result_add_impair(result);
	if (ret == 0)
		ret = loop_session(l, result, status, err);
	if (ret < 0)
		return ret;
	if (*status == SESSION_FAILED)
		ep_result_reason(result, "the run did not reach its end: %s", l->session.err.text);
	loop_impair(l, result);
	ep_result_host_text(result, "tag", ep_engine_tag_name(l->engine));
	return 0;
}

/* Of a loop that could not begin. -ENOENT is the name of --peer, which nobody has. */
static int
loop_exit_code(int ret)
{
	if (ret == -ENOENT)
		return EXIT_PEER;
	return ret == -EINVAL ? EXIT_USAGE : EXIT_ENVIRONMENT;
}

static int
loop_measure(struct loop *l, struct ep_err *err)
{
	struct ep_result *result;
	enum session_status status = SESSION_OK;
	int ret = common_result(l->config, l->config->range, &result), code;

	if (ret < 0) {
		ep_err_set(err, ret, "no memory for the result");
		return common_fail(l->config, err, EXIT_ENVIRONMENT);
	}
	ret = loop_result(l, result, &status, err);
	if (ret == 0) {
		code = common_finish(l->config, result, &l->clock);
		if (status == SESSION_FAILED)
			code = common_fail(l->config, &l->session.err, EXIT_ENVIRONMENT);
	} else {
		code = common_fail(l->config, err, loop_exit_code(ret));
	}
	ep_result_destroy(result);
	return code;
}

/* Returns EXIT_PASS or an exit code. */
static int
loop_start(struct loop *l, struct ep_err *err)
{
	const struct config *c = l->config;
	int ret;

	ret = host_plan(c, &l->plan, err);
	if (ret < 0)
		return host_plan_exit_code(ret);
	ret = host_eal(c, &l->plan, common_memory_mib(c, &l->plan, common_frame_max(c)), err);
	l->eal_started = ret == 0;
	if (ret == 0)
		ep_engine_clock_calibrate(&l->clock);
	return ret == 0 ? EXIT_PASS : EXIT_ENVIRONMENT;
}

static void
loop_end(struct loop *l)
{
	ep_engine_destroy(l->engine);
	neighbour_close(&l->neighbour[0]);
	neighbour_close(&l->neighbour[1]);
	ep_dev_close(l->dev[0]);
	ep_dev_close(l->dev[1]);
	if (l->eal_started)
		ep_dev_eal_fini();
}

int
loop_only(struct config *config, struct ep_result **out, struct ep_err *err)
{
	struct loop l = {.config = config};
	struct ep_result *result = NULL;
	enum session_status status = SESSION_OK;
	int ret = loop_check(config, err);

	if (ret == 0 && config->dev_count == 0)
		ret = common_sizes_check(config, EP_WIRE_IPV4, err);
	if (ret == 0 && loop_start(&l, err) != EXIT_PASS)
		ret = err->code;
	if (ret == 0)
		ret = loop_open(&l, err);
	if (ret == 0 && common_result(config, config->range, &result) < 0)
		ret = ep_err_set(err, -ENOMEM, "no memory for the result");
	if (ret == 0)
		ret = loop_result(&l, result, &status, err);
	if (ret == 0 && status == SESSION_FAILED)
		ret = ep_err_set(err, -EIO, "%s", l.session.err.text);
	if (ret == 0 && status == SESSION_INTERRUPTED)
		ret = ep_err_set(err, -EINTR, "interrupted");
	loop_end(&l);
	if (ret == 0 && ep_result_judge(result) < 0)
		ret = ep_err_set(err, -ENOMEM, "no memory to judge the result");
	if (ret < 0)
		ep_result_destroy(result);
	else
		*out = result;
	return ret;
}

int
cmd_loop(struct config *config)
{
	struct loop l = {.config = config};
	struct ep_err err = {0};
	int code;

	if (loop_check(config, &err) < 0 ||
		(config->dev_count == 0 && common_sizes_check(config, EP_WIRE_IPV4, &err) < 0))
		return common_fail(config, &err, EXIT_USAGE);
	host_catch_signals();
	code = loop_start(&l, &err);
	if (code != EXIT_PASS)
		return common_fail(config, &err, code);
	if (loop_open(&l, &err) < 0)
		code = common_fail(config, &err,
			err.code == -EINVAL || err.code == -ERANGE ? EXIT_USAGE : EXIT_ENVIRONMENT);
	else
		code = loop_measure(&l, &err);
	loop_end(&l);
	return code;
}
