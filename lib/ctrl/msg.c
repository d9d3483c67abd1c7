/*
 * The messages: a table of fields each, and by hand what a table cannot say (arrays). docs/control-protocol.md has the same
 * tables for people.
 */

#include "ctrl_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define COUNT_MAX INT64_MAX
#define FRAME_BYTES_MIN 64
#define FRAME_BYTES_MAX 9018

#define FIELDS(rows)                                         \
	{                                                    \
		.field = (rows), .count = EP_ARRAY_LEN(rows) \
	}

static const char *const mode_names[] = {
	[EP_CTRL_MODE_ECHO] = "echo",
	[EP_CTRL_MODE_UP] = "up",
	[EP_CTRL_MODE_DOWN] = "down",
	[EP_CTRL_MODE_BOTH] = "both",
};

static const char *const refusal_names[] = {
	[EP_CTRL_REFUSE_BUSY] = "busy",
	[EP_CTRL_REFUSE_LIMIT] = "limit",
	[EP_CTRL_REFUSE_VERSION] = "version",
	[EP_CTRL_REFUSE_INVALID] = "invalid",
	[EP_CTRL_REFUSE_FAILED] = "failed",
};

const char *
ep_ctrl_mode_name(enum ep_ctrl_mode mode)
{
	return (size_t)mode < EP_ARRAY_LEN(mode_names) ? mode_names[mode] : "unknown";
}

/* --- Tables ----------------------------------------------------------------------------------- */

#define AT(member) offsetof(struct ep_ctrl_hello, member)
static const struct ctrl_field hello_rows[] = {
	{"tool", CTRL_TEXT, AT(tool), 1, 31, NULL},
	{"ports", CTRL_TEXT, AT(ports), 1, 1023, NULL},
	{"initiator", CTRL_IP, AT(initiator), 0, 0, NULL},
	{"control_apart", CTRL_FLAG, AT(control_apart), 0, 0, NULL},
	{"source_count", CTRL_U32, AT(source_count), 1, 65536, NULL},
	{"source_base", CTRL_U16, AT(source_base), 0, 65535, NULL},
	{"source_span", CTRL_U32, AT(source_span), 1, 65536, NULL},
	{"seed", CTRL_HEX64, AT(seed), 0, 0, NULL},
	{"rate_pps", CTRL_RATE, AT(rate_pps), 0, 0, NULL},
	{"frame_bytes_max", CTRL_U16, AT(frame_bytes_max), FRAME_BYTES_MIN, FRAME_BYTES_MAX, NULL},
	{"duration_ns", CTRL_U64, AT(duration_ns), 0, EP_CTRL_DURATION_MAX_NS, NULL},
	{"drain_ns", CTRL_U64, AT(drain_ns), 0, EP_CTRL_DURATION_MAX_NS, NULL},
	{"sweeps", CTRL_U32, AT(sweeps), 0, EP_CTRL_SWEEPS_MAX, NULL},
};
#undef AT

#define AT(member) offsetof(struct ep_ctrl_welcome, member)
static const struct ctrl_field welcome_rows[] = {
	{"tool", CTRL_TEXT, AT(tool), 1, 31, NULL},
	{"responder", CTRL_IP, AT(responder), 0, 0, NULL},
	{"limit_pps", CTRL_RATE, AT(limit_pps), 0, 0, NULL},
	{"limit_duration_ns", CTRL_U64, AT(limit_duration_ns), 0, COUNT_MAX, NULL},
	{"limit_flows", CTRL_U64, AT(limit_flows), 0, COUNT_MAX, NULL},
	{"cpu", CTRL_TEXT, AT(cpu), 0, 127, NULL},
	{"driver", CTRL_TEXT, AT(driver), 0, 63, NULL},
};
#undef AT

#define AT(member) offsetof(struct ep_ctrl_listen, member)
static const struct ctrl_field listen_rows[] = {
	{"port", CTRL_U16, AT(port), 1, 65535, NULL},
	{"ours", CTRL_BOOL, AT(ours), 0, 0, NULL},
	{"text", CTRL_TEXT, AT(text), 0, 127, NULL},
};
#undef AT
static const struct ctrl_fields listen_fields = FIELDS(listen_rows);

