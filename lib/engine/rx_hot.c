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
	bool slow;      /* What is no probe goes to the slow path. */
};

/** The probes of a burst between parsing and the account. */
struct rx_burst {
	uint32_t count;
	uint32_t free_count;
	uint32_t echo_count;
	struct rte_mbuf *mbuf[ENGINE_RX_BURST];
	uint32_t port_index[ENGINE_RX_BURST];
	uint32_t pt[ENGINE_RX_BURST];
	uint32_t flow_ports[ENGINE_RX_BURST]; /* As the flow's packets have them at this end. */
	uint32_t tag[ENGINE_RX_BURST];        /* As it should be. */
	bool plain[ENGINE_RX_BURST];
	struct ep_wire_batch batch; /* As it came; dport from the flow. */
	/* Echoes, in the order of arrival. */
	uint32_t echo_index[ENGINE_RX_BURST];
	struct rte_mbuf *echo_mbuf[ENGINE_RX_BURST];
	struct rte_mbuf *free[ENGINE_RX_BURST]; /* What is not answered. */
};

/* A VLAN tag, IPv4 options, the other family, or no probe at all. */
static __rte_noinline bool
rx_parse_other(struct rte_mbuf *m, struct ep_wire_rx *rx)
{
	return m->nb_segs == 1 && ep_wire_parse(rte_pktmbuf_mtod(m, uint8_t *), m->data_len, rx);
}

/* Once more, where more of a frame is asked for than the burst holds. */
static __rte_always_inline void
rx_frame(const struct rx_burst *b, uint32_t i, struct ep_wire_rx *rx, const struct rx_mode mode)
{
	struct rte_mbuf *m = b->mbuf[i];

	if (likely(b->plain[i]))
		ep_wire_plain_rx(rte_pktmbuf_mtod(m, uint8_t *), mode.ipv6, rx);
	else
		rx_parse_other(m, rx);
}

/* Keep what has the shape of a probe of this direction; the rest is foreign. Echo or down stream is not asked here: one kind may
 * follow from the trial before, and in a trial the tag tells what its sender made. */
static __rte_always_inline bool
rx_keep(const struct lane *l, struct rx_burst *b, struct rte_mbuf *m, const struct ep_wire_rx *rx,
	bool plain, const struct rx_mode mode)
{
	struct ep_wire_batch *w = &b->batch;
	const uint32_t i = b->count;
	const bool known = mode.responder
		? rx->probe.pt == EP_WIRE_PT_UP
		: rx->probe.pt == EP_WIRE_PT_ECHO || rx->probe.pt == EP_WIRE_PT_DOWN;

	if (unlikely(!known || rx->probe.flow >= l->space->flow_count))
		return false;
	rte_prefetch0(&l->acct.flow[rx->probe.flow]);
	b->mbuf[i] = m;
	b->plain[i] = plain;
	w->flow[i] = rx->probe.flow;
	w->seq[i] = rx->probe.seq;
	w->time_ns[i] = rx->probe.time_ns;
	w->ports[i] = (uint32_t)rx->sport << 16 | rx->dport;
	w->tag[i] = rx->tag;
	b->pt[i] = rx->probe.pt;
	b->count++;
	return true;
}

/* For the slow path, which may be done with it before or after this burst is freed. */
static __rte_noinline void
rx_slow(const struct lane *l, struct rte_mbuf *m)
{
	if (m->nb_segs != 1)
		return;
	rte_mbuf_refcnt_update(m, 1);
	if (rte_ring_enqueue(l->slow_rx, m) != 0)
		rte_mbuf_refcnt_update(m, -1);
}

static __rte_always_inline void
rx_parse(struct lane *l, struct rx_burst *b, struct rte_mbuf *m, const struct rx_mode mode)
{
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	struct ep_wire_rx rx, other;

	if (likely(m->nb_segs == 1 && ep_wire_plain(frame, m->data_len, mode.ipv6))) {
		ep_wire_plain_rx(frame, mode.ipv6, &rx);
		if (likely(rx_keep(l, b, m, &rx, true, mode)))
			return;
	} else if (rx_parse_other(m, &other) && rx_keep(l, b, m, &other, false, mode)) {
		return;
	}
	l->count.foreign++;
	if (mode.slow)
		rx_slow(l, m);
	if (mode.echo)
		b->free[b->free_count++] = m;
}

