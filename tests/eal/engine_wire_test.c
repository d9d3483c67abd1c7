/* The engine with the test as the wire between its two ends: loss, NAT, copies, delay, garbage, and a far end that takes nothing (loop.h). */

#include "loop.h"

#include <rte_mbuf.h>
#include <rte_ring.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

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
	const struct loop_cfg s = {.ports = "50000-50009", .ring = 64, .manual = true};
	struct ep_engine_trial t = loop_load(10e3, 500);
	struct ep_engine_count c;
	struct loop r;

	(void)state;
	t.slack_ns = EP_NS_PER_MS;
	loop_open(&r, &s);
	loop_prepare(&r, &t);
	ep_engine_start(r.engine, INITIATOR);
	for (int ms = 0; ms < 5000 && !ep_engine_tx_done(r.engine, INITIATOR); ms++)
		usleep(1000);
	loop_collect(&r);
	ep_engine_count(r.engine, INITIATOR, &c);
	assert_int_equal(c.accepted, rte_ring_count(r.wire.from[0]));
	assert_int_equal(c.accepted + c.not_sent, 5000);
	assert_int_equal(loop_sum(r.tx[0], 10), c.accepted);
	/* The ring was full after 6 ms: the tries after that are no probes. */
	assert_in_range(c.tx_duration_ns, 1, 250 * EP_NS_PER_MS);
	loop_pump(&r, wire_drop, NULL);
	loop_close(&r);
}

static void
a_sweep_that_nobody_takes_ends(void **state)
{
	const struct loop_cfg s = {.ports = "50000-50999", .ring = 64, .manual = true};
	const struct ep_engine_trial t = loop_sweep(1);
	struct ep_engine_count c;
	struct loop r;

	(void)state;
	loop_open(&r, &s);
	loop_prepare(&r, &t);
	ep_engine_start(r.engine, INITIATOR);
	for (int ms = 0; ms < 5000 && !ep_engine_tx_done(r.engine, INITIATOR); ms++)
		usleep(1000);
	assert_true(ep_engine_tx_done(r.engine, INITIATOR));
	loop_collect(&r);
	ep_engine_count(r.engine, INITIATOR, &c);
	assert_int_equal(c.accepted, 64);
	assert_int_equal(c.intended, 1000);
	loop_pump(&r, wire_drop, NULL);
	loop_close(&r);
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
	const struct loop_cfg s = {.ports = "50000-50099", .ring = 64, .manual = true};
	struct ep_engine_trial t = loop_load(200e3, 50);
	struct size_order o = {.sizes = &t.sizes};
	struct ep_engine_count c;
	struct loop r;

	(void)state;
	t.stream_down = false;
	t.burst_pkts = 7;
	t.sizes = (struct ep_sizes){3, {64, 128, 300}};
	loop_open(&r, &s);
	loop_trial(&r, &t, true, wire_size_order, &o);
	loop_assert_clean(&r);
	ep_engine_count(r.engine, INITIATOR, &c);
	assert_true(c.tx_short > 0);
	assert_int_equal(o.seen, 10000);
	assert_int_equal(o.wrong, 0);
	loop_close(&r);
}

