/* How far from its own limits the tester was. */

#include "report_priv.h"

#include <stdio.h>
#include <string.h>

/* The day is enough: the hour says nothing about a host. */
#define DAY_CHARS 10

void
report_ceiling(struct report_buf *b, const struct ep_result *r)
{
	const struct ep_result_ceiling *c = &r->ceiling;
	char pps[48], run[48], line[256];

	if (!c->known)
		return;
	ep_pps_format(pps, sizeof(pps), c->pps);
	ep_pps_format(run, sizeof(run), c->run_pps);
	snprintf(line, sizeof(line), "tester ceiling %s (%s, %.*s); this run %s", pps, c->device,
		DAY_CHARS, c->measured, run);
	report_wrap(b, "  ", line);
}
