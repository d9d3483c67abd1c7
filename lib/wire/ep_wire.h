#pragma once

/**
 * @file
 * The probe on the wire (design section 3, normative), its frame, and its tag.
 *
 *   Ethernet 14 | (one VLAN tag, received only) | IPv4 20 or IPv6 40 | UDP 8 | RTP-shaped probe 18 | filler n | FCS 4
 *
 *   UDP payload: 0 V/P/X/CC 0x80 | 1 M,PT | 2 RTP sequence (low 16) | 4 RTP timestamp [ns mod 2^32] | 8 SSRC = flow
 *                12 sequence high 16 | 14 tag (4) | 18 filler
 *
 * Everything on the wire is big-endian. Nothing here touches a socket, an mbuf or a clock. Frame lengths called
 * `frame_bytes` include the 4 bytes of FCS as everywhere in everyport; `len` of a buffer does not.
 *
 * Frames may lie at any alignment. A template may be shared by threads once it is built; a tagger has one owner; all else
 * works on memory of the caller. The bodies of the hot-path functions are at the end of this file.
 */

#include <ep_base.h>

#include <assert.h>
#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define EP_WIRE_KEY_BYTES 16         /**< AES-128 trial key. */
#define EP_WIRE_SESSION_KEY_BYTES 32 /**< The key of a key file. */
#define EP_WIRE_NONCE_BYTES 16       /**< Each side's part of a trial's nonce. */
#define EP_WIRE_PROBE_BYTES 18       /**< Probe without filler. */
#define EP_WIRE_FCS_BYTES 4
#define EP_WIRE_L1_OVERHEAD_BYTES 20 /**< Preamble, SFD and inter-frame gap. */
#define EP_WIRE_BURST 32             /**< Most tags computed in one call. */
#define EP_WIRE_MIN_FRAME_IPV4 64    /**< 14 + 20 + 8 + 18 + 4. */
#define EP_WIRE_MIN_FRAME_IPV6 84    /**< 14 + 40 + 8 + 18 + 4. */
#define EP_WIRE_MAX_FRAME 9018       /**< Jumbo frame with FCS. */
#define EP_WIRE_HEADER_MAX 62        /**< Ethernet, IPv6, UDP. */
#define EP_WIRE_IPV4_SRC 26          /**< Offset of the source address in an untagged frame [B]. */
#define EP_WIRE_IPV4_DST 30          /**< Offset of the destination address. */
#define EP_WIRE_IPV6_SRC 22          /**< Offset of the source address in an untagged frame [B]. */
#define EP_WIRE_IPV6_DST 38          /**< Offset of the destination address. */
#define EP_WIRE_TTL 64               /**< TTL or hop limit of what we send. */
#define EP_WIRE_IP_TEXT_BYTES 46     /**< Buffer that holds any address as text. */

/** Offsets in the UDP payload [B]. */
enum ep_wire_offset {
	EP_WIRE_OFF_VERSION = 0,   /**< V, P, X, CC. */
	EP_WIRE_OFF_PT = 1,        /**< M, PT. */
	EP_WIRE_OFF_SEQ_LOW = 2,   /**< RTP sequence. */
	EP_WIRE_OFF_TIME = 4,      /**< RTP timestamp. */
	EP_WIRE_OFF_FLOW = 8,      /**< SSRC. */
	EP_WIRE_OFF_SEQ_HIGH = 12, /**< Above the RTP sequence. */
	EP_WIRE_OFF_TAG = 14,
	EP_WIRE_OFF_FILLER = 18,
};

/** RTP payload types. */
enum ep_wire_pt {
	EP_WIRE_PT_UP = 96,   /**< Initiator to responder. */
	EP_WIRE_PT_ECHO = 97, /**< Responder's answer to one up probe. */
	EP_WIRE_PT_DOWN = 98, /**< Responder's own stream. */
};

enum ep_wire_family { EP_WIRE_IPV4 = 4, EP_WIRE_IPV6 = 6 };

/** An IP address. IPv4 uses the first 4 bytes, the others are 0. Network order. */
struct ep_wire_ip {
	enum ep_wire_family family;
	uint8_t bytes_be[16];
};

