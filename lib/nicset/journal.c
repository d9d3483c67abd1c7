/* The file of what is to be put back: one line a change, in the order of the changes. Written whole each time, and renamed into place. */

#include "nicset_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define JOURNAL_FIRST_LINE "everyport nicset 1"
#define JOURNAL_LINE_BYTES 1024

static const char *const kind_name[NICSET_KINDS] = {
	[NICSET_FLAGS] = "flags",
	[NICSET_CHANNELS] = "channels",
	[NICSET_HASH] = "hash",
	[NICSET_CONTEXT] = "context",
	[NICSET_RULE] = "rule",
	[NICSET_TIMER] = "timer",
};

/* An interface's index is its own within a network namespace only. */
static uint64_t
namespace_id(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) == 0 ? (uint64_t)st.st_ino : 0;
}

struct ep_nicset *
nicset_alloc(const struct ep_nicset_cfg *cfg)
{
	struct ep_nicset *set = calloc(1, sizeof(*set));

	if (set == NULL)
		return NULL;
	set->cfg = *cfg;
	set->entry = calloc(NICSET_ENTRIES_MAX, sizeof(*set->entry));
	if (set->entry == NULL) {
		free(set);
		return NULL;
	}
	snprintf(set->path, sizeof(set->path), "%s/nicset-%" PRIu64 "-%d", cfg->state_dir,
		namespace_id(), cfg->ifindex);
	return set;
}

void
nicset_free(struct ep_nicset *set)
{
	if (set == NULL)
		return;
	free(set->entry);
	free(set);
}

static void
mac_line(const struct ep_nicset *set, char *line, size_t len)
{
	const uint8_t *m = set->cfg.mac;

	snprintf(
		line, len, "mac %02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
}

static void
entry_print(FILE *f, const struct nicset_entry *e)
{
	fprintf(f, "%s %u", kind_name[e->kind], e->id);
	for (int i = 0; i < 4; i++)
		fprintf(f, " %" PRIu64 " %" PRIu64, e->before[i], e->after[i]);
	if (e->kind == NICSET_RULE) {
		const uint8_t *byte = (const uint8_t *)&e->rule;

		fputc(' ', f);
		for (size_t i = 0; i < sizeof(e->rule); i++)
			fprintf(f, "%02x", byte[i]);
	}
	fputc('\n', f);
}

static int
journal_print(const struct ep_nicset *set, const char *path)
{
	const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	char line[64];
	int ret = f == NULL ? -errno : 0;

	if (f == NULL) {
		if (fd >= 0)
			close(fd);
		return ret;
	}
	mac_line(set, line, sizeof(line));
	fprintf(f, JOURNAL_FIRST_LINE "\n%s\n", line);
	for (uint32_t i = 0; i < set->entry_count; i++)
		entry_print(f, &set->entry[i]);
	/* Without its last line, a file that was not written whole is not taken for one. */
	fprintf(f, "end %u\n", set->entry_count);
	if (fflush(f) != 0 || ferror(f) != 0)
		ret = -EIO;
	if (fclose(f) != 0 && ret == 0)
		ret = -EIO;
	return ret;
}

int
nicset_write(const struct ep_nicset *set)
{
	char next[sizeof(set->path) + 4];
	int ret;

	if (set->entry_count == 0)
		return unlink(set->path) < 0 && errno != ENOENT ? -errno : 0;
	if (mkdir(set->cfg.state_dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	snprintf(next, sizeof(next), "%s.new", set->path);
	ret = journal_print(set, next);
	if (ret == 0 && rename(next, set->path) < 0)
		ret = -errno;
	if (ret < 0)
		unlink(next);
	return ret;
}

int
nicset_note(struct ep_nicset *set, const struct nicset_entry *entry)
{
	int ret;

	if (set->entry_count == NICSET_ENTRIES_MAX)
		return -E2BIG;
	set->entry[set->entry_count++] = *entry;
	ret = nicset_write(set);
	if (ret < 0)
		set->entry_count--;
	return ret;
}

static bool
rule_scan(const char *text, struct ethtool_rx_flow_spec *rule)
{
	uint8_t *byte = (uint8_t *)rule;

	if (strspn(text, "0123456789abcdef") != 2 * sizeof(*rule))
		return false;
	for (size_t i = 0; i < sizeof(*rule); i++) {
		char pair[3] = {text[2 * i], text[2 * i + 1]};

		byte[i] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return true;
}

static bool
entry_scan(const char *line, struct nicset_entry *e)
{
	uint64_t *b = e->before, *a = e->after;
	char name[16];
	int used = 0;

	*e = (struct nicset_entry){0};
	if (sscanf(line,
		    "%15s %" SCNu32 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
		    " %" SCNu64 " %" SCNu64 " %" SCNu64 " %n",
		    name, &e->id, &b[0], &a[0], &b[1], &a[1], &b[2], &a[2], &b[3], &a[3],
		    &used) != 10)
		return false;
	for (int k = 0; k < NICSET_KINDS; k++)
		if (strcmp(name, kind_name[k]) == 0) {
			e->kind = (enum nicset_kind)k;
			return k != NICSET_RULE || rule_scan(line + used, &e->rule);
		}
	return false;
}

static int
journal_scan(struct ep_nicset *set, FILE *f)
{
	char line[JOURNAL_LINE_BYTES], mac[64];
	unsigned int count;

	mac_line(set, mac, sizeof(mac));
	for (int n = 0; fgets(line, sizeof(line), f) != NULL; n++) {
		line[strcspn(line, "\n")] = '\0';
		if (n < 2) {
			if (strcmp(line, n == 0 ? JOURNAL_FIRST_LINE : mac) != 0)
				return -EBADMSG;
		} else if (sscanf(line, "end %u", &count) == 1) {
			return count == set->entry_count ? 0 : -EBADMSG;
		} else if (set->entry_count == NICSET_ENTRIES_MAX ||
			!entry_scan(line, &set->entry[set->entry_count++])) {
			return -EBADMSG;
		}
	}
	return -EBADMSG;
}

int
nicset_read(struct ep_nicset *set)
{
	const int fd = open(set->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	int ret;

	set->entry_count = 0;
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (f == NULL) {
		ret = -errno;
		close(fd);
		return ret;
	}
	ret = journal_scan(set, f);
	fclose(f);
	return ret;
}
