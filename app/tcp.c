#include "tcp.h"

#include "host.h"
#include "tcp_rows.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Connects before and after the load, to compare those under load with [ns]. */
#define AROUND_NS (2 * EP_NS_PER_S)
/* The responder waits 15 s for an initiator that says nothing, and the connects under load take up to 4 s to end. */
#define PHASE_NS (10 * EP_NS_PER_S)
#define STEP_MS 10
/* One of so many connects that began late is worth a warning. */
#define LATE_SHARE 10

int
tcp_checker(const struct config *config, const struct ep_wire_ip *peer, const char *device,
	struct ep_tcpcheck **out, struct ep_err *err)
{
	const struct ep_tcpcheck_cfg cfg = {
		.peer = *peer,
		.device = device,
		.host = config->host != NULL ? config->host : config->peer,
		.sni = config->sni,
		.turn_sni = config->turn_sni,
		.expect_issuer = config->expect_issuer,
		.ufrag = config->ufrag,
		.pwd = config->pwd,
		.timeout_ns = config->tcp_timeout_ns,
		.utc_s = (uint64_t)time(NULL),
		.targets = config->targets,
	};

	return ep_tcpcheck_create(&cfg, out, err);
}

int
tcp_files(const struct config *config, struct ep_err *err)
{
	const double wait_s = (double)(config->tcp_timeout_ns + EP_NS_PER_S) / 1e9;
	/* Of each target also its round and its held connection. At most 10,000/s for 5 s and 32 targets. */
	const double each = config->tcp_rate_hz * wait_s + 4;

	return ep_tcpcheck_files((uint32_t)(each * config->targets.count), err);
}

int
tcp_fd(const struct session *s)
{
	return s->check != NULL ? ep_tcpcheck_fd(s->check) : -1;
}

int
tcp_wait_ms(const struct session *s, int wait_ms)
{
	uint64_t next_ns, now_ns;

	if (s->check == NULL)
		return wait_ms;
	next_ns = ep_tcpcheck_next_ns(s->check);
	now_ns = host_now_ns();
	if (next_ns <= now_ns)
		return 0;
	if (next_ns - now_ns >= (uint64_t)wait_ms * EP_NS_PER_MS)
		return wait_ms;
	return (int)((next_ns - now_ns + EP_NS_PER_MS - 1) / EP_NS_PER_MS);
}

/* Connects are due exactly while probes are, however late this thread comes to see that they began or ended. */
static void
during_tick(struct session *s)
{
	if (!s->tcp_during)
		return;
	if (!s->tcp_loading && s->trial_start_ns != 0 && s->next_interval_ns != 0) {
		s->tcp_loading = true;
		s->tcp_load_ns = s->trial_start_ns;
		ep_tcpcheck_load_start(s->check, s->config->tcp_rate_hz, s->tcp_load_ns);
		ep_tcpcheck_load_stop(s->check, s->tcp_load_ns + s->phase_ns);
	} else if (s->tcp_loading && s->interval_last) {
		ep_tcpcheck_load_stop(s->check, host_now_ns());
	}
}

void
tcp_tick(struct session *s)
{
	if (s->check == NULL)
		return;
	during_tick(s);
	ep_tcpcheck_poll(s->check, host_now_ns());
}

/* Wait a step for the control connection and the check; what the responder says meanwhile is kept for its time. */
static enum session_status
tcp_step(struct session *s)
{
	const int wait_ms = tcp_wait_ms(s, STEP_MS);
	struct pollfd p = {.fd = tcp_fd(s), .events = POLLIN};

	if (s->link == NULL)
		poll(&p, 1, wait_ms);
	else if (link_wait_with(s->link, wait_ms, p.fd) < 0)
		poll(&p, 1, wait_ms); /* closed: the session finds it so in its time, and says it */
	tcp_tick(s);
	if (s->way != NULL)
		way_tick(s->way, s->engine);
	return host_interrupted() ? SESSION_INTERRUPTED : SESSION_OK;
}

/* The index of the target that connects for a port. */
static bool
target_of(const struct session *s, const struct ep_tcpcheck_row *row, uint32_t *target)
{
	const struct ep_tcpcheck_targets *t = &s->config->targets;

	for (uint32_t i = 0; i < t->count; i++) {
		if (t->target[i].port != row->port || t->target[i].transport != row->transport)
			continue;
		*target = i;
		return true;
	}
	return false;
}

static bool
is_first_level(const struct ep_tcpcheck_row *row)
{
	return row->check ==
		(row->transport == EP_TCPCHECK_UDP ? EP_TCPCHECK_STUN : EP_TCPCHECK_CONNECT);
}

static void
phase_rows(struct session *s, const char *phase)
{
	uint32_t count, target;
	const struct ep_tcpcheck_row *from = ep_tcpcheck_rows(s->check, &count);

	for (uint32_t i = 0; i < count; i++) {
		struct ep_tcpcheck_load load;
		struct ep_result_tcp row;

		tcp_row_of(&row, &from[i], phase);
		if (is_first_level(&from[i]) && target_of(s, &from[i], &target)) {
			ep_tcpcheck_load(s->check, target, &load);
			if (load.attempts > 0)
				tcp_row_connects(&row, &load);
		}
		ep_result_add_tcp(s->result, &row);
	}
}

