#include "hot.h"

/*
 * A burst is planned field by field (flows, ports, stamps, tags, checksums), an array each, so that the compiler works on
 * several probes at once, and written to its frames at the end, frame by frame.
 */

/* What one instance of the sending body does; literals in every caller, so that no instance tests them at run time. */
struct tx_mode {
	bool ipv6;
	bool down;  /* The responder's stream, to learned addresses. */
	bool plain; /* One size without filler, checksums in software, no VLAN tag. */
	bool many;  /* Up, plain: several addresses; without plain that is asked at run time. */
	bool stamp; /* Each probe has a time stamp of its own. */
};

/** A burst while it is being built. */
struct tx_burst {
	struct rte_mbuf *mbuf[EP_WIRE_BURST];
	const struct ep_wire_tmpl *tmpl[EP_WIRE_BURST]; /* Not plain only. */
	struct ep_wire_ip addr[EP_WIRE_BURST]; /* Other than the template's; IPv4: batch.addr. */
	struct ep_wire_batch batch;
};

static_assert(offsetof(struct rte_mbuf, ol_flags) == offsetof(struct rte_mbuf, rearm_data) + 8,
	"written in one piece");
static_assert(offsetof(struct rte_mbuf, data_len) == offsetof(struct rte_mbuf, pkt_len) + 4 &&
		offsetof(struct rte_mbuf, vlan_tci) == offsetof(struct rte_mbuf, pkt_len) + 6,
	"written in one piece");

/* What rte_pktmbuf_alloc() sets, of one segment and without its second cache line, which is clean in the pool. */
static __rte_always_inline void
tx_mbuf(struct rte_mbuf *m, const uint64_t rearm[2], uint16_t len)
{
	const uint64_t lens = (uint64_t)len << 32 | len;

	memcpy(&m->rearm_data, rearm, 16);
	memcpy(&m->pkt_len, &lens, sizeof(lens));
}

/* What the heads of a lane's frames are made from. A copy: for all that the compiler knows, each frame that is written may change
 * the lane. */
struct tx_head {
	uint64_t rearm[2];
	const struct ep_wire_tmpl *tmpl; /* Of the only size. */
	uint16_t len;
	uint32_t frame_offset;
};

static __rte_always_inline struct tx_head
tx_head(const struct lane *l)
{
	return (struct tx_head){
		.rearm = {l->mbuf_rearm, l->ol_flags},
		.tmpl = l->tmpl,
		.len = l->tmpl->len,
		.frame_offset = l->frame_offset,
	};
}

/* The mbuf and the part of the frame that is the same for all of its size. */
static __rte_always_inline void
tx_write_head(
	const struct tx_head *h, const struct tx_burst *b, uint32_t i, const struct tx_mode mode)
{
	const struct ep_wire_tmpl *tmpl = mode.plain ? h->tmpl : b->tmpl[i];
	uint8_t *frame = (uint8_t *)b->mbuf[i] + h->frame_offset;

	tx_mbuf(b->mbuf[i], h->rearm, mode.plain ? h->len : tmpl->len);
	ep_wire_batch_write_head(tmpl, frame, mode.ipv6);
}

/* Where a probe's stamp is its own: a quarter of the burst's, and the frames' heads. Reading the counter takes long, but not much
 * of the core, which works on what lies before and behind it meanwhile: so the quarters lie among the steps that ask for no stamp. */
static __rte_always_inline void
tx_stamps(const struct lane *l, const struct tx_head *h, struct tx_burst *b, uint32_t n,
	uint32_t quarter, const struct tx_mode mode)
{
	const uint32_t first = quarter * (EP_WIRE_BURST / 4);
	const uint32_t end = RTE_MIN(n, first + EP_WIRE_BURST / 4);

	for (uint32_t i = first; mode.stamp && i < end; i++) {
		b->batch.time_ns[i] = lane_ns32(l, rte_rdtsc());
		tx_write_head(h, b, i, mode);
	}
}

static __rte_always_inline void
tx_flows(struct lane *l, const struct tx_head *h, struct tx_burst *b, uint32_t n,
	const struct tx_mode mode)
{
	struct ep_wire_batch *w = &b->batch;
	uint32_t port_index[EP_WIRE_BURST];

	tx_stamps(l, h, b, n, 0, mode);
	w->marker = l->cursor.seq == 0 ? EP_WIRE_RTP_MARKER : 0;
	ep_sched_next_burst(l->order, &l->cursor, n, w->flow, w->seq);
	if (mode.down && l->list != NULL)
		for (uint32_t i = 0; i < n; i++)
			w->flow[i] = l->list[w->flow[i]];
	tx_stamps(l, h, b, n, 1, mode);
	for (uint32_t i = 0; i < EP_WIRE_BURST; i++)
		port_index[i] = ep_sched_port_index(l->space, w->flow[i]);
	tx_stamps(l, h, b, n, 2, mode);
	if (likely(l->ports_in_row)) {
		const uint32_t first = l->port_of[0];

		for (uint32_t i = 0; i < EP_WIRE_BURST; i++)
			w->dport[i] = first + port_index[i];
	} else {
		for (uint32_t i = 0; i < EP_WIRE_BURST; i++)
			w->dport[i] = l->port_of[port_index[i]];
	}
	if (!mode.down)
		for (uint32_t i = 0; i < EP_WIRE_BURST; i++)
			w->ports[i] = (uint32_t)ep_sched_source_port(l->space, w->flow[i]) << 16 |
				w->dport[i];
	tx_stamps(l, h, b, n, 3, mode);
}

