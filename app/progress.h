#pragma once

/** @file The progress line on stderr: once a second, on a terminal only, never with --quiet. */

#include "session.h"

/** Show an interval; @p at_ns is the time since the start of the trial. */
void progress_show(const struct session *s, const struct ep_result_interval *row, uint64_t at_ns);

/** End the line. */
void progress_end(const struct session *s);
