/* The report for people: the verdict and why first, then the numbers behind it, then what to do. At most REPORT_COLUMNS wide. */

#include "report_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_LABEL_COLUMNS REPORT_LABEL_COLUMNS
#define TEXT_CELL_COLUMNS 18
#define TEXT_DIGITS 3

/* Ranges of ports in one list; a firewall with every second port shut would fill thousands of lines otherwise. */
#define TEXT_RUNS_MAX 60

struct text_totals {
	struct ep_result_totals dir[EP_RESULT_DIRS];
};

static void
text_head(struct report_buf *b, const struct ep_result *r)
{
	static const char *const word[] = {
		[EP_RESULT_PASS] = "PASS",
		[EP_RESULT_FAIL] = "FAIL",
		[EP_RESULT_INVALID] = "INVALID",
		[EP_RESULT_INTERRUPTED] = "INTERRUPTED",
	};
	char line[256], lead[32], count[32], ports[96];

	if (r->range->port_count > 0 &&
		ep_range_format(r->range, NULL, ports, sizeof(ports)) >= sizeof(ports))
		snprintf(ports, sizeof(ports), "%u to %u with gaps", r->range->port[0],
			r->range->port[r->range->port_count - 1]);
	if (report_is_tcp(r))
		snprintf(line, sizeof(line), "everyport %s, %s", r->command, r->started);
	else
		snprintf(line, sizeof(line), "everyport %s, %s UDP port%s (%s), %s", r->command,
			ep_result_count_format(count, sizeof(count), r->range->port_count),
			r->range->port_count == 1 ? "" : "s", ports, r->started);
	snprintf(lead, sizeof(lead), "%s   ", word[r->verdict]);
	report_wrap(b, lead, line);
	report_append(b, "\n", 1);
	for (uint32_t i = 0; i < r->reason_count; i++)
		report_wrap(b, "  * ", r->reason[i]);
	for (uint32_t i = 0; i < r->warning_count; i++)
		report_wrap(b, "  warning: ", r->warning[i]);
}

/* --- The trials --- */

static void
text_trial(struct report_buf *b, const struct ep_result_trial *t)
{
	static const struct {
		const char *direction, *words;
	} said[] = {
		{"echo", "each probe answered"},
		{"up", "up only"},
		{"down", "down only"},
		{"both", "both ways at once"},
	};
	char line[256], pps[48] = "as fast as possible", duration[48];
	const char *words = t->direction;

	for (size_t i = 0; i < EP_ARRAY_LEN(said); i++) {
		if (strcmp(said[i].direction, t->direction) == 0)
			words = said[i].words;
	}
	if (t->rate_pps > 0)
		ep_pps_format(pps, sizeof(pps), t->rate_pps);
	ep_duration_format(duration, sizeof(duration), t->duration_ns);
	snprintf(line, sizeof(line), "%s, %s, %s%s", words, pps, duration,
		t->valid ? "" : " (invalid: see above)");
	report_printf(b, "  %-6s", t->kind);
	report_wrap(b, "  ", line);
	report_pacing(b, t, EP_RESULT_UP);
	report_pacing(b, t, EP_RESULT_DOWN);
}

/* --- The table of totals --- */

static void
text_row(struct report_buf *b, const char *label, const char *up, const char *down)
{
	report_printf(b, "  %-*s%*s%*s\n", TEXT_LABEL_COLUMNS, label, TEXT_CELL_COLUMNS, up,
		TEXT_CELL_COLUMNS, down);
}

static const char *
text_count_cell(char *buf, size_t len, uint64_t count, bool known)
{
	if (known)
		return ep_result_count_format(buf, len, count);
	snprintf(buf, len, "not known");
	return buf;
}

static void
text_count_row(struct report_buf *b, const char *label, uint64_t up, bool up_known, uint64_t down,
	bool down_known)
{
	char up_cell[32], down_cell[32];

	text_row(b, label, text_count_cell(up_cell, sizeof(up_cell), up, up_known),
		text_count_cell(down_cell, sizeof(down_cell), down, down_known));
}

