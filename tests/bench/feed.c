#include "feed.h"

#include "probe.h"

#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Room for a frame of 64 B, so that the packets stay in the caches as far as 10,001 of them can. */
#define FEED_BUF_BYTES 64
/* As a device's pool has it, and more than the cache may hold back. */
#define FEED_POOL_CACHE 256
#define FEED_SPARE_MBUFS 1024
#define HUGE_BYTES (2u << 20)
#define FEED_POLL_NS EP_NS_PER_MS
#define FEED_POLLS 1000
/* Probes have been under way for up to this long, evenly spread [ns]. */
#define FEED_TRANSIT_NS_MASK ((1u << 20) - 1)

enum feed_state { FEED_IDLE, FEED_HANDING_OUT, FEED_STOPPED, FEED_FAILED };

struct feed {
	/* Read-only while the worker runs. */
	const struct rig *rig;
	struct ep_engine_clock clock;
	struct rte_eth_fp_ops saved;
	void *queue_data[1];
	struct rte_mempool *pool;
	void *memory; /* Of the pool. */
	size_t memory_bytes;
	uint32_t pass_pkts;
	struct rte_mbuf **mbuf; /* [pass_pkts] */

	/* The worker's. */
	alignas(RTE_CACHE_LINE_SIZE) struct probe_writer writer;
	uint64_t random;
	uint32_t next;
	uint64_t handed_out;
	enum feed_state state; /* Read by the main thread. */
	struct meter meter;

	/* The main thread's. */
	alignas(RTE_CACHE_LINE_SIZE) bool stop;
};

/* xorshift64: no more than variety is needed. */
static uint32_t
feed_random(struct feed *f)
{
	f->random ^= f->random << 13;
	f->random ^= f->random >> 7;
	f->random ^= f->random << 17;
	return (uint32_t)f->random;
}

static uint32_t
feed_now_ns(const struct feed *f)
{
	return (uint32_t)(((unsigned __int128)(rte_rdtsc() - f->clock.base_cycles) *
				  f->clock.ns_mult) >>
		32);
}

/* Up to a burst of probes. */
static void
feed_burst(struct feed *f, struct rte_mbuf **mbuf, uint32_t count)
{
	uint8_t *frame[EP_WIRE_BURST];
	uint32_t time_ns[EP_WIRE_BURST];

	for (uint32_t i = 0; i < count; i++) {
		frame[i] = rte_pktmbuf_mtod(mbuf[i], uint8_t *);
		time_ns[i] = feed_now_ns(f) - (feed_random(f) & FEED_TRANSIT_NS_MASK);
		mbuf[i]->data_len = PROBE_BYTES;
		mbuf[i]->pkt_len = PROBE_BYTES;
	}
	probe_write(&f->writer, frame, time_ns, count);
}

/* Not counted as receiving (instructions.c), so never inlined. */
static __rte_noinline bool
feed_fill(struct feed *f)
{
	if (rte_pktmbuf_alloc_bulk(f->pool, f->mbuf, f->pass_pkts) != 0)
		return false;
	for (uint32_t i = 0; i < f->pass_pkts; i += EP_WIRE_BURST)
		feed_burst(f, &f->mbuf[i], RTE_MIN(f->pass_pkts - i, (uint32_t)EP_WIRE_BURST));
	f->next = 0;
	return true;
}

static void
feed_state_set(struct feed *f, enum feed_state state)
{
	__atomic_store_n(&f->state, state, __ATOMIC_RELEASE);
}

/* Whoever receives has dealt with the last burst when it asks for another one. */
static void
feed_pass_end(struct feed *f)
{
	meter_end(&f->meter, rte_rdtsc(), f->pass_pkts);
	f->handed_out += f->pass_pkts;
	feed_state_set(f, FEED_IDLE);
}

static __rte_noinline void
feed_pass_begin(struct feed *f)
{
	if (f->state != FEED_IDLE)
		return;
	if (__atomic_load_n(&f->stop, __ATOMIC_RELAXED)) {
		feed_state_set(f, FEED_STOPPED);
		return;
	}
	if (!feed_fill(f)) {
		feed_state_set(f, FEED_FAILED);
		return;
	}
	feed_state_set(f, FEED_HANDING_OUT);
	meter_begin(&f->meter);
}

/* The receive function. */
static uint16_t
feed_receive(void *queue, struct rte_mbuf **mbuf, uint16_t count)
{
	struct feed *f = queue;
	uint32_t n;

	if (f->state == FEED_HANDING_OUT && f->next == f->pass_pkts)
		feed_pass_end(f);
	if (f->state != FEED_HANDING_OUT)
		feed_pass_begin(f);
	if (f->state != FEED_HANDING_OUT)
		return 0;
	n = RTE_MIN(f->pass_pkts - f->next, (uint32_t)count);
	memcpy(mbuf, &f->mbuf[f->next], n * sizeof(*mbuf));
	f->next += n;
	return (uint16_t)n;
}

