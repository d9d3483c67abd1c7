#pragma once

/* Private to lib/dev: the device and the steps that its files share. */

#include "ep_dev.h"

#include <ep_netlink.h>
#include <ep_nicset.h>

#include <rte_log.h>

#include <stddef.h>

#define DEV_QUEUES_MAX 64
#define DEV_GROUPS_MAX 16 /* Of multicast. */
/* Sockets of one kind in this process: two devices, and room for what a failed open leaves. */
#define DEV_SOCKETS_MAX (4 * DEV_QUEUES_MAX)

extern int ep_dev_logtype;
#define RTE_LOGTYPE_EP_DEV ep_dev_logtype
#define DEV_LOG(level, fmt, ...) RTE_LOG(level, EP_DEV, fmt "\n", ##__VA_ARGS__)

struct bpf_object;
struct rte_flow;

/* Sockets that a DPDK driver opened for itself. */
struct dev_sockets {
	uint32_t count;
	int fd[DEV_SOCKETS_MAX];
	uint64_t cookie[DEV_SOCKETS_MAX]; /* Tells a socket from a later one with its number. */
};

/* Our filter on a kernel interface. */
struct dev_filter {
	int cfg_fd;                /* Map ep_cfg, -1 when there is none. */
	int sockets_fd;            /* XDP: map xsks_map, the socket of each queue, else -1. */
	int stray_fd;              /* XDP: map ep_stray, else -1. */
	int object_fd;             /* XDP: memory file with the object that DPDK loads, else -1. */
	struct bpf_object *object; /* AF_PACKET: the loaded programs. */
	bool xdp;                  /* XDP program is or may be attached. */
	bool tc;                   /* tc filter is attached. */
};

struct ep_dev {
	struct ep_dev_spec spec;
	char name[300]; /* As the user would write it. */
	char mode[96];  /* PCI only: how packets get in and out. */
	uint16_t queue_pairs;
	uint16_t rx_descs; /* A queue, as the driver adjusted them. */
	uint16_t tx_descs;

	struct ep_netlink_link link; /* Kernel interface only; ifindex 0 otherwise. */
	int lock_fd;                 /* -1 when not held. */
	struct dev_filter filter;
	struct dev_sockets sockets;
	struct ep_dev *more[DEV_QUEUES_MAX]; /* AF_XDP: the ports of queues 1, 2, ...; owned. */
	uint16_t more_count;
	struct ep_nicset *nicset;         /* What of the interface is set for us; NULL: nothing. */
	struct ep_nicset_chosen steering; /* How the range comes to our queues. */
	uint16_t busy_poll_pkts;
	char mode_why[256]; /* Why the mode is not a better one; "" where it is the best. */

	char vdev[64];   /* DPDK's name of the device on its bus; "" while it does not exist. */
	const char *bus; /* "vdev" or "pci". */
	uint16_t port_id;
	bool started;
	bool has_node; /* Packet buffers and rings are wanted on `node`. */
	int16_t node;
	bool checksum_offload;
	bool isolated;          /* Receives only what its rules take. */
	struct rte_flow **flow; /* [flow_count] rules in place; owned. */
	uint32_t flow_count;
	struct rte_mempool *pool[DEV_QUEUES_MAX];
	struct rte_mempool *side_pool; /* NULL: none. */
	struct rte_ring
		*ring[DEV_QUEUES_MAX + 1]; /* In-memory pair: those to be freed with this end. */
	uint32_t ring_count;
	uint8_t pair_end;

	uint64_t packet_drops;    /* AF_PACKET: sum of what PACKET_STATISTICS reported. */
	struct ep_dev_stats base; /* Counters when the device was handed out. */
};

/* What dev_port_open() needs beside the device. */
struct dev_port_cfg {
	uint32_t frame_bytes; /* Largest frame with FCS ... */
	uint16_t tag_bytes;   /* ... and the tag of a VLAN in it, which no MTU counts. */
	uint32_t pool_mbufs;  /* A queue. */
	uint32_t side_mbufs;  /* Of the side pool; 0: none. */
	uint32_t buf_bytes;   /* Room for a frame in a packet buffer, without the headroom. */
	uint16_t mtu_bytes;   /* MTU that the driver is told; 0: its own. */
	bool offload_checksum;
	bool pool_whole;         /* A pool must be one piece of memory. */
	uint16_t busy_poll_pkts; /* AF_XDP: budget of a busy poll; 0: none. */
	const char *xdp_object;  /* AF_XDP: path of the filter's object; borrowed. */
};

/* A driver's request to attach the program of a device that is being opened. */
struct dev_attach {
	int ifindex;
	uint32_t flags;  /* XDP_FLAGS_* in place of the driver's. */
	bool asked;      /* The driver has asked. */
	int ret;         /* What came of it: 0 or -errno ... */
	char words[160]; /* ... and what the interface's driver said; "" where it said nothing. */
};

/* dev.c: an empty device; NULL without memory. */
struct ep_dev *dev_alloc(const struct ep_dev_cfg *cfg, const char *name);
/* stats.c: forget what was counted so far. */
void dev_stats_start(struct ep_dev *dev);
/* Common bounds of a configuration. */
int dev_cfg_check(const struct ep_dev_cfg *cfg, const char *name, struct ep_err *err);

