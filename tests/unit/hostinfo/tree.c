#include "tree.h"

#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

void
tree_make(struct tree *t)
{
	snprintf(t->root, sizeof(t->root), "/tmp/everyport-tree-XXXXXX");
	assert_non_null(mkdtemp(t->root));
	t->range = calloc(1, sizeof(*t->range));
	assert_non_null(t->range);
	assert_int_equal(ep_range_parse("50000-60000", "--ports", t->range, NULL), 0);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void
tree_remove(struct tree *t)
{
	assert_int_equal(nftw(t->root, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
	free(t->range);
}

/* The whole path, with the folders before its last part made. */
static void
path_make(const struct tree *t, const char *path, char whole[PATH_MAX])
{
	assert_true(snprintf(whole, PATH_MAX, "%s%s", t->root, path) < PATH_MAX);
	for (char *slash = strchr(whole + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(whole, 0755);
		*slash = '/';
	}
}

void
tree_put_bytes(const struct tree *t, const char *path, const void *bytes, size_t count)
{
	char whole[PATH_MAX];
	FILE *out;

	path_make(t, path, whole);
	out = fopen(whole, "w");
	assert_non_null(out);
	assert_int_equal(fwrite(bytes, 1, count, out), count);
	assert_int_equal(fclose(out), 0);
}

void
tree_put(const struct tree *t, const char *path, const char *text)
{
	tree_put_bytes(t, path, text, strlen(text));
}

void
tree_point(const struct tree *t, const char *path, const char *target)
{
	char whole[PATH_MAX], to[PATH_MAX], inside[PATH_MAX];

	assert_true(snprintf(inside, sizeof(inside), "%s/.", target) < PATH_MAX);
	path_make(t, inside, to);
	*strrchr(to, '/') = '\0';
	path_make(t, path, whole);
	assert_int_equal(symlink(to, whole), 0);
}

struct ep_doctor_facts *
tree_facts(const struct tree *t, const struct ep_hostinfo_cfg *with)
{
	struct ep_hostinfo_cfg cfg = {0};
	struct ep_doctor_facts *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	if (with != NULL)
		cfg = *with;
	cfg.root = t->root;
	cfg.range = t->range;
	ep_doctor_cpuset_parse("2-3", &f->cpu.data);
	ep_hostinfo_read(&cfg, f);
	return f;
}
