#pragma once

/* Made-up hosts: trees of /proc and /sys in a temporary folder. */

#include <ep_hostinfo.h>

struct tree {
	char root[64];
	struct ep_range *range; /* 50000-60000 */
};

/* An empty tree, and its end. */
void tree_make(struct tree *t);
void tree_remove(struct tree *t);

/* A file, with the folders before it. */
void tree_put(const struct tree *t, const char *path, const char *text);
void tree_put_bytes(const struct tree *t, const char *path, const void *bytes, size_t count);

/* A symbolic link; a target with a leading '/' is taken from the tree's root. The target is made, as a folder, if it is not there. */
void tree_point(const struct tree *t, const char *path, const char *target);

/* Read its facts, with no system call that asks this host. The caller frees them. */
struct ep_doctor_facts *tree_facts(const struct tree *t, const struct ep_hostinfo_cfg *with);
