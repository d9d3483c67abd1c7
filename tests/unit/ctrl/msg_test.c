#include "ctrl_util.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- What is good ----------------------------------------------------------------------------- */

static void
decode_gives_back_what_was_encoded(void **state)
{
	struct rng rng = rng_from_env();

	(void)state;
	for (int i = 0; i < 200 * CTRL_MSGS; i++) {
		const enum ctrl_msg msg = (enum ctrl_msg)(i % CTRL_MSGS);
		struct ep_ctrl_event in, out;
		struct ep_err err;
		json_t *object;

		body_random(&rng, msg, &in);
		object = util_json(msg, &in);
		assert_int_equal(util_decode(object, msg, &out, &err), 0);
		assert_true(body_equal(msg, &in, &out));
		json_decref(object);
		body_free(msg, &in);
		body_free(msg, &out);
	}
}

static void
beat_is_written_as_documented(void **state)
{
	static const char want[] =
		"{\"v\":1,\"type\":\"beat\",\"trial\":1,\"sent\":20000,\"received\":19998,"
		"\"tx_done\":false}";
	const struct ep_ctrl_beat beat = {.trial = 1, .sent = 20000, .received = 19998};
	struct ctrl_buf frame = {0};

	(void)state;
	assert_int_equal(ctrl_msg_encode(CTRL_BEAT, &beat, &frame), 0);
	assert_int_equal(ctrl_buf_len(&frame), 4 + strlen(want));
	assert_memory_equal(frame.bytes + 4, want, strlen(want));
	ctrl_buf_fini(&frame);
}

static void
rate_may_be_written_as_a_whole_number(void **state)
{
	struct rng rng = rng_from_env();
	struct ep_ctrl_event in, out;
	struct ep_err err;
	json_t *object;

	(void)state;
	body_random(&rng, CTRL_HELLO, &in);
	object = util_json(CTRL_HELLO, &in);
	json_object_set_new(object, "rate_pps", json_integer(100000));
	assert_int_equal(util_decode(object, CTRL_HELLO, &out, &err), 0);
	assert_true(out.hello.rate_pps == 100000);
	json_decref(object);
}

static void
text_that_is_cut_or_odd_is_sent_with_question_marks(void **state)
{
	static const struct {
		const char *text;
		const char *want;
	} row[] = {
		{"caf\xc3\xa9", "caf\xc3\xa9"},
		{"caf\xc3", "caf?"},
		{"caf\xc3\xa9\n", "caf???"},
		{"a\x1b[31m", "a?[31m"},
		{"\xc2\x9b", "??"},
		{"\x7f", "?"},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		struct ep_ctrl_event in = {0}, out;
		struct ep_err err;
		json_t *object;

		snprintf(in.refuse.text, sizeof(in.refuse.text), "%s", row[i].text);
		object = util_json(CTRL_REFUSE, &in);
		assert_int_equal(util_decode(object, CTRL_REFUSE, &out, &err), 0);
		assert_string_equal(out.refuse.text, row[i].want);
		json_decref(object);
	}
}

