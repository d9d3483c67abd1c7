/*
 * ICMP errors in the report: the kinds once, and three arrays of one entry for each port and kind that met. A kind's number that is
 * one above the last stands for errors of kinds that are not told apart.
 */

#include "ctrl_priv.h"

#include <errno.h>
#include <stdlib.h>

/* A port has at most its cells, and errors of other kinds. The bound in all is for the size of a frame. */
#define ENTRIES_A_PORT (EP_SLOW_PORT_KINDS + 1)
/* Digits of the longest entry with its commas: port index 5, kind 2, count 10. */
#define ENTRY_BYTES 20u
#define HOP_BYTES 160u

/** A kind as the tables of fields take it. */
struct hop {
	struct ep_wire_ip from;
	uint32_t type;
	uint32_t code;
	uint32_t mtu_bytes;
};

#define AT(member) offsetof(struct hop, member)
static const struct ctrl_field hop_rows[] = {
	{"from", CTRL_IP, AT(from), 0, 0, NULL},
	{"type", CTRL_U32, AT(type), 0, UINT8_MAX, NULL},
	{"code", CTRL_U32, AT(code), 0, UINT8_MAX, NULL},
	{"mtu_bytes", CTRL_U32, AT(mtu_bytes), 0, UINT32_MAX, NULL},
};
#undef AT
static const struct ctrl_fields hop_fields = {hop_rows, EP_ARRAY_LEN(hop_rows)};

#define AT(member) offsetof(struct ep_slow_icmp, member)
static const struct ctrl_field sum_rows[] = {
	{"verified", CTRL_U64, AT(count[EP_SLOW_FLOW]), 0, INT64_MAX, NULL},
	{"unverified", CTRL_U64, AT(count[EP_SLOW_PORT]), 0, INT64_MAX, NULL},
	{"forged", CTRL_U64, AT(count[EP_SLOW_FORGED]), 0, INT64_MAX, NULL},
	{"foreign", CTRL_U64, AT(count[EP_SLOW_FOREIGN]), 0, INT64_MAX, NULL},
	{"missed", CTRL_U64, AT(missed), 0, INT64_MAX, NULL},
};
#undef AT
static const struct ctrl_fields sum_fields = {sum_rows, EP_ARRAY_LEN(sum_rows)};

/** The arrays. */
enum { COLUMN_PORT, COLUMN_HOP, COLUMN_COUNT, COLUMNS };
static const char *const column_name[COLUMNS] = {"port", "hop", "count"};

/** Keys of the object: the sums, the kinds and the arrays. */
#define ICMP_KEYS (EP_ARRAY_LEN(sum_rows) + 1 + COLUMNS)

static size_t
entries_max(uint32_t port_count)
{
	const size_t entries = (size_t)port_count * ENTRIES_A_PORT;

	return entries < CTRL_ICMP_ENTRIES_MAX ? entries : CTRL_ICMP_ENTRIES_MAX;
}

size_t
ctrl_icmp_bytes_max(uint32_t port_count)
{
	return entries_max(port_count) * ENTRY_BYTES + EP_SLOW_KINDS_MAX * HOP_BYTES;
}

/* --- Writing ---------------------------------------------------------------------------------- */

