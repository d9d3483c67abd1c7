/* Receiving: the responder is fed from memory. */

#include "feed.h"

#include <errno.h>

/* Passes of a sample over all 10,001 ports. */
#define RX_PASSES 15

static int
rx_samples(struct feed *f, uint32_t passes, double cycles[BENCH_SAMPLES], struct ep_err *err)
{
	double pass[64];
	int ret = 0;

	assert(passes <= EP_ARRAY_LEN(pass));
	for (int i = 0; i < BENCH_SAMPLES && ret == 0; i++) {
		ret = feed_pass(f, passes, pass, err);
		cycles[i] = bench_median(pass, passes);
	}
	return ret;
}

static int
rx_run(const struct bench *b, bool echo, double cycles[BENCH_SAMPLES], struct ep_err *err)
{
	const struct rig_cfg cfg = {.kind = RIG_SINKS};
	struct ep_engine_trial trial = rig_trial();
	struct ep_engine_count c;
	struct rig *r = NULL;
	struct feed *f = NULL;
	int ret = rig_open(b, &cfg, &r, err);

	if (ret < 0)
		return ret;
	trial.stream_up = false;
	trial.echo = echo;
	ret = feed_open(b, r, r->range.port_count, &f, err);
	if (ret < 0)
		goto out;
	ret = rig_start(r, &trial, err);
	if (ret == 0)
		ret = feed_pass(f, RX_PASSES, NULL, err);
	if (ret == 0)
		ret = rx_samples(f, RX_PASSES, cycles, err);
	ep_engine_stop(r->engine);
	if (ret == 0)
		ret = rig_check_received(r, feed_count(f), err);
	ep_engine_count(r->engine, RIG_RESPONDER, &c);
	if (ret == 0 && c.accepted != (echo ? feed_count(f) : 0))
		ret = ep_err_set(err, -EIO, "%llu packets were answered, %llu times",
			(unsigned long long)feed_count(f), (unsigned long long)c.accepted);
out:
	feed_close(f);
	rig_close(r);
	return ret;
}

int
bench_rx(const struct bench *b, double cycles[BENCH_SAMPLES], struct ep_err *err)
{
	return rx_run(b, false, cycles, err);
}

int
bench_echo(const struct bench *b, double cycles[BENCH_SAMPLES], struct ep_err *err)
{
	return rx_run(b, true, cycles, err);
}
