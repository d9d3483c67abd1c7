#pragma once

/**
 * @file
 * The data path: workers that send, receive, account, echo and stream on open devices (design sections 4 and 8).
 *
 * The engine knows one or two sides (both in `everyport loop`). A side is a role on a device. Each worker is one DPDK lcore and
 * serves lanes of each side that it was given. A lane is a share of the side's receive queues and one transmit queue; a flow
 * is sent by one lane and has to arrive at one lane. All calls here
 * are control path, from one thread; workers run between ep_engine_prepare() and ep_engine_stop() only and sleep otherwise.
 *
 *   prepare -> receiving -> start(side) -> sending -> tx_done -> drain -> late -> stop -> results
 *
 * It does not talk to the far side, judge or print.
 */

#include <ep_acct.h>
#include <ep_base.h>
#include <ep_dev.h>
#include <ep_hist.h>
#include <ep_path.h>
#include <ep_range.h>
#include <ep_sched.h>
#include <ep_wire.h>

#include <stdbool.h>
#include <stdint.h>

struct rte_ring;

/** Most latency histograms a direction has: blocks of neighbouring ports. */
#define EP_ENGINE_BLOCKS_MAX 16

/** One look at the time stamp counter and at CLOCK_MONOTONIC_RAW, as good as at the same moment. */
struct ep_engine_reading {
	uint64_t cycles;       /**< Counter, known to width_cycles / 2 either way. */
	uint64_t ns;           /**< CLOCK_MONOTONIC_RAW [ns]. */
	uint64_t width_cycles; /**< How long the look took [cycles]. */
};

/** Most that the clock may be off by for pacing to keep its promise [ppm]. */
#define EP_ENGINE_CLOCK_LIMIT_PPM 20

/**
 * Conversion from the time stamp counter. Calibrated at the start, watched while trials run, refined between them: `hz` and
 * `ns_mult` stay as they are during a trial.
 */
struct ep_engine_clock {
	double hz;            /**< Cycles a second, in use [Hz]. */
	uint64_t base_cycles; /**< Counter at calibration. */
	uint64_t ns_mult;     /**< ns = cycles * ns_mult / 2^32, relative to base_cycles. */
	double error_ppm;     /**< Bound of hz's error, from the reading of the two clocks [ppm]. */
	double drift_ppm; /**< Largest difference that was seen between the frequency of a second and the one in use [ppm]. */
	bool invariant; /**< The CPU promises a constant frequency in every power state. */

	/* The library's own. */
	double refined_hz;        /**< Over the last 30 to 60 s [Hz]. */
	double refined_error_ppm; /**< Bound of refined_hz's error [ppm]. */
	struct ep_engine_reading from, mid, last;
};

/**
 * Calibrate the time stamp counter against CLOCK_MONOTONIC_RAW; takes about 100 ms. rte_get_tsc_hz() of DPDK 22.11 is
 * rounded to 10 MHz and so up to thousands of ppm off.
 */
void ep_engine_clock_calibrate(struct ep_engine_clock *clock);

/** Compare the two clocks again, if the last time was a second ago or more: call it as often as you like while trials run. */
void ep_engine_clock_watch(struct ep_engine_clock *clock);

/** Compare them for the last time, at the end of a run. */
void ep_engine_clock_finish(struct ep_engine_clock *clock);

/** Use from now on what was learned by watching: between trials. See ep_engine_set_clock(). */
void ep_engine_clock_refine(struct ep_engine_clock *clock);

/** A calibration from two readings, @p b after @p a. No clock is read. */
void ep_engine_clock_begin(struct ep_engine_clock *clock, const struct ep_engine_reading *a,
	const struct ep_engine_reading *b);

/** Watching with a reading of the caller's. One that is too near to the last, or too uncertain, is left out. */
void ep_engine_clock_feed(struct ep_engine_clock *clock, const struct ep_engine_reading *now);

/** Counter now [cycles]. */
uint64_t ep_engine_now_cycles(void);

enum ep_engine_role { EP_ENGINE_INITIATOR, EP_ENGINE_RESPONDER };

/** One side. */
struct ep_engine_side_cfg {
	enum ep_engine_role role;
	struct ep_dev *dev; /**< Borrowed until ep_engine_destroy(). */
	struct ep_wire_ends
		ends; /**< Of what it sends. Responder: dst is the family's placeholder, dst_mac the next hop. */
	uint32_t
		first_worker; /**< Workers first_worker to first_worker + worker_count - 1 serve it. */
	uint32_t worker_count; /**< At least 1, at most the device's queue pairs. */
	uint32_t
		lane_count; /**< 0: one a worker; else at most the device's queue pairs, and worker i serves the lanes i, i + worker_count, ... */
	uint16_t
		vlan_id; /**< 802.1Q identifier of what it sends, 1 to 4094; 0: no tag. Frame sizes count the tag. */
	struct rte_ring *
		slow_rx; /**< Frames that are no probes are put here, to be freed by who takes them; NULL: none. */
	struct rte_ring
		*slow_tx; /**< Frames that the side's first worker sends for others; NULL: none. */
	struct rte_ring *
		slow_done; /**< Frames of slow_rx that are done with, which the side's first worker frees: who took them must not be held up, or
			      hold up the workers, in their pool. NULL: none. All three are borrowed. */
};

