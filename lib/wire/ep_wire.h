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
	uint8_t bytes_be[16];
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
 * Write a whole frame except its tag, which is left 0 and outside the checksum. Hot path.
 *
 * @param[out] frame
 *   tmpl->len bytes.
 * @param block
 *   Filled with the tag's message.
 * @return
 *   The UDP checksum's running sum without the tag, for ep_wire_finish(). For offload, the pseudo header's.
 */
static inline uint64_t ep_wire_write(const struct ep_wire_tmpl *tmpl, uint8_t *frame,
	uint16_t sport, uint16_t dport, const struct ep_wire_probe *probe,
	struct ep_wire_block *block);

/**
 * As ep_wire_write(), to another destination address than the template's (a learned one): the IPv4 header checksum and the
 * pseudo header follow. @p dst is of the template's family. Hot path.
 */
static inline uint64_t ep_wire_write_to(const struct ep_wire_tmpl *tmpl, uint8_t *frame,
	const struct ep_wire_ip *dst, uint16_t sport, uint16_t dport,
	const struct ep_wire_probe *probe, struct ep_wire_block *block);

/**
 * Write the tag and the UDP checksum (0 becomes 0xffff, RFC 768; for offload the pseudo-header sum) into a frame of
 * ep_wire_write(). Hot path.
 *
 * @param tag
 *   As ep_wire_tag_burst() gave it, host order.
 * @param udp_sum
 *   What ep_wire_write() or ep_wire_write_to() returned for this frame.
 */
static inline void ep_wire_finish(
	const struct ep_wire_tmpl *tmpl, uint8_t *frame, uint32_t tag, uint64_t udp_sum);

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

/** Source address of a parsed frame. */
static inline void ep_wire_rx_src(const struct ep_wire_rx *rx, struct ep_wire_ip *ip);

/**
 * Turn a parsed up probe, in place, into its echo: MACs, addresses and ports swapped, TTL 64, PT 97, M kept, tag zeroed; the
 * length, a VLAN tag and IPv4 options stay. The UDP checksum is recomputed over the whole datagram when it was 0, else by
 * increment (RFC 1624) so that a corrupted payload stays visible; the IPv4 header checksum by increment. Hot path.
 *
 * @param frame
 *   The frame that was parsed.
 * @param rx
 *   What ep_wire_parse() made of it; describes the echo afterwards.
 * @param block
 *   Filled with the echo's tag message (orig_dport from @p orig_dport).
 */
static inline void ep_wire_echo(
	uint8_t *frame, struct ep_wire_rx *rx, uint16_t orig_dport, struct ep_wire_block *block);

/** Write the tag of an ep_wire_echo() and put it into the checksum by increment. Hot path. */
static inline void ep_wire_echo_finish(struct ep_wire_rx *rx, uint32_t tag);

/** The UDP checksum that a parsed frame should carry; never 0. Reads every byte, so not for each frame. */
uint16_t ep_wire_udp_checksum(const struct ep_wire_rx *rx);

/** Whether the filler behind the probe is what flow and sequence say. */
bool ep_wire_filler_ok(const struct ep_wire_rx *rx);

/** The 8-byte pattern of a probe's filler (host-order number, repeated big-endian, cut at the end). */
static inline uint64_t ep_wire_filler_word(uint32_t flow, uint32_t seq);

/* --- Bodies of the hot path ----------------------------------------------------------------------------------------- */

#define EP_WIRE_ETH_BYTES 14
#define EP_WIRE_VLAN_BYTES 4
#define EP_WIRE_IPV4_BYTES 20
#define EP_WIRE_IPV6_BYTES 40
#define EP_WIRE_UDP_BYTES 8
#define EP_WIRE_ETHERTYPE_IPV4 0x0800
#define EP_WIRE_ETHERTYPE_IPV6 0x86dd
#define EP_WIRE_ETHERTYPE_VLAN 0x8100
#define EP_WIRE_PROTO_UDP 17
#define EP_WIRE_RTP_VERSION 0x80 /* Version 2, no padding, no extension, no CSRC. */
#define EP_WIRE_RTP_MARKER 0x80
#define EP_WIRE_MIX UINT64_C(0x9e3779b97f4a7c15) /* 2^64 / golden ratio, odd. */

static_assert(sizeof(struct ep_wire_block) == 16, "the tag's message is one AES block");
static_assert(EP_WIRE_OFF_FILLER == EP_WIRE_PROBE_BYTES, "the filler follows the probe");
static_assert(EP_WIRE_OFF_TAG % 2 == 0 && EP_WIRE_OFF_FILLER % 2 == 0,
	"checksum words do not straddle fields");

