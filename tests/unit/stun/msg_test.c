/* Encoder and decoder against each other, against the model, and against every damage to a message. */

#include "stun_model.h"

#include <errno.h>
#include <fuzz.h>
#include <setjmp.h>
#include <sim.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS 2000

static uint64_t seed;
static const uint8_t txid[EP_STUN_TXID_BYTES] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

/* ---- Random messages ---- */

/* Texts of random messages point here. */
static uint8_t pool[4096];

static struct ep_stun_bytes
random_text(uint64_t *random, size_t max)
{
	return (struct ep_stun_bytes){
		pool + sim_below(random, sizeof(pool) - max), sim_below(random, max + 1)};
}

static struct ep_stun_addr
random_addr(uint64_t *random)
{
	struct ep_stun_addr addr = {.port = (uint16_t)sim_random(random)};
	const bool ipv6 = sim_below(random, 2) != 0;

	addr.ip.family = ipv6 ? EP_WIRE_IPV6 : EP_WIRE_IPV4;
	for (size_t i = 0; i < (ipv6 ? 16u : 4u); i++)
		addr.ip.bytes_be[i] = (uint8_t)sim_random(random);
	return addr;
}

static void
random_msg(uint64_t *random, struct ep_stun_msg *msg)
{
	ep_stun_msg_init(msg, (enum ep_stun_class)sim_below(random, 4),
		(uint16_t)sim_below(random, 0x1000), txid);
	msg->has = (uint32_t)sim_random(random) & (EP_STUN_HAS_INTEGRITY - 1);
	if (msg->has & EP_STUN_HAS_CONTROLLING)
		msg->has &= ~(uint32_t)EP_STUN_HAS_CONTROLLED;
	msg->mapped = random_addr(random);
	msg->xor_mapped = random_addr(random);
	msg->relayed = random_addr(random);
	msg->username = random_text(random, 150);
	msg->realm = random_text(random, 150);
	msg->nonce = random_text(random, 150);
	msg->software = random_text(random, 150);
	msg->reason = random_text(random, 150);
	msg->error_code = (uint16_t)(300 + sim_below(random, 400));
	msg->transport = (uint8_t)sim_random(random);
	msg->priority = (uint32_t)sim_random(random);
	msg->lifetime_s = (uint32_t)sim_random(random);
	msg->tie_breaker = sim_random(random);
	msg->unknown_count = (uint32_t)sim_below(random, EP_STUN_UNKNOWN_MAX + 1);
	for (uint32_t i = 0; i < msg->unknown_count; i++)
		msg->unknown[i] = (uint16_t)sim_random(random);
}

/* ---- Round trip ---- */

static void
assert_same_text(struct ep_stun_bytes a, struct ep_stun_bytes b)
{
	assert_int_equal(a.len, b.len);
	if (a.len > 0)
		assert_memory_equal(a.bytes, b.bytes, a.len);
}

static void
assert_same_addr(const struct ep_stun_addr *a, const struct ep_stun_addr *b)
{
	assert_true(ep_wire_ip_equal(&a->ip, &b->ip));
	assert_int_equal(a->port, b->port);
}

/* What `want` has is in `got` as well, and no more. */
static void
assert_same(const struct ep_stun_msg *got, const struct ep_stun_msg *want)
{
	assert_int_equal(got->class, want->class);
	assert_int_equal(got->method, want->method);
	assert_memory_equal(got->txid, want->txid, EP_STUN_TXID_BYTES);
	assert_int_equal(got->has & ~(uint32_t)EP_STUN_HAS_INTEGRITY, want->has);
	if (want->has & EP_STUN_HAS_MAPPED)
		assert_same_addr(&got->mapped, &want->mapped);
	if (want->has & EP_STUN_HAS_XOR_MAPPED)
		assert_same_addr(&got->xor_mapped, &want->xor_mapped);
	if (want->has & EP_STUN_HAS_RELAYED)
		assert_same_addr(&got->relayed, &want->relayed);
	if (want->has & EP_STUN_HAS_USERNAME)
		assert_same_text(got->username, want->username);
	if (want->has & EP_STUN_HAS_REALM)
		assert_same_text(got->realm, want->realm);
	if (want->has & EP_STUN_HAS_NONCE)
		assert_same_text(got->nonce, want->nonce);
	if (want->has & EP_STUN_HAS_SOFTWARE)
		assert_same_text(got->software, want->software);
	if (want->has & EP_STUN_HAS_ERROR) {
		assert_int_equal(got->error_code, want->error_code);
		assert_same_text(got->reason, want->reason);
	}
	if (want->has & EP_STUN_HAS_PRIORITY)
		assert_int_equal(got->priority, want->priority);
	if (want->has & EP_STUN_HAS_LIFETIME)
		assert_int_equal(got->lifetime_s, want->lifetime_s);
	if (want->has & EP_STUN_HAS_TRANSPORT)
		assert_int_equal(got->transport, want->transport);
	if (want->has & (EP_STUN_HAS_CONTROLLING | EP_STUN_HAS_CONTROLLED))
		assert_true(got->tie_breaker == want->tie_breaker);
	if (want->has & EP_STUN_HAS_UNKNOWN) {
		assert_int_equal(got->unknown_count, want->unknown_count);
		assert_memory_equal(got->unknown, want->unknown, 2 * want->unknown_count);
	}
}

