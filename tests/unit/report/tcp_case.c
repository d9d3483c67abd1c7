#include "tcp_case.h"

#include "../result/result_util.h"

#include <stdio.h>
#include <string.h>

/* The last row that was added, to be filled further. */
static struct ep_result_tcp *
add(struct ep_result *r, uint16_t port, const char *check, const char *phase, const char *status,
	const char *detail)
{
	struct ep_result_tcp *row;

	util_tcp(r, port, phase, status, detail);
	row = &r->tcp[r->tcp_count - 1];
	snprintf(row->check, sizeof(row->check), "%s", check);
	return row;
}

static void
alone_tls(struct ep_result *r)
{
	struct ep_result_tcp *row = add(r, 443, "tls", "alone", "open",
		"handshake in 8.2 ms, TLSv1.3, certificate of CN=meet.example.org, issued by "
		"CN=Example CA, valid for 61 days; not trusted here: self-signed certificate");

	row->tls_ms = 8.2;
	snprintf(row->reply, sizeof(row->reply), "TLSv1.3");
	row->tls = (struct ep_result_tls){.known = true,
		.version = "TLSv1.3",
		.alpn = "http/1.1",
		.subject = "CN=meet.example.org",
		.issuer = "CN=Example CA",
		.days_left = 61,
		.verify_text = "self-signed certificate"};
	row = add(r, 443, "http", "alone", "open", "answers after 1.1 ms: HTTP 404 Not Found");
	row->answer_ms = 1.1;
	snprintf(row->reply, sizeof(row->reply), "HTTP 404 Not Found");
}

static struct ep_result_tcp *
add_udp(struct ep_result *r, uint16_t port, const char *check, const char *phase,
	const char *status, const char *detail)
{
	struct ep_result_tcp *row = add(r, port, check, phase, status, detail);

	snprintf(row->transport, sizeof(row->transport), "udp");
	return row;
}

static void
alone_udp(struct ep_result *r)
{
	struct ep_result_tcp *row = add_udp(r, 443, "stun", "alone", "unreachable",
		"an ICMP message says administratively prohibited (type 3, code 13)");

	snprintf(row->advice, sizeof(row->advice), "let it in: ufw allow 443/udp");
	row->has_icmp = true;
	row->icmp_type = 3;
	row->icmp_code = 13;
	row = add_udp(
		r, 3478, "stun", "alone", "open", "answers after 0.4 ms: mapped 192.0.2.7:4711");
	snprintf(row->mapped, sizeof(row->mapped), "192.0.2.7:4711");
	row->answer_ms = 0.4;
}

static void
alone_capacity(struct ep_result *r)
{
	struct ep_result_tcp *row = add(r, 7881, "capacity", "alone", "filtered",
		"4096 of 5000 established at 498/s, 4090 still there at the end, 4090 answered "
		"(only "
		"these count)");

	row->answer_ms = 2.5;
	row->capacity = (struct ep_result_capacity){.known = true,
		.wanted = 5000,
		.established = 4096,
		.held = 4090,
		.answered = 4090,
		.lost_held = 6,
		.cause = {{"filtered", 900}, {"reset", 4}},
		.rate_hz = 498.5,
		.p50_ms = 0.5,
		.p99_ms = 4,
		.max_ms = 1003,
		.answer_p50_ms = 2.5,
		.answer_p99_ms = 7,
		.answer_max_ms = 8.5,
		.memory_bytes = 640000};
}

static void
idle_age(struct ep_result *r, uint16_t port, uint32_t age_s, struct ep_result_idle idle)
{
	const bool alive = idle.alive == 4;
	struct ep_result_tcp *row;
	char text[256];
	int used;

	used = snprintf(text, sizeof(text), "%d of 4 connections alive after %u s of silence",
		(int)idle.alive, age_s);
	if (idle.reset > 0)
		snprintf(text + used, sizeof(text) - (size_t)used,
			"; %d reset unasked, first after %.1f s", (int)idle.reset, idle.reset_s);
	else if (!alive)
		snprintf(text + used, sizeof(text) - (size_t)used,
			"; %d dropped on the way without a word; %d closed by the service, first "
			"after 60.0 s",
			(int)idle.lost, (int)idle.closed);
	row = add(r, port, "idle", "alone",
		alive                    ? "open"
			: idle.reset > 0 ? "reset"
					 : "stalled",
		text);
	row->idle = idle;
	row->idle.known = true;
	row->idle.age_s = age_s;
	row->idle.connections = 4;
	row->required = false;
}

