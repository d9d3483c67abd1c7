/* LiveKit configurations as tables: what ports they mean, where they contradict themselves, and what is no configuration. */

#include <ep_livekit.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Parse a copy of exactly this text, so that a sanitiser sees what is read behind it. */
static int
parse_exact(const char *text, size_t len, struct ep_livekit *livekit, struct ep_err *err)
{
	char *const copy = malloc(len > 0 ? len : 1);
	int ret;

	assert_non_null(copy);
	memcpy(copy, text, len);
	ret = ep_livekit_parse(copy, len, "livekit.yaml", livekit, err);
	free(copy);
	return ret;
}

static void
parse(const char *text, struct ep_livekit *livekit)
{
	struct ep_err err;

	if (parse_exact(text, strlen(text), livekit, &err) != 0)
		fail_msg("%s", err.text);
}

/* ---- Ports ---- */

/* The ports in one line, so that a case is a pair of texts. */
static void
ports_print(const struct ep_livekit *l, char *buf, size_t len)
{
	static const char *const kind[] = {"range", "mux", "any"};

	snprintf(buf, len, "port %u tcp %u %s%s %u-%u turn %s%s tls %u udp %u relay%s %u-%u '%s'",
		l->port, l->tcp_port, kind[l->media_kind], l->media_given ? "" : "*",
		l->media.first, l->media.last, l->turn_enabled ? "on" : "off",
		l->turn_external_tls ? " external" : "", l->turn_tls_port, l->turn_udp_port,
		l->turn_relay_given ? "" : "*", l->turn_relay.first, l->turn_relay.last,
		l->turn_domain);
}

/* "*" marks a default of LiveKit. */
static void
ports_are_those_that_livekit_would_use(void **state)
{
#define REST " turn off tls 0 udp 0 relay* 30000-40000 ''"
#define NO_TURN "port 7880 tcp 7881 "
	static const struct {
		const char *yaml, *want;
	} cases[] = {
		{"keys: {a: b}\n", NO_TURN "range* 50000-60000" REST},
		{"port: 7000\nrtc:\n  tcp_port: 7001\n",
			"port 7000 tcp 7001 range* 50000-60000" REST},
		{"rtc: {tcp_port: 0}\n", "port 7880 tcp 0 range* 50000-60000" REST},
		{"rtc:\n  tcp_port:\n  udp_port: ~\n  port_range_start: null\nturn:\n",
			NO_TURN "range* 50000-60000" REST},
		{"rtc: {port_range_start: 40000, port_range_end: 40100}\n",
			NO_TURN "range 40000-40100" REST},
		{"rtc: {port_range_start: 40000, port_range_end: 40000}\n",
			NO_TURN "range 40000-40000" REST},
		{"rtc: {udp_port: 7882}\n", NO_TURN "mux 7882-7882" REST},
		{"rtc: {udp_port: '7882'}\n", NO_TURN "mux 7882-7882" REST},
		{"rtc: {udp_port: 7882-7892}\n", NO_TURN "mux 7882-7892" REST},
		{"rtc: {udp_port: \" 7882 - 7892 \"}\n", NO_TURN "mux 7882-7892" REST},
		{"rtc: {udp_port: ''}\n", NO_TURN "range* 50000-60000" REST},
		{"rtc: {udp_port: 0}\n", NO_TURN "range* 50000-60000" REST},
		{"rtc: {udp_port: [7882, 7883]}\n", NO_TURN "range* 50000-60000" REST},
		{"rtc: {udp_port: 7882, port_range_start: 1, port_range_end: 65535}\n",
			NO_TURN "range 1-65535" REST},
		{"rtc: {udp_port: 7882, port_range_start: 50000}\n", NO_TURN "mux 7882-7882" REST},
		{"rtc: {port_range_start: 50000}\n", NO_TURN "any 0-0" REST},
		{"rtc: {port_range_end: 50000}\n", NO_TURN "range* 50000-60000" REST},
		{"rtc: {port_range_start: 60000, port_range_end: 50000}\n",
			NO_TURN "range 50000-60000" REST},
		{"development: true\n",
			NO_TURN "mux* 7882-7882 turn off tls 0 udp 0 relay* 30000-30002 ''"},
		{"turn: {enabled: true, udp_port: 443, tls_port: 5349, external_tls: yes,\n"
		 "  domain: turn.example.org, relay_range_start: 1024, relay_range_end: 30000}\n",
			NO_TURN "range* 50000-60000 turn on external tls 5349 udp 443 relay "
				"1024-30000 'turn.example.org'"},
		{"turn: {enabled: off, udp_port: 3478, relay_range_start: 5}\n",
			NO_TURN "range* 50000-60000 turn off tls 0 udp 3478 relay* 30000-40000 ''"},
		/* The first document only, and nothing behind its end. */
		{"---\nport: 1\n...\nport: 2\n", "port 1 tcp 7881 range* 50000-60000" REST},
		{"port: 1\n---\nport: 2\n", "port 1 tcp 7881 range* 50000-60000" REST},
		/* Keys of the same name elsewhere are others. */
		{"redis: {port: 6379, tcp_port: 1, rtc: {tcp_port: 2}}\ntcp_port: 5\n",
			NO_TURN "range* 50000-60000" REST},
		{"? [a, b]\n: port\n? {rtc: 1}\n: x\nport: 9\n",
			"port 9 tcp 7881 range* 50000-60000" REST},
		{"\xEF\xBB\xBF# text\nport: 9 # more\n", "port 9 tcp 7881 range* 50000-60000" REST},
		{"{\"port\": 9, \"rtc\": {\"tcp_port\": 8}}",
			"port 9 tcp 8 range* 50000-60000" REST},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(cases); i++) {
		struct ep_livekit livekit;
		char got[512];

		parse(cases[i].yaml, &livekit);
		ports_print(&livekit, got, sizeof(got));
		assert_string_equal(got, cases[i].want);
	}
}

