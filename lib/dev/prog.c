/* BPF programs and maps by their ids. */

#include "dev_priv.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROG_MAPS_MAX 8

/* Only our own programs are asked for maps, and those have at most three. */
static int
prog_info(uint32_t prog_id, struct bpf_prog_info *info)
{
	uint32_t len = sizeof(*info);
	const int fd = bpf_prog_get_fd_by_id(prog_id);
	int ret;

	if (fd < 0)
		return fd;
	ret = bpf_obj_get_info_by_fd(fd, info, &len);
	close(fd);
	return ret;
}

int
dev_prog_name(uint32_t prog_id, char *name)
{
	struct bpf_prog_info info = {0};
	const int ret = prog_info(prog_id, &info);

	if (ret < 0)
		return ret;
	snprintf(name, BPF_OBJ_NAME_LEN, "%s", info.name);
	return 0;
}

static bool
prog_map_is(int fd, const char *map_name)
{
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &len) == 0 && strcmp(info.name, map_name) == 0;
}

int
dev_prog_map(uint32_t prog_id, const char *map_name)
{
	uint32_t id[PROG_MAPS_MAX];
	struct bpf_prog_info info = {.nr_map_ids = PROG_MAPS_MAX, .map_ids = (uintptr_t)id};
	const int ret = prog_info(prog_id, &info);

	if (ret < 0)
		return ret;
	for (uint32_t i = 0; i < info.nr_map_ids && i < PROG_MAPS_MAX; i++) {
		const int fd = bpf_map_get_fd_by_id(id[i]);

		if (fd < 0)
			continue;
		if (prog_map_is(fd, map_name))
			return fd;
		close(fd);
	}
	return -ENOENT;
}
