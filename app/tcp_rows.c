#include "tcp_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static double
ms(uint64_t ns)
{
	return (double)ns / 1e6;
}

static double
seconds(uint64_t ns)
{
	return (double)ns / 1e9;
}

static void
row_begin(struct ep_result_tcp *row, enum ep_tcpcheck_transport transport, uint16_t port,
	const char *check, const char *phase)
{
	*row = (struct ep_result_tcp){.port = port, .connect_ms = -1};
	snprintf(row->transport, sizeof(row->transport), "%s",
		ep_tcpcheck_transport_name(transport));
	snprintf(row->check, sizeof(row->check), "%s", check);
	snprintf(row->phase, sizeof(row->phase), "%s", phase);
}

static void
row_status(struct ep_result_tcp *row, enum ep_tcpcheck_status status)
{
	snprintf(row->status, sizeof(row->status), "%s", ep_tcpcheck_status_name(status));
}

static void
row_tls(struct ep_result_tls *to, const struct ep_tcpcheck_tls *from)
{
	to->known = from->known;
	snprintf(to->version, sizeof(to->version), "%s", from->version);
	snprintf(to->alpn, sizeof(to->alpn), "%s", from->alpn);
	snprintf(to->subject, sizeof(to->subject), "%s", from->subject);
	snprintf(to->issuer, sizeof(to->issuer), "%s", from->issuer);
	to->days_left = from->days_left;
	to->verified = from->verified;
	snprintf(to->verify_text, sizeof(to->verify_text), "%s", from->verify_text);
}

/* What ended a row, with what to do about it. */
static void
row_end(struct ep_result_tcp *row, const struct ep_tcpcheck_row *from)
{
	row_status(row, from->status);
	snprintf(row->reply, sizeof(row->reply), "%s", from->reply);
	snprintf(row->detail, sizeof(row->detail), "%s", from->sentence);
	snprintf(row->advice, sizeof(row->advice), "%s", from->advice);
	row->has_icmp = from->has_icmp;
	row->icmp_type = from->icmp_type;
	row->icmp_code = from->icmp_code;
}

void
tcp_row_of(struct ep_result_tcp *row, const struct ep_tcpcheck_row *from, const char *phase)
{
	row_begin(row, from->transport, from->port, ep_tcpcheck_check_name(from->check), phase);
	row_end(row, from);
	row->required = from->required;
	if (from->connect_ns > 0)
		row->connect_ms = ms(from->connect_ns);
	row->tls_ms = ms(from->tls_ns);
	row->answer_ms = ms(from->answer_ns);
	snprintf(row->mapped, sizeof(row->mapped), "%s", from->mapped);
	row_tls(&row->tls, &from->tls);
}

/* --- Connects --------------------------------------------------------------------------------------------------------------- */

static void
causes_of_counts(struct ep_result_cause *cause, const uint64_t count[EP_TCPCHECK_STATUSES])
{
	int n = 0;

	for (int s = 0; s < EP_TCPCHECK_STATUSES && n < EP_RESULT_CAUSES_MAX; s++) {
		if (s == EP_TCPCHECK_OPEN || count[s] == 0)
			continue;
		snprintf(cause[n].status, sizeof(cause[n].status), "%s",
			ep_tcpcheck_status_name((enum ep_tcpcheck_status)s));
		cause[n++].count = count[s];
	}
}

void
tcp_row_connects(struct ep_result_tcp *row, const struct ep_tcpcheck_load *load)
{
	struct ep_result_connects *c = &row->connects;
	const bool was_open = strcmp(row->status, "open") == 0;
	const char *why = load->first_bad.sentence;

	*c = (struct ep_result_connects){.known = true,
		.attempts = load->attempts,
		.failures = load->failures,
		.own_failures = load->own_failures,
		.late = load->late,
		.p50_ms = ms(load->p50_ns),
		.p99_ms = ms(load->p99_ns),
		.max_ms = ms(load->max_ns)};
	causes_of_counts(c->cause, load->by_status);
	if (load->failures == 0 || !was_open)
		return;
	row_end(row, &load->first_bad);
	snprintf(row->detail, sizeof(row->detail),
		"%" PRIu64 " of %" PRIu64 " attempts failed, the first after %.1f s: %.150s",
		load->failures, load->attempts, seconds(load->first_bad_ns), why);
}

