#pragma once

/** @file Both ends in one process, for another command than loop: the doctor's ceiling. */

#include "config.h"

#include <ep_result.h>

/**
 * Run a loop and judge its result; writes no output. Starts and ends DPDK, so once a process.
 *
 * @param config
 *   As of everyport loop.
 * @param[out] out
 *   Set on success only; the caller's.
 * @return
 *   0 (whatever the verdict), -EINTR (interrupted), or -errno with a sentence.
 */
int loop_only(struct config *config, struct ep_result **out, struct ep_err *err);
