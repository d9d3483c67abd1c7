/* DPDK's side of a device: the vdev, packet buffers, queues. */

#include "dev_priv.h"

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mbuf_pool_ops.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PORT_POOL_CACHE 256
#define PORT_DRAIN_BURST 32
#define PORT_CHECKSUM_OFFLOADS (RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM)
#define PORT_RSS_UDP (RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_NONFRAG_IPV6_UDP)
#define PORT_FRAME_OVERHEAD_BYTES (RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN)

/* Driver name and the first number that is free. */
static void
vdev_name(const char *driver, char *name, size_t len)
{
	uint16_t port_id;
	unsigned int n = 0;

	do {
		snprintf(name, len, "%s%u", driver, n++);
	} while (rte_eth_dev_get_port_by_name(name, &port_id) == 0);
}

int
dev_vdev_add(struct ep_dev *dev, const char *driver, const char *args, struct ep_err *err)
{
	char name[sizeof(dev->vdev)];
	int ret;

	vdev_name(driver, name, sizeof(name));
	ret = dev_hotplug(dev, name, args);
	if (ret < 0)
		return ep_err_set(
			err, ret, "DPDK's driver %s refuses it: %s", driver, rte_strerror(-ret));
	return 0;
}

/* EAL takes a name in use for success, and drivers answer with -1 for anything. */
int
dev_hotplug(struct ep_dev *dev, const char *name, const char *args)
{
	int ret;

	if (rte_eth_dev_get_port_by_name(name, &dev->port_id) == 0)
		return -EEXIST;
	ret = rte_eal_hotplug_add("vdev", name, args);
	if (ret < 0)
		return ret == -1 ? -EIO : ret;
	snprintf(dev->vdev, sizeof(dev->vdev), "%s", name);
	ret = rte_eth_dev_get_port_by_name(name, &dev->port_id);
	return ret < 0 ? -ENODEV : 0;
}

/*
 * Whether packet buffers may lie across small pages. Without huge pages DPDK lets none do so, which leaves one of a usual size on a
 * page, all at the same place of it, and so in the same few sets of the caches. Only a device that hands pages on minds (AF_XDP's UMEM);
 * the other virtual ones copy. A NIC takes a buffer by one address, so it must lie in one piece, and has huge pages where that costs nothing.
 */
static bool
port_packs_pool(const struct ep_dev *dev)
{
	struct rte_eth_dev_info info;

	return dev->spec.kind != EP_DEV_PCI && rte_eth_dev_info_get(dev->port_id, &info) == 0 &&
		info.driver_name != NULL && strcmp(info.driver_name, "net_af_xdp") != 0;
}

/* Where packet buffers and rings belong. */
static int
port_node(const struct ep_dev *dev)
{
	return dev->has_node ? dev->node : rte_eth_dev_socket_id(dev->port_id);
}

/* As rte_pktmbuf_pool_create(), which knows no flags. */
static struct rte_mempool *
port_pool_new(const struct ep_dev *dev, const char *name, unsigned int count, unsigned int cache,
	uint16_t room_bytes, int node)
{
	const struct rte_pktmbuf_pool_private private = {.mbuf_data_room_size = room_bytes};
	struct rte_mempool *pool = rte_mempool_create_empty(name, count,
		(unsigned int)sizeof(struct rte_mbuf) + room_bytes, cache, sizeof(private), node,
		port_packs_pool(dev) ? RTE_MEMPOOL_F_NO_IOVA_CONTIG : 0);
	int ret;

	if (pool == NULL)
		return NULL;
	rte_pktmbuf_pool_init(pool, (void *)(uintptr_t) & private);
	ret = rte_mempool_set_ops_byname(pool, rte_mbuf_best_mempool_ops(), NULL);
	if (ret == 0)
		ret = rte_mempool_populate_default(pool);
	if (ret < 0) {
		rte_mempool_free(pool);
		rte_errno = -ret;
		return NULL;
	}
	rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
	return pool;
}

static int
port_pool_create(
	struct ep_dev *dev, uint16_t queue, const struct dev_port_cfg *cfg, struct ep_err *err)
{
	const unsigned int cache = cfg->pool_mbufs >= 2 * PORT_POOL_CACHE ? PORT_POOL_CACHE : 0;
	const uint32_t room_bytes = cfg->buf_bytes + RTE_PKTMBUF_HEADROOM;
	const int node = port_node(dev); /* asked for first: it may set rte_errno */
	char name[RTE_MEMPOOL_NAMESIZE];

