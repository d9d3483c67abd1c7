#include <ep_acct.h>

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <sim.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t seed;

/* A direction with one flow and one port. */
struct one {
	struct ep_acct_flow flow;
	struct ep_acct_port port;
	struct ep_acct a;
};

static void
one_init(struct one *o)
{
	memset(o, 0, sizeof(*o));
	o->a = (struct ep_acct){&o->flow, &o->port, 1, 1};
}

static enum ep_acct_verdict
one_push(struct one *o, uint64_t seq)
{
	/* Some by the short way, where there is one. */
	if ((seq & 4) != 0 && ep_acct_is_next(&o->flow, (uint32_t)seq)) {
		ep_acct_push_next(&o->flow, &o->port, 64);
		return EP_ACCT_NEW;
	}
	return ep_acct_push(&o->a, 0, 0, (uint32_t)seq, 64);
}

/* Knows every sequence that it has seen. */
struct naive {
	uint64_t *seq;
	size_t count;
	uint64_t newest;
};

static enum ep_acct_verdict
naive_push(struct naive *m, uint64_t seq)
{
	bool again = false;
	enum ep_acct_verdict verdict;

	for (size_t i = 0; i < m->count && !again; i++)
		again = m->seq[i] == seq;
	if (m->count == 0 || seq > m->newest)
		verdict = EP_ACCT_NEW;
	else if (m->newest - seq >= EP_ACCT_WINDOW)
		verdict = EP_ACCT_BEHIND;
	else
		verdict = again ? EP_ACCT_DUP : EP_ACCT_REORDERED;
	if (verdict == EP_ACCT_NEW)
		m->newest = seq;
	m->seq[m->count++] = seq;
	return verdict;
}

/* After 200, sequence 72 is 128 older: just outside the window; 73 is the oldest inside. */
static void
acct_gives_each_push_its_verdict(void **state)
{
	static const struct {
		uint32_t seq;
		enum ep_acct_verdict want;
	} step[] = {
		{5, EP_ACCT_NEW},
		{3, EP_ACCT_REORDERED}, /* never seen, though nothing below 5 was before */
		{5, EP_ACCT_DUP},
		{3, EP_ACCT_DUP},
		{0, EP_ACCT_REORDERED},
		{6, EP_ACCT_NEW},
		{70, EP_ACCT_NEW}, /* by exactly 64 */
		{6, EP_ACCT_DUP},
		{7, EP_ACCT_REORDERED},
		{200, EP_ACCT_NEW}, /* by more than the window */
		{72, EP_ACCT_BEHIND},
		{73, EP_ACCT_REORDERED},
		{73, EP_ACCT_DUP},
		{70, EP_ACCT_BEHIND},
		{72, EP_ACCT_BEHIND},
		{200, EP_ACCT_DUP},
	};
	struct one o;

	(void)state;
	one_init(&o);
	for (size_t i = 0; i < EP_ARRAY_LEN(step); i++)
		assert_int_equal(one_push(&o, step[i].seq), step[i].want);
	assert_int_equal(ep_acct_received(&o.port), EP_ARRAY_LEN(step));
}

/* Fill the window, jump by each distance, then ask for each sequence near its far edge. */
static void
acct_window_moves_by_any_distance(void **state)
{
	(void)state;
	for (uint64_t ahead = 1; ahead <= 2 * EP_ACCT_WINDOW + 2; ahead++) {
		for (uint64_t back = 0; back <= EP_ACCT_WINDOW; back++) {
			const uint64_t newest = 999 + ahead;
			enum ep_acct_verdict want = EP_ACCT_REORDERED;
			struct one o;

			one_init(&o);
			for (uint64_t seq = 500; seq < 1000; seq++)
				one_push(&o, seq);
			assert_int_equal(one_push(&o, newest), EP_ACCT_NEW);
			if (back == EP_ACCT_WINDOW)
				want = EP_ACCT_BEHIND;
			else if (back == 0 || newest - back < 1000)
				want = EP_ACCT_DUP;
			assert_int_equal(one_push(&o, newest - back), want);
		}
	}
}