/* port.c: DPDK's side. */
/* Make the vdev @p name. */
int dev_hotplug(struct ep_dev *dev, const char *name, const char *args);
/* Make a vdev of a driver under the next free name. */
int dev_vdev_add(struct ep_dev *dev, const char *driver, const char *args, struct ep_err *err);
/* MTU that carries the largest frame, where that is more than the usual one; else 0. */
uint16_t dev_port_mtu(const struct dev_port_cfg *cfg);
int dev_port_open(struct ep_dev *dev, const struct dev_port_cfg *cfg, struct ep_err *err);
/* Throw away what the queues hold; returns how much, and adds it up by queue unless @p queue is NULL. */
uint32_t dev_port_drain(const struct ep_dev *dev, uint64_t *queue);
void dev_port_close(struct ep_dev *dev);

/* rss.c: our own key, and queues that take turns, in the sizes of the device. */
int dev_rss_own(const struct ep_dev *dev, uint16_t first_queue, uint16_t queue_count,
	struct ep_plan_rss *rss, struct ep_err *err);

/* kernel.c: devices that are a kernel interface. */
int dev_kernel_open(struct ep_dev *dev, const struct ep_dev_cfg *cfg, struct ep_err *err);
/* What went wrong inside, without the device's name that the sentence around it has already. */
const char *dev_cause_text(const struct ep_dev *dev, const struct ep_err *cause);

/* xdp_open.c: the queues of an interface by AF_XDP. */
int dev_xdp_open(struct ep_dev *dev, const struct ep_dev_cfg *cfg, struct ep_err *err);
/* The ports of all queues but the first; that goes with the device. */
void dev_xdp_ports_close(struct ep_dev *dev);

/* nic.c: settings of the interface. */
int dev_nic_recover(struct ep_dev *dev, struct ep_err *err);
int dev_nic_open(struct ep_dev *dev, const struct ep_dev_cfg *cfg, struct ep_err *err);
/* Behind the ports. */
void dev_nic_close(struct ep_dev *dev);

/* attach.c: between these two, the driver's program is attached to the interface as @p attach says. */
void dev_attach_begin(struct dev_attach *attach);
void dev_attach_end(void);

/* vdev.c */
int dev_vdev_open(struct ep_dev *dev, const struct ep_dev_cfg *cfg, struct ep_err *err);

/* pci.c */
int dev_pci_open(struct ep_dev *dev, const struct ep_dev_cfg *cfg, struct ep_err *err);
/* Give back what was named to ep_dev_eal_init() and not opened. */
void dev_pci_detach_rest(void);
uint64_t dev_pci_speed_bps(const struct ep_dev *dev);

/* lock.c: descriptor of the lock, or -errno (-EBUSY: taken). */
int dev_lock_take(int ifindex);

/* caps.c: whether this process may do what a kernel interface needs. */
bool dev_caps_ok(void);

/* sockets.c */
void dev_sockets_scan(int domain, struct dev_sockets *sockets);
/* Leave only those that @p before does not have. */
void dev_sockets_subtract(struct dev_sockets *sockets, const struct dev_sockets *before);
/* Close those that the driver forgot. */
void dev_sockets_close(const struct dev_sockets *sockets);
uint64_t dev_sockets_xdp_missed(const struct dev_sockets *sockets);
uint64_t dev_sockets_packet_drops(const struct dev_sockets *sockets);
bool dev_sockets_zero_copy(const struct dev_sockets *sockets);
bool dev_sockets_busy_poll(const struct dev_sockets *sockets);

/* xsk.c: bind a socket of our own to a queue and close it again; 0 or what the kernel answered. */
int dev_xsk_try(int ifindex, uint16_t queue, uint16_t bind_flags);
/* Ask for zero copy until the queue is no longer occupied; as dev_xsk_try(), -EBUSY when that took longer than @p wait_ns. */
int dev_xsk_wait(int ifindex, uint16_t queue, uint64_t wait_ns);

/* Whether a socket may poll its queue by itself (SO_PREFER_BUSY_POLL); 0 or -errno. */
int dev_xsk_busy_poll_try(uint16_t budget_pkts);

/* prog.c: name of a BPF program by id into 16 bytes; 0 or -errno. */
int dev_prog_name(uint32_t prog_id, char *name);
/* Descriptor of a map that a program uses, or -errno. */
int dev_prog_map(uint32_t prog_id, const char *map_name);

/* xdp.c */
int dev_xdp_clean(int ifindex);
int dev_xdp_check_free(const struct ep_dev *dev, struct ep_err *err);
/* Path of the object for DPDK's driver. */
int dev_xdp_object(struct dev_filter *filter, char *path, size_t len);
int dev_xdp_find(struct ep_dev *dev, struct ep_err *err);
/* The socket that gets what arrives on a queue. */
int dev_xdp_socket_put(const struct ep_dev *dev, uint16_t queue, int fd);
/* What the filter wanted and found no socket for, since it was attached [packets]. */
uint64_t dev_xdp_stray(const struct dev_filter *filter);
bool dev_xdp_zero_copy(const struct ep_dev *dev);
const char *dev_xdp_mode(const struct ep_dev *dev);

/* tc.c */
void dev_tc_clean(int ifindex);
int dev_tc_attach(int ifindex, int prog_fd);

/* filter.c */
int dev_filter_load(struct ep_dev *dev, struct ep_err *err);
void dev_filter_close(struct ep_dev *dev);
int dev_filter_write(const struct dev_filter *filter, const struct ep_dev_filter *wanted);
