#pragma once

/** @file Packets for the tests of the slow path, built by code that shares none with the library's. */

#include <ep_slow.h>

#define UTIL_PORT_FIRST 51000
#define UTIL_PORT_COUNT 10
#define UTIL_SOURCE_BASE 20000

/** An initiator's or responder's view, with keys. Static memory: one at a time. */
struct util_side {
	struct ep_range *range;
	struct ep_sched space;
	struct ep_wire_tagger *tagger; /* the trial's */
	struct ep_wire_tagger *other;  /* of another key */
	struct ep_slow_match match;
};

void util_side_init(struct util_side *side, enum ep_wire_family family, bool responder);
void util_side_fini(struct util_side *side);

struct util_packet {
	size_t len;
	uint8_t bytes[2048];
};

/** What a hop says, and how. */
struct util_error {
	uint8_t type, code;
	uint32_t rest;      /* bytes 4 to 7 of the ICMP message */
	size_t quote_bytes; /* of the probe's packet; 0: all */
	size_t pad_to;      /* pad the quote with zeros to this, 0: do not (RFC 4884) */
	size_t extra_bytes; /* garbage behind it: extensions */
	size_t option_bytes; /* IPv4 options, or an IPv6 extension header, of the outer packet; a multiple of 8 */
	size_t quoted_option_bytes; /* the same of the quoted packet */
};

/** IP packet of the probe that a side sends. */
void util_probe(struct util_side *side, struct ep_wire_tagger *tagger, uint32_t flow, uint32_t seq,
	struct util_packet *out);

/** The hop's error about a packet, to the side. */
void util_error(const struct util_side *side, const struct util_packet *probe,
	const struct util_error *how, struct util_packet *out);

/** The hop that errors come from. */
struct ep_wire_ip util_hop(enum ep_wire_family family);

/** Write the checksums of an ICMP packet again after a change. */
void util_icmp_checksum(struct util_packet *packet);
