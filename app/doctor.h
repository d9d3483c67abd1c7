#pragma once

/** @file The parts of everyport doctor. */

#include "config.h"
#include "devplan.h"
#include "host.h"

#include <ep_doctor.h>
#include <ep_plan.h>

/**
 * Read everything about this host that the options make interesting.
 *
 * @param plan
 *   Which CPUs the data path would have.
 * @param[in,out] facts
 *   Zero-initialised, or filled by an earlier call; what was measured and mended is kept.
 */
void doctor_facts(
	const struct config *config, const struct host_plan *plan, struct ep_doctor_facts *facts);

/** Look again at the interrupts: the data CPUs have changed. */
void doctor_irqs(struct ep_doctor_facts *facts);

/**
 * Plan for the devices of --dev, as a run would. Puts the plan, or why there is none, into @p facts, and its CPUs as the data CPUs.
 *
 * @param[out] out
 *   The plan; to be kept as long as @p facts is used.
 */
void doctor_plan(const struct config *config, struct devplan *out, struct ep_doctor_facts *facts);

/** The meter of pauses, with progress on stderr. @return false where the user interrupted it. */
bool doctor_hiccup(const struct config *config, struct ep_doctor_facts *facts);

/**
 * Measure the ceiling for the kind of device that was named, and store it. Leaves this host's network namespace where that takes
 * a pair of interfaces: nothing may be read of it afterwards.
 *
 * @return
 *   false where the user interrupted it.
 */
bool doctor_ceiling(const struct config *config, struct ep_doctor_facts *facts);
