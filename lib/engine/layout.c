/*
 * Who writes which cache line. While workers run, no line is written by two cores, and none that a core writes lies among what
 * another one reads in its loop:
 *
 * - a lane and a worker are each written by one core; what is written begins a line of its own and the structs end with one;
 * - the main thread's words lie in lines that only it writes;
 * - tables (flows, ports, histograms) are mapped pages, each of one lane.
 *
 * What two cores have to share is left: rings and packet buffers between the ends of the in-memory pair, and the responder's
 * table of learned addresses, in which a worker stores once when a flow is first seen or its address changes, and never in the
 * steady state.
 */

#include "engine_priv.h"

#define STARTS_A_LINE(type, member) (offsetof(type, member) % RTE_CACHE_LINE_SIZE == 0)
#define ENDS_A_LINE(type) \
	(sizeof(type) % RTE_CACHE_LINE_SIZE == 0 && alignof(type) % RTE_CACHE_LINE_SIZE == 0)

static_assert(STARTS_A_LINE(struct lane, pace), "what the worker writes begins a line");
static_assert(STARTS_A_LINE(struct lane, count), "what others read begins a line");
static_assert(ENDS_A_LINE(struct lane), "two lanes share no line");
static_assert(STARTS_A_LINE(struct worker, max_gap_cycles), "what the worker writes begins a line");
static_assert(ENDS_A_LINE(struct worker), "workers lie in an array and share no line");
static_assert(STARTS_A_LINE(struct side, start_cycles), "the main thread's word begins a line");
static_assert(ENDS_A_LINE(struct side), "two sides share no line");
static_assert(STARTS_A_LINE(struct ep_engine, command), "the main thread's words begin a line");
static_assert(ENDS_A_LINE(struct ep_engine), "the words share their line with nothing");
static_assert(offsetof(struct ep_engine, late) / RTE_CACHE_LINE_SIZE ==
		offsetof(struct ep_engine, command) / RTE_CACHE_LINE_SIZE,
	"one line to look at");
