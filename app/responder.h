#pragma once

/**
 * @file
 * The responder: listeners, connections, at most one session (design section 5). One thread, event driven: without a session it
 * sleeps in poll().
 */

#include "account.h"
#include "config.h"
#include "host.h"
#include "icmp.h"
#include "link.h"
#include "steering.h"
#include "way.h"

#include <ep_engine.h>
#include <ep_fallback.h>
#include <ep_netlink.h>
#include <ep_xport.h>

#define RESPONDER_CONNS_MAX 16

/** One accepted connection. `link.conn` NULL: free. */
struct responder_conn {
	struct link link;
	uint64_t since_ns;
	bool open;           /**< The handshake is done. */
	bool closing;        /**< Close once the output is sent; nothing more is heard. */
	uint64_t closing_ns; /**< Since when; 0: not yet noted. */
};

/** A session with its initiator. */
struct responder_session {
	struct responder_conn *conn; /**< NULL: none. */
	struct ep_ctrl_hello hello;
	struct ep_range *range;
	struct ep_engine *engine;
	struct account account;
	struct steering steering;
	bool has_sources; /**< The source ports were chosen here. */
	struct ep_ctrl_sources sources;
	struct icmp_watch icmp;
	struct ep_slow_icmp *icmp_account; /**< Of the trial; NULL: does not look. */
	struct ep_ctrl_prepare prepare;
	bool prepared;     /**< Workers run. */
	bool started;      /**< The trial's stream was started: beats are due. */
	uint64_t start_ns; /**< When that was. */
	bool draining;
	uint64_t drain_end_ns;
	uint64_t next_beat_ns;
	uint32_t trials;
	uint64_t received; /**< First copies of the session. */
	uint64_t sent;
};

struct responder {
	const struct config *config;
	struct host_plan plan;
	bool eal_started;
	uint8_t key[EP_XPORT_KEY_BYTES];
	struct ep_dev *dev;
	struct ep_dev_info info;
	struct way way;
	uint16_t frame_bytes_max;
	double limit_pps; /**< 0: none. */
	struct ep_xport *xport;
	struct ep_engine_clock clock;
	uint32_t listen_count;
	struct ep_ctrl_listen listen[EP_CTRL_LISTEN_MAX];
	struct ep_fallback *
		fallback; /**< Has the listening sockets; gives away what is a control connection. */
	char udp_text[128]; /**< UDP ports that it answers on, each after a space. */
	struct responder_conn conn[RESPONDER_CONNS_MAX];
	struct responder_session session;
	uint64_t
		noise_count; /**< Connections that were no everyport, since the last line about them. */
	uint64_t noise_logged_ns;
	bool ended; /**< --once, and the session is over. */
};

/** Largest frame with FCS for an MTU, within Ethernet's bounds [B]. */
uint16_t responder_frame_max(uint32_t mtu_bytes);

/** Listen on the TCP ports. @return 0, or -EADDRINUSE when none could be had, with a sentence. */
int responder_listen(struct responder *r, struct ep_err *err);

/** Let the fallback ports be answered: on every TCP port that can be had, which is noted in `listen`, and on UDP. Says which cannot. @return 0 or
 * -errno with a sentence. */
int responder_fallback_open(struct responder *r, struct ep_err *err);

/** Take an accepted socket that begins as a control connection does; owned from here on. */
void responder_take(struct responder *r, int fd, uint64_t now_ns);

/** A connection that was neither a check nor an everyport: told once in a while. */
void responder_noise(struct responder *r, const char *sentence, uint64_t now_ns);

/** Serve until a signal, or until the end of the first session with --once. @return an exit code. */
int responder_serve(struct responder *r);

/** Close every connection and listener. */
void responder_close(struct responder *r);
