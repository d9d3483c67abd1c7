#pragma once

/**
 * @file
 * How packets get to a device's receive queues, and which source ports give each queue its share (design section 6): the ladder
 * of lib/plan on an open device, for devices that are DPDK's own; for the others, a word about who decides it.
 */

#include <ep_dev.h>
#include <ep_plan.h>
#include <ep_range.h>
#include <ep_result.h>
#include <ep_sched.h>

/** What was chosen for a device. 9 KiB. */
struct steering {
	char step
		[96]; /**< Name of the way: ep_plan_step_name(), "kernel filter", "joined queues", or as the device says. */
	char reason[EP_PLAN_TEXT_BYTES]; /**< Why this way. */
	uint32_t rule_count;             /**< Flow rules in place. */
	bool isolated;                   /**< Nothing but what rules take arrives. */
	bool has_rss;                    /**< `rss` says at which queue a packet arrives. */
	struct ep_plan_rss rss;
	double expected_ratio; /**< Fullest queue's share / mean share, by computation; 0: not known. */
};

/**
 * Get the range to the queues of an open device. Nobody may send or receive on it meanwhile. A device with one queue that
 * is no NIC is left as it is: there is nothing to choose.
 *
 * @param initiator
 *   The range is in the source port of what arrives; false: in the destination port.
 * @param vlan_id
 *   Tag of what arrives; 0: none.
 * @param rss
 *   Key and table that are wanted where RSS is used; NULL, or of another size than the device's: our own.
 * @param[out] s
 *   Filled on success only.
 * @return
 *   0, -ENOMEM, or -errno of ep_dev_steer() (the port does not start again), with a sentence.
 */
int steering_set(struct steering *s, struct ep_dev *dev, const struct ep_range *range,
	bool initiator, enum ep_wire_family family, uint16_t vlan_id, const struct ep_plan_rss *rss,
	struct ep_err *err);

/**
 * Choose the source ports of a flow space: where a NIC spreads by RSS, those that give every queue its share; else all that are
 * allowed. Notes what each NIC is then to see in `expected_ratio`.
 *
 * @param up
 *   Of the device that the probes arrive at; NULL: not ours to know.
 * @param down
 *   Of the device that the answers arrive at; NULL: not ours to know.
 * @param[in,out] cfg
 *   port_count, source_count and address_count are given; source_base and source_span are those allowed, and become those chosen.
 * @return
 *   0, -EINVAL or -ENOMEM, with a sentence.
 */
int steering_sources(struct steering *up, struct steering *down, const struct ep_range *range,
	const struct ep_wire_ip *initiator, const struct ep_wire_ip *responder,
	struct ep_sched_cfg *cfg, struct ep_err *err);

/** Put it into host{}, as steering, steering_reason, ...; those of the second device end in _2. */
void steering_facts(const struct steering *s, uint32_t device, struct ep_result *result);
