#pragma once

/**
 * @file
 * What is not a probe: errors that quote our probes, and a small host stack for devices that no kernel owns.
 *
 * No socket, no clock, no mbuf: packets, frames and the time are handed in, frames to be sent are written into memory of the
 * caller. Nothing is allocated after the start, and nothing that arrives can make it grow. Everything that arrives is taken for
 * hostile: no byte outside of what was handed in is read, lengths and checksums are verified before they are believed.
 *
 *   IP packet -> ep_slow_quote()        whose probe does this ICMP error quote? -> ep_slow_icmp_push()  per-port counts
 *   frame     -> ep_slow_stack_input()  ARP, NDP, echo: at most one answer
 *   time      -> ep_slow_stack_poll()   what the stack has to say on its own: probes, announcements, solicitations
 *
 * One thread per object. Times are of one monotonic clock of the caller [ns]; `len` is without FCS; addresses, MACs and all on the
 * wire are in network order.
 */

#include <ep_base.h>
#include <ep_range.h>
#include <ep_sched.h>
#include <ep_wire.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- ICMP errors that quote our probes ---------------------------------------------------------------------------- */

/** Taggers tried on a quoted probe: the trial's, and the one before (an error may come late). */
#define EP_SLOW_TAGGERS 2

/** What a quoted packet must look like to be one that we sent. */
struct ep_slow_match {
	const struct ep_range *range; /**< Ports under test; borrowed. */
	const struct ep_sched *space; /**< Flows: port of a flow, source ports; borrowed. */
	bool responder; /**< We are the responder: the port under test is the quoted source port. */
	struct ep_wire_ip local; /**< Our address. */
	struct ep_wire_ip
		peer; /**< Where we send; family 0: anywhere (a NAT's address may differ by flow). */
	struct ep_wire_tagger *tagger[EP_SLOW_TAGGERS]; /**< NULL: none. Borrowed; same thread. */
};

/** What an IP packet is to us. */
enum ep_slow_verdict {
	EP_SLOW_FLOW,    /**< Quotes a probe of ours: its tag verifies. */
	EP_SLOW_PORT,    /**< Quotes too little for the tag, but our addresses and ports. */
	EP_SLOW_FORGED,  /**< Quotes our addresses and ports, and a probe that we never sent. */
	EP_SLOW_FOREIGN, /**< An ICMP error about something else. */
	EP_SLOW_OTHER,   /**< No ICMP error, or broken, or in fragments. */
	EP_SLOW_VERDICTS,
};

/** An ICMP error that quotes us. Host order. */
struct ep_slow_quote {
	struct ep_wire_ip from; /**< The hop that sent it; its family says which ICMP it is. */
	uint8_t type;
	uint8_t code;
	uint32_t port_index; /**< In the range. FLOW: of the flow, else as quoted. */
	uint32_t flow;       /**< FLOW only. */
	uint32_t
		mtu_bytes; /**< What the hop can carry, where it says so (RFC 1191, RFC 4443 section 3.2) [B], else 0. */
};

/**
 * Look at an IP packet: ICMPv4 types 3, 4, 11, 12 (RFC 792) and ICMPv6 types 1 to 4 (RFC 4443), with IPv4 options and IPv6
 * extension headers in front and in the quoted packet, and extensions behind it passed over (RFC 4884). Redirects are no
 * error. Control path.
 *
 * @param packet
 *   [len] From the IP header on; bytes behind the IP packet are ignored.
 * @param[out] quote
 *   Set where the verdict is FLOW or PORT.
 */
enum ep_slow_verdict ep_slow_quote(const struct ep_slow_match *match, const uint8_t *packet,
	size_t len, struct ep_slow_quote *quote);

/** Kinds told apart: what is beyond is in `more`. */
#define EP_SLOW_KINDS_MAX 64
/** Of them, kept for errors whose quoted tag verifies: forged sources cannot push those out. */
#define EP_SLOW_KINDS_FLOW 16
/** Kinds told apart on one port. */
#define EP_SLOW_PORT_KINDS 4

/** One kind of error: what one hop says. */
struct ep_slow_kind {
	struct ep_wire_ip from;
	uint8_t type;
	uint8_t code;
	uint32_t mtu_bytes; /**< Smallest that it named [B]; 0: none. */
};

/** How often a port met a kind. */
struct ep_slow_cell {
	uint16_t kind; /**< Index of the kind. */
	uint32_t
		count; /**< [packets], at most 2^32 - 1; 0: this cell and those behind it are free. */
};

/** What came for one port. */
struct ep_slow_port {
	struct ep_slow_cell cell[EP_SLOW_PORT_KINDS];
	uint32_t more; /**< Errors of kinds that had no room [packets], at most 2^32 - 1. */
};

/** Errors of one direction, by port, kind and hop. One writer. Opaque but for reading. */
struct ep_slow_icmp {
	uint64_t count[EP_SLOW_VERDICTS]; /**< By verdict [packets]. */
	uint64_t missed; /**< Not read, because more came than the reader took [packets]. */
	uint32_t kind_count;
	struct ep_slow_kind kind[EP_SLOW_KINDS_MAX];
	uint32_t port_count;
	struct ep_slow_port port[]; /**< [port_count] */
};

/** Make an empty account, to be freed with free(). @return 0 or -ENOMEM. */
int ep_slow_icmp_create(uint32_t port_count, struct ep_slow_icmp **out);

/** Forget everything. */
void ep_slow_icmp_reset(struct ep_slow_icmp *a);

/**
 * Count what ep_slow_quote() said of one packet.
 *
 * @param quote
 *   Read where @p verdict is FLOW or PORT.
 */
void ep_slow_icmp_push(
	struct ep_slow_icmp *a, enum ep_slow_verdict verdict, const struct ep_slow_quote *quote);

/**
 * Add errors of a kind to a port, as the far side reports them. Sums by verdict stay as they are.
 *
 * @param kind
 *   NULL: one that is not told apart. What finds no room is counted in `more` of the port.
 * @param count
 *   [packets]
 */
void ep_slow_icmp_add(struct ep_slow_icmp *a, uint32_t port_index, const struct ep_slow_kind *kind,
	uint32_t count);

/** Add what @p src counted, of the same ports. No error is lost: what finds no room is in `more`. */
void ep_slow_icmp_merge(struct ep_slow_icmp *dst, const struct ep_slow_icmp *src);

/** Errors about a port, of all kinds [packets]. */
uint64_t ep_slow_icmp_port_sum(const struct ep_slow_port *port);

/**
 * Name of an error in nftables' words where it has one: "admin-prohibited", "port-unreachable", "ttl-exceeded".
 *
 * @return
 *   The name, or "unassigned" for what no RFC names.
 */
const char *ep_slow_icmp_name(enum ep_wire_family family, uint8_t type, uint8_t code);
