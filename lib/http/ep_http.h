#pragma once

/**
 * @file
 * The head of an HTTP/1 message (RFC 9112): status line or request line, and header fields. Enough to see that HTTP is spoken
 * and with which status, and for `serve` to answer a GET. No sockets, no bodies, no HTTP/2. Memory is the caller's; one thread
 * a head.
 *
 *   HTTP/1.1 404 Not Found CRLF         GET /path HTTP/1.1 CRLF
 *   Name: value CRLF                    Name: value CRLF
 *   CRLF                                CRLF
 *
 * Views point into the caller's buffer, are not terminated, and hold printable ASCII, tabs and bytes above 0x7F only; an
 * answer is whatever the far side wrote, so show it with ep_http_text_format().
 */

#include <ep_base.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** A buffer of this size takes the head of every usual server [B]. */
#define EP_HTTP_HEAD_MAX 8192
/** Most header fields of a head. */
#define EP_HTTP_FIELDS_MAX 100

enum ep_http_kind { EP_HTTP_RESPONSE, EP_HTTP_REQUEST };

/** What is known of a head. All but PARTIAL are final. */
enum ep_http_state {
	EP_HTTP_PARTIAL, /**< Give more bytes. */
	EP_HTTP_WHOLE,   /**< The head has ended, and is valid. */
	EP_HTTP_NOT_HTTP, /**< The first line is none of HTTP/1: another protocol. Known from its first wrong byte on. */
	EP_HTTP_MALFORMED, /**< HTTP, but a header field is none, or there are too many. */
	EP_HTTP_TOO_LONG,  /**< The head does not fit the buffer. */
};

/** Some bytes of the head. */
struct ep_http_view {
	const char *text; /**< Not terminated. */
	size_t len;       /**< [B] */
};

/** A head under way or done. */
struct ep_http_head {
	enum ep_http_kind kind;
	enum ep_http_state state;
	char *buf;   /**< Borrowed. */
	size_t size; /**< Of buf [B]. */
	size_t len;  /**< Bytes in buf; with state WHOLE the length of the head. */
	size_t line; /**< Where the line under way begins in buf [B]. */
	uint32_t field_count;
	size_t fields; /**< Where the first field begins in buf [B]. */

	/* Valid as soon as the first line is there (fields > 0). */
	uint8_t minor;              /**< HTTP/1.minor: 0 to 9. */
	uint16_t status;            /**< Response: 100 to 999. */
	struct ep_http_view reason; /**< Response: may be empty. */
	struct ep_http_view method; /**< Request: 1 to 32 letters of a token. */
	struct ep_http_view target; /**< Request: not empty, no spaces. */
};

/**
 * Start with nothing received.
 *
 * @param buf
 *   Borrowed as long as the head is used.
 * @param size
 *   Longest head that is taken [B].
 */
void ep_http_head_init(struct ep_http_head *h, enum ep_http_kind kind, char *buf, size_t size);

/**
 * Feed received bytes; any split is fine. A lone LF ends a line as CRLF does (RFC 9112 section 2.2). Fields that are folded
 * over lines are malformed (section 5.2).
 *
 * @param bytes
 *   [len]
 * @param[out] used
 *   How many were taken: all, or with WHOLE up to the end of the head; what follows is the body. May be NULL.
 * @return
 *   The state; once it is final, nothing more is taken.
 */
enum ep_http_state ep_http_head_push(
	struct ep_http_head *h, const void *bytes, size_t len, size_t *used);

/**
 * Find a header field of a head that is WHOLE.
 *
 * @param name
 *   Its name; capitals do not matter. The first one of that name counts.
 * @param[out] value
 *   Without white space around it; set when found.
 * @return
 *   Whether there is one.
 */
bool ep_http_field(const struct ep_http_head *h, const char *name, struct ep_http_view *value);

/** ep_text_format() of a view. @return @p buf. */
const char *ep_http_text_format(char *buf, size_t len, struct ep_http_view text);

/**
 * Write a GET request that asks the server to close behind its answer.
 *
 * @param host
 *   Name or address of the server, for the Host field; an IPv6 address gets its brackets.
 * @param port
 *   For the Host field; 0 leaves it out, as is right for 80 and 443.
 * @param target
 *   Path with its leading slash.
 * @param[out] len
 *   Bytes written without the NUL; set on success only.
 * @return
 *   0, or -EINVAL (host or target is empty or has a space or a control character, or the target has no leading slash) or
 *   -EMSGSIZE (does not fit @p size).
 */
int ep_http_get(
	char *buf, size_t size, const char *host, uint16_t port, const char *target, size_t *len);

/**
 * Write a whole response with a body in plain text, and "Connection: close".
 *
 * @param status
 *   200, 400, 404, 405, 414 or 431, or another from 200 to 999 (which then has no reason phrase).
 * @param body
 *   Text; "" for none.
 * @param[out] len
 *   Bytes written without the NUL; set on success only.
 * @return
 *   0, or -EINVAL (the status is outside 200 to 999) or -EMSGSIZE (does not fit @p size).
 */
int ep_http_response(char *buf, size_t size, uint16_t status, const char *body, size_t *len);
