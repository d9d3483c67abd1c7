#pragma once

/**
 * @file
 * What the files of the host stack share: its state, frames in and out. stack.c tells frames apart and keeps the addresses, arp.c and
 * ndp.c speak the protocols, neighbour.c is the cache of both, echo.c answers pings.
 */

#include "slow_priv.h"

#define STACK_ETHER_BYTES 14
#define STACK_VLAN_BYTES 4
#define STACK_TYPE_IPV4 0x0800
#define STACK_TYPE_ARP 0x0806
#define STACK_TYPE_VLAN 0x8100
#define STACK_TYPE_IPV6 0x86DD

/** An address of ours. */
struct stack_addr {
	struct ep_wire_ip ip;
	uint8_t prefix_bits;
	enum ep_slow_addr_state state;
	uint32_t left;        /**< Probes, then announcements, still to be sent. */
	uint64_t due_ns;      /**< When the next step is; UINT64_MAX: none. */
	uint64_t defended_ns; /**< When it was last defended. */
	bool defended;        /**< `defended_ns` is meant. */
	uint8_t other_mac[6];
};

/** What is known of a neighbour (RFC 4861 section 7.3.2, without DELAY: it is probed as soon as it is stale and in use). */
enum neighbour_state {
	NEIGHBOUR_FREE,
	NEIGHBOUR_INCOMPLETE, /**< Asked for; no MAC. */
	NEIGHBOUR_REACHABLE,  /**< Answered not long ago. */
	NEIGHBOUR_STALE,      /**< Its MAC is used, and has to be confirmed. */
	NEIGHBOUR_PROBE,      /**< Being confirmed; its MAC is used. */
	NEIGHBOUR_FAILED,     /**< Does not answer. */
};

struct neighbour {
	struct ep_wire_ip ip;
	uint8_t mac[6];
	enum neighbour_state state;
	uint32_t asked;   /**< Solicitations in this state. */
	uint64_t due_ns;  /**< When the state has to be looked at. */
	uint64_t used_ns; /**< When it was last asked for. */
};

/** A limit on answers: the time at which the next is due if they were evenly spaced (GCRA). */
struct stack_limit {
	uint64_t next_ns;
};

struct ep_slow_stack {
	/* Const after the start. */
	uint8_t mac[6];
	uint16_t vlan;
	struct ep_wire_ip gateway_ipv4;
	struct ep_wire_ip gateway_ipv6;
	struct ep_slow_timing timing;
	uint32_t addr_count;

	struct stack_addr addr[EP_SLOW_ADDRS_MAX];
	struct neighbour neighbour[EP_SLOW_NEIGHBOURS_MAX];
	struct stack_limit echo_limit;
	struct stack_limit neighbour_limit;
	struct ep_slow_count count;
};

/** A frame, taken apart. Pointers into it. */
struct stack_frame {
	const uint8_t *dst_mac;
	const uint8_t *src_mac;
	uint16_t type;
	const uint8_t *payload;
	size_t payload_bytes;
};

/** Frame being written: `len` so far in `bytes` [EP_SLOW_FRAME_MAX]. */
struct stack_out {
	uint8_t *bytes;
	size_t len;
};

/* --- stack.c --- */

/** Write the Ethernet header, with the VLAN tag where there is one. */
void stack_frame_begin(
	struct ep_slow_stack *s, struct stack_out *out, const uint8_t dst_mac[6], uint16_t type);

/** Append bytes; NULL appends zeros. @return where they are. */
uint8_t *stack_append(struct stack_out *out, const void *bytes, size_t len);

/** The address of ours that this is, in any state; NULL: none. */
struct stack_addr *stack_addr_find(struct ep_slow_stack *s, const struct ep_wire_ip *ip);

/** An address of ours to speak to @p to from: on its link if there is one. NULL: none is ours yet. */
const struct stack_addr *stack_addr_from(
	const struct ep_slow_stack *s, const struct ep_wire_ip *to);

/** Whether a host is reached without a gateway. */
bool stack_is_on_link(const struct ep_slow_stack *s, const struct ep_wire_ip *ip);

/** Another host uses an address of ours. */
void stack_conflict(
	struct ep_slow_stack *s, struct stack_addr *a, const uint8_t other_mac[6], uint64_t now_ns);

/** Whether an answer may be given now; counted where not. */
bool stack_limit_take(struct ep_slow_stack *s, struct stack_limit *limit, uint64_t now_ns);

/** Whether a MAC is one of a host: not a group, not zero. */
bool stack_mac_is_host(const uint8_t mac[6]);

/** Whether an address is one of a host. */
bool stack_ip_is_host(const struct ep_wire_ip *ip);

/* --- arp.c, ndp.c, echo.c: each returns the length of the answer, 0 for none --- */

size_t arp_input(
	struct ep_slow_stack *s, const struct stack_frame *f, uint64_t now_ns, uint8_t *out);
size_t ndp_input(struct ep_slow_stack *s, const struct stack_frame *f, const struct slow_ip *ip,
	uint64_t now_ns, uint8_t *out);
size_t echo_input(struct ep_slow_stack *s, const struct stack_frame *f, const struct slow_ip *ip,
	uint64_t now_ns, uint8_t *out);

/** Ask for a neighbour; @p mac: of whom, NULL: of all. */
size_t arp_request(struct ep_slow_stack *s, const struct ep_wire_ip *from,
	const struct ep_wire_ip *target, const uint8_t *mac, uint8_t *out);
size_t ndp_solicit(struct ep_slow_stack *s, const struct ep_wire_ip *from,
	const struct ep_wire_ip *target, const uint8_t *mac, uint8_t *out);

/** Probe for an address of ours, and announce it. */
size_t arp_probe(struct ep_slow_stack *s, const struct stack_addr *a, uint8_t *out);
size_t arp_announce(struct ep_slow_stack *s, const struct stack_addr *a, uint8_t *out);
size_t ndp_probe(struct ep_slow_stack *s, const struct stack_addr *a, uint8_t *out);
size_t ndp_announce(struct ep_slow_stack *s, const struct stack_addr *a, uint8_t *out);

/** Whether an IPv6 multicast address is the solicited-node one of @p ip (RFC 4291 section 2.7.1). */
bool ndp_is_solicited_node(const struct ep_wire_ip *group, const struct ep_wire_ip *ip);

/* --- neighbour.c --- */

/** What a message says about a neighbour. */
enum neighbour_word {
	NEIGHBOUR_ANSWERS, /**< It answered us: confirmed. */
	NEIGHBOUR_SAYS,    /**< It says its MAC unasked. */
	NEIGHBOUR_HINTS, /**< The same, but what is known already goes before (override flag clear). */
	NEIGHBOUR_HINTS_ANSWERING, /**< As HINTS, in answer to us. */
};

/** Take a neighbour's word for its MAC. One that nobody asked for is not remembered. @p mac NULL: the one that is known. */
void neighbour_hear(struct ep_slow_stack *s, const struct ep_wire_ip *ip, const uint8_t *mac,
	enum neighbour_word word, uint64_t now_ns);

/** Move the cache on. @return the length of a solicitation to be sent, 0: none. */
size_t neighbour_poll(struct ep_slow_stack *s, uint64_t now_ns, uint8_t *out);

/** When the cache has something to do next. */
uint64_t neighbour_due_ns(const struct ep_slow_stack *s);
