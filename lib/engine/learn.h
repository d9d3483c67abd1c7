#pragma once

/**
 * @file
 * The responder's table of learned addresses: where each flow's probes come from, as a NAT shows it (design section 4).
 *
 * Written by the receiving worker of a flow, read by the sending worker, perhaps on another core: IPv4 entries are one atomic
 * word, IPv6 entries are guarded by a version (odd while being written). A reader of an IPv6 entry that is just being
 * rewritten tries again: a few cycles, or as long as the kernel keeps the writer from its CPU. Entries change rarely.
 */

#include <ep_wire.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/** An IPv6 entry. Zero: not known. */
struct learn_entry6 {
	uint64_t addr[2]; /**< Network order. */
	uint32_t port;    /**< Host order, plus 2^16 when known. */
	uint32_t version; /**< Odd while being written. */
};

/** The table. */
struct learn {
	enum ep_wire_family family;
	uint32_t flow_count;
	uint64_t *v4;            /**< [flow_count] addr_be << 32 | port << 16 | 1; 0: not known. */
	struct learn_entry6 *v6; /**< [flow_count] */
};

#define LEARN_KNOWN 1u

/** Note a flow's address. Returns whether the flow was not known before. Hot path. */
static inline bool
learn_set(struct learn *l, uint32_t flow, const struct ep_wire_ip *ip, uint16_t port)
{
	if (l->family == EP_WIRE_IPV4) {
		uint32_t addr;
		uint64_t word, old;

		memcpy(&addr, ip->bytes_be, sizeof(addr));
		word = (uint64_t)addr << 32 | (uint64_t)port << 16 | LEARN_KNOWN;
		old = __atomic_load_n(&l->v4[flow], __ATOMIC_RELAXED);
		if (old != word)
			__atomic_store_n(&l->v4[flow], word, __ATOMIC_RELAXED);
		return old == 0;
	}
	struct learn_entry6 *e = &l->v6[flow];
	const uint32_t known = (uint32_t)port | UINT32_C(1) << 16;
	const bool fresh = e->port == 0;

	if (e->port == known && memcmp(e->addr, ip->bytes_be, sizeof(e->addr)) == 0)
		return false;
	__atomic_store_n(&e->version, e->version + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	memcpy(e->addr, ip->bytes_be, sizeof(e->addr));
	e->port = known;
	__atomic_store_n(&e->version, e->version + 1, __ATOMIC_RELEASE);
	return fresh;
}

/**
 * Whether an IPv4 entry is known and has that address and port, as nearly always. Hot path.
 * @param src
 *   As ep_wire_plain_src4() gives it.
 */
static inline bool
learn_is4(const uint64_t *v4, uint32_t flow, uint64_t src)
{
	return __atomic_load_n(&v4[flow], __ATOMIC_RELAXED) == (src | LEARN_KNOWN);
}

/** Read a flow's address. Returns whether it is known. Hot path. */
static inline bool
learn_get(const struct learn *l, uint32_t flow, struct ep_wire_ip *ip, uint16_t *port)
{
	ip->family = l->family;
	if (l->family == EP_WIRE_IPV4) {
		const uint64_t word = __atomic_load_n(&l->v4[flow], __ATOMIC_RELAXED);
		const uint32_t addr = (uint32_t)(word >> 32);

		memcpy(ip->bytes_be, &addr, sizeof(addr));
		*port = (uint16_t)(word >> 16);
		return word != 0;
	}
	const struct learn_entry6 *e = &l->v6[flow];
	uint32_t before, after, known;

	do {
		before = __atomic_load_n(&e->version, __ATOMIC_ACQUIRE);
		memcpy(ip->bytes_be, e->addr, sizeof(e->addr));
		known = e->port;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		after = __atomic_load_n(&e->version, __ATOMIC_RELAXED);
	} while (before != after || (before & 1) != 0);
	*port = (uint16_t)known;
	return known != 0;
}

/** Whether a flow's address is known. */
static inline bool
learn_known(const struct learn *l, uint32_t flow)
{
	if (l->family == EP_WIRE_IPV4)
		return __atomic_load_n(&l->v4[flow], __ATOMIC_RELAXED) != 0;
	return l->v6[flow].port != 0;
}
