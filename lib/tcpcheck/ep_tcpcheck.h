#pragma once

/**
 * @file
 * The TCP fallback check: what a client that cannot use UDP meets. On kernel sockets, non-blocking, one epoll instance.
 *
 * A checker holds one peer and its targets. On it run, at the same time where wanted:
 *
 *   round     each target once through all its levels       -> rows (connect, tls, http, ice-tcp, ...)
 *   load      connects (UDP: Binding requests) at a rate,   -> counts and times, one a target
 *             open loop: a slow answer delays no other
 *   hold      one connection a target, one message a second -> whether and when it broke or stalled
 *   capacity  many connections to one port, held, and each  -> established, failures by cause, answered
 *             must answer one message at the end (RFC 3511)
 *   idle      connections that are silent for a ladder of   -> which age was survived
 *             ages, each used for one age only
 *
 * The caller hands in the clock and calls ep_tcpcheck_poll() when ep_tcpcheck_fd() is readable or ep_tcpcheck_next_ns() is reached.
 * The time of an answer is the time of the call that sees it. Nothing here sleeps, blocks, reads a clock or starts a thread; one
 * thread an object. A target's levels:
 *
 *   TCP   connect | connect, http | connect, tls, http (over it) | connect, turn-tls | connect, ice-tcp | connect, stun |
 *         connect, turn
 *   UDP   stun | stun, turn
 *
 * A level that failed ends its target: what lies above it was not tried and has no row.
 */

#include <ep_base.h>
#include <ep_wire.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Most targets of a checker. */
#define EP_TCPCHECK_TARGETS_MAX 32
/** Most levels of a target. */
#define EP_TCPCHECK_LEVELS_MAX 3
/** Most rows of a round. */
#define EP_TCPCHECK_ROWS_MAX (EP_TCPCHECK_TARGETS_MAX * EP_TCPCHECK_LEVELS_MAX)
/** Default of the time after which silence counts: SYNs of Linux leave at 0, 1 and 3 s. */
#define EP_TCPCHECK_TIMEOUT_NS (UINT64_C(4) * EP_NS_PER_S)
/** What is asked for by HTTP: any status is an answer. */
#define EP_TCPCHECK_HTTP_PATH "/.well-known/acme-challenge/everyport"

enum ep_tcpcheck_transport { EP_TCPCHECK_TCP, EP_TCPCHECK_UDP };

/** A level; in a target, the check that was asked for. */
enum ep_tcpcheck_check {
	EP_TCPCHECK_CONNECT, /**< Three-way handshake, and the connection is still there a moment later. */
	EP_TCPCHECK_HTTP, /**< GET of EP_TCPCHECK_HTTP_PATH; in a TLS target, over it. */
	EP_TCPCHECK_TLS,  /**< Handshake with the SNI name. */
	EP_TCPCHECK_TURN_TLS, /**< Handshake with the TURN server's name and an Allocate request in it: 401 with a realm. */
	EP_TCPCHECK_ICE_TCP, /**< Binding request in RFC 4571 framing. */
	EP_TCPCHECK_STUN,    /**< Binding request, not framed (RFC 8489). */
	EP_TCPCHECK_TURN,    /**< Allocate request (RFC 8656): 401 with a realm. */
	EP_TCPCHECK_CHECKS,  /**< Number of checks. Keep last. */
};

/** What became of a check. */
enum ep_tcpcheck_status {
	EP_TCPCHECK_PENDING,  /**< No answer yet. */
	EP_TCPCHECK_OPEN,     /**< It answered as it should. */
	EP_TCPCHECK_REFUSED,  /**< RST to the SYN. */
	EP_TCPCHECK_FILTERED, /**< Nothing came within the time. */
	EP_TCPCHECK_RESET,    /**< Closed after it had been accepted, before it answered. */
	EP_TCPCHECK_UNREACHABLE, /**< An ICMP error (type and code are kept), or no route on this host. */
	EP_TCPCHECK_TLS_FAILED,     /**< TLS was spoken, and the handshake failed. */
	EP_TCPCHECK_WRONG_PROTOCOL, /**< It answered in something else. */
	EP_TCPCHECK_BUSY, /**< This host had no local port left for it: says nothing of the path. */
	EP_TCPCHECK_ERROR,    /**< This host's own socket failed: says nothing of the path. */
	EP_TCPCHECK_STALLED,  /**< Held connection: nothing came back for EP_TCPCHECK_STALL_NS. */
	EP_TCPCHECK_BROKEN,   /**< Held connection: reset or closed. */
	EP_TCPCHECK_STATUSES, /**< Number of statuses. Keep last. */
};

