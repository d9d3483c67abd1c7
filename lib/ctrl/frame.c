/*
 * Length-prefixed frames in a queue of bytes. A length that a peer claims is compared with the limit and otherwise
 * only waited for: memory grows with the bytes that came, never with the claim.
 */

#include "ctrl_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/** Smallest allocation of a queue, and the largest that an empty one keeps [B]. */
#define BUF_MIN_BYTES 1024u
#define BUF_KEEP_BYTES EP_CTRL_HELLO_MAX

static void
buf_compact(struct ctrl_buf *b)
{
	if (b->head == 0)
		return;
	memmove(b->bytes, b->bytes + b->head, ctrl_buf_len(b));
	b->tail -= b->head;
	b->head = 0;
}

static int
buf_reserve(struct ctrl_buf *b, size_t len)
{
	size_t size = b->size < BUF_MIN_BYTES ? BUF_MIN_BYTES : b->size;
	uint8_t *bytes;

	if (b->size - b->tail >= len)
		return 0;
	buf_compact(b);
	if (b->size - b->tail >= len)
		return 0;
	while (size - b->tail < len) {
		if (size > SIZE_MAX / 2)
			return -ENOMEM;
		size *= 2;
	}
	bytes = realloc(b->bytes, size);
	if (bytes == NULL)
		return -ENOMEM;
	b->bytes = bytes;
	b->size = size;
	return 0;
}

int
ctrl_buf_append(struct ctrl_buf *b, const void *bytes, size_t len)
{
	int ret;

	if (len == 0)
		return 0;
	ret = buf_reserve(b, len);
	if (ret < 0)
		return ret;
	memcpy(b->bytes + b->tail, bytes, len);
	b->tail += len;
	return 0;
}

void
ctrl_buf_consume(struct ctrl_buf *b, size_t len)
{
	b->head += len < ctrl_buf_len(b) ? len : ctrl_buf_len(b);
	if (b->head < b->tail)
		return;
	b->head = 0;
	b->tail = 0;
	if (b->size > BUF_KEEP_BYTES)
		ctrl_buf_fini(b);
}

void
ctrl_buf_fini(struct ctrl_buf *b)
{
	free(b->bytes);
	*b = (struct ctrl_buf){0};
}

static uint32_t
frame_length_get(const uint8_t *header)
{
	return (uint32_t)header[0] << 24 | (uint32_t)header[1] << 16 | (uint32_t)header[2] << 8 |
		header[3];
}

static void
frame_length_set(uint8_t *header, uint32_t len)
{
	header[0] = (uint8_t)(len >> 24);
	header[1] = (uint8_t)(len >> 16);
	header[2] = (uint8_t)(len >> 8);
	header[3] = (uint8_t)len;
}

enum ctrl_frame
ctrl_frame_peek(const struct ctrl_buf *b, size_t max_bytes, const uint8_t **json, size_t *len,
	struct ep_err *err)
{
	uint32_t claim;

	if (ctrl_buf_len(b) < CTRL_FRAME_HEADER_BYTES)
		return CTRL_FRAME_PARTIAL;
	claim = frame_length_get(b->bytes + b->head);
	if (claim == 0 || claim > max_bytes) {
		ep_err_set(err, -EMSGSIZE, "frame of %u B from the peer, allowed here: 1 to %zu B",
			claim, max_bytes);
		return CTRL_FRAME_BAD;
	}
	if (ctrl_buf_len(b) - CTRL_FRAME_HEADER_BYTES < claim)
		return CTRL_FRAME_PARTIAL;
	*json = b->bytes + b->head + CTRL_FRAME_HEADER_BYTES;
	*len = claim;
	return CTRL_FRAME_WHOLE;
}

static int
dump_to_buf(const char *text, size_t len, void *buf)
{
	return ctrl_buf_append(buf, text, len);
}

int
ctrl_frame_append(struct ctrl_buf *b, const json_t *object)
{
	static const uint8_t header[CTRL_FRAME_HEADER_BYTES];
	const size_t before = ctrl_buf_len(b);
	size_t len;
	int ret;

	ret = ctrl_buf_append(b, header, sizeof(header));
	if (ret < 0)
		return ret;
	/* 17 digits give every double back as it was. */
	if (json_dump_callback(object, dump_to_buf, b, JSON_COMPACT | JSON_REAL_PRECISION(17)) <
		0) {
		ret = -ENOMEM;
		goto fail;
	}
	len = ctrl_buf_len(b) - before - sizeof(header);
	if (len > EP_CTRL_FRAME_MAX) {
		ret = -EMSGSIZE;
		goto fail;
	}
	frame_length_set(b->bytes + b->head + before, (uint32_t)len);
	return 0;

fail:
	b->tail = b->head + before;
	return ret;
}