/* Known: the list holds learned flows only, and a flow is never forgotten. */
static __rte_always_inline void
tx_learned(struct lane *l, struct tx_burst *b, uint32_t n, const struct tx_mode mode)
{
	struct ep_wire_batch *w = &b->batch;

	for (uint32_t i = 0; i < n; i++) {
		uint16_t port;

		learn_get(l->learn, w->flow[i], &b->addr[i], &port);
		w->ports[i] = w->dport[i] << 16 | port;
		if (!mode.ipv6)
			w->addr[i] = ep_wire_get32(b->addr[i].bytes_be);
	}
}

/* Initiator: its addresses lie in a row, and differ in their last 32 bits only. */
static __rte_always_inline void
tx_sources(const struct lane *l, struct tx_burst *b, uint32_t n, const struct tx_mode mode)
{
	for (uint32_t i = 0; i < EP_WIRE_BURST; i++)
		b->batch.addr[i] = l->address_base + ep_sched_address(l->space, b->batch.flow[i]);
	if (!mode.ipv6)
		return;
	for (uint32_t i = 0; i < n; i++) {
		memcpy(b->addr[i].bytes_be, l->tmpl->header + EP_WIRE_IPV6_SRC, 16);
		ep_wire_put32(b->addr[i].bytes_be + 12, b->batch.addr[i]);
	}
}

static __rte_always_inline void
tx_sizes(struct lane *l, struct tx_burst *b, uint32_t n)
{
	uint32_t next = l->size_next;

	for (uint32_t i = 0; i < n; i++) {
		b->tmpl[i] = &l->tmpl[next];
		next = next + 1 == l->size_count ? 0 : next + 1;
	}
	l->size_next = next;
}

/* What the addresses change of the checksum's constant part: all templates of a lane have the same. */
static __rte_always_inline void
tx_address_sums(const struct lane *l, struct tx_burst *b, uint32_t n, const struct tx_mode mode)
{
	const uint8_t *header = l->tmpl->header;
	struct ep_wire_batch *w = &b->batch;

	if (mode.ipv6) {
		const uint64_t before = ep_wire_addr_sum(
			header + (mode.down ? EP_WIRE_IPV6_DST : EP_WIRE_IPV6_SRC), EP_WIRE_IPV6);

		for (uint32_t i = 0; i < n; i++)
			w->more[i] += ep_wire_sum_change(
				before, ep_wire_addr_sum(b->addr[i].bytes_be, EP_WIRE_IPV6));
	} else {
		const uint32_t before =
			ep_wire_get32(header + (mode.down ? EP_WIRE_IPV4_DST : EP_WIRE_IPV4_SRC));
		const uint32_t change = UINT16_MAX - ep_wire_fold(before);

		for (uint32_t i = 0; i < EP_WIRE_BURST; i++)
			w->more[i] += (w->addr[i] >> 16) + (w->addr[i] & UINT16_MAX) + change;
	}
}

static __rte_always_inline void
tx_checks(const struct lane *l, struct tx_burst *b, uint32_t n, uint8_t pt, bool readdressed,
	const struct tx_mode mode)
{
	struct ep_wire_batch *w = &b->batch;

	if (mode.plain && !mode.down && !mode.many) {
		ep_wire_batch_check(w, l->tmpl->udp_sum, pt);
		return;
	}
	for (uint32_t i = 0; i < EP_WIRE_BURST; i++)
		w->more[i] = ep_wire_fold(l->tmpl->udp_sum);
	if (!mode.plain)
		for (uint32_t i = 0; i < n; i++)
			w->more[i] = ep_wire_fold(b->tmpl[i]->udp_sum);
	if (readdressed)
		tx_address_sums(l, b, n, mode);
	if (!mode.plain && l->ol_flags != 0) {
		ep_wire_batch_check_offload(w);
		return;
	}
	if (!mode.plain)
		for (uint32_t i = 0; i < n; i++)
			w->more[i] += ep_wire_batch_filler_sum(w, i, b->tmpl[i]);
	ep_wire_batch_check_more(w, pt);
}

