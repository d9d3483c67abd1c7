/*
 * The verdict. First what can be trusted (each trial's own shortfall, whether the account closes), then what the numbers say of
 * each port, then what that means for the run.
 */

#include "result_priv.h"

#include <ep_stat.h>

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

uint64_t
result_shortfall_allowed(const struct ep_result *r, uint64_t intended)
{
	return (uint64_t)(r->max_loss_ratio / 10 * (double)intended * RESULT_ROUNDING);
}

static void
judge_sum_trials(struct ep_result *r)
{
	for (int d = 0; d < EP_RESULT_DIRS; d++) {
		r->ledger[d] = (struct ep_result_ledger){
			.sender_known = true,
			.receiver_known = true,
			.nic_known = true,
		};
		r->bytes[d] = 0;
		for (uint32_t i = 0; i < r->trial_count; i++) {
			struct ep_result_ledger *l = &r->trial[i].ledger[d];

			/* Of a direction without a stream there is nothing that could be unknown. */
			if (!ep_result_trial_uses(&r->trial[i], (enum ep_result_dir)d))
				l->sender_known = l->receiver_known = l->nic_known = true;
			ep_result_ledger_add(&r->ledger[d], l);
			r->bytes[d] += r->trial[i].bytes[d];
		}
	}
}

/* Whether one trial can be used in one direction; says why not. */
static bool
judge_trial_dir(struct result_judge *j, const struct ep_result_trial *t, enum ep_result_dir dir)
{
	const struct ep_result_ledger *l = &t->ledger[dir];
	const char *name = ep_result_dir_name(dir);
	bool valid = true;
	struct ep_err err;

	if (!l->sender_known || !l->receiver_known) {
		result_say_invalid(j,
			"invalid: %s: the far side's counters of the %s never came, so its loss is "
			"not known",
			name, t->kind);
		valid = false;
	}
	if (ep_result_ledger_check(l, name, &err) < 0) {
		result_say_invalid(
			j, "invalid: the account of the %s does not close: %s", t->kind, err.text);
		valid = false;
	}
	if (l->sender_known &&
		ep_result_shortfall(l) > result_shortfall_allowed(j->r, l->intended)) {
		result_reason_shortfall(j, t, dir);
		valid = false;
	}
	return result_stall_check(j, t, dir) && valid;
}

static void
judge_trials(struct result_judge *j)
{
	for (int d = 0; d < EP_RESULT_DIRS; d++)
		j->dir[d].all_valid = true;
	for (uint32_t i = 0; i < j->r->trial_count; i++) {
		struct ep_result_trial *t = &j->r->trial[i];

		t->valid = true;
		for (int d = 0; d < EP_RESULT_DIRS; d++) {
			const enum ep_result_dir dir = (enum ep_result_dir)d;
			struct result_judge_dir *jd = &j->dir[d];
			bool valid;

			if (!ep_result_trial_uses(t, dir))
				continue;
			if (t->ledger[d].intended > 0 || !t->ledger[d].sender_known)
				jd->used = true;
			valid = judge_trial_dir(j, t, dir);
			if (j->ret == 0)
				j->ret = result_pacing_warn(j->r, t, dir);
			jd->any_valid |= valid;
			jd->all_valid &= valid;
			jd->allowance += result_nic_explained(&t->ledger[d]);
			t->valid &= valid &&
				!result_nic_hides(j->r, t->ledger[d].accepted,
					t->ledger[d].lost_max, result_nic_explained(&t->ledger[d]));
		}
	}
}

/* The ports are counted apart from the ledger: that both agree is what makes either believable. */
static void
judge_port_sums(struct result_judge *j, enum ep_result_dir dir)
{
	const struct ep_result_ledger *l = &j->r->ledger[dir];
	struct ep_result_totals t;

	ep_result_totals(j->r, dir, &t);
	const struct {
		const char *port_name, *ledger_name;
		uint64_t port_sum, ledger;
		bool known;
	} pair[] = {
		{"sent", "accepted", t.sent, l->accepted, l->sender_known},
		{"received", "received", t.received, l->received, l->receiver_known},
		{"duplicates", "duplicates", t.duplicates, l->duplicates, l->receiver_known},
		{"reordered", "reordered", t.reordered, l->reordered, l->receiver_known},
		{"late", "late", t.late, l->late, l->receiver_known},
		{"wrong_port", "wrong_port", t.wrong_port, l->wrong_port, l->receiver_known},
		{"lost", "lost_max", t.lost, l->lost_max, l->sender_known && l->receiver_known},
	};

	for (size_t i = 0; i < EP_ARRAY_LEN(pair); i++) {
		if (!pair[i].known || pair[i].port_sum == pair[i].ledger)
			continue;
		result_say_invalid(j,
			"invalid: %s: the ports' %s add up to %" PRIu64
			", but %s of the whole run is %" PRIu64,
			ep_result_dir_name(dir), pair[i].port_name, pair[i].port_sum,
			pair[i].ledger_name, pair[i].ledger);
		j->dir[dir].all_valid = false;
	}
}

/* A queue of the tester's that loses makes the loads unusable; the sweep is too slow to fill one. */
static void
judge_queues(struct result_judge *j, enum ep_result_dir dir)
{
	if (!j->dir[dir].used || !j->dir[dir].all_valid || result_queues_check(j, dir))
		return;
	j->dir[dir].all_valid = false;
	for (uint32_t i = 0; i < j->r->trial_count; i++) {
		struct ep_result_trial *t = &j->r->trial[i];

		if (strcmp(t->kind, "load") == 0 && ep_result_trial_uses(t, dir))
			t->valid = false;
	}
}

