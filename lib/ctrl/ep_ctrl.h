#pragma once

/**
 * @file
 * The control protocol: messages and the state machine of each side (design section 5, docs/control-protocol.md). No I/O, no
 * clock, no threads: bytes and the time come in, bytes and events go out, so that it can be driven by a test or a fuzzer.
 *
 *   frame = 4-byte big-endian length | JSON object {"v":1,"type":"...",...}, at most EP_CTRL_FRAME_MAX bytes
 *
 *   initiator                         responder
 *     hello           ->                          what is wanted: ports, rates, sizes, times
 *                     <-   welcome | refuse       limits, address, TCP ports that it listens on
 *     prepare         ->                          one trial: kind, mode, nonce
 *                     <-   ready | refuse         its nonce; its receiver runs
 *     start           ->
 *                     <-   started                its stream (if any) starts with this
 *     beat            <->  beat                   every 200 ms while a trial runs, with counters: consent (RFC 7675)
 *     drain           ->                          both streams have ended; wait for the last probes
 *     collect         ->
 *                     <-   report                 totals and the per-port counters of the trial
 *     bye             ->                          end of session
 *
 * Any message that is not valid in the state, any field out of bounds, any frame over the limit ends the session.
 *
 * One thread per `struct ep_ctrl`. Times are of one monotonic clock of the caller [ns].
 */

#include <ep_acct.h>
#include <ep_base.h>
#include <ep_nic.h>
#include <ep_plan.h>
#include <ep_range.h>
#include <ep_slow.h>
#include <ep_wire.h>

#include <stdbool.h>
#include <stdint.h>

#define EP_CTRL_VERSION 1
/** Most bytes of JSON in any frame: a report of all ports fits, whatever its numbers. */
#define EP_CTRL_FRAME_MAX (16u << 20)
/**
 * Most bytes of JSON in hello and in every other message but a report that is waited for. A peer that is not authenticated yet
 * never gets here (TLS-PSK comes first), but its messages are small all the same.
 */
#define EP_CTRL_HELLO_MAX (64u << 10)
#define EP_CTRL_BEAT_NS (UINT64_C(200) * EP_NS_PER_MS)
/** Silence after which a side stops sending while a trial runs (RFC 7675 in spirit, design section 5). */
#define EP_CTRL_SILENCE_NS (UINT64_C(1000) * EP_NS_PER_MS)
/** Silence outside a trial after which the session ends. */
#define EP_CTRL_IDLE_NS (UINT64_C(15) * EP_NS_PER_S)
/** How long the initiator waits for the report after COLLECT. */
#define EP_CTRL_REPORT_NS (UINT64_C(10) * EP_NS_PER_S)

/* Bounds of fields that a user chooses; docs/control-protocol.md has all bounds. */
/** Longest duration or drain: 366 days, as ep_duration_parse() takes. */
#define EP_CTRL_DURATION_MAX_NS (UINT64_C(366) * 24 * 3600 * EP_NS_PER_S)
#define EP_CTRL_SWEEPS_MAX 1000
#define EP_CTRL_BURST_MAX EP_WIRE_BURST

/** Direction of a trial. A sweep is always EP_CTRL_MODE_ECHO. */
enum ep_ctrl_mode { EP_CTRL_MODE_ECHO, EP_CTRL_MODE_UP, EP_CTRL_MODE_DOWN, EP_CTRL_MODE_BOTH };

/** "echo", "up", "down", "both". */
const char *ep_ctrl_mode_name(enum ep_ctrl_mode mode);

/** What the initiator asks for. */
struct ep_ctrl_hello {
	char tool[32];               /**< Name and version. */
	char ports[1024];            /**< Range text as ep_range_parse() takes. */
	struct ep_wire_ip initiator; /**< Address that its probes leave from, as it sees it. */
	bool control_apart; /**< The control connection has other ends than the probes: it tells nothing of their way. */
	uint32_t source_count;
	uint16_t source_base;
	uint32_t source_span;
	uint64_t seed;
	double rate_pps;          /**< Highest rate of the run, either way; 0: max. */
	uint16_t frame_bytes_max; /**< Largest frame with FCS [B]. */
	uint64_t duration_ns;     /**< Of the load [ns]. */
	uint64_t drain_ns;        /**< [ns] */
	uint32_t sweeps;
	/**
	 * The responder may choose source ports among those named above, for equal shares of the receive queues of both ends. Left out of
	 * the message where false, as an older initiator does.
	 */
	bool takes_sources;
	bool has_rss; /**< `rss` is how the initiator's NIC spreads. With takes_sources only. */
	struct ep_plan_rss rss;
};

