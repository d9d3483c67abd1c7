#include "flow.h"

#include <rte_byteorder.h>
#include <rte_ethdev.h>

#include <string.h>

#define VLAN_ID_MASK 0x0fff

static struct rte_flow_item *
item_next(struct flow_rule *rule, uint32_t *count, enum rte_flow_item_type type)
{
	struct rte_flow_item *item = &rule->item[(*count)++];

	*item = (struct rte_flow_item){.type = type};
	return item;
}

void
flow_match(struct flow_rule *rule, const struct flow_cfg *cfg, enum ep_wire_family family,
	struct ep_plan_mask mask)
{
	struct rte_flow_item *item;
	uint32_t n = 0;

	memset(rule, 0, sizeof(*rule));
	rule->attr.ingress = 1;
	item_next(rule, &n, RTE_FLOW_ITEM_TYPE_ETH);
	if (cfg->vlan_id != 0) {
		rule->vlan.hdr.vlan_tci = rte_cpu_to_be_16(cfg->vlan_id);
		rule->vlan_mask.hdr.vlan_tci = rte_cpu_to_be_16(VLAN_ID_MASK); /* Any priority. */
		item = item_next(rule, &n, RTE_FLOW_ITEM_TYPE_VLAN);
		item->spec = &rule->vlan;
		item->mask = &rule->vlan_mask;
	}
	item_next(rule, &n,
		family == EP_WIRE_IPV4 ? RTE_FLOW_ITEM_TYPE_IPV4 : RTE_FLOW_ITEM_TYPE_IPV6);
	if (cfg->initiator) {
		rule->udp.hdr.src_port = rte_cpu_to_be_16(mask.value);
		rule->udp_mask.hdr.src_port = rte_cpu_to_be_16(mask.mask);
	} else {
		rule->udp.hdr.dst_port = rte_cpu_to_be_16(mask.value);
		rule->udp_mask.hdr.dst_port = rte_cpu_to_be_16(mask.mask);
	}
	item = item_next(rule, &n, RTE_FLOW_ITEM_TYPE_UDP);
	item->spec = &rule->udp;
	item->mask = &rule->udp_mask;
	item_next(rule, &n, RTE_FLOW_ITEM_TYPE_END);
	rule->action[1].type = RTE_FLOW_ACTION_TYPE_END;
}

void
flow_to_queue(struct flow_rule *rule, uint16_t queue)
{
	rule->to_queue.index = queue;
	rule->action[0] = (struct rte_flow_action){
		.type = RTE_FLOW_ACTION_TYPE_QUEUE, .conf = &rule->to_queue};
}

void
flow_to_rss(struct flow_rule *rule, const struct flow_cfg *cfg, enum ep_wire_family family)
{
	for (uint16_t i = 0; i < cfg->queue_count; i++)
		rule->queue[i] = (uint16_t)(cfg->first_queue + i);
	rule->to_rss = (struct rte_flow_action_rss){
		.func = RTE_ETH_HASH_FUNCTION_DEFAULT,
		.types = family == EP_WIRE_IPV4 ? RTE_ETH_RSS_NONFRAG_IPV4_UDP
						: RTE_ETH_RSS_NONFRAG_IPV6_UDP,
		.queue_num = cfg->queue_count,
		.queue = rule->queue,
	};
	if (cfg->rss != NULL) {
		rule->to_rss.func = RTE_ETH_HASH_FUNCTION_TOEPLITZ;
		rule->to_rss.key_len = cfg->rss->key_bytes;
		rule->to_rss.key = cfg->rss->key;
	}
	rule->action[0] =
		(struct rte_flow_action){.type = RTE_FLOW_ACTION_TYPE_RSS, .conf = &rule->to_rss};
}
