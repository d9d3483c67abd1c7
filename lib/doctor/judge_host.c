/* Rights, kernel, memory: what the whole host is judged by, apart from its CPUs. */

#include "doctor_priv.h"

#include <stdio.h>
#include <string.h>

/* Newest of what the AF_XDP path asks of a kernel: rings that are woken only when needed (5.4). */
#define AF_XDP_MAJOR 5
#define AF_XDP_MINOR 4
#define RESERVED_FILE "/proc/sys/net/ipv4/ip_local_reserved_ports"

/* --- Rights ----------------------------------------------------------------------------------------------------------------- */

static void
judge_rights(const struct ep_doctor_facts *f, struct ep_doctor_report *r)
{
	const struct ep_doctor_rights *have = &f->rights;
	const bool named = doctor_nic_named(f);
	char locked[32], command[sizeof(((struct ep_doctor_finding *)NULL)->fix)];
	struct ep_doctor_finding *x = doctor_add(r, "rights", NULL, EP_DOCTOR_OK);

	if (have->root) {
		doctor_say(x, "this user is root, so everyport may open interfaces");
	} else if (have->net_admin && have->net_raw && have->bpf) {
		/* The packet buffers of AF_XDP are locked, and count (xdp_umem_account_pages() of the kernel). */
		if (!have->locks_memory && have->locked_bytes_max < f->memory.needed_mib << 20) {
			x->status = EP_DOCTOR_WARN;
			doctor_say(x,
				"not root, but with the capabilities that interfaces need; only "
				"%s of memory may be locked, less than the %llu MiB that AF_XDP's "
				"buffers may take",
				doctor_bytes(locked, sizeof(locked), have->locked_bytes_max),
				(unsigned long long)f->memory.needed_mib);
			doctor_fix(x, "sudo prlimit --pid $$ --memlock=unlimited");
			return;
		}
		doctor_say(x,
			"not root, but with the capabilities that interfaces need (net_admin, "
			"net_raw, bpf)");
	} else {
		x->status = named ? EP_DOCTOR_STOP : EP_DOCTOR_WARN;
		doctor_say(x,
			"this user may not open interfaces: that takes root, or the capabilities "
			"net_admin, net_raw and bpf; loop without --dev, and tcp, need no rights");
		doctor_fix(x, "%s", doctor_command(command, sizeof(command), f));
	}
}

/* --- Kernel ----------------------------------------------------------------------------------------------------------------- */

static void
judge_kernel(const struct ep_doctor_facts *f, struct ep_doctor_report *r)
{
	const struct ep_doctor_kernel *k = &f->kernel;
	const bool old =
		k->major < AF_XDP_MAJOR || (k->major == AF_XDP_MAJOR && k->minor < AF_XDP_MINOR);
	struct ep_doctor_finding *x = doctor_add(r, "kernel", NULL, EP_DOCTOR_OK);
	bool needed = false;

	for (uint32_t i = 0; i < f->nic_count; i++)
		needed |= f->nic[i].use == EP_DOCTOR_USE_AF_XDP;
	if (k->release[0] == '\0') {
		x->status = EP_DOCTOR_WARN;
		doctor_say(x,
			"the kernel's version cannot be read, so nothing is known of its AF_XDP");
	} else if (old || k->xdp_sockets == EP_DOCTOR_NO) {
		x->status = needed ? EP_DOCTOR_STOP : EP_DOCTOR_WARN;
		doctor_say(x,
			old ? "kernel %s is older than %d.%d, which AF_XDP takes here"
			    : "kernel %s has no AF_XDP sockets (CONFIG_XDP_SOCKETS; AF_XDP takes "
			      "%d.%d or newer)",
			k->release, AF_XDP_MAJOR, AF_XDP_MINOR);
		doctor_fix(x, "%s run --dev af_packet:INTERFACE ...", doctor_program(f));
	} else {
		doctor_say(x, "kernel %s has AF_XDP%s", k->release,
			k->xdp_sockets == EP_DOCTOR_YES
				? ""
				: " by its version (the socket was not tried)");
	}
}

/* The kernel gives ports of 32768 to 60999 to its own sockets; while a session runs, UDP to the range goes to everyport. */
static void
judge_ports(const struct ep_doctor_facts *f, struct ep_doctor_report *r)
{
	const struct ep_doctor_kernel *k = &f->kernel;
	const bool overlap = k->local_port_first != 0 && k->local_port_first <= f->port_last &&
		k->local_port_last >= f->port_first;
	struct ep_doctor_finding *x = doctor_add(r, "local_ports", NULL, EP_DOCTOR_OK);

	if (k->ports_in_use > 0) {
		x->status = EP_DOCTOR_WARN;
		doctor_say(x,
			"%u UDP socket%s of this host %s bound in --ports %s (one to %u): while a "
			"session runs, their packets go to everyport",
			k->ports_in_use, k->ports_in_use == 1 ? "" : "s",
			k->ports_in_use == 1 ? "is" : "are", f->ports, k->port_in_use);
		doctor_fix(x, "ss -ulnp 'sport = :%u'", k->port_in_use);
	} else if (overlap && !k->ports_reserved) {
		x->status = EP_DOCTOR_WARN;
		doctor_say(x,
			"the kernel takes ports for its own sockets from %u-%u, which overlaps "
			"--ports %s: what comes back to such a socket (DNS, for one) goes to "
			"everyport while a session runs",
			k->local_port_first, k->local_port_last, f->ports);
		if (k->reserved_others)
			doctor_fix(x,
				"echo \"$(cat " RESERVED_FILE "),%s\" | sudo tee " RESERVED_FILE,
				f->ports);
		else
			doctor_fix(
				x, "sudo sysctl -w net.ipv4.ip_local_reserved_ports=%s", f->ports);
	} else if (k->local_port_first == 0) {
		doctor_say(x, "no UDP socket of this host is bound in --ports %s", f->ports);
	} else {
		doctor_say(x, "the kernel keeps its own sockets away from --ports %s%s", f->ports,
			overlap ? " (they are reserved)" : "");
	}
}

