#pragma once

/** @file Options of the fallback check: which ports, how, and what a LiveKit server's own file says of them. */

#include "opt.h"

/* One option each, as opt.c has them. */
int opt_set_tcp(struct config *c, const char *text, struct ep_err *err);
int opt_set_udp_stun(struct config *c, const char *text, struct ep_err *err);
int opt_set_preset(struct config *c, const char *text, struct ep_err *err);
int opt_set_livekit_yaml(struct config *c, const char *text, struct ep_err *err);
int opt_set_sni(struct config *c, const char *text, struct ep_err *err);
int opt_set_turn_sni(struct config *c, const char *text, struct ep_err *err);
int opt_set_expect_issuer(struct config *c, const char *text, struct ep_err *err);
int opt_set_ufrag(struct config *c, const char *text, struct ep_err *err);
int opt_set_pwd(struct config *c, const char *text, struct ep_err *err);
int opt_set_tcp_timeout(struct config *c, const char *text, struct ep_err *err);
int opt_set_tcp_rate(struct config *c, const char *text, struct ep_err *err);
int opt_set_connections(struct config *c, const char *text, struct ep_err *err);
int opt_set_hold(struct config *c, const char *text, struct ep_err *err);
int opt_set_connect_rate(struct config *c, const char *text, struct ep_err *err);
int opt_set_port(struct config *c, const char *text, struct ep_err *err);
int opt_set_idle(struct config *c, const char *text, struct ep_err *err);

/**
 * Put the targets together once every option was read: the preset, in its place what the LiveKit file says, in its place --tcp and
 * --udp-stun; with a TURN server's name also TURN inside TLS on the ports of TLS.
 *
 * @return
 *   0 or -errno with a sentence.
 */
int opt_tcp_finish(struct config *c, const struct command *command, struct ep_err *err);
