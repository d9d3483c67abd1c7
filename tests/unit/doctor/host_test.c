#include "good.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- Changes ---------------------------------------------------------------------------------------------------------------- */

static void
user(struct ep_doctor_facts *f)
{
	f->rights = (struct ep_doctor_rights){0};
}

/* A free interface stands before the one that was named, and that one is asked of AF_PACKET. */
static void
user_of_the_second(struct ep_doctor_facts *f)
{
	user(f);
	f->nic[1] = f->nic[0];
	f->nic_count = 2;
	f->nic[0].use = EP_DOCTOR_USE_NONE;
	f->nic[1].use = EP_DOCTOR_USE_AF_PACKET;
	snprintf(f->nic[1].name, sizeof(f->nic[1].name), "eth2");
	f->program = "build/app/everyport";
}

static void
user_without_dev(struct ep_doctor_facts *f)
{
	user(f);
	f->nic[0].use = EP_DOCTOR_USE_NONE;
}

static void
capable(struct ep_doctor_facts *f)
{
	f->rights = (struct ep_doctor_rights){.net_admin = true, .net_raw = true, .bpf = true};
}

static void
capable_and_locking(struct ep_doctor_facts *f)
{
	capable(f);
	f->rights.locks_memory = true;
}

static void
capable_and_limited(struct ep_doctor_facts *f)
{
	capable(f);
	f->rights.locked_bytes_max = UINT64_C(8) << 20;
}

static void
capable_within_the_limit(struct ep_doctor_facts *f)
{
	capable(f);
	f->rights.locked_bytes_max = UINT64_C(200) << 20;
}

static void
old_kernel(struct ep_doctor_facts *f)
{
	f->kernel.major = 4;
	f->kernel.minor = 19;
	snprintf(f->kernel.release, sizeof(f->kernel.release), "4.19.0");
}

static void
old_kernel_without_dev(struct ep_doctor_facts *f)
{
	old_kernel(f);
	f->nic[0].use = EP_DOCTOR_USE_NONE;
}

static void
no_af_xdp(struct ep_doctor_facts *f)
{
	f->kernel.xdp_sockets = EP_DOCTOR_NO;
}

static void
no_release(struct ep_doctor_facts *f)
{
	f->kernel.release[0] = '\0';
}

static void
ports_overlap(struct ep_doctor_facts *f)
{
	f->kernel.local_port_last = 60999;
}

static void
ports_overlap_in_part(struct ep_doctor_facts *f)
{
	ports_overlap(f);
	f->kernel.reserved_others = true;
}

static void
ports_reserved(struct ep_doctor_facts *f)
{
	ports_overlap(f);
	f->kernel.ports_reserved = true;
}

static void
ports_in_use(struct ep_doctor_facts *f)
{
	f->kernel.ports_in_use = 3;
	f->kernel.port_in_use = 50123;
}

static void
memory_low(struct ep_doctor_facts *f)
{
	f->memory.available_bytes = UINT64_C(300) << 20;
}

static void
memory_gone(struct ep_doctor_facts *f)
{
	f->memory.available_bytes = UINT64_C(100) << 20;
}

static void
memory_unknown(struct ep_doctor_facts *f)
{
	f->memory.known = false;
}

static void
huge_none(struct ep_doctor_facts *f)
{
	f->memory.node[0] = (struct ep_doctor_node){.id = 0};
}

static void
huge_unsupported(struct ep_doctor_facts *f)
{
	f->memory.huge_known = false;
}

static void
huge_none_for_pci(struct ep_doctor_facts *f)
{
	huge_none(f);
	f->nic[0].use = EP_DOCTOR_USE_PCI;
	f->nic[0].name[0] = '\0';
}

static void
huge_unsupported_for_pci(struct ep_doctor_facts *f)
{
	huge_unsupported(f);
	f->nic[0].use = EP_DOCTOR_USE_PCI;
}

static void
huge_of_another_user(struct ep_doctor_facts *f)
{
	f->memory.node[0].free_2m = 40;
}

