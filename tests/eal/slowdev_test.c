/* Two hosts of lib/slow at the ends of the in-memory pair, alone and beside workers that send probes. */

#include <ep_engine.h>
#include <ep_slowdev.h>

#include <rte_ethdev.h>
#include <rte_mempool.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define MS EP_NS_PER_MS

static struct ep_engine_clock clock_;

/** The pair, a host on each end, an engine on both. */
struct rig {
	struct ep_range *range;
	struct ep_dev *dev[2];
	struct ep_slowdev *slow[2];
	struct ep_slow_cfg cfg[2];
	struct ep_engine *engine;
	unsigned int free_mbufs[2]; /* before anything was sent */
};

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * EP_NS_PER_S + (uint64_t)t.tv_nsec;
}

static void
host_open(struct rig *r, int i)
{
	struct ep_slow_cfg *c = &r->cfg[i];
	struct ep_err err;

	*c = (struct ep_slow_cfg){
		.addr_count = 1,
		.addr = {{.ip = {EP_WIRE_IPV4, {198, 18, 0, (uint8_t)(i + 1)}}, .prefix_bits = 24}},
		.timing = {.probe_gap_ns = 5 * MS,
			.announce_gap_ns = 5 * MS,
			.reachable_ns = 20 * MS,
			.retrans_ns = 20 * MS,
			/* Whoever shares this CPU may keep a worker from it for long. */
			.unicast_count = 20,
			.multicast_count = 20},
	};
	if (ep_slowdev_create(r->dev[i], c, now_ns(), &r->slow[i], &err) < 0)
		fail_msg("%s", err.text);
}

static void
rig_open(struct rig *r)
{
	const struct ep_dev_cfg cfg = {.spec = {.kind = EP_DEV_MEMORY},
		.queue_pairs = 1,
		.ring_descs = 1024,
		.mtu_frame_bytes = 1518};
	struct ep_err err;

	memset(r, 0, sizeof(*r));
	r->range = malloc(sizeof(*r->range));
	assert_non_null(r->range);
	assert_int_equal(ep_range_parse("50000-50099", "ports", r->range, &err), 0);
	if (ep_dev_pair_open(&cfg, r->dev, NULL, &err) < 0)
		fail_msg("%s", err.text);
	for (int i = 0; i < 2; i++) {
		r->free_mbufs[i] = rte_mempool_avail_count(ep_dev_pool(r->dev[i], 0));
		host_open(r, i);
	}
}

/* Every frame that was handed around has gone back to its pool. */
static void
rig_close(struct rig *r)
{
	ep_engine_destroy(r->engine);
	for (int k = 0; k < 3; k++) /* what lies in the pair's rings comes out */
		for (int i = 0; i < 2; i++)
			ep_slowdev_run_alone(r->slow[i], now_ns());
	for (int i = 0; i < 2; i++)
		ep_slowdev_destroy(r->slow[i]);
	for (int i = 0; i < 2; i++) {
		struct rte_mbuf *m[64];
		struct ep_dev_info info;

		ep_dev_info(r->dev[i], &info);
		for (uint16_t n = 1; n > 0;) {
			n = rte_eth_rx_burst(info.port_id, 0, m, 64);
			rte_pktmbuf_free_bulk(m, n);
		}
	}
	for (int i = 0; i < 2; i++)
		assert_int_equal(
			rte_mempool_avail_count(ep_dev_pool(r->dev[i], 0)), r->free_mbufs[i]);
	for (int i = 0; i < 2; i++)
		ep_dev_close(r->dev[i]);
	free(r->range);
}

/* Whether end i knows the other end's MAC. */
static bool
knows(struct rig *r, int i)
{
	uint8_t mac[6];

	return ep_slow_stack_resolve(ep_slowdev_stack(r->slow[i]), &r->cfg[1 - i].addr[0].ip,
		       now_ns(), mac) == 0 &&
		memcmp(mac, r->cfg[1 - i].mac, 6) == 0;
}

static void
find_each_other(struct rig *r)
{
	for (int i = 0; i < 2000 && !(knows(r, 0) && knows(r, 1)); i++) {
		ep_slowdev_run_alone(r->slow[0], now_ns());
		ep_slowdev_run_alone(r->slow[1], now_ns());
		usleep(500);
	}
	assert_true(knows(r, 0) && knows(r, 1));
}

static void
two_hosts_find_each_other_without_workers(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r);
	find_each_other(&r);
	rig_close(&r);
}

