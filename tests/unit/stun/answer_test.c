/* What a server of ours says to a request. */

#include "stun_model.h"

#include <errno.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct ep_stun_server server;
static struct ep_stun_addr from;

static int
set_up(void **state)
{
	(void)state;
	server = (struct ep_stun_server){
		.software = ep_stun_text("everyport"),
		.realm = ep_stun_text("everyport"),
		.nonce = ep_stun_text("0123456789abcdef"),
	};
	from.port = 50000;
	return ep_wire_ip_parse("2001:db8::7", &from.ip, NULL);
}

/* Answer a request of the model and decode the answer; its texts point into out. */
static void
answer(const struct model *request, struct ep_stun_buf *out, struct ep_stun_msg *reply)
{
	struct ep_stun_msg asked;

	assert_int_equal(ep_stun_answer(&server, model_bytes(request), &from, out), 0);
	assert_int_equal(
		ep_stun_decode((struct ep_stun_bytes){out->bytes, out->len}, reply, NULL), 0);
	assert_int_equal(ep_stun_decode(model_bytes(request), &asked, NULL), 0);
	assert_true(ep_stun_answers(reply, &asked));
}

static void
assert_text(struct ep_stun_bytes text, const char *want)
{
	assert_int_equal(text.len, strlen(want));
	assert_memory_equal(text.bytes, want, text.len);
}

static void
binding_request_gets_its_source_address(void **state)
{
	struct ep_stun_msg reply;
	struct ep_stun_buf out;
	struct model m;

	(void)state;
	model_begin(&m, 0x0001);
	answer(&m, &out, &reply);
	assert_int_equal(reply.class, EP_STUN_SUCCESS);
	assert_int_equal(reply.has, EP_STUN_HAS_XOR_MAPPED | EP_STUN_HAS_SOFTWARE);
	assert_true(ep_wire_ip_equal(&reply.xor_mapped.ip, &from.ip));
	assert_int_equal(reply.xor_mapped.port, 50000);
	assert_text(reply.software, "everyport");
	server.software.len = 0;
	answer(&m, &out, &reply);
	assert_int_equal(reply.has, EP_STUN_HAS_XOR_MAPPED);
}

static void
fingerprint_is_answered_with_a_fingerprint(void **state)
{
	struct ep_stun_msg reply;
	struct ep_stun_buf out;
	struct model m;

	(void)state;
	model_begin(&m, 0x0001);
	model_put_fingerprint(&m);
	answer(&m, &out, &reply);
	assert_true(reply.has & EP_STUN_HAS_FINGERPRINT);
}

static void
allocate_request_gets_401_with_realm_and_nonce(void **state)
{
	struct ep_stun_msg reply;
	struct ep_stun_buf out;
	struct model m;

	(void)state;
	model_begin(&m, 0x0003);
	model_put(&m, 0x0019, "\x11\0\0\0", 4, 0);
	model_put(&m, 0x7123, "", 0, 0); /* who asks is looked at first: no 420 */
	answer(&m, &out, &reply);
	assert_int_equal(reply.class, EP_STUN_ERROR);
	assert_int_equal(reply.method, EP_STUN_ALLOCATE);
	assert_int_equal(reply.error_code, 401);
	assert_text(reply.realm, "everyport");
	assert_text(reply.nonce, "0123456789abcdef");
}

static void
attributes_not_understood_are_answered_with_420_and_their_list(void **state)
{
	struct ep_stun_msg reply;
	struct ep_stun_buf out;
	struct model m;

	(void)state;
	model_begin(&m, 0x0001);
	model_put(&m, 0x0003, "\0\0\0\6", 4, 0); /* CHANGE-REQUEST */
	model_put(&m, 0x7FFF, "", 0, 0);
	answer(&m, &out, &reply);
	assert_int_equal(reply.error_code, 420);
	assert_int_equal(reply.unknown_count, 2);
	assert_int_equal(reply.unknown[0], 0x0003);
	assert_int_equal(reply.unknown[1], 0x7FFF);
	assert_false(reply.has & EP_STUN_HAS_XOR_MAPPED);
}

