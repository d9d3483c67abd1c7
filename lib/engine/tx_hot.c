#include "engine_priv.h"

#include <rte_ethdev.h>
#include <rte_pause.h>

/** A burst while it is being built. */
struct tx_burst {
	struct rte_mbuf *mbuf[EP_WIRE_BURST];
	const struct ep_wire_tmpl *tmpl[EP_WIRE_BURST];
	struct ep_wire_block block[EP_WIRE_BURST];
	uint64_t udp_sum[EP_WIRE_BURST];
	uint32_t tag[EP_WIRE_BURST];
};

uint16_t
lane_transmit(struct lane *l, struct rte_mbuf **mbuf, uint16_t count)
{
	uint16_t sent = rte_eth_tx_burst(l->port_id, l->tx_queue, mbuf, count);

	if (likely(sent == count))
		return sent;
	l->count.tx_short++;
	for (unsigned int i = 1; i < ENGINE_TX_TRIES && sent < count; i++) {
		rte_pause();
		sent += rte_eth_tx_burst(
			l->port_id, l->tx_queue, mbuf + sent, (uint16_t)(count - sent));
	}
	return sent;
}

/* Write packet i of the burst: everything but its tag. */
static __rte_always_inline void
tx_build(struct lane *l, struct tx_burst *b, uint32_t i, uint32_t now_ns, const bool down)
{
	const struct ep_wire_tmpl *tmpl = &l->tmpl[l->size_next];
	struct rte_mbuf *m = b->mbuf[i];
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	uint64_t seq;
	uint32_t flow = ep_sched_next(l->order, &l->cursor, &seq);

	if (down && l->list != NULL)
		flow = l->list[flow];

	const uint16_t dport = l->port_of[ep_sched_port_index(l->space, flow)];
	const struct ep_wire_probe probe = {
		.flow = flow,
		.seq = (uint32_t)seq,
		.time_ns = now_ns,
		.orig_dport = dport,
		.pt = down ? EP_WIRE_PT_DOWN : EP_WIRE_PT_UP,
		.first = seq == 0,
	};

	m->data_len = tmpl->len;
	m->pkt_len = tmpl->len;
	b->tmpl[i] = tmpl;
	if (down) {
		struct ep_wire_ip ip;
		uint16_t port;

		/* Known: the list holds learned flows only, and a flow is never forgotten. */
		learn_get(l->learn, flow, &ip, &port);
		b->udp_sum[i] =
			ep_wire_write_to(tmpl, frame, &ip, dport, port, &probe, &b->block[i]);
	} else {
		const uint16_t sport = ep_sched_source_port(l->space, flow);

		b->udp_sum[i] = ep_wire_write(tmpl, frame, sport, dport, &probe, &b->block[i]);
	}
	l->size_next = l->size_next + 1 == l->size_count ? 0 : l->size_next + 1;
}

static __rte_always_inline void
tx_offload(const struct lane *l, const struct tx_burst *b, uint32_t i)
{
	struct rte_mbuf *m = b->mbuf[i];

	m->ol_flags |= l->ol_flags;
	m->l2_len = RTE_ETHER_HDR_LEN;
	m->l3_len = (uint16_t)(b->tmpl[i]->header_bytes - RTE_ETHER_HDR_LEN - 8);
}

/* Give back what the NIC did not take: the next burst builds the same probes again, so that the NIC's probes are exactly the
 * first ones of the enumeration. */
static void
tx_undo(struct lane *l, struct tx_burst *b, uint32_t sent, uint32_t count)
{
	const uint32_t refused = count - sent;

	rte_pktmbuf_free_bulk(&b->mbuf[sent], refused);
	l->size_next = (uint32_t)(b->tmpl[sent] - l->tmpl);
	ep_sched_rewind(&l->cursor, refused);
	ep_pace_return(&l->pace, refused);
}

/* `down` and `offload` are literals in every caller. */
static __rte_always_inline uint32_t
tx_body(struct lane *l, uint64_t now_cycles, const bool down, const bool offload)
{
	const uint32_t n = ep_pace_take(&l->pace, now_cycles);
	const uint32_t now_ns = lane_ns32(l, now_cycles);
	struct tx_burst b;
	uint32_t sent;

	l->count.not_sent = l->pace.skipped_count;
	if (n == 0)
		return 0;
	if (unlikely(rte_pktmbuf_alloc_bulk(l->pool, b.mbuf, n) != 0)) {
		ep_pace_return(&l->pace, n);
		l->count.tx_short++;
		return 0;
	}
	for (uint32_t i = 0; i < n; i++)
		tx_build(l, &b, i, now_ns, down);
	ep_wire_tag_burst(l->tagger, b.block, b.tag, n);
	for (uint32_t i = 0; i < n; i++) {
		ep_wire_finish(
			b.tmpl[i], rte_pktmbuf_mtod(b.mbuf[i], uint8_t *), b.tag[i], b.udp_sum[i]);
		if (offload)
			tx_offload(l, &b, i);
	}
	sent = lane_transmit(l, b.mbuf, (uint16_t)n);
	if (unlikely(sent < n))
		tx_undo(l, &b, sent, n);
	l->count.accepted += sent;
	if (likely(sent > 0)) {
		l->count.last_tx_cycles = now_cycles;
		depart_push(&l->depart, now_cycles, sent, l->clock_ns_mult);
	}
	return n;
}

static uint32_t
tx_up(struct lane *l, uint64_t now_cycles)
{
	return tx_body(l, now_cycles, false, false);
}

static uint32_t
tx_up_offload(struct lane *l, uint64_t now_cycles)
{
	return tx_body(l, now_cycles, false, true);
}

static uint32_t
tx_down(struct lane *l, uint64_t now_cycles)
{
	return tx_body(l, now_cycles, true, false);
}

static uint32_t
tx_down_offload(struct lane *l, uint64_t now_cycles)
{
	return tx_body(l, now_cycles, true, true);
}

lane_tx_fn
tx_choose(bool down, bool offload)
{
	if (down)
		return offload ? tx_down_offload : tx_down;
	return offload ? tx_up_offload : tx_up;
}
