/* RSS of a port: key and table, as ep_plan knows them. */

#include "dev_priv.h"

#include <rte_errno.h>
#include <rte_ethdev.h>

#include <errno.h>
#include <string.h>

#define RSS_UDP (RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_NONFRAG_IPV6_UDP)
#define RETA_GROUPS (EP_PLAN_RETA_MAX / RTE_ETH_RETA_GROUP_SIZE)
#define KEY_BYTES_USUAL 40

/* What a driver without words for it has. */
static uint32_t
key_bytes_of(const struct rte_eth_dev_info *info)
{
	return info->hash_key_size != 0 ? info->hash_key_size : KEY_BYTES_USUAL;
}

static int
rss_limits(const struct ep_dev *dev, struct rte_eth_dev_info *info, struct ep_err *err)
{
	const int ret = rte_eth_dev_info_get(dev->port_id, info);

	if (ret < 0)
		return ep_err_set(err, ret, "--dev %s: %s", dev->name, rte_strerror(-ret));
	if ((info->flow_type_rss_offloads & RSS_UDP) == 0)
		return ep_err_set(err, -ENOTSUP, "--dev %s: %s has no RSS on UDP ports", dev->name,
			info->driver_name);
	if (info->reta_size == 0 || info->reta_size > EP_PLAN_RETA_MAX ||
		!rte_is_power_of_2(info->reta_size))
		return ep_err_set(err, -ENOTSUP,
			"--dev %s: %s has an RSS table of %u entries; usable are powers of two up "
			"to %d",
			dev->name, info->driver_name, info->reta_size, EP_PLAN_RETA_MAX);
	if (key_bytes_of(info) < EP_PLAN_KEY_MIN || key_bytes_of(info) > EP_PLAN_KEY_MAX)
		return ep_err_set(err, -ENOTSUP,
			"--dev %s: %s has an RSS key of %u B; usable are %d to %d", dev->name,
			info->driver_name, key_bytes_of(info), EP_PLAN_KEY_MIN, EP_PLAN_KEY_MAX);
	return 0;
}

int
ep_dev_rss_read(const struct ep_dev *dev, struct ep_plan_rss *rss, struct ep_err *err)
{
	struct rte_eth_rss_reta_entry64 group[RETA_GROUPS];
	struct ep_plan_rss made = {0};
	struct rte_eth_rss_conf conf = {.rss_key = made.key, .rss_key_len = sizeof(made.key)};
	struct rte_eth_dev_info info;
	int ret = rss_limits(dev, &info, err);

	if (ret < 0)
		return ret;
	made.key_bytes = key_bytes_of(&info);
	made.reta_count = info.reta_size;
	memset(group, 0, sizeof(group));
	for (uint32_t i = 0; i < made.reta_count; i++)
		group[i / RTE_ETH_RETA_GROUP_SIZE].mask |= UINT64_C(1)
			<< i % RTE_ETH_RETA_GROUP_SIZE;
	conf.rss_key_len = (uint8_t)made.key_bytes;
	ret = rte_eth_dev_rss_hash_conf_get(dev->port_id, &conf);
	if (ret == 0)
		ret = rte_eth_dev_rss_reta_query(dev->port_id, group, info.reta_size);
	if (ret < 0)
		return ep_err_set(
			err, ret, "--dev %s: reading its RSS: %s", dev->name, rte_strerror(-ret));
	made.hash = (conf.rss_hf & RSS_UDP) != 0 ? EP_PLAN_HASH_PORTS : EP_PLAN_HASH_ADDRESSES;
	for (uint32_t i = 0; i < made.reta_count; i++)
		made.reta[i] = group[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE];
	*rss = made;
	return 0;
}

static int
reta_write(const struct ep_dev *dev, const struct ep_plan_rss *rss)
{
	struct rte_eth_rss_reta_entry64 group[RETA_GROUPS];

	memset(group, 0, sizeof(group));
	for (uint32_t i = 0; i < rss->reta_count; i++) {
		group[i / RTE_ETH_RETA_GROUP_SIZE].mask |= UINT64_C(1)
			<< i % RTE_ETH_RETA_GROUP_SIZE;
		group[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE] = rss->reta[i];
	}
	return rte_eth_dev_rss_reta_update(dev->port_id, group, (uint16_t)rss->reta_count);
}

int
ep_dev_rss_write(struct ep_dev *dev, const struct ep_plan_rss *rss, struct ep_err *err)
{
	uint8_t key[EP_PLAN_KEY_MAX];
	struct rte_eth_rss_conf conf = {.rss_key = key, .rss_key_len = (uint8_t)rss->key_bytes};
	struct rte_eth_dev_info info;
	int ret = rss_limits(dev, &info, err);

	if (ret < 0)
		return ret;
	if (rss->key_bytes != key_bytes_of(&info) || rss->reta_count != info.reta_size)
		return ep_err_set(err, -EINVAL,
			"--dev %s: an RSS key of %u B and a table of %u entries; %s has %u B and "
			"%u",
			dev->name, rss->key_bytes, rss->reta_count, info.driver_name,
			key_bytes_of(&info), info.reta_size);
	memcpy(key, rss->key, sizeof(key));
	conf.rss_hf = info.flow_type_rss_offloads & RSS_UDP;
	ret = rte_eth_dev_rss_hash_update(dev->port_id, &conf);
	if (ret < 0)
		return ep_err_set(err, ret, "--dev %s: setting its RSS key: %s", dev->name,
			rte_strerror(-ret));
	ret = reta_write(dev, rss);
	if (ret < 0)
		return ep_err_set(err, ret, "--dev %s: setting its RSS table: %s", dev->name,
			rte_strerror(-ret));
	return 0;
}

int
dev_rss_own(const struct ep_dev *dev, uint16_t first_queue, uint16_t queue_count,
	struct ep_plan_rss *rss, struct ep_err *err)
{
	struct rte_eth_dev_info info;
	const int ret = rss_limits(dev, &info, err);

	if (ret < 0)
		return ret;
	return ep_plan_rss_init(
		rss, key_bytes_of(&info), info.reta_size, first_queue, queue_count, err);
}
