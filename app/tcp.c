#include "tcp.h"

#include "host.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool
tcp_wanted(const struct session *s)
{
	return s->link != NULL && s->config->tcp_count > 0;
}

static void
tcp_start(struct session *s, uint64_t now_ns)
{
	ep_tcpcheck_start(
		&s->tcp_round, &s->peer, NULL, s->config->tcp, s->config->tcp_count, now_ns);
	s->tcp_running = true;
}

static void
tcp_row(struct session *s, const struct ep_tcpcheck_one *one, const char *phase,
	uint64_t connect_ns, const char *detail)
{
	struct ep_result_tcp row = {
		.port = one->port,
		.check = "connect",
		.connect_ms = connect_ns > 0 ? (double)connect_ns / 1e6 : -1,
		.required = true,
	};

	snprintf(row.phase, sizeof(row.phase), "%s", phase);
	snprintf(row.status, sizeof(row.status), "%s", ep_tcpcheck_status_name(one->status));
	snprintf(row.detail, sizeof(row.detail), "%s", detail);
	ep_result_add_tcp(s->result, &row);
}

enum session_status
tcp_round(struct session *s, const char *phase)
{
	enum session_status status = SESSION_OK;

	if (!tcp_wanted(s))
		return SESSION_OK;
	tcp_start(s, host_now_ns());
	while (status == SESSION_OK && !ep_tcpcheck_poll(&s->tcp_round, host_now_ns())) {
		usleep(1000);
		if (host_interrupted())
			status = SESSION_INTERRUPTED;
	}
	for (uint32_t i = 0; i < s->tcp_round.count && status == SESSION_OK; i++) {
		const struct ep_tcpcheck_one *one = &s->tcp_round.one[i];
		char detail[256];

		ep_tcpcheck_sentence(one, detail, sizeof(detail));
		tcp_row(s, one, phase, one->connect_ns, detail);
	}
	ep_tcpcheck_close(&s->tcp_round);
	s->tcp_running = false;
	return status;
}

void
tcp_during_begin(struct session *s)
{
	memset(s->tcp, 0, sizeof(s->tcp));
	s->tcp_during = tcp_wanted(s);
	s->tcp_next_ns = 0;
}

/* Add a finished round to the rows of the load. */
static void
tcp_note(struct session *s)
{
	for (uint32_t i = 0; i < s->tcp_round.count; i++) {
		const struct ep_tcpcheck_one *one = &s->tcp_round.one[i];
		struct session_tcp *t = &s->tcp[i];

		t->rounds++;
		if (one->connect_ns > t->worst_ns)
			t->worst_ns = one->connect_ns;
		if (one->status == EP_TCPCHECK_OPEN)
			t->open++;
		else if (t->bad.status == EP_TCPCHECK_PENDING)
			t->bad = *one;
	}
}

void
tcp_tick(struct session *s, uint64_t now_ns)
{
	/* Only while the load's probes are on their way. */
	if (!s->tcp_during || s->trial_start_ns == 0 || s->next_interval_ns == 0)
		return;
	if (s->tcp_running && ep_tcpcheck_poll(&s->tcp_round, now_ns)) {
		tcp_note(s);
		ep_tcpcheck_close(&s->tcp_round);
		s->tcp_running = false;
	}
	if (!s->tcp_running && now_ns >= s->tcp_next_ns) {
		s->tcp_next_ns = now_ns + EP_NS_PER_S;
		tcp_start(s, now_ns);
	}
}

/* Let the round that is under way end: a port that drops SYNs is known as such only after the time-out. */
static void
tcp_last_round(struct session *s)
{
	while (s->tcp_running && !ep_tcpcheck_poll(&s->tcp_round, host_now_ns()) &&
		!host_interrupted()) {
		link_wait(s->link, 1);
		usleep(1000);
	}
	if (s->tcp_running && !host_interrupted())
		tcp_note(s);
	ep_tcpcheck_close(&s->tcp_round);
	s->tcp_running = false;
}

void
tcp_during_end(struct session *s)
{
	if (!s->tcp_during)
		return;
	s->tcp_during = false;
	tcp_last_round(s);
	for (uint32_t i = 0; i < s->tcp_round.count; i++) {
		struct session_tcp *t = &s->tcp[i];
		struct ep_tcpcheck_one one = t->bad;
		char detail[256];

		if (t->rounds == 0)
			continue;
		if (t->bad.status == EP_TCPCHECK_PENDING) {
			one.port = s->tcp_round.one[i].port;
			one.status = EP_TCPCHECK_OPEN;
		}
		snprintf(detail, sizeof(detail), "%u of %u connects while the load ran succeeded",
			t->open, t->rounds);
		tcp_row(s, &one, "during", t->worst_ns, detail);
	}
}
