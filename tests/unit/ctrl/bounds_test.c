/* What the fields of a message may be, to the last value, and which parts of one may be missing. */

#include "ctrl_util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What came to a responder from one hop: its type, and arrays of an entry. */
#define ICMP(type, port, hop, count)                                                               \
	"{\"verified\":1,\"unverified\":2,\"forged\":3,\"foreign\":4,\"missed\":5,\"hops\":["      \
	"{\"from\":\"198.18.0.1\",\"type\":" type ",\"code\":13,\"mtu_bytes\":0}],\"port\":[" port \
	"],\"hop\":[" hop "],\"count\":[" count "]}"

/* A responder's pacing with a burst and a drift. */
#define PACING(burst, drift)                                                                      \
	"{\"burst_pkts\":" burst ",\"intended_pps\":1,\"offered_pps\":1.0,\"departure_count\":0," \
	"\"departure_min_ns\":0,\"departure_p50_ns\":0,\"departure_p90_ns\":0,\"departure_p99_"   \
	"ns\":0,"                                                                                 \
	"\"departure_p999_ns\":0,\"departure_max_ns\":0,\"largest_gap_ns\":0,\"loop_gap_ns\":0,"  \
	"\"receive_gap_ns\":0,\"receive_ring_pkts\":0,\"clock_error_ppm\":0.25,\"clock_drift_"    \
	"ppm\":" drift "}"