static __rte_always_inline void
tx_offload(const struct lane *l, struct tx_burst *b, uint32_t n)
{
	const uint32_t tag_bytes = l->vlan_be != 0 ? ENGINE_VLAN_BYTES : 0;

	for (uint32_t i = 0; i < n; i++) {
		b->mbuf[i]->tx_offload = 0;
		b->mbuf[i]->l2_len = RTE_ETHER_HDR_LEN + tag_bytes;
		b->mbuf[i]->l3_len = (uint16_t)(l->tmpl->header_bytes - RTE_ETHER_HDR_LEN - 8);
	}
}

/* Into the headroom: the MACs move to the front, the tag takes their place (802.1Q). */
static __rte_always_inline void
tx_vlan(const struct lane *l, struct tx_burst *b, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct rte_mbuf *m = b->mbuf[i];
		uint8_t *frame = rte_pktmbuf_mtod_offset(m, uint8_t *, -ENGINE_VLAN_BYTES);
		uint8_t macs[2 * RTE_ETHER_ADDR_LEN];

		m->data_off -= ENGINE_VLAN_BYTES;
		m->data_len += ENGINE_VLAN_BYTES;
		m->pkt_len += ENGINE_VLAN_BYTES;
		memcpy(macs, frame + ENGINE_VLAN_BYTES, sizeof(macs));
		memcpy(frame, macs, sizeof(macs));
		memcpy(frame + sizeof(macs), &l->vlan_be, sizeof(l->vlan_be));
	}
}

static __rte_always_inline void
tx_finish(const struct lane *l, struct tx_burst *b, uint32_t n, bool readdressed,
	const struct tx_mode mode)
{
	struct ep_wire_batch *w = &b->batch;

	for (uint32_t i = 0; i < EP_WIRE_BURST; i++)
		w->udp_bytes[i] = EP_WIRE_UDP_BYTES + EP_WIRE_PROBE_BYTES;
	if (!mode.plain)
		for (uint32_t i = 0; i < n; i++)
			w->udp_bytes[i] += b->tmpl[i]->filler_bytes;
	ep_wire_batch_finish(w);
	if (!readdressed || mode.ipv6)
		return;

	const uint32_t offset = mode.down ? EP_WIRE_IPV4_DST : EP_WIRE_IPV4_SRC;
	const uint32_t ip_sum = ep_wire_tmpl_ip_sum(l->tmpl, offset);

	for (uint32_t i = 0; i < EP_WIRE_BURST; i++)
		w->ip_sum[i] = ip_sum;
	if (!mode.plain)
		for (uint32_t i = 0; i < n; i++)
			w->ip_sum[i] = ep_wire_tmpl_ip_sum(b->tmpl[i], offset);
	ep_wire_batch_readdress(w, l->tmpl->checksum);
}

static __rte_always_inline void
tx_write(const struct lane *l, const struct tx_head *h, struct tx_burst *b, uint32_t n, uint8_t pt,
	bool readdressed, const struct tx_mode mode)
{
	const struct ep_wire_batch *w = &b->batch;

	for (uint32_t i = 0; i < n; i++) {
		uint8_t *frame = (uint8_t *)b->mbuf[i] + h->frame_offset;

		if (!mode.stamp)
			tx_write_head(h, b, i, mode);
		ep_wire_batch_write_tail(w, i, frame, pt, mode.ipv6);
		if (!mode.plain)
			ep_wire_batch_write_filler(w, i, b->tmpl[i], frame);
		if (readdressed && mode.ipv6)
			memcpy(frame + (mode.down ? EP_WIRE_IPV6_DST : EP_WIRE_IPV6_SRC),
				b->addr[i].bytes_be, 16);
		else if (readdressed)
			ep_wire_batch_write_addr(
				w, i, frame, mode.down ? EP_WIRE_IPV4_DST : EP_WIRE_IPV4_SRC);
	}
	if (unlikely(w->marker != 0))
		for (uint32_t i = 0; i < n; i++)
			ep_wire_batch_mark(
				w, i, (uint8_t *)b->mbuf[i] + h->frame_offset, mode.ipv6);
	if (!mode.plain && l->ol_flags != 0)
		tx_offload(l, b, n);
	if (!mode.plain && unlikely(l->vlan_be != 0))
		tx_vlan(l, b, n);
}

/* Give back what the NIC did not take: the next burst builds the same probes again, so that the NIC's probes are exactly the
 * first ones of the enumeration. */
