#include <ep_plan.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct abilities {
	bool rules, rss_action, isolated, rss;
	uint32_t rules_max;
	bool ipv6;
};

/* A NIC, as the ladder sees it: what it can do, and what it was asked. */
struct nic {
	struct abilities can;
	uint32_t asked;
	struct {
		enum ep_plan_step step;
		bool isolated;
	} ask[16];
};

struct fixture {
	struct ep_range range;
	struct ep_plan_masks masks;
	struct ep_plan_steer steer;
};

static int
fixture_create(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return -1;
	assert_int_equal(ep_range_parse("50000-60000", "--ports", &f->range, NULL), 0);
	assert_int_equal(ep_plan_masks_make(&f->range, &f->masks, NULL), 0);
	*state = f;
	return 0;
}

static int
fixture_destroy(void **state)
{
	free(*state);
	return 0;
}

static int
nic_validate(void *ctx, const struct ep_plan_offer *offer, struct ep_err *err)
{
	struct nic *nic = ctx;
	const bool has_rules = offer->step <= EP_PLAN_STEP_RULES_QUEUE;

	nic->ask[nic->asked].step = offer->step;
	nic->ask[nic->asked++].isolated = offer->isolated;
	assert_int_equal(offer->rule_count, has_rules ? 11 : 0);
	assert_int_equal(offer->queue != NULL, offer->step == EP_PLAN_STEP_RULES_QUEUE);
	if (offer->isolated && !nic->can.isolated)
		return ep_err_set(err, -ENOTSUP, "no isolated mode");
	if (offer->step == EP_PLAN_STEP_RSS)
		return nic->can.rss ? 0 : ep_err_set(err, -ENOTSUP, "no RSS on UDP ports");
	if (!nic->can.rules)
		return ep_err_set(err, -ENOSYS, "no flow rules");
	if (offer->ipv6 && !nic->can.ipv6)
		return ep_err_set(err, -ENOTSUP, "no rules for IPv6");
	if (offer->step == EP_PLAN_STEP_RULES_RSS && !nic->can.rss_action)
		return ep_err_set(err, -ENOTSUP, "no RSS in a rule");
	if (offer->rule_count * ((uint32_t)offer->ipv4 + offer->ipv6) > nic->can.rules_max)
		return ep_err_set(err, -ENOSPC, "a table of %u rules", nic->can.rules_max);
	return 0;
}

static struct ep_plan_steer_cfg
cfg_of(const struct fixture *f)
{
	return (struct ep_plan_steer_cfg){
		.masks = &f->masks,
		.ipv4 = true,
		.ipv6 = true,
		.first_queue = 1,
		.queue_count = 4,
	};
}

