/* The engine on the in-memory pair: real mbufs, no huge pages, no root. The test itself can be the wire between the two ends
 * (struct wire_model), so that it knows the truth about every packet. */

#include <ep_dev.h>
#include <ep_engine.h>

#include <rte_mbuf.h>
#include <rte_ring.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define WORKERS 4
#define INITIATOR 0
#define RESPONDER 1

static struct ep_engine_clock clock_;
static uint64_t seed_ = 1;

/** What a test wants of the pair. */
struct setup {
	const char *ports;
	uint32_t sources;
	uint16_t queue_pairs;
	uint32_t workers; /* 1: one for both sides. */
	uint16_t ring;
	bool manual; /* The test is the wire. */
	bool ipv6;
	bool verify_filler;
	uint16_t vlan_id;
	bool learn; /* The responder has to learn addresses. */
	const char *impair;
};

/** A pair with an engine. */
struct rig {
	struct ep_range *range;
	struct ep_dev *dev[2];
	struct ep_dev_wire wire;
	struct ep_path_cfg path;
	struct ep_sched space;
	struct ep_engine *engine;
	struct ep_wire_ends ends[2];
	struct ep_acct_port *rx[2];
	uint64_t *tx[2];
};

static void
ip_set(struct ep_wire_ip *ip, bool ipv6, uint8_t last)
{
	memset(ip, 0, sizeof(*ip));
	ip->family = ipv6 ? EP_WIRE_IPV6 : EP_WIRE_IPV4;
	memcpy(ip->bytes_be, ipv6 ? "\x20\x01\x00\x02" : "\xc6\x12\x00\x00", 4);
	ip->bytes_be[ipv6 ? 15 : 3] = last;
}

static void
rig_ends(struct rig *r, const struct setup *s)
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

static void
rig_open(struct rig *r, const struct setup *s)
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
		.seed = seed_};
	const bool wired = s->manual || s->impair != NULL;
	struct ep_sched_cfg sched_cfg = space;
	struct ep_engine_cfg cfg = {
		.side_count = 2, .clock = clock_, .floating = true, .seed = seed_};
	struct ep_err err = {0};

	memset(r, 0, sizeof(*r));
	r->range = malloc(sizeof(*r->range));
	assert_int_equal(ep_range_parse(s->ports, "ports", r->range, &err), 0);
	if (ep_dev_pair_open(&dev_cfg, r->dev, wired ? &r->wire : NULL, &err) < 0)
		fail_msg("%s", err.text);
	rig_ends(r, s);
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

static void
rig_close(struct rig *r)
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

/** The test as the wire: called for each packet that leaves `from`. Returns false where it keeps (or freed) the packet. */
typedef bool (*wire_fn)(void *ctx, uint32_t from, struct rte_mbuf *m);

static void
pump(struct rig *r, wire_fn fn, void *ctx)
{
	for (uint32_t from = 0; from < 2; from++) {
		void *m;

		while (rte_ring_dequeue(r->wire.from[from], &m) == 0)
			if (fn == NULL || fn(ctx, from, m))
				while (rte_ring_enqueue(r->wire.to[1 - from], m) != 0)
					usleep(10);
	}
}

static void
settle(struct rig *r, unsigned int ms, wire_fn fn, void *ctx)
{
	for (unsigned int i = 0; i < ms; i++) {
		if (r->wire.from[0] != NULL && fn != (wire_fn)-1)
			pump(r, fn, ctx);
		usleep(1000);
	}
}

static bool
sent_all(const struct rig *r)
{
	return ep_engine_tx_done(r->engine, INITIATOR) && ep_engine_tx_done(r->engine, RESPONDER);
}

static void
prepare(struct rig *r, const struct ep_engine_trial *t)
{
	struct ep_err err = {0};

	if (ep_engine_prepare(r->engine, t, &err) < 0)
		fail_msg("%s", err.text);
}

static void
collect(struct rig *r)
{
	ep_engine_stop(r->engine);
	for (uint32_t i = 0; i < 2; i++) {
		memset(r->rx[i], 0, r->range->port_count * sizeof(struct ep_acct_port));
		memset(r->tx[i], 0, r->range->port_count * sizeof(uint64_t));
		ep_engine_rx_ports(r->engine, i, r->rx[i]);
		ep_engine_tx_ports(r->engine, i, r->tx[i]);
	}
}

