/* The fallback check for people, and as CSV. */

#include "report_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CELL_COLUMNS 24
#define NAME_COLUMNS 12

bool
report_is_tcp(const struct ep_result *r)
{
	return strcmp(r->command, "tcp") == 0;
}

static bool
row_is_open(const struct ep_result_tcp *row)
{
	return strcmp(row->status, "open") == 0;
}

static bool
row_is_udp(const struct ep_result_tcp *row)
{
	return strcmp(row->transport, "udp") == 0;
}

static bool
row_is_port(const struct ep_result_tcp *a, const struct ep_result_tcp *b)
{
	return a->port == b->port && row_is_udp(a) == row_is_udp(b);
}

/* "TCP 443" */
static const char *
row_name(char *buf, size_t len, const struct ep_result_tcp *row)
{
	snprintf(buf, len, "%s %u", row_is_udp(row) ? "UDP" : "TCP", row->port);
	return buf;
}

/* --- Alone: a line a level ------------------------------------------------------------------------------------------------ */

static const char *
alone_time(char *buf, size_t len, const struct ep_result_tcp *row)
{
	const double ms = row->answer_ms > 0 ? row->answer_ms
		: row->tls_ms > 0            ? row->tls_ms
					     : row->connect_ms;

	snprintf(buf, len, "-");
	if (ms > 0)
		ep_duration_format(buf, len, (uint64_t)(ms * 1e6));
	return buf;
}

/* Whether a line has to say why it fails nothing. Of an idle ladder no age is required, and nobody would think so. */
static bool
row_is_let_off(const struct ep_result_tcp *row)
{
	return !row->required && !row->idle.known && !row_is_open(row);
}

static void
alone_line(struct report_buf *b, const struct ep_result_tcp *row, const char *time)
{
	char lead[80], name[16];
	char detail[sizeof("not required: ") + sizeof(row->detail)];

	snprintf(detail, sizeof(detail), "%s%s", row_is_let_off(row) ? "not required: " : "",
		row->detail);
	snprintf(lead, sizeof(lead), "  %-*s%-10s%-16s%-10s", NAME_COLUMNS,
		row_name(name, sizeof(name), row), row->check, row->status, time);
	report_wrap(b, lead, detail);
}

/* Whether two ages of an idle ladder ended in the same way. */
static bool
idle_is_same(const struct ep_result_tcp *a, const struct ep_result_tcp *b)
{
	const struct ep_result_idle *x = &a->idle, *y = &b->idle;

	return x->known && y->known && row_is_port(a, b) && strcmp(a->status, b->status) == 0 &&
		x->alive == y->alive && x->reset == y->reset && x->lost == y->lost &&
		x->closed == y->closed && x->failed == y->failed;
}

/* The ages that ended in the same way, in one line: of those that lived the longest says most, of others the first. Returns the last. */
static uint32_t
alone_idle(struct report_buf *b, const struct ep_result *r, uint32_t first)
{
	const struct ep_result_tcp *row = &r->tcp[first];
	uint32_t last = first;
	char time[32];

	while (last + 1 < r->tcp_count && idle_is_same(row, &r->tcp[last + 1]))
		last++;
	if (last == first)
		snprintf(time, sizeof(time), "%.4g s", row->idle.age_s);
	else
		snprintf(time, sizeof(time), "%.4g-%.4g s", row->idle.age_s,
			r->tcp[last].idle.age_s);
	alone_line(b, row_is_open(row) ? &r->tcp[last] : row, time);
	return last;
}

static void
tcp_alone(struct report_buf *b, const struct ep_result *r)
{
	report_printf(b, "\n  %-*s%-10s%-16s%-10s%s\n", NAME_COLUMNS, "port", "check", "status",
		"time", "what came");
	for (uint32_t i = 0; i < r->tcp_count; i++) {
		const struct ep_result_tcp *row = &r->tcp[i];
		char time[32];

		if (row->idle.known)
			i = alone_idle(b, r, i);
		else
			alone_line(b, row, alone_time(time, sizeof(time), row));
	}
}

static const char *
ms_cell(char *buf, size_t len, double ms)
{
	snprintf(buf, len, "-");
	if (ms > 0)
		snprintf(buf, len, ms < 999.5 ? "%.3g ms" : "%.0f ms", ms);
	return buf;
}

