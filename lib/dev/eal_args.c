#include "eal_args.h"

#include <ep_topo.h>

#include <rte_config.h>

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SPACES " \t\n"
#define HUGE_PAGE_MIB 2
#define HUGE_FOLDER "/sys/kernel/mm/hugepages/hugepages-2048kB/"

/* What the user decides with --eal is not decided here, too: EAL refuses to be told twice. */
static const char *const memory_options[] = {"-m", "--no-huge", "--in-memory", "--no-shconf",
	"--socket-mem", "--huge-dir", "--legacy-mem", "--single-file-segments", "--huge-unlink"};
static const char *const core_options[] = {"-c", "-l", "--lcores"};
static const char *const help_options[] = {"-h", "--help"};

/* Running out of memory or room shows in the count, which is checked at the end. */
static void __attribute__((format(printf, 2, 3)))
args_add(struct eal_args *args, const char *fmt, ...)
{
	va_list ap;

	if (args->count > EAL_ARGS_MAX)
		return;
	if (args->count == EAL_ARGS_MAX) {
		args->count++;
		return;
	}
	va_start(ap, fmt);
	if (vasprintf(&args->text[args->count], fmt, ap) < 0) {
		args->text[args->count] = NULL;
		args->count = EAL_ARGS_MAX;
	}
	args->count++;
	va_end(ap);
}

void
eal_args_fini(struct eal_args *args)
{
	for (int i = 0; i < EAL_ARGS_MAX; i++)
		free(args->text[i]);
	*args = (struct eal_args){0};
}

int
eal_cpus_allowed(cpu_set_t *allowed, struct ep_err *err)
{
	if (sched_getaffinity(0, sizeof(*allowed), allowed) < 0)
		return ep_err_set(err, -errno, "CPUs of this process: %s", strerror(errno));
	return 0;
}

/* "0-1,5": runs of CPUs. A stream that grows, since hosts differ. Freed by the caller; NULL without memory. */
static char *
cpus_format(const cpu_set_t *cpus)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (out == NULL)
		return NULL;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		int last = cpu;

		if (!CPU_ISSET(cpu, cpus))
			continue;
		while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, cpus))
			last++;
		fprintf(out, "%s%d", ftell(out) > 0 ? "," : "", cpu);
		if (last > cpu)
			fprintf(out, "-%d", last);
		cpu = last;
	}
	fclose(out);
	return text;
}

static int
cores_check(const struct ep_dev_eal_cfg *cfg, const cpu_set_t *allowed, const char *allowed_text,
	struct ep_err *err)
{
	const long present = sysconf(_SC_NPROCESSORS_CONF);

	if (cfg->worker_count >= RTE_MAX_LCORE)
		return ep_err_set(err, -EINVAL, "%u workers wanted, at most %d are possible",
			cfg->worker_count, RTE_MAX_LCORE - 1);
	for (uint32_t i = 0; cfg->cores != NULL && i < cfg->worker_count; i++) {
		if (cfg->cores[i] >= present)
			return ep_err_set(err, -EINVAL,
				"core %u does not exist; this process may use %s", cfg->cores[i],
				allowed_text);
		if (cfg->cores[i] >= CPU_SETSIZE ||
			(!CPU_ISSET(cfg->cores[i], allowed) &&
				!ep_topo_cpu_allowed("", cfg->cores[i])))
			return ep_err_set(err, -EINVAL,
				"core %u is not allowed to this process, which may use %s",
				cfg->cores[i], allowed_text);
	}
	return 0;
}

/* The main lcore floats always: it only controls. */
static void
lcores_add(struct eal_args *args, const struct ep_dev_eal_cfg *cfg, const char *allowed_text)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (out == NULL) {
		args->count = EAL_ARGS_MAX + 1;
		return;
	}
	fprintf(out, "0@(%s)", allowed_text);
	for (uint32_t i = 0; i < cfg->worker_count; i++) {
		if (cfg->cores != NULL)
			fprintf(out, ",%u@%u", i + 1, cfg->cores[i]);
		else
			fprintf(out, ",%u@(%s)", i + 1, allowed_text);
	}
	fclose(out);
	args_add(args, "--lcores");
	args_add(args, "%s", text);
	free(text);
}

/* Of a count of huge pages ("free_hugepages", ...), 0 where it cannot be read. */
static unsigned long
huge_pages(const char *what)
{
	char path[96];
	unsigned long pages = 0;
	FILE *in;

	snprintf(path, sizeof(path), HUGE_FOLDER "%s", what);
	in = fopen(path, "re");
	if (in == NULL)
		return 0;
	if (fscanf(in, "%lu", &pages) != 1)
		pages = 0;
	fclose(in);
	return pages;
}

static unsigned long
huge_pages_free(void)
{
	return huge_pages("free_hugepages");
}

/* Devices of PCI among those that will be opened. */
static uint32_t
pci_count(const struct ep_dev_eal_cfg *cfg)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < cfg->dev_count; i++)
		count += cfg->dev[i].kind == EP_DEV_PCI;
	return count;
}

/*
 * A NIC writes into memory by itself, which then may not move: without an IOMMU it has to be in pieces of known physical address, and
 * with one each small page would be an entry of its tables.
 */