/* A whole trial with the test as the wire where the rig is a manual one. */
static void
trial(struct rig *r, const struct ep_engine_trial *t, bool manual, wire_fn fn, void *ctx)
{
	prepare(r, t);
	ep_engine_start(r->engine, INITIATOR);
	ep_engine_start(r->engine, RESPONDER);
	for (int ms = 0; ms < 20000 && !sent_all(r); ms++) {
		if (manual)
			pump(r, fn, ctx);
		usleep(500);
	}
	assert_true(sent_all(r));
	ep_engine_drain(r->engine);
	settle(r, 150, manual ? fn : (wire_fn)-1, ctx);
	collect(r);
}

static struct ep_engine_trial
plan_load(double rate_pps, uint64_t ms)
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

static struct ep_engine_trial
plan_sweep(uint32_t rounds)
{
	struct ep_engine_trial t = plan_load(200e3, 1000);

	t.key[0] = 9;
	t.stream_down = false;
	t.echo = true;
	t.rounds = rounds;
	return t;
}

static uint64_t
sum(const uint64_t *v, uint32_t n)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < n; i++)
		total += v[i];
	return total;
}

/* On each port and in each direction everything that was sent arrived once, in order. */
static void
assert_clean(const struct rig *r)
{
	for (uint32_t p = 0; p < r->range->port_count; p++) {
		for (int from = 0; from < 2; from++) {
			const struct ep_acct_port *rx = &r->rx[1 - from][p];

			assert_int_equal(rx->count[EP_ACCT_NEW], r->tx[from][p]);
			assert_int_equal(ep_acct_received(rx), r->tx[from][p]);
		}
	}
}

static void
assert_counts_close(const struct rig *r)
{
	for (uint32_t i = 0; i < 2; i++) {
		struct ep_engine_count c;

		ep_engine_count(r->engine, i, &c);
		assert_int_equal(c.intended, c.accepted + c.not_sent);
		assert_int_equal(c.accepted, sum(r->tx[i], r->range->port_count));
	}
}

/* --- Tests ---------------------------------------------------------------------------------------------------------------- */

static void
clean_pair_delivers_every_probe_in_order(void **state)
{
	const struct setup s = {.ports = "50000-50999"};
	const struct ep_engine_trial t = plan_load(100e3, 300);
	struct rig r;

	(void)state;
	rig_open(&r, &s);
	trial(&r, &t, false, NULL, NULL);
	assert_clean(&r);
	assert_counts_close(&r);
	assert_int_equal(sum(r.tx[0], 1000), 30000);
	assert_int_equal(sum(r.tx[1], 1000), 30000);
	rig_close(&r);
}

static void
one_worker_serves_both_sides(void **state)
{
	const struct setup s = {.ports = "50000-50999", .workers = 1};
	const struct ep_engine_trial t = plan_load(50e3, 200);
	struct rig r;

	(void)state;
	rig_open(&r, &s);
	trial(&r, &t, false, NULL, NULL);
	assert_clean(&r);
	assert_int_equal(sum(r.tx[0], 1000), 10000);
	rig_close(&r);
}

static void
several_queues_share_the_flows(void **state)
{
	const struct setup s = {.ports = "50000-50999", .queue_pairs = 2, .workers = 4};
	const struct ep_engine_trial sweep = plan_sweep(3), load = plan_load(60e3, 200);
	struct rig r;

	(void)state;
	rig_open(&r, &s);
	trial(&r, &sweep, false, NULL, NULL);
	assert_clean(&r);
	for (uint32_t p = 0; p < 1000; p++)
		assert_int_equal(r.tx[0][p], 3);
	trial(&r, &load, false, NULL, NULL);
	assert_clean(&r);
	assert_int_equal(sum(r.tx[0], 1000), 12000);
	rig_close(&r);
}

static void
sweep_hits_each_flow_once_a_round_and_is_answered(void **state)
{
	const struct setup s = {.ports = "50000-50099,60000", .sources = 7, .learn = true};
	const struct ep_engine_trial t = plan_sweep(2);
	struct ep_engine_count c;
	struct rig r;

	(void)state;
	rig_open(&r, &s);
	trial(&r, &t, false, NULL, NULL);
	assert_clean(&r);
	for (uint32_t p = 0; p < 101; p++) {
		assert_int_equal(r.tx[0][p], 14);
		assert_int_equal(r.tx[1][p], 14);
	}
	ep_engine_count(r.engine, RESPONDER, &c);
	assert_int_equal(c.learned_flows, 707);
	rig_close(&r);
}

