#include "ep_tcpcheck.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const check_names[EP_TCPCHECK_CHECKS] = {
	[EP_TCPCHECK_CONNECT] = "connect",
	[EP_TCPCHECK_HTTP] = "http",
	[EP_TCPCHECK_TLS] = "tls",
	[EP_TCPCHECK_TURN_TLS] = "turn-tls",
	[EP_TCPCHECK_ICE_TCP] = "ice-tcp",
	[EP_TCPCHECK_STUN] = "stun",
	[EP_TCPCHECK_TURN] = "turn",
};

static const char *const status_names[EP_TCPCHECK_STATUSES] = {
	[EP_TCPCHECK_PENDING] = "pending",
	[EP_TCPCHECK_OPEN] = "open",
	[EP_TCPCHECK_REFUSED] = "refused",
	[EP_TCPCHECK_FILTERED] = "filtered",
	[EP_TCPCHECK_RESET] = "reset",
	[EP_TCPCHECK_UNREACHABLE] = "unreachable",
	[EP_TCPCHECK_TLS_FAILED] = "tls-failed",
	[EP_TCPCHECK_WRONG_PROTOCOL] = "wrong-protocol",
	[EP_TCPCHECK_BUSY] = "busy",
	[EP_TCPCHECK_ERROR] = "error",
	[EP_TCPCHECK_STALLED] = "stalled",
	[EP_TCPCHECK_BROKEN] = "broken",
};

const char *
ep_tcpcheck_check_name(enum ep_tcpcheck_check check)
{
	return check_names[check];
}

const char *
ep_tcpcheck_status_name(enum ep_tcpcheck_status status)
{
	return status_names[status];
}

const char *
ep_tcpcheck_transport_name(enum ep_tcpcheck_transport transport)
{
	return transport == EP_TCPCHECK_UDP ? "udp" : "tcp";
}

enum ep_tcpcheck_check
ep_tcpcheck_usual(enum ep_tcpcheck_transport transport, uint16_t port)
{
	if (transport == EP_TCPCHECK_UDP)
		return EP_TCPCHECK_TURN;
	switch (port) {
	case 80:
	case 7880:
		return EP_TCPCHECK_HTTP;
	case 443:
	case 8443:
		return EP_TCPCHECK_TLS;
	case 5349:
		return EP_TCPCHECK_TURN_TLS;
	case 7881:
		return EP_TCPCHECK_ICE_TCP;
	case 3478:
		return EP_TCPCHECK_TURN;
	default:
		return EP_TCPCHECK_CONNECT;
	}
}

/* Which checks a transport has. */
static bool
check_fits(enum ep_tcpcheck_transport transport, enum ep_tcpcheck_check check)
{
	return transport == EP_TCPCHECK_TCP || check == EP_TCPCHECK_STUN ||
		check == EP_TCPCHECK_TURN;
}

static const char *
checks_allowed(enum ep_tcpcheck_transport transport)
{
	return transport == EP_TCPCHECK_UDP
		? "stun and turn"
		: "connect, http, tls, turn-tls, ice-tcp, stun and turn";
}

/* Order of targets: negative where a comes first. */
static int
target_compare(const struct ep_tcpcheck_target *a, const struct ep_tcpcheck_target *b)
{
	if (a->transport != b->transport)
		return (int)a->transport - (int)b->transport;
	if (a->port != b->port)
		return (int)a->port - (int)b->port;
	return (int)a->check - (int)b->check;
}

int
ep_tcpcheck_targets_add(
	struct ep_tcpcheck_targets *targets, const struct ep_tcpcheck_target *target)
{
	uint32_t at = 0;

	while (at < targets->count && target_compare(&targets->target[at], target) < 0)
		at++;
	if (at < targets->count && target_compare(&targets->target[at], target) == 0)
		return 0;
	if (targets->count == EP_TCPCHECK_TARGETS_MAX)
		return -ERANGE;
	memmove(&targets->target[at + 1], &targets->target[at],
		(targets->count - at) * sizeof(targets->target[0]));
	targets->target[at] = *target;
	targets->count++;
	return 0;
}

/* All targets of the other transport. */
static struct ep_tcpcheck_targets
targets_without(const struct ep_tcpcheck_targets *targets, enum ep_tcpcheck_transport transport)
{
	struct ep_tcpcheck_targets kept = {0};

	for (uint32_t i = 0; i < targets->count; i++)
		if (targets->target[i].transport != transport)
			kept.target[kept.count++] = targets->target[i];
	return kept;
}

/* One "first[-last][=check]" of a list. */
struct item {
	const char *text; /* Not terminated. */
	size_t len;
	unsigned long first, last;
	bool has_check;
	enum ep_tcpcheck_check check;
};

static int
item_check(struct item *item, const char *name, size_t len, enum ep_tcpcheck_transport transport,
	const char *what, struct ep_err *err)
{
	for (int k = 0; k < EP_TCPCHECK_CHECKS; k++) {
		if (strlen(check_names[k]) != len || strncmp(check_names[k], name, len) != 0 ||
			!check_fits(transport, (enum ep_tcpcheck_check)k))
			continue;
		item->has_check = true;
		item->check = (enum ep_tcpcheck_check)k;
		return 0;
	}
	return ep_err_set(err, -EINVAL, "%s '%.*s': %.*s is no check of a %s port, allowed are %s",
		what, (int)item->len, item->text, (int)len, name,
		transport == EP_TCPCHECK_UDP ? "UDP" : "TCP", checks_allowed(transport));
}