/** A value in the place of a message's, and what becomes of it. */
static const struct {
	enum ctrl_msg msg;
	const char *key;
	const char *value;
	int want;
} bound[] = {
	{CTRL_HELLO, "tool", "\"\"", -EBADMSG},
	{CTRL_HELLO, "tool", "\"1234567890123456789012345678901\"", 0},
	{CTRL_HELLO, "tool", "\"12345678901234567890123456789012\"", -EBADMSG},
	{CTRL_HELLO, "ports", "\"\"", -EBADMSG},
	{CTRL_HELLO, "initiator", "\"192.0.2.256\"", -EBADMSG},
	{CTRL_HELLO, "initiator", "\"2001:db8::1\"", 0},
	{CTRL_HELLO, "source_count", "0", -EBADMSG},
	{CTRL_HELLO, "source_count", "1", 0},
	{CTRL_HELLO, "source_count", "65536", 0},
	{CTRL_HELLO, "source_count", "65537", -EBADMSG},
	{CTRL_HELLO, "source_base", "65535", 0},
	{CTRL_HELLO, "source_base", "65536", -EBADMSG},
	{CTRL_HELLO, "source_span", "0", -EBADMSG},
	{CTRL_HELLO, "source_span", "65536", 0},
	{CTRL_HELLO, "source_span", "65537", -EBADMSG},
	{CTRL_HELLO, "seed", "\"ffffffffffffffff\"", 0},
	{CTRL_HELLO, "seed", "\"FFFFFFFFFFFFFFFF\"", -EBADMSG},
	{CTRL_HELLO, "seed", "\"fffffffffffffff\"", -EBADMSG},
	{CTRL_HELLO, "seed", "\"fffffffffffffffff\"", -EBADMSG},
	{CTRL_HELLO, "rate_pps", "0", 0},
	{CTRL_HELLO, "rate_pps", "1e10", 0},
	{CTRL_HELLO, "rate_pps", "10000000000.001", -EBADMSG},
	{CTRL_HELLO, "rate_pps", "-0.001", -EBADMSG},
	{CTRL_HELLO, "frame_bytes_max", "63", -EBADMSG},
	{CTRL_HELLO, "frame_bytes_max", "64", 0},
	{CTRL_HELLO, "frame_bytes_max", "9018", 0},
	{CTRL_HELLO, "frame_bytes_max", "9019", -EBADMSG},
	{CTRL_HELLO, "duration_ns", "0", 0},
	{CTRL_HELLO, "duration_ns", "31622400000000000", 0},
	{CTRL_HELLO, "duration_ns", "31622400000000001", -EBADMSG},
	{CTRL_HELLO, "drain_ns", "31622400000000001", -EBADMSG},
	{CTRL_HELLO, "sweeps", "0", 0},
	{CTRL_HELLO, "sweeps", "1000", 0},
	{CTRL_HELLO, "sweeps", "1001", -EBADMSG},
	{CTRL_WELCOME, "limit_flows", "9223372036854775807", 0},
	{CTRL_WELCOME, "cpu", "\"\"", 0},
	{CTRL_WELCOME, "listen", "[]", 0},
	{CTRL_WELCOME, "listen", "[{\"port\":1,\"ours\":true,\"text\":\"\"}]", 0},
	{CTRL_WELCOME, "listen", "[{\"port\":0,\"ours\":true,\"text\":\"\"}]", -EBADMSG},
	{CTRL_WELCOME, "listen", "[{\"port\":65536,\"ours\":true,\"text\":\"\"}]", -EBADMSG},
	{CTRL_WELCOME, "listen", "[{\"port\":1,\"ours\":1,\"text\":\"\"}]", -EBADMSG},
	{CTRL_WELCOME, "listen", "[{\"port\":1,\"ours\":true}]", -EBADMSG},
	{CTRL_WELCOME, "listen", "[{\"port\":1,\"ours\":true,\"text\":\"\",\"x\":1}]", -EBADMSG},
	{CTRL_WELCOME, "listen", "[[]]", -EBADMSG},
	{CTRL_REFUSE, "code", "\"busy\"", 0},
	{CTRL_REFUSE, "code", "\"Busy\"", -EBADMSG},
	{CTRL_REFUSE, "code", "0", -EBADMSG},
	{CTRL_REFUSE, "text", "\"\\u001b\"", -EBADMSG},
	{CTRL_REFUSE, "text", "\"\\u0085\"", -EBADMSG},
	{CTRL_REFUSE, "text", "\"\\u00a0\"", 0},
	{CTRL_PREPARE, "trial", "4294967295", 0},
	{CTRL_PREPARE, "trial", "4294967296", -EBADMSG},
	{CTRL_PREPARE, "mode", "\"echo\"", 0},
	{CTRL_PREPARE, "mode", "\"sideways\"", -EBADMSG},
	{CTRL_PREPARE, "nonce", "\"00112233445566778899aabbccddeeff\"", 0},
	{CTRL_PREPARE, "nonce", "\"00112233445566778899AABBCCDDEEFF\"", -EBADMSG},
	{CTRL_PREPARE, "nonce", "\"00112233445566778899aabbccddeef\"", -EBADMSG},
	{CTRL_PREPARE, "nonce", "\"00112233445566778899aabbccddeefg\"", -EBADMSG},
	{CTRL_PREPARE, "duration_ns", "0", -EBADMSG},
	{CTRL_PREPARE, "duration_ns", "1", 0},
	{CTRL_PREPARE, "burst_pkts", "0", 0},
	{CTRL_PREPARE, "burst_pkts", "32", 0},
	{CTRL_PREPARE, "burst_pkts", "33", -EBADMSG},
	{CTRL_PREPARE, "frame_bytes", "[]", -EBADMSG},
	{CTRL_PREPARE, "frame_bytes", "[64]", 0},
	{CTRL_PREPARE, "frame_bytes", "[63]", -EBADMSG},
	{CTRL_PREPARE, "frame_bytes", "[64,9019]", -EBADMSG},
	{CTRL_PREPARE, "frame_bytes", "[1e2]", -EBADMSG},
	{CTRL_PREPARE, "frame_bytes", "[64,64,64,64,64,64,64,64,64,64,64,64,64,64,64,64]", 0},
	{CTRL_PREPARE, "frame_bytes", "[64,64,64,64,64,64,64,64,64,64,64,64,64,64,64,64,64]",
		-EBADMSG},
	{CTRL_BEAT, "sent", "9223372036854775807", 0},
	{CTRL_BEAT, "tx_done", "0", -EBADMSG},
	{CTRL_REPORT, "new", "[1,2]", -EBADMSG},
	{CTRL_REPORT, "new", "[1,2,3]", 0},
	{CTRL_REPORT, "new", "[1,2,3,4]", -EBADMSG},
	{CTRL_REPORT, "new", "[1,2,-3]", -EBADMSG},
	{CTRL_REPORT, "down_sent", "[1,2,3.0]", -EBADMSG},
	{CTRL_REPORT, "totals", "{}", -EBADMSG},
	{CTRL_REPORT, "pacing", "{}", -EBADMSG},
	{CTRL_REPORT, "pacing", "null", -EBADMSG},
	{CTRL_REPORT, "pacing", "[]", -EBADMSG},
	{CTRL_REPORT, "pacing", PACING("32", "0"), 0},
	{CTRL_REPORT, "pacing", PACING("33", "0"), -EBADMSG},
	{CTRL_REPORT, "pacing", PACING("1", "1.5"), 0},
	{CTRL_REPORT, "pacing", PACING("1", "-1"), -EBADMSG},
	{CTRL_REPORT, "pacing", PACING("1", "0,\"x\":1"), -EBADMSG},
	{CTRL_REPORT, "icmp", "{}", -EBADMSG},
	{CTRL_REPORT, "icmp", "null", -EBADMSG},
	{CTRL_REPORT, "icmp", ICMP("3", "0", "0", "1"), 0},
	{CTRL_REPORT, "icmp", ICMP("255", "2", "1", "4294967295"), 0},
	{CTRL_REPORT, "icmp", ICMP("256", "0", "0", "1"), -EBADMSG},
	{CTRL_REPORT, "icmp", ICMP("3", "3", "0", "1"), -EBADMSG},
	{CTRL_REPORT, "icmp", ICMP("3", "0", "2", "1"), -EBADMSG},
	{CTRL_REPORT, "icmp", ICMP("3", "0", "0", "0"), -EBADMSG},
	{CTRL_REPORT, "icmp", ICMP("3", "0", "0", "4294967296"), -EBADMSG},
	{CTRL_REPORT, "icmp", ICMP("3", "0,1", "0", "1"), -EBADMSG},
	{CTRL_REPORT, "icmp", ICMP("3", "0", "0", "1,1"), -EBADMSG},
	{CTRL_REPORT, "icmp", ICMP("3,\"x\":0", "0", "0", "1"), -EBADMSG},
	{CTRL_REPORT, "icmp", ICMP("3", "", "", ""), 0},
};

