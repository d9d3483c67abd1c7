#include "wire_model.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct model_rng rng;

/* Everything that a frame has to say about itself, read byte by byte. */
static void
check_lengths(const struct model_frame *f)
{
	const bool ipv4 = f->ends.src.family == EP_WIRE_IPV4;
	const uint8_t *const l3 = f->bytes + 14;
	const uint8_t *const udp = f->bytes + model_udp_offset(f->bytes);

	assert_int_equal(model_get(f->bytes + 12, 2), ipv4 ? 0x0800 : 0x86dd);
	assert_int_equal(model_get(udp + 4, 2), f->len - (ipv4 ? 34 : 54));
	if (ipv4) {
		assert_int_equal(l3[0], 0x45);
		assert_int_equal(model_get(l3 + 2, 2), f->len - 14);
		assert_int_equal(model_get(l3 + 4, 4), 0x00004000); /* ID 0, DF */
		assert_int_equal(model_get(l3 + 8, 2), 64 * 256 + 17);
	} else {
		assert_int_equal(model_get(l3, 4), 0x60000000);
		assert_int_equal(model_get(l3 + 4, 2), f->len - 54);
		assert_int_equal(model_get(l3 + 6, 2), 17 * 256 + 64);
	}
}

static void
check_addresses(const struct model_frame *f)
{
	const bool ipv4 = f->ends.src.family == EP_WIRE_IPV4;
	const size_t bytes = ipv4 ? 4 : 16;
	const uint8_t *const src = f->bytes + 14 + (ipv4 ? 12 : 8);

	assert_memory_equal(f->bytes, f->ends.dst_mac, 6);
	assert_memory_equal(f->bytes + 6, f->ends.src_mac, 6);
	assert_memory_equal(src, f->ends.src.bytes_be, bytes);
	assert_memory_equal(src + bytes, f->ends.dst.bytes_be, bytes);
}

static void
check_parsed(const struct model_frame *f)
{
	struct ep_wire_rx rx;
	struct ep_wire_ip src;

	assert_true(ep_wire_parse(f->bytes, f->len, &rx));
	assert_int_equal(rx.family, f->ends.src.family);
	assert_int_equal(rx.sport, f->sport);
	assert_int_equal(rx.dport, f->dport);
	assert_int_equal(rx.tag, f->tag);
	assert_int_equal(rx.probe.flow, f->probe.flow);
	assert_int_equal(rx.probe.seq, f->probe.seq);
	assert_int_equal(rx.probe.time_ns, f->probe.time_ns);
	assert_int_equal(rx.probe.pt, f->probe.pt);
	assert_int_equal(rx.probe.first, f->probe.first);
	assert_int_equal(rx.probe.orig_dport, 0);
	assert_ptr_equal(rx.payload + rx.payload_bytes, f->bytes + f->len);
	assert_int_equal(rx.payload - f->bytes, model_udp_offset(f->bytes) + 8);
	assert_int_equal(ep_wire_udp_checksum(&rx), model_get(rx.udp + 6, 2));
	ep_wire_rx_src(&rx, &src);
	assert_memory_equal(&src, &f->ends.src, sizeof(src));
	assert_true(ep_wire_filler_ok(&rx));
}

static void
check_frame(const struct model_frame *f)
{
	assert_true(model_ip_ok(f->bytes));
	assert_true(model_udp_ok(f->bytes));
	check_lengths(f);
	check_addresses(f);
	check_parsed(f);
}

static void
every_small_size_verifies_and_parses_back(void **state)
{
	(void)state;
	for (uint16_t extra = 0; extra < 40; extra++) {
		struct model_frame f = model_random_frame(&rng, EP_WIRE_IPV4, 64 + extra);

		check_frame(&f);
		free(f.bytes);
		f = model_random_frame(&rng, EP_WIRE_IPV6, 84 + extra);
		check_frame(&f);
		free(f.bytes);
	}
}

