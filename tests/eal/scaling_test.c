/* Two workers on two net_null devices send twice as much as one: nothing of what they write is shared. */

#include <ep_dev.h>
#include <ep_engine.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define DURATION_NS (150 * EP_NS_PER_MS)
/* Both workers have a CPU each for that long in few of the tries on a machine that others use; their best counts. */
#define TRIES 15
/* Within 10 %. */
#define WANTED_RATIO 1.8
/* A worker that was away for a larger share of the time than that shows nothing about scaling. */
#define AWAY_SHARE 0.02

/** Both ends, each on a device that takes all it is given. */
struct rig {
	struct ep_range *range;
	struct ep_dev *dev[2];
	struct ep_engine *engine;
	struct ep_engine_clock clock;
};

static void
rig_side(struct rig *r, struct ep_engine_cfg *cfg, uint32_t side)
{
	struct ep_dev_cfg dev = {.queue_pairs = 1, .ring_descs = 512, .mtu_frame_bytes = 64};
	struct ep_err err = {0};
	char name[32];

	snprintf(name, sizeof(name), "net_null%u,no-rx=1", side);
	assert_int_equal(ep_dev_spec_parse(name, &dev.spec, &err), 0);
	if (ep_dev_open(&dev, &r->dev[side], &err) < 0)
		fail_msg("%s", err.text);
	cfg->side[side] = (struct ep_engine_side_cfg){
		.role = side == 0 ? EP_ENGINE_INITIATOR : EP_ENGINE_RESPONDER,
		.dev = r->dev[side],
		.first_worker = side,
		.worker_count = 1,
		.ends = {.src = {EP_WIRE_IPV4, {198, 18, 0, (uint8_t)(1 + side)}},
			.dst = {EP_WIRE_IPV4, {198, 18, 0, (uint8_t)(2 - side)}}},
	};
}

static void
rig_open(struct rig *r)
{
	struct ep_sched_cfg space = {.source_count = 1,
		.address_count = 1,
		.source_base = 20000,
		.source_span = 40000,
		.seed = 1};
	struct ep_engine_cfg cfg = {.side_count = 2, .worker_count = 2, .known_addresses = true};
	struct ep_err err = {0};

	memset(r, 0, sizeof(*r));
	r->range = malloc(sizeof(*r->range));
	assert_int_equal(ep_range_parse("50000-60000", "ports", r->range, &err), 0);
	ep_engine_clock_calibrate(&r->clock);
	space.port_count = r->range->port_count;
	assert_int_equal(ep_sched_init(&cfg.space, &space, &err), 0);
	cfg.range = r->range;
	cfg.clock = r->clock;
	for (uint32_t side = 0; side < 2; side++)
		rig_side(r, &cfg, side);
	if (ep_engine_create(&cfg, &r->engine, &err) < 0)
		fail_msg("%s", err.text);
}

/** What a try gave. */
struct outcome {
	double pps[2];
	bool undisturbed;
};

static struct outcome
sent_pps(struct rig *r, bool up, bool down)
{
	const struct ep_engine_trial t = {
		.key = {1},
		.stream_up = up,
		.stream_down = down,
		.duration_ns = DURATION_NS,
		.slack_ns = EP_NS_PER_S,
		.sizes = {1, {64}},
	};
	struct outcome o = {.undisturbed = true};
	struct ep_err err = {0};

	if (ep_engine_prepare(r->engine, &t, &err) < 0)
		fail_msg("%s", err.text);
	for (uint32_t side = 0; side < 2; side++)
		ep_engine_start(r->engine, side);
	while (!ep_engine_tx_done(r->engine, 0) || !ep_engine_tx_done(r->engine, 1))
		usleep(10000);
	ep_engine_stop(r->engine);
	for (uint32_t side = 0; side < 2; side++) {
		struct ep_engine_pacing p;

		ep_engine_pacing(r->engine, side, &p);
		o.pps[side] = p.offered_pps;
		o.undisturbed &= (double)p.loop_gap_ns < AWAY_SHARE * (double)DURATION_NS;
	}
	return o;
}

static void
two_workers_on_two_devices_send_twice_as_much_as_one(void **state)
{
	double one_pps = 0, two_pps = 0;
	uint32_t undisturbed = 0;
	struct rig r;

	(void)state;
	rig_open(&r);
	for (int try = 0; try < TRIES &&
		(one_pps == 0 || undisturbed == 0 || two_pps < WANTED_RATIO * one_pps);
		try++) {
		const struct outcome up = sent_pps(&r, true, false);
		const struct outcome down = sent_pps(&r, false, true);
		const struct outcome both = sent_pps(&r, true, true);
		const double sum_pps = both.pps[0] + both.pps[1];

		/* What both reach alone: half of it is one. */
		if (up.undisturbed && down.undisturbed && (up.pps[0] + down.pps[1]) / 2 > one_pps)
			one_pps = (up.pps[0] + down.pps[1]) / 2;
		undisturbed += both.undisturbed;
		if (both.undisturbed && sum_pps > two_pps)
			two_pps = sum_pps;
	}
	ep_engine_destroy(r.engine);
	for (int i = 0; i < 2; i++)
		ep_dev_close(r.dev[i]);
	free(r.range);
	printf("# one %.2f Mpps, two %.2f Mpps, %.2f times one; %u tries undisturbed\n",
		one_pps / 1e6, two_pps / 1e6, one_pps > 0 ? two_pps / one_pps : 0, undisturbed);
	if ((undisturbed == 0 || one_pps == 0) && getenv("EP_LAB_REQUIRED") == NULL)
		skip(); /* Fewer than two CPUs, or too busy ones. */
	assert_true(one_pps > 0 && two_pps >= WANTED_RATIO * one_pps);
}

static int
start_eal(void **state)
{
	const struct ep_dev_eal_cfg cfg = {.memory_mib = 128, .worker_count = 2};
	struct ep_err err = {0};

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
		cmocka_unit_test(two_workers_on_two_devices_send_twice_as_much_as_one),
	};

	return cmocka_run_group_tests(tests, start_eal, stop_eal);
}
