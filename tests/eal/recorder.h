#pragma once

/**
 * @file
 * A device between the engine and a port's driver: it writes down when each burst was handed over and how long it was, takes as
 * many packets of it as the test wants, and can be slow. It takes the place of the driver's burst functions in rte_eth_fp_ops, so
 * that the engine's real path runs through it. One worker a queue; read it when the workers have stopped.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORDER_QUEUES 2
/** Bursts that are written down one by one; the counters go on behind them. */
#define RECORDER_ENTRIES (1u << 20)

struct recorder_entry {
	uint64_t cycles;
	uint16_t offered_pkts;
	uint16_t taken_pkts;
};

/** One queue. */
struct recorder_queue {
	uint64_t call_count;
	uint64_t taken_pkts;
	uint64_t burst_count;               /**< Bursts of which something was taken. */
	uint64_t first_cycles, last_cycles; /**< Of those. */
	uint64_t first_pkts;
	uint16_t max_offered_pkts;
	uint64_t bad_count; /**< Packets that are no probe, or not the next of their flow. */
	size_t entry_count;
	struct recorder_entry *entry; /**< Those of which something was taken. [RECORDER_ENTRIES] */
	uint64_t random;
};

struct recorder {
	struct recorder_queue queue[RECORDER_QUEUES];

	/* What the test wants. */
	uint16_t take_max; /**< Packets of a burst that are taken at most. */
	bool take_random;  /**< Of each burst 0 to take_max, by chance. */
	uint32_t *
		next_seq; /**< Check that each flow's probes come in order, none left out. [flow_count], or NULL. */
	uint32_t flow_count;
	uint64_t tx_stall_at; /**< The burst before which it is slow; 0: none. */
	uint64_t tx_stall_us;
	uint64_t rx_stall_at; /**< The same for a look into the receive queue. */
	uint64_t rx_stall_us;
	uint64_t rx_count; /**< Looks. */
	uint64_t
		rx_empty_after; /**< Looks that found something, after which one finds nothing, whatever is there; 0: none. */
	uint64_t rx_found_count;
	bool real_time; /**< The kernel prefers the workers to all others, where the test may ask for that. */
	bool on_cpu_0; /**< They stay on the first CPU. */
};

/** Take the place of a started port's driver. One at a time. */
struct recorder *recorder_open(uint16_t port_id, uint64_t seed);

/** Forget what was written down and wanted. */
void recorder_reset(struct recorder *r);

/** Give the port its driver back. */
void recorder_close(struct recorder *r);
