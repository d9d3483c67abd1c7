/*
 * The path keeps 24 bytes a flow for the one packet that may be held back and the newest sequence that left, and a line of
 * counters a port.
 * Everything is counted when it leaves, so at any time seen = dropped + first copies that left + held, and nothing
 * is held after a flush.
 */

#include "ep_path.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* The one packet of a flow that is held back, and how far the flow got. */
struct path_flow {
	void *packet;        /* NULL: none */
	uint32_t port_index; /* of the packet */
	uint32_t seq;        /* of the packet */
	uint32_t newest;     /* newest sequence that left in this trial */
	bool dup;            /* a copy is to follow it */
	bool began;          /* one has left in this trial */
};

/* xoshiro256** (Blackman and Vigna), seeded by a splitmix64 sequence as its authors advise. */
struct path_random {
	uint64_t s[4];
};

struct ep_path {
	const struct ep_range *range;
	struct ep_path_port *port; /* [range->port_count] */
	bool *blocked;             /* [range->port_count] */
	struct path_flow *flow;    /* [flow_count] */
	uint32_t flow_count;
	uint32_t held_count;
	uint32_t flush_from; /* no flow below holds a packet */
	struct path_random random;
	uint64_t drop_below, dup_below, reorder_below; /* of 2^53 */
};

static void
random_init(struct path_random *r, uint64_t seed)
{
	for (int i = 0; i < 4; i++) {
		uint64_t z = seed += UINT64_C(0x9E3779B97F4A7C15);

		z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
		z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
		r->s[i] = z ^ z >> 31;
	}
}

static uint64_t
rotate_left(uint64_t x, unsigned int bits)
{
	return x << bits | x >> (64 - bits);
}

static uint64_t
random_next(struct path_random *r)
{
	uint64_t *const s = r->s;
	const uint64_t next = rotate_left(s[1] * 5, 7) * 9;
	const uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate_left(s[3], 45);
	return next;
}

/* True with probability below / 2^53, so a ratio of 0 is never and one of 1 always. */
static bool
random_hit(struct path_random *r, uint64_t below)
{
	return random_next(r) >> 11 < below;
}

static uint64_t
hit_below(double ratio)
{
	return (uint64_t)(ratio * 0x1p53);
}

int
ep_path_create(const struct ep_path_cfg *cfg, const struct ep_range *range, uint32_t flow_count,
	uint64_t seed, struct ep_path **out)
{
	struct ep_path *const path = calloc(1, sizeof(*path));

	if (path == NULL)
		return -ENOMEM;
	/* One more than needed: calloc() of nothing may return NULL. */
	path->port = calloc((size_t)range->port_count + 1, sizeof(*path->port));
	path->blocked = calloc((size_t)range->port_count + 1, sizeof(*path->blocked));
	path->flow = calloc((size_t)flow_count + 1, sizeof(*path->flow));
	if (path->port == NULL || path->blocked == NULL || path->flow == NULL) {
		ep_path_destroy(path);
		return -ENOMEM;
	}
	for (uint32_t i = 0; cfg->blocked != NULL && i < range->port_count; i++)
		path->blocked[i] = ep_range_has(cfg->blocked, range->port[i]);
	path->range = range;
	path->flow_count = flow_count;
	path->drop_below = hit_below(cfg->drop_ratio);
	path->dup_below = hit_below(cfg->dup_ratio);
	path->reorder_below = hit_below(cfg->reorder_ratio);
	random_init(&path->random, seed);
	*out = path;
	return 0;
}

void
ep_path_destroy(struct ep_path *path)
{
	if (path == NULL)
		return;
	free(path->port);
	free(path->blocked);
	free(path->flow);
	free(path);
}

/* Whether a packet that leaves now was overtaken by a later one of its flow (RFC 4737, NextExp), wherever that happened. */
static bool
flow_leaves_late(struct path_flow *f, uint32_t seq)
{
	if (f->began && (int32_t)(seq - f->newest) < 0)
		return true;
	f->newest = seq;
	f->began = true;
	return false;
}

/* Put a packet, and its copy if it gets one, behind what leaves already. */
static void
out_add(struct ep_path_out *out, void *packet, bool dup)
{
	out->packet[out->count++] = packet;
	if (!dup)
		return;
	out->copy[out->count] = true;
	out->packet[out->count++] = packet;
}

static void
path_count(struct ep_path *path, uint32_t flow, uint32_t port_index, uint32_t seq, bool dup)
{
	path->port[port_index].reordered += flow_leaves_late(&path->flow[flow], seq);
	path->port[port_index].duplicated += dup;
}

static void
path_hold(struct ep_path *path, uint32_t flow, uint32_t seq, void *packet, uint32_t port_index,
	bool dup)
{
	struct path_flow *const f = &path->flow[flow];

	f->packet = packet;
	f->port_index = port_index;
	f->seq = seq;
	f->dup = dup;
	path->held_count++;
	if (flow < path->flush_from)
		path->flush_from = flow;
}

/* The held packet leaves. */
static struct path_flow
path_release(struct ep_path *path, uint32_t flow)
{
	const struct path_flow held = path->flow[flow];

	path_count(path, flow, held.port_index, held.seq, held.dup);
	path->flow[flow].packet = NULL;
	path->held_count--;
	return held;
}

void
ep_path_pass(struct ep_path *path, void *packet, uint32_t flow, uint32_t seq, uint16_t port,
	struct ep_path_out *out)
{
	const uint32_t index = path->range->index[port];
	/* All three draws for each packet: no decision shifts the sequence of another. */
	const bool drop = random_hit(&path->random, path->drop_below);
	const bool dup = random_hit(&path->random, path->dup_below);
	const bool reorder = random_hit(&path->random, path->reorder_below);

	assert(packet != NULL && flow < path->flow_count && index != EP_RANGE_NONE);

	*out = (struct ep_path_out){0};
	path->port[index].seen++;
	if (drop || path->blocked[index]) {
		path->port[index].dropped++;
		out->dropped = true;
		return;
	}

	const bool holds = path->flow[flow].packet != NULL;

	if (reorder && !holds) {
		path_hold(path, flow, seq, packet, index, dup);
		return;
	}
	path_count(path, flow, index, seq, dup);
	out_add(out, packet, dup);
	if (holds) {
		const struct path_flow held = path_release(path, flow);

		out_add(out, held.packet, held.dup);
	}
}

void *
ep_path_flush(struct ep_path *path, bool *copy)
{
	if (path->held_count == 0)
		return NULL;
	while (path->flow[path->flush_from].packet == NULL)
		path->flush_from++;

	const struct path_flow held = path_release(path, path->flush_from);

	*copy = held.dup;
	return held.packet;
}

void
ep_path_restart(struct ep_path *path)
{
	for (uint32_t f = 0; f < path->flow_count; f++)
		path->flow[f].began = false;
}

const struct ep_path_port *
ep_path_ports(const struct ep_path *path)
{
	return path->port;
}
