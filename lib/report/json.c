/*
 * The JSON result, schema everyport.result/1: see docs/results.md and docs/result.schema.json.
 *
 * Members of the outermost object are written one by one, each entry of a list or object on its own line: 10,001 ports never
 * stand in memory as JSON values, and two results can be compared line by line.
 */

#include "report_priv.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Digits of a ratio or a rate: enough for any count behind it, and 0.1 stays 0.1. */
#define JSON_DIGITS 15
#define JSON_FLAGS (JSON_ENCODE_ANY | JSON_REAL_PRECISION(JSON_DIGITS))

/* Largest magnitude below which every whole number is a double. */
#define JSON_EXACT_MAX 9007199254740992.0

struct json_writer {
	struct report_buf buf;
	bool has_member; /* The outermost object is not empty. */
	bool has_entry;  /* The list or object under way is not empty. */
};

/* jansson answers NULL when out of memory and takes NULL back as an error, so one check at the end of each chain is enough. */
static void
json_put(struct json_writer *w, json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new_nocheck(object, key, value) < 0)
		w->buf.failed = true;
}

static void
json_push(struct json_writer *w, json_t *array, json_t *value)
{
	if (json_array_append_new(array, value) < 0)
		w->buf.failed = true;
}

static json_t *
json_text(const char *s)
{
	char *clean = report_utf8(s);
	json_t *value = clean != NULL ? json_string(clean) : NULL;

	free(clean);
	return value;
}

static json_t *
json_count(uint64_t count, bool known)
{
	return known ? json_integer((json_int_t)count) : json_null();
}

/* JSON has no infinity and no NaN. */
static json_t *
json_number(double value, bool known)
{
	return known && isfinite(value) ? json_real(value) : json_null();
}

/* --- Writing --- */

static int
json_sink(const char *bytes, size_t len, void *ctx)
{
	report_append(ctx, bytes, len);
	return 0;
}

static void
json_dump_value(struct json_writer *w, json_t *value)
{
	if (value == NULL || json_dump_callback(value, json_sink, &w->buf, JSON_FLAGS) < 0)
		w->buf.failed = true;
	json_decref(value);
}

static void
json_key(struct json_writer *w, const char *key)
{
	report_printf(&w->buf, "%s \"%s\": ", w->has_member ? ",\n" : "\n", key);
	w->has_member = true;
}

static void
json_member(struct json_writer *w, const char *key, json_t *value)
{
	json_key(w, key);
	json_dump_value(w, value);
}

static void
json_open(struct json_writer *w, const char *key, const char *bracket)
{
	json_key(w, key);
	report_printf(&w->buf, "%s", bracket);
	w->has_entry = false;
}

static void
json_next(struct json_writer *w)
{
	report_printf(&w->buf, "%s\n  ", w->has_entry ? "," : "");
	w->has_entry = true;
}

static void
json_close(struct json_writer *w, const char *bracket)
{
	report_printf(&w->buf, "%s%s", w->has_entry ? "\n " : "", bracket);
}

static void
json_entry(struct json_writer *w, json_t *value)
{
	json_next(w);
	json_dump_value(w, value);
}

/* An object, one member a line. */
static void
json_lines(struct json_writer *w, const char *key, json_t *object)
{
	const char *name;
	json_t *value;

	json_open(w, key, "{");
	json_object_foreach(object, name, value)
	{
		json_next(w);
		json_dump_value(w, json_text(name));
		report_append(&w->buf, ": ", 2);
		json_dump_value(w, json_incref(value));
	}
	json_close(w, "}");
	if (object == NULL)
		w->buf.failed = true;
	json_decref(object);
}

/* --- The parts --- */

static json_t *
json_pair_value(const struct ep_result_pair *pair)
{
	double value;

	if (!pair->is_number)
		return json_text(pair->value);
	value = strtod(pair->value, NULL);
	if (isfinite(value) && value == floor(value) && fabs(value) <= JSON_EXACT_MAX)
		return json_integer((json_int_t)value);
	return json_number(value, true);
}

