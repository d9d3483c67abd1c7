#include "common.h"

#include "ceiling.h"
#include "output.h"

#include <ep_netlink.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SLACK_FLOATING_NS (100 * EP_NS_PER_MS)
#define SLACK_PINNED_NS (10 * EP_NS_PER_MS)
/* Nothing lies between the ends of the in-memory pair that catching up could disturb. */
#define SLACK_MEMORY_NS EP_NS_PER_S

int
common_fail(const struct config *config, const struct ep_err *err, int code)
{
	fprintf(stderr, "everyport %s: %s\n", config->command, err->text);
	return code;
}

void
common_say(const struct config *config, const char *fmt, ...)
{
	va_list ap;

	if (config->quiet)
		return;
	va_start(ap, fmt);
	fprintf(stderr, "everyport %s: ", config->command);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	fflush(stderr);
}

int
common_space(const struct config *config, struct ep_sched *space, struct ep_err *err)
{
	const struct ep_sched_cfg cfg = {
		.port_count = config->range->port_count,
		.source_count = (uint32_t)config->sources,
		.address_count = 1,
		.source_base = COMMON_SOURCE_BASE,
		.source_span = COMMON_SOURCE_SPAN,
		.seed = config->seed,
	};

	return ep_sched_init(space, &cfg, err);
}

int
common_rate(const struct config *config, const struct ep_rate *rate, const char *option,
	uint64_t speed_bps, double *pps, struct ep_err *err)
{
	*pps = 0;
	if (rate->kind == EP_RATE_MAX)
		return 0;
	if (rate->kind == EP_RATE_RATIO && speed_bps == 0)
		return ep_err_set(err, -EINVAL,
			"%s: a share of the link needs a device that tells its speed, give packets "
			"or bits a second",
			option);
	*pps = ep_rate_pps(rate, ep_sizes_mean(&config->sizes), (double)speed_bps);
	if (*pps < 1)
		return ep_err_set(err, -EINVAL,
			"%s: is %.3g packets a second, at least 1 is needed", option, *pps);
	return 0;
}

int
common_sweep_rate(const struct config *config, uint64_t speed_bps, double *pps, struct ep_err *err)
{
	const double probes = (double)config->range->port_count * (double)config->sources *
		(double)config->sweeps;
	const int ret =
		common_rate(config, &config->sweep_rate, "--sweep-rate", speed_bps, pps, err);

	if (ret < 0)
		return ret;
	if (*pps == 0)
		return ep_err_set(
			err, -EINVAL, "--sweep-rate max: a sweep is slow on purpose, give a rate");
	if (probes / *pps > (double)(EP_CTRL_DURATION_MAX_NS / EP_NS_PER_S))
		return ep_err_set(err, -EINVAL,
			"--sweep-rate: %.3g probes at %.3g packets a second take more than the 366 "
			"days allowed",
			probes, *pps);
	return 0;
}

uint16_t
common_frame_max(const struct config *config)
{
	uint16_t max = 0;

	for (uint32_t i = 0; i < config->sizes.count; i++)
		if (config->sizes.frame_bytes[i] > max)
			max = config->sizes.frame_bytes[i];
	return max;
}

int
common_sizes_check(const struct config *config, enum ep_wire_family family, struct ep_err *err)
{
	const uint16_t min =
		family == EP_WIRE_IPV6 ? EP_WIRE_MIN_FRAME_IPV6 : EP_WIRE_MIN_FRAME_IPV4;

	for (uint32_t i = 0; i < config->sizes.count; i++)
		if (config->sizes.frame_bytes[i] < min)
			return ep_err_set(err, -ERANGE,
				"--size %u: a probe over IPv%d needs a frame of at least %u B",
				config->sizes.frame_bytes[i], (int)family, min);
	return 0;
}

struct ep_dev_cfg
common_dev_cfg(const struct config *config, const struct ep_dev_spec *spec, uint16_t queue_pairs)
{
	return (struct ep_dev_cfg){
		.spec = *spec,
		.queue_pairs = queue_pairs,
		.ring_descs = (uint16_t)config->ring_descs,
		.mtu_frame_bytes = common_frame_max(config),
		.offload_checksum = config->offload_checksum,
		.range_queues = (uint16_t)config->queues,
		.range = config->range,
		.busy_poll_pkts = (uint16_t)config->busy_poll_pkts,
	};
}

int
common_xdp_check(const struct config *config, struct ep_err *err)
{
	const char *option = config->queues > 0 ? "--queues" : "--busy-poll";

	if (config->queues == 0 && config->busy_poll_pkts == 0)
		return 0;
	if (config->dev_count == 0)
		return ep_err_set(err, -EINVAL,
			"%s: is for a kernel interface by AF_XDP, such as --dev eth1", option);
	for (uint32_t i = 0; i < config->dev_count; i++) {
		struct ep_dev_spec spec;
		const int ret = ep_dev_spec_parse(config->dev[i], &spec, err);

		if (ret < 0)
			return ret;
		if (spec.kind != EP_DEV_AF_XDP)
			return ep_err_set(err, -EINVAL,
				"%s: is for a kernel interface by AF_XDP, and --dev %s is none",
				option, config->dev[i]);
	}
	return 0;
}

