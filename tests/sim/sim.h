#pragma once

/**
 * @file
 * A seeded model of a network path for tests: naive, list-based, and it knows the truth of every probe.
 *
 * Flows take turns to send, one probe a slot. Each copy of a probe is delayed by a number of slots of its own; what
 * arrives is the list of copies in order of arrival. Shares no code with lib/path. Aborts when memory is short: it
 * is a test.
 */

#include <stddef.h>
#include <stdint.h>

/** Seed of the test run: EP_TEST_SEED, else @p fallback. Printed as a TAP comment. */
uint64_t sim_seed(uint64_t fallback);

/** Next number of a sequence that @p state (any value) stands for. */
uint64_t sim_random(uint64_t *state);

/** A number in [0, @p bound), @p bound above 0. */
uint64_t sim_below(uint64_t *state, uint64_t bound);

/** True with probability @p ratio. */
int sim_chance(uint64_t *state, double ratio);

struct sim_cfg {
	uint64_t seed;
	uint32_t flow_count;
	uint32_t probe_count; /**< Of each flow. */
	double drop_ratio;    /**< Probes lost with all copies. */
	double dup_ratio; /**< Probes that get a second copy; of those, as many a third, and so on. */
	double delay_ratio;       /**< Copies that are delayed. */
	uint32_t delay_max_slots; /**< A delay is uniform in [1, delay_max_slots]. */
};

/** One copy that arrived. */
struct sim_arrival {
	uint32_t flow;
	uint32_t seq;
	uint64_t slot; /**< When; equal slots in order of sending. */
};

/** What came out. */
struct sim {
	struct sim_arrival *arrival; /**< [arrival_count], in order of arrival, owned. */
	size_t arrival_count;
	struct sim_cfg cfg;
};

/** The truth about one flow [packets]. */
struct sim_truth {
	uint64_t lost;       /**< Probes of which no copy arrived. */
	uint64_t duplicates; /**< Copies beyond the first. */
	uint64_t reordered;  /**< First copies that a higher sequence of the flow preceded. */
};

void sim_run(const struct sim_cfg *cfg, struct sim *out);
void sim_fini(struct sim *s);

/** Count by comparing every arrival with all before it. */
struct sim_truth sim_truth(const struct sim *s, uint32_t flow);
