/* Devices that are a NIC on PCI with a driver of DPDK's own. */

#include "dev_priv.h"
#include "pci_sys.h"

#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Least room for a frame, and a power of two: e1000, igb and ixgbe cut what a buffer holds to one, and a larger frame in two. */
#define PCI_BUF_BYTES 2048

/* Drivers name a port as they like (mlx4 has two of one address), so the device behind it is what counts. */
static bool
pci_port_find(const char *address, uint16_t *port_id)
{
	struct rte_eth_dev_info info;
	uint16_t i;

	RTE_ETH_FOREACH_DEV (i) {
		if (rte_eth_dev_info_get(i, &info) == 0 && info.device != NULL &&
			strcmp(rte_dev_name(info.device), address) == 0) {
			*port_id = i;
			return true;
		}
	}
	return false;
}

static int
pci_probe_refused(const char *address, int ret, struct ep_err *err)
{
	struct pci_facts facts;

	pci_facts_read("", address, &facts);
	if (ret == -ENOTSUP)
		return ep_err_set(err, -ENOTSUP,
			"--dev %s: DPDK has no driver for it (%04x:%04x), or its package is not "
			"installed: apt list 'librte-net-*'; with the kernel's driver, everyport "
			"takes its interface",
			address, facts.vendor, facts.device);
	return ep_err_set(err, ret == -ENOMEM ? ret : -ENODEV,
		"--dev %s: DPDK cannot start it (%04x:%04x on %s: %s); its driver's own words: "
		"everyport --verbose, or sudo dmesg | tail",
		address, facts.vendor, facts.device,
		facts.driver[0] != '\0' ? facts.driver : "no driver", rte_strerror(-ret));
}

static int
pci_in_use(const struct ep_dev *dev, struct ep_err *err)
{
	struct rte_eth_dev_info info;
	const int ret = rte_eth_dev_info_get(dev->port_id, &info);

	if (ret < 0)
		return ep_err_set(err, ret, "--dev %s: %s", dev->name, rte_strerror(-ret));
	if (info.nb_rx_queues > 0)
		return ep_err_set(err, -EBUSY, "--dev %s: is in use", dev->name);
	return 0;
}

/* What was named before DPDK was started is there already; what it could not start then says why when tried again. */
static int
pci_attach(struct ep_dev *dev, struct ep_err *err)
{
	const char *address = dev->spec.pci;
	int ret;

	if (!pci_port_find(address, &dev->port_id)) {
		ret = ep_dev_pci_check("", &dev->spec, NULL, err);
		if (ret < 0)
			return ret;
		ret = rte_eal_hotplug_add("pci", address, "");
		if (ret == 0 && !pci_port_find(address, &dev->port_id))
			ret = -ENODEV;
		if (ret < 0)
			return pci_probe_refused(address, ret == -1 ? -EIO : ret, err);
	}
	ret = pci_in_use(dev, err);
	if (ret < 0)
		return ret;
	snprintf(dev->vdev, sizeof(dev->vdev), "%s", address);
	return 0;
}

static int
pci_queues(struct ep_dev *dev, uint16_t wanted, struct ep_err *err)
{
	struct rte_eth_dev_info info;
	const int ret = rte_eth_dev_info_get(dev->port_id, &info);

	if (ret < 0)
		return ep_err_set(err, ret, "--dev %s: %s", dev->name, rte_strerror(-ret));
	dev->queue_pairs = RTE_MAX(wanted, 1);
	dev->queue_pairs = RTE_MIN(dev->queue_pairs, info.max_rx_queues);
	dev->queue_pairs = RTE_MIN(dev->queue_pairs, info.max_tx_queues);
	return 0;
}

/* How a NIC gets its packets in and out, for the result. */
static void
pci_mode(struct ep_dev *dev)
{
	struct pci_facts facts;

	pci_facts_read("", dev->spec.pci, &facts);
	snprintf(dev->mode, sizeof(dev->mode), "DPDK driver, %s%s",
		pci_is_shared(&facts) ? "beside the kernel's " : "",
		facts.driver[0] != '\0' ? facts.driver : "no kernel driver");
	if (facts.noiommu)
		snprintf(dev->mode, sizeof(dev->mode), "DPDK driver, vfio-pci without an IOMMU");
}

