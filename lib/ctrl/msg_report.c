/*
 * The report: totals, and per counter one array over all ports, in the order of the range. An array per counter costs a
 * third of the bytes that an object per port would.
 */

#include "ctrl_priv.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/** Bytes of the JSON around the arrays, and of one number of 19 digits with its comma. */
#define REPORT_REST_BYTES 4096u
#define REPORT_NUMBER_BYTES 20u

#define AT(member) offsetof(struct ep_ctrl_totals, member)
static const struct ctrl_field totals_rows[] = {
	{"nic_rx", CTRL_U64, AT(nic_rx), 0, INT64_MAX, NULL},
	{"imissed", CTRL_U64, AT(imissed), 0, INT64_MAX, NULL},
	{"ierrors", CTRL_U64, AT(ierrors), 0, INT64_MAX, NULL},
	{"rx_nombuf", CTRL_U64, AT(rx_nombuf), 0, INT64_MAX, NULL},
	{"bad_tag", CTRL_U64, AT(bad_tag), 0, INT64_MAX, NULL},
	{"foreign", CTRL_U64, AT(foreign), 0, INT64_MAX, NULL},
	{"intended", CTRL_U64, AT(intended), 0, INT64_MAX, NULL},
	{"accepted", CTRL_U64, AT(accepted), 0, INT64_MAX, NULL},
	{"not_sent", CTRL_U64, AT(not_sent), 0, INT64_MAX, NULL},
	{"nic_tx", CTRL_U64, AT(nic_tx), 0, INT64_MAX, NULL},
	{"oerrors", CTRL_U64, AT(oerrors), 0, INT64_MAX, NULL},
	{"tx_duration_ns", CTRL_U64, AT(tx_duration_ns), 0, INT64_MAX, NULL},
	{"max_gap_ns", CTRL_U64, AT(max_gap_ns), 0, INT64_MAX, NULL},
	{"jitter_ns", CTRL_U64, AT(jitter_ns), 0, INT64_MAX, NULL},
	{"learned_flows", CTRL_U64, AT(learned_flows), 0, INT64_MAX, NULL},
};
#undef AT
static const struct ctrl_fields totals_fields = {totals_rows, EP_ARRAY_LEN(totals_rows)};

#define AT(member) offsetof(struct ep_ctrl_pacing, member)
static const struct ctrl_field pacing_rows[] = {
	{"burst_pkts", CTRL_U32, AT(burst_pkts), 0, EP_CTRL_BURST_MAX, NULL},
	{"intended_pps", CTRL_RATE, AT(intended_pps), 0, 0, NULL},
	{"offered_pps", CTRL_RATE, AT(offered_pps), 0, 0, NULL},
	{"departure_count", CTRL_U64, AT(departure_count), 0, INT64_MAX, NULL},
	{"departure_min_ns", CTRL_U64, AT(departure_min_ns), 0, INT64_MAX, NULL},
	{"departure_p50_ns", CTRL_U64, AT(departure_p50_ns), 0, INT64_MAX, NULL},
	{"departure_p90_ns", CTRL_U64, AT(departure_p90_ns), 0, INT64_MAX, NULL},
	{"departure_p99_ns", CTRL_U64, AT(departure_p99_ns), 0, INT64_MAX, NULL},
	{"departure_p999_ns", CTRL_U64, AT(departure_p999_ns), 0, INT64_MAX, NULL},
	{"departure_max_ns", CTRL_U64, AT(departure_max_ns), 0, INT64_MAX, NULL},
	{"largest_gap_ns", CTRL_U64, AT(largest_gap_ns), 0, INT64_MAX, NULL},
	{"loop_gap_ns", CTRL_U64, AT(loop_gap_ns), 0, INT64_MAX, NULL},
	{"receive_gap_ns", CTRL_U64, AT(receive_gap_ns), 0, INT64_MAX, NULL},
	{"receive_ring_pkts", CTRL_U64, AT(receive_ring_pkts), 0, INT64_MAX, NULL},
	{"clock_error_ppm", CTRL_RATE, AT(clock_error_ppm), 0, 0, NULL},
	{"clock_drift_ppm", CTRL_RATE, AT(clock_drift_ppm), 0, 0, NULL},
};
#undef AT
static const struct ctrl_fields pacing_fields = {pacing_rows, EP_ARRAY_LEN(pacing_rows)};

