/*
 * Mutated configurations, from the seeds of tests/fuzz/livekit. Nothing may crash or be read behind the end; what is read has ports
 * that make sense, what is not has a sentence.
 */

#include "livekit_paths.h"

#include <ep_livekit.h>

#include <errno.h>
#include <fuzz.h>
#include <setjmp.h>
#include <sim.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t seed;

static const char *const token_text[] = {"port: ", "rtc:\n", "turn:\n",
	"  udp_port: ", "  enabled: true\n", "65535", "0", "7882-7892", "{", "}", "[", "]", ", ",
	": ", "\n", "\n  ", "*a", "&a ", "<<: ", "? ", "- ", "|\n", "'", "\"", "!!int ", "---\n",
	"#", "%", "\t", "\xEF\xBB\xBF", "\xFF"};
static const struct fuzz_tokens tokens = {token_text, EP_ARRAY_LEN(token_text)};

static void
range_check(struct ep_livekit_range range, bool may_be_none)
{
	assert_true(range.first <= range.last);
	assert_true(range.first != 0 || (may_be_none && range.last == 0));
}

static void
livekit_check(const struct ep_livekit *l)
{
	assert_int_not_equal(l->port, 0);
	range_check(l->media, l->media_kind == EP_LIVEKIT_MEDIA_ANY);
	range_check(l->turn_relay, false);
	assert_non_null(memchr(l->turn_domain, '\0', sizeof(l->turn_domain)));
	assert_in_range(l->contradiction_count, 0, EP_LIVEKIT_CONTRADICTIONS_MAX);
	for (uint32_t i = 0; i < l->contradiction_count; i++)
		assert_in_range(strlen(l->contradiction[i]), 1, EP_LIVEKIT_SENTENCE_BYTES - 1);
}

static int
file_try(const struct fuzz_sample *s)
{
	static const int codes[] = {
		-EFBIG, -EBADMSG, -E2BIG, -EINVAL, -ERANGE, -ENOTSUP}; /* and never -ENOMEM */
	char *const copy = (char *)fuzz_exact_copy(s->bytes, s->len);
	struct ep_livekit livekit;
	struct ep_err err = {0};
	const int ret = ep_livekit_parse(copy, s->len, "file", &livekit, &err);
	bool documented = ret == 0;

	free(copy);
	for (size_t i = 0; i < EP_ARRAY_LEN(codes); i++)
		documented = documented || ret == codes[i];
	assert_true(documented);
	if (ret == 0)
		livekit_check(&livekit);
	else
		assert_memory_equal(err.text, "file", 4);
	for (const char *c = err.text; *c != '\0'; c++)
		assert_in_range(*c, ' ', '~'); /* nothing that a terminal would obey */
	return ret;
}

static void
mutated_files_do_no_harm(void **state)
{
	static struct fuzz_sample sample;
	struct fuzz_corpus *const corpus = fuzz_corpus_read(livekit_corpus_dir);
	const long rounds = fuzz_rounds() / 2;
	uint64_t random = seed;
	long good = 0, no_yaml = 0;

	(void)state;
	for (long i = 0; i < rounds; i++) {
		int ret;

		fuzz_sample_random(&random, corpus, &tokens, &sample);
		ret = file_try(&sample);
		good += ret == 0;
		no_yaml += ret == -EBADMSG;
	}
	/* The mutator must reach the good and the bad ways, or it tests nothing. */
	assert_true(good > rounds / 20);
	assert_true(no_yaml > rounds / 20);
	assert_true(rounds - good - no_yaml > rounds / 20);
	free(corpus);
}

static void
seeds_have_the_verdict_of_their_name(void **state)
{
	struct fuzz_corpus *const corpus = fuzz_corpus_read(livekit_corpus_dir);

	(void)state;
	for (size_t i = 0; i < corpus->count; i++) {
		const struct fuzz_seed *const s = &corpus->seed[i];
		const int ret = file_try(&s->sample);

		if (!fuzz_seed_is(s, ret == 0 ? "good" : "bad"))
			fail_msg("%s: %d", s->name, ret);
	}
	assert_true(corpus->count >= 29);
	free(corpus);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mutated_files_do_no_harm),
		cmocka_unit_test(seeds_have_the_verdict_of_their_name),
	};

	seed = sim_seed(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
