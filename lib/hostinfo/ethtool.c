/* What an interface's driver tells: SIOCETHTOOL, one command after the other; what it does not know stays unknown. */

#include "hostinfo_priv.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* More counters than any driver has. */
#define COUNTERS_MAX 16384

int
ep_hostinfo_ethtool(void *ctx, const char *ifname, void *command)
{
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {0};
	int ret;

	(void)ctx;
	if (fd < 0)
		return -errno;
	memcpy(ifr.ifr_name, ifname, strnlen(ifname, sizeof(ifr.ifr_name) - 1));
	ifr.ifr_data = command;
	ret = ioctl(fd, SIOCETHTOOL, &ifr) < 0 ? -errno : 0;
	close(fd);
	return ret;
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
counter_add(struct ep_doctor_nic *nic, const char *name, uint64_t value)
{
	struct ep_doctor_counter *c = &nic->counter[nic->counter_count];

	if (nic->counter_count == EP_DOCTOR_COUNTERS_MAX ||
		memmem(name, strnlen(name, ETH_GSTRING_LEN), "allowance_exceeded", 18) == NULL)
		return;
	snprintf(c->name, sizeof(c->name), "%.*s", ETH_GSTRING_LEN, name);
	c->value = value;
	nic->counter_count++;
}

/* How many counters of its own the driver has; 0: none. */
static uint32_t
counters_count(const struct ep_hostinfo_cfg *cfg, const struct ep_doctor_nic *nic)
{
	union {
		struct ethtool_sset_info head;
		uint8_t room[sizeof(struct ethtool_sset_info) + sizeof(uint32_t)];
	} set = {.head = {.cmd = ETHTOOL_GSSET_INFO, .sset_mask = UINT64_C(1) << ETH_SS_STATS}};
	uint32_t count;

	if (ask(cfg, nic, &set) < 0 || set.head.sset_mask == 0)
		return 0;
	memcpy(&count, set.room + sizeof(set.head), sizeof(count));
	return count <= COUNTERS_MAX ? count : 0;
}

static void
counters(const struct ep_hostinfo_cfg *cfg, struct ep_doctor_nic *nic)
{
	const uint32_t count = counters_count(cfg, nic);
	struct ethtool_gstrings *names =
		calloc(1, sizeof(*names) + (size_t)count * ETH_GSTRING_LEN);
	struct ethtool_stats *values =
		calloc(1, sizeof(*values) + (size_t)count * sizeof(uint64_t));

	nic->counter_count = 0;
	if (count > 0 && names != NULL && values != NULL) {
		names->cmd = ETHTOOL_GSTRINGS;
		names->string_set = ETH_SS_STATS;
		names->len = count;
		values->cmd = ETHTOOL_GSTATS;
		values->n_stats = count;
		if (ask(cfg, nic, names) == 0 && ask(cfg, nic, values) == 0)
			for (uint32_t i = 0; i < count; i++)
				counter_add(nic,
					(const char *)names->data + (size_t)i * ETH_GSTRING_LEN,
					values->data[i]);
	}
	free(names);
	free(values);
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