int
dev_pci_open(struct ep_dev *dev, const struct ep_dev_cfg *cfg, struct ep_err *err)
{
	struct dev_port_cfg port = {
		.frame_bytes = cfg->mtu_frame_bytes,
		.tag_bytes = cfg->tag_bytes,
		.pool_mbufs = cfg->pool_mbufs != 0 ? cfg->pool_mbufs : 4u * cfg->ring_descs + 1024,
		.side_mbufs = cfg->side_mbufs,
		.buf_bytes =
			RTE_MAX((uint32_t)PCI_BUF_BYTES, rte_align32pow2(cfg->mtu_frame_bytes)),
		.offload_checksum = cfg->offload_checksum,
	};
	int ret = pci_attach(dev, err);

	port.pool_mbufs += cfg->extra_mbufs;
	if (ret == 0)
		ret = pci_queues(dev, cfg->queue_pairs, err);
	if (ret < 0)
		return ret;
	port.mtu_bytes = dev_port_mtu(&port);
	ret = dev_port_open(dev, &port, err);
	if (ret < 0)
		return ret;
	/* Some start promiscuous (virtio of qemu); no matter where a driver has no such mode. */
	rte_eth_promiscuous_disable(dev->port_id);
	pci_mode(dev);
	return 0;
}

void
dev_pci_detach_rest(void)
{
	uint16_t i;

	RTE_ETH_FOREACH_DEV (i) {
		struct rte_eth_dev_info info;

		if (rte_eth_dev_info_get(i, &info) < 0 || info.device == NULL ||
			strcmp(rte_bus_name(rte_dev_bus(info.device)), "pci") != 0)
			continue;
		rte_eth_dev_close(i);
		rte_dev_remove(info.device);
	}
}

uint64_t
dev_pci_speed_bps(const struct ep_dev *dev)
{
	struct rte_eth_link link = {0};

	if (rte_eth_link_get_nowait(dev->port_id, &link) < 0 ||
		link.link_status != RTE_ETH_LINK_UP || link.link_speed == RTE_ETH_SPEED_NUM_UNKNOWN)
		return 0;
	return (uint64_t)link.link_speed * 1000000;
}

int
ep_dev_multicast(struct ep_dev *dev, const uint8_t (*mac)[6], uint32_t count, struct ep_err *err)
{
	struct rte_ether_addr group[DEV_GROUPS_MAX];
	int ret;

	if (dev->spec.kind != EP_DEV_PCI)
		return 0;
	ret = rte_eth_allmulticast_enable(dev->port_id);
	if (ret == 0)
		return 0;
	for (uint32_t i = 0; i < count && i < EP_ARRAY_LEN(group); i++)
		memcpy(group[i].addr_bytes, mac[i], sizeof(group[i].addr_bytes));
	ret = count <= EP_ARRAY_LEN(group)
		? rte_eth_dev_set_mc_addr_list(dev->port_id, group, count)
		: -ENOTSUP;
	if (ret < 0)
		return ep_err_set(err, ret,
			"--dev %s: its driver cannot be told to receive multicast (%s), so IPv6 "
			"neighbours may not find this address",
			dev->name, rte_strerror(-ret));
	return 0;
}

/*
 * Solicitations come to the solicited-node group of an address (RFC 4291 section 2.7.1), unsolicited advertisements of a gateway that
 * fails over to all nodes; on Ethernet a group's MAC has its last four bytes (RFC 2464 section 7). IPv4 asks by broadcast.
 */
int
ep_dev_hear_neighbours(
	struct ep_dev *dev, const struct ep_wire_ip *ip, uint32_t count, struct ep_err *err)
{
	uint8_t mac[DEV_GROUPS_MAX][6] = {{0x33, 0x33, 0, 0, 0, 1}};
	uint32_t groups = 1;

	for (uint32_t i = 0; i < count && groups < DEV_GROUPS_MAX; i++) {
		if (ip[i].family != EP_WIRE_IPV6)
			continue;
		memcpy(mac[groups], (const uint8_t[]){0x33, 0x33, 0xff}, 3);
		memcpy(mac[groups++] + 3, ip[i].bytes_be + 13, 3);
	}
	return groups == 1 ? 0 : ep_dev_multicast(dev, mac, groups, err);
}
