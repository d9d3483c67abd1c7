#pragma once

/** @file Which two devices a loop can be made of, and in which order they are opened. */

#include <ep_base.h>

#include <stdbool.h>

/**
 * Whether probes of one of two devices can arrive at the other at all.
 *
 * @param dev
 *   The two --dev.
 * @return
 *   0, or -EINVAL with a sentence: a device that sends nowhere or to itself, or two ends of which each waits for the other.
 */
int pairing_check(const char *const dev[2], struct ep_err *err);

/**
 * Whether the second device is to be opened first: DPDK's virtio-user as a server does not return before its client is there.
 */
bool pairing_second_first(const char *const dev[2]);
