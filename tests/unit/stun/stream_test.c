/* Messages in a stream: any split gives the same, and no length of the far side reaches beyond the buffer. */

#include "stun_model.h"

#include <errno.h>
#include <fuzz.h>
#include <setjmp.h>
#include <sim.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BUF_BYTES 256
#define ROUNDS 2000

static uint64_t seed;

/* ---- Any split ---- */

/* A stream of messages and the lengths that must come out. */
struct script {
	size_t count;
	size_t begin[32]; /* of the message in bytes */
	size_t len[32];
	size_t total;
	uint8_t bytes[8192];
};

static void
script_random(uint64_t *random, enum ep_stun_framing framing, struct script *s)
{
	*s = (struct script){0};
	s->count = 1 + sim_below(random, 20);
	for (size_t i = 0; i < s->count; i++) {
		uint8_t payload[BUF_BYTES];
		size_t len = sim_below(random, BUF_BYTES + 1), framed;
		struct model m;

		for (size_t k = 0; k < sizeof(payload); k++)
			payload[k] = (uint8_t)sim_random(random);
		if (framing == EP_STUN_BARE) {
			model_begin(&m, 0x0101);
			model_put(&m, 0x8022, payload, sim_below(random, BUF_BYTES - 23), 0);
			len = m.len;
			memcpy(s->bytes + s->total, m.bytes, len);
			framed = len;
		} else {
			assert_int_equal(
				ep_stun_frame((struct ep_stun_bytes){payload, len},
					s->bytes + s->total, sizeof(s->bytes) - s->total, &framed),
				0);
		}
		s->begin[i] = s->total + framed - len;
		s->len[i] = len;
		s->total += framed;
	}
}

/* Feed the stream in random pieces; what comes out is what went in. */
static void
script_play(uint64_t *random, enum ep_stun_framing framing, const struct script *s)
{
	uint8_t *const buf = fuzz_exact_copy(s->bytes, BUF_BYTES);
	struct ep_stun_stream stream;
	size_t at = 0, count = 0;

	ep_stun_stream_init(&stream, framing, buf, BUF_BYTES);
	while (at < s->total) {
		const size_t piece = 1 + sim_below(random, sim_below(random, 2) ? 3 : 400);
		const size_t len = s->total - at < piece ? s->total - at : piece;
		struct ep_stun_bytes in = {s->bytes + at, len}, msg;

		while (ep_stun_stream_push(&stream, &in, &msg) == EP_STUN_STREAM_WHOLE) {
			assert_true(count < s->count);
			assert_int_equal(msg.len, s->len[count]);
			if (msg.len > 0)
				assert_memory_equal(msg.bytes, s->bytes + s->begin[count], msg.len);
			count++;
		}
		assert_int_equal(stream.state, EP_STUN_STREAM_PARTIAL);
		assert_int_equal(in.len, 0);
		at += len;
	}
	assert_int_equal(count, s->count);
	free(buf);
}

static void
any_split_gives_the_same_messages(void **state)
{
	uint64_t random = seed;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		const enum ep_stun_framing framing = i % 2 ? EP_STUN_BARE : EP_STUN_FRAMED;
		struct script s;

		script_random(&random, framing, &s);
		script_play(&random, framing, &s);
	}
}

/* ---- Bounds ---- */

/* Push text of `len` bytes and say what became of it, and how much was taken. */
static enum ep_stun_stream_state
push_all(enum ep_stun_framing framing, size_t size, const void *bytes, size_t len, size_t *taken)
{
	uint8_t buf[BUF_BYTES];
	struct ep_stun_bytes in = {bytes, len}, msg;
	struct ep_stun_stream s;
	enum ep_stun_stream_state st;

	ep_stun_stream_init(&s, framing, buf, size);
	st = ep_stun_stream_push(&s, &in, &msg);
	*taken = len - in.len;
	return st;
}

static void
frames_up_to_the_buffer_are_taken_and_longer_ones_not(void **state)
{
	static const uint8_t fits[2 + 64] = {0, 64}, too_long[2] = {0, 65}, longest[2] = {255, 255};
	size_t taken;

	(void)state;
	assert_int_equal(
		push_all(EP_STUN_FRAMED, 64, fits, sizeof(fits), &taken), EP_STUN_STREAM_WHOLE);
	assert_int_equal(
		push_all(EP_STUN_FRAMED, 64, too_long, 2, &taken), EP_STUN_STREAM_TOO_LONG);
	assert_int_equal(push_all(EP_STUN_FRAMED, 64, longest, 2, &taken), EP_STUN_STREAM_TOO_LONG);
}

static void
stun_messages_up_to_the_buffer_are_taken_and_longer_ones_not(void **state)
{
	struct model m;
	size_t taken;

	(void)state;
	model_begin(&m, 0x0101);
	model_put(&m, 0x8022, "12345678", 8, 0);
	assert_int_equal(push_all(EP_STUN_BARE, 32, m.bytes, m.len, &taken), EP_STUN_STREAM_WHOLE);
	assert_int_equal(
		push_all(EP_STUN_BARE, 31, m.bytes, m.len, &taken), EP_STUN_STREAM_TOO_LONG);
	assert_int_equal(taken, 8);
}

