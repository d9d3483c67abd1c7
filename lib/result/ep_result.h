#pragma once

/**
 * @file
 * The result of a run as plain data (design section 7), the ledger that must close, and the verdict.
 *
 * Filled by the app from the counters of both sides, then judged here, then rendered by ep_report. No I/O, no clock.
 */

#include <ep_base.h>
#include <ep_hist.h>
#include <ep_nic.h>
#include <ep_plan.h>
#include <ep_range.h>
#include <ep_slow.h>

#include <stdbool.h>
#include <stdint.h>

enum ep_result_dir { EP_RESULT_UP, EP_RESULT_DOWN, EP_RESULT_DIRS };

/** The two hosts, or in a loop the two devices. */
enum ep_result_side { EP_RESULT_INITIATOR, EP_RESULT_RESPONDER, EP_RESULT_SIDES };

enum ep_result_verdict {
	EP_RESULT_PASS,
	EP_RESULT_FAIL,
	EP_RESULT_INVALID,
	EP_RESULT_INTERRUPTED,
};

enum ep_result_port_verdict { EP_RESULT_PORT_OK, EP_RESULT_PORT_LOSSY, EP_RESULT_PORT_DEAD };

/**
 * Where every probe of one direction ended [packets].
 *
 * Each part comes from another host: the sender's part (intended, accepted, not_sent, nic_tx, oerrors), the receiver's part (nic_rx
 * to foreign), and what needs both (lost_min, lost_max). Where a part is not known its counters mean nothing. A zero-initialised
 * ledger is one of which nothing is known.
 */
struct ep_result_ledger {
	uint64_t intended; /**< accepted + not_sent. */
	uint64_t accepted; /**< Accepted by the sender's NIC. */
	uint64_t not_sent; /**< Not sent in time, or refused by the sender's NIC. */
	uint64_t nic_tx;   /**< What the sender's NIC says it sent. */
	uint64_t
		nic_rx; /**< What the receiver's NIC saw: delivered + imissed + ierrors + rx_nombuf. */
	uint64_t
		imissed; /**< Dropped by the receiver's NIC or its ring: our receiver was too slow. */
	uint64_t ierrors;    /**< Refused as broken by the receiver's NIC. */
	uint64_t rx_nombuf;  /**< Dropped because our receiver had no buffer. */
	uint64_t received;   /**< First copies + duplicates. */
	uint64_t duplicates; /**< Copies behind the window are counted here (see lost_min). */
	uint64_t reordered;  /**< First copies that were overtaken. */
	uint64_t late;       /**< Arrived after the drain time; lost in the account. */
	uint64_t bad_tag;    /**< Looked like a probe, but its tag did not verify. */
	uint64_t wrong_port; /**< Ours, but its port was rewritten; lost in the account. */
	uint64_t foreign;    /**< Not a probe. */
	uint64_t lost_min;   /**< lost_max, less what was behind the window. */
	uint64_t lost_max;   /**< accepted - first copies. */
	uint64_t oerrors;    /**< Sender's NIC: accepted, then not sent (own shortfall). */
	/* Filled by ep_result_judge() from the counters of the NICs. In none of the sums: other traffic of the hosts is in them. */
	uint64_t
		nic_dropped; /**< Dropped by a host itself, by its NIC's counters, beyond what is counted above. */
	uint64_t allowance; /**< Delayed or dropped by a cloud's allowance of an instance. */
	bool sender_known;  /**< The sender's part is meant; false where its counters never came. */
	bool receiver_known; /**< The receiver's part is meant; false where its counters never came. */
	bool nic_known; /**< The counters of one NIC at least were read: nic_dropped and allowance are meant. */
};

/** One port in one direction [packets]. */
struct ep_result_port_dir {
	uint64_t sent;
	uint64_t received; /**< First copies + duplicates. */
	uint64_t lost;     /**< Upper bound: sent - first copies. */
	uint64_t duplicates;
	uint64_t reordered;
	uint64_t late;
	uint64_t wrong_port;
	double p_value; /**< Of the loss under the goal (with what an allowance took in it); see ep_stat_binomial_tail(). Filled by ep_result_judge(). */
	enum ep_result_port_verdict verdict; /**< Filled by ep_result_judge(). */
};

