#pragma once

/** @file What the configuration file of a LiveKit server says of its ports. */

#include "config.h"

/**
 * Read c->livekit_path: the targets become its ports, the TURN name its domain and --ports its media ports where they were not given; what
 * contradicts itself becomes a note.
 *
 * @return
 *   0, or -errno with a sentence.
 */
int opt_livekit_read(struct config *c, struct ep_err *err);
