#pragma once

/* Private to lib/plan: the table of ports and prime rules that a smallest cover is chosen from. */

#include "plan_priv.h"

#include <assert.h>

#define PORT_BITS 16
#define WORD_BITS 64
#define COL_WORDS (PLAN_PRIMES_MAX / WORD_BITS)
#define ROW_WORDS (PLAN_POINTS_MAX / WORD_BITS)

static_assert(PLAN_PRIMES_MAX % WORD_BITS == 0 && PLAN_POINTS_MAX % WORD_BITS == 0, "whole words");

struct row {
	uint16_t port;
	uint32_t prime_count;
	uint64_t col[COL_WORDS]; /* Primes that match it. */
};

struct table {
	const struct ep_plan_mask *prime;
	uint32_t col_count;
	uint32_t col_words;
	uint64_t care[PORT_BITS][COL_WORDS]; /* Primes that look at a bit. */
	uint64_t one[PORT_BITS][COL_WORDS];  /* Of these, those that want a 1. */
	uint64_t care_below[PORT_BITS +
		1][COL_WORDS]; /* Primes that look at any of the lowest bits, by how many. */
	uint32_t row_count;
	uint32_t row_words;
	struct row row[PLAN_POINTS_MAX];
	bool is_partial; /* Rows were left out: a cover of those that are here may miss ports. */
	uint64_t covers[PLAN_PRIMES_MAX][ROW_WORDS]; /* Rows of each column. */
};

/* table.c */
/* Set up an empty table; primes are given, all else is 0. */
void table_init(struct table *t);
/* Add a port as a row that a choice of columns misses. 1, 0 (there is none: it is a cover) or -E2BIG (too many rows). */
int table_add_missed(struct table *t, const uint16_t *chosen, uint32_t count);

/* --- Sets of columns or rows ---------------------------------------------------------------------------------------- */

static inline bool
bit_get(const uint64_t *set, uint32_t i)
{
	return set[i / WORD_BITS] >> i % WORD_BITS & 1;
}

static inline void
bit_set(uint64_t *set, uint32_t i)
{
	set[i / WORD_BITS] |= UINT64_C(1) << i % WORD_BITS;
}

static inline void
bit_clear(uint64_t *set, uint32_t i)
{
	set[i / WORD_BITS] &= ~(UINT64_C(1) << i % WORD_BITS);
}

static inline uint32_t
bits_count(const uint64_t *set, uint32_t words)
{
	uint32_t n = 0;

	for (uint32_t w = 0; w < words; w++)
		n += (uint32_t)__builtin_popcountll(set[w]);
	return n;
}

/* Lowest member that is @p from or above; words * WORD_BITS when there is none. */
static inline uint32_t
bits_next(const uint64_t *set, uint32_t words, uint32_t from)
{
	for (uint32_t w = from / WORD_BITS; w < words; w++) {
		const uint64_t rest = set[w] &
			(w == from / WORD_BITS ? UINT64_MAX << from % WORD_BITS : UINT64_MAX);

		if (rest != 0)
			return w * WORD_BITS + (uint32_t)__builtin_ctzll(rest);
	}
	return words * WORD_BITS;
}

/* Whether a is a subset of b, of what is left. */
static inline bool
bits_inside(const uint64_t *a, const uint64_t *b, const uint64_t *left, uint32_t words)
{
	for (uint32_t w = 0; w < words; w++)
		if (a[w] & left[w] & ~b[w])
			return false;
	return true;
}

static inline bool
bits_meet(const uint64_t *a, const uint64_t *b, uint32_t words)
{
	for (uint32_t w = 0; w < words; w++)
		if (a[w] & b[w])
			return true;
	return false;
}

#define BITS_FOREACH(i, set, words)                                        \
	for (uint32_t i = bits_next(set, words, 0); i < (words)*WORD_BITS; \
		i = bits_next(set, words, i + 1))
