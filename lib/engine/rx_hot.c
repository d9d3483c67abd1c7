#include "engine_priv.h"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_prefetch.h>

/* More than two cores' counters of one machine ever differ by. */
#define CLOCK_SKEW_NS 1000000

/** What one instance of the receive body does; literals in every caller, so that no instance tests them at run time. */
struct rx_mode {
	bool responder; /* Learns addresses; the range's port is the destination. */
	bool echo;      /* Responder: answers each first copy. */
	bool oneway;    /* Both ends on one clock: one-way latency. */
	bool rtt;       /* Initiator: echoes carry the original's send time. */
	bool filler;    /* Check the filler. */
};

/** The probes of a burst between parsing and the account. */
struct rx_burst {
	uint32_t count;
	struct rte_mbuf *mbuf[ENGINE_RX_BURST];
	struct ep_wire_rx rx[ENGINE_RX_BURST];
	uint32_t port_index[ENGINE_RX_BURST];
	struct ep_wire_block block[ENGINE_RX_BURST];
	uint32_t tag[ENGINE_RX_BURST];
	/* Echoes, in the order of arrival. */
	uint32_t echo_count;
	struct rte_mbuf *echo_mbuf[ENGINE_RX_BURST];
	struct ep_wire_rx *echo_rx[ENGINE_RX_BURST];
	uint32_t echo_port_index[ENGINE_RX_BURST];
	struct ep_wire_block echo_block[ENGINE_RX_BURST];
	/* To be freed. */
	uint32_t free_count;
	struct rte_mbuf *free[ENGINE_RX_BURST];
};

/* Keep what has the shape of a probe of this direction; the rest is foreign. Echo or down stream is not asked here: one kind may
 * follow from the trial before, and in a trial the tag tells what its sender made. */
static __rte_always_inline void
rx_parse(struct lane *l, struct rx_burst *b, struct rte_mbuf *m, const bool responder)
{
	struct ep_wire_rx *rx = &b->rx[b->count];

	if (unlikely(m->nb_segs != 1 ||
		    !ep_wire_parse(rte_pktmbuf_mtod(m, uint8_t *), m->data_len, rx) ||
		    (rx->probe.pt == EP_WIRE_PT_UP) != responder ||
		    rx->probe.flow >= l->space->flow_count)) {
		l->count.foreign++;
		b->free[b->free_count++] = m;
		return;
	}
	b->port_index[b->count] = ep_sched_port_index(l->space, rx->probe.flow);
	rx->probe.orig_dport = l->port_of[b->port_index[b->count]];
	ep_wire_block_set(&b->block[b->count], &rx->probe);
	/* The account below touches these two lines for each probe, in random order. */
	rte_prefetch0(&l->acct.flow[rx->probe.flow]);
	rte_prefetch0(&l->acct.port[b->port_index[b->count]]);
	b->mbuf[b->count++] = m;
}

/* A probe that does not verify is never ours; one of the trial before is late. */
static void
rx_unverified(struct lane *l, const struct rx_burst *b, uint32_t i)
{
	uint32_t tag;

	if (l->old_tagger != NULL) {
		ep_wire_tag_burst(l->old_tagger, &b->block[i], &tag, 1);
		if (tag == b->rx[i].tag) {
			l->acct.port[b->port_index[i]].late++;
			l->count.late++;
			return;
		}
	}
	l->count.bad_tag++;
}

/* Whether the probe arrived with the ports that its flow has at this end. */
static __rte_always_inline bool
rx_port_ok(const struct lane *l, const struct ep_wire_rx *rx, const bool responder)
{
	if (responder)
		return rx->dport == rx->probe.orig_dport;
	return rx->sport == rx->probe.orig_dport &&
		rx->dport == ep_sched_source_port(l->space, rx->probe.flow);
}

static __rte_always_inline void
rx_latency(struct lane *l, const struct ep_wire_rx *rx, uint32_t port_index, uint32_t now_ns,
	enum ep_acct_verdict v, const struct rx_mode mode)
{
	/* The two ends may read the counter on two cores: a probe that seems to come before it left has taken no time. */
	const int32_t signed_ns = (int32_t)(now_ns - rx->probe.time_ns);
	const uint32_t transit_ns =
		signed_ns < 0 && signed_ns > -CLOCK_SKEW_NS ? 0 : (uint32_t)signed_ns;
	const uint32_t block = port_index >> l->block_shift;

	if (v != EP_ACCT_NEW && v != EP_ACCT_REORDERED)
		return;
	if (mode.oneway)
		ep_hist_push(&l->hist_oneway[block], transit_ns);
	if (mode.rtt)
		ep_hist_push(&l->hist_rtt[block], transit_ns);
}

static __rte_always_inline void
rx_learn(struct lane *l, const struct ep_wire_rx *rx)
{
	struct ep_wire_ip ip;

	ep_wire_rx_src(rx, &ip);
	if (ip.family == l->learn->family && learn_set(l->learn, rx->probe.flow, &ip, rx->sport))
		l->count.learned++;
}

static __rte_always_inline void
rx_echo(struct rx_burst *b, uint32_t i)
{
	const uint32_t k = b->echo_count++;

	ep_wire_echo(rte_pktmbuf_mtod(b->mbuf[i], uint8_t *), &b->rx[i], b->rx[i].probe.orig_dport,
		&b->echo_block[k]);
	b->echo_mbuf[k] = b->mbuf[i];
	b->echo_rx[k] = &b->rx[i];
	b->echo_port_index[k] = b->port_index[i];
}

