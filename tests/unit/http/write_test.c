/* Requests and responses that are written are read back by the reader of heads. */

#include <ep_http.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void
assert_field(const struct ep_http_head *h, const char *name, const char *want)
{
	struct ep_http_view value;
	char text[256];

	assert_true(ep_http_field(h, name, &value));
	assert_string_equal(ep_http_text_format(text, sizeof(text), value), want);
}

static void
get_is_a_request_that_names_its_host(void **state)
{
	static const struct {
		const char *host;
		uint16_t port;
		const char *want;
	} cases[] = {
		{"media.example.org", 0, "media.example.org"},
		{"media.example.org", 8080, "media.example.org:8080"},
		{"192.0.2.1", 65535, "192.0.2.1:65535"},
		{"2001:db8::1", 0, "[2001:db8::1]"},
		{"2001:db8::1", 81, "[2001:db8::1]:81"},
		{"[2001:db8::1]", 81, "[2001:db8::1]:81"},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(cases); i++) {
		char text[512], head_buf[512], target[64];
		struct ep_http_head h;
		size_t len, used;

		assert_int_equal(ep_http_get(text, sizeof(text), cases[i].host, cases[i].port,
					 "/.well-known/acme-challenge/everyport", &len),
			0);
		assert_int_equal(len, strlen(text));
		ep_http_head_init(&h, EP_HTTP_REQUEST, head_buf, sizeof(head_buf));
		assert_int_equal(ep_http_head_push(&h, text, len, &used), EP_HTTP_WHOLE);
		assert_int_equal(used, len);
		assert_string_equal(ep_http_text_format(target, sizeof(target), h.target),
			"/.well-known/acme-challenge/everyport");
		assert_field(&h, "Host", cases[i].want);
		assert_field(&h, "Connection", "close");
	}
}

static void
get_refuses_what_would_break_its_lines(void **state)
{
	static const struct {
		const char *host, *target;
	} cases[] = {
		{"", "/"},
		{"a b", "/"},
		{"a\r\nX: y", "/"},
		{"a\x7F", "/"},
		{"a", ""},
		{"a", "x"},
		{"a", "/ HTTP/1.1"},
		{"a", "/\n"},
	};
	char text[512];
	size_t len = 7;

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(cases); i++)
		assert_int_equal(
			ep_http_get(text, sizeof(text), cases[i].host, 0, cases[i].target, &len),
			-EINVAL);
	assert_int_equal(len, 7);
}

static void
response_is_whole_with_its_length(void **state)
{
	static const uint16_t status[] = {200, 400, 404, 405, 414, 431, 999};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(status); i++) {
		char text[512], head_buf[512], reason[64];
		struct ep_http_head h;
		size_t len, used;

		assert_int_equal(
			ep_http_response(text, sizeof(text), status[i], "everyport\n", &len), 0);
		ep_http_head_init(&h, EP_HTTP_RESPONSE, head_buf, sizeof(head_buf));
		assert_int_equal(ep_http_head_push(&h, text, len, &used), EP_HTTP_WHOLE);
		assert_int_equal(h.status, status[i]);
		ep_http_text_format(reason, sizeof(reason), h.reason);
		assert_int_equal(strlen(reason) > 0, status[i] != 999);
		assert_string_equal(text + used, "everyport\n");
		assert_field(&h, "Content-Length", "10");
		assert_field(&h, "Connection", "close");
	}
}

static void
response_refuses_a_status_that_is_not_final(void **state)
{
	char text[512];
	size_t len;

	(void)state;
	assert_int_equal(ep_http_response(text, sizeof(text), 100, "", &len), -EINVAL);
	assert_int_equal(ep_http_response(text, sizeof(text), 199, "", &len), -EINVAL);
	assert_int_equal(ep_http_response(text, sizeof(text), 1000, "", &len), -EINVAL);
	assert_int_equal(ep_http_response(text, sizeof(text), 200, "", &len), 0);
}

static void
nothing_longer_than_the_buffer_is_written(void **state)
{
	char text[512];
	size_t get_len, response_len, len = 7;

	(void)state;
	assert_int_equal(ep_http_get(text, sizeof(text), "a", 0, "/", &get_len), 0);
	assert_int_equal(ep_http_response(text, sizeof(text), 404, "x", &response_len), 0);
	assert_int_equal(ep_http_get(text, get_len, "a", 0, "/", &len), -EMSGSIZE);
	assert_int_equal(ep_http_get(text, 0, "a", 0, "/", &len), -EMSGSIZE);
	assert_int_equal(ep_http_response(text, response_len, 404, "x", &len), -EMSGSIZE);
	assert_int_equal(len, 7);
	assert_int_equal(ep_http_get(text, get_len + 1, "a", 0, "/", &len), 0);
	assert_int_equal(ep_http_response(text, response_len + 1, 404, "x", &len), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(get_is_a_request_that_names_its_host),
		cmocka_unit_test(get_refuses_what_would_break_its_lines),
		cmocka_unit_test(response_is_whole_with_its_length),
		cmocka_unit_test(response_refuses_a_status_that_is_not_final),
		cmocka_unit_test(nothing_longer_than_the_buffer_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