static void
what_a_trial_learned_is_known_in_the_next(void **state)
{
	static const struct setup setups[] = {
		{.ports = "50000-50099", .learn = true},
		{.ports = "50000-50099"},
	};
	const struct ep_engine_trial t = plan_sweep(1);

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(setups); i++) {
		struct rig r;

		rig_open(&r, &setups[i]);
		for (int k = 0; k < 2; k++) {
			struct ep_engine_count c;

			trial(&r, &t, false, NULL, NULL);
			ep_engine_count(r.engine, RESPONDER, &c);
			assert_int_equal(c.learned_flows, 100);
		}
		rig_close(&r);
	}
}

/* A worker that finds one of its queues empty must not sleep before it has looked into the others. */
static void
one_worker_keeps_up_with_one_busy_queue_of_many(void **state)
{
	const struct setup s = {.ports = "50000-50999", .queue_pairs = 16, .ring = 64};
	struct ep_engine_trial t = plan_load(200e3, 200);
	struct ep_engine_count c;
	struct rig r;

	(void)state;
	t.slack_ns = 5 * EP_NS_PER_S;
	t.stream_down = false;
	rig_open(&r, &s);
	trial(&r, &t, false, NULL, NULL);
	assert_clean(&r);
	ep_engine_count(r.engine, INITIATOR, &c);
	assert_int_equal(c.accepted, 40000);
	assert_in_range(c.tx_duration_ns, 199 * EP_NS_PER_MS, 500 * EP_NS_PER_MS);
	rig_close(&r);
}

static void
frames_beyond_the_packet_buffers_are_refused(void **state)
{
	const struct setup s = {.ports = "50000-50009"};
	struct ep_engine_trial t = plan_load(10e3, 50);
	struct ep_err err = {0};
	struct rig r;

	(void)state;
	rig_open(&r, &s);
	t.sizes = (struct ep_sizes){2, {64, 9018}};
	assert_int_equal(ep_engine_prepare(r.engine, &t, &err), -ERANGE);
	assert_non_null(strstr(err.text, "9018"));
	t.sizes = (struct ep_sizes){2, {64, 1518}};
	trial(&r, &t, false, NULL, NULL);
	assert_clean(&r);
	rig_close(&r);
}

static void
sizes_and_families_and_filler_are_carried(void **state)
{
	static const struct setup setups[] = {
		{.ports = "50000-50099", .verify_filler = true},
		{.ports = "50000-50099", .verify_filler = true, .ipv6 = true},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(setups); i++) {
		struct ep_engine_trial t = plan_load(20e3, 200);
		struct rig r;
		uint64_t bytes = 0;

		t.sizes = (struct ep_sizes){4, {84, 129, 1518, 200}};
		rig_open(&r, &setups[i]);
		trial(&r, &t, false, NULL, NULL);
		assert_clean(&r);
		for (uint32_t p = 0; p < 100; p++)
			bytes += r.rx[RESPONDER][p].bytes;
		assert_int_equal(bytes, 4000 / 4 * (84 + 129 + 1518 + 200));
		rig_close(&r);
	}
}

/** What a wire with a VLAN sees. */
struct tagged {
	uint64_t frames;
	uint64_t other; /* No tag, another one, or another frame behind it than without. */
};

static bool
wire_tagged(void *ctx, uint32_t from, struct rte_mbuf *m)
{
	static const uint8_t tag_be[4] = {0x81, 0x00, 0x01, 0x23};
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	struct tagged *t = ctx;
	struct ep_wire_rx rx;

	(void)from;
	t->frames++;
	t->other += m->data_len != m->pkt_len || memcmp(frame + 12, tag_be, 4) != 0 ||
		!ep_wire_parse(rte_pktmbuf_mtod(m, uint8_t *), m->data_len, &rx) ||
		frame + 18 != rx.l3 || ep_wire_get16(rx.udp + 6) != ep_wire_udp_checksum(&rx);
	return true;
}

