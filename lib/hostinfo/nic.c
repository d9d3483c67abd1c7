/* Interfaces: those that a device stands behind, and those that were named. */

#include "hostinfo_priv.h"

#include <ep_netlink.h>

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* /proc/net/if_inet6: scope of an address that is good on its link only. */
#define SCOPE_LINK 0x20

/* The PCI device behind an interface: the last address in its real path ("…/0000:00:03.0/virtio0/net/eth0"). */
static void
pci_of(const char *root, const char *name, char *pci, size_t len)
{
	char path[PATH_MAX], real[PATH_MAX];
	char *save = NULL;

	pci[0] = '\0';
	if (!tree_path(root, path, "/sys/class/net/%s/device", name) ||
		realpath(path, real) == NULL)
		return;
	for (char *part = strtok_r(real, "/", &save); part != NULL;
		part = strtok_r(NULL, "/", &save))
		if (pci_is_address(part))
			snprintf(pci, len, "%s", part);
}

static void
from_sys(const char *root, struct ep_doctor_nic *n)
{
	int64_t value = -1;
	char line[32];

	tree_link(root, n->driver, sizeof(n->driver), "/sys/class/net/%s/device/driver", n->name);
	tree_link(root, n->master, sizeof(n->master), "/sys/class/net/%s/master", n->name);
	pci_of(root, n->name, n->pci, sizeof(n->pci));
	if (n->pci[0] != '\0')
		n->intx = pci_intx(root, n->pci);
	if (tree_number(root, &value, "/sys/class/net/%s/device/numa_node", n->name) == 0)
		n->node = (int)value;
	if (tree_number(root, &value, "/sys/class/net/%s/mtu", n->name) == 0 && value > 0)
		n->mtu_bytes = (uint32_t)value;
	if (tree_number(root, &value, "/sys/class/net/%s/speed", n->name) == 0 && value > 0)
		n->speed_bps = (uint64_t)value * 1000000;
	/* A carrier can be read of an interface that is up only. */
	value = 0;
	tree_number(root, &value, "/sys/class/net/%s/carrier", n->name);
	tree_line(root, line, sizeof(line), "/sys/class/net/%s/flags", n->name);
	n->up = value == 1 && (strtoul(line, NULL, 16) & IFF_UP) != 0;
}

/* /sys may be that of another network namespace; netlink is of this one. */
static void
from_netlink(struct ep_doctor_nic *n)
{
	struct ep_netlink_link link;
	const int ret = ep_netlink_link(n->name, &link, NULL);

	if (ret == -ENODEV)
		n->missing = true;
	if (ret < 0)
		return;
	n->missing = false;
	n->up = link.up;
	n->mtu_bytes = link.mtu_bytes;
	n->xdp_prog_id = link.xdp_prog_id;
	n->queues = link.rx_queue_count;
	if (link.speed_bps != 0)
		n->speed_bps = link.speed_bps;
}

/* Lines "eth0 00000000 0102A8C0 ...": a destination of 0 is the default route. Any other is a network of its address. */
static void
routes4(const char *root, struct ep_doctor_nic *n)
{
	char path[PATH_MAX], line[256], name[64];
	FILE *in = tree_path(root, path, "/proc/net/route") ? fopen(path, "re") : NULL;
	unsigned int destination;

	while (in != NULL && fgets(line, sizeof(line), in) != NULL) {
		if (sscanf(line, "%63s %X", name, &destination) != 2 || strcmp(name, n->name) != 0)
			continue;
		n->address = true;
		n->default_route |= destination == 0;
	}
	if (in != NULL)
		fclose(in);
}

/* The last of ten fields is the interface; the second is the length of the prefix. */
static void
routes6(const char *root, struct ep_doctor_nic *n)
{
	char path[PATH_MAX], line[256], name[64];
	FILE *in = tree_path(root, path, "/proc/net/ipv6_route") ? fopen(path, "re") : NULL;
	unsigned int prefix;

	while (in != NULL && fgets(line, sizeof(line), in) != NULL)
		if (sscanf(line, "%*s %X %*s %*s %*s %*s %*s %*s %*s %63s", &prefix, name) == 2 &&
			prefix == 0 && strcmp(name, n->name) == 0)
			n->default_route = true;
	if (in != NULL)
		fclose(in);
	in = tree_path(root, path, "/proc/net/if_inet6") ? fopen(path, "re") : NULL;
	while (in != NULL && fgets(line, sizeof(line), in) != NULL) {
		unsigned int scope;

		if (sscanf(line, "%*s %*X %*X %X %*X %63s", &scope, name) == 2 &&
			scope != SCOPE_LINK && strcmp(name, n->name) == 0)
			n->address = true;
	}
	if (in != NULL)
		fclose(in);
}

static void
nic_add(const struct ep_hostinfo_cfg *cfg, struct ep_doctor_facts *facts, const char *name,
	enum ep_doctor_use use)
{
	struct ep_doctor_nic *n = &facts->nic[facts->nic_count];

	if (facts->nic_count == EP_DOCTOR_NICS_MAX)
		return;
	facts->nic_count++;
	*n = (struct ep_doctor_nic){.use = use, .node = -1};
	text_copy(n->name, sizeof(n->name), name);
	n->missing = !tree_has(cfg->root, "/sys/class/net/%s", n->name);
	from_sys(cfg->root, n);
	if (cfg->live)
		from_netlink(n);
	if (n->missing) {
		/* One that nobody named is of another network namespace. */
		facts->nic_count -= use == EP_DOCTOR_USE_NONE;
		return;
	}
	routes4(cfg->root, n);
	routes6(cfg->root, n);
	n->ssh = cfg->ssh_ifname != NULL && strcmp(cfg->ssh_ifname, n->name) == 0;
	hostinfo_nic_ethtool(cfg, n);
}

static enum ep_doctor_use
use_of(const struct ep_hostinfo_cfg *cfg, const char *name)
{
	for (uint32_t i = 0; i < cfg->dev_count; i++)
		if (strcmp(cfg->dev[i].name, name) == 0)
			return cfg->dev[i].use;
	return EP_DOCTOR_USE_NONE;
}

void
hostinfo_nics(const struct ep_hostinfo_cfg *cfg, struct ep_doctor_facts *facts)
{
	char **name;
	const size_t count = tree_list(cfg->root, &name, "/sys/class/net");

	/* Those that were named come first, so that there is room for them. */
	for (uint32_t i = 0; i < cfg->dev_count; i++)
		if (cfg->dev[i].use != EP_DOCTOR_USE_PCI)
			nic_add(cfg, facts, cfg->dev[i].name, cfg->dev[i].use);
	for (size_t i = 0; i < count; i++)
		if (use_of(cfg, name[i]) == EP_DOCTOR_USE_NONE &&
			tree_has(cfg->root, "/sys/class/net/%s/device", name[i]))
			nic_add(cfg, facts, name[i], EP_DOCTOR_USE_NONE);
	tree_list_free(name, count);
}