	snprintf(name, sizeof(name), "ep_dev%u_%u", dev->port_id, queue);
	dev->pool[queue] =
		port_pool_new(dev, name, cfg->pool_mbufs, cache, (uint16_t)room_bytes, node);
	/* Memory of another node is slower, and better than none: without huge pages DPDK has that of one node only. */
	if (dev->pool[queue] == NULL && node != SOCKET_ID_ANY)
		dev->pool[queue] = port_pool_new(
			dev, name, cfg->pool_mbufs, cache, (uint16_t)room_bytes, SOCKET_ID_ANY);
	if (dev->pool[queue] == NULL)
		return ep_err_set(err, -rte_errno,
			"--dev %s: no memory for %u packet buffers of %u B for queue %u (%s); give "
			"DPDK more memory or take smaller rings",
			dev->name, cfg->pool_mbufs, room_bytes, queue, rte_strerror(rte_errno));
	if (cfg->pool_whole && dev->pool[queue]->nb_mem_chunks > 1)
		return ep_err_set(err, -ENOMEM,
			"--dev %s: no memory in one piece for %u packet buffers of %u B for queue "
			"%u; give DPDK more memory or take smaller rings",
			dev->name, cfg->pool_mbufs, room_bytes, queue);
	return 0;
}

static int
port_side_pool_create(struct ep_dev *dev, const struct dev_port_cfg *cfg, struct ep_err *err)
{
	char name[RTE_MEMPOOL_NAMESIZE];

	if (cfg->side_mbufs == 0)
		return 0;
	snprintf(name, sizeof(name), "ep_dev%u_side", dev->port_id);
	dev->side_pool = port_pool_new(dev, name, cfg->side_mbufs, PORT_POOL_CACHE,
		(uint16_t)(cfg->buf_bytes + RTE_PKTMBUF_HEADROOM), SOCKET_ID_ANY);
	if (dev->side_pool != NULL)
		return 0;
	return ep_err_set(err, -rte_errno,
		"--dev %s: no memory for %u packet buffers beside its queues (%s); give DPDK more "
		"memory",
		dev->name, cfg->side_mbufs, rte_strerror(rte_errno));
}

/* Drivers leave room for a tag beside the MTU, as Ethernet does. */
uint16_t
dev_port_mtu(const struct dev_port_cfg *cfg)
{
	const uint32_t frame_bytes = cfg->frame_bytes - cfg->tag_bytes;

	return frame_bytes > RTE_ETHER_MAX_LEN ? (uint16_t)(frame_bytes - PORT_FRAME_OVERHEAD_BYTES)
					       : 0;
}

static int
port_limits_check(const struct ep_dev *dev, const struct dev_port_cfg *cfg,
	const struct rte_eth_dev_info *info, struct ep_err *err)
{
	const uint32_t frame_max =
		(uint32_t)info->max_mtu + PORT_FRAME_OVERHEAD_BYTES + cfg->tag_bytes;

	if (info->max_mtu != 0 && cfg->frame_bytes > frame_max)
		return ep_err_set(err, -EINVAL,
			"--dev %s: frames of %u B wanted, %s carries up to %u B", dev->name,
			cfg->frame_bytes, info->driver_name, frame_max);
	if (cfg->offload_checksum &&
		(info->tx_offload_capa & PORT_CHECKSUM_OFFLOADS) != PORT_CHECKSUM_OFFLOADS)
		return ep_err_set(err, -ENOTSUP,
			"--dev %s: %s has no checksum offload for IPv4 and UDP; compute them in "
			"software",
			dev->name, info->driver_name);
	return 0;
}

/* Several queues of a device that can: RSS by addresses and UDP ports, which ep_dev_steer() may change later. */
static void
port_rss_conf(
	const struct ep_dev *dev, const struct rte_eth_dev_info *info, struct rte_eth_conf *conf)
{
	const uint64_t types = info->flow_type_rss_offloads & PORT_RSS_UDP;

	if (dev->queue_pairs < 2 || types == 0)
		return;
	conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	conf->rx_adv_conf.rss_conf.rss_hf = types;
}

