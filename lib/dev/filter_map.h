#pragma once

/* What the filter programs and the control path share: names, and the one value of map ep_cfg. */

#include <linux/types.h>

#define EP_FILTER_XDP "ep_filter_xdp"
#define EP_FILTER_TC "ep_filter_tc"
#define EP_FILTER_SOCK "ep_filter_sock"
#define EP_FILTER_MAP "ep_cfg"
#define EP_FILTER_SOCKETS \
	"xsks_map" /* Socket of each queue; the name is the one that DPDK's driver looks for. */
#define EP_FILTER_STRAY "ep_stray" /* One __u64: wanted, but no socket on its queue [packets]. */
#define EP_FILTER_QUEUES 64        /* Entries of xsks_map. */

/* An address as in struct ep_wire_ip: IPv4 in the first 4 bytes, the others 0. */
struct ep_filter_ip {
	__u8 bytes_be[16];
	__u32 family; /* 4 or 6. */
};

/* Zero is unarmed: everything goes to the kernel. */
struct ep_filter_cfg {
	__u32 armed;
	__u32 initiator; /* Judge source port and source address; else the destination port. */
	__u32 any_local;
	struct ep_filter_ip local;
	struct ep_filter_ip peer;
	__u64 port[65536 / 64]; /* Bit p % 64 of word p / 64: port p is of the range. */
};
