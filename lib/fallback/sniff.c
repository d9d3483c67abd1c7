/* TLS: RFC 8446 sections 4.1.2 and 5.1; ALPN: RFC 7301. STUN: RFC 8489 section 5; frames: RFC 4571 section 2. */
#include "ep_fallback.h"

#include <string.h>

#define RECORD_HANDSHAKE 22
#define RECORD_HEADER_BYTES 5
#define RECORD_BYTES_MAX 16384
#define CLIENT_HELLO 1
/* Of a ClientHello before its session id: message header, version, random. */
#define HELLO_FIXED_BYTES (4 + 2 + 32)
#define EXTENSION_ALPN 16
#define COOKIE_OFFSET 4
#define METHOD_MAX 16

static const uint8_t stun_cookie[4] = {0x21, 0x12, 0xa4, 0x42};

/* A cursor that never leaves its bytes: what does not fit makes it fail for good. */
struct cursor {
	const uint8_t *at;
	size_t left;
	bool failed;
};

static const uint8_t *
take(struct cursor *c, size_t len)
{
	const uint8_t *at = c->at;

	if (c->failed || len > c->left) {
		c->failed = true;
		return NULL;
	}
	c->at += len;
	c->left -= len;
	return at;
}

static uint32_t
take_number(struct cursor *c, size_t bytes)
{
	const uint8_t *at = take(c, bytes);
	uint32_t number = 0;

	for (size_t i = 0; at != NULL && i < bytes; i++)
		number = number << 8 | at[i];
	return number;
}

/* A field after its length of so many bytes. */
static struct cursor
take_vector(struct cursor *c, size_t length_bytes)
{
	const size_t len = take_number(c, length_bytes);
	const uint8_t *at = take(c, len);

	return (struct cursor){.at = at, .left = at != NULL ? len : 0, .failed = at == NULL};
}

static bool
alpn_has(struct cursor extension, const char *alpn)
{
	struct cursor names = take_vector(&extension, 2);

	while (!names.failed && names.left > 0) {
		const struct cursor name = take_vector(&names, 1);

		if (!name.failed && name.left == strlen(alpn) &&
			memcmp(name.at, alpn, name.left) == 0)
			return true;
	}
	return false;
}

/* Whether a whole record is a ClientHello that offers the protocol. One that is spread over records is never the control channel's. */
static bool
hello_offers(const uint8_t *record, size_t len, const char *alpn)
{
	struct cursor c = {.at = record, .left = len};
	struct cursor extensions;

	take(&c, HELLO_FIXED_BYTES);
	take_vector(&c, 1); /* session id */
	take_vector(&c, 2); /* cipher suites */
	take_vector(&c, 1); /* compression */
	extensions = take_vector(&c, 2);
	while (!extensions.failed && extensions.left > 0) {
		const uint32_t type = take_number(&extensions, 2);
		const struct cursor body = take_vector(&extensions, 2);

		if (!body.failed && type == EXTENSION_ALPN)
			return alpn_has(body, alpn);
	}
	return false;
}

static enum ep_fallback_sort
sniff_tls(const uint8_t *bytes, size_t len, const char *alpn)
{
	size_t record_bytes;

	if (len < RECORD_HEADER_BYTES + 1)
		return len >= 2 && bytes[1] != 3 ? EP_FALLBACK_UNKNOWN : EP_FALLBACK_MORE;
	record_bytes = bytes[3] * 256U + bytes[4];
	if (bytes[1] != 3 || bytes[2] > 4 || record_bytes == 0 || record_bytes > RECORD_BYTES_MAX ||
		bytes[RECORD_HEADER_BYTES] != CLIENT_HELLO)
		return EP_FALLBACK_UNKNOWN;
	if (alpn == NULL || RECORD_HEADER_BYTES + record_bytes > EP_FALLBACK_MESSAGE_MAX)
		return EP_FALLBACK_TLS;
	if (len < RECORD_HEADER_BYTES + record_bytes)
		return EP_FALLBACK_MORE;
	return hello_offers(bytes + RECORD_HEADER_BYTES, record_bytes, alpn) ? EP_FALLBACK_CONTROL
									     : EP_FALLBACK_TLS;
}

/* RFC 9110 section 9.1: a method is a token; those in use are capital letters. */
static enum ep_fallback_sort
sniff_http(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] == ' ' && i >= 3)
			return EP_FALLBACK_HTTP;
		if (bytes[i] < 'A' || bytes[i] > 'Z' || i == METHOD_MAX)
			return EP_FALLBACK_UNKNOWN;
	}
	return EP_FALLBACK_MORE;
}

/* How many bytes of the cookie there are, all of them right; -1: it is not there. */
static int
cookie_at(const uint8_t *bytes, size_t len, size_t offset)
{
	size_t there = len > offset ? len - offset : 0;

	if (there > sizeof(stun_cookie))
		there = sizeof(stun_cookie);
	if (there > 0 && memcmp(bytes + offset, stun_cookie, there) != 0)
		return -1;
	return (int)there;
}

static enum ep_fallback_sort
sniff_stun(const uint8_t *bytes, size_t len)
{
	const bool may_be_stun = (bytes[0] & 0xc0) == 0;
	const bool may_be_frame =
		bytes[0] <= EP_FALLBACK_MESSAGE_MAX >> 8 && (len <= 2 || (bytes[2] & 0xc0) == 0);
	const int plain = may_be_stun ? cookie_at(bytes, len, COOKIE_OFFSET) : -1;
	const int framed = may_be_frame ? cookie_at(bytes, len, 2 + COOKIE_OFFSET) : -1;

	if (plain == (int)sizeof(stun_cookie))
		return EP_FALLBACK_STUN;
	if (framed == (int)sizeof(stun_cookie))
		return EP_FALLBACK_FRAME;
	return plain < 0 && framed < 0 ? EP_FALLBACK_UNKNOWN : EP_FALLBACK_MORE;
}

enum ep_fallback_sort
ep_fallback_sniff(const uint8_t *bytes, size_t len, const char *alpn)
{
	enum ep_fallback_sort sort, other;

	if (len == 0)
		return EP_FALLBACK_MORE;
	sort = sniff_stun(bytes, len);
	other = bytes[0] == RECORD_HANDSHAKE ? sniff_tls(bytes, len, alpn) : sniff_http(bytes, len);
	if (sort == EP_FALLBACK_STUN || sort == EP_FALLBACK_FRAME)
		return sort;
	if (other != EP_FALLBACK_UNKNOWN)
		return other;
	return sort;
}

const char *
ep_fallback_sort_name(enum ep_fallback_sort sort)
{
	switch (sort) {
	case EP_FALLBACK_MORE:
		return "nothing yet";
	case EP_FALLBACK_CONTROL:
		return "control channel";
	case EP_FALLBACK_TLS:
		return "TLS";
	case EP_FALLBACK_HTTP:
		return "HTTP";
	case EP_FALLBACK_STUN:
		return "STUN";
	case EP_FALLBACK_FRAME:
		return "framed STUN";
	case EP_FALLBACK_UNKNOWN:
		break;
	}
	return "unknown";
}
