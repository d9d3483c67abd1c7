/*
 * Mutated heads, from the seeds of tests/fuzz/http-response and http-request. Nothing may crash or be written behind the buffer; a
 * head is the same however it is split; what is whole has a first line and fields that can be found.
 */

#include "http_paths.h"

#include <ep_http.h>

#include <fuzz.h>
#include <setjmp.h>
#include <sim.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/** Longest head: the seeds know it. */
#define HEAD_BYTES 512

static uint64_t seed;

static const char *const token_text[] = {"\r\n", "\n", "\r", ": ", " ", "\t", "HTTP/1.1", "HTTP/1.",
	"200", "\r\n\r\n", "A: b\r\n", "GET ", "/", "\x7F", "\xFF"};
static const struct fuzz_tokens tokens = {token_text, EP_ARRAY_LEN(token_text)};

static bool
view_is_within(const struct ep_http_head *h, struct ep_http_view view)
{
	return view.text >= h->buf && view.text + view.len <= h->buf + h->len;
}

/* The members of a head that is whole. */
static void
whole_check(const struct ep_http_head *h)
{
	struct ep_http_view value;

	assert_int_equal(h->buf[h->len - 1], '\n');
	assert_in_range(h->minor, 0, 9);
	assert_in_range(h->field_count, 0, EP_HTTP_FIELDS_MAX);
	if (h->kind == EP_HTTP_RESPONSE) {
		assert_in_range(h->status, 100, 999);
		assert_true(view_is_within(h, h->reason));
	} else {
		assert_in_range(h->method.len, 1, 32);
		assert_true(h->target.len > 0 && view_is_within(h, h->target));
	}
	/* A look through all fields, since none has this name, and one for what may be there. */
	assert_false(ep_http_field(h, "no-such-field-at-all", &value));
	if (ep_http_field(h, "Server", &value))
		assert_true(view_is_within(h, value));
}

/* Feed a head in pieces of up to `piece` bytes. Its views point into buf. */
static void
head_run(const struct fuzz_sample *s, uint64_t *random, size_t piece, struct ep_http_head *h)
{
	for (size_t at = 0; at < s->len && h->state == EP_HTTP_PARTIAL;) {
		const size_t want = 1 + sim_below(random, piece);
		const size_t len = s->len - at < want ? s->len - at : want;
		uint8_t *const copy = fuzz_exact_copy(s->bytes + at, len);
		size_t used;

		ep_http_head_push(h, copy, len, &used);
		assert_true(used == len || h->state != EP_HTTP_PARTIAL);
		free(copy);
		at += used;
	}
}

/* Whole and in pieces: the same. */
static enum ep_http_state
head_try(const struct fuzz_sample *s, enum ep_http_kind kind, uint64_t *random)
{
	char *const whole_buf = malloc(HEAD_BYTES), *const split_buf = malloc(HEAD_BYTES);
	struct ep_http_head whole, split;

	assert_non_null(whole_buf);
	assert_non_null(split_buf);
	ep_http_head_init(&whole, kind, whole_buf, HEAD_BYTES);
	ep_http_head_init(&split, kind, split_buf, HEAD_BYTES);
	head_run(s, random, FUZZ_SAMPLE_MAX, &whole);
	head_run(s, random, 1 + sim_below(random, 9), &split);
	assert_int_equal(whole.state, split.state);
	assert_int_equal(whole.len, split.len);
	assert_memory_equal(whole_buf, split_buf, whole.len);
	assert_int_equal(whole.status, split.status);
	assert_int_equal(whole.field_count, split.field_count);
	if (whole.state == EP_HTTP_WHOLE)
		whole_check(&whole);
	free(whole_buf);
	free(split_buf);
	return whole.state;
}

static void
heads_fuzz(const char *folder, enum ep_http_kind kind)
{
	static struct fuzz_sample sample;
	struct fuzz_corpus *const corpus = fuzz_corpus_read(folder);
	const long rounds = fuzz_rounds() / 2;
	uint64_t random = seed;
	long count[EP_HTTP_TOO_LONG + 1] = {0};

	for (long i = 0; i < rounds; i++) {
		fuzz_sample_random(&random, corpus, &tokens, &sample);
		count[head_try(&sample, kind, &random)]++;
	}
	/* The mutator must reach all of them, or it tests nothing. */
	for (size_t st = 0; st < EP_ARRAY_LEN(count); st++)
		assert_true(count[st] > rounds / 100);
	free(corpus);
}

static void
mutated_responses_do_no_harm(void **state)
{
	(void)state;
	heads_fuzz(http_response_corpus_dir, EP_HTTP_RESPONSE);
}

static void
mutated_requests_do_no_harm(void **state)
{
	(void)state;
	heads_fuzz(http_request_corpus_dir, EP_HTTP_REQUEST);
}

static void
seeds_check(const char *folder, enum ep_http_kind kind, size_t least)
{
	static const char *const verdict[] = {
		[EP_HTTP_PARTIAL] = "partial",
		[EP_HTTP_WHOLE] = "whole",
		[EP_HTTP_NOT_HTTP] = "other",
		[EP_HTTP_MALFORMED] = "malformed",
		[EP_HTTP_TOO_LONG] = "long",
	};
	struct fuzz_corpus *const corpus = fuzz_corpus_read(folder);
	uint64_t random = seed;

	for (size_t i = 0; i < corpus->count; i++) {
		const struct fuzz_seed *const s = &corpus->seed[i];

		if (!fuzz_seed_is(s, verdict[head_try(&s->sample, kind, &random)]))
			fail_msg("%s/%s", folder, s->name);
	}
	assert_true(corpus->count >= least);
	free(corpus);
}

static void
seeds_have_the_verdict_of_their_name(void **state)
{
	(void)state;
	seeds_check(http_response_corpus_dir, EP_HTTP_RESPONSE, 26);
	seeds_check(http_request_corpus_dir, EP_HTTP_REQUEST, 16);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mutated_responses_do_no_harm),
		cmocka_unit_test(mutated_requests_do_no_harm),
		cmocka_unit_test(seeds_have_the_verdict_of_their_name),
	};

	seed = sim_seed(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