/* Ages that end in the same way are one line of the text, but not across ports, and not where the counts differ. */
static void
alone_idle(struct ep_result *r)
{
	const struct ep_result_idle alive = {.alive = 4};
	const struct ep_result_idle gone = {.lost = 3, .closed = 1, .closed_s = 60};
	const struct ep_result_idle reset = {.reset = 4, .reset_s = 600};
	const struct ep_result_idle one = {.alive = 1, .lost = 2, .closed = 1, .closed_s = 60};

	idle_age(r, 443, 300, alive);
	idle_age(r, 443, 345, alive);
	idle_age(r, 7881, 240, alive);
	idle_age(r, 7881, 300, alive);
	idle_age(r, 7881, 345, alive);
	idle_age(r, 7881, 350, one);
	idle_age(r, 7881, 400, gone);
	idle_age(r, 7881, 450, gone);
	idle_age(r, 7881, 600, reset);
}

struct ep_result *
tcp_case_alone(void)
{
	struct ep_result *r = util_result("1");

	r->range->port_count = 0;
	snprintf(r->command, sizeof(r->command), "tcp");
	add(r, 443, "connect", "alone", "open", "accepts connections after 0.42 ms");
	alone_tls(r);
	alone_udp(r);
	add_udp(r, 7882, "stun", "alone", "filtered", "no answer to 7 requests within 9.5 s")
		->required = false;
	alone_capacity(r);
	alone_idle(r);
	util_judge(r);
	return r;
}

static void
load_phase(struct ep_result *r, const char *phase, uint64_t attempts, uint64_t failures)
{
	struct ep_result_tcp *row = add(r, 443, "connect", phase,
		failures == 0 ? "open" : "filtered",
		failures == 0
			? "accepts connections after 0.42 ms"
			: "60 of 100 attempts failed, the first after 4.2 s: no answer to 3 SYNs "
			  "within 4 s: dropped on the way, or the host is down");

	row->connects = (struct ep_result_connects){.known = true,
		.attempts = attempts,
		.failures = failures,
		.p50_ms = 0.42,
		.p99_ms = 1.5,
		.max_ms = 3.25};
	if (failures > 0) {
		row->connects.cause[0] = (struct ep_result_cause){"filtered", failures};
		snprintf(row->advice, sizeof(row->advice), "let it in: ufw allow 443/tcp");
	}
}

struct ep_result *
tcp_case_load(void)
{
	struct ep_result *r = util_result("443,50000-50019");
	struct ep_result_tcp *row;

	snprintf(r->command, sizeof(r->command), "run");
	util_fill(r, EP_RESULT_UP, 100);
	util_fill(r, EP_RESULT_DOWN, 100);
	load_phase(r, "before", 20, 0);
	row = add(r, 443, "tls", "before", "open", "handshake in 8.2 ms");
	row->tls_ms = 8.2;
	load_phase(r, "during", 100, 60);
	row = add(r, 443, "held", "during", "stalled",
		"stalled 1 time, first at second 7.1, 5.0 s into the load; the longest silence was "
		"4.0 "
		"s, 11 of 14 messages were answered");
	row->held = (struct ep_result_held){.known = true,
		.held_s = 14,
		.sent = 14,
		.answered = 11,
		.stalls = 1,
		.longest_silence_s = 4,
		.event_s = 7.125,
		.load_s = 5};
	load_phase(r, "after", 20, 0);
	row = add_udp(r, 7882, "stun", "after", "filtered", "no answer to 7 requests within 9.5 s");
	row->required = false;
	util_trials(r);
	util_judge(r);
	return r;
}
