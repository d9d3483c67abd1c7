#include <ep_topo.h>

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* A tree of a machine with 2 nodes of 2 cores of 2 threads: CPU n and n + 4 are siblings. Node 1 does not exist, node 2 does. */
struct fixture {
	char root[64];
	struct ep_plan_topo topo;
};

static int
two_max_node(void)
{
	return 2;
}

static int
two_node_of_cpu(int cpu)
{
	return cpu % 4 < 2 ? 0 : 2;
}

static int
two_distance(int from, int to)
{
	if (from == 1 || to == 1)
		return 0;
	return from == to ? 10 : 21;
}

static int
none_max_node(void)
{
	return -1;
}

static const struct ep_topo_numa two_nodes = {two_max_node, two_node_of_cpu, two_distance};
static const struct ep_topo_numa no_nodes = {none_max_node, two_node_of_cpu, two_distance};

/* Write a file of the tree, with its folders. */
static void __attribute__((format(printf, 3, 4)))
put(const struct fixture *f, const char *text, const char *fmt, ...)
{
	char path[PATH_MAX];
	int used = snprintf(path, sizeof(path), "%s", f->root);
	va_list ap;
	FILE *out;

	va_start(ap, fmt);
	vsnprintf(path + used, sizeof(path) - (size_t)used, fmt, ap);
	va_end(ap);
	for (char *slash = strchr(path + used + 1, '/'); slash != NULL;
		slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
	out = fopen(path, "we");
	assert_non_null(out);
	fputs(text, out);
	fclose(out);
}

static int
tree_create(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return -1;
	snprintf(f->root, sizeof(f->root), "/tmp/ep_topo_test.XXXXXX");
	if (mkdtemp(f->root) == NULL)
		return -1;
	put(f, "0-7\n", "/sys/devices/system/cpu/online");
	put(f, "3,6-7\n", "/sys/devices/system/cpu/isolated");
	for (int cpu = 0; cpu < 8; cpu++) {
		char siblings[16];

		snprintf(siblings, sizeof(siblings), "%d,%d\n", cpu % 4, cpu % 4 + 4);
		put(f, siblings, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list",
			cpu);
	}
	put(f, "512\n", "/sys/devices/system/node/node0/hugepages/hugepages-2048kB/free_hugepages");
	put(f, "3\n",
		"/sys/devices/system/node/node2/hugepages/hugepages-1048576kB/free_hugepages");
	*state = f;
	return 0;
}

static void
tree_remove(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		char below[PATH_MAX];

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
		if (entry->d_type == DT_DIR)
			tree_remove(below);
		else
			unlink(below);
	}
	if (dir != NULL)
		closedir(dir);
	rmdir(path);
}

static int
tree_destroy(void **state)
{
	struct fixture *f = *state;

	tree_remove(f->root);
	free(f);
	return 0;
}

static void
topo_reads_cpus_siblings_and_isolation(void **state)
{
	struct fixture *f = *state;
	const struct ep_topo_cfg cfg = {.root = f->root, .numa = &two_nodes};

	assert_int_equal(ep_topo_read(&cfg, &f->topo, NULL), 0);
	assert_int_equal(f->topo.cpu_count, 8);
	for (uint32_t i = 0; i < 8; i++) {
		assert_int_equal(f->topo.cpu[i].id, i);
		assert_int_equal(f->topo.cpu[i].core, i % 4);
		assert_int_equal(f->topo.cpu[i].node, i % 4 < 2 ? 0 : 2);
		assert_int_equal(f->topo.cpu[i].isolated, i == 3 || i >= 6);
	}
}

static void
topo_reads_nodes_distances_and_huge_pages(void **state)
{
	struct fixture *f = *state;
	const struct ep_topo_cfg cfg = {.root = f->root, .numa = &two_nodes};

	assert_int_equal(ep_topo_read(&cfg, &f->topo, NULL), 0);
	assert_int_equal(f->topo.node_count, 2);
	assert_int_equal(f->topo.node[0].id, 0);
	assert_int_equal(f->topo.node[1].id, 2);
	assert_int_equal(f->topo.node[0].distance[0], 10);
	assert_int_equal(f->topo.node[0].distance[1], 21);
	assert_true(f->topo.node[0].huge_free_bytes == UINT64_C(1) << 30);
	assert_true(f->topo.node[1].huge_free_bytes == UINT64_C(3) << 30);
}

static void
topo_of_a_kernel_without_nodes_is_one_node(void **state)
{
	struct fixture *f = *state;
	const struct ep_topo_cfg cfg = {.root = f->root, .numa = &no_nodes};

	put(f, "7\n", "/sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages");
	assert_int_equal(ep_topo_read(&cfg, &f->topo, NULL), 0);
	assert_int_equal(f->topo.node_count, 1);
	assert_int_equal(f->topo.cpu[5].node, EP_PLAN_NODE_ANY);
	assert_true(f->topo.node[0].huge_free_bytes == UINT64_C(8) << 30);
}

