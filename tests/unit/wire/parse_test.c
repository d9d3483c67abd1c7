#include "wire_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MUTATIONS 200000

static struct model_rng rng;
static uint32_t plain_count;

/* Parse a copy in a heap buffer of exactly `len` bytes, where a sanitizer sees any step outside. */
static bool
parses(const uint8_t *frame, uint32_t len)
{
	uint8_t *const copy = malloc(len);
	struct ep_wire_rx rx;
	bool ok;

	if (len > 0)
		memcpy(copy, frame, len);
	ok = ep_wire_parse(copy, len, &rx);
	free(copy);
	return ok;
}

/* Where the payload starts by the rules as the header states them, or 0: no probe. Written for clarity, not for speed. */
static uint32_t
model_payload_offset(const uint8_t *frame, uint32_t len)
{
	uint32_t l3 = 14, udp, end, type;

	if (len < 14)
		return 0;
	type = (uint32_t)model_get(frame + 12, 2);
	if (type == 0x8100) {
		if (len < 18)
			return 0;
		type = (uint32_t)model_get(frame + 16, 2);
		l3 = 18;
	}
	if (type == 0x0800) {
		if (len < l3 + 20 || frame[l3] / 16 != 4 || frame[l3] % 16 < 5 ||
			frame[l3 + 9] != 17)
			return 0;
		if (model_get(frame + l3 + 6, 2) % 0x4000 != 0)
			return 0;
		udp = l3 + frame[l3] % 16 * 4U;
		end = l3 + (uint32_t)model_get(frame + l3 + 2, 2);
	} else if (type == 0x86dd) {
		if (len < l3 + 40 || frame[l3] / 16 != 6 || frame[l3 + 6] != 17)
			return 0;
		udp = l3 + 40;
		end = udp + (uint32_t)model_get(frame + l3 + 4, 2);
	} else {
		return 0;
	}
	if (end > len || end < udp + 8 + 18 || model_get(frame + udp + 4, 2) != end - udp)
		return 0;
	if (frame[udp + 8] != 0x80 || frame[udp + 9] % 128 < 96 || frame[udp + 9] % 128 > 98)
		return 0;
	return udp + 8;
}

static bool
fits(const uint8_t *frame, uint32_t len, bool ipv6, bool up, uint32_t len_before)
{
	struct ep_wire_shape shape;

	/* Literals, as the hot path has them. The length that the burst had before does not matter. */
	ep_wire_shape_init(&shape, ipv6);
	if (len_before > 0)
		ep_wire_shape_len(&shape, len_before, ipv6);
	if (ipv6)
		return up ? ep_wire_shape_fits(&shape, frame, len, true, true)
			  : ep_wire_shape_fits(&shape, frame, len, true, false);
	return up ? ep_wire_shape_fits(&shape, frame, len, false, true)
		  : ep_wire_shape_fits(&shape, frame, len, false, false);
}

/* What is read 16 bytes at a time is what is read field by field. */
static void
check_plain_read(const uint8_t *frame, const struct ep_wire_rx *rx, bool ipv6, bool up)
{
	struct ep_wire_fields fields, want_fields;
	struct ep_wire_block block, want_block;
	struct ep_wire_ip ip = {0}, want_ip;

	ep_wire_plain_read(frame, &fields, &block, ipv6, up);
	ep_wire_rx_read(rx, &want_fields, &want_block);
	assert_memory_equal(&fields, &want_fields, sizeof(fields));
	assert_memory_equal(&block, &want_block, sizeof(block));
	assert_int_equal(fields.flow, rx->probe.flow);
	assert_int_equal(fields.seq, rx->probe.seq);
	assert_int_equal(fields.time_ns, rx->probe.time_ns);
	assert_int_equal(fields.tag, rx->tag);
	assert_int_equal(ep_wire_plain_ports(frame, ipv6), (uint32_t)rx->sport << 16 | rx->dport);
	assert_int_equal(ep_wire_plain_src(frame, &ip, ipv6), rx->sport);
	ep_wire_rx_src(rx, &want_ip);
	assert_true(ep_wire_ip_equal(&ip, &want_ip));
	if (!ipv6) {
		const uint64_t word = ep_wire_plain_src4(frame);

		assert_memory_equal((const uint8_t *)&word + 4, want_ip.bytes_be, 4);
		assert_int_equal((uint32_t)word, (uint32_t)rx->sport << 16);
	}
}