/* Next sequence of a stream that advances mostly by one, jumps at times, and looks back. */
static uint64_t
stream_next(uint64_t *random, uint64_t newest)
{
	static const uint16_t jump[] = {2, 5, 63, 64, 65, 127, 128, 129, 300};

	switch (sim_below(random, 8)) {
	case 0:
		return newest - sim_below(random, EP_ACCT_WINDOW);
	case 1:
		return newest - sim_below(random, 4);
	case 2:
		return newest - EP_ACCT_WINDOW - sim_below(random, 3) + 1;
	case 3:
		if (sim_chance(random, 0.2))
			return newest + jump[sim_below(random, EP_ARRAY_LEN(jump))];
		return newest + 1 + sim_below(random, 3);
	default:
		return newest + 1;
	}
}

static void
stream_matches_naive_model(uint64_t *random, uint64_t start)
{
	enum { PUSHES = 2000 };
	struct naive m = {.seq = malloc(PUSHES * sizeof(uint64_t))};
	uint64_t count[EP_ACCT_VERDICTS] = {0};
	struct one o;

	one_init(&o);
	/* The flow is where 64-bit sequence `start` has brought it. */
	o.flow.run_next = start;
	m.newest = start;
	for (int i = 0; i < PUSHES; i++) {
		const uint64_t seq = i == 0 ? start : stream_next(random, m.newest);
		const enum ep_acct_verdict want = naive_push(&m, seq);

		assert_int_equal(one_push(&o, seq), want);
		assert_int_equal(ep_acct_next(&o.flow), m.newest + 1);
		count[want]++;
	}
	for (int v = 0; v < EP_ACCT_VERDICTS; v++) {
		assert_true(count[v] > 0);
		assert_int_equal(o.port.count[v], count[v]);
	}
	free(m.seq);
}

static void
acct_agrees_with_a_model_that_remembers_everything(void **state)
{
	uint64_t random = seed;

	(void)state;
	for (int i = 0; i < 20; i++)
		stream_matches_naive_model(&random, 1000 + sim_below(&random, 1000));
}

/* The same with the 32-bit sequence running over, once and many times round. */
static void
acct_agrees_with_the_model_where_32_bits_wrap(void **state)
{
	uint64_t random = seed + 1;

	(void)state;
	for (uint64_t round = 1; round <= 10; round++)
		stream_matches_naive_model(&random, (round << 32) - 1 - sim_below(&random, 500));
}

static void
acct_first_probe_is_taken_as_it_is(void **state)
{
	static const uint32_t first[] = {
		0, 1, 127, 128, INT32_MAX, UINT32_C(0x80000000), UINT32_MAX};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(first); i++) {
		struct one o;

		one_init(&o);
		assert_int_equal(one_push(&o, first[i]), EP_ACCT_NEW);
		assert_int_equal(ep_acct_next(&o.flow), (uint64_t)first[i] + 1);
		assert_int_equal(one_push(&o, first[i]), EP_ACCT_DUP);
	}
}

static void
acct_unwraps_to_the_sequence_nearest_to_next(void **state)
{
	static const struct {
		uint64_t next;
		uint32_t seq32;
		uint64_t want;
	} c[] = {
		{0, 7, 7},
		{0, UINT32_MAX, UINT32_MAX},
		{10, 9, 9},
		{10, UINT32_MAX, UINT32_MAX}, /* -1 does not exist */
		{UINT64_C(0x80000000), 0, 0}, /* as near as 2^32: the older */
		{UINT64_C(0x80000001), 0, UINT64_C(0x100000000)},
		{UINT64_C(0xFFFFFFFF), 0, UINT64_C(0x100000000)},
		{UINT64_C(0x100000000), UINT32_MAX, UINT64_C(0xFFFFFFFF)},
		{UINT64_C(0x100000000), 0, UINT64_C(0x100000000)},
		{UINT64_C(0x500000003), 0xFFFFFFF0, UINT64_C(0x4FFFFFFF0)},
		{UINT64_C(0x4FFFFFFF0), 3, UINT64_C(0x500000003)},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(c); i++)
		assert_int_equal(ep_acct_unwrap(c[i].next, c[i].seq32), c[i].want);
}

