#include "slow_util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FLOW 17 /* port index 7 */
#define PORT_INDEX 7

/* The verdict on a copy of exactly the packet's bytes, so that a sanitiser sees a read behind them. */
static enum ep_slow_verdict
verdict_of(const struct util_side *side, const struct util_packet *p, struct ep_slow_quote *quote)
{
	uint8_t *const copy = malloc(p->len > 0 ? p->len : 1);
	enum ep_slow_verdict verdict;

	assert_non_null(copy);
	memcpy(copy, p->bytes, p->len);
	verdict = ep_slow_quote(&side->match, copy, p->len, quote);
	free(copy);
	return verdict;
}

static enum ep_slow_verdict
verdict_on(struct util_side *side, const struct util_error *how, struct ep_slow_quote *quote)
{
	struct util_packet probe, packet;

	util_probe(side, side->tagger, FLOW, 70000, &probe);
	util_error(side, &probe, how, &packet);
	return verdict_of(side, &packet, quote);
}

static void
each_type_and_length_of_quote_gives_port_flow_type_code_and_hop(void **state)
{
	static const struct {
		enum ep_wire_family family;
		struct util_error how;
		enum ep_slow_verdict want;
		uint32_t mtu_bytes;
	} row[] = {
		{EP_WIRE_IPV4, {.type = 3, .code = 13}, EP_SLOW_FLOW, 0},
		{EP_WIRE_IPV4, {.type = 3, .code = 3, .quote_bytes = 28}, EP_SLOW_PORT, 0},
		{EP_WIRE_IPV4, {.type = 3, .code = 3, .quote_bytes = 45}, EP_SLOW_PORT, 0},
		{EP_WIRE_IPV4, {.type = 3, .code = 3, .quote_bytes = 46}, EP_SLOW_FLOW, 0},
		{EP_WIRE_IPV4, {.type = 3, .code = 3, .quote_bytes = 27}, EP_SLOW_FOREIGN, 0},
		{EP_WIRE_IPV4, {.type = 3, .code = 4, .rest = 1400}, EP_SLOW_FLOW, 1400},
		{EP_WIRE_IPV4, {.type = 4}, EP_SLOW_FLOW, 0},
		{EP_WIRE_IPV4, {.type = 11}, EP_SLOW_FLOW, 0},
		{EP_WIRE_IPV4, {.type = 12, .code = 1, .rest = 0x14000000}, EP_SLOW_FLOW, 0},
		{EP_WIRE_IPV4, {.type = 5}, EP_SLOW_OTHER, 0},
		{EP_WIRE_IPV4, {.type = 8}, EP_SLOW_OTHER, 0},
		{EP_WIRE_IPV4, {.type = 3, .option_bytes = 8}, EP_SLOW_FLOW, 0},
		{EP_WIRE_IPV4, {.type = 3, .option_bytes = 40, .quoted_option_bytes = 40},
			EP_SLOW_FLOW, 0},
		{EP_WIRE_IPV4, {.type = 3, .quoted_option_bytes = 8, .quote_bytes = 20 + 8 + 8},
			EP_SLOW_PORT, 0},
		/* RFC 4884: 128 bytes of quote, said in words of 4, and an extension behind. */
		{EP_WIRE_IPV4, {.type = 11, .rest = 32 << 16, .pad_to = 128, .extra_bytes = 12},
			EP_SLOW_FLOW, 0},
		/* Only 32 bytes are the quoted packet, though more follow: what follows is no quote. */
		{EP_WIRE_IPV4, {.type = 11, .rest = 8 << 16}, EP_SLOW_PORT, 0},
		{EP_WIRE_IPV6, {.type = 1, .code = 1}, EP_SLOW_FLOW, 0},
		{EP_WIRE_IPV6, {.type = 1, .code = 4, .quote_bytes = 48}, EP_SLOW_PORT, 0},
		{EP_WIRE_IPV6, {.type = 1, .code = 4, .quote_bytes = 47}, EP_SLOW_FOREIGN, 0},
		{EP_WIRE_IPV6, {.type = 2, .rest = 1280}, EP_SLOW_FLOW, 1280},
		{EP_WIRE_IPV6, {.type = 3}, EP_SLOW_FLOW, 0},
		{EP_WIRE_IPV6, {.type = 4, .code = 1, .rest = 40}, EP_SLOW_FLOW, 0},
		{EP_WIRE_IPV6, {.type = 128}, EP_SLOW_OTHER, 0},
		{EP_WIRE_IPV6, {.type = 1, .option_bytes = 16, .quoted_option_bytes = 24},
			EP_SLOW_FLOW, 0},
		{EP_WIRE_IPV6,
			{.type = 3, .rest = UINT32_C(16) << 24, .pad_to = 128, .extra_bytes = 20},
			EP_SLOW_FLOW, 0},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		struct util_side side;
		struct ep_slow_quote q = {0};

		util_side_init(&side, row[i].family, i % 2 != 0);
		print_message("# row %zu\n", i);
		assert_int_equal(verdict_on(&side, &row[i].how, &q), row[i].want);
		if (row[i].want == EP_SLOW_FLOW || row[i].want == EP_SLOW_PORT) {
			const struct ep_wire_ip hop = util_hop(row[i].family);

			assert_int_equal(q.port_index, PORT_INDEX);
			assert_int_equal(q.type, row[i].how.type);
			assert_int_equal(q.code, row[i].how.code);
			assert_int_equal(q.mtu_bytes, row[i].mtu_bytes);
			assert_true(ep_wire_ip_equal(&q.from, &hop));
			if (row[i].want == EP_SLOW_FLOW)
				assert_int_equal(q.flow, FLOW);
		}
		util_side_fini(&side);
	}
}