static void
bounds_are_exact(void **state)
{
	struct rng rng = rng_from_env();

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(bound); i++) {
		struct ep_ctrl_event in;
		struct ep_err err;
		json_t *object;

		body_random(&rng, bound[i].msg, &in);
		if (bound[i].msg == CTRL_PREPARE)
			in.prepare.mode = EP_CTRL_MODE_ECHO; /* goes with a sweep and without */
		object = util_json(bound[i].msg, &in);
		json_object_set_new(object, bound[i].key, util_value(bound[i].value));
		if (util_decode(object, bound[i].msg, NULL, &err) != bound[i].want)
			fail_msg("%s = %s: want %d, got %d %s", bound[i].key, bound[i].value,
				bound[i].want, err.code, err.text);
		json_decref(object);
		body_free(bound[i].msg, &in);
	}
}

/* One of before pacing was measured, which is no reason for another key to be let in. */
static void
report_may_come_without_pacing(void **state)
{
	struct rng rng = rng_from_env();
	struct ep_ctrl_event in, out = {0};
	struct ep_err err;
	json_t *object;

	(void)state;
	body_random(&rng, CTRL_REPORT, &in);
	object = util_json(CTRL_REPORT, &in);
	assert_int_equal(json_object_del(object, "pacing"), 0);
	assert_int_equal(util_decode(object, CTRL_REPORT, &out, &err), 0);
	assert_false(out.report.has_pacing);
	body_free(CTRL_REPORT, &out);
	json_object_set_new(object, "other", json_integer(1));
	assert_int_equal(util_decode(object, CTRL_REPORT, NULL, &err), -EBADMSG);
	assert_string_equal(err.text, "report from the peer: has 17 fields, allowed: 16");
	json_decref(object);
	in.report.has_pacing = false;
	object = util_json(CTRL_REPORT, &in);
	assert_null(json_object_get(object, "pacing"));
	json_decref(object);
	body_free(CTRL_REPORT, &in);
}

