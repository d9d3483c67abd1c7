#include "xport_priv.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/tls1.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALPN_BYTES (sizeof(EP_XPORT_ALPN) - 1)

/* RFC 8446 appendix B.4: TLS_AES_128_GCM_SHA256. Its hash is the one that the key is bound to. */
static const uint8_t cipher_be[2] = {0x13, 0x01};

/* RFC 7301 section 3.1: a list of names, each after its length. */
static const uint8_t alpn_list[] = "\x0b" EP_XPORT_ALPN;

static_assert(ALPN_BYTES == 0x0b, "the length in alpn_list");

/* A fresh one for each handshake: OpenSSL takes it over and writes into it. */
static SSL_SESSION *
psk_session(SSL *ssl)
{
	const struct ep_xport *x = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, cipher_be);
	SSL_SESSION *session = SSL_SESSION_new();

	if (cipher != NULL && session != NULL &&
		SSL_SESSION_set1_master_key(session, x->key, sizeof(x->key)) == 1 &&
		SSL_SESSION_set_cipher(session, cipher) == 1 &&
		SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1)
		return session;
	SSL_SESSION_free(session);
	return NULL;
}

static int
client_psk(
	SSL *ssl, const EVP_MD *md, const unsigned char **id, size_t *id_len, SSL_SESSION **session)
{
	(void)md; /* after a retry request: SHA-256, as we offer no other cipher */
	*id = (const unsigned char *)EP_XPORT_ALPN;
	*id_len = ALPN_BYTES;
	*session = psk_session(ssl);
	return *session != NULL;
}

static int
server_psk(SSL *ssl, const unsigned char *id, size_t id_len, SSL_SESSION **session)
{
	*session = NULL;
	if (id_len != ALPN_BYTES || memcmp(id, EP_XPORT_ALPN, ALPN_BYTES) != 0)
		return 1; /* not our key: goes on without one, and fails for want of a certificate */
	*session = psk_session(ssl);
	return *session != NULL;
}

static int
server_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
	unsigned int in_len, void *arg)
{
	unsigned char *chosen;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&chosen, out_len, alpn_list, ALPN_BYTES + 1, in, in_len) !=
		OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* OpenSSL asks server_alpn() only when the client sent the extension at all. */
static int
server_hello(SSL *ssl, int *alert, void *arg)
{
	const unsigned char *ext;
	size_t len;

	(void)arg;
	if (SSL_client_hello_get0_ext(
		    ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &ext, &len) == 1)
		return SSL_CLIENT_HELLO_SUCCESS;
	*alert = SSL_AD_NO_APPLICATION_PROTOCOL;
	return SSL_CLIENT_HELLO_ERROR;
}

static int
refuse_certificate(X509_STORE_CTX *store, void *arg)
{
	(void)arg;
	X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
	return 0;
}

/* What both sides insist on. Explicit, because a system-wide openssl.cnf may have set something else. */
static SSL_CTX *
ctx_create(const SSL_METHOD *method, struct ep_xport *x)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	if (ctx == NULL)
		return NULL;
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
		SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) != 1 ||
		SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") != 1 ||
		SSL_CTX_set1_groups_list(ctx, "X25519:P-256") != 1 ||
		SSL_CTX_set_num_tickets(ctx, 0) != 1 || SSL_CTX_set_max_early_data(ctx, 0) != 1) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	/* psk_dhe_ke only: a key that leaks later opens no recorded session. */
	SSL_CTX_clear_options(ctx, SSL_OP_ALLOW_NO_DHE_KEX);
	SSL_CTX_set_options(
		ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_app_data(ctx, x);
	return ctx;
}

static int
contexts_create(struct ep_xport *x)
{
	x->bio_method = xport_bio_method_create();
	x->client = ctx_create(TLS_client_method(), x);
	x->server = ctx_create(TLS_server_method(), x);
	if (x->bio_method == NULL || x->client == NULL || x->server == NULL)
		return -EIO;
	SSL_CTX_set_verify(x->client, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(x->client, refuse_certificate, NULL);
	SSL_CTX_set_psk_use_session_callback(x->client, client_psk);
	SSL_CTX_set_psk_find_session_callback(x->server, server_psk);
	SSL_CTX_set_client_hello_cb(x->server, server_hello, NULL);
	SSL_CTX_set_alpn_select_cb(x->server, server_alpn, NULL);
	/* The one function of OpenSSL's that returns 0 for success. */
	return SSL_CTX_set_alpn_protos(x->client, alpn_list, ALPN_BYTES + 1) == 0 ? 0 : -EIO;
}

int
ep_xport_create(const uint8_t key[EP_XPORT_KEY_BYTES], struct ep_xport **out, struct ep_err *err)
{
	struct ep_xport *x = calloc(1, sizeof(*x));

	if (x == NULL)
		return ep_err_set(err, -ENOMEM, "no memory for the control connection");
	memcpy(x->key, key, sizeof(x->key));
	ERR_clear_error();
	if (contexts_create(x) < 0) {
		const char *why = ERR_reason_error_string(ERR_peek_error());

		ep_err_set(err, -EIO, "OpenSSL cannot set up TLS 1.3 with a pre-shared key: %s",
			why != NULL ? why : "no reason given");
		ERR_clear_error();
		ep_xport_destroy(x);
		return -EIO;
	}
	*out = x;
	return 0;
}

void
ep_xport_bind(struct ep_xport *x, const char *device)
{
	snprintf(x->device, sizeof(x->device), "%s", device);
}

void
ep_xport_destroy(struct ep_xport *x)
{
	if (x == NULL)
		return;
	SSL_CTX_free(x->client);
	SSL_CTX_free(x->server);
	BIO_meth_free(x->bio_method);
	OPENSSL_cleanse(x->key, sizeof(x->key));
	free(x);
}

bool
xport_tls_is_ours(const SSL *ssl)
{
	const unsigned char *alpn;
	unsigned int len;

	SSL_get0_alpn_selected(ssl, &alpn, &len);
	return SSL_version(ssl) == TLS1_3_VERSION && SSL_session_reused(ssl) == 1 &&
		SSL_get0_peer_certificate(ssl) == NULL && len == ALPN_BYTES &&
		memcmp(alpn, EP_XPORT_ALPN, ALPN_BYTES) == 0;
}