/** Whether two addresses are the same. */
bool ep_wire_ip_equal(const struct ep_wire_ip *a, const struct ep_wire_ip *b);

/** Parse "192.0.2.1" or "2001:db8::1". @return 0 or -EINVAL with a sentence. */
int ep_wire_ip_parse(const char *text, struct ep_wire_ip *ip, struct ep_err *err);

/**
 * Format an address (IPv6 as in RFC 5952).
 *
 * @param len
 *   Size of @p buf [B], at least EP_WIRE_IP_TEXT_BYTES; a text that does not fit leaves "".
 * @return
 *   @p buf.
 */
const char *ep_wire_ip_format(char *buf, size_t len, const struct ep_wire_ip *ip);

/** What a probe says. Host order. */
struct ep_wire_probe {
	uint32_t flow;
	uint32_t seq;        /**< Low 32 bits of the flow's sequence. */
	uint32_t time_ns;    /**< Send time modulo 2^32 [ns]. */
	uint16_t orig_dport; /**< The initiator's destination port; in the tag, not on the wire. */
	uint8_t pt;          /**< enum ep_wire_pt. */
	bool first;          /**< M bit: first probe of its flow in this trial. Not in the tag. */
};

/* --- Tag ------------------------------------------------------------------------------------------------------------ */

/** One message of the tag: flow, sequence, timestamp, original destination port, PT, zero; 4+4+4+2+1+1 bytes, big-endian. */
struct ep_wire_block {
	union {
		uint8_t bytes_be[16];
		uint32_t word_be[4];
	};
} __attribute__((aligned(16)));

/** Tag computation under one trial key. Opaque; one owner thread (it holds a cipher context). */
struct ep_wire_tagger;

/** Which implementation to use. */
enum ep_wire_tag_impl {
	EP_WIRE_TAG_AUTO,     /**< The fastest that this CPU has. */
	EP_WIRE_TAG_PORTABLE, /**< OpenSSL's AES. */
	EP_WIRE_TAG_AESNI,    /**< x86-64 AES-NI, pipelined. */
	EP_WIRE_TAG_VAES256,  /**< x86-64 VAES with AVX2, 2 blocks a register. */
	EP_WIRE_TAG_VAES512,  /**< x86-64 VAES with AVX-512, 4 blocks a register. */
	EP_WIRE_TAG_ARMV8,    /**< aarch64 with the cryptographic extension, pipelined. */
};

/**
 * Make a tagger. Control path.
 *
 * @return
 *   0, -ENOMEM, -ENOTSUP (this CPU lacks what @p impl needs) or -EIO (OpenSSL failed). @p out is set on success only; the
 *   caller owns it.
 */
int ep_wire_tagger_create(const uint8_t key[EP_WIRE_KEY_BYTES], enum ep_wire_tag_impl impl,
	struct ep_wire_tagger **out);

/** Wipe the key and free. Accepts NULL. */
void ep_wire_tagger_destroy(struct ep_wire_tagger *tagger);

/** Name of the implementation in use: "vaes512", "vaes256", "aesni", "armv8" or "openssl". */
const char *ep_wire_tagger_name(const struct ep_wire_tagger *tagger);

/**
 * Tags of a burst: the first 32 bits (as a host-order number of the big-endian bytes) of AES-128-CMAC (RFC 4493) over each
 * whole block. Hot path; never fails.
 *
 * @param block
 *   [count] messages.
 * @param[out] tag
 *   [count] filled.
 * @param count
 *   0 to EP_WIRE_BURST.
 */
void ep_wire_tag_burst(struct ep_wire_tagger *tagger, const struct ep_wire_block *block,
	uint32_t *tag, uint32_t count);

/**
 * Tags of the echoes of a burst: as ep_wire_tag_burst() for messages that differ from those of @p block, which are of probes with
 * EP_WIRE_PT_UP, by the payload type EP_WIRE_PT_ECHO. Hot path; never fails.
 *
 * The difference lies in what the tagger XORs to a block anyway: the blocks need not be written again.
 */
