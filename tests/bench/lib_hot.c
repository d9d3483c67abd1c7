#include "lib_hot.h"

#define CONCAT_(a, b) a##b
#define CONCAT(a, b) CONCAT_(a, b)
#define LIB_NAME(name) CONCAT(name##_, LIB_ISA)

void LIB_NAME(lib_perm)(struct lib_work *w);
void LIB_NAME(lib_window)(struct lib_work *w);

/* Into arrays of its own, as the engine's: ones that the compiler had to think part of the schedule would keep it from vectors. */
void
LIB_NAME(lib_perm)(struct lib_work *w)
{
	uint32_t flow[EP_WIRE_BURST], seq[EP_WIRE_BURST];

	ep_sched_next_burst(&w->space, &w->cursor, EP_WIRE_BURST, flow, seq);
	memcpy(w->flow, flow, sizeof(flow));
	memcpy(w->seq, seq, sizeof(seq));
}

void
LIB_NAME(lib_window)(struct lib_work *w)
{
	uint32_t flow[EP_WIRE_BURST], seq[EP_WIRE_BURST];

	for (uint32_t i = 0; i < EP_WIRE_BURST; i++) {
		flow[i] = w->order[w->next];
		seq[i] = w->sweep;
		__builtin_prefetch(&w->acct.flow[flow[i]]);
		__builtin_prefetch(&w->acct.port[flow[i]]);
		if (++w->next == w->acct.port_count) {
			w->next = 0;
			w->sweep++;
		}
	}
	for (uint32_t i = 0; i < EP_WIRE_BURST; i++)
		ep_acct_push(&w->acct, flow[i], flow[i], seq[i], 64);
}
