/* Device by device: the driver, the link, and what AF_XDP will find there. */

#include "doctor_priv.h"

#include <stdio.h>
#include <string.h>

#define FRAME_MTU_BYTES 1500

static unsigned int
kernel_version(const struct ep_doctor_facts *f)
{
	return f->kernel.major * 1000 + f->kernel.minor;
}

bool
doctor_is_uio(const char *driver)
{
	return strcmp(driver, "uio_pci_generic") == 0 || strcmp(driver, "igb_uio") == 0;
}

static bool
nic_on_vfio(const struct ep_doctor_nic *n)
{
	return strcmp(n->driver, "vfio-pci") == 0 || doctor_is_uio(n->driver);
}

/* What the host would lose with the interface. NULL: nothing. */
static const char *
nic_carries(const struct ep_doctor_nic *n)
{
	if (n->ssh)
		return "the ssh session that this runs in";
	if (n->default_route)
		return "the default route";
	return n->address ? "an address" : NULL;
}

/* --- Driver ----------------------------------------------------------------------------------------------------------------- */

static void
driver_of_interface(
	const struct ep_doctor_facts *f, const struct ep_doctor_nic *n, struct ep_doctor_finding *x)
{
	const struct ep_doctor_driver *d = ep_doctor_driver(n->driver);
	const char *carries = nic_carries(n);

	if (n->pci[0] == '\0') {
		doctor_say(x, "%s is driven by %s and is no PCI device: it stays with the kernel",
			n->name, n->driver[0] != '\0' ? n->driver : "a driver without a name");
	} else if (carries != NULL) {
		doctor_say(x,
			"%s (%s, %s) carries %s: leave it with the kernel and never bind it to "
			"vfio-pci; AF_XDP shares it",
			n->name, n->driver, n->pci, carries);
	} else if (d != NULL && d->bifurcated) {
		doctor_say(x,
			"%s (%s, %s): DPDK's driver shares it with the kernel's, so nothing is to "
			"be bound",
			n->name, n->driver, n->pci);
	} else {
		doctor_say(x,
			"%s (%s, %s) carries nothing: AF_XDP takes it as it is; what gives it to "
			"DPDK's own driver: %s doctor --dev %s",
			n->name, n->driver, n->pci, doctor_program(f), n->pci);
	}
}

/* It belongs to the kernel, or to nobody; by what it can be given to DPDK here, and by what command. */
static void
say_bind(
	const struct ep_doctor_facts *f, const struct ep_doctor_nic *n, struct ep_doctor_finding *x)
{
	char is[96];

	snprintf(is, sizeof(is), "%s is bound to %s%s%s", n->pci,
		n->driver[0] != '\0' ? n->driver : "no driver", n->name[0] != '\0' ? " as " : "",
		n->name);
	switch (doctor_bind(f, n)) {
	case DOCTOR_BIND_VFIO:
		doctor_say(x, "%s, not to vfio-pci", is);
		doctor_fix(x, "sudo modprobe vfio-pci && sudo dpdk-devbind.py --bind=vfio-pci %s",
			n->pci);
		break;
	case DOCTOR_BIND_NOIOMMU:
		doctor_say(x,
			"%s; without an IOMMU, vfio-pci takes it in no-IOMMU mode only, which is "
			"off, and in which the NIC may write to all memory",
			is);
		doctor_fix(x,
			"sudo modprobe vfio && echo 1 | sudo tee "
			"/sys/module/vfio/parameters/enable_unsafe_noiommu_mode && sudo modprobe "
			"vfio-pci && sudo dpdk-devbind.py --bind=vfio-pci %s",
			n->pci);
		break;
	case DOCTOR_BIND_UIO:
		doctor_say(x,
			"%s; without an IOMMU, vfio-pci does not take it, and uio_pci_generic "
			"does: the NIC may then write to all memory",
			is);
		doctor_fix(x,
			"sudo modprobe uio_pci_generic && sudo dpdk-devbind.py "
			"--bind=uio_pci_generic %s",
			n->pci);
		break;
	case DOCTOR_BIND_NONE:
		doctor_say(x,
			"%s, and nothing gives it to DPDK here: vfio-pci needs an IOMMU, and "
			"uio_pci_generic %s; use the kernel's interface",
			is,
			f->iommu.locked_down ? "a kernel that is not locked down (Secure Boot)"
					     : "a legacy interrupt, which it does not have");
		doctor_fix_interface(f, n, x);
		break;
	}
}

