#include <ep_fallback.h>
#include <ep_stun.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PORT 4711
#define OUT_MAX ((size_t)1 << 20)

static const struct ep_fallback_voice voice = {
	.software = "everyport/test", .realm = "everyport", .nonce = "0123456789abcdef"};
static const struct ep_wire_ip peer = {.family = EP_WIRE_IPV4, .bytes_be = {198, 18, 0, 2}};

/* A conversation from one side. */
struct stream {
	uint8_t bytes[65536];
	size_t len;
};

static uint64_t rng;

static uint64_t
random_below(uint64_t limit)
{
	/* xorshift64* */
	rng ^= rng >> 12;
	rng ^= rng << 25;
	rng ^= rng >> 27;
	return rng * UINT64_C(0x2545f4914f6cdd1d) % limit;
}

static int
setup(void **state)
{
	const char *text = getenv("EP_TEST_SEED");

	(void)state;
	rng = text != NULL ? strtoull(text, NULL, 0) | 1 : (uint64_t)getpid() * 2654435761U | 1;
	print_message("# EP_TEST_SEED=%llu\n", (unsigned long long)rng);
	return 0;
}

static void
add(struct stream *s, const void *bytes, size_t len)
{
	assert_true(s->len + len <= sizeof(s->bytes));
	memcpy(s->bytes + s->len, bytes, len);
	s->len += len;
}

static void
add_text(struct stream *s, const char *text)
{
	add(s, text, strlen(text));
}

static void
add_frame(struct stream *s, const void *bytes, size_t len)
{
	const uint8_t head[] = {(uint8_t)(len >> 8), (uint8_t)len};

	add(s, head, sizeof(head));
	add(s, bytes, len);
}

static void
request(uint16_t method, enum ep_stun_class class, bool fingerprint, struct ep_stun_buf *buf)
{
	struct ep_stun_msg msg;
	uint8_t txid[EP_STUN_TXID_BYTES];

	for (size_t i = 0; i < sizeof(txid); i++)
		txid[i] = (uint8_t)random_below(256);
	ep_stun_msg_init(&msg, class, method, txid);
	if (fingerprint)
		msg.has |= EP_STUN_HAS_FINGERPRINT;
	if (method == EP_STUN_ALLOCATE) {
		msg.has |= EP_STUN_HAS_TRANSPORT;
		msg.transport = EP_STUN_TRANSPORT_UDP;
	}
	assert_int_equal(ep_stun_encode(&msg, NULL, buf), 0);
}

/* Feed a conversation in pieces of at most @p piece bytes, out through a window of @p out_max. @return whether it was ended. */
static bool
converse(const struct stream *in, size_t piece, size_t out_max, struct stream *out)
{
	struct ep_fallback_talk talk = {0};
	size_t given = 0, taken = 0;
	uint8_t *window = malloc(out_max);

	assert_non_null(window);
	out->len = 0;
	while (!talk.end) {
		size_t out_len = 0, used;

		used = ep_fallback_stream(&voice, &talk, &peer, PORT, in->bytes + taken,
			given - taken, window, out_max, &out_len);
		assert_true(used <= given - taken);
		assert_true(out_len <= out_max);
		add(out, window, out_len);
		taken += used;
		if (used > 0 || talk.end)
			continue;
		if (given == in->len)
			break;
		given += 1 + random_below(piece);
		given = given < in->len ? given : in->len;
	}
	free(window);
	return talk.end;
}

/* What the answer to a message has to be for any split, and for any room to answer in. */
static bool
converse_any(const struct stream *in, struct stream *out)
{
	static struct stream other;
	const bool end = converse(in, sizeof(in->bytes), OUT_MAX, out);

	for (size_t piece = 1; piece <= 4096; piece *= 4) {
		assert_int_equal(converse(in, piece, EP_FALLBACK_MESSAGE_MAX + 2, &other), end);
		assert_int_equal(other.len, out->len);
		assert_memory_equal(other.bytes, out->bytes, out->len);
	}
	return end;
}

