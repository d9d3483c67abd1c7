#include "report_case.h"

#include "../result/result_util.h"
#include "tcp_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SMALL_PORTS "443,50000-50019"
#define ALL_PORTS "50000-60000"

static void
add_options(struct ep_result *r, const char *ports)
{
	assert_int_equal(ep_result_config_text(r, "ports", ports), 0);
	assert_int_equal(ep_result_config_text(r, "rate", "100 kpps"), 0);
	assert_int_equal(ep_result_config_number(r, "max_loss_ratio", r->max_loss_ratio), 0);
	assert_int_equal(ep_result_config_number(r, "seed", 1), 0);
	assert_int_equal(ep_result_host_text(r, "cpu", "Example CPU @ 2.50GHz"), 0);
	assert_int_equal(ep_result_host_text(r, "driver", "net_ring"), 0);
	assert_int_equal(ep_result_host_number(r, "queues", 1), 0);
}

static void
add_latency(struct ep_result *r)
{
	const struct ep_result_latency rtt = {.count = 63,
		.min_ns = 18000,
		.p50_ns = 25343,
		.p90_ns = 40959,
		.p99_ns = 98303,
		.p999_ns = 120000,
		.max_ns = 120000};
	const struct ep_result_latency_block block = {
		.first_port = 50000, .last_port = 50019, .lat = {[EP_RESULT_LAT_RTT] = rtt}};

	r->latency[EP_RESULT_LAT_RTT] = rtt;
	r->latency[EP_RESULT_LAT_UP] =
		(struct ep_result_latency){.jitter_ns = 1850, .has_jitter = true};
	assert_int_equal(ep_result_add_block(r, &block), 0);
}

static void
add_pacing(struct ep_result *r)
{
	const struct ep_result_pacing paced = {
		.known = true,
		.burst_pkts = 1,
		.intended_pps = 100000,
		.offered_pps = 100000.25,
		.departures = {.count = 2036,
			.min_ns = 5120,
			.p50_ns = 10047,
			.p90_ns = 10239,
			.p99_ns = 12287,
			.p999_ns = 49151,
			.max_ns = 98765},
		.largest_gap_ns = 98765,
		.loop_gap_ns = 123456,
	};
	const struct ep_result_pacing unpaced = {
		.known = true,
		.burst_pkts = 32,
		.offered_pps = 12345678,
		.departures = {.count = 60,
			.min_ns = 900,
			.p50_ns = 1023,
			.p90_ns = 1055,
			.p99_ns = 1279,
			.p999_ns = 1500,
			.max_ns = 1500},
		.largest_gap_ns = 1500,
		.loop_gap_ns = 1600,
	};

	r->trial[1].queues[EP_RESULT_UP] =
		(struct ep_result_queues){.count = 4, .received = {510, 505, 504, 518}};
	r->trial[1].queues[EP_RESULT_DOWN] =
		(struct ep_result_queues){.count = 1, .received = {2037}};
	snprintf(r->spread[EP_RESULT_UP].steering, sizeof(r->spread[EP_RESULT_UP].steering),
		"RSS on UDP ports, ports checked in software");
	r->spread[EP_RESULT_UP].expected_ratio = 1.0087;
	r->trial[1].pacing[EP_RESULT_UP] = paced;
	r->trial[1].pacing[EP_RESULT_DOWN] = unpaced;
	r->trial[1].receiver[EP_RESULT_DOWN].known = false;
}

static void
add_intervals(struct ep_result *r)
{
	const struct ep_result_interval second = {.trial = 1,
		.duration_ns = EP_NS_PER_S,
		.sent = {2037, 2037},
		.received = {2037, 2036}};

	assert_int_equal(ep_result_add_interval(r, &second), 0);
}

static void
add_tcp_round(struct ep_result *r, const char *phase)
{
	util_tcp(r, 80, phase, "open", "");
	util_tcp(r, 443, phase, "open", "");
}

static struct ep_result *
small_result(void)
{
	struct ep_result *r = util_result(SMALL_PORTS);

	util_fill(r, EP_RESULT_UP, 100);
	util_fill(r, EP_RESULT_DOWN, 100);
	add_options(r, SMALL_PORTS);
	add_latency(r);
	return r;
}

static struct ep_result *
case_pass(void)
{
	struct ep_result *r = small_result();

	add_tcp_round(r, "before");
	add_tcp_round(r, "during");
	add_tcp_round(r, "after");
	util_trials(r);
	add_pacing(r);
	add_intervals(r);
	r->ceiling = (struct ep_result_ceiling){.known = true,
		.pps = 12.4e6,
		.run_pps = 3.1e6,
		.device = "the in-memory pair",
		.measured = "2026-11-24T02:00:00Z"};
	util_judge(r);
	return r;
}

