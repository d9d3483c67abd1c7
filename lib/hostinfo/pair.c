/* A veth pair in a network namespace of our own: somewhere to measure that no other host hears of. */

#include "hostinfo_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* How long a carrier may take. */
#define CARRIER_MS 2000

/* The kernel's own words: a device of kind "veth", and in its data the other end with its name. */
static void
request_build(struct nlmsghdr *nlh)
{
	struct nlattr *info, *data, *peer;
	struct ifinfomsg *ifi;

	nlh->nlmsg_type = RTM_NEWLINK;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK;
	ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	ifi->ifi_family = AF_UNSPEC;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, EP_HOSTINFO_PAIR_NEAR);
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
	peer = mnl_attr_nest_start(nlh, VETH_INFO_PEER);
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(nlh, IFLA_IFNAME, EP_HOSTINFO_PAIR_FAR);
	mnl_attr_nest_end(nlh, peer);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, info);
}

static int
pair_create(void)
{
	alignas(struct nlmsghdr) char buf[8192];
	struct mnl_socket *nl = mnl_socket_open(NETLINK_ROUTE);
	struct nlmsghdr *nlh;
	ssize_t used;
	int ret = -EIO;

	if (nl == NULL)
		return -errno;
	nlh = mnl_nlmsg_put_header(buf);
	request_build(nlh);
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) == 0 &&
		mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) >= 0) {
		used = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		ret = used < 0 ||
				mnl_cb_run(buf, (size_t)used, 0, mnl_socket_get_portid(nl), NULL,
					NULL) < 0
			? -errno
			: 0;
	}
	mnl_socket_close(nl);
	return ret;
}

static int
address_set(int fd, const char *name, const char *address)
{
	struct ifreq ifr = {0};
	struct sockaddr_in in = {.sin_family = AF_INET};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	inet_pton(AF_INET, address, &in.sin_addr);
	memcpy(&ifr.ifr_addr, &in, sizeof(in));
	if (ioctl(fd, SIOCSIFADDR, &ifr) < 0)
		return -errno;
	inet_pton(AF_INET, "255.255.255.0", &in.sin_addr);
	memcpy(&ifr.ifr_netmask, &in, sizeof(in));
	if (ioctl(fd, SIOCSIFNETMASK, &ifr) < 0)
		return -errno;
	ifr.ifr_flags = IFF_UP;
	return ioctl(fd, SIOCSIFFLAGS, &ifr) < 0 ? -errno : 0;
}

/* An end has a carrier a moment after the other one is up. */
static int
running_wait(int fd, const char *name)
{
	const struct timespec step = {.tv_nsec = 10 * (long)EP_NS_PER_MS};
	struct ifreq ifr = {0};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	for (int ms = 0; ms < CARRIER_MS; ms += 10) {
		if (ioctl(fd, SIOCGIFFLAGS, &ifr) < 0)
			return -errno;
		if ((ifr.ifr_flags & IFF_RUNNING) != 0)
			return 0;
		nanosleep(&step, NULL);
	}
	return -ETIMEDOUT;
}

int
ep_hostinfo_pair_make(struct ep_err *err)
{
	int ret = unshare(CLONE_NEWNET) < 0 ? -errno : 0;
	int fd;

	if (ret < 0)
		return ep_err_set(
			err, ret, "a network namespace of its own takes root: %s", strerror(-ret));
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ret = fd < 0 ? -errno : pair_create();
	if (ret == 0)
		ret = address_set(fd, EP_HOSTINFO_PAIR_NEAR, "198.18.0.1");
	if (ret == 0)
		ret = address_set(fd, EP_HOSTINFO_PAIR_FAR, "198.18.0.2");
	if (ret == 0)
		ret = running_wait(fd, EP_HOSTINFO_PAIR_NEAR);
	if (ret == 0)
		ret = running_wait(fd, EP_HOSTINFO_PAIR_FAR);
	if (fd >= 0)
		close(fd);
	return ret == 0
		? 0
		: ep_err_set(err, ret, "a veth pair of its own cannot be made: %s", strerror(-ret));
}
