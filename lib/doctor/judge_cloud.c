/* Where the host stands, told by its firmware (DMI), and what counts there; connection tracking on the host itself. */

#include "doctor_priv.h"

#include <stdio.h>
#include <string.h>

/* Azure's chassis asset tag: the same on every one of its machines. */
#define AZURE_ASSET_TAG "7783-7084-3265-9085-8269-3286-77"

/* --- Clouds ----------------------------------------------------------------------------------------------------------------- */

static bool
dmi_is_ec2(const struct ep_doctor_dmi *d)
{
	/* Nitro tells its name; instances on Xen tell it in the BIOS version. */
	return strcmp(d->vendor, "Amazon EC2") == 0 || strstr(d->bios_version, "amazon") != NULL;
}

static bool
dmi_is_gcp(const struct ep_doctor_dmi *d)
{
	return strcmp(d->product, "Google Compute Engine") == 0;
}

static bool
dmi_is_azure(const struct ep_doctor_dmi *d)
{
	return strcmp(d->vendor, "Microsoft Corporation") == 0 &&
		strcmp(d->asset_tag, AZURE_ASSET_TAG) == 0;
}

/* The wanted device that a driver drives; NULL: none. */
static const struct ep_doctor_nic *
nic_driven_by(const struct ep_doctor_facts *f, const char *driver)
{
	for (uint32_t i = 0; i < f->nic_count; i++)
		if (doctor_nic_wanted(f, &f->nic[i]) && strcmp(f->nic[i].driver, driver) == 0)
			return &f->nic[i];
	return NULL;
}

/* The counter of an allowance that dropped most; NULL: none dropped anything. That for name service, time and metadata takes no probe. */
static const struct ep_doctor_counter *
allowance_exceeded(const struct ep_doctor_nic *n)
{
	const struct ep_doctor_counter *most = NULL;

	for (uint32_t i = 0; i < n->counter_count; i++)
		if (strstr(n->counter[i].name, "allowance_exceeded") != NULL &&
			strncmp(n->counter[i].name, "linklocal_", 10) != 0 &&
			n->counter[i].value > (most != NULL ? most->value : 0))
			most = &n->counter[i];
	return most;
}

static void
judge_ec2(const struct ep_doctor_facts *f, struct ep_doctor_finding *x)
{
	const struct ep_doctor_nic *ena = nic_driven_by(f, "ena");
	const struct ep_doctor_counter *drop = ena != NULL ? allowance_exceeded(ena) : NULL;

	if (ena == NULL) {
		x->status = EP_DOCTOR_WARN;
		doctor_say(x,
			"EC2 (%s) without an ENA interface: its packet rate is far below that of "
			"current instances",
			f->dmi.product);
		doctor_fix(x, "aws ec2 modify-instance-attribute --instance-id ID --ena-support");
	} else if (drop != NULL) {
		x->status = EP_DOCTOR_WARN;
		doctor_say(x,
			"EC2 (%s) has dropped packets of %s beyond the instance's allowance: %s "
			"is %llu since boot; such loss is EC2's, not your firewall's",
			f->dmi.product, ena->name, drop->name, (unsigned long long)drop->value);
		doctor_fix(x, "ethtool -S %s | grep allowance", ena->name);
	} else {
		doctor_say(x,
			"EC2 (%s): the instance's packet allowance is the line rate here, and "
			"none of %s is exceeded (ethtool -S %s | grep allowance); write-combining "
			"for ENA is done by the kernel's driver, which AF_XDP keeps",
			f->dmi.product, ena->name, ena->name);
	}
}

static void
judge_gcp(const struct ep_doctor_facts *f, struct ep_doctor_finding *x)
{
	const struct ep_doctor_nic *virtio = nic_driven_by(f, "virtio_net");

	if (virtio != NULL) {
		x->status = EP_DOCTOR_WARN;
		doctor_say(x,
			"Google Compute Engine with %s on virtio: gVNIC carries more packets, and "
			"is chosen when the VM is made",
			virtio->name);
		doctor_fix(x,
			"gcloud compute instances create NAME --network-interface=nic-type=GVNIC "
			"...");
	} else if (nic_driven_by(f, "gve") != NULL) {
		doctor_say(x,
			"Google Compute Engine with gVNIC: the VM's packet and egress limits are "
			"the line rate here");
	} else {
		doctor_say(x, "Google Compute Engine");
	}
}

/* With accelerated networking, a second device that is a part of the netvsc interface carries the packets. */
static const struct ep_doctor_nic *
azure_vf(const struct ep_doctor_facts *f, const struct ep_doctor_nic *netvsc)
{
	for (uint32_t i = 0; i < f->nic_count; i++)
		if (strcmp(f->nic[i].master, netvsc->name) == 0)
			return &f->nic[i];
	return NULL;
}

