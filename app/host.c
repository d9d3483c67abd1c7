#include "host.h"

#include "devplan.h"

#include <ep_hostinfo.h>
#include <ep_netlink.h>

#include <errno.h>
#include <math.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Above the floating workers: they share its CPUs, and consent lasts a second. */
#define MAIN_NICE (-10)
/* A copper port that negotiates takes 3 s, one with a long training of 25 or 100 Gbit/s up to 8. */
#define LINK_NS (15 * EP_NS_PER_S)

/* What comes this soon after the first is its echo: timeout(1) signals the command, and then the group that the command is in. */
#define SIGNAL_ECHO_NS (UINT64_C(500) * EP_NS_PER_MS)

static volatile sig_atomic_t interrupted;
static volatile uint64_t interrupted_ns; /* Of the handler alone. */

static void
on_signal(int signal_number)
{
	const uint64_t now_ns = host_now_ns();

	if (interrupted == 0)
		interrupted_ns = now_ns;
	else if (now_ns - interrupted_ns > SIGNAL_ECHO_NS) {
		signal(signal_number, SIG_DFL);
		raise(signal_number);
	}
	interrupted = 1;
}

void
host_catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	struct sigaction hangup;

	/* One handler at a time: they share interrupted_ns. */
	sigfillset(&action.sa_mask);
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

/* --- The plan ------------------------------------------------------------------------------------------------------------ */

__attribute__((format(printf, 2, 3))) static void
plan_line(const struct config *config, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "everyport %s: plan: ", config->command);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

/* --verbose: what the doctor prints as well. */
static void
plan_say(const struct config *config, const struct devplan *d)
{
	const struct ep_plan *p = &d->plan;

	if (!config->verbose)
		return;
	for (uint32_t i = 0; i < p->port_count; i++) {
		plan_line(config, "%s: %s", d->cfg.nic[i].name, p->port[i].reason);
		plan_line(config, "%s: %s", d->cfg.nic[i].name, p->port[i].steer);
	}
	for (uint32_t i = 0; i < p->worker_count; i++)
		plan_line(config, "worker %u: %s", i, p->worker[i].reason);
	for (uint32_t i = 0; i < p->queue_count; i++)
		plan_line(config, "%s, queue %u: %s", d->cfg.nic[p->queue[i].nic].name,
			p->queue[i].number, p->queue[i].reason);
	plan_line(config, "%s", p->control_reason);
	for (uint32_t i = 0; i < p->note_count; i++)
		plan_line(config, "%s%s", p->note[i].level == EP_PLAN_WARN ? "warning: " : "",
			p->note[i].text);
}

static void
plan_take(const struct ep_plan *p, struct host_plan *plan)
{
	*plan = (struct host_plan){
		.worker_count = p->worker_count,
		.floating = p->floating,
		.control_cpu = p->control_cpu,
		.note_count = p->note_count,
	};
	for (uint32_t i = 0; i < p->worker_count; i++)
		plan->core[i] = p->worker[i].cpu;
	for (uint32_t i = 0; i < p->port_count && i < EP_ARRAY_LEN(plan->port); i++)
		plan->port[i] = (struct host_port){
			.queue_count = p->port[i].queue_count,
			.first_worker = p->port[i].first_worker,
			.worker_count = p->port[i].worker_count,
			.node = p->queue[p->port[i].first_queue].node,
		};
	memcpy(plan->note, p->note, sizeof(plan->note));
}

int
host_plan(const struct config *config, struct host_plan *plan, struct ep_err *err)
{
	const struct ep_topo_cfg machine = {.root = ""};
	struct devplan *d = calloc(1, sizeof(*d));
	struct ep_err why = {0};
	int ret;

	if (d == NULL)
		return ep_err_set(err, -ENOMEM, "no memory to plan");
	ret = devplan_nics(config, true, d, err);
	if (ret < 0)
		goto out;
	ret = devplan_make(&machine, d, &why);
	/* What this host has not got is not the option's fault. */
	if (ret < 0) {
		ret = ep_err_set(err, ret == -EINVAL ? -ENXIO : ret, "%s", why.text);
		goto out;
	}
	plan_say(config, d);
	plan_take(&d->plan, plan);
out:
	free(d);
	return ret;
}

int
host_plan_exit_code(int ret)
{
	return ret == -EINVAL || ret == -ERANGE ? EXIT_USAGE : EXIT_ENVIRONMENT;
}

