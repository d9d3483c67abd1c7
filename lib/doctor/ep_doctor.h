#pragma once

/**
 * @file
 * What the facts about a host mean for everyport: findings, each with a status, one sentence and the command that mends it.
 *
 * Pure: facts come in as data (ep_hostinfo reads them from a host, a test makes them up), and nothing here touches a host, reads
 * a clock or prints. Any thread. A fact that could not be read says so itself (a `known` flag, EP_DOCTOR_UNKNOWN or an empty
 * text), and is then never judged as if it were bad.
 */

#include <ep_base.h>
#include <ep_plan.h>

#include <stdbool.h>
#include <stdint.h>

enum ep_doctor_status {
	EP_DOCTOR_OK,
	EP_DOCTOR_WARN, /**< everyport runs; the result may be worse than it could be. */
	EP_DOCTOR_STOP, /**< What was asked for cannot run. */
};

/** Yes, no, or not to be found out. */
enum ep_doctor_tri { EP_DOCTOR_UNKNOWN, EP_DOCTOR_NO, EP_DOCTOR_YES };

/* --- Facts ------------------------------------------------------------------------------------------------------------------ */

#define EP_DOCTOR_CPUS_MAX 1024
#define EP_DOCTOR_NODES_MAX 16
#define EP_DOCTOR_NICS_MAX 16
#define EP_DOCTOR_COUNTERS_MAX 8

/** A set of CPUs. */
struct ep_doctor_cpuset {
	uint64_t word[EP_DOCTOR_CPUS_MAX / 64];
};

/** Rights of the process, and what the kernel offers it. */
struct ep_doctor_rights {
	bool root;
	bool net_admin, net_raw, bpf; /**< Capabilities; bpf also by CAP_SYS_ADMIN. */
	bool locks_memory;            /**< CAP_IPC_LOCK, or no limit of locked memory. */
	uint64_t locked_bytes_max;    /**< The limit, where there is one. */
};

struct ep_doctor_kernel {
	char release[64]; /**< "" where it is not known. */
	unsigned int major, minor;
	enum ep_doctor_tri xdp_sockets; /**< AF_XDP sockets are compiled in. */
	uint16_t local_port_first,
		local_port_last; /**< net.ipv4.ip_local_port_range; 0: not known. */
	bool ports_reserved;     /**< All of the range under test is in ip_local_reserved_ports. */
	bool reserved_others; /**< That list is not empty: to set it anew would lose what is in it. */
	uint32_t
		ports_in_use; /**< UDP sockets of this host that are bound to a port of the range. */
	uint16_t port_in_use; /**< One of them. */
};

/** Huge pages of a node. */
struct ep_doctor_node {
	int id;
	uint64_t pages_2m, free_2m; /**< Of 2 MiB. */
	uint64_t pages_1g, free_1g; /**< Of 1 GiB. */
};

/** How many huge pages of 2 MiB there have to be so that enough are free. */
struct ep_doctor_huge_goal {
	int node; /**< On this node; negative: wherever. */
	uint64_t before,
		wanted; /**< Pages that there are, and that there should be, those in use included. */
};

struct ep_doctor_memory {
	bool known;
	uint64_t available_bytes;
	bool huge_known; /**< The kernel has huge pages of 2 MiB. */
	uint32_t node_count;
	struct ep_doctor_node node[EP_DOCTOR_NODES_MAX];
	uint64_t needed_mib; /**< What everyport will ask for. */
	char thp[16]; /**< Transparent huge pages: "always", "madvise", "never"; "": not known. */
	uint32_t slots, slots_filled;       /**< Memory modules; 0: not known. */
	uint32_t channels, channels_filled; /**< Memory channels; 0: not known. */

	/* What --fix did to the huge pages of 2 MiB. */
	bool fix_tried;
	struct ep_doctor_huge_goal fix; /**< What it was to reach. */
	uint64_t fix_after;             /**< What it reached, on the same node. */
	char fix_error[128];            /**< "" where the kernel took the number. */
};

