/*
 * The meter of pauses. A thread reads the clock without end; the kernel (by its vDSO) answers in about 30 ns, so a step of 10 us or
 * more is time in which the CPU did something else: an interrupt, another process, the hypervisor.
 */

#include "hostinfo_priv.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define GAP_NS 10000
#define TICK_NS (100 * EP_NS_PER_MS)

struct meter {
	atomic_bool go, stop; /**< Written by the main thread. */
	uint64_t span_ns;
};

/** Of one thread, which alone writes it until it is joined. */
struct probe {
	struct meter *meter;
	pthread_t thread;
	uint16_t cpu;
	uint64_t max_gap_ns, away_ns, total_ns;
};

static uint64_t
raw_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return (uint64_t)ts.tv_sec * EP_NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void *
probe_run(void *arg)
{
	struct probe *p = arg;
	uint64_t start_ns, end_ns, last_ns;

	while (!atomic_load_explicit(&p->meter->go, memory_order_relaxed))
		sched_yield();
	start_ns = last_ns = raw_ns();
	/* A pause that goes on beyond the end counts up to it. */
	end_ns = start_ns + p->meter->span_ns;
	while (last_ns < end_ns && !atomic_load_explicit(&p->meter->stop, memory_order_relaxed)) {
		const uint64_t now_ns = raw_ns(), at_ns = now_ns < end_ns ? now_ns : end_ns;
		const uint64_t gap_ns = at_ns - last_ns;

		if (gap_ns > p->max_gap_ns)
			p->max_gap_ns = gap_ns;
		if (gap_ns >= GAP_NS)
			p->away_ns += gap_ns;
		last_ns = at_ns;
	}
	p->total_ns = last_ns - start_ns;
	return NULL;
}

static bool
probe_start(struct probe *p)
{
	pthread_attr_t attr;
	cpu_set_t set;
	int ret;

	CPU_ZERO(&set);
	CPU_SET(p->cpu, &set);
	pthread_attr_init(&attr);
	ret = pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	if (ret == 0)
		ret = pthread_create(&p->thread, &attr, probe_run, p);
	pthread_attr_destroy(&attr);
	return ret == 0;
}

/* Time that the hypervisor took, and all time, of all CPUs [ticks]. */
static bool
steal_read(uint64_t *steal, uint64_t *all)
{
	unsigned long long v[8] = {0};
	FILE *in = fopen("/proc/stat", "re");
	int n = 0;

	if (in != NULL) {
		n = fscanf(in, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2],
			&v[3], &v[4], &v[5], &v[6], &v[7]);
		fclose(in);
	}
	*steal = v[7];
	*all = 0;
	for (int i = 0; i < 8; i++)
		*all += v[i];
	return n == 8;
}

/* Sleep until it is over, or until the caller has enough. Returns whether it was not stopped. */
static bool
watch(struct meter *m, ep_hostinfo_tick_fn tick, void *ctx)
{
	const uint64_t start_ns = raw_ns();
	bool on = true;

	while (on) {
		const uint64_t gone_ns = raw_ns() - start_ns;
		const uint64_t left_ns = gone_ns < m->span_ns ? m->span_ns - gone_ns : 0;
		const uint64_t sleep_ns = left_ns < TICK_NS ? left_ns : TICK_NS;
		const struct timespec ts = {.tv_nsec = (long)sleep_ns};

		if (left_ns == 0)
			return true;
		nanosleep(&ts, NULL);
		on = tick == NULL || tick(ctx, raw_ns() - start_ns);
	}
	atomic_store(&m->stop, true);
	return false;
}

static uint32_t
probes_start(struct meter *m, struct probe *probe)
{
	cpu_set_t allowed;
	uint32_t count = 0;

	CPU_ZERO(&allowed);
	sched_getaffinity(0, sizeof(allowed), &allowed);
	for (uint32_t cpu = 0; cpu < EP_DOCTOR_CPUS_MAX && cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &allowed))
			continue;
		probe[count] = (struct probe){.meter = m, .cpu = (uint16_t)cpu};
		count += probe_start(&probe[count]);
	}
	return count;
}

static void
probe_take(const struct probe *p, struct ep_doctor_hiccup *out)
{
	if (p->total_ns == 0)
		return;
	out->cpu[out->cpu_count++] = (struct ep_doctor_hiccup_cpu){
		.cpu = p->cpu,
		.max_gap_ns = p->max_gap_ns,
		.away_ratio = (double)p->away_ns / (double)p->total_ns,
	};
}

void
ep_hostinfo_hiccup(
	uint64_t span_ns, ep_hostinfo_tick_fn tick, void *ctx, struct ep_doctor_hiccup *out)
{
	struct meter m = {.span_ns = span_ns};
	struct probe *probe = calloc(EP_DOCTOR_CPUS_MAX, sizeof(*probe));
	uint64_t steal[2], all[2];
	const bool steal_known = steal_read(&steal[0], &all[0]);
	uint32_t count;
	bool whole;

	out->measured = false;
	out->cpu_count = 0;
	out->span_ns = span_ns;
	out->steal_ratio = -1;
	if (probe == NULL)
		return;
	count = probes_start(&m, probe);
	atomic_store(&m.go, true);
	whole = watch(&m, tick, ctx);
	for (uint32_t i = 0; i < count; i++) {
		pthread_join(probe[i].thread, NULL);
		probe_take(&probe[i], out);
	}
	if (steal_known && steal_read(&steal[1], &all[1]) && all[1] > all[0])
		out->steal_ratio = (double)(steal[1] - steal[0]) / (double)(all[1] - all[0]);
	out->measured = whole && out->cpu_count > 0;
	free(probe);
}
