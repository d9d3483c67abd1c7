#pragma once

/**
 * @file
 * The bare functions of the hot path over a burst, compiled for the same instruction sets as the engine's files: the functions are
 * inline, so what they cost is a matter of who compiles them.
 */

#include <ep_acct.h>
#include <ep_sched.h>
#include <ep_wire.h>

/** What they work on. */
struct lib_work {
	struct ep_sched space;
	struct ep_sched_cursor cursor;
	uint32_t flow[EP_WIRE_BURST];
	uint32_t seq[EP_WIRE_BURST];

	struct ep_acct acct;
	uint32_t *order; /**< [port_count] flows as they arrive. */
	uint32_t next;   /**< Place in it. */
	uint32_t sweep;  /**< Sequence number. */
};

typedef void (*lib_burst_fn)(struct lib_work *w);

#define LIB_PORTS 10001

/** Set up a schedule and an account of LIB_PORTS ports. @return 0, -ENOMEM or -errno, with a sentence; lib_work_fini() follows. */
int lib_work_init(struct lib_work *w, struct ep_err *err);
void lib_work_fini(struct lib_work *w);

/** One instruction set. */
struct lib_isa {
	const char *name;
	lib_burst_fn perm; /**< Take the next burst of the schedule. */
	lib_burst_fn
		window; /**< Account a burst: one probe of each port in turn, lines asked for beforehand, as the engine does. */
};

/** The best that this CPU can run. */
const struct lib_isa *lib_choose(void);
