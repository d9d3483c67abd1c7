/* Every state with every message, said and heard, against a table that was written by hand; silence; trial numbers. */

#include "ctrl_util.h"

#include <errno.h>
#include <string.h>

#define INITIATOR EP_CTRL_INITIATOR
#define RESPONDER EP_CTRL_RESPONDER

/** What each end may say in each state; what it may hear is what the other may say. */
static const struct {
	enum ctrl_state state;
	const char *initiator;
	const char *responder;
} legal[] = {
	{CTRL_ST_INIT, "hello", ""},
	{CTRL_ST_HELLO, "", "welcome refuse"},
	{CTRL_ST_OPEN, "prepare bye", ""},
	{CTRL_ST_PREPARE, "", "ready refuse"},
	{CTRL_ST_READY, "start", ""},
	{CTRL_ST_START, "", "started"},
	{CTRL_ST_RUN, "beat drain collect", "beat"},
	{CTRL_ST_DRAIN, "beat collect", "beat"},
	{CTRL_ST_COLLECT, "", "report"},
	{CTRL_ST_OVER, "", ""},
};

static bool
listed(const char *list, const char *word)
{
	const char *at = strstr(list, word);
	const size_t len = strlen(word);

	while (at != NULL && ((at != list && at[-1] != ' ') || (at[len] != ' ' && at[len] != '\0')))
		at = strstr(at + 1, word);
	return at != NULL;
}

static bool
may_say(enum ep_ctrl_role role, enum ctrl_state state, enum ctrl_msg msg)
{
	assert_int_equal(legal[state].state, state);
	return listed(role == INITIATOR ? legal[state].initiator : legal[state].responder,
		ctrl_msg_name(msg));
}

/** A valid message; a prepare is of a trial above that of session_at(). */
static void
body_for(struct rng *rng, enum ctrl_msg msg, struct ep_ctrl_event *body)
{
	body_random(rng, msg, body);
	if (msg == CTRL_PREPARE)
		body->prepare.trial = UTIL_TRIAL + 1;
}

static void
assert_over(struct ep_ctrl *c)
{
	struct ep_ctrl_event event, body = {.beat = {.trial = UTIL_TRIAL}};
	const uint8_t *bytes;
	const size_t output = ep_ctrl_output(c, &bytes);

	hear_any(c, CTRL_START, &body, 0);
	for (int i = 0; i < 3; i++) {
		ep_ctrl_next(c, UINT64_MAX, &event);
		assert_int_equal(event.kind, EP_CTRL_EV_NONE);
	}
	for (int msg = 0; msg < CTRL_MSGS; msg++)
		assert_int_equal(say_any(c, (enum ctrl_msg)msg, &body, 0), -EPROTO);
	assert_int_equal(ep_ctrl_output(c, &bytes), output);
}

static void
check_say(struct rng *rng, enum ep_ctrl_role role, enum ctrl_state st, enum ctrl_msg msg)
{
	struct ep_ctrl *c = session_at(rng, role, st, 0);
	struct ep_ctrl_event body;
	const uint8_t *bytes;

	body_for(rng, msg, &body);
	if (may_say(role, st, msg)) {
		assert_int_equal(say_any(c, msg, &body, 0), 0);
		assert_true(ep_ctrl_output(c, &bytes) > 4);
		assert_non_null(memmem(bytes, ep_ctrl_output(c, &bytes), ctrl_msg_name(msg),
			strlen(ctrl_msg_name(msg))));
		if (msg == CTRL_REFUSE || msg == CTRL_BYE)
			assert_over(c);
	} else {
		assert_int_equal(say_any(c, msg, &body, 0), -EPROTO);
		assert_int_equal(ep_ctrl_output(c, &bytes), 0);
	}
	body_free(msg, &body);
	ep_ctrl_destroy(c);
}

