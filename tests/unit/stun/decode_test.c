/* The decoder against every damage to a message, and against what a far side may not send. */

#include "stun_model.h"

#include <errno.h>
#include <fuzz.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t txid[EP_STUN_TXID_BYTES] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

static void
assert_same_text(struct ep_stun_bytes a, struct ep_stun_bytes b)
{
	assert_int_equal(a.len, b.len);
	if (a.len > 0)
		assert_memory_equal(a.bytes, b.bytes, a.len);
}

/* ---- Damage ---- */

/* Decode a copy of exactly these bytes, so that a sanitiser sees what is read behind them. */
static int
decode_exact(const uint8_t *bytes, size_t len, struct ep_stun_msg *msg, const char *password)
{
	uint8_t *const copy = fuzz_exact_copy(bytes, len);
	const struct ep_stun_bytes view = {copy, len};
	struct ep_err err = {0};
	int ret = ep_stun_decode(view, msg, &err);

	if (ret < 0) {
		assert_true(strlen(err.text) > 0);
		assert_int_equal(err.code, ret);
	} else if (password != NULL) {
		ret = ep_stun_integrity_check(msg, view, ep_stun_text(password));
	}
	free(copy);
	return ret;
}

/* One message of each shape, with FINGERPRINT and integrity. */
static void
sample_encode(bool fingerprint, struct ep_stun_buf *out)
{
	const struct ep_stun_bytes key = ep_stun_text("secret");
	struct ep_stun_msg msg;

	ep_stun_msg_init(&msg, EP_STUN_ERROR, EP_STUN_ALLOCATE, txid);
	msg.has = EP_STUN_HAS_ERROR | EP_STUN_HAS_REALM | EP_STUN_HAS_NONCE | EP_STUN_HAS_SOFTWARE |
		EP_STUN_HAS_XOR_MAPPED | EP_STUN_HAS_MAPPED | EP_STUN_HAS_UNKNOWN |
		(fingerprint ? EP_STUN_HAS_FINGERPRINT : 0);
	assert_int_equal(ep_wire_ip_parse("2001:db8::1", &msg.xor_mapped.ip, NULL), 0);
	assert_int_equal(ep_wire_ip_parse("192.0.2.1", &msg.mapped.ip, NULL), 0);
	msg.error_code = EP_STUN_UNAUTHENTICATED;
	msg.reason = ep_stun_text("Unauthorized");
	msg.realm = ep_stun_text("livekit");
	msg.nonce = ep_stun_text("0123456789abcde");
	msg.software = ep_stun_text("none");
	msg.unknown_count = 1;
	assert_int_equal(ep_stun_encode(&msg, &key, out), 0);
}

static void
every_truncation_is_refused(void **state)
{
	struct ep_stun_buf out;
	struct ep_stun_msg msg;

	(void)state;
	sample_encode(false, &out);
	for (size_t len = 0; len < out.len; len++)
		assert_int_equal(decode_exact(out.bytes, len, &msg, NULL),
			len < EP_STUN_HEADER_BYTES ? -EPROTO : -EBADMSG);
	assert_int_equal(decode_exact(out.bytes, out.len, &msg, "secret"), 0);
}

/* The same with a length that is right, so that the end cuts through attributes. */
static void
every_cut_through_the_attributes_is_refused_or_at_their_border(void **state)
{
	struct ep_stun_buf out;
	struct ep_stun_msg msg;
	size_t whole = 0;

	(void)state;
	sample_encode(false, &out);
	for (size_t len = EP_STUN_HEADER_BYTES; len < out.len; len += 4) {
		out.bytes[2] = (uint8_t)((len - EP_STUN_HEADER_BYTES) >> 8);
		out.bytes[3] = (uint8_t)(len - EP_STUN_HEADER_BYTES);
		whole += decode_exact(out.bytes, len, &msg, NULL) == 0;
		assert_int_not_equal(decode_exact(out.bytes, len, &msg, "secret"), 0);
	}
	assert_int_equal(whole, 8); /* none, then 7 attributes; with the eighth it is not cut */
}