/* What the flow number says, and the tags that follow. */
static __rte_always_inline void
rx_flows(struct lane *l, struct rx_burst *b, const struct rx_mode mode)
{
	struct ep_wire_batch *w = &b->batch;

	for (uint32_t i = 0; i < ENGINE_RX_BURST; i++)
		b->port_index[i] = ep_sched_port_index(l->space, w->flow[i]);
	for (uint32_t i = 0; i < ENGINE_RX_BURST; i++)
		w->dport[i] = l->port_of[b->port_index[i]];
	for (uint32_t i = 0; i < b->count; i++)
		rte_prefetch0(&l->acct.port[b->port_index[i]]);
	for (uint32_t i = 0; i < ENGINE_RX_BURST; i++)
		b->flow_ports[i] = mode.responder
			? w->dport[i]
			: w->dport[i] << 16 | ep_sched_source_port(l->space, w->flow[i]);
	if (mode.responder)
		ep_wire_batch_blocks(w, EP_WIRE_PT_UP);
	else
		ep_wire_batch_blocks_of(w, b->pt);
	ep_wire_tag_burst(l->tagger, w->block, b->tag, b->count);
}

/* On request. A probe with another filler than its own is taken for one whose tag does not verify. */
static __rte_noinline void
rx_check_fillers(struct rx_burst *b)
{
	for (uint32_t i = 0; i < b->count; i++) {
		struct rte_mbuf *m = b->mbuf[i];
		struct ep_wire_rx rx;

		if (!rx_parse_other(m, &rx) || !ep_wire_filler_ok(&rx))
			b->tag[i] = ~b->batch.tag[i];
	}
}

/* A probe that does not verify is never ours; one of the trial before is late. */
static __rte_noinline void
rx_unverified(struct lane *l, const struct rx_burst *b, uint32_t i)
{
	uint32_t tag;

	if (l->old_tagger != NULL) {
		ep_wire_tag_burst(l->old_tagger, &b->batch.block[i], &tag, 1);
		if (tag == b->batch.tag[i]) {
			l->acct.port[b->port_index[i]].late++;
			l->count.late++;
			return;
		}
	}
	l->count.bad_tag++;
}

static __rte_always_inline void
rx_latency(struct lane *l, uint32_t port_index, uint32_t transit_ns, const struct rx_mode mode)
{
	/* The two ends may read the counter on two cores: a probe that seems to come before it left has taken no time. */
	const int32_t signed_ns = (int32_t)transit_ns;
	const uint32_t ns = signed_ns < 0 && signed_ns > -CLOCK_SKEW_NS ? 0 : transit_ns;
	const uint32_t block = port_index >> l->block_shift;

	if (mode.oneway)
		ep_hist_push(&l->hist_oneway[block], ns);
	if (mode.rtt)
		ep_hist_push(&l->hist_rtt[block], ns);
}

static __rte_always_inline void
rx_learn(struct lane *l, const struct rx_burst *b, uint32_t i, const struct rx_mode mode)
{
	struct ep_wire_rx rx;
	struct ep_wire_ip ip;

	rx_frame(b, i, &rx, mode);
	ep_wire_rx_src(&rx, &ip);
	if (ip.family == l->learn->family && learn_set(l->learn, b->batch.flow[i], &ip, rx.sport))
		l->count.learned++;
}

static __rte_always_inline void
rx_echo(struct lane *l, struct rx_burst *b, uint32_t i)
{
	const uint32_t k = b->echo_count;

	if (unlikely(l->silent)) {
		l->acct.port[b->port_index[i]].echo_refused++;
		l->count.echo_refused++;
		b->free[b->free_count++] = b->mbuf[i];
		return;
	}
	b->echo_mbuf[k] = b->mbuf[i];
	b->echo_index[k] = i;
	b->echo_count++;
}

