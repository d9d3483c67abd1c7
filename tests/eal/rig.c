#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PORTS "50000-50999"

static uint64_t seed_ = 1;
static unsigned int devices_;

static void
rig_engine(struct rig *r, enum ep_engine_role role, uint32_t workers)
{
	const struct ep_sched_cfg space = {
		.port_count = r->range->port_count,
		.source_count = 1,
		.address_count = 1,
		.source_base = 20000,
		.source_span = 40000,
		.seed = seed_,
	};
	struct ep_engine_cfg cfg = {
		.side_count = 1,
		.worker_count = workers,
		.range = r->range,
		.clock = r->clock,
		.floating = true,
		.seed = seed_,
		.side[0] =
			{
				.role = role,
				.dev = r->dev,
				.worker_count = workers,
				.ends =
					{
						.src = {EP_WIRE_IPV4, {198, 18, 0, 1}},
						.dst = {EP_WIRE_IPV4, {198, 18, 0, 2}},
					},
			},
	};
	struct ep_err err = {0};

	assert_int_equal(ep_sched_init(&cfg.space, &space, &err), 0);
	if (ep_engine_create(&cfg, &r->engine, &err) < 0)
		fail_msg("%s", err.text);
}

void
rig_open(struct rig *r, enum ep_engine_role role, uint32_t workers)
{
	struct ep_dev_cfg cfg = {
		.queue_pairs = (uint16_t)workers, .ring_descs = 512, .mtu_frame_bytes = 64};
	struct ep_dev_info info;
	struct ep_err err = {0};
	char name[32];

	memset(r, 0, sizeof(*r));
	r->range = malloc(sizeof(*r->range));
	r->sent = calloc(FLOWS, sizeof(*r->sent));
	assert_int_equal(ep_range_parse(PORTS, "ports", r->range, &err), 0);
	/* A name of its own: a test that failed leaves its device behind. */
	snprintf(name, sizeof(name), "net_null%u,no-rx=1", devices_++);
	assert_int_equal(ep_dev_spec_parse(name, &cfg.spec, &err), 0);
	if (ep_dev_open(&cfg, &r->dev, &err) < 0)
		fail_msg("%s", err.text);
	ep_dev_info(r->dev, &info);
	ep_engine_clock_calibrate(&r->clock);
	rig_engine(r, role, workers);
	r->recorder = recorder_open(info.port_id, seed_);
}

void
rig_close(struct rig *r)
{
	ep_engine_destroy(r->engine);
	recorder_close(r->recorder);
	ep_dev_close(r->dev);
	free(r->range);
	free(r->sent);
}

struct ep_engine_trial
plan(double rate_pps, double duration_s)
{
	return (struct ep_engine_trial){
		.key = {1, 2, 3},
		.stream_up = true,
		.rate_pps = rate_pps,
		.duration_ns = (uint64_t)(duration_s * 1e9),
		.slack_ns = EP_NS_PER_S,
		.sizes = {1, {64}},
	};
}

void
run(struct rig *r, const struct ep_engine_trial *t)
{
	struct ep_err err = {0};

	if (ep_engine_prepare(r->engine, t, &err) < 0)
		fail_msg("%s", err.text);
	r->before_cycles = ep_engine_now_cycles();
	ep_engine_start(r->engine, 0);
	while (!ep_engine_tx_done(r->engine, 0)) {
		ep_engine_clock_watch(&r->clock);
		usleep(2000);
	}
	ep_engine_stop(r->engine);
	memset(r->sent, 0, FLOWS * sizeof(*r->sent));
	ep_engine_count(r->engine, 0, &r->count);
	ep_engine_pacing(r->engine, 0, &r->pacing);
	ep_engine_tx_ports(r->engine, 0, r->sent);
}

uint64_t
taken(const struct rig *r)
{
	return r->recorder->queue[0].taken_pkts + r->recorder->queue[1].taken_pkts;
}

static uint64_t
sent_sum(const struct rig *r)
{
	uint64_t sum = 0;

	for (uint32_t p = 0; p < FLOWS; p++)
		sum += r->sent[p];
	return sum;
}

void
assert_account_closes(const struct rig *r, uint64_t slots)
{
	assert_int_equal(r->count.intended, slots);
	assert_int_equal(r->count.accepted + r->count.not_sent, slots);
	assert_int_equal(r->count.accepted, taken(r));
	assert_int_equal(sent_sum(r), taken(r));
}

uint64_t
to_cycles(const struct rig *r, double ns)
{
	return (uint64_t)(ns * r->clock.hz / 1e9);
}

int
start_eal(void **state)
{
	const struct ep_dev_eal_cfg cfg = {.memory_mib = 128, .worker_count = 2};
	const char *seed = getenv("EP_TEST_SEED");
	struct ep_err err = {0};

	(void)state;
	seed_ = seed != NULL ? strtoull(seed, NULL, 10) : 1;
	fprintf(stderr, "# EP_TEST_SEED=%llu\n", (unsigned long long)seed_);
	if (ep_dev_eal_init(&cfg, &err) < 0) {
		fprintf(stderr, "# %s\n", err.text);
		return -1;
	}
	return 0;
}

int
stop_eal(void **state)
{
	(void)state;
	ep_dev_eal_fini();
	return 0;
}
