/*
 * One end of a session: bytes in, events out, messages out.
 *
 * Frames stay in the queue as bytes until ep_ctrl_next() takes them one by one, so each is judged in the state that the caller
 * has reached by then, in order, and however the bytes were split.
 */

#include "ctrl_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Bytes that may wait while the caller takes no events: it has stopped, or the peer floods [B]. */
#define WAITING_MAX_BYTES ((size_t)2 * EP_CTRL_FRAME_MAX)

struct ep_ctrl {
	enum ep_ctrl_role role;
	enum ctrl_state state;
	struct ctrl_buf in;
	struct ctrl_buf out;
	struct ep_err
		fault; /**< Found while bytes came in; becomes the next event. Code 0: none. */
	uint32_t port_count; /**< Of the session; length of a report's arrays. */
	uint32_t trial;      /**< Newest trial that was prepared. */
	bool has_trial;      /**< Whether there was one. */
	uint64_t input_ns;   /**< Time of the last input. */
	uint64_t heard_ns;   /**< Since when the peer is silent. */
	bool silence_restarts; /**< We spoke in a call without a time: silence counts from the next call that has one. */
};

int
ep_ctrl_create(enum ep_ctrl_role role, uint64_t now_ns, struct ep_ctrl **out)
{
	struct ep_ctrl *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return -ENOMEM;
	c->role = role;
	c->state = CTRL_ST_INIT;
	c->input_ns = now_ns;
	c->heard_ns = now_ns;
	*out = c;
	return 0;
}

void
ep_ctrl_destroy(struct ep_ctrl *c)
{
	if (c == NULL)
		return;
	ctrl_buf_fini(&c->in);
	ctrl_buf_fini(&c->out);
	free(c);
}

void
ep_ctrl_port_count(struct ep_ctrl *c, uint32_t port_count)
{
	c->port_count = port_count;
}

size_t
ep_ctrl_output(const struct ep_ctrl *c, const uint8_t **bytes)
{
	*bytes = c->out.bytes + c->out.head;
	return ctrl_buf_len(&c->out);
}

void
ep_ctrl_output_done(struct ep_ctrl *c, size_t len)
{
	ctrl_buf_consume(&c->out, len);
}

/* --- Hearing ---------------------------------------------------------------------------------- */

/** Largest frame that the peer may send now: only a report is large, and its size follows from the ports. */
static size_t
frame_bytes_max(const struct ep_ctrl *c)
{
	if (c->role == EP_CTRL_INITIATOR && c->state == CTRL_ST_COLLECT &&
		ctrl_report_bytes_max(c->port_count) > EP_CTRL_HELLO_MAX)
		return ctrl_report_bytes_max(c->port_count);
	return EP_CTRL_HELLO_MAX;
}

int
ep_ctrl_input(struct ep_ctrl *c, const uint8_t *bytes, size_t len, uint64_t now_ns)
{
	const uint8_t *json;
	size_t json_len;
	int ret;

	if (c->state == CTRL_ST_OVER || c->fault.code != 0)
		return 0;
	c->input_ns = now_ns;
	if (len > WAITING_MAX_BYTES || ctrl_buf_len(&c->in) > WAITING_MAX_BYTES - len) {
		ep_err_set(&c->fault, -EMSGSIZE, "more than %zu B from the peer wait to be handled",
			WAITING_MAX_BYTES);
		return 0;
	}
	ret = ctrl_buf_append(&c->in, bytes, len);
	if (ret < 0)
		return ret;
	/* A frame that is too long is known by its first 4 bytes: keep none of what follows. */
	ctrl_frame_peek(&c->in, frame_bytes_max(c), &json, &json_len, &c->fault);
	return 0;
}

static void
over(struct ep_ctrl *c)
{
	c->state = CTRL_ST_OVER;
	ctrl_buf_fini(&c->in);
}

static void
fail(struct ep_ctrl *c, const struct ep_err *err, struct ep_ctrl_event *event)
{
	over(c);
	memset(event, 0, sizeof(*event));
	event->kind = EP_CTRL_EV_FAILED;
	event->err = *err;
}

/** A hello of another version cannot be understood, but refused so that its sender understands. */
static int
version_refuse(struct ep_ctrl *c, const struct ctrl_envelope *envelope, struct ep_err *err)
{
	struct ep_ctrl_refuse refuse = {.code = EP_CTRL_REFUSE_VERSION};

	ep_err_set(err, -EPROTONOSUPPORT,
		"the peer speaks version %" PRId64
		" of the control protocol, this program version %d",
		envelope->version, EP_CTRL_VERSION);
	if (c->role == EP_CTRL_RESPONDER && c->state == CTRL_ST_INIT && envelope->is_hello) {
		snprintf(refuse.text, sizeof(refuse.text),
			"version %" PRId64
			" of the control protocol asked, this responder speaks version %d",
			envelope->version, EP_CTRL_VERSION);
		/* Without memory for it the connection just ends. */
		ctrl_msg_encode(CTRL_REFUSE, &refuse, &c->out);
	}
	return err->code;
}