#define AT(member) offsetof(struct ep_ctrl_refuse, member)
static const struct ctrl_field refuse_rows[] = {
	{"code", CTRL_ENUM, AT(code), 0, EP_ARRAY_LEN(refusal_names) - 1, refusal_names},
	{"text", CTRL_TEXT, AT(text), 0, 511, NULL},
};
#undef AT

#define AT(member) offsetof(struct ep_ctrl_prepare, member)
static const struct ctrl_field prepare_rows[] = {
	{"trial", CTRL_U32, AT(trial), 0, UINT32_MAX, NULL},
	{"sweep", CTRL_BOOL, AT(sweep), 0, 0, NULL},
	{"mode", CTRL_ENUM, AT(mode), 0, EP_ARRAY_LEN(mode_names) - 1, mode_names},
	{"nonce", CTRL_NONCE, AT(nonce), 0, 0, NULL},
	{"rate_pps", CTRL_RATE, AT(rate_pps), 0, 0, NULL},
	{"duration_ns", CTRL_U64, AT(duration_ns), 1, EP_CTRL_DURATION_MAX_NS, NULL},
	{"burst_pkts", CTRL_U32, AT(burst_pkts), 0, EP_CTRL_BURST_MAX, NULL},
};
#undef AT

static const struct ctrl_field ready_rows[] = {
	{"nonce", CTRL_NONCE, 0, 0, 0, NULL},
};

#define AT(member) offsetof(struct ep_ctrl_beat, member)
static const struct ctrl_field beat_rows[] = {
	{"trial", CTRL_U32, AT(trial), 0, UINT32_MAX, NULL},
	{"sent", CTRL_U64, AT(sent), 0, COUNT_MAX, NULL},
	{"received", CTRL_U64, AT(received), 0, COUNT_MAX, NULL},
	{"tx_done", CTRL_BOOL, AT(tx_done), 0, 0, NULL},
};
#undef AT

static const struct ctrl_field report_rows[] = {
	{"trial", CTRL_U32, offsetof(struct ep_ctrl_report, trial), 0, UINT32_MAX, NULL},
};

static const struct ctrl_field size_row = {
	"frame_bytes", CTRL_U16, 0, FRAME_BYTES_MIN, FRAME_BYTES_MAX, NULL};

/* --- Arrays that are short -------------------------------------------------------------------- */

