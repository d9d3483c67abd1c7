/* The plan: what is wanted, who serves it, and a sentence for each choice. */

#include "cores.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* From this many cores on, a worker can have one for itself and leave the kernel enough. */
#define CORES_FOR_PINNING 4
/* What one core is trusted with. */
#define CORE_BPS UINT64_C(10000000000)
/* Packet buffers a queue: what is on the way beside full rings, and rings a queue that can be full at once. */
#define POOL_BASE_MBUFS 1024
#define POOL_RINGS 4
/* A packet buffer beside its frame, and the smallest. */
#define MBUF_OVERHEAD_BYTES 320
#define MBUF_MIN_BYTES 2432

void
build_note(struct ep_plan *plan, enum ep_plan_level level, const char *fmt, ...)
{
	struct ep_plan_note *note;
	va_list ap;

	if (plan->note_count == EP_PLAN_NOTES_MAX) {
		note = &plan->note[EP_PLAN_NOTES_MAX - 1];
		snprintf(note->text, sizeof(note->text), "more notes than %d; the rest is left out",
			EP_PLAN_NOTES_MAX - 1);
		return;
	}
	note = &plan->note[plan->note_count++];
	note->level = level;
	va_start(ap, fmt);
	vsnprintf(note->text, sizeof(note->text), fmt, ap);
	va_end(ap);
}

static uint32_t
min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* One core for each 10 Gbit/s; one where the speed is unknown. */
static uint32_t
cores_for(uint64_t speed_bps)
{
	const uint64_t cores = (speed_bps + CORE_BPS - 1) / CORE_BPS;

	return cores == 0 ? 1 : (uint32_t)(cores < EP_PLAN_QUEUES_MAX ? cores : EP_PLAN_QUEUES_MAX);
}

static void
nic_wishes(struct build *b, uint32_t i)
{
	const struct ep_plan_nic *nic = &b->cfg->nic[i];
	const uint32_t most = min_u32(nic->queues_max, EP_PLAN_QUEUES_MAX);
	uint32_t workers = nic->queues_wanted != 0 ? nic->queues_wanted : cores_for(nic->speed_bps);

	if (b->cfg->core_count > 0)
		workers = b->cfg->core_count;
	if (b->cfg->worker_count > 0)
		workers = b->cfg->worker_count;
	if (nic->queues_wanted != 0)
		workers = min_u32(workers, nic->queues_wanted);
	b->nic[i].workers_want = min_u32(workers, most);
}

/* --- The main thread's CPU ------------------------------------------------------------------------------------------ */

static bool
is_listed(const struct ep_plan_cfg *cfg, uint16_t cpu)
{
	for (uint32_t i = 0; i < cfg->core_count; i++)
		if (cfg->core[i] == cpu)
			return true;
	return false;
}

/* The lowest CPU that no worker is to have, where the scheduler puts other work, too. */
static uint32_t
control_choose(const struct ep_plan_cfg *cfg)
{
	const struct ep_plan_topo *topo = cfg->topo;
	uint32_t isolated = UINT32_MAX;

	if (cfg->control_cpu >= 0)
		return topo_find(topo, (uint32_t)cfg->control_cpu);
	for (uint32_t i = 0; i < topo->cpu_count; i++) {
		if (!topo->cpu[i].allowed || is_listed(cfg, topo->cpu[i].id))
			continue;
		if (!topo->cpu[i].isolated)
			return i;
		if (isolated == UINT32_MAX)
			isolated = i;
	}
	return isolated;
}

static void
control_say(struct build *b)
{
	struct ep_plan *p = b->plan;
	char *text = p->control_reason;

	p->control_cpu = b->control == UINT32_MAX ? -1 : b->topo->cpu[b->control].id;
	if (p->floating)
		snprintf(
			text, sizeof(p->control_reason), "the main thread floats like the workers");
	else if (p->control_cpu < 0)
		snprintf(text, sizeof(p->control_reason),
			"the main thread has no CPU of its own: workers are on all that it may "
			"use");
	else if (b->cfg->control_cpu >= 0)
		snprintf(text, sizeof(p->control_reason),
			"CPU %d for the main thread, as asked for", p->control_cpu);
	else
		snprintf(text, sizeof(p->control_reason),
			"CPU %d for the main thread: the lowest one without a worker%s",
			p->control_cpu,
			b->topo->cpu[b->control].isolated ? "" : " that is not isolated");
}

