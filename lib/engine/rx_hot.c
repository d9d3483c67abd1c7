#include "hold.h"
#include "hot.h"

#include <rte_ring.h>

/*
 * A burst is taken apart into one array a field, so that ports, tag messages and tags are worked on for several probes at
 * once, and accounted probe by probe at the end, when the account's lines have come.
 */

/* More than two cores' counters of one machine ever differ by. */
#define CLOCK_SKEW_NS 1000000

/* What one instance of the receive body does; literals in every caller, so that no instance tests them at run time. */
struct rx_mode {
	bool ipv6;      /* The family whose plain frames take the short way. */
	bool responder; /* The range's port is the destination. */
	bool learn;     /* Responder: notes where the flows come from. */
	bool echo;      /* Responder: answers each first copy. */
	bool oneway;    /* Both ends on one clock: one-way latency. */
	bool rtt;       /* Initiator: echoes carry the original's send time. */
};

/** The probes of a burst between parsing and the account. */
struct rx_burst {
	uint32_t count;
	uint32_t free_count;
	uint32_t dropped; /* Bit i: probe i is not answered. */
	uint32_t echo_count;
	struct ep_wire_shape shape;
	struct rte_mbuf *mbuf[ENGINE_RX_BURST];
	struct ep_wire_fields field[ENGINE_RX_BURST];
	struct ep_wire_block block[ENGINE_RX_BURST]; /* With the port that the frame names. */
	uint32_t flow[ENGINE_RX_BURST];
	uint32_t port_index[ENGINE_RX_BURST];
	uint32_t source_port[ENGINE_RX_BURST]; /* Initiator: the flow's ... */
	uint32_t dport[ENGINE_RX_BURST];       /* ... and where its probe came to. */
	uint32_t tag[ENGINE_RX_BURST];         /* As it should be. */
	uint32_t transit_ns[ENGINE_RX_BURST];
	uint32_t latency_ns[ENGINE_RX_BURST];
	uint32_t bucket[ENGINE_RX_BURST];      /* Of latency_ns ... */
	uint32_t hist_offset[ENGINE_RX_BURST]; /* ... in the histogram there [B]. */
	uint64_t src4[ENGINE_RX_BURST];        /* Plain IPv4: where it came from. */
	/* Bit i: the frame of probe i, or one that was turned away at its place, is not plain. Where frames are read again. */
	uint32_t other;
	bool whole; /* The mbufs may go back in one piece; false where that was not asked. */
	/* Echoes, in the order of arrival, where some are dropped. */
	uint32_t echo_index[ENGINE_RX_BURST];
	struct rte_mbuf *echo_mbuf[ENGINE_RX_BURST];
	struct rte_mbuf *free[ENGINE_RX_BURST]; /* What is not answered. */
	struct ep_wire_echoes echoes;
	uint32_t echo_tag[ENGINE_RX_BURST];
};

/* A VLAN tag, IPv4 options, padding, the other family, or no probe at all. */
static __rte_noinline bool
rx_parse_other(struct rte_mbuf *m, struct ep_wire_rx *rx)
{
	return m->nb_segs == 1 && ep_wire_parse(rte_pktmbuf_mtod(m, uint8_t *), m->data_len, rx);
}

/* Keep what has the shape of a probe of this direction; the rest is foreign. Echo or down stream is not asked here: one kind may
 * follow from the trial before, and in a trial the tag tells what its sender made. */
static __rte_noinline bool
rx_read_other(struct rx_burst *b, uint32_t i, struct rte_mbuf *m, const struct rx_mode mode)
{
	struct ep_wire_rx rx;

	if (!rx_parse_other(m, &rx) || mode.responder != (rx.probe.pt == EP_WIRE_PT_UP))
		return false;
	ep_wire_rx_read(&rx, &b->field[i], &b->block[i]);
	b->dport[i] = rx.dport;
	b->src4[i] = 0; /* No source that is known. */
	b->other |= UINT32_C(1) << i;
	return true;
}

