#pragma once

/**
 * @file
 * What is decided before a device is touched: which value/mask rules pick the port range, which source ports spread the flows
 * over receive queues, which core serves which queue, and how packets are steered to them. Pure functions of what is handed in:
 * no device, no clock, no randomness; the same input gives the same plan. Control path only. Any thread, on the caller's memory.
 *
 *   ep_plan_masks_make()    port range              -> fewest value/mask rules, with a proof
 *   ep_plan_rss_*()         key, table, tuple       -> hash, queue
 *   ep_plan_sources_make()  range, both NICs' RSS   -> source ports with which every queue gets its share
 *   ep_plan_suspect_find()  loss and queue by port -> is it our own receive queue that loses?
 *   ep_plan_make()          topology, NICs, wishes  -> workers, queues, pools, each with its reason
 *   ep_plan_steer_choose()  rules, a validator      -> how packets reach the queues, and why not better
 *
 * It does not read the topology (lib/topo does) and does not program a NIC (lib/dev does).
 */

#include <ep_base.h>
#include <ep_range.h>
#include <ep_wire.h>

#include <stdbool.h>
#include <stdint.h>

/** Room for a sentence that gives a reason [B]. */
#define EP_PLAN_TEXT_BYTES 240

/* --- Value/mask rules ------------------------------------------------------------------------------------------------ */

/** Most rules that are looked for: no NIC's table for ports is larger, and beyond it RSS is the better way. */
#define EP_PLAN_RULES_MAX 1024

/** One rule: a port matches when (port & mask) == value. The bits of value outside the mask are 0. Host order. */
struct ep_plan_mask {
	uint16_t value;
	uint16_t mask;
};

/**
 * Rules that together match exactly the ports of a set. They may overlap: every rule of a set leads to the same queues, so it
 * does not matter which of two a NIC finds first. Not all of them are prefixes: 01*1 is as good a rule as 01**.
 */
struct ep_plan_masks {
	uint32_t rule_count;
	struct ep_plan_mask rule[EP_PLAN_RULES_MAX]; /**< [rule_count], ascending by value. */
	/**
	 * Ports of the set of which no two can share a rule: every rule that matches both also matches a port outside the set.
	 * So there is no set with fewer rules than witnesses, which anybody can check without knowing how the rules were found.
	 */
	uint32_t witness_count;
	uint16_t witness[EP_PLAN_RULES_MAX]; /**< [witness_count] */
	/** No smaller set exists: as many witnesses as rules, or every smaller set was ruled out by search. */
	bool minimal;
};

/**
 * Break a set of ports into the fewest value/mask rules.
 *
 * For one range of ports, witness_count is rule_count: the result carries its own proof, at most 28 rules. For a set of several
 * ranges a bounded search decides where that alone does not; where it ends undecided, minimal is false and the rules are
 * exact all the same. A fraction of a second at worst; a millisecond for most ranges. Prefixes are taken where they are as few:
 * they do not overlap, and more NICs accept them.
 *
 * @param range
 *   The set, not empty.
 * @param[out] masks
 *   Filled on success only. 6 KiB.
 * @param[out] err
 *   Sentence on failure; may be NULL.
 * @return
 *   0, -EINVAL (empty set), -E2BIG (over EP_PLAN_RULES_MAX rules) or -ENOMEM.
 */
int ep_plan_masks_make(
	const struct ep_range *range, struct ep_plan_masks *masks, struct ep_err *err);

/** Whether a rule of the set matches @p port. */
bool ep_plan_masks_match(const struct ep_plan_masks *masks, uint16_t port);

/* --- Receive side scaling -------------------------------------------------------------------------------------------- */

/** Longest RSS key [B]; most NICs have 40 or 52. */
#define EP_PLAN_KEY_MAX 64
/** Shortest key that covers IPv6 addresses and ports [B]. */
#define EP_PLAN_KEY_MIN 40
/** Largest redirection table (RETA) [entries]. */
#define EP_PLAN_RETA_MAX 4096
/** Most receive queues of one NIC. */
#define EP_PLAN_QUEUES_MAX 64

