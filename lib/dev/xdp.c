/*
 * Our XDP program on an interface. DPDK's AF_XDP driver loads it and has it attached (attach.c); it is handed to the
 * driver as a file in memory, and its maps are found afterwards by asking the kernel what is attached.
 */

#include "dev_priv.h"
#include "filter_map.h"
#include "filter_object.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static bool
xdp_is_ours(uint32_t prog_id)
{
	char name[BPF_OBJ_NAME_LEN];

	return prog_id != 0 && dev_prog_name(prog_id, name) == 0 &&
		strcmp(name, EP_FILTER_XDP) == 0;
}

/* Remove our program in whatever mode it is attached. Returns how many, or -errno. */
int
dev_xdp_clean(int ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	int ret = bpf_xdp_query(ifindex, 0, &query);
	int removed = 0;

	if (ret < 0)
		return ret;
	const struct {
		uint32_t prog_id;
		uint32_t flags;
	} slot[] = {
		{query.drv_prog_id, XDP_FLAGS_DRV_MODE},
		{query.skb_prog_id, XDP_FLAGS_SKB_MODE},
	};
	for (size_t i = 0; i < EP_ARRAY_LEN(slot); i++) {
		if (!xdp_is_ours(slot[i].prog_id))
			continue;
		ret = bpf_xdp_detach(ifindex, slot[i].flags, NULL);
		if (ret < 0)
			return ret;
		removed++;
	}
	return removed;
}

int
dev_xdp_check_free(const struct ep_dev *dev, struct ep_err *err)
{
	char name[BPF_OBJ_NAME_LEN] = "?";
	uint32_t prog_id = 0;
	const int ret = bpf_xdp_query_id(dev->link.ifindex, 0, &prog_id);

	if (ret < 0)
		return ep_err_set(err, ret, "--dev %s: asking for its XDP program: %s", dev->name,
			strerror(-ret));
	if (prog_id == 0)
		return 0;
	dev_prog_name(prog_id, name);
	return ep_err_set(err, -EBUSY,
		"--dev %s: XDP program %u (%s) of somebody else is attached; remove it with 'ip "
		"link "
		"set dev %s xdp off', or use --dev af_packet:%s",
		dev->name, prog_id, name, dev->link.name, dev->link.name);
}

int
dev_xdp_object(struct dev_filter *filter, char *path, size_t len)
{
	ssize_t written;

	filter->object_fd = memfd_create("everyport-filter", MFD_CLOEXEC);
	if (filter->object_fd < 0)
		return -errno;
	written = write(filter->object_fd, ep_filter_xdp_object, ep_filter_xdp_object_bytes);
	if (written != (ssize_t)ep_filter_xdp_object_bytes)
		return written < 0 ? -errno : -EIO;
	snprintf(path, len, "/proc/self/fd/%d", filter->object_fd);
	return 0;
}

static int
xdp_map_find(uint32_t prog_id, const char *name, int *fd)
{
	const int ret = dev_prog_map(prog_id, name);

	if (ret < 0)
		return ret;
	*fd = ret;
	return 0;
}

/* After it was attached: take hold of our program's maps. */
int
dev_xdp_find(struct ep_dev *dev, struct ep_err *err)
{
	uint32_t prog_id = 0;
	int ret = bpf_xdp_query_id(dev->link.ifindex, 0, &prog_id);

	if (ret == 0 && !xdp_is_ours(prog_id))
		ret = -ENOENT;
	if (ret == 0)
		ret = xdp_map_find(prog_id, EP_FILTER_MAP, &dev->filter.cfg_fd);
	if (ret == 0)
		ret = xdp_map_find(prog_id, EP_FILTER_SOCKETS, &dev->filter.sockets_fd);
	if (ret == 0)
		ret = xdp_map_find(prog_id, EP_FILTER_STRAY, &dev->filter.stray_fd);
	if (ret < 0)
		return ep_err_set(err, ret, "--dev %s: the filter program is not in place: %s",
			dev->name, strerror(-ret));
	return 0;
}

int
dev_xdp_socket_put(const struct ep_dev *dev, uint16_t queue, int fd)
{
	const uint32_t key = queue;
	const int ret = bpf_map_update_elem(dev->filter.sockets_fd, &key, &fd, BPF_ANY);

	return ret < 0 ? ret : 0;
}

uint64_t
dev_xdp_stray(const struct dev_filter *filter)
{
	const uint32_t key = 0;
	uint64_t stray_pkts = 0;

	if (filter->stray_fd >= 0)
		bpf_map_lookup_elem(filter->stray_fd, &key, &stray_pkts);
	return stray_pkts;
}

bool
dev_xdp_zero_copy(const struct ep_dev *dev)
{
	bool all = dev_sockets_zero_copy(&dev->sockets);

	for (uint16_t i = 0; i < dev->more_count; i++)
		all = all && dev_sockets_zero_copy(&dev->more[i]->sockets);
	return all;
}

const char *
dev_xdp_mode(const struct ep_dev *dev)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);

	if (bpf_xdp_query(dev->link.ifindex, 0, &query) < 0)
		return "XDP";
	if (query.attach_mode == XDP_ATTACHED_SKB)
		return "generic XDP";
	return dev_xdp_zero_copy(dev) ? "native XDP, zero copy" : "native XDP, copy";
}
