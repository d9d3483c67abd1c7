/* The findings for people and for programs. */

#include "doctor_priv.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS 100
#define STATUS_COLUMNS 6

/* --- Text ------------------------------------------------------------------------------------------------------------------- */

/* Words of a sentence, broken at spaces, behind a hanging indent. */
void
doctor_wrap(FILE *out, const char *text, int indent)
{
	int column = indent;

	while (*text != '\0') {
		const int len = (int)strcspn(text, " ");

		if (column > indent && column + 1 + len > COLUMNS) {
			fprintf(out, "\n%*s", indent, "");
			column = indent;
		} else if (column > indent) {
			fputc(' ', out);
			column++;
		}
		for (int i = 0; i < len; i++)
			fputc((unsigned char)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i], out);
		column += len;
		text += len;
		text += strspn(text, " ");
	}
	fputc('\n', out);
}

static void
finding_text(FILE *out, const struct ep_doctor_finding *x)
{
	fprintf(out, "%-*s%-17s", STATUS_COLUMNS, ep_doctor_status_name(x->status), x->id);
	doctor_wrap(out, x->sentence, STATUS_COLUMNS + 17);
	/* A command is one line, whatever its length: it is there to be copied. */
	if (x->fix[0] != '\0')
		fprintf(out, "%*s-> %s\n", STATUS_COLUMNS + 17, "", x->fix);
}

static void
sum_text(FILE *out, const struct ep_doctor_report *r)
{
	uint32_t count[EP_DOCTOR_STOP + 1] = {0};

	for (uint32_t i = 0; i < r->count; i++)
		count[r->finding[i].status]++;
	fprintf(out, "\n%u OK, %u warn, %u stop: ", count[EP_DOCTOR_OK], count[EP_DOCTOR_WARN],
		count[EP_DOCTOR_STOP]);
	if (count[EP_DOCTOR_STOP] > 0)
		fprintf(out, "everyport cannot run as asked before what says stop is mended\n");
	else if (count[EP_DOCTOR_WARN] > 0)
		fprintf(out,
			"everyport can run here; what says warn can make it slower or its result "
			"worse\n");
	else
		fprintf(out, "everyport can run here\n");
}

int
ep_doctor_text(
	const struct ep_doctor_report *report, const struct ep_doctor_facts *facts, char **text)
{
	size_t len;
	FILE *out = open_memstream(text, &len);
	bool failed;

	if (out == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < report->count; i++)
		finding_text(out, &report->finding[i]);
	doctor_plan_text(out, facts);
	sum_text(out, report);
	failed = ferror(out) != 0;
	if (fclose(out) != 0 || failed) {
		free(*text);
		*text = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* --- JSON ------------------------------------------------------------------------------------------------------------------- */

/* Firmware and drivers may tell anything; JSON is UTF-8. */
static json_t *
json_text(const char *text)
{
	char clean[sizeof(((struct ep_doctor_finding *)NULL)->sentence)];

	return json_string(ep_text_format(clean, sizeof(clean), text, strlen(text)));
}

static json_t *
findings_json(const struct ep_doctor_report *r)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < r->count; i++) {
		const struct ep_doctor_finding *x = &r->finding[i];

		json_array_append_new(list,
			json_pack("{s:s, s:o, s:s, s:o, s:o}", "id", x->id, "subject",
				json_text(x->subject), "status", ep_doctor_status_name(x->status),
				"sentence", json_text(x->sentence), "fix", json_text(x->fix)));
	}
	return list;
}

static json_t *
hiccup_json(const struct ep_doctor_hiccup *h)
{
	json_t *list = json_array();

	for (uint32_t i = 0; h->measured && i < h->cpu_count; i++)
		json_array_append_new(list,
			json_pack("{s:i, s:I, s:f}", "cpu", (int)h->cpu[i].cpu, "max_gap_ns",
				(json_int_t)h->cpu[i].max_gap_ns, "away_ratio",
				h->cpu[i].away_ratio));
	return json_pack("{s:I, s:o, s:o}", "span_ns", (json_int_t)(h->measured ? h->span_ns : 0),
		"steal_ratio",
		h->measured && h->steal_ratio >= 0 ? json_real(h->steal_ratio) : json_null(),
		"cpus", list);
}

static json_t *
ceiling_json(const struct ep_doctor_ceiling *c)
{
	if (!c->measured)
		return json_null();
	return json_pack("{s:f, s:o, s:o, s:o}", "pps", c->pps, "device", json_text(c->device),
		"size", json_text(c->size), "stored", c->stored ? json_text(c->path) : json_null());
}

int
ep_doctor_json(const struct ep_doctor_report *report, const struct ep_doctor_facts *facts,
	const struct ep_doctor_head *head, char **text)
{
	json_t *root;
	char *dump;

	*text = NULL;
	root = json_pack("{s:s, s:{s:s, s:s, s:s}, s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "schema",
		"everyport.doctor/1", "tool", "name", "everyport", "version", head->tool_version,
		"dpdk", head->dpdk_version, "command", "doctor", "started", head->started, "worst",
		ep_doctor_status_name(ep_doctor_worst(report)), "findings", findings_json(report),
		"plan", doctor_plan_json(facts), "hiccup", hiccup_json(&facts->hiccup), "ceiling",
		ceiling_json(&facts->ceiling));
	dump = root != NULL ? json_dumps(root, JSON_INDENT(2)) : NULL;
	json_decref(root);
	if (dump != NULL && asprintf(text, "%s\n", dump) < 0)
		*text = NULL;
	free(dump);
	return *text != NULL ? 0 : -ENOMEM;
}
