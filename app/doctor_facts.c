/* What the doctor looks at: the devices of --dev, and which interface carries the ssh session. */

#include "common.h"
#include "doctor.h"

#include <ep_hostinfo.h>
#include <ep_netlink.h>

#include <stdio.h>
#include <string.h>

/* --- The ssh session -------------------------------------------------------------------------------------------------------- */

/* The interface that it comes in by, into @p name (16 bytes). */
static bool
ssh_interface(char *name)
{
	struct ep_netlink_route route;
	struct ep_wire_ip peer;

	if (!ep_hostinfo_ssh_peer("", &peer))
		return false;
	return ep_netlink_route(&peer, 0, &route, NULL) == 0 && !route.local &&
		ep_netlink_ifname(route.ifindex, name) == 0;
}

/* --- Devices ---------------------------------------------------------------------------------------------------------------- */

static void
device_add(const char *text, struct ep_hostinfo_cfg *cfg, struct ep_doctor_facts *facts)
{
	struct ep_hostinfo_dev *d = &cfg->dev[cfg->dev_count];
	struct ep_dev_spec spec;
	struct ep_err err = {0};

	if (ep_dev_spec_parse(text, &spec, &err) < 0) {
		/* A PCI device that this version cannot open is looked at all the same. */
		snprintf(facts->dev_error, sizeof(facts->dev_error), "%s", err.text);
		d->name = text;
		d->use = EP_DOCTOR_USE_PCI;
		cfg->dev_count++;
		return;
	}
	if (spec.kind == EP_DEV_VDEV) {
		snprintf(facts->vdev, sizeof(facts->vdev), "%.63s", spec.vdev);
		return;
	}
	d->name = text + (strncmp(text, "af_packet:", 10) == 0 ? 10 : 0);
	d->use = spec.kind == EP_DEV_AF_PACKET ? EP_DOCTOR_USE_AF_PACKET : EP_DOCTOR_USE_AF_XDP;
	cfg->dev_count++;
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
	char ssh[16];

	facts->ports = config->ports_text;
	facts->port_first = config->range->port[0];
	facts->port_last = config->range->port[config->range->port_count - 1];
	facts->memory.needed_mib = common_memory_mib(config, plan, common_frame_max(config));
	facts->cpu.floating = plan->floating;
	facts->cpu.data = (struct ep_doctor_cpuset){0};
	for (uint32_t i = 0; !plan->floating && i < plan->worker_count; i++)
		ep_doctor_cpuset_add(&facts->cpu.data, plan->core[i]);
	for (uint32_t i = 0; i < config->dev_count; i++)
		device_add(config->dev[i], &cfg, facts);
	if (ssh_interface(ssh))
		cfg.ssh_ifname = ssh;
	ep_hostinfo_read(&cfg, facts);
}