/* It was named by its PCI address, so it has to be free of the kernel. */
static void
driver_to_bind(
	const struct ep_doctor_facts *f, const struct ep_doctor_nic *n, struct ep_doctor_finding *x)
{
	const char *carries = nic_carries(n);

	x->status = EP_DOCTOR_STOP;
	if (carries == NULL) {
		say_bind(f, n, x);
		return;
	}
	doctor_say(x,
		"%s is %s of the kernel (%s) and carries %s: binding it to vfio-pci would cut the "
		"host off; use it as --dev %s",
		n->pci, n->name, n->driver, carries, n->name);
	doctor_fix(x, "sudo %s doctor --dev %s", doctor_program(f), n->name);
}

static void
judge_driver(
	const struct ep_doctor_facts *f, const struct ep_doctor_nic *n, struct ep_doctor_report *r)
{
	const struct ep_doctor_driver *d = ep_doctor_driver(n->driver);
	struct ep_doctor_finding *x = doctor_add(r, "driver", doctor_nic_name(n), EP_DOCTOR_OK);

	if (nic_on_vfio(n) && n->use == EP_DOCTOR_USE_PCI) {
		doctor_say(x, "%s is bound to %s", n->pci, n->driver);
	} else if (nic_on_vfio(n)) {
		x->status = EP_DOCTOR_WARN;
		doctor_say(x,
			"%s is bound to %s, where AF_XDP cannot reach it: it has no interface",
			n->pci, n->driver);
		doctor_fix(x, "sudo dpdk-devbind.py --bind=%s %s",
			n->former[0] != '\0' ? n->former : "KERNEL_DRIVER", n->pci);
	} else if (n->use == EP_DOCTOR_USE_PCI && !(d != NULL && d->bifurcated)) {
		driver_to_bind(f, n, x);
	} else if (n->name[0] == '\0') {
		x->status = EP_DOCTOR_WARN;
		doctor_say(
			x, "%s has no interface: no driver of the kernel is bound to it", n->pci);
		doctor_fix(x, "sudo dpdk-devbind.py --bind=%s %s",
			n->former[0] != '\0' ? n->former : "KERNEL_DRIVER", n->pci);
	} else {
		driver_of_interface(f, n, x);
	}
}

static void
judge_pmd(const struct ep_doctor_nic *n, struct ep_doctor_report *r)
{
	const struct ep_doctor_driver *d = ep_doctor_driver(n->driver);
	struct ep_doctor_finding *x;

	if (d == NULL && n->former[0] != '\0')
		d = ep_doctor_driver(n->former);
	x = doctor_add(r, "pmd", doctor_nic_name(n), EP_DOCTOR_OK);
	if (d == NULL)
		doctor_say(x, "%s: nothing is known here of DPDK's driver for %s",
			doctor_nic_name(n), n->driver[0] != '\0' ? n->driver : "this device");
	else if (d->dpdk == NULL)
		doctor_say(x,
			"%s: DPDK has no driver of its own for %s; AF_XDP and AF_PACKET do not "
			"need one",
			n->name, d->kernel);
	else
		doctor_say(x,
			"%s: DPDK's net_%s (not opened; by DPDK 22.11's table of features) has %s",
			doctor_nic_name(n), d->dpdk, d->features);
}

/* --- Link ------------------------------------------------------------------------------------------------------------------- */

