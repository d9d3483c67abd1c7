#pragma once

/** @file What a command writes: the text report on stdout, JSON and CSV where asked. */

#include "config.h"

#include <ep_result.h>

/** Check before the run that every output can be written, so that no result is lost at its end. @return 0 or -errno with a sentence. */
int output_check(const struct config *config, struct ep_err *err);

/** Write all outputs. @return 0, or -errno with a sentence after having written what could be written. */
int output_write(const struct config *config, const struct ep_result *result, struct ep_err *err);

/** Write a text to a file; "-" is stdout. @return 0 or -errno with a sentence. */
int output_text(const char *path, const char *option, const char *text, struct ep_err *err);

/** Fill config{} with the options as used. */
void output_config(struct ep_result *result, const struct config *config);
