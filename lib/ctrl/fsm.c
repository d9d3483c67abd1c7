/*
 * The session as a table. Each row is one message: who may say it, in which state, and the state after it. Both ends use the
 * same rows, the speaker when it says the message and the listener when it hears it; so they cannot differ about the order.
 */

#include "ctrl_priv.h"

/** One allowed message. */
struct step {
	enum ctrl_msg msg;
	enum ep_ctrl_role speaker;
	enum ctrl_state from;
	enum ctrl_state to;
};

static const struct step steps[] = {
	{CTRL_HELLO, EP_CTRL_INITIATOR, CTRL_ST_INIT, CTRL_ST_HELLO},
	{CTRL_WELCOME, EP_CTRL_RESPONDER, CTRL_ST_HELLO, CTRL_ST_OPEN},
	{CTRL_REFUSE, EP_CTRL_RESPONDER, CTRL_ST_HELLO, CTRL_ST_OVER},
	{CTRL_PREPARE, EP_CTRL_INITIATOR, CTRL_ST_OPEN, CTRL_ST_PREPARE},
	{CTRL_READY, EP_CTRL_RESPONDER, CTRL_ST_PREPARE, CTRL_ST_READY},
	{CTRL_REFUSE, EP_CTRL_RESPONDER, CTRL_ST_PREPARE, CTRL_ST_OVER},
	{CTRL_START, EP_CTRL_INITIATOR, CTRL_ST_READY, CTRL_ST_START},
	{CTRL_STARTED, EP_CTRL_RESPONDER, CTRL_ST_START, CTRL_ST_RUN},
	{CTRL_BEAT, EP_CTRL_INITIATOR, CTRL_ST_RUN, CTRL_ST_RUN},
	{CTRL_BEAT, EP_CTRL_RESPONDER, CTRL_ST_RUN, CTRL_ST_RUN},
	{CTRL_DRAIN, EP_CTRL_INITIATOR, CTRL_ST_RUN, CTRL_ST_DRAIN},
	{CTRL_BEAT, EP_CTRL_INITIATOR, CTRL_ST_DRAIN, CTRL_ST_DRAIN},
	{CTRL_BEAT, EP_CTRL_RESPONDER, CTRL_ST_DRAIN, CTRL_ST_DRAIN},
	{CTRL_COLLECT, EP_CTRL_INITIATOR, CTRL_ST_RUN, CTRL_ST_COLLECT},
	{CTRL_COLLECT, EP_CTRL_INITIATOR, CTRL_ST_DRAIN, CTRL_ST_COLLECT},
	{CTRL_REPORT, EP_CTRL_RESPONDER, CTRL_ST_COLLECT, CTRL_ST_OPEN},
	{CTRL_BYE, EP_CTRL_INITIATOR, CTRL_ST_OPEN, CTRL_ST_OVER},
};

static const char *const state_names[CTRL_STATES] = {
	[CTRL_ST_INIT] = "init",
	[CTRL_ST_HELLO] = "hello",
	[CTRL_ST_OPEN] = "open",
	[CTRL_ST_PREPARE] = "prepare",
	[CTRL_ST_READY] = "ready",
	[CTRL_ST_START] = "start",
	[CTRL_ST_RUN] = "run",
	[CTRL_ST_DRAIN] = "drain",
	[CTRL_ST_COLLECT] = "collect",
	[CTRL_ST_OVER] = "over",
};

static const enum ep_ctrl_event_kind event_kinds[CTRL_MSGS] = {
	[CTRL_HELLO] = EP_CTRL_EV_HELLO,
	[CTRL_WELCOME] = EP_CTRL_EV_WELCOME,
	[CTRL_REFUSE] = EP_CTRL_EV_REFUSED,
	[CTRL_PREPARE] = EP_CTRL_EV_PREPARE,
	[CTRL_READY] = EP_CTRL_EV_READY,
	[CTRL_START] = EP_CTRL_EV_START,
	[CTRL_STARTED] = EP_CTRL_EV_STARTED,
	[CTRL_BEAT] = EP_CTRL_EV_BEAT,
	[CTRL_DRAIN] = EP_CTRL_EV_DRAIN,
	[CTRL_COLLECT] = EP_CTRL_EV_COLLECT,
	[CTRL_REPORT] = EP_CTRL_EV_REPORT,
	[CTRL_BYE] = EP_CTRL_EV_BYE,
};

const char *
ctrl_state_name(enum ctrl_state state)
{
	return state_names[state];
}

bool
ctrl_fsm_step(
	enum ep_ctrl_role speaker, enum ctrl_state from, enum ctrl_msg msg, enum ctrl_state *to)
{
	for (size_t i = 0; i < EP_ARRAY_LEN(steps); i++) {
		const struct step *step = &steps[i];

		if (step->speaker == speaker && step->from == from && step->msg == msg) {
			*to = step->to;
			return true;
		}
	}
	return false;
}

enum ep_ctrl_event_kind
ctrl_fsm_event(enum ctrl_msg msg)
{
	return event_kinds[msg];
}

enum ctrl_beat
ctrl_fsm_beat(enum ep_ctrl_role listener, enum ctrl_state state, int age)
{
	if (age < 0)
		return CTRL_BEAT_DROP;
	if (age > 0)
		return CTRL_BEAT_ILLEGAL;
	switch (state) {
	case CTRL_ST_RUN:
	case CTRL_ST_DRAIN:
		return CTRL_BEAT_TAKE;
	case CTRL_ST_COLLECT:
		/* The responder's may have crossed our collect; the initiator says none behind its own. */
		return listener == EP_CTRL_INITIATOR ? CTRL_BEAT_TAKE : CTRL_BEAT_DROP;
	case CTRL_ST_OPEN:
		return CTRL_BEAT_DROP;
	default:
		return CTRL_BEAT_ILLEGAL; /* prepared, not started */
	}
}
