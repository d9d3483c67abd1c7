#pragma once

/**
 * @file
 * The machine as ep_plan wants it: CPUs with their nodes, siblings and isolation, nodes with their distances and free huge
 * pages, and the node of a NIC. Nodes come from libnuma, all else from /sys below a folder that the caller names (a test's made-up tree, or
 * "" for this host). Control path, blocking for milliseconds; no state between calls. It plans nothing, changes nothing,
 * and may be called before DPDK is started.
 */

#include <ep_base.h>
#include <ep_plan.h>

#include <stdbool.h>
#include <stdint.h>

/** Where nodes are asked for: libnuma's functions of these names, or a model of a machine. */
struct ep_topo_numa {
	int (*max_node)(void);       /**< Highest node, or negative: the kernel knows of none. */
	int (*node_of_cpu)(int cpu); /**< Or negative. */
	int (*distance)(int from, int to); /**< 10 for a node to itself; 0: not known. */
};

struct ep_topo_cfg {
	const char *root;                /**< Before "/sys"; "" is this host. */
	const struct ep_topo_numa *numa; /**< NULL: libnuma. */
};

/**
 * Read CPUs and nodes. A CPU is allowed when this thread's affinity mask has it, or when it is isolated and the kernel lets the
 * thread go there: isolcpus takes CPUs out of everybody's mask, for those to use who ask for them.
 *
 * @param[out] topo
 *   Filled on success only.
 * @return
 *   0, -errno (no list of CPUs in /sys), -EINVAL (one that cannot be read) or -E2BIG (more CPUs or nodes than ep_plan takes),
 *   with a sentence.
 */
int ep_topo_read(const struct ep_topo_cfg *cfg, struct ep_plan_topo *topo, struct ep_err *err);

/**
 * Node of a NIC.
 *
 * @param name
 *   A kernel interface, "eth0", or a PCI address, "0000:01:00.0".
 * @return
 *   The node, or EP_PLAN_NODE_ANY: a virtual device, no such device, or firmware that does not say.
 */
int16_t ep_topo_nic_node(const char *root, const char *name);

/**
 * Whether the calling thread may be put on a CPU: its affinity mask has it, or it is isolated and the kernel lets the thread go
 * there (it is moved there and back).
 */
bool ep_topo_cpu_allowed(const char *root, uint16_t cpu);
