/*
 * Which source ports give every queue its share.
 *
 * Flow (address a, source s, port index i) has source port base + (i + s) mod span. The hash is linear (rss.c), so a block of 2^k
 * neighbouring ports whose source ports form such a block, too, falls on the queues as evenly as its size allows, and the
 * lowest source port decides how the two ranges lie to each other. Which base is good follows from the key in no simple
 * way: so they are tried, one after the other, in an order that jumps over the whole span.
 */

#include "plan_priv.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Shares this close to equal end the search. */
#define OFF_RATIO_GOOD 0.01
/* Flows that one base is judged by, and hashes computed in all. */
#define FLOWS_MAX (1U << 22)
#define WORK_MAX (1U << 25)

/* One direction: the NIC that is arrived at, and its hash in parts. */
struct side {
	const struct ep_plan_rss *rss;
	enum plan_rss_place source_place; /* Where the initiator's source port stands. */
	uint32_t of_source[EP_RANGE_PORTS];
	uint32_t of_port[EP_RANGE_PORTS]; /* [port_count], by index. */
	bool named[EP_PLAN_QUEUES_MAX];   /* Queues of the table. */
};

struct search {
	const struct ep_plan_sources_cfg *cfg;
	struct side up, down;
	uint32_t span;
	uint32_t rows; /* Addresses x sources that are looked at. */
};

/* As the engine counts addresses up: in their last 32 bits. */
static void
ip_add(struct ep_wire_ip *ip, uint32_t n)
{
	uint8_t *last = &ip->bytes_be[ip->family == EP_WIRE_IPV4 ? 3 : 15];
	uint64_t carry = n;

	for (int i = 0; i < 4; i++, last--, carry >>= 8) {
		carry += *last;
		*last = (uint8_t)carry;
	}
}

static void
side_init(struct side *side, const struct ep_plan_rss *rss, enum plan_rss_place source_place,
	const struct ep_plan_sources_cfg *cfg)
{
	const enum ep_wire_family family = cfg->initiator.family;
	const enum plan_rss_place port_place =
		source_place == PLAN_RSS_SPORT ? PLAN_RSS_DPORT : PLAN_RSS_SPORT;

	side->rss = rss;
	side->source_place = source_place;
	if (rss == NULL)
		return;
	for (uint32_t port = cfg->source_first; port <= cfg->source_last; port++)
		side->of_source[port] = plan_rss_port(rss, family, source_place, (uint16_t)port);
	for (uint32_t i = 0; i < cfg->range->port_count; i++)
		side->of_port[i] = plan_rss_port(rss, family, port_place, cfg->range->port[i]);
	for (uint32_t i = 0; i < rss->reta_count; i++)
		side->named[rss->reta[i]] = true;
}

static uint32_t
side_addresses(const struct search *s, const struct side *side, uint32_t address)
{
	struct ep_wire_ip initiator = s->cfg->initiator;

	ip_add(&initiator, address);
	if (side->source_place == PLAN_RSS_SPORT)
		return plan_rss_addresses(side->rss, &initiator, &s->cfg->responder);
	return plan_rss_addresses(side->rss, &s->cfg->responder, &initiator);
}

static uint16_t
side_queue(const struct side *side, uint32_t addresses, uint32_t source_port, uint32_t port_index)
{
	const uint32_t hash = addresses ^ side->of_source[source_port] ^ side->of_port[port_index];

	return side->rss->reta[hash & (side->rss->reta_count - 1)];
}

static void
share_finish(const struct side *side, struct ep_plan_share *share)
{
	uint64_t flows = 0;
	double mean;

	for (uint32_t q = 0; q < EP_PLAN_QUEUES_MAX; q++) {
		share->queue_count += side->named[q];
		flows += share->flow_count[q];
	}
	mean = (double)flows / share->queue_count;
	for (uint32_t q = 0; q < EP_PLAN_QUEUES_MAX; q++) {
		const double ratio = (double)share->flow_count[q] / mean;

		if (!side->named[q])
			continue;
		share->max_ratio = fmax(share->max_ratio, ratio);
		share->off_ratio = fmax(share->off_ratio, fabs(ratio - 1));
	}
}

