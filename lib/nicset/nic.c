/* Single questions and changes: SIOCETHTOOL, one command after the other. */

#include "nicset_priv.h"

#include <errno.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* More rules, and longer tables, than any NIC has. */
#define RULES_MAX 65536
#define TABLE_MAX 65536

int
ep_nicset_ethtool(void *ctx, const char *ifname, void *command)
{
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {0};
	int ret;

	(void)ctx;
	if (fd < 0)
		return -errno;
	memcpy(ifr.ifr_name, ifname, strnlen(ifname, sizeof(ifr.ifr_name) - 1));
	ifr.ifr_data = command;
	ret = ioctl(fd, SIOCETHTOOL, &ifr) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

int
nicset_ask(const struct ep_nicset *set, void *command)
{
	return set->cfg.ethtool(set->cfg.ethtool_ctx, set->cfg.ifname, command);
}

int
nicset_channels_get(const struct ep_nicset *set, struct ethtool_channels *channels)
{
	*channels = (struct ethtool_channels){.cmd = ETHTOOL_GCHANNELS};
	return nicset_ask(set, channels);
}

uint16_t
nicset_queue_count(const struct ethtool_channels *channels)
{
	const uint32_t count = channels->combined_count + channels->rx_count;

	return (uint16_t)(count > 0 ? count : 1);
}

int
nicset_flags_get(const struct ep_nicset *set, uint32_t *flags)
{
	struct ethtool_value value = {.cmd = ETHTOOL_GFLAGS};
	const int ret = nicset_ask(set, &value);

	*flags = value.data;
	return ret;
}

int
nicset_flags_set(const struct ep_nicset *set, uint32_t flags)
{
	struct ethtool_value value = {.cmd = ETHTOOL_SFLAGS, .data = flags};

	return nicset_ask(set, &value);
}

int
nicset_hash_get(const struct ep_nicset *set, uint32_t flow_type, uint64_t *fields)
{
	struct ethtool_rxnfc nfc = {.cmd = ETHTOOL_GRXFH, .flow_type = flow_type};
	const int ret = nicset_ask(set, &nfc);

	*fields = nfc.data;
	return ret;
}

int
nicset_hash_set(const struct ep_nicset *set, uint32_t flow_type, uint64_t fields)
{
	struct ethtool_rxnfc nfc = {.cmd = ETHTOOL_SRXFH, .flow_type = flow_type, .data = fields};

	return nicset_ask(set, &nfc);
}

int
nicset_rule_count(const struct ep_nicset *set, uint32_t *count, bool *any_location)
{
	struct ethtool_rxnfc nfc = {.cmd = ETHTOOL_GRXCLSRLCNT};
	const int ret = nicset_ask(set, &nfc);

	*count = nfc.rule_cnt;
	*any_location = (nfc.data & RX_CLS_LOC_SPECIAL) != 0;
	return ret;
}

int
nicset_rule_get(const struct ep_nicset *set, uint32_t location, struct ethtool_rx_flow_spec *rule)
{
	struct ethtool_rxnfc nfc = {.cmd = ETHTOOL_GRXCLSRULE, .fs.location = location};
	const int ret = nicset_ask(set, &nfc);

	*rule = nfc.fs;
	return ret;
}

static bool
location_taken(const struct ethtool_rxnfc *all, uint32_t location)
{
	for (uint32_t i = 0; i < all->rule_cnt; i++)
		if (all->rule_locs[i] == location)
			return true;
	return false;
}

int
nicset_rule_free(const struct ep_nicset *set, uint32_t *location)
{
	struct ethtool_rxnfc *all;
	uint32_t count;
	bool any;
	int ret = nicset_rule_count(set, &count, &any);

	if (ret < 0)
		return ret;
	if (count > RULES_MAX)
		return -E2BIG;
	all = calloc(1, sizeof(*all) + (size_t)count * sizeof(uint32_t));
	if (all == NULL)
		return -ENOMEM;
	all->cmd = ETHTOOL_GRXCLSRLALL;
	all->rule_cnt = count;
	ret = nicset_ask(set, all);
	if (ret == 0) {
		uint64_t at = all->data; /* size of the table */

		while (at > 0 && location_taken(all, (uint32_t)at - 1))
			at--;
		ret = at == 0 ? -ENOSPC : 0;
		*location = (uint32_t)at - 1;
	}
	free(all);
	return ret;
}

int
nicset_rule_put(const struct ep_nicset *set, struct ethtool_rx_flow_spec *rule, uint32_t context)
{
	struct ethtool_rxnfc nfc = {.cmd = ETHTOOL_SRXCLSRLINS, .fs = *rule};
	int ret;

	if ((rule->flow_type & FLOW_RSS) != 0)
		nfc.rss_context = context;
	ret = nicset_ask(set, &nfc);
	if (ret == 0)
		rule->location = nfc.fs.location;
	return ret;
}

int
nicset_rule_remove(const struct ep_nicset *set, uint32_t location)
{
	struct ethtool_rxnfc nfc = {.cmd = ETHTOOL_SRXCLSRLDEL, .fs.location = location};

	return nicset_ask(set, &nfc);
}

/* A context's sizes, 0 for the main table, in a struct with room for its table. */
static int
context_get(const struct ep_nicset *set, uint32_t id, struct ethtool_rxfh **out)
{
	struct ethtool_rxfh sizes = {.cmd = ETHTOOL_GRSSH, .rss_context = id};
	struct ethtool_rxfh *h;
	int ret = nicset_ask(set, &sizes);

	if (ret < 0)
		return ret;
	if (sizes.indir_size == 0 || sizes.indir_size > TABLE_MAX || sizes.key_size > TABLE_MAX)
		return -EOPNOTSUPP;
	h = calloc(1, sizeof(*h) + (size_t)sizes.indir_size * sizeof(uint32_t) + sizes.key_size);
	if (h == NULL)
		return -ENOMEM;
	h->cmd = ETHTOOL_GRSSH;
	h->rss_context = id;
	h->indir_size = sizes.indir_size;
	h->key_size = sizes.key_size;
	ret = nicset_ask(set, h);
	if (ret < 0)
		free(h);
	else
		*out = h;
	return ret;
}

int
nicset_context_make(const struct ep_nicset *set, uint16_t queue_count, uint32_t *id)
{
	struct ethtool_rxfh *h;
	int ret = context_get(set, 0, &h);

	if (ret < 0)
		return ret;
	/* The table alone: the key is the main one's, or what the driver takes for a new context. */
	h->cmd = ETHTOOL_SRSSH;
	h->rss_context = ETH_RXFH_CONTEXT_ALLOC;
	h->key_size = 0;
	h->hfunc = 0;
	for (uint32_t i = 0; i < h->indir_size; i++)
		h->rss_config[i] = i % queue_count;
	ret = nicset_ask(set, h);
	if (ret == 0)
		*id = h->rss_context;
	free(h);
	return ret;
}

int
nicset_context_check(const struct ep_nicset *set, uint32_t id, uint16_t queue_count)
{
	struct ethtool_rxfh *h;
	int ret = context_get(set, id, &h);

	if (ret < 0)
		return ret;
	for (uint32_t i = 0; i < h->indir_size; i++)
		if (h->rss_config[i] != i % queue_count)
			ret = -ESTALE;
	free(h);
	return ret;
}

int
nicset_context_remove(const struct ep_nicset *set, uint32_t id)
{
	struct ethtool_rxfh h = {.cmd = ETHTOOL_SRSSH, .rss_context = id};

	return nicset_ask(set, &h);
}
