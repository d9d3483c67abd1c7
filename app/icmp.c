#include "icmp.h"

#include <errno.h>
#include <string.h>

/* Packets at one look: what a socket's buffer holds is more than that only under a flood, which the next look goes on with. */
#define TICK_PACKETS 4096

int
icmp_open(struct icmp_watch *w, int ifindex, const struct ep_range *range,
	const struct ep_sched *space, const struct ep_wire_ends *ends, bool responder,
	struct ep_slow_icmp *account, struct ep_err *err)
{
	int ret;

	w->space = *space;
	w->match = (struct ep_slow_match){
		.range = range,
		.space = &w->space,
		.responder = responder,
		.local = ends->src,
	};
	if (!responder)
		w->match.peer = ends->dst;
	if (ifindex == 0)
		return -ENOTSUP;
	ret = ep_icmp_open(ifindex, ends->src.family, &w->socket, err);
	if (ret < 0)
		return ret;
	w->account = account;
	return 0;
}

void
icmp_trial(struct icmp_watch *w, const uint8_t key[EP_WIRE_KEY_BYTES])
{
	struct ep_wire_tagger *tagger = NULL;

	if (w->match.range == NULL)
		return;
	/* Without memory for it, the probes of this trial are known by their addresses and ports alone. */
	if (ep_wire_tagger_create(key, EP_WIRE_TAG_AUTO, &tagger) < 0)
		tagger = NULL;
	ep_wire_tagger_destroy(w->match.tagger[1]);
	w->match.tagger[1] = tagger != NULL ? w->match.tagger[0] : NULL;
	if (tagger == NULL)
		ep_wire_tagger_destroy(w->match.tagger[0]);
	w->match.tagger[0] = tagger;
}

void
icmp_tick(struct icmp_watch *w)
{
	struct ep_slow_quote quote;
	size_t len;

	if (w->socket == NULL)
		return;
	for (int i = 0; i < TICK_PACKETS; i++) {
		len = ep_icmp_take(w->socket, w->packet, sizeof(w->packet));
		if (len == 0)
			break;
		ep_slow_icmp_push(
			w->account, ep_slow_quote(&w->match, w->packet, len, &quote), &quote);
	}
	w->account->missed += ep_icmp_missed(w->socket);
}

void
icmp_close(struct icmp_watch *w)
{
	for (int i = 0; i < EP_SLOW_TAGGERS; i++)
		ep_wire_tagger_destroy(w->match.tagger[i]);
	ep_icmp_close(w->socket);
	memset(w, 0, sizeof(*w));
}
