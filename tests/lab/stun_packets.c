/*
 * Print what lib/stun encodes as a dump for text2pcap: one packet after the other, "O" from the client, "I" from the server.
 *
 *   stun_packets udp|bare|framed
 *
 * udp and bare have the same messages; framed has them as ICE-TCP frames, two in one segment, and one cut over two.
 */

#include <ep_stun.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char password[] = "thepasswordofthefarside";

static void
die(const char *what)
{
	fprintf(stderr, "stun_packets: %s\n", what);
	exit(1);
}

static void
print(char direction, const uint8_t *bytes, size_t len)
{
	printf("%c\n", direction);
	for (size_t i = 0; i < len; i++) {
		if (i % 16 == 0)
			printf("%s%06zx", i > 0 ? "\n" : "", i);
		printf(" %02x", bytes[i]);
	}
	printf("\n\n");
}

/* Each exchange has a transaction of its own. */
static void
msg_begin(struct ep_stun_msg *msg, enum ep_stun_class class, uint16_t method, uint8_t exchange)
{
	uint8_t txid[EP_STUN_TXID_BYTES] = "transaction";

	txid[EP_STUN_TXID_BYTES - 1] = exchange;
	ep_stun_msg_init(msg, class, method, txid);
}

static struct ep_stun_buf
encode(const struct ep_stun_msg *msg, bool with_key)
{
	const struct ep_stun_bytes key = ep_stun_text(password);
	struct ep_stun_buf out;

	if (ep_stun_encode(msg, with_key ? &key : NULL, &out) != 0)
		die("a message cannot be encoded");
	return out;
}

static struct ep_stun_addr
addr_of(const char *ip, uint16_t port)
{
	struct ep_stun_addr addr = {.port = port};

	if (ep_wire_ip_parse(ip, &addr.ip, NULL) != 0)
		die("no address");
	return addr;
}

static struct ep_stun_buf
answer(const struct ep_stun_buf *request, const char *from, const char *server_password)
{
	const struct ep_stun_server server = {.software = ep_stun_text("everyport"),
		.realm = ep_stun_text("everyport.example"),
		.nonce = ep_stun_text("0123456789abcdef"),
		.password = ep_stun_text(server_password)};
	const struct ep_stun_addr addr = addr_of(from, 40000);
	struct ep_stun_buf out;

	if (ep_stun_answer(&server, (struct ep_stun_bytes){request->bytes, request->len}, &addr,
		    &out) != 0)
		die("a request is not answered");
	return out;
}

#define EXCHANGES 6

/* A request and its answer. */
struct exchange {
	struct ep_stun_buf request, reply;
};

