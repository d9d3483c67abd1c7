/* Making an exception path, and the orders to its thread. */
#include "exc_priv.h"

#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* 802.1Q: 4095 is reserved. */
#define EXC_VLAN_MAX 4094U

RTE_LOG_REGISTER(ep_exc_logtype, ep.exc, NOTICE)

static struct rte_ring *
ring_create(const struct ep_exc *exc, const char *way, unsigned int frames, unsigned int flags)
{
	char name[RTE_RING_NAMESIZE];

	snprintf(name, sizeof(name), "ep_exc%u_%s", exc->info.port_id, way);
	return rte_ring_create(name, frames, exc->info.socket_id, flags | RING_F_EXACT_SZ);
}

/* Into rx come the frames of any worker; the others have one at each end. */
static int
memory_create(struct ep_exc *exc, struct ep_err *err)
{
	exc->rx = ring_create(exc, "rx", EP_EXC_RX_FRAMES, RING_F_SC_DEQ);
	exc->tx = ring_create(exc, "tx", EXC_TX_FRAMES, RING_F_SP_ENQ | RING_F_SC_DEQ);
	exc->done = ring_create(exc, "done", EP_EXC_RX_FRAMES, RING_F_SP_ENQ | RING_F_SC_DEQ);
	if (exc->rx == NULL || exc->tx == NULL || exc->done == NULL)
		return ep_err_set(err, -ENOMEM,
			"--dev %s: no memory for the exception path (%s); give DPDK more memory",
			exc->info.name, rte_strerror(rte_errno));
	return 0;
}

static int
thread_start(struct ep_exc *exc, struct ep_err *err)
{
	sigset_t all, before;
	int ret;

	exc->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (exc->wake_fd < 0)
		return ep_err_set(err, -errno, "exception path: %s", strerror(errno));
	/* Signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = -pthread_create(&exc->thread, NULL, exc_thread, exc);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ret < 0)
		return ep_err_set(
			err, ret, "exception path: no thread can be started: %s", strerror(-ret));
	pthread_setname_np(exc->thread, "ep-exc");
	exc->thread_runs = true;
	return 0;
}

int
ep_exc_open(const struct ep_exc_cfg *cfg, struct ep_exc **out, struct ep_err *err)
{
	struct ep_exc *exc;
	int ret;

	if (cfg->vlan_id > EXC_VLAN_MAX)
		return ep_err_set(
			err, -EINVAL, "VLAN %u: allowed are 1 to %u", cfg->vlan_id, EXC_VLAN_MAX);
	exc = calloc(1, sizeof(*exc));
	if (exc == NULL)
		return ep_err_set(err, -ENOMEM, "no memory for the exception path");
	exc->dev = cfg->dev;
	exc->vlan_id = cfg->vlan_id;
	exc->tap_fd = exc->wake_fd = -1;
	pthread_mutex_init(&exc->lock, NULL);
	pthread_cond_init(&exc->carried_out, NULL);
	exc->pool = ep_dev_side_pool(cfg->dev);
	ep_dev_info(cfg->dev, &exc->info);
	ret = exc->pool != NULL
		? exc_tap_open(exc, err)
		: ep_err_set(err, -EINVAL, "--dev %s: has no packet buffers for an exception path",
			  exc->info.name);
	if (ret == 0)
		ret = memory_create(exc, err);
	if (ret == 0)
		ret = exc_setup(exc, cfg, err);
	/* Not before it is up: what comes then is for nobody. What it says at once waits in its queue. */
	if (ret == 0)
		ret = thread_start(exc, err);
	if (ret == 0)
		ret = exc_await(exc, cfg, err);
	if (ret < 0) {
		ep_exc_close(exc);
		return ret;
	}
	EXC_LOG(INFO, "interface %s for %s, MTU %u", exc->ifname, exc->info.name,
		exc->info.mtu_bytes);
	*out = exc;
	return 0;
}

