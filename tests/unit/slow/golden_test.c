/*
 * The stack in the place of a Linux kernel: what another kernel said to that one is answered as that one did. The frames are in
 * tests/golden/slow/kernel.txt; capture.sh beside it says how they were made.
 */

#include "slow_paths.h"
#include "slow_util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LINES_MAX 64

struct line {
	bool ours;
	struct util_packet frame;
};

static struct line line[LINES_MAX];
static size_t line_count;

static void
line_read(const char *text)
{
	struct line *l = &line[line_count];
	const char *hex = strchr(text, ' ');
	unsigned int byte;

	assert_non_null(hex);
	assert_true(line_count < LINES_MAX);
	l->ours = strncmp(text, "us ", 3) == 0;
	assert_true(l->ours || strncmp(text, "peer ", 5) == 0);
	for (hex++; sscanf(hex, "%2x", &byte) == 1; hex += 2)
		l->frame.bytes[l->frame.len++] = (uint8_t)byte;
	line_count++;
}

static void
golden_read(void)
{
	FILE *file = fopen(slow_golden_path, "r");
	char text[4096];

	if (file == NULL)
		fail_msg("%s cannot be read", slow_golden_path);
	while (fgets(text, sizeof(text), file) != NULL)
		if (text[0] != '#')
			line_read(text);
	fclose(file);
	assert_true(line_count > 20);
}

/* The host of capture.sh, its addresses its own; the frames of its start are appended to `said`. */
static struct ep_slow_stack *
stack_of_capture(struct util_packet *said, size_t *said_count)
{
	struct ep_slow_cfg cfg = {
		.mac = {2, [5] = 1},
		.addr_count = 2,
		.addr = {{.prefix_bits = 24}, {.prefix_bits = 64}},
	};
	struct ep_slow_stack *s;

	assert_int_equal(ep_wire_ip_parse("198.18.0.1", &cfg.addr[0].ip, NULL), 0);
	assert_int_equal(ep_wire_ip_parse("2001:2::1", &cfg.addr[1].ip, NULL), 0);
	assert_int_equal(ep_slow_stack_create(&cfg, 0, &s, NULL), 0);
	while (ep_slow_stack_due_ns(s) != UINT64_MAX) {
		said->len = ep_slow_stack_poll(s, ep_slow_stack_due_ns(s), said->bytes);
		said++;
		(*said_count)++;
	}
	return s;
}

static bool
is_echo(const struct util_packet *p)
{
	const uint8_t *ip = p->bytes + 14;

	if (p->bytes[12] == 0x86)
		return ip[6] == 58 && ip[40] == 129;
	return p->bytes[12] == 0x08 && p->bytes[13] == 0 && ip[9] == 1 && ip[(ip[0] & 15) * 4] == 0;
}

/* A kernel numbers its packets, and returns the options of a ping; that apart, both answers are to be the same. */
static void
answers_equal(const struct util_packet *got, const struct util_packet *want)
{
	size_t got_at = 14 + (size_t)(got->bytes[14] & 15) * 4;
	size_t want_at = 14 + (size_t)(want->bytes[14] & 15) * 4;

	if (!is_echo(want) || want->bytes[12] == 0x86) {
		assert_int_equal(got->len, want->len);
		assert_memory_equal(got->bytes, want->bytes, want->len);
		return;
	}
	assert_memory_equal(got->bytes, want->bytes, 14);
	assert_memory_equal(got->bytes + 26, want->bytes + 26, 8); /* addresses */
	assert_int_equal(got->len - got_at, want->len - want_at);
	assert_memory_equal(got->bytes + got_at, want->bytes + want_at, want->len - want_at);
}

