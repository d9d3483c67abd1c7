#pragma once

/** @file The plain TCP check of a run: before, during and after the load. */

#include "session.h"

/** One round, waited for; a row a port. Nothing to do without TCP ports. */
enum session_status tcp_round(struct session *s, const char *phase);

/** From now on one round a second, until tcp_during_end() writes a row a port. */
void tcp_during_begin(struct session *s);
void tcp_during_end(struct session *s);

/** Move the check on: called at each look around of the session. */
void tcp_tick(struct session *s, uint64_t now_ns);
