/* Interrupts that are served on the CPUs of the data path: /proc/interrupts has a column a CPU, /proc/irq the CPUs they may go to. */

#include "hostinfo_priv.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The header: "           CPU0       CPU2". Returns how many columns. */
static uint32_t
columns_read(const char *line, uint16_t cpu[EP_DOCTOR_CPUS_MAX])
{
	uint32_t count = 0;

	for (const char *p = strstr(line, "CPU"); p != NULL && count < EP_DOCTOR_CPUS_MAX;
		p = strstr(p + 3, "CPU"))
		cpu[count++] = (uint16_t)strtoul(p + 3, NULL, 10);
	return count;
}

/* Where it may be served now: the effective CPUs are fewer than those allowed. */
static bool
may_be_on(const char *root, unsigned long irq, const struct ep_doctor_cpuset *data)
{
	struct ep_doctor_cpuset set;
	char line[4096];

	if (tree_line(root, line, sizeof(line), "/proc/irq/%lu/effective_affinity_list", irq) < 0 ||
		line[0] == '\0')
		tree_line(root, line, sizeof(line), "/proc/irq/%lu/smp_affinity_list", irq);
	if (ep_doctor_cpuset_parse(line, &set) < 0)
		return false;
	for (size_t i = 0; i < EP_ARRAY_LEN(set.word); i++)
		if ((set.word[i] & data->word[i]) != 0)
			return true;
	return false;
}

/* "  24:   0  1234  IR-PCI-MSI 512000-edge  eth0-TxRx-0". Returns how often it fired on the data CPUs. */
static uint64_t
row_fired(
	const char **p, const uint16_t *cpu, uint32_t columns, const struct ep_doctor_cpuset *data)
{
	uint64_t fired = 0;

	for (uint32_t i = 0; i < columns; i++) {
		char *end;
		const unsigned long long count = strtoull(*p, &end, 10);

		if (end == *p)
			break;
		if (ep_doctor_cpuset_has(data, cpu[i]))
			fired += count;
		*p = end;
	}
	return fired;
}

/* The last word of what is left is the name of the device. */
static void
row_name(const char *rest, char *name, size_t len)
{
	const char *end = rest + strlen(rest), *word;

	while (end > rest && isspace((unsigned char)end[-1]))
		end--;
	word = end;
	while (word > rest && !isspace((unsigned char)word[-1]))
		word--;
	snprintf(name, len, "%.*s", (int)(end - word), word);
}

void
ep_hostinfo_irqs(const char *root, struct ep_doctor_cpu *out)
{
	char path[PATH_MAX], *line = NULL;
	uint16_t cpu[EP_DOCTOR_CPUS_MAX];
	size_t room = 0;
	uint32_t columns = 0;
	uint64_t most = 0;
	FILE *in = tree_path(root, path, "/proc/interrupts") ? fopen(path, "re") : NULL;

	out->irq_count = 0;
	if (in != NULL && getline(&line, &room, in) >= 0)
		columns = columns_read(line, cpu);
	while (in != NULL && getline(&line, &room, in) >= 0) {
		char *end;
		const unsigned long irq = strtoul(line, &end, 10);
		const char *p = end + 1;
		uint64_t fired;

		if (end == line || *end != ':')
			continue; /* NMI, LOC and others that no device raises */
		fired = row_fired(&p, cpu, columns, &out->data);
		if (fired == 0 || !may_be_on(root, irq, &out->data))
			continue;
		out->irq_count++;
		if (fired > most) {
			most = fired;
			out->irq_number = (uint32_t)irq;
			row_name(p, out->irq_name, sizeof(out->irq_name));
		}
	}
	free(line);
	if (in != NULL)
		fclose(in);
}