/* RFC 8489 section 9.1.3. */
static void
password_is_asked_for_where_one_is_set(void **state)
{
	struct ep_stun_msg reply;
	struct ep_stun_buf out;
	struct model m;

	(void)state;
	server.password = ep_stun_text("secret");
	model_begin(&m, 0x0001);
	answer(&m, &out, &reply);
	assert_int_equal(reply.error_code, 400); /* no USERNAME */
	model_put(&m, 0x0006, "a:b", 3, 0);
	answer(&m, &out, &reply);
	assert_int_equal(reply.error_code, 400); /* no MESSAGE-INTEGRITY */
	model_put_integrity(&m, "guess");
	answer(&m, &out, &reply);
	assert_int_equal(reply.error_code, 401);
	assert_false(reply.has & EP_STUN_HAS_INTEGRITY);

	model_begin(&m, 0x0001);
	model_put(&m, 0x0006, "a:b", 3, 0);
	model_put_integrity(&m, "secret");
	answer(&m, &out, &reply);
	assert_int_equal(reply.class, EP_STUN_SUCCESS);
	assert_int_equal(ep_stun_integrity_check(&reply, (struct ep_stun_bytes){out.bytes, out.len},
				 ep_stun_text("secret")),
		0);
}

/* As an ICE agent has it: USERNAME begins with its own user name. */
static void
password_belongs_to_its_user(void **state)
{
	static const struct {
		const char *name;
		enum ep_stun_class want;
	} cases[] = {
		{"ours:theirs", EP_STUN_SUCCESS},
		{"ours", EP_STUN_SUCCESS},
		{"ours:", EP_STUN_SUCCESS},
		{"ourselves:theirs", EP_STUN_ERROR},
		{"our", EP_STUN_ERROR},
		{"theirs:ours", EP_STUN_ERROR},
		{"", EP_STUN_ERROR},
	};

	(void)state;
	server.password = ep_stun_text("secret");
	server.ufrag = ep_stun_text("ours");
	for (size_t i = 0; i < EP_ARRAY_LEN(cases); i++) {
		struct ep_stun_msg reply;
		struct ep_stun_buf out;
		struct model m;

		model_begin(&m, 0x0001);
		model_put(&m, 0x0006, cases[i].name, strlen(cases[i].name), 0);
		model_put_integrity(&m, "secret");
		answer(&m, &out, &reply);
		if (reply.class != cases[i].want)
			fail_msg("'%s'", cases[i].name);
		assert_true(reply.class == EP_STUN_SUCCESS || reply.error_code == 401);
		assert_int_equal(
			(reply.has & EP_STUN_HAS_INTEGRITY) != 0, reply.class == EP_STUN_SUCCESS);
	}
}

static void
optional_password_is_asked_for_only_where_integrity_is_given(void **state)
{
	struct ep_stun_msg reply;
	struct ep_stun_buf out;
	struct model m;

	(void)state;
	server.password = ep_stun_text("secret");
	server.password_optional = true;
	model_begin(&m, 0x0001);
	model_put(&m, 0x0006, "a:b", 3, 0);
	answer(&m, &out, &reply);
	assert_int_equal(reply.class, EP_STUN_SUCCESS);
	assert_false(reply.has & EP_STUN_HAS_INTEGRITY);
	model_put_integrity(&m, "guess");
	answer(&m, &out, &reply);
	assert_int_equal(reply.error_code, 401);

	model_begin(&m, 0x0001);
	model_put(&m, 0x0006, "a:b", 3, 0);
	model_put_integrity(&m, "secret");
	answer(&m, &out, &reply);
	assert_int_equal(reply.class, EP_STUN_SUCCESS);
	assert_int_equal(ep_stun_integrity_check(&reply, (struct ep_stun_bytes){out.bytes, out.len},
				 server.password),
		0);
}

/* A client of RFC 8489 that does not know what we speak sends both; to one of RFC 5389 SHA-256 alone is an unknown attribute. */
static void
sha256_is_passed_over_behind_sha1_and_not_understood_alone(void **state)
{
	static const uint8_t sha256[32];
	struct ep_stun_msg reply;
	struct ep_stun_buf out;
	struct model m;

	(void)state;
	server.password = ep_stun_text("secret");
	model_begin(&m, 0x0001);
	model_put(&m, 0x0006, "a:b", 3, 0);
	model_put_integrity(&m, "secret");
	model_put(&m, 0x001C, sha256, sizeof(sha256), 0);
	answer(&m, &out, &reply);
	assert_int_equal(reply.class, EP_STUN_SUCCESS);
	assert_true(reply.has & EP_STUN_HAS_INTEGRITY);

	model_begin(&m, 0x0001);
	model_put(&m, 0x0006, "a:b", 3, 0);
	model_put(&m, 0x001C, sha256, sizeof(sha256), 0);
	answer(&m, &out, &reply);
	assert_int_equal(reply.error_code, 400);
	server.password_optional = true;
	answer(&m, &out, &reply);
	assert_int_equal(reply.error_code, 420);
	assert_int_equal(reply.unknown_count, 1);
	assert_int_equal(reply.unknown[0], 0x001C);
}

