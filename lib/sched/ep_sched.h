#pragma once

/**
 * @file
 * The order in which probes are sent: flows are enumerated, not stored (design section 3).
 *
 *   flow number f in [0, F), F = addresses x sources x ports
 *   f = (address * source_count + source) * port_count + port_index
 *
 *   packet n of a trial -> position i = n mod F, sequence = n div F, flow = perm(i)
 *
 * perm is a seeded bijection on [0, F), so each sweep hits each flow once, in an order that is not a port scan's. The sender
 * needs no state per flow, and how many probes each port got follows from the number of probes sent alone. No clock, no memory.
 * A `struct ep_sched_cursor` has one writer; `struct ep_sched` is read-only after ep_sched_init().
 */

#include <ep_base.h>

#include <stdbool.h>
#include <stdint.h>

/** Number of mixing rounds of the permutation. */
#define EP_SCHED_ROUNDS 4
/** Most probes taken in one call. */
#define EP_SCHED_BURST 32

/** What a flow space is made from. */
struct ep_sched_cfg {
	uint32_t port_count;    /**< Destination ports, 1 to 65536. */
	uint32_t source_count;  /**< Source ports per destination port, 1 to source_span. */
	uint32_t address_count; /**< Initiator addresses, at least 1. */
	uint16_t source_base;   /**< Lowest source port, at least 1. */
	uint32_t
		source_span; /**< Source ports in all, from source_base up; the last one at most 65535. */
	uint64_t seed;       /**< Any number; the same seed gives the same order. */
};

/** The flow space and its permutation. Read-only after ep_sched_init(). */
struct ep_sched {
	uint32_t flow_count;    /**< F, at least 1. */
	uint32_t port_count;    /**< See ep_sched_cfg. */
	uint32_t source_count;  /**< See ep_sched_cfg. */
	uint32_t address_count; /**< See ep_sched_cfg. */
	uint32_t source_base;   /**< See ep_sched_cfg. */
	uint32_t source_span;   /**< See ep_sched_cfg. */
	uint32_t port_recip; /**< floor((2^32 - 1) / port_count), for division by multiplication. */
	uint32_t source_recip; /**< Likewise of source_count. */
	uint32_t span_recip;   /**< Likewise of source_span. */
	/* Permutation constants, from the seed; see sched.c. */
	uint32_t stride;                     /**< Coprime with F, below F. */
	uint32_t stride_recip;               /**< floor(stride * 2^32 / F). */
	uint32_t step[EP_SCHED_BURST];       /**< k * stride mod F. */
	uint32_t round_key[EP_SCHED_ROUNDS]; /**< In [0, F). */
	uint32_t round_mix[EP_SCHED_ROUNDS]; /**< Any 32 bits. */
};

/** What a flow number means. */
struct ep_sched_flow {
	uint32_t address;     /**< Index of the initiator's address. */
	uint32_t port_index;  /**< Index of the destination port in the range. */
	uint16_t source_port; /**< Initiator's source port, host order. */
};

/** Where one sender stands in its share (shard) of the permutation. */
struct ep_sched_cursor {
	uint32_t first; /**< First position of the shard. */
	uint32_t end;   /**< One past the last position of the shard. */
	uint32_t next;  /**< Position of the next probe, in [first, end). */
	uint64_t seq;   /**< Sequence number of the next probe. */
};

/**
 * Set up the flow space and its permutation. Control path, before start.
 *
 * @param[out] s
 *   Filled on success only.
 * @param cfg
 *   The space and the seed.
 * @param[out] err
 *   Sentence on failure; may be NULL.
 * @return
 *   0, or -EINVAL (a count or the lowest source port is 0, more than 65536 destination ports, more sources than the span has, a
 *   span that ends above port 65535) or -ERANGE (more than 2^32 - 1 flows).
 */
int ep_sched_init(struct ep_sched *s, const struct ep_sched_cfg *cfg, struct ep_err *err);

/**
 * Set up only the permutation of [0, @p count), for use over a list of learned flows. Control path, before start.
 *
 * @param[out] s
 *   Filled on success only. Its values are places in the list: they have no port and no source of their own.
 * @param count
 *   Length of the list [flows], at least 1.
 * @param seed
 *   Any number; the same seed gives the same order.
 * @param[out] err
 *   Sentence on failure; may be NULL.
 * @return
 *   0, or -EINVAL (the list is empty).
 */
int ep_sched_init_list(struct ep_sched *s, uint32_t count, uint64_t seed, struct ep_err *err);

