#include <ep_plan.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* "Verifying the RSS Hash Calculation" of Microsoft's driver documentation: its key, and its table. */
static const uint8_t suite_key[40] = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
	0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77,
	0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

static const struct {
	const char *dst;
	uint16_t dport;
	const char *src;
	uint16_t sport;
	uint32_t with_ports, addresses_only;
} suite[] = {
	{"161.142.100.80", 1766, "66.9.149.187", 2794, 0x51ccc178, 0x323e8fc2},
	{"65.69.140.83", 4739, "199.92.111.2", 14230, 0xc626b0ea, 0xd718262a},
	{"12.22.207.184", 38024, "24.19.198.95", 12898, 0x5c2b394a, 0xd2d0a5de},
	{"209.142.163.6", 2217, "38.27.205.30", 48228, 0xafc7327f, 0x82989176},
	{"202.188.127.2", 1303, "153.39.163.191", 44251, 0x10e828a2, 0x5d1809c5},
	{"3ffe:2501:200:3::1", 1766, "3ffe:2501:200:1fff::7", 2794, 0x40207d3d, 0x2cc18cd5},
	{"ff02::1", 4739, "3ffe:501:8::260:97ff:fe40:efab", 14230, 0xdde51bbf, 0x0f0c461c},
	{"fe80::200:f8ff:fe21:67cf", 38024, "3ffe:1900:4545:3:200:f8ff:fe21:67cf", 44251,
		0x02d1feef, 0x4b61e985},
};

static uint64_t
seed_get(void)
{
	const char *text = getenv("EP_TEST_SEED");

	return text != NULL ? strtoull(text, NULL, 0) : 1;
}

static uint32_t
rng_next(uint64_t *rng)
{
	*rng = *rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*rng >> 32);
}

static struct ep_wire_ip
ip_of(const char *text)
{
	struct ep_wire_ip ip;

	assert_int_equal(ep_wire_ip_parse(text, &ip, NULL), 0);
	return ip;
}

/* A NIC with a key of somebody's, and its queues taking turns. */
static struct ep_plan_rss
rss_with(const uint8_t *key, uint32_t key_bytes, uint32_t reta_count, uint16_t queues)
{
	struct ep_plan_rss rss;

	assert_int_equal(ep_plan_rss_init(&rss, key_bytes, reta_count, 0, queues, NULL), 0);
	if (key != NULL)
		memcpy(rss.key, key, key_bytes);
	return rss;
}

static void
rss_hash_equals_the_published_suite(void **state)
{
	struct ep_plan_rss rss = rss_with(suite_key, sizeof(suite_key), 128, 1);

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(suite); i++) {
		const struct ep_plan_tuple tuple = {
			.src = ip_of(suite[i].src),
			.dst = ip_of(suite[i].dst),
			.sport = suite[i].sport,
			.dport = suite[i].dport,
		};

		rss.hash = EP_PLAN_HASH_PORTS;
		assert_int_equal(ep_plan_rss_hash(&rss, &tuple), suite[i].with_ports);
		rss.hash = EP_PLAN_HASH_ADDRESSES;
		assert_int_equal(ep_plan_rss_hash(&rss, &tuple), suite[i].addresses_only);
	}
}

static void
rss_queue_is_the_entry_of_the_low_bits(void **state)
{
	struct ep_plan_rss rss = rss_with(suite_key, sizeof(suite_key), 128, 1);
	const struct ep_plan_tuple tuple = {
		ip_of("66.9.149.187"), ip_of("161.142.100.80"), 2794, 1766};

	(void)state;
	rss.reta[0x78] = 5; /* 0x51ccc178 mod 128 */
	assert_int_equal(ep_plan_rss_queue(&rss, &tuple), 5);
	rss.reta_count = 512;
	rss.reta[0x178] = 9;
	assert_int_equal(ep_plan_rss_queue(&rss, &tuple), 9);
}

