#include "wire_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct model_rng
model_rng_seeded(const char *test_name)
{
	const char *const text = getenv("EP_TEST_SEED");
	const uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : 20240607;

	printf("# %s: EP_TEST_SEED=%llu\n", test_name, (unsigned long long)seed);
	return (struct model_rng){.state = seed};
}

uint64_t
model_rng_next(struct model_rng *rng)
{
	uint64_t z = rng->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

uint32_t
model_rng_range(struct model_rng *rng, uint32_t min, uint32_t max)
{
	return min + (uint32_t)(model_rng_next(rng) % ((uint64_t)max - min + 1));
}

bool
model_rng_bool(struct model_rng *rng)
{
	return model_rng_next(rng) & 1;
}

void
model_rng_bytes(struct model_rng *rng, uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)model_rng_next(rng);
}

struct ep_wire_ip
model_random_ip(struct model_rng *rng, enum ep_wire_family family)
{
	struct ep_wire_ip ip = {.family = family};

	model_rng_bytes(rng, ip.bytes_be, family == EP_WIRE_IPV4 ? 4 : 16);
	return ip;
}

struct ep_wire_ends
model_random_ends(struct model_rng *rng, enum ep_wire_family family)
{
	struct ep_wire_ends ends;

	model_rng_bytes(rng, ends.src_mac, 6);
	model_rng_bytes(rng, ends.dst_mac, 6);
	ends.src = model_random_ip(rng, family);
	ends.dst = model_random_ip(rng, family);
	return ends;
}

struct ep_wire_probe
model_random_probe(struct model_rng *rng)
{
	const bool begin = model_rng_range(rng, 0, 3) == 0;

	return (struct ep_wire_probe){
		.flow = (uint32_t)model_rng_next(rng),
		.seq = begin ? 0 : (uint32_t)model_rng_next(rng),
		.time_ns = (uint32_t)model_rng_next(rng),
		.orig_dport = (uint16_t)model_rng_next(rng),
		.pt = (uint8_t)model_rng_range(rng, EP_WIRE_PT_UP, EP_WIRE_PT_DOWN),
		.first = begin && model_rng_bool(rng),
	};
}

enum ep_wire_family
model_random_family(struct model_rng *rng)
{
	return model_rng_bool(rng) ? EP_WIRE_IPV4 : EP_WIRE_IPV6;
}

uint16_t
model_random_size(struct model_rng *rng, enum ep_wire_family family)
{
	const uint32_t min = family == EP_WIRE_IPV4 ? 64 : 84;

	return (uint16_t)model_rng_range(
		rng, min, model_rng_range(rng, 0, 3) == 0 ? min + 20 : 9018);
}

static uint64_t
addr_sum(const struct ep_wire_ip *ip)
{
	return ep_wire_addr_sum(ip->bytes_be, ip->family);
}

void
model_write(struct model_rng *rng, const struct ep_wire_tmpl *tmpl, uint8_t *frame,
	const struct ep_wire_ip *dst, uint16_t sport, uint16_t dport,
	const struct ep_wire_probe *probe, const uint32_t *tag, struct ep_wire_block *block)
{
	const uint32_t i = model_rng_range(rng, 0, EP_WIRE_BURST - 1);
	const bool plain = dst == NULL && tmpl->filler_bytes == 0;
	struct ep_wire_ip was = {.family = tmpl->family};
	struct ep_wire_batch b;

	model_rng_bytes(rng, (uint8_t *)&b, sizeof(b));
	memcpy(was.bytes_be, tmpl->header + (was.family == EP_WIRE_IPV4 ? 30 : 38),
		was.family == EP_WIRE_IPV4 ? 4 : 16);
	b.marker = probe->first || probe->seq != 0 ? EP_WIRE_RTP_MARKER : 0;
	b.flow[i] = probe->flow;
	b.seq[i] = probe->seq;
	b.time_ns[i] = probe->time_ns;
	b.dport[i] = probe->orig_dport;
	b.ports[i] = (uint32_t)sport << 16 | dport;
	b.tag[i] = tag != NULL ? *tag : 0;
	b.more[i] = ep_wire_fold(tmpl->udp_sum) +
		(dst != NULL ? ep_wire_sum_change(addr_sum(&was), addr_sum(dst)) : 0);
	for (uint32_t k = 0; k < EP_WIRE_BURST; k++)
		b.more[k] &= 0x3ffff;
	ep_wire_batch_blocks(&b, probe->pt);
	if (block != NULL)
		*block = b.block[i];
	if (tmpl->checksum == EP_WIRE_CHECKSUM_OFFLOAD) {
		ep_wire_batch_check_offload(&b);
	} else if (plain && model_rng_bool(rng)) {
		ep_wire_batch_check(&b, tmpl->udp_sum, probe->pt);
	} else {
		b.more[i] += ep_wire_batch_filler_sum(&b, i, tmpl);
		ep_wire_batch_check_more(&b, probe->pt);
	}
	b.udp_bytes[i] = (uint32_t)tmpl->filler_bytes + 8 + EP_WIRE_PROBE_BYTES;
	ep_wire_batch_finish(&b);
	ep_wire_batch_write(&b, i, tmpl, frame, probe->pt, tmpl->family == EP_WIRE_IPV6);
	if (b.marker != 0)
		ep_wire_batch_mark(&b, i, frame, tmpl->family == EP_WIRE_IPV6);
	ep_wire_batch_write_filler(&b, i, tmpl, frame);
	if (dst != NULL && tmpl->family == EP_WIRE_IPV6) {
		memcpy(frame + EP_WIRE_IPV6_DST, dst->bytes_be, 16);
	} else if (dst != NULL) {
		b.addr[i] = ep_wire_get32(dst->bytes_be);
		b.ip_sum[i] = ep_wire_tmpl_ip_sum(tmpl, EP_WIRE_IPV4_DST);
		ep_wire_batch_readdress(&b, tmpl->checksum);
		ep_wire_batch_write_addr(&b, i, frame, EP_WIRE_IPV4_DST);
	}
}

