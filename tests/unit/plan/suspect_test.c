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

#define PORTS 10001
#define SENT 200
#define ROUNDS 40

/* A run over the default range: RSS with our sources decides the queue of each port, a model the loss. */
struct fixture {
	struct ep_range range;
	struct ep_plan_rss up, down;
	struct ep_plan_sources_cfg cfg;
	struct ep_plan_sources sources;
	uint64_t sent[PORTS], lost[PORTS];
	uint16_t queue[PORTS];
	uint64_t rng;
};

static uint64_t
seed_get(void)
{
	const char *text = getenv("EP_TEST_SEED");

	return text != NULL ? strtoull(text, NULL, 0) : 1;
}

static uint32_t
rng_below(struct fixture *f, uint32_t n)
{
	f->rng = f->rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)((f->rng >> 33) % n);
}

static void
queues_of(struct fixture *f, uint16_t count)
{
	assert_int_equal(ep_plan_rss_init(&f->up, 40, 128, 0, count, NULL), 0);
	assert_int_equal(
		ep_plan_rss_mirror(&f->up, &f->cfg.initiator, &f->cfg.responder, &f->down, NULL),
		0);
	f->cfg.up = &f->up;
	f->cfg.down = &f->down;
	assert_int_equal(ep_plan_sources_make(&f->cfg, &f->sources, NULL), 0);
	assert_int_equal(ep_plan_sources_queues(&f->cfg, &f->sources, &f->up, f->queue), 0);
}

static int
fixture_create(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return -1;
	f->rng = seed_get();
	assert_int_equal(ep_range_parse("50000-60000", "--ports", &f->range, NULL), 0);
	f->cfg = (struct ep_plan_sources_cfg){.range = &f->range,
		.source_count = 1,
		.address_count = 1,
		.source_first = 20000,
		.source_last = 64999};
	assert_int_equal(ep_wire_ip_parse("198.18.0.1", &f->cfg.initiator, NULL), 0);
	assert_int_equal(ep_wire_ip_parse("198.18.1.1", &f->cfg.responder, NULL), 0);
	*state = f;
	return 0;
}

static int
fixture_destroy(void **state)
{
	free(*state);
	return 0;
}

/* Each port loses each probe with its own chance [1/1000]. */
static void
lose(struct fixture *f, uint32_t port_index, uint32_t per_mille)
{
	for (uint32_t n = SENT; n > 0; n--)
		f->lost[port_index] += rng_below(f, 1000) < per_mille;
}

static struct ep_plan_suspect
verdict(const struct fixture *f)
{
	const struct ep_plan_suspect_cfg cfg = {
		.port_count = PORTS, .sent = f->sent, .lost = f->lost, .queue = f->queue};
	struct ep_plan_suspect s;

	assert_int_equal(ep_plan_suspect_find(&cfg, &s), 0);
	assert_int_equal(s.reason[0] != '\0', s.found);
	return s;
}

static void
clear(struct fixture *f)
{
	for (uint32_t i = 0; i < PORTS; i++) {
		f->sent[i] = SENT;
		f->lost[i] = 0;
	}
}

static void
suspect_is_nobody_where_the_path_loses(void **state)
{
	static const uint16_t queues[] = {2, 3, 4, 8, 16};
	struct fixture *f = *state;
	uint32_t alarms = 0;

	for (uint32_t round = 0; round < ROUNDS; round++) {
		const uint32_t dead = rng_below(f, PORTS - 600);
		const uint32_t dead_end = dead + 1 + rng_below(f, 500);

		queues_of(f, queues[round % EP_ARRAY_LEN(queues)]);
		clear(f);
		alarms += verdict(f).found; /* No loss at all. */
		for (uint32_t i = dead; i < dead_end; i++)
			f->lost[i] = SENT; /* A blocked range. */
		alarms += verdict(f).found;
		if (round % 4 != 0)
			continue;
		for (uint32_t i = 0; i < PORTS; i++)
			if (f->lost[i] == 0)
				lose(f, i, 10); /* And a lossy link. */
		alarms += verdict(f).found;
	}
	/* 5 % of the 90 verdicts may be wrong; 3 of these would be a surprise all the same. */
	assert_true(alarms <= 3);
}

