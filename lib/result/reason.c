/* The sentences of a verdict: plain words, with the numbers. */

#include "result_priv.h"

#include <ep_stat.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Longest list of ports in a sentence; the whole list is in the result. */
#define REASON_LIST_BYTES 320
#define REASON_DIGITS 3
/* From here on two percentages that still look alike are left to the packet counts beside them. */
#define REASON_DIGITS_MAX 9

static void
reason_keep(struct result_judge *j, int ret)
{
	if (ret < 0 && j->ret == 0)
		j->ret = ret;
}

__attribute__((format(printf, 2, 3))) static void
reason_fail(struct result_judge *j, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	reason_keep(j, ep_result_reason(j->r, "%s", text));
	j->failed = true;
}

void
result_say_invalid(struct result_judge *j, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	reason_keep(j, ep_result_reason(j->r, "%s", text));
	j->invalid = true;
}

/* Whose sender or receiver it is, for the reader on the host that wrote the result: `run` is the initiator. */
const char *
result_whose(const struct ep_result *r, enum ep_result_dir dir, bool sender)
{
	const bool initiator = sender == (dir == EP_RESULT_UP);

	return initiator || strcmp(r->command, "run") != 0 ? "our" : "the far side's";
}

/* Part of a sentence, appended while there is room. */
__attribute__((format(printf, 3, 4))) static void
reason_append(char *buf, size_t len, const char *fmt, ...)
{
	const size_t used = strlen(buf);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf + used, len - used, fmt, ap);
	va_end(ap);
}

void
result_reason_shortfall(
	struct result_judge *j, const struct ep_result_trial *t, enum ep_result_dir dir)
{
	const struct ep_result_ledger *l = &t->ledger[dir];
	const struct {
		uint64_t packets;
		bool sender;
		const char *who_did, *of_what;
	} part[] = {
		{l->not_sent, true, "sender did not send", "in time (not_sent)"},
		{l->oerrors, true, "sender's NIC dropped", "after accepting them (oerrors)"},
		{l->imissed, false, "receiver's ring dropped", "(imissed)"},
		{l->rx_nombuf, false, "receiver had no buffer for", "(rx_nombuf)"},
		{l->ierrors, false, "receiver's NIC refused as broken", "(ierrors)"},
	};
	char text[400] = "", nic[200], packets[32], intended[32], allowed[32], goal[32];

	ep_result_count_format(intended, sizeof(intended), l->intended);
	for (size_t i = 0; i < EP_ARRAY_LEN(part); i++) {
		if (part[i].packets == 0 || !(part[i].sender ? l->sender_known : l->receiver_known))
			continue;
		reason_append(text, sizeof(text), "%s%s %s %s of %s probes %s",
			text[0] != '\0' ? ", " : "", result_whose(j->r, dir, part[i].sender),
			part[i].who_did,
			ep_result_count_format(packets, sizeof(packets), part[i].packets), intended,
			part[i].of_what);
	}
	result_nic_own_text(j->r, t, dir, nic, sizeof(nic));
	if (nic[0] != '\0')
		reason_append(text, sizeof(text), "%s%s", text[0] != '\0' ? ", " : "", nic);
	result_say_invalid(j, "invalid: %s: %s%s; at most %s are allowed to judge a goal of %s",
		ep_result_dir_name(dir), strcmp(t->kind, "sweep") == 0 ? "in the sweep " : "", text,
		ep_result_count_format(
			allowed, sizeof(allowed), result_shortfall_allowed(j->r, l->intended)),
		ep_result_percent_format(goal, sizeof(goal), j->r->max_loss_ratio, REASON_DIGITS));
}

/* A list that is too long ends with the last range that fits. */
static void
reason_cut_list(char *list, size_t len, size_t whole)
{
	static const char more[] = ",...";

	if (whole < len)
		return;
	list[len - sizeof(more)] = '\0';
	char *comma = strrchr(list, ',');

	memcpy(comma != NULL ? comma : list, more, sizeof(more));
}

/* "11 ports are", "1 port is", "all 10,001 ports are". */
static const char *
reason_ports(const struct ep_result *r, uint32_t count, const char *one, const char *many,
	char *buf, size_t len)
{
	char number[32];

	snprintf(buf, len, "%s%s %s", count == r->range->port_count && count > 1 ? "all " : "",
		ep_result_count_format(number, sizeof(number), count), count == 1 ? one : many);
	return buf;
}

static void
reason_dead(struct result_judge *j, enum ep_result_dir dir)
{
	const uint32_t count = j->totals[dir].dead_count;
	char list[REASON_LIST_BYTES], ports[64];

	if (count == 0)
		return;
	reason_cut_list(list, sizeof(list),
		ep_result_ports_text(j->r, dir, EP_RESULT_PORT_DEAD, list, sizeof(list)));
	reason_fail(j, "%s dead %s: %s",
		reason_ports(j->r, count, "port is", "ports are", ports, sizeof(ports)),
		ep_result_dir_name(dir), list);
}

