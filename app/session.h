#pragma once

/**
 * @file
 * The sequence of a run as the initiator drives it (design section 4): sweep, load, drain, collection; the TCP check around it.
 * `everyport loop` has both sides in its engine; `everyport run` has one and a control connection to the other.
 */

#include "account.h"
#include "config.h"
#include "icmp.h"
#include "link.h"
#include "neighbour.h"
#include "steering.h"
#include "way.h"

#include <ep_engine.h>
#include <ep_tcpcheck.h>

enum session_status {
	SESSION_OK,
	SESSION_INTERRUPTED, /**< By the user. */
	SESSION_PEER_LOST,   /**< Control connection ended or silent, or the peer refused. */
	SESSION_FAILED,      /**< A local failure. */
};

/** A run under way. Borrowed members outlive it. */
struct session {
	const struct config *config;
	struct ep_engine *engine;
	struct ep_result *result;
	struct ep_sched space;              /**< The flow space of the engine. */
	struct ep_dev *dev[2];              /**< By engine side. Side 0 is the initiator. */
	const struct steering *steering[2]; /**< Of them. */
	uint32_t side_count;                /**< 1: the far side is behind `link`. */
	struct ep_wire_ends ends[2];        /**< By engine side. */
	struct neighbour_side
		*neighbour;        /**< [side_count]; NULL: the kernel looks after neighbours. */
	struct way *way;           /**< How the device is shared with the kernel; NULL in a loop. */
	struct link *link;         /**< NULL in a loop. */
	struct ep_tcpcheck *check; /**< The fallback check; NULL: none. Taken over. */
	uint8_t session_key[EP_WIRE_SESSION_KEY_BYTES];
	double rate_pps;
	double sweep_rate_pps;
	uint64_t slack_ns;
	struct ep_engine_clock
		*clock; /**< Watched while the run goes on, refined between trials. */

	/* The driver's own. */
	uint32_t trial;
	struct account account[2];            /**< By role: initiator, responder. */
	struct icmp_watch icmp[2];            /**< By role. */
	struct ep_hist *hist[EP_RESULT_LATS]; /**< [block_count] */
	uint32_t block_count;
	uint32_t block_ports;
	struct ep_ctrl_beat peer_beat;
	bool peer_beat_new;         /**< It came at this look around. */
	struct ep_ctrl_event event; /**< The last event that was not a beat. */
	uint64_t trial_start_ns;
	uint64_t next_beat_ns;
	uint64_t next_interval_ns;      /**< 0: none runs. */
	bool interval_last;             /**< The one that runs is the last of the trial. */
	struct ep_result_interval last; /**< Cumulative at the start of the interval. */
	const char *phase;
	uint64_t phase_ns;    /**< Expected length of the phase. */
	bool tcp_during;      /**< The load's trial is on. */
	bool tcp_loading;     /**< Its connects have begun. */
	uint64_t tcp_hold_ns; /**< When the held connections began; 0: not yet. */
	uint64_t tcp_load_ns; /**< When the load did. */
	struct ep_err err;    /**< Why the status is not SESSION_OK. */
};

/** Prepare the driver's own members. @return 0 or -ENOMEM. */
int session_init(struct session *s);
void session_fini(struct session *s);

/** Run all of it. Whatever was measured is in the result, whatever the status. Does not judge. */
enum session_status session_run(struct session *s);

/** Wait for one event of the control connection for at most @p wait_ns. */
enum session_status session_expect(
	struct session *s, enum ep_ctrl_event_kind kind, uint64_t wait_ns);
