/* Counters of the responder's NIC in its report: bounded, every field checked, and left out where there are none. */

#include "ctrl_util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A report as JSON; its nic is replaced by @p nic, or removed where that is NULL. */
static json_t *
report_json(struct rng *rng, const char *nic)
{
	struct ctrl_buf frame = {0};
	struct ep_ctrl_event body;
	json_t *object;

	body_random(rng, CTRL_REPORT, &body);
	assert_int_equal(ctrl_msg_encode(CTRL_REPORT, body_of(&body), &frame), 0);
	object = json_loadb((char *)frame.bytes + CTRL_FRAME_HEADER_BYTES,
		ctrl_buf_len(&frame) - CTRL_FRAME_HEADER_BYTES, 0, NULL);
	assert_non_null(object);
	if (nic == NULL)
		json_object_del(object, "nic");
	else
		json_object_set_new(object, "nic", json_loads(nic, JSON_DECODE_ANY, NULL));
	ctrl_buf_fini(&frame);
	body_free(CTRL_REPORT, &body);
	return object;
}

/* Decode; the report is the caller's on success. */
static int
report_decode(json_t *object, struct ep_ctrl_report *report, struct ep_err *err)
{
	struct ctrl_envelope envelope;
	char *text = json_dumps(object, JSON_COMPACT);
	int ret;

	assert_non_null(text);
	*err = (struct ep_err){0};
	assert_int_equal(ctrl_msg_open((const uint8_t *)text, strlen(text), &envelope, err), 0);
	memset(report, 0, sizeof(*report));
	ret = ctrl_msg_decode(&envelope, UTIL_PORTS, report, err);
	json_decref(envelope.object);
	free(text);
	json_decref(object);
	return ret;
}

#define NIC(rest, counters) \
	"{\"driver\":\"ena\",\"omitted\":1,\"gone\":0" rest ",\"counters\":[" counters "]}"
#define COUNTER(source, name, count, at_least) \
	"{\"source\":" source ",\"name\":" name ",\"count\":" count ",\"at_least\":" at_least "}"
#define X8(x) x "," x "," x "," x "," x "," x "," x "," x
#define GOOD COUNTER("\"ethtool\"", "\"pps_allowance_exceeded\"", "12345", "false")
#define X63 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static void
fields_out_of_bounds_are_refused(void **state)
{
	static const struct {
		const char *nic;
		int ret;
	} row[] = {
		{NIC("", ""), 0},
		{NIC("", GOOD), 0},
		{NIC("", COUNTER("\"dpdk\"", "\"" X63 "\"", "9223372036854775807", "true")), 0},
		{NIC("", X8(X8(GOOD))), 0},
		{NIC("", X8(X8(GOOD)) "," GOOD), -EBADMSG},
		{NIC("", COUNTER("\"dpdk\"", "\"" X63 "x\"", "1", "true")), -EBADMSG},
		{NIC("", COUNTER("\"dpdk\"", "\"\"", "1", "true")), -EBADMSG},
		{NIC("", COUNTER("\"dpdk\"", "\"a\\u001bb\"", "1", "true")), -EBADMSG},
		{NIC("", COUNTER("\"dpdk\"", "7", "1", "true")), -EBADMSG},
		{NIC("", COUNTER("\"sysfs\"", "\"a\"", "1", "true")), -EBADMSG},
		{NIC("", COUNTER("0", "\"a\"", "1", "true")), -EBADMSG},
		{NIC("", COUNTER("\"link\"", "\"a\"", "0", "true")), -EBADMSG},
		{NIC("", COUNTER("\"link\"", "\"a\"", "-1", "true")), -EBADMSG},
		{NIC("", COUNTER("\"link\"", "\"a\"", "1.0", "true")), -EBADMSG},
		{NIC("", COUNTER("\"link\"", "\"a\"", "1", "1")), -EBADMSG},
		{NIC("", COUNTER("\"link\"", "\"a\"", "1", "true,\"x\":1")), -EBADMSG},
		{NIC("", "{\"source\":\"link\"}"), -EBADMSG},
		{NIC("", "[]"), -EBADMSG},
		{NIC("", "null"), -EBADMSG},
		{NIC(",\"x\":1", GOOD), -EBADMSG},
		{"{\"driver\":\"ena\",\"omitted\":1,\"gone\":0}", -EBADMSG},
		{"{\"driver\":\"ena\",\"omitted\":4294967296,\"gone\":0,\"counters\":[]}",
			-EBADMSG},
		{"{\"driver\":\"12345678901234567890123456789012\",\"omitted\":1,\"gone\":0,"
		 "\"counters\":[]}",
			-EBADMSG},
		{"{}", -EBADMSG},
		{"[]", -EBADMSG},
		{"null", -EBADMSG},
	};
	struct rng rng = rng_from_env();

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		struct ep_ctrl_report report;
		struct ep_err err;
		const int ret = report_decode(report_json(&rng, row[i].nic), &report, &err);

		if (ret != row[i].ret)
			fail_msg("row %zu: %d, %s", i, ret, err.text);
		if (ret == 0)
			ep_ctrl_report_fini(&report);
		else
			assert_true(err.text[0] != '\0');
	}
}