/* Unaligned big-endian access: each is one plain move and a swap. */
static inline uint16_t
ep_wire_get16(const uint8_t *p)
{
	uint16_t v_be;

	memcpy(&v_be, p, sizeof(v_be));
	return be16toh(v_be);
}

static inline uint32_t
ep_wire_get32(const uint8_t *p)
{
	uint32_t v_be;

	memcpy(&v_be, p, sizeof(v_be));
	return be32toh(v_be);
}

static inline void
ep_wire_put16(uint8_t *p, uint16_t v)
{
	const uint16_t v_be = htobe16(v);

	memcpy(p, &v_be, sizeof(v_be));
}

static inline void
ep_wire_put32(uint8_t *p, uint32_t v)
{
	const uint32_t v_be = htobe32(v);

	memcpy(p, &v_be, sizeof(v_be));
}

/*
 * Checksums are kept as plain 64-bit sums of 16- or 32-bit big-endian numbers and folded at the end: 2^16 = 1 modulo
 * 65535, so a 32-bit number counts as its two halves.
 *
 * A frame adds less than 2^14 numbers below 2^32, so a sum is below 2^48. After the first line it is at most
 * 2^32 + 2^16 - 2, so its high part is 2^16 only where the low one is below 0xffff; after the second at most 0x1fffe;
 * after the third at most 0xffff. Only a sum of 0 folds to 0.
 */
static inline uint16_t
ep_wire_fold(uint64_t sum)
{
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & UINT16_MAX) + (sum >> 16);
	return (uint16_t)((sum & UINT16_MAX) + (sum >> 16));
}

/* UDP checksum field of a sum: 0 would mean "none" (RFC 768). */
static inline uint16_t
ep_wire_udp_field(uint64_t sum)
{
	const uint16_t check = (uint16_t)~ep_wire_fold(sum);

	return check != 0 ? check : UINT16_MAX;
}

/* Sum of an address on the wire. */
static inline uint64_t
ep_wire_addr_sum(const uint8_t *addr_be, enum ep_wire_family family)
{
	const uint64_t sum = ep_wire_get32(addr_be);

	if (family == EP_WIRE_IPV4)
		return sum;
	return sum + ep_wire_get32(addr_be + 4) + ep_wire_get32(addr_be + 8) +
		ep_wire_get32(addr_be + 12);
}

static inline void
ep_wire_block_set(struct ep_wire_block *block, const struct ep_wire_probe *probe)
{
	ep_wire_put32(block->bytes_be, probe->flow);
	ep_wire_put32(block->bytes_be + 4, probe->seq);
	ep_wire_put32(block->bytes_be + 8, probe->time_ns);
	ep_wire_put32(
		block->bytes_be + 12, (uint32_t)probe->orig_dport << 16 | (uint32_t)probe->pt << 8);
}

/* Two rounds of multiply and shift: both bijective, so no two probes of a trial share a word. */
static inline uint64_t
ep_wire_filler_word(uint32_t flow, uint32_t seq)
{
	uint64_t word = ((uint64_t)flow << 32 | seq) * EP_WIRE_MIX;

	word = (word ^ word >> 32) * EP_WIRE_MIX;
	return word ^ word >> 32;
}

/* The pattern's bytes that a filler's last, cut word keeps; the others 0. */
static inline uint64_t
ep_wire_filler_rest(uint64_t word, uint16_t filler_bytes)
{
	return word & ~(UINT64_MAX >> 8 * (filler_bytes % 8));
}

/* What a filler adds to the checksum: it starts at an even offset, and an odd end is padded with 0. */
static inline uint64_t
ep_wire_filler_sum(uint64_t word, uint16_t filler_bytes)
{
	const uint64_t rest = ep_wire_filler_rest(word, filler_bytes);
	const uint64_t whole_count = filler_bytes / 8;

	return whole_count * ((word >> 32) + (word & UINT32_MAX)) + (rest >> 32) +
		(rest & UINT32_MAX);
}

static inline void
ep_wire_filler_write(uint8_t *p, uint64_t word, uint16_t filler_bytes)
{
	const uint64_t word_be = htobe64(word);

	for (uint32_t i = filler_bytes / 8; i > 0; i--) {
		memcpy(p, &word_be, sizeof(word_be));
		p += sizeof(word_be);
	}
	if (filler_bytes & 4) {
		ep_wire_put32(p, (uint32_t)(word >> 32));
		word <<= 32;
		p += 4;
	}
	if (filler_bytes & 2) {
		ep_wire_put16(p, (uint16_t)(word >> 48));
		word <<= 16;
		p += 2;
	}
	if (filler_bytes & 1)
		*p = (uint8_t)(word >> 56);
}