static void
report_of_every_port_with_the_largest_numbers_fits_a_frame(void **state)
{
	struct ep_ctrl_report report = {.port_count = EP_RANGE_PORTS};
	struct ctrl_buf frame = {0};

	(void)state;
	report.up = calloc(EP_RANGE_PORTS, sizeof(*report.up));
	report.down_sent = calloc(EP_RANGE_PORTS, sizeof(*report.down_sent));
	assert_non_null(report.up);
	assert_non_null(report.down_sent);
	for (uint32_t i = 0; i < EP_RANGE_PORTS; i++) {
		report.up[i] = (struct ep_acct_port){
			.count = {INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX},
			.late = INT64_MAX,
			.wrong_port = INT64_MAX,
			.bytes = INT64_MAX,
			.echo_refused = INT64_MAX,
		};
		report.down_sent[i] = INT64_MAX;
	}
	report.has_pacing = true;
	report.pacing.intended_pps = report.pacing.offered_pps = 1e10 / 3;
	report.pacing.clock_error_ppm = report.pacing.clock_drift_ppm = 1e10 / 7;
	for (uint64_t *count = &report.pacing.departure_count;
		count <= &report.pacing.receive_ring_pkts; count++)
		*count = INT64_MAX;
	assert_int_equal(ep_slow_icmp_create(EP_RANGE_PORTS, &report.icmp), 0);
	for (uint32_t k = 0; k < EP_SLOW_KINDS_MAX; k++)
		for (uint32_t i = 0; i < (k <= EP_SLOW_PORT_KINDS ? EP_RANGE_PORTS : 1); i++)
			ep_slow_icmp_add(report.icmp, i,
				&(struct ep_slow_kind){
					.from = {EP_WIRE_IPV6,
						{0x20, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
							0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
							(uint8_t)(0x80 + k)}},
					.type = 255,
					.code = 255,
					.mtu_bytes = UINT32_MAX,
				},
				UINT32_MAX);
	assert_int_equal(report.icmp->kind_count, EP_SLOW_KINDS_MAX);
	report.nic = util_nic_largest();
	report.queues.count = EP_CTRL_QUEUES_MAX;
	report.queues.expected_ratio = 1e10 / 3;
	memset(report.queues.steering, '"', sizeof(report.queues.steering) - 1);
	for (uint32_t q = 0; q < EP_CTRL_QUEUES_MAX; q++)
		report.queues.received[q] = INT64_MAX;
	report.port_queue = malloc(EP_RANGE_PORTS);
	assert_non_null(report.port_queue);
	memset(report.port_queue, EP_CTRL_QUEUE_NONE, EP_RANGE_PORTS);
	assert_int_equal(ctrl_msg_encode(CTRL_REPORT, &report, &frame), 0);
	assert_true(ctrl_buf_len(&frame) - 4 <= ctrl_report_bytes_max(EP_RANGE_PORTS));
	assert_true(ctrl_report_bytes_max(EP_RANGE_PORTS) <= EP_CTRL_FRAME_MAX);
	ctrl_buf_fini(&frame);
	ep_ctrl_report_fini(&report);
	ep_ctrl_report_fini(&report); /* twice does no harm */
}

/* --- What is bad ------------------------------------------------------------------------------ */

static void
every_field_must_be_there(void **state)
{
	struct rng rng = rng_from_env();

	(void)state;
	for (int m = 0; m < CTRL_MSGS; m++) {
		const enum ctrl_msg msg = (enum ctrl_msg)m;
		struct ep_ctrl_event in;
		struct ep_err err;
		const char *key;
		json_t *whole, *value;

		body_random(&rng, msg, &in);
		whole = util_json(msg, &in);
		json_object_foreach(whole, key, value)
		{
			json_t *less = json_copy(whole);

			if (strcmp(key, "pacing") == 0 || strcmp(key, "icmp") == 0 ||
				strcmp(key, "nic") == 0 || strcmp(key, "queues") == 0 ||
				strcmp(key, "spread") == 0 || strcmp(key, "sources") == 0) {
				json_decref(less); /* optional: report_may_come_without_... */
				continue;
			}
			json_object_del(less, key);
			assert_int_equal(util_decode(less, msg, NULL, &err), -EBADMSG);
			assert_non_null(strstr(err.text, key));
			json_decref(less);
		}
		json_decref(whole);
		body_free(msg, &in);
	}
}

static void
no_other_field_may_be_there(void **state)
{
	struct rng rng = rng_from_env();

	(void)state;
	for (int m = 0; m < CTRL_MSGS; m++) {
		const enum ctrl_msg msg = (enum ctrl_msg)m;
		struct ep_ctrl_event in;
		struct ep_err err;
		json_t *object;

		body_random(&rng, msg, &in);
		object = util_json(msg, &in);
		json_object_set_new(object, "extra", json_integer(1));
		assert_int_equal(util_decode(object, msg, NULL, &err), -EBADMSG);
		json_decref(object);
		body_free(msg, &in);
	}
}

/** Whether the protocol allows @p bad in the place of @p good after all. */
static bool
is_good_in_place_of(const json_t *bad, const json_t *good)
{
	if (json_is_boolean(good))
		return json_is_boolean(bad);
	return json_is_real(good) && json_is_real(bad) && json_real_value(bad) < 1e10;
}