/* A change of an attribute's type or length can hide the FINGERPRINT, which the caller sees; it is never taken as right. */
static void
no_changed_byte_leaves_the_fingerprint_right(void **state)
{
	struct ep_stun_buf out;
	struct ep_stun_msg msg;
	size_t hidden = 0;

	(void)state;
	sample_encode(true, &out);
	for (size_t at = 0; at < out.len; at++)
		for (unsigned int flip = 1; flip < 256; flip++) {
			int ret;

			out.bytes[at] ^= (uint8_t)flip;
			ret = decode_exact(out.bytes, out.len, &msg, NULL);
			out.bytes[at] ^= (uint8_t)flip;
			if (ret == 0)
				assert_false(msg.has & EP_STUN_HAS_FINGERPRINT);
			else
				assert_true(ret == -EBADMSG || ret == -EPROTO);
			hidden += ret == 0;
		}
	/* 2 bytes of its own type, each to 255 others; and what few lengths reach to the end. */
	assert_in_range(hidden, 2 * 255, 2 * 255 + 20);
}

static void
every_changed_byte_is_noticed_by_the_integrity(void **state)
{
	struct ep_stun_buf out;
	struct ep_stun_msg msg;

	(void)state;
	sample_encode(false, &out);
	for (size_t at = 0; at < out.len; at++)
		for (unsigned int flip = 1; flip < 256; flip++) {
			out.bytes[at] ^= (uint8_t)flip;
			if (decode_exact(out.bytes, out.len, &msg, "secret") == 0)
				fail_msg("byte %zu changed by 0x%02x was taken", at, flip);
			out.bytes[at] ^= (uint8_t)flip;
		}
}

/* ---- What is not decoded ---- */

/* One attribute, and what the sentence about it must name. */
static void
malformed_attributes_are_refused_with_their_name(void **state)
{
	static const uint8_t zeros[1024];
	static const struct {
		uint16_t type;
		const char *value;
		size_t len;
		const char *want;
	} cases[] = {
		{0x0001, "\0\1\1\1\1\1\1", 7, "MAPPED-ADDRESS of 7 B"},
		{0x0001, "\0\2\1\1\1\1\1\1", 8, "address family 2"},
		{0x0001, "\0\0\1\1\1\1\1\1", 8, "address family 0"},
		{0x0020, (const char *)zeros, 20,
			"XOR-MAPPED-ADDRESS of 20 B and address family 0"},
		{0x0016, (const char *)zeros, 0, "XOR-RELAYED-ADDRESS of 0 B"},
		{0x0009, "\0\0\4", 3, "ERROR-CODE of 3 B"},
		{0x0009, "\0\0\4\x64", 4, "class 4 and number 100"},
		{0x0009, "\0\0\2\1", 4, "class 2"},
		{0x0009, "\0\0\7\1", 4, "class 7"},
		{0x000A, "\0\1\2", 3, "UNKNOWN-ATTRIBUTES of 3 B"},
		{0x0024, "\1\2\3\4\5", 5, "PRIORITY of 5 B, allowed: 4"},
		{0x0025, "\1", 1, "USE-CANDIDATE of 1 B, allowed: 0"},
		{0x8029, "\1\2\3\4", 4, "ICE-CONTROLLED of 4 B, allowed: 8"},
		{0x0019, "\x11", 1, "REQUESTED-TRANSPORT of 1 B"},
		{0x000D, "", 0, "LIFETIME of 0 B"},
		{0x0006, (const char *)zeros, EP_STUN_USERNAME_MAX + 1, "USERNAME of 509 B"},
		{0x0014, (const char *)zeros, EP_STUN_TEXT_DECODE_MAX + 1, "REALM of 764 B"},
		{0x0015, (const char *)zeros, EP_STUN_TEXT_DECODE_MAX + 1, "NONCE of 764 B"},
		{0x8022, (const char *)zeros, EP_STUN_TEXT_DECODE_MAX + 1, "SOFTWARE of 764 B"},
		{0x0008, (const char *)zeros, 19, "MESSAGE-INTEGRITY of 19 B"},
		{0x8028, "\1\2\3", 3, "FINGERPRINT of 3 B"},
		{0x8028, "\1\2\3\4", 4, "wrong FINGERPRINT"},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(cases); i++) {
		struct ep_stun_msg msg = {.method = 77};
		struct ep_err err = {0};
		struct model m;

		model_begin(&m, 0x0101);
		model_put(&m, cases[i].type, cases[i].value, cases[i].len, 0);
		assert_int_equal(ep_stun_decode(model_bytes(&m), &msg, &err), -EBADMSG);
		if (strstr(err.text, cases[i].want) == NULL)
			fail_msg("'%s' does not say '%s'", err.text, cases[i].want);
		assert_int_equal(msg.method, 77); /* not touched */
	}
}

