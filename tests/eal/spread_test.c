/*
 * From a device's RSS to source ports that give each queue its share. net_null has a key and a table that can be set, and no flow
 * rules; it does not hash what it makes up, so the queues are computed here as a NIC would.
 */

#include "../../app/steering.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct ep_wire_ip initiator = {EP_WIRE_IPV4, {198, 18, 0, 1}};
static const struct ep_wire_ip responder = {EP_WIRE_IPV4, {198, 18, 0, 2}};

/* 0 is the initiator's. */
struct pair {
	struct ep_range range;
	struct ep_dev *dev[2];
	struct steering steering[2];
	struct ep_sched_cfg space;
	struct ep_err err;
};

static struct ep_dev *
dev_open(unsigned int number, uint16_t queues)
{
	struct ep_dev_cfg cfg = {.queue_pairs = queues, .ring_descs = 256, .mtu_frame_bytes = 64};
	struct ep_err err = {0};
	struct ep_dev *dev;
	char spec[32];

	snprintf(spec, sizeof(spec), "net_null%u,no-rx=1", number);
	assert_int_equal(ep_dev_spec_parse(spec, &cfg.spec, &err), 0);
	if (ep_dev_open(&cfg, &dev, &err) < 0)
		fail_msg("%s", err.text);
	return dev;
}

static struct pair *
pair_open(uint16_t queues)
{
	struct pair *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	assert_int_equal(ep_range_parse("50000-60000", "ports", &p->range, &p->err), 0);
	for (unsigned int i = 0; i < 2; i++)
		p->dev[i] = dev_open(i, queues);
	p->space = (struct ep_sched_cfg){
		.port_count = p->range.port_count,
		.source_count = 1,
		.address_count = 1,
		.source_base = 20000,
		.source_span = 45000,
	};
	return p;
}

static void
pair_close(struct pair *p)
{
	ep_dev_close(p->dev[0]);
	ep_dev_close(p->dev[1]);
	free(p);
}

static void
pair_steer(struct pair *p, struct ep_plan_rss *mirror)
{
	const struct ep_plan_rss *down = NULL;

	assert_int_equal(steering_set(&p->steering[1], p->dev[1], &p->range, false, EP_WIRE_IPV4, 0,
				 NULL, &p->err),
		0);
	if (mirror != NULL) {
		assert_int_equal(ep_plan_rss_mirror(&p->steering[1].rss, &initiator, &responder,
					 mirror, &p->err),
			0);
		down = mirror;
	}
	assert_int_equal(steering_set(&p->steering[0], p->dev[0], &p->range, true, EP_WIRE_IPV4, 0,
				 down, &p->err),
		0);
}

/* Flows that each queue of both ends gets, and how many answers come to the queue of their probe's number. */
static uint32_t
shares(const struct pair *p, uint32_t count[2][EP_PLAN_QUEUES_MAX])
{
	uint32_t same = 0;

	memset(count, 0, 2 * sizeof(count[0]));
	for (uint32_t i = 0; i < p->range.port_count; i++) {
		const uint16_t source = (uint16_t)(p->space.source_base + i % p->space.source_span);
		const struct ep_plan_tuple up = {initiator, responder, source, p->range.port[i]};
		const struct ep_plan_tuple down = {responder, initiator, p->range.port[i], source};
		const uint16_t q1 = ep_plan_rss_queue(&p->steering[1].rss, &up);
		const uint16_t q0 = ep_plan_rss_queue(&p->steering[0].rss, &down);

		count[1][q1]++;
		count[0][q0]++;
		same += q0 == q1;
	}
	return same;
}

