#pragma once

/* What the kernel tells of a PCI device. Private to lib/dev. */

#include "ep_dev.h"

struct pci_facts {
	char driver[32]; /* "" : none is bound. */
	char ifname[16]; /* The kernel's interface on it; "" : none. */
	char group[16];  /* Of the IOMMU, a number; "" : none. */
	bool noiommu;    /* The group is one of vfio's no-IOMMU mode. */
	bool noiommu_on; /* vfio takes devices without an IOMMU. */
	unsigned int vendor, device;
	char other
		[24]; /* Another function of the group that a driver of the kernel holds; "" : none. */
	char other_driver[32];
};

/* Returns false where there is no such device. */
bool pci_facts_read(const char *root, const char *address, struct pci_facts *facts);
/* Whether DPDK's driver works beside the kernel's, so that nothing is to be bound. */
bool pci_is_shared(const struct pci_facts *facts);
