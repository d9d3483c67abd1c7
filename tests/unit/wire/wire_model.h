#pragma once

/*
 * An independent, slow view of frames for the tests: sums are taken byte by byte from what is on the wire, nothing is shared
 * with the library but its structs.
 */

#include <ep_wire.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Seeded random numbers (splitmix64). */
struct model_rng {
	uint64_t state;
};

/* Seed from EP_TEST_SEED or a fixed one; printed, so that a failure can be repeated. */
struct model_rng model_rng_seeded(const char *test_name);

uint64_t model_rng_next(struct model_rng *rng);

/* In [min, max]. */
uint32_t model_rng_range(struct model_rng *rng, uint32_t min, uint32_t max);

bool model_rng_bool(struct model_rng *rng);

void model_rng_bytes(struct model_rng *rng, uint8_t *out, size_t len);

struct ep_wire_ip model_random_ip(struct model_rng *rng, enum ep_wire_family family);

struct ep_wire_ends model_random_ends(struct model_rng *rng, enum ep_wire_family family);

struct ep_wire_probe model_random_probe(struct model_rng *rng);

enum ep_wire_family model_random_family(struct model_rng *rng);

/* Any size that the family allows; one in four has the smallest few sizes, where the cut filler words are. */
uint16_t model_random_size(struct model_rng *rng, enum ep_wire_family family);

/* Builds one frame as the engine does, at a random place of a burst full of other probes. @p dst: written over the template's
 * destination; NULL: the template's. @p tag: NULL: 0. @p block: filled with the tag's message; may be NULL. */
void model_write(struct model_rng *rng, const struct ep_wire_tmpl *tmpl, uint8_t *frame,
	const struct ep_wire_ip *dst, uint16_t sport, uint16_t dport,
	const struct ep_wire_probe *probe, const uint32_t *tag, struct ep_wire_block *block);

/* A random whole frame with right checksums in a heap buffer of exactly its length. The caller frees it. */
struct model_frame {
	uint8_t *bytes;
	uint32_t len;
	struct ep_wire_probe probe;
	struct ep_wire_ends ends;
	uint16_t sport;
	uint16_t dport;
	uint32_t tag;
};
struct model_frame model_random_frame(
	struct model_rng *rng, enum ep_wire_family family, uint16_t frame_bytes);

/* Where the IP header starts: 14, or 18 behind a VLAN tag. */
uint32_t model_l3_offset(const uint8_t *frame);

uint32_t model_udp_offset(const uint8_t *frame);

/* A big-endian number of 1 to 8 bytes. */
uint64_t model_get(const uint8_t *p, unsigned int bytes);

void model_set16(uint8_t *p, uint16_t v);

/* Ones'-complement sum of 16-bit words, folded; an odd last byte is padded with 0. */
uint16_t model_sum(const uint8_t *p, size_t len);

/* Folded sum of the pseudo header (RFC 768, RFC 8200 section 8.1), as a NIC wants it in the UDP field. */
uint16_t model_pseudo_sum(const uint8_t *frame);

/* Whether the UDP checksum is there and right. */
bool model_udp_ok(const uint8_t *frame);

/* Whether the IPv4 header checksum is right; always true for IPv6. */
bool model_ip_ok(const uint8_t *frame);

/* Set the IPv4 header checksum, for tests that edit the header. */
void model_ip_fix(uint8_t *frame);

/* The tag's message of the echo of a parsed probe. */
struct ep_wire_block model_echo_block(const struct ep_wire_rx *rx, uint16_t orig_dport);
