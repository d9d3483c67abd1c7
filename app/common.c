#include "common.h"

#include "ceiling.h"
#include "output.h"
#include "way.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define VLAN_TAG_BYTES 4

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

struct ep_sched_cfg
common_space(const struct config *config)
{
	return (struct ep_sched_cfg){
		.port_count = config->range->port_count,
		.source_count = (uint32_t)config->sources,
		.address_count = 1,
		.source_base = COMMON_SOURCE_BASE,
		.source_span = COMMON_SOURCE_SPAN,
		.seed = config->seed,
	};
}

int
common_queues_check(const struct config *config, const struct ep_dev *dev, struct ep_err *err)
{
	struct ep_dev_info info;

	ep_dev_info(dev, &info);
	if (config->queues == 0 || info.queue_pairs == config->queues)
		return 0;
	return ep_err_set(err, -ERANGE,
		"--queues %u: %s has %u; where a driver is told their number, it is in --dev "
		"(net_virtio_user0,queues=%u,...)",
		(uint32_t)config->queues, info.name, info.queue_pairs, (uint32_t)config->queues);
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

uint16_t
common_tag_bytes(const struct config *config)
{
	return config->vlan == 0 ? 0 : VLAN_TAG_BYTES;
}

/* On an interface of the kernel tags are the kernel's business. */
int
common_vlan_check(const struct config *config, struct ep_err *err)
{
	const uint32_t vlan = (uint32_t)config->vlan;

	for (uint32_t i = 0; i < config->dev_count && vlan != 0; i++) {
		struct ep_dev_spec spec;
		const int ret = ep_dev_spec_parse(config->dev[i], &spec, err);

		if (ret < 0)
			return ret;
		if (ep_dev_spec_is_kernel(&spec))
			return ep_err_set(err, -EINVAL,
				"--vlan %u: is for PCI and net_... devices; for %s let the kernel "
				"make an interface of the VLAN (ip link add link ... type vlan id "
				"%u) and name that",
				vlan, config->dev[i], vlan);
	}
	return 0;
}

int
common_sizes_check(const struct config *config, enum ep_wire_family family, struct ep_err *err)
{
	const uint16_t untagged =
		family == EP_WIRE_IPV6 ? EP_WIRE_MIN_FRAME_IPV6 : EP_WIRE_MIN_FRAME_IPV4;
	const uint16_t min = (uint16_t)(untagged + common_tag_bytes(config));

	for (uint32_t i = 0; i < config->sizes.count; i++)
		if (config->sizes.frame_bytes[i] < min)
			return ep_err_set(err, -ERANGE,
				"--size %u: a probe over IPv%d%s needs a frame of at least %u B",
				config->sizes.frame_bytes[i], (int)family,
				config->vlan == 0 ? "" : " with a VLAN tag", min);
	return 0;
}

struct ep_dev_cfg
common_dev_cfg(
	const struct config *config, const struct ep_dev_spec *spec, const struct host_port *port)
{
	return (struct ep_dev_cfg){
		.spec = *spec,
		/* AF_XDP takes all that there are. */
		.queue_pairs = spec->kind == EP_DEV_AF_XDP ? 0 : port->queue_count,
		.has_node = port->node != EP_PLAN_NODE_ANY,
		.node = port->node,
		.ring_descs = (uint16_t)config->ring_descs,
		.mtu_frame_bytes = common_frame_max(config),
		.tag_bytes = common_tag_bytes(config),
		.offload_checksum = config->offload_checksum,
		.range_queues = spec->kind == EP_DEV_AF_XDP ? (uint16_t)config->queues : 0,
		.range = config->range,
		.busy_poll_pkts = (uint16_t)config->busy_poll_pkts,
	};
}

int
common_xdp_check(const struct config *config, struct ep_err *err)
{
	if (config->busy_poll_pkts == 0)
		return 0;
	if (config->dev_count == 0)
		return ep_err_set(err, -EINVAL,
			"--busy-poll: is for a kernel interface by AF_XDP, such as --dev eth1");
	for (uint32_t i = 0; i < config->dev_count; i++) {
		struct ep_dev_spec spec;
		const int ret = ep_dev_spec_parse(config->dev[i], &spec, err);

		if (ret < 0)
			return ret;
		if (spec.kind != EP_DEV_AF_XDP)
			return ep_err_set(err, -EINVAL,
				"--busy-poll: is for a kernel interface by AF_XDP, and --dev %s is "
				"none",
				config->dev[i]);
	}
	return 0;
}

/* Queue pairs of all devices together, at least one a worker, and two to spare. */
static uint32_t
queue_pairs_count(const struct config *config, const struct host_plan *plan)
{
	uint32_t count = plan->worker_count + 2;

	for (uint32_t i = 0; i < config->dev_count || i < 2; i++) {
		const struct host_port *port = &plan->port[i];

		/* An interface of the kernel is opened with all the queues it has, each with a pool for AF_XDP. */
		if (config->dev_count > 0 && config->dev[i] != NULL &&
			strncmp(config->dev[i], "net_", 4) != 0)
			count += port->queue_count;
		else if (port->queue_count > port->worker_count)
			count += port->queue_count - port->worker_count;
	}
	return count;
}

/* Whether an exception path may be wanted: loop has none; the doctor's huge pages are for whichever command comes after it. */
static bool
may_have_exception(const struct config *config)
{
	struct ep_dev_spec spec;

	if (strcmp(config->command, "loop") == 0)
		return false;
	for (uint32_t i = 0; i < config->dev_count; i++)
		if (ep_dev_spec_parse(config->dev[i], &spec, NULL) == 0 &&
			!ep_dev_spec_is_kernel(&spec))
			return true;
	return false;
}

uint32_t
common_memory_mib(
	const struct config *config, const struct host_plan *plan, uint16_t frame_bytes_max)
{
	/* Room for a frame is a power of two at most, and each buffer has up to 384 B around it. */
	uint64_t buf_bytes = 2048;
	uint64_t pair_bytes, side_bytes = 0;

	while (buf_bytes < frame_bytes_max + UINT64_C(256))
		buf_bytes *= 2;
	/* A queue pair has four rings' worth of buffers and some thousands, the most with AF_XDP (ep_dev.h). */
	pair_bytes = (config->ring_descs * 4 + 5120) * (buf_bytes + 384) + (UINT64_C(2) << 20);
	/* Beside the queues: the side pool of an exception path, and its rings. */
	if (may_have_exception(config))
		side_bytes = (EP_EXC_SIDE_MBUFS + UINT64_C(256)) * (buf_bytes + 384);
	return 64 + (uint32_t)((queue_pairs_count(config, plan) * pair_bytes + side_bytes) >> 20);
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
	if (common_vlan_check(config, err) < 0 || way_check(config, err) < 0)
		return err->code;
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

void
common_side(const struct host_port *port, struct ep_dev *dev, struct ep_engine_side_cfg *side)
{
	struct ep_dev_info info;

	ep_dev_info(dev, &info);
	side->dev = dev;
	side->first_worker = port->first_worker;
	side->worker_count = port->worker_count;
	side->lane_count = info.kernel ? 0 : info.queue_pairs;
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
