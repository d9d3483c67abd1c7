/* Heads of responses and requests: any split gives the same, and what is no head is told at its first wrong byte. */

#include <ep_http.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A head that was fed, with its buffer. */
struct fed {
	struct ep_http_head head;
	size_t used;
	char *buf; /* exactly `size` bytes, so that a sanitiser sees a write behind them */
};

static void
feed(struct fed *f, enum ep_http_kind kind, const char *text, size_t len, size_t size)
{
	f->buf = malloc(size > 0 ? size : 1);
	assert_non_null(f->buf);
	ep_http_head_init(&f->head, kind, f->buf, size);
	ep_http_head_push(&f->head, text, len, &f->used);
}

static void
assert_view(struct ep_http_view view, const char *want)
{
	char text[EP_HTTP_HEAD_MAX];

	snprintf(text, sizeof(text), "%.*s", (int)view.len, view.text);
	assert_string_equal(text, want);
}

/* ---- Valid heads ---- */

static void
status_lines_are_read(void **state)
{
	static const struct {
		const char *text;
		uint8_t minor;
		uint16_t status;
		const char *reason;
	} cases[] = {
		{"HTTP/1.1 200 OK\r\n\r\n", 1, 200, "OK"},
		{"HTTP/1.1 404 Not Found\r\n\r\n", 1, 404, "Not Found"},
		{"HTTP/1.0 301 \r\n\r\n", 0, 301, ""},
		{"HTTP/1.1 503\r\n\r\n", 1, 503, ""},
		{"HTTP/1.1 100 Continue\n\n", 1, 100, "Continue"},
		{"HTTP/1.9 999 \xC3\xA9 a\r\n\n", 9, 999, "\xC3\xA9 a"},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(cases); i++) {
		struct fed f;

		feed(&f, EP_HTTP_RESPONSE, cases[i].text, strlen(cases[i].text), 100);
		assert_int_equal(f.head.state, EP_HTTP_WHOLE);
		assert_int_equal(f.head.minor, cases[i].minor);
		assert_int_equal(f.head.status, cases[i].status);
		assert_view(f.head.reason, cases[i].reason);
		free(f.buf);
	}
}

static void
request_lines_are_read(void **state)
{
	static const struct {
		const char *text, *method, *target;
	} cases[] = {
		{"GET / HTTP/1.1\r\n\r\n", "GET", "/"},
		{"OPTIONS * HTTP/1.0\r\n\r\n", "OPTIONS", "*"},
		{"M-SEARCH /a?b=%20#c HTTP/1.1\n\n", "M-SEARCH", "/a?b=%20#c"},
		{"CONNECT [::1]:443 HTTP/1.1\r\n\r\n", "CONNECT", "[::1]:443"},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(cases); i++) {
		struct fed f;

		feed(&f, EP_HTTP_REQUEST, cases[i].text, strlen(cases[i].text), 100);
		assert_int_equal(f.head.state, EP_HTTP_WHOLE);
		assert_view(f.head.method, cases[i].method);
		assert_view(f.head.target, cases[i].target);
		free(f.buf);
	}
}

static void
fields_are_found_whatever_their_capitals(void **state)
{
	static const char text[] =
		"HTTP/1.1 200 OK\r\nServer:nginx\r\nX-A: \t two words \t \r\n"
		"EMPTY:\r\nserver: second\r\nLocation: a:b\n\r\nbody: no field\r\n";
	struct ep_http_view value;
	struct fed f;

	(void)state;
	feed(&f, EP_HTTP_RESPONSE, text, strlen(text), 500);
	assert_int_equal(f.head.state, EP_HTTP_WHOLE);
	assert_int_equal(f.head.field_count, 5);
	assert_string_equal(text + f.used, "body: no field\r\n");
	assert_true(ep_http_field(&f.head, "SERVER", &value));
	assert_view(value, "nginx");
	assert_true(ep_http_field(&f.head, "x-a", &value));
	assert_view(value, "two words");
	assert_true(ep_http_field(&f.head, "Empty", &value));
	assert_view(value, "");
	assert_true(ep_http_field(&f.head, "location", &value));
	assert_view(value, "a:b");
	assert_false(ep_http_field(&f.head, "body", &value));
	assert_false(ep_http_field(&f.head, "Serve", &value));
	assert_false(ep_http_field(&f.head, "", &value));
	free(f.buf);
}