/** A port and how it is checked. */
struct ep_tcpcheck_target {
	enum ep_tcpcheck_transport transport;
	uint16_t port;
	enum ep_tcpcheck_check check;
	bool required; /**< Whether not being open fails the run. Not looked at here. */
};

/** Targets, ascending by transport, port and check. Zero-initialised is empty. */
struct ep_tcpcheck_targets {
	uint32_t count;
	struct ep_tcpcheck_target target[EP_TCPCHECK_TARGETS_MAX];
};

/**
 * Parse a list of targets and put them in place of those of this transport: "80,443,8443=tls,9000-9003=connect" or "none". Without a
 * check a port has that of ep_tcpcheck_usual().
 *
 * @param what
 *   Name of the option, for the sentence.
 * @param[in,out] targets
 *   Changed on success only. All are required.
 * @return
 *   0, or -EINVAL (no list, unknown check, a check of the other transport) or -ERANGE (port outside 1 to 65535, more than
 *   EP_TCPCHECK_TARGETS_MAX) with a sentence. A port may be named with several checks: each is a target.
 */
int ep_tcpcheck_targets_parse(const char *text, const char *what,
	enum ep_tcpcheck_transport transport, struct ep_tcpcheck_targets *targets,
	struct ep_err *err);

/** Add one, in order. One that is there already is left alone. @return 0, or -ERANGE when there is no room. */
int ep_tcpcheck_targets_add(
	struct ep_tcpcheck_targets *targets, const struct ep_tcpcheck_target *target);

/** The ports of a preset ("plugnmeet", "livekit") in place of all. @return 0, or -EINVAL with a sentence that names the presets. */
int ep_tcpcheck_targets_preset(
	const char *name, struct ep_tcpcheck_targets *targets, struct ep_err *err);

/** The check that a port usually has: TCP 80, 7880 http; 443, 8443 tls; 5349 turn-tls; 7881 ice-tcp; 3478 turn; else connect. UDP: turn. */
enum ep_tcpcheck_check ep_tcpcheck_usual(enum ep_tcpcheck_transport transport, uint16_t port);

/** As ep_tcpcheck_targets_parse() reads it: "80=http,443=tls", or "none". Returns @p buf. */
const char *ep_tcpcheck_targets_format(const struct ep_tcpcheck_targets *targets,
	enum ep_tcpcheck_transport transport, char *buf, size_t len);

/** "connect", "http", "tls", "turn-tls", "ice-tcp", "stun", "turn". */
const char *ep_tcpcheck_check_name(enum ep_tcpcheck_check check);

/**
 * "pending", "open", "refused", "filtered", "reset", "unreachable", "tls-failed", "wrong-protocol", "busy", "error", "stalled",
 * "broken".
 */
const char *ep_tcpcheck_status_name(enum ep_tcpcheck_status status);

/** "tcp", "udp". */
const char *ep_tcpcheck_transport_name(enum ep_tcpcheck_transport transport);

/* --- Rows ----------------------------------------------------------------------------------------------------------------- */

/** What a TLS handshake showed. */
struct ep_tcpcheck_tls {
	bool known;        /**< The rest is meant. */
	char version[16];  /**< "TLSv1.3". */
	char alpn[32];     /**< "" where none was chosen. */
	char subject[128]; /**< RFC 2253 text of the certificate's subject. */
	char issuer[128];  /**< Of its issuer. */
	int32_t days_left; /**< Until it expires; negative: since it did [days]. */
	bool verified; /**< The chain leads to a root that this host trusts, and the name matches. */
	char verify_text[96]; /**< Why not; "" where it is verified. */
};

