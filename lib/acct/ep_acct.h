#pragma once

/**
 * @file
 * Loss accounting: one sequence window a flow, one line of counters a port (design section 4).
 *
 * A receiver pushes every probe that it verified, in arrival order. Nothing here reads a clock, allocates, or knows
 * about packets. One writer per `struct ep_acct`; counters of several writers are merged afterwards.
 *
 *   flow: next = newest sequence + 1; seen = which of the EP_ACCT_WINDOW newest arrived
 *
 *        older <------------------------------ newest
 *   behind window | bit 127 ... bit 1 bit 0 | ahead: NEW
 *
 * Nearly every probe is the next one of its flow. Those are only counted, in `run`, and shifted into `seen` when something else
 * arrives, or when run has no room left.
 *
 * Words (RFC 7680, 5560, 4737): a first copy below `next` is reordered (RFC 4737 NextExp); a second copy is a
 * duplicate; a copy behind the window may be either, which is what makes the bounds of the loss differ.
 */

#include <ep_base.h>

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

/** Probes of a flow, counted back from the newest, that can still be told apart. */
#define EP_ACCT_WINDOW 128
/** Where `run` begins in ep_acct_flow.run_next. */
#define EP_ACCT_RUN_SHIFT 48
#define EP_ACCT_NEXT_MASK ((UINT64_C(1) << EP_ACCT_RUN_SHIFT) - 1)

/** What one received probe was. */
enum ep_acct_verdict {
	EP_ACCT_NEW,       /**< First copy, newest of its flow so far. */
	EP_ACCT_REORDERED, /**< First copy, overtaken by a newer probe (RFC 4737). */
	EP_ACCT_DUP,       /**< Seen before (RFC 5560). */
	EP_ACCT_BEHIND,    /**< Behind the window: DUP or REORDERED, unknown which. */
	EP_ACCT_VERDICTS,  /**< Number of verdicts. Keep last. */
};

/** Receive state of one flow: half a cache line. Zero-initialised is empty. */
struct ep_acct_flow {
	uint64_t seen[2]; /**< Bit i (of 128): sequence next - run - 1 - i arrived. */
	/** run << 48 | next: next is the newest sequence + 1, modulo 2^48, and 0 when empty; the run newest sequences arrived. */
	uint64_t run_next;
	uint32_t
		transit_ns; /**< Arrival minus send time of the previous probe, modulo 2^32 [ns]. */
	uint32_t
		jitter_ns; /**< RFC 3550 jitter, scaled by 16 [ns/16]; 0 before the second probe, never after it. */
};

/** Counters of one port in one direction: one cache line. */
struct ep_acct_port {
	uint64_t count[EP_ACCT_VERDICTS]; /**< Packets per verdict. */
	uint64_t late; /**< Arrived after the drain time; lost in the account [packets]. */
	uint64_t
		wrong_port; /**< Verified, but a DUT changed its port; lost in the account [packets]. */
	uint64_t bytes;     /**< Frames with FCS of all copies in count[], BEHIND included [B]. */
	uint64_t echo_refused; /**< First copies whose echo our NIC did not accept [packets]. */
};

static_assert(sizeof(struct ep_acct_flow) == 32, "two flows share a cache line");
static_assert(sizeof(struct ep_acct_port) == 64, "a port has a cache line of its own");

/** Receive state of one direction: memory is the caller's. */
struct ep_acct {
	struct ep_acct_flow *flow; /**< [flow_count], zeroed, borrowed. */
	struct ep_acct_port *port; /**< [port_count], zeroed, cache-line aligned, borrowed. */
	uint32_t flow_count;
	uint32_t port_count;
};

/** Bounds of the loss [packets]: min <= true loss <= max. */
struct ep_acct_loss {
	uint64_t min; /**< If every BEHIND probe was a first copy. */
	uint64_t max; /**< If every BEHIND probe was a duplicate. */
};

/**
 * The 64-bit sequence that a 32-bit one stands for: of those that end in @p seq32, the one nearest to @p next, and
 * the older one when two are equally near. No sequence is below 0, so an empty flow takes @p seq32 as it is.
 */
