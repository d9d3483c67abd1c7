/* What grew between two readings, and what that adds up to. */

#include "ep_nic.h"

#include <stdio.h>
#include <string.h>

/* Bits of counters that are narrower than ours, and of ours. */
#define NARROW_HALF (UINT64_C(1) << 31)
#define WIDE_HALF (UINT64_C(1) << 63)

/*
 * By how much a counter grew, modulo its width. A step backwards is a wrap where the step, taken forwards, is less than half of the width,
 * which only a counter that had passed the middle of it can do; anything else is a reset, after which it has counted at least what it shows.
 */
static uint64_t
change_of(uint64_t before, uint64_t after, bool *at_least)
{
	const uint32_t narrow = (uint32_t)after - (uint32_t)before;

	*at_least = false;
	if (after >= before)
		return after - before;
	if (before <= UINT32_MAX && narrow < NARROW_HALF)
		return narrow;
	if (after - before < WIDE_HALF)
		return after - before;
	*at_least = true;
	return after;
}

static bool
counter_is(const struct ep_nic_counter *a, const struct ep_nic_counter *b)
{
	return a->source == b->source && strcmp(a->name, b->name) == 0;
}

/*
 * The counter of the other reading. Both are mostly in the same order, so the search begins behind the last match and goes once
 * around; a name that is there twice is thereby matched in its order.
 */
static const struct ep_nic_counter *
counter_find(const struct ep_nic_sample *s, const struct ep_nic_counter *wanted, uint32_t *from)
{
	for (uint32_t i = 0; i < s->count; i++) {
		const uint32_t at = (*from + i) % s->count;

		if (counter_is(&s->counter[at], wanted)) {
			*from = at + 1;
			return &s->counter[at];
		}
	}
	return NULL;
}

/* Lower is more telling. */
static int
change_rank(const struct ep_nic_changes *changes, const struct ep_nic_change *c)
{
	switch (ep_nic_meaning(changes->driver, c->source, c->name)) {
	case EP_NIC_OWN:
	case EP_NIC_ALLOWANCE:
		return 0;
	case EP_NIC_INFO:
		return 1;
	case EP_NIC_TRAFFIC:
		break;
	}
	return 2;
}

/* Keep the most telling ones, in the order in which they came. */
static void
change_keep(struct ep_nic_changes *changes, const struct ep_nic_change *c)
{
	const int rank = change_rank(changes, c);
	uint32_t at = changes->count;

	while (at > 0 && change_rank(changes, &changes->change[at - 1]) > rank)
		at--;
	if (changes->count == EP_NIC_CHANGES_MAX) {
		changes->omitted++;
		if (at == EP_NIC_CHANGES_MAX)
			return;
		changes->count--;
	}
	memmove(&changes->change[at + 1], &changes->change[at],
		(changes->count - at) * sizeof(changes->change[0]));
	changes->change[at] = *c;
	changes->count++;
}

static bool
counter_is_gauge(const struct ep_nic_sample *s, const struct ep_nic_counter *c)
{
	const struct ep_nic_known *known = ep_nic_know(s->driver, c->source, c->name);

	return known != NULL && known->meaning == EP_NIC_TRAFFIC;
}

static void
change_add(struct ep_nic_changes *changes, const struct ep_nic_sample *after,
	const struct ep_nic_counter *was, const struct ep_nic_counter *is)
{
	struct ep_nic_change c = {.source = is->source};

	c.count = change_of(was->value, is->value, &c.at_least);
	if (c.count == 0 || is->name[0] == '\0' || counter_is_gauge(after, is))
		return;
	memcpy(c.name, is->name, sizeof(c.name));
	change_keep(changes, &c);
}

void
ep_nic_diff(const struct ep_nic_sample *before, const struct ep_nic_sample *after,
	struct ep_nic_changes *changes)
{
	uint32_t from = 0, matched = 0;

	memset(changes, 0, sizeof(*changes));
	memcpy(changes->driver, after->driver, sizeof(changes->driver));
	if (!before->known || !after->known)
		return;
	changes->known = true;
	for (uint32_t i = 0; i < after->count; i++) {
		const struct ep_nic_counter *is = &after->counter[i];
		const struct ep_nic_counter *was = counter_find(before, is, &from);

		if (was == NULL) {
			changes->gone++;
			continue;
		}
		matched++;
		change_add(changes, after, was, is);
	}
	if (matched < before->count)
		changes->gone += before->count - matched;
}

/* --- What it adds up to ----------------------------------------------------------------------- */

static const struct ep_nic_known *
change_known(const struct ep_nic_changes *changes, uint32_t i, enum ep_nic_meaning meaning,
	enum ep_nic_flow flow)
{
	const struct ep_nic_change *c = &changes->change[i];
	const struct ep_nic_known *known = ep_nic_know(changes->driver, c->source, c->name);

	if (known == NULL || known->meaning != meaning || (known->flow & flow) == 0)
		return NULL;
	return known;
}

/* All queues of one row, and one source of it. */
static uint64_t
row_sum(const struct ep_nic_changes *changes, const struct ep_nic_known *row,
	enum ep_nic_source source)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < changes->count; i++) {
		const struct ep_nic_change *c = &changes->change[i];

		if (c->source == source && ep_nic_know(changes->driver, source, c->name) == row)
			sum += c->count;
	}
	return sum;
}

uint64_t
ep_nic_own(const struct ep_nic_changes *changes, enum ep_nic_flow flow, uint64_t counted)
{
	uint64_t most = 0;

	for (uint32_t i = 0; i < changes->count; i++) {
		const struct ep_nic_known *row = change_known(changes, i, EP_NIC_OWN, flow);
		uint64_t sum;

		if (row == NULL)
			continue;
		sum = row_sum(changes, row, changes->change[i].source);
		if (sum > most)
			most = sum;
	}
	return most > counted ? most - counted : 0;
}

uint64_t
ep_nic_allowance(const struct ep_nic_changes *changes, enum ep_nic_flow flow)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < changes->count; i++)
		if (change_known(changes, i, EP_NIC_ALLOWANCE, flow) != NULL)
			sum += changes->change[i].count;
	return sum;
}

const struct ep_nic_change *
ep_nic_largest(
	const struct ep_nic_changes *changes, enum ep_nic_meaning meaning, enum ep_nic_flow flow)
{
	const struct ep_nic_change *largest = NULL;

	for (uint32_t i = 0; i < changes->count; i++) {
		if (change_known(changes, i, meaning, flow) == NULL)
			continue;
		if (largest == NULL || changes->change[i].count > largest->count)
			largest = &changes->change[i];
	}
	return largest;
}
