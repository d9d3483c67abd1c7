#pragma once

/*
 * What the tag implementations share. Each computes AES(K, block XOR K1): RFC 4493 section 2.4 for a message of exactly one
 * whole block, where nothing is chained and K1 is the subkey.
 */

#include "ep_wire.h"

#include <stdalign.h>

#define WIRE_AES_BYTES 16
#define WIRE_AES128_ROUND_KEYS 11
#define WIRE_BLOCK_PT 14 /* Where a block has the payload type. */

/* `first` is XORed to each block before anything else: see struct ep_wire_tagger. */
typedef void (*wire_tag_burst_fn)(struct ep_wire_tagger *tagger, const uint8_t *first,
	const struct ep_wire_block *block, uint32_t *tag, uint32_t count);

/* The round keys of an implementation that uses the CPU's instructions. The first one is not used from here. */
struct wire_keys {
	alignas(16) uint8_t round_key[WIRE_AES128_ROUND_KEYS][WIRE_AES_BYTES];
};

/* OpenSSL's state. */
struct wire_openssl {
	struct evp_cipher_ctx_st *cipher;            /* Owned; NULL when not in use. */
	struct ep_wire_block scratch[EP_WIRE_BURST]; /* Of the running call. */
};

/* Which messages a burst of blocks stands for. */
enum wire_message {
	WIRE_MESSAGE_BLOCK, /* Themselves. */
	WIRE_MESSAGE_ECHO,  /* Their echoes: with another PT. */
	WIRE_MESSAGES,
};

/* Written by its owner thread only. One of the two states is in use. */
struct ep_wire_tagger {
	wire_tag_burst_fn burst; /* Of `impl`: one load less for each burst. */
	const struct wire_impl *impl;
	/* What is only ever XORed to a block, in one: K1, the implementation's first round key, and what the message has other than
	 * the block. */
	alignas(16) uint8_t first[WIRE_MESSAGES][WIRE_AES_BYTES];
	struct wire_keys keys;
	struct wire_openssl openssl;
};

/* One implementation. */
struct wire_impl {
	enum ep_wire_tag_impl id;
	const char *name;
	/* Whether this CPU has the instructions and this system saves their registers. */
	bool (*available)(void);
	/* Set up the state in a zeroed tagger, whose first[WIRE_MESSAGE_BLOCK] is K1. 0 or -EIO (OpenSSL failed). */
	int (*set_key)(struct ep_wire_tagger *tagger, const uint8_t key[EP_WIRE_KEY_BYTES]);
	wire_tag_burst_fn burst;
};

extern const struct wire_impl wire_impl_openssl;
extern const struct wire_impl wire_impl_aesni;
extern const struct wire_impl wire_impl_vaes256;
extern const struct wire_impl wire_impl_vaes512;
extern const struct wire_impl wire_impl_armv8;

/* Expand the key as AES-NI and VAES need it. */
int wire_aesni_set_key(struct ep_wire_tagger *tagger, const uint8_t key[EP_WIRE_KEY_BYTES]);

/* An AES-128-ECB encryption context without padding, or NULL. The caller frees it. */
struct evp_cipher_ctx_st *wire_ecb_create(const uint8_t key[EP_WIRE_KEY_BYTES]);
