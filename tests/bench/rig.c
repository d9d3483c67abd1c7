#include "rig.h"

#include <rte_ethdev.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RIG_RING_DESCS 1024
/* Longer than any case runs. */
#define RIG_STREAM_NS (600 * EP_NS_PER_S)
#define RIG_WAIT_NS (2 * EP_NS_PER_S)
#define RIG_POLL_NS EP_NS_PER_MS

/* --- Devices --------------------------------------------------------------------------------------------------------------- */

static int
device_open(struct rig *r, uint32_t end, const char *text, const struct rig_cfg *cfg,
	struct ep_err *err)
{
	struct ep_dev_cfg dev = {
		.queue_pairs = (uint16_t)(cfg->kind == RIG_SINK && end == 0 ? r->worker_count : 1),
		.ring_descs = cfg->ring_descs,
		.mtu_frame_bytes = 1518,
		.pool_mbufs = cfg->pool_mbufs,
	};
	int ret = ep_dev_spec_parse(text, &dev.spec, err);

	return ret < 0 ? ret : ep_dev_open(&dev, &r->dev[end], err);
}

static bool
link_is_up(const struct ep_dev *dev)
{
	struct ep_dev_info info;
	struct rte_eth_link link;

	ep_dev_info(dev, &info);
	return rte_eth_link_get_nowait(info.port_id, &link) == 0 &&
		link.link_status == RTE_ETH_LINK_UP;
}

/* The two ends find each other in the background. */
static int
memif_wait(const struct rig *r, struct ep_err *err)
{
	for (uint64_t ns = 0; ns < RIG_WAIT_NS; ns += RIG_POLL_NS) {
		if (link_is_up(r->dev[0]) && link_is_up(r->dev[1]))
			return 0;
		bench_sleep_ns(RIG_POLL_NS);
	}
	return ep_err_set(err, -ETIMEDOUT, "the two net_memif do not connect");
}

static int
memif_open(struct rig *r, const struct rig_cfg *cfg, struct ep_err *err)
{
	/* An abstract one, that nobody else has. */
	const unsigned long long socket = ep_engine_now_cycles();
	uint32_t rsize = 0;
	int ret = 0;

	while (1u << (rsize + 1) <= cfg->ring_descs)
		rsize++;
	for (uint32_t end = 0; end < 2 && ret == 0; end++) {
		char text[128];

		snprintf(text, sizeof(text),
			"net_memif%u,role=%s,id=1,socket-abstract=yes,socket=/"
			"ep_bench.%llx,rsize=%u",
			end, end == 0 ? "server" : "client", socket, rsize);
		ret = device_open(r, end, text, cfg, err);
	}
	return ret < 0 ? ret : memif_wait(r, err);
}

static int
ring_open(struct rig *r, const struct rig_cfg *cfg, struct ep_err *err)
{
	const struct ep_dev_cfg dev = {
		.spec = {.kind = EP_DEV_MEMORY},
		.queue_pairs = 1,
		.ring_descs = cfg->ring_descs,
		.mtu_frame_bytes = 1518,
		.pool_mbufs = cfg->pool_mbufs,
	};

	return ep_dev_pair_open(&dev, r->dev, NULL, err);
}

static int
devices_open(struct rig *r, const struct rig_cfg *cfg, struct ep_err *err)
{
	int ret;

	switch (cfg->kind) {
	case RIG_RING:
		return ring_open(r, cfg, err);
	case RIG_MEMIF:
		return memif_open(r, cfg, err);
	case RIG_SINK:
	case RIG_SINKS:
		break;
	}
	ret = device_open(r, 0, cfg->dev != NULL ? cfg->dev : "net_null0,no-rx=1", cfg, err);
	if (ret == 0 && (cfg->kind == RIG_SINKS || cfg->spare_sink))
		ret = device_open(r, 1, "net_null1,no-rx=1", cfg, err);
	return ret;
}

/* --- Engine ------------------------------------------------------------------------------------------------------------------ */

static int
engine_create(const struct bench *b, struct rig *r, struct ep_err *err)
{
	struct ep_engine_cfg cfg = {
		.side_count = r->side_count,
		.worker_count = r->worker_count,
		.range = &r->range,
		.space = r->space,
		.clock = b->clock,
		.seed = PROBE_SEED,
	};

	for (uint32_t i = 0; i < 2 && r->dev[i] != NULL; i++)
		ep_dev_info(r->dev[i], &r->info[i]);
	for (uint32_t i = 0; i < r->side_count; i++) {
		cfg.side[i].role = i == RIG_INITIATOR ? EP_ENGINE_INITIATOR : EP_ENGINE_RESPONDER;
		cfg.side[i].dev = r->dev[i];
		cfg.side[i].ends = r->ends[i];
		cfg.side[i].worker_count = r->worker_count;
	}
	if (r->answers) {
		cfg.side[0].role = EP_ENGINE_RESPONDER;
		cfg.side[0].ends = r->ends[RIG_RESPONDER];
	}
	return ep_engine_create(&cfg, &r->engine, err);
}

