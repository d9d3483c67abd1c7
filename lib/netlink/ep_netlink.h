#pragma once

/**
 * @file
 * What the kernel knows about an interface and the way to a peer, by rtnetlink (libmnl) and ethtool's ioctl. Control
 * path, blocking for at most the time that a neighbour takes to resolve. No state between calls: any thread, in the
 * network namespace of the calling thread. It changes nothing in the kernel except what a neighbour's resolution
 * adds.
 */

#include <ep_base.h>
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

/**
 * Attach an XDP program to an interface, or detach the one that is there.
 *
 * @param prog_fd
 *   The program; -1 detaches.
 * @param flags
 *   XDP_FLAGS_* of linux/if_link.h.
 * @param[out] words
 *   On failure, what the driver or the kernel says about it ([words_bytes]); "" where it says nothing.
 * @return
 *   0, or -errno: as the driver answers (-EOPNOTSUPP: no native XDP; -EBUSY, -EEXIST: a program is there already), or of netlink.
 */
int ep_netlink_xdp(int ifindex, int prog_fd, uint32_t flags, char *words, size_t words_bytes);

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
