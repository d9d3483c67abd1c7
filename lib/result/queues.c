/*
 * Loss that follows a receive queue of the tester's own. The path knows ports and not our queues, so where queues get ports as if by
 * chance, a queue whose ports lose more than the others' has lost them itself (ep_plan_suspect_find). That loss is own
 * shortfall: what the queue's ports lost beyond the share that all others lost. Above a tenth of the loss that is to be judged, the
 * measurement is invalid, never lossy (design section 4).
 *
 * Two things look alike and are kept apart, both by a look at parts of the range, 16 of neighbouring ports each:
 * - where a queue has a block of the range (rules that deal it out), a blocked range follows it. So nothing is said where the parts
 *   have a queue each rather than all of them their share;
 * - RSS is linear, so some neighbours share a queue, and a few lossy neighbours may be one queue's by that alone. What a queue
 *   loses, it loses all over the range: in more than half of the parts its ports have to lose more than the others'.
 */

#include "result_priv.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Parts that the range is looked at in, and ports that a queue has in one of them on average. */
#define PARTS_MIN 4
#define PARTS_MAX 16
#define PART_PORTS 4

static_assert(PARTS_MIN * PART_PORTS == 16, "as the sentence says");

int
ep_result_add_port_queues(struct ep_result *r, enum ep_result_dir dir, const uint8_t *queue)
{
	struct ep_result_spread *s = &r->spread[dir];
	const size_t ports = r->range->port_count > 0 ? r->range->port_count : 1;

	if (s->port_queue == NULL) {
		s->port_queue = malloc(ports);
		if (s->port_queue == NULL)
			return -ENOMEM;
		memset(s->port_queue, EP_RESULT_QUEUE_NONE, ports);
	}
	for (uint32_t i = 0; i < r->range->port_count; i++)
		if (queue[i] < EP_RESULT_QUEUES_MAX)
			s->port_queue[i] = queue[i];
	return 0;
}

double
ep_result_queues_ratio(const struct ep_result_queues *q)
{
	uint64_t sum = 0, most = 0;

	for (uint32_t i = 0; i < q->count; i++) {
		sum += q->received[i];
		most = q->received[i] > most ? q->received[i] : most;
	}
	return q->count < 2 || sum == 0 ? (double)NAN : (double)most * q->count / (double)sum;
}

void
result_queues_sum(struct ep_result *r)
{
	for (int d = 0; d < EP_RESULT_DIRS; d++) {
		struct ep_result_queues *sum = &r->spread[d].sum;

		*sum = (struct ep_result_queues){0};
		for (uint32_t i = 0; i < r->trial_count; i++) {
			const struct ep_result_queues *q = &r->trial[i].queues[d];

			sum->count = q->count > sum->count ? q->count : sum->count;
			for (uint32_t k = 0; k < q->count; k++)
				sum->received[k] += q->received[k];
		}
	}
}

/* Parts of the range: so many that each has some ports of every queue; 0: too few ports. */
static uint32_t
parts_count(uint32_t port_count, uint32_t queue_count)
{
	const uint32_t parts = port_count / (PART_PORTS * queue_count);

	if (parts < PARTS_MIN)
		return 0;
	return parts < PARTS_MAX ? parts : PARTS_MAX;
}

/* Sum of the squares of the shares that queues have of some ports: 1 where it is one queue's, 1 / n where n have equal shares. */
static double
concentration(const uint8_t *queue, uint32_t first, uint32_t end)
{
	uint32_t ports[EP_RESULT_QUEUES_MAX] = {0}, known = 0;
	double sum = 0;

	for (uint32_t i = first; i < end; i++) {
		if (queue[i] >= EP_RESULT_QUEUES_MAX)
			continue;
		ports[queue[i]]++;
		known++;
	}
	for (uint32_t q = 0; q < EP_RESULT_QUEUES_MAX && known > 0; q++)
		sum += (double)ports[q] / known * ports[q] / known;
	return sum;
}

/* Whether the parts of the range have their ports at all queues, as the range as a whole has. */
static bool
queues_are_mixed(const uint8_t *queue, uint32_t port_count, uint32_t parts)
{
	const double whole = concentration(queue, 0, port_count);
	double mean = 0;

	for (uint32_t i = 0; i < parts; i++)
		mean += concentration(queue, (uint32_t)((uint64_t)port_count * i / parts),
				(uint32_t)((uint64_t)port_count * (i + 1) / parts)) /
			parts;
	return whole < 1 && mean < (1 + whole) / 2;
}

/* Whether a queue's ports lose more than the others' in a part of the range. */
static bool
part_loses(const struct ep_result *r, enum ep_result_dir dir, uint16_t suspect, uint32_t first,
	uint32_t end)
{
	const uint8_t *queue = r->spread[dir].port_queue;
	double sent[2] = {0}, lost[2] = {0};

	for (uint32_t i = first; i < end; i++) {
		if (queue[i] >= EP_RESULT_QUEUES_MAX)
			continue;
		sent[queue[i] == suspect] += (double)r->port[i].dir[dir].sent;
		lost[queue[i] == suspect] += (double)r->port[i].dir[dir].lost;
	}
	return lost[1] * sent[0] > lost[0] * sent[1];
}

/* Whether a queue loses all over the range. */
static bool
loses_everywhere(
	const struct ep_result *r, enum ep_result_dir dir, uint16_t suspect, uint32_t parts)
{
	const uint64_t ports = r->range->port_count;
	uint32_t losing = 0;

	for (uint32_t i = 0; i < parts; i++)
		losing += part_loses(r, dir, suspect, (uint32_t)(ports * i / parts),
			(uint32_t)(ports * (i + 1) / parts));
	return losing > parts / 2;
}

