#pragma once

/** @file The session of a responder: what each message of the initiator sets off. */

#include "responder.h"

/** Take the events of a connection: of the session's, or of one that wants a session. */
void responder_session_events(struct responder *r, struct responder_conn *c, uint64_t now_ns);

/** Beats and times, every few milliseconds while there is a session. */
void responder_session_tick(struct responder *r, uint64_t now_ns);

/** End the session at once: stop sending, leave all packets to the kernel, forget. */
void responder_session_end(struct responder *r);