static void
what_is_encoded_is_decoded(void **state)
{
	uint64_t random = seed;

	(void)state;
	for (size_t i = 0; i < sizeof(pool); i++)
		pool[i] = (uint8_t)sim_random(&random);
	for (int i = 0; i < ROUNDS; i++) {
		const struct ep_stun_bytes key = random_text(&random, 64);
		const bool with_key = sim_below(&random, 2) != 0;
		struct ep_stun_msg want, got;
		struct ep_stun_bytes bytes;
		struct ep_stun_buf out;

		random_msg(&random, &want);
		assert_int_equal(ep_stun_encode(&want, with_key ? &key : NULL, &out), 0);
		bytes = (struct ep_stun_bytes){out.bytes, out.len};
		assert_true(ep_stun_looks_like(bytes));
		assert_int_equal(ep_stun_decode(bytes, &got, NULL), 0);
		assert_same(&got, &want);
		assert_int_equal(ep_stun_integrity_check(&got, bytes, key), with_key ? 0 : -ENOENT);
		assert_int_equal(got.not_understood_count, 0);
	}
}

/* ---- The encoder's bytes, as the model reads them ---- */

static void
assert_attr(const struct ep_stun_buf *out, uint16_t type, const char *hex)
{
	uint8_t want[64];
	const size_t want_len = model_hex(hex, want, sizeof(want));
	size_t len = 0;
	const uint8_t *const value = model_find(out->bytes, out->len, type, &len);

	if (value == NULL)
		fail_msg("attribute 0x%04x is missing", type);
	assert_int_equal(len, want_len);
	assert_memory_equal(value, want, len);
}

static void
attributes_are_written_as_the_rfcs_draw_them(void **state)
{
	struct ep_stun_msg msg;
	struct ep_stun_buf out;

	(void)state;
	ep_stun_msg_init(&msg, EP_STUN_ERROR, EP_STUN_ALLOCATE, txid);
	msg.has = EP_STUN_HAS_MAPPED | EP_STUN_HAS_RELAYED | EP_STUN_HAS_ERROR |
		EP_STUN_HAS_UNKNOWN | EP_STUN_HAS_PRIORITY | EP_STUN_HAS_USE_CANDIDATE |
		EP_STUN_HAS_CONTROLLING | EP_STUN_HAS_TRANSPORT | EP_STUN_HAS_LIFETIME |
		EP_STUN_HAS_REALM;
	assert_int_equal(ep_wire_ip_parse("192.0.2.1", &msg.mapped.ip, NULL), 0);
	msg.mapped.port = 0x8055;
	msg.relayed = msg.mapped;
	msg.error_code = 438;
	msg.reason = ep_stun_text("Old");
	msg.unknown_count = 2;
	msg.unknown[0] = 0x7FFE;
	msg.unknown[1] = 3;
	msg.priority = 0x6E0001FF;
	msg.tie_breaker = UINT64_C(0x0102030405060708);
	msg.transport = EP_STUN_TRANSPORT_UDP;
	msg.lifetime_s = 600;
	msg.realm = ep_stun_text("x");
	assert_int_equal(ep_stun_encode(&msg, NULL, &out), 0);

	assert_memory_equal(out.bytes, "\x01\x13", 2); /* Allocate error, RFC 8656 section 18 */
	assert_attr(&out, 0x0001, "0001 8055 c0000201");
	assert_attr(&out, 0x0016, "0001 a147 e112a643");
	assert_attr(&out, 0x0009, "00000426 4f6c64");
	assert_attr(&out, 0x000A, "7ffe 0003");
	assert_attr(&out, 0x0024, "6e0001ff");
	assert_attr(&out, 0x0025, "");
	assert_attr(&out, 0x802A, "0102030405060708");
	assert_attr(&out, 0x0019, "11000000");
	assert_attr(&out, 0x000D, "00000258");
	assert_attr(&out, 0x0014, "78");
}