static uint32_t
occurrences(const struct stream *s, const char *text)
{
	const size_t len = strlen(text);
	uint32_t count = 0;

	for (size_t i = 0; i + len <= s->len; i++)
		count += memcmp(s->bytes + i, text, len) == 0;
	return count;
}

/* --- HTTP ------------------------------------------------------------------------------------- */

static void
http_requests_are_answered_404_and_end_when_they_should(void **state)
{
	static const struct {
		const char *text;
		const char *status;
		uint32_t answers;
		bool end;
	} c[] = {
		{"GET /.well-known/acme-challenge/everyport HTTP/1.1\r\nHost: a\r\n\r\n",
			"HTTP/1.1 404 Not Found\r\n", 1, false},
		{"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
			"HTTP/1.1 404 ", 2, false},
		{"GET / HTTP/1.1\r\nConnection: Close\r\n\r\nGET / HTTP/1.1\r\n\r\n",
			"HTTP/1.1 404 ", 1, true},
		{"GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 404 ", 1, true},
		{"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 404 ", 1, true},
		{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 404 ",
			1, true},
		{"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 404 ", 1, false},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 400 ", 1, true},
		{"GET / HTTP/1.1\r\n folded\r\n\r\n", "HTTP/1.1 400 ", 1, true},
		{"GET / HTTP/1.1\r\nHost: a\r\n", "HTTP/1.1", 0, false},
	};
	static struct stream in, out;

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(c); i++) {
		in.len = 0;
		add_text(&in, c[i].text);
		assert_int_equal(converse_any(&in, &out), c[i].end);
		assert_int_equal(occurrences(&out, c[i].status), c[i].answers);
		assert_int_equal(occurrences(&out, "\r\nServer: everyport/test\r\n"), c[i].answers);
		assert_int_equal(
			occurrences(&out,
				c[i].end ? "Connection: close\r\n" : "Connection: keep-alive\r\n"),
			c[i].answers);
	}
}

/* The length of the body is the one that was announced; an answer to HEAD has none. */
static void
http_body_is_as_long_as_it_says(void **state)
{
	static struct stream in, out;
	const char *text = (const char *)out.bytes;
	const char *length, *body;

	(void)state;
	in.len = 0;
	add_text(&in, "GET / HTTP/1.1\r\n\r\n");
	assert_false(converse_any(&in, &out));
	out.bytes[out.len] = '\0';
	length = strstr(text, "Content-Length: ");
	body = strstr(text, "\r\n\r\n");
	assert_non_null(length);
	assert_non_null(body);
	assert_int_equal(strlen(body + 4), strtoul(length + 16, NULL, 10));

	in.len = 0;
	add_text(&in, "HEAD / HTTP/1.1\r\n\r\n");
	assert_false(converse_any(&in, &out));
	assert_memory_equal(out.bytes + out.len - 4, "\r\n\r\n", 4);
}

static void
http_heads_without_an_end_are_given_up(void **state)
{
	static struct stream in, out;

	(void)state;
	in.len = 0;
	add_text(&in, "GET / HTTP/1.1\r\n");
	while (in.len < 2 * EP_FALLBACK_MESSAGE_MAX)
		add_text(&in,
			"A: "
			"0123456789012345678901234567890123456789012345678901234567890123456789\r"
			"\n");
	assert_true(converse_any(&in, &out));
	assert_int_equal(occurrences(&out, "HTTP/1.1 431 "), 1);
}

/* --- STUN and TURN ---------------------------------------------------------------------------- */