static void
longest_texts_are_taken(void **state)
{
	static const uint8_t zeros[1024];
	struct ep_stun_msg msg;
	struct model m;

	(void)state;
	model_begin(&m, 0x0101);
	model_put(&m, 0x0006, zeros, EP_STUN_USERNAME_MAX, 0);
	model_put(&m, 0x0014, zeros, EP_STUN_TEXT_DECODE_MAX, 0);
	assert_int_equal(ep_stun_decode(model_bytes(&m), &msg, NULL), 0);
	assert_int_equal(msg.username.len, EP_STUN_USERNAME_MAX);
	assert_int_equal(msg.realm.len, EP_STUN_TEXT_DECODE_MAX);
}

static void
both_ice_roles_and_a_fingerprint_that_is_not_last_are_refused(void **state)
{
	struct ep_err err = {0};
	struct ep_stun_msg msg;
	struct model m;

	(void)state;
	model_begin(&m, 0x0001);
	model_put(&m, 0x8029, "12345678", 8, 0);
	model_put(&m, 0x802A, "12345678", 8, 0);
	assert_int_equal(ep_stun_decode(model_bytes(&m), &msg, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "both"));

	model_begin(&m, 0x0001);
	model_put_fingerprint(&m);
	assert_int_equal(ep_stun_decode(model_bytes(&m), &msg, NULL), 0);
	model_put(&m, 0x8022, "x", 1, 0);
	assert_int_equal(ep_stun_decode(model_bytes(&m), &msg, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "behind FINGERPRINT"));
}

static void
other_protocols_are_told_from_stun(void **state)
{
	static const char *const other[] = {
		"HTTP/1.1 400 Bad Request\r\n\r\n",
		"\x16\xFE\xFD\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01",
		"\x15\x03\x03\x01\x01\x02\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01",
		"\x80\x60\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01",
		"",
	};
	struct ep_stun_msg msg;
	struct model m;

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(other); i++) {
		assert_false(ep_stun_looks_like(ep_stun_text(other[i])));
		assert_int_equal(ep_stun_decode(ep_stun_text(other[i]), &msg, NULL), -EPROTO);
	}
	model_begin(&m, 0x4001); /* the first bits make it channel data */
	assert_int_equal(ep_stun_decode(model_bytes(&m), &msg, NULL), -EPROTO);
	model_begin(&m, 0x0001);
	m.bytes[3] = 2; /* not a multiple of 4 */
	m.len += 2;
	assert_false(ep_stun_looks_like(model_bytes(&m)));
	assert_int_equal(ep_stun_decode(model_bytes(&m), &msg, NULL), -EBADMSG);
}

/* ---- What is passed over ---- */

static void
first_of_equal_attributes_counts(void **state)
{
	struct ep_stun_msg msg;
	struct model m;

	(void)state;
	model_begin(&m, 0x0001);
	model_put(&m, 0x0014, "first", 5, 0);
	model_put(&m, 0x0014, "second", 6, 0);
	assert_int_equal(ep_stun_decode(model_bytes(&m), &msg, NULL), 0);
	assert_same_text(msg.realm, ep_stun_text("first"));
}