/** One level of one target. Times are 0 where there was none. */
struct ep_tcpcheck_row {
	enum ep_tcpcheck_transport transport;
	uint16_t port;
	enum ep_tcpcheck_check check;
	enum ep_tcpcheck_status status;
	bool required;
	uint64_t connect_ns; /**< From SYN (UDP: first request) to its answer, of any kind [ns]. */
	uint64_t tls_ns;     /**< From ClientHello to the end of the handshake [ns]. */
	uint64_t answer_ns;  /**< From the request of this level to its answer [ns]. */
	int error;           /**< errno, positive, where a socket failed. */
	bool has_icmp;       /**< icmp_type and icmp_code are meant. */
	uint8_t icmp_type, icmp_code;
	uint32_t tries;             /**< SYNs or requests sent, at least 1. */
	struct ep_tcpcheck_tls tls; /**< Levels tls and turn-tls. */
	char mapped
		[64]; /**< Our address as the server sees it ("198.18.0.1:4711"); "" where it did not say. */
	char reply
		[128]; /**< What came, one line of printable text: "HTTP 404", "401, realm example.org", "closed", "silent". */
	char sentence[256]; /**< For the user, without the port. */
	char advice[512];   /**< What to do where it is not open; "" where nothing is. */
};

/* --- The checker ---------------------------------------------------------------------------------------------------------- */

/** What to check and how. Texts are copied. */
struct ep_tcpcheck_cfg {
	struct ep_wire_ip peer;
	const char *device; /**< SO_BINDTODEVICE; NULL: the kernel routes. */
	const char *
		host; /**< Host: of HTTP, and SNI where sni is NULL and it is no address; NULL: the address. */
	const char *sni;      /**< Name of the web server for TLS; may be NULL. */
	const char *turn_sni; /**< Name of the TURN server for turn-tls; NULL: as sni. */
	const char *
		expect_issuer; /**< Part of the issuer's text, without regard to case; else tls-failed. May be NULL. */
	const char *ufrag;   /**< USERNAME of Binding requests; NULL: "everyport". */
	const char *pwd;     /**< Key of MESSAGE-INTEGRITY; NULL: none. */
	uint64_t timeout_ns; /**< Of each level; 0: EP_TCPCHECK_TIMEOUT_NS [ns]. */
	uint64_t utc_s;      /**< Time of day for a certificate's days left [s since 1970]. */
	struct ep_tcpcheck_targets targets;
};

/** A checker. Opaque. */
struct ep_tcpcheck;

/**
 * Make a checker.
 *
 * @param[out] out
 *   Set on success only.
 * @return
 *   0, -ENOMEM, -EMFILE or -errno of epoll, or -EIO (OpenSSL), with a sentence.
 */
int ep_tcpcheck_create(
	const struct ep_tcpcheck_cfg *cfg, struct ep_tcpcheck **out, struct ep_err *err);

/** Close all and free. Accepts NULL. */
void ep_tcpcheck_destroy(struct ep_tcpcheck *c);

/** The epoll descriptor: readable when ep_tcpcheck_poll() has something to do. */
int ep_tcpcheck_fd(const struct ep_tcpcheck *c);

/** The next time at which ep_tcpcheck_poll() has something to do without an event; UINT64_MAX: never [ns]. */
uint64_t ep_tcpcheck_next_ns(const struct ep_tcpcheck *c);

/** Take events, send what is due, expire what is too old. Any monotonic clock, the same for all calls on this object [ns]. */
void ep_tcpcheck_poll(struct ep_tcpcheck *c, uint64_t now_ns);

/** Begin a round: every target once. Rows of an earlier one are forgotten. */
void ep_tcpcheck_round_start(struct ep_tcpcheck *c, uint64_t now_ns);

/** Whether every target of the round has ended; at the latest EP_TCPCHECK_LEVELS_MAX times the timeout (and a moment) after its start. */
bool ep_tcpcheck_round_done(const struct ep_tcpcheck *c);

/** End what is left of a round: it is filtered. */
void ep_tcpcheck_round_stop(struct ep_tcpcheck *c, uint64_t now_ns);

/** Rows so far, by target and level. Borrowed until the next round starts. @return [count]. */
const struct ep_tcpcheck_row *ep_tcpcheck_rows(struct ep_tcpcheck *c, uint32_t *count);

/* --- Load ----------------------------------------------------------------------------------------------------------------- */