static void
reason_lossy(struct result_judge *j, enum ep_result_dir dir)
{
	const uint32_t count = j->totals[dir].lossy_count;
	char list[REASON_LIST_BYTES], ports[64], goal[32];

	if (count == 0)
		return;
	reason_cut_list(list, sizeof(list),
		ep_result_ports_text(j->r, dir, EP_RESULT_PORT_LOSSY, list, sizeof(list)));
	reason_fail(j, "%s more than the goal of %s %s, and chance does not explain it: %s",
		reason_ports(j->r, count, "port loses", "ports lose", ports, sizeof(ports)),
		ep_result_percent_format(goal, sizeof(goal), j->r->max_loss_ratio, REASON_DIGITS),
		ep_result_dir_name(dir), list);
}

static void
reason_loss(struct result_judge *j, enum ep_result_dir dir)
{
	const struct ep_result_totals *t = &j->totals[dir];
	const double goal_ratio = j->r->max_loss_ratio;
	const uint64_t allowance = j->dir[dir].allowance;
	char loss[32], goal[32], lost[32], sent[32];
	int digits = REASON_DIGITS;

	if (result_nic_hides(j->r, t->live_sent, t->live_lost, allowance)) {
		result_nic_reason(j, dir);
		return;
	}
	reason_keep(j, result_nic_warn(j->r, dir, allowance));
	if ((double)t->live_lost <= goal_ratio * (double)t->live_sent * RESULT_ROUNDING)
		return;
	ep_result_percent_format(goal, sizeof(goal), goal_ratio, REASON_DIGITS);
	/* "0.1 % is above the goal of 0.1 %" helps nobody: as many digits as it takes. */
	do {
		ep_result_percent_format(
			loss, sizeof(loss), (double)t->live_lost / (double)t->live_sent, digits);
	} while (strcmp(loss, goal) == 0 && ++digits <= REASON_DIGITS_MAX);
	reason_fail(j, "loss %s %s is above the goal of %s: %s of %s probes%s",
		ep_result_dir_name(dir), loss, goal,
		ep_result_count_format(lost, sizeof(lost), t->live_lost),
		ep_result_count_format(sent, sizeof(sent), t->live_sent),
		t->dead_count > 0 ? " on the ports that are not dead" : "");
}

static bool
port_is_untested(const struct ep_result_port *port, enum ep_result_dir dir)
{
	return port->dir[dir].sent == 0;
}

/* Down there is nothing to answer, and no address learned, where nothing arrived up. */
static bool
port_is_cut_off(const struct ep_result_port *port, enum ep_result_dir dir)
{
	return port->dir[dir].sent == 0 && dir == EP_RESULT_DOWN &&
		port->dir[EP_RESULT_UP].verdict == EP_RESULT_PORT_DEAD;
}

static bool
port_is_skipped(const struct ep_result_port *port, enum ep_result_dir dir)
{
	return port_is_untested(port, dir) && !port_is_cut_off(port, dir);
}

static uint32_t
reason_count(const struct ep_result *r, enum ep_result_dir dir, result_port_fn want)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < r->range->port_count; i++)
		count += want(&r->port[i], dir);
	return count;
}

static void
reason_untested(struct result_judge *j, enum ep_result_dir dir)
{
	const uint32_t skipped = reason_count(j->r, dir, port_is_skipped);
	char list[REASON_LIST_BYTES], ports[64];

	if (reason_count(j->r, dir, port_is_cut_off) > 0) {
		reason_cut_list(list, sizeof(list),
			result_ports_format(j->r, dir, port_is_cut_off, list, sizeof(list)));
		reason_keep(j,
			ep_result_reason(j->r,
				"%s was not tested on these ports, because no probe arrived up: %s",
				ep_result_dir_name(dir), list));
	}
	if (skipped > 0) {
		reason_cut_list(list, sizeof(list),
			result_ports_format(j->r, dir, port_is_skipped, list, sizeof(list)));
		reason_keep(j,
			ep_result_warn(j->r,
				"%s not tested %s, because the run sent too few probes to reach "
				"every port: %s",
				reason_ports(j->r, skipped, "port was", "ports were", ports,
					sizeof(ports)),
				ep_result_dir_name(dir), list));
	}
}

void
result_reason_direction(struct result_judge *j, enum ep_result_dir dir)
{
	if (!j->dir[dir].used)
		return;
	reason_dead(j, dir);
	if (j->r->ledger[dir].sender_known)
		reason_untested(j, dir);
	if (!j->r->loss_judged[dir]) {
		reason_keep(j, result_nic_warn(j->r, dir, j->dir[dir].allowance));
		return;
	}
	reason_lossy(j, dir);
	reason_loss(j, dir);
}

static bool
tcp_is_bad(const struct ep_result_tcp *row)
{
	return row->required && strcmp(row->status, "open") != 0;
}

static bool
tcp_is_same(const struct ep_result_tcp *a, const struct ep_result_tcp *b)
{
	return tcp_is_bad(a) && tcp_is_bad(b) && a->port == b->port &&
		strcmp(a->transport, b->transport) == 0 && strcmp(a->check, b->check) == 0 &&
		strcmp(a->status, b->status) == 0;
}

