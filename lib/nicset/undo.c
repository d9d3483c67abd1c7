/* Put back what was changed: only what is still as we left it. */

#include "nicset_priv.h"

#include <errno.h>
#include <string.h>

static bool
rule_equal(const struct ethtool_rx_flow_spec *a, const struct ethtool_rx_flow_spec *b)
{
	return a->flow_type == b->flow_type && a->ring_cookie == b->ring_cookie &&
		memcmp(&a->h_u, &b->h_u, sizeof(a->h_u)) == 0 &&
		memcmp(&a->m_u, &b->m_u, sizeof(a->m_u)) == 0;
}

/* Drivers say in different ways that there is no such rule or context. */
static int
gone(int ret)
{
	return ret == -EINVAL ? -ENOENT : ret;
}

static int
undo_rule(const struct ep_nicset *set, const struct nicset_entry *e)
{
	struct ethtool_rx_flow_spec rule;
	const int ret = nicset_rule_get(set, e->id, &rule);

	if (ret < 0)
		return gone(ret);
	return rule_equal(&rule, &e->rule) ? nicset_rule_remove(set, e->id) : -ESTALE;
}

static int
undo_context(const struct ep_nicset *set, const struct nicset_entry *e)
{
	const int ret = nicset_context_check(set, e->id, (uint16_t)e->after[0]);

	return ret < 0 ? gone(ret) : nicset_context_remove(set, e->id);
}

static int
undo_hash(const struct ep_nicset *set, const struct nicset_entry *e)
{
	uint64_t fields;
	const int ret = nicset_hash_get(set, e->id, &fields);

	if (ret < 0)
		return ret;
	return fields == e->after[0] ? nicset_hash_set(set, e->id, e->before[0]) : -ESTALE;
}

/* Switching ntuple off forgets all rules: not while there are others'. */
static int
undo_flags(const struct ep_nicset *set, const struct nicset_entry *e)
{
	const uint32_t ours = (uint32_t)(e->before[0] ^ e->after[0]);
	uint32_t flags, count;
	bool any;
	int ret = nicset_flags_get(set, &flags);

	if (ret < 0)
		return ret;
	if (((flags ^ (uint32_t)e->after[0]) & ours) != 0)
		return -ESTALE;
	ret = nicset_rule_count(set, &count, &any);
	if (ret < 0)
		return ret;
	return count > 0 ? -ESTALE : nicset_flags_set(set, flags ^ ours);
}

static int
undo_channels(const struct ep_nicset *set, const struct nicset_entry *e)
{
	struct ethtool_channels c;
	const int ret = nicset_channels_get(set, &c);

	if (ret < 0)
		return ret;
	if (c.rx_count != e->after[0] || c.tx_count != e->after[1] ||
		c.other_count != e->after[2] || c.combined_count != e->after[3])
		return -ESTALE;
	c.cmd = ETHTOOL_SCHANNELS;
	c.rx_count = (uint32_t)e->before[0];
	c.tx_count = (uint32_t)e->before[1];
	c.other_count = (uint32_t)e->before[2];
	c.combined_count = (uint32_t)e->before[3];
	return nicset_ask(set, &c);
}

static int
undo_timer(const struct ep_nicset *set, const struct nicset_entry *e)
{
	uint64_t value;
	const int ret = nicset_timer_get(set, e->id, &value);

	if (ret < 0)
		return ret;
	return value == e->after[0] ? nicset_timer_set(set, e->id, e->before[0]) : -ESTALE;
}

static int
undo_one(const struct ep_nicset *set, const struct nicset_entry *e)
{
	switch (e->kind) {
	case NICSET_FLAGS:
		return undo_flags(set, e);
	case NICSET_CHANNELS:
		return undo_channels(set, e);
	case NICSET_HASH:
		return undo_hash(set, e);
	case NICSET_CONTEXT:
		return undo_context(set, e);
	case NICSET_RULE:
		return undo_rule(set, e);
	case NICSET_TIMER:
		return undo_timer(set, e);
	case NICSET_KINDS:
		break;
	}
	return -EBADMSG;
}

/*
 * Not there, or no longer ours: a change that was noted and not made, or that somebody has undone. But the rules that keep ntuple on
 * may be ours, where some could not be removed (@p failed).
 */
static bool
undo_is_settled(const struct nicset_entry *e, int ret, bool failed)
{
	if (e->kind == NICSET_FLAGS && ret == -ESTALE)
		return !failed;
	return ret == 0 || ret == -ESTALE || ret == -ENOENT;
}

int
nicset_undo(struct ep_nicset *set, uint32_t keep)
{
	struct nicset_entry *failed = &set->entry[keep];
	uint32_t failed_count = 0;
	int done = 0, first = 0, ret;

	/* Those that fail are kept, in their order, at the end of what is left. */
	for (uint32_t i = set->entry_count; i-- > keep;) {
		ret = undo_one(set, &set->entry[i]);
		done += ret == 0;
		if (undo_is_settled(&set->entry[i], ret, failed_count > 0))
			continue;
		first = first == 0 ? ret : first;
		failed_count++;
		set->entry[set->entry_count - failed_count] = set->entry[i];
	}
	memmove(failed, &set->entry[set->entry_count - failed_count],
		failed_count * sizeof(*failed));
	set->entry_count = keep + failed_count;
	ret = nicset_write(set);
	if (first == 0)
		first = ret;
	return first < 0 ? first : done;
}
