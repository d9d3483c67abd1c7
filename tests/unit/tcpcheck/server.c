#include "server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define BUF 4096
#define EVENTS 512
#define CERT_S (30 * 86400 + 3600)

uint64_t test_now_ns = 1000 * EP_NS_PER_S;

struct conn {
	int fd;
	struct conn *next, **link;
	SSL *ssl;
	struct ep_stun_addr from;
};

struct server {
	enum behaviour behaviour;
	int fd, epoll;
	bool udp, mute;
	uint32_t lose, accepted, requests;
	uint16_t port;
	uint64_t seed;
	const char *password; /* NULL: none is asked for */
	SSL_CTX *ssl;
	struct conn *conns;
};

static struct sockaddr_in
loopback(uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* --- TLS ------------------------------------------------------------------------------------------------------------------ */

static SSL_CTX *
tls_context(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	X509_NAME *name = X509_NAME_new();

	assert_true(ctx != NULL && key != NULL && cert != NULL && name != NULL);
	X509_set_version(cert, X509_VERSION_3);
	X509_gmtime_adj(X509_getm_notBefore(cert), -60);
	X509_gmtime_adj(X509_getm_notAfter(cert), CERT_S);
	X509_set_pubkey(cert, key);
	X509_NAME_add_entry_by_txt(
		name, "CN", MBSTRING_ASC, (const unsigned char *)"media.test", -1, -1, 0);
	X509_set_subject_name(cert, name);
	X509_NAME_free(name);
	name = X509_NAME_new();
	X509_NAME_add_entry_by_txt(
		name, "CN", MBSTRING_ASC, (const unsigned char *)"test issuer", -1, -1, 0);
	X509_set_issuer_name(cert, name);
	X509_NAME_free(name);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	assert_int_equal(SSL_CTX_use_certificate(ctx, cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
	X509_free(cert);
	EVP_PKEY_free(key);
	return ctx;
}

/* --- Start and stop ------------------------------------------------------------------------------------------------------- */

static struct server *
start(enum behaviour behaviour, int type)
{
	struct sockaddr_in sa = loopback(0);
	socklen_t len = sizeof(sa);
	struct server *s = calloc(1, sizeof(*s));
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};

	assert_non_null(s);
	s->behaviour = behaviour;
	s->udp = type == SOCK_DGRAM;
	s->epoll = epoll_create1(0);
	s->fd = socket(AF_INET, type | SOCK_NONBLOCK, 0);
	assert_true(s->fd >= 0 && s->epoll >= 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&sa, &len), 0);
	s->port = ntohs(sa.sin_port);
	if (!s->udp)
		assert_int_equal(listen(s->fd, 4096), 0);
	assert_int_equal(epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->fd, &event), 0);
	return s;
}

struct server *
server_start(enum behaviour behaviour, bool tls)
{
	struct server *s = start(behaviour, SOCK_STREAM);

	if (tls)
		s->ssl = tls_context();
	return s;
}

struct server *
server_start_udp(enum behaviour behaviour)
{
	return start(behaviour, SOCK_DGRAM);
}