/* --- Workers ---------------------------------------------------------------------------------------------------------- */

/* Planned by us, on a host that has no core to spare. */
static bool
has_to_float(const struct build *b)
{
	uint32_t isolated;

	return b->cfg->core_count == 0 && topo_cores(b->topo, &isolated) < CORES_FOR_PINNING &&
		isolated == 0;
}

static uint32_t
workers_floating(const struct build *b)
{
	uint32_t allowed = 0, wanted = 0;

	for (uint32_t i = 0; i < b->topo->cpu_count; i++)
		allowed += b->topo->cpu[i].allowed;
	for (uint32_t i = 0; i < b->cfg->nic_count; i++)
		wanted += b->nic[i].workers_want;
	return min_u32(allowed, wanted);
}

static void
workers_deal_floating(struct build *b)
{
	b->plan->floating = true;
	b->control = UINT32_MAX;
	build_deal_floating(b, workers_floating(b));
}

static void
workers_deal_pinned(struct build *b)
{
	uint32_t isolated;
	const uint32_t cores = topo_cores(b->topo, &isolated);

	b->control = control_choose(b->cfg);
	/* Half of what others use as well. */
	b->shared_left = (cores - isolated) / 2;
	if (b->cfg->core_count > 0)
		build_deal_listed(b);
	else
		build_deal_planned(b);
}

static void
workers_deal(struct build *b)
{
	uint32_t dealt = 0;

	if (!has_to_float(b)) {
		workers_deal_pinned(b);
		for (uint32_t i = 0; i < b->cfg->nic_count; i++)
			dealt += b->nic[i].count;
	}
	/* The one isolated core may be the main thread's. */
	if (dealt == 0)
		workers_deal_floating(b);
}

/* The other CPUs of a core as text, "37" or "37, 69"; "" when it has none. */
static void
siblings_format(const struct ep_plan_topo *topo, uint32_t at, char *buf, size_t len)
{
	size_t used = 0;

	buf[0] = '\0';
	for (uint32_t i = 0; i < topo->cpu_count && used < len; i++)
		if (i != at && topo->cpu[i].core == topo->cpu[at].core)
			used += (size_t)snprintf(buf + used, len - used, "%s%u",
				used > 0 ? ", " : "", topo->cpu[i].id);
}

static void
worker_node_say(
	const struct build *b, uint32_t nic, const struct ep_plan_worker *w, char *buf, size_t len)
{
	const struct ep_plan_nic *n = &b->cfg->nic[nic];

	if (w->node == EP_PLAN_NODE_ANY)
		snprintf(buf, len, "CPU %u", w->cpu);
	else if (n->node == EP_PLAN_NODE_ANY)
		snprintf(buf, len, "CPU %u on node %d, as %s has no node of its own", w->cpu,
			w->node, n->name);
	else if (n->node == w->node)
		snprintf(buf, len, "CPU %u on node %d, as %s is", w->cpu, w->node, n->name);
	else
		snprintf(buf, len, "CPU %u on node %d, though %s is on node %d", w->cpu, w->node,
			n->name, n->node);
}

static void
worker_say(const struct build *b, uint32_t nic, struct ep_plan_worker *w)
{
	const uint32_t at = topo_find(b->topo, w->cpu);
	char where[128], siblings[48];

	worker_node_say(b, nic, w, where, sizeof(where));
	siblings_format(b->topo, at, siblings, sizeof(siblings));
	snprintf(w->reason, sizeof(w->reason), "%s%s%s%s%s", where,
		b->topo->cpu[at].isolated ? "; isolated from the scheduler" : "",
		b->cfg->core_count > 0        ? "; named by --cores"
			: siblings[0] != '\0' ? "; a whole core: CPU "
					      : "",
		b->cfg->core_count == 0 ? siblings : "",
		b->cfg->core_count == 0 && siblings[0] != '\0' ? " of it stays idle" : "");
}

