/*
 * Prime rules of a set of ports.
 *
 * Let S be a set of n-bit numbers, S0 and S1 its members with the top bit 0 and 1, without that bit. A rule inside S either does
 * not look at the top bit, then the rest of it lies in S0 and in S1; or it does, then the rest lies in one of them. So
 *
 *   primes(S) = { *p : p in primes(S0 & S1) } + { 0p : p in primes(S0), p not inside S1 } + { 1p : p in primes(S1), p not inside S0 }
 *
 * A set of k runs gives S0 and S1 of m0 + m1 <= k + 1 runs, and S0 & S1 of at most m0 + m1 - 1 <= k: room for k runs is enough at
 * every depth. For one range, a recursion on S0 and S1 meets ranges that begin or end at an edge, whose primes number n at most;
 * the primes of one range are therefore in the order of n * n.
 */

#include "plan_priv.h"

#include <errno.h>

#define PORT_BITS 16

struct prime_list {
	uint32_t count;
	struct ep_plan_mask *prime; /* [PLAN_PRIMES_MAX] */
};

static bool
runs_full(const struct plan_runs *s, unsigned int bits)
{
	return s->count == 1 && s->run[0].first == 0 && s->run[0].last + 1U == 1U << bits;
}

static void
runs_add(struct plan_runs *s, uint32_t first, uint32_t last)
{
	s->run[s->count].first = (uint16_t)first;
	s->run[s->count++].last = (uint16_t)last;
}

/* Members with the top bit 0, and with the top bit 1, both without it. */
static void
runs_split(const struct plan_runs *s, unsigned int bits, struct plan_runs half[2])
{
	const uint32_t middle = 1U << (bits - 1);

	half[0].count = half[1].count = 0;
	for (uint32_t i = 0; i < s->count; i++) {
		const uint32_t first = s->run[i].first;
		const uint32_t last = s->run[i].last;

		if (first < middle)
			runs_add(&half[0], first, last < middle ? last : middle - 1);
		if (last >= middle)
			runs_add(&half[1], first < middle ? 0 : first - middle, last - middle);
	}
}

static void
runs_intersect(const struct plan_runs *a, const struct plan_runs *b, struct plan_runs *out)
{
	uint32_t i = 0, j = 0;

	out->count = 0;
	while (i < a->count && j < b->count) {
		const uint16_t a_last = a->run[i].last;
		const uint16_t b_last = b->run[j].last;
		const uint16_t first =
			a->run[i].first > b->run[j].first ? a->run[i].first : b->run[j].first;
		const uint16_t last = a_last < b_last ? a_last : b_last;

		if (first <= last)
			runs_add(out, first, last);
		i += a_last <= b_last;
		j += b_last <= a_last;
	}
}

/* Whether the low @p bits of a rule lie inside a set of numbers of that many bits. */
static bool
runs_hold(const struct plan_runs *set, unsigned int bits, struct ep_plan_mask rule)
{
	struct plan_runs rest = *set;

	for (; bits > 0 && rest.count > 0 && !runs_full(&rest, bits); bits--) {
		const uint32_t top = 1U << (bits - 1);
		struct plan_runs half[2];

		runs_split(&rest, bits, half);
		if (rule.mask & top)
			rest = half[(rule.value & top) != 0];
		else
			runs_intersect(&half[0], &half[1], &rest);
	}
	return rest.count > 0;
}

bool
plan_runs_hold(const struct plan_runs *set, struct ep_plan_mask rule)
{
	return runs_hold(set, PORT_BITS, rule);
}

static int primes_collect(struct prime_list *list, const struct plan_runs *set, unsigned int bits,
	struct ep_plan_mask prefix);

/* Those of one half that are not inside the other. */
static int
primes_of_half(struct prime_list *list, const struct plan_runs half[2], unsigned int which,
	unsigned int bits, struct ep_plan_mask prefix)
{
	const uint32_t start = list->count;
	uint32_t kept = start;
	int ret;

	prefix.mask |= (uint16_t)(1U << bits);
	prefix.value |= (uint16_t)(which << bits);
	ret = primes_collect(list, &half[which], bits, prefix);
	for (uint32_t i = start; i < list->count; i++)
		if (!runs_hold(&half[!which], bits, list->prime[i]))
			list->prime[kept++] = list->prime[i];
	list->count = kept;
	return ret;
}

static int
primes_collect(struct prime_list *list, const struct plan_runs *set, unsigned int bits,
	struct ep_plan_mask prefix)
{
	struct plan_runs half[2], both;
	int ret;

	if (set->count == 0)
		return 0;
	if (runs_full(set, bits)) {
		if (list->count == PLAN_PRIMES_MAX)
			return -E2BIG;
		list->prime[list->count++] = prefix;
		return 0;
	}
	runs_split(set, bits, half);
	runs_intersect(&half[0], &half[1], &both);
	ret = primes_collect(list, &both, bits - 1, prefix);
	for (unsigned int which = 0; ret == 0 && which < 2; which++)
		ret = primes_of_half(list, half, which, bits - 1, prefix);
	return ret;
}

int
plan_primes(const struct plan_runs *set, struct ep_plan_mask prime[PLAN_PRIMES_MAX])
{
	struct prime_list list = {.prime = prime};
	const int ret = primes_collect(&list, set, PORT_BITS, (struct ep_plan_mask){0});

	return ret < 0 ? ret : (int)list.count;
}