void
tcp_row_of_load(struct ep_result_tcp *row, const struct ep_tcpcheck_load *load,
	const struct ep_tcpcheck_target *target, const char *phase)
{
	row_begin(row, target->transport, target->port,
		target->transport == EP_TCPCHECK_UDP ? "stun" : "connect", phase);
	row->required = target->required;
	/* Without an attempt that is this path's, nothing is known of it. */
	row_status(row,
		load->attempts > load->own_failures ? EP_TCPCHECK_OPEN : load->first_bad.status);
	snprintf(row->detail, sizeof(row->detail), "%" PRIu64 " of %" PRIu64 " attempts succeeded",
		load->attempts - load->failures - load->own_failures, load->attempts);
	if (load->p50_ns > 0)
		row->connect_ms = ms(load->p50_ns);
	tcp_row_connects(row, load);
}

/* --- Held connections --------------------------------------------------------------------------------------------------------- */

/* "at second 12 of the connection, 8 s into the load" */
static void
hold_when(char *buf, size_t len, const struct ep_tcpcheck_hold *hold, uint64_t load_ns)
{
	if (load_ns == 0)
		snprintf(buf, len, "at second %.1f", seconds(hold->event_ns));
	else if (hold->event_ns >= load_ns)
		snprintf(buf, len, "at second %.1f, %.1f s into the load", seconds(hold->event_ns),
			seconds(hold->event_ns - load_ns));
	else
		snprintf(buf, len, "at second %.1f, %.1f s before the load",
			seconds(hold->event_ns), seconds(load_ns - hold->event_ns));
}

static void
hold_detail(char *buf, size_t len, const struct ep_tcpcheck_hold *hold, uint64_t load_ns)
{
	char when[96];

	hold_when(when, sizeof(when), hold, load_ns);
	if (hold->by_service)
		snprintf(buf, len,
			"closed by the service %s: it keeps no such connection; says nothing of "
			"the "
			"path",
			when);
	else if (hold->status == EP_TCPCHECK_BROKEN)
		snprintf(buf, len,
			"broken %s, after %" PRIu64 " messages of which %" PRIu64 " were answered",
			when, hold->sent, hold->answered);
	else if (hold->status == EP_TCPCHECK_STALLED)
		snprintf(buf, len,
			"stalled %u time%s, first %s; the longest silence was %.1f s, %" PRIu64
			" of %" PRIu64 " messages were answered",
			hold->stalls, hold->stalls == 1 ? "" : "s", when,
			seconds(hold->longest_silence_ns), hold->answered, hold->sent);
	else if (hold->status == EP_TCPCHECK_OPEN && hold->answered > 0)
		snprintf(buf, len, "held for %.1f s, %" PRIu64 " of %" PRIu64 " messages answered",
			seconds(hold->held_ns), hold->answered, hold->sent);
	else if (hold->status == EP_TCPCHECK_OPEN)
		snprintf(buf, len,
			"held for %.1f s; the service answers no message of ours, its TCP "
			"acknowledged all %" PRIu64,
			seconds(hold->held_ns), hold->sent);
	else
		snprintf(buf, len, "%s %s", ep_tcpcheck_status_name(hold->status), when);
}

