#pragma once

/**
 * @file
 * everyport and the bare program in turn on the same core, the same device, within the same milliseconds, so that neither has the
 * quieter machine: everyport's worker runs, and its receive function runs the bare program in between.
 *
 * Only rounds in which there was something to do count: to wait costs neither.
 */

#include "rig.h"
#include "xdp_feed.h"

/** Opaque. */
struct turns;

/** Cycles a packet, everyport's and the bare program's, of two stretches that followed each other. */
struct turns_pair {
	double everyport;
	double bare;
};

/**
 * Take over the receive function of the rig's device. The engine must not run.
 * @param feed Both send back what it feeds; NULL: both send.
 * @return 0 or -ENOMEM with a sentence.
 */
int turns_open(struct rig *r, struct xdp_feed *feed, struct turns **out, struct ep_err *err);

/** Give it back. The engine must not run. Accepts NULL. */
void turns_close(struct turns *t);

/** Stretches so far. */
uint32_t turns_count(const struct turns *t);

/** They; borrowed. The engine must not run. */
struct turns_pair *turns_pairs(struct turns *t);

/** Probes that everyport was given [packets]. The engine must not run. */
uint64_t turns_given(const struct turns *t);