/** What a NIC hashes of a UDP packet. */
enum ep_plan_hash {
	EP_PLAN_HASH_PORTS,     /**< Addresses and ports. */
	EP_PLAN_HASH_ADDRESSES, /**< Addresses only: all flows of two hosts share a queue. */
};

/** How a NIC spreads what it receives: Toeplitz hash of the tuple, then queue = reta[hash mod reta_count]. */
struct ep_plan_rss {
	enum ep_plan_hash hash;
	uint32_t key_bytes;           /**< EP_PLAN_KEY_MIN to EP_PLAN_KEY_MAX. */
	uint8_t key[EP_PLAN_KEY_MAX]; /**< [key_bytes] */
	uint32_t reta_count;          /**< A power of two up to EP_PLAN_RETA_MAX. */
	uint16_t reta
		[EP_PLAN_RETA_MAX]; /**< [reta_count] queue of each entry, below EP_PLAN_QUEUES_MAX. */
};

/** What is hashed: a UDP packet's addresses, both of one family, and ports, host order. */
struct ep_plan_tuple {
	struct ep_wire_ip src;
	struct ep_wire_ip dst;
	uint16_t sport;
	uint16_t dport;
};

/** Toeplitz hash of a tuple under the key, as Microsoft's RSS defines it (host order). */
uint32_t ep_plan_rss_hash(const struct ep_plan_rss *rss, const struct ep_plan_tuple *tuple);

/** Queue that a packet arrives at. */
uint16_t ep_plan_rss_queue(const struct ep_plan_rss *rss, const struct ep_plan_tuple *tuple);

/**
 * RSS of our own choice, for a NIC whose key can be set: a 32-bit word repeated, odd in weight, so that the hash is a
 * bijection of (source port, destination port). Queues take turns in the table.
 *
 * @param[out] rss
 *   Filled on success only.
 * @param key_bytes
 *   Length that the NIC wants [B]; EP_PLAN_KEY_MIN to EP_PLAN_KEY_MAX.
 * @param reta_count
 *   Entries that the NIC has; a power of two.
 * @param first_queue
 *   Lowest queue used.
 * @param queue_count
 *   Queues used, at most @p reta_count.
 * @return
 *   0 or -EINVAL, with a sentence.
 */
int ep_plan_rss_init(struct ep_plan_rss *rss, uint32_t key_bytes, uint32_t reta_count,
	uint16_t first_queue, uint16_t queue_count, struct ep_err *err);

/**
 * RSS for the initiator's NIC that is the mirror of the responder's: the answer to a probe that arrived at queue q arrives
 * at queue q. Possible where the responder's key repeats every 32 bits, as that of ep_plan_rss_init() does: the mirror's
 * key is that key turned by 16 bits, so that it meets the swapped ports as the first one met them, and what the
 * addresses add is a constant, which moves entries of the table. Holds for these two addresses only, and not behind
 * a NAT.
 *
 * @param up
 *   Of the responder's NIC.
 * @param initiator
 *   The address that the responder sees.
 * @param responder
 *   Its own address.
 * @param[out] down
 *   Filled on success only.
 * @return
 *   0, or -ENOTSUP (a key that does not repeat, or a hash without ports), with a sentence.
 */
int ep_plan_rss_mirror(const struct ep_plan_rss *up, const struct ep_wire_ip *initiator,
	const struct ep_wire_ip *responder, struct ep_plan_rss *down, struct ep_err *err);

/** How flows fell on queues. */
struct ep_plan_share {
	uint32_t queue_count;                    /**< Queues that the table names. */
	uint64_t flow_count[EP_PLAN_QUEUES_MAX]; /**< Flows of each queue number. */
	double max_ratio;                        /**< Largest share / mean share, at least 1. */
	double off_ratio;                        /**< Largest |share - mean| / mean. */
};

