/* Settings of a kernel interface for the time that it is open: which of its queues the range arrives on, and the timers of busy polling. */

#include "dev_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NIC_STATE_DIR "/run/everyport"
#define NIC_SYS_DIR "/sys/class/net"
#define NIC_CARRIER_TRIES 200 /* Every 50 ms: a link that was reset has 10 s to come up again. */
#define NIC_CARRIER_PAUSE_NS (50 * EP_NS_PER_MS)
#define NIC_FREE_NS (2 * EP_NS_PER_S)

static struct ep_nicset_cfg
nic_cfg(const struct ep_dev *dev)
{
	struct ep_nicset_cfg cfg = {
		.ifindex = dev->link.ifindex,
		.state_dir = NIC_STATE_DIR,
		.sys_dir = NIC_SYS_DIR,
		.ethtool = ep_nicset_ethtool,
	};

	memcpy(cfg.ifname, dev->link.name, sizeof(cfg.ifname));
	memcpy(cfg.mac, dev->link.mac, sizeof(cfg.mac));
	return cfg;
}

static bool
is_link_local(const struct ep_wire_ip *ip)
{
	return ip->family == EP_WIRE_IPV6 && ip->bytes_be[0] == 0xfe &&
		(ip->bytes_be[1] & 0xc0) == 0x80;
}

/* The families that the interface has addresses of; both where it has none. */
static void
nic_families(const struct ep_dev *dev, struct ep_nicset_wish *wish)
{
	for (uint32_t i = 0; i < dev->link.addr_count; i++) {
		const struct ep_wire_ip *ip = &dev->link.addr[i].ip;

		wish->ipv4 |= ip->family == EP_WIRE_IPV4;
		wish->ipv6 |= ip->family == EP_WIRE_IPV6 && !is_link_local(ip);
	}
	if (!wish->ipv4 && !wish->ipv6)
		wish->ipv4 = wish->ipv6 = true;
}

/* A change of its queues takes the link down on many NICs. */
static int
nic_link_wait(struct ep_dev *dev, struct ep_err *err)
{
	const struct timespec pause = {.tv_nsec = NIC_CARRIER_PAUSE_NS};
	int ret = ep_netlink_link(dev->spec.ifname, &dev->link, err);

	for (int i = 0; ret == 0 && !dev->link.up && i < NIC_CARRIER_TRIES; i++) {
		nanosleep(&pause, NULL);
		ret = ep_netlink_link(dev->spec.ifname, &dev->link, err);
	}
	if (ret == 0 && !dev->link.up)
		return ep_err_set(err, -EIO,
			"--dev %s: the link did not come up again within 10 s after its number of "
			"queues was changed",
			dev->name);
	return ret;
}

int
dev_nic_recover(struct ep_dev *dev, struct ep_err *err)
{
	const struct ep_nicset_cfg cfg = nic_cfg(dev);
	const int ret = ep_nicset_recover(&cfg, err);

	if (ret > 0)
		DEV_LOG(NOTICE, "%s: put back %d settings that a crashed everyport left", dev->name,
			ret);
	return ret > 0 ? nic_link_wait(dev, err) : ret;
}

int
dev_nic_open(struct ep_dev *dev, const struct ep_dev_cfg *cfg, struct ep_err *err)
{
	const struct ep_nicset_cfg nic = nic_cfg(dev);
	struct ep_nicset_wish wish = {
		.queue_count = cfg->range_queues,
		.initiator = cfg->initiator,
		.busy_poll = cfg->busy_poll_pkts > 0,
	};
	struct ep_plan_masks *masks = NULL;
	int ret;

	nic_families(dev, &wish);
	if (cfg->range_queues > 0 && cfg->range != NULL) {
		masks = malloc(sizeof(*masks));
		if (masks == NULL)
			return ep_err_set(err, -ENOMEM, "--dev %s: no memory", dev->name);
		if (ep_plan_masks_make(cfg->range, masks, NULL) == 0)
			wish.masks = masks;
	}
	ret = ep_nicset_open(&nic, &wish, &dev->nicset, &dev->steering, err);
	free(masks);
	if (ret == 0 && dev->steering.way == EP_NICSET_CHANNELS)
		ret = nic_link_wait(dev, err);
	return ret;
}

/* The number of queues cannot go down while one of those above is occupied, and it still is for a moment. */
void
dev_nic_close(struct ep_dev *dev)
{
	struct ep_err err = {0};

	if (dev->nicset == NULL)
		return;
	for (uint16_t q = 0; q < dev->queue_pairs && dev->steering.way == EP_NICSET_CHANNELS; q++)
		dev_xsk_wait(dev->link.ifindex, q, NIC_FREE_NS);
	if (ep_nicset_close(dev->nicset, &err) < 0)
		DEV_LOG(ERR, "%s", err.text);
	dev->nicset = NULL;
}
