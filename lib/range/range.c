#include "ep_range.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define RANGE_HELP "allowed are ports 1 to 65535 and ranges of them, such as 50000-60000,443"

/* Characters of a bad entry that are shown. */
#define ENTRY_SHOWN_MAX 60

/* Read a decimal number; saturates above any port. Returns what follows, or NULL when there is no digit. */
static const char *
port_scan(const char *text, uint32_t *port)
{
	const char *c = text;

	for (*port = 0; *c >= '0' && *c <= '9'; c++) {
		if (*port < EP_RANGE_PORTS)
			*port = *port * 10 + (uint32_t)(*c - '0');
	}
	return c == text ? NULL : c;
}

/* Read "443" or "50000-60000". Returns what follows, or NULL when it is neither. */
static const char *
entry_scan(const char *text, uint32_t *first, uint32_t *last)
{
	const char *c = port_scan(text, first);

	*last = *first;
	if (c != NULL && *c == '-')
		c = port_scan(c + 1, last);
	return c != NULL && (*c == ',' || *c == '\0') ? c : NULL;
}

static bool
port_valid(uint32_t port)
{
	return port > 0 && port < EP_RANGE_PORTS;
}

static int
entry_error(const char *entry, const char *what, int code, const char *wrong, struct ep_err *err)
{
	const size_t len = strcspn(entry, ",");

	return ep_err_set(err, code, "%s '%.*s' %s; " RANGE_HELP, what,
		(int)(len < ENTRY_SHOWN_MAX ? len : ENTRY_SHOWN_MAX), entry, wrong);
}

/* Members are marked with index 0; this gives them their numbers. */
static void
range_number(struct ep_range *range)
{
	range->port_count = 0;
	for (uint32_t port = 0; port < EP_RANGE_PORTS; port++) {
		if (range->index[port] == EP_RANGE_NONE)
			continue;
		range->index[port] = range->port_count;
		range->port[range->port_count++] = (uint16_t)port;
	}
}

int
ep_range_parse(const char *text, const char *what, struct ep_range *range, struct ep_err *err)
{
	const char *entry = text;

	memset(range->port, 0, sizeof(range->port));
	for (uint32_t port = 0; port < EP_RANGE_PORTS; port++)
		range->index[port] = EP_RANGE_NONE;
	for (;;) {
		uint32_t first, last;
		const char *rest = entry_scan(entry, &first, &last);

		if (rest == NULL)
			return entry_error(entry, what, -EINVAL, "is no port and no range", err);
		if (!port_valid(first) || !port_valid(last))
			return entry_error(entry, what, -ERANGE, "is out of range", err);
		if (first > last)
			return entry_error(entry, what, -EINVAL, "ends before it begins", err);
		for (uint32_t port = first; port <= last; port++)
			range->index[port] = 0;
		if (*rest == '\0')
			break;
		entry = rest + 1;
	}
	range_number(range);
	return 0;
}

void
ep_range_runs(const struct ep_range *range, const bool *chosen, ep_range_run_fn fn, void *ctx)
{
	for (uint32_t i = 0; i < range->port_count; i++) {
		const uint32_t first = i;

		if (chosen != NULL && !chosen[i])
			continue;
		while (i + 1 < range->port_count && range->port[i + 1] == range->port[i] + 1 &&
			(chosen == NULL || chosen[i + 1]))
			i++;
		fn(ctx, range->port[first], range->port[i]);
	}
}

/* A text that counts on where its buffer ends. */
struct text {
	char *buf;
	size_t len;
	size_t used;
};

static void
text_add_run(void *ctx, uint16_t first, uint16_t last)
{
	struct text *t = ctx;
	char run[sizeof(",65535-65535")];
	const char *comma = t->used > 0 ? "," : "";
	const int n = first == last ? snprintf(run, sizeof(run), "%s%u", comma, first)
				    : snprintf(run, sizeof(run), "%s%u-%u", comma, first, last);

	if (t->used < t->len)
		snprintf(t->buf + t->used, t->len - t->used, "%s", run);
	t->used += (size_t)n;
}

size_t
ep_range_format(const struct ep_range *range, const bool *chosen, char *buf, size_t len)
{
	struct text t = {.buf = buf, .len = len};

	if (len > 0)
		buf[0] = '\0';
	ep_range_runs(range, chosen, text_add_run, &t);
	return t.used;
}

bool
ep_range_covers(const struct ep_range *outer, const struct ep_range *inner)
{
	for (uint32_t i = 0; i < inner->port_count; i++) {
		if (!ep_range_has(outer, inner->port[i]))
			return false;
	}
	return true;
}
