#pragma once

/** @file Devices of loop that no kernel owns: their addresses, and the way to the other end. */

#include "config.h"
#include "icmp.h"

#include <ep_engine.h>
#include <ep_slowdev.h>

/** One device's. Zero-initialised: none. */
struct neighbour_side {
	struct ep_slowdev *slow;
	struct ep_wire_ip peer;
	uint8_t mac[6]; /**< Of the way to the peer, as the engine knows it. */
};

/** Whether --addr and --gateway fit each other and the devices. @return 0 or -EINVAL with a sentence. */
int neighbour_check(const struct config *c, struct ep_err *err);

/**
 * Give the devices their addresses and find the way between them: waits until nobody else was found to have an address, and until both
 * next hops have answered.
 *
 * @param[out] ends
 *   [2] Filled on success.
 * @return
 *   0, -EADDRINUSE (another host has an address), -EHOSTUNREACH (a next hop does not answer), -EINTR or -errno, with a sentence.
 */
int neighbour_open(const struct config *c, struct ep_dev *const dev[2],
	struct neighbour_side side[2], struct ep_wire_ends ends[2], struct ep_err *err);

/** While workers run: answer, keep the way looked after, and follow it. Accepts one without addresses. */
void neighbour_tick(struct neighbour_side *side, struct ep_engine *engine, uint32_t index);

/** While no workers run. Accepts one without addresses. */
void neighbour_close(struct neighbour_side *side);
