#include <ep_plan.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GBPS UINT64_C(1000000000)
#define GIB (UINT64_C(1) << 30)

struct fixture {
	struct ep_plan_topo topo;
	struct ep_plan_cfg cfg;
	struct ep_plan plan;
	struct ep_range range;
	uint64_t rng;
};

static uint64_t
seed_get(void)
{
	const char *text = getenv("EP_TEST_SEED");

	return text != NULL ? strtoull(text, NULL, 0) : 1;
}

static uint32_t
rng_below(struct fixture *f, uint32_t n)
{
	f->rng = f->rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)((f->rng >> 33) % n);
}

static int
fixture_create(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return -1;
	f->rng = seed_get();
	*state = f;
	return 0;
}

static int
fixture_destroy(void **state)
{
	free(*state);
	return 0;
}

/* Nodes with cores each; with SMT, CPU n + all cores is the sibling of CPU n, as Linux numbers them. */
static void
machine(struct fixture *f, uint32_t nodes, uint32_t cores_each, uint32_t threads)
{
	const uint32_t cores = nodes * cores_each;

	memset(&f->topo, 0, sizeof(f->topo));
	memset(&f->cfg, 0, sizeof(f->cfg));
	f->topo.cpu_count = cores * threads;
	for (uint32_t i = 0; i < f->topo.cpu_count; i++)
		f->topo.cpu[i] = (struct ep_plan_cpu){
			.id = (uint16_t)i,
			.node = (int16_t)(i % cores / cores_each),
			.core = (uint16_t)(i % cores),
			.allowed = true,
		};
	f->topo.node_count = nodes;
	for (uint32_t n = 0; n < nodes; n++) {
		f->topo.node[n].id = (int16_t)n;
		f->topo.node[n].huge_free_bytes = 4 * GIB;
		/* A ring: the further, the longer. */
		for (uint32_t m = 0; m < nodes; m++)
			f->topo.node[n].distance[m] = (uint8_t)(n == m                 ? 10
					: (n + 1) % nodes == m || (m + 1) % nodes == n ? 21
										       : 31);
	}
	f->cfg.topo = &f->topo;
	f->cfg.control_cpu = -1;
	f->cfg.ring_descs = 1024;
	f->cfg.frame_bytes = 1518;
}

static struct ep_plan_nic *
nic(struct fixture *f, const char *name, int16_t node, uint64_t speed_bps, uint16_t queues_max)
{
	struct ep_plan_nic *n = &f->cfg.nic[f->cfg.nic_count++];

	snprintf(n->name, sizeof(n->name), "%s", name);
	n->kind = EP_PLAN_NIC_PCI;
	n->node = node;
	n->speed_bps = speed_bps;
	n->queues_max = queues_max;
	return n;
}

static void
cores(struct fixture *f, uint32_t count, const uint16_t *core)
{
	f->cfg.core_count = count;
	memcpy(f->cfg.core, core, count * sizeof(*core));
}

static bool
has_note(const struct ep_plan *p, enum ep_plan_level level, const char *text)
{
	for (uint32_t i = 0; i < p->note_count; i++)
		if (p->note[i].level == level && strstr(p->note[i].text, text) != NULL)
			return true;
	return false;
}

static const struct ep_plan_cpu *
cpu_of(const struct fixture *f, uint16_t id)
{
	for (uint32_t i = 0; i < f->topo.cpu_count; i++)
		if (f->topo.cpu[i].id == id)
			return &f->topo.cpu[i];
	fail_msg("there is no CPU %u", id);
	return NULL;
}

/* No CPU is used twice, and none that is not allowed; by itself, the plan uses no sibling of a worker or of the main thread. */
static void
assert_workers(const struct fixture *f)
{
	const struct ep_plan *p = &f->plan;

	assert_true(p->worker_count >= 1);
	for (uint32_t i = 0; i < p->worker_count; i++) {
		const struct ep_plan_worker *w = &p->worker[i];

		assert_string_not_equal(w->reason, "");
		assert_true(w->queue_count >= 1);
		if (p->floating)
			continue;
		assert_true(cpu_of(f, w->cpu)->allowed);
		assert_int_equal(w->node, cpu_of(f, w->cpu)->node);
		assert_int_not_equal(w->cpu, p->control_cpu);
		for (uint32_t j = 0; j < i; j++) {
			assert_int_not_equal(w->cpu, p->worker[j].cpu);
			if (f->cfg.core_count == 0)
				assert_int_not_equal(
					cpu_of(f, w->cpu)->core, cpu_of(f, p->worker[j].cpu)->core);
		}
		if (f->cfg.core_count == 0 && f->cfg.control_cpu < 0)
			assert_int_not_equal(
				cpu_of(f, w->cpu)->core, cpu_of(f, (uint16_t)p->control_cpu)->core);
	}
}

