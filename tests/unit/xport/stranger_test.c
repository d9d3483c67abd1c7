/* Strangers at our port, we at a stranger's, and the openssl program as an independent client and server (ends.h). */

#include "ends.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* The key of struct test as the openssl program takes it. */
#define KEY_HEX "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define WRONG_HEX "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

/* --- Strangers at our port -------------------------------------------------------------------- */

static void
tcp_check_at_our_port_is_just_an_end(void **state)
{
	const struct ends *t = *state;
	struct ep_xport_conn *server;

	close(ends_connect_raw(t));
	server = ends_server(t);
	assert_int_equal(ends_settle(server), EP_XPORT_CLOSED);
	ends_assert_closed(server, EP_XPORT_END, "before it said anything");
	ep_xport_close(server);
}

static void
plain_text_at_our_port_is_not_tls(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} cases[] = {
		{"GET / HTTP/1.1\r\n\r\n", 18}, {"CONNECT a:443 HTTP/1.1\r\n", 24},
		{"SSH-2.0-x\r\n", 11}, {"x", 1},
		{"\x80\x2e\x01\x03\x01", 5}, /* the hello of SSL 2 */
		{"\x16\x04\x01\x00\x10", 5}, /* handshake record of a version that never was */
		{"\x16\x03\x01\xff\xff", 5}, /* longer than a record may be */
		{"\x16\x03\x01\x00\x00", 5}, /* empty */
		{"\x17\x03\x03\x00\x20"
		 "data",
			9}, /* data before a handshake */
	};
	const struct ends *t = *state;

	for (size_t i = 0; i < EP_ARRAY_LEN(cases); i++) {
		const int fd = ends_connect_raw(t);
		struct ep_xport_conn *server = ends_server(t);

		assert_int_equal(send(fd, cases[i].bytes, cases[i].len, 0), cases[i].len);
		assert_int_equal(ends_settle(server), EP_XPORT_CLOSED);
		ends_assert_closed(server, EP_XPORT_NOT_TLS, "does not speak TLS");
		ep_xport_close(server);
		close(fd);
	}
}

/* What our own client sends first. */
static size_t
client_hello(const struct ends *t, uint8_t *buf, size_t len)
{
	struct ep_xport_conn *client = ends_client(t->x, t->port);
	const int fd = ends_accept_raw(t->listener);
	ssize_t got;

	ends_wait(&client, 1);
	assert_int_equal(ep_xport_advance(client, NOW_NS), EP_XPORT_HANDSHAKE);
	got = recv(fd, buf, len, 0);
	assert_true(got > 5 && (size_t)got < len);
	assert_int_equal(got, 5 + buf[3] * 256 + buf[4]);
	close(fd);
	ep_xport_close(client);
	return (size_t)got;
}

/* The server gets @p len bytes and then the end: it must close, whatever they are, and never open. */
static enum ep_xport_reason
feed(const struct ends *t, const uint8_t *bytes, size_t len)
{
	const int fd = ends_connect_raw(t);
	struct ep_xport_conn *server = ends_server(t);
	enum ep_xport_reason reason;

	if (len > 0)
		assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	assert_int_equal(ends_settle(server), EP_XPORT_CLOSED);
	reason = ep_xport_reason(server);
	ep_xport_close(server);
	close(fd);
	return reason;
}

static void
noise_at_our_port_never_opens(void **state)
{
	struct ends *t = *state;

	for (int round = 0; round < 150; round++) {
		uint8_t noise[700];
		const size_t len = 1 + ends_random(t) % sizeof(noise);
		enum ep_xport_reason reason;

		for (size_t i = 0; i < len; i++)
			noise[i] = (uint8_t)ends_random(t);
		if (round % 3 == 0) /* every third one as far as the record header goes */
			memcpy(noise, "\x16\x03\x01\x01\x00", len < 5 ? len : 5);
		reason = feed(t, noise, len);
		assert_true(reason == EP_XPORT_NOT_TLS || reason == EP_XPORT_NOT_EVERYPORT ||
			reason == EP_XPORT_END);
		if (noise[0] != 0x16 && noise[0] != 0x15)
			assert_int_equal(reason, EP_XPORT_NOT_TLS);
	}
}

