/* A receiver that was away: harmless where nothing was lost, and the end of a verdict where the loss may be its own. */

#include "result_util.h"

#include <stdio.h>

#define PORTS "50000-50999"
#define SENT 100
#define FLOWS 1000
#define RATE_PPS 100000

/** One load of which the receiver up was away. */
struct stall {
	uint64_t gap_ns;
	uint64_t drain_ns;
	uint64_t ring_pkts;
	uint64_t lost;   /* On as many ports. */
	uint64_t behind; /* Of those, copies behind the window. */
	double rate_pps;
	const char *reason; /* NULL: valid. */
};

static struct ep_result *
stall_result(const struct stall *s)
{
	struct ep_result *r = util_result(PORTS);
	struct ep_result_trial *t;

	r->max_loss_ratio = 0.5;
	util_fill(r, EP_RESULT_UP, SENT);
	util_fill(r, EP_RESULT_DOWN, SENT);
	if (s->lost > 0)
		util_lose(r, EP_RESULT_UP, 50000, (uint16_t)(50000 + s->lost - 1), 1);
	t = util_load(r);
	t->rate_pps = s->rate_pps;
	t->drain_ns = s->drain_ns;
	t->flow_count = FLOWS;
	t->ledger[EP_RESULT_UP].lost_min -= s->behind;
	t->receiver[EP_RESULT_UP] = (struct ep_result_receiver){
		.known = true, .gap_ns = s->gap_ns, .ring_pkts = s->ring_pkts};
	return r;
}

static void
receiver_that_was_away_makes_a_loss_invalid_that_may_be_its_own(void **state)
{
	/* 2048 packets at 100 kpps are 20.48 ms; 128 probes of each of 1000 flows 1.28 s. */
	static const struct stall row[] = {
		{.gap_ns = 300000000, .drain_ns = 2000000000, .lost = 10, .rate_pps = RATE_PPS},
		{.gap_ns = 2000000000, .drain_ns = 2000000000, .lost = 10, .rate_pps = RATE_PPS},
		{2000000001, 2000000000, 0, 10, 0, RATE_PPS,
			"invalid: up: our receiver was away for 2 s, longer than the drain time (2 "
			"s)"},
		{.gap_ns = 3000000000, .drain_ns = 2000000000, .lost = 0, .rate_pps = RATE_PPS},
		{20000000, 2000000000, 2048, 10, 0, RATE_PPS, NULL},
		{21000000, 2000000000, 2048, 10, 0, RATE_PPS,
			"invalid: up: our receiver was away for 21 ms, longer than its ring holds "
			"at "
			"this rate (20.48 ms)"},
		{21000000, 2000000000, 2048, 0, 0, RATE_PPS, NULL},
		/* As fast as possible: 100,000 probes in 1 s. */
		{21000000, 2000000000, 2048, 10, 0, 0, "its ring holds at this rate (20.48 ms)"},
		{1200000000, 2000000000, 0, 10, 5, RATE_PPS, NULL},
		{1300000000, 2000000000, 0, 10, 5, RATE_PPS,
			"longer than the sequence windows cover at this rate (1.28 s)"},
		{1300000000, 2000000000, 0, 10, 0, RATE_PPS, NULL},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		struct ep_result *r = stall_result(&row[i]);

		util_judge(r);
		if ((row[i].reason == NULL) != r->trial[0].valid ||
			(row[i].reason != NULL && !util_has_reason(r, row[i].reason)))
			fail_msg("row %zu: %s", i, r->reason[0]);
		assert_int_equal(r->verdict == EP_RESULT_INVALID, row[i].reason != NULL);
		assert_int_equal(r->loss_judged[EP_RESULT_UP], row[i].reason == NULL);
		ep_result_destroy(r);
	}
}

static void
receiver_whose_pauses_are_not_known_is_not_judged_by_them(void **state)
{
	const struct stall s = {.gap_ns = UINT64_MAX, .lost = 10, .rate_pps = RATE_PPS};
	struct ep_result *r = stall_result(&s);

	(void)state;
	r->trial[0].receiver[EP_RESULT_UP].known = false;
	util_judge(r);
	assert_true(r->trial[0].valid);
	ep_result_destroy(r);
}

static void
stream_that_was_not_offered_at_its_rate_is_warned_of(void **state)
{
	static const struct {
		const char *kind;
		double intended_pps, offered_pps;
		bool warned;
	} row[] = {
		{"load", 100e3, 100e3, false},
		{"load", 100e3, 100.9e3, false},
		{"load", 100e3, 94e3, true},
		{"load", 100e3, 102e3, true},
		{"load", 0, 94e3, false},  /* as fast as possible */
		{"load", 100e3, 0, false}, /* too few to tell */
		{"sweep", 100e3, 94e3, false},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		const struct stall s = {.drain_ns = EP_NS_PER_S, .rate_pps = RATE_PPS};
		struct ep_result *r = stall_result(&s);

		snprintf(r->trial[0].kind, sizeof(r->trial[0].kind), "%s", row[i].kind);
		r->trial[0].pacing[EP_RESULT_UP] = (struct ep_result_pacing){.known = true,
			.burst_pkts = 1,
			.intended_pps = row[i].intended_pps,
			.offered_pps = row[i].offered_pps};
		util_judge(r);
		assert_int_equal(util_has_warning(r,
					 "offered on average instead of 100 kpps: our "
					 "sender was behind"),
			row[i].warned);
		assert_int_equal(r->warning_count, row[i].warned);
		ep_result_destroy(r);
		/* One that dropped its late slots is told as that. */
		r = stall_result(&s);
		r->trial[0].pacing[EP_RESULT_UP] = (struct ep_result_pacing){
			.known = true, .burst_pkts = 1, .intended_pps = 1, .offered_pps = 2};
		r->trial[0].ledger[EP_RESULT_UP].not_sent = 1;
		r->trial[0].ledger[EP_RESULT_UP].intended++;
		util_judge(r);
		assert_int_equal(r->warning_count, 0);
		ep_result_destroy(r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(receiver_that_was_away_makes_a_loss_invalid_that_may_be_its_own),
		cmocka_unit_test(receiver_whose_pauses_are_not_known_is_not_judged_by_them),
		cmocka_unit_test(stream_that_was_not_offered_at_its_rate_is_warned_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
