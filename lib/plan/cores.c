/*
 * Who gets which core. NICs take turns, so that none of them takes all: first each one gets one, on its own node if it can, else on the nearest
 * with one to spare, else it shares; then each takes more on its own node until it has what it wants.
 */

#include "cores.h"

#include <string.h>

#define DISTANCE_UNKNOWN 255

uint32_t
topo_find(const struct ep_plan_topo *topo, uint32_t cpu)
{
	for (uint32_t i = 0; i < topo->cpu_count; i++)
		if (topo->cpu[i].id == cpu)
			return i;
	return UINT32_MAX;
}

/* Whether no allowed CPU with a lower number is on the same physical core. */
static bool
is_first_of_core(const struct ep_plan_topo *topo, uint32_t at)
{
	for (uint32_t i = 0; i < at; i++)
		if (topo->cpu[i].core == topo->cpu[at].core && topo->cpu[i].allowed)
			return false;
	return topo->cpu[at].allowed;
}

uint32_t
topo_cores(const struct ep_plan_topo *topo, uint32_t *isolated_count)
{
	uint32_t count = 0;

	*isolated_count = 0;
	for (uint32_t i = 0; i < topo->cpu_count; i++) {
		if (!is_first_of_core(topo, i))
			continue;
		count++;
		*isolated_count += topo->cpu[i].isolated;
	}
	return count;
}

static uint32_t
node_distance(const struct ep_plan_topo *topo, int16_t from, int16_t to)
{
	for (uint32_t i = 0; i < topo->node_count; i++) {
		if (topo->node[i].id != from)
			continue;
		for (uint32_t j = 0; j < topo->node_count; j++)
			if (topo->node[j].id == to && topo->node[i].distance[j] != 0)
				return topo->node[i].distance[j];
	}
	return DISTANCE_UNKNOWN;
}

/* Whether a physical core is nobody's: no worker and not the main thread on any of its CPUs. */
static bool
core_is_free(const struct build *b, uint16_t core)
{
	for (uint32_t i = 0; i < b->topo->cpu_count; i++)
		if (b->topo->cpu[i].core == core && (b->used[i] || i == b->control))
			return false;
	return true;
}

/* Whether the plan may take a CPU by itself. */
static bool
cpu_is_spare(const struct build *b, uint32_t at)
{
	const struct ep_plan_cpu *cpu = &b->topo->cpu[at];

	return is_first_of_core(b->topo, at) && core_is_free(b, cpu->core) &&
		(cpu->isolated || b->shared_left > 0);
}

static bool
cpu_is_listed(const struct build *b, uint32_t at)
{
	if (b->used[at])
		return false;
	for (uint32_t i = 0; i < b->cfg->core_count; i++)
		if (b->cfg->core[i] == b->topo->cpu[at].id)
			return true;
	return false;
}

static bool
on_node(const struct build *b, uint32_t nic, uint32_t at)
{
	const int16_t want = b->cfg->nic[nic].node;

	return want == EP_PLAN_NODE_ANY || b->topo->cpu[at].node == EP_PLAN_NODE_ANY ||
		b->topo->cpu[at].node == want;
}

static uint32_t
cpu_distance(const struct build *b, uint32_t nic, uint32_t at)
{
	const uint32_t first = b->nic[nic].count > 0 ? topo_find(b->topo, b->nic[nic].cpu[0]) : at;

	/* A NIC without a node stays where it is. */
	if (b->cfg->nic[nic].node == EP_PLAN_NODE_ANY)
		return b->topo->cpu[first].node != b->topo->cpu[at].node;
	if (on_node(b, nic, at))
		return 0;
	return node_distance(b->topo, b->cfg->nic[nic].node, b->topo->cpu[at].node);
}

/* Nearer is better, then isolated, then the higher number: the kernel's own work gathers on the low ones. */
static bool
cpu_is_better(const struct build *b, uint32_t nic, uint32_t a, uint32_t than)
{
	const uint32_t near = cpu_distance(b, nic, a);
	const uint32_t far = cpu_distance(b, nic, than);

	if (near != far)
		return near < far;
	if (b->topo->cpu[a].isolated != b->topo->cpu[than].isolated)
		return b->topo->cpu[a].isolated;
	return b->topo->cpu[a].id > b->topo->cpu[than].id;
}

