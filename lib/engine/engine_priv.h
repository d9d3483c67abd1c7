#pragma once

/**
 * @file
 * Inside the engine: lanes, workers, and who writes what.
 *
 *   main thread --- command, start/silence words ---> workers
 *   worker w: for each lane of w: receive (path stage, parse, tag, account, echo), send (pace, build, tag, transmit)
 */

#include "depart.h"
#include "ep_engine.h"
#include "learn.h"

#include <ep_pace.h>

#include <rte_common.h>
#include <rte_log.h>
#include <rte_mbuf.h>

#include <assert.h>
#include <stdalign.h>

extern int ep_engine_logtype;
#define RTE_LOGTYPE_EP_ENGINE ep_engine_logtype
#define ENGINE_LOG(level, fmt, ...) RTE_LOG(level, EP_ENGINE, fmt "\n", ##__VA_ARGS__)

/** Packets a receive burst takes at most; also the most a lane holds at once. */
#define ENGINE_RX_BURST 32
static_assert(ENGINE_RX_BURST <= EP_WIRE_BURST, "a receive burst is tagged in one call");
/** Transmit attempts before a burst counts as refused. */
#define ENGINE_TX_TRIES 8
/** Echoes that are held back at most: four bursts. */
#define ENGINE_HOLD 128
/** Receive queues of one lane, and lanes of one side. */
#define ENGINE_QUEUES_MAX 64
/** Lanes of one worker: all of two sides. */
#define ENGINE_LANES_MAX (2 * ENGINE_QUEUES_MAX)
#define ENGINE_VLAN_BYTES 4 /* 802.1Q: EtherType and identifier. */
/** Rounds of a worker between two looks at the command words. */
#define ENGINE_HOUSEKEEPING 64

enum engine_command { ENGINE_RUN, ENGINE_DRAIN, ENGINE_STOP };

struct lane;
/** Receive and account one burst. Returns packets seen. */
typedef uint32_t (*lane_rx_fn)(struct lane *l);
/** Send what is due. Returns packets handled, sent or not. */
typedef uint32_t (*lane_tx_fn)(struct lane *l, uint64_t now_cycles);

/** Counters of a lane. Written by its worker only; others read with relaxed loads. */
struct lane_count {
	uint64_t
		planned; /* Slots of the stream's schedule; 0: not known beforehand (unpaced, or stopped). */
	uint64_t accepted; /* Stream probes the NIC took. */
	uint64_t echo_accepted;
	uint64_t echo_refused;
	uint64_t first;
	uint64_t received;
	uint64_t late;
	uint64_t bad_tag;
	uint64_t wrong_port;
	uint64_t foreign;
	uint64_t tx_short;
	uint64_t not_sent;       /* Copy of pace.skipped_count. */
	uint64_t learned;        /* Over all trials. */
	uint64_t slow_sent;      /* Frames of slow_tx. */
	uint64_t slow_dropped;   /* Frames of slow_tx, and those for slow_rx. */
	uint64_t last_tx_cycles; /* Of the last burst of the stream that the NIC took any of. */
};

/** One direction of the path model on its way into a side's receive ring. Owned by the receiving worker. */
struct stage {
	struct ep_path *path;
	struct rte_ring *from;
	struct rte_ring *to;
	struct rte_mempool *pool; /* Duplicates come from here ... */
	uint32_t
		spare_count; /* ... taken beforehand, so that a duplicate the model has counted is never missing. */
	struct rte_mbuf *spare[ENGINE_RX_BURST * 2];
	bool up;       /* The range's port is the destination port. */
	bool flushing; /* Drain: nothing is held back any more once the input is empty. */
	uint32_t backlog_count;
	struct rte_mbuf *backlog[ENGINE_RX_BURST * EP_PATH_OUT_MAX];
};

/** Echoes that were accounted and written but not sent yet; hold.c. */
struct hold {
	uint32_t count;
	struct rte_mbuf *mbuf[ENGINE_HOLD];
};