static void
random_frames_verify_and_parse_back(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 3000; i++) {
		const enum ep_wire_family family = model_random_family(&rng);
		struct model_frame f =
			model_random_frame(&rng, family, model_random_size(&rng, family));

		check_frame(&f);
		free(f.bytes);
	}
	struct model_frame f = model_random_frame(&rng, EP_WIRE_IPV4, 9018);

	check_frame(&f);
	free(f.bytes);
}

static void
probe_lies_on_the_wire_as_section_3_draws_it(void **state)
{
	static const struct {
		uint32_t seq;
		bool first;
		uint8_t want[18];
	} row[] = {
		{0x11121314, false,
			{0x80, 0x61, 0x13, 0x14, 0x21, 0x22, 0x23, 0x24, 0x01, 0x02, 0x03, 0x04,
				0x11, 0x12, 0xde, 0xad, 0xbe, 0xef}},
		{0, true,
			{0x80, 0xe1, 0, 0, 0x21, 0x22, 0x23, 0x24, 0x01, 0x02, 0x03, 0x04, 0, 0,
				0xde, 0xad, 0xbe, 0xef}},
		/* After 2^32 probes the same 32 bits are no beginning. */
		{0, false,
			{0x80, 0x61, 0, 0, 0x21, 0x22, 0x23, 0x24, 0x01, 0x02, 0x03, 0x04, 0, 0,
				0xde, 0xad, 0xbe, 0xef}},
	};
	const uint32_t tag = 0xdeadbeef;
	const struct ep_wire_ends ends = model_random_ends(&rng, EP_WIRE_IPV4);
	struct ep_wire_tmpl tmpl;
	uint8_t frame[EP_WIRE_MIN_FRAME_IPV6];

	(void)state;
	assert_int_equal(ep_wire_tmpl_init(&tmpl, &ends, 64, EP_WIRE_CHECKSUM_SOFTWARE, NULL), 0);
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		const struct ep_wire_probe probe = {.flow = 0x01020304,
			.seq = row[i].seq,
			.time_ns = 0x21222324,
			.orig_dport = 50000,
			.pt = EP_WIRE_PT_ECHO,
			.first = row[i].first};

		model_write(&rng, &tmpl, frame, NULL, 1, 2, &probe, &tag, NULL);
		assert_memory_equal(frame + 42, row[i].want, sizeof(row[i].want));
	}
}

/* Against arithmetic: the residue modulo 65535, with 0xffff for 0 except of the sum 0. All below 2^48, edges included. */
static void
fold_is_the_residue_modulo_65535(void **state)
{
	static const uint64_t edge[] = {0, 1, 0xfffe, 0xffff, 0x10000, 0x1fffe, 0x1ffff, 0xfffeffff,
		0xffff0000, UINT32_MAX, UINT64_C(0x100000000), UINT64_C(0x1fffeffff),
		UINT64_C(0x1ffff0000), UINT64_C(0xffffffff0000), UINT64_C(0xffff0000ffff),
		UINT64_C(0xffffffffffff)};

	(void)state;
	for (uint32_t i = 0; i < 200000; i++) {
		const uint64_t sum = i < EP_ARRAY_LEN(edge) ? edge[i] : model_rng_next(&rng) >> 16;

		assert_int_equal(ep_wire_fold(sum), sum == 0 ? 0 : (sum - 1) % 65535 + 1);
	}
}

/* A range of all 16-bit parts meets the one tag whose sum folds to 0xffff: it has to go out as 0xffff, never as 0. */
static void
no_checksum_is_ever_zero(void **state)
{
	const struct ep_wire_ends ends = model_random_ends(&rng, EP_WIRE_IPV4);
	const struct ep_wire_probe probe = model_random_probe(&rng);
	struct ep_wire_tmpl tmpl;
	unsigned int ones_count = 0;
	uint8_t frame[EP_WIRE_MIN_FRAME_IPV6];

	(void)state;
	assert_int_equal(ep_wire_tmpl_init(&tmpl, &ends, 65, EP_WIRE_CHECKSUM_SOFTWARE, NULL), 0);
	for (uint32_t tag = 0; tag <= UINT16_MAX; tag++) {
		model_write(&rng, &tmpl, frame, NULL, 1000, 2000, &probe, &tag, NULL);
		assert_true(model_udp_ok(frame));
		ones_count += model_get(frame + 40, 2) == 0xffff;
	}
	assert_true(ones_count >= 1);
}

