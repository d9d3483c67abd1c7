/* The thread that moves frames between a device and the kernel. */
#include "exc_priv.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* Rounds in which it only gives its CPU away when nothing came; then it sleeps, twice as long after each few rounds. */
#define IDLE_YIELDS 16
#define IDLE_STEP_ROUNDS 4
#define SLEEP_MIN_NS 20000
#define SLEEP_STEPS 5 /* 20 us << 5 is below the millisecond that follows. */
/* What has been silent for that many rounds of a millisecond has nothing to say: then less often. A wake-up costs some 10 to 30 us in a virtual
 * machine. */
#define SILENT_ROUNDS 500
#define SLEEP_SILENT_NS (5 * EP_NS_PER_MS)
/* Between two looks at a device that nothing comes from: at 10 Gbit/s and 64 B, a ring of 2,048 descriptors holds 140 us of a flood, and what it
 * loses is nothing that a TCP would not bring again. */
#define SLEEP_MAX_NS EP_NS_PER_MS
/* Attempts to send what workers left, before it is dropped. */
#define LEFT_TRIES 1000
/* Frames are padded to the least that Ethernet carries, without FCS: not every NIC does it (RFC 894). */
#define FRAME_MIN_BYTES 60

static_assert(RTE_PKTMBUF_HEADROOM >= EXC_TAG_BYTES, "a tag is put on in front of the frame");

