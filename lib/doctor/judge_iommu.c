/*
 * What a NIC that DPDK's own driver drives is protected by, and by what it can be given to that driver where there is no IOMMU: vfio
 * takes it then in its no-IOMMU mode only, which Debian's kernels are built without; uio_pci_generic takes what has a legacy
 * interrupt, unless the kernel is locked down (Secure Boot).
 */

#include "doctor_priv.h"

#include <stdio.h>
#include <string.h>

#define GRUB "/etc/default/grub"

enum doctor_bind
doctor_bind(const struct ep_doctor_facts *f, const struct ep_doctor_nic *n)
{
	const struct ep_doctor_iommu *i = &f->iommu;

	if (i->group_count > 0 || i->noiommu == EP_DOCTOR_YES)
		return DOCTOR_BIND_VFIO;
	if (i->noiommu_built == EP_DOCTOR_YES)
		return DOCTOR_BIND_NOIOMMU;
	return n->intx == EP_DOCTOR_NO || i->locked_down ? DOCTOR_BIND_NONE : DOCTOR_BIND_UIO;
}

void
doctor_fix_interface(
	const struct ep_doctor_facts *f, const struct ep_doctor_nic *n, struct ep_doctor_finding *x)
{
	const bool bound = n->driver[0] != '\0' && strcmp(n->driver, "vfio-pci") != 0 &&
		!doctor_is_uio(n->driver);

	if (n->name[0] != '\0')
		doctor_fix(x, "sudo %s doctor --dev %s", doctor_program(f), n->name);
	else if (bound)
		doctor_fix(x, "ip -br link");
	else
		doctor_fix(x, "sudo dpdk-devbind.py --bind=%s %s",
			n->former[0] != '\0' ? n->former : "KERNEL_DRIVER", n->pci);
}

/* The device of --dev that needs something to be given to DPDK by; NULL: none, those whose driver is shared need nothing. */
static const struct ep_doctor_nic *
nic_to_give(const struct ep_doctor_facts *f)
{
	for (uint32_t i = 0; i < f->nic_count; i++) {
		const struct ep_doctor_driver *d = ep_doctor_driver(f->nic[i].driver);

		if (f->nic[i].use == EP_DOCTOR_USE_PCI && (d == NULL || !d->bifurcated))
			return &f->nic[i];
	}
	return NULL;
}

/* There could be one: why it is off, and what turns it on. Returns whether there could. */
static bool
say_turn_on(const struct ep_doctor_facts *f, struct ep_doctor_finding *x)
{
	const struct ep_doctor_iommu *i = &f->iommu;

	if (i->asked_off) {
		doctor_say(x,
			"there is no IOMMU (the kernel's command line turns it off), which "
			"vfio-pci needs");
		doctor_fix(x,
			"sudo sed -i -E 's/ *\\b(intel_iommu|amd_iommu|iommu)=off\\b//g' " GRUB
			" && sudo update-grub && sudo reboot");
	} else if (strcmp(i->table, "DMAR") == 0) {
		doctor_say(x,
			"the IOMMU (VT-d) that the firmware tells of is off in this kernel, "
			"and vfio-pci needs it");
		doctor_fix(x,
			"sudo sed -i 's/^GRUB_CMDLINE_LINUX=\"/&intel_iommu=on iommu=pt /' " GRUB
			" && sudo update-grub && sudo reboot");
	} else if (i->table[0] != '\0') {
		doctor_say(x,
			"the firmware tells of an IOMMU (AMD-Vi) that vfio-pci needs, and kernel "
			"%s does not use it: Debian's cloud kernel has no driver for it",
			f->kernel.release);
		doctor_fix(x, "sudo apt install linux-image-amd64 && sudo reboot");
	} else if (!f->cpu.virtual_machine) {
		doctor_say(x,
			"there is no IOMMU, which vfio-pci needs: turn on VT-d (Intel) or "
			"AMD-Vi, often named IOMMU, in the firmware's setup");
		doctor_fix(x, "sudo systemctl reboot --firmware-setup");
	} else {
		return false;
	}
	return true;
}

/* A guest whose hypervisor shows it none. What the NIC can be given by instead is a finding of its own, with the command. */
static void
say_guest(
	const struct ep_doctor_facts *f, const struct ep_doctor_nic *n, struct ep_doctor_finding *x)
{
	static const char *const instead[] = {
		[DOCTOR_BIND_VFIO] = "",
		[DOCTOR_BIND_NOIOMMU] =
			": vfio-pci takes a NIC only in its no-IOMMU mode, which "
			"this kernel has and which lets the NIC write to all memory",
		[DOCTOR_BIND_UIO] =
			" and, as far as can be seen, no no-IOMMU mode of vfio (Debian's "
			"kernels have none): uio_pci_generic can take the NIC, which may "
			"then write to all memory",
		[DOCTOR_BIND_NONE] = ", and nothing else here gives the NIC to DPDK",
	};
	char dev[32];

	snprintf(dev, sizeof(dev), "%s", n->name[0] != '\0' ? n->name : "INTERFACE");
	doctor_say(x,
		"this virtual machine has no IOMMU%s; AF_XDP on the kernel's interface (--dev %s) "
		"needs none",
		instead[doctor_bind(f, n)], dev);
	doctor_fix_interface(f, n, x);
}

void
doctor_judge_iommu(const struct ep_doctor_facts *f, struct ep_doctor_report *r)
{
	const struct ep_doctor_iommu *i = &f->iommu;
	const struct ep_doctor_nic *n = nic_to_give(f);
	struct ep_doctor_finding *x = doctor_add(r, "iommu", NULL, EP_DOCTOR_OK);

	if (i->group_count > 0) {
		doctor_say(x, "the IOMMU is on (%u group%s): vfio-pci can be used", i->group_count,
			i->group_count == 1 ? "" : "s");
		return;
	}
	if (n == NULL) {
		doctor_say(x,
			"there is no IOMMU%s: nothing here needs one, since AF_XDP and AF_PACKET "
			"leave the NIC with the kernel",
			i->asked_off ? " (the kernel's command line turns it off)" : "");
		return;
	}
	x->status = EP_DOCTOR_WARN;
	if (i->noiommu == EP_DOCTOR_YES)
		doctor_say(x,
			"there is no IOMMU, and vfio's no-IOMMU mode is on: vfio-pci can be "
			"used, without protection of memory from the device");
	else if (doctor_is_uio(n->driver))
		doctor_say(x,
			"there is no IOMMU, and %s needs none: it works, without protection of "
			"memory from the device",
			n->driver);
	else if (!say_turn_on(f, x))
		say_guest(f, n, x);
}