static inline uint64_t
ep_acct_unwrap(uint64_t next, uint32_t seq32)
{
	const int32_t ahead = (int32_t)(seq32 - (uint32_t)next);
	const uint64_t seq = next + (uint64_t)(int64_t)ahead;

	/* Below 0 the sum has wrapped, and the next candidate is seq32 itself. */
	return ahead < 0 && seq > next ? seq32 : seq;
}

/** Newest sequence of a flow + 1; 0 when it is empty. */
static inline uint64_t
ep_acct_next(const struct ep_acct_flow *f)
{
	return f->run_next & EP_ACCT_NEXT_MASK;
}

/** Shift `seen`, a 128-bit number, left by @p count (at least 1) newer sequences, none of which is in it yet. */
static inline void
ep_acct_shift(struct ep_acct_flow *f, uint64_t count)
{
	if (count < 64) {
		f->seen[1] = f->seen[1] << count | f->seen[0] >> (64 - count);
		f->seen[0] <<= count;
	} else {
		f->seen[1] = count < EP_ACCT_WINDOW ? f->seen[0] << (count - 64) : 0;
		f->seen[0] = 0;
	}
}

/** Bring `seen` up to `next`: the run's sequences arrived. */
static inline void
ep_acct_catch_up(struct ep_acct_flow *f)
{
	const uint64_t run = f->run_next >> EP_ACCT_RUN_SHIFT;

	if (run == 0)
		return;
	ep_acct_shift(f, run);
	f->seen[0] |= run < 64 ? (UINT64_C(1) << run) - 1 : UINT64_MAX;
	if (run > 64)
		f->seen[1] |= run < EP_ACCT_WINDOW ? (UINT64_C(1) << (run - 64)) - 1 : UINT64_MAX;
	f->run_next &= EP_ACCT_NEXT_MASK;
}

/** Feed a flow's window with one copy of a sequence. */
static inline enum ep_acct_verdict
ep_acct_flow_push(struct ep_acct_flow *f, uint64_t seq)
{
	const uint64_t next = ep_acct_next(f);

	ep_acct_catch_up(f);
	if (seq >= next) {
		ep_acct_shift(f, seq - next + 1);
		f->seen[0] |= 1;
		f->run_next = (seq + 1) & EP_ACCT_NEXT_MASK;
		return EP_ACCT_NEW;
	}

	const uint64_t back = next - 1 - seq;

	if (back >= EP_ACCT_WINDOW)
		return EP_ACCT_BEHIND;

	uint64_t *const word = &f->seen[back >> 6];
	const uint64_t bit = UINT64_C(1) << (back & 63);
	const bool again = (*word & bit) != 0;

	*word |= bit;
	return again ? EP_ACCT_DUP : EP_ACCT_REORDERED;
}

/**
 * Account one received probe. Hot path; never fails.
 *
 * @param a
 *   State of the direction, owned by the calling thread.
 * @param flow
 *   Flow number, below flow_count. The caller has verified the tag.
 * @param port_index
 *   Index of the flow's port, below port_count.
 * @param seq32
 *   The 32 bits of the sequence on the wire, unwrapped here by ep_acct_unwrap().
 * @param frame_bytes
 *   Frame with FCS [B].
 * @return
 *   What the probe was. Exactly one counter of port[port_index].count was incremented.
 */
static inline enum ep_acct_verdict
ep_acct_push(
	struct ep_acct *a, uint32_t flow, uint32_t port_index, uint32_t seq32, uint32_t frame_bytes)
{
	struct ep_acct_flow *const f = &a->flow[flow];
	struct ep_acct_port *const p = &a->port[port_index];
	const enum ep_acct_verdict verdict =
		ep_acct_flow_push(f, ep_acct_unwrap(ep_acct_next(f), seq32));

	p->count[verdict]++;
	p->bytes += frame_bytes;
	return verdict;
}

/** Whether a probe is the one that follows the flow's newest: nearly every one is. Hot path. */
static inline bool
ep_acct_is_next(const struct ep_acct_flow *f, uint32_t seq32)
{
	return seq32 == (uint32_t)f->run_next;
}