/* Account one verified probe. Returns whether its mbuf was kept, as an echo. */
static __rte_always_inline bool
rx_account(
	struct lane *l, struct rx_burst *b, uint32_t i, uint32_t now_ns, const struct rx_mode mode)
{
	struct ep_wire_rx *rx = &b->rx[i];
	const uint32_t port_index = b->port_index[i];
	struct ep_acct_flow *flow = &l->acct.flow[rx->probe.flow];
	enum ep_acct_verdict v;
	bool empty;

	if (unlikely(!rx_port_ok(l, rx, mode.responder))) {
		l->acct.port[port_index].wrong_port++;
		l->count.wrong_port++;
		return false;
	}
	if (unlikely(l->late)) {
		l->acct.port[port_index].late++;
		l->count.late++;
		return false;
	}
	empty = flow->next == 0;
	v = ep_acct_push(&l->acct, rx->probe.flow, port_index, rx->probe.seq,
		b->mbuf[i]->pkt_len + EP_WIRE_FCS_BYTES);
	l->count.received++;
	rx_latency(l, rx, port_index, now_ns, v, mode);
	if (v != EP_ACCT_NEW && v != EP_ACCT_REORDERED)
		return false;
	l->count.first++;
	if (v == EP_ACCT_NEW) {
		ep_acct_jitter(flow, now_ns - rx->probe.time_ns, empty);
		if (mode.responder)
			rx_learn(l, rx);
	}
	if (!mode.echo)
		return false;
	if (unlikely(l->silent)) {
		l->acct.port[port_index].echo_refused++;
		l->count.echo_refused++;
		return false;
	}
	rx_echo(b, i);
	return true;
}

/* Answer: never more than one packet of the same size for one first copy (design section 5). */
static __rte_always_inline void
rx_send_echoes(struct lane *l, struct rx_burst *b)
{
	uint32_t sent;

	if (b->echo_count == 0)
		return;
	ep_wire_tag_burst(l->tagger, b->echo_block, b->tag, b->echo_count);
	for (uint32_t k = 0; k < b->echo_count; k++)
		ep_wire_echo_finish(b->echo_rx[k], b->tag[k]);
	sent = lane_transmit(l, b->echo_mbuf, (uint16_t)b->echo_count);
	l->count.echo_accepted += sent;
	for (uint32_t k = sent; k < b->echo_count; k++) {
		l->acct.port[b->echo_port_index[k]].echo_refused++;
		l->count.echo_refused++;
		b->free[b->free_count++] = b->echo_mbuf[k];
	}
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
		rx_parse(l, &b, in[i], mode.responder);
	ep_wire_tag_burst(l->tagger, b.block, b.tag, b.count);
	for (uint32_t i = 0; i < b.count; i++) {
		if (unlikely(b.tag[i] != b.rx[i].tag ||
			    (mode.filler && !ep_wire_filler_ok(&b.rx[i]))))
			rx_unverified(l, &b, i);
		else if (rx_account(l, &b, i, now_ns, mode))
			continue;
		b.free[b.free_count++] = b.mbuf[i];
	}
	if (mode.echo)
		rx_send_echoes(l, &b);
	rte_pktmbuf_free_bulk(b.free, b.free_count);
	return n;
}

/* One instance a meaningful combination: initiators never echo, responders never time a round trip. */
#define RX_INSTANCE(name, ...)                                    \
	static uint32_t name(struct lane *l)                      \
	{                                                         \
		return rx_body(l, (struct rx_mode){__VA_ARGS__}); \
	}

RX_INSTANCE(rx_responder, .responder = true)
RX_INSTANCE(rx_responder_filler, .responder = true, .filler = true)
RX_INSTANCE(rx_responder_oneway, .responder = true, .oneway = true)
RX_INSTANCE(rx_responder_oneway_filler, .responder = true, .oneway = true, .filler = true)
RX_INSTANCE(rx_responder_echo, .responder = true, .echo = true)
RX_INSTANCE(rx_responder_echo_filler, .responder = true, .echo = true, .filler = true)
RX_INSTANCE(rx_responder_echo_oneway, .responder = true, .echo = true, .oneway = true)
RX_INSTANCE(rx_responder_echo_oneway_filler, .responder = true, .echo = true, .oneway = true,
	.filler = true)
RX_INSTANCE(rx_initiator, .responder = false)
RX_INSTANCE(rx_initiator_filler, .filler = true)
RX_INSTANCE(rx_initiator_oneway, .oneway = true)
RX_INSTANCE(rx_initiator_oneway_filler, .oneway = true, .filler = true)
RX_INSTANCE(rx_initiator_rtt, .rtt = true)
RX_INSTANCE(rx_initiator_rtt_filler, .rtt = true, .filler = true)

lane_rx_fn
rx_choose(bool responder, bool echo, bool oneway, bool rtt, bool filler)
{
	static const lane_rx_fn responders[2][2][2] = {
		{{rx_responder, rx_responder_filler},
			{rx_responder_oneway, rx_responder_oneway_filler}},
		{{rx_responder_echo, rx_responder_echo_filler},
			{rx_responder_echo_oneway, rx_responder_echo_oneway_filler}},
	};
	static const lane_rx_fn initiators[2][2] = {
		{rx_initiator, rx_initiator_filler},
		{rx_initiator_oneway, rx_initiator_oneway_filler},
	};

	if (responder)
		return responders[echo][oneway][filler];
	if (rtt)
		return filler ? rx_initiator_rtt_filler : rx_initiator_rtt;
	return initiators[oneway][filler];
}
