/* Whether what is asked for can be. */

#include "cores.h"

#include <errno.h>

static int
cores_check(const struct ep_plan_cfg *cfg, struct ep_err *err)
{
	const struct ep_plan_topo *topo = cfg->topo;

	if (cfg->core_count > EP_PLAN_WORKERS_MAX)
		return ep_err_set(err, -EINVAL, "--cores names %u CPUs; allowed are at most %d",
			cfg->core_count, EP_PLAN_WORKERS_MAX);
	for (uint32_t i = 0; i < cfg->core_count; i++) {
		const uint32_t at = topo_find(topo, cfg->core[i]);

		if (at == UINT32_MAX)
			return ep_err_set(err, -EINVAL,
				"--cores: there is no CPU %u; allowed are those that are online, "
				"%u "
				"to "
				"%u",
				cfg->core[i], topo->cpu[0].id, topo->cpu[topo->cpu_count - 1].id);
		if (!topo->cpu[at].allowed)
			return ep_err_set(err, -EINVAL,
				"--cores: this process may not run on CPU %u; allowed are those of "
				"its affinity mask (taskset -p)",
				cfg->core[i]);
		for (uint32_t j = 0; j < i; j++)
			if (cfg->core[j] == cfg->core[i])
				return ep_err_set(err, -EINVAL,
					"--cores: names CPU %u twice, each worker needs one of its "
					"own",
					cfg->core[i]);
	}
	return 0;
}

static int
nic_check(const struct ep_plan_nic *nic, struct ep_err *err)
{
	if (nic->queues_max < 1)
		return ep_err_set(err, -EINVAL,
			"--dev %s has no receive queue; at least 1 is needed", nic->name);
	if (nic->queues_wanted > nic->queues_max || nic->queues_wanted > EP_PLAN_QUEUES_MAX)
		return ep_err_set(err, -EINVAL, "--dev %s: %u queues wanted; allowed are 1 to %u",
			nic->name, nic->queues_wanted,
			nic->queues_max < EP_PLAN_QUEUES_MAX ? nic->queues_max
							     : EP_PLAN_QUEUES_MAX);
	if (nic->queues_min > EP_PLAN_QUEUES_MAX || nic->queues_min > nic->queues_max ||
		(nic->queues_wanted != 0 && nic->queues_wanted < nic->queues_min))
		return ep_err_set(err, -EINVAL,
			"--dev %s: %u queues have to be served, %u are wanted; allowed are %u to "
			"%u",
			nic->name, nic->queues_min, nic->queues_wanted, nic->queues_min,
			nic->queues_max < EP_PLAN_QUEUES_MAX ? nic->queues_max
							     : EP_PLAN_QUEUES_MAX);
	return 0;
}

int
plan_cfg_check(const struct ep_plan_cfg *cfg, struct ep_err *err)
{
	const struct ep_plan_topo *topo = cfg->topo;
	uint32_t allowed = 0;
	int ret = 0;

	for (uint32_t i = 0; i < topo->cpu_count; i++)
		allowed += topo->cpu[i].allowed;
	if (allowed == 0 || topo->cpu_count > EP_PLAN_CPUS_MAX)
		return ep_err_set(err, -EINVAL, "%u CPUs of %u may be used; allowed are 1 to %d",
			allowed, topo->cpu_count, EP_PLAN_CPUS_MAX);
	if (cfg->nic_count < 1 || cfg->nic_count > EP_PLAN_NICS_MAX)
		return ep_err_set(err, -EINVAL, "%u devices to plan for; allowed are 1 to %d",
			cfg->nic_count, EP_PLAN_NICS_MAX);
	if (cfg->control_cpu >= 0 && topo_find(topo, (uint32_t)cfg->control_cpu) == UINT32_MAX)
		return ep_err_set(err, -EINVAL,
			"there is no CPU %d for the main thread; allowed are %u to %u",
			cfg->control_cpu, topo->cpu[0].id, topo->cpu[topo->cpu_count - 1].id);
	for (uint32_t i = 0; ret == 0 && i < cfg->nic_count; i++)
		ret = nic_check(&cfg->nic[i], err);
	return ret == 0 ? cores_check(cfg, err) : ret;
}