static __rte_always_inline bool
rx_read(struct rx_burst *b, uint32_t i, struct rte_mbuf *m, const struct rx_mode mode)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);

	if (unlikely(!ep_wire_shape_fits(&b->shape, frame, m->data_len, mode.ipv6, mode.responder)))
		return rx_read_other(b, i, m, mode);
	ep_wire_plain_read(frame, &b->field[i], &b->block[i], mode.ipv6, mode.responder);
	if (!mode.responder)
		b->dport[i] = ep_wire_plain_ports(frame, mode.ipv6) & UINT16_MAX;
	if (mode.learn && !mode.ipv6)
		b->src4[i] = ep_wire_plain_src4(frame);
	if (mode.echo)
		ep_wire_echo_read(&b->echoes, i, frame, mode.ipv6);
	return true;
}

/* Not a probe: for the slow path, if there is one, which may be done with it before or after this burst is freed. */
static __rte_noinline void
rx_foreign(struct lane *l, struct rx_burst *b, struct rte_mbuf *m)
{
	l->count.foreign++;
	b->free[b->free_count++] = m;
	if (l->slow_rx == NULL)
		return;
	if (m->nb_segs != 1) {
		l->count.slow_dropped++;
		return;
	}
	b->whole = false;
	rte_mbuf_refcnt_update(m, 1);
	if (rte_ring_enqueue(l->slow_rx, m) != 0) {
		rte_mbuf_refcnt_update(m, -1);
		l->count.slow_dropped++;
	}
}

static __rte_always_inline void
rx_parse(struct lane *l, struct rx_burst *b, struct rte_mbuf **in, uint32_t n,
	const struct rx_mode mode)
{
	const uint32_t flow_count = l->space->flow_count;
	uint32_t count = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (unlikely(!rx_read(b, count, in[i], mode) ||
			    b->field[count].flow >= flow_count)) {
			rx_foreign(l, b, in[i]);
			continue;
		}
		rte_prefetch0(&l->acct.flow[b->field[count].flow]);
		if (mode.learn && !mode.ipv6)
			rte_prefetch0(&l->learn->v4[b->field[count].flow]);
		b->mbuf[count++] = in[i];
	}
	b->count = count;
}

/* What the flow number says. */
static __rte_always_inline void
rx_flows(struct lane *l, struct rx_burst *b, const struct rx_mode mode)
{
	for (uint32_t i = 0; i < ENGINE_RX_BURST; i++)
		b->flow[i] = b->field[i].flow;
	for (uint32_t i = 0; i < ENGINE_RX_BURST; i++)
		b->port_index[i] = ep_sched_port_index(l->space, b->flow[i]);
#pragma GCC unroll 4
	for (uint32_t i = 0; i < b->count; i++)
		rte_prefetch0(&l->acct.port[b->port_index[i]]);
	if (!mode.responder)
		for (uint32_t i = 0; i < ENGINE_RX_BURST; i++)
			b->source_port[i] = ep_sched_source_port(l->space, b->flow[i]);
}

/* How long the probes were under way. The two ends may read the counter on two cores: a probe that seems to come before it left
 * has taken no time. */
static __rte_always_inline void
rx_transit(const struct lane *l, struct rx_burst *b, uint32_t now_ns, const struct rx_mode mode)
{
	const uint32_t block_shift = l->block_shift;

	for (uint32_t i = 0; i < ENGINE_RX_BURST; i++)
		b->transit_ns[i] = now_ns - b->field[i].time_ns;
	if (!mode.oneway && !mode.rtt)
		return;
	for (uint32_t i = 0; i < ENGINE_RX_BURST; i++)
		b->latency_ns[i] =
			b->transit_ns[i] > UINT32_MAX - CLOCK_SKEW_NS ? 0 : b->transit_ns[i];
	ep_hist_bucket_burst(b->latency_ns, b->bucket);
	for (uint32_t i = 0; i < ENGINE_RX_BURST; i++)
		b->hist_offset[i] =
			(b->port_index[i] >> block_shift) * (uint32_t)sizeof(struct ep_hist);
}

/* On request. A probe with another filler than its own is taken for one whose tag does not verify. */
static __rte_noinline void
rx_check_fillers(struct rx_burst *b)
{
	for (uint32_t i = 0; i < b->count; i++) {
		struct rte_mbuf *m = b->mbuf[i];
		struct ep_wire_rx rx;

		if (!rx_parse_other(m, &rx) || !ep_wire_filler_ok(&rx))
			b->field[i].tag = ~b->field[i].tag;
	}
}

