/*
 * Memory modules: channels as the EDAC driver sees them, and slots as the firmware's table (SMBIOS, DSP0134) lists them, which only
 * root may read.
 */

#include "hostinfo_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* SMBIOS 7.18: Memory Device. */
#define SMBIOS_MEMORY_DEVICE 17
#define SMBIOS_HEAD_BYTES 4
#define SMBIOS_SIZE_OFFSET 0x0c
#define SMBIOS_END 127
#define SMBIOS_TABLE_MAX (1 << 20)

/* Memory channels of a controller: "csrow 0 channel 1" or "channel 0 slot 1" in each module's location. */
#define CHANNELS_MAX 16

static int
channel_of(const char *root, const char *mc, const char *dimm)
{
	char line[128];
	const char *at;
	unsigned int channel;

	tree_line(root, line, sizeof(line), "/sys/devices/system/edac/mc/%s/%s/dimm_location", mc,
		dimm);
	at = strstr(line, "channel ");
	if (at == NULL || sscanf(at, "channel %u", &channel) != 1 || channel >= CHANNELS_MAX)
		return -1;
	return (int)channel;
}

static void
controller(const char *root, const char *mc, struct ep_doctor_memory *out)
{
	bool there[CHANNELS_MAX] = {false}, filled[CHANNELS_MAX] = {false};
	char **dimm;
	const size_t count = tree_list(root, &dimm, "/sys/devices/system/edac/mc/%s", mc);

	for (size_t i = 0; i < count; i++) {
		int64_t mib = 0;
		const int channel =
			strncmp(dimm[i], "dimm", 4) == 0 ? channel_of(root, mc, dimm[i]) : -1;

		if (channel < 0)
			continue;
		tree_number(root, &mib, "/sys/devices/system/edac/mc/%s/%s/size", mc, dimm[i]);
		there[channel] = true;
		filled[channel] |= mib > 0;
	}
	tree_list_free(dimm, count);
	for (int c = 0; c < CHANNELS_MAX; c++) {
		out->channels += there[c];
		out->channels_filled += filled[c];
	}
}

/* Behind its formatted part a structure has strings, ended by two NULs. Returns where the next begins. */
static size_t
smbios_next(const uint8_t *table, size_t len, size_t at)
{
	at += table[at + 1];
	while (at + 1 < len && (table[at] != 0 || table[at + 1] != 0))
		at++;
	return at + 2;
}

static void
smbios_slots(const uint8_t *table, size_t len, struct ep_doctor_memory *out)
{
	size_t at = 0;

	while (at + SMBIOS_HEAD_BYTES <= len && table[at] != SMBIOS_END &&
		table[at + 1] >= SMBIOS_HEAD_BYTES && at + table[at + 1] <= len) {
		if (table[at] == SMBIOS_MEMORY_DEVICE && table[at + 1] >= SMBIOS_SIZE_OFFSET + 2) {
			out->slots++;
			out->slots_filled += table[at + SMBIOS_SIZE_OFFSET] != 0 ||
				table[at + SMBIOS_SIZE_OFFSET + 1] != 0;
		}
		at = smbios_next(table, len, at);
	}
}

static void
smbios(const char *root, struct ep_doctor_memory *out)
{
	char path[PATH_MAX];
	FILE *in = tree_path(root, path, "/sys/firmware/dmi/tables/DMI") ? fopen(path, "re") : NULL;
	uint8_t *table = in != NULL ? malloc(SMBIOS_TABLE_MAX) : NULL;

	if (table != NULL)
		smbios_slots(table, fread(table, 1, SMBIOS_TABLE_MAX, in), out);
	free(table);
	if (in != NULL)
		fclose(in);
}

void
hostinfo_modules(const char *root, struct ep_doctor_memory *out)
{
	char **mc;
	const size_t count = tree_list(root, &mc, "/sys/devices/system/edac/mc");

	out->slots = out->slots_filled = out->channels = out->channels_filled = 0;
	for (size_t i = 0; i < count; i++)
		if (strncmp(mc[i], "mc", 2) == 0)
			controller(root, mc[i], out);
	tree_list_free(mc, count);
	smbios(root, out);
}