int
rig_open(const struct bench *b, const struct rig_cfg *cfg, struct rig **out, struct ep_err *err)
{
	struct rig_cfg with = *cfg;
	struct rig *r = calloc(1, sizeof(*r));
	int ret;

	if (r == NULL)
		return ep_err_set(err, -ENOMEM, "no memory");
	if (with.ring_descs == 0)
		with.ring_descs = RIG_RING_DESCS;
	r->worker_count = cfg->worker_count == 0 ? 1 : cfg->worker_count;
	r->side_count = cfg->kind == RIG_SINK ? 1 : 2;
	r->answers = cfg->answer;
	ret = probe_space(cfg->source_count, cfg->address_count, &r->range, &r->space, err);
	if (ret == 0)
		ret = devices_open(r, &with, err);
	if (ret < 0)
		goto fail;
	probe_ends(r->ends);
	ret = engine_create(b, r, err);
	if (ret == 0 && r->answers)
		ret = ep_dev_arm(r->dev[0],
			&(struct ep_dev_filter){.range = &r->range, .any_local = true}, err);
	if (ret < 0)
		goto fail;
	*out = r;
	return 0;

fail:
	rig_close(r);
	return ret;
}

void
rig_close(struct rig *r)
{
	if (r == NULL)
		return;
	ep_engine_destroy(r->engine);
	for (uint32_t i = 0; i < 2; i++)
		ep_dev_close(r->dev[i]);
	free(r);
}

/* --- Trials ------------------------------------------------------------------------------------------------------------------ */

struct ep_engine_trial
rig_trial(void)
{
	struct ep_engine_trial t = {
		.stream_up = true,
		.duration_ns = RIG_STREAM_NS,
		.slack_ns = EP_NS_PER_S,
		.sizes = {1, {PROBE_FRAME_BYTES}},
	};

	memcpy(t.key, probe_key, sizeof(t.key));
	return t;
}

/* The stream is over, and the responder has it all. */
static bool
all_arrived(const struct rig *r)
{
	struct ep_engine_count sent, got;

	if (!ep_engine_tx_done(r->engine, RIG_INITIATOR))
		return false;
	if (r->side_count == 1)
		return true;
	ep_engine_count(r->engine, RIG_INITIATOR, &sent);
	ep_engine_count(r->engine, RIG_RESPONDER, &got);
	return got.received >= sent.accepted;
}

int
rig_end(struct rig *r, struct ep_err *err)
{
	bool done = false;

	ep_engine_silence(r->engine);
	for (uint64_t ns = 0; ns < RIG_WAIT_NS && !done; ns += RIG_POLL_NS) {
		done = all_arrived(r);
		bench_sleep_ns(RIG_POLL_NS);
	}
	ep_engine_stop(r->engine);
	/* What did not arrive is for the account to say. */
	return done || ep_engine_tx_done(r->engine, RIG_INITIATOR)
		? 0
		: ep_err_set(err, -ETIMEDOUT, "the stream does not end");
}

int
rig_begin(struct rig *r, const struct ep_engine_trial *trial, struct ep_err *err)
{
	const int ret = ep_engine_prepare(r->engine, trial, err);

	if (ret == 0)
		ep_engine_start(r->engine, RIG_INITIATOR);
	return ret;
}

int
rig_measure(struct rig *r, const struct ep_engine_trial *trial, const struct meter *meter,
	struct ep_err *err)
{
	int ret = rig_begin(r, trial, err);

	if (ret == 0)
		ret = meter_wait(meter, err);
	return ret < 0 ? ret : rig_end(r, err);
}

/* All ports of the responder, summed. */
static struct ep_acct_port
rig_received(const struct rig *r)
{
	struct ep_acct_port *ports = aligned_alloc(64, r->range.port_count * sizeof(*ports));
	struct ep_acct_port all = {0};

	if (ports == NULL)
		return all;
	memset(ports, 0, r->range.port_count * sizeof(*ports));
	ep_engine_rx_ports(r->engine, RIG_RESPONDER, ports);
	all = ep_acct_ports_sum(ports, r->range.port_count);
	free(ports);
	return all;
}

int
rig_check_received(const struct rig *r, uint64_t sent, struct ep_err *err)
{
	const struct ep_acct_port all = rig_received(r);
	struct ep_engine_count c;

	ep_engine_count(r->engine, RIG_RESPONDER, &c);

	const struct {
		const char *what;
		uint64_t is, want;
	} row[] = {
		{"first copies", c.first, sent},
		{"copies", c.received, sent},
		{"first copies over all ports", ep_acct_first(&all), sent},
		{"duplicates", all.count[EP_ACCT_DUP] + all.count[EP_ACCT_BEHIND], 0},
		{"reordered", all.count[EP_ACCT_REORDERED], 0},
		{"wrong tags", c.bad_tag, 0},
		{"foreign frames", c.foreign, 0},
		{"wrong ports", c.wrong_port, 0},
		{"late", c.late, 0},
	};

	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++)
		if (row[i].is != row[i].want)
			return ep_err_set(err, -EIO, "the account has %llu %s, but %llu are right",
				(unsigned long long)row[i].is, row[i].what,
				(unsigned long long)row[i].want);
	return 0;
}

uint64_t
rig_accepted(void *rig)
{
	const struct rig *r = rig;
	struct ep_engine_count c;

	ep_engine_count(r->engine, RIG_INITIATOR, &c);
	return c.accepted;
}

uint64_t
rig_first(void *rig)
{
	const struct rig *r = rig;
	struct ep_engine_count c;

	ep_engine_count(r->engine, RIG_RESPONDER, &c);
	return c.first;
}
