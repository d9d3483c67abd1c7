/* What a side and its lanes are set to before each trial: what they send, what they receive, an empty account, the trial's key. */

#include "engine_priv.h"
#include "table.h"

#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_mbuf.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool
side_streams(const struct ep_engine *e, const struct side *s)
{
	if (s->cfg.role == EP_ENGINE_INITIATOR)
		return e->trial.stream_up;
	/* Where no probe ever arrived, no return address is known and there is nobody to send to. */
	return e->trial.stream_down && s->known_count > 0;
}

/* What is left of a frame without its tag: 0, which is refused, where that is nothing. */
static uint16_t
frame_bytes_untagged(const struct side *s, uint16_t frame_bytes)
{
	const uint16_t tag_bytes = s->cfg.vlan_id == 0 ? 0 : ENGINE_VLAN_BYTES;

	return frame_bytes > tag_bytes ? frame_bytes - tag_bytes : 0;
}

/* The far side may know of no tag, and asks for frames of its own smallest size. */
static int
frame_refuse(const struct side *s, uint16_t frame_bytes, struct ep_err *err)
{
	const enum ep_wire_family family = s->cfg.ends.src.family;
	const uint32_t min_bytes =
		family == EP_WIRE_IPV6 ? EP_WIRE_MIN_FRAME_IPV6 : EP_WIRE_MIN_FRAME_IPV4;

	return ep_err_set(err, -ERANGE,
		"frame size %u B over IPv%d with the tag of VLAN %u; allowed is %u to %u B with "
		"FCS and tag",
		frame_bytes, (int)family, s->cfg.vlan_id, min_bytes + ENGINE_VLAN_BYTES,
		EP_WIRE_MAX_FRAME + ENGINE_VLAN_BYTES);
}

static int
side_templates(struct ep_engine *e, struct side *s, struct ep_err *err)
{
	const struct ep_sizes *sizes = &e->trial.sizes;
	const uint32_t room_bytes =
		rte_pktmbuf_data_room_size(s->lane[0]->pool) - RTE_PKTMBUF_HEADROOM;

	free(s->tmpl);
	s->tmpl = calloc(sizes->count, sizeof(*s->tmpl));
	if (s->tmpl == NULL)
		return ep_err_set(err, -ENOMEM, "no memory for %u frame templates", sizes->count);
	for (uint32_t i = 0; i < sizes->count; i++) {
		const int ret = ep_wire_tmpl_init(&s->tmpl[i], &s->cfg.ends,
			frame_bytes_untagged(s, sizes->frame_bytes[i]), e->cfg.checksum, err);

		if (ret == -ERANGE && s->cfg.vlan_id != 0)
			return frame_refuse(s, sizes->frame_bytes[i], err);
		if (ret < 0)
			return ret;
		/* The size may be the far side's wish. */
		if (s->tmpl[i].len > room_bytes)
			return ep_err_set(err, -ERANGE,
				"frames of %u B wanted, the packet buffers of %s hold up to %u B",
				sizes->frame_bytes[i], s->info.name,
				room_bytes + EP_WIRE_FCS_BYTES);
	}
	return 0;
}

static uint32_t
learned_count(const struct side *s)
{
	uint32_t n = 0;

	for (uint32_t f = 0; f < s->learn.flow_count; f++)
		n += learn_known(&s->learn, f);
	return n;
}

/* The down stream goes to the flows whose address is known when it is prepared. Where that is all of them, no list is needed. */
static int
side_list(struct ep_engine *e, struct side *s, struct ep_err *err)
{
	uint32_t n = 0;

	free(s->list);
	s->list = NULL;
	s->known_count = learned_count(s);
	if (s->known_count == 0 || s->known_count == e->cfg.space.flow_count)
		return 0;
	s->list = malloc((size_t)s->known_count * sizeof(*s->list));
	if (s->list == NULL)
		return ep_err_set(err, -ENOMEM, "no memory for a list of %u flows", s->known_count);
	for (uint32_t f = 0; f < s->learn.flow_count && n < s->known_count; f++)
		if (learn_known(&s->learn, f))
			s->list[n++] = f;
	return ep_sched_init_list(&s->list_order, s->known_count, e->cfg.seed, err);
}

static int
side_stream(struct ep_engine *e, struct side *s, struct ep_err *err)
{
	const struct ep_engine_trial *t = &e->trial;

	s->rate_pps = t->rate_pps;
	s->slot_count = t->rate_pps > 0 ? ep_pace_slots(t->rate_pps, t->duration_ns) : UINT64_MAX;
	s->start_cycles = 0;
	if (s->cfg.role == EP_ENGINE_RESPONDER && t->stream_down) {
		const int ret = side_list(e, s, err);

		if (ret < 0)
			return ret;
	}
	return side_streams(e, s) ? side_templates(e, s, err) : 0;
}

