/* The in-memory pair: two net_ring ports whose rings are crossed, or led through a path model. */

#include "dev_priv.h"

#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PAIR_QUEUES_MAX 16 /* Of DPDK's net_ring. */

/* Rings of both ends, by queue. */
struct pair_rings {
	struct rte_ring *rx[2][PAIR_QUEUES_MAX];
	struct rte_ring *tx[2][PAIR_QUEUES_MAX];
};

/* Made for one end and freed with it. A queue pair is one worker's, as is each side of a model. */
static struct rte_ring *
pair_ring(struct ep_dev *dev, const char *what, uint16_t queue)
{
	char name[RTE_RING_NAMESIZE];
	unsigned int n = 0;
	struct rte_ring *ring;

	do {
		snprintf(name, sizeof(name), "ep%u_%u%s%u", n++, dev->pair_end, what, queue);
	} while (rte_ring_lookup(name) != NULL);
	ring = rte_ring_create(name, dev->rx_descs, SOCKET_ID_ANY,
		RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
	if (ring != NULL)
		dev->ring[dev->ring_count++] = ring;
	return ring;
}

static int
pair_rings_make(struct ep_dev *dev[2], struct pair_rings *rings, struct ep_dev_wire *wire)
{
	for (int end = 0; end < 2; end++)
		for (uint16_t q = 0; q < dev[end]->queue_pairs; q++) {
			rings->rx[end][q] = pair_ring(dev[end], "rx", q);
			if (rings->rx[end][q] == NULL)
				return -rte_errno;
			rings->tx[1 - end][q] = rings->rx[end][q];
		}
	for (int end = 0; wire != NULL && end < 2; end++) {
		rings->tx[end][0] = pair_ring(dev[end], "tx", 0);
		if (rings->tx[end][0] == NULL)
			return -rte_errno;
	}
	return 0;
}

/* There is no --dev in the user's command line that a sentence could name. */
static int
pair_port_open(struct ep_dev *dev, const struct dev_port_cfg *port, struct ep_err *err)
{
	struct ep_err cause = {0};
	const int ret = dev_port_open(dev, port, &cause);
	const char *text = strstr(cause.text, ": ");

	return ret == 0 ? 0
			: ep_err_set(err, ret, "in-memory pair: %.400s",
				  text != NULL ? text + 2 : cause.text);
}

static int
pair_end_open(struct ep_dev *dev, const struct ep_dev_cfg *cfg, const struct pair_rings *rings,
	struct ep_err *err)
{
	const struct dev_port_cfg port = {
		.frame_bytes = 0, /* a ring carries any */
		.buf_bytes = RTE_ALIGN(cfg->mtu_frame_bytes, RTE_CACHE_LINE_SIZE),
		.pool_mbufs = cfg->pool_mbufs != 0 ? cfg->pool_mbufs : 4u * cfg->ring_descs + 1024,
		.offload_checksum = cfg->offload_checksum,
	};
	const uint8_t end = dev->pair_end;
	char name[32];
	uint16_t taken;
	unsigned int n = 0;
	int ret;

	do {
		snprintf(name, sizeof(name), "ep%u_%u", n++, end);
		snprintf(dev->vdev, sizeof(dev->vdev), "net_ring_%s", name);
	} while (rte_eth_dev_get_port_by_name(dev->vdev, &taken) == 0);
	ret = rte_eth_from_rings(name, rings->rx[end], dev->queue_pairs, rings->tx[end],
		dev->queue_pairs, (unsigned int)SOCKET_ID_ANY);
	if (ret < 0) {
		dev->vdev[0] = '\0';
		return ep_err_set(err, -rte_errno, "in-memory pair: %s", rte_strerror(rte_errno));
	}
	dev->port_id = (uint16_t)ret;
	return pair_port_open(dev, &port, err);
}

static int
pair_check(const struct ep_dev_cfg *cfg, const struct ep_dev_wire *wire, struct ep_err *err)
{
	const uint16_t max = wire != NULL ? 1 : PAIR_QUEUES_MAX;

	if (cfg->queue_pairs > max)
		return ep_err_set(err, -EINVAL,
			"in-memory pair: %u queues wanted, at most %u are possible%s",
			cfg->queue_pairs, max, wire != NULL ? " with a path model" : "");
	return dev_cfg_check(cfg, "in memory", err);
}

static struct ep_dev *
pair_end_alloc(const struct ep_dev_cfg *cfg, uint8_t end)
{
	struct ep_dev *dev = dev_alloc(cfg, "in memory");

	if (dev == NULL)
		return NULL;
	dev->spec = (struct ep_dev_spec){.kind = EP_DEV_MEMORY};
	dev->queue_pairs = RTE_MAX(cfg->queue_pairs, 1);
	dev->pair_end = end;
	return dev;
}

int
ep_dev_pair_open(const struct ep_dev_cfg *cfg, struct ep_dev *out[2], struct ep_dev_wire *wire,
	struct ep_err *err)
{
	struct ep_dev *dev[2] = {NULL, NULL};
	struct pair_rings rings = {0};
	int ret = pair_check(cfg, wire, err);

	if (ret < 0)
		return ret;
	for (uint8_t end = 0; end < 2; end++)
		dev[end] = pair_end_alloc(cfg, end);
	if (dev[0] == NULL || dev[1] == NULL) {
		ret = ep_err_set(err, -ENOMEM, "in-memory pair: no memory");
		goto fail;
	}
	ret = pair_rings_make(dev, &rings, wire);
	if (ret < 0) {
		ep_err_set(err, ret, "in-memory pair: no memory for rings of %u packets: %s",
			cfg->ring_descs, rte_strerror(-ret));
		goto fail;
	}
	for (int end = 0; ret == 0 && end < 2; end++)
		ret = pair_end_open(dev[end], cfg, &rings, err);
	if (ret < 0)
		goto fail;
	for (int end = 0; end < 2; end++) {
		dev_stats_start(dev[end]);
		out[end] = dev[end];
		if (wire != NULL) {
			wire->from[end] = rings.tx[end][0];
			wire->to[end] = rings.rx[end][0];
		}
	}
	return 0;

fail:
	ep_dev_close(dev[0]);
	ep_dev_close(dev[1]);
	return ret;
}
