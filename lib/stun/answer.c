#include "stun_priv.h"

#include <errno.h>
#include <string.h>

/* A request and what is to be said to it. */
struct answer {
	const struct ep_stun_server *server;
	struct ep_stun_msg request;
	struct ep_stun_msg reply;
	bool known; /* The request proved that it knows the password: so must the reply. */
};

static void
error_set(struct answer *a, uint16_t code, const char *reason)
{
	a->reply.class = EP_STUN_ERROR;
	a->reply.has |= EP_STUN_HAS_ERROR;
	a->reply.error_code = code;
	a->reply.reason = ep_stun_text(reason);
}

static void
allocate_answer(struct answer *a)
{
	error_set(a, EP_STUN_UNAUTHENTICATED, "Unauthorized");
	a->reply.has |= EP_STUN_HAS_REALM | EP_STUN_HAS_NONCE;
	a->reply.realm = a->server->realm;
	a->reply.nonce = a->server->nonce;
}

/* Whether USERNAME names us: in ICE it is "<ufrag of the one that is asked>:<ufrag of the one that asks>" (RFC 8445 section 7.2.2). */
static bool
binding_is_for_us(const struct answer *a)
{
	const struct ep_stun_bytes ufrag = a->server->ufrag, name = a->request.username;

	return ufrag.len == 0 ||
		(name.len >= ufrag.len && memcmp(name.bytes, ufrag.bytes, ufrag.len) == 0 &&
			(name.len == ufrag.len || name.bytes[ufrag.len] == ':'));
}

/* Whether a Binding request may go on: RFC 8489 section 9.1.3. Sets the error where it may not. */
static int
binding_authenticate(struct answer *a, struct ep_stun_bytes bytes)
{
	const uint32_t both = EP_STUN_HAS_USERNAME | EP_STUN_HAS_INTEGRITY;
	int ret;

	if (a->server->password.len == 0 ||
		(a->server->password_optional && (a->request.has & EP_STUN_HAS_INTEGRITY) == 0))
		return 0;
	if ((a->request.has & both) != both) {
		error_set(a, EP_STUN_BAD_REQUEST, "Bad Request");
		return 0;
	}
	ret = ep_stun_integrity_check(&a->request, bytes, a->server->password);
	if (ret < 0 && ret != -EACCES)
		return ret;
	a->known = ret == 0 && binding_is_for_us(a);
	if (!a->known)
		error_set(a, EP_STUN_UNAUTHENTICATED, "Unauthenticated");
	return 0;
}

static void
binding_answer(struct answer *a, const struct ep_stun_addr *from)
{
	if (a->request.not_understood_count > 0) {
		error_set(a, EP_STUN_UNKNOWN_ATTRIBUTE, "Unknown Attribute");
		a->reply.has |= EP_STUN_HAS_UNKNOWN;
		a->reply.unknown_count = a->request.not_understood_count;
		memcpy(a->reply.unknown, a->request.not_understood, sizeof(a->reply.unknown));
		return;
	}
	a->reply.has |= EP_STUN_HAS_XOR_MAPPED;
	a->reply.xor_mapped = *from;
}

int
ep_stun_answer(const struct ep_stun_server *server, struct ep_stun_bytes request,
	const struct ep_stun_addr *from, struct ep_stun_buf *out)
{
	struct answer a = {.server = server};
	int ret;

	ret = ep_stun_decode(request, &a.request, NULL);
	if (ret < 0)
		return ret;
	if (a.request.class != EP_STUN_REQUEST ||
		(a.request.method != EP_STUN_BINDING && a.request.method != EP_STUN_ALLOCATE))
		return -ENOENT;
	ep_stun_msg_init(&a.reply, EP_STUN_SUCCESS, a.request.method, a.request.txid);
	a.reply.has = a.request.has & EP_STUN_HAS_FINGERPRINT;
	if (server->software.len > 0) {
		a.reply.has |= EP_STUN_HAS_SOFTWARE;
		a.reply.software = server->software;
	}
	if (a.request.method == EP_STUN_ALLOCATE) {
		/* Who asks is looked at before what is asked (section 6.3): no 420 here. */
		allocate_answer(&a);
		return ep_stun_encode(&a.reply, NULL, out);
	}
	ret = binding_authenticate(&a, request);
	if (ret < 0)
		return ret;
	if (a.reply.class == EP_STUN_SUCCESS)
		binding_answer(&a, from);
	return ep_stun_encode(&a.reply, a.known ? &server->password : NULL, out);
}
