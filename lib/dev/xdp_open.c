/*
 * AF_XDP on a kernel interface: one socket a queue, in the best mode that the interface's driver takes.
 *
 * DPDK's driver would make all sockets of a port at once, but only where the interface counts its queues as "combined" channels; gve and
 * veth count receive and transmit queues apart. So each queue is a port of its own, as long as DPDK has room for the ports.
 */

#include "dev_priv.h"

#include <rte_log.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <errno.h>
#include <linux/if_link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define XDP_HEADROOM_BYTES 256 /* The kernel keeps it free in front of each received frame. */
#define XDP_FILL_DESCS 2048    /* Depth of the fill and completion rings in DPDK's driver. */
#define XDP_BUF_BYTES 2048
#define XDP_FREE_NS (2 * EP_NS_PER_S) /* Longest wait for a queue that its last owner left. */
/* Ports of one device at most: two devices, and one spare of each, have to fit into DPDK's table. */
#define XDP_PORTS_MAX (RTE_MAX_ETHPORTS / 2 - 1)

/* A way to have the queues, in the order in which they are tried. */
struct xdp_way {
	const char *name;
	uint32_t flags; /* Of the program. */
	bool copy;      /* Ask for copies; else the kernel tries zero copy first by itself. */
};

static const struct xdp_way ways[] = {
	{"native XDP", XDP_FLAGS_DRV_MODE, false},
	{"native XDP with copies", XDP_FLAGS_DRV_MODE, true},
	{"generic XDP", XDP_FLAGS_SKB_MODE, true},
};

/* Largest room for a frame in a buffer that, with all around it, fits the page that AF_XDP allows. */
static uint32_t
xdp_buf_max_bytes(void)
{
	const uint32_t page_bytes = (uint32_t)getpagesize();
	uint32_t buf_bytes = page_bytes;

	while (rte_mempool_calc_obj_size(sizeof(struct rte_mbuf) + RTE_PKTMBUF_HEADROOM + buf_bytes,
		       0, NULL) > page_bytes)
		buf_bytes -= 64;
	return buf_bytes;
}

/* Every queue on which the range may arrive must be ours: what arrives on another would be missing. */
static int
xdp_queues(struct ep_dev *dev, uint16_t wanted, struct ep_err *err)
{
	const uint16_t have = dev->steering.queue_count;

	if (wanted != 0 && wanted != have)
		return ep_err_set(err, -EINVAL,
			"--dev %s: %u queues wanted, but the range arrives on %u and AF_XDP must "
			"cover each; set them with --queues %u, or with 'ethtool -L %s combined "
			"%u'",
			dev->name, wanted, have, wanted, dev->link.name, wanted);
	if (have > DEV_QUEUES_MAX)
		return ep_err_set(err, -EINVAL,
			"--dev %s: has %u queues, at most %u can be covered; keep the range on "
			"fewer with --queues, or set them with 'ethtool -L %s combined %u'",
			dev->name, have, DEV_QUEUES_MAX, dev->link.name, DEV_QUEUES_MAX);
	dev->queue_pairs = have;
	return 0;
}

/* DPDK's driver goes on without it where the kernel refuses; so the kernel is asked before. */
static int
xdp_busy_poll_check(const struct ep_dev_cfg *cfg, struct ep_err *err)
{
	const int ret = cfg->busy_poll_pkts > 0 ? dev_xsk_busy_poll_try(cfg->busy_poll_pkts) : 0;

	if (ret < 0)
		return ep_err_set(err, -ENOTSUP,
			"--busy-poll %u: the kernel refuses it (%s); it needs Linux 5.11 with "
			"CONFIG_NET_RX_BUSY_POLL, and CAP_NET_ADMIN",
			cfg->busy_poll_pkts, strerror(-ret));
	return 0;
}

/*
 * A queue that an everyport left a moment ago is still occupied: it is waited for. Other answers to the question are no reason to
 * give up, since DPDK's driver asks in its own way; that of the first queue says whether zero copy is to be had.
 */
