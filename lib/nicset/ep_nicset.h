#pragma once

/**
 * @file
 * Settings of a kernel interface that a run changes and puts back: how many queues it has, ethtool's ntuple rules and RSS contexts that
 * keep the range on some of them, and the two timers that preferred busy polling wants. Control path, one thread.
 *
 * What is to be put back is written to a file before it is changed, one file an interface, so that a later everyport undoes what a
 * crashed one left. Nothing is put back blindly: a setting that is no longer what we made it belongs to somebody else by now and
 * stays. An RSS context's and a rule's number are the driver's choice and come after the fact: a process that is killed between
 * that call and the next write of the file leaves the one context or rule behind.
 *
 * It sets nothing that the wish does not name, and knows nothing of AF_XDP. The caller holds the lock of the interface.
 */

#include <ep_base.h>
#include <ep_plan.h>

#include <stdbool.h>
#include <stdint.h>

/** One ethtool command (a struct of linux/ethtool.h that begins with its number). @return 0 or -errno. */
typedef int (*ep_nicset_ethtool_fn)(void *ctx, const char *ifname, void *command);

/** This host's ethtool: SIOCETHTOOL in the caller's network namespace. @p ctx is not used. */
int ep_nicset_ethtool(void *ctx, const char *ifname, void *command);

/** The interface, and where things are. */
struct ep_nicset_cfg {
	char ifname[16];
	int ifindex;
	uint8_t mac[6];
	const char *
		state_dir; /**< Files of what is to be put back, such as "/run/everyport"; made if needed. Borrowed. */
	const char *sys_dir; /**< "/sys/class/net". Borrowed. */
	ep_nicset_ethtool_fn ethtool;
	void *ethtool_ctx; /**< Borrowed. */
};

/** What is wanted. */
struct ep_nicset_wish {
	uint16_t
		queue_count; /**< Queues that the range is to arrive on, the lowest ones; 0: all that there are. */
	const struct ep_plan_masks
		*masks; /**< Of the range; NULL: too many rules. Borrowed for the call. */
	bool initiator; /**< The range is in the source port of what arrives; false: in the destination port. */
	bool ipv4, ipv6; /**< Families of what arrives. */
	bool busy_poll; /**< Set the timers that leave the interface's interrupts to whoever polls. */
};

/** How the range is kept on the queues that were asked for. */
enum ep_nicset_way {
	EP_NICSET_AS_IS, /**< The interface has as many, or none were asked for: it arrives on all. */
	EP_NICSET_RULES_RSS, /**< ntuple rules into an RSS context over these queues. */
	EP_NICSET_RULES,     /**< ntuple rules, dealt out over these queues. */
	EP_NICSET_CHANNELS,  /**< The interface was set to this number of queues. */
};

/** What was chosen. */
struct ep_nicset_chosen {
	enum ep_nicset_way way;
	uint16_t queue_count; /**< Queues to be served, from 0 on; all where none were asked for. */
	char text[96];        /**< The way in words, with numbers. */
	char why[256]; /**< Why no better way, in the driver's words; "" where it is the best. */
};

/** Settings in force. Opaque. */
struct ep_nicset;

/**
 * Undo what an everyport that crashed left on this interface: it has a file, and the caller has the lock. Call before
 * ep_nicset_open().
 *
 * @return
 *   Number of settings put back, 0 where there was nothing or all belongs to somebody else by now, or -errno with a sentence; the
 *   file is kept then.
 */
int ep_nicset_recover(const struct ep_nicset_cfg *cfg, struct ep_err *err);

/**
 * Make the settings: rules into an RSS context, else rules by queue, else the number of queues; then the timers. What a way that
 * failed has changed is put back before the next one is tried.
 *
 * @param[out] out
 *   To be closed with ep_nicset_close(). Set on success only.
 * @param[out] chosen
 *   Filled on success only.
 * @return
 *   0, -ENOTSUP (the interface can be given neither rules nor this number of queues, or no timers: the sentence says what the driver
 *   says), -ENOMEM, or -errno of the state file, with a sentence. Everything is as before then.
 */
int ep_nicset_open(const struct ep_nicset_cfg *cfg, const struct ep_nicset_wish *wish,
	struct ep_nicset **out, struct ep_nicset_chosen *chosen, struct ep_err *err);

/**
 * Put everything back and free. Accepts NULL.
 * @return 0, or -errno with a sentence: the first setting that could not be put back; the others were, and the file names it still.
 */
int ep_nicset_close(struct ep_nicset *set, struct ep_err *err);