struct ep_result_port {
	struct ep_result_port_dir dir[EP_RESULT_DIRS];
};

/** Latency of one kind; count 0 when there is none. */
struct ep_result_latency {
	uint64_t count;
	uint64_t min_ns, p50_ns, p90_ns, p99_ns, p999_ns, max_ns, jitter_ns;
	bool has_jitter;
};

enum ep_result_latency_kind {
	EP_RESULT_LAT_UP,
	EP_RESULT_LAT_DOWN,
	EP_RESULT_LAT_RTT,
	EP_RESULT_LATS
};

/** Latency of a block of neighbouring ports. */
struct ep_result_latency_block {
	uint16_t first_port, last_port;
	struct ep_result_latency lat[EP_RESULT_LATS];
};

/** How the stream of one direction was paced. */
struct ep_result_pacing {
	bool known; /**< The direction had a stream of its own (echoes are none), and its sender measured it. */
	uint32_t burst_pkts; /**< Most packets sent at once. */
	double intended_pps; /**< 0: as fast as possible. */
	double offered_pps; /**< Achieved, from the first departure to the last; 0: not two departures. */
	struct ep_result_latency
		departures;      /**< Times from one departure to the next, without jitter. */
	uint64_t largest_gap_ns; /**< Largest of them, without the limit of the histogram [ns]. */
	uint64_t loop_gap_ns;    /**< Largest pause of the sending worker's loop [ns]. */
};

/** The receiver of one direction: whether it was ever away for so long that what it counted as lost may be its own. */
struct ep_result_receiver {
	bool known;
	uint64_t
		gap_ns; /**< Largest pause of its loop, from the start to the end of the drain [ns]. */
	uint64_t
		ring_pkts; /**< What its rings hold, where what they drop is not counted as imissed; else 0. */
};

/** Most receive queues of a device. */
#define EP_RESULT_QUEUES_MAX EP_PLAN_QUEUES_MAX
/** A port whose receive queue is not known. */
#define EP_RESULT_QUEUE_NONE 255

/** What was taken out of each receive queue of the receiver of a direction. */
struct ep_result_queues {
	uint32_t count;                          /**< Queues; 0: not known. */
	uint64_t received[EP_RESULT_QUEUES_MAX]; /**< [count] Probes and all else [packets]. */
};

/** How packets got to the receive queues of the receiver of a direction, in the whole run. */
struct ep_result_spread {
	char steering[EP_PLAN_TEXT_BYTES]; /**< The way that was chosen, and why; "": not known. */
	double expected_ratio; /**< Fullest queue's share / mean share, by computation; 0: not known. */
	uint8_t *
		port_queue; /**< [range->port_count] Queue that each port's probes arrived at, or EP_RESULT_QUEUE_NONE; NULL: not known. Owned. */
	struct ep_result_queues sum; /**< Of the trials. Filled by ep_result_judge(). */
	struct ep_plan_suspect
		suspect; /**< A queue that loss follows. Filled by ep_result_judge(). */
	const char *
		unjudged; /**< Why it cannot be told whether the loss follows a queue; NULL: it can, or there is none. As suspect. */
};

/** One trial. */
struct ep_result_trial {
	char kind[16]; /**< "sweep" or "load". */
	char direction
		[8]; /**< "echo", "up", "down", "both": says which ledgers count (echo and both: two). */
	double rate_pps;      /**< Intended, per direction; 0 for max. */
	uint64_t duration_ns; /**< Of sending, as measured. */
	struct ep_result_ledger ledger[EP_RESULT_DIRS];
	uint64_t bytes[EP_RESULT_DIRS]; /**< Received frame bytes with FCS [B]. */
	uint64_t
		max_gap_ns[EP_RESULT_DIRS]; /**< Largest pause of the sending worker's loop [ns]. */
	struct ep_result_pacing pacing[EP_RESULT_DIRS];
	struct ep_result_receiver receiver[EP_RESULT_DIRS];
	struct ep_result_queues queues[EP_RESULT_DIRS];
	struct ep_nic_changes
		nic[EP_RESULT_SIDES]; /**< By how much the counters of each NIC grew. */
	uint64_t drain_ns;            /**< Wait for the last probes [ns]. */
	uint64_t flow_count; /**< Flows, each with a sequence window of its own; 0: not known. */
	bool valid;          /**< Filled by ep_result_judge(). */
};

