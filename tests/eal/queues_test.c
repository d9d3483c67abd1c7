/*
 * Several queues between two net_memif in one process: every queue is served, every probe is accounted once, and what came out
 * of each queue is known. A queue of one end is joined to the same queue of the other.
 */

#include <ep_dev.h>
#include <ep_engine.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PORTS 1000

static struct ep_engine_clock clock_;
static char folder_[] = "/tmp/ep-queues-XXXXXX";
static unsigned int devices_;

struct rig {
	struct ep_range range;
	struct ep_dev *dev[2];
	struct ep_engine *engine;
	struct ep_acct_port rx[2][PORTS];
	uint64_t tx[2][PORTS];
	uint64_t first_up; /* Of the probes up, those that arrived. */
};

static void
dev_open(struct rig *r, int i, uint16_t queues)
{
	struct ep_dev_cfg cfg = {.queue_pairs = queues, .ring_descs = 1024, .mtu_frame_bytes = 64};
	struct ep_err err = {0};
	char spec[200];

	/* Names of their own: a test that failed leaves its devices behind. */
	snprintf(spec, sizeof(spec), "net_memif%u,role=%s,socket=%s/s%u,socket-abstract=no",
		devices_, i == 0 ? "server" : "client", folder_, devices_ / 2);
	devices_++;
	assert_int_equal(ep_dev_spec_parse(spec, &cfg.spec, &err), 0);
	if (ep_dev_open(&cfg, &r->dev[i], &err) < 0)
		fail_msg("%s", err.text);
}

static void
rig_open(struct rig *r, uint16_t queues, uint32_t workers, uint32_t lanes, uint32_t far_lanes)
{
	const struct ep_sched_cfg space = {
		.port_count = PORTS,
		.source_count = 1,
		.address_count = 1,
		.source_base = 20000,
		.source_span = 40000,
		.seed = 7,
	};
	struct ep_engine_cfg cfg = {
		.side_count = 2,
		.worker_count = workers,
		.clock = clock_,
		.floating = true,
		.range = &r->range,
	};
	struct ep_err err = {0};

	memset(r, 0, sizeof(*r));
	assert_int_equal(ep_range_parse("50000-50999", "ports", &r->range, &err), 0);
	for (int i = 0; i < 2; i++)
		dev_open(r, i, queues);
	assert_int_equal(ep_sched_init(&cfg.space, &space, &err), 0);
	for (uint32_t i = 0; i < 2; i++) {
		struct ep_engine_side_cfg *s = &cfg.side[i];
		struct ep_dev_info info[2];

		ep_dev_info(r->dev[i], &info[0]);
		ep_dev_info(r->dev[1 - i], &info[1]);
		assert_int_equal(info[0].queue_pairs, queues);
		s->role = i == 0 ? EP_ENGINE_INITIATOR : EP_ENGINE_RESPONDER;
		s->dev = r->dev[i];
		s->first_worker = workers > 1 ? i * (workers / 2) : 0;
		s->worker_count = workers > 1 ? workers / 2 : 1;
		s->lane_count = i == 0 ? lanes : far_lanes;
		memcpy(s->ends.src_mac, info[0].mac, 6);
		memcpy(s->ends.dst_mac, info[1].mac, 6);
		s->ends.src = (struct ep_wire_ip){EP_WIRE_IPV4, {198, 18, 0, (uint8_t)(i + 1)}};
		s->ends.dst = (struct ep_wire_ip){EP_WIRE_IPV4, {198, 18, 0, (uint8_t)(2 - i)}};
	}
	if (ep_engine_create(&cfg, &r->engine, &err) < 0)
		fail_msg("%s", err.text);
}

static void
rig_close(struct rig *r)
{
	ep_engine_destroy(r->engine);
	ep_dev_close(r->dev[1]);
	ep_dev_close(r->dev[0]);
}