static int
trial_age(const struct ep_ctrl *c, uint32_t trial)
{
	if (!c->has_trial || trial > c->trial)
		return 1;
	return trial < c->trial ? -1 : 0;
}

static int
not_allowed(const struct ep_ctrl *c, enum ctrl_msg msg, struct ep_err *err)
{
	return ep_err_set(err, -EPROTO, "%s from the peer where it is not allowed (in state %s)",
		ctrl_msg_name(msg), ctrl_state_name(c->state));
}

/** @return 1 when the beat is an event, 0 when it is dropped, or -EPROTO with a sentence. */
static int
beat_hear(struct ep_ctrl *c, const struct ep_ctrl_beat *beat, struct ep_err *err)
{
	switch (ctrl_fsm_beat(c->role, c->state, trial_age(c, beat->trial))) {
	case CTRL_BEAT_DROP:
		return 0;
	case CTRL_BEAT_ILLEGAL:
		return ep_err_set(err, -EPROTO,
			"beat from the peer for trial %u, which does not run", beat->trial);
	default:
		break;
	}
	/* In COLLECT the report is waited for; beats do not put its time off. */
	if (ctrl_state_in_trial(c->state))
		c->heard_ns = c->input_ns;
	return 1;
}

/** What the fields alone do not say: the numbers of trials. */
static int
trial_check(const struct ep_ctrl *c, enum ctrl_msg msg, const void *body, struct ep_err *err)
{
	const struct ep_ctrl_prepare *prepare = body;
	const struct ep_ctrl_report *report = body;

	if (msg == CTRL_PREPARE && trial_age(c, prepare->trial) <= 0)
		return ep_err_set(err, -EPROTO,
			"prepare for trial %u after trial %u, it must be higher", prepare->trial,
			c->trial);
	if (msg == CTRL_REPORT && report->trial != c->trial)
		return ep_err_set(err, -EPROTO, "report of trial %u, but trial %u was collected",
			report->trial, c->trial);
	return 0;
}

/** Go to the next state, on either side of the message. */
static void
move(struct ep_ctrl *c, enum ctrl_msg msg, const void *body, enum ctrl_state to)
{
	const struct ep_ctrl_prepare *prepare = body;

	c->state = to;
	if (msg == CTRL_PREPARE) {
		c->trial = prepare->trial;
		c->has_trial = true;
	}
}

/** @return 1 when @p event was filled, 0 when there is nothing to tell, or -errno with a sentence. */
static int
message_hear(struct ep_ctrl *c, const struct ctrl_envelope *envelope, struct ep_ctrl_event *event,
	struct ep_err *err)
{
	const enum ctrl_msg msg = envelope->msg;
	const enum ep_ctrl_role peer =
		c->role == EP_CTRL_INITIATOR ? EP_CTRL_RESPONDER : EP_CTRL_INITIATOR;
	enum ctrl_state to = c->state;
	int ret;

	if (envelope->version != EP_CTRL_VERSION)
		return version_refuse(c, envelope, err);
	/* Before the fields are read: what is not expected now costs no memory. */
	if (msg != CTRL_BEAT && !ctrl_fsm_step(peer, c->state, msg, &to))
		return not_allowed(c, msg, err);
	ret = ctrl_msg_decode(envelope, c->port_count, &event->hello, err);
	if (ret < 0)
		return ret;
	event->kind = ctrl_fsm_event(msg);
	if (msg == CTRL_BEAT)
		return beat_hear(c, &event->beat, err);
	ret = trial_check(c, msg, &event->hello, err);
	if (ret < 0) {
		if (msg == CTRL_REPORT)
			ep_ctrl_report_fini(&event->report);
		return ret;
	}
	move(c, msg, &event->hello, to);
	c->heard_ns = c->input_ns;
	return 1;
}

/**
 * Take the frame at the front.
 *
 * @return
 *   1 when @p event was filled, 0 when the frame meant nothing, -EAGAIN when no whole frame is there, or -errno with a sentence.
 */
static int
frame_hear(struct ep_ctrl *c, struct ep_ctrl_event *event, struct ep_err *err)
{
	struct ctrl_envelope envelope;
	const uint8_t *json;
	size_t len;
	int ret;

	switch (ctrl_frame_peek(&c->in, frame_bytes_max(c), &json, &len, err)) {
	case CTRL_FRAME_PARTIAL:
		return -EAGAIN;
	case CTRL_FRAME_BAD:
		return err->code;
	default:
		break;
	}
	ret = ctrl_msg_open(json, len, &envelope, err);
	if (ret < 0)
		return ret;
	ctrl_buf_consume(&c->in, CTRL_FRAME_HEADER_BYTES + len);
	ret = message_hear(c, &envelope, event, err);
	json_decref(envelope.object);
	return ret;
}

