/*
 * The reader of messages. Each length is compared with what is left before anything behind it is read. Sentences hold numbers and
 * names of ours only, since they end up on terminals.
 */

#include "stun_priv.h"

#include <errno.h>
#include <string.h>

#define HAS_ROLE (EP_STUN_HAS_CONTROLLING | EP_STUN_HAS_CONTROLLED)

/* A message half read. */
struct decode {
	const uint8_t *bytes;
	size_t len;
	struct ep_stun_msg msg;
	struct ep_err *err;
};

/* One attribute of it. */
struct value {
	const struct stun_attr *attr; /* NULL: none that we know */
	uint16_t type;
	size_t offset; /* of the attribute's header */
	const uint8_t *bytes;
	size_t len;
};

static int
bad_length(struct decode *d, const char *name, size_t len, const char *allowed)
{
	return ep_err_set(
		d->err, -EBADMSG, "STUN message with %s of %zu B, allowed: %s", name, len, allowed);
}

static int
addr_get(struct decode *d, const struct value *v, struct ep_stun_addr *addr)
{
	uint8_t port[2];
	size_t address_bytes;

	if (v->len != 8 && v->len != 20)
		return bad_length(d, v->attr->name, v->len, "8 or 20");
	address_bytes = v->len - 4;
	if (v->bytes[1] != (address_bytes == 16 ? 2 : 1))
		return ep_err_set(d->err, -EBADMSG,
			"STUN message with %s of %zu B and address family %u, allowed: 8 B of "
			"family 1 and 20 B of family 2",
			v->attr->name, v->len, v->bytes[1]);
	addr->ip.family = address_bytes == 16 ? EP_WIRE_IPV6 : EP_WIRE_IPV4;
	memcpy(port, v->bytes + 2, sizeof(port));
	memcpy(addr->ip.bytes_be, v->bytes + 4, address_bytes);
	if (v->attr->kind == STUN_XOR_ADDR)
		stun_xor(port, addr->ip.bytes_be, address_bytes, d->msg.txid);
	addr->port = stun_get16(port);
	return 0;
}

static int
text_get(struct decode *d, const struct value *v, struct ep_stun_bytes *text)
{
	if (v->len > v->attr->decode_max)
		return ep_err_set(d->err, -EBADMSG,
			"STUN message with %s of %zu B, at most %zu are allowed", v->attr->name,
			v->len, v->attr->decode_max);
	*text = (struct ep_stun_bytes){v->bytes, v->len};
	return 0;
}

static int
error_get(struct decode *d, const struct value *v)
{
	struct value reason = *v;

	if (v->len < 4)
		return bad_length(d, v->attr->name, v->len, "4 or more");
	reason.bytes += 4;
	reason.len -= 4;
	d->msg.error_code = (uint16_t)((v->bytes[2] & 7) * 100 + v->bytes[3]);
	if (v->bytes[3] > 99 || d->msg.error_code < 300 || d->msg.error_code > 699)
		return ep_err_set(d->err, -EBADMSG,
			"STUN message with an error code of class %u and number %u, allowed are "
			"classes 3 to 6 and numbers 0 to 99",
			v->bytes[2] & 7, v->bytes[3]);
	return text_get(d, &reason, &d->msg.reason);
}

static int
list_get(struct decode *d, const struct value *v)
{
	if (v->len % 2 != 0)
		return bad_length(d, v->attr->name, v->len, "an even number");
	for (size_t i = 0; i < v->len / 2 && i < EP_STUN_UNKNOWN_MAX; i++)
		d->msg.unknown[d->msg.unknown_count++] = stun_get16(v->bytes + 2 * i);
	return 0;
}

static int
number_get(struct decode *d, const struct value *v, void *member)
{
	const size_t len = v->attr->kind == STUN_FLAG ? 0 : v->attr->kind == STUN_U64 ? 8 : 4;

	if (v->len != len)
		return bad_length(d, v->attr->name, v->len, len == 0 ? "0" : len == 8 ? "8" : "4");
	if (v->attr->kind == STUN_TRANSPORT)
		*(uint8_t *)member = v->bytes[0];
	else if (v->attr->kind == STUN_U32)
		*(uint32_t *)member = stun_get32(v->bytes);
	else if (v->attr->kind == STUN_U64)
		*(uint64_t *)member =
			(uint64_t)stun_get32(v->bytes) << 32 | stun_get32(v->bytes + 4);
	return 0;
}

static int
member_get(struct decode *d, const struct value *v)
{
	void *const member = (uint8_t *)&d->msg + v->attr->offset;

	switch (v->attr->kind) {
	case STUN_ADDR:
	case STUN_XOR_ADDR:
		return addr_get(d, v, member);
	case STUN_TEXT:
		return text_get(d, v, member);
	case STUN_ERROR:
		return error_get(d, v);
	case STUN_LIST:
		return list_get(d, v);
	default:
		return number_get(d, v, member);
	}
}

