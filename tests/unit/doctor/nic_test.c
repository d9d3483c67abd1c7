#include "good.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SET(field, text) snprintf(field, sizeof(field), "%s", text)

/* --- Devices ---------------------------------------------------------------------------------------------------------------- */

static void
missing(struct ep_doctor_facts *f)
{
	f->nic[0].missing = true;
}

static void
refused(struct ep_doctor_facts *f)
{
	SET(f->dev_error, "--dev 0000:01:00.0: another program has its group 7 of vfio");
}

static void
no_nic(struct ep_doctor_facts *f)
{
	f->nic_count = 0;
}

static void
vdev(struct ep_doctor_facts *f)
{
	f->nic[0].use = EP_DOCTOR_USE_NONE;
	SET(f->vdev, "net_memif0");
}

static void
default_route(struct ep_doctor_facts *f)
{
	f->nic[0].default_route = true;
}

static void
ssh(struct ep_doctor_facts *f)
{
	f->nic[0].ssh = f->nic[0].default_route = true;
}

static void
by_pci(struct ep_doctor_facts *f)
{
	f->nic[0].use = EP_DOCTOR_USE_PCI;
}

static void
by_pci_without_tools(struct ep_doctor_facts *f)
{
	by_pci(f);
	memset(f->tool_missing, true, sizeof(f->tool_missing));
}

static void
by_pci_without_iommu(struct ep_doctor_facts *f)
{
	by_pci(f);
	f->iommu.group_count = 0;
}

static void
by_pci_in_guest(struct ep_doctor_facts *f)
{
	by_pci_without_iommu(f);
	f->cpu.virtual_machine = true;
	f->iommu.noiommu_built = EP_DOCTOR_NO;
	f->nic[0].intx = EP_DOCTOR_YES;
}

static void
by_pci_noiommu(struct ep_doctor_facts *f)
{
	by_pci_in_guest(f);
	f->iommu.noiommu_built = EP_DOCTOR_YES;
}

static void
by_pci_noiommu_on(struct ep_doctor_facts *f)
{
	by_pci_noiommu(f);
	f->iommu.noiommu = EP_DOCTOR_YES;
}

static void
by_pci_without_intx(struct ep_doctor_facts *f)
{
	by_pci_in_guest(f);
	f->nic[0].intx = EP_DOCTOR_NO;
}

static void
by_pci_locked_down(struct ep_doctor_facts *f)
{
	by_pci_in_guest(f);
	f->iommu.locked_down = true;
	SET(f->nic[0].former, "ixgbe");
	f->nic[0].name[0] = f->nic[0].driver[0] = '\0';
}

static void
by_pci_with_route(struct ep_doctor_facts *f)
{
	by_pci(f);
	default_route(f);
}

static void
on_vfio(struct ep_doctor_facts *f)
{
	SET(f->nic[0].driver, "vfio-pci");
	SET(f->nic[0].former, "ixgbe");
	f->nic[0].name[0] = '\0';
}

static void
on_vfio_by_pci(struct ep_doctor_facts *f)
{
	on_vfio(f);
	by_pci(f);
}

static void
unbound(struct ep_doctor_facts *f)
{
	f->nic[0].driver[0] = f->nic[0].name[0] = '\0';
	SET(f->nic[0].former, "ixgbe");
}

static void
mlx5_by_pci(struct ep_doctor_facts *f)
{
	by_pci(f);
	SET(f->nic[0].driver, "mlx5_core");
}

static void
veth(struct ep_doctor_facts *f)
{
	SET(f->nic[0].driver, "veth");
	f->nic[0].pci[0] = '\0';
}

static void
strange(struct ep_doctor_facts *f)
{
	SET(f->nic[0].driver, "fancynic");
}

static void
down(struct ep_doctor_facts *f)
{
	f->nic[0].up = false;
}

static void
down_unasked(struct ep_doctor_facts *f)
{
	down(f);
	f->nic[0].use = EP_DOCTOR_USE_NONE;
}

static void
bonded(struct ep_doctor_facts *f)
{
	SET(f->nic[0].master, "bond0");
}

static void
no_speed(struct ep_doctor_facts *f)
{
	f->nic[0].speed_bps = 0;
}

