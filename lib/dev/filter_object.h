#pragma once

/* The two BPF objects of filter.bpf.c, as ELF files in memory. */

#include <stddef.h>

extern const unsigned char ep_filter_xdp_object[];
extern const size_t ep_filter_xdp_object_bytes;
extern const unsigned char ep_filter_skb_object[];
extern const size_t ep_filter_skb_object_bytes;
