/* Which way of steering a NIC accepts: a ladder, walked down from the best. */

#include "plan_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PORT_BITS 16

/* What an offer is made from. */
struct ladder {
	const struct ep_plan_steer_cfg *cfg;
	ep_plan_validate_fn validate;
	void *ctx;
	struct ep_plan_steer *steer;
};

const char *
ep_plan_step_name(enum ep_plan_step step)
{
	static const char *const name[EP_PLAN_STEPS] = {
		[EP_PLAN_STEP_RULES_RSS] = "range rules with RSS",
		[EP_PLAN_STEP_RULES_QUEUE] = "range rules by queue",
		[EP_PLAN_STEP_RSS] = "RSS on UDP ports",
		[EP_PLAN_STEP_PLAIN] = "plain queues",
	};

	return name[step];
}

static uint32_t
mask_ports(struct ep_plan_mask m)
{
	return 1U << (PORT_BITS - __builtin_popcount(m.mask));
}

/*
 * Deal rules out: the widest first, each to the queue with the fewest ports so far. No queue then has more than 4/3 of what the best
 * dealing gives the fullest one (Graham 1969).
 */
static void
rules_deal(const struct ep_plan_steer_cfg *cfg, struct ep_plan_steer *steer)
{
	const struct ep_plan_masks *masks = cfg->masks;
	uint32_t load[EP_PLAN_QUEUES_MAX] = {0};
	uint32_t total = 0, most = 0;

	for (uint32_t width = PORT_BITS + 1; width-- > 0;) {
		for (uint32_t i = 0; i < masks->rule_count; i++) {
			uint32_t least = 0;

			if (mask_ports(masks->rule[i]) != 1U << width)
				continue;
			for (uint32_t q = 1; q < cfg->queue_count; q++)
				if (load[q] < load[least])
					least = q;
			steer->queue[i] = (uint16_t)(cfg->first_queue + least);
			load[least] += 1U << width;
			total += 1U << width;
			if (load[least] > most)
				most = load[least];
		}
	}
	steer->max_ratio = (double)most * cfg->queue_count / total;
}

static void
refusal_keep(struct ep_plan_steer *steer, const struct ep_plan_offer *offer, const char *why)
{
	steer->refused[steer->refused_count].step = offer->step;
	steer->refused[steer->refused_count].isolated = offer->isolated;
	snprintf(steer->refused[steer->refused_count++].reason, EP_PLAN_TEXT_BYTES, "%.*s",
		EP_PLAN_TEXT_BYTES - 1, why);
}

static bool
has_rules(enum ep_plan_step step)
{
	return step == EP_PLAN_STEP_RULES_RSS || step == EP_PLAN_STEP_RULES_QUEUE;
}

/* Whether the NIC takes a step; if not, its sentence is kept. */
static bool
step_try(const struct ladder *l, enum ep_plan_step step, bool isolated)
{
	const struct ep_plan_steer_cfg *cfg = l->cfg;
	struct ep_err why = {0};
	struct ep_plan_offer offer = {
		.step = step,
		.isolated = isolated,
		.initiator = cfg->initiator,
		.ipv4 = cfg->ipv4,
		.ipv6 = cfg->ipv6,
		.first_queue = cfg->first_queue,
		.queue_count = cfg->queue_count,
	};

	if (has_rules(step)) {
		offer.rule_count = cfg->masks->rule_count;
		offer.rule = cfg->masks->rule;
	}
	if (step == EP_PLAN_STEP_RULES_QUEUE)
		offer.queue = l->steer->queue;
	if (l->validate(l->ctx, &offer, &why) < 0) {
		refusal_keep(l->steer, &offer, why.text);
		return false;
	}
	l->steer->step = step;
	l->steer->isolated = isolated;
	return true;
}

/* Range rules: isolated where that takes nothing from the kernel; over one queue there is nothing to spread. */
static bool
rules_try(const struct ladder *l)
{
	const struct ep_plan_steer_cfg *cfg = l->cfg;
	const enum ep_plan_step first =
		cfg->queue_count > 1 ? EP_PLAN_STEP_RULES_RSS : EP_PLAN_STEP_RULES_QUEUE;

	if (cfg->masks == NULL)
		return false;
	rules_deal(cfg, l->steer);
	for (enum ep_plan_step step = first; step <= EP_PLAN_STEP_RULES_QUEUE; step++)
		if ((cfg->bifurcated && step_try(l, step, true)) || step_try(l, step, false))
			return true;
	return false;
}

static void
steer_say(const struct ladder *l)
{
	const struct ep_plan_steer_cfg *cfg = l->cfg;
	struct ep_plan_steer *s = l->steer;
	char what[96];

	if (has_rules(s->step))
		snprintf(what, sizeof(what), "%s%s, %u rules", ep_plan_step_name(s->step),
			s->isolated ? ", isolated" : "", s->rule_count);
	else
		snprintf(what, sizeof(what), "%s, ports checked in software",
			ep_plan_step_name(s->step));
	if (s->refused_count > 0)
		snprintf(s->reason, sizeof(s->reason), "%s; not %s%s: %.120s", what,
			ep_plan_step_name(s->refused[s->refused_count - 1].step),
			s->refused[s->refused_count - 1].isolated ? ", isolated" : "",
			s->refused[s->refused_count - 1].reason);
	else if (cfg->masks == NULL)
		snprintf(s->reason, sizeof(s->reason), "%s; the range needs too many rules", what);
	else
		snprintf(s->reason, sizeof(s->reason), "%s, as the NIC accepts", what);
}

int
ep_plan_steer_choose(const struct ep_plan_steer_cfg *cfg, ep_plan_validate_fn validate, void *ctx,
	struct ep_plan_steer *steer, struct ep_err *err)
{
	struct ep_plan_steer made = {.step = EP_PLAN_STEP_PLAIN};
	const struct ladder l = {.cfg = cfg, .validate = validate, .ctx = ctx, .steer = &made};

	if (cfg->queue_count < 1 || cfg->first_queue + cfg->queue_count > EP_PLAN_QUEUES_MAX)
		return ep_err_set(err, -EINVAL,
			"%u queues from %u to steer to; allowed are 1 or more, numbered 0 to %d",
			cfg->queue_count, cfg->first_queue, EP_PLAN_QUEUES_MAX - 1);
	if (!cfg->ipv4 && !cfg->ipv6)
		return ep_err_set(
			err, -EINVAL, "no address family to steer; allowed are IPv4, IPv6 or both");
	if (!rules_try(&l) && cfg->queue_count > 1)
		step_try(&l, EP_PLAN_STEP_RSS, false);
	if (has_rules(made.step))
		made.rule_count = cfg->masks->rule_count * ((uint32_t)cfg->ipv4 + cfg->ipv6);
	if (made.step != EP_PLAN_STEP_RULES_QUEUE)
		made.max_ratio = 0;
	made.checks_range = !has_rules(made.step) || (!made.isolated && cfg->first_queue == 0);
	steer_say(&l);
	*steer = made;
	return 0;
}