static void
types_are_put_together_as_section_5_has_it(void **state)
{
	static const struct {
		enum ep_stun_class class;
		uint16_t method;
		uint16_t type;
	} cases[] = {
		{EP_STUN_REQUEST, 0x001, 0x0001},
		{EP_STUN_INDICATION, 0x001, 0x0011},
		{EP_STUN_SUCCESS, 0x001, 0x0101},
		{EP_STUN_ERROR, 0x001, 0x0111},
		{EP_STUN_REQUEST, 0x003, 0x0003},
		{EP_STUN_ERROR, 0x003, 0x0113},
		{EP_STUN_REQUEST, 0x010, 0x0020},
		{EP_STUN_REQUEST, 0x080, 0x0200},
		{EP_STUN_ERROR, 0xFFF, 0x3FFF},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(cases); i++) {
		struct ep_stun_msg msg;
		struct ep_stun_buf out;

		ep_stun_msg_init(&msg, cases[i].class, cases[i].method, txid);
		assert_int_equal(ep_stun_encode(&msg, NULL, &out), 0);
		assert_int_equal(out.bytes[0] << 8 | out.bytes[1], cases[i].type);
	}
}

/* ---- What is not encoded ---- */

static void
encoder_refuses_what_it_may_not_write(void **state)
{
	static const uint8_t zeros[1024];
	const struct ep_stun_msg valid = {.method = EP_STUN_BINDING};
	struct ep_stun_msg bad[10];
	struct ep_stun_buf out = {.len = 7};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(bad); i++)
		bad[i] = valid;
	bad[0].method = 0x1000;
	bad[1].has = EP_STUN_HAS_CONTROLLING | EP_STUN_HAS_CONTROLLED;
	bad[2].has = EP_STUN_HAS_ERROR;
	bad[2].error_code = 299;
	bad[3].has = EP_STUN_HAS_ERROR;
	bad[3].error_code = 700;
	bad[4].has = EP_STUN_HAS_UNKNOWN;
	bad[4].unknown_count = EP_STUN_UNKNOWN_MAX + 1;
	bad[5].has = EP_STUN_HAS_MAPPED; /* of no family */
	bad[6].has = EP_STUN_HAS_USERNAME;
	bad[6].username = (struct ep_stun_bytes){zeros, EP_STUN_USERNAME_MAX + 1};
	bad[7].has = EP_STUN_HAS_REALM;
	bad[7].realm = (struct ep_stun_bytes){zeros, EP_STUN_TEXT_ENCODE_MAX + 1};
	bad[8].has = EP_STUN_HAS_ERROR;
	bad[8].error_code = 400;
	bad[8].reason = (struct ep_stun_bytes){zeros, EP_STUN_TEXT_ENCODE_MAX + 1};
	bad[9].class = (enum ep_stun_class)4;
	for (size_t i = 0; i < EP_ARRAY_LEN(bad); i++)
		if (ep_stun_encode(&bad[i], NULL, &out) != -EINVAL)
			fail_msg("case %zu was not refused", i);
	assert_int_equal(out.len, 7);
}

/* Longest text that still fits, and one more; the same with each attribute behind it. */
static void
encoder_says_when_a_message_is_too_long(void **state)
{
	static const uint8_t zeros[1024];
	const struct ep_stun_bytes key = ep_stun_text("k");
	struct ep_stun_msg msg = {.method = EP_STUN_BINDING};
	struct ep_stun_buf out;

	(void)state;
	/* 20 + 4 + 508 + 4 + 508 + 4 + n = 1232 with n = 184 */
	msg.has = EP_STUN_HAS_REALM | EP_STUN_HAS_NONCE | EP_STUN_HAS_SOFTWARE;
	msg.realm = (struct ep_stun_bytes){zeros, 508};
	msg.nonce = (struct ep_stun_bytes){zeros, 508};
	msg.software = (struct ep_stun_bytes){zeros, 184};
	assert_int_equal(ep_stun_encode(&msg, NULL, &out), 0);
	assert_int_equal(out.len, EP_STUN_MSG_MAX);
	msg.software.len++;
	assert_int_equal(ep_stun_encode(&msg, NULL, &out), -EMSGSIZE);
	msg.software.len = 184;
	assert_int_equal(ep_stun_encode(&msg, &key, &out), -EMSGSIZE);
	msg.has |= EP_STUN_HAS_FINGERPRINT;
	assert_int_equal(ep_stun_encode(&msg, NULL, &out), -EMSGSIZE);
	msg.software.len = 184 - 32;
	assert_int_equal(ep_stun_encode(&msg, &key, &out), 0);
	assert_int_equal(out.len, EP_STUN_MSG_MAX);
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
		cmocka_unit_test(what_is_encoded_is_decoded),
		cmocka_unit_test(attributes_are_written_as_the_rfcs_draw_them),
		cmocka_unit_test(types_are_put_together_as_section_5_has_it),
		cmocka_unit_test(encoder_refuses_what_it_may_not_write),
		cmocka_unit_test(encoder_says_when_a_message_is_too_long),
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

	seed = sim_seed(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