static void
vlan_tags_are_on_every_frame_both_ways(void **state)
{
	static const struct setup setups[] = {
		{.ports = "50000-50099", .manual = true, .vlan_id = 0x123, .sources = 2},
		{.ports = "50000-50099", .manual = true, .vlan_id = 0x123, .ipv6 = true},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(setups); i++) {
		struct ep_engine_trial t[2] = {plan_sweep(2), plan_load(20e3, 100)};
		const uint16_t least = setups[i].ipv6 ? 88 : 68;
		struct tagged seen = {0};
		uint64_t bytes = 0;
		struct rig r;

		t[0].sizes = (struct ep_sizes){1, {least}};
		t[1].sizes = (struct ep_sizes){2, {least, 1518}};
		rig_open(&r, &setups[i]);
		for (int k = 0; k < 2; k++) {
			trial(&r, &t[k], true, wire_tagged, &seen);
			assert_clean(&r);
		}
		/* Echoes of a sweep, then both streams of 2,000. */
		assert_int_equal(seen.frames, 2 * 2 * r.space.flow_count + 4000);
		assert_int_equal(seen.other, 0);
		for (uint32_t p = 0; p < 100; p++)
			bytes += r.rx[RESPONDER][p].bytes;
		assert_int_equal(bytes, 2000 / 2 * (least + 1518));
		rig_close(&r);
	}
}

static void
a_frame_without_room_for_its_vlan_tag_is_refused(void **state)
{
	const struct setup s = {.ports = "50000-50099", .vlan_id = 1};
	struct ep_engine_trial t = plan_load(20e3, 100);
	struct ep_err err = {0};
	struct rig r;

	(void)state;
	rig_open(&r, &s);
	t.sizes = (struct ep_sizes){1, {67}};
	assert_int_equal(ep_engine_prepare(r.engine, &t, &err), -ERANGE);
	assert_non_null(strstr(
		err.text, "frame size 67 B over IPv4 with the tag of VLAN 1; allowed is 68 to "));
	t.sizes = (struct ep_sizes){1, {68}};
	assert_int_equal(ep_engine_prepare(r.engine, &t, &err), 0);
	rig_close(&r);
}

static void
account_equals_the_path_models_count(void **state)
{
	const struct setup s = {.ports = "50000-50199",
		.sources = 2,
		.impair = "block=50010-50019,drop=2%,dup=1%,reorder=3%"};
	const struct ep_engine_trial t[2] = {plan_sweep(3), plan_load(100e3, 300)};
	uint64_t sent[2][200] = {{0}}, first[2][200] = {{0}}, dup[2][200] = {{0}},
		 reordered[2][200] = {{0}};
	struct rig r;

	(void)state;
	rig_open(&r, &s);
	for (int k = 0; k < 2; k++) {
		trial(&r, &t[k], false, NULL, NULL);
		for (uint32_t p = 0; p < 200; p++) {
			for (int side = 0; side < 2; side++) {
				const struct ep_acct_port *rx = &r.rx[side][p];

				sent[1 - side][p] += r.tx[1 - side][p];
				first[side][p] += ep_acct_first(rx);
				dup[side][p] += rx->count[EP_ACCT_DUP];
				reordered[side][p] += rx->count[EP_ACCT_REORDERED];
				assert_int_equal(rx->count[EP_ACCT_BEHIND], 0);
			}
		}
	}
	for (int side = 0; side < 2; side++) {
		const struct ep_path_port *model = ep_engine_path_ports(r.engine, side);

		for (uint32_t p = 0; p < 200; p++) {
			assert_int_equal(model[p].seen, sent[1 - side][p]);
			assert_int_equal(model[p].dropped, sent[1 - side][p] - first[side][p]);
			assert_int_equal(model[p].duplicated, dup[side][p]);
			assert_int_equal(model[p].reordered, reordered[side][p]);
		}
		assert_int_equal(first[side][15], 0);
	}
	rig_close(&r);
}

/* --- The test as the wire --------------------------------------------------------------------------------------------------- */

static bool
wire_drop(void *ctx, uint32_t from, struct rte_mbuf *m)
{
	(void)ctx;
	(void)from;
	rte_pktmbuf_free(m);
	return false;
}

static void
nobody_takes_packets_is_not_sent_and_never_loss(void **state)
{
	const struct setup s = {.ports = "50000-50009", .ring = 64, .manual = true};
	struct ep_engine_trial t = plan_load(10e3, 500);
	struct ep_engine_count c;
	struct rig r;

	(void)state;
	t.slack_ns = EP_NS_PER_MS;
	rig_open(&r, &s);
	prepare(&r, &t);
	ep_engine_start(r.engine, INITIATOR);
	for (int ms = 0; ms < 5000 && !ep_engine_tx_done(r.engine, INITIATOR); ms++)
		usleep(1000);
	collect(&r);
	ep_engine_count(r.engine, INITIATOR, &c);
	assert_int_equal(c.accepted, rte_ring_count(r.wire.from[0]));
	assert_int_equal(c.accepted + c.not_sent, 5000);
	assert_int_equal(sum(r.tx[0], 10), c.accepted);
	/* The ring was full after 6 ms: the tries after that are no probes. */
	assert_in_range(c.tx_duration_ns, 1, 250 * EP_NS_PER_MS);
	pump(&r, wire_drop, NULL);
	rig_close(&r);
}

