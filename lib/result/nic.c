/*
 * What the counters of the NICs say of a loss.
 *
 * - What a host itself dropped beyond what the account counts already (nic_dropped) is its own shortfall, as far as probes were lost at
 *   all: the counters are of the whole NIC, and other traffic of the host is in them.
 * - What a cloud's allowance of an instance took (allowance) is neither the tester's nor the path's. As far as probes were lost, it may
 *   have been them: so a loss is judged with and without it.
 */

#include "result_priv.h"

#include <stdio.h>

static uint64_t
least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The side that sends in a direction, or the one that receives. */
static enum ep_result_side
nic_side(enum ep_result_dir dir, bool sender)
{
	return sender == (dir == EP_RESULT_UP) ? EP_RESULT_INITIATOR : EP_RESULT_RESPONDER;
}

static void
nic_ledger(struct ep_result_trial *t, enum ep_result_dir dir)
{
	struct ep_result_ledger *l = &t->ledger[dir];
	const struct ep_nic_changes *tx = &t->nic[nic_side(dir, true)];
	const struct ep_nic_changes *rx = &t->nic[nic_side(dir, false)];
	const uint64_t rx_counted = l->receiver_known ? l->imissed + l->ierrors + l->rx_nombuf : 0;

	l->nic_known = tx->known || rx->known;
	l->nic_dropped = ep_nic_own(tx, EP_NIC_TX, l->sender_known ? l->oerrors : 0) +
		ep_nic_own(rx, EP_NIC_RX, rx_counted);
	l->allowance = ep_nic_allowance(tx, EP_NIC_TX) + ep_nic_allowance(rx, EP_NIC_RX);
}

void
result_nic_ledgers(struct ep_result *r)
{
	for (uint32_t i = 0; i < r->trial_count; i++)
		for (int d = 0; d < EP_RESULT_DIRS; d++)
			nic_ledger(&r->trial[i], (enum ep_result_dir)d);
}

uint64_t
result_nic_explained(const struct ep_result_ledger *l)
{
	return l->sender_known && l->receiver_known ? least(l->allowance, l->lost_max) : 0;
}

bool
result_nic_hides(const struct ep_result *r, uint64_t sent, uint64_t lost, uint64_t explained)
{
	const double allowed = r->max_loss_ratio * (double)sent * RESULT_ROUNDING;

	return (double)lost > allowed && (double)(lost - least(explained, lost)) <= allowed;
}

/* --- Sentences -------------------------------------------------------------------------------- */

/** A counter with the NIC that it is of. */
struct nic_named {
	const struct ep_nic_change *change; /**< NULL: none. */
	const struct ep_nic_known *known;
	bool sender;
};

/* The larger one of a trial's two sides, if it is larger than what was found. */
static void
nic_name(const struct ep_result_trial *t, enum ep_result_dir dir, enum ep_nic_meaning meaning,
	struct nic_named *named)
{
	for (int receiver = 0; receiver < 2; receiver++) {
		const struct ep_nic_changes *nic = &t->nic[nic_side(dir, receiver == 0)];
		const struct ep_nic_change *c =
			ep_nic_largest(nic, meaning, receiver == 0 ? EP_NIC_TX : EP_NIC_RX);

		if (c == NULL || (named->change != NULL && named->change->count >= c->count))
			continue;
		*named = (struct nic_named){
			.change = c,
			.known = ep_nic_know(nic->driver, c->source, c->name),
			.sender = receiver == 0,
		};
	}
}

void
result_nic_own_text(const struct ep_result *r, const struct ep_result_trial *t,
	enum ep_result_dir dir, char *buf, size_t len)
{
	struct nic_named named = {0};
	char count[32];

	buf[0] = '\0';
	if (t->ledger[dir].nic_dropped == 0)
		return;
	nic_name(t, dir, EP_NIC_OWN, &named);
	if (named.change == NULL)
		return;
	snprintf(buf, len, "%s NIC dropped %s packets (%s: %s)", result_whose(r, dir, named.sender),
		ep_result_count_format(count, sizeof(count), t->ledger[dir].nic_dropped),
		named.change->name, named.known->sentence);
}

/* "EC2's PPS allowance, not your firewall: pps_allowance_exceeded of our NIC grew by 12,345" */
static const char *
nic_allowance_text(const struct ep_result *r, enum ep_result_dir dir, char *buf, size_t len)
{
	struct nic_named named = {0};
	char count[32];

	for (uint32_t i = 0; i < r->trial_count; i++)
		nic_name(&r->trial[i], dir, EP_NIC_ALLOWANCE, &named);
	if (named.change == NULL)
		return NULL;
	snprintf(buf, len, "%s: %s: %s of %s NIC grew by %s", ep_result_dir_name(dir),
		named.known->sentence, named.change->name, result_whose(r, dir, named.sender),
		ep_result_count_format(count, sizeof(count), named.change->count));
	return named.known->advice;
}

void
result_nic_reason(struct result_judge *j, enum ep_result_dir dir)
{
	const struct ep_result_ledger *l = &j->r->ledger[dir];
	char text[224] = "", lost[32], sent[32], goal[32];
	const char *advice = nic_allowance_text(j->r, dir, text, sizeof(text));

	result_say_invalid(j,
		"invalid: %s while %s of %s probes were lost, and without these the loss is within "
		"the goal of %s; %s",
		text, ep_result_count_format(lost, sizeof(lost), l->lost_max),
		ep_result_count_format(sent, sizeof(sent), l->accepted),
		ep_result_percent_format(goal, sizeof(goal), j->r->max_loss_ratio, 3),
		advice == NULL ? "repeat it" : advice);
}

int
result_nic_warn(struct ep_result *r, enum ep_result_dir dir, uint64_t explained)
{
	const struct ep_result_ledger *l = &r->ledger[dir];
	char text[224] = "", part[32], lost[32];

	nic_allowance_text(r, dir, text, sizeof(text));
	if (text[0] == '\0')
		return 0;
	if (!l->sender_known || !l->receiver_known || l->lost_max == 0)
		return ep_result_warn(
			r, "%s: it delayed or dropped so many packets of this instance", text);
	return ep_result_warn(r, "%s; up to %s of the %s lost probes are its doing", text,
		ep_result_count_format(part, sizeof(part), explained),
		ep_result_count_format(lost, sizeof(lost), l->lost_max));
}
