/* What a device is. */

#include "dev_priv.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <stdio.h>
#include <string.h>

static const char *
info_mode(const struct ep_dev *dev)
{
	switch (dev->spec.kind) {
	case EP_DEV_MEMORY:
		return "in memory";
	case EP_DEV_AF_XDP:
		return dev_xdp_mode(dev);
	case EP_DEV_AF_PACKET:
		return "copy of every packet (AF_PACKET)";
	case EP_DEV_PCI:
		return dev->mode;
	case EP_DEV_VDEV:
		break;
	}
	return "DPDK virtual device";
}

/* net_ring has no address: a locally administered one for each end. */
static void
info_mac(const struct ep_dev *dev, uint8_t mac[6])
{
	struct rte_ether_addr addr = {{0x02, 'e', 'p', 0, 0, dev->pair_end}};

	if (dev->spec.kind != EP_DEV_MEMORY)
		rte_eth_macaddr_get(dev->port_id, &addr);
	memcpy(mac, addr.addr_bytes, sizeof(addr.addr_bytes));
}

/* Of the virtual devices these hold their sender back; the others drop, and count it nowhere. */
static bool
info_drops_are_known(const struct ep_dev *dev, const char *driver)
{
	static const char *const holding_back[] = {"net_ring", "net_memif", "net_null"};

	/* What a hypervisor drops in front of a full ring is known to it alone. */
	if (dev->spec.kind == EP_DEV_PCI)
		return strcmp(driver, "net_virtio") != 0;
	if (dev->spec.kind != EP_DEV_VDEV)
		return true;
	for (size_t i = 0; i < EP_ARRAY_LEN(holding_back); i++)
		if (strcmp(driver, holding_back[i]) == 0)
			return true;
	return false;
}

/* No larger than what the packet buffers hold. */
static uint32_t
info_mtu(const struct ep_dev *dev)
{
	const uint32_t room_bytes = dev->pool[0] == NULL
		? 0
		: rte_pktmbuf_data_room_size(dev->pool[0]) - RTE_PKTMBUF_HEADROOM;
	uint16_t mtu_bytes = 0;

	if (rte_eth_dev_get_mtu(dev->port_id, &mtu_bytes) < 0 || mtu_bytes == 0)
		mtu_bytes = RTE_ETHER_MTU;
	if (room_bytes > RTE_ETHER_HDR_LEN && mtu_bytes > room_bytes - RTE_ETHER_HDR_LEN)
		return room_bytes - RTE_ETHER_HDR_LEN;
	return mtu_bytes;
}

void
ep_dev_host_mac(const struct ep_dev *dev, uint8_t mac[6])
{
	struct ep_dev_info info;

	ep_dev_info(dev, &info);
	memcpy(mac, info.mac, sizeof(info.mac));
	if (strcmp(info.driver, "net_tap") == 0)
		mac[1] ^= 0x80;
}

bool
ep_dev_link_up(const struct ep_dev *dev)
{
	struct rte_eth_link link = {0};

	if (dev->spec.kind != EP_DEV_PCI && dev->spec.kind != EP_DEV_VDEV)
		return true;
	return rte_eth_link_get_nowait(dev->port_id, &link) == 0 &&
		link.link_status == RTE_ETH_LINK_UP;
}

/* The kernel's, or a NIC's own: DPDK's virtual devices state a fixed 10 Gbit/s that means nothing. */
static uint64_t
info_speed_bps(const struct ep_dev *dev)
{
	return dev->spec.kind == EP_DEV_PCI ? dev_pci_speed_bps(dev) : dev->link.speed_bps;
}

void
ep_dev_info(const struct ep_dev *dev, struct ep_dev_info *info)
{
	struct rte_eth_dev_info port = {0};

	*info = (struct ep_dev_info){
		.port_id = dev->port_id,
		.queue_pairs = dev->queue_pairs,
		.socket_id = rte_eth_dev_socket_id(dev->port_id),
		.speed_bps = info_speed_bps(dev),
		.checksum_offload = dev->checksum_offload,
		.kernel = dev->link.ifindex != 0,
		.in_memory = dev->spec.kind == EP_DEV_MEMORY,
		.is_virtual = dev->spec.kind == EP_DEV_VDEV,
		.ifindex = dev->link.ifindex,
		.busy_poll_pkts = dev->busy_poll_pkts,
	};
	rte_eth_dev_info_get(dev->port_id, &port);
	snprintf(info->name, sizeof(info->name), "%.*s", (int)sizeof(info->name) - 1, dev->name);
	snprintf(info->driver, sizeof(info->driver), "%s",
		port.driver_name == NULL ? "" : port.driver_name);
	snprintf(info->mode, sizeof(info->mode), "%s", info_mode(dev));
	snprintf(info->steering, sizeof(info->steering), "%s", dev->steering.text);
	snprintf(info->steering_why, sizeof(info->steering_why), "%s", dev->steering.why);
	snprintf(info->mode_why, sizeof(info->mode_why), "%s", dev->mode_why);
	info_mac(dev, info->mac);
	info->mtu_bytes = info_mtu(dev);
	if (!info_drops_are_known(dev, info->driver))
		info->uncounted_ring_pkts = (uint32_t)dev->queue_pairs * dev->rx_descs;
}