static void
no_field_may_be_of_another_type_or_far_out_of_bounds(void **state)
{
	static const char *const values[] = {"null", "true", "{}", "{\"a\":1}", "\"\\u0001\"", "-1",
		"9223372036854775807.0", "1.5", "1e300", "-0.5", "[null]"};
	struct rng rng = rng_from_env();

	(void)state;
	for (int m = 0; m < CTRL_MSGS; m++) {
		const enum ctrl_msg msg = (enum ctrl_msg)m;
		struct ep_ctrl_event in;
		struct ep_err err;
		const char *key;
		json_t *whole, *good;

		body_random(&rng, msg, &in);
		whole = util_json(msg, &in);
		json_object_foreach(whole, key, good)
		{
			for (size_t i = 0; i < EP_ARRAY_LEN(values); i++) {
				json_t *object = json_copy(whole);
				json_t *bad = util_value(values[i]);

				json_object_set(object, key, bad);
				if (strcmp(key, "v") != 0 && !is_good_in_place_of(bad, good))
					assert_int_equal(
						util_decode(object, msg, NULL, &err), -EBADMSG);
				json_decref(bad);
				json_decref(object);
			}
		}
		json_decref(whole);
		body_free(msg, &in);
	}
}

static void
a_sentence_names_field_value_and_bounds(void **state)
{
	static const struct {
		const char *text;
		const char *sentence;
	} row[] = {
		{"{\"v\":1,\"type\":\"beat\",\"trial\":-1,\"sent\":0,\"received\":0,\"tx_done\":"
		 "true}",
			"beat from the peer: trial is -1, allowed: 0 to 4294967295"},
		{"{\"v\":1,\"type\":\"beat\",\"trial\":0,\"received\":0,\"tx_done\":true}",
			"beat from the peer: sent is missing"},
		{"{\"v\":1,\"type\":\"beat\",\"trial\":0,\"sent\":0.5,\"received\":0,\"tx_done\":"
		 "true}",
			"beat from the peer: sent must be a whole number"},
		{"{\"v\":1,\"type\":\"beat\",\"trial\":0,\"sent\":0,\"received\":0,\"tx_done\":1}",
			"beat from the peer: tx_done must be true or false"},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		struct ep_err err;

		assert_int_equal(
			util_decode_text(row[i].text, strlen(row[i].text), CTRL_BEAT, NULL, &err),
			-EBADMSG);
		assert_string_equal(err.text, row[i].sentence);
	}
}

static void
what_is_no_message_is_refused(void **state)
{
	static const char *const row[] = {
		"{",
		"[]",
		"1",
		"null",
		"\"start\"",
		"{}",
		"{\"v\":1}",
		"{\"type\":\"start\"}",
		"{\"v\":\"1\",\"type\":\"start\"}",
		"{\"v\":1.0,\"type\":\"start\"}",
		"{\"v\":1,\"type\":1}",
		"{\"v\":1,\"type\":\"stop\"}",
		"{\"v\":1,\"type\":\"Start\"}",
		"{\"v\":1,\"type\":\"start\"}x",
		"{\"v\":1,\"type\":\"start\"}{}",
		"{\"v\":1,\"type\":\"start\",\"type\":\"start\"}",
		"{\"v\":1,\"type\":\"start\\u0000\"}",
		"{\"v\":1,\"type\":\"start\",\"a\\u0000\":1}",
		"{\"v\":1,\"type\":\"\xff\"}",
		"{\"v\":99999999999999999999,\"type\":\"start\"}",
		"{\"v\":1e999,\"type\":\"start\"}",
		"{\"v\":1,\"type\":\"start\",}",
		"{'v':1,'type':'start'}",
		"{\"v\":1,\"type\":\"start\"/* */}",
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		struct ep_err err;

		if (util_decode_text(row[i], strlen(row[i]), CTRL_START, NULL, &err) != -EBADMSG)
			fail_msg("%s was taken", row[i]);
		assert_true(strlen(err.text) > 0);
	}
}

