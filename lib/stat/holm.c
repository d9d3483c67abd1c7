#include "ep_stat.h"

#include <errno.h>
#include <stdlib.h>

struct claim {
	double p;
	uint32_t index;
};

static int
claim_compare(const void *a, const void *b)
{
	const double pa = ((const struct claim *)a)->p;
	const double pb = ((const struct claim *)b)->p;

	return (pa > pb) - (pa < pb);
}

/* Holm (1979): the i-th smallest of m is compared with alpha / (m - i), i from 0, up to the first one kept. */
int64_t
ep_stat_holm(const double *p, uint32_t count, double alpha, bool *rejected)
{
	struct claim *claim;
	uint32_t n = 0;

	if (count == 0)
		return 0;
	claim = malloc(count * sizeof(*claim));
	if (claim == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		claim[i] = (struct claim){p[i], i};
		rejected[i] = false;
	}
	qsort(claim, count, sizeof(*claim), claim_compare);
	while (n < count && claim[n].p <= alpha / (count - n))
		rejected[claim[n++].index] = true;
	free(claim);
	return n;
}