static void
acct_counts_each_push_once_on_its_own_port(void **state)
{
	enum { FLOWS = 12, PORTS = 4, PUSHES = 5000 };
	struct ep_acct_flow flow[FLOWS] = {0};
	struct ep_acct_port port[PORTS] = {0};
	struct ep_acct a = {flow, port, FLOWS, PORTS};
	uint64_t random = seed + 2;

	(void)state;
	for (int i = 0; i < PUSHES; i++) {
		struct ep_acct_port want[PORTS];
		const uint32_t f = (uint32_t)sim_below(&random, FLOWS);
		const uint32_t bytes = 64 + (uint32_t)sim_below(&random, 1455);
		enum ep_acct_verdict verdict;

		memcpy(want, port, sizeof(want));
		verdict = ep_acct_push(&a, f, f % PORTS, (uint32_t)sim_below(&random, 1000), bytes);
		want[f % PORTS].count[verdict]++;
		want[f % PORTS].bytes += bytes;
		assert_memory_equal(port, want, sizeof(want));
	}
}

/* One port a flow, so that each flow's truth is compared. Returns how many copies fell behind the window. */
static uint64_t
bounds_contain_truth(const struct sim_cfg *cfg)
{
	struct ep_acct_flow *flow = calloc(cfg->flow_count, sizeof(*flow));
	struct ep_acct_port *port = calloc(cfg->flow_count, sizeof(*port));
	struct ep_acct a = {flow, port, cfg->flow_count, cfg->flow_count};
	uint64_t behind = 0;
	struct sim s;

	sim_run(cfg, &s);
	for (size_t i = 0; i < s.arrival_count; i++)
		ep_acct_push(&a, s.arrival[i].flow, s.arrival[i].flow, s.arrival[i].seq, 64);
	for (uint32_t f = 0; f < cfg->flow_count; f++) {
		const struct sim_truth truth = sim_truth(&s, f);
		struct ep_acct_loss loss;

		assert_int_equal(ep_acct_loss(&port[f], cfg->probe_count, &loss), 0);
		assert_true(loss.min <= truth.lost);
		assert_true(loss.max >= truth.lost);
		assert_true(port[f].count[EP_ACCT_REORDERED] <= truth.reordered);
		assert_true(port[f].count[EP_ACCT_DUP] <= truth.duplicates);
		assert_int_equal(ep_acct_received(&port[f]),
			cfg->probe_count - truth.lost + truth.duplicates);
		behind += port[f].count[EP_ACCT_BEHIND];
		if (port[f].count[EP_ACCT_BEHIND] > 0)
			continue;
		assert_int_equal(loss.min, loss.max);
		assert_int_equal(port[f].count[EP_ACCT_REORDERED], truth.reordered);
		assert_int_equal(port[f].count[EP_ACCT_DUP], truth.duplicates);
	}
	sim_fini(&s);
	free(flow);
	free(port);
	return behind;
}

static void
acct_is_exact_while_delays_stay_inside_the_window(void **state)
{
	static const struct sim_cfg path[] = {
		{0, 1, 300, 0, 0, 0, 1},
		{0, 3, 300, 0.05, 0, 0, 1},
		{0, 3, 300, 0, 0.05, 0.1, 3 * 20},
		{0, 5, 300, 0.3, 0.3, 0.5, 5 * 100},
		{0, 2, 300, 1, 0, 0, 1},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(path); i++) {
		for (uint64_t k = 0; k < 5; k++) {
			struct sim_cfg cfg = path[i];

			cfg.seed = seed + 100 * i + k;
			assert_int_equal(bounds_contain_truth(&cfg), 0);
		}
	}
}