/* The short way accepts no more than the long one, of its family and direction, and says the same of what it accepts. */
static void
check_plain(uint8_t *frame, uint32_t len, const struct ep_wire_rx *rx, bool accepted)
{
	for (unsigned int way = 0; way < 4; way++) {
		const bool ipv6 = (way & 1) != 0, up = (way & 2) != 0;
		const bool plain = fits(frame, len, ipv6, up, 0);

		assert_int_equal(fits(frame, len, ipv6, up, model_rng_range(&rng, 1, 200)), plain);
		assert_int_equal(fits(frame, len, ipv6, up, len), plain);
		if (!plain)
			continue;
		assert_true(accepted);
		assert_int_equal(rx->family, ipv6 ? EP_WIRE_IPV6 : EP_WIRE_IPV4);
		assert_int_equal(rx->probe.pt == EP_WIRE_PT_UP, up);
		check_plain_read(frame, rx, ipv6, up);
		plain_count++;
	}
}

static void
check_against_model(uint8_t *frame, uint32_t len, uint32_t *accepted_count)
{
	const uint32_t offset = model_payload_offset(frame, len);
	struct ep_wire_rx rx;
	struct ep_wire_ip src;

	assert_int_equal(ep_wire_parse(frame, len, &rx), offset != 0);
	check_plain(frame, len, &rx, offset != 0);
	if (offset == 0)
		return;
	*accepted_count += 1;
	assert_ptr_equal(rx.l3, frame + model_l3_offset(frame));
	assert_ptr_equal(rx.udp, frame + offset - 8);
	assert_ptr_equal(rx.payload, frame + offset);
	assert_true(rx.payload_bytes >= EP_WIRE_PROBE_BYTES && offset + rx.payload_bytes <= len);
	assert_int_equal(rx.payload_bytes + 8, model_get(frame + offset - 4, 2));
	assert_int_equal(rx.probe.flow, model_get(frame + offset + 8, 4));
	assert_int_equal(rx.probe.seq,
		model_get(frame + offset + 12, 2) << 16 | model_get(frame + offset + 2, 2));

	/* Whatever is accepted can be worked on without a step outside. */
	(void)ep_wire_filler_ok(&rx);
	(void)ep_wire_udp_checksum(&rx);
	ep_wire_rx_src(&rx, &src);
	ep_wire_echo(frame, &rx, 1);
}

static void
random_garbage_is_no_probe_and_read_inside_only(void **state)
{
	uint32_t accepted_count = 0;

	(void)state;
	for (unsigned int i = 0; i < MUTATIONS / 4; i++) {
		const uint32_t len = model_rng_range(&rng, 0, 130);
		uint8_t *const frame = malloc(len);

		model_rng_bytes(&rng, frame, len);
		if (len > 14 && model_rng_bool(&rng)) { /* get past the first gate */
			model_set16(frame + 12, model_rng_bool(&rng) ? 0x0800 : 0x86dd);
			frame[14] = model_rng_bool(&rng) ? 0x45 : 0x60;
		}
		check_against_model(frame, len, &accepted_count);
		free(frame);
	}
	assert_true(accepted_count < 10);
}