static void
each_queue_of_both_ends_gets_its_share(void **state)
{
	static const uint16_t queues[] = {2, 4, 8, 16};

	(void)state;
	for (size_t k = 0; k < EP_ARRAY_LEN(queues); k++) {
		struct pair *p = pair_open(queues[k]);
		uint32_t count[2][EP_PLAN_QUEUES_MAX];
		struct ep_plan_rss mirror;
		double most[2] = {0};

		pair_steer(p, &mirror);
		for (int i = 0; i < 2; i++) {
			assert_string_equal(p->steering[i].step, "RSS on UDP ports");
			assert_true(p->steering[i].has_rss);
			/* Why no better one was had, without the device's name. */
			assert_non_null(strstr(p->steering[i].reason, "not range rules by queue"));
			assert_null(strstr(p->steering[i].reason, "--dev"));
		}
		assert_int_equal(steering_sources(&p->steering[1], &p->steering[0], &p->range,
					 &initiator, &responder, &p->space, &p->err),
			0);
		assert_in_range(p->space.source_base, 20000, 64999 - 10000);
		assert_int_equal(shares(p, count), p->range.port_count);
		for (uint32_t q = 0; q < queues[k]; q++)
			for (int i = 0; i < 2; i++) {
				const double ratio =
					count[i][q] * (double)queues[k] / p->range.port_count;

				assert_true(ratio > 0.98 && ratio < 1.02);
				most[i] = ratio > most[i] ? ratio : most[i];
			}
		/* What is said beforehand is what comes. */
		for (int i = 0; i < 2; i++)
			assert_true(p->steering[i].expected_ratio > most[i] - 1e-9 &&
				p->steering[i].expected_ratio < most[i] + 1e-9);
		pair_close(p);
	}
}

/* The far side's key and table come over the control connection; what is allowed is the greeting's. */
static void
source_ports_stay_within_those_allowed(void **state)
{
	struct pair *p = pair_open(4);
	struct steering far = {0};

	(void)state;
	pair_steer(p, NULL);
	far.has_rss = true;
	far.rss = p->steering[0].rss;
	p->space.source_base = 30000;
	p->space.source_span = 12000;
	assert_int_equal(steering_sources(&p->steering[1], &far, &p->range, &initiator, &responder,
				 &p->space, &p->err),
		0);
	assert_in_range(p->space.source_base, 30000, 42000 - 10001);
	assert_int_equal(p->space.source_span, 10001);
	assert_true(far.expected_ratio >= 1 && far.expected_ratio < 1.05);
	pair_close(p);
}

/* Without a NIC that hashes, all that are allowed stay. */
static void
source_ports_are_the_usual_ones_where_nothing_is_known(void **state)
{
	struct pair *p = pair_open(1);

	(void)state;
	pair_steer(p, NULL);
	assert_string_equal(p->steering[0].step, "plain queues");
	assert_string_equal(p->steering[0].reason, "one queue: there is nothing to steer to");
	assert_int_equal(steering_sources(&p->steering[1], &p->steering[0], &p->range, &initiator,
				 &responder, &p->space, &p->err),
		0);
	assert_int_equal(p->space.source_base, 20000);
	assert_int_equal(p->space.source_span, 45000);
	assert_true(p->steering[1].expected_ratio == 0);
	pair_close(p);
}

static void
steering_is_in_host(void **state)
{
	struct pair *p = pair_open(4);
	struct ep_result *r;

	(void)state;
	pair_steer(p, NULL);
	assert_int_equal(ep_result_create(&p->range, &r), 0);
	for (uint32_t i = 0; i < 2; i++)
		steering_facts(&p->steering[i], i, r);
	assert_int_equal(r->host_count, 4);
	assert_string_equal(r->host[0].key, "steering");
	assert_string_equal(r->host[0].value, "RSS on UDP ports");
	assert_string_equal(r->host[1].key, "steering_reason");
	assert_string_equal(r->host[2].key, "steering_2");
	ep_result_destroy(r);
	pair_close(p);
}

static int
start_eal(void **state)
{
	const struct ep_dev_eal_cfg cfg = {.memory_mib = 256, .worker_count = 1};
	struct ep_err err;

	(void)state;
	if (ep_dev_eal_init(&cfg, &err) < 0) {
		fprintf(stderr, "# %s\n", err.text);
		return -1;
	}
	return 0;
}

static int
stop_eal(void **state)
{
	(void)state;
	ep_dev_eal_fini();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_queue_of_both_ends_gets_its_share),
		cmocka_unit_test(source_ports_stay_within_those_allowed),
		cmocka_unit_test(source_ports_are_the_usual_ones_where_nothing_is_known),
		cmocka_unit_test(steering_is_in_host),
	};

	return cmocka_run_group_tests(tests, start_eal, stop_eal);
}
