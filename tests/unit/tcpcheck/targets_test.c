#include <ep_tcpcheck.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void
list_is_read_as_it_is_written(void **state)
{
	static const struct {
		enum ep_tcpcheck_transport transport;
		const char *text, *read;
	} cases[] = {
		{EP_TCPCHECK_TCP, "80,443,7881", "80=http,443=tls,7881=ice-tcp"},
		{EP_TCPCHECK_TCP, "7881,80", "80=http,7881=ice-tcp"},
		{EP_TCPCHECK_TCP, "8443=tls,9000=connect,7881=ice-tcp",
			"7881=ice-tcp,8443=tls,9000=connect"},
		{EP_TCPCHECK_TCP, "22", "22=connect"},
		{EP_TCPCHECK_TCP, "443=connect", "443=connect"},
		{EP_TCPCHECK_TCP, "9000-9002=http", "9000=http,9001=http,9002=http"},
		{EP_TCPCHECK_TCP, "443=tls,443=turn-tls", "443=tls,443=turn-tls"},
		{EP_TCPCHECK_TCP, "80,80,80=http", "80=http"},
		{EP_TCPCHECK_TCP, "none", "none"},
		{EP_TCPCHECK_TCP, "1,65535", "1=connect,65535=connect"},
		{EP_TCPCHECK_UDP, "443,3478=stun", "443=turn,3478=stun"},
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(cases); i++) {
		struct ep_tcpcheck_targets t = {0}, again = {0};

		assert_int_equal(ep_tcpcheck_targets_parse(
					 cases[i].text, "--x", cases[i].transport, &t, NULL),
			0);
		ep_tcpcheck_targets_format(&t, cases[i].transport, text, sizeof(text));
		assert_string_equal(text, cases[i].read);
		/* What is written is read as the same. */
		assert_int_equal(
			ep_tcpcheck_targets_parse(text, "--x", cases[i].transport, &again, NULL),
			0);
		assert_int_equal(again.count, t.count);
		for (uint32_t k = 0; k < t.count; k++) {
			assert_int_equal(again.target[k].transport, t.target[k].transport);
			assert_int_equal(again.target[k].port, t.target[k].port);
			assert_int_equal(again.target[k].check, t.target[k].check);
			assert_true(again.target[k].required && t.target[k].required);
		}
	}
}

static void
bad_list_has_a_sentence_and_changes_nothing(void **state)
{
	static const struct {
		enum ep_tcpcheck_transport transport;
		const char *text;
		int code;
		const char *part;
	} cases[] = {
		{EP_TCPCHECK_TCP, "", -EINVAL, "''"},
		{EP_TCPCHECK_TCP, "abc", -EINVAL, "'abc': is no port"},
		{EP_TCPCHECK_TCP, "80,", -EINVAL, "''"},
		{EP_TCPCHECK_TCP, ",80", -EINVAL, "''"},
		{EP_TCPCHECK_TCP, "80x", -EINVAL, "'80x'"},
		{EP_TCPCHECK_TCP, "80 ", -EINVAL, "'80 '"},
		{EP_TCPCHECK_TCP, "-80", -EINVAL, "'-80'"},
		{EP_TCPCHECK_TCP, "80-", -EINVAL, "'80-'"},
		{EP_TCPCHECK_TCP, "80=", -EINVAL, "allowed are connect"},
		{EP_TCPCHECK_TCP, "80=htt", -EINVAL, "htt is no check of a TCP port"},
		{EP_TCPCHECK_TCP, "80=https,443", -EINVAL, "https is no check"},
		{EP_TCPCHECK_TCP, "0", -ERANGE, "1 to 65535"},
		{EP_TCPCHECK_TCP, "65536", -ERANGE, "1 to 65535"},
		{EP_TCPCHECK_TCP, "99999999999999999999999", -ERANGE, "1 to 65535"},
		{EP_TCPCHECK_TCP, "90-80", -ERANGE, "ascending"},
		{EP_TCPCHECK_TCP, "1000-2000", -ERANGE, "at most 32"},
		{EP_TCPCHECK_TCP, "80,none", -EINVAL, "'none'"},
		{EP_TCPCHECK_UDP, "443=tls", -EINVAL, "allowed are stun and turn"},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(cases); i++) {
		struct ep_tcpcheck_targets t = {0}, before;
		struct ep_err err = {0};

		assert_int_equal(ep_tcpcheck_targets_preset("plugnmeet", &t, NULL), 0);
		before = t;
		if (ep_tcpcheck_targets_parse(cases[i].text, "--x", cases[i].transport, &t, &err) !=
				cases[i].code ||
			strstr(err.text, cases[i].part) == NULL || strncmp(err.text, "--x", 3) != 0)
			fail_msg("'%s': %d, %s", cases[i].text, err.code, err.text);
		assert_memory_equal(&t, &before, sizeof(t));
	}
}

