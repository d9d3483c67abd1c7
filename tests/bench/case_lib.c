/* The bare functions of the hot path, over bursts of 32. */

#include "meter.h"

#include <rte_cycles.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_prefetch.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LIB_BURSTS 128 /* Of a window. */
#define LIB_WARM_WINDOWS 50
#define LIB_PORTS 10001
#define LIB_TAG_BURSTS 8
#define HUGE_BYTES ((size_t)2 << 20)

struct lib;
typedef void (*lib_burst_fn)(struct lib *l);

struct lib {
	struct meter meter;
	lib_burst_fn burst;
	uint64_t bursts; /* Done. */
	bool stop;

	struct ep_sched space;
	struct ep_sched_cursor cursor;
	uint32_t flow[EP_WIRE_BURST];
	uint32_t seq[EP_WIRE_BURST];

	struct ep_wire_tagger *tagger;
	struct ep_wire_block block[LIB_TAG_BURSTS][EP_WIRE_BURST];
	uint32_t tag[LIB_TAG_BURSTS][EP_WIRE_BURST];

	struct ep_acct acct;
	uint32_t *order; /* [LIB_PORTS] flows as they arrive. */
	uint32_t next;
	uint32_t sweep;
};

/* Until the main thread has enough: by this, it is always one worker core that is measured. */
static int
lib_loop(void *arg)
{
	struct lib *l = arg;

	while (!__atomic_load_n(&l->stop, __ATOMIC_RELAXED)) {
		meter_begin(&l->meter);
		for (int i = 0; i < LIB_BURSTS; i++)
			l->burst(l);
		meter_end(&l->meter, rte_rdtsc(), LIB_BURSTS * EP_WIRE_BURST);
		l->bursts += LIB_BURSTS;
	}
	return 0;
}

static int
lib_run(struct lib *l, struct bench_samples *samples, struct ep_err *err)
{
	const unsigned int lcore_id = rte_get_next_lcore((unsigned int)-1, 1, 0);
	int ret;

	meter_reset(&l->meter, LIB_WARM_WINDOWS);
	ret = rte_eal_remote_launch(lib_loop, l, lcore_id);
	if (ret < 0)
		return ep_err_set(err, ret, "lcore %u is busy", lcore_id);
	ret = meter_wait(&l->meter, err);
	__atomic_store_n(&l->stop, true, __ATOMIC_RELAXED);
	rte_eal_wait_lcore(lcore_id);
	if (ret == 0)
		samples->alone = meter_samples(&l->meter, samples->cycles);
	return ret;
}

static struct lib *
lib_create(lib_burst_fn burst)
{
	struct lib *l = aligned_alloc(64, RTE_ALIGN_CEIL(sizeof(*l), 64));

	if (l != NULL) {
		memset(l, 0, sizeof(*l));
		l->burst = burst;
	}
	return l;
}

static int
lib_space(struct lib *l, struct ep_err *err)
{
	const struct ep_sched_cfg cfg = {.port_count = LIB_PORTS,
		.source_count = 1,
		.address_count = 1,
		.source_base = 20000,
		.source_span = 45000,
		.seed = 1};
	const int ret = ep_sched_init(&l->space, &cfg, err);

	if (ret == 0)
		l->cursor = ep_sched_shard(&l->space, 0, 1);
	return ret;
}

/* --- Tag -------------------------------------------------------------------------------------------------------------------- */

static void
tag_burst(struct lib *l)
{
	const uint32_t i = l->next++ % LIB_TAG_BURSTS;

	ep_wire_tag_burst(l->tagger, l->block[i], l->tag[i], EP_WIRE_BURST);
}

/* Each is what the CMAC of RFC 4493 gives. */
static int
tag_check(const struct lib *l, const uint8_t *key, struct ep_err *err)
{
	for (uint32_t i = 0; i < LIB_TAG_BURSTS; i++)
		for (uint32_t k = 0; k < EP_WIRE_BURST; k++) {
			uint8_t mac[16];

			if (ep_wire_cmac(key, l->block[i][k].bytes_be, sizeof(l->block[i][k]),
				    mac) < 0 ||
				ep_wire_get32(mac) != l->tag[i][k])
				return ep_err_set(err, -EIO, "tag %u of burst %u is wrong", k, i);
		}
	return 0;
}

int
bench_tag(const struct bench *b, struct bench_samples *samples, struct ep_err *err)
{
	static const uint8_t key[EP_WIRE_KEY_BYTES] = "sixteen bytes it";
	struct lib *l = lib_create(tag_burst);
	int ret;

	(void)b;
	if (l == NULL)
		return ep_err_set(err, -ENOMEM, "no memory");
	for (uint32_t i = 0; i < LIB_TAG_BURSTS; i++)
		for (uint32_t k = 0; k < EP_WIRE_BURST; k++)
			ep_wire_put32(l->block[i][k].bytes_be, i * EP_WIRE_BURST + k);
	ret = ep_wire_tagger_create(key, EP_WIRE_TAG_AUTO, &l->tagger);
	if (ret < 0)
		ep_err_set(err, ret, "AES cannot be set up: %s", strerror(-ret));
	else
		ret = lib_run(l, samples, err);
	if (ret == 0)
		ret = tag_check(l, key, err);
	ep_wire_tagger_destroy(l->tagger);
	free(l);
	return ret;
}

