#include "good.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
good_nic(struct ep_doctor_nic *n)
{
	*n = (struct ep_doctor_nic){
		.name = "eth1",
		.pci = "0000:01:00.0",
		.driver = "ixgbe",
		.firmware = "0x800003e2",
		.use = EP_DOCTOR_USE_AF_XDP,
		.up = true,
		.speed_bps = UINT64_C(10000000000),
		.mtu_bytes = 1500,
		.queues = 2,
		.queues_max = 16,
		.ring = 4096,
		.ring_max = 4096,
		.udp_ports_hashed = EP_DOCTOR_YES,
	};
}

static void
good_cpu(struct ep_doctor_cpu *c)
{
	c->count = 8;
	ep_doctor_cpuset_parse("0-7", &c->online);
	c->invariant_tsc = EP_DOCTOR_YES;
	snprintf(c->clocksource, sizeof(c->clocksource), "tsc");
	c->governor_count = 8;
	c->smt = EP_DOCTOR_YES;
	/* CPUs 4 to 7 are the second threads of 0 to 3. */
	for (uint16_t i = 0; i < EP_DOCTOR_CPUS_MAX; i++)
		c->core_of[i] = i < 8 ? i % 4 : UINT16_MAX;
	ep_doctor_cpuset_parse("2-3", &c->data);
	ep_doctor_cpuset_parse("2-3", &c->isolated);
	ep_doctor_cpuset_parse("2-3", &c->nohz_full);
}

struct ep_doctor_facts *
good_facts(void)
{
	struct ep_doctor_facts *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->rights.root = true;
	f->kernel = (struct ep_doctor_kernel){
		.release = "6.1.0-18-amd64",
		.major = 6,
		.minor = 1,
		.xdp_sockets = EP_DOCTOR_YES,
		.local_port_first = 32768,
		.local_port_last = 49999,
	};
	f->memory = (struct ep_doctor_memory){
		.known = true,
		.available_bytes = UINT64_C(8) << 30,
		.huge_known = true,
		.node_count = 1,
		.node = {{.id = 0, .pages_2m = 512, .free_2m = 512}},
		.needed_mib = 200,
		.thp = "madvise",
		.channels = 4,
		.channels_filled = 4,
	};
	good_cpu(&f->cpu);
	f->iommu = (struct ep_doctor_iommu){.known = true, .group_count = 12};
	snprintf(f->dmi.vendor, sizeof(f->dmi.vendor), "Supermicro");
	f->nic_count = 1;
	good_nic(&f->nic[0]);
	f->hiccup.measured = true;
	f->hiccup.span_ns = 3 * EP_NS_PER_S;
	f->hiccup.cpu_count = 2;
	f->hiccup.cpu[0] = (struct ep_doctor_hiccup_cpu){0, 40000, 0.001};
	f->hiccup.cpu[1] = (struct ep_doctor_hiccup_cpu){1, 12000, 0.0005};
	f->ceiling = (struct ep_doctor_ceiling){
		.wanted = true,
		.measured = true,
		.device = "AF_XDP on a veth pair",
		.size = "64",
		.pps = 1.5e6,
		.stored = true,
		.path = "/var/lib/u/.local/state/everyport/ceiling.json",
	};
	f->ports = "50000-60000";
	f->port_first = 50000;
	f->port_last = 60000;
	return f;
}

const struct ep_doctor_finding *
good_find(const struct ep_doctor_report *r, const char *id)
{
	for (uint32_t i = 0; i < r->count; i++)
		if (strcmp(r->finding[i].id, id) == 0)
			return &r->finding[i];
	fail_msg("no finding has the id %s", id);
	return NULL;
}

static void
case_run(const struct good_case *c, struct ep_doctor_report *r)
{
	struct ep_doctor_facts *f = good_facts();
	const struct ep_doctor_finding *x;

	if (c->change != NULL)
		c->change(f);
	ep_doctor_judge(f, r);
	x = good_find(r, c->id);
	if (x->status != c->status)
		fail_msg("%s: %s is %s: %s", c->what, c->id, ep_doctor_status_name(x->status),
			x->sentence);
	if (strstr(x->sentence, c->sentence) == NULL)
		fail_msg("%s: not \"%s\": %s", c->what, c->sentence, x->sentence);
	if (c->fix[0] == '\0' ? x->fix[0] != '\0' : strstr(x->fix, c->fix) == NULL)
		fail_msg("%s: not \"%s\": %s", c->what, c->fix, x->fix);
	free(f);
}

void
good_cases(const struct good_case *list, size_t count)
{
	struct ep_doctor_report *r = malloc(sizeof(*r));

	assert_non_null(r);
	for (size_t i = 0; i < count; i++)
		case_run(&list[i], r);
	free(r);
}

static bool
covered(const struct good_case *list, size_t count, const char *id, enum ep_doctor_status status)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].id, id) == 0 && list[i].status == status)
			return true;
	return false;
}

void
good_covers(
	const struct good_case *list, size_t count, const struct good_can *can, size_t can_count)
{
	for (size_t i = 0; i < can_count; i++) {
		const bool want[] = {can[i].ok, can[i].warn, can[i].stop};

		for (int s = EP_DOCTOR_OK; s <= EP_DOCTOR_STOP; s++)
			if (covered(list, count, can[i].id, (enum ep_doctor_status)s) != want[s])
				fail_msg("%s: the cases and the list disagree about %s", can[i].id,
					ep_doctor_status_name((enum ep_doctor_status)s));
	}
}
