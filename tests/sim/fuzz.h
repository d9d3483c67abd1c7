#pragma once

/**
 * @file
 * What the fuzz tests of the decoders share: a folder of seeds, mutation of them, and the number of rounds. Seeds are files
 * <verdict>-<words>.bin; what a verdict means is the test's.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FUZZ_SAMPLE_MAX 16384
#define FUZZ_SEEDS_MAX 128

/** Some input. */
struct fuzz_sample {
	size_t len;
	uint8_t bytes[FUZZ_SAMPLE_MAX];
};

/** A seed: the file's name, and its content. */
struct fuzz_seed {
	char name[64];
	struct fuzz_sample sample;
};

/** A folder's seeds, in order of their names. */
struct fuzz_corpus {
	size_t count;
	struct fuzz_seed seed[FUZZ_SEEDS_MAX];
};

/** What a mutation inserts besides noise: what the format gives a meaning to. */
struct fuzz_tokens {
	const char *const *text; /**< [count], terminated. */
	size_t count;
};

/** Read the seeds of a folder. Fails the test where there are none. To be freed with free(). */
struct fuzz_corpus *fuzz_corpus_read(const char *folder);

/** Whether a seed's name begins with a verdict, such as "good". */
bool fuzz_seed_is(const struct fuzz_seed *seed, const char *verdict);

/** Change a sample at one place: a bit, a byte, a piece gone, doubled, or a token put in. It stays within FUZZ_SAMPLE_MAX. */
void fuzz_mutate(uint64_t *random, struct fuzz_sample *sample, const struct fuzz_tokens *tokens);

/** A random seed of the corpus, mutated 0 to 4 times; now and then noise. */
void fuzz_sample_random(uint64_t *random, const struct fuzz_corpus *corpus,
	const struct fuzz_tokens *tokens, struct fuzz_sample *sample);

/** A copy of exactly these bytes, so that a sanitiser sees a read behind them. Never NULL. To be freed with free(). */
uint8_t *fuzz_exact_copy(const void *bytes, size_t len);

/** Rounds of a test: EP_TEST_FUZZ_COUNT, else more under a sanitiser, which is where they find most. */
long fuzz_rounds(void);
