#pragma once

/**
 * @file
 * What a media server's fallback ports answer, so that a check of them from outside has something to meet: HTTP (404), TLS with a
 * certificate made on the spot, STUN Binding (RFC 8489), TURN Allocate (RFC 8656; always 401), both plain and framed by RFC 4571,
 * over TCP, inside TLS and over UDP. No media is carried, nothing is relayed, nobody is let in.
 *
 * What a connection speaks is told by its first bytes, never by its port. A TLS ClientHello that offers the control channel's ALPN
 * is not answered: its socket is handed over, with every byte still in it.
 *
 *   accept -> look at the first bytes -+-> control channel: handed over
 *                                      +-> TLS: handshake, then look at the first bytes inside
 *                                      +-> HTTP | STUN, TURN | frames: answered until it ends
 *                                      +-> anything else: closed, told
 *
 * Bounds: the macros below. A datagram is answered by one datagram that is at most EP_FALLBACK_UDP_MORE_BYTES longer.
 * One thread per object; times are of any monotonic clock [ns], passed in. Nothing here sleeps, logs or raises SIGPIPE.
 */

#include <ep_base.h>
#include <ep_wire.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Connections at once; fewer where the process may not have so many files. The one that was silent the longest makes room. */
#define EP_FALLBACK_CONNS_MAX 20000
/** Of them in TLS, each with some 30 KiB; the one that was silent the longest makes room. */
#define EP_FALLBACK_TLS_MAX 1024
/** A connection that says nothing is closed after this. Longer than any hold or idle test that `everyport tcp` makes by default. */
#define EP_FALLBACK_IDLE_NS (UINT64_C(900) * EP_NS_PER_S)
/** A request or handshake that has begun must end, and an answer be taken, within this. */
#define EP_FALLBACK_BUSY_NS (UINT64_C(10) * EP_NS_PER_S)
/** Of one connection, whatever it does. */
#define EP_FALLBACK_LIFE_NS (UINT64_C(86400) * EP_NS_PER_S)
/** Taken from one connection [B]. */
#define EP_FALLBACK_CONN_BYTES (UINT64_C(64) << 20)
/** Longest message that is waited for: an HTTP head, a STUN message, a frame [B]. */
#define EP_FALLBACK_MESSAGE_MAX 4096
/** An answer by UDP is at most this much longer than its request [B]. */
#define EP_FALLBACK_UDP_MORE_BYTES 64
/** Answers by UDP to everybody together [1/s]. */
#define EP_FALLBACK_UDP_PPS 1000
/** Events handled for everybody together [1/s]; a TLS handshake counts as EP_FALLBACK_TLS_EVENTS. Keeps strangers off the CPU. */
#define EP_FALLBACK_EVENTS_PER_S 20000
#define EP_FALLBACK_TLS_EVENTS 200
/** Most listening TCP ports and UDP ports. */
#define EP_FALLBACK_PORTS_MAX 32

/** What the first bytes of a connection are the beginning of. */
enum ep_fallback_sort {
	EP_FALLBACK_MORE,    /**< Cannot be told yet. */
	EP_FALLBACK_CONTROL, /**< TLS ClientHello that offers the control channel's ALPN. */
	EP_FALLBACK_TLS,     /**< Another TLS ClientHello. */
	EP_FALLBACK_HTTP,    /**< A method in capital letters and a space. */
	EP_FALLBACK_STUN,    /**< STUN or TURN without framing: magic cookie at byte 4. */
	EP_FALLBACK_FRAME,   /**< RFC 4571: length, then STUN. */
	EP_FALLBACK_UNKNOWN, /**< None of them. */
};

/**
 * Tell a connection by its first bytes. Pure.
 *
 * @param bytes
 *   [len], from the very first one.
 * @param alpn
 *   Application protocol of the control channel; NULL: there is none.
 */
enum ep_fallback_sort ep_fallback_sniff(const uint8_t *bytes, size_t len, const char *alpn);

/** "HTTP", "TLS" and so on, for sentences. */
const char *ep_fallback_sort_name(enum ep_fallback_sort sort);

/** What answers are made of. */
struct ep_fallback_voice {
	const char *software; /**< HTTP's Server line; borrowed. */
	const char *realm;    /**< Of TURN, at most 15 characters; borrowed. */
	const char *nonce;    /**< Of TURN, at most 16 characters; borrowed. */
	const char *ufrag;    /**< ICE user name that goes with pwd; NULL: any. Borrowed. */
	const char *
		pwd; /**< ICE password; NULL: none. In frames (ICE-TCP) it must be known, else it may be: what knows it is answered so. */
};