static void
silence_stops_sending_at_once(void **state)
{
	const struct loop_cfg s = {.ports = "50000-50099"};
	const struct ep_engine_trial t = loop_load(50e3, 10000);
	struct ep_engine_count before, after;
	struct loop r;

	(void)state;
	loop_open(&r, &s);
	loop_prepare(&r, &t);
	ep_engine_start(r.engine, INITIATOR);
	usleep(50000);
	ep_engine_silence(r.engine);
	usleep(50000);
	ep_engine_count(r.engine, INITIATOR, &before);
	usleep(50000);
	ep_engine_count(r.engine, INITIATOR, &after);
	assert_true(before.accepted > 0);
	assert_int_equal(before.accepted, after.accepted);
	loop_collect(&r);
	loop_assert_clean(&r);
	loop_assert_counts_close(&r);
	loop_close(&r);
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
deliver(struct loop *r, struct kept *k)
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
	const struct loop_cfg s = {.ports = "50000-50099", .manual = true};
	struct ep_engine_trial t = loop_load(20e3, 100);
	struct kept k = {.keep = true};
	struct ep_engine_count c;
	struct loop r;

	(void)state;
	t.stream_down = false;
	loop_open(&r, &s);
	loop_prepare(&r, &t);
	ep_engine_start(r.engine, INITIATOR);
	while (!ep_engine_tx_done(r.engine, INITIATOR)) {
		loop_pump(&r, wire_keep, &k);
		usleep(1000);
	}
	loop_settle(&r, 20, wire_keep, &k);
	assert_int_equal(k.count, 2000);
	ep_engine_late(r.engine);
	usleep(20000);
	deliver(&r, &k);
	loop_collect(&r);
	ep_engine_count(r.engine, RESPONDER, &c);
	assert_int_equal(c.late, 2000);
	assert_int_equal(c.received, 0);
	loop_close(&r);
}

static void
probes_of_the_trial_before_are_late_in_the_next(void **state)
{
	const struct loop_cfg s = {.ports = "50000-50099", .manual = true};
	struct ep_engine_trial t = loop_load(20e3, 50), next = loop_load(20e3, 50);
	struct kept k = {.keep = true};
	struct ep_engine_count c;
	struct loop r;

	(void)state;
	t.stream_down = next.stream_down = false;
	next.key[5] = 77;
	loop_open(&r, &s);
	loop_trial(&r, &t, true, wire_keep, &k);
	assert_int_equal(k.count, 1000);
	k.keep = false;
	loop_prepare(&r, &next);
	ep_engine_start(r.engine, INITIATOR);
	deliver(&r, &k);
	while (!ep_engine_tx_done(r.engine, INITIATOR)) {
		loop_pump(&r, NULL, NULL);
		usleep(1000);
	}
	loop_settle(&r, 50, NULL, NULL);
	loop_collect(&r);
	ep_engine_count(r.engine, RESPONDER, &c);
	assert_int_equal(c.late, 1000);
	assert_int_equal(c.bad_tag, 0);
	assert_int_equal(c.received, 1000);
	loop_close(&r);
}

/* An echo and a probe of the down stream differ in their payload type, too. */
static void
echoes_of_the_trial_before_are_late_in_the_next(void **state)
{
	const struct loop_cfg s = {.ports = "50000-50099", .manual = true};
	const struct ep_engine_trial sweep = loop_sweep(2), next = loop_load(20e3, 50);
	struct kept k = {.from = RESPONDER, .keep = true};
	struct ep_engine_count c;
	struct loop r;

	(void)state;
	loop_open(&r, &s);
	loop_trial(&r, &sweep, true, wire_keep, &k);
	assert_int_equal(k.count, 200);
	k.keep = false;
	loop_prepare(&r, &next);
	deliver(&r, &k);
	loop_collect(&r);
	ep_engine_count(r.engine, INITIATOR, &c);
	assert_int_equal(c.late, 200);
	assert_int_equal(c.foreign + c.bad_tag + c.received, 0);
	loop_close(&r);
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
	const struct loop_cfg s = {.ports = "50000-50099", .manual = true};
	const struct ep_engine_trial t = loop_sweep(3);
	struct loop r;

	(void)state;
	loop_open(&r, &s);
	loop_trial(&r, &t, true, wire_rewrite_port, NULL);
	assert_int_equal(r.rx[RESPONDER][7].wrong_port, 3);
	assert_int_equal(ep_acct_received(&r.rx[RESPONDER][7]), 0);
	assert_int_equal(ep_acct_received(&r.rx[RESPONDER][8]), 3);
	assert_int_equal(r.tx[RESPONDER][7], 0);
	loop_close(&r);
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
	const struct loop_cfg s = {
		.ports = "50000-50099", .sources = 2, .manual = true, .learn = true};
	const struct ep_engine_trial sweep = loop_sweep(2), load = loop_load(40e3, 200);
	uint64_t stray = 0;
	struct loop r;

	(void)state;
	loop_open(&r, &s);
	loop_trial(&r, &sweep, true, wire_nat, &stray);
	loop_assert_clean(&r);
	loop_trial(&r, &load, true, wire_nat, &stray);
	loop_assert_clean(&r);
	assert_int_equal(loop_sum(r.tx[RESPONDER], 100), 8000);
	assert_int_equal(stray, 0);
	loop_close(&r);
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
	const struct loop_cfg s = {.ports = "50000-50099", .manual = true, .learn = true};
	const struct ep_engine_trial sweep = loop_sweep(2), load = loop_load(40e3, 100);
	struct loop r;

	(void)state;
	loop_open(&r, &s);
	loop_trial(&r, &sweep, true, wire_block_port, NULL);
	loop_trial(&r, &load, true, wire_block_port, NULL);
	assert_int_equal(r.tx[RESPONDER][42], 0);
	assert_int_equal(loop_sum(r.tx[RESPONDER], 100), 4000);
	assert_int_equal(loop_sum(r.tx[INITIATOR], 100), 4000);
	loop_close(&r);
}

