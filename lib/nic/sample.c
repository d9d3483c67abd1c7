/* A reading of a NIC's counters. */

#include "ep_nic.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE_FIRST 64

const char *
ep_nic_source_name(enum ep_nic_source source)
{
	static const char *const name[EP_NIC_SOURCES] = {"dpdk", "ethtool", "link"};

	return source < EP_NIC_SOURCES ? name[source] : "unknown";
}

void
ep_nic_sample_reset(struct ep_nic_sample *s)
{
	s->known = false;
	s->driver[0] = '\0';
	s->count = 0;
}

void
ep_nic_sample_fini(struct ep_nic_sample *s)
{
	free(s->counter);
	*s = (struct ep_nic_sample){0};
}

void
ep_nic_sample_driver(struct ep_nic_sample *s, const char *driver)
{
	snprintf(s->driver, sizeof(s->driver), "%s", driver);
}

static int
sample_grow(struct ep_nic_sample *s)
{
	const uint32_t size = s->size == 0 ? SAMPLE_FIRST : 2 * s->size;
	struct ep_nic_counter *counter;

	if (s->count < s->size)
		return 0;
	if (s->count == EP_NIC_COUNTERS_MAX)
		return -E2BIG;
	counter = realloc(s->counter, size * sizeof(*counter));
	if (counter == NULL)
		return -ENOMEM;
	s->counter = counter;
	s->size = size;
	return 0;
}

int
ep_nic_sample_add(struct ep_nic_sample *s, enum ep_nic_source source, const char *name,
	size_t name_bytes, uint64_t value)
{
	const int ret = sample_grow(s);
	size_t len = strnlen(name, name_bytes);
	struct ep_nic_counter *c;

	if (ret < 0)
		return ret;
	while (len > 0 && isspace((unsigned char)name[len - 1]))
		len--;
	while (len > 0 && isspace((unsigned char)*name)) {
		name++;
		len--;
	}
	c = &s->counter[s->count++];
	c->source = source;
	c->value = value;
	snprintf(c->name, sizeof(c->name), "%.*s", (int)len, name);
	return 0;
}