/* A firewall that rejects, a host behind it that is not listening on one port, and errors that count for no port. */
static void
add_icmp(struct ep_result *r)
{
	static const struct ep_slow_kind kind[] = {
		{.from = {EP_WIRE_IPV4, {198, 18, 0, 1}}, .type = 3, .code = 13},
		{.from = {EP_WIRE_IPV4, {198, 18, 1, 2}}, .type = 3, .code = 3},
		{.from = {EP_WIRE_IPV6, {0x20, 0x01, 0, 2, [15] = 1}},
			.type = 2,
			.mtu_bytes = 1280},
	};
	struct ep_slow_icmp *up, *down;

	assert_int_equal(ep_result_add_icmp(r, EP_RESULT_UP), 0);
	assert_int_equal(ep_result_add_icmp(r, EP_RESULT_DOWN), 0);
	up = r->icmp[EP_RESULT_UP];
	down = r->icmp[EP_RESULT_DOWN];
	for (uint32_t port = 50003; port <= 50005; port++)
		ep_slow_icmp_add(up, r->range->index[port], &kind[0], port - 50000);
	ep_slow_icmp_add(up, r->range->index[443], &kind[0], 1);
	ep_slow_icmp_add(up, r->range->index[50005], &kind[1], 1);
	ep_slow_icmp_add(up, r->range->index[50005], NULL, 2);
	up->count[EP_SLOW_FLOW] = 12;
	up->count[EP_SLOW_PORT] = 4;
	up->count[EP_SLOW_FOREIGN] = 7;
	up->missed = 1;
	ep_slow_icmp_add(down, r->range->index[50010], &kind[2], 1);
	down->count[EP_SLOW_FLOW] = 1;
	down->count[EP_SLOW_FORGED] = 1234;
}

static struct ep_result *
case_fail(void)
{
	struct ep_result *r = small_result();

	snprintf(r->command, sizeof(r->command), "run");
	add_tcp_round(r, "before");
	util_tcp(r, 7881, "before", "filtered", "no answer within 3 s");
	add_tcp_round(r, "after");
	util_tcp(r, 7881, "after", "filtered", "no answer within 3 s");
	util_kill(r, EP_RESULT_UP, 50003, 50005);
	util_kill(r, EP_RESULT_UP, 443, 443);
	util_kill(r, EP_RESULT_DOWN, 50010, 50010);
	for (uint16_t port = 50003; port <= 50005; port++)
		*util_port(r, port, EP_RESULT_DOWN) = (struct ep_result_port_dir){0};
	*util_port(r, 443, EP_RESULT_DOWN) = (struct ep_result_port_dir){0};
	util_lose(r, EP_RESULT_DOWN, 50015, 50016, 12);
	util_port(r, 50001, EP_RESULT_UP)->duplicates = 4;
	util_port(r, 50001, EP_RESULT_UP)->received += 4;
	util_port(r, 50002, EP_RESULT_UP)->reordered = 9;
	util_port(r, 50015, EP_RESULT_DOWN)->late = 2;
	util_port(r, 50016, EP_RESULT_DOWN)->wrong_port = 1;
	util_trials(r);
	r->trial[1].ledger[EP_RESULT_DOWN].lost_min -= 1;
	assert_int_equal(
		ep_result_warn(r, "AF_PACKET was used: every probe is copied by the kernel"), 0);
	add_intervals(r);
	add_icmp(r);
	util_judge(r);
	return r;
}

static struct ep_result *
case_invalid(void)
{
	struct ep_result *r = small_result();

	util_lose(r, EP_RESULT_DOWN, 50000, 50019, 60);
	util_trials(r);
	r->trial[1].ledger[EP_RESULT_DOWN].imissed = 1200;
	r->trial[1].ledger[EP_RESULT_DOWN].nic_rx += 1200;
	r->trial[1].rate_pps = 0;
	util_judge(r);
	return r;
}

/* The responder was killed during the load: its account of up, and what it sent down, never came. */
static struct ep_result *
case_interrupted(void)
{
	struct ep_result *r = small_result();

	snprintf(r->command, sizeof(r->command), "run");
	util_trials(r);
	r->trial[1].ledger[EP_RESULT_UP].receiver_known = false;
	r->trial[1].ledger[EP_RESULT_DOWN].sender_known = false;
	r->aborted = true;
	assert_int_equal(
		ep_result_reason(r, "the far side was silent for 1 s, so the run was ended"), 0);
	util_judge(r);
	return r;
}

static struct ep_result *
case_impair(void)
{
	struct ep_result *r = small_result();

	util_kill(r, EP_RESULT_UP, 50003, 50005);
	util_kill(r, EP_RESULT_DOWN, 50003, 50005);
	util_lose(r, EP_RESULT_UP, 50007, 50007, 1);
	assert_int_equal(ep_result_add_impair(r), 0);
	for (uint32_t i = 0; i < r->range->port_count; i++) {
		for (int d = 0; d < EP_RESULT_DIRS; d++) {
			r->impair[i].seen[d] = r->port[i].dir[d].sent;
			r->impair[i].lost[d] = r->port[i].dir[d].lost;
		}
	}
	util_trials(r);
	util_judge(r);
	return r;
}