static void
worker_add(struct build *b, uint32_t nic, uint16_t cpu)
{
	struct ep_plan_worker *w = &b->plan->worker[b->plan->worker_count++];

	w->cpu = cpu;
	w->node = EP_PLAN_NODE_ANY;
	if (b->plan->floating) {
		snprintf(w->reason, sizeof(w->reason),
			"floats over all allowed CPUs: none is to spare, the kernel and other "
			"programs "
			"need their share");
		return;
	}
	w->node = b->topo->cpu[topo_find(b->topo, cpu)].node;
	worker_say(b, nic, w);
}

static void
workers_lay_out(struct build *b)
{
	for (uint32_t i = 0; i < b->cfg->nic_count; i++) {
		struct ep_plan_port *port = &b->plan->port[i];

		port->first_worker = b->plan->worker_count;
		port->worker_count = b->nic[i].count;
		for (uint32_t k = 0; k < b->nic[i].count; k++)
			worker_add(b, i, b->nic[i].cpu[k]);
	}
	for (uint32_t i = 0; i < b->cfg->nic_count; i++) {
		const int32_t other = b->nic[i].shares;

		if (other < 0)
			continue;
		b->plan->port[i].first_worker = b->plan->port[other].first_worker;
		b->plan->port[i].worker_count =
			min_u32(b->plan->port[other].worker_count, b->nic[i].workers_want);
	}
}

/* --- Queues and pools ------------------------------------------------------------------------------------------------- */

static void
port_plan(struct build *b, uint32_t i)
{
	const struct ep_plan_nic *nic = &b->cfg->nic[i];
	struct ep_plan_port *port = &b->plan->port[i];
	const uint32_t n = nic->queues_wanted != 0     ? nic->queues_wanted
		: nic->queues_min > port->worker_count ? nic->queues_min
						       : port->worker_count;
	const char *s = n == 1 ? "" : "s";

	port->queue_count = (uint16_t)n;
	if (nic->queues_wanted != 0)
		snprintf(port->reason, sizeof(port->reason), "%u queue%s, as asked for", n, s);
	else if (n > port->worker_count)
		snprintf(port->reason, sizeof(port->reason),
			"%u queue%s: the kernel fills all that %s has, so all have to be served", n,
			s, nic->name);
	else if (b->cfg->core_count > 0 || b->cfg->worker_count > 0 || b->nic[i].shares >= 0)
		snprintf(port->reason, sizeof(port->reason), "%u queue%s: one for each worker", n,
			s);
	else if (nic->speed_bps == 0)
		snprintf(port->reason, sizeof(port->reason),
			"%u queue%s: the speed of %s is not known", n, s, nic->name);
	else
		snprintf(port->reason, sizeof(port->reason),
			"%u queue%s: one for each 10 Gbit/s of %g Gbit/s%s", n, s,
			(double)nic->speed_bps / 1e9,
			n == cores_for(nic->speed_bps) ? ""
				: n == nic->queues_max ? ", as many as the NIC has"
						       : ", as far as there are cores");
}

static void
port_steer_say(const struct build *b, uint32_t i)
{
	const struct ep_plan_nic *nic = &b->cfg->nic[i];
	char *text = b->plan->port[i].steer;
	const size_t len = sizeof(b->plan->port[i].steer);

	if (nic->kind == EP_PLAN_NIC_KERNEL)
		snprintf(text, len,
			"our filter takes the range from every queue; the kernel keeps the rest, "
			"and its RSS "
			"settings spread the flows");
	else if (nic->kind == EP_PLAN_NIC_VIRTUAL)
		snprintf(text, len,
			"its queues as the driver fills them; software looks at each packet's "
			"port");
	else if (b->plan->has_masks)
		snprintf(text, len,
			"%u value/mask rules for each of IPv4 and IPv6 take the range; where the "
			"NIC refuses "
			"them RSS on UDP ports, else plain queues, with a check in software",
			b->plan->masks.rule_count);
	else
		snprintf(text, len,
			"RSS on UDP ports with a check in software; where the NIC refuses it plain "
			"queues");
}

