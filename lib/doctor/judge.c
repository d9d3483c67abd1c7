#include "doctor_priv.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ep_doctor_finding *
doctor_add(struct ep_doctor_report *r, const char *id, const char *subject,
	enum ep_doctor_status status)
{
	struct ep_doctor_finding *f = &r->finding[r->count];

	/* Devices are at most EP_DOCTOR_NICS_MAX, with less than ten findings each. */
	assert(r->count < EP_DOCTOR_FINDINGS_MAX);
	r->count++;
	*f = (struct ep_doctor_finding){.status = status};
	snprintf(f->id, sizeof(f->id), "%s", id);
	snprintf(f->subject, sizeof(f->subject), "%s", subject != NULL ? subject : "");
	return f;
}

void
doctor_say(struct ep_doctor_finding *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f->sentence, sizeof(f->sentence), fmt, ap);
	va_end(ap);
}

void
doctor_fix(struct ep_doctor_finding *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f->fix, sizeof(f->fix), fmt, ap);
	va_end(ap);
}

const char *
doctor_bytes(char *buf, size_t len, uint64_t bytes)
{
	if (bytes >= UINT64_C(10) << 30)
		snprintf(buf, len, "%.0f GiB", (double)bytes / (1 << 30));
	else
		snprintf(buf, len, "%.0f MiB", (double)bytes / (1 << 20));
	return buf;
}

const char *
doctor_nic_name(const struct ep_doctor_nic *nic)
{
	return nic->name[0] != '\0' ? nic->name : nic->pci;
}

const char *
doctor_program(const struct ep_doctor_facts *f)
{
	return f->program != NULL ? f->program : "everyport";
}

const char *
doctor_command(char *buf, size_t len, const struct ep_doctor_facts *f)
{
	size_t used = (size_t)snprintf(buf, len, "sudo %s doctor", doctor_program(f));

	for (uint32_t i = 0; i < f->nic_count && used < len; i++) {
		const struct ep_doctor_nic *n = &f->nic[i];

		if (n->use != EP_DOCTOR_USE_NONE)
			used += (size_t)snprintf(buf + used, len - used, " --dev %s%s",
				n->use == EP_DOCTOR_USE_AF_PACKET ? "af_packet:" : "",
				n->use == EP_DOCTOR_USE_PCI ? n->pci : n->name);
	}
	return buf;
}

bool
doctor_nic_named(const struct ep_doctor_facts *facts)
{
	for (uint32_t i = 0; i < facts->nic_count; i++)
		if (facts->nic[i].use != EP_DOCTOR_USE_NONE)
			return true;
	return false;
}

bool
doctor_nic_wanted(const struct ep_doctor_facts *facts, const struct ep_doctor_nic *nic)
{
	return nic->use != EP_DOCTOR_USE_NONE ||
		(!doctor_nic_named(facts) && facts->vdev[0] == '\0');
}

uint32_t
ep_doctor_cpuset_count(const struct ep_doctor_cpuset *set)
{
	uint32_t count = 0;

	for (size_t i = 0; i < EP_ARRAY_LEN(set->word); i++)
		count += (uint32_t)__builtin_popcountll(set->word[i]);
	return count;
}

/* One entry, "3" or "0-3". Returns what follows it, NULL where it is none. */
static const char *
cpuset_entry(const char *p, struct ep_doctor_cpuset *set)
{
	char *end;
	unsigned long first, last;

	if (*p < '0' || *p > '9')
		return NULL;
	first = last = strtoul(p, &end, 10);
	if (*end == '-') {
		p = end + 1;
		if (*p < '0' || *p > '9')
			return NULL;
		last = strtoul(p, &end, 10);
	}
	if (last < first || last >= EP_DOCTOR_CPUS_MAX)
		return NULL;
	for (unsigned long cpu = first; cpu <= last; cpu++)
		ep_doctor_cpuset_add(set, (uint32_t)cpu);
	return end;
}

int
ep_doctor_cpuset_parse(const char *text, struct ep_doctor_cpuset *set)
{
	const char *p = text;

	*set = (struct ep_doctor_cpuset){0};
	if (*p == '\0' || *p == '\n')
		return 0;
	while (p != NULL) {
		p = cpuset_entry(p, set);
		if (p != NULL && (*p == '\0' || *p == '\n'))
			return 0;
		if (p != NULL)
			p = *p == ',' ? p + 1 : NULL;
	}
	*set = (struct ep_doctor_cpuset){0};
	return -EINVAL;
}

const char *
ep_doctor_cpuset_format(char *buf, size_t len, const struct ep_doctor_cpuset *set)
{
	size_t used = 0;

	buf[0] = '\0';
	for (uint32_t cpu = 0; cpu < EP_DOCTOR_CPUS_MAX; cpu++) {
		uint32_t last = cpu;

		if (!ep_doctor_cpuset_has(set, cpu))
			continue;
		while (ep_doctor_cpuset_has(set, last + 1))
			last++;
		if (used < len)
			used += (size_t)snprintf(
				buf + used, len - used, "%s%u", used > 0 ? "," : "", cpu);
		if (last > cpu && used < len)
			used += (size_t)snprintf(buf + used, len - used, "-%u", last);
		cpu = last;
	}
	return buf;
}

const char *
ep_doctor_status_name(enum ep_doctor_status status)
{
	static const char *const name[] = {
		[EP_DOCTOR_OK] = "OK",
		[EP_DOCTOR_WARN] = "warn",
		[EP_DOCTOR_STOP] = "stop",
	};

	return name[status];
}

enum ep_doctor_status
ep_doctor_worst(const struct ep_doctor_report *report)
{
	enum ep_doctor_status worst = EP_DOCTOR_OK;

	for (uint32_t i = 0; i < report->count; i++)
		if (report->finding[i].status > worst)
			worst = report->finding[i].status;
	return worst;
}

void
ep_doctor_judge(const struct ep_doctor_facts *facts, struct ep_doctor_report *report)
{
	report->count = 0;
	doctor_judge_host(facts, report);
	doctor_judge_cpu(facts, report);
	doctor_judge_cloud(facts, report);
	doctor_judge_conntrack(facts, report);
	doctor_judge_nics(facts, report);
	doctor_judge_plan(facts, report);
	doctor_judge_measured(facts, report);
	doctor_tools(facts, report);
}
