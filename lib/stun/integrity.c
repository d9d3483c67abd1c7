#include "stun_priv.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string.h>

/* HMAC-SHA1 of two pieces, since the header that is hashed is not the one that is sent. */
static int
hmac_sha1(struct ep_stun_bytes key, const uint8_t *header, const uint8_t *rest, size_t rest_len,
	uint8_t mac[STUN_INTEGRITY_BYTES])
{
	char digest[] = "SHA1";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};
	/* An empty key is a key, but OpenSSL takes NULL for "as before". */
	const uint8_t *const key_bytes = key.len > 0 ? key.bytes : (const uint8_t *)"";
	EVP_MAC *const hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *const ctx = hmac != NULL ? EVP_MAC_CTX_new(hmac) : NULL;
	size_t mac_bytes = 0;
	const bool done = ctx != NULL && EVP_MAC_init(ctx, key_bytes, key.len, params) == 1 &&
		EVP_MAC_update(ctx, header, EP_STUN_HEADER_BYTES) == 1 &&
		EVP_MAC_update(ctx, rest, rest_len) == 1 &&
		EVP_MAC_final(ctx, mac, &mac_bytes, STUN_INTEGRITY_BYTES) == 1;

	EVP_MAC_CTX_free(ctx); /* accepts NULL, as the next one */
	EVP_MAC_free(hmac);
	return done && mac_bytes == STUN_INTEGRITY_BYTES ? 0 : -EIO;
}

int
stun_integrity(const uint8_t *bytes, size_t offset, struct ep_stun_bytes key,
	uint8_t mac[STUN_INTEGRITY_BYTES])
{
	const size_t end = offset + STUN_ATTR_HEADER_BYTES + STUN_INTEGRITY_BYTES;
	uint8_t header[EP_STUN_HEADER_BYTES];

	memcpy(header, bytes, sizeof(header));
	stun_set16(header + 2, (uint16_t)(end - EP_STUN_HEADER_BYTES));
	return hmac_sha1(
		key, header, bytes + EP_STUN_HEADER_BYTES, offset - EP_STUN_HEADER_BYTES, mac);
}

int
ep_stun_integrity_check(
	const struct ep_stun_msg *msg, struct ep_stun_bytes bytes, struct ep_stun_bytes key)
{
	uint8_t mac[STUN_INTEGRITY_BYTES];
	int ret;

	if (!(msg->has & EP_STUN_HAS_INTEGRITY))
		return -ENOENT;
	ret = stun_integrity(bytes.bytes, msg->integrity_offset, key, mac);
	if (ret < 0)
		return ret;
	if (CRYPTO_memcmp(mac, bytes.bytes + msg->integrity_offset + STUN_ATTR_HEADER_BYTES,
		    sizeof(mac)) != 0)
		return -EACCES;
	return 0;
}

int
ep_stun_long_key(struct ep_stun_bytes username, struct ep_stun_bytes realm,
	struct ep_stun_bytes password, uint8_t key[EP_STUN_LONG_KEY_BYTES])
{
	const struct ep_stun_bytes colon = {(const uint8_t *)":", 1};
	const struct ep_stun_bytes part[] = {username, colon, realm, colon, password};
	EVP_MD *const md5 = EVP_MD_fetch(NULL, "MD5", NULL);
	EVP_MD_CTX *const ctx = EVP_MD_CTX_new();
	uint8_t digest[EVP_MAX_MD_SIZE];
	bool done = md5 != NULL && ctx != NULL && EVP_DigestInit_ex2(ctx, md5, NULL) == 1;

	for (size_t i = 0; done && i < EP_ARRAY_LEN(part); i++)
		done = EVP_DigestUpdate(ctx, part[i].bytes, part[i].len) == 1;
	done = done && EVP_DigestFinal_ex(ctx, digest, NULL) == 1;
	EVP_MD_CTX_free(ctx); /* accepts NULL, as the next one */
	EVP_MD_free(md5);
	if (!done)
		return -EIO;
	memcpy(key, digest, EP_STUN_LONG_KEY_BYTES);
	OPENSSL_cleanse(digest, sizeof(digest));
	return 0;
}