static int
sizes_encode(const void *body, json_t *object)
{
	const struct ep_ctrl_prepare *prepare = body;
	json_t *array = json_array();

	if (json_object_set_new(object, "frame_bytes", array) < 0)
		return -ENOMEM;
	if (prepare->size_count < 1 || prepare->size_count > EP_ARRAY_LEN(prepare->frame_bytes))
		return -EINVAL;
	if (prepare->sweep && prepare->mode != EP_CTRL_MODE_ECHO)
		return -EINVAL;
	for (uint32_t i = 0; i < prepare->size_count; i++) {
		const uint16_t bytes = prepare->frame_bytes[i];

		if (bytes < FRAME_BYTES_MIN || bytes > FRAME_BYTES_MAX)
			return -EINVAL;
		if (json_array_append_new(array, json_integer(bytes)) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int
sizes_decode(
	const char *what, const json_t *object, uint32_t port_count, void *body, struct ep_err *err)
{
	struct ep_ctrl_prepare *prepare = body;
	const json_t *array = ctrl_array_decode(
		what, "frame_bytes", object, 1, EP_ARRAY_LEN(prepare->frame_bytes), err);

	(void)port_count;
	if (array == NULL)
		return -EBADMSG;
	if (prepare->sweep && prepare->mode != EP_CTRL_MODE_ECHO)
		return ep_err_set(
			err, -EBADMSG, "%s from the peer: a sweep must have mode echo", what);
	prepare->size_count = (uint32_t)json_array_size(array);
	for (uint32_t i = 0; i < prepare->size_count; i++) {
		uint64_t bytes;
		const int ret =
			ctrl_integer_decode(what, &size_row, json_array_get(array, i), &bytes, err);

		if (ret < 0)
			return ret;
		prepare->frame_bytes[i] = (uint16_t)bytes;
	}
	return 0;
}

static int
listen_encode(const void *body, json_t *object)
{
	const struct ep_ctrl_welcome *welcome = body;
	json_t *array = json_array();

	if (json_object_set_new(object, "listen", array) < 0)
		return -ENOMEM;
	if (welcome->listen_count > EP_CTRL_LISTEN_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < welcome->listen_count; i++) {
		json_t *entry = json_object();
		int ret;

		if (json_array_append_new(array, entry) < 0)
			return -ENOMEM;
		ret = ctrl_fields_encode(&listen_fields, &welcome->listen[i], entry);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int
listen_decode(
	const char *what, const json_t *object, uint32_t port_count, void *body, struct ep_err *err)
{
	struct ep_ctrl_welcome *welcome = body;
	const json_t *array = ctrl_array_decode(what, "listen", object, 0, EP_CTRL_LISTEN_MAX, err);

	(void)port_count;
	if (array == NULL)
		return -EBADMSG;
	welcome->listen_count = (uint32_t)json_array_size(array);
	for (uint32_t i = 0; i < welcome->listen_count; i++) {
		const json_t *entry = json_array_get(array, i);
		int ret;

		if (!json_is_object(entry) || json_object_size(entry) != listen_fields.count)
			return ep_err_set(err, -EBADMSG,
				"%s from the peer: each entry of listen must be an object of %zu "
				"fields",
				what, listen_fields.count);
		ret = ctrl_fields_decode(what, &listen_fields, entry, &welcome->listen[i], err);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int
welcome_encode(const void *body, json_t *object)
{
	const int ret = listen_encode(body, object);

	return ret == 0 ? ctrl_sources_encode(body, object) : ret;
}

static int
welcome_decode(
	const char *what, const json_t *object, uint32_t port_count, void *body, struct ep_err *err)
{
	const int ret = listen_decode(what, object, port_count, body, err);

	return ret == 0 ? ctrl_sources_decode(what, object, body, err) : ret;
}

/* --- Messages --------------------------------------------------------------------------------- */

/** How a message is written and read. */
struct msg_spec {
	const char *type;
	struct ctrl_fields fields;
	size_t part_count; /**< Keys that the two functions add; 0: there are none. */
	int (*encode_parts)(const void *body, json_t *object);
	int (*decode_parts)(const char *what, const json_t *object, uint32_t port_count, void *body,
		struct ep_err *err);
};

static const struct msg_spec specs[CTRL_MSGS] = {
	[CTRL_HELLO] = {"hello", FIELDS(hello_rows), 1, ctrl_spread_encode, ctrl_spread_decode},
	[CTRL_WELCOME] = {"welcome", FIELDS(welcome_rows), 2, welcome_encode, welcome_decode},
	[CTRL_REFUSE] = {"refuse", FIELDS(refuse_rows), 0, NULL, NULL},
	[CTRL_PREPARE] = {"prepare", FIELDS(prepare_rows), 1, sizes_encode, sizes_decode},
	[CTRL_READY] = {"ready", FIELDS(ready_rows), 0, NULL, NULL},
	[CTRL_START] = {"start", {NULL, 0}, 0, NULL, NULL},
	[CTRL_STARTED] = {"started", {NULL, 0}, 0, NULL, NULL},
	[CTRL_BEAT] = {"beat", FIELDS(beat_rows), 0, NULL, NULL},
	[CTRL_DRAIN] = {"drain", {NULL, 0}, 0, NULL, NULL},
	[CTRL_COLLECT] = {"collect", {NULL, 0}, 0, NULL, NULL},
	[CTRL_REPORT] = {"report", FIELDS(report_rows), CTRL_REPORT_PARTS, ctrl_report_encode,
		ctrl_report_decode},
	[CTRL_BYE] = {"bye", {NULL, 0}, 0, NULL, NULL},
};

/** Keys of the envelope: "v" and "type". */
#define ENVELOPE_KEYS 2

const char *
ctrl_msg_name(enum ctrl_msg msg)
{
	return specs[msg].type;
}

/* An unknown key must not take the place of an optional one. */
static size_t
keys_allowed(const struct msg_spec *spec, const json_t *object)
{
	size_t keys = ENVELOPE_KEYS + spec->fields.count + spec->part_count;

	for (size_t i = 0; i < spec->fields.count; i++)
		keys -= spec->fields.field[i].kind == CTRL_FLAG &&
			json_object_get(object, spec->fields.field[i].name) == NULL;
	return keys;
}

int
ctrl_optional_check(enum ctrl_msg msg, const json_t *object, const char *name, struct ep_err *err)
{
	const struct msg_spec *spec = &specs[msg];
	const size_t keys = keys_allowed(spec, object);

	if (json_object_get(object, name) != NULL || json_object_size(object) < keys)
		return 0;
	return ep_err_set(err, -EBADMSG, "%s from the peer: has %zu fields, allowed: %zu",
		spec->type, json_object_size(object), keys - 1);
}

static int
object_fill(enum ctrl_msg msg, const void *body, json_t *object)
{
	const struct msg_spec *spec = &specs[msg];
	int ret;

	if (json_object_set_new(object, "v", json_integer(EP_CTRL_VERSION)) < 0 ||
		json_object_set_new(object, "type", json_string(spec->type)) < 0)
		return -ENOMEM;
	ret = ctrl_fields_encode(&spec->fields, body, object);
	if (ret == 0 && spec->encode_parts != NULL)
		ret = spec->encode_parts(body, object);
	return ret;
}

int
ctrl_msg_encode(enum ctrl_msg msg, const void *body, struct ctrl_buf *out)
{
	json_t *object = json_object();
	int ret;

	if (object == NULL)
		return -ENOMEM;
	ret = object_fill(msg, body, object);
	if (ret == 0)
		ret = ctrl_frame_append(out, object);
	json_decref(object);
	return ret;
}

static int
type_find(const char *type, enum ctrl_msg *msg)
{
	for (size_t i = 0; type != NULL && i < CTRL_MSGS; i++) {
		if (strcmp(type, specs[i].type) == 0) {
			*msg = (enum ctrl_msg)i;
			return 0;
		}
	}
	return -EBADMSG;
}

static int
envelope_read(struct ctrl_envelope *envelope, struct ep_err *err)
{
	const json_t *version = json_object_get(envelope->object, "v");
	const char *type = json_string_value(json_object_get(envelope->object, "type"));

	if (!json_is_object(envelope->object))
		return ep_err_set(err, -EBADMSG, "message from the peer is no JSON object");
	if (!json_is_integer(version) || type == NULL)
		return ep_err_set(err, -EBADMSG,
			"message from the peer must have a version \"v\" and a \"type\"");
	envelope->version = json_integer_value(version);
	envelope->is_hello = strcmp(type, specs[CTRL_HELLO].type) == 0;
	if (envelope->version != EP_CTRL_VERSION)
		return 0;
	if (type_find(type, &envelope->msg) < 0)
		return ep_err_set(err, -EBADMSG, "message from the peer is of an unknown type");
	return 0;
}

int
ctrl_msg_open(const uint8_t *json, size_t len, struct ctrl_envelope *envelope, struct ep_err *err)
{
	json_error_t error = {0};
	int ret;

	*envelope = (struct ctrl_envelope){0};
	envelope->object = json_loadb((const char *)json, len, JSON_REJECT_DUPLICATES, &error);
	/* Out of memory jansson mostly gives no reason at all, but inside a token it blames the token. */
	if (envelope->object == NULL &&
		(json_error_code(&error) == json_error_out_of_memory ||
			json_error_code(&error) == json_error_unknown))
		return ep_err_set(err, -ENOMEM, "no memory for a message of %zu B", len);
	if (envelope->object == NULL)
		return ep_err_set(err, -EBADMSG,
			"message from the peer is no valid JSON (at byte %d)", error.position);
	ret = envelope_read(envelope, err);
	if (ret < 0)
		json_decref(envelope->object);
	return ret;
}

int
ctrl_msg_decode(
	const struct ctrl_envelope *envelope, uint32_t port_count, void *body, struct ep_err *err)
{
	const struct msg_spec *spec = &specs[envelope->msg];
	const size_t keys = keys_allowed(spec, envelope->object);
	int ret;

	ret = ctrl_fields_decode(spec->type, &spec->fields, envelope->object, body, err);
	if (ret < 0)
		return ret;
	/* Parts may allocate, so what needs no look at them comes first. */
	if (json_object_size(envelope->object) > keys)
		return ep_err_set(err, -EBADMSG, "%s from the peer: has %zu fields, allowed: %zu",
			spec->type, json_object_size(envelope->object), keys);
	if (spec->decode_parts == NULL)
		return 0;
	return spec->decode_parts(spec->type, envelope->object, port_count, body, err);
}
