/*
 * Members of a struct to JSON and back, by table. A row bounds the value in both directions, so that nothing is sent that the
 * far side would refuse. What a peer wrote is never quoted in a sentence, since sentences end up on terminals.
 */

#include "ctrl_priv.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

/** Enough for the longest text of any field, 1023 bytes and a NUL. */
#define TEXT_BYTES 1024

#define HEX64_BYTES 8

static_assert(sizeof(enum ep_ctrl_mode) == sizeof(uint32_t), "CTRL_ENUM is kept as uint32_t");
static_assert(sizeof(enum ep_ctrl_refusal) == sizeof(uint32_t), "CTRL_ENUM is kept as uint32_t");

static int
bad(struct ep_err *err, const char *what, const char *name, const char *must)
{
	return ep_err_set(err, -EBADMSG, "%s from the peer: %s must be %s", what, name, must);
}

/* --- Whole numbers ---------------------------------------------------------------------------- */

static uint64_t
number_load(const struct ctrl_field *f, const void *member)
{
	switch (f->kind) {
	case CTRL_U16:
		return *(const uint16_t *)member;
	case CTRL_U32:
	case CTRL_ENUM:
		return *(const uint32_t *)member;
	default:
		return *(const uint64_t *)member;
	}
}

static void
number_store(const struct ctrl_field *f, uint64_t number, void *member)
{
	switch (f->kind) {
	case CTRL_U16:
		*(uint16_t *)member = (uint16_t)number;
		break;
	case CTRL_U32:
	case CTRL_ENUM:
		*(uint32_t *)member = (uint32_t)number;
		break;
	default:
		*(uint64_t *)member = number;
		break;
	}
}

static int
number_encode(const struct ctrl_field *f, const void *member, json_t **out)
{
	const uint64_t number = number_load(f, member);

	if (number < f->min || number > f->max)
		return -EINVAL;
	if (f->kind == CTRL_ENUM)
		*out = json_string(f->names[number]);
	else
		*out = json_integer((json_int_t)number);
	return 0;
}

int
ctrl_integer_decode(const char *what, const struct ctrl_field *row, const json_t *value,
	uint64_t *number, struct ep_err *err)
{
	const json_int_t given = json_integer_value(value);

	if (!json_is_integer(value))
		return bad(err, what, row->name, "a whole number");
	if (given < 0 || (uint64_t)given < row->min || (uint64_t)given > row->max)
		return ep_err_set(err, -EBADMSG,
			"%s from the peer: %s is %" JSON_INTEGER_FORMAT ", allowed: %" PRIu64
			" to %" PRIu64,
			what, row->name, given, row->min, row->max);
	*number = (uint64_t)given;
	return 0;
}

static int
number_decode(const char *what, const struct ctrl_field *f, const json_t *value, void *member,
	struct ep_err *err)
{
	uint64_t number;
	int ret;

	ret = ctrl_integer_decode(what, f, value, &number, err);
	if (ret < 0)
		return ret;
	number_store(f, number, member);
	return 0;
}

static int
enum_decode(const char *what, const struct ctrl_field *f, const json_t *value, void *member,
	struct ep_err *err)
{
	const char *text = json_string_value(value);

	for (uint64_t i = 0; text != NULL && i <= f->max; i++) {
		if (strcmp(text, f->names[i]) == 0) {
			number_store(f, i, member);
			return 0;
		}
	}
	return bad(err, what, f->name, "one of the names it can have");
}

static int
rate_encode(const void *member, json_t **out)
{
	const double rate_pps = *(const double *)member;

	if (!(rate_pps >= 0 && rate_pps <= CTRL_RATE_MAX_PPS))
		return -EINVAL;
	*out = json_real(rate_pps);
	return 0;
}

static int
rate_decode(const char *what, const struct ctrl_field *f, const json_t *value, void *member,
	struct ep_err *err)
{
	const double rate_pps = json_number_value(value);

