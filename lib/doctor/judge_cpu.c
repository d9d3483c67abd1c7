/* Time stamp counter, clock, governor, isolation, SMT and interrupts: what decides whether a data core is left alone. */

#include "doctor_priv.h"

#include <stdio.h>
#include <string.h>

/* Below this, workers float and isolation would leave the kernel nothing (see host_plan() of the app). */
#define CPUS_TO_ISOLATE 4

static void
judge_tsc(const struct ep_doctor_facts *f, struct ep_doctor_report *r)
{
	struct ep_doctor_finding *x = doctor_add(r, "tsc", NULL, EP_DOCTOR_OK);

	switch (f->cpu.invariant_tsc) {
	case EP_DOCTOR_YES:
		doctor_say(x,
			"the CPU's time stamp counter is invariant: rates and times can be "
			"trusted");
		break;
	case EP_DOCTOR_NO:
		x->status = EP_DOCTOR_WARN;
		doctor_say(x,
			"the CPU's time stamp counter is not invariant: its pace may change with "
			"the power state, and rates and times with it (the result says by how "
			"much it did)%s",
			f->cpu.virtual_machine
				? "; the hypervisor may hide the flag, which its host can show "
				  "(with libvirt, there: virt-xml GUEST --edit --cpu "
				  "host-passthrough,require=invtsc)"
				: "");
		/* What mends a guest is no command of the guest's. */
		if (!f->cpu.virtual_machine)
			doctor_fix(x, "sudo cpupower idle-set -D 2");
		break;
	case EP_DOCTOR_UNKNOWN:
		x->status = EP_DOCTOR_WARN;
		doctor_say(x,
			"whether the time stamp counter is invariant cannot be read "
			"(/proc/cpuinfo)");
		break;
	}
}

/* The kernel's own clock is read about once a second during a run; one that takes a system call is slow and coarse. */
static void
judge_clocksource(const struct ep_doctor_facts *f, struct ep_doctor_report *r)
{
	static const char *const slow[] = {"hpet", "acpi_pm", "xen", "jiffies", "refined-jiffies"};
	struct ep_doctor_finding *x = doctor_add(r, "clocksource", NULL, EP_DOCTOR_OK);

	doctor_say(
		x, "the kernel's clock is \"%s\", read without a system call", f->cpu.clocksource);
	if (f->cpu.clocksource[0] == '\0')
		doctor_say(x, "the kernel does not tell its clock's source");
	for (size_t i = 0; i < EP_ARRAY_LEN(slow); i++) {
		if (strcmp(f->cpu.clocksource, slow[i]) != 0)
			continue;
		x->status = EP_DOCTOR_WARN;
		doctor_say(x,
			"the kernel's clock is \"%s\", which takes a system call a reading: the "
			"time stamp counter is calibrated less well against it%s",
			slow[i],
			f->cpu.tsc_clock == EP_DOCTOR_NO
				? "; the kernel does not offer the counter itself, and its log "
				  "says why"
				: "");
		if (f->cpu.tsc_clock == EP_DOCTOR_NO)
			doctor_fix(x, "sudo dmesg | grep -i -E 'tsc|clocksource'");
		else
			doctor_fix(x,
				"echo tsc | sudo tee "
				"/sys/devices/system/clocksource/clocksource0/current_clocksource");
	}
}

static void
judge_governor(const struct ep_doctor_facts *f, struct ep_doctor_report *r)
{
	const struct ep_doctor_cpu *c = &f->cpu;
	struct ep_doctor_finding *x = doctor_add(r, "governor", NULL, EP_DOCTOR_OK);

	if (c->governor_count == 0) {
		doctor_say(x, "no CPU has a frequency governor%s",
			c->virtual_machine ? ": the frequency is the hypervisor's" : "");
	} else if (c->slow_governor_count == 0) {
		doctor_say(x, "the frequency governor of all CPUs is \"performance\"");
	} else {
		x->status = EP_DOCTOR_WARN;
		doctor_say(x,
			"the frequency governor of %u of %u CPUs is \"%s\": they need time to "
			"speed up when a load begins",
			c->slow_governor_count, c->governor_count, c->slow_governor);
		doctor_fix(x,
			"echo performance | sudo tee "
			"/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor");
	}
}

