#pragma once

/**
 * @file
 * What the kernel knows about an interface and the way to a peer, by rtnetlink (libmnl) and ethtool's ioctl. Control
 * path, blocking for at most the time that a neighbour takes to resolve. No state between calls: any thread, in the
 * network namespace of the calling thread. Reading changes nothing in the kernel except what a neighbour's resolution
 * adds; an interface that the caller made is set up with ep_netlink_set(), ep_netlink_addr_add() and ep_netlink_default_add().
 */

#include <ep_base.h>
#include <ep_nic.h>
#include <ep_wire.h>

#include <stdbool.h>
#include <stdint.h>

/** Addresses kept of an interface; those of global scope come first, so they are the last to be left out. */
#define EP_NETLINK_ADDRS_MAX 16

/** An interface. */
struct ep_netlink_link {
	char name[16]; /**< The kernel's own name, also where it was asked by an alternative one. */
	int ifindex;   /**< Interface index, > 0. */
	uint8_t mac[6];       /**< Zero where the interface has no Ethernet address. */
	uint32_t mtu_bytes;   /**< Largest IP packet [B]. */
	bool up;              /**< Administratively up, with a carrier. */
	bool loopback;        /**< It is the kernel's loopback. */
	uint32_t xdp_prog_id; /**< 0: no XDP program attached. */
	uint32_t
		rx_queue_count; /**< Kernel's current RX queues (ethtool channels where there are any), at least 1. */
	uint64_t speed_bps;  /**< Link speed [bits/s]; 0: unknown. */
	char driver[32];     /**< ethtool driver name; "" when unknown. */
	uint32_t addr_count; /**< Entries of addr in use. */
	struct {
		struct ep_wire_ip ip;
		uint8_t prefix_bits;  /**< Length of the on-link prefix [bits]. */
	} addr[EP_NETLINK_ADDRS_MAX]; /**< Global scope first. */
};

/** Counters of the kernel for an interface (IFLA_STATS64) [packets]. */
struct ep_netlink_stats {
	uint64_t rx_packets; /**< Received. */
	uint64_t tx_packets; /**< Sent. */
	uint64_t rx_dropped; /**< Dropped after they were received. */
	uint64_t rx_missed;  /**< The device had no room for them. */
	uint64_t rx_errors;  /**< Bad frames. */
	uint64_t tx_dropped; /**< Dropped before they were sent. */
	uint64_t tx_errors;  /**< Not sent by the device. */
};

/** The way to a peer. */
struct ep_netlink_route {
	int ifindex;                /**< Outgoing interface. */
	struct ep_wire_ip source;   /**< Preferred source address. */
	struct ep_wire_ip next_hop; /**< Gateway, or the peer itself on the link. */
	uint8_t next_hop_mac
		[6]; /**< Zero where the interface has no neighbours (local, point-to-point, NOARP). */
	bool local;         /**< The peer is this host. */
	uint32_t mtu_bytes; /**< Path MTU where the route has one [B], else 0. */
};

/**
 * Read an interface.
 *
 * @param name
 *   The user's text.
 * @param[out] link
 *   Set on success only.
 * @param[out] err
 *   Sentence on failure; may be NULL.
 * @return
 *   0, -ENODEV (no such interface: the sentence names it and those there are), -ENOMEM, or -errno of netlink.
 */
int ep_netlink_link(const char *name, struct ep_netlink_link *link, struct ep_err *err);

/** Name of an interface index into @p name (16 bytes). @return 0 or -ENODEV. */
int ep_netlink_ifname(int ifindex, char *name);

/**
 * Read the kernel's counters.
 *
 * @param[out] stats
 *   Set on success only.
 * @return
 *   0, -ENODEV (no such interface), or -errno of netlink.
 */
int ep_netlink_stats(int ifindex, struct ep_netlink_stats *stats);

/**
 * One command to an interface's driver, as SIOCETHTOOL takes it: the border at which tests put a driver of their own.
 *
 * @return
 *   0 or -errno.
 */
typedef int (*ep_netlink_ethtool_fn)(void *ctx, const char *ifname, void *command);

/** This host's ethtool. @p ctx is not used. */
int ep_netlink_ethtool(void *ctx, const char *ifname, void *command);

/**
 * Read the counters that an interface's driver has of its own (ethtool -S) into @p sample, behind what is in it.
 *
 * @return
 *   0 (also for a driver without any), -EAGAIN (their number changes while they are read, as when queues are added), -ENOMEM, or -E2BIG
 *   (over EP_NIC_COUNTERS_MAX). On failure some may be in it.
 */
int ep_netlink_driver_counters(
	ep_netlink_ethtool_fn ask, void *ctx, const char *ifname, struct ep_nic_sample *sample);

/** The same for what the kernel counts for every interface (IFLA_STATS64). @return 0, -ENODEV, -ENOMEM, -E2BIG or -errno of netlink. */
int ep_netlink_link_counters(int ifindex, struct ep_nic_sample *sample);

