/* A row of tcp[] as JSON. Every key is always there; a part that is not meant is null. */

#include "report_priv.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

static json_t *
tcp_text(const char *s)
{
	char *clean = report_utf8(s);
	json_t *value = clean != NULL ? json_string(clean) : NULL;

	free(clean);
	return value;
}

static json_t *
tcp_number(double value, bool known)
{
	return known && isfinite(value) ? json_real(value) : json_null();
}

/* A time that is only there where it is above 0. */
static json_t *
tcp_time(double value)
{
	return tcp_number(value, value > 0);
}

static json_t *
tcp_count(uint64_t count)
{
	return json_integer((json_int_t)count);
}

static json_t *
tcp_causes(const struct ep_result_cause cause[EP_RESULT_CAUSES_MAX])
{
	json_t *o = json_object();

	for (int i = 0; i < EP_RESULT_CAUSES_MAX && cause[i].status[0] != '\0'; i++)
		json_object_set_new(o, cause[i].status, tcp_count(cause[i].count));
	return o;
}

static json_t *
tcp_icmp(const struct ep_result_tcp *row)
{
	return row->has_icmp
		? json_pack("{s:i,s:i}", "type", row->icmp_type, "code", row->icmp_code)
		: json_null();
}

static json_t *
tcp_tls(const struct ep_result_tls *t)
{
	if (!t->known)
		return json_null();
	return json_pack("{s:o,s:o,s:o,s:o,s:i,s:b,s:o}", "version", tcp_text(t->version), "alpn",
		tcp_text(t->alpn), "subject", tcp_text(t->subject), "issuer", tcp_text(t->issuer),
		"days_left", (int)t->days_left, "verified", t->verified, "verify_error",
		tcp_text(t->verify_text));
}

static json_t *
tcp_connects(const struct ep_result_connects *c)
{
	if (!c->known)
		return json_null();
	return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "attempts", tcp_count(c->attempts),
		"failures", tcp_count(c->failures), "own_failures", tcp_count(c->own_failures),
		"late", tcp_count(c->late), "p50_ms", tcp_time(c->p50_ms), "p99_ms",
		tcp_time(c->p99_ms), "max_ms", tcp_time(c->max_ms), "causes", tcp_causes(c->cause));
}

static json_t *
tcp_held(const struct ep_result_held *h)
{
	if (!h->known)
		return json_null();
	return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:b}", "held_s", tcp_number(h->held_s, true),
		"sent", tcp_count(h->sent), "answered", tcp_count(h->answered), "stalls",
		tcp_count(h->stalls), "longest_silence_s", tcp_number(h->longest_silence_s, true),
		"event_s", tcp_number(h->event_s, h->event_s >= 0), "load_s",
		tcp_number(h->load_s, h->event_s >= 0), "by_service", h->by_service);
}

static json_t *
tcp_capacity(const struct ep_result_capacity *c)
{
	json_t *o;

	if (!c->known)
		return json_null();
	o = json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "wanted", tcp_count(c->wanted),
		"established", tcp_count(c->established), "held", tcp_count(c->held), "answered",
		tcp_count(c->answered), "acknowledged", tcp_count(c->acknowledged), "lost_held",
		tcp_count(c->lost_held), "causes", tcp_causes(c->cause));
	json_object_set_new(o, "rate_hz", tcp_number(c->rate_hz, true));
	json_object_set_new(o, "p50_ms", tcp_time(c->p50_ms));
	json_object_set_new(o, "p99_ms", tcp_time(c->p99_ms));
	json_object_set_new(o, "max_ms", tcp_time(c->max_ms));
	json_object_set_new(o, "answer_p50_ms", tcp_time(c->answer_p50_ms));
	json_object_set_new(o, "answer_p99_ms", tcp_time(c->answer_p99_ms));
	json_object_set_new(o, "answer_max_ms", tcp_time(c->answer_max_ms));
	json_object_set_new(o, "memory_bytes", tcp_count(c->memory_bytes));
	return o;
}

static json_t *
tcp_idle(const struct ep_result_idle *d)
{
	if (!d->known)
		return json_null();
	return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "age_s",
		tcp_number(d->age_s, true), "connections", tcp_count(d->connections), "alive",
		tcp_count(d->alive), "reset", tcp_count(d->reset), "lost", tcp_count(d->lost),
		"closed", tcp_count(d->closed), "failed", tcp_count(d->failed), "closed_s",
		tcp_time(d->closed_s), "reset_s", tcp_time(d->reset_s));
}

json_t *
report_tcp_json(const struct ep_result_tcp *row)
{
	json_t *o = json_object();
	int bad = 0;

	bad |= json_object_set_new(
		o, "transport", tcp_text(row->transport[0] != '\0' ? row->transport : "tcp"));
	bad |= json_object_set_new(o, "port", json_integer(row->port));
	bad |= json_object_set_new(o, "check", tcp_text(row->check));
	bad |= json_object_set_new(o, "phase", tcp_text(row->phase));
	bad |= json_object_set_new(o, "status", tcp_text(row->status));
	bad |= json_object_set_new(o, "required", json_boolean(row->required));
	bad |= json_object_set_new(
		o, "connect_ms", tcp_number(row->connect_ms, row->connect_ms >= 0));
	bad |= json_object_set_new(o, "tls_ms", tcp_time(row->tls_ms));
	bad |= json_object_set_new(o, "answer_ms", tcp_time(row->answer_ms));
	bad |= json_object_set_new(o, "reply", tcp_text(row->reply));
	bad |= json_object_set_new(o, "mapped", tcp_text(row->mapped));
	bad |= json_object_set_new(o, "detail", tcp_text(row->detail));
	bad |= json_object_set_new(o, "advice", tcp_text(row->advice));
	bad |= json_object_set_new(o, "icmp", tcp_icmp(row));
	bad |= json_object_set_new(o, "tls", tcp_tls(&row->tls));
	bad |= json_object_set_new(o, "connects", tcp_connects(&row->connects));
	bad |= json_object_set_new(o, "held", tcp_held(&row->held));
	bad |= json_object_set_new(o, "capacity", tcp_capacity(&row->capacity));
	bad |= json_object_set_new(o, "idle", tcp_idle(&row->idle));
	if (bad == 0)
		return o;
	json_decref(o);
	return NULL;
}
