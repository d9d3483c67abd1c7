#include "xport_priv.h"

#include <ep_netlink.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A peer whose host has vanished is found after 10 + 3 x 5 s, also between trials. */
#define KEEPALIVE_IDLE_S 10
#define KEEPALIVE_INTERVAL_S 5
#define KEEPALIVE_COUNT 3

#define ADDRESS_TEXT_BYTES 46
#define DURATION_TEXT_BYTES 32
#define WHO_TEXT_BYTES (ADDRESS_TEXT_BYTES + 16)

struct ep_xport_conn {
	struct xport_link link;
	SSL *ssl;
	bool server;
	bool read_blocked;  /**< The last read waits for room to write. */
	bool write_blocked; /**< The last write, or the handshake, waits for room to write. */
	enum ep_xport_state state;
	enum ep_xport_reason reason;
	struct ep_wire_ip peer;
	uint16_t port;
	uint64_t start_ns;
	uint64_t timeout_ns;
	char who[WHO_TEXT_BYTES]; /**< "192.0.2.1 port 443". */
	char error[256];
};

static void __attribute__((format(printf, 3, 4)))
conn_end(struct ep_xport_conn *conn, enum ep_xport_reason reason, const char *fmt, ...)
{
	va_list args;
	int used;

	conn->state = EP_XPORT_CLOSED;
	conn->reason = reason;
	used = snprintf(conn->error, sizeof(conn->error), "%s ", conn->who);
	va_start(args, fmt);
	vsnprintf(conn->error + used, sizeof(conn->error) - (size_t)used, fmt, args);
	va_end(args);
}

/* --- Making one ------------------------------------------------------------------------------- */

static int
socket_tune(int fd)
{
	const int on = 1, idle_s = KEEPALIVE_IDLE_S, interval_s = KEEPALIVE_INTERVAL_S,
		  count = KEEPALIVE_COUNT;
	const int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) < 0 ||
		setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s)) < 0 ||
		setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s)) < 0 ||
		setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count)) < 0)
		return -errno;
	return 0;
}

static void
who_set(struct ep_xport_conn *conn)
{
	char ip[ADDRESS_TEXT_BYTES];

	snprintf(conn->who, sizeof(conn->who), "%s port %u",
		ep_wire_ip_format(ip, sizeof(ip), &conn->peer), conn->port);
}

static int
tls_create(struct ep_xport *x, struct ep_xport_conn *conn)
{
	ERR_clear_error();
	conn->ssl = SSL_new(conn->server ? x->server : x->client);
	if (conn->ssl == NULL || xport_bio_attach(conn->ssl, x->bio_method, &conn->link) < 0) {
		ERR_clear_error();
		return -EIO;
	}
	if (conn->server)
		SSL_set_accept_state(conn->ssl);
	else
		SSL_set_connect_state(conn->ssl);
	return 0;
}

/* Takes over @p fd. @return 0 or -errno; on failure conn is for ep_xport_close() all the same. */
static int
conn_setup(struct ep_xport *x, struct ep_xport_conn *conn, int fd)
{
	int ret;

	conn->link.fd = fd;
	who_set(conn);
	ret = socket_tune(fd);
	return ret < 0 ? ret : tls_create(x, conn);
}

static int
tcp_connect(struct ep_xport_conn *conn)
{
	struct sockaddr_storage sa;
	const socklen_t len = ep_netlink_sockaddr_set(&sa, &conn->peer, conn->port);

	if (connect(conn->link.fd, (struct sockaddr *)&sa, len) < 0 && errno != EINPROGRESS)
		return -errno;
	return 0;
}

int
ep_xport_connect(struct ep_xport *x, const struct ep_wire_ip *peer, uint16_t port, uint64_t now_ns,
	uint64_t timeout_ns, struct ep_xport_conn **out, struct ep_err *err)
{
	const int family = peer->family == EP_WIRE_IPV6 ? AF_INET6 : AF_INET;
	struct ep_xport_conn *conn = calloc(1, sizeof(*conn));
	int fd, ret;

	if (conn == NULL)
		return ep_err_set(err, -ENOMEM, "no memory for a control connection");
	conn->link.fd = -1;
	conn->state = EP_XPORT_CONNECTING;
	conn->peer = *peer;
	conn->port = port;
	conn->start_ns = now_ns;
	conn->timeout_ns = timeout_ns;
	fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ret = fd < 0 ? -errno : conn_setup(x, conn, fd);
	if (ret == 0 && x->device[0] != '\0' &&
		setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, x->device,
			(socklen_t)strlen(x->device)) < 0)
		ret = -errno;
	if (ret == 0)
		ret = tcp_connect(conn);
	if (ret < 0) {
		ep_err_set(err, ret, "cannot connect to %s: %s", conn->who, strerror(-ret));
		ep_xport_close(conn);
		return ret;
	}
	*out = conn;
	return 0;
}

