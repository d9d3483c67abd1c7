/*
 * How source ports are agreed on that give each receive queue its share: the initiator says how its NIC spreads, if it knows, and the
 * responder, which knows its own, chooses.
 */

#include "ctrl_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const hash_names[] = {
	[EP_PLAN_HASH_PORTS] = "ports",
	[EP_PLAN_HASH_ADDRESSES] = "addresses",
};

#define KEY_DIGITS (2 * EP_PLAN_KEY_MAX)

/** A NIC's RSS as the tables of fields take it. */
struct spread {
	uint32_t hash;
	char key[KEY_DIGITS + 1]; /* "" where nothing is known. */
};

#define AT(member) offsetof(struct spread, member)
static const struct ctrl_field spread_rows[] = {
	{"hash", CTRL_ENUM, AT(hash), 0, EP_ARRAY_LEN(hash_names) - 1, hash_names},
	{"key", CTRL_TEXT, AT(key), 0, KEY_DIGITS, NULL},
};
#undef AT
static const struct ctrl_fields spread_fields = {spread_rows, EP_ARRAY_LEN(spread_rows)};

#define AT(member) offsetof(struct ep_ctrl_sources, member)
static const struct ctrl_field sources_rows[] = {
	{"source_base", CTRL_U16, AT(source_base), 1, 65535, NULL},
	{"source_span", CTRL_U32, AT(source_span), 1, 65536, NULL},
	{"up_ratio", CTRL_RATE, AT(up_ratio), 0, 0, NULL},
	{"down_ratio", CTRL_RATE, AT(down_ratio), 0, 0, NULL},
};
#undef AT
static const struct ctrl_fields sources_fields = {sources_rows, EP_ARRAY_LEN(sources_rows)};

/** Keys of the spread: the fields and the table. */
#define SPREAD_KEYS (EP_ARRAY_LEN(spread_rows) + 1)

static bool
is_power_of_two(size_t n)
{
	return n > 0 && (n & (n - 1)) == 0;
}

/* --- hello ------------------------------------------------------------------------------------ */

static int
reta_encode(const struct ep_plan_rss *rss, json_t *object)
{
	json_t *array = json_array();

	if (json_object_set_new(object, "reta", array) < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < rss->reta_count; i++) {
		if (rss->reta[i] >= EP_PLAN_QUEUES_MAX)
			return -EINVAL;
		if (json_array_append_new(array, json_integer(rss->reta[i])) < 0)
			return -ENOMEM;
	}
	return 0;
}

int
ctrl_spread_encode(const void *body, json_t *object)
{
	const struct ep_ctrl_hello *hello = body;
	const struct ep_plan_rss none = {0}, *rss = hello->has_rss ? &hello->rss : &none;
	struct spread s = {.hash = rss->hash};
	json_t *spread;
	int ret;

	if (!hello->takes_sources)
		return hello->has_rss ? -EINVAL : 0;
	if (hello->has_rss &&
		(rss->key_bytes < EP_PLAN_KEY_MIN || rss->key_bytes > EP_PLAN_KEY_MAX ||
			rss->reta_count > EP_PLAN_RETA_MAX || !is_power_of_two(rss->reta_count)))
		return -EINVAL;
	spread = json_object();
	if (json_object_set_new(object, "spread", spread) < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < rss->key_bytes; i++)
		snprintf(s.key + (size_t)2 * i, 3, "%02x", rss->key[i]);
	ret = ctrl_fields_encode(&spread_fields, &s, spread);
	return ret == 0 ? reta_encode(rss, spread) : ret;
}

static int
digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Returns whether the key is one. */
static bool
key_decode(const char *text, struct ep_plan_rss *rss)
{
	const size_t digits = strlen(text);

	if (digits % 2 != 0 || digits < (size_t)2 * EP_PLAN_KEY_MIN)
		return false;
	for (size_t i = 0; i < digits; i += 2) {
		const int high = digit_value(text[i]), low = digit_value(text[i + 1]);

		if (high < 0 || low < 0)
			return false;
		rss->key[i / 2] = (uint8_t)(high * 16 + low);
	}
	rss->key_bytes = (uint32_t)(digits / 2);
	return true;
}

static int
reta_decode(const char *what, const json_t *array, struct ep_plan_rss *rss, struct ep_err *err)
{
	static const struct ctrl_field row = {"reta", CTRL_U64, 0, 0, EP_PLAN_QUEUES_MAX - 1, NULL};

	rss->reta_count = (uint32_t)json_array_size(array);
	for (uint32_t i = 0; i < rss->reta_count; i++) {
		uint64_t queue;
		const int ret =
			ctrl_integer_decode(what, &row, json_array_get(array, i), &queue, err);

		if (ret < 0)
			return ret;
		rss->reta[i] = (uint16_t)queue;
	}
	return 0;
}

int
ctrl_spread_decode(
	const char *what, const json_t *object, uint32_t port_count, void *body, struct ep_err *err)
{
	struct ep_ctrl_hello *hello = body;
	const json_t *spread = json_object_get(object, "spread"), *reta;
	struct spread s = {0};

	(void)port_count;
	if (ctrl_optional_check(CTRL_HELLO, object, "spread", err) < 0)
		return -EBADMSG;
	hello->takes_sources = spread != NULL;
	if (spread == NULL)
		return 0;
	if (!json_is_object(spread) || json_object_size(spread) > SPREAD_KEYS)
		return ep_err_set(err, -EBADMSG,
			"%s from the peer: spread must be an object of %zu fields", what,
			SPREAD_KEYS);
	if (ctrl_fields_decode(what, &spread_fields, spread, &s, err) < 0)
		return -EBADMSG;
	reta = ctrl_array_decode(what, "reta", spread, 0, EP_PLAN_RETA_MAX, err);
	if (reta == NULL)
		return -EBADMSG;
	hello->has_rss = s.key[0] != '\0';
	if (!hello->has_rss && json_array_size(reta) == 0)
		return 0;
	if (!key_decode(s.key, &hello->rss) || !is_power_of_two(json_array_size(reta)))
		return ep_err_set(err, -EBADMSG,
			"%s from the peer: key must be %d to %d hexadecimal digits and reta a "
			"power of two of entries, or both empty",
			what, 2 * EP_PLAN_KEY_MIN, KEY_DIGITS);
	hello->rss.hash = (enum ep_plan_hash)s.hash;
	return reta_decode(what, reta, &hello->rss, err);
}

/* --- welcome ---------------------------------------------------------------------------------- */

int
ctrl_sources_encode(const struct ep_ctrl_welcome *welcome, json_t *object)
{
	json_t *sources;

	if (!welcome->has_sources)
		return 0;
	sources = json_object();
	if (json_object_set_new(object, "sources", sources) < 0)
		return -ENOMEM;
	return ctrl_fields_encode(&sources_fields, &welcome->sources, sources);
}

int
ctrl_sources_decode(
	const char *what, const json_t *object, struct ep_ctrl_welcome *welcome, struct ep_err *err)
{
	const json_t *sources = json_object_get(object, "sources");

	if (ctrl_optional_check(CTRL_WELCOME, object, "sources", err) < 0)
		return -EBADMSG;
	welcome->has_sources = sources != NULL;
	if (sources == NULL)
		return 0;
	if (!json_is_object(sources) || json_object_size(sources) > sources_fields.count)
		return ep_err_set(err, -EBADMSG,
			"%s from the peer: sources must be an object of %zu fields", what,
			sources_fields.count);
	return ctrl_fields_decode(what, &sources_fields, sources, &welcome->sources, err);
}