/* Every queue has one worker, of its NIC's; its memory is beside the NIC; a worker on another node is named in a note. */
static void
assert_queues(const struct fixture *f)
{
	const struct ep_plan *p = &f->plan;
	uint32_t served[EP_PLAN_WORKERS_MAX] = {0};
	uint32_t at = 0;

	assert_int_equal(p->port_count, f->cfg.nic_count);
	for (uint32_t i = 0; i < p->port_count; i++) {
		const struct ep_plan_nic *n = &f->cfg.nic[i];
		const struct ep_plan_port *port = &p->port[i];

		assert_string_not_equal(port->reason, "");
		assert_string_not_equal(port->steer, "");
		assert_int_equal(port->first_queue, at);
		assert_true(port->queue_count >= 1 && port->queue_count <= n->queues_max);
		assert_true(port->queue_count >= n->queues_min);
		assert_true(port->worker_count >= 1 && port->worker_count <= port->queue_count);
		assert_true(n->queues_wanted == 0 || port->queue_count == n->queues_wanted);
		for (uint16_t k = 0; k < port->queue_count; k++, at++) {
			const struct ep_plan_queue *q = &p->queue[at];
			const struct ep_plan_worker *w = &p->worker[q->worker];

			assert_int_equal(q->nic, i);
			assert_int_equal(q->number, k);
			assert_int_equal(q->worker, port->first_worker + k % port->worker_count);
			assert_true(q->worker < p->worker_count);
			assert_string_not_equal(q->reason, "");
			assert_true(q->pool_bytes > (uint64_t)q->pool_mbufs * f->cfg.frame_bytes);
			assert_true(q->pool_mbufs > f->cfg.ring_descs);
			assert_int_equal(q->node, n->node != EP_PLAN_NODE_ANY ? n->node : w->node);
			if (!p->floating && w->node != EP_PLAN_NODE_ANY && q->node != w->node)
				assert_true(has_note(p, EP_PLAN_WARN, "crosses between nodes"));
			served[q->worker]++;
		}
	}
	assert_int_equal(p->queue_count, at);
	for (uint32_t i = 0; i < p->worker_count; i++)
		assert_int_equal(p->worker[i].queue_count, served[i]);
}

static void
plan_of(struct fixture *f)
{
	struct ep_err err = {0};

	memset(&f->plan, 0xff, sizeof(f->plan));
	if (ep_plan_make(&f->cfg, &f->plan, &err) != 0)
		fail_msg("%s", err.text);
	assert_string_not_equal(f->plan.control_reason, "");
	assert_workers(f);
	assert_queues(f);
}

static void
plan_of_two_cores_floats(void **state)
{
	struct fixture *f = *state;

	machine(f, 1, 2, 1);
	nic(f, "eth0", EP_PLAN_NODE_ANY, GBPS, 2)->kind = EP_PLAN_NIC_KERNEL;
	plan_of(f);
	assert_true(f->plan.floating);
	assert_int_equal(f->plan.control_cpu, -1);
	assert_int_equal(f->plan.worker_count, 1);
	assert_true(has_note(&f->plan, EP_PLAN_INFO, "without a core of its own"));
	assert_non_null(strstr(f->plan.port[0].steer, "filter"));

	/* Named cores are pinned all the same, and what that costs is said. */
	cores(f, 2, (const uint16_t[]){0, 1});
	plan_of(f);
	assert_false(f->plan.floating);
	assert_int_equal(f->plan.worker_count, 2);
	assert_true(has_note(&f->plan, EP_PLAN_WARN, "the main thread shares one"));
}

