/* Receive queues: shares, and loss that follows one of them. The simulated NIC deals ports out as RSS does, by a hash of the port. */

#include "result_util.h"

#include <ep_plan.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#define PORTS "50000-53999"
#define PORT_COUNT 4000
#define SENT 1000
#define RUNS 40

/* At which queue a port's probes arrive: a Toeplitz hash, as a NIC does it. */
static void
hash_queues(uint8_t *queue, uint32_t port_count, uint16_t queue_count, uint64_t *state)
{
	struct ep_plan_tuple tuple = {
		.src = {EP_WIRE_IPV4, {198, 18, 0, 1}}, .dst = {EP_WIRE_IPV4, {198, 18, 0, 2}}};
	struct ep_plan_rss rss;

	assert_int_equal(ep_plan_rss_init(&rss, 40, 128, 0, queue_count, NULL), 0);
	tuple.src.bytes_be[3] = (uint8_t)util_random(state);
	for (uint32_t i = 0; i < port_count; i++) {
		tuple.sport = (uint16_t)(20000 + i);
		tuple.dport = (uint16_t)(50000 + i);
		queue[i] = (uint8_t)ep_plan_rss_queue(&rss, &tuple);
	}
}

/* Packets of a port that are lost with a chance each. */
static uint64_t
draw(uint64_t sent, double ratio, uint64_t *state)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < sent; i++)
		n += (double)(util_random(state) >> 11) * 0x1p-53 < ratio;
	return n;
}

static void
lose(struct ep_result *r, uint32_t i, uint64_t n)
{
	struct ep_result_port_dir *p = &r->port[i].dir[EP_RESULT_UP];

	n = n < p->received ? n : p->received;
	p->received -= n;
	p->lost += n;
}

/* A result whose receiver up has queues; the trial is added last, so that its ledger fits. */
static struct ep_result *
queued(const uint8_t *queue, uint16_t queue_count)
{
	struct ep_result *r = util_result(PORTS);

	assert_int_equal(r->range->port_count, PORT_COUNT);
	util_fill(r, EP_RESULT_UP, SENT);
	util_fill(r, EP_RESULT_DOWN, SENT);
	assert_int_equal(ep_result_add_port_queues(r, EP_RESULT_UP, queue), 0);
	(void)queue_count;
	return r;
}

static void
queued_judge(struct ep_result *r, const uint8_t *queue, uint16_t queue_count)
{
	struct ep_result_trial *t = util_load(r);

	t->queues[EP_RESULT_UP].count = queue_count;
	for (uint32_t i = 0; i < r->range->port_count; i++)
		t->queues[EP_RESULT_UP].received[queue[i]] += r->port[i].dir[EP_RESULT_UP].received;
	util_judge(r);
}

static void
a_lossy_queue_makes_the_run_invalid_and_is_named(void **state)
{
	static const uint16_t counts[] = {2, 3, 4, 8, 16};
	uint64_t seed = util_seed();
	uint8_t queue[PORT_COUNT];

	(void)state;
	for (int run = 0; run < RUNS; run++) {
		const uint16_t n = counts[run % EP_ARRAY_LEN(counts)];
		const uint8_t bad = (uint8_t)(util_random(&seed) % n);
		struct ep_result *r;
		char which[64];

		hash_queues(queue, PORT_COUNT, n, &seed);
		r = queued(queue, n);
		/* 1 % of all that the queue got, and 0.02 % on the way for all. */
		for (uint32_t i = 0; i < PORT_COUNT; i++)
			lose(r, i, draw(SENT, queue[i] == bad ? 0.01 : 0.0002, &seed));
		queued_judge(r, queue, n);
		assert_int_equal(r->verdict, EP_RESULT_INVALID);
		assert_true(r->spread[EP_RESULT_UP].suspect.found);
		assert_null(r->spread[EP_RESULT_UP].unjudged);
		assert_int_equal(r->spread[EP_RESULT_UP].suspect.queue, bad);
		assert_false(r->loss_judged[EP_RESULT_UP]);
		assert_true(r->loss_judged[EP_RESULT_DOWN]);
		assert_false(r->trial[0].valid);
		snprintf(which, sizeof(which),
			"invalid: up: loss follows our receive queue %u:", bad);
		assert_true(util_has_reason(r, which));
		ep_result_destroy(r);
	}
}