/* Any alignment, and nothing is written outside the frame (the sanitizer's part: an exact heap buffer). */
static void
writing_to_another_destination_equals_a_template_for_it(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 3000; i++) {
		const enum ep_wire_checksum checksum =
			model_rng_bool(&rng) ? EP_WIRE_CHECKSUM_SOFTWARE : EP_WIRE_CHECKSUM_OFFLOAD;
		const enum ep_wire_family family = model_random_family(&rng);
		const uint16_t frame_bytes = model_random_size(&rng, family);
		const struct ep_wire_probe probe = model_random_probe(&rng);
		const uint32_t tag = (uint32_t)model_rng_next(&rng);
		const size_t shift = model_rng_range(&rng, 0, 3);
		struct ep_wire_ends ends = model_random_ends(&rng, family);
		const struct ep_wire_ip dst = model_random_ip(&rng, family);
		struct ep_wire_tmpl tmpl, direct;
		struct ep_wire_block block[2];
		uint8_t *const to = malloc(shift + frame_bytes - 4);
		uint8_t *const want = malloc(frame_bytes - 4);

		assert_int_equal(ep_wire_tmpl_init(&tmpl, &ends, frame_bytes, checksum, NULL), 0);
		ends.dst = dst;
		assert_int_equal(ep_wire_tmpl_init(&direct, &ends, frame_bytes, checksum, NULL), 0);
		model_write(&rng, &tmpl, to + shift, &dst, 7, 9, &probe, &tag, &block[0]);
		model_write(&rng, &direct, want, NULL, 7, 9, &probe, &tag, &block[1]);
		assert_memory_equal(to + shift, want, frame_bytes - 4);
		assert_memory_equal(&block[0], &block[1], sizeof(block[0]));
		if (checksum == EP_WIRE_CHECKSUM_SOFTWARE) {
			assert_true(model_udp_ok(to + shift));
			assert_true(model_ip_ok(to + shift));
		}
		free(to);
		free(want);
	}
}

static void
offload_leaves_pseudo_header_sum_and_no_ipv4_checksum(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 1000; i++) {
		const enum ep_wire_family family = model_random_family(&rng);
		const uint16_t frame_bytes = model_random_size(&rng, family);
		const struct ep_wire_ends ends = model_random_ends(&rng, family);
		const struct ep_wire_ip dst = model_random_ip(&rng, family);
		const struct ep_wire_probe probe = model_random_probe(&rng);
		struct ep_wire_tmpl tmpl;
		uint8_t *const frame = malloc(frame_bytes - 4);
		uint8_t *const udp = frame + (family == EP_WIRE_IPV4 ? 34 : 54);

		assert_int_equal(ep_wire_tmpl_init(
					 &tmpl, &ends, frame_bytes, EP_WIRE_CHECKSUM_OFFLOAD, NULL),
			0);
		model_write(&rng, &tmpl, frame, NULL, 1, 2, &probe, NULL, NULL);
		assert_int_equal(model_get(udp + 6, 2), model_pseudo_sum(frame));
		model_write(&rng, &tmpl, frame, &dst, 1, 2, &probe, NULL, NULL);
		assert_int_equal(model_get(udp + 6, 2), model_pseudo_sum(frame));
		if (family == EP_WIRE_IPV4)
			assert_int_equal(model_get(frame + 24, 2), 0);

		/* What the NIC then does gives a right frame. */
		model_set16(udp + 6, 0xffff - model_sum(udp, model_get(udp + 4, 2)));
		if (model_get(udp + 6, 2) == 0)
			model_set16(udp + 6, 0xffff);
		assert_true(model_udp_ok(frame));
		free(frame);
	}
}

