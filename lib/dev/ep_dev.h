#pragma once

/**
 * @file
 * Devices that the data path sends and receives on: DPDK ports made from what the user named with --dev, the filter that keeps
 * the kernel's traffic with the kernel, and their counters. Control path only; one thread. Logs as ep.dev.
 *
 * It does not touch packets: see ep_engine.h.
 */

#include <ep_base.h>
#include <ep_nic.h>
#include <ep_plan.h>
#include <ep_range.h>
#include <ep_wire.h>

#include <stdbool.h>
#include <stdint.h>

struct rte_mempool;
struct rte_ring;

enum ep_dev_kind {
	EP_DEV_MEMORY,    /**< One end of the in-memory pair (net_ring). */
	EP_DEV_AF_XDP,    /**< Kernel interface by AF_XDP with our filter. */
	EP_DEV_AF_PACKET, /**< Kernel interface by AF_PACKET. */
	EP_DEV_VDEV, /**< A DPDK virtual device by name and arguments, "net_memif0,role=server". */
	EP_DEV_PCI,  /**< A NIC on a driver of DPDK's own, by its PCI address. */
};

/** A parsed --dev. */
struct ep_dev_spec {
	enum ep_dev_kind kind;
	char ifname[16]; /**< Kernel interface; "" for the others. */
	char vdev[256];  /**< VDEV only: name and arguments. */
	char pci[20];    /**< PCI only: "0000:01:00.0", lower case, always with its domain. */
};

/**
 * Tell a --dev by its shape (design section 6). Does not touch the device.
 * @return 0, or -EINVAL (empty, too long, not quite a PCI address) with a sentence.
 */
int ep_dev_spec_parse(const char *text, struct ep_dev_spec *spec, struct ep_err *err);

/** Whether the kernel owns the device, and so answers ARP, NDP and ping on it and has its addresses and TCP; false for VDEV, PCI and
 *  in memory. */
bool ep_dev_spec_is_kernel(const struct ep_dev_spec *spec);

/**
 * Check that DPDK can be given a PCI device as it is bound now: it exists; its driver is vfio-pci, uio_pci_generic or igb_uio, or one
 * that shares its NIC (mlx4_core, mlx5_core, mana); its group of the IOMMU is whole and may be opened. Touches nothing: of the
 * group's file it finds out whether it opens.
 *
 * @param root
 *   Before "/sys" and "/dev"; "" is this host.
 * @param ssh_ifname
 *   Interface that carries the ssh session this runs in, so that nobody is told to take it away; NULL: none, or not known.
 * @return
 *   0, or -ENODEV (there is no such device), -ENXIO (bound to a driver of the kernel, or to none), -EBUSY (another program has its
 *   group), -EPERM (the group may not be opened by this user, or is not whole), -ENOENT (there is no group, or vfio is not
 *   loaded), each with a sentence that has the command that mends it.
 */
int ep_dev_pci_check(const char *root, const struct ep_dev_spec *spec, const char *ssh_ifname,
	struct ep_err *err);

/** How DPDK's environment is started. */
struct ep_dev_eal_cfg {
	uint32_t memory_mib;   /**< Memory for packet buffers and queues [MiB]. */
	uint32_t worker_count; /**< Worker lcores beside the main one. */
	const uint16_t
		*cores; /**< [worker_count] CPU of each; NULL: they float over all allowed. */
	const char *extra_args;        /**< --eal, split at white space; NULL for none. */
	bool verbose;                  /**< Let EAL log at INFO. */
	const struct ep_dev_spec *dev; /**< [dev_count] Devices that will be opened. Borrowed. */
	uint32_t dev_count;
	const char *ssh_ifname; /**< As for ep_dev_pci_check(). */
};

/**
 * Start DPDK once a process: without huge pages (--no-huge --no-shconf), or with them (--in-memory) where root has enough
 * free 2 MiB pages; no telemetry; a private runtime directory where XDG_RUNTIME_DIR and /var/run are not writable.
 * Memory or lcore options in extra_args replace ours. EAL logs to stderr at WARNING and above only; its usage text, which
 * it writes to stdout, is suppressed.
 *
 * Of PCI it sees the devices among cfg->dev only, so that it takes no other NIC; without one it does not look at PCI at all. With one,
 * huge pages are needed unless extra_args decide on memory, and addresses of the bus are virtual or physical as the device needs it.
 *
 * @return
 *   0, or what ep_dev_pci_check() returns for a PCI device, -ENOMEM also for too few huge pages for one, -EINVAL (a core that does not exist or is not allowed, too many workers, arguments that EAL refuses or that would
 *   end the program, as -h), -ENOMEM, -EALREADY (started before), -E2BIG (over 128 arguments) or -errno of EAL, with a
 *   sentence.
 */
