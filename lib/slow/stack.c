/* The host stack: what a frame is, and the life of our addresses. */

#include "stack_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Answers that may come at once above the even rate. */
#define LIMIT_BURST 32

/* --- Addresses and MACs --- */

bool
stack_mac_is_host(const uint8_t mac[6])
{
	static const uint8_t zero[6];

	return (mac[0] & 1) == 0 && memcmp(mac, zero, 6) != 0;
}

/* Not unspecified, loopback or a group. A directed broadcast is not known as such here. */
bool
stack_ip_is_host(const struct ep_wire_ip *ip)
{
	static const uint8_t loopback[16] = {[15] = 1}, zero[16];

	if (ip->family == EP_WIRE_IPV6)
		return ip->bytes_be[0] != 0xFF && memcmp(ip->bytes_be, zero, 16) != 0 &&
			memcmp(ip->bytes_be, loopback, 16) != 0;
	return ip->bytes_be[0] != 0 && ip->bytes_be[0] != 127 && ip->bytes_be[0] < 224;
}

struct stack_addr *
stack_addr_find(struct ep_slow_stack *s, const struct ep_wire_ip *ip)
{
	for (uint32_t i = 0; i < s->addr_count; i++)
		if (ep_wire_ip_equal(&s->addr[i].ip, ip))
			return &s->addr[i];
	return NULL;
}

enum ep_slow_addr_state
ep_slow_stack_addr(const struct ep_slow_stack *s, uint32_t index, uint8_t other_mac[6])
{
	if (other_mac != NULL)
		memcpy(other_mac, s->addr[index].other_mac, 6);
	return s->addr[index].state;
}

/*
 * While we probe, the address is the other host's (RFC 5227 section 2.1.1, RFC 4862 section 5.4.5). Later it is defended, once in a while,
 * and kept: section 2.4 (c), for an address that an operator configured. Two such hosts do not make a storm.
 */
void
stack_conflict(
	struct ep_slow_stack *s, struct stack_addr *a, const uint8_t other_mac[6], uint64_t now_ns)
{
	if (memcmp(other_mac, s->mac, 6) == 0)
		return;
	s->count.conflicts++;
	memcpy(a->other_mac, other_mac, 6);
	if (a->state == EP_SLOW_ADDR_TENTATIVE) {
		a->state = EP_SLOW_ADDR_TAKEN;
		a->due_ns = UINT64_MAX;
	}
	if (a->state == EP_SLOW_ADDR_TAKEN ||
		(a->defended && now_ns - a->defended_ns < s->timing.defend_ns))
		return;
	a->defended = true;
	a->defended_ns = now_ns;
	if (a->left == 0)
		a->left = 1;
	a->due_ns = now_ns;
}

/* --- Making --- */

static void
timing_fill(struct ep_slow_timing *t)
{
	static const struct ep_slow_timing usual = {
		.probe_gap_ns = EP_NS_PER_S,
		.probe_count = 3,
		.announce_count = 2,
		.announce_gap_ns = 2 * EP_NS_PER_S,
		.defend_ns = 10 * EP_NS_PER_S,
		.reachable_ns = EP_NS_PER_S,
		.retrans_ns = 250 * EP_NS_PER_MS,
		.unicast_count = 2,
		.multicast_count = 3,
		.retry_ns = EP_NS_PER_S,
		.idle_ns = 60 * EP_NS_PER_S,
		.answers_pps = 1000,
	};
#define FILL(member) t->member = t->member != 0 ? t->member : usual.member
	FILL(probe_gap_ns);
	FILL(probe_count);
	FILL(announce_count);
	FILL(announce_gap_ns);
	FILL(defend_ns);
	FILL(reachable_ns);
	FILL(retrans_ns);
	FILL(unicast_count);
	FILL(multicast_count);
	FILL(retry_ns);
	FILL(idle_ns);
	FILL(answers_pps);
#undef FILL
}

static int
addrs_check(const struct ep_slow_cfg *cfg, struct ep_err *err)
{
	char text[EP_WIRE_IP_TEXT_BYTES];

	if (cfg->addr_count > EP_SLOW_ADDRS_MAX)
		return ep_err_set(err, -EINVAL, "%u addresses: at most %d can be had",
			cfg->addr_count, EP_SLOW_ADDRS_MAX);
	for (uint32_t i = 0; i < cfg->addr_count; i++) {
		const struct ep_slow_addr_cfg *a = &cfg->addr[i];
		const uint8_t bits = a->ip.family == EP_WIRE_IPV6 ? 128 : 32;

		ep_wire_ip_format(text, sizeof(text), &a->ip);
		if (!stack_ip_is_host(&a->ip))
			return ep_err_set(err, -EINVAL, "%s: is not the address of a host", text);
		if (a->prefix_bits < 1 || a->prefix_bits > bits)
			return ep_err_set(err, -EINVAL, "%s/%u: a prefix has 1 to %u bits", text,
				a->prefix_bits, bits);
	}
	return 0;
}

