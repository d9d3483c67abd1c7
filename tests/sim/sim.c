#include "sim.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

uint64_t
sim_seed(uint64_t fallback)
{
	const char *const text = getenv("EP_TEST_SEED");
	const uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : fallback;

	printf("# EP_TEST_SEED=%" PRIu64 "\n", seed);
	return seed;
}

/* A Weyl sequence through two rounds of multiply and fold. */
uint64_t
sim_random(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0xD1B54A32D192ED03);

	x = (x ^ x >> 33) * UINT64_C(0xFF51AFD7ED558CCD);
	x = (x ^ x >> 29) * UINT64_C(0xC4CEB9FE1A85EC53);
	return x ^ x >> 32;
}

uint64_t
sim_below(uint64_t *state, uint64_t bound)
{
	return sim_random(state) % bound;
}

int
sim_chance(uint64_t *state, double ratio)
{
	return (double)(sim_random(state) >> 11) * 0x1p-53 < ratio;
}

static void
sim_arrive(struct sim *s, size_t *room, struct sim_arrival a)
{
	if (s->arrival_count == *room) {
		*room = *room * 2 + 64;
		s->arrival = realloc(s->arrival, *room * sizeof(*s->arrival));
		if (s->arrival == NULL)
			abort();
	}
	s->arrival[s->arrival_count++] = a;
}

static int
sim_compare(const void *a, const void *b)
{
	const uint64_t sa = ((const struct sim_arrival *)a)->slot;
	const uint64_t sb = ((const struct sim_arrival *)b)->slot;

	return (sa > sb) - (sa < sb);
}

/* Stable order without relying on qsort(): the position in the list is the low part of the slot while sorting. */
static void
sim_sort(struct sim *s)
{
	for (size_t i = 0; i < s->arrival_count; i++)
		s->arrival[i].slot = s->arrival[i].slot << 32 | i;
	if (s->arrival_count > 0)
		qsort(s->arrival, s->arrival_count, sizeof(*s->arrival), sim_compare);
	for (size_t i = 0; i < s->arrival_count; i++)
		s->arrival[i].slot >>= 32;
}

void
sim_run(const struct sim_cfg *cfg, struct sim *out)
{
	uint64_t random = cfg->seed;
	size_t room = 0;

	*out = (struct sim){.cfg = *cfg};
	for (uint32_t seq = 0; seq < cfg->probe_count; seq++) {
		for (uint32_t flow = 0; flow < cfg->flow_count; flow++) {
			const uint64_t slot = (uint64_t)seq * cfg->flow_count + flow;

			if (sim_chance(&random, cfg->drop_ratio))
				continue;
			do {
				uint64_t delay = 0;

				if (sim_chance(&random, cfg->delay_ratio))
					delay = 1 + sim_below(&random, cfg->delay_max_slots);
				sim_arrive(
					out, &room, (struct sim_arrival){flow, seq, slot + delay});
			} while (sim_chance(&random, cfg->dup_ratio));
		}
	}
	sim_sort(out);
}

void
sim_fini(struct sim *s)
{
	free(s->arrival);
	*s = (struct sim){0};
}

struct sim_truth
sim_truth(const struct sim *s, uint32_t flow)
{
	struct sim_truth truth = {.lost = s->cfg.probe_count};

	for (size_t i = 0; i < s->arrival_count; i++) {
		bool again = false;
		bool overtaken = false;

		if (s->arrival[i].flow != flow)
			continue;
		for (size_t k = 0; k < i; k++) {
			if (s->arrival[k].flow != flow)
				continue;
			again |= s->arrival[k].seq == s->arrival[i].seq;
			overtaken |= s->arrival[k].seq > s->arrival[i].seq;
		}
		truth.lost -= !again;
		truth.duplicates += again;
		truth.reordered += !again && overtaken;
	}
	return truth;
}
