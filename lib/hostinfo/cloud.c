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

/* --- IOMMU ------------------------------------------------------------------------------------------------------------------ */

static enum ep_doctor_tri
noiommu(const char *root)
{
	char line[8];

	if (tree_line(root, line, sizeof(line),
		    "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode") < 0)
		return EP_DOCTOR_UNKNOWN;
	return line[0] == 'Y' || line[0] == '1' ? EP_DOCTOR_YES : EP_DOCTOR_NO;
}

/* A vfio that is there shows it by the parameter; else what the distribution says of its kernel's making. */
static enum ep_doctor_tri
noiommu_built(const char *root)
{
	char path[PATH_MAX], release[64], line[256];
	enum ep_doctor_tri built = EP_DOCTOR_UNKNOWN;
	FILE *in = NULL;

	if (tree_has(root, "/sys/module/vfio"))
		return noiommu(root) == EP_DOCTOR_UNKNOWN ? EP_DOCTOR_NO : EP_DOCTOR_YES;
	tree_line(root, release, sizeof(release), "/proc/sys/kernel/osrelease");
	if (release[0] != '\0' && tree_path(root, path, "/boot/config-%s", release))
		in = fopen(path, "re");
	while (in != NULL && fgets(line, sizeof(line), in) != NULL) {
		built = EP_DOCTOR_NO; /* The file is there; it names what is made. */
		if (strcmp(line, "CONFIG_VFIO_NOIOMMU=y\n") != 0)
			continue;
		built = EP_DOCTOR_YES;
		break;
	}
	if (in != NULL)
		fclose(in);
	return built;
}

/* Groups of vfio's no-IOMMU mode stand among those of an IOMMU, and have no IOMMU. */
static uint32_t
groups(const char *root)
{
	char line[32], **group;
	const size_t count = tree_list(root, &group, "/sys/kernel/iommu_groups");
	uint32_t real = 0;

	for (size_t i = 0; i < count; i++) {
		tree_line(root, line, sizeof(line), "/sys/kernel/iommu_groups/%s/name", group[i]);
		real += strcmp(line, "vfio-noiommu") != 0;
	}
	tree_list_free(group, count);
	return real;
}

void
hostinfo_iommu(const char *root, struct ep_doctor_iommu *out)
{
	static const char *const table[] = {"DMAR", "IVRS"};
	char line[4096], lockdown[64];

	tree_line(root, line, sizeof(line), "/proc/cmdline");
	tree_line(root, lockdown, sizeof(lockdown), "/sys/kernel/security/lockdown");
	*out = (struct ep_doctor_iommu){
		.known = tree_has(root, "/sys/kernel/iommu_groups"),
		.group_count = groups(root),
		.asked_off = strstr(line, "intel_iommu=off") != NULL ||
			strstr(line, "amd_iommu=off") != NULL || strstr(line, " iommu=off") != NULL,
		.vfio_loaded = tree_has(root, "/sys/bus/pci/drivers/vfio-pci"),
		.noiommu = noiommu(root),
		.noiommu_built = noiommu_built(root),
		.locked_down = strchr(lockdown, '[') != NULL && strstr(lockdown, "[none]") == NULL,
	};
	for (size_t i = 0; i < EP_ARRAY_LEN(table); i++)
		if (tree_has(root, "/sys/firmware/acpi/tables/%s", table[i]))
			text_copy(out->table, sizeof(out->table), table[i]);
}
