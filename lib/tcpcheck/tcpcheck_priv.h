#pragma once

/**
 * @file
 * What the files of the checker share. Everything hangs on one epoll instance and one heap of timers: a descriptor or a timer is a
 * struct tc_io, and its kind says whose it is.
 *
 *   checker.c  create, poll, dispatch          probe.c  one target once: a round's, or one connect of the load
 *   timer.c    the heap                        line.c   a connection that says one message and another (hold, capacity, idle)
 *   sock.c     sockets, ICMP, what TCP knows   say.c    messages and their answers
 *   tls.c      a TLS client on memory BIOs
 *
 * Events are edge-triggered. Answers outside TLS are looked at with MSG_PEEK and taken once they are whole, so that a connection
 * needs no buffer of its own.
 */

#include "ep_tcpcheck.h"

#include <ep_hist.h>
#include <ep_stun.h>

#include <openssl/ssl.h>
#include <sys/types.h>

/** A connection that was accepted and is closed again within this was never served [ns]. */
#define TC_GRACE_NS (UINT64_C(200) * EP_NS_PER_MS)
/** The same for a connect of the load [ns]. */
#define TC_LOAD_GRACE_NS (UINT64_C(100) * EP_NS_PER_MS)
/** Longest answer that is looked at [B]. */
#define TC_ANSWER_MAX 8192
/** Longest message that we say [B]. */
#define TC_SAY_MAX 1024

/** Whose an io is. */
enum tc_kind { TC_PROBE, TC_LINE, TC_TICK_LOAD, TC_TICK_CAPACITY, TC_TICK_IDLE };

/** A descriptor in epoll, or a timer, or both. */
struct tc_io {
	int fd;         /**< -1: none. */
	uint8_t kind;   /**< enum tc_kind */
	uint32_t slot;  /**< In the heap, from 1; 0: no timer set. */
	uint64_t at_ns; /**< When the timer is due. */
};

/** How a connection or an attempt ended. */
struct tc_end {
	enum ep_tcpcheck_status status;
	int error; /**< errno, positive; 0: none. */
	bool has_icmp;
	uint8_t icmp_type, icmp_code;
};

/* --- say.c --------------------------------------------------------------------------------------------------------------- */

/** A message. */
enum tc_say {
	TC_SAY_NOTHING, /**< TCP's keepalive speaks. */
	TC_SAY_GET,     /**< The server is to close behind its answer. */
	TC_SAY_HEAD,    /**< The connection is to be kept. */
	TC_SAY_ICE,     /**< Framed Binding request of an ICE agent. */
	TC_SAY_BINDING,
	TC_SAY_BINDING_ICE, /**< Not framed, with USERNAME: over UDP. */
	TC_SAY_ALLOCATE,
};

/** What bytes that came are. */
enum tc_heard {
	TC_HEARD_MORE,   /**< The beginning of an answer. */
	TC_HEARD_OTHER,  /**< A whole message that is no answer to ours: pass over it. */
	TC_HEARD_ANSWER, /**< The answer, or an error that is one. */
	TC_HEARD_WRONG,  /**< Another protocol. */
};

struct tc_answer {
	size_t used;     /**< Bytes that it takes. */
	bool will_close; /**< HTTP: the server announced that it closes. */
	bool is_turn;    /**< 401 with a realm, or another answer that only a TURN server gives. */
	char mapped[64];
	char reply[128]; /**< For people. */
};

/** Write a message with transaction number @p number. @return its length, 0 where it does not fit (never, with checked options). */
size_t tc_say(struct ep_tcpcheck *c, enum tc_say say, uint16_t port, uint32_t number,
	uint8_t buf[TC_SAY_MAX]);

/** Judge what came. Any transaction number of this checker is ours. */
enum tc_heard tc_hear(const struct ep_tcpcheck *c, enum tc_say say, const uint8_t *bytes,
	size_t len, struct tc_answer *answer);

