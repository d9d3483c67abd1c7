#include "recorder.h"

#include <ep_wire.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The driver's functions know nothing but their queue, so there is one recorder a process. */
static struct {
	struct recorder *recorder;
	uint16_t port_id;
	eth_tx_burst_t tx;
	eth_rx_burst_t rx;
} under;

static uint16_t
random_below(struct recorder_queue *q, uint16_t n)
{
	q->random ^= q->random << 13;
	q->random ^= q->random >> 7;
	q->random ^= q->random << 17;
	return (uint16_t)(q->random % n);
}

static void
check_order(struct recorder *r, struct recorder_queue *q, struct rte_mbuf **pkts, uint16_t count)
{
	for (uint16_t i = 0; i < count; i++) {
		struct ep_wire_rx rx;
		const bool ok = ep_wire_parse(rte_pktmbuf_mtod(pkts[i], uint8_t *),
					pkts[i]->data_len, &rx) &&
			rx.probe.flow < r->flow_count && rx.probe.seq == r->next_seq[rx.probe.flow];

		if (ok)
			r->next_seq[rx.probe.flow]++;
		else
			q->bad_count++;
	}
}

static void
note(struct recorder_queue *q, uint64_t cycles, uint16_t offered, uint16_t taken)
{
	q->call_count++;
	if (offered > q->max_offered_pkts)
		q->max_offered_pkts = offered;
	if (taken == 0)
		return;
	if (q->burst_count++ == 0) {
		q->first_cycles = cycles;
		q->first_pkts = taken;
	}
	q->last_cycles = cycles;
	q->taken_pkts += taken;
	if (q->entry_count < RECORDER_ENTRIES)
		q->entry[q->entry_count++] = (struct recorder_entry){cycles, offered, taken};
}

static uint16_t
record_tx(void *txq, struct rte_mbuf **pkts, uint16_t count)
{
	struct recorder *r = under.recorder;
	const bool first = txq == rte_eth_fp_ops[under.port_id].txq.data[0];
	struct recorder_queue *q = &r->queue[first ? 0 : 1];
	const uint64_t cycles = rte_rdtsc();
	uint16_t take = count < r->take_max ? count : r->take_max;

	if (r->tx_stall_at > 0 && q->call_count == r->tx_stall_at)
		usleep((useconds_t)r->tx_stall_us);
	if (r->take_random)
		take = random_below(q, (uint16_t)(take + 1));
	if (r->next_seq != NULL)
		check_order(r, q, pkts, take);
	if (take > 0)
		take = under.tx(txq, pkts, take);
	note(q, cycles, count, take);
	return take;
}

/* By the worker itself, at each look into its receive queue. */
static void
real_time(bool wanted)
{
	static _Thread_local bool is;
	const struct sched_param param = {.sched_priority = wanted ? 1 : 0};

	if (is == wanted)
		return;
	pthread_setschedparam(pthread_self(), wanted ? SCHED_FIFO : SCHED_OTHER, &param);
	is = wanted;
}

static void
on_cpu_0(bool wanted)
{
	static _Thread_local bool is;
	static _Thread_local cpu_set_t before;
	cpu_set_t first;

	if (is == wanted)
		return;
	CPU_ZERO(&first);
	CPU_SET(0, &first);
	if (wanted)
		pthread_getaffinity_np(pthread_self(), sizeof(before), &before);
	pthread_setaffinity_np(pthread_self(), sizeof(first), wanted ? &first : &before);
	is = wanted;
}

static uint16_t
record_rx(void *rxq, struct rte_mbuf **pkts, uint16_t count)
{
	struct recorder *r = under.recorder;
	uint16_t n;

	real_time(r->real_time);
	on_cpu_0(r->on_cpu_0);
	if (++r->rx_count == r->rx_stall_at)
		usleep((useconds_t)r->rx_stall_us);
	if (r->rx_empty_after > 0 && r->rx_found_count == r->rx_empty_after) {
		r->rx_empty_after = 0;
		return 0;
	}
	n = under.rx(rxq, pkts, count);
	r->rx_found_count += n > 0;
	return n;
}

struct recorder *
recorder_open(uint16_t port_id, uint64_t seed)
{
	struct recorder *r = calloc(1, sizeof(*r));

	if (r == NULL)
		abort();
	for (int i = 0; i < RECORDER_QUEUES; i++) {
		r->queue[i].entry = malloc(RECORDER_ENTRIES * sizeof(struct recorder_entry));
		if (r->queue[i].entry == NULL)
			abort();
		/* Paged in before anything is timed. */
		memset(r->queue[i].entry, 0, RECORDER_ENTRIES * sizeof(struct recorder_entry));
		r->queue[i].random = seed * 2654435761u + (uint64_t)i + 1;
	}
	recorder_reset(r);
	under.recorder = r;
	under.port_id = port_id;
	under.tx = rte_eth_fp_ops[port_id].tx_pkt_burst;
	under.rx = rte_eth_fp_ops[port_id].rx_pkt_burst;
	rte_eth_fp_ops[port_id].tx_pkt_burst = record_tx;
	rte_eth_fp_ops[port_id].rx_pkt_burst = record_rx;
	return r;
}

void
recorder_reset(struct recorder *r)
{
	struct recorder clean = {.take_max = UINT16_MAX};

	for (int i = 0; i < RECORDER_QUEUES; i++) {
		clean.queue[i].entry = r->queue[i].entry;
		clean.queue[i].random = r->queue[i].random;
	}
	*r = clean;
}

void
recorder_close(struct recorder *r)
{
	rte_eth_fp_ops[under.port_id].tx_pkt_burst = under.tx;
	rte_eth_fp_ops[under.port_id].rx_pkt_burst = under.rx;
	for (int i = 0; i < RECORDER_QUEUES; i++)
		free(r->queue[i].entry);
	free(r);
}
