#pragma once

/**
 * @file
 * What the tester alone can do on this host: measured by everyport doctor, kept in a file of the user's, shown beside later
 * results. The file is $XDG_STATE_HOME/everyport/ceiling.json, or ~/.local/state/everyport/ceiling.json.
 */

#include "config.h"

#include <ep_doctor.h>
#include <ep_result.h>

/** The file's name. @return 0, or -ENOENT (no home) or -ENAMETOOLONG, with a sentence. */
int ceiling_path(char *path, size_t len, struct ep_err *err);

/** Add an entry to the file. @return 0 or -errno with a sentence. */
int ceiling_store(const struct ep_doctor_ceiling_entry *entry, struct ep_err *err);

/** How the stored entries name a device: "memory", "af_xdp", "af_packet"; NULL: a kind without a ceiling. */
const char *ceiling_kind(const struct config *config);

/** Rate of a judged result's load as the work that this host did for it: in a loop both directions, else the larger one [packets/s]. */
double ceiling_run_pps(const struct ep_result *result);

/** Put the ceiling that was measured for this kind of device, CPU and size into a judged result, if there is one. */
void ceiling_show(const struct config *config, struct ep_result *result);