static int
item_parse(struct item *item, enum ep_tcpcheck_transport transport, const char *what,
	struct ep_err *err)
{
	const char *p = item->text, *end = item->text + item->len;
	char *after = NULL;

	if (*p >= '0' && *p <= '9') {
		item->first = item->last = strtoul(p, &after, 10);
		p = after;
		if (p < end && *p == '-' && p[1] >= '0' && p[1] <= '9') {
			item->last = strtoul(p + 1, &after, 10);
			p = after;
		}
	}
	if (after == NULL || p > end || (p < end && *p != '='))
		return ep_err_set(err, -EINVAL,
			"%s '%.*s': is no port, give such as 80,443,8443=tls,9000-9003=connect, or "
			"none",
			what, (int)item->len, item->text);
	if (item->first < 1 || item->last > UINT16_MAX || item->last < item->first)
		return ep_err_set(err, -ERANGE, "%s '%.*s': ports are 1 to 65535, ascending", what,
			(int)item->len, item->text);
	return p < end ? item_check(item, p + 1, (size_t)(end - p - 1), transport, what, err) : 0;
}

static int
item_add(const struct item *item, enum ep_tcpcheck_transport transport, const char *what,
	struct ep_tcpcheck_targets *targets, struct ep_err *err)
{
	for (unsigned long port = item->first; port <= item->last; port++) {
		const struct ep_tcpcheck_target target = {
			.transport = transport,
			.port = (uint16_t)port,
			.check = item->has_check ? item->check
						 : ep_tcpcheck_usual(transport, (uint16_t)port),
			.required = true,
		};

		if (ep_tcpcheck_targets_add(targets, &target) < 0)
			return ep_err_set(err, -ERANGE,
				"%s '%.*s': too many, at most %d TCP and UDP ports can be checked "
				"together",
				what, (int)item->len, item->text, EP_TCPCHECK_TARGETS_MAX);
	}
	return 0;
}

int
ep_tcpcheck_targets_parse(const char *text, const char *what, enum ep_tcpcheck_transport transport,
	struct ep_tcpcheck_targets *targets, struct ep_err *err)
{
	struct ep_tcpcheck_targets next = targets_without(targets, transport);
	const char *p = text;

	while (strcmp(text, "none") != 0) {
		struct item item = {.text = p, .len = strcspn(p, ",")};
		int ret = item_parse(&item, transport, what, err);

		if (ret == 0)
			ret = item_add(&item, transport, what, &next, err);
		if (ret < 0)
			return ret;
		if (p[item.len] == '\0')
			break;
		p += item.len + 1;
	}
	*targets = next;
	return 0;
}

static const struct preset {
	const char *name;
	struct ep_tcpcheck_targets targets;
} presets[] = {
	{"plugnmeet",
		{4,
			{{EP_TCPCHECK_TCP, 80, EP_TCPCHECK_HTTP, true},
				{EP_TCPCHECK_TCP, 443, EP_TCPCHECK_TLS, true},
				{EP_TCPCHECK_TCP, 7881, EP_TCPCHECK_ICE_TCP, true},
				{EP_TCPCHECK_UDP, 443, EP_TCPCHECK_TURN, true}}}},
	/* A LiveKit UDP mux says nothing to who does not know a participant's ufrag: 7882 alone proves nothing. */
	{"livekit",
		{5,
			{{EP_TCPCHECK_TCP, 5349, EP_TCPCHECK_TURN_TLS, true},
				{EP_TCPCHECK_TCP, 7880, EP_TCPCHECK_HTTP, true},
				{EP_TCPCHECK_TCP, 7881, EP_TCPCHECK_ICE_TCP, true},
				{EP_TCPCHECK_UDP, 3478, EP_TCPCHECK_TURN, true},
				{EP_TCPCHECK_UDP, 7882, EP_TCPCHECK_STUN, false}}}},
};

int
ep_tcpcheck_targets_preset(
	const char *name, struct ep_tcpcheck_targets *targets, struct ep_err *err)
{
	for (size_t i = 0; i < EP_ARRAY_LEN(presets); i++) {
		if (strcmp(name, presets[i].name) == 0) {
			*targets = presets[i].targets;
			return 0;
		}
	}
	return ep_err_set(err, -EINVAL, "--preset %s: allowed are plugnmeet and livekit", name);
}

const char *
ep_tcpcheck_targets_format(const struct ep_tcpcheck_targets *targets,
	enum ep_tcpcheck_transport transport, char *buf, size_t len)
{
	size_t used = 0;

	snprintf(buf, len, "none");
	for (uint32_t i = 0; i < targets->count && used < len; i++) {
		const struct ep_tcpcheck_target *t = &targets->target[i];

		if (t->transport == transport)
			used += (size_t)snprintf(buf + used, len - used, "%s%u=%s",
				used > 0 ? "," : "", t->port, check_names[t->check]);
	}
	return buf;
}
