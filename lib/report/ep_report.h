#pragma once

/**
 * @file
 * Renderers of a result: text for people, JSON (schema everyport.result/1), CSV. They write into a growing string; the app
 * does the I/O.
 */

#include <ep_base.h>
#include <ep_result.h>

/** Schema name of the JSON result. */
#define EP_REPORT_SCHEMA "everyport.result/1"

/** Text for people, ends with a newline. @param[out] text Malloc'ed, the caller frees. @return 0 or -ENOMEM. */
int ep_report_text(const struct ep_result *r, char **text);

/** One JSON object (design section 7), ends with a newline. @param[out] text Malloc'ed. @return 0 or -ENOMEM. */
int ep_report_json(const struct ep_result *r, char **text);

/** The ports[] table, RFC 4180 with a header line, one row a port and direction. @param[out] text Malloc'ed. @return 0 or -ENOMEM. */
int ep_report_csv(const struct ep_result *r, char **text);
