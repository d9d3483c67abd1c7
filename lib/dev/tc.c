/*
 * Our filter at an interface's ingress, on the clsact qdisc that it needs. The filter's handle says whether that
 * qdisc was ours, too, so that a later everyport can tidy up after a crashed one without a file. A filter that
 * somebody else put on our qdisc meanwhile goes with it.
 */

#include "dev_priv.h"
#include "filter_map.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>

#define TC_PRIORITY 1 /* Before all others, whose verdicts would end the search. */

enum tc_handle {
	TC_HANDLE_FOUND = 0xe9a, /* The qdisc was there. */
	TC_HANDLE_MADE = 0xe9b,  /* We made it. */
};

static bool
tc_is_ours(const struct bpf_tc_hook *hook, uint32_t handle)
{
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = handle, .priority = TC_PRIORITY);
	char name[BPF_OBJ_NAME_LEN];

	return bpf_tc_query(hook, &opts) == 0 && dev_prog_name(opts.prog_id, name) == 0 &&
		strcmp(name, EP_FILTER_TC) == 0;
}

static void
tc_qdisc_remove(int ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex,
		.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);

	bpf_tc_hook_destroy(&hook);
}

void
dev_tc_clean(int ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);

	if (tc_is_ours(&hook, TC_HANDLE_FOUND)) {
		LIBBPF_OPTS(bpf_tc_opts, opts, .handle = TC_HANDLE_FOUND, .priority = TC_PRIORITY);

		bpf_tc_detach(&hook, &opts);
	}
	if (tc_is_ours(&hook, TC_HANDLE_MADE))
		tc_qdisc_remove(ifindex);
}

int
dev_tc_attach(int ifindex, int prog_fd)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = prog_fd, .priority = TC_PRIORITY);
	int ret = bpf_tc_hook_create(&hook);

	if (ret < 0 && ret != -EEXIST)
		return ret;
	opts.handle = ret == 0 ? TC_HANDLE_MADE : TC_HANDLE_FOUND;
	ret = bpf_tc_attach(&hook, &opts);
	if (ret < 0 && opts.handle == TC_HANDLE_MADE)
		tc_qdisc_remove(ifindex);
	return ret;
}
