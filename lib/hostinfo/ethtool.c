/* What an interface's driver tells: SIOCETHTOOL, one command after the other; what it does not know stays unknown. */

#include "hostinfo_priv.h"

#include <ep_netlink.h>

#include <linux/ethtool.h>
#include <string.h>

int
ep_hostinfo_ethtool(void *ctx, const char *ifname, void *command)
{
	return ep_netlink_ethtool(ctx, ifname, command);
}

static int
ask(const struct ep_hostinfo_cfg *cfg, const struct ep_doctor_nic *nic, void *command)
{
	return cfg->ethtool(cfg->ethtool_ctx, nic->name, command);
}

static void
driver(const struct ep_hostinfo_cfg *cfg, struct ep_doctor_nic *nic)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};

	if (ask(cfg, nic, &info) < 0)
		return;
	text_copy(nic->driver, sizeof(nic->driver), info.driver);
	/* Drivers without a firmware say nothing, or "N/A". */
	if (strcmp(info.fw_version, "N/A") != 0)
		text_copy(nic->firmware, sizeof(nic->firmware), info.fw_version);
	if (pci_is_address(info.bus_info))
		text_copy(nic->pci, sizeof(nic->pci), info.bus_info);
}

static void
queues(const struct ep_hostinfo_cfg *cfg, struct ep_doctor_nic *nic)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	struct ethtool_ringparam ring = {.cmd = ETHTOOL_GRINGPARAM};

	if (ask(cfg, nic, &channels) == 0) {
		nic->queues = channels.combined_count + channels.rx_count;
		nic->queues_max = channels.max_combined + channels.max_rx;
	}
	if (ask(cfg, nic, &ring) == 0) {
		nic->ring = ring.rx_pending;
		nic->ring_max = ring.rx_max_pending;
	}
}

static void
features(const struct ep_hostinfo_cfg *cfg, struct ep_doctor_nic *nic)
{
	struct ethtool_rxnfc hash = {.cmd = ETHTOOL_GRXFH, .flow_type = UDP_V4_FLOW};
	struct ethtool_value flags = {.cmd = ETHTOOL_GFLAGS};
	const uint64_t ports = RXH_L4_B_0_1 | RXH_L4_B_2_3;

	if (ask(cfg, nic, &hash) == 0 && hash.data != 0)
		nic->udp_ports_hashed = (hash.data & ports) == ports ? EP_DOCTOR_YES : EP_DOCTOR_NO;
	if (ask(cfg, nic, &flags) == 0)
		nic->lro = (flags.data & ETH_FLAG_LRO) != 0;
}

static void
counter_add(struct ep_doctor_nic *nic, const struct ep_nic_counter *from)
{
	struct ep_doctor_counter *c = &nic->counter[nic->counter_count];

	if (nic->counter_count == EP_DOCTOR_COUNTERS_MAX ||
		strstr(from->name, "allowance_exceeded") == NULL)
		return;
	text_copy(c->name, sizeof(c->name), from->name);
	c->value = from->value;
	nic->counter_count++;
}

static void
counters(const struct ep_hostinfo_cfg *cfg, struct ep_doctor_nic *nic)
{
	struct ep_nic_sample sample = {0};

	nic->counter_count = 0;
	if (ep_netlink_driver_counters(cfg->ethtool, cfg->ethtool_ctx, nic->name, &sample) == 0)
		for (uint32_t i = 0; i < sample.count; i++)
			counter_add(nic, &sample.counter[i]);
	ep_nic_sample_fini(&sample);
}

void
hostinfo_nic_ethtool(const struct ep_hostinfo_cfg *cfg, struct ep_doctor_nic *nic)
{
	if (cfg->ethtool == NULL)
		return;
	driver(cfg, nic);
	queues(cfg, nic);
	features(cfg, nic);
	counters(cfg, nic);
}
