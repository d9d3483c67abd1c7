#include "ep_path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMPAIR_HELP                                                                             \
	"allowed are block=PORTS, drop=RATIO, dup=RATIO and reorder=RATIO, each once, such as " \
	"block=50100-50110+55555,drop=1%%"
#define BLOCK_HELP \
	"allowed are ports 1 to 65535 and ranges of them, joined by +, such as 50100-50110+55555"

enum word { WORD_BLOCK, WORD_DROP, WORD_DUP, WORD_REORDER, WORD_COUNT };

static const char *const word_name[WORD_COUNT] = {"block", "drop", "dup", "reorder"};

/* A text half read. */
struct parse {
	const char *what;
	struct ep_err *err;
	struct ep_path_cfg cfg;
	bool given[WORD_COUNT];
};

/* Returns WORD_COUNT where there is no such word. */
static enum word
word_find(const char *name)
{
	enum word w = 0;

	while (w < WORD_COUNT && strcmp(name, word_name[w]) != 0)
		w++;
	return w;
}

static int
block_parse(struct parse *p, char *value)
{
	struct ep_range *const blocked = malloc(sizeof(*blocked));
	char *list = NULL;
	int ret;

	if (blocked != NULL)
		list = strdup(value);
	if (list == NULL) {
		free(blocked);
		return ep_err_set(p->err, -ENOMEM, "%s block '%s': no memory", p->what, value);
	}
	/* A comma has another meaning here; none is left in the value. */
	for (char *plus = list; (plus = strchr(plus, '+')) != NULL;)
		*plus = ',';
	ret = ep_range_parse(list, p->what, blocked, NULL);
	free(list);
	if (ret < 0) {
		free(blocked);
		return ep_err_set(p->err, ret, "%s block '%s' is %s; " BLOCK_HELP, p->what, value,
			ret == -ERANGE ? "out of range" : "no list of ports");
	}
	p->cfg.blocked = blocked;
	return 0;
}

static int
ratio_parse(struct parse *p, enum word w, const char *value)
{
	double *const ratio[WORD_COUNT] = {
		[WORD_DROP] = &p->cfg.drop_ratio,
		[WORD_DUP] = &p->cfg.dup_ratio,
		[WORD_REORDER] = &p->cfg.reorder_ratio,
	};
	char what[64];

	snprintf(what, sizeof(what), "%s %s", p->what, word_name[w]);
	return ep_ratio_parse(value, what, ratio[w], p->err);
}

/* One "word=value". The entry is cut at its "=". */
static int
entry_parse(struct parse *p, char *entry)
{
	char *value = entry;
	const char *const name = strsep(&value, "=");
	const enum word w = word_find(name);

	if (w == WORD_COUNT)
		return ep_err_set(
			p->err, -EINVAL, "%s '%s' is no known word; " IMPAIR_HELP, p->what, name);
	if (value == NULL)
		return ep_err_set(
			p->err, -EINVAL, "%s '%s' has no value; " IMPAIR_HELP, p->what, name);
	if (p->given[w])
		return ep_err_set(
			p->err, -EINVAL, "%s '%s' is given twice; " IMPAIR_HELP, p->what, name);
	p->given[w] = true;
	return w == WORD_BLOCK ? block_parse(p, value) : ratio_parse(p, w, value);
}

int
ep_path_parse(const char *text, const char *what, struct ep_path_cfg *cfg, struct ep_err *err)
{
	struct parse p = {.what = what, .err = err};
	char *const copy = strdup(text);
	char *rest = copy;
	int ret = 0;

	if (copy == NULL)
		return ep_err_set(err, -ENOMEM, "%s '%s': no memory", what, text);
	while (ret == 0 && rest != NULL)
		ret = entry_parse(&p, strsep(&rest, ","));
	free(copy);
	if (ret < 0) {
		ep_path_cfg_fini(&p.cfg);
		return ret;
	}
	*cfg = p.cfg;
	return 0;
}

void
ep_path_cfg_fini(struct ep_path_cfg *cfg)
{
	free(cfg->blocked);
	*cfg = (struct ep_path_cfg){0};
}
