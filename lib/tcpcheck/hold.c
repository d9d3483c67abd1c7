/* One connection a port, held, with a message each second. */

#include "tcpcheck_priv.h"

#define SECOND_NS EP_NS_PER_S

static struct tc_hold_one *
hold_of(struct ep_tcpcheck *c, const struct tc_line *line)
{
	return &c->hold.one[line->index];
}

static void
hold_failed(struct tc_hold_one *h, enum ep_tcpcheck_status status, uint64_t at_ns)
{
	h->state.status = status;
	h->state.event_ns = at_ns;
}

/* A silence that lasts: since the last answer where the service answers, else since its TCP last acknowledged anything. */
static uint64_t
hold_silence_ns(struct tc_hold_one *h, uint64_t now_ns)
{
	const uint64_t tcp_ns = tc_sock_silence_ns(h->line.io.fd);
	const bool by_tcp = !h->line.answered && tcp_ns <= now_ns - h->line.up_ns;
	const uint64_t silence_ns = by_tcp ? tcp_ns : now_ns - h->heard_ns;
	uint64_t unanswered_ns;

	/* Keepalives are the kernel's and come in time, whatever becomes of us. */
	if (by_tcp && h->line.say == TC_SAY_NOTHING)
		return silence_ns;
	if (!h->line.answered && tc_line_taken(&h->line))
		h->asked_ns = 0;
	/* Where we did not come to ask, nobody was silent: it begins at most a second before the message that waits for its answer. */
	unanswered_ns = h->asked_ns != 0 ? now_ns - h->asked_ns : 0;
	return silence_ns < unanswered_ns + SECOND_NS ? silence_ns : unanswered_ns + SECOND_NS;
}

static void
hold_watch(struct ep_tcpcheck *c, struct tc_hold_one *h, uint64_t now_ns)
{
	const uint64_t silence_ns = hold_silence_ns(h, now_ns);

	if (silence_ns > h->state.longest_silence_ns)
		h->state.longest_silence_ns = silence_ns;
	if (silence_ns < EP_TCPCHECK_STALL_NS) {
		h->stalled = false;
		return;
	}
	h->state.stalls += !h->stalled;
	h->stalled = true;
	if (h->state.status == EP_TCPCHECK_OPEN)
		hold_failed(h, EP_TCPCHECK_STALLED, now_ns - silence_ns - c->hold.start_ns);
}

static void
hold_up(struct ep_tcpcheck *c, struct tc_hold_one *h, uint64_t now_ns)
{
	h->state.status = EP_TCPCHECK_OPEN;
	h->heard_ns = now_ns;
	if (h->line.say == TC_SAY_NOTHING)
		tc_sock_keepalive(h->line.io.fd);
	tc_timer_set(c, &h->line.io, now_ns);
}

static void
hold_gone(struct ep_tcpcheck *c, struct tc_hold_one *h, bool was_up, uint64_t now_ns)
{
	const uint64_t at_ns = now_ns - c->hold.start_ns;

	if (!was_up) {
		hold_failed(h, (enum ep_tcpcheck_status)h->line.status, at_ns);
		return;
	}
	h->state.held_ns = now_ns - h->line.up_ns;
	h->state.by_service = h->line.fin && (h->line.will_close || !h->line.answered);
	if (h->state.by_service)
		h->state.event_ns = at_ns;
	else if (h->line.status == EP_TCPCHECK_WRONG_PROTOCOL)
		hold_failed(h, EP_TCPCHECK_WRONG_PROTOCOL, at_ns);
	else
		hold_failed(h, EP_TCPCHECK_BROKEN, at_ns);
}

void
tc_hold_event(struct ep_tcpcheck *c, struct tc_line *line, uint64_t now_ns)
{
	struct tc_hold_one *h = hold_of(c, line);

	for (;;) {
		const bool was_up = line->state == TC_LINE_UP;

		switch (tc_line_take(c, line, now_ns)) {
		case TC_LINE_NOTHING:
			return;
		case TC_LINE_IS_UP:
			hold_up(c, h, now_ns);
			break;
		case TC_LINE_ANSWERED:
			h->state.answered++;
			h->heard_ns = now_ns;
			h->asked_ns = 0;
			break;
		case TC_LINE_GONE:
			hold_gone(c, h, was_up, now_ns);
			return;
		}
	}
}

void
tc_hold_timer(struct ep_tcpcheck *c, struct tc_line *line, uint64_t now_ns)
{
	struct tc_hold_one *h = hold_of(c, line);

	if (line->state != TC_LINE_UP) {
		hold_failed(h, EP_TCPCHECK_FILTERED, now_ns - c->hold.start_ns);
		tc_line_close(c, line, true);
		return;
	}
	if (h->state.sent > 0)
		hold_watch(c, h, now_ns);
	/* A peer's TCP that takes nothing more is a stall that shows itself; an error comes as an event. */
	tc_line_say(c, line, now_ns);
	if (h->asked_ns == 0)
		h->asked_ns = now_ns;
	h->state.sent++;
	tc_timer_set(c, &line->io, now_ns + SECOND_NS);
}

void
ep_tcpcheck_hold_start(struct ep_tcpcheck *c, uint64_t now_ns)
{
	c->hold.running = true;
	c->hold.start_ns = now_ns;
	for (uint32_t i = 0; i < c->targets.count; i++) {
		const struct ep_tcpcheck_target *t = &c->targets.target[i];
		struct tc_hold_one *h = &c->hold.one[i];

		if (t->transport != EP_TCPCHECK_TCP || !tc_target_is_first(c, i))
			continue;
		*h = (struct tc_hold_one){.line = {.owner = TC_LINE_HOLD, .index = i}};
		h->state.port = t->port;
		tc_line_open(c, &h->line, t, now_ns);
		if (h->line.state == TC_LINE_DOWN)
			h->state.status = (enum ep_tcpcheck_status)h->line.status;
		else
			tc_timer_set(c, &h->line.io, now_ns + c->timeout_ns);
	}
}

void
ep_tcpcheck_hold_stop(struct ep_tcpcheck *c, uint64_t now_ns)
{
	for (uint32_t i = 0; i < c->targets.count; i++) {
		struct tc_hold_one *h = &c->hold.one[i];

		if (h->line.state == TC_LINE_DOWN)
			continue;
		if (h->line.state == TC_LINE_UP && now_ns > h->line.up_ns) {
			h->state.held_ns = now_ns - h->line.up_ns;
			hold_watch(c, h, now_ns);
		}
		tc_line_close(c, &h->line, false);
	}
	c->hold.running = false;
}

bool
ep_tcpcheck_hold(const struct ep_tcpcheck *c, uint32_t i, struct ep_tcpcheck_hold *hold)
{
	if (i >= c->targets.count || c->hold.one[i].state.port == 0)
		return false;
	*hold = c->hold.one[i].state;
	return true;
}