static const char *
text_loss_cell(char *buf, size_t len, const struct ep_result_totals *t, bool known, bool judged)
{
	if (known && judged && t->sent > 0)
		return ep_result_percent_format(buf, len, t->loss_ratio, TEXT_DIGITS);
	/* An invalid measurement is never shown as loss. */
	snprintf(buf, len, "%s", known && !judged && t->sent > 0 ? "not judged" : "-");
	return buf;
}

static const char *
text_pps_cell(char *buf, size_t len, const struct ep_result_totals *t)
{
	snprintf(buf, len, "-");
	return t->has_rate ? ep_pps_format(buf, len, t->pps) : buf;
}

static const char *
text_bps_cell(char *buf, size_t len, const struct ep_result_totals *t)
{
	static const char *const unit[] = {"bps", "kbps", "Mbps", "Gbps", "Tbps"};
	double value = t->bps;
	size_t i = 0;

	for (; value >= 1000 && i + 1 < EP_ARRAY_LEN(unit); i++)
		value /= 1000;
	snprintf(buf, len, "-");
	if (t->has_rate)
		snprintf(buf, len, "%.4g %s", value, unit[i]);
	return buf;
}

/* Counters that are 0 in a sound run: each has a row only when it has something to say. */
static void
text_rare_rows(struct report_buf *b, const struct ep_result *r)
{
	const struct ep_result_ledger *up = &r->ledger[EP_RESULT_UP],
				      *down = &r->ledger[EP_RESULT_DOWN];
	const struct {
		const char *label;
		uint64_t up, down;
		bool up_known, down_known;
	} row[] = {
		{"wrong port (rewritten)", up->wrong_port, down->wrong_port, up->receiver_known,
			down->receiver_known},
		{"bad tag (not counted)", up->bad_tag, down->bad_tag, up->receiver_known,
			down->receiver_known},
		{"foreign (not counted)", up->foreign, down->foreign, up->receiver_known,
			down->receiver_known},
		{"tester: not_sent", up->not_sent, down->not_sent, up->sender_known,
			down->sender_known},
		{"tester: oerrors", up->oerrors, down->oerrors, up->sender_known,
			down->sender_known},
		{"tester: imissed", up->imissed, down->imissed, up->receiver_known,
			down->receiver_known},
		{"tester: rx_nombuf", up->rx_nombuf, down->rx_nombuf, up->receiver_known,
			down->receiver_known},
		{"tester: ierrors", up->ierrors, down->ierrors, up->receiver_known,
			down->receiver_known},
		{"tester: nic_dropped", up->nic_dropped, down->nic_dropped, up->nic_known,
			down->nic_known},
		{"cloud: allowance", up->allowance, down->allowance, up->nic_known,
			down->nic_known},
	};

	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		if ((row[i].up_known && row[i].up > 0) || (row[i].down_known && row[i].down > 0))
			text_count_row(b, row[i].label, row[i].up, row[i].up_known, row[i].down,
				row[i].down_known);
	}
}

static void
text_lost_rows(struct report_buf *b, const struct ep_result *r, const struct text_totals *t)
{
	const struct ep_result_ledger *lu = &r->ledger[EP_RESULT_UP],
				      *ld = &r->ledger[EP_RESULT_DOWN];
	const struct ep_result_totals *up = &t->dir[EP_RESULT_UP], *down = &t->dir[EP_RESULT_DOWN];
	const bool up_known = lu->sender_known && lu->receiver_known;
	const bool down_known = ld->sender_known && ld->receiver_known;
	char up_cell[32], down_cell[32];

	text_count_row(b, "lost", up->lost, up_known, down->lost, down_known);
	if ((up_known && lu->lost_min < lu->lost_max) ||
		(down_known && ld->lost_min < ld->lost_max))
		text_count_row(
			b, "lost at least", lu->lost_min, up_known, ld->lost_min, down_known);
	text_row(b, "loss",
		text_loss_cell(
			up_cell, sizeof(up_cell), up, up_known, r->loss_judged[EP_RESULT_UP]),
		text_loss_cell(down_cell, sizeof(down_cell), down, down_known,
			r->loss_judged[EP_RESULT_DOWN]));
}