static void
queue_add(struct build *b, uint32_t i, uint16_t number)
{
	const struct ep_plan_cfg *cfg = b->cfg;
	const struct ep_plan_port *port = &b->plan->port[i];
	struct ep_plan_queue *q = &b->plan->queue[b->plan->queue_count++];
	const uint32_t buf_bytes = cfg->frame_bytes + MBUF_OVERHEAD_BYTES;
	struct ep_plan_worker *w;
	char node[48] = "";

	q->nic = i;
	q->number = number;
	q->worker = port->first_worker + number % port->worker_count;
	w = &b->plan->worker[q->worker];
	w->queue_count++;
	q->node = cfg->nic[i].node != EP_PLAN_NODE_ANY ? cfg->nic[i].node : w->node;
	q->pool_mbufs = cfg->pool_mbufs != 0 ? cfg->pool_mbufs
					     : POOL_BASE_MBUFS + POOL_RINGS * cfg->ring_descs;
	q->pool_bytes = (uint64_t)q->pool_mbufs *
		(buf_bytes < MBUF_MIN_BYTES ? MBUF_MIN_BYTES : (buf_bytes + 63) / 64 * 64);
	if (q->node != EP_PLAN_NODE_ANY)
		snprintf(node, sizeof(node), " on node %d%s", q->node,
			q->node == cfg->nic[i].node ? ", beside the NIC" : ", beside its worker");
	if (b->plan->floating)
		snprintf(q->reason, sizeof(q->reason), "served by worker %u; %u packet buffers%s",
			q->worker, q->pool_mbufs, node);
	else
		snprintf(q->reason, sizeof(q->reason), "served by CPU %u; %u packet buffers%s",
			w->cpu, q->pool_mbufs, node);
}

static void
queues_plan(struct build *b)
{
	for (uint32_t i = 0; i < b->cfg->nic_count; i++) {
		b->plan->port[i].first_queue = b->plan->queue_count;
		port_plan(b, i);
		port_steer_say(b, i);
		for (uint16_t q = 0; q < b->plan->port[i].queue_count; q++)
			queue_add(b, i, q);
	}
}

/* A set that needs too many rules is no reason to have no plan. */
static int
rules_plan(struct build *b, struct ep_err *err)
{
	struct ep_err why;
	int ret;

	if (b->cfg->range == NULL)
		return 0;
	ret = ep_plan_masks_make(b->cfg->range, &b->plan->masks, &why);
	b->plan->has_masks = ret == 0;
	if (ret == -E2BIG)
		build_note(b->plan, EP_PLAN_WARN, "%s; software picks the range instead", why.text);
	else if (ret < 0)
		return ep_err_set(err, ret, "%s", why.text);
	return 0;
}

static int
plan_fill(struct build *b, struct ep_err *err)
{
	const int ret = rules_plan(b, err);

	if (ret < 0)
		return ret;
	b->plan->port_count = b->cfg->nic_count;
	for (uint32_t i = 0; i < b->cfg->nic_count; i++)
		nic_wishes(b, i);
	workers_deal(b);
	workers_lay_out(b);
	control_say(b);
	queues_plan(b);
	build_costs(b);
	return 0;
}

int
ep_plan_make(const struct ep_plan_cfg *cfg, struct ep_plan *plan, struct ep_err *err)
{
	struct build *b = NULL;
	int ret = plan_cfg_check(cfg, err);

	if (ret < 0)
		return ret;
	b = calloc(1, sizeof(*b));
	if (b != NULL)
		b->plan = calloc(1, sizeof(*b->plan));
	if (b == NULL || b->plan == NULL) {
		ret = ep_err_set(err, -ENOMEM, "no memory to plan %u devices", cfg->nic_count);
		goto out;
	}
	b->cfg = cfg;
	b->topo = cfg->topo;
	ret = plan_fill(b, err);
	if (ret == 0)
		*plan = *b->plan;
out:
	if (b != NULL)
		free(b->plan);
	free(b);
	return ret;
}
