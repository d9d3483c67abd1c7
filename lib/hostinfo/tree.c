#include "hostinfo_priv.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool
path_make(const char *root, char path[PATH_MAX], const char *fmt, va_list ap)
{
	const int used = snprintf(path, PATH_MAX, "%s", root);
	int more;

	if (used < 0 || used >= PATH_MAX)
		return false;
	more = vsnprintf(path + used, (size_t)(PATH_MAX - used), fmt, ap);
	return more >= 0 && more < PATH_MAX - used;
}

bool
tree_path(const char *root, char path[PATH_MAX], const char *fmt, ...)
{
	va_list ap;
	bool fits;

	va_start(ap, fmt);
	fits = path_make(root, path, fmt, ap);
	va_end(ap);
	return fits;
}

static int
line_read(const char *path, char *buf, size_t len)
{
	FILE *in = fopen(path, "re");

	buf[0] = '\0';
	if (in == NULL)
		return -errno;
	if (fgets(buf, (int)len, in) == NULL)
		buf[0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	fclose(in);
	return 0;
}

int
tree_line(const char *root, char *buf, size_t len, const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list ap;
	bool fits;

	va_start(ap, fmt);
	fits = path_make(root, path, fmt, ap);
	va_end(ap);
	buf[0] = '\0';
	return fits ? line_read(path, buf, len) : -ENAMETOOLONG;
}

int
tree_number(const char *root, int64_t *value, const char *fmt, ...)
{
	char path[PATH_MAX], line[64], *end;
	va_list ap;
	bool fits;
	long long number;
	int ret;

	va_start(ap, fmt);
	fits = path_make(root, path, fmt, ap);
	va_end(ap);
	ret = fits ? line_read(path, line, sizeof(line)) : -ENAMETOOLONG;
	if (ret < 0)
		return ret;
	number = strtoll(line, &end, 10);
	if (end == line)
		return -EINVAL;
	*value = number;
	return 0;
}

int
tree_link(const char *root, char *buf, size_t len, const char *fmt, ...)
{
	char path[PATH_MAX], target[PATH_MAX];
	va_list ap;
	bool fits;
	ssize_t used;
	const char *slash;

	buf[0] = '\0';
	va_start(ap, fmt);
	fits = path_make(root, path, fmt, ap);
	va_end(ap);
	used = fits ? readlink(path, target, sizeof(target) - 1) : -1;
	if (used < 0)
		return fits ? -errno : -ENAMETOOLONG;
	target[used] = '\0';
	slash = strrchr(target, '/');
	text_copy(buf, len, slash != NULL ? slash + 1 : target);
	return 0;
}

bool
tree_has(const char *root, const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list ap;
	bool fits;

	va_start(ap, fmt);
	fits = path_make(root, path, fmt, ap);
	va_end(ap);
	return fits && access(path, F_OK) == 0;
}

static int
not_hidden(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

size_t
tree_list(const char *root, char ***names, const char *fmt, ...)
{
	char path[PATH_MAX];
	struct dirent **entry;
	va_list ap;
	bool fits;
	int count;
	size_t used = 0;

	*names = NULL;
	va_start(ap, fmt);
	fits = path_make(root, path, fmt, ap);
	va_end(ap);
	count = fits ? scandir(path, &entry, not_hidden, versionsort) : -1;
	if (count < 0)
		return 0;
	*names = calloc((size_t)count + 1, sizeof(**names));
	for (int i = 0; i < count; i++) {
		char *name = *names != NULL ? strdup(entry[i]->d_name) : NULL;

		if (name != NULL)
			(*names)[used++] = name;
		free(entry[i]);
	}
	free(entry);
	return used;
}

void
tree_list_free(char **names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
}

void
text_copy(char *out, size_t len, const char *text)
{
	const size_t used = strnlen(text, len - 1);

	memcpy(out, text, used);
	out[used] = '\0';
	/* Firmware pads with spaces. */
	for (size_t i = used; i > 0 && isspace((unsigned char)out[i - 1]); i--)
		out[i - 1] = '\0';
}
