#pragma once

/* Private to lib/plan: which core serves which NIC. */

#include "plan_priv.h"

/* A plan in the making. CPUs are places in the topology's list. */
struct build {
	const struct ep_plan_cfg *cfg;
	const struct ep_plan_topo *topo;
	struct ep_plan *plan;
	uint32_t control;            /* The main thread's CPU; UINT32_MAX: none of its own. */
	bool used[EP_PLAN_CPUS_MAX]; /* Has a worker. */
	uint32_t
		shared_left; /* Cores that the scheduler uses as well and that may still be taken. */
	struct {
		uint32_t
			queues_want; /* Queues that it is to have, before it is known who serves them. */
		uint32_t workers_want;
		uint32_t count; /* Workers it has. */
		uint16_t cpu[EP_PLAN_WORKERS_MAX];
		int32_t shares; /* NIC whose workers serve it, too; -1: it has its own. */
	} nic[EP_PLAN_NICS_MAX];
};

/* check.c: 0, or -EINVAL with a sentence. */
int plan_cfg_check(const struct ep_plan_cfg *cfg, struct ep_err *err);

/* costs.c: what the finished plan costs, as notes. */
void build_costs(struct build *b);

/* make.c: add a note to the plan. */
void build_note(struct ep_plan *plan, enum ep_plan_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* cores.c */
/* Place of a CPU by its number, or UINT32_MAX. */
uint32_t topo_find(const struct ep_plan_topo *topo, uint32_t cpu);
/* Physical cores with a CPU that is allowed; @p isolated_count: those of them that are isolated. */
uint32_t topo_cores(const struct ep_plan_topo *topo, uint32_t *isolated_count);
/* Give the NICs their workers. */
void build_deal_listed(struct build *b);
void build_deal_planned(struct build *b);
void build_deal_floating(struct build *b, uint32_t worker_count);
