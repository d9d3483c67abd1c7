/*
 * Echoes on a device that takes a system call a burst, which the in-memory pair is made to look like here: they leave several bursts at once, each first
 * copy is answered once, and what the device does not take is missed at its own port. A recorder between the responder and its driver
 * counts for itself.
 */

#include "recorder.h"

#include <ep_dev.h>
#include <ep_engine.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PORTS 1000
#define BURST_PKTS 32
#define HELD_PKTS 128
#define LOAD_NS (50 * EP_NS_PER_MS)

void __real_ep_dev_info(const struct ep_dev *dev, struct ep_dev_info *info);
void __wrap_ep_dev_info(const struct ep_dev *dev, struct ep_dev_info *info);

static bool kernel_;
static struct ep_engine_clock clock_;

void
__wrap_ep_dev_info(const struct ep_dev *dev, struct ep_dev_info *info)
{
	__real_ep_dev_info(dev, info);
	info->kernel = kernel_;
}

struct pair {
	struct ep_range range;
	struct ep_dev *dev[2];
	struct ep_engine *engine;
	struct recorder *recorder;
	struct ep_acct_port rx[2][PORTS];
	uint64_t echoes[PORTS]; /* That the responder says its device took. */
	struct ep_engine_count count[2];
};

static struct pair *
pair_open(bool kernel)
{
	const struct ep_sched_cfg space = {.port_count = PORTS,
		.source_count = 1,
		.address_count = 1,
		.source_base = 20000,
		.source_span = 40000,
		.seed = 7};
	const struct ep_dev_cfg dev = {.spec = {.kind = EP_DEV_MEMORY},
		.queue_pairs = 1,
		.ring_descs = 1024,
		.mtu_frame_bytes = 64};
	struct pair *p = calloc(1, sizeof(*p));
	struct ep_engine_cfg cfg = {

		.side_count = 2, .worker_count = 1, .clock = clock_, .floating = true};
	struct ep_dev_info info;
	struct ep_err err = {0};

	kernel_ = kernel;
	cfg.range = &p->range;
	assert_int_equal(ep_range_parse("50000-50999", "ports", &p->range, &err), 0);
	assert_int_equal(ep_sched_init(&cfg.space, &space, &err), 0);
	if (ep_dev_pair_open(&dev, p->dev, NULL, &err) < 0)
		fail_msg("%s", err.text);
	for (uint32_t i = 0; i < 2; i++) {
		struct ep_engine_side_cfg *s = &cfg.side[i];

		s->role = i == 0 ? EP_ENGINE_INITIATOR : EP_ENGINE_RESPONDER;
		s->dev = p->dev[i];
		s->worker_count = 1;
		s->ends.src = (struct ep_wire_ip){EP_WIRE_IPV4, {198, 18, 0, (uint8_t)(i + 1)}};
		s->ends.dst = (struct ep_wire_ip){EP_WIRE_IPV4, {198, 18, 0, (uint8_t)(2 - i)}};
	}
	if (ep_engine_create(&cfg, &p->engine, &err) < 0)
		fail_msg("%s", err.text);
	ep_dev_info(p->dev[1], &info);
	p->recorder = recorder_open(info.port_id, 1);
	return p;
}

static void
pair_close(struct pair *p)
{
	recorder_close(p->recorder);
	ep_engine_destroy(p->engine);
	ep_dev_close(p->dev[1]);
	ep_dev_close(p->dev[0]);
	free(p);
}

enum end { END_QUIET, END_SILENCED, END_STOPPED };

/* Unpaced, so that there is always more to receive. */
static void
load(struct pair *p, enum end end)
{
	const struct ep_engine_trial t = {.key = {1, 2, 3},
		.echo = true,
		.stream_up = true,
		.duration_ns = LOAD_NS,
		.slack_ns = EP_NS_PER_S,
		.sizes = {1, {64}}};
	struct ep_err err = {0};

	if (ep_engine_prepare(p->engine, &t, &err) < 0)
		fail_msg("%s", err.text);
	ep_engine_start(p->engine, 0);
	if (end != END_QUIET) {
		usleep(LOAD_NS / 2000);
		if (end == END_SILENCED)
			ep_engine_silence(p->engine);
	}
	for (int ms = 0; end != END_STOPPED && ms < 20000 && !ep_engine_tx_done(p->engine, 0);
		ms += 5)
		usleep(5000);
	/* A worker that waits for a CPU of a busy machine has not looked yet. */
	if (end != END_STOPPED)
		usleep(100000);
	ep_engine_stop(p->engine);
	memset(p->rx, 0, sizeof(p->rx));
	memset(p->echoes, 0, sizeof(p->echoes));
	for (uint32_t i = 0; i < 2; i++) {
		ep_engine_rx_ports(p->engine, i, p->rx[i]);
		ep_engine_count(p->engine, i, &p->count[i]);
	}
	ep_engine_tx_ports(p->engine, 1, p->echoes);
}

