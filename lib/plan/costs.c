/* What a plan costs, one note each: cores shared, siblings, other nodes, idle cores, huge pages. */

#include "cores.h"

#include <stdio.h>

#define MIB (UINT64_C(1) << 20)

static void
cost_floating(const struct build *b)
{
	if (b->plan->floating)
		build_note(b->plan, EP_PLAN_INFO,
			"%u worker%s without a core of %s own: at high rates the scheduler takes "
			"time from %s, which the result shows as probes not sent or missed",
			b->plan->worker_count, b->plan->worker_count == 1 ? "" : "s",
			b->plan->worker_count == 1 ? "its" : "their",
			b->plan->worker_count == 1 ? "it" : "them");
}

/* A NIC whose queues other cores, or a core of another node, serve. */
static void
cost_port(const struct build *b, uint32_t i)
{
	const struct ep_plan_port *port = &b->plan->port[i];
	const struct ep_plan_nic *nic = &b->cfg->nic[i];

	if (b->nic[i].shares >= 0)
		build_note(b->plan, EP_PLAN_WARN,
			"too few cores: %s is served by the worker%s of %s; the two share what a "
			"core can do",
			nic->name, port->worker_count == 1 ? "" : "s",
			b->cfg->nic[b->nic[i].shares].name);
	if (port->queue_count > port->worker_count)
		build_note(b->plan,
			port->queue_count == nic->queues_min ? EP_PLAN_INFO : EP_PLAN_WARN,
			"%s: %u worker%s serve%s %u queues: a core has to look at up to %u of them "
			"in turn",
			nic->name, port->worker_count, port->worker_count == 1 ? "" : "s",
			port->worker_count == 1 ? "s" : "", port->queue_count,
			(port->queue_count + port->worker_count - 1) / port->worker_count);
}

static void
cost_node(const struct build *b, uint32_t i)
{
	const struct ep_plan_port *port = &b->plan->port[i];
	const struct ep_plan_nic *nic = &b->cfg->nic[i];
	uint32_t remote = 0;
	int16_t node = EP_PLAN_NODE_ANY;
	char who[48];

	for (uint32_t k = 0; k < port->worker_count; k++) {
		const struct ep_plan_worker *w = &b->plan->worker[port->first_worker + k];

		if (w->node == EP_PLAN_NODE_ANY || nic->node == EP_PLAN_NODE_ANY ||
			w->node == nic->node)
			continue;
		remote++;
		node = w->node;
	}
	if (remote == 0)
		return;
	if (port->worker_count == 1)
		snprintf(who, sizeof(who), "the worker");
	else
		snprintf(who, sizeof(who), "%u of the %u workers", remote, port->worker_count);
	build_note(b->plan, EP_PLAN_WARN,
		"%s of %s %s on node %d and the NIC on node %d: each packet crosses between nodes, "
		"which "
		"costs rate and latency; a core of node %d costs neither",
		who, nic->name, remote == 1 ? "is" : "are", node, nic->node, nic->node);
}

static bool
has_worker(const struct build *b, uint16_t cpu)
{
	for (uint32_t i = 0; i < b->plan->worker_count; i++)
		if (b->plan->worker[i].cpu == cpu)
			return true;
	return false;
}

/* --cores may name what the plan would have left alone. */
static void
cost_listed(const struct build *b)
{
	const struct ep_plan_cfg *cfg = b->cfg;

	for (uint32_t i = 0; i < cfg->core_count; i++) {
		const struct ep_plan_cpu *cpu = &b->topo->cpu[topo_find(b->topo, cfg->core[i])];

		if (!has_worker(b, cpu->id)) {
			build_note(b->plan, EP_PLAN_WARN,
				"CPU %u of --cores stays idle: there is no queue for it", cpu->id);
			continue;
		}
		for (uint32_t j = 0; j < i; j++)
			if (b->topo->cpu[topo_find(b->topo, cfg->core[j])].core == cpu->core)
				build_note(b->plan, EP_PLAN_WARN,
					"CPU %u and %u of --cores are one physical core: each gets "
					"little more "
					"than half of it",
					cfg->core[j], cpu->id);
		if (b->control != UINT32_MAX && b->topo->cpu[b->control].core == cpu->core)
			build_note(b->plan, EP_PLAN_WARN,
				"CPU %u of --cores shares its physical core with the main thread, "
				"on CPU %u",
				cpu->id, b->topo->cpu[b->control].id);
	}
	if (cfg->core_count > 0 && b->control == UINT32_MAX)
		build_note(b->plan, EP_PLAN_WARN,
			"--cores names every CPU that may be used: the main thread shares one with "
			"a worker");
}

static bool
queue_on(const struct build *b, const struct ep_plan_queue *queue, const struct ep_plan_node *node)
{
	return queue->node == node->id ||
		(queue->node == EP_PLAN_NODE_ANY && b->topo->node_count == 1);
}

/* A NIC that writes to memory by itself, with packet buffers on the node: ordinary pages do not do for it. NULL: there is none. */
static const char *
huge_only_nic(const struct build *b, const struct ep_plan_node *node)
{
	for (uint32_t q = 0; q < b->plan->queue_count; q++) {
		const struct ep_plan_nic *nic = &b->cfg->nic[b->plan->queue[q].nic];

		if (nic->kind == EP_PLAN_NIC_PCI && queue_on(b, &b->plan->queue[q], node))
			return nic->name;
	}
	return NULL;
}

static void
cost_huge(const struct build *b, const struct ep_plan_node *node)
{
	const char *huge_only = huge_only_nic(b, node);
	char what[128] = "ordinary pages do, and cost rate";
	uint64_t bytes = 0;

	for (uint32_t q = 0; q < b->plan->queue_count; q++)
		if (queue_on(b, &b->plan->queue[q], node))
			bytes += b->plan->queue[q].pool_bytes;
	if (bytes <= node->huge_free_bytes)
		return;
	if (huge_only != NULL)
		snprintf(what, sizeof(what),
			"%s is refused until there are more, for a PCI device takes no other "
			"memory",
			huge_only);
	build_note(b->plan, EP_PLAN_WARN,
		"node %d has %ju MiB of free huge pages, packet buffers need %ju MiB: %s", node->id,
		(uintmax_t)(node->huge_free_bytes / MIB), (uintmax_t)((bytes + MIB - 1) / MIB),
		what);
	b->plan->note[b->plan->note_count - 1].memory = true;
}

void
build_costs(struct build *b)
{
	cost_floating(b);
	for (uint32_t i = 0; i < b->cfg->nic_count; i++) {
		cost_port(b, i);
		cost_node(b, i);
	}
	cost_listed(b);
	for (uint32_t i = 0; i < b->topo->node_count; i++)
		cost_huge(b, &b->topo->node[i]);
}