static void
cut_or_changed_hello_never_opens(void **state)
{
	struct ends *t = *state;
	uint8_t hello[2048], copy[2048];
	const size_t len = client_hello(t, hello, sizeof(hello));

	assert_int_equal(
		feed(t, hello, len), EP_XPORT_END); /* replayed: gets no further than our answer */
	for (int round = 0; round < 100; round++) {
		const size_t at = ends_random(t) % len;
		enum ep_xport_reason reason;

		assert_int_equal(feed(t, hello, at), EP_XPORT_END);
		memcpy(copy, hello, len);
		copy[at] ^= (uint8_t)(1 + ends_random(t) % 255);
		reason = feed(t, copy, len);
		/* Covered by the key from the handshake header on; before it, it is the record that is wrong. */
		if (at >= 5)
			assert_true(reason == EP_XPORT_WRONG_KEY ||
				reason == EP_XPORT_NOT_EVERYPORT || reason == EP_XPORT_END);
	}
}

static void
hello_offers_forward_secrecy_only_and_no_early_data(void **state)
{
	/* psk_key_exchange_modes (45): one mode, psk_dhe_ke (1); RFC 8446 section 4.2.9. */
	static const uint8_t dhe_only[] = {0, 45, 0, 2, 1, 1};
	/* supported_versions (43): TLS 1.3 alone. */
	static const uint8_t tls13_only[] = {0, 43, 0, 3, 2, 3, 4};
	static const uint8_t early_data[] = {0, 42, 0, 0};
	uint8_t hello[2048];
	const size_t len = client_hello(*state, hello, sizeof(hello));

	assert_non_null(memmem(hello, len, dhe_only, sizeof(dhe_only)));
	assert_non_null(memmem(hello, len, tls13_only, sizeof(tls13_only)));
	assert_non_null(memmem(hello, len, EP_XPORT_ALPN, strlen(EP_XPORT_ALPN)));
	assert_null(memmem(hello, len, early_data, sizeof(early_data)));
}

/* --- We at a stranger's port ------------------------------------------------------------------ */

static void
client_of_plain_text_finds_no_tls(void **state)
{
	static const char *const greetings[] = {
		"SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", "\n"};
	const struct ends *t = *state;

	for (size_t i = 0; i < EP_ARRAY_LEN(greetings); i++) {
		struct ep_xport_conn *client = ends_client(t->x, t->port);
		const int fd = ends_accept_raw(t->listener);

		assert_int_equal(
			send(fd, greetings[i], strlen(greetings[i]), 0), strlen(greetings[i]));
		assert_int_equal(ends_settle(client), EP_XPORT_CLOSED);
		ends_assert_closed(client, EP_XPORT_NOT_TLS, "does not speak TLS");
		ep_xport_close(client);
		close(fd);
	}
}

static void
client_of_a_server_that_hangs_up_sees_the_end(void **state)
{
	const struct ends *t = *state;
	struct ep_xport_conn *client = ends_client(t->x, t->port);
	const int fd = ends_accept_raw(t->listener);

	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	assert_int_equal(ends_settle(client), EP_XPORT_CLOSED);
	ends_assert_closed(client, EP_XPORT_END, "before it said anything");
	ep_xport_close(client);
	close(fd);
}

/* --- Against the openssl program -------------------------------------------------------------- */

struct program {
	pid_t pid;
	int in;  /* its stdin */
	int out; /* its stdout and stderr */
};