static void
what_is_no_request_of_ours_is_not_answered(void **state)
{
	static const struct {
		uint16_t type;
		int want;
	} cases[] = {
		{0x0011, -ENOENT}, /* Binding indication */
		{0x0101, -ENOENT}, /* Binding success: two servers must not talk for ever */
		{0x0111, -ENOENT}, /* Binding error */
		{0x0004, -ENOENT}, /* Refresh */
		{0x4001, -EPROTO},
	};
	struct ep_stun_buf out = {.len = 7};
	struct model m;

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(cases); i++) {
		model_begin(&m, cases[i].type);
		assert_int_equal(
			ep_stun_answer(&server, model_bytes(&m), &from, &out), cases[i].want);
	}
	model_begin(&m, 0x0001);
	model_put(&m, 0x0024, "12", 2, 0);
	assert_int_equal(ep_stun_answer(&server, model_bytes(&m), &from, &out), -EBADMSG);
	assert_int_equal(out.len, 7);
}

static void
texts_that_cannot_be_sent_are_refused(void **state)
{
	static const uint8_t zeros[EP_STUN_TEXT_ENCODE_MAX + 1];
	const struct ep_stun_bytes longest = {zeros, EP_STUN_TEXT_ENCODE_MAX};
	struct ep_stun_buf out;
	struct model m;

	(void)state;
	model_begin(&m, 0x0003);
	server.realm = (struct ep_stun_bytes){zeros, sizeof(zeros)};
	assert_int_equal(ep_stun_answer(&server, model_bytes(&m), &from, &out), -EINVAL);
	server.realm = server.nonce = server.software = longest;
	assert_int_equal(ep_stun_answer(&server, model_bytes(&m), &from, &out), -EMSGSIZE);
}

/* As with a FIPS provider only, that has no MD5: here nothing at all. */
static void
a_failing_openssl_is_told(void **state)
{
	const struct ep_stun_bytes key = ep_stun_text("secret");
	uint8_t long_key[EP_STUN_LONG_KEY_BYTES];
	struct ep_stun_buf out = {.len = 7};
	struct ep_stun_msg msg;
	struct model m;

	(void)state;
	server.password = key;
	model_begin(&m, 0x0001);
	model_put(&m, 0x0006, "a:b", 3, 0);
	model_put_integrity(&m, "secret");
	assert_int_equal(ep_stun_decode(model_bytes(&m), &msg, NULL), 0);
	assert_int_equal(EVP_set_default_properties(NULL, "provider=none-such"), 1);
	assert_int_equal(ep_stun_encode(&msg, &key, &out), -EIO);
	assert_int_equal(ep_stun_integrity_check(&msg, model_bytes(&m), key), -EIO);
	assert_int_equal(ep_stun_answer(&server, model_bytes(&m), &from, &out), -EIO);
	assert_int_equal(ep_stun_long_key(key, key, key, long_key), -EIO);
	assert_int_equal(out.len, 7);
	assert_int_equal(EVP_set_default_properties(NULL, ""), 1);
	assert_int_equal(ep_stun_encode(&msg, &key, &out), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(binding_request_gets_its_source_address, set_up),
		cmocka_unit_test_setup(fingerprint_is_answered_with_a_fingerprint, set_up),
		cmocka_unit_test_setup(allocate_request_gets_401_with_realm_and_nonce, set_up),
		cmocka_unit_test_setup(
			attributes_not_understood_are_answered_with_420_and_their_list, set_up),
		cmocka_unit_test_setup(password_is_asked_for_where_one_is_set, set_up),
		cmocka_unit_test_setup(password_belongs_to_its_user, set_up),
		cmocka_unit_test_setup(
			optional_password_is_asked_for_only_where_integrity_is_given, set_up),
		cmocka_unit_test_setup(
			sha256_is_passed_over_behind_sha1_and_not_understood_alone, set_up),
		cmocka_unit_test_setup(what_is_no_request_of_ours_is_not_answered, set_up),
		cmocka_unit_test_setup(texts_that_cannot_be_sent_are_refused, set_up),
		cmocka_unit_test_setup(a_failing_openssl_is_told, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