/** Bytes as a line for people, at most 40 of them. */
void tc_show(char *buf, size_t len, const uint8_t *bytes, size_t count);

/* --- tls.c --------------------------------------------------------------------------------------------------------------- */

struct tc_tls;

enum tc_tls_state { TC_TLS_MORE, TC_TLS_DONE, TC_TLS_FAILED };

/** @param alpn Whether to offer http/1.1. @return NULL without memory. */
struct tc_tls *tc_tls_new(struct ep_tcpcheck *c, const char *sni, bool alpn);
void tc_tls_free(struct tc_tls *t);

/** Move the handshake on with what has come. FAILED: @p end and @p reply (NULL, or 128 B) say why. */
enum tc_tls_state tc_tls_step(
	struct ep_tcpcheck *c, struct tc_tls *t, int fd, struct tc_end *end, char *reply);

/** Whether anything has come at all. */
bool tc_tls_heard(const struct tc_tls *t);

/** Send. @return 0 or -errno. */
int tc_tls_write(struct tc_tls *t, int fd, const uint8_t *bytes, size_t len);

/** Take what has come. @return bytes > 0, 0 at its end, -EAGAIN, or another -errno. */
ssize_t tc_tls_read(struct ep_tcpcheck *c, struct tc_tls *t, int fd, uint8_t *buf, size_t size);

/** What the handshake showed. */
void tc_tls_info(const struct ep_tcpcheck *c, const struct tc_tls *t, struct ep_tcpcheck_tls *info);

/* --- line.c -------------------------------------------------------------------------------------------------------------- */

enum tc_line_owner { TC_LINE_HOLD, TC_LINE_CAPACITY, TC_LINE_IDLE };
enum tc_line_state { TC_LINE_DOWN, TC_LINE_CONNECTING, TC_LINE_TLS, TC_LINE_UP };
/** What an event on a line means to its owner. */
enum tc_line_event { TC_LINE_NOTHING, TC_LINE_IS_UP, TC_LINE_ANSWERED, TC_LINE_GONE };

/** A connection that speaks now and then. Small: there may be thousands. */
struct tc_line {
	struct tc_io io;
	uint8_t owner;   /**< enum tc_line_owner */
	uint8_t state;   /**< enum tc_line_state */
	uint8_t say;     /**< enum tc_say */
	uint8_t status;  /**< enum ep_tcpcheck_status: how it ended; PENDING before. */
	uint8_t phase;   /**< The owner's own. */
	bool answered;   /**< At least once. */
	bool fin;        /**< It ended by an orderly close of the peer. */
	bool will_close; /**< The service announced that it closes. */
	uint16_t port;
	int error;
	uint32_t index;  /**< The owner's own. */
	uint32_t number; /**< Of the last message. */
	uint64_t start_ns;
	uint64_t up_ns;     /**< Established; with TLS, the handshake done. */
	uint64_t sent_ns;   /**< Last message. */
	struct tc_tls *tls; /**< NULL: none. */
};

/** Begin. Where it fails at once, state is DOWN and status says why. The caller sets the timer. */
void tc_line_open(struct ep_tcpcheck *c, struct tc_line *line,
	const struct ep_tcpcheck_target *target, uint64_t now_ns);
/** Say the message. @return 0 or -errno (-EAGAIN: the peer's TCP takes nothing). */
int tc_line_say(struct ep_tcpcheck *c, struct tc_line *line, uint64_t now_ns);
/** Take an event; call until NOTHING or GONE. */
enum tc_line_event tc_line_take(struct ep_tcpcheck *c, struct tc_line *line, uint64_t now_ns);
/** Close. @param abort RST instead of FIN: leaves no TIME_WAIT behind. */
void tc_line_close(struct ep_tcpcheck *c, struct tc_line *line, bool abort);
/** Whether the peer's TCP has taken all that was said. */
bool tc_line_taken(const struct tc_line *line);

/* --- sock.c -------------------------------------------------------------------------------------------------------------- */