/* What is not the data path (control, the fallback check, the report) runs where the plan leaves room for it. */
static void
main_stay(const struct host_plan *plan)
{
	cpu_set_t set;

	if (plan->control_cpu < 0 || plan->control_cpu >= CPU_SETSIZE)
		return;
	CPU_ZERO(&set);
	CPU_SET(plan->control_cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* Root only; others go on as they are. */
static void
main_first(void)
{
	setpriority(PRIO_PROCESS, 0, MAIN_NICE);
}

bool
host_ssh_ifname(char *name)
{
	struct ep_netlink_route route;
	struct ep_wire_ip peer;

	if (!ep_hostinfo_ssh_peer("", &peer))
		return false;
	return ep_netlink_route(&peer, 0, &route, NULL) == 0 && !route.local &&
		ep_netlink_ifname(route.ifindex, name) == 0;
}

int
host_eal(const struct config *config, const struct host_plan *plan, uint32_t memory_mib,
	struct ep_err *err)
{
	struct ep_dev_spec dev[CONFIG_DEVS_MAX];
	char ssh[16];
	struct ep_dev_eal_cfg cfg = {
		.memory_mib = memory_mib,
		.worker_count = plan->worker_count,
		.cores = plan->floating ? NULL : plan->core,
		.extra_args = config->eal_args,
		.verbose = config->verbose,
		.dev = dev,
		.dev_count = config->dev_count,
	};
	int ret = 0;

	for (uint32_t i = 0; i < config->dev_count && ret == 0; i++)
		ret = ep_dev_spec_parse(config->dev[i], &dev[i], err);
	if (ret < 0)
		return ret;
	if (config->dev_count > 0 && host_ssh_ifname(ssh))
		cfg.ssh_ifname = ssh;
	ret = ep_dev_eal_init(&cfg, err);
	if (ret == 0 && plan->floating)
		main_first();
	else if (ret == 0)
		main_stay(plan);
	return ret;
}

/* Whose link is down; NULL: nobody's. */
static struct ep_dev *
link_missing(struct ep_dev *const *dev, uint32_t dev_count)
{
	for (uint32_t i = 0; i < dev_count; i++)
		if (!ep_dev_link_up(dev[i]))
			return dev[i];
	return NULL;
}

int
host_links_wait(struct ep_dev *const *dev, uint32_t dev_count, struct ep_err *err)
{
	const struct timespec step = {.tv_nsec = 20 * EP_NS_PER_MS};
	const uint64_t end_ns = host_now_ns() + LINK_NS;
	struct ep_dev_info info;
	struct ep_dev *down;

	while ((down = link_missing(dev, dev_count)) != NULL) {
		if (host_interrupted())
			return ep_err_set(err, -EINTR, "interrupted before anything was measured");
		if (host_now_ns() > end_ns) {
			ep_dev_info(down, &info);
			return ep_err_set(err, -ENETDOWN,
				"--dev %s: has no link after %llu s; is the cable in, and the far "
				"end up?",
				info.name, (unsigned long long)(LINK_NS / EP_NS_PER_S));
		}
		nanosleep(&step, NULL);
	}
	return 0;
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
	snprintf(key, sizeof(key), i == 0 ? "speed_bps" : "speed_bps_%u", i + 1);
	if (info.speed_bps != 0)
		ep_result_host_number(result, key, (double)info.speed_bps);
	snprintf(key, sizeof(key), i == 0 ? "mtu_bytes" : "mtu_bytes_%u", i + 1);
	if (info.mtu_bytes != 0)
		ep_result_host_number(result, key, info.mtu_bytes);
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
	devplan_facts(plan->note, plan->note_count, result);
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

/* One address of the resolver's, unless it is in the list or has no room there. */
static void
addresses_add(struct host_addresses *list, const struct sockaddr *sa)
{
	struct ep_wire_ip ip = {.family = EP_WIRE_IPV4};

	if (sa->sa_family == AF_INET) {
		memcpy(ip.bytes_be, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
	} else {
		ip.family = EP_WIRE_IPV6;
		memcpy(ip.bytes_be, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr,
			16);
	}
	if (is_link_local(&ip) || list->count == HOST_ADDRESSES_MAX)
		return;
	for (uint32_t i = 0; i < list->count; i++)
		if (memcmp(&list->ip[i], &ip, sizeof(ip)) == 0)
			return;
	list->ip[list->count++] = ip;
}

static int
link_local_refused(const char *name, const char *what, struct ep_err *err)
{
	return ep_err_set(err, -EINVAL,
		"%s %s: is a link-local address, which means nothing without its link; "
		"give a global or unique local one",
		what, name);
}

/* What people paste where a name or an address belongs. */
static int
name_check(const char *name, const char *what, struct ep_err *err)
{
	const bool has_zone = strchr(name, '%') != NULL;

	if (name[strcspn(name, has_zone ? "/[]@ " : "/[]@ :")] != '\0')
		return ep_err_set(err, -EINVAL,
			"%s %s: give the name or the address alone, without scheme, port, path "
			"or brackets (ports go to --tcp)",
			what, name);
	return 0;
}

int
host_resolve_all(
	const char *name, const char *what, struct host_addresses *list, struct ep_err *err)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
	struct addrinfo *found;
	int ret;

	memset(list, 0, sizeof(*list));
	if (ep_wire_ip_parse(name, &list->ip[0], NULL) == 0) {
		list->count = 1;
		return is_link_local(&list->ip[0]) ? link_local_refused(name, what, err) : 0;
	}
	if (name_check(name, what, err) < 0)
		return -EINVAL;
	ret = getaddrinfo(name, NULL, &hints, &found);
	if (ret != 0)
		return ep_err_set(err, -ENOENT, "%s %s: cannot be resolved to an address: %s", what,
			name, gai_strerror(ret));
	for (const struct addrinfo *a = found; a != NULL; a = a->ai_next)
		if (a->ai_family == AF_INET || a->ai_family == AF_INET6)
			addresses_add(list, a->ai_addr);
	freeaddrinfo(found);
	return list->count > 0 ? 0 : link_local_refused(name, what, err);
}

int
host_resolve(const char *name, const char *what, struct ep_wire_ip *ip, struct ep_err *err)
{
	struct host_addresses list;
	const int ret = host_resolve_all(name, what, &list, err);

	*ip = list.ip[0];
	return ret;
}