struct ep_engine_cfg {
	uint32_t side_count; /**< 1 or 2; two sides are one of each role on one clock. */
	struct ep_engine_side_cfg side[2];
	uint32_t worker_count;
	const struct ep_range *range; /**< Borrowed until ep_engine_destroy(). */
	struct ep_sched
		space; /**< The flow space; its addresses are the initiator's own and those that follow it. */
	struct ep_engine_clock clock;
	enum ep_wire_checksum checksum;
	bool floating; /**< Workers yield when idle (no core of their own). */
	bool known_addresses; /**< No NAT is possible (in-memory pair): the responder knows every flow's address beforehand. */
	bool verify_filler; /**< Count a probe with wrong filler as bad_tag. */
	const struct ep_path_cfg *
		path; /**< Model between the two ends of a pair opened with a wire; NULL: none. Borrowed. */
	struct ep_dev_wire wire; /**< With path only. */
	uint64_t seed;           /**< Of the path model. */
};

/** When a probe's time stamp is taken. */
enum ep_engine_stamp {
	EP_ENGINE_STAMP_BURST,  /**< Once a burst. */
	EP_ENGINE_STAMP_PACKET, /**< For each probe, while its burst is built. */
};

/** What a trial does. */
struct ep_engine_trial {
	uint8_t key[EP_WIRE_KEY_BYTES];
	bool echo;            /**< The responder answers each first copy. */
	bool stream_up;       /**< The initiator sends. */
	bool stream_down;     /**< The responder sends its own stream. */
	double rate_pps;      /**< Of each stream; 0: max. */
	uint64_t duration_ns; /**< Of each stream. */
	uint32_t
		rounds; /**< Above 0: a sweep, each flow exactly that many times, up to 3 s late whatever slack_ns. */
	uint32_t
		burst_pkts; /**< At most EP_WIRE_BURST; 0: chosen from each worker's rate (ep_engine_auto_burst()). */
	uint64_t slack_ns; /**< A slot that is later than this is not sent. */
	struct ep_sizes sizes;
	enum ep_engine_stamp stamp;
};

/**
 * Packets a burst where the user names no number: the fewest with which one burst a microsecond is enough. So 1 up to 1 Mpps, 32 from
 * 32 Mpps on and for rate 0 (as fast as possible). A burst holds what is due, and is shorter where the loop comes by more often.
 */
uint32_t ep_engine_auto_burst(double rate_pps);

/** The data path of a session. Opaque. */
struct ep_engine;

/**
 * Make an engine.
 * @return
 *   0, -ENOMEM, -EINVAL (a VLAN above 4094 among others) or -ERANGE (templates: frame too small for the family), with a sentence.
 */
int ep_engine_create(const struct ep_engine_cfg *cfg, struct ep_engine **out, struct ep_err *err);

/** Convert times with this clock from the next ep_engine_prepare() on. */
void ep_engine_set_clock(struct ep_engine *e, const struct ep_engine_clock *clock);

/** Stops if need be. Accepts NULL. */
void ep_engine_destroy(struct ep_engine *e);

/**
 * Set up a trial and let the workers receive. Forgets the counters of the trial before. A down stream goes to the flows whose
 * address is known by now; where that is none, there is no stream.
 * @return
 *   0, -ENOMEM, -EINVAL or -ERANGE (a frame size: too small for the family, or beyond the device's buffers), with a sentence.
 */
int ep_engine_prepare(struct ep_engine *e, const struct ep_engine_trial *trial, struct ep_err *err);

/** Start the stream of a side, if the trial has one for it. */
void ep_engine_start(struct ep_engine *e, uint32_t side);

/** What the side sends goes to this MAC from now on: the next hop has another one. Also while workers run. */
void ep_engine_next_hop(struct ep_engine *e, uint32_t side, const uint8_t mac[6]);

/** Stop sending at once on every side, echoes included. The account stays. */
void ep_engine_silence(struct ep_engine *e);

/** Whether a side's stream has ended (true where it has none). */
bool ep_engine_tx_done(const struct ep_engine *e, uint32_t side);

/** The streams have ended: what the path model holds back is let go. */
void ep_engine_drain(struct ep_engine *e);

/** The drain time is over: what arrives from now on is late. */
void ep_engine_late(struct ep_engine *e);