	if (!json_is_number(value) || !(rate_pps >= 0 && rate_pps <= CTRL_RATE_MAX_PPS))
		return bad(err, what, f->name, "a number from 0 to 1e10");
	*(double *)member = rate_pps;
	return 0;
}

/* --- Text ------------------------------------------------------------------------------------- */

/** Whether valid UTF-8 has no control character: C0, DEL, or C1 (U+0080 to U+009F: 0xc2 and a byte below 0xa0). */
static bool
text_printable(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	for (; *p != '\0'; p++) {
		if (*p < 0x20 || *p == 0x7f || (*p == 0xc2 && p[1] < 0xa0))
			return false;
	}
	return true;
}

static json_t *
text_sanitised(const char *text, size_t len)
{
	char clean[TEXT_BYTES];

	for (size_t i = 0; i < len; i++)
		clean[i] = text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?';
	return json_stringn(clean, len);
}

static int
text_encode(const struct ctrl_field *f, const char *text, json_t **out)
{
	const size_t len = strnlen(text, f->max + 1);

	assert(f->max < TEXT_BYTES);
	if (len < f->min || len > f->max)
		return -EINVAL;
	*out = text_printable(text) ? json_stringn(text, len) : NULL;
	if (*out == NULL)
		*out = text_sanitised(text, len);
	return 0;
}

static int
text_decode(const char *what, const struct ctrl_field *f, const json_t *value, char *member,
	struct ep_err *err)
{
	const size_t len = json_string_length(value);

	if (!json_is_string(value))
		return bad(err, what, f->name, "text");
	if (len < f->min || len > f->max)
		return ep_err_set(err, -EBADMSG,
			"%s from the peer: %s has %zu bytes, allowed: %" PRIu64 " to %" PRIu64,
			what, f->name, len, f->min, f->max);
	if (!text_printable(json_string_value(value)))
		return bad(err, what, f->name, "text without control characters");
	memcpy(member, json_string_value(value), len + 1);
	return 0;
}

static int
ip_encode(const void *member, json_t **out)
{
	const struct ep_wire_ip *ip = member;
	char text[64];

	if (ip->family != EP_WIRE_IPV4 && ip->family != EP_WIRE_IPV6)
		return -EINVAL;
	*out = json_string(ep_wire_ip_format(text, sizeof(text), ip));
	return 0;
}

static int
ip_decode(const char *what, const struct ctrl_field *f, const json_t *value, void *member,
	struct ep_err *err)
{
	struct ep_wire_ip ip = {0};

	if (!json_is_string(value) || ep_wire_ip_parse(json_string_value(value), &ip, NULL) < 0)
		return bad(err, what, f->name, "an IP address");
	*(struct ep_wire_ip *)member = ip;
	return 0;
}

/* --- Hexadecimal ------------------------------------------------------------------------------ */