static void
suspect_is_the_queue_that_loses(void **state)
{
	static const uint16_t queues[] = {2, 3, 4, 8, 16};
	struct fixture *f = *state;

	for (uint32_t round = 0; round < 10; round++) {
		const uint16_t count = queues[round % EP_ARRAY_LEN(queues)];
		const uint16_t guilty = (uint16_t)rng_below(f, count);
		struct ep_plan_suspect s;

		queues_of(f, count);
		clear(f);
		for (uint32_t i = 100; i < 111; i++)
			f->lost[i] = SENT; /* A blocked range beside it does not hide it. */
		for (uint32_t i = 0; i < PORTS; i++)
			if (f->lost[i] == 0)
				lose(f, i, f->queue[i] == guilty ? 10 : round < 5 ? 0 : 2);
		s = verdict(f);
		assert_true(s.found);
		assert_int_equal(s.queue, guilty);
		assert_true(s.loss_ratio > 1.5 * s.rest_loss_ratio);
		assert_non_null(strstr(s.reason, "loss follows our receive queue"));
	}
}

/* Half of the ports, all of them with the same loss: the median is that loss. */
static void
suspect_is_a_queue_that_loses_the_same_on_each_port(void **state)
{
	static const uint64_t lost_each[] = {1, 20, 500, 1000};
	uint64_t sent[1000], lost[1000];
	uint16_t queue[1000];
	const struct ep_plan_suspect_cfg cfg = {
		.port_count = 1000, .sent = sent, .lost = lost, .queue = queue};
	struct ep_plan_suspect s;

	(void)state;
	for (size_t k = 0; k < EP_ARRAY_LEN(lost_each); k++) {
		/* 40 to 60 % of the ports are the lossy queue's. */
		for (uint32_t share = 4; share <= 6; share++) {
			for (uint32_t i = 0; i < 1000; i++) {
				queue[i] = i % 10 < share;
				sent[i] = 1000;
				lost[i] = queue[i] == 1 ? lost_each[k] : 0;
			}
			assert_int_equal(ep_plan_suspect_find(&cfg, &s), 0);
			assert_true(s.found);
			assert_int_equal(s.queue, 1);
		}
	}
}

static void
suspect_needs_more_than_one_queue_and_valid_numbers(void **state)
{
	struct fixture *f = *state;
	const struct ep_plan_suspect_cfg cfg = {
		.port_count = PORTS, .sent = f->sent, .lost = f->lost, .queue = f->queue};
	struct ep_plan_suspect s;

	queues_of(f, 1);
	clear(f);
	for (uint32_t i = 0; i < PORTS; i++)
		lose(f, i, 500);
	assert_false(verdict(f).found);
	f->queue[7] = EP_PLAN_QUEUES_MAX;
	assert_int_equal(ep_plan_suspect_find(&cfg, &s), -EINVAL);
	memset(f->sent, 0, sizeof(f->sent));
	memset(f->lost, 0, sizeof(f->lost));
	f->queue[7] = 0;
	assert_false(verdict(f).found);
}

/* The queues by port are those of the shares, and with a mirror the same in both directions. */
static void
queues_by_port_add_up_to_the_shares(void **state)
{
	struct fixture *f = *state;
	uint64_t seen[EP_PLAN_QUEUES_MAX] = {0};
	static uint16_t down[PORTS];

	queues_of(f, 8);
	for (uint32_t i = 0; i < PORTS; i++)
		seen[f->queue[i]]++;
	assert_memory_equal(seen, f->sources.up.flow_count, sizeof(seen));
	assert_int_equal(ep_plan_sources_queues(&f->cfg, &f->sources, &f->down, down), 0);
	assert_memory_equal(down, f->queue, sizeof(down));
	assert_int_equal(ep_plan_sources_queues(&f->cfg, &f->sources, NULL, down), -EINVAL);
	f->cfg.source_count = 2;
	assert_int_equal(ep_plan_sources_queues(&f->cfg, &f->sources, &f->up, down), -EINVAL);
	f->cfg.source_count = 1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(suspect_is_nobody_where_the_path_loses),
		cmocka_unit_test(suspect_is_the_queue_that_loses),
		cmocka_unit_test(suspect_is_a_queue_that_loses_the_same_on_each_port),
		cmocka_unit_test(suspect_needs_more_than_one_queue_and_valid_numbers),
		cmocka_unit_test(queues_by_port_add_up_to_the_shares),
	};

	print_message("# EP_TEST_SEED=%ju\n", (uintmax_t)seed_get());
	return cmocka_run_group_tests(tests, fixture_create, fixture_destroy);
}