static int
memory_check(const struct ep_dev_eal_cfg *cfg, struct ep_err *err)
{
	const unsigned long needed = (cfg->memory_mib + HUGE_PAGE_MIB - 1) / HUGE_PAGE_MIB;
	const unsigned long have = huge_pages_free();

	if (pci_count(cfg) == 0 || have >= needed)
		return 0;
	for (uint32_t i = 0; i < cfg->dev_count; i++)
		if (cfg->dev[i].kind == EP_DEV_PCI)
			return ep_err_set(err, -ENOMEM,
				"--dev %s: a PCI device needs huge pages of 2 MiB for its packets, "
				"%lu of them, and %lu are free; raise them: echo %lu | sudo tee "
				"/proc/sys/vm/nr_hugepages",
				cfg->dev[i].pci, needed, have,
				huge_pages("nr_hugepages") - have + needed);
	return 0;
}

/* virtio-user hands its memory to the other process as files, of which the protocol takes eight: not one a huge page. */
static bool
shares_memory(const struct ep_dev_eal_cfg *cfg)
{
	static const char driver[] = "net_virtio_user";

	for (uint32_t i = 0; i < cfg->dev_count; i++)
		if (cfg->dev[i].kind == EP_DEV_VDEV &&
			strncmp(cfg->dev[i].vdev, driver, sizeof(driver) - 1) == 0)
			return true;
	return false;
}

static void
memory_add(struct eal_args *args, const struct ep_dev_eal_cfg *cfg)
{
	const uint32_t memory_mib = cfg->memory_mib;

	if (pci_count(cfg) > 0 ||
		(geteuid() == 0 && huge_pages_free() * HUGE_PAGE_MIB >= memory_mib)) {
		args_add(args, "--in-memory");
		if (shares_memory(cfg))
			args_add(args, "--single-file-segments");
	} else {
		args_add(args, "--no-huge");
		args_add(args, "--no-shconf");
	}
	args_add(args, "-m");
	args_add(args, "%u", memory_mib);
}

/* Whether the user's text has one of some options; "-l0-1" and "--lcores=..." count. */
static bool
extra_has(const char *extra, const char *const *options, size_t option_count)
{
	for (const char *word = extra; word != NULL && *word != '\0';
		word += strcspn(word, SPACES)) {
		word += strspn(word, SPACES);
		for (size_t i = 0; i < option_count; i++) {
			const size_t len = strlen(options[i]);
			const bool is_long = options[i][1] == '-';

			/* strchr() finds the end of the text, too */
			if (strncmp(word, options[i], len) == 0 &&
				(!is_long || strchr(SPACES "=", word[len]) != NULL))
				return true;
		}
	}
	return false;
}

static int
extra_add(struct eal_args *args, const char *extra)
{
	char *save = NULL;
	char *copy = extra == NULL ? NULL : strdup(extra);

	if (extra != NULL && copy == NULL)
		return -ENOMEM;
	for (char *word = copy == NULL ? NULL : strtok_r(copy, SPACES, &save); word != NULL;
		word = strtok_r(NULL, SPACES, &save))
		args_add(args, "%s", word);
	free(copy);
	return 0;
}

static void
logging_add(struct eal_args *args, bool verbose)
{
	static const char *const chatty[] = {"lib", "bus", "pmd", "mempool"};

	for (size_t i = 0; i < EP_ARRAY_LEN(chatty); i++)
		args_add(args, "--log-level=%s.*:%s", chatty[i], verbose ? "info" : "warning");
	/* At each start it warns of huge pages of 1 GiB, which nobody asked for; the doctor says what memory there is. */
	if (!verbose)
		args_add(args, "--log-level=lib.eal:error");
}

/*
 * The PCI bus as a list of what is allowed: exactly the devices that were named, or no bus at all. Without a NIC addresses are virtual,
 * so that packet buffers are in one piece without privilege; with one DPDK finds out what its driver and the IOMMU take.
 */
static void
pci_add(struct eal_args *args, const struct ep_dev_eal_cfg *cfg)
{
	if (pci_count(cfg) == 0) {
		args_add(args, "--no-pci");
		args_add(args, "--iova-mode=va");
		return;
	}
	for (uint32_t i = 0; i < cfg->dev_count; i++)
		if (cfg->dev[i].kind == EP_DEV_PCI) {
			args_add(args, "--allow");
			args_add(args, "%s", cfg->dev[i].pci);
		}
}

int
eal_args_build(struct eal_args *args, const struct ep_dev_eal_cfg *cfg, const cpu_set_t *allowed,
	struct ep_err *err)
{
	const char *extra = cfg->extra_args;
	const bool own_memory = !extra_has(extra, memory_options, EP_ARRAY_LEN(memory_options));
	char *allowed_text = cpus_format(allowed);
	int ret;

	if (allowed_text == NULL)
		return ep_err_set(err, -ENOMEM, "DPDK: no memory");
	ret = cores_check(cfg, allowed, allowed_text, err);
	if (ret == 0 && extra_has(extra, help_options, EP_ARRAY_LEN(help_options)))
		ret = ep_err_set(err, -EINVAL,
			"--eal \"%s\": help would end the program; see DPDK's manual for its "
			"options",
			extra);
	if (ret == 0 && own_memory)
		ret = memory_check(cfg, err);
	if (ret < 0)
		goto out;
	args_add(args, "everyport");
	pci_add(args, cfg);
	args_add(args, "--no-telemetry");
	logging_add(args, cfg->verbose);
	if (!extra_has(extra, core_options, EP_ARRAY_LEN(core_options)))
		lcores_add(args, cfg, allowed_text);
	if (own_memory)
		memory_add(args, cfg);
	ret = extra_add(args, extra);
	if (ret < 0 || args->count > EAL_ARGS_MAX)
		ret = ep_err_set(
			err, -E2BIG, "--eal: more than %d arguments, or no memory", EAL_ARGS_MAX);
out:
	free(allowed_text);
	return ret;
}