static void
list_takes_the_place_of_its_own_transport_only(void **state)
{
	struct ep_tcpcheck_targets t = {0};
	char text[128];

	(void)state;
	assert_int_equal(ep_tcpcheck_targets_preset("livekit", &t, NULL), 0);
	assert_int_equal(ep_tcpcheck_targets_parse("9000", "--tcp", EP_TCPCHECK_TCP, &t, NULL), 0);
	assert_string_equal(ep_tcpcheck_targets_format(&t, EP_TCPCHECK_TCP, text, sizeof(text)),
		"9000=connect");
	assert_string_equal(ep_tcpcheck_targets_format(&t, EP_TCPCHECK_UDP, text, sizeof(text)),
		"3478=turn,7882=stun");
	assert_int_equal(ep_tcpcheck_targets_parse("none", "--tcp", EP_TCPCHECK_TCP, &t, NULL), 0);
	assert_int_equal(t.count, 2);
}

static void
presets_are_those_of_the_servers(void **state)
{
	struct ep_tcpcheck_targets t = {0};
	struct ep_err err = {0};
	char text[128];

	(void)state;
	assert_int_equal(ep_tcpcheck_targets_preset("plugnmeet", &t, NULL), 0);
	assert_string_equal(ep_tcpcheck_targets_format(&t, EP_TCPCHECK_TCP, text, sizeof(text)),
		"80=http,443=tls,7881=ice-tcp");
	assert_string_equal(
		ep_tcpcheck_targets_format(&t, EP_TCPCHECK_UDP, text, sizeof(text)), "443=turn");
	assert_int_equal(ep_tcpcheck_targets_preset("livekit", &t, NULL), 0);
	assert_string_equal(ep_tcpcheck_targets_format(&t, EP_TCPCHECK_TCP, text, sizeof(text)),
		"5349=turn-tls,7880=http,7881=ice-tcp");
	assert_int_equal(ep_tcpcheck_targets_preset("zoom", &t, &err), -EINVAL);
	assert_non_null(strstr(err.text, "plugnmeet and livekit"));
}

static void
full_list_takes_no_more(void **state)
{
	struct ep_tcpcheck_targets t = {0};
	struct ep_tcpcheck_target one = {EP_TCPCHECK_TCP, 0, EP_TCPCHECK_CONNECT, true};

	(void)state;
	for (uint16_t i = 0; i < EP_TCPCHECK_TARGETS_MAX; i++) {
		one.port = (uint16_t)(1000 - i);
		assert_int_equal(ep_tcpcheck_targets_add(&t, &one), 0);
	}
	for (uint32_t i = 1; i < t.count; i++)
		assert_true(t.target[i].port > t.target[i - 1].port);
	assert_int_equal(ep_tcpcheck_targets_add(&t, &one), 0); /* it is there */
	one.port = 1;
	assert_int_equal(ep_tcpcheck_targets_add(&t, &one), -ERANGE);
}

static void
advice_has_the_rule_whole_for_every_status(void **state)
{
	(void)state;
	for (int s = 0; s < EP_TCPCHECK_STATUSES; s++) {
		const struct ep_tcpcheck_row row = {.transport = EP_TCPCHECK_UDP,
			.port = 65535,
			.status = (enum ep_tcpcheck_status)s,
			.has_icmp = true};
		char whole[2048], cut[sizeof(row.advice)];

		ep_tcpcheck_advice(&row, whole, sizeof(whole));
		ep_tcpcheck_advice(&row, cut, sizeof(cut));
		assert_string_equal(whole, cut);
		assert_true(
			(whole[0] == '\0') == (s == EP_TCPCHECK_OPEN || s == EP_TCPCHECK_PENDING));
		if (s != EP_TCPCHECK_FILTERED && s != EP_TCPCHECK_REFUSED &&
			s != EP_TCPCHECK_UNREACHABLE)
			continue;
		assert_non_null(strstr(whole, "ufw allow 65535/udp"));
		assert_non_null(
			strstr(whole, "nft insert rule inet filter input udp dport 65535 accept"));
		/* Both families: a rule for IPv4 does nothing for a server of IPv6. */
		assert_non_null(strstr(whole,
			"'IpProtocol=udp,FromPort=65535,ToPort=65535,"
			"IpRanges=[{CidrIp=0.0.0.0/0}],Ipv6Ranges=[{CidrIpv6=::/0}]'"));
	}
}

static void
every_status_and_check_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (int a = 0; a < EP_TCPCHECK_STATUSES; a++)
		for (int b = 0; b < a; b++)
			assert_string_not_equal(ep_tcpcheck_status_name((enum ep_tcpcheck_status)a),
				ep_tcpcheck_status_name((enum ep_tcpcheck_status)b));
	for (int a = 0; a < EP_TCPCHECK_CHECKS; a++)
		for (int b = 0; b < a; b++)
			assert_string_not_equal(ep_tcpcheck_check_name((enum ep_tcpcheck_check)a),
				ep_tcpcheck_check_name((enum ep_tcpcheck_check)b));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(list_is_read_as_it_is_written),
		cmocka_unit_test(bad_list_has_a_sentence_and_changes_nothing),
		cmocka_unit_test(list_takes_the_place_of_its_own_transport_only),
		cmocka_unit_test(presets_are_those_of_the_servers),
		cmocka_unit_test(full_list_takes_no_more),
		cmocka_unit_test(advice_has_the_rule_whole_for_every_status),
		cmocka_unit_test(every_status_and_check_has_a_name_of_its_own),
	};

	return cmocka_run_group_tests_name("tcpcheck_targets", tests, NULL, NULL);
}
