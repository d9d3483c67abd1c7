/* What the filter takes, and the programs that AF_PACKET needs. */

#include "dev_priv.h"
#include "filter_map.h"
#include "filter_object.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static_assert(
	sizeof(((struct ep_filter_ip *)0)->bytes_be) == sizeof(((struct ep_wire_ip *)0)->bytes_be),
	"the filter compares addresses as they are kept");

static int
filter_prog_fd(const struct bpf_object *object, const char *name)
{
	const struct bpf_program *prog = bpf_object__find_program_by_name(object, name);

	return prog == NULL ? -ENOENT : bpf_program__fd(prog);
}

static int
filter_object_load(struct dev_filter *filter)
{
	int ret;

	filter->object =
		bpf_object__open_mem(ep_filter_skb_object, ep_filter_skb_object_bytes, NULL);
	if (filter->object == NULL)
		return -errno;
	ret = bpf_object__load(filter->object);
	if (ret < 0)
		return ret;
	filter->cfg_fd = bpf_object__find_map_fd_by_name(filter->object, EP_FILTER_MAP);
	return filter->cfg_fd < 0 ? filter->cfg_fd : 0;
}

/* Let only the wanted into the packet sockets. */
static int
filter_sockets(const struct dev_filter *filter, const struct dev_sockets *sockets)
{
	const int prog_fd = filter_prog_fd(filter->object, EP_FILTER_SOCK);

	if (prog_fd < 0)
		return prog_fd;
	for (uint32_t i = 0; i < sockets->count; i++)
		if (setsockopt(sockets->fd[i], SOL_SOCKET, SO_ATTACH_BPF, &prog_fd,
			    sizeof(prog_fd)) < 0)
			return -errno;
	return 0;
}

static int
filter_tc(struct ep_dev *dev)
{
	const int prog_fd = filter_prog_fd(dev->filter.object, EP_FILTER_TC);
	int ret;

	if (prog_fd < 0)
		return prog_fd;
	ret = dev_tc_attach(dev->link.ifindex, prog_fd);
	dev->filter.tc = ret == 0;
	return ret;
}

int
dev_filter_load(struct ep_dev *dev, struct ep_err *err)
{
	int ret = filter_object_load(&dev->filter);

	if (ret < 0)
		return ep_err_set(err, ret,
			"--dev %s: the kernel does not load the filter program: %s", dev->name,
			strerror(-ret));
	ret = filter_sockets(&dev->filter, &dev->sockets);
	if (ret < 0)
		return ep_err_set(err, ret, "--dev %s: filter of its packet sockets: %s", dev->name,
			strerror(-ret));
	ret = filter_tc(dev);
	if (ret < 0)
		return ep_err_set(err, ret, "--dev %s: tc filter at its ingress: %s", dev->name,
			strerror(-ret));
	return 0;
}

void
dev_filter_close(struct ep_dev *dev)
{
	struct dev_filter *filter = &dev->filter;

	if (filter->xdp)
		dev_xdp_clean(dev->link.ifindex); /* when the driver did not */
	if (filter->tc)
		dev_tc_clean(dev->link.ifindex);
	if (filter->object != NULL)
		bpf_object__close(filter->object); /* and with it cfg_fd */
	else if (filter->cfg_fd >= 0)
		close(filter->cfg_fd);
	if (filter->sockets_fd >= 0)
		close(filter->sockets_fd);
	if (filter->stray_fd >= 0)
		close(filter->stray_fd);
	if (filter->object_fd >= 0)
		close(filter->object_fd);
	*filter = (struct dev_filter){
		.cfg_fd = -1, .sockets_fd = -1, .stray_fd = -1, .object_fd = -1};
}

static void
filter_ip_set(struct ep_filter_ip *to, const struct ep_wire_ip *from)
{
	memcpy(to->bytes_be, from->bytes_be, sizeof(to->bytes_be));
	to->family = from->family;
}

static int
filter_put(const struct dev_filter *filter, const struct ep_filter_cfg *cfg)
{
	const uint32_t key = 0;

	return bpf_map_update_elem(filter->cfg_fd, &key, cfg, BPF_ANY);
}

/* Unarmed first: the kernel copies the value while the program reads it. */
int
dev_filter_write(const struct dev_filter *filter, const struct ep_dev_filter *wanted)
{
	struct ep_filter_cfg cfg = {0};
	int ret = filter_put(filter, &cfg);

	if (ret < 0 || wanted == NULL)
		return ret;
	cfg.initiator = wanted->initiator;
	cfg.any_local = wanted->any_local;
	filter_ip_set(&cfg.local, &wanted->local);
	filter_ip_set(&cfg.peer, &wanted->peer);
	for (uint32_t i = 0; i < wanted->range->port_count; i++)
		cfg.port[wanted->range->port[i] / 64] |= UINT64_C(1) << wanted->range->port[i] % 64;
	ret = filter_put(filter, &cfg);
	if (ret < 0)
		return ret;
	cfg.armed = 1;
	return filter_put(filter, &cfg);
}