static void
text_table(struct report_buf *b, const struct ep_result *r, const struct text_totals *t)
{
	const struct ep_result_ledger *lu = &r->ledger[EP_RESULT_UP],
				      *ld = &r->ledger[EP_RESULT_DOWN];
	const struct ep_result_totals *up = &t->dir[EP_RESULT_UP], *down = &t->dir[EP_RESULT_DOWN];
	const bool up_rx = lu->receiver_known, down_rx = ld->receiver_known;
	char up_cell[48], down_cell[48];

	text_row(b, "Probes", "up (to server)", "down (back)");
	text_count_row(b, "sent", up->sent, lu->sender_known, down->sent, ld->sender_known);
	text_count_row(b, "received", up->received, up_rx, down->received, down_rx);
	text_lost_rows(b, r, t);
	text_count_row(b, "duplicates", up->duplicates, up_rx, down->duplicates, down_rx);
	text_count_row(b, "reordered", up->reordered, up_rx, down->reordered, down_rx);
	text_count_row(b, "late (counted as lost)", up->late, up_rx, down->late, down_rx);
	text_rare_rows(b, r);
	if (up->has_rate || down->has_rate) {
		text_row(b, "received under load", text_pps_cell(up_cell, sizeof(up_cell), up),
			text_pps_cell(down_cell, sizeof(down_cell), down));
		text_row(b, "  on the wire", text_bps_cell(up_cell, sizeof(up_cell), up),
			text_bps_cell(down_cell, sizeof(down_cell), down));
	}
}

/* --- Latency --- */

static void
text_us(struct report_buf *b, uint64_t ns)
{
	report_printf(b, "%10.1f", (double)ns / 1000);
}

static void
text_latency_row(struct report_buf *b, const char *label, const struct ep_result_latency *l)
{
	if (l->count == 0 && !l->has_jitter)
		return;
	report_printf(b, "  %-14s", label);
	if (l->count > 0) {
		text_us(b, l->min_ns);
		text_us(b, l->p50_ns);
		text_us(b, l->p90_ns);
		text_us(b, l->p99_ns);
		text_us(b, l->p999_ns);
		text_us(b, l->max_ns);
	} else {
		for (int i = 0; i < 6; i++)
			report_printf(b, "%10s", "-");
	}
	if (l->has_jitter)
		text_us(b, l->jitter_ns);
	else
		report_printf(b, "%10s", "-");
	report_append(b, "\n", 1);
}

static void
text_latency(struct report_buf *b, const struct ep_result *r)
{
	bool any = false;

	for (int i = 0; i < EP_RESULT_LATS; i++)
		any |= r->latency[i].count > 0 || r->latency[i].has_jitter;
	if (!any)
		return;
	report_printf(b, "\n  %-14s%10s%10s%10s%10s%10s%10s%10s\n", "Latency [us]", "min", "p50",
		"p90", "p99", "p99.9", "max", "jitter");
	text_latency_row(b, "up", &r->latency[EP_RESULT_LAT_UP]);
	text_latency_row(b, "down", &r->latency[EP_RESULT_LAT_DOWN]);
	text_latency_row(b, "round trip", &r->latency[EP_RESULT_LAT_RTT]);
}

/* --- Ports --- */

struct text_runs {
	struct report_buf list;
	uint32_t count;
};

static void
text_run(void *ctx, uint16_t first, uint16_t last)
{
	struct text_runs *runs = ctx;

	if (runs->count++ >= TEXT_RUNS_MAX)
		return;
	report_printf(&runs->list, "%s%u", runs->count > 1 ? ", " : "", first);
	if (last != first)
		report_printf(&runs->list, "-%u", last);
}