struct model_frame
model_random_frame(struct model_rng *rng, enum ep_wire_family family, uint16_t frame_bytes)
{
	struct model_frame f = {
		.len = frame_bytes - 4U,
		.probe = model_random_probe(rng),
		.ends = model_random_ends(rng, family),
		.sport = (uint16_t)model_rng_next(rng),
		.dport = (uint16_t)model_rng_next(rng),
		.tag = (uint32_t)model_rng_next(rng),
	};
	struct ep_wire_tmpl tmpl;

	f.bytes = malloc(f.len);
	if (f.bytes == NULL ||
		ep_wire_tmpl_init(&tmpl, &f.ends, frame_bytes, EP_WIRE_CHECKSUM_SOFTWARE, NULL) < 0)
		abort();
	model_write(rng, &tmpl, f.bytes, NULL, f.sport, f.dport, &f.probe, &f.tag, NULL);
	return f;
}

uint32_t
model_l3_offset(const uint8_t *frame)
{
	return model_get(frame + 12, 2) == 0x8100 ? 18 : 14;
}

static bool
is_ipv4(const uint8_t *frame)
{
	return frame[model_l3_offset(frame)] >> 4 == 4;
}

uint32_t
model_udp_offset(const uint8_t *frame)
{
	const uint32_t l3 = model_l3_offset(frame);

	return is_ipv4(frame) ? l3 + (frame[l3] & 15U) * 4 : l3 + 40;
}

uint64_t
model_get(const uint8_t *p, unsigned int bytes)
{
	uint64_t v = 0;

	for (unsigned int i = 0; i < bytes; i++)
		v = v * 256 + p[i];
	return v;
}

void
model_set16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v / 256);
	p[1] = (uint8_t)(v % 256);
}

uint16_t
model_sum(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++) {
		sum += i % 2 == 0 ? p[i] * 256U : p[i];
		if (sum > 0xffff)
			sum -= 0xffff; /* the carry comes in again at the low end */
	}
	return (uint16_t)sum;
}

/* Addresses, zero, protocol, UDP length: laid out in bytes as the RFCs draw it. Returns its length. */
static size_t
pseudo_header(const uint8_t *frame, uint8_t out[40])
{
	const uint8_t *const l3 = frame + model_l3_offset(frame);
	const uint8_t *const udp_length = frame + model_udp_offset(frame) + 4;

	memset(out, 0, 40);
	if (is_ipv4(frame)) {
		memcpy(out, l3 + 12, 8);
		out[9] = 17;
		memcpy(out + 10, udp_length, 2);
		return 12;
	}
	memcpy(out, l3 + 8, 32);
	memcpy(out + 34, udp_length, 2);
	out[39] = 17;
	return 40;
}

uint16_t
model_pseudo_sum(const uint8_t *frame)
{
	uint8_t pseudo[40];

	return model_sum(pseudo, pseudo_header(frame, pseudo));
}

bool
model_udp_ok(const uint8_t *frame)
{
	static uint8_t all[40 + 65536]; /* tests have one thread */
	const uint8_t *const udp = frame + model_udp_offset(frame);
	const size_t udp_bytes = model_get(udp + 4, 2);
	const size_t pseudo_bytes = pseudo_header(frame, all);

	memcpy(all + pseudo_bytes, udp, udp_bytes);
	return model_get(udp + 6, 2) != 0 && model_sum(all, pseudo_bytes + udp_bytes) == 0xffff;
}

bool
model_ip_ok(const uint8_t *frame)
{
	const uint8_t *const l3 = frame + model_l3_offset(frame);

	return !is_ipv4(frame) || model_sum(l3, (l3[0] & 15U) * 4) == 0xffff;
}

void
model_ip_fix(uint8_t *frame)
{
	uint8_t *const l3 = frame + model_l3_offset(frame);

	model_set16(l3 + 10, 0);
	model_set16(l3 + 10, 0xffff - model_sum(l3, (l3[0] & 15U) * 4));
}

struct ep_wire_block
model_echo_block(const struct ep_wire_rx *rx, uint16_t orig_dport)
{
	struct ep_wire_probe probe = rx->probe;
	struct ep_wire_block block;

	probe.pt = EP_WIRE_PT_ECHO;
	probe.orig_dport = orig_dport;
	ep_wire_block_set(&block, &probe);
	return block;
}
