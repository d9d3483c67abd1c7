#pragma once

/**
 * @file
 * What the files of the control protocol share. Bottom up: bytes and frames, fields of a message, messages, states.
 */

#include <ep_ctrl.h>

#include <jansson.h>
#include <stddef.h>

/* --- Bytes and frames (frame.c) --------------------------------------------------------------- */

/** Bytes of the length in front of a frame. */
#define CTRL_FRAME_HEADER_BYTES 4

/** A queue of bytes that grows as they come. Zero-initialised is empty. */
struct ctrl_buf {
	uint8_t *bytes; /**< [size], owned. */
	size_t size;    /**< Allocated [B]. */
	size_t head;    /**< First byte not consumed. */
	size_t tail;    /**< One past the last byte. */
};

static inline size_t
ctrl_buf_len(const struct ctrl_buf *b)
{
	return b->tail - b->head;
}

/** Append a copy. @return 0, or -ENOMEM with the content unchanged. */
int ctrl_buf_append(struct ctrl_buf *b, const void *bytes, size_t len);

/** Take @p len bytes, at most all, from the front. Memory of a large frame is given back once the queue is empty. */
void ctrl_buf_consume(struct ctrl_buf *b, size_t len);

void ctrl_buf_fini(struct ctrl_buf *b);

/** What lies at the front of a queue. */
enum ctrl_frame { CTRL_FRAME_PARTIAL, CTRL_FRAME_WHOLE, CTRL_FRAME_BAD };

/**
 * Look at the frame at the front. The length is judged as soon as its 4 bytes are there.
 *
 * @param max_bytes
 *   Most bytes of JSON in a frame now [B].
 * @param[out] json
 *   Set when whole: borrowed until the queue changes.
 * @param[out] len
 *   Set when whole: bytes of JSON [B].
 * @param[out] err
 *   Sentence when bad (-EMSGSIZE): a length of 0 or above @p max_bytes.
 */
enum ctrl_frame ctrl_frame_peek(const struct ctrl_buf *b, size_t max_bytes, const uint8_t **json,
	size_t *len, struct ep_err *err);

/** Append @p object as one frame. @return 0, -ENOMEM or -EMSGSIZE; the queue is unchanged on failure. */
int ctrl_frame_append(struct ctrl_buf *b, const json_t *object);

/* --- Fields (field.c) ------------------------------------------------------------------------- */

/** How a member of a struct is written in JSON. */
enum ctrl_kind {
	CTRL_U16, /**< Whole number in [min, max]. */
	CTRL_U32, /**< Whole number in [min, max]. */
	CTRL_U64, /**< Whole number in [min, max]; max at most INT64_MAX. */
	CTRL_HEX64, /**< uint64_t as 16 lower-case hexadecimal digits: any value, exact for every reader. */
	CTRL_NONCE, /**< EP_WIRE_NONCE_BYTES bytes as lower-case hexadecimal digits. */
	CTRL_RATE,  /**< double, finite, in [0, CTRL_RATE_MAX_PPS]. */
	CTRL_BOOL,
	CTRL_FLAG, /**< bool that is written where it is true only, so that who does not know it is not told. */
	CTRL_TEXT, /**< char[max + 1]; min to max bytes of UTF-8 without control characters. */
	CTRL_IP,   /**< struct ep_wire_ip as text. */
	CTRL_ENUM, /**< An enum whose value v is written as names[v], 0 to max. */
};

#define CTRL_RATE_MAX_PPS 1e10

/** One field of a message: the same row writes and reads it. */
struct ctrl_field {
	const char *name;
	enum ctrl_kind kind;
	size_t offset; /**< Of the member in its struct [B]. */
	uint64_t min;
	uint64_t max;
	const char *const *names; /**< CTRL_ENUM: [max + 1]. */
};

/** A table of fields. */
struct ctrl_fields {
	const struct ctrl_field *field; /**< [count] */
	size_t count;
};

/**
 * Add the members of @p body to @p object.
 *
 * @return
 *   0, -ENOMEM, or -EINVAL (a value outside the bounds of its row). Text that is no clean UTF-8 is not refused but sent with
 *   '?' in place of what is not ASCII, so that a cut or odd sentence still reaches the far user.
 */
int ctrl_fields_encode(const struct ctrl_fields *fields, const void *body, json_t *object);