/* NULL where there is none. */
static json_t *
json_exception(struct json_writer *w, const struct ep_result_exception *x)
{
	json_t *o;

	if (!x->known)
		return NULL;
	o = json_object();
	json_put(w, o, "interface", json_string(x->interface));
	json_put(w, o, "kind", json_string(x->kind));
	json_put(w, o, "to_kernel", json_count(x->to_kernel, true));
	json_put(w, o, "from_kernel", json_count(x->from_kernel, true));
	json_put(w, o, "filtered", json_count(x->filtered, true));
	json_put(w, o, "other_vlan", json_count(x->other_vlan, true));
	json_put(w, o, "dropped", json_count(x->dropped, true));
	return o;
}

/* Keys are the app's own words, but a value of any bytes must give valid JSON, and so must a key. */
static void
json_pairs(struct json_writer *w, const char *key, const struct ep_result_pair *pairs,
	uint32_t count, json_t *exception)
{
	json_t *object = json_object();

	for (uint32_t i = 0; i < count; i++) {
		char *name = report_utf8(pairs[i].key);

		if (name == NULL ||
			json_object_set_new(object, name, json_pair_value(&pairs[i])) < 0)
			w->buf.failed = true;
		free(name);
	}
	if (exception != NULL)
		json_put(w, object, "exception", exception);
	json_lines(w, key, object);
}

static json_t *
json_ledger(struct json_writer *w, const struct ep_result_ledger *l)
{
	const bool sender = l->sender_known, receiver = l->receiver_known;
	json_t *o = json_object();

	json_put(w, o, "intended", json_count(l->intended, sender));
	json_put(w, o, "accepted", json_count(l->accepted, sender));
	json_put(w, o, "not_sent", json_count(l->not_sent, sender));
	json_put(w, o, "nic_tx", json_count(l->nic_tx, sender));
	json_put(w, o, "oerrors", json_count(l->oerrors, sender));
	json_put(w, o, "nic_rx", json_count(l->nic_rx, receiver));
	json_put(w, o, "imissed", json_count(l->imissed, receiver));
	json_put(w, o, "ierrors", json_count(l->ierrors, receiver));
	json_put(w, o, "rx_nombuf", json_count(l->rx_nombuf, receiver));
	json_put(w, o, "received", json_count(l->received, receiver));
	json_put(w, o, "duplicates", json_count(l->duplicates, receiver));
	json_put(w, o, "reordered", json_count(l->reordered, receiver));
	json_put(w, o, "late", json_count(l->late, receiver));
	json_put(w, o, "bad_tag", json_count(l->bad_tag, receiver));
	json_put(w, o, "wrong_port", json_count(l->wrong_port, receiver));
	json_put(w, o, "foreign", json_count(l->foreign, receiver));
	json_put(w, o, "lost_min", json_count(l->lost_min, sender && receiver));
	json_put(w, o, "lost_max", json_count(l->lost_max, sender && receiver));
	json_put(w, o, "nic_dropped", json_count(l->nic_dropped, l->nic_known));
	json_put(w, o, "allowance_exceeded", json_count(l->allowance, l->nic_known));
	return o;
}

static json_t *
json_ledgers(struct json_writer *w, const struct ep_result_ledger *ledger)
{
	json_t *o = json_object();

	json_put(w, o, "up", json_ledger(w, &ledger[EP_RESULT_UP]));
	json_put(w, o, "down", json_ledger(w, &ledger[EP_RESULT_DOWN]));
	return o;
}

static json_t *
json_totals(struct json_writer *w, const struct ep_result *r, enum ep_result_dir dir)
{
	const bool sender = r->ledger[dir].sender_known, receiver = r->ledger[dir].receiver_known;
	struct ep_result_totals t;
	json_t *o = json_object();

	ep_result_totals(r, dir, &t);
	json_put(w, o, "sent", json_count(t.sent, sender));
	json_put(w, o, "received", json_count(t.received, receiver));
	json_put(w, o, "lost", json_count(t.lost, sender && receiver));
	json_put(w, o, "loss_ratio", json_number(t.loss_ratio, sender && receiver && t.sent > 0));
	json_put(w, o, "duplicates", json_count(t.duplicates, receiver));
	json_put(w, o, "reordered", json_count(t.reordered, receiver));
	json_put(w, o, "late", json_count(t.late, receiver));
	json_put(w, o, "pps", json_number(t.pps, t.has_rate));
	json_put(w, o, "bps", json_number(t.bps, t.has_rate));
	return o;
}