/** Stop the workers and wait for them. Counters stay readable. */
void ep_engine_stop(struct ep_engine *e);

/** Sums over a side's workers; may be read while they run. */
struct ep_engine_count {
	uint64_t
		intended; /**< Slots of the schedule, so far for an unpaced one; echoes due [packets]. */
	uint64_t accepted; /**< Accepted by the NIC: stream and echoes [packets]. */
	uint64_t not_sent; /**< Slots dropped as too late, echoes refused [packets]. */
	uint64_t first;    /**< First copies received. */
	uint64_t received; /**< All copies accounted. */
	uint64_t late;
	uint64_t bad_tag;
	uint64_t wrong_port;
	uint64_t foreign;
	uint64_t tx_short; /**< Transmit bursts that the NIC did not take whole. */
	uint64_t
		tx_duration_ns; /**< From start to the last probe of the stream, the longest of the workers [ns]. */
	uint64_t
		max_gap_ns; /**< Largest time between two rounds of a worker's loop while the stream ran [ns]. */
	uint64_t learned_flows; /**< Responder: flows whose address is known. */
	uint64_t slow_sent;     /**< Frames of slow_tx that the NIC took. */
	uint64_t
		slow_dropped; /**< Frames that are no probes and found no room in slow_rx, or are of several segments, and frames of slow_tx that the NIC did not take. */
};
void ep_engine_count(const struct ep_engine *e, uint32_t side, struct ep_engine_count *count);

/* After ep_engine_stop(): */

/** How a side's stream was paced and how its workers ran. */
struct ep_engine_pacing {
	uint32_t burst_pkts; /**< Most packets a worker sent at once; 0: the side had no stream. */
	double intended_pps; /**< 0: as fast as possible, or no stream. */
	double offered_pps; /**< From the first departure to the last, summed over the workers; 0: not two. */
	uint64_t largest_gap_ns; /**< Between two departures of a worker's stream [ns]. */
	uint64_t
		loop_gap_ns; /**< Between two rounds of a worker's loop while its stream ran [ns]. */
	uint64_t
		receive_gap_ns; /**< The same from the start of the trial to the end of the drain [ns]. */
};
void ep_engine_pacing(const struct ep_engine *e, uint32_t side, struct ep_engine_pacing *pacing);

/** Add the times between one departure of a worker's stream and the next. */
void ep_engine_departures(const struct ep_engine *e, uint32_t side, struct ep_hist *hist);

/** Add the receiver's counters of a side, [range->port_count]. */
void ep_engine_rx_ports(const struct ep_engine *e, uint32_t side, struct ep_acct_port *ports);

/** Add the probes that the side's NIC accepted, stream and echoes, [range->port_count]. */
void ep_engine_tx_ports(const struct ep_engine *e, uint32_t side, uint64_t *sent);

/** Most receive queues of a side. */
#define EP_ENGINE_QUEUES_MAX 64
/** A port whose queue is not known. */
#define EP_ENGINE_QUEUE_NONE 255

/**
 * What was taken out of each receive queue of a side in the trial, probes and all else [packets]. May be read while workers run.
 *
 * @param[out] pkts
 *   [EP_ENGINE_QUEUES_MAX], by the device's queue number.
 * @return
 *   The number of queues.
 */
uint32_t ep_engine_queues(const struct ep_engine *e, uint32_t side, uint64_t *pkts);

/**
 * At which receive queue the probes to each port arrived: nine of ten of them at least. Seen, not computed. EP_ENGINE_QUEUE_NONE
 * where none arrived, or where the port's flows are spread.
 *
 * @param[out] queue
 *   [range->port_count]
 */
void ep_engine_port_queues(const struct ep_engine *e, uint32_t side, uint8_t *queue);

/** Number of port blocks and the ports in each but the last. */
uint32_t ep_engine_block_count(const struct ep_engine *e, uint32_t *block_ports);

/** Add the one-way (two sides on one clock) or, with @p rtt, the round-trip histogram of a block of a side. */
void ep_engine_hist(
	const struct ep_engine *e, uint32_t side, bool rtt, uint32_t block, struct ep_hist *hist);

/** Mean jitter of what a side received [ns]. */
uint64_t ep_engine_jitter_ns(const struct ep_engine *e, uint32_t side);

/** The path model's counters of the direction that @p side receives, [range->port_count], over the session; NULL without. */
const struct ep_path_port *ep_engine_path_ports(const struct ep_engine *e, uint32_t side);

/** Name of the tag implementation in use. */
const char *ep_engine_tag_name(const struct ep_engine *e);

/** Name of the instruction set that the data path was compiled for: "baseline", "x86-64-v3" or "x86-64-v4". */
const char *ep_engine_isa(const struct ep_engine *e);