int ep_dev_eal_init(const struct ep_dev_eal_cfg *cfg, struct ep_err *err);
/** End DPDK, after a successful start and with all devices closed. */
void ep_dev_eal_fini(void);
/** Version text of DPDK ("DPDK 22.11.11"). */
const char *ep_dev_dpdk_version(void);

/**
 * What a device is opened with.
 *
 * queue_pairs 0 is one, and for AF_XDP all of the interface, or range_queues: each must be covered, so no other number is accepted
 * there. A VDEV or PCI device with fewer gets what it has; so are descriptors cut to the driver's limits.
 *
 * pool_mbufs 0 is 1024 + 4 rings, for AF_XDP 4096 more; for AF_XDP, at least 4096 + 2 rings are taken. A packet buffer has
 * about 320 B more than the largest frame; at least 2.4 KiB for AF_XDP and VDEV; for AF_PACKET and PCI the frame's part is a power of
 * two from 2 KiB (16 KiB at an MTU of 9000).
 */
struct ep_dev_cfg {
	struct ep_dev_spec spec;
	uint16_t queue_pairs;     /**< Wanted, at most 64; see above. */
	uint16_t ring_descs;      /**< Descriptors a queue, 64 to 4096; power of two. */
	uint32_t mtu_frame_bytes; /**< Largest frame with FCS that will be sent or received [B]. */
	uint16_t
		tag_bytes; /**< Of these, the tag of a VLAN, which no MTU counts [B]. PCI and VDEV. */
	uint32_t pool_mbufs;   /**< Packet buffers a queue; see above. */
	uint32_t extra_mbufs;  /**< More of them, for who keeps received frames for a while. */
	uint32_t side_mbufs;   /**< VDEV, PCI: packet buffers of ep_dev_side_pool(); 0: none. */
	bool offload_checksum; /**< Ask for IPv4 and UDP checksum offload. */
	bool has_node;         /**< `node` is meant. */
	int16_t node; /**< NUMA node of packet buffers and rings; where it has no memory, any. Else the driver's choice. */
	/**
	 * AF_XDP only: keep the range on so many queues, the lowest, by ntuple rules or else by giving the interface this number of
	 * queues (which takes the link down for a moment on many NICs); put back by ep_dev_close(). 0: a socket on each queue.
	 */
	uint16_t range_queues;
	const struct ep_range *
		range; /**< For range_queues: what the rules take; NULL: no rules. Borrowed for the call. */
	bool initiator; /**< For range_queues: the range is in the source port of what arrives. */
	/** AF_XDP only: packets that a poll of an empty queue may take from the NIC itself, at most 65535; 0: interrupts do it. */
	uint16_t busy_poll_pkts;
};

/** An open device. Opaque. */
struct ep_dev;

/**
 * Open and start a device. For a kernel interface: takes a lock so that a second everyport on it is refused, removes what a
 * crashed everyport left (our XDP program or tc filter, told by name), attaches the filter unarmed: everything goes to the
 * kernel until ep_dev_arm(). A queue that an AF_XDP socket occupied until a moment ago is waited for, up to 2 s. A PCI device receives
 * what is for its own address and broadcast, not promiscuously; its link need not be up yet (ep_dev_link_up()).
 *
 * @return
 *   0, or what ep_dev_pci_check() returns, -ENODEV (no such interface, or DPDK's driver refuses the device), -EPERM (not root), -EBUSY (another
 *   everyport, a foreign XDP program, a foreign AF_XDP socket on one of the queues, or a vdev in use), -EINVAL (loopback, down, frame above the
 *   MTU, number of queues or descriptors), -ENOTSUP (AF_XDP not to be had: the sentence names af_packet:; no checksum offload; range_queues or
 *   busy_poll_pkts not to be had; DPDK has no driver for the PCI device), -ENOMEM, or -errno of the kernel, each with a sentence.
 */
int ep_dev_open(const struct ep_dev_cfg *cfg, struct ep_dev **out, struct ep_err *err);

/**
 * Also receive multicast of both families' neighbour discovery on a device whose kernel does not see to it: all groups, or, where the
 * driver cannot, those of @p mac alone. Nothing to do for a kernel's interface, in memory or VDEV.
 *
 * @param mac
 *   [count] Groups that are needed. Borrowed for the call.
 * @return
 *   0, or -ENOTSUP (the driver can do neither) or -errno of the driver, with a sentence.
 */
int ep_dev_multicast(
	struct ep_dev *dev, const uint8_t (*mac)[6], uint32_t count, struct ep_err *err);

/** As ep_dev_multicast(), with the groups that hosts with these addresses listen to; nothing to do where none is of IPv6.
 *  @param ip [count] borrowed for the call. */
