/* Two ends joined by a wire that splits the bytes at random: a whole session must not depend on where. */

#include "ctrl_util.h"

#include <stdio.h>
#include <string.h>

#define TRIALS 3
#define ABORTED_TRIAL 2 /* collected as soon as it has started: beats cross the collect */
#define BEATS 4
#define TRACE_MAX 64

/** One side's program, and what it saw. */
struct side {
	struct ep_ctrl *c;
	struct rng rng; /* content of what it says */
	uint32_t trial;
	uint32_t beats_heard;
	size_t count;
	enum ep_ctrl_event_kind kind[TRACE_MAX];
	uint64_t digest[TRACE_MAX]; /* of the message's content */
	bool over;
};

static uint64_t
digest_of(struct ep_ctrl_event *event)
{
	struct ctrl_buf frame = {0};
	uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

	if (event_msg(event->kind) == CTRL_MSGS)
		return 0;
	assert_int_equal(ctrl_msg_encode(event_msg(event->kind), body_of(event), &frame), 0);
	for (size_t i = frame.head; i < frame.tail; i++)
		hash = (hash ^ frame.bytes[i]) * UINT64_C(0x100000001b3);
	ctrl_buf_fini(&frame);
	return hash;
}

static void
say(struct side *s, enum ctrl_msg msg)
{
	struct ep_ctrl_event body;

	body_random(&s->rng, msg, &body);
	if (msg == CTRL_PREPARE)
		body.prepare.trial = s->trial;
	if (msg == CTRL_BEAT)
		body.beat.trial = s->trial;
	if (msg == CTRL_REPORT)
		body.report.trial = s->trial;
	assert_int_equal(say_any(s->c, msg, &body, 0), 0);
	body_free(msg, &body);
}

static void
say_beats(struct side *s)
{
	for (int i = 0; i < BEATS; i++)
		say(s, CTRL_BEAT);
}

static void
initiator_started(struct side *s)
{
	s->beats_heard = 0;
	say_beats(s);
	if (s->trial == ABORTED_TRIAL)
		say(s, CTRL_COLLECT);
}

static void
initiator_beat(struct side *s)
{
	if (++s->beats_heard < BEATS || s->trial == ABORTED_TRIAL)
		return;
	say(s, CTRL_DRAIN);
	say(s, CTRL_COLLECT);
}

static void
initiator_report(struct side *s)
{
	if (++s->trial < TRIALS) {
		say(s, CTRL_PREPARE);
		return;
	}
	say(s, CTRL_BYE);
	s->over = true;
}

static void
react(struct side *s, const struct ep_ctrl_event *event)
{
	switch (event->kind) {
	case EP_CTRL_EV_HELLO:
		say(s, CTRL_WELCOME);
		break;
	case EP_CTRL_EV_WELCOME:
		say(s, CTRL_PREPARE);
		break;
	case EP_CTRL_EV_PREPARE:
		s->trial = event->prepare.trial;
		say(s, CTRL_READY);
		break;
	case EP_CTRL_EV_READY:
		say(s, CTRL_START);
		break;
	case EP_CTRL_EV_START:
		say(s, CTRL_STARTED);
		say_beats(s);
		break;
	case EP_CTRL_EV_STARTED:
		initiator_started(s);
		break;
	case EP_CTRL_EV_BEAT:
		if (event_msg(s->kind[0]) == CTRL_WELCOME) /* the initiator's first event */
			initiator_beat(s);
		break;
	case EP_CTRL_EV_COLLECT:
		say(s, CTRL_REPORT);
		break;
	case EP_CTRL_EV_REPORT:
		initiator_report(s);
		break;
	case EP_CTRL_EV_BYE:
		s->over = true;
		break;
	default:
		assert_int_equal(event->kind, EP_CTRL_EV_DRAIN);
		break;
	}
}

static void
take_events(struct side *s)
{
	struct ep_ctrl_event event;

	for (;;) {
		ep_ctrl_next(s->c, 0, &event);
		if (event.kind == EP_CTRL_EV_NONE)
			return;
		assert_true(s->count < TRACE_MAX);
		s->kind[s->count] = event.kind;
		s->digest[s->count] = digest_of(&event);
		s->count++;
		react(s, &event);
		body_free(event_msg(event.kind), &event);
	}
}

/** Move 1 to @p chunk_max bytes from one side to the other. @return whether there were any. */
static bool
carry(struct rng *wire, struct side *from, struct side *to, size_t chunk_max)
{
	const uint8_t *bytes;
	const size_t len = ep_ctrl_output(from->c, &bytes);
	size_t chunk;

	if (len == 0)
		return false;
	chunk = 1 + rng_below(wire, chunk_max < len ? chunk_max : len);
	assert_int_equal(ep_ctrl_input(to->c, bytes, chunk, 0), 0);
	ep_ctrl_output_done(from->c, chunk);
	return true;
}

static void
side_init(struct side *s, enum ep_ctrl_role role)
{
	memset(s, 0, sizeof(*s));
	s->rng.state = 1 + (uint64_t)role;
	assert_int_equal(ep_ctrl_create(role, 0, &s->c), 0);
	ep_ctrl_port_count(s->c, UTIL_PORTS);
}