/* Headers as in the template: two copies of a constant length, which the compiler turns into moves. */
static inline void
ep_wire_header_copy(const struct ep_wire_tmpl *tmpl, uint8_t *frame)
{
	if (tmpl->family == EP_WIRE_IPV4)
		memcpy(frame, tmpl->header,
			EP_WIRE_ETH_BYTES + EP_WIRE_IPV4_BYTES + EP_WIRE_UDP_BYTES);
	else
		memcpy(frame, tmpl->header,
			EP_WIRE_ETH_BYTES + EP_WIRE_IPV6_BYTES + EP_WIRE_UDP_BYTES);
}

/* Ports, probe and filler. Returns what they add to the constant parts of the checksum. */
static inline uint64_t
ep_wire_probe_write(const struct ep_wire_tmpl *tmpl, uint8_t *frame, uint16_t sport, uint16_t dport,
	const struct ep_wire_probe *probe, struct ep_wire_block *block)
{
	uint8_t *const payload = frame + tmpl->header_bytes;
	const uint32_t ports = (uint32_t)sport << 16 | dport;
	const uint32_t pt = (probe->first ? EP_WIRE_RTP_MARKER : 0) | probe->pt;
	const uint32_t head =
		(uint32_t)EP_WIRE_RTP_VERSION << 24 | pt << 16 | (probe->seq & UINT16_MAX);
	const uint64_t word = ep_wire_filler_word(probe->flow, probe->seq);

	ep_wire_put32(payload - EP_WIRE_UDP_BYTES, ports);
	ep_wire_put32(payload, head);
	ep_wire_put32(payload + EP_WIRE_OFF_TIME, probe->time_ns);
	ep_wire_put32(payload + EP_WIRE_OFF_FLOW, probe->flow);
	ep_wire_put16(payload + EP_WIRE_OFF_SEQ_HIGH, (uint16_t)(probe->seq >> 16));
	ep_wire_put32(payload + EP_WIRE_OFF_TAG, 0);
	ep_wire_filler_write(payload + EP_WIRE_OFF_FILLER, word, tmpl->filler_bytes);
	ep_wire_block_set(block, probe);
	return (uint64_t)ports + head + probe->time_ns + probe->flow + (probe->seq >> 16) +
		ep_wire_filler_sum(word, tmpl->filler_bytes);
}

static inline uint64_t
ep_wire_write(const struct ep_wire_tmpl *tmpl, uint8_t *frame, uint16_t sport, uint16_t dport,
	const struct ep_wire_probe *probe, struct ep_wire_block *block)
{
	uint64_t sum;

	ep_wire_header_copy(tmpl, frame);
	sum = ep_wire_probe_write(tmpl, frame, sport, dport, probe, block);
	return tmpl->checksum == EP_WIRE_CHECKSUM_OFFLOAD ? tmpl->udp_sum : tmpl->udp_sum + sum;
}

/* RFC 1624 equation 3 on an IPv4 header: ~check and the complement of the old words are added to the new ones. */
static inline void
ep_wire_ipv4_check_update(uint8_t *ipv4, uint32_t before, uint32_t after)
{
	const uint64_t check = (uint16_t)~ep_wire_get16(ipv4 + 10);

	ep_wire_put16(ipv4 + 10, (uint16_t)~ep_wire_fold(check + (uint32_t)~before + after));
}

/* Write another destination into a copied header. Returns what it changes of the pseudo header's sum, modulo 2^64. */
static inline uint64_t
ep_wire_dst_write(const struct ep_wire_tmpl *tmpl, uint8_t *frame, const struct ep_wire_ip *dst)
{
	uint8_t *const l3 = frame + EP_WIRE_ETH_BYTES;
	uint8_t *const addr_be = l3 + (tmpl->family == EP_WIRE_IPV4 ? 16 : 24);
	const uint64_t before = ep_wire_addr_sum(addr_be, tmpl->family);
	const uint64_t after = ep_wire_addr_sum(dst->bytes_be, tmpl->family);

	if (tmpl->family == EP_WIRE_IPV6) {
		memcpy(addr_be, dst->bytes_be, 16);
	} else {
		memcpy(addr_be, dst->bytes_be, 4);
		if (tmpl->checksum == EP_WIRE_CHECKSUM_SOFTWARE)
			ep_wire_ipv4_check_update(l3, (uint32_t)before, (uint32_t)after);
	}
	return after -
		before; /* The template's sum contains `before`, so the total is never negative. */
}

