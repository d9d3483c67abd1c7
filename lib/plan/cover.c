/*
 * The fewest prime rules that cover a set: Quine and McCluskey's table, reduced.
 *
 * A row is a port, a column a prime rule. Until nothing changes: a row that contains another one goes; a column whose rows are
 * all in another column goes; a column that alone covers a row is taken, with the row as its witness, and its rows go.
 *
 * Witnesses share no prime. Let row r be taken with column c, and row q later with another. If a prime d matched both, d was
 * still there or had gone for a column that covers what d covers, and so on; when r was taken only c was left of those, so c
 * covers q, which would have gone with r. A cover needs a rule for each witness: with as many rules as witnesses it is
 * a smallest one. For one range of ports the reduction always ends so (the unit test checks it); else what is left is searched by branch and bound.
 */

#include "table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Most branches that are looked at. */
#define NODES_MAX 200

struct cover {
	struct table t;
	uint32_t witness_count;
	uint16_t witness[PLAN_POINTS_MAX]; /* Rows. */
	uint32_t best_count;               /* Smallest cover so far; UINT32_MAX: none. */
	uint16_t best[PLAN_PRIMES_MAX];
	uint32_t node_count;
};

/* A stage of the reduction. */
struct stage {
	uint64_t row[ROW_WORDS]; /* Rows left. */
	uint64_t col[COL_WORDS]; /* Columns left. */
	uint32_t taken_count;
	uint16_t taken[PLAN_PRIMES_MAX];
};

/* --- Reduction ------------------------------------------------------------------------------------------------------- */

static bool
rows_reduce(const struct table *t, struct stage *s)
{
	bool changed = false;

	BITS_FOREACH (a, s->row, t->row_words) {
		BITS_FOREACH (b, s->row, t->row_words) {
			if (a == b ||
				!bits_inside(t->row[b].col, t->row[a].col, s->col, t->col_words))
				continue;
			bit_clear(s->row, a); /* Who covers b covers a. */
			changed = true;
			break;
		}
	}
	return changed;
}

static bool
cols_reduce(const struct table *t, struct stage *s)
{
	bool changed = false;

	BITS_FOREACH (a, s->col, t->col_words) {
		BITS_FOREACH (b, s->col, t->col_words) {
			if (a == b ||
				!bits_inside(t->covers[a], t->covers[b], s->row, t->row_words))
				continue;
			bit_clear(s->col, a);
			changed = true;
			break;
		}
	}
	return changed;
}

static void
stage_take(const struct table *t, struct stage *s, uint32_t col)
{
	s->taken[s->taken_count++] = (uint16_t)col;
	bit_clear(s->col, col);
	for (uint32_t w = 0; w < t->row_words; w++)
		s->row[w] &= ~t->covers[col][w];
}

/* A row may be a witness when it shares no prime with the others. */
static void
witness_offer(struct cover *c, uint32_t row)
{
	const struct table *t = &c->t;

	for (uint32_t i = 0; i < c->witness_count; i++)
		if (bits_meet(t->row[row].col, t->row[c->witness[i]].col, t->col_words))
			return;
	c->witness[c->witness_count++] = (uint16_t)row;
}

/* Take columns that alone cover a row. @p is_root: nothing was guessed before. */
static bool
essentials_take(struct cover *c, struct stage *s, bool is_root)
{
	const struct table *t = &c->t;
	bool changed = false;

	BITS_FOREACH (r, s->row, t->row_words) {
		uint64_t cols[COL_WORDS];

		for (uint32_t w = 0; w < t->col_words; w++)
			cols[w] = t->row[r].col[w] & s->col[w];
		if (bits_count(cols, t->col_words) != 1)
			continue;
		if (is_root)
			witness_offer(c, r);
		stage_take(t, s, bits_next(cols, t->col_words, 0));
		changed = true;
	}
	return changed;
}

static void
stage_reduce(struct cover *c, struct stage *s, bool is_root)
{
	const struct table *t = &c->t;
	bool changed;

	do {
		changed = cols_reduce(t, s);
		changed |= essentials_take(c, s, is_root);
		changed |= rows_reduce(t, s);
	} while (changed);
}

/* --- Branch and bound ------------------------------------------------------------------------------------------------ */

static uint32_t
row_degree(const struct table *t, const struct stage *s, uint32_t row)
{
	uint32_t n = 0;

	for (uint32_t w = 0; w < t->col_words; w++)
		n += (uint32_t)__builtin_popcountll(t->row[row].col[w] & s->col[w]);
	return n;
}