/** Whose flows are to be spread. */
struct ep_plan_sources_cfg {
	const struct ep_range *range; /**< Destination ports. Borrowed for the call. */
	uint32_t source_count;        /**< Source ports per destination port, at least 1. */
	uint32_t
		address_count; /**< Initiator addresses from initiator on, counted up, at least 1. */
	struct ep_wire_ip initiator;
	struct ep_wire_ip responder;
	const struct ep_plan_rss *up;   /**< Of the NIC that probes arrive at; NULL: not known. */
	const struct ep_plan_rss *down; /**< Of the NIC that answers arrive at; NULL: not known. */
	uint16_t source_first;          /**< Lowest source port allowed, at least 1. */
	uint16_t source_last;           /**< Highest. */
};

/**
 * Source ports of a trial: source port = source_base + (port index + source) mod source_span, the diagonal of ep_sched, so
 * nothing is kept a flow, and the responder, which is told both numbers, knows them as well.
 */
struct ep_plan_sources {
	uint16_t source_base;
	uint32_t source_span;
	struct ep_plan_share up;   /**< queue_count 0 where not known. */
	struct ep_plan_share down; /**< Likewise. */
	double same_queue_ratio; /**< Flows whose answers arrive at the queue number that the probes arrived at; of all, [0, 1]. */
	char reason[EP_PLAN_TEXT_BYTES];
};

/**
 * Choose source ports so that every receive queue gets an equal share of the flows, in both directions where both NICs are
 * known. The lowest source port is the one freedom: it moves the diagonal, and with it which hashes the flows have. The search
 * ends at the first base within 1 % of equal, or takes the best of those that it tried.
 *
 * What is possible: shares within 2 % for up to 16 queues with any key that mixes ports, as far as the table itself is even (5
 * queues take turns in 128 entries 26 or 25 times, which is 2.3 % off). A key that repeats every 16
 * bits (6d5a 6d5a..., "symmetric") knows only sport XOR dport; on it, more than 4 queues stay uneven, and the shares say so.
 * A NAT that rewrites source ports decides the way up itself.
 *
 * @param[out] sources
 *   Filled on success only.
 * @return
 *   0, or -EINVAL (no ports, no sources, addresses of two families, more sources than allowed source ports, a table or key
 *   out of bounds), with a sentence.
 */
int ep_plan_sources_make(
	const struct ep_plan_sources_cfg *cfg, struct ep_plan_sources *sources, struct ep_err *err);

/**
 * Queue at which the flow of each destination port arrives, for cfg with one address and one source port per destination port.
 *
 * @param rss
 *   cfg->up or cfg->down: of which NIC.
 * @param[out] queue
 *   [cfg->range->port_count] filled.
 * @return
 *   0, or -EINVAL (more flows a port than one, or a NIC that is not of @p cfg).
 */
int ep_plan_sources_queues(const struct ep_plan_sources_cfg *cfg,
	const struct ep_plan_sources *sources, const struct ep_plan_rss *rss, uint16_t *queue);

/** Loss by port, and the receive queue of each port's flow. All borrowed for the call. */
struct ep_plan_suspect_cfg {
	uint32_t port_count;
	const uint64_t *sent;  /**< [port_count] probes [packets]. */
	const uint64_t *lost;  /**< [port_count] of these [packets]. */
	const uint16_t *queue; /**< [port_count], below EP_PLAN_QUEUES_MAX. */
};

/** A receive queue that loss follows. */
struct ep_plan_suspect {
	bool found;
	uint16_t queue;
	double loss_ratio;               /**< Of its ports together. */
	double rest_loss_ratio;          /**< Of all other ports. */
	char reason[EP_PLAN_TEXT_BYTES]; /**< Sentence where one was found. */
};

