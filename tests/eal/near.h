#pragma once

/**
 * @file
 * Tests of devices that are a kernel interface, on a veth pair: "near" is the end that has the device, "far" sends (veth.h).
 */

#include "veth.h"

#include <ep_dev.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define NEAR_BURST 32
#define NEAR_IN_RANGE 50001
#define NEAR_OUTSIDE 40001
/** Of a near_frame(), without FCS. */
#define NEAR_FRAME_BYTES 60
/** How long a packet that has to come is waited for. */
#define NEAR_DEADLINE_MS 5000

struct rte_mbuf;
struct CMUnitTest;

/** Group state. */
struct fixture {
	struct veth veth;
	struct ep_range range; /* 50000-50009 */
	int far4, far6;        /* Senders from OUTSIDE. */
};

/** A configuration for a device that is wanted by this text. */
struct ep_dev_cfg near_cfg(const char *text);

/** Open it; fails the test where that does. */
struct ep_dev *near_open(const char *text);

/** Let its filter take the range: to an address, NULL for any. */
void near_arm(const struct fixture *f, struct ep_dev *dev, const char *local);

uint64_t near_now_ms(void);

/** A burst from the device's first queue, of NEAR_BURST at most. */
uint16_t near_burst(const struct ep_dev *dev, struct rte_mbuf **burst);

/** What has arrived at the device by now: thrown away and counted. */
unsigned int near_drain(const struct ep_dev *dev);

/** Whether a packet arrives at the device. */
bool near_receives(const struct ep_dev *dev);

/** Whoever gets a packet from the far end has it by the time an echo that was sent later is answered. */
void near_settle(const struct fixture *f);

/** The kernel gets what the far end sends to a port; the device does not. */
void near_expect_kernel(
	const struct fixture *f, const struct ep_dev *dev, const char *address, uint16_t port);

/** The device gets it; the kernel does not. */
void near_expect_device(
	const struct fixture *f, const struct ep_dev *dev, const char *address, uint16_t port);

/** A datagram from near to far, from NEAR_IN_RANGE; the caller's. */
struct rte_mbuf *near_frame(const struct ep_dev *dev, uint16_t dport);

/** XDP program on the near end; 0: none. */
uint32_t near_xdp_prog_id(void);

/** Whether the near end has a queueing discipline for tc filters. */
bool near_qdisc_is_there(void);

/** Nothing of ours is on the near end. */
void near_expect_clean(void);

/** This program again, in the same namespace: opens a device, with EP_HOLD_QUEUES queues, arms it, and waits to be killed. */
pid_t near_hold_start(const char *text);

/** Be that program if the arguments say so, else run the tests. Skipped where this is not root; then a failure where EP_LAB_REQUIRED is set.
 *  @return exit code. */
int near_main(
	int argc, char **argv, const char *name, const struct CMUnitTest *tests, size_t count);
