#include "ep_topo.h"

#include <numa.h>

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CPUS "/sys/devices/system/cpu"
#define NODES "/sys/devices/system/node"
#define KIB 1024
#define DISTANCE_MAX 255

/* First line of a file of the tree. */
static int __attribute__((format(printf, 4, 5)))
line_read(const char *root, char *line, size_t len, const char *fmt, ...)
{
	char path[PATH_MAX];
	const int used = snprintf(path, sizeof(path), "%s", root);
	va_list ap;
	FILE *f;
	int ret = 0;

	if (used < 0 || (size_t)used >= sizeof(path))
		return -ENAMETOOLONG;
	va_start(ap, fmt);
	vsnprintf(path + used, sizeof(path) - (size_t)used, fmt, ap);
	va_end(ap);
	f = fopen(path, "re");
	if (f == NULL)
		return -errno;
	/* An empty list is an empty file, or one with an empty line. */
	line[0] = '\0';
	if (fgets(line, (int)len, f) == NULL && ferror(f))
		ret = -EIO;
	fclose(f);
	line[strcspn(line, "\n")] = '\0';
	return ret;
}

/* CPUs of "0-3,8" into a set; -EINVAL where it is none. */
static int
list_parse(const char *text, cpu_set_t *set)
{
	CPU_ZERO(set);
	while (*text != '\0') {
		char *end;
		const unsigned long first = strtoul(text, &end, 10);
		unsigned long last = first;

		if (end == text)
			return -EINVAL;
		if (*end == '-') {
			text = end + 1;
			last = strtoul(text, &end, 10);
			if (end == text)
				return -EINVAL;
		}
		if (first > last || last >= CPU_SETSIZE || (*end != ',' && *end != '\0'))
			return -EINVAL;
		for (unsigned long cpu = first; cpu <= last; cpu++)
			CPU_SET(cpu, set);
		text = *end == ',' ? end + 1 : end;
	}
	return 0;
}

static int __attribute__((format(printf, 3, 4)))
set_read(const char *root, cpu_set_t *set, const char *fmt, ...)
{
	char path[PATH_MAX], line[4096];
	va_list ap;
	int ret;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	ret = line_read(root, line, sizeof(line), "%s", path);
	return ret < 0 ? ret : list_parse(line, set);
}

/* --- CPUs ------------------------------------------------------------------------------------------------------------- */

static bool
can_run(uint16_t cpu, const cpu_set_t *mask)
{
	cpu_set_t there;
	bool can;

	CPU_ZERO(&there);
	CPU_SET(cpu, &there);
	can = sched_setaffinity(0, sizeof(there), &there) == 0;
	sched_setaffinity(0, sizeof(*mask), mask);
	return can;
}

static bool
is_allowed(uint16_t cpu, const cpu_set_t *isolated, const cpu_set_t *mask)
{
	return CPU_ISSET(cpu, mask) || (CPU_ISSET(cpu, isolated) && can_run(cpu, mask));
}

/* Without the file nothing is isolated. */
static void
isolated_read(const char *root, cpu_set_t *isolated)
{
	if (set_read(root, isolated, CPUS "/isolated") < 0)
		CPU_ZERO(isolated);
}

bool
ep_topo_cpu_allowed(const char *root, uint16_t cpu)
{
	cpu_set_t isolated, mask;

	if (cpu >= CPU_SETSIZE || sched_getaffinity(0, sizeof(mask), &mask) < 0)
		return false;
	isolated_read(root, &isolated);
	return is_allowed(cpu, &isolated, &mask);
}

/* Lowest CPU of the same physical core; the CPU itself where the kernel does not say. */
static uint16_t
core_of(const char *root, uint16_t cpu)
{
	cpu_set_t siblings;

	if (set_read(root, &siblings, CPUS "/cpu%u/topology/thread_siblings_list", cpu) < 0)
		return cpu;
	for (uint16_t i = 0; i < cpu; i++)
		if (CPU_ISSET(i, &siblings))
			return i;
	return cpu;
}

static int16_t
node_of(const struct ep_topo_numa *numa, uint16_t cpu)
{
	const int node = numa->max_node() < 0 ? -1 : numa->node_of_cpu(cpu);

	return node < 0 ? EP_PLAN_NODE_ANY : (int16_t)node;
}

static int
cpus_read(const char *root, const struct ep_topo_numa *numa, struct ep_plan_topo *topo,
	struct ep_err *err)
{
	cpu_set_t online, isolated, mask;
	const int ret = set_read(root, &online, CPUS "/online");