/* n / d for recip = floor((2^32 - 1) / d); exact for every 32-bit n and d (proof in sched.c). In 32 bits, for vectors. */
static inline uint32_t
ep_sched_div(uint32_t n, uint32_t d, uint32_t recip)
{
	const uint32_t q = (uint32_t)((uint64_t)n * recip >> 32);

	return q + (n - q * d >= d);
}

/* The smaller of r and r - d (which wraps below d) is the remainder: r is below 2 d. */
static inline uint32_t
ep_sched_mod(uint32_t n, uint32_t d, uint32_t recip)
{
	const uint32_t r = n - (uint32_t)((uint64_t)n * recip >> 32) * d;

	return r < r - d ? r : r - d;
}

/* position * stride mod flow_count (proof in sched.c). */
static inline uint32_t
ep_sched_spread(const struct ep_sched *s, uint32_t position)
{
	const uint64_t q = (uint64_t)position * s->stride_recip >> 32;
	const uint64_t r = (uint64_t)position * s->stride - q * s->flow_count;

	return (uint32_t)(r >= s->flow_count ? r - s->flow_count : r);
}

/* One swap-or-not round: an involution on [0, flow_count). */
static inline uint32_t
ep_sched_swap(uint32_t flow_count, uint32_t key, uint32_t mix, uint32_t x)
{
	const uint32_t partner =
		key - x + (flow_count & -(uint32_t)(x > key)); /* (key - x) mod flow_count */
	uint32_t bits = x > partner ? x : partner;

	bits = (bits ^ mix) * UINT32_C(0x9e3779b1);
	bits = (bits ^ bits >> 15) * UINT32_C(0x85ebca6b);
	/* A mask and not a branch: nothing could predict it. */
	return x ^ ((x ^ partner) & -(bits >> 31));
}

static inline uint32_t
ep_sched_round(const struct ep_sched *s, unsigned int round, uint32_t x)
{
	return ep_sched_swap(s->flow_count, s->round_key[round], s->round_mix[round], x);
}

/**
 * Flow at a position: the seeded bijection on [0, flow_count). Hot path: no division, no loop of unknown length, no branch.
 *
 * @param s
 *   The schedule.
 * @param position
 *   Below flow_count.
 * @return
 *   Flow number, or place in the list; below flow_count.
 */
static inline uint32_t
ep_sched_perm(const struct ep_sched *s, uint32_t position)
{
	uint32_t x = ep_sched_spread(s, position);

	for (unsigned int round = 0; round < EP_SCHED_ROUNDS; round++)
		x = ep_sched_round(s, round, x);
	return x;
}

/** Position of @p flow (below flow_count): inverse of ep_sched_perm(). Control path. */
uint32_t ep_sched_perm_inverse(const struct ep_sched *s, uint32_t flow);

/** Destination port index of a flow. Hot path, no division. */
static inline uint32_t
ep_sched_port_index(const struct ep_sched *s, uint32_t flow)
{
	return ep_sched_mod(flow, s->port_count, s->port_recip);
}

/**
 * Source port of a flow, host order. Hot path, no division.
 *
 * The diagonal: source_base + (port_index + source) mod source_span, so different destination ports also leave from different
 * source ports, as different participants do. The sources of one destination port are distinct.
 */
static inline uint16_t
ep_sched_source_port(const struct ep_sched *s, uint32_t flow)
{
	const uint32_t row = ep_sched_div(flow, s->port_count, s->port_recip);
	const uint32_t port_index = flow - row * s->port_count;
	const uint32_t source = ep_sched_mod(row, s->source_count, s->source_recip);

	return (uint16_t)(s->source_base +
		ep_sched_mod(port_index + source, s->source_span, s->span_recip));
}

/** Index of the initiator's address of a flow. Hot path, no division. */
static inline uint32_t
ep_sched_address(const struct ep_sched *s, uint32_t flow)
{
	return ep_sched_div(
		ep_sched_div(flow, s->port_count, s->port_recip), s->source_count, s->source_recip);
}

/** All of a flow number's meaning. Control path. */
struct ep_sched_flow ep_sched_flow_of(const struct ep_sched *s, uint32_t flow);

/**
 * Take one of equal shares (within one) of the positions. Control path. The shards partition [0, flow_count).
 *
 * An empty shard (more shards than flows) has first == end and must not be advanced.
 *
 * @param s
 *   The schedule.
 * @param shard
 *   Number of the share, below @p shard_count.
 * @param shard_count
 *   Shares, at least 1.
 * @return
 *   Cursor at the start of the share, sequence 0.
 */