static int
peer_read(struct ep_xport_conn *conn, int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (getpeername(fd, (struct sockaddr *)&sa, &len) < 0)
		return -errno;
	return ep_netlink_sockaddr_get(&sa, &conn->peer, &conn->port);
}

int
ep_xport_accept(struct ep_xport *x, int fd, uint64_t now_ns, uint64_t timeout_ns,
	struct ep_xport_conn **out, struct ep_err *err)
{
	struct ep_xport_conn *conn = calloc(1, sizeof(*conn));
	int ret;

	if (conn == NULL) {
		close(fd);
		return ep_err_set(err, -ENOMEM, "no memory for a control connection");
	}
	conn->link.fd = fd;
	conn->server = true;
	conn->state = EP_XPORT_HANDSHAKE;
	conn->start_ns = now_ns;
	conn->timeout_ns = timeout_ns;
	ret = peer_read(conn, fd);
	if (ret == 0)
		ret = conn_setup(x, conn, fd);
	if (ret < 0) {
		ep_err_set(err, ret, "accepted control connection: %s", strerror(-ret));
		ep_xport_close(conn);
		return ret;
	}
	*out = conn;
	return 0;
}

void
ep_xport_close(struct ep_xport_conn *conn)
{
	if (conn == NULL)
		return;
	ERR_clear_error();
	if (conn->state == EP_XPORT_OPEN && conn->link.write_errno == 0)
		SSL_shutdown(conn->ssl);
	SSL_free(conn->ssl);
	ERR_clear_error();
	if (conn->link.fd >= 0)
		close(conn->link.fd);
	free(conn);
}

/* --- Moving it on ----------------------------------------------------------------------------- */

