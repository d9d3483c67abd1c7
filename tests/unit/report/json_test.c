#include "../result/result_util.h"
#include "report_case.h"

#include <ep_report.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define JSON_ROUNDS 5

static json_t *
rendered(const struct ep_result *r)
{
	json_error_t error;
	json_t *root;
	char *text;

	assert_int_equal(ep_report_json(r, &text), 0);
	root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	if (root == NULL)
		fail_msg("line %d, column %d: %s", error.line, error.column, error.text);
	assert_int_equal(text[strlen(text) - 1], '\n');
	free(text);
	return root;
}

static uint64_t
count_of(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_integer(value))
		fail_msg("%s is no integer", key);
	return (uint64_t)json_integer_value(value);
}

static void
json_equals_its_golden(void **state)
{
	(void)state;
	for (size_t i = 0; i < report_case_count; i++) {
		struct ep_result *r = report_cases[i].build();
		char *text;

		assert_int_equal(ep_report_json(r, &text), 0);
		if (!report_cases[i].every_port)
			report_golden(report_cases[i].name, "json", text);
		free(text);
		ep_result_destroy(r);
	}
}

/* Independent of the library's own sums: totals and ledger against ports[] as a reader of the file sees them. */
static void
json_totals_equal_the_sums_over_its_ports(void **state)
{
	static const char *const key[] = {
		"sent", "received", "lost", "duplicates", "reordered", "late"};
	static const char *const ledger_key[] = {
		"accepted", "received", "lost_max", "duplicates", "reordered", "late"};
	uint64_t seed = util_seed();

	(void)state;
	for (int round = 0; round < JSON_ROUNDS; round++) {
		struct ep_result *r = util_random_result(&seed);
		json_t *root = rendered(r);

		for (int d = 0; d < EP_RESULT_DIRS; d++) {
			const char *dir = d == 0 ? "up" : "down";
			const json_t *totals =
				json_object_get(json_object_get(root, "totals"), dir);
			const json_t *ledger =
				json_object_get(json_object_get(root, "ledger"), dir);
			const json_t *ports = json_object_get(root, "ports");

			assert_int_equal(json_array_size(ports), r->range->port_count);
			for (size_t k = 0; k < EP_ARRAY_LEN(key); k++) {
				uint64_t sum = 0;

				for (size_t i = 0; i < json_array_size(ports); i++)
					sum += count_of(
						json_object_get(json_array_get(ports, i), dir),
						key[k]);
				assert_int_equal(count_of(totals, key[k]), sum);
				assert_int_equal(count_of(ledger, ledger_key[k]), sum);
			}
		}
		json_decref(root);
		ep_result_destroy(r);
	}
}

static void
json_has_the_exception_path_in_host_where_there_is_one(void **state)
{
	struct ep_result *r = util_result("50000-50009");
	json_t *root, *host, *x;

	(void)state;
	assert_int_equal(ep_result_judge(r), 0);
	root = rendered(r);
	assert_null(json_object_get(json_object_get(root, "host"), "exception"));
	json_decref(root);
	r->exception = (struct ep_result_exception){.known = true,
		.interface = "everyport0",
		.kind = "tap",
		.to_kernel = 1,
		.from_kernel = 2,
		.filtered = 3,
		.other_vlan = 5,
		.dropped = 4};
	root = rendered(r);
	host = json_object_get(root, "host");
	x = json_object_get(host, "exception");
	assert_int_equal(json_object_size(x), 7);
	assert_string_equal(json_string_value(json_object_get(x, "interface")), "everyport0");
	assert_string_equal(json_string_value(json_object_get(x, "kind")), "tap");
	assert_int_equal(count_of(x, "to_kernel"), 1);
	assert_int_equal(count_of(x, "from_kernel"), 2);
	assert_int_equal(count_of(x, "filtered"), 3);
	assert_int_equal(count_of(x, "other_vlan"), 5);
	assert_int_equal(count_of(x, "dropped"), 4);
	json_decref(root);
	ep_result_destroy(r);
}

static void
json_lists_dead_and_lossy_ports_as_ranges(void **state)
{
	struct ep_result *r = util_result("50000-50999,55555");
	json_t *root, *dead, *lossy;

	(void)state;
	util_fill(r, EP_RESULT_UP, 100);
	util_fill(r, EP_RESULT_DOWN, 100);
	util_kill(r, EP_RESULT_UP, 50100, 50110);
	util_kill(r, EP_RESULT_UP, 55555, 55555);
	util_lose(r, EP_RESULT_DOWN, 50200, 50200, 50);
	util_load(r);
	util_judge(r);
	root = rendered(r);
	dead = json_object_get(root, "dead_ports");
	lossy = json_object_get(root, "lossy_ports");
	assert_int_equal(json_array_size(json_object_get(dead, "up")), 2);
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(dead, "up"), 0)), "50100-50110");
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(dead, "up"), 1)), "55555");
	assert_int_equal(json_array_size(json_object_get(dead, "down")), 0);
	assert_int_equal(json_array_size(json_object_get(lossy, "up")), 0);
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(lossy, "down"), 0)), "50200");
	json_decref(root);
	ep_result_destroy(r);
}

/* Whether an object's member is null, by a dotted path of two. */
static bool
is_null(const json_t *root, const char *outer, const char *dir, const char *key)
{
	const json_t *value =
		json_object_get(json_object_get(json_object_get(root, outer), dir), key);

	assert_non_null(value);
	return json_is_null(value);
}

