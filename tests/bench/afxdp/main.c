/*
 * What a packet costs everyport on AF_XDP, beside a bare program (turns.h).
 *
 *   ep_bench_xdp DEV CPU                            both send as fast as the driver takes it
 *   ep_bench_xdp DEV CPU NETNS PEER-DEV PEER-CPU    both send back what its peer sends (xdp_feed.h)
 *
 * Prints a JSON object: the medians over the stretches [TSC cycles a packet, Mpps], and the ratio of everyport's packet rate to the
 * bare program's: median and quartiles of the pairs' own. Exit codes: 0 done, 1 everyport's account was wrong, 2 wrong usage, 3 this
 * host lacks something.
 */

#include "turns.h"

#include <ep_dev.h>

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAIRS 200
#define SPARE_PAIRS 20 /* To get warm, and until everybody has seen that it is over. */
#define POLL_NS (10 * EP_NS_PER_MS)
#define WAIT_NS (60 * EP_NS_PER_S)
#define MEMORY_MIB 256
#define PRIORITY 10
#define EXIT_ACCOUNT 1
#define EXIT_USAGE 2
#define EXIT_ENVIRONMENT 3

static int
double_order(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void
print(const struct turns_pair *pair, uint32_t count, const struct ep_engine_clock *clock)
{
	double bare[PAIRS], everyport[PAIRS], ratio[PAIRS];
	const double mhz = clock->hz / 1e6;

	for (uint32_t i = 0; i < count; i++) {
		bare[i] = pair[i].bare;
		everyport[i] = pair[i].everyport;
		ratio[i] = pair[i].bare / pair[i].everyport;
	}
	qsort(bare, count, sizeof(*bare), double_order);
	qsort(everyport, count, sizeof(*everyport), double_order);
	qsort(ratio, count, sizeof(*ratio), double_order);
	printf("{\"pairs\": %u, \"bare_cycles\": %.1f, \"everyport_cycles\": %.1f, "
	       "\"bare_mpps\": %.4f, \"everyport_mpps\": %.4f, \"ratio\": %.4f, \"ratio_p25\": "
	       "%.4f, \"ratio_p75\": %.4f}\n",
		count, bare[count / 2], everyport[count / 2], mhz / bare[count / 2],
		mhz / everyport[count / 2], ratio[count / 2], ratio[count / 4],
		ratio[count * 3 / 4]);
}

/* Each probe that it was given is a first copy, the next one of its flow, and answered. */
static int
account_check(const struct rig *r, const struct turns *t, struct ep_err *err)
{
	struct ep_engine_count c;

	ep_engine_count(r->engine, RIG_INITIATOR, &c);
	if (c.first == turns_given(t) && c.accepted == c.first && c.received == c.first &&
		c.bad_tag + c.foreign == 0)
		return 0;
	return ep_err_set(err, -EBADMSG,
		"of %llu probes %llu were received, %llu for the first time, and %llu answered; "
		"%llu have a wrong tag, %llu are no probes",
		(unsigned long long)turns_given(t), (unsigned long long)c.received,
		(unsigned long long)c.first, (unsigned long long)c.accepted,
		(unsigned long long)c.bad_tag, (unsigned long long)c.foreign);
}

static int
measure(struct rig *r, struct xdp_feed *feed, const struct ep_engine_clock *clock,
	struct ep_err *err)
{
	struct ep_engine_trial trial = rig_trial();
	struct turns *t = NULL;
	uint32_t count = 0;
	int ret = turns_open(r, feed, &t, err);

	trial.stream_up = feed == NULL;
	trial.echo = feed != NULL;
	if (ret == 0)
		ret = feed == NULL ? rig_begin(r, &trial, err)
				   : ep_engine_prepare(r->engine, &trial, err);
	if (ret == 0) {
		if (feed != NULL)
			xdp_feed_taken(feed, 0);
		for (uint64_t ns = 0; ns < WAIT_NS && count < PAIRS; ns += POLL_NS) {
			bench_sleep_ns(POLL_NS);
			count = turns_count(t);
		}
		ep_engine_stop(r->engine);
		if (count < PAIRS)
			ret = ep_err_set(err, -ETIMEDOUT, "%u of %u stretches in %llu s", count,
				PAIRS, (unsigned long long)(WAIT_NS / EP_NS_PER_S));
	}
	if (ret == 0 && feed != NULL)
		ret = account_check(r, t, err);
	if (ret == 0)
		print(turns_pairs(t), PAIRS, clock);
	turns_close(t);
	return ret;
}

static int
cpu_parse(const char *text, const char *what, uint16_t *cpu, struct ep_err *err)
{
	uint64_t number = 0;
	const int ret = ep_count_parse(text, what, 0, CPU_SETSIZE - 1, &number, err);

	*cpu = (uint16_t)number;
	return ret;
}

static int
run(const char *dev, uint16_t cpu, struct xdp_feed *feed, struct ep_err *err)
{
	struct bench b = {.core = {cpu}, .core_count = 1};
	const struct ep_dev_eal_cfg eal = {
		.memory_mib = MEMORY_MIB, .worker_count = 1, .cores = b.core};
	const struct rig_cfg cfg = {.kind = RIG_SINK, .dev = dev, .answer = feed != NULL};
	struct rig *r = NULL;
	int ret;

	sched_setscheduler(0, SCHED_RR, &(struct sched_param){.sched_priority = PRIORITY});
	ret = ep_dev_eal_init(&eal, err);
	if (ret < 0)
		return ret;
	ep_engine_clock_calibrate(&b.clock);
	ret = rig_open(&b, &cfg, &r, err);
	if (ret == 0)
		ret = measure(r, feed, &b.clock, err);
	rig_close(r);
	ep_dev_eal_fini();
	return ret;
}

int
main(int argc, char **argv)
{
	struct xdp_feed_cfg cfg = {.pairs = PAIRS + SPARE_PAIRS};
	struct xdp_feed *feed = NULL;
	struct ep_err err = {0};
	uint16_t cpu;
	int ret = 0;

	if (argc != 3 && argc != 6) {
		fprintf(stderr, "usage: ep_bench_xdp DEV CPU [NETNS PEER-DEV PEER-CPU]\n");
		return EXIT_USAGE;
	}
	if (cpu_parse(argv[2], "CPU", &cpu, &err) < 0 ||
		(argc == 6 && cpu_parse(argv[5], "PEER-CPU", &cfg.cpu, &err) < 0)) {
		fprintf(stderr, "ep_bench_xdp: %s\n", err.text);
		return EXIT_USAGE;
	}
	if (argc == 6) {
		cfg.netns = argv[3];
		cfg.interface = argv[4];
		ret = xdp_feed_start(&cfg, &feed, &err);
	}
	if (ret == 0)
		ret = run(argv[1], cpu, feed, &err);
	xdp_feed_stop(feed);
	if (ret < 0)
		fprintf(stderr, "ep_bench_xdp: %s\n", err.text);
	return ret == 0 ? EXIT_SUCCESS : ret == -EBADMSG ? EXIT_ACCOUNT : EXIT_ENVIRONMENT;
}
