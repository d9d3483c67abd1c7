/* The engine on the in-memory pair: what is sent arrives, is counted, and is answered (loop.h). */

#include "loop.h"

#include <rte_mbuf.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void
clean_pair_delivers_every_probe_in_order(void **state)
{
	const struct loop_cfg s = {.ports = "50000-50999"};
	const struct ep_engine_trial t = loop_load(100e3, 300);
	struct loop r;

	(void)state;
	loop_open(&r, &s);
	loop_trial(&r, &t, false, NULL, NULL);
	loop_assert_clean(&r);
	loop_assert_counts_close(&r);
	assert_int_equal(loop_sum(r.tx[0], 1000), 30000);
	assert_int_equal(loop_sum(r.tx[1], 1000), 30000);
	loop_close(&r);
}

static void
one_worker_serves_both_sides(void **state)
{
	const struct loop_cfg s = {.ports = "50000-50999", .workers = 1};
	const struct ep_engine_trial t = loop_load(50e3, 200);
	struct loop r;

	(void)state;
	loop_open(&r, &s);
	loop_trial(&r, &t, false, NULL, NULL);
	loop_assert_clean(&r);
	assert_int_equal(loop_sum(r.tx[0], 1000), 10000);
	loop_close(&r);
}

static void
several_queues_share_the_flows(void **state)
{
	const struct loop_cfg s = {.ports = "50000-50999", .queue_pairs = 2, .workers = 4};
	const struct ep_engine_trial sweep = loop_sweep(3), load = loop_load(60e3, 200);
	struct loop r;

	(void)state;
	loop_open(&r, &s);
	loop_trial(&r, &sweep, false, NULL, NULL);
	loop_assert_clean(&r);
	for (uint32_t p = 0; p < 1000; p++)
		assert_int_equal(r.tx[0][p], 3);
	loop_trial(&r, &load, false, NULL, NULL);
	loop_assert_clean(&r);
	assert_int_equal(loop_sum(r.tx[0], 1000), 12000);
	loop_close(&r);
}

static void
sweep_hits_each_flow_once_a_round_and_is_answered(void **state)
{
	const struct loop_cfg s = {.ports = "50000-50099,60000", .sources = 7, .learn = true};
	const struct ep_engine_trial t = loop_sweep(2);
	struct ep_engine_count c;
	struct loop r;

	(void)state;
	loop_open(&r, &s);
	loop_trial(&r, &t, false, NULL, NULL);
	loop_assert_clean(&r);
	for (uint32_t p = 0; p < 101; p++) {
		assert_int_equal(r.tx[0][p], 14);
		assert_int_equal(r.tx[1][p], 14);
	}
	ep_engine_count(r.engine, RESPONDER, &c);
	assert_int_equal(c.learned_flows, 707);
	loop_close(&r);
}

static void
what_a_trial_learned_is_known_in_the_next(void **state)
{
	static const struct loop_cfg setups[] = {
		{.ports = "50000-50099", .learn = true},
		{.ports = "50000-50099"},
	};
	const struct ep_engine_trial t = loop_sweep(1);

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(setups); i++) {
		struct loop r;

		loop_open(&r, &setups[i]);
		for (int k = 0; k < 2; k++) {
			struct ep_engine_count c;

			loop_trial(&r, &t, false, NULL, NULL);
			ep_engine_count(r.engine, RESPONDER, &c);
			assert_int_equal(c.learned_flows, 100);
		}
		loop_close(&r);
	}
}

/* A worker that finds one of its queues empty must not sleep before it has looked into the others. */
static void
one_worker_keeps_up_with_one_busy_queue_of_many(void **state)
{
	const struct loop_cfg s = {.ports = "50000-50999", .queue_pairs = 16, .ring = 64};
	struct ep_engine_trial t = loop_load(200e3, 200);
	struct ep_engine_count c;
	struct loop r;

	(void)state;
	t.slack_ns = 5 * EP_NS_PER_S;
	t.stream_down = false;
	loop_open(&r, &s);
	loop_trial(&r, &t, false, NULL, NULL);
	loop_assert_clean(&r);
	ep_engine_count(r.engine, INITIATOR, &c);
	assert_int_equal(c.accepted, 40000);
	assert_in_range(c.tx_duration_ns, 199 * EP_NS_PER_MS, 500 * EP_NS_PER_MS);
	loop_close(&r);
}