/* Valid frames of all kinds to start from: both families, VLAN, options, filler, padding. */
static uint32_t
seed_frame(uint8_t *out)
{
	const enum ep_wire_family family = model_random_family(&rng);
	const uint16_t min = family == EP_WIRE_IPV4 ? 64 : 84;
	struct model_frame f =
		model_random_frame(&rng, family, (uint16_t)model_rng_range(&rng, min, min + 30U));
	const uint32_t vlan = model_rng_bool(&rng) ? 4 : 0;
	const uint32_t options = family == EP_WIRE_IPV4 && model_rng_bool(&rng)
		? 4 * model_rng_range(&rng, 1, 10)
		: 0;
	const uint32_t padding = model_rng_range(&rng, 0, 1) * 6;
	uint32_t len = 12;

	memset(out, 0, 256);
	memcpy(out, f.bytes, 12);
	if (vlan > 0)
		model_set16(out + 12, 0x8100);
	len += vlan;
	memcpy(out + len, f.bytes + 12, 22);
	if (family == EP_WIRE_IPV4) {
		out[len + 2] = (uint8_t)(out[len + 2] + options / 4);
		model_set16(out + len + 4, (uint16_t)(f.len - 14 + options));
	}
	len += 22 + options;
	memcpy(out + len, f.bytes + 34, f.len - 34);
	len += f.len - 34 + padding;
	free(f.bytes);
	return len;
}

static void
mutate(uint8_t *frame, uint32_t len)
{
	static const uint32_t hot[] = {
		12, 13, 14, 15, 16, 17, 18, 20, 21, 22, 23, 24, 27, 34, 38, 39, 42, 43, 58, 59};
	const uint32_t steps = model_rng_range(&rng, 0, 3);

	for (uint32_t i = 0; i < steps && len > 0; i++) {
		const uint32_t any = model_rng_range(&rng, 0, len - 1);
		const uint32_t at = model_rng_bool(&rng) ? any : hot[any % EP_ARRAY_LEN(hot)];

		if (at >= len)
			continue;
		if (model_rng_bool(&rng))
			frame[at] ^= (uint8_t)(1 << model_rng_range(&rng, 0, 7));
		else
			frame[at] = (uint8_t)model_rng_next(&rng);
	}
}

static void
mutated_and_truncated_frames_agree_with_the_model(void **state)
{
	uint8_t seed[256];
	uint32_t accepted_count = 0;

	(void)state;
	for (unsigned int i = 0; i < MUTATIONS; i++) {
		const uint32_t whole = seed_frame(seed);
		const uint32_t len =
			model_rng_range(&rng, 0, 3) == 0 ? model_rng_range(&rng, 0, whole) : whole;
		uint8_t *const frame = malloc(len);

		memcpy(frame, seed, len);
		mutate(frame, len);
		check_against_model(frame, len, &accepted_count);
		free(frame);
	}
	assert_in_range(accepted_count, MUTATIONS / 10, MUTATIONS * 9 / 10);
	assert_true(plain_count > MUTATIONS / 100);
}

static void
every_truncation_of_a_frame_is_refused(void **state)
{
	uint8_t seed[256];

	(void)state;
	for (unsigned int i = 0; i < 200; i++) {
		struct model_frame f = model_random_frame(
			&rng, model_random_family(&rng), (uint16_t)model_rng_range(&rng, 84, 120));

		for (uint32_t len = 0; len < f.len; len++)
			assert_false(parses(f.bytes, len));
		assert_true(parses(f.bytes, f.len));
		memcpy(seed, f.bytes, f.len);
		memset(seed + f.len, 0xee, 30);
		assert_true(parses(seed, f.len + 30)); /* padding behind the IP packet */
		free(f.bytes);
	}
}