static void
exchanges_make(struct exchange *e)
{
	struct ep_stun_msg msg;

	/* Binding as a check of a STUN server sends it. */
	msg_begin(&msg, EP_STUN_REQUEST, EP_STUN_BINDING, 0);
	msg.has = EP_STUN_HAS_SOFTWARE | EP_STUN_HAS_FINGERPRINT;
	msg.software = ep_stun_text("everyport");
	e[0].request = encode(&msg, false);
	e[0].reply = answer(&e[0].request, "192.0.2.7", "");

	/* Binding of an ICE agent, answered over IPv6 with integrity. */
	msg_begin(&msg, EP_STUN_REQUEST, EP_STUN_BINDING, 1);
	msg.has = EP_STUN_HAS_USERNAME | EP_STUN_HAS_PRIORITY | EP_STUN_HAS_CONTROLLING |
		EP_STUN_HAS_USE_CANDIDATE | EP_STUN_HAS_FINGERPRINT;
	msg.username = ep_stun_text("far:near");
	msg.priority = 0x6E0001FF;
	msg.tie_breaker = UINT64_C(0x0123456789ABCDEF);
	e[1].request = encode(&msg, true);
	e[1].reply = answer(&e[1].request, "2001:db8::7", password);

	/* Allocate without credentials. */
	msg_begin(&msg, EP_STUN_REQUEST, EP_STUN_ALLOCATE, 2);
	msg.has = EP_STUN_HAS_TRANSPORT | EP_STUN_HAS_FINGERPRINT;
	msg.transport = EP_STUN_TRANSPORT_UDP;
	e[2].request = encode(&msg, false);
	e[2].reply = answer(&e[2].request, "192.0.2.7", "");

	/* Allocate with them, granted. */
	msg_begin(&msg, EP_STUN_REQUEST, EP_STUN_ALLOCATE, 3);
	msg.has = EP_STUN_HAS_TRANSPORT | EP_STUN_HAS_LIFETIME | EP_STUN_HAS_USERNAME |
		EP_STUN_HAS_REALM | EP_STUN_HAS_NONCE;
	msg.transport = EP_STUN_TRANSPORT_UDP;
	msg.lifetime_s = 600;
	msg.username = ep_stun_text("user");
	msg.realm = ep_stun_text("everyport.example");
	msg.nonce = ep_stun_text("0123456789abcdef");
	e[3].request = encode(&msg, true);
	msg_begin(&msg, EP_STUN_SUCCESS, EP_STUN_ALLOCATE, 3);
	msg.has = EP_STUN_HAS_RELAYED | EP_STUN_HAS_XOR_MAPPED | EP_STUN_HAS_LIFETIME;
	msg.relayed = addr_of("198.51.100.1", 50000);
	msg.xor_mapped = addr_of("192.0.2.7", 40000);
	msg.lifetime_s = 600;
	e[3].reply = encode(&msg, true);

	/* Errors: an attribute that is not known, and the role of ICE-CONTROLLED refused. */
	msg_begin(&msg, EP_STUN_REQUEST, EP_STUN_BINDING, 4);
	e[4].request = encode(&msg, false);
	msg_begin(&msg, EP_STUN_ERROR, EP_STUN_BINDING, 4);
	msg.has = EP_STUN_HAS_ERROR | EP_STUN_HAS_UNKNOWN;
	msg.error_code = EP_STUN_UNKNOWN_ATTRIBUTE;
	msg.reason = ep_stun_text("Unknown Attribute");
	msg.unknown_count = 2;
	msg.unknown[0] = 0x0003;
	msg.unknown[1] = 0x0026;
	e[4].reply = encode(&msg, false);
	msg_begin(&msg, EP_STUN_REQUEST, EP_STUN_BINDING, 5);
	msg.has = EP_STUN_HAS_CONTROLLED | EP_STUN_HAS_USERNAME;
	msg.username = ep_stun_text("far:near");
	e[5].request = encode(&msg, true);
	msg_begin(&msg, EP_STUN_SUCCESS, EP_STUN_BINDING, 5);
	msg.has = EP_STUN_HAS_MAPPED | EP_STUN_HAS_XOR_MAPPED;
	msg.mapped = addr_of("192.0.2.7", 40000);
	msg.xor_mapped = msg.mapped;
	e[5].reply = encode(&msg, false);
}

/* Messages one behind the other, framed. */
struct stream {
	size_t len;
	uint8_t bytes[4 * EP_STUN_MSG_MAX];
};

static void
stream_add(struct stream *s, const struct ep_stun_buf *msg)
{
	size_t len;

	if (ep_stun_frame((struct ep_stun_bytes){msg->bytes, msg->len}, s->bytes + s->len,
		    sizeof(s->bytes) - s->len, &len) != 0)
		die("a message cannot be framed");
	s->len += len;
}

/* The first exchange a frame each, the second and third together, the fourth cut in its middle. */
static void
framed_print(const struct exchange *e)
{
	struct stream request[4] = {0}, reply[4] = {0};

	for (size_t i = 0; i < 4; i++) {
		stream_add(&request[i == 2 ? 1 : i], &e[i].request);
		stream_add(&reply[i == 2 ? 1 : i], &e[i].reply);
	}
	print('O', request[0].bytes, request[0].len);
	print('I', reply[0].bytes, reply[0].len);
	print('O', request[1].bytes, request[1].len);
	print('I', reply[1].bytes, reply[1].len);
	print('O', request[3].bytes, 30);
	print('O', request[3].bytes + 30, request[3].len - 30);
	print('I', reply[3].bytes, 30);
	print('I', reply[3].bytes + 30, reply[3].len - 30);
}

int
main(int argc, char **argv)
{
	struct exchange e[EXCHANGES];

	exchanges_make(e);
	if (argc == 2 && strcmp(argv[1], "framed") == 0) {
		framed_print(e);
		return 0;
	}
	if (argc != 2 || (strcmp(argv[1], "udp") != 0 && strcmp(argv[1], "bare") != 0))
		die("usage: stun_packets udp|bare|framed");
	for (size_t i = 0; i < EXCHANGES; i++) {
		print('O', e[i].request.bytes, e[i].request.len);
		print('I', e[i].reply.bytes, e[i].reply.len);
	}
	return 0;
}
