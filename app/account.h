#pragma once

/**
 * @file
 * One side's account of a trial, whether measured here or reported by the far side, and how it becomes part of the result.
 */

#include "steering.h"

#include <ep_ctrl.h>
#include <ep_dev.h>
#include <ep_engine.h>
#include <ep_result.h>

/** What a side counted in one trial. */
struct account {
	struct ep_ctrl_totals totals;
	uint32_t port_count;
	struct ep_acct_port *rx; /**< [port_count] as receiver. */
	uint64_t *tx;            /**< [port_count] probes its NIC accepted. */
	bool has_pacing;         /**< `pacing` is there: not from an older responder. */
	struct ep_ctrl_pacing pacing;
	struct ep_ctrl_queues queues; /**< As receiver; count 0: not told. */
	uint8_t *
		port_queue; /**< [port_count] receive queue of each port, or EP_RESULT_QUEUE_NONE. */
	struct ep_dev_stats base;      /**< Device counters when the trial was prepared. */
	struct ep_nic_sample nic_base; /**< The same of the counters by name. */
	struct ep_nic_changes nic;     /**< By how much these grew in the trial. */
};

/** @return 0 or -ENOMEM. */
int account_init(struct account *a, uint32_t port_count);
void account_fini(struct account *a);

/** Remember the device's counters: call before ep_engine_prepare(). */
void account_begin(struct account *a, struct ep_dev *dev);

/** Read everything after ep_engine_stop(). */
void account_collect(struct account *a, const struct ep_engine *e, uint32_t side,
	struct ep_dev *dev, const struct ep_engine_clock *clock);

/** Note how packets got to the side's receive queues. */
void account_steering(struct account *a, const struct steering *steering);

/** Put the sender's part of a direction into the result. */
void account_add_tx(struct ep_result *r, struct ep_result_trial *t, enum ep_result_dir dir,
	const struct ep_ctrl_totals *totals, const uint64_t *tx);

/** Put the receiver's part of a direction into the result; the sender's part of the trial comes first. */
void account_add_rx(struct ep_result *r, struct ep_result_trial *t, enum ep_result_dir dir,
	const struct ep_ctrl_totals *totals, const struct ep_acct_port *rx);

/** Put into the result what came out of the receive queues of the receiver of a direction. @return 0 or -ENOMEM. */
int account_add_queues(struct ep_result *r, struct ep_result_trial *t, enum ep_result_dir dir,
	const struct account *a);

/** Put into the result how a side was paced, which sends in @p dir, and whether it was ever away as the receiver of the other one. */
void account_add_pacing(struct ep_result_trial *t, enum ep_result_dir dir, const struct account *a);