/* Queue pairs of all devices together: an interface of the kernel is opened with all the queues it has. */
static uint32_t
queue_pairs_count(const struct config *config, const struct host_plan *plan)
{
	uint32_t count = plan->worker_count + 2;

	for (uint32_t i = 0; i < config->dev_count; i++) {
		struct ep_netlink_link link;
		struct ep_dev_spec spec;

		if (ep_dev_spec_parse(config->dev[i], &spec, NULL) == 0 && spec.ifname[0] != '\0' &&
			ep_netlink_link(spec.ifname, &link, NULL) == 0)
			count +=
				config->queues > 0 ? (uint32_t)config->queues : link.rx_queue_count;
	}
	return count;
}

uint32_t
common_memory_mib(
	const struct config *config, const struct host_plan *plan, uint16_t frame_bytes_max)
{
	/* Room for a frame is a power of two at most, and each buffer has up to 384 B around it. */
	uint64_t buf_bytes = 2048;
	uint64_t pair_bytes;

	while (buf_bytes < frame_bytes_max + UINT64_C(256))
		buf_bytes *= 2;
	/* A queue pair has four rings' worth of buffers and some thousands, the most with AF_XDP (ep_dev.h). */
	pair_bytes = (config->ring_descs * 4 + 5120) * (buf_bytes + 384) + (UINT64_C(2) << 20);
	return 64 + (uint32_t)(queue_pairs_count(config, plan) * pair_bytes >> 20);
}

int
common_result(const struct config *config, const struct ep_range *range, struct ep_result **out)
{
	struct ep_result *r;

	if (ep_result_create(range, &r) < 0)
		return -ENOMEM;
	snprintf(r->tool_version, sizeof(r->tool_version), "%s", EVERYPORT_VERSION);
	snprintf(r->dpdk_version, sizeof(r->dpdk_version), "%s", ep_dev_dpdk_version());
	snprintf(r->command, sizeof(r->command), "%s", config->command);
	host_utc(r->started, sizeof(r->started));
	r->max_loss_ratio = config->max_loss_ratio;
	output_config(r, config);
	for (uint32_t i = 0; i < config->note_count; i++)
		ep_result_warn(r, "%s: %s", config->livekit_path, config->note[i]);
	*out = r;
	return 0;
}

int
common_ends_check(const struct config *config, struct ep_err *err)
{
	if (config->dev_count != 1)
		return ep_err_set(err, -EINVAL,
			"--dev is needed once: the interface that leads to the other side, such as "
			"eth0");
	if (config->key_file == NULL)
		return ep_err_set(err, -EINVAL,
			"--key-file is missing: make one with everyport keygen and give it to both "
			"hosts");
	if (config->tcp_count == 0 && config->control_port == 0)
		return ep_err_set(err, -EINVAL,
			"--tcp none: then --control-port must name the port of the control "
			"connection");
	return common_xdp_check(config, err);
}

int
common_kernel_spec(const struct config *config, struct ep_dev_spec *spec, struct ep_err *err)
{
	const int ret = ep_dev_spec_parse(config->dev[0], spec, err);

	if (ret == 0 && spec->kind == EP_DEV_VDEV)
		return ep_err_set(err, -ENOTSUP,
			"--dev %s: run and serve need a kernel interface in this version (eth1 or "
			"af_packet:eth1)",
			config->dev[0]);
	return ret;
}

struct ep_engine_cfg
common_engine_cfg(const struct config *config, const struct host_plan *plan,
	const struct ep_engine_clock *clock)
{
	return (struct ep_engine_cfg){
		.side_count = 1,
		.worker_count = plan->worker_count,
		.clock = *clock,
		.checksum = config->offload_checksum ? EP_WIRE_CHECKSUM_OFFLOAD
						     : EP_WIRE_CHECKSUM_SOFTWARE,
		.floating = plan->floating,
		.verify_filler = config->verify_filler,
		.side[0] = {.worker_count = plan->worker_count},
	};
}

uint64_t
common_slack_ns(const struct config *config, const struct host_plan *plan)
{
	if (config->dev_count == 0)
		return SLACK_MEMORY_NS;
	return plan->floating ? SLACK_FLOATING_NS : SLACK_PINNED_NS;
}

int
common_finish(const struct config *config, struct ep_result *result, struct ep_engine_clock *clock)
{
	struct ep_err err = {0};

	ep_engine_clock_finish(clock);
	host_clock(result, clock);
	if (ep_result_judge(result) < 0) {
		ep_err_set(&err, -ENOMEM, "no memory to judge the result");
		return common_fail(config, &err, EXIT_ENVIRONMENT);
	}
	ceiling_show(config, result);
	if (output_write(config, result, &err) < 0)
		return common_fail(config, &err, EXIT_ENVIRONMENT);
	return ep_result_exit_code(result->verdict);
}
