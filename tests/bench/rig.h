#pragma once

/**
 * @file
 * A device or two, a flow space and an engine: what everyport sets up for a trial, by the same calls.
 */

#include "meter.h"
#include "probe.h"

/** Where packets go to and come from. */
enum rig_kind {
	RIG_SINK,  /**< Initiator alone on a net_null that receives nothing. */
	RIG_SINKS, /**< Initiator and responder, each on such a net_null. */
	RIG_RING,  /**< The in-memory pair. */
	RIG_MEMIF, /**< Two net_memif of this process. */
};

struct rig_cfg {
	enum rig_kind kind;
	uint32_t source_count;  /**< 0: one. */
	uint32_t address_count; /**< 0: one. */
	uint32_t worker_count;  /**< 0: one, which serves both sides. RIG_SINK: each is a queue. */
	uint32_t pool_mbufs;    /**< 0: as the device has it. */
	uint16_t ring_descs;    /**< 0: 1024. */
	const char *dev;        /**< RIG_SINK: the device, as for --dev; NULL: a net_null. */
	bool answer; /**< RIG_SINK: the one side is the responder, and takes UDP of the range for any address. */
	bool spare_sink; /**< RIG_SINK: open a second one, dev[1], which no side has. */
};

#define RIG_INITIATOR 0
#define RIG_RESPONDER 1
struct rig {
	struct ep_range range;
	struct ep_sched space;
	struct ep_dev *dev[2];
	struct ep_dev_info info[2];
	struct ep_wire_ends ends[2];
	uint32_t side_count;
	uint32_t worker_count;
	bool answers; /**< As rig_cfg.answer. */
	struct ep_engine *engine;
};

/** Make it. @return 0 or -errno with a sentence. The caller closes it. */
int rig_open(
	const struct bench *b, const struct rig_cfg *cfg, struct rig **out, struct ep_err *err);
/** Accepts NULL. */
void rig_close(struct rig *r);

/** A trial of 64-B frames, as fast as possible, that streams up for as long as it is let. */
struct ep_engine_trial rig_trial(void);

/** Prepare a trial and start the initiator's stream, if it has one. */
int rig_begin(struct rig *r, const struct ep_engine_trial *trial, struct ep_err *err);

/** Silence it, let what is under way arrive, stop. @return 0 or -ETIMEDOUT (the stream does not end), with a sentence. */
int rig_end(struct rig *r, struct ep_err *err);

/**
 * Run a trial until a meter in it has its windows, let what is under way arrive, and stop.
 * @return 0, or -errno of the engine or the meter, or -ETIMEDOUT (the stream does not end), with a sentence.
 */
int rig_measure(struct rig *r, const struct ep_engine_trial *trial, const struct meter *meter,
	struct ep_err *err);

/**
 * What has to hold after a stopped trial: @p sent probes arrived at the responder once each, and nothing else did.
 * @return 0 or -EIO with a sentence that names the first count that is wrong.
 */
int rig_check_received(const struct rig *r, uint64_t sent, struct ep_err *err);

/** Counters of a struct rig, for a hook: probes that the device took, first copies that arrived. */
uint64_t rig_accepted(void *rig);
uint64_t rig_first(void *rig);