/** A share of a side: queues of its own, flows of its own. One worker serves it, which may serve more. */
struct __rte_cache_aligned lane {
	/* Read-only while running. */
	lane_rx_fn rx;
	lane_tx_fn tx;           /* NULL: no stream. */
	const uint16_t *port_of; /* Port of each index. */
	const struct ep_sched *space;
	const struct ep_sched
		*order;       /* Permutation of the stream: over the space, or over the list. */
	const uint32_t *list; /* Learned flows that the stream goes to; NULL: all, in number. */
	struct ep_wire_tmpl *tmpl; /* [size_count] */
	struct rte_mempool *pool;
	struct learn *learn; /* Responder: shared, see learn.h. */
	struct ep_wire_tagger *tagger;
	struct ep_wire_tagger *old_tagger; /* Key of the trial before; NULL for the first. */
	struct stage *stage;               /* NULL: no path model. */
	struct rte_ring *slow_rx;          /* What is no probe goes there; NULL: nowhere. */
	struct rte_ring *slow_tx;          /* What comes from there is sent; NULL: none. */
	struct rte_ring *slow_done;        /* What comes from there is freed; NULL: none. */
	uint64_t clock_base_cycles;
	uint64_t clock_ns_mult;
	uint64_t ol_flags;         /* Of sent mbufs, for checksum offload. */
	uint64_t mbuf_rearm;       /* Of sent mbufs: their rearm_data ... */
	uint64_t mbuf_rearm_whole; /* ... and the bits of it that say "one segment, one owner". */
	uint32_t frame_offset;     /* From an mbuf of the pool to its frame [B]. */
	uint32_t
		vlan_be; /* Tag of sent frames as it lies there, EtherType and identifier; 0: none. */
	uint32_t address_base; /* Last 32 bits of the first source address, host order. */
	bool verify_filler;
	bool holds_echoes; /* The device takes a system call a burst. */
	bool readdress;    /* The source address follows from the flow. */
	bool ports_in_row; /* port_of[i] is port_of[0] + i. */
	uint32_t size_count;
	uint32_t block_shift;
	uint16_t port_id; /* With tx_queue: where this lane sends. */
	uint16_t tx_queue;
	uint16_t rx_queue_count;
	struct ep_dev_queue rx_queue[ENGINE_QUEUES_MAX];
	lane_rx_fn rx_one; /* Several queues: receives from one of them, for rx. */
	struct ep_acct_port
		*queue_port[ENGINE_QUEUES_MAX]; /* Ports by queue; acct.port is one of them. */

	/* Written every burst, by this worker only. */
	alignas(RTE_CACHE_LINE_SIZE) struct ep_pace pace;
	struct ep_sched_cursor cursor;
	uint32_t size_next;
	uint32_t rx_queue_next;
	bool late;    /* What arrives is late. */
	bool silent;  /* Nothing is sent any more, echoes included. */
	bool started; /* The pace runs. */
	struct ep_acct acct;
	struct ep_hist *hist_oneway; /* [blocks], empty where not measured. */
	struct ep_hist *hist_rtt;    /* [blocks], empty where not measured. */
	struct depart depart;
	struct hold hold;

	/* Written by this worker, read by ep_engine_count(). */
	alignas(RTE_CACHE_LINE_SIZE) struct lane_count count;
	bool tx_done;
	uint64_t queue_pkts[ENGINE_QUEUES_MAX]; /* Taken out of rx_queue[i] in this trial. */
};

/** One lcore's work. */
struct __rte_cache_aligned worker {
	/* Read-only while running. */
	struct ep_engine *engine;
	unsigned int lcore_id;
	uint32_t lane_count;
	struct lane *lane[ENGINE_LANES_MAX];
	uint32_t lane_side[ENGINE_LANES_MAX];  /* Of which side it is ... */
	uint32_t lane_index[ENGINE_LANES_MAX]; /* ... and which of its lanes. */

	/* Written by this worker, read by ep_engine_count(). */
	alignas(RTE_CACHE_LINE_SIZE) uint64_t
		max_gap_cycles; /* Between two rounds while a stream of its lanes ran. */
	uint64_t
		max_trial_gap_cycles; /* The same from the start of the trial to the end of the drain. */
	uint64_t last_cycles;         /* Of the last round. */
	bool ready;                   /* Its tables are there. */
	bool trial_seen;              /* The start of the trial has come. */
	bool in_trial; /* Between the start of the trial and the end of the drain, as last looked at. */
};