static json_t *
hex_encode(const uint8_t *bytes, size_t count)
{
	static const char digits[] = "0123456789abcdef";
	char text[2 * EP_WIRE_NONCE_BYTES];

	assert(2 * count <= sizeof(text));
	for (size_t i = 0; i < count; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	return json_stringn(text, 2 * count);
}

/** Value of a lower-case digit, or -1: one number has one spelling. */
static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static bool
hex_decode(const json_t *value, uint8_t *bytes, size_t count)
{
	const char *text = json_string_value(value);

	if (text == NULL || json_string_length(value) != 2 * count)
		return false;
	for (size_t i = 0; i < count; i++) {
		const int high = hex_digit(text[2 * i]);
		const int low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static json_t *
hex64_encode(const void *member)
{
	const uint64_t number = *(const uint64_t *)member;
	uint8_t bytes_be[HEX64_BYTES];

	for (size_t i = 0; i < HEX64_BYTES; i++)
		bytes_be[i] = (uint8_t)(number >> (56 - 8 * i));
	return hex_encode(bytes_be, HEX64_BYTES);
}

static int
hex64_decode(const char *what, const struct ctrl_field *f, const json_t *value, void *member,
	struct ep_err *err)
{
	uint8_t bytes_be[HEX64_BYTES];
	uint64_t number = 0;

	if (!hex_decode(value, bytes_be, HEX64_BYTES))
		return bad(err, what, f->name, "16 lower-case hexadecimal digits");
	for (size_t i = 0; i < HEX64_BYTES; i++)
		number = number << 8 | bytes_be[i];
	*(uint64_t *)member = number;
	return 0;
}

/* --- A row, a table --------------------------------------------------------------------------- */

static int
field_encode(const struct ctrl_field *f, const void *member, json_t **out)
{
	switch (f->kind) {
	case CTRL_RATE:
		return rate_encode(member, out);
	case CTRL_TEXT:
		return text_encode(f, member, out);
	case CTRL_IP:
		return ip_encode(member, out);
	case CTRL_BOOL:
	case CTRL_FLAG:
		*out = json_boolean(*(const bool *)member);
		return 0;
	case CTRL_HEX64:
		*out = hex64_encode(member);
		return 0;
	case CTRL_NONCE:
		*out = hex_encode(member, EP_WIRE_NONCE_BYTES);
		return 0;
	default:
		return number_encode(f, member, out);
	}
}

static int
field_decode(const char *what, const struct ctrl_field *f, const json_t *value, void *member,
	struct ep_err *err)
{
	switch (f->kind) {
	case CTRL_RATE:
		return rate_decode(what, f, value, member, err);
	case CTRL_TEXT:
		return text_decode(what, f, value, member, err);
	case CTRL_IP:
		return ip_decode(what, f, value, member, err);
	case CTRL_BOOL:
	case CTRL_FLAG:
		if (!json_is_boolean(value))
			return bad(err, what, f->name, "true or false");
		*(bool *)member = json_is_true(value);
		return 0;
	case CTRL_HEX64:
		return hex64_decode(what, f, value, member, err);
	case CTRL_NONCE:
		if (!hex_decode(value, member, EP_WIRE_NONCE_BYTES))
			return bad(err, what, f->name, "32 lower-case hexadecimal digits");
		return 0;
	case CTRL_ENUM:
		return enum_decode(what, f, value, member, err);
	default:
		return number_decode(what, f, value, member, err);
	}
}

int
ctrl_fields_encode(const struct ctrl_fields *fields, const void *body, json_t *object)
{
	for (size_t i = 0; i < fields->count; i++) {
		const struct ctrl_field *f = &fields->field[i];
		json_t *value = NULL;
		int ret;

		if (f->kind == CTRL_FLAG && !*(const bool *)((const uint8_t *)body + f->offset))
			continue;
		ret = field_encode(f, (const uint8_t *)body + f->offset, &value);
		if (ret < 0)
			return ret;
		if (json_object_set_new(object, f->name, value) < 0)
			return -ENOMEM;
	}
	return 0;
}

int
ctrl_fields_decode(const char *what, const struct ctrl_fields *fields, const json_t *object,
	void *body, struct ep_err *err)
{
	for (size_t i = 0; i < fields->count; i++) {
		const struct ctrl_field *f = &fields->field[i];
		const json_t *value = json_object_get(object, f->name);
		int ret;

		if (value == NULL && f->kind == CTRL_FLAG)
			continue;
		if (value == NULL)
			return ep_err_set(
				err, -EBADMSG, "%s from the peer: %s is missing", what, f->name);
		ret = field_decode(what, f, value, (uint8_t *)body + f->offset, err);
		if (ret < 0)
			return ret;
	}
	return 0;
}

json_t *
ctrl_array_decode(const char *what, const char *name, const json_t *object, size_t min, size_t max,
	struct ep_err *err)
{
	json_t *array = json_object_get(object, name);
	const size_t count = json_array_size(array);

	if (!json_is_array(array)) {
		bad(err, what, name, "an array");
		return NULL;
	}
	if (count < min || count > max) {
		ep_err_set(err, -EBADMSG,
			"%s from the peer: %s has %zu entries, allowed: %zu to %zu", what, name,
			count, min, max);
		return NULL;
	}
	return array;
}
