#include "netlink_priv.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

/* How often a dump that changed under our hands is asked for again. */
#define DUMP_ATTEMPTS 5

/* <linux/if.h> has these, but clashes with <net/if.h>. */
#define IFF_LOWER_UP_FLAG (1U << 16)
#define IFF_DORMANT_FLAG (1U << 17)

static void
text_copy(char *out, size_t len, const struct nlattr *attr)
{
	const size_t used = attr == NULL
		? 0
		: strnlen(mnl_attr_get_payload(attr),
			  mnl_attr_get_payload_len(attr) < len ? mnl_attr_get_payload_len(attr)
							       : len - 1);

	if (used > 0)
		memcpy(out, mnl_attr_get_payload(attr), used);
	out[used] = '\0';
}

/* With programs attached in several modes the kernel gives no single number, but one a mode. */
static uint32_t
xdp_prog_id(const struct nlattr *xdp)
{
	const struct nlattr *attr;
	uint32_t id = 0;

	if (xdp == NULL)
		return 0;
	mnl_attr_for_each_nested(attr, xdp)
	{
		const uint16_t type = mnl_attr_get_type(attr);

		if (type == IFLA_XDP_PROG_ID)
			return netlink_u32(attr);
		if (type == IFLA_XDP_DRV_PROG_ID || type == IFLA_XDP_SKB_PROG_ID ||
			type == IFLA_XDP_HW_PROG_ID)
			id = netlink_u32(attr);
	}
	return id;
}

static int
link_row(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *tb[IFLA_XDP + 1];
	struct ep_netlink_link *link = arg;

	netlink_attrs(nlh, sizeof(*ifi), tb, IFLA_XDP);
	link->ifindex = ifi->ifi_index;
	text_copy(link->name, sizeof(link->name), tb[IFLA_IFNAME]);
	link->mtu_bytes = netlink_u32(tb[IFLA_MTU]);
	link->loopback = (ifi->ifi_flags & IFF_LOOPBACK) != 0;
	/* The carrier, not IFF_RUNNING: that one follows up to a second later, when the kernel's link watch has run. */
	link->up = (ifi->ifi_flags & IFF_UP) && (ifi->ifi_flags & IFF_LOWER_UP_FLAG) &&
		!(ifi->ifi_flags & IFF_DORMANT_FLAG);
	link->xdp_prog_id = xdp_prog_id(tb[IFLA_XDP]);
	if (tb[IFLA_ADDRESS] != NULL &&
		mnl_attr_get_payload_len(tb[IFLA_ADDRESS]) == sizeof(link->mac))
		memcpy(link->mac, mnl_attr_get_payload(tb[IFLA_ADDRESS]), sizeof(link->mac));
	return MNL_CB_OK;
}

struct addr_arg {
	struct ep_netlink_link *link;
	uint32_t global_count; /**< Of link->addr, at its start. */
};

static void
addr_add(struct addr_arg *a, const struct ep_wire_ip *ip, uint8_t prefix_bits, bool global)
{
	struct ep_netlink_link *link = a->link;
	const uint32_t at = global ? a->global_count : link->addr_count;

	if (at == EP_NETLINK_ADDRS_MAX)
		return;
	if (link->addr_count < EP_NETLINK_ADDRS_MAX)
		link->addr_count++;
	memmove(&link->addr[at + 1], &link->addr[at],
		(link->addr_count - at - 1) * sizeof(link->addr[0]));
	link->addr[at].ip = *ip;
	link->addr[at].prefix_bits = prefix_bits;
	a->global_count += global;
}

static int
addr_row(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *tb[IFA_FLAGS + 1];
	struct addr_arg *a = arg;
	struct ep_wire_ip ip;
	uint32_t flags;

	if ((int)ifa->ifa_index != a->link->ifindex)
		return MNL_CB_OK;
	netlink_attrs(nlh, sizeof(*ifa), tb, IFA_FLAGS);
	flags = tb[IFA_FLAGS] != NULL ? netlink_u32(tb[IFA_FLAGS]) : ifa->ifa_flags;
	if (flags & IFA_F_DADFAILED)
		return MNL_CB_OK; /* somebody else on the link has it */
	/* On a point-to-point link IFA_ADDRESS is the far end and IFA_LOCAL is ours. */
	if (!netlink_ip(tb[IFA_LOCAL], ifa->ifa_family, &ip) &&
		!netlink_ip(tb[IFA_ADDRESS], ifa->ifa_family, &ip))
		return MNL_CB_OK;
	addr_add(a, &ip, ifa->ifa_prefixlen, ifa->ifa_scope == RT_SCOPE_UNIVERSE);
	return MNL_CB_OK;
}

static int
addrs_read(struct ep_netlink_link *link)
{
	const struct ifaddrmsg ifa = {.ifa_family = AF_UNSPEC};
	int ret = -EINTR;

	for (int i = 0; i < DUMP_ATTEMPTS && ret == -EINTR; i++) {
		struct addr_arg arg = {.link = link};
		struct netlink_request request;

		link->addr_count = 0;
		ret = netlink_query(
			netlink_request_begin(&request, RTM_GETADDR, NLM_F_DUMP, &ifa, sizeof(ifa)),
			addr_row, &arg);
	}
	return ret;
}

