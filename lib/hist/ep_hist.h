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
#include <string.h>

#define EP_HIST_SUB_BITS 5
/** Values of a burst. */
#define EP_HIST_BURST 32
/** Buckets that cover 0 to 2^32 - 1. */
#define EP_HIST_BUCKETS ((32 - EP_HIST_SUB_BITS + 1) << EP_HIST_SUB_BITS)

/** A histogram. Zero-initialised is empty. */
struct ep_hist {
	uint64_t
		count; /**< Values recorded, but for those of ep_hist_push_bucket(), which ep_hist_merge() finds. */
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

/**
 * ep_hist_bucket() of a burst: no branch and no count of bits, so that the compiler makes vectors of it. Hot path.
 *
 * A float is a log-linear bucket: its exponent is the group, the first bits of its fraction the place in it. Its conversion must
 * not round up into the next bucket: where a value has more bits than fit, clearing the one 16 below the highest stops the carry.
 *
 * @param value_ns
 *   [EP_HIST_BURST] [ns].
 * @param[out] bucket
 *   [EP_HIST_BURST]
 */
static inline void
ep_hist_bucket_burst(const uint32_t *restrict value_ns, uint32_t *restrict bucket)
{
	/* Of 2^EP_HIST_SUB_BITS as a float: 23 bits of fraction, 127 stands for 2^0. */
	const uint32_t first = (127 + EP_HIST_SUB_BITS - 1) << EP_HIST_SUB_BITS;
	float f[EP_HIST_BURST];

	for (uint32_t i = 0; i < EP_HIST_BURST; i++)
		f[i] = (float)(value_ns[i] & ~(value_ns[i] >> 16));
	memcpy(bucket, f, sizeof(f));
	for (uint32_t i = 0; i < EP_HIST_BURST; i++)
		bucket[i] = value_ns[i] >> EP_HIST_SUB_BITS == 0
			? value_ns[i]
			: (bucket[i] >> (23 - EP_HIST_SUB_BITS)) - first;
}

/** Largest value that falls into a bucket, which is below EP_HIST_BUCKETS [ns]. */
uint32_t ep_hist_bucket_max_ns(uint32_t bucket);

/** Record one value whose bucket is known, without counting it: read the histogram through ep_hist_merge(). Hot path. */
static inline void
ep_hist_push_bucket(struct ep_hist *h, uint32_t value_ns, uint32_t bucket)
{
	const uint32_t inverted_ns = UINT32_MAX - value_ns;

	h->bucket[bucket]++;
	if (inverted_ns > h->min_inverted_ns)
		h->min_inverted_ns = inverted_ns;
	if (value_ns > h->max_ns)
		h->max_ns = value_ns;
}

/** Record one value. Hot path. */
static inline void
ep_hist_push(struct ep_hist *h, uint32_t value_ns)
{
	h->count++;
	ep_hist_push_bucket(h, value_ns, ep_hist_bucket(value_ns));
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

/** Add @p src to @p dst, which has all its values counted. Either may be empty. */
void ep_hist_merge(struct ep_hist *dst, const struct ep_hist *src);