static void
steer_takes_the_best_way_that_the_nic_accepts(void **state)
{
	static const struct {
		struct abilities can;
		bool bifurcated;
		uint16_t queue_count;
		enum ep_plan_step want;
		bool isolated;
		uint32_t refused;
		const char *reason;
	} row[] = {
		{{true, true, true, true, 64, true}, true, 4, EP_PLAN_STEP_RULES_RSS, true, 0,
			"as the NIC accepts"},
		{{true, true, false, true, 64, true}, true, 4, EP_PLAN_STEP_RULES_RSS, false, 1,
			"no isolated mode"},
		/* Not bifurcated: isolated mode would take ssh from the host, so it is not even asked for. */
		{{true, true, true, true, 64, true}, false, 4, EP_PLAN_STEP_RULES_RSS, false, 0,
			"as the NIC accepts"},
		{{true, false, false, true, 64, true}, false, 4, EP_PLAN_STEP_RULES_QUEUE, false, 1,
			"no RSS in a rule"},
		{{true, true, false, true, 21, true}, false, 4, EP_PLAN_STEP_RSS, false, 2,
			"a table of 21 rules"},
		{{true, true, false, true, 22, false}, false, 4, EP_PLAN_STEP_RSS, false, 2,
			"no rules for IPv6"},
		{{false, false, false, true, 0, true}, false, 4, EP_PLAN_STEP_RSS, false, 2,
			"no flow rules"},
		{{false, false, false, false, 0, true}, false, 4, EP_PLAN_STEP_PLAIN, false, 3,
			"no RSS on UDP ports"},
		/* One queue: nothing to spread. */
		{{true, true, false, true, 22, true}, false, 1, EP_PLAN_STEP_RULES_QUEUE, false, 0,
			"as the NIC accepts"},
		{{false, false, false, true, 0, true}, false, 1, EP_PLAN_STEP_PLAIN, false, 1,
			"no flow rules"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		struct ep_plan_steer_cfg cfg = cfg_of(f);
		struct nic nic = {.can = row[i].can};
		const bool by_rules = row[i].want <= EP_PLAN_STEP_RULES_QUEUE;

		cfg.bifurcated = row[i].bifurcated;
		cfg.queue_count = row[i].queue_count;
		assert_int_equal(
			ep_plan_steer_choose(&cfg, nic_validate, &nic, &f->steer, NULL), 0);
		assert_int_equal(f->steer.step, row[i].want);
		assert_int_equal(f->steer.isolated, row[i].isolated);
		assert_int_equal(f->steer.refused_count, row[i].refused);
		assert_int_equal(f->steer.rule_count, by_rules ? 22 : 0);
		assert_int_equal(f->steer.checks_range, !by_rules);
		assert_non_null(strstr(f->steer.reason, row[i].reason));
		assert_non_null(strstr(f->steer.reason, ep_plan_step_name(row[i].want)));
		/* Best first, and each way once. */
		for (uint32_t k = 1; k < nic.asked; k++)
			assert_true(nic.ask[k].step > nic.ask[k - 1].step ||
				(nic.ask[k].step == nic.ask[k - 1].step &&
					nic.ask[k - 1].isolated && !nic.ask[k].isolated));
	}
}

static void
steer_checks_ports_where_queue_0_is_shared_with_the_rest(void **state)
{
	struct fixture *f = *state;
	struct ep_plan_steer_cfg cfg = cfg_of(f);
	struct nic nic = {.can = {true, true, true, true, 64, true}};

	cfg.first_queue = 0;
	assert_int_equal(ep_plan_steer_choose(&cfg, nic_validate, &nic, &f->steer, NULL), 0);
	assert_true(f->steer.checks_range);
	cfg.bifurcated = true;
	nic.asked = 0;
	assert_int_equal(ep_plan_steer_choose(&cfg, nic_validate, &nic, &f->steer, NULL), 0);
	assert_true(f->steer.isolated);
	assert_false(f->steer.checks_range);
}

static void
steer_without_rules_begins_with_rss(void **state)
{
	struct fixture *f = *state;
	struct ep_plan_steer_cfg cfg = cfg_of(f);
	struct nic nic = {.can = {true, true, true, true, 64, true}};

	cfg.masks = NULL;
	assert_int_equal(ep_plan_steer_choose(&cfg, nic_validate, &nic, &f->steer, NULL), 0);
	assert_int_equal(f->steer.step, EP_PLAN_STEP_RSS);
	assert_int_equal(nic.asked, 1);
	assert_non_null(strstr(f->steer.reason, "too many rules"));
}

static void
steer_by_queue_deals_the_ports_out(void **state)
{
	struct fixture *f = *state;

	for (uint16_t queues = 1; queues <= 16; queues++) {
		struct ep_plan_steer_cfg cfg = cfg_of(f);
		struct nic nic = {.can = {true, false, false, true, 64, true}};
		uint32_t ports[EP_PLAN_QUEUES_MAX] = {0};
		uint32_t most = 0, total = 0;

		cfg.queue_count = queues;
		assert_int_equal(
			ep_plan_steer_choose(&cfg, nic_validate, &nic, &f->steer, NULL), 0);
		assert_int_equal(f->steer.step, EP_PLAN_STEP_RULES_QUEUE);
		for (uint32_t port = 0; port < EP_RANGE_PORTS; port++) {
			for (uint32_t i = 0; i < f->masks.rule_count; i++) {
				if ((port & f->masks.rule[i].mask) != f->masks.rule[i].value)
					continue;
				assert_true(f->steer.queue[i] >= 1 && f->steer.queue[i] <= queues);
				ports[f->steer.queue[i]]++;
			}
		}
		for (uint32_t q = 0; q < EP_PLAN_QUEUES_MAX; q++) {
			total += ports[q];
			most = ports[q] > most ? ports[q] : most;
		}
		assert_int_equal(total, 10001);
		assert_true(f->steer.max_ratio == (double)most * queues / 10001);
		/* The widest rule has 4096 ports; else at most a third more than the mean. */
		assert_true(most <= 4096 || most <= 10001 / queues * 4 / 3);
	}
}

static void
steer_refuses_what_cannot_be(void **state)
{
	struct fixture *f = *state;
	struct ep_plan_steer_cfg cfg = cfg_of(f);
	struct nic nic = {.asked = 0};
	struct ep_err err = {0};

	cfg.queue_count = 0;
	assert_int_equal(ep_plan_steer_choose(&cfg, nic_validate, &nic, &f->steer, &err), -EINVAL);
	assert_non_null(strstr(err.text, "0 queues"));
	cfg.queue_count = 64;
	assert_int_equal(ep_plan_steer_choose(&cfg, nic_validate, &nic, &f->steer, &err), -EINVAL);
	cfg = cfg_of(f);
	cfg.ipv4 = cfg.ipv6 = false;
	assert_int_equal(ep_plan_steer_choose(&cfg, nic_validate, &nic, &f->steer, &err), -EINVAL);
	assert_non_null(strstr(err.text, "family"));
	assert_int_equal(nic.asked, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steer_takes_the_best_way_that_the_nic_accepts),
		cmocka_unit_test(steer_checks_ports_where_queue_0_is_shared_with_the_rest),
		cmocka_unit_test(steer_without_rules_begins_with_rss),
		cmocka_unit_test(steer_by_queue_deals_the_ports_out),
		cmocka_unit_test(steer_refuses_what_cannot_be),
	};

	return cmocka_run_group_tests(tests, fixture_create, fixture_destroy);
}