/** Source ports of the responder's choice. */
struct ep_ctrl_sources {
	uint16_t source_base;
	uint32_t source_span;
	double up_ratio; /**< Fullest receive queue's share / mean share of the responder; 0: not known. */
	double down_ratio; /**< The same of the initiator; 0: not known. */
};

#define EP_CTRL_LISTEN_MAX 16
/** One TCP port on the responder. */
struct ep_ctrl_listen {
	uint16_t port;  /**< 1 to 65535. */
	bool ours;      /**< everyport listens; false: could not, see text. */
	char text[128]; /**< "in use by another program", ... */
};

/** The responder's answer. */
struct ep_ctrl_welcome {
	char tool[32];
	struct ep_wire_ip responder; /**< Address that probes are to be sent to, as it sees it. */
	double limit_pps;            /**< 0: none. */
	uint64_t limit_duration_ns;  /**< 0: none. */
	uint64_t limit_flows;        /**< 0: none. */
	char cpu[128];
	char driver[64];
	uint32_t listen_count;
	struct ep_ctrl_listen listen[EP_CTRL_LISTEN_MAX];
	bool has_sources; /**< `sources` replace those of the hello, which has to have asked for it. */
	struct ep_ctrl_sources sources;
};

/** Why a side says no. */
enum ep_ctrl_refusal {
	EP_CTRL_REFUSE_BUSY,
	EP_CTRL_REFUSE_LIMIT,
	EP_CTRL_REFUSE_VERSION,
	EP_CTRL_REFUSE_INVALID,
	EP_CTRL_REFUSE_FAILED
};

struct ep_ctrl_refuse {
	enum ep_ctrl_refusal code;
	char text[512]; /**< One sentence for the far user. */
};

/** One trial. */
struct ep_ctrl_prepare {
	uint32_t trial; /**< Number of the trial in the session, from 0. */
	bool sweep;
	enum ep_ctrl_mode mode;
	uint8_t nonce[EP_WIRE_NONCE_BYTES];
	double rate_pps;      /**< Of each stream; 0: max. */
	uint64_t duration_ns; /**< Of each stream; a sweep: an upper bound. */
	uint32_t
		burst_pkts; /**< Most packets sent at once; 0: each sender chooses from the rate. */
	uint32_t size_count;
	uint16_t frame_bytes[16];
};

/** Counters so far, of the sender of the beat. */
struct ep_ctrl_beat {
	uint32_t trial;
	uint64_t sent;     /**< Accepted by its NIC [packets]. */
	uint64_t received; /**< First copies [packets]. */
	bool tx_done;      /**< Its own stream has ended (or it has none). */
};

/** Totals of one side's part of a trial. Fields as in struct ep_result_ledger. */
struct ep_ctrl_totals {
	/* As receiver (up). */
	uint64_t nic_rx, imissed, ierrors, rx_nombuf, bad_tag, foreign;
	/* As sender (down or echo). */
	uint64_t intended, accepted, not_sent, nic_tx, oerrors;
	uint64_t tx_duration_ns;
	uint64_t max_gap_ns;
	uint64_t jitter_ns; /**< Mean over its flows. */
	uint64_t learned_flows;
};

/** How the responder's stream was paced and its workers ran. Optional in a report: an older responder does not send it. */
struct ep_ctrl_pacing {
	uint32_t burst_pkts; /**< Most packets it sent at once; 0: it had no stream of its own. */
	double intended_pps; /**< 0: as fast as possible, or no stream. */
	double offered_pps;
	uint64_t
		departure_count; /**< Times from one burst to the next; 0: those that follow mean nothing. */
	uint64_t departure_min_ns, departure_p50_ns, departure_p90_ns, departure_p99_ns,
		departure_p999_ns, departure_max_ns;
	uint64_t largest_gap_ns; /**< Between two of its departures. */
	uint64_t loop_gap_ns;    /**< Between two rounds of a worker's loop while its stream ran. */
	uint64_t
		receive_gap_ns; /**< The same from the start of the trial to the end of the drain. */
	uint64_t
		receive_ring_pkts; /**< What its receive rings hold, where what they drop is not counted; else 0. */
	double clock_error_ppm; /**< Bound of its clock's error. */
	double clock_drift_ppm; /**< Largest drift of its clock, either way. */
};

