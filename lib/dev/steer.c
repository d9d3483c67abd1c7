/*
 * Steering a port: each way that ep_plan offers is tried as a whole, so that a table that is full, or a driver that validates more
 * than it creates, is a refusal like any other, and what was chosen is in place when the ladder ends.
 */

#include "dev_priv.h"
#include "flow.h"

#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_flow.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REFUSAL_BYTES 160

struct steering {
	struct ep_dev *dev;
	const struct ep_dev_steer_cfg *cfg;
	bool mixed; /* The rest of the traffic reaches our queues, too. */
};

/* Drivers whose isolated mode leaves the rest to the kernel: the NIC stays the kernel's as well. */
static bool
is_bifurcated(const struct ep_dev *dev)
{
	static const char *const driver[] = {"mlx5_pci", "mlx5_auxiliary", "net_mlx5", "net_mlx4"};
	struct rte_eth_dev_info info = {0};

	rte_eth_dev_info_get(dev->port_id, &info);
	for (size_t i = 0; info.driver_name != NULL && i < EP_ARRAY_LEN(driver); i++)
		if (strcmp(info.driver_name, driver[i]) == 0)
			return true;
	return false;
}

/* The driver's words; where it has none, or only the code's own (DPDK's, of a driver without rules), those once. */
static const char *
refusal(const struct rte_flow_error *why, int code, char *buf, size_t len)
{
	const char *const meaning = rte_strerror(code);

	if (why->message == NULL)
		snprintf(buf, len, "%s, the driver gives no reason", meaning);
	else if (strcmp(why->message, meaning) == 0)
		return meaning;
	else
		snprintf(buf, len, "%s (%s)", why->message, meaning);
	return buf;
}

static int
rule_refused(const struct ep_dev *dev, enum ep_wire_family family, struct ep_plan_mask mask,
	const struct rte_flow_error *why, struct ep_err *err)
{
	const int ret = rte_errno != 0 ? -rte_errno : -EIO;
	char words[REFUSAL_BYTES];

	return ep_err_set(err, ret, "--dev %s: IPv%d ports 0x%04x/0x%04x: %s", dev->name, family,
		mask.value, mask.mask, refusal(why, -ret, words, sizeof(words)));
}

static void
rules_destroy(struct ep_dev *dev)
{
	struct rte_flow_error ignored;

	while (dev->flow_count > 0)
		rte_flow_destroy(dev->port_id, dev->flow[--dev->flow_count], &ignored);
	free(dev->flow);
	dev->flow = NULL;
}

static void
rule_make(struct flow_rule *rule, const struct steering *s, const struct ep_plan_offer *offer,
	enum ep_wire_family family, uint32_t i)
{
	const struct flow_cfg cfg = {
		.initiator = offer->initiator,
		.vlan_id = s->cfg->vlan_id,
		.rss = s->cfg->rss,
		.first_queue = offer->first_queue,
		.queue_count = offer->queue_count,
	};

	flow_match(rule, &cfg, family, offer->rule[i]);
	if (offer->queue != NULL)
		flow_to_queue(rule, offer->queue[i]);
	else
		flow_to_rss(rule, &cfg, family);
}

/* All rules of a family: validated, or created. */
static int
rules_apply(const struct steering *s, const struct ep_plan_offer *offer, enum ep_wire_family family,
	bool create, struct ep_err *err)
{
	struct ep_dev *dev = s->dev;

	for (uint32_t i = 0; i < offer->rule_count; i++) {
		struct rte_flow_error why = {0};
		struct flow_rule rule;
		bool taken;

		rule_make(&rule, s, offer, family, i);
		rte_errno = 0;
		if (create) {
			dev->flow[dev->flow_count] = rte_flow_create(
				dev->port_id, &rule.attr, rule.item, rule.action, &why);
			taken = dev->flow[dev->flow_count] != NULL;
			dev->flow_count += taken;
		} else
			taken = rte_flow_validate(dev->port_id, &rule.attr, rule.item, rule.action,
					&why) == 0;
		if (!taken)
			return rule_refused(dev, family, offer->rule[i], &why, err);
	}
	return 0;
}

static int
rules_try(const struct steering *s, const struct ep_plan_offer *offer, struct ep_err *err)
{
	int ret = 0;

	s->dev->flow = calloc(2 * (size_t)offer->rule_count, sizeof(struct rte_flow *));
	if (s->dev->flow == NULL)
		return ep_err_set(err, -ENOMEM, "--dev %s: no memory for %u flow rules",
			s->dev->name, 2 * offer->rule_count);
	/* All are asked for before the first one is made. */
	for (int create = 0; ret == 0 && create <= 1; create++) {
		if (offer->ipv4)
			ret = rules_apply(s, offer, EP_WIRE_IPV4, create, err);
		if (ret == 0 && offer->ipv6)
			ret = rules_apply(s, offer, EP_WIRE_IPV6, create, err);
	}
	if (ret < 0)
		rules_destroy(s->dev);
	return ret;
}