/**
 * Tell loss in the tester from loss on the path: find a queue whose ports lose significantly more than those of the others
 * (5 % family-wise, and at least 1.5 times as much). Says something only where RSS deals ports to queues; where rules
 * give a queue a block of ports, a blocked range looks the same.
 *
 * @param[out] suspect
 *   Filled on success only.
 * @return
 *   0, -EINVAL (a queue out of bounds) or -ENOMEM.
 */
int ep_plan_suspect_find(const struct ep_plan_suspect_cfg *cfg, struct ep_plan_suspect *suspect);

/* --- Topology and plan ----------------------------------------------------------------------------------------------- */

#define EP_PLAN_CPUS_MAX 1024
#define EP_PLAN_NODES_MAX 64
#define EP_PLAN_NICS_MAX 8
#define EP_PLAN_WORKERS_MAX 128
#define EP_PLAN_NOTES_MAX 32
/** A node that is not known; a NIC on a machine with one node, or a virtual one. */
#define EP_PLAN_NODE_ANY (-1)

/** One logical CPU. */
struct ep_plan_cpu {
	uint16_t id;   /**< The kernel's number. */
	int16_t node;  /**< NUMA node, or EP_PLAN_NODE_ANY. */
	uint16_t core; /**< Lowest CPU number of its physical core: SMT siblings have the same. */
	bool isolated; /**< isolcpus: the scheduler puts nothing there by itself. */
	bool allowed;  /**< This process may run there. */
};

/** One NUMA node. */
struct ep_plan_node {
	int16_t id;
	uint64_t huge_free_bytes; /**< Free huge pages [B]; 0 where there are none. */
	uint8_t distance
		[EP_PLAN_NODES_MAX]; /**< To the node at each place of the list, as the firmware has it (10: itself); 0: unknown. */
};

/** The machine. 14 KiB. */
struct ep_plan_topo {
	uint32_t cpu_count;
	struct ep_plan_cpu cpu[EP_PLAN_CPUS_MAX]; /**< [cpu_count], ascending by id. */
	uint32_t node_count;
	struct ep_plan_node node[EP_PLAN_NODES_MAX]; /**< [node_count] */
};

/** How a NIC is attached; decides what can steer packets to its queues. */
enum ep_plan_nic_kind {
	EP_PLAN_NIC_PCI,     /**< The NIC's own DPDK driver: rte_flow, RSS. */
	EP_PLAN_NIC_KERNEL,  /**< AF_XDP or AF_PACKET: a filter program, the kernel's RSS. */
	EP_PLAN_NIC_VIRTUAL, /**< A DPDK vdev. */
};

/** A NIC and what is wanted of it. */
struct ep_plan_nic {
	char name[64]; /**< As the user wrote it. */
	enum ep_plan_nic_kind kind;
	int16_t node;        /**< EP_PLAN_NODE_ANY where not known. */
	uint64_t speed_bps;  /**< 0: unknown. */
	uint16_t queues_max; /**< Receive queues it has, at least 1. */
	uint16_t
		queues_min; /**< Queues that have to be served all the same (AF_XDP: all of the interface's); 0: none. */
	uint16_t queues_wanted; /**< By the user; 0: planned. */
};

/** What is asked for. */
struct ep_plan_cfg {
	const struct ep_plan_topo *topo; /**< Borrowed for the call. */
	uint32_t nic_count;              /**< 1 to EP_PLAN_NICS_MAX. */
	struct ep_plan_nic nic[EP_PLAN_NICS_MAX];
	uint32_t core_count;                /**< --cores; 0: planned. */
	uint16_t core[EP_PLAN_WORKERS_MAX]; /**< [core_count] CPU numbers, in the user's order. */
	int32_t control_cpu;                /**< CPU of the main thread; -1: planned. */
	uint32_t worker_count;              /**< Workers a NIC; 0: planned. */
	uint32_t ring_descs;                /**< Descriptors a queue. */
	uint32_t frame_bytes;               /**< Largest frame with FCS [B]. */
	uint32_t pool_mbufs;                /**< Packet buffers a queue; 0: planned. */
	const struct ep_range *range; /**< For the rules; NULL: none. Borrowed for the call. */
};

