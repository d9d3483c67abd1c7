#include "neighbour.h"

#include "common.h"
#include "host.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Probing for an address takes 3 s (RFC 5227); whoever does not answer two seconds later is not there. */
#define OPEN_NS (6 * EP_NS_PER_S)
#define OPEN_STEP_US 5000

int
neighbour_check(const struct config *c, struct ep_err *err)
{
	struct ep_dev_spec spec;
	int ret;

	if (c->addr_count == 0 && c->gateway_count == 0)
		return 0;
	if (c->addr_count != CONFIG_DEVS_MAX || c->dev_count != CONFIG_DEVS_MAX)
		return ep_err_set(err, -EINVAL,
			"--addr: give one for each of two --dev, there are %u for %u",
			c->addr_count, c->dev_count);
	if (c->gateway_count != 0 && c->gateway_count != c->addr_count)
		return ep_err_set(err, -EINVAL,
			"--gateway: give one for each device or none, there is %u for %u",
			c->gateway_count, c->dev_count);
	if (c->addr[0].ip.family != c->addr[1].ip.family)
		return ep_err_set(err, -EINVAL, "--addr %s and %s: are of two families",
			c->addr_text[0], c->addr_text[1]);
	for (uint32_t i = 0; i < c->dev_count; i++) {
		ret = ep_dev_spec_parse(c->dev[i], &spec, err);
		if (ret < 0)
			return ret;
		if (ep_dev_spec_is_kernel(&spec))
			return ep_err_set(err, -EINVAL,
				"--addr %s: is for PCI and net_... devices, %s has the addresses "
				"that the "
				"kernel gave it",
				c->addr_text[i], c->dev[i]);
	}
	return 0;
}

static int
side_create(const struct config *c, uint32_t i, struct ep_dev *dev, struct neighbour_side *side,
	struct ep_wire_ends *ends, struct ep_err *err)
{
	struct ep_slow_cfg cfg = {.addr_count = 1, .addr = {c->addr[i]}, .vlan = (uint16_t)c->vlan};
	int ret;

	if (c->gateway_count > 0 && c->gateway[i].family == EP_WIRE_IPV6)
		cfg.gateway_ipv6 = c->gateway[i];
	else if (c->gateway_count > 0)
		cfg.gateway_ipv4 = c->gateway[i];
	ret = ep_slowdev_create(dev, &cfg, host_now_ns(), &side->slow, err);
	if (ret < 0)
		return ret;
	side->peer = c->addr[1 - i].ip;
	ends->src = c->addr[i].ip;
	ends->dst = side->peer;
	memcpy(ends->src_mac, cfg.mac, 6);
	return 0;
}

/* Whether a side has its address and its way. Returns 1, 0: not yet, or -errno with a sentence. */
static int
side_ready(const struct config *c, uint32_t i, struct neighbour_side *side, struct ep_err *err)
{
	struct ep_slow_stack *stack = ep_slowdev_stack(side->slow);
	uint8_t mac[6];
	int ret;

	ep_slowdev_run_alone(side->slow, host_now_ns());
	if (ep_slow_stack_addr(stack, 0, mac) == EP_SLOW_ADDR_TAKEN)
		return ep_err_set(err, -EADDRINUSE,
			"--addr %s: another host on the link of %s has it "
			"(%02x:%02x:%02x:%02x:%02x:%02x)",
			c->addr_text[i], c->dev[i], mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	ret = ep_slow_stack_resolve(stack, &side->peer, host_now_ns(), side->mac);
	if (ret == -ENETUNREACH)
		return ep_err_set(err, -EINVAL,
			"--addr %s: the other device's address is not on its link, give --gateway",
			c->addr_text[i]);
	return ret == 0;
}

static int
wait_failed(const struct config *c, uint32_t i, struct ep_err *err)
{
	char text[EP_WIRE_IP_TEXT_BYTES];

	if (host_interrupted())
		return ep_err_set(err, -EINTR, "interrupted before anything was measured");
	ep_wire_ip_format(
		text, sizeof(text), c->gateway_count > 0 ? &c->gateway[i] : &c->addr[1 - i].ip);
	return ep_err_set(err, -EHOSTUNREACH, "--dev %s: %s does not answer %s", c->dev[i], text,
		c->addr[i].ip.family == EP_WIRE_IPV6 ? "NDP" : "ARP");
}

int
neighbour_open(const struct config *c, struct ep_dev *const dev[2], struct neighbour_side side[2],
	struct ep_wire_ends ends[2], struct ep_err *err)
{
	const uint64_t end_ns = host_now_ns() + OPEN_NS;
	int ready[2] = {0, 0}, ret = 0;

	for (uint32_t i = 0; i < 2 && ret == 0; i++)
		ret = side_create(c, i, dev[i], &side[i], &ends[i], err);
	while (ret == 0 && !(ready[0] > 0 && ready[1] > 0)) {
		for (uint32_t i = 0; i < 2 && ret == 0; i++) {
			ready[i] = side_ready(c, i, &side[i], err);
			ret = ready[i] < 0 ? ready[i] : 0;
		}
		if (ret == 0 && (host_now_ns() > end_ns || host_interrupted()))
			return ready[0] > 0 && ready[1] > 0 ? 0 : wait_failed(c, ready[0] > 0, err);
		usleep(OPEN_STEP_US);
	}
	for (uint32_t i = 0; i < 2 && ret == 0; i++)
		memcpy(ends[i].dst_mac, side[i].mac, 6);
	return ret;
}

void
neighbour_tick(struct neighbour_side *side, struct ep_engine *engine, uint32_t index)
{
	uint8_t mac[6];

	if (side->slow == NULL)
		return;
	ep_slowdev_run(side->slow, host_now_ns());
	if (ep_slow_stack_resolve(ep_slowdev_stack(side->slow), &side->peer, host_now_ns(), mac) <
			0 ||
		memcmp(mac, side->mac, 6) == 0)
		return;
	memcpy(side->mac, mac, 6);
	ep_engine_next_hop(engine, index, mac);
}

void
neighbour_close(struct neighbour_side *side)
{
	ep_slowdev_destroy(side->slow);
	memset(side, 0, sizeof(*side));
}
