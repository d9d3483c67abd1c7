#include "wire_priv.h"

#include <immintrin.h>

/* Blocks in flight: a round takes 3 to 8 cycles, and 1 or 2 of them start in each cycle. 8 states and a round key fit the 16
 * registers. */
#define LANES 8

/* Only these functions may use the instructions; the rest of the program runs on any x86-64. */
#define AESNI __attribute__((target("aes,sse2")))
#define INLINE __attribute__((always_inline)) static inline

/* The next round key from the last one and its keygenassist (FIPS 197 section 5.2): each word is XORed to all after it. */
AESNI static inline __m128i
next_key(__m128i key, __m128i assist)
{
	assist = _mm_shuffle_epi32(assist, 0xff);
	key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
	key = _mm_xor_si128(key, _mm_slli_si128(key, 8));
	return _mm_xor_si128(key, assist);
}

/* The round constants have to be literals, hence no loop. */
AESNI int
wire_aesni_set_key(struct ep_wire_tagger *tagger, const uint8_t key[EP_WIRE_KEY_BYTES])
{
	__m128i *const first = (__m128i *)tagger->first[WIRE_MESSAGE_BLOCK];
	__m128i *const rk = (__m128i *)tagger->keys.round_key;

	rk[0] = _mm_loadu_si128((const __m128i *)key);
	rk[1] = next_key(rk[0], _mm_aeskeygenassist_si128(rk[0], 0x01));
	rk[2] = next_key(rk[1], _mm_aeskeygenassist_si128(rk[1], 0x02));
	rk[3] = next_key(rk[2], _mm_aeskeygenassist_si128(rk[2], 0x04));
	rk[4] = next_key(rk[3], _mm_aeskeygenassist_si128(rk[3], 0x08));
	rk[5] = next_key(rk[4], _mm_aeskeygenassist_si128(rk[4], 0x10));
	rk[6] = next_key(rk[5], _mm_aeskeygenassist_si128(rk[5], 0x20));
	rk[7] = next_key(rk[6], _mm_aeskeygenassist_si128(rk[6], 0x40));
	rk[8] = next_key(rk[7], _mm_aeskeygenassist_si128(rk[7], 0x80));
	rk[9] = next_key(rk[8], _mm_aeskeygenassist_si128(rk[8], 0x1b));
	rk[10] = next_key(rk[9], _mm_aeskeygenassist_si128(rk[9], 0x36));
	*first = _mm_xor_si128(*first, rk[0]);
	return 0;
}

/* LANES tags. Where there are fewer blocks, the last one stands in for those that are missing. */
AESNI INLINE void
lanes(const __m128i rk[WIRE_AES128_ROUND_KEYS], const __m128i *first,
	const struct ep_wire_block *block, uint32_t *tag, uint32_t count)
{
	__m128i s[LANES];

#pragma GCC unroll 8
	for (uint32_t i = 0; i < LANES; i++) {
		const uint32_t from = i < count ? i : count - 1;

		s[i] = _mm_xor_si128(*(const __m128i *)block[from].bytes_be, *first);
	}
	for (unsigned int r = 1; r < WIRE_AES128_ROUND_KEYS - 1; r++) {
		const __m128i key = rk[r];

#pragma GCC unroll 8
		for (unsigned int i = 0; i < LANES; i++)
			s[i] = _mm_aesenc_si128(s[i], key);
	}
#pragma GCC unroll 8
	for (unsigned int i = 0; i < LANES; i++) {
		s[i] = _mm_aesenclast_si128(s[i], rk[WIRE_AES128_ROUND_KEYS - 1]);
		tag[i] = be32toh((uint32_t)_mm_cvtsi128_si32(s[i]));
	}
}

AESNI static void
aesni_burst(struct ep_wire_tagger *tagger, const uint8_t *first, const struct ep_wire_block *block,
	uint32_t *tag, uint32_t count)
{
	const __m128i *const first_key = (const __m128i *)first;
	const __m128i *const rk = (const __m128i *)tagger->keys.round_key;
	uint32_t rest[LANES];

	for (; count >= LANES; count -= LANES) {
		lanes(rk, first_key, block, tag, LANES);
		block += LANES;
		tag += LANES;
	}
	if (count > 0) {
		lanes(rk, first_key, block, rest, count);
		memcpy(tag, rest, count * sizeof(*tag));
	}
}

static bool
aesni_available(void)
{
	return __builtin_cpu_supports("aes");
}

const struct wire_impl wire_impl_aesni = {
	.id = EP_WIRE_TAG_AESNI,
	.name = "aesni",
	.available = aesni_available,
	.set_key = wire_aesni_set_key,
	.burst = aesni_burst,
};