static void
what_may_be_said_in_each_state(void **state)
{
	struct rng rng = rng_from_env();

	(void)state;
	for (int role = 0; role < 2; role++)
		for (int st = 0; st < CTRL_STATES; st++)
			for (int msg = 0; msg < CTRL_MSGS; msg++)
				check_say(&rng, (enum ep_ctrl_role)role, (enum ctrl_state)st,
					(enum ctrl_msg)msg);
}

/** What @p role makes of a message heard in a state. */
static enum ep_ctrl_event_kind
hear_want(enum ep_ctrl_role role, enum ctrl_state st, enum ctrl_msg msg)
{
	if (st == CTRL_ST_OVER)
		return EP_CTRL_EV_NONE;
	if (may_say(role == INITIATOR ? RESPONDER : INITIATOR, st, msg))
		return ctrl_fsm_event(msg);
	/* Beats that crossed a collect: the initiator takes them, the responder never sees one of an orderly peer. */
	if (msg == CTRL_BEAT && st == CTRL_ST_COLLECT)
		return role == INITIATOR ? EP_CTRL_EV_BEAT : EP_CTRL_EV_NONE;
	return EP_CTRL_EV_FAILED;
}

static void
check_hear(struct rng *rng, enum ep_ctrl_role role, enum ctrl_state st, enum ctrl_msg msg)
{
	const enum ep_ctrl_event_kind want = hear_want(role, st, msg);
	struct ep_ctrl *c = session_at(rng, role, st, 0);
	struct ep_ctrl_event body, event;

	body_for(rng, msg, &body);
	hear_any(c, msg, &body, 0);
	ep_ctrl_next(c, 0, &event);
	if (event.kind != want)
		fail_msg("role %d, state %s, %s: event %d instead of %d", role, ctrl_state_name(st),
			ctrl_msg_name(msg), event.kind, want);
	if (event.kind == ctrl_fsm_event(msg))
		assert_true(body_equal(msg, &body, &event));
	if (event.kind == EP_CTRL_EV_FAILED) {
		assert_int_equal(event.err.code, -EPROTO);
		assert_non_null(strstr(event.err.text, ctrl_msg_name(msg)));
	}
	if (event.kind == EP_CTRL_EV_FAILED || event.kind == EP_CTRL_EV_REFUSED ||
		event.kind == EP_CTRL_EV_BYE)
		assert_over(c);
	body_free(msg, &body);
	if (event.kind == EP_CTRL_EV_REPORT)
		body_free(msg, &event);
	ep_ctrl_destroy(c);
}

static void
what_may_be_heard_in_each_state_and_everything_else_fails(void **state)
{
	struct rng rng = rng_from_env();

	(void)state;
	for (int role = 0; role < 2; role++)
		for (int st = 0; st < CTRL_STATES; st++)
			for (int msg = 0; msg < CTRL_MSGS; msg++)
				check_hear(&rng, (enum ep_ctrl_role)role, (enum ctrl_state)st,
					(enum ctrl_msg)msg);
}

