/*
 * How DPDK's AF_XDP driver gets our program onto the interface. It knows one way: bpf_xdp_attach() with the mode left to the kernel, which
 * is native wherever the interface's driver has it, and failure where that driver refuses. It cannot be told generic mode, does not
 * hand on what the driver said, and of several ports on one interface only the first could attach (xdp_open.c opens one a queue).
 *
 * So there is a bpf_xdp_attach() in this program, which the dynamic linker finds before libbpf's: while a device is being opened it does
 * what that device wants. All other calls are handed on to libbpf.
 */

#include "dev_priv.h"

#include <bpf/libbpf.h>
#include <dlfcn.h>
#include <errno.h>
#include <linux/if_link.h>

/* The device that is being opened; NULL: none. Written and read by the control thread only, which is in the driver meanwhile. */
static struct dev_attach *attach_wanted;

void
dev_attach_begin(struct dev_attach *attach)
{
	attach_wanted = attach;
}

void
dev_attach_end(void)
{
	attach_wanted = NULL;
}

/* The first port's program is the one that stays; what the others bring along is left unused. */
static int
attach_wanted_do(struct dev_attach *a, int prog_fd)
{
	if (a->asked && a->ret == 0)
		return 0;
	a->asked = true;
	a->ret = ep_netlink_xdp(a->ifindex, prog_fd, a->flags | XDP_FLAGS_UPDATE_IF_NOEXIST,
		a->words, sizeof(a->words));
	return a->ret;
}

int
bpf_xdp_attach(int ifindex, int prog_fd, __u32 flags, const struct bpf_xdp_attach_opts *opts)
{
	__typeof__(bpf_xdp_attach) *real;

	if (attach_wanted != NULL && attach_wanted->ifindex == ifindex && prog_fd >= 0)
		return attach_wanted_do(attach_wanted, prog_fd);
	real = (__typeof__(real))dlsym(RTLD_NEXT, "bpf_xdp_attach");
	return real == NULL ? -ENOSYS : real(ifindex, prog_fd, flags, opts);
}
