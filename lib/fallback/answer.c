#include "fallback_priv.h"

#include <ep_http.h>
#include <ep_stun.h>

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define HTTP_BODY "everyport: nothing is here; this answer shows that the path is open\n"

/* Room that one answer may need: the echo of the longest frame. */
#define ANSWER_MAX (EP_FALLBACK_MESSAGE_MAX + EP_STUN_FRAME_HEADER_BYTES)

/* A STUN answer: header, address or error with the longest texts, list of unknown attributes, fingerprint. */
static_assert(ANSWER_MAX >= EP_STUN_MSG_MAX + EP_STUN_FRAME_HEADER_BYTES, "an answer fits");

/* One call of ep_fallback_stream(). */
struct turn {
	const struct ep_fallback_voice *voice;
	struct ep_fallback_talk *talk;
	struct ep_stun_addr peer;
	uint8_t *out;
	size_t out_len;
};

static void
say(struct turn *t, const void *bytes, size_t len)
{
	memcpy(t->out + t->out_len, bytes, len);
	t->out_len += len;
}

/* --- STUN, TURN ------------------------------------------------------------------------------- */

static struct ep_stun_bytes
text_or_none(const char *text)
{
	return text != NULL ? ep_stun_text(text) : (struct ep_stun_bytes){0};
}

/* An ICE agent answers nobody who does not know its password; a STUN server answers everybody (RFC 8489 section 12). */
static int
stun_answer(const struct ep_fallback_voice *voice, enum ep_fallback_sort sort,
	struct ep_stun_bytes in, const struct ep_stun_addr *peer, struct ep_stun_buf *buf)
{
	const struct ep_stun_server server = {
		.realm = ep_stun_text(voice->realm),
		.nonce = ep_stun_text(voice->nonce),
		.ufrag = text_or_none(voice->ufrag),
		.password = text_or_none(voice->pwd),
		.password_optional = sort != EP_FALLBACK_FRAME,
	};

	return ep_stun_answer(&server, in, peer, buf);
}

static size_t
take_stun(struct turn *t, const uint8_t *in, size_t in_len)
{
	struct ep_stun_bytes message = {.bytes = in};
	struct ep_stun_buf buf;
	size_t len;

	if (in_len < EP_STUN_HEADER_BYTES)
		return 0;
	len = message.len = EP_STUN_HEADER_BYTES + in[2] * 256U + in[3];
	/* What follows a message that is none cannot be found in a stream. */
	if (len > EP_FALLBACK_MESSAGE_MAX || (in_len >= len && !ep_stun_looks_like(message))) {
		t->talk->end = true;
		return in_len;
	}
	if (in_len < len)
		return 0;
	if (stun_answer(t->voice, EP_FALLBACK_STUN, message, &t->peer, &buf) == 0)
		say(t, buf.bytes, buf.len);
	return len;
}

/* A STUN request in a frame is answered; what else comes (keep-alive, media) comes back as it is. */
static size_t
take_frame(struct turn *t, const uint8_t *in, size_t in_len)
{
	const size_t head = EP_STUN_FRAME_HEADER_BYTES;
	struct ep_stun_bytes payload;
	struct ep_stun_buf buf;

	if (in_len < head)
		return 0;
	payload = (struct ep_stun_bytes){.bytes = in + head, .len = in[0] * 256U + in[1]};
	if (payload.len > EP_FALLBACK_MESSAGE_MAX) {
		t->talk->end = true;
		return in_len;
	}
	if (in_len < head + payload.len)
		return 0;
	if (!ep_stun_looks_like(payload)) {
		say(t, in, head + payload.len);
	} else if (stun_answer(t->voice, EP_FALLBACK_FRAME, payload, &t->peer, &buf) == 0) {
		const uint8_t frame[] = {(uint8_t)(buf.len >> 8), (uint8_t)buf.len};

		say(t, frame, sizeof(frame));
		say(t, buf.bytes, buf.len);
	}
	return head + payload.len;
}

