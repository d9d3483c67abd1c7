#include "slow_util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct ep_wire_ip
ip_of(const char *text)
{
	struct ep_wire_ip ip;

	assert_int_equal(ep_wire_ip_parse(text, &ip, NULL), 0);
	return ip;
}

struct ep_wire_ip
util_hop(enum ep_wire_family family)
{
	return ip_of(family == EP_WIRE_IPV6 ? "2001:db8:0:9::1" : "198.18.0.1");
}

void
util_side_init(struct util_side *side, enum ep_wire_family family, bool responder)
{
	const struct ep_sched_cfg cfg = {
		.port_count = UTIL_PORT_COUNT,
		.source_count = 3,
		.address_count = 1,
		.source_base = UTIL_SOURCE_BASE,
		.source_span = 1000,
		.seed = 7,
	};
	const uint8_t key[16] = {1, 2, 3}, other[16] = {9};

	memset(side, 0, sizeof(*side));
	side->range = malloc(sizeof(*side->range));
	assert_non_null(side->range);
	assert_int_equal(ep_range_parse("51000-51009", "ports", side->range, NULL), 0);
	assert_int_equal(ep_sched_init(&side->space, &cfg, NULL), 0);
	assert_int_equal(ep_wire_tagger_create(key, EP_WIRE_TAG_PORTABLE, &side->tagger), 0);
	assert_int_equal(ep_wire_tagger_create(other, EP_WIRE_TAG_PORTABLE, &side->other), 0);
	side->match = (struct ep_slow_match){
		.range = side->range,
		.space = &side->space,
		.responder = responder,
		.local = ip_of(family == EP_WIRE_IPV6 ? "2001:db8::10" : "192.0.2.10"),
		.peer = ip_of(family == EP_WIRE_IPV6 ? "2001:db8::20" : "192.0.2.20"),
		.tagger = {side->tagger},
	};
}

void
util_side_fini(struct util_side *side)
{
	ep_wire_tagger_destroy(side->tagger);
	ep_wire_tagger_destroy(side->other);
	free(side->range);
}

static void
put(struct util_packet *p, const void *bytes, size_t len)
{
	assert_true(p->len + len <= sizeof(p->bytes));
	if (bytes != NULL)
		memcpy(p->bytes + p->len, bytes, len);
	else
		memset(p->bytes + p->len, 0, len);
	p->len += len;
}

void
util_probe(struct util_side *side, struct ep_wire_tagger *tagger, uint32_t flow, uint32_t seq,
	struct util_packet *out)
{
	const struct ep_slow_match *m = &side->match;
	const bool ipv6 = m->local.family == EP_WIRE_IPV6;
	const uint8_t pt = m->responder ? EP_WIRE_PT_DOWN : EP_WIRE_PT_UP;
	const uint16_t port = side->range->port[ep_sched_port_index(&side->space, flow)];
	const uint16_t source = ep_sched_source_port(&side->space, flow);
	const struct ep_wire_ends ends = {.src = m->local, .dst = m->peer};
	static struct ep_wire_batch b;
	struct ep_wire_tmpl tmpl;
	uint8_t frame[256];

	assert_int_equal(ep_wire_tmpl_init(&tmpl, &ends, 84, EP_WIRE_CHECKSUM_SOFTWARE, NULL), 0);
	b.flow[0] = flow;
	b.seq[0] = seq;
	b.time_ns[0] = 12345;
	b.dport[0] = port;
	b.ports[0] = m->responder ? (uint32_t)port << 16 | source : (uint32_t)source << 16 | port;
	ep_wire_batch_blocks(&b, pt);
	ep_wire_tag_burst(tagger, b.block, b.tag, 1);
	ep_wire_batch_check(&b, tmpl.udp_sum, pt);
	b.udp_bytes[0] = EP_WIRE_UDP_BYTES + EP_WIRE_PROBE_BYTES;
	ep_wire_batch_finish(&b);
	ep_wire_batch_write(&b, 0, &tmpl, frame, pt, ipv6);
	out->len = 0;
	put(out, frame + 14, 84 - 14 - 4);
}

/* Bytes in pairs, the carry added back at once: slow, and as RFC 1071 words it. */
static uint16_t
checksum(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < a_len + b_len; i++) {
		const uint8_t byte = i < a_len ? a[i] : b[i - a_len];

		sum += i % 2 == 0 ? (uint32_t)byte << 8 : byte;
		if (sum > 0xFFFF)
			sum = sum - 0x10000 + 1;
	}
	return (uint16_t)~sum;
}

