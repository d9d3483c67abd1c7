/* Ethernet devices of PCI: those that were named by their address, and those that the kernel has no interface for. */

#include "hostinfo_priv.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Base class "network", sub-class "Ethernet". */
#define CLASS_ETHERNET 0x0200
/* In the part of the configuration space that every user may read: 0 none, else the pin. */
#define INTERRUPT_PIN_OFFSET 0x3d

bool
pci_is_address(const char *text)
{
	unsigned int part[4];
	int end = -1;

	return strlen(text) == 12 && isxdigit((unsigned char)text[0]) &&
		sscanf(text, "%4x:%2x:%2x.%1x%n", &part[0], &part[1], &part[2], &part[3], &end) ==
		4 &&
		end == 12;
}

enum ep_doctor_tri
pci_intx(const char *root, const char *address)
{
	char path[PATH_MAX];
	FILE *in = tree_path(root, path, "/sys/bus/pci/devices/%s/config", address)
		? fopen(path, "re")
		: NULL;
	int pin = EOF;

	if (in != NULL && fseek(in, INTERRUPT_PIN_OFFSET, SEEK_SET) == 0)
		pin = fgetc(in);
	if (in != NULL)
		fclose(in);
	if (pin == EOF)
		return EP_DOCTOR_UNKNOWN;
	return pin == 0 ? EP_DOCTOR_NO : EP_DOCTOR_YES;
}

/* The kernel's driver for a device that another one is bound to, for the command that gives it back. */
static const char *
kernel_driver(unsigned int vendor, unsigned int device)
{
	static const struct {
		unsigned int vendor, device; /* device 0: any */
		const char *driver;
	} known[] = {
		{0x1d0f, 0, "ena"},
		{0x1ae0, 0x0042, "gve"},
		{0x1af4, 0, "virtio-pci"},
		{0x15b3, 0, "mlx5_core"},
		{0x1414, 0x00ba, "mana"},
		{0x15ad, 0x07b0, "vmxnet3"},
		{0x8086, 0x10fb, "ixgbe"},
		{0x8086, 0x1528, "ixgbe"},
		{0x8086, 0x1563, "ixgbe"},
		{0x8086, 0x1572, "i40e"},
		{0x8086, 0x1583, "i40e"},
		{0x8086, 0x158b, "i40e"},
		{0x8086, 0x1592, "ice"},
		{0x8086, 0x1593, "ice"},
		{0x8086, 0x159b, "ice"},
		{0x8086, 0x1889, "iavf"},
		{0x8086, 0x10d3, "e1000e"},
		{0x8086, 0x1521, "igb"},
		{0x8086, 0x15f3, "igc"},
	};

	for (size_t i = 0; i < EP_ARRAY_LEN(known); i++)
		if (known[i].vendor == vendor &&
			(known[i].device == 0 || known[i].device == device))
			return known[i].driver;
	return "";
}

static unsigned int
hex(const char *root, const char *address, const char *file)
{
	char line[32];

	tree_line(root, line, sizeof(line), "/sys/bus/pci/devices/%s/%s", address, file);
	return (unsigned int)strtoul(line, NULL, 16);
}

static void
fill(const struct ep_hostinfo_cfg *cfg, struct ep_doctor_nic *n)
{
	int64_t node = -1;

	tree_link(
		cfg->root, n->driver, sizeof(n->driver), "/sys/bus/pci/devices/%s/driver", n->pci);
	tree_number(cfg->root, &node, "/sys/bus/pci/devices/%s/numa_node", n->pci);
	n->node = (int)node;
	n->intx = pci_intx(cfg->root, n->pci);
	text_copy(n->former, sizeof(n->former),
		kernel_driver(hex(cfg->root, n->pci, "vendor"), hex(cfg->root, n->pci, "device")));
}

/* The interface that stands on the device, where the kernel has one. */
static struct ep_doctor_nic *
interface_on(struct ep_doctor_facts *facts, const char *address)
{
	for (uint32_t i = 0; i < facts->nic_count; i++)
		if (strcmp(facts->nic[i].pci, address) == 0)
			return &facts->nic[i];
	return NULL;
}

/* A kernel driver is bound to it, so it has an interface, if in another network namespace. */
static bool
is_the_kernels(const struct ep_doctor_nic *n)
{
	return n->driver[0] != '\0' && strcmp(n->driver, "vfio-pci") != 0 &&
		strncmp(n->driver, "uio_", 4) != 0 && strcmp(n->driver, "igb_uio") != 0;
}

static void
pci_add(const struct ep_hostinfo_cfg *cfg, struct ep_doctor_facts *facts, const char *address,
	enum ep_doctor_use use)
{
	struct ep_doctor_nic *n = interface_on(facts, address);

	if (n != NULL) {
		if (use != EP_DOCTOR_USE_NONE)
			n->use = use;
		return;
	}
	if (facts->nic_count == EP_DOCTOR_NICS_MAX)
		return;
	n = &facts->nic[facts->nic_count++];
	*n = (struct ep_doctor_nic){.use = use};
	text_copy(n->pci, sizeof(n->pci), address);
	n->missing = !tree_has(cfg->root, "/sys/bus/pci/devices/%s", address);
	fill(cfg, n);
	facts->nic_count -= use == EP_DOCTOR_USE_NONE && is_the_kernels(n);
}

void
hostinfo_pci(const struct ep_hostinfo_cfg *cfg, struct ep_doctor_facts *facts)
{
	char **address;
	const size_t count = tree_list(cfg->root, &address, "/sys/bus/pci/devices");

	for (uint32_t i = 0; i < cfg->dev_count; i++)
		if (cfg->dev[i].use == EP_DOCTOR_USE_PCI)
			pci_add(cfg, facts, cfg->dev[i].name, EP_DOCTOR_USE_PCI);
	for (size_t i = 0; i < count; i++)
		if (hex(cfg->root, address[i], "class") >> 8 == CLASS_ETHERNET)
			pci_add(cfg, facts, address[i], EP_DOCTOR_USE_NONE);
	tree_list_free(address, count);
}
