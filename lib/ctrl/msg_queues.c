/*
 * The receive queues in the report: what came out of each, and for each port the queue that its probes came out of.
 */

#include "ctrl_priv.h"

#include <errno.h>
#include <stdlib.h>

/* Keys, braces and the sentence, in which a character may take six bytes; a count, and a queue of a port, with their commas. */
#define REST_BYTES 2048u
#define COUNT_BYTES 20u
#define PORT_BYTES 4u

#define AT(member) offsetof(struct ep_ctrl_queues, member)
static const struct ctrl_field queues_rows[] = {
	{"steering", CTRL_TEXT, AT(steering), 0, 239, NULL},
	{"expected_ratio", CTRL_RATE, AT(expected_ratio), 0, 0, NULL},
};
#undef AT
static const struct ctrl_fields queues_fields = {queues_rows, EP_ARRAY_LEN(queues_rows)};

/** Keys of the object: the fields and the two arrays. */
#define QUEUES_KEYS (EP_ARRAY_LEN(queues_rows) + 2)

size_t
ctrl_queues_bytes_max(uint32_t port_count)
{
	return REST_BYTES + EP_CTRL_QUEUES_MAX * COUNT_BYTES + (size_t)port_count * PORT_BYTES;
}

/* --- Writing ---------------------------------------------------------------------------------- */

static int
received_encode(const struct ep_ctrl_queues *q, json_t *object)
{
	json_t *array = json_array();

	if (json_object_set_new(object, "received", array) < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < q->count; i++) {
		if (q->received[i] > INT64_MAX)
			return -EINVAL;
		if (json_array_append_new(array, json_integer((json_int_t)q->received[i])) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int
ports_encode(const struct ep_ctrl_report *report, json_t *object)
{
	json_t *array = json_array();

	if (json_object_set_new(object, "port", array) < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < report->port_count; i++) {
		const uint8_t queue = report->port_queue[i];

		if (queue >= report->queues.count && queue != EP_CTRL_QUEUE_NONE)
			return -EINVAL;
		if (json_array_append_new(array, json_integer(queue)) < 0)
			return -ENOMEM;
	}
	return 0;
}

int
ctrl_queues_encode(const struct ep_ctrl_report *report, json_t *object)
{
	json_t *queues;
	int ret;

	if (report->queues.count == 0)
		return 0;
	if (report->queues.count > EP_CTRL_QUEUES_MAX || report->port_queue == NULL)
		return -EINVAL;
	queues = json_object();
	if (json_object_set_new(object, "queues", queues) < 0)
		return -ENOMEM;
	ret = ctrl_fields_encode(&queues_fields, &report->queues, queues);
	if (ret == 0)
		ret = received_encode(&report->queues, queues);
	return ret == 0 ? ports_encode(report, queues) : ret;
}

/* --- Reading ---------------------------------------------------------------------------------- */

static int
received_decode(
	const char *what, const json_t *object, struct ep_ctrl_queues *q, struct ep_err *err)
{
	static const struct ctrl_field row = {"received", CTRL_U64, 0, 0, INT64_MAX, NULL};
	const json_t *array = ctrl_array_decode(what, row.name, object, 1, EP_CTRL_QUEUES_MAX, err);

	if (array == NULL)
		return -EBADMSG;
	q->count = (uint32_t)json_array_size(array);
	for (uint32_t i = 0; i < q->count; i++) {
		const int ret = ctrl_integer_decode(
			what, &row, json_array_get(array, i), &q->received[i], err);

		if (ret < 0)
			return ret;
	}
	return 0;
}

static int
ports_decode(const char *what, const json_t *object, uint32_t port_count,
	struct ep_ctrl_report *report, struct ep_err *err)
{
	static const struct ctrl_field row = {"port", CTRL_U64, 0, 0, EP_CTRL_QUEUE_NONE, NULL};
	const json_t *array =
		ctrl_array_decode(what, row.name, object, port_count, port_count, err);

	if (array == NULL)
		return -EBADMSG;
	report->port_queue = malloc(port_count > 0 ? port_count : 1);
	if (report->port_queue == NULL)
		return ep_err_set(err, -ENOMEM, "no memory for a report of %u ports", port_count);
	for (uint32_t i = 0; i < port_count; i++) {
		uint64_t queue;
		const int ret =
			ctrl_integer_decode(what, &row, json_array_get(array, i), &queue, err);

		if (ret < 0)
			return ret;
		if (queue >= report->queues.count && queue != EP_CTRL_QUEUE_NONE)
			return ep_err_set(err, -EBADMSG,
				"%s from the peer: port must name one of %u queues, or %d", what,
				report->queues.count, EP_CTRL_QUEUE_NONE);
		report->port_queue[i] = (uint8_t)queue;
	}
	return 0;
}

/* A responder that does not count them sends none; one that does sends all of it. */
int
ctrl_queues_decode(const char *what, const json_t *object, uint32_t port_count,
	struct ep_ctrl_report *report, struct ep_err *err)
{
	const json_t *queues = json_object_get(object, "queues");
	int ret;

	if (queues == NULL)
		return 0;
	if (!json_is_object(queues) || json_object_size(queues) > QUEUES_KEYS)
		return ep_err_set(err, -EBADMSG,
			"%s from the peer: queues must be an object of %zu fields", what,
			QUEUES_KEYS);
	ret = ctrl_fields_decode(what, &queues_fields, queues, &report->queues, err);
	if (ret == 0)
		ret = received_decode(what, queues, &report->queues, err);
	return ret == 0 ? ports_decode(what, queues, port_count, report, err) : ret;
}
