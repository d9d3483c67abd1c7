#include "stun_priv.h"

#include <errno.h>
#include <string.h>

/* Room for the value of a new attribute at the end, padding already zero; NULL where it does not fit. */
static uint8_t *
attr_add(struct ep_stun_buf *out, uint16_t type, size_t len)
{
	uint8_t *const attr = out->bytes + out->len;
	const size_t bytes = STUN_ATTR_HEADER_BYTES + stun_padded(len);

	if (bytes > sizeof(out->bytes) - out->len)
		return NULL;
	memset(attr, 0, bytes);
	stun_set16(attr, type);
	stun_set16(attr + 2, (uint16_t)len);
	out->len += bytes;
	return attr + STUN_ATTR_HEADER_BYTES;
}

static int
addr_add(struct ep_stun_buf *out, const struct stun_attr *attr, const struct ep_stun_addr *addr,
	const uint8_t *txid)
{
	const bool ipv6 = addr->ip.family == EP_WIRE_IPV6;
	const size_t address_bytes = ipv6 ? 16 : 4;
	uint8_t *value;

	if (!ipv6 && addr->ip.family != EP_WIRE_IPV4)
		return -EINVAL;
	value = attr_add(out, attr->type, 4 + address_bytes);
	if (value == NULL)
		return -EMSGSIZE;
	value[1] = ipv6 ? 2 : 1;
	stun_set16(value + 2, addr->port);
	memcpy(value + 4, addr->ip.bytes_be, address_bytes);
	if (attr->kind == STUN_XOR_ADDR)
		stun_xor(value + 2, value + 4, address_bytes, txid);
	return 0;
}

static int
text_add(struct ep_stun_buf *out, const struct stun_attr *attr, struct ep_stun_bytes text)
{
	uint8_t *value;

	if (text.len > attr->encode_max)
		return -EINVAL;
	value = attr_add(out, attr->type, text.len);
	if (value == NULL)
		return -EMSGSIZE;
	if (text.len > 0)
		memcpy(value, text.bytes, text.len);
	return 0;
}

static int
error_add(struct ep_stun_buf *out, const struct stun_attr *attr, const struct ep_stun_msg *msg)
{
	uint8_t *value;

	if (msg->error_code < 300 || msg->error_code > 699 || msg->reason.len > attr->encode_max)
		return -EINVAL;
	value = attr_add(out, attr->type, 4 + msg->reason.len);
	if (value == NULL)
		return -EMSGSIZE;
	value[2] = (uint8_t)(msg->error_code / 100);
	value[3] = (uint8_t)(msg->error_code % 100);
	if (msg->reason.len > 0)
		memcpy(value + 4, msg->reason.bytes, msg->reason.len);
	return 0;
}

static int
list_add(struct ep_stun_buf *out, const struct stun_attr *attr, const struct ep_stun_msg *msg)
{
	uint8_t *value;

	if (msg->unknown_count > EP_STUN_UNKNOWN_MAX)
		return -EINVAL;
	value = attr_add(out, attr->type, 2 * (size_t)msg->unknown_count);
	if (value == NULL)
		return -EMSGSIZE;
	for (uint32_t i = 0; i < msg->unknown_count; i++)
		stun_set16(value + 2 * (size_t)i, msg->unknown[i]);
	return 0;
}

/* An attribute of a fixed number of bytes. */
static int
number_add(struct ep_stun_buf *out, const struct stun_attr *attr, const void *member)
{
	const size_t len = attr->kind == STUN_FLAG ? 0 : attr->kind == STUN_U64 ? 8 : 4;
	uint8_t *const value = attr_add(out, attr->type, len);

	if (value == NULL)
		return -EMSGSIZE;
	if (attr->kind == STUN_TRANSPORT)
		value[0] = *(const uint8_t *)member;
	else if (attr->kind == STUN_U32)
		stun_set32(value, *(const uint32_t *)member);
	else if (attr->kind == STUN_U64) {
		stun_set32(value, (uint32_t)(*(const uint64_t *)member >> 32));
		stun_set32(value + 4, (uint32_t) * (const uint64_t *)member);
	}
	return 0;
}

static int
member_add(struct ep_stun_buf *out, const struct stun_attr *attr, const struct ep_stun_msg *msg)
{
	const void *const member = (const uint8_t *)msg + attr->offset;

	switch (attr->kind) {
	case STUN_ADDR:
	case STUN_XOR_ADDR:
		return addr_add(out, attr, member, msg->txid);
	case STUN_TEXT:
		return text_add(out, attr, *(const struct ep_stun_bytes *)member);
	case STUN_ERROR:
		return error_add(out, attr, msg);
	case STUN_LIST:
		return list_add(out, attr, msg);
	default:
		return number_add(out, attr, member);
	}
}

static void
length_set(struct ep_stun_buf *out, size_t len)
{
	stun_set16(out->bytes + 2, (uint16_t)(len - EP_STUN_HEADER_BYTES));
}

/* Type bits: M11..M7 C1 M6..M4 C0 M3..M0 (RFC 8489 section 5). */
static void
header_set(struct ep_stun_buf *out, const struct ep_stun_msg *msg)
{
	const unsigned int m = msg->method;
	const unsigned int c = msg->class;

	stun_set16(out->bytes,
		(uint16_t)((m & 0xF80) << 2 | (m & 0x70) << 1 | (m & 0xF) | (c & 2) << 7 |
			(c & 1) << 4));
	stun_set32(out->bytes + 4, EP_STUN_COOKIE);
	memcpy(out->bytes + 8, msg->txid, EP_STUN_TXID_BYTES);
	out->len = EP_STUN_HEADER_BYTES;
}

static int
integrity_add(struct ep_stun_buf *out, struct ep_stun_bytes key)
{
	const size_t offset = out->len;
	uint8_t *const value = attr_add(out, STUN_INTEGRITY, STUN_INTEGRITY_BYTES);

	if (value == NULL)
		return -EMSGSIZE;
	return stun_integrity(out->bytes, offset, key, value);
}

static int
fingerprint_add(struct ep_stun_buf *out)
{
	const size_t offset = out->len;
	uint8_t *const value = attr_add(out, STUN_FINGERPRINT, STUN_FINGERPRINT_BYTES);

	if (value == NULL)
		return -EMSGSIZE;
	length_set(out, out->len);
	stun_set32(value, stun_fingerprint(out->bytes, offset));
	return 0;
}

int
ep_stun_encode(
	const struct ep_stun_msg *msg, const struct ep_stun_bytes *key, struct ep_stun_buf *out)
{
	const uint32_t roles = EP_STUN_HAS_CONTROLLING | EP_STUN_HAS_CONTROLLED;
	struct ep_stun_buf made;
	int ret = 0;

	if (msg->method > 0xFFF || (unsigned int)msg->class > EP_STUN_ERROR ||
		(msg->has & roles) == roles)
		return -EINVAL;
	header_set(&made, msg);
	for (size_t i = 0; ret == 0 && i < STUN_ATTRS; i++)
		if (msg->has & stun_attrs[i].has)
			ret = member_add(&made, &stun_attrs[i], msg);
	if (ret == 0 && key != NULL)
		ret = integrity_add(&made, *key);
	if (ret == 0 && msg->has & EP_STUN_HAS_FINGERPRINT)
		ret = fingerprint_add(&made);
	if (ret < 0)
		return ret;
	length_set(&made, made.len);
	out->len = made.len;
	memcpy(out->bytes, made.bytes, made.len);
	return 0;
}
