/*
 * Mutated messages and streams, from the seeds of tests/fuzz/stun, stun-framed and stun-bare. Nothing may crash or be read behind
 * its end; what is decoded can be encoded again; a stream gives the same messages however it is split.
 */

#include "stun_model.h"
#include "stun_paths.h"

#include <errno.h>
#include <fuzz.h>
#include <setjmp.h>
#include <sim.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/** Longest message of a stream: the seeds know it. */
#define STREAM_BYTES 512

static uint64_t seed;

static const char *const token_text[] = {"\x21\x12\xA4\x42", "\x80\x28", "\x01\x01\x01\x01",
	"\xFF\xFF", "\x80\x22\x01", "\x7F", "\x06", "\x14", "\x15", "\x20", "\x04\x01", "HTTP"};
static const struct fuzz_tokens tokens = {token_text, EP_ARRAY_LEN(token_text)};

/* ---- Messages ---- */

/* What is decoded is encoded and decoded again to the same. */
static void
decoded_check(const struct ep_stun_msg *msg)
{
	struct ep_stun_msg again;
	struct ep_stun_buf out;
	const int ret = ep_stun_encode(msg, NULL, &out);

	assert_in_range(msg->method, 0, 0xFFF);
	assert_in_range(msg->unknown_count, 0, EP_STUN_UNKNOWN_MAX);
	assert_in_range(msg->not_understood_count, 0, EP_STUN_UNKNOWN_MAX);
	if (ret == -EMSGSIZE || ret == -EINVAL) /* a text that is longer than what we write */
		return;
	assert_int_equal(ret, 0);
	assert_int_equal(
		ep_stun_decode((struct ep_stun_bytes){out.bytes, out.len}, &again, NULL), 0);
	assert_int_equal(again.has, msg->has & ~(uint32_t)EP_STUN_HAS_INTEGRITY);
	assert_int_equal(again.class, msg->class);
	assert_int_equal(again.method, msg->method);
	assert_int_equal(again.error_code, msg->error_code);
	assert_int_equal(again.realm.len, msg->realm.len);
	if (msg->realm.len > 0)
		assert_memory_equal(again.realm.bytes, msg->realm.bytes, msg->realm.len);
}

/* Everything that takes a message of the far side, on a copy of exactly its bytes. */
static int
message_try(const struct fuzz_sample *s)
{
	uint8_t *const copy = fuzz_exact_copy(s->bytes, s->len);
	const struct ep_stun_bytes bytes = {copy, s->len};
	const struct ep_stun_server server = {.software = ep_stun_text("s"),
		.realm = ep_stun_text("r"),
		.nonce = ep_stun_text("n"),
		.password = ep_stun_text(s->len & 4 ? "secret" : ""),
		.ufrag = ep_stun_text(s->len & 8 ? "far" : ""),
		.password_optional = (s->len & 16) != 0};
	const struct ep_stun_addr from = {.ip = {.family = EP_WIRE_IPV4}, .port = 9};
	struct ep_stun_msg msg;
	struct ep_stun_buf out;
	const int ret = ep_stun_decode(bytes, &msg, NULL);
	int answered;

	assert_true(ret == 0 || ret == -EPROTO || ret == -EBADMSG);
	assert_true(ret != 0 || ep_stun_looks_like(bytes));
	if (ret == 0) {
		const int checked = ep_stun_integrity_check(&msg, bytes, ep_stun_text("secret"));

		assert_true(checked == 0 || checked == -ENOENT || checked == -EACCES);
		decoded_check(&msg);
	}
	answered = ep_stun_answer(&server, bytes, &from, &out);
	assert_true(answered == 0 || answered == -ENOENT || answered == ret);
	free(copy);
	return ret;
}

