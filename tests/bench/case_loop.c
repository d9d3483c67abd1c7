/* Both sides of a loop on one core: what is counted is what the responder got. */

#include "hook.h"

static int
loop_run(const struct bench *b, const struct rig_cfg *cfg, struct bench_samples *samples,
	struct ep_err *err)
{
	const struct ep_engine_trial trial = rig_trial();
	struct hook *h = NULL;
	struct rig *r = NULL;
	int ret = rig_open(b, cfg, &r, err);

	if (ret < 0)
		return ret;
	ret = hook_open(b, r->info[RIG_INITIATOR].port_id, rig_first, r, &h, err);
	if (ret < 0)
		goto out;
	ret = rig_measure(r, &trial, hook_meter(h), err);
	if (ret == 0)
		ret = rig_check_received(r, rig_accepted(r), err);
	if (ret == 0)
		meter_samples(hook_meter(h), samples);
out:
	hook_close(h);
	rig_close(r);
	return ret;
}

int
bench_loop_ring(const struct bench *b, struct bench_samples *samples, struct ep_err *err)
{
	const struct rig_cfg cfg = {.kind = RIG_RING};

	return loop_run(b, &cfg, samples, err);
}

int
bench_loop_memif(const struct bench *b, struct bench_samples *samples, struct ep_err *err)
{
	const struct rig_cfg cfg = {.kind = RIG_MEMIF};

	return loop_run(b, &cfg, samples, err);
}
