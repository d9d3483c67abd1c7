#include "progress.h"

#include <stdio.h>
#include <unistd.h>

static bool
wanted(const struct session *s)
{
	return !s->config->quiet && isatty(STDERR_FILENO) == 1;
}

/* Ports that got nothing in the trials so far, either way. */
static uint32_t
dead_so_far(const struct ep_result *r)
{
	uint32_t dead = 0;

	for (uint32_t p = 0; p < r->range->port_count; p++) {
		const struct ep_result_port *port = &r->port[p];

		dead += (port->dir[EP_RESULT_UP].sent > 0 &&
				port->dir[EP_RESULT_UP].received == 0) ||
			(port->dir[EP_RESULT_DOWN].sent > 0 &&
				port->dir[EP_RESULT_DOWN].received == 0);
	}
	return dead;
}

static void
one_way(const struct ep_result_interval *row, enum ep_result_dir d, const char *name)
{
	const double seconds = (double)row->duration_ns / 1e9;
	const uint64_t sent = row->sent[d], received = row->received[d];
	const double loss = sent > received ? 100.0 * (double)(sent - received) / (double)sent : 0;
	char pps[32];

	ep_pps_format(pps, sizeof(pps), seconds > 0 ? (double)sent / seconds : 0);
	fprintf(stderr, "  %s %s loss %.2f %%", name, pps, loss);
}

void
progress_show(const struct session *s, const struct ep_result_interval *row, uint64_t at_ns)
{
	const uint64_t left_ns = s->phase_ns > at_ns ? s->phase_ns - at_ns : 0;

	if (!wanted(s))
		return;
	fprintf(stderr, "\r%s %.0f s", s->phase, (double)at_ns / 1e9);
	one_way(row, EP_RESULT_UP, "up");
	one_way(row, EP_RESULT_DOWN, "down");
	if (s->trial > 0)
		fprintf(stderr, "  dead ports %u", dead_so_far(s->result));
	fprintf(stderr, "  %.0f s left\033[K", (double)left_ns / 1e9);
	fflush(stderr);
}

void
progress_end(const struct session *s)
{
	if (wanted(s))
		fprintf(stderr, "\r\033[K");
}
