#include "stun_priv.h"

#include <string.h>

#define MEMBER(name) offsetof(struct ep_stun_msg, name)
#define TEXT_MAX EP_STUN_TEXT_ENCODE_MAX, EP_STUN_TEXT_DECODE_MAX

/* Order: as in RFC 5769's sample messages. */
const struct stun_attr stun_attrs[STUN_ATTRS] = {
	{"SOFTWARE", 0x8022, EP_STUN_HAS_SOFTWARE, STUN_TEXT, MEMBER(software), TEXT_MAX},
	{"PRIORITY", 0x0024, EP_STUN_HAS_PRIORITY, STUN_U32, MEMBER(priority), 0, 0},
	{"USE-CANDIDATE", 0x0025, EP_STUN_HAS_USE_CANDIDATE, STUN_FLAG, 0, 0, 0},
	{"ICE-CONTROLLING", 0x802A, EP_STUN_HAS_CONTROLLING, STUN_U64, MEMBER(tie_breaker), 0, 0},
	{"ICE-CONTROLLED", 0x8029, EP_STUN_HAS_CONTROLLED, STUN_U64, MEMBER(tie_breaker), 0, 0},
	{"REQUESTED-TRANSPORT", 0x0019, EP_STUN_HAS_TRANSPORT, STUN_TRANSPORT, MEMBER(transport), 0,
		0},
	{"LIFETIME", 0x000D, EP_STUN_HAS_LIFETIME, STUN_U32, MEMBER(lifetime_s), 0, 0},
	{"ERROR-CODE", 0x0009, EP_STUN_HAS_ERROR, STUN_ERROR, MEMBER(reason), TEXT_MAX},
	{"UNKNOWN-ATTRIBUTES", 0x000A, EP_STUN_HAS_UNKNOWN, STUN_LIST, MEMBER(unknown), 0, 0},
	{"XOR-MAPPED-ADDRESS", 0x0020, EP_STUN_HAS_XOR_MAPPED, STUN_XOR_ADDR, MEMBER(xor_mapped), 0,
		0},
	{"MAPPED-ADDRESS", 0x0001, EP_STUN_HAS_MAPPED, STUN_ADDR, MEMBER(mapped), 0, 0},
	{"XOR-RELAYED-ADDRESS", 0x0016, EP_STUN_HAS_RELAYED, STUN_XOR_ADDR, MEMBER(relayed), 0, 0},
	{"USERNAME", 0x0006, EP_STUN_HAS_USERNAME, STUN_TEXT, MEMBER(username),
		EP_STUN_USERNAME_MAX, EP_STUN_USERNAME_MAX},
	{"NONCE", 0x0015, EP_STUN_HAS_NONCE, STUN_TEXT, MEMBER(nonce), TEXT_MAX},
	{"REALM", 0x0014, EP_STUN_HAS_REALM, STUN_TEXT, MEMBER(realm), TEXT_MAX},
};

void
stun_xor(uint8_t *port, uint8_t *address, size_t address_bytes,
	const uint8_t txid[EP_STUN_TXID_BYTES])
{
	uint8_t mask[4 + EP_STUN_TXID_BYTES];

	stun_set32(mask, EP_STUN_COOKIE);
	memcpy(mask + 4, txid, EP_STUN_TXID_BYTES);
	for (size_t i = 0; i < 2; i++)
		port[i] ^= mask[i];
	for (size_t i = 0; i < address_bytes; i++)
		address[i] ^= mask[i];
}

uint32_t
stun_fingerprint(const uint8_t *bytes, size_t len)
{
	uint32_t crc = UINT32_MAX;

	/* CRC-32 of ITU V.42, bit by bit: messages are short and few. */
	for (size_t i = 0; i < len; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xEDB88320) : 0);
	}
	return ~crc ^ UINT32_C(0x5354554E); /* "STUN", section 14.7 */
}

struct ep_stun_bytes
ep_stun_text(const char *text)
{
	return (struct ep_stun_bytes){(const uint8_t *)text, strlen(text)};
}

const char *
ep_stun_text_format(char *buf, size_t len, struct ep_stun_bytes text)
{
	return ep_text_format(buf, len, text.bytes, text.len);
}

void
ep_stun_msg_init(struct ep_stun_msg *msg, enum ep_stun_class class, uint16_t method,
	const uint8_t txid[EP_STUN_TXID_BYTES])
{
	*msg = (struct ep_stun_msg){.class = class, .method = method};
	memcpy(msg->txid, txid, EP_STUN_TXID_BYTES);
}

bool
ep_stun_answers(const struct ep_stun_msg *reply, const struct ep_stun_msg *request)
{
	return (reply->class == EP_STUN_SUCCESS || reply->class == EP_STUN_ERROR) &&
		reply->method == request->method &&
		memcmp(reply->txid, request->txid, EP_STUN_TXID_BYTES) == 0;
}

const struct ep_stun_addr *
ep_stun_mapped(const struct ep_stun_msg *msg)
{
	if (msg->has & EP_STUN_HAS_XOR_MAPPED)
		return &msg->xor_mapped;
	return msg->has & EP_STUN_HAS_MAPPED ? &msg->mapped : NULL;
}
