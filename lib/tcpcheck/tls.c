/*
 * A TLS client on memory BIOs: the bytes of the socket pass through here, so that what is no TLS can be told by its first byte, and
 * shown. The chain is verified, and the outcome reported; it decides nothing.
 */

#include "tcpcheck_priv.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define S_PER_DAY 86400
/* Content types of TLS records: change cipher spec, alert, handshake, application data. */
#define RECORD_FIRST 0x14
#define RECORD_LAST 0x17
/* No handshake and no answer to one message of ours is longer [B]. */
#define FED_MAX (256u << 10)

struct tc_tls {
	SSL *ssl;
	BIO *in, *out; /* Owned by ssl. */
	bool heard;    /* Something has come. */
	bool eof;
	size_t fed; /* Since we last said something [B]. */
	int error;  /* Of the socket, negative; 0: none. */
};

/* What the certificate has to be for: the name that is asked for, else the address. */
static bool
tls_identity(struct tc_tls *t, const struct ep_wire_ip *peer, const char *sni)
{
	if (sni[0] != '\0')
		return SSL_set_tlsext_host_name(t->ssl, sni) == 1 &&
			SSL_set1_host(t->ssl, sni) == 1;
	return X509_VERIFY_PARAM_set1_ip(SSL_get0_param(t->ssl), peer->bytes_be,
		       peer->family == EP_WIRE_IPV6 ? 16 : 4) == 1;
}

static int
tls_setup(struct tc_tls *t, const struct ep_wire_ip *peer, const char *sni, bool alpn)
{
	static const unsigned char protocols[] = "\x08http/1.1";

	t->in = BIO_new(BIO_s_mem());
	t->out = BIO_new(BIO_s_mem());
	if (t->in == NULL || t->out == NULL) {
		BIO_free(t->in);
		BIO_free(t->out);
		return -1;
	}
	BIO_set_mem_eof_return(t->in, -1);
	SSL_set_bio(t->ssl, t->in, t->out);
	SSL_set_connect_state(t->ssl);
	if (!tls_identity(t, peer, sni))
		return -1;
	/* 0 is success here. */
	return alpn && SSL_set_alpn_protos(t->ssl, protocols, sizeof(protocols) - 1) != 0 ? -1 : 0;
}

struct tc_tls *
tc_tls_new(struct ep_tcpcheck *c, const char *sni, bool alpn)
{
	struct tc_tls *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->ssl = SSL_new(c->ssl);
	if (t->ssl == NULL || tls_setup(t, &c->peer, sni, alpn) < 0) {
		tc_tls_free(t);
		return NULL;
	}
	return t;
}

void
tc_tls_free(struct tc_tls *t)
{
	if (t == NULL)
		return;
	SSL_free(t->ssl);
	free(t);
}

bool
tc_tls_heard(const struct tc_tls *t)
{
	return t->heard;
}

/* Move what OpenSSL wants to send to the socket. */
static int
tls_flush(struct tc_tls *t, int fd)
{
	char *bytes;
	const long len = BIO_get_mem_data(t->out, &bytes);
	ssize_t n;

	if (len <= 0)
		return 0;
	n = send(fd, bytes, (size_t)len, MSG_NOSIGNAL);
	/* Our messages are far below the least send buffer: one that is full belongs to a path that is dead. */
	if (n != len)
		return n < 0 ? -errno : -EAGAIN;
	BIO_reset(t->out);
	return 0;
}

/* Take what has come to the socket. @return false where it is no TLS: bytes_shown has its beginning. */
static bool
tls_fill(struct ep_tcpcheck *c, struct tc_tls *t, int fd, char *shown)
{
	ssize_t n = -1;

	while (t->fed <= FED_MAX && (n = recv(fd, c->scratch, sizeof(c->scratch), 0)) > 0) {
		if (!t->heard && (c->scratch[0] < RECORD_FIRST || c->scratch[0] > RECORD_LAST)) {
			if (shown != NULL)
				tc_show(shown, 128, c->scratch, (size_t)n);
			return false;
		}
		t->heard = true;
		t->fed += (size_t)n;
		BIO_write(t->in, c->scratch, (int)n);
	}
	if (t->fed > FED_MAX)
		t->error = -EMSGSIZE;
	else if (n == 0)
		t->eof = true;
	else if (errno != EAGAIN && errno != EINTR)
		t->error = -errno;
	return true;
}