/* What a side receives in this trial. */
static void
lane_receive(struct ep_engine *e, const struct side *s, struct lane *l)
{
	const bool responder = s->cfg.role == EP_ENGINE_RESPONDER;
	const bool rtt = !responder && e->trial.echo;
	const struct rx_choice choice = {
		.ipv6 = s->cfg.ends.src.family == EP_WIRE_IPV6,
		.responder = responder,
		/* A stream that is only counted leaves the table of addresses untouched, and its memory unused. */
		.learn = e->trial.echo || e->trial.stream_down,
		.echo = e->trial.echo,
		.oneway = e->cfg.side_count == 2 && !rtt,
		.rtt = rtt,
	};

	queues_rx_set(l, e->hot->rx_choose(&choice));
	l->verify_filler = e->cfg.verify_filler;
}

/* How a lane sends in this trial. */
static void
lane_stream(const struct ep_engine *e, const struct side *s, struct lane *l)
{
	const struct tx_choice choice = {
		.ipv6 = s->cfg.ends.src.family == EP_WIRE_IPV6,
		.down = s->cfg.role == EP_ENGINE_RESPONDER,
		.plain = e->trial.sizes.count == 1 && s->tmpl->filler_bytes == 0 &&
			e->cfg.checksum == EP_WIRE_CHECKSUM_SOFTWARE && s->cfg.vlan_id == 0,
		.many = e->cfg.space.address_count > 1,
		.stamp = e->trial.stamp == EP_ENGINE_STAMP_PACKET,
	};

	l->tx = e->hot->tx_choose(&choice);
}

static void
lane_send_setup(struct ep_engine *e, struct side *s, struct lane *l, uint32_t i)
{
	const bool ipv6 = s->cfg.ends.src.family == EP_WIRE_IPV6;
	uint32_t lanes;

	l->tx = NULL;
	l->tx_done = true;
	if (!side_streams(e, s))
		return;
	l->order = s->list != NULL ? &s->list_order : &e->cfg.space;
	l->list = s->list;
	l->tmpl = s->tmpl;
	l->size_count = e->trial.sizes.count;
	l->vlan_be = s->cfg.vlan_id == 0
		? 0
		: rte_cpu_to_be_32((uint32_t)RTE_ETHER_TYPE_VLAN << 16 | s->cfg.vlan_id);
	lanes = RTE_MIN(s->lane_count, l->order->flow_count);
	if (i >= lanes)
		return;
	l->cursor = ep_sched_shard(l->order, i, lanes);
	lane_stream(e, s, l);
	l->tx_done = false;
	if (e->cfg.checksum == EP_WIRE_CHECKSUM_OFFLOAD)
		l->ol_flags = RTE_MBUF_F_TX_UDP_CKSUM |
			(ipv6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM);
}

static void
lane_clear(const struct ep_engine *e, struct lane *l)
{
	table_clear(l->acct.flow, engine_flows_bytes(e));
	queues_clear(l);
	table_clear(l->hist_oneway, engine_hist_bytes(e));
	table_clear(l->hist_rtt, engine_hist_bytes(e));
	l->count = (struct lane_count){.learned = l->count.learned};
	memset(l->queue_pkts, 0, sizeof(l->queue_pkts));
	memset(&l->pace, 0, sizeof(l->pace));
	memset(&l->cursor, 0, sizeof(l->cursor));
	memset(&l->depart, 0, sizeof(l->depart));
	l->clock_base_cycles = e->cfg.clock.base_cycles;
	l->clock_ns_mult = e->cfg.clock.ns_mult;
	l->size_next = 0;
	l->rx_queue_next = 0;
	l->late = false;
	l->silent = false;
	l->started = false;
	l->list = NULL;
	l->order = NULL;
}

static int
lane_keys(struct ep_engine *e, struct lane *l, struct ep_err *err)
{
	int ret;

	ep_wire_tagger_destroy(l->tagger);
	ep_wire_tagger_destroy(l->old_tagger);
	l->tagger = NULL;
	l->old_tagger = NULL;
	ret = ep_wire_tagger_create(e->trial.key, EP_WIRE_TAG_AUTO, &l->tagger);
	if (ret == 0 && e->has_old_key)
		ret = ep_wire_tagger_create(e->old_key, EP_WIRE_TAG_AUTO, &l->old_tagger);
	if (ret < 0)
		return ep_err_set(err, ret, "AES cannot be set up: %s", strerror(-ret));
	return 0;
}

int
trial_side_prepare(struct ep_engine *e, struct side *s, struct ep_err *err)
{
	int ret = side_stream(e, s, err);

	if (s->stage != NULL)
		ep_path_restart(s->stage->path);
	for (uint32_t i = 0; i < s->lane_count && ret == 0; i++) {
		struct lane *l = s->lane[i];

		lane_clear(e, l);
		lane_receive(e, s, l);
		lane_send_setup(e, s, l, i);
		ret = lane_keys(e, l, err);
	}
	return ret;
}
