#pragma once

/**
 * @file
 * Counters of a NIC by name, as DPDK's extended statistics, ethtool and the kernel's link statistics have them: what grew between two
 * readings, and what a known name says of a loss.
 *
 *   reading before ----+
 *                      +--> changes (names that grew, the telling ones first) --> own drops, allowances, sentences
 *   reading after  ----+
 *
 * It reads nothing itself: lib/netlink and lib/dev fill the samples. No I/O, no clock. A sample belongs to one thread.
 */

#include <ep_base.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Room for a name with its NUL, as RTE_ETH_XSTATS_NAME_SIZE; ethtool's have 32. */
#define EP_NIC_NAME_BYTES 64
/** Room for the name of a driver with its NUL. */
#define EP_NIC_DRIVER_BYTES 32
/** Most counters of a reading: more than any driver has. */
#define EP_NIC_COUNTERS_MAX 16384u
/** Most changes that are kept: a NIC with many queues has thousands that grow with the traffic. */
#define EP_NIC_CHANGES_MAX 64u

/** Where a counter comes from: the same name may mean something else elsewhere. */
enum ep_nic_source {
	EP_NIC_DPDK,    /**< rte_eth_xstats of DPDK's driver. */
	EP_NIC_ETHTOOL, /**< ethtool -S: the kernel driver's own. */
	EP_NIC_LINK,    /**< ip -s link: the kernel's for every interface (IFLA_STATS64). */
	EP_NIC_SOURCES, /**< Number of sources. Keep last. */
};

/** "dpdk", "ethtool", "link". */
const char *ep_nic_source_name(enum ep_nic_source source);

/** One counter. */
struct ep_nic_counter {
	enum ep_nic_source source;
	char name[EP_NIC_NAME_BYTES]; /**< Without white space around it. */
	uint64_t value;
};

/** One reading of a NIC. Zero-initialised is empty. */
struct ep_nic_sample {
	bool known;                       /**< It was read. */
	char driver[EP_NIC_DRIVER_BYTES]; /**< "ena", "net_ena"; "" when unknown. */
	uint32_t count;                   /**< Counters in use. */
	uint32_t size;                    /**< Allocated. */
	struct ep_nic_counter *counter;   /**< [size], owned. */
};

/** Forget what was read; memory is kept for the next reading. */
void ep_nic_sample_reset(struct ep_nic_sample *s);

/** Free it. Accepts a zeroed one, and a second call. */
void ep_nic_sample_fini(struct ep_nic_sample *s);

/** Name the driver; a longer text is cut. */
void ep_nic_sample_driver(struct ep_nic_sample *s, const char *driver);

/**
 * Add a counter.
 *
 * @param name
 *   Its name, up to @p name_bytes or a NUL. White space around it is left out, and so is what does not fit.
 * @return
 *   0, -ENOMEM, or -E2BIG (EP_NIC_COUNTERS_MAX of them); the sample is unchanged on failure.
 */
int ep_nic_sample_add(struct ep_nic_sample *s, enum ep_nic_source source, const char *name,
	size_t name_bytes, uint64_t value);

/** What a counter that grew says. */
enum ep_nic_meaning {
	EP_NIC_TRAFFIC, /**< It grows with what passes, or nothing is known of it. */
	EP_NIC_INFO, /**< Worth a look: its name speaks of drops or errors, or it is known and blames nobody. */
	EP_NIC_OWN,       /**< This host fell short: what it dropped is not the path's loss. */
	EP_NIC_ALLOWANCE, /**< The cloud's limit of this instance: neither the path nor the tester. */
};

/** "traffic", "information", "own", "allowance". */
const char *ep_nic_meaning_name(enum ep_nic_meaning meaning);

/** Which way the packets went that a counter counts. Both: a sum of the two. */
enum ep_nic_flow { EP_NIC_RX = 1, EP_NIC_TX = 2, EP_NIC_BOTH = EP_NIC_RX | EP_NIC_TX };

/** What is known of a counter. */
struct ep_nic_known {
	const char *driver; /**< Beginning of the driver's name, without "net_"; NULL: any. */
	unsigned int
		sources;  /**< Bit 1 << source for each place where the name has this meaning. */
	const char *name; /**< The counter's; '#' stands for a number. */
	enum ep_nic_meaning meaning;
	enum ep_nic_flow flow;
	const char *sentence; /**< What it says, a noun phrase without an end. */
	const char *advice;   /**< What to do; NULL: nothing. */
};

/**
 * Look a counter up in the table.
 *
 * @return
 *   A row of the table, or NULL: nothing is known of it.
 */
const struct ep_nic_known *ep_nic_know(
	const char *driver, enum ep_nic_source source, const char *name);

/** What a counter says: the table's word, else EP_NIC_INFO where its name speaks of drops or errors, else EP_NIC_TRAFFIC. */
enum ep_nic_meaning ep_nic_meaning(const char *driver, enum ep_nic_source source, const char *name);

/** A counter that grew. */
struct ep_nic_change {
	enum ep_nic_source source;
	char name[EP_NIC_NAME_BYTES];
	uint64_t count; /**< By how much, at least 1. */
	bool at_least; /**< It was reset between the readings: what it had counted before that is not in. */
};

/** What grew on one NIC between two readings. */
struct ep_nic_changes {
	bool known; /**< Both readings are there. */
	char driver[EP_NIC_DRIVER_BYTES];
	uint32_t count;   /**< Entries in use. */
	uint32_t omitted; /**< Counters that grew and found no room. */
	uint32_t
		gone; /**< Counters of one reading that the other does not have: nothing can be said of them. */
	struct ep_nic_change change[EP_NIC_CHANGES_MAX]; /**< The telling ones first. */
};

/**
 * What grew from one reading to the next.
 *
 * Counters are matched by source and name, and where a driver uses a name twice by their order. One that is smaller than before has
 * wrapped at 32 or at 64 bits where it stood in the upper half of these and has come less than half of them further; else it was reset,
 * and what it shows now is the least by which it grew. Gauges (the table knows them) are left out.
 *
 * @param[out] changes
 *   Filled whole. `known` where both readings are.
 */
void ep_nic_diff(const struct ep_nic_sample *before, const struct ep_nic_sample *after,
	struct ep_nic_changes *changes);

/**
 * Packets that this host dropped one way, by its own counters [packets].
 *
 * The same packet may stand in several of them (the driver's queue, the driver's sum, the kernel's), so this is the largest of the
 * rows of the table, the queues of a row taken together, and not their sum.
 *
 * @param counted
 *   What is known of the same packets already (imissed, ierrors, rx_nombuf; oerrors), and not to be counted twice [packets].
 * @return
 *   What goes beyond it.
 */
uint64_t ep_nic_own(const struct ep_nic_changes *changes, enum ep_nic_flow flow, uint64_t counted);

/** Packets that an allowance of the cloud delayed or dropped one way; what counts both ways is taken whole [packets]. */
uint64_t ep_nic_allowance(const struct ep_nic_changes *changes, enum ep_nic_flow flow);

/**
 * The change that counts most for a meaning and a way.
 *
 * @return
 *   The largest, or NULL: there is none. Borrowed from @p changes.
 */
const struct ep_nic_change *ep_nic_largest(
	const struct ep_nic_changes *changes, enum ep_nic_meaning meaning, enum ep_nic_flow flow);
