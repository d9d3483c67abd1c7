#include "ep_wire.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

int
ep_wire_cmac(const uint8_t key[16], const uint8_t *message, size_t len, uint8_t mac[16])
{
	size_t mac_bytes;

	if (EVP_Q_mac(NULL, "CMAC", NULL, "AES-128-CBC", NULL, key, EP_WIRE_KEY_BYTES, message, len,
		    mac, 16, &mac_bytes) == NULL ||
		mac_bytes != 16)
		return -EIO;
	return 0;
}

/* An octet string that OpenSSL only reads: its parameters have no const. */
static OSSL_PARAM
octets(const char *name, const void *bytes, size_t len)
{
	return OSSL_PARAM_construct_octet_string(name, (void *)(uintptr_t)bytes, len);
}

static int
hkdf_sha256(const OSSL_PARAM *params, uint8_t *out, size_t len)
{
	EVP_KDF *const kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *const ctx = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
	const int ret = ctx != NULL && EVP_KDF_derive(ctx, out, len, params) == 1 ? 0 : -EIO;

	EVP_KDF_CTX_free(ctx); /* accepts NULL, as the next one */
	EVP_KDF_free(kdf);
	return ret;
}

int
ep_wire_trial_key(const uint8_t session_key[EP_WIRE_SESSION_KEY_BYTES],
	const uint8_t nonce_initiator[EP_WIRE_NONCE_BYTES],
	const uint8_t nonce_responder[EP_WIRE_NONCE_BYTES], uint8_t key[EP_WIRE_KEY_BYTES])
{
	static const char info[] = "everyport/1 trial";
	char digest[] = "SHA256";
	uint8_t salt[2 * EP_WIRE_NONCE_BYTES];

	memcpy(salt, nonce_initiator, EP_WIRE_NONCE_BYTES);
	memcpy(salt + EP_WIRE_NONCE_BYTES, nonce_responder, EP_WIRE_NONCE_BYTES);
	return hkdf_sha256(
		(const OSSL_PARAM[]){
			OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
			octets(OSSL_KDF_PARAM_KEY, session_key, EP_WIRE_SESSION_KEY_BYTES),
			octets(OSSL_KDF_PARAM_SALT, salt, sizeof(salt)),
			octets(OSSL_KDF_PARAM_INFO, info, strlen(info)),
			OSSL_PARAM_construct_end(),
		},
		key, EP_WIRE_KEY_BYTES);
}
