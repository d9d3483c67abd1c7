#pragma once

/** @file Results for tests: the test says what happened on each port, the ledgers follow from that. */

#include <ep_result.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/** Rounds of the sweep that util_trials() puts before the load. */
#define UTIL_SWEEPS 3

/** An empty result over @p ports with a goal of 0.1 %. */
struct ep_result *util_result(const char *ports);

/** Send @p sent probes on every port, all of which arrive. */
void util_fill(struct ep_result *r, enum ep_result_dir dir, uint64_t sent);

/** One direction of one port. */
struct ep_result_port_dir *util_port(struct ep_result *r, uint16_t port, enum ep_result_dir dir);

/** Lose @p count of the probes of each port from @p first to @p last. */
void util_lose(
	struct ep_result *r, enum ep_result_dir dir, uint16_t first, uint16_t last, uint64_t count);

/** Lose all probes of each port from @p first to @p last. */
void util_kill(struct ep_result *r, enum ep_result_dir dir, uint16_t first, uint16_t last);

/** A ledger that closes and says what the ports say. */
struct ep_result_ledger util_ledger(const struct ep_result *r, enum ep_result_dir dir);

/** Add a load trial with util_ledger() of both directions, 1 s long; its place in the list. */
struct ep_result_trial *util_load(struct ep_result *r);

/** Add a sweep of UTIL_SWEEPS probes a port, and a load of the rest. Each port needs that many probes. */
void util_trials(struct ep_result *r);

/** Add a TCP row; required. */
void util_tcp(struct ep_result *r, uint16_t port, const char *phase, const char *status,
	const char *detail);

/** Judge; fails the test without memory. */
void util_judge(struct ep_result *r);

/** Whether a reason, or a warning, contains @p part. */
bool util_has_reason(const struct ep_result *r, const char *part);
bool util_has_warning(const struct ep_result *r, const char *part);

/** EP_TEST_SEED, or a fixed seed; printed. */
uint64_t util_seed(void);

/** Next number of a splitmix64 sequence. */
uint64_t util_random(uint64_t *state);

/** A result over a few hundred ports with random counts that add up, judged. */
struct ep_result *util_random_result(uint64_t *state);