static void
a_sweep_that_nobody_takes_ends(void **state)
{
	const struct setup s = {.ports = "50000-50999", .ring = 64, .manual = true};
	const struct ep_engine_trial t = plan_sweep(1);
	struct ep_engine_count c;
	struct rig r;

	(void)state;
	rig_open(&r, &s);
	prepare(&r, &t);
	ep_engine_start(r.engine, INITIATOR);
	for (int ms = 0; ms < 5000 && !ep_engine_tx_done(r.engine, INITIATOR); ms++)
		usleep(1000);
	assert_true(ep_engine_tx_done(r.engine, INITIATOR));
	collect(&r);
	ep_engine_count(r.engine, INITIATOR, &c);
	assert_int_equal(c.accepted, 64);
	assert_int_equal(c.intended, 1000);
	pump(&r, wire_drop, NULL);
	rig_close(&r);
}

/** The sizes that leave the initiator. */
struct size_order {
	const struct ep_sizes *sizes;
	uint32_t seen;
	uint32_t wrong;
};

static bool
wire_size_order(void *ctx, uint32_t from, struct rte_mbuf *m)
{
	struct size_order *o = ctx;

	if (from == INITIATOR) {
		const uint32_t next = o->seen++ % o->sizes->count;

		o->wrong += m->data_len + EP_WIRE_FCS_BYTES != o->sizes->frame_bytes[next];
	}
	return true;
}

static void
refused_probes_do_not_change_the_order_of_sizes(void **state)
{
	const struct setup s = {.ports = "50000-50099", .ring = 64, .manual = true};
	struct ep_engine_trial t = plan_load(200e3, 50);
	struct size_order o = {.sizes = &t.sizes};
	struct ep_engine_count c;
	struct rig r;

	(void)state;
	t.stream_down = false;
	t.burst_pkts = 7;
	t.sizes = (struct ep_sizes){3, {64, 128, 300}};
	rig_open(&r, &s);
	trial(&r, &t, true, wire_size_order, &o);
	assert_clean(&r);
	ep_engine_count(r.engine, INITIATOR, &c);
	assert_true(c.tx_short > 0);
	assert_int_equal(o.seen, 10000);
	assert_int_equal(o.wrong, 0);
	rig_close(&r);
}

static void
silence_stops_sending_at_once(void **state)
{
	const struct setup s = {.ports = "50000-50099"};
	const struct ep_engine_trial t = plan_load(50e3, 10000);
	struct ep_engine_count before, after;
	struct rig r;

	(void)state;
	rig_open(&r, &s);
	prepare(&r, &t);
	ep_engine_start(r.engine, INITIATOR);
	usleep(50000);
	ep_engine_silence(r.engine);
	usleep(50000);
	ep_engine_count(r.engine, INITIATOR, &before);
	usleep(50000);
	ep_engine_count(r.engine, INITIATOR, &after);
	assert_true(before.accepted > 0);
	assert_int_equal(before.accepted, after.accepted);
	collect(&r);
	assert_clean(&r);
	assert_counts_close(&r);
	rig_close(&r);
}

/** Packets kept back by the wire. */
struct kept {
	struct rte_mbuf *m[4096];
	uint32_t count;
	uint32_t from; /* Whose. */
	bool keep;
};

static bool
wire_keep(void *ctx, uint32_t from, struct rte_mbuf *m)
{
	struct kept *k = ctx;

	if (from != k->from || !k->keep || k->count == EP_ARRAY_LEN(k->m))
		return true;
	k->m[k->count++] = m;
	return false;
}

static void
deliver(struct rig *r, struct kept *k)
{
	for (uint32_t i = 0; i < k->count; i++)
		while (rte_ring_enqueue(r->wire.to[1 - k->from], k->m[i]) != 0)
			usleep(10);
	k->count = 0;
	usleep(50000);
}