static void
true_and_false_have_the_words_of_yaml(void **state)
{
	static const char *const words[2][11] = {
		{"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N"},
		{"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y"},
	};

	(void)state;
	for (int value = 0; value < 2; value++)
		for (size_t i = 0; i < 11; i++) {
			struct ep_livekit livekit;
			char yaml[64];

			snprintf(yaml, sizeof(yaml), "turn: {enabled: %s}\n", words[value][i]);
			parse(yaml, &livekit);
			assert_int_equal(livekit.turn_enabled, value);
		}
}

/* ---- Contradictions ---- */

/* The sentences in one text, a line each. */
static void
sentences_print(const struct ep_livekit *l, char *buf, size_t len)
{
	buf[0] = '\0';
	for (uint32_t i = 0; i < l->contradiction_count; i++)
		snprintf(buf + strlen(buf), len - strlen(buf), "%s%s", i > 0 ? "\n" : "",
			l->contradiction[i]);
}

#define TURN "turn: {enabled: true, udp_port: 443, relay_range_start: 30000, relay_range_end: 40000"

/* What is said, in order and without any other sentence; "|" stands between sentences, each given by a part of it. */
static const struct {
	const char *yaml, *want;
} contradictions[] = {
	{"port: 7880\n", ""},
	{"rtc: {port_range_start: 50000, port_range_end: 60000, tcp_port: 7881}\n" TURN "}\n", ""},
	{"rtc: {udp_port: 7882-7892}\n", ""},
	{"rtc: {udp_port: 7882, port_range_start: 50000, port_range_end: 60000}\n",
		"set beside rtc.udp_port: LiveKit uses the range"},
	{"rtc: {udp_port: [7882], port_range_start: 50000, port_range_end: 60000}\n",
		"set beside rtc.udp_port|rtc.udp_port is a list"},
	{"rtc: {port_range_start: 50000}\n",
		"rtc.port_range_start is 50000 but rtc.port_range_end is not set: LiveKit sends "
		"media from any free UDP port"},
	{"rtc: {port_range_end: 55000}\n",
		"rtc.port_range_end is 55000 but rtc.port_range_start is not set: LiveKit ignores "
		"it and uses UDP 50000 to 60000"},
	{"rtc: {port_range_end: 55000, udp_port: 7882}\n",
		"only one of rtc.port_range_start and rtc.port_range_end is set (55000): LiveKit "
		"ignores it and uses rtc.udp_port 7882"},
	{"rtc: {port_range_start: 60000, port_range_end: 50000}\n",
		"rtc.port_range_start 60000 is above rtc.port_range_end 50000"},
	{"rtc: {udp_port: 7892-7882}\n", "rtc.udp_port is 7892-7882, but its end"},
	{"rtc: {udp_port: 7882-7882}\n", "rtc.udp_port is 7882-7882, but its end"},
	{"rtc: {udp_port: [7882, 7883]}\n", "rtc.udp_port is a list, which LiveKit ignores"},
	{"rtc: {tcp_port: 0, allow_tcp_fallback: true}\n", "there is no TCP port to fall back to"},
	{"rtc: {allow_tcp_fallback: false}\n",
		"rtc.allow_tcp_fallback is false but rtc.tcp_port "
		"is 7881"},
	{"rtc: {tcp_port: 0, allow_tcp_fallback: false}\n", ""},
	{"rtc: {tcp_port: 81}\n", "rtc.tcp_port is 81: below 1024 browsers take 80 and 443"},
	{"rtc: {tcp_port: 443}\n", ""},
	{"turn: {udp_port: 443, tls_port: 5349}\n",
		"turn.udp_port is 443 but turn.enabled is not true|turn.tls_port is 5349 but"},
	{"turn: {enabled: true, udp_port: 443}\n",
		"turn.relay_range_start and turn.relay_range_end are not set: LiveKit relays over "
		"UDP 30000 to 40000"},
	{"turn: {enabled: true, udp_port: 443, relay_range_end: 35000}\n",
		"only one of turn.relay_range_start and turn.relay_range_end is set (35000)"},
	{"turn: {enabled: true, udp_port: 443, relay_range_start: 9, relay_range_end: 8}\n",
		"turn.relay_range_start 9 is above turn.relay_range_end 8"},
	{"turn: {enabled: true, relay_range_start: 1, relay_range_end: 2}\n",
		"neither turn.udp_port nor turn.tls_port is set: LiveKit does not start"},
	{TURN ", tls_port: 5349}\n", "turn.tls_port is 5349 but turn.domain is not set"},
	{TURN ", tls_port: 5349, domain: turn.example.org}\n", ""},
	{"turn: {enabled: true, udp_port: 444, relay_range_start: 30000, relay_range_end: 40000}\n",
		"turn.udp_port is 444: below 1024"},
	/* Overlaps. */
	{"port: 7881\n", "port and rtc.tcp_port both use TCP port 7881: only one"},
	{"rtc: {tcp_port: 5349}\n" TURN ", tls_port: 5349, domain: a.b}\n",
		"rtc.tcp_port and turn.tls_port both use TCP port 5349"},
	{"rtc: {udp_port: 443}\n" TURN "}\n",
		"rtc.udp_port and turn.udp_port both use UDP port 443"},
	{"rtc: {port_range_start: 35000, port_range_end: 45000}\n" TURN "}\n",
		"rtc.port_range_start to _end and turn.relay_range_start to _end both use UDP "
		"ports 35000 to 40000"},
	{"rtc: {port_range_start: 40000, port_range_end: 45000}\n" TURN "}\n",
		"both use UDP port 40000"},
	{"rtc: {port_range_start: 40001, port_range_end: 45000}\n" TURN "}\n", ""},
	/* TURN that is off takes no ports. */
	{"rtc: {tcp_port: 0, udp_port: 443}\nturn: {udp_port: 443}\n",
		"turn.udp_port is 443 but turn.enabled is not true"},
	{"rtc: {port_range_start: 35000}\n" TURN "}\n", "LiveKit sends media from any free UDP"},
};

