/* CPUs: time stamp counter, clock, governor, isolation, cores that threads share. */

#include "hostinfo_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
has_word(const char *line, const char *word)
{
	const size_t len = strlen(word);

	for (const char *p = strstr(line, word); p != NULL; p = strstr(p + 1, word))
		if ((p == line || p[-1] == ' ' || p[-1] == '\t') &&
			(p[len] == '\0' || p[len] == ' ' || p[len] == '\n'))
			return true;
	return false;
}

/* nonstop_tsc is CPUID 80000007h EDX[8]. On arm64 the counter is the generic timer, of a fixed frequency by definition. */
static void
cpuinfo(const char *root, struct ep_doctor_cpu *out)
{
	char path[PATH_MAX], *line = NULL;
	size_t room = 0;
	FILE *in = tree_path(root, path, "/proc/cpuinfo") ? fopen(path, "re") : NULL;

	while (in != NULL && getline(&line, &room, in) >= 0) {
		if (strncmp(line, "flags", 5) == 0) {
			out->invariant_tsc =
				has_word(line, "constant_tsc") && has_word(line, "nonstop_tsc")
				? EP_DOCTOR_YES
				: EP_DOCTOR_NO;
			out->virtual_machine = has_word(line, "hypervisor");
			break;
		}
		if (strncmp(line, "CPU architecture", 16) == 0)
			out->invariant_tsc = EP_DOCTOR_YES;
	}
	free(line);
	if (in != NULL)
		fclose(in);
}

/* The kernel writes "(null)" where there is no set. */
static void
set_read(const char *root, const char *name, struct ep_doctor_cpuset *out)
{
	char line[4096];

	tree_line(root, line, sizeof(line), "/sys/devices/system/cpu/%s", name);
	if (ep_doctor_cpuset_parse(line, out) < 0)
		*out = (struct ep_doctor_cpuset){0};
}

static void
governor(const char *root, uint32_t cpu, struct ep_doctor_cpu *out)
{
	char name[32];

	if (tree_line(root, name, sizeof(name),
		    "/sys/devices/system/cpu/cpu%u/cpufreq/scaling_governor", cpu) < 0)
		return;
	out->governor_count++;
	if (strcmp(name, "performance") == 0)
		return;
	out->slow_governor_count++;
	text_copy(out->slow_governor, sizeof(out->slow_governor), name);
}

static void
siblings(const char *root, uint32_t cpu, struct ep_doctor_cpu *out)
{
	struct ep_doctor_cpuset set;
	char line[256];

	tree_line(root, line, sizeof(line),
		"/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list", cpu);
	if (ep_doctor_cpuset_parse(line, &set) < 0)
		return;
	for (uint32_t i = 0; i < EP_DOCTOR_CPUS_MAX; i++) {
		if (ep_doctor_cpuset_has(&set, i)) {
			out->core_of[cpu] = (uint16_t)i;
			return;
		}
	}
}

/* Kernels without the switch (smt/active) still tell the threads of each core. */
static enum ep_doctor_tri
smt(const char *root, const struct ep_doctor_cpu *out)
{
	int64_t active;

	if (tree_number(root, &active, "/sys/devices/system/cpu/smt/active") == 0)
		return active != 0 ? EP_DOCTOR_YES : EP_DOCTOR_NO;
	for (uint32_t i = 0; i < EP_DOCTOR_CPUS_MAX; i++)
		if (out->core_of[i] != UINT16_MAX && out->core_of[i] != i)
			return EP_DOCTOR_YES;
	return out->core_of[0] != UINT16_MAX ? EP_DOCTOR_NO : EP_DOCTOR_UNKNOWN;
}

/* A counter that the kernel found unstable is not among the clocks that it offers. */
static enum ep_doctor_tri
tsc_clock(const char *root)
{
	char line[256], *save = NULL;

	if (tree_line(root, line, sizeof(line),
		    "/sys/devices/system/clocksource/clocksource0/available_clocksource") < 0)
		return EP_DOCTOR_UNKNOWN;
	for (char *word = strtok_r(line, " ", &save); word != NULL;
		word = strtok_r(NULL, " ", &save))
		if (strcmp(word, "tsc") == 0)
			return EP_DOCTOR_YES;
	return EP_DOCTOR_NO;
}

void
hostinfo_cpu(const struct ep_hostinfo_cfg *cfg, struct ep_doctor_cpu *out)
{
	const struct ep_doctor_cpuset data = out->data;
	const bool floating = out->floating;
	*out = (struct ep_doctor_cpu){.data = data, .floating = floating};
	for (uint32_t i = 0; i < EP_DOCTOR_CPUS_MAX; i++)
		out->core_of[i] = UINT16_MAX;
	cpuinfo(cfg->root, out);
	tree_line(cfg->root, out->clocksource, sizeof(out->clocksource),
		"/sys/devices/system/clocksource/clocksource0/current_clocksource");
	out->tsc_clock = tsc_clock(cfg->root);
	set_read(cfg->root, "online", &out->online);
	set_read(cfg->root, "isolated", &out->isolated);
	set_read(cfg->root, "nohz_full", &out->nohz_full);
	out->count = ep_doctor_cpuset_count(&out->online);
	for (uint32_t i = 0; i < EP_DOCTOR_CPUS_MAX; i++) {
		if (!ep_doctor_cpuset_has(&out->online, i))
			continue;
		governor(cfg->root, i, out);
		siblings(cfg->root, i, out);
	}
	out->smt = smt(cfg->root, out);
}
