#pragma once

/**
 * @file
 * STUN (RFC 8489), the part of TURN (RFC 8656) that shows that a TURN server is there, the attributes of an ICE agent
 * (RFC 8445), and messages in a TCP stream, bare or framed as ICE-TCP does it (RFC 4571). A codec: bytes in, bytes out. No
 * socket, clock or randomness; the caller brings transaction ids and nonces. Everything works on memory of the caller and
 * may be called from any thread.
 *
 *   0      type(2)  length(2, behind the header)  0x2112A442(4)  transaction id(12)
 *   20     attribute: type(2)  length(2)  value, padded to 4
 *   ..     MESSAGE-INTEGRITY(24): HMAC-SHA1 of all before it     FINGERPRINT(8): CRC-32 of all before it, last
 *
 * Texts of a decoded message point into its bytes and are not terminated: a realm or a nonce is whatever the far side wrote.
 * Show them with ep_stun_text_format() only.
 *
 * Not done: MESSAGE-INTEGRITY-SHA256 and PASSWORD-ALGORITHMS (docs/control-protocol.md says why), OpaqueString preparation of
 * names and passwords (give ASCII), channel data, relaying.
 */

#include <ep_base.h>
#include <ep_wire.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EP_STUN_HEADER_BYTES 20
#define EP_STUN_TXID_BYTES 12
#define EP_STUN_COOKIE UINT32_C(0x2112A442)
/** Longest message that is encoded: fits a packet of IPv6's least MTU [B]. Longer ones are decoded all the same. */
#define EP_STUN_MSG_MAX 1232
/** Longest texts that are encoded, and that are taken (RFC 8489 sections 14.3, 14.9, 14.10 and 14.14) [B]. */
#define EP_STUN_USERNAME_MAX 508
#define EP_STUN_TEXT_ENCODE_MAX 509
#define EP_STUN_TEXT_DECODE_MAX 763
/** Most attribute types in a list. */
#define EP_STUN_UNKNOWN_MAX 16
/** Bytes of a long-term key. */
#define EP_STUN_LONG_KEY_BYTES 16
/** REQUESTED-TRANSPORT of an Allocate request: UDP (RFC 8656 section 18.7). */
#define EP_STUN_TRANSPORT_UDP 17

/** Bytes of somebody else: a message, a text, a key. */
struct ep_stun_bytes {
	const uint8_t *bytes; /**< Borrowed; may be NULL when there are none. */
	size_t len;           /**< [B] */
};

/** View of a C string without its NUL; the string must outlive the view. */
struct ep_stun_bytes ep_stun_text(const char *text);

/** ep_text_format() of a text of the far side. @return @p buf. */
const char *ep_stun_text_format(char *buf, size_t len, struct ep_stun_bytes text);

/** A transport address. */
struct ep_stun_addr {
	struct ep_wire_ip ip;
	uint16_t port;
};

enum ep_stun_class {
	EP_STUN_REQUEST = 0,
	EP_STUN_INDICATION = 1,
	EP_STUN_SUCCESS = 2,
	EP_STUN_ERROR = 3,
};

/** Methods that everyport speaks. Others are decoded too. */
enum ep_stun_method {
	EP_STUN_BINDING = 0x001,
	EP_STUN_ALLOCATE = 0x003,
};

/** Error codes that everyport answers with or looks for. */
enum ep_stun_error {
	EP_STUN_BAD_REQUEST = 400,
	EP_STUN_UNAUTHENTICATED = 401,
	EP_STUN_UNKNOWN_ATTRIBUTE = 420,
	EP_STUN_STALE_NONCE = 438,
};

