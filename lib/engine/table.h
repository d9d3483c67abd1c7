#pragma once

/*
 * Big tables of a lane: zeroed memory of the kernel's, in transparent huge pages where it has them. What nobody touches takes
 * no memory: a sender's account of 10^9 flows.
 */

#include <stddef.h>

/* Returns NULL without memory (or address space). */
void *table_alloc(size_t bytes);

/* Accepts NULL; @p bytes as it was allocated with. */
void table_free(void *p, size_t bytes);

/* Back to zeros, and to untouched. Accepts NULL. */
void table_clear(void *p, size_t bytes);

/* Let the calling thread be the first to touch a table, before it is in a hurry: so the memory is of this CPU's node, and no
 * packet waits for it. Tables beyond what a receiver can hold anyway are left alone. Accepts NULL. */
void table_touch(void *p, size_t bytes);