struct ep_sched_cursor ep_sched_shard(
	const struct ep_sched *s, uint32_t shard, uint32_t shard_count);

/**
 * Take the next probe of a shard. Hot path.
 *
 * @param s
 *   The schedule.
 * @param c
 *   The shard, not empty; advanced.
 * @param[out] seq
 *   Sequence number of the probe.
 * @return
 *   Flow number, or place in the list.
 */
static inline uint32_t
ep_sched_next(const struct ep_sched *s, struct ep_sched_cursor *c, uint64_t *seq)
{
	const uint32_t position = c->next;
	const bool wraps = position + 1 == c->end;

	*seq = c->seq;
	c->next = wraps ? c->first : position + 1;
	c->seq += wraps;
	return ep_sched_perm(s, position);
}

/* The burst that runs over the end of the shard. */
static inline void
ep_sched_next_wrap(const struct ep_sched *s, struct ep_sched_cursor *c, uint32_t count,
	uint32_t *flow, uint32_t *seq)
{
	for (uint32_t i = 0; i < count; i++) {
		uint64_t seq64;

		flow[i] = ep_sched_next(s, c, &seq64);
		seq[i] = (uint32_t)seq64;
	}
}

/**
 * Take the next probes of a shard: as @p count calls of ep_sched_next(), at the cost of a few. Hot path.
 *
 * The multiples of the stride are looked up and one 64-bit product a burst is left; all else is 32-bit arithmetic without a
 * branch, so that the compiler makes vectors of it.
 *
 * @param s
 *   The schedule.
 * @param c
 *   The shard, not empty; advanced.
 * @param count
 *   1 to EP_SCHED_BURST [packets].
 * @param[out] flow
 *   [EP_SCHED_BURST] flow numbers, or places in the list; those from @p count on are of no meaning, but below flow_count.
 * @param[out] seq
 *   [EP_SCHED_BURST] low 32 bits of the sequence numbers.
 */
static inline void
ep_sched_next_burst(const struct ep_sched *restrict s, struct ep_sched_cursor *restrict c,
	uint32_t count, uint32_t *restrict flow, uint32_t *restrict seq)
{
	const uint32_t f = s->flow_count;
	const uint32_t first = ep_sched_spread(s, c->next);
	const uint32_t seq32 = (uint32_t)c->seq;

	for (uint32_t i = 0; i < EP_SCHED_BURST; i++) {
		const uint32_t step = s->step[i];

		/* first + step mod f; the sum itself may not fit 32 bits. */
		flow[i] = first + step - (f & -(uint32_t)(first >= f - step));
		seq[i] = seq32;
	}
	/* A round at a time, with its constants in registers: for all that the compiler knows, flow may lie inside s. */
	for (unsigned int round = 0; round < EP_SCHED_ROUNDS; round++) {
		const uint32_t key = s->round_key[round];
		const uint32_t mix = s->round_mix[round];

		for (uint32_t i = 0; i < EP_SCHED_BURST; i++)
			flow[i] = ep_sched_swap(f, key, mix, flow[i]);
	}
	if (__builtin_expect(count >= c->end - c->next, 0))
		ep_sched_next_wrap(s, c, count, flow, seq);
	else
		c->next += count;
}

/**
 * Undo the last calls of ep_sched_next(): probes that the NIC did not accept. Hot enough: no division.
 *
 * @param c
 *   The shard.
 * @param count
 *   Calls to undo, at most ep_sched_taken() [packets].
 */
void ep_sched_rewind(struct ep_sched_cursor *c, uint32_t count);

/** Probes taken so far, from the cursor alone [packets]. */
uint64_t ep_sched_taken(const struct ep_sched_cursor *c);

/**
 * Add to each port how many probes a shard has taken. Control path; O(flows).
 *
 * @param s
 *   The schedule the shard belongs to.
 * @param c
 *   The shard.
 * @param space
 *   The flow space that gives a flow its port; equal to @p s where @p list is NULL.
 * @param list
 *   NULL, or [s->flow_count] flow numbers of @p space that the permutation's values index (see ep_sched_init_list), borrowed
 *   for the call.
 * @param[in,out] sent
 *   [space->port_count] probes, added to [packets].
 */
void ep_sched_count_ports(const struct ep_sched *s, const struct ep_sched_cursor *c,
	const struct ep_sched *space, const uint32_t *list, uint64_t *sent);
