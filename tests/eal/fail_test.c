/*
 * Each call of a device that can fail does fail here, one after the other, at DPDK's border: the open says so in one sentence that names
 * the device, and leaves nothing behind, so that the next one succeeds.
 */

#include "veth.h"

#include <ep_dev.h>
#include <ep_netlink.h>

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_mempool.h>
#include <rte_memzone.h>
#include <rte_ring.h>

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define RING 64
/* No open makes more calls of one kind. */
#define CALLS_MAX 40

/** What fails. */
enum call {
	CALL_NONE,
	CALL_HOTPLUG,
	CALL_INFO,
	CALL_CONFIGURE,
	CALL_DESCS,
	CALL_POOL,
	CALL_POOL_MEMORY,
	CALL_RX_QUEUE,
	CALL_TX_QUEUE,
	CALL_START,
	CALL_RING,
	CALL_FROM_RINGS,
	CALLS,
};

static const char *const call_name[CALLS] = {"none", "hotplug", "info", "configure", "descriptors",
	"pool", "memory of a pool", "rx queue", "tx queue", "start", "ring", "port of rings"};

/** The double: the call that fails, from 0, and how. */
static struct {
	enum call call;
	int at;
	int error;
	int seen;
	bool lasting; /* And all that follow, where there is a second way. */
} failing;

static bool
fails(enum call call)
{
	if (failing.call != call)
		return false;
	return failing.lasting ? failing.seen++ >= failing.at : failing.seen++ == failing.at;
}

/* --- The border ------------------------------------------------------------------------------- */

#define BORDER(ret, name, call, args, pass)                               \
	ret __real_##name args;                                           \
	ret __wrap_##name args;                                           \
	ret __wrap_##name args                                            \
	{                                                                 \
		return fails(call) ? -failing.error : __real_##name pass; \
	}

BORDER(int, rte_eal_hotplug_add, CALL_HOTPLUG,
	(const char *bus, const char *name, const char *args), (bus, name, args))
BORDER(int, rte_eth_dev_info_get, CALL_INFO, (uint16_t port, struct rte_eth_dev_info *info),
	(port, info))
BORDER(int, rte_eth_dev_configure, CALL_CONFIGURE,
	(uint16_t port, uint16_t rx, uint16_t tx, const struct rte_eth_conf *conf),
	(port, rx, tx, conf))
BORDER(int, rte_eth_dev_adjust_nb_rx_tx_desc, CALL_DESCS,
	(uint16_t port, uint16_t *rx, uint16_t *tx), (port, rx, tx))
BORDER(int, rte_mempool_populate_default, CALL_POOL_MEMORY, (struct rte_mempool * pool), (pool))
BORDER(int, rte_eth_rx_queue_setup, CALL_RX_QUEUE,
	(uint16_t port, uint16_t queue, uint16_t descs, unsigned int socket,
		const struct rte_eth_rxconf *conf, struct rte_mempool *pool),
	(port, queue, descs, socket, conf, pool))
BORDER(int, rte_eth_tx_queue_setup, CALL_TX_QUEUE,
	(uint16_t port, uint16_t queue, uint16_t descs, unsigned int socket,
		const struct rte_eth_txconf *conf),
	(port, queue, descs, socket, conf))
BORDER(int, rte_eth_dev_start, CALL_START, (uint16_t port), (port))

struct rte_mempool *__real_rte_mempool_create_empty(const char *name, unsigned int count,
	unsigned int bytes, unsigned int cache, unsigned int priv, int socket, unsigned int flags);
struct rte_mempool *__wrap_rte_mempool_create_empty(const char *name, unsigned int count,
	unsigned int bytes, unsigned int cache, unsigned int priv, int socket, unsigned int flags);
struct rte_mempool *
__wrap_rte_mempool_create_empty(const char *name, unsigned int count, unsigned int bytes,
	unsigned int cache, unsigned int priv, int socket, unsigned int flags)
{
	if (!fails(CALL_POOL))
		return __real_rte_mempool_create_empty(
			name, count, bytes, cache, priv, socket, flags);
	rte_errno = failing.error;
	return NULL;
}

struct rte_ring *__real_rte_ring_create(
	const char *name, unsigned int count, int socket, unsigned int flags);
struct rte_ring *__wrap_rte_ring_create(
	const char *name, unsigned int count, int socket, unsigned int flags);
struct rte_ring *
__wrap_rte_ring_create(const char *name, unsigned int count, int socket, unsigned int flags)
{
	if (!fails(CALL_RING))
		return __real_rte_ring_create(name, count, socket, flags);
	rte_errno = failing.error;
	return NULL;
}