struct ep_doctor_cpu {
	uint32_t count; /**< On line. */
	struct ep_doctor_cpuset online;
	struct ep_doctor_cpuset
		data;  /**< CPUs of the data path as planned; empty where workers float. */
	bool floating; /**< Workers float over all CPUs. */
	bool virtual_machine;
	enum ep_doctor_tri invariant_tsc;
	char clocksource[32];         /**< "" where it is not known. */
	enum ep_doctor_tri tsc_clock; /**< The kernel offers the counter as its clock. */
	uint32_t governor_count;      /**< CPUs with a frequency governor. */
	uint32_t slow_governor_count; /**< Of them, not "performance". */
	char slow_governor[32];       /**< One of those. */
	struct ep_doctor_cpuset isolated, nohz_full;
	enum ep_doctor_tri smt;
	/** [CPU] the lowest CPU of the same core; UINT16_MAX: not known. */
	uint16_t core_of[EP_DOCTOR_CPUS_MAX];
	uint32_t irq_count;  /**< Interrupts that fired and that the kernel serves on a data CPU. */
	uint32_t irq_number; /**< The busiest of them. */
	char irq_name[64];
};

struct ep_doctor_iommu {
	bool known;
	uint32_t group_count; /**< Without those of vfio's no-IOMMU mode. */
	bool asked_off;       /**< The kernel's command line turns it off. */
	char table
		[8]; /**< The firmware's table that tells of one, "DMAR" (Intel) or "IVRS" (AMD); "": none. */
	bool vfio_loaded;           /**< vfio-pci is loaded or built in. */
	enum ep_doctor_tri noiommu; /**< vfio's no-IOMMU mode is on; UNKNOWN: vfio is not loaded. */
	enum ep_doctor_tri noiommu_built; /**< The running kernel's vfio has that mode. */
	bool locked_down; /**< The kernel lets no program map a device's registers through /sys (lockdown). */
};

/** A counter of the kernel's driver. */
struct ep_doctor_counter {
	char name[40];
	uint64_t value;
};

/** How a device is to be used. */
enum ep_doctor_use {
	EP_DOCTOR_USE_NONE, /**< Not named by --dev. */
	EP_DOCTOR_USE_AF_XDP,
	EP_DOCTOR_USE_AF_PACKET,
	EP_DOCTOR_USE_PCI, /**< By its PCI address. */
};

/** A network device: an interface of the kernel, or a PCI device that has none. */
struct ep_doctor_nic {
	char name[16];   /**< Interface; "" where a PCI device has none. */
	char pci[16];    /**< "0000:00:05.0"; "": not on PCI. */
	char driver[32]; /**< Bound kernel driver, "vfio-pci"; "": none, or not known. */
	char former
		[32]; /**< The kernel's own driver for it, where another one is bound; "": not known. */
	enum ep_doctor_tri intx; /**< It has the legacy interrupt that uio_pci_generic is for. */
	char firmware[48];       /**< "": not told. */
	char master[16]; /**< Bridge, bond or hv_netvsc interface that it is a part of; "": none. */
	enum ep_doctor_use use;
	bool missing; /**< Named, and not there. */
	int node;     /**< NUMA node; negative: not known. */
	bool up;
	uint64_t speed_bps; /**< 0: not known. */
	uint32_t mtu_bytes; /**< 0: not known. */
	bool default_route, ssh,
		address; /**< What the kernel does with it: the default route, the ssh session that we run in, any address. */
	uint32_t queues, queues_max;         /**< Receive queues; 0: not known. */
	uint32_t ring, ring_max;             /**< Receive descriptors; 0: not known. */
	enum ep_doctor_tri udp_ports_hashed; /**< RSS of UDP over IPv4 looks at the ports. */
	bool lro;
	uint32_t xdp_prog_id; /**< 0: no XDP program attached. */
	uint32_t counter_count;
	struct ep_doctor_counter
		counter[EP_DOCTOR_COUNTERS_MAX]; /**< *_allowance_exceeded of ENA. */
};

/** What the firmware says of the machine. */
struct ep_doctor_dmi {
	char vendor[64], product[64], asset_tag[64], bios_version[64]; /**< "": not told. */
};

struct ep_doctor_conntrack {
	bool loaded;
	enum ep_doctor_tri active; /**< It is hooked into this network namespace. */
	uint64_t count, max;       /**< Entries, and room; 0: not known. */
	bool bridge;               /**< Bridged packets go through it (bridge-nf-call-iptables). */
};

/** What a busy loop on each CPU saw. */
struct ep_doctor_hiccup_cpu {
	uint16_t cpu;
	uint64_t max_gap_ns; /**< Longest time away. */
	double away_ratio;   /**< Share of the time in gaps of 10 us or more. */
};