static void
what_lies_behind_the_integrity_is_ignored(void **state)
{
	struct ep_stun_msg msg;
	struct model m;

	(void)state;
	model_begin(&m, 0x0001);
	model_put(&m, 0x0006, "a:b", 3, ' ');
	model_put_integrity(&m, "secret");
	model_put(&m, 0x0014, "forged", 6, 0);
	model_put(&m, 0x7001, "", 0, 0);
	model_put(&m, 0x0008, "12345678901234567890", 20, 0);
	model_put_fingerprint(&m);
	assert_int_equal(ep_stun_decode(model_bytes(&m), &msg, NULL), 0);
	assert_int_equal(
		msg.has, EP_STUN_HAS_USERNAME | EP_STUN_HAS_INTEGRITY | EP_STUN_HAS_FINGERPRINT);
	assert_int_equal(msg.not_understood_count, 0);
	assert_int_equal(ep_stun_integrity_check(&msg, model_bytes(&m), ep_stun_text("secret")), 0);
}

static void
attributes_that_had_to_be_understood_are_listed(void **state)
{
	struct ep_stun_msg msg;
	struct model m;

	(void)state;
	model_begin(&m, 0x0001);
	model_put(&m, 0x8FFF, "any", 3, 0);
	for (uint16_t i = 0; i < EP_STUN_UNKNOWN_MAX + 4; i++)
		model_put(&m, (uint16_t)(0x7000 + i), "", 0, 0);
	assert_int_equal(ep_stun_decode(model_bytes(&m), &msg, NULL), 0);
	assert_int_equal(msg.not_understood_count, EP_STUN_UNKNOWN_MAX);
	for (uint16_t i = 0; i < EP_STUN_UNKNOWN_MAX; i++)
		assert_int_equal(msg.not_understood[i], 0x7000 + i);
}

static void
long_lists_of_unknown_attributes_are_cut(void **state)
{
	uint8_t list[2 * (EP_STUN_UNKNOWN_MAX + 5)];
	struct ep_stun_msg msg;
	struct model m;

	(void)state;
	memset(list, 0x11, sizeof(list));
	model_begin(&m, 0x0111);
	model_put(&m, 0x000A, list, sizeof(list), 0);
	assert_int_equal(ep_stun_decode(model_bytes(&m), &msg, NULL), 0);
	assert_int_equal(msg.unknown_count, EP_STUN_UNKNOWN_MAX);
	assert_int_equal(msg.unknown[EP_STUN_UNKNOWN_MAX - 1], 0x1111);
}

static void
mapped_address_is_taken_from_an_old_server_too(void **state)
{
	struct ep_stun_msg msg = {.has = EP_STUN_HAS_MAPPED};

	(void)state;
	assert_ptr_equal(ep_stun_mapped(&msg), &msg.mapped);
	msg.has = 0;
	assert_null(ep_stun_mapped(&msg));
}

static void
texts_of_the_far_side_are_shown_without_control_characters(void **state)
{
	char buf[8];

	(void)state;
	assert_string_equal(
		ep_stun_text_format(buf, sizeof(buf), ep_stun_text("a\033[\xC3\n~ long")),
		"a?[??~ ");
	assert_string_equal(ep_stun_text_format(buf, 1, ep_stun_text("a")), "");
	assert_string_equal(ep_stun_text_format(buf, sizeof(buf), (struct ep_stun_bytes){0}), "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(every_cut_through_the_attributes_is_refused_or_at_their_border),
		cmocka_unit_test(no_changed_byte_leaves_the_fingerprint_right),
		cmocka_unit_test(every_changed_byte_is_noticed_by_the_integrity),
		cmocka_unit_test(malformed_attributes_are_refused_with_their_name),
		cmocka_unit_test(longest_texts_are_taken),
		cmocka_unit_test(both_ice_roles_and_a_fingerprint_that_is_not_last_are_refused),
		cmocka_unit_test(other_protocols_are_told_from_stun),
		cmocka_unit_test(first_of_equal_attributes_counts),
		cmocka_unit_test(what_lies_behind_the_integrity_is_ignored),
		cmocka_unit_test(attributes_that_had_to_be_understood_are_listed),
		cmocka_unit_test(long_lists_of_unknown_attributes_are_cut),
		cmocka_unit_test(mapped_address_is_taken_from_an_old_server_too),
		cmocka_unit_test(texts_of_the_far_side_are_shown_without_control_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
