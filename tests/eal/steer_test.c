/*
 * Steering of a port, with a double at DPDK's border: a real net_null port, whose driver has RSS and no flow rules, and flow functions
 * that model a NIC's table. What the rules say is looked at as the driver would see it.
 */

#include <ep_dev.h>

#include <rte_byteorder.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_flow.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define QUEUES 4
#define TABLE_MAX 64

/* A rule as it arrived. */
struct seen {
	bool ipv6, vlan, by_source, rss;
	uint16_t vlan_id, value, mask;
	uint32_t queue_count;
	uint16_t queue[QUEUES];
	uint32_t key_bytes;
};

/* The NIC behind the double. */
static struct {
	bool flow; /* It has rules at all; else net_null's own answer. */
	bool no_rss_action;
	bool no_ipv6;
	bool can_isolate;
	bool is_mlx5; /* By its driver's name. */
	bool dies;    /* Does not start again. */
	bool stuck;   /* Does not leave isolated mode. */
	bool no_reta;
	uint32_t room; /* Rules that fit: only creation finds out. */
	uint32_t validated;
	uint32_t used;
	bool isolated;
	uint32_t isolate_calls;
	struct seen table[TABLE_MAX];
} nic;

int __real_rte_flow_validate(uint16_t port_id, const struct rte_flow_attr *attr,
	const struct rte_flow_item pattern[], const struct rte_flow_action actions[],
	struct rte_flow_error *error);
int __wrap_rte_flow_validate(uint16_t port_id, const struct rte_flow_attr *attr,
	const struct rte_flow_item pattern[], const struct rte_flow_action actions[],
	struct rte_flow_error *error);
struct rte_flow *__real_rte_flow_create(uint16_t port_id, const struct rte_flow_attr *attr,
	const struct rte_flow_item pattern[], const struct rte_flow_action actions[],
	struct rte_flow_error *error);
struct rte_flow *__wrap_rte_flow_create(uint16_t port_id, const struct rte_flow_attr *attr,
	const struct rte_flow_item pattern[], const struct rte_flow_action actions[],
	struct rte_flow_error *error);
int __real_rte_flow_destroy(uint16_t port_id, struct rte_flow *flow, struct rte_flow_error *error);
int __wrap_rte_flow_destroy(uint16_t port_id, struct rte_flow *flow, struct rte_flow_error *error);
int __wrap_rte_flow_isolate(uint16_t port_id, int set, struct rte_flow_error *error);
int __real_rte_eth_dev_info_get(uint16_t port_id, struct rte_eth_dev_info *info);
int __wrap_rte_eth_dev_info_get(uint16_t port_id, struct rte_eth_dev_info *info);
int __real_rte_eth_dev_start(uint16_t port_id);
int __wrap_rte_eth_dev_start(uint16_t port_id);
int __real_rte_eth_dev_rss_reta_update(
	uint16_t port_id, struct rte_eth_rss_reta_entry64 *reta, uint16_t count);
int __wrap_rte_eth_dev_rss_reta_update(
	uint16_t port_id, struct rte_eth_rss_reta_entry64 *reta, uint16_t count);

/* Read a pattern as a driver does: item by item, each of a known type, masks given. */
static void
seen_pattern(struct seen *s, const struct rte_flow_item *item)
{
	const struct rte_flow_item_udp *udp, *udp_mask;

	assert_int_equal(item->type, RTE_FLOW_ITEM_TYPE_ETH);
	assert_null(item->spec);
	item++;
	if (item->type == RTE_FLOW_ITEM_TYPE_VLAN) {
		const struct rte_flow_item_vlan *vlan = item->spec;

		assert_int_equal(
			rte_be_to_cpu_16(
				((const struct rte_flow_item_vlan *)item->mask)->hdr.vlan_tci),
			0x0fff);
		s->vlan = true;
		s->vlan_id = rte_be_to_cpu_16(vlan->hdr.vlan_tci);
		item++;
	}
	assert_true(item->type == RTE_FLOW_ITEM_TYPE_IPV4 || item->type == RTE_FLOW_ITEM_TYPE_IPV6);
	assert_null(item->spec);
	s->ipv6 = item->type == RTE_FLOW_ITEM_TYPE_IPV6;
	item++;
	assert_int_equal(item->type, RTE_FLOW_ITEM_TYPE_UDP);
	assert_null(item->last);
	udp = item->spec;
	udp_mask = item->mask;
	s->by_source = udp_mask->hdr.src_port != 0;
	assert_true((udp_mask->hdr.src_port != 0) != (udp_mask->hdr.dst_port != 0));
	assert_int_equal(udp_mask->hdr.dgram_len, 0);
	assert_int_equal(udp_mask->hdr.dgram_cksum, 0);
	s->value = rte_be_to_cpu_16(s->by_source ? udp->hdr.src_port : udp->hdr.dst_port);
	s->mask = rte_be_to_cpu_16(s->by_source ? udp_mask->hdr.src_port : udp_mask->hdr.dst_port);
	assert_int_equal(item[1].type, RTE_FLOW_ITEM_TYPE_END);
}