/* Probes and loss of the ports whose queue is known. Returns 0 or -ENOMEM. */
static int
suspect_find(const struct ep_result *r, enum ep_result_dir dir, struct ep_plan_suspect *suspect)
{
	const uint8_t *known = r->spread[dir].port_queue;
	const uint32_t n = r->range->port_count;
	uint64_t *sent = calloc(n, sizeof(*sent)), *lost = calloc(n, sizeof(*lost));
	uint16_t *queue = calloc(n, sizeof(*queue));
	const struct ep_plan_suspect_cfg cfg = {
		.port_count = n, .sent = sent, .lost = lost, .queue = queue};
	int ret = -ENOMEM;

	if (sent == NULL || lost == NULL || queue == NULL)
		goto out;
	for (uint32_t i = 0; i < n; i++) {
		if (known[i] >= EP_RESULT_QUEUES_MAX)
			continue;
		sent[i] = r->port[i].dir[dir].sent;
		lost[i] = r->port[i].dir[dir].lost;
		queue[i] = known[i];
	}
	ret = ep_plan_suspect_find(&cfg, suspect);
out:
	free(sent);
	free(lost);
	free(queue);
	return ret;
}

/* What a queue's ports lost beyond the share of the others [packets]. */
static double
suspect_shortfall(
	const struct ep_result *r, enum ep_result_dir dir, const struct ep_plan_suspect *s)
{
	uint64_t sent = 0;

	for (uint32_t i = 0; i < r->range->port_count; i++)
		if (r->spread[dir].port_queue[i] == s->queue)
			sent += r->port[i].dir[dir].sent;
	return (s->loss_ratio - s->rest_loss_ratio) * (double)sent;
}

static void
suspect_say(struct result_judge *j, enum ep_result_dir dir, double shortfall, uint64_t allowed)
{
	const struct ep_plan_suspect *s = &j->r->spread[dir].suspect;
	const bool invalid = shortfall > (double)allowed;
	char own[32], rest[32], packets[32], most[32], text[400];

	ep_result_percent_format(own, sizeof(own), s->loss_ratio, 3);
	ep_result_percent_format(rest, sizeof(rest), s->rest_loss_ratio, 3);
	ep_result_count_format(packets, sizeof(packets), (uint64_t)(shortfall + 0.5));
	ep_result_count_format(most, sizeof(most), allowed);
	snprintf(text, sizeof(text),
		"%s: loss follows %s receive queue %u: %s of the probes to its ports were lost, %s "
		"of those to all others; no path knows the tester's queues, so about %s were lost "
		"there",
		ep_result_dir_name(dir), result_whose(j->r, dir, false), s->queue, own, rest,
		packets);
	if (invalid)
		result_say_invalid(j, "invalid: %s; at most %s are allowed", text, most);
	else if (ep_result_warn(j->r, "%s", text) < 0 && j->ret == 0)
		j->ret = -ENOMEM;
}

/* Ports of which something arrived, and those of them whose queue is known. */
static bool
most_queues_are_known(const struct ep_result *r, enum ep_result_dir dir)
{
	uint32_t arrived = 0, known = 0;

	for (uint32_t i = 0; i < r->range->port_count; i++) {
		if (r->port[i].dir[dir].received == 0)
			continue;
		arrived++;
		known += r->spread[dir].port_queue[i] < EP_RESULT_QUEUES_MAX;
	}
	return known > 0 && known >= arrived / 2;
}

/* NULL: nothing is in the way. */
static const char *
unjudged_why(const struct ep_result *r, enum ep_result_dir dir, uint32_t parts)
{
	const uint8_t *queue = r->spread[dir].port_queue;

	if (queue == NULL)
		return "the receiver does not tell at which queue each port's probes arrived";
	if (parts == 0)
		return "the range has fewer than 16 ports a queue";
	if (!most_queues_are_known(r, dir))
		return "the probes of most ports arrived at several queues";
	if (concentration(queue, 0, r->range->port_count) >= 1)
		return "all probes arrived at one of the queues";
	if (!queues_are_mixed(queue, r->range->port_count, parts))
		return "each queue has a part of the range to itself";
	return NULL;
}

bool
result_queues_check(struct result_judge *j, enum ep_result_dir dir)
{
	struct ep_result_spread *s = &j->r->spread[dir];
	const struct ep_result_ledger *l = &j->r->ledger[dir];
	const uint64_t allowed = result_shortfall_allowed(j->r, l->intended);
	const uint32_t ports = j->r->range->port_count;
	uint32_t parts;
	double shortfall;
	int ret;

	s->suspect = (struct ep_plan_suspect){0};
	s->unjudged = NULL;
	if (s->sum.count < 2 || !l->sender_known || !l->receiver_known || l->lost_max == 0)
		return true;
	parts = parts_count(ports, s->sum.count);
	s->unjudged = unjudged_why(j->r, dir, parts);
	if (s->unjudged != NULL)
		return true;
	ret = suspect_find(j->r, dir, &s->suspect);
	if (ret < 0 && j->ret == 0)
		j->ret = ret;
	if (ret == 0 && s->suspect.found)
		s->suspect.found = loses_everywhere(j->r, dir, s->suspect.queue, parts);
	if (ret < 0 || !s->suspect.found)
		return true;
	shortfall = suspect_shortfall(j->r, dir, &s->suspect);
	suspect_say(j, dir, shortfall, allowed);
	return shortfall <= (double)allowed;
}
