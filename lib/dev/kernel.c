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
#define XDP_HEADROOM_BYTES 256 /* The kernel keeps it free in front of each received frame. */
#define XDP_FILL_DESCS 2048    /* Depth of the fill and completion rings in DPDK's driver. */
#define XDP_BUF_BYTES 2048
#define XDP_FREE_NS (2 * EP_NS_PER_S) /* Longest wait for a queue that its last owner left. */
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
kernel_leftovers(const struct ep_dev *dev, struct ep_err *err)
{
	const int ret = dev_xdp_clean(dev->link.ifindex);

	if (ret < 0)
		return ep_err_set(err, ret,
			"--dev %s: removing the XDP program that a crashed everyport left: %s",
			dev->name, strerror(-ret));
	if (ret > 0)
		DEV_LOG(NOTICE, "%s: removed the filter that a crashed everyport left", dev->name);
	dev_tc_clean(dev->link.ifindex);
	return 0;
}

/* Largest room for a frame in a buffer that, with all around it, fits the page that AF_XDP allows. */
static uint32_t
xdp_buf_max_bytes(void)
{
	const uint32_t page_bytes = (uint32_t)getpagesize();
	uint32_t buf_bytes = page_bytes;

	while (rte_mempool_calc_obj_size(sizeof(struct rte_mbuf) + RTE_PKTMBUF_HEADROOM + buf_bytes,
		       0, NULL) > page_bytes)
		buf_bytes -= 64;
	return buf_bytes;
}

/* Every queue of the interface must be ours: what arrives on another would be missing. */
static int
xdp_queues(struct ep_dev *dev, uint16_t wanted, struct ep_err *err)
{
	const uint32_t have = dev->link.rx_queue_count;

	if (wanted != 0 && wanted != have)
		return ep_err_set(err, -EINVAL,
			"--dev %s: %u queues wanted, but the interface has %u and AF_XDP must "
			"cover each; "
			"set them with 'ethtool -L %s combined %u'",
			dev->name, wanted, have, dev->link.name, wanted);
	if (have > DEV_QUEUES_MAX)
		return ep_err_set(err, -EINVAL,
			"--dev %s: has %u queues, at most %u can be covered; set them with "
			"'ethtool -L %s "
			"combined %u'",
			dev->name, have, DEV_QUEUES_MAX, dev->link.name, DEV_QUEUES_MAX);
	dev->queue_pairs = (uint16_t)have;
	return 0;
}

/*
 * A queue that an everyport left a moment ago is still occupied: it is waited for. Other answers to the question are no reason to
 * give up: DPDK's driver asks in its own way.
 */
static int
xdp_queues_free(const struct ep_dev *dev, struct ep_err *err)
{
	for (uint16_t q = 0; q < dev->queue_pairs; q++)
		if (dev_xsk_wait(dev->link.ifindex, q, XDP_FREE_NS) == -EBUSY)
			return ep_err_set(err, -EBUSY,
				"--dev %s: queue %u is occupied by an AF_XDP socket of another "
				"program; end that one, or use --dev af_packet:%s",
				dev->name, q, dev->link.name);
	return 0;
}

/* One pool a queue is both the AF_XDP memory and what is sent from, so that sending copies nothing in the driver. */
static int
xdp_port_cfg(const struct ep_dev *dev, const struct ep_dev_cfg *cfg, struct dev_port_cfg *port,
	struct ep_err *err)
{
	const uint32_t buf_max_bytes = xdp_buf_max_bytes();
	const uint32_t least_mbufs = 2 * XDP_FILL_DESCS + 2u * cfg->ring_descs;

	*port = (struct dev_port_cfg){
		.frame_bytes = cfg->mtu_frame_bytes,
		.buf_bytes = RTE_MAX((uint32_t)XDP_BUF_BYTES,
			RTE_ALIGN(cfg->mtu_frame_bytes + XDP_HEADROOM_BYTES, 64)),
		.pool_mbufs = RTE_MAX(cfg->pool_mbufs, least_mbufs),
		.pool_whole = true,
		.offload_checksum = cfg->offload_checksum,
	};
	if (cfg->pool_mbufs == 0)
		port->pool_mbufs = least_mbufs + 2u * cfg->ring_descs + 1024;
	if (port->buf_bytes > buf_max_bytes)
		return ep_err_set(err, -EINVAL,
			"--dev %s: frames of %u B wanted, AF_XDP carries up to %u B; use --dev "
			"af_packet:%s",
			dev->name, cfg->mtu_frame_bytes, buf_max_bytes - XDP_HEADROOM_BYTES,
			dev->link.name);
	return 0;
}