/* No port is named. Where some were not tested, "none" alone would say too much. */
static void
text_port_none(struct report_buf *b, const struct ep_result *r, const char *lead, bool judged,
	uint32_t tested_count)
{
	char number[32], text[64];

	if (!judged) {
		report_wrap(b, lead, "not judged");
		return;
	}
	snprintf(text, sizeof(text), "none of the %s that were tested",
		ep_result_count_format(number, sizeof(number), tested_count));
	report_wrap(b, lead, tested_count < r->range->port_count ? text : "none");
}

static void
text_port_line(struct report_buf *b, const struct ep_result *r, enum ep_result_dir dir,
	enum ep_result_port_verdict verdict, const char *label, uint32_t tested_count)
{
	const bool judged =
		verdict == EP_RESULT_PORT_DEAD ? r->dead_judged[dir] : r->loss_judged[dir];
	bool chosen[EP_RANGE_PORTS];
	struct text_runs runs = {0};
	char lead[64], number[32];
	uint32_t count = 0;

	for (uint32_t i = 0; i < r->range->port_count; i++) {
		chosen[i] = r->port[i].dir[dir].verdict == verdict;
		count += chosen[i];
	}
	snprintf(lead, sizeof(lead), "  %-*s", TEXT_LABEL_COLUMNS, label);
	if (count == 0) {
		text_port_none(b, r, lead, judged, tested_count);
		return;
	}
	ep_range_runs(r->range, chosen, text_run, &runs);
	if (runs.count > TEXT_RUNS_MAX)
		report_printf(&runs.list,
			" and %s more ranges (all of them are in the JSON result)",
			ep_result_count_format(number, sizeof(number), runs.count - TEXT_RUNS_MAX));
	report_printf(&runs.list, "  (%s)", ep_result_count_format(number, sizeof(number), count));
	if (runs.list.failed)
		b->failed = true;
	else
		report_wrap(b, lead, runs.list.text);
	free(runs.list.text);
}

static void
text_ports(struct report_buf *b, const struct ep_result *r, const struct text_totals *t)
{
	report_append(b, "\n", 1);
	for (int d = 0; d < EP_RESULT_DIRS; d++) {
		if (t->dir[d].tested_count == 0)
			continue;
		text_port_line(b, r, (enum ep_result_dir)d, EP_RESULT_PORT_DEAD,
			d == EP_RESULT_UP ? "Dead ports up" : "Dead ports down",
			t->dir[d].tested_count);
		text_port_line(b, r, (enum ep_result_dir)d, EP_RESULT_PORT_LOSSY,
			d == EP_RESULT_UP ? "Lossy ports up" : "Lossy ports down",
			t->dir[d].tested_count);
		if (r->loss_judged[d])
			report_areas(b, r, (enum ep_result_dir)d);
	}
}

/* --- What the model of --impair did --- */

struct text_model {
	struct ep_result_impair_port sum;
	uint32_t differing_count;
};

/* Whether a port's measured counts are the model's own, to the packet. */
static bool
text_model_agrees(const struct ep_result_impair_port *m, const struct ep_result_port *p, int d)
{
	return m->seen[d] == p->dir[d].sent && m->lost[d] == p->dir[d].lost &&
		m->duplicates[d] == p->dir[d].duplicates && m->reordered[d] == p->dir[d].reordered;
}

static struct text_model
text_model_sum(const struct ep_result *r)
{
	struct text_model model = {0};

	for (uint32_t i = 0; i < r->range->port_count; i++) {
		const struct ep_result_impair_port *m = &r->impair[i];

		for (int d = 0; d < EP_RESULT_DIRS; d++) {
			model.sum.seen[d] += m->seen[d];
			model.sum.lost[d] += m->lost[d];
			model.sum.duplicates[d] += m->duplicates[d];
			model.sum.reordered[d] += m->reordered[d];
		}
		model.differing_count += !text_model_agrees(m, &r->port[i], EP_RESULT_UP) ||
			!text_model_agrees(m, &r->port[i], EP_RESULT_DOWN);
	}
	return model;
}