/* A pool in huge pages where the kernel has them: which small pages it happens to get decides how well it fits the caches, and no
 * two runs would agree. */
static int
pool_create(struct feed *f)
{
	const struct rte_pktmbuf_pool_private private = {
		.mbuf_data_room_size = RTE_PKTMBUF_HEADROOM + FEED_BUF_BYTES};
	const unsigned int count = f->pass_pkts + FEED_SPARE_MBUFS;

	f->pool = rte_mempool_create_empty("bench_feed", count,
		sizeof(struct rte_mbuf) + private.mbuf_data_room_size, FEED_POOL_CACHE,
		sizeof(private), SOCKET_ID_ANY, 0);
	if (f->pool == NULL)
		return -rte_errno;
	rte_pktmbuf_pool_init(f->pool, NULL);
	memcpy(rte_mempool_get_priv(f->pool), &private, sizeof(private));
	f->memory_bytes = RTE_ALIGN_CEIL(
		(size_t)count * (f->pool->header_size + f->pool->elt_size + f->pool->trailer_size),
		HUGE_BYTES);
	f->memory = mmap(NULL, f->memory_bytes + HUGE_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (f->memory == MAP_FAILED)
		return -errno;

	char *const aligned = RTE_PTR_ALIGN_CEIL((char *)f->memory, HUGE_BYTES);

	madvise(aligned, f->memory_bytes, MADV_HUGEPAGE);
	memset(aligned, 0, f->memory_bytes);
	if (rte_mempool_populate_virt(f->pool, aligned, f->memory_bytes, HUGE_BYTES, NULL, NULL) <
		(int)count)
		return -ENOMEM;
	rte_mempool_obj_iter(f->pool, rte_pktmbuf_init, NULL);
	return 0;
}

int
feed_open(const struct bench *b, const struct rig *r, const struct feed_cfg *cfg, struct feed **out,
	struct ep_err *err)
{
	struct feed *f = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*f));
	struct rte_eth_fp_ops *ops = &rte_eth_fp_ops[r->info[RIG_RESPONDER].port_id];
	int ret = -ENOMEM;

	if (f == NULL)
		return ep_err_set(err, -ENOMEM, "no memory");
	memset(f, 0, sizeof(*f));
	f->rig = r;
	f->clock = b->clock;
	f->pass_pkts = cfg->pass_pkts;
	meter_reset(&f->meter, b, cfg->warm_passes);
	f->random = 1;
	f->saved = *ops;
	f->mbuf = calloc(f->pass_pkts, sizeof(struct rte_mbuf *));
	if (f->mbuf != NULL)
		ret = pool_create(f);
	if (ret == 0)
		ret = probe_writer_open(
			&f->writer, &r->range, &r->space, &r->ends[RIG_INITIATOR], err);
	if (ret < 0) {
		feed_close(f);
		return ep_err_set(err, ret, "packets cannot be prepared: %s", strerror(-ret));
	}
	f->queue_data[0] = f;
	ops->rxq.data = f->queue_data;
	ops->rx_pkt_burst = feed_receive;
	*out = f;
	return 0;
}

void
feed_close(struct feed *f)
{
	if (f == NULL)
		return;
	rte_eth_fp_ops[f->rig->info[RIG_RESPONDER].port_id] = f->saved;
	probe_writer_close(&f->writer);
	rte_mempool_free(f->pool);
	if (f->memory != MAP_FAILED && f->memory != NULL)
		munmap(f->memory, f->memory_bytes + HUGE_BYTES);
	free(f->mbuf);
	free(f);
}

/* The pass under way is brought to its end. */
static int
feed_end(struct feed *f, struct ep_err *err)
{
	enum feed_state state = FEED_IDLE;

	__atomic_store_n(&f->stop, true, __ATOMIC_RELAXED);
	for (int i = 0; i < FEED_POLLS && state != FEED_STOPPED && state != FEED_FAILED; i++) {
		bench_sleep_ns(FEED_POLL_NS);
		state = __atomic_load_n(&f->state, __ATOMIC_ACQUIRE);
	}
	if (state == FEED_FAILED)
		return ep_err_set(err, -ENOMEM, "packet buffers do not come back");
	return state == FEED_STOPPED ? 0 : ep_err_set(err, -EIO, "the worker takes no packets");
}

int
feed_run(struct feed *f, struct ep_err *err)
{
	const int ret = meter_wait(&f->meter, err);

	return ret < 0 ? ret : feed_end(f, err);
}

const struct meter *
feed_meter(const struct feed *f)
{
	return &f->meter;
}

uint64_t
feed_count(const struct feed *f)
{
	return f->handed_out;
}
