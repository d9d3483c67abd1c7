/* Counters of the NICs: all that grew as JSON, and as text those that tell something. */

#include "report_priv.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *
nic_text(const char *s)
{
	char *clean = report_utf8(s);
	json_t *value = clean != NULL ? json_string(clean) : NULL;

	free(clean);
	return value;
}

static json_t *
nic_counter_json(const struct ep_nic_changes *nic, const struct ep_nic_change *c)
{
	const struct ep_nic_known *known = ep_nic_know(nic->driver, c->source, c->name);
	json_t *o = json_object();
	int bad = 0;

	bad |= json_object_set_new(o, "source", json_string(ep_nic_source_name(c->source)));
	bad |= json_object_set_new(o, "name", nic_text(c->name));
	bad |= json_object_set_new(o, "count", json_integer((json_int_t)c->count));
	bad |= json_object_set_new(o, "at_least", json_boolean(c->at_least));
	bad |= json_object_set_new(o, "meaning",
		json_string(ep_nic_meaning_name(ep_nic_meaning(nic->driver, c->source, c->name))));
	bad |= json_object_set_new(
		o, "sentence", known != NULL ? json_string(known->sentence) : json_null());
	if (bad == 0)
		return o;
	json_decref(o);
	return NULL;
}

static json_t *
nic_side_json(const struct ep_nic_changes *nic)
{
	json_t *o, *list;
	int bad = 0;

	if (!nic->known)
		return json_null();
	o = json_object();
	list = json_array();
	bad |= json_object_set_new(o, "driver", nic_text(nic->driver));
	bad |= json_object_set_new(o, "omitted", json_integer(nic->omitted));
	bad |= json_object_set_new(o, "gone", json_integer(nic->gone));
	for (uint32_t i = 0; i < nic->count; i++)
		bad |= json_array_append_new(list, nic_counter_json(nic, &nic->change[i]));
	bad |= json_object_set_new(o, "counters", list);
	if (bad == 0)
		return o;
	json_decref(o);
	return NULL;
}

json_t *
report_nic_json(const struct ep_result_trial *t)
{
	json_t *o = json_object();
	int bad = 0;

	bad |= json_object_set_new(o, "initiator", nic_side_json(&t->nic[EP_RESULT_INITIATOR]));
	bad |= json_object_set_new(o, "responder", nic_side_json(&t->nic[EP_RESULT_RESPONDER]));
	if (bad == 0)
		return o;
	json_decref(o);
	return NULL;
}

/* "pps_allowance_exceeded +12,345 (EC2's PPS allowance, not your firewall)" */
static void
nic_counter_text(
	struct report_buf *line, const struct ep_nic_changes *nic, const struct ep_nic_change *c)
{
	const struct ep_nic_known *known = ep_nic_know(nic->driver, c->source, c->name);
	char count[32];

	report_printf(line, "%s%s %s%s", line->len > 0 ? "; " : "", c->name,
		c->at_least ? "at least +" : "+",
		ep_result_count_format(count, sizeof(count), c->count));
	if (known != NULL)
		report_printf(line, " (%s)", known->sentence);
}

/* Whose NIC it is: "our", or in a loop which of the two devices. */
static const char *
nic_whose(const struct ep_result *r, enum ep_result_side side)
{
	const bool first = side == EP_RESULT_INITIATOR;

	if (strcmp(r->command, "run") == 0)
		return first ? "our" : "the far side's";
	return first ? "the first device," : "the second device,";
}

static void
nic_side_text(struct report_buf *b, const struct ep_result *r, const struct ep_result_trial *t,
	enum ep_result_side side, bool *said)
{
	const struct ep_nic_changes *nic = &t->nic[side];
	struct report_buf line = {0};
	char lead[96];

	for (uint32_t i = 0; i < nic->count; i++) {
		const struct ep_nic_change *c = &nic->change[i];

		if (ep_nic_meaning(nic->driver, c->source, c->name) != EP_NIC_TRAFFIC)
			nic_counter_text(&line, nic, c);
	}
	if (line.len > 0) {
		if (!*said)
			report_printf(b, "\nNIC counters that grew\n");
		*said = true;
		snprintf(lead, sizeof(lead), "%s, %s %s: ", t->kind, nic_whose(r, side),
			nic->driver[0] != '\0' ? nic->driver : "NIC");
		report_wrap(b, "  ", lead);
		report_wrap(b, "      ", line.text);
	}
	b->failed |= line.failed;
	free(line.text);
}

void
report_nic(struct report_buf *b, const struct ep_result *r)
{
	bool said = false;

	for (uint32_t i = 0; i < r->trial_count; i++)
		for (int side = 0; side < EP_RESULT_SIDES; side++)
			nic_side_text(b, r, &r->trial[i], (enum ep_result_side)side, &said);
}