/*
 * A probe that does not verify with the port that its frame names: the DUT has changed the port, or it is of the trial before, and
 * late, or it is not ours.
 */
static __rte_noinline void
rx_unverified(struct lane *l, struct rx_burst *b, uint32_t i)
{
	struct ep_acct_port *port = &l->acct.port[b->port_index[i]];
	struct ep_wire_block block = b->block[i];
	uint32_t tag;

	ep_wire_put16(block.bytes_be + 12, l->port_of[b->port_index[i]]);
	ep_wire_tag_burst(l->tagger, &block, &tag, 1);
	if (tag == b->field[i].tag) {
		port->wrong_port++;
		l->count.wrong_port++;
		return;
	}
	if (l->old_tagger != NULL) {
		ep_wire_tag_burst(l->old_tagger, &block, &tag, 1);
		if (tag == b->field[i].tag) {
			port->late++;
			l->count.late++;
			return;
		}
	}
	l->count.bad_tag++;
}

/* What the account of a burst is kept in: for all that the compiler knows, each store of a counter may change where they are. */
struct rx_tables {
	struct ep_acct_flow *flow;
	struct ep_acct_port *port;
	uint8_t *hist; /* The one histogram that is kept. */
	const uint64_t *learn4;
};

static __rte_always_inline struct rx_tables
rx_tables(const struct lane *l, const struct rx_mode mode)
{
	return (struct rx_tables){
		.flow = l->acct.flow,
		.port = l->acct.port,
		.hist = (uint8_t *)(mode.rtt ? l->hist_rtt : l->hist_oneway),
		.learn4 = mode.learn && !mode.ipv6 ? l->learn->v4 : NULL,
	};
}

/* Where a flow comes from for the first time, or from elsewhere than before. */
static __rte_noinline void
rx_learn_new(struct lane *l, const struct rx_burst *b, uint32_t i, const bool ipv6)
{
	struct ep_wire_ip ip = {0};
	struct ep_wire_rx rx;
	uint16_t port;

	if ((b->other >> i & 1) == 0) {
		port = ep_wire_plain_src(rte_pktmbuf_mtod(b->mbuf[i], const uint8_t *), &ip, ipv6);
	} else {
		rx_parse_other(b->mbuf[i], &rx);
		ep_wire_rx_src(&rx, &ip);
		port = rx.sport;
	}
	if (ip.family == l->learn->family && learn_set(l->learn, b->flow[i], &ip, port))
		l->count.learned++;
}

/* The DUT changed the initiator's own port, or the drain time is over. Returns whether the probe is done with. */
static __rte_always_inline bool
rx_set_aside(struct lane *l, const struct rx_burst *b, uint32_t i, const struct rx_mode mode)
{
	struct ep_acct_port *port = &l->acct.port[b->port_index[i]];

	if (!mode.responder && unlikely(b->dport[i] != b->source_port[i])) {
		port->wrong_port++;
		l->count.wrong_port++;
		return true;
	}
	if (unlikely(l->late)) {
		port->late++;
		l->count.late++;
		return true;
	}
	return false;
}

/* What a flow's newest probe tells beside its number. */
static __rte_always_inline void
rx_newest(struct lane *l, const struct rx_burst *b, uint32_t i, const struct rx_tables *t,
	bool first, const struct rx_mode mode)
{
	ep_acct_jitter(&t->flow[b->flow[i]], b->transit_ns[i], first);
	if (mode.learn && (mode.ipv6 || unlikely(!learn_is4(t->learn4, b->flow[i], b->src4[i]))))
		rx_learn_new(l, b, i, mode.ipv6);
}

/* Any probe that is not the next one of its flow. Returns whether it is a first copy. */
static __rte_noinline bool
rx_account_other(struct lane *l, const struct rx_burst *b, uint32_t i, const struct rx_tables *t,
	const struct rx_mode mode)
{
	const bool empty = t->flow[b->flow[i]].run_next == 0;
	const enum ep_acct_verdict v = ep_acct_push(&l->acct, b->flow[i], b->port_index[i],
		b->field[i].seq, b->mbuf[i]->pkt_len + EP_WIRE_FCS_BYTES);

	if (v == EP_ACCT_NEW)
		rx_newest(l, b, i, t, empty, mode);
	return v == EP_ACCT_NEW || v == EP_ACCT_REORDERED;
}

