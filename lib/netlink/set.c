/* Setting up an interface that the caller made. */
#include "netlink_priv.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>

static int
link_change(int ifindex, unsigned int flags, const struct ep_netlink_set *set)
{
	const struct ifinfomsg ifi = {
		.ifi_family = AF_UNSPEC,
		.ifi_index = ifindex,
		.ifi_flags = flags,
		.ifi_change = flags,
	};
	struct netlink_request request;
	struct nlmsghdr *nlh = netlink_request_begin(&request, RTM_NEWLINK, 0, &ifi, sizeof(ifi));

	if (set != NULL) {
		mnl_attr_put(nlh, IFLA_ADDRESS, sizeof(set->mac), set->mac);
		mnl_attr_put_u32(nlh, IFLA_MTU, set->mtu_bytes);
	}
	return netlink_query(nlh, NULL, NULL);
}

int
ep_netlink_set(int ifindex, const struct ep_netlink_set *set)
{
	return link_change(ifindex, 0, set);
}

int
ep_netlink_up(int ifindex)
{
	return link_change(ifindex, IFF_UP, NULL);
}

int
ep_netlink_addr_add(int ifindex, const struct ep_wire_ip *ip, uint8_t prefix_bits)
{
	const struct ifaddrmsg ifa = {
		.ifa_family = (unsigned char)netlink_family(ip),
		.ifa_prefixlen = prefix_bits,
		.ifa_index = (unsigned int)ifindex,
	};
	struct netlink_request request;
	struct nlmsghdr *nlh = netlink_request_begin(
		&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &ifa, sizeof(ifa));

	mnl_attr_put(nlh, IFA_LOCAL, netlink_ip_bytes(ip), ip->bytes_be);
	mnl_attr_put(nlh, IFA_ADDRESS, netlink_ip_bytes(ip), ip->bytes_be);
	return netlink_query(nlh, NULL, NULL);
}

/* One address that is looked for among all. */
struct lookup {
	int ifindex;
	const struct ep_wire_ip *ip;
	enum ep_netlink_addr_state state;
};

static enum ep_netlink_addr_state
state_of(uint32_t flags)
{
	if (flags & IFA_F_DADFAILED)
		return EP_NETLINK_ADDR_TAKEN;
	return flags & IFA_F_TENTATIVE ? EP_NETLINK_ADDR_TENTATIVE : EP_NETLINK_ADDR_READY;
}

static int
addr_row(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *tb[IFA_FLAGS + 1];
	struct lookup *l = arg;
	struct ep_wire_ip ip;

	netlink_attrs(nlh, sizeof(*ifa), tb, IFA_FLAGS);
	if ((int)ifa->ifa_index != l->ifindex ||
		!netlink_ip(tb[IFA_LOCAL] != NULL ? tb[IFA_LOCAL] : tb[IFA_ADDRESS],
			ifa->ifa_family, &ip))
		return MNL_CB_OK;
	if (ip.family == l->ip->family &&
		memcmp(ip.bytes_be, l->ip->bytes_be, netlink_ip_bytes(&ip)) == 0)
		l->state = state_of(
			tb[IFA_FLAGS] != NULL ? netlink_u32(tb[IFA_FLAGS]) : ifa->ifa_flags);
	return MNL_CB_OK;
}

enum ep_netlink_addr_state
ep_netlink_addr_state(int ifindex, const struct ep_wire_ip *ip)
{
	const struct ifaddrmsg ifa = {.ifa_family = (unsigned char)netlink_family(ip)};
	struct lookup l = {.ifindex = ifindex, .ip = ip};
	struct netlink_request request;

	netlink_query(netlink_request_begin(&request, RTM_GETADDR, NLM_F_DUMP, &ifa, sizeof(ifa)),
		addr_row, &l);
	return l.state;
}

int
ep_netlink_default_add(int ifindex, const struct ep_wire_ip *gateway, uint32_t metric)
{
	const struct rtmsg rtm = {
		.rtm_family = (unsigned char)netlink_family(gateway),
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_STATIC,
		.rtm_scope = RT_SCOPE_UNIVERSE,
		.rtm_type = RTN_UNICAST,
	};
	struct netlink_request request;
	struct nlmsghdr *nlh = netlink_request_begin(
		&request, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &rtm, sizeof(rtm));

	mnl_attr_put(nlh, RTA_GATEWAY, netlink_ip_bytes(gateway), gateway->bytes_be);
	mnl_attr_put_u32(nlh, RTA_OIF, (uint32_t)ifindex);
	mnl_attr_put_u32(nlh, RTA_PRIORITY, metric);
	return netlink_query(nlh, NULL, NULL);
}
