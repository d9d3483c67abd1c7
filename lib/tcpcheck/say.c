#include "tcpcheck_priv.h"

#include <ep_http.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Bytes of an unknown answer that are shown. */
#define SHOWN_BYTES 40
/* Any value below 2^24 will do; no pair of candidates is chosen by it. */
#define ICE_PRIORITY UINT32_C(0x6e0001ff)

void
tc_show(char *buf, size_t len, const uint8_t *bytes, size_t count)
{
	const struct ep_stun_bytes text = {bytes, count < SHOWN_BYTES ? count : SHOWN_BYTES};

	ep_stun_text_format(buf, len, text);
}

static void
transaction(const struct ep_tcpcheck *c, uint32_t number, uint8_t txid[EP_STUN_TXID_BYTES])
{
	memcpy(txid, c->nonce, sizeof(c->nonce));
	memcpy(txid + sizeof(c->nonce), &number, sizeof(number));
}

static void
ice_attributes(const struct ep_tcpcheck *c, struct ep_stun_msg *msg)
{
	msg->username = ep_stun_text(c->username);
	msg->priority = ICE_PRIORITY;
	memcpy(&msg->tie_breaker, c->nonce, sizeof(msg->tie_breaker));
	msg->has |= EP_STUN_HAS_USERNAME | EP_STUN_HAS_PRIORITY | EP_STUN_HAS_CONTROLLING;
}

static bool
is_ice(enum tc_say say)
{
	return say == TC_SAY_ICE || say == TC_SAY_BINDING_ICE;
}

static size_t
say_stun(const struct ep_tcpcheck *c, enum tc_say say, uint32_t number, uint8_t buf[TC_SAY_MAX])
{
	const struct ep_stun_bytes key = ep_stun_text(c->pwd);
	uint8_t txid[EP_STUN_TXID_BYTES];
	struct ep_stun_msg msg;
	struct ep_stun_buf out;
	size_t len;

	transaction(c, number, txid);
	ep_stun_msg_init(&msg, EP_STUN_REQUEST,
		say == TC_SAY_ALLOCATE ? EP_STUN_ALLOCATE : EP_STUN_BINDING, txid);
	msg.has |= EP_STUN_HAS_FINGERPRINT;
	if (say == TC_SAY_ALLOCATE) {
		msg.has |= EP_STUN_HAS_TRANSPORT;
		msg.transport = EP_STUN_TRANSPORT_UDP;
	}
	if (is_ice(say))
		ice_attributes(c, &msg);
	if (ep_stun_encode(&msg, is_ice(say) && key.len > 0 ? &key : NULL, &out) < 0)
		return 0;
	if (say == TC_SAY_ICE) {
		const struct ep_stun_bytes payload = {out.bytes, out.len};

		return ep_stun_frame(payload, buf, TC_SAY_MAX, &len) == 0 ? len : 0;
	}
	if (out.len > TC_SAY_MAX)
		return 0;
	memcpy(buf, out.bytes, out.len);
	return out.len;
}

static size_t
say_http(const struct ep_tcpcheck *c, enum tc_say say, uint16_t port, uint8_t buf[TC_SAY_MAX])
{
	const bool usual = port == 80 || port == 443;
	const bool bracket = strchr(c->host, ':') != NULL;
	char number[8] = "";
	size_t len;
	int n;

	if (say == TC_SAY_GET)
		return ep_http_get((char *)buf, TC_SAY_MAX, c->host, usual ? 0 : port,
			       EP_TCPCHECK_HTTP_PATH, &len) == 0
			? len
			: 0;
	if (!usual)
		snprintf(number, sizeof(number), ":%u", port);
	n = snprintf((char *)buf, TC_SAY_MAX,
		"HEAD " EP_TCPCHECK_HTTP_PATH " HTTP/1.1\r\nHost: %s%s%s%s\r\n"
		"User-Agent: everyport\r\nConnection: keep-alive\r\n\r\n",
		bracket ? "[" : "", c->host, bracket ? "]" : "", number);
	return n > 0 && n < TC_SAY_MAX ? (size_t)n : 0;
}

size_t
tc_say(struct ep_tcpcheck *c, enum tc_say say, uint16_t port, uint32_t number,
	uint8_t buf[TC_SAY_MAX])
{
	if (say == TC_SAY_NOTHING)
		return 0;
	if (say == TC_SAY_GET || say == TC_SAY_HEAD)
		return say_http(c, say, port, buf);
	return say_stun(c, say, number, buf);
}

