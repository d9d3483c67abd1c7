/* ClientHellos of OpenSSL as an independent client, and by hand what everything else begins with. */
#include <ep_fallback.h>

#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ALPN "everyport/1"
#define FUZZ_COUNT 50000

struct bytes {
	uint8_t at[8192];
	size_t len;
};

static uint64_t
random_next(uint64_t *state)
{
	/* xorshift64* */
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(0x2545f4914f6cdd1d);
}

static uint64_t
seed(void)
{
	const char *text = getenv("EP_TEST_SEED");
	const uint64_t s =
		text != NULL ? strtoull(text, NULL, 0) | 1 : (uint64_t)getpid() * 2654435761U | 1;

	print_message("# EP_TEST_SEED=%llu\n", (unsigned long long)s);
	return s;
}

/* What an OpenSSL client says first. @param alpn as on the wire; NULL: the extension is left out. */
static void
client_hello(const char *alpn, const char *sni, int version_max, struct bytes *hello)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	SSL *ssl;
	int len;

	assert_non_null(ctx);
	assert_int_equal(SSL_CTX_set_max_proto_version(ctx, version_max), 1);
	ssl = SSL_new(ctx);
	assert_non_null(ssl);
	SSL_set_bio(ssl, in, out);
	if (alpn != NULL)
		assert_int_equal(SSL_set_alpn_protos(ssl, (const unsigned char *)alpn,
					 (unsigned int)strlen(alpn)),
			0);
	if (sni != NULL)
		assert_int_equal(SSL_set_tlsext_host_name(ssl, sni), 1);
	assert_int_equal(SSL_connect(ssl), -1);
	len = BIO_read(out, hello->at, sizeof(hello->at));
	assert_true(len > 0);
	hello->len = (size_t)len;
	SSL_free(ssl);
	SSL_CTX_free(ctx);
}

/* The whole gives the verdict; every beginning gives the same or none yet, and a verdict stays. */
static void
check_beginnings(const void *bytes, size_t len, enum ep_fallback_sort want, const char *alpn)
{
	bool decided = false;

	for (size_t n = 0; n <= len; n++) {
		/* A copy of its own, so that a sanitiser sees each byte read behind it. */
		uint8_t *copy = malloc(n + 1);
		enum ep_fallback_sort sort;

		assert_non_null(copy);
		memcpy(copy, bytes, n);
		sort = ep_fallback_sniff(copy, n, alpn);
		free(copy);
		if (sort == EP_FALLBACK_MORE)
			assert_false(decided);
		else
			assert_int_equal(sort, want);
		decided = sort != EP_FALLBACK_MORE;
	}
	assert_true(decided);
}

static void
a_client_hello_with_our_alpn_is_the_control_channel(void **state)
{
	static const struct {
		const char *alpn, *sni;
		int version_max;
		enum ep_fallback_sort want;
	} c[] = {
		{"\x0b" ALPN, NULL, TLS1_3_VERSION, EP_FALLBACK_CONTROL},
		{"\x02h2\x0b" ALPN "\x08http/1.1", "meet.example", TLS1_3_VERSION,
			EP_FALLBACK_CONTROL},
		{"\x0b" ALPN, NULL, TLS1_2_VERSION, EP_FALLBACK_CONTROL},
		{NULL, NULL, TLS1_3_VERSION, EP_FALLBACK_TLS},
		{NULL, "everyport/1", TLS1_3_VERSION, EP_FALLBACK_TLS},
		{"\x08http/1.1", "meet.example", TLS1_3_VERSION, EP_FALLBACK_TLS},
		{"\x0c" ALPN "0", NULL, TLS1_3_VERSION, EP_FALLBACK_TLS},
		{"\x0a"
		 "everyport/",
			NULL, TLS1_3_VERSION, EP_FALLBACK_TLS},
		{"\x0b"
		 "everyport/2",
			NULL, TLS1_2_VERSION, EP_FALLBACK_TLS},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(c); i++) {
		struct bytes hello;

		client_hello(c[i].alpn, c[i].sni, c[i].version_max, &hello);
		check_beginnings(hello.at, hello.len, c[i].want, ALPN);
		check_beginnings(hello.at, hello.len, EP_FALLBACK_TLS, NULL);
	}
}

