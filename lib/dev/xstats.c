/* Counters of a device by name: DPDK's extended statistics, or where the kernel has the device the kernel's. */

#include "dev_priv.h"

#include <rte_ethdev.h>

#include <errno.h>
#include <stdlib.h>

/* The number of statistics may change between the question for it and the answer. */
#define XSTATS_ATTEMPTS 3

static int
xstats_take(const struct rte_eth_xstat_name *names, const uint64_t *values, int count,
	struct ep_nic_sample *sample)
{
	int ret = 0;

	for (int i = 0; i < count && ret == 0; i++)
		ret = ep_nic_sample_add(
			sample, EP_NIC_DPDK, names[i].name, sizeof(names[i].name), values[i]);
	return ret;
}

/* By number, which without a list of numbers means all of them in the order of their names. */
static int
xstats_read(const struct ep_dev *dev, int count, struct ep_nic_sample *sample)
{
	const size_t room = (size_t)count;
	struct rte_eth_xstat_name *names = calloc(room, sizeof(*names));
	uint64_t *values = calloc(room, sizeof(*values));
	int ret = -ENOMEM;

	if (names != NULL && values != NULL) {
		ret = rte_eth_xstats_get_names_by_id(
			dev->port_id, names, (unsigned int)count, NULL);
		if (ret == count)
			ret = rte_eth_xstats_get_by_id(
				dev->port_id, NULL, values, (unsigned int)count);
		if (ret >= 0)
			ret = ret == count ? xstats_take(names, values, count, sample) : -EAGAIN;
	}
	free(names);
	free(values);
	return ret;
}

static int
xstats_dpdk(const struct ep_dev *dev, struct ep_nic_sample *sample)
{
	struct rte_eth_dev_info info;
	int ret = -EAGAIN;

	if (rte_eth_dev_info_get(dev->port_id, &info) == 0 && info.driver_name != NULL)
		ep_nic_sample_driver(sample, info.driver_name);
	for (int i = 0; i < XSTATS_ATTEMPTS && ret == -EAGAIN; i++) {
		const int count = rte_eth_xstats_get_names_by_id(dev->port_id, NULL, 0, NULL);

		if (count <= 0)
			return count;
		ret = (uint32_t)count > EP_NIC_COUNTERS_MAX ? -E2BIG
							    : xstats_read(dev, count, sample);
	}
	return ret;
}

/* What AF_XDP's and AF_PACKET's drivers have of their own is in the ledger already. A driver that tells nothing leaves the kernel's. */
static int
xstats_kernel(const struct ep_dev *dev, struct ep_nic_sample *sample)
{
	const int ret = ep_netlink_link_counters(dev->link.ifindex, sample);

	ep_nic_sample_driver(sample, dev->link.driver);
	if (ret < 0)
		return ret;
	if (ep_netlink_driver_counters(ep_netlink_ethtool, NULL, dev->link.name, sample) < 0)
		DEV_LOG(DEBUG, "%s: the counters of its driver cannot be read", dev->link.name);
	return 0;
}

int
ep_dev_xstats(const struct ep_dev *dev, struct ep_nic_sample *sample)
{
	int ret;

	ep_nic_sample_reset(sample);
	ret = dev->link.ifindex != 0 ? xstats_kernel(dev, sample) : xstats_dpdk(dev, sample);
	sample->known = ret == 0;
	return ret;
}