/* Account one verified probe. Returns whether it is a first copy. */
static __rte_always_inline bool
rx_account(struct lane *l, const struct rx_burst *b, uint32_t i, const struct rx_tables *t,
	const struct rx_mode mode)
{
	struct ep_acct_flow *flow = &t->flow[b->flow[i]];
	const bool empty = flow->run_next == 0;

	if (likely(ep_acct_is_next(flow, b->field[i].seq))) {
		ep_acct_push_next(
			flow, &t->port[b->port_index[i]], b->mbuf[i]->pkt_len + EP_WIRE_FCS_BYTES);
		rx_newest(l, b, i, t, empty, mode);
	} else if (!rx_account_other(l, b, i, t, mode)) {
		return false;
	}
	if (mode.oneway || mode.rtt)
		ep_hist_push_bucket((struct ep_hist *)(void *)(t->hist + b->hist_offset[i]),
			b->latency_ns[i], b->bucket[i]);
	return true;
}

/* Whether each probe is what it says and in time, which is asked for the burst as a whole. */
static __rte_always_inline bool
rx_in_order(const struct lane *l, const struct rx_burst *b, const struct rx_mode mode)
{
	uint32_t differ = l->late;

	for (uint32_t i = 0; i < ENGINE_RX_BURST; i++) {
		uint32_t bits = b->tag[i] ^ b->field[i].tag;

		if (!mode.responder)
			bits |= b->dport[i] ^ b->source_port[i];
		differ |= i < b->count ? bits : 0;
	}
	return differ == 0;
}

/* Returns whether the probe was taken. */
static __rte_always_inline bool
rx_is_taken(struct lane *l, struct rx_burst *b, uint32_t i, const struct rx_mode mode)
{
	if (unlikely(b->tag[i] != b->field[i].tag)) {
		rx_unverified(l, b, i);
		return false;
	}
	return !rx_set_aside(l, b, i, mode);
}

static __rte_always_inline void
rx_judge_each(struct lane *l, struct rx_burst *b, const bool in_order, const struct rx_mode mode)
{
	const struct rx_tables t = rx_tables(l, mode);
	const uint32_t count = b->count;
	uint32_t aside = 0, again = 0, dropped = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (!in_order && unlikely(!rx_is_taken(l, b, i, mode))) {
			aside++;
		} else if (unlikely(!rx_account(l, b, i, &t, mode))) {
			again++;
		} else {
			continue;
		}
		dropped |= UINT32_C(1) << i;
	}
	b->dropped = dropped;
	l->count.received += count - aside;
	l->count.first += count - aside - again;
}

static __rte_always_inline void
rx_judge(struct lane *l, struct rx_burst *b, const struct rx_mode mode)
{
	if (likely(rx_in_order(l, b, mode)))
		rx_judge_each(l, b, true, mode);
	else
		rx_judge_each(l, b, false, mode);
}

static __rte_noinline void
rx_list_echoes(struct rx_burst *b)
{
	for (uint32_t i = 0; i < b->count; i++) {
		if ((b->dropped >> i & 1) != 0) {
			b->free[b->free_count++] = b->mbuf[i];
			continue;
		}
		b->echo_mbuf[b->echo_count] = b->mbuf[i];
		b->echo_index[b->echo_count++] = i;
	}
}

/* Which probe the k-th echo answers. */
static __rte_always_inline uint32_t
rx_echo_index(const struct rx_burst *b, uint32_t k)
{
	return b->dropped != 0 ? b->echo_index[k] : k;
}

/* In place; returns false where a frame has to be done on its own. */
static __rte_always_inline bool
rx_write_echoes(struct rx_burst *b, const struct rx_mode mode)
{
	uint32_t no_check = 0;

	for (uint32_t i = 0; i < ENGINE_RX_BURST; i++)
		no_check |= i < b->count && !ep_wire_echo_has_check(&b->echoes, i);
	if (unlikely(no_check != 0 || b->other != 0))
		return false;
	ep_wire_echo_sums(&b->echoes, b->tag, b->echo_tag);
	if (likely(b->dropped == 0)) {
		for (uint32_t i = 0; i < b->count; i++)
			ep_wire_echo_write(
				&b->echoes, i, rte_pktmbuf_mtod(b->mbuf[i], uint8_t *), mode.ipv6);
		return true;
	}
	for (uint32_t k = 0; k < b->echo_count; k++)
		ep_wire_echo_write(&b->echoes, b->echo_index[k],
			rte_pktmbuf_mtod(b->echo_mbuf[k], uint8_t *), mode.ipv6);
	return true;
}