static void
judge_link(const struct ep_doctor_nic *n, struct ep_doctor_report *r)
{
	const bool named = n->use != EP_DOCTOR_USE_NONE;
	struct ep_doctor_finding *x = doctor_add(r, "link", n->name, EP_DOCTOR_OK);

	if (!n->up) {
		x->status = named ? EP_DOCTOR_STOP : EP_DOCTOR_OK;
		doctor_say(x, "%s is down%s", n->name,
			named ? ", or has no carrier" : "; nothing asks for it");
		if (named)
			doctor_fix(x, "sudo ip link set %s up", n->name);
	} else if (n->master[0] != '\0') {
		x->status = EP_DOCTOR_WARN;
		doctor_say(x,
			"%s is a part of %s: an XDP filter on it takes packets away before %s "
			"sees them",
			n->name, n->master, n->master);
		doctor_fix(x, "ip -d link show %s", n->name);
	} else if (n->speed_bps == 0) {
		doctor_say(x,
			"%s is up; its driver tells no speed, so --rate in %% of the link is "
			"refused",
			n->name);
	} else {
		doctor_say(x, "%s is up at %.4g Gbps", n->name, (double)n->speed_bps / 1e9);
	}
}

static void
judge_firmware(const struct ep_doctor_nic *n, struct ep_doctor_report *r)
{
	struct ep_doctor_finding *x = doctor_add(r, "firmware", n->name, EP_DOCTOR_OK);

	if (n->firmware[0] != '\0')
		doctor_say(x, "%s has firmware %s", n->name, n->firmware);
	else
		doctor_say(x, "%s: its driver tells no firmware version", n->name);
}

/* --- AF_XDP ----------------------------------------------------------------------------------------------------------------- */

static void
judge_mtu(
	const struct ep_doctor_facts *f, const struct ep_doctor_nic *n, struct ep_doctor_report *r)
{
	const struct ep_doctor_driver *d = ep_doctor_driver(n->driver);
	struct ep_doctor_finding *x = doctor_add(r, "mtu", n->name, EP_DOCTOR_OK);

	if (n->mtu_bytes == 0) {
		doctor_say(x, "%s: its MTU is not told", n->name);
	} else if (d != NULL && d->xdp_since != 0 && kernel_version(f) >= d->xdp_since &&
		d->xdp_mtu_bytes != 0 && n->mtu_bytes > d->xdp_mtu_bytes) {
		x->status = EP_DOCTOR_WARN;
		doctor_say(x,
			"%s has an MTU of %u, and %s takes native XDP up to %u only: AF_XDP will "
			"be the slower generic one",
			n->name, n->mtu_bytes, n->driver, d->xdp_mtu_bytes);
		doctor_fix(x, "sudo ip link set %s mtu %u", n->name,
			d->xdp_mtu_bytes < FRAME_MTU_BYTES ? d->xdp_mtu_bytes : FRAME_MTU_BYTES);
	} else if (n->mtu_bytes < FRAME_MTU_BYTES) {
		doctor_say(x, "%s has an MTU of %u: --size up to %u", n->name, n->mtu_bytes,
			n->mtu_bytes + 18);
	} else {
		doctor_say(x, "%s has an MTU of %u", n->name, n->mtu_bytes);
	}
}

/* Why native XDP will be refused although the driver has it, with the command. Returns whether it will. */
static bool
xdp_refused(const struct ep_doctor_nic *n, const struct ep_doctor_driver *d,
	struct ep_doctor_finding *x)
{
	if (d->no_lro && n->lro) {
		doctor_say(x,
			"%s: %s refuses native XDP while LRO is on, so AF_XDP will be generic",
			n->name, n->driver);
		doctor_fix(x, "sudo ethtool -K %s lro off", n->name);
		return true;
	}
	if (d->half_queues && n->queues_max > 1 && 2 * n->queues > n->queues_max) {
		doctor_say(x,
			"%s uses %u of %u queues, and %s takes native XDP only with half of them "
			"or fewer: AF_XDP will be generic",
			n->name, n->queues, n->queues_max, n->driver);
		/* gve counts queues to receive and to send apart, and refuses "combined". */
		if (strcmp(n->driver, "gve") == 0)
			doctor_fix(x, "sudo ethtool -L %s rx %u tx %u", n->name, n->queues_max / 2,
				n->queues_max / 2);
		else
			doctor_fix(x, "sudo ethtool -L %s combined %u", n->name, n->queues_max / 2);
		return true;
	}
	if (d->half_queues && n->queues_max == 1) {
		doctor_say(x,
			"%s has one queue, and %s takes native XDP only with half of its queues "
			"free: AF_XDP will be generic; a larger instance has more",
			n->name, n->driver);
		return true;
	}
	return false;
}