/** Which attributes a message has: bits of ep_stun_msg.has. */
enum ep_stun_has {
	EP_STUN_HAS_MAPPED = 1u << 0,         /**< mapped */
	EP_STUN_HAS_XOR_MAPPED = 1u << 1,     /**< xor_mapped */
	EP_STUN_HAS_RELAYED = 1u << 2,        /**< relayed (XOR-RELAYED-ADDRESS) */
	EP_STUN_HAS_USERNAME = 1u << 3,       /**< username */
	EP_STUN_HAS_REALM = 1u << 4,          /**< realm */
	EP_STUN_HAS_NONCE = 1u << 5,          /**< nonce */
	EP_STUN_HAS_SOFTWARE = 1u << 6,       /**< software */
	EP_STUN_HAS_ERROR = 1u << 7,          /**< error_code, reason */
	EP_STUN_HAS_UNKNOWN = 1u << 8,        /**< unknown, unknown_count */
	EP_STUN_HAS_PRIORITY = 1u << 9,       /**< priority */
	EP_STUN_HAS_USE_CANDIDATE = 1u << 10, /**< The attribute has no value. */
	EP_STUN_HAS_CONTROLLING = 1u << 11,   /**< tie_breaker; not together with CONTROLLED. */
	EP_STUN_HAS_CONTROLLED = 1u << 12,    /**< tie_breaker */
	EP_STUN_HAS_TRANSPORT = 1u << 13,     /**< transport (REQUESTED-TRANSPORT) */
	EP_STUN_HAS_LIFETIME = 1u << 14,      /**< lifetime_s */
	EP_STUN_HAS_FINGERPRINT = 1u << 15, /**< Encode: add it. Decode: it was there and right. */
	EP_STUN_HAS_INTEGRITY = 1u << 16,   /**< Decode only: see ep_stun_integrity_check(). */
};

/** A message. Zero it, or ep_stun_msg_init(); set members and their bit in `has`. */
struct ep_stun_msg {
	enum ep_stun_class class;
	uint16_t method; /**< enum ep_stun_method or another, up to 0xFFF. */
	uint8_t txid[EP_STUN_TXID_BYTES];
	uint32_t has; /**< Bits of enum ep_stun_has. */
	struct ep_stun_addr mapped;
	struct ep_stun_addr xor_mapped;
	struct ep_stun_addr relayed;
	struct ep_stun_bytes username; /**< ICE: "<ufrag of the far side>:<ufrag of our own>". */
	struct ep_stun_bytes realm;
	struct ep_stun_bytes nonce;
	struct ep_stun_bytes software;
	struct ep_stun_bytes reason; /**< Of the error; may be empty. */
	uint16_t error_code;         /**< 300 to 699. */
	uint8_t transport;           /**< IP protocol number. */
	uint32_t priority;
	uint32_t lifetime_s;
	uint64_t tie_breaker;
	uint32_t unknown_count;
	uint16_t unknown[EP_STUN_UNKNOWN_MAX]; /**< UNKNOWN-ATTRIBUTES of an error 420. */

	/* Decode only. */
	/** Attributes that had to be understood (types below 0x8000) and were not: the first of them. */
	uint32_t not_understood_count;
	uint16_t not_understood[EP_STUN_UNKNOWN_MAX];
	size_t integrity_offset; /**< Of MESSAGE-INTEGRITY in the message [B]. */
};

/** Start a message: no attributes. */
void ep_stun_msg_init(struct ep_stun_msg *msg, enum ep_stun_class class, uint16_t method,
	const uint8_t txid[EP_STUN_TXID_BYTES]);

/** A message as it goes out. */
struct ep_stun_buf {
	size_t len; /**< [B] */
	uint8_t bytes[EP_STUN_MSG_MAX];
};

/**
 * Encode a message.
 *
 * @param msg
 *   Attributes whose bit is set are written, in a fixed order, padded with zeros.
 * @param key
 *   For MESSAGE-INTEGRITY: the password as it is (short term, ICE), or ep_stun_long_key(). NULL: none is written.
 * @param[out] out
 *   Set on success only.
 * @return
 *   0, or -EINVAL (a text too long, an address of no family, an error code outside 300 to 699, a method above 0xFFF, more than
 *   EP_STUN_UNKNOWN_MAX unknown attributes, both ICE roles), -EMSGSIZE (longer than EP_STUN_MSG_MAX) or -EIO (OpenSSL failed).
 */
int ep_stun_encode(
	const struct ep_stun_msg *msg, const struct ep_stun_bytes *key, struct ep_stun_buf *out);

/**
 * Whether bytes look like one whole STUN message: the first two bits, the cookie and the length fit. Tells STUN from what
 * else comes over the same port (RFC 7983): DTLS, RTP, text.
 */
