/*
 * The hot path for callgrind (budget_test.sh): the engine's worker loop and the bare functions, a fixed number of packets, on this
 * thread. Only what runs below a function called measured_... is counted. Prints "INSTRUCTION-SET CASE PACKETS" lines.
 *
 * The linker leads the engine's start of a worker here (--wrap), so that the loop runs when and where this program calls it; what it
 * receives and sends is as in ep_bench.
 */

#include "feed.h"
#include "lib_hot.h"

#include <ep_dev.h>

#include <rte_ethdev.h>
#include <rte_launch.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_ARGS "--no-huge --no-shconf -m 64"
#define PACKETS 20480
#define PASS_PKTS 1024
#define POOL_MBUFS 2048
#define RING_DESCS 256
#define EXIT_ENVIRONMENT 3

/* --- Workers at hand --------------------------------------------------------------------------------------------------------- */

/** The worker that the engine has launched. */
static lcore_function_t *worker_fn;
static void *worker_arg;

int __wrap_rte_eal_remote_launch(lcore_function_t *fn, void *arg, unsigned int lcore_id);
int __wrap_rte_eal_wait_lcore(unsigned int lcore_id);

int
__wrap_rte_eal_remote_launch(lcore_function_t *fn, void *arg, unsigned int lcore_id)
{
	(void)lcore_id;
	worker_fn = fn;
	worker_arg = arg;
	return 0;
}

int
__wrap_rte_eal_wait_lcore(unsigned int lcore_id)
{
	(void)lcore_id;
	return 0;
}

/* --- The end of a loop ------------------------------------------------------------------------------------------------------- */

/** The initiator's receive queue: where the loop is told to end, since nobody else is there to do it. */
struct ender {
	struct rte_eth_fp_ops saved;
	void *queue_data[1];
	struct rig *rig;
	uint64_t (*counter)(void *rig);
	bool ended;
};

static uint16_t
ender_receive(void *queue, struct rte_mbuf **mbuf, uint16_t count)
{
	struct ender *e = queue;

	if (!e->ended && e->counter(e->rig) >= PACKETS) {
		e->ended = true;
		ep_engine_stop(e->rig->engine);
	}
	return e->saved.rx_pkt_burst(e->saved.rxq.data[0], mbuf, count);
}

static void
ender_open(struct ender *e, struct rig *r, uint64_t (*counter)(void *rig))
{
	struct rte_eth_fp_ops *ops = &rte_eth_fp_ops[r->info[RIG_INITIATOR].port_id];

	*e = (struct ender){.saved = *ops, .queue_data = {e}, .rig = r, .counter = counter};
	ops->rxq.data = e->queue_data;
	ops->rx_pkt_burst = ender_receive;
}

static void
ender_close(const struct ender *e)
{
	rte_eth_fp_ops[e->rig->info[RIG_INITIATOR].port_id] = e->saved;
}

/* --- What is counted --------------------------------------------------------------------------------------------------------- */

void measured_tx(void);
void measured_rx(void);
void measured_echo(void);
void measured_perm(struct lib_work *w, lib_burst_fn burst);
void measured_window(struct lib_work *w, lib_burst_fn burst);
void measured_tag(struct ep_wire_tagger *tagger, const struct ep_wire_block *block, uint32_t *tag);

/* A barrier each, so that no two become one. */
#define MEASURED(name) __attribute__((noinline, noclone)) void name

MEASURED(measured_tx)(void)
{
	worker_fn(worker_arg);
	__asm__ volatile("# tx");
}

MEASURED(measured_rx)(void)
{
	worker_fn(worker_arg);
	__asm__ volatile("# rx");
}

MEASURED(measured_echo)(void)
{
	worker_fn(worker_arg);
	__asm__ volatile("# echo");
}

MEASURED(measured_perm)(struct lib_work *w, lib_burst_fn burst)
{
	for (uint32_t i = 0; i < PACKETS / EP_WIRE_BURST; i++)
		burst(w);
	__asm__ volatile("# perm");
}

MEASURED(measured_window)(struct lib_work *w, lib_burst_fn burst)
{
	for (uint32_t i = 0; i < PACKETS / EP_WIRE_BURST; i++)
		burst(w);
	__asm__ volatile("# window");
}

