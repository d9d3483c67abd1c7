/* The encoder against the decoder and against the model. */

#include "stun_model.h"

#include <errno.h>
#include <setjmp.h>
#include <sim.h>
#include <stdarg.h>
#include <stddef.h>
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_encoded_is_decoded),
		cmocka_unit_test(attributes_are_written_as_the_rfcs_draw_them),
		cmocka_unit_test(types_are_put_together_as_section_5_has_it),
		cmocka_unit_test(encoder_refuses_what_it_may_not_write),
		cmocka_unit_test(encoder_says_when_a_message_is_too_long),
	};

	seed = sim_seed(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