static void
fields_of_a_head_under_way_are_not_found(void **state)
{
	static const char text[] = "HTTP/1.1 200 OK\r\nServer: x\r\n";
	struct ep_http_view value;
	struct fed f;

	(void)state;
	feed(&f, EP_HTTP_RESPONSE, text, strlen(text), 500);
	assert_int_equal(f.head.state, EP_HTTP_PARTIAL);
	assert_int_equal(f.head.status, 200); /* but the first line is */
	assert_false(ep_http_field(&f.head, "Server", &value));
	free(f.buf);
}

/* ---- Wrong ones: the state, and after how many bytes it is known ---- */

struct wrong {
	const char *text;
	enum ep_http_state state;
	size_t used;
};

static void
wrong_check(enum ep_http_kind kind, const struct wrong *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct fed f;

		feed(&f, kind, cases[i].text, strlen(cases[i].text), 1000);
		if (f.head.state != cases[i].state || f.used != cases[i].used)
			fail_msg("case %zu: state %d after %zu bytes", i, f.head.state, f.used);
		free(f.buf);
	}
}

static void
responses_of_other_protocols_are_told_at_once(void **state)
{
	static const struct wrong cases[] = {
		{"SSH-2.0-OpenSSH_9.2\r\n", EP_HTTP_NOT_HTTP, 1},
		{"\x15\x03\x03\x01\x02\x02\x16", EP_HTTP_NOT_HTTP, 1},
		{"HELO", EP_HTTP_NOT_HTTP, 2},
		{"HTTP/2 200\r\n", EP_HTTP_NOT_HTTP, 6},
		{"http/1.1 200 OK\r\n", EP_HTTP_NOT_HTTP, 1},
		{"\r\nHTTP/1.1 200 OK\r\n", EP_HTTP_NOT_HTTP, 2},
		{"HTTP/1.1 20 OK\r\n", EP_HTTP_NOT_HTTP, 16},
		{"HTTP/1.1 2000 OK\r\n", EP_HTTP_NOT_HTTP, 18},
		{"HTTP/1.1 099 OK\r\n", EP_HTTP_NOT_HTTP, 17},
		{"HTTP/1.1  200 OK\r\n", EP_HTTP_NOT_HTTP, 18},
		{"HTTP/1.x 200 OK\r\n", EP_HTTP_NOT_HTTP, 17},
		{"HTTP/1.1\r\n", EP_HTTP_NOT_HTTP, 10},
		{"HTTP/1.1 200 a\001b", EP_HTTP_NOT_HTTP, 15},
		{"HTTP/1.1 200 a\rb", EP_HTTP_NOT_HTTP, 16},
	};

	(void)state;
	wrong_check(EP_HTTP_RESPONSE, cases, EP_ARRAY_LEN(cases));
}