static void
plan_of_four_cores_leaves_the_kernel_half(void **state)
{
	struct fixture *f = *state;

	machine(f, 1, 4, 1);
	nic(f, "eth0", 0, 100 * GBPS, 16);
	plan_of(f);
	assert_false(f->plan.floating);
	assert_int_equal(f->plan.control_cpu, 0);
	assert_int_equal(f->plan.worker_count, 2);
	assert_int_equal(f->plan.worker[0].cpu, 2);
	assert_int_equal(f->plan.worker[1].cpu, 3);
	assert_non_null(strstr(f->plan.port[0].reason, "as far as there are cores"));
}

/* Two sockets of 32 cores, one NIC on each. */
static void
plan_of_two_nics_keeps_each_on_its_node(void **state)
{
	struct fixture *f = *state;

	for (uint32_t threads = 1; threads <= 2; threads++) {
		machine(f, 2, 32, threads);
		nic(f, "0000:01:00.0", 0, 100 * GBPS, 64);
		nic(f, "0000:81:00.0", 1, 25 * GBPS, 64);
		plan_of(f);
		assert_int_equal(f->plan.port[0].queue_count, 10);
		assert_int_equal(f->plan.port[1].queue_count, 3);
		assert_int_equal(f->plan.worker_count, 13);
		assert_int_equal(f->plan.control_cpu, 0);
		for (uint32_t i = 0; i < 13; i++) {
			assert_int_equal(f->plan.worker[i].node, i >= 10);
			assert_true(f->plan.worker[i].cpu < 64); /* No second thread of a core. */
			assert_true(threads == 1 ||
				strstr(f->plan.worker[i].reason, "stays idle") != NULL);
		}
		assert_int_equal(f->plan.note_count, 0);
	}
}

static void
plan_of_four_nodes_takes_the_nearest_where_its_own_has_no_core(void **state)
{
	struct fixture *f = *state;

	machine(f, 4, 8, 2);
	nic(f, "0000:41:00.0", 2, 25 * GBPS, 16);
	for (uint32_t i = 0; i < f->topo.cpu_count; i++)
		f->topo.cpu[i].allowed = f->topo.cpu[i].node != 2;
	plan_of(f);
	/* Nodes 1 and 3 are as near; 0 is not. One core: on its own node it would have had three. */
	assert_int_equal(f->plan.worker_count, 1);
	assert_int_not_equal(f->plan.worker[0].node, 0);
	assert_int_equal(f->plan.queue[0].node, 2);
	assert_true(has_note(&f->plan, EP_PLAN_WARN, "crosses between nodes"));

	for (uint32_t i = 0; i < f->topo.cpu_count; i++)
		f->topo.cpu[i].allowed = true;
	plan_of(f);
	assert_int_equal(f->plan.worker_count, 3);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(f->plan.worker[i].node, 2);
}

static void
plan_takes_isolated_cores_first_and_all_of_them(void **state)
{
	struct fixture *f = *state;

	/* isolcpus=4-7: with 8 cores half would be 4 in any case, so ask for six. */
	machine(f, 1, 8, 1);
	nic(f, "0000:01:00.0", 0, 60 * GBPS, 64);
	for (uint32_t i = 2; i < 6; i++)
		f->topo.cpu[i].isolated = true;
	plan_of(f);
	assert_int_equal(f->plan.worker_count, 6); /* Four isolated, and half of the other four. */
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(f->plan.worker[i].cpu, 2 + i);
	assert_non_null(strstr(f->plan.worker[0].reason, "isolated"));
	assert_null(strstr(f->plan.worker[4].reason, "isolated"));
	assert_int_equal(f->plan.control_cpu, 0);

	/* With one worker an isolated one, though others have higher numbers. */
	f->cfg.worker_count = 1;
	plan_of(f);
	assert_int_equal(f->plan.worker[0].cpu, 5);

	/* A host of two cores, one of them isolated, is pinned. */
	machine(f, 1, 2, 1);
	nic(f, "0000:01:00.0", 0, 10 * GBPS, 4);
	f->topo.cpu[1].isolated = true;
	plan_of(f);
	assert_false(f->plan.floating);
	assert_int_equal(f->plan.worker[0].cpu, 1);
}

