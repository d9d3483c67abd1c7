/* Both sides of a loop on one core: what is counted is what the responder got. */

#include "rig.h"

#define WARM_NS (50 * EP_NS_PER_MS)

static int
loop_run(const struct bench *b, const struct rig_cfg *cfg, double cycles[BENCH_SAMPLES],
	struct ep_err *err)
{
	const struct ep_engine_trial trial = rig_trial();
	struct rig *r = NULL;
	int ret = rig_open(b, cfg, &r, err);

	if (ret < 0)
		return ret;
	ret = rig_start(r, &trial, err);
	if (ret == 0) {
		bench_sleep_ns(WARM_NS);
		ret = bench_watch(rig_first, r, cycles, err);
	}
	if (ret == 0)
		ret = rig_stop(r, err);
	if (ret == 0)
		ret = rig_check_received(r, rig_accepted(r), err);
	rig_close(r);
	return ret;
}

int
bench_loop_ring(const struct bench *b, double cycles[BENCH_SAMPLES], struct ep_err *err)
{
	const struct rig_cfg cfg = {.kind = RIG_RING};

	return loop_run(b, &cfg, cycles, err);
}

int
bench_loop_memif(const struct bench *b, double cycles[BENCH_SAMPLES], struct ep_err *err)
{
	const struct rig_cfg cfg = {.kind = RIG_MEMIF, .ring_descs = 2048};

	return loop_run(b, &cfg, cycles, err);
}