static void
judge_isolation(const struct ep_doctor_facts *f, struct ep_doctor_report *r)
{
	const struct ep_doctor_cpu *c = &f->cpu;
	struct ep_doctor_cpuset bare = {0};
	char data[128], missing[128];
	struct ep_doctor_finding *x = doctor_add(r, "isolation", NULL, EP_DOCTOR_OK);

	if (c->floating || ep_doctor_cpuset_count(&c->data) == 0) {
		doctor_say(x,
			"%u CPU%s: workers float and leave the kernel its share, so there is "
			"nothing to isolate (from %d on they are pinned)",
			c->count, c->count == 1 ? "" : "s", CPUS_TO_ISOLATE);
		return;
	}
	for (uint32_t i = 0; i < EP_DOCTOR_CPUS_MAX; i++)
		if (ep_doctor_cpuset_has(&c->data, i) &&
			!(ep_doctor_cpuset_has(&c->isolated, i) &&
				ep_doctor_cpuset_has(&c->nohz_full, i)))
			ep_doctor_cpuset_add(&bare, i);
	ep_doctor_cpuset_format(data, sizeof(data), &c->data);
	ep_doctor_cpuset_format(missing, sizeof(missing), &bare);
	doctor_say(x, "the data CPUs %s are isolated, without timer ticks", data);
	if (missing[0] == '\0')
		return;
	x->status = EP_DOCTOR_WARN;
	doctor_say(x,
		"of the data CPUs %s, %s are not isolated from the scheduler and its ticks "
		"(isolcpus, nohz_full): pauses of a millisecond and more are to be expected",
		data, missing);
	doctor_fix(x,
		"sudo sed -i 's/^GRUB_CMDLINE_LINUX=\"/&isolcpus=%s nohz_full=%s rcu_nocbs=%s /' "
		"/etc/default/grub && sudo update-grub && sudo reboot",
		data, data, data);
}

/* Whether the other thread of a data CPU's core is a data CPU as well. */
static bool
smt_shared(const struct ep_doctor_cpu *c, uint32_t *a, uint32_t *b)
{
	for (uint32_t i = 0; i < EP_DOCTOR_CPUS_MAX; i++) {
		if (!ep_doctor_cpuset_has(&c->data, i) || c->core_of[i] == UINT16_MAX)
			continue;
		for (uint32_t k = i + 1; k < EP_DOCTOR_CPUS_MAX; k++) {
			if (ep_doctor_cpuset_has(&c->data, k) && c->core_of[k] == c->core_of[i]) {
				*a = i;
				*b = k;
				return true;
			}
		}
	}
	return false;
}

static void
judge_smt(const struct ep_doctor_facts *f, struct ep_doctor_report *r)
{
	const struct ep_doctor_cpu *c = &f->cpu;
	uint32_t a, b;
	struct ep_doctor_finding *x = doctor_add(r, "smt", NULL, EP_DOCTOR_OK);

	if (c->smt == EP_DOCTOR_UNKNOWN) {
		doctor_say(x, "whether CPUs share cores (SMT) is not told");
	} else if (c->smt == EP_DOCTOR_NO) {
		doctor_say(x, "no two CPUs share a core (SMT is off%s)",
			c->virtual_machine ? ", as far as a guest can see" : "");
	} else if (smt_shared(c, &a, &b)) {
		x->status = EP_DOCTOR_WARN;
		doctor_say(x,
			"the data CPUs %u and %u are threads of one core: together they do little "
			"more than one; name others with --cores",
			a, b);
		doctor_fix(x, "lscpu -e=CPU,CORE,NODE");
	} else if (c->floating) {
		x->status = EP_DOCTOR_WARN;
		doctor_say(x,
			"CPUs are threads that share cores (SMT): %u of them do less than %u "
			"cores would",
			c->count, c->count);
		doctor_fix(x, "lscpu -e=CPU,CORE,NODE");
	} else {
		doctor_say(x, "SMT is on, and no two data CPUs share a core");
	}
}

static void
judge_irqs(const struct ep_doctor_facts *f, struct ep_doctor_report *r)
{
	const struct ep_doctor_cpu *c = &f->cpu;
	char data[128];
	struct ep_doctor_cpuset others = {0};
	char rest[128];
	struct ep_doctor_finding *x = doctor_add(r, "irqs", NULL, EP_DOCTOR_OK);

	if (c->floating || ep_doctor_cpuset_count(&c->data) == 0) {
		doctor_say(x,
			"workers float over all CPUs, so interrupts cannot be kept away from them");
		return;
	}
	ep_doctor_cpuset_format(data, sizeof(data), &c->data);
	doctor_say(x, "no interrupt is served on the data CPUs %s", data);
	if (c->irq_count == 0)
		return;
	for (uint32_t i = 0; i < EP_DOCTOR_CPUS_MAX; i++)
		if (ep_doctor_cpuset_has(&c->online, i) && !ep_doctor_cpuset_has(&c->data, i))
			ep_doctor_cpuset_add(&others, i);
	ep_doctor_cpuset_format(rest, sizeof(rest), &others);
	x->status = EP_DOCTOR_WARN;
	doctor_say(x, "%u interrupt%s served on the data CPUs %s; the busiest is %u (%s)",
		c->irq_count, c->irq_count == 1 ? " is" : "s are", data, c->irq_number,
		c->irq_name);
	doctor_fix(x,
		"sudo systemctl stop irqbalance; echo %s | sudo tee "
		"/proc/irq/%u/smp_affinity_list",
		rest, c->irq_number);
}

void
doctor_judge_cpu(const struct ep_doctor_facts *f, struct ep_doctor_report *r)
{
	judge_tsc(f, r);
	judge_clocksource(f, r);
	judge_governor(f, r);
	judge_isolation(f, r);
	judge_smt(f, r);
	judge_irqs(f, r);
}
