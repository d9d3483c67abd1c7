/* Devices that take less than they are given, and workers that are kept from their work. */

#include "rig.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* --- Back-pressure ------------------------------------------------------------------------------------------------------- */

/* Whatever the device takes of a burst, each slot is accepted or not sent, and each flow's probes leave in order, none left out. */
static void
a_device_that_takes_some_of_a_burst_loses_none(void **state)
{
	static const struct {
		double rate_pps;
		uint32_t burst_pkts;
		uint16_t take_max;
		bool take_random;
		uint64_t slack_ns;
	} row[] = {
		{100e3, 32, 1, false, EP_NS_PER_S},
		{100e3, 32, 5, true, EP_NS_PER_S},
		{100e3, 1, 1, true, EP_NS_PER_S},
		{2e6, 32, 31, true, EP_NS_PER_MS},
		{2e6, 32, 1, true, 0},
		{500e3, 7, 6, true, 10000},
	};
	uint32_t next_seq[FLOWS];
	struct rig r;

	(void)state;
	rig_open(&r, EP_ENGINE_INITIATOR, 1);
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		struct ep_engine_trial t = plan(row[i].rate_pps, 0.1);

		t.burst_pkts = row[i].burst_pkts;
		t.slack_ns = row[i].slack_ns;
		recorder_reset(r.recorder);
		memset(next_seq, 0, sizeof(next_seq));
		r.recorder->take_max = row[i].take_max;
		r.recorder->take_random = row[i].take_random;
		r.recorder->next_seq = next_seq;
		r.recorder->flow_count = FLOWS;
		run(&r, &t);
		assert_account_closes(&r, (uint64_t)(row[i].rate_pps / 10));
		assert_int_equal(r.recorder->queue[0].bad_count, 0);
		for (uint32_t p = 0; p < FLOWS; p++)
			assert_true(r.sent[p] <= taken(&r) / FLOWS + 1 &&
				r.sent[p] >= taken(&r) / FLOWS);
	}
	rig_close(&r);
}

static void
a_device_that_takes_nothing_is_tried_a_bounded_number_of_times(void **state)
{
	struct ep_engine_trial t = plan(10e3, 0.2);
	struct rig r;

	(void)state;
	t.slack_ns = 20 * EP_NS_PER_MS;
	rig_open(&r, EP_ENGINE_INITIATOR, 1);
	r.recorder->take_max = 0;
	run(&r, &t);
	assert_account_closes(&r, 2000);
	assert_int_equal(r.count.not_sent, 2000);
	/* Each burst that was not taken whole was tried 8 times. */
	assert_int_equal(r.recorder->queue[0].call_count, 8 * r.count.tx_short);
	assert_true(r.count.tx_short > 0);
	assert_int_equal(r.count.tx_duration_ns, 0);
	assert_true(r.pacing.offered_pps == 0);
	rig_close(&r);
}

/* --- Stalls -------------------------------------------------------------------------------------------------------------- */

/* A trial in which this side only receives, for the time of a call. */
static void
receive_while(struct rig *r, void (*fn)(struct rig *r))
{
	struct ep_engine_trial t = plan(1e3, 1);
	struct ep_err err = {0};

	t.stream_up = false;
	t.stream_down = true; /* No address is known: nothing is sent. */
	if (ep_engine_prepare(r->engine, &t, &err) < 0)
		fail_msg("%s", err.text);
	ep_engine_start(r->engine, 0);
	usleep(20000);
	fn(r);
	usleep(20000);
	ep_engine_late(r->engine);
	usleep(5000);
	ep_engine_stop(r->engine);
	ep_engine_pacing(r->engine, 0, &r->pacing);
}

static void
wait_for_the_receive_stall(struct rig *r)
{
	r->recorder->rx_stall_us = 70000;
	__atomic_store_n(&r->recorder->rx_stall_at, r->recorder->rx_count + 10, __ATOMIC_RELEASE);
	usleep(120000);
}