static int
hops_encode(const struct ep_slow_icmp *a, json_t *object)
{
	json_t *hops = json_array();

	if (json_object_set_new(object, "hops", hops) < 0)
		return -ENOMEM;
	for (uint32_t k = 0; k < a->kind_count; k++) {
		const struct ep_slow_kind *kind = &a->kind[k];
		const struct hop hop = {kind->from, kind->type, kind->code, kind->mtu_bytes};
		json_t *entry = json_object();
		int ret;

		if (json_array_append_new(hops, entry) < 0)
			return -ENOMEM;
		ret = ctrl_fields_encode(&hop_fields, &hop, entry);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int
entry_encode(json_t *const array[COLUMNS], uint32_t port_index, uint32_t hop, uint32_t count)
{
	const json_int_t number[COLUMNS] = {port_index, hop, count};

	if (count == 0)
		return 0;
	for (int c = 0; c < COLUMNS; c++)
		if (json_array_append_new(array[c], json_integer(number[c])) < 0)
			return -ENOMEM;
	return 0;
}

static int
port_encode(json_t *const array[COLUMNS], const struct ep_slow_icmp *a, uint32_t port_index)
{
	const struct ep_slow_port *port = &a->port[port_index];
	int ret = 0;

	for (int i = 0; i < EP_SLOW_PORT_KINDS && ret == 0; i++)
		ret = entry_encode(array, port_index, port->cell[i].kind, port->cell[i].count);
	return ret == 0 ? entry_encode(array, port_index, a->kind_count, port->more) : ret;
}

/* Beyond the bound entries are left out: the sums still have them. */
static int
entries_encode(const struct ep_slow_icmp *a, json_t *object)
{
	json_t *array[COLUMNS];
	int ret = 0;

	for (int c = 0; c < COLUMNS; c++) {
		array[c] = json_array();
		if (json_object_set_new(object, column_name[c], array[c]) < 0)
			return -ENOMEM;
	}
	for (uint32_t p = 0; p < a->port_count && ret == 0; p++) {
		if (json_array_size(array[0]) + ENTRIES_A_PORT > CTRL_ICMP_ENTRIES_MAX)
			break;
		ret = port_encode(array, a, p);
	}
	return ret;
}

int
ctrl_icmp_encode(const struct ep_ctrl_report *report, json_t *object)
{
	json_t *icmp;
	int ret;

	if (report->icmp == NULL)
		return 0;
	if (report->icmp->port_count != report->port_count)
		return -EINVAL;
	icmp = json_object();
	if (json_object_set_new(object, "icmp", icmp) < 0)
		return -ENOMEM;
	ret = ctrl_fields_encode(&sum_fields, report->icmp, icmp);
	if (ret == 0)
		ret = hops_encode(report->icmp, icmp);
	return ret == 0 ? entries_encode(report->icmp, icmp) : ret;
}

/* --- Reading ---------------------------------------------------------------------------------- */

static int
hops_decode(const char *what, const json_t *object, struct ep_slow_icmp *a, struct ep_err *err)
{
	const json_t *hops = ctrl_array_decode(what, "hops", object, 0, EP_SLOW_KINDS_MAX, err);

	if (hops == NULL)
		return -EBADMSG;
	for (size_t k = 0; k < json_array_size(hops); k++) {
		const json_t *entry = json_array_get(hops, k);
		struct hop hop = {0};

		if (!json_is_object(entry) || json_object_size(entry) > hop_fields.count)
			return ep_err_set(err, -EBADMSG,
				"%s from the peer: hops must be objects of %zu fields", what,
				hop_fields.count);
		if (ctrl_fields_decode(what, &hop_fields, entry, &hop, err) < 0)
			return -EBADMSG;
		a->kind[a->kind_count++] = (struct ep_slow_kind){
			.from = hop.from,
			.type = (uint8_t)hop.type,
			.code = (uint8_t)hop.code,
			.mtu_bytes = hop.mtu_bytes,
		};
	}
	return 0;
}

static int
entry_decode(const char *what, const json_t *const array[COLUMNS], size_t at,
	struct ep_slow_icmp *a, struct ep_err *err)
{
	const struct ctrl_field row[COLUMNS] = {
		{column_name[COLUMN_PORT], CTRL_U64, 0, 0, a->port_count - UINT64_C(1), NULL},
		{column_name[COLUMN_HOP], CTRL_U64, 0, 0, a->kind_count, NULL},
		{column_name[COLUMN_COUNT], CTRL_U64, 0, 1, UINT32_MAX, NULL},
	};
	uint64_t number[COLUMNS];

	for (int c = 0; c < COLUMNS; c++) {
		const int ret = ctrl_integer_decode(
			what, &row[c], json_array_get(array[c], at), &number[c], err);

		if (ret < 0)
			return ret;
	}
	ep_slow_icmp_add(a, (uint32_t)number[COLUMN_PORT],
		number[COLUMN_HOP] < a->kind_count ? &a->kind[number[COLUMN_HOP]] : NULL,
		(uint32_t)number[COLUMN_COUNT]);
	return 0;
}

static int
entries_decode(const char *what, const json_t *object, struct ep_slow_icmp *a, struct ep_err *err)
{
	const json_t *array[COLUMNS];
	size_t count = 0, max = entries_max(a->port_count);
	int ret = 0;

	for (int c = 0; c < COLUMNS; c++) {
		array[c] = ctrl_array_decode(what, column_name[c], object, count, max, err);
		if (array[c] == NULL)
			return -EBADMSG;
		/* The others have as many as the first. */
		count = max = json_array_size(array[c]);
	}
	for (size_t i = 0; i < count && ret == 0; i++)
		ret = entry_decode(what, array, i, a, err);
	return ret;
}

int
ctrl_icmp_decode(const char *what, const json_t *object, uint32_t port_count,
	struct ep_ctrl_report *report, struct ep_err *err)
{
	const json_t *icmp = json_object_get(object, "icmp");
	int ret;

	if (icmp == NULL)
		return 0;
	if (!json_is_object(icmp) || json_object_size(icmp) > ICMP_KEYS)
		return ep_err_set(err, -EBADMSG,
			"%s from the peer: icmp must be an object of %zu fields", what, ICMP_KEYS);
	if (ep_slow_icmp_create(port_count, &report->icmp) < 0)
		return ep_err_set(err, -ENOMEM, "no memory for a report of %u ports", port_count);
	ret = ctrl_fields_decode(what, &sum_fields, icmp, report->icmp, err);
	if (ret == 0)
		ret = hops_decode(what, icmp, report->icmp, err);
	return ret == 0 ? entries_decode(what, icmp, report->icmp, err) : ret;
}