/* Each row makes one thing wrong in a smallest frame; offsets without VLAN tag. */
static void
what_is_no_probe_of_ours_is_refused(void **state)
{
	static const struct {
		enum ep_wire_family family;
		uint32_t at;
		uint8_t value;
		bool ok;
		const char *why;
	} row[] = {
		{EP_WIRE_IPV4, 20, 0x40, true, "DF"},
		{EP_WIRE_IPV4, 20, 0x00, true, "no flag"},
		{EP_WIRE_IPV4, 20, 0x20, false, "more fragments"},
		{EP_WIRE_IPV4, 21, 0x01, false, "fragment offset, low"},
		{EP_WIRE_IPV4, 20, 0x10, false, "fragment offset, high"},
		{EP_WIRE_IPV4, 14, 0x65, false, "version 6 in an IPv4 frame"},
		{EP_WIRE_IPV4, 14, 0x44, false, "header below 20 bytes"},
		{EP_WIRE_IPV4, 14, 0x46, false, "options that leave too little"},
		{EP_WIRE_IPV4, 14, 0x4f, false, "header beyond the packet"},
		{EP_WIRE_IPV4, 23, 6, false, "TCP"},
		{EP_WIRE_IPV4, 17, 45, false, "total length below the UDP length"},
		{EP_WIRE_IPV4, 17, 47, false, "total length beyond the buffer"},
		{EP_WIRE_IPV4, 16, 0xff, false, "total length far beyond"},
		{EP_WIRE_IPV4, 39, 25, false, "UDP length below the IP payload"},
		{EP_WIRE_IPV4, 39, 27, false, "UDP length beyond"},
		{EP_WIRE_IPV4, 39, 0, false, "UDP length 0"},
		{EP_WIRE_IPV4, 12, 0x88, false, "another EtherType"},
		{EP_WIRE_IPV4, 42, 0x81, false, "a CSRC"},
		{EP_WIRE_IPV4, 42, 0x00, false, "RTP version 0"},
		{EP_WIRE_IPV4, 43, 95, false, "PT 95"},
		{EP_WIRE_IPV4, 43, 96, true, "PT 96"},
		{EP_WIRE_IPV4, 43, 0x80 | 98, true, "PT 98 with marker"},
		{EP_WIRE_IPV4, 43, 99, false, "PT 99"},
		{EP_WIRE_IPV6, 14, 0x45, false, "version 4 in an IPv6 frame"},
		{EP_WIRE_IPV6, 20, 0, false, "hop-by-hop options"},
		{EP_WIRE_IPV6, 20, 44, false, "fragment header"},
		{EP_WIRE_IPV6, 19, 25, false, "payload length below the UDP length"},
		{EP_WIRE_IPV6, 19, 27, false, "payload length beyond the buffer"},
		{EP_WIRE_IPV6, 19, 0, false, "jumbogram"},
		{EP_WIRE_IPV6, 59, 25, false, "UDP length below the payload length"},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		struct model_frame f = model_random_frame(
			&rng, row[i].family, row[i].family == EP_WIRE_IPV4 ? 64 : 84);

		f.bytes[row[i].at] = row[i].value;
		if (parses(f.bytes, f.len) != row[i].ok)
			fail_msg("row %zu: %s", i, row[i].why);
		free(f.bytes);
	}
}

static void
two_vlan_tags_are_refused(void **state)
{
	struct model_frame f = model_random_frame(&rng, EP_WIRE_IPV4, 64);
	uint8_t tagged[68] = {0};

	(void)state;
	memcpy(tagged, f.bytes, 12);
	model_set16(tagged + 12, 0x8100);
	memcpy(tagged + 16, f.bytes + 12, 48);
	assert_true(parses(tagged, 64));
	model_set16(tagged + 16, 0x8100);
	memcpy(tagged + 20, f.bytes + 12, 48);
	assert_false(parses(tagged, 68));
	free(f.bytes);
}

/* A datagram with 17 bytes of payload in a frame that is long enough. */
static void
a_payload_shorter_than_a_probe_is_refused(void **state)
{
	struct model_frame f = model_random_frame(&rng, EP_WIRE_IPV4, 64);

	(void)state;
	f.bytes[17] = 45;
	f.bytes[39] = 25;
	assert_false(parses(f.bytes, f.len));
	free(f.bytes);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_garbage_is_no_probe_and_read_inside_only),
		cmocka_unit_test(mutated_and_truncated_frames_agree_with_the_model),
		cmocka_unit_test(every_truncation_of_a_frame_is_refused),
		cmocka_unit_test(what_is_no_probe_of_ours_is_refused),
		cmocka_unit_test(two_vlan_tags_are_refused),
		cmocka_unit_test(a_payload_shorter_than_a_probe_is_refused),
	};

	rng = model_rng_seeded("wire_parse");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