size_t
ep_fallback_datagram(const struct ep_fallback_voice *voice, const struct ep_wire_ip *peer,
	uint16_t port, const uint8_t *in, size_t in_len, uint8_t *out)
{
	const struct ep_stun_bytes message = {.bytes = in, .len = in_len};
	const struct ep_stun_addr from = {.ip = *peer, .port = port};
	struct ep_stun_buf buf;

	if (stun_answer(voice, EP_FALLBACK_STUN, message, &from, &buf) < 0 ||
		buf.len > in_len + EP_FALLBACK_UDP_MORE_BYTES)
		return 0;
	memcpy(out, buf.bytes, buf.len);
	return buf.len;
}

/* --- HTTP ------------------------------------------------------------------------------------- */

static bool
view_is(struct ep_http_view v, const char *text)
{
	return v.len == strlen(text) && strncasecmp(v.text, text, v.len) == 0;
}

/* Whether the connection goes on behind the answer: HTTP/1.1, no body that would have to be skipped, no wish to close. */
static bool
http_persists(const struct ep_http_head *h)
{
	struct ep_http_view v;

	if (h->minor == 0 || ep_http_field(h, "Transfer-Encoding", &v))
		return false;
	if (ep_http_field(h, "Content-Length", &v) && !view_is(v, "0"))
		return false;
	return !ep_http_field(h, "Connection", &v) || !view_is(v, "close");
}

static void
http_say(struct turn *t, const char *status, bool body, bool goes_on)
{
	char text[512];
	const int len = snprintf(text, sizeof(text),
		"HTTP/1.1 %s\r\nServer: %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
		"Connection: %s\r\n\r\n%s",
		status, t->voice->software, sizeof(HTTP_BODY) - 1, goes_on ? "keep-alive" : "close",
		body ? HTTP_BODY : "");

	if (len > 0)
		say(t, text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1);
	t->talk->end = !goes_on;
}

static size_t
take_http(struct turn *t, const uint8_t *in, size_t in_len)
{
	char buf[EP_FALLBACK_MESSAGE_MAX];
	struct ep_http_head h;
	size_t used = 0;

	ep_http_head_init(&h, EP_HTTP_REQUEST, buf, sizeof(buf));
	switch (ep_http_head_push(&h, in, in_len, &used)) {
	case EP_HTTP_PARTIAL:
		return 0;
	case EP_HTTP_WHOLE:
		http_say(t, "404 Not Found", !view_is(h.method, "HEAD"), http_persists(&h));
		return used;
	case EP_HTTP_TOO_LONG:
		http_say(t, "431 Request Header Fields Too Large", true, false);
		break;
	case EP_HTTP_NOT_HTTP:
	case EP_HTTP_MALFORMED:
		http_say(t, "400 Bad Request", true, false);
		break;
	}
	return in_len;
}

/* --- A stream --------------------------------------------------------------------------------- */

static size_t
take_one(struct turn *t, const uint8_t *in, size_t in_len)
{
	switch (t->talk->sort) {
	case EP_FALLBACK_HTTP:
		return take_http(t, in, in_len);
	case EP_FALLBACK_STUN:
		return take_stun(t, in, in_len);
	case EP_FALLBACK_FRAME:
		return take_frame(t, in, in_len);
	case EP_FALLBACK_MORE:
		return 0;
	default:
		t->talk->end = true;
		return in_len;
	}
}

size_t
ep_fallback_stream(const struct ep_fallback_voice *voice, struct ep_fallback_talk *talk,
	const struct ep_wire_ip *peer, uint16_t port, const uint8_t *in, size_t in_len,
	uint8_t *out, size_t out_max, size_t *out_len)
{
	struct turn t = {
		.voice = voice,
		.talk = talk,
		.peer = {.ip = *peer, .port = port},
		.out = out,
	};
	size_t done = 0, used = 1;

	if (talk->sort == EP_FALLBACK_MORE)
		talk->sort = ep_fallback_sniff(in, in_len, NULL);
	while (!talk->end && used > 0 && done < in_len && out_max - t.out_len >= ANSWER_MAX) {
		used = take_one(&t, in + done, in_len - done);
		done += used;
	}
	*out_len = t.out_len;
	return done;
}