/** State of one conversation. Zero-initialised: nothing was said yet. */
struct ep_fallback_talk {
	enum ep_fallback_sort sort; /**< MORE until it is known. */
	bool end;                   /**< Close once the answers are sent; nothing more is taken. */
};

/**
 * Answer what has come in over a stream. Pure.
 *
 * @param peer, port
 *   Where the stream comes from: what a Binding answer says.
 * @param in
 *   [in_len], what was not consumed by earlier calls first.
 * @param[out] out
 *   [out_max], at least EP_FALLBACK_MESSAGE_MAX + 2: answers in order.
 * @param[out] out_len
 *   Bytes of @p out that were written.
 * @return
 *   Bytes of @p in that are done with. With more than it left and nothing consumed a message is incomplete; a message longer than
 *   EP_FALLBACK_MESSAGE_MAX ends the talk.
 */
size_t ep_fallback_stream(const struct ep_fallback_voice *voice, struct ep_fallback_talk *talk,
	const struct ep_wire_ip *peer, uint16_t port, const uint8_t *in, size_t in_len,
	uint8_t *out, size_t out_max, size_t *out_len);

/**
 * Answer one datagram: a Binding or Allocate request. Pure.
 *
 * @param[out] out
 *   [in_len + EP_FALLBACK_UDP_MORE_BYTES].
 * @return
 *   Bytes of the answer, 0 for none (no request, or one whose answer would be longer than allowed).
 */
size_t ep_fallback_datagram(const struct ep_fallback_voice *voice, const struct ep_wire_ip *peer,
	uint16_t port, const uint8_t *in, size_t in_len, uint8_t *out);

/** What the owner of a server wants to hear. */
struct ep_fallback_hooks {
	void *user; /**< Handed to each. */
	/** The socket of a connection that begins as the control channel does; owned by the callee from here on. */
	void (*control)(void *user, int fd, uint64_t now_ns);
	/** A connection that said something that is not answered: one sentence. */
	void (*noise)(void *user, const char *sentence, uint64_t now_ns);
};

struct ep_fallback_cfg {
	const char *software;    /**< Copied: HTTP's Server line. */
	const char *alpn;        /**< Of the control channel; borrowed. */
	const char *ufrag, *pwd; /**< As ep_fallback_voice; NULL: none. Borrowed. */
	const char *device;      /**< Interface of the UDP sockets; NULL: any. Borrowed. */
	uint32_t conns_max; /**< 1 to EP_FALLBACK_CONNS_MAX: what the limit on open files leaves. */
	struct ep_fallback_hooks hooks; /**< Copied. */
};

/** The listening sockets, connections and UDP sockets, on one epoll descriptor. Opaque. */
struct ep_fallback;

/**
 * Make a server with no ports.
 *
 * @param[out] out
 *   Set on success only; release with ep_fallback_destroy().
 * @return
 *   0, -ENOMEM, -EIO (OpenSSL) or -errno of epoll, with a sentence.
 */
int ep_fallback_create(
	const struct ep_fallback_cfg *cfg, struct ep_fallback **out, struct ep_err *err);

/** Close every socket and free. Accepts NULL. */
void ep_fallback_destroy(struct ep_fallback *f);

/** Add a listening, non-blocking TCP socket; owned by the server from here on, also on failure. @return 0, -ENOSPC or -errno. */
int ep_fallback_listen(struct ep_fallback *f, int fd);

/**
 * Answer on a UDP port, on all addresses of both families (IPv4 alone where IPv6 is off).
 *
 * @return
 *   0, or -EADDRINUSE, -EACCES, -ENOSPC, -errno with a sentence: the port is left alone.
 */
int ep_fallback_udp(struct ep_fallback *f, uint16_t port, struct ep_err *err);

/** The epoll descriptor: readable when there is something to do. */
int ep_fallback_fd(const struct ep_fallback *f);

/**
 * When to look at the descriptor again [ms]: 0 now, as soon as it is readable; more than that when strangers have used up their
 * share of the CPU and are left waiting for so long.
 */
int ep_fallback_pause_ms(struct ep_fallback *f, uint64_t now_ns);

/** Do what is to be done, a bounded amount of it. Call it when the descriptor is readable, and once a second. */
void ep_fallback_run(struct ep_fallback *f, uint64_t now_ns);

/** Counts since the start. */
struct ep_fallback_count {
	uint64_t accepted;  /**< TCP connections. */
	uint64_t control;   /**< Of them handed over. */
	uint64_t evicted;   /**< Of them closed to make room. */
	uint64_t datagrams; /**< Answered. */
	uint32_t conns;     /**< Now. */
	uint32_t conns_max; /**< Most at once. */
	uint32_t tls;       /**< In TLS now. */
};

void ep_fallback_counts(const struct ep_fallback *f, struct ep_fallback_count *count);
