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

/* --- A host stack for devices that no kernel owns ----------------------------------------------------------------- */

/** Largest frame that the stack writes [B]. Echoes that would be longer are not answered. */
#define EP_SLOW_FRAME_MAX 1518
#define EP_SLOW_ADDRS_MAX 8
/** Neighbours that are remembered; a new one takes the place of the one that was not asked for the longest. */
#define EP_SLOW_NEIGHBOURS_MAX 16

/** Timers and counts. A member of 0 means the default. */
struct ep_slow_timing {
	uint64_t
		probe_gap_ns; /**< After each probe for an address of ours (1 s; RFC 5227 PROBE_MIN, RFC 4862 RetransTimer). */
	uint32_t
		probe_count; /**< Probes of an IPv4 address (3; RFC 5227 PROBE_NUM). An IPv6 address has one (RFC 4862). */
	uint32_t announce_count;  /**< Announcements of an address (2; RFC 5227 ANNOUNCE_NUM). */
	uint64_t announce_gap_ns; /**< Between them (2 s; ANNOUNCE_INTERVAL). */
	uint64_t
		defend_ns; /**< Shortest time between two defences of an address (10 s; DEFEND_INTERVAL). */
	uint64_t
		reachable_ns; /**< How long a neighbour's answer is believed (1 s; RFC 4861 REACHABLE_TIME is 30 s). */
	uint64_t retrans_ns;    /**< Between two solicitations (250 ms; RETRANS_TIMER is 1 s). */
	uint32_t unicast_count; /**< Solicitations to the known MAC before all are asked (2). */
	uint32_t
		multicast_count; /**< Solicitations to all before a neighbour counts as gone (3; MAX_MULTICAST_SOLICIT). */
	uint64_t retry_ns; /**< Then it is asked for again after this time (1 s). */
	uint64_t
		idle_ns; /**< A neighbour that nobody asked for is forgotten after this time (60 s). */
	uint32_t
		answers_pps; /**< Most answers a second, of echo and of ARP with NDP each (1000). */
};

/** An address of ours. */
struct ep_slow_addr_cfg {
	struct ep_wire_ip ip;
	uint8_t prefix_bits; /**< Of the link [bits]. */
};

/** What the host is to be. */
struct ep_slow_cfg {
	uint8_t mac[6];
	uint16_t vlan; /**< 802.1Q identifier of all frames, 1 to 4094; 0: no tag. */
	uint32_t addr_count;
	struct ep_slow_addr_cfg addr[EP_SLOW_ADDRS_MAX];
	struct ep_wire_ip gateway_ipv4; /**< Family 0: none. */
	struct ep_wire_ip gateway_ipv6; /**< Family 0: none. Link-local is fine. */
	struct ep_slow_timing timing;
};

/** Where an address stands. */
enum ep_slow_addr_state {
	EP_SLOW_ADDR_TENTATIVE, /**< Asked for; nobody is answered. */
	EP_SLOW_ADDR_OURS,      /**< Nobody had it. */
	EP_SLOW_ADDR_TAKEN,     /**< Another host has it: it is not used. */
};

/** What came and what was said [packets]. */
struct ep_slow_count {
	uint64_t frames;      /**< Handed in. */
	uint64_t arp;         /**< Valid ARP. */
	uint64_t ndp;         /**< Valid solicitations and advertisements. */
	uint64_t echo;        /**< Valid echo requests for us. */
	uint64_t answered;    /**< Answers written. */
	uint64_t limited;     /**< Not answered because of the limit. */
	uint64_t malformed;   /**< ARP, NDP or ICMP that is broken, or must not be so. */
	uint64_t conflicts;   /**< Another host used an address of ours. */
	uint64_t solicited;   /**< Solicitations sent. */
	uint64_t mac_changes; /**< A neighbour's MAC became another. */
};

/** The stack. Opaque. */
struct ep_slow_stack;

/**
 * Make a stack. Each address is probed for first (RFC 5227 section 2.1, RFC 4862 section 5.4) and then announced, as
 * ep_slow_stack_poll() is called.
 *
 * @param[out] out
 *   Set on success only.
 * @param[out] err
 *   Sentence on failure; may be NULL.
 * @return
 *   0, -ENOMEM, or -EINVAL: a MAC, address or gateway that no host can have, a gateway off the link, a VLAN above 4094.
 */
int ep_slow_stack_create(const struct ep_slow_cfg *cfg, uint64_t now_ns, struct ep_slow_stack **out,
	struct ep_err *err);

/** Accepts NULL. */
void ep_slow_stack_destroy(struct ep_slow_stack *s);

/**
 * Take a frame that is not a probe.
 *
 * @param frame
 *   [len] From the Ethernet header on.
 * @param[out] out
 *   [EP_SLOW_FRAME_MAX] An answer, to be sent at once.
 * @return
 *   Length of the answer [B]; 0: none.
 */
size_t ep_slow_stack_input(
	struct ep_slow_stack *s, const uint8_t *frame, size_t len, uint64_t now_ns, uint8_t *out);

/**
 * What the stack has to say by itself. Call until 0 at least each time ep_slow_stack_due_ns() passes.
 *
 * @param[out] out
 *   [EP_SLOW_FRAME_MAX]
 * @return
 *   Length of a frame to be sent [B]; 0: nothing more now.
 */
size_t ep_slow_stack_poll(struct ep_slow_stack *s, uint64_t now_ns, uint8_t *out);

/** When ep_slow_stack_poll() has something to do next; UINT64_MAX: never. */
uint64_t ep_slow_stack_due_ns(const struct ep_slow_stack *s);

/**
 * MAC of the way to a host: its own on the link, else the gateway's. Asking is what keeps a neighbour looked after: who goes on
 * sending to it asks again at least each second, and a MAC that changes is known within 3 s, at once where the new owner
 * announces itself.
 *
 * @param[out] mac
 *   Set on success only.
 * @return
 *   0, -EAGAIN (being asked for), -EHOSTUNREACH (it does not answer; asked for again meanwhile), -ENETUNREACH (not on the link, and no gateway
 *   of its family) or -EADDRNOTAVAIL (no address of its family is ours yet).
 */
int ep_slow_stack_resolve(
	struct ep_slow_stack *s, const struct ep_wire_ip *host, uint64_t now_ns, uint8_t mac[6]);

/**
 * Where an address stands.
 *
 * @param index
 *   In cfg->addr.
 * @param[out] other_mac
 *   Of the last host that used it besides us; zero where none did. May be NULL.
 */
enum ep_slow_addr_state ep_slow_stack_addr(
	const struct ep_slow_stack *s, uint32_t index, uint8_t other_mac[6]);

/**
 * The IP packet in a frame for us, for ep_slow_quote(): VLAN as configured, to our MAC.
 *
 * @param[out] ip_len
 *   Bytes of the frame from there on [B].
 * @return
 *   Inside of @p frame; NULL where it is none.
 */
const uint8_t *ep_slow_stack_ip(
	const struct ep_slow_stack *s, const uint8_t *frame, size_t len, size_t *ip_len);

/** Counters so far. */
void ep_slow_stack_count(const struct ep_slow_stack *s, struct ep_slow_count *count);