void ep_wire_tag_burst_echo(struct ep_wire_tagger *tagger, const struct ep_wire_block *block,
	uint32_t *tag, uint32_t count);

/** Fill the tag's message for a probe. Hot path. */
static inline void ep_wire_block_set(
	struct ep_wire_block *block, const struct ep_wire_probe *probe);

/**
 * AES-128-CMAC of a message of any length (RFC 4493 section 2.4), for the RFC's vectors and the control path.
 * @return 0 or -EIO (OpenSSL failed).
 */
int ep_wire_cmac(const uint8_t key[16], const uint8_t *message, size_t len, uint8_t mac[16]);

/**
 * The trial key: HKDF-SHA256 (RFC 5869), input the session key, salt both nonces (initiator's first), info
 * "everyport/1 trial", 16 bytes of output.
 * @return 0 or -EIO (OpenSSL failed).
 */
int ep_wire_trial_key(const uint8_t session_key[EP_WIRE_SESSION_KEY_BYTES],
	const uint8_t nonce_initiator[EP_WIRE_NONCE_BYTES],
	const uint8_t nonce_responder[EP_WIRE_NONCE_BYTES], uint8_t key[EP_WIRE_KEY_BYTES]);

/* --- Frames --------------------------------------------------------------------------------------------------------- */

/** Ends of a link. Addresses of the same family. */
struct ep_wire_ends {
	uint8_t src_mac[6];
	uint8_t dst_mac[6];
	struct ep_wire_ip src;
	struct ep_wire_ip dst;
};

/** How the UDP and IPv4 header checksums get right. */
enum ep_wire_checksum {
	/** Written whole, by increment from the template. */
	EP_WIRE_CHECKSUM_SOFTWARE,
	/** The NIC fills them in. UDP field: as rte_ipv4_phdr_cksum() gives it (folded, not inverted); IPv4 field: 0. */
	EP_WIRE_CHECKSUM_OFFLOAD,
};

/** A frame of one size with everything that does not change. Read-only after ep_wire_tmpl_init(). */
struct ep_wire_tmpl {
	uint8_t header
		[64]; /**< Ethernet, IP, UDP with zero ports; checksum of IPv4 as to be sent. */
	uint16_t header_bytes; /**< 42 or 62. */
	uint16_t len;          /**< Frame without FCS [B]. */
	uint16_t filler_bytes; /**< Payload behind the probe [B]. */
	enum ep_wire_family family;
	enum ep_wire_checksum checksum;
	uint64_t udp_sum; /**< Constant part of the UDP checksum (offload: pseudo header's). */
};

/**
 * Build a template. Control path.
 *
 * TTL/hop limit 64, DF set, IPv4 ID 0, traffic class 0.
 *
 * @return
 *   0, or -EINVAL (families differ or are none) or -ERANGE (frame below the family's minimum or above EP_WIRE_MAX_FRAME),
 *   with a sentence.
 */
int ep_wire_tmpl_init(struct ep_wire_tmpl *tmpl, const struct ep_wire_ends *ends,
	uint16_t frame_bytes, enum ep_wire_checksum checksum, struct ep_err *err);

/**
 * A burst of probes on the way to their frames: one array a field. Entries from the burst's count on may hold anything: they
 * are computed along and never used. The caller's; about 1 KiB, so on the stack.
 *
 *   flow, seq, time_ns, dport -> ep_wire_batch_blocks -> block -> ep_wire_tag_burst -> tag
 *   ... and ports (, more) -> ep_wire_batch_check... -> check
 *   ... and udp_bytes (, addr) -> ep_wire_batch_finish (, ep_wire_batch_readdress) -> ep_wire_batch_write -> frame
 */
