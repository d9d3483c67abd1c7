#pragma once

/* Private to lib/exc: who writes what. */

#include "ep_exc.h"

#include <rte_log.h>

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

extern int ep_exc_logtype;
#define RTE_LOGTYPE_EP_EXC ep_exc_logtype
#define EXC_LOG(level, fmt, ...) RTE_LOG(level, EP_EXC, fmt "\n", ##__VA_ARGS__)

#define EXC_BURST 32
/* Frames of the kernel's that wait for a worker: then the kernel's own queue fills, which slows TCP down as a NIC would. */
#define EXC_TX_FRAMES 1024

struct rte_mbuf;
struct rte_mempool;

/* What is kept from the kernel. Made by the main thread, read by the other one. */
struct exc_filter {
	bool initiator; /* true: UDP from peer with a source port of the range; false: UDP to a port of the range. */
	bool any_local;
	struct ep_wire_ip local;
	struct ep_wire_ip peer;
	uint64_t port[UINT16_MAX / 64 + 1]; /* A bit a port. */
};

/* What the thread is to do. */
struct exc_order {
	bool lent;
	bool stop;
	const struct exc_filter *filter; /* NULL: everything goes to the kernel. */
};

struct ep_exc {
	/* Read-only while the thread runs. */
	struct ep_dev *dev;
	struct ep_dev_info info;
	char ifname[16];
	int ifindex;
	int tap_fd;
	int wake_fd;              /* Readable: there is an order. */
	uint16_t vlan_id;         /* Tag of all frames on the link; 0: none. */
	struct rte_mempool *pool; /* Of what the kernel sends: the device's side pool. */
	struct rte_ring *rx, *tx, *done;
	pthread_t thread;
	bool thread_runs;

	/* The main thread's. */
	struct exc_filter *filter;

	/* Under the lock; the sequence numbers are also read without. */
	pthread_mutex_t lock;
	pthread_cond_t carried_out;
	struct exc_order order;
	uint64_t order_seq;
	uint64_t done_seq;

	/* The thread's. */
	struct exc_order now;
	struct rte_mbuf *out[EXC_BURST]; /* From the kernel, not taken yet ... */
	unsigned int out_count;          /* ... so many, from ... */
	unsigned int out_first;          /* ... here on. */
	struct rte_mbuf *spare;          /* For the next frame of the kernel's. */
	unsigned int idle_rounds;

	/* Written by the thread, read by others. */
	struct ep_exc_count count;
};

/* filter.c: pure. */
void exc_filter_set(struct exc_filter *f, const struct ep_dev_filter *from);
/* Whether a frame is one that the filter takes. */
bool exc_filter_takes(const struct exc_filter *f, const uint8_t *frame, size_t len);

/* tag.c: pure. */
#define EXC_TAG_BYTES 4
enum exc_tag {
	EXC_TAG_LEAVE,    /* The kernel gets the frame as it is ... */
	EXC_TAG_TAKE_OFF, /* ... without its tag ... */
	EXC_TAG_OTHER,    /* ... or not at all: it is of another VLAN, or of none. */
};
/* What is to become of the tag of a frame from the link. vlan_id 0: the link has no tags. */
enum exc_tag exc_tag_look(uint16_t vlan_id, const uint8_t *frame, size_t len);
/* The frame then begins EXC_TAG_BYTES further on. */
void exc_tag_take_off(uint8_t *frame);
/* Into a frame that begins EXC_TAG_BYTES further on, and afterwards here. */
void exc_tag_put_on(uint16_t vlan_id, uint8_t *frame);

/* tap.c: a tap that ends with its descriptor. Fills ifname, ifindex and tap_fd. */
int exc_tap_open(struct ep_exc *exc, struct ep_err *err);

/* setup.c: addresses and routes. */
int exc_setup(struct ep_exc *exc, const struct ep_exc_cfg *cfg, struct ep_err *err);
/* Until no address is tentative any more; the thread runs. */
int exc_await(struct ep_exc *exc, const struct ep_exc_cfg *cfg, struct ep_err *err);

/* thread.c */
void *exc_thread(void *arg);