/* --- Answers -------------------------------------------------------------------------------------------------------------- */

static bool
view_is(struct ep_http_view v, const char *word)
{
	return v.len == strlen(word) && strncasecmp(v.text, word, v.len) == 0;
}

static enum tc_heard
hear_http(enum tc_say say, const uint8_t *bytes, size_t len, struct tc_answer *answer)
{
	char buf[TC_ANSWER_MAX], reason[64];
	struct ep_http_view connection;
	struct ep_http_head h;
	enum ep_http_state state;

	ep_http_head_init(&h, EP_HTTP_RESPONSE, buf, sizeof(buf));
	state = ep_http_head_push(&h, bytes, len, &answer->used);
	if (state == EP_HTTP_NOT_HTTP)
		return TC_HEARD_WRONG;
	/* A status line is all that a check of the path needs, whatever the fields are like. */
	if (h.fields == 0)
		return state == EP_HTTP_PARTIAL ? TC_HEARD_MORE : TC_HEARD_WRONG;
	snprintf(answer->reply, sizeof(answer->reply), "HTTP %u %s", h.status,
		ep_http_text_format(reason, sizeof(reason), h.reason));
	if (say == TC_SAY_GET) {
		answer->used = len;
		return TC_HEARD_ANSWER;
	}
	if (state == EP_HTTP_PARTIAL)
		return TC_HEARD_MORE;
	answer->will_close = h.minor == 0 || state != EP_HTTP_WHOLE ||
		(ep_http_field(&h, "Connection", &connection) && view_is(connection, "close"));
	return TC_HEARD_ANSWER;
}

/* Errors of RFC 8656 section 19, another server (300, RFC 8489 section 10), and 401 with a realm: a STUN server without TURN does not know the request (420, 400). */
static bool
error_is_of_turn(const struct ep_stun_msg *msg)
{
	static const uint16_t codes[] = {300, 403, 437, 438, 440, 441, 442, 443, 486, 508};

	if (msg->error_code == EP_STUN_UNAUTHENTICATED)
		return (msg->has & EP_STUN_HAS_REALM) != 0;
	for (size_t i = 0; i < EP_ARRAY_LEN(codes); i++)
		if (msg->error_code == codes[i])
			return true;
	return false;
}

static void
stun_reply(const struct ep_stun_msg *msg, struct tc_answer *answer)
{
	const struct ep_stun_addr *mapped = ep_stun_mapped(msg);
	char text[64];

	if (msg->class == EP_STUN_ERROR) {
		const bool has_realm = (msg->has & EP_STUN_HAS_REALM) != 0;

		answer->is_turn = error_is_of_turn(msg);
		snprintf(answer->reply, sizeof(answer->reply), "%u %s%s", msg->error_code,
			has_realm ? "realm " : "",
			ep_stun_text_format(
				text, sizeof(text), has_realm ? msg->realm : msg->reason));
		return;
	}
	answer->is_turn = msg->method == EP_STUN_ALLOCATE;
	snprintf(answer->reply, sizeof(answer->reply), "success");
	if (mapped == NULL)
		return;
	ep_wire_ip_format(text, sizeof(text), &mapped->ip);
	snprintf(answer->mapped, sizeof(answer->mapped),
		mapped->ip.family == EP_WIRE_IPV6 ? "[%s]:%u" : "%s:%u", text, mapped->port);
	snprintf(answer->reply, sizeof(answer->reply), "mapped %s", answer->mapped);
}

/* An agent would throw away an answer that does not know the password (RFC 8489 section 9.1.4); here it shows that the path is open. */
static void
say_integrity(const struct ep_tcpcheck *c, const struct ep_stun_msg *msg,
	struct ep_stun_bytes bytes, struct tc_answer *answer)
{
	const int ret = ep_stun_integrity_check(msg, bytes, ep_stun_text(c->pwd));
	const size_t at = strlen(answer->reply);

	if (ret < 0)
		snprintf(answer->reply + at, sizeof(answer->reply) - at, ", %s integrity",
			ret == -ENOENT ? "without" : "wrong");
}

