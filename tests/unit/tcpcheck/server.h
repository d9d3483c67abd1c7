#pragma once

/**
 * @file
 * Real servers on loopback in the test's own process and thread, and a clock that moves by 1 ms a step: what a checker meets, without
 * waiting. Each server behaves in one way.
 */

#include <ep_stun.h>
#include <ep_tcpcheck.h>

#include <stdbool.h>
#include <stdint.h>

enum behaviour {
	SILENT,         /**< Accepts and reads. */
	CLOSES,         /**< Accepts and closes at once. */
	RESETS,         /**< Accepts and resets at once. */
	CLOSES_ON_DATA, /**< Reads one request and closes. */
	TALKS,          /**< Says a line of text to each request. */
	HTTP_404,       /**< Answers HTTP and keeps the connection. */
	HTTP_LAST,      /**< Answers HTTP, says that it closes, and does. */
	HTTP_SLOW,      /**< Says the beginning of an answer only. */
	FRAMED_STUN,    /**< ICE-TCP. */
	FRAMED_OTHERS,  /**< ICE-TCP that sends DTLS and an empty frame before each answer. */
	BARE_STUN,      /**< STUN and TURN over TCP; inside TLS where the server has it. */
	STUN_ONLY,      /**< BARE_STUN that answers 420 to an Allocate. */
	GARBAGE, /**< Random bytes, some behind the beginning of a right answer; see server_seed(). */
};

struct server;

/** @param tls Whether the behaviour is inside TLS, with a certificate issued by "CN=test issuer" for "media.test", 30 days valid. */
struct server *server_start(enum behaviour behaviour, bool tls);
struct server *server_start_udp(enum behaviour behaviour);
void server_stop(struct server *s);
uint16_t server_port(const struct server *s);
/** Connections accepted so far. */
uint32_t server_accepted(const struct server *s);
/** Requests that came. */
uint32_t server_requests(const struct server *s);
/** From now on each request is only read. */
void server_mute(struct server *s, bool mute);
/** From now on it behaves in another way. */
void server_behave(struct server *s, enum behaviour behaviour);
/** Room for so many connections that were not accepted yet. */
void server_backlog(struct server *s, int connections);
/** Of FRAMED_STUN and BARE_STUN: Binding requests must know this ICE password. Borrowed. */
void server_password(struct server *s, const char *password);
/** Of a UDP server: do not answer the next requests. */
void server_lose(struct server *s, uint32_t requests);
/** Reset or close every connection. */
void server_reset_all(struct server *s);
void server_close_all(struct server *s);
/** Let the server do what is to be done now. */
void server_step(struct server *s);

/** Of GARBAGE. */
void server_seed(struct server *s, uint64_t seed);

/** A port on which nothing listens. */
uint16_t free_port(void);

/** The test's clock [ns]. */
extern uint64_t test_now_ns;
/** A checker of 127.0.0.1 with targets, for the fields that a test adds. */
struct ep_tcpcheck_cfg test_cfg(void);
void test_target(struct ep_tcpcheck_cfg *cfg, enum ep_tcpcheck_transport transport, uint16_t port,
	enum ep_tcpcheck_check check);
struct ep_tcpcheck *test_checker(const struct ep_tcpcheck_cfg *cfg);
/** One step of 1 ms: servers (NULL-terminated), then the checker. */
void test_step(struct ep_tcpcheck *c, struct server *const *servers);
/** Steps for a time. */
void test_run(struct ep_tcpcheck *c, struct server *const *servers, uint64_t ns);
/** A whole round; fails when it is not done in 20 s of the test's clock. */
void test_round(struct ep_tcpcheck *c, struct server *const *servers);
/** The row of a check, or NULL. */
const struct ep_tcpcheck_row *test_row(
	struct ep_tcpcheck *c, uint16_t port, enum ep_tcpcheck_check check);