/* The far side's is called so. */
static void
a_lossy_queue_of_the_far_side_is_said_to_be_its_own(void **state)
{
	uint64_t seed = util_seed();
	uint8_t queue[PORT_COUNT];
	struct ep_result *r;

	(void)state;
	hash_queues(queue, PORT_COUNT, 4, &seed);
	r = queued(queue, 4);
	snprintf(r->command, sizeof(r->command), "run");
	for (uint32_t i = 0; i < PORT_COUNT; i++)
		lose(r, i, queue[i] == 2 ? 5 : 0);
	queued_judge(r, queue, 4);
	assert_true(util_has_reason(r, "loss follows the far side's receive queue 2"));
	ep_result_destroy(r);
}

static void
a_blocked_or_lossy_range_is_the_paths(void **state)
{
	static const double ratios[] = {1, 0.5, 0.05};
	uint64_t seed = util_seed();
	uint8_t queue[PORT_COUNT];
	uint32_t found = 0;

	(void)state;
	for (int run = 0; run < RUNS; run++) {
		const uint16_t n = (uint16_t)(2 + util_random(&seed) % 7);
		const uint32_t first = (uint32_t)(util_random(&seed) % (PORT_COUNT - 700));
		const uint32_t length = (uint32_t)(2 + util_random(&seed) % 600);
		struct ep_result *r;

		hash_queues(queue, PORT_COUNT, n, &seed);
		r = queued(queue, n);
		for (uint32_t i = 0; i < PORT_COUNT; i++)
			lose(r, i,
				draw(SENT,
					i >= first && i < first + length
						? ratios[run % EP_ARRAY_LEN(ratios)]
						: 0.0001,
					&seed));
		queued_judge(r, queue, n);
		found += r->spread[EP_RESULT_UP].suspect.found;
		assert_true(r->spread[EP_RESULT_UP].suspect.found || r->verdict == EP_RESULT_FAIL);
		ep_result_destroy(r);
	}
	assert_int_equal(found, 0);
}

static void
loss_that_all_queues_share_is_the_paths(void **state)
{
	uint64_t seed = util_seed();
	uint8_t queue[PORT_COUNT];
	uint32_t found = 0;

	(void)state;
	for (int run = 0; run < RUNS; run++) {
		struct ep_result *r;

		hash_queues(queue, PORT_COUNT, 4, &seed);
		r = queued(queue, 4);
		for (uint32_t i = 0; i < PORT_COUNT; i++)
			lose(r, i, draw(SENT, 0.005, &seed));
		queued_judge(r, queue, 4);
		found += r->spread[EP_RESULT_UP].suspect.found;
		ep_result_destroy(r);
	}
	assert_int_equal(found, 0);
}

/* Where queues have blocks of ports, a blocked range and a lossy queue look the same: nothing is said. */
static void
queues_with_blocks_of_ports_are_not_judged(void **state)
{
	uint8_t queue[PORT_COUNT];
	struct ep_result *r;

	(void)state;
	for (uint32_t i = 0; i < PORT_COUNT; i++)
		queue[i] = (uint8_t)(i / 1000);
	r = queued(queue, 4);
	for (uint32_t i = 2000; i < 3000; i++)
		lose(r, i, 50);
	queued_judge(r, queue, 4);
	assert_false(r->spread[EP_RESULT_UP].suspect.found);
	assert_int_equal(r->verdict, EP_RESULT_FAIL);
	assert_string_equal(
		r->spread[EP_RESULT_UP].unjudged, "each queue has a part of the range to itself");
	ep_result_destroy(r);
}

/* Two queues, of which nobody knows which port is at which: said where there is loss to be judged, and only there. */
static void
what_cannot_be_judged_is_said_where_there_is_loss(void **state)
{
	static const struct {
		const char *ports;
		bool told; /* The receiver tells of each port ... */
		uint8_t queue; /* ... that its probes are here; EP_RESULT_QUEUE_NONE: at several queues. */
		uint64_t lost;
		const char *why;
	} row[] = {
		{PORTS, true, EP_RESULT_QUEUE_NONE, 0, NULL},
		{PORTS, true, 1, 9, "all probes arrived at one of the queues"},
		{PORTS, true, EP_RESULT_QUEUE_NONE, 9,
			"the probes of most ports arrived at several queues"},
		{PORTS, false, 0, 9,
			"the receiver does not tell at which queue each port's probes arrived"},
		{"50000-50030", true, EP_RESULT_QUEUE_NONE, 9,
			"the range has fewer than 16 ports a queue"},
	};
	uint8_t queue[PORT_COUNT];

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		struct ep_result *r = util_result(row[i].ports);

		util_fill(r, EP_RESULT_UP, SENT);
		util_fill(r, EP_RESULT_DOWN, SENT);
		lose(r, 0, row[i].lost);
		memset(queue, row[i].queue, sizeof(queue));
		if (row[i].told)
			assert_int_equal(ep_result_add_port_queues(r, EP_RESULT_UP, queue), 0);
		util_load(r)->queues[EP_RESULT_UP] =
			(struct ep_result_queues){.count = 2, .received = {1, 1}};
		util_judge(r);
		assert_false(r->spread[EP_RESULT_UP].suspect.found);
		if (row[i].why == NULL)
			assert_null(r->spread[EP_RESULT_UP].unjudged);
		else
			assert_string_equal(r->spread[EP_RESULT_UP].unjudged, row[i].why);
		ep_result_destroy(r);
	}
}