/** The connects (UDP: Binding requests) of one target at a rate. */
struct ep_tcpcheck_load {
	uint16_t port;
	enum ep_tcpcheck_transport transport;
	uint64_t attempts; /**< Ended; what is still under way is not counted. */
	uint64_t by_status[EP_TCPCHECK_STATUSES]; /**< Sum: attempts. */
	uint64_t
		failures; /**< attempts less open, busy and error: what the path or the peer failed. */
	uint64_t own_failures; /**< busy and error. */
	uint64_t
		late; /**< Due more than 100 ms before they could be started: the caller polled too rarely. */
	uint64_t p50_ns, p99_ns, max_ns;  /**< Of those that were open [ns]; 0 where none was. */
	struct ep_tcpcheck_row first_bad; /**< The first that was not open; status PENDING: none. */
	uint64_t first_bad_ns;            /**< Since ep_tcpcheck_load_start() [ns]. */
};

/**
 * Begin: @p rate_hz a target, evenly spread from @p start_ns on, which may be past: what was due since is started at the next poll.
 * Counts begin anew.
 *
 * @param rate_hz
 *   In (0, 10000] [1/s].
 */
void ep_tcpcheck_load_start(struct ep_tcpcheck *c, double rate_hz, uint64_t start_ns);

/**
 * Start none that is due at @p end_ns or later. What was due before and could not be started yet still is, so that a caller that comes
 * late makes as many attempts as its rate says; those under way end by themselves.
 */
void ep_tcpcheck_load_stop(struct ep_tcpcheck *c, uint64_t end_ns);

/** Whether it was stopped, all that was due is started, and none is under way. */
bool ep_tcpcheck_load_done(const struct ep_tcpcheck *c);

/** Counts of target @p i (an index into the targets of the configuration). */
void ep_tcpcheck_load(const struct ep_tcpcheck *c, uint32_t i, struct ep_tcpcheck_load *load);

/* --- Hold ----------------------------------------------------------------------------------------------------------------- */

/** Silence of the peer's TCP after which a held connection is stalled: two messages went without a sign [ns]. */
#define EP_TCPCHECK_STALL_NS (UINT64_C(2500) * EP_NS_PER_MS)

/**
 * One held connection. Its message each second: a framed Binding request (ice-tcp), a Binding request (stun, turn), a HEAD on the same
 * connection (http, and over TLS in tls), a TCP keepalive (connect, turn-tls). A service that does not answer the message is judged by
 * its TCP's acknowledgements.
 */
struct ep_tcpcheck_hold {
	uint16_t port;
	enum ep_tcpcheck_status
		status; /**< OPEN, BROKEN, STALLED, or why it never came to be. PENDING: no connection yet. */
	bool by_service; /**< It closed in an orderly way, having never answered or having announced it: says nothing of the path. */
	uint64_t held_ns; /**< From its establishment to now or its end [ns]. */
	uint64_t
		event_ns; /**< When it broke, or the last sign before it first stalled, since ep_tcpcheck_hold_start() [ns]. */
	uint64_t sent;    /**< Messages. */
	uint64_t answered;           /**< Of them. */
	uint64_t longest_silence_ns; /**< Longest time without a sign of the peer [ns]. */
	uint32_t stalls;             /**< How often it stalled; it may recover. */
};

/** Open one connection a TCP target (one a port) and keep it talking. */
void ep_tcpcheck_hold_start(struct ep_tcpcheck *c, uint64_t now_ns);

/** Close them. Their state stays readable. */
void ep_tcpcheck_hold_stop(struct ep_tcpcheck *c, uint64_t now_ns);

/** State of the connection of target @p i. @return Whether that target has one. */
bool ep_tcpcheck_hold(const struct ep_tcpcheck *c, uint32_t i, struct ep_tcpcheck_hold *hold);

/* --- Capacity ------------------------------------------------------------------------------------------------------------- */

/** Many connections to one port. */
struct ep_tcpcheck_capacity_cfg {
	uint16_t port;
	enum ep_tcpcheck_check
		check; /**< HTTP: a HEAD validates; STUN, TURN: a Binding request; else a framed Binding request. */
	uint32_t connections; /**< At least 1. */
	double rate_hz;       /**< Connects a second. */
	uint64_t hold_ns;     /**< From the last connect's end to the message [ns]. */
};

