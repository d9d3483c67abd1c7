#pragma once

#include "ep_netlink.h"

#include <libmnl/libmnl.h>
#include <stdalign.h>

/** Room for a request: header, the family's header and a few attributes [B]. */
#define NETLINK_REQUEST_BYTES 256

/** A request under construction. */
struct netlink_request {
	alignas(struct nlmsghdr) uint8_t bytes[NETLINK_REQUEST_BYTES];
};

/** What decides how an interface reaches its neighbours. */
struct netlink_ifinfo {
	uint32_t flags; /**< IFF_*. */
	uint16_t type;  /**< ARPHRD_*. */
};

/**
 * Begin a request. Add attributes with mnl_attr_put_*() to what it returns.
 *
 * @param header
 *   The family's header ([header_bytes], copied).
 */
struct nlmsghdr *netlink_request_begin(struct netlink_request *request, uint16_t type,
	uint16_t flags, const void *header, size_t header_bytes);

/**
 * Send a request and hand each answer to @p cb, until the kernel says that it was the last one.
 *
 * @return
 *   0, or -errno: of the socket, as the kernel answers, or -EINTR (a dump that changed meanwhile: ask again).
 */
int netlink_query(struct nlmsghdr *nlh, mnl_cb_t cb, void *arg);

/** Sort the attributes behind @p header_bytes of a message into @p tb ([max + 1], NULL where there is none). */
void netlink_attrs(
	const struct nlmsghdr *nlh, size_t header_bytes, const struct nlattr **tb, uint16_t max);

/** Value of an attribute; 0 when it is NULL or too short. */
uint32_t netlink_u32(const struct nlattr *attr);

/** Read an address attribute of @p family (AF_*). @return whether it is one. */
bool netlink_ip(const struct nlattr *attr, int family, struct ep_wire_ip *ip);

/** AF_INET or AF_INET6. */
int netlink_family(const struct ep_wire_ip *ip);

/** Length of an address [B]. */
size_t netlink_ip_bytes(const struct ep_wire_ip *ip);

/** Flags and type of an interface. @return 0, -ENODEV or -errno. */
int netlink_ifinfo(int ifindex, struct netlink_ifinfo *info);

struct rtnl_link_stats64;

/** The kernel's counters of an interface; those that it does not have are 0. @return 0, -ENODEV or -errno. */
int netlink_stats64(int ifindex, struct rtnl_link_stats64 *stats);

/** Fill rx_queue_count, speed_bps and driver of the interface link->name; unknown ones get their defaults. */
void netlink_ethtool(struct ep_netlink_link *link);

/** States in which the kernel would send to the neighbour's address at once. */
#define NETLINK_NUD_USABLE (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT)

/** What the kernel knows of a neighbour. */
struct netlink_neigh {
	uint16_t state; /**< NUD_*; NUD_NONE where the kernel knows nothing. */
	uint8_t mac[6];
};

/** Read the entry of a route's next hop. @return 0 or -errno. */
int netlink_neigh_get(const struct ep_netlink_route *route, struct netlink_neigh *neigh);

/** Make the kernel ask for the next hop: it needs the address to send anything at all. @return 0 or -errno. */
int netlink_neigh_ask(const struct ep_netlink_route *route);
