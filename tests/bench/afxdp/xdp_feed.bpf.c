/*
 * Sends prepared frames, one a run, as long as the receiver has room: the kernel runs it over empty frames of its own (live frames of
 * BPF_PROG_TEST_RUN), which costs a fraction of what a program with a socket takes. A run without a frame to send drops the
 * empty one.
 */

#include "xdp_feed_map.h"

#include <bpf/bpf_helpers.h>
#include <linux/bpf.h>

struct slot {
	__u8 frame[XDP_FEED_SLOT_BYTES];
};

/* Its size is set by who loads it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct slot);
} xdp_feed_frames SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct xdp_feed_state);
} xdp_feed_state SEC(".maps");

SEC("xdp")
int
xdp_feed_send(struct xdp_md *ctx)
{
	void *const to = (void *)(long)ctx->data;
	struct xdp_feed_state *state;
	const struct slot *slot;
	__u32 key = 0;

	state = bpf_map_lookup_elem(&xdp_feed_state, &key);
	if (!state || to + XDP_FEED_FRAME_BYTES > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	key = state->next;
	slot = bpf_map_lookup_elem(&xdp_feed_frames, &key);
	if (!slot || key >= *(volatile __u32 *)&state->limit)
		return XDP_DROP;
	state->next = key + 1;
	__builtin_memcpy(to, slot, XDP_FEED_FRAME_BYTES);
	return bpf_redirect(state->ifindex, 0);
}

char feed_license[] SEC("license") = "Dual BSD/GPL";
