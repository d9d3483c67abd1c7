#pragma once

/* The command line that DPDK's environment is started with. Private to lib/dev. */

#include "ep_dev.h"

#include <sched.h>

#define EAL_ARGS_MAX 128

struct eal_args {
	int count;
	char *text[EAL_ARGS_MAX + 1]; /* NULL-terminated; owned. */
};

/* CPUs that this process may use. */
int eal_cpus_allowed(cpu_set_t *allowed, struct ep_err *err);
int eal_args_build(struct eal_args *args, const struct ep_dev_eal_cfg *cfg,
	const cpu_set_t *allowed, struct ep_err *err);
void eal_args_fini(struct eal_args *args);
