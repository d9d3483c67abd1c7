#include "wire_priv.h"

#include <arm_neon.h>
#include <openssl/crypto.h>
#include <sys/auxv.h>

#ifndef HWCAP_AES
#define HWCAP_AES (1 << 3)
#endif

/* Blocks in flight: a round takes 2 to 5 cycles, and 1 or 2 of them start in each. 8 states and the 11 round keys fit the 32
 * registers. */
#define LANES 8

/* Only these functions may use the instructions; the rest of the program runs on any ARMv8. */
#define CRYPTO __attribute__((target("+crypto")))
#define INLINE __attribute__((always_inline)) static inline

/* FIPS 197's SubWord without a table: in a block of four equal columns ShiftRows moves nothing, so AESE leaves SubBytes. */
CRYPTO static uint32_t
sub_word(uint32_t word)
{
	const uint8x16_t column = vreinterpretq_u8_u32(vdupq_n_u32(word));

	return vgetq_lane_u32(vreinterpretq_u32_u8(vaeseq_u8(column, vdupq_n_u8(0))), 0);
}

/* FIPS 197 section 5.2. Words are little-endian, so RotWord, which brings the second byte to the front, is a rotation right. */
CRYPTO static int
armv8_set_key(struct ep_wire_tagger *tagger, const uint8_t key[EP_WIRE_KEY_BYTES])
{
	static const uint8_t rcon[] = {0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x1b, 0x36};
	uint8_t(*const rk)[WIRE_AES_BYTES] = tagger->keys.round_key;
	uint8_t *const first = tagger->first[WIRE_MESSAGE_BLOCK];
	uint32_t w[4];

	memcpy(w, key, sizeof(w));
	memcpy(rk[0], key, sizeof(w));
	for (unsigned int r = 1; r < WIRE_AES128_ROUND_KEYS; r++) {
		w[0] ^= sub_word(w[3] >> 8 | w[3] << 24) ^ rcon[r - 1];
		w[1] ^= w[0];
		w[2] ^= w[1];
		w[3] ^= w[2];
		memcpy(rk[r], w, sizeof(w));
	}
	OPENSSL_cleanse(w, sizeof(w));
	vst1q_u8(first, veorq_u8(vld1q_u8(first), vld1q_u8(rk[0])));
	return 0;
}

/* LANES tags. Where there are fewer blocks, the last one stands in for those that are missing. AESE adds its key before the
 * round and not after it, so the last key is added alone; only its first word is in the tag. */
CRYPTO INLINE void
lanes(const uint8_t rk[][WIRE_AES_BYTES], const uint8_t *first, const struct ep_wire_block *block,
	uint32_t *tag, uint32_t count)
{
	uint8x16_t s[LANES];
	uint32_t last;

#pragma GCC unroll 8
	for (uint32_t i = 0; i < LANES; i++)
		s[i] = vld1q_u8(block[i < count ? i : count - 1].bytes_be);
	for (unsigned int r = 0; r < WIRE_AES128_ROUND_KEYS - 2; r++) {
		const uint8x16_t key = vld1q_u8(r == 0 ? first : rk[r]);

		/* One after the other for each block: most cores fuse the two. */
#pragma GCC unroll 8
		for (unsigned int i = 0; i < LANES; i++)
			s[i] = vaesmcq_u8(vaeseq_u8(s[i], key));
	}
	memcpy(&last, rk[WIRE_AES128_ROUND_KEYS - 1], sizeof(last));
#pragma GCC unroll 8
	for (unsigned int i = 0; i < LANES; i++) {
		s[i] = vaeseq_u8(s[i], vld1q_u8(rk[WIRE_AES128_ROUND_KEYS - 2]));
		tag[i] = be32toh(vgetq_lane_u32(vreinterpretq_u32_u8(s[i]), 0) ^ last);
	}
}

CRYPTO static void
armv8_burst(struct ep_wire_tagger *tagger, const uint8_t *first, const struct ep_wire_block *block,
	uint32_t *tag, uint32_t count)
{
	const uint8_t(*const rk)[WIRE_AES_BYTES] = tagger->keys.round_key;
	uint32_t rest[LANES];

	for (; count >= LANES; count -= LANES) {
		lanes(rk, first, block, tag, LANES);
		block += LANES;
		tag += LANES;
	}
	if (count > 0) {
		lanes(rk, first, block, rest, count);
		memcpy(tag, rest, count * sizeof(*tag));
	}
}

static bool
armv8_available(void)
{
	return (getauxval(AT_HWCAP) & HWCAP_AES) != 0;
}

const struct wire_impl wire_impl_armv8 = {
	.id = EP_WIRE_TAG_ARMV8,
	.name = "armv8",
	.available = armv8_available,
	.set_key = armv8_set_key,
	.burst = armv8_burst,
};
