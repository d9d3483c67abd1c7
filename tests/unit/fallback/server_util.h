#pragma once

/** @file A server of lib/fallback over loopback sockets, with a clock that the test turns, and plain clients. */

#include <ep_fallback.h>
#include <ep_stun.h>
#include <ep_xport.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/types.h>

#include <cmocka.h>

#define ROUNDS_MAX 20000
#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
/** A framed answer with an IPv4 address. */
#define FRAMED_ANSWER_BYTES (2 + 20 + 12)

struct test {
	struct ep_fallback *f;
	struct ep_xport *x;
	uint16_t port;
	uint64_t now_ns;
	int control_fd; /* handed over; -1: none yet */
	uint32_t noises;
	char noise[128];
};

/** A server with one TCP port of the kernel's choice. */
void server_start(struct test *t, uint32_t conns_max);
/** Close both ends' objects. */
void server_stop(struct test *t);
/** Let the server run once, a moment later. */
void turn(struct test *t);
/** A blocking connection to it. */
int client_open(const struct test *t);
/** Send all, at once. */
void client_say(int fd, const void *bytes, size_t len);
/** Until @p want bytes or the end. @return bytes, or -1 after a reset. */
ssize_t client_hear(struct test *t, int fd, void *buf, size_t want);
/** Whether the server closes it, without a byte, before long. */
bool client_is_closed(struct test *t, int fd);
/** Whether it does not. */
bool client_is_open(struct test *t, int fd);
/** A Binding request in a frame. @return its bytes. */
size_t framed_binding(uint8_t *frame);
/** What the server counted. */
struct ep_fallback_count counts(const struct test *t);