/** Every second of the run, both directions. */
struct ep_result_interval {
	uint64_t start_ns; /**< Since the start of the trial [ns]. */
	uint32_t trial;    /**< Index of the trial. */
	uint64_t duration_ns;
	uint64_t sent[EP_RESULT_DIRS];
	uint64_t received[EP_RESULT_DIRS]; /**< First copies. */
};

/** Causes of failure that are counted apart. */
#define EP_RESULT_CAUSES_MAX 12

/** How often something ended in one way. */
struct ep_result_cause {
	char status[16]; /**< As ep_result_tcp.status; "" ends the list. */
	uint64_t count;
};

/** What a TLS handshake showed. */
struct ep_result_tls {
	bool known;
	char version[16];
	char alpn[32];
	char subject[128];
	char issuer[128];
	int32_t days_left; /**< Negative: it has expired [days]. */
	bool verified;
	char verify_text[96];
};

/** Connects at a rate, open loop. */
struct ep_result_connects {
	bool known;
	uint64_t attempts;
	uint64_t failures;             /**< What the path or the peer failed. */
	uint64_t own_failures;         /**< What this host failed: no port, no descriptor. */
	uint64_t late;                 /**< Attempts that this host began more than 100 ms late. */
	double p50_ms, p99_ms, max_ms; /**< 0: none was open. */
	struct ep_result_cause cause[EP_RESULT_CAUSES_MAX];
};

/** A connection that was held through the run. */
struct ep_result_held {
	bool known;
	double held_s;
	uint64_t sent, answered; /**< Messages, one a second. */
	uint32_t stalls;
	double longest_silence_s;
	double event_s; /**< When it broke or fell silent, from its beginning [s]; negative: never. */
	double load_s;   /**< The same from the beginning of the load; may be negative [s]. */
	bool by_service; /**< The service ended it in an orderly way. */
};

/** Many connections to one port. */
struct ep_result_capacity {
	bool known;
	uint32_t wanted, established, held, answered, acknowledged, lost_held;
	struct ep_result_cause cause[EP_RESULT_CAUSES_MAX]; /**< Of connects that failed. */
	double rate_hz;                                     /**< Established a second. */
	double p50_ms, p99_ms, max_ms;
	double answer_p50_ms, answer_p99_ms, answer_max_ms;
	uint64_t memory_bytes; /**< Of this program for them [B]. */
};

/** Idle connections of one age. */
struct ep_result_idle {
	bool known;
	double age_s;
	uint32_t connections, alive, reset, lost, closed, failed;
	double closed_s; /**< When the first was closed by the service; 0: none [s]. */
	double reset_s;  /**< When the first was reset unasked; 0: none [s]. */
};

/** A row of the fallback check. Zero-initialised parts are not known. */
struct ep_result_tcp {
	char transport[8]; /**< "tcp", "udp"; "" is "tcp". */
	uint16_t port;
	char check
		[16]; /**< "connect", "http", "tls", "turn-tls", "ice-tcp", "stun", "turn", "held", "capacity", "idle". */
	char phase[16];    /**< "alone", "before", "during", "after". */
	char status[16];   /**< "open", or what was the matter: see docs/results.md. */
	bool required;     /**< Whether not being open fails the run. */
	double connect_ms; /**< Negative: none. */
	double tls_ms;     /**< 0: none. */
	double answer_ms;  /**< 0: none. */
	char reply[128];
	char mapped[64]; /**< Our address as the far side sees it; "" where it did not say. */
	char detail[256];
	char advice[512]; /**< What to do where it is not open. */
	bool has_icmp;
	uint8_t icmp_type, icmp_code;
	struct ep_result_tls tls;
	struct ep_result_connects connects;
	struct ep_result_held held;
	struct ep_result_capacity capacity;
	struct ep_result_idle idle;
};