static void
huge_far(struct ep_doctor_facts *f)
{
	f->memory.node_count = 2;
	f->memory.node[1] = (struct ep_doctor_node){.id = 1, .pages_2m = 8, .free_2m = 2};
	f->nic[0].node = 1;
}

static void
tools_none(struct ep_doctor_facts *f)
{
	memset(f->tool_missing, true, sizeof(f->tool_missing));
}

static void
tsc_varies_without_tools(struct ep_doctor_facts *f)
{
	f->cpu.invariant_tsc = EP_DOCTOR_NO;
	tools_none(f);
}

static void
huge_none_without_tools(struct ep_doctor_facts *f)
{
	huge_none(f);
	tools_none(f);
}

static void
huge_fixed(struct ep_doctor_facts *f)
{
	f->memory.fix_tried = true;
	f->memory.fix = (struct ep_doctor_huge_goal){-1, 0, 512};
	f->memory.fix_after = 512;
}

static void
huge_fixed_in_part(struct ep_doctor_facts *f)
{
	huge_none(f);
	f->memory.node[0].pages_2m = f->memory.node[0].free_2m = 60;
	f->memory.fix_tried = true;
	f->memory.fix = (struct ep_doctor_huge_goal){-1, 0, 100};
	f->memory.fix_after = 60;
}

static void
huge_refused(struct ep_doctor_facts *f)
{
	huge_none(f);
	f->memory.fix_tried = true;
	f->memory.fix = (struct ep_doctor_huge_goal){-1, 0, 100};
	snprintf(f->memory.fix_error, sizeof(f->memory.fix_error), "Permission denied");
}

static void
huge_of_1g(struct ep_doctor_facts *f)
{
	f->memory.node[0].pages_1g = 4;
}

static void
thp_never(struct ep_doctor_facts *f)
{
	snprintf(f->memory.thp, sizeof(f->memory.thp), "never");
}

static void
channels_half(struct ep_doctor_facts *f)
{
	f->memory.channels_filled = 2;
}

static void
one_module(struct ep_doctor_facts *f)
{
	f->memory.channels = 0;
	f->memory.slots = 8;
	f->memory.slots_filled = 1;
}

static void
virtual_machine(struct ep_doctor_facts *f)
{
	f->cpu.virtual_machine = true;
}

static void
iommu_off(struct ep_doctor_facts *f)
{
	f->iommu.group_count = 0;
	f->iommu.asked_off = true;
}

static void
iommu_off_for_pci(struct ep_doctor_facts *f)
{
	iommu_off(f);
	f->nic[0].use = EP_DOCTOR_USE_PCI;
}

static void
iommu_none(struct ep_doctor_facts *f)
{
	f->iommu.group_count = 0;
	f->nic[0].use = EP_DOCTOR_USE_PCI;
}

static void
iommu_of_intel(struct ep_doctor_facts *f)
{
	iommu_none(f);
	snprintf(f->iommu.table, sizeof(f->iommu.table), "DMAR");
}

static void
iommu_of_amd(struct ep_doctor_facts *f)
{
	iommu_none(f);
	snprintf(f->iommu.table, sizeof(f->iommu.table), "IVRS");
	snprintf(f->kernel.release, sizeof(f->kernel.release), "6.1.0-18-cloud-amd64");
}

static void
guest(struct ep_doctor_facts *f)
{
	iommu_none(f);
	f->cpu.virtual_machine = true;
	f->iommu.noiommu_built = EP_DOCTOR_NO;
}

static void
guest_with_noiommu(struct ep_doctor_facts *f)
{
	guest(f);
	f->iommu.noiommu_built = EP_DOCTOR_YES;
	f->iommu.noiommu = EP_DOCTOR_NO;
}

static void
guest_without_intx(struct ep_doctor_facts *f)
{
	guest(f);
	f->nic[0].intx = EP_DOCTOR_NO;
}

static void
guest_without_interface(struct ep_doctor_facts *f)
{
	guest(f);
	f->nic[0].name[0] = f->nic[0].driver[0] = '\0';
	snprintf(f->nic[0].former, sizeof(f->nic[0].former), "ixgbe");
}

static void
guest_with_interface_elsewhere(struct ep_doctor_facts *f)
{
	guest_without_intx(f);
	f->nic[0].name[0] = '\0';
}

