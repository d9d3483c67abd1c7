#include <ep_ctrl.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct ep_range *
range_of(const char *text)
{
	struct ep_range *range = malloc(sizeof(*range));

	assert_non_null(range);
	assert_int_equal(ep_range_parse(text, "ports", range, NULL), 0);
	return range;
}

/** Asks for just what limits_default() allows. */
static struct ep_ctrl_hello
hello_default(void)
{
	return (struct ep_ctrl_hello){
		.tool = "everyport 0.1.0",
		.ports = "50000-60000",
		.initiator = {.family = EP_WIRE_IPV4, .bytes_be = {192, 0, 2, 1}},
		.source_count = 2,
		.source_base = 20000,
		.source_span = 10000,
		.rate_pps = 50e3,
		.frame_bytes_max = 1518,
		.duration_ns = 60 * EP_NS_PER_S,
		.drain_ns = 2 * EP_NS_PER_S,
		.sweeps = 3,
	};
}

static struct ep_ctrl_limits
limits_default(const struct ep_range *ports)
{
	return (struct ep_ctrl_limits){
		.ports = ports,
		.rate_pps = 50e3,
		.duration_ns = 60 * EP_NS_PER_S,
		.flow_count = 20002,
		.frame_bytes_max = 1518,
	};
}

static void
hello_of_just_the_limits_is_allowed(void **state)
{
	struct ep_range *ports = range_of("50000-60000");
	const struct ep_ctrl_limits limits = limits_default(ports);
	struct ep_ctrl_hello hello = hello_default();
	struct ep_err err = {0};

	(void)state;
	assert_int_equal(ep_ctrl_limits_check(&limits, &hello, &err), 0);
	assert_int_equal(err.code, 0);
	assert_int_equal(ep_ctrl_limits_check(&limits, &hello, NULL), 0);
	hello.sweeps = 0;
	assert_int_equal(ep_ctrl_limits_check(&limits, &hello, NULL), 0);
	hello.sweeps = 1;
	hello.duration_ns = 0;
	assert_int_equal(ep_ctrl_limits_check(&limits, &hello, NULL), 0);
	free(ports);
}

static void
limits_of_zero_allow_everything(void **state)
{
	struct ep_range *ports = range_of("1-65535");
	const struct ep_ctrl_limits limits = {.ports = ports};
	struct ep_ctrl_hello hello = hello_default();

	(void)state;
	hello.rate_pps = 0;
	hello.duration_ns = EP_CTRL_DURATION_MAX_NS;
	hello.frame_bytes_max = 9018;
	hello.source_count = 10000;
	assert_int_equal(ep_ctrl_limits_check(&limits, &hello, NULL), 0);
	free(ports);
}

/** What a row changes in hello_default(). */
typedef void (*change_fn)(struct ep_ctrl_hello *hello);

static void
ask_100_kpps(struct ep_ctrl_hello *hello)
{
	hello->rate_pps = 100e3;
}

static void
ask_max(struct ep_ctrl_hello *hello)
{
	hello->rate_pps = 0;
}

static void
ask_90_s(struct ep_ctrl_hello *hello)
{
	hello->duration_ns = 90 * EP_NS_PER_S;
}

static void
ask_other_ports(struct ep_ctrl_hello *hello)
{
	snprintf(hello->ports, sizeof(hello->ports), "443,50000-60010");
}

static void
ask_many_other_ports(struct ep_ctrl_hello *hello)
{
	size_t used = strlen(hello->ports);

	for (int port = 100; port < 300; port += 2)
		used += (size_t)snprintf(
			hello->ports + used, sizeof(hello->ports) - used, ",%d", port);
}

static void
ask_three_sources(struct ep_ctrl_hello *hello)
{
	hello->source_count = 3;
}

static void
ask_jumbo(struct ep_ctrl_hello *hello)
{
	hello->frame_bytes_max = 9018;
}

static void
ask_no_ports(struct ep_ctrl_hello *hello)
{
	snprintf(hello->ports, sizeof(hello->ports), "60000-50000");
}