/**
 * Find the way to @p peer, resolving the next hop's MAC address: where the neighbour is not known, one empty UDP
 * datagram to the discard port (9) of the next hop makes the kernel ask, for at most @p timeout_ms.
 *
 * @param timeout_ms
 *   Longest wait for the neighbour [ms].
 * @param[out] route
 *   Set on success only.
 * @param[out] err
 *   Sentence on failure; may be NULL.
 * @return
 *   0, -ENETUNREACH (no route, or one that refuses: unreachable, prohibit, blackhole), -EHOSTUNREACH (next hop does
 *   not answer ARP or NDP in time), -EINVAL (a broadcast or multicast address: a peer is one host), -EAFNOSUPPORT
 *   (the next hop is of the other address family), -EADDRNOTAVAIL (this host has no source address for it), or
 *   -errno of netlink or of the datagram.
 */
int ep_netlink_route(const struct ep_wire_ip *peer, int timeout_ms, struct ep_netlink_route *route,
	struct ep_err *err);

/** As ep_netlink_route(), over this interface whatever the routing table prefers: of its routes, those that lead over it count. */
int ep_netlink_route_over(const struct ep_wire_ip *peer, int ifindex, int timeout_ms,
	struct ep_netlink_route *route, struct ep_err *err);

/**
 * A next hop whose MAC is followed. What leaves beside the kernel does not keep the kernel's entry of it fresh, so the kernel is made to
 * ask: the known MAC each 120 ms and, where that does not answer within 60 ms, all hosts of the link, for which the
 * entry is removed. A MAC that changes without a word is known in a quarter of a second, before a control connection is given up as
 * silent; one that is announced at the next look. Entries that an administrator made permanent are left alone.
 */
struct ep_netlink_hop {
	struct ep_netlink_route route; /**< Its next_hop_mac is kept up to date. */
	/* The library's own. */
	int phase;
	uint64_t look_ns;  /**< The next time that the kernel is asked [ns]. */
	uint64_t phase_ns; /**< When this phase ends [ns]. */
};

/** Begin to follow. @param route Of an interface with neighbours; copied. */
void ep_netlink_hop_init(struct ep_netlink_hop *hop, const struct ep_netlink_route *route);

/**
 * Look after the next hop: every 20 ms or so, and as long as it matters. Needs CAP_NET_ADMIN; without, what the kernel finds out by itself is
 * followed.
 *
 * @param now_ns
 *   Any monotonic clock [ns].
 * @return
 *   Whether hop->route.next_hop_mac is another one than before.
 */
bool ep_netlink_hop_follow(struct ep_netlink_hop *hop, uint64_t now_ns);

/** What an interface is to be. */
struct ep_netlink_set {
	uint8_t mac[6];
	uint32_t mtu_bytes; /**< Largest IP packet [B]. */
};

/** Set MAC and MTU of an interface that is down. @return 0 or -errno (-EPERM: not root; -EADDRNOTAVAIL: no host's MAC; -EINVAL: MTU). */
int ep_netlink_set(int ifindex, const struct ep_netlink_set *set);

/** Bring an interface up. @return 0 or -errno. */
int ep_netlink_up(int ifindex);

/** Give an interface an address with the prefix of its link. @return 0 or -errno (-EACCES: IPv6 is off; -EEXIST: it has it). */
int ep_netlink_addr_add(int ifindex, const struct ep_wire_ip *ip, uint8_t prefix_bits);

/** Where an address stands. */
enum ep_netlink_addr_state {
	EP_NETLINK_ADDR_NONE,      /**< The interface has no such address. */
	EP_NETLINK_ADDR_TENTATIVE, /**< Duplicate address detection is not through (RFC 4862). */
	EP_NETLINK_ADDR_READY,
	EP_NETLINK_ADDR_TAKEN, /**< Another host on the link has it. */
};

/** Where an address of an interface stands. NONE also where the kernel does not say. */
enum ep_netlink_addr_state ep_netlink_addr_state(int ifindex, const struct ep_wire_ip *ip);

/** Add a default route. @param metric The larger, the less it is liked. @return 0 or -errno (-ENETUNREACH: the gateway is not on the link). */
int ep_netlink_default_add(int ifindex, const struct ep_wire_ip *gateway, uint32_t metric);

struct sockaddr_storage;

/**
 * An address and port as the kernel's socket calls take them.
 *
 * @param[out] sa
 *   Filled whole.
 * @param ip
 *   Address; NULL stands for any address of IPv6.
 * @param port
 *   Host order.
 * @return
 *   The length to pass along (socklen_t).
 */
uint32_t ep_netlink_sockaddr_set(
	struct sockaddr_storage *sa, const struct ep_wire_ip *ip, uint16_t port);

/**
 * The reverse. An IPv4 address mapped into IPv6 (as a socket of both families shows it) comes out as IPv4.
 *
 * @param[out] port
 *   Host order; may be NULL.
 * @return
 *   0, or -EAFNOSUPPORT (neither IPv4 nor IPv6).
 */
int ep_netlink_sockaddr_get(
	const struct sockaddr_storage *sa, struct ep_wire_ip *ip, uint16_t *port);