/**
 * Read every field of the table from @p object. Fields that the table does not name are not looked at.
 *
 * @param what
 *   Name of the message, for the sentence.
 * @param[out] body
 *   Zeroed struct; its content is undefined on failure.
 * @return
 *   0, or -EBADMSG (missing, of another type, or out of bounds) with a sentence.
 */
int ctrl_fields_decode(const char *what, const struct ctrl_fields *fields, const json_t *object,
	void *body, struct ep_err *err);

/** Read a whole number in the bounds of @p row; @p value may be NULL (missing). @return 0 or -EBADMSG with a sentence. */
int ctrl_integer_decode(const char *what, const struct ctrl_field *row, const json_t *value,
	uint64_t *number, struct ep_err *err);

/** The member @p name if it is an array of @p min to @p max entries, else NULL with a sentence. */
json_t *ctrl_array_decode(const char *what, const char *name, const json_t *object, size_t min,
	size_t max, struct ep_err *err);

/* --- Messages (msg.c, msg_report.c) ----------------------------------------------------------- */

enum ctrl_msg {
	CTRL_HELLO,
	CTRL_WELCOME,
	CTRL_REFUSE,
	CTRL_PREPARE,
	CTRL_READY,
	CTRL_START,
	CTRL_STARTED,
	CTRL_BEAT,
	CTRL_DRAIN,
	CTRL_COLLECT,
	CTRL_REPORT,
	CTRL_BYE,
	CTRL_MSGS, /**< Number of messages. Keep last. */
};

/** Value of "type". */
const char *ctrl_msg_name(enum ctrl_msg msg);

/**
 * Append a message as one frame.
 *
 * @param body
 *   The struct of the message; READY: its nonce; NULL where a message has no fields.
 * @return
 *   0, -ENOMEM, or -EINVAL (a field out of bounds).
 */
int ctrl_msg_encode(enum ctrl_msg msg, const void *body, struct ctrl_buf *out);

/** A message of which only the envelope was read. */
struct ctrl_envelope {
	json_t *object;    /**< Owned: json_decref(). */
	int64_t version;   /**< EP_CTRL_VERSION, or another where only `is_hello` counts. */
	bool is_hello;     /**< Its type is "hello", whatever the version. */
	enum ctrl_msg msg; /**< Valid where the version is ours. */
};

/**
 * Read "v" and "type" of a frame.
 *
 * @return
 *   0 (also for another version: the caller decides), -EBADMSG (no JSON object, duplicate keys, text behind it, no version, unknown
 *   type) with a sentence, or -ENOMEM.
 */
int ctrl_msg_open(
	const uint8_t *json, size_t len, struct ctrl_envelope *envelope, struct ep_err *err);

/**
 * Read the fields of a message: each one there, none besides.
 *
 * @param port_count
 *   REPORT: entries that each array must have.
 * @param[out] body
 *   The struct of the message as for ctrl_msg_encode(), zeroed. A report's arrays are the caller's on success.
 * @return
 *   0, -EBADMSG or -ENOMEM with a sentence.
 */
int ctrl_msg_decode(
	const struct ctrl_envelope *envelope, uint32_t port_count, void *body, struct ep_err *err);

/** An unknown key must not take the place of the one optional part of a message. @return 0 or -EBADMSG with a sentence. */
int ctrl_optional_check(
	enum ctrl_msg msg, const json_t *object, const char *name, struct ep_err *err);

/** Add hello->rss, if the initiator takes source ports. @return 0, -ENOMEM or -EINVAL. */
int ctrl_spread_encode(const void *body, json_t *object);
/** Read it, if it is there. @return 0 or -EBADMSG with a sentence. */
int ctrl_spread_decode(const char *what, const json_t *object, uint32_t port_count, void *body,
	struct ep_err *err);

/** Add welcome->sources, if there are any. @return 0, -ENOMEM or -EINVAL. */
int ctrl_sources_encode(const struct ep_ctrl_welcome *welcome, json_t *object);
/** Read them, if they are there. @return 0 or -EBADMSG with a sentence. */
int ctrl_sources_decode(const char *what, const json_t *object, struct ep_ctrl_welcome *welcome,
	struct ep_err *err);

/** Most keys that the report's arrays, totals, pacing, queues, icmp and nic add to the message, and the functions that write and read them. */
#define CTRL_REPORT_PARTS 14
int ctrl_report_encode(const void *body, json_t *object);
int ctrl_report_decode(const char *what, const json_t *object, uint32_t port_count, void *body,
	struct ep_err *err);