void
tcp_row_of_hold(struct ep_result_tcp *row, const struct ep_tcpcheck_hold *hold,
	const struct ep_tcpcheck_target *target, uint64_t load_ns)
{
	const bool bad = hold->status != EP_TCPCHECK_OPEN;
	struct ep_tcpcheck_row like = {.transport = EP_TCPCHECK_TCP,
		.port = hold->port,
		.check = target->check,
		.status = hold->status};

	row_begin(row, EP_TCPCHECK_TCP, hold->port, "held", "during");
	row_status(row, hold->status);
	row->required = target->required;
	ep_tcpcheck_advice(&like, row->advice, sizeof(row->advice));
	/* One that was there lacks no rule. */
	if (hold->status == EP_TCPCHECK_STALLED)
		snprintf(row->advice, sizeof(row->advice),
			"it was established, so no rule is missing: look at what drops a "
			"connection "
			"that is known: a firewall that is full or was reloaded (dmesg | grep "
			"'table "
			"full'; nft list ruleset | grep -E 'ct count|limit'), a failover, a route "
			"that "
			"changed");
	hold_detail(row->detail, sizeof(row->detail), hold, load_ns);
	row->held = (struct ep_result_held){.known = true,
		.held_s = seconds(hold->held_ns),
		.sent = hold->sent,
		.answered = hold->answered,
		.stalls = hold->stalls,
		.longest_silence_s = seconds(hold->longest_silence_ns),
		.event_s = bad || hold->by_service ? seconds(hold->event_ns) : -1,
		.load_s = seconds(hold->event_ns) - seconds(load_ns),
		.by_service = hold->by_service};
}

/* --- Capacity ------------------------------------------------------------------------------------------------------------------- */

static enum ep_tcpcheck_status
capacity_status(const struct ep_tcpcheck_capacity *c)
{
	enum ep_tcpcheck_status worst = EP_TCPCHECK_OPEN;
	uint32_t most = 0;

	for (int s = 0; s < EP_TCPCHECK_STATUSES; s++) {
		if (c->connect_failed[s] > most) {
			most = c->connect_failed[s];
			worst = (enum ep_tcpcheck_status)s;
		}
	}
	if (worst != EP_TCPCHECK_OPEN)
		return worst;
	if (c->lost_held > 0)
		return EP_TCPCHECK_BROKEN;
	return c->answered == c->wanted ? EP_TCPCHECK_OPEN : EP_TCPCHECK_STALLED;
}

/* "; 20 refused, 3 busy, 2 lost while held". Returns where the text ends. */
static size_t
capacity_causes(char *buf, size_t len, size_t used, const struct ep_tcpcheck_capacity *c)
{
	const char *lead = "; ";

	for (int s = 0; s < EP_TCPCHECK_STATUSES; s++) {
		if (c->connect_failed[s] == 0 || used >= len)
			continue;
		used += (size_t)snprintf(buf + used, len - used, "%s%u %s", lead,
			c->connect_failed[s], ep_tcpcheck_status_name((enum ep_tcpcheck_status)s));
		lead = ", ";
	}
	if (c->lost_held > 0 && used < len)
		used += (size_t)snprintf(
			buf + used, len - used, "%s%u lost while held", lead, c->lost_held);
	return used;
}

static void
capacity_detail(char *buf, size_t len, const struct ep_tcpcheck_capacity *c)
{
	size_t used = (size_t)snprintf(buf, len,
		"%u of %u established at %.0f/s, %u still there at the end, %u answered (only "
		"these count)",
		c->established, c->wanted, c->rate_hz, c->held, c->answered);

	used = capacity_causes(buf, len, used, c);
	if (c->acknowledged > 0 && used < len)
		snprintf(buf + used, len - used,
			"; for %u more the service said nothing, but its TCP took the message: an "
			"ICE-TCP listener answers a live session's --ufrag and --pwd only",
			c->acknowledged);
}

