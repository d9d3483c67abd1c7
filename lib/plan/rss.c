/*
 * Toeplitz hash and redirection table.
 *
 * The hash is the XOR, over the 1 bits of the input, of the 32 key bits that begin at the bit's place. It is linear, so
 *
 *   H(src, dst, sport, dport) = A(src, dst) ^ S(sport) ^ D(dport)
 *
 * with the ports at bit p = 64 (IPv4) or 256 (IPv6): S takes the key from bit p on, D from bit p + 16 on.
 *
 * A key K that repeats every 32 bits, and K' = K moved by 16 bits: S' = D and D' = S, for both families. A packet and its answer
 * then have hashes that differ by A(src, dst) ^ A'(dst, src) only, a constant. Over a word of odd weight the hash is a bijection of
 * (sport, dport): the polynomial of the word has no root at 1, and x^32 - 1 = (x - 1)^32 over GF(2).
 */

#include "plan_priv.h"

#include <errno.h>
#include <string.h>

#define WORD_BYTES 4
/* Odd in weight: 19 bits. Its first bits are those of the key in Microsoft's verification suite. */
static const uint8_t own_word[WORD_BYTES] = {0x6d, 0x5a, 0x56, 0xdb};

/* 32 bits of the key from bit @p from on; 0 behind its end. */
static uint32_t
key_window(const struct ep_plan_rss *rss, uint32_t from)
{
	uint64_t bits = 0;

	for (uint32_t i = from / 8; i < from / 8 + 5; i++)
		bits = bits << 8 | (i < rss->key_bytes ? rss->key[i] : 0);
	return (uint32_t)(bits >> (8 - from % 8));
}

/* Hash of @p count bytes that stand at byte @p at of the input. */
static uint32_t
hash_bytes(const struct ep_plan_rss *rss, uint32_t at, const uint8_t *bytes, uint32_t count)
{
	uint32_t hash = 0;

	for (uint32_t bit = 0; bit < 8 * count; bit++)
		if (bytes[bit / 8] >> (7 - bit % 8) & 1)
			hash ^= key_window(rss, 8 * at + bit);
	return hash;
}

static uint32_t
ip_bytes(const struct ep_wire_ip *ip)
{
	return ip->family == EP_WIRE_IPV4 ? 4 : 16;
}

uint32_t
plan_rss_addresses(
	const struct ep_plan_rss *rss, const struct ep_wire_ip *src, const struct ep_wire_ip *dst)
{
	const uint32_t len = ip_bytes(src);

	return hash_bytes(rss, 0, src->bytes_be, len) ^ hash_bytes(rss, len, dst->bytes_be, len);
}

uint32_t
plan_rss_port(const struct ep_plan_rss *rss, enum ep_wire_family family, enum plan_rss_place place,
	uint16_t port)
{
	const uint8_t bytes[2] = {(uint8_t)(port >> 8), (uint8_t)port};
	const uint32_t at = family == EP_WIRE_IPV4 ? 8 : 32;

	if (rss->hash != EP_PLAN_HASH_PORTS)
		return 0;
	return hash_bytes(rss, place == PLAN_RSS_SPORT ? at : at + 2, bytes, sizeof(bytes));
}

uint32_t
ep_plan_rss_hash(const struct ep_plan_rss *rss, const struct ep_plan_tuple *tuple)
{
	return plan_rss_addresses(rss, &tuple->src, &tuple->dst) ^
		plan_rss_port(rss, tuple->src.family, PLAN_RSS_SPORT, tuple->sport) ^
		plan_rss_port(rss, tuple->src.family, PLAN_RSS_DPORT, tuple->dport);
}

uint16_t
ep_plan_rss_queue(const struct ep_plan_rss *rss, const struct ep_plan_tuple *tuple)
{
	return rss->reta[ep_plan_rss_hash(rss, tuple) & (rss->reta_count - 1)];
}

int
plan_rss_check(const struct ep_plan_rss *rss, struct ep_err *err)
{
	const uint32_t n = rss->reta_count;

	if (rss->key_bytes < EP_PLAN_KEY_MIN || rss->key_bytes > EP_PLAN_KEY_MAX)
		return ep_err_set(err, -EINVAL, "an RSS key of %u B; allowed are %d to %d",
			rss->key_bytes, EP_PLAN_KEY_MIN, EP_PLAN_KEY_MAX);
	if (n < 1 || n > EP_PLAN_RETA_MAX || (n & (n - 1)) != 0)
		return ep_err_set(err, -EINVAL,
			"an RSS table of %u entries; allowed are powers of two up to %d", n,
			EP_PLAN_RETA_MAX);
	for (uint32_t i = 0; i < n; i++)
		if (rss->reta[i] >= EP_PLAN_QUEUES_MAX)
			return ep_err_set(err, -EINVAL,
				"entry %u of the RSS table names queue %u; allowed are 0 to %d", i,
				rss->reta[i], EP_PLAN_QUEUES_MAX - 1);
	return 0;
}

int
ep_plan_rss_init(struct ep_plan_rss *rss, uint32_t key_bytes, uint32_t reta_count,
	uint16_t first_queue, uint16_t queue_count, struct ep_err *err)
{
	struct ep_plan_rss made = {
		.hash = EP_PLAN_HASH_PORTS, .key_bytes = key_bytes, .reta_count = reta_count};
	int ret;

	if (queue_count < 1 || queue_count > reta_count ||
		first_queue + queue_count > EP_PLAN_QUEUES_MAX)
		return ep_err_set(err, -EINVAL,
			"%u queues from %u in an RSS table of %u entries; allowed are 1 to as many "
			"as "
			"it has, numbered 0 to %d",
			queue_count, first_queue, reta_count, EP_PLAN_QUEUES_MAX - 1);
	for (uint32_t i = 0; i < reta_count && i < EP_PLAN_RETA_MAX; i++)
		made.reta[i] = (uint16_t)(first_queue + i % queue_count);
	for (uint32_t i = 0; i < key_bytes && i < EP_PLAN_KEY_MAX; i++)
		made.key[i] = own_word[i % WORD_BYTES];
	ret = plan_rss_check(&made, err);
	if (ret == 0)
		*rss = made;
	return ret;
}

static bool
key_repeats(const struct ep_plan_rss *rss)
{
	for (uint32_t i = WORD_BYTES; i < rss->key_bytes; i++)
		if (rss->key[i] != rss->key[i - WORD_BYTES])
			return false;
	return true;
}

int
ep_plan_rss_mirror(const struct ep_plan_rss *up, const struct ep_wire_ip *initiator,
	const struct ep_wire_ip *responder, struct ep_plan_rss *down, struct ep_err *err)
{
	struct ep_plan_rss made = *up;
	uint32_t moved;
	int ret = plan_rss_check(up, err);

	if (ret < 0)
		return ret;
	if (up->hash != EP_PLAN_HASH_PORTS || !key_repeats(up))
		return ep_err_set(err, -ENOTSUP, "the RSS of the responder's NIC has no mirror: %s",
			up->hash != EP_PLAN_HASH_PORTS ? "it does not hash the ports"
						       : "its key does not repeat every 32 bits");
	for (uint32_t i = 0; i < made.key_bytes; i++)
		made.key[i] = up->key[(i + WORD_BYTES / 2) % WORD_BYTES];
	moved = plan_rss_addresses(up, initiator, responder) ^
		plan_rss_addresses(&made, responder, initiator);
	for (uint32_t i = 0; i < made.reta_count; i++)
		made.reta[i] = up->reta[(i ^ moved) & (up->reta_count - 1)];
	*down = made;
	return 0;
}
