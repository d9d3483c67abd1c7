/* Value/mask rules of a set of ports: the set as runs, minimised as a whole where that is small enough, else in pieces. */

#include "plan_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct run_list {
	uint32_t count;
	struct {
		uint16_t first, last;
	} run[EP_RANGE_PORTS / 2];
};

/* What is being made, and from what. */
struct masks_work {
	struct run_list all;
	struct plan_runs piece;
	struct ep_plan_mask prime[PLAN_PRIMES_MAX];
	struct ep_plan_masks part;
};

static void
run_add(void *ctx, uint16_t first, uint16_t last)
{
	struct run_list *list = ctx;

	list->run[list->count].first = first;
	list->run[list->count++].last = last;
}

/* Largest block of ports that starts at @p first, ends at @p last at the latest, and is a prefix. */
static uint32_t
prefix_length(uint32_t first, uint32_t last)
{
	uint32_t length = first != 0 ? first & -first : EP_RANGE_PORTS;

	while (first + length - 1 > last)
		length /= 2;
	return length;
}

/* How many prefixes make up a set; the first @p max of them are written. */
static uint32_t
prefixes_of(const struct plan_runs *set, struct ep_plan_mask *prefix, uint32_t max)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < set->count; i++) {
		for (uint32_t port = set->run[i].first; port <= set->run[i].last; count++) {
			const uint32_t length = prefix_length(port, set->run[i].last);

			if (count < max)
				prefix[count] = (struct ep_plan_mask){
					.value = (uint16_t)port, .mask = (uint16_t)-length};
			port += length;
		}
	}
	return count;
}

/* Prefixes do not overlap, and more NICs take them than other masks: where they are as few, they are the better ones. */
static void
part_prefer_prefixes(const struct plan_runs *set, struct ep_plan_masks *part)
{
	if (prefixes_of(set, NULL, 0) == part->rule_count)
		prefixes_of(set, part->rule, part->rule_count);
}

/* Minimise runs [from, from + count) as one set into work->part. */
static int
piece_minimise(struct masks_work *work, uint32_t from, uint32_t count)
{
	int primes, ret;

	if (count > PLAN_RUNS_MAX)
		return -E2BIG;
	work->piece.count = count;
	for (uint32_t i = 0; i < count; i++) {
		work->piece.run[i].first = work->all.run[from + i].first;
		work->piece.run[i].last = work->all.run[from + i].last;
	}
	primes = plan_primes(&work->piece, work->prime);
	if (primes < 0)
		return primes;
	ret = plan_cover(work->prime, (uint32_t)primes, &work->part);
	if (ret == 0)
		part_prefer_prefixes(&work->piece, &work->part);
	return ret;
}

static int
part_append(const struct ep_plan_masks *part, struct ep_plan_masks *masks)
{
	if (masks->rule_count + part->rule_count > EP_PLAN_RULES_MAX)
		return -E2BIG;
	memcpy(&masks->rule[masks->rule_count], part->rule, part->rule_count * sizeof(*part->rule));
	masks->rule_count += part->rule_count;
	return 0;
}

/* Halves until a piece can be minimised; a single run always can. */
static int
pieces_minimise(struct masks_work *work, uint32_t from, uint32_t count, struct ep_plan_masks *masks)
{
	int ret = piece_minimise(work, from, count);

	if (ret == 0 && count == work->all.count)
		*masks = work->part;
	else if (ret == 0)
		ret = part_append(&work->part, masks);
	else if (ret == -E2BIG && count > 1) {
		ret = pieces_minimise(work, from, count / 2, masks);
		if (ret == 0)
			ret = pieces_minimise(work, from + count / 2, count - count / 2, masks);
	}
	return ret;
}

int
ep_plan_masks_make(const struct ep_range *range, struct ep_plan_masks *masks, struct ep_err *err)
{
	struct ep_plan_masks *out;
	struct masks_work *work;
	int ret = -ENOMEM;

	if (range->port_count == 0)
		return ep_err_set(err, -EINVAL, "no ports to make rules of");
	work = calloc(1, sizeof(*work));
	out = calloc(1, sizeof(*out));
	if (work != NULL && out != NULL) {
		ep_range_runs(range, NULL, run_add, &work->all);
		ret = pieces_minimise(work, 0, work->all.count, out);
	}
	if (ret == 0)
		*masks = *out;
	else if (ret == -E2BIG)
		ep_err_set(err, ret,
			"%u ports in %u ranges need more than %d value/mask rules; allowed are at "
			"most %d",
			range->port_count, work->all.count, EP_PLAN_RULES_MAX, EP_PLAN_RULES_MAX);
	else
		ep_err_set(err, ret, "no memory for the rules of %u ports", range->port_count);
	free(work);
	free(out);
	return ret;
}

bool
ep_plan_masks_match(const struct ep_plan_masks *masks, uint16_t port)
{
	for (uint32_t i = 0; i < masks->rule_count; i++)
		if ((port & masks->rule[i].mask) == masks->rule[i].value)
			return true;
	return false;
}