/* Each part of want is in its own sentence, and there is no other. */
static void
sentences_check(const struct ep_livekit *l, const char *want)
{
	char copy[512], all[2048];
	char *rest = copy;
	uint32_t count = 0;

	sentences_print(l, all, sizeof(all));
	snprintf(copy, sizeof(copy), "%s", want);
	while (want[0] != '\0' && rest != NULL) {
		const char *const part = strsep(&rest, "|");

		if (count >= l->contradiction_count ||
			strstr(l->contradiction[count], part) == NULL)
			fail_msg("'%s' is not sentence %u of:\n%s", part, count, all);
		count++;
	}
	if (count != l->contradiction_count)
		fail_msg("%u sentences wanted, got:\n%s", count, all);
}

static void
contradictions_are_told_and_nothing_else(void **state)
{
	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(contradictions); i++) {
		struct ep_livekit livekit;

		parse(contradictions[i].yaml, &livekit);
		sentences_check(&livekit, contradictions[i].want);
	}
}

/* As many as can come at once are whole sentences, within their number. */
static void
a_file_with_everything_wrong_gets_all_its_sentences(void **state)
{
	struct ep_livekit livekit;

	(void)state;
	parse("port: 81\n"
	      "rtc: {tcp_port: 81, udp_port: 30010-30000, port_range_start: 60000, "
	      "port_range_end: 1, allow_tcp_fallback: false}\n"
	      "turn: {enabled: true, udp_port: 81, tls_port: 81, relay_range_start: 65535, "
	      "relay_range_end: 1}\n",
		&livekit);
	assert_in_range(livekit.contradiction_count, 12, EP_LIVEKIT_CONTRADICTIONS_MAX - 1);
	for (uint32_t i = 0; i < livekit.contradiction_count; i++)
		assert_true(strlen(livekit.contradiction[i]) < EP_LIVEKIT_SENTENCE_BYTES - 1);
}