static void
a_probe_of_the_trial_before_is_ours_and_one_of_another_key_is_forged(void **state)
{
	const struct util_error how = {.type = 3, .code = 13};
	struct util_packet probe, packet;
	struct ep_slow_quote q;
	struct util_side side;

	(void)state;
	util_side_init(&side, EP_WIRE_IPV4, false);
	util_probe(&side, side.other, FLOW, 1, &probe);
	util_error(&side, &probe, &how, &packet);
	assert_int_equal(verdict_of(&side, &packet, &q), EP_SLOW_FORGED);
	side.match.tagger[1] = side.other;
	assert_int_equal(verdict_of(&side, &packet, &q), EP_SLOW_FLOW);
	side.match.tagger[0] = NULL;
	side.match.tagger[1] = NULL;
	assert_int_equal(verdict_of(&side, &packet, &q), EP_SLOW_PORT);
	util_side_fini(&side);
}

/* A quoted packet that is not ours in one respect each. Offsets are of the quoted packet. */
static void
an_error_about_somebody_elses_packet_is_foreign(void **state)
{
	static const struct {
		size_t at;
		uint8_t byte;
		enum ep_slow_verdict want;
	} row[] = {
		{9, 6, EP_SLOW_FOREIGN},    /* TCP */
		{12, 10, EP_SLOW_FOREIGN},  /* another source */
		{19, 99, EP_SLOW_FOREIGN},  /* another destination */
		{20, 1, EP_SLOW_FOREIGN},   /* a source port below ours */
		{22, 1, EP_SLOW_FOREIGN},   /* a port that is not under test */
		{7, 100, EP_SLOW_FOREIGN},  /* a later fragment */
		{0, 0x46, EP_SLOW_FOREIGN}, /* the UDP header is elsewhere */
		{25, 20, EP_SLOW_FORGED},   /* UDP of 12 bytes is no probe */
		{28, 0x81, EP_SLOW_FORGED}, /* no RTP as ours */
		{29, 98, EP_SLOW_FORGED},   /* what the other side sends */
		{36, 1, EP_SLOW_FORGED},    /* a flow that does not exist */
		{39, 18, EP_SLOW_FORGED},   /* another flow under this tag */
		{33, 18, EP_SLOW_FORGED},   /* another time */
	};
	const struct util_error how = {.type = 3, .code = 1};
	struct util_packet probe, packet;
	struct ep_slow_quote q;
	struct util_side side;

	(void)state;
	util_side_init(&side, EP_WIRE_IPV4, false);
	util_probe(&side, side.tagger, FLOW, 1, &probe);
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		util_error(&side, &probe, &how, &packet);
		assert_int_equal(verdict_of(&side, &packet, &q), EP_SLOW_FLOW);
		assert_int_not_equal(packet.bytes[28 + row[i].at], row[i].byte);
		packet.bytes[28 + row[i].at] = row[i].byte;
		assert_int_equal(verdict_of(&side, &packet, &q), EP_SLOW_OTHER);
		util_icmp_checksum(&packet);
		print_message("# row %zu\n", i);
		assert_int_equal(verdict_of(&side, &packet, &q), row[i].want);
	}
	util_side_fini(&side);
}