static void
no_firmware(struct ep_doctor_facts *f)
{
	f->nic[0].firmware[0] = '\0';
}

static void
small_mtu(struct ep_doctor_facts *f)
{
	f->nic[0].mtu_bytes = 1400;
}

static void
e1000e(struct ep_doctor_facts *f)
{
	SET(f->nic[0].driver, "e1000e");
}

static void
lro(struct ep_doctor_facts *f)
{
	f->nic[0].lro = true;
}

static void
foreign_xdp(struct ep_doctor_facts *f)
{
	f->nic[0].xdp_prog_id = 42;
}

static void
foreign_xdp_unasked(struct ep_doctor_facts *f)
{
	foreign_xdp(f);
	f->nic[0].use = EP_DOCTOR_USE_NONE;
}

static void
af_packet(struct ep_doctor_facts *f)
{
	f->nic[0].use = EP_DOCTOR_USE_AF_PACKET;
}

static void
small_rings(struct ep_doctor_facts *f)
{
	f->nic[0].ring = 512;
}

static void
no_rings(struct ep_doctor_facts *f)
{
	f->nic[0].ring_max = 0;
}

static void
rss_by_address(struct ep_doctor_facts *f)
{
	f->nic[0].udp_ports_hashed = EP_DOCTOR_NO;
}

static void
one_queue(struct ep_doctor_facts *f)
{
	rss_by_address(f);
	f->nic[0].queues = 1;
}

/* --- Clouds ----------------------------------------------------------------------------------------------------------------- */

static void
ec2(struct ep_doctor_facts *f)
{
	SET(f->dmi.vendor, "Amazon EC2");
	SET(f->dmi.product, "c6in.xlarge");
	SET(f->nic[0].driver, "ena");
	f->cpu.virtual_machine = true;
	f->nic[0].queues = 2;
	f->nic[0].queues_max = 4;
	f->nic[0].mtu_bytes = 3498;
	f->nic[0].counter_count = 3;
	SET(f->nic[0].counter[0].name, "bw_in_allowance_exceeded");
	SET(f->nic[0].counter[1].name, "pps_allowance_exceeded");
	SET(f->nic[0].counter[2].name, "linklocal_allowance_exceeded");
	f->nic[0].counter[2].value = 99999; /* of the name service: no probe's */
}

static void
ec2_fresh(struct ep_doctor_facts *f)
{
	ec2(f);
	f->nic[0].mtu_bytes = 9001;
	f->nic[0].queues = 4;
}

static void
ec2_small(struct ep_doctor_facts *f)
{
	ec2(f);
	f->nic[0].queues = f->nic[0].queues_max = 1;
}

static void
ec2_exceeded(struct ep_doctor_facts *f)
{
	ec2(f);
	f->nic[0].counter[1].value = 1234;
}

static void
ec2_xen(struct ep_doctor_facts *f)
{
	SET(f->dmi.vendor, "Xen");
	SET(f->dmi.bios_version, "4.11.amazon");
	SET(f->nic[0].driver, "xen-netfront");
}

static void
gcp(struct ep_doctor_facts *f)
{
	SET(f->dmi.vendor, "Google");
	SET(f->dmi.product, "Google Compute Engine");
	SET(f->nic[0].driver, "gve");
	f->kernel.minor = 12;
	f->nic[0].mtu_bytes = 1460;
}

static void
gcp_all_queues(struct ep_doctor_facts *f)
{
	gcp(f);
	f->nic[0].queues = f->nic[0].queues_max = 4;
}

static void
gcp_debian12(struct ep_doctor_facts *f)
{
	gcp(f);
	f->kernel.minor = 1;
}

static void
gcp_virtio(struct ep_doctor_facts *f)
{
	gcp(f);
	SET(f->nic[0].driver, "virtio_net");
}

static void
azure(struct ep_doctor_facts *f)
{
	SET(f->dmi.vendor, "Microsoft Corporation");
	SET(f->dmi.product, "Virtual Machine");
	SET(f->dmi.asset_tag, "7783-7084-3265-9085-8269-3286-77");
	SET(f->nic[0].driver, "hv_netvsc");
}