/* Hand an order over and wait until it is carried out. */
static void
order_give(struct ep_exc *exc, const struct exc_order *order)
{
	const uint64_t one = 1;

	pthread_mutex_lock(&exc->lock);
	exc->order = *order;
	__atomic_store_n(&exc->order_seq, exc->order_seq + 1, __ATOMIC_RELEASE);
	if (write(exc->wake_fd, &one, sizeof(one)) < 0)
		EXC_LOG(DEBUG, "the thread is awake already");
	while (exc->done_seq != exc->order_seq)
		pthread_cond_wait(&exc->carried_out, &exc->lock);
	pthread_mutex_unlock(&exc->lock);
}

static void
ring_free(struct rte_ring *ring)
{
	void *mbuf;

	while (ring != NULL && rte_ring_dequeue(ring, &mbuf) == 0)
		rte_pktmbuf_free(mbuf);
	rte_ring_free(ring);
}

void
ep_exc_close(struct ep_exc *exc)
{
	if (exc == NULL)
		return;
	if (exc->thread_runs) {
		order_give(exc, &(struct exc_order){.stop = true});
		pthread_join(exc->thread, NULL);
	}
	rte_pktmbuf_free_bulk(exc->out + exc->out_first, exc->out_count);
	rte_pktmbuf_free(exc->spare);
	ring_free(exc->rx);
	ring_free(exc->tx);
	ring_free(exc->done);
	if (exc->tap_fd >= 0)
		close(exc->tap_fd);
	if (exc->wake_fd >= 0)
		close(exc->wake_fd);
	pthread_cond_destroy(&exc->carried_out);
	pthread_mutex_destroy(&exc->lock);
	free(exc->filter);
	free(exc);
}

const char *
ep_exc_ifname(const struct ep_exc *exc)
{
	return exc->ifname;
}

int
ep_exc_ifindex(const struct ep_exc *exc)
{
	return exc->ifindex;
}

void
ep_exc_rings(const struct ep_exc *exc, struct ep_exc_rings *rings)
{
	*rings = (struct ep_exc_rings){.rx = exc->rx, .tx = exc->tx, .done = exc->done};
}

void
ep_exc_lend(struct ep_exc *exc)
{
	struct exc_order order = exc->order;

	if (order.lent)
		return;
	order.lent = true;
	order_give(exc, &order);
}

void
ep_exc_keep(struct ep_exc *exc)
{
	struct exc_order order = exc->order;

	if (!order.lent)
		return;
	order.lent = false;
	order_give(exc, &order);
}

/* The one before is freed when the thread has let go of it. */
static void
filter_swap(struct ep_exc *exc, struct exc_filter *filter)
{
	struct exc_order order = exc->order;

	order.filter = filter;
	order_give(exc, &order);
	free(exc->filter);
	exc->filter = filter;
}

int
ep_exc_arm(struct ep_exc *exc, const struct ep_dev_filter *filter)
{
	struct exc_filter *f = malloc(sizeof(*f));

	if (f == NULL)
		return -ENOMEM;
	exc_filter_set(f, filter);
	filter_swap(exc, f);
	return 0;
}

void
ep_exc_disarm(struct ep_exc *exc)
{
	if (exc->filter != NULL)
		filter_swap(exc, NULL);
}

void
ep_exc_count(const struct ep_exc *exc, struct ep_exc_count *count)
{
	*count = (struct ep_exc_count){
		.to_kernel = __atomic_load_n(&exc->count.to_kernel, __ATOMIC_RELAXED),
		.from_kernel = __atomic_load_n(&exc->count.from_kernel, __ATOMIC_RELAXED),
		.filtered = __atomic_load_n(&exc->count.filtered, __ATOMIC_RELAXED),
		.other_vlan = __atomic_load_n(&exc->count.other_vlan, __ATOMIC_RELAXED),
		.dropped = __atomic_load_n(&exc->count.dropped, __ATOMIC_RELAXED),
	};
}
