#include "netlink_priv.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define POLL_MS 50
#define ADDRESS_TEXT_BYTES 46

/* Answer of one route lookup. */
struct lookup {
	const struct ep_wire_ip *peer;
	int over; /**< Interface index; 0: whichever the kernel takes. */
	struct ep_netlink_route route;
	uint8_t type;      /**< RTN_*. */
	bool has_source;   /**< route.source is set. */
	bool other_family; /**< The gateway is of another address family than the peer. */
};

static uint32_t
route_mtu_bytes(const struct nlattr *metrics)
{
	const struct nlattr *attr;

	if (metrics == NULL)
		return 0;
	mnl_attr_for_each_nested(attr, metrics)
	{
		if (mnl_attr_get_type(attr) == RTAX_MTU)
			return netlink_u32(attr);
	}
	return 0;
}

static int
route_row(const struct nlmsghdr *nlh, void *arg)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *tb[RTA_VIA + 1];
	struct lookup *l = arg;

	netlink_attrs(nlh, sizeof(*rtm), tb, RTA_VIA);
	l->type = rtm->rtm_type;
	l->route.ifindex = (int)netlink_u32(tb[RTA_OIF]);
	l->route.local = rtm->rtm_type == RTN_LOCAL;
	l->route.mtu_bytes = route_mtu_bytes(tb[RTA_METRICS]);
	l->has_source = netlink_ip(tb[RTA_PREFSRC], rtm->rtm_family, &l->route.source);
	l->other_family = tb[RTA_VIA] != NULL;
	if (!netlink_ip(tb[RTA_GATEWAY], rtm->rtm_family, &l->route.next_hop))
		l->route.next_hop = *l->peer;
	return MNL_CB_OK;
}

static int
route_lookup(struct lookup *l)
{
	const size_t ip_bytes = netlink_ip_bytes(l->peer);
	const struct rtmsg rtm = {
		.rtm_family = (unsigned char)netlink_family(l->peer),
		.rtm_dst_len = (unsigned char)(8 * ip_bytes),
	};
	struct netlink_request request;
	struct nlmsghdr *nlh = netlink_request_begin(&request, RTM_GETROUTE, 0, &rtm, sizeof(rtm));

	mnl_attr_put(nlh, RTA_DST, ip_bytes, l->peer->bytes_be);
	if (l->over != 0)
		mnl_attr_put_u32(nlh, RTA_OIF, (uint32_t)l->over);
	return netlink_query(nlh, route_row, l);
}

/* A route that refuses answers with the error that a packet would get. */
static bool
is_no_route(int ret)
{
	return ret == -ENETUNREACH || ret == -EHOSTUNREACH || ret == -EACCES || ret == -EINVAL;
}

static int
route_check(const struct lookup *l, int ret, struct ep_err *err)
{
	char peer[ADDRESS_TEXT_BYTES];

	ep_wire_ip_format(peer, sizeof(peer), l->peer);
	if (is_no_route(ret))
		return ep_err_set(err, -ENETUNREACH,
			"no route to %s (%s); \"ip route get %s\" shows what the kernel would do",
			peer, ret == -EINVAL ? "blackhole" : strerror(-ret), peer);
	if (ret < 0)
		return ep_err_set(err, ret, "route to %s: netlink: %s", peer, strerror(-ret));
	if (l->type == RTN_BROADCAST || l->type == RTN_MULTICAST || l->type == RTN_ANYCAST)
		return ep_err_set(err, -EINVAL,
			"%s is a broadcast, multicast or anycast address; a peer is one host",
			peer);
	if (l->type != RTN_UNICAST && l->type != RTN_LOCAL)
		return ep_err_set(
			err, -ENETUNREACH, "no route to %s (route type %u)", peer, l->type);
	if (l->other_family)
		return ep_err_set(err, -EAFNOSUPPORT,
			"the gateway to %s is of the other address family; it must be of the same",
			peer);
	if (!l->has_source)
		return ep_err_set(err, -EADDRNOTAVAIL,
			"this host has no source address to reach %s from", peer);
	return 0;
}

static int64_t
monotonic_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void
sleep_ms(int64_t ms)
{
	const struct timespec ts = {.tv_nsec = ms * 1000000};

	nanosleep(&ts, NULL);
}

/* @return 0, -EHOSTUNREACH when nobody answered in time, or -errno. */
static int
neigh_resolve(const struct ep_netlink_route *route, int timeout_ms, struct netlink_neigh *neigh)
{
	const int64_t end_ms = monotonic_ms() + timeout_ms;
	int ret = netlink_neigh_get(route, neigh);

	if (ret < 0 || (neigh->state & NETLINK_NUD_USABLE))
		return ret;
	ret = netlink_neigh_ask(route);
	if (ret < 0)
		return ret;
	for (;;) {
		int64_t left_ms;

		ret = netlink_neigh_get(route, neigh);
		if (ret < 0 || (neigh->state & NETLINK_NUD_USABLE))
			return ret;
		left_ms = end_ms - monotonic_ms();
		if (left_ms <= 0)
			return -EHOSTUNREACH;
		sleep_ms(left_ms < POLL_MS ? left_ms : POLL_MS);
	}
}

static bool
has_neighbours(const struct netlink_ifinfo *info)
{
	return info->type == ARPHRD_ETHER &&
		!(info->flags & (IFF_LOOPBACK | IFF_NOARP | IFF_POINTOPOINT));
}

static int
next_hop_mac(struct ep_netlink_route *route, int timeout_ms, struct ep_err *err)
{
	char hop[ADDRESS_TEXT_BYTES], name[IFNAMSIZ] = "?";
	struct netlink_ifinfo info = {0};
	struct netlink_neigh neigh;
	int ret;

	ep_netlink_ifname(route->ifindex, name);
	ep_wire_ip_format(hop, sizeof(hop), &route->next_hop);
	ret = netlink_ifinfo(route->ifindex, &info);
	if (ret < 0)
		return ep_err_set(err, ret, "interface %s: netlink: %s", name, strerror(-ret));
	if (!has_neighbours(&info))
		return 0;
	ret = neigh_resolve(route, timeout_ms, &neigh);
	if (ret == -EHOSTUNREACH)
		return ep_err_set(err, ret, "next hop %s on %s did not answer %s within %d ms", hop,
			name, route->next_hop.family == EP_WIRE_IPV6 ? "NDP" : "ARP", timeout_ms);
	if (ret < 0)
		return ep_err_set(err, ret, "MAC address of next hop %s on %s: %s", hop, name,
			strerror(-ret));
	memcpy(route->next_hop_mac, neigh.mac, sizeof(route->next_hop_mac));
	return 0;
}

int
ep_netlink_route_over(const struct ep_wire_ip *peer, int ifindex, int timeout_ms,
	struct ep_netlink_route *route, struct ep_err *err)
{
	struct lookup l = {.peer = peer, .over = ifindex};
	int ret = route_check(&l, route_lookup(&l), err);

	if (ret == 0 && !l.route.local)
		ret = next_hop_mac(&l.route, timeout_ms, err);
	if (ret == 0)
		*route = l.route;
	return ret;
}

int
ep_netlink_route(const struct ep_wire_ip *peer, int timeout_ms, struct ep_netlink_route *route,
	struct ep_err *err)
{
	return ep_netlink_route_over(peer, 0, timeout_ms, route, err);
}
