/* The file of measured ceilings: {"schema": "everyport.ceiling/1", "ceilings": [...]}, oldest first. */

#include "ep_doctor.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA "everyport.ceiling/1"

static bool
same_key(const struct ep_doctor_ceiling_entry *e, const char *kind, const char *driver,
	const char *cpu, const char *size)
{
	return strcmp(e->kind, kind) == 0 && strcmp(e->driver, driver) == 0 &&
		strcmp(e->cpu, cpu) == 0 && strcmp(e->size, size) == 0;
}

/* A text of an entry into its place. Returns whether it is one, and fits. */
static bool
text_take(const json_t *object, const char *key, char *out, size_t len)
{
	const char *text = json_string_value(json_object_get(object, key));

	if (text == NULL || strlen(text) >= len)
		return false;
	snprintf(out, len, "%s", text);
	return true;
}

static bool
entry_take(const json_t *object, struct ep_doctor_ceiling_entry *e)
{
	e->pps = json_number_value(json_object_get(object, "pps"));
	return text_take(object, "kind", e->kind, sizeof(e->kind)) &&
		text_take(object, "driver", e->driver, sizeof(e->driver)) &&
		text_take(object, "cpu", e->cpu, sizeof(e->cpu)) &&
		text_take(object, "size", e->size, sizeof(e->size)) &&
		text_take(object, "device", e->device, sizeof(e->device)) &&
		text_take(object, "measured", e->measured, sizeof(e->measured)) && e->pps > 0;
}

int
ep_doctor_ceilings_parse(const char *text, size_t len, struct ep_doctor_ceilings *out)
{
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	const char *schema = json_string_value(json_object_get(root, "schema"));
	const json_t *list = json_object_get(root, "ceilings");
	const bool ours = schema != NULL && strcmp(schema, SCHEMA) == 0 && json_is_array(list);
	struct ep_doctor_ceiling_entry e = {0};

	out->count = 0;
	for (size_t i = 0; ours && i < json_array_size(list); i++)
		if (entry_take(json_array_get(list, i), &e))
			ep_doctor_ceilings_put(out, &e);
	json_decref(root);
	return ours ? 0 : -EINVAL;
}

void
ep_doctor_ceilings_put(struct ep_doctor_ceilings *all, const struct ep_doctor_ceiling_entry *entry)
{
	const struct ep_doctor_ceiling_entry *had =
		ep_doctor_ceilings_find(all, entry->kind, entry->driver, entry->cpu, entry->size);
	uint32_t at = had != NULL ? (uint32_t)(had - all->entry) : 0;

	/* What goes leaves its place to those behind it, so that the newest is always the last. */
	if (had != NULL || all->count == EP_DOCTOR_CEILINGS_MAX) {
		all->count--;
		memmove(&all->entry[at], &all->entry[at + 1],
			(all->count - at) * sizeof(all->entry[0]));
	}
	all->entry[all->count++] = *entry;
}

const struct ep_doctor_ceiling_entry *
ep_doctor_ceilings_find(const struct ep_doctor_ceilings *all, const char *kind, const char *driver,
	const char *cpu, const char *size)
{
	for (uint32_t i = 0; i < all->count; i++)
		if (same_key(&all->entry[i], kind, driver, cpu, size))
			return &all->entry[i];
	return NULL;
}

int
ep_doctor_ceilings_format(const struct ep_doctor_ceilings *all, char **text)
{
	json_t *list = json_array();
	json_t *root = json_pack("{s:s, s:O}", "schema", SCHEMA, "ceilings", list);

	for (uint32_t i = 0; i < all->count; i++) {
		const struct ep_doctor_ceiling_entry *e = &all->entry[i];

		json_array_append_new(list,
			json_pack("{s:s, s:s, s:s, s:s, s:f, s:s, s:s}", "kind", e->kind, "driver",
				e->driver, "cpu", e->cpu, "size", e->size, "pps", e->pps, "device",
				e->device, "measured", e->measured));
	}
	*text = json_array_size(list) == all->count ? json_dumps(root, JSON_INDENT(2)) : NULL;
	json_decref(root);
	json_decref(list);
	return *text != NULL ? 0 : -ENOMEM;
}
