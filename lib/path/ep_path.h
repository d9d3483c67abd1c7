#pragma once

/**
 * @file
 * A seeded model of a bad path, with its own exact count a port: what `loop --impair` puts between the two ends.
 *
 * It decides, packet by packet, in one direction: drop (a blocked port, or by chance), duplicate, or hold back
 * until the next packet of the same flow has passed, which makes exactly one packet of an ordered stream reordered. It
 * never looks at what the receiver makes of it; its counters are an independent truth. Packets are opaque pointers. No
 * clock. One writer.
 *
 *   enters      A   B(held)   C(dropped)   D           flush
 *   leaves      A   -         -            D, B        -
 *
 * Reordered is counted where packets leave, by their sequence (RFC 4737, NextExp). So the numbers a port equal those of a
 * receiver behind it also for packets that enter out of order, such as the echoes of a stream that was reordered on its way
 * up, once everything held has been flushed. Duplicates are only those that this path makes.
 */

#include <ep_base.h>
#include <ep_range.h>

#include <stdbool.h>
#include <stdint.h>

/** What the user asked for with --impair. */
struct ep_path_cfg {
	struct ep_range *blocked; /**< Blocked ports; owned by the cfg, NULL when there are none. */
	double drop_ratio;        /**< In [0, 1]. */
	double dup_ratio;         /**< In [0, 1]. */
	double reorder_ratio;     /**< In [0, 1]. */
};

/** What the path did on one port. */
struct ep_path_port {
	uint64_t seen;       /**< Packets that entered [packets]. */
	uint64_t dropped;    /**< Blocked or dropped by chance [packets]. */
	uint64_t duplicated; /**< Extra copies delivered [packets]. */
	uint64_t reordered;  /**< Left after a later packet of their flow [packets]. */
};

/**
 * Parse "block=50100-50110,drop=1%,dup=0.1%,reorder=0.5%". Each word at most once, in any order.
 *
 * @param text
 *   The user's text. A block list of several ranges joins them with "+": "block=50100-50110+55555".
 * @param what
 *   Name of the option, for the sentence ("--impair").
 * @param[out] cfg
 *   Set on success only; to be freed with ep_path_cfg_fini().
 * @param[out] err
 *   Sentence on failure; may be NULL.
 * @return
 *   0, or -EINVAL (unknown or repeated word, no value, bad value), -ERANGE (a port or ratio out of range) or
 *   -ENOMEM.
 */
int ep_path_parse(const char *text, const char *what, struct ep_path_cfg *cfg, struct ep_err *err);

/** Free what ep_path_parse() took. Accepts a zeroed cfg, and one freed before. */
void ep_path_cfg_fini(struct ep_path_cfg *cfg);

/** One direction of the path. Opaque. */
struct ep_path;

/**
 * Make one direction.
 *
 * @param cfg
 *   Borrowed for the call.
 * @param range
 *   Ports, for the index of the counters; borrowed until ep_path_destroy().
 * @param flow_count
 *   Flows: one packet a flow can be held back.
 * @param seed
 *   Of this direction. The same seed and packets give the same path.
 * @param[out] out
 *   Set on success only; to be freed with ep_path_destroy().
 * @return
 *   0, or -ENOMEM.
 */
int ep_path_create(const struct ep_path_cfg *cfg, const struct ep_range *range, uint32_t flow_count,
	uint64_t seed, struct ep_path **out);

/** Free; packets still held are not touched, so flush first. Accepts NULL. */
void ep_path_destroy(struct ep_path *path);

/** Most packets that leave for one that enters: itself twice, the held one twice. */
#define EP_PATH_OUT_MAX 4

/** What leaves, in this order: @p count packets; `copy[i]` says that packet[i] must be a copy of packet[i - 1]. */
struct ep_path_out {
	uint32_t count;
	void *packet[EP_PATH_OUT_MAX];
	bool copy[EP_PATH_OUT_MAX];
	bool dropped; /**< The packet that entered was dropped: the caller frees it. */
};

/**
 * Pass one packet.
 *
 * The draws for drop, duplicate and hold back are independent of each other. A flow that has a packet held back
 * already lets the next one pass; a packet that is dropped releases nothing.
 *
 * @param packet
 *   The caller's, not NULL; held inside when the path holds it back (out->count 0, not dropped).
 * @param flow
 *   Its flow number, below flow_count. A flow has one port.
 * @param seq
 *   Low 32 bits of its sequence in the flow.
 * @param port
 *   Its port, a member of the range (destination port up, source port down).
 * @param[out] out
 *   What leaves now.
 */
void ep_path_pass(struct ep_path *path, void *packet, uint32_t flow, uint32_t seq, uint16_t port,
	struct ep_path_out *out);

/** A new trial begins: sequences start again. What is held stays held. */
void ep_path_restart(struct ep_path *path);

/**
 * Let one held packet go: the trial ends. Ascending by flow number.
 *
 * @param[out] copy
 *   Whether a duplicate of it is to follow at once; set only when a packet is returned.
 * @return
 *   The packet, the caller's again; NULL when none is held.
 */
void *ep_path_flush(struct ep_path *path, bool *copy);

/** Counters, [range->port_count], valid until ep_path_destroy(). */
const struct ep_path_port *ep_path_ports(const struct ep_path *path);
