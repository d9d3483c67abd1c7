/* How packets lay on the receive queues: a line a direction, where its receiver had several. */

#include "report_priv.h"

#include <math.h>
#include <stdio.h>

/* Shares that are written out; with more queues the fullest alone is told. */
#define SHARES_MAX 16

/* "25.1 %, 24.9 %, ..." or "32 queues" */
static void
queues_shares(char *buf, size_t len, const struct ep_result_queues *q)
{
	uint64_t sum = 0;
	size_t used = 0;

	for (uint32_t i = 0; i < q->count; i++)
		sum += q->received[i];
	snprintf(buf, len, "%u queues", q->count);
	for (uint32_t i = 0; i < q->count && q->count <= SHARES_MAX && used < len; i++)
		used += (size_t)snprintf(buf + used, len - used, "%s%.1f %%", i > 0 ? ", " : "",
			sum == 0 ? 0 : (double)q->received[i] * 100 / (double)sum);
}

static void
queues_line(struct report_buf *b, const struct ep_result *r, enum ep_result_dir dir)
{
	const struct ep_result_spread *s = &r->spread[dir];
	const double ratio = ep_result_queues_ratio(&s->sum);
	char shares[256], expected[48] = "", line[800], lead[64];

	if (!isfinite(ratio))
		return;
	queues_shares(shares, sizeof(shares), &s->sum);
	if (s->expected_ratio > 0)
		snprintf(expected, sizeof(expected), ", %.2f expected", s->expected_ratio);
	snprintf(line, sizeof(line), "%s; the fullest has %.2f times the mean%s%s%s%s%s", shares,
		ratio, expected, s->steering[0] != '\0' ? "; " : "", s->steering,
		s->unjudged != NULL ? "; whether loss follows one of them cannot be told: " : "",
		s->unjudged != NULL ? s->unjudged : "");
	snprintf(lead, sizeof(lead), "  %-*s", REPORT_LABEL_COLUMNS,
		dir == EP_RESULT_UP ? "Receive queues up" : "Receive queues down");
	report_wrap(b, lead, line);
}

void
report_queues(struct report_buf *b, const struct ep_result *r)
{
	queues_line(b, r, EP_RESULT_UP);
	queues_line(b, r, EP_RESULT_DOWN);
}