/** Most receive queues that a report tells of. */
#define EP_CTRL_QUEUES_MAX 64
/** A port whose receive queue is not known. */
#define EP_CTRL_QUEUE_NONE 255

/** The responder's receive queues. Optional in a report: an older responder does not send it. */
struct ep_ctrl_queues {
	uint32_t count;                        /**< 0: not told, and nothing below is meant. */
	uint64_t received[EP_CTRL_QUEUES_MAX]; /**< [count] What was taken out of each [packets]. */
	double expected_ratio; /**< Fullest queue's share / mean share, by computation; 0: not known. */
	char steering[240]; /**< How packets get to them, and why so. */
};

/** The responder's whole account of a trial. Arrays [port_count], `icmp` and `nic` are owned by whoever holds the struct (ep_ctrl_report_fini). */
struct ep_ctrl_report {
	uint32_t trial;
	struct ep_ctrl_totals totals;
	uint32_t port_count;
	struct ep_acct_port *up; /**< Receiver's counters per port. */
	uint64_t *down_sent;     /**< Probes its NIC accepted per port. */
	bool has_pacing;         /**< `pacing` is there. */
	struct ep_ctrl_pacing pacing;
	struct ep_ctrl_queues queues;
	uint8_t *
		port_queue; /**< Receive queue that each port's probes arrived at, below queues.count, or EP_CTRL_QUEUE_NONE; NULL: with queues.count 0. */
	struct ep_slow_icmp
		*icmp; /**< ICMP errors about what it sent; NULL: it did not look for them. */
	struct ep_nic_changes
		*nic; /**< What its NIC's counters grew by in the trial; NULL: not read. */
};

/** Free the arrays. Accepts a zeroed struct, and a second call. */
void ep_ctrl_report_fini(struct ep_ctrl_report *report);

/** What the responder allows. */
struct ep_ctrl_limits {
	const struct ep_range *ports; /**< Borrowed. */
	double rate_pps;              /**< 0: none. */
	uint64_t duration_ns;         /**< 0: none. */
	uint64_t flow_count;          /**< Most flows; 0: none. */
	uint16_t frame_bytes_max;     /**< Largest frame with FCS [B]; 0: none. */
};

/**
 * Check a hello against the limits. Each refusal is one sentence that names what was asked and what is allowed, such as
 * "100 kpps asked, this responder allows 50 kpps".
 *
 * @return
 *   0, or with the sentence -EPERM (a limit: ports, flows, frame size, rate, duration), -EINVAL (what no responder can do: ports
 *   that are no ports, source ports that do not fit, a frame too small for the family, nothing to send) or -ENOMEM.
 */
int ep_ctrl_limits_check(
	const struct ep_ctrl_limits *limits, const struct ep_ctrl_hello *hello, struct ep_err *err);

/** What the caller has to do next. */
enum ep_ctrl_event_kind {
	EP_CTRL_EV_NONE,
	EP_CTRL_EV_HELLO,   /**< Responder: answer with ep_ctrl_welcome() or ep_ctrl_refuse(). */
	EP_CTRL_EV_WELCOME, /**< Initiator. */
	EP_CTRL_EV_PREPARE, /**< Responder: set the trial up, then ep_ctrl_ready() or ep_ctrl_refuse(). */
	EP_CTRL_EV_READY,   /**< Initiator: nonce is the responder's; then ep_ctrl_start(). */
	EP_CTRL_EV_START,   /**< Responder: start its stream, then ep_ctrl_started(). */
	EP_CTRL_EV_STARTED, /**< Initiator: start sending. */
	EP_CTRL_EV_BEAT,    /**< Both. */
	EP_CTRL_EV_DRAIN,   /**< Responder: streams have ended. */
	EP_CTRL_EV_COLLECT, /**< Responder: stop the trial, then ep_ctrl_report(). */
	EP_CTRL_EV_REPORT,  /**< Initiator: takes ownership of `report`. */
	EP_CTRL_EV_BYE,     /**< Responder: the session ended in order. */
	EP_CTRL_EV_REFUSED, /**< Initiator: the session is over. */
	EP_CTRL_EV_FAILED, /**< The session is over: protocol error or silence; `err` says what. Stop sending at once. What is
	                           in the output (a refusal of another version) may still be sent before closing. */
};

