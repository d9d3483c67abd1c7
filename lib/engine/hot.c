#include "engine_priv.h"

/* The copies of the hot files, the best first. x86-64-v2 is what DPDK itself asks of a CPU. */

#define HOT_DECLARE(isa)                                       \
	lane_rx_fn rx_choose_##isa(const struct rx_choice *c); \
	lane_tx_fn tx_choose_##isa(const struct tx_choice *c);

#if defined(__x86_64__) && !defined(HOT_BASE_ONLY)
HOT_DECLARE(v4)
HOT_DECLARE(v3)
#endif
HOT_DECLARE(base)

static const struct hot hot_base = {"baseline", rx_choose_base, tx_choose_base};

#if defined(__x86_64__) && !defined(HOT_BASE_ONLY)

static const struct hot hot_v3 = {"x86-64-v3", rx_choose_v3, tx_choose_v3};
static const struct hot hot_v4 = {"x86-64-v4", rx_choose_v4, tx_choose_v4};

const struct hot *
hot_choose(void)
{
	if (__builtin_cpu_supports("x86-64-v4"))
		return &hot_v4;
	return __builtin_cpu_supports("x86-64-v3") ? &hot_v3 : &hot_base;
}

#else

const struct hot *
hot_choose(void)
{
	return &hot_base;
}

#endif
