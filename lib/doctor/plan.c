/* The plan for people and for programs: each choice with its reason. */

#include "doctor_priv.h"

#include <jansson.h>
#include <stdio.h>

#define LABEL_COLUMNS 23
/* Rules of a line of the text. */
#define RULES_PER_LINE 5

static const char *
nic_name(const struct ep_doctor_facts *f, uint32_t nic)
{
	return f->plan_cfg->nic[nic].name;
}

/* --- JSON ------------------------------------------------------------------------------------------------------------------- */

static json_t *
number_or_null(int64_t value)
{
	return value >= 0 ? json_integer(value) : json_null();
}

static json_t *
nics_json(const struct ep_doctor_facts *f)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < f->plan->port_count; i++) {
		const struct ep_plan_port *p = &f->plan->port[i];

		json_array_append_new(list,
			json_pack("{s:s, s:o, s:i, s:i, s:i, s:s, s:s}", "name", nic_name(f, i),
				"node", number_or_null(f->plan_cfg->nic[i].node), "queues",
				(int)p->queue_count, "first_worker", (int)p->first_worker,
				"workers", (int)p->worker_count, "reason", p->reason, "steer",
				p->steer));
	}
	return list;
}

static json_t *
workers_json(const struct ep_plan *plan)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < plan->worker_count; i++) {
		const struct ep_plan_worker *w = &plan->worker[i];

		json_array_append_new(list,
			json_pack("{s:o, s:o, s:i, s:s}", "cpu",
				number_or_null(plan->floating ? -1 : w->cpu), "node",
				number_or_null(w->node), "queues", (int)w->queue_count, "reason",
				w->reason));
	}
	return list;
}

static json_t *
queues_json(const struct ep_doctor_facts *f)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < f->plan->queue_count; i++) {
		const struct ep_plan_queue *q = &f->plan->queue[i];

		json_array_append_new(list,
			json_pack("{s:s, s:i, s:i, s:o, s:i, s:I, s:s}", "nic", nic_name(f, q->nic),
				"number", (int)q->number, "worker", (int)q->worker, "node",
				number_or_null(q->node), "pool_mbufs", (int)q->pool_mbufs,
				"pool_bytes", (json_int_t)q->pool_bytes, "reason", q->reason));
	}
	return list;
}

/* null where the range needs more rules than any NIC has. */
static json_t *
rules_json(const struct ep_plan *plan)
{
	json_t *list;

	if (!plan->has_masks)
		return json_null();
	list = json_array();
	for (uint32_t i = 0; i < plan->masks.rule_count; i++)
		json_array_append_new(list,
			json_pack("{s:i, s:i}", "value", (int)plan->masks.rule[i].value, "mask",
				(int)plan->masks.rule[i].mask));
	return json_pack("{s:b, s:o}", "minimal", (int)plan->masks.minimal, "masks", list);
}

static json_t *
notes_json(const struct ep_plan *plan)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < plan->note_count; i++)
		json_array_append_new(list,
			json_pack("{s:s, s:s}", "level",
				plan->note[i].level == EP_PLAN_WARN ? "warn" : "info", "text",
				plan->note[i].text));
	return list;
}

json_t *
doctor_plan_json(const struct ep_doctor_facts *f)
{
	const struct ep_plan *p = f->plan;

	if (p == NULL)
		return json_object();
	return json_pack("{s:b, s:o, s:s, s:o, s:o, s:o, s:o, s:o}", "floating", (int)p->floating,
		"control_cpu", number_or_null(p->control_cpu), "control_reason", p->control_reason,
		"nics", nics_json(f), "workers", workers_json(p), "queues", queues_json(f), "rules",
		rules_json(p), "notes", notes_json(p));
}

/* --- Text ------------------------------------------------------------------------------------------------------------------- */

static void
line_text(FILE *out, const char *label, const char *text)
{
	fprintf(out, "  %-*s", LABEL_COLUMNS - 2, label);
	doctor_wrap(out, text, LABEL_COLUMNS);
}

static void
ports_text(FILE *out, const struct ep_doctor_facts *f)
{
	char text[2 * EP_PLAN_TEXT_BYTES + 64];

	for (uint32_t i = 0; i < f->plan->port_count; i++) {
		const struct ep_plan_port *p = &f->plan->port[i];

		snprintf(text, sizeof(text), "%s; %s", p->reason, p->steer);
		line_text(out, nic_name(f, i), text);
	}
}

static void
workers_text(FILE *out, const struct ep_plan *plan)
{
	char label[32], text[EP_PLAN_TEXT_BYTES + 64];

	for (uint32_t i = 0; i < plan->worker_count; i++) {
		const struct ep_plan_worker *w = &plan->worker[i];

		snprintf(label, sizeof(label), "worker %u", i);
		if (plan->floating)
			snprintf(text, sizeof(text), "any CPU: %s", w->reason);
		else
			snprintf(text, sizeof(text), "CPU %u: %s", w->cpu, w->reason);
		line_text(out, label, text);
	}
}

static void
queues_text(FILE *out, const struct ep_doctor_facts *f)
{
	char label[96], text[EP_PLAN_TEXT_BYTES + 96];

	for (uint32_t i = 0; i < f->plan->queue_count; i++) {
		const struct ep_plan_queue *q = &f->plan->queue[i];

		snprintf(label, sizeof(label), "%s queue %u ", nic_name(f, q->nic), q->number);
		snprintf(text, sizeof(text), "worker %u, %u buffers (%.0f MiB): %s", q->worker,
			q->pool_mbufs, (double)q->pool_bytes / (1 << 20), q->reason);
		line_text(out, label, text);
	}
}

static void
rules_text(FILE *out, const struct ep_plan *plan, const char *ports)
{
	const struct ep_plan_masks *m = &plan->masks;
	char text[256];

	if (!plan->has_masks)
		return;
	snprintf(text, sizeof(text), "--ports %.128s as %u value/mask rule%s%s:", ports,
		m->rule_count, m->rule_count == 1 ? "" : "s",
		m->minimal ? ", and no fewer would do" : "");
	line_text(out, "rules", text);
	for (uint32_t i = 0; i < m->rule_count; i++) {
		const bool last = i + 1 == m->rule_count || (i + 1) % RULES_PER_LINE == 0;

		if (i % RULES_PER_LINE == 0)
			fprintf(out, "%*s", LABEL_COLUMNS, "");
		fprintf(out, "0x%04x/0x%04x%s", m->rule[i].value, m->rule[i].mask,
			last ? "\n" : " ");
	}
}

void
doctor_plan_text(FILE *out, const struct ep_doctor_facts *f)
{
	const struct ep_plan *p = f->plan;

	if (p == NULL)
		return;
	fprintf(out, "\nThe plan for --dev (nothing was touched)\n");
	line_text(out, "main thread", p->control_reason);
	ports_text(out, f);
	workers_text(out, p);
	queues_text(out, f);
	rules_text(out, p, f->ports);
	for (uint32_t i = 0; i < p->note_count; i++)
		if (p->note[i].level == EP_PLAN_INFO)
			line_text(out, "note", p->note[i].text);
}