/** Open a socket to a port of the peer and connect it. @return 0 (under way or done; @p fd is set) or -errno. */
int tc_sock_open(
	const struct ep_tcpcheck *c, enum ep_tcpcheck_transport transport, uint16_t port, int *fd);
/** Whether a connect has ended. @return -EINPROGRESS, 0 (connected) or -errno. */
int tc_sock_connected(int fd);
/** What an error of a socket means, with the ICMP message that caused it, if one did. */
void tc_sock_end(int fd, int error, struct tc_end *end);
/** SYNs sent so far. */
uint32_t tc_sock_syns(int fd);
/** Time since anything came from the peer [ns]. */
uint64_t tc_sock_silence_ns(int fd);
/** Whether neither side has ended the connection. */
bool tc_sock_established(int fd);
/** Have TCP itself ask the peer each second. */
void tc_sock_keepalive(int fd);
/** Say one line end: whatever listens takes it. An error comes as an event. */
void tc_sock_byte(int fd);
/** Whether the peer's TCP has acknowledged all. */
bool tc_sock_taken(int fd);
/** Close with RST. */
void tc_sock_abort(int fd);

/* --- probe.c ------------------------------------------------------------------------------------------------------------- */

struct tc_probe;

/** One target through all its levels, its rows into the round. */
void tc_probe_round(struct ep_tcpcheck *c, uint32_t target, uint64_t now_ns);
/** One connect or Binding request of the load. */
void tc_probe_load(struct ep_tcpcheck *c, uint32_t target, uint64_t now_ns);
void tc_probe_event(struct ep_tcpcheck *c, struct tc_probe *p, uint64_t now_ns);
void tc_probe_timer(struct ep_tcpcheck *c, struct tc_probe *p, uint64_t now_ns);
/** End every probe of the round. */
void tc_probe_stop(struct ep_tcpcheck *c, uint64_t now_ns);
void tc_probe_free(struct ep_tcpcheck *c, struct tc_probe *p);

/* --- The checker --------------------------------------------------------------------------------------------------------- */

struct tc_round {
	uint32_t running;
	bool used[EP_TCPCHECK_TARGETS_MAX][EP_TCPCHECK_LEVELS_MAX];
	struct ep_tcpcheck_row row[EP_TCPCHECK_TARGETS_MAX][EP_TCPCHECK_LEVELS_MAX];
	struct ep_tcpcheck_row out[EP_TCPCHECK_ROWS_MAX]; /**< The used ones, together. */
};

struct tc_load_one {
	struct ep_tcpcheck_load count; /**< Quantiles are not filled in. */
	struct ep_hist hist;
	uint64_t next; /**< Number of the next attempt. */
};

struct tc_load {
	struct tc_io tick;
	bool running;
	double rate_hz;
	uint64_t start_ns, end_ns; /**< UINT64_MAX: it goes on. */
	uint32_t under_way;
	struct tc_load_one one[EP_TCPCHECK_TARGETS_MAX];
};

struct tc_hold_one {
	struct tc_line line;
	struct ep_tcpcheck_hold state;
	bool stalled;      /**< Now. */
	uint64_t heard_ns; /**< The last sign of the peer. */
	uint64_t asked_ns; /**< The first message since then; 0: none. */
};

struct tc_hold {
	bool running;
	uint64_t start_ns;
	struct tc_hold_one one[EP_TCPCHECK_TARGETS_MAX];
};

struct tc_capacity;
struct tc_idle;

struct ep_tcpcheck {
	/* Read-only after creation. */
	struct ep_wire_ip peer;
	char device[16];
	char host[256];
	char sni[256];
	char turn_sni[256];
	char expect_issuer[128];
	char username[280];
	char pwd[256];
	bool has_username;
	uint64_t timeout_ns;
	uint64_t utc_s;
	struct ep_tcpcheck_targets targets;
	uint8_t nonce[EP_STUN_TXID_BYTES - 4]; /**< Of all transactions of this checker. */
	SSL_CTX *ssl;

