/* The interface as the kernel sees it: MAC, MTU, addresses, routes. It goes with the tap, and so does all of this. */
#include "exc_priv.h"

#include <ep_netlink.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Below any that an administrator or a DHCP client sets. */
#define DEFAULT_METRIC 32767
/* Duplicate address detection waits for up to a second, asks, and waits for another one (RFC 4862 section 5.4.2). */
#define AWAIT_STEPS 100
#define AWAIT_STEP_NS (50 * EP_NS_PER_MS)

/* Knobs of our interface. A kernel without one of them does well enough. */
static const struct {
	const char *family, *knob, *value;
} knobs[] = {
	{"ipv4", "arp_notify", "1"},   /* Tell the link whose the addresses are. */
	{"ipv4", "arp_ignore", "1"},   /* Addresses of other interfaces are not here ... */
	{"ipv4", "arp_announce", "2"}, /* ... and ours are asked from. */
	{"ipv4", "rp_filter", "2"}, /* The way back need not be the best one: see DEFAULT_METRIC. */
	{"ipv6", "accept_ra", "0"}, /* The addresses are given. */
	{"ipv6", "ndisc_notify", "1"},
};

static void
knobs_set(const struct ep_exc *exc)
{
	for (size_t i = 0; i < EP_ARRAY_LEN(knobs); i++) {
		char path[128];
		int fd;

		snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", knobs[i].family,
			exc->ifname, knobs[i].knob);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, knobs[i].value, strlen(knobs[i].value)) < 0)
			EXC_LOG(INFO, "%s stays as it is: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
	}
}

static int
addrs_add(const struct ep_exc *exc, const struct ep_exc_cfg *cfg, enum ep_wire_family family,
	struct ep_err *err)
{
	char text[EP_WIRE_IP_TEXT_BYTES];

	for (uint32_t i = 0; i < cfg->addr_count; i++) {
		const struct ep_exc_addr *a = &cfg->addr[i];
		int ret;

		if (a->ip.family != family)
			continue;
		ret = ep_netlink_addr_add(exc->ifindex, &a->ip, a->prefix_bits);
		if (ret < 0)
			return ep_err_set(err, ret == -EACCES ? ret : -EINVAL,
				"--addr %s/%u: the kernel does not take it%s: %s",
				ep_wire_ip_format(text, sizeof(text), &a->ip), a->prefix_bits,
				ret == -EACCES ? " (IPv6 is switched off)" : "", strerror(-ret));
	}
	return 0;
}

static int
gateways_add(const struct ep_exc *exc, const struct ep_exc_cfg *cfg, struct ep_err *err)
{
	char text[EP_WIRE_IP_TEXT_BYTES];

	for (uint32_t i = 0; i < cfg->gateway_count; i++) {
		const int ret =
			ep_netlink_default_add(exc->ifindex, &cfg->gateway[i], DEFAULT_METRIC);

		if (ret == 0)
			continue;
		ep_wire_ip_format(text, sizeof(text), &cfg->gateway[i]);
		if (ret == -EEXIST)
			return ep_err_set(err, -EINVAL,
				"--gateway %s: is the second one of its family", text);
		return ep_err_set(err, -EINVAL,
			"--gateway %s: is not on the link of an --addr (%s)", text, strerror(-ret));
	}
	return 0;
}

/* A NIC without these groups would leave neighbours of IPv6 without an answer. */
static int
neighbours_hear(struct ep_exc *exc, const struct ep_exc_cfg *cfg, struct ep_err *err)
{
	struct ep_wire_ip ip[EP_EXC_ADDRS_MAX];

	for (uint32_t i = 0; i < cfg->addr_count; i++)
		ip[i] = cfg->addr[i].ip;
	return ep_dev_hear_neighbours(exc->dev, ip, cfg->addr_count, err);
}

int
exc_setup(struct ep_exc *exc, const struct ep_exc_cfg *cfg, struct ep_err *err)
{
	struct ep_netlink_set set = {.mtu_bytes = exc->info.mtu_bytes};
	int ret;

	ret = neighbours_hear(exc, cfg, err);
	if (ret < 0)
		return ret;
	ep_dev_host_mac(exc->dev, set.mac);
	knobs_set(exc);
	ret = ep_netlink_set(exc->ifindex, &set);
	if (ret < 0)
		return ep_err_set(err, ret, "interface %s: MAC and an MTU of %u B: %s", exc->ifname,
			set.mtu_bytes, strerror(-ret));
	/* Those of IPv4 before it is up, which announces them; those of IPv6 after, since an interface that is down has no routes. */
	ret = addrs_add(exc, cfg, EP_WIRE_IPV4, err);
	if (ret < 0)
		return ret;
	ret = ep_netlink_up(exc->ifindex);
	if (ret < 0)
		return ep_err_set(
			err, ret, "interface %s does not come up: %s", exc->ifname, strerror(-ret));
	ret = addrs_add(exc, cfg, EP_WIRE_IPV6, err);
	return ret < 0 ? ret : gateways_add(exc, cfg, err);
}

static int
addr_await(const struct ep_exc *exc, const struct ep_wire_ip *ip, struct ep_err *err)
{
	const struct timespec pause = {.tv_nsec = AWAIT_STEP_NS};
	char text[EP_WIRE_IP_TEXT_BYTES];

	ep_wire_ip_format(text, sizeof(text), ip);
	for (int i = 0; i < AWAIT_STEPS; i++) {
		switch (ep_netlink_addr_state(exc->ifindex, ip)) {
		case EP_NETLINK_ADDR_READY:
			return 0;
		case EP_NETLINK_ADDR_TAKEN:
			return ep_err_set(err, -EADDRINUSE,
				"--addr %s: another host on the link of %s has it", text,
				exc->info.name);
		default:
			nanosleep(&pause, NULL);
		}
	}
	return ep_err_set(
		err, -ETIMEDOUT, "--addr %s: does not become usable on %s", text, exc->ifname);
}

int
exc_await(struct ep_exc *exc, const struct ep_exc_cfg *cfg, struct ep_err *err)
{
	int ret = 0;

	for (uint32_t i = 0; i < cfg->addr_count && ret == 0; i++)
		ret = addr_await(exc, &cfg->addr[i].ip, err);
	return ret;
}
