/* Keep the range on the lowest queues by ntuple rules: lib/plan says which ways there are and in which order, this tries them. */

#include "nicset_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_PORTS (RXH_L4_B_0_1 | RXH_L4_B_2_3)
#define HASH_ALL (RXH_IP_SRC | RXH_IP_DST | HASH_PORTS)

static struct ethtool_rx_flow_spec
rule_make(const struct ep_plan_offer *offer, uint32_t i, bool ipv6)
{
	const uint16_t value_be = htons(offer->rule[i].value), mask_be = htons(offer->rule[i].mask);
	struct ethtool_rx_flow_spec rule = {
		.flow_type = ipv6 ? UDP_V6_FLOW : UDP_V4_FLOW,
		.ring_cookie = offer->queue == NULL ? 0 : offer->queue[i],
		.location = RX_CLS_LOC_ANY,
	};

	if (offer->queue == NULL)
		rule.flow_type |= FLOW_RSS;
	if (ipv6 && offer->initiator) {
		rule.h_u.udp_ip6_spec.psrc = value_be;
		rule.m_u.udp_ip6_spec.psrc = mask_be;
	} else if (ipv6) {
		rule.h_u.udp_ip6_spec.pdst = value_be;
		rule.m_u.udp_ip6_spec.pdst = mask_be;
	} else if (offer->initiator) {
		rule.h_u.udp_ip4_spec.psrc = value_be;
		rule.m_u.udp_ip4_spec.psrc = mask_be;
	} else {
		rule.h_u.udp_ip4_spec.pdst = value_be;
		rule.m_u.udp_ip4_spec.pdst = mask_be;
	}
	return rule;
}

/* Noted before it is made where the location is ours to choose, else as soon as the driver has named it. */
static int
rule_add(struct ep_nicset *set, const struct ethtool_rx_flow_spec *wanted, uint32_t context)
{
	struct nicset_entry e = {.kind = NICSET_RULE, .rule = *wanted};
	uint32_t count;
	bool any_location;
	int ret = nicset_rule_count(set, &count, &any_location);

	if (ret == 0 && !any_location) {
		ret = nicset_rule_free(set, &e.id);
		e.rule.location = e.id;
		if (ret == 0)
			ret = nicset_note(set, &e);
	}
	if (ret < 0)
		return ret;
	ret = nicset_rule_put(set, &e.rule, context);
	if (ret == 0 && any_location) {
		e.id = e.rule.location;
		ret = nicset_note(set, &e);
		if (ret < 0)
			nicset_rule_remove(set, e.id);
	}
	return ret;
}

static int
rules_add(struct ep_nicset *set, const struct ep_plan_offer *offer, uint32_t context)
{
	int ret = 0;

	for (uint32_t family = 0; family < 2; family++) {
		if (!(family == 0 ? offer->ipv4 : offer->ipv6))
			continue;
		for (uint32_t i = 0; i < offer->rule_count && ret == 0; i++) {
			const struct ethtool_rx_flow_spec rule = rule_make(offer, i, family == 1);

			ret = rule_add(set, &rule, context);
		}
	}
	return ret;
}

static int
ntuple_on(struct ep_nicset *set)
{
	struct nicset_entry e = {.kind = NICSET_FLAGS};
	uint32_t flags;
	int ret = nicset_flags_get(set, &flags);

	if (ret < 0)
		return ret;
	if ((flags & ETH_FLAG_NTUPLE) != 0)
		return 0;
	e.before[0] = flags;
	e.after[0] = flags | ETH_FLAG_NTUPLE;
	ret = nicset_note(set, &e);
	return ret < 0 ? ret : nicset_flags_set(set, flags | ETH_FLAG_NTUPLE);
}

