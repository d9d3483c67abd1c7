/*
 * Mutated messages, random bytes and the corpus of tests/fuzz/ctrl, in every state of both ends. Nothing may crash; what is
 * handed out as an event must be within bounds (it can be encoded again); after the end nothing comes.
 */

#include "ctrl_paths.h"
#include "ctrl_util.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS_MAX 4096

/* A sanitiser is slow but is where a fuzz run finds most. EP_TEST_FUZZ_COUNT sets the count. */
#ifdef __SANITIZE_ADDRESS__
#define FUZZ_COUNT 100000
#else
#define FUZZ_COUNT 20000
#endif

/** What came out of a session. */
struct outcome {
	size_t count;
	enum ep_ctrl_event_kind kind[EVENTS_MAX];
	char text[512]; /* of FAILED */
};

static void
event_check(struct ep_ctrl_event *event)
{
	const enum ctrl_msg msg = event_msg(event->kind);
	struct ctrl_buf frame = {0};

	if (event->kind == EP_CTRL_EV_FAILED) {
		assert_true(event->err.code < 0);
		assert_true(strlen(event->err.text) > 0);
		return;
	}
	assert_int_not_equal(msg, CTRL_MSGS);
	assert_int_equal(ctrl_msg_encode(msg, body_of(event), &frame), 0);
	ctrl_buf_fini(&frame);
	body_free(msg, event);
}

/** Say what the peer waits for, so that a stream of several messages goes on. */
static void
answer(struct ep_ctrl *c, enum ep_ctrl_event_kind kind, struct rng *rng)
{
	static const enum ctrl_msg answers[][2] = {
		{CTRL_HELLO, CTRL_WELCOME},
		{CTRL_PREPARE, CTRL_READY},
		{CTRL_START, CTRL_STARTED},
		{CTRL_COLLECT, CTRL_REPORT},
		{CTRL_WELCOME, CTRL_PREPARE},
		{CTRL_READY, CTRL_START},
		{CTRL_STARTED, CTRL_COLLECT},
	};

	for (size_t i = 0; i < EP_ARRAY_LEN(answers); i++) {
		struct ep_ctrl_event body;

		if (event_msg(kind) != answers[i][0])
			continue;
		body_random(rng, answers[i][1], &body);
		(void)say_any(
			c, answers[i][1], &body, 0); /* trial numbers may not fit: no matter */
		body_free(answers[i][1], &body);
	}
}

static void
drain_events(struct ep_ctrl *c, struct outcome *out)
{
	struct rng rng = {1};
	struct ep_ctrl_event event;

	for (;;) {
		ep_ctrl_next(c, 0, &event);
		if (event.kind == EP_CTRL_EV_NONE)
			return;
		assert_true(out->count < EVENTS_MAX);
		out->kind[out->count++] = event.kind;
		if (event.kind == EP_CTRL_EV_FAILED)
			memcpy(out->text, event.err.text, sizeof(out->text));
		event_check(&event);
		answer(c, event.kind, &rng);
	}
}

/* --- Mutation --------------------------------------------------------------------------------- */

/** A frame under mutation. */
struct sample {
	uint8_t bytes[1 << 16];
	size_t len;
};

static void
sample_splice(struct sample *s, size_t at, size_t gone, const void *bytes, size_t len)
{
	if (s->len - gone + len > sizeof(s->bytes))
		return;
	memmove(s->bytes + at + len, s->bytes + at + gone, s->len - at - gone);
	memcpy(s->bytes + at, bytes, len);
	s->len = s->len - gone + len;
}

static void
mutate(struct rng *rng, struct sample *s)
{
	static const char *const tokens[] = {"{", "}", "[", "]", ",", ":", "\"", "\\", "\\u0000",
		"-1", "0", "1e999", "9223372036854775808", "null", "true", "\"v\":1,",
		"\"type\":\"beat\",", "[[[[[[", "{\"a\":", "\xff\xfe", "\\ud800", "\"trial\":0,",
		"0.5", "\0"};
	const size_t at = rng_below(rng, s->len);
	const size_t room = s->len - at;
	const char *token = tokens[rng_below(rng, EP_ARRAY_LEN(tokens))];
	uint8_t copy[32];
	size_t len;

	switch (rng_below(rng, 6)) {
	case 0:
		s->bytes[at] ^= (uint8_t)(1u << rng_below(rng, 8));
		break;
	case 1:
		s->bytes[at] = (uint8_t)rng_next(rng);
		break;
	case 2:
		sample_splice(s, at, rng_below(rng, room), "", 0);
		break;
	case 3:
		len = rng_below(rng, room < sizeof(copy) ? room : sizeof(copy));
		memcpy(copy, s->bytes + at, len);
		sample_splice(s, rng_below(rng, s->len), 0, copy, len);
		break;
	case 4:
		sample_splice(s, at, 0, token, strlen(token));
		break;
	default:
		sample_splice(s, at, rng_below(rng, room < 8 ? room : 8), token, strlen(token));
		break;
	}
	if (s->len == 0)
		s->bytes[s->len++] = 0;
}

static void
length_fix(struct sample *s)
{
	const size_t len = s->len - 4;

	s->bytes[0] = (uint8_t)(len >> 24);
	s->bytes[1] = (uint8_t)(len >> 16);
	s->bytes[2] = (uint8_t)(len >> 8);
	s->bytes[3] = (uint8_t)len;
}

