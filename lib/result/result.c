/* The result as a container: creation, growing lists, names. */

#include "ep_result.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Entries a list starts with; it doubles whenever it holds a power of two, so that no capacity has to be stored. */
#define RESULT_LIST_FIRST 8u

int
ep_result_create(const struct ep_range *range, struct ep_result **out)
{
	struct ep_result *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return -ENOMEM;
	r->range = malloc(sizeof(*r->range));
	r->port = calloc(range->port_count > 0 ? range->port_count : 1, sizeof(*r->port));
	if (r->range == NULL || r->port == NULL) {
		ep_result_destroy(r);
		return -ENOMEM;
	}
	*r->range = *range;
	*out = r;
	return 0;
}

void
ep_result_destroy(struct ep_result *r)
{
	if (r == NULL)
		return;
	free(r->range);
	free(r->port);
	free(r->impair);
	for (int d = 0; d < EP_RESULT_DIRS; d++) {
		free(r->icmp[d]);
		free(r->spread[d].port_queue);
	}
	free(r->block);
	free(r->trial);
	free(r->interval);
	free(r->tcp);
	free(r->config);
	free(r->host);
	free(r->reason);
	free(r->warning);
	free(r);
}

int
ep_result_add_impair(struct ep_result *r)
{
	struct ep_result_impair_port *impair =
		calloc(r->range->port_count > 0 ? r->range->port_count : 1, sizeof(*impair));

	if (impair == NULL)
		return -ENOMEM;
	free(r->impair);
	r->impair = impair;
	return 0;
}

int
ep_result_add_icmp(struct ep_result *r, enum ep_result_dir dir)
{
	if (r->icmp[dir] != NULL)
		return 0;
	return ep_slow_icmp_create(r->range->port_count, &r->icmp[dir]);
}

/* The list, moved if need be, with room for one more entry; NULL (list unchanged) without memory. */
static void *
result_room(void *list, uint32_t count, size_t entry_bytes)
{
	size_t capacity = 0;

	if (count == 0)
		capacity = RESULT_LIST_FIRST;
	else if (count >= RESULT_LIST_FIRST && (count & (count - 1)) == 0)
		capacity = (size_t)count * 2;
	return capacity == 0 ? list : realloc(list, capacity * entry_bytes);
}

int
ep_result_add_trial(struct ep_result *r, const struct ep_result_trial *trial)
{
	struct ep_result_trial *list = result_room(r->trial, r->trial_count, sizeof(*list));

	if (list == NULL)
		return -ENOMEM;
	r->trial = list;
	r->trial[r->trial_count++] = *trial;
	return 0;
}

int
ep_result_add_interval(struct ep_result *r, const struct ep_result_interval *interval)
{
	struct ep_result_interval *list =
		result_room(r->interval, r->interval_count, sizeof(*list));

	if (list == NULL)
		return -ENOMEM;
	r->interval = list;
	r->interval[r->interval_count++] = *interval;
	return 0;
}

int
ep_result_add_tcp(struct ep_result *r, const struct ep_result_tcp *tcp)
{
	struct ep_result_tcp *list = result_room(r->tcp, r->tcp_count, sizeof(*list));

	if (list == NULL)
		return -ENOMEM;
	r->tcp = list;
	r->tcp[r->tcp_count++] = *tcp;
	return 0;
}

int
ep_result_add_block(struct ep_result *r, const struct ep_result_latency_block *block)
{
	struct ep_result_latency_block *list = result_room(r->block, r->block_count, sizeof(*list));

	if (list == NULL)
		return -ENOMEM;
	r->block = list;
	r->block[r->block_count++] = *block;
	return 0;
}

static int
result_add_pair(struct ep_result_pair **list, uint32_t *count, const char *key, const char *value,
	bool is_number)
{
	struct ep_result_pair *grown = result_room(*list, *count, sizeof(*grown));
	struct ep_result_pair *pair;

	if (grown == NULL)
		return -ENOMEM;
	*list = grown;
	pair = &grown[(*count)++];
	*pair = (struct ep_result_pair){.is_number = is_number};
	snprintf(pair->key, sizeof(pair->key), "%s", key);
	snprintf(pair->value, sizeof(pair->value), "%s", value);
	return 0;
}

