#include "host.h"

#include <errno.h>
#include <math.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* From this many CPUs on, a worker can have one for itself and leave the kernel enough. */
#define CPUS_FOR_PINNING 4
/* Above the floating workers: they share its CPUs, and consent lasts a second. */
#define MAIN_NICE (-10)

static volatile sig_atomic_t interrupted;

static void
on_signal(int signal_number)
{
	if (interrupted != 0) {
		signal(signal_number, SIG_DFL);
		raise(signal_number);
	}
	interrupted = 1;
}

void
host_catch_signals(void)
{
	const struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	struct sigaction hangup;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	/* A terminal that goes away must not leave the filter behind; nohup means what it says. */
	if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN)
		sigaction(SIGHUP, &action, NULL);
}

bool
host_interrupted(void)
{
	return interrupted != 0;
}

/* CPUs that this process may use, ascending. */
static uint32_t
allowed_cpus(uint16_t *cpu, uint32_t max)
{
	cpu_set_t set;
	uint32_t n = 0;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return 0;
	for (uint32_t i = 0; i < CPU_SETSIZE && n < max; i++)
		if (CPU_ISSET(i, &set))
			cpu[n++] = (uint16_t)i;
	return n;
}

void
host_plan(const struct config *config, uint32_t wanted, struct host_plan *plan)
{
	uint16_t cpu[CPU_SETSIZE];
	const uint32_t cpus = allowed_cpus(cpu, EP_ARRAY_LEN(cpu));

	memset(plan, 0, sizeof(*plan));
	if (config->core_count > 0) {
		plan->worker_count = config->core_count;
		memcpy(plan->core, config->cores, sizeof(plan->core));
		return;
	}
	plan->worker_count = wanted;
	if (cpus >= CPUS_FOR_PINNING && wanted <= cpus / 2) {
		for (uint32_t i = 0; i < wanted; i++)
			plan->core[i] = cpu[cpus - wanted + i];
		return;
	}
	plan->floating = true;
	if (cpus > 0 && plan->worker_count > cpus)
		plan->worker_count = cpus;
}

/* What is not the data path (control, the fallback check, the report) runs on the CPUs that it leaves, where it leaves any. */
static void
main_off_cores(const struct host_plan *plan)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return;
	for (uint32_t i = 0; i < plan->worker_count; i++)
		CPU_CLR(plan->core[i], &set);
	if (CPU_COUNT(&set) > 0)
		sched_setaffinity(0, sizeof(set), &set);
}

/* Root only; others go on as they are. */
static void
main_first(void)
{
	setpriority(PRIO_PROCESS, 0, MAIN_NICE);
}

int
host_eal(const struct config *config, const struct host_plan *plan, uint32_t memory_mib,
	struct ep_err *err)
{
	const struct ep_dev_eal_cfg cfg = {
		.memory_mib = memory_mib,
		.worker_count = plan->worker_count,
		.cores = plan->floating ? NULL : plan->core,
		.extra_args = config->eal_args,
		.verbose = config->verbose,
	};
	const int ret = ep_dev_eal_init(&cfg, err);

	if (ret == 0 && plan->floating)
		main_first();
	else if (ret == 0)
		main_off_cores(plan);
	return ret;
}

uint64_t
host_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * EP_NS_PER_S + (uint64_t)ts.tv_nsec;
}

void
host_utc(char *buf, size_t len)
{
	const time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(buf, len, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

void
host_cpu(char *buf, size_t len)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char line[256];

	snprintf(buf, len, "unknown");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, "model name", 10) == 0 && strchr(line, ':') != NULL) {
			line[strcspn(line, "\n")] = '\0';
			snprintf(buf, len, "%s", strchr(line, ':') + 2);
			break;
		}
	}
	if (f != NULL)
		fclose(f);
}

/* "mode", and "mode_2" for the second device; left out where there is nothing to say. */
static void
facts_text(struct ep_result *result, const char *name, uint32_t i, const char *text)
{
	char key[48];

	snprintf(key, sizeof(key), i == 0 ? "%s" : "%s_%u", name, i + 1);
	if (text[0] != '\0')
		ep_result_host_text(result, key, text);
}

