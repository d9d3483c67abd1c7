#include <ep_base.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void
format_pps_picks_the_unit(void **state)
{
	static const struct {
		double pps;
		const char *want;
	} row[] = {
		{0, "0 pps"},
		{0.5, "0.5 pps"},
		{50, "50 pps"},
		{999, "999 pps"},
		{999.96, "1 kpps"},
		{1000, "1 kpps"},
		{100e3, "100 kpps"},
		{999.94e3, "999.9 kpps"},
		{999.96e3, "1 Mpps"},
		{1.5e6, "1.5 Mpps"},
		{14880952, "14.88 Mpps"},
		{10e9, "10 Gpps"},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		char buf[32];

		assert_string_equal(ep_pps_format(buf, sizeof(buf), row[i].pps), row[i].want);
	}
}

static void
format_duration_picks_the_unit(void **state)
{
	static const struct {
		uint64_t ns;
		const char *want;
	} row[] = {
		{0, "0 ns"},
		{999, "999 ns"},
		{31000, "31 us"},
		{999960, "1 ms"},
		{250 * EP_NS_PER_MS, "250 ms"},
		{1500 * EP_NS_PER_MS, "1.5 s"},
		{10 * EP_NS_PER_S, "10 s"},
		{119 * EP_NS_PER_S, "119 s"},
		{300 * EP_NS_PER_S, "5 min"},
		{7200 * EP_NS_PER_S, "2 h"},
		{UINT64_C(8784) * 3600 * EP_NS_PER_S, "8784 h"},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		char buf[32];

		assert_string_equal(ep_duration_format(buf, sizeof(buf), row[i].ns), row[i].want);
	}
}

static void
format_never_writes_past_its_buffer(void **state)
{
	char buf[8];

	(void)state;
	memset(buf, 'x', sizeof(buf));
	assert_string_equal(ep_pps_format(buf, 4, 14880952), "14.");
	assert_string_equal(ep_duration_format(buf, 4, 250 * EP_NS_PER_MS), "250");
	assert_memory_equal(buf + 4, "xxxx", 4);
}

/* Format shows four digits; a text without its blank is a text the parser takes. */
static void
format_shows_what_parse_reads(void **state)
{
	static const char *const text[] = {"31 us", "250 ms", "1.5 s", "10 s", "5 min", "2 h"};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(text); i++) {
		char typed[16] = "", buf[16];
		uint64_t ns;

		snprintf(typed, sizeof(typed), "%.*s%s", (int)strcspn(text[i], " "), text[i],
			strchr(text[i], ' ') + 1);
		assert_int_equal(ep_duration_parse(typed, "--duration", &ns, NULL), 0);
		assert_string_equal(ep_duration_format(buf, sizeof(buf), ns), text[i]);
	}
}

/* What a far side wrote may not reach a terminal as it is. */
static void
format_text_leaves_printable_ascii_only(void **state)
{
	char buf[8];

	(void)state;
	assert_string_equal(ep_text_format(buf, sizeof(buf), "a\033[\xC3\n~ ", 8), "a?[??~ ");
	assert_string_equal(ep_text_format(buf, sizeof(buf), "a\0b\x7F", 4), "a?b?");
	assert_string_equal(ep_text_format(buf, sizeof(buf), "123456789", 9), "1234567");
	assert_string_equal(ep_text_format(buf, 1, "x", 1), "");
	assert_string_equal(ep_text_format(buf, sizeof(buf), NULL, 0), "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(format_pps_picks_the_unit),
		cmocka_unit_test(format_duration_picks_the_unit),
		cmocka_unit_test(format_never_writes_past_its_buffer),
		cmocka_unit_test(format_shows_what_parse_reads),
		cmocka_unit_test(format_text_leaves_printable_ascii_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