static void
acct_bounds_contain_the_truth_behind_the_window(void **state)
{
	static const struct sim_cfg path[] = {
		{0, 2, 600, 0.02, 0, 0.1, 2 * 300},
		{0, 2, 600, 0.02, 0.1, 0.1, 2 * 400},
		{0, 3, 600, 0.5, 0.5, 0.9, 3 * 500},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(path); i++) {
		for (uint64_t k = 0; k < 5; k++) {
			struct sim_cfg cfg = path[i];

			cfg.seed = seed + 100 * i + k;
			assert_true(bounds_contain_truth(&cfg) > 0);
		}
	}
}

static void
acct_loss_bounds_are_never_below_zero(void **state)
{
	/* 3 missing, but 5 copies behind the window: at least 2 of them were duplicates. */
	const struct ep_acct_port p = {.count = {[EP_ACCT_NEW] = 90,
					       [EP_ACCT_REORDERED] = 7,
					       [EP_ACCT_DUP] = 9,
					       [EP_ACCT_BEHIND] = 5}};
	struct ep_acct_loss loss;

	(void)state;
	assert_int_equal(ep_acct_loss(&p, 100, &loss), 0);
	assert_int_equal(loss.min, 0);
	assert_int_equal(loss.max, 3);
	assert_int_equal(ep_acct_loss(&p, 110, &loss), 0);
	assert_int_equal(loss.min, 8);
	assert_int_equal(loss.max, 13);
}

static void
acct_refuses_more_first_copies_than_were_sent(void **state)
{
	const struct ep_acct_port p = {.count = {[EP_ACCT_NEW] = 90, [EP_ACCT_REORDERED] = 7}};
	struct ep_acct_loss loss = {11, 22};

	(void)state;
	assert_int_equal(ep_acct_loss(&p, 96, &loss), -ERANGE);
	assert_int_equal(loss.min, 11);
	assert_int_equal(loss.max, 22);
	assert_int_equal(ep_acct_loss(&p, 97, &loss), 0);
	assert_int_equal(loss.min, 0);
	assert_int_equal(loss.max, 0);
}

enum { MERGE_PORTS = 7 };

static void
ports_fill(struct ep_acct_port *p, uint64_t *random)
{
	for (int i = 0; i < MERGE_PORTS; i++) {
		for (int v = 0; v < EP_ACCT_VERDICTS; v++)
			p[i].count[v] = sim_below(random, 1000);
		p[i].late = sim_below(random, 1000);
		p[i].wrong_port = sim_below(random, 1000);
		p[i].bytes = sim_random(random) >> 8;
		p[i].echo_refused = sim_below(random, 1000);
	}
}

static void
acct_merge_is_associative_and_commutative(void **state)
{
	struct ep_acct_port a[MERGE_PORTS], b[MERGE_PORTS], c[MERGE_PORTS];
	struct ep_acct_port left[MERGE_PORTS], right[MERGE_PORTS], bc[MERGE_PORTS];
	uint64_t random = seed + 3;

	(void)state;
	ports_fill(a, &random);
	ports_fill(b, &random);
	ports_fill(c, &random);

	memcpy(left, a, sizeof(a)); /* (a + b) + c */
	ep_acct_ports_merge(left, b, MERGE_PORTS);
	ep_acct_ports_merge(left, c, MERGE_PORTS);
	memcpy(bc, c, sizeof(c)); /* (c + b) + a */
	ep_acct_ports_merge(bc, b, MERGE_PORTS);
	memcpy(right, bc, sizeof(bc));
	ep_acct_ports_merge(right, a, MERGE_PORTS);
	assert_memory_equal(left, right, sizeof(left));

	for (int i = 0; i < MERGE_PORTS; i++) {
		assert_int_equal(left[i].count[EP_ACCT_BEHIND],
			a[i].count[EP_ACCT_BEHIND] + b[i].count[EP_ACCT_BEHIND] +
				c[i].count[EP_ACCT_BEHIND]);
		assert_int_equal(left[i].late, a[i].late + b[i].late + c[i].late);
		assert_int_equal(
			left[i].wrong_port, a[i].wrong_port + b[i].wrong_port + c[i].wrong_port);
		assert_int_equal(left[i].bytes, a[i].bytes + b[i].bytes + c[i].bytes);
		assert_int_equal(left[i].echo_refused,
			a[i].echo_refused + b[i].echo_refused + c[i].echo_refused);
	}
}