static void
requests_of_other_protocols_are_told_at_once(void **state)
{
	static const struct wrong cases[] = {
		{"\x16\x03\x01\x02\x01", EP_HTTP_NOT_HTTP, 1},
		{" / HTTP/1.1\r\n", EP_HTTP_NOT_HTTP, 1},
		{"G(T / HTTP/1.1\r\n", EP_HTTP_NOT_HTTP, 2},
		{"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\n", EP_HTTP_NOT_HTTP, 33},
		{"GET /\r\n", EP_HTTP_NOT_HTTP, 7},
		{"GET  HTTP/1.1\r\n", EP_HTTP_NOT_HTTP, 15},
		{"GET / HTTP/2.0\r\n", EP_HTTP_NOT_HTTP, 16},
		{"GET / a HTTP/1.1\r\n", EP_HTTP_NOT_HTTP, 18},
		{"GET /\tx HTTP/1.1\r\n", EP_HTTP_NOT_HTTP, 18},
		{"GET / HTTP/1.1 \r\n", EP_HTTP_NOT_HTTP, 17},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", EP_HTTP_NOT_HTTP, 16},
		{"GET\r\n", EP_HTTP_NOT_HTTP, 5},
	};

	(void)state;
	wrong_check(EP_HTTP_REQUEST, cases, EP_ARRAY_LEN(cases));
}

static void
lines_that_are_no_fields_are_malformed(void **state)
{
#define FIRST "HTTP/1.1 200 OK\r\n" /* 17 */
	static const struct wrong cases[] = {
		{FIRST "no colon\r\n", EP_HTTP_MALFORMED, 27},
		{FIRST ": no name\r\n", EP_HTTP_MALFORMED, 28},
		{FIRST "Name : x\r\n", EP_HTTP_MALFORMED, 27},
		{FIRST "A: b\r\n folded\r\n", EP_HTTP_MALFORMED, 32},
		{FIRST "A: b\rc\r\n", EP_HTTP_MALFORMED, 23},
		{FIRST "A: b\x7F\r\n", EP_HTTP_MALFORMED, 22},
		{FIRST "\r\r\n", EP_HTTP_MALFORMED, 19},
	};

	(void)state;
	wrong_check(EP_HTTP_RESPONSE, cases, EP_ARRAY_LEN(cases));
}

static void
nul_bytes_are_refused(void **state)
{
	static const char text[] = "HTTP/1.1 200 OK\r\nA: \0b\r\n\r\n";
	struct fed f;

	(void)state;
	feed(&f, EP_HTTP_RESPONSE, text, sizeof(text) - 1, 100);
	assert_int_equal(f.head.state, EP_HTTP_MALFORMED);
	free(f.buf);
}

static void
as_many_fields_as_allowed_are_taken_and_no_more(void **state)
{
	char text[EP_HTTP_HEAD_MAX] = "GET / HTTP/1.1\r\n";
	struct fed f;

	(void)state;
	for (int i = 0; i < EP_HTTP_FIELDS_MAX; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "F%d: x\r\n", i);
	feed(&f, EP_HTTP_REQUEST, text, strlen(text), sizeof(text));
	assert_int_equal(f.head.state, EP_HTTP_PARTIAL);
	assert_int_equal(ep_http_head_push(&f.head, "\r\n", 2, NULL), EP_HTTP_WHOLE);
	free(f.buf);
	feed(&f, EP_HTTP_REQUEST, text, strlen(text), sizeof(text));
	assert_int_equal(ep_http_head_push(&f.head, "One: more\r\n", 11, NULL), EP_HTTP_MALFORMED);
	free(f.buf);
}

static void
heads_up_to_the_buffer_are_taken_and_longer_ones_not(void **state)
{
	static const char text[] = "HTTP/1.1 200 OK\r\nServer: x\r\n\r\n";
	struct fed f;

	(void)state;
	for (size_t size = 0; size < strlen(text) + 3; size++) {
		feed(&f, EP_HTTP_RESPONSE, text, strlen(text), size);
		assert_int_equal(
			f.head.state, size < strlen(text) ? EP_HTTP_TOO_LONG : EP_HTTP_WHOLE);
		assert_int_equal(f.used, size < strlen(text) ? size : strlen(text));
		free(f.buf);
	}
}