bool ep_stun_looks_like(struct ep_stun_bytes bytes);

/**
 * Decode one whole message, a datagram or what ep_stun_stream_push() gave. The first of several equal attributes counts;
 * those behind MESSAGE-INTEGRITY are ignored, except FINGERPRINT (RFC 8489 section 14.5). FINGERPRINT is checked; the
 * integrity is not, since that needs a key.
 *
 * @param bytes
 *   Borrowed: the texts of @p msg point into it.
 * @param[out] msg
 *   Set on success only.
 * @param[out] err
 *   Sentence on failure, without text of the far side; may be NULL.
 * @return
 *   0, or -EPROTO (this is no STUN message: too short, first bits, cookie) or -EBADMSG (a STUN message that is malformed: its
 *   length, an attribute's length, address family or error code, a text too long, both ICE roles, a wrong FINGERPRINT or one
 *   that is not last).
 */
int ep_stun_decode(struct ep_stun_bytes bytes, struct ep_stun_msg *msg, struct ep_err *err);

/**
 * Check MESSAGE-INTEGRITY of a message that was decoded.
 *
 * @param bytes
 *   The message that @p msg was decoded from.
 * @param key
 *   As for ep_stun_encode().
 * @return
 *   0, or -ENOENT (the message has none), -EACCES (another key, or changed on its way) or -EIO (OpenSSL failed).
 */
int ep_stun_integrity_check(
	const struct ep_stun_msg *msg, struct ep_stun_bytes bytes, struct ep_stun_bytes key);

/**
 * The long-term key: MD5 of "username:realm:password" (RFC 8489 section 9.2.2).
 * @return 0 or -EIO (OpenSSL failed; a FIPS provider has no MD5).
 */
int ep_stun_long_key(struct ep_stun_bytes username, struct ep_stun_bytes realm,
	struct ep_stun_bytes password, uint8_t key[EP_STUN_LONG_KEY_BYTES]);

/** Whether @p reply is the success or error response to @p request: same transaction and method. */
bool ep_stun_answers(const struct ep_stun_msg *reply, const struct ep_stun_msg *request);

/** The address that the far side saw: XOR-MAPPED-ADDRESS, else MAPPED-ADDRESS (an RFC 3489 server), else NULL. */
const struct ep_stun_addr *ep_stun_mapped(const struct ep_stun_msg *msg);

/** What ep_stun_answer() says of itself. */
struct ep_stun_server {
	struct ep_stun_bytes software; /**< len 0: SOFTWARE is left out. */
	struct ep_stun_bytes realm;    /**< Of the 401 to an Allocate request. */
	struct ep_stun_bytes nonce;    /**< The same; the caller changes it from time to time. */
	struct ep_stun_bytes
		password; /**< Short-term (ICE) password that Binding requests must know; len 0: none. */
	struct ep_stun_bytes
		ufrag; /**< With a password: USERNAME is this, or this, a colon and more (ICE); len 0: any. */
	bool password_optional; /**< Requests without integrity are answered as if there were no password. */
};

/**
 * Answer a request as the servers of `serve` do, with no state: a Binding request gets its source address, an Allocate
 * request 401 with realm and nonce, since nobody has an account here. FINGERPRINT is in the answer where it was in the
 * request.
 *
 *   attribute not understood            420 with the list
 *   Binding, password set, no integrity 400, unless it is optional (RFC 8489 section 9.1.3)
 *   .., another user, wrong integrity   401; right: integrity in the answer
 *
 * @param request
 *   One whole message.
 * @param from
 *   Where it came from.
 * @param[out] out
 *   Set on success only.
 * @return
 *   0: send @p out. Else nothing is sent: -EPROTO or -EBADMSG (as ep_stun_decode()), -ENOENT (no request, or of another
 *   method: RFC 8489 section 6.3 has it dropped), -EINVAL or -EMSGSIZE (texts of @p server too long) or -EIO.
 */
int ep_stun_answer(const struct ep_stun_server *server, struct ep_stun_bytes request,
	const struct ep_stun_addr *from, struct ep_stun_buf *out);

