#pragma once

/**
 * @file
 * One target once, level by level; what the three files of it share.
 *
 *   TCP  CONNECT -> GRACE (connect, ice-tcp, load) -> TLS (tls, turn-tls) -> ASK
 *   UDP  ASK (Binding) -> ASK (Allocate)
 *
 *   probe.c      its life: connect, grace, events and timers     probe_row.c  what it leaves behind
 *   probe_ask.c  TLS, requests and their answers
 *
 * The time of a level begins when the one below it ended. A function that ends the probe frees it.
 */

#include "tcpcheck_priv.h"

enum probe_state { PROBE_CONNECT, PROBE_GRACE, PROBE_TLS, PROBE_ASK };

struct tc_probe {
	struct tc_io io;
	struct tc_probe *next, **link; /* All that are under way. */
	uint32_t target;
	bool load;
	uint8_t state;
	uint8_t say;
	uint32_t level; /* Rows written. */
	uint32_t tries;
	uint32_t number; /* Of the transaction. */
	uint64_t start_ns, step_ns;
	uint64_t connect_ns, tls_ns;
	struct tc_tls *tls;
	uint8_t *rx; /* [TC_ANSWER_MAX], from ASK on. */
	size_t have;
	uint32_t heard_bytes; /* Of this level, datagrams with one more each. */
};

static inline const struct ep_tcpcheck_target *
probe_target(const struct ep_tcpcheck *c, const struct tc_probe *p)
{
	return &c->targets.target[p->target];
}

static inline bool
probe_is_udp(const struct ep_tcpcheck *c, const struct tc_probe *p)
{
	return probe_target(c, p)->transport == EP_TCPCHECK_UDP;
}

/* probe_row.c */

/** The row of the level that the probe is at. */
struct ep_tcpcheck_row probe_row(
	const struct ep_tcpcheck *c, const struct tc_probe *p, const struct tc_end *end);
/** Put a row into the round; the probe goes on. */
void probe_write(struct ep_tcpcheck *c, struct tc_probe *p, struct ep_tcpcheck_row *row);
/* End the probe: with a row, or with the row of its level and an end, a status, an errno (positive). */
void probe_end_row(
	struct ep_tcpcheck *c, struct tc_probe *p, struct ep_tcpcheck_row *row, uint64_t now_ns);
void probe_end(struct ep_tcpcheck *c, struct tc_probe *p, const struct tc_end *end,
	const char *reply, uint64_t now_ns);
void probe_end_status(struct ep_tcpcheck *c, struct tc_probe *p, enum ep_tcpcheck_status status,
	const char *reply, uint64_t now_ns);
void probe_end_error(struct ep_tcpcheck *c, struct tc_probe *p, int error, uint64_t now_ns);

/* probe_ask.c */

/** Say a message and wait for its answer. */
void probe_ask(struct ep_tcpcheck *c, struct tc_probe *p, enum tc_say say, uint64_t now_ns);
void probe_ask_event(struct ep_tcpcheck *c, struct tc_probe *p, uint64_t now_ns);
void probe_ask_expired(struct ep_tcpcheck *c, struct tc_probe *p, uint64_t now_ns);
void probe_tls(struct ep_tcpcheck *c, struct tc_probe *p, uint64_t now_ns);
void probe_tls_event(struct ep_tcpcheck *c, struct tc_probe *p, uint64_t now_ns);
