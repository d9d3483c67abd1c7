#include "result_util.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UTIL_FRAME_BYTES 64
#define UTIL_SEED 20250101

struct ep_result *
util_result(const char *ports)
{
	struct ep_range *range = malloc(sizeof(*range));
	struct ep_result *r;

	assert_non_null(range);
	assert_int_equal(ep_range_parse(ports, "--ports", range, NULL), 0);
	assert_int_equal(ep_result_create(range, &r), 0);
	free(range);
	snprintf(r->tool_version, sizeof(r->tool_version), "0.1.0");
	snprintf(r->dpdk_version, sizeof(r->dpdk_version), "DPDK 22.11.7");
	snprintf(r->command, sizeof(r->command), "loop");
	snprintf(r->started, sizeof(r->started), "2025-01-02T03:04:05Z");
	r->max_loss_ratio = 0.001;
	return r;
}

void
util_fill(struct ep_result *r, enum ep_result_dir dir, uint64_t sent)
{
	for (uint32_t i = 0; i < r->range->port_count; i++)
		r->port[i].dir[dir] = (struct ep_result_port_dir){.sent = sent, .received = sent};
}

struct ep_result_port_dir *
util_port(struct ep_result *r, uint16_t port, enum ep_result_dir dir)
{
	assert_true(ep_range_has(r->range, port));
	return &r->port[r->range->index[port]].dir[dir];
}

void
util_lose(
	struct ep_result *r, enum ep_result_dir dir, uint16_t first, uint16_t last, uint64_t count)
{
	for (uint32_t port = first; port <= last; port++) {
		struct ep_result_port_dir *p = util_port(r, (uint16_t)port, dir);

		p->lost += count;
		p->received -= count;
	}
}

void
util_kill(struct ep_result *r, enum ep_result_dir dir, uint16_t first, uint16_t last)
{
	for (uint32_t port = first; port <= last; port++) {
		struct ep_result_port_dir *p = util_port(r, (uint16_t)port, dir);

		*p = (struct ep_result_port_dir){.sent = p->sent, .lost = p->sent};
	}
}

struct ep_result_ledger
util_ledger(const struct ep_result *r, enum ep_result_dir dir)
{
	struct ep_result_ledger l = {.sender_known = true, .receiver_known = true};

	for (uint32_t i = 0; i < r->range->port_count; i++) {
		const struct ep_result_port_dir *p = &r->port[i].dir[dir];

		l.accepted += p->sent;
		l.received += p->received;
		l.duplicates += p->duplicates;
		l.reordered += p->reordered;
		l.late += p->late;
		l.wrong_port += p->wrong_port;
		l.lost_max += p->lost;
	}
	l.intended = l.nic_tx = l.accepted;
	l.nic_rx = l.received + l.late + l.wrong_port;
	l.lost_min = l.lost_max;
	return l;
}

struct ep_result_trial *
util_load(struct ep_result *r)
{
	struct ep_result_trial t = {.kind = "load",
		.direction = "both",
		.rate_pps = 100000,
		.duration_ns = EP_NS_PER_S};

	for (int d = 0; d < EP_RESULT_DIRS; d++) {
		t.ledger[d] = util_ledger(r, (enum ep_result_dir)d);
		t.bytes[d] = t.ledger[d].received * UTIL_FRAME_BYTES;
		t.max_gap_ns[d] = 123456;
		t.receiver[d] = (struct ep_result_receiver){.known = true, .gap_ns = 234567};
	}
	t.drain_ns = 2 * EP_NS_PER_S;
	t.flow_count = r->range->port_count;
	assert_int_equal(ep_result_add_trial(r, &t), 0);
	return &r->trial[r->trial_count - 1];
}

/* What of the ports' counts fell into the sweep: its probes, of which those on dead ports were lost. */
static struct ep_result_ledger
util_sweep_ledger(const struct ep_result *r, enum ep_result_dir dir)
{
	struct ep_result_ledger l = {.sender_known = true, .receiver_known = true};

	for (uint32_t i = 0; i < r->range->port_count; i++) {
		const struct ep_result_port_dir *p = &r->port[i].dir[dir];
		const uint64_t sent = p->sent > 0 ? UTIL_SWEEPS : 0;

		l.accepted += sent;
		if (p->lost == p->sent)
			l.lost_max += sent;
		else
			l.received += sent;
	}
	l.intended = l.nic_tx = l.accepted;
	l.nic_rx = l.received;
	l.lost_min = l.lost_max;
	return l;
}