static void
check_answer(const uint8_t *bytes, size_t len, const struct ep_stun_buf *asked)
{
	struct ep_stun_msg answer, question;

	assert_int_equal(
		ep_stun_decode((struct ep_stun_bytes){asked->bytes, asked->len}, &question, NULL),
		0);
	assert_int_equal(ep_stun_decode((struct ep_stun_bytes){bytes, len}, &answer, NULL), 0);
	assert_true(ep_stun_answers(&answer, &question));
	if (question.method == EP_STUN_BINDING) {
		assert_int_equal(answer.class, EP_STUN_SUCCESS);
		assert_true((answer.has & EP_STUN_HAS_XOR_MAPPED) != 0);
		assert_int_equal(answer.xor_mapped.port, PORT);
		assert_memory_equal(&answer.xor_mapped.ip, &peer, sizeof(peer));
	} else {
		assert_int_equal(answer.class, EP_STUN_ERROR);
		assert_int_equal(answer.error_code, EP_STUN_UNAUTHENTICATED);
		assert_int_equal(answer.realm.len, strlen(voice.realm));
		assert_memory_equal(answer.realm.bytes, voice.realm, answer.realm.len);
		assert_memory_equal(answer.nonce.bytes, voice.nonce, answer.nonce.len);
	}
}

static void
stun_and_turn_requests_are_answered_in_order_framed_or_not(void **state)
{
	static struct stream in, out;
	struct ep_stun_buf asked[40];

	(void)state;
	for (int framed = 0; framed < 2; framed++) {
		size_t at = 0;

		in.len = 0;
		for (size_t i = 0; i < EP_ARRAY_LEN(asked); i++) {
			request(i % 3 == 2 ? EP_STUN_ALLOCATE : EP_STUN_BINDING, EP_STUN_REQUEST,
				i % 2 == 0, &asked[i]);
			if (framed)
				add_frame(&in, asked[i].bytes, asked[i].len);
			else
				add(&in, asked[i].bytes, asked[i].len);
		}
		assert_false(converse_any(&in, &out));
		for (size_t i = 0; i < EP_ARRAY_LEN(asked); i++) {
			const uint8_t *b = out.bytes + at;
			const size_t len = framed ? b[0] * 256U + b[1]
						  : EP_STUN_HEADER_BYTES + b[2] * 256U + b[3];

			check_answer(b + 2 * framed, len, &asked[i]);
			at += len + 2 * (size_t)framed;
		}
		assert_int_equal(at, out.len);
	}
}

/* A Binding request of an ICE agent. */
static void
ice_request(const char *username, const char *password, struct ep_stun_buf *buf)
{
	static const uint8_t txid[EP_STUN_TXID_BYTES] = {1};
	const struct ep_stun_bytes key = ep_stun_text(password != NULL ? password : "");
	struct ep_stun_msg msg;

	ep_stun_msg_init(&msg, EP_STUN_REQUEST, EP_STUN_BINDING, txid);
	msg.has |= EP_STUN_HAS_USERNAME | EP_STUN_HAS_FINGERPRINT;
	msg.username = ep_stun_text(username);
	assert_int_equal(ep_stun_encode(&msg, password != NULL ? &key : NULL, buf), 0);
}

/* In frames an ICE agent answers who knows its password; without them a STUN server answers everybody. */
static void
who_knows_the_password_is_answered_with_integrity(void **state)
{
	static const struct {
		const char *username, *password;
		uint16_t framed, bare; /* 0: success, else the error */
		bool integrity;
	} cases[] = {
		{"ours:theirs", "secret", 0, 0, true},
		{"ours:theirs", "guess", 401, 401, false},
		{"others:theirs", "secret", 401, 401, false},
		{"ours:theirs", NULL, 400, 0, false},
	};
	const struct ep_fallback_voice agent = {.software = "everyport/test",
		.realm = "everyport",
		.nonce = "0123456789abcdef",
		.ufrag = "ours",
		.pwd = "secret"};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(cases) * 3; i++) {
		const size_t k = i / 3, way = i % 3; /* framed, bare, UDP */
		uint8_t out[EP_FALLBACK_MESSAGE_MAX + 2];
		struct ep_fallback_talk talk = {0};
		struct ep_stun_buf asked;
		struct ep_stun_bytes got;
		struct ep_stun_msg msg;
		struct stream in = {.len = 0};
		size_t out_len = 0;
		uint16_t want;

		ice_request(cases[k].username, cases[k].password, &asked);
		if (way == 0)
			add_frame(&in, asked.bytes, asked.len);
		else
			add(&in, asked.bytes, asked.len);
		if (way == 2)
			out_len = ep_fallback_datagram(&agent, &peer, PORT, in.bytes, in.len, out);
		else
			assert_int_equal(ep_fallback_stream(&agent, &talk, &peer, PORT, in.bytes,
						 in.len, out, sizeof(out), &out_len),
				in.len);
		assert_true(out_len > 2);
		got = way == 0 ? (struct ep_stun_bytes){out + 2, out_len - 2}
			       : (struct ep_stun_bytes){out, out_len};
		assert_int_equal(ep_stun_decode(got, &msg, NULL), 0);
		want = way == 0 ? cases[k].framed : cases[k].bare;
		if (msg.error_code != want)
			fail_msg("case %zu, way %zu: %u, not %u", k, way, msg.error_code, want);
		assert_int_equal(msg.class, want == 0 ? EP_STUN_SUCCESS : EP_STUN_ERROR);
		assert_int_equal(ep_stun_integrity_check(&msg, got, ep_stun_text("secret")),
			cases[k].integrity ? 0 : -ENOENT);
	}
}