void
tcp_row_of_capacity(struct ep_result_tcp *row, const struct ep_tcpcheck_capacity *c,
	const struct ep_tcpcheck_capacity_cfg *cfg)
{
	struct ep_tcpcheck_row like = {.transport = EP_TCPCHECK_TCP,
		.port = cfg->port,
		.check = cfg->check,
		.status = capacity_status(c)};
	struct ep_result_capacity *to = &row->capacity;
	uint64_t failed[EP_TCPCHECK_STATUSES];

	row_begin(row, EP_TCPCHECK_TCP, cfg->port, "capacity", "alone");
	row_status(row, like.status);
	row->required = true;
	if (c->p50_ns > 0)
		row->connect_ms = ms(c->p50_ns);
	row->answer_ms = ms(c->answer_p50_ns);
	ep_tcpcheck_advice(&like, row->advice, sizeof(row->advice));
	capacity_detail(row->detail, sizeof(row->detail), c);
	*to = (struct ep_result_capacity){.known = true,
		.wanted = c->wanted,
		.established = c->established,
		.held = c->held,
		.answered = c->answered,
		.acknowledged = c->acknowledged,
		.lost_held = c->lost_held,
		.rate_hz = c->rate_hz,
		.p50_ms = ms(c->p50_ns),
		.p99_ms = ms(c->p99_ns),
		.max_ms = ms(c->max_ns),
		.answer_p50_ms = ms(c->answer_p50_ns),
		.answer_p99_ms = ms(c->answer_p99_ns),
		.answer_max_ms = ms(c->answer_max_ns),
		.memory_bytes = c->memory_bytes};
	for (int s = 0; s < EP_TCPCHECK_STATUSES; s++)
		failed[s] = c->connect_failed[s];
	causes_of_counts(to->cause, failed);
}

/* --- Idle ------------------------------------------------------------------------------------------------------------------------- */

static enum ep_tcpcheck_status
age_status(const struct ep_tcpcheck_age *age)
{
	if (age->connections == 0)
		return age->failed_status;
	if (age->alive == age->connections)
		return EP_TCPCHECK_OPEN;
	if (age->lost >= age->reset && age->lost > 0)
		return EP_TCPCHECK_STALLED;
	return age->reset > 0 ? EP_TCPCHECK_RESET : EP_TCPCHECK_BROKEN;
}

/* "4 of 4 connections alive after 60 s of silence" and what became of the others. */
static void
age_detail(char *buf, size_t len, const struct ep_tcpcheck_age *age)
{
	size_t used;

	if (age->connections == 0) {
		snprintf(buf, len, "none of %u connections came to be: %s", age->failed,
			ep_tcpcheck_status_name(age->failed_status));
		return;
	}
	used = (size_t)snprintf(buf, len, "%u of %u connections alive after %.0f s of silence",
		age->alive, age->connections, seconds(age->age_ns));
	if (age->lost > 0)
		used += (size_t)snprintf(buf + used, len - used,
			"; %u dropped on the way without a word", age->lost);
	if (age->reset > 0)
		used += (size_t)snprintf(buf + used, len - used, "; %u reset", age->reset);
	if (age->reset > 0 && age->reset_ns == 0)
		used += (size_t)snprintf(buf + used, len - used, " when they spoke again");
	else if (age->reset > 0)
		used += (size_t)snprintf(buf + used, len - used,
			" unasked, first after %.1f s: the service's time-out, or a firewall's "
			"that says so",
			seconds(age->reset_ns));
	if (age->closed > 0)
		used += (size_t)snprintf(buf + used, len - used,
			"; %u closed by the service, first after %.1f s", age->closed,
			seconds(age->closed_ns));
	if (age->failed > 0)
		snprintf(buf + used, len - used, "; %u never came to be (%s)", age->failed,
			ep_tcpcheck_status_name(age->failed_status));
}

void
tcp_row_of_age(struct ep_result_tcp *row, const struct ep_tcpcheck_age *age)
{
	row_begin(row, EP_TCPCHECK_TCP, age->port, "idle", "alone");
	row_status(row, age_status(age));
	row->idle = (struct ep_result_idle){.known = true,
		.age_s = seconds(age->age_ns),
		.connections = age->connections,
		.alive = age->alive,
		.reset = age->reset,
		.lost = age->lost,
		.closed = age->closed,
		.failed = age->failed,
		.closed_s = seconds(age->closed_ns),
		.reset_s = seconds(age->reset_ns)};
	age_detail(row->detail, sizeof(row->detail), age);
}
