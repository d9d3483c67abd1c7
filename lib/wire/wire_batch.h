#pragma once

/*
 * Bodies of the hot-path functions of ep_wire.h that build probes by the burst. Included by ep_wire.h only.
 *
 * One array a field, and loops of a constant length without a branch: the compiler makes vectors of them. What such a loop
 * computes for entries beyond the burst is of no meaning and never used.
 *
 * Checksums of a burst are 32-bit sums of 16-bit words: at most 16 of them are below 2^20, and two folds leave 16 bits.
 */

#include "wire_inline.h"

/* Two folds of a sum below 2^31; only 0 gives 0. */
static inline uint32_t
ep_wire_fold32(uint32_t sum)
{
	sum = (sum & UINT16_MAX) + (sum >> 16);
	return (sum & UINT16_MAX) + (sum >> 16);
}

/* What makes `before` (a folded sum) into `after` when it is added: positive, folded. */
static inline uint32_t
ep_wire_sum_change(uint64_t before, uint64_t after)
{
	return ep_wire_fold32((uint32_t)ep_wire_fold(after) + UINT16_MAX - ep_wire_fold(before));
}

static inline void
ep_wire_batch_blocks(struct ep_wire_batch *b, uint8_t pt)
{
	for (uint32_t i = 0; i < EP_WIRE_BURST; i++) {
		uint32_t *const word_be = b->block[i].word_be;

		word_be[0] = htobe32(b->flow[i]);
		word_be[1] = htobe32(b->seq[i]);
		word_be[2] = htobe32(b->time_ns[i]);
		word_be[3] = htobe32(b->dport[i] << 16 | (uint32_t)pt << 8);
	}
}

static inline void
ep_wire_batch_blocks_of(struct ep_wire_batch *b, const uint32_t *pt)
{
	for (uint32_t i = 0; i < EP_WIRE_BURST; i++) {
		uint32_t *const word_be = b->block[i].word_be;

		word_be[0] = htobe32(b->flow[i]);
		word_be[1] = htobe32(b->seq[i]);
		word_be[2] = htobe32(b->time_ns[i]);
		word_be[3] = htobe32(b->dport[i] << 16 | pt[i] << 8);
	}
}

/* The words of ports, probe and tag; the marker is bit 7 of the first word's low byte. */
static inline uint32_t
ep_wire_batch_sum(const struct ep_wire_batch *b, uint32_t i, uint32_t head)
{
	const uint32_t marker = b->seq[i] == 0 ? b->marker : 0;

	return head + marker + (b->ports[i] >> 16) + (b->ports[i] & UINT16_MAX) +
		(b->seq[i] >> 16) + (b->seq[i] & UINT16_MAX) + (b->time_ns[i] >> 16) +
		(b->time_ns[i] & UINT16_MAX) + (b->flow[i] >> 16) + (b->flow[i] & UINT16_MAX) +
		(b->tag[i] >> 16) + (b->tag[i] & UINT16_MAX);
}

static inline void
ep_wire_batch_check(struct ep_wire_batch *b, uint64_t udp_sum, uint8_t pt)
{
	const uint32_t head =
		ep_wire_fold(udp_sum) + ((uint32_t)EP_WIRE_RTP_VERSION << 8 | (uint32_t)pt);

	for (uint32_t i = 0; i < EP_WIRE_BURST; i++) {
		const uint32_t check = ep_wire_fold32(ep_wire_batch_sum(b, i, head)) ^ UINT16_MAX;

		b->check[i] = check != 0 ? check : UINT16_MAX;
	}
}

static inline void
ep_wire_batch_check_more(struct ep_wire_batch *b, uint8_t pt)
{
	const uint32_t head = (uint32_t)EP_WIRE_RTP_VERSION << 8 | (uint32_t)pt;

	for (uint32_t i = 0; i < EP_WIRE_BURST; i++) {
		const uint32_t check =
			ep_wire_fold32(ep_wire_batch_sum(b, i, head + b->more[i])) ^ UINT16_MAX;

		b->check[i] = check != 0 ? check : UINT16_MAX;
	}
}

static inline void
ep_wire_batch_check_offload(struct ep_wire_batch *b)
{
	for (uint32_t i = 0; i < EP_WIRE_BURST; i++)
		b->check[i] = ep_wire_fold32(b->more[i]);
}

static inline uint32_t
ep_wire_batch_filler_sum(const struct ep_wire_batch *b, uint32_t i, const struct ep_wire_tmpl *tmpl)
{
	const uint64_t word = ep_wire_filler_word(b->flow[i], b->seq[i]);

	return ep_wire_fold(ep_wire_filler_sum(word, tmpl->filler_bytes));
}

static inline void
ep_wire_batch_write(const struct ep_wire_batch *b, uint32_t i, const struct ep_wire_tmpl *tmpl,
	uint8_t *frame, uint8_t pt, const bool ipv6)
{
	const uint32_t ports_offset =
		EP_WIRE_ETH_BYTES + (ipv6 ? EP_WIRE_IPV6_BYTES : EP_WIRE_IPV4_BYTES);
	uint8_t *const payload = frame + ports_offset + EP_WIRE_UDP_BYTES;
	const uint64_t marker = b->seq[i] == 0 ? b->marker : 0;
	const uint32_t datagram_bytes =
		tmpl->filler_bytes + EP_WIRE_UDP_BYTES + EP_WIRE_PROBE_BYTES;

	memcpy(frame, tmpl->header, ports_offset);
	ep_wire_put64(frame + ports_offset,
		(uint64_t)b->ports[i] << 32 | datagram_bytes << 16 | b->check[i]);
	ep_wire_put64(payload,
		(uint64_t)EP_WIRE_RTP_VERSION << 56 | (marker | pt) << 48 |
			(uint64_t)(b->seq[i] & UINT16_MAX) << 32 | b->time_ns[i]);
	ep_wire_put64(payload + EP_WIRE_OFF_FLOW,
		(uint64_t)b->flow[i] << 32 | (b->seq[i] & ~(uint32_t)UINT16_MAX) | b->tag[i] >> 16);
	ep_wire_put16(payload + EP_WIRE_OFF_TAG + 2, (uint16_t)b->tag[i]);
}

static inline void
ep_wire_batch_write_filler(
	const struct ep_wire_batch *b, uint32_t i, const struct ep_wire_tmpl *tmpl, uint8_t *frame)
{
	ep_wire_filler_write(frame + tmpl->header_bytes + EP_WIRE_OFF_FILLER,
		ep_wire_filler_word(b->flow[i], b->seq[i]), tmpl->filler_bytes);
}