static void
without_any_known_address_there_is_no_down_stream(void **state)
{
	const struct loop_cfg s = {.ports = "50000-50009", .manual = true, .learn = true};
	const struct ep_engine_trial load = loop_load(10e3, 50);
	struct loop r;

	(void)state;
	loop_open(&r, &s);
	loop_trial(&r, &load, true, wire_drop, NULL);
	assert_int_equal(loop_sum(r.tx[RESPONDER], 10), 0);
	loop_close(&r);
}

/* Each probe twice: the second copy must not be answered. */
static bool
wire_twice(void *ctx, uint32_t from, struct rte_mbuf *m)
{
	struct loop *r = ctx;
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
	const struct loop_cfg s = {.ports = "50000-50099", .manual = true};
	const struct ep_engine_trial t = loop_sweep(3);
	struct loop r;

	(void)state;
	loop_open(&r, &s);
	loop_trial(&r, &t, true, wire_twice, &r);
	for (uint32_t p = 0; p < 100; p++) {
		assert_int_equal(r.rx[RESPONDER][p].count[EP_ACCT_DUP], 3);
		assert_int_equal(r.tx[RESPONDER][p], 3);
		assert_int_equal(ep_acct_received(&r.rx[INITIATOR][p]), 3);
	}
	loop_close(&r);
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
	struct loop *loop;
	uint64_t random;
	uint64_t added[2];
};

static void
noise_put(struct noise *n, uint32_t to, struct rte_mbuf *m)
{
	while (rte_ring_enqueue(n->loop->wire.to[to], m) != 0)
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
	const struct loop_cfg s = {.ports = "50000-50099", .manual = true};
	const struct ep_engine_trial t[2] = {loop_sweep(20), loop_load(20e3, 300)};
	struct loop r;

	(void)state;
	loop_open(&r, &s);
	for (int k = 0; k < 2; k++) {
		struct noise n = {.loop = &r, .random = loop_seed * 7919 + 1};

		loop_trial(&r, &t[k], true, wire_noise, &n);
		loop_assert_clean(&r);
		for (uint32_t side = 0; side < 2; side++) {
			struct ep_engine_count c;

			ep_engine_count(r.engine, side, &c);
			assert_int_equal(c.bad_tag + c.foreign, n.added[side]);
			/* Half are mutants; a changed flow number may be out of range, which is foreign. */
			assert_true(c.bad_tag >= n.added[side] / 4);
		}
	}
	loop_close(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
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

	return cmocka_run_group_tests(tests, loop_start_eal, loop_stop_eal);
}
