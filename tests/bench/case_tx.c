/* Sending: the initiator alone on a device that takes everything. */

#include "rig.h"

#include <rte_ethdev.h>

#include <errno.h>

#define WARM_NS (50 * EP_NS_PER_MS)

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
	double cycles[BENCH_SAMPLES], struct ep_err *err)
{
	struct rig *r = NULL;
	int ret = rig_open(b, cfg, &r, err);

	if (ret < 0)
		return ret;
	ret = rig_start(r, trial, err);
	if (ret == 0) {
		bench_sleep_ns(WARM_NS);
		ret = bench_watch(rig_accepted, r, cycles, err);
	}
	if (ret == 0)
		ret = rig_stop(r, err);
	if (ret == 0)
		ret = tx_check(r, err);
	rig_close(r);
	return ret;
}

int
bench_tx(const struct bench *b, double cycles[BENCH_SAMPLES], struct ep_err *err)
{
	const struct rig_cfg cfg = {.kind = RIG_SINK};
	const struct ep_engine_trial trial = rig_trial();

	return tx_run(b, &cfg, &trial, cycles, err);
}