struct ep_wire_batch {
	uint32_t flow[EP_WIRE_BURST];
	uint32_t seq[EP_WIRE_BURST];
	uint32_t time_ns[EP_WIRE_BURST];
	uint32_t dport[EP_WIRE_BURST]; /**< The initiator's destination port: in the tag. */
	uint32_t ports
		[EP_WIRE_BURST]; /**< Of the UDP header: source port << 16 | destination port. */
	uint32_t more[EP_WIRE_BURST];      /**< What else adds to the checksum, below 2^19. */
	uint32_t tag[EP_WIRE_BURST];       /**< As ep_wire_tag_burst() gave it. */
	uint32_t check[EP_WIRE_BURST];     /**< UDP checksum field. */
	uint32_t udp_bytes[EP_WIRE_BURST]; /**< UDP length [B]. */
	uint32_t addr[EP_WIRE_BURST]; /**< IPv4 address other than the template's, host order ... */
	uint32_t ip_sum[EP_WIRE_BURST]; /**< ... and ep_wire_tmpl_ip_sum() of the template. */
	/* As they go to the frame. */
	uint32_t tag_be[EP_WIRE_BURST];
	uint64_t udp_be[EP_WIRE_BURST];      /**< The UDP header. */
	uint32_t addr_be[EP_WIRE_BURST];     /**< addr. */
	uint32_t ip_check_be[EP_WIRE_BURST]; /**< IPv4 header checksum with addr. */
	struct ep_wire_block block[EP_WIRE_BURST];
	uint32_t
		marker; /**< EP_WIRE_RTP_MARKER where sequence 0 is a flow's first, 0 where it has wrapped. */
} __attribute__((aligned(64)));

/** Fill the tags' messages from flow, seq, time_ns and dport. Hot path. */
static inline void ep_wire_batch_blocks(struct ep_wire_batch *b, uint8_t pt);

/** As ep_wire_batch_blocks(), with each probe's own payload type, [EP_WIRE_BURST]. Hot path. */
static inline void ep_wire_batch_blocks_of(struct ep_wire_batch *b, const uint32_t *pt);

/**
 * Fill the UDP checksums (0 becomes 0xffff, RFC 768) of probes without filler that share a constant part. Needs the tags. Hot
 * path.
 *
 * @param udp_sum
 *   udp_sum of the template.
 */
static inline void ep_wire_batch_check(struct ep_wire_batch *b, uint64_t udp_sum, uint8_t pt);

/** As ep_wire_batch_check(), with each probe's own constant part in `more`. Hot path. */
static inline void ep_wire_batch_check_more(struct ep_wire_batch *b, uint8_t pt);

/** For the NIC to complete: the checksums become the sums of the pseudo headers, which are in `more`. Hot path. */
static inline void ep_wire_batch_check_offload(struct ep_wire_batch *b);

/** What probe @p i's filler adds to its checksum; at most 0xffff. Hot path. */
static inline uint32_t ep_wire_batch_filler_sum(
	const struct ep_wire_batch *b, uint32_t i, const struct ep_wire_tmpl *tmpl);

/** What has to be added to a checksum's sum when a part of it changes from @p before to @p after; at most 0xffff. Hot path. */
static inline uint32_t ep_wire_sum_change(uint64_t before, uint64_t after);

/** What is written, from ports, udp_bytes, check and tag. Hot path. */
static inline void ep_wire_batch_finish(struct ep_wire_batch *b);

/**
 * What a template's IPv4 header adds to the header's checksum with another address. Hot path.
 *
 * @param offset
 *   Of the address in the frame: EP_WIRE_IPV4_SRC or EP_WIRE_IPV4_DST.
 */
static inline uint32_t ep_wire_tmpl_ip_sum(const struct ep_wire_tmpl *tmpl, uint32_t offset);

/** IPv4 headers' checksums from addr and ip_sum; with @p checksum OFFLOAD they stay 0. Hot path. */
static inline void ep_wire_batch_readdress(struct ep_wire_batch *b, enum ep_wire_checksum checksum);

/**
 * Write probe @p i of a burst, finished: all but its filler and its marker. Hot path.
 *
 * @param[out] frame
 *   tmpl->len bytes.
 * @param ipv6
 *   Whether the template is of IPv6; a literal.
 */
static inline void ep_wire_batch_write(const struct ep_wire_batch *b, uint32_t i,
	const struct ep_wire_tmpl *tmpl, uint8_t *frame, uint8_t pt, const bool ipv6);