static void
conn_close(struct conn *n, bool reset)
{
	const struct linger linger = {.l_onoff = 1, .l_linger = 0};

	if (reset)
		setsockopt(n->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(n->fd);
	SSL_free(n->ssl);
	*n->link = n->next;
	if (n->next != NULL)
		n->next->link = n->link;
	free(n);
}

void
server_reset_all(struct server *s)
{
	while (s->conns != NULL)
		conn_close(s->conns, true);
}

void
server_close_all(struct server *s)
{
	while (s->conns != NULL)
		conn_close(s->conns, false);
}

void
server_stop(struct server *s)
{
	server_close_all(s);
	close(s->fd);
	close(s->epoll);
	SSL_CTX_free(s->ssl);
	free(s);
}

uint16_t
server_port(const struct server *s)
{
	return s->port;
}

uint32_t
server_accepted(const struct server *s)
{
	return s->accepted;
}

uint32_t
server_requests(const struct server *s)
{
	return s->requests;
}

void
server_mute(struct server *s, bool mute)
{
	s->mute = mute;
}

void
server_behave(struct server *s, enum behaviour behaviour)
{
	s->behaviour = behaviour;
}

void
server_backlog(struct server *s, int connections)
{
	assert_int_equal(listen(s->fd, connections), 0);
}

void
server_password(struct server *s, const char *password)
{
	s->password = password;
}

void
server_lose(struct server *s, uint32_t requests)
{
	s->lose = requests;
}

uint16_t
free_port(void)
{
	struct server *s = start(SILENT, SOCK_STREAM);
	const uint16_t port = s->port;

	server_stop(s);
	return port;
}

/* --- Behaviour ------------------------------------------------------------------------------------------------------------ */

static void
conn_send(struct conn *n, const void *bytes, size_t len)
{
	const ssize_t sent = n->ssl != NULL ? SSL_write(n->ssl, bytes, (int)len)
					    : send(n->fd, bytes, len, MSG_NOSIGNAL);

	assert_int_equal(sent, len);
}

static size_t
stun_answer(const struct server *s, const uint8_t *bytes, size_t len,
	const struct ep_stun_addr *from, struct ep_stun_buf *out)
{
	const struct ep_stun_server voice = {.realm = ep_stun_text("media.test"),
		.nonce = ep_stun_text("0123456789"),
		.password = ep_stun_text(s->password != NULL ? s->password : "")};
	struct ep_stun_msg msg;

	if (s->behaviour == STUN_ONLY &&
		ep_stun_decode((struct ep_stun_bytes){bytes, len}, &msg, NULL) == 0 &&
		msg.method == EP_STUN_ALLOCATE) {
		struct ep_stun_msg no;

		ep_stun_msg_init(&no, EP_STUN_ERROR, EP_STUN_ALLOCATE, msg.txid);
		no.has = EP_STUN_HAS_ERROR;
		no.error_code = EP_STUN_UNKNOWN_ATTRIBUTE;
		return ep_stun_encode(&no, NULL, out) == 0 ? out->len : 0;
	}
	return ep_stun_answer(&voice, (struct ep_stun_bytes){bytes, len}, from, out) == 0 ? out->len
											  : 0;
}

static void
framed_answer(const struct server *s, struct conn *n, const uint8_t *bytes, size_t len)
{
	static const uint8_t others[] = {0, 0, 0, 3, 0x16, 0xfe, 0xfd};
	struct ep_stun_buf answer;
	uint8_t frame[BUF];
	size_t frame_len;

	assert_true(len > 2 && (size_t)bytes[0] * 256 + bytes[1] == len - 2);
	if (s->behaviour == FRAMED_OTHERS)
		conn_send(n, others, sizeof(others));
	assert_true(stun_answer(s, bytes + 2, len - 2, &n->from, &answer) > 0);
	assert_int_equal(ep_stun_frame((struct ep_stun_bytes){answer.bytes, answer.len}, frame,
				 sizeof(frame), &frame_len),
		0);
	conn_send(n, frame, frame_len);
}

void
server_seed(struct server *s, uint64_t seed)
{
	s->seed = seed;
}

/* splitmix64 */
static uint64_t
server_random(struct server *s)
{
	uint64_t z = s->seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* What a decoder may have begun to believe, and then anything. */
static size_t
garbage(struct server *s, uint8_t *buf, size_t max)
{
	static const struct {
		uint8_t bytes[12];
		size_t len;
	} beginnings[] = {
		{{0}, 0},
		{"HTTP/1.1 20", 11},
		{{0x16, 3, 3, 0, 80, 2}, 6},
		{{0x15, 3, 3, 0, 2, 2, 40}, 7},
		{{1, 1, 0, 12, 0x21, 0x12, 0xa4, 0x42}, 8},
		{{0, 32, 1, 1, 0, 12, 0x21, 0x12, 0xa4, 0x42}, 10},
		{{0, 4, 0x16, 0xfe, 0xfd, 0}, 6},
		{{0, 0, 0, 0, 0xff, 0xff}, 6},
	};
	const size_t which = server_random(s) % EP_ARRAY_LEN(beginnings);
	const size_t random = server_random(s) % (server_random(s) % 2 == 0 ? 64 : max - 12);

	memcpy(buf, beginnings[which].bytes, beginnings[which].len);
	for (size_t i = 0; i < random; i++)
		buf[beginnings[which].len + i] = (uint8_t)server_random(s);
	return beginnings[which].len + random;
}

static void
conn_garbage(struct server *s, struct conn *n)
{
	static uint8_t buf[20000];
	const size_t len = garbage(s, buf, sizeof(buf));

	/* The other side may have had enough already. */
	(void)!send(n->fd, buf, len, MSG_NOSIGNAL);
	if (server_random(s) % 4 == 0)
		conn_close(n, server_random(s) % 2 == 0);
}

static void
conn_request(struct server *s, struct conn *n, const uint8_t *bytes, size_t len)
{
	static const char http[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
	static const char last[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
	struct ep_stun_buf answer;

	s->requests++;
	if (s->mute)
		return;
	switch (s->behaviour) {
	case SILENT:
	case CLOSES:
	case RESETS:
		break;
	case CLOSES_ON_DATA:
		conn_close(n, false);
		break;
	case TALKS:
		conn_send(n, "220 hello\x1b[31m\r\n", 16);
		break;
	case HTTP_404:
		conn_send(n, http, sizeof(http) - 1);
		break;
	case HTTP_LAST:
		conn_send(n, last, sizeof(last) - 1);
		conn_close(n, false);
		break;
	case HTTP_SLOW:
		conn_send(n, http, 5);
		break;
	case FRAMED_STUN:
	case FRAMED_OTHERS:
		framed_answer(s, n, bytes, len);
		break;
	case GARBAGE:
		conn_garbage(s, n);
		break;
	case BARE_STUN:
	case STUN_ONLY:
		if (stun_answer(s, bytes, len, &n->from, &answer) > 0)
			conn_send(n, answer.bytes, answer.len);
		break;
	}
}

static void
server_accept(struct server *s)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);
	int fd;

	while ((fd = accept4(s->fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK)) >= 0) {
		struct conn *n = calloc(1, sizeof(*n));
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = n};
		const int on = 1;

		assert_non_null(n);
		/* The test's clock does not wait for a delayed acknowledgement. */
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		*n = (struct conn){.fd = fd, .next = s->conns, .link = &s->conns};
		n->from.ip.family = EP_WIRE_IPV4;
		memcpy(n->from.ip.bytes_be, &sa.sin_addr, 4);
		n->from.port = ntohs(sa.sin_port);
		if (s->conns != NULL)
			s->conns->link = &n->next;
		s->conns = n;
		s->accepted++;
		assert_int_equal(epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event), 0);
		if (s->ssl != NULL) {
			n->ssl = SSL_new(s->ssl);
			SSL_set_fd(n->ssl, fd);
			SSL_set_accept_state(n->ssl);
		}
		if (s->behaviour == CLOSES || s->behaviour == RESETS)
			conn_close(n, s->behaviour == RESETS);
		len = sizeof(sa);
	}
}