static void
tx_undo(struct lane *l, struct tx_burst *b, const struct tx_mode mode, uint32_t sent,
	uint32_t count)
{
	const uint32_t refused = count - sent;

	rte_pktmbuf_free_bulk(&b->mbuf[sent], refused);
	for (uint32_t i = 0; !mode.plain && i < refused; i++)
		l->size_next = (l->size_next == 0 ? l->size_count : l->size_next) - 1;
	ep_sched_rewind(&l->cursor, refused);
	ep_pace_return(&l->pace, refused);
}

static __rte_always_inline void
tx_build(struct lane *l, struct tx_burst *b, uint32_t n, uint64_t now_cycles,
	const struct tx_mode mode)
{
	const uint8_t pt = mode.down ? EP_WIRE_PT_DOWN : EP_WIRE_PT_UP;
	const bool readdressed = mode.down || mode.many || (!mode.plain && l->readdress);
	const uint32_t now_ns = lane_ns32(l, now_cycles);
	const struct tx_head head = tx_head(l);

	if (!mode.plain)
		tx_sizes(l, b, n);
	tx_flows(l, &head, b, n, mode);
	if (mode.down)
		tx_learned(l, b, n, mode);
	else if (readdressed)
		tx_sources(l, b, n, mode);
	for (uint32_t i = 0; !mode.stamp && i < EP_WIRE_BURST; i++)
		b->batch.time_ns[i] = now_ns;
	ep_wire_batch_blocks(&b->batch, pt);
	ep_wire_tag_burst(l->tagger, b->batch.block, b->batch.tag, n);
	tx_checks(l, b, n, pt, readdressed, mode);
	tx_finish(l, b, n, readdressed, mode);
	tx_write(l, &head, b, n, pt, readdressed, mode);
}

static __rte_always_inline uint32_t
tx_body(struct lane *l, uint64_t now_cycles, const struct tx_mode mode)
{
	const uint32_t n = ep_pace_take(&l->pace, now_cycles);
	struct tx_burst b;
	uint32_t sent;

	l->count.not_sent = l->pace.skipped_count;
	if (n == 0)
		return 0;
	if (unlikely(rte_mempool_get_bulk(l->pool, (void **)b.mbuf, n) != 0)) {
		ep_pace_return(&l->pace, n);
		l->count.tx_short++;
		return 0;
	}
	tx_build(l, &b, n, now_cycles, mode);
	sent = lane_transmit(l, b.mbuf, (uint16_t)n);
	if (unlikely(sent < n))
		tx_undo(l, &b, mode, sent, n);
	l->count.accepted += sent;
	if (likely(sent > 0)) {
		l->count.last_tx_cycles = now_cycles;
		depart_push(&l->depart, now_cycles, sent, l->clock_ns_mult);
	}
	return n;
}

#define TX_INSTANCE(name, ...)                                                \
	static uint32_t name(struct lane *l, uint64_t now_cycles)             \
	{                                                                     \
		return tx_body(l, now_cycles, (struct tx_mode){__VA_ARGS__}); \
	}

TX_INSTANCE(tx_up_plain, .plain = true)
TX_INSTANCE(tx_up_plain_stamp, .plain = true, .stamp = true)
TX_INSTANCE(tx_up_many, .plain = true, .many = true)
TX_INSTANCE(tx_up_many_stamp, .plain = true, .many = true, .stamp = true)
TX_INSTANCE(tx_up, .plain = false)
TX_INSTANCE(tx_up_stamp, .stamp = true)
TX_INSTANCE(tx_up6, .ipv6 = true)
TX_INSTANCE(tx_up6_stamp, .ipv6 = true, .stamp = true)
TX_INSTANCE(tx_down_plain, .down = true, .plain = true)
TX_INSTANCE(tx_down_plain_stamp, .down = true, .plain = true, .stamp = true)
TX_INSTANCE(tx_down, .down = true)
TX_INSTANCE(tx_down_stamp, .down = true, .stamp = true)
TX_INSTANCE(tx_down6, .down = true, .ipv6 = true)
TX_INSTANCE(tx_down6_stamp, .down = true, .ipv6 = true, .stamp = true)

lane_tx_fn
HOT_NAME(tx_choose)(const struct tx_choice *c)
{
	static const lane_tx_fn plain[2][2] = {
		{tx_up_plain, tx_up_plain_stamp}, {tx_down_plain, tx_down_plain_stamp}};
	static const lane_tx_fn many[2] = {tx_up_many, tx_up_many_stamp};
	static const lane_tx_fn other[2][2][2] = {
		{{tx_up, tx_up_stamp}, {tx_down, tx_down_stamp}},
		{{tx_up6, tx_up6_stamp}, {tx_down6, tx_down6_stamp}},
	};

	if (c->plain && !c->ipv6 && !c->down && c->many)
		return many[c->stamp];
	if (c->plain && !c->ipv6)
		return plain[c->down][c->stamp];
	return other[c->ipv6][c->down][c->stamp];
}