/** One counter of every port: `struct ep_acct_port` of the ports lies in memory as an array with this stride. */
struct column {
	const char *name;
	size_t offset; /**< Of the counter in its struct [B]. */
	size_t stride; /**< From one port's to the next one's [B]. */
	bool down;     /**< In down_sent, else in up. */
};

#define UP(member) offsetof(struct ep_acct_port, member), sizeof(struct ep_acct_port), false
static const struct column columns[] = {
	{"new", UP(count[EP_ACCT_NEW])},
	{"reordered", UP(count[EP_ACCT_REORDERED])},
	{"dup", UP(count[EP_ACCT_DUP])},
	{"behind", UP(count[EP_ACCT_BEHIND])},
	{"late", UP(late)},
	{"wrong_port", UP(wrong_port)},
	{"bytes", UP(bytes)},
	{"echo_refused", UP(echo_refused)},
	{"down_sent", 0, sizeof(uint64_t), true},
};
#undef UP

static_assert(EP_ARRAY_LEN(columns) + 5 == CTRL_REPORT_PARTS,
	"the arrays, totals, pacing, queues, icmp, nic");
static_assert(EP_ARRAY_LEN(columns) * EP_RANGE_PORTS * REPORT_NUMBER_BYTES + REPORT_REST_BYTES +
			CTRL_ICMP_ENTRIES_MAX * REPORT_NUMBER_BYTES + EP_RANGE_PORTS * 4 +
			(20u << 10) + CTRL_NIC_BYTES_MAX <=
		EP_CTRL_FRAME_MAX,
	"a report of every port must fit a frame, whatever its numbers");

size_t
ctrl_report_bytes_max(uint32_t port_count)
{
	const size_t ports = port_count < EP_RANGE_PORTS ? port_count : EP_RANGE_PORTS;

	return EP_ARRAY_LEN(columns) * ports * REPORT_NUMBER_BYTES + REPORT_REST_BYTES +
		ctrl_icmp_bytes_max((uint32_t)ports) + ctrl_queues_bytes_max((uint32_t)ports) +
		CTRL_NIC_BYTES_MAX;
}

static uint64_t *
cell(const struct column *column, const struct ep_ctrl_report *report, uint32_t port_index)
{
	uint8_t *base = column->down ? (uint8_t *)report->down_sent : (uint8_t *)report->up;

	return (uint64_t *)(base + column->offset + port_index * column->stride);
}