/* The DUT changed a port, or the drain time is over. Returns whether the probe is done with. */
static __rte_always_inline bool
rx_set_aside(struct lane *l, const struct rx_burst *b, uint32_t i, const struct rx_mode mode)
{
	const uint32_t differ = b->batch.ports[i] ^ b->flow_ports[i];
	struct ep_acct_port *port = &l->acct.port[b->port_index[i]];

	/* A NAT may have changed the source. */
	if (unlikely((mode.responder ? differ & UINT16_MAX : differ) != 0)) {
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

/* Any probe that is not the next one of its flow. Returns whether it is a first copy. */
static __rte_noinline bool
rx_account_other(struct lane *l, const struct rx_burst *b, uint32_t i, bool *newest)
{
	const enum ep_acct_verdict v = ep_acct_push(&l->acct, b->batch.flow[i], b->port_index[i],
		b->batch.seq[i], b->mbuf[i]->pkt_len + EP_WIRE_FCS_BYTES);

	*newest = v == EP_ACCT_NEW;
	return v == EP_ACCT_NEW || v == EP_ACCT_REORDERED;
}

/* Account one verified probe. Returns whether it is a first copy. */
static __rte_always_inline bool
rx_account(
	struct lane *l, struct rx_burst *b, uint32_t i, uint32_t now_ns, const struct rx_mode mode)
{
	struct ep_acct_flow *flow = &l->acct.flow[b->batch.flow[i]];
	const uint32_t transit_ns = now_ns - b->batch.time_ns[i];
	const bool empty = flow->next == 0;
	bool newest = true;

	if (likely(ep_acct_is_next(flow, b->batch.seq[i])))
		ep_acct_push_next(flow, &l->acct.port[b->port_index[i]],
			b->mbuf[i]->pkt_len + EP_WIRE_FCS_BYTES);
	else if (!rx_account_other(l, b, i, &newest))
		return false;
	rx_latency(l, b->port_index[i], transit_ns, mode);
	if (likely(newest)) {
		ep_acct_jitter(flow, transit_ns, empty);
		if (mode.learn)
			rx_learn(l, b, i, mode);
	}
	return true;
}

static __rte_always_inline void
rx_judge(struct lane *l, struct rx_burst *b, uint32_t now_ns, const struct rx_mode mode)
{
	const uint32_t count = b->count;
	uint32_t aside = 0, again = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (unlikely(b->tag[i] != b->batch.tag[i])) {
			rx_unverified(l, b, i);
			aside++;
		} else if (rx_set_aside(l, b, i, mode)) {
			aside++;
		} else if (unlikely(!rx_account(l, b, i, now_ns, mode))) {
			again++;
		} else if (mode.echo) {
			rx_echo(l, b, i);
			continue;
		}
		if (mode.echo)
			b->free[b->free_count++] = b->mbuf[i];
	}
	l->count.received += count - aside;
	l->count.first += count - aside - again;
}

/* Answer: never more than one packet of the same size for one first copy (design section 5). */
static __rte_always_inline void
rx_send_echoes(struct lane *l, struct rx_burst *b, const struct rx_mode mode)
{
	uint32_t sent;

	if (b->echo_count == 0)
		return;
	ep_wire_batch_blocks(&b->batch, EP_WIRE_PT_ECHO);
	ep_wire_tag_burst(l->tagger, b->batch.block, b->tag, b->count);
	for (uint32_t k = 0; k < b->echo_count; k++) {
		const uint32_t i = b->echo_index[k];
		struct ep_wire_rx rx;

		rx_frame(b, i, &rx, mode);
		ep_wire_echo(rte_pktmbuf_mtod(b->mbuf[i], uint8_t *), &rx, b->tag[i]);
	}
	sent = lane_transmit(l, b->echo_mbuf, (uint16_t)b->echo_count);
	l->count.echo_accepted += sent;
	for (uint32_t k = sent; k < b->echo_count; k++) {
		l->acct.port[b->port_index[b->echo_index[k]]].echo_refused++;
		l->count.echo_refused++;
		b->free[b->free_count++] = b->echo_mbuf[k];
	}
}

/* Whole mbufs of one pool, as nearly every device gives them, go back in one piece; the test looks at their first lines only. */
static __rte_always_inline void
rx_free(const struct lane *l, struct rte_mbuf **mbuf, uint32_t count)
{
	struct rte_mempool *pool;
	uint64_t differ = 0;

	if (count == 0)
		return;
	pool = mbuf[0]->pool;
	for (uint32_t i = 0; i < count; i++) {
		uint64_t rearm;

		memcpy(&rearm, &mbuf[i]->rearm_data, sizeof(rearm));
		differ |= (rearm ^ l->mbuf_rearm) & l->mbuf_rearm_whole;
		differ |= (uintptr_t)mbuf[i]->pool ^ (uintptr_t)pool;
		differ |= mbuf[i]->ol_flags & (RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL);
	}
	if (likely(differ == 0))
		rte_mempool_put_bulk(pool, (void **)mbuf, count);
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

	n = rte_eth_rx_burst(l->port_id, l->rx_queue[l->rx_queue_next], in, ENGINE_RX_BURST);
	l->rx_queue_next = l->rx_queue_next + 1u == l->rx_queue_count ? 0 : l->rx_queue_next + 1;
	if (n == 0)
		return 0;
	/* After the burst was taken: the far end may have stamped its last packet a moment ago. */
	now_ns = lane_ns32(l, rte_rdtsc());
	b.count = 0;
	b.echo_count = 0;
	b.free_count = 0;
	for (uint16_t i = 0; i < n; i++)
		rte_prefetch0(rte_pktmbuf_mtod(in[i], void *));
	for (uint16_t i = 0; i < n; i++)
		rx_parse(l, &b, in[i], mode);
	if (likely(b.count > 0)) {
		rx_flows(l, &b, mode);
		/* One test a burst, always decided alike. */
		if (unlikely(l->verify_filler))
			rx_check_fillers(&b);
		rx_judge(l, &b, now_ns, mode);
		if (mode.echo)
			rx_send_echoes(l, &b, mode);
	}
	if (mode.echo)
		rx_free(l, b.free, b.free_count);
	else
		rx_free(l, in, n);
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
#define RX_FAMILY(f, six, slowly)                                                                  \
	RX_INSTANCE(rx_count##f, .ipv6 = six, .slow = slowly, .responder = true)                   \
	RX_INSTANCE(                                                                               \
		rx_count##f##_1, .ipv6 = six, .slow = slowly, .responder = true, .oneway = true)   \
	RX_INSTANCE(rx_learn##f, .ipv6 = six, .slow = slowly, .responder = true, .learn = true)    \
	RX_INSTANCE(rx_learn##f##_1, .ipv6 = six, .slow = slowly, .responder = true,               \
		.learn = true, .oneway = true)                                                     \
	RX_INSTANCE(rx_echo##f, .ipv6 = six, .slow = slowly, .responder = true, .learn = true,     \
		.echo = true)                                                                      \
	RX_INSTANCE(rx_echo##f##_1, .ipv6 = six, .slow = slowly, .responder = true, .learn = true, \
		.echo = true, .oneway = true)                                                      \
	RX_INSTANCE(rx_initiator##f, .ipv6 = six, .slow = slowly)                                  \
	RX_INSTANCE(rx_initiator##f##_1, .ipv6 = six, .slow = slowly, .oneway = true)              \
	RX_INSTANCE(rx_initiator##f##_rtt, .ipv6 = six, .slow = slowly, .rtt = true)               \
	static const struct rx_family rx_family##f = {                                             \
		.count = {rx_count##f, rx_count##f##_1},                                           \
		.learn = {rx_learn##f, rx_learn##f##_1},                                           \
		.echo = {rx_echo##f, rx_echo##f##_1},                                              \
		.initiator = {rx_initiator##f, rx_initiator##f##_1},                               \
		.rtt = rx_initiator##f##_rtt,                                                      \
	};

RX_FAMILY(4, false, false)
RX_FAMILY(6, true, false)
RX_FAMILY(4_slow, false, true)
RX_FAMILY(6_slow, true, true)

lane_rx_fn
HOT_NAME(rx_choose)(const struct rx_choice *c)
{
	const struct rx_family *plain = c->ipv6 ? &rx_family6 : &rx_family4;
	const struct rx_family *slow = c->ipv6 ? &rx_family6_slow : &rx_family4_slow;
	const struct rx_family *f = c->slow ? slow : plain;

	if (c->rtt)
		return f->rtt;
	if (!c->responder)
		return f->initiator[c->oneway];
	if (c->echo)
		return f->echo[c->oneway];
	return c->learn ? f->learn[c->oneway] : f->count[c->oneway];
}
