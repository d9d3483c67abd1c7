/*
 * The file as libyaml's events: a walk over mappings that takes the values of the keys that are known and skips the rest. Events,
 * not libyaml's document: it expands nothing, and its memory is that of one token and the nesting.
 */

#include "livekit_priv.h"

#include <errno.h>
#include <string.h>
#include <yaml.h>

#define QUOTE_BYTES 41

/* Where a key is, by name. */
struct known {
	const char *section; /* "": the top */
	const char *name;
	enum livekit_key key;
};

static const struct known known[] = {
	{"", "port", LIVEKIT_PORT},
	{"", "development", LIVEKIT_DEVELOPMENT},
	{"rtc", "tcp_port", LIVEKIT_TCP_PORT},
	{"rtc", "port_range_start", LIVEKIT_RANGE_START},
	{"rtc", "port_range_end", LIVEKIT_RANGE_END},
	{"rtc", "udp_port", LIVEKIT_UDP_PORT},
	{"rtc", "allow_tcp_fallback", LIVEKIT_TCP_FALLBACK},
	{"turn", "enabled", LIVEKIT_TURN_ENABLED},
	{"turn", "domain", LIVEKIT_TURN_DOMAIN},
	{"turn", "tls_port", LIVEKIT_TURN_TLS_PORT},
	{"turn", "udp_port", LIVEKIT_TURN_UDP_PORT},
	{"turn", "external_tls", LIVEKIT_TURN_EXTERNAL_TLS},
	{"turn", "relay_range_start", LIVEKIT_RELAY_START},
	{"turn", "relay_range_end", LIVEKIT_RELAY_END},
};

static const char *const sections[] = {"rtc", "turn"};

/* A file half read. */
struct reader {
	yaml_parser_t parser;
	yaml_event_t event; /* the last one; owned */
	const char *what;
	struct ep_err *err;
	struct livekit_raw *raw;
	bool key_seen[LIVEKIT_KEYS];
	bool section_seen[EP_ARRAY_LEN(sections)];
};

static size_t
event_line(const struct reader *r)
{
	return r->event.start_mark.line + 1;
}

static int
parser_failed(struct reader *r)
{
	if (r->parser.error == YAML_MEMORY_ERROR)
		return ep_err_set(r->err, -ENOMEM, "%s: no memory", r->what);
	return ep_err_set(r->err, -EBADMSG, "%s line %zu: no YAML: %s", r->what,
		r->parser.problem_mark.line + 1,
		r->parser.problem != NULL ? r->parser.problem : "unreadable");
}

/* Go to the next event. */
static int
reader_next(struct reader *r)
{
	yaml_event_delete(&r->event); /* an event that is none yet, too */
	return yaml_parser_parse(&r->parser, &r->event) ? 0 : parser_failed(r);
}

/* Skip the node whose first event is the current one, up to its last. */
static int
node_skip(struct reader *r)
{
	size_t depth = 0;
	int ret = 0;

	for (;;) {
		switch (r->event.type) {
		case YAML_MAPPING_START_EVENT:
		case YAML_SEQUENCE_START_EVENT:
			depth++;
			break;
		case YAML_MAPPING_END_EVENT:
		case YAML_SEQUENCE_END_EVENT:
			depth--;
			break;
		default:
			break;
		}
		if (depth > EP_LIVEKIT_DEPTH_MAX)
			return ep_err_set(r->err, -E2BIG,
				"%s line %zu: nested deeper than %d levels, which is the most that "
				"is read",
				r->what, event_line(r), EP_LIVEKIT_DEPTH_MAX);
		if (depth == 0)
			return 0;
		ret = reader_next(r);
		if (ret < 0)
			return ret;
	}
}

static bool
scalar_is(const yaml_event_t *event, const char *text)
{
	return event->type == YAML_SCALAR_EVENT && event->data.scalar.length == strlen(text) &&
		memcmp(event->data.scalar.value, text, event->data.scalar.length) == 0;
}

static bool
is_null(const yaml_event_t *event)
{
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};

	if (event->type != YAML_SCALAR_EVENT || event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return false;
	for (size_t i = 0; i < EP_ARRAY_LEN(nulls); i++)
		if (scalar_is(event, nulls[i]))
			return true;
	return false;
}

static int
alias_refuse(struct reader *r, const char *section, const char *name)
{
	return ep_err_set(r->err, -ENOTSUP,
		"%s line %zu: %s%s%s is an alias, which is not followed; write the value out",
		r->what, event_line(r), section, section[0] != '\0' ? "." : "", name);
}

static int
twice_refuse(struct reader *r, const char *section, const char *name)
{
	return ep_err_set(r->err, -EINVAL,
		"%s line %zu: %s%s%s is given a second time; a key may be there once", r->what,
		event_line(r), section, section[0] != '\0' ? "." : "", name);
}

static int
value_refuse(struct reader *r, int code, const struct known *k, const char *allowed)
{
	const bool is_scalar = r->event.type == YAML_SCALAR_EVENT;
	const char *const value = is_scalar ? (const char *)r->event.data.scalar.value : NULL;
	char quote[QUOTE_BYTES] = "a list or a mapping";

	if (is_scalar)
		ep_text_format(quote, sizeof(quote), value, r->event.data.scalar.length);
	return ep_err_set(r->err, code, "%s line %zu: %s%s%s is '%s'; allowed is %s", r->what,
		event_line(r), k->section, k->section[0] != '\0' ? "." : "", k->name, quote,
		allowed);
}

