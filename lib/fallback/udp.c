/* Answers leave from the address that was asked, also where the host has several (RFC 8489 section 6.3.1). */
#include "fallback_priv.h"

#include <ep_netlink.h>

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Longer datagrams are no request that is answered. */
#define DATAGRAM_BYTES 1500

static const struct ep_wire_ip any_ipv4 = {.family = EP_WIRE_IPV4};

/* The control message that carries the local address; the same bytes serve for receiving and sending. */
union pktinfo {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

static int
udp_bind(int fd, const char *device, const struct ep_wire_ip *ip, uint16_t port)
{
	const int on = 1, off = 0;
	struct sockaddr_storage sa;
	const socklen_t len = ep_netlink_sockaddr_set(&sa, ip, port);
	int ret;

	if (ip == NULL)
		ret = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0
			? -1
			: setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
	else
		ret = setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	if (ret == 0 && device != NULL)
		ret = setsockopt(
			fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device));
	if (ret < 0 || bind(fd, (struct sockaddr *)&sa, len) < 0)
		return -errno;
	return 0;
}

static int
udp_open(const char *device, const struct ep_wire_ip *ip, uint16_t port)
{
	const int family = ip == NULL ? AF_INET6 : AF_INET;
	const int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int ret;

	if (fd < 0)
		return -errno;
	ret = udp_bind(fd, device, ip, port);
	if (ret == 0)
		return fd;
	close(fd);
	return ret;
}

int
fallback_udp_open(const char *device, uint16_t port)
{
	const int ret = udp_open(device, NULL, port);

	return ret == -EAFNOSUPPORT || ret == -EADDRNOTAVAIL ? udp_open(device, &any_ipv4, port)
							     : ret;
}

/* Keep what says which address was asked, without the interface: the way back is the routing table's business. */
static void
reply_from(struct msghdr *msg)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);

	if (c != NULL && c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
		struct in6_pktinfo *info = (struct in6_pktinfo *)(void *)CMSG_DATA(c);

		if (!IN6_IS_ADDR_LINKLOCAL(&info->ipi6_addr))
			info->ipi6_ifindex = 0;
		msg->msg_controllen = CMSG_SPACE(sizeof(*info));
	} else if (c != NULL && c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
		struct in_pktinfo *info = (struct in_pktinfo *)(void *)CMSG_DATA(c);

		info->ipi_spec_dst = info->ipi_addr;
		info->ipi_ifindex = 0;
		msg->msg_controllen = CMSG_SPACE(sizeof(*info));
	} else {
		msg->msg_control = NULL;
		msg->msg_controllen = 0;
	}
}

/* One datagram. @return whether one was there. */
static bool
udp_one(int fd, const struct ep_fallback_voice *voice, struct bucket *answers, uint64_t *answered)
{
	uint8_t in[DATAGRAM_BYTES], out[DATAGRAM_BYTES + EP_FALLBACK_UDP_MORE_BYTES];
	union pktinfo control;
	struct sockaddr_storage sa;
	struct iovec iov = {.iov_base = in, .iov_len = sizeof(in)};
	struct msghdr msg = {.msg_name = &sa,
		.msg_namelen = sizeof(sa),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes)};
	const ssize_t got = recvmsg(fd, &msg, 0);
	struct ep_wire_ip peer;
	uint16_t port;

	/* An ICMP error of an earlier answer is reported here once: not the end of what there is. */
	if (got < 0)
		return errno == ECONNREFUSED || errno == EHOSTUNREACH || errno == ENETUNREACH;
	if ((msg.msg_flags & MSG_TRUNC) != 0 || ep_netlink_sockaddr_get(&sa, &peer, &port) < 0 ||
		port == 0)
		return true;
	iov = (struct iovec){.iov_base = out,
		.iov_len = ep_fallback_datagram(voice, &peer, port, in, (size_t)got, out)};
	if (iov.iov_len == 0 || !fallback_bucket_take(answers))
		return true;
	reply_from(&msg);
	if (sendmsg(fd, &msg, MSG_NOSIGNAL) >= 0)
		++*answered;
	return true;
}

uint32_t
fallback_udp_run(int fd, const struct ep_fallback_voice *voice, struct bucket *answers,
	uint32_t max, uint64_t *answered)
{
	uint32_t count = 0;

	while (count < max && udp_one(fd, voice, answers, answered))
		count++;
	return count;
}
