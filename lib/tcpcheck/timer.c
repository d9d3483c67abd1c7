#include "tcpcheck_priv.h"

#include <errno.h>
#include <stdlib.h>

int
tc_timer_reserve(struct ep_tcpcheck *c, uint32_t more)
{
	const uint32_t needed = c->io_count + more;
	uint32_t max = c->heap_max > 0 ? c->heap_max : 64;
	struct tc_io **heap;

	if (needed <= c->heap_max)
		return 0;
	while (max < needed)
		max *= 2;
	/* Entry 0 is not used. */
	heap = realloc(c->heap, ((size_t)max + 1) * sizeof(*heap));
	if (heap == NULL)
		return -ENOMEM;
	c->heap = heap;
	c->heap_max = max;
	return 0;
}

static void
heap_put(struct ep_tcpcheck *c, uint32_t slot, struct tc_io *io)
{
	c->heap[slot] = io;
	io->slot = slot;
}

/* Move an entry up to where its parent is not later, then down to where its children are not earlier. */
static void
heap_settle(struct ep_tcpcheck *c, struct tc_io *io)
{
	uint32_t slot = io->slot;

	for (; slot > 1 && c->heap[slot / 2]->at_ns > io->at_ns; slot /= 2)
		heap_put(c, slot, c->heap[slot / 2]);
	for (;;) {
		uint32_t child = slot * 2;

		if (child < c->heap_count && c->heap[child + 1]->at_ns < c->heap[child]->at_ns)
			child++;
		if (child > c->heap_count || c->heap[child]->at_ns >= io->at_ns)
			break;
		heap_put(c, slot, c->heap[child]);
		slot = child;
	}
	heap_put(c, slot, io);
}

void
tc_timer_set(struct ep_tcpcheck *c, struct tc_io *io, uint64_t at_ns)
{
	io->at_ns = at_ns;
	if (io->slot == 0)
		heap_put(c, ++c->heap_count, io); /* there is room: tc_timer_reserve() */
	heap_settle(c, io);
}

void
tc_timer_clear(struct ep_tcpcheck *c, struct tc_io *io)
{
	struct tc_io *last;

	if (io->slot == 0)
		return;
	last = c->heap[c->heap_count--];
	if (last != io) {
		heap_put(c, io->slot, last);
		heap_settle(c, last);
	}
	io->slot = 0;
}

struct tc_io *
tc_timer_due(struct ep_tcpcheck *c, uint64_t now_ns)
{
	struct tc_io *io;

	if (c->heap_count == 0 || c->heap[1]->at_ns > now_ns)
		return NULL;
	io = c->heap[1];
	tc_timer_clear(c, io);
	return io;
}
