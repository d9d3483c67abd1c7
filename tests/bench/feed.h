#pragma once

/**
 * @file
 * Packets that are there already: a port's receive function is replaced by one that hands out frames prepared in memory, so
 * that receiving is measured without a driver.
 *
 * A pass writes the next probes of the schedule into buffers of the device's pool (not timed), hands them out in bursts, and
 * takes the time from the first of them until it is asked for more. All of that happens in the calls of the worker that
 * receives; the main thread waits for the meter.
 */

#include "rig.h"

/** Opaque. */
struct feed;

struct feed_cfg {
	uint32_t pass_pkts;   /**< Probes of a pass. */
	uint32_t warm_passes; /**< Passes before the first one that counts. */
};

/**
 * Take over the responder's receive function. The engine must not run.
 * @return 0, or -ENOMEM or -errno of the tagger, with a sentence.
 */
int feed_open(const struct bench *b, const struct rig *r, const struct feed_cfg *cfg,
	struct feed **out, struct ep_err *err);

/** Give the receive function back. The engine must not run. Accepts NULL. */
void feed_close(struct feed *f);

/**
 * Let the engine's worker, which runs, do passes until the meter has its windows.
 * @return 0, or -EIO (the worker takes nothing) or -ENOMEM (buffers do not come back), with a sentence.
 */
int feed_run(struct feed *f, struct ep_err *err);

/** The windows: passes. */
const struct meter *feed_meter(const struct feed *f);

/** Probes handed out so far [packets]. */
uint64_t feed_count(const struct feed *f);