static void
nothing_is_taken_once_the_state_is_final(void **state)
{
	static const char *const text[] = {
		"HTTP/1.1 200 OK\r\n\r\n", "SSH", "HTTP/1.1 200 OK\r\n:\r\n"};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(text); i++) {
		enum ep_http_state before;
		size_t used = 7;
		struct fed f;

		feed(&f, EP_HTTP_RESPONSE, text[i], strlen(text[i]), 100);
		before = f.head.state;
		assert_int_not_equal(before, EP_HTTP_PARTIAL);
		assert_int_equal(ep_http_head_push(&f.head, "HTTP", 4, &used), before);
		assert_int_equal(used, 0);
		free(f.buf);
	}
}

static void
any_split_gives_the_same_head(void **state)
{
	static const char text[] = "HTTP/1.1 404 Not Found\r\nServer: nginx\r\nA: b\n\r\nbody";
	const size_t head_len = strlen(text) - 4;

	(void)state;
	for (size_t first = 0; first <= head_len; first++)
		for (size_t second = first; second <= head_len; second++) {
			struct ep_http_view value;
			struct fed f;
			size_t used;

			feed(&f, EP_HTTP_RESPONSE, text, first, 200);
			assert_int_equal(f.used, first);
			ep_http_head_push(&f.head, text + first, second - first, &used);
			assert_int_equal(used, second - first);
			ep_http_head_push(&f.head, text + second, strlen(text) - second, &used);
			assert_int_equal(used, head_len - second);
			assert_int_equal(f.head.state, EP_HTTP_WHOLE);
			assert_int_equal(f.head.status, 404);
			assert_true(ep_http_field(&f.head, "a", &value));
			assert_view(value, "b");
			free(f.buf);
		}
}

static void
every_truncation_waits_for_more(void **state)
{
	static const char text[] = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";

	(void)state;
	for (size_t len = 0; len < strlen(text); len++) {
		struct fed f;

		feed(&f, EP_HTTP_REQUEST, text, len, 100);
		assert_int_equal(f.head.state, EP_HTTP_PARTIAL);
		free(f.buf);
	}
}

/* A changed byte gives another valid head, or an error, or a wait; never a line end where none is. */
static void
every_changed_byte_is_handled(void **state)
{
	char text[] = "HTTP/1.1 404 Not Found\r\nServer: nginx\r\n\r\n";

	(void)state;
	for (size_t at = 0; at < strlen(text); at++)
		for (unsigned int flip = 1; flip < 256; flip++) {
			struct fed f;
			const size_t len = sizeof(text) - 1;

			text[at] = (char)(text[at] ^ (char)flip);
			feed(&f, EP_HTTP_RESPONSE, text, len, 100);
			if (f.head.state == EP_HTTP_WHOLE) {
				assert_in_range(f.head.status, 100, 999);
				assert_memory_equal(text, "HTTP/1.", 7);
				assert_int_equal(text[f.used - 1], '\n');
			}
			if (at < 7)
				assert_int_equal(f.head.state, EP_HTTP_NOT_HTTP);
			text[at] = (char)(text[at] ^ (char)flip);
			free(f.buf);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status_lines_are_read),
		cmocka_unit_test(request_lines_are_read),
		cmocka_unit_test(fields_are_found_whatever_their_capitals),
		cmocka_unit_test(fields_of_a_head_under_way_are_not_found),
		cmocka_unit_test(responses_of_other_protocols_are_told_at_once),
		cmocka_unit_test(requests_of_other_protocols_are_told_at_once),
		cmocka_unit_test(lines_that_are_no_fields_are_malformed),
		cmocka_unit_test(nul_bytes_are_refused),
		cmocka_unit_test(as_many_fields_as_allowed_are_taken_and_no_more),
		cmocka_unit_test(heads_up_to_the_buffer_are_taken_and_longer_ones_not),
		cmocka_unit_test(nothing_is_taken_once_the_state_is_final),
		cmocka_unit_test(any_split_gives_the_same_head),
		cmocka_unit_test(every_truncation_waits_for_more),
		cmocka_unit_test(every_changed_byte_is_handled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
