#pragma once

/*
 * Bodies of the hot-path functions of ep_wire.h that build probes by the burst. Included by ep_wire.h only.
 *
 * One array a field, and loops of a constant length without a branch: the compiler makes vectors of them. What such a loop
 * computes for entries beyond the burst is of no meaning and never used.
 *
 * Checksums of a burst are 32-bit sums of 16-bit words: at most 16 of them are below 2^20, and two folds leave 16 bits.
 */

#include "wire_shape.h"

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
ep_wire_batch_finish(struct ep_wire_batch *b)
{
	for (uint32_t i = 0; i < EP_WIRE_BURST; i++) {
		const uint32_t tail = b->udp_bytes[i] << 16 | b->check[i];

		b->tag_be[i] = htobe32(b->tag[i]);
		b->udp_be[i] = (uint64_t)htobe32(tail) << 32 | htobe32(b->ports[i]);
	}
}

/* RFC 1624 equation 3: the old checksum's complement and the old address's are added to the new one. */
static inline uint32_t
ep_wire_tmpl_ip_sum(const struct ep_wire_tmpl *tmpl, uint32_t offset)
{
	const uint32_t check = ep_wire_get16(tmpl->header + EP_WIRE_IPV4_SRC - 2);

	return (check ^ UINT16_MAX) +
		(ep_wire_fold(ep_wire_get32(tmpl->header + offset)) ^ UINT16_MAX);
}

static inline void
ep_wire_batch_readdress(struct ep_wire_batch *b, enum ep_wire_checksum checksum)
{
	const uint32_t mask = checksum == EP_WIRE_CHECKSUM_SOFTWARE ? UINT16_MAX : 0;

	for (uint32_t i = 0; i < EP_WIRE_BURST; i++) {
		const uint32_t sum = b->ip_sum[i] + (b->addr[i] >> 16) + (b->addr[i] & UINT16_MAX);

		b->addr_be[i] = htobe32(b->addr[i]);
		b->ip_check_be[i] = htobe32(((ep_wire_fold32(sum) ^ UINT16_MAX) & mask) << 16);
	}
}

static inline void
ep_wire_batch_write_head(const struct ep_wire_tmpl *tmpl, uint8_t *frame, const bool ipv6)
{
	memcpy(frame, tmpl->header, ep_wire_payload_offset(ipv6) - EP_WIRE_UDP_BYTES);
}

/* The rest of a probe, behind its PT, is what the tag's message has, and the tag. */
static inline void
ep_wire_batch_write_tail(
	const struct ep_wire_batch *b, uint32_t i, uint8_t *frame, uint8_t pt, const bool ipv6)
{
	uint8_t *const payload = frame + ep_wire_payload_offset(ipv6);
	typedef uint32_t words __attribute__((vector_size(16)));
	const ep_wire_vec block = ep_wire_load(b->block[i].bytes_be);
	words rest = (words)__builtin_shufflevector(
		block, block, 6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9);

	rest[3] = b->tag_be[i];
	memcpy(payload - EP_WIRE_UDP_BYTES, &b->udp_be[i], sizeof(b->udp_be[i]));
	ep_wire_put16(payload, (uint16_t)(EP_WIRE_RTP_VERSION << 8 | pt));
	memcpy(payload + EP_WIRE_OFF_SEQ_LOW, &rest, sizeof(rest));
}

static inline void
ep_wire_batch_write(const struct ep_wire_batch *b, uint32_t i, const struct ep_wire_tmpl *tmpl,
	uint8_t *frame, uint8_t pt, const bool ipv6)
{
	ep_wire_batch_write_head(tmpl, frame, ipv6);
	ep_wire_batch_write_tail(b, i, frame, pt, ipv6);
}

static inline void
ep_wire_batch_mark(const struct ep_wire_batch *b, uint32_t i, uint8_t *frame, const bool ipv6)
{
	if (b->seq[i] == 0)
		frame[ep_wire_payload_offset(ipv6) + EP_WIRE_OFF_PT] |= (uint8_t)b->marker;
}

static inline void
ep_wire_batch_write_addr(const struct ep_wire_batch *b, uint32_t i, uint8_t *frame, uint32_t offset)
{
	const uint16_t check = (uint16_t)b->ip_check_be[i];

	memcpy(frame + EP_WIRE_IPV4_SRC - 2, &check, sizeof(check));
	memcpy(frame + offset, &b->addr_be[i], sizeof(b->addr_be[i]));
}

static inline void
ep_wire_batch_write_filler(
	const struct ep_wire_batch *b, uint32_t i, const struct ep_wire_tmpl *tmpl, uint8_t *frame)
{
	ep_wire_filler_write(frame + tmpl->header_bytes + EP_WIRE_OFF_FILLER,
		ep_wire_filler_word(b->flow[i], b->seq[i]), tmpl->filler_bytes);
}
