#include "tree.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define CPU "/sys/devices/system/cpu/"

static int
setup(void **state)
{
	struct tree *t = malloc(sizeof(*t));

	tree_make(t);
	*state = t;
	return 0;
}

static int
teardown(void **state)
{
	tree_remove(*state);
	free(*state);
	return 0;
}

static void
an_empty_tree_leaves_everything_unknown(void **state)
{
	struct ep_doctor_facts *f = tree_facts(*state, NULL);

	assert_string_equal(f->kernel.release, "");
	assert_int_equal(f->kernel.local_port_first, 0);
	assert_false(f->memory.known);
	assert_false(f->memory.huge_known);
	assert_string_equal(f->memory.thp, "");
	assert_int_equal(f->memory.slots + f->memory.channels, 0);
	assert_int_equal(f->cpu.invariant_tsc, EP_DOCTOR_UNKNOWN);
	assert_int_equal(f->cpu.smt, EP_DOCTOR_UNKNOWN);
	assert_int_equal(f->cpu.governor_count, 0);
	assert_int_equal(f->iommu.group_count, 0);
	assert_false(f->conntrack.loaded);
	assert_int_equal(f->nic_count, 0);
	/* what is the caller's stays */
	assert_int_equal(ep_doctor_cpuset_count(&f->cpu.data), 2);
	free(f);
}

static void
the_kernel_tells_its_version_and_its_ports(void **state)
{
	const struct tree *t = *state;
	struct ep_doctor_facts *f;

	tree_put(t, "/proc/sys/kernel/osrelease", "6.1.0-18-cloud-amd64\n");
	tree_put(t, "/proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n");
	tree_put(t, "/proc/sys/net/ipv4/ip_local_reserved_ports", "8080,50000-59999\n");
	tree_put(t, "/proc/net/udp",
		"   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   "
		"uid\n"
		"  523: 00000000:0044 00000000:0000 07 00000000:00000000 00:00000000 00000000     "
		"0\n"
		"  524: 0100007F:C351 00000000:0000 07 00000000:00000000 00:00000000 00000000     "
		"0\n");
	tree_put(t, "/proc/net/udp6",
		"  sl  local_address                         remote_address                        "
		"st\n"
		"  525: 00000000000000000000000000000000:EA60 "
		"00000000000000000000000000000000:0000 07\n");
	f = tree_facts(t, NULL);
	assert_string_equal(f->kernel.release, "6.1.0-18-cloud-amd64");
	assert_int_equal(f->kernel.major * 100 + f->kernel.minor, 601);
	assert_int_equal(f->kernel.local_port_first, 32768);
	assert_int_equal(f->kernel.local_port_last, 60999);
	assert_false(f->kernel.ports_reserved); /* 60000 is not */
	assert_true(f->kernel.reserved_others);
	assert_int_equal(f->kernel.ports_in_use, 2);
	assert_int_equal(f->kernel.port_in_use, 60000);
	free(f);

	tree_put(t, "/proc/sys/net/ipv4/ip_local_reserved_ports", "50000-59999,60000\n");
	f = tree_facts(t, NULL);
	assert_true(f->kernel.ports_reserved);
	free(f);
}

