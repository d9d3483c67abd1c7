#pragma once

/**
 * @file
 * What is sent in every trial: the flows, from whom to whom, the key; and probes of it written to memory in plain steps, not timed,
 * for those that receive to be.
 */

#include <ep_range.h>
#include <ep_sched.h>
#include <ep_wire.h>

/** Of a frame, with FCS and without. */
#define PROBE_FRAME_BYTES 64
#define PROBE_BYTES 60
/** Of the flows' order. */
#define PROBE_SEED 1

/** The key of every trial. */
extern const uint8_t probe_key[EP_WIRE_KEY_BYTES];

/** The range and the flows of a trial; a count of 0 is one. @return 0 or -errno with a sentence. */
int probe_space(uint32_t source_count, uint32_t address_count, struct ep_range *range,
	struct ep_sched *space, struct ep_err *err);

/** Whom the initiator (0) and the responder (1) write to. The far end of a sink is nobody: any address does. */
void probe_ends(struct ep_wire_ends ends[2]);

/** Where the writer stands. One thread's. */
struct probe_writer {
	const struct ep_range *range;
	const struct ep_sched *space;
	struct ep_wire_tmpl tmpl;
	struct ep_wire_tagger *tagger;
	struct ep_sched_cursor cursor;
};

/**
 * Begin with the first probe of the trial.
 * @param range, space Borrowed.
 * @param ends From whom to whom.
 * @return 0 or -errno of the tagger or the template, with a sentence. probe_writer_close() in both cases.
 */
int probe_writer_open(struct probe_writer *w, const struct ep_range *range,
	const struct ep_sched *space, const struct ep_wire_ends *ends, struct ep_err *err);

/** Free what it has. */
void probe_writer_close(struct probe_writer *w);

/**
 * Write the next probes, PROBE_BYTES each.
 * @param frame Where to, @p count of them.
 * @param time_ns The time in each [ns].
 * @param count At most EP_WIRE_BURST.
 */
void probe_write(
	struct probe_writer *w, uint8_t *const *frame, const uint32_t *time_ns, uint32_t count);