static void
judge_dead(struct ep_result *r, enum ep_result_dir dir)
{
	for (uint32_t i = 0; i < r->range->port_count; i++) {
		struct ep_result_port_dir *p = &r->port[i].dir[dir];

		if (p->sent > 0 && p->lost >= p->sent)
			p->verdict = EP_RESULT_PORT_DEAD;
	}
}

/* One family of hypotheses a direction: every tested port that is not dead. What an allowance took falls on all of them alike. */
static int
judge_lossy(struct ep_result *r, enum ep_result_dir dir, uint64_t allowance)
{
	const uint64_t accepted = r->ledger[dir].accepted;
	const double share = accepted > 0 ? (double)allowance / (double)accepted : 0;
	const double loss_ratio = fmin(r->max_loss_ratio + share, 1);
	const uint32_t port_count = r->range->port_count > 0 ? r->range->port_count : 1;
	double *p_value = malloc(port_count * sizeof(*p_value));
	bool *rejected = malloc(port_count * sizeof(*rejected));
	uint32_t *index = malloc(port_count * sizeof(*index));
	uint32_t count = 0;
	int64_t ret = -ENOMEM;

	if (p_value == NULL || rejected == NULL || index == NULL)
		goto out;
	for (uint32_t i = 0; i < r->range->port_count; i++) {
		struct ep_result_port_dir *p = &r->port[i].dir[dir];

		if (p->sent == 0 || p->verdict == EP_RESULT_PORT_DEAD)
			continue;
		p->p_value = ep_stat_binomial_tail(p->lost, p->sent, loss_ratio);
		p_value[count] = p->p_value;
		index[count++] = i;
	}
	ret = count > 0 ? ep_stat_holm(p_value, count, EP_STAT_ALPHA, rejected) : 0;
	for (uint32_t k = 0; ret > 0 && k < count; k++) {
		if (rejected[k])
			r->port[index[k]].dir[dir].verdict = EP_RESULT_PORT_LOSSY;
	}
out:
	free(p_value);
	free(rejected);
	free(index);
	return ret < 0 ? (int)ret : 0;
}

static void
judge_ports(struct result_judge *j, enum ep_result_dir dir)
{
	const struct result_judge_dir *jd = &j->dir[dir];
	const struct ep_result_ledger *l = &j->r->ledger[dir];

	j->r->dead_judged[dir] = jd->used && jd->any_valid && l->sender_known && l->receiver_known;
	j->r->loss_judged[dir] = jd->used && jd->all_valid;
	for (uint32_t i = 0; i < j->r->range->port_count; i++) {
		j->r->port[i].dir[dir].verdict = EP_RESULT_PORT_OK;
		j->r->port[i].dir[dir].p_value = 1;
	}
	if (j->r->dead_judged[dir])
		judge_dead(j->r, dir);
	if (j->r->loss_judged[dir]) {
		const int ret = judge_lossy(j->r, dir, jd->allowance);

		if (ret < 0 && j->ret == 0)
			j->ret = ret;
	}
}

/* A run without one probe has shown nothing, unless it was the TCP check alone; one that was interrupted before says so. */
static void
judge_nothing_sent(struct result_judge *j)
{
	if (j->dir[EP_RESULT_UP].used || j->dir[EP_RESULT_DOWN].used)
		return;
	if (j->r->trial_count == 0 && (j->r->tcp_count > 0 || j->r->aborted))
		return;
	result_say_invalid(j, "invalid: no probe was sent, so nothing was measured");
}

static enum ep_result_verdict
judge_verdict(const struct result_judge *j)
{
	if (j->r->aborted)
		return EP_RESULT_INTERRUPTED;
	if (j->invalid)
		return EP_RESULT_INVALID;
	return j->failed ? EP_RESULT_FAIL : EP_RESULT_PASS;
}

int
ep_result_judge(struct ep_result *r)
{
	struct result_judge j = {.r = r};

	/* The app knows better what interrupted the run, if it said so. */
	if (r->aborted && r->reason_count == 0)
		j.ret = ep_result_reason(r,
			"interrupted: the run did not reach its end; the numbers cover what was "
			"measured until then");
	result_nic_ledgers(r);
	judge_sum_trials(r);
	result_queues_sum(r);
	judge_trials(&j);
	judge_nothing_sent(&j);
	for (int d = 0; d < EP_RESULT_DIRS; d++)
		judge_port_sums(&j, (enum ep_result_dir)d);
	for (int d = 0; d < EP_RESULT_DIRS; d++)
		judge_queues(&j, (enum ep_result_dir)d);
	for (int d = 0; d < EP_RESULT_DIRS; d++) {
		judge_ports(&j, (enum ep_result_dir)d);
		ep_result_totals(r, (enum ep_result_dir)d, &j.totals[d]);
	}
	for (int d = 0; d < EP_RESULT_DIRS; d++)
		result_reason_direction(&j, (enum ep_result_dir)d);
	result_reason_tcp(&j);
	r->verdict = judge_verdict(&j);
	if (r->verdict == EP_RESULT_PASS)
		result_reason_pass(&j);
	return j.ret;
}