/* Some frame is not plain, or has no UDP checksum. */
static __rte_noinline void
rx_write_other_echoes(struct rx_burst *b)
{
	for (uint32_t k = 0; k < b->echo_count; k++) {
		const uint32_t i = rx_echo_index(b, k);
		struct rte_mbuf *m = b->mbuf[i];
		struct ep_wire_rx rx;

		if (rx_parse_other(m, &rx))
			ep_wire_echo(rte_pktmbuf_mtod(m, uint8_t *), &rx, b->echo_tag[i]);
	}
}

static __rte_noinline void
rx_refuse_echoes(struct lane *l, struct rx_burst *b, uint32_t sent)
{
	for (uint32_t k = sent; k < b->echo_count; k++) {
		const uint32_t i = rx_echo_index(b, k);

		l->acct.port[b->port_index[i]].echo_refused++;
		l->count.echo_refused++;
		b->free[b->free_count++] = b->mbuf[i];
	}
}

/* Answer: never more than one packet of the same size for one first copy (design section 5). */
static __rte_always_inline void
rx_send_echoes(struct lane *l, struct rx_burst *b, const struct rx_mode mode)
{
	struct rte_mbuf **echo = b->mbuf;
	uint32_t sent = 0;

	b->echo_count = b->count;
	if (unlikely(b->dropped != 0)) {
		b->echo_count = 0;
		rx_list_echoes(b);
		echo = b->echo_mbuf;
	}
	if (b->echo_count == 0)
		return;
	if (likely(!l->silent)) {
		ep_wire_tag_burst_echo(l->tagger, b->block, b->echo_tag, b->count);
		if (!rx_write_echoes(b, mode))
			rx_write_other_echoes(b);
		if (unlikely(l->holds_echoes)) {
			hold_push(&l->hold, echo, b->echo_count);
			return;
		}
		sent = lane_transmit(l, echo, (uint16_t)b->echo_count);
		l->count.echo_accepted += sent;
	}
	if (unlikely(sent < b->echo_count))
		rx_refuse_echoes(l, b, sent);
}

/* Ask for the frames. Returns, if `whole` asks for it, whether all are whole mbufs of one pool, as nearly every device gives
 * them: those go back in one piece. Only the mbufs' first lines, and the pool, are looked at. */
static __rte_always_inline bool
rx_prefetch(const struct lane *l, struct rte_mbuf **mbuf, uint32_t n, const bool whole)
{
	const struct rte_mempool *pool = mbuf[0]->pool;
	uint64_t rearm_differ = 0, flags = 0;
	uintptr_t pool_differ = 0;

#pragma GCC unroll 4
	for (uint32_t i = 0; i < n; i++) {
		uint64_t rearm;

		rte_prefetch0(rte_pktmbuf_mtod(mbuf[i], void *));
		if (!whole)
			continue;
		memcpy(&rearm, &mbuf[i]->rearm_data, sizeof(rearm));
		rearm_differ |= rearm ^ l->mbuf_rearm;
		pool_differ |= (uintptr_t)mbuf[i]->pool ^ (uintptr_t)pool;
		flags |= mbuf[i]->ol_flags;
	}
	return whole && (rearm_differ & l->mbuf_rearm_whole) == 0 && pool_differ == 0 &&
		(flags & (RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL)) == 0;
}

static __rte_always_inline void
rx_free(struct rte_mbuf **mbuf, uint32_t count, bool whole)
{
	if (count == 0)
		return;
	if (likely(whole))
		rte_mempool_put_bulk(mbuf[0]->pool, (void **)mbuf, count);
	else
		rte_pktmbuf_free_bulk(mbuf, count);
}

