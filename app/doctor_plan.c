/* The plan for the devices of --dev, from what is known of them without opening them. */

#include "doctor.h"

#include <ep_dev.h>

#include <stdio.h>
#include <string.h>

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

/*
 * A device that a run would open by DPDK tells its speed and queues only then. While the kernel has it, the kernel knows them, and so
 * does the table of drivers.
 */
static void
nic_fill(const struct ep_doctor_nic *from, struct ep_plan_nic *to)
{
	if (from == NULL || to->kind != EP_PLAN_NIC_PCI)
		return;
	to->speed_bps = from->speed_bps;
	if (from->queues_max > 0)
		to->queues_max = from->queues_max < EP_PLAN_QUEUES_MAX ? (uint16_t)from->queues_max
								       : EP_PLAN_QUEUES_MAX;
}

static const struct ep_doctor_nic *
nic_named(const struct ep_doctor_facts *facts, const char *text)
{
	struct ep_dev_spec spec;

	if (ep_dev_spec_parse(text, &spec, NULL) < 0 || spec.kind == EP_DEV_VDEV)
		return NULL;
	return nic_of(facts, spec.kind == EP_DEV_PCI ? spec.pci : spec.ifname);
}

/* A device that is not there has its own finding. */
static bool
is_there(const char *text, const struct ep_doctor_facts *facts)
{
	return strncmp(text, "net_", 4) == 0 || nic_named(facts, text) != NULL;
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
doctor_plan(const struct config *config, struct devplan *out, struct ep_doctor_facts *facts)
{
	const struct ep_topo_cfg machine = {.root = ""};
	struct ep_err err = {0};
	int ret;

	facts->plan = NULL;
	facts->plan_error[0] = '\0';
	for (uint32_t i = 0; i < config->dev_count; i++)
		if (!is_there(config->dev[i], facts))
			return;
	if (config->dev_count == 0)
		return;
	ret = devplan_nics(config, false, out, &err);
	for (uint32_t i = 0; ret == 0 && i < config->dev_count; i++)
		nic_fill(nic_named(facts, config->dev[i]), &out->cfg.nic[i]);
	if (ret == 0)
		ret = devplan_make(&machine, out, &err);
	if (ret < 0) {
		snprintf(facts->plan_error, sizeof(facts->plan_error), "%.255s", err.text);
		return;
	}
	facts->plan = &out->plan;
	facts->plan_cfg = &out->cfg;
	cpus_take(&out->plan, &facts->cpu);
}
