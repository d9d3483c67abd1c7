/*
 * Where the loss is. With 100 probes a port a loss of 1 % cannot be told from chance on one port, but over 500 neighbours it can:
 * the range is cut into areas, and those that lose more than the goal are named. One test an area, Bonferroni over the areas.
 */

#include "report_priv.h"

#include <ep_stat.h>

#include <stdio.h>
#include <stdlib.h>

/* Ports of an area, aligned to a multiple: people lay out rules in round numbers. */
#define AREA_PORTS 500
#define AREA_COUNT (EP_RANGE_PORTS / AREA_PORTS + 1)
/* Lines; an area table is a pointer for the reader, not the account. */
#define AREA_SHOWN_MAX 8

struct area {
	uint64_t sent, lost;
	uint16_t first, last; /* Of the members of the range. */
	bool used, lossy;
};

/* Dead ports are named on their own; they would hide what their neighbours lose. */
static uint32_t
area_sum(const struct ep_result *r, enum ep_result_dir dir, struct area *area)
{
	uint32_t used_count = 0;

	for (uint32_t i = 0; i < r->range->port_count; i++) {
		const struct ep_result_port_dir *p = &r->port[i].dir[dir];
		struct area *a = &area[r->range->port[i] / AREA_PORTS];

		if (!a->used) {
			a->first = r->range->port[i];
			a->used = true;
			used_count++;
		}
		a->last = r->range->port[i];
		if (p->verdict == EP_RESULT_PORT_DEAD)
			continue;
		a->sent += p->sent;
		a->lost += p->lost;
	}
	return used_count;
}

/* Join the lossy neighbours from *at on into one; false when there is none left. */
static bool
area_next(const struct area *area, uint32_t *at, struct area *joined)
{
	while (*at < AREA_COUNT && !area[*at].lossy)
		(*at)++;
	if (*at == AREA_COUNT)
		return false;
	*joined = area[*at];
	for ((*at)++; *at < AREA_COUNT && area[*at].lossy; (*at)++) {
		joined->sent += area[*at].sent;
		joined->lost += area[*at].lost;
		joined->last = area[*at].last;
	}
	return true;
}

static void
area_line(struct report_buf *b, const char *label, const struct area *a)
{
	char line[160], percent[32], lost[32], sent[32];

	snprintf(line, sizeof(line), "%u-%u: %s (%s of %s probes)", a->first, a->last,
		ep_result_percent_format(
			percent, sizeof(percent), (double)a->lost / (double)a->sent, 3),
		ep_result_count_format(lost, sizeof(lost), a->lost),
		ep_result_count_format(sent, sizeof(sent), a->sent));
	report_printf(b, "  %-*s%s\n", REPORT_LABEL_COLUMNS, label, line);
}

void
report_areas(struct report_buf *b, const struct ep_result *r, enum ep_result_dir dir)
{
	struct area *area = calloc(AREA_COUNT, sizeof(*area)), joined;
	uint32_t used_count, at = 0;

	if (area == NULL) {
		b->failed = true;
		return;
	}
	used_count = area_sum(r, dir, area);
	for (uint32_t i = 0; i < AREA_COUNT && used_count > 1; i++)
		area[i].lossy = area[i].lost > 0 &&
			ep_stat_binomial_tail(area[i].lost, area[i].sent, r->max_loss_ratio) <
				EP_STAT_ALPHA / used_count;
	for (int shown = 0; shown < AREA_SHOWN_MAX && area_next(area, &at, &joined); shown++)
		area_line(b,
			shown > 0                     ? ""
				: dir == EP_RESULT_UP ? "Loss gathers up"
						      : "Loss gathers down",
			&joined);
	free(area);
}