static void
plan_of_more_queues_than_cores_shares_them_out(void **state)
{
	struct fixture *f = *state;

	machine(f, 1, 8, 1);
	nic(f, "0000:01:00.0", 0, 100 * GBPS, 64)->queues_wanted = 10;
	plan_of(f);
	assert_int_equal(f->plan.worker_count, 4);
	assert_int_equal(f->plan.queue_count, 10);
	assert_true(has_note(&f->plan, EP_PLAN_WARN, "4 workers serve 10 queues"));
	assert_int_equal(f->plan.worker[0].queue_count, 3);
	assert_int_equal(f->plan.worker[3].queue_count, 2);

	/* AF_XDP fills all queues of the interface, so all are served, by as many cores as its speed needs. */
	machine(f, 1, 8, 1);
	nic(f, "eth0", 0, 10 * GBPS, 8)->kind = EP_PLAN_NIC_KERNEL;
	f->cfg.nic[0].queues_min = 8;
	plan_of(f);
	assert_int_equal(f->plan.worker_count, 1);
	assert_int_equal(f->plan.queue_count, 8);
	assert_non_null(strstr(f->plan.port[0].reason, "all have to be served"));
}

static void
plan_of_more_cores_than_queues_names_the_idle_ones(void **state)
{
	struct fixture *f = *state;

	machine(f, 1, 8, 1);
	nic(f, "net_ring0", EP_PLAN_NODE_ANY, 0, 2)->kind = EP_PLAN_NIC_VIRTUAL;
	cores(f, 4, (const uint16_t[]){7, 5, 3, 1});
	plan_of(f);
	assert_int_equal(f->plan.worker_count, 2);
	assert_int_equal(f->plan.worker[0].cpu, 7); /* In the user's order. */
	assert_int_equal(f->plan.worker[1].cpu, 5);
	assert_true(has_note(&f->plan, EP_PLAN_WARN, "CPU 3 of --cores stays idle"));
	assert_true(has_note(&f->plan, EP_PLAN_WARN, "CPU 1 of --cores stays idle"));
}

static void
plan_of_named_cores_says_what_they_cost(void **state)
{
	struct fixture *f = *state;

	machine(f, 2, 4, 2);
	nic(f, "0000:01:00.0", 0, 100 * GBPS, 64);
	cores(f, 4, (const uint16_t[]){1, 9, 8, 5});
	plan_of(f);
	assert_int_equal(f->plan.worker_count, 4);
	assert_int_equal(f->plan.control_cpu, 0);
	assert_true(
		has_note(&f->plan, EP_PLAN_WARN, "CPU 1 and 9 of --cores are one physical core"));
	assert_true(has_note(
		&f->plan, EP_PLAN_WARN, "CPU 8 of --cores shares its physical core with the main"));
	assert_true(has_note(
		&f->plan, EP_PLAN_WARN, "1 of the 4 workers of 0000:01:00.0 is on node 1"));
}

static void
plan_of_named_cores_gives_each_nic_its_own_side_first(void **state)
{
	struct fixture *f = *state;

	machine(f, 2, 8, 1);
	nic(f, "left", 0, 10 * GBPS, 8);
	nic(f, "right", 1, 10 * GBPS, 8);
	cores(f, 4, (const uint16_t[]){9, 2, 10, 3});
	plan_of(f);
	assert_int_equal(f->plan.port[0].worker_count, 2);
	assert_int_equal(f->plan.worker[0].cpu, 2);
	assert_int_equal(f->plan.worker[1].cpu, 3);
	assert_int_equal(f->plan.worker[2].cpu, 9);
	assert_int_equal(f->plan.worker[3].cpu, 10);
	assert_int_equal(f->plan.note_count, 0);

	/* Both on one node: rather one each, one of them remote, than none for one NIC. */
	cores(f, 2, (const uint16_t[]){2, 3});
	plan_of(f);
	assert_int_equal(f->plan.port[0].worker_count, 1);
	assert_int_equal(f->plan.port[1].worker_count, 1);
	assert_true(has_note(&f->plan, EP_PLAN_WARN, "of right is on node 0"));

	cores(f, 1, (const uint16_t[]){3});
	plan_of(f);
	assert_int_equal(f->plan.worker_count, 1);
	assert_int_equal(f->plan.worker[0].queue_count, 2);
	assert_true(has_note(&f->plan, EP_PLAN_WARN, "right is served by the worker of left"));
}

