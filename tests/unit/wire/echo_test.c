#include "wire_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ARRIVED_MAX 9100 /* largest frame, VLAN tag, options, padding */

static struct model_rng rng;

/* Replace the frame's buffer by one with `bytes` zero bytes put in at `offset`; again of exactly its length. */
static void
insert_bytes(struct model_frame *f, uint32_t offset, uint32_t bytes)
{
	uint8_t *const longer = calloc(1, f->len + bytes);

	assert_non_null(longer);
	memcpy(longer, f->bytes, offset);
	memcpy(longer + offset + bytes, f->bytes + offset, f->len - offset);
	free(f->bytes);
	f->bytes = longer;
	f->len += bytes;
}

static void
add_vlan_tag(struct model_frame *f)
{
	insert_bytes(f, 12, 4);
	model_set16(f->bytes + 12, 0x8100);
	model_set16(f->bytes + 14, (uint16_t)model_rng_next(&rng));
}

static void
add_ipv4_options(struct model_frame *f)
{
	const uint32_t l3 = model_l3_offset(f->bytes);
	const uint32_t words = model_rng_range(&rng, 1, 10);

	insert_bytes(f, l3 + 20, words * 4);
	memset(f->bytes + l3 + 20, 1, words * 4); /* no operation */
	f->bytes[l3] = (uint8_t)(f->bytes[l3] + words);
	model_set16(f->bytes + l3 + 2, (uint16_t)(model_get(f->bytes + l3 + 2, 2) + words * 4));
	model_ip_fix(f->bytes);
}

static void
add_ethernet_padding(struct model_frame *f)
{
	insert_bytes(f, f->len, model_rng_range(&rng, 1, 9));
	memset(f->bytes + f->len - 1, 0xee, 1);
}

static void
drop_udp_checksum(struct model_frame *f)
{
	model_set16(f->bytes + model_udp_offset(f->bytes) + 6, 0);
}

/* RFC 1624 as a NAT does it: one 16-bit word of what a checksum covers gets another value. */
static void
nat_word(uint8_t *check_field, uint8_t *word, uint16_t value)
{
	uint32_t sum = (uint16_t)~model_get(check_field, 2);

	sum += (uint16_t)~model_get(word, 2);
	sum += value;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	model_set16(check_field, (uint16_t)~sum);
	model_set16(word, value);
}

/* Addresses, ports and TTL change on the way; a UDP checksum of 0 stays 0, a computed 0 becomes 0xffff. */
static void
pass_nat(struct model_frame *f)
{
	const bool ipv4 = f->ends.src.family == EP_WIRE_IPV4;
	uint8_t *const l3 = f->bytes + model_l3_offset(f->bytes);
	uint8_t *const udp = f->bytes + model_udp_offset(f->bytes);
	uint8_t *const addr = l3 + (ipv4 ? 12 : 8);
	const bool has_check = model_get(udp + 6, 2) != 0;

	for (uint32_t i = 0; i < (ipv4 ? 8U : 32U); i += 2) {
		const uint16_t value = (uint16_t)model_rng_next(&rng);
		uint8_t before[2];

		memcpy(before, addr + i, 2);
		nat_word(udp + 6, addr + i, value);
		memcpy(addr + i, before, 2);
		if (ipv4)
			nat_word(l3 + 10, addr + i, value);
		else
			model_set16(addr + i, value);
	}
	nat_word(udp + 6, udp, (uint16_t)model_rng_next(&rng));
	nat_word(udp + 6, udp + 2, (uint16_t)model_rng_next(&rng));
	if (ipv4)
		nat_word(l3 + 10, l3 + 8, (uint16_t)(model_rng_range(&rng, 1, 255) << 8 | 17));
	else
		l3[7] = (uint8_t)model_rng_range(&rng, 1, 255);
	if (!has_check)
		drop_udp_checksum(f);
	else if (model_get(udp + 6, 2) == 0)
		model_set16(udp + 6, 0xffff);
}

/* A random up probe as it may arrive. */
static struct model_frame
arriving_frame(void)
{
	const enum ep_wire_family family = model_random_family(&rng);
	struct model_frame f = model_random_frame(&rng, family, model_random_size(&rng, family));

	if (model_rng_bool(&rng))
		add_vlan_tag(&f);
	if (family == EP_WIRE_IPV4 && model_rng_bool(&rng))
		add_ipv4_options(&f);
	if (model_rng_bool(&rng))
		add_ethernet_padding(&f);
	if (family == EP_WIRE_IPV4 && model_rng_range(&rng, 0, 3) == 0)
		drop_udp_checksum(&f);
	if (model_rng_bool(&rng))
		pass_nat(&f);
	return f;
}

