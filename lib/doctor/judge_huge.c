/*
 * Huge pages of 2 MiB. They are counted node by node; where a device was named, those of its node count, since its packets are there.
 * One function says what is missing and where: the finding, the command and --fix follow from it.
 */

#include "doctor_priv.h"

#include <stdio.h>

#define PAGE_MIB 2
#define ALL_FILE "/proc/sys/vm/nr_hugepages"

static uint64_t
pages_needed(const struct ep_doctor_memory *m)
{
	return (m->needed_mib + PAGE_MIB - 1) / PAGE_MIB;
}

/* The node of a device that was named, where it has too few. NULL: none has, or there is one node for all. */
static const struct ep_doctor_node *
node_short(const struct ep_doctor_facts *f, const char **device)
{
	const struct ep_doctor_memory *m = &f->memory;

	for (uint32_t i = 0; i < f->nic_count && m->node_count > 1; i++)
		for (uint32_t n = 0; n < m->node_count; n++)
			if (f->nic[i].use != EP_DOCTOR_USE_NONE &&
				m->node[n].id == f->nic[i].node &&
				m->node[n].free_2m < pages_needed(m)) {
				*device = doctor_nic_name(&f->nic[i]);
				return &m->node[n];
			}
	return NULL;
}

bool
ep_doctor_huge_goal(const struct ep_doctor_facts *facts, struct ep_doctor_huge_goal *goal)
{
	const struct ep_doctor_memory *m = &facts->memory;
	const uint64_t needed = pages_needed(m);
	const char *device;
	const struct ep_doctor_node *near = node_short(facts, &device);
	uint64_t pages = 0, free_pages = 0;

	for (uint32_t i = 0; i < m->node_count; i++) {
		pages += m->node[i].pages_2m;
		free_pages += m->node[i].free_2m;
	}
	if (!m->huge_known || (near == NULL && free_pages >= needed))
		return false;
	if (near != NULL)
		*goal = (struct ep_doctor_huge_goal){
			near->id, near->pages_2m, near->pages_2m - near->free_2m + needed};
	else
		*goal = (struct ep_doctor_huge_goal){-1, pages, pages - free_pages + needed};
	return true;
}

/* A NIC on DPDK's own driver takes no other memory. NULL: there is none. */
static const char *
device_without(const struct ep_doctor_facts *f)
{
	for (uint32_t i = 0; i < f->nic_count; i++)
		if (f->nic[i].use == EP_DOCTOR_USE_PCI)
			return doctor_nic_name(&f->nic[i]);
	return NULL;
}

/* "node 0: 138 of 138 free, node 1: 0 of 0 free" and, where there are any, those of 1 GiB. */
static const char *
nodes_text(char *buf, size_t len, const struct ep_doctor_memory *m)
{
	size_t used = 0;

	buf[0] = '\0';
	for (uint32_t i = 0; i < m->node_count && used < len; i++) {
		const struct ep_doctor_node *n = &m->node[i];

		used += (size_t)snprintf(buf + used, len - used, "%snode %d: %llu of %llu free",
			i > 0 ? ", " : "", n->id, (unsigned long long)n->free_2m,
			(unsigned long long)n->pages_2m);
		if (n->pages_1g > 0 && used < len)
			used += (size_t)snprintf(buf + used, len - used, " and %llu of 1 GiB",
				(unsigned long long)n->pages_1g);
	}
	return buf;
}

static void
say_enough(const struct ep_doctor_facts *f, struct ep_doctor_finding *x, const char *nodes)
{
	const struct ep_doctor_memory *m = &f->memory;

	if (m->fix_tried && m->fix_after > m->fix.before)
		doctor_say(x,
			"huge pages of 2 MiB were raised from %llu to %llu, until the next boot "
			"(%s)",
			(unsigned long long)m->fix.before, (unsigned long long)m->fix_after, nodes);
	else
		doctor_say(x, "huge pages of 2 MiB suffice (%s; %llu needed)%s", nodes,
			(unsigned long long)pages_needed(m),
			f->rights.root ? "" : "; only root's everyport takes them");
}

static void
say_fixed_in_vain(const struct ep_doctor_memory *m, struct ep_doctor_finding *x)
{
	if (m->fix_error[0] != '\0')
		doctor_say(x, "huge pages of 2 MiB could not be raised from %llu to %llu: %s",
			(unsigned long long)m->fix.before, (unsigned long long)m->fix.wanted,
			m->fix_error);
	else
		doctor_say(x,
			"huge pages of 2 MiB were raised from %llu to %llu only, of %llu: memory "
			"is in pieces; try again after a boot",
			(unsigned long long)m->fix.before, (unsigned long long)m->fix_after,
			(unsigned long long)m->fix.wanted);
}

static void
say_short(const struct ep_doctor_facts *f, const struct ep_doctor_huge_goal *goal,
	struct ep_doctor_finding *x, const char *nodes)
{
	const unsigned long long needed = pages_needed(&f->memory);
	const char *device = device_without(f);

	if (device != NULL)
		doctor_say(x,
			"too few huge pages of 2 MiB%s (%s; %llu needed): a PCI device such as %s "
			"takes no other memory for its packets",
			goal->node >= 0 ? " on the node of the device" : "", nodes, needed, device);
	else if (goal->node >= 0 && node_short(f, &device) != NULL)
		doctor_say(x,
			"too few huge pages of 2 MiB on node %d, where %s is (%s; %llu needed): "
			"its packets would be in another node's memory, or in small pages",
			goal->node, device, nodes, needed);
	else
		doctor_say(x,
			"too few huge pages of 2 MiB (%s; %llu needed): everyport runs without "
			"them, with more misses of the TLB",
			nodes, needed);
}

void
doctor_judge_hugepages(const struct ep_doctor_facts *f, struct ep_doctor_report *r)
{
	struct ep_doctor_finding *x = doctor_add(r, "hugepages", NULL, EP_DOCTOR_WARN);
	struct ep_doctor_huge_goal goal;
	char nodes[256];

	nodes_text(nodes, sizeof(nodes), &f->memory);
	x->status = device_without(f) != NULL ? EP_DOCTOR_STOP : EP_DOCTOR_WARN;
	if (!f->memory.huge_known) {
		doctor_say(x, "this kernel has no huge pages of 2 MiB; %s",
			device_without(f) != NULL
				? "a PCI device takes no other memory for its packets"
				: "everyport runs without them, with more misses of the TLB");
		return;
	}
	if (!ep_doctor_huge_goal(f, &goal)) {
		x->status = EP_DOCTOR_OK;
		say_enough(f, x, nodes);
		return;
	}
	if (f->memory.fix_tried)
		say_fixed_in_vain(&f->memory, x);
	else
		say_short(f, &goal, x, nodes);
	if (goal.node >= 0)
		doctor_fix(x,
			"echo %llu | sudo tee "
			"/sys/devices/system/node/node%d/hugepages/hugepages-2048kB/nr_hugepages",
			(unsigned long long)goal.wanted, goal.node);
	else
		doctor_fix(x, "echo %llu | sudo tee " ALL_FILE, (unsigned long long)goal.wanted);
}