static void
frames_that_are_no_request_come_back_and_indications_do_not(void **state)
{
	static struct stream in, out;
	static const uint8_t longest[EP_FALLBACK_MESSAGE_MAX] = {0x80};
	struct ep_stun_buf binding, indication;
	size_t skip;

	(void)state;
	request(EP_STUN_BINDING, EP_STUN_REQUEST, true, &binding);
	request(EP_STUN_BINDING, EP_STUN_INDICATION, true, &indication);
	in.len = 0;
	add_frame(&in, binding.bytes, binding.len);
	skip = in.len;
	add_frame(&in, "", 0);
	add_frame(&in, "keep-alive", 10);
	add_frame(&in, longest, sizeof(longest));
	add_frame(&in, indication.bytes, indication.len);
	assert_false(converse_any(&in, &out));
	in.len -= indication.len + 2;
	skip = in.len - skip;
	assert_true(out.len > skip);
	assert_memory_equal(out.bytes + out.len - skip, in.bytes + in.len - skip, skip);
	check_answer(out.bytes + 2, out.len - skip - 2, &binding);
}

static void
streams_that_lose_their_thread_are_ended(void **state)
{
	static struct stream in, out;
	static const uint8_t too_long[EP_FALLBACK_MESSAGE_MAX + 1];
	struct ep_stun_buf binding;

	(void)state;
	request(EP_STUN_BINDING, EP_STUN_REQUEST, false, &binding);
	in.len = 0;
	add_frame(&in, binding.bytes, binding.len);
	add_frame(&in, too_long, sizeof(too_long));
	assert_true(converse_any(&in, &out));
	in.len = 0;
	add(&in, binding.bytes, binding.len);
	add_text(&in, "no STUN message, but more bytes than its header has");
	assert_true(converse_any(&in, &out));
	in.len = 0;
	add_text(&in, "SSH-2.0-OpenSSH_9.2\r\n");
	assert_true(converse_any(&in, &out));
	assert_int_equal(out.len, 0);
}

/* --- Datagrams -------------------------------------------------------------------------------- */

/* Whatever attributes a request has, known or not. */
static size_t
random_request(uint8_t *bytes)
{
	struct ep_stun_buf buf;
	size_t len, attributes = random_below(20);

	request(random_below(2) ? EP_STUN_BINDING : EP_STUN_ALLOCATE, EP_STUN_REQUEST, false, &buf);
	memcpy(bytes, buf.bytes, buf.len);
	len = random_below(4) == 0 ? EP_STUN_HEADER_BYTES : buf.len;
	while (attributes-- > 0) {
		const uint16_t value = (uint16_t)random_below(3) * 4;

		bytes[len] = (uint8_t)(random_below(2) * 0x80);
		bytes[len + 1] = (uint8_t)random_below(256);
		bytes[len + 2] = 0;
		bytes[len + 3] = (uint8_t)value;
		for (uint16_t i = 0; i < value; i++)
			bytes[len + 4 + i] = (uint8_t)random_below(256);
		len += 4U + value;
	}
	bytes[2] = (uint8_t)((len - EP_STUN_HEADER_BYTES) >> 8);
	bytes[3] = (uint8_t)(len - EP_STUN_HEADER_BYTES);
	return len;
}

