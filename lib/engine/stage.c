#include "engine_priv.h"

#include <rte_ring.h>

/* Append a packet that leaves the model to what waits for the receiver's ring. */
static void
stage_emit(struct stage *s, struct rte_mbuf *m)
{
	s->backlog[s->backlog_count++] = m;
}

/* A copy of its own: the two ends may write into what they get. */
static void
stage_emit_copy(struct stage *s, const struct rte_mbuf *m)
{
	struct rte_mbuf *copy = s->spare[--s->spare_count];

	memcpy(rte_pktmbuf_mtod(copy, void *), rte_pktmbuf_mtod(m, const void *), m->data_len);
	copy->data_len = m->data_len;
	copy->pkt_len = m->data_len;
	stage_emit(s, copy);
}

/* Take buffers for the duplicates of the next burst. Returns how many packets may be passed: each can cause two copies. */
static uint32_t
stage_refill(struct stage *s)
{
	const uint32_t missing = RTE_DIM(s->spare) - s->spare_count;

	if (missing > 0 && rte_pktmbuf_alloc_bulk(s->pool, &s->spare[s->spare_count], missing) == 0)
		s->spare_count += missing;
	return s->spare_count / 2;
}

static void
stage_pass(struct stage *s, struct rte_mbuf *m)
{
	struct ep_wire_rx rx;
	struct ep_path_out out;

	if (!ep_wire_parse(rte_pktmbuf_mtod(m, uint8_t *), m->data_len, &rx)) {
		stage_emit(s, m);
		return;
	}
	ep_path_pass(s->path, m, rx.probe.flow, rx.probe.seq, s->up ? rx.dport : rx.sport, &out);
	if (out.dropped)
		rte_pktmbuf_free(m);
	for (uint32_t i = 0; i < out.count; i++) {
		if (out.copy[i])
			stage_emit_copy(s, out.packet[i - 1]);
		else
			stage_emit(s, out.packet[i]);
	}
}

/* The trial ends: let go what was held back, one burst at a time. */
static void
stage_flush(struct stage *s, uint32_t most)
{
	for (uint32_t i = 0; i < most; i++) {
		bool copy = false;
		struct rte_mbuf *m = ep_path_flush(s->path, &copy);

		if (m == NULL)
			return;
		stage_emit(s, m);
		if (copy)
			stage_emit_copy(s, m);
	}
}

/* Hand over what waits, in order. Returns whether all of it went. */
static bool
stage_deliver(struct stage *s)
{
	const unsigned int n =
		rte_ring_enqueue_burst(s->to, (void **)s->backlog, s->backlog_count, NULL);

	s->backlog_count -= n;
	for (uint32_t i = 0; i < s->backlog_count && n > 0; i++)
		s->backlog[i] = s->backlog[i + n];
	return s->backlog_count == 0;
}

uint32_t
stage_run(struct stage *s)
{
	struct rte_mbuf *in[ENGINE_RX_BURST];
	uint32_t most, n;

	if (!stage_deliver(s))
		return 0;
	most = stage_refill(s);
	n = rte_ring_dequeue_burst(s->from, (void **)in, most, NULL);
	for (uint32_t i = 0; i < n; i++)
		stage_pass(s, in[i]);
	if (n == 0 && s->flushing)
		stage_flush(s, most);
	n += s->backlog_count;
	stage_deliver(s);
	return n;
}

void
stage_fini(struct stage *s)
{
	bool copy;
	struct rte_mbuf *m;

	while ((m = ep_path_flush(s->path, &copy)) != NULL)
		rte_pktmbuf_free(m);
	rte_pktmbuf_free_bulk(s->backlog, s->backlog_count);
	rte_pktmbuf_free_bulk(s->spare, s->spare_count);
	s->backlog_count = 0;
	s->spare_count = 0;
}