/* Whether a message answers a request of ours; says so in the reply when a password was given and the answer does not know it. */
static bool
stun_is_ours(const struct ep_tcpcheck *c, enum tc_say say, struct ep_stun_bytes bytes,
	struct tc_answer *answer, enum tc_heard *heard)
{
	const uint16_t method = say == TC_SAY_ALLOCATE ? EP_STUN_ALLOCATE : EP_STUN_BINDING;
	struct ep_stun_msg msg;
	const size_t used = answer->used;

	*heard = TC_HEARD_OTHER;
	if (ep_stun_decode(bytes, &msg, NULL) < 0)
		return false;
	if ((msg.class != EP_STUN_SUCCESS && msg.class != EP_STUN_ERROR) || msg.method != method ||
		memcmp(msg.txid, c->nonce, sizeof(c->nonce)) != 0)
		return true;
	*heard = TC_HEARD_ANSWER;
	stun_reply(&msg, answer);
	answer->used = used;
	if (is_ice(say) && c->pwd[0] != '\0' && msg.class == EP_STUN_SUCCESS)
		say_integrity(c, &msg, bytes, answer);
	return true;
}

/* Two zero bits, a length of whole words, the cookie (RFC 8489 section 5): a wrong one of them is known as soon as it is there. */
static bool
stun_may_begin(const uint8_t *bytes, size_t len)
{
	static const uint8_t cookie[] = {0x21, 0x12, 0xa4, 0x42};
	const size_t there = len > 4 ? len - 4 : 0;

	return (len < 1 || bytes[0] <= 0x3f) && (len < 4 || bytes[3] % 4 == 0) &&
		memcmp(bytes + 4, cookie, there < sizeof(cookie) ? there : sizeof(cookie)) == 0;
}

static enum tc_heard
hear_stun(const struct ep_tcpcheck *c, enum tc_say say, const uint8_t *bytes, size_t len,
	struct tc_answer *answer)
{
	enum tc_heard heard;

	if (!stun_may_begin(bytes, len))
		return TC_HEARD_WRONG;
	if (len < EP_STUN_HEADER_BYTES)
		return TC_HEARD_MORE;
	answer->used = EP_STUN_HEADER_BYTES + ((size_t)bytes[2] << 8) + bytes[3];
	if (len < answer->used)
		return answer->used <= TC_ANSWER_MAX ? TC_HEARD_MORE : TC_HEARD_WRONG;
	return stun_is_ours(c, say, (struct ep_stun_bytes){bytes, answer->used}, answer, &heard)
		? heard
		: TC_HEARD_WRONG;
}

/* Frames may carry anything of ICE (DTLS, RTP): what is no STUN is passed over where it can be by its first byte (RFC 7983). */
static enum tc_heard
hear_frame(const struct ep_tcpcheck *c, const uint8_t *bytes, size_t len, struct tc_answer *answer)
{
	const size_t payload = len >= 2 ? ((size_t)bytes[0] << 8) + bytes[1] : 0;
	enum tc_heard heard;

	if (len < EP_STUN_FRAME_HEADER_BYTES)
		return TC_HEARD_MORE;
	answer->used = payload + EP_STUN_FRAME_HEADER_BYTES;
	if (answer->used > TC_ANSWER_MAX)
		return TC_HEARD_WRONG;
	if (payload == 0)
		return TC_HEARD_OTHER;
	if (len < answer->used)
		return TC_HEARD_MORE;
	if (stun_is_ours(c, TC_SAY_ICE, (struct ep_stun_bytes){bytes + 2, payload}, answer, &heard))
		return heard;
	return (bytes[2] >= 20 && bytes[2] <= 63) || bytes[2] >= 128 ? TC_HEARD_OTHER
								     : TC_HEARD_WRONG;
}

enum tc_heard
tc_hear(const struct ep_tcpcheck *c, enum tc_say say, const uint8_t *bytes, size_t len,
	struct tc_answer *answer)
{
	*answer = (struct tc_answer){0};
	switch (say) {
	case TC_SAY_NOTHING:
		answer->used = len;
		return len > 0 ? TC_HEARD_OTHER : TC_HEARD_MORE;
	case TC_SAY_GET:
	case TC_SAY_HEAD:
		return len > 0 ? hear_http(say, bytes, len, answer) : TC_HEARD_MORE;
	case TC_SAY_ICE:
		return hear_frame(c, bytes, len, answer);
	case TC_SAY_BINDING:
	case TC_SAY_BINDING_ICE:
	case TC_SAY_ALLOCATE:
		break;
	}
	return hear_stun(c, say, bytes, len, answer);
}