/* --- Permutation ------------------------------------------------------------------------------------------------------------ */

static void
perm_burst(struct lib *l)
{
#ifdef EP_SCHED_BURST
	ep_sched_next_burst(&l->space, &l->cursor, EP_WIRE_BURST, l->flow, l->seq);
#else
	for (uint32_t i = 0; i < EP_WIRE_BURST; i++) {
		uint64_t seq;

		l->flow[i] = ep_sched_next(&l->space, &l->cursor, &seq);
		l->seq[i] = (uint32_t)seq;
	}
#endif
	__asm__ volatile("" : : "r"(l->flow), "r"(l->seq) : "memory");
}

/* The last burst is what the permutation says of its positions. */
static int
perm_check(const struct lib *l, struct ep_err *err)
{
	const uint64_t first = (l->bursts - 1) * EP_WIRE_BURST;

	for (uint32_t i = 0; i < EP_WIRE_BURST; i++)
		if (l->flow[i] != ep_sched_perm(&l->space, (uint32_t)((first + i) % LIB_PORTS)) ||
			l->seq[i] != (uint32_t)((first + i) / LIB_PORTS))
			return ep_err_set(err, -EIO, "probe %llu has flow %u and sequence %u",
				(unsigned long long)first + i, l->flow[i], l->seq[i]);
	return 0;
}

int
bench_perm(const struct bench *b, struct bench_samples *samples, struct ep_err *err)
{
	struct lib *l = lib_create(perm_burst);
	int ret;

	(void)b;
	if (l == NULL)
		return ep_err_set(err, -ENOMEM, "no memory");
	ret = lib_space(l, err);
	if (ret == 0)
		ret = lib_run(l, samples, err);
	if (ret == 0)
		ret = perm_check(l, err);
	free(l);
	return ret;
}

/* --- Window ----------------------------------------------------------------------------------------------------------------- */

/* One probe of each port, in the order in which they are sent, then the next one of each. As the engine does, a burst's lines are
 * asked for beforehand. */
static void
window_burst(struct lib *l)
{
	uint32_t flow[EP_WIRE_BURST], seq[EP_WIRE_BURST];

	for (uint32_t i = 0; i < EP_WIRE_BURST; i++) {
		flow[i] = l->order[l->next];
		seq[i] = l->sweep;
		rte_prefetch0(&l->acct.flow[flow[i]]);
		rte_prefetch0(&l->acct.port[flow[i]]);
		if (++l->next == LIB_PORTS) {
			l->next = 0;
			l->sweep++;
		}
	}
	for (uint32_t i = 0; i < EP_WIRE_BURST; i++)
		ep_acct_push(&l->acct, flow[i], flow[i], seq[i], 64);
}

static int
window_check(const struct lib *l, struct ep_err *err)
{
	const struct ep_acct_port all = ep_acct_ports_sum(l->acct.port, LIB_PORTS);
	const uint64_t pushed = l->bursts * EP_WIRE_BURST;

	if (all.count[EP_ACCT_NEW] != pushed || ep_acct_received(&all) != pushed)
		return ep_err_set(err, -EIO,
			"%llu probes were accounted, %llu of them as new, but %llu are right",
			(unsigned long long)ep_acct_received(&all),
			(unsigned long long)all.count[EP_ACCT_NEW], (unsigned long long)pushed);
	return 0;
}

/* In huge pages where the kernel has them, as the engine's. */
static void *
table_create(size_t bytes)
{
	void *p = aligned_alloc(HUGE_BYTES, RTE_ALIGN_CEIL(bytes, HUGE_BYTES));

	if (p != NULL) {
		madvise(p, RTE_ALIGN_CEIL(bytes, HUGE_BYTES), MADV_HUGEPAGE);
		memset(p, 0, bytes);
	}
	return p;
}

static int
window_tables(struct lib *l, struct ep_err *err)
{
	l->acct.flow_count = LIB_PORTS;
	l->acct.port_count = LIB_PORTS;
	l->acct.flow = table_create(LIB_PORTS * sizeof(*l->acct.flow));
	l->acct.port = table_create(LIB_PORTS * sizeof(*l->acct.port));
	l->order = calloc(LIB_PORTS, sizeof(*l->order));
	if (l->acct.flow == NULL || l->acct.port == NULL || l->order == NULL)
		return ep_err_set(err, -ENOMEM, "no memory");
	for (uint32_t i = 0; i < LIB_PORTS; i++)
		l->order[i] = ep_sched_perm(&l->space, i);
	return 0;
}

int
bench_window(const struct bench *b, struct bench_samples *samples, struct ep_err *err)
{
	struct lib *l = lib_create(window_burst);
	int ret;

	(void)b;
	if (l == NULL)
		return ep_err_set(err, -ENOMEM, "no memory");
	ret = lib_space(l, err);
	if (ret == 0)
		ret = window_tables(l, err);
	if (ret == 0)
		ret = lib_run(l, samples, err);
	if (ret == 0)
		ret = window_check(l, err);
	free(l->acct.flow);
	free(l->acct.port);
	free(l->order);
	free(l);
	return ret;
}
