/* everyport doctor: can this host run it, how fast, and what to change. */

#include "cmd.h"
#include "common.h"
#include "doctor.h"
#include "output.h"

#include <ep_hostinfo.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** A visit. */
struct visit {
	const struct config *config;
	struct host_plan plan;
	struct ep_doctor_facts *facts;
	struct ep_doctor_report *report;
	char started[40];
	struct devplan *dev_plan;
};

static int
visit_check(const struct config *c, struct ep_err *err)
{
	int ret = 0;

	for (uint32_t i = 0; i < c->dev_count && ret == 0; i++) {
		struct ep_dev_spec spec;

		ret = ep_dev_spec_parse(c->dev[i], &spec, err);
	}
	if (ret == 0)
		ret = common_sizes_check(c, EP_WIRE_IPV4, err);
	return ret == 0 ? output_check(c, err) : ret;
}

/* --- What is safe to mend --------------------------------------------------------------------------------------------------- */

/* Of a node, or of all. */
static uint64_t
pages_there(const struct ep_doctor_memory *m, int node)
{
	uint64_t pages = 0;

	for (uint32_t i = 0; i < m->node_count; i++)
		if (node < 0 || m->node[i].id == node)
			pages += m->node[i].pages_2m;
	return pages;
}

/* Which interrupts matter depends on the CPUs, and those on the plan, which needs the devices: hence the second look at them. */
static void
visit_look(struct visit *v)
{
	doctor_facts(v->config, &v->plan, v->facts);
	doctor_plan(v->config, v->dev_plan, v->facts);
	if (v->facts->plan != NULL)
		doctor_irqs(v->facts);
}

static void
visit_fix(struct visit *v)
{
	struct ep_doctor_memory *m = &v->facts->memory;
	struct ep_err err = {0};

	if (!v->config->fix || !ep_doctor_huge_goal(v->facts, &m->fix))
		return;
	m->fix_tried = true;
	if (ep_hostinfo_huge_set("", m->fix.node, m->fix.wanted, &err) < 0)
		snprintf(m->fix_error, sizeof(m->fix_error), "%.127s", err.text);
	visit_look(v);
	m->fix_after = pages_there(m, m->fix.node);
}

/* --- What is said ----------------------------------------------------------------------------------------------------------- */

static int
visit_text(struct visit *v, struct ep_err *err)
{
	char *text = NULL;
	int ret = ep_doctor_text(v->report, v->facts, &text);

	if (ret == 0)
		ret = output_text("-", "report", text, err);
	else
		ep_err_set(err, ret, "no memory for the report");
	free(text);
	return ret;
}

static int
visit_json(struct visit *v, struct ep_err *err)
{
	const struct ep_doctor_head head = {
		.tool_version = EVERYPORT_VERSION,
		.dpdk_version = ep_dev_dpdk_version(),
		.started = v->started,
	};
	char *text = NULL;
	int ret = ep_doctor_json(v->report, v->facts, &head, &text);

	if (ret == 0)
		ret = output_text(v->config->json_path, "--json", text, err);
	else
		ep_err_set(err, ret, "no memory for the report");
	free(text);
	return ret;
}

static int
visit_say(struct visit *v, struct ep_err *err)
{
	const char *json = v->config->json_path;
	const bool taken = json != NULL && strcmp(json, "-") == 0;
	int ret = json != NULL ? visit_json(v, err) : 0;

	if (ret == 0 && !taken && !v->config->quiet)
		ret = visit_text(v, err);
	return ret;
}

/* --- All of it -------------------------------------------------------------------------------------------------------------- */

/* What was measured until an interruption is still said. */
static int
visit_run(struct visit *v)
{
	struct ep_err err = {0};
	bool on = true;

	host_utc(v->started, sizeof(v->started));
	/* Where the devices cannot be planned for, a finding says so; what else the plan is for, are two workers somewhere. */
	if (host_plan(v->config, &v->plan, NULL) < 0)
		v->plan = (struct host_plan){.worker_count = 2, .floating = true};
	visit_look(v);
	visit_fix(v);
	if (!v->config->no_measure) {
		on = doctor_hiccup(v->config, v->facts);
		on = on && doctor_ceiling(v->config, v->facts);
	}
	ep_doctor_judge(v->facts, v->report);
	if (visit_say(v, &err) < 0)
		return common_fail(v->config, &err, EXIT_ENVIRONMENT);
	if (!on)
		return EXIT_INTERRUPTED;
	return ep_doctor_worst(v->report) == EP_DOCTOR_STOP ? EXIT_ENVIRONMENT : EXIT_PASS;
}

int
cmd_doctor(struct config *config)
{
	struct visit v = {
		.config = config,
		.facts = calloc(1, sizeof(*v.facts)),
		.report = calloc(1, sizeof(*v.report)),
		.dev_plan = calloc(1, sizeof(*v.dev_plan)),
	};
	struct ep_err err = {0};
	int code;

	host_catch_signals();
	if (visit_check(config, &err) < 0) {
		code = common_fail(config, &err, EXIT_USAGE);
	} else if (v.facts == NULL || v.report == NULL || v.dev_plan == NULL) {
		ep_err_set(&err, -ENOMEM, "no memory for the findings");
		code = common_fail(config, &err, EXIT_ENVIRONMENT);
	} else {
		code = visit_run(&v);
	}
	free(v.dev_plan);
	free(v.facts);
	free(v.report);
	return code;
}
