#include "stun_model.h"

#include <assert.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

void
model_begin(struct model *m, uint16_t type)
{
	static const uint8_t rest[] = {
		0x21, 0x12, 0xA4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

	m->bytes[0] = (uint8_t)(type >> 8);
	m->bytes[1] = (uint8_t)type;
	m->bytes[2] = 0;
	m->bytes[3] = 0;
	memcpy(m->bytes + 4, rest, sizeof(rest));
	m->len = 20;
}

static void
length_write(uint8_t *bytes, size_t behind_header)
{
	bytes[2] = (uint8_t)(behind_header >> 8);
	bytes[3] = (uint8_t)behind_header;
}

void
model_put(struct model *m, uint16_t type, const void *value, size_t len, uint8_t pad)
{
	assert(m->len + 8 + len <= sizeof(m->bytes));
	m->bytes[m->len++] = (uint8_t)(type >> 8);
	m->bytes[m->len++] = (uint8_t)type;
	m->bytes[m->len++] = (uint8_t)(len >> 8);
	m->bytes[m->len++] = (uint8_t)len;
	if (len > 0)
		memcpy(m->bytes + m->len, value, len);
	m->len += len;
	while (m->len % 4 != 0)
		m->bytes[m->len++] = pad;
	length_write(m->bytes, m->len - 20);
}

void
model_put_integrity(struct model *m, const char *password)
{
	uint8_t mac[20];
	unsigned int mac_len = 0;
	const size_t offset = m->len;

	memset(mac, 0, sizeof(mac));
	model_put(m, 0x0008, mac, sizeof(mac), 0);
	HMAC(EVP_sha1(), password, (int)strlen(password), m->bytes, offset, m->bytes + offset + 4,
		&mac_len);
}

/* CRC-32 as polynomial division of the bits, lowest bit of each byte first, over what has 32 ones before it inverted. */
static uint32_t
crc32_of(const uint8_t *bytes, size_t len)
{
	uint32_t remainder = 0xFFFFFFFF, mirrored = 0;

	for (size_t bit = 0; bit < 8 * len; bit++) {
		const uint32_t in = bytes[bit / 8] >> bit % 8 & 1;
		const uint32_t out = remainder >> 31;

		remainder <<= 1;
		if (in != out)
			remainder ^= 0x04C11DB7;
	}
	for (int i = 0; i < 32; i++)
		mirrored |= (remainder >> i & 1) << (31 - i);
	return mirrored ^ 0xFFFFFFFF;
}

void
model_fix_fingerprint(uint8_t *bytes, size_t len)
{
	const uint32_t value = crc32_of(bytes, len - 8) ^ 0x5354554E;

	for (int i = 0; i < 4; i++)
		bytes[len - 4 + (size_t)i] = (uint8_t)(value >> (24 - 8 * i));
}

void
model_put_fingerprint(struct model *m)
{
	model_put(m, 0x8028, "\0\0\0\0", 4, 0);
	model_fix_fingerprint(m->bytes, m->len);
}

const uint8_t *
model_find(const uint8_t *bytes, size_t total, uint16_t type, size_t *len)
{
	size_t at = 20;

	while (at + 4 <= total) {
		const size_t value = (size_t)(bytes[at + 2] << 8 | bytes[at + 3]);

		if ((bytes[at] << 8 | bytes[at + 1]) == type) {
			*len = value;
			return bytes + at + 4;
		}
		at += 4 + (value + 3) / 4 * 4;
	}
	return NULL;
}

struct ep_stun_bytes
model_bytes(const struct model *m)
{
	return (struct ep_stun_bytes){m->bytes, m->len};
}

static int
digit_of(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *const at = c != '\0' ? strchr(digits, c) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

size_t
model_hex(const char *hex, uint8_t *bytes, size_t size)
{
	size_t digits = 0;

	for (; *hex != '\0'; hex++) {
		const int digit = digit_of(*hex);

		if (digit < 0)
			continue;
		assert(digits / 2 < size);
		bytes[digits / 2] =
			(uint8_t)(digits % 2 == 0 ? digit << 4 : bytes[digits / 2] | digit);
		digits++;
	}
	return digits / 2;
}