MEASURED(measured_tag)
(struct ep_wire_tagger *tagger, const struct ep_wire_block *block, uint32_t *tag)
{
	for (uint32_t i = 0; i < PACKETS / EP_WIRE_BURST; i++)
		ep_wire_tag_burst(tagger, block, tag, EP_WIRE_BURST);
	__asm__ volatile("# tag");
}

/* --- Cases ------------------------------------------------------------------------------------------------------------------- */

static void
print(const char *name, uint64_t packets)
{
	printf("%s %s %llu\n", lib_choose()->name, name, (unsigned long long)packets);
}

static int
run_tx(const struct bench *b, struct ep_err *err)
{
	const struct rig_cfg cfg = {
		.kind = RIG_SINK, .pool_mbufs = POOL_MBUFS, .ring_descs = RING_DESCS};
	const struct ep_engine_trial trial = rig_trial();
	struct rig *r = NULL;
	struct ender e;
	int ret = rig_open(b, &cfg, &r, err);

	if (ret < 0)
		return ret;
	ender_open(&e, r, rig_accepted);
	ret = rig_begin(r, &trial, err);
	if (ret == 0) {
		measured_tx();
		print("tx", rig_accepted(r));
	}
	ender_close(&e);
	rig_close(r);
	return ret;
}

static int
run_rx(const struct bench *b, bool echo, struct ep_err *err)
{
	const struct rig_cfg cfg = {
		.kind = RIG_SINKS, .pool_mbufs = POOL_MBUFS, .ring_descs = RING_DESCS};
	/* All are warm-up, so that nothing is timed. */
	const struct feed_cfg feed = {.pass_pkts = PASS_PKTS, .warm_passes = UINT32_MAX};
	struct ep_engine_trial trial = rig_trial();
	struct feed *f = NULL;
	struct rig *r = NULL;
	struct ender e;
	int ret = rig_open(b, &cfg, &r, err);

	if (ret < 0)
		return ret;
	trial.stream_up = false;
	trial.echo = echo;
	ender_open(&e, r, rig_first);
	ret = feed_open(b, r, &feed, &f, err);
	if (ret == 0)
		ret = rig_begin(r, &trial, err);
	if (ret == 0) {
		if (echo)
			measured_echo();
		else
			measured_rx();
		print(echo ? "echo" : "rx", rig_first(r));
	}
	feed_close(f);
	ender_close(&e);
	rig_close(r);
	return ret;
}

static int
run_tag(struct ep_err *err)
{
	static const struct ep_wire_block block[EP_WIRE_BURST];
	struct ep_wire_tagger *tagger = NULL;
	uint32_t tag[EP_WIRE_BURST];
	const int ret = ep_wire_tagger_create(probe_key, EP_WIRE_TAG_AUTO, &tagger);

	if (ret < 0)
		return ep_err_set(err, ret, "AES cannot be set up: %s", strerror(-ret));
	measured_tag(tagger, block, tag);
	print("tag", PACKETS);
	ep_wire_tagger_destroy(tagger);
	return 0;
}

static int
run_work(struct ep_err *err)
{
	struct lib_work w = {0};
	int ret = lib_work_init(&w, err);

	if (ret == 0) {
		measured_perm(&w, lib_choose()->perm);
		print("perm", PACKETS);
		measured_window(&w, lib_choose()->window);
		print("window", PACKETS);
	}
	lib_work_fini(&w);
	return ret;
}

int
main(void)
{
	/* Never huge pages, whatever the host has free: callgrind cannot reserve the addresses that EAL then wants. */
	const struct ep_dev_eal_cfg eal = {.worker_count = 1, .extra_args = MEMORY_ARGS};
	struct bench b = {.core_count = 1};
	struct ep_err err = {0};
	int ret = ep_dev_eal_init(&eal, &err);

	if (ret < 0)
		goto out;
	ep_engine_clock_calibrate(&b.clock);
	ret = run_tx(&b, &err);
	if (ret == 0)
		ret = run_rx(&b, false, &err);
	if (ret == 0)
		ret = run_rx(&b, true, &err);
	if (ret == 0)
		ret = run_tag(&err);
	if (ret == 0)
		ret = run_work(&err);
	ep_dev_eal_fini();
out:
	if (ret < 0)
		fprintf(stderr, "ep_instructions: %s\n", err.text);
	return ret < 0 ? EXIT_ENVIRONMENT : EXIT_SUCCESS;
}
