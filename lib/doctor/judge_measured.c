/* What was measured on the host: pauses of its CPUs, and the ceiling of the tester. */

#include "doctor_priv.h"

#include <stdio.h>

/* A ring of 2048 holds what 2 Mpps bring in a millisecond; longer pauses drop packets at that rate. */
#define GAP_LIMIT_NS EP_NS_PER_MS
/* A neighbour that takes this much of a CPU takes as much of its ceiling. */
#define AWAY_LIMIT_RATIO 0.02
#define STEAL_LIMIT_RATIO 0.01

static void
judge_hiccup(const struct ep_doctor_facts *f, struct ep_doctor_report *r)
{
	const struct ep_doctor_hiccup *h = &f->hiccup;
	const struct ep_doctor_hiccup_cpu *gap = NULL, *away = NULL;
	char worst[32], span[32];
	struct ep_doctor_finding *x;

	if (!h->measured || h->cpu_count == 0)
		return;
	gap = away = &h->cpu[0];
	for (uint32_t i = 1; i < h->cpu_count; i++) {
		if (h->cpu[i].max_gap_ns > gap->max_gap_ns)
			gap = &h->cpu[i];
		if (h->cpu[i].away_ratio > away->away_ratio)
			away = &h->cpu[i];
	}
	ep_duration_format(worst, sizeof(worst), gap->max_gap_ns);
	ep_duration_format(span, sizeof(span), h->span_ns);
	x = doctor_add(r, "neighbours", NULL, EP_DOCTOR_OK);
	doctor_say(x, "in %s no CPU was away for longer than %s (CPU %u)", span, worst, gap->cpu);
	if (gap->max_gap_ns < GAP_LIMIT_NS && away->away_ratio < AWAY_LIMIT_RATIO &&
		h->steal_ratio < STEAL_LIMIT_RATIO)
		return;
	x->status = EP_DOCTOR_WARN;
	if (h->steal_ratio >= STEAL_LIMIT_RATIO) {
		doctor_say(x,
			"the hypervisor took %.1f %% of the CPUs' time, and CPU %u was away for "
			"up to %s in %s: its neighbours are busy; dedicated CPUs have none",
			h->steal_ratio * 100, gap->cpu, worst, span);
		doctor_fix(x, "vmstat 1 5");
		return;
	}
	doctor_say(x,
		"CPU %u was away for up to %s in %s (at 1 Mpps that is %.0f packets, and a ring "
		"holds 2048), CPU %u for %.1f %% of the time in all",
		gap->cpu, worst, span, (double)gap->max_gap_ns / 1000, away->cpu,
		away->away_ratio * 100);
	doctor_fix(x, "ps -eo psr,pcpu,comm --sort=-pcpu | head");
}

static void
judge_ceiling(const struct ep_doctor_facts *f, struct ep_doctor_report *r)
{
	const struct ep_doctor_ceiling *c = &f->ceiling;
	char pps[32];
	struct ep_doctor_finding *x;

	if (!c->wanted)
		return;
	x = doctor_add(r, "ceiling", NULL, EP_DOCTOR_OK);
	ep_pps_format(pps, sizeof(pps), c->pps);
	if (!c->measured) {
		x->status = EP_DOCTOR_WARN;
		doctor_say(x, "the tester's ceiling was not measured: %s", c->error);
	} else if (!c->stored) {
		x->status = EP_DOCTOR_WARN;
		doctor_say(x,
			"the tester's ceiling is %s over %s at --size %s; it could not be stored "
			"for later results: %s",
			pps, c->device, c->size, c->error);
		doctor_fix(x, "XDG_STATE_HOME=DIRECTORY %s doctor ...", doctor_program(f));
	} else {
		doctor_say(x,
			"the tester's ceiling is %s over %s at --size %s; stored in %s and shown "
			"beside later results",
			pps, c->device, c->size, c->path);
	}
}

void
doctor_judge_measured(const struct ep_doctor_facts *f, struct ep_doctor_report *r)
{
	judge_hiccup(f, r);
	judge_ceiling(f, r);
}
