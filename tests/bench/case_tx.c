/* Sending: the initiator alone on a device that takes everything. */

#include "hook.h"

#include <errno.h>

#define DEV_SAMPLE_NS (EP_NS_PER_S / 5)
#define ECHO_WAITS 50 /* Until somebody sends: 10 s. */

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

/* --- A device of the user's ---------------------------------------------------------------------------------------------- */

/* Such a device pushes back: short bursts are not lost. */
static int
dev_check(const struct rig *r, struct ep_err *err)
{
	struct ep_engine_count c;
	struct ep_dev_stats stats;

	ep_engine_count(r->engine, RIG_INITIATOR, &c);
	ep_dev_stats(r->dev[RIG_INITIATOR], &stats);
	if (c.accepted == stats.opackets)
		return 0;
	return ep_err_set(err, -EIO, "the engine sent %llu packets, but the device took %llu",
		(unsigned long long)c.accepted, (unsigned long long)stats.opackets);
}

/* Slow ones, of the kernel: what counts is the time of many packets, so a sample is a stretch of the clock. */
static void
dev_sample(struct rig *r, struct bench_samples *samples)
{
	uint64_t count = rig_accepted(r), cycles = ep_engine_now_cycles();

	for (uint32_t i = 0; i < BENCH_SAMPLES; i++) {
		const uint64_t last_count = count, last_cycles = cycles;

		bench_sleep_ns(DEV_SAMPLE_NS);
		count = rig_accepted(r);
		cycles = ep_engine_now_cycles();
		samples->cycles[i] = (double)(cycles - last_cycles) / (double)(count - last_count);
	}
	samples->alone = true;
}

/*
 * The responder on the device of --dev: what somebody at its other end sends (case dev, which has the same key) is verified, accounted
 * and answered. The time of an answer is that of a packet.
 */
int
bench_dev_echo(const struct bench *b, struct bench_samples *samples, struct ep_err *err)
{
	const struct rig_cfg cfg = {.kind = RIG_SINK, .dev = b->dev, .answer = true};
	struct ep_engine_trial trial = rig_trial();
	struct ep_engine_count c;
	struct rig *r = NULL;
	int ret;

	if (b->dev == NULL)
		return ep_err_set(err, -EINVAL, "no device: --dev names one");
	trial.stream_up = false;
	trial.echo = true;
	ret = rig_open(b, &cfg, &r, err);
	if (ret < 0)
		return ret;
	ret = ep_engine_prepare(r->engine, &trial, err);
	for (int i = 0; ret == 0 && i < ECHO_WAITS && rig_accepted(r) == 0; i++)
		bench_sleep_ns(DEV_SAMPLE_NS);
	if (ret == 0) {
		dev_sample(r, samples);
		ep_engine_stop(r->engine);
		ep_engine_count(r->engine, RIG_INITIATOR, &c);
		if (c.accepted == 0 || c.bad_tag + c.foreign > 0)
			ret = ep_err_set(err, -EIO,
				"%llu answers; %llu packets have a wrong tag, %llu are no probes",
				(unsigned long long)c.accepted, (unsigned long long)c.bad_tag,
				(unsigned long long)c.foreign);
	}
	if (ret == 0)
		ret = dev_check(r, err);
	rig_close(r);
	return ret;
}

int
bench_dev(const struct bench *b, struct bench_samples *samples, struct ep_err *err)
{
	const struct rig_cfg cfg = {.kind = RIG_SINK, .dev = b->dev};
	const struct ep_engine_trial trial = rig_trial();
	struct rig *r = NULL;
	int ret;

	if (b->dev == NULL)
		return ep_err_set(err, -EINVAL, "no device: --dev names one");
	ret = rig_open(b, &cfg, &r, err);
	if (ret < 0)
		return ret;
	ret = rig_begin(r, &trial, err);
	if (ret == 0) {
		bench_sleep_ns(DEV_SAMPLE_NS);
		dev_sample(r, samples);
		while (b->endless)
			bench_sleep_ns(DEV_SAMPLE_NS);
		ret = rig_end(r, err);
	}
	if (ret == 0)
		ret = dev_check(r, err);
	rig_close(r);
	return ret;
}
