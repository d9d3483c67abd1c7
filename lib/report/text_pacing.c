/* How the streams of a trial left: one line a direction. */

#include "report_priv.h"

#include <math.h>
#include <stdio.h>

/* From here on a share of the rate says more than millionths [ppm]. */
#define PACING_PERCENT_PPM 1000

/* "100 kpps offered (+0.02 ppm)" */
static void
pacing_rate(char *buf, size_t len, const struct ep_result_pacing *p)
{
	const double error_ppm = ep_result_pacing_error_ppm(p);
	char pps[48];

	snprintf(buf, len, "too little was sent to tell the rate");
	if (!(p->offered_pps > 0))
		return;
	ep_pps_format(pps, sizeof(pps), p->offered_pps);
	if (!isfinite(error_ppm))
		snprintf(buf, len, "%s offered", pps);
	else if (fabs(error_ppm) < PACING_PERCENT_PPM)
		snprintf(buf, len, "%s offered (%+.*f ppm)", pps, fabs(error_ppm) < 100 ? 2 : 0,
			error_ppm);
	else
		snprintf(buf, len, "%s offered (%+.3g %%)", pps, error_ppm / 1e4);
}

/* "spaced 10.24 us (p50), 10.49 us (p99), 4.098 ms (max)" */
static void
pacing_spacing(char *buf, size_t len, const struct ep_result_pacing *p)
{
	char p50[32], p99[32], largest[32];

	snprintf(buf, len, "spaced %s (p50), %s (p99), %s (max)",
		ep_duration_format(p50, sizeof(p50), p->departures.p50_ns),
		ep_duration_format(p99, sizeof(p99), p->departures.p99_ns),
		ep_duration_format(largest, sizeof(largest), p->largest_gap_ns));
}

void
report_pacing(struct report_buf *b, const struct ep_result_trial *t, enum ep_result_dir dir)
{
	const struct ep_result_pacing *p = &t->pacing[dir];
	const struct ep_result_receiver *rx = &t->receiver[dir];
	char line[400], rate[96], spacing[128] = "one burst", away[32], lead[32];
	size_t used;

	if (!p->known)
		return;
	pacing_rate(rate, sizeof(rate), p);
	if (p->departures.count > 0)
		pacing_spacing(spacing, sizeof(spacing), p);
	used = (size_t)snprintf(line, sizeof(line), "%s, bursts of %s%u, %s; away: sender %s", rate,
		p->burst_pkts > 1 ? "up to " : "", p->burst_pkts, spacing,
		ep_duration_format(away, sizeof(away), p->loop_gap_ns));
	if (rx->known)
		snprintf(line + used, sizeof(line) - used, ", receiver %s",
			ep_duration_format(away, sizeof(away), rx->gap_ns));
	snprintf(lead, sizeof(lead), "    %-4s  ", ep_result_dir_name(dir));
	report_wrap(b, lead, line);
}