/* Words without quotes. */
static struct program
program_start(const char *command)
{
	char text[512], *save = NULL, *argv[40] = {NULL};
	int in[2], out[2], argc = 0;
	struct program p;

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_true((size_t)snprintf(text, sizeof(text), "%s", command) < sizeof(text));
	for (char *w = strtok_r(text, " ", &save); w != NULL && argc < 39;
		w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	p = (struct program){.pid = fork(), .in = in[1], .out = out[0]};
	if (p.pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(out[1], 2);
		execvp(argv[0], argv);
		_exit(127);
	}
	assert_true(p.pid > 0);
	close(in[0]);
	close(out[1]);
	return p;
}

static int
program_stop(struct program *p, int signal)
{
	int status = 0;

	if (signal != 0)
		kill(p->pid, signal);
	waitpid(p->pid, &status, 0);
	close(p->in);
	close(p->out);
	return status;
}

/* Read what it says until @p text is there. */
static void
program_expect(const struct program *p, const char *text)
{
	char said[8192] = "";
	size_t used = 0;

	while (strstr(said, text) == NULL) {
		struct pollfd pfd = {.fd = p->out, .events = POLLIN};
		ssize_t got = 0;

		if (poll(&pfd, 1, WAIT_MS) == 1 && used < sizeof(said) - 1)
			got = read(p->out, said + used, sizeof(said) - 1 - used);
		if (got <= 0)
			fail_msg("\"%s\" is missing in: %s", text, said);
		used += (size_t)got;
		said[used] = '\0';
	}
}

static int
setup_certificate(void **state)
{
	const struct ends *t = *state;
	struct program p;
	char command[256];

	snprintf(command, sizeof(command),
		"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 "
		"-subj "
		"/CN=stranger -keyout %s -out %s",
		t->cert, t->cert);
	p = program_start(command);
	return program_stop(&p, 0);
}

/* It says "ACCEPT 127.0.0.1:40123" when the kernel chose the port. */
static uint16_t
s_server_port(const struct program *p)
{
	char text[4096] = "";
	size_t used = 0;

	while (used < sizeof(text) - 1) {
		struct pollfd pfd = {.fd = p->out, .events = POLLIN};
		const char *at, *colon;
		ssize_t got;

		assert_int_equal(poll(&pfd, 1, WAIT_MS), 1);
		got = read(p->out, text + used, sizeof(text) - 1 - used);
		if (got <= 0)
			break;
		used += (size_t)got;
		text[used] = '\0';
		at = strstr(text, "ACCEPT ");
		colon = at != NULL ? strchr(at, ':') : NULL;
		if (colon != NULL && strchr(colon, '\n') != NULL)
			return (uint16_t)strtoul(colon + 1, NULL, 10);
	}
	fail_msg("openssl s_server: %s", text);
	return 0;
}

#define PSK_SERVER "-nocert -tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256 "

static void
client_refuses_every_tls_server_that_is_not_everyport(void **state)
{
	static const struct {
		const char *options;
		bool certificate;
		enum ep_xport_reason reason;
	} cases[] = {
		{"", true, EP_XPORT_NOT_EVERYPORT},
		{"-tls1_2", true, EP_XPORT_NOT_EVERYPORT},
		{"-alpn http/1.1", true, EP_XPORT_NOT_EVERYPORT},
		{"-alpn everyport/1", true, EP_XPORT_NOT_EVERYPORT},
		{PSK_SERVER "-alpn everyport/1 -psk_identity other -psk " KEY_HEX, false,
			EP_XPORT_NOT_EVERYPORT},
		{PSK_SERVER "-psk_identity everyport/1 -psk " KEY_HEX, false,
			EP_XPORT_NOT_EVERYPORT},
		{PSK_SERVER "-alpn everyport/1 -psk_identity everyport/1 -psk " WRONG_HEX, false,
			EP_XPORT_WRONG_KEY},
	};
	const struct ends *t = *state;

	for (size_t i = 0; i < EP_ARRAY_LEN(cases); i++) {
		struct ep_xport_conn *client;
		struct program p;
		char command[512];

		snprintf(command, sizeof(command), "openssl s_server -accept 127.0.0.1:0 %s%s %s",
			cases[i].certificate ? "-cert " : "", cases[i].certificate ? t->cert : "",
			cases[i].options);
		p = program_start(command);
		client = ends_client(t->x, s_server_port(&p));
		if (ends_settle(client) != EP_XPORT_CLOSED)
			fail_msg("open to a server with %s", cases[i].options);
		ends_assert_closed(client, cases[i].reason, "everyport");
		ep_xport_close(client);
		program_stop(&p, SIGTERM);
	}
}

static void
client_opens_to_another_implementation_with_the_key(void **state)
{
	const struct ends *t = *state;
	struct program p =
		program_start("openssl s_server -accept 127.0.0.1:0 " PSK_SERVER
			      "-alpn everyport/1 -psk_identity everyport/1 -psk " KEY_HEX);
	struct ep_xport_conn *client = ends_client(t->x, s_server_port(&p));
	uint8_t buf[6];

	if (ends_settle(client) != EP_XPORT_OPEN)
		fail_msg("%s", ep_xport_error(client));
	assert_int_equal(write(p.in, "hello\n", 6), 6);
	ends_read_exactly(client, buf, 6);
	assert_memory_equal(buf, "hello\n", 6);
	ep_xport_close(client);
	program_stop(&p, SIGTERM);
}

#define PSK_CLIENT "-tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256 -psk "

static void
server_opens_only_to_a_client_with_key_and_protocol(void **state)
{
	static const struct {
		const char *options;
		enum ep_xport_state state;
		enum ep_xport_reason reason;
		const char *alert; /* as the client shows it */
	} cases[] = {
		{"", EP_XPORT_CLOSED, EP_XPORT_NOT_EVERYPORT, "alert no application protocol"},
		{"-tls1_2 -alpn everyport/1", EP_XPORT_CLOSED, EP_XPORT_NOT_EVERYPORT,
			"alert protocol version"},
		{"-alpn h2,http/1.1", EP_XPORT_CLOSED, EP_XPORT_NOT_EVERYPORT, "alert"},
		{"-alpn everyport/1", EP_XPORT_CLOSED, EP_XPORT_NOT_EVERYPORT, "alert"},
		{PSK_CLIENT KEY_HEX " -psk_identity everyport/1", EP_XPORT_CLOSED,
			EP_XPORT_NOT_EVERYPORT, "alert no application protocol"},
		{PSK_CLIENT KEY_HEX " -psk_identity everyport/1 -alpn h2", EP_XPORT_CLOSED,
			EP_XPORT_NOT_EVERYPORT, "alert no application protocol"},
		{PSK_CLIENT KEY_HEX " -psk_identity other -alpn everyport/1", EP_XPORT_CLOSED,
			EP_XPORT_NOT_EVERYPORT, "alert"},
		{PSK_CLIENT WRONG_HEX " -psk_identity everyport/1 -alpn everyport/1",
			EP_XPORT_CLOSED, EP_XPORT_WRONG_KEY, "alert illegal parameter"},
		{PSK_CLIENT KEY_HEX " -psk_identity everyport/1 -alpn h2,everyport/1",
			EP_XPORT_OPEN, EP_XPORT_END, ""},
	};
	const struct ends *t = *state;

	for (size_t i = 0; i < EP_ARRAY_LEN(cases); i++) {
		struct ep_xport_conn *server;
		struct program p;
		char command[512];

		snprintf(command, sizeof(command), "openssl s_client -connect 127.0.0.1:%u %s",
			t->port, cases[i].options);
		p = program_start(command);
		server = ends_server(t);
		if (ends_settle(server) != cases[i].state)
			fail_msg("client with %s: %s", cases[i].options, ep_xport_error(server));
		if (cases[i].state == EP_XPORT_CLOSED)
			ends_assert_closed(server, cases[i].reason, "everyport");
		ep_xport_close(server);
		program_expect(&p, cases[i].alert);
		program_stop(&p, SIGTERM);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_check_at_our_port_is_just_an_end),
		cmocka_unit_test(plain_text_at_our_port_is_not_tls),
		cmocka_unit_test(noise_at_our_port_never_opens),
		cmocka_unit_test(cut_or_changed_hello_never_opens),
		cmocka_unit_test(hello_offers_forward_secrecy_only_and_no_early_data),
		cmocka_unit_test(client_of_plain_text_finds_no_tls),
		cmocka_unit_test(client_of_a_server_that_hangs_up_sees_the_end),
		cmocka_unit_test_setup(
			client_refuses_every_tls_server_that_is_not_everyport, setup_certificate),
		cmocka_unit_test(client_opens_to_another_implementation_with_the_key),
		cmocka_unit_test(server_opens_only_to_a_client_with_key_and_protocol),
	};

	return cmocka_run_group_tests_name("xport_stranger", tests, ends_setup, ends_teardown);
}
