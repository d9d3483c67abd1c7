#include "wire_priv.h"

#include <errno.h>
#include <openssl/evp.h>

struct evp_cipher_ctx_st *
wire_ecb_create(const uint8_t key[EP_WIRE_KEY_BYTES])
{
	EVP_CIPHER_CTX *const cipher = EVP_CIPHER_CTX_new();

	if (cipher == NULL)
		return NULL;
	if (EVP_EncryptInit_ex2(cipher, EVP_aes_128_ecb(), key, NULL, NULL) != 1 ||
		EVP_CIPHER_CTX_set_padding(cipher, 0) != 1) {
		EVP_CIPHER_CTX_free(cipher);
		return NULL;
	}
	return cipher;
}

static void
xor_block(uint8_t *out, const uint8_t *a, const uint8_t *b)
{
	for (unsigned int i = 0; i < WIRE_AES_BYTES; i++)
		out[i] = a[i] ^ b[i];
}

/* One call of OpenSSL for the whole burst: its cost is mostly per call, and its ECB code pipelines by itself. */
static void
openssl_burst(struct ep_wire_tagger *tagger, const uint8_t *first,
	const struct ep_wire_block *block, uint32_t *tag, uint32_t count)
{
	struct wire_openssl *const w = &tagger->openssl;
	uint8_t *const scratch = w->scratch[0].bytes_be;
	int out_bytes;
	int ok;

	if (count == 0)
		return;
	for (uint32_t i = 0; i < count; i++)
		xor_block(w->scratch[i].bytes_be, block[i].bytes_be, first);
	ok = EVP_EncryptUpdate(
		w->cipher, scratch, &out_bytes, scratch, (int)(count * WIRE_AES_BYTES));
	assert(ok ==
		1); /* whole blocks, no padding, a context that worked before: nothing is left to fail */
	(void)ok;
	for (uint32_t i = 0; i < count; i++)
		tag[i] = ep_wire_get32(w->scratch[i].bytes_be);
}

static int
openssl_set_key(struct ep_wire_tagger *tagger, const uint8_t key[EP_WIRE_KEY_BYTES])
{
	tagger->openssl.cipher = wire_ecb_create(key);
	return tagger->openssl.cipher != NULL ? 0 : -EIO;
}

static bool
openssl_available(void)
{
	return true;
}

const struct wire_impl wire_impl_openssl = {
	.id = EP_WIRE_TAG_PORTABLE,
	.name = "openssl",
	.available = openssl_available,
	.set_key = openssl_set_key,
	.burst = openssl_burst,
};
