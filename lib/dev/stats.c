/* Counters of a device, counted from the moment it was handed out. */

#include "dev_priv.h"

#include <rte_ethdev.h>

#define SETTLE_ROUNDS 16 /* A flood of others has no end. */

/* The AF_XDP driver's own imissed is a part of what its sockets report, so it is not added. */
static uint64_t
stats_imissed(struct ep_dev *dev, const struct rte_eth_stats *st)
{
	switch (dev->spec.kind) {
	case EP_DEV_AF_XDP:
		return dev_sockets_xdp_missed(&dev->sockets) + dev_xdp_stray(&dev->filter);
	case EP_DEV_AF_PACKET:
		dev->packet_drops += dev_sockets_packet_drops(&dev->sockets);
		return st->imissed + dev->packet_drops;
	case EP_DEV_MEMORY:
	case EP_DEV_VDEV:
	case EP_DEV_PCI:
		break;
	}
	return st->imissed;
}

/* The AF_XDP driver counts what a burst left over, which the caller still has and may send again. */
static uint64_t
stats_oerrors(const struct ep_dev *dev, const struct rte_eth_stats *st)
{
	return dev->spec.kind == EP_DEV_AF_XDP ? 0 : st->oerrors;
}

static void
stats_port_read(struct ep_dev *dev, struct ep_dev_stats *stats)
{
	struct rte_eth_stats st = {0};

	rte_eth_stats_get(dev->port_id, &st);
	*stats = (struct ep_dev_stats){
		.opackets = st.opackets,
		.oerrors = stats_oerrors(dev, &st),
		.ipackets = st.ipackets,
		.imissed = stats_imissed(dev, &st),
		.ierrors = st.ierrors,
		.rx_nombuf = st.rx_nombuf,
	};
}

static void
stats_read(struct ep_dev *dev, struct ep_dev_stats *stats)
{
	stats_port_read(dev, stats);
	for (uint16_t i = 0; i < dev->more_count; i++) {
		struct ep_dev_stats more;

		stats_port_read(dev->more[i], &more);
		stats->opackets += more.opackets;
		stats->oerrors += more.oerrors;
		stats->ipackets += more.ipackets;
		stats->imissed += more.imissed;
		stats->ierrors += more.ierrors;
		stats->rx_nombuf += more.rx_nombuf;
	}
}

/* A packet socket listens before its filter is in place: what it caught meanwhile is thrown away, uncounted. */
void
dev_stats_start(struct ep_dev *dev)
{
	if (dev->spec.kind == EP_DEV_AF_PACKET)
		dev_port_drain(dev, NULL);
	stats_read(dev, &dev->base);
}

void
ep_dev_stats(struct ep_dev *dev, struct ep_dev_stats *stats)
{
	const struct ep_dev_stats *base = &dev->base;

	stats_read(dev, stats);
	stats->opackets -= base->opackets;
	stats->oerrors -= base->oerrors;
	stats->ipackets -= base->ipackets;
	stats->imissed -= base->imissed;
	stats->ierrors -= base->ierrors;
	stats->rx_nombuf -= base->rx_nombuf;
}

uint32_t
ep_dev_stats_settled(struct ep_dev *dev, struct ep_dev_stats *stats, uint64_t *queue)
{
	uint32_t left = 0;

	for (int i = 0; i < SETTLE_ROUNDS; i++) {
		uint32_t more;

		ep_dev_stats(dev, stats);
		more = dev->spec.kind == EP_DEV_PCI ? dev_port_drain(dev, queue) : 0;
		left += more;
		/* Nothing had come when they were read, or nothing since. */
		if (more == 0)
			break;
	}
	return left;
}