int __real_rte_eth_from_rings(const char *name, struct rte_ring *const rx[], unsigned int rx_count,
	struct rte_ring *const tx[], unsigned int tx_count, unsigned int node);
int __wrap_rte_eth_from_rings(const char *name, struct rte_ring *const rx[], unsigned int rx_count,
	struct rte_ring *const tx[], unsigned int tx_count, unsigned int node);
int
__wrap_rte_eth_from_rings(const char *name, struct rte_ring *const rx[], unsigned int rx_count,
	struct rte_ring *const tx[], unsigned int tx_count, unsigned int node)
{
	if (!fails(CALL_FROM_RINGS))
		return __real_rte_eth_from_rings(name, rx, rx_count, tx, tx_count, node);
	rte_errno = failing.error;
	return -1;
}

/* --- What is left ------------------------------------------------------------------------------ */

/** What an open may leave behind. */
struct left {
	int ports, pools, zones, sockets;
	uint32_t xdp_prog_id;
	int qdisc; /* clsact of ours. */
};

static void
count_pool(struct rte_mempool *pool, void *count)
{
	(void)pool;
	++*(int *)count;
}

static void
count_zone(const struct rte_memzone *zone, void *count)
{
	(void)zone;
	++*(int *)count;
}

/* Sockets alone: DPDK 22.11's AF_XDP driver leaves descriptors of the BPF objects that it loaded open at every close, which take nothing. */
static int
count_sockets(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	int count = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		struct stat st;

		if (fstat((int)strtol(entry->d_name, NULL, 10), &st) == 0 &&
			entry->d_name[0] != '.')
			count += S_ISSOCK(st.st_mode);
	}
	closedir(dir);
	return count;
}

static struct left
left_now(bool kernel)
{
	struct left left = {.ports = rte_eth_dev_count_avail(), .sockets = count_sockets()};
	struct ep_netlink_link link;

	rte_mempool_walk(count_pool, &left.pools);
	rte_memzone_walk(count_zone, &left.zones);
	if (kernel) {
		assert_int_equal(ep_netlink_link(VETH_NEAR, &link, NULL), 0);
		left.xdp_prog_id = link.xdp_prog_id;
		left.qdisc = veth_run("tc qdisc show dev " VETH_NEAR " | grep -q clsact") == 0;
	}
	return left;
}

static void
assert_left_equal(const struct left *a, const struct left *b, const char *name)
{
	if (a->ports != b->ports || a->pools != b->pools || a->zones != b->zones ||
		a->sockets != b->sockets || a->xdp_prog_id != b->xdp_prog_id ||
		a->qdisc != b->qdisc)
		fail_msg("%s, %s %d fails: left are ports %d, pools %d, zones %d, sockets %d, XDP "
			 "%u, qdisc "
			 "%d; before ports %d, pools %d, zones %d, sockets %d, XDP %u, qdisc %d",
			name, call_name[failing.call], failing.at, b->ports, b->pools, b->zones,
			b->sockets, b->xdp_prog_id, b->qdisc, a->ports, a->pools, a->zones,
			a->sockets, a->xdp_prog_id, a->qdisc);
}

/* --- Devices ----------------------------------------------------------------------------------- */

/** A device, and the word in a sentence by which it is told. */
struct device {
	const char *dev; /* NULL: the in-memory pair. */
	const char *named;
	uint16_t queue_pairs;
	bool kernel;
};

static int
device_open(const struct device *d, struct ep_dev *out[2], struct ep_err *err)
{
	struct ep_dev_cfg cfg = {
		.spec = {.kind = EP_DEV_MEMORY},
		.queue_pairs = d->queue_pairs,
		.ring_descs = RING,
		.mtu_frame_bytes = 1518,
	};

	out[0] = out[1] = NULL;
	if (d->dev == NULL)
		return ep_dev_pair_open(&cfg, out, NULL, err);
	assert_int_equal(ep_dev_spec_parse(d->dev, &cfg.spec, NULL), 0);
	return ep_dev_open(&cfg, &out[0], err);
}

static void
device_close(struct ep_dev *dev[2])
{
	ep_dev_close(dev[0]);
	ep_dev_close(dev[1]);
}

static void
device_works(const struct device *d)
{
	struct ep_err err = {0};
	struct ep_dev *dev[2];

	failing.call = CALL_NONE;
	if (device_open(d, dev, &err) < 0)
		fail_msg("the next open fails: %s", err.text);
	device_close(dev);
}

static void
expect_sentence(const struct device *d, int ret, const struct ep_err *err)
{
	const bool good = err->code == ret && err->text[0] != '\0' &&
		strlen(err->text) < sizeof(err->text) - 1 && strchr(err->text, '\n') == NULL &&
		strstr(err->text, d->named) != NULL && strstr(err->text, "Success") == NULL &&
		strstr(err->text, "Unknown error") == NULL;

	if (!good)
		fail_msg("%s, %s %d fails with %d: %d, \"%s\"", d->named, call_name[failing.call],
			failing.at, failing.error, err->code, err->text);
}