/* Right its length, and its FINGERPRINT where it ends with one: else mutations would end there. */
static void
message_fix(uint64_t *random, struct fuzz_sample *s)
{
	if (s->len < EP_STUN_HEADER_BYTES || sim_below(random, 8) == 0)
		return;
	s->len -= s->len % 4;
	s->bytes[2] = (uint8_t)((s->len - EP_STUN_HEADER_BYTES) >> 8);
	s->bytes[3] = (uint8_t)(s->len - EP_STUN_HEADER_BYTES);
	memcpy(s->bytes + 4, "\x21\x12\xA4\x42", 4);
	if (s->len >= EP_STUN_HEADER_BYTES + 8 &&
		memcmp(s->bytes + s->len - 8, "\x80\x28\0\4", 4) == 0)
		model_fix_fingerprint(s->bytes, s->len);
}

static void
mutated_messages_do_no_harm(void **state)
{
	static struct fuzz_sample sample;
	struct fuzz_corpus *const corpus = fuzz_corpus_read(stun_corpus_dir);
	const long rounds = fuzz_rounds();
	uint64_t random = seed;
	long good = 0, bad = 0, other = 0;

	(void)state;
	for (long i = 0; i < rounds; i++) {
		int ret;

		fuzz_sample_random(&random, corpus, &tokens, &sample);
		message_fix(&random, &sample);
		ret = message_try(&sample);
		good += ret == 0;
		bad += ret == -EBADMSG;
		other += ret == -EPROTO;
	}
	/* The mutator must reach all of them, or it tests nothing. */
	assert_true(good > rounds / 10);
	assert_true(bad > rounds / 10);
	assert_true(other > rounds / 50);
	free(corpus);
}

static void
seeds_of_messages_have_the_verdict_of_their_name(void **state)
{
	static const struct {
		const char *verdict;
		int code;
	} verdicts[] = {{"good", 0}, {"bad", -EBADMSG}, {"other", -EPROTO}};
	struct fuzz_corpus *const corpus = fuzz_corpus_read(stun_corpus_dir);
	size_t checked = 0;

	(void)state;
	for (size_t i = 0; i < corpus->count; i++)
		for (size_t k = 0; k < EP_ARRAY_LEN(verdicts); k++) {
			const struct fuzz_seed *const s = &corpus->seed[i];

			if (!fuzz_seed_is(s, verdicts[k].verdict))
				continue;
			if (message_try(&s->sample) != verdicts[k].code)
				fail_msg("%s", s->name);
			checked++;
		}
	assert_int_equal(checked, corpus->count);
	assert_true(checked >= 40);
	free(corpus);
}

/* ---- Streams ---- */

/** What came out of a stream. */
struct outcome {
	enum ep_stun_stream_state state;
	size_t count;
	size_t len[FUZZ_SAMPLE_MAX];
	uint32_t sum; /* of all bytes of all messages, by place */
};

/* Feed it in pieces of up to `piece` bytes. */
static void
stream_run(const struct fuzz_sample *s, enum ep_stun_framing framing, uint64_t *random,
	size_t piece, struct outcome *out)
{
	uint8_t *const buf = malloc(STREAM_BYTES);
	struct ep_stun_stream stream;
	size_t at = 0;

	assert_non_null(buf);
	out->count = 0;
	out->sum = 0;
	ep_stun_stream_init(&stream, framing, buf, STREAM_BYTES);
	while (at < s->len && stream.state <= EP_STUN_STREAM_WHOLE) {
		const size_t want = 1 + sim_below(random, piece);
		const size_t len = s->len - at < want ? s->len - at : want;
		uint8_t *const copy = fuzz_exact_copy(s->bytes + at, len);
		struct ep_stun_bytes in = {copy, len}, msg;

		while (ep_stun_stream_push(&stream, &in, &msg) == EP_STUN_STREAM_WHOLE) {
			assert_in_range(msg.len, 0, STREAM_BYTES);
			for (size_t i = 0; i < msg.len; i++)
				out->sum = out->sum * 31 + msg.bytes[i];
			out->len[out->count++] = msg.len;
		}
		free(copy);
		at += len;
	}
	out->state = stream.state;
	/* A message that is whole is not one that is waited for. */
	if (out->state == EP_STUN_STREAM_PARTIAL && stream.have == 0)
		out->state = EP_STUN_STREAM_WHOLE;
	free(buf);
}