/** A core of the data path. */
struct ep_plan_worker {
	uint16_t cpu; /**< Meaningless where the plan floats. */
	int16_t node; /**< Of the CPU; EP_PLAN_NODE_ANY where the plan floats or it is not known. */
	uint32_t queue_count; /**< Queues it serves, of all NICs. */
	char reason[EP_PLAN_TEXT_BYTES];
};

/** A pair of a receive and a transmit queue, with its packet buffers and counters. */
struct ep_plan_queue {
	uint32_t nic;    /**< Place in the list of NICs. */
	uint16_t number; /**< The NIC's queue number. */
	uint32_t worker; /**< Place in the list of workers: the one that serves it. */
	int16_t node;    /**< Of its packet buffers and counters. */
	uint32_t pool_mbufs;
	uint64_t pool_bytes; /**< Of the packet buffers [B]. */
	char reason[EP_PLAN_TEXT_BYTES];
};

/** What a NIC got. Its queue q is served by worker first_worker + q mod worker_count. */
struct ep_plan_port {
	uint16_t queue_count;
	uint32_t first_queue; /**< Place in the list of queues. */
	uint32_t first_worker;
	uint32_t worker_count;
	char reason[EP_PLAN_TEXT_BYTES]; /**< Why so many queues. */
	char steer
		[EP_PLAN_TEXT_BYTES]; /**< How packets are to get to its queues; what the NIC accepts is seen at its start. */
};

/** How much a note matters. */
enum ep_plan_level {
	EP_PLAN_INFO, /**< A choice. */
	EP_PLAN_WARN, /**< It works, and costs what the sentence says. */
};

struct ep_plan_note {
	enum ep_plan_level level;
	bool memory; /**< About pages, not about cores and nodes. */
	char text[EP_PLAN_TEXT_BYTES];
};

/** A plan. 190 KiB: allocate it, do not put it on a stack. */
struct ep_plan {
	bool floating; /**< Workers are not pinned: they float over all allowed CPUs and yield when idle. */
	int32_t control_cpu; /**< Where the main thread is to stay; -1: anywhere. */
	char control_reason[EP_PLAN_TEXT_BYTES];
	uint32_t worker_count;
	struct ep_plan_worker worker[EP_PLAN_WORKERS_MAX];
	uint32_t port_count; /**< As many as NICs, in their order. */
	struct ep_plan_port port[EP_PLAN_NICS_MAX];
	uint32_t queue_count;
	struct ep_plan_queue queue[EP_PLAN_NICS_MAX * EP_PLAN_QUEUES_MAX];
	bool has_masks; /**< false: no range was given, or it needs too many rules. */
	struct ep_plan_masks masks;
	uint32_t note_count;
	struct ep_plan_note note[EP_PLAN_NOTES_MAX];
};

/**
 * Plan the cores, queues and memory of a run.
 *
 * Always: every queue has one worker; no CPU is used twice; the CPU of the main thread and its SMT siblings are left
 * alone, as are the siblings of a worker, unless --cores names them (a note says what that costs); queues, buffers and counters are
 * on the NIC's node where it is known; a worker on another node is named in a note. Where nothing is asked for, a NIC gets one
 * queue and one core for each 10 Gbit/s, at most half of the cores that the scheduler uses as well, and all that are
 * isolated. Fewer than 4 cores and none isolated: workers float.
 *
 * @param[out] plan
 *   Filled on success only.
 * @return
 *   0, or -EINVAL (no NIC, too many, no CPU allowed; a core of --cores that does not exist, is not allowed or is named twice;
 *   more queues wanted than the NIC has) or -ENOMEM, with a sentence.
 */
