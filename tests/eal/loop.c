#include "loop.h"

#include <rte_ring.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define WORKERS 4

static struct ep_engine_clock clock_;
uint64_t loop_seed = 1;

static void
ip_set(struct ep_wire_ip *ip, bool ipv6, uint8_t last)
{
	memset(ip, 0, sizeof(*ip));
	ip->family = ipv6 ? EP_WIRE_IPV6 : EP_WIRE_IPV4;
	memcpy(ip->bytes_be, ipv6 ? "\x20\x01\x00\x02" : "\xc6\x12\x00\x00", 4);
	ip->bytes_be[ipv6 ? 15 : 3] = last;
}

static void
loop_ends(struct loop *r, const struct loop_cfg *s)
{
	for (int i = 0; i < 2; i++) {
		struct ep_dev_info info;

		ep_dev_info(r->dev[i], &info);
		memcpy(r->ends[i].src_mac, info.mac, 6);
		memcpy(r->ends[1 - i].dst_mac, info.mac, 6);
		ip_set(&r->ends[i].src, s->ipv6, (uint8_t)(i + 1));
		ip_set(&r->ends[i].dst, s->ipv6, (uint8_t)(2 - i));
	}
}

void
loop_open(struct loop *r, const struct loop_cfg *s)
{
	const struct ep_dev_cfg dev_cfg = {
		.spec = {.kind = EP_DEV_MEMORY},
		.queue_pairs = s->queue_pairs == 0 ? 1 : s->queue_pairs,
		.ring_descs = s->ring == 0 ? 1024 : s->ring,
		.mtu_frame_bytes = 1518,
	};
	const struct ep_sched_cfg space = {.source_count = s->sources == 0 ? 1 : s->sources,
		.address_count = 1,
		.source_base = 20000,
		.source_span = 40000,
		.seed = loop_seed};
	const bool wired = s->manual || s->impair != NULL;
	struct ep_sched_cfg sched_cfg = space;
	struct ep_engine_cfg cfg = {
		.side_count = 2, .clock = clock_, .floating = true, .seed = loop_seed};
	struct ep_err err = {0};

	memset(r, 0, sizeof(*r));
	r->range = malloc(sizeof(*r->range));
	assert_int_equal(ep_range_parse(s->ports, "ports", r->range, &err), 0);
	if (ep_dev_pair_open(&dev_cfg, r->dev, wired ? &r->wire : NULL, &err) < 0)
		fail_msg("%s", err.text);
	loop_ends(r, s);
	sched_cfg.port_count = r->range->port_count;
	assert_int_equal(ep_sched_init(&r->space, &sched_cfg, &err), 0);
	cfg.worker_count = s->workers == 0 ? 2 : s->workers;
	cfg.range = r->range;
	cfg.space = r->space;
	cfg.known_addresses = !s->learn;
	cfg.verify_filler = s->verify_filler;
	if (s->impair != NULL) {
		assert_int_equal(ep_path_parse(s->impair, "impair", &r->path, &err), 0);
		cfg.path = &r->path;
		cfg.wire = r->wire;
	}
	for (uint32_t i = 0; i < 2; i++) {
		const uint32_t half = cfg.worker_count / 2;

		cfg.side[i].role = i == INITIATOR ? EP_ENGINE_INITIATOR : EP_ENGINE_RESPONDER;
		cfg.side[i].dev = r->dev[i];
		cfg.side[i].ends = r->ends[i];
		cfg.side[i].vlan_id = s->vlan_id;
		cfg.side[i].first_worker = i * half;
		cfg.side[i].worker_count = half == 0 ? 1 : half;
		r->rx[i] = calloc(r->range->port_count, sizeof(struct ep_acct_port));
		r->tx[i] = calloc(r->range->port_count, sizeof(uint64_t));
	}
	if (ep_engine_create(&cfg, &r->engine, &err) < 0)
		fail_msg("%s", err.text);
}

void
loop_close(struct loop *r)
{
	ep_engine_destroy(r->engine);
	for (int i = 0; i < 2; i++) {
		ep_dev_close(r->dev[i]);
		free(r->rx[i]);
		free(r->tx[i]);
	}
	ep_path_cfg_fini(&r->path);
	free(r->range);
}

/* --- Driving trials -------------------------------------------------------------------------------------------------------- */

