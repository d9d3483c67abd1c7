/*
 * TLS with a certificate made on the spot: one key, made at the start and never written anywhere, and for each name that a client
 * asks for (SNI) a certificate of that name, signed with the same key. Nobody can verify it; it shows the path, not the host.
 */
#include "fallback_priv.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Clients without SNI, and names that do not fit a certificate, get this one. */
#define DEFAULT_NAME "everyport"
/* RFC 5280 appendix A.1: ub-common-name. */
#define COMMON_NAME_MAX 64
#define DAY_S 86400L
/* Clocks differ: valid since yesterday. */
#define VALID_DAYS 90

/* A certificate is made anew for another name than last time, and once a day: making one costs OpenSSL 3.0 more than the handshake. */
struct tls_server {
	SSL_CTX *ctx;
	EVP_PKEY *key;
	X509 *cert; /**< The last one; NULL: none yet. */
	char name[COMMON_NAME_MAX + 1];
	time_t made_s;
};

struct tls {
	SSL *ssl;
	enum tls_state state;
};

/* --- The certificate -------------------------------------------------------------------------- */

/* Letters, digits, dots, dashes, underscores: what a host name has, and nothing that OpenSSL's extension syntax would take apart. */
static bool
name_is_plain(const char *name)
{
	const size_t len = strlen(name);

	if (len == 0 || len > COMMON_NAME_MAX)
		return false;
	return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") ==
		len;
}

static bool
certificate_name(X509 *cert, const char *name)
{
	char alt[COMMON_NAME_MAX + 8];
	X509_NAME *subject = X509_get_subject_name(cert);
	X509_EXTENSION *ext;
	bool ok;

	snprintf(alt, sizeof(alt), "DNS:%s", name);
	ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alt);
	ok = ext != NULL &&
		X509_NAME_add_entry_by_txt(
			subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0) == 1 &&
		X509_set_issuer_name(cert, subject) == 1 && X509_add_ext(cert, ext, -1) == 1;
	X509_EXTENSION_free(ext);
	return ok;
}

static bool
certificate_serial(X509 *cert)
{
	uint64_t serial = 0;

	return RAND_bytes((unsigned char *)&serial, sizeof(serial)) == 1 &&
		ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial >> 1 | 1) == 1;
}

static X509 *
certificate_create(EVP_PKEY *key, const char *name)
{
	X509 *cert = X509_new();

	if (cert != NULL && X509_set_version(cert, X509_VERSION_3) == 1 &&
		certificate_serial(cert) && certificate_name(cert, name) &&
		X509_gmtime_adj(X509_getm_notBefore(cert), -DAY_S) != NULL &&
		X509_gmtime_adj(X509_getm_notAfter(cert), VALID_DAYS * DAY_S) != NULL &&
		X509_set_pubkey(cert, key) == 1 && X509_sign(cert, key, EVP_sha256()) > 0)
		return cert;
	X509_free(cert);
	return NULL;
}

/* @return the server's, NULL without memory. */
static X509 *
certificate_of(struct tls_server *server, const char *name)
{
	const time_t now_s = time(NULL);

	if (server->cert != NULL && strcmp(server->name, name) == 0 &&
		now_s - server->made_s < DAY_S && now_s >= server->made_s)
		return server->cert;
	X509_free(server->cert);
	server->cert = certificate_create(server->key, name);
	server->made_s = now_s;
	snprintf(server->name, sizeof(server->name), "%s", name);
	return server->cert;
}

/* OpenSSL asks for the certificate once the ClientHello is read. */
static int
choose_certificate(SSL *ssl, void *arg)
{
	struct tls_server *server = arg;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	X509 *cert =
		certificate_of(server, name != NULL && name_is_plain(name) ? name : DEFAULT_NAME);

	return cert != NULL && SSL_use_certificate(ssl, cert) == 1 &&
		SSL_use_PrivateKey(ssl, server->key) == 1;
}

/* RFC 7301; "stun.turn" is RFC 7443. A client that offers something else goes on without. */
static int
choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
	unsigned int in_len, void *arg)
{
	static const unsigned char known[] = "\x08http/1.1\x09stun.turn";
	unsigned char *chosen;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&chosen, out_len, known, sizeof(known) - 1, in, in_len) !=
		OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* --- The server ------------------------------------------------------------------------------- */