static void
judge_azure(const struct ep_doctor_facts *f, struct ep_doctor_finding *x)
{
	const struct ep_doctor_nic *netvsc = nic_driven_by(f, "hv_netvsc");
	const struct ep_doctor_nic *vf = netvsc != NULL ? azure_vf(f, netvsc) : NULL;

	if (netvsc == NULL) {
		doctor_say(x, "Azure, without an interface of hv_netvsc among those looked at");
	} else if (vf != NULL && netvsc->use != EP_DOCTOR_USE_AF_PACKET) {
		x->status = EP_DOCTOR_WARN;
		doctor_say(x,
			"Azure with accelerated networking: packets come in by %s (%s), and an "
			"AF_XDP socket on %s does not get those; AF_PACKET on %s does",
			vf->name, vf->driver, netvsc->name, netvsc->name);
		doctor_fix(x, "%s ... --dev af_packet:%s", doctor_program(f), netvsc->name);
	} else if (vf != NULL) {
		doctor_say(x, "Azure with accelerated networking (%s by %s)", netvsc->name,
			vf->driver);
	} else {
		x->status = EP_DOCTOR_WARN;
		doctor_say(x,
			"Azure without accelerated networking: every packet of %s goes through "
			"the host's virtual switch, which limits the rate",
			netvsc->name);
		doctor_fix(x,
			"az network nic update --resource-group GROUP --name NIC "
			"--accelerated-networking true");
	}
}

void
doctor_judge_cloud(const struct ep_doctor_facts *f, struct ep_doctor_report *r)
{
	struct ep_doctor_finding *x = doctor_add(r, "cloud", NULL, EP_DOCTOR_OK);

	if (dmi_is_ec2(&f->dmi))
		judge_ec2(f, x);
	else if (dmi_is_gcp(&f->dmi))
		judge_gcp(f, x);
	else if (dmi_is_azure(&f->dmi))
		judge_azure(f, x);
	else if (f->cpu.virtual_machine)
		doctor_say(x,
			"a virtual machine (%s%s%s): the host's virtual switch and its limits are "
			"part of every path that is measured",
			f->dmi.vendor[0] != '\0' ? f->dmi.vendor : "vendor not told",
			f->dmi.product[0] != '\0' ? ", " : "", f->dmi.product);
	else
		doctor_say(x, "no cloud that is known here: %s%s%s",
			f->dmi.vendor[0] != '\0' ? f->dmi.vendor : "the firmware tells no vendor",
			f->dmi.product[0] != '\0' ? ", " : "", f->dmi.product);
}

/* --- Connection tracking ---------------------------------------------------------------------------------------------------- */

/* AF_XDP and AF_PACKET take and send frames below the kernel's IP layer, and so below its tracking. Through the kernel go the TCP
 * checks, what a virtual device has on its other end, and what a bridge filters. */
static const char *
conntrack_path(const struct ep_doctor_facts *f)
{
	if (strncmp(f->vdev, "net_tap", 7) == 0 || strncmp(f->vdev, "net_virtio_user", 15) == 0)
		return "the kernel's end of the virtual device";
	for (uint32_t i = 0; i < f->nic_count; i++)
		if (f->nic[i].use != EP_DOCTOR_USE_NONE && f->nic[i].master[0] != '\0' &&
			f->conntrack.bridge)
			return "the bridge that the interface is a part of";
	return NULL;
}

void
doctor_judge_conntrack(const struct ep_doctor_facts *f, struct ep_doctor_report *r)
{
	const struct ep_doctor_conntrack *c = &f->conntrack;
	const char *path = conntrack_path(f);
	struct ep_doctor_finding *x = doctor_add(r, "conntrack", NULL, EP_DOCTOR_OK);

	if (!c->loaded || c->active == EP_DOCTOR_NO) {
		doctor_say(x, "this host tracks no connections%s",
			c->loaded ? " in this network namespace, although nf_conntrack is loaded"
				  : "");
		return;
	}
	if (path != NULL) {
		x->status = EP_DOCTOR_WARN;
		doctor_say(x,
			"connection tracking sees the probes here, at %s: the test would measure "
			"this host's own table (%llu of %llu entries) besides the path",
			path, (unsigned long long)c->count, (unsigned long long)c->max);
	} else if (c->max > 0 && c->count > c->max / 2) {
		x->status = EP_DOCTOR_WARN;
		doctor_say(x,
			"connection tracking has %llu of %llu entries in use: the probes of "
			"AF_XDP and AF_PACKET pass by it, but the TCP checks need room in it",
			(unsigned long long)c->count, (unsigned long long)c->max);
	} else {
		doctor_say(x,
			"connection tracking is %s (%llu of %llu entries): the probes of AF_XDP "
			"and AF_PACKET pass by it, the TCP checks are in it",
			c->active == EP_DOCTOR_YES ? "on" : "loaded, and may be on",
			(unsigned long long)c->count, (unsigned long long)c->max);
		return;
	}
	doctor_fix(x,
		"sudo nft 'add table inet everyport; add chain inet everyport pre { type filter "
		"hook prerouting priority raw; }; add chain inet everyport out { type filter hook "
		"output priority raw; }; add rule inet everyport pre udp dport %s notrack; add "
		"rule inet everyport out udp sport %s notrack'",
		f->ports, f->ports);
}
