#pragma once

/**
 * @file
 * A set of UDP or TCP ports, written as "50000-60000,443", with an index for every member.
 *
 * The set is ordered and free of duplicates: index i is the i-th smallest port. Index and port convert both ways in constant
 * time without division, which the hot path needs. No I/O and no allocation. Immutable after parsing, so any number of threads may read it.
 */

#include <ep_base.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Number of possible ports. */
#define EP_RANGE_PORTS 65536

/** Index of a port that is not in the set. */
#define EP_RANGE_NONE UINT32_MAX

/** A set of ports. 384 KiB: allocate it, do not put it on a stack. */
struct ep_range {
	uint32_t port_count;            /**< Members. */
	uint16_t port[EP_RANGE_PORTS];  /**< Port of each index, ascending, [port_count] used. */
	uint32_t index[EP_RANGE_PORTS]; /**< Index of each port, or EP_RANGE_NONE. */
};

/**
 * Parse a list of ports and port ranges. Overlaps are merged.
 *
 * @param text
 *   "50000-60000", "443", "50000-50009,443". Ports 1 to 65535.
 * @param what
 *   Name of the option, for the sentence.
 * @param[out] range
 *   Filled on success; undefined content otherwise.
 * @param[out] err
 *   Sentence on failure; may be NULL.
 * @return
 *   0, or -EINVAL (not a number, empty entry, first above last) or -ERANGE (port 0 or above 65535).
 */
int ep_range_parse(const char *text, const char *what, struct ep_range *range, struct ep_err *err);

/** Whether @p port is a member. */
static inline bool
ep_range_has(const struct ep_range *range, uint16_t port)
{
	return range->index[port] != EP_RANGE_NONE;
}

/**
 * Format members chosen by a predicate as the shortest list of ranges, "50100-50110,55555"; members that are neighbours in
 * the set and in number join.
 *
 * @param range
 *   The set.
 * @param chosen
 *   [port_count] true for each index to be named; NULL names all.
 * @param[out] buf
 *   Filled with at most @p len - 1 characters and a NUL.
 * @param len
 *   Size of @p buf [B].
 * @return
 *   Length the whole text has without its NUL, as snprintf; larger than or equal to @p len when it was cut.
 */
size_t ep_range_format(const struct ep_range *range, const bool *chosen, char *buf, size_t len);

/** Called for each run of neighbouring chosen members, ascending. */
typedef void (*ep_range_run_fn)(void *ctx, uint16_t first, uint16_t last);

/** Call @p fn for each run of neighbouring chosen members (see ep_range_format). */
void ep_range_runs(const struct ep_range *range, const bool *chosen, ep_range_run_fn fn, void *ctx);

/** Whether every member of @p inner is a member of @p outer. */
bool ep_range_covers(const struct ep_range *outer, const struct ep_range *inner);
