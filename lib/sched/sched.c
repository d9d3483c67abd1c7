/*
 * The order of flows, and why the arithmetic is exact.
 *
 * Permutation. perm = S_3 . S_2 . S_1 . S_0 . A on Z_F, F = flow_count, 1 <= F < 2^32:
 *
 *   A(i)   = i * stride mod F, gcd(stride, F) = 1                      a bijection, inverse i * stride^-1 mod F
 *   S_r(x) = x or x' = K_r - x mod F, decided by one bit of H(max(x, x') ^ mix_r)
 *
 * S_r is a swap-or-not round (Hoang, Morris, Rogaway, CRYPTO 2012): x and x' are each other's partner and, as H sees the
 * larger of the two, decide alike, so S_r is its own inverse. Both kinds work in Z_F itself for every F, so there is no rounding
 * up to a power of two and no walk along cycles: each packet costs the same, and a burst of them is independent work for the
 * CPU. Two positions that decide alike in all rounds (one pair in 2^EP_SCHED_ROUNDS) keep their distance; A makes that stride
 * for neighbours, and not 1. This is for even spread, not for secrecy: H is a multiplicative hash and the seed is no key.
 *
 * A without division (Shoup). Let w = stride, w' = floor(w 2^32 / F), q = floor(w' x / 2^32), x < 2^32. With
 * w' = w 2^32 / F - e, 0 <= e < 1: w' x / 2^32 = w x / F - e x / 2^32 lies in (w x / F - 1, w x / F], so q is floor(w x / F) or
 * one less and w x - q F lies in [0, 2 F): one conditional subtraction. w < F makes w' < 2^32; w x and q F stay below 2^64.
 *
 * n div d without division. Let m = floor((2^32 - 1) / d) = (2^32 - 1 - e) / d, 0 <= e < d, and n < 2^32, 1 <= d < 2^32. Then
 *
 *   n m / 2^32 = n / d - g,   g = (n / 2^32) ((1 + e) / d),   0 <= g < 1
 *
 * so q = floor(n m / 2^32) is floor(n / d) or one less, n - q d lies in [0, 2 d), and one correction makes both right. That
 * n - q d may not fit 32 bits for d > 2^31 does no harm: q is 0 or 1 there, and n - q d <= n.
 *
 * A burst. A(i + k) = A(i) + k * stride mod F: both are below F, and their sum is taken modulo F by comparing A(i) with
 * F - (k * stride mod F), which fits 32 bits where the sum does not.
 */

#include "ep_sched.h"

#include <assert.h>
#include <errno.h>