/* A round of all levels, and beside it a few seconds of connects. */
static enum session_status
tcp_phase(struct session *s, const char *phase)
{
	const uint64_t start_ns = host_now_ns();
	enum session_status status = SESSION_OK;

	ep_tcpcheck_round_start(s->check, start_ns);
	ep_tcpcheck_load_start(s->check, s->config->tcp_rate_hz, start_ns);
	ep_tcpcheck_load_stop(s->check, start_ns + AROUND_NS);
	while (status == SESSION_OK && host_now_ns() - start_ns < PHASE_NS &&
		!(ep_tcpcheck_round_done(s->check) && ep_tcpcheck_load_done(s->check)))
		status = tcp_step(s);
	ep_tcpcheck_round_stop(s->check, host_now_ns());
	if (status == SESSION_OK)
		phase_rows(s, phase);
	return status;
}

enum session_status
tcp_before(struct session *s)
{
	if (s->check == NULL)
		return SESSION_OK;
	s->tcp_hold_ns = host_now_ns();
	ep_tcpcheck_hold_start(s->check, s->tcp_hold_ns);
	return tcp_phase(s, "before");
}

void
tcp_during_begin(struct session *s)
{
	s->tcp_during = s->check != NULL;
	s->tcp_loading = false;
}

/* Whether a port was open before the load. */
static bool
was_open_before(const struct session *s, const struct ep_result_tcp *row)
{
	for (uint32_t i = 0; i < s->result->tcp_count; i++) {
		const struct ep_result_tcp *r = &s->result->tcp[i];

		if (r->port == row->port && strcmp(r->transport, row->transport) == 0 &&
			strcmp(r->check, row->check) == 0 && strcmp(r->phase, "before") == 0)
			return strcmp(r->status, "open") == 0;
	}
	return false;
}

/* A port that fails only under load lacks no rule: something on the way is full. */
static void
load_advice(const struct session *s, struct ep_result_tcp *row)
{
	if (strcmp(row->status, "open") == 0 || !was_open_before(s, row))
		return;
	snprintf(row->advice, sizeof(row->advice),
		"it is open without the load, so no rule is missing: something on the way is full. "
		"On a Linux firewall: dmesg | grep 'table full'; sysctl "
		"net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max, and raise the "
		"second; nft list ruleset | grep -E 'ct count|limit'. At a cloud: the session "
		"table of its gateway or instance size");
}

/* A few that began late on a busy host change nothing; what the host failed is told in any case. */
static void
load_warn(struct session *s, const struct ep_tcpcheck_load *load)
{
	if (load->own_failures == 0 && load->late * LATE_SHARE < load->attempts)
		return;
	ep_result_warn(s->result,
		"of the %lu connects to %s %u under load this host itself failed %lu and began %lu "
		"more than 100 ms late: these say little of the path",
		(unsigned long)load->attempts, load->transport == EP_TCPCHECK_UDP ? "UDP" : "TCP",
		load->port, (unsigned long)load->own_failures, (unsigned long)load->late);
}

void
tcp_during_end(struct session *s, enum session_status status)
{
	if (!s->tcp_during)
		return;
	s->tcp_during = false;
	ep_tcpcheck_load_stop(s->check, host_now_ns());
	/* What is under way ends by itself: a port that drops SYNs is known as such only after the time-out. */
	while (status == SESSION_OK && s->tcp_loading && !ep_tcpcheck_load_done(s->check))
		status = tcp_step(s);
	for (uint32_t i = 0; s->tcp_loading && i < s->config->targets.count; i++) {
		struct ep_tcpcheck_load load;
		struct ep_result_tcp row;

		ep_tcpcheck_load(s->check, i, &load);
		if (load.attempts == 0)
			continue;
		tcp_row_of_load(&row, &load, &s->config->targets.target[i], "during");
		load_advice(s, &row);
		ep_result_add_tcp(s->result, &row);
		load_warn(s, &load);
	}
}

enum session_status
tcp_after(struct session *s)
{
	return s->check != NULL ? tcp_phase(s, "after") : SESSION_OK;
}

static void
hold_rows(struct session *s)
{
	const uint64_t load_ns =
		s->tcp_load_ns > s->tcp_hold_ns ? s->tcp_load_ns - s->tcp_hold_ns : 0;

	for (uint32_t i = 0; i < s->config->targets.count; i++) {
		struct ep_tcpcheck_hold hold;
		struct ep_result_tcp row;

		/* One that never came to be is the matter of the rows of its port. */
		if (!ep_tcpcheck_hold(s->check, i, &hold) || hold.held_ns == 0)
			continue;
		tcp_row_of_hold(&row, &hold, &s->config->targets.target[i], load_ns);
		ep_result_add_tcp(s->result, &row);
	}
}

void
tcp_end(struct session *s)
{
	if (s->check == NULL)
		return;
	ep_tcpcheck_hold_stop(s->check, host_now_ns());
	if (s->tcp_hold_ns != 0)
		hold_rows(s);
	ep_tcpcheck_destroy(s->check);
	s->check = NULL;
}