static void
json_says_null_for_what_is_not_known(void **state)
{
	static const char *const sender[] = {
		"intended", "accepted", "not_sent", "nic_tx", "oerrors"};
	static const char *const receiver[] = {"nic_rx", "imissed", "ierrors", "rx_nombuf",
		"received", "duplicates", "reordered", "late", "bad_tag", "wrong_port", "foreign"};
	static const char *const both[] = {"lost_min", "lost_max"};

	(void)state;
	for (unsigned int known = 0; known < 4; known++) {
		const bool tx = known & 1, rx = known & 2;
		struct ep_result *r = util_result("50000-50009");
		json_t *root, *port;

		util_fill(r, EP_RESULT_UP, 100);
		util_fill(r, EP_RESULT_DOWN, 100);
		util_load(r);
		r->trial[0].ledger[EP_RESULT_DOWN].sender_known = tx;
		r->trial[0].ledger[EP_RESULT_DOWN].receiver_known = rx;
		util_judge(r);
		root = rendered(r);
		for (size_t i = 0; i < EP_ARRAY_LEN(sender); i++)
			assert_int_equal(is_null(root, "ledger", "down", sender[i]), !tx);
		for (size_t i = 0; i < EP_ARRAY_LEN(receiver); i++)
			assert_int_equal(is_null(root, "ledger", "down", receiver[i]), !rx);
		for (size_t i = 0; i < EP_ARRAY_LEN(both); i++)
			assert_int_equal(is_null(root, "ledger", "down", both[i]), !tx || !rx);
		assert_int_equal(is_null(root, "totals", "down", "sent"), !tx);
		assert_int_equal(is_null(root, "totals", "down", "received"), !rx);
		assert_int_equal(is_null(root, "totals", "down", "pps"), !rx);
		assert_int_equal(is_null(root, "totals", "down", "lost"), !tx || !rx);
		assert_int_equal(is_null(root, "totals", "down", "loss_ratio"), !tx || !rx);
		assert_false(is_null(root, "totals", "up", "lost"));
		port = json_object_get(json_array_get(json_object_get(root, "ports"), 0), "down");
		assert_int_equal(json_is_null(json_object_get(port, "sent")), !tx);
		assert_int_equal(json_is_null(json_object_get(port, "late")), !rx);
		assert_int_equal(json_is_null(json_object_get(port, "lost")), !tx || !rx);
		json_decref(root);
		ep_result_destroy(r);
	}
}

/* Any bytes in a text: valid JSON, and what was valid UTF-8 is still there. */
static void
json_is_valid_whatever_texts_hold(void **state)
{
	uint64_t seed = util_seed();

	(void)state;
	for (int round = 0; round < 200; round++) {
		struct ep_result *r = util_result("443");
		char text[256];
		json_t *root;

		for (size_t i = 0; i + 1 < sizeof(text); i++)
			text[i] = (char)(1 + util_random(&seed) % 255);
		text[sizeof(text) - 1] = '\0';
		assert_int_equal(ep_result_config_text(r, text, text), 0);
		assert_int_equal(ep_result_reason(r, "%s", text), 0);
		assert_int_equal(ep_result_warn(r, "%s \xc3\xa9", text), 0);
		root = rendered(r);
		assert_non_null(strstr(
			json_string_value(json_array_get(json_object_get(root, "warnings"), 0)),
			" \xc3\xa9"));
		json_decref(root);
		ep_result_destroy(r);
	}
}

static void
json_replaces_each_byte_that_is_no_utf8(void **state)
{
	static const struct {
		const char *text, *want;
	} step[] = {
		{"plain", "plain"},
		{"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
			"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
		{"a\xff"
		 "b",
			"a\xef\xbf\xbd"
			"b"},
		{"cut \xe2\x82", "cut \xef\xbf\xbd\xef\xbf\xbd"},
		{"overlong \xc0\xaf", "overlong \xef\xbf\xbd\xef\xbf\xbd"},
		{"surrogate \xed\xa0\x80", "surrogate \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		{"too high \xf4\x90\x80\x80",
			"too high \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
	};
	struct ep_result *r = util_result("443");
	json_t *root;

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(step); i++)
		assert_int_equal(ep_result_warn(r, "%s", step[i].text), 0);
	root = rendered(r);
	for (size_t i = 0; i < EP_ARRAY_LEN(step); i++)
		assert_string_equal(
			json_string_value(json_array_get(json_object_get(root, "warnings"), i)),
			step[i].want);
	json_decref(root);
	ep_result_destroy(r);
}

static void
json_has_impair_only_with_a_model(void **state)
{
	struct ep_result *r = util_result("50000-50009");
	json_t *root = rendered(r), *ports;

	(void)state;
	assert_null(json_object_get(root, "impair"));
	json_decref(root);
	assert_int_equal(ep_result_add_impair(r), 0);
	r->impair[9].lost[EP_RESULT_DOWN] = 7;
	root = rendered(r);
	ports = json_object_get(json_object_get(root, "impair"), "ports");
	assert_int_equal(json_array_size(ports), 10);
	assert_int_equal(count_of(json_array_get(ports, 9), "port"), 50009);
	assert_int_equal(count_of(json_object_get(json_array_get(ports, 9), "down"), "lost"), 7);
	json_decref(root);
	ep_result_destroy(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_equals_its_golden),
		cmocka_unit_test(json_totals_equal_the_sums_over_its_ports),
		cmocka_unit_test(json_has_the_exception_path_in_host_where_there_is_one),
		cmocka_unit_test(json_lists_dead_and_lossy_ports_as_ranges),
		cmocka_unit_test(json_says_null_for_what_is_not_known),
		cmocka_unit_test(json_is_valid_whatever_texts_hold),
		cmocka_unit_test(json_replaces_each_byte_that_is_no_utf8),
		cmocka_unit_test(json_has_impair_only_with_a_model),
	};

	return cmocka_run_group_tests_name("report_json", tests, NULL, NULL);
}
