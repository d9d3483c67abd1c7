/*
 * ICMP errors that quote our probes: who refuses which ports. In the text a line for each kind of error, in JSON the kinds on
 * each port. Every count is a lower bound: whoever sends such errors limits how many (RFC 1812 section 4.3.2.8, RFC 4443 section 2.4 f).
 */

#include "report_priv.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Kinds that get a line; a table that is full of them says no more. */
#define ICMP_LINES_MAX 12
/* Ranges of ports in a line. */
#define ICMP_RUNS_MAX 20

/* --- JSON --- */

/* Counts are the responder's word, so they may be any; jansson has 63 bits. */
static json_t *
icmp_count(uint64_t count)
{
	return json_integer((json_int_t)(count & INT64_MAX));
}

json_t *
report_icmp_json(const struct ep_slow_icmp *a)
{
	if (a == NULL)
		return json_null();
	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "verified",
		icmp_count(a->count[EP_SLOW_FLOW]), "unverified",
		icmp_count(a->count[EP_SLOW_PORT]), "forged", icmp_count(a->count[EP_SLOW_FORGED]),
		"foreign", icmp_count(a->count[EP_SLOW_FOREIGN]), "missed", icmp_count(a->missed));
}

static json_t *
icmp_cell_json(const struct ep_slow_kind *k, uint32_t count)
{
	char from[EP_WIRE_IP_TEXT_BYTES];

	return json_pack("{s:i, s:i, s:s, s:s, s:o, s:I}", "type", k->type, "code", k->code, "name",
		ep_slow_icmp_name(k->from.family, k->type, k->code), "from",
		ep_wire_ip_format(from, sizeof(from), &k->from), "mtu_bytes",
		k->mtu_bytes > 0 ? json_integer(k->mtu_bytes) : json_null(), "count",
		(json_int_t)count);
}

json_t *
report_icmp_port_json(const struct ep_slow_icmp *a, uint32_t port_index)
{
	const struct ep_slow_port *port = &a->port[port_index];
	json_t *list = json_array();
	int ret = 0;

	for (int i = 0; i < EP_SLOW_PORT_KINDS && port->cell[i].count > 0; i++)
		ret |= json_array_append_new(
			list, icmp_cell_json(&a->kind[port->cell[i].kind], port->cell[i].count));
	if (port->more > 0)
		ret |= json_array_append_new(list,
			json_pack("{s:n, s:n, s:s, s:n, s:n, s:I}", "type", "code", "name", "more",
				"from", "mtu_bytes", "count", (json_int_t)port->more));
	if (ret == 0)
		return list;
	json_decref(list);
	return NULL;
}

/* --- Text --- */

struct icmp_runs {
	struct report_buf list;
	uint32_t count;
};

static void
icmp_run(void *ctx, uint16_t first, uint16_t last)
{
	struct icmp_runs *runs = ctx;

	if (runs->count++ >= ICMP_RUNS_MAX)
		return;
	report_printf(&runs->list, "%s%u", runs->count > 1 ? ", " : "", first);
	if (last != first)
		report_printf(&runs->list, "-%u", last);
}

/* How many errors of a kind came on a port. */
static uint32_t
icmp_on_port(const struct ep_slow_port *port, uint32_t kind)
{
	for (int i = 0; i < EP_SLOW_PORT_KINDS; i++)
		if (port->cell[i].count > 0 && port->cell[i].kind == kind)
			return port->cell[i].count;
	return 0;
}

/* "ports 51000-51009" and how many errors. False where there is none. */
static bool
icmp_ports(const struct ep_result *r, const struct ep_slow_icmp *a, uint32_t kind,
	struct icmp_runs *runs, uint64_t *count)
{
	bool chosen[EP_RANGE_PORTS];

	*count = 0;
	for (uint32_t p = 0; p < a->port_count; p++) {
		const uint32_t here = icmp_on_port(&a->port[p], kind);

		chosen[p] = here > 0;
		*count += here;
	}
	ep_range_runs(r->range, chosen, icmp_run, runs);
	return *count > 0;
}