static int
cfg_check(const struct ep_slow_cfg *cfg, struct ep_err *err)
{
	if (!stack_mac_is_host(cfg->mac))
		return ep_err_set(err, -EINVAL,
			"%02x:%02x:%02x:%02x:%02x:%02x: is not the MAC address of a host",
			cfg->mac[0], cfg->mac[1], cfg->mac[2], cfg->mac[3], cfg->mac[4],
			cfg->mac[5]);
	if (cfg->vlan > 4094)
		return ep_err_set(err, -EINVAL, "VLAN %u: allowed are 1 to 4094", cfg->vlan);
	return addrs_check(cfg, err);
}

/* A gateway has to be reached without a gateway. */
static int
gateway_check(struct ep_slow_stack *s, struct ep_wire_ip *gateway, const struct ep_wire_ip *wanted,
	enum ep_wire_family family, struct ep_err *err)
{
	char text[EP_WIRE_IP_TEXT_BYTES];

	if (wanted->family == 0)
		return 0;
	ep_wire_ip_format(text, sizeof(text), wanted);
	if (wanted->family != family || !stack_ip_is_host(wanted) ||
		stack_addr_find(s, wanted) != NULL)
		return ep_err_set(err, -EINVAL,
			"gateway %s: is not the address of another host of its family", text);
	if (!stack_is_on_link(s, wanted))
		return ep_err_set(err, -EINVAL,
			"gateway %s: is not on the link of any of our addresses", text);
	*gateway = *wanted;
	return 0;
}

int
ep_slow_stack_create(const struct ep_slow_cfg *cfg, uint64_t now_ns, struct ep_slow_stack **out,
	struct ep_err *err)
{
	struct ep_slow_stack *s;
	int ret = cfg_check(cfg, err);

	if (ret < 0)
		return ret;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return ep_err_set(err, -ENOMEM, "no memory for the slow path");
	memcpy(s->mac, cfg->mac, 6);
	s->vlan = cfg->vlan;
	s->timing = cfg->timing;
	timing_fill(&s->timing);
	s->addr_count = cfg->addr_count;
	for (uint32_t i = 0; i < cfg->addr_count; i++)
		s->addr[i] = (struct stack_addr){
			.ip = cfg->addr[i].ip,
			.prefix_bits = cfg->addr[i].prefix_bits,
			.left = cfg->addr[i].ip.family == EP_WIRE_IPV6 ? 1 : s->timing.probe_count,
			.due_ns = now_ns,
		};
	ret = gateway_check(s, &s->gateway_ipv4, &cfg->gateway_ipv4, EP_WIRE_IPV4, err);
	if (ret == 0)
		ret = gateway_check(s, &s->gateway_ipv6, &cfg->gateway_ipv6, EP_WIRE_IPV6, err);
	if (ret < 0) {
		ep_slow_stack_destroy(s);
		return ret;
	}
	*out = s;
	return 0;
}

void
ep_slow_stack_destroy(struct ep_slow_stack *s)
{
	free(s);
}

/* --- Frames --- */

void
stack_frame_begin(
	struct ep_slow_stack *s, struct stack_out *out, const uint8_t dst_mac[6], uint16_t type)
{
	uint8_t *p;

	stack_append(out, dst_mac, 6);
	stack_append(out, s->mac, 6);
	if (s->vlan != 0) {
		p = stack_append(out, NULL, STACK_VLAN_BYTES);
		slow_put16(p, STACK_TYPE_VLAN);
		slow_put16(p + 2, s->vlan);
	}
	slow_put16(stack_append(out, NULL, 2), type);
}

uint8_t *
stack_append(struct stack_out *out, const void *bytes, size_t len)
{
	uint8_t *p = out->bytes + out->len;

	if (bytes != NULL)
		memcpy(p, bytes, len);
	else
		memset(p, 0, len);
	out->len += len;
	return p;
}

/* A tag of priority alone (identifier 0) is as none. */
static bool
frame_parse(const struct ep_slow_stack *s, const uint8_t *frame, size_t len, struct stack_frame *f)
{
	size_t at = STACK_ETHER_BYTES;
	uint16_t vlan = 0;

	if (len < STACK_ETHER_BYTES)
		return false;
	f->dst_mac = frame;
	f->src_mac = frame + 6;
	f->type = slow_get16(frame + 12);
	if (f->type == STACK_TYPE_VLAN) {
		if (len < STACK_ETHER_BYTES + STACK_VLAN_BYTES)
			return false;
		vlan = slow_get16(frame + 14) & 0x0FFF;
		f->type = slow_get16(frame + 16);
		at += STACK_VLAN_BYTES;
	}
	f->payload = frame + at;
	f->payload_bytes = len - at;
	return vlan == s->vlan && stack_mac_is_host(f->src_mac);
}