static void
facts_device(struct ep_result *result, const struct ep_dev *dev, uint32_t i)
{
	struct ep_dev_info info;
	char key[48];

	ep_dev_info(dev, &info);
	snprintf(key, sizeof(key), i == 0 ? "device" : "device_%u", i + 1);
	ep_result_host_text(result, key, info.name);
	snprintf(key, sizeof(key), i == 0 ? "driver" : "driver_%u", i + 1);
	ep_result_host_text(result, key, info.driver);
	snprintf(key, sizeof(key), i == 0 ? "mode" : "mode_%u", i + 1);
	ep_result_host_text(result, key, info.mode);
	facts_text(result, "mode_why", i, info.mode_why);
	facts_text(result, "steering", i, info.steering);
	facts_text(result, "steering_why", i, info.steering_why);
	if (info.busy_poll_pkts > 0) {
		snprintf(key, sizeof(key), i == 0 ? "busy_poll" : "busy_poll_%u", i + 1);
		ep_result_host_number(result, key, info.busy_poll_pkts);
	}
	snprintf(key, sizeof(key), i == 0 ? "queues" : "queues_%u", i + 1);
	ep_result_host_number(result, key, info.queue_pairs);
	snprintf(key, sizeof(key), i == 0 ? "node" : "node_%u", i + 1);
	ep_result_host_number(result, key, info.socket_id < 0 ? 0 : info.socket_id);
	snprintf(key, sizeof(key), i == 0 ? "offloads" : "offloads_%u", i + 1);
	ep_result_host_text(result, key, info.checksum_offload ? "udp and ipv4 checksum" : "none");
}

void
host_facts(struct ep_result *result, const struct host_plan *plan, struct ep_dev *const *dev,
	uint32_t dev_count)
{
	char text[256];
	size_t used = 0;

	host_cpu(text, sizeof(text));
	ep_result_host_text(result, "cpu", text);
	ep_result_host_number(result, "cpus", (double)sysconf(_SC_NPROCESSORS_ONLN));
	for (uint32_t i = 0; i < dev_count; i++)
		facts_device(result, dev[i], i);
	ep_result_host_number(result, "workers", plan->worker_count);
	snprintf(text, sizeof(text), "floating");
	for (uint32_t i = 0; !plan->floating && i < plan->worker_count && used < sizeof(text); i++)
		used += (size_t)snprintf(
			text + used, sizeof(text) - used, "%s%u", i > 0 ? "," : "", plan->core[i]);
	ep_result_host_text(result, "cores", text);
}

void
host_clock(struct ep_result *result, const struct ep_engine_clock *clock)
{
	ep_result_host_text(result, "clock", "tsc");
	ep_result_host_text(result, "clock_invariant", clock->invariant ? "yes" : "no");
	ep_result_host_number(result, "clock_hz", clock->hz);
	ep_result_host_number(result, "clock_error_ppm", clock->error_ppm);
	ep_result_host_number(result, "clock_drift_ppm", clock->drift_ppm);
	if (!clock->invariant)
		ep_result_warn(result,
			"the CPU's time stamp counter is not invariant: it may change its pace "
			"with "
			"the power state, and rates and times with it; clock_drift_ppm says by how "
			"much it did");
	if (fabs(clock->drift_ppm) > EP_ENGINE_CLOCK_LIMIT_PPM)
		ep_result_warn(result,
			"the time stamp counter drifted by %.3g ppm during the run, and rates and "
			"times with it; they are meant to be within %d ppm",
			clock->drift_ppm, EP_ENGINE_CLOCK_LIMIT_PPM);
	if (clock->error_ppm > EP_ENGINE_CLOCK_LIMIT_PPM)
		ep_result_warn(result,
			"the frequency of the time stamp counter is known to %.3g ppm only, since "
			"this host was too busy to read two clocks at once; rates and times are "
			"meant "
			"to be within %d ppm",
			clock->error_ppm, EP_ENGINE_CLOCK_LIMIT_PPM);
}

static bool
is_link_local(const struct ep_wire_ip *ip)
{
	return ip->family == EP_WIRE_IPV6 && ip->bytes_be[0] == 0xfe &&
		(ip->bytes_be[1] & 0xc0) == 0x80;
}

static int
resolve(const char *name, const char *what, struct ep_wire_ip *ip, struct ep_err *err)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
	struct addrinfo *list;
	int ret;

	if (ep_wire_ip_parse(name, ip, NULL) == 0)
		return 0;
	ret = getaddrinfo(name, NULL, &hints, &list);
	if (ret != 0)
		return ep_err_set(err, -ENOENT, "%s %s: cannot be resolved to an address: %s", what,
			name, gai_strerror(ret));
	memset(ip, 0, sizeof(*ip));
	if (list->ai_family == AF_INET) {
		ip->family = EP_WIRE_IPV4;
		memcpy(ip->bytes_be, &((struct sockaddr_in *)(void *)list->ai_addr)->sin_addr, 4);
	} else {
		ip->family = EP_WIRE_IPV6;
		memcpy(ip->bytes_be, &((struct sockaddr_in6 *)(void *)list->ai_addr)->sin6_addr,
			16);
	}
	freeaddrinfo(list);
	return 0;
}

int
host_resolve(const char *name, const char *what, struct ep_wire_ip *ip, struct ep_err *err)
{
	const int ret = resolve(name, what, ip, err);

	if (ret == 0 && is_link_local(ip))
		return ep_err_set(err, -EINVAL,
			"%s %s: is a link-local address, which means nothing without its link; "
			"give a global or unique local one",
			what, name);
	return ret;
}
