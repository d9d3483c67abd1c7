/* What the doctor looks at: the devices of --dev. */

#include "common.h"
#include "doctor.h"

#include <ep_hostinfo.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The driver that is bound is a finding of its own; here is what else would keep DPDK from the device. */
static void
pci_refusal(const struct ep_dev_spec *spec, struct ep_doctor_facts *facts)
{
	struct ep_err err = {0};
	const int ret = ep_dev_pci_check("", spec, NULL, &err);

	if (ret < 0 && ret != -ENODEV && ret != -ENXIO)
		snprintf(facts->dev_error, sizeof(facts->dev_error), "%s", err.text);
}

static void
device_add(const char *text, struct ep_dev_spec *spec, struct ep_hostinfo_cfg *cfg,
	struct ep_doctor_facts *facts)
{
	struct ep_hostinfo_dev *d = &cfg->dev[cfg->dev_count];

	/* It was checked before. */
	if (ep_dev_spec_parse(text, spec, NULL) < 0)
		return;
	if (spec->kind == EP_DEV_VDEV) {
		snprintf(facts->vdev, sizeof(facts->vdev), "%.63s", spec->vdev);
		return;
	}
	d->name = spec->kind == EP_DEV_PCI ? spec->pci : spec->ifname;
	d->use = EP_DOCTOR_USE_AF_XDP;
	if (spec->kind != EP_DEV_AF_XDP)
		d->use = spec->kind == EP_DEV_PCI ? EP_DOCTOR_USE_PCI : EP_DOCTOR_USE_AF_PACKET;
	if (spec->kind == EP_DEV_PCI)
		pci_refusal(spec, facts);
	cfg->dev_count++;
}

/* As this process was called, where that is a path that a shell takes as it is: root's PATH is another one, and has no build folder. */
static const char *
called_as(void)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "._-+/";
	const char *name = program_invocation_name;

	return strchr(name, '/') != NULL && name[strspn(name, plain)] == '\0' ? name : "everyport";
}

void
doctor_irqs(struct ep_doctor_facts *facts)
{
	ep_hostinfo_irqs("", &facts->cpu);
}

void
doctor_facts(
	const struct config *config, const struct host_plan *plan, struct ep_doctor_facts *facts)
{
	struct ep_hostinfo_cfg cfg = {
		.root = "",
		.live = true,
		.ethtool = ep_hostinfo_ethtool,
		.range = config->range,
	};
	struct ep_dev_spec spec[CONFIG_DEVS_MAX]; /* Their names are used until the end. */
	char ssh[16];

	facts->program = called_as();
	facts->ports = config->ports_text;
	facts->port_first = config->range->port[0];
	facts->port_last = config->range->port[config->range->port_count - 1];
	facts->memory.needed_mib = common_memory_mib(config, plan, common_frame_max(config));
	facts->dev_error[0] = '\0';
	facts->cpu.floating = plan->floating;
	facts->cpu.data = (struct ep_doctor_cpuset){0};
	for (uint32_t i = 0; !plan->floating && i < plan->worker_count; i++)
		ep_doctor_cpuset_add(&facts->cpu.data, plan->core[i]);
	for (uint32_t i = 0; i < config->dev_count; i++)
		device_add(config->dev[i], &spec[i], &cfg, facts);
	if (host_ssh_ifname(ssh))
		cfg.ssh_ifname = ssh;
	ep_hostinfo_read(&cfg, facts);
}
