/* The plan for the devices of --dev, from what is known of them without opening them. */

#include "common.h"
#include "doctor.h"

#include <ep_topo.h>

#include <stdio.h>
#include <string.h>

/* Most queues of a PCI device whose driver does not tell. */
#define PCI_QUEUES 16

static const struct ep_doctor_nic *
nic_of(const struct ep_doctor_facts *facts, const char *name)
{
	for (uint32_t i = 0; i < facts->nic_count; i++)
		if (!facts->nic[i].missing &&
			(strcmp(facts->nic[i].name, name) == 0 ||
				strcmp(facts->nic[i].pci, name) == 0))
			return &facts->nic[i];
	return NULL;
}

static void
nic_fill(const struct ep_doctor_nic *from, struct ep_plan_nic *to)
{
	const bool pci = from->use == EP_DOCTOR_USE_PCI;
	uint32_t queues = pci ? from->queues_max : from->queues;

	if (queues == 0)
		queues = pci ? PCI_QUEUES : 1;
	if (queues > EP_PLAN_QUEUES_MAX)
		queues = EP_PLAN_QUEUES_MAX;
	to->kind = pci ? EP_PLAN_NIC_PCI : EP_PLAN_NIC_KERNEL;
	to->node = from->node >= 0 ? (int16_t)from->node : EP_PLAN_NODE_ANY;
	to->speed_bps = from->speed_bps;
	to->queues_max = (uint16_t)queues;
	/* AF_XDP has to serve all of an interface's. */
	to->queues_min = from->use == EP_DOCTOR_USE_AF_XDP ? (uint16_t)queues : 0;
}

/* Returns whether the device can be planned for. */
static bool
nic_add(const char *text, const struct ep_doctor_facts *facts, struct ep_plan_cfg *cfg)
{
	struct ep_plan_nic *to = &cfg->nic[cfg->nic_count];
	const struct ep_doctor_nic *from = NULL;
	struct ep_dev_spec spec;

	if (ep_dev_spec_parse(text, &spec, NULL) < 0)
		return false;
	if (spec.kind != EP_DEV_VDEV)
		from = nic_of(facts, spec.kind == EP_DEV_PCI ? spec.pci : spec.ifname);

	*to = (struct ep_plan_nic){
		.kind = EP_PLAN_NIC_VIRTUAL, .node = EP_PLAN_NODE_ANY, .queues_max = 1};
	snprintf(to->name, sizeof(to->name), "%.63s", text);
	if (from != NULL)
		nic_fill(from, to);
	else if (spec.kind != EP_DEV_VDEV)
		return false;
	cfg->nic_count++;
	return true;
}

/* The data CPUs that the other findings are about are those of the plan. */
static void
cpus_take(const struct ep_plan *plan, struct ep_doctor_cpu *cpu)
{
	cpu->floating = plan->floating;
	cpu->data = (struct ep_doctor_cpuset){0};
	for (uint32_t i = 0; !plan->floating && i < plan->worker_count; i++)
		ep_doctor_cpuset_add(&cpu->data, plan->worker[i].cpu);
}

void
doctor_plan(const struct config *config, struct doctor_plan *out, struct ep_doctor_facts *facts)
{
	const struct ep_topo_cfg machine = {.root = ""};
	struct ep_err err = {0};
	bool all = config->dev_count > 0;

	facts->plan = NULL;
	facts->plan_error[0] = '\0';
	out->cfg = (struct ep_plan_cfg){
		.topo = &out->topo,
		.control_cpu = -1,
		.core_count = config->core_count,
		.ring_descs = (uint32_t)config->ring_descs,
		.frame_bytes = common_frame_max(config),
		.range = config->range,
	};
	memcpy(out->cfg.core, config->cores, config->core_count * sizeof(config->cores[0]));
	for (uint32_t i = 0; i < config->dev_count; i++)
		all = nic_add(config->dev[i], facts, &out->cfg) && all;
	/* A device that is not there has its own finding. */
	if (!all)
		return;
	if (ep_topo_read(&machine, &out->topo, &err) < 0 ||
		ep_plan_make(&out->cfg, &out->plan, &err) < 0) {
		snprintf(facts->plan_error, sizeof(facts->plan_error), "%.255s", err.text);
		return;
	}
	facts->plan = &out->plan;
	facts->plan_cfg = &out->cfg;
	cpus_take(&out->plan, &facts->cpu);
}
