/* What the firmware says of the machine, and its IOMMU. */

#include "hostinfo_priv.h"

#include <stdio.h>
#include <string.h>

void
hostinfo_dmi(const char *root, struct ep_doctor_dmi *out)
{
	const struct {
		const char *file;
		char *text;
		size_t len;
	} field[] = {
		{"sys_vendor", out->vendor, sizeof(out->vendor)},
		{"product_name", out->product, sizeof(out->product)},
		{"chassis_asset_tag", out->asset_tag, sizeof(out->asset_tag)},
		{"bios_version", out->bios_version, sizeof(out->bios_version)},
	};
	char line[256];

	for (size_t i = 0; i < EP_ARRAY_LEN(field); i++) {
		tree_line(root, line, sizeof(line), "/sys/class/dmi/id/%s", field[i].file);
		text_copy(field[i].text, field[i].len, line);
	}
}

static enum ep_doctor_tri
noiommu(const char *root)
{
	char line[8];

	if (tree_line(root, line, sizeof(line),
		    "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode") < 0)
		return EP_DOCTOR_UNKNOWN;
	return line[0] == 'Y' || line[0] == '1' ? EP_DOCTOR_YES : EP_DOCTOR_NO;
}

void
hostinfo_iommu(const char *root, struct ep_doctor_iommu *out)
{
	char line[4096], **group;
	const size_t count = tree_list(root, &group, "/sys/kernel/iommu_groups");

	tree_list_free(group, count);
	tree_line(root, line, sizeof(line), "/proc/cmdline");
	*out = (struct ep_doctor_iommu){
		.known = tree_has(root, "/sys/kernel/iommu_groups"),
		.group_count = (uint32_t)count,
		.asked_off = strstr(line, "intel_iommu=off") != NULL ||
			strstr(line, "amd_iommu=off") != NULL || strstr(line, " iommu=off") != NULL,
		.vfio_loaded = tree_has(root, "/sys/bus/pci/drivers/vfio-pci"),
		.noiommu = noiommu(root),
	};
}