static void
ask_port_70000(struct ep_ctrl_hello *hello)
{
	snprintf(hello->ports, sizeof(hello->ports), "70000");
}

static void
ask_small_ipv6(struct ep_ctrl_hello *hello)
{
	hello->initiator.family = EP_WIRE_IPV6;
	hello->frame_bytes_max = 64;
}

static void
ask_more_sources_than_span(struct ep_ctrl_hello *hello)
{
	hello->source_count = 10001;
}

static void
ask_no_source(struct ep_ctrl_hello *hello)
{
	hello->source_count = 0;
}

static void
ask_sources_past_the_end(struct ep_ctrl_hello *hello)
{
	hello->source_base = 55537;
}

static void
ask_nothing(struct ep_ctrl_hello *hello)
{
	hello->sweeps = 0;
	hello->duration_ns = 0;
}

static void
each_refusal_names_what_was_asked_and_what_is_allowed(void **state)
{
	static const struct {
		change_fn change;
		int want;
		const char *sentence; /* NULL: another library's */
	} row[] = {
		{ask_100_kpps, -EPERM, "100 kpps asked, this responder allows 50 kpps"},
		{ask_max, -EPERM, "rate max asked, this responder allows 50 kpps"},
		{ask_90_s, -EPERM, "90 s asked, this responder allows 60 s"},
		{ask_other_ports, -EPERM,
			"ports 443,60001-60010 asked, this responder allows 50000-60000"},
		{ask_three_sources, -EPERM,
			"30003 flows (10001 ports with 3 sources) asked, this responder allows "
			"20002"},
		{ask_jumbo, -EPERM, "frames of 9018 B asked, this responder allows 1518 B"},
		{ask_no_ports, -EINVAL, NULL},
		{ask_port_70000, -EINVAL, NULL},
		{ask_small_ipv6, -EINVAL,
			"frames of 64 B asked, a probe over IPv6 needs at least 84 B"},
		{ask_more_sources_than_span, -EINVAL,
			"10001 source ports for each port out of 10000 asked, at least 1 and at "
			"most all of "
			"them"},
		{ask_no_source, -EINVAL,
			"0 source ports for each port out of 10000 asked, at least 1 and at most "
			"all of them"},
		{ask_sources_past_the_end, -EINVAL,
			"10000 source ports from 55537 on asked, the last port is 65535"},
		{ask_nothing, -EINVAL, "neither a sweep nor a load asked, at least one"},
	};
	struct ep_range *ports = range_of("50000-60000");
	const struct ep_ctrl_limits limits = limits_default(ports);

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		struct ep_ctrl_hello hello = hello_default();
		struct ep_err err = {0};

		row[i].change(&hello);
		assert_int_equal(ep_ctrl_limits_check(&limits, &hello, &err), row[i].want);
		assert_int_equal(ep_ctrl_limits_check(&limits, &hello, NULL), row[i].want);
		assert_int_equal(err.code, row[i].want);
		assert_true(strlen(err.text) > 0);
		if (row[i].sentence != NULL)
			assert_string_equal(err.text, row[i].sentence);
	}
	free(ports);
}

static void
a_long_list_of_ports_is_cut_with_dots(void **state)
{
	struct ep_range *ports = range_of("50000-60000");
	const struct ep_ctrl_limits limits = limits_default(ports);
	struct ep_ctrl_hello hello = hello_default();
	struct ep_err err = {0};

	(void)state;
	ask_many_other_ports(&hello);
	assert_int_equal(ep_ctrl_limits_check(&limits, &hello, &err), -EPERM);
	assert_non_null(strstr(err.text, "ports 100,102,104,"));
	assert_non_null(strstr(err.text, "... asked, this responder allows 50000-60000"));
	free(ports);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hello_of_just_the_limits_is_allowed),
		cmocka_unit_test(limits_of_zero_allow_everything),
		cmocka_unit_test(each_refusal_names_what_was_asked_and_what_is_allowed),
		cmocka_unit_test(a_long_list_of_ports_is_cut_with_dots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
