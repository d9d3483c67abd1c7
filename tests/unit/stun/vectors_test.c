/* The test vectors of RFC 5769: messages that another implementation made. */

#include "stun_model.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char password[] = "VOkJxbRl1RmTxUk/WvJxBt";

static const char sample_request[] = /* section 2.1 */
	"00010058 2112a442 b7e7a701bc34d686fa87dfae"
	"80220010 5354554e207465737420636c69656e74"
	"00240004 6e0001ff 80290008 932ff9b151263b36"
	"00060009 6576746a3a68367659 202020"
	"00080014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2 80280004 e57a3bcf";
static const char sample_ipv4[] = /* section 2.2 */
	"0101003c 2112a442 b7e7a701bc34d686fa87dfae"
	"8022000b 7465737420766563746f72 20 00200008 0001a147e112a643"
	"00080014 2b91f599fd9e90c38c7489f92af9ba53f06be7d7 80280004 c07d4c96";
static const char sample_ipv6[] = /* section 2.3 */
	"01010048 2112a442 b7e7a701bc34d686fa87dfae"
	"8022000b 7465737420766563746f72 20 00200014 0002a1470113a9faa5d3f179bc25f4b5bed2b9d9"
	"00080014 a382954e4be67bf11784c97c8292c275bfe3ed41 80280004 c8fb0b4c";
static const char sample_long_term[] = /* section 2.4 */
	"00010060 2112a442 78ad3433c6ad72c029da412e"
	"00060012 e3839ee38388e383aae38383e382afe382b9 0000"
	"0015001c 662f2f3439396b39353464364f4c33346f4c39465354767936347341"
	"0014000b 6578616d706c652e6f7267 00 00080014 f67024656dd64a3e02b8e0712e85c9a28ca89666";

/* A vector as bytes and decoded. */
struct vector {
	uint8_t bytes[256];
	size_t len;
	struct ep_stun_msg msg;
};

static struct ep_stun_bytes
vector_bytes(const struct vector *v)
{
	return (struct ep_stun_bytes){v->bytes, v->len};
}

static void
vector_decode(const char *hex, struct vector *v)
{
	struct ep_err err;

	v->len = model_hex(hex, v->bytes, sizeof(v->bytes));
	if (ep_stun_decode(vector_bytes(v), &v->msg, &err) != 0)
		fail_msg("%s", err.text);
}

static void
assert_text(struct ep_stun_bytes text, const char *want)
{
	assert_int_equal(text.len, strlen(want));
	assert_memory_equal(text.bytes, want, text.len);
}

static void
sample_request_is_read_and_its_password_known(void **state)
{
	struct vector v;

	(void)state;
	vector_decode(sample_request, &v);
	assert_int_equal(v.msg.class, EP_STUN_REQUEST);
	assert_int_equal(v.msg.method, EP_STUN_BINDING);
	assert_text(v.msg.software, "STUN test client");
	assert_text(v.msg.username, "evtj:h6vY");
	assert_int_equal(v.msg.priority, 0x6E0001FF);
	assert_true(v.msg.tie_breaker == UINT64_C(0x932FF9B151263B36));
	assert_int_equal(v.msg.has,
		EP_STUN_HAS_SOFTWARE | EP_STUN_HAS_PRIORITY | EP_STUN_HAS_CONTROLLED |
			EP_STUN_HAS_USERNAME | EP_STUN_HAS_INTEGRITY | EP_STUN_HAS_FINGERPRINT);
	assert_int_equal(
		ep_stun_integrity_check(&v.msg, vector_bytes(&v), ep_stun_text(password)), 0);
	assert_int_equal(
		ep_stun_integrity_check(&v.msg, vector_bytes(&v), ep_stun_text("other")), -EACCES);
}

static void
sample_responses_give_the_mapped_address(void **state)
{
	static const struct {
		const char *hex;
		const char *address;
	} cases[] = {
		{sample_ipv4, "192.0.2.1"},
		{sample_ipv6, "2001:db8:1234:5678:11:2233:4455:6677"},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(cases); i++) {
		char text[EP_WIRE_IP_TEXT_BYTES];
		struct vector v;

		vector_decode(cases[i].hex, &v);
		assert_int_equal(v.msg.class, EP_STUN_SUCCESS);
		assert_text(v.msg.software, "test vector");
		assert_ptr_equal(ep_stun_mapped(&v.msg), &v.msg.xor_mapped);
		assert_int_equal(v.msg.xor_mapped.port, 32853);
		assert_string_equal(ep_wire_ip_format(text, sizeof(text), &v.msg.xor_mapped.ip),
			cases[i].address);
		assert_int_equal(
			ep_stun_integrity_check(&v.msg, vector_bytes(&v), ep_stun_text(password)),
			0);
	}
}

static void
responses_answer_the_request_and_not_another(void **state)
{
	struct vector request, reply, other;

	(void)state;
	vector_decode(sample_request, &request);
	vector_decode(sample_ipv4, &reply);
	vector_decode(sample_long_term, &other);
	assert_true(ep_stun_answers(&reply.msg, &request.msg));
	assert_false(ep_stun_answers(&reply.msg, &other.msg));
	assert_false(ep_stun_answers(&request.msg, &request.msg));
	reply.msg.method = EP_STUN_ALLOCATE;
	assert_false(ep_stun_answers(&reply.msg, &request.msg));
}

/* Padding of zeros, as ours: the encoder gives the vector back byte by byte. */
static void
long_term_request_is_read_and_written_as_it_is(void **state)
{
	/* After SASLprep of the RFC's password. */
	const struct ep_stun_bytes secret = ep_stun_text("TheMatrIX");
	uint8_t key_bytes[EP_STUN_LONG_KEY_BYTES];
	const struct ep_stun_bytes key = {key_bytes, sizeof(key_bytes)};
	struct ep_stun_buf out;
	struct vector v;

	(void)state;
	vector_decode(sample_long_term, &v);
	assert_text(v.msg.realm, "example.org");
	assert_text(v.msg.nonce, "f//499k954d6OL34oL9FSTvy64sA");
	assert_int_equal(ep_stun_long_key(v.msg.username, v.msg.realm, secret, key_bytes), 0);
	assert_int_equal(ep_stun_integrity_check(&v.msg, vector_bytes(&v), key), 0);
	assert_int_equal(ep_stun_encode(&v.msg, &key, &out), 0);
	assert_int_equal(out.len, v.len);
	assert_memory_equal(out.bytes, v.bytes, v.len);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sample_request_is_read_and_its_password_known),
		cmocka_unit_test(sample_responses_give_the_mapped_address),
		cmocka_unit_test(responses_answer_the_request_and_not_another),
		cmocka_unit_test(long_term_request_is_read_and_written_as_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