/* Drivers take the mode while the port is stopped. */
static int
isolate(struct ep_dev *dev, int on, struct ep_err *err)
{
	struct rte_flow_error why = {0};
	char words[REFUSAL_BYTES];
	int ret;

	if (dev->isolated == (on != 0))
		return 0;
	ret = rte_eth_dev_stop(dev->port_id);
	if (ret == 0)
		ret = rte_flow_isolate(dev->port_id, on, &why);
	dev->isolated = ret == 0 ? on != 0 : dev->isolated;
	/* Whatever became of the mode, the port has to go on. */
	if (rte_eth_dev_start(dev->port_id) < 0)
		dev->started = false;
	if (ret < 0)
		return ep_err_set(err, ret, "--dev %s: isolated mode: %s", dev->name,
			refusal(&why, -ret, words, sizeof(words)));
	return 0;
}

/* What no rule takes is to go to the queues below ours: where there is no RSS, it is queue 0's in any case. */
static bool
rest_keep_away(struct ep_dev *dev, uint16_t first_queue)
{
	struct ep_plan_rss rss;

	if (first_queue == 0)
		return false;
	if (dev_rss_own(dev, 0, first_queue, &rss, NULL) < 0)
		return true;
	return ep_dev_rss_write(dev, &rss, NULL) == 0;
}

static int
rss_try(const struct steering *s, const struct ep_plan_offer *offer, struct ep_err *err)
{
	struct ep_plan_rss rss;
	int ret = dev_rss_own(s->dev, offer->first_queue, offer->queue_count, &rss, err);

	if (ret == 0)
		ret = ep_dev_rss_write(s->dev, s->cfg->rss != NULL ? s->cfg->rss : &rss, err);
	return ret;
}

static int
offer_try(struct steering *s, const struct ep_plan_offer *offer, struct ep_err *err)
{
	int ret = isolate(s->dev, offer->isolated, err);

	if (ret < 0)
		return ret;
	if (offer->rule_count == 0)
		return rss_try(s, offer, err);
	ret = rules_try(s, offer, err);
	if (ret == 0)
		s->mixed = !offer->isolated && !rest_keep_away(s->dev, offer->first_queue);
	return ret;
}

/* What was chosen is told with its device, so that why nothing better was need not name it; some names are longer than all the rest. */
static int
steer_try(void *ctx, const struct ep_plan_offer *offer, struct ep_err *err)
{
	struct steering *s = ctx;
	char name[sizeof(s->dev->name) + 16];
	const int ret = offer_try(s, offer, err);
	const int len = snprintf(name, sizeof(name), "--dev %s: ", s->dev->name);

	if (ret < 0 && len > 0 && strncmp(err->text, name, (size_t)len) == 0)
		memmove(err->text, err->text + len, strlen(err->text + len) + 1);
	return ret;
}

int
ep_dev_steer(struct ep_dev *dev, const struct ep_dev_steer_cfg *cfg, struct ep_plan_steer *chosen,
	struct ep_err *err)
{
	const struct ep_plan_steer_cfg plan = {
		.masks = cfg->masks,
		.initiator = cfg->initiator,
		.ipv4 = cfg->ipv4,
		.ipv6 = cfg->ipv6,
		.bifurcated = is_bifurcated(dev),
		.first_queue = cfg->first_queue,
		.queue_count = (uint16_t)(dev->queue_pairs - cfg->first_queue),
	};
	struct steering s = {.dev = dev, .cfg = cfg};
	int ret;

	if (dev->link.ifindex != 0 || dev->spec.kind == EP_DEV_MEMORY)
		return ep_err_set(err, -ENOTSUP,
			"--dev %s: only a device of a DPDK driver's own is steered, this one is %s",
			dev->name, dev->link.ifindex != 0 ? "the kernel's" : "in memory");
	if (cfg->first_queue >= dev->queue_pairs)
		return ep_err_set(err, -EINVAL, "--dev %s: steering to queue %u and up; it has %u",
			dev->name, cfg->first_queue, dev->queue_pairs);
	if (cfg->vlan_id > 4094)
		return ep_err_set(err, -EINVAL, "--dev %s: VLAN %u; allowed are 1 to 4094, or none",
			dev->name, cfg->vlan_id);
	ep_dev_unsteer(dev);
	ret = ep_plan_steer_choose(&plan, steer_try, &s, chosen, err);
	if (ret == 0 && chosen->step >= EP_PLAN_STEP_RSS)
		ret = isolate(dev, 0, err);
	if (ret == 0 && !dev->started)
		ret = ep_err_set(err, -EIO, "--dev %s: it does not start again", dev->name);
	if (ret < 0) {
		ep_dev_unsteer(dev);
		return ret;
	}
	chosen->checks_range |= s.mixed;
	DEV_LOG(INFO, "%s: %s", dev->name, chosen->reason);
	return 0;
}

void
ep_dev_unsteer(struct ep_dev *dev)
{
	rules_destroy(dev);
	isolate(dev, 0, NULL);
}
