/* Devices that are a kernel interface, which the kernel goes on using. */

#include "dev_priv.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define L2_OVERHEAD_BYTES (RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN)
#define PACKET_FRAME_BYTES 2048 /* Least slot of the packet sockets' rings. */
#define PACKET_HEADER_BYTES \
	128 /* In a slot, before the frame: tpacket2_hdr, address, alignment, VLAN tag. */
#define PACKET_QUEUES_MAX 16 /* Of DPDK's driver. */

static int
kernel_link_check(const struct ep_dev *dev, uint32_t frame_bytes, struct ep_err *err)
{
	const struct ep_netlink_link *link = &dev->link;

	if (link->loopback)
		return ep_err_set(err, -EINVAL,
			"--dev %s: is a loopback interface; name one that leads to the peer, or "
			"leave --dev out of 'loop' for the in-memory pair",
			dev->name);
	if (!link->up)
		return ep_err_set(err, -EINVAL,
			"--dev %s: is down or has no carrier; bring it up with 'ip link set dev %s "
			"up'",
			dev->name, link->name);
	if (frame_bytes > link->mtu_bytes + L2_OVERHEAD_BYTES)
		return ep_err_set(err, -EINVAL,
			"--dev %s: frames of %u B wanted, its MTU of %u B allows up to %u B",
			dev->name, frame_bytes, link->mtu_bytes,
			link->mtu_bytes + L2_OVERHEAD_BYTES);
	if (!dev_caps_ok())
		return ep_err_set(err, -EPERM,
			"--dev %s: a kernel interface needs root or CAP_NET_ADMIN, CAP_NET_RAW, "
			"CAP_BPF",
			dev->name);
	return 0;
}

static int
kernel_lock(struct ep_dev *dev, struct ep_err *err)
{
	const int ret = dev_lock_take(dev->link.ifindex);

	if (ret == -EBUSY)
		return ep_err_set(
			err, ret, "--dev %s: another everyport uses this interface", dev->name);
	if (ret < 0)
		return ep_err_set(err, ret, "--dev %s: lock: %s", dev->name, strerror(-ret));
	dev->lock_fd = ret;
	return 0;
}

/* With the lock held, a filter of ours can only be a dead everyport's. */
static int
kernel_leftovers(struct ep_dev *dev, struct ep_err *err)
{
	const int ret = dev_xdp_clean(dev->link.ifindex);

	if (ret < 0)
		return ep_err_set(err, ret,
			"--dev %s: removing the XDP program that a crashed everyport left: %s",
			dev->name, strerror(-ret));
	if (ret > 0)
		DEV_LOG(NOTICE, "%s: removed the filter that a crashed everyport left", dev->name);
	dev_tc_clean(dev->link.ifindex);
	return dev_nic_recover(dev, err);
}

/* What went wrong inside, without the device's name that the sentence around it has already. */
const char *
dev_cause_text(const struct ep_dev *dev, const struct ep_err *cause)
{
	char prefix[sizeof(dev->name) + 16];
	const int len = snprintf(prefix, sizeof(prefix), "--dev %s: ", dev->name);

	return strncmp(cause->text, prefix, (size_t)len) == 0 ? cause->text + len : cause->text;
}

static int
packet_start(struct ep_dev *dev, const struct ep_dev_cfg *cfg, struct ep_err *err)
{
	/* A power of two, since DPDK's driver takes the ring's blocks as one row of slots. */
	const uint32_t slot_bytes = RTE_MAX((uint32_t)PACKET_FRAME_BYTES,
		rte_align32pow2(cfg->mtu_frame_bytes + PACKET_HEADER_BYTES));
	const struct dev_port_cfg port = {
		.frame_bytes = cfg->mtu_frame_bytes,
		.buf_bytes = slot_bytes,
		.pool_mbufs = cfg->pool_mbufs != 0 ? cfg->pool_mbufs : 4u * cfg->ring_descs + 1024,
		.offload_checksum = cfg->offload_checksum,
	};
	struct dev_sockets before;
	char args[256];
	int ret;

	snprintf(args, sizeof(args),
		"iface=%s,qpairs=%u,qdisc_bypass=0,blocksz=%u,framesz=%u,framecnt=%u",
		dev->link.name, dev->queue_pairs, RTE_MAX(slot_bytes, (uint32_t)getpagesize()),
		slot_bytes, cfg->ring_descs);
	dev_sockets_scan(AF_PACKET, &before);
	ret = dev_vdev_add(dev, "net_af_packet", args, err);
	if (ret == 0)
		ret = dev_port_open(dev, &port, err);
	dev_sockets_scan(AF_PACKET, &dev->sockets); /* on failure, too: to be closed */
	dev_sockets_subtract(&dev->sockets, &before);
	return ret;
}

static int
packet_open(struct ep_dev *dev, const struct ep_dev_cfg *cfg, struct ep_err *err)
{
	struct ep_err cause = {0};
	int ret;

	dev->queue_pairs = RTE_MAX(cfg->queue_pairs, 1);
	if (dev->queue_pairs > PACKET_QUEUES_MAX)
		return ep_err_set(err, -EINVAL, "--dev %s: %u queues wanted, allowed are 1 to %u",
			dev->name, dev->queue_pairs, PACKET_QUEUES_MAX);
	ret = packet_start(dev, cfg, &cause);
	if (ret < 0)
		return ep_err_set(err, ret, "--dev %s: AF_PACKET is not to be had (%.300s)",
			dev->name, dev_cause_text(dev, &cause));
	return dev_filter_load(dev, err);
}

int
dev_kernel_open(struct ep_dev *dev, const struct ep_dev_cfg *cfg, struct ep_err *err)
{
	int ret = ep_netlink_link(dev->spec.ifname, &dev->link, err);

	if (ret == 0)
		ret = kernel_link_check(dev, cfg->mtu_frame_bytes, err);
	if (ret == 0)
		ret = kernel_lock(dev, err);
	if (ret == 0)
		ret = kernel_leftovers(dev, err);
	if (ret < 0)
		return ret;
	return dev->spec.kind == EP_DEV_AF_XDP ? dev_xdp_open(dev, cfg, err)
					       : packet_open(dev, cfg, err);
}