/* Texts of any bytes, in each place that holds one. */
static struct ep_result *
case_strings(void)
{
	static const char nasty[] =
		"\"quoted\" \\ tab\t bell\a esc\x1b[31m bad\xff\xc3 cut\xe2\x82 c1\xc2\x9b"
		"31m good\xc3\xa9\xe2\x82\xac";
	struct ep_result *r = small_result();

	snprintf(r->tool_version, sizeof(r->tool_version), "0.1\xfe");
	snprintf(r->dpdk_version, sizeof(r->dpdk_version), "%s", nasty);
	assert_int_equal(ep_result_config_text(r, nasty, nasty), 0);
	assert_int_equal(ep_result_host_text(r, "cpu", nasty), 0);
	assert_int_equal(ep_result_host_number(r, "nan", 0.0 / 0.0), 0);
	assert_int_equal(ep_result_host_number(r, "infinite", 1.0 / 0.0), 0);
	assert_int_equal(ep_result_host_number(r, "half", 0.5), 0);
	assert_int_equal(ep_result_warn(r, "%s", nasty), 0);
	util_tcp(r, 80, "before", "refused", nasty);
	util_trials(r);
	util_judge(r);
	return r;
}

/* What the demo shows: 10,001 ports through a firewall. */
static struct ep_result *
case_firewall(void)
{
	struct ep_result *r = util_result(ALL_PORTS);

	snprintf(r->command, sizeof(r->command), "run");
	util_fill(r, EP_RESULT_UP, 103);
	util_fill(r, EP_RESULT_DOWN, 103);
	util_kill(r, EP_RESULT_UP, 50100, 50110);
	util_kill(r, EP_RESULT_UP, 55555, 55555);
	for (uint16_t port = 50100; port <= 50110; port++)
		*util_port(r, port, EP_RESULT_DOWN) = (struct ep_result_port_dir){0};
	*util_port(r, 55555, EP_RESULT_DOWN) = (struct ep_result_port_dir){0};
	util_lose(r, EP_RESULT_UP, 52000, 52999, 1);
	util_lose(r, EP_RESULT_UP, 52500, 52500, 20);
	add_options(r, ALL_PORTS);
	add_latency(r);
	add_tcp_round(r, "before");
	util_tcp(r, 7881, "before", "filtered", "no answer within 3 s");
	add_tcp_round(r, "during");
	util_tcp(r, 7881, "during", "filtered", "no answer within 3 s");
	add_tcp_round(r, "after");
	util_tcp(r, 7881, "after", "filtered", "no answer within 3 s");
	util_trials(r);
	r->trial[1].duration_ns = 10 * EP_NS_PER_S;
	util_judge(r);
	return r;
}

/* Every second port dead: the longest lists there are. */
static struct ep_result *
case_comb(void)
{
	struct ep_result *r = util_result(ALL_PORTS);

	util_fill(r, EP_RESULT_UP, 103);
	for (uint16_t port = 50000; port <= 60000; port += 2)
		util_kill(r, EP_RESULT_UP, port, port);
	util_trials(r);
	util_judge(r);
	return r;
}

const struct report_case report_cases[] = {
	{"pass", case_pass, false},
	{"fail", case_fail, false},
	{"invalid", case_invalid, false},
	{"interrupted", case_interrupted, false},
	{"impair", case_impair, false},
	{"strings", case_strings, false},
	{"firewall", case_firewall, true},
	{"comb", case_comb, true},
	{"tcp", tcp_case_alone, false},
	{"fallback", tcp_case_load, false},
};
const size_t report_case_count = EP_ARRAY_LEN(report_cases);

static char *
golden_read(const char *path)
{
	FILE *f = fopen(path, "rb");
	char *text = NULL;
	size_t capacity = 0;

	if (f == NULL)
		fail_msg("%s is missing: scripts/update-golden.sh writes it", path);
	if (getdelim(&text, &capacity, '\0', f) < 0)
		fail_msg("%s is empty", path);
	fclose(f);
	return text;
}

static void
golden_write(const char *path, const char *text)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

void
report_golden(const char *name, const char *extension, const char *text)
{
	char path[4096];
	char *want;
	size_t at = 0;

	snprintf(path, sizeof(path), "%s/%s.%s", report_golden_dir, name, extension);
	if (getenv("EP_TEST_GOLDEN_UPDATE") != NULL) {
		golden_write(path, text);
		return;
	}
	want = golden_read(path);
	while (want[at] != '\0' && want[at] == text[at])
		at++;
	if (want[at] != text[at])
		fail_msg("%s differs at byte %zu:\nwant ...%.80s\ngot  ...%.80s", path, at,
			want + at, text + at);
	free(want);
}
