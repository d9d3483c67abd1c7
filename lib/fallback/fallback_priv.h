#pragma once

#include "ep_fallback.h"

#include <openssl/ssl.h>

/* --- TLS over memory (tls.c) ------------------------------------------------------------------ */

/** What all TLS connections share: the key made at the start. */
struct tls_server;

/** @return 0, -ENOMEM or -EIO (OpenSSL, with a sentence). */
int fallback_tls_server_create(struct tls_server **out, struct ep_err *err);
void fallback_tls_server_destroy(struct tls_server *server);

/** One server-side TLS connection, moved by bytes; no socket. */
struct tls;

/** @return NULL without memory. */
struct tls *fallback_tls_create(struct tls_server *server);

/** Free. Accepts NULL. */
void fallback_tls_destroy(struct tls *tls);

/** How a TLS connection is. */
enum tls_state {
	TLS_HANDSHAKE, /**< Wants more bytes. */
	TLS_OPEN,
	TLS_ENDED,  /**< The peer has closed it in order. */
	TLS_BROKEN, /**< What came is no TLS, or the two could not agree. */
};

/** Feed bytes from the socket; the handshake goes on. @return the state; TLS_BROKEN also without memory. */
enum tls_state fallback_tls_feed(struct tls *tls, const uint8_t *bytes, size_t len);

/** Plain bytes that have come in; 0: none now. */
size_t fallback_tls_read(struct tls *tls, uint8_t *buf, size_t len);

/** Seal plain bytes. @return whether all of them were taken. */
bool fallback_tls_write(struct tls *tls, const uint8_t *bytes, size_t len);

/** Say that this side has ended. */
void fallback_tls_end(struct tls *tls);

/** Take bytes for the socket; 0: none. */
size_t fallback_tls_output(struct tls *tls, uint8_t *buf, size_t len);

enum tls_state fallback_tls_state(const struct tls *tls);

/* --- A bound on a rate ------------------------------------------------------------------------ */

/** Tokens that come back with time. */
struct bucket {
	uint64_t per_s;
	uint64_t burst;   /**< Most that lie ready. */
	int64_t tokens;   /**< Below 0: overdrawn by a costly one. */
	uint64_t last_ns; /**< Up to when tokens were given. */
};

/** Give what is due. */
void fallback_bucket_fill(struct bucket *b, uint64_t now_ns);

/** Take a token. @return whether there was one. */
bool fallback_bucket_take(struct bucket *b);

/* --- UDP (udp.c) ------------------------------------------------------------------------------ */

/** @return the socket or -errno. */
int fallback_udp_open(const char *device, uint16_t port);

/** Answer what has arrived, at most @p max datagrams. @return how many were taken; those answered are added to @p answered. */
uint32_t fallback_udp_run(int fd, const struct ep_fallback_voice *voice, struct bucket *answers,
	uint32_t max, uint64_t *answered);

/* --- Connections (conn.c) --------------------------------------------------------------------- */

#define CHUNK_BYTES 4096
/** What was not consumed of a message, and a chunk behind it. */
#define IN_BYTES (EP_FALLBACK_MESSAGE_MAX + 64 + CHUNK_BYTES)
#define OUT_BYTES 16384
#define NO_CONN UINT32_MAX

/** One connection; 5,000 of them are held at once, so it is small, and buffers are there only while something is in them. */
struct conn {
	int fd;                /**< -1: free. */
	uint32_t older, newer; /**< By last activity; of a free one `newer` is the next free one. */
	bool known;            /**< What it speaks was told from its first bytes. */
	bool ending;           /**< All is said; only the peer's end is waited for. */
	bool blocked;          /**< The peer does not take what is sent: nothing is read. */
	struct ep_fallback_talk talk;
	struct ep_wire_ip peer;
	uint16_t port;
	uint64_t born_ns;
	uint64_t active_ns; /**< When it last said something. */
	uint64_t busy_ns;   /**< Since when something is unfinished; 0: nothing is. */
	uint64_t in_bytes;  /**< Taken in all. */
	uint8_t *
		held; /**< Plain bytes of a message that is not whole, or whose answer has no room. */
	size_t held_len;
	uint8_t *unsent;
	size_t unsent_len;
	struct tls *tls; /**< NULL: none. */
};

struct ep_fallback {
	char *software;
	const char *device; /* Of the UDP sockets; NULL: any. */
	char nonce[17];
	const char *alpn;
	struct ep_fallback_hooks hooks;
	struct ep_fallback_voice voice;
	struct tls_server *tls;
	int epoll_fd;
	int listen_fd[EP_FALLBACK_PORTS_MAX];
	uint32_t listen_count;
	int udp_fd[EP_FALLBACK_PORTS_MAX];
	uint32_t udp_count;
	struct bucket events;
	struct bucket datagrams;
	uint64_t swept_ns;
	struct conn *conn; /**< [conn_max] */
	uint32_t conn_max;
	uint32_t fresh; /**< Slots from here on were never used. */
	uint32_t free;  /**< First free slot below; NO_CONN: none. */
	uint32_t oldest, newest;
	struct ep_fallback_count count;
	uint8_t in[IN_BYTES];       /**< Scratch of one call. */
	uint8_t out[OUT_BYTES];     /**< The same. */
	uint8_t chunk[CHUNK_BYTES]; /**< The same. */
};

/** What an epoll event is about. */
enum fallback_kind { KIND_CONN, KIND_LISTEN, KIND_UDP };

/** @return 0 or -errno. */
int fallback_watch(struct ep_fallback *f, int op, int fd, uint32_t events, enum fallback_kind kind,
	uint32_t index);

/** Take an accepted, non-blocking socket, owned from here on. Makes room where there is none. */
void fallback_conn_add(struct ep_fallback *f, int fd, const struct ep_wire_ip *peer, uint16_t port,
	uint64_t now_ns);

/** Move a connection on; may close it. */
void fallback_conn_run(struct ep_fallback *f, uint32_t index, uint64_t now_ns);

/** Close the one that was silent the longest. @return whether there was one. */
bool fallback_conn_evict(struct ep_fallback *f);

/** Close those whose time is over. */
void fallback_conn_sweep(struct ep_fallback *f, uint64_t now_ns);

/** Close all. */
void fallback_conn_fini(struct ep_fallback *f);
