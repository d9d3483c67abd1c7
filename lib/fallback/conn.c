/*
 * One connection: bytes from its socket (through TLS where it is) to ep_fallback_stream() and back. While a peer does not take what is
 * sent, nothing more is read from it, so that no buffer grows.
 */
#include "fallback_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Chunks of one connection in one call: what is left waits for its turn. */
#define CHUNKS_MAX 4

/* --- The table, and the order of last activity ------------------------------------------------ */

static void
order_remove(struct ep_fallback *f, uint32_t index)
{
	const struct conn *c = &f->conn[index];

	if (c->older != NO_CONN)
		f->conn[c->older].newer = c->newer;
	else
		f->oldest = c->newer;
	if (c->newer != NO_CONN)
		f->conn[c->newer].older = c->older;
	else
		f->newest = c->older;
}

static void
order_append(struct ep_fallback *f, uint32_t index)
{
	struct conn *c = &f->conn[index];

	c->older = f->newest;
	c->newer = NO_CONN;
	if (f->newest != NO_CONN)
		f->conn[f->newest].newer = index;
	else
		f->oldest = index;
	f->newest = index;
}

static uint32_t
slot_take(struct ep_fallback *f)
{
	const uint32_t index = f->free;

	if (index != NO_CONN) {
		f->free = f->conn[index].newer;
		return index;
	}
	return f->fresh < f->conn_max ? f->fresh++ : NO_CONN;
}

/* Forget a connection without closing its socket. */
static void
conn_release(struct ep_fallback *f, uint32_t index)
{
	struct conn *c = &f->conn[index];

	order_remove(f, index);
	if (c->tls != NULL) {
		fallback_tls_destroy(c->tls);
		f->count.tls--;
	}
	free(c->held);
	free(c->unsent);
	*c = (struct conn){.fd = -1, .newer = f->free};
	f->free = index;
	f->count.conns--;
}

static void
conn_close(struct ep_fallback *f, uint32_t index)
{
	close(f->conn[index].fd);
	conn_release(f, index);
}

bool
fallback_conn_evict(struct ep_fallback *f)
{
	if (f->oldest == NO_CONN)
		return false;
	conn_close(f, f->oldest);
	f->count.evicted++;
	return true;
}