/* "TCP 443", "UDP 443 (stun)" */
static const char *
reason_tcp_name(char *buf, size_t len, const struct ep_result_tcp *row)
{
	const bool plain = strcmp(row->check, "connect") == 0;

	snprintf(buf, len, "%s %u%s%s%s", strcmp(row->transport, "udp") == 0 ? "UDP" : "TCP",
		row->port, plain ? "" : " (", plain ? "" : row->check, plain ? "" : ")");
	return buf;
}

/* "before, during and after": all phases in which a port was shut in the same way, from its first row on. */
static void
reason_tcp_phases(const struct result_judge *j, uint32_t first, char *phases, size_t len)
{
	const struct ep_result_tcp *row = &j->r->tcp[first];
	uint32_t left = 0;

	for (uint32_t i = first; i < j->r->tcp_count; i++)
		left += tcp_is_same(row, &j->r->tcp[i]);
	for (uint32_t i = first; i < j->r->tcp_count; i++) {
		if (!tcp_is_same(row, &j->r->tcp[i]))
			continue;
		left--;
		reason_append(phases, len, "%s%s", j->r->tcp[i].phase,
			left > 1            ? ", "
				: left == 1 ? " and "
					    : "");
	}
}

/* What this host had no port or no socket for was never asked: that says nothing of the path. */
static bool
tcp_is_own(const struct ep_result_tcp *row)
{
	return strcmp(row->status, "busy") == 0 || strcmp(row->status, "error") == 0;
}

/* One sentence for all phases. */
static void
reason_tcp_row(struct result_judge *j, uint32_t first)
{
	const struct ep_result_tcp *row = &j->r->tcp[first];
	char phases[64] = "", name[48], when[96] = "", text[512];

	reason_tcp_name(name, sizeof(name), row);
	if (strcmp(row->phase, "alone") != 0) {
		reason_tcp_phases(j, first, phases, sizeof(phases));
		snprintf(when, sizeof(when), " %s the load", phases);
	}
	snprintf(text, sizeof(text), "%s is %s%s%s%s", name, row->status, when,
		row->detail[0] != '\0' ? ": " : "", row->detail);
	if (tcp_is_own(row))
		result_say_invalid(j, "invalid: %s", text);
	else
		reason_fail(j, "%s", text);
}

void
result_reason_tcp(struct result_judge *j)
{
	for (uint32_t i = 0; i < j->r->tcp_count; i++) {
		bool said = !tcp_is_bad(&j->r->tcp[i]);

		for (uint32_t k = 0; k < i && !said; k++)
			said = tcp_is_same(&j->r->tcp[k], &j->r->tcp[i]);
		if (!said)
			reason_tcp_row(j, i);
	}
}

/* "up 0 % and down 0.02 %" */
static void
reason_pass_losses(const struct result_judge *j, char *buf, size_t len)
{
	char loss[32];

	buf[0] = '\0';
	for (int d = 0; d < EP_RESULT_DIRS; d++) {
		if (!j->dir[d].used)
			continue;
		reason_append(buf, len, "%s%s %s", buf[0] != '\0' ? " and " : "",
			ep_result_dir_name((enum ep_result_dir)d),
			ep_result_percent_format(
				loss, sizeof(loss), j->totals[d].loss_ratio, REASON_DIGITS));
	}
}

/* The direction with the fewest probes on a port bounds what the run can say of every port. */
static const struct ep_result_totals *
reason_pass_weakest(const struct result_judge *j)
{
	const struct ep_result_totals *up = &j->totals[EP_RESULT_UP];
	const struct ep_result_totals *down = &j->totals[EP_RESULT_DOWN];

	if (!j->dir[EP_RESULT_UP].used)
		return down;
	return j->dir[EP_RESULT_DOWN].used && down->min_sent < up->min_sent ? down : up;
}

void
result_reason_pass(struct result_judge *j)
{
	const struct ep_result_totals *weak = reason_pass_weakest(j);
	char losses[96], goal[32], ports[64], probes[32], ruled_out[32];

	if (weak->min_sent == 0) {
		reason_keep(
			j, ep_result_reason(j->r, "every required TCP check found its port open"));
		return;
	}
	reason_pass_losses(j, losses, sizeof(losses));
	reason_keep(j,
		ep_result_reason(j->r,
			"%s alive, loss %s is within the goal of %s, and no port loses more than "
			"chance explains; with at "
			"least %s probes a port, a port that loses %s or more would have shown "
			"itself (95 %% confidence "
			"over all ports)",
			reason_ports(j->r, weak->tested_count, "port is", "ports are", ports,
				sizeof(ports)),
			losses,
			ep_result_percent_format(
				goal, sizeof(goal), j->r->max_loss_ratio, REASON_DIGITS),
			ep_result_count_format(probes, sizeof(probes), weak->min_sent),
			ep_result_percent_format(ruled_out, sizeof(ruled_out),
				weak->ruled_out_ratio, REASON_DIGITS)));
}
