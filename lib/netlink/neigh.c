/* Neighbours: what the kernel knows of a next hop, and a next hop whose MAC is followed. */
#include "netlink_priv.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DISCARD_PORT 9 /* RFC 863 */

/* Between two looks at the kernel's entry. */
#define LOOK_NS (20 * EP_NS_PER_MS)
/* Between an answer and the next question to the known MAC. With the time for its answer this is about what TCP waits before it sends again what was
 * lost (200 ms), so that the first repetition arrives; the second one would be late for the second after which a silent control connection ends. */
#define GAP_NS (120 * EP_NS_PER_MS)
/* A next hop is on the link: whoever has not answered by then has another MAC, or is gone. */
#define ANSWER_NS (60 * EP_NS_PER_MS)
/* The kernel asks all three times, a second apart. Who was not found by then is asked for again. */
#define ASKED_NS EP_NS_PER_S

enum { RESTING, PROBED, ASKED };

static int
neigh_row(const struct nlmsghdr *nlh, void *arg)
{
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *tb[NDA_LLADDR + 1];
	struct netlink_neigh *neigh = arg;

	netlink_attrs(nlh, sizeof(*ndm), tb, NDA_LLADDR);
	if (tb[NDA_LLADDR] == NULL ||
		mnl_attr_get_payload_len(tb[NDA_LLADDR]) != sizeof(neigh->mac))
		return MNL_CB_OK;
	neigh->state = ndm->ndm_state;
	memcpy(neigh->mac, mnl_attr_get_payload(tb[NDA_LLADDR]), sizeof(neigh->mac));
	return MNL_CB_OK;
}

int
netlink_neigh_get(const struct ep_netlink_route *route, struct netlink_neigh *neigh)
{
	const struct ndmsg ndm = {
		.ndm_family = (unsigned char)netlink_family(&route->next_hop),
		.ndm_ifindex = route->ifindex,
	};
	struct netlink_request request;
	struct nlmsghdr *nlh = netlink_request_begin(&request, RTM_GETNEIGH, 0, &ndm, sizeof(ndm));
	int ret;

	*neigh = (struct netlink_neigh){.state = NUD_NONE};
	mnl_attr_put(nlh, NDA_DST, netlink_ip_bytes(&route->next_hop), route->next_hop.bytes_be);
	ret = netlink_query(nlh, neigh_row, neigh);
	return ret == -ENOENT ? 0 : ret;
}

