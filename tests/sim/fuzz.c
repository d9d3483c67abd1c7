#include "fuzz.h"

#include "sim.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifdef __SANITIZE_ADDRESS__
#define FUZZ_ROUNDS 100000
#else
#define FUZZ_ROUNDS 20000
#endif

static int
is_seed(const struct dirent *entry)
{
	const size_t len = strlen(entry->d_name);

	return len > 4 && strcmp(entry->d_name + len - 4, ".bin") == 0;
}

static void
seed_read(const char *folder, const char *name, struct fuzz_seed *seed)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	snprintf(seed->name, sizeof(seed->name), "%s", name);
	file = fopen(path, "rb");
	if (file == NULL)
		fail_msg("%s cannot be read", path);
	seed->sample.len = fread(seed->sample.bytes, 1, FUZZ_SAMPLE_MAX, file);
	fclose(file);
}

struct fuzz_corpus *
fuzz_corpus_read(const char *folder)
{
	struct fuzz_corpus *corpus = calloc(1, sizeof(*corpus));
	struct dirent **entry = NULL;
	const int count = scandir(folder, &entry, is_seed, alphasort);

	assert_non_null(corpus);
	if (count <= 0 || count > FUZZ_SEEDS_MAX)
		fail_msg("%s has %d seeds, wanted are 1 to %d", folder, count, FUZZ_SEEDS_MAX);
	for (int i = 0; i < count; i++) {
		seed_read(folder, entry[i]->d_name, &corpus->seed[corpus->count++]);
		free(entry[i]);
	}
	free(entry);
	return corpus;
}

bool
fuzz_seed_is(const struct fuzz_seed *seed, const char *verdict)
{
	return strncmp(seed->name, verdict, strlen(verdict)) == 0 &&
		seed->name[strlen(verdict)] == '-';
}

/* Replace `gone` bytes at `at` by others; nothing happens where they do not fit. */
static void
splice(struct fuzz_sample *s, size_t at, size_t gone, const void *bytes, size_t len)
{
	if (s->len - gone + len > sizeof(s->bytes))
		return;
	memmove(s->bytes + at + len, s->bytes + at + gone, s->len - at - gone);
	memcpy(s->bytes + at, bytes, len);
	s->len = s->len - gone + len;
}

void
fuzz_mutate(uint64_t *random, struct fuzz_sample *s, const struct fuzz_tokens *tokens)
{
	const char *const token = tokens->text[sim_below(random, tokens->count)];
	uint8_t copy[64];
	size_t at, room, len;

	if (s->len == 0)
		s->bytes[s->len++] = (uint8_t)sim_random(random);
	at = sim_below(random, s->len);
	room = s->len - at;
	switch (sim_below(random, 6)) {
	case 0:
		s->bytes[at] ^= (uint8_t)(1u << sim_below(random, 8));
		return;
	case 1:
		s->bytes[at] = (uint8_t)sim_random(random);
		return;
	case 2:
		splice(s, at, 1 + sim_below(random, room), "", 0);
		return;
	case 3:
		len = sim_below(random, room < sizeof(copy) ? room : sizeof(copy));
		memcpy(copy, s->bytes + at, len);
		splice(s, sim_below(random, s->len), 0, copy, len);
		return;
	case 4:
		splice(s, at, 0, token, strlen(token));
		return;
	default:
		len = strlen(token);
		splice(s, at, room < len ? room : len, token, len);
		return;
	}
}

void
fuzz_sample_random(uint64_t *random, const struct fuzz_corpus *corpus,
	const struct fuzz_tokens *tokens, struct fuzz_sample *sample)
{
	if (sim_below(random, 16) == 0) {
		sample->len = sim_below(random, 300);
		for (size_t i = 0; i < sample->len; i++)
			sample->bytes[i] = (uint8_t)sim_random(random);
		return;
	}
	*sample = corpus->seed[sim_below(random, corpus->count)].sample;
	for (uint64_t i = sim_below(random, 5); i > 0; i--)
		fuzz_mutate(random, sample, tokens);
}

uint8_t *
fuzz_exact_copy(const void *bytes, size_t len)
{
	uint8_t *const copy = malloc(len > 0 ? len : 1);

	assert_non_null(copy);
	if (len > 0)
		memcpy(copy, bytes, len);
	return copy;
}

long
fuzz_rounds(void)
{
	const char *const text = getenv("EP_TEST_FUZZ_COUNT");

	return text != NULL ? strtol(text, NULL, 10) : FUZZ_ROUNDS;
}