static void
side_share(
	const struct search *s, const struct side *side, uint32_t base, struct ep_plan_share *share)
{
	memset(share, 0, sizeof(*share));
	if (side->rss == NULL)
		return;
	for (uint32_t row = 0; row < s->rows; row++) {
		const uint32_t addresses = side_addresses(s, side, row / s->cfg->source_count);
		uint32_t offset = row % s->cfg->source_count % s->span;

		for (uint32_t i = 0; i < s->cfg->range->port_count; i++) {
			share->flow_count[side_queue(side, addresses, base + offset, i)]++;
			offset = offset + 1 == s->span ? 0 : offset + 1;
		}
	}
	share_finish(side, share);
}

/* Flows whose probe and answer arrive at queues of the same number. */
static double
same_queue_ratio(const struct search *s, uint32_t base)
{
	uint64_t same = 0;

	if (s->up.rss == NULL || s->down.rss == NULL)
		return 0;
	for (uint32_t row = 0; row < s->rows; row++) {
		const uint32_t address = row / s->cfg->source_count;
		const uint32_t up = side_addresses(s, &s->up, address);
		const uint32_t down = side_addresses(s, &s->down, address);

		for (uint32_t i = 0; i < s->cfg->range->port_count; i++) {
			const uint32_t port = base + (row % s->cfg->source_count + i) % s->span;

			same += side_queue(&s->up, up, port, i) ==
				side_queue(&s->down, down, port, i);
		}
	}
	return (double)same / ((double)s->rows * s->cfg->range->port_count);
}