/* --- Retransmission over UDP (RFC 8489 section 6.2.1) ------------------------------------------------------------------- */

#define EP_STUN_RTO_NS (UINT64_C(500) * EP_NS_PER_MS) /**< Initial retransmission timeout. */
#define EP_STUN_RC 7                                  /**< Sends of one request, Rc. */
#define EP_STUN_RM 16 /**< The wait behind the last one is Rm x RTO. */

/**
 * When a request is sent.
 *
 * @param n
 *   0 for the first time, and so on.
 * @param rto_ns
 *   Initial timeout, below 2^57 [ns]. It doubles: with 500 ms the sends are at 0, 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s.
 * @return
 *   Behind the first send [ns]; UINT64_MAX from n = EP_STUN_RC on: it is not sent again.
 */
uint64_t ep_stun_send_ns(uint32_t n, uint64_t rto_ns);

/** When a request has failed, behind its first send [ns]: 39.5 s with 500 ms. Over TCP too, where it is sent once (6.2.2). */
uint64_t ep_stun_fail_ns(uint64_t rto_ns);

/* --- Messages in a TCP stream ------------------------------------------------------------------------------------------- */

/** Bytes before the payload of a frame. */
#define EP_STUN_FRAME_HEADER_BYTES 2
/** Longest payload of a frame [B]. */
#define EP_STUN_FRAME_MAX 65535

/** How messages lie in the stream. */
enum ep_stun_framing {
	EP_STUN_FRAMED, /**< RFC 4571 (ICE-TCP): 2 bytes of length, big-endian, then any packet: STUN, DTLS, RTP; 0: none. */
	EP_STUN_BARE,   /**< STUN and TURN over TCP and TLS: one STUN message behind the other. */
};

/** What the stream holds now. */
enum ep_stun_stream_state {
	EP_STUN_STREAM_PARTIAL,  /**< Give more bytes. */
	EP_STUN_STREAM_WHOLE,    /**< One message is there. */
	EP_STUN_STREAM_TOO_LONG, /**< A length above the buffer: nothing more is taken. */
	EP_STUN_STREAM_NOT_STUN, /**< EP_STUN_BARE only: the bytes are no STUN message. Nothing more is taken. */
};

/** Cuts a stream into messages. Memory is what the caller gives, whatever length the far side claims. */
struct ep_stun_stream {
	enum ep_stun_framing framing;
	enum ep_stun_stream_state state; /**< Of the last push. */
	uint8_t *buf;                    /**< Borrowed. */
	size_t size;                     /**< Of buf [B]. */
	size_t have;                     /**< Bytes of the message in hand, with its header. */
	uint8_t header[EP_STUN_FRAME_HEADER_BYTES]; /**< Of the frame. */
};

/**
 * Start with an empty stream.
 *
 * @param buf
 *   Borrowed as long as the stream is used.
 * @param size
 *   Longest message that is taken [B], at least EP_STUN_HEADER_BYTES.
 */
void ep_stun_stream_init(
	struct ep_stun_stream *s, enum ep_stun_framing framing, uint8_t *buf, size_t size);

/**
 * Feed received bytes; any split is fine. Stops behind the first whole message: call again with the rest.
 *
 * @param[in,out] bytes
 *   What was taken is cut off its front.
 * @param[out] msg
 *   The message when WHOLE, in the buffer until the next push: a frame's payload, or a STUN message with its header.
 * @return
 *   The state. PARTIAL: all was taken. TOO_LONG and NOT_STUN stay.
 */
enum ep_stun_stream_state ep_stun_stream_push(
	struct ep_stun_stream *s, struct ep_stun_bytes *bytes, struct ep_stun_bytes *msg);

/**
 * Put a frame's header before a payload.
 *
 * @param[out] out
 *   Filled with header and payload; must not overlap the payload.
 * @param size
 *   Of @p out [B].
 * @param[out] len
 *   Bytes written; set on success only.
 * @return
 *   0 or -EMSGSIZE (the payload is longer than EP_STUN_FRAME_MAX, or @p out is too small).
 */
int ep_stun_frame(struct ep_stun_bytes payload, uint8_t *out, size_t size, size_t *len);
