#pragma once

/*
 * What the tag implementations share. Each computes AES(K, block XOR K1): RFC 4493 section 2.4 for a message of exactly one
 * whole block, where nothing is chained and K1 is the subkey.
 */

#include "ep_wire.h"

#include <stdalign.h>

#define WIRE_AES_BYTES 16
#define WIRE_AES128_ROUND_KEYS 11

typedef void (*wire_tag_burst_fn)(struct ep_wire_tagger *tagger, const struct ep_wire_block *block,
	uint32_t *tag, uint32_t count);

/* AES-NI's state: the round keys. K1 is in the first one already, as both are only ever XORed to the block. */
struct wire_aesni {
	alignas(16) uint8_t round_key[WIRE_AES128_ROUND_KEYS][WIRE_AES_BYTES];
};

/* OpenSSL's state. */
struct wire_openssl {
	struct evp_cipher_ctx_st *cipher; /* Owned; NULL when not in use. */
	uint8_t k1[WIRE_AES_BYTES];
	struct ep_wire_block scratch[EP_WIRE_BURST]; /* Of the running call. */
};

/* Written by its owner thread only. One of the two states is in use. */
struct ep_wire_tagger {
	wire_tag_burst_fn burst;
	const char *name;
	struct wire_aesni aesni;
	struct wire_openssl openssl;
};

/* Set up a zeroed tagger. 0 or -EIO (OpenSSL failed). */
int wire_openssl_init(struct ep_wire_tagger *tagger, const uint8_t key[EP_WIRE_KEY_BYTES],
	const uint8_t k1[WIRE_AES_BYTES]);

/* Set up a zeroed tagger. 0 or -ENOTSUP (not an x86-64 CPU with AES-NI). */
int wire_aesni_init(struct ep_wire_tagger *tagger, const uint8_t key[EP_WIRE_KEY_BYTES],
	const uint8_t k1[WIRE_AES_BYTES]);

/* An AES-128-ECB encryption context without padding, or NULL. The caller frees it. */
struct evp_cipher_ctx_st *wire_ecb_create(const uint8_t key[EP_WIRE_KEY_BYTES]);
