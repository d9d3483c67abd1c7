#include "cmd.h"
#include "common.h"
#include "responder.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* AF_XDP keeps a frame and all around it in one page of memory. */
#define XDP_FRAME_MAX 3072
/* What a device that no kernel has is set up for. */
#define ETHERNET_MTU_BYTES 1500

static uint32_t
listen_count(const struct config *c)
{
	uint32_t count = c->tcp_count + (c->control_port != 0);

	for (uint32_t i = 0; i < c->tcp_count; i++)
		if (c->tcp[i] == c->control_port)
			count--;
	return count;
}

static int
serve_check(const struct config *c, struct ep_err *err)
{
	if (common_ends_check(c, err) < 0)
		return err->code;
	if (c->ufrag != NULL && c->pwd == NULL)
		return ep_err_set(err, -EINVAL,
			"--ufrag %s: needs --pwd, the password of this user", c->ufrag);
	if (listen_count(c) > EP_CTRL_LISTEN_MAX)
		return ep_err_set(err, -ERANGE,
			"--tcp and --control-port name %u ports, at most %u can be listened on",
			listen_count(c), EP_CTRL_LISTEN_MAX);
	return 0;
}

/* The largest frame that may be asked for: any that the interface carries, and that AF_XDP has room for. */
static uint16_t
serve_frame_max(const struct ep_dev_spec *spec, uint32_t mtu_bytes)
{
	const uint16_t bytes = responder_frame_max(mtu_bytes);

	return spec->kind == EP_DEV_AF_XDP && bytes > XDP_FRAME_MAX ? XDP_FRAME_MAX : bytes;
}

/* What --dev means, and the frames that it carries. */
static int
serve_spec(struct responder *r, struct ep_dev_spec *spec, struct ep_err *err)
{
	const struct config *c = r->config;
	struct ep_netlink_link link;
	int ret = ep_dev_spec_parse(c->dev[0], spec, err);

	if (ret < 0)
		return ret;
	if (!way_kernel_has(spec)) {
		r->frame_bytes_max = responder_frame_max(ETHERNET_MTU_BYTES) + common_tag_bytes(c);
		return 0;
	}
	ret = ep_netlink_link(spec->ifname, &link, err);
	if (ret == 0)
		r->frame_bytes_max = serve_frame_max(spec, link.mtu_bytes);
	return ret;
}

static int
serve_device(struct responder *r, const struct ep_dev_spec *spec, struct ep_err *err)
{
	const struct config *c = r->config;
	struct ep_dev_cfg cfg = common_dev_cfg(c, spec, &r->plan.port[0]);
	int ret;

	way_dev_cfg(c, &cfg);
	cfg.mtu_frame_bytes = r->frame_bytes_max;
	ret = ep_dev_open(&cfg, &r->dev, err);
	if (ret == 0)
		ret = common_queues_check(c, r->dev, err);
	if (ret < 0)
		return ret;
	ep_dev_info(r->dev, &r->info);
	ret = common_rate(c, &c->rate, "--rate", r->info.speed_bps, &r->limit_pps, err);
	return ret < 0 ? ret : way_open(&r->way, c, r->dev, err);
}

/* There is no result to put them into. */
static void
serve_notes(const struct config *c)
{
	for (uint32_t i = 0; i < c->note_count; i++)
		common_say(c, "%s: %s", c->livekit_path, c->note[i]);
}

/* Returns 0 or an exit code. */
static int
serve_prepare(struct responder *r, struct ep_err *err)
{
	const struct config *c = r->config;
	struct ep_dev_spec spec;

	if (serve_check(c, err) < 0)
		return EXIT_USAGE;
	serve_notes(c);
	if (ep_xport_key_read(c->key_file, r->key, err) < 0)
		return EXIT_USAGE;
	if (serve_spec(r, &spec, err) < 0)
		return EXIT_ENVIRONMENT;
	if (host_plan(c, &r->plan, err) < 0)
		return host_plan_exit_code(err->code);
	if (host_eal(c, &r->plan, common_memory_mib(c, &r->plan, r->frame_bytes_max), err) < 0)
		return EXIT_ENVIRONMENT;
	r->eal_started = true;
	ep_engine_clock_calibrate(&r->clock);
	if (serve_device(r, &spec, err) < 0)
		return EXIT_ENVIRONMENT;
	if (ep_xport_create(r->key, &r->xport, err) < 0)
		return EXIT_ENVIRONMENT;
	return responder_listen(r, err) < 0 ? EXIT_ENVIRONMENT : 0;
}

int
cmd_serve(struct config *config)
{
	struct responder r = {.config = config};
	struct ep_err err = {0};
	int code;

	host_catch_signals();
	code = serve_prepare(&r, &err);
	if (code != 0)
		common_fail(config, &err, code);
	else
		code = responder_serve(&r);
	responder_close(&r);
	way_say(&r.way);
	way_close(&r.way);
	ep_dev_close(r.dev);
	if (r.eal_started)
		ep_dev_eal_fini();
	explicit_bzero(r.key, sizeof(r.key));
	return code;
}
