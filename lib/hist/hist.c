/*
 * Bucket b of group g = b / 32 (32 standing for 2^EP_HIST_SUB_BITS) and place s = b % 32 holds
 *
 *   g = 0: the value s;    g > 0: the values from (32 + s) x 2^(g - 1) to (32 + s + 1) x 2^(g - 1) - 1,
 *
 * so it is 2^(g - 1) wide and starts at no less than 32 times that: the relative error is below 1/32.
 */

#include "ep_hist.h"

#include <math.h>

#define HIST_SUB (UINT32_C(1) << EP_HIST_SUB_BITS)

uint32_t
ep_hist_bucket_max_ns(uint32_t bucket)
{
	const uint32_t group = bucket >> EP_HIST_SUB_BITS;
	const uint64_t place = bucket & (HIST_SUB - 1);

	if (group == 0)
		return bucket;
	/* In 64 bits: the last bucket ends at 2^32 - 1. */
	return (uint32_t)(((HIST_SUB + place + 1) << (group - 1)) - 1);
}

uint32_t
ep_hist_min_ns(const struct ep_hist *h)
{
	return h->count > 0 ? UINT32_MAX - h->min_inverted_ns : 0;
}

/* Which of the values in ascending order the quantile is, from 1 to count. */
static uint64_t
hist_rank(uint64_t count, double q)
{
	const double rank = ceil(q * (double)count);

	if (!(rank > 1))
		return 1;
	return rank < (double)count ? (uint64_t)rank : count;
}

uint32_t
ep_hist_quantile_ns(const struct ep_hist *h, double q)
{
	const uint64_t rank = hist_rank(h->count, q);
	uint64_t below = 0;

	for (uint32_t b = 0; b < EP_HIST_BUCKETS; b++) {
		below += h->bucket[b];
		if (below >= rank) {
			const uint32_t max_ns = ep_hist_bucket_max_ns(b);

			return max_ns < h->max_ns ? max_ns : h->max_ns;
		}
	}
	return h->max_ns; /* empty: 0 */
}

void
ep_hist_merge(struct ep_hist *dst, const struct ep_hist *src)
{
	if (src->min_inverted_ns > dst->min_inverted_ns)
		dst->min_inverted_ns = src->min_inverted_ns;
	if (src->max_ns > dst->max_ns)
		dst->max_ns = src->max_ns;
	for (uint32_t b = 0; b < EP_HIST_BUCKETS; b++) {
		dst->bucket[b] += src->bucket[b];
		dst->count += src->bucket[b];
	}
}