/* Many drivers hash UDP by its addresses alone, which would put all flows of two hosts on one queue. */
static int
hash_ports(struct ep_nicset *set, uint32_t flow_type)
{
	struct nicset_entry e = {.kind = NICSET_HASH, .id = flow_type, .after = {HASH_ALL}};
	int ret = nicset_hash_get(set, flow_type, &e.before[0]);

	if (ret < 0 || (e.before[0] & HASH_PORTS) == HASH_PORTS)
		return ret;
	ret = nicset_note(set, &e);
	return ret < 0 ? ret : nicset_hash_set(set, flow_type, HASH_ALL);
}

static int
context_rules(struct ep_nicset *set, const struct ep_plan_offer *offer)
{
	struct nicset_entry e = {.kind = NICSET_CONTEXT, .after = {offer->queue_count}};
	int ret = 0;

	if (offer->ipv4)
		ret = hash_ports(set, UDP_V4_FLOW);
	if (ret == 0 && offer->ipv6)
		ret = hash_ports(set, UDP_V6_FLOW);
	if (ret == 0)
		ret = nicset_context_make(set, offer->queue_count, &e.id);
	if (ret < 0)
		return ret;
	ret = nicset_note(set, &e);
	if (ret < 0) {
		nicset_context_remove(set, e.id);
		return ret;
	}
	return rules_add(set, offer, e.id);
}

/* Of lib/plan: try one way, and leave it in place where it worked. */
static int
rules_try(void *ctx, const struct ep_plan_offer *offer, struct ep_err *err)
{
	struct ep_nicset *set = ctx;
	const uint32_t keep = set->entry_count;
	int ret;

	if (offer->isolated || offer->step > EP_PLAN_STEP_RULES_QUEUE)
		return ep_err_set(err, -ENOTSUP, "does not keep the range on some of the queues");
	ret = ntuple_on(set);
	if (ret == 0)
		ret = offer->step == EP_PLAN_STEP_RULES_RSS ? context_rules(set, offer)
							    : rules_add(set, offer, 0);
	if (ret == 0)
		return 0;
	nicset_undo(set, keep);
	return ep_err_set(err, ret, "%s", strerror(-ret));
}

/* The words of the ways that were refused before the one that was taken. */
static void
rules_why(const struct ep_plan_steer *steer, struct ep_nicset_chosen *chosen)
{
	size_t used = 0;

	for (uint32_t i = 0; i < steer->refused_count && used < sizeof(chosen->why); i++)
		if (!steer->refused[i].isolated &&
			steer->refused[i].step <= EP_PLAN_STEP_RULES_QUEUE)
			used += (size_t)snprintf(chosen->why + used, sizeof(chosen->why) - used,
				"%s%s: %s", used > 0 ? "; " : "",
				steer->refused[i].step == EP_PLAN_STEP_RULES_RSS
					? "rules into an RSS context"
					: "rules by queue",
				steer->refused[i].reason);
}

int
nicset_rules(
	struct ep_nicset *set, const struct ep_nicset_wish *wish, struct ep_nicset_chosen *chosen)
{
	const struct ep_plan_steer_cfg cfg = {
		.masks = wish->masks,
		.initiator = wish->initiator,
		.ipv4 = wish->ipv4,
		.ipv6 = wish->ipv6,
		.queue_count = wish->queue_count,
	};
	struct ep_plan_steer *steer = calloc(1, sizeof(*steer));
	int ret;

	if (steer == NULL)
		return -ENOMEM;
	ret = ep_plan_steer_choose(&cfg, rules_try, set, steer, NULL);
	if (ret == 0)
		rules_why(steer, chosen);
	if (ret == 0 && steer->step > EP_PLAN_STEP_RULES_QUEUE)
		ret = -ENOTSUP;
	if (ret == 0) {
		const bool rss = steer->step == EP_PLAN_STEP_RULES_RSS;

		chosen->way = rss ? EP_NICSET_RULES_RSS : EP_NICSET_RULES;
		snprintf(chosen->text, sizeof(chosen->text),
			rss ? "%u ntuple rules into an RSS context of %u queues"
			    : "%u ntuple rules, dealt out over %u queues",
			steer->rule_count, wish->queue_count);
	}
	free(steer);
	return ret;
}