struct json_runs {
	struct json_writer *w;
	json_t *array;
};

static void
json_run(void *ctx, uint16_t first, uint16_t last)
{
	const struct json_runs *runs = ctx;

	json_push(runs->w, runs->array,
		first == last ? json_sprintf("%u", first) : json_sprintf("%u-%u", first, last));
}

static json_t *
json_port_list(struct json_writer *w, const struct ep_result *r, enum ep_result_dir dir,
	enum ep_result_port_verdict verdict)
{
	bool chosen[EP_RANGE_PORTS];
	struct json_runs runs = {.w = w, .array = json_array()};

	for (uint32_t i = 0; i < r->range->port_count; i++)
		chosen[i] = r->port[i].dir[dir].verdict == verdict;
	ep_range_runs(r->range, chosen, json_run, &runs);
	return runs.array;
}

static void
json_port_lists(struct json_writer *w, const struct ep_result *r, const char *key,
	enum ep_result_port_verdict verdict)
{
	json_t *o = json_object();

	json_put(w, o, "up", json_port_list(w, r, EP_RESULT_UP, verdict));
	json_put(w, o, "down", json_port_list(w, r, EP_RESULT_DOWN, verdict));
	json_lines(w, key, o);
}

static json_t *
json_port_dir(
	struct json_writer *w, const struct ep_result *r, uint32_t index, enum ep_result_dir dir)
{
	const struct ep_result_port_dir *p = &r->port[index].dir[dir];
	const bool sender = r->ledger[dir].sender_known, receiver = r->ledger[dir].receiver_known;
	const struct ep_slow_icmp *icmp = r->icmp[dir];
	json_t *o = json_object();

	json_put(w, o, "sent", json_count(p->sent, sender));
	json_put(w, o, "received", json_count(p->received, receiver));
	json_put(w, o, "lost", json_count(p->lost, sender && receiver));
	json_put(w, o, "duplicates", json_count(p->duplicates, receiver));
	json_put(w, o, "reordered", json_count(p->reordered, receiver));
	json_put(w, o, "late", json_count(p->late, receiver));
	if (icmp != NULL && ep_slow_icmp_port_sum(&icmp->port[index]) > 0)
		json_put(w, o, "icmp", report_icmp_port_json(icmp, index));
	return o;
}

static void
json_icmp(struct json_writer *w, const struct ep_result *r)
{
	json_t *o = json_object();

	json_put(w, o, "up", report_icmp_json(r->icmp[EP_RESULT_UP]));
	json_put(w, o, "down", report_icmp_json(r->icmp[EP_RESULT_DOWN]));
	json_lines(w, "icmp", o);
}

static void
json_ports(struct json_writer *w, const struct ep_result *r)
{
	json_open(w, "ports", "[");
	for (uint32_t i = 0; i < r->range->port_count; i++) {
		const struct ep_result_port *p = &r->port[i];
		json_t *o = json_object();

		json_put(w, o, "port", json_integer(r->range->port[i]));
		json_put(w, o, "up", json_port_dir(w, r, i, EP_RESULT_UP));
		json_put(w, o, "down", json_port_dir(w, r, i, EP_RESULT_DOWN));
		json_put(w, o, "verdict",
			json_string(ep_result_port_verdict_name(ep_result_port_worst(p))));
		json_entry(w, o);
	}
	json_close(w, "]");
}

static json_t *
json_latency(struct json_writer *w, const struct ep_result_latency *l)
{
	const bool known = l->count > 0;
	json_t *o = json_object();

	json_put(w, o, "min_ns", json_count(l->min_ns, known));
	json_put(w, o, "p50_ns", json_count(l->p50_ns, known));
	json_put(w, o, "p90_ns", json_count(l->p90_ns, known));
	json_put(w, o, "p99_ns", json_count(l->p99_ns, known));
	json_put(w, o, "p999_ns", json_count(l->p999_ns, known));
	json_put(w, o, "max_ns", json_count(l->max_ns, known));
	/* One-way latency needs one clock, jitter does not: it may stand alone. */
	json_put(w, o, "jitter_ns", json_count(l->jitter_ns, l->has_jitter));
	json_put(w, o, "count", json_count(l->count, true));
	return o;
}