static void
silence_ends_the_session_after_the_time_of_its_state(void **state)
{
	static const char run_text[] = "nothing heard from the peer for 1.0 s";
	static const char idle_text[] = "nothing heard from the peer for 15.0 s";
	static const struct {
		enum ep_ctrl_role role;
		enum ctrl_state state;
		uint64_t limit_ns;
		const char *sentence;
	} row[] = {
		{INITIATOR, CTRL_ST_INIT, EP_CTRL_IDLE_NS, idle_text},
		{INITIATOR, CTRL_ST_HELLO, EP_CTRL_IDLE_NS, idle_text},
		{INITIATOR, CTRL_ST_OPEN, EP_CTRL_IDLE_NS, idle_text},
		{INITIATOR, CTRL_ST_PREPARE, EP_CTRL_IDLE_NS, idle_text},
		{INITIATOR, CTRL_ST_READY, EP_CTRL_IDLE_NS, idle_text},
		{INITIATOR, CTRL_ST_START, EP_CTRL_IDLE_NS, idle_text},
		{INITIATOR, CTRL_ST_RUN, EP_CTRL_SILENCE_NS, run_text},
		{INITIATOR, CTRL_ST_DRAIN, EP_CTRL_SILENCE_NS, run_text},
		{INITIATOR, CTRL_ST_COLLECT, EP_CTRL_REPORT_NS,
			"no report from the peer for 10.0 s"},
		{RESPONDER, CTRL_ST_INIT, EP_CTRL_IDLE_NS, idle_text},
		{RESPONDER, CTRL_ST_HELLO, EP_CTRL_IDLE_NS, idle_text},
		{RESPONDER, CTRL_ST_OPEN, EP_CTRL_IDLE_NS, idle_text},
		{RESPONDER, CTRL_ST_PREPARE, EP_CTRL_IDLE_NS, idle_text},
		{RESPONDER, CTRL_ST_READY, EP_CTRL_IDLE_NS, idle_text},
		{RESPONDER, CTRL_ST_START, EP_CTRL_IDLE_NS, idle_text},
		{RESPONDER, CTRL_ST_RUN, EP_CTRL_SILENCE_NS, run_text},
		{RESPONDER, CTRL_ST_DRAIN, EP_CTRL_SILENCE_NS, run_text},
		{RESPONDER, CTRL_ST_COLLECT, EP_CTRL_IDLE_NS, idle_text},
	};
	const uint64_t start_ns = 7 * EP_NS_PER_S;
	struct rng rng = rng_from_env();

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		struct ep_ctrl *c = session_at(&rng, row[i].role, row[i].state, start_ns);
		struct ep_ctrl_event event;

		ep_ctrl_next(c, 0, &event); /* a clock that goes back does no harm */
		assert_int_equal(event.kind, EP_CTRL_EV_NONE);
		ep_ctrl_next(c, start_ns + row[i].limit_ns, &event);
		assert_int_equal(event.kind, EP_CTRL_EV_NONE);
		ep_ctrl_next(c, start_ns + row[i].limit_ns + 1, &event);
		assert_int_equal(event.kind, EP_CTRL_EV_FAILED);
		assert_int_equal(event.err.code, -ETIMEDOUT);
		assert_string_equal(event.err.text, row[i].sentence);
		assert_over(c);
		ep_ctrl_destroy(c);
	}
}

static void
beats_keep_a_trial_alive(void **state)
{
	struct rng rng = rng_from_env();

	(void)state;
	for (int role = 0; role < 2; role++) {
		struct ep_ctrl *c = session_at(&rng, (enum ep_ctrl_role)role, CTRL_ST_RUN, 0);
		struct ep_ctrl_event body, event;
		uint64_t now_ns = 0;

		body_random(&rng, CTRL_BEAT, &body);
		for (int i = 0; i < 20; i++) {
			now_ns += EP_CTRL_SILENCE_NS;
			hear_any(c, CTRL_BEAT, &body, now_ns);
			ep_ctrl_next(c, now_ns, &event);
			assert_int_equal(event.kind, EP_CTRL_EV_BEAT);
		}
		ep_ctrl_destroy(c);
	}
}

static void
what_we_say_does_not_keep_a_trial_alive(void **state)
{
	struct rng rng = rng_from_env();
	struct ep_ctrl *c = session_at(&rng, INITIATOR, CTRL_ST_RUN, 0);
	struct ep_ctrl_event body, event;

	(void)state;
	body_random(&rng, CTRL_BEAT, &body);
	assert_int_equal(ep_ctrl_beat(c, &body.beat), 0);
	ep_ctrl_next(c, EP_CTRL_SILENCE_NS / 2, &event);
	assert_int_equal(ep_ctrl_drain(c), 0);
	ep_ctrl_next(c, EP_CTRL_SILENCE_NS + 1, &event);
	assert_int_equal(event.kind, EP_CTRL_EV_FAILED);
	ep_ctrl_destroy(c);
}