static int
xdp_queues_free(const struct ep_dev *dev, int *zero_copy, struct ep_err *err)
{
	for (uint16_t q = 0; q < dev->queue_pairs; q++) {
		const int ret = dev_xsk_wait(dev->link.ifindex, q, XDP_FREE_NS);

		if (ret == -EBUSY)
			return ep_err_set(err, ret,
				"--dev %s: queue %u is occupied by an AF_XDP socket of another "
				"program; end that one, or use --dev af_packet:%s",
				dev->name, q, dev->link.name);
		if (q == 0 && zero_copy != NULL)
			*zero_copy = ret;
	}
	return 0;
}

/* One pool a queue is both the AF_XDP memory and what is sent from, so that sending copies nothing in the driver. */
static int
xdp_port_cfg(const struct ep_dev *dev, const struct ep_dev_cfg *cfg, struct dev_port_cfg *port,
	struct ep_err *err)
{
	const uint32_t buf_max_bytes = xdp_buf_max_bytes();
	const uint32_t least_mbufs = 2 * XDP_FILL_DESCS + 2u * cfg->ring_descs;

	*port = (struct dev_port_cfg){
		.frame_bytes = cfg->mtu_frame_bytes,
		.buf_bytes = RTE_MAX((uint32_t)XDP_BUF_BYTES,
			RTE_ALIGN(cfg->mtu_frame_bytes + XDP_HEADROOM_BYTES, 64)),
		.pool_mbufs = RTE_MAX(cfg->pool_mbufs, least_mbufs),
		.pool_whole = true,
		.offload_checksum = cfg->offload_checksum,
		.busy_poll_pkts = cfg->busy_poll_pkts,
	};
	if (cfg->pool_mbufs == 0)
		port->pool_mbufs = least_mbufs + 2u * cfg->ring_descs + 1024;
	if (port->buf_bytes > buf_max_bytes)
		return ep_err_set(err, -EINVAL,
			"--dev %s: frames of %u B wanted, AF_XDP carries up to %u B; use --dev "
			"af_packet:%s",
			dev->name, cfg->mtu_frame_bytes, buf_max_bytes - XDP_HEADROOM_BYTES,
			dev->link.name);
	return 0;
}