static void
json_latency_kinds(struct json_writer *w, json_t *o, const struct ep_result_latency *latency)
{
	json_put(w, o, "up", json_latency(w, &latency[EP_RESULT_LAT_UP]));
	json_put(w, o, "down", json_latency(w, &latency[EP_RESULT_LAT_DOWN]));
	json_put(w, o, "rtt", json_latency(w, &latency[EP_RESULT_LAT_RTT]));
}

static void
json_latencies(struct json_writer *w, const struct ep_result *r)
{
	json_t *o = json_object(), *blocks = json_array();

	json_latency_kinds(w, o, r->latency);
	for (uint32_t i = 0; i < r->block_count; i++) {
		const struct ep_result_latency_block *block = &r->block[i];
		json_t *b = json_object();

		json_put(w, b, "ports",
			block->first_port == block->last_port
				? json_sprintf("%u", block->first_port)
				: json_sprintf("%u-%u", block->first_port, block->last_port));
		json_latency_kinds(w, b, block->lat);
		json_push(w, blocks, b);
	}
	json_put(w, o, "blocks", blocks);
	json_lines(w, "latency", o);
}

static json_t *
json_both(
	struct json_writer *w, const uint64_t count[EP_RESULT_DIRS], bool up_known, bool down_known)
{
	json_t *o = json_object();

	json_put(w, o, "up", json_count(count[EP_RESULT_UP], up_known));
	json_put(w, o, "down", json_count(count[EP_RESULT_DOWN], down_known));
	return o;
}

/* Quantiles alone: there is no jitter in departures. */
static json_t *
json_departures(struct json_writer *w, const struct ep_result_latency *d)
{
	const bool known = d->count > 0;
	json_t *o = json_object();

	json_put(w, o, "min_ns", json_count(d->min_ns, known));
	json_put(w, o, "p50_ns", json_count(d->p50_ns, known));
	json_put(w, o, "p90_ns", json_count(d->p90_ns, known));
	json_put(w, o, "p99_ns", json_count(d->p99_ns, known));
	json_put(w, o, "p999_ns", json_count(d->p999_ns, known));
	json_put(w, o, "max_ns", json_count(d->max_ns, known));
	json_put(w, o, "count", json_count(d->count, true));
	return o;
}

static json_t *
json_pacing(struct json_writer *w, const struct ep_result_pacing *p)
{
	const double error_ppm = ep_result_pacing_error_ppm(p);
	json_t *o;

	if (!p->known)
		return json_null();
	o = json_object();
	json_put(w, o, "burst_pkts", json_count(p->burst_pkts, true));
	json_put(w, o, "intended_pps", json_number(p->intended_pps, p->intended_pps > 0));
	json_put(w, o, "offered_pps", json_number(p->offered_pps, p->offered_pps > 0));
	json_put(w, o, "error_ppm", json_number(error_ppm, true));
	json_put(w, o, "departures", json_departures(w, &p->departures));
	json_put(w, o, "largest_gap_ns", json_count(p->largest_gap_ns, p->departures.count > 0));
	json_put(w, o, "loop_gap_ns", json_count(p->loop_gap_ns, true));
	return o;
}

/* How a trial's streams left, and whether its receivers were there. */
static void
json_trial_pacing(struct json_writer *w, json_t *o, const struct ep_result_trial *t)
{
	const struct ep_result_receiver *rx = t->receiver;
	json_t *pacing = json_object(), *gap = json_object();

	json_put(w, pacing, "up", json_pacing(w, &t->pacing[EP_RESULT_UP]));
	json_put(w, pacing, "down", json_pacing(w, &t->pacing[EP_RESULT_DOWN]));
	json_put(w, o, "pacing", pacing);
	json_put(w, gap, "up", json_count(rx[EP_RESULT_UP].gap_ns, rx[EP_RESULT_UP].known));
	json_put(w, gap, "down", json_count(rx[EP_RESULT_DOWN].gap_ns, rx[EP_RESULT_DOWN].known));
	json_put(w, o, "receive_gap_ns", gap);
}

static json_t *
json_received(struct json_writer *w, const struct ep_result_queues *q)
{
	json_t *a;

	if (q->count == 0)
		return json_null();
	a = json_array();
	for (uint32_t i = 0; i < q->count; i++)
		json_push(w, a, json_count(q->received[i], true));
	return a;
}