static void
a_receiver_that_was_away_is_seen_while_it_sends_nothing(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r, EP_ENGINE_RESPONDER, 1);
	receive_while(&r, wait_for_the_receive_stall);
	assert_in_range(r.pacing.receive_gap_ns, 70 * EP_NS_PER_MS, EP_NS_PER_S);
	assert_int_equal(r.pacing.loop_gap_ns, 0);
	assert_int_equal(r.pacing.burst_pkts, 0);
	rig_close(&r);
}

static void
wait_a_moment(struct rig *r)
{
	(void)r;
	usleep(50000);
}

/* What happens to the loop before the start and behind the end of the drain is nobody's business. */
static void
a_stall_outside_of_the_trial_is_no_gap(void **state)
{
	struct ep_engine_trial t = plan(1e3, 1);
	struct ep_err err = {0};
	struct rig r;

	(void)state;
	t.stream_up = false;
	rig_open(&r, EP_ENGINE_RESPONDER, 1);
	assert_int_equal(ep_engine_prepare(r.engine, &t, &err), 0);
	wait_for_the_receive_stall(&r);
	ep_engine_stop(r.engine);
	ep_engine_pacing(r.engine, 0, &r.pacing);
	assert_int_equal(r.pacing.receive_gap_ns, 0);
	r.recorder->rx_stall_at = 0;
	receive_while(&r, wait_a_moment);
	assert_true(r.pacing.receive_gap_ns > 0);
	rig_close(&r);
}

/* A thread on the worker's CPU that the kernel prefers to it, for 300 ms. */
static void *
spin(void *arg)
{
	struct timespec start, now;

	(void)arg;
	clock_gettime(CLOCK_MONOTONIC, &start);
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while ((now.tv_sec - start.tv_sec) * 1000000000L + now.tv_nsec - start.tv_nsec <
		300000000L);
	return NULL;
}

/* Whether it could be done. */
static bool
spin_in_front_of_the_workers(int cpu)
{
	const struct sched_param param = {.sched_priority = 10};
	pthread_attr_t attr;
	pthread_t thread;
	cpu_set_t set;
	bool done;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	pthread_attr_init(&attr);
	pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attr, SCHED_FIFO);
	pthread_attr_setschedparam(&attr, &param);
	pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	done = pthread_create(&thread, &attr, spin, NULL) == 0;
	if (done)
		pthread_join(thread, NULL);
	pthread_attr_destroy(&attr);
	return done;
}

static bool spun_;

static void
wait_for_the_spinner(struct rig *r)
{
	(void)r;
	spun_ = spin_in_front_of_the_workers(0);
}

static void
a_worker_whose_cpu_is_taken_is_seen(void **state)
{
	uint64_t gap_ns;
	struct rig r;

	(void)state;
	rig_open(&r, EP_ENGINE_RESPONDER, 1);
	r.recorder->on_cpu_0 = true;
	receive_while(&r, wait_for_the_spinner);
	gap_ns = r.pacing.receive_gap_ns;
	r.recorder->on_cpu_0 = false;
	receive_while(&r, wait_a_moment);
	if (!spun_) {
		rig_close(&r);
		skip(); /* Real-time threads are root's. */
	}
	assert_in_range(gap_ns, 250 * EP_NS_PER_MS, 2 * EP_NS_PER_S);
	rig_close(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_that_takes_some_of_a_burst_loses_none),
		cmocka_unit_test(a_device_that_takes_nothing_is_tried_a_bounded_number_of_times),
		cmocka_unit_test(a_receiver_that_was_away_is_seen_while_it_sends_nothing),
		cmocka_unit_test(a_stall_outside_of_the_trial_is_no_gap),
		cmocka_unit_test(a_worker_whose_cpu_is_taken_is_seen),
	};

	return cmocka_run_group_tests(tests, start_eal, stop_eal);
}