void
util_trials(struct ep_result *r)
{
	struct ep_result_trial sweep = {.kind = "sweep",
		.direction = "echo",
		.rate_pps = 5000,
		.duration_ns = 6 * EP_NS_PER_S};
	struct ep_result_trial *load;

	for (int d = 0; d < EP_RESULT_DIRS; d++) {
		sweep.ledger[d] = util_sweep_ledger(r, (enum ep_result_dir)d);
		sweep.bytes[d] = sweep.ledger[d].received * UTIL_FRAME_BYTES;
	}
	assert_int_equal(ep_result_add_trial(r, &sweep), 0);
	load = util_load(r);
	for (int d = 0; d < EP_RESULT_DIRS; d++) {
		struct ep_result_ledger *l = &load->ledger[d];

		l->accepted -= sweep.ledger[d].accepted;
		l->received -= sweep.ledger[d].received;
		l->lost_max -= sweep.ledger[d].lost_max;
		l->nic_rx -= sweep.ledger[d].nic_rx;
		l->intended = l->nic_tx = l->accepted;
		l->lost_min = l->lost_max;
		load->bytes[d] = l->received * UTIL_FRAME_BYTES;
	}
}

void
util_tcp(struct ep_result *r, uint16_t port, const char *phase, const char *status,
	const char *detail)
{
	struct ep_result_tcp row = {
		.port = port, .check = "connect", .connect_ms = -1, .required = true};

	snprintf(row.phase, sizeof(row.phase), "%s", phase);
	snprintf(row.status, sizeof(row.status), "%s", status);
	snprintf(row.detail, sizeof(row.detail), "%s", detail);
	if (strcmp(status, "open") == 0)
		row.connect_ms = 0.42;
	assert_int_equal(ep_result_add_tcp(r, &row), 0);
}

void
util_judge(struct ep_result *r)
{
	assert_int_equal(ep_result_judge(r), 0);
}

static bool
util_contains(char (*list)[512], uint32_t count, const char *part)
{
	for (uint32_t i = 0; i < count; i++) {
		if (strstr(list[i], part) != NULL)
			return true;
	}
	return false;
}

bool
util_has_reason(const struct ep_result *r, const char *part)
{
	return util_contains(r->reason, r->reason_count, part);
}

bool
util_has_warning(const struct ep_result *r, const char *part)
{
	return util_contains(r->warning, r->warning_count, part);
}

uint64_t
util_seed(void)
{
	const char *text = getenv("EP_TEST_SEED");
	const uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : UTIL_SEED;

	print_message("# EP_TEST_SEED=%" PRIu64 "\n", seed);
	return seed;
}

uint64_t
util_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static struct ep_result_port_dir
util_random_port(uint64_t *state)
{
	struct ep_result_port_dir p = {.sent = util_random(state) % 2000};
	const bool dead = util_random(state) % 16 == 0;

	p.lost =
		dead ? p.sent : util_random(state) % (p.sent + 1) / (1 + util_random(state) % 1000);
	if (p.lost < p.sent)
		p.duplicates = util_random(state) % 20;
	p.received = p.sent - p.lost + p.duplicates;
	p.reordered = util_random(state) % (p.sent - p.lost + 1);
	p.late = util_random(state) % (p.lost + 1);
	p.wrong_port = util_random(state) % (p.lost - p.late + 1);
	return p;
}

struct ep_result *
util_random_result(uint64_t *state)
{
	struct ep_result *r = util_result("50000-50299,50310,50320-50399");

	for (uint32_t i = 0; i < r->range->port_count; i++) {
		for (int d = 0; d < EP_RESULT_DIRS; d++)
			r->port[i].dir[d] = util_random_port(state);
	}
	util_load(r);
	util_judge(r);
	return r;
}
