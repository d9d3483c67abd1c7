/*
 * Whole frames under a fixed key, as hex files that `text2pcap` reads. EP_TEST_GOLDEN_UPDATE=1 writes them anew instead of
 * comparing; the difference is for a person to judge.
 */

#include "wire_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

extern const char wire_golden_dir[];
extern const char wire_doc_file[];

#define FRAME_MAX 256
#define TEXT_MAX 4096

struct golden {
	const char *name;
	enum ep_wire_family family;
	uint16_t frame_bytes;
	struct ep_wire_probe probe;
	enum ep_wire_checksum checksum;
	bool echo; /* Answer the probe; the file holds the answer. */
};

static const struct golden goldens[] = {
	{.name = "up-ipv4-64",
		.family = EP_WIRE_IPV4,
		.frame_bytes = 64,
		.probe = {.flow = 4711,
			.seq = 65538,
			.time_ns = 1000000000,
			.orig_dport = 50000,
			.pt = 96}},
	{.name = "up-ipv4-64-first",
		.family = EP_WIRE_IPV4,
		.frame_bytes = 64,
		.probe = {.flow = 0,
			.seq = 0,
			.time_ns = 0,
			.orig_dport = 50000,
			.pt = 96,
			.first = true}},
	{.name = "up-ipv4-77",
		.family = EP_WIRE_IPV4,
		.frame_bytes = 77,
		.probe = {.flow = 4711,
			.seq = 65538,
			.time_ns = 1000000000,
			.orig_dport = 50000,
			.pt = 96}},
	{.name = "up-ipv4-77-offload",
		.family = EP_WIRE_IPV4,
		.frame_bytes = 77,
		.probe = {.flow = 4711,
			.seq = 65538,
			.time_ns = 1000000000,
			.orig_dport = 50000,
			.pt = 96},
		.checksum = EP_WIRE_CHECKSUM_OFFLOAD},
	{.name = "echo-ipv4-77",
		.family = EP_WIRE_IPV4,
		.frame_bytes = 77,
		.probe = {.flow = 4711,
			.seq = 65538,
			.time_ns = 1000000000,
			.orig_dport = 50000,
			.pt = 96},
		.echo = true},
	{.name = "up-ipv6-84",
		.family = EP_WIRE_IPV6,
		.frame_bytes = 84,
		.probe = {.flow = UINT32_MAX,
			.seq = UINT32_MAX,
			.time_ns = UINT32_MAX,
			.orig_dport = 50000,
			.pt = 96}},
	{.name = "echo-ipv6-84",
		.family = EP_WIRE_IPV6,
		.frame_bytes = 84,
		.probe = {.flow = UINT32_MAX,
			.seq = UINT32_MAX,
			.time_ns = UINT32_MAX,
			.orig_dport = 50000,
			.pt = 96},
		.echo = true},
	{.name = "down-ipv6-101",
		.family = EP_WIRE_IPV6,
		.frame_bytes = 101,
		.probe = {.flow = 10000,
			.seq = 7,
			.time_ns = 123456789,
			.orig_dport = 60000,
			.pt = 98}},
};

/* The key of the examples: HKDF of 00 01 02 .. 1f, nonces a0 a1 .. af and b0 b1 .. bf. */
static void
example_key(uint8_t key[EP_WIRE_KEY_BYTES])
{
	uint8_t session_key[EP_WIRE_SESSION_KEY_BYTES], initiator[EP_WIRE_NONCE_BYTES],
		responder[EP_WIRE_NONCE_BYTES];

	for (unsigned int i = 0; i < sizeof(session_key); i++)
		session_key[i] = (uint8_t)i;
	for (unsigned int i = 0; i < sizeof(initiator); i++) {
		initiator[i] = (uint8_t)(0xa0 + i);
		responder[i] = (uint8_t)(0xb0 + i);
	}
	assert_int_equal(ep_wire_trial_key(session_key, initiator, responder, key), 0);
}

static uint32_t
tag_of(const struct ep_wire_block *block)
{
	uint8_t key[EP_WIRE_KEY_BYTES];
	uint8_t mac[16];

	example_key(key);
	assert_int_equal(ep_wire_cmac(key, block->bytes_be, sizeof(block->bytes_be), mac), 0);
	return (uint32_t)model_get(mac, 4);
}

