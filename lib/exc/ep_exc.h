#pragma once

/**
 * @file
 * The exception path of a device that no kernel owns: an interface of the kernel with the device's MAC and the user's addresses, over which
 * everything that is no probe gets from the device to the kernel and back. TCP, ARP, NDP, ICMP and ssh then work on one NIC alone, and
 * are the kernel's business. The interface is a tap (docs/architecture.md says why) that ends with the process, however that ends.
 *
 *   lent:  NIC -> workers -> rx ring -> thread -> tap      kept:  NIC -> thread -> tap
 *          NIC <- worker  <- tx ring <- thread <- tap             NIC <- thread <- tap
 *                 worker  <- done ring <- (frames to free)
 *
 * A thread of its own moves the frames, on the CPUs that the caller may use. It polls the device itself while the device is kept, and does not
 * touch it while it is lent to workers; a frame that one of them has taken is handed on before the other looks, so that none is lost or
 * moved twice. On a link whose frames are of a VLAN, the tag is taken off what the kernel is given and put on what it sends, so that its
 * interface knows nothing of it; frames of another VLAN, or of none, are not given to it. All rings are of a fixed size: what finds no room is dropped and counted. The thread sleeps when nothing comes: a frame of the
 * kernel's wakes it at once, the device is then looked at once a millisecond.
 *
 * Control path, one thread of the caller's. Times are its own. Logs as ep.exc.
 */

#include <ep_base.h>
#include <ep_dev.h>
#include <ep_wire.h>

#include <stdint.h>

struct rte_ring;

/** Most addresses, and gateways, of an interface. */
#define EP_EXC_ADDRS_MAX 4
/** Frames on their way to the kernel while the device is lent: so many packet buffers of the device may be here. */
#define EP_EXC_RX_FRAMES 4096
/** Packet buffers that the device's side pool needs: of the ring to the workers, the driver's (at most 4096) and bursts under way. */
#define EP_EXC_SIDE_MBUFS 7168

/** An address of ours with the prefix of its link. */
struct ep_exc_addr {
	struct ep_wire_ip ip;
	uint8_t prefix_bits; /**< Of the link [bits]. */
};

/** What the interface is to be. */
struct ep_exc_cfg {
	struct ep_dev *
		dev; /**< Opened with EP_EXC_RX_FRAMES extra and EP_EXC_SIDE_MBUFS side buffers. Borrowed until ep_exc_close(). */
	uint32_t addr_count;
	struct ep_exc_addr addr[EP_EXC_ADDRS_MAX];
	uint32_t gateway_count;
	struct ep_wire_ip gateway[EP_EXC_ADDRS_MAX]; /**< Each on the link of an address. */
	uint16_t vlan_id; /**< 802.1Q identifier of all frames on the link, 1 to 4094; 0: no tag. */
};

/** An exception path. Opaque. */
struct ep_exc;

/**
 * Make the interface "everyport0" (or the next free number), give it the device's MAC, MTU and the addresses, and begin to move frames; the
 * device is kept. A gateway becomes a default route of metric 32767, so that one that the host has beside it stays what it is; who is bound to
 * the interface uses ours. Returns when duplicate address detection is through, after about two seconds for IPv6.
 *
 * @param[out] out
 *   Set on success only; release with ep_exc_close() while the device is open.
 * @return
 *   0, -ENOENT (no /dev/net/tun), -EPERM (not root), -EADDRINUSE (another host on the link has an IPv6 address), -EINVAL (a VLAN above 4094, an
 *   address or gateway that the kernel refuses), -ENOMEM or -errno, each with a sentence.
 */
int ep_exc_open(const struct ep_exc_cfg *cfg, struct ep_exc **out, struct ep_err *err);

/** The interface vanishes with its addresses and routes. The device is not lent any more. Accepts NULL. */
void ep_exc_close(struct ep_exc *exc);

/** Name of the interface. Valid until close. */
const char *ep_exc_ifname(const struct ep_exc *exc);

/** Its index. */
int ep_exc_ifindex(const struct ep_exc *exc);

/** Rings between the workers and the thread: for ep_engine_side_cfg. Borrowed until close. */
struct ep_exc_rings {
	struct rte_ring *rx;   /**< Frames that are no probes. */
	struct rte_ring *tx;   /**< Frames to be sent. */
	struct rte_ring *done; /**< Frames of rx to be freed. */
};
void ep_exc_rings(const struct ep_exc *exc, struct ep_exc_rings *rings);

/** The device is the workers' from the return on, and the thread uses the rings. Does nothing where it is lent already. */
void ep_exc_lend(struct ep_exc *exc);

/** The device is the thread's again: no worker runs any more. What they left in the rings is sent and freed. Does nothing where it is kept. */
void ep_exc_keep(struct ep_exc *exc);

/**
 * From now on keep from the kernel what the filter takes: probes that come while no worker runs, and everything else to their ports,
 * which the kernel would answer with errors. The same frames as on a kernel interface (ep_dev_arm()).
 *
 * @return 0 or -ENOMEM.
 */
int ep_exc_arm(struct ep_exc *exc, const struct ep_dev_filter *filter);
/** Everything goes to the kernel again. */
void ep_exc_disarm(struct ep_exc *exc);

/** What was moved [frames]. */
struct ep_exc_count {
	uint64_t to_kernel;
	uint64_t from_kernel; /**< That the device, or the ring to the workers, took. */
	uint64_t filtered;    /**< Kept from the kernel by the filter. */
	uint64_t other_vlan;  /**< Not for the kernel: without the tag of vlan_id. */
	uint64_t
		dropped; /**< Not taken by the kernel or, when a device was kept again, by the device; in several segments. What found no room in
			       the rx ring is counted by its workers (ep_engine_count.slow_dropped). */
};
void ep_exc_count(const struct ep_exc *exc, struct ep_exc_count *count);