/* A flag is written where it is true, and is no reason for another key to be let in where it is not. */
static void
hello_has_the_flag_of_control_apart_only_when_it_is_set(void **state)
{
	struct rng rng = rng_from_env();
	struct ep_ctrl_event in, out = {0};
	struct ep_err err;
	json_t *object;

	(void)state;
	body_random(&rng, CTRL_HELLO, &in);
	in.hello.control_apart = true;
	object = util_json(CTRL_HELLO, &in);
	assert_true(json_is_true(json_object_get(object, "control_apart")));
	assert_int_equal(util_decode(object, CTRL_HELLO, &out, &err), 0);
	assert_true(out.hello.control_apart);
	json_object_set_new(object, "control_apart", json_integer(1));
	assert_int_equal(util_decode(object, CTRL_HELLO, NULL, &err), -EBADMSG);
	json_decref(object);
	in.hello.control_apart = false;
	object = util_json(CTRL_HELLO, &in);
	assert_null(json_object_get(object, "control_apart"));
	memset(&out, 0, sizeof(out));
	assert_int_equal(util_decode(object, CTRL_HELLO, &out, &err), 0);
	assert_false(out.hello.control_apart);
	json_object_set_new(object, "other", json_integer(1));
	assert_int_equal(util_decode(object, CTRL_HELLO, NULL, &err), -EBADMSG);
	json_decref(object);
}

static void
report_may_come_without_icmp(void **state)
{
	struct rng rng = rng_from_env();
	struct ep_ctrl_event in, out;
	struct ep_err err;
	json_t *object;

	(void)state;
	body_random(&rng, CTRL_REPORT, &in);
	object = util_json(CTRL_REPORT, &in);
	assert_int_equal(json_object_del(object, "icmp"), 0);
	assert_int_equal(util_decode(object, CTRL_REPORT, &out, &err), 0);
	assert_null(out.report.icmp);
	body_free(CTRL_REPORT, &out);
	json_object_set_new(object, "other", json_integer(1));
	assert_int_equal(util_decode(object, CTRL_REPORT, NULL, &err), -EBADMSG);
	json_decref(object);
	body_free(CTRL_REPORT, &in);
}

static void
report_may_come_without_queues(void **state)
{
	struct rng rng = rng_from_env();
	struct ep_ctrl_event in, out;
	struct ep_err err;
	json_t *object;

	(void)state;
	body_random(&rng, CTRL_REPORT, &in);
	object = util_json(CTRL_REPORT, &in);
	assert_int_equal(json_object_del(object, "queues"), 0);
	assert_int_equal(util_decode(object, CTRL_REPORT, &out, &err), 0);
	assert_int_equal(out.report.queues.count, 0);
	assert_null(out.report.port_queue);
	body_free(CTRL_REPORT, &out);
	json_object_set_new(object, "other", json_integer(1));
	assert_int_equal(util_decode(object, CTRL_REPORT, NULL, &err), -EBADMSG);
	json_decref(object);
	in.report.queues.count = 0;
	object = util_json(CTRL_REPORT, &in);
	assert_null(json_object_get(object, "queues"));
	json_decref(object);
	body_free(CTRL_REPORT, &in);
}

/* Each queue of a port has to be one of those that are there, and each port has to have one. */
static void
queues_of_a_report_are_bounded(void **state)
{
	static const struct {
		const char *key, *json, *sentence;
	} bad[] = {
		{"received", "[]", "received"},
		{"received", "[1,-1]", "received"},
		{"received", "7", "received"},
		{"port", "[]", "port"},
		{"port", "[2,0,0]", "port must name one of 2 queues"},
		{"port", "[254,0,0]", "port must name one of 2 queues"},
		{"port", "[256,0,0]", "port"},
		{"port", "[0.5,0,0]", "port"},
		{"expected_ratio", "-1", "expected_ratio"},
		{"steering", "7", "steering"},
		{"another", "7", "queues must be an object of 4 fields"},
	};
	struct rng rng = rng_from_env();
	struct ep_ctrl_event in;

	(void)state;
	assert_int_equal(UTIL_PORTS, 3);
	body_random(&rng, CTRL_REPORT, &in);
	in.report.queues.count = 2;
	memset(in.report.port_queue, 1, UTIL_PORTS);
	for (size_t i = 0; i < EP_ARRAY_LEN(bad); i++) {
		json_t *object = util_json(CTRL_REPORT, &in);
		struct ep_err err;

		assert_int_equal(util_decode(object, CTRL_REPORT, NULL, &err), 0);
		json_object_set_new(json_object_get(object, "queues"), bad[i].key,
			json_loads(bad[i].json, JSON_DECODE_ANY, NULL));
		assert_int_equal(util_decode(object, CTRL_REPORT, NULL, &err), -EBADMSG);
		if (strstr(err.text, bad[i].sentence) == NULL)
			fail_msg("%s: %s", bad[i].json, err.text);
		json_decref(object);
	}
	body_free(CTRL_REPORT, &in);
}

