#include "wire_priv.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

/* Multiply by x in GF(2^128), RFC 4493 section 2.3; without a branch on the secret. */
static void
subkey_double(const uint8_t in[WIRE_AES_BYTES], uint8_t out[WIRE_AES_BYTES])
{
	const uint8_t carry = (uint8_t) - (in[0] >> 7);

	for (unsigned int i = 0; i < WIRE_AES_BYTES - 1; i++)
		out[i] = (uint8_t)(in[i] << 1 | in[i + 1] >> 7);
	out[WIRE_AES_BYTES - 1] = (uint8_t)(in[WIRE_AES_BYTES - 1] << 1 ^ (carry & 0x87));
}

static int
subkey_k1(const uint8_t key[EP_WIRE_KEY_BYTES], uint8_t k1[WIRE_AES_BYTES])
{
	EVP_CIPHER_CTX *const cipher = wire_ecb_create(key);
	uint8_t l[WIRE_AES_BYTES] = {0};
	int out_bytes;
	int ret = -EIO;

	if (cipher == NULL)
		return -EIO;
	if (EVP_EncryptUpdate(cipher, l, &out_bytes, l, sizeof(l)) == 1) {
		subkey_double(l, k1);
		ret = 0;
	}
	OPENSSL_cleanse(l, sizeof(l));
	EVP_CIPHER_CTX_free(cipher);
	return ret;
}

/* The fastest first. */
static const struct wire_impl *const impls[] = {
#if defined(__x86_64__)
	&wire_impl_vaes512,
	&wire_impl_vaes256,
	&wire_impl_aesni,
#elif defined(__aarch64__)
	&wire_impl_armv8,
#endif
	&wire_impl_openssl,
};

/* NULL when this CPU does not have it. */
static const struct wire_impl *
impl_choose(enum ep_wire_tag_impl id)
{
	for (size_t i = 0; i < EP_ARRAY_LEN(impls); i++)
		if ((id == EP_WIRE_TAG_AUTO || id == impls[i]->id) && impls[i]->available())
			return impls[i];
	return NULL;
}

static int
tagger_init(struct ep_wire_tagger *tagger, const uint8_t key[EP_WIRE_KEY_BYTES],
	enum ep_wire_tag_impl id)
{
	uint8_t *const first = tagger->first[WIRE_MESSAGE_BLOCK];
	uint8_t *const first_echo = tagger->first[WIRE_MESSAGE_ECHO];
	int ret;

	tagger->impl = impl_choose(id);
	if (tagger->impl == NULL)
		return -ENOTSUP;
	tagger->burst = tagger->impl->burst;
	ret = subkey_k1(key, first);
	if (ret == 0)
		ret = tagger->impl->set_key(tagger, key);
	memcpy(first_echo, first, WIRE_AES_BYTES);
	first_echo[WIRE_BLOCK_PT] ^= EP_WIRE_PT_UP ^ EP_WIRE_PT_ECHO;
	return ret;
}

int
ep_wire_tagger_create(const uint8_t key[EP_WIRE_KEY_BYTES], enum ep_wire_tag_impl impl,
	struct ep_wire_tagger **out)
{
	struct ep_wire_tagger *const tagger =
		aligned_alloc(alignof(struct ep_wire_tagger), sizeof(*tagger));
	int ret;

	if (tagger == NULL)
		return -ENOMEM;
	memset(tagger, 0, sizeof(*tagger));
	ret = tagger_init(tagger, key, impl);
	if (ret < 0) {
		ep_wire_tagger_destroy(tagger);
		return ret;
	}
	*out = tagger;
	return 0;
}

void
ep_wire_tagger_destroy(struct ep_wire_tagger *tagger)
{
	if (tagger == NULL)
		return;
	EVP_CIPHER_CTX_free(tagger->openssl.cipher); /* wipes its own copy of the key */
	OPENSSL_cleanse(tagger, sizeof(*tagger));
	free(tagger);
}

const char *
ep_wire_tagger_name(const struct ep_wire_tagger *tagger)
{
	return tagger->impl->name;
}

void
ep_wire_tag_burst(struct ep_wire_tagger *tagger, const struct ep_wire_block *block, uint32_t *tag,
	uint32_t count)
{
	assert(count <= EP_WIRE_BURST);
	tagger->burst(tagger, tagger->first[WIRE_MESSAGE_BLOCK], block, tag, count);
}

void
ep_wire_tag_burst_echo(struct ep_wire_tagger *tagger, const struct ep_wire_block *block,
	uint32_t *tag, uint32_t count)
{
	assert(count <= EP_WIRE_BURST);
	tagger->burst(tagger, tagger->first[WIRE_MESSAGE_ECHO], block, tag, count);
}