static void
conn_readable(struct server *s, struct conn *n)
{
	uint8_t buf[BUF];
	ssize_t got;

	if (n->ssl != NULL) {
		const int ret = SSL_read(n->ssl, buf, sizeof(buf));

		if (ret > 0)
			conn_request(s, n, buf, (size_t)ret);
		else if (SSL_get_error(n->ssl, ret) != SSL_ERROR_WANT_READ)
			conn_close(n, false);
		return;
	}
	got = recv(n->fd, buf, sizeof(buf), 0);
	if (got > 0)
		conn_request(s, n, buf, (size_t)got);
	else if (got == 0 || errno != EAGAIN)
		conn_close(n, false);
}

static void
datagram(struct server *s)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);
	struct ep_stun_addr from = {.ip.family = EP_WIRE_IPV4};
	struct ep_stun_buf answer;
	uint8_t buf[BUF];
	ssize_t n;

	while ((n = recvfrom(s->fd, buf, sizeof(buf), 0, (struct sockaddr *)&sa, &len)) > 0) {
		s->requests++;
		if (s->lose > 0) {
			s->lose--;
			continue;
		}
		if (s->behaviour == SILENT)
			continue;
		if (s->behaviour == GARBAGE) {
			uint8_t junk[1400];

			sendto(s->fd, junk, garbage(s, junk, sizeof(junk)), 0,
				(struct sockaddr *)&sa, len);
			continue;
		}
		if (s->behaviour == TALKS) {
			sendto(s->fd, "hello", 5, 0, (struct sockaddr *)&sa, len);
			continue;
		}
		memcpy(from.ip.bytes_be, &sa.sin_addr, 4);
		from.port = ntohs(sa.sin_port);
		if (stun_answer(s, buf, (size_t)n, &from, &answer) > 0)
			sendto(s->fd, answer.bytes, answer.len, 0, (struct sockaddr *)&sa, len);
	}
}