static void
xdp_by_driver(
	const struct ep_doctor_facts *f, const struct ep_doctor_nic *n, struct ep_doctor_finding *x)
{
	const struct ep_doctor_driver *d = ep_doctor_driver(n->driver);
	const unsigned int version = kernel_version(f);

	x->status = EP_DOCTOR_WARN;
	if (d == NULL) {
		x->status = EP_DOCTOR_OK;
		doctor_say(x,
			"%s: nothing is known here of XDP in %s; everyport tries native XDP "
			"first, then generic",
			n->name, n->driver[0] != '\0' ? n->driver : "its driver");
	} else if (d->xdp_since == 0) {
		doctor_say(x, "%s: %s has no native XDP, so AF_XDP will be the slower generic one",
			n->name, n->driver);
	} else if (version < d->xdp_since) {
		doctor_say(x,
			"%s: %s has native XDP from kernel %u.%u on, this is %s: AF_XDP will be "
			"the slower generic one",
			n->name, n->driver, d->xdp_since / 1000, d->xdp_since % 1000,
			f->kernel.release);
		doctor_fix(x,
			"echo 'deb http://deb.debian.org/debian bookworm-backports main' | sudo "
			"tee /etc/apt/sources.list.d/backports.list; sudo apt update; sudo apt "
			"install -t bookworm-backports linux-image-cloud-amd64; sudo reboot");
	} else if (!xdp_refused(n, d, x)) {
		x->status = EP_DOCTOR_OK;
		doctor_say(x, "%s: %s has native XDP%s; which one it is, the result says", n->name,
			n->driver,
			d->zerocopy_since != 0 && version >= d->zerocopy_since
				? ", and zero copy in this kernel"
				: ", with a copy of each packet in this kernel");
	}
}

static void
judge_xdp(
	const struct ep_doctor_facts *f, const struct ep_doctor_nic *n, struct ep_doctor_report *r)
{
	struct ep_doctor_finding *x = doctor_add(r, "xdp", n->name, EP_DOCTOR_OK);

	if (n->use == EP_DOCTOR_USE_AF_PACKET) {
		doctor_say(x,
			"%s: AF_PACKET was asked for, which copies every packet and needs no XDP",
			n->name);
	} else if (n->xdp_prog_id != 0) {
		x->status = n->use == EP_DOCTOR_USE_AF_XDP ? EP_DOCTOR_STOP : EP_DOCTOR_WARN;
		doctor_say(x,
			"%s has an XDP program already (id %u): everyport removes only what a "
			"crashed everyport left",
			n->name, n->xdp_prog_id);
		doctor_fix(x, "sudo bpftool net show dev %s; sudo ip link set dev %s xdp off",
			n->name, n->name);
	} else {
		xdp_by_driver(f, n, x);
	}
}

static void
judge_rings(const struct ep_doctor_nic *n, struct ep_doctor_report *r)
{
	struct ep_doctor_finding *x = doctor_add(r, "rings", n->name, EP_DOCTOR_OK);

	if (n->ring_max == 0) {
		doctor_say(x, "%s: its driver tells no ring sizes", n->name);
	} else if (n->ring >= n->ring_max || n->ring >= 2048) {
		doctor_say(x, "%s has receive rings of %u (%u at most)", n->name, n->ring,
			n->ring_max);
	} else {
		x->status = EP_DOCTOR_WARN;
		doctor_say(x,
			"%s has receive rings of %u, and could have %u: the NIC drops what comes "
			"in a pause of %.3g ms at 1 Mpps",
			n->name, n->ring, n->ring_max, (double)n->ring / 1000);
		doctor_fix(x, "sudo ethtool -G %s rx %u", n->name, n->ring_max);
	}
}

