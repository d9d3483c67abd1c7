/* Devices that are a DPDK virtual device of the user's. */

#include "dev_priv.h"

#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define VDEV_BUF_BYTES 2048 /* Least room for a frame: some drivers refuse less. */

static int
vdev_add(struct ep_dev *dev, struct ep_err *err)
{
	const char *comma = strchr(dev->spec.vdev, ',');
	const size_t len = strcspn(dev->spec.vdev, ",");
	char name[sizeof(dev->vdev)];
	int ret;

	if (len >= sizeof(name))
		return ep_err_set(err, -EINVAL,
			"--dev %s: a device name has at most %zu characters", dev->name,
			sizeof(name) - 1);
	snprintf(name, sizeof(name), "%.*s", (int)len, dev->spec.vdev);
	ret = dev_hotplug(dev, name, comma == NULL ? "" : comma + 1);
	if (ret == -EEXIST)
		return ep_err_set(err, -EBUSY, "--dev %s: device %s is in use", dev->name, name);
	if (ret < 0)
		return ep_err_set(err, ret == -ENOMEM ? ret : -ENODEV,
			"--dev %s: DPDK makes no such device (%s); is its driver installed, are "
			"its "
			"arguments right?",
			dev->name, rte_strerror(-ret));
	return 0;
}

int
dev_vdev_open(struct ep_dev *dev, const struct ep_dev_cfg *cfg, struct ep_err *err)
{
	struct dev_port_cfg port = {
		.frame_bytes = cfg->mtu_frame_bytes,
		.tag_bytes = cfg->tag_bytes,
		.pool_mbufs = cfg->pool_mbufs != 0 ? cfg->pool_mbufs : 4u * cfg->ring_descs + 1024,
		.side_mbufs = cfg->side_mbufs,
		.buf_bytes = RTE_MAX((uint32_t)VDEV_BUF_BYTES, RTE_ALIGN(cfg->mtu_frame_bytes, 64)),
		.offload_checksum = cfg->offload_checksum,
	};
	struct rte_eth_dev_info info;
	int ret = vdev_add(dev, err);

	port.pool_mbufs += cfg->extra_mbufs;

	if (ret < 0)
		return ret;
	ret = rte_eth_dev_info_get(dev->port_id, &info);
	if (ret < 0)
		return ep_err_set(err, ret, "--dev %s: %s", dev->name, rte_strerror(-ret));
	dev->queue_pairs = RTE_MAX(cfg->queue_pairs, 1);
	dev->queue_pairs = RTE_MIN(dev->queue_pairs, info.max_rx_queues);
	dev->queue_pairs = RTE_MIN(dev->queue_pairs, info.max_tx_queues);
	port.mtu_bytes = dev_port_mtu(&port);
	ret = dev_port_open(dev, &port, err);
	if (ret == 0)
		rte_eth_promiscuous_enable(dev->port_id); /* no matter where a driver has none */
	return ret;
}
