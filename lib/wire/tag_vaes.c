#include "wire_priv.h"

#include <cpuid.h>
#include <immintrin.h>

/*
 * AES-NI's instructions on 4 or 2 blocks at a time. Only these functions may use them; the rest of the program runs on any
 * x86-64. The round keys are AES-NI's: loading one into all blocks of a register costs no more than a plain load.
 *
 * Registers go in fours, whose tags fill one register. `eight` is a literal in every caller: 8 of them in flight, so that the
 * 3 or 4 cycles of a round are never waited for, or 4, which take no longer than 1.
 */

#define VAES512 __attribute__((target("aes,vaes,avx2,avx512f,avx512bw")))
#define VAES256 __attribute__((target("aes,vaes,avx2")))
#define INLINE __attribute__((always_inline)) static inline

#define LAST (WIRE_AES128_ROUND_KEYS - 1)

/* A big-endian word in each 4 bytes, to host order. */
#define SWAP_WORDS _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3)

/* --- 2 blocks a register -------------------------------------------------------------------------------------------- */

#define FOUR_256 8 /* Blocks in 4 registers. */

VAES256 INLINE __m256i
key_256(const __m128i *key)
{
	return _mm256_broadcastsi128_si256(*key);
}

VAES256 INLINE void
load_256(__m256i s[4], const struct ep_wire_block block[FOUR_256], __m256i key)
{
#pragma GCC unroll 4
	for (unsigned int i = 0; i < 4; i++)
		s[i] = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(block + 2 * i)), key);
}

/* Fewer blocks than the registers hold: the last one stands in for those that are missing. */
VAES256 INLINE void
load_rest_256(
	__m256i s[4], const struct ep_wire_block *block, uint32_t count, uint32_t from, __m256i key)
{
#pragma GCC unroll 4
	for (uint32_t i = from; i < from + FOUR_256; i += 2) {
		const uint32_t low = i < count ? i : count - 1;
		const uint32_t high = i + 1 < count ? i + 1 : count - 1;

		*s++ = _mm256_xor_si256(_mm256_setr_m128i(*(const __m128i *)block[low].bytes_be,
						*(const __m128i *)block[high].bytes_be),
			key);
	}
}

VAES256 INLINE void
round_256(__m256i s[4], __m256i key)
{
#pragma GCC unroll 4
	for (unsigned int i = 0; i < 4; i++)
		s[i] = _mm256_aesenc_epi128(s[i], key);
}

/* The last round, and the first words of the 8 blocks, in order. */
VAES256 INLINE void
finish_256(__m256i s[4], __m256i key, uint32_t tag[FOUR_256])
{
	const __m256i order = _mm256_set_epi32(7, 3, 6, 2, 5, 1, 4, 0);
	__m256i words;

#pragma GCC unroll 4
	for (unsigned int i = 0; i < 4; i++)
		s[i] = _mm256_aesenclast_epi128(s[i], key);
	words = _mm256_unpacklo_epi64(
		_mm256_unpacklo_epi32(s[0], s[1]), _mm256_unpacklo_epi32(s[2], s[3]));
	words = _mm256_shuffle_epi8(
		_mm256_permutevar8x32_epi32(words, order), _mm256_broadcastsi128_si256(SWAP_WORDS));
	_mm256_storeu_si256((__m256i *)tag, words);
}

VAES256 INLINE void
rounds_256(const __m128i *rk, __m256i *s, uint32_t *tag, const bool eight)
{
#pragma GCC unroll 9
	for (unsigned int r = 1; r < LAST; r++) {
		round_256(s, key_256(&rk[r]));
		if (eight)
			round_256(s + 4, key_256(&rk[r]));
	}
	finish_256(s, key_256(&rk[LAST]), tag);
	if (eight)
		finish_256(s + 4, key_256(&rk[LAST]), tag + FOUR_256);
}

VAES256 static void
whole_256(const __m128i *rk, const __m128i *first, const struct ep_wire_block *block, uint32_t *tag)
{
	__m256i s[8];

	load_256(s, block, key_256(first));
	load_256(s + 4, block + FOUR_256, key_256(first));
	rounds_256(rk, s, tag, true);
}

/* 1 to 8 blocks, or to 16. */
VAES256 INLINE void
rest_256(const __m128i *rk, const __m128i *first, const struct ep_wire_block *block, uint32_t *tag,
	uint32_t count, const bool eight)
{
	uint32_t out[2 * FOUR_256];
	__m256i s[8];

	load_rest_256(s, block, count, 0, key_256(first));
	if (eight)
		load_rest_256(s + 4, block, count, FOUR_256, key_256(first));
	rounds_256(rk, s, out, eight);
	memcpy(tag, out, count * sizeof(*tag));
}