static void
half_a_message_does_not_keep_a_trial_alive(void **state)
{
	struct rng rng = rng_from_env();
	struct ep_ctrl *c = session_at(&rng, INITIATOR, CTRL_ST_RUN, 0);
	const uint8_t half[] = {0, 0, 1, 0, '{'};
	struct ep_ctrl_event event;

	(void)state;
	ep_ctrl_input(c, half, sizeof(half), EP_CTRL_SILENCE_NS);
	ep_ctrl_next(c, EP_CTRL_SILENCE_NS, &event);
	assert_int_equal(event.kind, EP_CTRL_EV_NONE);
	ep_ctrl_next(c, EP_CTRL_SILENCE_NS + 1, &event);
	assert_int_equal(event.kind, EP_CTRL_EV_FAILED);
	ep_ctrl_destroy(c);
}

static void
beats_do_not_put_the_time_of_the_report_off(void **state)
{
	struct rng rng = rng_from_env();
	struct ep_ctrl *c = session_at(&rng, INITIATOR, CTRL_ST_COLLECT, 0);
	struct ep_ctrl_event body, event;

	(void)state;
	body_random(&rng, CTRL_BEAT, &body);
	hear_any(c, CTRL_BEAT, &body, EP_CTRL_REPORT_NS);
	ep_ctrl_next(c, EP_CTRL_REPORT_NS, &event);
	assert_int_equal(event.kind, EP_CTRL_EV_BEAT);
	ep_ctrl_next(c, EP_CTRL_REPORT_NS + 1, &event);
	assert_int_equal(event.kind, EP_CTRL_EV_FAILED);
	ep_ctrl_destroy(c);
}

static void
messages_that_wait_are_heard_before_silence_is_judged(void **state)
{
	struct rng rng = rng_from_env();
	struct ep_ctrl *c = session_at(&rng, RESPONDER, CTRL_ST_RUN, 0);
	struct ep_ctrl_event body, event;

	(void)state;
	body_random(&rng, CTRL_BEAT, &body);
	hear_any(c, CTRL_BEAT, &body, 5 * EP_NS_PER_S);
	ep_ctrl_next(c, 5 * EP_NS_PER_S, &event);
	assert_int_equal(event.kind, EP_CTRL_EV_BEAT);
	ep_ctrl_next(c, 5 * EP_NS_PER_S, &event);
	assert_int_equal(event.kind, EP_CTRL_EV_NONE);
	ep_ctrl_destroy(c);
}

static void
silence_counts_from_our_own_question(void **state)
{
	struct rng rng = rng_from_env();
	struct ep_ctrl *c = session_at(&rng, INITIATOR, CTRL_ST_OPEN, 0);
	const uint64_t asked_ns = EP_CTRL_IDLE_NS - 1;
	struct ep_ctrl_event body, event;

	(void)state;
	body_for(&rng, CTRL_PREPARE, &body);
	assert_int_equal(ep_ctrl_prepare(c, &body.prepare), 0);
	ep_ctrl_next(c, asked_ns, &event);
	ep_ctrl_next(c, asked_ns + EP_CTRL_IDLE_NS, &event);
	assert_int_equal(event.kind, EP_CTRL_EV_NONE);
	ep_ctrl_next(c, asked_ns + EP_CTRL_IDLE_NS + 1, &event);
	assert_int_equal(event.kind, EP_CTRL_EV_FAILED);
	ep_ctrl_destroy(c);
}