	if (ret < 0)
		return ep_err_set(
			err, ret, "CPUs of this host: " CPUS "/online: %s", strerror(-ret));
	isolated_read(root, &isolated);
	if (sched_getaffinity(0, sizeof(mask), &mask) < 0)
		return ep_err_set(err, -errno, "CPUs of this process: %s", strerror(errno));
	for (uint32_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		struct ep_plan_cpu *out = &topo->cpu[topo->cpu_count];

		if (!CPU_ISSET(cpu, &online))
			continue;
		if (topo->cpu_count == EP_PLAN_CPUS_MAX)
			return ep_err_set(err, -E2BIG,
				"more than %d CPUs are online; allowed are at most %d",
				EP_PLAN_CPUS_MAX, EP_PLAN_CPUS_MAX);
		out->id = (uint16_t)cpu;
		out->node = node_of(numa, out->id);
		out->core = core_of(root, out->id);
		out->isolated = CPU_ISSET(cpu, &isolated);
		out->allowed = is_allowed(out->id, &isolated, &mask);
		topo->cpu_count++;
	}
	return 0;
}

/* --- Nodes ------------------------------------------------------------------------------------------------------------ */

/* Free huge pages of both usual sizes; a kernel without nodes has them in one place. */
static uint64_t
huge_free_bytes(const char *root, int node)
{
	static const uint64_t size_kib[] = {2 * KIB, KIB * KIB};
	uint64_t bytes = 0;
	char line[32];

	for (size_t i = 0; i < EP_ARRAY_LEN(size_kib); i++) {
		int ret = line_read(root, line, sizeof(line),
			NODES "/node%d/hugepages/hugepages-%jukB/free_hugepages", node,
			(uintmax_t)size_kib[i]);

		if (ret < 0 && node == 0)
			ret = line_read(root, line, sizeof(line),
				"/sys/kernel/mm/hugepages/hugepages-%jukB/free_hugepages",
				(uintmax_t)size_kib[i]);
		if (ret == 0)
			bytes += strtoull(line, NULL, 10) * size_kib[i] * KIB;
	}
	return bytes;
}

/* A number below the highest may stand for no node. */
static bool
node_exists(const struct ep_topo_numa *numa, int node)
{
	return numa->distance(node, node) > 0;
}

static int
nodes_read(const char *root, const struct ep_topo_numa *numa, struct ep_plan_topo *topo,
	struct ep_err *err)
{
	const int last = numa->max_node();

	for (int node = 0; node <= (last < 0 ? 0 : last); node++) {
		if (last >= 0 && !node_exists(numa, node))
			continue;
		if (topo->node_count == EP_PLAN_NODES_MAX)
			return ep_err_set(err, -E2BIG,
				"more than %d NUMA nodes; allowed are at most %d",
				EP_PLAN_NODES_MAX, EP_PLAN_NODES_MAX);
		topo->node[topo->node_count].id = (int16_t)node;
		topo->node[topo->node_count++].huge_free_bytes = huge_free_bytes(root, node);
	}
	for (uint32_t i = 0; last >= 0 && i < topo->node_count; i++) {
		for (uint32_t j = 0; j < topo->node_count; j++) {
			const int d = numa->distance(topo->node[i].id, topo->node[j].id);

			topo->node[i].distance[j] = (uint8_t)(d < DISTANCE_MAX ? d : DISTANCE_MAX);
		}
	}
	return 0;
}

static int
libnuma_max_node(void)
{
	return numa_available() < 0 ? -1 : numa_max_node();
}

static const struct ep_topo_numa libnuma = {
	.max_node = libnuma_max_node,
	.node_of_cpu = numa_node_of_cpu,
	.distance = numa_distance,
};

int
ep_topo_read(const struct ep_topo_cfg *cfg, struct ep_plan_topo *topo, struct ep_err *err)
{
	const struct ep_topo_numa *numa = cfg->numa != NULL ? cfg->numa : &libnuma;
	struct ep_plan_topo *read = calloc(1, sizeof(*read));
	int ret;

	if (read == NULL)
		return ep_err_set(err, -ENOMEM, "no memory to read the CPUs of this host");
	ret = cpus_read(cfg->root, numa, read, err);
	if (ret == 0)
		ret = nodes_read(cfg->root, numa, read, err);
	if (ret == 0)
		*topo = *read;
	free(read);
	return ret;
}

/* --- NICs ------------------------------------------------------------------------------------------------------------- */

int16_t
ep_topo_nic_node(const char *root, const char *name)
{
	/* A virtio NIC is a device of the virtio bus, below that of PCI whose node counts. */
	static const struct {
		const char *before, *after;
	} place[] = {
		{"/sys/class/net/", "/device/numa_node"},
		{"/sys/class/net/", "/device/../numa_node"},
		{"/sys/bus/pci/devices/", "/numa_node"},
	};

	if (name[0] == '.' || strchr(name, '/') != NULL)
		return EP_PLAN_NODE_ANY;
	for (size_t i = 0; i < EP_ARRAY_LEN(place); i++) {
		char line[32], *end;
		long node;

		if (line_read(root, line, sizeof(line), "%s%s%s", place[i].before, name,
			    place[i].after) < 0)
			continue;
		node = strtol(line, &end, 10);
		if (end != line && node >= 0 && node <= INT16_MAX)
			return (int16_t)node;
	}
	return EP_PLAN_NODE_ANY;
}