/* IPv4 options of no operation, or a destination options header of padding, between the header and the rest. */
static void
options_insert(struct util_packet *p, size_t bytes)
{
	const bool ipv6 = p->bytes[0] >> 4 == 6;
	const size_t at = ipv6 ? 40 : 20;
	uint16_t total;

	if (bytes == 0)
		return;
	assert_true(p->len + bytes <= sizeof(p->bytes));
	memmove(p->bytes + at + bytes, p->bytes + at, p->len - at);
	p->len += bytes;
	memset(p->bytes + at, 1, bytes);
	if (ipv6) {
		p->bytes[at] = p->bytes[6];
		p->bytes[at + 1] = (uint8_t)(bytes / 8 - 1);
		p->bytes[at + 2] = 1; /* PadN */
		p->bytes[at + 3] = (uint8_t)(bytes - 4);
		p->bytes[6] = 60;
	} else {
		p->bytes[0] = (uint8_t)(0x40 | (20 + bytes) / 4);
	}
	total = (uint16_t)(ipv6 ? p->len - 40 : p->len);
	p->bytes[ipv6 ? 4 : 2] = (uint8_t)(total >> 8);
	p->bytes[ipv6 ? 5 : 3] = (uint8_t)total;
}

/* Where the ICMP message of a packet of ours begins. */
static size_t
icmp_at(const struct util_packet *p)
{
	if (p->bytes[0] >> 4 == 6)
		return p->bytes[6] == 60 ? 40 + ((size_t)p->bytes[41] + 1) * 8 : 40;
	return (size_t)(p->bytes[0] & 15) * 4;
}

static void
header_checksum(struct util_packet *p)
{
	const size_t bytes = (size_t)(p->bytes[0] & 15) * 4;
	uint16_t sum;

	if (p->bytes[0] >> 4 != 4 || bytes > p->len)
		return;
	p->bytes[10] = 0;
	p->bytes[11] = 0;
	sum = checksum(p->bytes, bytes, NULL, 0);
	p->bytes[10] = (uint8_t)(sum >> 8);
	p->bytes[11] = (uint8_t)sum;
}

void
util_icmp_checksum(struct util_packet *p)
{
	const size_t at = icmp_at(p);
	uint8_t pseudo[40] = {0};
	size_t pseudo_bytes = 0;
	uint16_t sum;

	header_checksum(p);
	if (at + 8 > p->len)
		return;
	if (p->bytes[0] >> 4 == 6) {
		memcpy(pseudo, p->bytes + 8, 32);
		pseudo[34] = (uint8_t)((p->len - at) >> 8);
		pseudo[35] = (uint8_t)(p->len - at);
		pseudo[39] = 58;
		pseudo_bytes = 40;
	}
	p->bytes[at + 2] = 0;
	p->bytes[at + 3] = 0;
	sum = checksum(pseudo, pseudo_bytes, p->bytes + at, p->len - at);
	p->bytes[at + 2] = (uint8_t)(sum >> 8);
	p->bytes[at + 3] = (uint8_t)sum;
}

static void
outer_header(const struct util_side *side, size_t payload_bytes, struct util_packet *out)
{
	const struct ep_wire_ip hop = util_hop(side->match.local.family);
	const uint8_t *to = side->match.local.bytes_be;
	const uint8_t ipv4[12] = {0x45, 0, (uint8_t)((payload_bytes + 20) >> 8),
		(uint8_t)(payload_bytes + 20), 0, 0, 0, 0, 61, 1};
	const uint8_t ipv6[8] = {
		0x60, 0, 0, 0, (uint8_t)(payload_bytes >> 8), (uint8_t)payload_bytes, 58, 61};

	out->len = 0;
	if (hop.family == EP_WIRE_IPV6) {
		put(out, ipv6, sizeof(ipv6));
		put(out, hop.bytes_be, 16);
		put(out, to, 16);
	} else {
		put(out, ipv4, sizeof(ipv4));
		put(out, hop.bytes_be, 4);
		put(out, to, 4);
	}
}

void
util_error(const struct util_side *side, const struct util_packet *probe,
	const struct util_error *how, struct util_packet *out)
{
	struct util_packet quoted = *probe;
	const uint8_t icmp[8] = {how->type, how->code, 0, 0, (uint8_t)(how->rest >> 24),
		(uint8_t)(how->rest >> 16), (uint8_t)(how->rest >> 8), (uint8_t)how->rest};

	options_insert(&quoted, how->quoted_option_bytes);
	if (how->quote_bytes > 0 && how->quote_bytes < quoted.len)
		quoted.len = how->quote_bytes;
	if (how->pad_to > quoted.len)
		put(&quoted, NULL, how->pad_to - quoted.len);
	for (size_t i = 0; i < how->extra_bytes; i++)
		put(&quoted, "\x20", 1);
	outer_header(side, sizeof(icmp) + quoted.len, out);
	put(out, icmp, sizeof(icmp));
	put(out, quoted.bytes, quoted.len);
	options_insert(out, how->option_bytes);
	util_icmp_checksum(out);
}
