#pragma once

/**
 * @file
 * The control connection: TCP, TLS 1.3 with an external pre-shared key, ALPN "everyport/1" (design section 5),
 * non-blocking, on OpenSSL. Session keys: files and making them.
 *
 * One thread per object; the caller polls ep_xport_fd() and passes the time. No certificate is ever accepted or
 * shown: who lacks the key gets no further than its first message. The key is wiped when its object goes. Nothing
 * here raises SIGPIPE.
 *
 *   connect --> CONNECTING --> HANDSHAKE --> OPEN --> CLOSED
 *   accept  ------------------ HANDSHAKE --> OPEN --> CLOSED     (CLOSED from each of them; the reason says why)
 */

#include <ep_base.h>
#include <ep_wire.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Application protocol (RFC 7301) that both sides insist on; also the identity of the pre-shared key. */
#define EP_XPORT_ALPN "everyport/1"
#define EP_XPORT_KEY_BYTES EP_WIRE_SESSION_KEY_BYTES
/** A key as text: base64 of 32 bytes, and NUL [B]. */
#define EP_XPORT_KEY_TEXT_BYTES 45

/** Make a new key: 32 random bytes as base64 text (44 characters and NUL). @return 0 or -EIO (no randomness). */
int ep_xport_keygen(char text[EP_XPORT_KEY_TEXT_BYTES]);

/**
 * Read a key file: one line of base64 of 32 bytes, mode 0600 or stricter (no bit for group or others), a regular
 * file.
 *
 * @param path
 *   May be a symbolic link; mode and type are those of what it leads to.
 * @param[out] key
 *   Set on success only. The caller wipes it.
 * @param[out] err
 *   Sentence on failure; may be NULL.
 * @return
 *   0, or -ENOENT, -EACCES (unreadable, or mode too open: the sentence has the mode and the chmod command), -EINVAL
 *   (not a regular file, not base64, or not 32 bytes: says how many), -errno.
 */
int ep_xport_key_read(const char *path, uint8_t key[EP_XPORT_KEY_BYTES], struct ep_err *err);

/** Fill with random bytes. @return 0 or -EIO (OpenSSL has no randomness). */
int ep_xport_random(uint8_t *bytes, size_t len);

/** TLS contexts of one key: client and server side. Opaque. */
struct ep_xport;

/**
 * Make the contexts of a key.
 *
 * @param key
 *   Copied.
 * @param[out] out
 *   Set on success only; has to outlive its connections.
 * @return
 *   0, -ENOMEM or -EIO (OpenSSL, with a sentence).
 */
int ep_xport_create(
	const uint8_t key[EP_XPORT_KEY_BYTES], struct ep_xport **out, struct ep_err *err);

/** Wipe the key and free. Accepts NULL. */
void ep_xport_destroy(struct ep_xport *x);

/** Bind the connections that are begun from now on to an interface. @param device Its name, at most 15 characters; copied. "": no more. */
void ep_xport_bind(struct ep_xport *x, const char *device);

/** One connection. Opaque. */
struct ep_xport_conn;

/** How far a connection is. */
enum ep_xport_state {
	EP_XPORT_CONNECTING, /**< TCP. */
	EP_XPORT_HANDSHAKE,  /**< TLS. */
	EP_XPORT_OPEN,       /**< Authenticated both ways. */
	EP_XPORT_CLOSED,     /**< Over; see ep_xport_error(). */
};

/**
 * Begin a client connection.
 *
 * @param now_ns
 *   Any monotonic clock [ns], the same as for ep_xport_advance().
 * @param timeout_ns
 *   For TCP and TLS together [ns].
 * @param[out] out
 *   Set on success only; release with ep_xport_close().
 * @return
 *   0, -ENETUNREACH or what else connect() says at once, -ENOMEM, -EIO (OpenSSL) or -errno of the socket, with a
 *   sentence.
 */
int ep_xport_connect(struct ep_xport *x, const struct ep_wire_ip *peer, uint16_t port,
	uint64_t now_ns, uint64_t timeout_ns, struct ep_xport_conn **out, struct ep_err *err);