static void
the_stack_answers_a_kernel_as_a_kernel_does(void **state)
{
	struct util_packet said[16];
	size_t said_count = 0, answered = 0;
	struct ep_slow_stack *s = stack_of_capture(said, &said_count);

	(void)state;
	for (size_t i = 0; i < line_count; i++) {
		/* An answer stands behind its question, addressed to who asked or to all. */
		const bool is_answer = i + 1 < line_count && line[i + 1].ours &&
			(line[i + 1].frame.bytes[12] != 0x08 || line[i + 1].frame.bytes[21] == 2 ||
				is_echo(&line[i + 1].frame));
		struct util_packet got;

		if (line[i].ours)
			continue;
		got.len = ep_slow_stack_input(s, line[i].frame.bytes, line[i].frame.len,
			100 * EP_NS_PER_S + i * EP_NS_PER_S, got.bytes);
		print_message("# line %zu: %zu bytes\n", i, got.len);
		if (got.len == 0)
			continue;
		assert_true(is_answer);
		answers_equal(&got, &line[i + 1].frame);
		answered++;
	}
	/* ARP twice, a probe, solicitations twice and one that probes, pings without and with options, a ping of IPv6. */
	assert_int_equal(answered, 9);
	ep_slow_stack_destroy(s);
}

static bool
kernel_said(const struct util_packet *frame)
{
	for (size_t i = 0; i < line_count; i++)
		if (line[i].ours && line[i].frame.len == frame->len &&
			memcmp(line[i].frame.bytes, frame->bytes, frame->len) == 0)
			return true;
	return false;
}

static void
what_the_stack_asks_and_announces_a_kernel_words_the_same(void **state)
{
	static const char *const peer[] = {"198.18.0.2", "2001:2::2"};
	struct util_packet said[16], frame;
	size_t said_count = 0;
	struct ep_slow_stack *s = stack_of_capture(said, &said_count);
	uint8_t mac[6];

	(void)state;
	assert_int_equal(said_count, 3 + 2 + 1 + 2);
	assert_true(kernel_said(
		&said[3])); /* the announcement of IPv6: see stack_test.c for the order */
	for (size_t i = 0; i < EP_ARRAY_LEN(peer); i++) {
		struct ep_wire_ip ip;

		assert_int_equal(ep_wire_ip_parse(peer[i], &ip, NULL), 0);
		ep_slow_stack_resolve(s, &ip, 100 * EP_NS_PER_S, mac);
		frame.len = ep_slow_stack_poll(s, 100 * EP_NS_PER_S, frame.bytes);
		assert_true(kernel_said(&frame));
	}
	/* The kernel's answers to these very questions resolve both. */
	for (size_t i = 0; i < line_count; i++)
		if (!line[i].ours)
			ep_slow_stack_input(s, line[i].frame.bytes, line[i].frame.len,
				100 * EP_NS_PER_S, frame.bytes);
	for (size_t i = 0; i < EP_ARRAY_LEN(peer); i++) {
		struct ep_wire_ip ip;

		assert_int_equal(ep_wire_ip_parse(peer[i], &ip, NULL), 0);
		assert_int_equal(ep_slow_stack_resolve(s, &ip, 100 * EP_NS_PER_S, mac), 0);
		assert_int_equal(mac[5], 2);
	}
	ep_slow_stack_destroy(s);
}

static void
a_kernels_port_unreachable_quotes_us(void **state)
{
	static const struct {
		enum ep_wire_family family;
		const char *local, *peer;
		uint8_t type, code;
	} row[] = {
		{EP_WIRE_IPV4, "198.18.0.1", "198.18.0.2", 3, 3},
		{EP_WIRE_IPV6, "2001:2::1", "2001:2::2", 1, 4},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		struct util_side side;
		int found = 0;

		util_side_init(&side, row[i].family, false);
		assert_int_equal(ep_wire_ip_parse(row[i].local, &side.match.local, NULL), 0);
		assert_int_equal(ep_wire_ip_parse(row[i].peer, &side.match.peer, NULL), 0);
		side.match.tagger[0] = NULL;
		for (size_t k = 0; k < line_count; k++) {
			struct ep_slow_quote q;

			if (ep_slow_quote(&side.match, line[k].frame.bytes + 14,
				    line[k].frame.len - 14, &q) != EP_SLOW_PORT)
				continue;
			found++;
			assert_int_equal(q.port_index, 7);
			assert_int_equal(q.type, row[i].type);
			assert_int_equal(q.code, row[i].code);
			assert_true(ep_wire_ip_equal(&q.from, &side.match.peer));
		}
		assert_int_equal(found, 1);
		util_side_fini(&side);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_stack_answers_a_kernel_as_a_kernel_does),
		cmocka_unit_test(what_the_stack_asks_and_announces_a_kernel_words_the_same),
		cmocka_unit_test(a_kernels_port_unreachable_quotes_us),
	};

	golden_read();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
