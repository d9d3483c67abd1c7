/* An XDP program on an interface, with what the driver says where it refuses: the sentence that rtnetlink's extended acknowledgement carries. */

#include "netlink_priv.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#define ANSWER_BYTES 8192

static struct nlmsghdr *
xdp_request(struct netlink_request *request, int ifindex, int prog_fd, uint32_t flags)
{
	const struct ifinfomsg info = {.ifi_family = AF_UNSPEC, .ifi_index = ifindex};
	struct nlmsghdr *nlh =
		netlink_request_begin(request, RTM_SETLINK, NLM_F_ACK, &info, sizeof(info));
	struct nlattr *nest = mnl_attr_nest_start(nlh, IFLA_XDP);

	mnl_attr_put(nlh, IFLA_XDP_FD, sizeof(prog_fd), &prog_fd);
	mnl_attr_put_u32(nlh, IFLA_XDP_FLAGS, flags);
	mnl_attr_nest_end(nlh, nest);
	return nlh;
}

/* The kernel's sentence, behind the error and as much of the request as it returns. */
static void
words_copy(const struct nlmsghdr *nlh, char *words, size_t words_bytes)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);
	size_t offset = sizeof(*e);
	const struct nlattr *attr;

	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED))
		offset += mnl_nlmsg_get_payload_len(&e->msg);
	mnl_attr_for_each(attr, nlh, offset)
	{
		if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG)
			snprintf(words, words_bytes, "%.*s", (int)mnl_attr_get_payload_len(attr),
				mnl_attr_get_str(attr));
	}
}

/* The one answer: an error of 0 is the acknowledgement. */
static int
xdp_answer(struct mnl_socket *nl, char *words, size_t words_bytes)
{
	alignas(struct nlmsghdr) uint8_t buf[ANSWER_BYTES];
	const struct nlmsghdr *nlh = (const struct nlmsghdr *)(const void *)buf;
	const struct nlmsgerr *e;
	ssize_t len;

	do
		len = mnl_socket_recvfrom(nl, buf, sizeof(buf));
	while (len < 0 && errno == EINTR);
	if (len < 0)
		return -errno;
	if (!mnl_nlmsg_ok(nlh, (int)len) || nlh->nlmsg_type != NLMSG_ERROR ||
		mnl_nlmsg_get_payload_len(nlh) < sizeof(*e))
		return -EBADMSG;
	e = mnl_nlmsg_get_payload(nlh);
	if (e->error < 0)
		words_copy(nlh, words, words_bytes);
	return e->error;
}

int
ep_netlink_xdp(int ifindex, int prog_fd, uint32_t flags, char *words, size_t words_bytes)
{
	struct netlink_request request;
	const struct nlmsghdr *nlh = xdp_request(&request, ifindex, prog_fd, flags);
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	int on = 1;
	int ret = 0;

	words[0] = '\0';
	if (nl == NULL)
		return -errno;
	/* A kernel that does not know it (before 4.12) answers without words. */
	mnl_socket_setsockopt(nl, NETLINK_EXT_ACK, &on, sizeof(on));
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
		mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		ret = -errno;
	if (ret == 0)
		ret = xdp_answer(nl, words, words_bytes);
	mnl_socket_close(nl);
	return ret;
}