static void
tcp_advance(struct ep_xport_conn *conn)
{
	struct pollfd pfd = {.fd = conn->link.fd, .events = POLLOUT};
	int error = 0;
	socklen_t len = sizeof(error);

	if (poll(&pfd, 1, 0) <= 0)
		return;
	if (getsockopt(pfd.fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error == 0)
		conn->state = EP_XPORT_HANDSHAKE;
	else if (error == ECONNREFUSED)
		conn_end(conn, EP_XPORT_REFUSED,
			"refused the TCP connection: nothing listens there");
	else if (error == ETIMEDOUT)
		conn_end(conn, EP_XPORT_TIMEOUT, "did not answer the TCP connection");
	else
		conn_end(conn, EP_XPORT_REFUSED, "cannot be reached: %s", strerror(error));
}

/* The server says of our key that it does not verify. OpenSSL sends the first alert, RFC 8446 allows the second. */
static bool
is_wrong_key_alert(int reason)
{
	return reason == SSL_AD_REASON_OFFSET + SSL_AD_ILLEGAL_PARAMETER ||
		reason == SSL_AD_REASON_OFFSET + SSL_AD_DECRYPT_ERROR;
}

static bool
is_wrong_key(const struct ep_xport_conn *conn, int reason)
{
	if (conn->server)
		return reason == SSL_R_BINDER_DOES_NOT_VERIFY;
	return is_wrong_key_alert(reason);
}

static void
tls_refused(struct ep_xport_conn *conn, unsigned long code)
{
	const char *text = ERR_reason_error_string(code);

	if (is_wrong_key(conn, ERR_GET_REASON(code)))
		conn_end(conn, EP_XPORT_WRONG_KEY,
			"is everyport with another key; both sides need the same key file");
	else
		conn_end(conn, EP_XPORT_NOT_EVERYPORT,
			"speaks TLS but is not everyport with a pre-shared key (%s)",
			text != NULL ? text : "no reason given");
}

static void
handshake_failed(struct ep_xport_conn *conn, unsigned long code)
{
	const struct xport_link *link = &conn->link;
	const int error = link->read_errno != 0 ? link->read_errno : link->write_errno;

	if (!xport_link_may_be_tls(link))
		conn_end(conn, EP_XPORT_NOT_TLS, "does not speak TLS");
	else if (error != 0)
		conn_end(conn, EP_XPORT_END, "ended the connection during the handshake: %s",
			strerror(error));
	else if (link->ended)
		conn_end(conn, EP_XPORT_END, "closed the connection %s",
			link->head_count == 0 ? "before it said anything" : "during the handshake");
	else
		tls_refused(conn, code);
}

static void
handshake_advance(struct ep_xport_conn *conn)
{
	int ret, why;

	ERR_clear_error();
	ret = SSL_do_handshake(conn->ssl);
	why = ret == 1 ? SSL_ERROR_NONE : SSL_get_error(conn->ssl, ret);
	conn->write_blocked = why == SSL_ERROR_WANT_WRITE;
	if (ret == 1 && xport_tls_is_ours(conn->ssl))
		conn->state = EP_XPORT_OPEN;
	else if (ret == 1)
		conn_end(conn, EP_XPORT_NOT_EVERYPORT, "speaks TLS but is not everyport");
	else if ((why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) ||
		conn->link.write_errno != 0 || !xport_link_may_be_tls(&conn->link))
		handshake_failed(conn, ERR_peek_error());
	ERR_clear_error();
}

static void
check_deadline(struct ep_xport_conn *conn, uint64_t now_ns)
{
	char time[DURATION_TEXT_BYTES];

	if (conn->state == EP_XPORT_OPEN || conn->state == EP_XPORT_CLOSED ||
		now_ns - conn->start_ns < conn->timeout_ns)
		return;
	ep_duration_format(time, sizeof(time), conn->timeout_ns);
	conn_end(conn, EP_XPORT_TIMEOUT, "did not %s within %s",
		conn->state == EP_XPORT_CONNECTING ? "answer the TCP connection"
						   : "finish the TLS handshake",
		time);
}

enum ep_xport_state
ep_xport_advance(struct ep_xport_conn *conn, uint64_t now_ns)
{
	if (conn->state == EP_XPORT_CONNECTING)
		tcp_advance(conn);
	if (conn->state == EP_XPORT_HANDSHAKE)
		handshake_advance(conn);
	check_deadline(conn, now_ns);
	return conn->state;
}

/* --- Bytes ------------------------------------------------------------------------------------ */

static void
read_ended(struct ep_xport_conn *conn, int why, unsigned long code)
{
	const char *text = ERR_reason_error_string(code);

	if (why == SSL_ERROR_ZERO_RETURN)
		conn_end(conn, EP_XPORT_END, "closed the connection");
	else if (conn->link.read_errno != 0)
		conn_end(conn, EP_XPORT_END, "ended the connection: %s",
			strerror(conn->link.read_errno));
	else if (conn->link.ended)
		conn_end(conn, EP_XPORT_END, "ended the connection without a word");
	else
		conn_end(conn, EP_XPORT_END, "broke the TLS connection: %s",
			text != NULL ? text : "no reason given");
}

int64_t
ep_xport_read(struct ep_xport_conn *conn, uint8_t *buf, size_t len)
{
	size_t got = 0;
	int why;

	if (conn->state != EP_XPORT_OPEN)
		return conn->state == EP_XPORT_CLOSED ? -EPIPE : -EAGAIN;
	ERR_clear_error();
	if (SSL_read_ex(conn->ssl, buf, len, &got) == 1) {
		conn->read_blocked = false;
		return (int64_t)got;
	}
	why = SSL_get_error(conn->ssl, 0);
	conn->read_blocked = why == SSL_ERROR_WANT_WRITE && conn->link.write_errno == 0;
	if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
		read_ended(conn, why, ERR_peek_error());
	ERR_clear_error();
	return conn->state == EP_XPORT_CLOSED ? -EPIPE : -EAGAIN;
}

int64_t
ep_xport_write(struct ep_xport_conn *conn, const uint8_t *buf, size_t len)
{
	size_t put = 0;
	int why;

	if (conn->state == EP_XPORT_CLOSED || conn->link.write_errno != 0)
		return -EPIPE;
	if (conn->state != EP_XPORT_OPEN)
		return -EAGAIN;
	ERR_clear_error();
	if (SSL_write_ex(conn->ssl, buf, len, &put) == 1) {
		conn->write_blocked = false;
		return (int64_t)put;
	}
	why = SSL_get_error(conn->ssl, 0);
	conn->write_blocked = why == SSL_ERROR_WANT_WRITE && conn->link.write_errno == 0;
	if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
		read_ended(conn, why, ERR_peek_error());
	ERR_clear_error();
	return conn->state == EP_XPORT_CLOSED || conn->link.write_errno != 0 ? -EPIPE : -EAGAIN;
}

/* --- Asking it -------------------------------------------------------------------------------- */

int
ep_xport_fd(const struct ep_xport_conn *conn)
{
	return conn->link.fd;
}

bool
ep_xport_wants_write(const struct ep_xport_conn *conn)
{
	if (conn->state == EP_XPORT_CLOSED)
		return false;
	return conn->state == EP_XPORT_CONNECTING || conn->read_blocked || conn->write_blocked;
}

enum ep_xport_reason
ep_xport_reason(const struct ep_xport_conn *conn)
{
	return conn->reason;
}

const char *
ep_xport_error(const struct ep_xport_conn *conn)
{
	return conn->error;
}

int
ep_xport_local(const struct ep_xport_conn *conn, struct ep_wire_ip *ip, uint16_t *port)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (getsockname(conn->link.fd, (struct sockaddr *)&sa, &len) < 0)
		return -errno;
	return ep_netlink_sockaddr_get(&sa, ip, port);
}

int
ep_xport_remote(const struct ep_xport_conn *conn, struct ep_wire_ip *ip, uint16_t *port)
{
	*ip = conn->peer;
	*port = conn->port;
	return 0;
}
