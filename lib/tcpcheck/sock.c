#include "tcpcheck_priv.h"

#include <ep_netlink.h>

#include <errno.h>
#include <linux/errqueue.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* A keepalive each second; the kernel gives up on its own only long after we have. */
#define KEEPALIVE_S 1
#define KEEPALIVE_COUNT 60

static int
sock_prepare(const struct ep_tcpcheck *c, int fd, enum ep_tcpcheck_transport transport)
{
	const int on = 1;

	if (c->peer.family == EP_WIRE_IPV6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof(on));
	else
		setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
	if (transport == EP_TCPCHECK_TCP)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (c->device[0] != '\0' &&
		setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, c->device,
			(socklen_t)strlen(c->device)) < 0)
		return -errno;
	return 0;
}

int
tc_sock_open(
	const struct ep_tcpcheck *c, enum ep_tcpcheck_transport transport, uint16_t port, int *fd)
{
	const int family = c->peer.family == EP_WIRE_IPV6 ? AF_INET6 : AF_INET;
	const int type = transport == EP_TCPCHECK_UDP ? SOCK_DGRAM : SOCK_STREAM;
	struct sockaddr_storage sa;
	const socklen_t len = ep_netlink_sockaddr_set(&sa, &c->peer, port);
	int ret, s = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (s < 0)
		return -errno;
	ret = sock_prepare(c, s, transport);
	if (ret == 0 && connect(s, (struct sockaddr *)&sa, len) < 0 && errno != EINPROGRESS)
		ret = -errno;
	if (ret < 0) {
		close(s);
		return ret;
	}
	*fd = s;
	return 0;
}

int
tc_sock_connected(int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error != 0)
		return -error;
	len = sizeof(sa);
	return getpeername(fd, (struct sockaddr *)&sa, &len) == 0 ? 0 : -EINPROGRESS;
}

static enum ep_tcpcheck_status
status_of(int error)
{
	switch (error) {
	case 0:
		return EP_TCPCHECK_OPEN;
	case ECONNREFUSED:
		return EP_TCPCHECK_REFUSED;
	case ETIMEDOUT:
		return EP_TCPCHECK_FILTERED;
	case ECONNRESET:
	case EPIPE:
		return EP_TCPCHECK_RESET;
	case EADDRINUSE:
	case EADDRNOTAVAIL:
		return EP_TCPCHECK_BUSY;
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EHOSTDOWN:
	case ENONET:
	case ENOPROTOOPT: /* ICMP protocol unreachable */
	case EACCES:      /* a prohibit route, or a broadcast address */
	case EINVAL:      /* a blackhole route */
		return EP_TCPCHECK_UNREACHABLE;
	default:
		return EP_TCPCHECK_ERROR;
	}
}

/* Take the newest ICMP error that the kernel keeps for a socket. */
static bool
icmp_take(int fd, struct tc_end *end)
{
	bool found = false;

	for (;;) {
		uint8_t control[512], data[64];
		struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};
		struct msghdr msg = {.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control)};

		if (recvmsg(fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
			return found;
		for (struct cmsghdr *m = CMSG_FIRSTHDR(&msg); m != NULL; m = CMSG_NXTHDR(&msg, m)) {
			struct sock_extended_err e;

			if (!((m->cmsg_level == IPPROTO_IP && m->cmsg_type == IP_RECVERR) ||
				    (m->cmsg_level == IPPROTO_IPV6 &&
					    m->cmsg_type == IPV6_RECVERR)))
				continue;
			memcpy(&e, CMSG_DATA(m), sizeof(e));
			if (e.ee_origin != SO_EE_ORIGIN_ICMP && e.ee_origin != SO_EE_ORIGIN_ICMP6)
				continue;
			end->icmp_type = e.ee_type;
			end->icmp_code = e.ee_code;
			found = true;
		}
	}
}

void
tc_sock_end(int fd, int error, struct tc_end *end)
{
	*end = (struct tc_end){.status = status_of(error), .error = error};
	end->has_icmp = fd >= 0 && icmp_take(fd, end);
	/* The kernel tells a port unreachable from a RST by nothing but this. */
	if (end->has_icmp && error != 0)
		end->status = EP_TCPCHECK_UNREACHABLE;
}

static struct tcp_info
sock_info(int fd)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		memset(&info, 0, sizeof(info));
	return info;
}

uint32_t
tc_sock_syns(int fd)
{
	return 1 + sock_info(fd).tcpi_total_retrans;
}

uint64_t
tc_sock_silence_ns(int fd)
{
	const struct tcp_info info = sock_info(fd);
	const uint32_t ms = info.tcpi_last_ack_recv < info.tcpi_last_data_recv
		? info.tcpi_last_ack_recv
		: info.tcpi_last_data_recv;

	return ms * EP_NS_PER_MS;
}

bool
tc_sock_established(int fd)
{
	return sock_info(fd).tcpi_state == TCP_ESTABLISHED;
}

void
tc_sock_keepalive(int fd)
{
	const int on = 1, idle = KEEPALIVE_S, count = KEEPALIVE_COUNT;

	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

void
tc_sock_byte(int fd)
{
	static const char byte = '\n';

	(void)!send(fd, &byte, 1, MSG_NOSIGNAL);
}

bool
tc_sock_taken(int fd)
{
	int bytes = 0;

	return ioctl(fd, SIOCOUTQ, &bytes) == 0 && bytes == 0;
}

void
tc_sock_abort(int fd)
{
	const struct linger linger = {.l_onoff = 1, .l_linger = 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}
