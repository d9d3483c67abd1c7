/* Receiving: the responder is fed from memory. */

#include "feed.h"

#include <errno.h>

static int
rx_check(const struct rig *r, const struct feed *f, bool echo, struct ep_err *err)
{
	const int ret = rig_check_received(r, feed_count(f), err);
	struct ep_engine_count c;

	ep_engine_count(r->engine, RIG_RESPONDER, &c);
	if (ret == 0 && c.accepted != (echo ? feed_count(f) : 0))
		return ep_err_set(err, -EIO, "%llu packets arrived, %llu answers left",
			(unsigned long long)feed_count(f), (unsigned long long)c.accepted);
	return ret;
}

static int
rx_run(const struct bench *b, const struct rig_cfg *cfg, const struct feed_cfg *feed, bool echo,
	struct bench_samples *samples, struct ep_err *err)
{
	struct ep_engine_trial trial = rig_trial();
	struct rig *r = NULL;
	struct feed *f = NULL;
	int ret = rig_open(b, cfg, &r, err);

	if (ret < 0)
		return ret;
	trial.stream_up = false;
	trial.echo = echo;
	ret = feed_open(b, r, feed, &f, err);
	if (ret < 0)
		goto out;
	ret = ep_engine_prepare(r->engine, &trial, err);
	if (ret == 0)
		ret = feed_run(f, err);
	ep_engine_stop(r->engine);
	if (ret == 0)
		ret = rx_check(r, f, echo, err);
	if (ret == 0)
		meter_samples(feed_meter(f), samples);
out:
	feed_close(f);
	rig_close(r);
	return ret;
}

int
bench_rx(const struct bench *b, struct bench_samples *samples, struct ep_err *err)
{
	const struct rig_cfg cfg = {.kind = RIG_SINKS};
	const struct feed_cfg feed = {.pass_pkts = 1024, .warm_passes = 16};

	return rx_run(b, &cfg, &feed, false, samples, err);
}

int
bench_echo(const struct bench *b, struct bench_samples *samples, struct ep_err *err)
{
	const struct rig_cfg cfg = {.kind = RIG_SINKS};
	const struct feed_cfg feed = {.pass_pkts = 1024, .warm_passes = 16};

	return rx_run(b, &cfg, &feed, true, samples, err);
}

/* The packets of a pass are few, so that it is the account's memory that is far: each of its 10,001,000 flows is met once in a
 * sweep. The first sweep, which gets the memory from the kernel, does not count. */
int
bench_rx_1e7(const struct bench *b, struct bench_samples *samples, struct ep_err *err)
{
	const struct rig_cfg cfg = {.kind = RIG_SINKS, .source_count = 1000};
	const struct feed_cfg feed = {.pass_pkts = 512, .warm_passes = 10001000 / 512 + 1};

	return rx_run(b, &cfg, &feed, false, samples, err);
}