/* The echo as it should be but for TTL, tag and checksums: swapped by hand from a copy. */
static void
model_echo(uint8_t *out, const uint8_t *in, uint32_t len)
{
	const uint32_t l3 = model_l3_offset(in);
	const uint32_t udp = model_udp_offset(in);
	const bool ipv4 = in[l3] >> 4 == 4;
	const uint32_t addr = l3 + (ipv4 ? 12 : 8);
	const uint32_t addr_bytes = ipv4 ? 4 : 16;

	memcpy(out, in, len);
	memcpy(out, in + 6, 6);
	memcpy(out + 6, in, 6);
	memcpy(out + addr, in + addr + addr_bytes, addr_bytes);
	memcpy(out + addr + addr_bytes, in + addr, addr_bytes);
	memcpy(out + udp, in + udp + 2, 2);
	memcpy(out + udp + 2, in + udp, 2);
	out[udp + 9] = (in[udp + 9] & 0x80) | 97;
	out[l3 + (ipv4 ? 8 : 7)] = 64;
}

static void
check_echo_bytes(const uint8_t *echo, const uint8_t *before, uint32_t len, uint32_t tag)
{
	const uint32_t udp = model_udp_offset(before);
	const uint32_t l3 = model_l3_offset(before);
	static uint8_t want[ARRIVED_MAX];

	model_echo(want, before, len);
	model_set16(want + udp + 22, (uint16_t)(tag >> 16));
	model_set16(want + udp + 24, (uint16_t)tag);
	memcpy(want + udp + 6, echo + udp + 6, 2); /* checksums are judged by their sum */
	if (before[l3] >> 4 == 4)
		memcpy(want + l3 + 10, echo + l3 + 10, 2);
	assert_memory_equal(echo, want, len);
}

static void
echo_swaps_all_and_verifies_whatever_came_between(void **state)
{
	static uint8_t before[ARRIVED_MAX];

	(void)state;
	for (unsigned int i = 0; i < 4000; i++) {
		struct model_frame f = arriving_frame();
		const uint32_t tag = (uint32_t)model_rng_next(&rng);
		struct ep_wire_rx rx, again;

		memcpy(before, f.bytes, f.len);
		assert_true(ep_wire_parse(f.bytes, f.len, &rx));
		ep_wire_echo(f.bytes, &rx, tag);

		check_echo_bytes(f.bytes, before, f.len, tag);
		assert_true(model_udp_ok(f.bytes));
		assert_true(model_ip_ok(f.bytes));

		/* What the caller holds describes the echo. */
		assert_true(ep_wire_parse(f.bytes, f.len, &again));
		assert_int_equal(rx.tag, tag);
		assert_int_equal(rx.sport, again.sport);
		assert_int_equal(rx.dport, again.dport);
		assert_int_equal(rx.probe.pt, again.probe.pt);
		assert_int_equal(again.probe.pt, EP_WIRE_PT_ECHO);
		assert_int_equal(again.probe.first, f.probe.first);
		assert_true(ep_wire_filler_ok(&again));
		free(f.bytes);
	}
}

static void
copy_plain(uint8_t *to, bool ipv6)
{
	struct ep_wire_shape shape;
	bool plain = false;

	while (!plain) {
		struct model_frame f = model_random_frame(&rng, ipv6 ? EP_WIRE_IPV6 : EP_WIRE_IPV4,
			(uint16_t)model_rng_range(&rng, 84, 120));

		if (model_rng_bool(&rng))
			pass_nat(&f);
		ep_wire_shape_init(&shape, ipv6);
		plain = ep_wire_shape_fits(&shape, f.bytes, f.len, ipv6, true);
		memset(to, 0, 128);
		memcpy(to, f.bytes, f.len);
		free(f.bytes);
	}
}