/* What is allowed is the thread's own mask, and of the isolated CPUs those that the kernel lets it on. */
static void
topo_allows_isolated_cpus_that_the_mask_lacks(void **state)
{
	struct fixture *f = *state;
	const struct ep_topo_cfg cfg = {.root = f->root, .numa = &two_nodes};
	cpu_set_t before, one, after;

	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	if (!CPU_ISSET(0, &before) || !CPU_ISSET(1, &before))
		skip();
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	assert_int_equal(ep_topo_read(&cfg, &f->topo, NULL), 0);
	assert_true(f->topo.cpu[0].allowed);
	assert_false(f->topo.cpu[1].allowed);

	put(f, "1\n", "/sys/devices/system/cpu/isolated");
	assert_int_equal(ep_topo_read(&cfg, &f->topo, NULL), 0);
	assert_true(f->topo.cpu[1].allowed);
	assert_int_equal(sched_getaffinity(0, sizeof(after), &after), 0);
	assert_true(CPU_EQUAL(&one, &after)); /* Nobody was moved. */
	assert_true(ep_topo_cpu_allowed(f->root, 1));
	put(f, "\n", "/sys/devices/system/cpu/isolated");
	assert_false(ep_topo_cpu_allowed(f->root, 1));
	assert_true(ep_topo_cpu_allowed(f->root, 0));
	sched_setaffinity(0, sizeof(before), &before);
	put(f, "3,6-7\n", "/sys/devices/system/cpu/isolated");
	assert_false(ep_topo_cpu_allowed(f->root, UINT16_MAX));
}

static void
topo_refuses_a_tree_without_cpus(void **state)
{
	struct fixture *f = *state;
	static const char *const bad[] = {"0-", "x", "4-2", "0;1", "0-99999", "-1"};
	struct ep_topo_cfg cfg = {.root = "/nowhere", .numa = &two_nodes};
	struct ep_err err = {0};

	assert_int_equal(ep_topo_read(&cfg, &f->topo, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/sys/devices/system/cpu/online"));
	cfg.root = f->root;
	for (size_t i = 0; i < EP_ARRAY_LEN(bad); i++) {
		put(f, bad[i], "/sys/devices/system/cpu/online");
		assert_int_equal(ep_topo_read(&cfg, &f->topo, &err), -EINVAL);
	}
	put(f, "0-7\n", "/sys/devices/system/cpu/online");
}

static void
topo_finds_the_node_of_a_nic(void **state)
{
	struct fixture *f = *state;

	put(f, "1\n", "/sys/bus/pci/devices/0000:81:00.0/numa_node");
	put(f, "-1\n", "/sys/bus/pci/devices/0000:01:00.0/numa_node");
	put(f, "2\n", "/sys/class/net/eth1/device/numa_node");
	put(f, "3\n", "/sys/class/net/eth2/numa_node"); /* Not where a NIC's is. */
	put(f, "3\n", "/sys/bus/pci/devices/0000:00:03.0/numa_node");
	put(f, "", "/sys/bus/pci/devices/0000:00:03.0/virtio0/vendor");
	put(f, "", "/sys/class/net/eth3/type");
	{
		char link[PATH_MAX], target[PATH_MAX];

		snprintf(link, sizeof(link), "%s/sys/class/net/eth3/device", f->root);
		snprintf(target, sizeof(target), "%s/sys/bus/pci/devices/0000:00:03.0/virtio0",
			f->root);
		assert_int_equal(symlink(target, link), 0);
	}
	assert_int_equal(ep_topo_nic_node(f->root, "0000:81:00.0"), 1);
	assert_int_equal(ep_topo_nic_node(f->root, "0000:01:00.0"), EP_PLAN_NODE_ANY);
	assert_int_equal(ep_topo_nic_node(f->root, "eth1"), 2);
	assert_int_equal(ep_topo_nic_node(f->root, "eth2"), EP_PLAN_NODE_ANY);
	assert_int_equal(ep_topo_nic_node(f->root, "eth3"), 3);
	assert_int_equal(ep_topo_nic_node(f->root, "../net/eth1"), EP_PLAN_NODE_ANY);
	assert_int_equal(ep_topo_nic_node(f->root, "net_ring0"), EP_PLAN_NODE_ANY);
}

/* With libnuma and the real /sys: as many CPUs as the C library counts, and a plan comes of it. */
static void
topo_of_this_host_is_good_enough_for_a_plan(void **state)
{
	struct fixture *f = *state;
	const struct ep_topo_cfg cfg = {.root = ""};
	struct ep_plan_cfg wishes = {.topo = &f->topo, .nic_count = 1, .control_cpu = -1};
	struct ep_plan *plan = calloc(1, sizeof(*plan));
	cpu_set_t mask;
	int allowed = 0;

	assert_non_null(plan);
	assert_int_equal(ep_topo_read(&cfg, &f->topo, NULL), 0);
	assert_int_equal(f->topo.cpu_count, sysconf(_SC_NPROCESSORS_ONLN));
	assert_int_equal(sched_getaffinity(0, sizeof(mask), &mask), 0);
	for (uint32_t i = 0; i < f->topo.cpu_count; i++)
		allowed += f->topo.cpu[i].allowed;
	assert_true(allowed >= CPU_COUNT(&mask));
	assert_true(f->topo.node_count >= 1);

	wishes.nic[0] =
		(struct ep_plan_nic){.name = "lo", .node = EP_PLAN_NODE_ANY, .queues_max = 1};
	wishes.ring_descs = 512;
	wishes.frame_bytes = 1518;
	assert_int_equal(ep_plan_make(&wishes, plan, NULL), 0);
	assert_int_equal(plan->worker_count, 1);
	free(plan);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(topo_reads_cpus_siblings_and_isolation),
		cmocka_unit_test(topo_reads_nodes_distances_and_huge_pages),
		cmocka_unit_test(topo_of_a_kernel_without_nodes_is_one_node),
		cmocka_unit_test(topo_allows_isolated_cpus_that_the_mask_lacks),
		cmocka_unit_test(topo_refuses_a_tree_without_cpus),
		cmocka_unit_test(topo_finds_the_node_of_a_nic),
		cmocka_unit_test(topo_of_this_host_is_good_enough_for_a_plan),
	};

	return cmocka_run_group_tests(tests, tree_create, tree_destroy);
}