/** Most bytes of the JSON of a report: a number and its comma are at most 20 characters. */
size_t ctrl_report_bytes_max(uint32_t port_count);

/** Add report->queues to a report, if there are any. @return 0, -ENOMEM or -EINVAL. */
int ctrl_queues_encode(const struct ep_ctrl_report *report, json_t *object);

/** Read them, if there are any. The array is the report's also on failure. @return 0, -EBADMSG or -ENOMEM with a sentence. */
int ctrl_queues_decode(const char *what, const json_t *object, uint32_t port_count,
	struct ep_ctrl_report *report, struct ep_err *err);

/** Most bytes of their JSON. */
size_t ctrl_queues_bytes_max(uint32_t port_count);

/** Most entries of a report's ICMP errors: one for each port and kind that met. */
#define CTRL_ICMP_ENTRIES_MAX 196608u

/** Add report->icmp to a report, if there is one. @return 0, -ENOMEM or -EINVAL. */
int ctrl_icmp_encode(const struct ep_ctrl_report *report, json_t *object);

/** Read it, if there is one. The account is the report's also on failure. @return 0, -EBADMSG or -ENOMEM with a sentence. */
int ctrl_icmp_decode(const char *what, const json_t *object, uint32_t port_count,
	struct ep_ctrl_report *report, struct ep_err *err);

/** Most bytes of its JSON beside its keys. */
size_t ctrl_icmp_bytes_max(uint32_t port_count);

/** Most bytes of the JSON of a report's NIC counters, key included. */
#define CTRL_NIC_BYTES_MAX (20u << 10)

/** Add report->nic to a report, if there is one. @return 0, -ENOMEM or -EINVAL. */
int ctrl_nic_encode(const struct ep_ctrl_report *report, json_t *object);

/** Read it, if there is one. It is the report's also on failure. @return 0, -EBADMSG or -ENOMEM with a sentence. */
int ctrl_nic_decode(
	const char *what, const json_t *object, struct ep_ctrl_report *report, struct ep_err *err);

/* --- States (fsm.c) --------------------------------------------------------------------------- */

/** Where a session stands; a message moves both ends, one when it is said and the other when it is heard. */
enum ctrl_state {
	CTRL_ST_INIT,    /**< Nothing said. */
	CTRL_ST_HELLO,   /**< hello said. */
	CTRL_ST_OPEN,    /**< Between trials. */
	CTRL_ST_PREPARE, /**< prepare said. */
	CTRL_ST_READY,   /**< The responder's receiver runs. */
	CTRL_ST_START,   /**< start said. */
	CTRL_ST_RUN,     /**< Streams run. */
	CTRL_ST_DRAIN,   /**< Streams have ended. */
	CTRL_ST_COLLECT, /**< The report is being made. */
	CTRL_ST_OVER,    /**< Nothing more is said or heard. */
	CTRL_STATES,     /**< Number of states. Keep last. */
};

const char *ctrl_state_name(enum ctrl_state state);

/** Whether a trial runs, so that beats are due. */
static inline bool
ctrl_state_in_trial(enum ctrl_state state)
{
	return state == CTRL_ST_RUN || state == CTRL_ST_DRAIN;
}

/** Whether @p speaker may say @p msg in @p from. @param[out] to The state after it; set on true only. */
bool ctrl_fsm_step(
	enum ep_ctrl_role speaker, enum ctrl_state from, enum ctrl_msg msg, enum ctrl_state *to);

/** What hearing @p msg means to the caller. */
enum ep_ctrl_event_kind ctrl_fsm_event(enum ctrl_msg msg);

/** What to do with a beat. */
enum ctrl_beat { CTRL_BEAT_TAKE, CTRL_BEAT_DROP, CTRL_BEAT_ILLEGAL };

/**
 * Judge a beat that was heard. Beats run in both directions without being asked for, so that one may cross a message of the
 * other side; those of a trial that is over are harmless.
 *
 * @param age
 *   Below 0: of an older trial than the newest that was prepared; 0: of that one; above 0: of one that was never prepared.
 */
enum ctrl_beat ctrl_fsm_beat(enum ep_ctrl_role listener, enum ctrl_state state, int age);
