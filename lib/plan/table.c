/*
 * The table: which ports matter. Of all ports only those do whose set of matching primes contains no other port's set: who covers
 * these covers all. For most ranges they are a few dozen; near 1-65534 they are all. Then only those with the fewest primes are
 * kept, and while a smallest cover of them misses ports, one of these is added: a smallest cover of some ports that happens
 * to match all is a smallest cover of all.
 */

#include "table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool
primes_inside(const struct table *t, const uint64_t *a, const uint64_t *b)
{
	for (uint32_t w = 0; w < t->col_words; w++)
		if (a[w] & ~b[w])
			return false;
	return true;
}

static int
row_compare(const void *a, const void *b)
{
	const struct row *x = a;
	const struct row *y = b;

	return x->prime_count != y->prime_count
		? (x->prime_count > y->prime_count) - (x->prime_count < y->prime_count)
		: (x->port > y->port) - (x->port < y->port);
}

/* Keep a port, and of all kept none whose primes contain another's; of too many, the half with the fewest primes. */
static void
row_add(struct table *t, const uint64_t *primes, uint32_t port)
{
	uint32_t kept = 0;
	struct row *row;

	for (uint32_t i = 0; i < t->row_count; i++)
		if (primes_inside(t, t->row[i].col, primes))
			return;
	for (uint32_t i = 0; i < t->row_count; i++)
		if (!primes_inside(t, primes, t->row[i].col))
			t->row[kept++] = t->row[i];
	if (kept == PLAN_POINTS_MAX) {
		qsort(t->row, kept, sizeof(*t->row), row_compare);
		kept /= 2;
		t->is_partial = true;
	}
	row = &t->row[kept];
	row->port = (uint16_t)port;
	row->prime_count = bits_count(primes, t->col_words);
	memcpy(row->col, primes, sizeof(row->col));
	t->row_count = kept + 1;
}

static void
rows_index(struct table *t)
{
	t->row_words = (t->row_count + WORD_BITS - 1) / WORD_BITS;
	memset(t->covers, 0, t->col_count * sizeof(*t->covers));
	for (uint32_t r = 0; r < t->row_count; r++)
		BITS_FOREACH (c, t->row[r].col, t->col_words)
			bit_set(t->covers[c], r);
}

/* Of the primes that match the bits above @p bit so far, those that match with this bit, too. */
static void
primes_step(const struct table *t, const uint64_t *primes, uint32_t bit, uint32_t value,
	uint64_t next[COL_WORDS])
{
	for (uint32_t w = 0; w < COL_WORDS; w++)
		next[w] = primes[w] &
			~(value == 0 ? t->one[bit][w] : t->care[bit][w] & ~t->one[bit][w]);
}

/* Go down to the next bit that a prime looks at: any other is no fork. Returns its number + 1; 0: none is left. */
static uint32_t
primes_fork(const struct table *t, const uint64_t *primes, uint32_t bits)
{
	while (bits > 0 && !bits_meet(primes, t->care[bits - 1], t->col_words))
		bits--;
	return bits;
}

/* Walk down the bits of a port; every set of primes that matches a port is met, once at least. */
static void
rows_walk(struct table *t, const uint64_t *primes, uint32_t bits, uint32_t port)
{
	uint64_t next[COL_WORDS];

	if (bits_count(primes, t->col_words) == 0)
		return;
	bits = primes_fork(t, primes, bits);
	if (bits == 0) {
		row_add(t, primes, port);
		return;
	}
	for (uint32_t value = 0; value < 2; value++) {
		primes_step(t, primes, bits - 1, value, next);
		rows_walk(t, next, bits - 1, port | value << (bits - 1));
	}
}

static void
primes_all(const struct table *t, uint64_t primes[COL_WORDS])
{
	memset(primes, 0, COL_WORDS * sizeof(*primes));
	for (uint32_t c = 0; c < t->col_count; c++)
		bit_set(primes, c);
}

/* A port that a choice of columns misses. */
struct missed {
	uint64_t chosen[COL_WORDS];
	uint64_t primes[COL_WORDS]; /* Those that match it. */
	uint32_t prime_count;       /* UINT32_MAX: none found yet. */
	uint16_t port;
};

static void
missed_offer(const struct table *t, struct missed *m, const uint64_t *primes, uint32_t port)
{
	const uint32_t n = bits_count(primes, t->col_words);

	if (n >= m->prime_count)
		return;
	m->prime_count = n;
	m->port = (uint16_t)port;
	memcpy(m->primes, primes, sizeof(m->primes));
}

/* Whether a chosen prime matches, however the lowest @p bits go on. */
static bool
chosen_matches_all(
	const struct table *t, const struct missed *m, const uint64_t *primes, uint32_t bits)
{
	for (uint32_t w = 0; w < t->col_words; w++)
		if (primes[w] & m->chosen[w] & ~t->care_below[bits][w])
			return true;
	return false;
}

/* As rows_walk(), where nothing that is chosen matches. */
static void
missed_walk(const struct table *t, struct missed *m, const uint64_t *primes, uint32_t bits,
	uint32_t port)
{
	uint64_t next[COL_WORDS];

	if (bits_count(primes, t->col_words) == 0 || chosen_matches_all(t, m, primes, bits))
		return;
	bits = primes_fork(t, primes, bits);
	if (bits == 0) {
		missed_offer(t, m, primes, port);
		return;
	}
	for (uint32_t value = 0; value < 2; value++) {
		primes_step(t, primes, bits - 1, value, next);
		missed_walk(t, m, next, bits - 1, port | value << (bits - 1));
	}
}

void
table_init(struct table *t)
{
	uint64_t primes[COL_WORDS];

	t->col_words = (t->col_count + WORD_BITS - 1) / WORD_BITS;
	for (uint32_t c = 0; c < t->col_count; c++) {
		for (uint32_t b = 0; b < PORT_BITS; b++) {
			if (t->prime[c].mask >> b & 1)
				bit_set(t->care[b], c);
			if (t->prime[c].value >> b & 1)
				bit_set(t->one[b], c);
			if (t->prime[c].mask & ((1U << b) - 1))
				bit_set(t->care_below[b], c);
		}
		if (t->prime[c].mask != 0)
			bit_set(t->care_below[PORT_BITS], c);
	}
	primes_all(t, primes);
	rows_walk(t, primes, PORT_BITS, 0);
	rows_index(t);
}

int
table_add_missed(struct table *t, const uint16_t *chosen, uint32_t count)
{
	struct missed m = {.prime_count = UINT32_MAX};
	uint64_t primes[COL_WORDS];

	if (!t->is_partial)
		return 0;
	for (uint32_t i = 0; i < count; i++)
		bit_set(m.chosen, chosen[i]);
	primes_all(t, primes);
	missed_walk(t, &m, primes, PORT_BITS, 0);
	if (m.prime_count == UINT32_MAX)
		return 0;
	if (t->row_count == PLAN_POINTS_MAX)
		return -E2BIG;
	row_add(t, m.primes, m.port);
	rows_index(t);
	return 1;
}
