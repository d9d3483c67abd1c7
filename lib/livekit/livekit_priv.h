#pragma once

/* What the files of lib/livekit share: the values as the file has them, before LiveKit's defaults and checks. */

#include "ep_livekit.h"

/* The keys that are read. */
enum livekit_key {
	LIVEKIT_PORT,
	LIVEKIT_DEVELOPMENT,
	LIVEKIT_TCP_PORT,
	LIVEKIT_RANGE_START,
	LIVEKIT_RANGE_END,
	LIVEKIT_UDP_PORT,
	LIVEKIT_TCP_FALLBACK,
	LIVEKIT_TURN_ENABLED,
	LIVEKIT_TURN_DOMAIN,
	LIVEKIT_TURN_TLS_PORT,
	LIVEKIT_TURN_UDP_PORT,
	LIVEKIT_TURN_EXTERNAL_TLS,
	LIVEKIT_RELAY_START,
	LIVEKIT_RELAY_END,
	LIVEKIT_KEYS,
};

struct livekit_value {
	bool given;    /* not left out, and not null */
	bool is_true;  /* true or false */
	bool is_list;  /* rtc.udp_port is a list: nothing else is set */
	uint16_t port; /* a port, or the start of rtc.udp_port */
	uint16_t end;  /* rtc.udp_port: its end; 0 where it is one number */
	char text[EP_LIVEKIT_DOMAIN_BYTES];
};

struct livekit_raw {
	struct livekit_value value[LIVEKIT_KEYS];
};

/* Read the file's values. Errors of ep_livekit_parse(). */
int livekit_read(const char *text, size_t len, const char *what, struct livekit_raw *raw,
	struct ep_err *err);

/* Read one scalar into the value of a key. 0, or -EINVAL or -ERANGE with what is allowed in *allowed. */
int livekit_scalar(enum livekit_key key, const char *text, size_t len, bool plain,
	struct livekit_value *value, const char **allowed);

/* What LiveKit makes of the values: its defaults, and which of two settings wins. */
void livekit_resolve(const struct livekit_raw *raw, struct ep_livekit *livekit);

/* Add the contradictions of the values. */
void livekit_check(const struct livekit_raw *raw, struct ep_livekit *livekit);
