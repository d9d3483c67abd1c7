#include "xport_priv.h"

#include <ep_netlink.h>

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Checks of capacity open a thousand connections a second; the kernel has its own limit (net.core.somaxconn). */
#define BACKLOG 4096

static const struct ep_wire_ip any_ipv4 = {.family = EP_WIRE_IPV4};

/* @return 0 or -errno. */
static int
listen_bind(int fd, const char *device, const struct ep_wire_ip *ip, uint16_t port)
{
	const int on = 1, off = 0;
	struct sockaddr_storage sa;
	const socklen_t len = ep_netlink_sockaddr_set(&sa, ip, port);

	/* A port whose last connections are in TIME_WAIT is free; one that somebody listens on still is not. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -errno;
	if (ip == NULL && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0)
		return -errno;
	if (device != NULL &&
		setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device)) < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&sa, len) < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	return 0;
}

/* @return the socket or -errno. */
static int
listen_open(const char *device, const struct ep_wire_ip *ip, uint16_t port)
{
	const int family = ip == NULL ? AF_INET6 : AF_INET;
	const int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int ret;

	if (fd < 0)
		return -errno;
	ret = listen_bind(fd, device, ip, port);
	if (ret == 0)
		return fd;
	close(fd);
	return ret;
}

int
ep_xport_listen_on(const char *device, uint16_t port, struct ep_err *err)
{
	int ret = listen_open(device, NULL, port);

	if (ret == -EAFNOSUPPORT || ret == -EADDRNOTAVAIL)
		ret = listen_open(device, &any_ipv4, port);
	if (ret >= 0)
		return ret;
	if (ret == -EADDRINUSE)
		return ep_err_set(err, ret, "TCP port %u is in use by another program", port);
	if (ret == -EACCES)
		return ep_err_set(err, ret,
			"TCP port %u: no permission; ports below 1024 need root or "
			"CAP_NET_BIND_SERVICE",
			port);
	return ep_err_set(err, ret, "TCP port %u: %s", port, strerror(-ret));
}

int
ep_xport_listen(uint16_t port, struct ep_err *err)
{
	return ep_xport_listen_on(NULL, port, err);
}