static void
capacity_line(struct report_buf *b, const char *label, uint64_t failed, const double ms[3])
{
	char p50[24], p99[24], max[24];

	report_printf(b, "  %-*s%10" PRIu64 "%12s%12s%12s\n", NAME_COLUMNS + 12, label, failed,
		ms_cell(p50, sizeof(p50), ms[0]), ms_cell(p99, sizeof(p99), ms[1]),
		ms_cell(max, sizeof(max), ms[2]));
}

/* The times of many connections, of which the line of their level has the counts. */
static void
tcp_capacity(struct report_buf *b, const struct ep_result *r)
{
	for (uint32_t i = 0; i < r->tcp_count; i++) {
		const struct ep_result_tcp *row = &r->tcp[i];
		const struct ep_result_capacity *c = &row->capacity;
		char name[16], label[32];

		if (!c->known)
			continue;
		row_name(name, sizeof(name), row);
		report_printf(b, "\n  %-*s%10s%12s%12s%12s\n", NAME_COLUMNS + 12,
			"many connections", "failed", "p50", "p99", "max");
		snprintf(label, sizeof(label), "%s connect", name);
		capacity_line(b, label, c->wanted - c->established,
			(const double[3]){c->p50_ms, c->p99_ms, c->max_ms});
		snprintf(label, sizeof(label), "%s answer", name);
		capacity_line(b, label, c->established - c->answered,
			(const double[3]){c->answer_p50_ms, c->answer_p99_ms, c->answer_max_ms});
	}
}

/* --- Around a load: a line a port, a column a phase ------------------------------------------------------------------------ */

/* How much a row says of a port: what fails the run before what does not, and the connect before what lies above it. */
static int
row_weight(const struct ep_result_tcp *row)
{
	if (row_is_open(row))
		return row->connect_ms >= 0 ? 1 : 0;
	return row->required ? 3 : 2;
}

static const char *
phase_cell(const struct ep_result *r, const struct ep_result_tcp *port, const char *phase,
	char *buf, size_t len)
{
	const struct ep_result_tcp *most = NULL;
	char time[24];

	for (uint32_t i = 0; i < r->tcp_count; i++) {
		const struct ep_result_tcp *row = &r->tcp[i];

		if (row_is_port(row, port) && strcmp(row->phase, phase) == 0 &&
			(most == NULL || row_weight(row) > row_weight(most)))
			most = row;
	}
	if (most == NULL)
		snprintf(buf, len, "-");
	else if (!row_is_open(most))
		snprintf(buf, len, "%s%s%s%s", most->status,
			strcmp(most->check, "connect") == 0 ? "" : " (",
			strcmp(most->check, "connect") == 0 ? "" : most->check,
			strcmp(most->check, "connect") == 0 ? "" : ")");
	else if (most->connects.known && most->connects.p50_ms > 0)
		snprintf(buf, len, "open (%s)", ms_cell(time, sizeof(time), most->connects.p50_ms));
	else if (most->connect_ms > 0)
		snprintf(buf, len, "open (%s)", ms_cell(time, sizeof(time), most->connect_ms));
	else
		snprintf(buf, len, "open");
	return buf;
}

static void
tcp_phases(struct report_buf *b, const struct ep_result *r)
{
	char name[16], before[48], during[48], after[48];

	report_printf(b, "\n  %-*s%-*s%-*s%s\n", NAME_COLUMNS, "port", CELL_COLUMNS,
		"before the load", CELL_COLUMNS, "during the load", "after the load");
	for (uint32_t i = 0; i < r->tcp_count; i++) {
		const struct ep_result_tcp *row = &r->tcp[i];
		bool shown = false;

		for (uint32_t k = 0; k < i; k++)
			shown |= row_is_port(&r->tcp[k], row);
		if (shown)
			continue;
		report_printf(b, "  %-*s%-*s%-*s%s\n", NAME_COLUMNS,
			row_name(name, sizeof(name), row), CELL_COLUMNS,
			phase_cell(r, row, "before", before, sizeof(before)), CELL_COLUMNS,
			phase_cell(r, row, "during", during, sizeof(during)),
			phase_cell(r, row, "after", after, sizeof(after)));
	}
}