/* ---- What is no configuration ---- */

static void
bad_files_are_refused_with_the_line_and_what_is_allowed(void **state)
{
	static const struct {
		const char *yaml;
		int code;
		const char *want;
	} cases[] = {
		{"", -EINVAL, "livekit.yaml is empty"},
		{"# only words\n", -EINVAL, "is empty"},
		{"---\n...\n", -EINVAL, "is empty"},
		{"~\n", -EINVAL, "is empty"},
		{"- port\n", -EINVAL, "line 1: no mapping"},
		{"7880\n", -EINVAL, "line 1: no mapping"},
		{"port: 7880\n\trtc:\n", -EBADMSG, "line 2: no YAML"},
		{"a: [7880\n", -EBADMSG, "no YAML"},
		{"a: \001\n", -EBADMSG, "no YAML"},
		{"a: \xFF\xFF\n", -EBADMSG, "no YAML"},
		{"port: 1\nrtc: 5\n", -EINVAL, "line 2: rtc is no mapping"},
		{"rtc: [5]\n", -EINVAL, "rtc is no mapping"},
		{"port: 1\n\nport: 2\n", -EINVAL, "line 3: port is given a second time"},
		{"rtc: {tcp_port: 1, tcp_port: 1}\n", -EINVAL, "rtc.tcp_port is given a second"},
		{"rtc: {}\nturn: {}\nrtc: {}\n", -EINVAL, "line 3: rtc is given a second time"},
		{"port: abc\n", -EINVAL,
			"line 1: port is 'abc'; allowed is a number from 1 to 65535, without "
			"quotes"},
		{"port: '7880'\n", -EINVAL, "port is '7880'; allowed"},
		{"port: 7880.0\n", -EINVAL, "port is '7880.0'"},
		{"port: 0x1F\n", -EINVAL, "port is '0x1F'"},
		{"port: 07880\n", -EINVAL, "port is '07880'"},
		{"port: -1\n", -EINVAL, "port is '-1'"},
		{"port: 65536\n", -ERANGE, "port is '65536'"},
		{"port: 4294967376\n", -ERANGE, "port is '4294967376'"}, /* 2^32 + 80 */
		{"port: 99999999999999999999\n", -ERANGE, "port is '99999999999999999999'"},
		{"port: 0\n", -ERANGE, "port is '0'; allowed is a number from 1"},
		{"port: {a: b}\n", -EINVAL, "port is 'a list or a mapping'"},
		{"rtc:\n  tcp_port: 65536\n", -ERANGE, "line 2: rtc.tcp_port is '65536'"},
		{"rtc: {udp_port: {a: b}}\n", -EINVAL, "rtc.udp_port is 'a list or a mapping'"},
		{"rtc: {udp_port: 7882-}\n", -EINVAL, "or a range of them such as 7882-7892"},
		{"rtc: {udp_port: -7882}\n", -EINVAL, "rtc.udp_port is '-7882'"},
		{"rtc: {udp_port: 1-2-3}\n", -EINVAL, "rtc.udp_port is '1-2-3'"},
		{"rtc: {udp_port: 0-7}\n", -ERANGE, "rtc.udp_port is '0-7'"},
		{"rtc: {udp_port: 7-0}\n", -ERANGE, "rtc.udp_port is '7-0'"},
		{"rtc: {udp_port: 7-65536}\n", -ERANGE, "rtc.udp_port is '7-65536'"},
		{"turn: {enabled: 1}\n", -EINVAL, "turn.enabled is '1'; allowed is true or false"},
		{"turn: {enabled: 'true'}\n", -EINVAL, "turn.enabled is 'true'; allowed"},
		{"turn: {external_tls: [true]}\n", -EINVAL, "turn.external_tls is 'a list"},
		{"turn: {domain: [a]}\n", -EINVAL, "turn.domain is 'a list or a mapping'"},
		{"turn: {domain: a b}\n", -EINVAL, "turn.domain is 'a b'; allowed is a host name"},
		{"turn: {domain: \"a\\e[1m\"}\n", -EINVAL, "turn.domain is 'a?[1m'"},
		{"a: &x 5\nport: *x\n", -ENOTSUP, "line 2: port is an alias"},
		{"a: &x {tcp_port: 5}\nrtc: *x\n", -ENOTSUP, "line 2: rtc is an alias"},
		{"a: &x 5\nrtc: {udp_port: *x}\n", -ENOTSUP, "rtc.udp_port is an alias"},
		{"a: &x {port: 5}\n<<: *x\n", -ENOTSUP, "line 2: a merge key"},
		{"a: &x {tcp_port: 5}\nrtc:\n  <<: *x\n", -ENOTSUP, "line 3: a merge key"},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(cases); i++) {
		struct ep_livekit livekit = {.port = 77};
		struct ep_err err = {0};
		const int ret = parse_exact(cases[i].yaml, strlen(cases[i].yaml), &livekit, &err);

		if (ret != cases[i].code || strstr(err.text, cases[i].want) == NULL)
			fail_msg(
				"case %zu: %d, '%s', wanted '%s'", i, ret, err.text, cases[i].want);
		assert_int_equal(livekit.port, 77); /* not touched */
		assert_non_null(strstr(err.text, "livekit.yaml"));
	}
}

