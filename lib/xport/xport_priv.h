#pragma once

#include "ep_xport.h"

#include <openssl/ssl.h>

struct ep_xport {
	uint8_t key[EP_XPORT_KEY_BYTES];
	SSL_CTX *client;
	SSL_CTX *server;
	BIO_METHOD *bio_method;
	char device[16]; /**< Interface that connections are bound to; "": none. */
};

/** Bytes of a TLS record's header (RFC 8446 section 5.1): type, version, length. */
#define XPORT_RECORD_HEADER_BYTES 5

/** What OpenSSL reads and writes through. Owner: the connection. */
struct xport_link {
	int fd;
	uint8_t head[XPORT_RECORD_HEADER_BYTES]; /**< The first bytes that came in. */
	uint32_t head_count;                     /**< Of them [B]. */
	bool ended;                              /**< The peer has closed its direction. */
	int read_errno;                          /**< Positive; 0 while reading works. */
	int write_errno;                         /**< Positive; 0 while writing works. */
};

/** How OpenSSL reads and writes a struct xport_link. @return NULL without memory. */
BIO_METHOD *xport_bio_method_create(void);

/** Let @p ssl read and write @p link, which outlives it. @return 0 or -ENOMEM. */
int xport_bio_attach(SSL *ssl, const BIO_METHOD *method, struct xport_link *link);

/** Whether what has come in so far may be the beginning of TLS. */
bool xport_link_may_be_tls(const struct xport_link *link);

/** Whether a finished handshake is what we insist on: TLS 1.3, our key, our ALPN, no certificate. */
bool xport_tls_is_ours(const SSL *ssl);