static inline uint64_t
ep_wire_write_to(const struct ep_wire_tmpl *tmpl, uint8_t *frame, const struct ep_wire_ip *dst,
	uint16_t sport, uint16_t dport, const struct ep_wire_probe *probe,
	struct ep_wire_block *block)
{
	const uint64_t sum = ep_wire_write(tmpl, frame, sport, dport, probe, block);

	return sum + ep_wire_dst_write(tmpl, frame, dst);
}

static inline void
ep_wire_finish(const struct ep_wire_tmpl *tmpl, uint8_t *frame, uint32_t tag, uint64_t udp_sum)
{
	uint8_t *const payload = frame + tmpl->header_bytes;

	ep_wire_put32(payload + EP_WIRE_OFF_TAG, tag);
	ep_wire_put16(payload - 2,
		tmpl->checksum == EP_WIRE_CHECKSUM_OFFLOAD ? ep_wire_fold(udp_sum)
							   : ep_wire_udp_field(udp_sum + tag));
}

/*
 * Length of the IP packet's UDP datagram [B], 0 when it holds none of ours. The caller has seen to it that `avail`, the
 * bytes from l3 on, is at least 42, so the fixed headers can be read.
 */
static inline uint32_t
ep_wire_parse_ipv4(uint8_t *l3, uint32_t avail, struct ep_wire_rx *rx)
{
	const uint32_t header_bytes = (l3[0] & 0x0fU) * 4;
	const uint32_t total_bytes = ep_wire_get16(l3 + 2);
	const bool fragment = (ep_wire_get16(l3 + 6) & 0x3fff) != 0; /* MF or an offset */

	if (l3[0] >> 4 != 4 || l3[9] != EP_WIRE_PROTO_UDP || fragment)
		return 0;
	if (header_bytes < EP_WIRE_IPV4_BYTES || total_bytes < header_bytes || total_bytes > avail)
		return 0;
	rx->udp = l3 + header_bytes;
	rx->family = EP_WIRE_IPV4;
	return total_bytes - header_bytes;
}

static inline uint32_t
ep_wire_parse_ipv6(uint8_t *l3, uint32_t avail, struct ep_wire_rx *rx)
{
	const uint32_t datagram_bytes = ep_wire_get16(l3 + 4);

	if (l3[0] >> 4 != 6 || l3[6] != EP_WIRE_PROTO_UDP ||
		EP_WIRE_IPV6_BYTES + datagram_bytes > avail)
		return 0;
	rx->udp = l3 + EP_WIRE_IPV6_BYTES;
	rx->family = EP_WIRE_IPV6;
	return datagram_bytes;
}

static inline bool
ep_wire_parse_l3(uint8_t *frame, uint32_t len, struct ep_wire_rx *rx)
{
	uint16_t ethertype = ep_wire_get16(frame + 12);
	uint32_t l3_offset = EP_WIRE_ETH_BYTES;
	uint32_t datagram_bytes = 0;

	if (ethertype == EP_WIRE_ETHERTYPE_VLAN) {
		ethertype = ep_wire_get16(frame + 16);
		l3_offset += EP_WIRE_VLAN_BYTES;
	}
	rx->l3 = frame + l3_offset;
	if (ethertype == EP_WIRE_ETHERTYPE_IPV4)
		datagram_bytes = ep_wire_parse_ipv4(rx->l3, len - l3_offset, rx);
	else if (ethertype == EP_WIRE_ETHERTYPE_IPV6)
		datagram_bytes = ep_wire_parse_ipv6(rx->l3, len - l3_offset, rx);
	if (datagram_bytes < EP_WIRE_UDP_BYTES + EP_WIRE_PROBE_BYTES)
		return false;
	rx->payload = rx->udp + EP_WIRE_UDP_BYTES;
	rx->payload_bytes = (uint16_t)(datagram_bytes - EP_WIRE_UDP_BYTES);
	return ep_wire_get16(rx->udp + 4) == datagram_bytes;
}