/* Every first copy has been answered or its echo is missed, in all and, where all that was answered has arrived, at each port. */
static void
assert_account_closes(const struct pair *p, bool arrived)
{
	const struct ep_engine_count *c = &p->count[1];

	assert_true(c->first > 0);
	assert_int_equal(c->intended, c->first);
	assert_int_equal(c->accepted + c->not_sent, c->first);
	assert_int_equal(c->accepted, p->recorder->queue[0].taken_pkts);
	for (uint32_t i = 0; arrived && i < PORTS; i++) {
		assert_int_equal(p->rx[0][i].count[EP_ACCT_NEW], p->echoes[i]);
		assert_int_equal(ep_acct_received(&p->rx[0][i]), p->echoes[i]);
	}
}

static void
echoes_leave_several_bursts_at_once(void **state)
{
	struct pair *p = pair_open(true);

	(void)state;
	load(p, END_QUIET);
	assert_account_closes(p, true);
	assert_int_equal(p->count[1].not_sent, 0);
	assert_int_equal(p->recorder->queue[0].max_offered_pkts, HELD_PKTS);
	pair_close(p);
}

static void
other_devices_get_each_burst_at_once(void **state)
{
	struct pair *p = pair_open(false);

	(void)state;
	load(p, END_QUIET);
	assert_account_closes(p, true);
	assert_int_equal(p->recorder->queue[0].max_offered_pkts, BURST_PKTS);
	pair_close(p);
}

static void
an_echo_that_is_refused_is_missed_at_its_port(void **state)
{
	struct pair *p = pair_open(true);

	(void)state;
	p->recorder->take_random = true;
	p->recorder->take_max = 8;
	load(p, END_QUIET);
	assert_account_closes(p, true);
	assert_true(p->count[1].not_sent > 0);
	assert_true(p->count[1].accepted > 0);
	pair_close(p);
}

/* A worker looks at its orders every so many rounds, so what is held then depends on when the holding began. Returns the most that did not
 * leave in a try [packets]. */
static uint64_t
not_sent_at_the_end(enum end end)
{
	uint64_t most = 0;

	for (uint64_t i = 0; i < 8; i++) {
		struct pair *p = pair_open(true);

		p->recorder->rx_empty_after = 9 + i;
		load(p, end);
		assert_account_closes(p, end != END_STOPPED);
		most = p->count[1].not_sent > most ? p->count[1].not_sent : most;
		pair_close(p);
	}
	return most;
}

static void
what_is_held_when_the_engine_stops_is_sent(void **state)
{
	(void)state;
	assert_int_equal(not_sent_at_the_end(END_STOPPED), 0);
}

/* A burst that had arrived and was not answered yet would be no more than one. */
static void
what_is_held_when_silence_comes_does_not_leave(void **state)
{
	(void)state;
	assert_true(not_sent_at_the_end(END_SILENCED) > BURST_PKTS);
}

static int
start_eal(void **state)
{
	const struct ep_dev_eal_cfg cfg = {.memory_mib = 64, .worker_count = 1};
	struct ep_err err = {0};

	(void)state;
	if (ep_dev_eal_init(&cfg, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
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
		cmocka_unit_test(echoes_leave_several_bursts_at_once),
		cmocka_unit_test(other_devices_get_each_burst_at_once),
		cmocka_unit_test(an_echo_that_is_refused_is_missed_at_its_port),
		cmocka_unit_test(what_is_held_when_the_engine_stops_is_sent),
		cmocka_unit_test(what_is_held_when_silence_comes_does_not_leave),
	};

	return cmocka_run_group_tests(tests, start_eal, stop_eal);
}
