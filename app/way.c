#include "way.h"

#include "common.h"
#include "host.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Probing for an address takes 3 s (RFC 5227). */
#define ADDR_NS (6 * EP_NS_PER_S)
#define STEP_US 2000

bool
way_kernel_has(const struct ep_dev_spec *spec)
{
	return ep_dev_spec_is_kernel(spec);
}

/* One address a family, and a gateway only where there is an address of its family. */
static int
addrs_check(const struct config *c, struct ep_err *err)
{
	if (c->addr_count == 2 && c->addr[0].ip.family == c->addr[1].ip.family)
		return ep_err_set(err, -EINVAL,
			"--addr %s and %s: give one address of each family at most",
			c->addr_text[0], c->addr_text[1]);
	for (uint32_t g = 0; g < c->gateway_count; g++) {
		bool found = false;

		for (uint32_t i = 0; i < c->addr_count; i++)
			found |= c->addr[i].ip.family == c->gateway[g].family;
		if (!found)
			return ep_err_set(err, -EINVAL,
				"--gateway %s: there is no --addr of its family",
				c->gateway_text[g]);
	}
	return 0;
}

int
way_check(const struct config *c, struct ep_err *err)
{
	struct ep_dev_spec spec;

	/* What is no device is told when it is opened. */
	if (ep_dev_spec_parse(c->dev[0], &spec, NULL) < 0)
		return 0;
	if (!way_kernel_has(&spec) && c->addr_count == 0)
		return ep_err_set(err, -EINVAL,
			"--dev %s: no kernel gives it an address, so --addr IP/BITS is needed, and "
			"--gateway where the peer is behind a router",
			c->dev[0]);
	if (!way_kernel_has(&spec))
		return addrs_check(c, err);
	if (c->addr_count > 0)
		return ep_err_set(err, -EINVAL,
			"--addr %s: is for devices that no kernel owns, %s has the addresses that "
			"the kernel gave it",
			c->addr_text[0], c->dev[0]);
	if (c->gateway_count > 0)
		return ep_err_set(err, -EINVAL,
			"--gateway %s: is for devices that no kernel owns, of %s the kernel has "
			"the "
			"routes",
			c->gateway_text[0], c->dev[0]);
	if (c->control_dev != NULL)
		return ep_err_set(err, -EINVAL,
			"--control-dev %s: is for devices that no kernel owns; the kernel has %s, "
			"and "
			"the control connection goes where its routes lead",
			c->control_dev, c->dev[0]);
	return 0;
}

void
way_dev_cfg(const struct config *c, struct ep_dev_cfg *cfg)
{
	if (way_kernel_has(&cfg->spec))
		return;
	cfg->extra_mbufs = EP_EXC_RX_FRAMES;
	cfg->side_mbufs = c->control_dev == NULL ? EP_EXC_SIDE_MBUFS : 0;
}

static int
exception_open(struct way *w, struct ep_err *err)
{
	const struct config *c = w->config;
	struct ep_exc_cfg cfg = {.dev = w->dev,
		.addr_count = c->addr_count,
		.gateway_count = c->gateway_count,
		.vlan_id = (uint16_t)c->vlan};
	int ret;

	for (uint32_t i = 0; i < c->addr_count; i++)
		cfg.addr[i] = (struct ep_exc_addr){c->addr[i].ip, c->addr[i].prefix_bits};
	for (uint32_t i = 0; i < c->gateway_count; i++)
		cfg.gateway[i] = c->gateway[i];
	ret = ep_exc_open(&cfg, &w->exc, err);
	if (ret < 0)
		return ret;
	w->ifindex = ep_exc_ifindex(w->exc);
	w->bind = ep_exc_ifname(w->exc);
	return 0;
}

/* Until each address is ours. */
static int
slow_await(struct way *w, struct ep_err *err)
{
	const struct ep_slow_stack *stack = ep_slowdev_stack(w->slow);
	const uint64_t end_ns = host_now_ns() + ADDR_NS;
	uint32_t ours = 0;

	while (ours < w->config->addr_count) {
		ep_slowdev_run_alone(w->slow, host_now_ns());
		ours = 0;
		for (uint32_t i = 0; i < w->config->addr_count; i++) {
			const enum ep_slow_addr_state state = ep_slow_stack_addr(stack, i, NULL);

			ours += state == EP_SLOW_ADDR_OURS;
			if (state == EP_SLOW_ADDR_TAKEN)
				return ep_err_set(err, -EADDRINUSE,
					"--addr %s: another host on the link of %s has it",
					w->config->addr_text[i], w->info.name);
		}
		if (host_interrupted() || host_now_ns() > end_ns)
			return ep_err_set(err, -EINTR, "interrupted before anything was measured");
		usleep(STEP_US);
	}
	return 0;
}