/* Which ports of the table above are not open, but need not be. */
static void
tcp_let_off(struct report_buf *b, const struct ep_result *r)
{
	uint32_t said = 0;

	for (uint32_t i = 0; i < r->tcp_count; i++) {
		const struct ep_result_tcp *row = &r->tcp[i];
		bool fails = false, let_off = false;
		char name[16];

		for (uint32_t k = 0; k < i; k++)
			fails |= row_is_port(&r->tcp[k], row);
		for (uint32_t k = i; k < r->tcp_count; k++)
			if (row_is_port(&r->tcp[k], row)) {
				fails |= r->tcp[k].required && !row_is_open(&r->tcp[k]);
				let_off |= row_is_let_off(&r->tcp[k]);
			}
		if (fails || !let_off)
			continue;
		report_printf(b, "%s%s",
			said++ == 0 ? "\n  Not required, so it fails nothing: " : ", ",
			row_name(name, sizeof(name), row));
	}
	if (said > 0)
		report_append(b, "\n", 1);
}

static void
tcp_connects(struct report_buf *b, const struct ep_result *r)
{
	bool headed = false;

	for (uint32_t i = 0; i < r->tcp_count; i++) {
		const struct ep_result_tcp *row = &r->tcp[i];
		char name[16], label[32], p50[24], p99[24], max[24];

		if (!row->connects.known)
			continue;
		if (!headed)
			report_printf(b, "\n  %-*s%10s%10s%12s%12s%12s\n", NAME_COLUMNS + 12,
				"new connections", "attempts", "failed", "p50", "p99", "max");
		headed = true;
		snprintf(label, sizeof(label), "%s %s", row_name(name, sizeof(name), row),
			row->phase);
		report_printf(b, "  %-*s%10" PRIu64 "%10" PRIu64 "%12s%12s%12s\n",
			NAME_COLUMNS + 12, label, row->connects.attempts, row->connects.failures,
			ms_cell(p50, sizeof(p50), row->connects.p50_ms),
			ms_cell(p99, sizeof(p99), row->connects.p99_ms),
			ms_cell(max, sizeof(max), row->connects.max_ms));
	}
}

static void
tcp_held(struct report_buf *b, const struct ep_result *r)
{
	bool headed = false;

	for (uint32_t i = 0; i < r->tcp_count; i++) {
		const struct ep_result_tcp *row = &r->tcp[i];
		char lead[48], name[16];

		if (!row->held.known)
			continue;
		if (!headed)
			report_printf(b, "\n  held connections\n");
		headed = true;
		snprintf(lead, sizeof(lead), "  %-*s", NAME_COLUMNS,
			row_name(name, sizeof(name), row));
		report_wrap(b, lead, row->detail);
	}
}

void
report_tcp(struct report_buf *b, const struct ep_result *r)
{
	if (r->tcp_count == 0)
		return;
	if (report_is_tcp(r)) {
		tcp_alone(b, r);
		tcp_capacity(b, r);
		return;
	}
	tcp_phases(b, r);
	tcp_let_off(b, r);
	tcp_connects(b, r);
	tcp_held(b, r);
}

/* --- CSV ------------------------------------------------------------------------------------------------------------------- */

static void
csv_time(struct report_buf *b, double ms)
{
	if (ms > 0)
		report_printf(b, ",%.6g", ms);
	else
		report_append(b, ",", 1);
}

/* A text in quotes, as RFC 4180 has it; what could break the line is left out. */
static void
csv_text(struct report_buf *b, const char *s)
{
	report_append(b, ",\"", 2);
	for (; *s != '\0'; s++) {
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			continue;
		report_append(b, *s == '"' ? "\"\"" : s, *s == '"' ? 2 : 1);
	}
	report_append(b, "\"", 1);
}

void
report_tcp_csv(struct report_buf *b, const struct ep_result *r)
{
	report_printf(b,
		"transport,port,check,phase,status,required,connect_ms,tls_ms,answer_ms,attempts,"
		"failures,p50_ms,p99_ms,max_ms,reply,detail\r\n");
	for (uint32_t i = 0; i < r->tcp_count; i++) {
		const struct ep_result_tcp *row = &r->tcp[i];
		const struct ep_result_connects *c = &row->connects;

		report_printf(b, "%s,%u,%s,%s,%s,%s", row_is_udp(row) ? "udp" : "tcp", row->port,
			row->check, row->phase, row->status, row->required ? "yes" : "no");
		csv_time(b, row->connect_ms);
		csv_time(b, row->tls_ms);
		csv_time(b, row->answer_ms);
		if (c->known)
			report_printf(b, ",%" PRIu64 ",%" PRIu64, c->attempts, c->failures);
		else
			report_printf(b, ",,");
		csv_time(b, c->p50_ms);
		csv_time(b, c->p99_ms);
		csv_time(b, c->max_ms);
		csv_text(b, row->reply);
		csv_text(b, row->detail);
		report_append(b, "\r\n", 2);
	}
}
