/* Counters of an interface by name: the driver's own, by ethtool, and the kernel's for every interface, by netlink. */

#include "netlink_priv.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <stdlib.h>
#include <string.h>

/* The number of counters may change between the question for it and the answer. */
#define ATTEMPTS 3

/** A driver under question. */
struct counters {
	ep_netlink_ethtool_fn ask;
	void *ctx;
	const char *ifname;
};

/* How many counters of its own the driver has; 0: none. */
static int
counters_count(const struct counters *c, uint32_t *count)
{
	union {
		struct ethtool_sset_info head;
		uint8_t room[sizeof(struct ethtool_sset_info) + sizeof(uint32_t)];
	} set = {.head = {.cmd = ETHTOOL_GSSET_INFO, .sset_mask = UINT64_C(1) << ETH_SS_STATS}};

	*count = 0;
	if (c->ask(c->ctx, c->ifname, &set) < 0 || set.head.sset_mask == 0)
		return 0;
	memcpy(count, set.room + sizeof(set.head), sizeof(*count));
	return *count <= EP_NIC_COUNTERS_MAX ? 0 : -E2BIG;
}

static int
counters_add(const struct ethtool_gstrings *names, const struct ethtool_stats *values,
	struct ep_nic_sample *sample)
{
	int ret = 0;

	for (uint32_t i = 0; i < values->n_stats && ret == 0; i++)
		ret = ep_nic_sample_add(sample, EP_NIC_ETHTOOL,
			(const char *)names->data + (size_t)i * ETH_GSTRING_LEN, ETH_GSTRING_LEN,
			values->data[i]);
	return ret;
}

/*
 * The kernel writes as many values as the driver has at that moment, whatever room there is, so there is room for twice as many as it
 * had a moment ago. Names and values fit each other where their numbers are equal.
 */
static int
counters_read(const struct counters *c, uint32_t count, struct ep_nic_sample *sample)
{
	const size_t room = 2 * (size_t)count + 64;
	struct ethtool_gstrings *names = calloc(1, sizeof(*names) + room * ETH_GSTRING_LEN);
	struct ethtool_stats *values = calloc(1, sizeof(*values) + room * sizeof(uint64_t));
	int ret = -ENOMEM;

	if (names == NULL || values == NULL)
		goto out;
	names->cmd = ETHTOOL_GSTRINGS;
	names->string_set = ETH_SS_STATS;
	names->len = count;
	values->cmd = ETHTOOL_GSTATS;
	values->n_stats = count;
	ret = c->ask(c->ctx, c->ifname, names);
	if (ret == 0)
		ret = c->ask(c->ctx, c->ifname, values);
	if (ret == 0 && (names->len != count || values->n_stats != count))
		ret = -EAGAIN;
	if (ret == 0)
		ret = counters_add(names, values, sample);
out:
	free(names);
	free(values);
	return ret;
}

int
ep_netlink_driver_counters(
	ep_netlink_ethtool_fn ask, void *ctx, const char *ifname, struct ep_nic_sample *sample)
{
	const struct counters c = {ask, ctx, ifname};
	uint32_t count;
	int ret = -EAGAIN;

	for (int i = 0; i < ATTEMPTS && ret == -EAGAIN; i++) {
		ret = counters_count(&c, &count);
		if (ret == 0 && count > 0)
			ret = counters_read(&c, count, sample);
	}
	return ret;
}

int
ep_netlink_link_counters(int ifindex, struct ep_nic_sample *sample)
{
#define AT(member)                                                  \
	{                                                           \
#member, offsetof(struct rtnl_link_stats64, member) \
	}
	static const struct {
		const char *name;
		size_t offset;
	} row[] = {
		AT(rx_packets),
		AT(tx_packets),
		AT(rx_bytes),
		AT(tx_bytes),
		AT(rx_errors),
		AT(tx_errors),
		AT(rx_dropped),
		AT(tx_dropped),
		AT(multicast),
		AT(collisions),
		AT(rx_length_errors),
		AT(rx_over_errors),
		AT(rx_crc_errors),
		AT(rx_frame_errors),
		AT(rx_fifo_errors),
		AT(rx_missed_errors),
		AT(tx_aborted_errors),
		AT(tx_carrier_errors),
		AT(tx_fifo_errors),
		AT(tx_heartbeat_errors),
		AT(tx_window_errors),
		AT(rx_nohandler),
	};
#undef AT
	struct rtnl_link_stats64 raw;
	int ret = netlink_stats64(ifindex, &raw);

	for (size_t i = 0; i < EP_ARRAY_LEN(row) && ret == 0; i++) {
		uint64_t value;

		memcpy(&value, (const uint8_t *)&raw + row[i].offset, sizeof(value));
		ret = ep_nic_sample_add(sample, EP_NIC_LINK, row[i].name, EP_NIC_NAME_BYTES, value);
	}
	return ret;
}
