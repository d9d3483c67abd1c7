#pragma once

/**
 * @file
 * A meter in a running worker: a port's receive function, which a worker calls once a round, is led through one that ends and
 * begins windows. It costs an indirect call a round.
 */

#include "meter.h"
#include "rig.h"

/** A counter that the worker itself can read exactly [packets]. */
typedef uint64_t (*hook_counter_fn)(void *ctx);

struct hook;

/**
 * Put the hook into receive queue 0 of a port. The engine must not run.
 * @return 0 or -ENOMEM with a sentence.
 */
int hook_open(const struct bench *b, uint16_t port_id, hook_counter_fn counter, void *ctx,
	struct hook **out, struct ep_err *err);

/** Take it out again. The engine must not run. Accepts NULL. */
void hook_close(struct hook *h);

/** The windows. */
const struct meter *hook_meter(const struct hook *h);