int ep_dev_hear_neighbours(
	struct ep_dev *dev, const struct ep_wire_ip *ip, uint32_t count, struct ep_err *err);

/** Stop, remove the filter, close, detach from DPDK, free the pools: nobody uses the device or its packet buffers any more, nor, for the
 *  in-memory pair, the other end. Accepts NULL. */
void ep_dev_close(struct ep_dev *dev);

/** Rings between a path model and the ends of the in-memory pair: one producer and one consumer each. Borrowed; they go with
 *  the ends. */
struct ep_dev_wire {
	struct rte_ring *from[2]; /**< [end] what that end sent. */
	struct rte_ring *to[2];   /**< [end] what that end will receive. */
};

/**
 * Open the in-memory pair: two net_ring ports joined back to back, or, with @p wire not NULL, through four rings whose middle
 * the caller serves (from[0] -> to[1], from[1] -> to[0]). A ring holds exactly ring_descs packets.
 * @return
 *   0, or -EINVAL (descriptors; over 16 queue pairs, over one with a wire), -ENOTSUP (checksum offload) or -ENOMEM, with a
 *   sentence.
 */
int ep_dev_pair_open(const struct ep_dev_cfg *cfg, struct ep_dev *out[2], struct ep_dev_wire *wire,
	struct ep_err *err);

/** What a device is. Modes are "native XDP, zero copy", "native XDP, copy", "generic XDP", "copy of every packet (AF_PACKET)",
 *  "in memory", "DPDK virtual device", and for PCI "DPDK driver, vfio-pci", "DPDK driver, vfio-pci without an IOMMU" or the
 *  like with the driver that is bound. */
struct ep_dev_info {
	char name[64];   /**< As the user would write it. */
	char driver[32]; /**< "net_af_xdp". */
	char mode[96];   /**< How packets get in and out; see above. */
	char mode_why
		[256]; /**< AF_XDP: why the mode is not a better one, in the driver's words; "" where it is the best. */
	char steering[96]; /**< AF_XDP: how the range comes to our queues; else "". */
	char steering_why
		[256]; /**< Why not in a better way, in the driver's words; "" where it is the best. */
	uint16_t busy_poll_pkts; /**< Budget of a busy poll; 0: off. */
	uint16_t port_id;        /**< DPDK port; of the first queue, see ep_dev_queue(). */
	uint16_t queue_pairs;
	int socket_id;
	uint8_t mac[6];
	uint32_t mtu_bytes; /**< Largest IP packet that it was set up for [B]; 0: unknown. */
	uint64_t speed_bps; /**< 0: unknown; for PCI as the link is now. */
	bool checksum_offload;
	bool kernel;     /**< A kernel interface: addresses and routes come from netlink. */
	bool in_memory;  /**< One end of the in-memory pair. */
	bool is_virtual; /**< A DPDK virtual device of the user's. */
	int ifindex;     /**< 0 when not. */
	/**
	 * What all its receive rings hold, where nobody counts what they drop when they are full; 0 where that is imissed, or
	 * where a full ring holds the sender back and drops nothing [packets].
	 */
	uint32_t uncounted_ring_pkts;
};
void ep_dev_info(const struct ep_dev *dev, struct ep_dev_info *info);

/**
 * MAC of a host of ours on a device that no kernel owns: the device's; for net_tap, whose MAC is that of the kernel's end, one
 * beside it, since two hosts cannot have one.
 */
void ep_dev_host_mac(const struct ep_dev *dev, uint8_t mac[6]);

/** Whether the link is up: for a virtual device, whether its far end is there. A kernel interface that is down was refused at ep_dev_open().
 *  Does not block. */
bool ep_dev_link_up(const struct ep_dev *dev);

/** A queue as DPDK's burst functions name it. A device may be several ports: AF_XDP has one a queue. */
struct ep_dev_queue {
	uint16_t port_id;
	uint16_t queue_id;
};
/** The queue number @p queue of a device, below its queue_pairs. */
struct ep_dev_queue ep_dev_queue(const struct ep_dev *dev, uint16_t queue);

/** Packet buffers for sending on a queue. Borrowed. */
struct rte_mempool *ep_dev_pool(const struct ep_dev *dev, uint16_t queue);

/** Packet buffers for frames that no worker makes, so that whoever does cannot use up theirs; NULL: none were asked for. Borrowed. */
struct rte_mempool *ep_dev_side_pool(const struct ep_dev *dev);

/** Which packets the filter takes from the kernel. */
struct ep_dev_filter {
	bool initiator; /**< true: UDP from peer with a source port of the range; false: UDP to a port of the range. */
	const struct ep_range *range; /**< Borrowed for the call. */
	struct ep_wire_ip local;      /**< Destination address of what is taken. */
	struct ep_wire_ip peer;       /**< initiator: source address. */
	bool any_local; /**< Take any destination address, IPv4 and IPv6, whatever local is. */
};

