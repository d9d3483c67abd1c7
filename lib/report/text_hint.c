/* What to do about it: at most a few lines, only where they help. */

#include "report_priv.h"

#include <ep_stat.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#define HINT_LEAD "  -> "

static void
hint_say(struct report_buf *b, bool *said, const char *text)
{
	if (!*said)
		report_printf(b, "\nWhat to do\n");
	*said = true;
	report_wrap(b, HINT_LEAD, text);
}

/* What each of the tester's own counters asks for. @return whether one did. */
static bool
hint_shortfall(struct report_buf *b, const struct ep_result *r, bool *said)
{
	const struct ep_result_ledger *l = r->ledger;
	const struct {
		uint64_t packets;
		const char *text;
	} hint[] = {
		{l[0].not_sent + l[1].not_sent,
			"not_sent: the sender could not hold the rate. Lower --rate, or give it "
			"more or faster cores (--cores)."},
		{l[0].oerrors + l[1].oerrors,
			"oerrors: the sender's NIC or driver dropped probes that it had accepted. "
			"Lower --rate; \"ethtool -S\" "
			"on that host names the counter."},
		{l[0].imissed + l[1].imissed,
			"imissed: the receiver did not empty its ring in time. Lower --rate, give "
			"it more or faster cores "
			"(--cores), or stop what else runs on that host."},
		{l[0].rx_nombuf + l[1].rx_nombuf,
			"rx_nombuf: the receiver ran out of packet buffers. Lower --rate, or give "
			"DPDK more memory (--eal \"-m "
			"N\" [MiB])."},
		{r->spread[0].suspect.found + r->spread[1].suspect.found,
			"A receive queue that loses: lower --rate, give it a core of its own "
			"(--cores), or stop what else runs on that core; \"ethtool -S\" on that "
			"host "
			"has counters of each queue."},
		{l[0].ierrors + l[1].ierrors,
			"ierrors: the receiver's NIC refused broken frames. Check cable and "
			"transceiver; \"ethtool -S\" on that "
			"host names the counter."},
	};
	bool any = false;

	for (size_t i = 0; i < EP_ARRAY_LEN(hint); i++) {
		if (hint[i].packets == 0)
			continue;
		hint_say(b, said, hint[i].text);
		any = true;
	}
	return any;
}

static bool
hint_any_dead(const struct ep_result *r)
{
	for (uint32_t i = 0; i < r->range->port_count; i++) {
		if (ep_result_port_worst(&r->port[i]) == EP_RESULT_PORT_DEAD)
			return true;
	}
	return false;
}

static bool
hint_tcp_is_shut(const struct ep_result_tcp *row)
{
	return row->required && strcmp(row->status, "open") != 0;
}

/* What each shut port asks for, once a port and status: the phases of a run ask for the same. */
static void
hint_tcp(struct report_buf *b, const struct ep_result *r, bool *said)
{
	for (uint32_t i = 0; i < r->tcp_count; i++) {
		const struct ep_result_tcp *row = &r->tcp[i];
		char text[sizeof(row->advice) + 64];
		bool known = !hint_tcp_is_shut(row) || row->advice[0] == '\0';

		for (uint32_t k = 0; k < i && !known; k++)
			known = hint_tcp_is_shut(&r->tcp[k]) &&
				strcmp(r->tcp[k].advice, row->advice) == 0;
		if (known)
			continue;
		snprintf(text, sizeof(text), "%s %u: %s",
			strcmp(row->transport, "udp") == 0 ? "UDP" : "TCP", row->port, row->advice);
		hint_say(b, said, text);
	}
}

/* Whether this host could not ask a port: that is what made the result invalid, and no counter of probes. */
static bool
hint_any_tcp_own(const struct ep_result *r)
{
	for (uint32_t i = 0; i < r->tcp_count; i++) {
		if (hint_tcp_is_shut(&r->tcp[i]) &&
			(strcmp(r->tcp[i].status, "busy") == 0 ||
				strcmp(r->tcp[i].status, "error") == 0))
			return true;
	}
	return false;
}

/* The ports that are shut are so, whatever became of the load. */
static void
hint_invalid(struct report_buf *b, const struct ep_result *r, bool *said)
{
	if (hint_shortfall(b, r, said))
		hint_say(b, said,
			"Do not read an invalid run as loss of the path: the tester itself fell "
			"short. Repeat it.");
	else if (!hint_any_tcp_own(r))
		hint_say(b, said,
			"The counters of this run contradict each other or are missing, so its "
			"loss "
			"means nothing. Repeat "
			"it; if it happens again, report it with the JSON result.");
	hint_tcp(b, r, said);
}

static bool
hint_any_tcp_shut(const struct ep_result *r)
{
	for (uint32_t i = 0; i < r->tcp_count; i++) {
		if (hint_tcp_is_shut(&r->tcp[i]))
			return true;
	}
	return false;
}

static void
hint_fail(struct report_buf *b, const struct ep_result *r, bool *said)
{
	if (hint_any_dead(r))
		hint_say(b, said,
			"Dead ports: look for UDP rules (firewall, security group, NAT) that leave "
			"these ports out. Dead up: "
			"rules towards the server; dead down: rules for its answers.");
	if (report_icmp_refused(r))
		hint_say(b, said,
			"The ICMP errors name the hops that refuse dead ports: look at their rules "
			"first.");
	hint_tcp(b, r, said);
	if (hint_any_tcp_shut(r) && !report_is_tcp(r))
		hint_say(b, said,
			"TCP: clients that cannot use UDP fall back to these ports. \"refused\": "
			"nothing listens there; "
			"\"filtered\": something on the way drops it.");
}

/*
 * n loss-free probes rule out a ratio p when (1 - p)^n <= alpha / ports, so n = ln(alpha / ports) / ln(1 - p). Said when the goal
 * holds in sum, but is finer than what the run can show of one port.
 */
static void
hint_more_probes(struct report_buf *b, const struct ep_result *r, bool *said)
{
	const double goal = r->max_loss_ratio;
	const double alpha = EP_STAT_ALPHA / (r->range->port_count > 0 ? r->range->port_count : 1);
	uint64_t min_sent = UINT64_MAX, need;
	char text[320], percent[32], probes[32], all[32];

	for (int d = 0; d < EP_RESULT_DIRS; d++) {
		struct ep_result_totals t;

		ep_result_totals(r, (enum ep_result_dir)d, &t);
		if (t.tested_count > 0 && t.min_sent < min_sent)
			min_sent = t.min_sent;
	}
	if (goal <= 0 || goal >= 1 || min_sent == UINT64_MAX)
		return;
	need = (uint64_t)ceil(log(alpha) / log1p(-goal));
	if (min_sent >= need)
		return;
	snprintf(text, sizeof(text),
		"To show the goal of %s for every single port, not only for their sum, each port "
		"needs %s probes: %s "
		"in all, each way (--duration times --rate).",
		ep_result_percent_format(percent, sizeof(percent), goal, 3),
		ep_result_count_format(probes, sizeof(probes), need),
		ep_result_count_format(all, sizeof(all), need * r->range->port_count));
	hint_say(b, said, text);
}

void
report_hints(struct report_buf *b, const struct ep_result *r)
{
	bool said = false;

	switch (r->verdict) {
	case EP_RESULT_PASS:
		if (!report_is_tcp(r))
			hint_more_probes(b, r, &said);
		break;
	case EP_RESULT_FAIL:
		hint_fail(b, r, &said);
		break;
	case EP_RESULT_INVALID:
		hint_invalid(b, r, &said);
		break;
	case EP_RESULT_INTERRUPTED:
		break;
	}
}