static void
deep_nesting_is_refused(void **state)
{
	static char text[60000];
	struct ep_err err;

	(void)state;
	memset(text, '[', sizeof(text));
	assert_int_equal(util_decode_text(text, sizeof(text), CTRL_START, NULL, &err), -EBADMSG);
	for (size_t i = 0; i + 5 <= sizeof(text); i += 5)
		memcpy(text + i, "{\"a\":", 5);
	assert_int_equal(util_decode_text(text, sizeof(text), CTRL_START, NULL, &err), -EBADMSG);
}

static void
a_sentence_never_quotes_the_peer(void **state)
{
	static const char *const row[] = {
		"{\"v\":1,\"type\":\"EVIL\"}",
		"{\"v\":1,\"type\":\"start\",\"EVIL\":1}",
		"{\"v\":1,\"type\":\"start\" EVIL",
		"{\"v\":1,\"type\":\"refuse\",\"code\":\"EVIL\",\"text\":\"\"}",
		"{\"v\":1,\"type\":\"ready\",\"nonce\":\"EVIL\"}",
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		struct rng rng = {1};
		struct ep_ctrl *c = session_at(&rng, EP_CTRL_INITIATOR, CTRL_ST_PREPARE, 0);
		const uint8_t header[] = {0, 0, 0, (uint8_t)strlen(row[i])};
		struct ep_ctrl_event event;

		ep_ctrl_input(c, header, sizeof(header), 0);
		ep_ctrl_input(c, (const uint8_t *)row[i], strlen(row[i]), 0);
		ep_ctrl_next(c, 0, &event);
		assert_int_equal(event.kind, EP_CTRL_EV_FAILED);
		assert_null(strstr(event.err.text, "EVIL"));
		ep_ctrl_destroy(c);
	}
}

static void
nothing_out_of_bounds_is_sent(void **state)
{
	struct rng rng = rng_from_env();
	struct ep_ctrl_event good, bad;
	struct ctrl_buf frame = {0};

	(void)state;
#define REFUSED(message, change)                                                            \
	do {                                                                                \
		bad = good;                                                                 \
		change;                                                                     \
		assert_int_equal(ctrl_msg_encode(message, body_of(&bad), &frame), -EINVAL); \
		assert_int_equal(ctrl_buf_len(&frame), 0);                                  \
	} while (0)
	body_random(&rng, CTRL_HELLO, &good);
	REFUSED(CTRL_HELLO, bad.hello.tool[0] = '\0');
	REFUSED(CTRL_HELLO, memset(bad.hello.tool, 'x', sizeof(bad.hello.tool)));
	REFUSED(CTRL_HELLO, bad.hello.initiator.family = (enum ep_wire_family)5);
	REFUSED(CTRL_HELLO, bad.hello.source_count = 0);
	REFUSED(CTRL_HELLO, bad.hello.rate_pps = -1);
	REFUSED(CTRL_HELLO, bad.hello.rate_pps = (double)NAN);
	REFUSED(CTRL_HELLO, bad.hello.rate_pps = (double)INFINITY);
	REFUSED(CTRL_HELLO, bad.hello.rate_pps = 1e10 * (1 + DBL_EPSILON));
	REFUSED(CTRL_HELLO, bad.hello.duration_ns = UINT64_MAX);
	body_random(&rng, CTRL_WELCOME, &good);
	REFUSED(CTRL_WELCOME, bad.welcome.listen_count = EP_CTRL_LISTEN_MAX + 1);
	body_random(&rng, CTRL_REFUSE, &good);
	REFUSED(CTRL_REFUSE, bad.refuse.code = (enum ep_ctrl_refusal)5);
	body_random(&rng, CTRL_PREPARE, &good);
	REFUSED(CTRL_PREPARE, bad.prepare.size_count = 0);
	REFUSED(CTRL_PREPARE, bad.prepare.size_count = 17);
	REFUSED(CTRL_PREPARE, bad.prepare.frame_bytes[0] = 63);
	body_random(&rng, CTRL_BEAT, &good);
	REFUSED(CTRL_BEAT, bad.beat.sent = UINT64_MAX);
	body_random(&rng, CTRL_REPORT, &good);
	REFUSED(CTRL_REPORT, bad.report.totals.nic_rx = UINT64_MAX);
	REFUSED(CTRL_REPORT, bad.report.port_count = EP_RANGE_PORTS + 1);
	REFUSED(CTRL_REPORT, bad.report.pacing.burst_pkts = 33);
	REFUSED(CTRL_REPORT, bad.report.pacing.offered_pps = (double)NAN);
	REFUSED(CTRL_REPORT, bad.report.queues.count = EP_CTRL_QUEUES_MAX + 1);
	REFUSED(CTRL_REPORT, bad.report.queues.received[0] = UINT64_MAX);
	REFUSED(CTRL_REPORT, bad.report.queues.expected_ratio = (double)NAN);
	REFUSED(CTRL_REPORT, bad.report.port_queue = NULL);
	good.report.down_sent[1] = UINT64_MAX;
	REFUSED(CTRL_REPORT, (void)0);
	body_free(CTRL_REPORT, &good);
#undef REFUSED
	ctrl_buf_fini(&frame);
}

