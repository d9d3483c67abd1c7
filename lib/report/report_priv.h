#pragma once

/**
 * @file
 * The growing string that all renderers write into, and what the files of the text report share.
 */

#include "ep_report.h"

#include <stdbool.h>
#include <stddef.h>

/** A growing string. Zero-initialised is empty. After a failure it ignores what is appended; `failed` says so at the end. */
struct report_buf {
	char *text; /**< NUL-terminated once something was appended; owned. */
	size_t len; /**< Without the NUL [B]. */
	size_t capacity;
	bool failed; /**< Out of memory. */
};

/** Append bytes. */
void report_append(struct report_buf *b, const char *bytes, size_t len);

/** Append formatted text. */
void report_printf(struct report_buf *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** Hand the text to the caller. @return 0, or -ENOMEM (everything is freed). */
int report_finish(struct report_buf *b, char **text);

/** Length of the valid UTF-8 sequence (RFC 3629) at @p s [B]: 1 to 4, or 0 where it is none. */
size_t report_utf8_len(const char *s);

/** Copy a text for JSON: each byte that is not UTF-8 becomes U+FFFD. @return Malloc'ed, or NULL. */
char *report_utf8(const char *s);

struct json_t;

/** A row of tcp[] as JSON; NULL without memory. */
struct json_t *report_tcp_json(const struct ep_result_tcp *row);

/** What is known of ICMP errors in a direction, without its ports, as JSON; null where nobody looked. NULL without memory. */
struct json_t *report_icmp_json(const struct ep_slow_icmp *a);

/** The errors on a port, as a JSON list. NULL without memory. */
struct json_t *report_icmp_port_json(const struct ep_slow_icmp *a, uint32_t port_index);

/** What the NICs' counters of a trial grew by, as JSON. NULL without memory. */
struct json_t *report_nic_json(const struct ep_result_trial *t);

/** Append what the NICs' counters tell: those that speak of drops, errors or allowances. */
void report_nic(struct report_buf *b, const struct ep_result *r);

/** Columns of the text report. */
#define REPORT_COLUMNS 96

/**
 * Append a paragraph, broken at spaces, with a line end. Control characters and bytes that are not UTF-8 become '?': texts may
 * come from the far side, and must not drive the user's terminal.
 *
 * @param lead
 *   Before the first line; the others are indented by its length.
 */
void report_wrap(struct report_buf *b, const char *lead, const char *text);

/** Columns of a label at the left of a line or table. */
#define REPORT_LABEL_COLUMNS 24

/**
 * Append where in the range the loss of a direction is, if it gathers somewhere: a loss that is too small to show on one port
 * shows on many neighbours together.
 */
void report_areas(struct report_buf *b, const struct ep_result *r, enum ep_result_dir dir);

/** Append the ICMP errors that quoted our probes: a line for each kind and hop, with its ports. */
void report_icmp(struct report_buf *b, const struct ep_result *r);

/** Whether an ICMP error came about a port that is dead. */
bool report_icmp_refused(const struct ep_result *r);

/** Append what to do about a result that is not a pass, if there is something useful to say. */
void report_hints(struct report_buf *b, const struct ep_result *r);

/** Append how the stream of a direction left, where that is known. */
void report_pacing(struct report_buf *b, const struct ep_result_trial *t, enum ep_result_dir dir);

/** Append the tester's own ceiling, where the doctor measured it, beside what this run did. */
void report_ceiling(struct report_buf *b, const struct ep_result *r);

/** Append how packets lay on the receive queues, where a receiver had several. */
void report_queues(struct report_buf *b, const struct ep_result *r);

/** Append the fallback check: a table of ports and phases, or, where it was made alone, of every level. */
void report_tcp(struct report_buf *b, const struct ep_result *r);

/** Append tcp[] as CSV. */
void report_tcp_csv(struct report_buf *b, const struct ep_result *r);

/** Whether the result is of the fallback check alone. */
bool report_is_tcp(const struct ep_result *r);
