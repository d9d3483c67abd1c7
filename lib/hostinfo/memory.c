/* Free memory, huge pages of each node, transparent huge pages. */

#include "hostinfo_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGES_2M "hugepages-2048kB"
#define PAGES_1G "hugepages-1048576kB"

static void
available(const char *root, struct ep_doctor_memory *out)
{
	char path[PATH_MAX], line[128];
	FILE *in = tree_path(root, path, "/proc/meminfo") ? fopen(path, "re") : NULL;
	unsigned long long kib;

	while (in != NULL && fgets(line, sizeof(line), in) != NULL) {
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1) {
			out->available_bytes = kib * 1024;
			out->known = true;
		}
	}
	if (in != NULL)
		fclose(in);
}

static uint64_t
pages(const char *root, const char *folder, const char *size, const char *what)
{
	int64_t value = 0;

	tree_number(root, &value, "%s/%s/%s", folder, size, what);
	return value > 0 ? (uint64_t)value : 0;
}

static void
node_add(const char *root, const char *folder, int id, struct ep_doctor_memory *out)
{
	if (out->node_count == EP_DOCTOR_NODES_MAX)
		return;
	out->node[out->node_count++] = (struct ep_doctor_node){
		.id = id,
		.pages_2m = pages(root, folder, PAGES_2M, "nr_hugepages"),
		.free_2m = pages(root, folder, PAGES_2M, "free_hugepages"),
		.pages_1g = pages(root, folder, PAGES_1G, "nr_hugepages"),
		.free_1g = pages(root, folder, PAGES_1G, "free_hugepages"),
	};
}

/* A kernel without NUMA has no nodes, and one count for all. */
static void
nodes(const char *root, struct ep_doctor_memory *out)
{
	struct ep_doctor_cpuset ids;
	char line[128], folder[64];

	tree_line(root, line, sizeof(line), "/sys/devices/system/node/online");
	if (ep_doctor_cpuset_parse(line, &ids) < 0)
		ids = (struct ep_doctor_cpuset){0};
	for (uint32_t id = 0; id < EP_DOCTOR_CPUS_MAX; id++) {
		if (!ep_doctor_cpuset_has(&ids, id))
			continue;
		snprintf(folder, sizeof(folder), "/sys/devices/system/node/node%u/hugepages", id);
		node_add(root, folder, (int)id, out);
	}
	if (out->node_count == 0)
		node_add(root, "/sys/kernel/mm/hugepages", 0, out);
}

/* "always [madvise] never" */
static void
transparent(const char *root, struct ep_doctor_memory *out)
{
	char line[128];
	char *open;

	out->thp[0] = '\0';
	tree_line(root, line, sizeof(line), "/sys/kernel/mm/transparent_hugepage/enabled");
	open = strchr(line, '[');
	if (open == NULL || strchr(open, ']') == NULL)
		return;
	*strchr(open, ']') = '\0';
	text_copy(out->thp, sizeof(out->thp), open + 1);
}

void
hostinfo_memory(const struct ep_hostinfo_cfg *cfg, struct ep_doctor_memory *out)
{
	out->known = false;
	out->available_bytes = 0;
	out->node_count = 0;
	out->huge_known = tree_has(cfg->root, "/sys/kernel/mm/hugepages/" PAGES_2M);
	available(cfg->root, out);
	nodes(cfg->root, out);
	transparent(cfg->root, out);
}

int
ep_hostinfo_huge_set(const char *root, int node, uint64_t count, struct ep_err *err)
{
	char path[PATH_MAX];
	bool fits = node < 0
		? tree_path(root, path, "/proc/sys/vm/nr_hugepages")
		: tree_path(root, path,
			  "/sys/devices/system/node/node%d/hugepages/" PAGES_2M "/nr_hugepages",
			  node);
	FILE *out = fits ? fopen(path, "r+e") : NULL;
	int ret = 0;

	if (out == NULL)
		return ep_err_set(err, fits ? -errno : -ENAMETOOLONG, "%s: %s", path,
			strerror(fits ? errno : ENAMETOOLONG));
	if (fprintf(out, "%llu\n", (unsigned long long)count) < 0)
		ret = -errno;
	if (fclose(out) != 0 && ret == 0)
		ret = -errno;
	return ret == 0 ? 0 : ep_err_set(err, ret, "%s: %s", path, strerror(-ret));
}