static void
trial(struct rig *r, bool echo)
{
	const struct ep_engine_trial t = {
		.key = {1, 2, 3},
		.echo = echo,
		.stream_up = true,
		.stream_down = !echo,
		.rounds = echo ? 3 : 0,
		.rate_pps = 30e3,
		.duration_ns = 500 * EP_NS_PER_MS,
		.slack_ns = EP_NS_PER_S,
		.sizes = {1, {64}},
	};
	struct ep_err err = {0};

	if (ep_engine_prepare(r->engine, &t, &err) < 0)
		fail_msg("%s", err.text);
	for (uint32_t i = 0; i < 2; i++)
		ep_engine_start(r->engine, i);
	for (int ms = 0;
		ms < 20000 && !(ep_engine_tx_done(r->engine, 0) && ep_engine_tx_done(r->engine, 1));
		ms += 5)
		usleep(5000);
	ep_engine_drain(r->engine);
	/* A worker that waits for a CPU of a busy machine has not looked yet. */
	usleep(500000);
	ep_engine_stop(r->engine);
	memset(r->rx, 0, sizeof(r->rx));
	memset(r->tx, 0, sizeof(r->tx));
	for (uint32_t i = 0; i < 2; i++) {
		ep_engine_rx_ports(r->engine, i, r->rx[i]);
		ep_engine_tx_ports(r->engine, i, r->tx[i]);
	}
}

/* Where the machine was too busy, some slots were left out, and are told. */
static void
assert_every_probe_is_there_once(struct rig *r, bool echo, uint64_t each_way)
{
	for (uint32_t from = 0; from < 2; from++) {
		struct ep_engine_count count;
		uint64_t sum = 0;

		for (uint32_t p = 0; p < PORTS; p++) {
			const struct ep_acct_port *rx = &r->rx[1 - from][p];

			assert_int_equal(rx->count[EP_ACCT_NEW], r->tx[from][p]);
			assert_int_equal(ep_acct_received(rx), r->tx[from][p]);
			sum += r->tx[from][p];
		}
		if (from == 0)
			r->first_up = sum;
		ep_engine_count(r->engine, from, &count);
		/* One answer is due for each probe that arrived; a stream has its slots. */
		if (from == 1 && echo)
			each_way = r->first_up;
		assert_int_equal(count.intended, each_way);
		assert_int_equal(sum + count.not_sent, each_way);
		assert_true(sum > 0);
	}
}

/* What came out of the queues is what was counted; of what was sent as a whole, in equal shares where each queue has a lane that sends. */
static void
assert_queues_add_up(const struct rig *r, uint32_t queues, uint32_t lanes)
{
	for (uint32_t side = 0; side < 2; side++) {
		uint64_t pkts[EP_ENGINE_QUEUES_MAX], sum = 0;
		struct ep_engine_count count;

		ep_engine_count(r->engine, side, &count);
		assert_int_equal(ep_engine_queues(r->engine, side, pkts), queues);
		for (uint32_t q = 0; q < EP_ENGINE_QUEUES_MAX; q++)
			sum += pkts[q];
		assert_int_equal(sum, count.received + count.foreign);
		for (uint32_t q = 0; q < lanes; q++)
			assert_true(pkts[q] > 0);
		ep_engine_count(r->engine, 1 - side, &count);
		for (uint32_t q = 0; q < lanes && count.not_sent == 0; q++)
			assert_in_range(pkts[q], sum / lanes - 1, sum / lanes + 1);
	}
}

/* The queue of each port at the responder is the lane that sends to it. */
static void
assert_ports_have_queues(const struct rig *r, uint32_t queues, uint8_t queue[PORTS])
{
	uint32_t count[EP_ENGINE_QUEUES_MAX] = {0}, changes = 0;

	ep_engine_port_queues(r->engine, 1, queue);
	for (uint32_t p = 0; p < PORTS; p++) {
		assert_true(queue[p] < queues);
		count[queue[p]]++;
		changes += p > 0 && queue[p] != queue[p - 1];
	}
	for (uint32_t q = 0; q < queues; q++)
		assert_int_equal(count[q], PORTS / queues);
	/* No queue has a block of the range. */
	assert_true(changes > PORTS / 4);
}