static void
an_empty_frame_is_a_message_of_no_bytes(void **state)
{
	static const uint8_t bytes[] = {0, 0, 0, 1, 'x'};
	struct ep_stun_bytes in = {bytes, sizeof(bytes)}, msg = {0};
	struct ep_stun_stream s;
	uint8_t buf[32];

	(void)state;
	ep_stun_stream_init(&s, EP_STUN_FRAMED, buf, sizeof(buf));
	assert_int_equal(ep_stun_stream_push(&s, &in, &msg), EP_STUN_STREAM_WHOLE);
	assert_int_equal(msg.len, 0);
	assert_int_equal(ep_stun_stream_push(&s, &in, &msg), EP_STUN_STREAM_WHOLE);
	assert_int_equal(msg.len, 1);
	assert_int_equal(msg.bytes[0], 'x');
	assert_int_equal(ep_stun_stream_push(&s, &in, &msg), EP_STUN_STREAM_PARTIAL);
}

/* Told as early as it can be: after how many bytes. */
static void
other_protocols_end_a_bare_stream_at_once(void **state)
{
	static const struct {
		const char *text;
		size_t taken;
	} cases[] = {
		{"HTTP/1.1 400 Bad Request\r\n", 1}, {"\x80rtp", 1}, {"\x40\x01\x01\x01", 1},
		{"\x15\x03\x03\x01\x04\x02\x46\x46\x46", 8},       /* a TLS alert: wrong cookie */
		{"\x01\x01\x01\x02\x21\x12\xA4\x42 and so on", 8}, /* no multiple of 4 */
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(cases); i++) {
		size_t taken;

		assert_int_equal(push_all(EP_STUN_BARE, BUF_BYTES, cases[i].text,
					 strlen(cases[i].text), &taken),
			EP_STUN_STREAM_NOT_STUN);
		assert_int_equal(taken, cases[i].taken);
	}
}

static void
nothing_is_taken_behind_an_error(void **state)
{
	struct ep_stun_bytes in = ep_stun_text("\xFF\xFFxyz"), msg;
	struct ep_stun_stream s;
	uint8_t buf[32];

	(void)state;
	ep_stun_stream_init(&s, EP_STUN_FRAMED, buf, sizeof(buf));
	assert_int_equal(ep_stun_stream_push(&s, &in, &msg), EP_STUN_STREAM_TOO_LONG);
	assert_int_equal(in.len, 3);
	assert_int_equal(ep_stun_stream_push(&s, &in, &msg), EP_STUN_STREAM_TOO_LONG);
	assert_int_equal(in.len, 3);
	in = ep_stun_text("GET /");
	ep_stun_stream_init(&s, EP_STUN_BARE, buf, sizeof(buf));
	assert_int_equal(ep_stun_stream_push(&s, &in, &msg), EP_STUN_STREAM_NOT_STUN);
	assert_int_equal(ep_stun_stream_push(&s, &in, &msg), EP_STUN_STREAM_NOT_STUN);
	assert_int_equal(in.len, 4);
}

static void
framer_refuses_what_does_not_fit(void **state)
{
	static uint8_t payload[EP_STUN_FRAME_MAX + 1], out[EP_STUN_FRAME_MAX + 3];
	struct ep_stun_bytes bytes = {payload, EP_STUN_FRAME_MAX};
	size_t len = 7;

	(void)state;
	assert_int_equal(ep_stun_frame(bytes, out, EP_STUN_FRAME_MAX + 1, &len), -EMSGSIZE);
	assert_int_equal(ep_stun_frame(bytes, out, 1, &len), -EMSGSIZE);
	assert_int_equal(len, 7);
	assert_int_equal(ep_stun_frame(bytes, out, sizeof(out), &len), 0);
	assert_int_equal(len, EP_STUN_FRAME_MAX + 2);
	assert_memory_equal(out, "\xFF\xFF", 2);
	bytes.len++;
	assert_int_equal(ep_stun_frame(bytes, out, sizeof(out), &len), -EMSGSIZE);
}

/* ---- When a request is sent again (RFC 8489 section 6.2.1) ---- */

static void
requests_are_sent_at_the_times_of_the_rfc(void **state)
{
	static const uint64_t want_ms[EP_STUN_RC] = {0, 500, 1500, 3500, 7500, 15500, 31500};

	(void)state;
	for (uint32_t n = 0; n < EP_STUN_RC; n++)
		assert_true(ep_stun_send_ns(n, EP_STUN_RTO_NS) == want_ms[n] * EP_NS_PER_MS);
	assert_true(ep_stun_send_ns(EP_STUN_RC, EP_STUN_RTO_NS) == UINT64_MAX);
	assert_true(ep_stun_send_ns(UINT32_MAX, EP_STUN_RTO_NS) == UINT64_MAX);
	assert_true(ep_stun_fail_ns(EP_STUN_RTO_NS) == 39500 * EP_NS_PER_MS);
	assert_true(ep_stun_fail_ns((UINT64_C(1) << 57) - 1) == ((UINT64_C(1) << 57) - 1) * 79);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_split_gives_the_same_messages),
		cmocka_unit_test(frames_up_to_the_buffer_are_taken_and_longer_ones_not),
		cmocka_unit_test(stun_messages_up_to_the_buffer_are_taken_and_longer_ones_not),
		cmocka_unit_test(an_empty_frame_is_a_message_of_no_bytes),
		cmocka_unit_test(other_protocols_end_a_bare_stream_at_once),
		cmocka_unit_test(nothing_is_taken_behind_an_error),
		cmocka_unit_test(framer_refuses_what_does_not_fit),
		cmocka_unit_test(requests_are_sent_at_the_times_of_the_rfc),
	};

	seed = sim_seed(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