/* What an initiator says of its NIC, and what a responder chooses: whole or not there. */
static void
spread_and_sources_are_bounded(void **state)
{
	static const struct {
		enum ctrl_msg msg;
		const char *part, *key, *json, *sentence;
	} bad[] = {
		{CTRL_HELLO, "spread", "hash", "\"ip\"", "hash"},
		{CTRL_HELLO, "spread", "key", "\"\"", "key must be 80 to 128"},
		{CTRL_HELLO, "spread", "key", "\"zz\"", "key must be 80 to 128"},
		{CTRL_HELLO, "spread", "key", "7", "key"},
		{CTRL_HELLO, "spread", "reta", "[]", "reta a power of two"},
		{CTRL_HELLO, "spread", "reta", "[0,1,0]", "reta a power of two"},
		{CTRL_HELLO, "spread", "reta", "[0,64]", "reta"},
		{CTRL_HELLO, "spread", "reta", "[0,-1]", "reta"},
		{CTRL_HELLO, "spread", "other", "7", "spread must be an object of 3 fields"},
		{CTRL_WELCOME, "sources", "source_base", "0", "source_base"},
		{CTRL_WELCOME, "sources", "source_span", "65537", "source_span"},
		{CTRL_WELCOME, "sources", "up_ratio", "-1", "up_ratio"},
		{CTRL_WELCOME, "sources", "down_ratio", "\"1\"", "down_ratio"},
		{CTRL_WELCOME, "sources", "other", "7", "sources must be an object of 4 fields"},
	};
	struct rng rng = rng_from_env();

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(bad); i++) {
		struct ep_ctrl_event in;
		struct ep_err err;
		json_t *object;

		do {
			body_random(&rng, bad[i].msg, &in);
		} while (bad[i].msg == CTRL_HELLO ? !in.hello.has_rss : !in.welcome.has_sources);
		object = util_json(bad[i].msg, &in);
		assert_int_equal(util_decode(object, bad[i].msg, NULL, &err), 0);
		json_object_set_new(
			json_object_get(object, bad[i].part), bad[i].key, util_value(bad[i].json));
		assert_int_equal(util_decode(object, bad[i].msg, NULL, &err), -EBADMSG);
		if (strstr(err.text, bad[i].sentence) == NULL)
			fail_msg("%s %s: %s", bad[i].key, bad[i].json, err.text);
		/* Left out it is as of an older version, and no other key may take its place. */
		json_object_del(object, bad[i].part);
		assert_int_equal(util_decode(object, bad[i].msg, NULL, &err), 0);
		json_object_set_new(object, "other", json_integer(1));
		assert_int_equal(util_decode(object, bad[i].msg, NULL, &err), -EBADMSG);
		json_decref(object);
	}
}

static void
sweep_must_have_mode_echo(void **state)
{
	struct rng rng = rng_from_env();
	struct ctrl_buf frame = {0};
	struct ep_ctrl_event in;
	struct ep_err err;
	json_t *object;

	(void)state;
	body_random(&rng, CTRL_PREPARE, &in);
	in.prepare.sweep = false;
	in.prepare.mode = EP_CTRL_MODE_BOTH;
	object = util_json(CTRL_PREPARE, &in);
	assert_int_equal(util_decode(object, CTRL_PREPARE, NULL, &err), 0);
	json_object_set_new(object, "sweep", json_true());
	assert_int_equal(util_decode(object, CTRL_PREPARE, NULL, &err), -EBADMSG);
	in.prepare.sweep = true;
	assert_int_equal(ctrl_msg_encode(CTRL_PREPARE, &in.prepare, &frame), -EINVAL);
	json_decref(object);
	ctrl_buf_fini(&frame);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bounds_are_exact),
		cmocka_unit_test(report_may_come_without_pacing),
		cmocka_unit_test(report_may_come_without_icmp),
		cmocka_unit_test(hello_has_the_flag_of_control_apart_only_when_it_is_set),
		cmocka_unit_test(report_may_come_without_queues),
		cmocka_unit_test(queues_of_a_report_are_bounded),
		cmocka_unit_test(spread_and_sources_are_bounded),
		cmocka_unit_test(sweep_must_have_mode_echo),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