static void
sample_random(struct rng *rng, struct sample *s)
{
	const enum ctrl_msg msg = (enum ctrl_msg)rng_below(rng, CTRL_MSGS);
	struct ctrl_buf frame = {0};
	struct ep_ctrl_event body;

	if (rng_below(rng, 16) == 0) { /* noise */
		s->len = 1 + rng_below(rng, 300);
		for (size_t i = 0; i < s->len; i++)
			s->bytes[i] = (uint8_t)rng_next(rng);
		return;
	}
	body_random(rng, msg, &body);
	assert_int_equal(ctrl_msg_encode(msg, body_of(&body), &frame), 0);
	s->len = ctrl_buf_len(&frame);
	memcpy(s->bytes, frame.bytes + frame.head, s->len);
	ctrl_buf_fini(&frame);
	body_free(msg, &body);
	for (uint64_t i = rng_below(rng, 4); i > 0; i--)
		mutate(rng, s);
	if (rng_below(rng, 8) != 0 && s->len > 4)
		length_fix(s);
}

static void
mutated_messages_and_noise_do_no_harm(void **state)
{
	static struct sample sample;
	static struct outcome out;
	const char *count_text = getenv("EP_TEST_FUZZ_COUNT");
	const long count = count_text != NULL ? strtol(count_text, NULL, 10) : FUZZ_COUNT;
	struct rng rng = rng_from_env();
	size_t failed = 0, taken = 0;

	(void)state;
	for (long i = 0; i < count;) {
		struct ep_ctrl *c = session_at(&rng, (enum ep_ctrl_role)rng_below(&rng, 2),
			(enum ctrl_state)rng_below(&rng, CTRL_ST_OVER), 0);

		/* A session goes on until something was wrong with it. */
		out.count = 0;
		for (int k = 0; k < 8; k++) {
			i++;
			sample_random(&rng, &sample);
			assert_int_equal(ep_ctrl_input(c, sample.bytes, sample.len, 0), 0);
			drain_events(c, &out);
			if (out.count > 0 && out.kind[out.count - 1] == EP_CTRL_EV_FAILED)
				break;
		}
		failed += out.count > 0 && out.kind[out.count - 1] == EP_CTRL_EV_FAILED;
		taken += out.count;
		ep_ctrl_destroy(c);
	}
	/* The mutator must reach both the good and the bad ways, or it tests nothing. */
	assert_true(failed > 0);
	assert_true(taken > failed);
}

/* --- Corpus ----------------------------------------------------------------------------------- */

static bool
sample_read(const char *name, struct sample *s)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", ctrl_corpus_dir, name);
	file = fopen(path, "rb");
	if (file == NULL)
		return false;
	s->len = fread(s->bytes, 1, sizeof(s->bytes), file);
	fclose(file);
	return s->len > 0 && s->len < sizeof(s->bytes);
}

static void
replay(const struct sample *s, enum ep_ctrl_role role, enum ctrl_state st, size_t chunk,
	struct outcome *out)
{
	struct rng rng = {1};
	struct ep_ctrl *c = session_at(&rng, role, st, 0);

	memset(out, 0, sizeof(*out));
	for (size_t at = 0; at < s->len; at += chunk) {
		const size_t len = s->len - at < chunk ? s->len - at : chunk;

		assert_int_equal(ep_ctrl_input(c, s->bytes + at, len, 0), 0);
		drain_events(c, out);
	}
	ep_ctrl_destroy(c);
}

/** bad-*: a session must fail on it. partial-*: it must wait for more. good-*: no session in the right state fails. */
static void
outcome_check(
	const char *name, enum ep_ctrl_role role, enum ctrl_state st, const struct outcome *out)
{
	const bool failed = out->count > 0 && out->kind[out->count - 1] == EP_CTRL_EV_FAILED;
	const bool initial = st == CTRL_ST_INIT;

	if (strncmp(name, "bad-", 4) == 0 && !failed)
		fail_msg("%s: role %d did not fail in state %s", name, role, ctrl_state_name(st));
	if (strncmp(name, "partial-", 8) == 0 && out->count > 0)
		fail_msg("%s: role %d did not wait in state %s", name, role, ctrl_state_name(st));
	if (strncmp(name, "good-", 5) == 0 && role == EP_CTRL_RESPONDER && initial && failed)
		fail_msg("%s: %s", name, out->text);
}

static void
corpus_has_the_outcome_of_its_name_however_it_is_split(void **state)
{
	static struct sample sample;
	static struct outcome whole, split;
	DIR *dir = opendir(ctrl_corpus_dir);
	struct dirent *entry;
	size_t files = 0;

	(void)state;
	if (dir == NULL)
		fail_msg("%s: %s", ctrl_corpus_dir, strerror(errno));
	while ((entry = readdir(dir)) != NULL) {
		if (strstr(entry->d_name, ".bin") == NULL)
			continue;
		assert_true(sample_read(entry->d_name, &sample));
		files++;
		for (int role = 0; role < 2; role++) {
			for (int st = 0; st < CTRL_ST_OVER; st++) {
				replay(&sample, (enum ep_ctrl_role)role, (enum ctrl_state)st,
					sample.len, &whole);
				outcome_check(entry->d_name, (enum ep_ctrl_role)role,
					(enum ctrl_state)st, &whole);
				replay(&sample, (enum ep_ctrl_role)role, (enum ctrl_state)st, 7,
					&split);
				assert_int_equal(whole.count, split.count);
				assert_memory_equal(whole.kind, split.kind, sizeof(whole.kind));
				assert_string_equal(whole.text, split.text);
			}
		}
	}
	closedir(dir);
	assert_true(files >= 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mutated_messages_and_noise_do_no_harm),
		cmocka_unit_test(corpus_has_the_outcome_of_its_name_however_it_is_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
