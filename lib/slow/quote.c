/*
 * Whose probe an ICMP error quotes.
 *
 *   outer IP | type, code, checksum, 4 bytes that the type gives a meaning | quoted IP | UDP | first bytes of the probe | extensions
 *
 * RFC 792 quotes 8 bytes behind the IP header, just the UDP header; RFC 1812 section 4.3.2.3 as much as fits 576 bytes, and RFC 4443 what
 * fits 1280. The tag is in the first 18 bytes of the payload: where they are there, an error can be told from a forgery. Somebody who is
 * not on the path can forge the rest.
 */

#include "slow_priv.h"

enum {
	ICMP4_UNREACHABLE = 3,
	ICMP4_QUENCH = 4,
	ICMP4_TIME_EXCEEDED = 11,
	ICMP4_PARAMETER = 12,
	ICMP4_CODE_TOO_BIG = 4,
	ICMP6_UNREACHABLE = 1,
	ICMP6_TOO_BIG = 2,
	ICMP6_TIME_EXCEEDED = 3,
	ICMP6_PARAMETER = 4,
};

static bool
is_error(enum ep_wire_family family, uint8_t type)
{
	if (family == EP_WIRE_IPV6)
		return type >= ICMP6_UNREACHABLE && type <= ICMP6_PARAMETER;
	return type == ICMP4_UNREACHABLE || type == ICMP4_QUENCH || type == ICMP4_TIME_EXCEEDED ||
		type == ICMP4_PARAMETER;
}

/*
 * Length of the quoted packet where the message says it, which it does where extensions follow (RFC 4884 section 4): in units of 4
 * bytes in ICMPv4's second byte behind the checksum, in units of 8 bytes in ICMPv6's first one. 0: up to the end.
 */
static size_t
quoted_bytes_said(enum ep_wire_family family, const uint8_t *icmp)
{
	if (family == EP_WIRE_IPV6)
		return icmp[0] == ICMP6_UNREACHABLE || icmp[0] == ICMP6_TIME_EXCEEDED
			? (size_t)icmp[4] * 8
			: 0;
	return icmp[0] != ICMP4_QUENCH ? (size_t)icmp[5] * 4 : 0;
}

static uint32_t
mtu_said(enum ep_wire_family family, const uint8_t *icmp)
{
	if (family == EP_WIRE_IPV6)
		return icmp[0] == ICMP6_TOO_BIG ? slow_get32(icmp + 4) : 0;
	return icmp[0] == ICMP4_UNREACHABLE && icmp[1] == ICMP4_CODE_TOO_BIG ? slow_get16(icmp + 6)
									     : 0;
}

/* The quoted packet, which may be cut anywhere behind its UDP header. */
static bool
quoted_parse(const struct slow_ip *outer, struct slow_ip *quoted)
{
	const uint8_t *icmp = outer->payload;
	const size_t said = quoted_bytes_said(outer->src.family, icmp);
	size_t len = outer->payload_bytes - SLOW_ICMP_BYTES;

	if (said > 0 && said < len)
		len = said;
	return slow_ip_parse(icmp + SLOW_ICMP_BYTES, len, quoted) &&
		quoted->src.family == outer->src.family && !quoted->later &&
		quoted->protocol == SLOW_PROTO_UDP && quoted->payload_bytes >= SLOW_UDP_BYTES;
}

/* Whether addresses and ports are ours. The index is of the port under test as quoted. */
static bool
quoted_is_ours(const struct ep_slow_match *m, const struct slow_ip *quoted, uint32_t *port_index)
{
	const uint16_t sport = slow_get16(quoted->payload), dport = slow_get16(quoted->payload + 2);
	const struct ep_sched *s = m->space;

	if (!ep_wire_ip_equal(&quoted->src, &m->local) ||
		(m->peer.family != 0 && !ep_wire_ip_equal(&quoted->dst, &m->peer)))
		return false;
	*port_index = m->range->index[m->responder ? sport : dport];
	if (*port_index == EP_RANGE_NONE)
		return false;
	return m->responder ||
		(sport >= s->source_base && (uint32_t)(sport - s->source_base) < s->source_span);
}