static void
filler_is_its_word_repeated_and_cut(void **state)
{
	(void)state;
	for (uint16_t frame_bytes = 64; frame_bytes < 120; frame_bytes++) {
		struct model_frame f = model_random_frame(&rng, EP_WIRE_IPV4, frame_bytes);
		const uint64_t word = ep_wire_filler_word(f.probe.flow, f.probe.seq);

		for (uint32_t i = 0; i < frame_bytes - 64U; i++)
			assert_int_equal(f.bytes[60 + i], (uint8_t)(word >> (56 - 8 * (i % 8))));
		free(f.bytes);
	}
}

/* The example of docs/wire-format.md, so that another implementation can check its arithmetic. */
static void
filler_words_are_those_of_the_documentation(void **state)
{
	(void)state;
	assert_int_equal(ep_wire_filler_word(0, 0), 0);
	assert_true(ep_wire_filler_word(4711, 65538) == UINT64_C(0x29b22e00b60d6122));
}

static void
any_flipped_filler_bit_is_noticed(void **state)
{
	(void)state;
	for (uint16_t frame_bytes = 65; frame_bytes < 90; frame_bytes++) {
		struct model_frame f = model_random_frame(&rng, EP_WIRE_IPV4, frame_bytes);
		struct ep_wire_rx rx;

		assert_true(ep_wire_parse(f.bytes, f.len, &rx));
		for (uint32_t bit = 60 * 8; bit < f.len * 8; bit++) {
			f.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_false(ep_wire_filler_ok(&rx));
			f.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		assert_true(ep_wire_filler_ok(&rx));
		rx.probe.seq++;
		assert_false(ep_wire_filler_ok(&rx));
		free(f.bytes);
	}
}

static void
template_refuses_what_it_cannot_be_with_a_sentence(void **state)
{
	static const struct {
		enum ep_wire_family src, dst;
		uint16_t frame_bytes;
		int ret;
		const char *text;
	} bad[] = {
		{EP_WIRE_IPV4, EP_WIRE_IPV6, 100, -EINVAL, "IPv6"},
		{EP_WIRE_IPV6, EP_WIRE_IPV4, 100, -EINVAL, "IPv6"},
		{0, 0, 100, -EINVAL, "family 0"},
		{EP_WIRE_IPV4, EP_WIRE_IPV4, 63, -ERANGE, "63 B over IPv4; allowed is 64 to 9018"},
		{EP_WIRE_IPV4, EP_WIRE_IPV4, 0, -ERANGE, "0 B over IPv4; allowed is 64 to 9018"},
		{EP_WIRE_IPV4, EP_WIRE_IPV4, 9019, -ERANGE, "9019 B over IPv4"},
		{EP_WIRE_IPV6, EP_WIRE_IPV6, 83, -ERANGE, "83 B over IPv6; allowed is 84 to 9018"},
		{EP_WIRE_IPV6, EP_WIRE_IPV6, 65535, -ERANGE, "65535 B over IPv6"},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(bad); i++) {
		const struct ep_wire_ends ends = {
			.src.family = bad[i].src, .dst.family = bad[i].dst};
		struct ep_wire_tmpl tmpl;
		struct ep_err err = {0};

		assert_int_equal(ep_wire_tmpl_init(&tmpl, &ends, bad[i].frame_bytes,
					 EP_WIRE_CHECKSUM_SOFTWARE, &err),
			bad[i].ret);
		assert_int_equal(err.code, bad[i].ret);
		assert_non_null(strstr(err.text, bad[i].text));
	}
}

static void
addresses_parse_and_format_back(void **state)
{
	static const char *const good[] = {"192.0.2.1", "0.0.0.0", "255.255.255.255",
		"::", "2001:db8::1", "fe80::1:2:3:4", "::ffff:192.0.2.1",
		"2001:db8:1111:2222:3333:4444:5555:6666"};
	char text[EP_WIRE_IP_TEXT_BYTES];
	struct ep_wire_ip ip;

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(good); i++) {
		assert_int_equal(ep_wire_ip_parse(good[i], &ip, NULL), 0);
		assert_int_equal(
			ip.family, strchr(good[i], ':') != NULL ? EP_WIRE_IPV6 : EP_WIRE_IPV4);
		assert_string_equal(ep_wire_ip_format(text, sizeof(text), &ip), good[i]);
	}
	assert_string_equal(ep_wire_ip_format(text, 4, &ip), "");
	for (unsigned int i = 0; i < 1000; i++) {
		const struct ep_wire_ip want = model_random_ip(&rng, model_random_family(&rng));

		assert_int_equal(
			ep_wire_ip_parse(ep_wire_ip_format(text, sizeof(text), &want), &ip, NULL),
			0);
		assert_memory_equal(&ip, &want, sizeof(ip)); /* also the unused bytes are 0 */
	}
}