/** A side and its lanes. */
struct side {
	struct ep_engine_side_cfg cfg;
	struct ep_dev_info info;
	struct lane *
		*lane; /* [lane_count] Lane i is of worker first_worker + i mod worker_count. */
	uint32_t lane_count;
	struct ep_wire_tmpl *tmpl;
	struct learn learn;
	struct stage *stage;
	uint32_t *list; /* Learned flows of the trial's stream; NULL: all of them are known. */
	uint32_t known_count; /* Flows whose address was known when the stream was prepared. */
	struct ep_sched list_order;
	double rate_pps;     /* Of the trial's stream; 0: max. */
	uint64_t slot_count; /* Of the trial's stream over all lanes; UINT64_MAX: unpaced. */

	/* Words from the main thread to the workers. */
	alignas(RTE_CACHE_LINE_SIZE) uint64_t start_cycles; /* Not 0: the stream starts then. */
};

struct ep_engine {
	struct ep_engine_cfg cfg;
	struct side side[2];
	struct worker *worker; /* [cfg.worker_count] */
	const struct hot *hot;
	struct ep_engine_trial trial;
	uint32_t block_count;
	uint32_t block_shift;
	uint8_t old_key[EP_WIRE_KEY_BYTES];
	bool has_old_key;
	bool running;

	/* Words from the main thread to the workers. */
	alignas(RTE_CACHE_LINE_SIZE) enum engine_command command;
	bool silence;
	bool late;
};

/** Bytes of a lane's flows. */
static inline size_t
engine_flows_bytes(const struct ep_engine *e)
{
	return (size_t)e->cfg.space.flow_count * sizeof(struct ep_acct_flow);
}

/** Bytes of the histograms of a lane, of one kind. */
static inline size_t
engine_hist_bytes(const struct ep_engine *e)
{
	return (size_t)e->block_count * sizeof(struct ep_hist);
}

/** trial.c: set a side up for the engine's trial. No worker runs. @return 0 or -errno with a sentence. */
int trial_side_prepare(struct ep_engine *e, struct side *s, struct ep_err *err);

/** Main loop of a worker. */
int worker_main(void *arg);

/** What a lane receives in a trial. */
struct rx_choice {
	bool ipv6;
	bool responder;
	bool learn;  /* Responder: notes where the flows come from. */
	bool echo;   /* Responder: answers; learns as well. */
	bool oneway; /* Both ends on one clock. */
	bool rtt;    /* Initiator: echoes come back. */
};

/** What a lane sends in a trial. */
struct tx_choice {
	bool ipv6;
	bool down;
	bool plain; /* One size without filler, checksums in software. */
	bool many;  /* Up: several addresses. */
	bool stamp; /* A time stamp a probe, not a burst. */
};

/** The hot files, compiled for one instruction set. */
struct hot {
	const char *isa;
	lane_rx_fn (*rx_choose)(const struct rx_choice *c);
	lane_tx_fn (*tx_choose)(const struct tx_choice *c);
};

/** The best that this CPU can run. */
const struct hot *hot_choose(void);

/* queues.c: ports by the queue that their probes came out of. */
/** Tables of a lane's ports; at least one. */
uint32_t queues_count(const struct lane *l);
/** rx_queue_count and acct.port_count are given. @return 0 or -ENOMEM. */
int queues_create(struct lane *l);
/** Accepts what was created in part. */
void queues_destroy(struct lane *l);
void queues_clear(struct lane *l);
void queues_touch(const struct lane *l);
/** Receive by this function from now on. */
void queues_rx_set(struct lane *l, lane_rx_fn rx);

/** Send what others put into a lane's ring: a burst at most. */
void slow_send(struct lane *l);

/** Free what waits for delivery or was held back, at the end of a session. */
void stage_fini(struct stage *s);

/** Move packets from the far end's ring through the path model into the own one. Returns packets moved. */
uint32_t stage_run(struct stage *s);

/** Time of a counter value, modulo 2^32 [ns]: bits 32 to 63 of a product, which 64 bits of it have. */
static inline uint32_t
lane_ns32(const struct lane *l, uint64_t now_cycles)
{
	return (uint32_t)((now_cycles - l->clock_base_cycles) * l->clock_ns_mult >> 32);
}
