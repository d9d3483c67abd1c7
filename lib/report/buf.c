/* A growing string, paragraphs, and texts of unknown origin. */

#include "report_priv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPORT_FIRST_BYTES 4096

/* U+FFFD, the replacement character. */
static const char report_replacement[] = "\xef\xbf\xbd";

static bool
buf_reserve(struct report_buf *b, size_t more)
{
	size_t capacity = b->capacity > 0 ? b->capacity : REPORT_FIRST_BYTES;
	char *text;

	if (b->failed)
		return false;
	while (capacity < b->len + more + 1)
		capacity *= 2;
	if (capacity == b->capacity)
		return true;
	text = realloc(b->text, capacity);
	if (text == NULL) {
		b->failed = true;
		return false;
	}
	b->text = text;
	b->capacity = capacity;
	return true;
}

void
report_append(struct report_buf *b, const char *bytes, size_t len)
{
	if (!buf_reserve(b, len))
		return;
	memcpy(b->text + b->len, bytes, len);
	b->len += len;
	b->text[b->len] = '\0';
}

void
report_printf(struct report_buf *b, const char *fmt, ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (len < 0 || !buf_reserve(b, (size_t)len))
		return;
	va_start(ap, fmt);
	vsnprintf(b->text + b->len, (size_t)len + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)len;
}

int
report_finish(struct report_buf *b, char **text)
{
	if (b->failed) {
		free(b->text);
		return -ENOMEM;
	}
	*text = b->text;
	return 0;
}

size_t
report_utf8_len(const char *s)
{
	const unsigned char *u = (const unsigned char *)s;
	uint32_t least, code;
	size_t len;

	if (u[0] < 0x80)
		return u[0] != 0 ? 1 : 0;
	if ((u[0] & 0xe0) == 0xc0)
		len = 2, least = 0x80, code = u[0] & 0x1f;
	else if ((u[0] & 0xf0) == 0xe0)
		len = 3, least = 0x800, code = u[0] & 0x0f;
	else if ((u[0] & 0xf8) == 0xf0)
		len = 4, least = 0x10000, code = u[0] & 0x07;
	else
		return 0;
	/* A NUL is no continuation byte, so this never reads behind the text. */
	for (size_t i = 1; i < len; i++) {
		if ((u[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (u[i] & 0x3f);
	}
	if (code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	return len;
}

char *
report_utf8(const char *s)
{
	/* At worst each byte becomes a replacement character. */
	char *out = malloc(strlen(s) * (sizeof(report_replacement) - 1) + 1);
	size_t len = 0;

	if (out == NULL)
		return NULL;
	while (*s != '\0') {
		const size_t n = report_utf8_len(s);

		if (n > 0) {
			memcpy(out + len, s, n);
			len += n;
			s += n;
		} else {
			memcpy(out + len, report_replacement, sizeof(report_replacement) - 1);
			len += sizeof(report_replacement) - 1;
			s++;
		}
	}
	out[len] = '\0';
	return out;
}

/* Whether a terminal would act on it: C0, DEL, and C1 (U+0080 to U+009F). */
static bool
buf_is_control(const char *s, size_t n)
{
	const unsigned char *u = (const unsigned char *)s;

	return (n == 1 && (u[0] < 0x20 || u[0] == 0x7f)) || (n == 2 && u[0] == 0xc2 && u[1] < 0xa0);
}

/* Append [s, s + len) with what is not printable replaced. @return columns used, a code point each. */
static size_t
buf_append_clean(struct report_buf *b, const char *s, size_t len)
{
	size_t columns = 0;

	for (size_t i = 0; i < len; columns++) {
		const size_t n = report_utf8_len(s + i);

		if (n == 0 || buf_is_control(s + i, n))
			report_append(b, "?", 1);
		else
			report_append(b, s + i, n);
		i += n > 0 ? n : 1;
	}
	return columns;
}

/* A long list "1,2,3" has no spaces: it may also be broken behind a comma. What begins with a quote is for a shell, and stays whole. */
static size_t
buf_word_len(const char *s)
{
	size_t len = strcspn(s, " ");
	const size_t item = strcspn(s, ",");

	if (*s != '\'' && len > REPORT_COLUMNS / 2 && item + 1 < len)
		len = item + 1;
	return len;
}

void
report_wrap(struct report_buf *b, const char *lead, const char *text)
{
	const size_t indent = strlen(lead);
	size_t column = indent;

	report_append(b, lead, indent);
	for (bool space = false; *text != '\0';) {
		const size_t len = buf_word_len(text);

		if (column > indent && column + space + len > REPORT_COLUMNS) {
			report_printf(b, "\n%*s", (int)indent, "");
			column = indent;
		} else if (space) {
			report_append(b, " ", 1);
			column++;
		}
		column += buf_append_clean(b, text, len);
		text += len;
		space = *text == ' ';
		text += strspn(text, " ");
	}
	report_append(b, "\n", 1);
}