void
server_step(struct server *s)
{
	struct epoll_event events[EVENTS];
	const int n = epoll_wait(s->epoll, events, EVENTS, 0);

	for (int i = 0; i < n; i++) {
		if (events[i].data.ptr != NULL)
			conn_readable(s, events[i].data.ptr);
		else if (s->udp)
			datagram(s);
		else
			server_accept(s);
	}
}

/* --- The checker ----------------------------------------------------------------------------------------------------------- */

struct ep_tcpcheck_cfg
test_cfg(void)
{
	return (struct ep_tcpcheck_cfg){
		.peer = {EP_WIRE_IPV4, {127, 0, 0, 1}},
		.sni = "media.test",
		.utc_s = (uint64_t)time(NULL),
	};
}

void
test_target(struct ep_tcpcheck_cfg *cfg, enum ep_tcpcheck_transport transport, uint16_t port,
	enum ep_tcpcheck_check check)
{
	const struct ep_tcpcheck_target target = {transport, port, check, true};

	assert_int_equal(ep_tcpcheck_targets_add(&cfg->targets, &target), 0);
}

struct ep_tcpcheck *
test_checker(const struct ep_tcpcheck_cfg *cfg)
{
	struct ep_tcpcheck *c;
	struct ep_err err = {0};

	/* Nobody here vouches for anything, and reading the host's roots takes more time than all else. */
	assert_int_equal(setenv("SSL_CERT_FILE", "/dev/null", 1), 0);
	if (ep_tcpcheck_create(cfg, &c, &err) < 0)
		fail_msg("%s", err.text);
	return c;
}

void
test_step(struct ep_tcpcheck *c, struct server *const *servers)
{
	for (; servers != NULL && *servers != NULL; servers++)
		server_step(*servers);
	test_now_ns += EP_NS_PER_MS;
	ep_tcpcheck_poll(c, test_now_ns);
}

void
test_run(struct ep_tcpcheck *c, struct server *const *servers, uint64_t ns)
{
	const uint64_t end_ns = test_now_ns + ns;

	while (test_now_ns < end_ns)
		test_step(c, servers);
}

void
test_round(struct ep_tcpcheck *c, struct server *const *servers)
{
	const uint64_t end_ns = test_now_ns + 20 * EP_NS_PER_S;

	ep_tcpcheck_round_start(c, test_now_ns);
	while (!ep_tcpcheck_round_done(c)) {
		assert_true(test_now_ns < end_ns);
		test_step(c, servers);
	}
}

const struct ep_tcpcheck_row *
test_row(struct ep_tcpcheck *c, uint16_t port, enum ep_tcpcheck_check check)
{
	uint32_t count;
	const struct ep_tcpcheck_row *row = ep_tcpcheck_rows(c, &count);

	for (uint32_t i = 0; i < count; i++)
		if (row[i].port == port && row[i].check == check)
			return &row[i];
	return NULL;
}