VAES256 static void
vaes256_burst(struct ep_wire_tagger *tagger, const uint8_t *first,
	const struct ep_wire_block *block, uint32_t *tag, uint32_t count)
{
	const __m128i *const first_key = (const __m128i *)first;
	const __m128i *const rk = (const __m128i *)tagger->keys.round_key;

	for (; count >= 2 * FOUR_256; count -= 2 * FOUR_256) {
		whole_256(rk, first_key, block, tag);
		block += 2 * FOUR_256;
		tag += 2 * FOUR_256;
	}
	if (count > FOUR_256)
		rest_256(rk, first_key, block, tag, count, true);
	else if (count > 0)
		rest_256(rk, first_key, block, tag, count, false);
}

/* --- 4 blocks a register -------------------------------------------------------------------------------------------- */

#define FOUR_512 16 /* Blocks in 4 registers. */

VAES512 INLINE __m512i
key_512(const __m128i *key)
{
	return _mm512_broadcast_i32x4(*key);
}

/* The first words of the 16 blocks, in order. */
VAES512 INLINE __m512i
words_512(const __m512i s[4])
{
	const __m512i order =
		_mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
	const __m512i words = _mm512_unpacklo_epi64(
		_mm512_unpacklo_epi32(s[0], s[1]), _mm512_unpacklo_epi32(s[2], s[3]));

	return _mm512_shuffle_epi8(
		_mm512_permutexvar_epi32(order, words), _mm512_broadcast_i32x4(SWAP_WORDS));
}

VAES512 INLINE void
whole_512(const __m128i *rk, const __m128i *first, const struct ep_wire_block block[FOUR_512],
	uint32_t tag[FOUR_512])
{
	__m512i s[4];

#pragma GCC unroll 4
	for (unsigned int i = 0; i < 4; i++)
		s[i] = _mm512_xor_si512(_mm512_loadu_si512(block + 4 * i), key_512(first));
#pragma GCC unroll 9
	for (unsigned int r = 1; r < LAST; r++) {
#pragma GCC unroll 4
		for (unsigned int i = 0; i < 4; i++)
			s[i] = _mm512_aesenc_epi128(s[i], key_512(&rk[r]));
	}
#pragma GCC unroll 4
	for (unsigned int i = 0; i < 4; i++)
		s[i] = _mm512_aesenclast_epi128(s[i], key_512(&rk[LAST]));
	_mm512_storeu_si512(tag, words_512(s));
}

/*
 * Half after half, not 8 registers abreast: the first half computes while the second one's blocks, written a moment ago, still
 * are on their way to the cache. Wider loads wait longer for them, so that anything but a whole burst is faster in narrow ones.
 */
VAES512 static void
vaes512_burst(struct ep_wire_tagger *tagger, const uint8_t *first,
	const struct ep_wire_block *block, uint32_t *tag, uint32_t count)
{
	const __m128i *const first_key = (const __m128i *)first;
	const __m128i *const rk = (const __m128i *)tagger->keys.round_key;

	if (count < EP_WIRE_BURST) {
		vaes256_burst(tagger, first, block, tag, count);
		return;
	}
	whole_512(rk, first_key, block, tag);
	whole_512(rk, first_key, block + FOUR_512, tag + FOUR_512);
}

/* --- What the CPU has ----------------------------------------------------------------------------------------------- */

/* Clang 14's __builtin_cpu_supports() does not know this name. That the system saves the registers, the other names say. */
static bool
cpu_has_vaes(void)
{
	unsigned int eax, ebx, ecx = 0, edx;

	return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_VAES) != 0;
}

static bool
vaes256_available(void)
{
	return cpu_has_vaes() && __builtin_cpu_supports("aes") && __builtin_cpu_supports("avx2");
}

static bool
vaes512_available(void)
{
	return vaes256_available() && __builtin_cpu_supports("avx512f") &&
		__builtin_cpu_supports("avx512bw");
}

const struct wire_impl wire_impl_vaes512 = {
	.id = EP_WIRE_TAG_VAES512,
	.name = "vaes512",
	.available = vaes512_available,
	.set_key = wire_aesni_set_key,
	.burst = vaes512_burst,
};

const struct wire_impl wire_impl_vaes256 = {
	.id = EP_WIRE_TAG_VAES256,
	.name = "vaes256",
	.available = vaes256_available,
	.set_key = wire_aesni_set_key,
	.burst = vaes256_burst,
};