/** A key with a value, for config{} and host{}. */
struct ep_result_pair {
	char key[48];
	char value[256];
	bool is_number; /**< Render the value as a JSON number. */
};

/** What the --impair model did, beside what was measured. */
struct ep_result_impair_port {
	uint64_t seen[EP_RESULT_DIRS], lost[EP_RESULT_DIRS], duplicates[EP_RESULT_DIRS],
		reordered[EP_RESULT_DIRS];
};

/** Sums of one direction over the ports, as totals{} shows them. Valid after ep_result_judge(). */
struct ep_result_totals {
	uint64_t sent, received, lost, duplicates, reordered, late, wrong_port; /**< [packets] */
	double loss_ratio;  /**< lost / sent over all ports; 0 where nothing was sent. */
	uint64_t live_sent; /**< Sent on the ports that are not dead [packets]. */
	uint64_t
		live_lost; /**< Lost on the ports that are not dead: what the goal is compared with [packets]. */
	uint32_t tested_count; /**< Ports with sent > 0. */
	uint32_t dead_count;
	uint32_t lossy_count;
	uint64_t
		min_sent; /**< Fewest probes that a tested port got; 0 where none is tested [packets]. */
	double ruled_out_ratio; /**< Loss of a single port that min_sent probes cannot miss, at EP_STAT_ALPHA / ports. */
	bool has_rate; /**< A load was received in this direction: the two rates are meant. */
	double pps;    /**< Received in the load trials [packets/s]. */
	double bps;    /**< The same at layer 1 (frame + 20 B) [bits/s]. */
};

/** The exception path of a device that no kernel owns: what went between it and the kernel beside the probes [frames]. */
struct ep_result_exception {
	bool known;           /**< There is one. */
	char interface[16];   /**< Of the kernel. */
	char kind[16];        /**< "tap". */
	uint64_t to_kernel;   /**< Taken by the kernel. */
	uint64_t from_kernel; /**< Sent by it, and taken by the device or for it. */
	uint64_t filtered; /**< Probes, and others to their ports, that the kernel was not shown. */
	uint64_t other_vlan; /**< Not shown to it because they had not the tag of --vlan. */
	uint64_t dropped;    /**< For want of room. */
};

/** What the tester alone can do on this host, measured by everyport doctor before, and what this run did of it. */
struct ep_result_ceiling {
	bool known;
	double pps; /**< Sent and received by the tester alone, over a perfect path [packets/s]. */
	double run_pps;    /**< The same of this run's load [packets/s]. */
	char device[64];   /**< What was looped over, in words. */
	char measured[40]; /**< When: RFC 3339. */
};

/** The whole result. Arrays are owned by it: ep_result_create() and _destroy(). */
struct ep_result {
	char tool_version[32];
	char dpdk_version[64];
	char command[16];                     /**< "loop", "run", "tcp". */
	char started[40];                     /**< RFC 3339, UTC. */
	struct ep_range *range;               /**< Owned copy. */
	struct ep_result_port *port;          /**< [range->port_count]. */
	struct ep_result_impair_port *impair; /**< [range->port_count], NULL without --impair. */
	struct ep_slow_icmp *icmp
		[EP_RESULT_DIRS]; /**< ICMP errors about probes of a direction; NULL: not looked for. */
	struct ep_result_spread spread[EP_RESULT_DIRS]; /**< Over receive queues. */
	struct ep_result_ledger ledger[EP_RESULT_DIRS]; /**< Sum of the trials. */
	uint64_t bytes[EP_RESULT_DIRS];                 /**< Sum of the trials [B]. */
	struct ep_result_latency latency[EP_RESULT_LATS];
	struct ep_result_latency_block *block;
	uint32_t block_count;
	struct ep_result_trial *trial;
	uint32_t trial_count;
	struct ep_result_interval *interval;
	uint32_t interval_count;
	struct ep_result_tcp *tcp;
	uint32_t tcp_count;
	struct ep_result_pair *config;
	uint32_t config_count;
	struct ep_result_pair *host;
	uint32_t host_count;
	struct ep_result_exception exception; /**< Of host{}. */
	char (*reason)[512];                  /**< Sentences. */
	uint32_t reason_count;
	char (*warning)[512]; /**< What may have affected the result. */
	uint32_t warning_count;
	struct ep_result_ceiling ceiling;
	double max_loss_ratio; /**< The goal. */
	bool dead_judged
		[EP_RESULT_DIRS]; /**< Whether "dead" could be judged. Filled by ep_result_judge(). */
	bool loss_judged
		[EP_RESULT_DIRS]; /**< Whether "lossy" and the goal could be. Filled by ep_result_judge(). */
	bool aborted;             /**< Set before judging: the run did not reach its end. */
	enum ep_result_verdict verdict; /**< Filled by ep_result_judge(). */
};