struct ep_doctor_hiccup {
	bool measured;
	uint64_t span_ns;
	uint32_t cpu_count;
	struct ep_doctor_hiccup_cpu cpu[EP_DOCTOR_CPUS_MAX]; /**< [cpu_count] */
	double steal_ratio; /**< Share that the hypervisor took; negative: not known. */
};

/** What the tester itself can do here. */
struct ep_doctor_ceiling {
	bool wanted, measured;
	char device[64]; /**< What was looped over, in words. */
	char size[64];   /**< --size. */
	double pps;      /**< [packets/s] */
	char error[256]; /**< Why it was not measured; or why it was not stored. */
	bool stored;
	char path[256]; /**< Where. */
};

/** A program that commands of findings need and that not every Debian has. */
struct ep_doctor_tool {
	const char *name;
	const char *package;
};

#define EP_DOCTOR_TOOLS 6

/** [EP_DOCTOR_TOOLS] */
extern const struct ep_doctor_tool ep_doctor_tool[EP_DOCTOR_TOOLS];

/** Everything. Large: keep it on the heap. */
struct ep_doctor_facts {
	const char *
		program; /**< How everyport is called here, for commands; NULL: by its name. Borrowed. */
	struct ep_doctor_rights rights;
	struct ep_doctor_kernel kernel;
	struct ep_doctor_memory memory;
	struct ep_doctor_cpu cpu;
	struct ep_doctor_iommu iommu;
	struct ep_doctor_dmi dmi;
	struct ep_doctor_conntrack conntrack;
	struct ep_doctor_hiccup hiccup;
	struct ep_doctor_ceiling ceiling;
	bool tool_missing
		[EP_DOCTOR_TOOLS]; /**< Of ep_doctor_tool[]: it is not installed, and apt can install it. */
	uint32_t nic_count;
	struct ep_doctor_nic nic[EP_DOCTOR_NICS_MAX];
	char vdev[64];              /**< A DPDK virtual device that was named; "": none. */
	const struct ep_plan *plan; /**< For the devices of --dev; NULL: there is none. Borrowed. */
	const struct ep_plan_cfg
		*plan_cfg;    /**< What it was made from; NULL where plan is. Borrowed. */
	char plan_error[256]; /**< Why there is none although a device was named; "". */
	char dev_error
		[512]; /**< What keeps DPDK from a PCI device that is bound for it; "": nothing. */
	const char *ports;              /**< The range under test as text. Borrowed. */
	uint16_t port_first, port_last; /**< Its bounds. */
};

/** Whether a CPU is in a set. */
static inline bool
ep_doctor_cpuset_has(const struct ep_doctor_cpuset *set, uint32_t cpu)
{
	return cpu < EP_DOCTOR_CPUS_MAX && (set->word[cpu / 64] >> cpu % 64 & 1) != 0;
}

/** Put a CPU into a set; one beyond EP_DOCTOR_CPUS_MAX is left out. */
static inline void
ep_doctor_cpuset_add(struct ep_doctor_cpuset *set, uint32_t cpu)
{
	if (cpu < EP_DOCTOR_CPUS_MAX)
		set->word[cpu / 64] |= UINT64_C(1) << cpu % 64;
}

/** CPUs in a set. */
uint32_t ep_doctor_cpuset_count(const struct ep_doctor_cpuset *set);

/** Read the kernel's lists ("0-3,8"). @return 0, or -EINVAL with @p set empty. */
int ep_doctor_cpuset_parse(const char *text, struct ep_doctor_cpuset *set);

/** Write as the kernel does ("0-3,8"; "" for none). @return @p buf. */
const char *ep_doctor_cpuset_format(char *buf, size_t len, const struct ep_doctor_cpuset *set);

/* --- Findings --------------------------------------------------------------------------------------------------------------- */

#define EP_DOCTOR_FINDINGS_MAX 192

struct ep_doctor_finding {
	char id[20];      /**< Stable: docs/results.md lists them. */
	char subject[32]; /**< The device it is about; "": the host. */
	enum ep_doctor_status status;
	char sentence[512];
	char fix[512]; /**< A command; "": nothing to mend, or no command mends it. */
};

struct ep_doctor_report {
	uint32_t count;
	struct ep_doctor_finding finding[EP_DOCTOR_FINDINGS_MAX];
};

/**
 * Judge the facts.
 *
 * @param[out] report
 *   Filled whole: first the host, then device by device, then what was measured.
 */
