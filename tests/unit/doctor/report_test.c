#include "good.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct ep_doctor_head head = {"0.1.0", "DPDK 22.11", "2026-11-24T03:00:00Z"};

static void
a_good_host_has_only_ok_and_no_command(void **state)
{
	struct ep_doctor_facts *f = good_facts();
	struct ep_doctor_report *r = malloc(sizeof(*r));

	(void)state;
	ep_doctor_judge(f, r);
	for (uint32_t i = 0; i < r->count; i++) {
		assert_int_equal(r->finding[i].status, EP_DOCTOR_OK);
		assert_string_equal(r->finding[i].fix, "");
		assert_true(strlen(r->finding[i].sentence) > 10);
	}
	assert_int_equal(ep_doctor_worst(r), EP_DOCTOR_OK);
	free(r);
	free(f);
}

/* Nothing is known of a host whose /proc and /sys are empty: that is no reason to stop, and no finding may be empty. */
static void
a_host_of_which_nothing_is_known_is_judged_all_the_same(void **state)
{
	struct ep_doctor_facts *f = calloc(1, sizeof(*f));
	struct ep_doctor_report *r = malloc(sizeof(*r));

	(void)state;
	f->ports = "50000-60000";
	f->port_first = 50000;
	f->port_last = 60000;
	memset(f->cpu.core_of, 0xff, sizeof(f->cpu.core_of));
	ep_doctor_judge(f, r);
	assert_true(r->count > 10);
	for (uint32_t i = 0; i < r->count; i++) {
		assert_true(r->finding[i].sentence[0] != '\0');
		assert_int_not_equal(r->finding[i].status, EP_DOCTOR_STOP);
	}
	free(r);
	free(f);
}

static void
as_many_devices_as_there_can_be_have_room(void **state)
{
	struct ep_doctor_facts *f = good_facts();
	struct ep_doctor_report *r = malloc(sizeof(*r));

	(void)state;
	for (uint32_t i = 1; i < EP_DOCTOR_NICS_MAX; i++)
		f->nic[i] = f->nic[0];
	f->nic_count = EP_DOCTOR_NICS_MAX;
	snprintf(f->dev_error, sizeof(f->dev_error), "x");
	snprintf(f->vdev, sizeof(f->vdev), "net_null0");
	ep_doctor_judge(f, r);
	assert_true(r->count <= EP_DOCTOR_FINDINGS_MAX);
	assert_int_equal(ep_doctor_worst(r), EP_DOCTOR_STOP);
	free(r);
	free(f);
}

/* The text of one finding for people, without the sum. */
static char *
text_of(const char *sentence, const char *fix)
{
	struct ep_doctor_report *r = calloc(1, sizeof(*r));
	struct ep_doctor_facts *f = good_facts();
	char *text;

	r->count = 1;
	r->finding[0] = (struct ep_doctor_finding){.id = "tsc", .status = EP_DOCTOR_WARN};
	snprintf(r->finding[0].sentence, sizeof(r->finding[0].sentence), "%s", sentence);
	snprintf(r->finding[0].fix, sizeof(r->finding[0].fix), "%s", fix);
	assert_int_equal(ep_doctor_text(r, f, &text), 0);
	free(f);
	free(r);
	return text;
}

static void
sentences_are_broken_and_commands_are_not(void **state)
{
	char word[400], *text, *save = NULL;

	(void)state;
	memset(word, 'x', sizeof(word));
	for (size_t i = 9; i < sizeof(word); i += 10)
		word[i] = ' ';
	word[sizeof(word) - 1] = '\0';
	text = text_of(word, word);
	assert_memory_equal(text, "warn  tsc              xxxxxxxxx xxx", 36);
	for (char *line = strtok_r(text, "\n", &save); line != NULL;
		line = strtok_r(NULL, "\n", &save))
		assert_true(strlen(line) <= 100 || strstr(line, "-> xxx") != NULL);
	free(text);
}

static void
control_characters_do_not_reach_the_terminal(void **state)
{
	char *text = text_of("firmware \x1b[31m", "");

	(void)state;
	assert_null(strchr(text, '\x1b'));
	assert_non_null(strstr(text, "firmware ?[31m"));
	free(text);
}