void
loop_pump(struct loop *r, wire_fn fn, void *ctx)
{
	for (uint32_t from = 0; from < 2; from++) {
		void *m;

		while (rte_ring_dequeue(r->wire.from[from], &m) == 0)
			if (fn == NULL || fn(ctx, from, m))
				while (rte_ring_enqueue(r->wire.to[1 - from], m) != 0)
					usleep(10);
	}
}

void
loop_settle(struct loop *r, unsigned int ms, wire_fn fn, void *ctx)
{
	for (unsigned int i = 0; i < ms; i++) {
		if (r->wire.from[0] != NULL && fn != (wire_fn)-1)
			loop_pump(r, fn, ctx);
		usleep(1000);
	}
}

bool
loop_sent_all(const struct loop *r)
{
	return ep_engine_tx_done(r->engine, INITIATOR) && ep_engine_tx_done(r->engine, RESPONDER);
}

void
loop_prepare(struct loop *r, const struct ep_engine_trial *t)
{
	struct ep_err err = {0};

	if (ep_engine_prepare(r->engine, t, &err) < 0)
		fail_msg("%s", err.text);
}

void
loop_collect(struct loop *r)
{
	ep_engine_stop(r->engine);
	for (uint32_t i = 0; i < 2; i++) {
		memset(r->rx[i], 0, r->range->port_count * sizeof(struct ep_acct_port));
		memset(r->tx[i], 0, r->range->port_count * sizeof(uint64_t));
		ep_engine_rx_ports(r->engine, i, r->rx[i]);
		ep_engine_tx_ports(r->engine, i, r->tx[i]);
	}
}

void
loop_trial(struct loop *r, const struct ep_engine_trial *t, bool manual, wire_fn fn, void *ctx)
{
	loop_prepare(r, t);
	ep_engine_start(r->engine, INITIATOR);
	ep_engine_start(r->engine, RESPONDER);
	for (int ms = 0; ms < 20000 && !loop_sent_all(r); ms++) {
		if (manual)
			loop_pump(r, fn, ctx);
		usleep(500);
	}
	assert_true(loop_sent_all(r));
	ep_engine_drain(r->engine);
	loop_settle(r, 150, manual ? fn : (wire_fn)-1, ctx);
	loop_collect(r);
}

struct ep_engine_trial
loop_load(double rate_pps, uint64_t ms)
{
	return (struct ep_engine_trial){
		.key = {1, 2, 3},
		.stream_up = true,
		.stream_down = true,
		.rate_pps = rate_pps,
		.duration_ns = ms * EP_NS_PER_MS,
		.slack_ns = EP_NS_PER_S,
		.sizes = {1, {64}},
	};
}

struct ep_engine_trial
loop_sweep(uint32_t rounds)
{
	struct ep_engine_trial t = loop_load(200e3, 1000);

	t.key[0] = 9;
	t.stream_down = false;
	t.echo = true;
	t.rounds = rounds;
	return t;
}

uint64_t
loop_sum(const uint64_t *v, uint32_t n)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < n; i++)
		total += v[i];
	return total;
}

void
loop_assert_clean(const struct loop *r)
{
	for (uint32_t p = 0; p < r->range->port_count; p++) {
		for (int from = 0; from < 2; from++) {
			const struct ep_acct_port *rx = &r->rx[1 - from][p];

			assert_int_equal(rx->count[EP_ACCT_NEW], r->tx[from][p]);
			assert_int_equal(ep_acct_received(rx), r->tx[from][p]);
		}
	}
}

void
loop_assert_counts_close(const struct loop *r)
{
	for (uint32_t i = 0; i < 2; i++) {
		struct ep_engine_count c;

		ep_engine_count(r->engine, i, &c);
		assert_int_equal(c.intended, c.accepted + c.not_sent);
		assert_int_equal(c.accepted, loop_sum(r->tx[i], r->range->port_count));
	}
}

int
loop_start_eal(void **state)
{
	const struct ep_dev_eal_cfg cfg = {.memory_mib = 256, .worker_count = WORKERS};
	const char *text = getenv("EP_TEST_SEED");
	struct ep_err err = {0};

	(void)state;
	loop_seed = text != NULL ? strtoull(text, NULL, 10) : 1;
	fprintf(stderr, "# EP_TEST_SEED=%llu\n", (unsigned long long)loop_seed);
	if (ep_dev_eal_init(&cfg, &err) < 0) {
		fprintf(stderr, "# %s\n", err.text);
		return -1;
	}
	ep_engine_clock_calibrate(&clock_);
	return 0;
}

int
loop_stop_eal(void **state)
{
	(void)state;
	ep_dev_eal_fini();
	return 0;
}
