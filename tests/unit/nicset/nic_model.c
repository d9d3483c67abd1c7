#include "nic_model.h"

#include <errno.h>
#include <string.h>

static int
channels_get(const struct nic_model *n, struct ethtool_channels *c)
{
	if (!n->has_channels)
		return -EOPNOTSUPP;
	if (n->combined) {
		c->max_combined = n->queues_max;
		c->combined_count = n->queues;
	} else {
		c->max_rx = c->max_tx = n->queues_max;
		c->rx_count = c->tx_count = n->queues;
	}
	return 0;
}

static int
channels_set(struct nic_model *n, const struct ethtool_channels *c)
{
	const uint32_t wanted = n->combined ? c->combined_count : c->rx_count;

	if (!n->has_channels)
		return -EOPNOTSUPP;
	if (wanted < 1 || wanted > n->queues_max)
		return -EINVAL;
	n->queues = wanted;
	return 0;
}

static uint64_t *
hash_of(struct nic_model *n, uint32_t flow_type)
{
	return &n->hash[flow_type == UDP_V6_FLOW];
}

static uint32_t
rule_count(const struct nic_model *n)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < MODEL_RULES; i++)
		count += n->rule[i].used;
	return count;
}

static int
rules_list(const struct nic_model *n, struct ethtool_rxnfc *nfc)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < MODEL_RULES; i++) {
		if (!n->rule[i].used)
			continue;
		if (at == nfc->rule_cnt)
			return -EMSGSIZE;
		nfc->rule_locs[at++] = i;
	}
	nfc->rule_cnt = at;
	nfc->data = MODEL_RULES;
	return 0;
}

static int
rule_put(struct nic_model *n, struct ethtool_rxnfc *nfc)
{
	uint32_t at = nfc->fs.location;

	if ((n->flags & ETH_FLAG_NTUPLE) == 0 || rule_count(n) == n->rules_max)
		return -ENOSPC;
	if ((at == RX_CLS_LOC_ANY) != n->any_location)
		return -EINVAL;
	if (n->any_location)
		for (at = 0; n->rule[at].used; at++)
			;
	if (at >= MODEL_RULES)
		return -EINVAL;
	if ((nfc->fs.flow_type & FLOW_RSS) != 0 &&
		(!n->has_contexts || nfc->rss_context >= MODEL_CONTEXTS ||
			!n->context[nfc->rss_context].used))
		return -EINVAL;
	nfc->fs.location = at;
	n->rule[at].used = true;
	n->rule[at].context = nfc->rss_context;
	n->rule[at].fs = nfc->fs;
	return 0;
}

static int
rules_answer(struct nic_model *n, struct ethtool_rxnfc *nfc)
{
	if (!n->has_rules)
		return -EOPNOTSUPP;
	if (nfc->cmd == ETHTOOL_GRXCLSRLCNT) {
		nfc->rule_cnt = rule_count(n);
		nfc->data = MODEL_RULES | (n->any_location ? RX_CLS_LOC_SPECIAL : 0);
		return 0;
	}
	if (nfc->cmd == ETHTOOL_GRXCLSRLALL)
		return rules_list(n, nfc);
	if (nfc->cmd == ETHTOOL_SRXCLSRLINS)
		return rule_put(n, nfc);
	if (nfc->fs.location >= MODEL_RULES || !n->rule[nfc->fs.location].used)
		return -ENOENT;
	if (nfc->cmd == ETHTOOL_GRXCLSRULE)
		nfc->fs = n->rule[nfc->fs.location].fs;
	else
		memset(&n->rule[nfc->fs.location], 0, sizeof(n->rule[0]));
	return 0;
}

static int
context_make(struct nic_model *n, struct ethtool_rxfh *h)
{
	uint32_t id = 1;

	while (id < MODEL_CONTEXTS && n->context[id].used)
		id++;
	if (id == MODEL_CONTEXTS)
		return -ENOSPC;
	n->context[id].used = true;
	memcpy(n->context[id].table, h->rss_config, sizeof(n->context[id].table));
	h->rss_context = id;
	return 0;
}

static int
context_set(struct nic_model *n, struct ethtool_rxfh *h)
{
	if (!n->has_contexts)
		return -EOPNOTSUPP;
	if (h->rss_context == ETH_RXFH_CONTEXT_ALLOC)
		return context_make(n, h);
	if (h->rss_context >= MODEL_CONTEXTS || !n->context[h->rss_context].used)
		return -ENOENT;
	/* A context that rules lead to stays. */
	for (uint32_t i = 0; i < MODEL_RULES; i++)
		if (n->rule[i].used && n->rule[i].context == h->rss_context)
			return -EBUSY;
	memset(&n->context[h->rss_context], 0, sizeof(n->context[0]));
	return 0;
}

static int
context_get(const struct nic_model *n, struct ethtool_rxfh *h)
{
	if (h->rss_context != 0 &&
		(h->rss_context >= MODEL_CONTEXTS || !n->context[h->rss_context].used))
		return -ENOENT;
	if (h->indir_size == MODEL_TABLE)
		memcpy(h->rss_config, n->context[h->rss_context].table,
			sizeof(n->context[0].table));
	h->indir_size = MODEL_TABLE;
	return 0;
}

static bool
is_change(uint32_t cmd)
{
	return cmd == ETHTOOL_SCHANNELS || cmd == ETHTOOL_SFLAGS || cmd == ETHTOOL_SRXFH ||
		cmd == ETHTOOL_SRXCLSRLINS || cmd == ETHTOOL_SRXCLSRLDEL || cmd == ETHTOOL_SRSSH;
}

int
nic_model_ethtool(void *ctx, const char *ifname, void *command)
{
	const uint32_t cmd = *(const uint32_t *)command;
	struct ethtool_value *value = command;
	struct ethtool_rxnfc *nfc = command;
	struct nic_model *n = ctx;

	(void)ifname;
	if (is_change(cmd) && ++n->change_count == n->fail_at)
		return n->fail_with;
	switch (cmd) {
	case ETHTOOL_GCHANNELS:
		return channels_get(n, command);
	case ETHTOOL_SCHANNELS:
		return channels_set(n, command);
	case ETHTOOL_GFLAGS:
		value->data = n->flags;
		return 0;
	case ETHTOOL_SFLAGS:
		if (!n->has_rules)
			return -EOPNOTSUPP;
		n->flags = value->data;
		return 0;
	case ETHTOOL_GRXFH:
		nfc->data = *hash_of(n, nfc->flow_type);
		return 0;
	case ETHTOOL_SRXFH:
		*hash_of(n, nfc->flow_type) = nfc->data;
		return 0;
	case ETHTOOL_GRSSH:
		return context_get(n, command);
	case ETHTOOL_SRSSH:
		return context_set(n, command);
	default:
		return rules_answer(n, command);
	}
}

bool
nic_model_same(const struct nic_model *a, const struct nic_model *b)
{
	return a->flags == b->flags && a->queues == b->queues &&
		memcmp(a->hash, b->hash, sizeof(a->hash)) == 0 &&
		memcmp(a->rule, b->rule, sizeof(a->rule)) == 0 &&
		memcmp(a->context, b->context, sizeof(a->context)) == 0;
}
