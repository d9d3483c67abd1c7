#pragma once

/**
 * @file
 * ICMP errors about the probes of a side, read while a session runs on a kernel interface. The main thread looks at every tick:
 * the socket holds thousands, so nothing has to wake up for them.
 */

#include <ep_dev.h>
#include <ep_icmp.h>
#include <ep_sched.h>
#include <ep_slow.h>

/** One side's. Zero-initialised: does not look. */
struct icmp_watch {
	struct ep_icmp *socket;
	struct ep_slow_match match;
	struct ep_sched space;
	struct ep_slow_icmp *account; /**< Where they are counted; borrowed. */
	uint8_t packet[EP_ICMP_PACKET_MAX];
};

/**
 * Begin to look, where the kernel has the device.
 *
 * @param ifindex
 *   Interface at which it has it; 0: nowhere.
 * @param range
 *   Borrowed until icmp_close().
 * @param space
 *   Flows of the session; copied.
 * @param ends
 *   Our address and the far side's.
 * @param responder
 *   The side is a responder: it may send to other addresses than ends->dst (NAT).
 * @param account
 *   Borrowed until icmp_close().
 * @return
 *   0, -ENOTSUP (not the kernel's: `match` is filled for who looks himself, no sentence) or -errno with a sentence.
 */
int icmp_open(struct icmp_watch *w, int ifindex, const struct ep_range *range,
	const struct ep_sched *space, const struct ep_wire_ends *ends, bool responder,
	struct ep_slow_icmp *account, struct ep_err *err);

/** A trial begins: its probes carry tags under this key. Those of the one before are still known. */
void icmp_trial(struct icmp_watch *w, const uint8_t key[EP_WIRE_KEY_BYTES]);

/** Read and count what has come. Bounded work. Accepts one that does not look. */
void icmp_tick(struct icmp_watch *w);

/** Accepts one that does not look, and one that was closed. */
void icmp_close(struct icmp_watch *w);