static void
probes_behind_the_drain_are_late_and_not_received(void **state)
{
	const struct setup s = {.ports = "50000-50099", .manual = true};
	struct ep_engine_trial t = plan_load(20e3, 100);
	struct kept k = {.keep = true};
	struct ep_engine_count c;
	struct rig r;

	(void)state;
	t.stream_down = false;
	rig_open(&r, &s);
	prepare(&r, &t);
	ep_engine_start(r.engine, INITIATOR);
	while (!ep_engine_tx_done(r.engine, INITIATOR)) {
		pump(&r, wire_keep, &k);
		usleep(1000);
	}
	settle(&r, 20, wire_keep, &k);
	assert_int_equal(k.count, 2000);
	ep_engine_late(r.engine);
	usleep(20000);
	deliver(&r, &k);
	collect(&r);
	ep_engine_count(r.engine, RESPONDER, &c);
	assert_int_equal(c.late, 2000);
	assert_int_equal(c.received, 0);
	rig_close(&r);
}

static void
probes_of_the_trial_before_are_late_in_the_next(void **state)
{
	const struct setup s = {.ports = "50000-50099", .manual = true};
	struct ep_engine_trial t = plan_load(20e3, 50), next = plan_load(20e3, 50);
	struct kept k = {.keep = true};
	struct ep_engine_count c;
	struct rig r;

	(void)state;
	t.stream_down = next.stream_down = false;
	next.key[5] = 77;
	rig_open(&r, &s);
	trial(&r, &t, true, wire_keep, &k);
	assert_int_equal(k.count, 1000);
	k.keep = false;
	prepare(&r, &next);
	ep_engine_start(r.engine, INITIATOR);
	deliver(&r, &k);
	while (!ep_engine_tx_done(r.engine, INITIATOR)) {
		pump(&r, NULL, NULL);
		usleep(1000);
	}
	settle(&r, 50, NULL, NULL);
	collect(&r);
	ep_engine_count(r.engine, RESPONDER, &c);
	assert_int_equal(c.late, 1000);
	assert_int_equal(c.bad_tag, 0);
	assert_int_equal(c.received, 1000);
	rig_close(&r);
}

/* An echo and a probe of the down stream differ in their payload type, too. */
static void
echoes_of_the_trial_before_are_late_in_the_next(void **state)
{
	const struct setup s = {.ports = "50000-50099", .manual = true};
	const struct ep_engine_trial sweep = plan_sweep(2), next = plan_load(20e3, 50);
	struct kept k = {.from = RESPONDER, .keep = true};
	struct ep_engine_count c;
	struct rig r;

	(void)state;
	rig_open(&r, &s);
	trial(&r, &sweep, true, wire_keep, &k);
	assert_int_equal(k.count, 200);
	k.keep = false;
	prepare(&r, &next);
	deliver(&r, &k);
	collect(&r);
	ep_engine_count(r.engine, INITIATOR, &c);
	assert_int_equal(c.late, 200);
	assert_int_equal(c.foreign + c.bad_tag + c.received, 0);
	rig_close(&r);
}

static uint16_t
get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void
put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* A DUT that moves one port to another. */
static bool
wire_rewrite_port(void *ctx, uint32_t from, struct rte_mbuf *m)
{
	uint8_t *udp = rte_pktmbuf_mtod_offset(m, uint8_t *, 34);

	(void)ctx;
	if (from == INITIATOR && get16(udp + 2) == 50007)
		put16(udp + 2, 50008);
	return true;
}

static void
a_rewritten_port_is_told_and_not_received(void **state)
{
	const struct setup s = {.ports = "50000-50099", .manual = true};
	const struct ep_engine_trial t = plan_sweep(3);
	struct rig r;

	(void)state;
	rig_open(&r, &s);
	trial(&r, &t, true, wire_rewrite_port, NULL);
	assert_int_equal(r.rx[RESPONDER][7].wrong_port, 3);
	assert_int_equal(ep_acct_received(&r.rx[RESPONDER][7]), 0);
	assert_int_equal(ep_acct_received(&r.rx[RESPONDER][8]), 3);
	assert_int_equal(r.tx[RESPONDER][7], 0);
	rig_close(&r);
}

/* A source NAT as the responder sees it: 198.18.0.1:p -> 10.9.8.7:p + 1, and back. Checksums are not its business here. */
static bool
wire_nat(void *ctx, uint32_t from, struct rte_mbuf *m)
{
	static const uint8_t outer[4] = {10, 9, 8, 7}, inner[4] = {198, 18, 0, 1};
	uint8_t *ip = rte_pktmbuf_mtod_offset(m, uint8_t *, 14);
	uint64_t *stray = ctx;

	if (from == INITIATOR) {
		memcpy(ip + 12, outer, 4);
		put16(ip + 20, (uint16_t)(get16(ip + 20) + 1));
		return true;
	}
	if (memcmp(ip + 16, outer, 4) != 0) {
		(*stray)++;
		rte_pktmbuf_free(m);
		return false;
	}
	memcpy(ip + 16, inner, 4);
	put16(ip + 22, (uint16_t)(get16(ip + 22) - 1));
	return true;
}

