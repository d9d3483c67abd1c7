/* The bare functions of the hot path, over bursts of 32. */

#include "lib_hot.h"
#include "meter.h"

#include <rte_cycles.h>
#include <rte_launch.h>
#include <rte_lcore.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LIB_BURSTS 128 /* Of a window. */
#define LIB_WARM_WINDOWS 50
#define LIB_TAG_BURSTS 8

/* A function under the meter. */
struct lib {
	struct meter meter;
	lib_burst_fn burst;
	uint64_t bursts; /* Done. */
	bool stop;
	struct lib_work work;
};

/* Until the main thread has enough: by this, it is always one worker core that is measured. */
static int
lib_loop(void *arg)
{
	struct lib *l = arg;

	while (!__atomic_load_n(&l->stop, __ATOMIC_RELAXED)) {
		meter_begin(&l->meter);
		for (int i = 0; i < LIB_BURSTS; i++)
			l->burst(&l->work);
		meter_end(&l->meter, rte_rdtsc(), LIB_BURSTS * EP_WIRE_BURST);
		l->bursts += LIB_BURSTS;
	}
	return 0;
}

static int
lib_run(const struct bench *b, struct lib *l, struct bench_samples *samples, struct ep_err *err)
{
	const unsigned int lcore_id = rte_get_next_lcore((unsigned int)-1, 1, 0);
	int ret;

	meter_reset(&l->meter, b, LIB_WARM_WINDOWS);
	ret = rte_eal_remote_launch(lib_loop, l, lcore_id);
	if (ret < 0)
		return ep_err_set(err, ret, "lcore %u is busy", lcore_id);
	ret = meter_wait(&l->meter, err);
	__atomic_store_n(&l->stop, true, __ATOMIC_RELAXED);
	rte_eal_wait_lcore(lcore_id);
	if (ret == 0)
		meter_samples(&l->meter, samples);
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

/* --- Tag -------------------------------------------------------------------------------------------------------------------- */

struct tag_work {
	struct lib lib;
	uint32_t next;
	struct ep_wire_tagger *tagger;
	struct ep_wire_block block[LIB_TAG_BURSTS][EP_WIRE_BURST];
	uint32_t tag[LIB_TAG_BURSTS][EP_WIRE_BURST];
};

static void
tag_burst(struct lib_work *w)
{
	struct tag_work *t = RTE_PTR_SUB(w, offsetof(struct tag_work, lib.work));
	const uint32_t i = t->next++ % LIB_TAG_BURSTS;

	ep_wire_tag_burst(t->tagger, t->block[i], t->tag[i], EP_WIRE_BURST);
}

/* Each is what the CMAC of RFC 4493 gives. */
static int
tag_check(const struct tag_work *t, const uint8_t *key, struct ep_err *err)
{
	for (uint32_t i = 0; i < LIB_TAG_BURSTS; i++)
		for (uint32_t k = 0; k < EP_WIRE_BURST; k++) {
			const struct ep_wire_block *block = &t->block[i][k];
			uint8_t mac[16];

			if (ep_wire_cmac(key, block->bytes_be, sizeof(*block), mac) < 0 ||
				ep_wire_get32(mac) != t->tag[i][k])
				return ep_err_set(err, -EIO, "tag %u of burst %u is wrong", k, i);
		}
	return 0;
}

int
bench_tag(const struct bench *b, struct bench_samples *samples, struct ep_err *err)
{
	static const uint8_t key[EP_WIRE_KEY_BYTES] = "sixteen bytes it";
	struct tag_work *t = aligned_alloc(64, RTE_ALIGN_CEIL(sizeof(*t), 64));
	int ret;

	if (t == NULL)
		return ep_err_set(err, -ENOMEM, "no memory");
	memset(t, 0, sizeof(*t));
	t->lib.burst = tag_burst;
	for (uint32_t i = 0; i < LIB_TAG_BURSTS; i++)
		for (uint32_t k = 0; k < EP_WIRE_BURST; k++)
			ep_wire_put32(t->block[i][k].bytes_be, i * EP_WIRE_BURST + k);
	ret = ep_wire_tagger_create(key, EP_WIRE_TAG_AUTO, &t->tagger);
	if (ret < 0)
		ep_err_set(err, ret, "AES cannot be set up: %s", strerror(-ret));
	else
		ret = lib_run(b, &t->lib, samples, err);
	if (ret == 0)
		ret = tag_check(t, key, err);
	ep_wire_tagger_destroy(t->tagger);
	free(t);
	return ret;
}

/* --- Permutation ------------------------------------------------------------------------------------------------------------ */

/* The last burst is what the permutation says of its positions. */
static int
perm_check(const struct lib *l, struct ep_err *err)
{
	const uint64_t first = (l->bursts - 1) * EP_WIRE_BURST;

	for (uint32_t i = 0; i < EP_WIRE_BURST; i++)
		if (l->work.flow[i] !=
				ep_sched_perm(
					&l->work.space, (uint32_t)((first + i) % LIB_PORTS)) ||
			l->work.seq[i] != (uint32_t)((first + i) / LIB_PORTS))
			return ep_err_set(err, -EIO, "probe %llu has flow %u and sequence %u",
				(unsigned long long)first + i, l->work.flow[i], l->work.seq[i]);
	return 0;
}

int
bench_perm(const struct bench *b, struct bench_samples *samples, struct ep_err *err)
{
	struct lib *l = lib_create(lib_choose()->perm);
	int ret;

	if (l == NULL)
		return ep_err_set(err, -ENOMEM, "no memory");
	ret = lib_work_init(&l->work, err);
	if (ret == 0)
		ret = lib_run(b, l, samples, err);
	if (ret == 0)
		ret = perm_check(l, err);
	lib_work_fini(&l->work);
	free(l);
	return ret;
}

/* --- Window ----------------------------------------------------------------------------------------------------------------- */

static int
window_check(const struct lib *l, struct ep_err *err)
{
	const struct ep_acct_port all = ep_acct_ports_sum(l->work.acct.port, LIB_PORTS);
	const uint64_t pushed = l->bursts * EP_WIRE_BURST;

	if (all.count[EP_ACCT_NEW] != pushed || ep_acct_received(&all) != pushed)
		return ep_err_set(err, -EIO,
			"%llu probes were accounted, %llu of them as new, but %llu are right",
			(unsigned long long)ep_acct_received(&all),
			(unsigned long long)all.count[EP_ACCT_NEW], (unsigned long long)pushed);
	return 0;
}

int
bench_window(const struct bench *b, struct bench_samples *samples, struct ep_err *err)
{
	struct lib *l = lib_create(lib_choose()->window);
	int ret;

	if (l == NULL)
		return ep_err_set(err, -ENOMEM, "no memory");
	ret = lib_work_init(&l->work, err);
	if (ret == 0)
		ret = lib_run(b, l, samples, err);
	if (ret == 0)
		ret = window_check(l, err);
	lib_work_fini(&l->work);
	free(l);
	return ret;
}