/* A tenth of the loss that is judged is allowed: 0.01 % of the probes. */
static void
a_queue_that_loses_little_is_a_warning(void **state)
{
	uint64_t seed = util_seed();
	uint8_t queue[PORT_COUNT];
	struct ep_result *r;
	uint32_t seen = 0;

	(void)state;
	hash_queues(queue, PORT_COUNT, 4, &seed);
	r = queued(queue, 4);
	/* A third of the queue's ports lose one probe each. */
	for (uint32_t i = 0; i < PORT_COUNT; i++)
		if (queue[i] == 1 && seen++ % 3 == 0)
			lose(r, i, 1);
	queued_judge(r, queue, 4);
	assert_true(r->spread[EP_RESULT_UP].suspect.found);
	assert_int_equal(r->verdict, EP_RESULT_PASS);
	assert_true(util_has_warning(r, "up: loss follows our receive queue 1"));
	assert_true(r->trial[0].valid);
	ep_result_destroy(r);
}

/* Ports of unknown queue, as dead ones are, take no part; a later trial knows better. */
static void
queues_of_ports_are_kept_over_trials(void **state)
{
	static const uint8_t first[] = {0, 1, EP_RESULT_QUEUE_NONE, 2};
	static const uint8_t second[] = {1, EP_RESULT_QUEUE_NONE, EP_RESULT_QUEUE_NONE, 0};
	static const uint8_t want[] = {1, 1, EP_RESULT_QUEUE_NONE, 0};
	struct ep_result *r = util_result("50000-50003");

	(void)state;
	assert_int_equal(ep_result_add_port_queues(r, EP_RESULT_DOWN, first), 0);
	assert_int_equal(ep_result_add_port_queues(r, EP_RESULT_DOWN, second), 0);
	assert_memory_equal(r->spread[EP_RESULT_DOWN].port_queue, want, sizeof(want));
	assert_null(r->spread[EP_RESULT_UP].port_queue);
	ep_result_destroy(r);
}

static void
shares_are_summed_over_trials(void **state)
{
	struct ep_result *r = util_result("50000-50099");
	struct ep_result_trial *t;

	(void)state;
	util_fill(r, EP_RESULT_UP, 10);
	util_fill(r, EP_RESULT_DOWN, 10);
	t = util_load(r);
	t->queues[EP_RESULT_UP] = (struct ep_result_queues){.count = 2, .received = {300, 100}};
	t->queues[EP_RESULT_DOWN] = (struct ep_result_queues){.count = 1, .received = {300}};
	util_judge(r);
	assert_int_equal(r->spread[EP_RESULT_UP].sum.count, 2);
	assert_int_equal(r->spread[EP_RESULT_UP].sum.received[0], 300);
	assert_true(ep_result_queues_ratio(&r->spread[EP_RESULT_UP].sum) == 1.5);
	assert_true(isnan(ep_result_queues_ratio(&r->spread[EP_RESULT_DOWN].sum)));
	assert_true(isnan(ep_result_queues_ratio(
		&(struct ep_result_queues){.count = 4}))); /* nothing arrived */
	ep_result_destroy(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lossy_queue_makes_the_run_invalid_and_is_named),
		cmocka_unit_test(a_lossy_queue_of_the_far_side_is_said_to_be_its_own),
		cmocka_unit_test(a_blocked_or_lossy_range_is_the_paths),
		cmocka_unit_test(loss_that_all_queues_share_is_the_paths),
		cmocka_unit_test(queues_with_blocks_of_ports_are_not_judged),
		cmocka_unit_test(what_cannot_be_judged_is_said_where_there_is_loss),
		cmocka_unit_test(a_queue_that_loses_little_is_a_warning),
		cmocka_unit_test(queues_of_ports_are_kept_over_trials),
		cmocka_unit_test(shares_are_summed_over_trials),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
