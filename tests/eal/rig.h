#pragma once

/**
 * @file
 * A net_null port with an engine on it and a recorder between the two, for tests that look at what leaves and when.
 */

#include "recorder.h"

#include <ep_dev.h>
#include <ep_engine.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define FLOWS 1000
/** A worker that others kept from its CPU for longer shows nothing about pacing [ns]. */
#define AWAY_NS 100000
/** Such a try is repeated. */
#define TRIES 5

/** A port with an engine that sends up. */
struct rig {
	struct ep_range *range;
	struct ep_dev *dev;
	struct ep_engine *engine;
	struct ep_engine_clock clock;
	struct recorder *recorder;
	struct ep_engine_count count;
	struct ep_engine_pacing pacing;
	uint64_t before_cycles; /* No slot of the run is due before. */
	uint64_t *sent;         /* [FLOWS] */
};

/** Open a port with one side of a role on it. */
void rig_open(struct rig *r, enum ep_engine_role role, uint32_t workers);
void rig_close(struct rig *r);

/** A load up with a slack of 1 s. */
struct ep_engine_trial plan(double rate_pps, double duration_s);

/** Run it to its end. The counters are in the rig. */
void run(struct rig *r, const struct ep_engine_trial *t);

/** What the device took. */
uint64_t taken(const struct rig *r);

/** Every slot ended somewhere, and what the engine says was accepted is what the device took. */
void assert_account_closes(const struct rig *r, uint64_t slots);

uint64_t to_cycles(const struct rig *r, double ns);

/** Group set-up and tear-down: DPDK with two floating workers. */
int start_eal(void **state);
int stop_eal(void **state);