static void
rss_init_lets_queues_take_turns(void **state)
{
	struct ep_plan_rss rss;
	uint32_t seen[EP_PLAN_QUEUES_MAX] = {0};

	(void)state;
	assert_int_equal(ep_plan_rss_init(&rss, 52, 512, 4, 6, NULL), 0);
	assert_int_equal(rss.key_bytes, 52);
	for (uint32_t i = 0; i < rss.reta_count; i++)
		seen[rss.reta[i]]++;
	for (uint32_t q = 0; q < EP_PLAN_QUEUES_MAX; q++)
		assert_true(q >= 4 && q < 10 ? seen[q] == 85 || seen[q] == 86 : seen[q] == 0);
}

static void
rss_init_refuses_what_no_nic_has(void **state)
{
	static const struct {
		uint32_t key_bytes, reta_count;
		uint16_t first, count;
		const char *shown;
	} row[] = {
		{39, 128, 0, 2, "39 B"},
		{65, 128, 0, 2, "65 B"},
		{40, 0, 0, 2, "0 entries"},
		{40, 100, 0, 2, "100 entries"},
		{40, 8192, 0, 2, "8192 entries"},
		{40, 128, 0, 0, "0 queues"},
		{40, 4, 0, 5, "5 queues"},
		{40, 128, 60, 5, "5 queues from 60"},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		struct ep_plan_rss rss;
		struct ep_err err = {0};

		assert_int_equal(ep_plan_rss_init(&rss, row[i].key_bytes, row[i].reta_count,
					 row[i].first, row[i].count, &err),
			-EINVAL);
		assert_non_null(strstr(err.text, row[i].shown));
		assert_non_null(strstr(err.text, "allowed"));
	}
}

/* The answer to a probe: the tuple with its ends swapped. */
static struct ep_plan_tuple
answer_of(const struct ep_plan_tuple *probe)
{
	return (struct ep_plan_tuple){
		.src = probe->dst, .dst = probe->src, .sport = probe->dport, .dport = probe->sport};
}

static void
rss_mirror_brings_each_answer_to_the_queue_of_its_probe(void **state)
{
	static const char *const pair[][2] = {
		{"192.0.2.1", "198.51.100.77"}, {"2001:db8::1", "2001:db8:7::9"}};
	uint64_t rng = seed_get();

	(void)state;
	for (size_t p = 0; p < EP_ARRAY_LEN(pair); p++) {
		for (uint16_t queues = 1; queues <= 16; queues++) {
			const struct ep_plan_rss up = rss_with(NULL, 40, 128, queues);
			struct ep_plan_tuple probe = {
				.src = ip_of(pair[p][0]), .dst = ip_of(pair[p][1])};
			struct ep_plan_rss down;

			assert_int_equal(
				ep_plan_rss_mirror(&up, &probe.src, &probe.dst, &down, NULL), 0);
			for (int i = 0; i < 500; i++) {
				struct ep_plan_tuple answer;

				probe.sport = (uint16_t)rng_next(&rng);
				probe.dport = (uint16_t)rng_next(&rng);
				answer = answer_of(&probe);
				assert_int_equal(ep_plan_rss_queue(&down, &answer),
					ep_plan_rss_queue(&up, &probe));
			}
		}
	}
}

static void
rss_mirror_needs_a_key_that_repeats_and_ports(void **state)
{
	const struct ep_wire_ip a = ip_of("192.0.2.1"), b = ip_of("192.0.2.2");
	struct ep_plan_rss up = rss_with(suite_key, sizeof(suite_key), 128, 4);
	struct ep_plan_rss down;
	struct ep_err err = {0};

	(void)state;
	assert_int_equal(ep_plan_rss_mirror(&up, &a, &b, &down, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "repeat"));
	up = rss_with(NULL, 40, 128, 4);
	up.hash = EP_PLAN_HASH_ADDRESSES;
	assert_int_equal(ep_plan_rss_mirror(&up, &a, &b, &down, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "ports"));
}