static void
seen_actions(struct seen *s, const struct rte_flow_action *action)
{
	s->rss = action->type == RTE_FLOW_ACTION_TYPE_RSS;
	if (s->rss) {
		const struct rte_flow_action_rss *rss = action->conf;

		assert_true(rss->types ==
			(s->ipv6 ? RTE_ETH_RSS_NONFRAG_IPV6_UDP : RTE_ETH_RSS_NONFRAG_IPV4_UDP));
		assert_true(rss->queue_num <= QUEUES);
		s->queue_count = rss->queue_num;
		memcpy(s->queue, rss->queue, rss->queue_num * sizeof(*s->queue));
		s->key_bytes = rss->key_len;
		assert_int_equal(rss->key != NULL, rss->key_len != 0);
	} else {
		assert_int_equal(action->type, RTE_FLOW_ACTION_TYPE_QUEUE);
		s->queue_count = 1;
		s->queue[0] = ((const struct rte_flow_action_queue *)action->conf)->index;
	}
	assert_int_equal(action[1].type, RTE_FLOW_ACTION_TYPE_END);
}

static int
nic_looks(struct seen *s, const struct rte_flow_attr *attr, const struct rte_flow_item *pattern,
	const struct rte_flow_action *actions, struct rte_flow_error *error)
{
	memset(s, 0, sizeof(*s));
	assert_true(attr->ingress && !attr->egress && !attr->transfer);
	assert_int_equal(attr->group, 0);
	seen_pattern(s, pattern);
	seen_actions(s, actions);
	if (nic.no_ipv6 && s->ipv6)
		return rte_flow_error_set(
			error, ENOTSUP, RTE_FLOW_ERROR_TYPE_ITEM, NULL, "no rules for IPv6");
	if (nic.no_rss_action && s->rss)
		return rte_flow_error_set(
			error, ENOTSUP, RTE_FLOW_ERROR_TYPE_ACTION, NULL, "no RSS in a rule");
	return 0;
}

int
__wrap_rte_flow_validate(uint16_t port_id, const struct rte_flow_attr *attr,
	const struct rte_flow_item pattern[], const struct rte_flow_action actions[],
	struct rte_flow_error *error)
{
	struct seen s;

	if (!nic.flow)
		return __real_rte_flow_validate(port_id, attr, pattern, actions, error);
	nic.validated++;
	return nic_looks(&s, attr, pattern, actions, error);
}

struct rte_flow *
__wrap_rte_flow_create(uint16_t port_id, const struct rte_flow_attr *attr,
	const struct rte_flow_item pattern[], const struct rte_flow_action actions[],
	struct rte_flow_error *error)
{
	if (!nic.flow)
		return __real_rte_flow_create(port_id, attr, pattern, actions, error);
	if (nic_looks(&nic.table[nic.used], attr, pattern, actions, error) < 0)
		return NULL;
	if (nic.used == nic.room) {
		rte_flow_error_set(
			error, ENOSPC, RTE_FLOW_ERROR_TYPE_HANDLE, NULL, "the table is full");
		return NULL;
	}
	return (struct rte_flow *)&nic.table[nic.used++];
}

/* Last made, first gone: so the place of the next rule is always known. */
int
__wrap_rte_flow_destroy(uint16_t port_id, struct rte_flow *flow, struct rte_flow_error *error)
{
	if (!nic.flow)
		return __real_rte_flow_destroy(port_id, flow, error);
	assert_true(nic.used > 0);
	assert_ptr_equal(flow, &nic.table[nic.used - 1]);
	nic.used--;
	return 0;
}