static void
a_packet_that_is_cut_broken_or_for_another_host_says_nothing(void **state)
{
	static const enum ep_wire_family family[] = {EP_WIRE_IPV4, EP_WIRE_IPV6};

	(void)state;
	for (size_t f = 0; f < EP_ARRAY_LEN(family); f++) {
		const struct util_error how = {.type = f == 0 ? 3 : 1, .code = 1};
		const size_t to = f == 0 ? 16 : 24;
		struct util_packet probe, packet, cut;
		struct ep_slow_quote q;
		struct util_side side;

		util_side_init(&side, family[f], false);
		util_probe(&side, side.tagger, FLOW, 1, &probe);
		util_error(&side, &probe, &how, &packet);
		for (size_t len = 0; len < packet.len; len++) {
			cut = packet;
			cut.len = len;
			assert_int_equal(verdict_of(&side, &cut, &q), EP_SLOW_OTHER);
		}
		cut = packet;
		memset(cut.bytes + cut.len, 0xEE, 6); /* padding of the link is ignored */
		cut.len += 6;
		assert_int_equal(verdict_of(&side, &cut, &q), EP_SLOW_FLOW);
		cut = packet;
		cut.bytes[to] ^= 1;
		util_icmp_checksum(&cut);
		assert_int_equal(verdict_of(&side, &cut, &q), EP_SLOW_FOREIGN);
		if (f == 0) {
			cut = packet;
			cut.bytes[6] = 0x20; /* more fragments */
			assert_int_equal(verdict_of(&side, &cut, &q), EP_SLOW_OTHER);
		}
		util_side_fini(&side);
	}
}

static void
a_responder_behind_a_nat_need_not_know_where_it_sent(void **state)
{
	const struct util_error how = {.type = 3, .code = 3};
	struct util_packet probe, packet;
	struct ep_slow_quote q;
	struct util_side side;

	(void)state;
	util_side_init(&side, EP_WIRE_IPV4, true);
	util_probe(&side, side.tagger, FLOW, 1, &probe);
	side.match.peer = (struct ep_wire_ip){0};
	probe.bytes[19] = 77; /* the NAT's address */
	probe.bytes[22] = 9;  /* and its port */
	util_error(&side, &probe, &how, &packet);
	assert_int_equal(verdict_of(&side, &packet, &q), EP_SLOW_FLOW);
	assert_int_equal(q.port_index, PORT_INDEX);
	util_side_fini(&side);
}

static void
errors_have_the_names_that_nftables_gives_them(void **state)
{
	(void)state;
	assert_string_equal(ep_slow_icmp_name(EP_WIRE_IPV4, 3, 13), "admin-prohibited");
	assert_string_equal(ep_slow_icmp_name(EP_WIRE_IPV4, 3, 3), "port-unreachable");
	assert_string_equal(ep_slow_icmp_name(EP_WIRE_IPV6, 1, 1), "admin-prohibited");
	assert_string_equal(ep_slow_icmp_name(EP_WIRE_IPV6, 2, 0), "packet-too-big");
	assert_string_equal(ep_slow_icmp_name(EP_WIRE_IPV6, 3, 13), "unassigned");
	assert_string_equal(ep_slow_icmp_name(EP_WIRE_IPV4, 200, 0), "unassigned");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_type_and_length_of_quote_gives_port_flow_type_code_and_hop),
		cmocka_unit_test(
			a_probe_of_the_trial_before_is_ours_and_one_of_another_key_is_forged),
		cmocka_unit_test(an_error_about_somebody_elses_packet_is_foreign),
		cmocka_unit_test(a_packet_that_is_cut_broken_or_for_another_host_says_nothing),
		cmocka_unit_test(a_responder_behind_a_nat_need_not_know_where_it_sent),
		cmocka_unit_test(errors_have_the_names_that_nftables_gives_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