static void
lanes_of_their_own(uint16_t queues, uint32_t workers)
{
	struct rig *r = calloc(1, sizeof(*r));
	uint8_t up[PORTS], down[PORTS];

	rig_open(r, queues, workers, queues, queues);
	trial(r, true);
	assert_every_probe_is_there_once(r, true, 3 * PORTS);
	assert_queues_add_up(r, queues, queues);
	assert_ports_have_queues(r, queues, up);
	/* An answer leaves by the lane that its probe came to. */
	ep_engine_port_queues(r->engine, 0, down);
	assert_memory_equal(up, down, PORTS);
	trial(r, false);
	assert_every_probe_is_there_once(r, false, 15000);
	assert_queues_add_up(r, queues, queues);
	rig_close(r);
	free(r);
}

static void
two_queues_share_the_probes_and_lose_none(void **state)
{
	(void)state;
	lanes_of_their_own(2, 2);
}

static void
four_queues_share_the_probes_and_lose_none(void **state)
{
	(void)state;
	lanes_of_their_own(4, 2);
}

static void
four_queues_of_both_ends_are_one_workers_as_well(void **state)
{
	(void)state;
	lanes_of_their_own(4, 1);
}

static void
four_queues_with_a_worker_each_two(void **state)
{
	(void)state;
	lanes_of_their_own(4, 4);
}

/* One lane for two queues looks at both and sends by one, so that all arrive at the far end's first. */
static void
a_lane_with_two_queues_serves_both(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	uint8_t queue[PORTS];

	(void)state;
	rig_open(r, 2, 2, 0, 0);
	trial(r, true);
	assert_every_probe_is_there_once(r, true, 3 * PORTS);
	assert_queues_add_up(r, 2, 1);
	ep_engine_port_queues(r->engine, 0, queue);
	for (uint32_t p = 0; p < PORTS; p++)
		assert_int_equal(queue[p], 0);
	rig_close(r);
	free(r);
}

/* One worker with one lane, as on a kernel interface with more queues than cores, knows the queue of each port, and counts across its queues as in one. */
static void
a_lane_with_several_queues_tells_them_apart(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	uint8_t queue[PORTS];

	(void)state;
	rig_open(r, 4, 2, 4, 1);
	for (int echo = 1; echo >= 0; echo--) {
		trial(r, echo);
		assert_every_probe_is_there_once(r, echo, echo ? 3 * PORTS : 15000);
		assert_ports_have_queues(r, 4, queue);
	}
	rig_close(r);
	free(r);
}

static int
start_eal(void **state)
{
	const struct ep_dev_eal_cfg cfg = {.memory_mib = 256, .worker_count = 4};
	struct ep_err err;

	(void)state;
	if (mkdtemp(folder_) == NULL)
		return -1;
	if (ep_dev_eal_init(&cfg, &err) < 0) {
		fprintf(stderr, "# %s\n", err.text);
		return -1;
	}
	ep_engine_clock_calibrate(&clock_);
	return 0;
}

static int
stop_eal(void **state)
{
	char path[64];

	(void)state;
	ep_dev_eal_fini();
	for (unsigned int i = 0; i <= devices_ / 2; i++) {
		snprintf(path, sizeof(path), "%s/s%u", folder_, i);
		unlink(path);
	}
	rmdir(folder_);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_queues_share_the_probes_and_lose_none),
		cmocka_unit_test(four_queues_share_the_probes_and_lose_none),
		cmocka_unit_test(four_queues_of_both_ends_are_one_workers_as_well),
		cmocka_unit_test(four_queues_with_a_worker_each_two),
		cmocka_unit_test(a_lane_with_two_queues_serves_both),
		cmocka_unit_test(a_lane_with_several_queues_tells_them_apart),
	};

	return cmocka_run_group_tests(tests, start_eal, stop_eal);
}