static int
xdp_start(struct ep_dev *dev, const struct dev_port_cfg *port, struct ep_err *err)
{
	char path[64];
	char args[256];
	int ret = dev_xdp_object(&dev->filter, path, sizeof(path));

	if (ret < 0)
		return ep_err_set(err, ret, "file in memory: %s", strerror(-ret));
	snprintf(args, sizeof(args),
		"iface=%s,start_queue=0,queue_count=%u,busy_budget=0,xdp_prog=%s", dev->link.name,
		dev->queue_pairs, path);
	dev->filter.xdp = true;
	ret = dev_vdev_add(dev, "net_af_xdp", args, err);
	return ret < 0 ? ret : dev_port_open(dev, port, err);
}

/* What went wrong inside, without the device's name that the sentence around it has already. */
static const char *
cause_text(const struct ep_dev *dev, const struct ep_err *cause)
{
	char prefix[sizeof(dev->name) + 16];
	const int len = snprintf(prefix, sizeof(prefix), "--dev %s: ", dev->name);

	return strncmp(cause->text, prefix, (size_t)len) == 0 ? cause->text + len : cause->text;
}

static int
xdp_open(struct ep_dev *dev, const struct ep_dev_cfg *cfg, struct ep_err *err)
{
	struct ep_err cause = {0};
	struct dev_port_cfg port;
	int ret = dev_xdp_check_free(dev, err);

	if (ret == 0)
		ret = xdp_queues(dev, cfg->queue_pairs, err);
	if (ret == 0)
		ret = xdp_port_cfg(dev, cfg, &port, err);
	if (ret == 0)
		ret = xdp_queues_free(dev, err);
	if (ret < 0)
		return ret;
	ret = xdp_start(dev, &port, &cause);
	if (ret == -ENOMEM || (ret == -ENOTSUP && cfg->offload_checksum))
		return ep_err_set(err, ret, "%s", cause.text);
	if (ret < 0)
		return ep_err_set(err, -ENOTSUP,
			"--dev %s: AF_XDP is not to be had here (%.300s); use --dev af_packet:%s",
			dev->name, cause_text(dev, &cause), dev->link.name);
	return dev_xdp_find(dev, err);
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
	char args[256];
	int ret;

	snprintf(args, sizeof(args),
		"iface=%s,qpairs=%u,qdisc_bypass=0,blocksz=%u,framesz=%u,framecnt=%u",
		dev->link.name, dev->queue_pairs, RTE_MAX(slot_bytes, (uint32_t)getpagesize()),
		slot_bytes, cfg->ring_descs);
	ret = dev_vdev_add(dev, "net_af_packet", args, err);
	return ret < 0 ? ret : dev_port_open(dev, &port, err);
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
			dev->name, cause_text(dev, &cause));
	return 0;
}

int
dev_kernel_open(struct ep_dev *dev, const struct ep_dev_cfg *cfg, struct ep_err *err)
{
	const bool xdp = dev->spec.kind == EP_DEV_AF_XDP;
	const int domain = xdp ? AF_XDP : AF_PACKET;
	struct dev_sockets before;
	int ret = ep_netlink_link(dev->spec.ifname, &dev->link, err);

	if (ret == 0)
		ret = kernel_link_check(dev, cfg->mtu_frame_bytes, err);
	if (ret == 0)
		ret = kernel_lock(dev, err);
	if (ret == 0)
		ret = kernel_leftovers(dev, err);
	if (ret < 0)
		return ret;
	dev_sockets_scan(domain, &before);
	ret = xdp ? xdp_open(dev, cfg, err) : packet_open(dev, cfg, err);
	dev_sockets_scan(domain, &dev->sockets); /* on failure, too: to be closed */
	dev_sockets_subtract(&dev->sockets, &before);
	if (ret < 0 || xdp)
		return ret;
	return dev_filter_load(dev, err);
}