/* Several at once, and one by one: the same bytes. */
static void
echoes_of_a_burst_are_those_of_its_frames(void **state)
{
	static uint8_t frame[EP_WIRE_BURST][128], want[EP_WIRE_BURST][128];

	(void)state;
	for (unsigned int round = 0; round < 500; round++) {
		const bool ipv6 = round % 2 != 0;
		uint32_t up_tag[EP_WIRE_BURST], echo_tag[EP_WIRE_BURST];
		struct ep_wire_echoes echoes;

		for (uint32_t i = 0; i < EP_WIRE_BURST; i++) {
			struct ep_wire_rx rx;

			copy_plain(frame[i], ipv6);
			memcpy(want[i], frame[i], sizeof(want[i]));
			assert_true(ep_wire_parse(want[i], sizeof(want[i]), &rx));
			up_tag[i] = rx.tag;
			echo_tag[i] = (uint32_t)model_rng_next(&rng);
			ep_wire_echo(want[i], &rx, echo_tag[i]);
			ep_wire_echo_read(&echoes, i, frame[i], ipv6);
		}
		ep_wire_echo_sums(&echoes, up_tag, echo_tag);
		for (uint32_t i = 0; i < EP_WIRE_BURST; i++) {
			ep_wire_echo_write(&echoes, i, frame[i], ipv6);
			assert_memory_equal(frame[i], want[i], sizeof(frame[i]));
		}
	}
}

/* One bit of the payload flips after the sender made the checksum; version and PT have to stay, or it is no probe. */
static void
echo_of_a_corrupted_payload_keeps_a_wrong_checksum(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 4000; i++) {
		const enum ep_wire_family family = model_random_family(&rng);
		struct model_frame f =
			model_random_frame(&rng, family, model_random_size(&rng, family));
		const uint32_t first_bit = (model_udp_offset(f.bytes) + 10) * 8;
		const uint32_t bit = model_rng_range(&rng, first_bit, f.len * 8 - 1);
		struct ep_wire_rx rx;

		f.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_true(ep_wire_parse(f.bytes, f.len, &rx));
		ep_wire_echo(f.bytes, &rx, (uint32_t)model_rng_next(&rng));
		assert_false(model_udp_ok(f.bytes));
		free(f.bytes);
	}
}

static void
echo_of_a_corrupted_ipv4_header_keeps_a_wrong_checksum(void **state)
{
	struct model_frame f = model_random_frame(&rng, EP_WIRE_IPV4, 64);
	struct ep_wire_rx rx;

	(void)state;
	f.bytes[14 + 5] ^= 4; /* ID */
	assert_true(ep_wire_parse(f.bytes, f.len, &rx));
	ep_wire_echo(f.bytes, &rx, 7);
	assert_true(model_udp_ok(f.bytes));
	assert_false(model_ip_ok(f.bytes));
	free(f.bytes);
}

/*
 * The low half of the timestamp takes every value, so the received checksum and the echo's each
 * take every value modulo 65535 and meet the sum that has to go out as 0xffff.
 */
static void
no_checksum_of_an_echo_is_ever_zero(void **state)
{
	struct model_frame f = model_random_frame(&rng, EP_WIRE_IPV4, 67);
	const uint32_t udp = model_udp_offset(f.bytes);
	const uint32_t tag = (uint32_t)model_rng_next(&rng);
	unsigned int received_ones = 0, echo_ones = 0;
	uint8_t frame[EP_WIRE_MIN_FRAME_IPV6];

	(void)state;
	for (uint32_t i = 0; i <= UINT16_MAX; i++) {
		struct ep_wire_rx rx;

		memcpy(frame, f.bytes, f.len);
		nat_word(frame + udp + 6, frame + udp + 14, (uint16_t)i);
		if (model_get(frame + udp + 6, 2) == 0)
			model_set16(frame + udp + 6, 0xffff);
		received_ones += model_get(frame + udp + 6, 2) == 0xffff;
		assert_true(ep_wire_parse(frame, f.len, &rx));

		ep_wire_echo(frame, &rx, tag);
		assert_true(model_udp_ok(frame));
		echo_ones += model_get(frame + udp + 6, 2) == 0xffff;
	}
	assert_in_range(received_ones, 1, 2);
	assert_in_range(echo_ones, 1, 2);
	free(f.bytes);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(echo_swaps_all_and_verifies_whatever_came_between),
		cmocka_unit_test(echoes_of_a_burst_are_those_of_its_frames),
		cmocka_unit_test(echo_of_a_corrupted_payload_keeps_a_wrong_checksum),
		cmocka_unit_test(echo_of_a_corrupted_ipv4_header_keeps_a_wrong_checksum),
		cmocka_unit_test(no_checksum_of_an_echo_is_ever_zero),
	};

	rng = model_rng_seeded("wire_echo");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