static void
acct_sum_is_the_merge_of_all_ports(void **state)
{
	struct ep_acct_port p[MERGE_PORTS];
	struct ep_acct_port want = {0};
	struct ep_acct_port sum;
	uint64_t random = seed + 4;

	(void)state;
	ports_fill(p, &random);
	for (int i = 0; i < MERGE_PORTS; i++)
		ep_acct_ports_merge(&want, &p[i], 1);
	sum = ep_acct_ports_sum(p, MERGE_PORTS);
	assert_memory_equal(&sum, &want, sizeof(sum));
	sum = ep_acct_ports_sum(p, 0);
	assert_int_equal(sum.bytes, 0);
}

/*
 * RFC 3550 section 6.4.1 in double. The integer form rounds by at most half a unit of 1/16 ns a step, and a step
 * forgets a sixteenth, so the two stay within 16 x 1/2 x 1/16 ns, plus the one unit that marks a flow with two
 * probes.
 */
static void
acct_jitter_follows_rfc_3550_within_a_nanosecond(void **state)
{
	static const uint32_t spread_ns[] = {1, 2, 50, 1000, 1000000, 200000000};
	uint64_t random = seed + 5;

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(spread_ns); i++) {
		/* The clocks do not agree, and the transit time wraps on the way. */
		const uint32_t offset_ns = UINT32_MAX - spread_ns[i] / 2;
		struct ep_acct_flow f = {0};
		double before_ns = 0;
		double jitter_ns = 0;

		for (int k = 0; k < 2000; k++) {
			const uint32_t transit_ns = (uint32_t)sim_below(&random, spread_ns[i] + 1);

			ep_acct_jitter(&f, offset_ns + transit_ns, k == 0);
			if (k > 0)
				jitter_ns += (fabs(transit_ns - before_ns) - jitter_ns) / 16;
			before_ns = transit_ns;
			assert_true(fabs(f.jitter_ns / 16.0 - jitter_ns) <= 9.0 / 16);
		}
		assert_true(f.jitter_ns > 0);
	}
}

static void
acct_jitter_stops_at_its_largest_value(void **state)
{
	struct ep_acct_flow f = {0};

	(void)state;
	for (uint32_t k = 0; k < 200; k++)
		ep_acct_jitter(&f, k & 1 ? UINT32_C(1) << 31 : 0, k == 0);
	assert_int_equal(f.jitter_ns, UINT32_MAX);
	for (uint32_t k = 0; k < 2000; k++)
		ep_acct_jitter(&f, 7, false);
	assert_true(f.jitter_ns > 0 && f.jitter_ns < 16);
}

static uint64_t
jitter_mean_ns(const struct ep_acct_flow *flows, uint32_t flow_count)
{
	struct ep_acct_jitter jitter = {0};

	ep_acct_jitter_add(&jitter, flows, flow_count);
	return ep_acct_jitter_mean_ns(&jitter);
}

/* Whoever received them: one receiver with many flows weighs more than one with few. */
static void
acct_jitter_mean_is_over_all_flows_of_all_receivers(void **state)
{
	struct ep_acct_flow f[10] = {0};

	(void)state;
	for (uint32_t i = 0; i < EP_ARRAY_LEN(f); i++)
		f[i].jitter_ns = i < 9 ? 160 : 1600;
	for (uint32_t cut = 0; cut <= EP_ARRAY_LEN(f); cut++) {
		struct ep_acct_jitter jitter = {0};

		ep_acct_jitter_add(&jitter, f, cut);
		ep_acct_jitter_add(&jitter, f + cut, EP_ARRAY_LEN(f) - cut);
		assert_int_equal(ep_acct_jitter_mean_ns(&jitter), (9 * 10 + 100) / 10);
	}
}