static void
down_stream_goes_to_the_addresses_that_a_nat_shows(void **state)
{
	const struct setup s = {
		.ports = "50000-50099", .sources = 2, .manual = true, .learn = true};
	const struct ep_engine_trial sweep = plan_sweep(2), load = plan_load(40e3, 200);
	uint64_t stray = 0;
	struct rig r;

	(void)state;
	rig_open(&r, &s);
	trial(&r, &sweep, true, wire_nat, &stray);
	assert_clean(&r);
	trial(&r, &load, true, wire_nat, &stray);
	assert_clean(&r);
	assert_int_equal(sum(r.tx[RESPONDER], 100), 8000);
	assert_int_equal(stray, 0);
	rig_close(&r);
}

static bool
wire_block_port(void *ctx, uint32_t from, struct rte_mbuf *m)
{
	const uint8_t *udp = rte_pktmbuf_mtod_offset(m, uint8_t *, 34);

	(void)ctx;
	if (from == INITIATOR && get16(udp + 2) == 50042) {
		rte_pktmbuf_free(m);
		return false;
	}
	return true;
}

static void
down_stream_leaves_out_flows_without_a_known_address(void **state)
{
	const struct setup s = {.ports = "50000-50099", .manual = true, .learn = true};
	const struct ep_engine_trial sweep = plan_sweep(2), load = plan_load(40e3, 100);
	struct rig r;

	(void)state;
	rig_open(&r, &s);
	trial(&r, &sweep, true, wire_block_port, NULL);
	trial(&r, &load, true, wire_block_port, NULL);
	assert_int_equal(r.tx[RESPONDER][42], 0);
	assert_int_equal(sum(r.tx[RESPONDER], 100), 4000);
	assert_int_equal(sum(r.tx[INITIATOR], 100), 4000);
	rig_close(&r);
}

static void
without_any_known_address_there_is_no_down_stream(void **state)
{
	const struct setup s = {.ports = "50000-50009", .manual = true, .learn = true};
	const struct ep_engine_trial load = plan_load(10e3, 50);
	struct rig r;

	(void)state;
	rig_open(&r, &s);
	trial(&r, &load, true, wire_drop, NULL);
	assert_int_equal(sum(r.tx[RESPONDER], 10), 0);
	rig_close(&r);
}

/* Each probe twice: the second copy must not be answered. */
static bool
wire_twice(void *ctx, uint32_t from, struct rte_mbuf *m)
{
	struct rig *r = ctx;
	struct rte_mbuf *copy;

	if (from != INITIATOR)
		return true;
	copy = rte_pktmbuf_copy(m, m->pool, 0, UINT32_MAX);
	assert_non_null(copy);
	while (rte_ring_enqueue(r->wire.to[RESPONDER], copy) != 0)
		usleep(10);
	return true;
}

static void
only_first_copies_are_answered(void **state)
{
	const struct setup s = {.ports = "50000-50099", .manual = true};
	const struct ep_engine_trial t = plan_sweep(3);
	struct rig r;

	(void)state;
	rig_open(&r, &s);
	trial(&r, &t, true, wire_twice, &r);
	for (uint32_t p = 0; p < 100; p++) {
		assert_int_equal(r.rx[RESPONDER][p].count[EP_ACCT_DUP], 3);
		assert_int_equal(r.tx[RESPONDER][p], 3);
		assert_int_equal(ep_acct_received(&r.rx[INITIATOR][p]), 3);
	}
	rig_close(&r);
}

/* --- Garbage ---------------------------------------------------------------------------------------------------------------- */

static uint64_t
next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/** A wire that adds a mutated copy of each probe and a random frame. */
struct noise {
	struct rig *rig;
	uint64_t random;
	uint64_t added[2];
};

static void
noise_put(struct noise *n, uint32_t to, struct rte_mbuf *m)
{
	while (rte_ring_enqueue(n->rig->wire.to[to], m) != 0)
		usleep(10);
	n->added[to]++;
}

