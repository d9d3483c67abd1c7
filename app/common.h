#pragma once

/** @file Pieces that more than one subcommand needs. */

#include "config.h"
#include "host.h"

#include <ep_dev.h>
#include <ep_engine.h>
#include <ep_result.h>
#include <ep_sched.h>

/** Source ports that the initiator sends from: above the well-known ones; 45,000 of them. */
#define COMMON_SOURCE_BASE 20000
#define COMMON_SOURCE_SPAN 45000

/** Print "everyport COMMAND: SENTENCE" on stderr and return @p code. */
int common_fail(const struct config *config, const struct ep_err *err, int code);

/** Print a line on stderr unless --quiet. */
void common_say(const struct config *config, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** The flow space that the options mean, with all source ports that it may have (see steering_sources()). */
struct ep_sched_cfg common_space(const struct config *config);

/** Whether a device has the queues that --queues asks for. @return 0 or -ERANGE with a sentence. */
int common_queues_check(const struct config *config, const struct ep_dev *dev, struct ep_err *err);

/** A rate as packets a second for the sizes of the run; 0 for max. @return 0, or -EINVAL with a sentence (unknown link speed, under 1 pps). */
int common_rate(const struct config *config, const struct ep_rate *rate, const char *option,
	uint64_t speed_bps, double *pps, struct ep_err *err);

/** The rate of the sweep, as common_rate(); -EINVAL also for max, and where the sweep would take more than a trial may. */
int common_sweep_rate(
	const struct config *config, uint64_t speed_bps, double *pps, struct ep_err *err);

/** Largest frame of the run [B]. */
uint16_t common_frame_max(const struct config *config);

/** What the tag of --vlan takes of each frame [B]; 0 without. */
uint16_t common_tag_bytes(const struct config *config);

/** Whether --vlan fits the devices: on a kernel interface tags are the kernel's. @return 0 or -errno with a sentence. */
int common_vlan_check(const struct config *config, struct ep_err *err);

/** Check that the sizes fit the family (the smallest frame) with a sentence. @return 0 or -ERANGE. */
int common_sizes_check(const struct config *config, enum ep_wire_family family, struct ep_err *err);

/** Configuration of a device that the options and the plan mean: with the queues, and on the node, of a device of the plan. */
struct ep_dev_cfg common_dev_cfg(
	const struct config *config, const struct ep_dev_spec *spec, const struct host_port *port);

/** Refuse what only AF_XDP has with devices that are none. @return 0 or -EINVAL with a sentence. */
int common_xdp_check(const struct config *config, struct ep_err *err);

/** Memory for the packet buffers of the command's devices, each for a frame of @p frame_bytes_max [MiB]. */
uint32_t common_memory_mib(
	const struct config *config, const struct host_plan *plan, uint16_t frame_bytes_max);

/** A result over UDP ports, with its identity filled in. @return 0 or -ENOMEM. */
int common_result(
	const struct config *config, const struct ep_range *range, struct ep_result **out);

/** What run and serve both need: one device, a key file, a port for the control connection. @return 0 or -EINVAL with a sentence. */
int common_ends_check(const struct config *config, struct ep_err *err);

/** Which workers serve a device, with which lanes: of a kernel interface one a worker, else one a queue, so that all its transmit queues
 *  are used. */
void common_side(const struct host_port *port, struct ep_dev *dev, struct ep_engine_side_cfg *side);

/** An engine with one side and the options as used; the caller adds range, flow space, role, device with its workers (common_side()) and ends. */
struct ep_engine_cfg common_engine_cfg(const struct config *config, const struct host_plan *plan,
	const struct ep_engine_clock *clock);

/** Slack before a slot counts as not sent: floating workers share their CPU and are held up longer. */
uint64_t common_slack_ns(const struct config *config, const struct host_plan *plan);

/** Judge, check the clock, write the outputs. @return the exit code. */
int common_finish(
	const struct config *config, struct ep_result *result, struct ep_engine_clock *clock);