static void
guest_on_uio(struct ep_doctor_facts *f)
{
	guest(f);
	f->nic[0].name[0] = '\0';
	snprintf(f->nic[0].driver, sizeof(f->nic[0].driver), "uio_pci_generic");
}

static void
guest_with_mlx5(struct ep_doctor_facts *f)
{
	guest(f);
	snprintf(f->nic[0].driver, sizeof(f->nic[0].driver), "mlx5_core");
}

static void
noiommu(struct ep_doctor_facts *f)
{
	iommu_off_for_pci(f);
	f->iommu.noiommu = EP_DOCTOR_YES;
}

static void
tsc_varies(struct ep_doctor_facts *f)
{
	f->cpu.invariant_tsc = EP_DOCTOR_NO;
}

static void
tsc_varies_in_guest(struct ep_doctor_facts *f)
{
	tsc_varies(f);
	f->cpu.virtual_machine = true;
}

static void
tsc_unknown(struct ep_doctor_facts *f)
{
	f->cpu.invariant_tsc = EP_DOCTOR_UNKNOWN;
}

static void
clock_hpet(struct ep_doctor_facts *f)
{
	snprintf(f->cpu.clocksource, sizeof(f->cpu.clocksource), "hpet");
}

static void
clock_hpet_alone(struct ep_doctor_facts *f)
{
	clock_hpet(f);
	f->cpu.tsc_clock = EP_DOCTOR_NO;
}

static void
governor_powersave(struct ep_doctor_facts *f)
{
	f->cpu.slow_governor_count = 3;
	snprintf(f->cpu.slow_governor, sizeof(f->cpu.slow_governor), "powersave");
}

static void
no_isolation(struct ep_doctor_facts *f)
{
	f->cpu.isolated = f->cpu.nohz_full = (struct ep_doctor_cpuset){0};
}

static void
half_isolation(struct ep_doctor_facts *f)
{
	ep_doctor_cpuset_parse("2", &f->cpu.nohz_full);
}

static void
floating(struct ep_doctor_facts *f)
{
	f->cpu.count = 2;
	f->cpu.floating = true;
	f->cpu.data = (struct ep_doctor_cpuset){0};
}

static void
data_on_one_core(struct ep_doctor_facts *f)
{
	ep_doctor_cpuset_parse("3,7", &f->cpu.data);
}

static void
smt_off(struct ep_doctor_facts *f)
{
	f->cpu.smt = EP_DOCTOR_NO;
}

static void
irqs_on_data(struct ep_doctor_facts *f)
{
	f->cpu.irq_count = 2;
	f->cpu.irq_number = 61;
	snprintf(f->cpu.irq_name, sizeof(f->cpu.irq_name), "eth1-TxRx-2");
}

static void
conntrack_on(struct ep_doctor_facts *f)
{
	f->conntrack = (struct ep_doctor_conntrack){
		.loaded = true, .active = EP_DOCTOR_YES, .count = 100, .max = 65536};
}

static void
conntrack_full(struct ep_doctor_facts *f)
{
	conntrack_on(f);
	f->conntrack.count = 60000;
}

static void
conntrack_of_tap(struct ep_doctor_facts *f)
{
	conntrack_on(f);
	snprintf(f->vdev, sizeof(f->vdev), "net_tap0");
}

static void
conntrack_of_bridge(struct ep_doctor_facts *f)
{
	conntrack_on(f);
	f->conntrack.bridge = true;
	snprintf(f->nic[0].master, sizeof(f->nic[0].master), "br0");
}

static void
long_pause(struct ep_doctor_facts *f)
{
	f->hiccup.cpu[1].max_gap_ns = 4100000;
	f->hiccup.cpu[0].away_ratio = 0.08;
}

static void
stolen(struct ep_doctor_facts *f)
{
	f->hiccup.steal_ratio = 0.123;
}

static void
ceiling_failed(struct ep_doctor_facts *f)
{
	f->ceiling.measured = false;
	snprintf(f->ceiling.error, sizeof(f->ceiling.error), "nothing arrived");
}

