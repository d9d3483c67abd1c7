#pragma once

/**
 * @file
 * Plain TCP connect checks, non-blocking, on kernel sockets. The caller polls; nothing here sleeps or reads a clock.
 * One thread a round. It sends no data: a connection that opens is closed at once.
 *
 *   start -> PENDING -> OPEN | REFUSED | FILTERED | UNREACHABLE | ERROR -> (done, socket closed)
 */

#include <ep_base.h>
#include <ep_wire.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Most ports of a round. */
#define EP_TCPCHECK_PORTS_MAX 16
/** A port that has not answered by then is FILTERED. One lost SYN is forgiven: the kernel repeats it after 1 s. */
#define EP_TCPCHECK_TIMEOUT_NS (UINT64_C(3) * EP_NS_PER_S)

/** What became of a check. */
enum ep_tcpcheck_status {
	EP_TCPCHECK_PENDING, /**< No answer yet. */
	EP_TCPCHECK_OPEN,    /**< Three-way handshake done. */
	EP_TCPCHECK_REFUSED, /**< RST, or ICMP port unreachable (the kernel does not tell them apart). */
	EP_TCPCHECK_FILTERED,    /**< Nothing within the time. */
	EP_TCPCHECK_UNREACHABLE, /**< Another ICMP error, or no route. */
	EP_TCPCHECK_ERROR,       /**< Our own socket failed. */
};

/** One check under way or done. */
struct ep_tcpcheck_one {
	uint16_t port;                  /**< Destination. */
	int fd;                         /**< -1 when done. */
	uint64_t start_ns;              /**< Time of the connect on the caller's clock [ns]. */
	enum ep_tcpcheck_status status; /**< Result, or PENDING. */
	uint64_t connect_ns;            /**< Time to the answer [ns]; 0 when there was none. */
	int error; /**< errno of the failure, positive; 0 where there was none. */
};

/** A round of checks: one connect a port, all at once. */
struct ep_tcpcheck_round {
	struct ep_wire_ip peer; /**< Destination of all. */
	uint32_t count;         /**< Entries of one in use. */
	struct ep_tcpcheck_one one[EP_TCPCHECK_PORTS_MAX];
};

/**
 * Start a round: a non-blocking connect to each port. Sockets that fail at once are done with their status.
 *
 * @param[out] round
 *   Filled; release with ep_tcpcheck_close().
 * @param peer
 *   Copied.
 * @param source
 *   If not NULL, bound first; of the peer's family.
 * @param ports
 *   [port_count], host order.
 * @param port_count
 *   At most EP_TCPCHECK_PORTS_MAX; more are left out.
 * @param now_ns
 *   Any monotonic clock [ns], the same as for ep_tcpcheck_poll().
 */
void ep_tcpcheck_start(struct ep_tcpcheck_round *round, const struct ep_wire_ip *peer,
	const struct ep_wire_ip *source, const uint16_t *ports, uint32_t port_count,
	uint64_t now_ns);

/**
 * Look at every pending socket (poll with no wait). The caller may wait for the sockets to become writable instead of
 * calling often: the time of an answer is the time of the call that sees it.
 *
 * @return
 *   Whether the round is done.
 */
bool ep_tcpcheck_poll(struct ep_tcpcheck_round *round, uint64_t now_ns);

/** Close what is pending; it stays PENDING. May be called again, and on a round that is done. */
void ep_tcpcheck_close(struct ep_tcpcheck_round *round);

/** "pending", "open", "refused", "filtered", "unreachable", "error". */
const char *ep_tcpcheck_status_name(enum ep_tcpcheck_status status);

/** A sentence about a check for the user, cut to @p len bytes with NUL: "port 443: open after 1.2 ms". */
void ep_tcpcheck_sentence(const struct ep_tcpcheck_one *one, char *buf, size_t len);