int
__wrap_rte_flow_isolate(uint16_t port_id, int set, struct rte_flow_error *error)
{
	(void)port_id;
	nic.isolate_calls++;
	if (!nic.can_isolate || (nic.stuck && !set))
		return rte_flow_error_set(
			error, ENOTSUP, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, NULL, "no isolated mode");
	nic.isolated = set;
	return 0;
}

int
__wrap_rte_eth_dev_info_get(uint16_t port_id, struct rte_eth_dev_info *info)
{
	const int ret = __real_rte_eth_dev_info_get(port_id, info);

	if (ret == 0 && nic.is_mlx5)
		info->driver_name = "mlx5_pci";
	return ret;
}

int
__wrap_rte_eth_dev_start(uint16_t port_id)
{
	return nic.dies ? -EIO : __real_rte_eth_dev_start(port_id);
}

int
__wrap_rte_eth_dev_rss_reta_update(
	uint16_t port_id, struct rte_eth_rss_reta_entry64 *reta, uint16_t count)
{
	return nic.no_reta ? -ENOTSUP : __real_rte_eth_dev_rss_reta_update(port_id, reta, count);
}

/* --- The port --------------------------------------------------------------------------------------------------------- */

static struct {
	struct ep_range range;
	struct ep_plan_masks masks;
	struct ep_plan_steer chosen;
	struct ep_plan_rss rss;
} it;

static struct ep_dev *
port_open(const char *text)
{
	struct ep_dev_cfg cfg = {.queue_pairs = QUEUES, .ring_descs = 64, .mtu_frame_bytes = 1518};
	struct ep_dev *dev;
	struct ep_err err = {0};

	assert_int_equal(ep_dev_spec_parse(text, &cfg.spec, NULL), 0);
	if (ep_dev_open(&cfg, &dev, &err) != 0)
		fail_msg("%s", err.text);
	return dev;
}

static struct ep_dev_steer_cfg
wish(void)
{
	return (struct ep_dev_steer_cfg){
		.masks = &it.masks, .ipv4 = true, .ipv6 = true, .first_queue = 1};
}