static void
ceiling_not_stored(struct ep_doctor_facts *f)
{
	f->ceiling.stored = false;
	snprintf(f->ceiling.error, sizeof(f->ceiling.error), "/x: Permission denied");
}

static const struct good_case cases[] = {
	{"root", NULL, "rights", EP_DOCTOR_OK, "root", ""},
	{"capabilities", capable_and_locking, "rights", EP_DOCTOR_OK, "net_admin", ""},
	{"capabilities and a large limit", capable_within_the_limit, "rights", EP_DOCTOR_OK,
		"net_admin", ""},
	{"capabilities and a small limit", capable_and_limited, "rights", EP_DOCTOR_WARN,
		"only 8 MiB of memory", "--memlock=unlimited"},
	{"an ordinary user", user_without_dev, "rights", EP_DOCTOR_WARN, "loop without --dev",
		"sudo"},
	{"an ordinary user who names a device", user, "rights", EP_DOCTOR_STOP, "may not open",
		"sudo everyport doctor --dev eth1"},
	{"one who calls everyport by its path", user_of_the_second, "rights", EP_DOCTOR_STOP,
		"may not open", "sudo build/app/everyport doctor --dev af_packet:eth2"},

	{"Debian 12", NULL, "kernel", EP_DOCTOR_OK, "6.1.0-18-amd64 has AF_XDP", ""},
	{"an old kernel", old_kernel, "kernel", EP_DOCTOR_STOP, "4.19.0 is older than 5.4",
		"af_packet:"},
	{"an old kernel, no device", old_kernel_without_dev, "kernel", EP_DOCTOR_WARN, "older",
		"af_packet:"},
	{"AF_XDP not compiled in", no_af_xdp, "kernel", EP_DOCTOR_STOP, "CONFIG_XDP_SOCKETS",
		"af_packet:"},
	{"a kernel without a version", no_release, "kernel", EP_DOCTOR_WARN, "cannot be read", ""},

	{"other local ports", NULL, "local_ports", EP_DOCTOR_OK, "keeps its own sockets away", ""},
	{"reserved ports", ports_reserved, "local_ports", EP_DOCTOR_OK, "reserved", ""},
	{"Linux's own range", ports_overlap, "local_ports", EP_DOCTOR_WARN, "32768-60999",
		"sudo sysctl -w net.ipv4.ip_local_reserved_ports=50000-60000"},
	{"Linux's own range, of which others are reserved", ports_overlap_in_part, "local_ports",
		EP_DOCTOR_WARN, "32768-60999",
		"echo \"$(cat /proc/sys/net/ipv4/ip_local_reserved_ports),50000-60000\" | sudo tee "
		"/proc/sys/net/ipv4/ip_local_reserved_ports"},
	{"a media server", ports_in_use, "local_ports", EP_DOCTOR_WARN, "3 UDP sockets", ":50123"},

	{"enough memory", NULL, "memory", EP_DOCTOR_OK, "200 MiB", ""},
	{"little memory", memory_low, "memory", EP_DOCTOR_WARN, "300 MiB", "ps "},
	{"no memory", memory_gone, "memory", EP_DOCTOR_STOP, "100 MiB", "ps "},
	{"memory not known", memory_unknown, "memory", EP_DOCTOR_WARN, "cannot be read", ""},

	{"huge pages", NULL, "hugepages", EP_DOCTOR_OK, "node 0: 512 of 512 free; 100 needed", ""},
	{"huge pages of 1 GiB, too", huge_of_1g, "hugepages", EP_DOCTOR_OK, "4 of 1 GiB", ""},
	{"raised", huge_fixed, "hugepages", EP_DOCTOR_OK, "raised from 0 to 512", ""},
	{"no huge pages", huge_none, "hugepages", EP_DOCTOR_WARN, "100 needed",
		"echo 100 | sudo tee /proc/sys/vm/nr_hugepages"},
	{"no huge pages, and no tools", huge_none_without_tools, "hugepages", EP_DOCTOR_WARN,
		"100 needed", "echo 100 | sudo tee"},
	{"huge pages taken by others", huge_of_another_user, "hugepages", EP_DOCTOR_WARN,
		"40 of 512 free", "echo 572 |"},
	{"huge pages on the other node", huge_far, "hugepages", EP_DOCTOR_WARN,
		"on node 1, where eth1 is", "echo 106 | sudo tee /sys/devices/system/node/node1/"},
	{"raised in part", huge_fixed_in_part, "hugepages", EP_DOCTOR_WARN,
		"from 0 to 60 only, of 100", "echo 100"},
	{"not raised", huge_refused, "hugepages", EP_DOCTOR_WARN, "Permission denied", "echo 100"},
	{"none, and a NIC on PCI", huge_none_for_pci, "hugepages", EP_DOCTOR_STOP,
		"0000:01:00.0 takes no other memory", "echo 100 | sudo tee"},
	{"a kernel without them, and a NIC on PCI", huge_unsupported_for_pci, "hugepages",
		EP_DOCTOR_STOP, "takes no other memory", ""},
	{"a kernel without them", huge_unsupported, "hugepages", EP_DOCTOR_WARN, "no huge pages",
		""},

	{"madvise", NULL, "thp", EP_DOCTOR_OK, "madvise", ""},
	{"never", thp_never, "thp", EP_DOCTOR_WARN, "never", "echo madvise"},

	{"all channels", NULL, "memory_channels", EP_DOCTOR_OK, "4 of 4", ""},
	{"half of the channels", channels_half, "memory_channels", EP_DOCTOR_WARN, "2 of 4",
		"dmidecode"},
	{"one module", one_module, "memory_channels", EP_DOCTOR_WARN, "1 of 8 memory slots",
		"dmidecode"},
	{"a guest's channels", virtual_machine, "memory_channels", EP_DOCTOR_OK, "hypervisor", ""},

	{"an IOMMU", NULL, "iommu", EP_DOCTOR_OK, "12 groups", ""},
	{"none, and AF_XDP", iommu_off, "iommu", EP_DOCTOR_OK,
		"turns it off): nothing here needs one", ""},
	{"turned off, and PCI", iommu_off_for_pci, "iommu", EP_DOCTOR_WARN,
		"(the kernel's command line turns it off), which vfio-pci needs",
		"(intel_iommu|amd_iommu|iommu)=off"},
	{"VT-d that the kernel does not use", iommu_of_intel, "iommu", EP_DOCTOR_WARN,
		"(VT-d) that the firmware tells of is off", "intel_iommu=on"},
	{"AMD-Vi that the kernel does not use", iommu_of_amd, "iommu", EP_DOCTOR_WARN,
		"kernel 6.1.0-18-cloud-amd64 does not use it", "apt install linux-image-amd64"},
	{"none in the firmware", iommu_none, "iommu", EP_DOCTOR_WARN, "turn on VT-d",
		"reboot --firmware-setup"},
	{"none in a guest", guest, "iommu", EP_DOCTOR_WARN,
		"uio_pci_generic can take the NIC, which may then write to all memory; AF_XDP on "
		"the kernel's interface (--dev eth1)",
		"sudo everyport doctor --dev eth1"},
	{"none in a guest whose vfio does without", guest_with_noiommu, "iommu", EP_DOCTOR_WARN,
		"no-IOMMU mode, which this kernel has", "doctor --dev eth1"},
	{"none in a guest, for a NIC without a legacy interrupt", guest_without_intx, "iommu",
		EP_DOCTOR_WARN, "nothing else here gives the NIC to DPDK; AF_XDP",
		"doctor --dev eth1"},
	{"none in a guest, for a NIC without an interface", guest_without_interface, "iommu",
		EP_DOCTOR_WARN, "AF_XDP on the kernel's interface (--dev INTERFACE)",
		"sudo dpdk-devbind.py --bind=ixgbe 0000:01:00.0"},
	{"none in a guest, for a NIC whose interface is elsewhere", guest_with_interface_elsewhere,
		"iommu", EP_DOCTOR_WARN, "(--dev INTERFACE)", "ip -br link"},
	{"none in a guest, on uio_pci_generic", guest_on_uio, "iommu", EP_DOCTOR_WARN,
		"uio_pci_generic needs none: it works, without protection", ""},
	{"none in a guest, for a driver that is shared", guest_with_mlx5, "iommu", EP_DOCTOR_OK,
		"nothing here needs one", ""},
	{"no-IOMMU mode", noiommu, "iommu", EP_DOCTOR_WARN, "without protection", ""},

	{"an invariant counter", NULL, "tsc", EP_DOCTOR_OK, "invariant", ""},
	{"one that varies", tsc_varies, "tsc", EP_DOCTOR_WARN, "not invariant", "cpupower"},
	{"one that varies, and no tool for it", tsc_varies_without_tools, "tsc", EP_DOCTOR_WARN,
		"not invariant", "sudo apt install linux-cpupower && sudo cpupower idle-set"},
	{"one that varies in a guest", tsc_varies_in_guest, "tsc", EP_DOCTOR_WARN,
		"there: virt-xml GUEST", ""},
	{"one not known", tsc_unknown, "tsc", EP_DOCTOR_WARN, "cannot be read", ""},
	{"the counter as clock", NULL, "clocksource", EP_DOCTOR_OK, "\"tsc\"", ""},
	{"hpet", clock_hpet, "clocksource", EP_DOCTOR_WARN, "\"hpet\"", "echo tsc"},
	{"hpet, since the counter is unstable", clock_hpet_alone, "clocksource", EP_DOCTOR_WARN,
		"does not offer the counter", "sudo dmesg | grep"},
	{"performance", NULL, "governor", EP_DOCTOR_OK, "performance", ""},
	{"powersave", governor_powersave, "governor", EP_DOCTOR_WARN,
		"3 of 8 CPUs is \"powersave\"", "scaling_governor"},

	{"isolated CPUs", NULL, "isolation", EP_DOCTOR_OK, "2-3 are isolated", ""},
	{"two CPUs", floating, "isolation", EP_DOCTOR_OK, "workers float", ""},
	{"none isolated", no_isolation, "isolation", EP_DOCTOR_WARN, "2-3 are not isolated",
		"isolcpus=2-3 nohz_full=2-3"},
	{"ticks on one", half_isolation, "isolation", EP_DOCTOR_WARN, "2-3, 3 are not isolated",
		"isolcpus"},
	{"a core each", NULL, "smt", EP_DOCTOR_OK, "no two data CPUs share", ""},
	{"no SMT", smt_off, "smt", EP_DOCTOR_OK, "SMT is off", ""},
	{"two threads of a core", data_on_one_core, "smt", EP_DOCTOR_WARN,
		"3 and 7 are threads of one core", "lscpu"},
	{"floating over threads", floating, "smt", EP_DOCTOR_WARN, "share cores", "lscpu"},
	{"no interrupts", NULL, "irqs", EP_DOCTOR_OK, "no interrupt", ""},
	{"interrupts", irqs_on_data, "irqs", EP_DOCTOR_WARN, "the busiest is 61 (eth1-TxRx-2)",
		"echo 0-1,4-7 | sudo tee /proc/irq/61/smp_affinity_list"},

	{"no tracking", NULL, "conntrack", EP_DOCTOR_OK, "tracks no connections", ""},
	{"tracking that is passed by", conntrack_on, "conntrack", EP_DOCTOR_OK, "pass by it", ""},
	{"a full table", conntrack_full, "conntrack", EP_DOCTOR_WARN, "60000 of 65536", "notrack"},
	{"a tap device", conntrack_of_tap, "conntrack", EP_DOCTOR_WARN, "this host's own table",
		"udp dport 50000-60000 notrack"},
	{"a bridge that filters", conntrack_of_bridge, "conntrack", EP_DOCTOR_WARN, "the bridge",
		"notrack"},

	{"quiet CPUs", NULL, "neighbours", EP_DOCTOR_OK, "40 us (CPU 0)", ""},
	{"a pause", long_pause, "neighbours", EP_DOCTOR_WARN, "CPU 1 was away for up to 4.1 ms",
		"ps "},
	{"a busy hypervisor", stolen, "neighbours", EP_DOCTOR_WARN, "12.3 %", "vmstat"},
	{"a ceiling", NULL, "ceiling", EP_DOCTOR_OK,
		"1.5 Mpps over AF_XDP on a veth pair at --size 64", ""},
	{"no ceiling", ceiling_failed, "ceiling", EP_DOCTOR_WARN, "nothing arrived", ""},
	{"a ceiling that is lost", ceiling_not_stored, "ceiling", EP_DOCTOR_WARN,
		"Permission denied", "XDG_STATE_HOME"},
};