/* splitmix64: the seed's 64 bits spread over as many numbers as needed. */
static uint64_t
seed_next(uint64_t *seed)
{
	uint64_t z = (*seed += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static uint32_t
seed_below(uint64_t *seed, uint32_t n)
{
	return (uint32_t)((seed_next(seed) >> 32) * n >> 32);
}

static uint32_t
gcd(uint32_t a, uint32_t b)
{
	while (b != 0) {
		const uint32_t r = a % b;

		a = b;
		b = r;
	}
	return a;
}

/* Starts in the middle half, so that neighbours land far apart; ends at 1 (or 0 for F = 1) at the latest. */
static uint32_t
stride_choose(uint32_t flow_count, uint64_t *seed)
{
	uint32_t stride = flow_count / 4 + seed_below(seed, flow_count / 2 + 1);

	stride %= flow_count;
	while (gcd(stride, flow_count) != 1)
		stride = stride + 1 == flow_count ? 0 : stride + 1;
	return stride;
}

static void
perm_init(struct ep_sched *s, uint64_t seed)
{
	s->stride = stride_choose(s->flow_count, &seed);
	s->stride_recip = (uint32_t)(((uint64_t)s->stride << 32) / s->flow_count);
	for (uint32_t k = 0; k < EP_SCHED_BURST; k++)
		s->step[k] = (uint32_t)((uint64_t)k * s->stride % s->flow_count);
	for (unsigned int round = 0; round < EP_SCHED_ROUNDS; round++) {
		s->round_key[round] = seed_below(&seed, s->flow_count);
		s->round_mix[round] = (uint32_t)seed_next(&seed);
	}
}

static int
cfg_check(const struct ep_sched_cfg *cfg, struct ep_err *err)
{
	if (cfg->port_count < 1 || cfg->port_count > 65536)
		return ep_err_set(err, -EINVAL, "%u destination ports; allowed are 1 to 65536",
			cfg->port_count);
	if (cfg->address_count < 1)
		return ep_err_set(err, -EINVAL, "no initiator address; allowed are 1 or more");
	if (cfg->source_base < 1 || cfg->source_span < 1 ||
		cfg->source_span > 65536U - cfg->source_base)
		return ep_err_set(err, -EINVAL,
			"%u source ports from %u; allowed are ports 1 to 65535", cfg->source_span,
			cfg->source_base);
	if (cfg->source_count < 1 || cfg->source_count > cfg->source_span)
		return ep_err_set(err, -EINVAL,
			"%u source ports per destination port; allowed are 1 to %u",
			cfg->source_count, cfg->source_span);
	return 0;
}

int
ep_sched_init(struct ep_sched *s, const struct ep_sched_cfg *cfg, struct ep_err *err)
{
	uint64_t flow_count;
	const int ret = cfg_check(cfg, err);

	if (ret < 0)
		return ret;
	/* The first product is at most 65536 * 65535, so the second stays below 2^64. */
	flow_count = (uint64_t)cfg->port_count * cfg->source_count * cfg->address_count;
	if (flow_count > UINT32_MAX)
		return ep_err_set(err, -ERANGE,
			"%u addresses x %u source ports x %u destination ports are %ju flows; "
			"allowed are at most %u",
			cfg->address_count, cfg->source_count, cfg->port_count,
			(uintmax_t)flow_count, UINT32_MAX);
	*s = (struct ep_sched){
		.flow_count = (uint32_t)flow_count,
		.port_count = cfg->port_count,
		.source_count = cfg->source_count,
		.address_count = cfg->address_count,
		.source_base = cfg->source_base,
		.source_span = cfg->source_span,
		.port_recip = UINT32_MAX / cfg->port_count,
		.source_recip = UINT32_MAX / cfg->source_count,
		.span_recip = UINT32_MAX / cfg->source_span,
	};
	perm_init(s, cfg->seed);
	return 0;
}

int
ep_sched_init_list(struct ep_sched *s, uint32_t count, uint64_t seed, struct ep_err *err)
{
	/* One port and one source each: the numbers are all addresses. */
	const struct ep_sched_cfg cfg = {
		.port_count = 1,
		.source_count = 1,
		.address_count = count,
		.source_base = 1,
		.source_span = 1,
		.seed = seed,
	};

	if (count == 0)
		return ep_err_set(
			err, -EINVAL, "the list of flows is empty; allowed are 1 or more");
	return ep_sched_init(s, &cfg, err);
}

/* a^-1 mod m for coprime a and m, by Euclid; 0 for m = 1. Invariant: r = t * a mod m for both pairs. */
static uint32_t
inverse_mod(uint32_t a, uint32_t m)
{
	int64_t t = 0, t_next = 1;
	int64_t r = m, r_next = a;

	while (r_next != 0) {
		const int64_t q = r / r_next;
		const int64_t t_old = t, r_old = r;

		t = t_next;
		t_next = t_old - q * t_next;
		r = r_next;
		r_next = r_old - q * r_next;
	}
	return (uint32_t)(t < 0 ? t + m : t) % m;
}

uint32_t
ep_sched_perm_inverse(const struct ep_sched *s, uint32_t flow)
{
	const uint64_t stride_inverse = inverse_mod(s->stride, s->flow_count);
	uint32_t x = flow;

	for (unsigned int round = EP_SCHED_ROUNDS; round > 0; round--)
		x = ep_sched_round(s, round - 1, x);
	return (uint32_t)(x * stride_inverse % s->flow_count);
}

struct ep_sched_flow
ep_sched_flow_of(const struct ep_sched *s, uint32_t flow)
{
	return (struct ep_sched_flow){
		.address = flow / s->port_count / s->source_count,
		.port_index = ep_sched_port_index(s, flow),
		.source_port = ep_sched_source_port(s, flow),
	};
}

struct ep_sched_cursor
ep_sched_shard(const struct ep_sched *s, uint32_t shard, uint32_t shard_count)
{
	const uint64_t flow_count = s->flow_count;
	struct ep_sched_cursor c = {0};

	assert(shard < shard_count);
	c.first = (uint32_t)(flow_count * shard / shard_count);
	c.end = (uint32_t)(flow_count * (shard + UINT64_C(1)) / shard_count);
	c.next = c.first;
	return c;
}

void
ep_sched_rewind(struct ep_sched_cursor *c, uint32_t count)
{
	while (count > c->next - c->first) {
		assert(c->seq > 0);
		count -= c->next - c->first;
		c->next = c->end;
		c->seq--;
	}
	c->next -= count;
}

uint64_t
ep_sched_taken(const struct ep_sched_cursor *c)
{
	return c->seq * (c->end - c->first) + (c->next - c->first);
}

void
ep_sched_count_ports(const struct ep_sched *s, const struct ep_sched_cursor *c,
	const struct ep_sched *space, const uint32_t *list, uint64_t *sent)
{
	for (uint32_t position = c->first; position < c->end; position++) {
		const uint32_t value = ep_sched_perm(s, position);
		const uint32_t flow = list != NULL ? list[value] : value;

		sent[ep_sched_port_index(space, flow)] += c->seq + (position < c->next);
	}
}
