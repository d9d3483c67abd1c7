#pragma once

/**
 * @file
 * What the files of the result library share: the state of one judgement and its sentences.
 */

#include "ep_result.h"

/** Doubles such as 0.001 are a hair off; a limit that is a whole number of packets must not lose one to that. */
#define RESULT_ROUNDING (1 + 1e-12)

/** What is known about one direction while it is judged. */
struct result_judge_dir {
	bool used;      /**< A trial sent in this direction, as far as is known. */
	bool any_valid; /**< At least one trial: what never arrived in the whole run is dead. */
	bool all_valid; /**< Every trial: loss may be judged. */
	uint64_t
		allowance; /**< Most of what was lost that a cloud's allowance may have taken [packets]. */
};

/** One judgement under way. */
struct result_judge {
	struct ep_result *r;
	struct result_judge_dir dir[EP_RESULT_DIRS];
	struct ep_result_totals
		totals[EP_RESULT_DIRS]; /**< Filled once the ports have their verdicts. */
	bool invalid;
	bool failed;
	int ret; /**< First error of memory, or 0. */
};

/** Whether a port is to be named in a list. */
typedef bool (*result_port_fn)(const struct ep_result_port *port, enum ep_result_dir dir);

/** Format the ports that @p want chooses as ranges. As ep_range_format(). */
size_t result_ports_format(const struct ep_result *r, enum ep_result_dir dir, result_port_fn want,
	char *buf, size_t len);

/** Most own shortfall with which a trial's loss can be judged [packets]. */
uint64_t result_shortfall_allowed(const struct ep_result *r, uint64_t intended);

/** Say why a trial cannot be used: its counters, and what they may be at most. */
void result_reason_shortfall(
	struct result_judge *j, const struct ep_result_trial *t, enum ep_result_dir dir);

/** "our" or "the far side's": whose the sender or the receiver of a direction is. */
const char *result_whose(const struct ep_result *r, enum ep_result_dir dir, bool sender);

/** Whether a trial's loss is the path's for all that its receiver's pauses say; says why not (stall.c). */
bool result_stall_check(
	struct result_judge *j, const struct ep_result_trial *t, enum ep_result_dir dir);

/** Sum the trials' receive queues up. */
void result_queues_sum(struct ep_result *r);

/** Whether a direction's loss is the path's for all that the receiver's queues say; says why not (queues.c). */
bool result_queues_check(struct result_judge *j, enum ep_result_dir dir);

/** Warn where a load was not offered at the rate that was meant. @return 0 or -ENOMEM. */
int result_pacing_warn(
	struct ep_result *r, const struct ep_result_trial *t, enum ep_result_dir dir);

/** Fill what the counters of the NICs say into each trial's ledgers (nic.c). */
void result_nic_ledgers(struct ep_result *r);

/** How much of a loss an allowance may have taken [packets]. */
uint64_t result_nic_explained(const struct ep_result_ledger *l);

/** Whether a loss is above the goal only with what an allowance may have taken. */
bool result_nic_hides(const struct ep_result *r, uint64_t sent, uint64_t lost, uint64_t explained);

/** "our NIC dropped 12 packets (rx_out_of_buffer: ...)"; "" where it did not. */
void result_nic_own_text(const struct ep_result *r, const struct ep_result_trial *t,
	enum ep_result_dir dir, char *buf, size_t len);

/** Say that the loss of a direction is an allowance's: the run is invalid. */
void result_nic_reason(struct result_judge *j, enum ep_result_dir dir);

/** Warn where an allowance was exceeded in a direction. @return 0 or -ENOMEM. */
int result_nic_warn(struct ep_result *r, enum ep_result_dir dir, uint64_t explained);

/** Say what failed in a direction: dead ports, untested ports, lossy ports, total loss. */
void result_reason_direction(struct result_judge *j, enum ep_result_dir dir);

/** Say which required TCP ports are not open. */
void result_reason_tcp(struct result_judge *j);

/** Say what a pass has shown. */
void result_reason_pass(struct result_judge *j);

/** Add a sentence that makes the run invalid. */
void result_say_invalid(struct result_judge *j, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