static void
trial_numbers_must_increase(void **state)
{
	static const struct {
		uint32_t trial;
		bool good;
	} row[] = {{0, false}, {UTIL_TRIAL - 1, false}, {UTIL_TRIAL, false}, {UTIL_TRIAL + 1, true},
		{UINT32_MAX, true}};
	struct rng rng = rng_from_env();

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		for (int role = 0; role < 2; role++) {
			struct ep_ctrl *c =
				session_at(&rng, (enum ep_ctrl_role)role, CTRL_ST_COLLECT, 0);
			struct ep_ctrl_event body, event;

			body_random(&rng, CTRL_REPORT, &body);
			if (role == RESPONDER) {
				assert_int_equal(ep_ctrl_report(c, &body.report), 0);
			} else {
				hear_any(c, CTRL_REPORT, &body, 0);
				ep_ctrl_next(c, 0, &event);
				assert_int_equal(event.kind, EP_CTRL_EV_REPORT);
				body_free(CTRL_REPORT, &event);
			}
			body_free(CTRL_REPORT, &body);
			body_random(&rng, CTRL_PREPARE, &body);
			body.prepare.trial = row[i].trial;
			if (role == INITIATOR) {
				assert_int_equal(ep_ctrl_prepare(c, &body.prepare),
					row[i].good ? 0 : -EPROTO);
			} else {
				hear_any(c, CTRL_PREPARE, &body, 0);
				ep_ctrl_next(c, 0, &event);
				assert_int_equal(event.kind,
					row[i].good ? EP_CTRL_EV_PREPARE : EP_CTRL_EV_FAILED);
			}
			ep_ctrl_destroy(c);
		}
	}
}

static void
report_must_be_of_the_trial_that_was_collected(void **state)
{
	struct rng rng = rng_from_env();
	struct ep_ctrl *said = session_at(&rng, RESPONDER, CTRL_ST_COLLECT, 0);
	struct ep_ctrl *heard = session_at(&rng, INITIATOR, CTRL_ST_COLLECT, 0);
	struct ep_ctrl_event body, event;

	(void)state;
	body_random(&rng, CTRL_REPORT, &body);
	body.report.trial++;
	assert_int_equal(ep_ctrl_report(said, &body.report), -EPROTO);
	hear_any(heard, CTRL_REPORT, &body, 0);
	ep_ctrl_next(heard, 0, &event);
	assert_int_equal(event.kind, EP_CTRL_EV_FAILED);
	assert_string_equal(event.err.text, "report of trial 6, but trial 5 was collected");
	body_free(CTRL_REPORT, &body);
	ep_ctrl_destroy(said);
	ep_ctrl_destroy(heard);
}

static void
report_must_have_as_many_ports_as_the_session(void **state)
{
	struct rng rng = rng_from_env();

	(void)state;
	for (uint32_t ports = 0; ports < 2 * UTIL_PORTS; ports++) {
		struct ep_ctrl *c = session_at(&rng, INITIATOR, CTRL_ST_COLLECT, 0);
		struct ep_ctrl_event body, event;

		ep_ctrl_port_count(c, ports);
		body_random(&rng, CTRL_REPORT, &body);
		hear_any(c, CTRL_REPORT, &body, 0);
		ep_ctrl_next(c, 0, &event);
		assert_int_equal(
			event.kind, ports == UTIL_PORTS ? EP_CTRL_EV_REPORT : EP_CTRL_EV_FAILED);
		if (event.kind == EP_CTRL_EV_REPORT)
			body_free(CTRL_REPORT, &event);
		else
			assert_int_equal(event.err.code, -EBADMSG);
		body_free(CTRL_REPORT, &body);
		ep_ctrl_destroy(c);
	}
}