static void
each_protocol_is_told_by_its_first_bytes(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		enum ep_fallback_sort want;
	} c[] = {
#define CASE(text, sort) {text, sizeof(text) - 1, sort}
		CASE("GET / HTTP/1.1\r\n", EP_FALLBACK_HTTP),
		CASE("HEAD /x", EP_FALLBACK_HTTP),
		CASE("OPTIONS * HTTP/1.1", EP_FALLBACK_HTTP),
		CASE("get / HTTP/1.1\r\n", EP_FALLBACK_UNKNOWN),
		CASE("A B", EP_FALLBACK_UNKNOWN),
		CASE("ABCDEFGHIJKLMNOPQRSTUVWXYZ ", EP_FALLBACK_UNKNOWN),
		CASE("SSH-2.0-OpenSSH_9.2\r\n", EP_FALLBACK_UNKNOWN),
		CASE("\0\1\0\0\x21\x12\xa4\x42", EP_FALLBACK_STUN),
		CASE("\0\3\0\x8\x21\x12\xa4\x42", EP_FALLBACK_STUN),
		CASE("\0\x14\0\1\0\0\x21\x12\xa4\x42", EP_FALLBACK_FRAME),
		CASE("\x10\0\0\1\0\0\x21\x12\xa4\x42", EP_FALLBACK_FRAME),
		/* A frame that is too long, also one whose length begins as a TLS record does. */
		CASE("\x21\x12\0\1\0\0\x21\x12\xa4\x42", EP_FALLBACK_UNKNOWN),
		CASE("\x16\x03\0\1\x15\xf0\x21\x12\xa4\x42", EP_FALLBACK_UNKNOWN),
		CASE("\0\1\0\0\x21\x12\xa4\x43\0\0\0\0", EP_FALLBACK_UNKNOWN),
		CASE("\0\x14\0\1\0\0\x21\x12\xa4\x43", EP_FALLBACK_UNKNOWN),
		CASE("\0\0\0\0\0\0\0\0\0\0\0\0", EP_FALLBACK_UNKNOWN),
		CASE("\x80\x60\0\1", EP_FALLBACK_UNKNOWN),
		CASE("\x16\xfe\xfd\0\0\0", EP_FALLBACK_UNKNOWN),
		CASE("\x15\x03\x01\0\2\2\x28", EP_FALLBACK_UNKNOWN),
		CASE("\x16\x03\x01\0\0\1", EP_FALLBACK_UNKNOWN),
		CASE("\x16\x03\x01\0\4\2", EP_FALLBACK_UNKNOWN),
		/* More than is ever looked at, so never the control channel's. */
		CASE("\x16\x03\x01\x3f\xff\1", EP_FALLBACK_TLS),
#undef CASE
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(c); i++)
		check_beginnings(c[i].bytes, c[i].len, c[i].want, ALPN);
}

/* The only thing that makes a control channel is the name in the ALPN extension: a record changed elsewhere may become nothing
 * at all, but none without the name is one, whatever its lengths claim. */
static void
no_mutated_hello_without_the_name_is_the_control_channel(void **state)
{
	struct bytes hello;
	uint64_t rng = seed();

	(void)state;
	client_hello("\x08http/1.1", "meet.example", TLS1_3_VERSION, &hello);
	for (int i = 0; i < FUZZ_COUNT; i++) {
		const size_t len = random_next(&rng) % (hello.len + 1);
		uint8_t *copy = malloc(hello.len);

		assert_non_null(copy);
		memcpy(copy, hello.at, hello.len);
		for (uint64_t n = random_next(&rng) % 8; n > 0; n--)
			copy[random_next(&rng) % hello.len] = (uint8_t)random_next(&rng);
		copy = realloc(copy, len > 0 ? len : 1);
		assert_non_null(copy);
		assert_int_not_equal(ep_fallback_sniff(copy, len, ALPN), EP_FALLBACK_CONTROL);
		free(copy);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_hello_with_our_alpn_is_the_control_channel),
		cmocka_unit_test(each_protocol_is_told_by_its_first_bytes),
		cmocka_unit_test(no_mutated_hello_without_the_name_is_the_control_channel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