/**
 * Take over an accepted socket as a server. The handshake must end by now + timeout.
 *
 * @param fd
 *   Owned from here on, also on failure; becomes non-blocking.
 * @param[out] out
 *   Set on success only; release with ep_xport_close().
 * @return
 *   0, -ENOTCONN (the peer has gone already), -ENOMEM, -EIO (OpenSSL) or -errno of the socket, with a sentence.
 */
int ep_xport_accept(struct ep_xport *x, int fd, uint64_t now_ns, uint64_t timeout_ns,
	struct ep_xport_conn **out, struct ep_err *err);

/** Close and free. Accepts NULL. Sends close_notify where that does not block. */
void ep_xport_close(struct ep_xport_conn *conn);

/** The socket, for poll(); open until ep_xport_close(). */
int ep_xport_fd(const struct ep_xport_conn *conn);

/** Whether to wait for writing as well as reading. */
bool ep_xport_wants_write(const struct ep_xport_conn *conn);

/**
 * Move the connection or the handshake on without blocking. Call it when the socket is ready, and at the deadline.
 * Does nothing in OPEN and CLOSED.
 *
 * @return
 *   Its state.
 */
enum ep_xport_state ep_xport_advance(struct ep_xport_conn *conn, uint64_t now_ns);

/**
 * Read what has arrived. Read until -EAGAIN before the next poll(): bytes that TLS has taken from the socket already
 * do not show there.
 *
 * @param len
 *   At least 1 [B].
 * @return
 *   Bytes read (> 0), -EAGAIN, or -EPIPE once closed (state CLOSED).
 */
int64_t ep_xport_read(struct ep_xport_conn *conn, uint8_t *buf, size_t len);

/**
 * Write what the socket takes. After -EAGAIN the next call has to begin with the same bytes (which may lie
 * elsewhere, and be followed by more), as from a queue: TLS may have sealed them.
 *
 * @param len
 *   At least 1 [B].
 * @return
 *   Bytes written (> 0, may be fewer than @p len), -EAGAIN, or -EPIPE once closed or once the peer takes no more;
 *   what it sent before can then still be read.
 */
int64_t ep_xport_write(struct ep_xport_conn *conn, const uint8_t *buf, size_t len);

/** Why a connection is CLOSED. */
enum ep_xport_reason {
	EP_XPORT_END, /**< The peer closed in order, or TCP ended; for a server also before any byte. */
	EP_XPORT_REFUSED, /**< TCP: RST on connect, or unreachable. */
	EP_XPORT_TIMEOUT, /**< TCP or TLS did not finish in time. */
	EP_XPORT_NOT_TLS, /**< What answered does not speak TLS (as a server: plain text or noise came in). */
	EP_XPORT_NOT_EVERYPORT, /**< TLS, but no PSK or no ALPN of ours. */
	EP_XPORT_WRONG_KEY,     /**< The peer is everyport, the key differs. */
};

/** Why; EP_XPORT_END while it is not CLOSED. */
enum ep_xport_reason ep_xport_reason(const struct ep_xport_conn *conn);

/** One sentence for the user with the peer's address and port; "" while it is not CLOSED. Valid until close. */
const char *ep_xport_error(const struct ep_xport_conn *conn);

/** Our end of the TCP connection (IPv4 also where the socket is of both families). @return 0 or -errno. */
int ep_xport_local(const struct ep_xport_conn *conn, struct ep_wire_ip *ip, uint16_t *port);

/** The peer's end, as it was when the connection began. @return 0. */
int ep_xport_remote(const struct ep_xport_conn *conn, struct ep_wire_ip *ip, uint16_t *port);

/**
 * Listen on a TCP port on all addresses of both families (IPV6_V6ONLY off; IPv4 alone where IPv6 is off),
 * non-blocking.
 *
 * @param port
 *   Host order; 0 lets the kernel choose.
 * @return
 *   The socket (>= 0, the caller's), or -EADDRINUSE, -EACCES, -errno with a sentence.
 */
int ep_xport_listen(uint16_t port, struct ep_err *err);

/** As ep_xport_listen(), for connections that come in over an interface; they also leave over it. @param device Its name; NULL: any. */
int ep_xport_listen_on(const char *device, uint16_t port, struct ep_err *err);
