/* Open, close and look at a device. */

#include "dev_priv.h"

#include <rte_ethdev.h>
#include <rte_ring.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DEV_RING_MIN 64
#define DEV_RING_MAX 4096

RTE_LOG_REGISTER(ep_dev_logtype, ep.dev, NOTICE)

struct ep_dev *
dev_alloc(const struct ep_dev_cfg *cfg, const char *name)
{
	struct ep_dev *dev = calloc(1, sizeof(*dev));

	if (dev == NULL)
		return NULL;
	dev->spec = cfg->spec;
	dev->bus = cfg->spec.kind == EP_DEV_PCI ? "pci" : "vdev";
	dev->rx_descs = dev->tx_descs = cfg->ring_descs;
	dev->has_node = cfg->has_node;
	dev->node = cfg->node;
	dev->lock_fd = -1;
	dev->filter.cfg_fd = dev->filter.object_fd = -1;
	dev->filter.sockets_fd = dev->filter.stray_fd = -1;
	snprintf(dev->name, sizeof(dev->name), "%s", name);
	return dev;
}

int
dev_cfg_check(const struct ep_dev_cfg *cfg, const char *name, struct ep_err *err)
{
	const uint16_t descs = cfg->ring_descs;

	if (descs < DEV_RING_MIN || descs > DEV_RING_MAX || !rte_is_power_of_2(descs))
		return ep_err_set(err, -EINVAL,
			"--dev %s: rings of %u descriptors; allowed is a power of two, %u to %u",
			name, descs, DEV_RING_MIN, DEV_RING_MAX);
	if (cfg->queue_pairs > DEV_QUEUES_MAX)
		return ep_err_set(err, -EINVAL,
			"--dev %s: %u queues wanted, at most %u are possible", name,
			cfg->queue_pairs, DEV_QUEUES_MAX);
	if (cfg->spec.kind != EP_DEV_AF_XDP && (cfg->range_queues > 0 || cfg->busy_poll_pkts > 0))
		return ep_err_set(err, -EINVAL, "--dev %s: %s is for a kernel interface by AF_XDP",
			name, cfg->range_queues > 0 ? "--queues" : "--busy-poll");
	return 0;
}

static void
dev_name_format(const struct ep_dev_spec *spec, char *name, size_t len)
{
	if (spec->kind == EP_DEV_VDEV)
		snprintf(name, len, "%s", spec->vdev);
	else if (spec->kind == EP_DEV_PCI)
		snprintf(name, len, "%s", spec->pci);
	else
		snprintf(name, len, "%s%s", spec->kind == EP_DEV_AF_PACKET ? "af_packet:" : "",
			spec->ifname);
}

static int
dev_open_kind(struct ep_dev *dev, const struct ep_dev_cfg *cfg, struct ep_err *err)
{
	if (cfg->spec.kind == EP_DEV_VDEV)
		return dev_vdev_open(dev, cfg, err);
	if (cfg->spec.kind == EP_DEV_PCI)
		return dev_pci_open(dev, cfg, err);
	return dev_kernel_open(dev, cfg, err);
}

int
ep_dev_open(const struct ep_dev_cfg *cfg, struct ep_dev **out, struct ep_err *err)
{
	char name[sizeof(((struct ep_dev *)0)->name)];
	struct ep_dev *dev;
	int ret;

	dev_name_format(&cfg->spec, name, sizeof(name));
	if (cfg->spec.kind == EP_DEV_MEMORY)
		return ep_err_set(
			err, -EINVAL, "the in-memory pair has two ends: ep_dev_pair_open()");
	ret = dev_cfg_check(cfg, name, err);
	if (ret < 0)
		return ret;
	dev = dev_alloc(cfg, name);
	if (dev == NULL)
		return ep_err_set(err, -ENOMEM, "--dev %s: no memory", name);
	ret = dev_open_kind(dev, cfg, err);
	if (ret < 0) {
		ep_dev_close(dev);
		return ret;
	}
	dev_stats_start(dev);
	*out = dev;
	return 0;
}

/* Whether a virtual device has a far end that is a program. */
static bool
dev_has_far_end(const struct ep_dev *dev)
{
	static const char *const driver[] = {
		"net_memif", "net_vhost", "net_virtio_user", "virtio_user"};

	for (size_t i = 0; i < EP_ARRAY_LEN(driver); i++)
		if (strncmp(dev->spec.vdev, driver[i], strlen(driver[i])) == 0)
			return dev->spec.kind == EP_DEV_VDEV;
	return false;
}

/*
 * DPDK's interrupt thread notices on its own that the far end is gone: net_memif of 22.11 then frees what it shared with the thread
 * that closes the far end, or with rte_eal_cleanup(), and crashes. Let it finish.
 */
static void
dev_settle(const struct ep_dev *dev)
{
	const struct timespec pause = {.tv_nsec = 200 * EP_NS_PER_MS};

	if (dev_has_far_end(dev))
		nanosleep(&pause, NULL);
}

/* Packets that wait in a ring of the pair are left there: the other end's pool may be gone. */
void
ep_dev_close(struct ep_dev *dev)
{
	if (dev == NULL)
		return;
	ep_dev_disarm(dev);
	ep_dev_unsteer(dev);
	dev_xdp_ports_close(dev);
	dev_port_close(dev);
	dev_settle(dev);
	dev_filter_close(dev);
	dev_nic_close(dev);
	for (uint32_t i = 0; i < dev->ring_count; i++)
		rte_ring_free(dev->ring[i]);
	if (dev->lock_fd >= 0)
		close(dev->lock_fd);
	free(dev);
}

struct rte_mempool *
ep_dev_pool(const struct ep_dev *dev, uint16_t queue)
{
	return dev->more_count > 0 && queue > 0 ? dev->more[queue - 1]->pool[0] : dev->pool[queue];
}

struct ep_dev_queue
ep_dev_queue(const struct ep_dev *dev, uint16_t queue)
{
	if (dev->more_count > 0 && queue > 0)
		return (struct ep_dev_queue){dev->more[queue - 1]->port_id, 0};
	return (struct ep_dev_queue){dev->port_id, queue};
}

struct rte_mempool *
ep_dev_side_pool(const struct ep_dev *dev)
{
	return dev->side_pool;
}

int
ep_dev_arm(struct ep_dev *dev, const struct ep_dev_filter *filter, struct ep_err *err)
{
	int ret;

	if (dev->filter.cfg_fd < 0)
		return 0;
	ret = dev_filter_write(&dev->filter, filter);
	if (ret < 0)
		return ep_err_set(err, ret, "--dev %s: telling the filter what to take: %s",
			dev->name, strerror(-ret));
	return 0;
}

void
ep_dev_disarm(struct ep_dev *dev)
{
	if (dev->filter.cfg_fd >= 0)
		dev_filter_write(&dev->filter, NULL);
}