int
netlink_neigh_ask(const struct ep_netlink_route *route)
{
	const int fd = socket(netlink_family(&route->next_hop), SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char name[IFNAMSIZ];
	struct sockaddr_storage sa;
	socklen_t len;
	int ret = 0;

	if (fd < 0)
		return -errno;
	/* The interface may not be the one that the routing table prefers. Without permission it is left to the table. */
	if (ep_netlink_ifname(route->ifindex, name) == 0)
		setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name));
	len = ep_netlink_sockaddr_set(&sa, &route->next_hop, DISCARD_PORT);
	/* A gateway is often a link-local IPv6 address, which means nothing without its link. */
	if (sa.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&sa)->sin6_scope_id = (uint32_t)route->ifindex;
	if (sendto(fd, NULL, 0, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&sa, len) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

/* Have the kernel ask everybody. Without permission a datagram makes it do so. */
static void
neigh_use(const struct ep_netlink_route *route)
{
	const struct ndmsg ndm = {
		.ndm_family = (unsigned char)netlink_family(&route->next_hop),
		.ndm_ifindex = route->ifindex,
		.ndm_flags = NTF_USE,
	};
	struct netlink_request request;
	struct nlmsghdr *nlh = netlink_request_begin(
		&request, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &ndm, sizeof(ndm));

	mnl_attr_put(nlh, NDA_DST, netlink_ip_bytes(&route->next_hop), route->next_hop.bytes_be);
	if (netlink_query(nlh, NULL, NULL) < 0)
		netlink_neigh_ask(route);
}

/* Have the kernel ask the known MAC, now; from its entry alone it would for at least half a minute not doubt it. */
static int
neigh_probe(const struct ep_netlink_route *route)
{
	const struct ndmsg ndm = {
		.ndm_family = (unsigned char)netlink_family(&route->next_hop),
		.ndm_ifindex = route->ifindex,
		.ndm_state = NUD_PROBE,
	};
	struct netlink_request request;
	struct nlmsghdr *nlh =
		netlink_request_begin(&request, RTM_NEWNEIGH, NLM_F_REPLACE, &ndm, sizeof(ndm));

	mnl_attr_put(nlh, NDA_DST, netlink_ip_bytes(&route->next_hop), route->next_hop.bytes_be);
	return netlink_query(nlh, NULL, NULL);
}

static int
neigh_forget(const struct ep_netlink_route *route)
{
	const struct ndmsg ndm = {
		.ndm_family = (unsigned char)netlink_family(&route->next_hop),
		.ndm_ifindex = route->ifindex,
	};
	struct netlink_request request;
	struct nlmsghdr *nlh = netlink_request_begin(&request, RTM_DELNEIGH, 0, &ndm, sizeof(ndm));

	mnl_attr_put(nlh, NDA_DST, netlink_ip_bytes(&route->next_hop), route->next_hop.bytes_be);
	return netlink_query(nlh, NULL, NULL);
}

void
ep_netlink_hop_init(struct ep_netlink_hop *hop, const struct ep_netlink_route *route)
{
	*hop = (struct ep_netlink_hop){.route = *route, .phase = RESTING};
}

static void
hop_phase(struct ep_netlink_hop *hop, int phase, uint64_t end_ns)
{
	hop->phase = phase;
	hop->phase_ns = end_ns;
}

/* What follows from the entry's state at this time. */
static void
hop_advance(struct ep_netlink_hop *hop, uint16_t state, uint64_t now_ns)
{
	const bool due = now_ns >= hop->phase_ns;

	if ((state & NETLINK_NUD_USABLE) == 0) {
		if (hop->phase != ASKED || due) {
			neigh_use(&hop->route);
			hop_phase(hop, ASKED, now_ns + ASKED_NS);
		}
	} else if (hop->phase != RESTING && (state & NUD_PROBE) == 0) {
		hop_phase(hop, RESTING, now_ns + GAP_NS);
	} else if (hop->phase == RESTING && due) {
		/* Without permission the kernel's own ways are followed. */
		if (neigh_probe(&hop->route) == 0)
			hop_phase(hop, PROBED, now_ns + ANSWER_NS);
		else
			hop_phase(hop, RESTING, now_ns + GAP_NS);
	} else if (hop->phase == PROBED && due) {
		neigh_forget(&hop->route);
		neigh_use(&hop->route);
		hop_phase(hop, ASKED, now_ns + ASKED_NS);
	} else if (hop->phase == ASKED && due) {
		hop_phase(hop, PROBED, now_ns);
	}
}

bool
ep_netlink_hop_follow(struct ep_netlink_hop *hop, uint64_t now_ns)
{
	struct netlink_neigh neigh;

	if (hop->route.ifindex == 0 || now_ns < hop->look_ns)
		return false;
	hop->look_ns = now_ns + LOOK_NS;
	if (netlink_neigh_get(&hop->route, &neigh) < 0 || (neigh.state & NUD_NOARP) != 0)
		return false;
	if ((neigh.state & NUD_PERMANENT) == 0)
		hop_advance(hop, neigh.state, now_ns);
	if ((neigh.state & NETLINK_NUD_USABLE) == 0 ||
		memcmp(neigh.mac, hop->route.next_hop_mac, sizeof(neigh.mac)) == 0)
		return false;
	memcpy(hop->route.next_hop_mac, neigh.mac, sizeof(neigh.mac));
	return true;
}