struct ep_tcpcheck_capacity {
	uint32_t wanted;
	uint32_t started;
	uint32_t established; /**< Handshakes done. */
	uint32_t held;        /**< Of those, still there now or when the messages began. */
	uint32_t messages;    /**< Messages sent at the end. */
	uint32_t answered;    /**< Of those: only these count (RFC 3511 5.2). */
	uint32_t
		acknowledged; /**< Of the rest: the peer's TCP took the message, its service said nothing. */
	uint32_t connect_failed
		[EP_TCPCHECK_STATUSES];  /**< By cause; sum with established: started, when done. */
	uint32_t lost_held;              /**< Closed or reset while held. */
	uint64_t open_ns;                /**< From the first connect to the end of the last [ns]. */
	double rate_hz;                  /**< Established a second of open_ns. */
	uint64_t p50_ns, p99_ns, max_ns; /**< Connect time of the established [ns]. */
	uint64_t answer_p50_ns, answer_p99_ns, answer_max_ns;
	uint64_t
		memory_bytes; /**< Of this program for the connections, without the kernel's [B]. */
	bool done;
};

/**
 * How many descriptors are needed and whether they are to be had: raises the soft limit up to the hard one.
 *
 * @return 0, or -EMFILE with a sentence that has both numbers and the command that raises the limit.
 */
int ep_tcpcheck_files(uint32_t needed, struct ep_err *err);

/** Begin. @return 0, -EMFILE (see ep_tcpcheck_files()), -ENOMEM, with a sentence. */
int ep_tcpcheck_capacity_start(struct ep_tcpcheck *c, const struct ep_tcpcheck_capacity_cfg *cfg,
	uint64_t now_ns, struct ep_err *err);

void ep_tcpcheck_capacity(const struct ep_tcpcheck *c, struct ep_tcpcheck_capacity *state);

/* --- Idle ----------------------------------------------------------------------------------------------------------------- */

/** Most ages of a ladder. */
#define EP_TCPCHECK_AGES_MAX 32
/** Connections of one age at one target. */
#define EP_TCPCHECK_AGE_CONNECTIONS 4

/** The connections of one age at one target. */
struct ep_tcpcheck_age {
	uint16_t port;
	uint64_t age_ns;      /**< Silence before the message [ns]. */
	uint32_t connections; /**< Established, and answered or took a first message. */
	uint32_t alive;       /**< Answered, or acknowledged where the service does not answer. */
	uint32_t reset;       /**< RST: the state on the way, or the service, was gone. */
	uint32_t
		lost; /**< Neither answer nor acknowledgement: dropped on the way without a word. */
	uint32_t closed; /**< The service closed before (FIN): its own time-out, not the path's. */
	uint64_t closed_ns; /**< Earliest such end, from its establishment; 0: none [ns]. */
	uint64_t
		reset_ns; /**< The same of RSTs that came unasked, during the silence: the service, or a firewall that says when it forgets. */
	uint32_t failed;  /**< Never came to be. */
	enum ep_tcpcheck_status failed_status; /**< Why the first of them did not. */
};

/**
 * Begin: the ladder of ages (reference N9) up to and with @p longest_ns, at every TCP target of the configuration (one a port). The longest
 * are opened first, 50 a second at each port, so that a service needs room for few at once and the whole takes hardly longer than the
 * longest age. @return 0, -EINVAL (no TCP port), -EMFILE (see ep_tcpcheck_files()), -ENOMEM, with a sentence.
 */
int ep_tcpcheck_idle_start(
	struct ep_tcpcheck *c, uint64_t longest_ns, uint64_t now_ns, struct ep_err *err);

bool ep_tcpcheck_idle_done(const struct ep_tcpcheck *c);

/** Ages by port, ascending. @return Number of them; fills at most @p max. */
uint32_t ep_tcpcheck_idle(const struct ep_tcpcheck *c, struct ep_tcpcheck_age *age, uint32_t max);

/* --- Advice --------------------------------------------------------------------------------------------------------------- */

/**
 * What to do about a row that is not open: the rule for ufw, nftables and a security group where a firewall is at fault, else where to
 * look. Cut to @p len with NUL; "" for an open one. Returns @p buf.
 */
const char *ep_tcpcheck_advice(const struct ep_tcpcheck_row *row, char *buf, size_t len);