/* Whether a probe can be what we send: the first bytes of RTP, and a payload type that is ours. */
static bool
quoted_probe(const struct ep_slow_match *m, const uint8_t *payload, struct ep_wire_probe *probe)
{
	const uint8_t pt = payload[EP_WIRE_OFF_PT] & 0x7F;

	if (payload[EP_WIRE_OFF_VERSION] != 0x80 ||
		(m->responder ? pt != EP_WIRE_PT_ECHO && pt != EP_WIRE_PT_DOWN
			      : pt != EP_WIRE_PT_UP))
		return false;
	*probe = (struct ep_wire_probe){
		.flow = slow_get32(payload + EP_WIRE_OFF_FLOW),
		.seq = (uint32_t)slow_get16(payload + EP_WIRE_OFF_SEQ_HIGH) << 16 |
			slow_get16(payload + EP_WIRE_OFF_SEQ_LOW),
		.time_ns = slow_get32(payload + EP_WIRE_OFF_TIME),
		.pt = pt,
	};
	return probe->flow < m->space->flow_count;
}

static bool
tag_verifies(const struct ep_slow_match *m, const uint8_t *payload, uint32_t *flow)
{
	struct ep_wire_probe probe;
	struct ep_wire_block block;
	uint32_t tag;

	if (!quoted_probe(m, payload, &probe))
		return false;
	*flow = probe.flow;
	probe.orig_dport = m->range->port[ep_sched_port_index(m->space, probe.flow)];
	ep_wire_block_set(&block, &probe);
	for (int i = 0; i < EP_SLOW_TAGGERS; i++) {
		if (m->tagger[i] == NULL)
			continue;
		ep_wire_tag_burst(m->tagger[i], &block, &tag, 1);
		if (tag == slow_get32(payload + EP_WIRE_OFF_TAG))
			return true;
	}
	return false;
}

/* What the quoted packet's payload says. A UDP length below a probe's is none of ours. */
static enum ep_slow_verdict
quoted_verify(const struct ep_slow_match *m, const struct slow_ip *quoted, uint32_t *flow)
{
	if (slow_get16(quoted->payload + 4) < SLOW_UDP_BYTES + EP_WIRE_PROBE_BYTES)
		return EP_SLOW_FORGED;
	if (quoted->payload_bytes < SLOW_UDP_BYTES + EP_WIRE_PROBE_BYTES ||
		(m->tagger[0] == NULL && m->tagger[1] == NULL))
		return EP_SLOW_PORT;
	return tag_verifies(m, quoted->payload + SLOW_UDP_BYTES, flow) ? EP_SLOW_FLOW
								       : EP_SLOW_FORGED;
}

enum ep_slow_verdict
ep_slow_quote(const struct ep_slow_match *match, const uint8_t *packet, size_t len,
	struct ep_slow_quote *quote)
{
	struct slow_ip outer, quoted;
	enum ep_slow_verdict verdict;
	uint32_t port_index, flow = 0;

	if (!slow_ip_parse(packet, len, &outer) || !slow_icmp_whole(&outer) ||
		!is_error(outer.src.family, outer.payload[0]))
		return EP_SLOW_OTHER;
	if (!ep_wire_ip_equal(&outer.dst, &match->local) || !quoted_parse(&outer, &quoted) ||
		!quoted_is_ours(match, &quoted, &port_index))
		return EP_SLOW_FOREIGN;
	verdict = quoted_verify(match, &quoted, &flow);
	if (verdict == EP_SLOW_FORGED)
		return verdict;
	*quote = (struct ep_slow_quote){
		.from = outer.src,
		.type = outer.payload[0],
		.code = outer.payload[1],
		.port_index = verdict == EP_SLOW_FLOW ? ep_sched_port_index(match->space, flow)
						      : port_index,
		.flow = flow,
		.mtu_bytes = mtu_said(outer.src.family, outer.payload),
	};
	return verdict;
}
