#pragma once

/**
 * @file
 * Both ends of a connection in one process over loopback, with a clock that the test turns. What does not come fails the test.
 */

#include <ep_xport.h>

#include <stddef.h>
#include <stdint.h>

#define NOW_NS UINT64_C(7000000000)
#define TIMEOUT_NS (UINT64_C(5) * EP_NS_PER_S)
#define WAIT_MS 5000 /* for what has to come; an expired wait is a failure */
#define ROUNDS_MAX 100000

/** Group state. */
struct ends {
	struct ep_xport *x;     /* the key 0, 1, .. 31 */
	struct ep_xport *wrong; /* another */
	int listener;
	uint16_t port;
	char dir[32];
	char cert[64];
	uint64_t random;
};

struct pair {
	struct ep_xport_conn *client, *server;
};

extern const struct ep_wire_ip ends_loopback;
extern const struct ep_wire_ip ends_loopback6;

uint64_t ends_random(struct ends *t);

/** Local port of a socket. */
uint16_t ends_port(int fd);

/** A client on its way to a port of this host; what a raw socket is accepted as at the listener, and with it as a server; a raw client. */
struct ep_xport_conn *ends_client(struct ep_xport *x, uint16_t port);
int ends_accept_raw(int listener);
struct ep_xport_conn *ends_server(const struct ends *t);
int ends_connect_raw(const struct ends *t);

/** Until one of up to two can go on. */
void ends_wait(struct ep_xport_conn *const *conns, int count);

/** Until it is OPEN or CLOSED; the far side is not ours. */
enum ep_xport_state ends_settle(struct ep_xport_conn *conn);
void ends_settle_both(struct ep_xport_conn *a, struct ep_xport_conn *b);

/** Both open. */
struct pair ends_open(const struct ends *t);
void ends_close(struct pair *p);

/** It is closed, for this reason, with a sentence that says so, and nothing can be read or written. */
void ends_assert_closed(struct ep_xport_conn *conn, enum ep_xport_reason reason, const char *says);

void ends_read_exactly(struct ep_xport_conn *conn, uint8_t *buf, size_t len);

/** Group set-up and tear-down. */
int ends_setup(void **state);
int ends_teardown(void **state);