static const struct good_can can[] = {
	{"rights", true, true, true},
	{"kernel", true, true, true},
	{"local_ports", true, true, false},
	{"memory", true, true, true},
	{"hugepages", true, true, true},
	{"thp", true, true, false},
	{"memory_channels", true, true, false},
	{"iommu", true, true, false},
	{"tsc", true, true, false},
	{"clocksource", true, true, false},
	{"governor", true, true, false},
	{"isolation", true, true, false},
	{"smt", true, true, false},
	{"irqs", true, true, false},
	{"conntrack", true, true, false},
	{"neighbours", true, true, false},
	{"ceiling", true, true, false},
};

static void
each_fact_leads_to_its_status_sentence_and_command(void **state)
{
	(void)state;
	good_cases(cases, EP_ARRAY_LEN(cases));
}

static void
each_finding_about_the_host_has_a_case_for_each_of_its_statuses(void **state)
{
	(void)state;
	good_covers(cases, EP_ARRAY_LEN(cases), can, EP_ARRAY_LEN(can));
}

static void
pages_wanted_leave_enough_free_beside_those_in_use(void **state)
{
	struct ep_doctor_facts *f = calloc(1, sizeof(*f));
	struct ep_doctor_memory *m = &f->memory;
	struct ep_doctor_huge_goal goal;

	(void)state;
	m->huge_known = true;
	m->node_count = 2;
	m->node[1].id = 1;
	f->nic_count = 1;
	/* a device on no known node, then on node 1 */
	for (int node = -1; node <= 1; node += 2) {
		f->nic[0] = (struct ep_doctor_nic){.use = EP_DOCTOR_USE_AF_XDP, .node = node};
		for (uint64_t needed = 0; needed < 300; needed += 7) {
			for (uint64_t used = 0; used < 200; used += 31) {
				const uint64_t there = node < 0 ? 35 : 15;

				m->needed_mib = needed;
				m->node[0].pages_2m = m->node[0].free_2m = 20;
				m->node[1].pages_2m = used + 15;
				m->node[1].free_2m = 15;
				if (!ep_doctor_huge_goal(f, &goal)) {
					assert_true(2 * there >= needed);
					continue;
				}
				assert_int_equal(goal.node, node);
				assert_int_equal(goal.before, used + there);
				assert_true(2 * (goal.wanted - used) >= needed &&
					2 * (goal.wanted - used - 1) < needed);
			}
		}
	}
	free(f);
}

static void
cpu_lists_are_read_and_written_as_the_kernel_does(void **state)
{
	static const char *const same[] = {"", "0", "0-3", "0-3,8", "1,3,5-7,1023", "63-64"};
	static const char *const bad[] = {
		"x", "-1", "3-1", "0,", "1024", "0-2048", "1 2", "(null)"};
	struct ep_doctor_cpuset set;
	char text[64];

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(same); i++) {
		assert_int_equal(ep_doctor_cpuset_parse(same[i], &set), 0);
		assert_string_equal(ep_doctor_cpuset_format(text, sizeof(text), &set), same[i]);
	}
	for (size_t i = 0; i < EP_ARRAY_LEN(bad); i++) {
		assert_int_not_equal(ep_doctor_cpuset_parse(bad[i], &set), 0);
		assert_int_equal(ep_doctor_cpuset_count(&set), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_fact_leads_to_its_status_sentence_and_command),
		cmocka_unit_test(each_finding_about_the_host_has_a_case_for_each_of_its_statuses),
		cmocka_unit_test(pages_wanted_leave_enough_free_beside_those_in_use),
		cmocka_unit_test(cpu_lists_are_read_and_written_as_the_kernel_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