/* A reason why the mode is not a better one. */
static void why_add(struct ep_dev *dev, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void
why_add(struct ep_dev *dev, const char *fmt, ...)
{
	const size_t used = strlen(dev->mode_why);
	const size_t left = sizeof(dev->mode_why) - used;
	char text[sizeof(dev->mode_why)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(dev->mode_why + used, left, "%s%s", used > 0 ? "; " : "", text);
}

/* Log level of DPDK's driver: what it says of a way that is not the last one is said by mode_why. */
static uint32_t
driver_log_set(uint32_t level)
{
	const int type = rte_log_register("pmd.net.af_xdp"); /* finds the one that is there */
	const int before = type < 0 ? -1 : rte_log_get_level((uint32_t)type);

	if (before < 0)
		return level;
	rte_log_set_level((uint32_t)type, level);
	return (uint32_t)before;
}

/* One port of DPDK's driver: dev's queues from @p first on. */
static int
xdp_port_open(struct ep_dev *dev, uint16_t first, const struct xdp_way *way,
	const struct dev_port_cfg *port, struct ep_err *err)
{
	struct dev_sockets before;
	char args[256];
	int ret;

	snprintf(args, sizeof(args),
		"iface=%s,start_queue=%u,queue_count=%u,busy_budget=%u,xdp_prog=%s,force_copy=%d",
		dev->link.name, first, dev->queue_pairs, port->busy_poll_pkts, port->xdp_object,
		way->copy);
	dev_sockets_scan(AF_XDP, &before);
	ret = dev_vdev_add(dev, "net_af_xdp", args, err);
	if (ret == 0)
		ret = dev_port_open(dev, port, err);
	dev_sockets_scan(AF_XDP, &dev->sockets); /* on failure, too: to be closed */
	dev_sockets_subtract(&dev->sockets, &before);
	return ret;
}

/* A further queue: its port, and its socket in the map of the program that is attached. */
static int
xdp_queue_open(struct ep_dev *dev, uint16_t queue, const struct xdp_way *way,
	const struct dev_port_cfg *port, struct ep_err *err)
{
	const struct ep_dev_cfg cfg = {.spec = dev->spec, .ring_descs = dev->rx_descs};
	struct ep_dev *more = dev_alloc(&cfg, dev->name);
	int ret;

	if (more == NULL)
		return ep_err_set(err, -ENOMEM, "--dev %s: no memory", dev->name);
	more->link = dev->link;
	more->queue_pairs = 1;
	dev->more[dev->more_count++] = more;
	ret = xdp_port_open(more, queue, way, port, err);
	if (ret < 0)
		return ret;
	if (more->sockets.count != 1)
		return ep_err_set(err, -EIO, "--dev %s: queue %u: %u sockets instead of one",
			dev->name, queue, more->sockets.count);
	ret = dev_xdp_socket_put(dev, queue, more->sockets.fd[0]);
	if (ret < 0)
		return ep_err_set(err, ret, "--dev %s: queue %u: its socket in the filter: %s",
			dev->name, queue, strerror(-ret));
	return 0;
}

static int
xdp_ports_open(struct ep_dev *dev, const struct xdp_way *way, const struct dev_port_cfg *port,
	struct ep_err *err)
{
	const uint16_t queue_pairs = dev->queue_pairs;
	const bool split = queue_pairs <= XDP_PORTS_MAX;
	int ret;

	dev->filter.xdp = true;
	dev->queue_pairs = split ? 1 : queue_pairs;
	ret = xdp_port_open(dev, 0, way, port, err);
	if (ret == 0)
		ret = dev_xdp_find(dev, err);
	for (uint16_t q = 1; split && ret == 0 && q < queue_pairs; q++)
		ret = xdp_queue_open(dev, q, way, port, err);
	dev->queue_pairs = queue_pairs;
	return ret;
}

void
dev_xdp_ports_close(struct ep_dev *dev)
{
	while (dev->more_count > 0) {
		struct ep_dev *more = dev->more[--dev->more_count];

		dev_port_close(more);
		free(more);
	}
}

/* As before the way was tried. */
static void
xdp_undo(struct ep_dev *dev)
{
	const int object_fd = dev->filter.object_fd;

	dev_xdp_ports_close(dev);
	dev_port_close(dev);
	dev->filter.object_fd = -1;
	dev_filter_close(dev);
	dev->filter.object_fd = object_fd;
}

/* Whether another way may do what this one did not: it was refused by the interface. */
static bool
xdp_refused(const struct dev_attach *attach, int ret)
{
	return attach->asked && ret != -ENOMEM && attach->ret != -EBUSY && attach->ret != -EEXIST;
}

static void
xdp_refused_note(struct ep_dev *dev, const struct xdp_way *way, const struct dev_attach *attach,
	const struct ep_err *cause)
{
	if (attach->ret == 0)
		why_add(dev, "%s: %s", way->name, dev_cause_text(dev, cause));
	else if (attach->words[0] != '\0')
		why_add(dev, "%s: %s", way->name, attach->words);
	else
		why_add(dev, "%s: %s", way->name, strerror(-attach->ret));
}

/* Try one way after the other. Leaves what the last one said in @p cause. */
static int
xdp_ways_try(struct ep_dev *dev, const struct dev_port_cfg *port, struct ep_err *cause)
{
	uint32_t refused_flags = 0;
	int ret = -ENOTSUP;

	for (size_t i = 0; i < EP_ARRAY_LEN(ways); i++) {
		const bool last = i + 1 == EP_ARRAY_LEN(ways);
		struct dev_attach attach = {.ifindex = dev->link.ifindex, .flags = ways[i].flags};
		uint32_t level = RTE_LOG_CRIT;

		if (ways[i].flags == refused_flags)
			continue;
		if (!last)
			level = driver_log_set(level);
		dev_attach_begin(&attach);
		ret = xdp_ports_open(dev, &ways[i], port, cause);
		dev_attach_end();
		if (!last)
			driver_log_set(level);
		if (ret == 0 || last || !xdp_refused(&attach, ret))
			break;
		xdp_refused_note(dev, &ways[i], &attach, cause);
		if (attach.ret < 0)
			refused_flags = ways[i].flags;
		xdp_undo(dev);
		ret = xdp_queues_free(dev, NULL, cause);
		if (ret < 0)
			break;
	}
	return ret;
}

/* Where the kernel fell back to copies by itself, it does not say why; the question for the queue did. */
static void
zero_copy_note(struct ep_dev *dev, int zero_copy)
{
	if (dev->mode_why[0] != '\0' || dev_xdp_zero_copy(dev))
		return;
	if (zero_copy == -EOPNOTSUPP)
		why_add(dev, "zero copy: the driver %s has none", dev->link.driver);
	else if (zero_copy < 0)
		why_add(dev, "zero copy: %s", strerror(-zero_copy));
	else
		why_add(dev, "zero copy: the driver %s did not take DPDK's buffers",
			dev->link.driver);
}

static int
xdp_busy_poll_verify(struct ep_dev *dev, const struct ep_dev_cfg *cfg, struct ep_err *err)
{
	bool all = dev_sockets_busy_poll(&dev->sockets);

	if (cfg->busy_poll_pkts == 0)
		return 0;
	for (uint16_t i = 0; i < dev->more_count; i++)
		all = all && dev_sockets_busy_poll(&dev->more[i]->sockets);
	if (!all)
		return ep_err_set(err, -ENOTSUP,
			"--busy-poll %u: DPDK's driver did not get it for its sockets on %s",
			cfg->busy_poll_pkts, dev->name);
	dev->busy_poll_pkts = cfg->busy_poll_pkts;
	return 0;
}

int
dev_xdp_open(struct ep_dev *dev, const struct ep_dev_cfg *cfg, struct ep_err *err)
{
	struct ep_err cause = {0};
	struct dev_port_cfg port;
	char path[64];
	int zero_copy = 0;
	int ret = dev_xdp_check_free(dev, err);

	if (ret == 0)
		ret = xdp_busy_poll_check(cfg, err);
	if (ret == 0)
		ret = dev_nic_open(dev, cfg, err);
	if (ret == 0)
		ret = xdp_queues(dev, cfg->queue_pairs, err);
	if (ret == 0)
		ret = xdp_port_cfg(dev, cfg, &port, err);
	if (ret == 0)
		ret = xdp_queues_free(dev, &zero_copy, err);
	if (ret < 0)
		return ret;
	ret = dev_xdp_object(&dev->filter, path, sizeof(path));
	if (ret < 0)
		return ep_err_set(err, ret, "file in memory: %s", strerror(-ret));
	port.xdp_object = path;
	ret = xdp_ways_try(dev, &port, &cause);
	if (ret == -ENOMEM || ret == -EBUSY || (ret == -ENOTSUP && cfg->offload_checksum))
		return ep_err_set(
			err, ret, "--dev %s: %.400s", dev->name, dev_cause_text(dev, &cause));
	if (ret < 0)
		return ep_err_set(err, -ENOTSUP,
			"--dev %s: AF_XDP is not to be had here (%s%s%.200s); use --dev "
			"af_packet:%s",
			dev->name, dev->mode_why, dev->mode_why[0] != '\0' ? "; " : "",
			dev_cause_text(dev, &cause), dev->link.name);
	zero_copy_note(dev, zero_copy);
	return xdp_busy_poll_verify(dev, cfg, err);
}