static void
text_impair(struct report_buf *b, const struct ep_result *r)
{
	struct text_model model;
	const uint64_t *lost, *dup, *reordered;
	char count[32], line[128];

	if (r->impair == NULL)
		return;
	model = text_model_sum(r);
	lost = model.sum.lost, dup = model.sum.duplicates, reordered = model.sum.reordered;
	report_append(b, "\n", 1);
	text_row(b, "The model (--impair)", "up", "down");
	text_count_row(
		b, "saw", model.sum.seen[EP_RESULT_UP], true, model.sum.seen[EP_RESULT_DOWN], true);
	text_count_row(b, "dropped", lost[EP_RESULT_UP], true, lost[EP_RESULT_DOWN], true);
	text_count_row(b, "duplicated", dup[EP_RESULT_UP], true, dup[EP_RESULT_DOWN], true);
	text_count_row(
		b, "reordered", reordered[EP_RESULT_UP], true, reordered[EP_RESULT_DOWN], true);
	if (model.differing_count == 0)
		snprintf(line, sizeof(line),
			"What was measured equals the model on every port, to the packet.");
	else
		snprintf(line, sizeof(line),
			"What was measured differs from the model on %s port%s.",
			ep_result_count_format(count, sizeof(count), model.differing_count),
			model.differing_count == 1 ? "" : "s");
	report_wrap(b, "  ", line);
}

/* --- How much the run can say of one port --- */

static void
text_ruled_out_line(struct report_buf *b, const char *where, const struct ep_result_totals *t)
{
	char line[320], probes[32], ratio[32];

	snprintf(line, sizeof(line),
		"%s: at least %s probe%s on each tested port, so a port that loses %s or more "
		"would show itself (95 %% "
		"confidence over all ports).",
		where, ep_result_count_format(probes, sizeof(probes), t->min_sent),
		t->min_sent == 1 ? "" : "s",
		ep_result_percent_format(ratio, sizeof(ratio), t->ruled_out_ratio, TEXT_DIGITS));
	report_wrap(b, "  ", line);
}

static void
text_ruled_out(struct report_buf *b, const struct ep_result *r, const struct text_totals *t)
{
	const struct ep_result_totals *up = &t->dir[EP_RESULT_UP], *down = &t->dir[EP_RESULT_DOWN];
	const bool has_up = r->loss_judged[EP_RESULT_UP] && up->tested_count > 0;
	const bool has_down = r->loss_judged[EP_RESULT_DOWN] && down->tested_count > 0;

	if (!has_up && !has_down)
		return;
	report_append(b, "\n", 1);
	if (has_up && has_down && up->min_sent == down->min_sent) {
		text_ruled_out_line(b, "Up and down", up);
		return;
	}
	if (has_up)
		text_ruled_out_line(b, "Up", up);
	if (has_down)
		text_ruled_out_line(b, "Down", down);
}

int
ep_report_text(const struct ep_result *r, char **text)
{
	struct report_buf b = {0};
	struct text_totals t;

	for (int d = 0; d < EP_RESULT_DIRS; d++)
		ep_result_totals(r, (enum ep_result_dir)d, &t.dir[d]);
	text_head(&b, r);
	if (r->trial_count > 0)
		report_append(&b, "\n", 1);
	for (uint32_t i = 0; i < r->trial_count; i++)
		text_trial(&b, &r->trial[i]);
	if (r->trial_count > 0) {
		report_append(&b, "\n", 1);
		text_table(&b, r, &t);
		report_queues(&b, r);
		report_ceiling(&b, r);
		text_latency(&b, r);
		text_ports(&b, r, &t);
		report_icmp(&b, r);
		report_nic(&b, r);
		text_ruled_out(&b, r, &t);
		text_impair(&b, r);
	}
	report_tcp(&b, r);
	report_hints(&b, r);
	return report_finish(&b, text);
}
