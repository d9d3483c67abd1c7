#pragma once

/**
 * @file
 * Log-linear histogram of 32-bit nanosecond values: fixed memory, exact count, bounded relative error.
 *
 * Values below 2^EP_HIST_SUB_BITS have a bucket each; above, every power of two is cut into 2^EP_HIST_SUB_BITS
 * equal buckets, so a quantile is at most 1/2^EP_HIST_SUB_BITS (3.1 %) above its value. One writer; merge is
 * associative and commutative. No clock, no allocation.
 */

#include <stdint.h>

#define EP_HIST_SUB_BITS 5
/** Buckets that cover 0 to 2^32 - 1. */
#define EP_HIST_BUCKETS ((32 - EP_HIST_SUB_BITS + 1) << EP_HIST_SUB_BITS)

/** A histogram. Zero-initialised is empty. */
struct ep_hist {
	uint64_t count;  /**< Values recorded. */
	uint64_t sum_ns; /**< Sum of the values [ns]. */
	uint32_t
		min_inverted_ns; /**< UINT32_MAX - min [ns]; 0 when empty (so that zero is empty). */
	uint32_t max_ns;         /**< Largest value [ns]. */
	uint64_t bucket[EP_HIST_BUCKETS]; /**< Values per bucket. */
};

/**
 * Bucket of a value: the position of its highest bit chooses a group of 2^EP_HIST_SUB_BITS buckets, the bits that
 * follow choose the one in it. The smallest values have no such group; their bucket is the value.
 */
static inline uint32_t
ep_hist_bucket(uint32_t value_ns)
{
	if (value_ns >> EP_HIST_SUB_BITS == 0)
		return value_ns;

	const uint32_t shift = 31 - EP_HIST_SUB_BITS - (uint32_t)__builtin_clz(value_ns);

	/* The highest bit, moved to 2^EP_HIST_SUB_BITS, is the 1 in "group shift + 1". */
	return (shift << EP_HIST_SUB_BITS) + (value_ns >> shift);
}

/** Largest value that falls into a bucket, which is below EP_HIST_BUCKETS [ns]. */
uint32_t ep_hist_bucket_max_ns(uint32_t bucket);

/** Record one value. Hot path. */
static inline void
ep_hist_push(struct ep_hist *h, uint32_t value_ns)
{
	const uint32_t inverted_ns = UINT32_MAX - value_ns;

	h->count++;
	h->sum_ns += value_ns;
	h->bucket[ep_hist_bucket(value_ns)]++;
	if (inverted_ns > h->min_inverted_ns)
		h->min_inverted_ns = inverted_ns;
	if (value_ns > h->max_ns)
		h->max_ns = value_ns;
}

/** Smallest value [ns]; 0 when empty. */
uint32_t ep_hist_min_ns(const struct ep_hist *h);

/**
 * The q-quantile: the largest value of the bucket in which the ceil(q x count)-th smallest value lies, never above
 * the largest value recorded. 0 when empty.
 *
 * @param q
 *   In [0, 1]; 0 means the smallest value, 1 the largest.
 */
uint32_t ep_hist_quantile_ns(const struct ep_hist *h, double q);

/** Add @p src to @p dst. Either may be empty. */
void ep_hist_merge(struct ep_hist *dst, const struct ep_hist *src);