static void
frames_beyond_the_packet_buffers_are_refused(void **state)
{
	const struct loop_cfg s = {.ports = "50000-50009"};
	struct ep_engine_trial t = loop_load(10e3, 50);
	struct ep_err err = {0};
	struct loop r;

	(void)state;
	loop_open(&r, &s);
	t.sizes = (struct ep_sizes){2, {64, 9018}};
	assert_int_equal(ep_engine_prepare(r.engine, &t, &err), -ERANGE);
	assert_non_null(strstr(err.text, "9018"));
	t.sizes = (struct ep_sizes){2, {64, 1518}};
	loop_trial(&r, &t, false, NULL, NULL);
	loop_assert_clean(&r);
	loop_close(&r);
}

static void
sizes_and_families_and_filler_are_carried(void **state)
{
	static const struct loop_cfg setups[] = {
		{.ports = "50000-50099", .verify_filler = true},
		{.ports = "50000-50099", .verify_filler = true, .ipv6 = true},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(setups); i++) {
		struct ep_engine_trial t = loop_load(20e3, 200);
		struct loop r;
		uint64_t bytes = 0;

		t.sizes = (struct ep_sizes){4, {84, 129, 1518, 200}};
		loop_open(&r, &setups[i]);
		loop_trial(&r, &t, false, NULL, NULL);
		loop_assert_clean(&r);
		for (uint32_t p = 0; p < 100; p++)
			bytes += r.rx[RESPONDER][p].bytes;
		assert_int_equal(bytes, 4000 / 4 * (84 + 129 + 1518 + 200));
		loop_close(&r);
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
	static const struct loop_cfg setups[] = {
		{.ports = "50000-50099", .manual = true, .vlan_id = 0x123, .sources = 2},
		{.ports = "50000-50099", .manual = true, .vlan_id = 0x123, .ipv6 = true},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(setups); i++) {
		struct ep_engine_trial t[2] = {loop_sweep(2), loop_load(20e3, 100)};
		const uint16_t least = setups[i].ipv6 ? 88 : 68;
		struct tagged seen = {0};
		uint64_t bytes = 0;
		struct loop r;

		t[0].sizes = (struct ep_sizes){1, {least}};
		t[1].sizes = (struct ep_sizes){2, {least, 1518}};
		loop_open(&r, &setups[i]);
		for (int k = 0; k < 2; k++) {
			loop_trial(&r, &t[k], true, wire_tagged, &seen);
			loop_assert_clean(&r);
		}
		/* Echoes of a sweep, then both streams of 2,000. */
		assert_int_equal(seen.frames, 2 * 2 * r.space.flow_count + 4000);
		assert_int_equal(seen.other, 0);
		for (uint32_t p = 0; p < 100; p++)
			bytes += r.rx[RESPONDER][p].bytes;
		assert_int_equal(bytes, 2000 / 2 * (least + 1518));
		loop_close(&r);
	}
}

static void
a_frame_without_room_for_its_vlan_tag_is_refused(void **state)
{
	const struct loop_cfg s = {.ports = "50000-50099", .vlan_id = 1};
	struct ep_engine_trial t = loop_load(20e3, 100);
	struct ep_err err = {0};
	struct loop r;

	(void)state;
	loop_open(&r, &s);
	t.sizes = (struct ep_sizes){1, {67}};
	assert_int_equal(ep_engine_prepare(r.engine, &t, &err), -ERANGE);
	assert_non_null(strstr(
		err.text, "frame size 67 B over IPv4 with the tag of VLAN 1; allowed is 68 to "));
	t.sizes = (struct ep_sizes){1, {68}};
	assert_int_equal(ep_engine_prepare(r.engine, &t, &err), 0);
	loop_close(&r);
}

static void
account_equals_the_path_models_count(void **state)
{
	const struct loop_cfg s = {.ports = "50000-50199",
		.sources = 2,
		.impair = "block=50010-50019,drop=2%,dup=1%,reorder=3%"};
	const struct ep_engine_trial t[2] = {loop_sweep(3), loop_load(100e3, 300)};
	uint64_t sent[2][200] = {{0}}, first[2][200] = {{0}}, dup[2][200] = {{0}},
		 reordered[2][200] = {{0}};
	struct loop r;

	(void)state;
	loop_open(&r, &s);
	for (int k = 0; k < 2; k++) {
		loop_trial(&r, &t[k], false, NULL, NULL);
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
	loop_close(&r);
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
	};

	return cmocka_run_group_tests(tests, loop_start_eal, loop_stop_eal);
}
