/* ep_bench: what a packet costs on the data path, in TSC cycles. See docs/performance.md. */

#include "bench.h"

#include <ep_dev.h>

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_MIB 256
#define EXIT_FAILED 1
#define EXIT_USAGE 2
#define EXIT_ENVIRONMENT 3
#define PRIORITY 10

struct row {
	const char *name;
	bench_case_fn run;
	const char *help;
};

static const struct row rows[] = {
	{"tx", bench_tx, "send to net_null: 64 B, 10,001 ports, a time stamp a burst"},
	{"rx", bench_rx, "receive and account packets that are in memory"},
	{"echo", bench_echo, "receive, account, answer to net_null"},
	{"loop_ring", bench_loop_ring, "both sides of the in-memory pair on one core, up"},
	{"loop_memif", bench_loop_memif, "the same over two net_memif of one process"},
	{"tx_stamp", bench_tx_stamp, "tx with a time stamp a packet"},
	{"tx_1e9", bench_tx_1e9, "tx with 10^9 flows: ports x source ports x addresses"},
	{"rx_1e7", bench_rx_1e7, "rx with 10^7 flows in random order"},
	{"tag", bench_tag, "the tags alone"},
	{"perm", bench_perm, "the order of the flows alone"},
	{"window", bench_window, "the account alone, ports in random order"},
	{"tx_2", bench_tx_2, "tx with two workers, each on a net_null and a CPU of its own"},
};

static void
usage(FILE *out)
{
	fprintf(out,
		"Usage: ep_bench [CASE...] [--json] [--cores N[,M]] [--all-windows] [--verbose]\n\n"
		"Measure what a packet costs, in cycles of the time stamp counter: median of %d "
		"samples, and their\n"
		"spread, (max - min) / median. Without a CASE: all of them.\n\n",
		BENCH_SAMPLES);
	for (size_t i = 0; i < EP_ARRAY_LEN(rows); i++)
		fprintf(out, "  %-12s %s\n", rows[i].name, rows[i].help);
	fprintf(out,
		"\n  --json       print an array of {\"case\", \"cycles\", \"mpps\", \"spread\"}\n"
		"  --cores N,M  CPUs to measure on; M is for the cases with two workers. Default: "
		"the last two\n"
		"  --all-windows  count the windows in which the core was not ours alone, too: to "
		"compare with\n"
		"               programs that cannot tell\n"
		"  --verbose    print the samples to stderr\n"
		"  --help       print this\n\n"
		"Exit codes: 0 done, 1 a case failed (its account was wrong), 2 wrong usage, 3 "
		"this host lacks something.\n");
}

static const struct row *
row_find(const char *name)
{
	for (size_t i = 0; i < EP_ARRAY_LEN(rows); i++)
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	return NULL;
}

/* --- Options ---------------------------------------------------------------------------------------------------------------- */

struct options {
	bool json;
	bool help;
	bool verbose;
	bool all_windows;
	uint16_t core[2];
	uint32_t core_count;
	const struct row *row[EP_ARRAY_LEN(rows)];
	uint32_t row_count;
};

/* The last CPUs: the first one has the interrupts and everybody else. */
static void
cores_default(struct options *o)
{
	cpu_set_t allowed;

	CPU_ZERO(&allowed);
	sched_getaffinity(0, sizeof(allowed), &allowed);
	for (int cpu = CPU_SETSIZE - 1; cpu >= 0 && o->core_count < 2; cpu--)
		if (CPU_ISSET(cpu, &allowed))
			o->core[o->core_count++] = (uint16_t)cpu;
}

static int
cores_parse(const char *text, struct options *o)
{
	char *end;

	for (o->core_count = 0; o->core_count < 2;) {
		const unsigned long cpu = strtoul(text, &end, 10);

		if (end == text || cpu >= CPU_SETSIZE)
			return -EINVAL;
		o->core[o->core_count++] = (uint16_t)cpu;
		if (*end == '\0')
			return 0;
		if (*end != ',')
			return -EINVAL;
		text = end + 1;
	}
	return -EINVAL;
}