/* --- Silence ---------------------------------------------------------------------------------- */

static uint64_t
silence_limit_ns(const struct ep_ctrl *c)
{
	if (ctrl_state_in_trial(c->state))
		return EP_CTRL_SILENCE_NS;
	if (c->role == EP_CTRL_INITIATOR && c->state == CTRL_ST_COLLECT)
		return EP_CTRL_REPORT_NS;
	return EP_CTRL_IDLE_NS;
}

static int
silence_check(const struct ep_ctrl *c, uint64_t now_ns, struct ep_err *err)
{
	const uint64_t limit_ns = silence_limit_ns(c);
	const double limit_s = (double)limit_ns / (double)EP_NS_PER_S;

	if (now_ns <= c->heard_ns || now_ns - c->heard_ns <= limit_ns)
		return 0;
	if (limit_ns == EP_CTRL_REPORT_NS)
		return ep_err_set(err, -ETIMEDOUT, "no report from the peer for %.1f s", limit_s);
	return ep_err_set(err, -ETIMEDOUT, "nothing heard from the peer for %.1f s", limit_s);
}

static void
silence_restart(struct ep_ctrl *c, uint64_t now_ns)
{
	if (now_ns > c->heard_ns)
		c->heard_ns = now_ns;
	c->silence_restarts = false;
}

void
ep_ctrl_next(struct ep_ctrl *c, uint64_t now_ns, struct ep_ctrl_event *event)
{
	struct ep_err err = c->fault;
	int ret = err.code;

	memset(event, 0, sizeof(*event));
	if (c->state == CTRL_ST_OVER)
		return;
	if (c->silence_restarts)
		silence_restart(c, now_ns);
	while (ret == 0) {
		memset(event, 0, sizeof(*event));
		ret = frame_hear(c, event, &err);
	}
	if (ret == -EAGAIN) {
		memset(event, 0, sizeof(*event));
		ret = silence_check(c, now_ns, &err);
	}
	if (ret < 0)
		fail(c, &err, event);
	else if (c->state == CTRL_ST_OVER)
		over(c); /* refused or bye: what follows is of no interest */
}

/* --- Saying ----------------------------------------------------------------------------------- */

static int
say(struct ep_ctrl *c, enum ctrl_msg msg, const void *body)
{
	enum ctrl_state to;
	int ret;

	if (!ctrl_fsm_step(c->role, c->state, msg, &to) || trial_check(c, msg, body, NULL) < 0)
		return -EPROTO;
	ret = ctrl_msg_encode(msg, body, &c->out);
	if (ret < 0)
		return ret;
	move(c, msg, body, to);
	/* The peer can only answer from now on. In a trial it has to be heard whatever we say. */
	if (!ctrl_state_in_trial(to))
		c->silence_restarts = true;
	if (to == CTRL_ST_OVER)
		over(c);
	return 0;
}

int
ep_ctrl_hello(struct ep_ctrl *c, const struct ep_ctrl_hello *hello)
{
	return say(c, CTRL_HELLO, hello);
}

int
ep_ctrl_welcome(struct ep_ctrl *c, const struct ep_ctrl_welcome *welcome)
{
	return say(c, CTRL_WELCOME, welcome);
}

int
ep_ctrl_refuse(struct ep_ctrl *c, const struct ep_ctrl_refuse *refuse)
{
	return say(c, CTRL_REFUSE, refuse);
}

int
ep_ctrl_prepare(struct ep_ctrl *c, const struct ep_ctrl_prepare *prepare)
{
	return say(c, CTRL_PREPARE, prepare);
}

int
ep_ctrl_ready(struct ep_ctrl *c, const uint8_t nonce[EP_WIRE_NONCE_BYTES])
{
	return say(c, CTRL_READY, nonce);
}

int
ep_ctrl_start(struct ep_ctrl *c)
{
	return say(c, CTRL_START, NULL);
}

int
ep_ctrl_started(struct ep_ctrl *c, uint64_t now_ns)
{
	const int ret = say(c, CTRL_STARTED, NULL);

	if (ret == 0)
		silence_restart(c, now_ns);
	return ret;
}

int
ep_ctrl_beat(struct ep_ctrl *c, const struct ep_ctrl_beat *beat)
{
	if (trial_age(c, beat->trial) != 0)
		return -EPROTO;
	return say(c, CTRL_BEAT, beat);
}

int
ep_ctrl_drain(struct ep_ctrl *c)
{
	return say(c, CTRL_DRAIN, NULL);
}

int
ep_ctrl_collect(struct ep_ctrl *c)
{
	return say(c, CTRL_COLLECT, NULL);
}

int
ep_ctrl_report(struct ep_ctrl *c, const struct ep_ctrl_report *report)
{
	return say(c, CTRL_REPORT, report);
}

int
ep_ctrl_bye(struct ep_ctrl *c)
{
	return say(c, CTRL_BYE, NULL);
}