/* --- Source ports ---------------------------------------------------------------------------------------------------- */

struct spread {
	struct ep_range range;
	struct ep_plan_sources sources;
};

static int
spread_create(void **state)
{
	*state = calloc(1, sizeof(struct spread));
	return *state != NULL ? 0 : -1;
}

static int
spread_destroy(void **state)
{
	free(*state);
	return 0;
}

/* Shares counted anew, flow by flow, with the hash of the suite's test and nothing of the search. */
static double
off_ratio_of(const struct ep_plan_sources_cfg *cfg, const struct ep_plan_sources *sources,
	const struct ep_plan_rss *rss, bool answers, uint16_t queues)
{
	uint32_t seen[EP_PLAN_QUEUES_MAX] = {0};
	const double mean = (double)cfg->range->port_count * cfg->source_count / queues;
	double off = 0;

	for (uint32_t source = 0; source < cfg->source_count; source++) {
		for (uint32_t i = 0; i < cfg->range->port_count; i++) {
			struct ep_plan_tuple tuple = {
				.src = cfg->initiator,
				.dst = cfg->responder,
				.sport = (uint16_t)(sources->source_base +
					(i + source) % sources->source_span),
				.dport = cfg->range->port[i],
			};

			assert_true(tuple.sport >= cfg->source_first &&
				tuple.sport <= cfg->source_last);
			if (answers)
				tuple = answer_of(&tuple);
			seen[ep_plan_rss_queue(rss, &tuple)]++;
		}
	}
	for (uint16_t q = 0; q < queues; q++) {
		const double ratio = seen[q] / mean;

		off = ratio - 1 > off ? ratio - 1 : off;
		off = 1 - ratio > off ? 1 - ratio : off;
	}
	return off;
}

/* Both directions of the default range over NICs with the two keys, at each number of queues. */
static void
assert_even(struct spread *s, const uint8_t *up_key, const uint8_t *down_key, const char *initiator,
	const char *responder)
{
	static const uint16_t queues[] = {2, 3, 4, 8, 16};

	for (size_t i = 0; i < EP_ARRAY_LEN(queues); i++) {
		const struct ep_plan_rss up = rss_with(up_key, 40, 128, queues[i]);
		const struct ep_plan_rss down = rss_with(down_key, 40, 512, queues[i]);
		const struct ep_plan_sources_cfg cfg = {
			.range = &s->range,
			.source_count = 1,
			.address_count = 1,
			.initiator = ip_of(initiator),
			.responder = ip_of(responder),
			.up = &up,
			.down = &down,
			.source_first = 20000,
			.source_last = 64999,
		};
		double off;

		assert_int_equal(ep_plan_sources_make(&cfg, &s->sources, NULL), 0);
		off = off_ratio_of(&cfg, &s->sources, &up, false, queues[i]);
		assert_true(off <= 0.02);
		assert_true(off - s->sources.up.off_ratio < 1e-9);
		assert_true(s->sources.up.off_ratio - off < 1e-9);
		off = off_ratio_of(&cfg, &s->sources, &down, true, queues[i]);
		assert_true(off <= 0.02);
		assert_true(off - s->sources.down.off_ratio < 1e-9);
		assert_true(s->sources.down.off_ratio - off < 1e-9);
	}
}

static void
sources_spread_10001_flows_within_2_percent_both_ways(void **state)
{
	struct spread *s = *state;
	uint64_t rng = seed_get();
	uint8_t key[2][40];

	assert_int_equal(ep_range_parse("50000-60000", "--ports", &s->range, NULL), 0);
	assert_int_equal(s->range.port_count, 10001);
	assert_even(s, suite_key, suite_key, "198.18.0.1", "198.18.1.1");
	assert_even(s, suite_key, suite_key, "2001:2::1", "2001:2:0:1::1");
	assert_even(s, NULL, NULL, "198.18.0.1", "198.18.1.1");
	assert_even(s, NULL, suite_key, "198.18.0.1", "198.18.1.1");
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < sizeof(key); i++)
			key[i / 40][i % 40] = (uint8_t)rng_next(&rng);
		assert_even(s, key[0], key[1], "198.18.0.1", "198.18.1.1");
	}
}

