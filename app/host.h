#pragma once

/** @file The machine: workers and their cores, DPDK's start, facts for host{}, signals, time. */

#include "config.h"

#include <ep_dev.h>
#include <ep_engine.h>
#include <ep_plan.h>
#include <ep_result.h>

#include <signal.h>

/** What of a plan a command goes by: workers, and which queues of which device each serves. */
struct host_plan {
	uint32_t worker_count;
	uint16_t core[EP_PLAN_WORKERS_MAX];
	bool floating;       /**< Over all allowed CPUs, yielding when idle; core[] is not used. */
	int32_t control_cpu; /**< Of the main thread; -1: any. */
	struct host_port {
		uint16_t queue_count;
		uint32_t first_worker, worker_count;
		int16_t node; /**< Of its packet buffers, or EP_PLAN_NODE_ANY. */
	} port[2];            /**< By device; without --dev, the ends of the in-memory pair. */
	uint32_t note_count;
	struct ep_plan_note note[EP_PLAN_NOTES_MAX]; /**< What it costs. */
};

/**
 * Plan cores, queues and memory for the devices of --dev, or for the in-memory pair (devplan.h, lib/plan): the same plan that
 * everyport doctor prints. With --verbose each choice is said on stderr, with its reason.
 *
 * @return
 *   0, -EINVAL (a --dev of no shape), -ERANGE (--queues that cannot be), or another -errno: this host cannot do it (cores,
 *   interface), each with a sentence.
 */
int host_plan(const struct config *config, struct host_plan *plan, struct ep_err *err);

/** Exit code of a host_plan() that failed: usage where an option cannot mean anything, else the environment. */
int host_plan_exit_code(int ret);

/** Start DPDK for a plan, and put this thread where the plan has it. @return 0 or -errno with a sentence. */
int host_eal(const struct config *config, const struct host_plan *plan, uint32_t memory_mib,
	struct ep_err *err);

/** The interface that the ssh session of this host comes in by, into @p name (16 bytes). @return whether there is one. */
bool host_ssh_ifname(char *name);

/** Wait until the links of all devices are up: two that are joined need each other, so both are open by now. @return 0, -ENETDOWN (not
 *  within 15 s) or -EINTR, with a sentence. */
int host_links_wait(struct ep_dev *const *dev, uint32_t dev_count, struct ep_err *err);

/** Monotonic time [ns]. */
uint64_t host_now_ns(void);

/** Model name of the CPU. */
void host_cpu(char *buf, size_t len);

/** UTC time now, RFC 3339. */
void host_utc(char *buf, size_t len);

/** Fill host{} with the machine, the devices and the workers. */
void host_facts(struct ep_result *result, const struct host_plan *plan, struct ep_dev *const *dev,
	uint32_t dev_count);

/** Fill host{} with the clock at the end of a run, and warn where it cannot keep the promise of the pacing. */
void host_clock(struct ep_result *result, const struct ep_engine_clock *clock);

/** Catch SIGINT, SIGTERM and SIGHUP: from now on host_interrupted() tells. A second signal ends the program at once, unless it is the first one's echo (half a second). */
void host_catch_signals(void);
bool host_interrupted(void);

/** Most addresses of a name that are looked at. */
#define HOST_ADDRESSES_MAX 8

/** Addresses of a name, each once, in the resolver's order (RFC 6724). */
struct host_addresses {
	uint32_t count;
	struct ep_wire_ip ip[HOST_ADDRESSES_MAX];
};

/**
 * Name or address -> all its addresses but link-local ones.
 *
 * @param what
 *   The option, for the sentence.
 * @return
 *   0, -ENOENT (cannot be resolved), or -EINVAL (link-local only, or a URL or brackets instead of a name), with a sentence.
 */
int host_resolve_all(
	const char *name, const char *what, struct host_addresses *list, struct ep_err *err);

/** The first of host_resolve_all(). Same errors. */
int host_resolve(const char *name, const char *what, struct ep_wire_ip *ip, struct ep_err *err);
