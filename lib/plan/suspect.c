/*
 * Does loss follow a receive queue of ours? A firewall knows ports, not our queues, and RSS deals ports out to queues as if by chance:
 * whatever the path does, each queue gets its share of good and bad ports. A queue that has significantly more bad ones was lossy itself.
 *
 * Probes of one port are lost together (a dead port loses all), so ports are counted, not probes: a port is bad when its loss is
 * above the median of all ports, or above the mean where that is lower: of two queues one may lose the same on each of its ports, and
 * then the median is that loss itself. Under the hypothesis that queues do not matter, a queue's bad ports are binomial with the share that the
 * other queues have (its upper bound, to be on the safe side); Holm's correction over the queues.
 */

#include "plan_priv.h"

#include <ep_stat.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Less than this many times the loss of the others is not worth a word, however sure it is. */
#define LOSS_FACTOR 1.5

struct tally {
	uint32_t port_count;
	uint32_t bad_count;
	uint64_t sent;
	uint64_t lost;
};

static double
loss_ratio(uint64_t lost, uint64_t sent)
{
	return sent == 0 ? 0 : (double)lost / (double)sent;
}

static int
ratio_compare(const void *a, const void *b)
{
	const double x = *(const double *)a;
	const double y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Median of the loss of ports that were sent to, or the mean where that is lower; -1 without memory. */
static double
loss_middle(const struct ep_plan_suspect_cfg *cfg)
{
	double *ratio = malloc(sizeof(*ratio) * (cfg->port_count + 1));
	uint64_t sent = 0, lost = 0;
	double median = 0;
	uint32_t n = 0;

	if (ratio == NULL)
		return -1;
	for (uint32_t i = 0; i < cfg->port_count; i++) {
		if (cfg->sent[i] == 0)
			continue;
		ratio[n++] = loss_ratio(cfg->lost[i], cfg->sent[i]);
		sent += cfg->sent[i];
		lost += cfg->lost[i];
	}
	qsort(ratio, n, sizeof(*ratio), ratio_compare);
	if (n > 0)
		median = ratio[n / 2];
	free(ratio);
	return median < loss_ratio(lost, sent) ? median : loss_ratio(lost, sent);
}

static void
tally_add(struct tally *t, const struct ep_plan_suspect_cfg *cfg, uint32_t i, double middle)
{
	t->port_count++;
	t->bad_count += loss_ratio(cfg->lost[i], cfg->sent[i]) > middle;
	t->sent += cfg->sent[i];
	t->lost += cfg->lost[i];
}

static struct tally
tally_rest(const struct tally *all, const struct tally *t)
{
	return (struct tally){
		.port_count = all->port_count - t->port_count,
		.bad_count = all->bad_count - t->bad_count,
		.sent = all->sent - t->sent,
		.lost = all->lost - t->lost,
	};
}

/* How surprising so many bad ports are. */
static double
queue_p(const struct tally *t, const struct tally *rest)
{
	if (t->port_count == 0 || rest->port_count == 0)
		return 1;
	return ep_stat_binomial_tail(t->bad_count, t->port_count,
		ep_stat_upper(rest->bad_count, rest->port_count, EP_STAT_ALPHA));
}

static void
suspect_say(struct ep_plan_suspect *s)
{
	snprintf(s->reason, sizeof(s->reason),
		"loss follows our receive queue %u: %.3g %% of its probes were lost, of all others "
		"%.3g %%; "
		"no path knows our queues, so this host lost them",
		s->queue, s->loss_ratio * 100, s->rest_loss_ratio * 100);
}

/* Of those that stand out, the one that loses most. */
static void
suspect_choose(const struct tally *queue, const struct tally *all, const bool *stands_out,
	struct ep_plan_suspect *s)
{
	for (uint16_t q = 0; q < EP_PLAN_QUEUES_MAX; q++) {
		const struct tally rest = tally_rest(all, &queue[q]);
		const double own = loss_ratio(queue[q].lost, queue[q].sent);
		const double others = loss_ratio(rest.lost, rest.sent);

		if (!stands_out[q] || own < LOSS_FACTOR * others || own <= s->loss_ratio)
			continue;
		s->found = true;
		s->queue = q;
		s->loss_ratio = own;
		s->rest_loss_ratio = others;
	}
	if (s->found)
		suspect_say(s);
}

int
ep_plan_suspect_find(const struct ep_plan_suspect_cfg *cfg, struct ep_plan_suspect *suspect)
{
	struct tally queue[EP_PLAN_QUEUES_MAX] = {{0}};
	struct tally all = {0};
	double p[EP_PLAN_QUEUES_MAX];
	bool stands_out[EP_PLAN_QUEUES_MAX];
	struct ep_plan_suspect made = {0};
	const double middle = loss_middle(cfg);

	if (middle < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < cfg->port_count; i++) {
		if (cfg->queue[i] >= EP_PLAN_QUEUES_MAX)
			return -EINVAL;
		if (cfg->sent[i] == 0)
			continue;
		tally_add(&queue[cfg->queue[i]], cfg, i, middle);
		tally_add(&all, cfg, i, middle);
	}
	for (uint32_t q = 0; q < EP_PLAN_QUEUES_MAX; q++) {
		const struct tally rest = tally_rest(&all, &queue[q]);

		p[q] = queue_p(&queue[q], &rest);
	}
	if (ep_stat_holm(p, EP_PLAN_QUEUES_MAX, EP_STAT_ALPHA, stands_out) < 0)
		return -ENOMEM;
	suspect_choose(queue, &all, stands_out, &made);
	*suspect = made;
	return 0;
}