static void
acct_jitter_mean_leaves_out_flows_with_one_probe(void **state)
{
	struct ep_acct_flow f[4] = {0};

	(void)state;
	assert_int_equal(jitter_mean_ns(f, 4), 0);
	ep_acct_jitter(&f[0], 12345, true);
	assert_int_equal(jitter_mean_ns(f, 4), 0);

	ep_acct_jitter(&f[1], 0, true);
	ep_acct_jitter(&f[1], 1600, false);
	assert_int_equal(jitter_mean_ns(f, 4), 100);

	/* A flow without any variation counts as one with jitter 0. */
	ep_acct_jitter(&f[2], 500, true);
	ep_acct_jitter(&f[2], 500, false);
	assert_int_equal(jitter_mean_ns(f, 4), 50);
}

static bool
window_alike(const struct ep_acct_flow *a, const struct ep_acct_flow *b)
{
	struct ep_acct_flow x = *a, y = *b;

	ep_acct_catch_up(&x);
	ep_acct_catch_up(&y);
	return memcmp(&x, &y, sizeof(x)) == 0;
}

/* The short way for the probe that follows the newest does what the long way does, from any state, for any run of them. */
static void
acct_next_probe_is_pushed_alike_both_ways(void **state)
{
	static const uint32_t runs[] = {1, 2, 63, 64, 65, 127, 128, 129, 32767, 32768, 70000};
	uint64_t random = seed;

	(void)state;
	for (unsigned int i = 0; i < 200; i++) {
		struct ep_acct_flow flow[2] = {0};
		struct ep_acct_port port[2] = {0};
		struct ep_acct a = {&flow[1], &port[1], 1, 1};
		const uint32_t run = i < 5 * EP_ARRAY_LEN(runs)
			? runs[i % EP_ARRAY_LEN(runs)]
			: 1 + (uint32_t)sim_below(&random, 300);

		flow[0].run_next = i == 0 ? 0 : sim_random(&random) >> (17 + (i & 31));
		flow[0].seen[0] = sim_random(&random);
		flow[0].seen[1] = sim_random(&random);
		flow[1] = flow[0];
		for (uint32_t k = 0; k < run; k++) {
			const uint32_t seq32 = (uint32_t)ep_acct_next(&flow[0]);

			assert_true(ep_acct_is_next(&flow[0], seq32));
			assert_false(ep_acct_is_next(&flow[0], seq32 + 1));
			ep_acct_push_next(&flow[0], &port[0], 64 + i);
			assert_int_equal(ep_acct_push(&a, 0, 0, seq32, 64 + i), EP_ACCT_NEW);
		}
		assert_true(window_alike(&flow[0], &flow[1]));
		assert_memory_equal(&port[0], &port[1], sizeof(port[0]));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(acct_gives_each_push_its_verdict),
		cmocka_unit_test(acct_window_moves_by_any_distance),
		cmocka_unit_test(acct_agrees_with_a_model_that_remembers_everything),
		cmocka_unit_test(acct_agrees_with_the_model_where_32_bits_wrap),
		cmocka_unit_test(acct_next_probe_is_pushed_alike_both_ways),
		cmocka_unit_test(acct_first_probe_is_taken_as_it_is),
		cmocka_unit_test(acct_unwraps_to_the_sequence_nearest_to_next),
		cmocka_unit_test(acct_counts_each_push_once_on_its_own_port),
		cmocka_unit_test(acct_is_exact_while_delays_stay_inside_the_window),
		cmocka_unit_test(acct_bounds_contain_the_truth_behind_the_window),
		cmocka_unit_test(acct_loss_bounds_are_never_below_zero),
		cmocka_unit_test(acct_refuses_more_first_copies_than_were_sent),
		cmocka_unit_test(acct_merge_is_associative_and_commutative),
		cmocka_unit_test(acct_sum_is_the_merge_of_all_ports),
		cmocka_unit_test(acct_jitter_follows_rfc_3550_within_a_nanosecond),
		cmocka_unit_test(acct_jitter_stops_at_its_largest_value),
		cmocka_unit_test(acct_jitter_mean_leaves_out_flows_with_one_probe),
		cmocka_unit_test(acct_jitter_mean_is_over_all_flows_of_all_receivers),
	};

	seed = sim_seed(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