static json_t *
json_suspect(struct json_writer *w, const struct ep_plan_suspect *s)
{
	json_t *o;

	if (!s->found)
		return json_null();
	o = json_object();
	json_put(w, o, "queue", json_integer(s->queue));
	json_put(w, o, "loss_ratio", json_number(s->loss_ratio, true));
	json_put(w, o, "rest_loss_ratio", json_number(s->rest_loss_ratio, true));
	return o;
}

static json_t *
json_spread(struct json_writer *w, const struct ep_result_spread *s)
{
	json_t *o;

	if (s->sum.count == 0)
		return json_null();
	o = json_object();
	json_put(w, o, "received", json_received(w, &s->sum));
	json_put(w, o, "max_ratio", json_number(ep_result_queues_ratio(&s->sum), true));
	json_put(w, o, "expected_ratio", json_number(s->expected_ratio, s->expected_ratio > 0));
	json_put(w, o, "steering", json_text(s->steering));
	json_put(w, o, "suspect", json_suspect(w, &s->suspect));
	json_put(w, o, "unjudged", s->unjudged == NULL ? json_null() : json_text(s->unjudged));
	return o;
}

static void
json_spreads(struct json_writer *w, const struct ep_result *r)
{
	json_t *o = json_object();

	json_put(w, o, "up", json_spread(w, &r->spread[EP_RESULT_UP]));
	json_put(w, o, "down", json_spread(w, &r->spread[EP_RESULT_DOWN]));
	json_lines(w, "queues", o);
}

static json_t *
json_trial_queues(struct json_writer *w, const struct ep_result_trial *t)
{
	json_t *o = json_object();

	json_put(w, o, "up", json_received(w, &t->queues[EP_RESULT_UP]));
	json_put(w, o, "down", json_received(w, &t->queues[EP_RESULT_DOWN]));
	return o;
}

static void
json_trials(struct json_writer *w, const struct ep_result *r)
{
	json_open(w, "trials", "[");
	for (uint32_t i = 0; i < r->trial_count; i++) {
		const struct ep_result_trial *t = &r->trial[i];
		const struct ep_result_ledger *up = &t->ledger[EP_RESULT_UP];
		const struct ep_result_ledger *down = &t->ledger[EP_RESULT_DOWN];
		json_t *o = json_object();

		json_put(w, o, "kind", json_text(t->kind));
		json_put(w, o, "direction", json_text(t->direction));
		json_put(w, o, "rate_pps", json_number(t->rate_pps, t->rate_pps > 0));
		json_put(w, o, "duration_ns", json_count(t->duration_ns, true));
		json_put(w, o, "valid", json_boolean(t->valid));
		json_put(w, o, "ledger", json_ledgers(w, t->ledger));
		json_put(w, o, "bytes",
			json_both(w, t->bytes, up->receiver_known, down->receiver_known));
		json_put(w, o, "max_gap_ns",
			json_both(w, t->max_gap_ns, up->sender_known, down->sender_known));
		json_trial_pacing(w, o, t);
		json_put(w, o, "nic", report_nic_json(t));
		json_put(w, o, "queues", json_trial_queues(w, t));
		json_entry(w, o);
	}
	json_close(w, "]");
}

static json_t *
json_interval_dir(
	struct json_writer *w, const struct ep_result_interval *iv, enum ep_result_dir dir)
{
	json_t *o = json_object();

	json_put(w, o, "sent", json_count(iv->sent[dir], true));
	json_put(w, o, "received", json_count(iv->received[dir], true));
	return o;
}

static void
json_intervals(struct json_writer *w, const struct ep_result *r)
{
	json_open(w, "intervals", "[");
	for (uint32_t i = 0; i < r->interval_count; i++) {
		const struct ep_result_interval *iv = &r->interval[i];
		json_t *o = json_object();

		json_put(w, o, "trial", json_integer(iv->trial));
		json_put(w, o, "start_ns", json_count(iv->start_ns, true));
		json_put(w, o, "duration_ns", json_count(iv->duration_ns, true));
		json_put(w, o, "up", json_interval_dir(w, iv, EP_RESULT_UP));
		json_put(w, o, "down", json_interval_dir(w, iv, EP_RESULT_DOWN));
		json_entry(w, o);
	}
	json_close(w, "]");
}