static int
options_parse(int argc, char **argv, struct options *o)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'},
		{"cores", required_argument, NULL, 'c'},
		{"all-windows", no_argument, NULL, 'a'},
		{"verbose", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == '?')
			return -EINVAL; /* getopt has said it */
		o->json |= c == 'j';
		o->help |= c == 'h';
		o->verbose |= c == 'v';
		o->all_windows |= c == 'a';
		if (c == 'c' && cores_parse(optarg, o) < 0) {
			fprintf(stderr,
				"ep_bench: --cores '%s': one or two numbers of CPUs are wanted, as "
				"1 or 1,0\n",
				optarg);
			return -EINVAL;
		}
	}
	for (int i = optind; i < argc; i++) {
		const struct row *row = row_find(argv[i]);

		if (row == NULL) {
			fprintf(stderr, "ep_bench: '%s' is not a case; --help lists them\n",
				argv[i]);
			return -EINVAL;
		}
		if (o->row_count < EP_ARRAY_LEN(o->row))
			o->row[o->row_count++] = row;
	}
	for (size_t i = 0; i < EP_ARRAY_LEN(rows) && optind >= argc; i++)
		o->row[o->row_count++] = &rows[i];
	if (o->core_count == 0)
		cores_default(o);
	return 0;
}

/* --- Running ----------------------------------------------------------------------------------------------------------------- */

static void
print(const struct row *row, const struct bench_result *r, bool json, bool first)
{
	if (json)
		printf("%s\n  {\"case\": \"%s\", \"cycles\": %.2f, \"mpps\": %.4f, \"spread\": "
		       "%.4f}",
			first ? "" : ",", row->name, r->cycles, r->mpps, r->spread_ratio);
	else
		printf("%s cycles=%.1f mpps=%.1f spread=%.1f%%\n", row->name, r->cycles, r->mpps,
			r->spread_ratio * 100);
	fflush(stdout);
}

static void
print_samples(const struct row *row, const double cycles[BENCH_SAMPLES])
{
	fprintf(stderr, "%s samples:", row->name);
	for (int i = 0; i < BENCH_SAMPLES; i++)
		fprintf(stderr, " %.1f", cycles[i]);
	fprintf(stderr, "\n");
}

static int
run(const struct options *o, const struct bench *b)
{
	bool first = true;
	int code = EXIT_SUCCESS;

	if (o->json)
		printf("[");
	for (uint32_t i = 0; i < o->row_count; i++) {
		struct bench_samples samples = {0};
		struct ep_err err = {0};
		const int ret = o->row[i]->run(b, &samples, &err);

		if (ret < 0) {
			fprintf(stderr, "ep_bench: %s: %s\n", o->row[i]->name, err.text);
			if (ret != -EAGAIN)
				code = EXIT_FAILED;
			continue;
		}

		const struct bench_result result = bench_summary(b, samples.cycles);

		if (!samples.alone)
			fprintf(stderr,
				"ep_bench: %s: the core was not ours alone: the figure is too "
				"high\n",
				o->row[i]->name);
		if (o->verbose)
			print_samples(o->row[i], samples.cycles);

		print(o->row[i], &result, o->json, first);
		first = false;
	}
	if (o->json)
		printf("\n]\n");
	return code;
}

/*
 * A measurement is worth more than whatever else wants the CPU for a moment; who may not goes on without. Threads inherit it. Round
 * robin, since with a worker on each CPU the main thread, which DPDK lets spin when it waits for them, has to share with one of them.
 */
static void
priority_raise(void)
{
	const struct sched_param param = {.sched_priority = PRIORITY};

	sched_setscheduler(0, SCHED_RR, &param);
}

int
main(int argc, char **argv)
{
	struct options o = {0};
	struct bench b = {0};
	struct ep_err err = {0};
	int code;

	if (options_parse(argc, argv, &o) < 0)
		return EXIT_USAGE;
	if (o.help) {
		usage(stdout);
		return EXIT_SUCCESS;
	}
	b.core_count = o.core_count;
	b.all_windows = o.all_windows;
	memcpy(b.core, o.core, sizeof(b.core));
	priority_raise();

	const struct ep_dev_eal_cfg eal = {
		.memory_mib = MEMORY_MIB, .worker_count = b.core_count, .cores = b.core};

	if (ep_dev_eal_init(&eal, &err) < 0) {
		fprintf(stderr, "ep_bench: %s\n", err.text);
		return EXIT_ENVIRONMENT;
	}
	ep_engine_clock_calibrate(&b.clock);
	code = run(&o, &b);
	ep_dev_eal_fini();
	return code;
}