static void
azure_accelerated(struct ep_doctor_facts *f)
{
	azure(f);
	f->nic_count = 2;
	f->nic[1] = (struct ep_doctor_nic){
		.name = "enP1s1", .driver = "mana", .master = "eth1", .up = true};
}

static void
azure_af_packet(struct ep_doctor_facts *f)
{
	azure_accelerated(f);
	af_packet(f);
}

static void
hyperv_at_home(struct ep_doctor_facts *f)
{
	azure(f);
	f->dmi.asset_tag[0] = '\0';
	f->cpu.virtual_machine = true;
}

static const struct good_case cases[] = {
	{"a virtual device", vdev, "device", EP_DOCTOR_OK, "net_memif0", ""},
	{"no NIC at all", no_nic, "device", EP_DOCTOR_WARN, "no NIC", "ip -br link"},
	{"a device that is not there", missing, "device", EP_DOCTOR_STOP,
		"eth1: there is no such device", "ip -br link"},
	{"one that DPDK cannot have", refused, "device", EP_DOCTOR_STOP, "another program", ""},

	{"a free NIC", NULL, "driver", EP_DOCTOR_OK, "carries nothing", ""},
	{"the default route", default_route, "driver", EP_DOCTOR_OK, "never bind it", ""},
	{"the ssh session", ssh, "driver", EP_DOCTOR_OK, "ssh session", ""},
	{"no PCI device", veth, "driver", EP_DOCTOR_OK, "no PCI device", ""},
	{"bound to vfio-pci, and named so", on_vfio_by_pci, "driver", EP_DOCTOR_OK,
		"0000:01:00.0 is bound to vfio-pci", ""},
	{"mlx5 by its address", mlx5_by_pci, "driver", EP_DOCTOR_OK, "shares it with the kernel",
		""},
	{"a NIC by its address", by_pci, "driver", EP_DOCTOR_STOP, "not to vfio-pci",
		"dpdk-devbind.py --bind=vfio-pci 0000:01:00.0"},
	{"the default route by its address", by_pci_with_route, "driver", EP_DOCTOR_STOP,
		"cut the host off", "sudo everyport doctor --dev eth1"},
	{"a NIC by its address, and no tool to bind it", by_pci_without_tools, "driver",
		EP_DOCTOR_STOP, "not to vfio-pci",
		"sudo apt install dpdk && sudo modprobe vfio-pci && sudo dpdk-devbind.py"},
	{"without an IOMMU", by_pci_in_guest, "driver", EP_DOCTOR_STOP,
		"vfio-pci does not take it, and uio_pci_generic does",
		"sudo modprobe uio_pci_generic && sudo dpdk-devbind.py --bind=uio_pci_generic "
		"0000:01:00.0"},
	{"without an IOMMU, on a machine that may have one", by_pci_without_iommu, "driver",
		EP_DOCTOR_STOP, "uio_pci_generic does", "--bind=uio_pci_generic 0000:01:00.0"},
	{"without an IOMMU, in a kernel whose vfio does without", by_pci_noiommu, "driver",
		EP_DOCTOR_STOP, "in no-IOMMU mode only, which is off",
		"echo 1 | sudo tee /sys/module/vfio/parameters/enable_unsafe_noiommu_mode && "
		"sudo modprobe vfio-pci && sudo dpdk-devbind.py --bind=vfio-pci 0000:01:00.0"},
	{"without an IOMMU, in that mode", by_pci_noiommu_on, "driver", EP_DOCTOR_STOP,
		"not to vfio-pci", "--bind=vfio-pci 0000:01:00.0"},
	{"without an IOMMU or a legacy interrupt", by_pci_without_intx, "driver", EP_DOCTOR_STOP,
		"uio_pci_generic a legacy interrupt, which it does not have",
		"sudo everyport doctor --dev eth1"},
	{"without an IOMMU, locked down, without an interface", by_pci_locked_down, "driver",
		EP_DOCTOR_STOP, "not locked down (Secure Boot)", "--bind=ixgbe 0000:01:00.0"},
	{"bound to vfio-pci", on_vfio, "driver", EP_DOCTOR_WARN, "has no interface",
		"dpdk-devbind.py --bind=ixgbe 0000:01:00.0"},
	{"no driver", unbound, "driver", EP_DOCTOR_WARN, "no driver of the kernel",
		"--bind=ixgbe 0000:01:00.0"},

	{"a driver of DPDK's", NULL, "pmd", EP_DOCTOR_OK, "net_ixgbe", ""},
	{"none of DPDK's", veth, "pmd", EP_DOCTOR_OK, "no driver of its own", ""},
	{"one that nobody knows", strange, "pmd", EP_DOCTOR_OK, "nothing is known", ""},

	{"10 Gbps", NULL, "link", EP_DOCTOR_OK, "10 Gbps", ""},
	{"no speed", no_speed, "link", EP_DOCTOR_OK, "no speed", ""},
	{"down, not asked for", down_unasked, "link", EP_DOCTOR_OK, "is down", ""},
	{"a part of a bond", bonded, "link", EP_DOCTOR_WARN, "a part of bond0", "ip -d link"},
	{"down", down, "link", EP_DOCTOR_STOP, "is down", "ip link set eth1 up"},
	{"firmware", NULL, "firmware", EP_DOCTOR_OK, "0x800003e2", ""},
	{"no firmware", no_firmware, "firmware", EP_DOCTOR_OK, "no firmware", ""},

	{"1500", NULL, "mtu", EP_DOCTOR_OK, "1500", ""},
	{"1400", small_mtu, "mtu", EP_DOCTOR_OK, "--size up to 1418", ""},
	{"EC2's 9001", ec2_fresh, "mtu", EP_DOCTOR_WARN, "up to 3498", "mtu 1500"},
	{"native", NULL, "xdp", EP_DOCTOR_OK, "zero copy", ""},
	{"AF_PACKET", af_packet, "xdp", EP_DOCTOR_OK, "AF_PACKET", ""},
	{"a driver that nobody knows", strange, "xdp", EP_DOCTOR_OK, "native XDP first", ""},
	{"half of ENA's queues", ec2, "xdp", EP_DOCTOR_OK, "native XDP", ""},
	{"gve in a newer kernel", gcp, "xdp", EP_DOCTOR_OK, "zero copy", ""},
	{"all of ENA's queues", ec2_fresh, "xdp", EP_DOCTOR_WARN, "4 of 4 queues",
		"ethtool -L eth1 combined 2"},
	{"all of gve's queues", gcp_all_queues, "xdp", EP_DOCTOR_WARN, "4 of 4 queues",
		"ethtool -L eth1 rx 2 tx 2"},
	{"ENA with one queue", ec2_small, "xdp", EP_DOCTOR_WARN, "one queue", ""},
	{"gve in Debian 12", gcp_debian12, "xdp", EP_DOCTOR_WARN, "from kernel 6.4 on",
		"bookworm-backports"},
	{"LRO", lro, "xdp", EP_DOCTOR_WARN, "LRO", "ethtool -K eth1 lro off"},
	{"no native XDP", e1000e, "xdp", EP_DOCTOR_WARN, "no native XDP", ""},
	{"somebody's program, not asked for", foreign_xdp_unasked, "xdp", EP_DOCTOR_WARN, "id 42",
		"xdp off"},
	{"somebody's program", foreign_xdp, "xdp", EP_DOCTOR_STOP, "id 42", "xdp off"},
	{"large rings", NULL, "rings", EP_DOCTOR_OK, "4096", ""},
	{"no rings", no_rings, "rings", EP_DOCTOR_OK, "no ring sizes", ""},
	{"small rings", small_rings, "rings", EP_DOCTOR_WARN, "512, and could have 4096",
		"ethtool -G eth1 rx 4096"},
	{"RSS by ports", NULL, "rss", EP_DOCTOR_OK, "by address and port", ""},
	{"one queue", one_queue, "rss", EP_DOCTOR_OK, "one receive queue", ""},
	{"RSS by address", rss_by_address, "rss", EP_DOCTOR_WARN, "come in on one",
		"rx-flow-hash udp4 sdfn"},

	{"no cloud", NULL, "cloud", EP_DOCTOR_OK, "Supermicro", ""},
	{"EC2", ec2, "cloud", EP_DOCTOR_OK, "EC2 (c6in.xlarge)", ""},
	{"EC2's allowance", ec2_exceeded, "cloud", EP_DOCTOR_WARN, "pps_allowance_exceeded is 1234",
		"ethtool -S eth1"},
	{"EC2 on Xen", ec2_xen, "cloud", EP_DOCTOR_WARN, "without an ENA", "ena-support"},
	{"GCP with gVNIC", gcp, "cloud", EP_DOCTOR_OK, "gVNIC", ""},
	{"GCP on virtio", gcp_virtio, "cloud", EP_DOCTOR_WARN, "eth1 on virtio", "nic-type=GVNIC"},
	{"Azure", azure, "cloud", EP_DOCTOR_WARN, "without accelerated networking",
		"--accelerated-networking true"},
	{"Azure with a VF", azure_accelerated, "cloud", EP_DOCTOR_WARN, "enP1s1 (mana)",
		"af_packet:eth1"},
	{"Azure with a VF, AF_PACKET", azure_af_packet, "cloud", EP_DOCTOR_OK, "accelerated", ""},
	{"Hyper-V elsewhere", hyperv_at_home, "cloud", EP_DOCTOR_OK, "a virtual machine (Microsoft",
		""},
};

