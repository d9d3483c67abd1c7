/*
 * What preferred busy polling wants of an interface (kernel's Documentation/networking/napi.rst): interrupts are put off for some empty
 * polls, and a timer polls in their place where nobody else does, so that traffic of the kernel's goes on without us, too.
 *
 * The files are read and written only where the folder shows this very interface: /sys may belong to another network namespace.
 */

#include "nicset_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
	const char *file;
	uint64_t value;
} timers[] = {
	{"napi_defer_hard_irqs", 2}, {"gro_flush_timeout", 200000}, /* [ns] */
};

static int
timer_open(const struct ep_nicset *set, const char *file, int flags)
{
	char path[PATH_MAX];
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s/%s", set->cfg.sys_dir, set->cfg.ifname, file) >=
		(int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int
timer_line(const struct ep_nicset *set, const char *file, char *line, size_t len)
{
	const int fd = timer_open(set, file, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = read(fd, line, len - 1);
	line[n > 0 ? n : 0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	n = n < 0 ? -errno : 0;
	close(fd);
	return (int)n;
}

/* The same index and address: no other namespace's interface of this name. */
static int
timer_place_check(const struct ep_nicset *set)
{
	const uint8_t *m = set->cfg.mac;
	char line[64], mac[24];
	int ret = timer_line(set, "ifindex", line, sizeof(line));

	if (ret < 0)
		return ret;
	if (strtol(line, NULL, 10) != set->cfg.ifindex)
		return -EXDEV;
	ret = timer_line(set, "address", line, sizeof(line));
	if (ret < 0)
		return ret;
	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4],
		m[5]);
	return strcmp(mac, line) == 0 ? 0 : -EXDEV;
}

int
nicset_timer_get(const struct ep_nicset *set, uint32_t which, uint64_t *value)
{
	char line[64], *end;
	int ret = which < EP_ARRAY_LEN(timers) ? timer_place_check(set) : -EBADMSG;

	if (ret == 0)
		ret = timer_line(set, timers[which].file, line, sizeof(line));
	if (ret < 0)
		return ret;
	*value = strtoull(line, &end, 10);
	return end == line ? -EBADMSG : 0;
}

int
nicset_timer_set(const struct ep_nicset *set, uint32_t which, uint64_t value)
{
	char line[32];
	const int len = snprintf(line, sizeof(line), "%" PRIu64 "\n", value);
	int ret = which < EP_ARRAY_LEN(timers) ? timer_place_check(set) : -EBADMSG;
	int fd;

	if (ret < 0)
		return ret;
	fd = timer_open(set, timers[which].file, O_WRONLY);
	if (fd < 0)
		return fd;
	ret = write(fd, line, (size_t)len) == len ? 0 : -errno;
	close(fd);
	return ret;
}

int
nicset_timers(struct ep_nicset *set)
{
	for (uint32_t i = 0; i < EP_ARRAY_LEN(timers); i++) {
		struct nicset_entry e = {.kind = NICSET_TIMER, .id = i, .after = {timers[i].value}};
		int ret = nicset_timer_get(set, i, &e.before[0]);

		if (ret == 0 && e.before[0] == e.after[0])
			continue;
		if (ret == 0)
			ret = nicset_note(set, &e);
		if (ret == 0)
			ret = nicset_timer_set(set, i, e.after[0]);
		if (ret < 0)
			return ret;
	}
	return 0;
}