static void
the_sum_says_whether_it_can_run(void **state)
{
	static const struct {
		enum ep_doctor_status status;
		const char *want;
	} row[] = {
		{EP_DOCTOR_OK, "1 OK, 0 warn, 0 stop: everyport can run here\n"},
		{EP_DOCTOR_WARN, "0 OK, 1 warn, 0 stop: everyport can run here; what says warn"},
		{EP_DOCTOR_STOP, "0 OK, 0 warn, 1 stop: everyport cannot run as asked"},
	};
	struct ep_doctor_report *r = calloc(1, sizeof(*r));
	struct ep_doctor_facts *f = good_facts();

	(void)state;
	r->count = 1;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		char *text;

		r->finding[0].status = row[i].status;
		assert_int_equal(ep_doctor_text(r, f, &text), 0);
		assert_non_null(strstr(text, row[i].want));
		free(text);
	}
	free(f);
	free(r);
}

static void
json_holds_each_finding_with_its_five_members(void **state)
{
	struct ep_doctor_facts *f = good_facts();
	struct ep_doctor_report *r = malloc(sizeof(*r));
	json_t *root, *list;
	char *text;

	(void)state;
	f->nic[0].firmware[0] = '\xff'; /* no UTF-8 */
	f->memory.node[0] = (struct ep_doctor_node){0};
	ep_doctor_judge(f, r);
	assert_int_equal(ep_doctor_json(r, f, &head, &text), 0);
	root = json_loads(text, 0, NULL);
	assert_non_null(root);
	list = json_object_get(root, "findings");
	assert_int_equal(json_array_size(list), r->count);
	for (uint32_t i = 0; i < r->count; i++) {
		json_t *x = json_array_get(list, i);

		assert_int_equal(json_object_size(x), 5);
		assert_string_equal(json_string_value(json_object_get(x, "id")), r->finding[i].id);
		assert_string_equal(json_string_value(json_object_get(x, "status")),
			ep_doctor_status_name(r->finding[i].status));
		assert_true(json_is_string(json_object_get(x, "fix")));
		assert_true(json_is_string(json_object_get(x, "subject")));
		assert_true(json_is_string(json_object_get(x, "sentence")));
	}
	assert_string_equal(json_string_value(json_object_get(root, "worst")), "warn");
	assert_int_equal(json_object_size(json_object_get(root, "plan")), 0);
	json_decref(root);
	free(text);
	free(r);
	free(f);
}

/* A plan for two NICs on a host of two nodes with four cores each, by the planner itself. */
struct planned {
	struct ep_plan_topo topo;
	struct ep_plan_cfg cfg;
	struct ep_plan plan;
	struct ep_range range;
};

static struct planned *
planned(struct ep_doctor_facts *f)
{
	struct planned *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->topo.cpu_count = 8;
	for (uint16_t i = 0; i < 8; i++)
		p->topo.cpu[i] =
			(struct ep_plan_cpu){.id = i, .node = i / 4, .core = i, .allowed = true};
	p->topo.node_count = 2;
	p->topo.node[1].id = 1;
	assert_int_equal(ep_range_parse("50000-60000", "--ports", &p->range, NULL), 0);
	p->cfg = (struct ep_plan_cfg){
		.topo = &p->topo,
		.nic_count = 2,
		.nic = {{.name = "eth1",
				.node = 0,
				.queues_max = 4,
				.speed_bps = UINT64_C(10000000000)},
			{.name = "eth2", .node = 1, .queues_max = 4}},
		.control_cpu = -1,
		.ring_descs = 2048,
		.frame_bytes = 64,
		.range = &p->range,
	};
	assert_int_equal(ep_plan_make(&p->cfg, &p->plan, NULL), 0);
	f->plan = &p->plan;
	f->plan_cfg = &p->cfg;
	return p;
}

static void
json_holds_each_choice_of_the_plan_with_its_reason(void **state)
{
	struct ep_doctor_facts *f = good_facts();
	struct ep_doctor_report *r = malloc(sizeof(*r));
	struct planned *p = planned(f);
	static const char *const part[] = {"nics", "workers", "queues"};
	json_t *root, *plan, *row;
	char *text;
	size_t k;

	(void)state;
	ep_doctor_judge(f, r);
	assert_int_equal(ep_doctor_json(r, f, &head, &text), 0);
	root = json_loads(text, 0, NULL);
	plan = json_object_get(root, "plan");
	assert_int_equal(json_array_size(json_object_get(plan, "nics")), 2);
	assert_int_equal(json_array_size(json_object_get(plan, "workers")), p->plan.worker_count);
	assert_int_equal(json_array_size(json_object_get(plan, "queues")), p->plan.queue_count);
	for (size_t i = 0; i < EP_ARRAY_LEN(part); i++)
		json_array_foreach(json_object_get(plan, part[i]), k, row)
			assert_true(json_string_length(json_object_get(row, "reason")) > 0);
	assert_int_equal(json_array_size(json_object_get(json_object_get(plan, "rules"), "masks")),
		p->plan.masks.rule_count);
	assert_int_equal(json_array_size(json_object_get(plan, "notes")), p->plan.note_count);
	json_decref(root);
	free(text);
	free(p);
	free(r);
	free(f);
}