struct names_arg {
	char text[256];
	size_t used;
};

static int
name_row(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *tb[IFLA_IFNAME + 1];
	struct names_arg *names = arg;
	const size_t left = sizeof(names->text) - names->used;
	char name[IFNAMSIZ];
	int added;

	netlink_attrs(nlh, sizeof(struct ifinfomsg), tb, IFLA_IFNAME);
	text_copy(name, sizeof(name), tb[IFLA_IFNAME]);
	if (left < sizeof(name) + sizeof(", , ..."))
		added = snprintf(names->text + names->used, left, "%s",
			names->text[names->used - 1] == '.' ? "" : ", ...");
	else
		added = snprintf(names->text + names->used, left, "%s%s",
			names->used == 0 ? "" : ", ", name);
	names->used += (size_t)added;
	return MNL_CB_OK;
}

static int
no_such_link(const char *name, struct ep_err *err)
{
	const struct ifinfomsg ifi = {.ifi_family = AF_UNSPEC};
	struct netlink_request request;
	struct names_arg names = {.used = 0};

	/* A dump cut short still helps; without one the sentence ends in "none". */
	netlink_query(netlink_request_begin(&request, RTM_GETLINK, NLM_F_DUMP, &ifi, sizeof(ifi)),
		name_row, &names);
	return ep_err_set(err, -ENODEV, "no interface \"%.64s\"; there are: %s", name,
		names.used > 0 ? names.text : "none");
}

int
ep_netlink_link(const char *name, struct ep_netlink_link *link, struct ep_err *err)
{
	const struct ifinfomsg ifi = {.ifi_family = AF_UNSPEC};
	const size_t len = strlen(name);
	struct ep_netlink_link found = {.ifindex = 0};
	struct netlink_request request;
	struct nlmsghdr *nlh;
	int ret;

	if (len == 0 || len >= IFNAMSIZ)
		return no_such_link(name, err);
	nlh = netlink_request_begin(&request, RTM_GETLINK, 0, &ifi, sizeof(ifi));
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	mnl_attr_put_u32(nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	ret = netlink_query(nlh, link_row, &found);
	if (ret == -ENODEV)
		return no_such_link(name, err);
	if (ret == 0)
		ret = addrs_read(&found);
	if (ret < 0)
		return ep_err_set(err, ret, "interface %s: netlink: %s", name, strerror(-ret));
	netlink_ethtool(&found);
	*link = found;
	return 0;
}

int
ep_netlink_ifname(int ifindex, char *name)
{
	return if_indextoname((unsigned int)ifindex, name) == NULL ? -ENODEV : 0;
}

static int
stats_row(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *tb[IFLA_STATS64 + 1];
	struct rtnl_link_stats64 *stats = arg;
	size_t len;

	netlink_attrs(nlh, sizeof(struct ifinfomsg), tb, IFLA_STATS64);
	if (tb[IFLA_STATS64] == NULL)
		return MNL_CB_OK;
	/* Another kernel's structure may be shorter or longer; its beginning is the same. */
	len = mnl_attr_get_payload_len(tb[IFLA_STATS64]);
	memcpy(stats, mnl_attr_get_payload(tb[IFLA_STATS64]),
		len < sizeof(*stats) ? len : sizeof(*stats));
	return MNL_CB_OK;
}

static int
ifindex_query(int ifindex, mnl_cb_t cb, void *arg)
{
	const struct ifinfomsg ifi = {.ifi_family = AF_UNSPEC, .ifi_index = ifindex};
	struct netlink_request request;

	if (ifindex <= 0)
		return -ENODEV;
	return netlink_query(
		netlink_request_begin(&request, RTM_GETLINK, 0, &ifi, sizeof(ifi)), cb, arg);
}

int
netlink_stats64(int ifindex, struct rtnl_link_stats64 *stats)
{
	memset(stats, 0, sizeof(*stats));
	return ifindex_query(ifindex, stats_row, stats);
}

int
ep_netlink_stats(int ifindex, struct ep_netlink_stats *stats)
{
	struct rtnl_link_stats64 raw;
	const int ret = netlink_stats64(ifindex, &raw);

	if (ret < 0)
		return ret;
	*stats = (struct ep_netlink_stats){
		.rx_packets = raw.rx_packets,
		.tx_packets = raw.tx_packets,
		.rx_dropped = raw.rx_dropped,
		.rx_missed = raw.rx_missed_errors,
		.rx_errors = raw.rx_errors,
		.tx_dropped = raw.tx_dropped,
		.tx_errors = raw.tx_errors,
	};
	return 0;
}

static int
ifinfo_row(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct netlink_ifinfo *info = arg;

	info->flags = ifi->ifi_flags;
	info->type = ifi->ifi_type;
	return MNL_CB_OK;
}

int
netlink_ifinfo(int ifindex, struct netlink_ifinfo *info)
{
	return ifindex_query(ifindex, ifinfo_row, info);
}