/* Writing only: jansson 2.14 itself asserts where memory ends in the middle of reading a token. */

/** jansson's allocations until one fails; below 0: none does. */
static long allocations_left = -1;

static void *
failing_malloc(size_t size)
{
	if (allocations_left == 0)
		return NULL;
	if (allocations_left > 0)
		allocations_left--;
	return malloc(size);
}

static void
want_of_memory_says_nothing_and_leaks_nothing(void **state)
{
	struct rng rng = rng_from_env();

	(void)state;
	json_set_alloc_funcs(failing_malloc, free);
	for (int m = 0; m < CTRL_MSGS; m++) {
		const enum ctrl_msg msg = (enum ctrl_msg)m;
		struct ctrl_buf whole = {0};
		struct ep_ctrl_event in;
		int ret = -ENOMEM;

		body_random(&rng, msg, &in);
		for (long n = 0; ret != 0; n++) {
			allocations_left = n;
			ret = ctrl_msg_encode(msg, body_of(&in), &whole);
			assert_true(ret == 0 || (ret == -ENOMEM && ctrl_buf_len(&whole) == 0));
		}
		allocations_left = -1;
		ctrl_buf_fini(&whole);
		body_free(msg, &in);
	}
	json_set_alloc_funcs(malloc, free);
}

static void
mode_names_are_those_of_the_option(void **state)
{
	(void)state;
	assert_string_equal(ep_ctrl_mode_name(EP_CTRL_MODE_ECHO), "echo");
	assert_string_equal(ep_ctrl_mode_name(EP_CTRL_MODE_UP), "up");
	assert_string_equal(ep_ctrl_mode_name(EP_CTRL_MODE_DOWN), "down");
	assert_string_equal(ep_ctrl_mode_name(EP_CTRL_MODE_BOTH), "both");
	assert_string_equal(ep_ctrl_mode_name((enum ep_ctrl_mode)4), "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decode_gives_back_what_was_encoded),
		cmocka_unit_test(beat_is_written_as_documented),
		cmocka_unit_test(rate_may_be_written_as_a_whole_number),
		cmocka_unit_test(text_that_is_cut_or_odd_is_sent_with_question_marks),
		cmocka_unit_test(report_of_every_port_with_the_largest_numbers_fits_a_frame),
		cmocka_unit_test(every_field_must_be_there),
		cmocka_unit_test(no_other_field_may_be_there),
		cmocka_unit_test(no_field_may_be_of_another_type_or_far_out_of_bounds),
		cmocka_unit_test(a_sentence_names_field_value_and_bounds),
		cmocka_unit_test(what_is_no_message_is_refused),
		cmocka_unit_test(deep_nesting_is_refused),
		cmocka_unit_test(a_sentence_never_quotes_the_peer),
		cmocka_unit_test(nothing_out_of_bounds_is_sent),
		cmocka_unit_test(want_of_memory_says_nothing_and_leaks_nothing),
		cmocka_unit_test(mode_names_are_those_of_the_option),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
