#pragma once

/**
 * @file
 * Probes of the bench's trial that arrive on a veth interface faster than a program on AF_XDP can answer them, but never more than it
 * has room for: a process of its own lets the kernel itself send them from the interface's peer.
 *
 * They come in pairs of sweeps, each flow's next probe once a sweep: first for everyport, then the same frames once more, with another source
 * MAC address (xdp_feed_is_second()), for whoever is compared with it. So neither misses a probe.
 */

#include <ep_base.h>

#include <stdbool.h>
#include <stdint.h>

/** Opaque. */
struct xdp_feed;

/** Frames that may be under way. The receiver has 2,048 descriptors. */
#define XDP_FEED_WINDOW 1024

struct xdp_feed_cfg {
	const char *netns;     /**< Name of the network namespace, as ip-netns(8) has it, ... */
	const char *interface; /**< ... and the interface there that sends. */
	uint16_t cpu;          /**< Which CPU sends. */
	uint32_t pairs;        /**< Pairs of sweeps in all. */
};

/**
 * Prepare all frames and begin, in a process of its own that ends with this one. Call it before threads are there. Nothing leaves before
 * xdp_feed_taken().
 * @return 0, or -ENOENT (no such namespace), -ENODEV (no such interface in it), -ENOMEM or -errno of the kernel, with a sentence.
 */
int xdp_feed_start(const struct xdp_feed_cfg *cfg, struct xdp_feed **out, struct ep_err *err);

/** End it. Accepts NULL. */
void xdp_feed_stop(struct xdp_feed *f);

/** Tell how many frames the receiver has taken so far. One thread's. */
void xdp_feed_taken(struct xdp_feed *f, uint32_t count);

/** Frames in all. */
uint32_t xdp_feed_count(const struct xdp_feed *f);

/** Whether a frame is of the second sweep of a pair. */
static inline bool
xdp_feed_is_second(const uint8_t *frame)
{
	return (frame[11] & 0x80) != 0;
}
