/* What the plan says of itself: that there is one, and what it costs. */

#include "doctor_priv.h"

#include <stdio.h>

void
doctor_judge_plan(const struct ep_doctor_facts *f, struct ep_doctor_report *r)
{
	const struct ep_plan *p = f->plan;
	struct ep_doctor_finding *x;

	if (f->plan_error[0] != '\0') {
		x = doctor_add(r, "plan", NULL, EP_DOCTOR_STOP);
		doctor_say(x, "there is no plan for these devices: %s", f->plan_error);
	}
	if (p == NULL)
		return;
	x = doctor_add(r, "plan", NULL, EP_DOCTOR_OK);
	doctor_say(x, "%u queue%s of %u device%s on %u worker%s%s", p->queue_count,
		p->queue_count == 1 ? "" : "s", p->port_count, p->port_count == 1 ? "" : "s",
		p->worker_count, p->worker_count == 1 ? "" : "s",
		p->floating ? ", which float over all CPUs" : ", each pinned to its CPU");
	for (uint32_t i = 0; i < p->note_count; i++)
		if (p->note[i].level == EP_PLAN_WARN)
			doctor_say(
				doctor_add(r, "plan", NULL, EP_DOCTOR_WARN), "%s", p->note[i].text);
}