static inline bool
ep_wire_parse(uint8_t *frame, uint32_t len, struct ep_wire_rx *rx)
{
	const uint8_t *payload;
	uint8_t pt;

	if (len < EP_WIRE_MIN_FRAME_IPV4 - EP_WIRE_FCS_BYTES || !ep_wire_parse_l3(frame, len, rx))
		return false;
	payload = rx->payload;
	pt = payload[EP_WIRE_OFF_PT] & (uint8_t)~EP_WIRE_RTP_MARKER;
	if (payload[EP_WIRE_OFF_VERSION] != EP_WIRE_RTP_VERSION || pt < EP_WIRE_PT_UP ||
		pt > EP_WIRE_PT_DOWN)
		return false;

	rx->sport = ep_wire_get16(rx->udp);
	rx->dport = ep_wire_get16(rx->udp + 2);
	rx->tag = ep_wire_get32(payload + EP_WIRE_OFF_TAG);
	rx->probe.flow = ep_wire_get32(payload + EP_WIRE_OFF_FLOW);
	rx->probe.seq = (uint32_t)ep_wire_get16(payload + EP_WIRE_OFF_SEQ_HIGH) << 16 |
		ep_wire_get16(payload + EP_WIRE_OFF_SEQ_LOW);
	rx->probe.time_ns = ep_wire_get32(payload + EP_WIRE_OFF_TIME);
	rx->probe.orig_dport = 0;
	rx->probe.pt = pt;
	rx->probe.first = (payload[EP_WIRE_OFF_PT] & EP_WIRE_RTP_MARKER) != 0;
	return true;
}

static inline void
ep_wire_rx_src(const struct ep_wire_rx *rx, struct ep_wire_ip *ip)
{
	memset(ip, 0, sizeof(*ip));
	ip->family = rx->family;
	if (rx->family == EP_WIRE_IPV4)
		memcpy(ip->bytes_be, rx->l3 + 12, 4);
	else
		memcpy(ip->bytes_be, rx->l3 + 8, 16);
}

/* Swap neighbours of one constant length (source and destination lie side by side in every header). */
static inline void
ep_wire_swap(uint8_t *first, const size_t bytes)
{
	uint8_t keep[16];

	memcpy(keep, first, bytes);
	memcpy(first, first + bytes, bytes);
	memcpy(first + bytes, keep, bytes);
}

/* Addresses swapped, which no checksum notices, and the TTL of a fresh packet. */
static inline void
ep_wire_echo_l3(struct ep_wire_rx *rx)
{
	uint8_t *const l3 = rx->l3;

	if (rx->family == EP_WIRE_IPV4) {
		const uint16_t before = ep_wire_get16(l3 + 8); /* TTL, protocol */

		l3[8] = EP_WIRE_TTL;
		ep_wire_ipv4_check_update(l3, before, ep_wire_get16(l3 + 8));
		ep_wire_swap(l3 + 12, 4);
	} else {
		l3[7] = EP_WIRE_TTL;
		ep_wire_swap(l3 + 8, 16);
	}
}

static inline void
ep_wire_echo(
	uint8_t *frame, struct ep_wire_rx *rx, uint16_t orig_dport, struct ep_wire_block *block)
{
	uint8_t *const payload = rx->payload;
	const uint16_t check = ep_wire_get16(rx->udp + 6);
	const uint16_t sport = rx->sport;
	const uint16_t before = ep_wire_get16(payload);
	uint64_t sum;

	ep_wire_swap(frame, 6);
	ep_wire_echo_l3(rx);
	ep_wire_swap(rx->udp, 2);
	rx->sport = rx->dport;
	rx->dport = sport;

	rx->probe.pt = EP_WIRE_PT_ECHO;
	rx->probe.orig_dport = orig_dport;
	payload[EP_WIRE_OFF_PT] =
		(uint8_t)((payload[EP_WIRE_OFF_PT] & EP_WIRE_RTP_MARKER) | EP_WIRE_PT_ECHO);
	ep_wire_put32(payload + EP_WIRE_OFF_TAG, 0);
	ep_wire_block_set(block, &rx->probe);

	/* RFC 1624 equation 3: the old first word and the old tag go, the new first word comes. */
	sum = (uint64_t)(uint16_t)~check + (uint16_t)~before + ep_wire_get16(payload) +
		(uint32_t)~rx->tag;
	rx->tag = 0;
	ep_wire_put16(rx->udp + 6, check != 0 ? ep_wire_udp_field(sum) : ep_wire_udp_checksum(rx));
}

static inline void
ep_wire_echo_finish(struct ep_wire_rx *rx, uint32_t tag)
{
	const uint16_t check = ep_wire_get16(rx->udp + 6);

	rx->tag = tag;
	ep_wire_put32(rx->payload + EP_WIRE_OFF_TAG, tag);
	ep_wire_put16(rx->udp + 6, ep_wire_udp_field((uint64_t)(uint16_t)~check + tag));
}