int ep_plan_make(const struct ep_plan_cfg *cfg, struct ep_plan *plan, struct ep_err *err);

/* --- Steering --------------------------------------------------------------------------------------------------------- */

/** Ways to get the range to our queues, the best first. */
enum ep_plan_step {
	EP_PLAN_STEP_RULES_RSS,   /**< Range rules; their packets spread over our queues by RSS. */
	EP_PLAN_STEP_RULES_QUEUE, /**< Range rules, dealt out over our queues. */
	EP_PLAN_STEP_RSS,   /**< RSS on UDP ports over all queues; software picks the range. */
	EP_PLAN_STEP_PLAIN, /**< Queues as the NIC fills them; software picks the range. */
	EP_PLAN_STEPS,      /**< Number of steps. Keep last. */
};

/** What is known of the NIC and wanted of it. */
struct ep_plan_steer_cfg {
	const struct ep_plan_masks *masks; /**< Borrowed for the call; NULL: too many rules. */
	bool initiator; /**< true: the range is in the source port of what arrives; false: in the destination port. */
	bool ipv4, ipv6; /**< Families to be steered; at least one. */
	bool bifurcated; /**< What no rule takes stays with the kernel (mlx5): isolated mode costs nobody anything. */
	uint16_t first_queue; /**< Lowest of our queues; those below serve all the rest. */
	uint16_t queue_count; /**< Our queues, 1 to EP_PLAN_QUEUES_MAX. */
};

/** One thing that a NIC may accept or not. */
struct ep_plan_offer {
	enum ep_plan_step step;
	bool isolated; /**< Flow-isolated mode: nothing but what rules take. */
	bool initiator, ipv4, ipv6;
	uint32_t rule_count;             /**< Rules of one family; 0 without range rules. */
	const struct ep_plan_mask *rule; /**< [rule_count] */
	const uint16_t *queue; /**< RULES_QUEUE: [rule_count] queue of each rule; else NULL. */
	uint16_t first_queue, queue_count;
};

/**
 * Ask a NIC (or a model of one) whether it would accept an offer. Changes nothing that a later call could not undo.
 * @return 0, or -errno with a sentence: what refuses it.
 */
typedef int (*ep_plan_validate_fn)(
	void *ctx, const struct ep_plan_offer *offer, struct ep_err *err);

/** What was chosen. */
struct ep_plan_steer {
	enum ep_plan_step step;
	bool isolated;
	bool checks_range; /**< Software has to look at each packet's port: others than the range arrive, too. */
	uint32_t rule_count;               /**< Rules to program in all, of both families. */
	uint16_t queue[EP_PLAN_RULES_MAX]; /**< RULES_QUEUE: queue of each rule of the masks. */
	double max_ratio; /**< RULES_QUEUE: largest number of ports of a queue / mean; else 0: see ep_plan_sources. */
	uint32_t refused_count;
	struct {
		enum ep_plan_step step;
		bool isolated;
		char reason[EP_PLAN_TEXT_BYTES];
	} refused[2 *
		EP_PLAN_STEPS]; /**< [refused_count] better ways, in the order in which they were tried. */
	char reason[EP_PLAN_TEXT_BYTES]; /**< What was chosen, and why nothing better. */
};

/**
 * Choose how packets get to the queues: each way is offered to @p validate, the best first; the first one accepted is
 * taken. PLAIN needs no acceptance and is always left.
 *
 * @param[out] steer
 *   Filled on success only. 5 KiB.
 * @return
 *   0, or -EINVAL (no queue, too many, no family), with a sentence.
 */
int ep_plan_steer_choose(const struct ep_plan_steer_cfg *cfg, ep_plan_validate_fn validate,
	void *ctx, struct ep_plan_steer *steer, struct ep_err *err);

/** Name of a step for results and logs: "range rules with RSS", "range rules by queue", "RSS on UDP ports", "plain queues". */
const char *ep_plan_step_name(enum ep_plan_step step);