static uint32_t
gcd(uint32_t a, uint32_t b)
{
	while (b != 0) {
		const uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* Steps through 0 to choices - 1, each once, far from its neighbours: 0.618 of the way at a time. */
static uint32_t
stride_of(uint32_t choices)
{
	uint32_t stride = (uint32_t)(choices * 0.6180339887) + 1;

	while (gcd(stride, choices) != 1)
		stride++;
	return stride;
}

static void
base_search(const struct search *s, struct ep_plan_sources *out)
{
	const struct ep_plan_sources_cfg *cfg = s->cfg;
	const uint32_t choices = cfg->source_last - cfg->source_first + 2U - s->span;
	const uint32_t stride = stride_of(choices);
	const uint64_t flows = (uint64_t)s->rows * cfg->range->port_count;
	uint32_t tries = (uint32_t)(WORK_MAX / flows) + 1;
	uint32_t at = 0;
	double best = INFINITY;

	if (s->up.rss == NULL && s->down.rss == NULL)
		tries = 1;
	for (uint32_t i = 0; i < tries && i < choices && best > OFF_RATIO_GOOD; i++) {
		struct ep_plan_share up, down;
		const uint32_t base = cfg->source_first + at;

		at = (uint32_t)(((uint64_t)at + stride) % choices);
		side_share(s, &s->up, base, &up);
		side_share(s, &s->down, base, &down);
		if (fmax(up.off_ratio, down.off_ratio) >= best)
			continue;
		best = fmax(up.off_ratio, down.off_ratio);
		out->source_base = (uint16_t)base;
		out->up = up;
		out->down = down;
	}
	out->source_span = s->span;
	out->same_queue_ratio = same_queue_ratio(s, out->source_base);
}

static void
share_say(const struct ep_plan_share *share, const char *way, char *buf, size_t len)
{
	if (share->queue_count == 0)
		snprintf(buf, len, "%s not known", way);
	else
		snprintf(buf, len, "%s the fullest of %u queues has %.2f %% more than its share",
			way, share->queue_count, (share->max_ratio - 1) * 100);
}

static void
sources_say(const struct search *s, struct ep_plan_sources *out)
{
	char up[96], down[96];

	share_say(&out->up, "up", up, sizeof(up));
	share_say(&out->down, "down", down, sizeof(down));
	snprintf(out->reason, sizeof(out->reason), "source ports %u to %u: %s, %s",
		out->source_base, out->source_base + s->span - 1, up, down);
}

static int
cfg_check(const struct ep_plan_sources_cfg *cfg, struct ep_err *err)
{
	const struct ep_plan_rss *rss[] = {cfg->up, cfg->down};
	uint32_t sources;

	if (cfg->range->port_count == 0)
		return ep_err_set(err, -EINVAL, "no destination ports to choose source ports for");
	if (cfg->initiator.family != cfg->responder.family)
		return ep_err_set(err, -EINVAL,
			"the initiator's address is IPv%d and the responder's IPv%d; both have to "
			"be of one family",
			cfg->initiator.family, cfg->responder.family);
	if (cfg->source_first < 1 || cfg->source_first > cfg->source_last)
		return ep_err_set(err, -EINVAL,
			"source ports %u to %u; allowed are 1 to 65535, the lower one first",
			cfg->source_first, cfg->source_last);
	sources = cfg->source_last - cfg->source_first + 1U;
	if (cfg->source_count < 1 || cfg->source_count > sources || cfg->address_count < 1)
		return ep_err_set(err, -EINVAL,
			"%u addresses and %u source ports per destination port; allowed are 1 "
			"address "
			"or more and 1 to %u source ports",
			cfg->address_count, cfg->source_count, sources);
	for (size_t i = 0; i < EP_ARRAY_LEN(rss); i++) {
		const int ret = rss[i] != NULL ? plan_rss_check(rss[i], err) : 0;

		if (ret < 0)
			return ret;
	}
	return 0;
}

int
ep_plan_sources_make(
	const struct ep_plan_sources_cfg *cfg, struct ep_plan_sources *sources, struct ep_err *err)
{
	struct ep_plan_sources made = {0};
	struct search *s;
	uint64_t rows, span;
	const int ret = cfg_check(cfg, err);

	if (ret < 0)
		return ret;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return ep_err_set(err, -ENOMEM, "no memory to choose source ports");
	span = (uint64_t)cfg->range->port_count + cfg->source_count - 1;
	rows = (uint64_t)cfg->address_count * cfg->source_count;
	s->cfg = cfg;
	s->span = cfg->source_last - cfg->source_first + 1U;
	if (span < s->span)
		s->span = (uint32_t)span; /* No two ports share a source port then. */
	s->rows = FLOWS_MAX / cfg->range->port_count;
	if (rows < s->rows)
		s->rows = (uint32_t)rows;
	side_init(&s->up, cfg->up, PLAN_RSS_SPORT, cfg);
	side_init(&s->down, cfg->down, PLAN_RSS_DPORT, cfg);
	base_search(s, &made);
	sources_say(s, &made);
	*sources = made;
	free(s);
	return 0;
}

int
ep_plan_sources_queues(const struct ep_plan_sources_cfg *cfg, const struct ep_plan_sources *sources,
	const struct ep_plan_rss *rss, uint16_t *queue)
{
	struct ep_plan_tuple tuple = {.src = cfg->initiator, .dst = cfg->responder};
	const bool is_up = rss == cfg->up;

	if (rss == NULL || (!is_up && rss != cfg->down) || cfg->source_count != 1 ||
		cfg->address_count != 1)
		return -EINVAL;
	if (!is_up) {
		tuple.src = cfg->responder;
		tuple.dst = cfg->initiator;
	}
	for (uint32_t i = 0; i < cfg->range->port_count; i++) {
		const uint16_t source = (uint16_t)(sources->source_base + i % sources->source_span);
		const uint16_t port = cfg->range->port[i];

		tuple.sport = is_up ? source : port;
		tuple.dport = is_up ? port : source;
		queue[i] = ep_plan_rss_queue(rss, &tuple);
	}
	return 0;
}
