#pragma once

/* The object of xdp_feed.bpf.c, as an ELF file in memory. */

#include <stddef.h>

extern const unsigned char xdp_feed_object[];
extern const size_t xdp_feed_object_bytes;