static int
control_dev_open(struct way *w, struct ep_err *err)
{
	const struct config *c = w->config;
	struct ep_slow_cfg cfg = {.addr_count = c->addr_count, .vlan = (uint16_t)c->vlan};
	struct ep_netlink_link link;
	int ret = ep_netlink_link(c->control_dev, &link, err);

	if (ret < 0)
		return ret;
	if (!link.up || link.addr_count == 0)
		return ep_err_set(err, -EINVAL, "--control-dev %s: %s", c->control_dev,
			!link.up ? "is down" : "has no address");
	w->bind = c->control_dev;
	for (uint32_t i = 0; i < c->addr_count; i++)
		cfg.addr[i] = c->addr[i];
	for (uint32_t i = 0; i < c->gateway_count; i++) {
		if (c->gateway[i].family == EP_WIRE_IPV6)
			cfg.gateway_ipv6 = c->gateway[i];
		else
			cfg.gateway_ipv4 = c->gateway[i];
	}
	ret = ep_slowdev_create(w->dev, &cfg, host_now_ns(), &w->slow, err);
	return ret < 0 ? ret : slow_await(w, err);
}

int
way_open(struct way *w, const struct config *c, struct ep_dev *dev, struct ep_err *err)
{
	w->config = c;
	w->dev = dev;
	ep_dev_info(dev, &w->info);
	if (w->info.kernel) {
		w->ifindex = w->info.ifindex;
		return 0;
	}
	return c->control_dev != NULL ? control_dev_open(w, err) : exception_open(w, err);
}

/* --- The next hop --------------------------------------------------------------------------------------------------------- */

static int
slow_source(const struct way *w, const struct ep_wire_ip *peer, struct ep_wire_ip *source)
{
	for (uint32_t i = 0; i < w->config->addr_count; i++) {
		if (w->config->addr[i].ip.family == peer->family) {
			*source = w->config->addr[i].ip;
			return 0;
		}
	}
	return -EADDRNOTAVAIL;
}

static int
slow_route(struct way *w, const struct ep_wire_ip *peer, int wait_ms,
	struct ep_netlink_route *route, struct ep_err *err)
{
	const uint64_t end_ns = host_now_ns() + (uint64_t)wait_ms * EP_NS_PER_MS;
	struct ep_netlink_route r = {.next_hop = *peer};
	char text[EP_WIRE_IP_TEXT_BYTES];
	int ret = slow_source(w, peer, &r.source);

	ep_wire_ip_format(text, sizeof(text), peer);
	while (ret == 0) {
		const uint64_t now_ns = host_now_ns();

		ep_slowdev_run_alone(w->slow, now_ns);
		ret = ep_slow_stack_resolve(
			ep_slowdev_stack(w->slow), peer, now_ns, r.next_hop_mac);
		if (ret == 0) {
			*route = r;
			return 0;
		}
		if (ret == -EAGAIN && now_ns < end_ns && !host_interrupted()) {
			usleep(STEP_US);
			ret = 0;
		}
	}
	if (ret == -EADDRNOTAVAIL)
		return ep_err_set(err, ret, "--dev %s: has no --addr of the family of %s",
			w->info.name, text);
	if (ret == -ENETUNREACH)
		return ep_err_set(err, ret, "--dev %s: %s is on none of its links, give --gateway",
			w->info.name, text);
	return ep_err_set(err, -EHOSTUNREACH, "--dev %s: the next hop to %s does not answer %s",
		w->info.name, text, peer->family == EP_WIRE_IPV6 ? "NDP" : "ARP");
}

int
way_route(struct way *w, const struct ep_wire_ip *peer, int wait_ms, struct ep_netlink_route *route,
	struct ep_err *err)
{
	char text[EP_WIRE_IP_TEXT_BYTES], other[32] = "another interface";
	struct ep_netlink_route r;
	int ret;

	if (w->slow != NULL)
		return slow_route(w, peer, wait_ms, route, err);
	ret = w->exc != NULL ? ep_netlink_route_over(peer, w->ifindex, wait_ms, &r, err)
			     : ep_netlink_route(peer, wait_ms, &r, err);
	if (ret < 0)
		return ret;
	if (!r.local && r.ifindex != w->ifindex) {
		ep_netlink_ifname(r.ifindex, other);
		return ep_err_set(err, -EXDEV, "--dev %s: the way to %s leads over %s",
			w->config->dev[0], ep_wire_ip_format(text, sizeof(text), peer), other);
	}
	*route = r;
	return 0;
}