/* The current event is the value of a known key. */
static int
value_read(struct reader *r, const struct known *k)
{
	struct livekit_value *const value = &r->raw->value[k->key];
	const char *allowed = NULL;
	int ret;

	if (r->event.type == YAML_ALIAS_EVENT)
		return alias_refuse(r, k->section, k->name);
	if (is_null(&r->event))
		return 0;
	if (r->event.type == YAML_SEQUENCE_START_EVENT && k->key == LIVEKIT_UDP_PORT) {
		value->is_list = true;
		return node_skip(r);
	}
	if (r->event.type != YAML_SCALAR_EVENT) {
		(void)livekit_scalar(k->key, "", 0, true, value, &allowed);
		return value_refuse(r, -EINVAL, k, allowed);
	}
	ret = livekit_scalar(k->key, (const char *)r->event.data.scalar.value,
		r->event.data.scalar.length, r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE,
		value, &allowed);
	if (ret < 0)
		return value_refuse(r, ret, k, allowed);
	return 0;
}

static int mapping_read(struct reader *r, const char *section);

/* The current event is the value of "rtc" or "turn". */
static int
section_read(struct reader *r, const char *name)
{
	if (r->event.type == YAML_ALIAS_EVENT)
		return alias_refuse(r, "", name);
	if (is_null(&r->event))
		return 0;
	if (r->event.type != YAML_MAPPING_START_EVENT)
		return ep_err_set(r->err, -EINVAL,
			"%s line %zu: %s is no mapping; allowed are lines such as 'tcp_port: "
			"7881', "
			"indented below it",
			r->what, event_line(r), name);
	return mapping_read(r, name);
}

/* What a key is. */
struct found {
	const struct known *known; /* of a value that is read, or NULL */
	const char *section;       /* name of a section, or NULL */
	bool *seen;                /* of either, or NULL */
};

static struct found
key_find(struct reader *r, const char *section)
{
	for (size_t i = 0; i < EP_ARRAY_LEN(known); i++)
		if (strcmp(known[i].section, section) == 0 && scalar_is(&r->event, known[i].name))
			return (struct found){&known[i], NULL, &r->key_seen[known[i].key]};
	for (size_t i = 0; section[0] == '\0' && i < EP_ARRAY_LEN(sections); i++)
		if (scalar_is(&r->event, sections[i]))
			return (struct found){NULL, sections[i], &r->section_seen[i]};
	return (struct found){0};
}

/* The current event is a key: read it and its value. */
static int
pair_read(struct reader *r, const char *section)
{
	const struct found found = key_find(r, section);
	int ret;

	if (scalar_is(&r->event, "<<"))
		return ep_err_set(r->err, -ENOTSUP,
			"%s line %zu: a merge key (<<), which is not followed; write the values "
			"out",
			r->what, event_line(r));
	if (found.seen != NULL && *found.seen)
		return twice_refuse(
			r, section, found.known != NULL ? found.known->name : found.section);
	if (found.seen != NULL)
		*found.seen = true;
	ret = node_skip(r); /* the key itself */
	if (ret == 0)
		ret = reader_next(r);
	if (ret < 0)
		return ret;
	if (found.known != NULL)
		return value_read(r, found.known);
	return found.section != NULL ? section_read(r, found.section) : node_skip(r);
}

/* The current event starts a mapping: read up to its end. */
static int
mapping_read(struct reader *r, const char *section)
{
	int ret = reader_next(r);

	while (ret == 0 && r->event.type != YAML_MAPPING_END_EVENT) {
		ret = pair_read(r, section);
		if (ret == 0)
			ret = reader_next(r);
	}
	return ret;
}

static int
document_read(struct reader *r)
{
	int ret = reader_next(r); /* the stream's start */

	if (ret == 0)
		ret = reader_next(r); /* the document's */
	if (ret == 0 && r->event.type == YAML_DOCUMENT_START_EVENT)
		ret = reader_next(r);
	if (ret < 0)
		return ret;
	if (r->event.type == YAML_STREAM_END_EVENT || is_null(&r->event))
		return ep_err_set(r->err, -EINVAL,
			"%s is empty; a LiveKit configuration has at least a line such as 'port: "
			"7880'",
			r->what);
	if (r->event.type != YAML_MAPPING_START_EVENT)
		return ep_err_set(r->err, -EINVAL,
			"%s line %zu: no mapping; a LiveKit configuration has lines such as 'port: "
			"7880'",
			r->what, event_line(r));
	return mapping_read(r, "");
}

int
livekit_read(
	const char *text, size_t len, const char *what, struct livekit_raw *raw, struct ep_err *err)
{
	struct reader r = {.what = what, .err = err, .raw = raw};
	int ret;

	if (!yaml_parser_initialize(&r.parser))
		return ep_err_set(err, -ENOMEM, "%s: no memory", what);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
	ret = document_read(&r);
	yaml_event_delete(&r.event);
	yaml_parser_delete(&r.parser);
	return ret;
}
