/* The account of one direction: adding accounts, and whether one closes. */

#include "ep_result.h"

#include <errno.h>
#include <inttypes.h>

void
ep_result_ledger_add(struct ep_result_ledger *dst, const struct ep_result_ledger *src)
{
	dst->intended += src->intended;
	dst->accepted += src->accepted;
	dst->not_sent += src->not_sent;
	dst->nic_tx += src->nic_tx;
	dst->nic_rx += src->nic_rx;
	dst->imissed += src->imissed;
	dst->ierrors += src->ierrors;
	dst->rx_nombuf += src->rx_nombuf;
	dst->received += src->received;
	dst->duplicates += src->duplicates;
	dst->reordered += src->reordered;
	dst->late += src->late;
	dst->bad_tag += src->bad_tag;
	dst->wrong_port += src->wrong_port;
	dst->foreign += src->foreign;
	dst->lost_min += src->lost_min;
	dst->lost_max += src->lost_max;
	dst->oerrors += src->oerrors;
	dst->nic_dropped += src->nic_dropped;
	dst->allowance += src->allowance;
	dst->nic_known = dst->nic_known && src->nic_known;
	dst->sender_known = dst->sender_known && src->sender_known;
	dst->receiver_known = dst->receiver_known && src->receiver_known;
}

uint64_t
ep_result_shortfall(const struct ep_result_ledger *l)
{
	uint64_t packets = 0;

	if (l->sender_known)
		packets += l->not_sent + l->oerrors;
	if (l->receiver_known)
		packets += l->imissed + l->ierrors + l->rx_nombuf;
	/* The counters of a NIC are of all its traffic: where no probe was lost, what it dropped was not ours. */
	if (l->sender_known && l->receiver_known && l->nic_known)
		packets += l->nic_dropped < l->lost_max ? l->nic_dropped : l->lost_max;
	return packets;
}

static int
ledger_check_sender(const struct ep_result_ledger *l, const char *direction, struct ep_err *err)
{
	if (l->intended != l->accepted + l->not_sent)
		return ep_err_set(err, -EBADMSG,
			"%s: intended %" PRIu64 " is not accepted %" PRIu64 " + not_sent %" PRIu64
			" = %" PRIu64,
			direction, l->intended, l->accepted, l->not_sent,
			l->accepted + l->not_sent);
	if (l->accepted != l->nic_tx + l->oerrors)
		return ep_err_set(err, -EBADMSG,
			"%s: accepted %" PRIu64 " is not nic_tx %" PRIu64 " + oerrors %" PRIu64
			" = %" PRIu64,
			direction, l->accepted, l->nic_tx, l->oerrors, l->nic_tx + l->oerrors);
	return 0;
}

static int
ledger_check_receiver(const struct ep_result_ledger *l, const char *direction, struct ep_err *err)
{
	const uint64_t app = l->received + l->late + l->bad_tag + l->wrong_port + l->foreign;
	const uint64_t dropped = l->imissed + l->ierrors + l->rx_nombuf;

	if (l->nic_rx != app + dropped)
		return ep_err_set(err, -EBADMSG,
			"%s: nic_rx %" PRIu64
			" is not received + late + bad_tag + wrong_port + foreign %" PRIu64
			" + imissed + ierrors + rx_nombuf %" PRIu64 " = %" PRIu64,
			direction, l->nic_rx, app, dropped, app + dropped);
	return 0;
}

static int
ledger_check_both(const struct ep_result_ledger *l, const char *direction, struct ep_err *err)
{
	/* Added on both sides, so that no difference can wrap below 0. */
	if (l->accepted + l->duplicates != l->received + l->lost_max)
		return ep_err_set(err, -EBADMSG,
			"%s: accepted %" PRIu64 " is not received %" PRIu64 " - duplicates %" PRIu64
			" + lost_max %" PRIu64 " = %" PRId64,
			direction, l->accepted, l->received, l->duplicates, l->lost_max,
			(int64_t)(l->received - l->duplicates + l->lost_max));
	if (l->lost_min > l->lost_max)
		return ep_err_set(err, -EBADMSG,
			"%s: lost_min %" PRIu64 " is above lost_max %" PRIu64, direction,
			l->lost_min, l->lost_max);
	return 0;
}

int
ep_result_ledger_check(const struct ep_result_ledger *l, const char *direction, struct ep_err *err)
{
	int ret = 0;

	if (l->sender_known)
		ret = ledger_check_sender(l, direction, err);
	if (ret == 0 && l->receiver_known)
		ret = ledger_check_receiver(l, direction, err);
	if (ret == 0 && l->sender_known && l->receiver_known)
		ret = ledger_check_both(l, direction, err);
	return ret;
}