static int
port_configure(struct ep_dev *dev, const struct dev_port_cfg *cfg,
	const struct rte_eth_dev_info *info, struct ep_err *err)
{
	struct rte_eth_conf conf = {0};
	int ret;

	port_rss_conf(dev, info, &conf);

	if (cfg->offload_checksum)
		conf.txmode.offloads = PORT_CHECKSUM_OFFLOADS;
	conf.rxmode.mtu = cfg->mtu_bytes;
	ret = rte_eth_dev_configure(dev->port_id, dev->queue_pairs, dev->queue_pairs, &conf);
	if (ret < 0)
		return ep_err_set(err, ret, "--dev %s: configuring %u queues: %s", dev->name,
			dev->queue_pairs, rte_strerror(-ret));
	ret = rte_eth_dev_adjust_nb_rx_tx_desc(dev->port_id, &dev->rx_descs, &dev->tx_descs);
	if (ret < 0)
		return ep_err_set(err, ret, "--dev %s: rings of %u descriptors: %s", dev->name,
			dev->rx_descs, rte_strerror(-ret));
	return 0;
}

static int
port_queue_open(
	struct ep_dev *dev, uint16_t queue, const struct dev_port_cfg *cfg, struct ep_err *err)
{
	int ret = port_pool_create(dev, queue, cfg, err);
	/* The driver's rings go with the packet buffers. */
	const int socket = ret < 0 ? SOCKET_ID_ANY : dev->pool[queue]->socket_id;

	if (ret < 0)
		return ret;
	ret = rte_eth_rx_queue_setup(
		dev->port_id, queue, dev->rx_descs, (unsigned int)socket, NULL, dev->pool[queue]);
	if (ret == 0)
		ret = rte_eth_tx_queue_setup(
			dev->port_id, queue, dev->tx_descs, (unsigned int)socket, NULL);
	if (ret < 0)
		return ep_err_set(
			err, ret, "--dev %s: queue %u: %s", dev->name, queue, rte_strerror(-ret));
	return 0;
}

int
dev_port_open(struct ep_dev *dev, const struct dev_port_cfg *cfg, struct ep_err *err)
{
	struct rte_eth_dev_info info;
	int ret = rte_eth_dev_info_get(dev->port_id, &info);

	if (ret < 0)
		return ep_err_set(err, ret, "--dev %s: %s", dev->name, rte_strerror(-ret));
	ret = port_limits_check(dev, cfg, &info, err);
	if (ret == 0)
		ret = port_configure(dev, cfg, &info, err);
	for (uint16_t q = 0; ret == 0 && q < dev->queue_pairs; q++)
		ret = port_queue_open(dev, q, cfg, err);
	if (ret == 0)
		ret = port_side_pool_create(dev, cfg, err);
	if (ret < 0)
		return ret;
	ret = rte_eth_dev_start(dev->port_id);
	if (ret < 0)
		return ep_err_set(err, ret, "--dev %s: start: %s", dev->name, rte_strerror(-ret));
	dev->started = true;
	dev->checksum_offload = cfg->offload_checksum;
	return 0;
}

/* Throw away what a queue holds; at most what fits in it, so that this ends under load, too. Returns how many packets. */
static uint32_t
port_queue_drain(const struct ep_dev *dev, uint16_t queue)
{
	struct rte_mbuf *burst[PORT_DRAIN_BURST];
	uint32_t drained = 0;

	for (uint32_t done = 0; done < dev->rx_descs; done += PORT_DRAIN_BURST) {
		const uint16_t n = rte_eth_rx_burst(dev->port_id, queue, burst, PORT_DRAIN_BURST);

		if (n == 0)
			break;
		rte_pktmbuf_free_bulk(burst, n);
		drained += n;
	}
	return drained;
}

uint32_t
dev_port_drain(const struct ep_dev *dev, uint64_t *queue)
{
	uint32_t drained = 0;

	for (uint16_t q = 0; q < dev->queue_pairs; q++) {
		const uint32_t count = port_queue_drain(dev, q);

		drained += count;
		if (queue != NULL)
			queue[q] += count;
	}
	return drained;
}

void
dev_port_close(struct ep_dev *dev)
{
	if (dev->vdev[0] != '\0') {
		if (dev->started)
			rte_eth_dev_stop(dev->port_id);
		if (rte_eth_dev_is_valid_port(dev->port_id))
			rte_eth_dev_close(dev->port_id);
		rte_eal_hotplug_remove(dev->bus, dev->vdev);
	}
	dev_sockets_close(&dev->sockets);
	for (uint16_t q = 0; q < DEV_QUEUES_MAX; q++)
		rte_mempool_free(dev->pool[q]);
	rte_mempool_free(dev->side_pool);
	dev->side_pool = NULL;
	dev->sockets.count = 0;
	dev->started = false;
	dev->vdev[0] = '\0';
}