static void
no_datagram_is_answered_by_much_more_than_itself_or_without_end(void **state)
{
	static const struct ep_wire_ip peer6 = {.family = EP_WIRE_IPV6, .bytes_be = {0x20, 1}};
	uint32_t answered = 0;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		uint8_t in[1500], out[1500 + EP_FALLBACK_UDP_MORE_BYTES], again[2048];
		const size_t len = random_request(in);
		const size_t out_len =
			ep_fallback_datagram(&voice, i % 2 ? &peer : &peer6, PORT, in, len, out);

		assert_true(out_len <= len + EP_FALLBACK_UDP_MORE_BYTES);
		answered += out_len > 0;
		/* An answer sets off no answer: two servers never talk to each other. */
		assert_int_equal(ep_fallback_datagram(&voice, &peer, PORT, out, out_len, again), 0);
	}
	assert_true(answered > 10000);
}

static void
the_usual_requests_by_udp_are_answered_over_both_families(void **state)
{
	static const struct ep_wire_ip peer6 = {.family = EP_WIRE_IPV6, .bytes_be = {0x20, 1}};

	(void)state;
	for (int i = 0; i < 8; i++) {
		struct ep_stun_buf buf;
		uint8_t out[EP_STUN_MSG_MAX + EP_FALLBACK_UDP_MORE_BYTES];
		size_t len;

		request(i & 1 ? EP_STUN_ALLOCATE : EP_STUN_BINDING, EP_STUN_REQUEST, (i & 2) != 0,
			&buf);
		len = ep_fallback_datagram(
			&voice, i & 4 ? &peer6 : &peer, PORT, buf.bytes, buf.len, out);
		assert_true(len > 0);
		if ((i & 4) == 0)
			check_answer(out, len, &buf);
	}
}

static void
random_bytes_get_no_datagram_and_break_nothing(void **state)
{
	static struct stream in, out;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		uint8_t answer[EP_FALLBACK_MESSAGE_MAX];
		struct ep_stun_buf buf;

		request(EP_STUN_BINDING, EP_STUN_REQUEST, i % 2 == 0, &buf);
		in.len = 0;
		if (i % 3 == 0)
			add_frame(&in, buf.bytes, buf.len);
		else
			add(&in, buf.bytes, buf.len);
		add(&in, buf.bytes, buf.len);
		for (uint64_t n = random_below(12); n > 0; n--)
			in.bytes[random_below(in.len)] = (uint8_t)random_below(256);
		in.len -= random_below(in.len);
		(void)converse(&in, 100, EP_FALLBACK_MESSAGE_MAX + 2, &out);
		assert_true(ep_fallback_datagram(&voice, &peer, PORT, in.bytes, in.len, answer) <=
			in.len + EP_FALLBACK_UDP_MORE_BYTES);
		in.bytes[4] ^= 1; /* the cookie */
		if (in.len > 4 && in.bytes[4] != 0x21)
			assert_int_equal(
				ep_fallback_datagram(&voice, &peer, PORT, in.bytes, in.len, answer),
				0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(http_requests_are_answered_404_and_end_when_they_should),
		cmocka_unit_test(http_body_is_as_long_as_it_says),
		cmocka_unit_test(http_heads_without_an_end_are_given_up),
		cmocka_unit_test(stun_and_turn_requests_are_answered_in_order_framed_or_not),
		cmocka_unit_test(who_knows_the_password_is_answered_with_integrity),
		cmocka_unit_test(frames_that_are_no_request_come_back_and_indications_do_not),
		cmocka_unit_test(streams_that_lose_their_thread_are_ended),
		cmocka_unit_test(no_datagram_is_answered_by_much_more_than_itself_or_without_end),
		cmocka_unit_test(the_usual_requests_by_udp_are_answered_over_both_families),
		cmocka_unit_test(random_bytes_get_no_datagram_and_break_nothing),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
