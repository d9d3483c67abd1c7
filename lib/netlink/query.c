#include "netlink_priv.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

/* The kernel fills a message of a dump up to the size of the reader's buffer, but not beyond 32 KiB. */
#define ANSWER_BYTES 32768

/* One socket a query, so one number is enough to tell answers from anything else. */
#define SEQ 1

struct nlmsghdr *
netlink_request_begin(struct netlink_request *request, uint16_t type, uint16_t flags,
	const void *header, size_t header_bytes)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(request->bytes);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nlh->nlmsg_seq = SEQ;
	memcpy(mnl_nlmsg_put_extra_header(nlh, header_bytes), header, header_bytes);
	return nlh;
}

static int
query_run(struct mnl_socket *nl, const struct nlmsghdr *nlh, mnl_cb_t cb, void *arg)
{
	alignas(struct nlmsghdr) uint8_t buf[ANSWER_BYTES];
	const unsigned int portid = mnl_socket_get_portid(nl);
	int ret = MNL_CB_OK;

	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	while (ret > MNL_CB_STOP) {
		const ssize_t len = mnl_socket_recvfrom(nl, buf, sizeof(buf));

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return -errno;
		ret = mnl_cb_run(buf, (size_t)len, SEQ, portid, cb, arg);
		if (ret < 0)
			return -errno;
	}
	return 0;
}

int
netlink_query(struct nlmsghdr *nlh, mnl_cb_t cb, void *arg)
{
	struct mnl_socket *nl;
	int ret;

	/* A single answer is followed by an acknowledgement, a dump by NLMSG_DONE: both end the loop. */
	if ((nlh->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
		nlh->nlmsg_flags |= NLM_F_ACK;
	nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (nl == NULL)
		return -errno;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0)
		ret = -errno;
	else
		ret = query_run(nl, nlh, cb, arg);
	mnl_socket_close(nl);
	return ret;
}

void
netlink_attrs(
	const struct nlmsghdr *nlh, size_t header_bytes, const struct nlattr **tb, uint16_t max)
{
	const struct nlattr *attr;

	memset(tb, 0, (max + 1U) * sizeof(*tb));
	mnl_attr_for_each(attr, nlh, header_bytes)
	{
		if (mnl_attr_get_type(attr) <= max)
			tb[mnl_attr_get_type(attr)] = attr;
	}
}

uint32_t
netlink_u32(const struct nlattr *attr)
{
	if (attr == NULL || mnl_attr_get_payload_len(attr) < sizeof(uint32_t))
		return 0;
	return mnl_attr_get_u32(attr);
}

bool
netlink_ip(const struct nlattr *attr, int family, struct ep_wire_ip *ip)
{
	const struct ep_wire_ip empty = {
		.family = family == AF_INET6 ? EP_WIRE_IPV6 : EP_WIRE_IPV4};

	if (attr == NULL || mnl_attr_get_payload_len(attr) != netlink_ip_bytes(&empty))
		return false;
	*ip = empty;
	memcpy(ip->bytes_be, mnl_attr_get_payload(attr), netlink_ip_bytes(ip));
	return true;
}

int
netlink_family(const struct ep_wire_ip *ip)
{
	return ip->family == EP_WIRE_IPV6 ? AF_INET6 : AF_INET;
}

size_t
netlink_ip_bytes(const struct ep_wire_ip *ip)
{
	return ip->family == EP_WIRE_IPV6 ? 16 : 4;
}