/* Whole and in pieces: the same. Returns the state at the end, WHOLE when it ends with a message's end. */
static enum ep_stun_stream_state
stream_try(const struct fuzz_sample *s, enum ep_stun_framing framing, uint64_t *random)
{
	static struct outcome whole, split;

	stream_run(s, framing, random, FUZZ_SAMPLE_MAX, &whole);
	stream_run(s, framing, random, 1 + sim_below(random, 9), &split);
	assert_int_equal(whole.count, split.count);
	assert_memory_equal(whole.len, split.len, whole.count * sizeof(whole.len[0]));
	assert_int_equal(whole.sum, split.sum);
	assert_int_equal(whole.state, split.state);
	return whole.state;
}

static void
streams_fuzz(const char *folder, enum ep_stun_framing framing)
{
	static struct fuzz_sample sample;
	struct fuzz_corpus *const corpus = fuzz_corpus_read(folder);
	const long rounds = fuzz_rounds() / 4;
	uint64_t random = seed;
	long count[4] = {0};

	for (long i = 0; i < rounds; i++) {
		fuzz_sample_random(&random, corpus, &tokens, &sample);
		count[stream_try(&sample, framing, &random)]++;
	}
	assert_true(count[EP_STUN_STREAM_PARTIAL] > rounds / 50);
	assert_true(count[EP_STUN_STREAM_WHOLE] > rounds / 50);
	assert_true(count[EP_STUN_STREAM_TOO_LONG] > rounds / 50);
	assert_true((count[EP_STUN_STREAM_NOT_STUN] > rounds / 50) == (framing == EP_STUN_BARE));
	free(corpus);
}

static void
mutated_framed_streams_do_no_harm(void **state)
{
	(void)state;
	streams_fuzz(stun_framed_corpus_dir, EP_STUN_FRAMED);
}

static void
mutated_bare_streams_do_no_harm(void **state)
{
	(void)state;
	streams_fuzz(stun_bare_corpus_dir, EP_STUN_BARE);
}

static void
stream_seeds_check(const char *folder, enum ep_stun_framing framing, size_t least)
{
	static const char *const verdict[] = {
		[EP_STUN_STREAM_PARTIAL] = "partial",
		[EP_STUN_STREAM_WHOLE] = "good",
		[EP_STUN_STREAM_TOO_LONG] = "long",
		[EP_STUN_STREAM_NOT_STUN] = "other",
	};
	struct fuzz_corpus *const corpus = fuzz_corpus_read(folder);
	uint64_t random = seed;

	for (size_t i = 0; i < corpus->count; i++) {
		const struct fuzz_seed *const s = &corpus->seed[i];

		if (!fuzz_seed_is(s, verdict[stream_try(&s->sample, framing, &random)]))
			fail_msg("%s/%s", folder, s->name);
	}
	assert_true(corpus->count >= least);
	free(corpus);
}

static void
seeds_of_streams_have_the_verdict_of_their_name(void **state)
{
	(void)state;
	stream_seeds_check(stun_framed_corpus_dir, EP_STUN_FRAMED, 14);
	stream_seeds_check(stun_bare_corpus_dir, EP_STUN_BARE, 17);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mutated_messages_do_no_harm),
		cmocka_unit_test(seeds_of_messages_have_the_verdict_of_their_name),
		cmocka_unit_test(mutated_framed_streams_do_no_harm),
		cmocka_unit_test(mutated_bare_streams_do_no_harm),
		cmocka_unit_test(seeds_of_streams_have_the_verdict_of_their_name),
	};

	seed = sim_seed(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