/** The first part of ep_wire_batch_write(), which asks for nothing but the template. Hot path. */
static inline void ep_wire_batch_write_head(
	const struct ep_wire_tmpl *tmpl, uint8_t *frame, const bool ipv6);

/** ... and the rest of it. Hot path. */
static inline void ep_wire_batch_write_tail(
	const struct ep_wire_batch *b, uint32_t i, uint8_t *frame, uint8_t pt, const bool ipv6);

/** Write the marker of probe @p i, where `marker` is not 0: few bursts have one. Hot path. */
static inline void ep_wire_batch_mark(
	const struct ep_wire_batch *b, uint32_t i, uint8_t *frame, const bool ipv6);

/** Write probe @p i's IPv4 address over the template's. Hot path. */
static inline void ep_wire_batch_write_addr(
	const struct ep_wire_batch *b, uint32_t i, uint8_t *frame, uint32_t offset);

/** Write the filler of probe @p i of a burst. Hot path. */
static inline void ep_wire_batch_write_filler(
	const struct ep_wire_batch *b, uint32_t i, const struct ep_wire_tmpl *tmpl, uint8_t *frame);

/** What a received frame holds. Pointers into the frame. */
struct ep_wire_rx {
	uint8_t *l3;            /**< IP header. */
	uint8_t *udp;           /**< UDP header. */
	uint8_t *payload;       /**< UDP payload, at least EP_WIRE_PROBE_BYTES. */
	uint16_t payload_bytes; /**< From the UDP length, verified to lie inside the frame. */
	uint16_t sport;         /**< Host order. */
	uint16_t dport;         /**< Host order. */
	enum ep_wire_family family;
	uint32_t tag;               /**< As ep_wire_tag_burst() gives it. */
	struct ep_wire_probe probe; /**< orig_dport is 0: the caller knows it from the flow. */
};

/**
 * Parse a received frame. Hot path. Accepts Ethernet with at most one 802.1Q tag, unfragmented IPv4 (options allowed) or
 * IPv6 (UDP at once), UDP whose length is all of the IP payload, at least 18 bytes of payload whose first byte is 0x80 and
 * whose PT is 96, 97 or 98. Bytes behind the IP packet (Ethernet padding) are ignored. Reads no byte outside
 * [frame, frame + len). Does not verify checksums or the tag.
 *
 * @param len
 *   Frame without FCS [B].
 * @param[out] rx
 *   Filled on success; undefined otherwise.
 * @return
 *   Whether it has the shape of a probe.
 */
static inline bool ep_wire_parse(uint8_t *frame, uint32_t len, struct ep_wire_rx *rx);

/**
 * What the frames of a receive burst mostly look like: one family, one length, no VLAN tag, no IPv4 options, one kind of probe.
 * Opaque; the caller's, on the stack.
 */
struct ep_wire_shape;

/**
 * Start with no length. Hot path.
 *
 * @param ipv6
 *   Which family; a literal.
 */
static inline void ep_wire_shape_init(struct ep_wire_shape *s, const bool ipv6);

/**
 * Whether a frame has the shape, at the cost of a few vector operations. The length is learned from the frames. Hot path.
 *
 * @param len
 *   Frame without FCS [B]; no byte behind it is read.
 * @param up
 *   Whether up probes are expected; else echoes and down probes. A literal.
 * @return
 *   True: ep_wire_parse() accepts it, and its PT is as expected. False says nothing: ask ep_wire_parse().
 */
static inline bool ep_wire_shape_fits(struct ep_wire_shape *s, const uint8_t *frame, uint32_t len,
	const bool ipv6, const bool up);

/** What a received probe says of itself. Host order. */
struct ep_wire_fields {
	uint32_t flow;
	uint32_t seq;
	uint32_t time_ns;
	uint32_t tag; /**< As ep_wire_tag_burst() gives it. */
} __attribute__((aligned(16)));

