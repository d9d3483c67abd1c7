#include "wire_priv.h"

#include <errno.h>

#ifdef __x86_64__

#include <immintrin.h>

/* Blocks in flight: a round takes 3 to 8 cycles, and 1 or 2 of them start in each cycle. 8 states and a round key fit the 16
 * registers. */
#define LANES 8

/* Only these functions may use the instructions; the rest of the program runs on any x86-64. */
#define AESNI __attribute__((target("aes,sse2")))

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
AESNI static void
expand_key(__m128i rk[WIRE_AES128_ROUND_KEYS], const uint8_t key[EP_WIRE_KEY_BYTES])
{
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
}

AESNI static void
tag_lanes(const __m128i rk[WIRE_AES128_ROUND_KEYS], const struct ep_wire_block block[LANES],
	uint32_t tag[LANES])
{
	__m128i s[LANES];

#pragma GCC unroll 8
	for (unsigned int i = 0; i < LANES; i++)
		s[i] = _mm_xor_si128(_mm_load_si128((const __m128i *)block[i].bytes_be), rk[0]);
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

/* The last, incomplete group runs in a padded copy: cheaper than one block after the other. */
static void
aesni_burst(struct ep_wire_tagger *tagger, const struct ep_wire_block *block, uint32_t *tag,
	uint32_t count)
{
	const __m128i *const rk = (const __m128i *)tagger->aesni.round_key;
	const uint32_t rest = count % LANES;
	const uint32_t whole = count - rest;
	struct ep_wire_block rest_block[LANES];
	uint32_t rest_tag[LANES];

	for (uint32_t i = 0; i < whole; i += LANES)
		tag_lanes(rk, block + i, tag + i);
	if (rest == 0)
		return;
	memset(rest_block, 0, sizeof(rest_block));
	memcpy(rest_block, block + whole, rest * sizeof(*block));
	tag_lanes(rk, rest_block, rest_tag);
	memcpy(tag + whole, rest_tag, rest * sizeof(*tag));
}

int
wire_aesni_init(struct ep_wire_tagger *tagger, const uint8_t key[EP_WIRE_KEY_BYTES],
	const uint8_t k1[WIRE_AES_BYTES])
{
	__m128i *const rk = (__m128i *)tagger->aesni.round_key;

	if (!__builtin_cpu_supports("aes"))
		return -ENOTSUP;
	expand_key(rk, key);
	rk[0] = _mm_xor_si128(rk[0], _mm_loadu_si128((const __m128i *)k1));
	tagger->burst = aesni_burst;
	tagger->name = "aesni";
	return 0;
}

#else

int
wire_aesni_init(struct ep_wire_tagger *tagger, const uint8_t key[EP_WIRE_KEY_BYTES],
	const uint8_t k1[WIRE_AES_BYTES])
{
	(void)tagger;
	(void)key;
	(void)k1;
	return -ENOTSUP;
}

#endif
