#pragma once

/**
 * @file
 * When the bursts of a lane's stream left: the achieved spacing beside the intended one. One push a burst, by the lane's worker.
 *
 * A departure is the moment at which a burst was begun, of which the NIC took at least one packet; packets of one burst leave
 * together. What a burst brought was due since the one before, so of n bursts the packets of the last n - 1 over the time from
 * the first to the last are the rate that was offered.
 */

#include <ep_hist.h>

#include <stdint.h>

/** Departures of a lane. Zero-initialised is none. */
struct depart {
	uint64_t first_cycles; /**< 0: none yet. */
	uint64_t last_cycles;
	uint64_t first_pkts; /**< Of the first burst. */
	uint64_t pkts;       /**< Of all. */
	uint64_t
		max_cycles; /**< Largest time between two, also where the histogram ends before [cycles]. */
	struct ep_hist
		gap; /**< Between one and the next; one that is longer than it holds counts as its largest. */
};

/** Note a burst of which the NIC took @p pkts, at least 1. Hot path. */
static inline void
depart_push(struct depart *d, uint64_t now_cycles, uint32_t pkts, uint64_t ns_mult)
{
	const uint64_t gap_cycles = now_cycles - d->last_cycles;
	uint64_t gap_ns;

	d->pkts += pkts;
	d->last_cycles = now_cycles;
	if (__builtin_expect(d->first_cycles == 0, 0)) {
		d->first_cycles = now_cycles;
		d->first_pkts = pkts;
		return;
	}
	if (gap_cycles > d->max_cycles)
		d->max_cycles = gap_cycles;
	gap_ns = (uint64_t)((unsigned __int128)gap_cycles * ns_mult >> 32);
	ep_hist_push(&d->gap, gap_ns > UINT32_MAX ? UINT32_MAX : (uint32_t)gap_ns);
}
