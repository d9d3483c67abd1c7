#pragma once

/**
 * @file
 * An engine on both ends of the in-memory pair: real mbufs, no huge pages, no root. The test itself can be the wire between the
 * two, so that it knows the truth about every packet.
 */

#include <ep_dev.h>
#include <ep_engine.h>

#include <stdbool.h>
#include <stdint.h>

#define INITIATOR 0
#define RESPONDER 1

struct rte_mbuf;

/** EP_TEST_SEED, or 1. */
extern uint64_t loop_seed;

/** What a test wants of the pair. */
struct loop_cfg {
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
struct loop {
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

/** The test as the wire: called for each packet that leaves `from`. Returns false where it keeps (or freed) the packet. */
typedef bool (*wire_fn)(void *ctx, uint32_t from, struct rte_mbuf *m);

/** Fails the test where it cannot be had. */
void loop_open(struct loop *r, const struct loop_cfg *s);
void loop_close(struct loop *r);

/** Be the wire for all that has left; a NULL function keeps nothing. */
void loop_pump(struct loop *r, wire_fn fn, void *ctx);

/** Let that many milliseconds pass, as the wire where there is one; (wire_fn)-1: all the same not. */
void loop_settle(struct loop *r, unsigned int ms, wire_fn fn, void *ctx);

/** Whether both streams are over. */
bool loop_sent_all(const struct loop *r);

/** Prepare a trial; fails the test where it is refused. */
void loop_prepare(struct loop *r, const struct ep_engine_trial *t);

/** Stop the engine and take its ports' counters. */
void loop_collect(struct loop *r);

/** A whole trial, with the test as the wire where the loop is a manual one. */
void loop_trial(
	struct loop *r, const struct ep_engine_trial *t, bool manual, wire_fn fn, void *ctx);

/** A load both ways, and a sweep up that is answered. */
struct ep_engine_trial loop_load(double rate_pps, uint64_t ms);
struct ep_engine_trial loop_sweep(uint32_t rounds);

uint64_t loop_sum(const uint64_t *v, uint32_t n);

/** On each port and in each direction everything that was sent arrived once, in order. */
void loop_assert_clean(const struct loop *r);

/** What was intended was accepted or not sent, and what was accepted is the ports' sum. */
void loop_assert_counts_close(const struct loop *r);

/** Group set-up and tear-down: DPDK with four floating workers. */
int loop_start_eal(void **state);
int loop_stop_eal(void **state);