static void
plan_names_a_node_with_too_few_huge_pages(void **state)
{
	struct fixture *f = *state;

	machine(f, 2, 8, 1);
	nic(f, "0000:81:00.0", 1, 10 * GBPS, 8);
	f->topo.node[0].huge_free_bytes = 0; /* Nothing is put there. */
	f->topo.node[1].huge_free_bytes = 4 << 20;
	plan_of(f);
	assert_int_equal(f->plan.note_count, 1);
	assert_true(has_note(&f->plan, EP_PLAN_WARN, "node 1 has 4 MiB"));
}

/* Other devices are content with ordinary pages; a NIC that writes to memory by itself is not, whatever shares its node. */
static void
plan_says_who_does_without_huge_pages(void **state)
{
	struct fixture *f = *state;

	machine(f, 1, 8, 1);
	nic(f, "eth1", EP_PLAN_NODE_ANY, 10 * GBPS, 1)->kind = EP_PLAN_NIC_KERNEL;
	nic(f, "net_memif0", EP_PLAN_NODE_ANY, 0, 1)->kind = EP_PLAN_NIC_VIRTUAL;
	f->topo.node[0].huge_free_bytes = 0;
	plan_of(f);
	assert_true(has_note(&f->plan, EP_PLAN_WARN, "MiB: ordinary pages do, and cost rate"));
	assert_false(has_note(&f->plan, EP_PLAN_WARN, "no other memory"));

	nic(f, "0000:81:00.0", EP_PLAN_NODE_ANY, 10 * GBPS, 1);
	plan_of(f);
	assert_true(has_note(&f->plan, EP_PLAN_WARN,
		"MiB: 0000:81:00.0 is refused until there are more, for a PCI device takes no "
		"other memory"));
	assert_false(has_note(&f->plan, EP_PLAN_WARN, "ordinary pages"));
}

static void
plan_carries_the_rules_of_the_range(void **state)
{
	struct fixture *f = *state;

	machine(f, 1, 8, 1);
	nic(f, "0000:01:00.0", 0, 10 * GBPS, 8);
	assert_int_equal(ep_range_parse("50000-60000", "--ports", &f->range, NULL), 0);
	f->cfg.range = &f->range;
	plan_of(f);
	assert_true(f->plan.has_masks);
	assert_int_equal(f->plan.masks.rule_count, 11);
	assert_non_null(strstr(f->plan.port[0].steer, "11 value/mask rules"));

	/* One port in 13: too ragged for a table. */
	f->range.port_count = 0;
	for (uint32_t port = 0; port < EP_RANGE_PORTS; port++) {
		f->range.index[port] = EP_RANGE_NONE;
		if (port % 13 != 1)
			continue;
		f->range.index[port] = f->range.port_count;
		f->range.port[f->range.port_count++] = (uint16_t)port;
	}
	plan_of(f);
	assert_false(f->plan.has_masks);
	assert_true(has_note(&f->plan, EP_PLAN_WARN, "software picks the range instead"));
	assert_non_null(strstr(f->plan.port[0].steer, "RSS on UDP ports"));
}

