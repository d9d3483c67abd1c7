#include "stun_priv.h"

#include <errno.h>
#include <string.h>

/* How much of a STUN message tells whether it is one, besides its first byte: type, length, cookie. */
#define BARE_PROOF_BYTES 8

void
ep_stun_stream_init(
	struct ep_stun_stream *s, enum ep_stun_framing framing, uint8_t *buf, size_t size)
{
	*s = (struct ep_stun_stream){.framing = framing, .buf = buf, .size = size};
}

/* Bytes to wait for before the next look: of the message in hand, counted from its first. */
static size_t
stream_need(const struct ep_stun_stream *s)
{
	if (s->framing == EP_STUN_FRAMED)
		return s->have < EP_STUN_FRAME_HEADER_BYTES
			? EP_STUN_FRAME_HEADER_BYTES
			: EP_STUN_FRAME_HEADER_BYTES + (size_t)stun_get16(s->header);
	if (s->have < 1)
		return 1;
	if (s->have < BARE_PROOF_BYTES)
		return BARE_PROOF_BYTES;
	return EP_STUN_HEADER_BYTES + (size_t)stun_get16(s->buf + 2);
}

/* Where the next byte goes, and how many fit there in one piece. */
static uint8_t *
stream_room(struct ep_stun_stream *s)
{
	if (s->framing == EP_STUN_BARE)
		return s->buf + s->have;
	if (s->have < EP_STUN_FRAME_HEADER_BYTES)
		return s->header + s->have;
	return s->buf + (s->have - EP_STUN_FRAME_HEADER_BYTES);
}

static enum ep_stun_stream_state
framed_state(const struct ep_stun_stream *s)
{
	if (s->have < EP_STUN_FRAME_HEADER_BYTES)
		return EP_STUN_STREAM_PARTIAL;
	if (stun_get16(s->header) > s->size)
		return EP_STUN_STREAM_TOO_LONG;
	return s->have == stream_need(s) ? EP_STUN_STREAM_WHOLE : EP_STUN_STREAM_PARTIAL;
}

static enum ep_stun_stream_state
bare_state(const struct ep_stun_stream *s)
{
	if (s->buf[0] >= 0x40)
		return EP_STUN_STREAM_NOT_STUN;
	if (s->have < BARE_PROOF_BYTES)
		return EP_STUN_STREAM_PARTIAL;
	if (stun_get16(s->buf + 2) % 4 != 0 || stun_get32(s->buf + 4) != EP_STUN_COOKIE)
		return EP_STUN_STREAM_NOT_STUN;
	if (stream_need(s) > s->size)
		return EP_STUN_STREAM_TOO_LONG;
	return s->have == stream_need(s) ? EP_STUN_STREAM_WHOLE : EP_STUN_STREAM_PARTIAL;
}

enum ep_stun_stream_state
ep_stun_stream_push(
	struct ep_stun_stream *s, struct ep_stun_bytes *bytes, struct ep_stun_bytes *msg)
{
	const size_t before = s->framing == EP_STUN_FRAMED ? EP_STUN_FRAME_HEADER_BYTES : 0;

	if (s->state == EP_STUN_STREAM_WHOLE) {
		s->have = 0;
		s->state = EP_STUN_STREAM_PARTIAL;
	}
	while (s->state == EP_STUN_STREAM_PARTIAL && bytes->len > 0) {
		const size_t want = stream_need(s) - s->have;
		const size_t count = want < bytes->len ? want : bytes->len;

		memcpy(stream_room(s), bytes->bytes, count);
		s->have += count;
		bytes->bytes += count;
		bytes->len -= count;
		s->state = before > 0 ? framed_state(s) : bare_state(s);
	}
	if (s->state == EP_STUN_STREAM_WHOLE)
		*msg = (struct ep_stun_bytes){s->buf, s->have - before};
	return s->state;
}

int
ep_stun_frame(struct ep_stun_bytes payload, uint8_t *out, size_t size, size_t *len)
{
	if (payload.len > EP_STUN_FRAME_MAX || size < EP_STUN_FRAME_HEADER_BYTES ||
		payload.len > size - EP_STUN_FRAME_HEADER_BYTES)
		return -EMSGSIZE;
	stun_set16(out, (uint16_t)payload.len);
	if (payload.len > 0)
		memcpy(out + EP_STUN_FRAME_HEADER_BYTES, payload.bytes, payload.len);
	*len = EP_STUN_FRAME_HEADER_BYTES + payload.len;
	return 0;
}