/* Addresses of RFC 5737 and RFC 3849, locally administered MACs. */
static struct ep_wire_ends
example_ends(enum ep_wire_family family)
{
	const bool ipv4 = family == EP_WIRE_IPV4;
	struct ep_wire_ends ends = {.src_mac = {2, 0, 0, 0, 0, 1}, .dst_mac = {2, 0, 0, 0, 0, 2}};

	assert_int_equal(ep_wire_ip_parse(ipv4 ? "192.0.2.1" : "2001:db8::1", &ends.src, NULL), 0);
	assert_int_equal(
		ep_wire_ip_parse(ipv4 ? "198.51.100.2" : "2001:db8:1::2", &ends.dst, NULL), 0);
	return ends;
}

static uint32_t
build(const struct golden *g, uint8_t frame[FRAME_MAX])
{
	const struct ep_wire_ends ends = example_ends(g->family);
	const uint16_t server_port = g->probe.orig_dport;
	const bool down = g->probe.pt == EP_WIRE_PT_DOWN;
	struct ep_wire_tmpl tmpl;
	struct ep_wire_block block;
	struct ep_wire_rx rx;
	struct model_rng rng = model_rng_seeded("golden");
	uint32_t tag;

	assert_int_equal(ep_wire_tmpl_init(&tmpl, &ends, g->frame_bytes, g->checksum, NULL), 0);
	for (unsigned int pass = 0; pass < 2; pass++) {
		model_write(&rng, &tmpl, frame, NULL, down ? server_port : 40000,
			down ? 40000 : server_port, &g->probe, pass == 0 ? NULL : &tag, &block);
		tag = tag_of(&block);
	}
	if (g->echo) {
		assert_true(ep_wire_parse(frame, tmpl.len, &rx));
		block = model_echo_block(&rx, server_port);
		ep_wire_echo(frame, &rx, tag_of(&block));
	}
	return tmpl.len;
}

static void
hex_format(char text[TEXT_MAX], const uint8_t *frame, uint32_t len)
{
	char *p = text;

	for (uint32_t i = 0; i < len; i++) {
		if (i % 16 == 0)
			p += snprintf(p, (size_t)(text + TEXT_MAX - p), "%04x ", i);
		p += snprintf(p, (size_t)(text + TEXT_MAX - p), " %02x%s", frame[i],
			i % 16 == 15 || i == len - 1 ? "\n" : "");
	}
}

static void
file_read(const char *path, char *text, size_t len)
{
	FILE *const file = fopen(path, "r");
	size_t got;

	if (file == NULL)
		fail_msg("%s is missing; EP_TEST_GOLDEN_UPDATE=1 writes the goldens", path);
	got = fread(text, 1, len - 1, file);
	text[got] = '\0';
	fclose(file);
}

static void
file_write(const char *path, const char *text)
{
	FILE *const file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void
frames_equal_the_goldens_byte_by_byte(void **state)
{
	char path[1024], want[TEXT_MAX], got[TEXT_MAX];
	uint8_t frame[FRAME_MAX];

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(goldens); i++) {
		snprintf(path, sizeof(path), "%s/%s.hex", wire_golden_dir, goldens[i].name);
		hex_format(got, frame, build(&goldens[i], frame));
		if (getenv("EP_TEST_GOLDEN_UPDATE") != NULL)
			file_write(path, got);
		file_read(path, want, sizeof(want));
		assert_string_equal(got, want);
	}
}

static void
goldens_but_the_offloaded_one_have_right_checksums(void **state)
{
	uint8_t frame[FRAME_MAX];

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(goldens); i++) {
		build(&goldens[i], frame);
		assert_int_equal(
			model_udp_ok(frame), goldens[i].checksum == EP_WIRE_CHECKSUM_SOFTWARE);
	}
}

/* The example in docs/wire-format.md is the golden itself. */
static void
documentation_shows_the_golden(void **state)
{
	static char doc[65536];
	char path[1024], want[TEXT_MAX];

	(void)state;
	snprintf(path, sizeof(path), "%s/up-ipv4-77.hex", wire_golden_dir);
	file_read(path, want, sizeof(want));
	file_read(wire_doc_file, doc, sizeof(doc));
	assert_non_null(strstr(doc, want));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_equal_the_goldens_byte_by_byte),
		cmocka_unit_test(goldens_but_the_offloaded_one_have_right_checksums),
		cmocka_unit_test(documentation_shows_the_golden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
