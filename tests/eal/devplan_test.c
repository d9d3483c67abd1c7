/* The plan of a run, as the doctor's: from options, devices and a made-up machine to workers, queues and what is said of them. */

#include "../../app/devplan.h"

#include <errno.h>
#include <ftw.h>
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

#include <cmocka.h>

/* A CPU that this process may use, whatever machine it is. */
static uint16_t cpu_;
static char root_[] = "/tmp/ep-devplan-XXXXXX";

static int
two_max_node(void)
{
	return 1;
}

/* The CPU is on node 1. */
static int
all_on_node_1(int cpu)
{
	(void)cpu;
	return 1;
}

static int
two_distance(int from, int to)
{
	return from == to ? 10 : 21;
}

static const struct ep_topo_numa two_nodes = {two_max_node, all_on_node_1, two_distance};

static void
put(const char *path, const char *text)
{
	char whole[PATH_MAX];
	FILE *f;

	snprintf(whole, sizeof(whole), "%s/%s", root_, path);
	for (char *p = strchr(whole + 1, '/'); p != NULL; p = strchr(p + 1, '/')) {
		*p = '\0';
		mkdir(whole, 0700);
		*p = '/';
	}
	f = fopen(whole, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void
config_init(struct config *c, struct ep_range *range)
{
	memset(c, 0, sizeof(*c));
	assert_int_equal(ep_range_parse("50000-60000", "ports", range, NULL), 0);
	c->range = range;
	c->ring_descs = 1024;
	c->sizes = (struct ep_sizes){1, {64}};
}

/* A fixture of one test: the options and room for the plan. */
struct fixture {
	struct ep_range range;
	struct config config;
	struct devplan plan;
	struct ep_err err;
};

static struct fixture *
fixture_new(void)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	config_init(&f->config, &f->range);
	return f;
}

/* The NIC is on node 0, the only core that was named on node 1: it works, and the result says what that costs. */
static void
a_plan_across_nodes_is_said_in_the_result(void **state)
{
	const struct ep_topo_cfg machine = {.root = root_, .numa = &two_nodes};
	struct fixture *f = fixture_new();
	struct ep_result *result;
	bool said = false;

	(void)state;
	f->config.dev[f->config.dev_count++] = "net_null0";
	f->config.cores[f->config.core_count++] = cpu_;
	assert_int_equal(devplan_nics(&f->config, false, &f->plan, &f->err), 0);
	f->plan.cfg.nic[0].node = ep_topo_nic_node(root_, "eth0");
	assert_int_equal(f->plan.cfg.nic[0].node, 0);
	if (devplan_make(&machine, &f->plan, &f->err) < 0)
		fail_msg("%s", f->err.text);
	assert_int_equal(f->plan.plan.worker[0].cpu, cpu_);
	assert_int_equal(f->plan.plan.worker[0].node, 1);
	/* Packet buffers are the NIC's neighbours, not the core's. */
	assert_int_equal(f->plan.plan.queue[0].node, 0);
	assert_int_equal(ep_result_create(&f->range, &result), 0);
	devplan_facts(f->plan.plan.note, f->plan.plan.note_count, result);
	for (uint32_t i = 0; i < result->warning_count; i++) {
		said |= strstr(result->warning[i],
				"the worker of net_null0 is on node 1 and the "
				"NIC on node 0: each packet crosses") != NULL;
		/* Whether there are huge pages is the doctor's business. */
		assert_null(strstr(result->warning[i], "huge pages"));
	}
	assert_true(said);
	ep_result_destroy(result);
	free(f);
}

static void
one_core_for_two_devices_is_said(void **state)
{
	const struct ep_topo_cfg machine = {.root = root_, .numa = &two_nodes};
	struct fixture *f = fixture_new();
	struct ep_result *result;
	bool said = false;

	(void)state;
	f->config.cores[f->config.core_count++] = cpu_;
	assert_int_equal(devplan_nics(&f->config, true, &f->plan, &f->err), 0);
	assert_int_equal(f->plan.cfg.nic_count, 2);
	assert_int_equal(devplan_make(&machine, &f->plan, &f->err), 0);
	assert_int_equal(f->plan.plan.worker_count, 1);
	assert_int_equal(f->plan.plan.port[1].first_worker, 0);
	assert_int_equal(ep_result_create(&f->range, &result), 0);
	devplan_facts(f->plan.plan.note, f->plan.plan.note_count, result);
	for (uint32_t i = 0; i < result->warning_count; i++)
		said |= strstr(result->warning[i], "too few cores") != NULL;
	assert_true(said);
	ep_result_destroy(result);
	free(f);
}

/* A small host: workers float, and that is a note, no warning. */
static void
floating_workers_are_a_note_in_host(void **state)
{
	const struct ep_topo_cfg machine = {.root = root_, .numa = &two_nodes};
	struct fixture *f = fixture_new();
	struct ep_result *result;

	(void)state;
	f->config.dev[f->config.dev_count++] = "net_null0";
	assert_int_equal(devplan_nics(&f->config, false, &f->plan, &f->err), 0);
	assert_int_equal(devplan_make(&machine, &f->plan, &f->err), 0);
	assert_true(f->plan.plan.floating);
	assert_int_equal(ep_result_create(&f->range, &result), 0);
	devplan_facts(f->plan.plan.note, f->plan.plan.note_count, result);
	assert_int_equal(result->warning_count, 0);
	assert_int_equal(result->host_count, 1);
	assert_string_equal(result->host[0].key, "plan_note");
	ep_result_destroy(result);
	free(f);
}

static void
queues_are_asked_for_where_they_can_be_had(void **state)
{
	static const struct {
		const char *dev;
		bool impair;
		uint32_t queues;
		int ret;
		const char *sentence;
	} row[] = {
		{"net_memif0,role=server", false, 4, 0, NULL},
		{"net_null0", false, 64, 0, NULL},
		{"net_tap0", false, 16, 0, NULL},
		{"net_tap0,iface=t0", false, 17, -ERANGE, "--queues 17: net_tap0 can have 1 to 16"},
		{NULL, false, 16, 0, NULL},
		{NULL, false, 17, -ERANGE, "end 1 of the in-memory pair can have 1 to 16"},
		{NULL, true, 1, 0, NULL},
		{NULL, true, 2, -ERANGE, "the model of --impair has one queue each way"},
		{"nosuch0", false, 0, -ENODEV, "nosuch0"},
		{"", false, 0, -EINVAL, "--dev is empty"},
		{"lo", false, 3, 0, NULL},
		{"af_packet:lo", false, 2, 0, NULL},
		{"af_packet:lo", false, 17, -ERANGE, "--queues 17: af_packet:lo can have 1 to 16"},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		struct fixture *f = fixture_new();
		int ret;

		if (row[i].dev != NULL)
			f->config.dev[f->config.dev_count++] = row[i].dev;
		f->config.queues = row[i].queues;
		f->config.has_impair = row[i].impair;
		ret = devplan_nics(&f->config, true, &f->plan, &f->err);
		if (ret != row[i].ret)
			fail_msg("%s: %d, %s", row[i].dev, ret, f->err.text);
		if (ret < 0)
			assert_non_null(strstr(f->err.text, row[i].sentence));
		else if (row[i].queues > 0)
			assert_int_equal(f->plan.cfg.nic[0].queues_wanted, row[i].queues);
		free(f);
	}
}

static int
make_root(void **state)
{
	char text[16];
	cpu_set_t set;

	(void)state;
	if (mkdtemp(root_) == NULL || sched_getaffinity(0, sizeof(set), &set) < 0)
		return -1;
	while (!CPU_ISSET(cpu_, &set))
		cpu_++;
	snprintf(text, sizeof(text), "%u\n", cpu_);
	put("sys/devices/system/cpu/online", text);
	put("sys/class/net/eth0/device/numa_node", "0\n");
	return 0;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int
remove_root(void **state)
{
	(void)state;
	return nftw(root_, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plan_across_nodes_is_said_in_the_result),
		cmocka_unit_test(one_core_for_two_devices_is_said),
		cmocka_unit_test(floating_workers_are_a_note_in_host),
		cmocka_unit_test(queues_are_asked_for_where_they_can_be_had),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
