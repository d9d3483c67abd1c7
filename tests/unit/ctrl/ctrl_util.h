#pragma once

/**
 * @file
 * What the tests of the control protocol share: random messages, and sessions brought to a state.
 */

#include "ctrl_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/** Seeded random numbers (splitmix64). */
struct rng {
	uint64_t state;
};

uint64_t rng_next(struct rng *rng);

/** In [0, count). */
uint64_t rng_below(struct rng *rng, uint64_t count);

/** EP_TEST_SEED, or 1; printed so that a failure can be had again. */
struct rng rng_from_env(void);

/** Trial that session_at() prepares, and its number of ports. */
#define UTIL_TRIAL 5
#define UTIL_PORTS 3

/** A valid message of random content; trial UTIL_TRIAL, reports of UTIL_PORTS ports. Free with body_free(). */
void body_random(struct rng *rng, enum ctrl_msg msg, struct ep_ctrl_event *body);
void body_free(enum ctrl_msg msg, struct ep_ctrl_event *body);
bool body_equal(enum ctrl_msg msg, const struct ep_ctrl_event *a, const struct ep_ctrl_event *b);

/** As many counters of a NIC as there can be, each with the longest name and value. Free with free(). */
struct ep_nic_changes *util_nic_largest(void);

/** The member of an event that is the body of its message. */
static inline void *
body_of(struct ep_ctrl_event *event)
{
	return &event->hello;
}

/** The JSON of a message. */
json_t *util_json(enum ctrl_msg msg, struct ep_ctrl_event *body);

/** Decode text as the message @p msg. A report's arrays are freed when it was good and @p body is NULL. */
int util_decode_text(const char *text, size_t len, enum ctrl_msg msg, struct ep_ctrl_event *body,
	struct ep_err *err);
int util_decode(
	const json_t *object, enum ctrl_msg msg, struct ep_ctrl_event *body, struct ep_err *err);

/** Any JSON value. */
json_t *util_value(const char *text);

/** The message that an event came from; CTRL_MSGS for NONE and FAILED. */
enum ctrl_msg event_msg(enum ep_ctrl_event_kind kind);

/** Call the public function that says @p msg. */
int say_any(struct ep_ctrl *c, enum ctrl_msg msg, struct ep_ctrl_event *body, uint64_t now_ns);

/** Hand @p msg to @p c as the peer would. */
void hear_any(struct ep_ctrl *c, enum ctrl_msg msg, struct ep_ctrl_event *body, uint64_t now_ns);

/** A session of @p role that was brought to @p state at @p now_ns by the shortest exchange; its output is empty. */
struct ep_ctrl *session_at(
	struct rng *rng, enum ep_ctrl_role role, enum ctrl_state state, uint64_t now_ns);