static json_t *
json_impair_dir(
	struct json_writer *w, const struct ep_result_impair_port *p, enum ep_result_dir dir)
{
	json_t *o = json_object();

	json_put(w, o, "seen", json_count(p->seen[dir], true));
	json_put(w, o, "lost", json_count(p->lost[dir], true));
	json_put(w, o, "duplicates", json_count(p->duplicates[dir], true));
	json_put(w, o, "reordered", json_count(p->reordered[dir], true));
	return o;
}

/* One member, "ports", of the object: written by hand so that each port has its line here too. */
static void
json_impair(struct json_writer *w, const struct ep_result *r)
{
	if (r->impair == NULL)
		return;
	json_open(w, "impair", "{\"ports\": [");
	for (uint32_t i = 0; i < r->range->port_count; i++) {
		json_t *o = json_object();

		json_put(w, o, "port", json_integer(r->range->port[i]));
		json_put(w, o, "up", json_impair_dir(w, &r->impair[i], EP_RESULT_UP));
		json_put(w, o, "down", json_impair_dir(w, &r->impair[i], EP_RESULT_DOWN));
		json_entry(w, o);
	}
	json_close(w, "]}");
}

static void
json_sentences(struct json_writer *w, const char *key, char (*list)[512], uint32_t count)
{
	json_open(w, key, "[");
	for (uint32_t i = 0; i < count; i++)
		json_entry(w, json_text(list[i]));
	json_close(w, "]");
}

static void
json_head(struct json_writer *w, const struct ep_result *r)
{
	json_t *tool = json_object();

	json_member(w, "schema", json_string(EP_REPORT_SCHEMA));
	json_put(w, tool, "name", json_string("everyport"));
	json_put(w, tool, "version", json_text(r->tool_version));
	json_put(w, tool, "dpdk", json_text(r->dpdk_version));
	json_member(w, "tool", tool);
	json_member(w, "command", json_text(r->command));
	json_member(w, "started", json_text(r->started));
	json_member(w, "verdict", json_string(ep_result_verdict_name(r->verdict)));
	json_sentences(w, "reasons", r->reason, r->reason_count);
	json_sentences(w, "warnings", r->warning, r->warning_count);
}

static void
json_ceiling(struct json_writer *w, const struct ep_result *r)
{
	const struct ep_result_ceiling *c = &r->ceiling;
	json_t *object;

	if (!c->known)
		return;
	object = json_object();
	json_put(w, object, "pps", json_number(c->pps, true));
	json_put(w, object, "run_pps", json_number(c->run_pps, true));
	json_put(w, object, "device", json_text(c->device));
	json_put(w, object, "measured", json_text(c->measured));
	json_member(w, "ceiling", object);
}

int
ep_report_json(const struct ep_result *r, char **text)
{
	struct json_writer w = {0};
	json_t *totals = json_object();

	report_append(&w.buf, "{", 1);
	json_head(&w, r);
	json_pairs(&w, "config", r->config, r->config_count, NULL);
	json_pairs(&w, "host", r->host, r->host_count, json_exception(&w, &r->exception));
	json_lines(&w, "ledger", json_ledgers(&w, r->ledger));
	json_put(&w, totals, "up", json_totals(&w, r, EP_RESULT_UP));
	json_put(&w, totals, "down", json_totals(&w, r, EP_RESULT_DOWN));
	json_lines(&w, "totals", totals);
	json_spreads(&w, r);
	json_ceiling(&w, r);
	json_port_lists(&w, r, "dead_ports", EP_RESULT_PORT_DEAD);
	json_port_lists(&w, r, "lossy_ports", EP_RESULT_PORT_LOSSY);
	json_icmp(&w, r);
	json_latencies(&w, r);
	json_open(&w, "tcp", "[");
	for (uint32_t i = 0; i < r->tcp_count; i++) {
		json_t *row = report_tcp_json(&r->tcp[i]);

		json_entry(&w, row);
	}
	json_close(&w, "]");
	json_member(&w, "nat", json_object());
	json_trials(&w, r);
	json_intervals(&w, r);
	json_impair(&w, r);
	json_ports(&w, r);
	report_append(&w.buf, "\n}\n", 3);
	return report_finish(&w.buf, text);
}
