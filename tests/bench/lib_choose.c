#include "lib_hot.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define HUGE_BYTES ((size_t)2 << 20)

#define LIB_DECLARE(isa)                         \
	void lib_perm_##isa(struct lib_work *w); \
	void lib_window_##isa(struct lib_work *w);

#ifdef __x86_64__
LIB_DECLARE(v4)
LIB_DECLARE(v3)
#endif
LIB_DECLARE(base)

/* The best first. */
static const struct lib_isa isas[] = {
#ifdef __x86_64__
	{"x86-64-v4", lib_perm_v4, lib_window_v4},
	{"x86-64-v3", lib_perm_v3, lib_window_v3},
#endif
	{"baseline", lib_perm_base, lib_window_base},
};

static bool
isa_runs(const char *name)
{
#ifdef __x86_64__
	if (strcmp(name, "x86-64-v4") == 0)
		return __builtin_cpu_supports("x86-64-v4");
	if (strcmp(name, "x86-64-v3") == 0)
		return __builtin_cpu_supports("x86-64-v3");
#endif
	return strcmp(name, "baseline") == 0;
}

const struct lib_isa *
lib_choose(void)
{
	size_t i = 0;

	while (!isa_runs(isas[i].name))
		i++;
	return &isas[i];
}

/* In huge pages where the kernel has them, as the engine's. */
static void *
table_create(size_t bytes)
{
	const size_t whole_bytes = (bytes + HUGE_BYTES - 1) / HUGE_BYTES * HUGE_BYTES;
	void *p = aligned_alloc(HUGE_BYTES, whole_bytes);

	if (p != NULL) {
		madvise(p, whole_bytes, MADV_HUGEPAGE);
		memset(p, 0, bytes);
	}
	return p;
}

int
lib_work_init(struct lib_work *w, struct ep_err *err)
{
	const struct ep_sched_cfg cfg = {.port_count = LIB_PORTS,
		.source_count = 1,
		.address_count = 1,
		.source_base = 20000,
		.source_span = 45000,
		.seed = 1};
	const int ret = ep_sched_init(&w->space, &cfg, err);

	if (ret < 0)
		return ret;
	w->cursor = ep_sched_shard(&w->space, 0, 1);
	w->acct.flow_count = LIB_PORTS;
	w->acct.port_count = LIB_PORTS;
	w->acct.flow = table_create(LIB_PORTS * sizeof(*w->acct.flow));
	w->acct.port = table_create(LIB_PORTS * sizeof(*w->acct.port));
	w->order = calloc(LIB_PORTS, sizeof(*w->order));
	if (w->acct.flow == NULL || w->acct.port == NULL || w->order == NULL)
		return ep_err_set(err, -ENOMEM, "no memory");
	for (uint32_t i = 0; i < LIB_PORTS; i++)
		w->order[i] = ep_sched_perm(&w->space, i);
	return 0;
}

void
lib_work_fini(struct lib_work *w)
{
	free(w->acct.flow);
	free(w->acct.port);
	free(w->order);
}