static void
huge_pages_are_read_node_by_node(void **state)
{
	const struct tree *t = *state;
	struct ep_doctor_facts *f;

	tree_put(
		t, "/proc/meminfo", "MemTotal:  100 kB\nMemFree: 5 kB\nMemAvailable:    2048 kB\n");
	tree_put(t, "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "30\n");
	tree_put(t, "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "7\n");
	tree_put(t, "/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
	f = tree_facts(t, NULL);
	assert_true(f->memory.known && f->memory.huge_known);
	assert_int_equal(f->memory.available_bytes, 2048 * 1024);
	assert_string_equal(f->memory.thp, "madvise");
	assert_int_equal(f->memory.node_count, 1); /* a kernel without NUMA */
	assert_int_equal(f->memory.node[0].pages_2m, 30);
	assert_int_equal(f->memory.node[0].free_2m, 7);
	free(f);

	tree_put(t, "/sys/devices/system/node/online", "0,2\n");
	tree_put(t, "/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages",
		"20\n");
	tree_put(t, "/sys/devices/system/node/node2/hugepages/hugepages-2048kB/nr_hugepages",
		"10\n");
	tree_put(t, "/sys/devices/system/node/node2/hugepages/hugepages-1048576kB/free_hugepages",
		"3\n");
	f = tree_facts(t, NULL);
	assert_int_equal(f->memory.node_count, 2);
	assert_int_equal(f->memory.node[1].id, 2);
	assert_int_equal(f->memory.node[0].pages_2m, 20);
	assert_int_equal(f->memory.node[1].pages_2m, 10);
	assert_int_equal(f->memory.node[1].free_1g, 3);
	free(f);
}

static void
setting_huge_pages_writes_the_number_and_nothing_else(void **state)
{
	const struct tree *t = *state;
	struct ep_err err;
	char line[32], path[128];
	FILE *in;

	tree_put(t, "/proc/sys/vm/nr_hugepages", "0\n");
	assert_int_equal(ep_hostinfo_huge_set(t->root, -1, 138, &err), 0);
	snprintf(path, sizeof(path), "%s/proc/sys/vm/nr_hugepages", t->root);
	in = fopen(path, "r");
	assert_non_null(in);
	assert_non_null(fgets(line, sizeof(line), in));
	fclose(in);
	assert_string_equal(line, "138\n");
	/* no such node: nothing is made */
	assert_int_equal(ep_hostinfo_huge_set(t->root, 3, 138, &err), -ENOENT);
	assert_non_null(strstr(err.text, "node3"));
}

/* Each memory device of SMBIOS: type, length, handle, ..., size at 0x0c; then strings, here none. */
static size_t
smbios_device(uint8_t *at, uint16_t size_mib)
{
	memset(at, 0, 0x17);
	at[0] = 17;
	at[1] = 0x15;
	at[0x0c] = (uint8_t)size_mib;
	at[0x0d] = (uint8_t)(size_mib >> 8);
	return 0x17;
}

static void
memory_slots_and_channels_are_counted(void **state)
{
	const struct tree *t = *state;
	struct ep_doctor_facts *f;
	uint8_t table[256];
	size_t used = 0;

	used += smbios_device(table + used, 0x4000);
	used += smbios_device(table + used, 0);
	used += smbios_device(table + used, 0x4000);
	memcpy(table + used, "\x7f\x04\x00\x00\x00\x00", 6);
	tree_put_bytes(t, "/sys/firmware/dmi/tables/DMI", table, used + 6);
	tree_put(t, "/sys/devices/system/edac/mc/mc0/dimm0/dimm_location", "channel 0 slot 0 \n");
	tree_put(t, "/sys/devices/system/edac/mc/mc0/dimm0/size", "16384\n");
	tree_put(t, "/sys/devices/system/edac/mc/mc0/dimm1/dimm_location", "channel 1 slot 0 \n");
	tree_put(t, "/sys/devices/system/edac/mc/mc0/dimm1/size", "0\n");
	tree_put(t, "/sys/devices/system/edac/mc/mc1/dimm0/dimm_location", "csrow 0 channel 0 \n");
	tree_put(t, "/sys/devices/system/edac/mc/mc1/dimm0/size", "16384\n");
	f = tree_facts(t, NULL);
	assert_int_equal(f->memory.slots, 3);
	assert_int_equal(f->memory.slots_filled, 2);
	assert_int_equal(f->memory.channels, 3);
	assert_int_equal(f->memory.channels_filled, 2);
	free(f);
}

static void
a_broken_smbios_table_ends_the_reading(void **state)
{
	const struct tree *t = *state;
	static const uint8_t table[][8] = {
		{17, 0, 0, 0}, {17, 3, 0, 0}, {17, 255, 0, 0}, {17, 4, 0, 0, 1, 1, 1, 1}};

	for (size_t i = 0; i < EP_ARRAY_LEN(table); i++) {
		struct ep_doctor_facts *f;

		tree_put_bytes(t, "/sys/firmware/dmi/tables/DMI", table[i], sizeof(table[i]));
		f = tree_facts(t, NULL);
		assert_int_equal(f->memory.slots, 0);
		free(f);
	}
}

static void
a_tuned_host_is_read_as_it_is(void **state)
{
	const struct tree *t = *state;
	struct ep_doctor_facts *f;
	char path[128], text[16];

	tree_put(t, "/proc/cpuinfo",
		"processor\t: 0\nmodel name\t: X\nflags\t\t: fpu tsc constant_tsc nonstop_tsc\n");
	tree_put(t, CPU "online", "0-3\n");
	tree_put(t, CPU "isolated", "2-3\n");
	tree_put(t, CPU "nohz_full", "2-3\n");
	tree_put(t, CPU "smt/active", "1\n");
	tree_put(t, "/sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n");
	tree_put(t, "/sys/devices/system/clocksource/clocksource0/available_clocksource",
		"tsc-early hpet acpi_pm \n");
	for (int i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), CPU "cpu%d/cpufreq/scaling_governor", i);
		tree_put(t, path, i == 1 ? "powersave\n" : "performance\n");
		snprintf(path, sizeof(path), CPU "cpu%d/topology/thread_siblings_list", i);
		snprintf(text, sizeof(text), "%d,%d\n", i % 2, i % 2 + 2);
		tree_put(t, path, text);
	}
	f = tree_facts(t, NULL);
	assert_int_equal(f->cpu.invariant_tsc, EP_DOCTOR_YES);
	assert_int_equal(f->cpu.tsc_clock, EP_DOCTOR_NO);
	assert_false(f->cpu.virtual_machine);
	assert_int_equal(f->cpu.count, 4);
	assert_true(ep_doctor_cpuset_has(&f->cpu.isolated, 3));
	assert_int_equal(ep_doctor_cpuset_count(&f->cpu.nohz_full), 2);
	assert_int_equal(f->cpu.smt, EP_DOCTOR_YES);
	assert_int_equal(f->cpu.core_of[3], 1);
	assert_int_equal(f->cpu.governor_count, 4);
	assert_int_equal(f->cpu.slow_governor_count, 1);
	assert_string_equal(f->cpu.slow_governor, "powersave");
	free(f);
}

static void
a_guest_is_told_by_its_flag_and_null_is_no_cpu_list(void **state)
{
	const struct tree *t = *state;
	struct ep_doctor_facts *f;

	tree_put(t, "/proc/cpuinfo", "flags\t\t: fpu tsc constant_tsc hypervisor\n");
	tree_put(t, CPU "online", "0-1\n");
	tree_put(t, CPU "nohz_full", "(null)\n");
	tree_put(t, CPU "cpu0/topology/thread_siblings_list", "0-1\n");
	tree_put(t, CPU "cpu1/topology/thread_siblings_list", "0-1\n");
	f = tree_facts(t, NULL);
	assert_int_equal(f->cpu.invariant_tsc, EP_DOCTOR_NO);
	assert_true(f->cpu.virtual_machine);
	assert_int_equal(ep_doctor_cpuset_count(&f->cpu.nohz_full), 0);
	assert_int_equal(f->cpu.smt, EP_DOCTOR_YES); /* by the siblings: there is no switch */
	free(f);

	tree_put(t, "/proc/cpuinfo", "processor\t: 0\nCPU architecture: 8\n");
	f = tree_facts(t, NULL);
	assert_int_equal(f->cpu.invariant_tsc, EP_DOCTOR_YES); /* arm64 */
	free(f);
}

/* CPU 1 is off line, so the columns are not the CPUs' numbers. The data CPUs are 2 and 3. */
static void
interrupts_on_data_cpus_are_found_by_column_and_affinity(void **state)
{
	const struct tree *t = *state;
	struct ep_doctor_facts *f;

	tree_put(t, "/proc/interrupts",
		"            CPU0       CPU2       CPU3       \n"
		"   1:         9          0          0   IO-APIC    1-edge      i8042\n"
		"  24:         0       1234          0   PCI-MSI 512000-edge      eth1-TxRx-0\n"
		"  25:         0          0       5678   PCI-MSI 512001-edge      eth1-TxRx-1\n"
		"  26:         0         77          0   PCI-MSI 512002-edge      moved-away\n"
		" NMI:         5        555        555   Non-maskable interrupts\n"
		" LOC:    999999     999999     999999   Local timer interrupts\n");
	tree_put(t, "/proc/irq/1/smp_affinity_list", "0-3\n");
	tree_put(t, "/proc/irq/24/effective_affinity_list", "2\n");
	tree_put(t, "/proc/irq/25/effective_affinity_list", "\n");
	tree_put(t, "/proc/irq/25/smp_affinity_list", "3\n");
	tree_put(t, "/proc/irq/26/effective_affinity_list", "0\n");
	f = tree_facts(t, NULL);
	assert_int_equal(f->cpu.irq_count, 2);
	assert_int_equal(f->cpu.irq_number, 25);
	assert_string_equal(f->cpu.irq_name, "eth1-TxRx-1");
	free(f);
}

static void
iommu_firmware_and_tracking_are_read(void **state)
{
	const struct tree *t = *state;
	struct ep_doctor_facts *f;

	tree_put(t, "/proc/cmdline", "BOOT_IMAGE=/vmlinuz intel_iommu=off quiet\n");
	tree_put(t, "/sys/class/dmi/id/sys_vendor", "Amazon EC2\n");
	tree_put(t, "/sys/class/dmi/id/product_name", "c6in.xlarge   \n");
	tree_put(t, "/proc/sys/net/netfilter/nf_conntrack_count", "12\n");
	tree_put(t, "/proc/sys/net/netfilter/nf_conntrack_max", "65536\n");
	f = tree_facts(t, NULL);
	assert_int_equal(f->iommu.group_count, 0);
	assert_true(f->iommu.asked_off);
	assert_int_equal(f->iommu.noiommu, EP_DOCTOR_UNKNOWN);
	assert_string_equal(f->dmi.vendor, "Amazon EC2");
	assert_string_equal(f->dmi.product, "c6in.xlarge");
	assert_true(f->conntrack.loaded);
	assert_int_equal(f->conntrack.active, EP_DOCTOR_YES);
	assert_int_equal(f->conntrack.count, 12);
	free(f);

	tree_put(t, "/sys/kernel/iommu_groups/0/type", "DMA\n");
	tree_put(t, "/sys/kernel/iommu_groups/1/type", "DMA\n");
	tree_put(t, "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n");
	f = tree_facts(t, NULL);
	assert_int_equal(f->iommu.group_count, 2);
	assert_int_equal(f->iommu.noiommu, EP_DOCTOR_YES);
	free(f);
}

/* A group of vfio's no-IOMMU mode has no IOMMU; whether there is such a mode is known before vfio is loaded. */
static void
what_there_is_without_an_iommu_is_read(void **state)
{
	const struct tree *t = *state;
	struct ep_doctor_facts *f = tree_facts(t, NULL);

	assert_int_equal(f->iommu.noiommu_built, EP_DOCTOR_UNKNOWN);
	assert_string_equal(f->iommu.table, "");
	assert_false(f->iommu.locked_down);
	free(f);

	tree_put(t, "/sys/kernel/iommu_groups/0/name", "vfio-noiommu\n");
	tree_put(t, "/sys/firmware/acpi/tables/DMAR", "");
	tree_put(t, "/sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
	tree_put(t, "/proc/sys/kernel/osrelease", "6.1.0-18-amd64\n");
	tree_put(t, "/boot/config-6.1.0-18-amd64",
		"CONFIG_VFIO=m\n# CONFIG_VFIO_NOIOMMU is not set\n");
	f = tree_facts(t, NULL);
	assert_int_equal(f->iommu.group_count, 0);
	assert_string_equal(f->iommu.table, "DMAR");
	assert_true(f->iommu.locked_down);
	assert_int_equal(f->iommu.noiommu_built, EP_DOCTOR_NO);
	free(f);

	tree_put(t, "/sys/kernel/security/lockdown", "[none] integrity confidentiality\n");
	tree_put(t, "/boot/config-6.1.0-18-amd64", "CONFIG_VFIO=m\nCONFIG_VFIO_NOIOMMU=y\n");
	f = tree_facts(t, NULL);
	assert_false(f->iommu.locked_down);
	assert_int_equal(f->iommu.noiommu_built, EP_DOCTOR_YES);
	free(f);

	/* The module that is loaded knows better. */
	tree_put(t, "/sys/module/vfio/refcnt", "0\n");
	f = tree_facts(t, NULL);
	assert_int_equal(f->iommu.noiommu_built, EP_DOCTOR_NO);
	free(f);
	tree_put(t, "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "N\n");
	f = tree_facts(t, NULL);
	assert_int_equal(f->iommu.noiommu_built, EP_DOCTOR_YES);
	assert_int_equal(f->iommu.noiommu, EP_DOCTOR_NO);
	free(f);
}

static bool
missing(const struct ep_doctor_facts *f, const char *name)
{
	for (size_t i = 0; i < EP_DOCTOR_TOOLS; i++)
		if (strcmp(ep_doctor_tool[i].name, name) == 0)
			return f->tool_missing[i];
	fail_msg("%s is not in the table", name);
	return false;
}

static void
tools_are_looked_for_where_apt_can_install_them(void **state)
{
	const struct tree *t = *state;
	struct ep_doctor_facts *f = tree_facts(t, NULL);

	assert_false(missing(f, "ethtool"));
	free(f);
	tree_put(t, "/usr/bin/apt", "");
	tree_put(t, "/usr/sbin/ethtool", "");
	f = tree_facts(t, NULL);
	assert_false(missing(f, "ethtool"));
	assert_true(missing(f, "dpdk-devbind.py"));
	free(f);
}

/* Addresses are written as the words of this host's memory: these rows are of a little-endian one. */
static void
the_ssh_session_is_told_by_its_established_connection(void **state)
{
	const struct tree *t = *state;
	static const uint8_t four[4] = {192, 168, 2, 1};
	static const uint8_t six[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 7};
	static const char head[] = "  sl  local_address rem_address   st\n";
	struct ep_wire_ip peer;
	char text[512];

	if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
		skip();
	assert_false(ep_hostinfo_ssh_peer(t->root, &peer));
	snprintf(text, sizeof(text), "%s%s%s%s", head,
		"   0: 00000000:0016 00000000:0000 0A 0\n",  /* listens */
		"   1: 0202A8C0:0050 0902A8C0:D431 01 0\n",  /* another service */
		"   2: 0202A8C0:0016 0902A8C0:D432 06 0\n"); /* over */
	tree_put(t, "/proc/net/tcp", text);
	assert_false(ep_hostinfo_ssh_peer(t->root, &peer));

	snprintf(text, sizeof(text), "%s%s", head,
		"   3: B80D0120000000000000000001000000:0016 B80D0120000000000000000007000000:D433 "
		"01 0\n");
	tree_put(t, "/proc/net/tcp6", text);
	assert_true(ep_hostinfo_ssh_peer(t->root, &peer));
	assert_int_equal(peer.family, EP_WIRE_IPV6);
	assert_memory_equal(peer.bytes_be, six, sizeof(six));

	snprintf(text, sizeof(text), "%s%s", head,
		"   3: 0000000000000000FFFF00000202A8C0:0016 0000000000000000FFFF00000102A8C0:D433 "
		"01 0\n");
	tree_put(t, "/proc/net/tcp6", text);
	assert_true(ep_hostinfo_ssh_peer(t->root, &peer));
	assert_int_equal(peer.family, EP_WIRE_IPV4);
	assert_memory_equal(peer.bytes_be, four, sizeof(four));

	tree_put(t, "/proc/net/tcp6", head);
	snprintf(text, sizeof(text), "%s%s", head, "   4: 0202A8C0:0016 0102A8C0:D433 01 0\n");
	tree_put(t, "/proc/net/tcp", text);
	assert_true(ep_hostinfo_ssh_peer(t->root, &peer));
	assert_int_equal(peer.family, EP_WIRE_IPV4);
	assert_memory_equal(peer.bytes_be, four, sizeof(four));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			an_empty_tree_leaves_everything_unknown, setup, teardown),
		cmocka_unit_test_setup_teardown(
			the_kernel_tells_its_version_and_its_ports, setup, teardown),
		cmocka_unit_test_setup_teardown(huge_pages_are_read_node_by_node, setup, teardown),
		cmocka_unit_test_setup_teardown(
			setting_huge_pages_writes_the_number_and_nothing_else, setup, teardown),
		cmocka_unit_test_setup_teardown(
			memory_slots_and_channels_are_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_broken_smbios_table_ends_the_reading, setup, teardown),
		cmocka_unit_test_setup_teardown(a_tuned_host_is_read_as_it_is, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_guest_is_told_by_its_flag_and_null_is_no_cpu_list, setup, teardown),
		cmocka_unit_test_setup_teardown(
			interrupts_on_data_cpus_are_found_by_column_and_affinity, setup, teardown),
		cmocka_unit_test_setup_teardown(
			iommu_firmware_and_tracking_are_read, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_there_is_without_an_iommu_is_read, setup, teardown),
		cmocka_unit_test_setup_teardown(
			tools_are_looked_for_where_apt_can_install_them, setup, teardown),
		cmocka_unit_test_setup_teardown(
			the_ssh_session_is_told_by_its_established_connection, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