struct ep_ctrl_event {
	enum ep_ctrl_event_kind kind;
	union {
		struct ep_ctrl_hello hello;
		struct ep_ctrl_welcome welcome;
		struct ep_ctrl_refuse refuse;
		struct ep_ctrl_prepare prepare;
		uint8_t nonce[EP_WIRE_NONCE_BYTES]; /**< READY. */
		struct ep_ctrl_beat beat;
		struct ep_ctrl_report report;
		/**
		 * FAILED. Code -ETIMEDOUT (silence), -EPROTO (not allowed in the state, or a trial number out of order),
		 * -EBADMSG (no JSON, or a field missing, unknown or out of bounds), -EMSGSIZE (frame of 0 bytes or too long),
		 * -EPROTONOSUPPORT (another version) or -ENOMEM.
		 */
		struct ep_err err;
	};
};

enum ep_ctrl_role { EP_CTRL_INITIATOR, EP_CTRL_RESPONDER };

/** One end of a session. Opaque. */
struct ep_ctrl;

/** @return 0 or -ENOMEM. */
int ep_ctrl_create(enum ep_ctrl_role role, uint64_t now_ns, struct ep_ctrl **out);

/** Accepts NULL. */
void ep_ctrl_destroy(struct ep_ctrl *c);

/**
 * Feed received bytes; any split is fine. Consumes all of them (it buffers a partial frame, and frames behind an event that
 * was not taken yet; more than 32 MiB of them fail the session). Bytes after the end of the session are ignored.
 * @return 0, or -ENOMEM (the session cannot go on).
 */
int ep_ctrl_input(struct ep_ctrl *c, const uint8_t *bytes, size_t len, uint64_t now_ns);

/**
 * Take the next event. Call until it is NONE after each input and at least every 100 ms (silence is noticed here).
 * After FAILED, REFUSED or BYE only NONE comes.
 */
void ep_ctrl_next(struct ep_ctrl *c, uint64_t now_ns, struct ep_ctrl_event *event);

/** Bytes to be sent: borrowed until the next call on @p c. @return their number. */
size_t ep_ctrl_output(const struct ep_ctrl *c, const uint8_t **bytes);

/** Say that @p len bytes of the output were sent. */
void ep_ctrl_output_done(struct ep_ctrl *c, size_t len);

/** Set the number of ports of the session: a report must have arrays of exactly this length. Initiator, before COLLECT. */
void ep_ctrl_port_count(struct ep_ctrl *c, uint32_t port_count);

/*
 * Say something: the message is put into the output. Each returns 0, or with nothing said and the state unchanged -EPROTO (not
 * allowed in this state, or a trial number out of order: a bug of the caller, or the session is over), -EINVAL (a field out of the
 * bounds of docs/control-protocol.md) or -ENOMEM.
 */
int ep_ctrl_hello(struct ep_ctrl *c, const struct ep_ctrl_hello *hello);
int ep_ctrl_welcome(struct ep_ctrl *c, const struct ep_ctrl_welcome *welcome);
/** Responder, in answer to HELLO or PREPARE. Ends the session; close the connection once the output is sent. */
int ep_ctrl_refuse(struct ep_ctrl *c, const struct ep_ctrl_refuse *refuse);
/** Trial numbers increase. */
int ep_ctrl_prepare(struct ep_ctrl *c, const struct ep_ctrl_prepare *prepare);
int ep_ctrl_ready(struct ep_ctrl *c, const uint8_t nonce[EP_WIRE_NONCE_BYTES]);
int ep_ctrl_start(struct ep_ctrl *c);
/** The initiator is expected to be heard from @p now_ns on. */
int ep_ctrl_started(struct ep_ctrl *c, uint64_t now_ns);
/** Allowed from STARTED to COLLECT; the caller sends one every EP_CTRL_BEAT_NS. */
int ep_ctrl_beat(struct ep_ctrl *c, const struct ep_ctrl_beat *beat);
int ep_ctrl_drain(struct ep_ctrl *c);
/** Also allowed right after STARTED (the user interrupted). */
int ep_ctrl_collect(struct ep_ctrl *c);
int ep_ctrl_report(struct ep_ctrl *c, const struct ep_ctrl_report *report);
int ep_ctrl_bye(struct ep_ctrl *c);
