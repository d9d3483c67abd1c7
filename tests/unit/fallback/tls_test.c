/* TLS, with OpenSSL as the client. */
#include "server_util.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static SSL *
tls_client(struct test *t, int fd, int version_max, const char *name)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl;

	assert_non_null(ctx);
	SSL_CTX_set_max_proto_version(ctx, version_max);
	ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);
	assert_non_null(ssl);
	assert_int_equal(SSL_set_fd(ssl, fd), 1);
	assert_int_equal(SSL_set_alpn_protos(ssl, (const uint8_t *)"\x02h2\x08http/1.1", 12), 0);
	if (name != NULL)
		assert_int_equal(SSL_set_tlsext_host_name(ssl, name), 1);
	for (int i = 0; i < ROUNDS_MAX && SSL_connect(ssl) != 1; i++)
		turn(t);
	assert_int_equal(SSL_is_init_finished(ssl), 1);
	return ssl;
}

static int
tls_hear(struct test *t, SSL *ssl, void *buf, int want)
{
	int have = 0;

	for (int i = 0; i < ROUNDS_MAX && have < want; i++) {
		const int got = SSL_read(ssl, (uint8_t *)buf + have, want - have);

		have += got > 0 ? got : 0;
		if (got <= 0 && SSL_get_error(ssl, got) != SSL_ERROR_WANT_READ)
			break;
		turn(t);
	}
	return have;
}

static int
client_open_nonblock(const struct test *t)
{
	const int fd = client_open(t);
	const struct timeval no_wait = {.tv_usec = 1000};

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &no_wait, sizeof(no_wait)), 0);
	return fd;
}

static void
tls_shows_a_certificate_of_the_name_that_was_asked_for(void **state)
{
	static const struct {
		const char *name, *want;
		int version_max;
	} c[] = {
		{"meet.example", "meet.example", TLS1_3_VERSION},
		{"turn.example", "turn.example", TLS1_2_VERSION},
		{NULL, "everyport", TLS1_3_VERSION},
		{"a,IP:1.2.3.4", "everyport", TLS1_3_VERSION},
		{"a-name-of-more-than-sixty-four-characters.that-no-certificate-holds.example",
			"everyport", TLS1_3_VERSION},
	};
	struct test t;

	(void)state;
	server_start(&t, 10);
	for (size_t i = 0; i < EP_ARRAY_LEN(c); i++) {
		const int fd = client_open_nonblock(&t);
		SSL *ssl = tls_client(&t, fd, c[i].version_max, c[i].name);
		X509 *cert = SSL_get1_peer_certificate(ssl);
		const unsigned char *alpn;
		unsigned int len;
		char name[128], buf[12];

		assert_non_null(cert);
		X509_NAME_get_text_by_NID(
			X509_get_subject_name(cert), NID_commonName, name, sizeof(name));
		assert_string_equal(name, c[i].want);
		assert_int_equal(X509_check_host(cert, c[i].want, 0, 0, NULL), 1);
		assert_int_equal(X509_verify(cert, X509_get0_pubkey(cert)), 1);
		assert_int_equal(X509_cmp_current_time(X509_get0_notBefore(cert)), -1);
		assert_int_equal(X509_cmp_current_time(X509_get0_notAfter(cert)), 1);
		X509_free(cert);
		SSL_get0_alpn_selected(ssl, &alpn, &len);
		assert_int_equal(len, 8);
		assert_memory_equal(alpn, "http/1.1", 8);
		assert_int_equal(SSL_version(ssl), c[i].version_max);
		assert_int_equal(SSL_write(ssl, GET, (int)strlen(GET)), strlen(GET));
		assert_int_equal(tls_hear(&t, ssl, buf, 12), 12);
		assert_memory_equal(buf, "HTTP/1.1 404", 12);
		SSL_free(ssl);
		close(fd);
	}
	server_stop(&t);
}

static void
turn_inside_tls_is_answered_401(void **state)
{
	static const uint8_t txid[EP_STUN_TXID_BYTES] = {7};
	struct ep_stun_msg msg;
	struct ep_stun_buf buf;
	uint8_t answer[EP_STUN_MSG_MAX];
	struct test t;
	SSL *ssl;
	size_t len;
	int fd;

	(void)state;
	ep_stun_msg_init(&msg, EP_STUN_REQUEST, EP_STUN_ALLOCATE, txid);
	msg.has |= EP_STUN_HAS_TRANSPORT | EP_STUN_HAS_FINGERPRINT;
	msg.transport = EP_STUN_TRANSPORT_UDP;
	assert_int_equal(ep_stun_encode(&msg, NULL, &buf), 0);
	server_start(&t, 10);
	fd = client_open_nonblock(&t);
	ssl = tls_client(&t, fd, TLS1_3_VERSION, "turn.example");
	assert_int_equal(SSL_write(ssl, buf.bytes, (int)buf.len), buf.len);
	assert_int_equal(tls_hear(&t, ssl, answer, EP_STUN_HEADER_BYTES), EP_STUN_HEADER_BYTES);
	len = answer[2] * 256U + answer[3];
	assert_int_equal(tls_hear(&t, ssl, answer + EP_STUN_HEADER_BYTES, (int)len), len);
	assert_int_equal(ep_stun_decode((struct ep_stun_bytes){answer, EP_STUN_HEADER_BYTES + len},
				 &msg, NULL),
		0);
	assert_int_equal(msg.error_code, EP_STUN_UNAUTHENTICATED);
	assert_true(msg.realm.len > 0);
	SSL_free(ssl);
	close(fd);
	server_stop(&t);
}

static void
tls_that_is_not_finished_or_not_understood_is_closed(void **state)
{
	struct test t;
	int half, noise;
	SSL *ssl;

	(void)state;
	server_start(&t, 10);
	half = client_open(&t);
	client_say(half, "\x16\x03\x01\x3f\xff\1", 6);
	assert_true(client_is_open(&t, half));
	assert_int_equal(counts(&t).tls, 1);
	t.now_ns += EP_FALLBACK_BUSY_NS + EP_NS_PER_S;
	assert_true(client_is_closed(&t, half));
	noise = client_open_nonblock(&t);
	ssl = tls_client(&t, noise, TLS1_3_VERSION, NULL);
	assert_int_equal(SSL_write(ssl, "SSH-2.0-x\r\n", 11), 11);
	assert_true(client_is_closed(&t, noise));
	assert_int_equal(t.noises, 1);
	assert_int_equal(counts(&t).tls, 0);
	SSL_free(ssl);
	close(noise);
	close(half);
	server_stop(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tls_shows_a_certificate_of_the_name_that_was_asked_for),
		cmocka_unit_test(turn_inside_tls_is_answered_401),
		cmocka_unit_test(tls_that_is_not_finished_or_not_understood_is_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