/** Make an empty result over a copy of @p range. @return 0 or -ENOMEM. */
int ep_result_create(const struct ep_range *range, struct ep_result **out);

/** Free all. Accepts NULL. */
void ep_result_destroy(struct ep_result *r);

/** Make room for the model's counts: r->impair becomes [port_count] zeros. @return 0 or -ENOMEM. */
int ep_result_add_impair(struct ep_result *r);

/** Make room for ICMP errors: r->icmp[dir] becomes an empty account, unless there is one. @return 0 or -ENOMEM. */
int ep_result_add_icmp(struct ep_result *r, enum ep_result_dir dir);

/**
 * Note at which receive queue the probes to each port arrived in a trial; what an earlier trial told of a port is kept where this
 * one does not know.
 *
 * @param queue
 *   [range->port_count] queue, or EP_RESULT_QUEUE_NONE. Borrowed for the call.
 * @return
 *   0 or -ENOMEM.
 */
int ep_result_add_port_queues(struct ep_result *r, enum ep_result_dir dir, const uint8_t *queue);

/** Fullest queue's share / mean share; NAN where there are not two queues, or nothing arrived. */
double ep_result_queues_ratio(const struct ep_result_queues *q);

/* Append one entry (a copy; texts are cut where too long). @return 0 or -ENOMEM. */
int ep_result_add_trial(struct ep_result *r, const struct ep_result_trial *trial);
int ep_result_add_interval(struct ep_result *r, const struct ep_result_interval *interval);
int ep_result_add_tcp(struct ep_result *r, const struct ep_result_tcp *tcp);
int ep_result_add_block(struct ep_result *r, const struct ep_result_latency_block *block);
int ep_result_config_text(struct ep_result *r, const char *key, const char *value);
/** A number that is not finite is rendered as null. */
int ep_result_config_number(struct ep_result *r, const char *key, double value);
int ep_result_host_text(struct ep_result *r, const char *key, const char *value);
/** A number that is not finite is rendered as null. */
int ep_result_host_number(struct ep_result *r, const char *key, double value);
/** Append a sentence to reasons[] (what decides the verdict). */
int ep_result_reason(struct ep_result *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/** Append a sentence to warnings[]. */
int ep_result_warn(struct ep_result *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** Add the counters of @p src to @p dst; sender_known and receiver_known stay true only when both are. */
void ep_result_ledger_add(struct ep_result_ledger *dst, const struct ep_result_ledger *src);

/** Own shortfall: not_sent + oerrors + imissed + ierrors + rx_nombuf, of the parts that are known, and of nic_dropped as much as was lost
 *  [packets]. */
uint64_t ep_result_shortfall(const struct ep_result_ledger *l);

/** How far the offered rate is from the intended one [ppm]; NAN where either is not known. */
double ep_result_pacing_error_ppm(const struct ep_result_pacing *pacing);

/** Latency numbers of a histogram. Jitter is not in a histogram: has_jitter is false. */
struct ep_result_latency ep_result_latency_of(const struct ep_hist *hist);

/**
 * Whether a ledger closes:
 * intended = accepted + not_sent; accepted = (received - duplicates) + lost_max; nic_tx = accepted - oerrors;
 * nic_rx = received + late + bad_tag + wrong_port + foreign + imissed + ierrors + rx_nombuf; lost_min <= lost_max.
 * An equation is checked where every part it needs is known.
 *
 * @param direction
 *   "up" or "down", for the sentence.
 * @param[out] err
 *   Sentence on failure; may be NULL.
 * @return
 *   0, or -EBADMSG with a sentence that names the equation and both numbers.
 */
int ep_result_ledger_check(
	const struct ep_result_ledger *l, const char *direction, struct ep_err *err);

/**
 * Judge: sum the trials' ledgers into r->ledger and their bytes into r->bytes, check every ledger, give each port its verdict in
 * each direction, each trial its validity and the run its verdict with reasons. Call once, after everything else was added.
 *
 * A ledger of a direction that its trial does not use (see `direction`) is marked as known: nothing was sent there.
 *
 * Rules (design section 4), by direction; a direction that was never sent on is not judged:
 * - invalid: the own shortfall of a trial (ep_result_shortfall()) is more than a tenth of the loss it judges
 *   (max_loss_ratio / 10 of intended; with a goal of 0 any shortfall); its receiver was away for so long that the loss may be its
 *   own (see stall.c); loss follows one of the receiver's queues, and is more than a tenth of the goal (see queues.c); a ledger does not close; the ports do not add up to the
 *   ledger; the far side's counters never came; or no probe was sent at all. What is lost in an invalid trial is the tester's: no
 *   port is called lossy then and the loss goal is not judged; dead ports are named as long as one trial of the direction is valid.
 * - invalid, too: the loss is above the goal, and would be within it without what a cloud's allowance may have taken (the least of its
 *   counters' growth and the loss, trial by trial).
 * - dead: sent > 0 and no first copy in the whole run. A port with sent = 0 is untested: not dead.
 * - lossy: Holm-corrected binomial test of loss > goal at EP_STAT_ALPHA over the direction's ports that are not dead. Where an allowance
 *   may have taken a share of the probes, goal and that share: it falls on all ports alike.
 * - fail: a dead port, a lossy port, total loss of the ports that are not dead above the goal, or a required TCP row that is not
 *   "open".
 * Precedence: interrupted (aborted), invalid, fail, pass. Each reason is one plain sentence with the numbers; a pass has one too,
 * which says what was shown and how small a loss of a single port the number of probes can rule out.
 *
 * @return
 *   0 or -ENOMEM.
 */
int ep_result_judge(struct ep_result *r);

/** Sum one direction over the ports. Call after ep_result_judge(). */
void ep_result_totals(
	const struct ep_result *r, enum ep_result_dir dir, struct ep_result_totals *totals);

/** Whether a trial sends in a direction, by its `direction` text. */
bool ep_result_trial_uses(const struct ep_result_trial *t, enum ep_result_dir dir);

/** The worse of a port's two verdicts. */
enum ep_result_port_verdict ep_result_port_worst(const struct ep_result_port *port);

/** "up", "down". */
const char *ep_result_dir_name(enum ep_result_dir dir);

/** "ok", "lossy", "dead". */
const char *ep_result_port_verdict_name(enum ep_result_port_verdict v);

/** Format a count with thousands separators, "1,030,103"; 27 B hold any. Returns @p buf. */
const char *ep_result_count_format(char *buf, size_t len, uint64_t count);

/** Format a ratio as a percentage with up to @p digits significant digits, "0.1 %", "1.02 %". Returns @p buf. */
const char *ep_result_percent_format(char *buf, size_t len, double ratio, int digits);

/** Format the dead or lossy ports of a direction as ranges ("50100-50110,55555"). As ep_range_format(). */
size_t ep_result_ports_text(const struct ep_result *r, enum ep_result_dir dir,
	enum ep_result_port_verdict verdict, char *buf, size_t len);

/** "pass", "fail", "invalid", "interrupted". */
const char *ep_result_verdict_name(enum ep_result_verdict v);

/** Exit code of a verdict: 0, 1, 5, 6. */
int ep_result_exit_code(enum ep_result_verdict v);