void
way_follow(struct way *w, const struct ep_wire_ip *peer, const struct ep_netlink_route *route)
{
	w->peer = *peer;
	ep_netlink_hop_init(&w->hop, route);
	w->follows = true;
}

void
way_unfollow(struct way *w)
{
	w->follows = false;
}

/* Whether the next hop has another MAC, which is then in the route. */
static bool
hop_changed(struct way *w, uint64_t now_ns)
{
	uint8_t mac[6];

	if (!w->follows)
		return false;
	if (w->slow == NULL)
		return ep_netlink_hop_follow(&w->hop, now_ns);
	if (ep_slow_stack_resolve(ep_slowdev_stack(w->slow), &w->peer, now_ns, mac) < 0 ||
		memcmp(mac, w->hop.route.next_hop_mac, sizeof(mac)) == 0)
		return false;
	memcpy(w->hop.route.next_hop_mac, mac, sizeof(mac));
	return true;
}

void
way_tick(struct way *w, struct ep_engine *engine)
{
	const uint64_t now_ns = host_now_ns();

	if (w->slow != NULL && w->lent)
		ep_slowdev_run(w->slow, now_ns);
	else if (w->slow != NULL)
		ep_slowdev_run_alone(w->slow, now_ns);
	if (hop_changed(w, now_ns) && engine != NULL)
		ep_engine_next_hop(engine, 0, w->hop.route.next_hop_mac);
}

/* --- Workers and kernel --------------------------------------------------------------------------------------------------- */

void
way_side(const struct way *w, struct ep_engine_side_cfg *side)
{
	struct ep_exc_rings rings;

	if (w->slow != NULL)
		ep_slowdev_rings(w->slow, &side->slow_rx, &side->slow_tx);
	if (w->exc == NULL)
		return;
	ep_exc_rings(w->exc, &rings);
	side->slow_rx = rings.rx;
	side->slow_tx = rings.tx;
	side->slow_done = rings.done;
}

int
way_arm(struct way *w, const struct ep_dev_filter *filter, struct ep_err *err)
{
	const int ret = ep_dev_arm(w->dev, filter, err);

	if (ret == 0 && w->exc != NULL && ep_exc_arm(w->exc, filter) < 0)
		return ep_err_set(err, -ENOMEM, "no memory for the filter of the exception path");
	return ret;
}

void
way_disarm(struct way *w)
{
	ep_dev_disarm(w->dev);
	if (w->exc != NULL)
		ep_exc_disarm(w->exc);
}

void
way_lend(struct way *w)
{
	w->lent = true;
	if (w->exc != NULL)
		ep_exc_lend(w->exc);
}

void
way_keep(struct way *w)
{
	w->lent = false;
	if (w->exc != NULL)
		ep_exc_keep(w->exc);
}

void
way_note(struct way *w, const struct ep_engine_count *count)
{
	w->worker_dropped += count->slow_dropped;
}

void
way_facts(const struct way *w, struct ep_result *result)
{
	struct ep_result_exception *x = &result->exception;
	struct ep_exc_count count;

	if (w->exc == NULL)
		return;
	ep_exc_count(w->exc, &count);
	*x = (struct ep_result_exception){
		.known = true,
		.to_kernel = count.to_kernel,
		.from_kernel = count.from_kernel,
		.filtered = count.filtered,
		.other_vlan = count.other_vlan,
		.dropped = count.dropped + w->worker_dropped,
	};
	snprintf(x->interface, sizeof(x->interface), "%s", ep_exc_ifname(w->exc));
	snprintf(x->kind, sizeof(x->kind), "tap");
}

void
way_say(const struct way *w)
{
	struct ep_exc_count count;

	if (w->exc == NULL)
		return;
	ep_exc_count(w->exc, &count);
	common_say(w->config, "%s: %llu frames to the kernel, %llu from it, %llu dropped",
		ep_exc_ifname(w->exc), (unsigned long long)count.to_kernel,
		(unsigned long long)count.from_kernel,
		(unsigned long long)(count.dropped + w->worker_dropped));
}

void
way_close(struct way *w)
{
	ep_exc_close(w->exc);
	ep_slowdev_destroy(w->slow);
	memset(w, 0, sizeof(*w));
}
