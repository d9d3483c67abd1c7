#include "devplan.h"

#include <ep_dev.h>
#include <ep_netlink.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Most queues of a PCI device before it is open. */
#define PCI_QUEUES 16
#define PACKET_QUEUES 16

/* Most queues of DPDK's virtual devices where the number is the user's to choose; of others what they have is seen when they are open. */
static uint16_t
vdev_queues_max(const char *name)
{
	static const struct {
		const char *driver;
		uint16_t queues;
	} known[] = {
		{"net_tap", 16},
		{"net_pcap", 16},
		{"net_ring", 16},
	};

	for (size_t i = 0; i < EP_ARRAY_LEN(known); i++)
		if (strncmp(name, known[i].driver, strlen(known[i].driver)) == 0)
			return known[i].queues;
	return EP_PLAN_QUEUES_MAX;
}

static int
queues_refuse(const struct ep_plan_nic *nic, uint32_t wanted, struct ep_err *err)
{
	return ep_err_set(err, -ERANGE, "--queues %u: %s can have 1 to %u", wanted, nic->name,
		nic->queues_max);
}

static int
kernel_nic(const struct ep_dev_spec *spec, uint32_t wanted, struct ep_plan_nic *nic,
	struct ep_err *err)
{
	struct ep_netlink_link link;
	const int ret = ep_netlink_link(spec->ifname, &link, err);
	uint32_t queues;

	if (ret < 0)
		return ret;
	queues =
		link.rx_queue_count < EP_PLAN_QUEUES_MAX ? link.rx_queue_count : EP_PLAN_QUEUES_MAX;
	nic->kind = EP_PLAN_NIC_KERNEL;
	nic->node = ep_topo_nic_node("", link.name);
	nic->speed_bps = link.speed_bps;
	if (spec->kind == EP_DEV_AF_PACKET) {
		nic->queues_max = wanted > 0 ? PACKET_QUEUES : 1;
		return 0;
	}
	/* The range is kept on as many as were asked for; what the interface refuses is seen when it is opened. */
	nic->queues_max = nic->queues_min = (uint16_t)(wanted > 0 ? wanted : queues);
	return 0;
}

static int
nic_fill(const char *text, uint32_t wanted, struct ep_plan_nic *nic, struct ep_err *err)
{
	struct ep_dev_spec spec;
	int ret = ep_dev_spec_parse(text, &spec, err);

	*nic = (struct ep_plan_nic){
		.kind = EP_PLAN_NIC_VIRTUAL, .node = EP_PLAN_NODE_ANY, .queues_max = 1};
	snprintf(nic->name, sizeof(nic->name), "%.63s", text);
	if (ret < 0)
		return ret;
	if (spec.kind == EP_DEV_PCI) {
		nic->kind = EP_PLAN_NIC_PCI;
		nic->node = ep_topo_nic_node("", spec.pci);
		nic->queues_max = PCI_QUEUES;
	} else if (spec.kind == EP_DEV_VDEV) {
		/* What follows is the driver's. */
		nic->name[strcspn(nic->name, ",")] = '\0';
		nic->queues_max = vdev_queues_max(spec.vdev);
	} else {
		ret = kernel_nic(&spec, wanted, nic, err);
		if (ret < 0)
			return ret;
	}
	nic->queues_wanted = (uint16_t)wanted;
	return wanted > nic->queues_max ? queues_refuse(nic, wanted, err) : 0;
}

/* A path model between the ends takes them one packet at a time, in order. */
static int
pair_fill(const struct config *config, struct ep_plan_cfg *cfg, struct ep_err *err)
{
	const uint32_t wanted = (uint32_t)config->queues;

	if (config->has_impair && wanted > 1)
		return ep_err_set(err, -ERANGE,
			"--queues %u: the model of --impair has one queue each way", wanted);
	for (cfg->nic_count = 0; cfg->nic_count < 2; cfg->nic_count++) {
		struct ep_plan_nic *nic = &cfg->nic[cfg->nic_count];

		*nic = (struct ep_plan_nic){
			.kind = EP_PLAN_NIC_VIRTUAL,
			.node = EP_PLAN_NODE_ANY,
			.queues_max = config->has_impair ? 1 : DEVPLAN_MEMORY_QUEUES,
			.queues_wanted = (uint16_t)wanted,
		};
		snprintf(nic->name, sizeof(nic->name), "end %u of the in-memory pair",
			cfg->nic_count + 1);
		if (wanted > nic->queues_max)
			return queues_refuse(nic, wanted, err);
	}
	return 0;
}

static uint32_t
frame_max(const struct config *config)
{
	uint32_t max = 0;

	for (uint32_t i = 0; i < config->sizes.count; i++)
		if (config->sizes.frame_bytes[i] > max)
			max = config->sizes.frame_bytes[i];
	return max;
}

int
devplan_nics(const struct config *config, bool pair, struct devplan *out, struct ep_err *err)
{
	struct ep_plan_cfg *cfg = &out->cfg;
	int ret = 0;

	*cfg = (struct ep_plan_cfg){
		.control_cpu = -1,
		.core_count = config->core_count,
		.ring_descs = (uint32_t)config->ring_descs,
		.frame_bytes = frame_max(config),
		.range = config->range,
	};
	memcpy(cfg->core, config->cores, config->core_count * sizeof(config->cores[0]));
	if (config->dev_count == 0 && pair)
		return pair_fill(config, cfg, err);
	for (uint32_t i = 0; i < config->dev_count && ret == 0; i++)
		ret = nic_fill(config->dev[i], (uint32_t)config->queues, &cfg->nic[i], err);
	cfg->nic_count = config->dev_count;
	return ret;
}

int
devplan_make(const struct ep_topo_cfg *machine, struct devplan *out, struct ep_err *err)
{
	const int ret = ep_topo_read(machine, &out->topo, err);

	out->cfg.topo = &out->topo;
	return ret < 0 ? ret : ep_plan_make(&out->cfg, &out->plan, err);
}

void
devplan_facts(const struct ep_plan_note *note, uint32_t note_count, struct ep_result *result)
{
	char key[32];
	uint32_t said = 0;

	for (uint32_t i = 0; i < note_count; i++) {
		if (note[i].memory)
			continue;
		if (note[i].level == EP_PLAN_WARN) {
			ep_result_warn(result, "%s", note[i].text);
			continue;
		}
		snprintf(key, sizeof(key), said == 0 ? "plan_note" : "plan_note_%u", said + 1);
		ep_result_host_text(result, key, note[i].text);
		said++;
	}
}