static void
beats_of_older_trials_are_dropped_and_of_future_ones_fail(void **state)
{
	struct rng rng = rng_from_env();

	(void)state;
	for (int role = 0; role < 2; role++) {
		for (int st = CTRL_ST_PREPARE; st <= CTRL_ST_COLLECT; st++) {
			struct ep_ctrl *c =
				session_at(&rng, (enum ep_ctrl_role)role, (enum ctrl_state)st, 0);
			struct ep_ctrl_event body, event;

			body_random(&rng, CTRL_BEAT, &body);
			body.beat.trial = UTIL_TRIAL - 1;
			hear_any(c, CTRL_BEAT, &body, 0);
			ep_ctrl_next(c, 0, &event);
			assert_int_equal(event.kind, EP_CTRL_EV_NONE);
			body.beat.trial = UTIL_TRIAL + 1;
			hear_any(c, CTRL_BEAT, &body, 0);
			ep_ctrl_next(c, 0, &event);
			assert_int_equal(event.kind, EP_CTRL_EV_FAILED);
			assert_string_equal(event.err.text,
				"beat from the peer for trial 6, which does not run");
			ep_ctrl_destroy(c);
		}
	}
}

static void
beats_of_another_trial_are_not_said(void **state)
{
	struct rng rng = rng_from_env();
	struct ep_ctrl *c = session_at(&rng, INITIATOR, CTRL_ST_RUN, 0);
	struct ep_ctrl_beat beat = {.trial = UTIL_TRIAL - 1};

	(void)state;
	assert_int_equal(ep_ctrl_beat(c, &beat), -EPROTO);
	beat.trial = UTIL_TRIAL + 1;
	assert_int_equal(ep_ctrl_beat(c, &beat), -EPROTO);
	beat.trial = UTIL_TRIAL;
	assert_int_equal(ep_ctrl_beat(c, &beat), 0);
	ep_ctrl_destroy(c);
}

static void
beat_after_the_report_is_dropped(void **state)
{
	struct rng rng = rng_from_env();
	struct ep_ctrl *c = session_at(&rng, INITIATOR, CTRL_ST_COLLECT, 0);
	struct ep_ctrl_event body, event;

	(void)state;
	body_random(&rng, CTRL_REPORT, &body);
	hear_any(c, CTRL_REPORT, &body, 0);
	body_free(CTRL_REPORT, &body);
	body_random(&rng, CTRL_BEAT, &body);
	hear_any(c, CTRL_BEAT, &body, 0);
	ep_ctrl_next(c, 0, &event);
	assert_int_equal(event.kind, EP_CTRL_EV_REPORT);
	body_free(CTRL_REPORT, &event);
	ep_ctrl_next(c, 0, &event);
	assert_int_equal(event.kind, EP_CTRL_EV_NONE);
	ep_ctrl_destroy(c);
}

static void
feed_text(struct ep_ctrl *c, const char *text)
{
	const uint8_t header[] = {0, 0, 0, (uint8_t)strlen(text)};

	assert_int_equal(ep_ctrl_input(c, header, sizeof(header), 0), 0);
	assert_int_equal(ep_ctrl_input(c, (const uint8_t *)text, strlen(text), 0), 0);
}

static void
hello_of_another_version_is_refused_and_fails(void **state)
{
	struct rng rng = rng_from_env();
	struct ep_ctrl *responder = session_at(&rng, RESPONDER, CTRL_ST_INIT, 0);
	struct ep_ctrl *initiator = session_at(&rng, INITIATOR, CTRL_ST_HELLO, 0);
	struct ep_ctrl_event event;
	const uint8_t *bytes;
	size_t len;

	(void)state;
	feed_text(responder, "{\"v\":2,\"type\":\"hello\",\"whatever\":[1]}");
	ep_ctrl_next(responder, 0, &event);
	assert_int_equal(event.kind, EP_CTRL_EV_FAILED);
	assert_int_equal(event.err.code, -EPROTONOSUPPORT);
	assert_string_equal(event.err.text,
		"the peer speaks version 2 of the control protocol, this program version 1");

	len = ep_ctrl_output(responder, &bytes);
	assert_int_equal(ep_ctrl_input(initiator, bytes, len, 0), 0);
	ep_ctrl_next(initiator, 0, &event);
	assert_int_equal(event.kind, EP_CTRL_EV_REFUSED);
	assert_int_equal(event.refuse.code, EP_CTRL_REFUSE_VERSION);
	assert_string_equal(event.refuse.text,
		"version 2 of the control protocol asked, this responder speaks version 1");
	assert_over(responder);
	assert_over(initiator);
	ep_ctrl_destroy(responder);
	ep_ctrl_destroy(initiator);
}

