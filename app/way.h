#pragma once

/**
 * @file
 * How the kernel and the probes of run and serve share a device: the kernel has it and keeps everything but the probes; or no kernel has it, and
 * an exception interface of ours (lib/exc) leads everything but the probes to the kernel; or, with --control-dev, the control connection and the
 * fallback check go over another interface, and the device answers ARP, NDP and ping itself (lib/slowdev). In each case: the next hop of the probes,
 * and its MAC as long as a session lasts.
 */

#include "config.h"

#include <ep_engine.h>
#include <ep_exc.h>
#include <ep_netlink.h>
#include <ep_result.h>
#include <ep_slowdev.h>

/** A device's. Zero-initialised: not open. */
struct way {
	const struct config *config;
	struct ep_dev *dev; /**< Borrowed. */
	struct ep_dev_info info;
	int ifindex;      /**< Interface at which the kernel has the device; 0: nowhere. */
	const char *bind; /**< Interface for kernel sockets to be bound to; NULL: any. */
	struct ep_exc *exc;
	struct ep_slowdev *slow;
	bool lent;                 /**< Workers have the device. */
	bool follows;              /**< A session is on: the next hop is looked after. */
	struct ep_wire_ip peer;    /**< Where the probes go, while it follows. */
	struct ep_netlink_hop hop; /**< The kernel's; and the slow path's MAC in its route. */
	uint64_t worker_dropped;   /**< Frames that workers had no room for. */
};

/** Whether --addr, --gateway and --control-dev fit the one device of run and serve. @return 0, -EINVAL or -ENOTSUP with a sentence. */
int way_check(const struct config *c, struct ep_err *err);

/** Whether the kernel has the device that --dev names. */
bool way_kernel_has(const struct ep_dev_spec *spec);

/** What the device has to be opened with, beside what the options mean. */
void way_dev_cfg(const struct config *c, struct ep_dev_cfg *cfg);

/**
 * Set up the kernel's side of an open device.
 *
 * @return
 *   0 or -errno with a sentence: see ep_exc_open(); -EADDRINUSE where another host has an address.
 */
int way_open(struct way *w, const struct config *c, struct ep_dev *dev, struct ep_err *err);

/**
 * The way of the probes to a host, its next hop's MAC resolved.
 *
 * @param wait_ms
 *   Longest wait for the next hop [ms].
 * @param[out] route
 *   Set on success only. ifindex is 0 where no kernel is asked.
 * @return
 *   0, -EXDEV (it leads over another interface than the device), or as ep_netlink_route() and ep_slow_stack_resolve(), with a sentence.
 */
int way_route(struct way *w, const struct ep_wire_ip *peer, int wait_ms,
	struct ep_netlink_route *route, struct ep_err *err);

/** A session begins: follow the next hop of a route of way_route() from now on. */
void way_follow(struct way *w, const struct ep_wire_ip *peer, const struct ep_netlink_route *route);

/** It ends. */
void way_unfollow(struct way *w);

/** Let the engine's side share the device with the kernel. */
void way_side(const struct way *w, struct ep_engine_side_cfg *side);

/** Take what the filter says from the kernel, or leave all to it again. @return 0 or -errno with a sentence. */
int way_arm(struct way *w, const struct ep_dev_filter *filter, struct ep_err *err);
void way_disarm(struct way *w);

/** Workers begin to use the device, or have ended. */
void way_lend(struct way *w);
void way_keep(struct way *w);

/**
 * A look around, every few milliseconds: who moves frames by himself is moved on, and a next hop that changed its MAC is told to the engine.
 *
 * @param engine
 *   NULL: there is none yet. Its side 0 is the device's.
 */
void way_tick(struct way *w, struct ep_engine *engine);

/** Add what the workers of a trial dropped. */
void way_note(struct way *w, const struct ep_engine_count *count);

/** Put what there is to say about the exception path into a result. Does nothing without one. */
void way_facts(const struct way *w, struct ep_result *result);

/** Say on stderr what went over the exception path, if there is one. */
void way_say(const struct way *w);

/** Accepts one that is not open. The device is still open. */
void way_close(struct way *w);