static enum tc_tls_state
tls_ended(struct tc_tls *t, int fd, struct tc_end *end, char *reply)
{
	/* Bytes of TLS came before the end: the other side speaks TLS and did not want to with us. */
	if (t->error != 0)
		tc_sock_end(fd, -t->error, end);
	else
		*end = (struct tc_end){.status = EP_TCPCHECK_RESET};
	if (t->heard && end->status == EP_TCPCHECK_RESET)
		end->status = EP_TCPCHECK_TLS_FAILED;
	if (reply != NULL)
		snprintf(reply, 128, "%s%s", t->error != 0 ? "reset" : "closed",
			t->heard ? " during the handshake" : "");
	return TC_TLS_FAILED;
}

enum tc_tls_state
tc_tls_step(struct ep_tcpcheck *c, struct tc_tls *t, int fd, struct tc_end *end, char *reply)
{
	int ret, why;

	if (!tls_fill(c, t, fd, reply)) {
		*end = (struct tc_end){.status = EP_TCPCHECK_WRONG_PROTOCOL};
		return TC_TLS_FAILED;
	}
	ERR_clear_error();
	ret = SSL_do_handshake(t->ssl);
	why = SSL_get_error(t->ssl, ret);
	tls_flush(t, fd);
	if (ret == 1)
		return TC_TLS_DONE;
	if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
		const char *text = ERR_reason_error_string(ERR_peek_last_error());

		*end = (struct tc_end){.status = EP_TCPCHECK_TLS_FAILED};
		if (reply != NULL)
			snprintf(reply, 128, "%s", text != NULL ? text : "handshake failure");
		return TC_TLS_FAILED;
	}
	return t->eof || t->error != 0 ? tls_ended(t, fd, end, reply) : TC_TLS_MORE;
}

int
tc_tls_write(struct tc_tls *t, int fd, const uint8_t *bytes, size_t len)
{
	ERR_clear_error();
	t->fed = 0;
	if (SSL_write(t->ssl, bytes, (int)len) != (int)len)
		return -EPIPE;
	return tls_flush(t, fd);
}

ssize_t
tc_tls_read(struct ep_tcpcheck *c, struct tc_tls *t, int fd, uint8_t *buf, size_t size)
{
	int n, why;

	tls_fill(c, t, fd, NULL);
	ERR_clear_error();
	n = SSL_read(t->ssl, buf, (int)size);
	tls_flush(t, fd);
	if (n > 0)
		return n;
	why = SSL_get_error(t->ssl, n);
	if (why == SSL_ERROR_ZERO_RETURN)
		return 0;
	if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
		return -EPROTO;
	if (t->error != 0)
		return t->error;
	return t->eof ? 0 : -EAGAIN;
}

/* --- The certificate ----------------------------------------------------------------------------------------------------- */

static void
name_text(char *buf, size_t len, X509_NAME *name)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *bytes;
	long n;

	buf[0] = '\0';
	if (bio == NULL)
		return;
	if (X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0 &&
		(n = BIO_get_mem_data(bio, &bytes)) > 0)
		ep_stun_text_format(
			buf, len, (struct ep_stun_bytes){(const uint8_t *)bytes, (size_t)n});
	BIO_free(bio);
}

static int32_t
days_left(const ASN1_TIME *until, uint64_t utc_s)
{
	struct tm tm;
	int64_t left_s;

	if (ASN1_TIME_to_tm(until, &tm) != 1)
		return 0;
	left_s = (int64_t)timegm(&tm) - (int64_t)utc_s;
	/* Down, so that an expired certificate is negative at once. */
	return (int32_t)((left_s >= 0 ? left_s : left_s - (S_PER_DAY - 1)) / S_PER_DAY);
}

void
tc_tls_info(const struct ep_tcpcheck *c, const struct tc_tls *t, struct ep_tcpcheck_tls *info)
{
	X509 *cert = SSL_get0_peer_certificate(t->ssl);
	const long verified = SSL_get_verify_result(t->ssl);
	const unsigned char *alpn;
	unsigned int alpn_len;

	*info = (struct ep_tcpcheck_tls){.known = true};
	snprintf(info->version, sizeof(info->version), "%s", SSL_get_version(t->ssl));
	SSL_get0_alpn_selected(t->ssl, &alpn, &alpn_len);
	if (alpn_len > 0)
		ep_stun_text_format(
			info->alpn, sizeof(info->alpn), (struct ep_stun_bytes){alpn, alpn_len});
	info->verified = cert != NULL && verified == X509_V_OK;
	if (!info->verified)
		snprintf(info->verify_text, sizeof(info->verify_text), "%s",
			cert == NULL ? "no certificate" : X509_verify_cert_error_string(verified));
	if (cert == NULL)
		return;
	name_text(info->subject, sizeof(info->subject), X509_get_subject_name(cert));
	name_text(info->issuer, sizeof(info->issuer), X509_get_issuer_name(cert));
	info->days_left = days_left(X509_get0_notAfter(cert), c->utc_s);
}