/* The row with the fewest columns left; the stage has rows. */
static uint32_t
row_tightest(const struct table *t, const struct stage *s)
{
	uint32_t best = bits_next(s->row, t->row_words, 0);

	BITS_FOREACH (r, s->row, t->row_words)
		if (row_degree(t, s, r) < row_degree(t, s, best))
			best = r;
	return best;
}

/* Rows that share no column that is left each need one of their own. */
static uint32_t
stage_bound(const struct table *t, const struct stage *s)
{
	uint64_t used[COL_WORDS] = {0};
	uint32_t n = 0;

	BITS_FOREACH (r, s->row, t->row_words) {
		uint64_t cols[COL_WORDS];

		for (uint32_t w = 0; w < t->col_words; w++)
			cols[w] = t->row[r].col[w] & s->col[w];
		if (bits_meet(cols, used, t->col_words))
			continue;
		for (uint32_t w = 0; w < t->col_words; w++)
			used[w] |= cols[w];
		n++;
	}
	return n;
}

/* Returns false when it ran out of branches, in which case a smaller cover may exist. */
static bool
search(struct cover *c, const struct stage *from)
{
	const struct table *t = &c->t;
	struct stage s = *from;
	bool complete = true;
	uint32_t row;

	stage_reduce(c, &s, false);
	if (bits_count(s.row, t->row_words) == 0) {
		if (s.taken_count < c->best_count) {
			c->best_count = s.taken_count;
			memcpy(c->best, s.taken, s.taken_count * sizeof(*s.taken));
		}
		return true;
	}
	if (c->best_count == c->witness_count ||
		c->best_count <= s.taken_count + stage_bound(t, &s))
		return true;
	/* A first cover is found in any case. */
	if (c->node_count >= NODES_MAX && c->best_count != UINT32_MAX)
		return false;
	c->node_count++;
	row = row_tightest(t, &s);
	BITS_FOREACH (col, t->row[row].col, t->col_words) {
		struct stage next;

		if (!bit_get(s.col, col))
			continue;
		next = s;
		stage_take(t, &next, col);
		complete &= search(c, &next);
		bit_clear(s.col, col); /* All covers with it were seen. */
	}
	return complete;
}

/* Returns whether the cover found is surely a smallest one of the table's rows. */
static bool
cover_search(struct cover *c)
{
	struct stage s = {0};

	for (uint32_t r = 0; r < c->t.row_count; r++)
		bit_set(s.row, r);
	for (uint32_t col = 0; col < c->t.col_count; col++)
		bit_set(s.col, col);
	c->best_count = UINT32_MAX;
	c->node_count = 0;
	c->witness_count = 0;
	stage_reduce(c, &s, true);
	BITS_FOREACH (r, s.row, c->t.row_words)
		witness_offer(c, r);
	return search(c, &s) || c->best_count == c->witness_count;
}

static int
mask_compare(const void *a, const void *b)
{
	const struct ep_plan_mask *x = a;
	const struct ep_plan_mask *y = b;

	return x->value != y->value ? (x->value > y->value) - (x->value < y->value)
				    : (x->mask > y->mask) - (x->mask < y->mask);
}

static int
port_compare(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

static void
cover_export(const struct cover *c, bool complete, struct ep_plan_masks *masks)
{
	masks->rule_count = c->best_count;
	for (uint32_t i = 0; i < c->best_count; i++)
		masks->rule[i] = c->t.prime[c->best[i]];
	qsort(masks->rule, masks->rule_count, sizeof(*masks->rule), mask_compare);
	masks->witness_count = c->witness_count;
	for (uint32_t i = 0; i < c->witness_count; i++)
		masks->witness[i] = c->t.row[c->witness[i]].port;
	qsort(masks->witness, masks->witness_count, sizeof(*masks->witness), port_compare);
	masks->minimal = complete;
}

int
plan_cover(const struct ep_plan_mask *prime, uint32_t prime_count, struct ep_plan_masks *masks)
{
	struct cover *c = calloc(1, sizeof(*c));
	bool complete;
	int ret;

	if (c == NULL)
		return -ENOMEM;
	c->t.prime = prime;
	c->t.col_count = prime_count;
	table_init(&c->t);
	do {
		complete = cover_search(c);
		ret = table_add_missed(&c->t, c->best, c->best_count);
	} while (ret > 0);
	if (ret == 0)
		cover_export(c, complete, masks);
	free(c);
	return ret;
}