static bool
icmp_line(struct report_buf *b, const struct ep_result *r, enum ep_result_dir dir, uint32_t kind)
{
	const struct ep_slow_icmp *a = r->icmp[dir];
	const struct ep_slow_kind *k = &a->kind[kind];
	struct icmp_runs runs = {0};
	char from[EP_WIRE_IP_TEXT_BYTES], number[32], mtu[32] = "", text[1024];
	uint64_t count;
	bool any = icmp_ports(r, a, kind, &runs, &count);

	if (any && runs.list.failed)
		b->failed = true;
	else if (any) {
		if (k->mtu_bytes > 0)
			snprintf(mtu, sizeof(mtu), ", MTU %u", k->mtu_bytes);
		snprintf(text, sizeof(text),
			"%s %s (type %u code %u%s) from %s: port%s %s%s (%s, at least %s)",
			k->from.family == EP_WIRE_IPV6 ? "ICMPv6" : "ICMP",
			ep_slow_icmp_name(k->from.family, k->type, k->code), k->type, k->code, mtu,
			ep_wire_ip_format(from, sizeof(from), &k->from),
			runs.count > 1 || strchr(runs.list.text, '-') != NULL ? "s" : "",
			runs.list.text, runs.count > ICMP_RUNS_MAX ? " and more ranges" : "",
			ep_result_dir_name(dir),
			ep_result_count_format(number, sizeof(number), count));
		report_wrap(b, "  ", text);
	}
	free(runs.list.text);
	return any;
}

static uint64_t
icmp_more(const struct ep_slow_icmp *a)
{
	uint64_t more = 0;

	for (uint32_t p = 0; p < a->port_count; p++)
		more += a->port[p].more;
	return more;
}

/* What came, but is in no line. */
static void
icmp_rest(struct report_buf *b, enum ep_result_dir dir, const struct ep_slow_icmp *a)
{
	const struct {
		uint64_t count;
		const char *what;
	} row[] = {
		{icmp_more(a), "of kinds that were not told apart"},
		{a->count[EP_SLOW_FORGED],
			"quoted a probe that was never sent, and are not counted: forged, or "
			"changed on the way"},
		{a->missed, "could not be read in time"},
	};
	char text[256], number[32];

	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		if (row[i].count == 0)
			continue;
		snprintf(text, sizeof(text), "ICMP %s: %s error%s %s", ep_result_dir_name(dir),
			ep_result_count_format(number, sizeof(number), row[i].count),
			row[i].count == 1 ? "" : "s", row[i].what);
		report_wrap(b, "  ", text);
	}
}

static void
icmp_direction(struct report_buf *b, const struct ep_result *r, enum ep_result_dir dir)
{
	const struct ep_slow_icmp *a = r->icmp[dir];
	uint32_t lines = 0, left = 0;
	char text[128];

	for (uint32_t k = 0; k < a->kind_count; k++) {
		if (lines < ICMP_LINES_MAX)
			lines += icmp_line(b, r, dir, k);
		else
			left++;
	}
	if (left > 0) {
		snprintf(text, sizeof(text),
			"ICMP %s: %u more kinds of error (see the JSON result)",
			ep_result_dir_name(dir), left);
		report_wrap(b, "  ", text);
	}
	icmp_rest(b, dir, a);
}

static bool
icmp_has_words(const struct ep_slow_icmp *a)
{
	return a != NULL &&
		(a->count[EP_SLOW_FLOW] > 0 || a->count[EP_SLOW_PORT] > 0 ||
			a->count[EP_SLOW_FORGED] > 0 || a->missed > 0);
}

void
report_icmp(struct report_buf *b, const struct ep_result *r)
{
	bool any = false;

	for (int d = 0; d < EP_RESULT_DIRS; d++) {
		if (!icmp_has_words(r->icmp[d]))
			continue;
		if (!any)
			report_append(b, "\n", 1);
		any = true;
		icmp_direction(b, r, (enum ep_result_dir)d);
	}
	if (any)
		report_wrap(b, "  ",
			"Hosts limit how many ICMP errors they send: these counts are lower "
			"bounds.");
}

bool
report_icmp_refused(const struct ep_result *r)
{
	for (int d = 0; d < EP_RESULT_DIRS; d++) {
		for (uint32_t p = 0; r->icmp[d] != NULL && p < r->icmp[d]->port_count; p++) {
			if (r->port[p].dir[d].verdict == EP_RESULT_PORT_DEAD &&
				ep_slow_icmp_port_sum(&r->icmp[d]->port[p]) > 0)
				return true;
		}
	}
	return false;
}