static int
server_setup(struct tls_server *server)
{
	server->key = EVP_EC_gen("P-256");
	server->ctx = SSL_CTX_new(TLS_server_method());
	if (server->key == NULL || server->ctx == NULL ||
		SSL_CTX_set_min_proto_version(server->ctx, TLS1_2_VERSION) != 1 ||
		SSL_CTX_set_num_tickets(server->ctx, 0) != 1)
		return -EIO;
	SSL_CTX_set_options(
		server->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_session_cache_mode(server->ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(server->ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_cert_cb(server->ctx, choose_certificate, server);
	SSL_CTX_set_alpn_select_cb(server->ctx, choose_alpn, NULL);
	return 0;
}

int
fallback_tls_server_create(struct tls_server **out, struct ep_err *err)
{
	struct tls_server *server = calloc(1, sizeof(*server));

	if (server == NULL)
		return ep_err_set(err, -ENOMEM, "no memory for TLS on the fallback ports");
	ERR_clear_error();
	if (server_setup(server) < 0) {
		const char *why = ERR_reason_error_string(ERR_peek_error());

		ep_err_set(err, -EIO, "OpenSSL cannot set up TLS with a certificate: %s",
			why != NULL ? why : "no reason given");
		ERR_clear_error();
		fallback_tls_server_destroy(server);
		return -EIO;
	}
	*out = server;
	return 0;
}

void
fallback_tls_server_destroy(struct tls_server *server)
{
	if (server == NULL)
		return;
	SSL_CTX_free(server->ctx);
	X509_free(server->cert);
	EVP_PKEY_free(server->key);
	free(server);
}

/* --- A connection ----------------------------------------------------------------------------- */

static int
ssl_setup(struct tls *tls, struct tls_server *server)
{
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

	tls->ssl = SSL_new(server->ctx);
	if (tls->ssl == NULL || in == NULL || out == NULL) {
		BIO_free(in);
		BIO_free(out);
		return -ENOMEM;
	}
	SSL_set_bio(tls->ssl, in, out);
	SSL_set_accept_state(tls->ssl);
	return 0;
}

struct tls *
fallback_tls_create(struct tls_server *server)
{
	struct tls *tls = calloc(1, sizeof(*tls));

	ERR_clear_error();
	if (tls != NULL && ssl_setup(tls, server) < 0) {
		fallback_tls_destroy(tls);
		tls = NULL;
	}
	ERR_clear_error();
	return tls;
}

void
fallback_tls_destroy(struct tls *tls)
{
	if (tls == NULL)
		return;
	SSL_free(tls->ssl);
	free(tls);
}

static void
note(struct tls *tls, int ret)
{
	const int why = SSL_get_error(tls->ssl, ret);

	if (why == SSL_ERROR_ZERO_RETURN)
		tls->state = TLS_ENDED;
	else if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
		tls->state = TLS_BROKEN;
	ERR_clear_error();
}

enum tls_state
fallback_tls_feed(struct tls *tls, const uint8_t *bytes, size_t len)
{
	size_t put = 0;
	int ret;

	ERR_clear_error();
	if (BIO_write_ex(SSL_get_rbio(tls->ssl), bytes, len, &put) != 1 || put != len)
		tls->state = TLS_BROKEN;
	if (tls->state != TLS_HANDSHAKE)
		return tls->state;
	ret = SSL_do_handshake(tls->ssl);
	if (ret == 1)
		tls->state = TLS_OPEN;
	else
		note(tls, ret);
	return tls->state;
}

size_t
fallback_tls_read(struct tls *tls, uint8_t *buf, size_t len)
{
	size_t got = 0;

	if (tls->state != TLS_OPEN)
		return 0;
	ERR_clear_error();
	if (SSL_read_ex(tls->ssl, buf, len, &got) != 1) {
		got = 0;
		note(tls, 0);
	}
	return got;
}

bool
fallback_tls_write(struct tls *tls, const uint8_t *bytes, size_t len)
{
	size_t put = 0;

	ERR_clear_error();
	if (tls->state == TLS_OPEN && SSL_write_ex(tls->ssl, bytes, len, &put) == 1 && put == len)
		return true;
	ERR_clear_error();
	return false;
}

void
fallback_tls_end(struct tls *tls)
{
	ERR_clear_error();
	if (tls->state == TLS_OPEN || tls->state == TLS_ENDED)
		SSL_shutdown(tls->ssl);
	ERR_clear_error();
}

size_t
fallback_tls_output(struct tls *tls, uint8_t *buf, size_t len)
{
	size_t got = 0;

	if (BIO_read_ex(SSL_get_wbio(tls->ssl), buf, len, &got) != 1)
		got = 0;
	ERR_clear_error();
	return got;
}

enum tls_state
fallback_tls_state(const struct tls *tls)
{
	return tls->state;
}