/** Let the filter take packets from now on, instead of those it took before (nothing to do for devices the kernel does not
 *  share): unfragmented UDP without a VLAN tag, IPv4 options allowed, IPv6 without extension headers. @return 0 or -errno. */
int ep_dev_arm(struct ep_dev *dev, const struct ep_dev_filter *filter, struct ep_err *err);
/** Leave everything to the kernel again. */
void ep_dev_disarm(struct ep_dev *dev);

/**
 * Read how the device spreads what it receives.
 * @return 0, or -ENOTSUP (no RSS on UDP ports, or a key or table of a size that ep_plan does not take) or -errno of the driver, with a sentence.
 */
int ep_dev_rss_read(const struct ep_dev *dev, struct ep_plan_rss *rss, struct ep_err *err);
/** Set it, for UDP of both families. @return as ep_dev_rss_read(), or -EINVAL (key or table not of the device's size). */
int ep_dev_rss_write(struct ep_dev *dev, const struct ep_plan_rss *rss, struct ep_err *err);

/** What is to reach which queues. */
struct ep_dev_steer_cfg {
	const struct ep_plan_masks
		*masks; /**< Of the range; NULL: too many rules. Borrowed for the call. */
	const struct ep_plan_rss *
		rss; /**< Key and table of the device's sizes; NULL: our own key. Borrowed for the call. */
	bool initiator; /**< The range is in the source port of what arrives; false: in the destination port. */
	bool ipv4, ipv6;
	uint16_t vlan_id; /**< Tag of what arrives; 0: untagged. */
	uint16_t
		first_queue; /**< Lowest of our queues, which go up to the last; those below get the rest. */
};

/**
 * Get the range to our queues in the best way that the device accepts (see ep_plan_steer_choose): the rules are validated and made,
 * or RSS is set. Replaces what an earlier call set up. For a device of DPDK's own; nobody may
 * send or receive on it meanwhile: the port is stopped where isolated mode is tried.
 *
 * @param[out] chosen
 *   Which way, and why no better one. Filled on success only.
 * @return
 *   0, -ENOTSUP (the kernel's interface, or in memory), -EINVAL (no family, a queue or VLAN that cannot be) or -EIO (the port does
 *   not start again after isolated mode was tried), with a sentence.
 */
int ep_dev_steer(struct ep_dev *dev, const struct ep_dev_steer_cfg *cfg,
	struct ep_plan_steer *chosen, struct ep_err *err);
/** Remove the rules. RSS stays as it is. */
void ep_dev_unsteer(struct ep_dev *dev);

/** Counters since open [packets]. */
struct ep_dev_stats {
	uint64_t opackets, oerrors, ipackets, imissed, ierrors, rx_nombuf;
};

/**
 * Read the counters: rte_eth_stats, and as imissed what the kernel dropped on the way to us: for AF_XDP rx_dropped and
 * rx_ring_full of the sockets' XDP_STATISTICS (what rx_fill_ring_empty_descs stands for is in rx_dropped), for AF_PACKET the
 * drops of their PACKET_STATISTICS. Only packets that the filter takes are counted. oerrors are packets that the driver took
 * and did not send; AF_XDP's has none.
 */
void ep_dev_stats(struct ep_dev *dev, struct ep_dev_stats *stats);

/**
 * Read all counters by name that the device has: DPDK's extended statistics; for a kernel interface the driver's own (ethtool -S) and
 * those of the kernel. A real NIC takes up to some milliseconds, so this is for before and after a trial. Control path.
 *
 * @param[out] sample
 *   Emptied first. On failure its `known` is false.
 * @return
 *   0, -EAGAIN (their number went on changing), -ENOMEM, -E2BIG (over EP_NIC_COUNTERS_MAX) or -errno of driver or kernel.
 */
int ep_dev_xstats(const struct ep_dev *dev, struct ep_nic_sample *sample);

/**
 * Read the counters while no worker receives, between two trials. A NIC counts what arrives, other devices what was taken from them: what waits in a NIC's
 * rings is thrown away until counters and rings agree, so that others who talk on the link do not make one trial's account of the other's frames. As ep_dev_stats()
 * but for PCI.
 *
 * @param[in,out] queue
 *   [queue pairs] What was thrown away is added to its queue; NULL: it is not asked for [packets].
 * @return
 *   What was thrown away since the last worker received; it is in ipackets [packets].
 */
uint32_t ep_dev_stats_settled(struct ep_dev *dev, struct ep_dev_stats *stats, uint64_t *queue);
