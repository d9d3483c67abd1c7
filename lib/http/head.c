/*
 * A head is read line by line as its bytes come, so that what is no HTTP is known at its first wrong byte and not only when the
 * buffer is full. Lines stay in the buffer as they came; ep_http_field() looks through them again.
 */

#include "ep_http.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define METHOD_MAX 32

static const char version_prefix[] = "HTTP/1.";
#define VERSION_PREFIX_BYTES (sizeof(version_prefix) - 1)
#define VERSION_BYTES (VERSION_PREFIX_BYTES + 1)

void
ep_http_head_init(struct ep_http_head *h, enum ep_http_kind kind, char *buf, size_t size)
{
	*h = (struct ep_http_head){.kind = kind, .buf = buf, .size = size};
}

/* A letter of a token (RFC 9110 section 5.6.2). */
static bool
is_token(char c)
{
	return isalnum((unsigned char)c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* A letter that may be in a line: no control character but the tab. */
static bool
is_text(char c)
{
	return c == '\t' || ((unsigned char)c >= ' ' && c != 0x7F);
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "HTTP/1.x" at the start of a text. */
static bool
version_parse(struct ep_http_head *h, const char *text, size_t len)
{
	if (len < VERSION_BYTES || memcmp(text, version_prefix, VERSION_PREFIX_BYTES) != 0 ||
		!is_digit(text[VERSION_PREFIX_BYTES]))
		return false;
	h->minor = (uint8_t)(text[VERSION_PREFIX_BYTES] - '0');
	return true;
}

/* "HTTP/1.1 404 Not Found"; the reason, and the space before it, may be missing. */
static bool
status_line_parse(struct ep_http_head *h, const char *line, size_t len)
{
	const char *const code = line + VERSION_BYTES + 1;
	const size_t code_end = VERSION_BYTES + 4;

	if (!version_parse(h, line, len) || len < code_end || code[-1] != ' ' || code[0] == '0')
		return false;
	for (size_t i = 0; i < 3; i++)
		if (!is_digit(code[i]))
			return false;
	if (len > code_end && line[code_end] != ' ')
		return false;
	h->status = (uint16_t)((code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0'));
	h->reason.text = line + code_end + (len > code_end);
	h->reason.len = len - code_end - (len > code_end);
	return true;
}

/* "GET /path HTTP/1.1". */
static bool
request_line_parse(struct ep_http_head *h, const char *line, size_t len)
{
	const char *const first = memchr(line, ' ', len);
	const char *target, *second;

	if (first == NULL)
		return false;
	target = first + 1;
	second = memchr(target, ' ', len - (size_t)(target - line));
	if (second == NULL || second == target ||
		len != (size_t)(second - line) + 1 + VERSION_BYTES ||
		memchr(line, '\t', len) != NULL || !version_parse(h, second + 1, VERSION_BYTES))
		return false;
	h->method = (struct ep_http_view){line, (size_t)(first - line)};
	h->target = (struct ep_http_view){target, (size_t)(second - target)};
	return h->method.len > 0;
}

/* Whether the byte at `at` can be where it is in a first line, as far as that can be said before its end. */
static bool
first_line_fits(const struct ep_http_head *h, size_t at)
{
	const char c = h->buf[at];

	if (h->kind == EP_HTTP_RESPONSE)
		return at >= VERSION_PREFIX_BYTES || c == version_prefix[at];
	if (memchr(h->buf, ' ', at) != NULL)
		return true;
	return at > 0 && c == ' ' ? true : at < METHOD_MAX && is_token(c);
}

/* "Name: value": where the name ends; 0 when the line is no field. */
static size_t
name_length(const char *line, size_t len)
{
	size_t i = 0;

	while (i < len && is_token(line[i]))
		i++;
	return i < len && line[i] == ':' ? i : 0;
}

/* A line is there, without its end. */
static enum ep_http_state
line_done(struct ep_http_head *h, const char *line, size_t len)
{
	if (h->fields == 0) {
		const bool valid = h->kind == EP_HTTP_RESPONSE ? status_line_parse(h, line, len)
							       : request_line_parse(h, line, len);

		h->fields = valid ? h->len : 0;
		return valid ? EP_HTTP_PARTIAL : EP_HTTP_NOT_HTTP;
	}
	if (len == 0)
		return EP_HTTP_WHOLE;
	if (name_length(line, len) == 0 || h->field_count == EP_HTTP_FIELDS_MAX)
		return EP_HTTP_MALFORMED;
	h->field_count++;
	return EP_HTTP_PARTIAL;
}

/* The byte at the end of the buffer is new. */
static enum ep_http_state
byte_done(struct ep_http_head *h)
{
	const enum ep_http_state wrong = h->fields == 0 ? EP_HTTP_NOT_HTTP : EP_HTTP_MALFORMED;
	const size_t at = h->len - 1;
	const char c = h->buf[at];
	/* A CR is part of the line's end only. */
	const bool behind_cr = at > h->line && h->buf[at - 1] == '\r';

	if (c == '\n') {
		const char *const line = h->buf + h->line;
		const size_t len = at - h->line - behind_cr;

		h->line = h->len;
		return line_done(h, line, len);
	}
	if (behind_cr || (c != '\r' && !is_text(c)))
		return wrong;
	if (h->fields == 0 && c != '\r' && !first_line_fits(h, at))
		return EP_HTTP_NOT_HTTP;
	return EP_HTTP_PARTIAL;
}

enum ep_http_state
ep_http_head_push(struct ep_http_head *h, const void *bytes, size_t len, size_t *used)
{
	const char *const in = bytes;
	size_t i = 0;

	while (h->state == EP_HTTP_PARTIAL && i < len) {
		if (h->len == h->size) {
			h->state = EP_HTTP_TOO_LONG;
			break;
		}
		h->buf[h->len++] = in[i++];
		h->state = byte_done(h);
	}
	if (used != NULL)
		*used = i;
	return h->state;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The value of a field: what lies behind the colon, up to the end of the line at `end`, without blanks around it. */
static struct ep_http_view
value_of(const char *text, const char *end)
{
	while (end > text && (is_blank(end[-1]) || end[-1] == '\r'))
		end--;
	while (text < end && is_blank(*text))
		text++;
	return (struct ep_http_view){text, (size_t)(end - text)};
}

bool
ep_http_field(const struct ep_http_head *h, const char *name, struct ep_http_view *value)
{
	const char *line = h->buf + h->fields;
	const size_t name_len = strlen(name);

	if (h->state != EP_HTTP_WHOLE)
		return false;
	for (uint32_t i = 0; i < h->field_count; i++) {
		/* Each field's line ends within the head: it was counted at its end. */
		const size_t rest = h->len - (size_t)(line - h->buf);
		const char *const end = memchr(line, '\n', rest);
		const size_t len = name_length(line, (size_t)(end - line));

		if (len == name_len && strncasecmp(line, name, len) == 0) {
			*value = value_of(line + len + 1, end);
			return true;
		}
		line = end + 1;
	}
	return false;
}

const char *
ep_http_text_format(char *buf, size_t len, struct ep_http_view text)
{
	return ep_text_format(buf, len, text.text, text.len);
}
