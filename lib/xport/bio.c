/*
 * OpenSSL's own socket BIO writes with write(), which raises SIGPIPE, and says little about why a connection
 * ended. This one sends with MSG_NOSIGNAL, and keeps errno, the end of the stream and its first bytes.
 */
#include "xport_priv.h"

#include <errno.h>
#include <openssl/bio.h>
#include <sys/socket.h>

/* RFC 8446 section 5.1. */
#define RECORD_ALERT 21
#define RECORD_HANDSHAKE 22
#define RECORD_MAJOR 3
#define RECORD_MINOR_MAX 4
#define RECORD_BYTES_MAX (16384 + 256)

static bool
would_block(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

static void
head_keep(struct xport_link *link, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len && link->head_count < XPORT_RECORD_HEADER_BYTES; i++)
		link->head[link->head_count++] = (uint8_t)bytes[i];
}

static int
link_read(BIO *bio, char *buf, size_t len, size_t *count)
{
	struct xport_link *link = BIO_get_data(bio);
	const ssize_t got = recv(link->fd, buf, len, 0);

	BIO_clear_retry_flags(bio);
	*count = got > 0 ? (size_t)got : 0;
	if (got > 0) {
		head_keep(link, buf, (size_t)got);
		return 1;
	}
	if (got == 0)
		link->ended = true;
	else if (would_block(errno))
		BIO_set_retry_read(bio);
	else
		link->read_errno = errno;
	return 0;
}

/*
 * A direction that has failed looks to OpenSSL like one that is full: its state stays whole, and what the peer
 * sent before it went can still be read. The connection looks at write_errno.
 */
static int
link_write(BIO *bio, const char *buf, size_t len, size_t *count)
{
	struct xport_link *link = BIO_get_data(bio);
	const ssize_t put = send(link->fd, buf, len, MSG_NOSIGNAL);

	BIO_clear_retry_flags(bio);
	*count = put > 0 ? (size_t)put : 0;
	if (put > 0)
		return 1;
	if (put < 0 && !would_block(errno))
		link->write_errno = errno;
	BIO_set_retry_write(bio);
	return 0;
}

static long
link_ctrl(BIO *bio, int command, long number, void *pointer)
{
	const struct xport_link *link = BIO_get_data(bio);

	(void)number;
	(void)pointer;
	if (command == BIO_CTRL_FLUSH)
		return 1;
	if (command == BIO_CTRL_EOF)
		return link->ended;
	return 0;
}

BIO_METHOD *
xport_bio_method_create(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "everyport");

	if (method == NULL)
		return NULL;
	BIO_meth_set_read_ex(method, link_read);
	BIO_meth_set_write_ex(method, link_write);
	BIO_meth_set_ctrl(method, link_ctrl);
	return method;
}

int
xport_bio_attach(SSL *ssl, const BIO_METHOD *method, struct xport_link *link)
{
	BIO *bio = BIO_new(method);

	if (bio == NULL)
		return -ENOMEM;
	BIO_set_data(bio, link);
	BIO_set_init(bio, 1);
	SSL_set_bio(ssl, bio, bio);
	return 0;
}

bool
xport_link_may_be_tls(const struct xport_link *link)
{
	const uint8_t *h = link->head;
	const uint32_t n = link->head_count;

	if (n >= 1 && h[0] != RECORD_HANDSHAKE && h[0] != RECORD_ALERT)
		return false;
	if ((n >= 2 && h[1] != RECORD_MAJOR) || (n >= 3 && h[2] > RECORD_MINOR_MAX))
		return false;
	if (n >= XPORT_RECORD_HEADER_BYTES)
		return h[3] * 256U + h[4] > 0 && h[3] * 256U + h[4] <= RECORD_BYTES_MAX;
	return true;
}
