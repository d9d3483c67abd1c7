#pragma once

/**
 * @file
 * Packets that are there already: a port's receive function is replaced by one that hands out frames prepared in memory, so
 * that receiving is measured without a driver.
 *
 * A pass writes the next probes of the schedule into buffers of the device's pool (not timed), hands them out in bursts, and
 * takes the time from the first of them until it is asked for more. All of that happens in the calls of the worker that
 * receives; the main thread asks for passes and reads their times.
 */

#include "rig.h"

/** Opaque. */
struct feed;

/**
 * Take over the responder's receive function. The engine must not run.
 * @param chunk_pkts
 *   Probes a pass; a multiple of 32 or all flows.
 * @return 0, or -ENOMEM or -errno of the tagger, with a sentence.
 */
int feed_open(const struct bench *b, const struct rig *r, uint32_t chunk_pkts, struct feed **out,
	struct ep_err *err);

/** Give the receive function back. The engine must not run. Accepts NULL. */
void feed_close(struct feed *f);

/**
 * Let the worker do some passes and wait for them.
 * @param[out] cycles
 *   [count] cycles a packet of each; NULL where they do not matter.
 * @return 0 or -ETIMEDOUT, or -ENOMEM (buffers do not come back), with a sentence.
 */
int feed_pass(struct feed *f, uint32_t count, double *cycles, struct ep_err *err);

/** Probes handed out so far [packets]. */
uint64_t feed_count(const struct feed *f);