static int
column_encode(const struct column *column, const struct ep_ctrl_report *report, json_t *object)
{
	json_t *array = json_array();

	if (json_object_set_new(object, column->name, array) < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < report->port_count; i++) {
		const uint64_t number = *cell(column, report, i);

		if (number > INT64_MAX)
			return -EINVAL;
		if (json_array_append_new(array, json_integer((json_int_t)number)) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int
pacing_encode(const struct ep_ctrl_report *report, json_t *object)
{
	json_t *pacing;

	if (!report->has_pacing)
		return 0;
	pacing = json_object();
	if (json_object_set_new(object, "pacing", pacing) < 0)
		return -ENOMEM;
	return ctrl_fields_encode(&pacing_fields, &report->pacing, pacing);
}

int
ctrl_report_encode(const void *body, json_t *object)
{
	const struct ep_ctrl_report *report = body;
	json_t *totals = json_object();
	int ret;

	if (json_object_set_new(object, "totals", totals) < 0)
		return -ENOMEM;
	if (report->port_count > EP_RANGE_PORTS)
		return -EINVAL;
	ret = ctrl_fields_encode(&totals_fields, &report->totals, totals);
	if (ret == 0)
		ret = pacing_encode(report, object);
	if (ret == 0)
		ret = ctrl_queues_encode(report, object);
	if (ret == 0)
		ret = ctrl_icmp_encode(report, object);
	if (ret == 0)
		ret = ctrl_nic_encode(report, object);
	for (size_t i = 0; ret == 0 && i < EP_ARRAY_LEN(columns); i++)
		ret = column_encode(&columns[i], report, object);
	return ret;
}

/* A responder that does not measure it sends none; one that does sends all of it. */
static int
pacing_decode(
	const char *what, const json_t *object, struct ep_ctrl_report *report, struct ep_err *err)
{
	const json_t *pacing = json_object_get(object, "pacing");

	report->has_pacing = pacing != NULL;
	if (pacing == NULL)
		return 0;
	if (!json_is_object(pacing) || json_object_size(pacing) > pacing_fields.count)
		return ep_err_set(err, -EBADMSG,
			"%s from the peer: pacing must be an object of %zu fields", what,
			pacing_fields.count);
	return ctrl_fields_decode(what, &pacing_fields, pacing, &report->pacing, err);
}

/* An unknown key must not take the place of an optional one: "v", "type", "trial" and the parts that are there. */
static int
parts_check(const char *what, const json_t *object, struct ep_err *err)
{
	const int missing = (json_object_get(object, "pacing") == NULL) +
		(json_object_get(object, "queues") == NULL) +
		(json_object_get(object, "icmp") == NULL) +
		(json_object_get(object, "nic") == NULL);
	const int allowed = 3 + CTRL_REPORT_PARTS - missing;

	if (json_object_size(object) <= (size_t)allowed)
		return 0;
	return ep_err_set(err, -EBADMSG, "%s from the peer: has %zu fields, allowed: %d", what,
		json_object_size(object), allowed);
}

static int
totals_decode(
	const char *what, const json_t *object, struct ep_ctrl_report *report, struct ep_err *err)
{
	const json_t *totals = json_object_get(object, "totals");

	if (!json_is_object(totals) || json_object_size(totals) > totals_fields.count)
		return ep_err_set(err, -EBADMSG,
			"%s from the peer: totals must be an object of %zu fields", what,
			totals_fields.count);
	return ctrl_fields_decode(what, &totals_fields, totals, &report->totals, err);
}

static int
column_decode(const char *what, const struct column *column, const json_t *object,
	struct ep_ctrl_report *report, struct ep_err *err)
{
	const struct ctrl_field row = {.name = column->name, .kind = CTRL_U64, .max = INT64_MAX};
	const json_t *array = json_object_get(object, column->name);

	for (uint32_t i = 0; i < report->port_count; i++) {
		const int ret = ctrl_integer_decode(
			what, &row, json_array_get(array, i), cell(column, report, i), err);

		if (ret < 0)
			return ret;
	}
	return 0;
}

/** Whether every array is there with one entry a port: before any memory is taken for them. */
static bool
columns_whole(const char *what, const json_t *object, uint32_t port_count, struct ep_err *err)
{
	for (size_t i = 0; i < EP_ARRAY_LEN(columns); i++) {
		if (ctrl_array_decode(what, columns[i].name, object, port_count, port_count, err) ==
			NULL)
			return false;
	}
	return true;
}

static int
report_alloc(struct ep_ctrl_report *report, uint32_t port_count, struct ep_err *err)
{
	const size_t count = port_count > 0 ? port_count : 1; /* calloc(0) may be NULL */

	report->up = calloc(count, sizeof(*report->up));
	report->down_sent = calloc(count, sizeof(*report->down_sent));
	if (report->up == NULL || report->down_sent == NULL)
		return ep_err_set(err, -ENOMEM, "no memory for a report of %u ports", port_count);
	report->port_count = port_count;
	return 0;
}

int
ctrl_report_decode(
	const char *what, const json_t *object, uint32_t port_count, void *body, struct ep_err *err)
{
	struct ep_ctrl_report *report = body;
	int ret;

	ret = parts_check(what, object, err);
	if (ret == 0)
		ret = totals_decode(what, object, report, err);
	if (ret == 0)
		ret = pacing_decode(what, object, report, err);
	if (ret < 0)
		return ret;
	if (!columns_whole(what, object, port_count, err))
		return -EBADMSG;
	ret = report_alloc(report, port_count, err);
	for (size_t i = 0; ret == 0 && i < EP_ARRAY_LEN(columns); i++)
		ret = column_decode(what, &columns[i], object, report, err);
	if (ret == 0)
		ret = ctrl_queues_decode(what, object, port_count, report, err);
	if (ret == 0)
		ret = ctrl_icmp_decode(what, object, port_count, report, err);
	if (ret == 0)
		ret = ctrl_nic_decode(what, object, report, err);
	if (ret < 0)
		ep_ctrl_report_fini(report);
	return ret;
}

void
ep_ctrl_report_fini(struct ep_ctrl_report *report)
{
	free(report->up);
	free(report->down_sent);
	report->up = NULL;
	report->down_sent = NULL;
	free(report->port_queue);
	report->port_queue = NULL;
	free(report->icmp);
	report->icmp = NULL;
	free(report->nic);
	report->nic = NULL;
	report->port_count = 0;
}