void
fallback_conn_add(struct ep_fallback *f, int fd, const struct ep_wire_ip *peer, uint16_t port,
	uint64_t now_ns)
{
	const int on = 1;
	uint32_t index = slot_take(f);

	if (index == NO_CONN && fallback_conn_evict(f))
		index = slot_take(f);
	/* Edge-triggered until it is known what it speaks: the first bytes are looked at and stay in the socket. */
	if (index == NO_CONN ||
		fallback_watch(f, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLET, KIND_CONN, index) < 0) {
		if (index != NO_CONN) {
			f->conn[index] = (struct conn){.fd = -1, .newer = f->free};
			f->free = index;
		}
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	f->conn[index] = (struct conn){
		.fd = fd, .peer = *peer, .port = port, .born_ns = now_ns, .active_ns = now_ns};
	order_append(f, index);
	f->count.conns++;
}

void
fallback_conn_fini(struct ep_fallback *f)
{
	while (f->oldest != NO_CONN)
		conn_close(f, f->oldest);
}

/* --- Out -------------------------------------------------------------------------------------- */

static bool
would_block(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

/* Send, or keep what the socket does not take. @return whether the connection lives. */
static bool
conn_send(struct conn *c, const uint8_t *bytes, size_t len)
{
	const ssize_t put = c->unsent_len > 0 ? 0 : send(c->fd, bytes, len, MSG_NOSIGNAL);
	const size_t done = put > 0 ? (size_t)put : 0;
	uint8_t *more;

	if (put < 0 && !would_block(errno))
		return false;
	if (done == len)
		return true;
	more = realloc(c->unsent, c->unsent_len + len - done);
	if (more == NULL)
		return false;
	memcpy(more + c->unsent_len, bytes + done, len - done);
	c->unsent = more;
	c->unsent_len += len - done;
	return true;
}

/* What waited for room. @return whether the connection lives. */
static bool
conn_flush(struct conn *c)
{
	ssize_t put;

	if (c->unsent_len == 0)
		return true;
	put = send(c->fd, c->unsent, c->unsent_len, MSG_NOSIGNAL);
	if (put < 0)
		return would_block(errno);
	c->unsent_len -= (size_t)put;
	memmove(c->unsent, c->unsent + put, c->unsent_len);
	if (c->unsent_len == 0) {
		free(c->unsent);
		c->unsent = NULL;
	}
	return true;
}

/* Sealed bytes to the socket, as long as it takes them; the rest stays with TLS. */
static bool
tls_flush(struct ep_fallback *f, struct conn *c)
{
	bool alive = true;

	while (alive && c->unsent_len == 0) {
		const size_t len = fallback_tls_output(c->tls, f->chunk, sizeof(f->chunk));

		if (len == 0)
			return true;
		alive = conn_send(c, f->chunk, len);
	}
	return alive;
}

static bool
conn_answer(struct ep_fallback *f, struct conn *c, const uint8_t *bytes, size_t len)
{
	if (len == 0)
		return true;
	if (c->tls == NULL)
		return conn_send(c, bytes, len);
	return fallback_tls_write(c->tls, bytes, len) && tls_flush(f, c);
}

/* --- In --------------------------------------------------------------------------------------- */

static bool
hold_back(struct conn *c, const uint8_t *bytes, size_t len)
{
	free(c->held);
	c->held = NULL;
	c->held_len = 0;
	if (len == 0)
		return true;
	c->held = malloc(len);
	if (c->held == NULL)
		return false;
	memcpy(c->held, bytes, len);
	c->held_len = len;
	return true;
}

static void
noise(struct ep_fallback *f, const struct conn *c, const char *what, uint64_t now_ns)
{
	char text[128], ip[64];

	if (f->hooks.noise == NULL)
		return;
	snprintf(text, sizeof(text), "%s port %u %s", ep_wire_ip_format(ip, sizeof(ip), &c->peer),
		c->port, what);
	f->hooks.noise(f->hooks.user, text, now_ns);
}

/* Answer the @p len plain bytes in f->in. @return whether the connection lives. */
static bool
take_plain(struct ep_fallback *f, struct conn *c, size_t len, uint64_t now_ns)
{
	size_t done = 0;

	while (done < len && !c->talk.end && c->unsent_len == 0) {
		size_t out_len = 0;
		const size_t used = ep_fallback_stream(&f->voice, &c->talk, &c->peer, c->port,
			f->in + done, len - done, f->out, sizeof(f->out), &out_len);

		if (!conn_answer(f, c, f->out, out_len))
			return false;
		if (used == 0)
			break;
		done += used;
		c->busy_ns = 0; /* a whole message: what follows has its own time */
	}
	if (c->talk.sort == EP_FALLBACK_UNKNOWN || c->talk.sort == EP_FALLBACK_TLS) {
		noise(f, c, "says nothing that is answered here inside TLS", now_ns);
		return false;
	}
	return hold_back(c, f->in + done, c->talk.end ? 0 : len - done);
}

/* Put what was held back before what comes next. */
static void
held_copy(struct ep_fallback *f, const struct conn *c)
{
	if (c->held_len > 0)
		memcpy(f->in, c->held, c->held_len);
}

/* For what comes behind it. Never none: less than IN_BYTES - CHUNK_BYTES is held back unless the connection is blocked. */
static size_t
in_room(const struct conn *c)
{
	const size_t room = IN_BYTES - c->held_len;

	return room < CHUNK_BYTES ? room : CHUNK_BYTES;
}

/* Plain bytes out of TLS, behind what was held back. */
static bool
take_tls(struct ep_fallback *f, struct conn *c, uint64_t now_ns)
{
	size_t len;

	do {
		len = fallback_tls_read(c->tls, f->in + c->held_len, in_room(c));
		held_copy(f, c);
		if (len + c->held_len > 0 && !take_plain(f, c, c->held_len + len, now_ns))
			return false;
	} while (len > 0 && c->unsent_len == 0 && !c->talk.end);
	if (fallback_tls_state(c->tls) == TLS_ENDED || c->talk.end) {
		c->talk.end = true;
		fallback_tls_end(c->tls);
	}
	return tls_flush(f, c) && fallback_tls_state(c->tls) != TLS_BROKEN;
}

static bool
take_wire(struct ep_fallback *f, struct conn *c, size_t len, uint64_t now_ns)
{
	const bool fresh = fallback_tls_state(c->tls) == TLS_HANDSHAKE;

	if (fallback_tls_feed(c->tls, f->chunk, len) == TLS_OPEN && fresh)
		f->events.tokens -= EP_FALLBACK_TLS_EVENTS;
	/* Also an alert goes out. */
	if (!tls_flush(f, c) || fallback_tls_state(c->tls) == TLS_BROKEN)
		return false;
	return fallback_tls_state(c->tls) == TLS_HANDSHAKE || take_tls(f, c, now_ns);
}

/* One chunk from the socket. @return 1: there may be more, 0: not now, -1: the connection is over. */
static int
take_chunk(struct ep_fallback *f, struct conn *c, uint64_t now_ns)
{
	/* Of a plain connection straight behind what was held back. */
	const bool plain = c->tls == NULL && !c->ending;
	uint8_t *to = plain ? f->in + c->held_len : f->chunk;
	const ssize_t got = recv(c->fd, to, plain ? in_room(c) : CHUNK_BYTES, 0);
	bool alive = true;

	if (got < 0)
		return would_block(errno) ? 0 : -1;
	c->in_bytes += (uint64_t)got;
	if (got == 0 || c->in_bytes > EP_FALLBACK_CONN_BYTES)
		return -1;
	c->active_ns = now_ns;
	if (c->ending)
		return 1;
	if (plain)
		held_copy(f, c);
	alive = plain ? take_plain(f, c, c->held_len + (size_t)got, now_ns)
		      : take_wire(f, c, (size_t)got, now_ns);
	return alive ? 1 : -1;
}

/* --- One connection --------------------------------------------------------------------------- */

/* Close the one in TLS that was silent the longest. */
static void
tls_evict(struct ep_fallback *f)
{
	uint32_t index = f->oldest;

	while (index != NO_CONN && f->conn[index].tls == NULL)
		index = f->conn[index].newer;
	if (index == NO_CONN)
		return;
	conn_close(f, index);
	f->count.evicted++;
}

static bool
conn_start_tls(struct ep_fallback *f, struct conn *c)
{
	if (f->count.tls >= EP_FALLBACK_TLS_MAX)
		tls_evict(f);
	c->tls = fallback_tls_create(f->tls);
	f->count.tls += c->tls != NULL;
	return c->tls != NULL;
}

static void
conn_hand_over(struct ep_fallback *f, uint32_t index, uint64_t now_ns)
{
	const int fd = f->conn[index].fd;

	fallback_watch(f, EPOLL_CTL_DEL, fd, 0, KIND_CONN, index);
	conn_release(f, index);
	f->count.control++;
	f->hooks.control(f->hooks.user, fd, now_ns);
}

/* Tell what it speaks. @return whether the connection lives, and is ours. */
static bool
conn_sniff(struct ep_fallback *f, uint32_t index, uint64_t now_ns)
{
	struct conn *c = &f->conn[index];
	const ssize_t got = recv(c->fd, f->chunk, sizeof(f->chunk), MSG_PEEK);
	enum ep_fallback_sort sort;

	if (got < 0 && would_block(errno))
		return true;
	sort = got <= 0 ? EP_FALLBACK_UNKNOWN : ep_fallback_sniff(f->chunk, (size_t)got, f->alpn);
	if (sort == EP_FALLBACK_CONTROL) {
		conn_hand_over(f, index, now_ns);
		return false;
	}
	if (sort == EP_FALLBACK_MORE) {
		c->busy_ns = c->busy_ns != 0 ? c->busy_ns : now_ns;
		return true;
	}
	if (sort == EP_FALLBACK_UNKNOWN && got > 0)
		noise(f, c, "says nothing that is answered here: neither TLS, HTTP nor STUN",
			now_ns);
	c->known = true;
	if (sort == EP_FALLBACK_UNKNOWN || (sort == EP_FALLBACK_TLS && !conn_start_tls(f, c)) ||
		fallback_watch(f, EPOLL_CTL_MOD, c->fd, EPOLLIN, KIND_CONN, index) < 0) {
		conn_close(f, index);
		return false;
	}
	return true;
}

/* Bytes both ways. @return whether the connection lives. */
static bool
conn_move(struct ep_fallback *f, struct conn *c, uint64_t now_ns)
{
	int more = 1;

	if (!conn_flush(c) || (c->tls != NULL && !tls_flush(f, c)))
		return false;
	/* What was held back for want of room. */
	if (c->unsent_len == 0 && c->blocked && !c->ending) {
		held_copy(f, c);
		if (c->tls != NULL ? !take_tls(f, c, now_ns)
				   : !take_plain(f, c, c->held_len, now_ns))
			return false;
	}
	for (int i = 0;
		i < CHUNKS_MAX && more > 0 && c->unsent_len == 0 && (c->ending || !c->talk.end);
		i++)
		more = take_chunk(f, c, now_ns);
	return more >= 0;
}

/* What is to be waited for next. @return whether the connection lives. */
static bool
conn_settle(struct ep_fallback *f, uint32_t index, uint64_t now_ns)
{
	struct conn *c = &f->conn[index];
	const bool blocked = c->unsent_len > 0;
	const bool handshake = c->tls != NULL && fallback_tls_state(c->tls) == TLS_HANDSHAKE;

	if (c->talk.end && !blocked && !c->ending) {
		c->ending = true;
		c->busy_ns = now_ns;
		shutdown(c->fd, SHUT_WR);
	}
	if (!blocked && !handshake && !c->ending && c->held_len == 0)
		c->busy_ns = 0;
	else if (c->busy_ns == 0)
		c->busy_ns = now_ns;
	if (blocked == c->blocked)
		return true;
	c->blocked = blocked;
	return fallback_watch(f, EPOLL_CTL_MOD, c->fd, blocked ? EPOLLOUT : EPOLLIN, KIND_CONN,
		       index) == 0;
}

void
fallback_conn_run(struct ep_fallback *f, uint32_t index, uint64_t now_ns)
{
	struct conn *c = &f->conn[index];

	order_remove(f, index);
	order_append(f, index);
	if (!c->known && !conn_sniff(f, index, now_ns))
		return;
	if (!c->known)
		return;
	if (!conn_move(f, c, now_ns) || !conn_settle(f, index, now_ns))
		conn_close(f, index);
}

void
fallback_conn_sweep(struct ep_fallback *f, uint64_t now_ns)
{
	uint32_t index = f->oldest;

	while (index != NO_CONN) {
		const struct conn *c = &f->conn[index];
		const uint32_t next = c->newer;

		if (now_ns - c->active_ns >= EP_FALLBACK_IDLE_NS ||
			now_ns - c->born_ns >= EP_FALLBACK_LIFE_NS ||
			(c->busy_ns != 0 && now_ns - c->busy_ns >= EP_FALLBACK_BUSY_NS))
			conn_close(f, index);
		index = next;
	}
}