/* To us or to a group. A frame for another host, as a switch floods it, says nothing to us. */
static bool
frame_is_for_us(const struct ep_slow_stack *s, const struct stack_frame *f)
{
	return (f->dst_mac[0] & 1) != 0 || memcmp(f->dst_mac, s->mac, 6) == 0;
}

const uint8_t *
ep_slow_stack_ip(const struct ep_slow_stack *s, const uint8_t *frame, size_t len, size_t *ip_len)
{
	struct stack_frame f;

	if (!frame_parse(s, frame, len, &f) || memcmp(f.dst_mac, s->mac, 6) != 0 ||
		(f.type != STACK_TYPE_IPV4 && f.type != STACK_TYPE_IPV6))
		return NULL;
	*ip_len = f.payload_bytes;
	return f.payload;
}

/* ICMP of either family, for an address of ours or a group. */
static size_t
ip_input(struct ep_slow_stack *s, const struct stack_frame *f, uint64_t now_ns, uint8_t *out)
{
	const bool ipv6 = f->type == STACK_TYPE_IPV6;
	struct slow_ip ip;

	if (!slow_ip_parse(f->payload, f->payload_bytes, &ip) ||
		ip.src.family != (ipv6 ? EP_WIRE_IPV6 : EP_WIRE_IPV4))
		return 0;
	if (ip.protocol != (ipv6 ? SLOW_PROTO_ICMPV6 : SLOW_PROTO_ICMP) || ip.fragment)
		return 0;
	if (!slow_icmp_whole(&ip)) {
		s->count.malformed++;
		return 0;
	}
	if (ipv6 && (ip.payload[0] == 135 || ip.payload[0] == 136))
		return ndp_input(s, f, &ip, now_ns, out);
	return echo_input(s, f, &ip, now_ns, out);
}

size_t
ep_slow_stack_input(
	struct ep_slow_stack *s, const uint8_t *frame, size_t len, uint64_t now_ns, uint8_t *out)
{
	struct stack_frame f;
	size_t answer = 0;

	s->count.frames++;
	if (!frame_parse(s, frame, len, &f) || !frame_is_for_us(s, &f) ||
		memcmp(f.src_mac, s->mac, 6) == 0)
		return 0;
	if (f.type == STACK_TYPE_ARP)
		answer = arp_input(s, &f, now_ns, out);
	else if (f.type == STACK_TYPE_IPV4 || f.type == STACK_TYPE_IPV6)
		answer = ip_input(s, &f, now_ns, out);
	s->count.answered += answer > 0;
	return answer;
}

/*
 * Generic cell rate algorithm: `next` is when the next answer is due if all were evenly spaced; one may come up to a burst early.
 */
bool
stack_limit_take(struct ep_slow_stack *s, struct stack_limit *limit, uint64_t now_ns)
{
	const uint64_t gap_ns = EP_NS_PER_S / s->timing.answers_pps;

	if (limit->next_ns > now_ns + LIMIT_BURST * gap_ns) {
		s->count.limited++;
		return false;
	}
	limit->next_ns = (limit->next_ns > now_ns ? limit->next_ns : now_ns) + gap_ns;
	return true;
}

/* --- Time --- */

static size_t
addr_step(struct ep_slow_stack *s, struct stack_addr *a, uint64_t now_ns, uint8_t *out)
{
	const bool ipv6 = a->ip.family == EP_WIRE_IPV6;

	if (a->state == EP_SLOW_ADDR_TENTATIVE && a->left > 0) {
		a->left--;
		a->due_ns = now_ns + s->timing.probe_gap_ns;
		return ipv6 ? ndp_probe(s, a, out) : arp_probe(s, a, out);
	}
	if (a->state == EP_SLOW_ADDR_TENTATIVE) {
		/* Nobody said anything since the last probe. */
		a->state = EP_SLOW_ADDR_OURS;
		a->left = s->timing.announce_count;
	}
	a->left--;
	a->due_ns = a->left > 0 ? now_ns + s->timing.announce_gap_ns : UINT64_MAX;
	return ipv6 ? ndp_announce(s, a, out) : arp_announce(s, a, out);
}

size_t
ep_slow_stack_poll(struct ep_slow_stack *s, uint64_t now_ns, uint8_t *out)
{
	for (uint32_t i = 0; i < s->addr_count; i++)
		if (s->addr[i].due_ns <= now_ns)
			return addr_step(s, &s->addr[i], now_ns, out);
	return neighbour_poll(s, now_ns, out);
}

uint64_t
ep_slow_stack_due_ns(const struct ep_slow_stack *s)
{
	uint64_t due_ns = neighbour_due_ns(s);

	for (uint32_t i = 0; i < s->addr_count; i++)
		if (s->addr[i].due_ns < due_ns)
			due_ns = s->addr[i].due_ns;
	return due_ns;
}

void
ep_slow_stack_count(const struct ep_slow_stack *s, struct ep_slow_count *count)
{
	*count = s->count;
}
