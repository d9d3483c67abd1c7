#include "ctrl_util.h"

#include <errno.h>
#include <string.h>

static void
buf_gives_bytes_back_in_order(void **state)
{
	struct rng rng = rng_from_env();
	struct ctrl_buf buf = {0};
	uint8_t in = 0, out = 0;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		uint8_t chunk[100];
		const size_t len = rng_below(&rng, sizeof(chunk));
		size_t take;

		for (size_t k = 0; k < len; k++)
			chunk[k] = in++;
		assert_int_equal(ctrl_buf_append(&buf, chunk, len), 0);
		take = rng_below(&rng, ctrl_buf_len(&buf) + 1);
		for (size_t k = 0; k < take; k++)
			assert_int_equal(buf.bytes[buf.head + k], out++);
		ctrl_buf_consume(&buf, take);
		assert_int_equal((uint8_t)(in - out), (uint8_t)ctrl_buf_len(&buf));
	}
	ctrl_buf_fini(&buf);
}

static void
buf_gives_the_memory_of_a_large_frame_back(void **state)
{
	static const uint8_t large[2 * EP_CTRL_HELLO_MAX];
	struct ctrl_buf buf = {0};

	(void)state;
	assert_int_equal(ctrl_buf_append(&buf, large, sizeof(large)), 0);
	ctrl_buf_consume(&buf, SIZE_MAX);
	assert_int_equal(ctrl_buf_len(&buf), 0);
	assert_int_equal(buf.size, 0);
}

static void
frame_length_is_big_endian_and_of_the_json_alone(void **state)
{
	static const uint8_t want[] = "\0\0\0\7{\"a\":1}";
	struct ctrl_buf buf = {0};
	json_t *object = json_pack("{s:i}", "a", 1);

	(void)state;
	assert_int_equal(ctrl_frame_append(&buf, object), 0);
	assert_int_equal(ctrl_buf_len(&buf), sizeof(want) - 1);
	assert_memory_equal(buf.bytes, want, sizeof(want) - 1);
	json_decref(object);
	ctrl_buf_fini(&buf);
}

static void
frame_is_whole_only_with_its_last_byte(void **state)
{
	static const uint8_t bytes[] = {0, 0, 0, 2, '{', '}'};
	struct ctrl_buf buf = {0};
	const uint8_t *json;
	struct ep_err err;
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++) {
		assert_int_equal(ctrl_frame_peek(&buf, 2, &json, &len, &err), CTRL_FRAME_PARTIAL);
		assert_int_equal(ctrl_buf_append(&buf, &bytes[i], 1), 0);
	}
	assert_int_equal(ctrl_frame_peek(&buf, 2, &json, &len, &err), CTRL_FRAME_WHOLE);
	assert_int_equal(len, 2);
	assert_memory_equal(json, "{}", 2);
	ctrl_buf_fini(&buf);
}

static void
frame_length_of_zero_or_over_the_limit_is_bad_at_once(void **state)
{
	static const struct {
		uint8_t header[4];
		enum ctrl_frame want;
		const char *sentence;
	} row[] = {
		{{0, 0, 0, 0}, CTRL_FRAME_BAD,
			"frame of 0 B from the peer, allowed here: 1 to 65536 B"},
		{{0, 0, 0, 1}, CTRL_FRAME_PARTIAL, NULL},
		{{0, 1, 0, 0}, CTRL_FRAME_PARTIAL, NULL},
		{{0, 1, 0, 1}, CTRL_FRAME_BAD,
			"frame of 65537 B from the peer, allowed here: 1 to 65536 B"},
		{{255, 255, 255, 255}, CTRL_FRAME_BAD,
			"frame of 4294967295 B from the peer, allowed here: 1 to 65536 B"},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		struct ctrl_buf buf = {0};
		struct ep_err err = {0};
		const uint8_t *json;
		size_t len;

		assert_int_equal(ctrl_buf_append(&buf, row[i].header, 4), 0);
		assert_int_equal(
			ctrl_frame_peek(&buf, EP_CTRL_HELLO_MAX, &json, &len, &err), row[i].want);
		if (row[i].sentence != NULL) {
			assert_int_equal(err.code, -EMSGSIZE);
			assert_string_equal(err.text, row[i].sentence);
		}
		assert_true(buf.size <= 1024); /* nothing was taken for the claim */
		ctrl_buf_fini(&buf);
	}
}

static void
only_an_awaited_report_may_be_large(void **state)
{
	/* 100,000 B: above the limit of 64 KiB, below what 10,001 ports may need. */
	static const uint8_t header[] = {0, 1, 0x86, 0xa0};
	struct rng rng = rng_from_env();

	(void)state;
	for (int role = 0; role < 2; role++) {
		for (int st = 0; st < CTRL_ST_OVER; st++) {
			const bool awaited = role == EP_CTRL_INITIATOR && st == CTRL_ST_COLLECT;
			struct ep_ctrl *c =
				session_at(&rng, (enum ep_ctrl_role)role, (enum ctrl_state)st, 0);
			struct ep_ctrl_event event;

			ep_ctrl_port_count(c, 10001);
			assert_int_equal(ep_ctrl_input(c, header, sizeof(header), 0), 0);
			ep_ctrl_next(c, 0, &event);
			assert_int_equal(event.kind, awaited ? EP_CTRL_EV_NONE : EP_CTRL_EV_FAILED);
			if (!awaited)
				assert_int_equal(event.err.code, -EMSGSIZE);
			ep_ctrl_destroy(c);
		}
	}
}

static void
bytes_that_are_never_taken_fail_the_session_at_32_mib(void **state)
{
	static uint8_t flood[1 << 20];
	struct rng rng = rng_from_env();
	struct ep_ctrl *c = session_at(&rng, EP_CTRL_RESPONDER, CTRL_ST_RUN, 0);
	struct ep_ctrl_event event;

	(void)state;
	memcpy(flood, "\0\0\1\0", 4); /* the first frame is of an allowed length */
	for (int i = 0; i < 33; i++)
		assert_int_equal(ep_ctrl_input(c, flood, sizeof(flood), 0), 0);
	ep_ctrl_next(c, 0, &event);
	assert_int_equal(event.kind, EP_CTRL_EV_FAILED);
	assert_int_equal(event.err.code, -EMSGSIZE);
	ep_ctrl_destroy(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buf_gives_bytes_back_in_order),
		cmocka_unit_test(buf_gives_the_memory_of_a_large_frame_back),
		cmocka_unit_test(frame_length_is_big_endian_and_of_the_json_alone),
		cmocka_unit_test(frame_is_whole_only_with_its_last_byte),
		cmocka_unit_test(frame_length_of_zero_or_over_the_limit_is_bad_at_once),
		cmocka_unit_test(only_an_awaited_report_may_be_large),
		cmocka_unit_test(bytes_that_are_never_taken_fail_the_session_at_32_mib),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