static int
group_create(void **state)
{
	const struct ep_dev_eal_cfg cfg = {.memory_mib = 64, .worker_count = 1};
	struct ep_err err = {0};

	(void)state;
	if (ep_dev_eal_init(&cfg, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(ep_range_parse("50000-60000", "--ports", &it.range, NULL), 0);
	return ep_plan_masks_make(&it.range, &it.masks, NULL);
}

static int
group_destroy(void **state)
{
	(void)state;
	ep_dev_eal_fini();
	return 0;
}

static int
nic_reset(void **state)
{
	(void)state;
	memset(&nic, 0, sizeof(nic));
	nic.flow = true;
	nic.room = TABLE_MAX;
	return 0;
}

/* Ports that the rules in place take, of one family: exactly the range. */
static void
assert_table_takes_the_range(bool ipv6, bool by_source)
{
	for (uint32_t port = 0; port < EP_RANGE_PORTS; port++) {
		bool taken = false;

		for (uint32_t i = 0; i < nic.used; i++)
			taken |= nic.table[i].ipv6 == ipv6 &&
				(port & nic.table[i].mask) == nic.table[i].value;
		assert_int_equal(taken, port >= 50000 && port <= 60000);
	}
	for (uint32_t i = 0; i < nic.used; i++)
		assert_int_equal(nic.table[i].by_source, by_source);
}

static void
steer_writes_rules_for_both_families_and_directions(void **state)
{
	struct ep_dev *dev = port_open("net_null0");

	(void)state;
	for (int initiator = 0; initiator <= 1; initiator++) {
		for (uint16_t vlan_id = 0; vlan_id <= 100; vlan_id += 100) {
			struct ep_dev_steer_cfg cfg = wish();

			cfg.initiator = initiator;
			cfg.vlan_id = vlan_id;
			assert_int_equal(ep_dev_steer(dev, &cfg, &it.chosen, NULL), 0);
			assert_int_equal(it.chosen.step, EP_PLAN_STEP_RULES_RSS);
			assert_false(it.chosen.checks_range);
			assert_int_equal(nic.used, 22);
			assert_table_takes_the_range(false, initiator);
			assert_table_takes_the_range(true, initiator);
			for (uint32_t i = 0; i < nic.used; i++) {
				const struct seen *s = &nic.table[i];

				assert_int_equal(s->vlan, vlan_id != 0);
				assert_int_equal(s->vlan_id, vlan_id);
				assert_true(s->rss);
				assert_int_equal(s->queue_count, 3);
				for (uint16_t q = 0; q < 3; q++)
					assert_int_equal(s->queue[q], 1 + q);
				assert_int_equal(s->key_bytes, 0);
			}
		}
	}
	/* The rest of the traffic is left to queue 0. */
	assert_int_equal(ep_dev_rss_read(dev, &it.rss, NULL), 0);
	for (uint32_t i = 0; i < it.rss.reta_count; i++)
		assert_int_equal(it.rss.reta[i], 0);
	ep_dev_unsteer(dev);
	assert_int_equal(nic.used, 0);
	ep_dev_close(dev);
}

static void
steer_gives_a_rule_the_key_that_was_asked_for(void **state)
{
	struct ep_dev *dev = port_open("net_null0");
	struct ep_dev_steer_cfg cfg = wish();

	(void)state;
	assert_int_equal(ep_plan_rss_init(&it.rss, 40, 128, 1, 3, NULL), 0);
	cfg.rss = &it.rss;
	cfg.ipv6 = false;
	assert_int_equal(ep_dev_steer(dev, &cfg, &it.chosen, NULL), 0);
	assert_int_equal(nic.used, 11);
	assert_int_equal(nic.table[0].key_bytes, 40);
	ep_dev_close(dev);
	assert_int_equal(nic.used, 0);
}

static void
steer_deals_rules_out_where_a_rule_cannot_spread(void **state)
{
	struct ep_dev *dev = port_open("net_null0");
	struct ep_dev_steer_cfg cfg = wish();
	uint32_t ports[QUEUES] = {0};

	(void)state;
	nic.no_rss_action = true;
	cfg.ipv6 = false;
	assert_int_equal(ep_dev_steer(dev, &cfg, &it.chosen, NULL), 0);
	assert_int_equal(it.chosen.step, EP_PLAN_STEP_RULES_QUEUE);
	assert_non_null(strstr(it.chosen.reason, "no RSS in a rule"));
	for (uint32_t i = 0; i < nic.used; i++)
		ports[nic.table[i].queue[0]] += 1U << (16 - __builtin_popcount(nic.table[i].mask));
	assert_int_equal(ports[0], 0);
	assert_int_equal(ports[1] + ports[2] + ports[3], 10001);
	assert_true(ports[1] > 0 && ports[2] > 0 && ports[3] > 0);
	ep_dev_close(dev);
}

/* A table that is full shows at creation only: what was made is taken back, and RSS is next. */
static void
steer_takes_half_made_rules_back(void **state)
{
	struct ep_dev *dev = port_open("net_null0");
	const struct ep_dev_steer_cfg cfg = wish();

	(void)state;
	for (nic.room = 0; nic.room < 22; nic.room += 7) {
		nic.validated = 0;
		assert_int_equal(ep_dev_steer(dev, &cfg, &it.chosen, NULL), 0);
		assert_int_equal(it.chosen.step, EP_PLAN_STEP_RSS);
		assert_int_equal(nic.used, 0);
		assert_int_equal(
			nic.validated, 44); /* Both ways, whole, before anything is made. */
		assert_true(it.chosen.checks_range);
		assert_non_null(strstr(it.chosen.reason, "the table is full"));
		assert_int_equal(ep_dev_rss_read(dev, &it.rss, NULL), 0);
		for (uint32_t i = 0; i < it.rss.reta_count; i++)
			assert_true(it.rss.reta[i] >= 1 && it.rss.reta[i] < QUEUES);
	}
	ep_dev_close(dev);
}

static void
steer_leaves_no_family_out(void **state)
{
	struct ep_dev *dev = port_open("net_null0");
	struct ep_dev_steer_cfg cfg = wish();

	(void)state;
	nic.no_ipv6 = true;
	assert_int_equal(ep_dev_steer(dev, &cfg, &it.chosen, NULL), 0);
	assert_int_equal(it.chosen.step, EP_PLAN_STEP_RSS);
	assert_non_null(strstr(it.chosen.reason, "IPv6"));
	assert_int_equal(nic.used, 0);
	cfg.ipv6 = false;
	assert_int_equal(ep_dev_steer(dev, &cfg, &it.chosen, NULL), 0);
	assert_int_equal(it.chosen.step, EP_PLAN_STEP_RULES_RSS);
	ep_dev_close(dev);
}

static void
steer_isolates_where_the_kernel_keeps_the_rest(void **state)
{
	struct ep_dev *dev = port_open("net_null0");
	struct ep_dev_steer_cfg cfg = wish();

	(void)state;
	nic.can_isolate = true;
	cfg.first_queue = 0;
	assert_int_equal(ep_dev_steer(dev, &cfg, &it.chosen, NULL), 0);
	assert_int_equal(
		nic.isolate_calls, 0); /* No bifurcated driver: it would cut the host off. */
	assert_true(it.chosen.checks_range);

	nic.is_mlx5 = true;
	assert_int_equal(ep_dev_steer(dev, &cfg, &it.chosen, NULL), 0);
	assert_true(it.chosen.isolated && nic.isolated);
	assert_false(it.chosen.checks_range);
	assert_int_equal(nic.used, 22);

	/* Rules that are refused in isolated mode are no reason to stay in it. */
	nic.no_ipv6 = true;
	assert_int_equal(ep_dev_steer(dev, &cfg, &it.chosen, NULL), 0);
	assert_int_equal(it.chosen.step, EP_PLAN_STEP_RSS);
	assert_false(nic.isolated);

	nic.no_ipv6 = false;
	assert_int_equal(ep_dev_steer(dev, &cfg, &it.chosen, NULL), 0);
	assert_true(nic.isolated);
	ep_dev_close(dev);
	assert_false(nic.isolated);
	assert_int_equal(nic.used, 0);
}

/* In isolated mode without rules nothing would arrive: that is no plain queue. */
static void
steer_does_not_stay_isolated_without_rules(void **state)
{
	struct ep_dev *dev = port_open("net_null0");
	const struct ep_dev_steer_cfg cfg = wish();
	struct ep_err err = {0};

	(void)state;
	nic.is_mlx5 = nic.can_isolate = nic.stuck = nic.no_ipv6 = true;
	assert_int_equal(ep_dev_steer(dev, &cfg, &it.chosen, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "isolated mode"));
	nic.stuck = false;
	ep_dev_close(dev);
	assert_false(nic.isolated);
}

static void
steer_goes_on_without_isolated_mode(void **state)
{
	struct ep_dev *dev = port_open("net_null0");
	const struct ep_dev_steer_cfg cfg = wish();

	(void)state;
	nic.is_mlx5 = true;
	assert_int_equal(ep_dev_steer(dev, &cfg, &it.chosen, NULL), 0);
	assert_int_equal(it.chosen.step, EP_PLAN_STEP_RULES_RSS);
	assert_false(it.chosen.isolated);
	assert_non_null(strstr(it.chosen.reason, "no isolated mode"));
	ep_dev_close(dev);
}

static void
steer_says_when_the_port_does_not_come_back(void **state)
{
	struct ep_dev *dev = port_open("net_null0");
	const struct ep_dev_steer_cfg cfg = wish();
	struct ep_err err = {0};

	(void)state;
	nic.is_mlx5 = nic.can_isolate = nic.dies = true;
	assert_int_equal(ep_dev_steer(dev, &cfg, &it.chosen, &err), -EIO);
	assert_non_null(strstr(err.text, "does not start again"));
	assert_int_equal(nic.used, 0);
	ep_dev_close(dev);
}

static void
steer_knows_when_the_rest_reaches_our_queues(void **state)
{
	struct ep_dev *dev = port_open("net_null0");
	const struct ep_dev_steer_cfg cfg = wish();

	(void)state;
	nic.no_reta = true;
	assert_int_equal(ep_dev_steer(dev, &cfg, &it.chosen, NULL), 0);
	assert_int_equal(it.chosen.step, EP_PLAN_STEP_RULES_RSS);
	assert_true(it.chosen.checks_range);
	ep_dev_close(dev);
}

/* Without the double: net_null has RSS and no rules, net_ring has neither. */
static void
steer_of_real_drivers_goes_down_the_ladder(void **state)
{
	struct ep_dev *dev = port_open("net_null0");
	struct ep_dev_steer_cfg cfg = wish();
	struct ep_err err = {0};

	(void)state;
	nic.flow = false;
	assert_int_equal(ep_dev_steer(dev, &cfg, &it.chosen, NULL), 0);
	assert_int_equal(it.chosen.step, EP_PLAN_STEP_RSS);
	assert_int_equal(it.chosen.refused_count, 2);
	assert_int_equal(it.chosen.rule_count, 0);
	ep_dev_close(dev);

	dev = port_open("net_ring0");
	cfg.first_queue = 0;
	assert_int_equal(ep_dev_steer(dev, &cfg, &it.chosen, NULL), 0);
	assert_int_equal(it.chosen.step, EP_PLAN_STEP_PLAIN);
	assert_int_equal(it.chosen.refused_count, 3);
	assert_int_equal(ep_dev_rss_read(dev, &it.rss, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "no RSS on UDP ports"));
	ep_dev_close(dev);
}

static void
steer_leaves_memory_alone(void **state)
{
	const struct ep_dev_cfg open = {.spec = {.kind = EP_DEV_MEMORY},
		.queue_pairs = 2,
		.ring_descs = 64,
		.mtu_frame_bytes = 1518};
	const struct ep_dev_steer_cfg cfg = wish();
	struct ep_dev *end[2];
	struct ep_err err = {0};

	(void)state;
	assert_int_equal(ep_dev_pair_open(&open, end, NULL, NULL), 0);
	assert_int_equal(ep_dev_steer(end[0], &cfg, &it.chosen, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "in memory"));
	ep_dev_close(end[0]);
	ep_dev_close(end[1]);
}

static void
rss_read_gives_back_what_was_written(void **state)
{
	struct ep_dev *dev = port_open("net_null0");
	struct ep_plan_rss wanted;
	struct ep_err err = {0};

	(void)state;
	assert_int_equal(ep_dev_rss_read(dev, &it.rss, NULL), 0);
	assert_int_equal(it.rss.hash, EP_PLAN_HASH_PORTS); /* Set at configuration. */
	assert_int_equal(
		ep_plan_rss_init(&wanted, it.rss.key_bytes, it.rss.reta_count, 0, 3, NULL), 0);
	wanted.key[7] = 0x99;
	wanted.reta[5] = 3;
	assert_int_equal(ep_dev_rss_write(dev, &wanted, NULL), 0);
	assert_int_equal(ep_dev_rss_read(dev, &it.rss, NULL), 0);
	assert_memory_equal(it.rss.key, wanted.key, wanted.key_bytes);
	assert_memory_equal(it.rss.reta, wanted.reta, wanted.reta_count * sizeof(*wanted.reta));

	wanted.reta_count *= 2;
	assert_int_equal(ep_dev_rss_write(dev, &wanted, &err), -EINVAL);
	assert_non_null(strstr(err.text, "entries"));
	ep_dev_close(dev);
}

static void
steer_refuses_what_cannot_be(void **state)
{
	struct ep_dev *dev = port_open("net_null0");
	struct ep_dev_steer_cfg cfg = wish();
	struct ep_err err = {0};

	(void)state;
	cfg.first_queue = QUEUES;
	assert_int_equal(ep_dev_steer(dev, &cfg, &it.chosen, &err), -EINVAL);
	assert_non_null(strstr(err.text, "queue 4"));
	cfg = wish();
	cfg.vlan_id = 4095;
	assert_int_equal(ep_dev_steer(dev, &cfg, &it.chosen, &err), -EINVAL);
	assert_non_null(strstr(err.text, "VLAN 4095"));
	cfg = wish();
	cfg.ipv4 = cfg.ipv6 = false;
	assert_int_equal(ep_dev_steer(dev, &cfg, &it.chosen, &err), -EINVAL);
	ep_dev_close(dev);
}

#define WITH_NIC(test) cmocka_unit_test_setup(test, nic_reset)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_NIC(steer_writes_rules_for_both_families_and_directions),
		WITH_NIC(steer_gives_a_rule_the_key_that_was_asked_for),
		WITH_NIC(steer_deals_rules_out_where_a_rule_cannot_spread),
		WITH_NIC(steer_takes_half_made_rules_back),
		WITH_NIC(steer_leaves_no_family_out),
		WITH_NIC(steer_isolates_where_the_kernel_keeps_the_rest),
		WITH_NIC(steer_does_not_stay_isolated_without_rules),
		WITH_NIC(steer_goes_on_without_isolated_mode),
		WITH_NIC(steer_says_when_the_port_does_not_come_back),
		WITH_NIC(steer_knows_when_the_rest_reaches_our_queues),
		WITH_NIC(steer_of_real_drivers_goes_down_the_ladder),
		WITH_NIC(steer_leaves_memory_alone),
		WITH_NIC(rss_read_gives_back_what_was_written),
		WITH_NIC(steer_refuses_what_cannot_be),
	};

	return cmocka_run_group_tests(tests, group_create, group_destroy);
}
