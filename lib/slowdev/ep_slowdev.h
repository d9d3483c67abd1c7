#pragma once

/**
 * @file
 * The host stack of ep_slow on a DPDK device that no kernel owns. Main thread only.
 *
 *   workers run:    NIC -> worker -> rx ring -> ep_slowdev_run() -> tx ring -> worker -> NIC
 *   they do not:    NIC -> ep_slowdev_run_alone() -> NIC
 *
 * The rings go to ep_engine (slow_rx, slow_tx); a full one drops. Probes that come while no worker runs are thrown away.
 */

#include <ep_dev.h>
#include <ep_slow.h>

struct rte_ring;

/** A stack on a device. Opaque. */
struct ep_slowdev;

/**
 * Make a stack on an open device, which is told to receive the multicast of IPv6's neighbour discovery where an address is of that
 * family (RFC 4861 section 7.2.1; see ep_slowdev_warning()).
 *
 * @param dev
 *   Borrowed until ep_slowdev_destroy().
 * @param cfg
 *   Its mac is filled in here: the device's; for net_tap, whose MAC is that of the kernel's end, one beside it.
 * @param[out] out
 *   Set on success only.
 * @return
 *   0, -ENOMEM or -EINVAL (see ep_slow_stack_create()), with a sentence.
 */
int ep_slowdev_create(struct ep_dev *dev, struct ep_slow_cfg *cfg, uint64_t now_ns,
	struct ep_slowdev **out, struct ep_err *err);

/** While no worker uses the rings. Accepts NULL. */
void ep_slowdev_destroy(struct ep_slowdev *s);

/** The stack, for its addresses and neighbours. Borrowed. */
struct ep_slow_stack *ep_slowdev_stack(struct ep_slowdev *s);

/** What this device's driver cannot do for the stack, as a sentence; "": nothing. Borrowed until ep_slowdev_destroy(). */
const char *ep_slowdev_warning(const struct ep_slowdev *s);

/** Rings for the engine. Borrowed until ep_slowdev_destroy(). */
void ep_slowdev_rings(struct ep_slowdev *s, struct rte_ring **slow_rx, struct rte_ring **slow_tx);

/** Count ICMP errors about our probes from now on. Both borrowed; NULL: do not. */
void ep_slowdev_errors(
	struct ep_slowdev *s, const struct ep_slow_match *match, struct ep_slow_icmp *account);

/** Move on while workers run: every 10 ms or so. */
void ep_slowdev_run(struct ep_slowdev *s, uint64_t now_ns);

/** Move on while no worker runs. */
void ep_slowdev_run_alone(struct ep_slowdev *s, uint64_t now_ns);