/**
 * Run a session to its end.
 *
 * @param chunk_max
 *   Most bytes carried at once.
 * @param lazy
 *   Take events only half of the time, so that messages pile up behind them.
 */
static void
session_run(struct rng *wire, size_t chunk_max, bool lazy, struct side side[2])
{
	side_init(&side[0], EP_CTRL_INITIATOR);
	side_init(&side[1], EP_CTRL_RESPONDER);
	say(&side[0], CTRL_HELLO);
	for (int turn = 0; turn < 1000000 && !(side[0].over && side[1].over); turn++) {
		const size_t to = rng_below(wire, 2);

		carry(wire, &side[!to], &side[to], chunk_max);
		if (!lazy || rng_below(wire, 2) == 0)
			take_events(&side[to]);
	}
	assert_true(side[0].over && side[1].over);
	ep_ctrl_destroy(side[0].c);
	ep_ctrl_destroy(side[1].c);
}

static void
a_whole_session_has_the_documented_events(void **state)
{
	/* One letter an event. */
	static const char letters[] = {
		[EP_CTRL_EV_HELLO] = 'h',
		[EP_CTRL_EV_WELCOME] = 'w',
		[EP_CTRL_EV_PREPARE] = 'p',
		[EP_CTRL_EV_READY] = 'r',
		[EP_CTRL_EV_START] = 's',
		[EP_CTRL_EV_STARTED] = 'S',
		[EP_CTRL_EV_BEAT] = 'b',
		[EP_CTRL_EV_DRAIN] = 'd',
		[EP_CTRL_EV_COLLECT] = 'c',
		[EP_CTRL_EV_REPORT] = 'R',
		[EP_CTRL_EV_BYE] = 'y',
		[EP_CTRL_EV_REFUSED] = '?',
		[EP_CTRL_EV_FAILED] = '!',
	};
	static const char *const want[2] = {
		"wrSbbbbRrSbbbbRrSbbbbR",
		"hpsbbbbdcpsbbbbdcpsbbbbcy",
	};
	struct rng wire = rng_from_env();
	struct side side[2];

	(void)state;
	session_run(&wire, SIZE_MAX, false, side);
	for (int i = 0; i < 2; i++) {
		char text[TRACE_MAX + 1] = "";

		for (size_t k = 0; k < side[i].count; k++)
			text[k] = letters[side[i].kind[k]];
		assert_string_equal(text, want[i]);
	}
}

static void
events_do_not_depend_on_how_the_bytes_were_split(void **state)
{
	static const size_t chunk_max[] = {1, 3, 17, 200, 5000, SIZE_MAX};
	struct rng wire = rng_from_env();
	struct side want[2], got[2];

	(void)state;
	session_run(&wire, SIZE_MAX, false, want);
	for (size_t i = 0; i < 20 * EP_ARRAY_LEN(chunk_max); i++) {
		session_run(&wire, chunk_max[i % EP_ARRAY_LEN(chunk_max)], i % 2 != 0, got);
		for (int s = 0; s < 2; s++) {
			assert_int_equal(got[s].count, want[s].count);
			assert_memory_equal(got[s].kind, want[s].kind, sizeof(want[s].kind));
			assert_memory_equal(got[s].digest, want[s].digest, sizeof(want[s].digest));
		}
	}
}

static void
a_refusal_reaches_the_initiator_and_ends_both_sides(void **state)
{
	static const enum ctrl_state asked[] = {CTRL_ST_HELLO, CTRL_ST_PREPARE};
	const struct ep_ctrl_refuse refuse = {
		.code = EP_CTRL_REFUSE_LIMIT,
		.text = "100 kpps asked, this responder allows 50 kpps",
	};
	struct rng rng = rng_from_env();

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(asked); i++) {
		struct ep_ctrl *initiator = session_at(&rng, EP_CTRL_INITIATOR, asked[i], 0);
		struct ep_ctrl *responder = session_at(&rng, EP_CTRL_RESPONDER, asked[i], 0);
		struct ep_ctrl_event event;
		const uint8_t *bytes;
		size_t len;

		assert_int_equal(ep_ctrl_refuse(responder, &refuse), 0);
		len = ep_ctrl_output(responder, &bytes);
		assert_int_equal(ep_ctrl_input(initiator, bytes, len, 0), 0);
		ep_ctrl_output_done(responder, len);
		assert_int_equal(ep_ctrl_output(responder, &bytes), 0);
		ep_ctrl_next(initiator, 0, &event);
		assert_int_equal(event.kind, EP_CTRL_EV_REFUSED);
		assert_int_equal(event.refuse.code, refuse.code);
		assert_string_equal(event.refuse.text, refuse.text);
		for (int k = 0; k < 2; k++) {
			ep_ctrl_next(k == 0 ? initiator : responder, UINT64_MAX, &event);
			assert_int_equal(event.kind, EP_CTRL_EV_NONE);
		}
		ep_ctrl_destroy(initiator);
		ep_ctrl_destroy(responder);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_session_has_the_documented_events),
		cmocka_unit_test(events_do_not_depend_on_how_the_bytes_were_split),
		cmocka_unit_test(a_refusal_reaches_the_initiator_and_ends_both_sides),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
