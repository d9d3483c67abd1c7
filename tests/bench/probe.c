#include "probe.h"

#include <assert.h>
#include <string.h>

#define PORTS "50000-60000"
#define TAG_OFFSET (14 + 20 + 8 + EP_WIRE_OFF_TAG)

const uint8_t probe_key[EP_WIRE_KEY_BYTES] = "sixteen bytes it";

int
probe_space(uint32_t source_count, uint32_t address_count, struct ep_range *range,
	struct ep_sched *space, struct ep_err *err)
{
	struct ep_sched_cfg cfg = {
		.source_count = source_count == 0 ? 1 : source_count,
		.address_count = address_count == 0 ? 1 : address_count,
		.source_base = 20000,
		.source_span = 45000,
		.seed = PROBE_SEED,
	};
	const int ret = ep_range_parse(PORTS, "ports", range, err);

	if (ret < 0)
		return ret;
	cfg.port_count = range->port_count;
	return ep_sched_init(space, &cfg, err);
}

void
probe_ends(struct ep_wire_ends ends[2])
{
	static const uint8_t mac[2][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};

	for (uint32_t i = 0; i < 2; i++) {
		const struct ep_wire_ip ip = {
			.family = EP_WIRE_IPV4, .bytes_be = {198, 18, 0, (uint8_t)(i + 1)}};

		memcpy(ends[i].src_mac, mac[i], sizeof(mac[i]));
		memcpy(ends[1 - i].dst_mac, mac[i], sizeof(mac[i]));
		ends[i].src = ip;
		ends[1 - i].dst = ip;
	}
}

int
probe_writer_open(struct probe_writer *w, const struct ep_range *range,
	const struct ep_sched *space, const struct ep_wire_ends *ends, struct ep_err *err)
{
	int ret;

	*w = (struct probe_writer){
		.range = range, .space = space, .cursor = ep_sched_shard(space, 0, 1)};
	ret = ep_wire_tagger_create(probe_key, EP_WIRE_TAG_AUTO, &w->tagger);
	if (ret < 0)
		return ep_err_set(err, ret, "no tagger: %s", strerror(-ret));
	ret = ep_wire_tmpl_init(&w->tmpl, ends, PROBE_FRAME_BYTES, EP_WIRE_CHECKSUM_SOFTWARE, err);
	assert(ret < 0 || w->tmpl.len == PROBE_BYTES);
	return ret;
}

void
probe_writer_close(struct probe_writer *w)
{
	ep_wire_tagger_destroy(w->tagger);
	w->tagger = NULL;
}

/* Everything but the tag and the checksum over it. */
static void
probe_begin(struct probe_writer *w, uint8_t *frame, uint32_t time_ns, struct ep_wire_block *block)
{
	uint64_t seq;
	const uint32_t flow = ep_sched_next(w->space, &w->cursor, &seq);
	const struct ep_wire_probe probe = {
		.flow = flow,
		.seq = (uint32_t)seq,
		.time_ns = time_ns,
		.orig_dport = w->range->port[ep_sched_port_index(w->space, flow)],
		.pt = EP_WIRE_PT_UP,
	};
	uint8_t *const payload = frame + w->tmpl.header_bytes;

	memcpy(frame, w->tmpl.header, w->tmpl.header_bytes);
	ep_wire_put16(payload - 8, ep_sched_source_port(w->space, flow));
	ep_wire_put16(payload - 6, probe.orig_dport);
	payload[EP_WIRE_OFF_VERSION] = 0x80;
	payload[EP_WIRE_OFF_PT] = (uint8_t)((seq == 0 ? 0x80 : 0) | probe.pt);
	ep_wire_put16(payload + EP_WIRE_OFF_SEQ_LOW, (uint16_t)seq);
	ep_wire_put32(payload + EP_WIRE_OFF_TIME, probe.time_ns);
	ep_wire_put32(payload + EP_WIRE_OFF_FLOW, flow);
	ep_wire_put16(payload + EP_WIRE_OFF_SEQ_HIGH, (uint16_t)(seq >> 16));
	ep_wire_block_set(block, &probe);
}

static void
probe_finish(uint8_t *frame, uint32_t tag)
{
	struct ep_wire_rx rx;
	bool ours;

	ep_wire_put32(frame + TAG_OFFSET, tag);
	ours = ep_wire_parse(frame, PROBE_BYTES, &rx);
	assert(ours);
	(void)ours;
	ep_wire_put16(rx.udp + 6, ep_wire_udp_checksum(&rx));
}

void
probe_write(struct probe_writer *w, uint8_t *const *frame, const uint32_t *time_ns, uint32_t count)
{
	struct ep_wire_block block[EP_WIRE_BURST] = {0};
	uint32_t tag[EP_WIRE_BURST];

	for (uint32_t i = 0; i < count; i++)
		probe_begin(w, frame[i], time_ns[i], &block[i]);
	ep_wire_tag_burst(w->tagger, block, tag, count);
	for (uint32_t i = 0; i < count; i++)
		probe_finish(frame[i], tag[i]);
}