static void
sources_with_a_mirror_meet_their_answers_at_the_same_queue(void **state)
{
	struct spread *s = *state;
	const struct ep_plan_rss up = rss_with(NULL, 40, 128, 16);
	struct ep_plan_rss down;
	struct ep_plan_sources_cfg cfg = {
		.range = &s->range,
		.source_count = 3,
		.address_count = 1,
		.initiator = ip_of("198.18.0.1"),
		.responder = ip_of("198.18.1.1"),
		.up = &up,
		.down = &down,
		.source_first = 20000,
		.source_last = 64999,
	};

	assert_int_equal(ep_range_parse("50000-60000", "--ports", &s->range, NULL), 0);
	assert_int_equal(ep_plan_rss_mirror(&up, &cfg.initiator, &cfg.responder, &down, NULL), 0);
	assert_int_equal(ep_plan_sources_make(&cfg, &s->sources, NULL), 0);
	assert_true(s->sources.same_queue_ratio == 1);
	assert_true(s->sources.up.off_ratio <= 0.02 && s->sources.down.off_ratio <= 0.02);
	assert_int_equal(s->sources.source_span, 10003);

	/* Without one, about as many as chance gives. */
	down = rss_with(suite_key, 40, 128, 16);
	assert_int_equal(ep_plan_sources_make(&cfg, &s->sources, NULL), 0);
	assert_true(s->sources.same_queue_ratio < 0.2);
}

static void
sources_say_when_shares_stay_uneven(void **state)
{
	struct spread *s = *state;
	struct ep_plan_rss up = rss_with(NULL, 40, 128, 8);
	const struct ep_plan_sources_cfg cfg = {
		.range = &s->range,
		.source_count = 1,
		.address_count = 1,
		.initiator = ip_of("198.18.0.1"),
		.responder = ip_of("198.18.1.1"),
		.up = &up,
		.source_first = 20000,
		.source_last = 64999,
	};

	assert_int_equal(ep_range_parse("50000-60000", "--ports", &s->range, NULL), 0);
	up.hash = EP_PLAN_HASH_ADDRESSES; /* All flows share one queue. */
	assert_int_equal(ep_plan_sources_make(&cfg, &s->sources, NULL), 0);
	assert_true(s->sources.up.max_ratio == 8);
	assert_int_equal(s->sources.up.queue_count, 8);
	assert_int_equal(s->sources.down.queue_count, 0);
	assert_non_null(strstr(s->sources.reason, "700.00 %"));
	assert_non_null(strstr(s->sources.reason, "down not known"));

	/* A key that repeats every 16 bits knows sport XOR dport only. */
	up = rss_with(NULL, 40, 128, 16);
	for (uint32_t i = 0; i < up.key_bytes && i < sizeof(up.key); i++)
		up.key[i] = i % 2 == 0 ? 0x6d : 0x5a;
	assert_int_equal(ep_plan_sources_make(&cfg, &s->sources, NULL), 0);
	assert_true(s->sources.up.off_ratio > 0.02);
}