/** As ep_acct_push() for a probe of which ep_acct_is_next(): the verdict is EP_ACCT_NEW. Hot path. */
static inline void
ep_acct_push_next(struct ep_acct_flow *f, struct ep_acct_port *p, uint32_t frame_bytes)
{
	f->run_next += (UINT64_C(1) << EP_ACCT_RUN_SHIFT) + 1;
	if (__builtin_expect(f->run_next >> 63, 0))
		ep_acct_catch_up(f);
	p->count[EP_ACCT_NEW]++;
	p->bytes += frame_bytes;
}

/** 0 where a flow's first two probes took equally long; too large where the delays are out of all measure. */
static inline uint32_t
ep_acct_jitter_bound(uint64_t jitter)
{
	if (jitter == 0)
		return 1;
	return jitter > UINT32_MAX ? UINT32_MAX : (uint32_t)jitter;
}

/**
 * Take a probe's delay variation into its flow's jitter (RFC 3550 section 6.4.1, integer form of appendix A.8).
 * Hot path.
 *
 * @param f
 *   The flow, owned by the calling thread. Its jitter stops at 268 ms, the most that jitter_ns holds.
 * @param transit_ns
 *   Arrival time minus the send time in the probe, modulo 2^32 [ns]; the two clocks need not agree.
 * @param first
 *   The flow's first probe: there is no previous one to differ from.
 */
static inline void
ep_acct_jitter(struct ep_acct_flow *f, uint32_t transit_ns, bool first)
{
	const uint32_t diff_ns = transit_ns - f->transit_ns;
	const uint32_t d_ns = (int32_t)diff_ns < 0 ? -diff_ns : diff_ns;
	/* In 64 bits: sixteen times a change of up to 2^31 ns does not fit 32. */
	const uint64_t before = f->jitter_ns;
	const uint64_t jitter = before + d_ns - ((before + 8) >> 4);

	f->transit_ns = transit_ns;
	/* Not 0: of 1 or more, what is taken off is less. */
	if (__builtin_expect(before != 0 && jitter <= UINT32_MAX, 1))
		f->jitter_ns = (uint32_t)jitter;
	else if (!first)
		f->jitter_ns = ep_acct_jitter_bound(jitter);
}

/** First copies of a port: NEW + REORDERED [packets]. */
static inline uint64_t
ep_acct_first(const struct ep_acct_port *p)
{
	return p->count[EP_ACCT_NEW] + p->count[EP_ACCT_REORDERED];
}

/** All copies that were accounted: the sum of the verdicts [packets]. */
static inline uint64_t
ep_acct_received(const struct ep_acct_port *p)
{
	return ep_acct_first(p) + p->count[EP_ACCT_DUP] + p->count[EP_ACCT_BEHIND];
}

/**
 * Bound the loss of a port of a finished trial. Control path.
 *
 * @param sent
 *   Probes that the sender's NIC accepted [packets].
 * @param[out] loss
 *   Set on success only [packets].
 * @return
 *   0, or -ERANGE when more first copies arrived than were sent: the run is invalid.
 */
int ep_acct_loss(const struct ep_acct_port *p, uint64_t sent, struct ep_acct_loss *loss);

/** Add the counters of @p src to @p dst, [port_count] each. Associative and commutative. */
void ep_acct_ports_merge(
	struct ep_acct_port *dst, const struct ep_acct_port *src, uint32_t port_count);

/** Sum [port_count] counters into one. */
struct ep_acct_port ep_acct_ports_sum(const struct ep_acct_port *ports, uint32_t port_count);

/** Jitter of several flows, to be averaged over all of them, whoever received them. Zero-initialised is none. */
struct ep_acct_jitter {
	uint64_t sum;        /**< Over the flows with at least two probes [ns/16]. */
	uint64_t flow_count; /**< Those flows. */
};

/** Add the RFC 3550 jitter of the flows with at least two probes. */
void ep_acct_jitter_add(
	struct ep_acct_jitter *jitter, const struct ep_acct_flow *flows, uint32_t flow_count);

/** Mean over the flows [ns]; 0 when there is none. */
uint64_t ep_acct_jitter_mean_ns(const struct ep_acct_jitter *jitter);