/* The shortest text that reads back as the same number: 15 digits nearly always do, 17 always. */
static int
result_add_number(struct ep_result_pair **list, uint32_t *count, const char *key, double value)
{
	char text[40];

	snprintf(text, sizeof(text), "%.15g", value);
	if (isfinite(value) && strtod(text, NULL) != value)
		snprintf(text, sizeof(text), "%.17g", value);
	return result_add_pair(list, count, key, text, true);
}

int
ep_result_config_text(struct ep_result *r, const char *key, const char *value)
{
	return result_add_pair(&r->config, &r->config_count, key, value, false);
}

int
ep_result_config_number(struct ep_result *r, const char *key, double value)
{
	return result_add_number(&r->config, &r->config_count, key, value);
}

int
ep_result_host_text(struct ep_result *r, const char *key, const char *value)
{
	return result_add_pair(&r->host, &r->host_count, key, value, false);
}

int
ep_result_host_number(struct ep_result *r, const char *key, double value)
{
	return result_add_number(&r->host, &r->host_count, key, value);
}

int
ep_result_reason(struct ep_result *r, const char *fmt, ...)
{
	char(*list)[512] = result_room(r->reason, r->reason_count, sizeof(*list));
	va_list ap;

	if (list == NULL)
		return -ENOMEM;
	r->reason = list;
	va_start(ap, fmt);
	vsnprintf(r->reason[r->reason_count++], sizeof(*list), fmt, ap);
	va_end(ap);
	return 0;
}

int
ep_result_warn(struct ep_result *r, const char *fmt, ...)
{
	char(*list)[512] = result_room(r->warning, r->warning_count, sizeof(*list));
	va_list ap;

	if (list == NULL)
		return -ENOMEM;
	r->warning = list;
	va_start(ap, fmt);
	vsnprintf(r->warning[r->warning_count++], sizeof(*list), fmt, ap);
	va_end(ap);
	return 0;
}

struct ep_result_latency
ep_result_latency_of(const struct ep_hist *hist)
{
	struct ep_result_latency l = {.count = hist->count};

	if (l.count == 0)
		return l;
	l.min_ns = ep_hist_min_ns(hist);
	l.p50_ns = ep_hist_quantile_ns(hist, 0.5);
	l.p90_ns = ep_hist_quantile_ns(hist, 0.9);
	l.p99_ns = ep_hist_quantile_ns(hist, 0.99);
	l.p999_ns = ep_hist_quantile_ns(hist, 0.999);
	l.max_ns = hist->max_ns;
	return l;
}

double
ep_result_pacing_error_ppm(const struct ep_result_pacing *pacing)
{
	if (!pacing->known || !(pacing->intended_pps > 0) || !(pacing->offered_pps > 0))
		return (double)NAN;
	return (pacing->offered_pps / pacing->intended_pps - 1) * 1e6;
}

bool
ep_result_trial_uses(const struct ep_result_trial *t, enum ep_result_dir dir)
{
	return strcmp(t->direction, dir == EP_RESULT_UP ? "down" : "up") != 0;
}

enum ep_result_port_verdict
ep_result_port_worst(const struct ep_result_port *port)
{
	const enum ep_result_port_verdict up = port->dir[EP_RESULT_UP].verdict;
	const enum ep_result_port_verdict down = port->dir[EP_RESULT_DOWN].verdict;

	return up > down ? up : down;
}

const char *
ep_result_dir_name(enum ep_result_dir dir)
{
	return dir == EP_RESULT_UP ? "up" : "down";
}

const char *
ep_result_port_verdict_name(enum ep_result_port_verdict v)
{
	static const char *const name[] = {
		[EP_RESULT_PORT_OK] = "ok",
		[EP_RESULT_PORT_LOSSY] = "lossy",
		[EP_RESULT_PORT_DEAD] = "dead",
	};

	return name[v];
}

const char *
ep_result_verdict_name(enum ep_result_verdict v)
{
	static const char *const name[] = {
		[EP_RESULT_PASS] = "pass",
		[EP_RESULT_FAIL] = "fail",
		[EP_RESULT_INVALID] = "invalid",
		[EP_RESULT_INTERRUPTED] = "interrupted",
	};

	return name[v];
}

int
ep_result_exit_code(enum ep_result_verdict v)
{
	static const int code[] = {
		[EP_RESULT_PASS] = 0,
		[EP_RESULT_FAIL] = 1,
		[EP_RESULT_INVALID] = 5,
		[EP_RESULT_INTERRUPTED] = 6,
	};

	return code[v];
}
