/* Connection tracking of this network namespace: loaded, in use, how full, and whether it is hooked in (NFNL_SUBSYS_HOOK). */

#include "hostinfo_priv.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_hook.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define ANSWER_MS 500

/* Nested or not, the name of a hook's function is the only text that is looked at. */
static int
hook_row(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *attr;
	bool *found = arg;

	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(attr) == NFNLA_HOOK_FUNCTION_NAME &&
			mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) == 0 &&
			strstr(mnl_attr_get_str(attr), "conntrack") != NULL)
			*found = true;
	}
	return MNL_CB_OK;
}

static struct nlmsghdr *
hook_request(void *buf, uint8_t family)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg;

	nlh->nlmsg_type = (NFNL_SUBSYS_HOOK << 8) | NFNL_MSG_HOOK_GET;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = family;
	nfg->version = NFNETLINK_V0;
	mnl_attr_put_u32(nlh, NFNLA_HOOK_HOOKNUM, htonl(NF_INET_PRE_ROUTING));
	return nlh;
}

/* Whether the kernel listed the hooks of a family (root alone may ask, from kernel 5.14 on). */
static bool
hooks_of(uint8_t family, bool *found)
{
	alignas(struct nlmsghdr) char buf[8192];
	const struct timeval wait = {.tv_usec = ANSWER_MS * 1000};
	struct mnl_socket *nl = mnl_socket_open(NETLINK_NETFILTER);
	int ret = MNL_CB_ERROR;

	if (nl == NULL)
		return false;
	setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) == 0) {
		const struct nlmsghdr *nlh = hook_request(buf, family);
		ssize_t used = mnl_socket_sendto(nl, nlh, nlh->nlmsg_len);

		ret = used < 0 ? MNL_CB_ERROR : MNL_CB_OK;
		while (ret == MNL_CB_OK) {
			used = mnl_socket_recvfrom(nl, buf, sizeof(buf));
			ret = used < 0 ? MNL_CB_ERROR
				       : mnl_cb_run(buf, (size_t)used, 0, mnl_socket_get_portid(nl),
						 hook_row, found);
		}
	}
	mnl_socket_close(nl);
	return ret == MNL_CB_STOP;
}

static enum ep_doctor_tri
hooked(void)
{
	bool found = false;
	const bool ipv4 = hooks_of(NFPROTO_IPV4, &found), ipv6 = hooks_of(NFPROTO_IPV6, &found);

	if (found)
		return EP_DOCTOR_YES;
	return ipv4 && ipv6 ? EP_DOCTOR_NO : EP_DOCTOR_UNKNOWN;
}

void
hostinfo_conntrack(const struct ep_hostinfo_cfg *cfg, struct ep_doctor_conntrack *out)
{
	int64_t count = 0, max = 0, bridge = 0;

	tree_number(cfg->root, &count, "/proc/sys/net/netfilter/nf_conntrack_count");
	tree_number(cfg->root, &max, "/proc/sys/net/netfilter/nf_conntrack_max");
	tree_number(cfg->root, &bridge, "/proc/sys/net/bridge/bridge-nf-call-iptables");
	*out = (struct ep_doctor_conntrack){
		.loaded = max > 0 || tree_has(cfg->root, "/sys/module/nf_conntrack"),
		.count = count > 0 ? (uint64_t)count : 0,
		.max = max > 0 ? (uint64_t)max : 0,
		.bridge = bridge != 0,
	};
	if (out->count > 0)
		out->active = EP_DOCTOR_YES;
	else if (out->loaded && cfg->live)
		out->active = hooked();
}