static const struct good_can can[] = {
	{"device", true, true, true},
	{"driver", true, true, true},
	{"pmd", true, false, false},
	{"link", true, true, true},
	{"firmware", true, false, false},
	{"mtu", true, true, false},
	{"xdp", true, true, true},
	{"rings", true, true, false},
	{"rss", true, true, false},
	{"cloud", true, true, false},
};

static void
each_fact_about_a_device_leads_to_its_status_sentence_and_command(void **state)
{
	(void)state;
	good_cases(cases, EP_ARRAY_LEN(cases));
}

static void
each_finding_about_a_device_has_a_case_for_each_of_its_statuses(void **state)
{
	(void)state;
	good_covers(cases, EP_ARRAY_LEN(cases), can, EP_ARRAY_LEN(can));
}

/* What carries the default route or the ssh session is never to be bound, whatever else is true of it. */
static void
no_command_ever_binds_what_carries_the_default_route_or_ssh(void **state)
{
	static void (*const change[])(struct ep_doctor_facts *) = {
		NULL, by_pci, veth, strange, down, bonded, ec2, gcp, azure, mlx5_by_pci};
	struct ep_doctor_report *r = malloc(sizeof(*r));

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(change); i++) {
		for (int way = 0; way < 2; way++) {
			struct ep_doctor_facts *f = good_facts();

			if (change[i] != NULL)
				change[i](f);
			f->nic[0].default_route = way == 0;
			f->nic[0].ssh = way == 1;
			ep_doctor_judge(f, r);
			for (uint32_t k = 0; k < r->count; k++) {
				assert_null(strstr(r->finding[k].fix, "devbind"));
				assert_null(strstr(r->finding[k].sentence, "devbind"));
			}
			free(f);
		}
	}
	free(r);
}

static void
a_named_device_hides_the_others(void **state)
{
	struct ep_doctor_report *r = malloc(sizeof(*r));
	struct ep_doctor_facts *f = good_facts();

	(void)state;
	f->nic_count = 2;
	f->nic[1] = f->nic[0];
	SET(f->nic[1].name, "eth2");
	f->nic[1].use = EP_DOCTOR_USE_NONE;
	ep_doctor_judge(f, r);
	for (uint32_t i = 0; i < r->count; i++)
		assert_string_not_equal(r->finding[i].subject, "eth2");
	f->nic[0].use = EP_DOCTOR_USE_NONE;
	ep_doctor_judge(f, r);
	assert_string_equal(r->finding[r->count - 3].subject, "eth2");
	free(f);
	free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_fact_about_a_device_leads_to_its_status_sentence_and_command),
		cmocka_unit_test(each_finding_about_a_device_has_a_case_for_each_of_its_statuses),
		cmocka_unit_test(no_command_ever_binds_what_carries_the_default_route_or_ssh),
		cmocka_unit_test(a_named_device_hides_the_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