static uint32_t
cpu_choose(const struct build *b, uint32_t nic, bool anywhere)
{
	uint32_t best = UINT32_MAX;

	for (uint32_t i = 0; i < b->topo->cpu_count; i++)
		if (cpu_is_spare(b, i) && (anywhere || on_node(b, nic, i)) &&
			(best == UINT32_MAX || cpu_is_better(b, nic, i, best)))
			best = i;
	return best;
}

/* The first of --cores that is left, in the user's order. */
static uint32_t
cpu_choose_listed(const struct build *b, uint32_t nic, bool anywhere)
{
	for (uint32_t i = 0; i < b->cfg->core_count; i++) {
		const uint32_t at = topo_find(b->topo, b->cfg->core[i]);

		if (cpu_is_listed(b, at) && (anywhere || on_node(b, nic, at)))
			return at;
	}
	return UINT32_MAX;
}

typedef uint32_t (*choose_fn)(const struct build *b, uint32_t nic, bool anywhere);

/* Returns whether the NIC got one more worker. */
static bool
nic_take(struct build *b, uint32_t nic, bool anywhere, choose_fn choose)
{
	const uint32_t at = choose(b, nic, anywhere);

	if (at == UINT32_MAX || b->nic[nic].count >= b->nic[nic].workers_want)
		return false;
	b->used[at] = true;
	b->shared_left -= !b->topo->cpu[at].isolated && b->shared_left > 0;
	b->nic[nic].cpu[b->nic[nic].count++] = b->topo->cpu[at].id;
	return true;
}

/* Whose workers serve a NIC without any: those of the nearest NIC that has some. */
static int32_t
nic_share(const struct build *b, uint32_t nic)
{
	int32_t best = -1;
	uint32_t best_distance = UINT32_MAX;

	for (uint32_t i = 0; i < b->cfg->nic_count; i++) {
		const uint32_t distance = b->nic[i].count == 0
			? UINT32_MAX
			: cpu_distance(b, nic, topo_find(b->topo, b->nic[i].cpu[0]));

		if (distance < best_distance) {
			best_distance = distance;
			best = (int32_t)i;
		}
	}
	return best;
}

static void
deal(struct build *b, choose_fn choose, bool more_anywhere)
{
	const uint32_t n = b->cfg->nic_count;
	bool taken;

	for (uint32_t i = 0; i < n; i++)
		nic_take(b, i, false, choose);
	for (uint32_t i = 0; i < n; i++)
		if (b->nic[i].count == 0)
			nic_take(b, i, true, choose);
	do {
		taken = false;
		for (uint32_t i = 0; i < n; i++)
			taken |= nic_take(b, i, false, choose);
	} while (taken);
	for (taken = more_anywhere; taken;) {
		taken = false;
		for (uint32_t i = 0; i < n; i++)
			taken |= nic_take(b, i, true, choose);
	}
	for (uint32_t i = 0; i < n; i++)
		b->nic[i].shares = b->nic[i].count == 0 ? nic_share(b, i) : -1;
}

static void
cpus_sort(uint16_t *cpu, uint32_t count)
{
	for (uint32_t i = 1; i < count; i++) {
		for (uint32_t j = i; j > 0 && cpu[j - 1] > cpu[j]; j--) {
			const uint16_t high = cpu[j - 1];

			cpu[j - 1] = cpu[j];
			cpu[j] = high;
		}
	}
}

void
build_deal_listed(struct build *b)
{
	deal(b, cpu_choose_listed, true);
}

void
build_deal_planned(struct build *b)
{
	deal(b, cpu_choose, false);
	for (uint32_t i = 0; i < b->cfg->nic_count; i++)
		cpus_sort(b->nic[i].cpu, b->nic[i].count);
}

/* Workers without a core: their numbers stand for themselves. */
void
build_deal_floating(struct build *b, uint32_t worker_count)
{
	uint32_t next = 0;

	for (uint32_t round = 0; next < worker_count; round++) {
		for (uint32_t i = 0; i < b->cfg->nic_count && next < worker_count; i++)
			if (b->nic[i].count < b->nic[i].workers_want)
				b->nic[i].cpu[b->nic[i].count++] = (uint16_t)next++;
	}
	for (uint32_t i = 0; i < b->cfg->nic_count; i++)
		b->nic[i].shares = b->nic[i].count == 0 ? 0 : -1;
}