/**
 * Read a frame that has the shape: its fields, and the tag's message with the port that the frame names as the initiator's
 * destination port, which a DUT may have changed. Hot path.
 */
static inline void ep_wire_plain_read(const uint8_t *frame, struct ep_wire_fields *fields,
	struct ep_wire_block *block, const bool ipv6, const bool up);

/** The same of any parsed frame. */
static inline void ep_wire_rx_read(
	const struct ep_wire_rx *rx, struct ep_wire_fields *fields, struct ep_wire_block *block);

/** Ports of a frame that has the shape: source port << 16 | destination port. Hot path. */
static inline uint32_t ep_wire_plain_ports(const uint8_t *frame, const bool ipv6);

/** Source address and port of a frame that has the shape. Hot path. */
static inline uint16_t ep_wire_plain_src(
	const uint8_t *frame, struct ep_wire_ip *ip, const bool ipv6);

/** The same of IPv4 in one word: the address as it lies there << 32 | the port in host order << 16. Hot path. */
static inline uint64_t ep_wire_plain_src4(const uint8_t *frame);

/** Source address of a parsed frame. */
static inline void ep_wire_rx_src(const struct ep_wire_rx *rx, struct ep_wire_ip *ip);

/**
 * Turn a parsed up probe, in place, into its echo: MACs, addresses and ports swapped, TTL 64, PT 97, M kept; the length, a VLAN
 * tag and IPv4 options stay. The UDP checksum is recomputed over the whole datagram when it was 0, else by increment (RFC 1624)
 * so that a corrupted payload stays visible; the IPv4 header checksum by increment. Hot path.
 *
 * @param frame
 *   The frame that was parsed.
 * @param rx
 *   What ep_wire_parse() made of it; describes the echo afterwards.
 * @param tag
 *   Of the echo: the probe's fields with PT 97.
 */
static inline void ep_wire_echo(uint8_t *frame, struct ep_wire_rx *rx, uint32_t tag);

/**
 * What a burst of echoes needs beside its frames: ep_wire_echo() for frames that have the shape and a UDP checksum, several at
 * once. Entries that are not filled may hold anything.
 *
 *   frame -> ep_wire_echo_read -> ep_wire_echo_sums -> ep_wire_echo_write -> frame
 */
struct ep_wire_echoes {
	uint32_t head
		[EP_WIRE_BURST]; /**< IPv4: TTL, protocol, header checksum, as they lie there. */
	uint32_t check[EP_WIRE_BURST];  /**< UDP checksum, RTP version and PT, as they lie there. */
	uint32_t tag_be[EP_WIRE_BURST]; /**< Of the echo. */
} __attribute__((aligned(64)));

/** Take from up probe @p i what its echo's checksums follow from. Hot path. */
static inline void ep_wire_echo_read(
	struct ep_wire_echoes *e, uint32_t i, const uint8_t *frame, const bool ipv6);

/** Whether probe @p i, read and not yet summed, has a UDP checksum. Hot path. */
static inline bool ep_wire_echo_has_check(const struct ep_wire_echoes *e, uint32_t i);

/** From the probes' checksums to those of the echoes, [EP_WIRE_BURST] tags each. Hot path. */
static inline void ep_wire_echo_sums(struct ep_wire_echoes *restrict e,
	const uint32_t *restrict up_tag, const uint32_t *restrict echo_tag);

/** Turn up probe @p i, in place, into its echo. Hot path. */
static inline void ep_wire_echo_write(
	const struct ep_wire_echoes *e, uint32_t i, uint8_t *frame, const bool ipv6);

/** The UDP checksum that a parsed frame should carry; never 0. Reads every byte, so not for each frame. */
uint16_t ep_wire_udp_checksum(const struct ep_wire_rx *rx);

/** Whether the filler behind the probe is what flow and sequence say. */
bool ep_wire_filler_ok(const struct ep_wire_rx *rx);

/** The 8-byte pattern of a probe's filler (host-order number, repeated big-endian, cut at the end). */
static inline uint64_t ep_wire_filler_word(uint32_t flow, uint32_t seq);

#include "wire_batch.h"
#include "wire_shape.h"