/* Let one call after the other of a kind fail until an open does not come to the last. Returns how many there are. */
static int
call_fails(const struct device *d, enum call call, int error)
{
	const struct left before = left_now(d->kernel);

	for (int at = 0; at < CALLS_MAX; at++) {
		struct ep_err err = {0};
		struct ep_dev *dev[2];
		struct left after;
		int ret;

		failing.call = call;
		failing.at = at;
		failing.error = error;
		failing.seen = 0;
		/* AF_XDP is tried in several modes, and a pool without its node. */
		failing.lasting = d->kernel || call == CALL_POOL || call == CALL_POOL_MEMORY;
		ret = device_open(d, dev, &err);
		if (ret == 0) {
			/* Not reached; or asked for what can be done without. */
			if (failing.seen > at && call != CALL_INFO)
				fail_msg("%s: %s %d fails, and the open does not", d->named,
					call_name[call], at);
			device_close(dev);
		} else {
			assert_true(failing.seen > at);
			assert_null(dev[0]);
			expect_sentence(d, ret, &err);
		}
		after = left_now(d->kernel);
		assert_left_equal(&before, &after, d->named);
		if (failing.seen <= at)
			return at;
	}
	fail_msg("%s: %s is called without end", d->named, call_name[call]);
	return 0;
}

static void
each_call_fails(const struct device *d, const enum call *calls, size_t count)
{
	device_works(d); /* what DPDK keeps for good is there from now on */
	for (size_t i = 0; i < count; i++) {
		assert_true(call_fails(d, calls[i], ENOMEM) > 0);
		call_fails(d, calls[i], EIO);
		device_works(d);
	}
}

static void
vdev_that_fails_leaves_nothing(void **state)
{
	static const enum call calls[] = {CALL_HOTPLUG, CALL_INFO, CALL_CONFIGURE, CALL_DESCS,
		CALL_POOL, CALL_POOL_MEMORY, CALL_RX_QUEUE, CALL_TX_QUEUE, CALL_START};
	static const struct device devices[] = {
		{"net_null0", "net_null0", 1, false},
		{"net_null1,size=96", "net_null1,size=96", 3, false},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(devices); i++)
		each_call_fails(&devices[i], calls, EP_ARRAY_LEN(calls));
}

static void
pair_that_fails_leaves_nothing(void **state)
{
	static const enum call calls[] = {CALL_RING, CALL_FROM_RINGS, CALL_INFO, CALL_CONFIGURE,
		CALL_DESCS, CALL_POOL, CALL_POOL_MEMORY, CALL_RX_QUEUE, CALL_TX_QUEUE, CALL_START};
	static const struct device one = {NULL, "in-memory pair: ", 1, false},
				   many = {NULL, "in-memory pair: ", 3, false};

	(void)state;
	each_call_fails(&one, calls, EP_ARRAY_LEN(calls));
	each_call_fails(&many, calls, EP_ARRAY_LEN(calls));
}

static void
kernel_interface_that_fails_leaves_nothing(void **state)
{
	static const enum call calls[] = {CALL_HOTPLUG, CALL_INFO, CALL_CONFIGURE, CALL_DESCS,
		CALL_POOL, CALL_POOL_MEMORY, CALL_RX_QUEUE, CALL_TX_QUEUE, CALL_START};
	static const struct device devices[] = {
		{VETH_NEAR, "--dev " VETH_NEAR, 0, true},
		{"af_packet:" VETH_NEAR, "--dev af_packet:" VETH_NEAR, 0, true},
	};

	(void)state;
	if (geteuid() != 0) {
		assert_null(getenv("EP_LAB_REQUIRED"));
		skip();
	}
	for (size_t i = 0; i < EP_ARRAY_LEN(devices); i++)
		each_call_fails(&devices[i], calls, EP_ARRAY_LEN(calls));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vdev_that_fails_leaves_nothing),
		cmocka_unit_test(pair_that_fails_leaves_nothing),
		cmocka_unit_test(kernel_interface_that_fails_leaves_nothing),
	};
	const struct ep_dev_eal_cfg eal = {.memory_mib = 256};
	static struct veth veth;
	struct ep_err err;
	int failed;

	if (geteuid() == 0)
		veth_make(&veth);
	if (ep_dev_eal_init(&eal, &err) < 0) {
		printf("Bail out! %s\n", err.text);
		return 1;
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	ep_dev_eal_fini();
	return failed;
}