void ep_doctor_judge(const struct ep_doctor_facts *facts, struct ep_doctor_report *report);

/** The worst status of all findings. */
enum ep_doctor_status ep_doctor_worst(const struct ep_doctor_report *report);

/** "OK", "warn" or "stop". */
const char *ep_doctor_status_name(enum ep_doctor_status status);

/**
 * Whether huge pages of 2 MiB are missing: on the node of a device that was named, else in all.
 *
 * @param[out] goal
 *   What is to be set; filled where it returns true.
 * @return
 *   false: enough are free, or the kernel has none.
 */
bool ep_doctor_huge_goal(const struct ep_doctor_facts *facts, struct ep_doctor_huge_goal *goal);

/* --- Drivers ---------------------------------------------------------------------------------------------------------------- */

/** What is known of a kernel driver and of DPDK's for the same NIC. Versions are major * 1000 + minor; 0: not at all. */
struct ep_doctor_driver {
	const char *kernel;     /**< Name in the kernel. */
	const char *dpdk;       /**< Name in DPDK 22.11; NULL: none. */
	unsigned int xdp_since; /**< Native XDP with redirect, which AF_XDP needs. */
	unsigned int zerocopy_since;
	uint32_t
		xdp_mtu_bytes; /**< Largest MTU for native XDP; 0: no limit below 9000 that is known [B]. */
	bool half_queues; /**< Native XDP takes as many transmit queues again: at most half of the queues may be in use. */
	bool no_lro;     /**< Native XDP refuses while LRO is on. */
	bool bifurcated; /**< DPDK uses it while the kernel's driver stays bound. */
	const char *
		features; /**< Of DPDK's driver: RSS, flow rules, checksum, time stamps. NULL: none. */
};

/** What is known of a kernel driver; NULL: nothing. */
const struct ep_doctor_driver *ep_doctor_driver(const char *kernel_name);

/* --- Ceilings that were measured -------------------------------------------------------------------------------------------- */

#define EP_DOCTOR_CEILINGS_MAX 64

/** A measured ceiling; its key are the first four. */
struct ep_doctor_ceiling_entry {
	char kind[16];     /**< "memory", "af_xdp", "af_packet". */
	char driver[32];   /**< DPDK's driver. */
	char cpu[128];     /**< Model. */
	char size[64];     /**< --size. */
	double pps;        /**< [packets/s] */
	char device[64];   /**< What was looped over. */
	char measured[40]; /**< When: RFC 3339. */
};

struct ep_doctor_ceilings {
	uint32_t count;
	struct ep_doctor_ceiling_entry entry[EP_DOCTOR_CEILINGS_MAX];
};

/** Read a stored file. Entries that are not understood are left out. @return 0, or -EINVAL (no JSON of ours) with @p out empty. */
int ep_doctor_ceilings_parse(const char *text, size_t len, struct ep_doctor_ceilings *out);

/** Replace the entry of the same key, else add it, in place of the oldest where there is no room. */
void ep_doctor_ceilings_put(
	struct ep_doctor_ceilings *all, const struct ep_doctor_ceiling_entry *entry);

/** The entry of a key; NULL: none. */
const struct ep_doctor_ceiling_entry *ep_doctor_ceilings_find(const struct ep_doctor_ceilings *all,
	const char *kind, const char *driver, const char *cpu, const char *size);

/** As a file. @param[out] text Malloc'ed. @return 0 or -ENOMEM. */
int ep_doctor_ceilings_format(const struct ep_doctor_ceilings *all, char **text);

/* --- For people and programs ------------------------------------------------------------------------------------------------ */

/** The findings as text, with the plan where there is one; ends with a newline. @param[out] text Malloc'ed. @return 0 or -ENOMEM. */
int ep_doctor_text(
	const struct ep_doctor_report *report, const struct ep_doctor_facts *facts, char **text);

/** Identity of a doctor's report. All borrowed. */
struct ep_doctor_head {
	const char *tool_version, *dpdk_version, *started;
};

/**
 * One JSON object, schema everyport.doctor/1, ends with a newline.
 *
 * @param[out] text
 *   Malloc'ed.
 * @return
 *   0 or -ENOMEM.
 */
int ep_doctor_json(const struct ep_doctor_report *report, const struct ep_doctor_facts *facts,
	const struct ep_doctor_head *head, char **text);
