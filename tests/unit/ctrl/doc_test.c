/* docs/control-protocol.md says what the code does: every field is named, its states are the table's, its example is a session. */

#include "ctrl_paths.h"
#include "ctrl_util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXAMPLE_PORTS 4

static char *
doc_read(void)
{
	FILE *file = fopen(ctrl_doc_path, "rb");
	char *text = calloc(1, 1 << 17);

	assert_non_null(file);
	assert_non_null(text);
	assert_in_range(fread(text, 1, (1 << 17) - 1, file), 1, (1 << 17) - 2);
	fclose(file);
	return text;
}

static void
assert_named(const char *doc, const char *word)
{
	char quoted[64];

	snprintf(quoted, sizeof(quoted), "`%s`", word);
	if (strstr(doc, quoted) == NULL)
		fail_msg("%s does not name %s", ctrl_doc_path, quoted);
}

static void
keys_named(const char *doc, json_t *object)
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
	{
		if (strcmp(key, "v") != 0 && strcmp(key, "type") != 0)
			assert_named(doc, key);
		if (json_is_object(value))
			keys_named(doc, value);
	}
}

static void
every_field_is_documented(void **state)
{
	struct rng rng = rng_from_env();
	char *doc = doc_read();

	(void)state;
	for (int m = 0; m < CTRL_MSGS; m++) {
		const enum ctrl_msg msg = (enum ctrl_msg)m;
		struct ctrl_buf frame = {0};
		struct ep_ctrl_event body;
		json_t *object;

		body_random(&rng, msg, &body);
		assert_int_equal(ctrl_msg_encode(msg, body_of(&body), &frame), 0);
		object = json_loadb((char *)frame.bytes + 4, ctrl_buf_len(&frame) - 4, 0, NULL);
		keys_named(doc, object);
		json_decref(object);
		ctrl_buf_fini(&frame);
		body_free(msg, &body);
	}
	for (int mode = 0; mode < 4; mode++)
		assert_named(doc, ep_ctrl_mode_name((enum ep_ctrl_mode)mode));
	free(doc);
}

/** A cell of the table of states: what @p role may say in @p st, "start → start" or, where the state stays, "beat". */
static void
cell_format(char *buf, size_t len, enum ep_ctrl_role role, enum ctrl_state st)
{
	/* The order in which the cells list them. */
	static const enum ctrl_msg order[] = {CTRL_HELLO, CTRL_WELCOME, CTRL_PREPARE, CTRL_READY,
		CTRL_REFUSE, CTRL_START, CTRL_STARTED, CTRL_BEAT, CTRL_DRAIN, CTRL_COLLECT,
		CTRL_REPORT, CTRL_BYE};
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < EP_ARRAY_LEN(order); i++) {
		const char *comma = used > 0 ? ", " : "";
		enum ctrl_state to;

		if (!ctrl_fsm_step(role, st, order[i], &to))
			continue;
		used += (size_t)snprintf(
			buf + used, len - used, "%s%s", comma, ctrl_msg_name(order[i]));
		if (to != st)
			used += (size_t)snprintf(
				buf + used, len - used, " → %s", ctrl_state_name(to));
	}
}

static void
table_of_states_is_that_of_the_code(void **state)
{
	char *doc = doc_read();

	(void)state;
	for (int i = 0; i < CTRL_STATES; i++) {
		const enum ctrl_state st = (enum ctrl_state)i;
		char initiator[128], responder[128], row[320];

		cell_format(initiator, sizeof(initiator), EP_CTRL_INITIATOR, st);
		cell_format(responder, sizeof(responder), EP_CTRL_RESPONDER, st);
		snprintf(row, sizeof(row), "\n| %s |%s%s |%s%s | ", ctrl_state_name(st),
			initiator[0] != '\0' ? " " : "", initiator, responder[0] != '\0' ? " " : "",
			responder);
		if (strstr(doc, row) == NULL)
			fail_msg("%s does not have the row %s", ctrl_doc_path, row + 1);
	}
	free(doc);
}

/** Judge one line of the example, "> {...}" or "< {...}", and follow it to the next state. */
static void
line_check(const char *line, enum ctrl_state *st)
{
	const enum ep_ctrl_role speaker = line[0] == '>' ? EP_CTRL_INITIATOR : EP_CTRL_RESPONDER;
	struct ep_ctrl_event body = {0};
	struct ctrl_envelope envelope;
	struct ep_err err = {0};

	if (ctrl_msg_open((const uint8_t *)line + 2, strlen(line + 2), &envelope, &err) < 0 ||
		ctrl_msg_decode(&envelope, EXAMPLE_PORTS, body_of(&body), &err) < 0)
		fail_msg("%s: %s", line, err.text);
	if (!ctrl_fsm_step(speaker, *st, envelope.msg, st))
		fail_msg("%s: not allowed in state %s", line, ctrl_state_name(*st));
	body_free(envelope.msg, &body);
	json_decref(envelope.object);
}

static void
example_is_a_whole_session(void **state)
{
	enum ctrl_state st = CTRL_ST_INIT;
	char *doc = doc_read();
	char *rest = NULL;

	(void)state;
	for (char *line = strtok_r(doc, "\n", &rest); line != NULL;
		line = strtok_r(NULL, "\n", &rest)) {
		if (strncmp(line, "> {", 3) == 0 || strncmp(line, "< {", 3) == 0)
			line_check(line, &st);
	}
	assert_int_equal(st, CTRL_ST_OVER);
	free(doc);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_is_documented),
		cmocka_unit_test(table_of_states_is_that_of_the_code),
		cmocka_unit_test(example_is_a_whole_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