	int epoll_fd;
	struct tc_io **heap; /**< [heap_max], from 1: the earliest first. */
	uint32_t heap_count, heap_max;
	uint32_t io_count;            /**< Those that may want a timer: never more than heap_max. */
	uint32_t number;              /**< Of transactions. */
	struct tc_probe *probes;      /**< All that are under way. */
	const struct tc_probe *freed; /**< The last that ended: an event may end its probe. */

	struct tc_round round;
	struct tc_load load;
	struct tc_hold hold;
	struct tc_capacity *capacity;
	struct tc_idle *idle;
	uint8_t scratch[TC_ANSWER_MAX];
};

/** Open a socket, put it under epoll. @return 0 or -errno; on failure there is nothing to close. */
int tc_io_open(struct ep_tcpcheck *c, struct tc_io *io, enum tc_kind kind,
	enum ep_tcpcheck_transport transport, uint16_t port);
/** Close the socket and take the timer away. */
void tc_io_close(struct ep_tcpcheck *c, struct tc_io *io, bool abort);
/** Have an event again at the next poll for what is there already: an edge tells of it once, and its time is not that of this poll. */
void tc_io_again(struct ep_tcpcheck *c, struct tc_io *io);
/** Make an io that is a timer only. @return 0 or -ENOMEM. */
int tc_io_tick(struct ep_tcpcheck *c, struct tc_io *io, enum tc_kind kind);
void tc_io_tick_end(struct ep_tcpcheck *c, struct tc_io *io);

/** Room for @p more timers. @return 0 or -ENOMEM. */
int tc_timer_reserve(struct ep_tcpcheck *c, uint32_t more);
void tc_timer_set(struct ep_tcpcheck *c, struct tc_io *io, uint64_t at_ns);
void tc_timer_clear(struct ep_tcpcheck *c, struct tc_io *io);
/** The earliest timer if it is due, taken out; else NULL. */
struct tc_io *tc_timer_due(struct ep_tcpcheck *c, uint64_t now_ns);

/** Whether a target is the first of its port: the one that connects for the load, the held connection and the idle ladder. */
bool tc_target_is_first(const struct ep_tcpcheck *c, uint32_t i);
/** What a held connection of a check says. */
enum tc_say tc_target_say(const struct ep_tcpcheck_target *target);

/** Sentence and advice of a row that has ended. */
void tc_row_finish(const struct ep_tcpcheck *c, struct ep_tcpcheck_row *row);
/** The sentence without port: "open after 1.2 ms". */
void tc_row_sentence(const struct ep_tcpcheck *c, struct ep_tcpcheck_row *row);

void tc_load_tick(struct ep_tcpcheck *c, uint64_t now_ns);
/** An attempt has ended. @param row Its target, status and times. */
void tc_load_done(struct ep_tcpcheck *c, uint32_t target, const struct ep_tcpcheck_row *row,
	uint64_t start_ns, uint64_t now_ns);

/* The owners of lines. */
void tc_hold_event(struct ep_tcpcheck *c, struct tc_line *line, uint64_t now_ns);
void tc_hold_timer(struct ep_tcpcheck *c, struct tc_line *line, uint64_t now_ns);
void tc_capacity_event(struct ep_tcpcheck *c, struct tc_line *line, uint64_t now_ns);
void tc_capacity_timer(struct ep_tcpcheck *c, struct tc_line *line, uint64_t now_ns);
void tc_capacity_tick(struct ep_tcpcheck *c, uint64_t now_ns);
void tc_capacity_free(struct ep_tcpcheck *c);
void tc_idle_event(struct ep_tcpcheck *c, struct tc_line *line, uint64_t now_ns);
void tc_idle_timer(struct ep_tcpcheck *c, struct tc_line *line, uint64_t now_ns);
void tc_idle_tick(struct ep_tcpcheck *c, uint64_t now_ns);
void tc_idle_free(struct ep_tcpcheck *c);