static void
text_that_is_no_address_is_refused_with_a_sentence(void **state)
{
	static const char *const bad[] = {"", "x", "192.0.2", "192.0.2.256", "192.0.2.1 ",
		"2001:db8::1%eth0", "192.0.2.1/24", "1::2::3", "[::1]"};
	const struct ep_wire_ip before = model_random_ip(&rng, EP_WIRE_IPV6);

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(bad); i++) {
		struct ep_wire_ip ip = before;
		struct ep_err err = {0};

		assert_int_equal(ep_wire_ip_parse(bad[i], &ip, &err), -EINVAL);
		assert_int_equal(err.code, -EINVAL);
		assert_non_null(strstr(err.text, bad[i]));
		assert_non_null(strstr(err.text, "allowed"));
		assert_memory_equal(&ip, &before, sizeof(ip));
	}
}

static void
addresses_are_equal_when_family_and_used_bytes_are(void **state)
{
	struct ep_wire_ip a = {.family = EP_WIRE_IPV4, .bytes_be = {192, 0, 2, 1}};
	struct ep_wire_ip b = a;

	(void)state;
	assert_true(ep_wire_ip_equal(&a, &b));
	b.bytes_be[4] = 1; /* not part of an IPv4 address */
	assert_true(ep_wire_ip_equal(&a, &b));
	b.bytes_be[3] = 2;
	assert_false(ep_wire_ip_equal(&a, &b));
	b = a;
	b.family = EP_WIRE_IPV6;
	assert_false(ep_wire_ip_equal(&a, &b));
	a.family = EP_WIRE_IPV6;
	assert_true(ep_wire_ip_equal(&a, &b));
	b.bytes_be[15] = 1;
	assert_false(ep_wire_ip_equal(&a, &b));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_small_size_verifies_and_parses_back),
		cmocka_unit_test(random_frames_verify_and_parse_back),
		cmocka_unit_test(probe_lies_on_the_wire_as_section_3_draws_it),
		cmocka_unit_test(fold_is_the_residue_modulo_65535),
		cmocka_unit_test(no_checksum_is_ever_zero),
		cmocka_unit_test(writing_to_another_destination_equals_a_template_for_it),
		cmocka_unit_test(offload_leaves_pseudo_header_sum_and_no_ipv4_checksum),
		cmocka_unit_test(filler_is_its_word_repeated_and_cut),
		cmocka_unit_test(filler_words_are_those_of_the_documentation),
		cmocka_unit_test(any_flipped_filler_bit_is_noticed),
		cmocka_unit_test(template_refuses_what_it_cannot_be_with_a_sentence),
		cmocka_unit_test(addresses_parse_and_format_back),
		cmocka_unit_test(text_that_is_no_address_is_refused_with_a_sentence),
		cmocka_unit_test(addresses_are_equal_when_family_and_used_bytes_are),
	};

	rng = model_rng_seeded("wire_frame");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