static void
domain_has_its_longest(void **state)
{
	char yaml[512], name[EP_LIVEKIT_DOMAIN_BYTES + 1] = "";
	struct ep_livekit livekit;

	(void)state;
	memset(name, 'a', EP_LIVEKIT_DOMAIN_BYTES - 1);
	snprintf(yaml, sizeof(yaml), "turn: {domain: %s}\n", name);
	parse(yaml, &livekit);
	assert_string_equal(livekit.turn_domain, name);
	snprintf(yaml, sizeof(yaml), "turn: {domain: %sa}\n", name);
	assert_int_equal(parse_exact(yaml, strlen(yaml), &livekit, NULL), -EINVAL);
}

/* ---- Size, depth, aliases ---- */

static void
files_up_to_the_limit_are_read_and_longer_ones_not(void **state)
{
	static char text[EP_LIVEKIT_FILE_MAX + 1];
	struct ep_livekit livekit;
	struct ep_err err;

	(void)state;
	memset(text, '#', sizeof(text));
	memcpy(text, "port: 9\n", 8);
	assert_int_equal(parse_exact(text, EP_LIVEKIT_FILE_MAX, &livekit, &err), 0);
	assert_int_equal(livekit.port, 9);
	assert_int_equal(parse_exact(text, EP_LIVEKIT_FILE_MAX + 1, &livekit, &err), -EFBIG);
	assert_non_null(strstr(err.text, "262145 B; at most 262144 B"));
}