static bool
wire_noise(void *ctx, uint32_t from, struct rte_mbuf *m)
{
	struct noise *n = ctx;
	struct rte_mbuf *mutant = rte_pktmbuf_copy(m, m->pool, 0, UINT32_MAX);
	struct rte_mbuf *random = rte_pktmbuf_copy(m, m->pool, 0, UINT32_MAX);
	uint8_t *payload;

	assert_non_null(mutant);
	assert_non_null(random);
	/* One bit of what the tag covers: sequence, time, flow or the tag itself. */
	payload = rte_pktmbuf_mtod_offset(mutant, uint8_t *, 42);
	payload[2 + next_random(&n->random) % 16] ^= (uint8_t)(1u << next_random(&n->random) % 8);
	noise_put(n, 1 - from, mutant);
	for (uint16_t i = 0; i < random->data_len; i++)
		rte_pktmbuf_mtod(random, uint8_t *)[i] = (uint8_t)next_random(&n->random);
	if (next_random(&n->random) % 4 != 0)
		memcpy(rte_pktmbuf_mtod(random, uint8_t *), rte_pktmbuf_mtod(m, uint8_t *), 43);
	random->data_len = (uint16_t)(next_random(&n->random) % (random->data_len + 1));
	random->pkt_len = random->data_len;
	noise_put(n, 1 - from, random);
	return true;
}

static void
garbage_changes_nothing_but_bad_tag_and_foreign(void **state)
{
	const struct setup s = {.ports = "50000-50099", .manual = true};
	const struct ep_engine_trial t[2] = {plan_sweep(20), plan_load(20e3, 300)};
	struct rig r;

	(void)state;
	rig_open(&r, &s);
	for (int k = 0; k < 2; k++) {
		struct noise n = {.rig = &r, .random = seed_ * 7919 + 1};

		trial(&r, &t[k], true, wire_noise, &n);
		assert_clean(&r);
		for (uint32_t side = 0; side < 2; side++) {
			struct ep_engine_count c;

			ep_engine_count(r.engine, side, &c);
			assert_int_equal(c.bad_tag + c.foreign, n.added[side]);
			/* Half are mutants; a changed flow number may be out of range, which is foreign. */
			assert_true(c.bad_tag >= n.added[side] / 4);
		}
	}
	rig_close(&r);
}

static int
start_eal(void **state)
{
	const struct ep_dev_eal_cfg cfg = {.memory_mib = 256, .worker_count = WORKERS};
	const char *text = getenv("EP_TEST_SEED");
	struct ep_err err = {0};

	(void)state;
	seed_ = text != NULL ? strtoull(text, NULL, 10) : 1;
	fprintf(stderr, "# EP_TEST_SEED=%llu\n", (unsigned long long)seed_);
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
		cmocka_unit_test(clean_pair_delivers_every_probe_in_order),
		cmocka_unit_test(one_worker_serves_both_sides),
		cmocka_unit_test(several_queues_share_the_flows),
		cmocka_unit_test(sweep_hits_each_flow_once_a_round_and_is_answered),
		cmocka_unit_test(what_a_trial_learned_is_known_in_the_next),
		cmocka_unit_test(one_worker_keeps_up_with_one_busy_queue_of_many),
		cmocka_unit_test(frames_beyond_the_packet_buffers_are_refused),
		cmocka_unit_test(sizes_and_families_and_filler_are_carried),
		cmocka_unit_test(vlan_tags_are_on_every_frame_both_ways),
		cmocka_unit_test(a_frame_without_room_for_its_vlan_tag_is_refused),
		cmocka_unit_test(account_equals_the_path_models_count),
		cmocka_unit_test(nobody_takes_packets_is_not_sent_and_never_loss),
		cmocka_unit_test(a_sweep_that_nobody_takes_ends),
		cmocka_unit_test(refused_probes_do_not_change_the_order_of_sizes),
		cmocka_unit_test(silence_stops_sending_at_once),
		cmocka_unit_test(probes_behind_the_drain_are_late_and_not_received),
		cmocka_unit_test(probes_of_the_trial_before_are_late_in_the_next),
		cmocka_unit_test(echoes_of_the_trial_before_are_late_in_the_next),
		cmocka_unit_test(a_rewritten_port_is_told_and_not_received),
		cmocka_unit_test(down_stream_goes_to_the_addresses_that_a_nat_shows),
		cmocka_unit_test(down_stream_leaves_out_flows_without_a_known_address),
		cmocka_unit_test(without_any_known_address_there_is_no_down_stream),
		cmocka_unit_test(only_first_copies_are_answered),
		cmocka_unit_test(garbage_changes_nothing_but_bad_tag_and_foreign),
	};

	return cmocka_run_group_tests(tests, start_eal, stop_eal);
}
