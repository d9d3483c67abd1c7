/* The machine as the planner wants it: CPUs with their nodes and cores, nodes with their huge pages and distances. */

#include "hostinfo_priv.h"

#include <sched.h>
#include <stdlib.h>

#define PAGE_2M_BYTES (UINT64_C(2) << 20)

static void
node_distances(const char *root, struct ep_plan_node *node)
{
	char line[1024];
	const char *p = line;

	tree_line(root, line, sizeof(line), "/sys/devices/system/node/node%d/distance", node->id);
	for (uint32_t i = 0; i < EP_PLAN_NODES_MAX; i++) {
		char *end;
		const unsigned long distance = strtoul(p, &end, 10);

		if (end == p || distance > UINT8_MAX)
			return;
		node->distance[i] = (uint8_t)distance;
		p = end;
	}
}

/* A kernel without NUMA has none, and then no CPU has a node either. */
static void
nodes(const char *root, struct ep_plan_topo *topo, int16_t node_of[EP_PLAN_CPUS_MAX])
{
	struct ep_doctor_cpuset ids, cpus;
	char line[4096];

	tree_line(root, line, sizeof(line), "/sys/devices/system/node/online");
	if (ep_doctor_cpuset_parse(line, &ids) < 0)
		return;
	for (uint32_t id = 0; id < EP_DOCTOR_CPUS_MAX && topo->node_count < EP_PLAN_NODES_MAX;
		id++) {
		struct ep_plan_node *node = &topo->node[topo->node_count];
		int64_t pages = 0;

		if (!ep_doctor_cpuset_has(&ids, id))
			continue;
		topo->node_count++;
		*node = (struct ep_plan_node){.id = (int16_t)id};
		tree_number(root, &pages,
			"/sys/devices/system/node/node%u/hugepages/hugepages-2048kB/free_hugepages",
			id);
		node->huge_free_bytes = pages > 0 ? (uint64_t)pages * PAGE_2M_BYTES : 0;
		node_distances(root, node);
		tree_line(root, line, sizeof(line), "/sys/devices/system/node/node%u/cpulist", id);
		if (ep_doctor_cpuset_parse(line, &cpus) < 0)
			continue;
		for (uint32_t cpu = 0; cpu < EP_PLAN_CPUS_MAX; cpu++)
			if (ep_doctor_cpuset_has(&cpus, cpu))
				node_of[cpu] = (int16_t)id;
	}
}

/* Which CPUs this process may use; in a made-up tree, all. */
static void
allowed(const struct ep_hostinfo_cfg *cfg, struct ep_doctor_cpuset *out)
{
	cpu_set_t set;

	*out = (struct ep_doctor_cpuset){0};
	CPU_ZERO(&set);
	if (cfg->live)
		sched_getaffinity(0, sizeof(set), &set);
	for (uint32_t cpu = 0; cpu < EP_PLAN_CPUS_MAX; cpu++)
		if (!cfg->live || (cpu < CPU_SETSIZE && CPU_ISSET(cpu, &set)))
			ep_doctor_cpuset_add(out, cpu);
}

void
ep_hostinfo_topo(const struct ep_hostinfo_cfg *cfg, const struct ep_doctor_cpu *cpu,
	struct ep_plan_topo *topo)
{
	int16_t node_of[EP_PLAN_CPUS_MAX];
	struct ep_doctor_cpuset may;

	topo->cpu_count = topo->node_count = 0;
	for (uint32_t i = 0; i < EP_PLAN_CPUS_MAX; i++)
		node_of[i] = EP_PLAN_NODE_ANY;
	allowed(cfg, &may);
	nodes(cfg->root, topo, node_of);
	for (uint32_t i = 0; i < EP_PLAN_CPUS_MAX; i++) {
		if (!ep_doctor_cpuset_has(&cpu->online, i))
			continue;
		topo->cpu[topo->cpu_count++] = (struct ep_plan_cpu){
			.id = (uint16_t)i,
			.node = node_of[i],
			.core = cpu->core_of[i] != UINT16_MAX ? cpu->core_of[i] : (uint16_t)i,
			.isolated = ep_doctor_cpuset_has(&cpu->isolated, i),
			.allowed = ep_doctor_cpuset_has(&may, i),
		};
	}
}