static void
the_text_names_each_queue_worker_and_rule_of_the_plan(void **state)
{
	struct ep_doctor_facts *f = good_facts();
	struct ep_doctor_report *r = malloc(sizeof(*r));
	struct planned *p = planned(f);
	char want[64], *text;

	(void)state;
	ep_doctor_judge(f, r);
	assert_int_equal(ep_doctor_text(r, f, &text), 0);
	for (uint32_t i = 0; i < p->plan.queue_count; i++) {
		snprintf(want, sizeof(want), "%s queue %u", p->cfg.nic[p->plan.queue[i].nic].name,
			p->plan.queue[i].number);
		assert_non_null(strstr(text, want));
	}
	for (uint32_t i = 0; i < p->plan.worker_count; i++) {
		snprintf(want, sizeof(want), "worker %u", i);
		assert_non_null(strstr(text, want));
	}
	for (uint32_t i = 0; i < p->plan.masks.rule_count; i++) {
		snprintf(want, sizeof(want), "0x%04x/0x%04x", p->plan.masks.rule[i].value,
			p->plan.masks.rule[i].mask);
		assert_non_null(strstr(text, want));
	}
	free(text);
	free(p);
	free(r);
	free(f);
}

/* How many findings of the id "plan" have a status. */
static uint32_t
plan_findings(const struct ep_doctor_report *r, enum ep_doctor_status status)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < r->count; i++)
		count += strcmp(r->finding[i].id, "plan") == 0 && r->finding[i].status == status;
	return count;
}

static void
what_the_plan_costs_is_a_finding_and_so_is_a_plan_that_cannot_be_made(void **state)
{
	struct ep_doctor_facts *f = good_facts();
	struct ep_doctor_report *r = malloc(sizeof(*r));
	struct planned *p = planned(f);

	(void)state;
	p->plan.note_count = 2;
	p->plan.note[0] = (struct ep_plan_note){.level = EP_PLAN_INFO, .text = "a choice"};
	p->plan.note[1] =
		(struct ep_plan_note){.level = EP_PLAN_WARN, .text = "queue 1 crosses to node 1"};
	ep_doctor_judge(f, r);
	assert_int_equal(plan_findings(r, EP_DOCTOR_OK), 1);
	assert_int_equal(plan_findings(r, EP_DOCTOR_WARN), 1);
	assert_int_equal(plan_findings(r, EP_DOCTOR_STOP), 0);

	f->plan = NULL;
	snprintf(f->plan_error, sizeof(f->plan_error), "CPU 99 of --cores is not there");
	ep_doctor_judge(f, r);
	assert_int_equal(plan_findings(r, EP_DOCTOR_STOP), 1);
	assert_int_equal(plan_findings(r, EP_DOCTOR_OK), 0);
	assert_non_null(strstr(good_find(r, "plan")->sentence, "CPU 99"));
	free(p);
	free(r);
	free(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_host_has_only_ok_and_no_command),
		cmocka_unit_test(a_host_of_which_nothing_is_known_is_judged_all_the_same),
		cmocka_unit_test(as_many_devices_as_there_can_be_have_room),
		cmocka_unit_test(sentences_are_broken_and_commands_are_not),
		cmocka_unit_test(control_characters_do_not_reach_the_terminal),
		cmocka_unit_test(the_sum_says_whether_it_can_run),
		cmocka_unit_test(json_holds_each_finding_with_its_five_members),
		cmocka_unit_test(json_holds_each_choice_of_the_plan_with_its_reason),
		cmocka_unit_test(the_text_names_each_queue_worker_and_rule_of_the_plan),
		cmocka_unit_test(
			what_the_plan_costs_is_a_finding_and_so_is_a_plan_that_cannot_be_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
