#pragma once

/** @file A control connection: bytes of ep_xport moved into and out of the state machine of ep_ctrl. */

#include <ep_ctrl.h>
#include <ep_xport.h>

struct link {
	struct ep_xport_conn *conn;
	struct ep_ctrl *ctrl;
};

/**
 * Move bytes both ways without blocking.
 * @return 0, or -EPIPE when the connection is over (what had come before is still in the state machine).
 */
int link_pump(struct link *link, uint64_t now_ns);

/** Wait at most @p wait_ms for the connection, then link_pump(). Same return. */
int link_wait(struct link *link, int wait_ms);

/** The same, and no longer than until @p other_fd is readable; -1: none. */
int link_wait_with(struct link *link, int wait_ms, int other_fd);

/** Send what is left of the output, at most for @p wait_ms, and close; where that is above 0, wait up to a second until the far side has it: what
 *  carries it may be closed next. Accepts a link without connection. */
void link_close(struct link *link, int wait_ms);