static void
count_add(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/* --- To the kernel -------------------------------------------------------------------------------------------------------- */

/* Returns the counter of what became of it. */
static uint64_t *
frame_give(struct ep_exc *exc, const uint8_t *frame, size_t len)
{
	ssize_t n;

	if (exc->now.filter != NULL && exc_filter_takes(exc->now.filter, frame, len))
		return &exc->count.filtered;
	do {
		n = write(exc->tap_fd, frame, len);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? &exc->count.dropped : &exc->count.to_kernel;
}

static uint64_t *
tap_give(struct ep_exc *exc, struct rte_mbuf *m)
{
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	const enum exc_tag tag = exc_tag_look(exc->vlan_id, frame, m->data_len);

	if (tag == EXC_TAG_OTHER)
		return &exc->count.other_vlan;
	if (m->nb_segs > 1)
		return &exc->count.dropped;
	if (tag == EXC_TAG_LEAVE)
		return frame_give(exc, frame, m->data_len);
	exc_tag_take_off(frame);
	return frame_give(exc, frame + EXC_TAG_BYTES, m->data_len - EXC_TAG_BYTES);
}

/* Workers free what came from their pool, and are never held up there by this thread, which may lose its CPU at any place. */
static void
frames_free(struct ep_exc *exc, struct rte_mbuf **mbuf, unsigned int count)
{
	unsigned int n = 0;

	if (exc->now.lent)
		n = rte_ring_enqueue_burst(exc->done, (void **)mbuf, count, NULL);
	rte_pktmbuf_free_bulk(mbuf + n, count - n);
}

static unsigned int
frames_give(struct ep_exc *exc, struct rte_mbuf **mbuf, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		count_add(tap_give(exc, mbuf[i]), 1);
	if (count > 0)
		frames_free(exc, mbuf, count);
	return count;
}

/* What workers have put into the ring comes before what is taken from the device. */
static unsigned int
to_kernel(struct ep_exc *exc)
{
	struct rte_mbuf *mbuf[EXC_BURST];
	unsigned int n = rte_ring_dequeue_burst(exc->rx, (void **)mbuf, EXC_BURST, NULL);
	unsigned int count = frames_give(exc, mbuf, n);

	if (exc->now.lent || n == EXC_BURST)
		return count;
	for (uint16_t q = 0; q < exc->info.queue_pairs; q++) {
		n = rte_eth_rx_burst(exc->info.port_id, q, mbuf, EXC_BURST);
		count += frames_give(exc, mbuf, n);
	}
	return count;
}

/* --- From the kernel ------------------------------------------------------------------------------------------------------ */

/* Of the smallest size, and tagged: a tag that is taken off on the way leaves a frame that is large enough. */
static void
frame_finish(const struct ep_exc *exc, struct rte_mbuf *m, size_t len)
{
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);

	if (len < FRAME_MIN_BYTES) {
		memset(frame + len, 0, FRAME_MIN_BYTES - len);
		len = FRAME_MIN_BYTES;
	}
	m->data_len = (uint16_t)len;
	m->pkt_len = (uint32_t)len;
	if (exc->vlan_id != 0)
		exc_tag_put_on(exc->vlan_id, (uint8_t *)rte_pktmbuf_prepend(m, EXC_TAG_BYTES));
}

/* One frame, in a buffer of ours. Returns NULL where there is none, or no buffer: then it waits in the kernel's queue. */
static struct rte_mbuf *
tap_take(struct ep_exc *exc)
{
	struct rte_mbuf *m = exc->spare != NULL ? exc->spare : rte_pktmbuf_alloc(exc->pool);
	uint8_t *frame;
	ssize_t len;

	exc->spare = m;
	if (m == NULL)
		return NULL;
	frame = rte_pktmbuf_mtod(m, uint8_t *);
	len = read(exc->tap_fd, frame, rte_pktmbuf_tailroom(m));
	if (len <= 0)
		return NULL;
	frame_finish(exc, m, (size_t)len);
	exc->spare = NULL;
	return m;
}

static unsigned int
out_send(struct ep_exc *exc)
{
	struct rte_mbuf **mbuf = exc->out + exc->out_first;
	unsigned int n;

	if (exc->out_count == 0)
		return 0;
	n = exc->now.lent ? rte_ring_enqueue_burst(exc->tx, (void **)mbuf, exc->out_count, NULL)
			  : rte_eth_tx_burst(exc->info.port_id, 0, mbuf, (uint16_t)exc->out_count);
	exc->out_first += n;
	exc->out_count -= n;
	count_add(&exc->count.from_kernel, n);
	return n;
}

/* Where the device takes nothing, nothing more is read: the kernel's queue fills and drops, and TCP slows down. */
static unsigned int
from_kernel(struct ep_exc *exc)
{
	if (exc->out_count == 0) {
		exc->out_first = 0;
		while (exc->out_count < EXC_BURST) {
			struct rte_mbuf *m = tap_take(exc);

			if (m == NULL)
				break;
			exc->out[exc->out_count++] = m;
		}
	}
	return out_send(exc);
}

/* --- Orders --------------------------------------------------------------------------------------------------------------- */

/* What the workers had no time for any more. */
static void
left_send(struct ep_exc *exc)
{
	struct rte_mbuf *mbuf[EXC_BURST];
	unsigned int n;

	while ((n = rte_ring_dequeue_burst(exc->tx, (void **)mbuf, EXC_BURST, NULL)) > 0) {
		unsigned int sent = 0;

		for (int i = 0; i < LEFT_TRIES && sent < n; i++)
			sent += rte_eth_tx_burst(
				exc->info.port_id, 0, mbuf + sent, (uint16_t)(n - sent));
		count_add(&exc->count.dropped, n - sent);
		rte_pktmbuf_free_bulk(mbuf + sent, n - sent);
	}
	while ((n = rte_ring_dequeue_burst(exc->done, (void **)mbuf, EXC_BURST, NULL)) > 0)
		rte_pktmbuf_free_bulk(mbuf, n);
}

static void
order_carry_out(struct ep_exc *exc)
{
	uint64_t wakes;

	if (__atomic_load_n(&exc->order_seq, __ATOMIC_ACQUIRE) == exc->done_seq)
		return;
	pthread_mutex_lock(&exc->lock);
	if (exc->now.lent && !exc->order.lent)
		left_send(exc);
	exc->now = exc->order;
	exc->done_seq = exc->order_seq;
	while (read(exc->wake_fd, &wakes, sizeof(wakes)) > 0)
		continue;
	pthread_cond_signal(&exc->carried_out);
	pthread_mutex_unlock(&exc->lock);
}

/* --- Waiting -------------------------------------------------------------------------------------------------------------- */

static void
idle(struct ep_exc *exc)
{
	struct pollfd p[2] = {
		{.fd = exc->wake_fd, .events = POLLIN}, {.fd = exc->tap_fd, .events = POLLIN}};
	struct timespec wait = {0};
	unsigned int steps;

	if (exc->idle_rounds <= SILENT_ROUNDS)
		exc->idle_rounds++;
	if (exc->idle_rounds <= IDLE_YIELDS) {
		sched_yield();
		return;
	}
	steps = (exc->idle_rounds - IDLE_YIELDS) / IDLE_STEP_ROUNDS;
	if (exc->idle_rounds > SILENT_ROUNDS)
		wait.tv_nsec = (long)SLEEP_SILENT_NS;
	else if (steps > SLEEP_STEPS)
		wait.tv_nsec = (long)SLEEP_MAX_NS;
	else
		wait.tv_nsec = SLEEP_MIN_NS << steps;
	/* With frames in hand that the device does not take, the kernel's are no reason to wake up. */
	ppoll(p, exc->out_count > 0 ? 1 : 2, &wait, NULL);
}

void *
exc_thread(void *arg)
{
	struct ep_exc *exc = arg;

	prctl(PR_SET_TIMERSLACK, 1UL);
	/* The control connection's thread, and the workers, come first: a TCP stream must not take a CPU from them. */
	setpriority(PRIO_PROCESS, 0, 0);
	for (;;) {
		unsigned int work;

		order_carry_out(exc);
		if (exc->now.stop)
			return NULL;
		work = from_kernel(exc);
		work += to_kernel(exc);
		if (work > 0)
			exc->idle_rounds = 0;
		else
			idle(exc);
	}
}
