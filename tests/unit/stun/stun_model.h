#pragma once

/**
 * @file
 * STUN messages by a second, naive hand: attributes are put one by one as types and bytes, found by a plain walk, and the two
 * checks are written from the RFC in another way than lib/stun has them.
 */

#include <ep_stun.h>

#include <stddef.h>
#include <stdint.h>

#define MODEL_MAX 8192

/** A message in the making. */
struct model {
	size_t len;
	uint8_t bytes[MODEL_MAX];
};

/** Header with a type of 16 bits as the RFC prints them, such as 0x0101. Transaction id 01 02 .. 0c. */
void model_begin(struct model *m, uint16_t type);

/** Add an attribute, padded with @p pad; the header's length follows. */
void model_put(struct model *m, uint16_t type, const void *value, size_t len, uint8_t pad);

/** Add MESSAGE-INTEGRITY. */
void model_put_integrity(struct model *m, const char *password);

/** Add FINGERPRINT. */
void model_put_fingerprint(struct model *m);

/** Set the FINGERPRINT of a message that ends with one, after its other bytes have changed. */
void model_fix_fingerprint(uint8_t *bytes, size_t len);

/** Value of the first attribute of a type; NULL where there is none. @p len is set then. */
const uint8_t *model_find(const uint8_t *bytes, size_t total, uint16_t type, size_t *len);

/** The message as bytes. */
struct ep_stun_bytes model_bytes(const struct model *m);

/** Bytes from hex digits; blanks do not count. */
size_t model_hex(const char *hex, uint8_t *bytes, size_t size);
