#pragma once

/* Private to lib/nicset: the journal of what was changed, and the steps that change and undo. */

#include "ep_nicset.h"

#include <limits.h>
#include <linux/ethtool.h>

/* Two families of all rules, and some settings. */
#define NICSET_ENTRIES_MAX (2 * EP_PLAN_RULES_MAX + 16)

/* What can be changed. The names in the file are in journal.c. */
enum nicset_kind {
	NICSET_FLAGS,    /* Feature flags: before and after in [0]. */
	NICSET_CHANNELS, /* Numbers of queues: receive, transmit, other, combined. */
	NICSET_HASH,     /* Fields that are hashed: id is the flow type, [0]. */
	NICSET_CONTEXT,  /* id; after[0] queues in its table. */
	NICSET_RULE,     /* id is the location; rule. */
	NICSET_TIMER,    /* id: which, see timer.c; [0]. */
	NICSET_KINDS,
};

/* One change. */
struct nicset_entry {
	enum nicset_kind kind;
	uint32_t id;
	uint64_t before[4];
	uint64_t after[4];
	struct ethtool_rx_flow_spec rule;
};

struct ep_nicset {
	struct ep_nicset_cfg cfg;
	char path[PATH_MAX]; /* Of the file. */
	uint32_t entry_count;
	struct nicset_entry *entry; /* [NICSET_ENTRIES_MAX], in the order of the changes. */
};

/* journal.c */
/* An empty journal; NULL without memory. */
struct ep_nicset *nicset_alloc(const struct ep_nicset_cfg *cfg);
void nicset_free(struct ep_nicset *set);
/* Note a change, and write the file. Before the change where its undoing is known then. 0 or -errno. */
int nicset_note(struct ep_nicset *set, const struct nicset_entry *entry);
/* Write the file; remove it where there is nothing to be put back. 0 or -errno. */
int nicset_write(const struct ep_nicset *set);
/* Read it. 0 (also: no file), -EBADMSG (not ours, another interface) or -errno. */
int nicset_read(struct ep_nicset *set);

/* undo.c: put back the changes behind the first @p keep, the last first; stops at none. Number put back, or the first -errno. */
int nicset_undo(struct ep_nicset *set, uint32_t keep);

/* nic.c: single questions and changes; 0 or -errno of the driver. */
int nicset_ask(const struct ep_nicset *set, void *command);
int nicset_channels_get(const struct ep_nicset *set, struct ethtool_channels *channels);
/* Queues that receive, as the kernel counts them. */
uint16_t nicset_queue_count(const struct ethtool_channels *channels);
int nicset_flags_get(const struct ep_nicset *set, uint32_t *flags);
int nicset_flags_set(const struct ep_nicset *set, uint32_t flags);
int nicset_hash_get(const struct ep_nicset *set, uint32_t flow_type, uint64_t *fields);
int nicset_hash_set(const struct ep_nicset *set, uint32_t flow_type, uint64_t fields);
int nicset_rule_count(const struct ep_nicset *set, uint32_t *count, bool *any_location);
int nicset_rule_get(
	const struct ep_nicset *set, uint32_t location, struct ethtool_rx_flow_spec *rule);
/* A location that no rule has, the last one first. */
int nicset_rule_free(const struct ep_nicset *set, uint32_t *location);
/* @p context is used with FLOW_RSS only. rule->location comes back filled. */
int nicset_rule_put(
	const struct ep_nicset *set, struct ethtool_rx_flow_spec *rule, uint32_t context);
int nicset_rule_remove(const struct ep_nicset *set, uint32_t location);
/* A new RSS context over queues 0 to @p queue_count - 1. */
int nicset_context_make(const struct ep_nicset *set, uint16_t queue_count, uint32_t *id);
/* Whether a context has such a table. */
int nicset_context_check(const struct ep_nicset *set, uint32_t id, uint16_t queue_count);
int nicset_context_remove(const struct ep_nicset *set, uint32_t id);

/* rules.c: keep the range on the lowest queues by rules. 0 with chosen filled, or -errno; the words are in chosen->why. */
int nicset_rules(
	struct ep_nicset *set, const struct ep_nicset_wish *wish, struct ep_nicset_chosen *chosen);

/* timer.c */
int nicset_timers(struct ep_nicset *set);
int nicset_timer_get(const struct ep_nicset *set, uint32_t which, uint64_t *value);
int nicset_timer_set(const struct ep_nicset *set, uint32_t which, uint64_t value);