static void
sources_of_many_addresses_and_all_ports_are_counted_whole(void **state)
{
	struct spread *s = *state;
	const struct ep_plan_rss up = rss_with(suite_key, 40, 512, 5);
	const struct ep_plan_sources_cfg cfg = {
		.range = &s->range,
		.source_count = 2,
		.address_count = 7,
		.initiator = ip_of("198.18.0.254"), /* A carry on the way. */
		.responder = ip_of("198.18.1.1"),
		.up = &up,
		.source_first = 1024,
		.source_last = 65535,
	};
	struct ep_plan_sources_cfg one = cfg;
	uint64_t want[EP_PLAN_QUEUES_MAX] = {0};

	assert_int_equal(ep_range_parse("1-65535", "--ports", &s->range, NULL), 0);
	assert_int_equal(ep_plan_sources_make(&cfg, &s->sources, NULL), 0);
	assert_int_equal(s->sources.source_base, 1024);
	assert_int_equal(s->sources.source_span, 64512);
	one.address_count = 1;
	for (uint32_t a = 0; a < cfg.address_count; a++) {
		struct ep_plan_sources alone;

		one.initiator = ip_of(a < 2 ? "198.18.0.254" : "198.18.1.0");
		one.initiator.bytes_be[3] = (uint8_t)(a < 2 ? 254 + a : a - 2);
		assert_int_equal(ep_plan_sources_make(&one, &alone, NULL), 0);
		for (uint32_t q = 0; q < EP_PLAN_QUEUES_MAX; q++)
			want[q] += alone.up.flow_count[q];
	}
	assert_memory_equal(want, s->sources.up.flow_count, sizeof(want));
	assert_true(s->sources.up.off_ratio < 0.02);
}

static void
sources_refuse_what_cannot_be(void **state)
{
	struct spread *s = *state;
	struct ep_plan_rss rss = rss_with(NULL, 40, 128, 2);
	const struct ep_plan_sources_cfg good = {
		.range = &s->range,
		.source_count = 1,
		.address_count = 1,
		.initiator = ip_of("198.18.0.1"),
		.responder = ip_of("198.18.1.1"),
		.up = &rss,
		.source_first = 20000,
		.source_last = 20009,
	};
	struct ep_plan_sources_cfg cfg = good;
	struct ep_err err = {0};

	assert_int_equal(ep_range_parse("50000-60000", "--ports", &s->range, NULL), 0);
	assert_int_equal(ep_plan_sources_make(&cfg, &s->sources, NULL), 0);
	cfg.source_count = 11;
	assert_int_equal(ep_plan_sources_make(&cfg, &s->sources, &err), -EINVAL);
	assert_non_null(strstr(err.text, "1 to 10"));
	cfg = good;
	cfg.responder = ip_of("2001:2::1");
	assert_int_equal(ep_plan_sources_make(&cfg, &s->sources, &err), -EINVAL);
	assert_non_null(strstr(err.text, "IPv6"));
	cfg = good;
	cfg.source_first = 0;
	assert_int_equal(ep_plan_sources_make(&cfg, &s->sources, &err), -EINVAL);
	cfg = good;
	rss.reta_count = 96;
	assert_int_equal(ep_plan_sources_make(&cfg, &s->sources, &err), -EINVAL);
	assert_non_null(strstr(err.text, "96 entries"));
	rss.reta_count = 128;
	rss.reta[7] = EP_PLAN_QUEUES_MAX;
	assert_int_equal(ep_plan_sources_make(&cfg, &s->sources, &err), -EINVAL);
	assert_non_null(strstr(err.text, "queue 64"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rss_hash_equals_the_published_suite),
		cmocka_unit_test(rss_queue_is_the_entry_of_the_low_bits),
		cmocka_unit_test(rss_init_lets_queues_take_turns),
		cmocka_unit_test(rss_init_refuses_what_no_nic_has),
		cmocka_unit_test(rss_mirror_brings_each_answer_to_the_queue_of_its_probe),
		cmocka_unit_test(rss_mirror_needs_a_key_that_repeats_and_ports),
		cmocka_unit_test(sources_spread_10001_flows_within_2_percent_both_ways),
		cmocka_unit_test(sources_with_a_mirror_meet_their_answers_at_the_same_queue),
		cmocka_unit_test(sources_say_when_shares_stay_uneven),
		cmocka_unit_test(sources_of_many_addresses_and_all_ports_are_counted_whole),
		cmocka_unit_test(sources_refuse_what_cannot_be),
	};

	print_message("# EP_TEST_SEED=%ju\n", (uintmax_t)seed_get());
	return cmocka_run_group_tests(tests, spread_create, spread_destroy);
}