static void
engine_open(struct rig *r, bool with_slow_path)
{
	const struct ep_sched_cfg space = {.port_count = 100,
		.source_count = 1,
		.address_count = 1,
		.source_base = 20000,
		.source_span = 1000};
	struct ep_engine_cfg cfg = {.side_count = 2,
		.worker_count = 2,
		.range = r->range,
		.clock = clock_,
		.floating = true,
		.known_addresses = true};
	struct ep_err err;

	assert_int_equal(ep_sched_init(&cfg.space, &space, &err), 0);
	for (uint32_t i = 0; i < 2; i++) {
		struct ep_engine_side_cfg *s = &cfg.side[i];

		s->role = i == 0 ? EP_ENGINE_INITIATOR : EP_ENGINE_RESPONDER;
		s->dev = r->dev[i];
		s->first_worker = i;
		s->worker_count = 1;
		s->ends.src = r->cfg[i].addr[0].ip;
		s->ends.dst = r->cfg[1 - i].addr[0].ip;
		memcpy(s->ends.src_mac, r->cfg[i].mac, 6);
		memcpy(s->ends.dst_mac, r->cfg[1 - i].mac, 6);
		if (with_slow_path)
			ep_slowdev_rings(r->slow[i], &s->slow_rx, &s->slow_tx);
	}
	if (ep_engine_create(&cfg, &r->engine, &err) < 0)
		fail_msg("%s", err.text);
}

/* A trial, with the main thread's looks in between. Returns how often an end did not know the other one. */
static uint32_t
trial(struct rig *r, bool echo)
{
	const struct ep_engine_trial t = {.key = {1},
		.echo = echo,
		.stream_up = true,
		.stream_down = !echo,
		.rate_pps = 20000,
		.duration_ns = 300 * MS,
		.slack_ns = 2 * EP_NS_PER_S,
		.sizes = {1, {64}}};
	const uint64_t end_ns =
		now_ns() + 1200 * MS; /* Behind the stream, also where the machine is busy. */
	uint32_t unknown = 0;
	struct ep_err err;

	if (ep_engine_prepare(r->engine, &t, &err) < 0)
		fail_msg("%s", err.text);
	ep_engine_start(r->engine, 0);
	ep_engine_start(r->engine, 1);
	while (now_ns() < end_ns || !ep_engine_tx_done(r->engine, 0)) {
		for (int i = 0; i < 2; i++) {
			ep_slowdev_run(r->slow[i], now_ns());
			unknown += !knows(r, i);
		}
		usleep(1000);
	}
	ep_engine_stop(r->engine);
	return unknown;
}

static void
neighbours_are_looked_after_while_probes_flow_and_no_probe_is_lost(void **state)
{
	(void)state;
	for (int echo = 0; echo < 2; echo++) {
		struct ep_engine_count c[2];
		struct rig r;

		rig_open(&r);
		find_each_other(&r);
		engine_open(&r, true);
		assert_int_equal(trial(&r, echo), 0);
		for (uint32_t i = 0; i < 2; i++) {
			ep_engine_count(r.engine, i, &c[i]);
			/* Confirmed again and again, at most every 20 ms: questions and answers through both workers. */
			assert_in_range(c[i].slow_sent, 4, 200);
		}
		for (uint32_t i = 0; i < 2; i++) {
			assert_true(c[i].foreign >= 4);
			assert_int_equal(c[i].received, c[1 - i].accepted);
			assert_int_equal(c[i].accepted, echo && i == 1 ? c[1].first : 6000);
		}
		rig_close(&r);
	}
}

/* Frames that nobody takes end in the count, as ever, and two hosts lose each other. */
static void
without_the_rings_nothing_is_handed_over(void **state)
{
	struct ep_engine_count c;
	struct rig r;

	(void)state;
	rig_open(&r);
	find_each_other(&r);
	engine_open(&r, false);
	trial(&r, false);
	ep_engine_count(r.engine, 1, &c);
	assert_int_equal(c.slow_sent, 0);
	assert_int_equal(c.received, 6000);
	rig_close(&r);
}

static int
start_eal(void **state)
{
	const struct ep_dev_eal_cfg cfg = {.memory_mib = 128, .worker_count = 2};
	struct ep_err err;

	(void)state;
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
	(void)state;
	ep_dev_eal_fini();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_hosts_find_each_other_without_workers),
		cmocka_unit_test(
			neighbours_are_looked_after_while_probes_flow_and_no_probe_is_lost),
		cmocka_unit_test(without_the_rings_nothing_is_handed_over),
	};

	return cmocka_run_group_tests(tests, start_eal, stop_eal);
}
