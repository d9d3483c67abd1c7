#pragma once

/**
 * @file
 * The plan for the devices of --dev: what the doctor prints is what a run does, because both come from here. Reads the kernel's
 * view of the devices and the topology; opens and changes nothing.
 */

#include "config.h"

#include <ep_plan.h>
#include <ep_result.h>
#include <ep_topo.h>

/** Most queues of the in-memory pair (DPDK's net_ring). */
#define DEVPLAN_MEMORY_QUEUES 16

/** A plan and what it is made from. 220 KiB: keep it on the heap. */
struct devplan {
	struct ep_plan_topo topo;
	struct ep_plan_cfg cfg;
	struct ep_plan plan;
};

/**
 * Describe the devices of --dev to the planner; without --dev and with @p pair, the two ends of the in-memory pair.
 *
 * A kernel interface has the queues, the speed and the node that the kernel says. AF_XDP has to serve all of its queues, so that
 * --queues can only name their number; AF_PACKET takes one unless --queues asks for more. Of a virtual device it is only
 * known how many its driver can have; what it has is seen when it is open.
 *
 * @param[out] out
 *   `cfg` filled but for `topo`.
 * @return
 *   0, -EINVAL (no device, or a --dev of no shape), -ERANGE (--queues that cannot be), -ENODEV (no such interface) or -errno of
 *   netlink, with a sentence.
 */
int devplan_nics(const struct config *config, bool pair, struct devplan *out, struct ep_err *err);

/**
 * Read the topology and plan.
 *
 * @param machine
 *   Where the topology is read; {.root = ""} is this host.
 * @param[in,out] out
 *   `cfg` from devplan_nics(); `topo` and `plan` are filled on success.
 * @return
 *   0, or -errno of ep_topo_read() or ep_plan_make(), with a sentence.
 */
int devplan_make(const struct ep_topo_cfg *machine, struct devplan *out, struct ep_err *err);

/**
 * Put what a plan costs into a result: what warns into warnings[], the rest into host{} as plan_note, plan_note_2, ... Whether
 * there are huge pages is not said here, but by the doctor.
 */
void devplan_facts(const struct ep_plan_note *note, uint32_t note_count, struct ep_result *result);
