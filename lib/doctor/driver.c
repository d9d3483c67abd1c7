/*
 * What is known of drivers, by the kernel's name. XDP: since when a driver has native XDP with redirect, and what it refuses, from
 * the kernel's sources (ena_xdp.h, gve_main.c, virtio_net.c, netvsc_bpf.c, mana.h and the drivers' own ndo_bpf); DPDK:
 * doc/guides/nics/features of version 22.11. What really happens is tried when a device is opened.
 */

#include "ep_doctor.h"

#include <string.h>

#define V(major, minor) ((major)*1000u + (minor))

static const struct ep_doctor_driver drivers[] = {
	/* Clouds and virtual machines. */
	{"ena", "ena", V(5, 6), 0, 3498, true, false, false,
		"RSS with key and table, checksum; no flow rules, no time stamps"},
	{"gve", "gve", V(6, 4), V(6, 4), 2032, true, true, false,
		"RSS fixed by the host, checksum; no flow rules, no time stamps"},
	{"virtio_net", "virtio", V(4, 14), V(6, 13), 3506, false, false, false,
		"RSS where the host offers it; no flow rules, no time stamps"},
	/* The same without an interface: what is bound to the PCI device then. */
	{"virtio-pci", "virtio", V(4, 14), V(6, 13), 3506, false, false, false,
		"RSS where the host offers it; no flow rules, no time stamps"},
	{"hv_netvsc", "netvsc", V(5, 19), 0, 3506, false, true, false,
		"RSS and checksum as the host offers; no flow rules, no time stamps"},
	{"mana", "mana", V(6, 0), 0, 3506, false, false, true,
		"RSS, checksum; no flow rules, no time stamps"},
	{"vmxnet3", "vmxnet3", V(6, 6), 0, 3494, false, true, false,
		"RSS, checksum; no flow rules, no time stamps"},
	{"xen-netfront", NULL, V(5, 9), 0, 3498, false, false, false, NULL},
	/* 10 to 400 Gbps. */
	{"mlx5_core", "mlx5", V(4, 18), V(5, 3), 3498, false, false, true,
		"RSS with key and table, flow rules by UDP port with isolation from the kernel, "
		"checksum, time stamps"},
	{"ixgbe", "ixgbe", V(4, 14), V(4, 20), 3050, false, true, false,
		"RSS with key and table, flow rules by exact UDP port, checksum; no time stamps "
		"of all packets"},
	{"i40e", "i40e", V(4, 17), V(4, 20), 3046, false, false, false,
		"RSS with key and table, flow rules by UDP port, checksum; no time stamps of all "
		"packets"},
	{"ice", "ice", V(5, 5), V(5, 5), 3046, false, false, false,
		"RSS with key and table, flow rules by UDP port and mask, checksum, time stamps"},
	{"iavf", "iavf", 0, 0, 0, false, false, false,
		"RSS with key and table, flow rules by UDP port where the host allows them, "
		"checksum, time stamps"},
	{"ixgbevf", "ixgbe_vf", 0, 0, 0, false, false, false,
		"RSS with key and table, checksum; no flow rules, no time stamps"},
	{"bnxt_en", "bnxt", V(5, 5), 0, 3498, false, false, false,
		"RSS with key and table, flow rules by UDP port, checksum; no time stamps of all "
		"packets"},
	{"sfc", "sfc", V(5, 5), 0, 3498, false, false, false,
		"RSS with key and table, flow rules, checksum"},
	/* 1 Gbps. */
	{"igb", "igb", V(5, 10), V(6, 14), 3050, false, false, false,
		"RSS with key and table, checksum; no time stamps of all packets"},
	{"igc", "igc", V(5, 13), V(5, 14), 3050, false, false, false,
		"RSS with key and table, flow rules by UDP port, checksum; no time stamps of all "
		"packets"},
	{"e1000e", "e1000", 0, 0, 0, false, false, false, "one queue, checksum; no flow rules"},
	{"e1000", "e1000", 0, 0, 0, false, false, false, "one queue, checksum; no flow rules"},
	{"r8169", NULL, 0, 0, 0, false, false, false, NULL},
	{"tg3", NULL, 0, 0, 0, false, false, false, NULL},
	/* Made by the kernel. */
	{"veth", NULL, V(4, 19), 0, 3498, false, false, false, NULL},
	{"tun", NULL, V(4, 14), 0, 3498, false, false, false, NULL},
};

const struct ep_doctor_driver *
ep_doctor_driver(const char *kernel_name)
{
	for (size_t i = 0; i < EP_ARRAY_LEN(drivers); i++)
		if (strcmp(drivers[i].kernel, kernel_name) == 0)
			return &drivers[i];
	return NULL;
}
