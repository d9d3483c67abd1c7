#pragma once

/**
 * @file
 * Facts about a host for ep_doctor: read from /proc and /sys below a folder that the caller names (a test's made-up tree, or
 * "" for this host), from ethtool through a function that the caller names, and, for this host alone, from system calls; and the
 * meter of pauses. It judges nothing. Control path, blocking for milliseconds (the meter: as long as asked). No state between
 * calls. Only ep_hostinfo_huge_set() changes anything on the host.
 */

#include <ep_base.h>
#include <ep_doctor.h>
#include <ep_range.h>
#include <ep_wire.h>

/** A device that the user named. */
struct ep_hostinfo_dev {
	const char *name; /**< Interface, or PCI address. */
	enum ep_doctor_use use;
};

/**
 * One command to an interface's driver, as SIOCETHTOOL takes it.
 *
 * @return
 *   0 or -errno.
 */
typedef int (*ep_hostinfo_ethtool_fn)(void *ctx, const char *ifname, void *command);

/** This host's ethtool. @p ctx is not used. */
int ep_hostinfo_ethtool(void *ctx, const char *ifname, void *command);

struct ep_hostinfo_cfg {
	const char *root; /**< Before "/proc" and "/sys"; "" is this host. */
	bool live; /**< Also ask this host's kernel by system calls: rights, AF_XDP, XDP programs, hooks. */
	ep_hostinfo_ethtool_fn ethtool; /**< NULL: no ethtool. */
	void *ethtool_ctx;
	const struct ep_range *range; /**< Ports under test. Borrowed for the call. */
	uint32_t dev_count;
	struct ep_hostinfo_dev dev[EP_DOCTOR_NICS_MAX];
	const char *ssh_ifname; /**< Interface of the ssh session; NULL: none. */
};

/**
 * Read what can be read; what cannot stays unknown.
 *
 * @param[in,out] facts
 *   cpu.data, cpu.floating and memory.needed_mib are the caller's and are kept; parts that others fill (hiccup, ceiling, ports,
 *   vdev, dev_error) as well.
 */
void ep_hostinfo_read(const struct ep_hostinfo_cfg *cfg, struct ep_doctor_facts *facts);

/**
 * The far end of a connection to this host's ssh server, port 22. Which of several is the caller's own cannot be told under sudo; each
 * is worth keeping, so the first is taken.
 *
 * @return
 *   Whether there is one.
 */
bool ep_hostinfo_ssh_peer(const char *root, struct ep_wire_ip *peer);

/** Look again at the interrupts on out->data, as ep_hostinfo_read() does. */
void ep_hostinfo_irqs(const char *root, struct ep_doctor_cpu *out);

/**
 * Set how many huge pages of 2 MiB there are.
 *
 * @param node
 *   On this node alone; negative: wherever the kernel finds them.
 * @param pages
 *   Wanted, those in use included.
 * @return
 *   0 (the kernel may have found fewer: read again), or -errno with a sentence.
 */
int ep_hostinfo_huge_set(const char *root, int node, uint64_t pages, struct ep_err *err);

/** Called about ten times a second while the meter runs. @return whether to go on. */
typedef bool (*ep_hostinfo_tick_fn)(void *ctx, uint64_t elapsed_ns);

/**
 * The meter of pauses: a thread on each CPU that this process may use reads the clock as fast as it can, all at the same time,
 * and keeps how long it was away.
 *
 * @param tick
 *   May be NULL.
 * @param[out] out
 *   measured is false where it was stopped or no thread could be had.
 */
void ep_hostinfo_hiccup(
	uint64_t span_ns, ep_hostinfo_tick_fn tick, void *ctx, struct ep_doctor_hiccup *out);

/** The two ends that ep_hostinfo_pair_make() makes. */
#define EP_HOSTINFO_PAIR_NEAR "everyport0"
#define EP_HOSTINFO_PAIR_FAR "everyport1"

/**
 * Move the calling thread, and those that it will start, into a new network namespace with nothing in it but a veth pair that is up,
 * 198.18.0.1/24 and 198.18.0.2/24. It vanishes with the last of them.
 *
 * @return
 *   0, -EPERM (not root) or -errno, with a sentence.
 */
int ep_hostinfo_pair_make(struct ep_err *err);
