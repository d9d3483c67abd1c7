#pragma once

/* A NIC with ethtool's rules, RSS contexts, feature flags and channels, as a model: what a driver would keep, and where it says no. */

#include <ep_nicset.h>

#include <linux/ethtool.h>

#define MODEL_TABLE 32
#define MODEL_RULES 64
#define MODEL_CONTEXTS 4

struct nic_model {
	/* What it can do. */
	bool has_rules, has_contexts, has_channels, combined, any_location;
	uint32_t rules_max; /* Rules that fit, at most MODEL_RULES. */
	/* State that a run may change and has to put back. */
	uint32_t flags;
	uint32_t queues, queues_max;
	uint64_t hash[2]; /* UDP over IPv4, IPv6 */
	struct {
		bool used;
		uint32_t context;
		struct ethtool_rx_flow_spec fs;
	} rule[MODEL_RULES];
	struct {
		bool used;
		uint32_t table[MODEL_TABLE];
	} context[MODEL_CONTEXTS];
	/* Not state: */
	uint32_t change_count; /* Changes asked for so far. */
	uint32_t fail_at;      /* The change that is refused; 0: none. */
	int fail_with;         /* With this. */
};

/* Ask it, as ep_nicset_ethtool_fn. */
int nic_model_ethtool(void *ctx, const char *ifname, void *command);

/* Whether two are in the same state. */
bool nic_model_same(const struct nic_model *a, const struct nic_model *b);