static void
nesting_up_to_the_limit_is_skipped_and_deeper_is_refused(void **state)
{
	char text[2 * EP_LIVEKIT_DEPTH_MAX + 32];
	struct ep_livekit livekit;
	struct ep_err err;

	(void)state;
	for (int depth = EP_LIVEKIT_DEPTH_MAX; depth <= EP_LIVEKIT_DEPTH_MAX + 1; depth++) {
		const char *const nest = "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[";
		const char *const end = "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]";
		const bool fits = depth <= EP_LIVEKIT_DEPTH_MAX;

		snprintf(text, sizeof(text), "a: %.*s%.*s\nport: 9\n", depth, nest, depth, end);
		assert_int_equal(
			parse_exact(text, strlen(text), &livekit, &err), fits ? 0 : -E2BIG);
		if (!fits)
			assert_non_null(strstr(err.text, "deeper than 32 levels"));
	}
}

/* Nine levels of nine aliases would be 9^9 values; they are skipped as they stand. */
static void
an_alias_bomb_is_skipped_as_it_stands(void **state)
{
	char text[2048] = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n";
	struct ep_livekit livekit;

	(void)state;
	for (int i = 1; i < 9; i++) {
		const int b = i - 1;

		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			"a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i,
			b, b, b, b, b, b, b, b, b);
	}
	snprintf(text + strlen(text), sizeof(text) - strlen(text), "port: 9\n");
	parse(text, &livekit);
	assert_int_equal(livekit.port, 9);
	snprintf(text + strlen(text), sizeof(text) - strlen(text), "rtc: *a8\n");
	assert_int_equal(parse_exact(text, strlen(text), &livekit, NULL), -ENOTSUP);
}

/* ---- Damage ---- */

static const char sample[] =
	"port: 7880\nrtc:\n  port_range_start: 50000\n  port_range_end: 60000\n"
	"  tcp_port: 7881\nturn:\n  enabled: true\n  udp_port: 443\n"
	"  domain: 'turn.example.org'\n";

static void
outcome_check(const char *text, size_t len)
{
	struct ep_livekit livekit;
	struct ep_err err = {0};

	if (parse_exact(text, len, &livekit, &err) < 0) {
		assert_true(strlen(err.text) > 0);
		return;
	}
	assert_true(livekit.port != 0);
	assert_true(livekit.media.first <= livekit.media.last);
	assert_in_range(livekit.contradiction_count, 0, EP_LIVEKIT_CONTRADICTIONS_MAX);
}

static void
every_truncation_and_changed_byte_is_handled(void **state)
{
	char text[sizeof(sample)];

	(void)state;
	for (size_t len = 0; len < strlen(sample); len++)
		outcome_check(sample, len);
	memcpy(text, sample, sizeof(text));
	for (size_t at = 0; at < strlen(sample); at++)
		for (unsigned int flip = 1; flip < 256; flip += 2) {
			text[at] = (char)(text[at] ^ (char)flip);
			outcome_check(text, strlen(sample));
			text[at] = (char)(text[at] ^ (char)flip);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ports_are_those_that_livekit_would_use),
		cmocka_unit_test(true_and_false_have_the_words_of_yaml),
		cmocka_unit_test(contradictions_are_told_and_nothing_else),
		cmocka_unit_test(a_file_with_everything_wrong_gets_all_its_sentences),
		cmocka_unit_test(bad_files_are_refused_with_the_line_and_what_is_allowed),
		cmocka_unit_test(domain_has_its_longest),
		cmocka_unit_test(files_up_to_the_limit_are_read_and_longer_ones_not),
		cmocka_unit_test(nesting_up_to_the_limit_is_skipped_and_deeper_is_refused),
		cmocka_unit_test(an_alias_bomb_is_skipped_as_it_stands),
		cmocka_unit_test(every_truncation_and_changed_byte_is_handled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