static __rte_always_inline uint32_t
rx_body(struct lane *l, const struct rx_mode mode)
{
	struct rte_mbuf *in[ENGINE_RX_BURST];
	struct rx_burst b;
	uint32_t now_ns;
	uint16_t n;

	n = rte_eth_rx_burst(l->rx_queue[l->rx_queue_next].port_id,
		l->rx_queue[l->rx_queue_next].queue_id, in, ENGINE_RX_BURST);
	l->rx_queue_next = l->rx_queue_next + 1u == l->rx_queue_count ? 0 : l->rx_queue_next + 1;
	if (n == 0) {
		if (mode.echo && unlikely(hold_is_due(l, 0)))
			hold_flush(l);
		return 0;
	}
	/* After the burst was taken: the far end may have stamped its last packet a moment ago. */
	now_ns = lane_ns32(l, rte_rdtsc());
	b.other = 0;
	b.free_count = 0;
	ep_wire_shape_init(&b.shape, mode.ipv6);
	/* Of what is answered, hardly any mbuf is left to go back. */
	b.whole = rx_prefetch(l, in, n, !mode.echo);
	rx_parse(l, &b, in, n, mode);
	if (likely(b.count > 0)) {
		rx_flows(l, &b, mode);
		ep_wire_tag_burst(l->tagger, b.block, b.tag, b.count);
		rx_transit(l, &b, now_ns, mode);
		/* One test a burst, always decided alike. */
		if (unlikely(l->verify_filler))
			rx_check_fillers(&b);
		rx_judge(l, &b, mode);
		if (mode.echo)
			rx_send_echoes(l, &b, mode);
	}
	if (mode.echo && unlikely(hold_is_due(l, n)))
		hold_flush(l);
	if (mode.echo)
		rx_free(b.free, b.free_count, b.whole);
	else
		rx_free(in, n, b.whole);
	return n;
}

#define RX_INSTANCE(name, ...)                                    \
	static uint32_t name(struct lane *l)                      \
	{                                                         \
		return rx_body(l, (struct rx_mode){__VA_ARGS__}); \
	}

/** The instances of an address family, by one-way latency. */
struct rx_family {
	lane_rx_fn count[2];
	lane_rx_fn learn[2];
	lane_rx_fn echo[2];
	lane_rx_fn initiator[2];
	lane_rx_fn rtt;
};

/* One instance a meaningful combination: initiators never echo, responders never time a round trip. */
#define RX_FAMILY(f, six)                                                                        \
	RX_INSTANCE(rx_count##f, .ipv6 = six, .responder = true)                                 \
	RX_INSTANCE(rx_count##f##_1, .ipv6 = six, .responder = true, .oneway = true)             \
	RX_INSTANCE(rx_learn##f, .ipv6 = six, .responder = true, .learn = true)                  \
	RX_INSTANCE(                                                                             \
		rx_learn##f##_1, .ipv6 = six, .responder = true, .learn = true, .oneway = true)  \
	RX_INSTANCE(rx_echo##f, .ipv6 = six, .responder = true, .learn = true, .echo = true)     \
	RX_INSTANCE(rx_echo##f##_1, .ipv6 = six, .responder = true, .learn = true, .echo = true, \
		.oneway = true)                                                                  \
	RX_INSTANCE(rx_initiator##f, .ipv6 = six)                                                \
	RX_INSTANCE(rx_initiator##f##_1, .ipv6 = six, .oneway = true)                            \
	RX_INSTANCE(rx_initiator##f##_rtt, .ipv6 = six, .rtt = true)                             \
	static const struct rx_family rx_family##f = {                                           \
		.count = {rx_count##f, rx_count##f##_1},                                         \
		.learn = {rx_learn##f, rx_learn##f##_1},                                         \
		.echo = {rx_echo##f, rx_echo##f##_1},                                            \
		.initiator = {rx_initiator##f, rx_initiator##f##_1},                             \
		.rtt = rx_initiator##f##_rtt,                                                    \
	};

RX_FAMILY(4, false)
RX_FAMILY(6, true)

lane_rx_fn
HOT_NAME(rx_choose)(const struct rx_choice *c)
{
	const struct rx_family *f = c->ipv6 ? &rx_family6 : &rx_family4;

	if (c->rtt)
		return f->rtt;
	if (!c->responder)
		return f->initiator[c->oneway];
	if (c->echo)
		return f->echo[c->oneway];
	return c->learn ? f->learn[c->oneway] : f->count[c->oneway];
}