/* With addresses alone hashed, all probes of a pair of hosts come in on one queue, whose core then carries all. */
static void
judge_rss(const struct ep_doctor_nic *n, struct ep_doctor_report *r)
{
	struct ep_doctor_finding *x = doctor_add(r, "rss", n->name, EP_DOCTOR_OK);

	if (n->queues <= 1) {
		doctor_say(x, "%s has one receive queue: nothing to spread over", n->name);
	} else if (n->udp_ports_hashed == EP_DOCTOR_YES) {
		doctor_say(x, "%s spreads UDP over its %u queues by address and port", n->name,
			n->queues);
	} else if (n->udp_ports_hashed == EP_DOCTOR_NO) {
		x->status = EP_DOCTOR_WARN;
		doctor_say(x,
			"%s has %u receive queues, but hashes UDP by address alone: all probes of "
			"a peer come in on one",
			n->name, n->queues);
		doctor_fix(x,
			"sudo ethtool -N %s rx-flow-hash udp4 sdfn; sudo ethtool -N %s "
			"rx-flow-hash udp6 sdfn",
			n->name, n->name);
	} else {
		doctor_say(x,
			"%s has %u receive queues; its driver does not tell whether UDP ports are "
			"hashed",
			n->name, n->queues);
	}
}

/* --- All of them ------------------------------------------------------------------------------------------------------------ */

static void
judge_nic(
	const struct ep_doctor_facts *f, const struct ep_doctor_nic *n, struct ep_doctor_report *r)
{
	if (n->missing) {
		struct ep_doctor_finding *x =
			doctor_add(r, "device", doctor_nic_name(n), EP_DOCTOR_STOP);

		doctor_say(x, "--dev %s: there is no such device", doctor_nic_name(n));
		doctor_fix(x, n->use == EP_DOCTOR_USE_PCI ? "lspci -D" : "ip -br link");
		return;
	}
	judge_driver(f, n, r);
	judge_pmd(n, r);
	if (n->name[0] == '\0')
		return;
	judge_firmware(n, r);
	/* By its address it is DPDK's own driver's, which brings the link up itself and knows nothing of XDP. */
	if (n->use == EP_DOCTOR_USE_PCI)
		return;
	judge_link(n, r);
	judge_mtu(f, n, r);
	judge_xdp(f, n, r);
	judge_rings(n, r);
	judge_rss(n, r);
}

void
doctor_judge_nics(const struct ep_doctor_facts *f, struct ep_doctor_report *r)
{
	struct ep_doctor_finding *x;
	uint32_t wanted = 0;

	if (f->dev_error[0] != '\0')
		doctor_say(doctor_add(r, "device", NULL, EP_DOCTOR_STOP), "%s", f->dev_error);
	if (f->vdev[0] != '\0')
		doctor_say(doctor_add(r, "device", NULL, EP_DOCTOR_OK),
			"%s is a virtual device of DPDK: it is made when a command opens it",
			f->vdev);
	for (uint32_t i = 0; i < f->nic_count; i++) {
		if (!doctor_nic_wanted(f, &f->nic[i]))
			continue;
		judge_nic(f, &f->nic[i], r);
		wanted++;
	}
	if (wanted > 0 || f->vdev[0] != '\0' || f->dev_error[0] != '\0')
		return;
	x = doctor_add(r, "device", NULL, EP_DOCTOR_WARN);
	doctor_say(x,
		"no NIC was found: loop over the in-memory pair can run here, and an interface "
		"with no device behind it (veth, tap, VLAN) is looked at when --dev names it");
	doctor_fix(x, "ip -br link");
}
