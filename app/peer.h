#pragma once

/** @file Which address of a name is measured: the first that connects (RFC 8305 in spirit), so that one that is dead does not stand for all. */

#include "config.h"

#include <ep_wire.h>

/** The address that was chosen. */
struct peer {
	struct ep_wire_ip ip;
	char note
		[384]; /**< Where the name has several: which is checked, what became of the others, in a sentence; else "". */
};

/**
 * Resolve a name or address; of several addresses take the first to which one of the TCP ports under test (--control-port, where given)
 * connects, over @p device where one is given. They are tried in the resolver's order (RFC 6724), each a quarter of a second after the one
 * before or as soon as that one has failed. Where none connects it is the first that answered at all, else the first. Blocks until then, at
 * the longest --tcp-timeout behind the last; ended by a signal. Sends nothing where there is one address only. What is connected is closed
 * with RST.
 *
 * @param what
 *   The option or operand, for the sentences.
 * @param device
 *   Name of the kernel interface that they are tried over; NULL: the kernel routes.
 * @return
 *   0, -ENOENT (no such name), or -EINVAL (link-local, or no name at all), with a sentence.
 */
int peer_choose(const struct config *config, const char *name, const char *what, const char *device,
	struct peer *out, struct ep_err *err);