/* Whatever the machine: the properties hold (plan_of asserts them), and the same input gives the same plan. */
static void
plan_of_random_machines_holds_its_promises(void **state)
{
	struct fixture *f = *state;
	static struct ep_plan again;

	for (int round = 0; round < 400; round++) {
		machine(f, 1 + rng_below(f, 4), 1 + rng_below(f, 12), 1 + rng_below(f, 2));
		for (uint32_t i = 0; i < f->topo.cpu_count; i++) {
			f->topo.cpu[i].allowed = i == 0 || rng_below(f, 5) > 0;
			f->topo.cpu[i].isolated = rng_below(f, 4) == 0;
		}
		for (uint32_t i = 1 + rng_below(f, 3); i > 0; i--) {
			struct ep_plan_nic *n = nic(f, "nic",
				(int16_t)(rng_below(f, f->topo.node_count + 1) - 1),
				rng_below(f, 5) * 10 * GBPS, (uint16_t)(1 + rng_below(f, 20)));

			if (rng_below(f, 3) == 0)
				n->queues_wanted = (uint16_t)(1 + rng_below(f, n->queues_max));
		}
		for (uint32_t i = 0; rng_below(f, 2) == 0 && i < f->topo.cpu_count; i++)
			if (f->topo.cpu[i].allowed && rng_below(f, 3) == 0)
				f->cfg.core[f->cfg.core_count++] = f->topo.cpu[i].id;
		/* The main thread may have nowhere else to go. */
		plan_of(f);
		assert_int_equal(ep_plan_make(&f->cfg, &again, NULL), 0);
		assert_memory_equal(&again, &f->plan, sizeof(again));
	}
}

static void
plan_refuses_with_a_sentence(void **state)
{
	struct fixture *f = *state;
	struct ep_err err;

	machine(f, 1, 4, 1);
	assert_int_equal(ep_plan_make(&f->cfg, &f->plan, &err), -EINVAL);
	assert_non_null(strstr(err.text, "0 devices"));
	nic(f, "eth0", 0, 0, 4)->queues_wanted = 5;
	assert_int_equal(ep_plan_make(&f->cfg, &f->plan, &err), -EINVAL);
	assert_non_null(strstr(err.text, "eth0: 5 queues wanted; allowed are 1 to 4"));
	f->cfg.nic[0].queues_wanted = 0;

	cores(f, 1, (const uint16_t[]){9});
	assert_int_equal(ep_plan_make(&f->cfg, &f->plan, &err), -EINVAL);
	assert_non_null(strstr(err.text, "no CPU 9"));
	cores(f, 3, (const uint16_t[]){1, 2, 1});
	assert_int_equal(ep_plan_make(&f->cfg, &f->plan, &err), -EINVAL);
	assert_non_null(strstr(err.text, "CPU 1 twice"));
	f->topo.cpu[3].allowed = false;
	cores(f, 1, (const uint16_t[]){3});
	assert_int_equal(ep_plan_make(&f->cfg, &f->plan, &err), -EINVAL);
	assert_non_null(strstr(err.text, "may not run on CPU 3"));
	f->cfg.core_count = 0;
	f->cfg.control_cpu = 77;
	assert_int_equal(ep_plan_make(&f->cfg, &f->plan, &err), -EINVAL);
	assert_non_null(strstr(err.text, "CPU 77"));
	f->cfg.control_cpu = -1;
	for (uint32_t i = 0; i < f->topo.cpu_count; i++)
		f->topo.cpu[i].allowed = false;
	assert_int_equal(ep_plan_make(&f->cfg, &f->plan, &err), -EINVAL);
	assert_non_null(strstr(err.text, "0 CPUs of 4"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plan_of_two_cores_floats),
		cmocka_unit_test(plan_of_four_cores_leaves_the_kernel_half),
		cmocka_unit_test(plan_of_two_nics_keeps_each_on_its_node),
		cmocka_unit_test(plan_of_four_nodes_takes_the_nearest_where_its_own_has_no_core),
		cmocka_unit_test(plan_takes_isolated_cores_first_and_all_of_them),
		cmocka_unit_test(plan_of_more_queues_than_cores_shares_them_out),
		cmocka_unit_test(plan_of_more_cores_than_queues_names_the_idle_ones),
		cmocka_unit_test(plan_of_named_cores_says_what_they_cost),
		cmocka_unit_test(plan_of_named_cores_gives_each_nic_its_own_side_first),
		cmocka_unit_test(plan_names_a_node_with_too_few_huge_pages),
		cmocka_unit_test(plan_says_who_does_without_huge_pages),
		cmocka_unit_test(plan_carries_the_rules_of_the_range),
		cmocka_unit_test(plan_of_random_machines_holds_its_promises),
		cmocka_unit_test(plan_refuses_with_a_sentence),
	};

	print_message("# EP_TEST_SEED=%ju\n", (uintmax_t)seed_get());
	return cmocka_run_group_tests(tests, fixture_create, fixture_destroy);
}