static void
another_version_elsewhere_fails_without_an_answer(void **state)
{
	static const struct {
		enum ep_ctrl_role role;
		enum ctrl_state state;
		const char *text;
	} row[] = {
		{INITIATOR, CTRL_ST_HELLO, "{\"v\":0,\"type\":\"welcome\"}"},
		{INITIATOR, CTRL_ST_INIT, "{\"v\":2,\"type\":\"hello\"}"},
		{RESPONDER, CTRL_ST_OPEN, "{\"v\":2,\"type\":\"hello\"}"},
		{RESPONDER, CTRL_ST_INIT, "{\"v\":2,\"type\":\"start\"}"},
		{RESPONDER, CTRL_ST_RUN, "{\"v\":-9223372036854775808,\"type\":\"beat\"}"},
	};
	struct rng rng = rng_from_env();

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		struct ep_ctrl *c = session_at(&rng, row[i].role, row[i].state, 0);
		struct ep_ctrl_event event;
		const uint8_t *bytes;

		feed_text(c, row[i].text);
		ep_ctrl_next(c, 0, &event);
		assert_int_equal(event.kind, EP_CTRL_EV_FAILED);
		assert_int_equal(event.err.code, -EPROTONOSUPPORT);
		assert_int_equal(ep_ctrl_output(c, &bytes), 0);
		ep_ctrl_destroy(c);
	}
}

static void
a_message_that_cannot_be_encoded_leaves_the_state(void **state)
{
	struct rng rng = rng_from_env();
	struct ep_ctrl *c = session_at(&rng, INITIATOR, CTRL_ST_INIT, 0);
	struct ep_ctrl_event body;
	const uint8_t *bytes;

	(void)state;
	body_random(&rng, CTRL_HELLO, &body);
	body.hello.source_count = 0;
	assert_int_equal(ep_ctrl_hello(c, &body.hello), -EINVAL);
	assert_int_equal(ep_ctrl_output(c, &bytes), 0);
	body.hello.source_count = 1;
	assert_int_equal(ep_ctrl_hello(c, &body.hello), 0);
	ep_ctrl_destroy(c);
}

static void
destroy_accepts_null(void **state)
{
	(void)state;
	ep_ctrl_destroy(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_may_be_said_in_each_state),
		cmocka_unit_test(what_may_be_heard_in_each_state_and_everything_else_fails),
		cmocka_unit_test(silence_ends_the_session_after_the_time_of_its_state),
		cmocka_unit_test(beats_keep_a_trial_alive),
		cmocka_unit_test(what_we_say_does_not_keep_a_trial_alive),
		cmocka_unit_test(half_a_message_does_not_keep_a_trial_alive),
		cmocka_unit_test(beats_do_not_put_the_time_of_the_report_off),
		cmocka_unit_test(messages_that_wait_are_heard_before_silence_is_judged),
		cmocka_unit_test(silence_counts_from_our_own_question),
		cmocka_unit_test(trial_numbers_must_increase),
		cmocka_unit_test(report_must_be_of_the_trial_that_was_collected),
		cmocka_unit_test(report_must_have_as_many_ports_as_the_session),
		cmocka_unit_test(beats_of_older_trials_are_dropped_and_of_future_ones_fail),
		cmocka_unit_test(beats_of_another_trial_are_not_said),
		cmocka_unit_test(beat_after_the_report_is_dropped),
		cmocka_unit_test(hello_of_another_version_is_refused_and_fails),
		cmocka_unit_test(another_version_elsewhere_fails_without_an_answer),
		cmocka_unit_test(a_message_that_cannot_be_encoded_leaves_the_state),
		cmocka_unit_test(destroy_accepts_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