/* --- Memory ----------------------------------------------------------------------------------------------------------------- */

static void
judge_memory(const struct ep_doctor_facts *f, struct ep_doctor_report *r)
{
	const struct ep_doctor_memory *m = &f->memory;
	const uint64_t needed_bytes = m->needed_mib << 20;
	char have[32], need[32];
	struct ep_doctor_finding *x = doctor_add(r, "memory", NULL, EP_DOCTOR_OK);

	doctor_bytes(have, sizeof(have), m->available_bytes);
	doctor_bytes(need, sizeof(need), needed_bytes);
	if (!m->known) {
		x->status = EP_DOCTOR_WARN;
		doctor_say(
			x, "free memory cannot be read (/proc/meminfo); %s will be needed", need);
	} else if (m->available_bytes < needed_bytes) {
		x->status = EP_DOCTOR_STOP;
		doctor_say(x, "%s of memory are free, and packet buffers take %s", have, need);
		doctor_fix(x, "ps -eo rss,comm --sort=-rss | head");
	} else if (m->available_bytes < 2 * needed_bytes) {
		x->status = EP_DOCTOR_WARN;
		doctor_say(x,
			"%s of memory are free, little more than the %s that packet buffers take",
			have, need);
		doctor_fix(x, "ps -eo rss,comm --sort=-rss | head");
	} else {
		doctor_say(x, "%s of memory are free; packet buffers take %s", have, need);
	}
}

static void
judge_thp(const struct ep_doctor_facts *f, struct ep_doctor_report *r)
{
	const char *thp = f->memory.thp;
	struct ep_doctor_finding *x = doctor_add(r, "thp", NULL, EP_DOCTOR_OK);

	if (thp[0] == '\0') {
		doctor_say(
			x, "this kernel has no transparent huge pages; tables are in small pages");
	} else if (strcmp(thp, "never") == 0) {
		x->status = EP_DOCTOR_WARN;
		doctor_say(x,
			"transparent huge pages are off (never): everyport's tables of flows and "
			"ports stay in small pages");
		doctor_fix(
			x, "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled");
	} else {
		doctor_say(x, "transparent huge pages are \"%s\": everyport's tables can have them",
			thp);
	}
}

static void
judge_channels(const struct ep_doctor_facts *f, struct ep_doctor_report *r)
{
	const struct ep_doctor_memory *m = &f->memory;
	struct ep_doctor_finding *x = doctor_add(r, "memory_channels", NULL, EP_DOCTOR_OK);

	if (f->cpu.virtual_machine) {
		doctor_say(
			x, "memory channels are the hypervisor's: nothing to see or to mend here");
	} else if (m->channels > 0) {
		doctor_say(
			x, "%u of %u memory channels are filled", m->channels_filled, m->channels);
		if (m->channels_filled < m->channels) {
			x->status = EP_DOCTOR_WARN;
			doctor_say(x,
				"%u of %u memory channels are filled: the others' bandwidth is "
				"missing; put a module into each",
				m->channels_filled, m->channels);
			doctor_fix(x, "sudo dmidecode -t memory | grep -E 'Locator|Size'");
		}
	} else if (m->slots > 0) {
		x->status = m->slots_filled < 2 && m->slots > 1 ? EP_DOCTOR_WARN : EP_DOCTOR_OK;
		doctor_say(x,
			x->status == EP_DOCTOR_OK ? "%u of %u memory slots are filled; which "
						    "channels they are on is not told"
						  : "%u of %u memory slots is filled, so that one "
						    "memory channel has to carry all",
			m->slots_filled, m->slots);
		if (x->status != EP_DOCTOR_OK)
			doctor_fix(x, "sudo dmidecode -t memory | grep -E 'Locator|Size'");
	} else {
		doctor_say(x,
			"memory channels are not told to this user; sudo dmidecode -t memory has "
			"them");
	}
}

void
doctor_judge_host(const struct ep_doctor_facts *f, struct ep_doctor_report *r)
{
	judge_rights(f, r);
	judge_kernel(f, r);
	judge_ports(f, r);
	judge_memory(f, r);
	doctor_judge_hugepages(f, r);
	judge_thp(f, r);
	judge_channels(f, r);
	doctor_judge_iommu(f, r);
}
