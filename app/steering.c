#include "steering.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
steering_say(struct steering *s, const char *step, const char *reason)
{
	snprintf(s->step, sizeof(s->step), "%s", step);
	snprintf(s->reason, sizeof(s->reason), "%.*s", (int)sizeof(s->reason) - 1, reason);
}

/* Returns whether there is nothing to choose. */
static bool
is_given(struct steering *s, const struct ep_dev_info *info)
{
	const char *reason =
		"our filter takes the range from every queue; the kernel keeps the rest, "
		"and its RSS settings spread the flows";

	if (info->kernel && info->steering[0] != '\0')
		steering_say(s, info->steering,
			info->steering_why[0] != '\0' ? info->steering_why : reason);
	else if (info->kernel)
		steering_say(s, "kernel filter", reason);
	else if (info->in_memory)
		steering_say(s, "joined queues",
			"each queue of one end is joined to that of the other end");
	else if (info->queue_pairs == 1 && info->is_virtual)
		steering_say(s, ep_plan_step_name(EP_PLAN_STEP_PLAIN),
			"one queue: there is nothing to steer to");
	else
		return false;
	return true;
}

/* The key and table to ask for: those wanted, if they are of the device's size, else our own. Returns whether the device has any. */
static bool
rss_wanted(const struct ep_dev *dev, uint16_t queue_pairs, const struct ep_plan_rss *wanted,
	struct ep_plan_rss *rss)
{
	struct ep_plan_rss now;

	if (ep_dev_rss_read(dev, &now, NULL) < 0)
		return false;
	if (wanted != NULL && wanted->key_bytes == now.key_bytes &&
		wanted->reta_count == now.reta_count) {
		*rss = *wanted;
		return true;
	}
	return ep_plan_rss_init(rss, now.key_bytes, now.reta_count, 0, queue_pairs, NULL) == 0;
}

/* What the device does in the end, which may be something else than it was told. */
static void
rss_take(struct steering *s, const struct ep_dev *dev, enum ep_plan_step step,
	const struct ep_plan_rss *asked)
{
	if (step == EP_PLAN_STEP_RULES_RSS && asked != NULL) {
		s->rss = *asked;
		s->has_rss = true;
	}
	if (step == EP_PLAN_STEP_RSS)
		s->has_rss = ep_dev_rss_read(dev, &s->rss, NULL) == 0;
}

static int
steering_choose(struct steering *s, struct ep_dev *dev, const struct ep_dev_steer_cfg *cfg,
	struct ep_err *err)
{
	struct ep_plan_steer *chosen = calloc(1, sizeof(*chosen));
	int ret;

	if (chosen == NULL)
		return ep_err_set(err, -ENOMEM, "no memory for the steering");
	ret = ep_dev_steer(dev, cfg, chosen, err);
	if (ret == 0) {
		steering_say(s, ep_plan_step_name(chosen->step), chosen->reason);
		s->rule_count = chosen->rule_count;
		s->isolated = chosen->isolated;
		s->expected_ratio = chosen->max_ratio;
		rss_take(s, dev, chosen->step, cfg->rss);
	}
	free(chosen);
	return ret;
}

int
steering_set(struct steering *s, struct ep_dev *dev, const struct ep_range *range, bool initiator,
	enum ep_wire_family family, uint16_t vlan_id, const struct ep_plan_rss *rss,
	struct ep_err *err)
{
	struct ep_dev_steer_cfg cfg = {
		.initiator = initiator,
		.vlan_id = vlan_id,
		.ipv4 = family == EP_WIRE_IPV4,
		.ipv6 = family == EP_WIRE_IPV6,
	};
	struct ep_plan_rss asked;
	struct ep_plan_masks *masks;
	struct ep_dev_info info;
	int ret;

	ep_dev_info(dev, &info);
	memset(s, 0, sizeof(*s));
	if (is_given(s, &info))
		return 0;
	masks = calloc(1, sizeof(*masks));
	if (masks == NULL)
		return ep_err_set(err, -ENOMEM, "no memory for the rules of the range");
	/* A range of too many rules is steered without rules. */
	ret = ep_plan_masks_make(range, masks, err);
	cfg.masks = ret == 0 ? masks : NULL;
	if (rss_wanted(dev, info.queue_pairs, rss, &asked))
		cfg.rss = &asked;
	if (ret == 0 || ret == -E2BIG)
		ret = steering_choose(s, dev, &cfg, err);
	free(masks);
	return ret;
}

int
steering_sources(struct steering *up, struct steering *down, const struct ep_range *range,
	const struct ep_wire_ip *initiator, const struct ep_wire_ip *responder,
	struct ep_sched_cfg *cfg, struct ep_err *err)
{
	const struct ep_plan_sources_cfg ask = {
		.range = range,
		.source_count = cfg->source_count,
		.address_count = cfg->address_count,
		.initiator = *initiator,
		.responder = *responder,
		.up = up != NULL && up->has_rss ? &up->rss : NULL,
		.down = down != NULL && down->has_rss ? &down->rss : NULL,
		.source_first = cfg->source_base,
		.source_last = (uint16_t)(cfg->source_base + cfg->source_span - 1),
	};
	struct ep_plan_sources made;
	int ret;

	if (ask.up == NULL && ask.down == NULL)
		return 0;
	ret = ep_plan_sources_make(&ask, &made, err);
	if (ret < 0)
		return ret;
	cfg->source_base = made.source_base;
	cfg->source_span = made.source_span;
	if (ask.up != NULL)
		up->expected_ratio = made.up.max_ratio;
	if (ask.down != NULL)
		down->expected_ratio = made.down.max_ratio;
	return 0;
}

void
steering_facts(const struct steering *s, uint32_t device, struct ep_result *result)
{
	const char *tail = device == 0 ? "" : "_2";
	char key[48];

	snprintf(key, sizeof(key), "steering%s", tail);
	ep_result_host_text(result, key, s->step);
	snprintf(key, sizeof(key), "steering_reason%s", tail);
	ep_result_host_text(result, key, s->reason);
	if (s->rule_count == 0)
		return;
	snprintf(key, sizeof(key), "steering_rules%s", tail);
	ep_result_host_number(result, key, s->rule_count);
	snprintf(key, sizeof(key), "steering_isolated%s", tail);
	ep_result_host_text(result, key, s->isolated ? "yes" : "no");
}
