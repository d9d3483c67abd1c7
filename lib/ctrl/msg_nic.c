/* Counters of the responder's NIC in the report: those that grew in the trial, at most EP_NIC_CHANGES_MAX. */

#include "ctrl_priv.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* Of one counter with its keys, where every byte of its name is escaped. */
#define COUNTER_BYTES (2 * EP_NIC_NAME_BYTES + 128)
static_assert((EP_NIC_CHANGES_MAX + 2) * COUNTER_BYTES <= CTRL_NIC_BYTES_MAX,
	"the counters of a NIC must fit what is allowed for them");

static const char *const source_names[EP_NIC_SOURCES] = {"dpdk", "ethtool", "link"};

/** A counter as the tables of fields take it. */
struct counter {
	uint32_t source; /* enum ep_nic_source */
	char name[EP_NIC_NAME_BYTES];
	uint64_t count;
	bool at_least;
};

#define AT(member) offsetof(struct counter, member)
static const struct ctrl_field counter_rows[] = {
	{"source", CTRL_ENUM, AT(source), 0, EP_NIC_SOURCES - 1, source_names},
	{"name", CTRL_TEXT, AT(name), 1, EP_NIC_NAME_BYTES - 1, NULL},
	{"count", CTRL_U64, AT(count), 1, INT64_MAX, NULL},
	{"at_least", CTRL_BOOL, AT(at_least), 0, 0, NULL},
};
#undef AT
static const struct ctrl_fields counter_fields = {counter_rows, EP_ARRAY_LEN(counter_rows)};

#define AT(member) offsetof(struct ep_nic_changes, member)
static const struct ctrl_field nic_rows[] = {
	{"driver", CTRL_TEXT, AT(driver), 0, EP_NIC_DRIVER_BYTES - 1, NULL},
	{"omitted", CTRL_U32, AT(omitted), 0, UINT32_MAX, NULL},
	{"gone", CTRL_U32, AT(gone), 0, UINT32_MAX, NULL},
};
#undef AT
static const struct ctrl_fields nic_fields = {nic_rows, EP_ARRAY_LEN(nic_rows)};

/** Keys of the object: the fields and the list. */
#define NIC_KEYS (EP_ARRAY_LEN(nic_rows) + 1)

/* --- Writing ---------------------------------------------------------------------------------- */

/* A driver's nonsense (no name, a count beyond 63 bits) is no reason to lose the report. */
static int
counter_encode(const struct ep_nic_change *change, json_t *list)
{
	struct counter counter = {
		.source = change->source,
		.count = change->count <= INT64_MAX ? change->count : INT64_MAX,
		.at_least = change->at_least || change->count > INT64_MAX,
	};
	json_t *entry;

	if (change->name[0] == '\0' || change->count == 0)
		return 0;
	memcpy(counter.name, change->name, sizeof(counter.name));
	entry = json_object();
	if (json_array_append_new(list, entry) < 0)
		return -ENOMEM;
	return ctrl_fields_encode(&counter_fields, &counter, entry);
}

int
ctrl_nic_encode(const struct ep_ctrl_report *report, json_t *object)
{
	const struct ep_nic_changes *nic = report->nic;
	json_t *part, *list;
	int ret;

	if (nic == NULL || !nic->known)
		return 0;
	if (nic->count > EP_NIC_CHANGES_MAX)
		return -EINVAL;
	part = json_object();
	if (json_object_set_new(object, "nic", part) < 0)
		return -ENOMEM;
	list = json_array();
	ret = ctrl_fields_encode(&nic_fields, nic, part);
	if (json_object_set_new(part, "counters", list) < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < nic->count && ret == 0; i++)
		ret = counter_encode(&nic->change[i], list);
	return ret;
}

/* --- Reading ---------------------------------------------------------------------------------- */

static int
counter_decode(
	const char *what, const json_t *entry, struct ep_nic_changes *nic, struct ep_err *err)
{
	struct ep_nic_change *change = &nic->change[nic->count];
	struct counter counter = {0};
	int ret;

	if (!json_is_object(entry) || json_object_size(entry) > counter_fields.count)
		return ep_err_set(err, -EBADMSG,
			"%s from the peer: counters must be objects of %zu fields", what,
			counter_fields.count);
	ret = ctrl_fields_decode(what, &counter_fields, entry, &counter, err);
	if (ret < 0)
		return ret;
	change->source = (enum ep_nic_source)counter.source;
	change->count = counter.count;
	change->at_least = counter.at_least;
	memcpy(change->name, counter.name, sizeof(change->name));
	nic->count++;
	return 0;
}

int
ctrl_nic_decode(
	const char *what, const json_t *object, struct ep_ctrl_report *report, struct ep_err *err)
{
	const json_t *part = json_object_get(object, "nic"), *list;
	int ret;

	if (part == NULL)
		return 0;
	if (!json_is_object(part) || json_object_size(part) > NIC_KEYS)
		return ep_err_set(err, -EBADMSG,
			"%s from the peer: nic must be an object of %zu fields", what, NIC_KEYS);
	list = ctrl_array_decode(what, "counters", part, 0, EP_NIC_CHANGES_MAX, err);
	if (list == NULL)
		return -EBADMSG;
	report->nic = calloc(1, sizeof(*report->nic));
	if (report->nic == NULL)
		return ep_err_set(err, -ENOMEM, "no memory for the counters of a NIC");
	report->nic->known = true;
	ret = ctrl_fields_decode(what, &nic_fields, part, report->nic, err);
	for (size_t i = 0; i < json_array_size(list) && ret == 0; i++)
		ret = counter_decode(what, json_array_get(list, i), report->nic, err);
	return ret;
}