static void
report_may_come_without_nic(void **state)
{
	struct rng rng = rng_from_env();
	struct ep_ctrl_report report;
	struct ep_err err;
	json_t *object;

	(void)state;
	assert_int_equal(report_decode(report_json(&rng, NULL), &report, &err), 0);
	assert_null(report.nic);
	ep_ctrl_report_fini(&report);
	object = report_json(&rng, NULL);
	json_object_set_new(object, "other", json_integer(1));
	assert_int_equal(report_decode(object, &report, &err), -EBADMSG);
}

static void
what_was_not_read_is_not_said(void **state)
{
	struct rng rng = rng_from_env();
	struct ctrl_buf frame = {0};
	struct ep_ctrl_event body;

	(void)state;
	body_random(&rng, CTRL_REPORT, &body);
	body.report.nic->known = false;
	assert_int_equal(ctrl_msg_encode(CTRL_REPORT, body_of(&body), &frame), 0);
	assert_null(memmem(frame.bytes, frame.tail, "\"counters\"", 10));
	ctrl_buf_fini(&frame);
	body_free(CTRL_REPORT, &body);
}

/* What a driver may hand out must not cost the report. */
static void
odd_counters_of_a_driver_are_sent_as_well_as_they_can_be(void **state)
{
	struct rng rng = rng_from_env();
	struct ctrl_buf frame = {0};
	struct ep_ctrl_event body;
	struct ep_nic_changes *nic;
	struct ep_ctrl_report out;
	struct ep_err err;
	json_t *object;

	(void)state;
	body_random(&rng, CTRL_REPORT, &body);
	nic = body.report.nic;
	nic->count = 3;
	nic->change[0] = (struct ep_nic_change){.name = "rx\x80\x01 drops", .count = UINT64_MAX};
	nic->change[1] = (struct ep_nic_change){.name = "", .count = 5};
	nic->change[2] = (struct ep_nic_change){.name = "zero", .count = 0};
	assert_int_equal(ctrl_msg_encode(CTRL_REPORT, body_of(&body), &frame), 0);
	object = json_loadb((char *)frame.bytes + CTRL_FRAME_HEADER_BYTES,
		ctrl_buf_len(&frame) - CTRL_FRAME_HEADER_BYTES, 0, NULL);
	assert_int_equal(report_decode(object, &out, &err), 0);
	assert_int_equal(out.nic->count, 1);
	assert_string_equal(out.nic->change[0].name, "rx?? drops");
	assert_true(out.nic->change[0].count == INT64_MAX);
	assert_true(out.nic->change[0].at_least);
	ep_ctrl_report_fini(&out);
	ctrl_buf_fini(&frame);
	body_free(CTRL_REPORT, &body);
}

static void
largest_list_fits_its_bound(void **state)
{
	struct ep_ctrl_report report = {.nic = util_nic_largest()};
	json_t *object = json_object();
	char *text;

	(void)state;
	assert_int_equal(ctrl_nic_encode(&report, object), 0);
	text = json_dumps(object, JSON_COMPACT);
	assert_non_null(text);
	assert_in_range(strlen(text), 1, CTRL_NIC_BYTES_MAX);
	free(text);
	json_decref(object);
	free(report.nic);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_out_of_bounds_are_refused),
		cmocka_unit_test(report_may_come_without_nic),
		cmocka_unit_test(what_was_not_read_is_not_said),
		cmocka_unit_test(odd_counters_of_a_driver_are_sent_as_well_as_they_can_be),
		cmocka_unit_test(largest_list_fits_its_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
