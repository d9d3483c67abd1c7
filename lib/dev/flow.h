#pragma once

/* One value/mask rule in rte_flow's words. Private to lib/dev. */

#include <ep_plan.h>

#include <rte_flow.h>

/* Ethernet, VLAN, IP, UDP, end. */
#define FLOW_ITEMS_MAX 5

/* What all rules of a set have in common. */
struct flow_cfg {
	bool initiator;   /* Match the source port of what arrives; else the destination port. */
	uint16_t vlan_id; /* 0: untagged. */
	const struct ep_plan_rss *rss; /* Key for the RSS action; NULL: the driver's. Borrowed. */
	uint16_t first_queue, queue_count;
};

/* A rule with all that it points to: it is not to be moved. */
struct flow_rule {
	struct rte_flow_attr attr;
	struct rte_flow_item item[FLOW_ITEMS_MAX];
	struct rte_flow_action action[2];
	struct rte_flow_item_vlan vlan, vlan_mask;
	struct rte_flow_item_udp udp, udp_mask;
	struct rte_flow_action_queue to_queue;
	struct rte_flow_action_rss to_rss;
	uint16_t queue[EP_PLAN_QUEUES_MAX];
};

/* Match a mask's ports in UDP over a family: eth [/ vlan] / ipv4 or ipv6 / udp. */
void flow_match(struct flow_rule *rule, const struct flow_cfg *cfg, enum ep_wire_family family,
	struct ep_plan_mask mask);
/* Send what matches to one queue. */
void flow_to_queue(struct flow_rule *rule, uint16_t queue);
/* Spread what matches over the queues, by addresses and UDP ports. */
void flow_to_rss(struct flow_rule *rule, const struct flow_cfg *cfg, enum ep_wire_family family);
