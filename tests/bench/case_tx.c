/* Sending: the initiator alone on a device that takes everything. */

#include "hook.h"

#include <errno.h>

/* The NIC's count is not ours. */
static int
tx_check(const struct rig *r, struct ep_err *err)
{
	struct ep_engine_count c;
	struct ep_dev_stats stats;

	ep_engine_count(r->engine, RIG_INITIATOR, &c);
	ep_dev_stats(r->dev[RIG_INITIATOR], &stats);
	if (c.accepted != stats.opackets || c.tx_short != 0 || c.foreign != 0)
		return ep_err_set(err, -EIO,
			"the engine sent %llu packets in %llu short bursts and received %llu "
			"foreign ones, but "
			"the device took %llu",
			(unsigned long long)c.accepted, (unsigned long long)c.tx_short,
			(unsigned long long)c.foreign, (unsigned long long)stats.opackets);
	return 0;
}

static int
tx_run(const struct bench *b, const struct rig_cfg *cfg, const struct ep_engine_trial *trial,
	struct bench_samples *samples, struct ep_err *err)
{
	struct hook *h = NULL;
	struct rig *r = NULL;
	int ret = rig_open(b, cfg, &r, err);

	if (ret < 0)
		return ret;
	ret = hook_open(b, r->info[RIG_INITIATOR].port_id, rig_accepted, r, &h, err);
	if (ret < 0)
		goto out;
	ret = rig_measure(r, trial, hook_meter(h), err);
	if (ret == 0)
		ret = tx_check(r, err);
	if (ret == 0)
		meter_samples(hook_meter(h), samples);
out:
	hook_close(h);
	rig_close(r);
	return ret;
}

int
bench_tx(const struct bench *b, struct bench_samples *samples, struct ep_err *err)
{
	const struct rig_cfg cfg = {.kind = RIG_SINK};
	const struct ep_engine_trial trial = rig_trial();

	return tx_run(b, &cfg, &trial, samples, err);
}

int
bench_tx_stamp(const struct bench *b, struct bench_samples *samples, struct ep_err *err)
{
	const struct rig_cfg cfg = {.kind = RIG_SINK};
	struct ep_engine_trial trial = rig_trial();

	trial.stamp = EP_ENGINE_STAMP_PACKET;
	return tx_run(b, &cfg, &trial, samples, err);
}

/* 10,001 ports x 1,000 source ports x 100 addresses. */
int
bench_tx_1e9(const struct bench *b, struct bench_samples *samples, struct ep_err *err)
{
	const struct rig_cfg cfg = {.kind = RIG_SINK, .source_count = 1000, .address_count = 100};
	const struct ep_engine_trial trial = rig_trial();

	return tx_run(b, &cfg, &trial, samples, err);
}
