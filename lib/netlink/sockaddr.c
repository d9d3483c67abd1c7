#include "netlink_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

/* Where the IPv4 address begins in an IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2) [B]. */
#define MAPPED_OFFSET 12

uint32_t
ep_netlink_sockaddr_set(struct sockaddr_storage *sa, const struct ep_wire_ip *ip, uint16_t port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)sa;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)sa;

	memset(sa, 0, sizeof(*sa));
	if (ip != NULL && ip->family == EP_WIRE_IPV4) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		memcpy(&in->sin_addr, ip->bytes_be, sizeof(in->sin_addr));
		return sizeof(*in);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	if (ip != NULL)
		memcpy(&in6->sin6_addr, ip->bytes_be, sizeof(in6->sin6_addr));
	return sizeof(*in6);
}

static void
ip_from_in6(const struct in6_addr *addr, struct ep_wire_ip *ip)
{
	memset(ip, 0, sizeof(*ip));
	if (IN6_IS_ADDR_V4MAPPED(addr)) {
		ip->family = EP_WIRE_IPV4;
		memcpy(ip->bytes_be, addr->s6_addr + MAPPED_OFFSET, sizeof(struct in_addr));
		return;
	}
	ip->family = EP_WIRE_IPV6;
	memcpy(ip->bytes_be, addr->s6_addr, sizeof(ip->bytes_be));
}

int
ep_netlink_sockaddr_get(const struct sockaddr_storage *sa, struct ep_wire_ip *ip, uint16_t *port)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)sa;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;

	if (sa->ss_family != AF_INET && sa->ss_family != AF_INET6)
		return -EAFNOSUPPORT;
	if (sa->ss_family == AF_INET6) {
		ip_from_in6(&in6->sin6_addr, ip);
	} else {
		memset(ip, 0, sizeof(*ip));
		ip->family = EP_WIRE_IPV4;
		memcpy(ip->bytes_be, &in->sin_addr, sizeof(in->sin_addr));
	}
	if (port != NULL)
		*port = ntohs(sa->ss_family == AF_INET6 ? in6->sin6_port : in->sin_port);
	return 0;
}
