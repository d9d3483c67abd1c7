#include "table.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_PAGE_BYTES ((size_t)2 << 20)
/* Half a huge page of tables is worth a whole one: it is one entry of the TLB instead of hundreds, and a table is used at random. */
#define HUGE_WORTH_BYTES (HUGE_PAGE_BYTES / 32)
/* 3 x 10^7 flows. */
#define TOUCH_MAX_BYTES ((size_t)1 << 30)

static size_t
mapped_bytes(size_t bytes)
{
	const size_t unit = bytes >= HUGE_WORTH_BYTES ? HUGE_PAGE_BYTES : (size_t)getpagesize();

	return (bytes + unit - 1) / unit * unit;
}

void *
table_alloc(size_t bytes)
{
	const size_t mapped = mapped_bytes(bytes);
	uint8_t *p = mmap(NULL, mapped + HUGE_PAGE_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t head;

	if (p == MAP_FAILED)
		return NULL;
	head = -(uintptr_t)p % HUGE_PAGE_BYTES;
	if (head > 0)
		munmap(p, head);
	if (head < HUGE_PAGE_BYTES)
		munmap(p + head + mapped, HUGE_PAGE_BYTES - head);
	madvise(p + head, mapped, MADV_HUGEPAGE);
	return p + head;
}

void
table_free(void *p, size_t bytes)
{
	if (p != NULL)
		munmap(p, mapped_bytes(bytes));
}

/* The kernel hands out zero pages again, which is cheaper than writing zeros to all of it. */
void
table_clear(void *p, size_t bytes)
{
	if (p != NULL && madvise(p, mapped_bytes(bytes), MADV_DONTNEED) != 0)
		memset(p, 0, bytes);
}

void
table_touch(void *p, size_t bytes)
{
	const size_t page_bytes = (size_t)getpagesize();

	if (p == NULL || bytes > TOUCH_MAX_BYTES)
		return;
	for (size_t at = 0; at < bytes; at += page_bytes)
		((volatile uint8_t *)p)[at] = 0;
}