static int
fingerprint_check(struct decode *d, const struct value *v)
{
	if (v->len != STUN_FINGERPRINT_BYTES)
		return bad_length(d, "FINGERPRINT", v->len, "4");
	if (v->offset + STUN_ATTR_HEADER_BYTES + STUN_FINGERPRINT_BYTES != d->len)
		return ep_err_set(
			d->err, -EBADMSG, "STUN message with an attribute behind FINGERPRINT");
	if (stun_get32(v->bytes) != stun_fingerprint(d->bytes, v->offset))
		return ep_err_set(d->err, -EBADMSG, "STUN message with a wrong FINGERPRINT");
	d->msg.has |= EP_STUN_HAS_FINGERPRINT;
	return 0;
}

static int
integrity_note(struct decode *d, const struct value *v)
{
	if (v->len != STUN_INTEGRITY_BYTES)
		return bad_length(d, "MESSAGE-INTEGRITY", v->len, "20");
	d->msg.has |= EP_STUN_HAS_INTEGRITY;
	d->msg.integrity_offset = v->offset;
	return 0;
}

static void
not_understood_note(struct ep_stun_msg *msg, uint16_t type)
{
	if (type < STUN_OPTIONAL && msg->not_understood_count < EP_STUN_UNKNOWN_MAX)
		msg->not_understood[msg->not_understood_count++] = type;
}

static const struct stun_attr *
attr_find(uint16_t type)
{
	for (size_t i = 0; i < STUN_ATTRS; i++)
		if (stun_attrs[i].type == type)
			return &stun_attrs[i];
	return NULL;
}

static int
attr_decode(struct decode *d, const struct value *v)
{
	int ret;

	if (v->type == STUN_FINGERPRINT)
		return fingerprint_check(d, v);
	if (d->msg.has & EP_STUN_HAS_INTEGRITY)
		return 0;
	if (v->type == STUN_INTEGRITY)
		return integrity_note(d, v);
	if (v->attr == NULL) {
		not_understood_note(&d->msg, v->type);
		return 0;
	}
	if (d->msg.has & v->attr->has)
		return 0;
	if (v->attr->has & HAS_ROLE && d->msg.has & HAS_ROLE)
		return ep_err_set(d->err, -EBADMSG,
			"STUN message with both ICE-CONTROLLING and ICE-CONTROLLED");
	ret = member_get(d, v);
	if (ret == 0)
		d->msg.has |= v->attr->has;
	return ret;
}

static int
attrs_decode(struct decode *d)
{
	size_t at = EP_STUN_HEADER_BYTES;
	int ret = 0;

	/* The length of the message is a multiple of 4, and so is each step: a header always fits. */
	while (ret == 0 && at < d->len) {
		const struct value v = {
			.attr = attr_find(stun_get16(d->bytes + at)),
			.type = stun_get16(d->bytes + at),
			.offset = at,
			.bytes = d->bytes + at + STUN_ATTR_HEADER_BYTES,
			.len = stun_get16(d->bytes + at + 2),
		};

		at += STUN_ATTR_HEADER_BYTES;
		if (stun_padded(v.len) > d->len - at)
			return ep_err_set(d->err, -EBADMSG,
				"STUN message with an attribute of %zu B where %zu are left", v.len,
				d->len - at);
		at += stun_padded(v.len);
		ret = attr_decode(d, &v);
	}
	return ret;
}

/* The header, as far as it can be told from other protocols. */
static bool
has_header(struct ep_stun_bytes bytes)
{
	return bytes.len >= EP_STUN_HEADER_BYTES && bytes.bytes[0] < 0x40 &&
		stun_get32(bytes.bytes + 4) == EP_STUN_COOKIE;
}

static bool
has_whole_length(struct ep_stun_bytes bytes)
{
	const uint16_t len = stun_get16(bytes.bytes + 2);

	return len % 4 == 0 && bytes.len == EP_STUN_HEADER_BYTES + (size_t)len;
}

bool
ep_stun_looks_like(struct ep_stun_bytes bytes)
{
	return has_header(bytes) && has_whole_length(bytes);
}

int
ep_stun_decode(struct ep_stun_bytes bytes, struct ep_stun_msg *msg, struct ep_err *err)
{
	struct decode d = {.bytes = bytes.bytes, .len = bytes.len, .err = err};
	unsigned int type;
	int ret;

	if (!has_header(bytes))
		return ep_err_set(err, -EPROTO, "%zu B that are no STUN message", bytes.len);
	if (!has_whole_length(bytes))
		return ep_err_set(err, -EBADMSG,
			"STUN message of %zu B that claims %u behind its header of 20 B", bytes.len,
			stun_get16(bytes.bytes + 2));
	type = stun_get16(bytes.bytes);
	d.msg.class = (enum ep_stun_class)((type >> 7 & 2) | (type >> 4 & 1));
	d.msg.method = (uint16_t)((type >> 2 & 0xF80) | (type >> 1 & 0x70) | (type & 0xF));
	memcpy(d.msg.txid, bytes.bytes + 8, EP_STUN_TXID_BYTES);
	ret = attrs_decode(&d);
	if (ret == 0)
		*msg = d.msg;
	return ret;
}
