#pragma once

/* What the files of lib/stun share: the table of attributes, and bytes in network order. */

#include "ep_stun.h"

#define STUN_ATTR_HEADER_BYTES 4
#define STUN_INTEGRITY 0x0008
#define STUN_INTEGRITY_BYTES 20
#define STUN_FINGERPRINT 0x8028
#define STUN_FINGERPRINT_BYTES 4
/* From this type on an attribute may be ignored (RFC 8489 section 14). */
#define STUN_OPTIONAL 0x8000

enum stun_kind {
	STUN_ADDR,      /* struct ep_stun_addr */
	STUN_XOR_ADDR,  /* the same, XORed with the cookie and the transaction id */
	STUN_TEXT,      /* struct ep_stun_bytes */
	STUN_ERROR,     /* error_code, reason */
	STUN_LIST,      /* unknown, unknown_count */
	STUN_FLAG,      /* no value */
	STUN_U32,       /* uint32_t */
	STUN_U64,       /* uint64_t */
	STUN_TRANSPORT, /* uint8_t and three reserved bytes */
};

/* An attribute and its members in struct ep_stun_msg. */
struct stun_attr {
	const char *name;
	uint16_t type;
	uint32_t has;
	enum stun_kind kind;
	size_t offset;
	size_t encode_max; /* STUN_TEXT, STUN_ERROR [B] */
	size_t decode_max;
};

/* In the order in which they are encoded. */
#define STUN_ATTRS 15
extern const struct stun_attr stun_attrs[STUN_ATTRS];

static inline uint16_t
stun_get16(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static inline uint32_t
stun_get32(const uint8_t *bytes)
{
	return (uint32_t)stun_get16(bytes) << 16 | stun_get16(bytes + 2);
}

static inline void
stun_set16(uint8_t *bytes, uint16_t value)
{
	bytes[0] = (uint8_t)(value >> 8);
	bytes[1] = (uint8_t)value;
}

static inline void
stun_set32(uint8_t *bytes, uint32_t value)
{
	stun_set16(bytes, (uint16_t)(value >> 16));
	stun_set16(bytes + 2, (uint16_t)value);
}

/* Bytes of a value with its padding. */
static inline size_t
stun_padded(size_t len)
{
	return (len + 3) & ~(size_t)3;
}

/* XOR an address and port in place; the same again undoes it. address holds 4 or 16 bytes. */
void stun_xor(uint8_t *port, uint8_t *address, size_t address_bytes,
	const uint8_t txid[EP_STUN_TXID_BYTES]);

/* Value of FINGERPRINT for the bytes before it, whose header already counts it. */
uint32_t stun_fingerprint(const uint8_t *bytes, size_t len);

/*
 * HMAC-SHA1 of a message up to its MESSAGE-INTEGRITY at offset, with the length in the header as if that were the last
 * attribute (RFC 8489 section 14.5). 0 or -EIO.
 */
int stun_integrity(const uint8_t *bytes, size_t offset, struct ep_stun_bytes key,
	uint8_t mac[STUN_INTEGRITY_BYTES]);
