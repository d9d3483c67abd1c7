#pragma once

/**
 * @file
 * The fallback check around and during a load. One checker for the whole of it, moved on by the main thread at every wait: a round of
 * all levels and a few seconds of connects before and after, connects at --tcp-rate during the load, and one held connection a port from the
 * first to the last.
 */

#include "session.h"

/** A checker as the options say. @param device To bind to; NULL: the kernel routes. @return 0 or -errno with a sentence. */
int tcp_checker(const struct config *config, const struct ep_wire_ip *peer, const char *device,
	struct ep_tcpcheck **out, struct ep_err *err);

/**
 * Whether this process may have the descriptors of the connects under load: where every one waits for its time-out, at --tcp-rate. Raises
 * the soft limit where that is enough. @return 0, or -EMFILE with a sentence.
 */
int tcp_files(const struct config *config, struct ep_err *err);

/** What a wait has to watch beside its own: -1 without a check. */
int tcp_fd(const struct session *s);

/** At most @p wait_ms, less where the check has something to do before. */
int tcp_wait_ms(const struct session *s, int wait_ms);

/** Move the check on: after each wait. */
void tcp_tick(struct session *s);

/** The phase before the load; waits for it. Nothing to do without a checker. */
enum session_status tcp_before(struct session *s);

/** From now on connects go on while probes are on their way, until tcp_during_end() writes their rows. */
void tcp_during_begin(struct session *s);
/** @param status Of the load. What is under way is waited for only where it is SESSION_OK: a lost peer is sent nothing more. */
void tcp_during_end(struct session *s, enum session_status status);

/** The phase after the load, and the rows of the held connections. */
enum session_status tcp_after(struct session *s);

/** Write the rows of the held connections, once, and close all. Also after an interrupted run. */
void tcp_end(struct session *s);
