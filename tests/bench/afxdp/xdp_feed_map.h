#pragma once

/* What the program that feeds and the process that runs it share: names, the frames and the state. */

#include <linux/types.h>

#define XDP_FEED_PROG "xdp_feed_send"
#define XDP_FEED_FRAMES "xdp_feed_frames"
#define XDP_FEED_STATE "xdp_feed_state"
#define XDP_FEED_SLOT_BYTES 64
#define XDP_FEED_FRAME_BYTES 60

/* Of map xdp_feed_state; two writers, each of a line of its own. */
struct xdp_feed_state {
	/* The receiver's. */
	__u32 limit; /* Frames that may have left: the receiver has room for them. */
	__u32 pad[15];
	/* The program's, and before it runs its starter's. */
	__u32 next;    /* Slot of the next frame. */
	__u32 ifindex; /* Where frames leave. */
};
